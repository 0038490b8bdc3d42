"""Query vectors that outlive the process: a small SQLite file that may be deleted at any time.

It spares a new process the import of torch for a text that was searched before. Nothing depends on
it: whatever is wrong with the file, from a missing folder to torn pages, means that the vector is
computed again. Keys are digests, so the file names no query; each entry carries a checksum of its
key and vector, so that none of a damaged file is believed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

NAME = ".queries.db"
LIMIT = 10_000
# Another process writes for a millisecond; a search does not wait for one that hangs.
TIMEOUT_S = 0.1
_AT_ONCE = 500  # parameters, below the limit of every SQLite

_VECTORS = """
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY,
    key BLOB UNIQUE NOT NULL,
    vector BLOB NOT NULL,
    checksum BLOB NOT NULL
)"""


class QueryStore:
    """The remembered query vectors of a folder of models.

    Safe among threads and processes; no method raises.

    Args:
        path: The file; made by the first ``put``.
        limit: Vectors kept, the newest, 1 or more.
        can_write: Whether vectors may be added, else what is there is read alone.
    """

    def __init__(self, path: Path, limit: int = LIMIT, *, can_write: bool = True) -> None:
        self.path = path
        self.limit = limit
        self.can_write = can_write

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors of keys, without those that are not there or cannot be believed."""
        rows: list[tuple[Any, ...]] = []
        try:
            if self.path.is_symlink() or not self.path.is_file():
                return {}
            with closing(self._open("ro")) as database:
                for begin in range(0, len(keys), _AT_ONCE):
                    some = keys[begin : begin + _AT_ONCE]
                    asked = ", ".join("?" * len(some))
                    rows += database.execute(
                        f"SELECT key, vector, checksum FROM vectors WHERE key IN ({asked})", some
                    )
        except (sqlite3.Error, OSError):
            return {}
        return {
            key: vector
            for key, vector, check in rows
            if isinstance(key, bytes)
            and isinstance(vector, bytes)
            and check == checksum(key, vector)
        }

    def put(self, vectors: Mapping[bytes, bytes]) -> None:
        """Keep vectors by their keys; where that cannot be done, nothing happens."""
        # Behind a link could be anybody's database.
        if not self.can_write or self.path.is_symlink():
            return
        try:
            self._write(vectors)
        except sqlite3.OperationalError:
            pass  # locked, read-only, or the disk is full: another time
        except sqlite3.DatabaseError:
            self._replace(vectors)

    def _replace(self, vectors: Mapping[bytes, bytes]) -> None:
        """Begin a new file in place of a damaged one."""
        try:
            self.path.unlink(missing_ok=True)
            self._write(vectors)
        except (sqlite3.Error, OSError):
            pass

    def _write(self, vectors: Mapping[bytes, bytes]) -> None:
        with closing(self._open("rwc")) as database:
            # Without waiting for the disk: what a power cut takes is computed again.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN IMMEDIATE")
            database.execute(_VECTORS)
            database.executemany(
                "INSERT OR REPLACE INTO vectors (key, vector, checksum) VALUES (?, ?, ?)",
                [(key, vector, checksum(key, vector)) for key, vector in vectors.items()],
            )
            database.execute(
                "DELETE FROM vectors WHERE id <= (SELECT max(id) FROM vectors) - ?", (self.limit,)
            )
            database.execute("COMMIT")

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S, isolation_level=None)


def checksum(key: bytes, vector: bytes) -> bytes:
    """Return what tells that a key and its vector are as they were written, 8 bytes."""
    return hashlib.blake2b(key + vector, digest_size=8).digest()
