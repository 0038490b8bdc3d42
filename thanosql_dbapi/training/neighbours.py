"""Which vectors lie close together, and which lie apart: all pairs, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .linear import Floats

    Doubles = NDArray[np.float64]
    Places = NDArray[np.int64]
    Compare = Callable[[Floats, Floats], Doubles]

_CELLS = 1 << 24  # similarities held at once
_ROWS = 256  # whose pairs are looked at together: a million at most with a block of 4,096
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


def unit_rows(vectors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return vectors at unit length, and which of them have a direction.

    Args:
        vectors: float32 array (n, dimension) of any lengths, not finite ones included.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    has_direction = np.isfinite(lengths) & (lengths > 0)
    lengths[~has_direction] = 1.0
    with np.errstate(invalid="ignore"):
        unit: Floats = (vectors / lengths[:, None]).astype(np.float32)
    unit[~has_direction] = 0.0
    return unit, has_direction


@dataclass(eq=False)
class Nearest:
    """The most similar rows of a source for each of some rows; the source comes in blocks.

    A product of float32 matrices says which pairs can be among the best. ``compare`` says how
    similar these are: only its numbers decide, and of equal ones the row that came first.

    Attributes:
        vectors: float32 array (n, dimension), of any lengths.
        count: How many of the most similar are wanted, >= 1.
        slack: What the product of two unit vectors can differ by from what ``compare`` says.
        compare: Gives the similarity of rows of one array to those of another, NaN for none.
        groups: int64 array (n,), or None. A row has no pair with a source row of its own group.
        ids: int64 array (n, count): the source rows, most similar first.
        values: float64 array (n, count): their similarities; -inf where there are fewer.
    """

    vectors: Floats
    count: int
    slack: float
    compare: Compare
    groups: Places | None = None
    ids: Places = field(init=False)
    values: Doubles = field(init=False)

    def __post_init__(self) -> None:
        self.ids = np.zeros((len(self.vectors), self.count), np.int64)
        self.values = np.full((len(self.vectors), self.count), -np.inf)
        self._unit, self._has_direction = unit_rows(self.vectors)

    def add(self, ids: Places, vectors: Floats, groups: Places | None = None) -> None:
        """Look at a block of the source.

        Args:
            ids: int64 array (m,): what its rows are called.
            vectors: float32 array (m, dimension), of any lengths.
            groups: int64 array (m,), where the rows have groups.
        """
        unit, has_direction = unit_rows(vectors)
        products = self._unit @ unit.T
        products[:, ~has_direction] = -np.inf
        products[~self._has_direction] = -np.inf
        if groups is not None and self.groups is not None:
            products[self.groups[:, None] == groups] = -np.inf
        floor = self._floor(products)
        for begin in range(0, len(products), _ROWS):
            some = slice(begin, begin + _ROWS)
            rows, columns = np.nonzero(products[some] >= floor[some, None])
            if len(rows):
                rows += begin
                values = self.compare(self.vectors[rows], vectors[columns])
                self._merge(rows, ids[columns], values)

    def _floor(self, products: Floats) -> Floats:
        """Return what the product of a pair must reach at least, float32 array (n,)."""
        worst = self.values[:, -1] - self.slack
        if products.shape[1] >= self.count and np.isneginf(worst).any():
            own = np.partition(products, -self.count, axis=1)[:, -self.count]
            worst = np.maximum(worst, own - 2 * self.slack)
        # A product of -inf is no pair. Rounded to float32, the floor must not rise.
        floor: Floats = np.nextafter(np.maximum(worst, -2.0).astype(np.float32), np.float32(-3))
        return floor

    def _merge(self, rows: Places, ids: Places, values: Doubles) -> None:
        """Put pairs in their places; they come in the order of the source for each row."""
        is_known = ~np.isnan(values)
        rows, ids, values = rows[is_known], ids[is_known], values[is_known]
        affected = np.unique(rows)
        all_rows = np.concatenate([np.repeat(affected, self.count), rows])
        all_ids = np.concatenate([self.ids[affected].ravel(), ids])
        all_values = np.concatenate([self.values[affected].ravel(), values])
        order = np.lexsort((-all_values, all_rows))  # stable: what was there before goes first
        sorted_rows = all_rows[order]
        starts = np.searchsorted(sorted_rows, affected)
        best = order[starts[:, None] + np.arange(self.count)]
        self.ids[affected], self.values[affected] = all_ids[best], all_values[best]
