"""The threads that fetch and decode images, and stop where the content is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..batches import Part, Read
from ..known import Known, Lookup

K = TypeVar("K")

FAR_WORKERS = 32
"""Most images that are fetched at a time; each is in memory until it is decoded."""


class Reads(Protocol):
    """Reads sources, in several threads at once; ``task.PictureReader`` does."""

    def is_far(self, source: object) -> bool:
        """Return whether reading a source waits for a network."""
        ...

    def fetch(self, source: object) -> Any:
        """Return what ``read`` takes in place of a source that has to be fetched."""
        ...

    def read(
        self,
        source: object,
        knows: Callable[[bytes], bool],
        turn: AbstractContextManager[Any] | None = None,
    ) -> Read:
        """Read a source; ``turn`` is entered when it has been fetched."""
        ...


def _nothing() -> None: ...


@dataclass(frozen=True)
class Found:
    """Some sources of a part, read.

    Attributes:
        reads: What reading them gave, by their positions in the part.
        release: To be called when their pixels have been used.
    """

    reads: dict[int, Read]
    release: Callable[[], None] = _nothing


class Decoders:
    """The threads that read sources: one a core, and more for what a network brings.

    Those wait most of the time, and hold one source each; as many as there are cores decode.

    Args:
        reader: Reads sources.
        workers: Threads that decode.
        known: What is known of sources by their content.
        dimension: Length of the model's vectors.

    Attributes:
        count: How many sources were decoded.
        seconds: How long that took a processor.
        pixel_bytes: How many bytes the pixels of the last one had.
        has_known: Whether the vector of one of the last sources was known.
    """

    def __init__(self, reader: Reads, workers: int, known: Known, dimension: int) -> None:
        self._reader, self._known, self._dimension = reader, known, dimension
        self._decoding = threading.BoundedSemaphore(workers)
        self._near = ThreadPoolExecutor(workers, thread_name_prefix="thanosql-decode")
        self._far = ThreadPoolExecutor(FAR_WORKERS, thread_name_prefix="thanosql-fetch")
        self.count, self.seconds, self.has_known = 0, 0.0, False
        self.pixel_bytes = 0

    @property
    def ahead(self) -> int:
        """How many sources must be on their way: no more than there are anyway."""
        return 0

    def submit(self, part: Part[K]) -> list[Future[Found]]:
        """Start the reading of a part's sources."""
        return [
            self._submit(position, source, part.lookup(position, self._known, self._dimension))
            for position, source in part.sources.items()
        ]

    def _submit(self, position: int, source: object, lookup: Lookup) -> Future[Found]:
        if self._reader.is_far(source):
            return self._far.submit(self._read, position, source, lookup, self._decoding)
        return self._near.submit(self._read, position, source, lookup, None)

    def close(self) -> None:
        """Cancel what waits, and end the threads."""
        for pool in (self._near, self._far):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._near, self._far):
            pool.shutdown(wait=True)

    def _read(
        self,
        position: int,
        source: object,
        lookup: Lookup,
        turn: AbstractContextManager[Any] | None,
    ) -> Found:
        start = time.thread_time()
        read = self._reader.read(source, lookup, turn)
        read.vector = lookup.vector
        self.has_known = read.pixels is None and read.error is None
        if read.pixels is not None:
            self.count += 1
            self.seconds += time.thread_time() - start
            self.pixel_bytes = read.pixels.nbytes
        return Found({position: read})
