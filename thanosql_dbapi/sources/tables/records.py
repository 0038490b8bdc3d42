"""JSON records: a text or a .json file of objects, and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from ...errors import SourceError, clip
from ...openfile import OpenFile
from .files import describe, open_text, reading
from .table import CHUNK_ROWS, Table, check_columns
from .values import Chunk, infer, rows

Record = Mapping[str, object]
Records = Callable[[], Generator[Record, None, None]]

_CONSTANTS = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}


def records_table(text: str) -> Table:
    """Return the rows in a JSON text: a list of objects, or one object.

    The columns are the keys, in the order in which they first occur; a key that an object lacks
    is NULL, as are null and NaN. Lists and objects become JSON text, true and false 1 and 0, and
    integers beyond 64 bits text.

    Args:
        text: The JSON text.

    Raises:
        SourceError: It is not JSON, or not a list of objects.

    Example:
        >>> table = records_table('[{"id": 1, "tag": "고양이"}, {"id": 2}]')
        >>> list(table.rows())
        [(1, '고양이'), (2, None)]
    """
    return _text_table(text, "JSON records")


def json_table(opened: OpenFile) -> Table:
    """Return the rows in a JSON file, which may hold JSON lines under that name, as many do."""
    with reading(opened), open_text(opened) as file:
        first = file.readline()
        if first.lstrip().startswith("{") and _is_object(first):
            return lines_table(opened)
        text = first + file.read()
    return _text_table(text, describe(opened))


def lines_table(opened: OpenFile) -> Table:
    """Return the rows in a file with one JSON object a line.

    Raises:
        SourceError: A line is not a JSON object, or the file has none.
    """
    return _records_table(lambda: _lines(opened), describe(opened))


def _text_table(text: str, where: str) -> Table:
    found = _parse(text.removeprefix("\ufeff"), where, 1)
    records = [found] if isinstance(found, dict) else found
    if not isinstance(records, list):
        raise SourceError(
            f'{where}: expected a list of objects, as in [{{"id": 1}}], got {clip(found)}'
        )
    for number, record in enumerate(records, 1):
        _check_record(record, f"{where}, item {number}")
    return _records_table(lambda: (record for record in records), where)


def _records_table(records: Records, where: str) -> Table:
    """Return the table of records that can be read as often as wanted."""
    names: dict[str, None] = {}
    with closing(records()) as each:
        for record in each:
            names.update(dict.fromkeys(record))
    if not names:
        raise SourceError(f"{where}: expected at least one object with a key, got none")
    columns = check_columns(names, where)

    def chunks() -> Generator[Chunk, None, None]:
        with closing(records()) as each:
            while chunk := list(islice(each, CHUNK_ROWS)):
                yield [[record.get(name) for record in chunk] for name in columns]

    types, total = infer(columns, chunks, vectors=False)
    return Table(columns, types, lambda: rows(columns, types, chunks), total)


def _lines(opened: OpenFile) -> Generator[Record, None, None]:
    with reading(opened), open_text(opened) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                record = _parse(line, describe(opened), number)
                _check_record(record, f"{describe(opened)}, line {number}")
                yield record


def _check_record(record: object, where: str) -> None:
    if not isinstance(record, dict):
        kind = _NAMES.get(type(record), "null" if record is None else "a number")
        raise SourceError(
            f'{where}: expected an object, as in {{"id": 1}}, got {kind}: {clip(record)}'
        )


def _parse(text: str, where: str, line: int) -> Any:
    """Return the value of a JSON text that starts on a line of a file."""
    try:
        return json.loads(text, parse_constant=_CONSTANTS.__getitem__)
    except json.JSONDecodeError as error:
        at = text[error.pos : error.pos + 40]
        raise SourceError(
            f"{where}: not JSON at line {line + error.lineno - 1}, column {error.colno}:"
            f" {error.msg[:1].lower()}{error.msg[1:]}, got {clip(at) if at else 'the end'}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}, line {line}: JSON that cannot be read: {error}") from error


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
