"""The SQL expression of a row's similarity: the one place that says what it is."""

from __future__ import annotations


def similarity(column: str, dimension: int, query_vector: str) -> str:
    """Return the SQL expression of a row's similarity to a query vector.

    sqlite-vec's distance fails the whole query on NULL and on vectors of two lengths, so such
    rows are kept from it and have a similarity of NULL.

    Args:
        column: The embedding column, quoted.
        dimension: Length of the model's vectors.
        query_vector: SQL expression of the query's vector, constant over the statement.
    """
    return (
        f"CASE WHEN typeof({column}) = 'blob' AND length({column}) = {4 * dimension}"
        f" THEN max(-1.0, min(1.0, 1.0 - vec_distance_cosine({column}, {query_vector}))) END"
    )
