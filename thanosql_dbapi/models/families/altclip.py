"""AltCLIP: CLIP's image tower, and a text tower of XLM-RoBERTa that was taught to agree with it.

A text's answer stands at its first token, goes through a transformation and then a projection.
Source: https://arxiv.org/abs/2211.06679
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..numbers import wrong_number
from .protocol import (
    DIMENSION_LIMIT,
    Family,
    Numbers,
    Shape,
    Whole,
    ends_text,
    image_numbers,
    tower_numbers,
)
from .tensors import bert_tower, clip_image_tower, layer_norm, linear, projections

# As long as the texts of CLIP, whose text tower it was taught by.
_MAX_TOKENS = 77


class AltClip(Family):
    """AltCLIP, of two, nine and eighteen languages."""

    model_type = "altclip"
    title = "AltCLIP"
    base = "altclip"
    config_class = "AltCLIPConfig"
    model_class = "AltCLIPModel"
    tokenizer_sets = (("tokenizer.json",), ("sentencepiece.bpe.model",))
    tokenizer_files = (*Family.tokenizer_files, "sentencepiece.bpe.model")
    numbers: Mapping[str, tuple[Whole, ...]] = {
        "": (Whole("projection_dim", 768, DIMENSION_LIMIT),),
        "text_config": (
            *tower_numbers(1024, 4096, 24, 16),
            Whole("vocab_size", 250_002, 1 << 24),
            Whole("max_position_embeddings", 514, 1 << 16),
            Whole("type_vocab_size", 1, 1 << 12),
            Whole("project_dim", 768, DIMENSION_LIMIT),
            Whole("pad_token_id", 1, 1 << 24, 0),
        ),
        "vision_config": (*tower_numbers(768, 3072, 12, 12), *image_numbers(32)),
    }
    ignored = ("position_ids", "token_type_ids", ".pooler.dense.weight", ".pooler.dense.bias")

    def dimension(self, numbers: Numbers) -> int:
        return numbers["projection_dim"]

    def max_tokens(self, numbers: Numbers) -> int:
        # Places are counted from the one after the padding token's number.
        first = numbers["text_config.pad_token_id"] + 1
        return min(_MAX_TOKENS, numbers["text_config.max_position_embeddings"] - first)

    def tensors(self, numbers: Numbers) -> Iterator[tuple[str, Shape]]:
        width, made = numbers["text_config.hidden_size"], numbers["text_config.project_dim"]
        yield from projections(numbers, made)
        yield from bert_tower("text_model.roberta", numbers)
        yield from layer_norm("text_model.pre_LN", width)
        yield from linear("text_model.transformation", width, made)
        for name, shape in clip_image_tower(numbers):
            yield self.known_name(name), shape

    def known_name(self, name: str) -> str:
        # transformers 4 and the hub's files say ``layer`` in the text tower and ``layers`` in the
        # other; transformers 5 has ``layers`` in both, and writes ``layer`` for both.
        return name.replace(".encoder.layers.", ".encoder.layer.")

    def check(self, folder: Path, config: dict[str, Any], numbers: Numbers) -> None:
        padding, words = numbers["text_config.pad_token_id"], numbers["text_config.vocab_size"]
        if padding >= words:
            name = "text_config.pad_token_id"
            raise wrong_number(folder, name, padding, f"a token's number, less than {words}")
        if self.max_tokens(numbers) < 3:
            name = "text_config.max_position_embeddings"
            least = f"{padding + 4} or more, for pad_token_id {padding}"
            raise wrong_number(folder, name, numbers[name], least)

    def check_tokenizer(self, folder: Path, config: Any, tokenizer: Any) -> None:
        ends_text(folder, tokenizer, config.text_config.bos_token_id, is_first=True)


FAMILY = AltClip()
