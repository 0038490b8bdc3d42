"""The pictures of a result's rows, each with its name, or why it cannot be shown."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..connection import Connection
from ..embedding.pictures import Pictures
from ..errors import Error, ProgrammingError
from ..language import grammar
from ..places import is_elsewhere, join
from .session import Outcome, PrintOptions
from .thumbnails import SHARP_BOX, Box, Thumbnail, read_thumbnail

_WORKERS_LIMIT = 8


@dataclass(frozen=True)
class Picture:
    """One row's picture.

    Attributes:
        row: Index of the row, from 0.
        name: The absolute path, the URL, or how many bytes a BLOB has.
        path: Where the file is, its links resolved; None for a BLOB, a URL, or a path that may not
            be read.
        thumbnail: The picture; None where it cannot be read.
        reason: Why it cannot be read, else empty.
    """

    row: int
    name: str
    path: Path | None
    thumbnail: Thumbnail | None
    reason: str = ""


def pictures(
    connection: Connection,
    outcome: Outcome,
    limit: int | None = None,
    *,
    image_col: str = grammar.IMAGE_COL.default,
    box: Box = SHARP_BOX,
) -> Iterator[Picture]:
    """Yield the pictures of an executed query in the order of its rows, read in threads.

    Args:
        connection: Where it ran: its settings say which files may be read.
        outcome: What ``session.run`` returned.
        limit: Most pictures to yield; a PRINT's own ``limit`` wins.
        image_col: The column with the images; a PRINT's own ``image_col`` wins.
        box: Most width and height of a picture, in pixels.

    Raises:
        ProgrammingError: The result has no such column.
    """
    options = outcome.print_options or PrintOptions()
    column = _column(outcome, options.image_col or image_col)
    rows = outcome.rows[: count_of(outcome, limit)]
    opener, locate = Pictures.of(connection.settings), connection.settings.workspace.locate
    workers = min(_WORKERS_LIMIT, os.cpu_count() or 1)
    pending: deque[Future[Picture]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="thanosql-thumbnail") as pool:
        for index, row in enumerate(rows):
            pending.append(
                pool.submit(_read, opener, locate, index, row[column], options.base_dir, box)
            )
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def count_of(outcome: Outcome, limit: int | None) -> int:
    """Return how many pictures there are to show; a PRINT's own ``limit`` wins."""
    own = outcome.print_options.limit if outcome.print_options else None
    most = limit if own is None else own
    return len(outcome.rows) if most is None else min(most, len(outcome.rows))


def _column(outcome: Outcome, wanted: str) -> int:
    names = outcome.names or []
    lower = [name.lower() for name in names]
    if wanted.lower() in lower:
        return lower.index(wanted.lower())
    found = ", ".join(map(repr, names)) or "none"
    how = "OPTIONS (image_col='…')" if outcome.is_print else "image_col"
    what = "PRINT IMAGE shows" if outcome.is_print else "the pictures are those of"
    raise ProgrammingError(
        f"{what} the column {wanted!r}, and the query's columns are {found}; select that column, or"
        f" name another with {how}"
    )


def _read(
    opener: Pictures,
    locate: Callable[[str], Path],
    row: int,
    value: Any,
    base_dir: str | None,
    box: Box,
) -> Picture:
    if value is None:
        return Picture(row, "NULL", None, None, "the row has no image")
    name = f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)
    path: Path | None = None
    try:
        if isinstance(value, str) and base_dir:
            value = name = join(base_dir, value)
        if isinstance(value, str) and not is_elsewhere(value) and value[:5].lower() != "file:":
            path = locate(value)
            name = str(path)
        return Picture(row, name, path, read_thumbnail(opener, value, box))
    except Error as error:
        return Picture(row, name, path, None, str(error))
