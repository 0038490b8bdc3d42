"""What a database knows of files: one small table in the user's own file.

``thanosql_files`` has the size, time and number of each file that a COPY of a folder saw, and the
digest of its content where somebody has read it. So a file that was moved or renamed is recognised.
What is known of a file that is gone stays: another table may have a row of it, and it may come
back. The table is made at the first need; any SQLite client may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...sources.folder.changes import Known
from ...sources.folder.walk import File
from .database import Database

_FILES = """
CREATE TABLE IF NOT EXISTS main.thanosql_files (
    path TEXT PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest BLOB
) WITHOUT ROWID"""
# A digest holds for as long as size, time and number do.
_REMEMBER = """
INSERT INTO main.thanosql_files AS old (path, size, mtime_ns, inode, digest) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    digest = coalesce(excluded.digest, CASE WHEN
        (old.size, old.mtime_ns, old.inode) = (excluded.size, excluded.mtime_ns, excluded.inode)
        THEN old.digest END),
    size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode"""


class Files:
    """The files that a database knows, by their path: relative to the workspace inside it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_table: bool | None = None

    def all(self) -> Iterator[tuple[str, Known]]:
        """Yield the path of each file, and what is known of it."""
        if not self._is_there():
            return
        rows = self._database.stream(
            "SELECT path, size, mtime_ns, inode, digest FROM main.thanosql_files"
        )
        for path, *known in rows:
            yield path, Known(*known)

    def digest(self, file: File) -> bytes | None:
        """Return the digest of a file's content; None where it is not known or the file changed."""
        row = self._is_there() and self._database.row(
            "SELECT digest FROM main.thanosql_files"
            " WHERE (path, size, mtime_ns, inode) = (?, ?, ?, ?)",
            file,
        )
        return row[0] if row else None

    def facts(self, path: str) -> tuple[int, int, bytes | None] | None:
        """Return the size, time and digest of a file as it was last seen; None where it was not."""
        if self._has_table is None:
            self._has_table = self._is_there()
        row = self._has_table and self._database.row(
            "SELECT size, mtime_ns, digest FROM main.thanosql_files WHERE path = ?", (path,)
        )
        if not row:
            return None
        size, mtime_ns, digest = row
        # A copy of the same content has another time.
        return (size, 0, digest) if digest is not None else (size, mtime_ns, None)

    def remember(self, files: Iterable[File], digests: Mapping[str, bytes]) -> None:
        """Write down what files are like now; the caller commits.

        Args:
            files: The files.
            digests: The digests of their content by path, as far as somebody has read it.
        """
        self._database.execute(_FILES)
        self._database.execute_many(_REMEMBER, ((*file, digests.get(file.path)) for file in files))

    def add_digests(self, digests: Iterable[tuple[str, int, int, int, bytes]]) -> None:
        """Add the digests of files that are known and have not changed; the caller commits.

        Args:
            digests: Path, size, time, number and digest of each.
        """
        if self._is_there():
            self._database.execute_many(
                "UPDATE main.thanosql_files SET digest = ?5"
                " WHERE (path, size, mtime_ns, inode) = (?1, ?2, ?3, ?4)",
                digests,
            )

    def _is_there(self) -> bool:
        return bool(self._database.table_columns("main", "thanosql_files"))
