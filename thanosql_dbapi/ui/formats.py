"""Results for other programs: CSV and JSON."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
from collections.abc import Sequence
from typing import Any, TextIO

from .display import is_vector, visible

# What JSON lets stand in a text although a terminal obeys it, or no file can hold it.
_COMMANDS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def write_csv(file: TextIO, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    r"""Write a result as CSV with a line of names, by RFC 4180.

    NULL is an empty field, a BLOB is base64, a vector a list in JSON. A terminal gets control
    characters escaped, a file as they are.

    Args:
        file: Opened with ``newline=""``: lines end with ``\r\n``.
        names: Names of the columns.
        rows: The rows.

    Source: https://www.rfc-editor.org/rfc/rfc4180
    """
    writer = csv.writer(file, lineterminator="\r\n")
    shown = _shown if file.isatty() else _field
    writer.writerow(map(shown, names))
    for row in rows:
        writer.writerow(map(shown, row))


def write_json(file: TextIO, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a result as a JSON array of objects, one a line.

    A BLOB is base64, a vector a list, a number JSON does not have (infinity) null. Of columns
    with the same name the second is called ``name_2``.
    """
    keys: list[str] = []
    for name in names:
        key, number = name, 2
        while key in keys:
            key, number = f"{name}_{number}", number + 1
        keys.append(key)
    file.write("[")
    for index, row in enumerate(rows):
        file.write(",\n " if index else "\n ")
        item = dict(zip(keys, map(_item, row), strict=True))
        text = json.dumps(item, ensure_ascii=False, allow_nan=False)
        file.write(_COMMANDS.sub(_escaped, text))
    file.write("\n]\n" if rows else "]\n")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _field(value: Any) -> Any:
    value = _item(value)
    return json.dumps(value) if isinstance(value, list) else value


def _shown(value: Any) -> Any:
    value = _field(value)
    return visible(value) if isinstance(value, str) else value


def _item(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if is_vector(value):
        # The shortest decimal that is this float32 again, not the digits of a float64.
        return [float(str(number)) for number in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
