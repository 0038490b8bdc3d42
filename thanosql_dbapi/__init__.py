"""A DB-API 2.0 driver that asks pictures questions in SQL, over one SQLite file.

Everything of ``sqlite3`` is here too, under its own name; see https://peps.python.org/pep-0249/
and https://docs.python.org/3/library/sqlite3.html.
"""

from __future__ import annotations

import sqlite3 as _sqlite3
import sys as _sys
from collections.abc import Iterable, Mapping
from sqlite3 import (
    PARSE_COLNAMES,
    PARSE_DECLTYPES,
    Binary,
    Date,
    DateFromTicks,
    PrepareProtocol,
    Row,
    Time,
    TimeFromTicks,
    TimestampFromTicks,
    adapt,
    adapters,
    apilevel,
    complete_statement,
    converters,
    enable_callback_tracebacks,
    paramstyle,
    register_adapter,
    register_converter,
    sqlite_version,
    sqlite_version_info,
    threadsafety,
)
from sqlite3.dbapi2 import Timestamp
from typing import TYPE_CHECKING, Any, Union

from ._version import __version__
from .connection import Connection, Cursor
from .errors import (
    ConvertWarning,
    DatabaseError,
    DataError,
    Error,
    ExtensionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    LicenseWarning,
    MediaError,
    MediaWarning,
    ModelError,
    ModelWarning,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SourceError,
    StatementError,
    Warning,
    WorkspaceError,
)
from .explanation import Explanation
from .opening import explain
from .planning.convert_report import ConvertReport
from .planning.report import Report, Skipped
from .progress import ProgressSetting
from .settings import OPTIONS
from .sqlite3_compat import is_foreign, options_of, relay, with_abilities_of
from .vectors import to_vector
from .workspace import StrPath

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from .stores.sqlite.database import Parameters


def connect(
    database: Union[StrPath, bytes] = ":memory:",
    *sqlite3_arguments: Any,
    workspace: StrPath | None = None,
    allowed_directories: Iterable[StrPath] | None = None,
    catalog: StrPath | None = None,
    device: str | None = None,
    progress: ProgressSetting = None,
    offline: bool | None = None,
    network: bool | None = None,
    allowed_hosts: Iterable[str] | None = None,
    storage_options: Mapping[str, Mapping[str, Any]] | None = None,
    cache_bytes: int | None = None,
    max_image_pixels: int | None = None,
    executor: str | None = None,
    workers: int | None = None,
    confine_attach: bool | None = None,
    mode: str | None = None,
    **sqlite3_options: Any,
) -> Connection:
    """Open a SQLite database whose statements can search images.

    Args:
        database: Path of the file, or ``":memory:"``, as in ``sqlite3.connect``.
        *sqlite3_arguments: Further positional arguments of ``sqlite3.connect``.
        workspace: Folder where relative paths start and where data sets and models are kept.
            Default: ``THANOSQL_WORKSPACE``, else the database file's folder, else the current one.
        allowed_directories: Further folders that statements may read files from; and buckets,
            ``"s3://album"`` or ``"gs://album/2024"``, that they may read with your credentials.
        catalog: Path or URL of a JSON catalog of data sets and models, laid over the built-in
            one. Default: ``THANOSQL_CATALOG``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``. Default: ``THANOSQL_DEVICE``,
            else the best available.
        progress: None shows bars in a terminal or notebook; True, False, or a callable
            ``(done, total, what)``.
        offline: Never use the network. Default: ``THANOSQL_OFFLINE``, else False.
        network: Let rows and statements name images and tables by http(s) URL, on hosts with
            public addresses, and in buckets. Default: False.
        allowed_hosts: Further hosts that they may name, whatever their addresses: ``"nas.local"``,
            ``"10.0.0.5"``, ``"localhost:8000"``.
        storage_options: How buckets are reached: ``{"s3": {"endpoint_url": …, "region": …,
            "profile": …, "key": …, "secret": …, "token": …}, "gs": {"endpoint_url": …, "project":
            …, "token": …}}``. Default: as their own variables say, ``AWS_…`` and ``GOOGLE_…``.
        cache_bytes: Most bytes of memory for the vectors of one column, which a search keeps
            rounded to one byte a number; with more, every row of the table is read. Default:
            4 GiB; 0 keeps none.
        max_image_pixels: Most pixels of an image to decode; a JPEG of more is read at a half, a
            quarter or an eighth of its size, other images are not read. Default: 178,956,970.
        executor: What reads and embeds the pictures of many rows: ``"threads"``, ``"processes"``,
            or the machines of a Ray cluster: ``"ray"``, that of this machine, started if there is
            none, or ``"ray://host:10001"``. Default: threads, and processes where they pay.
        workers: How many threads or processes decode pictures at most, or how many workers a
            cluster gets. Default: one a core, or one a GPU or machine.
        confine_attach: Refuse ``ATTACH`` and ``VACUUM INTO`` of files outside the workspace.
        mode: ``"ro"`` writes nothing, neither the database nor anything beside it; ``"rw"`` creates
            no file; ``"rwc"`` is the default.
        **sqlite3_options: ``timeout``, ``isolation_level``, ``uri``, ``factory`` … of
            ``sqlite3.connect``. A factory derived from ``sqlite3.Connection`` alone gets what
            :class:`Connection` can beside it.

    Returns:
        A connection, which is a ``sqlite3.Connection`` too.

    Raises:
        ExtensionError: sqlite-vec cannot be loaded into this Python's SQLite.
        OperationalError: SQLite cannot open the file.
        ProgrammingError: A factory derived from ``sqlite3.Connection`` passes our own by.

    Example:
        >>> connection = connect(":memory:")
        >>> connection.execute("SELECT 'plain SQL works as ever'").fetchone()
        ('plain SQL works as ever',)
        >>> connection.close()

    Source: PEP 249, "connect( parameters... )".
    """
    arguments = locals().copy()
    given = {name: arguments[name] for name in OPTIONS if arguments[name] is not None}
    options = options_of(sqlite3_arguments, sqlite3_options, "sqlite3.connect()")
    factory: Any = options.pop("factory", Connection)
    if factory is Connection:
        return Connection(database, **given, **options)
    is_foreign_class = is_foreign(factory, Connection, _sqlite3.Connection)
    if is_foreign_class:
        factory = with_abilities_of(Connection, factory)
    # The factory gets what was given, by position or name as it was given.
    connection: Connection = factory(database, *sqlite3_arguments, **given, **sqlite3_options)
    if is_foreign_class and not hasattr(connection, "settings"):
        connection.close()
        raise ProgrammingError(
            f"the factory {factory.__name__!r} opens the database without super().__init__(…), so"
            " what a ThanoSQL connection needs was not set up; call that, or derive the class from"
            " thanosql.Connection"
        )
    return connection


class _TypeObject(frozenset[str]):
    """A PEP 249 type object; SQLite gives no type codes, so it equals none."""


STRING = _TypeObject({"TEXT"})
BINARY = _TypeObject({"BLOB"})
NUMBER = _TypeObject({"INTEGER", "REAL", "NUMERIC"})
DATETIME = _TypeObject({"DATE", "TIMESTAMP"})
ROWID = _TypeObject({"ROWID"})


def gallery(
    connection: Connection,
    sql: str,
    parameters: Parameters = (),
    *,
    file: StrPath = "gallery.html",
    image_col: str = "image_path",
    title: str | None = None,
    limit: int | None = 100,
) -> Path:
    """Run a query, and write its pictures to one HTML file to open in a browser, or to send.

    The page shows the pictures in the order of the rows, each with its similarity and short path;
    a click shows it large, with all of its row. Pictures that cannot be read are shown as such,
    with the reason.

    Args:
        connection: Where to run it; its workspace and options say which pictures may be read.
        sql: A SEARCH, a SELECT or a PRINT IMAGE, whose rows have a column of paths, URLs or BLOBs.
        parameters: Values of its placeholders.
        file: Where to write; an existing file is replaced. A relative path starts at the current
            folder.
        image_col: The column with the pictures, unless a PRINT names one.
        title: Title of the page. Default: what the statement looks for.
        limit: Most pictures, unless a PRINT says how many; None for all. Up to 100 are embedded at
            800 pixels, more at 360.

    Returns:
        The file's absolute path.

    Raises:
        ProgrammingError: The statement returns no rows, or they have no column ``image_col``.
        OperationalError: The file cannot be written.
        sqlite3.Error: The statement failed.

    Example::

        sql = "SEARCH IMAGE text=? USING clip OPTIONS (top_k=20) AS SELECT * FROM photos"
        gallery(connection, sql, ("a black cat",), file="cats.html")
    """
    from .ui.gallery import gallery as write

    return write(
        connection,
        sql,
        parameters,
        file=file,
        image_col=image_col,
        title=title,
        limit=limit,
    )


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: ``%load_ext thanosql`` calls this."""
    from .ui.notebook import load_ipython_extension as load

    load(shell)


# Constants, Blob: whatever else this Python's sqlite3 has. ``sqlite3.dbapi2`` is the same module
# once more, and so is ours.
dbapi2 = _sys.modules[__name__]
for _name in dir(_sqlite3):
    if not _name.startswith("_"):
        globals().setdefault(_name, getattr(_sqlite3, _name))


def __getattr__(name: str) -> Any:
    if name in globals():  # asked of the face
        return globals()[name]
    try:
        if not name.startswith("_"):
            return relay(getattr, _sqlite3, name)  # deprecated names
    except AttributeError:
        pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(name for name in globals() if not name.startswith("_") or name.endswith("__"))


__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "PARSE_COLNAMES",
    "PARSE_DECLTYPES",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "ConvertReport",
    "ConvertWarning",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "Explanation",
    "ExtensionError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LicenseWarning",
    "MediaError",
    "MediaWarning",
    "ModelError",
    "ModelWarning",
    "NotSupportedError",
    "OperationalError",
    "PrepareProtocol",
    "ProgrammingError",
    "Report",
    "Row",
    "Skipped",
    "SourceError",
    "StatementError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "WorkspaceError",
    "__version__",
    "adapt",
    "adapters",
    "apilevel",
    "complete_statement",
    "connect",
    "converters",
    "enable_callback_tracebacks",
    "explain",
    "gallery",
    "load_ipython_extension",
    "paramstyle",
    "register_adapter",
    "register_converter",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
    "to_vector",
]
