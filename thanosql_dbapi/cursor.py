"""Cursor: plain SQL goes straight to sqlite3, ThanoSQL through the statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import language, statements
from .errors import ProgrammingError
from .language.tree import Print, Query, Tree
from .vectors import RowFactory, decoder

if TYPE_CHECKING:
    from typing_extensions import Self

    from .connection import Connection
    from .database import Parameters

# sqlite3.Cursor reads the slot itself; the property below keeps the user's value beside ours.
_row_factory_slot = sqlite3.Cursor.__dict__["row_factory"]


class Cursor(sqlite3.Cursor):
    """A PEP 249 cursor; everything of ``sqlite3.Cursor`` holds.

    A column of vectors is fetched as one-dimensional float32 arrays. A ThanoSQL statement that
    has no rows to return leaves ``description`` None.
    """

    connection: Connection

    def __init__(self, connection: Connection, /) -> None:
        super().__init__(connection)
        self._decoded: dict[int, int] = {}
        self._own_row_factory: RowFactory | None = None

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
        if self._decoded:
            self._stop_decoding()
        tree = _parse(sql)
        try:
            if tree is None:
                super().execute(sql, parameters)
            else:
                super().execute("")  # ends the last statement: it may hold what ours changes
                super().execute(
                    *statements.prepare(self.connection._context(), sql, tree, parameters)
                )
        except sqlite3.OperationalError as error:
            raise self.connection._explained(error) from error.__cause__
        if self.description is not None:
            self._start_decoding()
        return self

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Self:
        """Execute one statement once for each set of parameters.

        A ThanoSQL statement works where a plain one does: where it returns no rows.

        Raises:
            ProgrammingError: The statement returns rows.
        """
        tree = _parse(sql)
        if tree is None:
            if self._decoded:
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
            if _parse(piece) is not None:
                self.execute(piece)
                self.fetchall()
            else:
                super().executescript(piece)
        return self

    @property
    def row_factory(self) -> Any:
        """The user's row factory, or None; vectors are decoded before it gets the row."""
        return self._own_row_factory if self._decoded else _row_factory_slot.__get__(self)

    @row_factory.setter
    def row_factory(self, row_factory: Any) -> None:
        if self._decoded:
            self._own_row_factory = row_factory
            row_factory = decoder(self._decoded, row_factory)
        _row_factory_slot.__set__(self, row_factory)

    def _start_decoding(self) -> None:
        names = [column[0].lower() for column in self.description]
        known = self.connection._vector_names(names)
        decoded = {index: known[name] for index, name in enumerate(names) if name in known}
        if decoded:
            own = _row_factory_slot.__get__(self)
            self._decoded, self._own_row_factory = decoded, own
            _row_factory_slot.__set__(self, decoder(decoded, own))

    def _stop_decoding(self) -> None:
        _row_factory_slot.__set__(self, self._own_row_factory)
        self._decoded, self._own_row_factory = {}, None


def _parse(sql: object) -> Tree | None:
    # What is no text at all, sqlite3 is to refuse in its own words.
    return language.parse(sql) if isinstance(sql, str) else None


def _returns_rows(tree: Tree) -> bool:
    if isinstance(tree, Query):
        return tree.verb in ("SELECT", "EXPLAIN", "WITH", "VALUES")
    return isinstance(tree, Print)
