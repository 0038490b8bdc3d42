"""The similarity of two vectors, in SQL and in Python: the one place that says what it is."""

from __future__ import annotations

import math
from typing import Any

from ...errors import DataError, clip
from ...vectors import to_vector

SHORTEST, LONGEST = 1e-12, 1e12
"""Lengths of vectors whose squares float32 sums without underflow or overflow."""

COMPARING = frozenset(
    {"cosine_similarity", "vec_distance_cosine", "vec_distance_l2"}
    | {"length", "max", "min", "substr", "typeof", "vec_distance_l1", "zeroblob"}
)
"""Lower-case names of the SQL functions of the expression, which a program may have replaced."""


def similarity(column: str, dimension: int, query_vector: str) -> str:
    """Return the SQL expression of a row's similarity to a query vector.

    sqlite-vec's distance raises on NULL and on vectors of two dimensions: such rows get NULL. Its
    float32 sums of squares underflow or overflow for very short and very long vectors:
    ``cosine_similarity``, in float64, compares those. To compute the length takes a quarter of the
    time of the distance.

    Args:
        column: The embedding column, quoted.
        dimension: Length of the model's vectors.
        query_vector: SQL expression of the query's vector, constant over the statement.
    """
    size = 4 * dimension
    return (
        f"CASE WHEN typeof({column}) <> 'blob' OR length({column}) <> {size} THEN NULL"
        f" WHEN vec_distance_L2({column}, zeroblob({size})) BETWEEN {SHORTEST!r} AND {LONGEST!r}"
        f" THEN max(-1.0, min(1.0, 1.0 - vec_distance_cosine({column}, {query_vector})))"
        f" ELSE cosine_similarity({column}, {query_vector}) END"
    )


def similarity_of_many(found: str, place: int, alone: str) -> str:
    """Return the SQL expression of a row's similarity to one of many query vectors.

    Args:
        found: The distances to all of them, a float32 BLOB; NULL where there are none.
        place: Which one, from 0.
        alone: The expression of :func:`similarity`, which has the same value.
    """
    # In C, a number is taken out of a BLOB in a third of the time that a function in Python takes.
    distance = f"vec_distance_L1(substr({found}, {4 * place + 1}, 4), zeroblob(4))"
    return f"CASE WHEN {found} IS NOT NULL THEN 1.0 - {distance} ELSE {alone} END"


def cosine_similarity(one: Any, other: Any) -> float | None:
    """Return the cosine of the angle between two vectors, -1 to 1.

    Args:
        one: float32 BLOB, or None.
        other: float32 BLOB of the same length, or None.

    Returns:
        The similarity; None where a vector is None or has no direction (all zeros, or not finite).

    Raises:
        DataError: An argument is not a vector, or the dimensions differ.

    Example:
        >>> import numpy as np
        >>> cosine_similarity(np.float32([1, 0]).tobytes(), np.float32([3, 4]).tobytes())
        0.6
    """
    if one is None or other is None:
        return None
    import numpy as np

    for value in (one, other):
        if not isinstance(value, bytes):
            raise DataError(f"cosine_similarity: expected vectors as BLOBs, got {clip(value)}")
    a, b = to_vector(one).astype(np.float64), to_vector(other).astype(np.float64)
    if len(a) != len(b):
        raise DataError(
            f"cosine_similarity: vectors of {len(a)} and {len(b)} dimensions; they come from"
            " different models"
        )
    with np.errstate(invalid="ignore"):
        cosine = float(a.dot(b)) / (float(np.sqrt(a.dot(a) * b.dot(b))) or math.nan)
    return None if math.isnan(cosine) else max(-1.0, min(1.0, round(cosine, 9)))
