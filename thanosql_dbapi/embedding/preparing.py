"""Many rows brought to a model's size, without the model: what a training reads.

Images are decoded in threads, as for ``executors``; they come back in the order they went in, and
few are on their way, so memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

from ..models.protocol import Pixels
from .batches import Failure, Part
from .executors.threads import Decoders, Found, Reads
from .known import KNOWS_NOTHING

K = TypeVar("K")

_AHEAD = 64  # images on their way


def prepare_rows(
    reader: Reads, rows: Iterable[tuple[K, object]], *, workers: int
) -> Generator[tuple[K, Pixels] | Failure[K]]:
    """Bring the images that rows name to a model's size, in the rows' order.

    Closing the generator, or an exception in it (Ctrl-C too), cancels what waits; no thread is
    left behind.

    Args:
        reader: Makes pixels of a source; used by several threads at once.
        rows: Pairs of a key and an image's source.
        workers: Decoding threads.

    Yields:
        The key and a uint8 array (height, width, 3), or why there is none.
    """
    decoders = Decoders(reader, workers, KNOWS_NOTHING, 0)
    ahead: deque[tuple[K, object, Future[Found]]] = deque()
    try:
        for key, source in rows:
            (job,) = decoders.submit(Part([(key, source)]))
            ahead.append((key, source, job))
            if len(ahead) > _AHEAD:
                yield _done(*ahead.popleft())
        while ahead:
            yield _done(*ahead.popleft())
    finally:
        decoders.close()


def _done(key: K, source: object, job: Future[Found]) -> tuple[K, Pixels] | Failure[K]:
    (read,) = job.result().reads.values()
    if read.error is not None:
        return Failure(key, source, read.error)
    assert read.pixels is not None
    return key, read.pixels
