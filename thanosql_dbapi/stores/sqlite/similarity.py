"""The SQL expression of a row's similarity: the one place that says what it is."""

from __future__ import annotations

SHORTEST, LONGEST = 1e-12, 1e12
"""Lengths of vectors whose squares float32 sums without underflow or overflow."""

COMPARING = frozenset(
    {"cosine_similarity", "vec_distance_cosine", "vec_distance_l2"}
    | {"length", "max", "min", "typeof", "zeroblob"}
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
