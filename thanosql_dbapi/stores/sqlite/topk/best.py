"""The rows that include the top k of a statement, found without comparing all rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .matrices import MOST_CHANGES, Current, Declined

if TYPE_CHECKING:
    from .quantized import Floats

Probe = Callable[[list[int], int], list[float]]


def best_rows(
    current: Current, query: Floats, wanted: int, first: int, probe: Probe
) -> tuple[list[int], list[float], int]:
    """Return rows that include the top k of a statement.

    Args:
        current: The column.
        query: float32 array (dimension,).
        wanted: Rows that the statement asks for, >= 1.
        first: How many of the best rows to begin with, >= wanted: a WHERE may drop some.
        probe: ``probe(row ids, n)`` runs the statement over these rows alone and returns its
            greatest n similarities, best first.

    Returns:
        The row ids, the statement's greatest similarities, one more than wanted where there is,
        and how many of the best rows they had to be.

    Raises:
        Declined: A scan is quicker.
    """
    matrix, changed = current.matrix, current.changed
    wide = query.astype(np.float64)
    if not 0 < wide @ wide < math.inf:
        raise Declined("the vector that rows are compared with has no direction")
    if len(matrix.outliers) > MOST_CHANGES:
        raise Declined(f"{len(matrix.outliers):,} vectors are zero or not finite")
    # To look a row up by its id costs some five times what a scan takes to pass it.
    asked, most = first, max(len(matrix) // 5, 500) + len(changed)
    is_expensive = False
    for rows, floor in matrix.candidates(query, changed, first, current.search):
        if len(rows) > most:
            break
        values = probe(rows, wanted + 1)
        if len(values) >= wanted and values[wanted - 1] >= floor:
            return rows, values, asked
        asked, most = asked * 8, max(len(matrix) // 50, 500) + len(changed)
        is_expensive = True
    raise Declined("too many rows would have to be compared one by one", is_expensive=is_expensive)
