"""Archives from strangers: checked, then unpacked inside one folder, or refused.

Only folders and regular files are written, by our own hand, so the rules are the same on every
Python: no absolute path, no ``..``, no link, no device, not more than an honest archive holds.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import SourceError, clip
from ..openfile import OpenFile
from ..progress import Progress

ENTRIES_LIMIT = 2_000_000
# Text compresses 10 to 20 times, pictures not at all; a bomb a thousand times.
RATIO_LIMIT = 200
RATIO_FREE_BYTES = 100 << 20
# Longest piece that is read in one go: the headers of a tar file are.
PIECE_LIMIT_BYTES = 16 << 20
_BLOCK = 1 << 20
# First bytes → the standard library's module; zstd came with Python 3.14.
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "lzma",
    b"\x28\xb5\x2f\xfd": "compression.zstd",
}


def check_sha256(found: str, expected: str, what: str) -> None:
    """Compare checksums.

    Raises:
        SourceError: They differ; the message has both.
    """
    if expected and found != expected:
        raise SourceError(
            f"{what} has another checksum than the catalog says: expected sha256 {expected}, got"
            f" {found}; nothing was unpacked: the file was damaged on its way or has been replaced"
        )


def file_sha256(opened: OpenFile) -> str:
    """Return the SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with opened.reader() as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: OpenFile, folder: Path, *, what: str, progress: Progress) -> None:
    """Unpack a zip or tar archive (plain, gz, bz2, xz; zst from Python 3.14 on).

    Args:
        archive: The file, the very one whose checksum was compared; its content says what kind it
            is, not its name.
        folder: An empty folder.
        what: How messages and progress name it.
        progress: Shows the files.

    Raises:
        SourceError: It is damaged, no archive, or holds what may not be unpacked.
    """
    try:
        with archive.reader() as file:
            is_zip = zipfile.is_zipfile(file)
        if is_zip:
            _unpack_zip(archive, folder, what, progress)
        else:
            _unpack_tar(archive, folder, what, progress)
    except SourceError:
        raise
    except OSError as exc:
        if exc.errno is not None:
            raise  # the disk, and not the archive
        raise SourceError(f"{what} is damaged or cut short: {exc}") from exc
    # zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError, RuntimeError
    # (a password) and more come out of damaged archives.
    except Exception as exc:
        raise SourceError(
            f"{what} is damaged or cut short: {str(exc) or type(exc).__name__}"
        ) from exc


class _Budget:
    """Counts what comes out of an archive, and stops a bomb."""

    def __init__(self, archive: OpenFile, folder: Path, what: str) -> None:
        self.what = what
        self.limit = archive.size * RATIO_LIMIT + RATIO_FREE_BYTES
        self.free = shutil.disk_usage(folder).free
        self.total = 0
        self.entries = 0

    def take(self, size: int) -> None:
        self.entries += 1
        self.total += size
        if self.entries > ENTRIES_LIMIT:
            raise SourceError(f"{self.what} holds more than {ENTRIES_LIMIT:,} files; refused")
        if self.total > self.limit:
            raise SourceError(
                f"{self.what} would unpack to more than {RATIO_LIMIT} times its size"
                f" ({self.limit:,} bytes); refused as a bomb"
            )
        if self.total > self.free:
            raise SourceError(
                f"{self.what} does not fit on the disk: it needs more than {self.total:,} bytes,"
                f" {self.free:,} are free"
            )


def _target(folder: Path, name: str, what: str) -> Path:
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise SourceError(
            f"{what} holds {clip(name)}, which would be written outside its folder; refused"
        )
    if "\0" in name:
        raise SourceError(f"{what} holds a name with a NUL character, {clip(name)}; refused")
    return folder.joinpath(*parts)


def _refuse_kind(what: str, name: str, kind: str) -> SourceError:
    return SourceError(f"{what} holds {clip(name)}, {kind}; only files and folders are unpacked")


def _unpack_zip(archive: OpenFile, folder: Path, what: str, progress: Progress) -> None:
    budget = _Budget(archive, folder, what)
    with archive.reader() as content_of_zip, zipfile.ZipFile(content_of_zip) as file:
        infos = file.infolist()
        for info in infos:
            budget.take(info.file_size)
        with progress.track(f"unpack {what}", len(infos), "file") as advance:
            for info in infos:
                target = _target(folder, info.filename, what)
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refuse_kind(what, info.filename, "a link or device")
                if info.flag_bits & 1:
                    raise SourceError(f"{what} is encrypted with a password; unpack it by hand")
                if info.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    with file.open(info) as content:
                        _write(content, target)
                advance(1)


def _unpack_tar(archive: OpenFile, folder: Path, what: str, progress: Progress) -> None:
    budget = _Budget(archive, folder, what)
    with decompressed(archive, what) as stream:
        try:
            file = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - closed below
        except (tarfile.ReadError, EOFError, OSError) as exc:
            raise SourceError(
                f"{what} is neither a zip nor a tar archive; its first bytes are {_head(archive)!r}"
            ) from exc
        with file, progress.track(f"unpack {what}", None, "file") as advance:
            for member in file:
                target = _target(folder, member.name, what)
                budget.take(member.size)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    content = file.extractfile(member)
                    assert content is not None  # a regular file has content
                    with content:
                        _write(content, target, size=member.size)
                else:
                    raise _refuse_kind(what, member.name, "a link or device")
                advance(1)


def _write(content: IO[bytes], target: Path, *, size: int | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(content, out, _BLOCK)
        if size is not None and out.tell() != size:
            raise EOFError(f"{target.name!r} ends early")


def _head(archive: OpenFile) -> bytes:
    with archive.reader() as file:
        return file.read(12)


class InPieces:
    """A stream that refuses to be read in one huge piece, as a forged header asks for.

    Args:
        stream: What is read.
        what: How messages name it.
        limit: Most bytes of a piece.
    """

    def __init__(self, stream: Any, what: str, limit: int = PIECE_LIMIT_BYTES) -> None:
        self._stream = stream
        self._what = what
        self._limit = limit
        self.seekable = stream.seekable
        self.tell = stream.tell
        self.seek = stream.seek

    def read(self, size: int = -1) -> bytes:
        """Return a piece.

        Raises:
            SourceError: It would be longer than the limit.
        """
        content: bytes = b""
        if size <= self._limit:
            content = self._stream.read(size if size >= 0 else self._limit + 1)
        if size > self._limit or len(content) > self._limit:
            raise SourceError(f"{self._what} has a header that asks for too much memory; refused")
        return content


def compression_of(archive: OpenFile) -> str | None:
    """Return the module of the standard library that decompresses a file, by its first bytes."""
    head = _head(archive)
    return next((kind for mark, kind in _COMPRESSIONS.items() if head.startswith(mark)), None)


@contextmanager
def decompressed(archive: OpenFile, what: str) -> Iterator[Any]:
    """Yield a stream of what is in a file that is compressed, or not.

    Raises:
        SourceError: This Python cannot decompress it, or a piece is too long.
    """
    kind = compression_of(archive)
    try:
        opener: Any = importlib.import_module(kind) if kind else None
    except ImportError as exc:
        raise SourceError(
            f"{what} is compressed with {str(kind).rpartition('.')[2]}, which this Python"
            f" {platform.python_version()} cannot read; unpack it and name the folder"
        ) from exc
    with archive.reader() as file:
        if opener is None:
            yield InPieces(file, what)
            return
        with opener.open(file, "rb") as stream:
            yield InPieces(stream, what)
