"""Cursor: plain SQL goes straight to sqlite3, ThanoSQL through the statements."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from . import language
from .errors import ProgrammingError
from .sqlite3_compat import NAMES_ARE_WARNED_OF, relay, warns_of_names
from .vectors import Decoder

if TYPE_CHECKING:
    from typing_extensions import Self

    from .connection import Connection
    from .language.tree import Tree
    from .stores.sqlite.database import Parameters

# Looked up once: a point query takes two microseconds in all.
_execute = sqlite3.Cursor.execute
_OperationalError = sqlite3.OperationalError

# A statement that does nothing. An empty text does not serve: SQLite does not execute it, and
# Python 3.12 and later then raise the error, or the row, that the connection's last call left.
_NOTHING = "DROP TABLE IF EXISTS temp.thanosql_no_table"

UNSETTLED: Any = object()
"""Stands for the columns of a text that has not been found to be plain SQL."""


class Cursor(sqlite3.Cursor):
    """A PEP 249 cursor; everything of ``sqlite3.Cursor`` holds.

    A column of vectors is fetched as one-dimensional float32 arrays. A ThanoSQL statement that
    has no rows to return leaves ``description`` None.
    """

    __slots__ = ()

    connection: Connection

    # What sqlite3 itself calls with each row; the property below has the user's part of it.
    _rows = sqlite3.Cursor.__dict__["row_factory"]

    def execute(self, sql: str, parameters: Parameters = (), /) -> Self:
        """Execute one statement, plain SQL or ThanoSQL.

        Args:
            sql: The statement. Plain SQL is given to SQLite as the same object.
            parameters: Values of its placeholders, a sequence or a mapping.

        Returns:
            This cursor.

        Raises:
            StatementError: A ThanoSQL statement that does not parse; it has the line and column.
            ModelError: A model that is not registered or cannot be loaded.
            MediaError: An image that cannot be read.
            SourceError: A data set, file or download that is missing or damaged.
            WorkspaceError: A path that may not be read.
            sqlite3.Error: What SQLite itself refuses.

        Example:
            >>> import thanosql_dbapi
            >>> with thanosql_dbapi.connect(":memory:") as connection:
            ...     cursor = connection.execute("SELECT ? + 1", (1,))
            >>> cursor.fetchone()
            (2,)
            >>> connection.close()

        Source: PEP 249, ".execute(operation [, parameters])".
        """
        try:
            columns = self.connection._settled[sql]
        except (KeyError, TypeError, AttributeError):
            # Or no text, or a cursor whose __init__ did not run: sqlite3 has words for both.
            columns = UNSETTLED
        try:
            if columns is UNSETTLED or self._rows.__class__ is Decoder:
                return self._run(sql, parameters)
            _execute(self, sql, parameters)
            if columns is None or self.description == columns:
                return self
            return self._look_at_columns(sql)
        except _OperationalError as error:
            raise self.connection._explained(error) from error.__cause__

    def _run(self, sql: str, parameters: Parameters) -> Self:
        """Execute a statement that is ThanoSQL, or whose columns are to be looked at."""
        if self._rows.__class__ is Decoder:
            self._stop_decoding()
        connection = self.connection
        is_usable = sql.__class__ is str and connection is not None
        is_remembered = is_usable and (
            sql in connection._settled or sql in connection._plain_columns
        )
        tree = None if is_remembered else _classify(sql)
        if tree is not None:
            from . import statements

            self._end_statement()  # it may hold what ours changes
            if statements.may_make_columns(tree):
                connection._forget_columns()
            execute = functools.partial(_execute, self)
            statements.run(connection._context(), execute, sql, tree, parameters)
        elif NAMES_ARE_WARNED_OF and warns_of_names(sql, parameters):
            relay(_execute, self, sql, parameters)
        else:
            _execute(self, sql, parameters)
        return self._look_at_columns(sql if tree is None else None)

    def _end_statement(self) -> None:
        """End the statement that the cursor executed last; ``description`` becomes None."""
        connection = self.connection
        # A cursor whose __init__ did not run has no connection: sqlite3 raises.
        with nullcontext() if connection is None else connection._untraced():
            _execute(self, _NOTHING)

    def _look_at_columns(self, sql: str | None) -> Self:
        """Have the vectors among the result's columns decoded; a text is one of plain SQL."""
        decoded = self.connection._vectors_of(self.description, sql)
        if decoded:
            self._rows = Decoder(decoded, self._rows)
        return self

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Self:
        """Execute one statement once for each set of parameters.

        A ThanoSQL statement works where a plain one does: where it returns no rows.

        Raises:
            ProgrammingError: The statement returns rows.
        """
        tree = _classify(sql)
        if tree is None or _is_plain(tree):
            self._stop_decoding()
            super().executemany(sql, parameters)
            return self
        if _returns_rows(tree):
            raise ProgrammingError(
                "executemany() can only execute statements that return no rows, and this one"
                " returns rows; call execute() for each set of parameters"
            )
        for each in parameters:
            self.execute(sql, each)
        return self

    def executescript(self, sql_script: str, /) -> Self:
        """Execute several statements, plain SQL and ThanoSQL mixed; rows are not kept.

        As in sqlite3, an open transaction is committed first.
        """
        script: object = sql_script
        pieces = (
            language.split_script(script)
            if isinstance(script, str) and language.may_be_thanosql(script)
            else [sql_script]
        )
        for piece in pieces:
            if _classify(piece) is not None:
                self.execute(piece)
                self.fetchall()
            else:
                super().executescript(piece)
        return self

    @property
    def row_factory(self) -> Any:
        """The user's row factory, or None; vectors are decoded before it gets the row."""
        rows = self._rows
        return rows.row_factory if isinstance(rows, Decoder) else rows

    @row_factory.setter
    def row_factory(self, row_factory: Any) -> None:
        rows = self._rows
        is_decoding = isinstance(rows, Decoder)
        self._rows = Decoder(rows.dimensions, row_factory) if is_decoding else row_factory

    def _stop_decoding(self) -> None:
        if isinstance(self._rows, Decoder):
            self._rows = self._rows.row_factory


def _classify(sql: object) -> Tree | None:
    """Return what a ThanoSQL statement says, None for what goes to sqlite3 as it is.

    The one place where the two part. What is no text at all, sqlite3 is to refuse in its own words.
    """
    return language.parse(sql) if isinstance(sql, str) else None


def _is_plain(tree: Tree) -> bool:
    """Return whether a text that statements may narrow is plain SQL all the same."""
    from .language.tree import Ranked

    return isinstance(tree, Ranked)


def _returns_rows(tree: Tree) -> bool:
    from .language.tree import Print, Query

    if isinstance(tree, Query):
        return tree.verb in ("SELECT", "EXPLAIN", "WITH", "VALUES")
    return isinstance(tree, Print)
