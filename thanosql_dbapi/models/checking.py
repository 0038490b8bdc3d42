"""Whether a model's folder can be loaded, found out before it is: numbers, weights, words, pixels.

The configuration is checked by itself, and against the headers of the weights. Needs neither torch
nor transformers.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, clip
from .families.protocol import Numbers
from .families.registry import read_family
from .files import CONFIG, TOKENIZER, looks_like, open_file, read_json, weight_files
from .folder import require_tokenizer
from .numbers import check_config
from .preprocessing import load_preparation


def check_content(folder: Path) -> None:
    """Check all of a folder that has its weights as safetensors.

    Raises:
        ModelError: The configuration makes no sense, or weights, tokenizer or image processor are
            damaged or do not agree with it.
    """
    numbers = check_config(folder)
    _check_weights(folder, numbers)
    _check_words(folder, numbers["text_config.vocab_size"])
    _check_pixels(folder, numbers["vision_config.image_size"])


def _check_weights(folder: Path, numbers: Numbers) -> None:
    """Compare the shapes in the headers of the weights with those of the configuration."""
    from safetensors import SafetensorError, safe_open

    family = read_family(folder)
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(str(path), framework="np") as file:
                for key in file.keys():  # noqa: SIM118 - it is no mapping
                    shapes[family.known_name(key)] = tuple(file.get_slice(key).get_shape())
        # What a header can say wrong is more than the library has a name for.
        except (SafetensorError, OSError, ValueError, TypeError) as exc:
            raise ModelError(
                f"weights {str(path)!r} are damaged: {exc}{looks_like(path)}; get the model again"
            ) from exc
    for key, shape in family.tensors(numbers):
        if shapes.get(key) != shape:
            got = f"have {shapes[key]}" if key in shapes else "lack it"
            raise ModelError(
                f"model folder {str(folder)!r}: {CONFIG} asks for a tensor {key!r} of shape"
                f" {shape}, and the weights {got}; they do not belong"
                " together: get the model again"
            )


def _check_words(folder: Path, vocabulary: int) -> None:
    """Check that the tokenizer can be read, and has no token beyond the model's vocabulary."""
    require_tokenizer(folder, read_family(folder))
    file = folder / TOKENIZER
    if file.is_file():
        from tokenizers import Tokenizer

        try:
            # Not by its path, which the library takes in UTF-8 only.
            with open_file(folder, file.name) as opened:
                tokenizer = Tokenizer.from_str(opened.read().decode())
            numbers = list(tokenizer.get_vocab(True).values())
        except Exception as exc:  # the library raises Exception itself
            raise ModelError(
                f"model folder {str(folder)!r}: its tokenizer {file.name} cannot be read:"
                f" {clip(str(exc))}; get the model again"
            ) from exc
    elif (folder / "vocab.txt").is_file():
        file = folder / "vocab.txt"
        with open_file(folder, file.name) as opened:
            numbers = list(range(len(opened.read().splitlines())))
    elif not (folder / "vocab.json").is_file():
        return  # sentencepiece's, which loading the model reads
    else:
        file = folder / "vocab.json"
        words = read_json(folder, file.name)
        numbers = [number for number in words.values() if isinstance(number, int)]
        if len(numbers) != len(words):
            raise ModelError(
                f"{str(file)!r} must give each token a whole number; get the model again"
            )
    if not numbers or max(numbers) >= vocabulary or min(numbers) < 0:
        got = f"{min(numbers)} to {max(numbers)}" if numbers else "none"
        raise ModelError(
            f"model folder {str(folder)!r}: the tokens of its tokenizer {file.name} have the"
            f" numbers {got}, and vocab_size in {CONFIG} is {vocabulary}; they do not belong"
            " together: get the model again"
        )


def _check_pixels(folder: Path, side: int) -> None:
    """Check that the image processor makes what the image tower takes."""
    preparation = load_preparation(folder)
    made = preparation.crop_px or preparation.size_px
    if made != (side, side):
        shown = f"{made[1]} × {made[0]} pixels" if made else "pictures of any shape"
        raise ModelError(
            f"model folder {str(folder)!r}: its image processor makes {shown}, and image_size in"
            f" {CONFIG} is {side}; set crop_size of the image processor to {side}"
        )
