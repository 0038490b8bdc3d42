"""Where a database's file is, by the name that ``connect`` was given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from ...workspace import StrPath

PAGE_SIZE = 8192
"""SQLite's page size in a file that we create, in bytes.

A vector of 2,048 bytes fills a page of SQLite's default, 4,096, alone, and half of the file is
empty. Twice that size takes a third off the file and off a scan, and slows small updates by a
quarter; larger sizes slow those twofold (docs/benchmarks.md).
"""

_READ_ONLY = re.compile(r"[?&](?:mode=ro|immutable=[^0&])")


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
        is_uri: Whether a name that begins with ``file:`` is a URI.

    Example:
        >>> locate(":memory:", is_uri=False).file is None
        True
        >>> locate("file:/data/photos.db?mode=ro", is_uri=True).is_read_only
        True

    Source: https://www.sqlite.org/uri.html
    """
    name, is_read_only = os.fsdecode(database), False
    if is_uri and name.startswith("file:"):
        from urllib.parse import parse_qs, unquote, urlsplit

        is_read_only = _READ_ONLY.search(name) is not None
        try:
            parts = urlsplit(name)
        except ValueError:  # SQLite judges it
            return Location(None, is_read_only)
        name = unquote(parts.path)
        if parse_qs(parts.query).get("mode") == ["memory"]:
            name = ""
    if name in ("", ":memory:"):
        return Location(None, is_read_only)
    return Location(Path(name).absolute(), is_read_only)
