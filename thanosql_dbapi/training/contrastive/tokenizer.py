"""A tokenizer out of captions: lower-casing byte-level BPE, CLIP's own kind, for any script."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

START, END = "<|startoftext|>", "<|endoftext|>"
Merges = list[tuple[str, ...]]
# How CLIP's tokenizer cuts a text into words.
# Source: https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def learn_merges(captions: Iterable[str], most: int, words: Any = None) -> Merges:
    """Learn which pairs of pieces are merged.

    Args:
        captions: Texts.
        most: Most merges.
        words: The pre-tokenizer of ``tokenizers`` that finds words; None is CLIP's own.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = words or pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True)
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=512 + most, end_of_word_suffix="</w>", show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator(captions, trainer)
    learnt = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt]


def make_tokenizer(merges: Sequence[tuple[str, ...]], most_tokens: int) -> Any:
    """Return a transformers CLIPTokenizer with these merges.

    Every byte stands in the vocabulary, inside a word and at its end, so that any text in any
    script is tokenised and none becomes the unknown token (which in CLIP's is the end token).

    Args:
        merges: See :func:`learn_merges`.
        most_tokens: Tokens that the model reads of a text.

    Returns:
        A tokenizer whose end token is the highest id, never 2.
    """
    import transformers
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(m) for m in merges)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*words, START, END]))}
    # The files are what transformers 4 and 5 both read.
    with tempfile.TemporaryDirectory() as name:
        lines = ["#version: 0.2", *(" ".join(merge) for merge in merges), ""]
        vocab, rules = Path(name, "vocab.json"), Path(name, "merges.txt")
        vocab.write_text(json.dumps(vocabulary), encoding="utf-8")
        rules.write_text("\n".join(lines), encoding="utf-8")
        kind: Any = transformers  # 5 has one class of two names, and its stubs one
        return kind.CLIPTokenizerFast.from_pretrained(name, model_max_length=most_tokens)


def tokenize_with(tokenizer: Any) -> Callable[[Sequence[str]], dict[str, torch.Tensor]]:
    """Return what tokenises texts for the text tower; what it does not read of them is cut.

    CLIP's text tower is causal and its vector is that of the end token, so that padding behind
    does not count and no mask is needed.
    """

    def tokens(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        found = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        return {"input_ids": found.input_ids}

    return tokens
