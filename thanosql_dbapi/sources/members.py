"""The members of zip and tar archives, read where they lie: nothing is unpacked to the disk.

A zip archive is read at any place, on a server too. A tar archive has no directory: its headers are
read once, and one that is compressed or far away is first put into a file without a name. What a
member holds counts as it unpacks, and no member is read beyond the limit.
"""

from __future__ import annotations

import calendar
import hashlib
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from ..errors import SourceError
from ..openfile import OpenFile
from .archive import (
    ENTRIES_LIMIT,
    RATIO_FREE_BYTES,
    RATIO_LIMIT,
    InPieces,
    compression_of,
    decompressed,
)

BLOCK_BYTES = 1 << 20
# A zip archive's directory is read in one piece: 80 bytes a member.
_DIRECTORY_BYTES = 256 << 20
_TAIL_BYTES = 256 << 10
# A member's own header may be longer than the directory says: it has other extra fields.
_HEADER_BYTES = 30 + (64 << 10)


class Member(NamedTuple):
    """A member of an archive.

    Attributes:
        name: Its name, with ``/``.
        size: Bytes, unpacked.
        mtime_ns: The time that the archive gives it, in nanoseconds since 1970, or 0.
        tag: A digest of the checksum that the archive has of it, 32 bytes; None in tar archives.
        is_file: Whether it is a regular file; folders are no members.
    """

    name: str
    size: int
    mtime_ns: int
    tag: bytes | None
    is_file: bool


class MemberError(SourceError):
    """What is wrong with one member; the text does not name it."""


class Archive(Protocol):
    """An open archive; used by several threads at once.

    Attributes:
        problem: What is wrong with it as a whole, though members can be read; or empty.
    """

    problem: str

    def members(self) -> Iterator[Member]:
        """Yield the members, folders left out; of two of one name the last."""
        ...

    def blocks(self, name: str, limit: int) -> Iterator[bytes]:
        """Yield the content of a member.

        Raises:
            FileNotFoundError: There is no such member.
            MemberError: It may not be read, or has more bytes than the limit.
            SourceError: It is damaged, or cannot be fetched.
        """
        ...


def open_archive(opened: OpenFile, what: str) -> Archive:
    """Return the archive in a file; its content says what kind it is.

    Args:
        opened: The file; it stays open as long as the archive is used.
        what: How messages name it.

    Raises:
        SourceError: It is damaged, no archive, or a bomb.
    """
    with _damage(what), opened.reader() as file:
        if zipfile.is_zipfile(file):
            return _Zip(InPieces(opened.reader(), what, _DIRECTORY_BYTES), what, None)
        file.seek(0)
        if file.read(4) == b"PK\3\4":  # a member of a zip archive
            raise SourceError(
                f"{what} is damaged or cut short: it begins as a zip archive, and the directory at"
                " its end is missing"
            )
    if compression_of(opened) is not None:
        opened = _uncompressed(opened, what)
    return _Tar(opened, what)


def open_far_zip(part: Callable[[int, int], bytes], size: int, what: str) -> Archive:
    """Return the zip archive in a file that is read in parts.

    Args:
        part: Gives the bytes from a place to a place; called by several threads at once.
        size: The size of the file, in bytes.
        what: How messages name it.

    Raises:
        SourceError: It is damaged, or no zip archive.
    """
    file = _Parts(part, size)
    file.fetch(max(0, size - _TAIL_BYTES), size)
    return _Zip(InPieces(file, what, _DIRECTORY_BYTES), what, file.fetch)


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Turn what the readers of archives raise of damaged ones into a SourceError."""
    try:
        yield
    except (SourceError, FileNotFoundError):
        raise
    # zlib.error, EOFError, struct.error, NotImplementedError and more, as in ``archive``.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, and not the archive
        why = str(error) or type(error).__name__
        raise SourceError(f"{what} is damaged or cut short: {why}") from error


class _Zip:
    def __init__(self, file: Any, what: str, fetch: Callable[[int, int], None] | None) -> None:
        self._what, self._fetch = what, fetch
        self.problem = ""
        with _damage(what):
            self._file = zipfile.ZipFile(file)
        if len(self._file.filelist) > ENTRIES_LIMIT:
            raise SourceError(f"{what} holds more than {ENTRIES_LIMIT:,} files; refused")

    def members(self) -> Iterator[Member]:
        for name, info in self._file.NameToInfo.items():
            if not info.is_dir():
                yield Member(name, info.file_size, _zip_time(info), _zip_tag(info), _is_file(info))

    def blocks(self, name: str, limit: int) -> Iterator[bytes]:
        info = self._file.NameToInfo.get(name)
        if info is None or info.is_dir():
            raise FileNotFoundError(name)
        if info.flag_bits & 1:
            raise MemberError(f"it is protected with a password; unpack {self._what} by hand")
        if not _is_file(info):
            raise MemberError("it is a link or device, expected a file")
        _require_size(info.file_size, limit)
        if self._fetch is not None:
            length = _HEADER_BYTES + len(info.filename) + info.compress_size
            self._fetch(info.header_offset, info.header_offset + length)
        with _damage(f"member {name!r} of {self._what}"), self._file.open(info) as content:
            yield from _limited(iter(lambda: content.read(BLOCK_BYTES), b""), limit)


class _Tar:
    def __init__(self, opened: OpenFile, what: str) -> None:
        self._opened, self._what = opened, what
        self._members: dict[str, tarfile.TarInfo] = {}
        self.problem = ""
        try:
            with _damage(what), opened.reader() as file:
                self._read_headers(InPieces(file, what))
        except SourceError as error:
            if not isinstance(error.__cause__, tarfile.ReadError):
                raise
            if not self._members:
                raise SourceError(f"{what} is neither a zip nor a tar archive") from error
            self.problem = f"cut short after {len(self._members):,} members"

    def _read_headers(self, stream: Any) -> None:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= ENTRIES_LIMIT:
                    raise SourceError(
                        f"{self._what} holds more than {ENTRIES_LIMIT:,} files; refused"
                    )
                if not member.isdir():
                    self._members[member.name.removeprefix("./")] = member
            # tarfile stops at a header that it cannot read as at the end, and says nothing.
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                self.problem = f"damaged or cut short after {len(self._members):,} members"

    def members(self) -> Iterator[Member]:
        for name, member in self._members.items():
            seconds = float(member.mtime)
            is_time = 0 <= seconds < 2**33
            mtime_ns = int(seconds * 1000) * 10**6 if is_time else 0
            yield Member(name, member.size, mtime_ns, None, _is_plain(member))

    def blocks(self, name: str, limit: int) -> Iterator[bytes]:
        member = self._members.get(name)
        if member is None:
            raise FileNotFoundError(name)
        if not _is_plain(member):
            raise MemberError("it is a link or device, expected a file")
        _require_size(member.size, limit)
        left = member.size
        with self._opened.reader() as file:
            file.seek(member.offset_data)
            while left and (block := file.read(min(left, BLOCK_BYTES))):
                left -= len(block)
                yield block
        if left:
            raise MemberError(f"{self._what} is cut short")


class _Parts:
    """A file that is read in parts; each thread holds the part that it fetched last.

    So threads wait for the network at the same time, and take turns only to copy what they have.
    """

    def __init__(self, part: Callable[[int, int], bytes], size: int) -> None:
        self._part, self._size = part, size
        self._position = 0
        self._held = threading.local()

    def fetch(self, start: int, end: int) -> None:
        """Hold the bytes from ``start`` to ``end`` for this thread."""
        end = min(end, self._size)
        self._held.start = start
        self._held.content = self._part(start, end) if end > start else b""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._size)[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int) -> bytes:
        start, end = self._position, min(self._position + size, self._size)
        if end <= start:
            return b""
        if not self._holds(start, end):
            self.fetch(start, max(end, start + BLOCK_BYTES))
        at = start - self._held.start
        content: bytes = self._held.content[at : at + end - start]
        self._position += len(content)
        return content

    def _holds(self, start: int, end: int) -> bool:
        first = getattr(self._held, "start", None)
        return first is not None and first <= start and end <= first + len(self._held.content)


def _uncompressed(opened: OpenFile, what: str) -> OpenFile:
    """Return a tar archive without its compression, in a file without a name."""
    limit = opened.size * RATIO_LIMIT + RATIO_FREE_BYTES
    limit = min(limit, shutil.disk_usage(tempfile.gettempdir()).free)
    with _damage(what), decompressed(opened, what) as stream:
        blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
        try:
            return OpenFile.temporary(_limited(blocks, limit), opened.path.name, opened.shown)
        except MemberError as error:
            raise SourceError(
                f"{what} would unpack to more than {limit:,} bytes; refused as a bomb, or for want"
                " of space on the disk"
            ) from error


def _limited(blocks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        _require_size(size, limit)
        yield block


def _require_size(size: int, limit: int) -> None:
    if size > limit:
        raise MemberError(f"it has more than the limit of {limit:,} bytes")


def _is_file(info: zipfile.ZipInfo) -> bool:
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()


def _zip_time(info: zipfile.ZipInfo) -> int:
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0)) * 10**9
    except ValueError:  # a month 0
        return 0


def _zip_tag(info: zipfile.ZipInfo) -> bytes:
    return hashlib.sha256(f"crc32\0{info.CRC}\0{info.file_size}".encode()).digest()
