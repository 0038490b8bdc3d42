"""Where a database's file is, by the name that ``connect`` was given."""

from __future__ import annotations

import functools
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union
from urllib.parse import unquote_to_bytes

from ...errors import DatabaseError, ProgrammingError, clip

if TYPE_CHECKING:
    from ...workspace import StrPath

PAGE_SIZE = 8192
"""SQLite's page size in a file that we create, in bytes.

A vector of 2,048 bytes fills a page of SQLite's default, 4,096, alone, and half of the file is
empty. Twice that size takes a third off the file and off a scan, and slows small updates by a
quarter; larger sizes slow those twofold (docs/benchmarks.md).
"""

_HEADER = b"SQLite format 3\0"

_FALSE = ("", "no", "off", "false")


@dataclass(frozen=True)
class Location:
    """Where a database is.

    Attributes:
        file: Its file, absolute, or None for one in memory or a temporary one.
        is_read_only: Whether its name asks for it to be left as it is.
    """

    file: Path | None
    is_read_only: bool = False

    @property
    def folder(self) -> Path:
        """The file's folder, or the current folder of a database in memory."""
        return Path.cwd() if self.file is None else self.file.parent

    @property
    def identity(self) -> tuple[int, int] | None:
        """The file's device and inode, None for a database in memory."""
        try:
            status = None if self.file is None else self.file.stat()
        except OSError:
            return None
        return None if status is None else (status.st_dev, status.st_ino)

    @property
    def is_protected(self) -> bool:
        """Whether the file is there and may not be written: its permissions, or the mount's."""
        return self.file is not None and self.file.exists() and not os.access(self.file, os.W_OK)

    @property
    def is_new(self) -> bool:
        """Whether nothing is in the file yet, and something may come."""
        if self.file is None or self.is_read_only:
            return False
        try:
            return self.file.stat().st_size == 0
        except OSError:
            return True


def locate(database: Union[StrPath, bytes], *, is_uri: bool) -> Location:
    """Return where a database is.

    Args:
        database: What ``sqlite3.connect`` takes.
        is_uri: Whether the caller says that a name that begins with ``file:`` is a URI; some builds
            of SQLite take it for one anyway.

    Example:
        >>> locate(":memory:", is_uri=False).file is None
        True
        >>> locate("file:/data/photos.db?mode=ro", is_uri=True).is_read_only
        True

    Source: https://www.sqlite.org/uri.html
    """
    name, is_read_only = os.fsdecode(database), False
    if name.startswith("file:") and (is_uri or reads_uris()):
        name, parameters = read_uri(name)
        modes = [value for key, value in parameters if key == "mode"]
        immutable = next((value for key, value in parameters if key == "immutable"), "")
        is_read_only = modes[-1:] == ["ro"] or is_true(immutable)
        if modes[-1:] == ["memory"]:
            name = ""
    if name in ("", ":memory:"):
        return Location(None, is_read_only)
    return Location(Path(name).absolute(), is_read_only)


def require_database(file: Path) -> None:
    """Refuse a file that is there, is not empty and is no database: SQLite does not name it.

    Raises:
        DatabaseError: Its header is another one.

    Source: https://www.sqlite.org/fileformat2.html#the_database_header
    """
    try:
        with file.open("rb") as opened:
            header = opened.read(len(_HEADER))
    except OSError:
        return  # SQLite says what is wrong
    if header and header != _HEADER:
        raise DatabaseError(
            f"{str(file)!r} is not a database: expected a file that begins with"
            f" {_HEADER!r}, as SQLite's do, got {header!r}; name another file; nothing was changed"
        )


def with_mode(
    database: Union[StrPath, bytes], mode: str | None, *, is_uri: bool
) -> tuple[Union[StrPath, bytes], bool]:
    """Return a database's name that asks SQLite for a mode, and whether it is a URI.

    Args:
        database: What ``sqlite3.connect`` takes.
        mode: ``"ro"``, ``"rw"``, ``"rwc"``, or None to leave the name as it is.
        is_uri: Whether the caller says that the name may be a URI.

    Raises:
        ProgrammingError: The name is a URI with another mode, or of no file.
    """
    name = os.fsdecode(database)
    if mode is None:
        return database, is_uri
    if name in ("", ":memory:"):
        if mode == "rwc":
            return database, is_uri
        raise ProgrammingError(f"mode={mode!r} is for a file, and {clip(name)} is none")
    if not (name.startswith("file:") and (is_uri or reads_uris())):
        return f"{Path(name).absolute().as_uri()}?mode={mode}", True
    there = [value for key, value in read_uri(name)[1] if key == "mode"]
    if there and there[-1] != mode:
        raise ProgrammingError(f"mode={mode!r}, but {clip(name)} asks for mode={there[-1]!r}")
    head, mark, fragment = name.partition("#")
    return f"{head}{'&' if '?' in head else '?'}mode={mode}{mark}{fragment}", True


def read_uri(name: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the path and the parameters of a ``file:`` URI, read as SQLite reads it.

    Example:
        >>> read_uri("file:///photos/a%20b.db?mode=ro&cache=shared#part")
        ('/photos/a b.db', [('mode', 'ro'), ('cache', 'shared')])
    """
    rest = name.removeprefix("file:").partition("#")[0]
    path, _, query = rest.partition("?")
    if path.startswith("//"):
        _, slash, after = path[2:].partition("/")
        path = slash + after
    pairs = (part.partition("=") for part in query.split("&") if part)
    return _decoded(path), [(_decoded(key), _decoded(value)) for key, _, value in pairs]


def _decoded(text: str) -> str:
    # What follows %00 is ignored.
    return os.fsdecode(unquote_to_bytes(os.fsencode(text)).partition(b"\0")[0])


def is_true(value: str) -> bool:
    """Return whether SQLite takes a parameter's value for true."""
    return value.lower() not in _FALSE and value.strip("0") != ""


@functools.cache
def reads_uris() -> bool:
    """Return whether this SQLite takes ``file:`` names for URIs without being asked."""
    connection = sqlite3.connect(":memory:")
    try:
        return bool(connection.execute("SELECT sqlite_compileoption_used('USE_URI')").fetchone()[0])
    except sqlite3.Error:  # built without the function: assume what confines more
        return True
    finally:
        connection.close()
