"""Data frames that the caller bound: pandas, polars, and Arrow tables. None of them is imported."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ...errors import ProgrammingError, clip
from .arrow import arrow_table
from .table import CHUNK_ROWS, Table, check_columns
from .values import Chunk, Chunks, infer, rows


def frame_table(frame: object) -> Table:
    """Return the rows of a data frame.

    NaN, NaT and NA are NULL, times ISO text as ``pandas.to_sql`` writes it, bytes BLOBs. A column
    whose values are number arrays or lists of floats, all of one length, is a vector column of
    float32 BLOBs, ``VECTOR(n)``; other lists and dicts become JSON text. An index is left out
    unless it has a name.

    Args:
        frame: A ``pandas.DataFrame``, ``polars.DataFrame`` or ``pyarrow.Table``.

    Raises:
        ProgrammingError: It is none of these.
        SourceError: A column has no name, or two have the same.
        DataError: A value has no counterpart in SQLite.
    """
    if _is_a(frame, "pandas", "DataFrame"):
        return _pandas_table(frame)
    if _is_a(frame, "polars", "DataFrame"):
        return _polars_table(frame)
    if _is_a(frame, "pyarrow", "Table"):
        return arrow_table(frame)
    raise ProgrammingError(
        "expected a pandas DataFrame, a polars DataFrame or a pyarrow Table, got"
        f" {type(frame).__name__}: {clip(frame)}"
    )


def _pandas_table(frame: Any) -> Table:
    index = frame.index
    named = [number for number, name in enumerate(index.names) if name is not None]
    names = [str(index.names[number]) for number in named] + [str(name) for name in frame.columns]
    columns = check_columns(names, "DataFrame")

    def chunks() -> Generator[Chunk, None, None]:
        for start in range(0, len(frame), CHUNK_ROWS):
            part = frame.iloc[start : start + CHUNK_ROWS]
            levels = [part.index.get_level_values(number).tolist() for number in named]
            yield levels + [part.iloc[:, at].tolist() for at in range(part.shape[1])]

    return _frame_table(columns, chunks)


def _polars_table(frame: Any) -> Table:
    columns = check_columns(frame.columns, "DataFrame")

    def chunks() -> Generator[Chunk, None, None]:
        for part in frame.iter_slices(CHUNK_ROWS):
            yield [part[name].to_list() for name in frame.columns]

    return _frame_table(columns, chunks)


def _frame_table(columns: tuple[str, ...], chunks: Chunks) -> Table:
    types, total = infer(columns, chunks, vectors=True)
    return Table(columns, types, lambda: rows(columns, types, chunks), total)


def _is_a(value: object, package: str, name: str) -> bool:
    """Return whether a value is of a class of a package, or of a subclass of it."""
    return any(
        each.__name__ == name and each.__module__.partition(".")[0] == package
        for each in type(value).__mro__
    )
