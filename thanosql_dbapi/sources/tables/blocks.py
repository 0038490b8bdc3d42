"""CSV by pyarrow, wherever it is sure to say what the csv module says.

pyarrow reads several times faster, and in another thread while SQLite stores what was read before.
It is laxer, though. So it gets a block of rows only when each quote in it is where RFC 4180
wants one, and a value counts as a number only when the number is printed as that very text again.
All other content, and every error, is left to the csv module.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...openfile import OpenFile
from .files import open_binary, reading
from .numerals import MisfitError, decimals
from .table import Cell
from .values import LARGEST_EXACT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 20
_LONGEST_ROW_BYTES = 64 << 20
_MARK = b"\xef\xbb\xbf"


class UnsureError(Exception):
    """What follows is for the csv module to read."""


def is_available() -> bool:
    """Return whether pyarrow can be imported."""
    try:
        import_module("pyarrow.csv")
    except ImportError:
        return False
    return True


def read_columns(
    opened: OpenFile, delimiter: str, kinds: Sequence[str]
) -> Generator[list[list[Cell]], None, None]:
    """Yield the columns of some rows at a time, without the header.

    Args:
        opened: The file.
        delimiter: What separates fields.
        kinds: INTEGER, REAL or TEXT for each column, or ``""`` for one with nothing in it.

    Raises:
        MisfitError: A value is not of its column's kind.
        UnsureError: The rows after those yielded are for the csv module.
        SourceError: The file cannot be read.
    """
    with (
        closing(_arrays(opened, delimiter, kinds)) as source,
        ThreadPoolExecutor(1, "thanosql-copy") as worker,
    ):
        pending = worker.submit(next, source, None)
        while (arrays := pending.result()) is not None:
            pending = worker.submit(next, source, None)
            yield [_cells(array) for array in arrays]


def _arrays(
    opened: OpenFile, delimiter: str, kinds: Sequence[str]
) -> Generator[list[Any], None, None]:
    """Yield the columns of a block as Arrow arrays of their kinds."""
    header_rows = 1
    with closing(_blocks(opened, delimiter)) as blocks:
        for block in blocks:
            columns = _parse(block, delimiter, len(kinds), header_rows)
            header_rows = 0
            yield [_fitted(column, kind) for column, kind in zip(columns, kinds, strict=True)]


def _blocks(opened: OpenFile, delimiter: str) -> Generator[bytes, None, None]:
    """Yield the bytes of whole rows that both readers take for the same rows."""
    with reading(opened), open_binary(opened) as file:
        rest = file.read(len(_MARK)).removeprefix(_MARK)
        while data := file.read(_BLOCK_BYTES):
            rest += data
            end = _end_of_rows(rest, delimiter)
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > _LONGEST_ROW_BYTES:
                raise UnsureError
        if rest:
            _end_of_rows(rest + b"\n", delimiter, is_last=True)
            yield rest


def _end_of_rows(block: bytes, delimiter: str, *, is_last: bool = False) -> int:
    """Return where the last whole row ends, having looked at every quote before.

    Raises:
        UnsureError: A quote is neither around a field nor doubled within one; or there is a
            return without a line feed, a NUL, or a blank first line.
    """
    import numpy as np

    data = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(data == ord('"'))
    line_ends = np.flatnonzero(data == ord("\n"))
    row_ends = line_ends[np.searchsorted(quotes, line_ends) % 2 == 0]
    end = int(row_ends[-1]) + 1 if len(row_ends) else 0
    if is_last and end != len(block):
        raise UnsureError
    quotes = quotes[quotes < end]
    bordering = np.zeros(256, bool)
    bordering[[ord(delimiter), ord("\n"), ord("\r"), ord('"')]] = True
    opening, closing_ = quotes[::2], quotes[1::2]
    if (
        not bordering[data[opening[opening > 0] - 1]].all()
        or not bordering[data[closing_ + 1]].all()
    ):
        raise UnsureError
    rows = block[:end]
    if b"\0" in rows or rows[:1] in (b"\r", b"\n") or _has_lone_return(rows):
        raise UnsureError
    return end


def _has_lone_return(rows: bytes) -> bool:
    return b"\r" in rows and rows.count(b"\r") != rows.count(b"\r\n")


def _parse(block: bytes, delimiter: str, width: int, header_rows: int) -> list[Any]:
    """Return the fields of a block as one string array a column, empty ones null."""
    pa, csv = import_module("pyarrow"), import_module("pyarrow.csv")
    names = [str(number) for number in range(width)]
    try:
        table = csv.read_csv(
            pa.py_buffer(block),
            csv.ReadOptions(
                use_threads=False,
                block_size=len(block) + 1,
                column_names=names,
                skip_rows_after_names=header_rows,
            ),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:  # rows of several lengths, no UTF-8
        raise UnsureError from error
    return [column.combine_chunks() for column in table.columns]


def _fitted(texts: Any, kind: str) -> Any:
    """Return an array of the kind that says the same as the texts.

    Raises:
        MisfitError: There is none.
    """
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    if kind == "TEXT":
        return texts
    if texts.null_count == len(texts):
        return texts
    if not kind:
        raise MisfitError
    try:
        numbers = compute.cast(texts, pa.int64() if kind == "INTEGER" else pa.float64())
    except pa.ArrowInvalid:
        raise MisfitError from None
    is_same = compute.equal(compute.cast(numbers, pa.string()), texts)
    if kind == "INTEGER":
        if not compute.all(is_same).as_py():
            raise MisfitError
        return numbers
    is_sure = compute.and_(is_same, compute.less_equal(compute.abs(numbers), LARGEST_EXACT))
    if not compute.all(is_sure).as_py():
        # 1.50, or 1e-05: printed otherwise, and perhaps a number all the same.
        decimals(compute.filter(texts, compute.invert(is_sure)).to_pylist())
    return numbers


def _cells(array: Any) -> list[Cell]:
    """Return an array as Python values, in the quickest way there is."""
    if str(array.type) == "string":
        cells: list[Cell] = array.to_numpy(zero_copy_only=False).tolist()
        return cells
    nulls: NDArray[np.intp] = array.is_null().to_numpy(zero_copy_only=False).nonzero()[0]
    cells = array.fill_null(0).to_numpy().tolist()
    for index in nulls.tolist():
        cells[index] = None
    return cells
