"""Files opened once, without following a link, so that what was checked is what is read.

A path is checked and a file is opened, and between the two anybody who can write in the folder can
put a link in the file's place. So the caller resolves a path, checks what it leads to, and opens
that: every name on the way must still be no link. From then on only the open file is asked, for its
kind and size too, however often its content is read.

Hard links are other names of the same file, as the operating system has them; they are not told
apart.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from .errors import WorkspaceError, clip_path

if TYPE_CHECKING:
    from typing_extensions import Self

_FILE = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # A pipe without a writer would be waited for, before its kind can be asked.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A folder need not be readable to be passed through; only Linux can say so.
_FOLDER = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_DIRECTORY", 0)
    | _NO_LINK
)
_CAN_WALK = bool(_NO_LINK) and os.open in os.supports_dir_fd
_BUFFER_BYTES = 1 << 17


class OpenFile:
    """An open file, which can be read from its start as often as wanted, by several threads.

    Args:
        path: Its path, links resolved.

    Attributes:
        path: The path, absolute.
        shown: How messages name it.
        status: What the operating system says of the open file.

    Raises:
        OSError: It cannot be opened.
        WorkspaceError: A link stands on the way: the path was not resolved, or was exchanged since.
    """

    _descriptor = -1

    def __init__(self, path: Path) -> None:
        self._take(_open(path.absolute()), path.absolute(), str(path.absolute()))

    def _take(self, descriptor: int, path: Path, shown: str) -> None:
        self._descriptor = descriptor
        self.path, self.shown = path, shown
        self._lock = threading.Lock()
        self.status = os.fstat(descriptor)

    @classmethod
    def temporary(cls, blocks: Iterable[bytes], name: str, shown: str) -> Self:
        """Return a file without a name that holds what comes from elsewhere; closed, it is gone.

        Args:
            blocks: Its content.
            name: The name that it has elsewhere, for its suffix.
            shown: How messages name it.

        Raises:
            OSError: The disk is full.
        """
        with tempfile.TemporaryFile(prefix="thanosql-") as file:
            for block in blocks:
                file.write(block)
            file.flush()
            opened = cls.__new__(cls)
            opened._take(os.dup(file.fileno()), Path(name), shown)
        return opened

    def __repr__(self) -> str:
        return f"<OpenFile {str(self.path)!r}{'' if self._descriptor >= 0 else ', closed'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def size(self) -> int:
        """Its size in bytes, now."""
        return self.status_now().st_size

    def status_now(self) -> os.stat_result:
        """Return what the operating system says of the open file now."""
        return os.fstat(self._descriptor)

    def reader(self) -> BinaryIO:
        """Return its content from the start; closing it leaves the file open."""
        return cast(BinaryIO, io.BufferedReader(_Reader(self), _BUFFER_BYTES))

    def read(self) -> bytes:
        """Return its whole content."""
        parts: list[bytes] = []
        position, size = 0, self.status.st_size
        while part := self._read_at(position, max(size - position, _BUFFER_BYTES)):
            parts.append(part)
            position += len(part)
        return b"".join(parts)

    def name(self) -> str:
        """Return a name for libraries that open files by name, good while this is open.

        It leads to the open file itself where the system has such names, else it is the path.
        """
        name = f"/dev/fd/{self._descriptor}"
        try:
            if os.path.samestat(os.stat(name), self.status):  # noqa: PTH116
                return name
        except OSError:
            pass
        return str(self.path)

    def close(self) -> None:
        """Close the file; its readers can read no more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _read_at(self, position: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, position)
        with self._lock:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            return os.read(self._descriptor, size)


class _Reader(io.RawIOBase):
    """One reader of an open file, with a position of its own."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        self._position = max(0, offset + (self._file.size if start is None else start))
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        content = self._file._read_at(self._position, len(view))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


def _open(path: Path) -> int:
    if not _CAN_WALK:
        return _open_by_name(path)
    *folders, last = path.parts[1:] or [""]
    try:
        at = os.open(path.anchor, _FOLDER)
        try:
            for name in folders:
                below = os.open(name, _FOLDER, dir_fd=at)
                os.close(at)
                at = below
            return os.open(last or path.anchor, _FILE | _NO_LINK, dir_fd=at)
        finally:
            os.close(at)
    except OSError as error:
        # A link gives ELOOP, or ENOTDIR where a folder was asked for.
        if error.errno in (errno.ELOOP, errno.EMLINK) or (
            error.errno == errno.ENOTDIR and path.resolve() != path
        ):
            raise _exchanged(path) from error
        raise


def _open_by_name(path: Path) -> int:
    """Open a file where folders cannot be passed through one by one, and compare afterwards."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    descriptor = os.open(path, _FILE)
    try:
        if path.resolve() != path or not os.path.samestat(os.fstat(descriptor), path.lstat()):
            raise _exchanged(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _exchanged(path: Path) -> WorkspaceError:
    return WorkspaceError(
        f"{clip_path(path, 200)} is a link, or was exchanged while it was opened; nothing was read"
    )
