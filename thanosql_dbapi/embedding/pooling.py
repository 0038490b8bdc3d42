"""Films through an encoder: each gets one vector, the mean of its frames' vectors at unit length.

The frames of a film are decoded in a thread of their own, a batch ahead of the model; of a film no
more than two batches of prepared frames are held, however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import MediaError, ModelError, OperationalError, WorkspaceError, clip
from ..models.protocol import AnyEncoder, Pixels, Vectors
from .batches import Batch, Failure, checked_size, require_files
from .known import KNOWS_NOTHING, Known

if TYPE_CHECKING:
    from .video import Film

K = TypeVar("K")

# Vectors of frames that point everywhere have a mean of no direction.
_LEAST_LENGTH = 1e-6


def embed_film_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    open_film: Callable[[object], AbstractContextManager[Film]],
    interval_s: float,
    least_side_px: int | None,
    batch_size: int | None = None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K], None, None]:
    """Embed the films that rows name, one after another, in the rows' order.

    Closing the generator, or an exception in it, ends its threads.

    Args:
        encoder: Turns frames into vectors.
        rows: Pairs of a key and a film's source; None is no film.
        open_film: Opens the film of a source.
        interval_s: Seconds from one frame that is embedded to the next.
        least_side_px: The short side of an image as the encoder takes it; None decodes all whole.
        batch_size: Frames in one pass through the model; None picks for the device.
        known: What is known of films by their content; what it knows is not decoded.

    Yields:
        A batch for each row.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = checked_size(batch_size, encoder.default_batch_size())
    return _embed_film_rows(
        encoder, iter(rows), _Pooling(encoder, open_film, interval_s, least_side_px, size), known
    )


def _embed_film_rows(
    encoder: AnyEncoder, rows: Iterator[tuple[K, object]], pooling: _Pooling, known: Known
) -> Generator[Batch[K], None, None]:
    with (
        ThreadPoolExecutor(1, thread_name_prefix="thanosql-decode") as decoder,
        ThreadPoolExecutor(1, thread_name_prefix="thanosql-model") as model,
    ):
        # No initializer: its error would be logged, and lost.
        model.submit(encoder.claim_thread).result()
        for key, source in rows:
            batch: Batch[K] = Batch([], np.empty((0, encoder.dimension), np.float32))
            if source is None:
                batch.empty.append(key)
                yield batch
                continue
            try:
                _embed_film(batch, key, source, pooling, known, decoder, model)
            except (MediaError, WorkspaceError) as error:
                require_files(error)
                batch.failures.append(Failure(key, source, error))
            except (ModelError, OperationalError):
                raise
            except Exception as error:  # whatever a row is, the others are embedded
                require_files(error)
                why = "not enough memory" if isinstance(error, MemoryError) else clip(str(error))
                failure = MediaError(
                    f"video {clip(source)} cannot be read: {type(error).__name__}: {why}"
                )
                failure.__cause__ = error
                batch.failures.append(Failure(key, source, failure))
            yield batch


def _embed_film(
    batch: Batch[K],
    key: K,
    source: object,
    pooling: _Pooling,
    known: Known,
    decoder: Executor,
    model: Executor,
) -> None:
    """Put what becomes of a row into its batch."""
    content = known.content(source)
    vector = None
    if content is not None:
        if known.has(key, content.key):
            batch.contents[key] = content.key
            batch.unchanged.append(key)
            return
        vector = known.vector(content.key)
    if vector is not None and len(vector) == 4 * batch.vectors.shape[1]:
        found: Vectors = np.frombuffer(vector, "<f4")
        batch.reused = 1
    else:
        found = pooling.vector(source, decoder, model)
        if content is not None and not known.is_still(source, content):
            content = None  # a film that was written meanwhile may have had other frames
        if content is not None:
            batch.made.append((content.key, found.tobytes()))
    if content is not None:
        batch.contents[key] = content.key
    batch.keys.append(key)
    batch.vectors = found[None]


class _Pooling:
    def __init__(
        self,
        encoder: AnyEncoder,
        open_film: Callable[[object], AbstractContextManager[Film]],
        interval_s: float,
        least_side_px: int | None,
        size: int,
    ) -> None:
        self._encoder, self._open_film = encoder, open_film
        self._interval_s, self._least_side_px, self._size = interval_s, least_side_px, size

    def vector(self, source: object, decoder: Executor, model: Executor) -> Vectors:
        """Return the vector of a film: float32, unit length, shape (dimension,)."""
        total: Any = np.zeros(self._encoder.dimension, np.float64)
        with self._open_film(source) as film:
            pixels = self._pixels(film)

            def take() -> list[Pixels]:
                return list(islice(pixels, self._size))

            ahead = decoder.submit(take)
            try:
                while batch := ahead.result():
                    ahead = decoder.submit(take)
                    vectors = model.submit(self._encoder.embed_pixels, batch).result()
                    total += vectors.sum(axis=0, dtype=np.float64)
            finally:
                ahead.exception()  # the film is closed when nobody reads it
        length = float(np.linalg.norm(total))
        if not length > _LEAST_LENGTH:
            raise MediaError(f"video {clip(source)}: its frames have no mean direction")
        mean: Vectors = (total / length).astype("<f4")
        return mean

    def _pixels(self, film: Film) -> Iterator[Pixels]:
        for still in film.stills(self._interval_s, least_side_px=self._least_side_px):
            yield self._encoder.prepare(still.image)
