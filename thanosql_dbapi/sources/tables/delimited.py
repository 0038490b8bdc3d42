"""CSV and TSV files, by RFC 4180 and the standard csv module.

A file is read twice: once to learn the type of each column from all of its values, and once for
the rows. Neither holds more than a chunk of rows.

Source: https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import csv
import math
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from ...errors import SourceError, clip
from .files import describe, open_text, reading
from .table import CHUNK_ROWS, Cell, Row, Table, check_columns
from .values import LARGEST_EXACT, LARGEST_INTEGER, SMALLEST_INTEGER

_DECIMAL = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?|[eE][+-][0-9]{1,3})?"
)
_SAFE_LENGTH = 15
"""So many characters hold at most 15 digits, which a float64 keeps."""
_LONGEST_NUMBER = 40
"""Texts with more digits than this are no numbers that a program printed."""


def delimited_table(path: Path, delimiter: str | None) -> Table:
    """Return the table in a CSV or TSV file.

    The first line has the names. An empty field is NULL, quoted or not. A column is INTEGER when
    every text in it is what Python prints for a 64-bit integer, REAL when each is a decimal
    number that a float64 prints back digit for digit, else TEXT: ``007`` and ``+5`` stay as they
    are written.

    Args:
        path: The file, which exists.
        delimiter: What separates fields; None is a comma, or a semicolon when the header has
            semicolons and no comma.

    Raises:
        SourceError: The file is not UTF-8, empty, or damaged; a row has more or fewer fields
            than the header; a name is empty or occurs twice.
    """
    with reading(path):
        separator = delimiter or _sniff(path)
    columns: tuple[str, ...] = ()
    guesses: list[_Guess] = []
    total = 0
    with closing(_chunks(path, separator)) as chunks:
        for rows in chunks:
            if not columns:
                columns = check_columns(rows[0], f"{describe(path)}, line 1")
                guesses = [_Guess() for _ in columns]
                continue
            total += len(rows)
            for guess, values in zip(guesses, zip(*rows, strict=True), strict=True):
                guess.see(values)
    if not columns:
        raise SourceError(f"{describe(path)} is empty; expected a line with the column names")
    types = tuple(guess.declared for guess in guesses)
    return Table(columns, types, lambda: _rows(path, separator, types), total)


def _rows(path: Path, delimiter: str, types: Sequence[str]) -> Iterator[Row]:
    with closing(_chunks(path, delimiter)) as chunks:
        next(chunks, None)
        for rows in chunks:
            try:
                pairs = zip(zip(*rows, strict=True), types, strict=True)
                columns = [_cells(values, declared) for values, declared in pairs]
            except ValueError as error:
                raise _changed(path) from error
            yield from zip(*columns, strict=True)


def _cells(values: Sequence[str], declared: str) -> list[Cell]:
    if declared == "INTEGER":
        return [int(value) if value else None for value in values]
    if declared == "REAL":
        return [float(value) if value else None for value in values]
    return [value or None for value in values]


def _chunks(path: Path, delimiter: str) -> Generator[list[list[str]], None, None]:
    """Yield the header alone, then lists of rows; every row is as long as the header."""
    with reading(path), open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        width = 0
        while True:
            with _huge_fields():
                try:
                    taken = list(islice(reader, CHUNK_ROWS if width else 1))
                except csv.Error as error:
                    raise _fault(path, delimiter) from error
            if not taken:
                return
            rows = list(filter(None, taken))  # a blank line is no row
            if not rows:
                continue
            width = width or len(rows[0])
            if set(map(len, rows)) != {width}:
                raise _fault(path, delimiter)
            yield rows


def _fault(path: Path, delimiter: str) -> SourceError:
    """Read a faulty file again, a row at a time, and say on which line its first fault is."""
    width = line = 0
    with open_text(path) as file, _huge_fields():
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                width = width or len(row)
                if row and len(row) != width:
                    return _ragged(path, line + 1, delimiter, width, row)
                line = reader.line_num
        except csv.Error as error:
            return SourceError(
                f"{describe(path)}, row starting on line {line + 1}: expected fields as RFC 4180"
                f" has them, got {error}; close each quote, and double a quote inside quotes"
            )
    return _changed(path)


def _changed(path: Path) -> SourceError:
    return SourceError(f"{describe(path)} changed while it was read; run the statement again")


def _ragged(path: Path, line: int, delimiter: str, width: int, row: Sequence[str]) -> SourceError:
    return SourceError(
        f"{describe(path)}, line {line}: expected {width} fields separated by {delimiter!r} as in"
        f" the header, got {len(row)}: {clip(list(row))}; quote a field that contains"
        f" {delimiter!r} or a line end"
    )


def _sniff(path: Path) -> str:
    """Return a semicolon when nothing else separates the header, and the next row is like it."""
    with open_text(path) as file, _huge_fields():
        try:
            head = list(islice(filter(None, csv.reader(file, delimiter=";")), 2))
        except csv.Error:
            return ","
    if not head or len(head[0]) == 1 or len(head[0]) != len(head[-1]):
        return ","
    return "," if any("," in name or "\t" in name for name in head[0]) else ";"


class _Guess:
    """Narrows down the type of one column; once TEXT, its values are not looked at again."""

    def __init__(self) -> None:
        self._type = ""
        self._exact = True

    @property
    def declared(self) -> str:
        """The type so far; a column with nothing in it is TEXT."""
        return self._type or "TEXT"

    def see(self, values: Sequence[str]) -> None:
        """Take in some values of the column."""
        if self._type == "TEXT":
            return
        filled = list(filter(None, values))
        if not filled or (self._type != "REAL" and self._are_integers(filled)):
            return
        self._type = "REAL" if self._exact and _are_decimals(filled) else "TEXT"

    def _are_integers(self, texts: list[str]) -> bool:
        try:
            numbers = list(map(int, texts))
        except ValueError:
            return False
        smallest, largest = min(numbers), max(numbers)
        if smallest < SMALLEST_INTEGER or largest > LARGEST_INTEGER:
            return False
        if list(map(str, numbers)) != texts:
            return False
        self._type = "INTEGER"
        self._exact &= smallest >= -LARGEST_EXACT and largest <= LARGEST_EXACT
        return True


def _are_decimals(texts: list[str]) -> bool:
    try:
        numbers = list(map(float, texts))
    except ValueError:
        return False
    if not all(map(math.isfinite, numbers)):
        return False
    shown = list(map(repr, numbers))
    if shown == texts:
        return True  # what Python prints is exact, and the quickest to check
    return all(_is_decimal(text) for text, own in zip(texts, shown, strict=True) if text != own)


def _is_decimal(text: str) -> bool:
    """Return whether a float64 holds a decimal number so that it prints the same digits again."""
    if _DECIMAL.fullmatch(text) is None:
        return False
    if len(text) <= _SAFE_LENGTH and "e" not in text and "E" not in text:
        return True
    mantissa, exponent, _ = text.lower().partition("e")
    digits = _digits(mantissa.lstrip("-")).lstrip("0")
    if not digits:
        return True
    if len(digits) > _LONGEST_NUMBER:
        return False
    if "." not in mantissa and not exponent and abs(int(text)) > LARGEST_INTEGER:
        return False  # an id too long for an integer stays text
    number = abs(float(text))
    # The shortest form of a float64 need not be its nearest one of that length: 2 ** -24.
    return digits == _digits(f"{number:.{len(digits) - 1}e}") or (
        digits.rstrip("0") == _digits(repr(number)).strip("0")
    )


def _digits(number: str) -> str:
    return number.partition("e")[0].replace(".", "")


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
