"""Cursor: plain SQL goes straight to sqlite3, ThanoSQL through the statements."""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from . import language
from .errors import Error, ProgrammingError
from .language import sqlite_may_accept
from .plain_texts import UNSETTLED, HasVectors, PlainTexts
from .sharing import derived
from .sqlite3_compat import NAMES_ARE_WARNED_OF, relay, warns_of_names
from .vectors import Decoder

if TYPE_CHECKING:
    from typing_extensions import Self

    from .errors import WorkspaceError
    from .language.tree import Tree
    from .plain_texts import Description
    from .statements import Context
    from .stores.sqlite.database import Database, Parameters

# Looked up once: a point query takes two microseconds in all.
_execute = sqlite3.Cursor.execute
_executemany = sqlite3.Cursor.executemany
_OperationalError = sqlite3.OperationalError
_SYNTAX = ": syntax error"

# Each comment matches in one way only, or a text of many would be tried in all ways.
_ALTER = re.compile(
    r"(?:[ \t\n\v\f\r\ufeff;]|--[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*alter\b", re.IGNORECASE
)
# How a text begins that begins with ALTER: the expression alone costs most texts more.
_BEFORE_ALTER = frozenset("aA;-/ \t\n\v\f\r\ufeff")

# What plain SQL names that calls a function of ours, whose errors SQLite forgets.
_FUNCTIONS = re.compile("cosine_similarity|embed_|predict_|vector_mean|thanosql_", re.IGNORECASE)

_ALTERS = re.compile(r"\balter\b", re.IGNORECASE)

# A statement that does nothing. An empty text does not serve: SQLite does not execute it, and
# Python 3.12 and later then raise the error, or the row, that the connection's last call left.
_NOTHING = "DROP TABLE IF EXISTS temp.thanosql_no_table"


class Owner(HasVectors, Protocol):
    """What a cursor asks of the connection that made it."""

    _plain: PlainTexts
    _settled: dict[str, Description | None]

    def check_process(self) -> None:
        """Raise ProgrammingError in a child process that got the connection by ``fork``."""

    def _context(self) -> Context:
        """Return what the handlers of the statements work with."""

    def _database(self) -> Database:
        """Return the database, for SQL on the driver's own behalf."""

    def _untraced(self) -> AbstractContextManager[None]:
        """Keep what the driver asks for itself from a trace of the user's statements."""

    def _explained(self, error: sqlite3.OperationalError) -> BaseException:
        """Return why an SQL function of ours failed, where SQLite only says that it did."""

    def _refusal(self) -> WorkspaceError | None:
        """Return why ``confine_attach`` refused the last statement, if it did."""


class BaseCursor(sqlite3.Cursor):
    """Executes statements, for ``thanosql_dbapi.Cursor``, which adds its connection's class.

    A connection makes cursors, so ``connection`` imports this module, which knows it as an
    :class:`Owner` only.
    """

    __slots__ = ()

    connection: Owner  # type: ignore[assignment]  # it is an sqlite3.Connection as well

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
        elif sql[:1] in _BEFORE_ALTER and _ALTER.match(sql) is not None:
            return self._alter(sql, parameters)
        if tree is None:
            try:
                if NAMES_ARE_WARNED_OF and warns_of_names(sql, parameters):
                    relay(_execute, self, sql, parameters)
                else:
                    _execute(self, sql, parameters)
            except Exception as error:
                # Plain SQL with an error, or ThanoSQL.
                try:
                    tree = _classify(sql)
                except ProgrammingError as refused:
                    raise refused from None  # not "while handling" SQLite's syntax error
                if tree is None:
                    if (refusal := self._refusal()) is not None:
                        raise refusal from error
                    if error.__class__ is _OperationalError and str(error).endswith(_SYNTAX):
                        raise _hinted(error, sql) from error.__cause__
                    raise
            else:
                connection, plain = self.connection, sql if _FUNCTIONS.search(sql) is None else None
                if plain is None:
                    self.__class__ = _explaining(type(self))
                vectors = connection._plain.vectors_in(self.description, plain, connection)
                if vectors:
                    self._rows = Decoder(vectors, self._rows)
                return self
        return self._run_tree(sql, tree, parameters)

    def _run_tree(self, sql: str, tree: Tree, parameters: Parameters) -> Self:
        """Execute a ThanoSQL statement."""
        from . import statements

        connection = self.connection
        self._end_statement()  # it may use what this one changes
        if statements.may_make_columns(tree):
            connection._plain.forget()
        execute = functools.partial(_execute, self)
        statements.run(connection._context(), execute, sql, tree, parameters)
        self._decode_vectors(None)
        self.__class__ = _explaining(type(self))
        return self

    def _end_statement(self) -> None:
        """End the statement that the cursor executed last; ``description`` becomes None."""
        # A cursor whose __init__ did not run has no connection: sqlite3 raises.
        connection: Owner | None = self.connection
        with nullcontext() if connection is None else connection._untraced():
            _execute(self, _NOTHING)

    def _alter(self, sql: str, parameters: Parameters) -> Self:
        """Execute a text that begins with ALTER, which may rename or drop a column of vectors."""
        from .stores.sqlite.alteration import alter

        connection = self.connection
        execute = functools.partial(_execute, self, sql, parameters)
        alter(connection._database(), sql, execute, connection._untraced)
        connection._plain.forget()
        # Not remembered as plain SQL: the next time it may be a column of vectors.
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
        self._check_process()
        tree = _classify(sql)
        if tree is None or _is_plain(tree):
            self._stop_decoding()
            try:
                super().executemany(sql, parameters)
            except _OperationalError as error:
                raise self.connection._explained(error) from error.__cause__
            return self
        from .language.walk import returns_rows

        if returns_rows(tree):
            raise ProgrammingError(
                "executemany() can only execute statements that return no rows, and this one"
                " returns rows; call execute() for each set of parameters"
            )
        from . import statements

        connection = self.connection
        self._end_statement()
        connection._plain.forget()
        try:
            statements.run_many(
                connection._context(),
                functools.partial(_executemany, self),
                functools.partial(_execute, self),
                sql,
                tree,
                parameters,
            )
        except _OperationalError as error:
            raise connection._explained(error) from error.__cause__
        return self

    def executescript(self, sql_script: str, /) -> Self:
        """Execute several statements, plain SQL and ThanoSQL mixed; rows are not kept.

        As in sqlite3, an open transaction is committed first.
        """
        self._check_process()
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
                continue
            try:
                self._run_script(piece)
            except _OperationalError as error:
                raise self.connection._explained(error) from error.__cause__
        return self

    def _check_process(self) -> None:
        # A cursor whose __init__ did not run has no connection: sqlite3 raises.
        connection: Owner | None = self.connection
        if connection is not None:
            connection.check_process()

    def _refusal(self) -> WorkspaceError | None:
        # As in _check_process.
        connection: Owner | None = self.connection
        return None if connection is None else connection._refusal()

    def _run_script(self, script: Any) -> None:
        """Run a script of plain SQL, which may drop columns of vectors."""
        if not isinstance(script, str) or _ALTERS.search(script) is None:
            try:
                super().executescript(script)
            except Error as error:
                if (refusal := self._refusal()) is not None:
                    raise refusal from error
                raise
            return
        from .stores.sqlite.alteration import undo_removal, with_removals

        connection = self.connection
        database = connection._database()
        with connection._untraced():
            script = with_removals(database, script)
        try:
            super().executescript(script)
        except Error:
            with connection._untraced():
                undo_removal(database)
            raise
        finally:
            connection._plain.forget()

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


@functools.cache
def _explaining(kind: Any) -> Any:
    """Return a class of cursors that fetch the rows of a statement which calls functions of ours.

    Where one fails, SQLite says only that it did, and the fetch raises the cause. All other rows
    are fetched in C: the next ``execute`` makes the cursor one of its own class again.
    """

    def explained(fetch: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fetch)
        def call(self: Any, /, *arguments: Any, **options: Any) -> Any:
            try:
                return fetch(self, *arguments, **options)
            except _OperationalError as error:
                raise self.connection._explained(error) from error.__cause__

        return call

    @functools.wraps(kind.execute)
    def execute(self: Any, /, *arguments: Any) -> Any:
        self.__class__ = kind
        return self.execute(*arguments)

    fetches = ("fetchone", "fetchmany", "fetchall", "__next__")
    methods = {name: explained(getattr(kind, name)) for name in fetches}
    return derived(kind, {**methods, "execute": execute})


def _hinted(error: sqlite3.OperationalError, sql: str) -> sqlite3.OperationalError:
    """Return SQLite's error with what was probably meant, where a statement of ours was."""
    from .language.hints import hint_of

    hint = hint_of(sql)
    return type(error)(f"{error}; {hint}") if hint else error


def _classify(sql: object) -> Tree | None:
    """Return what a ThanoSQL statement says, None for what goes to sqlite3 as it is.

    The one place where the two part. A non-str goes to sqlite3, which raises.
    """
    return language.parse(sql) if isinstance(sql, str) else None


def _is_plain(tree: Tree) -> bool:
    """Return whether a text that statements may narrow is plain SQL all the same."""
    from .language.tree import Ranked

    return isinstance(tree, Ranked)
