"""Makes the model's tokenizer: lower-casing byte-level BPE over the captions, CLIP's own kind.

It is one for both languages. Their letters share no byte, so the Korean merges are learnt by
themselves and change nothing in how English is split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..training.contrastive.tokenizer import learn_merges
from ..training.contrastive.tokenizer import make_tokenizer as tokenizer_of
from .captions import say
from .chatter import chatter_korean
from .korean import say_korean
from .world import lot, sample_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TOKENS = 40
_MERGES = 640
_KOREAN_MERGES = 400


def make_tokenizer(seed: int, *, korean: bool = False) -> Any:
    """Learn merges from sampled captions.

    Args:
        seed: which captions are sampled.
        korean: merges of Korean follow those of English.

    Returns:
        A transformers CLIPTokenizer whose end token is the highest id, never 2.
    """
    from tokenizers import Regex, pre_tokenizers

    merges = learn_merges(_captions(seed), _MERGES, pre_tokenizers.Whitespace())
    if korean:
        hangul = pre_tokenizers.Split(Regex("[가-힣]+"), "removed", invert=True)
        merges += learn_merges(_korean_captions(seed), _KOREAN_MERGES, hangul)
    return tokenizer_of(merges, MAX_TOKENS)


def _captions(seed: int) -> Iterator[str]:
    for index in range(20_000):
        yield say(sample_scene(seed, index), lot(seed, index, "tokens"))[0]


def _korean_captions(seed: int) -> Iterator[str]:
    for index in range(20_000):
        rng = lot(seed, index, "korean tokens")
        yield chatter_korean(say_korean(sample_scene(seed, index), rng)[0], rng)
