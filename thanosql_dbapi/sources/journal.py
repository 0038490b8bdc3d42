"""Files that one process at a time has locked, and that say so to the others."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


class Journal:
    """An open file, locked until it is closed or collected.

    Attributes:
        is_locked: Whether it is this object that has it locked.
    """

    def __init__(self, path: Path) -> None:
        self._number: int | None = None
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._number = os.open(path, flags, 0o644)
        self.is_locked = _lock(self._number)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Unlock the file."""
        number, self._number = self._number, None
        if number is not None:
            with suppress(OSError):
                os.close(number)

    def inode(self) -> int:
        """Return the number of the open file, whatever its name leads to by now."""
        return os.fstat(self._fileno()).st_ino

    def read(self) -> bytes:
        """Return all of the file."""
        with open(self._fileno(), "rb", closefd=False) as file:
            file.seek(0)
            return file.read()

    def write(self, content: bytes) -> None:
        """Put content at the file's beginning, and wait until the disk has it."""
        with open(self._fileno(), "wb", closefd=False) as file:
            file.write(content)
        os.fsync(self._fileno())

    def _fileno(self) -> int:
        assert self._number is not None
        return self._number


def locked(path: Path) -> Journal | None:
    """Open and lock a file, made if need be; None where another one has it locked."""
    while True:
        journal = Journal(path)
        if not journal.is_locked:
            journal.close()
            return None
        # Whoever had it locked may have removed it meanwhile.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == journal.inode():
                return journal
        journal.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> bool:
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(number: int) -> bool:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
