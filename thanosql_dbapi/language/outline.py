"""What a query's outermost SELECT is like, and which tables a query reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .select import FromTable, Place, Source, common_names, read
from .tree import Query, TableName


@dataclass(frozen=True)
class Outline:
    """The shape of a query's outermost SELECT.

    Attributes:
        select_list: Where a result column can be inserted: just after SELECT, SELECT ALL or SELECT
            DISTINCT. Put a space before the column, a comma after.
        tables: The items of its FROM clause that are plain tables, in order.
        sources: How many items its FROM clause has, subqueries and table functions included.
        is_compound: It is the first of a UNION, INTERSECT or EXCEPT.
        is_distinct: SELECT DISTINCT.
        is_grouped: It has GROUP BY or HAVING.
    """

    select_list: Place
    tables: tuple[FromTable, ...]
    sources: int
    is_compound: bool
    is_distinct: bool
    is_grouped: bool


def outline(query: Query) -> Outline | None:
    """Return the shape of a query's outermost SELECT; a leading WITH is gone past.

    Returns:
        The shape; None when the query is not a SELECT (VALUES, INSERT …), or begins with a
        statement of ours.
    """
    text = read(query)
    core = text.levels[0].cores[0]
    if query.verb != "SELECT" or core.select is None:
        return None
    return Outline(
        select_list=text.place(core.select_list, after=True),
        tables=tuple(each.table for each in core.sources if each.table is not None),
        sources=len(core.sources),
        is_compound=text.levels[0].is_compound,
        is_distinct=core.is_distinct,
        is_grouped=core.has("GROUP", "HAVING"),
    )


def tables_read(query: Query) -> frozenset[TableName]:
    """Return every table after FROM or JOIN at any depth, queries of nested statements included.

    Names are in lower case, since SQLite ignores their case; names that WITH defines are left out.
    """
    text, common = read(query), common_names(query)
    found = set()
    for level in text.levels:
        for core in level.cores:
            found |= {
                TableName(table.name.lower(), table.schema and table.schema.lower())
                for table in _tables(core.sources)
            }
    for part in query.parts:
        inner = getattr(part, "query", None)
        if inner is not None:
            found |= tables_read(inner)
    return frozenset(each for each in found if each.schema is not None or each.name not in common)


def _tables(sources: Sequence[Source]) -> Iterator[TableName]:
    for source in sources:
        if source.table is not None:
            yield source.table.table
        yield from _tables(source.inside)
