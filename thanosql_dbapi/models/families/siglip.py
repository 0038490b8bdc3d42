"""SigLIP and SigLIP 2 of a fixed resolution, which share a model type.

A text is read at its last place, be it padding: every text is padded to the full length, as in
training, and no place is masked. There is no projection. SigLIP 2 was trained on texts in lower
case, and its tokenizer is Gemma's, which does not see to that.
Source: https://arxiv.org/abs/2303.15343, https://arxiv.org/abs/2502.14786
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ..files import (
    CONFIG,
    PROCESSOR,
    TOKENIZER,
    TOKENIZER_CONFIG,
    read_config,
    read_json,
    refuse_links,
)
from ..numbers import wrong_number
from .protocol import (
    DIMENSION_LIMIT,
    IMAGE,
    TEXT,
    Family,
    ImageContract,
    Numbers,
    Shape,
    Whole,
    image_numbers,
    tower_numbers,
)
from .tensors import clip_layers, layer_norm, linear

SPIECE = "spiece.model"
_GEMMA_WORDS = 256_000
_HALF = (0.5, 0.5, 0.5)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Siglip(Family):
    """SigLIP, and SigLIP 2 of a fixed resolution."""

    model_type = "siglip"
    title = "SigLIP"
    base = "siglip"
    config_class = "SiglipConfig"
    model_class = "SiglipModel"
    tokenizer_sets = (("tokenizer.json",), (SPIECE,), ("tokenizer.model",))
    tokenizer_files = (*Family.tokenizer_files, SPIECE, "tokenizer.model")
    images = ImageContract(makes="Siglip", crops=False, mean=_HALF, std=_HALF)
    numbers: Mapping[str, tuple[Whole, ...]] = {
        "text_config": (
            *tower_numbers(768, 3072, 12, 12),
            Whole("vocab_size", 32_000, 1 << 24),
            Whole("max_position_embeddings", 64, 1 << 16, 2),
        ),
        "vision_config": (*tower_numbers(768, 3072, 12, 12), *image_numbers(16)),
    }
    parts: Mapping[str, tuple[str, ...]] = {TEXT: ("text_model",), IMAGE: ("vision_model",)}
    heads: Mapping[str, str] = {TEXT: "text_model.head"}

    def base_of(self, folder: Path) -> str:
        return "siglip2" if _is_second(folder) else self.base

    def dimension(self, numbers: Numbers) -> int:
        return numbers["vision_config.hidden_size"]

    def max_tokens(self, numbers: Numbers) -> int:
        return numbers["text_config.max_position_embeddings"]

    def tensors(self, numbers: Numbers) -> Iterator[tuple[str, Shape]]:
        text, dimension = numbers["text_config.hidden_size"], self.dimension(numbers)
        words, inner = "text_model.embeddings", numbers["vision_config.intermediate_size"]
        yield f"{words}.token_embedding.weight", (numbers["text_config.vocab_size"], text)
        yield f"{words}.position_embedding.weight", (self.max_tokens(numbers), text)
        yield from linear("text_model.head", text, dimension)
        yield from layer_norm("text_model.final_layer_norm", text)
        yield from clip_layers("text_model", "text_config", numbers)
        patch = numbers["vision_config.patch_size"]
        patches = (numbers["vision_config.image_size"] // patch) ** 2
        pixels = "vision_model.embeddings"
        yield from linear_patches(f"{pixels}.patch_embedding", dimension, patch)
        yield f"{pixels}.position_embedding.weight", (patches, dimension)
        yield from layer_norm("vision_model.post_layernorm", dimension)
        yield from clip_layers("vision_model", "vision_config", numbers)
        head = "vision_model.head"
        yield f"{head}.probe", (1, 1, dimension)
        yield f"{head}.attention.in_proj_weight", (3 * dimension, dimension)
        yield f"{head}.attention.in_proj_bias", (3 * dimension,)
        yield from linear(f"{head}.attention.out_proj", dimension, dimension)
        yield from layer_norm(f"{head}.layernorm", dimension)
        yield from linear(f"{head}.mlp.fc1", dimension, inner)
        yield from linear(f"{head}.mlp.fc2", inner, dimension)

    def check(self, folder: Path, config: dict[str, Any], numbers: Numbers) -> None:
        text, vision = config.get("text_config") or {}, config.get("vision_config") or {}
        dimension = self.dimension(numbers)
        size = text.get("projection_size")
        size = numbers["text_config.hidden_size"] if size is None else size
        if isinstance(size, bool) or size != dimension or dimension > DIMENSION_LIMIT:
            name = "text_config.projection_size"
            expected = f"vision_config's hidden_size, {dimension}: one length for all vectors"
            raise wrong_number(folder, name, size, expected)
        if vision.get("vision_use_head", True) is not True:
            raise ModelError(
                f"{str(folder / CONFIG)!r}: vision_config.vision_use_head is not true; such a model"
                " makes no vector of a picture. Take one with the head, e.g. GET THANOSQL MODEL"
                " siglip2"
            )

    def load_tokenizer(self, folder: Path) -> Any:
        import transformers

        refuse_links(folder)
        where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        if _is_second(folder):
            make = getattr(transformers, "Siglip2Tokenizer", transformers.AutoTokenizer)
            # The class would pad on the left; the checkpoint knows on which side it was trained.
            side = _settings(folder).get("padding_side") or "right"
            return make.from_pretrained(str(folder), padding_side=side, **where)
        if (folder / TOKENIZER).is_file():
            # SiglipTokenizer needs sentencepiece. One folder must give the same vectors with it and
            # without, so it is left alone where it need not be had.
            return transformers.PreTrainedTokenizerFast.from_pretrained(str(folder), **where)
        try:
            return super().load_tokenizer(folder)
        except ImportError as exc:
            raise ModelError(
                f"model {str(folder)!r} has its tokenizer as {SPIECE} alone, which needs the"
                " packages sentencepiece and protobuf: pip install sentencepiece protobuf"
            ) from exc

    def check_tokenizer(self, folder: Path, config: Any, tokenizer: Any) -> None:
        tokens = tokenizer("a")["input_ids"]
        if tokenizer.eos_token_id is not None and tokens[-1:] == [tokenizer.eos_token_id]:
            return
        raise ModelError(
            f"model {str(folder)!r}: its tokenizer ends a text with another token than eos_token,"
            " with which the model was trained; get the model again"
        )

    def tokens(self, tokenizer: Any, texts: list[str], most: int) -> Mapping[str, Any]:
        lowers = type(tokenizer).__name__.startswith(("Siglip2", "Gemma"))
        clean = _lower if lowers else _canonical
        found = tokenizer(
            [clean(text) for text in texts],
            padding="max_length",
            truncation=True,
            max_length=most,
            return_tensors="pt",
        )
        return {"input_ids": found["input_ids"]}

    def as_tokenized(self, text: str) -> str:
        # Where each letter stays one letter, so that the place of a cut is right.
        lower = _lower(text)
        return lower if len(lower) == len(text) else text


def linear_patches(name: str, width: int, patch: int) -> Iterator[tuple[str, Shape]]:
    """Yield the tensors of a layer that makes numbers of patches of pixels, with its bias."""
    yield f"{name}.weight", (width, 3, patch, patch)
    yield f"{name}.bias", (width,)


def _settings(folder: Path) -> dict[str, Any]:
    if (folder / TOKENIZER_CONFIG).is_file():
        return read_json(folder, TOKENIZER_CONFIG)
    return {}


def _is_second(folder: Path) -> bool:
    """Return whether a model is SigLIP 2: its configuration does not say so, its tokenizer does."""
    made = str(_settings(folder).get("tokenizer_class", ""))
    if made.startswith(("Gemma", "Siglip2")):
        return True
    text = read_config(folder).get("text_config")
    if isinstance(text, dict) and text.get("vocab_size") == _GEMMA_WORDS:
        return True  # somebody has saved the tokenizer under another class
    if (folder / PROCESSOR).is_file():
        return str(read_json(folder, PROCESSOR).get("processor_class", "")).startswith("Siglip2")
    return False


def _lower(text: str) -> str:
    # Letter by letter, as the tokenizers library does it: str.lower looks at a letter's neighbours.
    return "".join(letter.lower() for letter in text)


def _canonical(text: str) -> str:
    """Return a text as SigLIP saw texts: lower case, no punctuation, single spaces.

    SiglipTokenizer does the same; the tokenizer.json that is read in its place may not.
    """
    return re.sub(r"\s+", " ", text.lower().translate(_WITHOUT_PUNCTUATION)).strip()


FAMILY = Siglip()
