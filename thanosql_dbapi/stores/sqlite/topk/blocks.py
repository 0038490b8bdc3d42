"""Which rows can be among the best: found block by block, on all cores.

A block's products, bounds and choice are made while its numbers are in the processor's cache, and
only the few rows that it leaves are kept. All blocks share a *floor*: as many rows as are wanted
have been seen whose similarity is certainly not below it. It only grows, and what lies below it is
left out at once.

Invariant: a row that is left out has an upper bound below the floor that is returned. It was below
the floor of its time. So the floor that is returned is the one that comparing all rows at once
would give: the lower bound of a row that was left out cannot raise it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....cores import share, usable_cores

if TYPE_CHECKING:
    from .quantized import Floats, Quantized, RoundedQuery

    Places = NDArray[np.intp]
    PossibleRows = Callable[[RoundedQuery, int, Places], tuple[Places, float]]

MOST_ROWS = 16_384
"""Rows of a block: enough that Python's share of the work, some 40 µs, does not count."""

FEWEST_ROWS = 8_192
_GROUP = 64
THREAD_BYTES = 4 * 2**20
"""Bytes that are worth another thread: it takes some 20 µs to get it to work."""


def possible_rows(
    vectors: Quantized, query: RoundedQuery, wanted: int, without: Places
) -> tuple[Places, float]:
    """Return the rows that can be among the best.

    Args:
        vectors: The rows.
        query: What they are compared with.
        wanted: How many of the best rows are wanted, >= 1.
        without: Indices of rows that are to be passed over, ascending.

    Returns:
        (indices ascending, floor): every other row has a similarity below the floor. It is minus
        infinity where there are fewer rows than wanted.
    """
    threads = min(usable_cores(), 1 + vectors.codes.nbytes // THREAD_BYTES)
    best = Best(wanted)

    def choose(rows: slice) -> None:
        lower, upper = vectors.bounds(query, rows, vectors.products(query, rows))
        if len(without):
            first, last = without.searchsorted((rows.start, rows.stop))
            passed = without[first:last] - rows.start
            lower[passed], upper[passed] = -np.inf, np.nan
        best.add(rows.start, lower, upper)

    share(choose, blocks(len(vectors), threads), threads)
    return best.rows(), best.floor


def blocks(rows: int, threads: int) -> list[slice]:
    """Return the blocks that rows are divided into, some for each thread."""
    least = MOST_ROWS if threads == 1 else FEWEST_ROWS
    size = max(least, min(MOST_ROWS, -(-rows // (4 * threads))))
    count = -(-rows // size)
    ends = [rows * number // count for number in range(count + 1)]
    return list(map(slice, ends, ends[1:]))


class Best:
    """The rows that can be among the best, of the blocks seen so far; for several threads.

    Args:
        wanted: How many of the best rows are wanted, >= 1.

    Attributes:
        floor: Below it no similarity is among the best.
    """

    def __init__(self, wanted: int) -> None:
        self.floor = -np.inf
        self._wanted = wanted
        self._greatest = np.empty(0, np.float32)  # lower bounds
        self._found: list[tuple[Places, Floats]] = []
        self._lock = threading.Lock()

    def add(self, first: int, lower: Floats, upper: Floats) -> None:
        """Take the rows of a block that can be among the best.

        Args:
            first: Index of its first row.
            lower: float32 array (n,), the least similarity that each row can have; minus infinity
                where a row is to be passed over.
            upper: float32 array (n,), the greatest; NaN, which is below any floor, for those.
        """
        floor = self.floor
        if floor == -np.inf:
            floor = _reached(lower, self._wanted)
        (places,) = (upper >= floor).nonzero()
        lower, upper = lower[places], upper[places]
        if len(places) > self._wanted:
            # Rows may come in an order in which each block is better than the last.
            own = np.partition(lower, -self._wanted)[-self._wanted]
            kept = upper >= own
            places, lower, upper = places[kept], lower[kept], upper[kept]
        if not len(places):
            return
        with self._lock:
            self._found.append((places + first, upper))
            greatest = np.concatenate([self._greatest, lower])
            if len(greatest) >= self._wanted:
                greatest = np.partition(greatest, -self._wanted)[-self._wanted :]
                self.floor = float(greatest[0])
            self._greatest = greatest

    def rows(self) -> Places:
        """Return the indices of the rows, ascending."""
        kept = [places[upper >= self.floor] for places, upper in self._found]
        return np.sort(np.concatenate([np.empty(0, np.intp), *kept]))


def _reached(values: Floats, count: int) -> float:
    """Return a number that at least ``count`` values reach, and hardly more; minus infinity if few.

    Among the maxima of groups, the n-th largest is at most the n-th largest of all.
    """
    groups = len(values) // _GROUP
    if groups > 4 * count:
        values = values[: groups * _GROUP].reshape(groups, _GROUP).max(axis=1)
    if len(values) < count:
        return -np.inf
    return float(np.partition(values, -count)[-count])
