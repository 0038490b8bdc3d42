"""A result as pictures to look at: each row's picture, its similarity, caption and values.

The gallery, the contact sheet and the notebook show sections, each in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..connection import Connection
from ..embedding.pictures import Pictures
from ..errors import Error, ProgrammingError, clip
from ..language import grammar
from ..workspace import Workspace
from . import display
from .pictures import Picture, count_of, pictures
from .session import Outcome
from .thumbnails import Box, Thumbnail, read_thumbnail

_QUERY_BOX = (240, 240)
CAPTIONS = ("caption", "photo_description", "ai_description", "description", "title")
"""Columns that describe a picture, the best first."""
_LONGEST_VALUE = 2_000
_TITLE, _SOUGHT = 80, 3


@dataclass(frozen=True)
class Card:
    """One row of a result.

    Attributes:
        name: Its picture's path from the workspace or the home folder on, the URL, or how many
            bytes a BLOB has.
        path: Where the file is; None for a BLOB, a URL, or a path that may not be read.
        thumbnail: The picture; None where it cannot be read.
        similarity: Cosine, -1 to 1; None where the row has none.
        caption: A description out of the row, or empty.
        reason: Why the picture cannot be read, or empty.
        values: (column, value as text) of the row.
    """

    name: str
    path: Path | None
    thumbnail: Thumbnail | None
    similarity: float | None = None
    caption: str = ""
    reason: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Section:
    """A query and its pictures, in the order of its rows.

    Attributes:
        heading: What was looked for.
        sql: The statement.
        cards: The pictures.
        total: Rows of the result; more than cards where some are left out.
        has_similarity: Whether the rows have a similarity column.
        query: The picture that was looked for, where it was one.
    """

    heading: str
    sql: str
    cards: Sequence[Card]
    total: int
    has_similarity: bool = False
    query: Thumbnail | None = None


def section_of(
    connection: Connection,
    outcome: Outcome,
    heading: str | None = None,
    *,
    box: Box,
    image_col: str = grammar.IMAGE_COL.default,
    limit: int | None = None,
) -> Section:
    """Return the pictures of an executed query.

    Args:
        connection: Where it ran.
        outcome: What ``session.run`` returned.
        heading: What to write above them. Default: what the statement looks for.
        box: Most width and height of a picture, in pixels.
        image_col: The column with the images; a PRINT's own ``image_col`` wins.
        limit: Most pictures, None for all; a PRINT's own ``limit`` wins.

    Raises:
        ProgrammingError: The statement returns no rows, or they have no such column.
    """
    if outcome.names is None:
        raise ProgrammingError(
            "pictures are shown of a query, such as SEARCH IMAGE … AS SELECT …, and this statement"
            f" returns no rows: {clip(outcome.sql.strip())}; it was run, and no file was written"
        )
    ranked = similarity_column(outcome)
    workspace = connection.settings.workspace
    cards = []
    count = count_of(outcome, limit)
    with connection.settings.progress.track("pictures", count, "picture") as advance:
        for picture in pictures(connection, outcome, limit, image_col=image_col, box=box):
            cards.append(_card(workspace, outcome, picture, ranked))
            advance(1)
    return Section(
        _heading(outcome) if heading is None else heading,
        outcome.sql.strip(),
        cards,
        len(outcome.rows),
        ranked is not None,
        _query(connection, outcome),
    )


def similarity_column(outcome: Outcome) -> int | None:
    """Return which column of a result has the similarities.

    One called ``similarity``; else the first that a SEARCH of the statement has added; else the
    first whose name holds ``similarity`` or is ``search_result``, as that of a view may be.
    """
    names = [name.lower() for name in outcome.names or []]
    added = {name.lower() for plan in outcome.searches for name in plan.names}
    choices = (
        lambda name: name == "similarity",
        lambda name: name in added,
        lambda name: "similarity" in name or name == grammar.LATER_SIMILARITY_COL,
    )
    for is_it in choices:
        for index, name in enumerate(names):
            if is_it(name):
                return index
    return None


def _card(workspace: Workspace, outcome: Outcome, picture: Picture, ranked: int | None) -> Card:
    row = outcome.rows[picture.row]
    values: dict[str, Any] = {}
    for name, value in zip(outcome.names or [], row, strict=True):
        values.setdefault(name.lower(), value)
    similarity = None if ranked is None else row[ranked]
    told = (values[name] for name in CAPTIONS if values.get(name) is not None)
    return Card(
        _short(picture, workspace),
        picture.path,
        picture.thumbnail,
        similarity if isinstance(similarity, float) else None,
        _text(next(told, "")),
        picture.reason,
        tuple(zip(outcome.names or [], map(_text, row), strict=True)),
    )


def _short(picture: Picture, workspace: Workspace) -> str:
    """Return a picture's name without what all of them share."""
    path = picture.path
    if path is None:
        return picture.name
    if path.is_relative_to(workspace.root):
        return path.relative_to(workspace.root).as_posix()
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else display.cell(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _heading(outcome: Outcome) -> str:
    """Return what a statement looks for, as a title; of many values the first few."""
    sought: list[str] = []
    for each in (each for plan in outcome.searches for each in plan.vectors):
        if each.kind == "text":
            sought.append(str(each.value))
        elif isinstance(each.value, str):
            sought.append(f"like {Path(each.value).name}")
        else:
            sought.append("like this picture")
    shown = [each if len(each) <= _TITLE else f"{each[:_TITLE]}…" for each in sought[:_SOUGHT]]
    more = len(sought) - len(shown)
    return ", ".join([*shown, f"{more:,} more"] if more else shown) or "Pictures"


def _query(connection: Connection, outcome: Outcome) -> Thumbnail | None:
    """Return the picture that a statement looks for, if it is one and is still there."""
    for each in (each for plan in outcome.searches for each in plan.vectors):
        if each.kind == "image":
            try:
                return read_thumbnail(Pictures.of(connection.settings), each.value, _QUERY_BOX)
            except Error:
                return None
    return None
