"""What the notebook and the command line share: a database by its name, a statement's outcome.

Both work in autocommit: a statement is committed when it ends, unless the user has said BEGIN.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from ..connection import Connection
from ..errors import (
    ConvertWarning,
    MediaWarning,
    ModelWarning,
    OperationalError,
    ProgrammingError,
    clip,
)
from ..language import parse, split_script
from ..language.tree import Print, Search, Tree

if TYPE_CHECKING:
    from ..stores.sqlite.database import Parameters

SCHEMES = ("thanosql", "sqlite+thanosql", "sqlite")
_TEXTS = ("workspace", "catalog", "device")
_FLAGS = ("offline", "network")
_REPEATABLE = "allowed_directories"
_URL_OPTIONS = (*_TEXTS, *_FLAGS, _REPEATABLE)

# Virtual machine steps between two looks at Ctrl-C: a millisecond or less, and nothing to measure.
_STEPS = 10_000


@dataclass(frozen=True)
class Outcome:
    """What a statement came to.

    Attributes:
        sql: The statement.
        parameters: What was bound.
        tree: What it says, None for plain SQL.
        names: Names of the result's columns; None where the statement returns no rows.
        rows: The rows, vectors as arrays.
    """

    sql: str
    parameters: Parameters
    tree: Tree | None
    names: list[str] | None
    rows: list[tuple[Any, ...]]

    @property
    def is_print(self) -> bool:
        """Whether the statement is a PRINT, whose rows are pictures to show."""
        return isinstance(self.tree, Print)


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
    """
    path, settings = _read_name(name or os.environ.get("THANOSQL_DATABASE") or _default_database())
    settings.update({key: value for key, value in options.items() if value is not None})
    if path != ":memory:":
        path = str(Path(path).expanduser().absolute())
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


def run(connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None) -> Outcome:
    """Execute one statement and fetch all it returns.

    Raises:
        sqlite3.Error: As ``Cursor.execute``.
    """
    bound = parameters or ()
    cursor = connection.cursor()
    cursor.row_factory = None
    try:
        cursor.execute(sql, bound)
        names = [column[0] for column in cursor.description] if cursor.description else None
        return Outcome(sql, bound, parse(sql), names, cursor.fetchall())
    finally:
        cursor.close()


def statements_of(script: str) -> list[str]:
    r"""Return the statements of a text; white space and comments alone are none.

    Example:
        >>> statements_of("SELECT 1; -- one\n;")
        ['SELECT 1; -- one\n;']
        >>> statements_of(" -- nothing\n")
        []
    """
    from ..language.lexer import Kind, tokens

    def says_something(piece: str) -> bool:
        return any(token.kind is not Kind.END and token.text != ";" for token in tokens(piece))

    return [piece for piece in split_script(script) if says_something(piece)]


def searches(node: object) -> bool:
    """Return whether a tree, or a part of one, holds a SEARCH at any depth."""
    inner: Sequence[object] = (*getattr(node, "parts", ()), getattr(node, "query", None))
    return isinstance(node, Search) or any(searches(each) for each in inner if each is not None)


def is_interrupted(error: BaseException) -> bool:
    """Return whether a statement was stopped by Ctrl-C, and by nothing else."""
    if isinstance(error, KeyboardInterrupt):
        return True
    name = getattr(error, "sqlite_errorname", None)  # Python 3.11
    return isinstance(error, OperationalError) and (
        name == "SQLITE_INTERRUPT" or (name is None and str(error) == "interrupted")
    )


@contextmanager
def brief_warnings(show: Callable[[str, str], None]) -> Iterator[None]:
    """Give the driver's warnings to ``show(category_name, message)``, without file and line."""
    ours = (MediaWarning, ConvertWarning, ModelWarning)
    with warnings.catch_warnings():
        others = warnings.showwarning
        for category in ours:
            warnings.simplefilter("always", category)

        def showwarning(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, ours):
                show(category.__name__, str(message))
            else:
                others(message, category, *rest, **more)

        warnings.showwarning = showwarning
        yield


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
            f"{clip(name)} is no URL of a local database; expected one of\n"
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
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in _TEXTS:
            options[key] = value
        elif key in _FLAGS:
            options[key] = _flag(key, value)
        elif key == _REPEATABLE:
            options.setdefault(key, []).append(value)
        else:
            raise ProgrammingError(
                f"{clip(name)}: unknown option {key!r}; a URL takes {', '.join(_URL_OPTIONS)}"
            )
    return options


def _flag(key: str, value: str) -> bool:
    words: dict[str, bool] = {"true": True, "1": True, "yes": True, "on": True}
    words.update({"false": False, "0": False, "no": False, "off": False})
    if value.lower() not in words:
        raise ProgrammingError(f"option {key!r} must be true or false, got {clip(value)}")
    return words[value.lower()]


def _default_database() -> str:
    return str(Path(os.environ.get("THANOSQL_WORKSPACE") or Path.cwd()) / "thanosql.db")


def _go_on() -> int:
    return 0
