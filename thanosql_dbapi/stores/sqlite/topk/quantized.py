"""Unit vectors in one byte a number, and how far each similarity can be off.

A search over all rows is a question of memory bandwidth: 512 numbers take 2 KiB as float32 and
512 bytes here. What the rounding loses is known for each row, so that a similarity comes out as an
interval, and a row is left out only when its interval lies below that of enough others. The answer
therefore stays exact: who is let in is compared again with the vector in the database.

The bound. Let ``u`` be a row's unit vector, ``m`` the mean of all, ``s·c`` the rounding of
``u - m`` to int8 numbers ``c`` at the row's own scale ``s``, and ``t·k`` that of the query ``q``.
Then ::

    q·u = q·m + s·t·(k·c) + q·(u - m - s·c) + (q - t·k)·(s·c)

and by Cauchy-Schwarz the last two terms are at most ``|u - m - s·c|`` and ``|q - t·k|·|s·c|``.
The mean is taken off because CLIP's vectors share a large one, which would make the scale coarse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Floats = NDArray[np.float32]

_LEVELS = 127.0
_STEP = 8192  # rows at a time: the working arrays then stay in the processor's cache
_FLOAT32 = 2.0**-24


@dataclass(frozen=True, eq=False)
class RoundedQuery:
    """A query as it is compared with rounded vectors.

    Attributes:
        unit: float64 array (dimension,), of length 1.
        codes: int8 array (dimension,); ``unit`` is about ``step * codes``.
        step: Its scale.
        lost: The length of what rounding took off it.
        of_mean: Its product with the vectors' mean.
        summing: What summing in float32 can be off by, in this code and in sqlite-vec's.
    """

    unit: NDArray[np.float64]
    codes: NDArray[np.int8]
    step: np.float32
    lost: np.float32
    of_mean: np.float32
    summing: np.float32


@dataclass(frozen=True, eq=False)
class Quantized:
    """Unit vectors, rounded.

    Attributes:
        mean: float32 array (dimension,), taken off before rounding.
        codes: int8 array (n, dimension).
        scale: float32 array (n,); row i is about ``mean + scale[i] * codes[i]``.
        error: float32 array (n,), the length of what rounding took off row i.
        length: float32 array (n,), the length of ``scale[i] * codes[i]``.
    """

    mean: Floats
    codes: NDArray[np.int8]
    scale: Floats
    error: Floats
    length: Floats

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        arrays = (self.codes, self.scale, self.error, self.length)
        return self.mean.nbytes + sum(array.nbytes for array in arrays)

    def rounded(self, query: Floats) -> RoundedQuery:
        """Return a query, rounded.

        Args:
            query: float32 array (dimension,), of any length but zero.
        """
        unit = query.astype(np.float64)
        unit /= math.sqrt(unit @ unit)
        step = max(unit.max(), -unit.min()) / _LEVELS
        codes = np.rint(unit / step).astype(np.int8)
        rest = unit - step * codes
        return RoundedQuery(
            unit,
            codes,
            np.float32(step),
            _above(math.sqrt(rest @ rest)),
            np.float32(unit @ self.mean),
            _summing(len(unit)),
        )

    def products(self, query: RoundedQuery, rows: slice) -> Floats:
        """Return the products of some rows' codes with a query's; Python's lock is let go.

        Returns:
            float32 array (n,), whole numbers.
        """
        import numkong

        codes = self.codes[rows]
        products = np.empty((len(codes), 1), np.float32)
        numkong.cdist(codes, query.codes[None, :], "dot", out=products, out_dtype="float32")
        return products[:, 0]

    def bounds(
        self, query: RoundedQuery, rows: slice, products: NDArray[Any]
    ) -> tuple[Floats, Floats]:
        """Return the least and the greatest similarity that rows can have to a query.

        Args:
            query: The query.
            rows: Which rows.
            products: The products of their codes with the query's.

        Returns:
            Two float32 arrays (n,). They hold for the exact cosine and for what float32 arithmetic
            makes of it, sqlite-vec's included.
        """
        middle = np.multiply(products, self.scale[rows], dtype=np.float32)
        middle *= query.step
        middle += query.of_mean
        slack = self.length[rows] * query.lost
        slack += self.error[rows]
        slack += query.summing
        lower = middle - slack
        middle += slack
        return lower, middle

    def narrow_bounds(self, query: RoundedQuery, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the bounds of some rows, without what rounding the query adds to them.

        Args:
            query: The query.
            rows: Indices of the rows; meant for hundreds, each costs a hundred times more.
        """
        unit = query.unit.astype(np.float32)
        middle = np.empty(len(rows), np.float32)
        for begin in range(0, len(rows), _STEP):
            some = slice(begin, begin + _STEP)
            middle[some] = self.codes[rows[some]].astype(np.float32) @ unit
        middle *= self.scale[rows]
        middle += query.of_mean
        slack = self.error[rows] + query.summing
        return middle - slack, middle + slack


@lru_cache(maxsize=1)
def products_problem() -> str:
    """Return why the processor cannot compare rows quickly, or ""; asked before any are read."""
    try:
        import numkong  # noqa: F401
    except Exception as error:  # not installed, or built for another processor or system
        return f"the package numkong cannot be loaded ({type(error).__name__}: {error})"
    return ""


def quantize(vectors: Floats, mean: Floats | None = None) -> Quantized:
    """Return vectors in one byte a number.

    Args:
        vectors: float32 array (n, dimension), finite, no row of length zero.
        mean: float32 array (dimension,) to take off. Default: that of the vectors.
    """
    count, dimension = vectors.shape
    if mean is None:
        mean = _mean(vectors)
    codes = np.empty((count, dimension), np.int8)
    scale, error, length = (np.empty(count, np.float32) for _ in range(3))
    for begin in range(0, count, _STEP):
        rows = slice(begin, begin + _STEP)
        unit = _unit(vectors[rows]) - mean
        steps = np.abs(unit).max(axis=1) / np.float32(_LEVELS)
        steps[steps == 0] = 1.0
        rounded = np.rint(unit / steps[:, None])
        codes[rows] = rounded
        rounded *= steps[:, None]
        unit -= rounded
        scale[rows] = steps
        error[rows] = _lengths(unit)
        length[rows] = _lengths(rounded)
    return Quantized(mean, codes, scale, error, length)


def _summing(dimension: int) -> np.float32:
    """Return what summing in float32 can be off by, in this code and in sqlite-vec's.

    That is one rounding a number in each of three sums, in either.
    Source: N. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    return np.float32(6 * dimension * _FLOAT32)  # type: ignore[no-any-return]


def _above(number: float) -> np.float32:
    """Return a float32 number that is not below a float64 one."""
    return np.nextafter(np.float32(number), np.float32(np.inf))  # type: ignore[no-any-return]


def _mean(vectors: Floats) -> Floats:
    # Any mean gives right bounds, a good one narrow bounds: some thousand rows tell it well enough.
    sample = vectors[:: max(1, len(vectors) // 10_000)]
    if not len(sample):
        return np.zeros(vectors.shape[1], np.float32)
    mean: Floats = _unit(sample).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / _lengths(vectors)[:, None]
    return unit


def _lengths(vectors: Floats) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    return lengths
