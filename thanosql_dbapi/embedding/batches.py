"""Many rows through an encoder: the next images are decoded while the model runs on these.

Rows are read in the caller's thread and decoded in a pool; the model has a thread of its own, so
that the caller writes a batch while the next is computed. Batches come back in the order they went
in. At most ``READ_AHEAD`` follow the one at work, each of so many rows and so many bytes, so
memory does not grow with the number of rows.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..errors import MediaError, ModelError, ProgrammingError, WorkspaceError, clip
from ..models.protocol import AnyEncoder, Pixels, Vectors
from ..models.tokens import text_problem

if TYPE_CHECKING:
    from PIL.Image import Image

K = TypeVar("K")

READ_AHEAD = 2
# A batch of images that are BLOBs ends early when the files alone take this much.
BATCH_BYTES = 64 << 20
TEXT_BATCH = 64
WORKERS_LIMIT = 16

ReadError = MediaError | WorkspaceError


@dataclass(frozen=True)
class Failure(Generic[K]):
    """A row whose source could not be read.

    Attributes:
        key: The row.
        source: Its source, as the row has it.
        error: Why: a MediaError, or a WorkspaceError where the path may not be read.
    """

    key: K
    source: object
    error: ReadError


@dataclass
class Batch(Generic[K]):
    """What became of some consecutive rows; each is in exactly one of the lists.

    Attributes:
        keys: The rows that were embedded.
        vectors: float32 array (n, dimension), unit length, row i is ``keys[i]``.
        failures: The rows that could not be read.
        empty: The rows whose source is NULL.
    """

    keys: list[K]
    vectors: Vectors
    failures: list[Failure[K]] = field(default_factory=list)
    empty: list[K] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys) + len(self.failures) + len(self.empty)


@dataclass
class _Pending(Generic[K]):
    rows: list[tuple[K, object]]
    jobs: dict[int, Future[Pixels]]  # position of the first row with a source → its decoding
    same: dict[int, int]  # position of a row → position of the first row with its source


def embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    read: Callable[[Any], Image],
    batch_size: int | None = None,
    workers: int | None = None,
) -> Generator[Batch[K], None, None]:
    """Embed the images that rows name, batch after batch, in the rows' order.

    Closing the generator, or an exception in it (Ctrl-C too), cancels what waits; no thread is
    left behind.

    Args:
        encoder: Turns images into vectors.
        rows: Pairs of a key and an image's source; None is no image.
        read: Gives the RGB image of a source; runs in several threads at once.
        batch_size: Rows a batch, 1 or more; None picks for the device.
        workers: Decoding threads; None is one a core, 16 at most.

    Yields:
        A batch for each ``batch_size`` rows; the last may be shorter.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = _checked_size(batch_size, encoder.default_batch_size())
    return _embed_rows(encoder, iter(rows), read, size, workers or _cores())


def _embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    read: Callable[[Any], Image],
    size: int,
    workers: int,
) -> Generator[Batch[K], None, None]:
    def decode(source: object) -> Pixels:
        return encoder.prepare(read(source))

    decoders = ThreadPoolExecutor(workers, thread_name_prefix="thanosql-decode")
    model = ThreadPoolExecutor(1, thread_name_prefix="thanosql-model")
    ahead: deque[Future[Batch[K]]] = deque()
    try:
        # No initializer: its error would be logged, and lost.
        model.submit(encoder.claim_thread).result()
        parts = _parts(rows, size)
        while True:
            while len(ahead) <= READ_AHEAD and (part := next(parts, None)):
                ahead.append(model.submit(_finish, encoder, _submit(decoders, decode, part)))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for batch in ahead:
            batch.cancel()
        decoders.shutdown(wait=True, cancel_futures=True)
        model.shutdown(wait=True)


def _parts(
    rows: Iterable[tuple[K, object]], size: int
) -> Generator[list[tuple[K, object]], None, None]:
    """Cut rows into batches, without taking a row before its batch is asked for."""
    part: list[tuple[K, object]] = []
    held = 0
    for row in rows:
        part.append(row)
        held += len(row[1]) if isinstance(row[1], bytes) else 0
        if len(part) == size or held >= BATCH_BYTES:
            yield part
            part, held = [], 0
    if part:
        yield part


def _submit(
    pool: ThreadPoolExecutor, decode: Callable[[object], Pixels], rows: list[tuple[K, object]]
) -> _Pending[K]:
    """Start the decoding of a batch, of each source once."""
    jobs: dict[int, Future[Pixels]] = {}
    same: dict[int, int] = {}
    first: dict[object, int] = {}
    for position, (_, source) in enumerate(rows):
        if source is None:
            continue
        known = isinstance(source, (str, bytes))
        same[position] = first.setdefault(source, position) if known else position
        if same[position] == position:
            jobs[position] = pool.submit(decode, source)
    return _Pending(rows, jobs, same)


def _finish(encoder: AnyEncoder, pending: _Pending[K]) -> Batch[K]:
    """Wait for the decoding of a batch, and embed it."""
    pixels: list[Pixels] = []
    place: dict[int, int] = {}  # position of the first row with a source → its row in pixels
    errors: dict[int, ReadError] = {}
    for position, job in pending.jobs.items():
        try:
            pixels.append(job.result())
            place[position] = len(pixels) - 1
        except (MediaError, WorkspaceError) as exc:
            errors[position] = exc
        except ModelError:
            raise
        except Exception as exc:  # whatever a row is, the others are embedded
            shown = clip(pending.rows[position][1])
            why = "not enough memory" if isinstance(exc, MemoryError) else clip(str(exc), 200)
            error = MediaError(f"image {shown} cannot be read: {type(exc).__name__}: {why}")
            error.__cause__ = exc
            errors[position] = error
    batch: Batch[K] = Batch([], np.empty((0, encoder.dimension), np.float32))
    picked: list[int] = []
    for position, (key, source) in enumerate(pending.rows):
        if source is None:
            batch.empty.append(key)
        elif (origin := pending.same[position]) in place:
            batch.keys.append(key)
            picked.append(place[origin])
        else:
            batch.failures.append(Failure(key, source, errors[origin]))
    if pixels:
        batch.vectors = encoder.embed_pixels(pixels)[picked]
    return batch


def embed_texts_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    batch_size: int | None = None,
) -> Generator[Batch[K], None, None]:
    """Embed the texts of rows, batch after batch, in the rows' order.

    Args:
        encoder: Turns texts into vectors.
        rows: Pairs of a key and a text; a number stands for its digits, None for no text.
        batch_size: Rows a batch, 1 or more; None picks.

    Yields:
        A batch for each ``batch_size`` rows; a BLOB is one of its failures.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = _checked_size(batch_size, max(TEXT_BATCH, encoder.default_batch_size()))
    return _embed_texts_rows(encoder, iter(rows), size)


def _embed_texts_rows(
    encoder: AnyEncoder, rows: Iterable[tuple[K, object]], size: int
) -> Generator[Batch[K], None, None]:
    for part in _parts(rows, size):
        batch: Batch[K] = Batch([], np.empty((0, encoder.dimension), np.float32))
        texts: list[str] = []
        for key, value in part:
            if value is None:
                batch.empty.append(key)
                continue
            is_text = isinstance(value, (str, int, float))
            problem = text_problem(str(value)) if is_text else f"expected a text, got {clip(value)}"
            if problem:
                batch.failures.append(Failure(key, value, MediaError(problem)))
            else:
                batch.keys.append(key)
                texts.append(str(value))
        if texts:
            batch.vectors = encoder.embed_texts(texts)
        yield batch


def _checked_size(batch_size: object, default: int) -> int:
    if batch_size is None:
        return default
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ProgrammingError(f"batch_size must be 1 or more, got {clip(batch_size)}")
    return batch_size


def _cores() -> int:
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    return max(1, min(WORKERS_LIMIT, count))
