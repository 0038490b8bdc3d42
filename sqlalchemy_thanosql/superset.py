"""What Apache Superset needs to know of a ``thanosql://`` database: its engine spec.

Superset finds the class by the entry point ``superset.db_engine_specs``, and imports this module;
nothing of ours does. With it comes the sqlglot dialect by which Superset reads a statement: which
tables it asks of, so that permissions hold, and whether it writes. Both work without a line in
``superset_config.py``.
"""

from __future__ import annotations

import re
import sqlite3
from re import Pattern
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import types
from superset.db_engine_specs.base import DatabaseCategory
from superset.db_engine_specs.sqlite import SqliteEngineSpec
from superset.errors import SupersetErrorType
from superset.exceptions import SupersetParseError
from superset.sql.parse import SQLGLOT_DIALECTS
from superset.utils.core import GenericDataType

import thanosql_dbapi

from .sqlglot import ThanoSQL, ThanosqlParseError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlglot import exp
    from superset.models.core import Database

ENGINE = "thanosql"

_FUNCTIONS = ("cosine_similarity", "embed_image", "embed_text")

_DENIED = ("not authorized", "authorization denied")  # SQLite's words for ATTACH, for VACUUM INTO
_NOT_AUTHORIZED = (
    "not authorized: through Superset a statement opens no other database file, so ATTACH and"
    " VACUUM INTO are refused; nothing was changed"
)


class ThanoSQLInSuperset(ThanoSQL):
    """The dialect ``thanosql``, with messages that Superset shows whole."""

    def parse(self, sql: str, **options: Any) -> list[exp.Expression | None]:
        """Return the statements of a script.

        Raises:
            SupersetParseError: A ThanoSQL statement that does not parse, with the driver's message.
            sqlglot.errors.ParseError: Plain SQL that does not.
        """
        try:
            read: list[exp.Expression | None] = super().parse(sql, **options)
        except ThanosqlParseError as refused:
            error = refused.error
            raise SupersetParseError(
                sql, ENGINE, message=str(error), line=error.line, column=error.column
            ) from refused
        return read


# Superset's own setting SQLGLOT_DIALECTS_EXTENSIONS is read first, and wins.
SQLGLOT_DIALECTS.setdefault(ENGINE, ThanoSQLInSuperset)


class GuardedConnection(thanosql_dbapi.Connection):
    """A connection that opens no other database file than its own.

    Superset refuses ``sqlite://`` because ATTACH opens any file of the server. ``thanosql://`` it
    takes, so the connection itself refuses ATTACH, and with it VACUUM INTO.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_authorizer(_authorize)


def _authorize(action: int, name: str | None, *_: str | None) -> int:
    # A plain VACUUM attaches a temporary database, whose name is empty.
    if action == sqlite3.SQLITE_ATTACH and name != "":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


class ThanosqlEngineSpec(SqliteEngineSpec):  # type: ignore[misc]
    """SQLite's engine spec, for URLs ``thanosql:///photos.db``."""

    engine = ENGINE
    engine_name = "ThanoSQL"
    drivers = {"thanosql": "thanosql-dbapi"}  # noqa: RUF012
    default_driver = "thanosql"
    sqlalchemy_uri_placeholder = (
        "thanosql:////srv/photos/photos.db?workspace=/srv/photos&offline=true"
    )

    metadata = {  # noqa: RUF012
        "description": "Searches images by text in SQL, over one SQLite file.",
        "categories": [DatabaseCategory.OPEN_SOURCE],
        "pypi_packages": ["thanosql-dbapi"],
        "connection_string": sqlalchemy_uri_placeholder,
    }

    column_type_mappings = (
        (re.compile(r"^vector", re.IGNORECASE), types.LargeBinary(), GenericDataType.STRING),
    )

    custom_errors: dict[Pattern[str], tuple[str, SupersetErrorType, dict[str, Any]]] = {  # noqa: RUF012
        **SqliteEngineSpec.custom_errors,
        # What the driver says of a statement, whole: place, line at fault and caret included.
        re.compile(r"\(line \d+, column \d+\)"): ("", SupersetErrorType.SYNTAX_ERROR, {}),
        re.compile(r"^no such table: (?P<table_name>.+)"): (
            'There is no table "%(table_name)s"',
            SupersetErrorType.TABLE_DOES_NOT_EXIST_ERROR,
            {},
        ),
    }

    @classmethod
    def adjust_engine_params(
        cls,
        uri: URL,
        connect_args: dict[str, Any],
        catalog: str | None = None,
        schema: str | None = None,
    ) -> tuple[URL, dict[str, Any]]:
        """Have connections opened that keep to their file; progress bars have no reader."""
        # In place: Superset (6.1) makes its engine of the mapping that it has passed.
        connect_args["factory"] = GuardedConnection
        connect_args.setdefault("progress", False)
        adjusted: tuple[URL, dict[str, Any]] = super().adjust_engine_params(
            uri, connect_args, catalog, schema
        )
        return adjusted

    @classmethod
    def fetch_data(cls, cursor: Any, limit: int | None = None) -> list[tuple[Any, ...]]:
        """Return the rows, vectors as texts that JSON reads as lists."""
        rows: list[tuple[Any, ...]] = super().fetch_data(cursor, limit)
        if not any(isinstance(value, np.ndarray) for row in rows for value in row):
            return rows
        return [tuple(_shown(value) for value in row) for row in rows]

    @classmethod
    def _extract_error_message(cls, ex: Exception) -> str:
        message: str = super()._extract_error_message(ex)
        return _NOT_AUTHORIZED if message in _DENIED else message

    @classmethod
    def get_function_names(cls, database: Database) -> list[str]:
        """Return SQLite's functions and ours, for completion in SQL Lab."""
        return sorted([*super().get_function_names(database), *_FUNCTIONS])


def _shown(value: Any) -> Any:
    # The shortest digits that say the same float32.
    return f"[{', '.join(value.astype(str))}]" if isinstance(value, np.ndarray) else value
