"""Connection: an sqlite3 connection with sqlite-vec, our SQL functions and our cursors."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from .cursor import BaseCursor
from .errors import Error, ProgrammingError, WorkspaceError, clip
from .explanation import Explanation, indented
from .language import parse
from .plain_texts import UNSETTLED, PlainTexts
from .planning.report import Report
from .settings import OPTIONS, Settings
from .sharing import CONNECTION, CURSOR, belongs_to_process, guarded
from .sqlite3_compat import (
    POSITIONAL,
    adapt_default_types,
    is_foreign,
    options_of,
    relay,
    with_abilities_of,
)
from .stores.sqlite import extension, functions
from .stores.sqlite.database import Database
from .stores.sqlite.location import PAGE_SIZE, locate, with_mode
from .stores.sqlite.memory import Memory
from .stores.sqlite.registry import Registry
from .stores.sqlite.state import State
from .vectors import register_adapter
from .workspace import StrPath

if TYPE_CHECKING:
    from .statements import Context
    from .stores.sqlite.database import Parameters

_FUNCTION_FAILED = "user-defined "
"""How SQLite's messages begin where a function or an aggregate of Python's raised."""

_cursor = sqlite3.Connection.cursor
_execute = sqlite3.Cursor.execute
_OperationalError = sqlite3.OperationalError


class Cursor(BaseCursor):
    """A PEP 249 cursor; everything of ``sqlite3.Cursor`` holds.

    A column of vectors is fetched as one-dimensional float32 arrays. A ThanoSQL statement that
    has no rows to return leaves ``description`` None.
    """

    __slots__ = ()

    connection: Connection


def _lock_of(connection: Connection) -> threading.RLock:
    return connection._lock


def _lock_behind(cursor: Cursor) -> threading.RLock:
    return cursor.connection._lock


class Connection(sqlite3.Connection):
    """A PEP 249 connection; everything of ``sqlite3.Connection`` holds.

    Made by :func:`thanosql_dbapi.connect`, which describes the arguments: the options that
    ``settings.OPTIONS`` has, and those of ``sqlite3.connect``.
    """

    _name = "not opened"
    _lock: threading.RLock  # of connections that threads share
    _cursors: type[Cursor] = Cursor

    def __new__(cls, *arguments: Any, **options: Any) -> Connection:
        """Make an object that takes a lock where threads may share the connection."""
        place = 1 + POSITIONAL.index("check_same_thread")
        given = arguments[place] if len(arguments) > place else None
        if options.get("check_same_thread", True if given is None else given):
            return super().__new__(cls)
        kind: Any = cls
        connection: Connection = super().__new__(guarded(kind, CONNECTION, _lock_of))
        connection._lock = threading.RLock()
        connection._cursors = guarded(Cursor, CURSOR, _lock_behind)
        return connection

    def __init__(
        self,
        database: Union[StrPath, bytes] = ":memory:",
        *sqlite3_arguments: Any,
        **options: Any,
    ) -> None:
        ours = {name: options.pop(name) for name in OPTIONS if name in options}
        options = options_of(sqlite3_arguments, options, "_sqlite3.Connection()")
        name = os.fsdecode(database)
        is_uri = bool(options.get("uri"))
        mode = ours.get("mode")
        if mode is not None:
            OPTIONS["mode"].value(mode)
            database, options["uri"] = with_mode(database, mode, is_uri=is_uri)
        location = locate(database, is_uri=is_uri or mode is not None)
        is_read_only = location.is_read_only or location.is_protected
        settings = Settings.of(ours, location.folder, is_read_only=is_read_only)
        is_new, identity = location.is_new, location.identity
        with extension.loading() as load:
            super().__init__(database, **options)
            try:
                load(self)
                if is_new:
                    sqlite3.Cursor(self).execute(f"PRAGMA page_size = {PAGE_SIZE}").close()
            except BaseException:
                super().close()
                raise
        self.settings = settings
        self._name = name
        self._file = location.file
        # Another file may have taken the name while SQLite opened it.
        is_certain = identity in (None, location.identity)
        self._state = State(file_identity=location.identity if is_certain else None)
        self._plain = PlainTexts()
        self._settled = self._plain.settled
        self._trace_callback: Any = None
        register_adapter()
        adapt_default_types()
        self._register_functions()
        belongs_to_process(self)
        self._guard = None
        if settings.confine_attach:
            from .stores.sqlite.guard import Guard

            is_uri = bool(options.get("uri"))
            self._guard = Guard(settings.workspace.root, is_uri=is_uri)
            super().set_authorizer(self._guard)

    def __repr__(self) -> str:
        settings = self.__dict__.get("settings")
        workspace = f", workspace {str(settings.workspace.root)!r}" if settings else ""
        return f"<thanosql_dbapi.Connection {self._name!r}{workspace}>"

    @property
    def workspace(self) -> Path:
        """The folder where relative paths start, and where data sets and models are kept."""
        return self.settings.workspace.root

    @property
    def report(self) -> Report | None:
        """What the last COPY or CONVERT that succeeded did, in numbers; None before the first."""
        return self._state.report

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a new cursor; ``factory`` is as in sqlite3."""
        if factory is not Cursor and is_foreign(factory, Cursor, sqlite3.Cursor):
            factory = with_abilities_of(Cursor, factory)
        if "_lock" in self.__dict__ and isinstance(factory, type):
            factory = guarded(factory, CURSOR, _lock_behind)
        return _cursor(self, factory)

    def check_process(self) -> None:
        """Raise ProgrammingError in a child process that got the connection by ``fork``."""

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Execute one statement on a new cursor, and return the cursor."""
        cursor: Cursor = _cursor(self, self._cursors)
        # Cursor.execute alone would do, but one more call makes a point query 5 % slower.
        try:
            columns = self._settled.get(sql, UNSETTLED)
        except (TypeError, AttributeError):
            columns = UNSETTLED
        try:
            if columns is UNSETTLED:
                return cursor._run(sql, parameters)
            _execute(cursor, sql, parameters)
            if columns is not None and cursor.description != columns:
                cursor._decode_vectors(sql)
            return cursor
        except _OperationalError as error:
            raise self._explained(error) from error.__cause__

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Execute one statement for each set of parameters on a new cursor, and return it."""
        cursor: Cursor = _cursor(self, self._cursors)
        return cursor.executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Cursor:
        """Execute a script on a new cursor, and return the cursor."""
        cursor: Cursor = _cursor(self, self._cursors)
        return cursor.executescript(sql_script)

    def close(self) -> None:
        """Close the database, and let go of the vectors in memory; as in sqlite3."""
        super().close()
        if state := self.__dict__.get("_state"):
            state.matrices = None
            if state.executor is not None:
                state.executor.close()
            if state.unsettled:
                from .statements.models import settle_closed

                settle_closed(self.settings, state, self._file)

    if sys.version_info >= (3, 11):

        def deserialize(self, *arguments: Any, **options: Any) -> None:
            """Replace a database; as in sqlite3. What is known of the old one is forgotten."""
            try:
                super().deserialize(*arguments, **options)
            finally:
                self._state.file_identity = None
                self._state.matrices = None
                self._state.memory = Memory()
                self._state.search_stats.clear()
                self._plain.forget()

        def blobopen(self, *arguments: Any, **options: Any) -> sqlite3.Blob:
            """Open a BLOB; as in sqlite3. One that can be written turns the matrix off."""
            if not options.get("readonly"):
                self._turn_matrices_off()
            return super().blobopen(*arguments, **options)

    if sys.version_info >= (3, 12):

        def setconfig(self, op: int, enable: bool = True, /) -> None:
            """Set an option; as in sqlite3. One that stops the triggers turns the matrix off."""
            if op in (
                sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER,
                sqlite3.SQLITE_DBCONFIG_RESET_DATABASE,
                sqlite3.SQLITE_DBCONFIG_WRITABLE_SCHEMA,
            ):
                self._turn_matrices_off()
            super().setconfig(op, enable)

    def create_function(self, *arguments: Any, **options: Any) -> None:
        """Create an SQL function; as in sqlite3. One may take the place of SQLite's own."""
        if options:  # names of some arguments are deprecated since 3.13
            relay(super().create_function, *arguments, **options)
        else:
            super().create_function(*arguments)
        name = arguments[0] if arguments else options.get("name")
        if state := self.__dict__.get("_state"):
            state.own_functions.add(str(name).lower())

    def _turn_matrices_off(self) -> None:
        """Answer all searches by a scan: the change log can miss a change from now on."""
        self._state.is_blind, self._state.matrices = True, None

    def explain(self, sql: str, parameters: Parameters = (), /) -> Explanation:
        """Say how a statement would be answered; see :func:`thanosql_dbapi.explain`."""
        from .language.tree import Print, Query, Ranked

        tree = parse(sql)
        if isinstance(tree, Print):  # SQLite's EXPLAIN is for what it shows
            sql = sql[tree.query.offset : tree.query.end]
        elif tree is not None and not isinstance(tree, (Query, Ranked)):
            raise ProgrammingError(f"explain takes a query, got {clip(sql)}; nothing was changed")
        self._state.answers.clear()
        cursor = self.cursor()
        cursor.row_factory = None
        plan = indented(cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall())
        return Explanation(tuple(self._state.answers), plan)

    def set_authorizer(self, *arguments: Any, **options: Any) -> None:
        """Call a function before each access; as in sqlite3. ``confine_attach`` stays in force."""
        guard = self.__dict__.get("_guard")
        given = [*arguments, *options.values()]
        if guard is None or len(given) != 1 or not options.keys() <= {"authorizer_callback"}:
            if options:  # deprecated since 3.13
                relay(super().set_authorizer, *arguments, **options)
            else:
                super().set_authorizer(*arguments)
            return
        guard.own = given[0]
        super().set_authorizer(guard)

    def set_trace_callback(self, *arguments: Any, **options: Any) -> None:
        """Call a function with each statement; as in sqlite3."""
        if options:  # deprecated since 3.13
            relay(super().set_trace_callback, *arguments, **options)
        else:
            super().set_trace_callback(*arguments)
        self._trace_callback = arguments[0] if arguments else options["trace_callback"]

    def _context(self) -> Context:
        from .statements import Context

        return Context(self, self.settings, self._state)

    def _database(self) -> Database:
        return Database(self)

    def _read_vector_names(self) -> dict[str, int] | None:
        """Return names and lengths of the vector columns, None where they cannot be read.

        An authorizer or a damaged file may prevent it. The user's statement has succeeded then,
        and must not fail.
        """
        try:
            with self._untraced():
                return Registry(self._database()).vector_names()
        except Error:
            return None

    @contextmanager
    def _untraced(self) -> Iterator[None]:
        """Keep what the driver asks for itself from a trace of the user's statements."""
        if self._trace_callback is None:
            yield
            return
        super().set_trace_callback(None)
        try:
            yield
        finally:
            super().set_trace_callback(self._trace_callback)

    def _refusal(self) -> WorkspaceError | None:
        """Return why ``confine_attach`` refused the last statement, if it did."""
        reason = self._guard.take_reason() if self._guard is not None else None
        return None if reason is None else WorkspaceError(reason)

    def _explained(self, error: sqlite3.OperationalError) -> BaseException:
        """Return why an SQL function of ours failed, where SQLite only says that it did."""
        cause, self._state.function_error = self._state.function_error, None
        if cause is not None and str(error).startswith(_FUNCTION_FAILED):
            return cause
        return error

    def _register_functions(self) -> None:
        # SQLite keeps the functions as long as the connection: a strong reference back would
        # keep a dropped connection open for ever.
        reference = weakref.ref(self)

        def embed(kind: str, model: str, value: Any, fingerprint: str | None) -> bytes | None:
            connection = reference()
            assert connection is not None
            return connection._context().embed_in_sql(kind, model, value, fingerprint)

        def predict(spec: str, vector: Any, wants_score: bool) -> Any:
            from .statements.labelling import label_in_sql

            connection = reference()
            assert connection is not None
            return label_in_sql(connection._context(), spec, vector, wants_score=wants_score)

        def distances(vector: bytes, key: str) -> bytes | None:
            connection = reference()
            assert connection is not None
            wanted = connection._state.wanted.get(key)
            return None if wanted is None else wanted.distances(vector)

        def failed(error: BaseException) -> None:
            if connection := reference():
                connection._state.function_error = error

        functions.register(self, embed, predict, distances, failed)
        self._state.own_functions.clear()  # those are ours
