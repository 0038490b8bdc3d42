"""What the rows of a CONVERT hold: by name, size and time without reading, by digest with reading.

Two facts are kept of a vector. Its source's *state* is one number, which costs a ``stat``: the same
state means that nothing has changed. Its source's *content* is a digest of the model and the bytes,
which costs a read: the same content means the same vector, whatever the file is called and when it
was written.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..embedding.known import FileFacts
from ..errors import SourceError, WorkspaceError
from ..models.vector_store import NAME, VectorStore
from ..places import WEB, parse
from ..stores.sqlite.files import Files
from .context import Context
from .embedding_plan import EmbeddingPlan

_NO_FILE = bytes(4)


class Contents:
    """The sources of a CONVERT's rows, by row id in the staging table; implements ``Known``.

    Args:
        context: The connection.
        plan: What they are embedded with.
        store: The vectors of the workspace.

    Attributes:
        states: The states of the rows' sources when they were read.
        keys: The contents, as far as they are known.
        had: The contents that the rows' own vectors were made from.
        away: Rows whose own vector stays if their source cannot be read.
    """

    def __init__(self, context: Context, plan: EmbeddingPlan, store: VectorStore) -> None:
        self._workspace, self._plan, self._store = context.workspace, plan, store
        self.states: dict[int, int] = {}
        self.keys: dict[int, bytes] = {}
        self.had: dict[int, bytes] = {}
        self.away: set[int] = set()
        self._seen = Files(context.database)
        self._folders: dict[str, str] = {}

    def stated(self, rows: Iterable[tuple[int, object]]) -> Iterator[tuple[int, object]]:
        """Yield the rows, and note the state of each source when it is read.

        One that changes later has another state next time.
        """
        for row_id, source in rows:
            self.states[row_id] = self.state(source)
            yield row_id, source

    def state(self, source: object) -> int:
        """Return a number that changes when the source does.

        Its upper half stands for the model and the text, path or bytes, its lower half for the
        bytes again or for the size and time of the path's file, 0 where there is none. The inode
        is no part of it: some file systems number files anew each time they are mounted. A member
        of an archive has the state of the archive.
        """
        digest = self._named(source)
        state = digest.digest()
        if self._is_path(source):
            facts = self._facts(str(self._plan.place(source)))
            digest.update(repr(facts).encode())
            state = state[:4] + (_NO_FILE if facts is None else digest.digest()[:4])
        return int.from_bytes(state, "big", signed=True)

    def _facts(self, place: str) -> object:
        """Return what changes with the content of a file, as far as that costs no read.

        Of what a store holds, that is what the last COPY saw: nobody asks the store for each row.
        """
        try:
            found = parse(place)
            if found.holder.scheme in WEB and found.archive is None:
                return None
            if found.is_far:
                return self._seen.facts(place) or "never listed"
            status = self._status(found.holder.path)
            return status.st_size, status.st_mtime_ns
        except (OSError, ValueError, SourceError, WorkspaceError):
            return None  # a file that is gone: reading it says what

    def _status(self, place: str) -> os.stat_result:
        """Return the status of a path's file.

        A folder's links are resolved once: a collection has many files a folder.
        """
        folder, name = os.path.split(place)
        if name not in ("", os.curdir, os.pardir):
            known = self._folders.get(folder)
            if known is None:
                known = self._folders[folder] = str(self._workspace.locate(folder or os.curdir))
            with suppress(FileNotFoundError):  # another normal form of its name may be there
                status = os.lstat(f"{known}{os.sep}{name}")
                if not stat.S_ISLNK(status.st_mode):
                    return status
        return self._workspace.locate(place).stat()

    def name(self, source: object) -> int:
        """Return the upper half of the state."""
        return int.from_bytes(self._named(source).digest()[:4], "big", signed=True)

    def _named(self, source: object) -> hashlib.blake2b:
        digest = hashlib.blake2b(digest_size=8)
        digest.update(repr((self._plan.way, self._plan.model.fingerprint)).encode())
        if isinstance(source, bytes):
            digest.update(source)
        else:
            # As it is written: under another base_dir it is the same row's file, or not there.
            digest.update(repr(source).encode("utf-8", "surrogatepass"))
        return digest

    def _is_path(self, source: object) -> bool:
        return self._plan.names_files and isinstance(source, str)

    def has(self, key: int, content: bytes) -> bool:
        """Return whether a row's own vector was made from this content."""
        return self.had.get(key) == content

    def vector(self, content: bytes) -> bytes | None:
        """Return the vector that the workspace knows of this content."""
        return self._store.get(content)

    def keep(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep vectors by their contents."""
        self._store.put(pairs)

    def forget(self, row_ids: Iterable[int]) -> None:
        """Forget what was noted of rows that are written."""
        for row_id in row_ids:
            self.states.pop(row_id, None)
            self.keys.pop(row_id, None)
            self.had.pop(row_id, None)
            self.away.discard(row_id)

    def spelled(self, files: Iterable[FileFacts]) -> list[FileFacts]:
        """Return files with their paths as COPY of a folder writes them.

        Paths are relative to the workspace inside it.
        """
        spelled = self._workspace.spelled
        return [each._replace(path=spelled(Path(each.path))) for each in files]


def open_store(context: Context) -> VectorStore:
    """Return the vectors of the connection's workspace, by content; close it after use."""
    models = context.workspace.models
    # A link leads out of the workspace, where nothing is written.
    can_write = not context.settings.is_read_only and not models.is_symlink()
    return VectorStore(models / NAME, can_write=can_write)


def is_gone(now: int, before: int) -> bool:
    """Return whether a source's file was there before and is not now, all else being equal."""
    return now != before and is_same_name(now, before) and not now & 0xFFFFFFFF


def is_same_name(now: int, before: int) -> bool:
    """Return whether two states are of one model and one path, text or BLOB."""
    return now >> 32 == before >> 32


def vector_check(vector: bytes) -> int:
    """Return a number that tells a vector from others."""
    return int.from_bytes(hashlib.blake2b(vector, digest_size=8).digest(), "big", signed=True)
