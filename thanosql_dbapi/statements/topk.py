"""Top-k similarity queries: the matrix names candidates, and SQLite compares only those.

The statement runs unchanged over the candidates, with one condition more. What it lets through,
how it orders rows that are equally similar and what it returns of them is thus SQLite's business,
and the answer is that of a scan. A *probe* makes sure of it before: the same SELECT, of the
similarities alone.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from ..language.names import same_name
from ..language.select import common_names
from ..language.topk import (
    Bound,
    FunctionTopK,
    SearchTopK,
    function_for_best,
    searches_for_best,
    words_of,
)
from ..language.tree import Query, Ranked
from ..language.walk import statements_in
from ..planning.answer import Answer, Way
from ..planning.arguments import Arguments
from ..planning.plans import UNRESTRICTED, Plan, SearchPlan, TopK
from ..stores.sqlite.compile import Compiled, compile_parts, compile_plan, compile_probe
from ..stores.sqlite.database import Database
from ..stores.sqlite.similarity import COMPARING
from ..stores.sqlite.state import SearchStats
from ..stores.sqlite.topk.best import best_rows
from ..stores.sqlite.topk.matrices import Current, Declined
from ..stores.sqlite.topk.quantized import products_problem
from ..vectors import to_vector
from .context import Context
from .resolve import does_work

_PATIENCE = 15
"""Searches of one text that scan without a try after one for which the matrix was no help."""

_MOST_STATS = 256

FEWEST_ROWS = 64
"""Rows that SQLite compares in the time that candidates of so few take (benchmarks.overhead)."""

# Lines of EXPLAIN QUERY PLAN for rows that come in the order of their ids: a full scan, a look-up
# by row id, and what does not order rows. Any other line may mean another order.
_IN_ORDER = re.compile(
    r"SCAN (?!.*\bUSING\b).*"
    r"|SCAN .* VIRTUAL TABLE INDEX \d+:"
    r"|SEARCH .* USING INTEGER PRIMARY KEY \(rowid.*\)"
    r"|(?:LIST|SCALAR|CORRELATED SCALAR|CORRELATED LIST) SUBQUERY \d+"
    r"|(?:CO-ROUTINE|MATERIALIZE) .*"
    r"|USE TEMP B-TREE FOR (?:LAST \d+ TERMS? OF |RIGHT PART OF )?ORDER BY"
    r"|USING ROWID SEARCH ON TABLE .* FOR IN-OPERATOR"
    r"|CREATE BLOOM FILTER|BLOOM FILTER ON .*"
)

_explained = itertools.count()
_EXPLAIN = re.compile(r"\A\s*EXPLAIN(?:\s+QUERY\s+PLAN)?\b", re.IGNORECASE)


def compile_best(
    context: Context, arguments: Arguments, plan: Plan, *, may_narrow: bool
) -> Compiled:
    """Return the SQL of a text, its top-k queries restricted to candidates where that is right.

    Args:
        context: The connection.
        arguments: What the caller bound.
        plan: The text.
        may_narrow: Whether candidates may be used at all.
    """
    if plan.is_stored or does_work(plan.query):
        return compile_plan(plan, arguments)
    candidates = _Candidates(context, arguments, plan, may_narrow)
    for each in _searches(plan):
        if each.limit is not None:
            with _noted(context):
                candidates.find(_own(each, each.limit))
    for shape in searches_for_best(plan.query):
        search = cast("SearchPlan", plan.nodes[shape.search.offset])
        if search.limit is None:
            with _noted(context):
                candidates.find(_around(arguments, shape, search))
    sql, parameters = compile_plan(plan, arguments, candidates.restriction)
    return Compiled(sql, {**parameters, **candidates.parameters})


def compile_ranked(
    context: Context, arguments: Arguments, statement: Ranked, *, may_narrow: bool
) -> Compiled | None:
    """Return plain SQL that calls the functions, over candidates; None to run it unchanged."""
    shape = function_for_best(statement.query)
    assert shape is not None
    plan = Plan(statement.query)
    candidates = _Candidates(context, arguments, plan, may_narrow)
    with _noted(context):
        best = _called(context, arguments, plan, shape)
        candidates.find(best)
        parts = shape.whole.parts(candidates.restriction[best.key])
        sql, parameters = compile_parts(plan, parts, arguments)
        return Compiled(sql, {**parameters, **candidates.parameters})
    return None


def is_search_only(query: Query) -> bool:
    """Return whether a statement reads, and does nothing else."""
    return query.verb in {"SELECT", "EXPLAIN"} and not does_work(query)


# -- what is asked ------------------------------------------------------------------------------


def _searches(plan: Plan) -> Iterator[SearchPlan]:
    for statement in statements_in(plan.query):
        found = plan.nodes[statement.offset]
        if isinstance(found, SearchPlan):
            yield found


def _own(search: SearchPlan, limit: int) -> TopK:
    """Return the top-k query that a SEARCH with ``top_k`` is itself."""
    if search.narrowing is None:
        raise Declined("the rows searched are not those of one table with a WHERE at most")
    vector = search.vectors[0].vector
    return TopK(None, search, search.narrowing, search.column, vector, limit)


def _around(arguments: Arguments, shape: SearchTopK, search: SearchPlan) -> TopK:
    """Return the top-k query that a SELECT around a SEARCH is."""
    numbers = [n for n, name in enumerate(search.names) if same_name(name, shape.similarity)]
    if len(numbers) != 1:
        raise Declined(f"{shape.similarity!r} is not a similarity of the SEARCH")
    if search.narrowing is None:
        raise Declined("the rows searched are not those of one table with a WHERE at most")
    vector = search.vectors[numbers[0]].vector
    wanted = _wanted(arguments, shape)
    return TopK(shape, search, search.narrowing, search.column, vector, wanted)


def _called(context: Context, arguments: Arguments, plan: Plan, shape: FunctionTopK) -> TopK:
    """Return the top-k query that a SELECT with the function is; its vector is computed."""
    value = compile_parts(plan, shape.value, arguments)
    row = context.database.row(f"SELECT {value.sql}", value.parameters)
    if row is None or not isinstance(row[0], bytes) or not row[0] or len(row[0]) % 4:
        raise Declined("what the rows are compared with is not a vector")
    wanted = _wanted(arguments, shape)
    return TopK(shape, None, shape.whole, shape.column, row[0], wanted, is_strict=True)


def _wanted(arguments: Arguments, shape: SearchTopK | FunctionTopK) -> int:
    limit, offset = (_number(arguments, bound) for bound in (shape.limit, shape.offset))
    if limit < 1 or offset < 0:
        raise Declined(f"LIMIT is {limit}")
    return limit + offset


def _number(arguments: Arguments, bound: Bound) -> int:
    value = bound if isinstance(bound, int) else arguments.value(bound)
    if type(value) is not int:
        raise Declined("LIMIT is not a whole number")
    return value


# -- candidates ---------------------------------------------------------------------------------


@dataclass
class _Candidates:
    """The candidate rows of a text's top-k queries, found one query after another.

    Attributes:
        context: The connection.
        arguments: What the caller bound.
        plan: The text.
        may_narrow: Whether candidates may be used at all.
        restriction: For each top-k query that has candidates, the condition that a row is one.
        parameters: What the conditions are bound to.
    """

    context: Context
    arguments: Arguments
    plan: Plan
    may_narrow: bool
    restriction: dict[int, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    def find(self, best: TopK) -> None:
        """Find the candidates of a top-k query.

        Raises:
            Declined: A scan answers.
        """
        if not self.may_narrow:
            raise Declined(
                "other connections may write meanwhile; a transaction would keep them out"
            )
        own = self.context.state.own_functions
        if own and (called := own.intersection(words_of(self.arguments.sql) | COMPARING)):
            raise Declined(f"{min(called)!r} is a function of the program, which may have a memory")
        if problem := products_problem():
            raise Declined(problem)
        stats = _stats(self.context, self.arguments)
        if stats.scans > 0:
            stats.scans -= 1
            raise Declined("the matrix was no help the last time")
        current = self._current(best)
        if len(current.matrix) <= FEWEST_ROWS:
            raise Declined(f"a scan of {len(current.matrix)} rows is as quick")
        place = f"thanosql_rows{len(self.parameters)}"
        condition = (
            f"{best.narrowing.table.reference}.{current.column.row_id} IN"
            f" (SELECT value FROM json_each(:{place}) AS thanosql_matrix)"
        )
        try:
            rows = self._rows(best, stats, current, condition, place)
        except Declined as reason:
            if reason.is_expensive:
                stats.scans, stats.first = _PATIENCE, 0
            raise
        self.restriction[best.key] = condition
        self.parameters[place] = json.dumps(rows)
        self.context.state.answers.append(Answer(Way.MATRIX, len(current.matrix), len(rows)))

    def _current(self, best: TopK) -> Current:
        table = best.narrowing.table.table
        if table.schema is None and table.name.lower() in common_names(self.plan.query):
            raise Declined(f"{table.name!r} is what a WITH defines")
        dimension = len(best.vector) // 4
        context = self.context
        current = context.matrices.current(
            context.database, table, best.column, dimension, context.moment
        )
        if best.is_strict and not current.matrix.is_uniform:
            raise Declined(
                f"column {current.column.name!r} does not hold vectors of"
                f" {current.column.dimension} dimensions alone"
            )
        return current

    def _rows(
        self, best: TopK, stats: SearchStats, current: Current, condition: str, place: str
    ) -> list[int]:
        """Return the candidates' row ids."""
        database = self.context.database
        narrow = self._probe(best, condition)
        if stats.by_index is None:
            stats.by_index = _is_by_index(database, *self._probe(best))
        if stats.by_index and stats.trusted == 0:
            # To compare what an index finds is as quick up to about so many rows.
            least = max(100, len(current.matrix) // 60)
            _require_many(database, *self._probe(best), least)
            stats.trusted = _PATIENCE
        stats.trusted = max(0, stats.trusted - 1)

        def probe(rows: list[int], count: int) -> list[float]:
            sql = f"{narrow.sql}\n ORDER BY 1 DESC LIMIT {count}"
            found = database.rows(sql, {**narrow.parameters, place: json.dumps(rows)})
            return [value for (value,) in found if value is not None]

        first = max(stats.first, best.wanted)
        vector = to_vector(best.vector)
        rows, values, stats.first = best_rows(current, vector, best.wanted, first, probe)
        # Rows that are equally similar come in the order in which they are read.
        if len(set(values)) < len(values):
            # SQLite may choose other indexes for the statement than for a probe, or others today.
            scan, restricted = self._whole(best), self._whole(best, condition)
            bound = {**restricted.parameters, place: "[]"}
            if _is_by_index(database, *scan) or _is_by_index(database, restricted.sql, bound):
                raise Declined("rows are equally similar, and an index puts them in order")
        return rows

    def _whole(self, best: TopK, condition: str = "") -> Compiled:
        """Return the statement that is executed, without the EXPLAIN before it."""
        plan, restriction = self.plan, {best.key: condition} if condition else UNRESTRICTED
        if best.search is None and condition:
            whole = compile_parts(plan, best.narrowing.parts(condition), self.arguments)
        else:
            whole = compile_plan(plan, self.arguments, restriction)
        return whole._replace(sql=_EXPLAIN.sub("", whole.sql))

    def _probe(self, best: TopK, condition: str = "") -> Compiled:
        return compile_probe(self.plan, best, self.arguments, condition)


def _stats(context: Context, arguments: Arguments) -> SearchStats:
    """Return what was learnt of the statement's n-th SELECT of the best rows."""
    state = context.state
    key = arguments.sql, len(state.answers)
    if key not in state.search_stats and len(state.search_stats) >= _MOST_STATS:
        state.search_stats.clear()
    return state.search_stats.setdefault(key, SearchStats())


def _is_by_index(database: Database, sql: str, parameters: dict[str, Any]) -> bool:
    # A new text each time: sqlite3 keeps prepared statements, and an EXPLAIN, which reads no table,
    # is never prepared again for a schema that has changed.
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}\n/* {next(_explained)} */", parameters)
    return not all(_IN_ORDER.fullmatch(row[-1]) for row in plan)


def _require_many(database: Database, sql: str, parameters: dict[str, Any], count: int) -> None:
    """Raise Declined when an index finds only a few rows: then they are all compared."""
    counting = f"SELECT count(*) FROM (SELECT 1 FROM ({sql}\n) LIMIT {count})"
    row = database.row(counting, parameters)
    if row is None or row[0] < count:
        raise Declined("an index finds its few rows", is_expensive=True)


@contextmanager
def _noted(context: Context) -> Iterator[None]:
    """Let a scan answer where the matrix declines, and note why."""
    try:
        yield
    except Declined as reason:
        context.state.answers.append(Answer(Way.SCAN, reason=str(reason)))
    except MemoryError:
        context.state.answers.append(Answer(Way.SCAN, reason="there is no memory for the matrix"))
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "SQLITE_INTERRUPT") == "SQLITE_INTERRUPT" and (
            str(error) == "interrupted"
        ):
            raise
        # The scan fails likewise, or it does not need what failed.
        context.state.answers.append(Answer(Way.SCAN, reason=str(error)))
