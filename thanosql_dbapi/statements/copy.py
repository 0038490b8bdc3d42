"""COPY: a file, a folder of images, JSON records or a DataFrame becomes a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import OperationalError, clip
from ..language.names import quote_name, same_name
from ..language.tree import Copy
from ..sources.tables import Table, frame_table, media_table, open_table, records_table
from .arguments import Arguments
from .context import Context

CHUNK = 1000


def copy(context: Context, arguments: Arguments, statement: Copy) -> None:
    """Create a table from what stands after FROM, or add to one. All or nothing.

    Raises:
        OperationalError: The table exists and the options do not say what to do with it, or its
            columns are others.
        SourceError: The file or folder is missing or damaged.
        WorkspaceError: It lies outside the workspace and the allowed directories.
    """
    database = context.database
    default = "replace" if arguments.flag(statement, "overwrite") else "fail"
    if_exists = arguments.choice(statement, "if_exists", ("fail", "replace", "append"), default)
    name = statement.table
    found = database.find_table(name.schema or "main", name.name)
    if found and found[2] == "view":
        raise OperationalError(
            f"COPY: {clip(name.name)} is a view; choose another name; nothing was changed"
        )
    if found and if_exists == "fail":
        raise OperationalError(
            f"COPY: table {clip(name.name)} exists; say OPTIONS (overwrite=True) to replace it or"
            " if_exists='append' to add to it; nothing was changed"
        )
    source = _open(context, arguments, statement)
    schema, existing = (found[0], found[1]) if found else (name.schema or "main", name.name)
    table = quote_name(schema, existing)
    columns, guarded = list(source.columns), []
    if found and if_exists == "append":
        declared = database.table_columns(schema, existing)
        columns = _matching(declared, columns, existing)
        guarded = _guarded(dict(declared), columns, source.types)
    marks = ", ".join("?" * len(columns))
    names = ", ".join(quote_name(column) for column in columns)
    with (
        context.settings.progress.track(f"COPY {name.name}", source.total, "row") as advance,
        database.atomic(),
    ):
        if found and if_exists == "replace":
            database.execute(f"DROP TABLE {table}")
        if not found or if_exists == "replace":
            definitions = ", ".join(
                f"{quote_name(column)} {kind}"
                for column, kind in zip(columns, source.types, strict=True)
            )
            database.execute(f"CREATE TABLE {table} ({definitions})")

        def counted() -> Iterator[Sequence[Any]]:
            count = 0
            for count, row in enumerate(source.rows(), 1):
                for index in guarded:
                    _keep_text(row[index], columns[index], existing, count)
                yield row
                if count % CHUNK == 0:
                    advance(CHUNK)
            advance(count % CHUNK)

        database.execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks})", counted())


def _open(context: Context, arguments: Arguments, statement: Copy) -> Table:
    value = arguments.value(statement.source)
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        if hasattr(value, "columns"):
            return frame_table(value)
        raise arguments.error(
            f"COPY: expected a path, JSON records or a DataFrame after FROM, got {clip(value)}",
            statement,
        )
    if re.match(r"\s*[\[{]", value):
        return records_table(value)
    path = context.workspace.locate(value)
    if path.is_dir():
        return media_table(path, context.workspace.root)
    return open_table(path)


def _matching(existing: list[tuple[str, str]], columns: list[str], table: str) -> list[str]:
    """Return the existing table's spelling of the columns that are to be appended."""
    spelling = []
    for column in columns:
        match = [name for name, _ in existing if same_name(name, column)]
        if not match:
            raise OperationalError(
                f"COPY: table {clip(table)} has no column {clip(column)} (it has"
                f" {', '.join(name for name, _ in existing)}); nothing was changed"
            )
        spelling += match
    return spelling


def _guarded(declared: dict[str, str], columns: list[str], types: Sequence[str]) -> list[int]:
    """Return the columns whose texts SQLite would turn into numbers, such as an id 007 into 7.

    Source: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
    """
    guarded = []
    for index, (column, kind) in enumerate(zip(columns, types, strict=True)):
        words = declared[column].upper()
        keeps_text = not words or any(
            word in words for word in ("CHAR", "CLOB", "TEXT", "BLOB", "VECTOR")
        )
        if kind == "TEXT" and ("INT" in words or not keeps_text):
            guarded.append(index)
    return guarded


def _keep_text(value: object, column: str, table: str, row: int) -> None:
    if not isinstance(value, str):
        return
    try:
        float(value)
    except ValueError:
        return
    raise OperationalError(
        f"COPY: row {row} has the text {clip(value)} for column {clip(column)}, which table"
        f" {clip(table)} declares as a number, so SQLite would not keep it as it is; declare the"
        " column TEXT, or copy into another table; nothing was changed"
    )
