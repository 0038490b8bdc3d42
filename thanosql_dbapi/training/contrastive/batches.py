"""Draws the batches of a training. The seed and a step's number alone decide what is in one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...models.preprocessing import Preparation
from .aid import word_table
from .learner import Batch
from .pairs import Pairs, Places, fitting, some_words

if TYPE_CHECKING:
    import torch

Tokenize = Callable[[Sequence[str]], Mapping[str, "torch.Tensor"]]

_WHOLE = 0.2  # share of the captions that are read whole


class Sampler:
    """Draws pictures, each with one of its captions, or a part of it.

    Args:
        pairs: The pictures and captions.
        places: The pictures to draw from.
        tokenize: Returns what the text tower takes, on the CPU, each tensor (texts, tokens).
        preparation: The model's, for the range of its numbers.
        batch_size: Pictures a batch, at most.
        seed: Decides what is drawn.
        device: Where batches go.
        shortens: Whether some captions are read in part.
        mirrors: Whether half of the pictures are mirrored, but those whose captions name a side.
        words: The words that an aid hears of; none are no aid.
    """

    def __init__(
        self,
        pairs: Pairs,
        places: Places,
        tokenize: Tokenize,
        preparation: Preparation,
        *,
        batch_size: int,
        seed: int,
        device: str,
        shortens: bool = True,
        mirrors: bool = True,
        words: Sequence[str] = (),
    ) -> None:
        self.pairs, self.preparation, self._tokenize = pairs, preparation, tokenize
        self.seed, self.device = seed, device
        self.shortens, self.mirrors = shortens, mirrors
        self._places = places
        self._size = min(batch_size, len(places))
        self._width = len(words)
        self._told = word_table(pairs.words, words) if words else []
        # What is left over after whole batches has its turn in another epoch's order.
        self.steps_per_epoch = len(places) // self._size
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0, on the device."""
        epoch, part = divmod(step, self.steps_per_epoch)
        drawn = self._order(epoch)[part * self._size : (part + 1) * self._size]
        pictures = np.sort(drawn)
        rng = random.Random(f"{self.seed} {step}")
        whole = [self.pairs.captions[rng.choice(self.pairs.of_picture[p])] for p in pictures]
        said = [self._said(caption, rng) for caption in whole]
        fits = fitting(said, self.pairs.said_of(pictures))
        mirrored = [
            self.mirrors and rng.random() < 0.5 and not self.pairs.sided[picture]
            for picture in pictures
        ]
        return Batch(
            self.pictures(pictures, mirrored),
            self.tokens(said),
            _on(fits, self.device),
            _on(self._named(pictures), self.device) if self._told else None,
        )

    def pictures(self, pictures: Places, mirrored: Sequence[bool] = ()) -> torch.Tensor:
        """Return what the image tower takes of pictures, on the device.

        Args:
            pictures: Their places.
            mirrored: Whether each is mirrored; empty mirrors none.
        """
        pixels = self.pairs.pixels[pictures]
        for row in np.flatnonzero(mirrored):
            pixels[row] = pixels[row, :, ::-1].copy()
        return in_range(pixels, self.preparation, self.device)

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return what the text tower takes of texts, on the device."""
        return {name: each.to(self.device) for name, each in self._tokenize(texts).items()}

    def _said(self, caption: str, rng: random.Random) -> str:
        if not self.shortens or rng.random() < _WHOLE:
            return caption
        return some_words(caption, rng)

    def _shuffled(self, epoch: int) -> Places:
        return np.random.default_rng((self.seed, epoch)).permutation(self._places)

    def _named(self, pictures: Places) -> NDArray[np.uint8]:
        found = np.zeros((len(pictures), self._width), np.uint8)
        for row, picture in enumerate(pictures):
            found[row, self._told[picture]] = 1
        return found


def in_range(pixels: NDArray[np.uint8], preparation: Preparation, device: str) -> torch.Tensor:
    """Return a tensor (n, 3, height, width) in the model's range.

    Args:
        pixels: uint8 array (n, height, width, 3).
        preparation: The model's.
        device: Where it goes.
    """
    import torch

    values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device, non_blocking=True)
    values = values.permute(0, 3, 1, 2).float()
    shape = (1, 3, 1, 1)
    scale = torch.tensor(preparation.scale, device=device).view(shape)
    shift = torch.tensor(preparation.shift, device=device).view(shape)
    return values.mul_(scale).add_(shift)


def _on(values: NDArray[Any], device: str) -> torch.Tensor:
    import torch

    return torch.from_numpy(values).to(device)
