"""The dialect for ``create_async_engine``: SQLAlchemy's own over aiosqlite, with our connections.

aiosqlite keeps each connection in a thread, where its statements run one after another; the event
loop goes on meanwhile. It is an optional dependency: ``pip install thanosql-dbapi[async]``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import pool
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.engine import URL

import thanosql_dbapi

from .dialect import IS_1_4, ThanosqlDialect

_OF_SQLALCHEMY = ("async_creator_fn", "async_fallback")


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    """aiosqlite as SQLAlchemy adapts it, opening connections of ours."""

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Open a connection in a thread of its own; options are ``thanosql_dbapi.connect``'s."""
        adapters = {name: options.pop(name) for name in _OF_SQLALCHEMY if name in options}
        # Only its own thread uses the connection, but SQLAlchemy asks for its state from here.
        options["check_same_thread"] = False

        # aiosqlite calls sqlite3.connect, which on Python 3.10 refuses names that it does not know.
        def factory(database: Any, **_: Any) -> thanosql_dbapi.Connection:
            return thanosql_dbapi.connect(database, **options)

        return super().connect(*arguments, factory=factory, **adapters)


class ThanosqlDialectAsync(ThanosqlDialect, SQLiteDialect_aiosqlite):
    """:class:`ThanosqlDialect` for an asyncio engine.

    Example:
        >>> from sqlalchemy.ext.asyncio import create_async_engine
        >>> engine = create_async_engine("thanosql+aiosqlite:///photos.db")
        >>> engine.dialect.is_async
        True
    """

    driver = "thanosql_aiosqlite"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return aiosqlite, adapted.

        Raises:
            ModuleNotFoundError: aiosqlite is not installed.
        """
        try:
            import aiosqlite
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "an async engine needs the package aiosqlite, which is not installed:"
                " pip install 'thanosql-dbapi[async]'"
            ) from error
        return _Driver(aiosqlite, thanosql_dbapi)

    if IS_1_4:
        dbapi = import_dbapi  # type: ignore[assignment]

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """Return SQLAlchemy's own choice for aiosqlite."""
        return SQLiteDialect_aiosqlite.get_pool_class(url)

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[ThanosqlDialectAsync]:
        """Return this class."""
        return cls

    def _connection_of(self, cursor: Any) -> Any:
        return cursor._adapt_connection.driver_connection


dialect = ThanosqlDialectAsync
