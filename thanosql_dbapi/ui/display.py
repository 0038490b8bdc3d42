"""How results look: data frames, pictures at a width, values as text.

Nothing here runs a statement. pandas and Pillow are imported at first use.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from ..connection import Connection
from ..errors import Error, ProgrammingError
from ..opening import is_url
from .session import Outcome, PrintOptions

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image

WIDTH_PX = 240
SHARP_WIDTH_PX = 2 * WIDTH_PX  # what a screen of two pixels to the point shows at that width
_QUALITY = 85
# Control characters, halves of characters, separators of lines and paragraphs.
_COMMANDS = ("Cc", "Cs", "Zl", "Zp")
# What changes the direction of the letters after it.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TALLEST = 6  # heights per width; a picture taller than this is shown narrower


@dataclass(frozen=True)
class Picture:
    """One row of a PRINT: what to write above the picture, and the picture or why there is none.

    Attributes:
        row: Index of the row, from 0.
        name: The absolute path, the URL, or how many bytes a BLOB has.
        image: The picture, RGB and upright; None where it cannot be read.
        reason: Why it cannot be read, else None.
    """

    row: int
    name: str
    image: Image | None
    reason: str | None = None


def frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pandas.DataFrame:
    """Return a result as a data frame.

    Numbers become numeric columns, where NULL is NaN; every other column keeps SQLite's own
    values, NULL as None and vectors as arrays.

    Args:
        names: Names of the columns; they may repeat.
        rows: Rows of that many values.

    Example:
        >>> frame(["path", "similarity"], [("a.jpg", 0.5), (None, None)])
            path  similarity
        0  a.jpg         0.5
        1   None         NaN
    """
    import pandas

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    table: pandas.DataFrame = pandas.DataFrame(
        {index: _series(values) for index, values in enumerate(columns)},
        index=pandas.RangeIndex(len(rows)),
    )
    table.columns = pandas.Index(list(names), dtype=object)
    return table


def pictures(
    connection: Connection, outcome: Outcome, limit: int | None = None
) -> Iterator[Picture]:
    """Yield the pictures of an executed PRINT, read one at a time.

    Args:
        connection: Where the statement ran: its workspace says which files may be read.
        outcome: What ``session.run`` returned.
        limit: Most pictures to yield; the statement's own ``limit`` wins.

    Raises:
        ProgrammingError: The result has no such column.
    """
    options = outcome.print_options or PrintOptions()
    names = outcome.names or []
    column = _column(names, options.image_col)
    most = options.limit if options.limit is not None else limit
    for index, row in enumerate(outcome.rows[:most]):
        name, image, reason = _read(connection, row[column], options.base_dir)
        yield Picture(index, name, image, reason)


def thumbnail(image: Image, width_px: int = SHARP_WIDTH_PX) -> bytes:
    """Return an image as a JPEG file of at most this width.

    Args:
        image: An RGB picture; a narrower one keeps its size.
        width_px: Width in pixels, >= 1.
    """
    from PIL.Image import Resampling

    width = min(width_px, image.width, max(1, _TALLEST * width_px * image.width // image.height))
    if width < image.width:
        height = max(1, round(image.height * width / image.width))
        image = image.resize((width, height), Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return file.getvalue()


def cell(value: object) -> str:
    r"""Return a value as one line of text for a table in a terminal.

    Example:
        >>> [cell(value) for value in (0.31655998, 3, None, b"1234")]
        ['0.316560', '3', 'NULL', '<4 bytes>']
        >>> print(cell("a\nb\x07"))
        a\nb\x07
    """
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value):,} bytes>"
    if is_vector(value):
        numbers: Any = value
        head = ", ".join(f"{number:.3f}" for number in numbers[:3].tolist())
        return f"[{head}, … {len(numbers)}]" if len(numbers) > 3 else f"[{head}]"
    return visible(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def visible(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: control characters are escaped.

    A file's name may hold a sequence that renames the window, clears the screen, or turns the rest
    of the line around. Line feeds and tabs stay.

    Example:
        >>> print(visible("\x1b[2J\u202egpj.exe"))
        \x1b[2J\u202egpj.exe
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in "\n\t" or not (category(character) in _COMMANDS or character in _TURNS):
        return character
    return character.encode("unicode_escape").decode()


def is_vector(value: object) -> bool:
    """Return whether a fetched value is a vector; asks numpy of nothing that is not one."""
    return type(value).__name__ == "ndarray"


def _decimal(value: float) -> str:
    short = repr(value)
    if len(short) <= 8 or not 1e-4 <= abs(value) < 1e9:
        return short if len(short) <= 12 else f"{value:.6g}"
    return f"{value:.6f}"


def _series(values: Sequence[Any]) -> pandas.Series[Any]:
    import numpy as np
    import pandas

    known = [value for value in values if value is not None]
    column: pandas.Series[Any]
    if known and all(isinstance(value, (int, float)) for value in known):
        column = pandas.Series(list(values))
        return column
    # One by one into an array of objects: neither numpy nor pandas then looks into vectors, or
    # turns None into NaN among texts.
    objects = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        objects[index] = value
    column = pandas.Series(objects, dtype=object)
    return column


def _column(names: Sequence[str], wanted: str) -> int:
    lower = [name.lower() for name in names]
    if wanted.lower() in lower:
        return lower.index(wanted.lower())
    found = ", ".join(map(repr, names)) or "none"
    raise ProgrammingError(
        f"PRINT IMAGE shows the column {wanted!r}, and the query's columns are {found}; select"
        " that column, or name another with OPTIONS (image_col='…')"
    )


def _read(
    connection: Connection, value: Any, base_dir: str | None
) -> tuple[str, Image | None, str | None]:
    """Return a picture's name, and the picture or why it cannot be read."""
    if value is None:
        return "NULL", None, "the row has no image"
    name = f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)
    context = connection._context()
    try:
        if isinstance(value, str) and not is_url(value) and not value.startswith("file:"):
            if base_dir:
                value = name = str(Path(base_dir) / value)
            name = str(context.workspace.locate(value))
        return name, context.read_image(value), None
    except Error as error:
        return name, None, str(error)
