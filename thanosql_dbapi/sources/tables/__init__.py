"""What COPY reads: files, JSON records and data frames, as tables. Folders are in ``folder``.

No SQL and no connection here, and no rule about which paths may be read: the caller asks the
workspace first, for a path without links. A file is opened once, however often it is read. pyarrow,
openpyxl and pandas are imported only where their files or frames turn up.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...errors import NotSupportedError, SourceError
from ...openfile import OpenFile
from ...workspace import is_folder
from .arrow import parquet_table
from .delimited import delimited_table
from .files import describe, reading
from .frame import frame_table
from .records import json_table, lines_table, records_table
from .table import Cell, RetypedError, Row, Table
from .workbook import workbook_table

__all__ = [
    "SUFFIXES",
    "Cell",
    "RetypedError",
    "Row",
    "Table",
    "frame_table",
    "is_table",
    "open_table",
    "read_table",
    "records_table",
    "refuse_pickle",
]

_READERS: dict[str, Callable[[OpenFile], Table]] = {
    ".csv": partial(delimited_table, delimiter=None),
    ".tsv": partial(delimited_table, delimiter="\t"),
    ".json": json_table,
    ".jsonl": lines_table,
    ".ndjson": lines_table,
    ".parquet": parquet_table,
    ".pqt": parquet_table,
    ".xlsx": workbook_table,
    ".xlsm": workbook_table,
}
_COMPRESSED = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson"})
_PICKLES = frozenset({".pkl", ".pickle"})

SUFFIXES = tuple(_READERS)
"""Suffixes of the files that ``open_table`` reads; the text ones may be followed by .gz."""


def open_table(path: Path) -> Table:
    """Return the table in a file, by its suffix.

    Args:
        path: The resolved path of a .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .pqt, .xlsx or
            .xlsm file; the text formats may be compressed, as in .csv.gz.

    Raises:
        NotSupportedError: The file is a pickle, or the package that reads it is not installed.
        SourceError: The file is missing, empty, damaged, of another kind, or no table.
        WorkspaceError: A link stands on the way.
    """
    refuse_pickle(path.suffixes, describe(path))
    return read_table(_open(path))


def refuse_pickle(suffixes: Sequence[str], what: str) -> None:
    """Raise where a file's suffixes are those of a pickle.

    Raises:
        NotSupportedError: They are.
    """
    if not _PICKLES.isdisjoint(suffix.lower() for suffix in suffixes[-2:]):
        raise NotSupportedError(
            f"{what} is a pickle, which can run any code when it is loaded; save it as"
            " Parquet or CSV, in pandas with frame.to_parquet(…) or frame.to_csv(…, index=False)"
        )


def is_table(suffixes: Sequence[str]) -> bool:
    """Return whether a file's suffixes are those of a table that can be read, or of a pickle."""
    lower = [suffix.lower() for suffix in suffixes[-2:]]
    is_compressed = lower[1:] == [".gz"] and lower[0] in _COMPRESSED
    return is_compressed or (bool(lower) and lower[-1] in {*_READERS, *_PICKLES})


def read_table(opened: OpenFile) -> Table:
    """Return the table in an open file, by the suffix of its path.

    Raises:
        NotSupportedError: The package that reads it is not installed.
        SourceError: The file is empty, damaged, of another kind, or no table.
    """
    path = opened.path
    if not opened.size:
        raise SourceError(f"{describe(opened)} is empty; expected a table")
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    reader = _READERS.get(suffixes[-1]) if suffixes else None
    if suffixes[1:] == [".gz"] and suffixes[0] in _COMPRESSED:
        reader = _READERS[suffixes[0]]
    if reader is None:
        got = "".join(suffixes) or "no suffix"
        raise SourceError(
            f"{describe(opened)}: expected one of {' '.join(SUFFIXES)} (or .csv.gz and the like),"
            f" got {got}"
        )
    return reader(opened)


def _open(path: Path) -> OpenFile:
    with reading(path):
        if is_folder(path):
            raise SourceError(f"{describe(path)}: expected a file, got a folder")
        try:
            opened = OpenFile(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            near = difflib.get_close_matches(path.name, names, 1)
            raise SourceError(
                f"{describe(path)} does not exist"
                + (f"; did you mean {near[0]!r}?" if near else "")
            ) from error
        if not opened.is_file:
            raise SourceError(f"{describe(path)}: expected a file, got a device or pipe")
        return opened
