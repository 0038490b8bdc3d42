"""sqlite-vec's cosine distance in numpy, for many vectors at once: the same bits, or not used.

An answer must not depend on the way it was found. ``vec_distance_cosine`` adds float32 products up,
one dimension after another, and divides in float64. numpy gives the very same number where it adds
in the same order, and a compiler may have joined a product and a sum into one rounding. So
:func:`is_exact` asks the function itself before any number of this module takes its place.

Source: ``distance_cosine_float`` of https://github.com/asg017/sqlite-vec
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .similarity import LONGEST, SHORTEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .database import Database

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

SIMILARITY = "SELECT max(-1.0, min(1.0, 1.0 - vec_distance_cosine(?, ?)))"
"""The similarity of two vectors, of lengths that float32 can square, by sqlite-vec."""

_ASKED_DIMENSIONS = (1, 7, 512)
_ASKED = 5
_PAIRS = 4096  # at once: 8 MB of products for 512 dimensions


@dataclass(frozen=True, eq=False)
class Wanted:
    """Vectors that rows are compared with, one row after another.

    Attributes:
        columns: float32 array (dimension, n), contiguous: column i is vector i.
        lengths: float64 array (n,).
    """

    columns: Floats
    lengths: Doubles

    @classmethod
    def of(cls, vectors: Floats) -> Wanted | None:
        """Return vectors prepared; None where one is too short or too long for float32 sums.

        Args:
            vectors: float32 array (n, dimension), n of 2 or more.
        """
        lengths = lengths_of(vectors)
        if len(vectors) < 2 or not _is_sound(lengths).all():
            return None
        return cls(np.ascontiguousarray(vectors.T), lengths)

    def distances(self, vector: bytes) -> bytes | None:
        """Return the distance of one row to each vector.

        Args:
            vector: The row's BLOB.

        Returns:
            float32 BLOB of n numbers, 0 to 2; None for a row of another dimension, or one that is
            too short or too long.
        """
        if len(vector) != 4 * len(self.columns):
            return None
        row = np.frombuffer(vector, "<f4")
        with np.errstate(all="ignore"):
            length = math.sqrt(np.add.accumulate(row * row)[-1])  # a power is not rounded right
            if not SHORTEST < length < LONGEST:
                return None
            # Of all the ways that numpy has, this one adds dimension after dimension.
            products = np.einsum("ij,i->j", self.columns, row)
            found = (1.0 - products / (length * self.lengths)).astype("<f4")
        clipped: Floats = np.minimum(np.maximum(found, np.float32(0)), np.float32(2))
        return clipped.tobytes()


def similarities(rows: Floats, others: Floats) -> Doubles:
    """Return the similarity of each row to the other of the same place, -1 to 1.

    Args:
        rows: float32 array (n, dimension).
        others: float32 array (n, dimension).

    Returns:
        float64 array (n,): the numbers of ``similarity.similarity``; NaN where a vector is too
        short or too long for float32 sums.
    """
    found = np.empty(len(rows), np.float32)
    for begin in range(0, len(rows), _PAIRS):
        some = slice(begin, begin + _PAIRS)
        one, other = lengths_of(rows[some]), lengths_of(others[some])
        is_sound = _is_sound(one) & _is_sound(other)
        with np.errstate(all="ignore"):
            products = _summed(rows[some] * others[some])
            found[some] = np.where(is_sound, 1.0 - products / (one * other), np.nan)
    return np.clip(1.0 - found.astype(np.float64), -1.0, 1.0)


def slack(dimension: int) -> float:
    """Return how far the float32 product of two unit vectors can be from their similarity in SQL.

    That is one rounding a number in each of three sums, in either, and some more to make the
    vectors as long as one.
    Source: N. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    return 6 * (dimension + 8) * 2.0**-24


def lengths_of(vectors: Floats) -> Doubles:
    """Return the lengths of vectors as sqlite-vec sees them, float64 array (n,)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths: Doubles = np.sqrt(_summed(vectors * vectors).astype(np.float64))
    return lengths


def is_exact(database: Database) -> bool:
    """Return whether this module gives the very numbers that SQL gives on a connection.

    Args:
        database: The connection; a program may have put another function in its place.
    """
    generator = np.random.default_rng(0)
    for dimension in _ASKED_DIMENSIONS:
        rows, others = generator.standard_normal((2, _ASKED, dimension)).astype(np.float32)
        try:
            expected = [
                (database.row(SIMILARITY, (row.tobytes(), other.tobytes())) or (None,))[0]
                for row, other in zip(rows, others, strict=True)
            ]
        except sqlite3.Error:
            return False
        for count in range(1, _ASKED + 1):
            if similarities(rows[:count], others[:count]).tolist() != expected[:count]:
                return False
        wanted = Wanted.of(others)
        for place, row in enumerate(rows):
            blob = None if wanted is None else wanted.distances(row.tobytes())
            if blob is None or 1.0 - float(np.frombuffer(blob, "<f4")[place]) != expected[place]:
                return False
    return True


def _summed(products: Floats) -> Floats:
    # The sum along the last axis is pairwise; along the first, of two columns or more, it goes row
    # by row.
    summed: Floats
    if len(products) < 2:
        summed = np.add.accumulate(products, axis=1)[:, -1]
    else:
        summed = np.add.reduce(np.ascontiguousarray(products.T), axis=0)
    return summed


def _is_sound(lengths: Doubles) -> NDArray[np.bool_]:
    return (lengths > SHORTEST) & (lengths < LONGEST)  # False for NaN
