"""What of a database can be searched, and by which columns its rows can be told apart."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...language.grammar import IMAGE_COL
from ...language.names import quote_name, same_name
from ...stores.sqlite.database import Database
from ...stores.sqlite.registry import PREFIX, Registry
from ..sections import CAPTIONS

_SAMPLE_ROWS = 2000
_MOST_CHOICES, _LONGEST_CHOICE = 30, 40
_MOST_FILTERS = 12
# Two words, or a folder and a name.
_WORDS = re.compile(r"\w\s+\w|\w[/\\]\w")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?")


class Kind(Enum):
    """How a column's values can be asked for."""

    DATE = "date"
    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"


@dataclass(frozen=True)
class Filter:
    """A column that rows can be told apart by.

    Attributes:
        column: Its name.
        kind: How it is asked for.
        choices: All of its values, where they are few.
    """

    column: str
    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Searchable:
    """A table whose pictures have vectors.

    Attributes:
        table: Its name.
        column: The column of vectors.
        dimension: Their length.
        source: The column with the pictures.
        model: The name of the model that made the vectors.
        problem: Why the model cannot be used, as one sentence; "" where it can.
        keys: The columns that tell a row: the primary key, or ``("rowid",)``.
        shown: The other columns to show of a row, without those that hold vectors.
        filters: The columns to filter by.
        rows: How many rows have a vector.
    """

    table: str
    column: str
    dimension: int
    source: str
    model: str
    problem: str
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    filters: tuple[Filter, ...]
    rows: int

    @property
    def captions(self) -> tuple[str, ...]:
        """The columns that describe a picture, the best first."""
        lower = {name.lower(): name for name in self.shown}
        return tuple(lower[name] for name in CAPTIONS if name in lower)

    @property
    def date(self) -> str | None:
        """The first column of dates, if there is one."""
        return next((each.column for each in self.filters if each.kind is Kind.DATE), None)


@dataclass(frozen=True)
class Contents:
    """What a database has for the pages.

    Attributes:
        searchables: The tables that can be searched, one for each column of vectors.
        vectors: The columns of vectors, in lower case, and their lengths.
        waiting: Tables with a column of pictures and no vectors, and the column.
        models: The names of the registered models.
    """

    searchables: tuple[Searchable, ...]
    vectors: Mapping[str, int]
    waiting: tuple[tuple[str, str], ...]
    models: tuple[str, ...]

    def of_table(self, table: str, column: str | None = None) -> Searchable | None:
        """Return what is searched in a table: a column of vectors by name, or the first."""
        for each in self.searchables:
            if each.table == table and column in (None, each.column):
                return each
        return None


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Read what a database can be searched for."""
    database = Database(connection)
    registry = Registry(database)
    models = {model.name.lower(): model for model in registry.models()}
    found = []
    for each in registry.vector_columns():
        if each.schema_name.lower() != "main" or each.source_type != "image":
            continue
        known = database.find_table("main", each.table_name)
        if known is None or known[2] != "table":
            continue
        names = [name for name, _ in database.table_columns("main", known[1])]
        spelled = {name.lower(): name for name in names}
        if not {each.column_name.lower(), each.source_column.lower()} <= spelled.keys():
            continue
        model = models.get(each.model.lower())
        problem = ""
        if model is None:
            problem = f"Model {each.model!r} is not in this database any more."
        elif model.fingerprint != each.fingerprint:
            problem = f"Model {each.model!r} has changed since the table was converted."
        found.append(
            _searchable(
                database,
                known[1],
                spelled[each.column_name.lower()],
                spelled[each.source_column.lower()],
                (each.dimension, each.model, problem),
                set(registry.vector_names()),
            )
        )
    return Contents(
        tuple(found),
        registry.vector_names(),
        tuple(_waiting(database, {each.table for each in found})),
        tuple(model.name for model in registry.models()),
    )


def _searchable(
    database: Database,
    table: str,
    column: str,
    source: str,
    vectors: tuple[int, str, str],
    vector_names: set[str],
) -> Searchable:
    info = database.rows(f"PRAGMA main.table_info({quote_name(table)})")
    keys = [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
    shown = [row[1] for row in info if row[1].lower() not in vector_names and row[1] not in keys]
    name = quote_name("main", table)
    (rows,) = database.row(f"SELECT count({quote_name(column)}) FROM {name}") or (0,)
    return Searchable(
        table,
        column,
        vectors[0],
        source,
        vectors[1],
        vectors[2],
        tuple(keys) or ("rowid",),
        tuple(shown),
        tuple(_filters(database, name, shown)),
        rows,
    )


def _filters(database: Database, table: str, columns: Sequence[str]) -> list[Filter]:
    if not columns:
        return []
    # A BLOB may be a picture of 20 MB.
    picked = ", ".join(f"iif(typeof({c}) = 'blob', NULL, {c})" for c in map(quote_name, columns))
    sample = database.rows(f"SELECT {picked} FROM {table} LIMIT {_SAMPLE_ROWS}")
    found = []
    for column, values in zip(columns, zip(*sample, strict=True), strict=False):
        known = [value for value in values if value is not None]
        kind = _kind(known)
        if kind is None:
            continue
        choices: list[Any] = []
        if kind is Kind.CHOICE:
            quoted = quote_name(column)
            choices = [
                row[0]
                for row in database.rows(
                    f"SELECT DISTINCT {quoted} FROM {table} WHERE {quoted} IS NOT NULL"
                    f" ORDER BY 1 LIMIT {_MOST_CHOICES + 1}"
                )
            ]
            if len(choices) > _MOST_CHOICES:
                kind, choices = Kind.TEXT, []
        found.append(Filter(column, kind, tuple(map(str, choices))))
    order = (Kind.DATE, Kind.CHOICE, Kind.TEXT, Kind.NUMBER)
    return sorted(found, key=lambda each: order.index(each.kind))[:_MOST_FILTERS]


def _kind(values: Sequence[Any]) -> Kind | None:
    """Return how values are asked for, None where there is nothing to choose."""
    if len(set(values)) < 2:
        return None
    if all(isinstance(value, (int, float)) for value in values):
        return Kind.NUMBER
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values) and all(map(_DATE.fullmatch, texts)):
        return Kind.DATE
    longest = max(map(len, map(str, values)))
    if longest <= _LONGEST_CHOICE and len(set(values)) <= _MOST_CHOICES:
        return Kind.CHOICE
    # Identifiers: nobody knows a part of one.
    words = sum(bool(_WORDS.search(text)) for text in texts)
    return Kind.TEXT if words > len(values) / 20 else None


def _waiting(database: Database, searchable: set[str]) -> list[tuple[str, str]]:
    """Return the tables that have pictures and no vectors, with the column of the pictures."""
    tables = database.rows("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name")
    found = []
    for (table,) in tables:
        if table in searchable or table.startswith((PREFIX, "sqlite_")):
            continue
        for column, _ in database.table_columns("main", table):
            if same_name(column, IMAGE_COL.default):
                found.append((table, column))
    return found
