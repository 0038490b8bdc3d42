"""Many rows brought to a model's size, without the model: what a training reads.

Images are decoded in threads, as for ``batches``; they come back in the order they went in, and few
are on their way, so memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from ..models.preprocessing import Preparation
from ..models.protocol import Pixels
from .batches import Failure, cores, reading
from .decoders import Decoders, Read

if TYPE_CHECKING:
    from PIL.Image import Image

K = TypeVar("K")

_AHEAD = 64  # images on their way


def prepare_rows(
    preparation: Preparation,
    rows: Iterable[tuple[K, object]],
    *,
    read: Callable[[Any], Image],
    fetch: Callable[[Any], Any] | None = None,
    is_far: Callable[[Any], bool] = lambda source: False,
) -> Generator[tuple[K, Pixels] | Failure[K], None, None]:
    """Bring the images that rows name to a model's size, in the rows' order.

    Closing the generator, or an exception in it (Ctrl-C too), cancels what waits; no thread is
    left behind.

    Args:
        preparation: What the model sees of an image.
        rows: Pairs of a key and an image's source.
        read: Gives the RGB image of a source; runs in several threads at once.
        fetch: Gives what ``read`` takes for a source; runs in several threads at once.
        is_far: Whether fetching a source waits for a network.

    Yields:
        The key and a uint8 array (height, width, 3), or why there is none.
    """
    decoders: Decoders[K] = Decoders(preparation.pixels, read, fetch, is_far, cores())
    ahead: deque[tuple[K, object, Future[Read]]] = deque()
    try:
        for key, source in rows:
            ahead.append((key, source, decoders.submit(source, [key])))
            if len(ahead) > _AHEAD:
                yield _done(*ahead.popleft())
        while ahead:
            yield _done(*ahead.popleft())
    finally:
        decoders.close()


def _done(key: K, source: object, job: Future[Read]) -> tuple[K, Pixels] | Failure[K]:
    found = reading(job, source)
    if isinstance(found, Read):
        assert found.pixels is not None
        return key, found.pixels
    return Failure(key, source, found)
