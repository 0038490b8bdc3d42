"""Excel workbooks, by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import islice

from ...errors import SourceError, clip
from ...openfile import OpenFile
from .files import describe, reading, require
from .table import CHUNK_ROWS, Table, check_columns
from .values import Chunk, infer, rows

Line = tuple[int, Sequence[object]]


def workbook_table(opened: OpenFile) -> Table:
    """Return the table on the first worksheet of a workbook.

    The first row that is not empty has the names. Empty rows are left out; a cell that is empty
    or shows an error such as ``#N/A`` is NULL; a formula is the value that Excel stored for it.

    Args:
        opened: An .xlsx or .xlsm file.

    Raises:
        NotSupportedError: openpyxl is not installed.
        SourceError: The file is not a workbook, or is empty; a column with values has no name, or
            two have the same name.
    """
    with closing(_lines(opened)) as lines:
        header = next(lines, None)
    if header is None:
        raise SourceError(f"{describe(opened)}: expected column names in the first row, got no row")
    names = ["" if value is None else str(value) for value in header[1]]
    columns = check_columns(names, f"{describe(opened)}, row {header[0]}")

    def chunks() -> Generator[Chunk, None, None]:
        with closing(_lines(opened)) as lines:
            next(lines, None)
            while part := list(islice(lines, CHUNK_ROWS)):
                padded = [_pad(line, len(columns), opened) for line in part]
                yield list(zip(*padded, strict=True))

    types, total = infer(columns, chunks, vectors=False)
    return Table(columns, types, lambda: rows(columns, types, chunks), total)


def _lines(opened: OpenFile) -> Generator[Line, None, None]:
    """Yield the number and the values of each row, without its empty end; no empty rows."""
    openpyxl = require("openpyxl", f"reading {describe(opened)}")
    errors = frozenset(require("openpyxl.cell.cell", f"reading {describe(opened)}").ERROR_CODES)
    with reading(opened), opened.reader() as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as error:
            raise SourceError(
                f"{describe(opened)}: expected an Excel workbook, got a damaged, encrypted or other"
                f" file ({error}); save it again as .xlsx without a password"
            ) from error
        with closing(book):
            if not book.worksheets:
                raise SourceError(f"{describe(opened)}: expected a worksheet, got none")
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write wrong ones, and rows would be missing
            with closing(sheet.iter_rows(values_only=True)) as found:
                for number, row in enumerate(found, 1):
                    values = [None if value in errors else value for value in row]
                    while values and values[-1] is None:
                        values.pop()
                    if values:
                        yield number, values


def _pad(line: Line, width: int, opened: OpenFile) -> list[object]:
    number, values = line
    if len(values) > width:
        raise SourceError(
            f"{describe(opened)}, row {number}: expected {width} values as in the header, got"
            f" {len(values)}: {clip(values[width])} is in a column without a name; name it"
        )
    return [*values, *[None] * (width - len(values))]
