"""Cursor: plain SQL goes straight to sqlite3, ThanoSQL through the statements."""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import language
from .errors import Error, ProgrammingError
from .sqlite3_compat import NAMES_ARE_WARNED_OF, relay, warns_of_names
from .stores.sqlite.database import Database
from .vectors import Decoder

if TYPE_CHECKING:
    from typing_extensions import Self

    from .connection import Connection
    from .language.tree import Tree
    from .stores.sqlite.database import Parameters

# Looked up once: a point query takes two microseconds in all.
_execute = sqlite3.Cursor.execute
_OperationalError = sqlite3.OperationalError

_ALTER = re.compile(r"(?:[ \t\n\v\f\r\ufeff;]|--[^\n]*|/\*[\s\S]*?\*/)*alter\b", re.IGNORECASE)

_ALTERS = re.compile(r"\balter\b", re.IGNORECASE)

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

            _execute(self, "")  # ends the last statement: it may hold what ours changes
            if statements.may_make_columns(tree):
                connection._forget_columns()
            execute = functools.partial(_execute, self)
            statements.run(connection._context(), execute, sql, tree, parameters)
        elif is_usable and _ALTER.match(sql) is not None:
            return self._alter(sql, parameters)
        elif NAMES_ARE_WARNED_OF and warns_of_names(sql, parameters):
            relay(_execute, self, sql, parameters)
        else:
            _execute(self, sql, parameters)
        return self._look_at_columns(sql if tree is None else None)

    def _alter(self, sql: str, parameters: Parameters) -> Self:
        """Execute a text that begins with ALTER, which may rename or drop a column of vectors."""
        from .stores.sqlite.alteration import alter

        connection = self.connection
        execute = functools.partial(_execute, self, sql, parameters)
        alter(Database(connection), sql, execute, connection._untraced)
        connection._forget_columns()
        # Not remembered as plain SQL: the next time it may be a column of vectors.
        return self._look_at_columns(None)

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
                self._run_script(piece)
        return self

    def _run_script(self, script: Any) -> None:
        """Run a script of plain SQL, which may drop columns of vectors."""
        if not isinstance(script, str) or _ALTERS.search(script) is None:
            super().executescript(script)
            return
        from .stores.sqlite.alteration import undo_removal, with_removals

        connection = self.connection
        database = Database(connection)
        with connection._untraced():
            script = with_removals(database, script)
        try:
            super().executescript(script)
        except Error:
            with connection._untraced():
                undo_removal(database)
            raise
        finally:
            connection._forget_columns()

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
