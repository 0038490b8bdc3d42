"""CSV and TSV files, by RFC 4180 and the standard csv module.

The type of each column comes from all of its values. A short file is read twice, for the types and
for the rows. A long one is read once: its first rows say what the types are likely to be, and if
later ones say otherwise, reading it starts again. Neither holds more than a chunk of rows.

Source: https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice

from ...errors import SourceError, clip
from ...openfile import OpenFile
from . import blocks
from .files import describe, open_text, reading
from .numerals import MisfitError, decimals, integers
from .table import Cell, RetypedError, Row, Table, check_columns
from .values import LARGEST_EXACT

_CHUNK_ROWS = 500
"""Fewer lists than Python's garbage collector lets pass before it looks at them: a quarter of
the time went there."""
_SHORT_BYTES = 4 << 20
_SAMPLE_ROWS = 10_000


def delimited_table(opened: OpenFile, delimiter: str | None) -> Table:
    """Return the table in a CSV or TSV file.

    The first line has the names. An empty field is NULL, quoted or not. A column is INTEGER when
    every text in it is what Python prints for a 64-bit integer, REAL when each is a decimal
    number that a float64 prints back digit for digit, else TEXT: ``007`` and ``+5`` stay as they
    are written.

    Args:
        opened: The file.
        delimiter: What separates fields; None is a comma, or a semicolon when the header has
            semicolons and no comma.

    Raises:
        SourceError: The file is not UTF-8, empty, or damaged; a row has more or fewer fields
            than the header; a name is empty or occurs twice.
    """
    with reading(opened):
        separator = delimiter or _sniff(opened)
        is_short = opened.size <= _SHORT_BYTES
    return _table(opened, separator, None if is_short else _SAMPLE_ROWS)


def _table(opened: OpenFile, delimiter: str, sample_rows: int | None) -> Table:
    """Return the table, its types taken from all rows, or from the first ones only."""
    columns: tuple[str, ...] = ()
    guesses: list[_Guess] = []
    total, is_whole = 0, True
    with closing(_chunks(opened, delimiter)) as chunks:
        for rows in chunks:
            if not columns:
                columns = check_columns(rows[0], f"{describe(opened)}, line 1")
                guesses = [_Guess() for _ in columns]
                continue
            if sample_rows is not None and total >= sample_rows:
                is_whole = False
                break
            total += len(rows)
            for guess, values in zip(guesses, zip(*rows, strict=True), strict=True):
                guess.see(values)
    if not columns:
        raise SourceError(f"{describe(opened)} is empty; expected a line with the column names")
    kinds = [guess.kind for guess in guesses]
    types = tuple(kind or "TEXT" for kind in kinds)  # a column with nothing in it is TEXT
    return Table(
        columns,
        types,
        lambda: _rows(opened, delimiter, kinds, is_certain=is_whole),
        total if is_whole else None,
    )


def _rows(
    opened: OpenFile, delimiter: str, kinds: Sequence[str], *, is_certain: bool
) -> Iterator[Row]:
    """Yield the rows, each value of its column's kind.

    Raises:
        RetypedError: The kinds were those of the first rows, and a later one has others.
        SourceError: They were those of all rows, and the file is another one now.
    """
    try:
        for columns in _columns(opened, delimiter, kinds):
            yield from zip(*columns, strict=True)
    except MisfitError:
        if is_certain:
            raise _changed(opened) from None
        raise RetypedError(_table(opened, delimiter, None)) from None


def _columns(
    opened: OpenFile, delimiter: str, kinds: Sequence[str]
) -> Generator[Sequence[Sequence[Cell]], None, None]:
    """Yield the columns of some rows at a time, by pyarrow as far as it is sure of them."""
    done = 0
    with reading(opened):
        is_quick = opened.size > _SHORT_BYTES and blocks.is_available()
    if is_quick:
        try:
            with closing(blocks.read_columns(opened, delimiter, kinds)) as found:
                for columns in found:
                    yield columns
                    done += len(columns[0])
            return
        except blocks.UnsureError:
            pass
    with closing(_chunks(opened, delimiter)) as chunks:
        next(chunks, None)
        for rows in chunks:
            skipped = min(done, len(rows))
            done -= skipped
            if len(rows[0]) != len(kinds):
                raise _changed(opened)
            if rows := rows[skipped:]:
                yield [_fitted(*pair) for pair in zip(zip(*rows, strict=True), kinds, strict=True)]


def _fitted(texts: Sequence[str], kind: str) -> Sequence[Cell]:
    """Return texts as cells of a kind, empty ones as None.

    Raises:
        MisfitError: They are not of that kind.
    """
    if kind == "TEXT":
        return [text or None for text in texts]
    filled = list(filter(None, texts))
    if filled and not kind:
        raise MisfitError
    numbers = integers(filled) if kind == "INTEGER" else decimals(filled)
    if len(filled) == len(texts):
        return numbers
    each = iter(numbers)
    return [next(each) if text else None for text in texts]


def _chunks(opened: OpenFile, delimiter: str) -> Generator[list[list[str]], None, None]:
    """Yield the header alone, then lists of rows; every row is as long as the header."""
    with reading(opened), open_text(opened) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        width = 0
        while True:
            with _huge_fields():
                try:
                    taken = list(islice(reader, _CHUNK_ROWS if width else 1))
                except csv.Error as error:
                    raise _fault(opened, delimiter) from error
            if not taken:
                return
            rows = list(filter(None, taken))  # a blank line is not a row
            if not rows:
                continue
            width = width or len(rows[0])
            if set(map(len, rows)) != {width}:
                raise _fault(opened, delimiter)
            yield rows


def _fault(opened: OpenFile, delimiter: str) -> SourceError:
    """Read a faulty file again, a row at a time, and say on which line its first fault is."""
    width = line = 0
    with open_text(opened) as file, _huge_fields():
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                width = width or len(row)
                if row and len(row) != width:
                    return _ragged(opened, line + 1, delimiter, width, row)
                line = reader.line_num
        except csv.Error as error:
            return SourceError(
                f"{describe(opened)}, row starting on line {line + 1}: expected fields as RFC 4180"
                f" has them, got {error}; close each quote, and double a quote inside quotes"
            )
    return _changed(opened)


def _changed(opened: OpenFile) -> SourceError:
    return SourceError(f"{describe(opened)} changed while it was read; run the statement again")


def _ragged(
    opened: OpenFile, line: int, delimiter: str, width: int, row: Sequence[str]
) -> SourceError:
    return SourceError(
        f"{describe(opened)}, line {line}: expected {width} fields separated by {delimiter!r} as in"
        f" the header, got {len(row)}: {clip(list(row))}; quote a field that contains"
        f" {delimiter!r} or a line end"
    )


def _sniff(opened: OpenFile) -> str:
    """Return a semicolon when nothing else separates the header, and the next row is like it."""
    with open_text(opened) as file, _huge_fields():
        try:
            head = list(islice(filter(None, csv.reader(file, delimiter=";")), 2))
        except csv.Error:
            return ","
    if not head or len(head[0]) == 1 or len(head[0]) != len(head[-1]):
        return ","
    return "," if any("," in name or "\t" in name for name in head[0]) else ";"


class _Guess:
    """Narrows down the kind of one column; once TEXT, its values are not looked at again.

    Attributes:
        kind: INTEGER, REAL or TEXT, or ``""`` as long as nothing was in it.
    """

    def __init__(self) -> None:
        self.kind = ""
        self._is_exact = True

    def see(self, texts: Sequence[str]) -> None:
        """Take in some values of the column."""
        if self.kind == "TEXT":
            return
        filled = list(filter(None, texts))
        if filled:
            self.kind = self._narrowed(filled)

    def _narrowed(self, texts: list[str]) -> str:
        if self.kind != "REAL":
            try:
                numbers = integers(texts)
            except MisfitError:
                pass
            else:
                self._is_exact &= -LARGEST_EXACT <= min(numbers) <= max(numbers) <= LARGEST_EXACT
                return "INTEGER"
        try:
            decimals(texts)
        except MisfitError:
            return "TEXT"
        return "REAL" if self._is_exact else "TEXT"


class _FieldLimit:
    """The csv module's limit on the length of a field, which is one for the whole process."""

    lock = threading.Lock()
    users = 0
    before = 0


@contextmanager
def _huge_fields() -> Iterator[None]:
    """Lift the csv module's limit while rows are read, and put it back afterwards.

    Readers in several threads may overlap: the first lifts it, the last puts it back.
    """
    with _FieldLimit.lock:
        if not _FieldLimit.users:
            _FieldLimit.before = csv.field_size_limit(2**31 - 1)  # a C long on Windows
        _FieldLimit.users += 1
    try:
        yield
    finally:
        with _FieldLimit.lock:
            _FieldLimit.users -= 1
            if not _FieldLimit.users:
                csv.field_size_limit(_FieldLimit.before)
