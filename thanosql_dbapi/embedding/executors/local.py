"""Rows embedded on this machine: the next images are decoded while the model runs on these.

Rows are read in the caller's thread and decoded in a pool; the model has a thread of its own, so
that the caller writes a batch while the next is computed. Batches come back in the order they went
in. At most ``READ_AHEAD`` follow the one at work, each of so many rows and so many bytes, so
memory does not grow with the number of rows.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ...models.protocol import AnyEncoder
from ..batches import Batch, Part, Read, checked_size, cut, embed_reads
from ..decoders import Decoders, Reads
from ..known import KNOWS_NOTHING, Known
from .task import Task

K = TypeVar("K")

READ_AHEAD = 2
WORKERS_LIMIT = 16


class Local:
    """Embeds in this process, its sources decoded in threads; an ``Executor``.

    Args:
        workers: What decodes; None is one a core, 16 at most.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers

    def embed(
        self, task: Task, rows: Iterable[tuple[K, object]], known: Known, *, total: int
    ) -> Generator[Batch[K]]:
        """Embed rows, in their order; see ``Executor``."""
        from ...models.encoder import load_encoder

        model = task.model
        encoder = load_encoder(model.folder, device=model.device, fingerprint=model.fingerprint)
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
        return embed_rows(
            encoder,
            rows,
            reader=task.reader(encoder.preparation),
            batch_size=task.batch_size,
            workers=self._workers,
            known=known,
        )

    def close(self) -> None:
        """End what is kept between statements: nothing."""


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
    return _embed_rows(encoder, iter(rows), size, Decoders(reader, workers or cores()), known)


def _embed_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    size: int,
    decoders: Decoders,
    known: Known,
) -> Generator[Batch[K]]:
    model = ThreadPoolExecutor(1, thread_name_prefix="thanosql-model")
    ahead: deque[Future[Batch[K]]] = deque()

    def finish(part: Part[K], jobs: dict[int, Future[Read]]) -> Batch[K]:
        reads = {position: job.result() for position, job in jobs.items()}
        embed_reads(encoder, reads.values())
        return part.batch(reads, known, Batch.of(encoder))

    try:
        # No initializer: its error would be logged, and lost.
        model.submit(encoder.claim_thread).result()
        parts = map(Part, cut(rows, size))
        while True:
            while len(ahead) <= READ_AHEAD and (part := next(parts, None)):
                jobs = {
                    position: decoders.submit(
                        source, part.lookup(position, known, encoder.dimension)
                    )
                    for position, source in part.sources.items()
                }
                ahead.append(model.submit(finish, part, jobs))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for batch in ahead:
            batch.cancel()
        decoders.close()
        model.shutdown(wait=True)


def cores() -> int:
    """Return how many cores this process may use, 16 at most."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    return max(1, min(WORKERS_LIMIT, count))
