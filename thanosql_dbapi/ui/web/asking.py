"""What a visitor asks of a table, the SQL of it, and the pictures that answer."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePath
from typing import Any

from datasette.filters import Filters
from datasette.utils import tilde_decode, tilde_encode

from ...connection import Connection
from ...errors import MediaError
from ...language.names import quote_name
from ..session import brief_warnings
from .contents import Contents, Kind, Searchable

PAGE_SIZE = 24
MOST_PAGES = 50
_LARGEST = 2**63 - 1
LONGEST_TEXT = 1000
_LONGEST_VALUE = 300
_SIMILARITY = "thanosql_similarity"


class RefusedError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: The HTTP status.
        key: The sentence's key in ``words``.
        values: What the sentence names.
    """

    def __init__(self, status: int, key: str, **values: object) -> None:
        super().__init__(key)
        self.status, self.key, self.values = status, key, values


@dataclass(frozen=True)
class Question:
    """What is asked of a table.

    Attributes:
        text: What to look for, or "".
        like: The path of the row whose pictures are looked for, or "".
        vector: The vector of a picture that was given, or None.
        picture: A picture that is given, or None; its vector replaces it in the answer.
        filters: (column, Datasette's lookup, value), the values not empty.
        page: 1 or more.
    """

    text: str = ""
    like: str = ""
    vector: bytes | None = None
    picture: bytes | None = None
    filters: tuple[tuple[str, str, str], ...] = ()
    page: int = 1

    @property
    def ranks(self) -> bool:
        """Whether rows are asked for by similarity."""
        return bool(self.text or self.like or self.vector or self.picture)


@dataclass(frozen=True)
class Hit:
    """A row of the answer.

    Attributes:
        path: Datasette's path of the row.
        similarity: -1 to 1, None where nothing was looked for.
        name: The picture's file name, or the row's path.
        caption: A description out of the row, or "".
        values: The row's other values, as text.
    """

    path: str
    similarity: float | None
    name: str
    caption: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """The rows of a page.

    Attributes:
        hits: The rows, best first.
        has_more: Whether there is another page.
        vector: The vector that was compared with, where a picture was given.
        sql: The statement, for Datasette's SQL box; "" where a picture was given.
        remarks: What the driver warned of.
    """

    hits: tuple[Hit, ...]
    has_more: bool
    vector: bytes | None = None
    sql: str = ""
    remarks: tuple[str, ...] = ()


def read_filters(
    pairs: Sequence[tuple[str, str]], searchable: Searchable
) -> tuple[tuple[str, str, str], ...]:
    """Return the filters among a request's arguments: ``column__lookup=value``, as Datasette's.

    Raises:
        RefusedError: The table has no such column, or Datasette no such lookup.
    """
    columns = {*searchable.shown, *searchable.keys}
    known = {key for key, _, _ in Filters([]).lookups()}
    found = []
    for key, value in pairs:
        column, mark, lookup = key.rpartition("__")
        if not mark or not value.strip():
            continue
        if column not in columns or lookup not in known:
            raise RefusedError(400, "bad_filter", filter=key)
        found.append((column, lookup, value.strip()))
    return tuple(found)


def answer(
    connection: Connection, contents: Contents, searchable: Searchable, question: Question
) -> Answer:
    """Return the rows that a question asks for.

    Args:
        connection: The one that keeps the vectors in memory.
        contents: What the database has.
        searchable: The table and its column of vectors.
        question: The question.

    Raises:
        RefusedError: The question makes no sense.
        sqlite3.Error: What the driver or SQLite refuses.
    """
    remarks: list[str] = []
    if question.ranks and searchable.problem:
        raise RefusedError(409, "model_problem", problem=searchable.problem, table=searchable.table)
    with brief_warnings(lambda _, text: remarks.append(text)):
        statement = _statement(connection, searchable, question)
        names, rows = _fetch(connection, statement.sql, statement.parameters)
    hits = tuple(_hit(searchable, names, row) for row in rows[:PAGE_SIZE])
    return Answer(
        hits,
        len(rows) > PAGE_SIZE,
        statement.vector,
        statement.shown,
        tuple(dict.fromkeys(remarks)),
    )


@dataclass(frozen=True)
class _Statement:
    sql: str
    parameters: Mapping[str, Any]
    shown: str
    vector: bytes | None = None


def _statement(connection: Connection, searchable: Searchable, question: Question) -> _Statement:
    conditions, bound = _conditions(searchable, question.filters)
    table, vector = quote_name(searchable.table), quote_name(searchable.column)
    columns = [*map(quote_name, searchable.keys), *map(_short, searchable.shown)]
    # In the text, not bound: what the driver learns of a statement's text is another thing for
    # another page.
    limit = f"LIMIT {PAGE_SIZE + 1} OFFSET {PAGE_SIZE * (question.page - 1)}"
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if question.text:
        medium = f"SEARCH IMAGE text={{}} USING {quote_name(searchable.model)}"
        medium += f" OPTIONS (emb_col={_literal(searchable.column)}, result_col='{_SIMILARITY}')"
        rows = f"SELECT {{}} FROM {table}{where}"
        order = f"ORDER BY {_SIMILARITY} DESC"
        inner = rows.format(", ".join([*columns, vector]))
        sql = f"SELECT * FROM ({medium.format(':text')} AS {inner}) {order}"
        plain = rows.format(", ".join(["rowid", "*"] if searchable.keys == ("rowid",) else ["*"]))
        shown = (
            f"SELECT *\nFROM (\n  {medium.format(_literal(question.text))}\n"
            f"  AS {_bound(plain, bound)}\n)\n{order}\nLIMIT {PAGE_SIZE}"
        )
        parameters = {**bound, "text": question.text}
        return _Statement(f"{sql} {limit}", parameters, shown)
    if question.ranks:
        compared = _vector(connection, searchable, question)
        # sqlite-vec's function scans faster than ours, and ours needs no scan without conditions.
        similarity = (
            f"1 - vec_distance_cosine({vector}, :vector)"
            if conditions
            else f"cosine_similarity({vector}, :vector)"
        )
        conditions = [*conditions, f"{vector} IS NOT NULL"]
        if question.like:
            itself, keys = row_condition(searchable.keys, question.like)
            conditions.append(f"NOT ({itself})")
            bound = {**bound, **keys}
        sql = (
            f"SELECT {', '.join(columns)}, {similarity} AS {_SIMILARITY} FROM {table}"
            f" WHERE {' AND '.join(conditions)} ORDER BY {similarity} DESC"
        )
        parameters = {**bound, "vector": compared}
        vector_kept = None if question.like else compared
        return _Statement(f"{sql} {limit}", parameters, "", vector_kept)
    order = quote_name(searchable.date or searchable.keys[0])
    order = f"ORDER BY {order} DESC"
    sql = f"SELECT {', '.join(columns)} FROM {table}{where} {order} {limit}"
    return _Statement(sql, bound, "")


def _conditions(
    searchable: Searchable, filters: Sequence[tuple[str, str, str]]
) -> tuple[list[str], dict[str, Any]]:
    dates = {each.column for each in searchable.filters if each.kind is Kind.DATE}
    pairs = []
    for column, lookup, value in filters:
        if column in dates and lookup == "lte" and len(value) == len("2024-05-31"):
            # To the end of that day, whose times are later than the day alone.
            lookup, value = "lt", _day_after(value)
        pairs.append((f"{column}__{lookup}", value))
    try:
        conditions, bound = Filters(pairs).build_where_clauses(searchable.table)
    except ValueError as error:  # a list that is no JSON
        raise RefusedError(400, "bad_filter", filter=str(error)) from error
    # Datasette makes whole numbers of any size, and SQLite has none beyond the largest.
    bound = {
        name: min(value, _LARGEST) if isinstance(value, int) else value
        for name, value in bound.items()
    }
    return conditions, bound


def _day_after(day: str) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError) as error:
        raise RefusedError(400, "bad_filter", filter=day) from error


def _vector(connection: Connection, searchable: Searchable, question: Question) -> bytes:
    """Return the vector to compare with: that of a row, or of a picture."""
    if question.like:
        found = _row_value(connection, searchable, question.like)
        if not found:
            raise RefusedError(404, "no_vector", row=question.like)
        return found
    if question.vector is not None:
        if not is_vector_of(question.vector, searchable.dimension):
            raise RefusedError(400, "bad_vector")
        return question.vector
    assert question.picture is not None
    try:
        blob = connection._context().embed_query("image", searchable.model, question.picture)
    except MediaError as error:
        raise RefusedError(400, "bad_picture", reason=str(error)) from error
    assert blob is not None
    return blob


def _row_value(connection: Connection, searchable: Searchable, path: str) -> bytes | None:
    where, values = row_condition(searchable.keys, path)
    column, table = quote_name(searchable.column), quote_name(searchable.table)
    row = connection.execute(f"SELECT {column} FROM {table} WHERE {where}", values).fetchone()
    if row is None:
        raise RefusedError(404, "no_row", row=path)
    return bytes(row[0]) if row[0] is not None else None


def is_vector_of(blob: bytes, dimension: int) -> bool:
    """Return whether bytes are a vector of finite numbers, of this length and not of zeros."""
    import numpy as np

    if len(blob) != 4 * dimension:
        return False
    vector = np.frombuffer(blob, "<f4").astype(np.float64)
    square = float(vector.dot(vector)) if np.isfinite(vector).all() else math.nan
    return square > 0


def row_condition(keys: Sequence[str], path: str) -> tuple[str, dict[str, str]]:
    """Return the condition that a row's path means, and its values.

    Raises:
        RefusedError: It has more or fewer parts than the table's key.
    """
    parts = [tilde_decode(part) for part in path.split(",")]
    if len(parts) != len(keys):
        raise RefusedError(404, "no_row", row=path)
    where = " AND ".join(f"{quote_name(key)} = :k{n}" for n, key in enumerate(keys))
    return where, {f"k{n}": part for n, part in enumerate(parts)}


def row_path(keys: Sequence[Any]) -> str:
    """Return the path of a row with this key, as Datasette writes it."""
    return ",".join(tilde_encode(str(key)) for key in keys)


def _fetch(
    connection: Connection, sql: str, parameters: Mapping[str, Any]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor: sqlite3.Cursor = connection.cursor()
    cursor.row_factory = None
    try:
        cursor.execute(sql, parameters)
        return [column[0] for column in cursor.description], cursor.fetchall()
    finally:
        cursor.close()


def _hit(searchable: Searchable, names: Sequence[str], row: Sequence[Any]) -> Hit:
    count = len(searchable.keys)
    path = row_path(row[:count])
    values = dict(zip(searchable.shown, row[count:], strict=False))
    source = values.get(searchable.source)
    name = PurePath(source).name if isinstance(source, str) and source else path
    told = (column for column in searchable.captions if values.get(column) not in (None, ""))
    caption = next(told, None)
    similarity = row[names.index(_SIMILARITY)] if _SIMILARITY in names else None
    shown = [(column, value) for column, value in values.items() if value not in (None, "")]
    return Hit(
        path,
        similarity,
        name,
        str(values[caption]) if caption else "",
        tuple((column, str(value)) for column, value in shown if column != caption),
    )


def _short(column: str) -> str:
    """Return SQL of a value to show: a text's beginning, and nothing of a BLOB."""
    name = quote_name(column)
    value = f"iif(typeof({name}) = 'text', substr({name}, 1, {_LONGEST_VALUE}), {name})"
    return f"iif(typeof({name}) = 'blob', NULL, {value}) AS {name}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _bound(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return SQL with its ``:p0`` replaced by the values, to be shown."""

    def value_of(found: re.Match[str]) -> str:
        value = parameters[found[1]]
        return _literal(value) if isinstance(value, str) else str(value)

    return re.sub(r":(p\d+)\b", value_of, sql)
