"""Which rows of a vector column have changed: told by triggers in the database itself.

Triggers on the table write the row ids of changed vectors to ``thanosql_changes``. They are plain
SQL, so that whatever program writes the table keeps the log, with sqlite-vec or without. Whoever
has read a column's vectors remembers the last entry he saw, a :class:`Mark`; the entries after it
are what he has missed. An entry has a random token besides its number: a number comes again after
a ROLLBACK or in a copy of the file that has gone its own way, the token does not.

Source: https://www.sqlite.org/lang_createtrigger.html
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from ....language.names import quote_name
from ..database import Database

_CHANGES = """
CREATE TABLE IF NOT EXISTS main.thanosql_changes (
    number INTEGER PRIMARY KEY,
    column_id INTEGER NOT NULL,
    row_id INTEGER,
    token INTEGER NOT NULL DEFAULT (random())
)"""
_PREFIX = "thanosql_watch_"
_KINDS = ("insert", "update", "delete", "move")
_NAME = re.compile(rf"{_PREFIX}(\d+)_(?:{'|'.join(_KINDS)})")
_UPDATE = re.compile(rf'CREATE TRIGGER {_PREFIX}(\d+)_update AFTER UPDATE OF "((?:[^"]|"")*)" ON ')

DRAWN_VERSION = 2**20
"""Schema versions from here on were drawn by :func:`draw_version`."""

LOG_LIMIT = 100_000  # entries of one column, some 2 MB


@dataclass(frozen=True)
class Watch:
    """A column whose changes are logged.

    Attributes:
        column_id: Its number in the log, that of the registry.
        table: Its table, in ``main``.
        column: The column.
        row_id: A name of the table's row id that no column has taken.
    """

    column_id: int
    table: str
    column: str
    row_id: str


@dataclass(frozen=True)
class Mark:
    """An entry of the log: up to here a reader knows a column.

    Attributes:
        number: The entry's number.
        token: Its token.
    """

    number: int
    token: int


def watch(database: Database, column_id: int, table: str, column: str) -> None:
    """Log a column's changes from now on; all earlier marks of it become void.

    Does nothing for a table that has no row id.

    Args:
        database: The database; the caller commits.
        column_id: The column's number in the registry.
        table: Its table, in ``main``.
        column: The column.
    """
    row_id = database.row_id("main", table)
    if row_id is None:
        return
    database.execute(_CHANGES)
    database.execute("DELETE FROM main.thanosql_changes WHERE column_id = ?", (column_id,))
    database.execute("INSERT INTO main.thanosql_changes (column_id) VALUES (?)", (column_id,))
    for name, sql in _triggers(Watch(column_id, table, column, row_id)).items():
        database.execute(f"DROP TRIGGER IF EXISTS main.{quote_name(name)}")
        database.execute(sql)


def draw_version(database: Database) -> None:
    """Give the schema a version that no other file reaches by itself, where it has none yet.

    A dump copies the log, its tokens included, and numbers rows anew where no column holds the row
    id. A file restored from one can get the very inode of the old file, whose side file may still
    be there. Its schema version begins at 0 and grows by 1 with each DDL statement.

    Args:
        database: The database; the caller commits.

    Source: https://www.sqlite.org/pragma.html#pragma_schema_version. To move it forward makes
    other connections read the schema again, as DDL does.
    """
    (version,) = database.row("PRAGMA main.schema_version") or (0,)
    if version < DRAWN_VERSION:
        drawn = random.SystemRandom().randrange(DRAWN_VERSION, 2**30)
        database.execute(f"PRAGMA main.schema_version = {drawn}")


def shorten(database: Database, column_id: int, keep: int) -> None:
    """Forget a column's log, but for its last entry, where it has grown long.

    A reader whose mark is gone reads the column anew.

    Args:
        database: The database; the caller commits.
        column_id: The column's number.
        keep: Entries up to which the log stays, if it has no more than 100,000.
    """
    if not database.table_columns("main", "thanosql_changes"):
        return
    row = database.row(
        "SELECT count(*), max(number) FROM main.thanosql_changes WHERE column_id = ?", (column_id,)
    )
    if row is not None and row[0] > min(max(keep, 1000), LOG_LIMIT):
        database.execute(
            "DELETE FROM main.thanosql_changes WHERE column_id = ? AND number < ?",
            (column_id, row[1]),
        )


def find_watch(database: Database, table: str, column: str) -> Watch | None:
    """Return the watch of a column, or None where its changes are not logged.

    Only triggers that are just what :func:`watch` makes count. SQLite keeps them in step when the
    table or the column is renamed.
    """
    rows = database.rows(
        "SELECT name, tbl_name, sql FROM main.sqlite_master"
        " WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE AND name GLOB ?",
        (table, f"{_PREFIX}*"),
    )
    there = {name: sql for name, _, sql in rows}
    row_id = database.row_id("main", table) if there else None
    if row_id is None:
        return None
    for column_id in sorted({int(match[1]) for name in there if (match := _NAME.fullmatch(name))}):
        found = Watch(column_id, rows[0][1], column, row_id)
        if all(_same(there.get(name), sql) for name, sql in _triggers(found).items()):
            return found
    return None


def watched_columns(database: Database) -> dict[int, tuple[str, str]]:
    """Return the table and column of each watch as they are called today, by the watch's number.

    SQLite writes a renamed table or column into the triggers, whatever program renames it.
    """
    rows = database.rows(
        "SELECT tbl_name, sql FROM main.sqlite_master WHERE type = 'trigger' AND name GLOB ?",
        (f"{_PREFIX}*_update",),
    )
    found = [(table, _UPDATE.match(sql)) for table, sql in rows]
    return {
        int(match[1]): (table, match[2].replace('""', '"'))
        for table, match in found
        if match is not None
    }


def unwatching(database: Database, column_id: int) -> list[str]:
    """Return the statements that end the log of a column's changes, and delete it."""
    there = database.table_columns("main", "thanosql_changes")
    log = [f"DELETE FROM main.thanosql_changes WHERE column_id = {column_id}"] if there else []
    return [
        *(f"DROP TRIGGER IF EXISTS main.{_PREFIX}{column_id}_{kind}" for kind in _KINDS),
        *log,
    ]


def last_mark(database: Database, column_id: int) -> Mark | None:
    """Return the last entry of a column's log; None where the log is gone."""
    row = database.row(
        "SELECT number, token FROM main.thanosql_changes WHERE column_id = ?"
        " ORDER BY number DESC LIMIT 1",
        (column_id,),
    )
    return Mark(*row) if row else None


def changes_since(database: Database, column_id: int, mark: Mark, limit: int) -> set[int] | None:
    """Return the row ids changed since a mark.

    Args:
        database: The database.
        column_id: The column.
        mark: What the reader knows.
        limit: Most entries worth reading.

    Returns:
        None when the mark is void or more entries have come: the column is to be read anew.
    """
    rows = database.rows(
        "SELECT number, row_id, token FROM main.thanosql_changes"
        " WHERE number >= ? AND column_id = ? ORDER BY number LIMIT ?",
        (mark.number, column_id, limit + 2),
    )
    if not rows or (rows[0][0], rows[0][2]) != (mark.number, mark.token) or len(rows) > limit + 1:
        return None
    return {row[1] for row in rows[1:] if row[1] is not None}


def _triggers(watch: Watch) -> dict[str, str]:
    """Return the triggers of a watch by name.

    A vector that is NULL before and after, and an UPDATE of other columns, leave no entry. The row
    id of a row can change by an UPDATE of its INTEGER PRIMARY KEY, hence the last one.
    """
    name = f"{_PREFIX}{watch.column_id}_"
    table, column = quote_name(watch.table), quote_name(watch.column)
    old, new = f"OLD.{watch.row_id}", f"NEW.{watch.row_id}"

    def trigger(kind: str, event: str, condition: str, *row_ids: str) -> tuple[str, str]:
        values = ", ".join(f"({watch.column_id}, {row_id})" for row_id in row_ids)
        return name + kind, (
            f"CREATE TRIGGER main.{name}{kind} AFTER {event} ON {table} WHEN {condition} BEGIN"
            f" INSERT INTO thanosql_changes (column_id, row_id) VALUES {values}; END"
        )

    return dict(
        [
            trigger("insert", "INSERT", f"NEW.{column} IS NOT NULL", new),
            trigger("update", f"UPDATE OF {column}", f"OLD.{column} IS NOT NEW.{column}", new),
            trigger("delete", "DELETE", f"OLD.{column} IS NOT NULL", old),
            trigger("move", "UPDATE", f"{old} IS NOT {new}", old, new),
        ]
    )


def _same(there: str | None, wanted: str) -> bool:
    # SQLite keeps the text as it was written, but for the schema.
    return there == wanted.replace("main.", "", 1)
