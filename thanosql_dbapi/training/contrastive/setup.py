"""All that a training of a model needs; for a CLIP from nothing, it is made here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from .aid import MOST_WORDS, make_naming
from .batches import Sampler
from .course import Plan
from .judging import Judge
from .learner import Learner, Rates
from .pairs import Pairs, Places, common_words
from .tokenizer import learn_merges, make_tokenizer, tokenize_with
from .towers import ClipTowers, Size, clip_config, make_clip

LEAST_TOKENS, MOST_TOKENS = 16, 77
"""Tokens of a text that the model reads: as many as the longest caption has, within these."""
_RATE = 2e-3
_MUON_TIMES = 10  # Muon's rate by AdamW's


@dataclass(frozen=True, eq=False)
class Setup:
    """A model, about to be trained.

    Attributes:
        model: The model, a module.
        tokenizer: Its tokenizer.
        learner: What takes the steps.
        sampler: Draws the batches.
        judge: Judges the model.
        trained_on: Number of pictures it is trained on.
        held_out: Number of pictures it is judged on.
        is_trained: Whether the model was trained before: so it is judged before it learns, too.
    """

    model: Any
    tokenizer: Any
    learner: Learner
    sampler: Sampler
    judge: Judge
    trained_on: int
    held_out: int
    is_trained: bool = False

    def plan(self, epochs: int, max_seconds: float | None) -> Plan:
        """Return the plan of so many epochs, or as many as the time allows."""
        looks_first = self.is_trained and self.held_out > 0
        return Plan.of(epochs, self.sampler.steps_per_epoch, max_seconds, looks_first=looks_first)


def from_nothing(
    size: Size,
    pairs: Pairs,
    *,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    validate: float = 0.1,
    seed: int = 0,
    device: str = "cpu",
) -> Setup:
    """Make an untrained CLIP with a tokenizer of its own.

    Args:
        size: Its size.
        pairs: What it is going to be trained and judged on.
        batch_size: Pictures a step; None is the size's.
        learning_rate: Peak rate of AdamW, Muon's is ten times that; None is the default.
        validate: Share of the pictures held out, 0 to less than 1.
        seed: Decides the first weights and everything random.
        device: Where it is trained.
    """
    trained, held = pairs.split(validate, seed)
    merges = learn_merges(pairs.captions, size.merges)
    longest = max(map(len, make_tokenizer(merges, 1 << 20)(list(pairs.captions)).input_ids))
    most_tokens = min(MOST_TOKENS, max(LEAST_TOKENS, longest))
    tokenizer = make_tokenizer(merges, most_tokens)
    model = make_clip(clip_config(size, len(tokenizer), most_tokens), seed).to(device)
    words, aid = _naming(pairs, trained, size.width, seed, device)
    rate = learning_rate or _RATE
    learner = Learner(model, ClipTowers(model), Rates(adam=rate, muon=_MUON_TIMES * rate), aid=aid)
    sampler = Sampler(
        pairs,
        trained,
        tokenize_with(tokenizer),
        size.preparation,
        batch_size=batch_size or size.batch,
        seed=seed,
        device=device,
        words=words,
    )
    judge = Judge(pairs, held, sampler)
    return Setup(model, tokenizer, learner, sampler, judge, len(trained), len(held))


def _naming(
    pairs: Pairs, trained: Places, width: int, seed: int, device: str
) -> tuple[list[str], Any]:
    """Return the words that the image tower is to name, and the aid; none where there are none."""
    import torch

    own = [pairs.words[picture] for picture in trained.tolist()]
    words = common_words(own, MOST_WORDS)
    if not words:
        return [], None
    counts = Counter(word for each in own for word in each)
    shares = np.array([counts[word] / len(own) for word in words], np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return words, make_naming(width, shares).to(device)
