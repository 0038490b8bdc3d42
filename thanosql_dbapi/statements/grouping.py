"""Batches of a CONVERT on their way into the database: one transaction a second, not one a batch.

A COMMIT waits for the disk, and costs more than the sixteen vectors of a batch take to compute with
a small model. So what is embedded is collected for a second, or up to ten where the disk is slow.
That is also all that a kill loses.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Union

from ..stores.sqlite.files import Files
from .contents import Contents
from .context import Context

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..embedding.known import FileFacts

Batch = list[tuple[Union[bytes, None], int]]
"""Vector BLOB or None, and row id in the staging table."""
Write = Callable[[Batch, list[int]], None]
"""Gets a batch, and the row ids of rows that have their vector already."""

SECONDS = 1.0
"""A batch that ends so long after the last transaction is written with all before it."""
_LONGEST = 10
"""How many times that is waited at most for a transaction to be a twentieth of the time."""
_SHARE = 1 / 20
_MOST_ROWS = 4096


class Grouping:
    """Collects what became of rows, and writes it; what is collected at the end is written, too.

    An error or Ctrl-C ends the work, not what was done before: that is written all the same.

    Args:
        context: The connection.
        write: Writes vectors; called inside a transaction.
        contents: What is known of the rows; the digests of their files are written along.
    """

    def __init__(self, context: Context, write: Write, contents: Contents) -> None:
        self._database, self._write, self._contents = context.database, write, contents
        self._blobs: Batch = []
        self._unchanged: list[int] = []
        self._made: list[tuple[bytes, bytes]] = []
        self._files: list[FileFacts] = []
        self._due_s = time.monotonic() + SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What ended the work says more than what a disk says afterwards.
        with suppress(*([sqlite3.Error] if kind else [])):
            self._flush()

    def add(
        self,
        blobs: Batch,
        unchanged: list[int],
        made: Iterable[tuple[bytes, bytes]],
        files: Iterable[FileFacts],
    ) -> None:
        """Take a batch.

        Args:
            blobs: The vectors of rows, None for those that have none.
            unchanged: The rows that have the vector of their content already.
            made: Contents, and the vectors that the model made of them.
            files: What was learnt of the files that were read.
        """
        self._blobs += blobs
        self._unchanged += unchanged
        self._made += made
        self._files += files
        if time.monotonic() >= self._due_s or len(self._blobs) + len(self._unchanged) >= _MOST_ROWS:
            self._flush()

    def _flush(self) -> None:
        blobs, unchanged, made = self._blobs, self._unchanged, self._made
        self._blobs, self._unchanged, self._made = [], [], []
        begin_s = time.monotonic()
        digests, self._files = self._contents.spelled(self._files), []
        # Where the database is locked by another program, the model's work is not lost.
        self._contents.keep(made)
        if blobs or unchanged or digests:
            with self._database.atomic():
                self._write(blobs, unchanged)
                # So COPY recognises a file that is moved later without reading it again.
                Files(self._database).add_digests(digests)
        now_s = time.monotonic()
        self._due_s = now_s + SECONDS * min(_LONGEST, max(1.0, (now_s - begin_s) / _SHARE))
