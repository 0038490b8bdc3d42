"""Gives the rows of a statement to the workers of a cluster, and takes their batches in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np

from ....errors import MediaError, OperationalError, WorkspaceError, clip
from ....places import parse
from ....sources.network import without_secrets
from ...batches import Batch, Failure, checked_size, cut
from ...known import Known
from ..task import Task
from .cluster import join, leave
from .pool import SLOTS, Part, Pool
from .worker import Facts

K = TypeVar("K")

# Parts that wait at the driver for each that a worker can have, so that none waits for rows.
_AHEAD = 2
# Of BLOBs, all parts on their way together.
_HELD_BYTES = 256 << 20
# A part is as many rows as the model takes at once, times this: messages cost some milliseconds.
_PASSES = 2
_TEXTS = 256
_LOSSES = 2
_NOT_SEEN = (FileNotFoundError, NotADirectoryError, PermissionError)


class OnRay:
    """Embeds on the machines of a Ray cluster; an ``Executor``.

    The rows stay here, and the files where they are: workers read them by the same paths or from
    the same buckets. A worker that is lost is replaced, and its rows are embedded by another. A
    picture that is alone at a worker when it dies, twice, is a failure.

    Args:
        address: See ``cluster.join``.
        workers: How many; None is one a GPU or machine.
    """

    def __init__(self, address: str, workers: int | None = None) -> None:
        self._address, self._workers = address, workers
        self._is_joined = False
        self._pool: Pool | None = None

    @contextmanager
    def opened(self, task: Task, *, total: int) -> Iterator[None]:
        """Start the workers; see ``Executor``."""
        if not total:
            yield
            return
        with self._started(task, total) as pool:
            try:
                pool.facts()
            except OperationalError as error:
                raise _ended(error, 0) from error.__cause__
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def embed(
        self, task: Task, rows: Iterable[tuple[K, object]], known: Known, *, total: int
    ) -> Generator[Batch[K]]:
        """Embed rows, in their order; see ``Executor``.

        What is known of their contents spares no reading here: workers embed all of them.
        """
        checked_size(task.batch_size, 1)
        opened: AbstractContextManager[Pool]
        opened = nullcontext(self._pool) if self._pool else self._started(task, total)
        done = 0
        try:
            with opened as pool:
                for batch in _Stream(pool, task, rows).batches():
                    yield _settled(batch, known)
                    done += len(batch)
        except OperationalError as error:
            raise _ended(error, done) from error.__cause__

    def _started(self, task: Task, total: int) -> Pool:
        ray = join(self._address)
        if self._is_joined:
            leave()
        self._is_joined = True
        return Pool(ray, task, self._workers, total, repr(self._address))

    def close(self) -> None:
        """Leave the cluster; one that was started for this process ends with its last executor."""
        if self._is_joined:
            self._is_joined = False
            leave()


class _Stream:
    """The parts of one statement, in order: a window that moves on with its first part."""

    def __init__(self, pool: Pool, task: Task, rows: Iterable[tuple[K, object]]) -> None:
        self._pool, self._task = pool, task
        self._facts = pool.facts()
        self._parts = (Part(each) for each in cut(rows, _part_rows(task, self._facts)))
        self._window: deque[Part] = deque()
        self._waiting: deque[Part] = deque()
        self._held = 0

    def batches(self) -> Iterator[Batch[Any]]:
        """Yield the batches of all rows.

        Raises:
            OperationalError: A worker does not see a file that is there.
        """
        while True:
            self._take()
            while self._waiting and self._pool.give(self._waiting[0]):
                self._waiting.popleft()
            if not self._window:
                return
            while self._window and (result := self._window[0].result) is not None:
                part = self._window.popleft()
                self._held -= _size(part)
                for batch in result:
                    self._require_sight(batch, part.node)
                    yield batch
            if self._window:
                for part in reversed(self._pool.wait()):
                    self._again(part)

    def _take(self) -> None:
        """Take rows, as long as few enough are on their way."""
        limit = _AHEAD * SLOTS * self._pool.size
        while len(self._waiting) < limit and len(self._window) < 2 * limit:
            if self._held >= _HELD_BYTES or (part := next(self._parts, None)) is None:
                return
            self._window.append(part)
            self._waiting.append(part)
            self._held += _size(part)

    def _again(self, part: Part) -> None:
        """Have a part done again, whose worker was lost: its rows one by one, each alone.

        So the next loss tells which row it is.
        """
        if not part.is_alone:
            singles = [Part([row], is_alone=True) for row in part.rows]
            at = self._window.index(part)
            del self._window[at]
            for single in reversed(singles):
                self._window.insert(at, single)
            self._waiting.extendleft(reversed(singles))
            return
        part.losses += 1
        if part.losses < _LOSSES:
            self._waiting.appendleft(part)
            return
        ((key, source),) = part.rows
        shown = clip(without_secrets(source) if isinstance(source, str) else source)
        error = MediaError(
            f"{self._task.kind} {shown} cannot be read: the process that had it, and nothing else,"
            f" has ended {_LOSSES} times; it may be damaged, or too large for the memory there"
        )
        part.result = [self._batch([Failure(key, source, error)])]

    def _batch(self, failures: list[Failure[Any]]) -> Batch[Any]:
        facts = self._facts
        none = np.empty((0, facts.dimension), np.float32)
        return Batch([], none, failures, device=facts.device, dtype=facts.dtype)

    def _require_sight(self, batch: Batch[Any], node: str) -> None:
        """Check that the files which a machine did not find are not there.

        Raises:
            OperationalError: This process can read one of them.
        """
        for failure in batch.failures:
            is_of_place = isinstance(failure.error, WorkspaceError) or isinstance(
                failure.error.__cause__, _NOT_SEEN
            )
            if is_of_place and self._sees(failure.source):
                raise self._pool.error(
                    f"machine {node} does not see {self._task.kind} {clip(failure.source)},"
                    f" which this one does: {failure.error}; mount its folder there at the same"
                    " path, or put the files into a bucket and COPY them from there, s3://…"
                )

    def _sees(self, source: object) -> bool:
        """Return whether a source is a file, or in an archive, that this process can read."""
        place = self._task.digests.place(source)
        if not isinstance(place, str):
            return False
        try:
            holder = parse(place).holder
            if holder.scheme:
                return False
            path = self._task.digests.workspace.locate(holder.path)
        except (WorkspaceError, OperationalError):
            return False
        return os.access(path, os.R_OK)


def _part_rows(task: Task, facts: Facts) -> int:
    if task.kind == "video":
        return 1
    return max(_PASSES * facts.batch_size, _TEXTS if task.kind == "text" else 1)


def _size(part: Part) -> int:
    return sum(len(source) for _, source in part.rows if isinstance(source, bytes))


def _settled(batch: Batch[K], known: Known) -> Batch[K]:
    """Leave alone the rows that had the vector of their content already."""
    had = [key in batch.contents and known.has(key, batch.contents[key]) for key in batch.keys]
    if any(had):
        kept = [place for place, each in enumerate(had) if not each]
        batch.unchanged += [key for key, each in zip(batch.keys, had, strict=True) if each]
        batch.keys, batch.vectors = [batch.keys[place] for place in kept], batch.vectors[kept]
    return batch


def _ended(error: OperationalError, done: int) -> OperationalError:
    """Return an error that says what has become of the rows."""
    what = (
        f"{done:,} rows were embedded before, and are not embedded again when the statement runs"
        " again"
        if done
        else "nothing was changed"
    )
    return type(error)(f"{error}; {what}")
