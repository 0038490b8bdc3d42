"""FUNCTION compute.nearest: for each row of a query, the k most similar rows of a table.

It becomes SQL. An aggregate compares the rows with the table, block by block, and gives the row ids
and similarities of all pairs in one BLOB; the SQL around it looks the rows up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..errors import OperationalError, clip
from ..language import grammar, training_options
from ..language.names import quote_name, quote_text
from ..language.tree import Function, TableName
from ..stores.sqlite.compile import Compiler
from ..stores.sqlite.nearest import PAIR, spec_of
from .computed import FOUND, NUMBER, Computed, find_source, function_rows, numbered, refuse_taken
from .resolve import Handler, Resolver
from .row_vectors import require_column

_HALF = PAIR // 2
_FEW = 1000  # neighbours of a row; a table need not be counted for so few
_MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class NearestPlan(Computed):
    """compute.nearest.

    Attributes:
        table: The table that is searched.
        row_id: A name of its row id.
        own_vector: Its column of vectors.
        own_key: Its column that says which row it is.
        key: The query's column with the key of the row itself, or None.
        count: How many neighbours a row gets.
        score: The column of the similarity.
        rank: The column of the rank.
        dimension: Length of the vectors.
    """

    table: TableName
    row_id: str
    own_vector: str
    own_key: str
    key: str | None
    count: int
    score: str
    rank: str
    dimension: int


def resolve_nearest(resolver: Resolver, statement: Function) -> NearestPlan:
    """Return what compute.nearest will do.

    Raises:
        OperationalError: A table or a column is missing, a column holds no vectors or those of
            another model, or the rows have a column of a name that is to be added.
        StatementError: An option is missing or has a value of another kind.
    """
    arguments, database = resolver.arguments, resolver.context.database
    label = f"{grammar.FUNCTION} {statement.name}"
    rows = function_rows(resolver, statement)
    source = find_source(resolver, statement, rows, "the vectors that are searched")
    table = source.table
    found = database.find_table(table.schema, table.name)
    row_id = database.row_id(table.schema or "main", table.name)
    if row_id is None or found is None or found[2] != "table":
        raise OperationalError(
            f"{source.label}: it is a view, or has no row ids; CREATE TABLE … AS SELECT * FROM"
            f" {clip(table.name)} makes a table that can be searched; nothing was changed"
        )
    own_key = arguments.option(statement, training_options.SRC_KEY_COL)
    if own_key is not None and own_key.lower() not in ("rowid", "_rowid_", "oid"):
        require_column(
            source.columns, own_key, source.label, "the keys", "src_key_col", place="table"
        )
    key = arguments.option(statement, training_options.KEY_COL)
    if key is not None:
        require_column(rows.names, key, label, "the keys", "key_col")
    added = {
        option: arguments.option(statement, option)
        for option in (
            training_options.NEIGHBOR_COL,
            training_options.NEIGHBOR_SCORE_COL,
            training_options.NEIGHBOR_RANK_COL,
        )
    }
    there = list(rows.names)
    for option, name in added.items():
        refuse_taken(label, there, name, option.name)
        there.append(name)
    result, score, rank = added.values()
    return NearestPlan(
        statement,
        *rows[:3],
        result,
        table,
        row_id,
        source.column,
        own_key or row_id,
        key,
        _count(resolver, statement, table),
        score,
        rank,
        source.dimension,
    )


def _count(resolver: Resolver, statement: Function, table: TableName) -> int:
    """Return how many neighbours a row gets: no more than there are rows, where that is known.

    A place is kept for each, so that ``top_k`` of "all" would take far too many.
    """
    arguments = resolver.arguments
    count: int = arguments.option(statement, training_options.NEIGHBOR_COUNT)
    if count > _FEW and not resolver.plan.is_stored:  # a view finds other rows later
        rows = f"SELECT 1 FROM {quote_name(table.schema, table.name)} LIMIT {count}"
        ((there,),) = resolver.context.database.rows(f"SELECT count(*) FROM ({rows})")
        count = max(1, there)
    if count > _MOST:
        raise arguments.error(
            f"{grammar.FUNCTION} {statement.name}: option 'top_k' must be at most {_MOST:,}, got"
            f" {count:,}; ask for fewer; nothing was changed",
            statement,
        )
    return count


def _nearest(compiler: Compiler, plan: NearestPlan) -> str:
    rows, table = f"({compiler.parts(plan.parts)}\n)", plan.table
    spec = spec_of(
        table.schema,
        table.name,
        plan.row_id,
        plan.own_vector,
        plan.dimension,
        None if plan.key is None else plan.own_key,
    )
    key = "NULL" if plan.key is None else f"r.{quote_name(plan.key)}"
    call = f"thanosql_nearest(r.{NUMBER}, {plan.vector('r')}, {key}, {plan.count},"
    call += f" {quote_text(spec)})"
    width = plan.count * PAIR
    own = (
        f"substr((SELECT {call} FROM thanosql_rows AS r), {width} * (t.{NUMBER} - 1) + 1, {width})"
    )
    value = f"thanosql_real(substr(r.{FOUND}, {PAIR} * g.value + {_HALF + 1}, {_HALF}))"
    pair = f"thanosql_integer(substr(r.{FOUND}, {PAIR} * g.value + 1, {_HALF}))"
    ranks = quote_text(json.dumps(list(range(plan.count))))
    neighbor = f"s.{plan.row_id}"
    # OFFSET keeps SQLite from computing the BLOB of a row once for each mention.
    return (
        f"SELECT * FROM (WITH thanosql_rows AS (SELECT * FROM {numbered(rows)})"
        f" SELECT {plan.columns('r')}, s.{quote_name(plan.own_key)} AS {quote_name(plan.result)},"
        f" {value} AS {quote_name(plan.score)},"
        f" CASE WHEN {neighbor} IS NOT NULL THEN g.value + 1 END AS {quote_name(plan.rank)}"
        f" FROM (SELECT t.*, {own} AS {FOUND} FROM thanosql_rows AS t LIMIT -1 OFFSET 0) AS r"
        f" CROSS JOIN json_each({ranks}) AS g"
        f" LEFT JOIN {quote_name(table.schema, table.name)} AS s"
        f" ON {neighbor} = CASE WHEN {value} IS NOT NULL THEN {pair} END"
        f" WHERE g.value = 0 OR {neighbor} IS NOT NULL)"
    )


HANDLER = Handler(resolve_nearest, selects={NearestPlan: _nearest})
