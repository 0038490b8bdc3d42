"""Reads what places name that are no files of their own: URLs, objects in buckets, members.

One reader is one statement's: an archive is opened once and its directory read once, by however
many threads. A :class:`SourcePolicy` says what may be read; it is all that another process needs.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import SourceError, clip
from ..openfile import OpenFile
from ..places import STORES, WEB, Place, parse
from .members import Archive, MemberError, open_archive, open_far_zip
from .network import fetch_blocks, fetch_bytes, without_secrets
from .policy import SourcePolicy
from .ranges import RangeFile

if TYPE_CHECKING:
    from .buckets import Store

_ARCHIVES_KEPT = 8
# Of an object, a header is looked for in its first part before all of it is read.
_PART_BYTES = 8 << 20
_HEADER_BYTES = 256 << 10


class Entry(NamedTuple):
    """Something that lies in a bucket or an archive.

    Attributes:
        name: Its key or name, with ``/``.
        size: Bytes.
        mtime_ns: Its time, in nanoseconds since 1970, or 0.
        tag: A digest of what is said of its content, 32 bytes, or None.
        is_file: Whether it is a regular file.
    """

    name: str
    size: int
    mtime_ns: int
    tag: bytes | None
    is_file: bool = True


class Reader:
    """Reads by a policy; used by several threads at once, and can be pickled as its policy can.

    Args:
        policy: What may be read, and how.

    Example:
        >>> from thanosql_dbapi.workspace import Workspace
        >>> Reader(SourcePolicy(Workspace("/photos"))).read("s3://album/cat.jpg")
        Traceback (most recent call last):
        thanosql_dbapi.errors.SourceError: 's3://album/cat.jpg' needs the network, which is off; ...
    """

    def __init__(self, policy: SourcePolicy) -> None:
        self.policy = policy
        self._lock = threading.Lock()
        self._archives: dict[str, _Opening] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the policy: another process opens archives and connections of its own."""
        return Reader, (self.policy,)

    def read(self, text: str) -> bytes:
        """Return the content of an image.

        Args:
            text: An http(s) URL, an object in a bucket, or a member of an archive.

        Raises:
            SourceError: It cannot be read; its cause is a FileNotFoundError where it is not there.
            NotSupportedError: A package is missing.
            WorkspaceError: An archive lies outside the workspace and the allowed directories.
        """
        place, policy = parse(text), self.policy
        policy.require_network(place)
        if place.scheme in WEB:
            return fetch_bytes(
                text,
                limit_bytes=policy.limit_bytes,
                timeout_s=policy.timeout_s,
                total_s=policy.total_s,
                reach=policy.reach(),
            )
        if place.scheme in STORES:
            content = _store(policy, place).read(place, limit=policy.limit_bytes + 1)
            if len(content) > policy.limit_bytes:
                raise SourceError(
                    f"{clip(text)} has more than the limit of {policy.limit_bytes:,} bytes"
                )
            return content
        return b"".join(self._member(place, policy.limit_bytes))

    def table(self, place: Place) -> OpenFile:
        """Return a file without a name that holds a table from elsewhere.

        Raises:
            SourceError: It cannot be read, is too large, or the disk is full.
        """
        if place.archive is not None:
            blocks = self._member(place, self.policy.table_bytes)
        else:
            blocks = self._far_blocks(place)
        name = PurePosixPath(place.path.partition("?")[0] if place.scheme in WEB else place.path)
        return _temporary(blocks, name.name, without_secrets(place.text))

    def entries(self, place: Place) -> Iterator[Entry]:
        """Yield what lies in an archive, or in a bucket under the place's prefix.

        Raises:
            SourceError: The bucket or the archive cannot be read.
        """
        self.policy.require_network(place)
        if place.archive is not None:
            yield from (Entry(*member) for member in self.archive(place.archive).members())
        else:
            found = _store(self.policy, place).list(place, prefix_of(place))
            yield from (Entry(*each) for each in found)

    def problem(self, place: Place) -> str:
        """Return what is wrong with an archive whose members can be read all the same, or empty."""
        return "" if place.archive is None else self.archive(place.archive).problem

    @contextmanager
    def beginning(self, text: str) -> Iterator[BinaryIO]:
        """Open an image for a look at its header: of an object, the first part alone is read.

        Raises:
            SourceError: It cannot be read.
        """
        place = parse(text)
        if place.scheme in STORES:
            store = _store(self.policy, place)
            yield io.BufferedReader(_Ahead(store.read, place, self.policy.limit_bytes))
        else:
            yield io.BytesIO(self.read(text))

    def archive(self, place: Place) -> Archive:
        """Return an open archive.

        Raises:
            SourceError: It cannot be read, or is damaged.
            WorkspaceError: It lies outside the workspace and the allowed directories.
        """
        with self._lock:
            opening = self._archives.setdefault(place.text, _Opening())
            while len(self._archives) > _ARCHIVES_KEPT:
                del self._archives[next(iter(self._archives))]
        return opening.get(lambda: self._open(place))

    def _open(self, place: Place) -> Archive:
        what = f"archive {_shown(place)}"
        if not place.scheme:
            try:
                opened = self.policy.workspace.open(place.path)
                if not opened.is_file:
                    raise SourceError(f"{what} is no file")
                return open_archive(opened, what)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise SourceError(f"{what} does not exist") from error
            except OSError as error:
                raise SourceError(f"{what} cannot be read: {error.strerror or error}") from error
        self.policy.require_network(place)
        if place.scheme in STORES:
            store = _store(self.policy, place)
            facts = store.look(place)
            if _is_zip(store.read(place, limit=4)):
                return open_far_zip(_parts_of(store.read, place), facts.size, what)
        else:
            remote = RangeFile(place.text, self.policy.reach())
            if remote.has_ranges and _is_zip(remote.part(0, min(4, remote.size))):
                return open_far_zip(remote.part, remote.size, what)
        blocks = self._far_blocks(place)
        name = PurePosixPath(place.path.partition("?")[0]).name
        return open_archive(_temporary(blocks, name, without_secrets(place.text)), what)

    def _member(self, place: Place, limit: int) -> Iterator[bytes]:
        assert place.archive is not None
        try:
            yield from self.archive(place.archive).blocks(place.path, limit)
        except FileNotFoundError as error:
            raise SourceError(
                f"{_shown(place)} does not exist: the archive has no member {clip(place.path)}"
            ) from error
        except MemberError as error:
            raise SourceError(f"{_shown(place)}: {error}") from error

    def _far_blocks(self, place: Place) -> Iterator[bytes]:
        """Yield a whole table or archive that the network brings."""
        policy = self.policy
        policy.require_network(place)
        if place.scheme in WEB:
            yield from fetch_blocks(
                place.text,
                limit_bytes=policy.table_bytes,
                timeout_s=policy.timeout_s,
                total_s=policy.table_total_s,
                reach=policy.reach(),
            )
            return
        store = _store(policy, place)
        facts = store.look(place)
        if facts.size > policy.table_bytes:
            raise SourceError(
                f"{_shown(place)} has {facts.size:,} bytes, more than the limit of"
                f" {policy.table_bytes:,} bytes"
            )
        for start in range(0, facts.size, _PART_BYTES):
            yield store.read(place, start=start, limit=min(_PART_BYTES, facts.size - start))
        if store.look(place)[1:] != facts[1:]:
            raise SourceError(f"{_shown(place)} has changed while it was read; try again")


def _store(policy: SourcePolicy, place: Place) -> Store:
    from .buckets import open_store  # it brings asyncio, which a search on files can do without

    return open_store(policy, place)


class _Opening:
    """An archive that is opened once, by the first of several threads; an error is kept too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._archive: Archive | None = None
        self._error: SourceError | None = None

    def get(self, opening: Callable[[], Archive]) -> Archive:
        with self._lock:
            if self._error is not None:
                raise type(self._error)(str(self._error)) from self._error.__cause__
            if self._archive is None:
                try:
                    self._archive = opening()
                except SourceError as error:
                    self._error = error
                    raise
            return self._archive


class _Ahead(io.RawIOBase):
    """An object of which its first part is read, and more only where more is asked for."""

    def __init__(self, read: Callable[..., bytes], place: Place, limit: int) -> None:
        self._read, self._place, self._limit = read, place, limit
        self._position = 0
        self._content = read(place, limit=_HEADER_BYTES)
        self._is_whole = len(self._content) < _HEADER_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            self._complete()
        start = (0, self._position, len(self._content))[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position + len(view) > len(self._content) and not self._is_whole:
            wanted = self._position + min(len(view), io.DEFAULT_BUFFER_SIZE)
            if wanted > len(self._content):
                self._complete()
        content = self._content[self._position : self._position + len(view)]
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _complete(self) -> None:
        if not self._is_whole:
            self._is_whole = True
            start = len(self._content)
            self._content += self._read(self._place, start=start, limit=self._limit - start)


def prefix_of(place: Place) -> str:
    """Return what the names of a place's entries begin with: up to the first wildcard."""
    if place.pattern:
        fixed = place.path[: min(i for i, each in enumerate(place.path) if each in "*?[")]
        return fixed.rpartition("/")[0] + "/" if "/" in fixed else ""
    return f"{place.path.rstrip('/')}/" if place.path.strip("/") else ""


def _temporary(blocks: Iterator[bytes], name: str, shown: str) -> OpenFile:
    try:
        return OpenFile.temporary(blocks, name, shown)
    except OSError as error:
        raise SourceError(f"{clip(shown)} cannot be stored: {error.strerror or error}") from error


def _parts_of(read: Callable[..., bytes], place: Place) -> Callable[[int, int], bytes]:
    def part(start: int, end: int) -> bytes:
        return read(place, start=start, limit=end - start)

    return part


def _shown(place: Place) -> str:
    return clip(without_secrets(place.text), 200)


def _is_zip(head: bytes) -> bool:
    return head[:4] in (b"PK\3\4", b"PK\5\6")
