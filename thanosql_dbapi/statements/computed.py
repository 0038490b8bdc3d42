"""What the functions compute.… have in common: rows with vectors, and the table they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OperationalError, clip
from ..language import grammar, training_options
from ..language.names import quote_name, same_name
from ..language.tree import Function, Part, TableName
from ..progress import silent
from ..stores.sqlite.compile import Compiled
from .labelling import find_table
from .resolve import Resolver, does_work
from .row_vectors import require_column
from .staging import new_table
from .tables import require_tables
from .vector_columns import check_same_model

NUMBER, FOUND = "thanosql_n", "thanosql_found"
"""Columns that the SQL of a function adds to the rows, for itself."""

OLDER_COLUMN = "convert_result"


@dataclass(frozen=True, eq=False)
class Computed:
    """Rows with vectors, and what a function names.

    Attributes:
        node: The statement.
        parts: The SQL of the rows.
        names: Their columns.
        column: The column with the vectors.
        result: The column that the function adds.
    """

    node: Function
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    column: str
    result: str

    @property
    def label(self) -> str:
        """The statement, for messages."""
        return f"{grammar.FUNCTION} {self.node.name}"

    def vector(self, rows: str) -> str:
        """Return the SQL of a row's vector; a list in JSON, as files have it, is made one."""
        column = f"{rows}.{quote_name(self.column)}"
        return f"CASE typeof({column}) WHEN 'text' THEN vec_f32({column}) ELSE {column} END"

    def columns(self, rows: str) -> str:
        """Return the SQL of the rows' columns."""
        return ", ".join(f"{rows}.{quote_name(name)}" for name in self.names)


class Source(NamedTuple):
    """The table that rows are compared with.

    Attributes:
        table: The table, by its schema and the name it was created with.
        columns: Its columns.
        column: The one with the vectors.
        dimension: Their length.
        label: The statement and the table, for messages.
    """

    table: TableName
    columns: list[str]
    column: str
    dimension: int
    label: str


def find_source(
    resolver: Resolver, statement: Function, rows: FunctionRows, content: str
) -> Source:
    """Return the table that ``src_table`` names.

    Args:
        resolver: The text around the statement.
        statement: The statement.
        rows: Its rows.
        content: What the table has, for messages.

    Raises:
        OperationalError: There is no such table, it has no such column, or the column has no
            vectors or those of another model than the rows.
        StatementError: The option is missing.
    """
    arguments, database = resolver.arguments, resolver.context.database
    label = f"{grammar.FUNCTION} {statement.name}"
    name = arguments.option(statement, training_options.SRC_TABLE)
    if name is None:
        raise arguments.error(
            f"{label}: expected the option src_table, the table with {content}", statement
        )
    table = find_table(resolver.context, name, "src_table", content)
    # Computed columns, too, which table_columns leaves out.
    columns = database.columns(f"SELECT * FROM {quote_name(table.schema, table.name)}")
    own = arguments.option(statement, training_options.SRC_EMB_COL, rows.column)
    where = f"{label}, src_table {clip(name)}"
    require_column(columns, own, where, "the vectors", "src_emb_col", place="table")
    vector = quote_name(own)
    first = (
        f"SELECT typeof({vector}), length({vector}), {vector}"
        f" FROM {quote_name(table.schema, table.name)} WHERE {{}} LIMIT 1"
    )
    sample = database.row(first.format(f"typeof({vector}) = 'blob'")) or database.row(
        first.format(f"{vector} IS NOT NULL")
    )
    if sample is None:
        raise OperationalError(f"{where}: column {clip(own)} has no vector")
    kind, length, value = sample
    if kind != "blob" or not length or length % 4:
        raise OperationalError(
            f"{where}: column {clip(own)} holds {clip(value)}, which is no vector; name the"
            " column with the vectors with OPTIONS (src_emb_col='…'), or CONVERT the table first"
        )
    dimension = length // 4
    if rows.dimension not in (None, dimension):
        raise OperationalError(
            f"{where}: column {clip(rows.column)} holds vectors of {rows.dimension} dimensions, and"
            f" column {clip(own)} of the table vectors of {dimension}; they come from different"
            " models and do not compare; nothing was changed"
        )
    if statement.query is not None:
        check_same_model(resolver.context, statement.query, rows.column, table, own, label)
    return Source(table, columns, own, dimension, where)


class FunctionRows(NamedTuple):
    """The rows of a function.

    Attributes:
        parts: Their SQL.
        names: Their columns.
        column: The one with the vectors.
        dimension: The length of the first vector; None where there is none, or it is in JSON.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]
    column: str
    dimension: int | None


def function_rows(resolver: Resolver, statement: Function) -> FunctionRows:
    """Return the rows of a function, of a query or a file.

    Raises:
        OperationalError: They have no vectors.
    """
    context, label = resolver.context, f"{grammar.FUNCTION} {statement.name}"
    if statement.query is None:
        parts: tuple[Part, ...] = (_loaded(resolver, statement),)
    else:
        parts = statement.query.parts
    compiled = resolver.compile(parts)
    try:
        names = context.database.columns(*compiled)
    except OperationalError:
        if statement.query is not None:
            require_tables(context.database, statement.query)
        raise
    for own in (NUMBER, FOUND):
        if any(same_name(name, own) for name in names):
            raise OperationalError(
                f"{label}: the rows have a column {clip(own)}, a name that the statement itself"
                " needs; give it another one in the query after AS; nothing was changed"
            )
    column = resolver.arguments.option(statement, training_options.COMPUTED_EMB_COL)
    if column is None:
        column = _only_vectors(resolver, names, label)
    require_column(names, column, label, "the vectors", "emb_col")
    dimension = None
    if statement.query is None or not does_work(statement.query):
        dimension = _check_sample(resolver, compiled, column, label)
    return FunctionRows(parts, tuple(names), column, dimension)


def _only_vectors(resolver: Resolver, names: list[str], label: str) -> str:
    """Return the column of a query that holds vectors, those of images before those of texts."""
    registry = resolver.context.registry
    found = [name for name in names if name.lower() in registry.vector_names()]
    if len(found) > 1:
        of_texts = {
            each.column_name.lower()
            for each in registry.vector_columns()
            if each.source_type == "text"
        }
        found = [name for name in found if name.lower() not in of_texts]
    if len(found) > 1:
        raise OperationalError(
            f"{label}: several columns hold vectors: {', '.join(found)}; say which with"
            " OPTIONS (emb_col='…')"
        )
    return found[0] if found else OLDER_COLUMN


def _check_sample(resolver: Resolver, compiled: Compiled, column: str, label: str) -> int | None:
    """Check that the first value of a column is a vector, and return its length in numbers."""
    name = quote_name(column)
    sample = resolver.context.database.row(
        f"SELECT typeof({name}), length({name}), {name} FROM ({compiled.sql}\n)"
        f" WHERE {name} IS NOT NULL LIMIT 1",
        compiled.parameters,
    )
    if sample is None:
        return None
    kind, length, value = sample
    is_list = kind == "text" and str(value).lstrip().startswith("[")
    if not is_list and (kind != "blob" or not length or length % 4):
        raise OperationalError(
            f"{label}: column {clip(column)} holds {clip(value)}, which is no vector; name the"
            " column with the vectors with OPTIONS (emb_col='…'), or CONVERT the table first"
        )
    return None if is_list else length // 4


def _loaded(resolver: Resolver, statement: Function) -> str:
    """Put the rows of a file, JSON records or a data frame into a temporary table."""
    from ..sources.tables import Table, frame_table, open_table, records_table
    from .copy import CHUNK, insert_rows

    context, label = resolver.context, f"{grammar.FUNCTION} {statement.name}"
    if resolver.plan.is_stored:
        raise resolver.arguments.error(
            f"{label} FROM … reads a file, and cannot be part of a {resolver.verb}; COPY the file"
            " into a table",
            statement,
        )
    value: Any = resolver.arguments.value(statement.source)
    value = str(value) if isinstance(value, Path) else value
    source: Table
    if hasattr(value, "columns"):
        source = frame_table(value)
    elif not isinstance(value, str):
        raise resolver.arguments.error(
            f"{label}: expected a path, JSON records or a DataFrame after FROM, got {clip(value)}",
            statement,
        )
    elif re.match(r"\s*[\[{]", value):
        source = records_table(value)
    else:
        source = open_table(context.workspace.locate(value))
    table = quote_name("temp", new_table(context))
    columns = list(source.columns)
    with context.database.atomic():
        context.database.execute(f"CREATE TABLE {table} ({', '.join(map(quote_name, columns))})")
        insert_rows(context.database, table, columns, source.rows(), silent, CHUNK)
    return f"SELECT * FROM {table}"


def refuse_taken(label: str, names: Sequence[str], added: str, option: str = "result_col") -> None:
    """Check that a query has no column of a name that is to be added.

    Raises:
        OperationalError: It has.
    """
    if any(same_name(name, added) for name in names):
        raise OperationalError(
            f"{label}: the rows have a column {clip(added)} already; name the new one with"
            f" OPTIONS ({option}='…'), or leave that column out of the query after AS"
        )


def numbered(rows: str) -> str:
    """Return the SQL of rows with their number, counted from 1, as column :data:`NUMBER`."""
    return f"(SELECT row_number() OVER () AS {NUMBER}, q.* FROM {rows} AS q)"
