"""SEARCH as plain SQL: pure text, no database.

``SEARCH IMAGE text='a cat' USING m AS q`` becomes a SELECT over ``(q)`` with one more column, so
it composes with everything SQLite has: ORDER BY, joins, views, INSERT. What a row's similarity
is, is said in one place, :func:`similarity`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...language.names import quote_name

SHORTEST, LONGEST = 1e-12, 1e12
"""Lengths of vectors whose squares float32 sums without underflow or overflow."""


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


def search_select(
    query: str,
    similarities: Sequence[tuple[str, str]],
    *,
    threshold: str | None = None,
    ranked: bool = False,
    limit: str | None = None,
) -> str:
    """Return the SELECT that adds similarity columns to a query.

    Args:
        query: SQL of the rows; its embedding column is called through the alias ``q``.
        similarities: (expression, name of the new column) for each query value, in order.
        threshold: SQL of the least first similarity a row may have, or None for all rows.
        ranked: Whether rows come best first, those without a similarity not at all.
        limit: SQL of the most rows to return, or None for all.
    """
    first = similarities[0][0]
    added = ", ".join(f"{expression} AS {quote_name(name)}" for expression, name in similarities)
    sql = f"SELECT q.*, {added} FROM ({query}\n) AS q"
    if threshold is not None:
        sql += f" WHERE {first} >= {threshold}"
    elif ranked:
        sql += f" WHERE {first} IS NOT NULL"
    if ranked:
        sql += f" ORDER BY {first} DESC"
    if limit is not None:
        sql += f" LIMIT {limit}"
    # As a part of a UNION, a SELECT may have neither ORDER BY nor LIMIT of its own.
    return f"SELECT * FROM ({sql})" if ranked or limit is not None else sql
