"""Judges a model in training: do captions find the pictures that were held out?"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .batches import Sampler
from .learner import Learner, not_finite
from .loss import contrast
from .pairs import Pairs, Places, fitting, some_words

if TYPE_CHECKING:
    import torch

_MOST_JUDGED = 2000
_TRIED = 8  # pictures that show whether a model gives numbers, where none is held out
_SCALES = tuple(4 * 2 ** (n / 2) for n in range(13))  # 4 to 256, 1 over the temperatures tried
_EMBEDDED = 256  # pictures, or captions, that are embedded at once


class Recall(NamedTuple):
    """How often a caption held out finds its picture, or one with the very same caption.

    Attributes:
        at_1: Share of the captions whose first picture is right, 0 to 1.
        at_5: Share of those with a right one among the first five.
        loss: The contrast of all pairs held out, at the temperature at which it is least: how far
            the right pictures stand out. It tells apart what has the same recall.
        precision: Of captions in part, such as "a black cat", the share of right pictures among
            the first five, or of those that there are. Whole captions tell pictures apart by a
            few of their words, and a recall of them is soon as high as it can be.
    """

    at_1: float
    at_5: float
    loss: float = 0.0
    precision: float = 0.0

    @property
    def worth(self) -> tuple[float, float]:
        """What is larger for the better of two models."""
        return self.at_1 + self.at_5 + self.precision, -self.loss


class Judge:
    """Judges a model on pictures held out, by whether their captions find them.

    Where none is held out, some that were learnt from show whether it gives numbers at all.

    Args:
        pairs: The pictures and captions.
        places: The pictures held out; of many, every nth is taken.
        sampler: Makes of pictures and captions what the towers take.
    """

    def __init__(self, pairs: Pairs, places: Places, sampler: Sampler) -> None:
        self._is_held_out = len(places) > 0
        self._places = (
            places[:: -(-len(places) // _MOST_JUDGED)]
            if self._is_held_out
            else np.arange(min(_TRIED, len(pairs.pixels)))
        )
        self._pairs, self._sampler = pairs, sampler
        self._texts = [pairs.captions[pairs.of_picture[place][0]] for place in self._places]
        rng = random.Random(len(self._texts))
        self._parts = [some_words(text, rng) for text in self._texts]
        self._fits = fitting(self._parts, pairs.said_of(self._places))

    def recall(self, learner: Learner) -> Recall | None:
        """Return how good the model is now, or None where nothing was held out.

        Raises:
            OperationalError: Its vectors are not finite.
        """
        import torch

        sampler, towers = self._sampler, learner.towers
        some = [slice(at, at + _EMBEDDED) for at in range(0, len(self._texts), _EMBEDDED)]
        with torch.no_grad(), learner.precision():
            images = torch.cat(
                [towers.images(sampler.pictures(self._places[at]))[1].float() for at in some]
            )
            texts, parts = (
                torch.cat([towers.texts(sampler.tokens(each[at])).float() for at in some])
                for each in (self._texts, self._parts)
            )
        # Too large a vector has no length in float32, and stands for no direction.
        lengths = torch.cat([images, texts, parts]).norm(dim=-1)
        if not (lengths.isfinite() & (lengths > 0)).all():
            raise not_finite(learner.steps)
        found = recall(texts, images, self._texts)
        if not self._is_held_out:
            return None
        return found._replace(precision=precision(parts, images, self._fits))


def recall(texts: torch.Tensor, images: torch.Tensor, captions: list[str]) -> Recall:
    """Return how often a caption finds its picture, or another with the same caption.

    Args:
        texts: Float tensor (n, dimension), the captions' vectors of any length.
        images: Float tensor (n, dimension), row i is the picture of ``captions[i]``.
        captions: The captions.
    """
    import torch
    from torch.nn.functional import normalize

    near = normalize(texts, dim=-1) @ normalize(images, dim=-1).T
    best = near.topk(min(5, len(captions)), dim=1).indices.cpu().numpy()
    codes: dict[str, int] = {}
    own = np.array([codes.setdefault(caption, len(codes)) for caption in captions])
    right = own[best] == own[:, None]
    fits = torch.from_numpy((own[:, None] == own).astype(np.float32)).to(near.device)
    # At the model's own temperature, a change of that alone would look like a gain or a loss.
    loss = min(contrast(scale * near, fits).item() for scale in _SCALES)
    return Recall(float(right[:, 0].mean()), float(right.any(1).mean()), loss)


def precision(texts: torch.Tensor, images: torch.Tensor, fits: NDArray[np.float32]) -> float:
    """Return how many of the first five pictures are right, or of those that can be.

    Args:
        texts: Float tensor (n, dimension), the captions' vectors of any length.
        images: Float tensor (m, dimension), the pictures'.
        fits: float32 array (n, m), 1 where a caption is true of a picture; each is of one.

    Returns:
        The mean over the captions, 0 to 1.
    """
    from torch.nn.functional import normalize

    near = normalize(texts, dim=-1) @ normalize(images, dim=-1).T
    best = near.topk(min(5, near.shape[1]), dim=1).indices.cpu().numpy()
    right = np.take_along_axis(fits, best, axis=1).sum(1)
    return float((right / np.minimum(fits.sum(1), best.shape[1])).mean())
