"""Databases as a user names them, in the notebook, on the command line and in ``explain``.

A name is a path, ``":memory:"`` or a URL with the options of ``connect``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from .connection import Connection
from .errors import OperationalError, ProgrammingError, clip
from .explanation import Explanation
from .settings import OPTIONS
from .stores.sqlite.location import require_database

if TYPE_CHECKING:
    from .stores.sqlite.database import Parameters

SCHEMES = ("thanosql", "sqlite+thanosql", "sqlite")

# Virtual machine steps between two looks at Ctrl-C: a millisecond or less, and nothing to measure.
_STEPS = 10_000


def open_database(name: str | None = None, **options: Any) -> Connection:
    """Open a database as a user names it.

    Args:
        name: A path, ``":memory:"``, or a URL: ``thanosql:///photos.db?workspace=…&device=…``, or
            the same with ``sqlite://``. None: ``THANOSQL_DATABASE``, else ``thanosql.db`` in the
            workspace (``THANOSQL_WORKSPACE``, else the current folder).
        **options: Options of ``connect``; one that is not None wins over the URL's.

    Returns:
        A connection in autocommit, whose statements Ctrl-C can stop.

    Raises:
        ProgrammingError: A URL of another kind, or an option it does not take.
        OperationalError: SQLite cannot open the file.
        DatabaseError: It is no database.
    """
    path, settings = _read_name(name or os.environ.get("THANOSQL_DATABASE") or _default_database())
    settings.update({key: value for key, value in options.items() if value is not None})
    if path != ":memory:":
        path = str(Path(path).expanduser().absolute())
        require_database(Path(path))
    try:
        connection = Connection(path, isolation_level=None, **settings)
    except OperationalError as error:
        folder = Path(path).parent
        reason = str(error) if folder.is_dir() else f"there is no folder {str(folder)!r}"
        raise OperationalError(f"cannot open the database {path!r}: {reason}") from error
    # Called now and then, any Python function is where a pending Ctrl-C is noticed; the error it
    # raises there makes SQLite stop the statement.
    connection.set_progress_handler(_go_on, _STEPS)
    return connection


def explain(
    sql: str, parameters: Parameters = (), *, connection: Connection | None = None
) -> Explanation:
    """Say how a statement would be answered, without returning its rows.

    Args:
        sql: A query, plain SQL or ThanoSQL.
        parameters: Values of its placeholders.
        connection: Where it would run. Default: the database that ``THANOSQL_DATABASE`` names,
            else ``thanosql.db`` in the workspace.

    Returns:
        What answers, and SQLite's plan. A search is tried for it: the text is embedded, and the
        vectors are read into memory, as the statement itself would.

    Raises:
        StatementError: The statement does not parse.
        ProgrammingError: It is ThanoSQL and no query, such as COPY.
        OperationalError: SQLite cannot explain it because it is not a query or a table is missing.

    Example:
        >>> import thanosql_dbapi
        >>> connection = thanosql_dbapi.connect(":memory:")
        >>> explain("SELECT 1", connection=connection).plan
        ('SCAN CONSTANT ROW',)
        >>> connection.close()

    Source: https://www.sqlite.org/eqp.html
    """
    if connection is not None:
        return connection.explain(sql, parameters)
    opened = open_database()
    try:
        return opened.explain(sql, parameters)
    finally:
        opened.close()


def is_url(name: str) -> bool:
    """Return whether a name is meant as a URL."""
    return "://" in name.split("?")[0]


def _read_name(name: str) -> tuple[str, dict[str, Any]]:
    """Return the path that a name means, and the options of ``connect`` in it."""
    if not is_url(name):
        return name, {}
    scheme, _, rest = name.partition("://")
    if scheme.lower() not in SCHEMES:
        raise ProgrammingError(
            f"{clip(name)} is not the URL of a local database; expected one of\n"
            "  thanosql:///photos.db          in the current folder\n"
            "  thanosql:////home/me/photos.db an absolute path: four slashes\n"
            "  thanosql:///photos.db?workspace=/home/me/photos&device=cpu\n"
            "  photos.db                      a path"
        )
    location, _, query = rest.partition("?")
    host, _, path = location.partition("/")
    if host:
        raise ProgrammingError(
            f"{clip(name)} names the host {host!r}, and a local database has none; write"
            f" {scheme}:///{host if not path else location}"
        )
    return unquote(path) or ":memory:", _read_options(name, query)


def _read_options(name: str, query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        option = OPTIONS.get(key)
        if option is None:
            raise ProgrammingError(
                f"{clip(name)}: unknown option {key!r}; a URL takes {', '.join(OPTIONS)}"
            )
        value = option.read_text(text)
        if option.is_repeatable:
            options.setdefault(key, []).append(value)
        elif key in options:
            raise ProgrammingError(f"{clip(name)}: option {key!r} is given twice")
        else:
            options[key] = value
    return options


def _default_database() -> str:
    return str(Path(os.environ.get("THANOSQL_WORKSPACE") or Path.cwd()) / "thanosql.db")


def _go_on() -> int:
    return 0
