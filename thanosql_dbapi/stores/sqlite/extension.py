"""Gets sqlite-vec into a connection of any standard-library sqlite3.

Many Pythons are built without ``enable_load_extension`` (pyenv's default, macOS's own). SQLite
has a second door: ``sqlite3_auto_extension``, which every build offers to C code. Through ctypes
it is called in the very library that ``_sqlite3`` is linked to, held only while our connection
opens, and cancelled again, so that no other connection of the process changes.

Sources: https://www.sqlite.org/c3ref/auto_extension.html,
https://docs.python.org/3/library/sqlite3.html#sqlite3.Connection.enable_load_extension
"""

from __future__ import annotations

import ctypes
import functools
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import ExtensionError

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_opening = threading.Lock()

Load = Callable[[sqlite3.Connection], None]


@contextmanager
def loading() -> Iterator[Load]:
    """Make sqlite-vec load into the connection opened inside the block.

    Yields:
        A function to call with the new connection: it finishes the loading and checks it.

    Raises:
        ExtensionError: sqlite-vec is not installed, or this Python's SQLite takes no extension by
            either way; the message says what to install.

    Example:
        >>> with loading() as load:
        ...     connection = sqlite3.connect(":memory:")
        ...     load(connection)
        >>> connection.execute("SELECT vec_length(vec_f32('[1, 2]'))").fetchone()
        (2,)
        >>> connection.close()
    """
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        yield _load_by_path
        return
    library, entry_point = _linked_sqlite()
    with _opening:
        if status := library.sqlite3_auto_extension(entry_point):
            raise ExtensionError(_advice(f"sqlite3_auto_extension answered {status}"))
        try:
            yield _check
        finally:
            library.sqlite3_cancel_auto_extension(entry_point)


def _load_by_path(connection: sqlite3.Connection) -> None:
    import sqlite_vec

    connection.enable_load_extension(True)
    try:
        connection.load_extension(sqlite_vec.loadable_path())
    except sqlite3.OperationalError as error:
        raise ExtensionError(_advice(str(error))) from error
    finally:
        connection.enable_load_extension(False)
    _check(connection)


def _check(connection: sqlite3.Connection) -> None:
    try:
        sqlite3.Cursor(connection).execute("SELECT vec_version()").close()
    except sqlite3.OperationalError as error:
        raise ExtensionError(_advice(str(error))) from error


@functools.cache
def _linked_sqlite() -> tuple[ctypes.CDLL, ctypes.c_void_p]:
    """Return the library ``_sqlite3`` is linked to, and sqlite-vec's entry point."""
    import _sqlite3

    import sqlite_vec

    # A handle on the extension module finds the symbols of what it is linked to, be that a
    # shared libsqlite3 or a copy inside; a module built into the interpreter has no file.
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        source_id = library.sqlite3_sourceid
        library.sqlite3_auto_extension.argtypes = [ctypes.c_void_p]
        library.sqlite3_cancel_auto_extension.argtypes = [ctypes.c_void_p]
    except AttributeError as error:
        raise ExtensionError(_advice(f"its SQLite exports no {error}")) from error
    source_id.restype = ctypes.c_char_p
    plain = sqlite3.connect(":memory:")
    try:
        (expected,) = plain.execute("SELECT sqlite_source_id()").fetchone()
    finally:
        plain.close()
    if source_id().decode() != expected:
        raise ExtensionError(
            _advice(f"found SQLite {source_id().decode()!r} where its own is {expected!r}")
        )
    path = Path(sqlite_vec.loadable_path())
    extension = ctypes.CDLL(str(path if path.suffix else path.with_suffix(_SUFFIX)))
    return library, ctypes.cast(extension.sqlite3_vec_init, ctypes.c_void_p)


def _advice(reason: str) -> str:
    return (
        f"cannot load sqlite-vec into the SQLite {sqlite3.sqlite_version} of {sys.executable}:"
        f" {reason}; install a Python whose sqlite3 can load extensions: Debian's, Homebrew's,"
        " conda-forge's, or pyenv's with"
        ' PYTHON_CONFIGURE_OPTS="--enable-loadable-sqlite-extensions"'
    )
