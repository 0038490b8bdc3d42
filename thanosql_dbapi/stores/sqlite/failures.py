"""The rows that a CONVERT could not embed, and why: ``thanosql_failures``, a row each.

An entry stays until the row gets its vector or is gone. Any SQLite program may read the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from .database import Database

_FAILURES = """
CREATE TABLE IF NOT EXISTS main.thanosql_failures (
    schema_name TEXT NOT NULL COLLATE NOCASE,
    table_name TEXT NOT NULL COLLATE NOCASE,
    column_name TEXT NOT NULL COLLATE NOCASE,
    row_key,
    source TEXT,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
)"""
_COLUMN = "schema_name = ? AND table_name = ? AND column_name = ?"
# What was said of tables that are not there any more.
_TIDY = """
DELETE FROM main.thanosql_failures WHERE schema_name = 'main' AND NOT EXISTS (
    SELECT 1 FROM main.sqlite_master AS m WHERE m.name = table_name COLLATE NOCASE)"""


class Failures:
    """What is known of the failures of one column of vectors.

    Args:
        database: The database; the caller commits.
        column: Schema, table and column.
    """

    def __init__(self, database: Database, column: tuple[str, str, str]) -> None:
        self._database, self._column = database, column

    @property
    def are_noted(self) -> bool:
        """Whether the database has noted failures of any column."""
        return bool(self._database.table_columns("main", "thanosql_failures"))

    def forget(self, rows: str = "1") -> None:
        """Forget failures.

        Args:
            rows: An SQL condition on ``row_key``.
        """
        if self.are_noted:
            self._database.execute(
                f"DELETE FROM main.thanosql_failures WHERE {_COLUMN} AND ({rows})", self._column
            )
            self._database.execute(_TIDY)

    def add(self, key: str, failures: Iterable[tuple[int, str, str]]) -> None:
        """Note failures.

        Args:
            key: An SQL expression for the key of a row whose number is the last parameter.
            failures: Number, source and reason of each row.
        """
        self._database.execute(_FAILURES)
        self._database.execute_many(
            "INSERT INTO main.thanosql_failures"
            " (schema_name, table_name, column_name, source, reason, at, row_key)"
            f" VALUES (?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'), {key})",
            ((*self._column, source, reason, number) for number, source, reason in failures),
        )
