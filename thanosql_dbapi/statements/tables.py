"""Which tables a query reads, as SQLite resolves their names: a spelling alone does not tell."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..errors import Error, OperationalError
from ..language.names import quote_name
from ..language.outline import tables_read
from ..language.tree import Query, TableName
from ..stores.sqlite.database import Database
from ..stores.sqlite.registry import PREFIX

if TYPE_CHECKING:
    from ..stores.sqlite.database import Parameters

Key = tuple[str, str]
"""Schema and name of a table, in lower case."""


def table_key(database: Database, table: TableName) -> Key | None:
    """Return which table or view a name means; None where there is none."""
    found = database.find_table(table.schema, table.name)
    return (found[0].lower(), found[1].lower()) if found else None


def names_query(database: Database, query: Query, target: Key) -> bool:
    """Return whether a query names a table, by any spelling, itself or through a view."""
    return target in tables_behind(database, query)


def tables_behind(database: Database, query: Query) -> set[Key]:
    """Return the tables and views that a query names, itself or through a view."""
    pending = [(table, "temp") for table in tables_read(query)]
    seen: set[Key] = set()
    while pending:
        table, schema = pending.pop()
        # A view sees the tables of its own schema alone, but for one in temp.
        if table.schema is None and schema != "temp":
            table = TableName(table.name, schema)
        found = database.find_table(table.schema, table.name)
        if found is None:
            continue
        key = found[0].lower(), found[1].lower()
        if found[2] == "view" and key not in seen:
            pending += [(each, key[0]) for each in _tables_of_view(database, found[0], found[1])]
        seen.add(key)
    return seen


def reads_pages(database: Database, sql: str, parameters: Parameters, target: Key) -> bool:
    """Return whether plain SQL reads a table or one of its indexes, by SQLite's own program.

    Also finds what :func:`names_query` cannot: ``x IN table``, or a WITH of the same name
    elsewhere in the query.

    Source: https://www.sqlite.org/opcode.html#OpenRead
    """
    schemas = {row[0]: row[1].lower() for row in database.rows("PRAGMA database_list")}
    pages = database.rows(
        f"SELECT rootpage FROM {quote_name(target[0])}.sqlite_master"
        " WHERE tbl_name = ? COLLATE NOCASE AND rootpage > 0",
        (target[1],),
    )
    roots = {page for (page,) in pages}
    return any(
        row[1] == "OpenRead" and row[3] in roots and schemas.get(row[4]) == target[0]
        for row in database.rows(f"EXPLAIN {sql}", parameters)
    )


def require_tables(
    database: Database, query: Query, besides: Collection[str] = frozenset()
) -> None:
    """Check that the tables a query names exist.

    Args:
        database: The database.
        query: The query.
        besides: Names that a WITH around the query defines, in lower case.

    Raises:
        OperationalError: One does not; the message names the one most like it.
    """
    for table in sorted(tables_read(query), key=lambda table: table.name):
        is_common = table.schema is None and table.name in besides
        if is_common or database.find_table(table.schema, table.name) is not None:
            continue
        try:
            # A virtual table may exist without an entry in the schema.
            database.row(f"SELECT 1 FROM {quote_name(table.schema, table.name)} LIMIT 0")
        except Error as error:
            near = difflib.get_close_matches(table.name, _known_tables(database), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise OperationalError(f"{error}{hint}") from None


def _tables_of_view(database: Database, schema: str, name: str) -> frozenset[TableName]:
    row = database.row(
        f"SELECT sql FROM {quote_name(schema)}.sqlite_master WHERE type = 'view' AND name = ?",
        (name,),
    )
    return tables_read(Query((row[0],), verb="SELECT")) if row and row[0] else frozenset()


def _known_tables(database: Database) -> list[str]:
    return [
        name
        for _, schema, *_ in database.rows("PRAGMA database_list")
        for (name,) in database.rows(
            f"SELECT name FROM {quote_name(schema)}.sqlite_master WHERE type IN ('table', 'view')"
        )
        if not name.startswith((PREFIX, "sqlite_"))
    ]
