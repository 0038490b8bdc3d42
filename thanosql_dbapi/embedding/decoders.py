"""The threads that fetch and decode images, and stop where the content is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..models.protocol import Pixels
from .known import KNOWS_NOTHING, Known

if TYPE_CHECKING:
    from PIL.Image import Image

K = TypeVar("K")

FAR_WORKERS = 32
"""Most images that are fetched at a time; each is in memory until it is decoded."""


@dataclass
class Read:
    """What reading a source gave: pixels, unless all of its rows can do without."""

    content: bytes | None = None
    vector: bytes | None = None
    pixels: Pixels | None = None


class Decoders(Generic[K]):
    """The threads that read sources: one a core, and more for what a network brings.

    Those wait most of the time, and hold one source each; as many as there are cores decode.

    Args:
        prepare: Brings an image to the model's size.
        read: Gives the RGB image of a source.
        fetch: Gives what ``known`` and ``read`` take for a source; None is the source itself.
        is_far: Whether fetching a source waits for a network.
        workers: Threads that decode.
        known: What is known of sources by their content; what it knows is not decoded.
        dimension: Length of the vectors that it knows.
    """

    def __init__(
        self,
        prepare: Callable[[Image], Pixels],
        read: Callable[[Any], Image],
        fetch: Callable[[Any], Any] | None,
        is_far: Callable[[Any], bool],
        workers: int,
        known: Known = KNOWS_NOTHING,
        dimension: int = 0,
    ) -> None:
        self._prepare, self._read, self._known = prepare, read, known
        self._vector_bytes = 4 * dimension
        self._fetch, self._is_far = fetch, is_far
        self._decoding = threading.BoundedSemaphore(workers)
        self._near = ThreadPoolExecutor(workers, thread_name_prefix="thanosql-decode")
        self._far = ThreadPoolExecutor(FAR_WORKERS, thread_name_prefix="thanosql-fetch")

    def submit(self, source: object, keys: list[K]) -> Future[Read]:
        """Start the reading of a source for its rows."""
        if self._fetch is not None and self._is_far(source):
            return self._far.submit(self._look_far, source, keys)
        return self._near.submit(self._look, source, keys)

    def close(self) -> None:
        """Cancel what waits, and end the threads."""
        for pool in (self._near, self._far):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._near, self._far):
            pool.shutdown(wait=True)

    def _look_far(self, source: object, keys: list[K]) -> Read:
        assert self._fetch is not None
        fetched = self._fetch(source)
        with self._decoding:
            return self._look_at(fetched, keys)

    def _look(self, source: object, keys: list[K]) -> Read:
        # A path stays as its row has it: ``known`` and ``read`` find the file.
        fetched = source if self._fetch is None else self._fetch(source)
        return self._look_at(source if isinstance(fetched, (str, bytes)) else fetched, keys)

    def _look_at(self, source: object, keys: list[K]) -> Read:
        known = self._known
        content = known.content(source)
        if content is None:
            return Read(pixels=self._prepare(self._read(source)))
        if all(known.has(key, content.key) for key in keys):
            return Read(content.key)
        vector = known.vector(content.key)
        if vector is not None and len(vector) == self._vector_bytes:
            return Read(content.key, vector)
        pixels = self._prepare(self._read(source))
        # A file that was written meanwhile may have given other pixels.
        return Read(content.key if known.is_still(source, content) else None, pixels=pixels)
