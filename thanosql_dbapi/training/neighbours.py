"""Which vectors lie close together, and which lie apart: all pairs, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .linear import Floats

_CELLS = 1 << 24  # similarities held at once
_ROUNDING = 1e-6  # of a cosine in float32: a copy has one of 1, threshold=1 included


def duplicate_groups(vectors: Floats, threshold: float) -> list[list[int]]:
    """Return groups of rows, each row of which is like another one of its group.

    Args:
        vectors: float32 array (n, dimension), unit length.
        threshold: Least cosine of two rows that are alike, -1 to 1.

    Returns:
        The rows of each group in order, groups by their first row; rows like no other are in none.
    """
    group = np.arange(len(vectors))
    for first, similar in _blocks(vectors):
        for place, row in enumerate(similar >= threshold - _ROUNDING, start=first):
            alike = np.unique(group[row])
            if len(alike) > 1 or (len(alike) == 1 and alike[0] != group[place]):
                joined = np.union1d(alike, group[place])
                group[np.isin(group, joined)] = joined[0]
    order = np.argsort(group, kind="stable")
    starts = 1 + np.flatnonzero(np.diff(group[order]))
    parts = np.split(order, starts)
    return [part.tolist() for part in parts if len(part) > 1]


def outlier_scores(vectors: Floats, neighbours: int) -> NDArray[np.float64]:
    """Return how unlike its nearest others each row is: 1 less its mean cosine to them, 0 to 2.

    Args:
        vectors: float32 array (n, dimension), unit length, n of 2 or more.
        neighbours: How many others count, >= 1; all others where there are fewer.
    """
    count = min(neighbours, len(vectors) - 1)
    scores = np.empty(len(vectors))
    for first, similar in _blocks(vectors):
        rows = np.arange(len(similar))
        similar[rows, first + rows] = -np.inf  # itself
        nearest = np.partition(similar, -count, axis=1)[:, -count:]
        scores[first : first + len(similar)] = 1 - nearest.mean(axis=1, dtype=np.float64)
    return scores


def _blocks(vectors: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield the place of a row, and the cosines of it and some rows after it to all rows."""
    step = max(1, _CELLS // max(1, len(vectors)))
    for first in range(0, len(vectors), step):
        yield first, vectors[first : first + step] @ vectors.T
