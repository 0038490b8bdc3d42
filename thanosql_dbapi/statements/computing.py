"""FUNCTION compute.…: what can be asked of vectors that are there. All of it becomes SQL.

So each stands in views, and runs no model. ``groupby_emb_mean`` and ``similarity`` together are
the manuals' own classifier of few examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OperationalError, clip
from ..language import grammar, training_options
from ..language.names import quote_name, same_name
from ..language.tree import Function, Part, TableName
from ..progress import silent
from ..stores.sqlite.compile import Compiled, Compiler, repr_number
from ..stores.sqlite.similarity import similarity
from .labelling import find_table
from .resolve import Handler, Resolver, does_work
from .row_vectors import require_column
from .staging import new_table
from .tables import require_tables

NUMBER, RANK, LABEL, SCORE = (f"thanosql_{name}" for name in ("n", "rank", "label", "score"))
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


@dataclass(frozen=True, eq=False)
class MeanPlan(Computed):
    """compute.groupby_emb_mean; ``group`` is the column with the labels."""

    group: str


@dataclass(frozen=True, eq=False)
class NearestPlan(Computed):
    """compute.similarity.

    Attributes:
        table: The table with the labelled vectors.
        own_vector: Its column of vectors.
        own_label: Its column of labels.
        count: How many of the nearest a row gets.
        score: The column of the similarity, or None.
        dimension: Length of the vectors.
    """

    table: TableName
    own_vector: str
    own_label: str
    count: int
    score: str | None
    dimension: int


@dataclass(frozen=True, eq=False)
class DuplicatesPlan(Computed):
    """compute.duplicates; ``threshold`` is the least cosine of two rows that are alike."""

    threshold: float


@dataclass(frozen=True, eq=False)
class OutliersPlan(Computed):
    """compute.outliers; ``neighbors`` others are looked at, ``limit`` rows shown, or all."""

    neighbors: int
    limit: int | None


def resolve_mean(resolver: Resolver, statement: Function) -> MeanPlan:
    """Return what compute.groupby_emb_mean will do: one row a label, its mean vector."""
    rows = _rows(resolver, statement)
    group = resolver.arguments.option(statement, training_options.LABEL_COL)
    label = f"{grammar.FUNCTION} {statement.name}"
    require_column(rows[1], group, label, "the labels", "label_col")
    result = resolver.arguments.option(statement, training_options.MEAN_COL)
    _refuse_taken(label, (group,), result)
    return MeanPlan(statement, *rows, result, group)


def resolve_nearest(resolver: Resolver, statement: Function) -> NearestPlan:
    """Return what compute.similarity will do: the labels of the most similar labelled vectors."""
    arguments, database = resolver.arguments, resolver.context.database
    label = f"{grammar.FUNCTION} {statement.name}"
    name = arguments.option(statement, training_options.SRC_TABLE)
    if name is None:
        raise arguments.error(
            f"{label}: expected the option src_table, the table with the labelled vectors",
            statement,
        )
    parts, names, column = _rows(resolver, statement)
    table = find_table(resolver.context, name, "src_table")
    there = [each for each, _ in database.table_columns(table.schema, table.name)]
    own_vector = arguments.option(statement, training_options.SRC_EMB_COL, column)
    own_label = arguments.option(statement, training_options.SRC_LABEL_COL)
    where = f"{label}, src_table {clip(name)}"
    require_column(there, own_vector, where, "the vectors", "src_emb_col", place="table")
    require_column(there, own_label, where, "the labels", "src_label_col", place="table")
    vector = quote_name(own_vector)
    sample = database.row(
        f"SELECT length({vector}) FROM {quote_name(table.schema, table.name)}"
        f" WHERE typeof({vector}) = 'blob' LIMIT 1"
    )
    if sample is None:
        raise OperationalError(f"{where}: column {clip(own_vector)} has no vector")
    result = arguments.option(statement, training_options.SIMILARITY_LABEL_COL)
    score = arguments.option(statement, training_options.SCORE_COL)
    for added in (result, *([score] if score is not None else [])):
        _refuse_taken(label, names, added)
    return NearestPlan(
        statement,
        parts,
        names,
        column,
        result,
        table,
        own_vector,
        own_label,
        arguments.option(statement, training_options.NEAREST),
        score,
        sample[0] // 4,
    )


def resolve_duplicates(resolver: Resolver, statement: Function) -> DuplicatesPlan:
    """Return what compute.duplicates will do: the rows that are like another, by groups."""
    rows, arguments = _rows(resolver, statement), resolver.arguments
    result = arguments.option(statement, training_options.GROUP_COL)
    _refuse_taken(f"{grammar.FUNCTION} {statement.name}", rows[1], result)
    return DuplicatesPlan(
        statement, *rows, result, arguments.option(statement, training_options.ALIKE)
    )


def resolve_outliers(resolver: Resolver, statement: Function) -> OutliersPlan:
    """Return what compute.outliers will do: the rows, those least like any others first."""
    rows, arguments = _rows(resolver, statement), resolver.arguments
    result = arguments.option(statement, training_options.OUTLIER_COL)
    _refuse_taken(f"{grammar.FUNCTION} {statement.name}", rows[1], result)
    return OutliersPlan(
        statement,
        *rows,
        result,
        arguments.option(statement, training_options.NEIGHBORS),
        arguments.option(statement, training_options.MOST_UNLIKE),
    )


def _rows(resolver: Resolver, statement: Function) -> tuple[tuple[Part, ...], tuple[str, ...], str]:
    """Return the SQL of a function's rows, their columns, and the one with the vectors."""
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
    column = resolver.arguments.option(statement, training_options.COMPUTED_EMB_COL)
    if column is None:
        column = _only_vectors(resolver, names, label)
    require_column(names, column, label, "the vectors", "emb_col")
    if statement.query is None or not does_work(statement.query):
        _check_sample(resolver, compiled, column, label)
    return parts, tuple(names), column


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


def _check_sample(resolver: Resolver, compiled: Compiled, column: str, label: str) -> None:
    name = quote_name(column)
    sample = resolver.context.database.row(
        f"SELECT typeof({name}), length({name}), {name} FROM ({compiled.sql}\n)"
        f" WHERE {name} IS NOT NULL LIMIT 1",
        compiled.parameters,
    )
    if sample is None:
        return
    kind, length, value = sample
    is_list = kind == "text" and str(value).lstrip().startswith("[")
    if not is_list and (kind != "blob" or not length or length % 4):
        raise OperationalError(
            f"{label}: column {clip(column)} holds {clip(value)}, which is no vector; name the"
            " column with the vectors with OPTIONS (emb_col='…'), or CONVERT the table first"
        )


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


def _refuse_taken(label: str, names: tuple[str, ...], added: str) -> None:
    if any(same_name(name, added) for name in names):
        raise OperationalError(
            f"{label}: the rows have a column {clip(added)} already; name the new one with"
            " OPTIONS (result_col='…'), or leave that column out of the query after AS"
        )


def _mean(compiler: Compiler, plan: MeanPlan) -> str:
    group = f"q.{quote_name(plan.group)}"
    return (
        f"SELECT {group} AS {quote_name(plan.group)}, vector_mean({plan.vector('q')}) AS"
        f" {quote_name(plan.result)} FROM ({compiler.parts(plan.parts)}\n) AS q GROUP BY {group}"
    )


def _nearest(compiler: Compiler, plan: NearestPlan) -> str:
    own = f"s.{quote_name(plan.own_vector)}"
    size = 4 * plan.dimension
    is_vector = f"typeof({own}) = 'blob' AND length({own}) = {size}"
    near = similarity(f"({plan.vector('q')})", plan.dimension, own)
    value = f"CASE WHEN {is_vector} THEN {near} END"
    table = quote_name(plan.table.schema, plan.table.name)
    label, result = f"s.{quote_name(plan.own_label)}", quote_name(plan.result)
    rows = f"({compiler.parts(plan.parts)}\n)"
    if plan.count == 1:
        # An ORDER BY of its own cannot name a column of the SELECT around it.
        each = f"(SELECT {label} AS label, {value} AS value FROM {table} AS s)"
        best = f"FROM {each} WHERE value IS NOT NULL ORDER BY value DESC LIMIT 1"
        score = f", (SELECT value {best}) AS {quote_name(plan.score)}" if plan.score else ""
        return f"SELECT q.*, (SELECT label {best}) AS {result}{score} FROM {rows} AS q"
    ranked = (
        f"SELECT q.*, {label} AS {LABEL}, {value} AS {SCORE}, row_number() OVER"
        f" (PARTITION BY q.{NUMBER} ORDER BY {value} DESC) AS {RANK}"
        f" FROM {_numbered(rows)} AS q CROSS JOIN {table} AS s"
    )
    score = f", r.{SCORE} AS {quote_name(plan.score)}" if plan.score else ""
    return (
        f"SELECT * FROM (SELECT {plan.columns('r')},"
        f" CASE WHEN r.{SCORE} IS NOT NULL THEN r.{LABEL} END AS {result}{score}"
        f" FROM ({ranked}) AS r WHERE r.{RANK} = 1"
        f" OR (r.{RANK} <= {plan.count} AND r.{SCORE} IS NOT NULL)"
        f" ORDER BY r.{NUMBER}, r.{RANK})"
    )


def _duplicates(compiler: Compiler, plan: DuplicatesPlan) -> str:
    call = f"thanosql_duplicates(r.{NUMBER}, {plan.vector('r')}, {repr_number(plan.threshold)})"
    return _listed(compiler, plan, call)


def _outliers(compiler: Compiler, plan: OutliersPlan) -> str:
    call = f"thanosql_outliers(r.{NUMBER}, {plan.vector('r')}, {plan.neighbors})"
    return _listed(compiler, plan, call, plan.limit)


def _listed(compiler: Compiler, plan: Computed, call: str, limit: int | None = None) -> str:
    """Return the rows that an aggregate over all of them lists, in its order."""
    rows = f"({compiler.parts(plan.parts)}\n)"
    end = "" if limit is None else f" LIMIT {limit}"
    return (
        f"SELECT * FROM (WITH thanosql_rows AS (SELECT * FROM {_numbered(rows)})"
        f" SELECT {plan.columns('r')}, json_extract(g.value, '$[1]') AS {quote_name(plan.result)}"
        f" FROM json_each((SELECT {call} FROM thanosql_rows AS r)) AS g"
        f" CROSS JOIN thanosql_rows AS r ON r.{NUMBER} = json_extract(g.value, '$[0]'){end})"
    )


def _numbered(rows: str) -> str:
    return f"(SELECT row_number() OVER () AS {NUMBER}, q.* FROM {rows} AS q)"


MEAN = Handler(resolve_mean, selects={MeanPlan: _mean})
NEAREST = Handler(resolve_nearest, selects={NearestPlan: _nearest})
DUPLICATES = Handler(resolve_duplicates, selects={DuplicatesPlan: _duplicates})
OUTLIERS = Handler(resolve_outliers, selects={OutliersPlan: _outliers})
