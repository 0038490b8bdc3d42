"""Many rows through an encoder: the next images are decoded while the model runs on these.

Rows are read in the caller's thread and decoded in a pool; the model has a thread of its own, so
that the caller writes a batch while the next is computed. Batches come back in the order they went
in. At most ``READ_AHEAD`` follow the one at work, each of so many rows and so many bytes, so
memory does not grow with the number of rows.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..errors import (
    MediaError,
    ModelError,
    OperationalError,
    ProgrammingError,
    WorkspaceError,
    clip,
)
from ..models.protocol import AnyEncoder, Vectors
from ..models.tokens import text_problem
from .decoders import Decoders, Read
from .known import KNOWS_NOTHING, Known

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
    """What became of some consecutive rows; each is in exactly one of the first four lists.

    Attributes:
        keys: The rows that have a vector now.
        vectors: float32 array (n, dimension), unit length, row i is ``keys[i]``.
        failures: The rows that could not be read.
        empty: The rows whose source is NULL.
        unchanged: The rows that have the vector of their content already.
        contents: The rows' contents, as far as they are known.
        made: Contents and the vectors that the model made of them; the other vectors were known.
        reused: How many rows got a vector that was known.
    """

    keys: list[K]
    vectors: Vectors
    failures: list[Failure[K]] = field(default_factory=list)
    empty: list[K] = field(default_factory=list)
    unchanged: list[K] = field(default_factory=list)
    contents: dict[K, bytes] = field(default_factory=dict)
    made: list[tuple[bytes, bytes]] = field(default_factory=list)
    reused: int = 0

    def __len__(self) -> int:
        return len(self.keys) + len(self.failures) + len(self.empty) + len(self.unchanged)


@dataclass
class _Pending(Generic[K]):
    rows: list[tuple[K, object]]
    jobs: dict[int, Future[Read]]  # position of the first row with a source → its reading
    same: dict[int, int]  # position of a row → position of the first row with its source


def embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    read: Callable[[Any], Image],
    fetch: Callable[[Any], Any] | None = None,
    is_far: Callable[[Any], bool] = lambda source: False,
    batch_size: int | None = None,
    workers: int | None = None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K], None, None]:
    """Embed the images that rows name, batch after batch, in the rows' order.

    Closing the generator, or an exception in it (Ctrl-C too), cancels what waits; no thread is
    left behind.

    Args:
        encoder: Turns images into vectors.
        rows: Pairs of a key and an image's source; None is no image.
        read: Gives the RGB image of a source; runs in several threads at once.
        fetch: Gives what ``known`` and ``read`` take for a source, e.g. what a URL gives; runs in
            several threads at once. None is the source itself.
        is_far: Whether fetching a source waits for a network, so that many are fetched at a time.
        batch_size: Rows a batch, 1 or more; None picks for the device.
        workers: Decoding threads; None is one a core, 16 at most.
        known: What is known of sources by their content; what it knows is not decoded.

    Yields:
        A batch for each ``batch_size`` rows; the last may be shorter.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = checked_size(batch_size, encoder.default_batch_size())
    decoders: Decoders[K] = Decoders(
        encoder.prepare, read, fetch, is_far, workers or cores(), known, encoder.dimension
    )
    return _embed_rows(encoder, iter(rows), size, decoders, known)


def _embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    size: int,
    decoders: Decoders[K],
    known: Known,
) -> Generator[Batch[K], None, None]:
    model = ThreadPoolExecutor(1, thread_name_prefix="thanosql-model")
    ahead: deque[Future[Batch[K]]] = deque()
    try:
        # No initializer: its error would be logged, and lost.
        model.submit(encoder.claim_thread).result()
        parts = _parts(rows, size)
        while True:
            while len(ahead) <= READ_AHEAD and (part := next(parts, None)):
                ahead.append(model.submit(_finish, encoder, _submit(decoders, part), known))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for batch in ahead:
            batch.cancel()
        decoders.close()
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


def _submit(decoders: Decoders[K], rows: list[tuple[K, object]]) -> _Pending[K]:
    """Start the reading of a batch, of each source once."""
    same: dict[int, int] = {}
    first: dict[object, int] = {}
    keys: dict[int, list[K]] = {}
    for position, (key, source) in enumerate(rows):
        if source is None:
            continue
        is_plain = isinstance(source, (str, bytes))
        same[position] = first.setdefault(source, position) if is_plain else position
        keys.setdefault(same[position], []).append(key)
    jobs = {at: decoders.submit(rows[at][1], sharing) for at, sharing in keys.items()}
    return _Pending(rows, jobs, same)


def _finish(encoder: AnyEncoder, pending: _Pending[K], known: Known) -> Batch[K]:
    """Wait for the reading of a batch, and embed it."""
    found: dict[int, Read] = {}
    errors: dict[int, ReadError] = {}
    for position, job in pending.jobs.items():
        read = reading(job, pending.rows[position][1])
        if isinstance(read, Read):
            found[position] = read
        else:
            errors[position] = read
    batch: Batch[K] = Batch([], np.empty((0, encoder.dimension), np.float32))
    vectors = _vectors(encoder, found, batch)
    picked: list[int] = []  # the position of each key's vector
    for position, (key, source) in enumerate(pending.rows):
        if source is None:
            batch.empty.append(key)
            continue
        origin = pending.same[position]
        if origin in errors:
            batch.failures.append(Failure(key, source, errors[origin]))
            continue
        content = found[origin].content
        if content is not None:
            batch.contents[key] = content
            if known.has(key, content):
                batch.unchanged.append(key)
                continue
        batch.keys.append(key)
        picked.append(origin)
        batch.reused += found[origin].vector is not None
    if picked:
        batch.vectors = np.stack([vectors[origin] for origin in picked])
    return batch


def reading(job: Future[Read], source: object) -> Read | ReadError:
    """Wait for the reading of a source; return what it gave, or why it cannot be read.

    Raises:
        ModelError: The model is damaged.
        OperationalError: Too many files are open.
    """
    try:
        return job.result()
    except (MediaError, WorkspaceError) as exc:
        require_files(exc)
        return exc
    except ModelError:
        raise
    except Exception as exc:  # whatever a row is, the others are read
        require_files(exc)
        why = "not enough memory" if isinstance(exc, MemoryError) else clip(str(exc), 200)
        error = MediaError(f"image {clip(source)} cannot be read: {type(exc).__name__}: {why}")
        error.__cause__ = exc
        return error


def require_files(error: BaseException) -> None:
    """Raise OperationalError where an image cannot be opened because too many files are.

    That says nothing of the image: its vector must not become NULL for it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            raise OperationalError(
                f"images cannot be opened: {cause.strerror}; close some files or raise the limit"
                " (ulimit -n), and run the statement again"
            ) from error
        cause = cause.__cause__ or cause.__context__


def _vectors(encoder: AnyEncoder, found: dict[int, Read], batch: Batch[K]) -> dict[int, Any]:
    """Return the vectors of what was read by position, and note which the model has made."""
    places = [position for position, each in found.items() if each.pixels is not None]
    pixels = [each.pixels for each in found.values() if each.pixels is not None]
    vectors: dict[int, Any] = {
        position: np.frombuffer(each.vector, "<f4")
        for position, each in found.items()
        if each.vector is not None
    }
    if pixels:
        for position, vector in zip(places, encoder.embed_pixels(pixels), strict=True):
            vectors[position] = vector
            content = found[position].content
            if content is not None:
                batch.made.append((content, vector.tobytes()))
    return vectors


def embed_texts_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    batch_size: int | None = None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K], None, None]:
    """Embed the texts of rows, batch after batch, in the rows' order.

    Args:
        encoder: Turns texts into vectors.
        rows: Pairs of a key and a text; a number stands for its digits, None for no text.
        batch_size: Rows a batch, 1 or more; None picks.
        known: What is known of texts; what it knows is not embedded.

    Yields:
        A batch for each ``batch_size`` rows; a BLOB is one of its failures.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = checked_size(batch_size, max(TEXT_BATCH, encoder.default_batch_size()))
    return _embed_texts_rows(encoder, iter(rows), size, known)


def _embed_texts_rows(
    encoder: AnyEncoder, rows: Iterable[tuple[K, object]], size: int, known: Known
) -> Generator[Batch[K], None, None]:
    for part in _parts(rows, size):
        batch: Batch[K] = Batch([], np.empty((0, encoder.dimension), np.float32))
        texts: dict[str, bytes | None] = {}  # those to embed, and their contents
        vectors: dict[str, Any] = {}
        picked: list[str] = []
        for key, value in part:
            if value is None:
                batch.empty.append(key)
                continue
            text = str(value)
            is_text = isinstance(value, (str, int, float))
            problem = text_problem(text) if is_text else f"expected a text, got {clip(value)}"
            if problem:
                batch.failures.append(Failure(key, value, MediaError(problem)))
                continue
            told = known.content(text)
            content = None if told is None else told.key
            if content is not None:
                batch.contents[key] = content
                if known.has(key, content):
                    batch.unchanged.append(key)
                    continue
            batch.keys.append(key)
            picked.append(text)
            if text not in texts and text not in vectors:
                vector = None if content is None else known.vector(content)
                if vector is not None and len(vector) == 4 * encoder.dimension:
                    vectors[text] = np.frombuffer(vector, "<f4")
                else:
                    texts[text] = content
            batch.reused += text in vectors
        if texts:
            for text, vector in zip(texts, encoder.embed_texts(list(texts)), strict=True):
                vectors[text] = vector
                content = texts[text]
                if content is not None:
                    batch.made.append((content, vector.tobytes()))
        if picked:
            batch.vectors = np.stack([vectors[text] for text in picked])
        yield batch


def checked_size(batch_size: object, default: int) -> int:
    """Return the rows a batch, the default where none are given.

    Raises:
        ProgrammingError: It is not a whole number, 1 or more.
    """
    if batch_size is None:
        return default
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ProgrammingError(f"batch_size must be 1 or more, got {clip(batch_size)}")
    return batch_size


def cores() -> int:
    """Return how many threads decode: one a core, 16 at most."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    return max(1, min(WORKERS_LIMIT, count))
