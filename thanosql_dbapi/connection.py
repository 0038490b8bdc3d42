"""Connection: an sqlite3 connection with sqlite-vec, our SQL functions and our cursors."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from . import extension
from .cursor import Cursor
from .errors import Error
from .progress import Progress, ProgressSetting
from .search import functions
from .statements import Context, Settings, State
from .vectors import register_adapter
from .workspace import StrPath, Workspace

if TYPE_CHECKING:
    from .database import Parameters

_FUNCTION_FAILED = "user-defined function raised exception"


class Connection(sqlite3.Connection):
    """A PEP 249 connection; everything of ``sqlite3.Connection`` holds.

    Made by :func:`thanosql_dbapi.connect`, which describes the arguments.
    """

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
        **sqlite3_options: Any,
    ) -> None:
        is_uri = bool(sqlite3_options.get("uri"))
        environment = os.environ
        self.settings = Settings(
            workspace=Workspace(
                workspace or environment.get("THANOSQL_WORKSPACE") or _folder(database, is_uri),
                allowed_directories,
            ),
            catalog=catalog or environment.get("THANOSQL_CATALOG") or None,
            device=device or environment.get("THANOSQL_DEVICE") or None,
            progress=Progress(progress),
            offline=_is_true(environment.get("THANOSQL_OFFLINE")) if offline is None else offline,
            network=network,
        )
        self._state = State()
        self._name = os.fsdecode(database)
        with extension.loading() as load:
            super().__init__(database, *sqlite3_arguments, **sqlite3_options)
            try:
                load(self)
            except BaseException:
                super().close()
                raise
        register_adapter()
        self._register_functions()

    def __repr__(self) -> str:
        return f"<thanosql_dbapi.Connection {self._name!r}, workspace {str(self.workspace)!r}>"

    @property
    def workspace(self) -> Path:
        """The folder where relative paths start, and where data sets and models are kept."""
        return self.settings.workspace.root

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a new cursor; ``factory`` is as in sqlite3."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Execute one statement on a new cursor, and return the cursor."""
        cursor: Cursor = self.cursor()
        return cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Execute one statement for each set of parameters on a new cursor, and return it."""
        cursor: Cursor = self.cursor()
        return cursor.executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Cursor:
        """Execute a script on a new cursor, and return the cursor."""
        cursor: Cursor = self.cursor()
        return cursor.executescript(sql_script)

    def _context(self) -> Context:
        return Context(self, self.settings, self._state)

    def _vector_names(self, names: list[str]) -> Mapping[str, int]:
        """Return the known vector columns, read again when a result has a name not met before."""
        state = self._state
        if not state.seen_names.issuperset(names):
            try:
                state.vector_names = self._context().registry.vector_names()
            except Error:
                # An authorizer, or a file in no state to be read, may forbid it. The user's
                # statement has succeeded and is not to fail for this.
                return {}
            state.seen_names.update(names)
        return state.vector_names

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


def _folder(database: Union[StrPath, bytes], is_uri: bool) -> Path:
    """Return the folder of a database's file, or the current one where it has none."""
    name = os.fsdecode(database)
    if is_uri and name.startswith("file:"):
        from urllib.parse import parse_qs, unquote, urlsplit

        parts = urlsplit(name)
        name = unquote(parts.path)
        if parse_qs(parts.query).get("mode") == ["memory"]:
            name = ""
    if name in ("", ":memory:"):
        return Path.cwd()
    return Path(name).expanduser().absolute().parent


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")
