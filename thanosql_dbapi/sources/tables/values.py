"""Python values as SQLite values, and the declared type that fits all values of a column.

For sources whose values have types of their own: JSON, workbooks, Parquet, data frames. The
readers hand over *chunks*: for some rows at a time, one sequence of values a column.
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from ...errors import DataError, clip
from .table import Cell, Row

Chunk = Sequence[Sequence[object]]
Chunks = Callable[[], Generator[Chunk, None, None]]

SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1
LARGEST_EXACT = 2**53
"""Up to here, every integer is a float64 too."""

_BYTES = (bytes, bytearray, memoryview)
_TEMPORAL = (datetime.date, datetime.time)
_NESTED = (list, tuple, dict, set, frozenset)
_PRINTED = (uuid.UUID, datetime.timedelta)


class Inference:
    """Finds the declared type of one column from all of its values.

    Args:
        name: The column, for messages.
        vectors: Whether a column of equally long number arrays is a vector column; else arrays
            are JSON text.
    """

    def __init__(self, name: str, *, vectors: bool) -> None:
        self.name = name
        self._found: set[type] = set()
        self._exact = True
        self._lengths: set[int] | None = set() if vectors else None

    def see(self, values: Sequence[object]) -> None:
        """Take in some values of the column."""
        if self._lengths is not None:
            self._lengths |= {_vector_length(value) for value in values if not _is_null(value)}
            if len(self._lengths) <= 1 and 0 not in self._lengths:
                return
            if self._lengths - {0}:
                self._found.add(str)  # the vectors before this value become JSON text
            self._lengths = None
        plain = cells(values, self.name)
        found = set(map(type, plain))
        if int in found:
            self._exact &= all(
                -LARGEST_EXACT <= cell <= LARGEST_EXACT for cell in plain if type(cell) is int
            )
        self._found |= found

    def declared(self) -> str:
        """Return the type under whose affinity every value seen keeps its meaning."""
        if self._lengths:
            return f"VECTOR({max(self._lengths)})"
        if bytes in self._found:
            return "BLOB"  # no affinity: numbers and texts among the bytes stay as they are
        if str in self._found:
            return "TEXT"
        if float in self._found:
            return "REAL" if self._exact else "TEXT"
        return "INTEGER" if int in self._found else "TEXT"


def infer(names: Sequence[str], chunks: Chunks, *, vectors: bool) -> tuple[tuple[str, ...], int]:
    """Read all chunks once; return the declared type of each column and the number of rows."""
    columns = [Inference(name, vectors=vectors) for name in names]
    total = 0
    with closing(chunks()) as each:
        for chunk in each:
            total += len(chunk[0])
            for column, values in zip(columns, chunk, strict=True):
                column.see(values)
    return tuple(column.declared() for column in columns), total


def rows(names: Sequence[str], types: Sequence[str], chunks: Chunks) -> Iterator[Row]:
    """Yield the rows of the chunks, each value as its column's declared type has it."""
    with closing(chunks()) as each:
        for chunk in each:
            columns = map(_declared_cells, chunk, types, names)
            yield from zip(*columns, strict=True)


def cells(values: Sequence[object], name: str) -> list[Cell]:
    """Return values as SQLite takes them.

    Args:
        values: Some values of one column, of any Python types.
        name: The column, for messages.

    Raises:
        DataError: A value is of a type that has no counterpart in SQLite.
    """
    kinds = set(map(type, values)) - {type(None)}
    known: list[Any] = list(values)
    if not kinds or kinds == {bytes}:
        return known
    if kinds == {float}:
        return [None if value is None or value != value else value for value in known]
    if kinds == {str}:
        try:
            "".join(value for value in known if value is not None).encode()
        except UnicodeEncodeError:
            pass
        else:
            return known
    try:
        return [_cell(value) for value in values]
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"column {clip(name)}: {error}") from error


def _declared_cells(values: Sequence[object], declared: str, name: str) -> Sequence[Cell]:
    if declared.startswith("VECTOR"):
        return [_vector(value) for value in values]
    plain = cells(values, name)
    if declared == "REAL":
        return [float(cell) if type(cell) is int else cell for cell in plain]
    if declared == "TEXT":
        return [cell if cell is None or type(cell) is str else str(cell) for cell in plain]
    return plain


def _cell(value: Any) -> Cell:
    """Return one value as SQLite takes it; ``cells`` has the common types first."""
    if isinstance(value, str):
        return _encodable(str(value))
    if _is_null(value):
        return None
    if isinstance(value, int):
        number = int(value)
        return number if SMALLEST_INTEGER <= number <= LARGEST_INTEGER else str(number)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, _BYTES):
        return bytes(value)
    if isinstance(value, Mapping) and set(value) == {"bytes", "path"}:
        # An image as Hugging Face data sets keep it in Parquet: the file itself, or its path.
        return _cell(value["path"] if value["bytes"] is None else value["bytes"])
    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    text = _printed(value)
    if text is not None:
        return text
    if isinstance(value, _NESTED) or _is_numpy(value):
        plain = _plain(value)
        if not isinstance(plain, (list, dict)):
            return _cell(plain)
        return _encodable(json.dumps(plain, ensure_ascii=False))
    raise TypeError(
        f"cannot store {clip(value)}, of type {type(value).__name__}; turn it into a number, text,"
        " bytes, date, list or dict first"
    )


def _printed(value: Any) -> str | None:
    """Return the text of a value that SQLite keeps as text, None for a value of another kind."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")  # as pandas.to_sql and sqlite3's adapter write it
    if isinstance(value, _TEMPORAL):
        return value.isoformat()
    if isinstance(value, _PRINTED):
        return str(value)
    if isinstance(value, os.PathLike):
        return _encodable(str(value))
    root = type(value).__module__.partition(".")[0]
    if root == "pandas":  # Period, Interval
        return str(value)
    if root == "numpy" and getattr(value, "dtype", None) is not None and value.dtype.kind in "mM":
        return None if value.ndim else str(value).replace("T", " ")
    return None


def _plain(value: Any) -> Any:
    """Return a nested value as the json module takes it, NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(each) for each in value), key=repr)
    if _is_numpy(value) and value.dtype.kind not in "mM":
        return _plain(value.tolist())
    if _is_numpy(value) and value.ndim:
        return [_plain(each) for each in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, _BYTES):
        return bytes(value).hex()
    if isinstance(value, int):
        return int(value)
    return _cell(value)


def _decimal(value: decimal.Decimal) -> Cell:
    """Return the number when a float64 says the same, else its text."""
    if not value.is_finite():
        return float(value)
    if value.as_tuple().exponent == 0:  # 3.00 is not an integer: 3.00 / 2 must be 1.5
        return _cell(int(value))
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _is_null(value: Any) -> bool:
    """Return whether a value means that there is none: None, NaN, NaT, pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (float, decimal.Decimal)):
        return value != value
    return _is_numpy(value) and value.ndim == 0 and bool(value != value)


def _is_numpy(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "ndim")


def _encodable(text: str) -> str:
    """Put U+FFFD for the halves of surrogate pairs, which no UTF-8 text can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _vector_length(value: object) -> int:
    """Return the length of a vector, 0 for a value that is none."""
    blob = _vector(value)
    return len(blob) // 4 if blob else 0


def _vector(value: Any) -> bytes | None:
    """Return the float32 BLOB of an array or list of numbers, None for any other value."""
    if isinstance(value, (list, tuple)):
        if set(map(type, value)) != {float}:
            return None
    elif not _is_numpy(value):
        return None
    import numpy as np

    array = np.asarray(value)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "fiu":
        return None
    with np.errstate(over="ignore"):
        vector = array.astype("<f4")
    if not np.array_equal(np.isfinite(vector), np.isfinite(array)):
        return None  # beyond float32
    return vector.tobytes()
