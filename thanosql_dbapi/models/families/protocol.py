"""What a family of models is to the driver: its configuration, towers, tokenizer and images.

A family is a subclass of ``Family`` in a module of its own. What it does not say is CLIP's: two
towers side by side, each a transformer, whose vectors are compared by their cosine. Nothing here
imports torch or transformers until a tower is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, clip
from ..files import CONFIG, refuse_links

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]
Numbers = Mapping[str, int]

BICUBIC = 3
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
DIMENSION_LIMIT = 1 << 16
TEXT, IMAGE = "text", "image"


@dataclass(frozen=True)
class Whole:
    """A whole number of a configuration.

    Attributes:
        name: Its name in ``config.json``.
        default: What transformers takes where it is missing.
        most: The largest that makes sense: far above any real model's, far below what a machine
            chokes on.
        least: The smallest.
    """

    name: str
    default: int
    most: int
    least: int = 1


@dataclass(frozen=True)
class ImageContract:
    """What a family's image processor does where its settings say nothing.

    Attributes:
        makes: How the names of its classes in transformers begin.
        crops: Whether it cuts out the middle.
        mean: Mean of each colour.
        std: Deviation of each colour.
        side_px: The side that images are brought to.
        resample: Pillow's number of the filter.
    """

    makes: str = "CLIP"
    crops: bool = True
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    side_px: int = 224
    resample: int = BICUBIC


def tower_numbers(width: int, inner: int, layers: int, heads: int) -> tuple[Whole, ...]:
    """Return the numbers that every tower has, with a family's defaults."""
    return (
        Whole("hidden_size", width, 1 << 16),
        Whole("intermediate_size", inner, 1 << 18),
        Whole("num_hidden_layers", layers, 1000),
        Whole("num_attention_heads", heads, 1 << 12),
    )


def image_numbers(patch: int) -> tuple[Whole, ...]:
    """Return the numbers of what an image tower sees."""
    return (
        Whole("image_size", 224, 1 << 13),
        Whole("patch_size", patch, 1 << 13),
        Whole("num_channels", 3, 3),
    )


class Family:
    """One family of models, chosen by ``model_type`` in ``config.json``.

    Attributes:
        model_type: What ``config.json`` calls it.
        title: What people call it.
        base: The base algorithm: the end of a vector column's name.
        config_class: transformers' class of the configuration.
        model_class: transformers' class of both towers together, whose weights a folder has.
        tokenizer_sets: A folder must have all files of one of these.
        tokenizer_files: Every file that may decide a text's tokens; part of the fingerprint.
        images: What its image processor does.
        numbers: The whole numbers of the configuration, by its parts; ``""`` is the whole.
        ignored: How the names of tensors end that older checkpoints have beyond the model's.
        parts: The modules of the whole model that the text tower consists of, and the image tower.
        heads: The last layer of each tower, a linear map onto its vectors; a tower may have none.
    """

    model_type: str
    title: str
    base: str
    config_class: str
    model_class: str
    tokenizer_sets: tuple[tuple[str, ...], ...] = (("tokenizer.json",),)
    tokenizer_files: tuple[str, ...] = (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    )
    images: ImageContract = ImageContract()
    numbers: Mapping[str, tuple[Whole, ...]]
    ignored: tuple[str, ...] = ("position_ids",)
    parts: Mapping[str, tuple[str, ...]] = {
        TEXT: ("text_model", "text_projection"),
        IMAGE: ("vision_model", "visual_projection"),
    }
    heads: Mapping[str, str] = {TEXT: "text_projection", IMAGE: "visual_projection"}

    def base_of(self, folder: Path) -> str:
        """Return the base algorithm of one model; most families have one alone."""
        return self.base

    # The configuration.

    def dimension(self, numbers: Numbers) -> int:
        """Return the length of the vectors."""
        raise NotImplementedError

    def max_tokens(self, numbers: Numbers) -> int:
        """Return how many tokens of a text the model reads, begin and end included."""
        raise NotImplementedError

    def tensors(self, numbers: Numbers) -> Iterator[tuple[str, Shape]]:
        """Yield the name and shape of each tensor that a folder's weights must have."""
        raise NotImplementedError

    def known_name(self, name: str) -> str:
        """Return a tensor's name as ``tensors`` has it, where versions of transformers differ."""
        return name

    def check(self, folder: Path, config: dict[str, Any], numbers: Numbers) -> None:
        """Check what else must hold of a configuration whose numbers are within bounds.

        Raises:
            ModelError: Something does not.
        """

    def settle(self, config: Any) -> None:
        """Change transformers' configuration before a tower is built from it."""

    # The towers.

    def build(self, config: Any, kind: str) -> Any:
        """Return one tower, on torch's current device, its tensors named as in the folder.

        Args:
            config: transformers' configuration.
            kind: ``TEXT`` or ``IMAGE``.
        """
        import transformers

        model = getattr(transformers, self.model_class)(config)
        kept = self.parts[kind]
        for name, _ in [*model.named_children(), *model.named_parameters(recurse=False)]:
            if name not in kept:
                delattr(model, name)
        return model

    def vectors(self, tower: Any, kind: str, inputs: Mapping[str, Any]) -> Any:
        """Return the vectors that transformers' own method gives, as a tensor (n, dimension)."""
        found = getattr(tower, f"get_{kind}_features")(**inputs)
        # transformers 4 gives the tensor, 5 an object that has it.
        return getattr(found, "pooler_output", found)

    # Texts.

    def load_tokenizer(self, folder: Path) -> Any:
        """Return the folder's tokenizer as transformers loads it, without code of the folder."""
        from transformers import AutoTokenizer

        refuse_links(folder)
        return AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )

    def check_tokenizer(self, folder: Path, config: Any, tokenizer: Any) -> None:
        """Check that a tokenizer makes what the text tower reads.

        Raises:
            ModelError: It does not.
        """

    def tokens(self, tokenizer: Any, texts: list[str], most: int) -> Mapping[str, Any]:
        """Return the inputs of the text tower for some texts.

        Args:
            tokenizer: The folder's.
            texts: The texts.
            most: ``max_tokens``; what goes beyond is cut off.
        """
        found = tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=most,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    # Texts without torch.

    def computes_text(self, config: Mapping[str, Any]) -> bool:
        """Return whether :meth:`text_vectors` can compute what a configuration asks for.

        Args:
            config: What ``config.json`` says.
        """
        return False

    def text_vectors(
        self,
        config: Mapping[str, Any],
        numbers: Numbers,
        read: Callable[[str, Sequence[int] | None], NDArray[np.float32]],
        texts: Sequence[Sequence[int]],
    ) -> NDArray[np.float32] | None:
        """Return the vectors of texts by numpy alone, not normalised.

        Args:
            config: What ``config.json`` says.
            numbers: Its whole numbers.
            read: Gives a tensor of the folder, or some of its rows, in float32.
            texts: The tokens of each, begin and end included; one or more.

        Returns:
            float32 array (n, dimension); None leaves it to torch.
        """
        return None

    def as_tokenized(self, text: str) -> str:
        """Return a text as it reaches ``tokenizer.json``."""
        return text


def ends_text(folder: Path, tokenizer: Any, end: Any, *, is_first: bool = False) -> None:
    """Check that a tokenizer puts the token at which, or before which, a tower reads its answer.

    Args:
        folder: The model's folder.
        tokenizer: Its tokenizer.
        end: ``text_config.eos_token_id``; ``bos_token_id`` where ``is_first``.
        is_first: Whether the token is the first instead.

    Raises:
        ModelError: It puts another.
    """
    tokens = tokenizer("")["input_ids"]
    if end in tokens:
        return
    verb, name = ("begins", "bos_token_id") if is_first else ("ends", "eos_token_id")
    got = tokens[0 if is_first else -1] if tokens else None
    raise ModelError(
        f"model {str(folder)!r}: its tokenizer {verb} a text with token {clip(got)}, but"
        f" text_config.{name} in {CONFIG} is {end!r}; make them agree, else all texts get one"
        " vector"
    )
