"""Makes the model's tokenizer: lower-casing byte-level BPE over the captions, CLIP's own kind.

It is one for both languages. Their letters share no byte, so the Korean merges are learnt by
themselves and change nothing in how English is split.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .captions import say
from .chatter import chatter_korean
from .korean import say_korean
from .world import lot, sample_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TOKENS = 40
START, END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 640
_KOREAN_MERGES = 400


def make_tokenizer(seed: int, *, korean: bool = False) -> Any:
    """Learn merges from sampled captions.

    Every byte stands in the vocabulary, inside a word and at its end, so that any text in any
    script is tokenised and none becomes the unknown token (which in CLIP's is the end token).

    Args:
        seed: which captions are sampled.
        korean: merges of Korean follow those of English.

    Returns:
        A transformers CLIPTokenizer whose end token is the highest id, never 2.
    """
    from tokenizers import Regex, pre_tokenizers
    from transformers import CLIPTokenizer

    merges = _merges(_captions(seed), _MERGES, pre_tokenizers.Whitespace())
    if korean:
        hangul = pre_tokenizers.Split(Regex("[가-힣]+"), "removed", invert=True)
        merges += _merges(_korean_captions(seed), _KOREAN_MERGES, hangul)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(m) for m in merges)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*words, START, END]))}
    # its stub says list[str]; the class wants pairs
    kind: Any = CLIPTokenizer
    return kind(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def _merges(captions: Iterator[str], most: int, words: Any) -> list[tuple[str, ...]]:
    """Learn at most so many merges of the captions' words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=512 + most, end_of_word_suffix="</w>", show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator(captions, trainer)
    learnt = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt]


def _captions(seed: int) -> Iterator[str]:
    for index in range(20_000):
        yield say(sample_scene(seed, index), lot(seed, index, "tokens"))[0]


def _korean_captions(seed: int) -> Iterator[str]:
    for index in range(20_000):
        rng = lot(seed, index, "korean tokens")
        yield chatter_korean(say_korean(sample_scene(seed, index), rng)[0], rng)
