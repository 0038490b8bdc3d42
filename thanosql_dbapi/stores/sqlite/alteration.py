"""ALTER TABLE of a table with vectors: what is known of them goes with the names.

The triggers of the log name the column, so that SQLite refuses to drop it as long as they are
there. They follow a rename, and the registry follows them; a table without row ids, or of another
schema, has none, and is followed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from ...errors import Error
from ...language.alteration import Alteration, read_alteration
from ...language.names import same_name
from ...language.script import split_script
from .database import Database
from .registry import Registry

_DROP = re.compile(r"\balter\b[^;]{0,2000}\bdrop\b", re.IGNORECASE)
_SAVEPOINT = "thanosql_alteration"


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
                for statement in registry.removal(schema, table, alteration.column):
                    database.execute(statement)
        execute()
        with untraced():
            registry.follow_renames()
            if alteration.new_name is not None:
                registry.rename(schema, table, alteration.column, alteration.new_name)


def with_removals(database: Database, script: str) -> str:
    """Return a script in which each column of vectors is forgotten before it is dropped.

    As plain SQL, for the script may begin and end transactions; :func:`undo_removal` is for one
    that fails.
    """
    if _DROP.search(script) is None:
        return script
    pieces = []
    for piece in split_script(script):
        try:
            found = _find(database, piece) if _DROP.search(piece) else None
        except Error:
            return script
        if found is not None and found[0].column is not None and found[0].new_name is None:
            removal = Registry(database).removal(found[1], found[2], found[0].column)
            before = "".join(f"{each};" for each in [f"SAVEPOINT {_SAVEPOINT}", *removal])
            piece = f"{before}{piece}\n;RELEASE {_SAVEPOINT};"
        pieces.append(piece)
    return "".join(pieces)


def undo_removal(database: Database) -> None:
    """Undo what a script of :func:`with_removals` did for a column that was not dropped then."""
    with suppress(Error):  # no such savepoint: another statement failed
        database.execute(f"ROLLBACK TO {_SAVEPOINT}")
        database.execute(f"RELEASE {_SAVEPOINT}")


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
