"""The dialect: SQLAlchemy's own for SQLite, over this driver.

Its name stays ``sqlite``, so that all that is keyed by that name goes on working: Alembic's batch
mode, ``with_variant``, ``sqlite_where``, upserts, pandas. Two URLs open the same::

    thanosql:///photos.db?device=cpu
    sqlite+thanosql:///photos.db?device=cpu

What differs from the built-in dialect: options in the URL are checked; transactions begin where
SQLAlchemy begins them; ``VECTOR(512)`` columns reflect as ``Vector(512)``; the driver's own
tables are hidden; a file database has a pool on SQLAlchemy 1.4 too.
"""

from __future__ import annotations

import functools
import os
import re
import sqlite3
import weakref
from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import event, pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

import thanosql_dbapi

from .types import Vector
from .url import own_options, read_options, require_no_host

IS_1_4 = sqlalchemy.__version__.startswith("1.")

_FILE_ENGINES: weakref.WeakSet[Any] = weakref.WeakSet()
_INHERITED: list[Any] = []  # connections of a parent process, kept from being closed

HIDDEN_PREFIX = "thanosql_"

# These need to run outside of a transaction, or end one themselves: SQLite ignores some PRAGMAs
# inside one, and refuses VACUUM and DETACH.
_NO_BEGIN = re.compile(
    r"(?:\s|;|--[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*"  # a comment matches in one way only
    r"(?:PRAGMA|VACUUM|ATTACH|DETACH|BEGIN|COMMIT|END|ROLLBACK)\b",
    re.IGNORECASE,
)
_LEGACY_TRANSACTION_CONTROL = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, of Python 3.12
_MAY_HAVE_OWN_CONTROL = hasattr(sqlite3.Connection, "autocommit")

# How SQLAlchemy writes most statements; these words need no look at comments before them.
_BEGIN = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ")


def _without_own(found_by: Any) -> Callable[..., list[Any]]:
    """Return a reflection method of SQLAlchemy's that leaves out what is the driver's own."""

    @functools.wraps(found_by)
    def shown(*arguments: Any, **keywords: Any) -> list[Any]:
        found = found_by(*arguments, **keywords)
        return [each for each in found if not _is_own(each)]

    return shown


def _is_own(found: str | dict[str, Any]) -> bool:
    """Return whether a name, or what has one, is the driver's; a constraint may have none."""
    name = found if isinstance(found, str) else found["name"] or ""
    return name.lower().startswith(HIDDEN_PREFIX)


class ThanosqlDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's SQLite dialect over ``thanosql_dbapi``; see the module's text."""

    driver = "thanosql"
    supports_statement_cache = True
    ischema_names = {**SQLiteDialect_pysqlite.ischema_names, "VECTOR": Vector}  # noqa: RUF012

    _begin_kind = ""

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver."""
        return thanosql_dbapi

    if IS_1_4:

        @classmethod
        def dbapi(cls) -> Any:  # type: ignore[override]
            """Return the driver, as SQLAlchemy 1.4 asks for it."""
            return thanosql_dbapi

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> Any:
        """Return the dialect of ``create_async_engine``, which needs aiosqlite."""
        # By its entry point: the module aio imports this one.
        return registry.load("thanosql.aiosqlite")

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """Return QueuePool for a file, and a connection per thread for a database in memory."""
        return pool.QueuePool if cls._is_url_file_db(url) else super().get_pool_class(url)

    @classmethod
    def engine_created(cls, engine: Any) -> None:
        """Have a forked process leave its parent's connections to a file alone."""
        if cls._is_url_file_db(engine.url):
            event.listen(engine, "connect", _remember_process)
            _FILE_ENGINES.add(engine)

    def create_connect_args(self, url: URL) -> Any:
        """Return the arguments of ``thanosql_dbapi.connect`` for a URL.

        Raises:
            ArgumentError: The URL has an unknown option, one of another type, names a folder that
                does not exist, or a host.
        """
        require_no_host(url)
        options = read_options(url)
        arguments, keywords = super().create_connect_args(
            url.difference_update_query(own_options(url))
        )
        # SQLAlchemy 1.4 leaves it True for files as well: it has no pool for them.
        keywords.setdefault("check_same_thread", not self._is_url_file_db(url))
        # SQLAlchemy itself loses `isolation_level`, which is a text already.
        return arguments, {**keywords, **options}

    # -- transactions -------------------------------------------------------------------------

    def on_connect(self) -> Callable[[Any], None]:
        """Return what prepares a new connection."""
        prepare: Any = super().on_connect()

        def connect(connection: Any) -> None:
            # The kind of BEGIN the user asked for, which AUTOCOMMIT overwrites.
            self._begin_kind = getattr(connection, "isolation_level", None) or ""
            prepare(connection)

        return connect

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Set AUTOCOMMIT, SERIALIZABLE or READ UNCOMMITTED."""
        connection = getattr(dbapi_connection, "dbapi_connection", dbapi_connection)
        if _has_own_control(connection):
            connection.autocommit = level == "AUTOCOMMIT"
        super().set_isolation_level(connection, level)
        if level != "AUTOCOMMIT":
            connection.isolation_level = self._begin_kind

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Return whether a connection commits each statement itself."""
        if _has_own_control(dbapi_conn):
            return bool(dbapi_conn.autocommit)
        return dbapi_conn.isolation_level is None

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """Execute a statement, in the transaction SQLAlchemy has begun."""
        if not self._connection_of(cursor).in_transaction:
            self._begin(cursor, statement, context)
        cursor.execute(statement, parameters)

    def do_executemany(
        self, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> None:
        """Execute a statement for many rows, in the transaction SQLAlchemy has begun."""
        if not self._connection_of(cursor).in_transaction:
            self._begin(cursor, statement, context)
        cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        """Execute a statement without parameters, in the transaction SQLAlchemy has begun."""
        if not self._connection_of(cursor).in_transaction:
            self._begin(cursor, statement, context)
        cursor.execute(statement)

    def _begin(self, cursor: Any, statement: str, context: Any) -> None:
        """Emit BEGIN before the first statement of a transaction.

        sqlite3 itself begins one before INSERT, UPDATE and DELETE only: DDL, SELECT and SAVEPOINT
        then run outside of the transaction that SQLAlchemy speaks of. Begun here and not in
        ``do_begin``, a PRAGMA or VACUUM that comes first still works.
        https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-transactions
        """
        connection = self._connection_of(cursor)
        if self.detect_autocommit_setting(connection):
            return
        # 1.4 runs statements outside of transactions too, and commits after some.
        if context is None or not context.root_connection.in_transaction():
            return
        if statement.startswith(_BEGIN) or not _NO_BEGIN.match(statement):
            kind = connection.isolation_level
            cursor.execute(f"BEGIN {kind}" if kind else "BEGIN")

    def _connection_of(self, cursor: Any) -> Any:
        return cursor.connection

    # -- reflection ---------------------------------------------------------------------------

    get_table_names: Any = _without_own(SQLiteDialect_pysqlite.get_table_names)
    get_view_names: Any = _without_own(SQLiteDialect_pysqlite.get_view_names)
    get_temp_table_names: Any = _without_own(SQLiteDialect_pysqlite.get_temp_table_names)
    get_temp_view_names: Any = _without_own(SQLiteDialect_pysqlite.get_temp_view_names)
    get_indexes: Any = _without_own(SQLiteDialect_pysqlite.get_indexes)


def _remember_process(connection: Any, record: Any) -> None:
    record.info["process"] = os.getpid()


def _watch_checkouts() -> None:
    """In a process that was just forked, look at each connection before it is used.

    Only there: a listener is felt by each use of a connection.
    """
    for engine in _FILE_ENGINES:
        if not event.contains(engine, "checkout", _leave_to_parent):
            event.listen(engine, "checkout", _leave_to_parent)


def _leave_to_parent(connection: Any, record: Any, proxy: Any) -> None:
    """Replace a connection that a fork has carried here: SQLite must not use or close it.

    https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_
    """
    if record.info.get("process") == os.getpid():
        return
    _INHERITED.append(connection)
    record.dbapi_connection = proxy.dbapi_connection = None
    raise DisconnectionError("the connection belongs to the parent process")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch_checkouts)


def _has_own_control(connection: Any) -> bool:
    """Return whether a connection was opened with Python 3.12's ``autocommit=``."""
    if not _MAY_HAVE_OWN_CONTROL:
        return False
    control = getattr(connection, "autocommit", _LEGACY_TRANSACTION_CONTROL)
    return bool(control != _LEGACY_TRANSACTION_CONTROL)


dialect = ThanosqlDialect
