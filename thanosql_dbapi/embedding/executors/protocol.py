"""What an executor does: parts of rows in, batches out."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from ..batches import Batch
from ..known import Known
from .task import Task

K = TypeVar("K")


class Executor(Protocol):
    """Embeds the rows of statements, one statement at a time; kept by a connection."""

    def embed(
        self, task: Task, rows: Iterable[tuple[K, object]], known: Known, *, total: int
    ) -> Generator[Batch[K]]:
        """Embed rows, in their order.

        A bounded number of rows is taken from ``rows`` before their batches are asked for.
        Closing the generator, or an exception in it (Ctrl-C too), ends what was started for it.

        Args:
            task: How sources are read, and with which model.
            rows: Pairs of a key and a source; None is no source. Read in the caller's thread.
            known: What is known of sources by their content; may be asked in any thread of this
                process, and in no other process.
            total: About how many rows there are, to tell what is worth its start.

        Yields:
            A batch for some consecutive rows. Every row is in exactly one batch.

        Raises:
            ProgrammingError: ``task.batch_size`` is not a whole number, 1 or more.
            ModelError: The model cannot be loaded, or is damaged.
            OperationalError: The executor cannot work; the text says why, and nothing was changed.
        """
        ...

    def opened(self, task: Task, *, total: int) -> AbstractContextManager[None]:
        """Have the model ready for :meth:`embed`, so that what cannot work fails before a change.

        Args:
            task: As for :meth:`embed`, which is to be called inside with the same.
            total: As for :meth:`embed`.

        Raises:
            ModelError: As for :meth:`embed`.
            OperationalError: As for :meth:`embed`.
        """
        ...

    def close(self) -> None:
        """End what is kept between statements; may be called several times."""
        ...
