"""A database of Datasette's whose connections are ours: read-only, with SEARCH and its functions.

Datasette runs plain SQL in threads of its own, each with a connection. What compares vectors runs
in one more thread, because a connection keeps the vectors of a column in memory, and one copy of
them is enough.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from datasette.database import Database, QueryInterrupted
from datasette.utils import sqlite_timelimit

from ...connection import Connection
from ...errors import NotSupportedError
from ...language import parse
from ...language.tree import List, Query, Ranked, Search, Tree
from ...language.walk import statements_in
from ...stores.sqlite.registry import PREFIX
from ..display import is_vector
from .contents import Contents, read_contents

T = TypeVar("T")

_PREPARING_MS = 60_000
"""Most milliseconds to embed a query and read the vectors, before Datasette's own limit counts."""


class SearchableDatabase(Database):  # type: ignore[misc]
    """A file in which SEARCH works, for Datasette's pages and ours.

    Args:
        datasette: The application.
        path: The file.
        options: Options of ``connect``, such as ``workspace`` and ``device``.
        is_mutable: False where Datasette was told that nobody changes the file.
    """

    def __init__(
        self, datasette: Any, path: str, options: Mapping[str, Any], *, is_mutable: bool = True
    ) -> None:
        super().__init__(datasette, path, is_mutable=is_mutable)
        self._options = options
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="thanosql-search")
        self._searcher: Connection | None = None
        self._searches = _Searches(self)
        self._known: tuple[object, Contents] | None = None

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """Return a new connection; one that writes is Datasette's own, for its other plugins."""
        if write:
            connection: sqlite3.Connection = super().connect(write=True)
            return connection
        state = "mode=ro" if self.is_mutable else "immutable=1"
        opened = Connection(
            f"{Path(self.path).absolute().as_uri()}?{state}",
            uri=True,
            check_same_thread=False,
            progress=False,
            confine_attach=True,
            **self._options,
        )
        self._all_file_connections.append(opened)
        return opened

    async def search(self, work: Callable[[Connection], T]) -> T:
        """Return what a function makes of the connection that keeps vectors in memory."""

        def in_thread() -> T:
            if self._searcher is None:
                opened = self.connect()
                self.ds._prepare_connection(opened, self.name)
                assert isinstance(opened, Connection)
                self._searcher = opened
            return work(self._searcher)

        return await asyncio.get_running_loop().run_in_executor(self._pool, in_thread)

    async def execute(self, sql: str, params: Any = None, **options: Any) -> Any:
        """Execute one statement, as Datasette's own; ThanoSQL queries are statements too.

        Raises:
            sqlite3.DatabaseError: What SQLite or the driver refuses.
            QueryInterrupted: It took longer than Datasette allows.
        """
        tree = parse(sql)
        if tree is None:
            return await super().execute(sql, params, **options)
        _require_search(tree)

        # Loading a model takes seconds, and Datasette allows one: so it is done before.
        def prepare(connection: Connection) -> None:
            with sqlite_timelimit(connection, _PREPARING_MS):
                connection.explain(sql, params or {})

        if not (isinstance(tree, Query) and tree.verb == "EXPLAIN"):
            try:
                await self.search(prepare)
            except sqlite3.OperationalError as error:
                if error.args == ("interrupted",):
                    raise QueryInterrupted(error, sql, params) from error
                raise
        return await self._searches.execute(sql, params, **options)

    async def hidden_table_names(self) -> list[str]:
        """Return the tables that Datasette shows on demand only: the driver's own too."""
        hidden: list[str] = await super().hidden_table_names()
        return hidden + [name for name in await self.table_names() if name.startswith(PREFIX)]

    async def contents(self) -> Contents:
        """Return what can be searched, read again when the file has changed."""
        stamp = [_stamp(f"{self.path}{suffix}") for suffix in ("", "-wal")]
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, await self.execute_fn(read_contents))
        return self._known[1]

    def close(self) -> None:
        """Close all connections, and end the thread that searches."""
        self._pool.shutdown(wait=True)
        super().close()


class _Searches(Database):  # type: ignore[misc]
    """The same database, whose statements run in the thread that searches."""

    def __init__(self, owner: SearchableDatabase) -> None:
        super().__init__(owner.ds, owner.path, is_mutable=owner.is_mutable)
        self._owner = owner

    async def execute_fn(self, fn: Callable[[Any], T]) -> T:
        return await self._owner.search(fn)


def plain_row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> sqlite3.Row:
    """Return a row as Datasette wants it, with vectors as the bytes that SQLite has.

    Its JSON and its downloads know bytes, and no arrays.
    """
    plain = tuple(value.tobytes() if is_vector(value) else value for value in values)
    return sqlite3.Row(cursor, plain)


def _require_search(tree: Tree) -> None:
    """Check that a text only searches: pages are for reading, and CONVERT is hours of work."""
    inner = statements_in(tree.query) if isinstance(tree, Ranked) else ()
    inner = statements_in(tree) if isinstance(tree, Query) else inner
    is_query = isinstance(tree, (Query, Ranked))
    other = [each for each in inner if not isinstance(each, (Search, List))]
    if other or not is_query:
        name = type(other[0] if other else tree).__name__.upper()
        raise NotSupportedError(
            f"a page runs SEARCH and LIST, not {name}; run it with `thanosql DATABASE`, or in"
            " Python; nothing was changed"
        )


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
