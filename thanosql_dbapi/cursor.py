"""Cursor: plain SQL goes straight to sqlite3, ThanoSQL through the statements."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import language
from .errors import ProgrammingError
from .language import sqlite_may_accept
from .plain_texts import UNSETTLED
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
            columns = self.connection._settled.get(sql, UNSETTLED)
        except (TypeError, AttributeError):
            # Not a str, or a cursor whose __init__ did not run: sqlite3 raises for both.
            columns = UNSETTLED
        try:
            if self._rows.__class__ is Decoder:
                self._stop_decoding()
            elif columns is not UNSETTLED:
                _execute(self, sql, parameters)
                if columns is not None and self.description != columns:
                    self._decode_vectors(sql)
                return self
            return self._run(sql, parameters)
        except _OperationalError as error:
            raise self.connection._explained(error) from error.__cause__

    def _run(self, sql: str, parameters: Parameters) -> Self:
        """Execute a statement that is not settled, on a cursor that decodes no vectors."""
        tree = None
        if sql.__class__ is not str or ("(" in sql and sqlite_may_accept(sql)):
            tree = _classify(sql)
        if tree is None:
            try:
                if NAMES_ARE_WARNED_OF and warns_of_names(sql, parameters):
                    relay(_execute, self, sql, parameters)
                else:
                    _execute(self, sql, parameters)
            except Exception:
                # Plain SQL with an error, or ThanoSQL.
                try:
                    tree = _classify(sql)
                except ProgrammingError as error:
                    raise error from None  # not "while handling" SQLite's syntax error
                if tree is None:
                    raise
            else:
                connection = self.connection
                vectors = connection._plain.vectors_in(self.description, sql, connection)
                if vectors:
                    self._rows = Decoder(vectors, self._rows)
                return self
        return self._run_tree(sql, tree, parameters)

    def _run_tree(self, sql: str, tree: Tree, parameters: Parameters) -> Self:
        """Execute a ThanoSQL statement."""
        from . import statements

        connection = self.connection
        _execute(self, "")  # ends the last statement, which may use what this one changes
        if statements.may_make_columns(tree):
            connection._plain.forget()
        execute = functools.partial(_execute, self)
        statements.run(connection._context(), execute, sql, tree, parameters)
        self._decode_vectors(None)
        return self

    def _decode_vectors(self, sql: str | None) -> None:
        """Decode the vectors among the result's columns; ``sql`` is None for ThanoSQL."""
        connection = self.connection
        found = connection._plain.vectors_in(self.description, sql, connection)
        if found:
            self._rows = Decoder(found, self._rows)

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
