"""Chinese-CLIP: CLIP's image tower beside a BERT of Chinese words.

A text's answer stands at its first token and goes through a projection.
Source: https://arxiv.org/abs/2211.01335
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..numbers import wrong_number
from .protocol import (
    DIMENSION_LIMIT,
    Family,
    ImageContract,
    Numbers,
    Shape,
    Whole,
    image_numbers,
    tower_numbers,
)
from .tensors import bert_tower, clip_image_tower, projections

# As in training.
_MAX_TOKENS = 52


class ChineseClip(Family):
    """Chinese-CLIP."""

    model_type = "chinese_clip"
    title = "Chinese-CLIP"
    base = "chineseclip"
    config_class = "ChineseCLIPConfig"
    model_class = "ChineseCLIPModel"
    tokenizer_sets = (("tokenizer.json",), ("vocab.txt",))
    tokenizer_files = (*Family.tokenizer_files, "vocab.txt")
    images = ImageContract(makes="ChineseCLIP")
    numbers: Mapping[str, tuple[Whole, ...]] = {
        "": (Whole("projection_dim", 512, DIMENSION_LIMIT),),
        "text_config": (
            *tower_numbers(768, 3072, 12, 12),
            Whole("vocab_size", 30_522, 1 << 24),
            Whole("max_position_embeddings", 512, 1 << 16, 3),
            Whole("type_vocab_size", 2, 1 << 12),
            Whole("pad_token_id", 0, 1 << 24, 0),
        ),
        "vision_config": (*tower_numbers(768, 3072, 12, 12), *image_numbers(32)),
    }
    ignored = ("position_ids", "token_type_ids", ".pooler.dense.weight", ".pooler.dense.bias")

    def dimension(self, numbers: Numbers) -> int:
        return numbers["projection_dim"]

    def max_tokens(self, numbers: Numbers) -> int:
        return min(_MAX_TOKENS, numbers["text_config.max_position_embeddings"])

    def tensors(self, numbers: Numbers) -> Iterator[tuple[str, Shape]]:
        yield from projections(numbers, numbers["text_config.hidden_size"])
        yield from bert_tower("text_model", numbers)
        yield from clip_image_tower(numbers)

    def check(self, folder: Path, config: dict[str, Any], numbers: Numbers) -> None:
        padding, words = numbers["text_config.pad_token_id"], numbers["text_config.vocab_size"]
        if padding >= words:
            name = "text_config.pad_token_id"
            raise wrong_number(folder, name, padding, f"a token's number, less than {words}")


FAMILY = ChineseClip()
