"""Rows embedded on this machine: the next images are decoded while the model runs on these.

Rows are read in the caller's thread and decoded by threads or processes; the model has a thread of
its own, so that the caller writes a batch while the next is computed. Batches come back in the
order they went in. At most ``READ_AHEAD`` follow the one at work, or as many as keep all workers
busy, each of so many rows and so many bytes: memory does not grow with the number of rows.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from ...cores import usable_cores
from ...errors import warn_user
from ...models.protocol import AnyEncoder
from ..batches import Batch, Part, checked_size, cut, embed_reads
from ..known import KNOWS_NOTHING, Known
from .chunks import ChunkDecoders
from .pool import Pool
from .program import can_start_python
from .task import PictureReader, Task
from .threads import Decoders, Found, Reads

if TYPE_CHECKING:
    from ...models.encoder import Encoder

K = TypeVar("K")

READ_AHEAD = 2
THREADS_LIMIT = 16
PROCESSES_LIMIT = 64
# So many pictures are decoded in threads before it is told whether processes pay.
SAMPLE = 48
# Seconds of decoding that are left for one core: starting a worker takes it a third of one.
PAYS_S = 3.0
# The pixels that most models see of a picture, in bytes, before one was decoded.
_PIXEL_BYTES = 3 * 224 * 224


class Local:
    """Embeds in this process; an ``Executor``.

    Images are decoded in processes, once the first have shown that it pays, or in threads: those
    of a Python with a global lock decode on little more than one core.

    Args:
        decodes_in: ``"threads"``, ``"processes"`` (from the first image on), or None for the best.
        workers: How many decode; None is one a core.
    """

    def __init__(self, decodes_in: str | None = None, workers: int | None = None) -> None:
        self._decodes_in, self._workers = decodes_in, workers
        self._pool: Pool | None = None

    def embed(
        self, task: Task, rows: Iterable[tuple[K, object]], known: Known, *, total: int
    ) -> Generator[Batch[K]]:
        """Embed rows, in their order; see ``Executor``."""
        encoder = _encoder(task)
        if task.kind == "text":
            from ..texts import embed_texts_rows

            return embed_texts_rows(
                encoder, rows, batch_size=task.batch_size, digests=task.digests, known=known
            )
        if task.kind == "video":
            from ..pooling import embed_film_rows

            least_side_px = encoder.preparation.least_side_px
            return embed_film_rows(
                encoder, rows, task=task, least_side_px=least_side_px, known=known
            )
        reader = task.reader(encoder.preparation)
        size = checked_size(task.batch_size, encoder.default_batch_size())
        decoders = _Decoders(self, reader, known, encoder.dimension, total)
        return _embed_rows(encoder, rows, size, decoders, known)

    def opened(self, task: Task, *, total: int) -> AbstractContextManager[None]:
        """Load the model; see ``Executor``."""
        _encoder(task)
        return nullcontext()

    def close(self) -> None:
        """End the processes that are kept between statements."""
        if self._pool is not None:
            self._pool.close()

    @property
    def threads(self) -> int:
        """How many threads decode."""
        return self._workers or min(usable_cores(), THREADS_LIMIT)

    @property
    def _processes(self) -> int:
        return self._workers or min(usable_cores(), PROCESSES_LIMIT)

    def pool(self) -> Pool:
        """Return the processes, which may not have started yet."""
        if self._pool is None or self._pool.problem:
            self._pool = Pool(self._processes)
        return self._pool

    def wants_processes(self, count: int, seconds: float, left: int) -> bool:
        """Return whether processes are to decode what is left.

        Args:
            count: Pictures that threads have decoded.
            seconds: How long that took a core.
            left: Rows that are left.
        """
        if self._decodes_in is not None or not can_start_python():
            return self._decodes_in == "processes"
        has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
        if not has_lock or self._processes < 2 or count < SAMPLE:
            return False
        return left * seconds / count > PAYS_S


def _encoder(task: Task) -> Encoder:
    from ...models.encoder import load_encoder

    model = task.model
    return load_encoder(model.folder, device=model.device, fingerprint=model.fingerprint)


class _Decoders:
    """Has sources read by threads, and by processes when they pay and have started."""

    def __init__(
        self, local: Local, reader: PictureReader, known: Known, dimension: int, total: int
    ) -> None:
        self._local, self._reader = local, reader
        self._known, self._dimension, self._left = known, dimension, total
        self._threads = Decoders(reader, local.threads, known, dimension)
        self._chunks: ChunkDecoders | None = None
        self._pool: Pool | None = None

    @property
    def ahead(self) -> int:
        """How many sources must be on their way for all workers to have one."""
        chunks = self._chunks
        return 0 if chunks is None else 2 * chunks.chunk * self._local.pool().size

    def submit(self, part: Part[K]) -> list[Future[Found]]:
        """Start the reading of a part's sources."""
        self._left -= len(part.rows)
        self._tell()
        if self._chunks is None:
            self._choose()
        return (self._chunks or self._threads).submit(part)

    def _choose(self) -> None:
        threads = self._threads
        if self._pool is None:
            if not self._local.wants_processes(threads.count, threads.seconds, self._left):
                return
            self._pool = self._local.pool()
            if not threads.count:  # asked for from the first image on
                self._pool.wait()
        self._tell()
        if not self._pool.is_ready:
            return
        self._chunks = ChunkDecoders(
            self._reader,
            self._pool,
            self._known,
            self._dimension,
            seconds=threads.seconds / threads.count if threads.count else 0.0,
            pixel_bytes=threads.pixel_bytes or _PIXEL_BYTES,
            has_known=threads.has_known,
        )

    def _tell(self) -> None:
        """Warn, once, of what the processes lack."""
        if self._pool is not None and self._pool.note:
            note, self._pool.note = self._pool.note, ""
            warn_user(f"CONVERT: {note}", RuntimeWarning)

    def close(self) -> None:
        """Cancel what waits, and end the threads."""
        if self._chunks is not None:
            self._chunks.close()
        self._threads.close()


def embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    reader: Reads,
    batch_size: int | None = None,
    workers: int | None = None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K]]:
    """Embed the images that rows name, batch after batch, in the rows' order.

    Closing the generator, or an exception in it (Ctrl-C too), cancels what waits; no thread is
    left behind.

    Args:
        encoder: Turns images into vectors.
        rows: Pairs of a key and an image's source; None is no image.
        reader: Makes pixels of a source; used by several threads at once.
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
    workers = workers or min(usable_cores(), THREADS_LIMIT)
    return _embed_rows(
        encoder, rows, size, Decoders(reader, workers, known, encoder.dimension), known
    )


def _embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    size: int,
    decoders: Decoders | _Decoders,
    known: Known,
) -> Generator[Batch[K]]:
    model = ThreadPoolExecutor(1, thread_name_prefix="thanosql-model")
    ahead: deque[Future[Batch[K]]] = deque()

    def finish(part: Part[K], jobs: list[Future[Found]]) -> Batch[K]:
        found = [job.result() for job in jobs]
        reads = {at: read for each in found for at, read in each.reads.items()}
        embed_reads(encoder, reads.values())
        for each in found:
            each.release()
        return part.batch(reads, known, Batch.of(encoder))

    try:
        # No initializer: its error would be logged, and lost.
        model.submit(encoder.claim_thread).result()
        parts = map(Part, cut(rows, size))
        while True:
            while len(ahead) <= max(READ_AHEAD, decoders.ahead // size) and (
                part := next(parts, None)
            ):
                ahead.append(model.submit(finish, part, decoders.submit(part)))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for batch in ahead:
            batch.cancel()
        decoders.close()
        model.shutdown(wait=True)
