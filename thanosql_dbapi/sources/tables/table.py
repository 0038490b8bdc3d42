"""What every reader hands out: the columns of a table, their types, and its rows on demand."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from ...errors import SourceError, clip

Cell = Union[None, int, float, str, bytes]
Row = Sequence[Cell]

CHUNK_ROWS = 1024
"""Rows that a reader holds at a time."""

_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class Table:
    """A table that can be read as often as wanted, a row at a time.

    Attributes:
        columns: Names; no two are the same to SQLite, which ignores the case of ASCII letters.
        types: SQLite's declared type of each column: INTEGER, REAL, TEXT, BLOB or VECTOR(n).
            A value keeps its meaning under the column's affinity: ``007`` is in a TEXT column.
        rows: Starts a fresh iteration. Values are None, int, float, str or bytes. An open file
            belongs to the iterator: it is closed at the end, by ``close()``, or when the
            iterator is dropped. Where ``total`` is None it may raise RetypedError.
        total: Number of rows, or None when it is not known beforehand.

    Example:
        >>> Table(("id",), ("INTEGER",), lambda: iter([(1,), (2,)]), 2).columns
        ('id',)
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    total: int | None


class RetypedError(Exception):
    """A late row does not fit the types that the first rows had; what was read is to be dropped.

    Attributes:
        table: The same table with the types of all of its rows.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(f"the types are {', '.join(table.types)}")
        self.table = table


def check_columns(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the names as a tuple when SQLite can take them as columns of one table.

    Args:
        names: The names in their order.
        where: What has them, for the message: ``"file 'a.csv', line 1"``.

    Raises:
        SourceError: There is none, or one is empty, holds what SQLite cannot, or occurs twice.
    """
    columns = tuple(names)
    if not columns:
        raise SourceError(f"{where}: expected at least one column, got none")
    seen: dict[str, int] = {}
    for number, name in enumerate(columns, 1):
        if not name.strip():
            raise SourceError(
                f"{where}: column {number} of {len(columns)} has no name; give it one"
                " (pandas writes a nameless first column unless told index=False)"
            )
        if "\0" in name or not _is_encodable(name):
            raise SourceError(
                f"{where}: column {number} is named {clip(name)}, which SQLite cannot store;"
                " rename it"
            )
        first = seen.setdefault(name.translate(_FOLDED), number)
        if first != number:
            raise SourceError(
                f"{where}: columns {first} and {number} have the same name to SQLite,"
                f" {clip(columns[first - 1])} and {clip(name)}; rename one"
            )
    return columns


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
