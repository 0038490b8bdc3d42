"""Whether a model's folder can be loaded, found out before it is: numbers, weights, words, pixels.

transformers and torch take a vocabulary of -1, a patch of 0 or a million layers at their word, and
fail later, or never come back. So the configuration is checked here, and against the headers of the
weights. Needs neither torch nor transformers, but for a name of an activation that is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelError, clip
from .folder import (
    CONFIG,
    looks_like,
    read_config,
    read_json,
    require_tokenizer,
    weight_files,
)
from .preprocessing import load_preparation

# (name, transformers' default, largest): far above any CLIP's, far below what a machine chokes on.
_TOWER = (
    ("hidden_size", {"text_config": 512, "vision_config": 768}, 1 << 16),
    ("intermediate_size", {"text_config": 2048, "vision_config": 3072}, 1 << 18),
    ("num_hidden_layers", {"text_config": 12, "vision_config": 12}, 1000),
    ("num_attention_heads", {"text_config": 8, "vision_config": 12}, 1 << 12),
)
_NUMBERS = {
    "text_config": (("vocab_size", 49_408, 1 << 24), ("max_position_embeddings", 77, 1 << 16)),
    "vision_config": (
        *(("image_size", 224, 1 << 13), ("patch_size", 32, 1 << 13)),
        ("num_channels", 3, 3),
    ),
}
DIMENSION_LIMIT = 1 << 16
_LEAST_POSITIONS = 3  # the begin of a text, a token, its end
_ACTIVATIONS = {"quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}


def check_config(folder: Path) -> dict[str, int]:
    """Check the numbers of a folder's configuration, and that they agree with one another.

    Args:
        folder: A CLIP folder.

    Returns:
        The numbers, ``"vision_config.patch_size"`` and so on, and ``"projection_dim"``.

    Raises:
        ModelError: One makes no sense; the message has its name, its value and what is expected.
    """
    config = read_config(folder)
    found = {
        "projection_dim": _whole(folder, config, "", "projection_dim", 512, DIMENSION_LIMIT),
    }
    for part, numbers in _NUMBERS.items():
        settings = _part(folder, config, part)
        wanted = [(name, defaults[part], most) for name, defaults, most in _TOWER]
        for name, default, most in (*wanted, *numbers):
            found[f"{part}.{name}"] = _whole(folder, settings, f"{part}.", name, default, most)
        width, heads = found[f"{part}.hidden_size"], found[f"{part}.num_attention_heads"]
        if width % heads:
            raise _wrong(
                folder, f"{part}.num_attention_heads", heads, f"a divisor of hidden_size, {width}"
            )
        _check_activation(folder, part, settings.get("hidden_act", "quick_gelu"))
        epsilon = settings.get("layer_norm_eps", 1e-5)
        if (
            isinstance(epsilon, bool)
            or not isinstance(epsilon, (int, float))
            or not (math.isfinite(epsilon) and 0 < epsilon < 1)
        ):
            raise _wrong(folder, f"{part}.layer_norm_eps", epsilon, "a number between 0 and 1")
    side, patch = found["vision_config.image_size"], found["vision_config.patch_size"]
    if patch > side:
        raise _wrong(folder, "vision_config.patch_size", patch, f"image_size, {side}, at most")
    if found["vision_config.num_channels"] != 3:
        channels = found["vision_config.num_channels"]
        raise _wrong(folder, "vision_config.num_channels", channels, "3: red, green and blue")
    if found["text_config.max_position_embeddings"] < _LEAST_POSITIONS:
        positions = found["text_config.max_position_embeddings"]
        raise _wrong(
            folder, "text_config.max_position_embeddings", positions, f"{_LEAST_POSITIONS} or more"
        )
    return found


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


def _check_weights(folder: Path, numbers: dict[str, int]) -> None:
    """Compare the shapes in the headers of the weights with those of the configuration."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(str(path), framework="np") as file:
                for key in file.keys():  # noqa: SIM118 - it is no mapping
                    shapes[key] = tuple(file.get_slice(key).get_shape())
        # What a header can say wrong is more than the library has a name for.
        except (SafetensorError, OSError, ValueError, TypeError) as exc:
            raise ModelError(
                f"weights {str(path)!r} are damaged: {exc}{looks_like(path)}; get the model again"
            ) from exc
    for key, shape in _expected(numbers):
        if shapes.get(key) != shape:
            got = f"have {shapes[key]}" if key in shapes else "lack it"
            raise ModelError(
                f"model folder {str(folder)!r}: {CONFIG} asks for a tensor {key!r} of shape"
                f" {shape}, and the weights {got}; they do not belong"
                " together: get the model again"
            )


def _expected(numbers: dict[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and shape of each tensor of transformers' CLIPModel, the largest first."""
    dimension = numbers["projection_dim"]
    patch = numbers["vision_config.patch_size"]
    patches = (numbers["vision_config.image_size"] // patch) ** 2
    text, vision = numbers["text_config.hidden_size"], numbers["vision_config.hidden_size"]
    yield "text_projection.weight", (dimension, text)
    yield "visual_projection.weight", (dimension, vision)
    words = "text_model.embeddings"
    yield f"{words}.token_embedding.weight", (numbers["text_config.vocab_size"], text)
    positions = numbers["text_config.max_position_embeddings"]
    yield f"{words}.position_embedding.weight", (positions, text)
    pixels = "vision_model.embeddings"
    yield f"{pixels}.class_embedding", (vision,)
    yield f"{pixels}.patch_embedding.weight", (vision, 3, patch, patch)
    yield f"{pixels}.position_embedding.weight", (patches + 1, vision)
    yield from _layer_norm("text_model.final_layer_norm", text)
    for name in ("vision_model.pre_layrnorm", "vision_model.post_layernorm"):
        yield from _layer_norm(name, vision)
    for tower, part in (("text_model", "text_config"), ("vision_model", "vision_config")):
        width, inner = numbers[f"{part}.hidden_size"], numbers[f"{part}.intermediate_size"]
        for number in range(numbers[f"{part}.num_hidden_layers"]):
            layer = f"{tower}.encoder.layers.{number}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                yield f"{layer}.self_attn.{name}.weight", (width, width)
                yield f"{layer}.self_attn.{name}.bias", (width,)
            yield f"{layer}.mlp.fc1.weight", (inner, width)
            yield f"{layer}.mlp.fc1.bias", (inner,)
            yield f"{layer}.mlp.fc2.weight", (width, inner)
            yield f"{layer}.mlp.fc2.bias", (width,)
            yield from _layer_norm(f"{layer}.layer_norm1", width)
            yield from _layer_norm(f"{layer}.layer_norm2", width)


def _layer_norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _check_words(folder: Path, vocabulary: int) -> None:
    """Check that the tokenizer can be read, and has no token beyond the model's vocabulary."""
    require_tokenizer(folder)
    file = folder / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        try:
            numbers = list(Tokenizer.from_file(str(file)).get_vocab(True).values())
        except Exception as exc:  # the library raises Exception itself
            raise ModelError(
                f"model folder {str(folder)!r}: its tokenizer {file.name} cannot be read:"
                f" {clip(str(exc))}; get the model again"
            ) from exc
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


def _check_activation(folder: Path, part: str, name: Any) -> None:
    if not isinstance(name, str) or not (name in _ACTIVATIONS or _is_activation(name)):
        some = ", ".join(sorted(_ACTIVATIONS))
        raise _wrong(folder, f"{part}.hidden_act", name, f"one that transformers has: {some} …")


def _is_activation(name: str) -> bool:
    try:
        from transformers.activations import ACT2FN
    except ImportError:
        return False
    return name in ACT2FN


def _part(folder: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    # Old folders repeat a part under another name, which wins.
    for each in (name, f"{name}_dict"):
        part = config.get(each) or {}
        if not isinstance(part, dict):
            raise _wrong(folder, each, part, "a JSON object")
        parts.update(part)
    return parts


def _whole(
    folder: Path, settings: dict[str, Any], prefix: str, name: str, default: int, most: int
) -> int:
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _wrong(folder, prefix + name, value, f"a whole number from 1 to {most:,}")
    return value


def _wrong(folder: Path, name: str, value: Any, expected: str) -> ModelError:
    return ModelError(
        f"{str(folder / CONFIG)!r}: {name} is {clip(value)}; expected {expected};"
        " correct it, or get the model again"
    )
