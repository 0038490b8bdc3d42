"""A DB-API 2.0 driver that asks pictures questions in SQL, over one SQLite file.

Everything of ``sqlite3`` is here too, under its own name; see https://peps.python.org/pep-0249/
and https://docs.python.org/3/library/sqlite3.html.
"""

from __future__ import annotations

import sqlite3 as _sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

from .connection import Connection
from .cursor import Cursor
from .errors import (
    ConvertWarning,
    DatabaseError,
    DataError,
    Error,
    ExtensionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    MediaError,
    MediaWarning,
    ModelError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SourceError,
    StatementError,
    Warning,
    WorkspaceError,
)
from .progress import ProgressSetting
from .vectors import to_vector
from .version import __version__
from .workspace import StrPath

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

apilevel = "2.0"
paramstyle = "qmark"
threadsafety = _sqlite3.threadsafety

Binary = memoryview


def connect(
    database: Union[StrPath, bytes] = ":memory:",
    *sqlite3_arguments: Any,
    workspace: StrPath | None = None,
    allowed_directories: Iterable[StrPath] = (),
    catalog: StrPath | None = None,
    device: str | None = None,
    progress: ProgressSetting = None,
    offline: bool | None = None,
    network: bool = False,
    factory: Any = Connection,
    **sqlite3_options: Any,
) -> Connection:
    """Open a SQLite database whose statements can search images.

    Args:
        database: Path of the file, or ``":memory:"``, as in ``sqlite3.connect``.
        *sqlite3_arguments: Further positional arguments of ``sqlite3.connect``.
        workspace: Folder where relative paths start and where data sets and models are kept.
            Default: ``THANOSQL_WORKSPACE``, else the database file's folder, else the current one.
        allowed_directories: Further folders that statements may read files from.
        catalog: Path or URL of a JSON catalog of data sets and models, laid over the built-in
            one. Default: ``THANOSQL_CATALOG``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``. Default: ``THANOSQL_DEVICE``,
            else the best available.
        progress: None shows bars in a terminal or notebook; True, False, or a callable
            ``(done, total, what)``.
        offline: Never use the network. Default: ``THANOSQL_OFFLINE``, else False.
        network: Let rows and queries name images by http(s) URL.
        factory: A subclass of :class:`Connection`.
        **sqlite3_options: ``timeout``, ``isolation_level``, ``uri`` … of ``sqlite3.connect``.

    Returns:
        A connection, which is a ``sqlite3.Connection`` too.

    Raises:
        ExtensionError: sqlite-vec cannot be loaded into this Python's SQLite.
        OperationalError: SQLite cannot open the file.

    Example:
        >>> connection = connect(":memory:")
        >>> connection.execute("SELECT 'plain SQL works as ever'").fetchone()
        ('plain SQL works as ever',)
        >>> connection.close()

    Source: PEP 249, "connect( parameters... )".
    """
    return factory(  # type: ignore[no-any-return]
        database,
        *sqlite3_arguments,
        workspace=workspace,
        allowed_directories=allowed_directories,
        catalog=catalog,
        device=device,
        progress=progress,
        offline=offline,
        network=network,
        **sqlite3_options,
    )


class _TypeObject(frozenset[str]):
    """A PEP 249 type object; SQLite gives no type codes, so it equals none."""


STRING = _TypeObject({"TEXT"})
BINARY = _TypeObject({"BLOB"})
NUMBER = _TypeObject({"INTEGER", "REAL", "NUMERIC"})
DATETIME = _TypeObject({"DATE", "TIMESTAMP"})
ROWID = _TypeObject({"ROWID"})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: ``%load_ext thanosql`` calls this."""
    from .notebook import load_ipython_extension as load

    load(shell)


def __getattr__(name: str) -> Any:
    # Constants, Row, Blob, adapters: whatever this Python's sqlite3 has.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_sqlite3, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for name in dir(_sqlite3) if not name.startswith("_"))})


__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "ConvertWarning",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "ExtensionError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MediaError",
    "MediaWarning",
    "ModelError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "SourceError",
    "StatementError",
    "Warning",
    "WorkspaceError",
    "__version__",
    "apilevel",
    "connect",
    "load_ipython_extension",
    "paramstyle",
    "threadsafety",
    "to_vector",
]
