"""Plain SQL on the driver's own behalf, whatever the user has set on the connection.

A user may change ``row_factory``, ``text_factory`` and transaction control as sqlite3 allows; what
the driver asks for itself must not depend on it. This module knows SQLite, and no ThanoSQL.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import DataError, clip
from ...language.names import quote_name

if TYPE_CHECKING:
    from sqlite3 import _Parameters  # the standard library's stub has it alone

    Parameters = _Parameters

_SAVEPOINT = "thanosql_statement"
_MOST_VARIABLES = 999
"""The limit before SQLite 3.32; more make nothing quicker."""


class Database:
    """The SQLite database behind one connection.

    Args:
        connection: An open connection; the object is meant to live for one statement only.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return all rows as plain tuples with text as str.

        Bytes that are not UTF-8, which SQLite does not look at, become half surrogate pairs, as in
        file names: one such text must not keep the other rows from being read.
        """
        with self._text_as_str():
            try:
                return self._executed(sql, parameters).fetchall()
            except sqlite3.OperationalError as error:
                if not _is_not_utf8(error):
                    raise
            self.connection.text_factory = _lenient
            return self._executed(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None when there is none."""
        with self._text_as_str():
            cursor = self._executed(sql, parameters)
            row: tuple[Any, ...] | None = cursor.fetchone()
            cursor.close()
            return row

    def stream(
        self, sql: str, parameters: Parameters = (), size: int = 1000
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows as plain tuples, reading ``size`` at a time."""
        for chunk in self.chunks(sql, parameters, size):
            yield from chunk

    def chunks(
        self, sql: str, parameters: Parameters = (), size: int = 1000
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Yield rows as plain tuples, ``size`` in a list; to be closed, if not read to the end."""
        with self._text_as(_lenient):
            cursor = self._executed(sql, parameters)
        try:
            while True:
                with self._text_as(_lenient):
                    chunk = cursor.fetchmany(size)
                if not chunk:
                    return
                yield chunk
        finally:
            cursor.close()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute a statement that returns no rows, and return the number of rows it changed."""
        cursor = self._executed(sql, parameters)
        count = cursor.rowcount
        cursor.close()
        return count

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each row of parameters."""
        cursor = sqlite3.Cursor(self.connection)
        try:
            cursor.executemany(sql, rows)
        except UnicodeEncodeError as error:
            raise refused(error, sql, ()) from error
        cursor.close()

    def file(self) -> str:
        """Return the path of the main database's file, ``""`` if it is in memory."""
        rows = self.rows("PRAGMA database_list")
        return next((row[2] for row in rows if row[1] == "main"), "")

    def most_variables(self) -> int:
        """Return how many parameters one statement may have, as far as every SQLite can."""
        if sys.version_info < (3, 11):
            return _MOST_VARIABLES
        limit = self.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        return min(limit, _MOST_VARIABLES)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Make the block all or nothing.

        Inside a transaction the block joins it, guarded by a savepoint. Outside one it is a
        transaction of its own, committed at the end.
        """
        if self.connection.in_transaction:
            begin, commit = f"SAVEPOINT {_SAVEPOINT}", [f"RELEASE {_SAVEPOINT}"]
            undo = [f"ROLLBACK TO {_SAVEPOINT}", f"RELEASE {_SAVEPOINT}"]
        else:
            begin, commit, undo = "BEGIN IMMEDIATE", ["COMMIT"], ["ROLLBACK"]
        self.execute(begin)
        try:
            yield
            # A COMMIT fails while another connection reads, and leaves the transaction open.
            for sql in commit:
                self.execute(sql)
        except BaseException:
            # SQLite itself rolls back on some errors (a full disk); then nothing is left to undo.
            if self.connection.in_transaction:
                for sql in undo:
                    self.execute(sql)
            raise

    def columns(self, sql: str, parameters: Parameters = ()) -> list[str]:
        """Return the names of a query's columns without running it to its rows."""
        with self._text_as_str():
            cursor = self._executed(f"SELECT * FROM ({sql}\n) LIMIT 0", parameters)
        names = [column[0] for column in cursor.description]
        cursor.close()
        return names

    def table_columns(self, schema: str | None, table: str) -> list[tuple[str, str]]:
        """Return (name, declared type) of a table's or view's columns; empty if there is none."""
        where = "" if schema is None else f"{quote_name(schema)}."
        return [
            (row[1], row[2]) for row in self.rows(f"PRAGMA {where}table_info({quote_name(table)})")
        ]

    def row_id(self, schema: str, table: str) -> str | None:
        """Return a name of a table's row id that no column has taken; None where it has none."""
        name = row_id_name(column for column, _ in self.table_columns(schema, table))
        if name is None:
            return None
        try:
            self.columns(f"SELECT {name} FROM {quote_name(schema, table)}")
        except sqlite3.OperationalError:
            return None  # a WITHOUT ROWID table
        return name

    def is_strict(self, schema: str, table: str) -> bool:
        """Return whether a table is STRICT; SQLite before 3.37 has none.

        Source: https://www.sqlite.org/stricttables.html
        """
        rows = self.rows(f"PRAGMA {quote_name(schema)}.table_list({quote_name(table)})")
        return any(row[5] for row in rows)

    def find_table(self, schema: str | None, table: str) -> tuple[str, str, str] | None:
        """Return (schema, name, type) of a table or view as SQLite would resolve it, or None.

        ``type`` is ``"table"`` or ``"view"``; ``name`` is spelled as it was created.
        """
        attached = [row[1] for row in self.rows("PRAGMA database_list")]
        # The order of SQLite's own search: temp, main, then the attached ones.
        order = [schema] if schema else sorted(attached, key=lambda name: name != "temp")
        for name in order:
            if name.lower() not in (each.lower() for each in (*attached, "temp")):
                continue
            row = self.row(
                f"SELECT name, type FROM {quote_name(name)}.sqlite_master"
                " WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
                (table,),
            )
            if row:
                return name, row[0], row[1]
        return None

    def _executed(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        try:
            return sqlite3.Cursor(self.connection).execute(sql, parameters)
        except NOT_TAKEN as error:
            raise refused(error, sql, parameters) from error

    def _text_as_str(self) -> AbstractContextManager[None]:
        return self._text_as(str)

    @contextmanager
    def _text_as(self, wanted: Callable[[bytes], str]) -> Iterator[None]:
        factory = self.connection.text_factory
        self.connection.text_factory = wanted
        try:
            yield
        finally:
            self.connection.text_factory = factory


def row_id_name(columns: Iterable[str]) -> str | None:
    """Return a name of the row id that no column of the table has taken, or None.

    Source: https://www.sqlite.org/lang_createtable.html#rowid
    """
    taken = {column.lower() for column in columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


NOT_TAKEN = (UnicodeError, OverflowError, ValueError, BufferError, TypeError)
"""What sqlite3 itself raises for a value that it cannot give to SQLite."""


def refused(error: Exception, sql: str, parameters: Parameters) -> DataError:
    """Return the PEP 249 error for a value that sqlite3 cannot give to SQLite.

    Args:
        error: What sqlite3 raised, one of :data:`NOT_TAKEN`.
        sql: The statement.
        parameters: Its values; the one at fault is named.
    """
    values: Any = parameters.values() if isinstance(parameters, Mapping) else parameters
    bad = error.object if isinstance(error, UnicodeEncodeError) else _not_taken(values)
    if bad is None or bad == sql:
        return DataError(f"SQLite cannot take the statement {clip(sql)}: {error}")
    return DataError(f"SQLite cannot take the value {clip(bad)}: {error}")


def _not_taken(values: Iterable[Any]) -> object:
    for value in values:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return value
        if isinstance(value, memoryview) and not value.c_contiguous:
            return value
    return None


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _is_not_utf8(error: sqlite3.OperationalError) -> bool:
    return "decode to UTF-8" in str(error)
