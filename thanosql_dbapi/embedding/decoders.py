"""The threads that fetch and decode images, and stop where the content is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .batches import Read
from .known import Lookup

FAR_WORKERS = 32
"""Most images that are fetched at a time; each is in memory until it is decoded."""


class Reads(Protocol):
    """Reads sources, in several threads at once; ``executors.task.PictureReader`` does."""

    def is_far(self, source: object) -> bool:
        """Return whether reading a source waits for a network."""
        ...

    def read(
        self,
        source: object,
        knows: Callable[[bytes], bool],
        turn: AbstractContextManager[Any] | None = None,
    ) -> Read:
        """Read a source; ``turn`` is entered when it has been fetched."""
        ...


class Decoders:
    """The threads that read sources: one a core, and more for what a network brings.

    Those wait most of the time, and hold one source each; as many as there are cores decode.

    Args:
        reader: Reads sources.
        workers: Threads that decode.
    """

    def __init__(self, reader: Reads, workers: int) -> None:
        self._reader = reader
        self._decoding = threading.BoundedSemaphore(workers)
        self._near = ThreadPoolExecutor(workers, thread_name_prefix="thanosql-decode")
        self._far = ThreadPoolExecutor(FAR_WORKERS, thread_name_prefix="thanosql-fetch")

    def submit(self, source: object, lookup: Lookup) -> Future[Read]:
        """Start the reading of a source for its rows."""
        if self._reader.is_far(source):
            return self._far.submit(self._read, source, lookup, self._decoding)
        return self._near.submit(self._read, source, lookup, None)

    def close(self) -> None:
        """Cancel what waits, and end the threads."""
        for pool in (self._near, self._far):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._near, self._far):
            pool.shutdown(wait=True)

    def _read(
        self, source: object, lookup: Lookup, turn: AbstractContextManager[Any] | None
    ) -> Read:
        read = self._reader.read(source, lookup, turn)
        read.vector = lookup.vector
        return read
