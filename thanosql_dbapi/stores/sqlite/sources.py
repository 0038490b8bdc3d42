"""What each vector of a converted table was made from: ``thanosql_sources``, a row a vector.

``state`` is a number that costs a ``stat`` to compare; ``content`` is a digest of the model and the
source's bytes, NULL in rows that the first version wrote; ``vector_check`` is a hash of the vector
that was written.

Rows are known by their key, which is a row id where no column holds it, and VACUUM numbers such
rows anew. ``thanosql_numbering`` tells when: it has one row a column, whose row id is also a value
of it. It has no index, because VACUUM keeps the row ids of tables that have one.

Source: https://www.sqlite.org/lang_vacuum.html#how_vacuum_works
"""

from __future__ import annotations

from .database import Database

_SOURCES = """
CREATE TABLE IF NOT EXISTS main.thanosql_sources (
    column_id INTEGER NOT NULL,
    row_key NOT NULL,
    state INTEGER NOT NULL,
    content BLOB,
    vector_check INTEGER,
    PRIMARY KEY (column_id, row_key)
) WITHOUT ROWID"""
_LATER = {"content": "BLOB", "vector_check": "INTEGER"}
_NUMBERING = """
CREATE TABLE IF NOT EXISTS main.thanosql_numbering (column_id INTEGER NOT NULL, was INTEGER)"""
# VACUUM numbers from 1.
_FIRST = 1 << 40

WRITE = """
INSERT INTO main.thanosql_sources (column_id, row_key, state, content, vector_check)
{select}
ON CONFLICT (column_id, row_key) DO UPDATE SET state = excluded.state, content = excluded.content,
    vector_check = coalesce(excluded.vector_check, vector_check)"""
"""Writes what a SELECT of the five columns gives; it must have a WHERE."""


def make_sources(database: Database) -> None:
    """Make the table where there is none, and add the columns that older files lack."""
    known = {name for name, _ in database.table_columns("main", "thanosql_sources")}
    if not known:
        database.execute(_SOURCES)
        return
    for name, kind in _LATER.items():
        if name not in known:
            database.execute(f"ALTER TABLE main.thanosql_sources ADD COLUMN {name} {kind}")


def note_numbering(database: Database, column_id: int) -> None:
    """Write down that the keys of a column's rows are those of now; the caller commits."""
    database.execute(_NUMBERING)
    database.execute("DELETE FROM main.thanosql_numbering WHERE column_id = ?", (column_id,))
    database.execute(
        "INSERT INTO main.thanosql_numbering (rowid, column_id, was) VALUES (?, ?, ?)",
        (_FIRST + column_id, column_id, _FIRST + column_id),
    )


def is_numbered(database: Database, column_id: int) -> bool | None:
    """Return whether the rows of a column have the numbers that were noted; None if none were."""
    if not database.table_columns("main", "thanosql_numbering"):
        return None
    row = database.row(
        "SELECT rowid = was FROM main.thanosql_numbering WHERE column_id = ?", (column_id,)
    )
    return None if row is None else bool(row[0])


def forgetting(database: Database, column_id: int) -> list[str]:
    """Return the statements that forget what a column's vectors were made from."""
    return [
        f"DELETE FROM main.{table} WHERE column_id = {column_id}"
        for table in ("thanosql_sources", "thanosql_numbering")
        if database.table_columns("main", table)
    ]
