"""CLIP: OpenAI's, and the many that others trained in its shape.

Source: https://arxiv.org/abs/2103.00020
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .clip_text import can_compute, text_vectors
from .protocol import (
    DIMENSION_LIMIT,
    TEXT,
    Family,
    Numbers,
    Shape,
    Whole,
    ends_text,
    image_numbers,
    tower_numbers,
)
from .tensors import clip_image_tower, clip_text_tower, projections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST_POSITIONS = 3  # the begin of a text, a token, its end
# The end token of checkpoints from before transformers 4.31: transformers looks for the highest
# token instead.
_OLD_END = 2


class Clip(Family):
    """CLIP."""

    model_type = "clip"
    title = "CLIP"
    base = "clipen"
    config_class = "CLIPConfig"
    model_class = "CLIPModel"
    tokenizer_sets: tuple[tuple[str, ...], ...] = (
        ("tokenizer.json",),
        ("vocab.json", "merges.txt"),
    )
    # What users' fingerprints were made of: in this order or another, never other names.
    tokenizer_files: tuple[str, ...] = (
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
    )
    numbers: Mapping[str, tuple[Whole, ...]] = {
        "": (Whole("projection_dim", 512, DIMENSION_LIMIT),),
        "text_config": (
            *tower_numbers(512, 2048, 12, 8),
            Whole("vocab_size", 49_408, 1 << 24),
            Whole("max_position_embeddings", 77, 1 << 16, _LEAST_POSITIONS),
        ),
        "vision_config": (*tower_numbers(768, 3072, 12, 12), *image_numbers(32)),
    }

    def dimension(self, numbers: Numbers) -> int:
        return numbers["projection_dim"]

    def max_tokens(self, numbers: Numbers) -> int:
        return numbers["text_config.max_position_embeddings"]

    def tensors(self, numbers: Numbers) -> Iterator[tuple[str, Shape]]:
        yield from projections(numbers, numbers["text_config.hidden_size"])
        yield from clip_text_tower(numbers)
        yield from clip_image_tower(numbers)

    def settle(self, config: Any) -> None:
        # Alone, a tower takes the length of its vectors from its own part of the configuration,
        # which many folders leave at 512; CLIPModel goes by the whole's.
        config.text_config.projection_dim = config.projection_dim
        config.vision_config.projection_dim = config.projection_dim

    def build(self, config: Any, kind: str) -> Any:
        # One tower alone is built in half the time of both.
        import transformers

        if kind == TEXT:
            return transformers.CLIPTextModelWithProjection(config.text_config)
        return transformers.CLIPVisionModelWithProjection(config.vision_config)

    def vectors(self, tower: Any, kind: str, inputs: Mapping[str, Any]) -> Any:
        return getattr(tower(**inputs), f"{kind}_embeds")

    def computes_text(self, config: Mapping[str, Any]) -> bool:
        return self.model_type == Clip.model_type and can_compute(_text_config(config))

    def text_vectors(
        self,
        config: Mapping[str, Any],
        numbers: Numbers,
        read: Callable[[str, Sequence[int] | None], NDArray[np.float32]],
        texts: Sequence[Sequence[int]],
    ) -> NDArray[np.float32] | None:
        return text_vectors(_text_config(config), numbers, read, texts)

    def check_tokenizer(self, folder: Path, config: Any, tokenizer: Any) -> None:
        if config.text_config.eos_token_id != _OLD_END:
            ends_text(folder, tokenizer, config.text_config.eos_token_id)


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("text_config")
    return found if isinstance(found, Mapping) else {}


FAMILY = Clip()
