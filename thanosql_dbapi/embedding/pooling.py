"""Films through an encoder: each gets one vector, the mean of its frames' vectors at unit length.

The frames of a film are decoded in a thread of their own, a batch ahead of the model; of a film no
more than two batches of prepared frames are held, however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import MediaError, ModelError, OperationalError, WorkspaceError, clip
from ..models.protocol import AnyEncoder, Pixels, Vectors
from .batches import Batch, Part, Read, checked_size, require_files, unreadable
from .executors.task import Task
from .frames import stills
from .known import KNOWS_NOTHING, Known

if TYPE_CHECKING:
    from typing_extensions import Self

    from .video import Film

K = TypeVar("K")

# Vectors of frames that point everywhere have a mean of no direction.
_LEAST_LENGTH = 1e-6


def embed_film_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    task: Task,
    least_side_px: int | None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K]]:
    """Embed the films that rows name, one after another, in the rows' order.

    Closing the generator, or an exception in it, ends its threads.

    Args:
        encoder: Turns frames into vectors.
        rows: Pairs of a key and a film's source; None is no film.
        task: How films are read; its ``batch_size`` are the frames in one pass through the model.
        least_side_px: The short side of an image as the encoder takes it; None decodes all whole.
        known: What is known of films by their content; what it knows is not decoded.

    Yields:
        A batch for each row.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = checked_size(task.batch_size, encoder.default_batch_size())
    films = FilmEmbedder(encoder, task, size, least_side_px)
    return _embed_film_rows(encoder, iter(rows), films, known)


def _embed_film_rows(
    encoder: AnyEncoder, rows: Iterator[tuple[K, object]], films: FilmEmbedder, known: Known
) -> Generator[Batch[K]]:
    with films:
        for row in rows:
            part = Part([row])
            reads: dict[int, Read] = {}
            for position, source in part.sources.items():
                lookup = part.lookup(position, known, encoder.dimension)
                reads[position] = films.read(source, lookup)
                reads[position].vector = reads[position].vector or lookup.vector
            yield part.batch(reads, known, Batch.of(encoder))


class FilmEmbedder:
    """Makes the vectors of films, with a thread that decodes and one for the model.

    Args:
        encoder: Turns frames into vectors.
        task: How films are read.
        size: Frames in one pass through the model.
        least_side_px: As for :func:`embed_film_rows`.
    """

    def __init__(
        self, encoder: AnyEncoder, task: Task, size: int, least_side_px: int | None
    ) -> None:
        self._encoder, self._task, self._size = encoder, task, size
        self._least_side_px = least_side_px
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="thanosql-decode")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="thanosql-model")

    def __enter__(self) -> Self:
        # No initializer: its error would be logged, and lost.
        self._model.submit(self._encoder.claim_thread).result()
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._decoder, self._model):
            pool.shutdown(wait=True)

    def read(self, source: object, knows: Callable[[bytes], bool]) -> Read:
        """Return the vector of a film, or what is wrong with the film.

        Args:
            source: As the row has it.
            knows: Asked for the content before the film is decoded.

        Raises:
            ModelError: The model is damaged.
            OperationalError: Too many files are open.
        """
        try:
            return self._read(source, knows)
        except (MediaError, WorkspaceError) as error:
            require_files(error)
            return Read(error=error)
        except (ModelError, OperationalError):
            raise
        except Exception as error:  # whatever a row is, the others are embedded
            require_files(error)
            return Read(error=unreadable("video", source, error))

    def _read(self, source: object, knows: Callable[[bytes], bool]) -> Read:
        digests = self._task.digests
        content = digests.of_file(source)
        if content is not None and knows(content.key):
            return Read(content)
        remarks: list[str] = []
        vector = self._vector(source, remarks)
        # A film that was written meanwhile may have had other frames.
        if content is not None and not digests.is_still(source, content):
            content = None
        return Read(content, vector=vector.tobytes(), is_made=True, remarks=remarks)

    def _vector(self, source: object, remarks: list[str]) -> Vectors:
        """Return the vector of a film: float32, unit length, shape (dimension,)."""
        total: Any = np.zeros(self._encoder.dimension, np.float64)
        with self._task.open_film(source, remarks.append) as film:
            pixels = self._pixels(film)

            def take() -> list[Pixels]:
                return list(islice(pixels, self._size))

            ahead = self._decoder.submit(take)
            try:
                while batch := ahead.result():
                    ahead = self._decoder.submit(take)
                    vectors = self._model.submit(self._encoder.embed_pixels, batch).result()
                    total += vectors.sum(axis=0, dtype=np.float64)
            finally:
                ahead.exception()  # the film is closed when nobody reads it
        length = float(np.linalg.norm(total))
        if not length > _LEAST_LENGTH:
            raise MediaError(f"video {clip(source)}: its frames have no mean direction")
        mean: Vectors = (total / length).astype("<f4")
        return mean

    def _pixels(self, film: Film) -> Iterator[Pixels]:
        for still in stills(film, self._task.interval_s, least_side_px=self._least_side_px):
            yield self._encoder.prepare(still.image)
