"""COPY: a file, a folder, bucket or archive of images, JSON records or a DataFrame is a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from ..errors import OperationalError, clip
from ..language import grammar
from ..language.names import quote_name, same_name
from ..language.tree import Copy
from ..places import WEB, Place, archive_scheme, is_elsewhere, parse
from ..planning.arguments import Arguments
from ..planning.report import Report
from ..progress import Advance
from ..sources.network import shown_url
from ..sources.tables import (
    Cell,
    RetypedError,
    Row,
    Table,
    frame_table,
    is_table,
    open_table,
    read_table,
    records_table,
    refuse_pickle,
)
from ..stores.sqlite.database import Database
from ..workspace import is_folder
from .context import Context
from .folder import FolderCopy, copy_folder, folder_options, refuse_folder_options
from .frames import frame_options, frames_of
from .origins import Elsewhere, Film, Folder, Origin

CHUNK = 1000
# Of rows with BLOBs, which may be pictures.
CHUNK_OF_BLOBS = 16


def copy(context: Context, arguments: Arguments, statement: Copy) -> None:
    """Create a table from what stands after FROM, or add to one. All or nothing.

    Raises:
        OperationalError: The table exists and the options do not say what to do with it, or its
            columns are others.
        SourceError: The file or folder is missing or damaged.
        WorkspaceError: It lies outside the workspace and the allowed directories.
    """
    try:
        _copy(context, arguments, statement)
    except _OvertakenError:
        # Now it is there, and the options say what becomes of it.
        _copy(context, arguments, statement)


class _OvertakenError(OperationalError):
    """Another program has made the table since it was looked for."""


def _copy(context: Context, arguments: Arguments, statement: Copy) -> None:
    database = context.database
    if_exists = arguments.if_exists(statement, grammar.COPY_IF_EXISTS)
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
    schema, existing = (found[0], found[1]) if found else (name.schema or "main", name.name)
    target = _Target(
        schema, existing, is_there=found is not None, is_replaced=if_exists == "replace"
    )
    is_sync = if_exists == "sync"
    frames = frame_options(context, arguments, statement)
    source = _open(context, arguments, statement, is_sync=is_sync, is_film=frames is not None)
    if not isinstance(source, Table):
        stays = target.is_there and not target.is_replaced
        there = [column for column, _ in database.table_columns(schema, existing)] if found else []
        if isinstance(source, Film):
            refuse_folder_options(arguments, statement, is_sync=False)
        copy_folder(
            context,
            FolderCopy(
                source,
                folder_options(arguments, statement),
                existing,
                target.table,
                there if stays else [],
                is_sync,
                lambda table: _store(context, target, table),
                frames,
                frames_of(database, target.table, there) if frames and frames.folder else (),
            ),
        )
        return
    refuse_folder_options(arguments, statement, is_sync=is_sync)
    try:
        added = _store(context, target, source)
    except RetypedError as error:
        added = _store(context, target, error.table)
    context.state.report = Report("COPY", existing, added)


@dataclass(frozen=True)
class _Target:
    """The table that receives the rows: its schema and name, whether it exists and is to go."""

    schema: str
    name: str
    is_there: bool
    is_replaced: bool

    @property
    def table(self) -> str:
        return quote_name(self.schema, self.name)


def _store(context: Context, target: _Target, source: Table) -> int:
    """Make the table where it is to be made, and insert the rows; all or nothing.

    Returns:
        The number of rows.
    """
    database = context.database
    columns, rows = list(source.columns), source.rows()
    if target.is_there and not target.is_replaced:
        declared = database.table_columns(target.schema, target.name)
        columns = _matching(declared, columns, target.name)
        if guarded := _guarded(dict(declared), columns, source.types):
            rows = _keeping_texts(rows, {index: columns[index] for index in guarded}, target.name)
    track = context.settings.progress.track(f"COPY {target.name}", source.total, "row")
    with track as advance, database.atomic():
        if target.is_there and target.is_replaced:
            database.execute(f"DROP TABLE {target.table}")
        elif not target.is_there and database.find_table(target.schema, target.name):
            raise _OvertakenError(
                f"COPY: another program has made table {clip(target.name)} meanwhile;"
                " nothing was changed"
            )
        if not target.is_there or target.is_replaced:
            definitions = ", ".join(
                f"{quote_name(column)} {kind}"
                for column, kind in zip(columns, source.types, strict=True)
            )
            database.execute(f"CREATE TABLE {target.table} ({definitions})")
        chunk = CHUNK_OF_BLOBS if "BLOB" in source.types else CHUNK
        return insert_rows(database, target.table, columns, rows, advance, chunk)


def insert_rows(
    database: Database,
    table: str,
    columns: list[str],
    rows: Iterator[Row],
    advance: Advance,
    chunk: int,
) -> int:
    """Insert rows, many a statement: a statement for each takes twice as long."""
    width = len(columns)
    row = f"({', '.join('?' * width)})"
    into = f"INSERT INTO {table} ({', '.join(map(quote_name, columns))}) VALUES "
    count = max(1, min(chunk, database.most_variables() // width))
    many, size, inserted = into + ", ".join([row] * count), count * width, 0
    while cells := list(chain.from_iterable(islice(rows, chunk))):
        whole = len(cells) - len(cells) % size
        database.execute_many(many, _parts(cells, 0, whole, size))
        database.execute_many(into + row, _parts(cells, whole, len(cells), width))
        advance(len(cells) // width)
        inserted += len(cells) // width
    return inserted


def _parts(cells: list[Cell], begin: int, end: int, size: int) -> Iterator[list[Cell]]:
    return (cells[each : each + size] for each in range(begin, end, size))


def _open(
    context: Context, arguments: Arguments, statement: Copy, *, is_sync: bool, is_film: bool
) -> Table | Origin:
    """Return what stands after FROM: a table, or where the files lie that get rows."""
    value = arguments.value(statement.source)
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        if hasattr(value, "columns") and not is_film:
            return frame_table(value)
        raise arguments.error(
            f"COPY: expected {_expected(is_film)} after FROM, got {clip(value)}",
            statement,
        )
    if re.match(r"\s*[\[{]", value) and not is_film:
        return records_table(value)
    if is_elsewhere(value):
        if is_film:
            raise arguments.error(
                f"COPY: frames are taken out of films on the disk, and {clip(shown_url(value))} is"
                " elsewhere; bring the film into the workspace first; nothing was changed",
                statement,
            )
        return _open_elsewhere(context, parse(value))
    path = context.workspace.locate(value)
    # Only a folder can be gone and the statement go on.
    if is_folder(path) or (is_sync and _is_missing(path) and not archive_scheme(path.name)):
        return Folder(path, context.workspace)
    if is_film:
        return Film(path, context.workspace, context.pictures.open_film)
    if scheme := archive_scheme(path.name):
        return _open_elsewhere(context, parse(f"{scheme}://::{path}"))
    return open_table(path)


def _open_elsewhere(context: Context, place: Place) -> Table | Origin:
    """Return the table that lies elsewhere, or the bucket or archive whose media get a row each."""
    suffixes = PurePosixPath(place.path.partition("?")[0]).suffixes
    is_open = place.path.endswith("/") or not place.path or bool(place.pattern)
    if place.archive is None and (scheme := archive_scheme(place.path.partition("?")[0])):
        place = parse(f"{scheme}://::{place.text}")
    elif place.scheme in WEB or (not is_open and is_table(suffixes)):
        refuse_pickle(suffixes, clip(shown_url(place.text)))
        return read_table(context.reader.table(place))
    return Elsewhere(context.settled(place), context.reader)


def _expected(is_film: bool) -> str:
    return "the path of a film or a folder" if is_film else "a path, JSON records or a DataFrame"


def _is_missing(path: Path) -> bool:
    """Return whether there is nothing of a name; what cannot be looked up may be there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False


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


def _keeping_texts(rows: Iterator[Row], guarded: dict[int, str], table: str) -> Iterator[Row]:
    """Yield the rows as long as none has the text of a number in a guarded column."""
    for number, row in enumerate(rows, 1):
        for index, column in guarded.items():
            _keep_text(row[index], column, table, number)
        yield row


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
