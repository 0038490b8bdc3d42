"""Memory that this process shares with its workers, under no name.

``multiprocessing.shared_memory`` gives each piece a name in ``/dev/shm``, which a killed process
leaves behind, and starts a process to look after the names. This memory has none: the system takes
it back with the last process that holds it, however that ends.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from typing import Any


class SharedMemory:
    """Some bytes that workers write and this process reads.

    They cost addresses alone until a part of them is reserved.

    Args:
        size: How many.

    Attributes:
        size: How many.
        buffer: The bytes.

    Raises:
        OSError: There is no such memory here.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._descriptor, self._tag = -1, ""
        if sys.platform == "win32":
            self._tag = f"thanosql-{secrets.token_hex(8)}"
            self._map: Any = mmap.mmap(-1, size, tagname=self._tag)
        else:
            self._descriptor = _nameless()
            try:
                os.ftruncate(self._descriptor, size)
                self._map = mmap.mmap(self._descriptor, size)
            except BaseException:
                os.close(self._descriptor)
                raise
        self.buffer = memoryview(self._map)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a worker must inherit."""
        return (self._descriptor,) if self._descriptor >= 0 else ()

    @property
    def handle(self) -> tuple[int, str, int]:
        """What :func:`attached` takes in a worker."""
        return self._descriptor, self._tag, self.size

    def reserve(self, start: int, end: int) -> None:
        """Make sure of a part: to write where no memory can be found any more kills a process.

        Args:
            start: Where it begins, in bytes.
            end: Where it ends.

        Raises:
            OSError: There is not so much memory.
        """
        if self._descriptor >= 0 and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, start, end - start)

    def release(self) -> None:
        """Give all parts back; nobody reads or writes them any more."""
        if hasattr(mmap, "MADV_REMOVE"):
            with suppress(OSError, ValueError):  # a file system that cannot do it keeps them
                self._map.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Let go of the memory; views of it stay good, and keep it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        self.buffer = memoryview(b"")
        with suppress(BufferError):  # somebody still reads pixels in it
            self._map.close()


def attached(handle: tuple[int, str, int]) -> memoryview:
    """Return the bytes of another process's memory, in a process that it started.

    Args:
        handle: What :attr:`SharedMemory.handle` is there.
    """
    descriptor, tag, size = handle
    if sys.platform == "win32":
        return memoryview(mmap.mmap(-1, size, tagname=tag))
    shared = mmap.mmap(descriptor, size)
    os.close(descriptor)
    return memoryview(shared)


def _nameless() -> int:
    """Return the descriptor of a file without a name that lies in memory where that is known."""
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("thanosql", os.MFD_CLOEXEC)
        except OSError:  # a sandbox may forbid it
            pass
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryFile(prefix="thanosql-", dir=folder) as file:
        return os.dup(file.fileno())
