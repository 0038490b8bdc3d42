"""Connection: an sqlite3 connection with sqlite-vec, our SQL functions and our cursors."""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from .cursor import UNSETTLED, Cursor
from .errors import Error, ProgrammingError, clip
from .language import names_are_in_text
from .progress import Progress, ProgressSetting
from .settings import DEFAULT_CACHE_BYTES, Settings, State
from .sqlite3_compat import (
    adapt_default_types,
    is_foreign,
    may_warn,
    options_of,
    relay,
    with_abilities_of,
)
from .stores.sqlite import extension, functions
from .stores.sqlite.database import Database
from .stores.sqlite.location import PAGE_SIZE, locate
from .stores.sqlite.registry import Registry
from .vectors import register_adapter
from .workspace import StrPath, Workspace

if TYPE_CHECKING:
    from .explanation import Explanation
    from .statements import Context
    from .stores.sqlite.database import Parameters

Description = tuple[tuple[Any, ...], ...]

_FUNCTION_FAILED = "user-defined function raised exception"

# A program has few texts that it executes often; data written out in a text is long.
_LONGEST_REMEMBERED = 10_000
_MOST_REMEMBERED = 1_000

_cursor = sqlite3.Connection.cursor
_execute = sqlite3.Cursor.execute
_OperationalError = sqlite3.OperationalError


class Connection(sqlite3.Connection):
    """A PEP 249 connection; everything of ``sqlite3.Connection`` holds.

    Made by :func:`thanosql_dbapi.connect`, which describes the arguments.
    """

    _name = "not opened"

    def __init__(
        self,
        database: Union[StrPath, bytes] = ":memory:",
        *sqlite3_arguments: Any,
        workspace: StrPath | None = None,
        allowed_directories: Iterable[StrPath] = (),
        catalog: StrPath | None = None,
        device: str | None = None,
        progress: ProgressSetting = None,
        offline: bool | None = None,
        network: bool = False,
        cache_bytes: int | None = None,
        **sqlite3_options: Any,
    ) -> None:
        options = options_of(sqlite3_arguments, sqlite3_options, "_sqlite3.Connection()")
        if cache_bytes is not None and type(cache_bytes) is not int:
            raise TypeError(f"cache_bytes must be a number of bytes, got {clip(cache_bytes)}")
        if cache_bytes is not None and cache_bytes < 0:
            raise ValueError(f"cache_bytes must be 0 or more, got {cache_bytes}")
        environment = os.environ
        location = locate(database, is_uri=bool(options.get("uri")))
        is_new, identity = location.is_new, location.identity
        with extension.loading() as load:
            super().__init__(database, **options)
            try:
                load(self)
                if is_new:
                    sqlite3.Cursor(self).execute(f"PRAGMA page_size = {PAGE_SIZE}").close()
                folder = workspace or environment.get("THANOSQL_WORKSPACE")
                self.settings = Settings(
                    workspace=Workspace(folder or location.folder, allowed_directories),
                    catalog=catalog or environment.get("THANOSQL_CATALOG") or None,
                    device=device or environment.get("THANOSQL_DEVICE") or None,
                    progress=Progress(progress),
                    offline=_is_true(environment.get("THANOSQL_OFFLINE"))
                    if offline is None
                    else offline,
                    network=network,
                    cache_bytes=DEFAULT_CACHE_BYTES if cache_bytes is None else cache_bytes,
                    is_read_only=location.is_read_only,
                )
            except BaseException:
                super().close()
                raise
        self._name = os.fsdecode(database)
        # Another file may have taken the name while SQLite opened it.
        is_certain = identity in (None, location.identity)
        self._state = State(file_identity=location.identity if is_certain else None)
        self._settled: dict[str, Description | None] = {}
        self._plain_columns: dict[str, Description] = {}
        self._trace_callback: Any = None
        register_adapter()
        adapt_default_types()
        self._register_functions()

    def __repr__(self) -> str:
        settings = self.__dict__.get("settings")
        workspace = f", workspace {str(settings.workspace.root)!r}" if settings else ""
        return f"<thanosql_dbapi.Connection {self._name!r}{workspace}>"

    @property
    def workspace(self) -> Path:
        """The folder where relative paths start, and where data sets and models are kept."""
        return self.settings.workspace.root

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a new cursor; ``factory`` is as in sqlite3."""
        if factory is not Cursor and is_foreign(factory, Cursor, sqlite3.Cursor):
            factory = with_abilities_of(Cursor, factory)
        return _cursor(self, factory)

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Execute one statement on a new cursor, and return the cursor."""
        # The same as Cursor.execute, once more: a call less is felt by a point query.
        try:
            columns = self._settled[sql]
        except (KeyError, TypeError, AttributeError):
            columns = UNSETTLED
        cursor: Cursor = _cursor(self, Cursor)
        try:
            if columns is UNSETTLED:
                return cursor._run(sql, parameters)
            _execute(cursor, sql, parameters)
            if columns is None or cursor.description == columns:
                return cursor
            return cursor._look_at_columns(sql)
        except _OperationalError as error:
            raise self._explained(error) from error.__cause__

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Execute one statement for each set of parameters on a new cursor, and return it."""
        cursor: Cursor = _cursor(self, Cursor)
        return cursor.executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Cursor:
        """Execute a script on a new cursor, and return the cursor."""
        cursor: Cursor = _cursor(self, Cursor)
        return cursor.executescript(sql_script)

    def close(self) -> None:
        """Close the database, and let go of the vectors in memory; as in sqlite3."""
        super().close()
        if state := self.__dict__.get("_state"):
            state.matrices = None

    if sys.version_info >= (3, 11):

        def deserialize(self, *arguments: Any, **options: Any) -> None:
            """Replace a database; as in sqlite3. What is known of the old one is forgotten."""
            try:
                super().deserialize(*arguments, **options)
            finally:
                self._state.file_identity = None
                self._state.matrices = None
                self._state.habits.clear()
                self._forget_columns()

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

    def _turn_matrices_off(self) -> None:
        """Answer all searches by a scan: the change log can miss a change from now on."""
        self._state.is_blind, self._state.matrices = True, None

    def explain(self, sql: str, parameters: Parameters = (), /) -> Explanation:
        """Say how a statement would be answered; see :func:`thanosql_dbapi.explain`."""
        from .explanation import Explanation, indented
        from .language import parse
        from .language.tree import Print, Query, Ranked

        tree = parse(sql)
        if isinstance(tree, Print):  # SQLite's EXPLAIN is for what it shows
            sql = sql[tree.query.offset : tree.query.end]
        elif tree is not None and not isinstance(tree, (Query, Ranked)):
            raise ProgrammingError(f"explain takes a query, got {clip(sql)}; nothing was changed")
        self._state.notes.clear()
        cursor = self.cursor()
        cursor.row_factory = None
        plan = indented(cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall())
        return Explanation(tuple(self._state.notes), plan)

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

    def _vectors_of(self, description: Description | None, sql: str | None) -> dict[int, int]:
        """Return which columns of a result are vectors, and their lengths.

        Args:
            description: The result's columns, or None.
            sql: The text, where it is plain SQL: what is found is remembered for it.
        """
        if description is None:
            self._remember(sql, None)
            return {}
        if sql is not None:
            known_columns = self._settled.get(sql) or self._plain_columns.get(sql)
            if known_columns == description:
                return {}
        names = [column[0].lower() for column in description]
        known = self._vector_names(names)
        if known is None:
            return {}
        vectors = {index: known[name] for index, name in enumerate(names) if name in known}
        if not vectors:
            self._remember(sql, description)
        return vectors

    def _remember(self, sql: str | None, description: Description | None) -> None:
        """Note that a text is plain SQL, and has or had these columns, of which none is a vector.

        It is settled: it goes straight to sqlite3 from now on. Its columns are to be compared each
        time, unless the text decides what they are called.
        """
        if sql is None or len(sql) > _LONGEST_REMEMBERED:
            return
        if len(self._settled) + len(self._plain_columns) >= _MOST_REMEMBERED:
            self._forget_columns()
        if not may_warn(sql):
            is_certain = description is None or names_are_in_text(sql)
            self._settled[sql] = None if is_certain else description
        elif description is not None:
            self._plain_columns[sql] = description

    def _forget_columns(self) -> None:
        """Look anew at what the statements return: there may be other vector columns now."""
        self._settled.clear()
        self._plain_columns.clear()
        self._state.seen_names.clear()

    def _vector_names(self, names: list[str]) -> Mapping[str, int] | None:
        """Return the known vector columns, read again when a result has a name not met before.

        None where they cannot be read: an authorizer, or a file in no state to be read, may forbid
        it. The user's statement has succeeded and is not to fail for this.
        """
        state = self._state
        if not state.seen_names.issuperset(names):
            try:
                with self._untraced():
                    known = Registry(Database(self)).vector_names()
            except Error:
                return None
            if known != state.vector_names:
                self._forget_columns()
            state.vector_names = known
            state.seen_names.update(names)
        return state.vector_names

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

    def _explained(self, error: sqlite3.OperationalError) -> BaseException:
        """Return why an SQL function of ours failed, where SQLite only says that it did."""
        cause, self._state.function_error = self._state.function_error, None
        if cause is not None and _FUNCTION_FAILED in str(error):
            return cause
        return error

    def _register_functions(self) -> None:
        # SQLite keeps the functions as long as the connection: a strong reference back would
        # keep a dropped connection open for ever.
        reference = weakref.ref(self)

        def embed(kind: str, model: str, value: Any) -> bytes | None:
            connection = reference()
            assert connection is not None
            return connection._context().embed_query(kind, model, value)

        def failed(error: BaseException) -> None:
            if connection := reference():
                connection._state.function_error = error

        functions.register(self, embed, failed)


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")
