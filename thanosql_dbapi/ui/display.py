"""How results look: data frames, values as text. Nothing here runs a statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    import pandas

# Of a frame of more rows than the one, a notebook shows the other.
_WHOLE_ROWS, _HEAD_ROWS = 10, 5
# Control characters, halves of characters, separators of lines and paragraphs.
_COMMANDS = ("Cc", "Cs", "Zl", "Zp")
# What changes the direction of the letters after it.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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


def headed(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return a data frame, of which a notebook shows the first rows and how many there are.

    A frame of up to ten rows is shown whole. What is made of the frame is shown as usual.
    """
    if len(frame) <= _WHOLE_ROWS:
        return frame
    head = frame.head(_HEAD_ROWS)
    rest = f"the first {_HEAD_ROWS} of {len(frame):,} rows × {frame.shape[1]} columns"

    def show(**_: Any) -> dict[str, str]:
        html: Callable[[], str | None] = getattr(head, "_repr_html_")  # noqa: B009
        shown = {"text/plain": f"{head}\n\n{rest}"}
        if made := html():  # None where pandas is told to show no HTML
            shown["text/html"] = f"{made}<p>{rest}</p>"
        return shown

    # IPython asks the object itself. pandas copies the attribute to no other frame.
    object.__setattr__(frame, "_repr_mimebundle_", show)
    return frame


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
