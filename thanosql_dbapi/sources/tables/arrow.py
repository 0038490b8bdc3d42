"""Parquet files and Arrow tables, by pyarrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from ...errors import SourceError
from ...openfile import OpenFile
from .files import describe, reading, require
from .table import CHUNK_ROWS, Table, check_columns
from .values import Chunk, Chunks, infer, rows

Batches = Callable[[Sequence[str]], Generator[Any, None, None]]
"""Reads the named columns, a record batch at a time."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_TYPES = {
    "bool": "INTEGER",
    **{f"{sign}int{bits}": "INTEGER" for sign in ("", "u") for bits in (8, 16, 32)},
    "int64": "INTEGER",
    **dict.fromkeys(("halffloat", "float", "double"), "REAL"),
    **dict.fromkeys(("string", "large_string", "string_view"), "TEXT"),
    **dict.fromkeys(("binary", "large_binary", "binary_view"), "BLOB"),
}
"""Arrow types whose values need no look; uint64, decimals and nested ones do."""


def parquet_table(opened: OpenFile) -> Table:
    """Return the table in a Parquet file, read a batch at a time.

    A column of equally long lists of floats is a vector column; other lists and structures
    become JSON text. An index without a name that pandas stored is left out.

    Args:
        opened: The file.

    Raises:
        NotSupportedError: pyarrow is not installed.
        SourceError: The file is not Parquet, or is damaged.
    """
    parquet = require("pyarrow.parquet", f"reading {describe(opened)}")

    def batches(names: Sequence[str]) -> Generator[Any, None, None]:
        with reading(opened), opened.reader() as file:
            try:
                with parquet.ParquetFile(file) as source:
                    yield from source.iter_batches(CHUNK_ROWS, columns=list(names))
            except (ValueError, OSError) as error:
                raise _damaged(opened, error) from error

    try:
        with opened.reader() as file, parquet.ParquetFile(file) as source:
            schema, total = source.schema_arrow, source.metadata.num_rows
    except (ValueError, OSError) as error:
        raise _damaged(opened, error) from error
    return _table(schema, batches, total, describe(opened))


def arrow_table(source: Any) -> Table:
    """Return the rows of a ``pyarrow.Table``."""

    def batches(names: Sequence[str]) -> Generator[Any, None, None]:
        yield from source.select(list(names)).to_batches(max_chunksize=CHUNK_ROWS)

    return _table(source.schema, batches, source.num_rows, "Arrow table")


def _table(schema: Any, batches: Batches, total: int, where: str) -> Table:
    fields = [field for field in schema if not _PANDAS_INDEX.fullmatch(field.name)]
    columns = check_columns([field.name for field in fields], where)
    known = {field.name: _TYPES.get(str(field.type), "") for field in fields}

    def chunks_of(names: Sequence[str]) -> Chunks:
        def chunks() -> Generator[Chunk, None, None]:
            with closing(batches(names)) as found:
                for batch in found:
                    if batch.num_rows:
                        yield [batch.column(name).to_pylist() for name in names]

        return chunks

    unknown = [name for name in columns if not known[name]]
    if unknown:
        types, _ = infer(unknown, chunks_of(unknown), vectors=True)
        known.update(zip(unknown, types, strict=True))
    declared = tuple(known[name] for name in columns)
    return Table(columns, declared, lambda: rows(columns, declared, chunks_of(columns)), total)


def _damaged(opened: OpenFile, error: Exception) -> SourceError:
    return SourceError(
        f"{describe(opened)}: expected a Parquet file, got one that cannot be read ({error});"
        " fetch or write it again"
    )
