"""ALTER TABLE of a table with vectors: what is known of them goes with the names.

The triggers of the log name the column, so that SQLite refuses to drop it as long as they are
there. They follow a rename, and the registry follows them; a table without row ids, or of another
schema, has none, and is followed here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ...errors import Error
from ...language.alteration import Alteration, read_alteration
from ...language.names import same_name
from .database import Database
from .registry import Registry


def alter(
    database: Database,
    sql: str,
    execute: Callable[[], object],
    untraced: Callable[[], AbstractContextManager[None]],
) -> None:
    """Execute a text that begins with ALTER; all of it is done, or nothing.

    Args:
        database: The database.
        sql: The text.
        execute: Executes it.
        untraced: Keeps the driver's own statements from the user's trace.
    """
    try:
        with untraced():
            registry, found = Registry(database), _find(database, sql)
    except Error:  # an authorizer forbids it, or the file cannot be read: SQLite says what it is
        found = None
    if found is None:
        execute()
        return
    alteration, schema, table = found
    with database.atomic():
        if alteration.new_name is None:
            assert alteration.column is not None
            with untraced():
                registry.remove_vector_column(schema, table, alteration.column)
        execute()
        with untraced():
            registry.follow_renames()
            if alteration.new_name is not None:
                registry.rename(schema, table, alteration.column, alteration.new_name)


def _find(database: Database, sql: str) -> tuple[Alteration, str, str] | None:
    """Return what is altered, with schema and table, where vectors are known of it."""
    columns = Registry(database).vector_columns()
    alteration = read_alteration(sql) if columns else None
    if alteration is None:
        return None
    found = database.find_table(alteration.table.schema, alteration.table.name)
    if found is None:
        return None
    schema, table, _ = found
    is_known = any(
        same_name(each.schema_name, schema)
        and same_name(each.table_name, table)
        and (alteration.column is None or same_name(each.column_name, alteration.column))
        for each in columns
    )
    return (alteration, schema, table) if is_known else None
