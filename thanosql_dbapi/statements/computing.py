"""FUNCTION compute.…: what can be asked of vectors that are there. All of it becomes SQL.

So each stands in views, and runs no model. ``groupby_emb_mean`` and ``similarity`` together are
the manuals' own classifier of few examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..language import grammar, training_options
from ..language.names import quote_name
from ..language.tree import Function, TableName
from ..stores.sqlite.compile import Compiler, repr_number
from ..stores.sqlite.similarity import similarity
from .computed import NUMBER, Computed, find_source, function_rows, numbered, refuse_taken
from .resolve import Handler, Resolver
from .row_vectors import require_column

RANK, LABEL, SCORE = (f"thanosql_{name}" for name in ("rank", "label", "score"))


@dataclass(frozen=True, eq=False)
class MeanPlan(Computed):
    """compute.groupby_emb_mean; ``group`` is the column with the labels."""

    group: str


@dataclass(frozen=True, eq=False)
class SimilarityPlan(Computed):
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
    rows = function_rows(resolver, statement)
    group = resolver.arguments.option(statement, training_options.LABEL_COL)
    label = f"{grammar.FUNCTION} {statement.name}"
    require_column(rows[1], group, label, "the labels", "label_col")
    result = resolver.arguments.option(statement, training_options.MEAN_COL)
    refuse_taken(label, (group,), result)
    return MeanPlan(statement, *rows[:3], result, group)


def resolve_similarity(resolver: Resolver, statement: Function) -> SimilarityPlan:
    """Return what compute.similarity will do: the labels of the most similar labelled vectors."""
    arguments, label = resolver.arguments, f"{grammar.FUNCTION} {statement.name}"
    rows = function_rows(resolver, statement)
    source = find_source(resolver, statement, rows, "the labelled vectors")
    own_label = arguments.option(statement, training_options.SRC_LABEL_COL)
    require_column(
        source.columns, own_label, source.label, "the labels", "src_label_col", place="table"
    )
    result = arguments.option(statement, training_options.SIMILARITY_LABEL_COL)
    score = arguments.option(statement, training_options.SCORE_COL)
    refuse_taken(label, rows.names, result)
    if score is not None:
        refuse_taken(label, rows.names, score, "score_col")
    return SimilarityPlan(
        statement,
        *rows[:3],
        result,
        source.table,
        source.column,
        own_label,
        arguments.option(statement, training_options.LABEL_COUNT),
        score,
        source.dimension,
    )


def resolve_duplicates(resolver: Resolver, statement: Function) -> DuplicatesPlan:
    """Return what compute.duplicates will do: the rows that are like another, by groups."""
    rows, arguments = function_rows(resolver, statement), resolver.arguments
    result = arguments.option(statement, training_options.GROUP_COL)
    refuse_taken(f"{grammar.FUNCTION} {statement.name}", rows[1], result)
    return DuplicatesPlan(
        statement, *rows[:3], result, arguments.option(statement, training_options.ALIKE)
    )


def resolve_outliers(resolver: Resolver, statement: Function) -> OutliersPlan:
    """Return what compute.outliers will do: the rows, those least like any others first."""
    rows, arguments = function_rows(resolver, statement), resolver.arguments
    result = arguments.option(statement, training_options.OUTLIER_COL)
    refuse_taken(f"{grammar.FUNCTION} {statement.name}", rows[1], result)
    return OutliersPlan(
        statement,
        *rows[:3],
        result,
        arguments.option(statement, training_options.NEIGHBORS),
        arguments.option(statement, training_options.MOST_UNLIKE),
    )


def _mean(compiler: Compiler, plan: MeanPlan) -> str:
    group = f"q.{quote_name(plan.group)}"
    return (
        f"SELECT {group} AS {quote_name(plan.group)}, vector_mean({plan.vector('q')}) AS"
        f" {quote_name(plan.result)} FROM ({compiler.parts(plan.parts)}\n) AS q GROUP BY {group}"
    )


def _similarity(compiler: Compiler, plan: SimilarityPlan) -> str:
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
        f" FROM {numbered(rows)} AS q CROSS JOIN {table} AS s"
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
        f"SELECT * FROM (WITH thanosql_rows AS (SELECT * FROM {numbered(rows)})"
        f" SELECT {plan.columns('r')}, json_extract(g.value, '$[1]') AS {quote_name(plan.result)}"
        f" FROM json_each((SELECT {call} FROM thanosql_rows AS r)) AS g"
        f" CROSS JOIN thanosql_rows AS r ON r.{NUMBER} = json_extract(g.value, '$[0]'){end})"
    )


MEAN = Handler(resolve_mean, selects={MeanPlan: _mean})
SIMILARITY = Handler(resolve_similarity, selects={SimilarityPlan: _similarity})
DUPLICATES = Handler(resolve_duplicates, selects={DuplicatesPlan: _duplicates})
OUTLIERS = Handler(resolve_outliers, selects={OutliersPlan: _outliers})
