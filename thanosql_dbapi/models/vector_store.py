"""Vectors by the content that they were made from, for all databases of a workspace.

A best-effort cache, never authoritative: one SQLite file beside the models, which may be deleted at
any time. It is why a table that is made again, or a second one, costs a read of each file and no
forward pass. A file of the workspace, and not a table of the user's database, because a vector is
then stored once for all databases and tables, DROP TABLE does not lose it, a ROLLBACK does not
either, and the user's file does not grow.

Keys are digests, so the file names no picture and no text. Each entry has a checksum, so that
nothing of a damaged file is used. When the file reaches its limit, the vectors that were unused for
longest are deleted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .query_store import checksum

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = ".vectors.db"
LIMIT_BYTES = 1 << 30
"""For half a million vectors of 512 numbers."""
# Another process writes what it has collected in some milliseconds.
_TIMEOUT_S = 0.2
_COLLECTED = 512
"""Vectors that are written at once: a transaction for each batch of 16 takes noticeable time."""

# `used` is the number of the run, counted from 1, that last read or wrote the entry.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY,
    key BLOB UNIQUE NOT NULL,
    vector BLOB NOT NULL,
    checksum BLOB NOT NULL,
    used INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS vectors_used ON vectors (used)"""
_EVICT = """
DELETE FROM vectors WHERE id IN (
    SELECT id FROM vectors ORDER BY used, id LIMIT 1 + (SELECT count(*) FROM vectors) / 10)"""


class VectorStore:
    """The vectors of a workspace by content, open for one run, from several threads.

    No method raises: an entry that cannot be read is not there, one that cannot be written is
    dropped.

    Args:
        path: The file; made by the first ``put``.
        limit_bytes: About how large the file may become.
        can_write: Whether vectors may be added; else the file is only read.
    """

    def __init__(
        self, path: Path, limit_bytes: int = LIMIT_BYTES, *, can_write: bool = True
    ) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        # Behind a link could be any database.
        self._is_usable = not path.is_symlink() and path.parent.is_dir()
        self._can_write = can_write
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._run = 0
        self._hits: set[bytes] = set()
        self._waiting: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: bytes) -> bytes | None:
        """Return the vector of a key, or None."""
        with self._lock:
            if key in self._waiting:
                return self._waiting[key]
            try:
                database = self._opened(makes=False)
                if database is None:
                    return None
                row = database.execute(
                    "SELECT vector, checksum FROM vectors WHERE key = ?", (key,)
                ).fetchone()
            except sqlite3.Error:
                return None
            if row is None or not isinstance(row[0], bytes) or row[1] != checksum(key, row[0]):
                return None
            self._hits.add(key)
            return row[0]

    def put(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep vectors by their keys; they are written some hundred at once."""
        with self._lock:
            if not (self._can_write and self._is_usable):
                return
            self._waiting.update(pairs)
            if len(self._waiting) >= _COLLECTED:
                self._flush()

    def close(self) -> None:
        """Write what waits, note which vectors were used, and close the file."""
        with self._lock:
            if self._can_write and (self._waiting or self._hits):
                self._flush()
            self._close()

    def _flush(self) -> None:
        try:
            self._write()
        except sqlite3.OperationalError:
            self._undo()  # locked, read-only, or the disk is full: another time
        except sqlite3.DatabaseError:  # damaged, or of another kind
            self._close()
            try:
                self.path.unlink(missing_ok=True)
                self._write()
            except (sqlite3.Error, OSError):
                self._is_usable = False
        self._waiting.clear()

    def _write(self) -> None:
        database = self._opened(makes=True)
        if database is None:
            return
        database.execute("BEGIN IMMEDIATE")
        if not self._run:
            (last,) = database.execute("SELECT max(used) FROM vectors").fetchone()
            self._run = (last or 0) + 1
        database.executemany(
            "UPDATE vectors SET used = ? WHERE key = ?", [(self._run, key) for key in self._hits]
        )
        database.executemany(
            "INSERT OR REPLACE INTO vectors (key, vector, checksum, used) VALUES (?, ?, ?, ?)",
            [
                (key, vector, checksum(key, vector), self._run)
                for key, vector in self._waiting.items()
            ],
        )
        while self._size(database) > self.limit_bytes and database.execute(_EVICT).rowcount > 0:
            pass
        database.execute("COMMIT")
        self._hits.clear()

    @staticmethod
    def _size(database: sqlite3.Connection) -> int:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        (free,) = database.execute("PRAGMA freelist_count").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def _opened(self, *, makes: bool) -> sqlite3.Connection | None:
        """Return the open file; None where there is none and it is not to be made."""
        if self._database is not None or not self._is_usable:
            return self._database
        is_there = self.path.is_file()
        if not is_there and not makes:
            return None
        mode = ("rwc" if makes else "rw") if self._can_write else "ro"
        self._database = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        if self._can_write:
            # Without waiting for the disk: what a power cut takes is computed again.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.executescript(_SCHEMA)
        return self._database

    def _undo(self) -> None:
        if self._database is not None and self._database.in_transaction:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
