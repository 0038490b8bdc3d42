"""Makes the model's tokenizer: lower-casing byte-level BPE over the captions, CLIP's own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .captions import say
from .world import lot, sample_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TOKENS = 40
START, END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 640


def make_tokenizer(seed: int) -> Any:
    """Learn merges from sampled captions.

    Every byte stands in the vocabulary, inside a word and at its end, so that any text in any
    script is tokenised and none becomes the unknown token (which in CLIP's is the end token).

    Args:
        seed: which captions are sampled.

    Returns:
        A transformers CLIPTokenizer whose end token is the highest id, never 2.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=512 + _MERGES, end_of_word_suffix="</w>", show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator(_captions(seed), trainer)
    import json

    learnt = json.loads(learner.to_str())["model"]["merges"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(m) for m in merges)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*words, START, END]))}
    # its stub says list[str]; the class wants pairs
    kind: Any = CLIPTokenizer
    return kind(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def _captions(seed: int) -> Iterator[str]:
    for index in range(20_000):
        yield say(sample_scene(seed, index), lot(seed, index, "tokens"))[0]
