"""Statements that want the best rows: the matrix names candidates, and SQLite sees only those.

A statement is run over the candidates as it stands, with one condition more. What it lets
through, how it orders rows that are equally similar and what it returns of them is thus SQLite's
business, and the answer is that of a scan. A *probe* makes sure of it before: the same SELECT, of
the similarities alone.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..language.names import quote_name, same_name
from ..language.ranking import (
    Bound,
    FunctionRanking,
    SearchRanking,
    search_rankings,
    table_filter,
)
from ..language.select_core import Filter
from ..language.tree import Parameter, Query, Search
from ..settings import Habit
from ..stores.sqlite.database import Database
from ..stores.sqlite.topk.matrices import Current, Declined, best_rows
from ..vectors import to_vector
from .query import Lowering, lower

if TYPE_CHECKING:
    from .context import Context
    from .plan import SearchPlan

_PATIENCE = 15
"""Searches of one text that scan without a try after one for which the matrix was no help."""

_HABITS_LIMIT = 256

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


@dataclass(frozen=True)
class _Question:
    """One SELECT of the best rows.

    Attributes:
        filter: Its table, and where to narrow its rows.
        column: The vector column.
        vector: float32 bytes of the vector that is compared with.
        wanted: Rows it asks for, those it passes over included.
        similarities: Gives the SQL of its similarities, with one condition more or none.
        is_strict: Whether a value of another length is an error, and not just NULL.
    """

    filter: Filter
    column: str
    vector: bytes
    wanted: int
    similarities: Callable[[str], str]
    is_strict: bool = False


def lower_ranked(lowering: Lowering, query: Query) -> str:
    """Return the plain SQL of a query, over candidates only where that gives the same rows."""
    sql = lower(lowering, query)
    if lowering.is_stored or not has_searches_only(query):
        return sql
    for ranking in search_rankings(query):
        plan = lowering.searches[ranking.search]
        if plan.limit is None:
            with _noted(lowering.context):
                if _count(query, ranking.search) > 1:
                    raise Declined("the same SEARCH stands in the text more than once")
                lowering.narrowed[ranking.search] = _narrow_ranking(lowering, ranking, plan)
    return lower(lowering, query) if lowering.narrowed else sql


def narrow_search(lowering: Lowering, search: Search, plan: SearchPlan) -> None:
    """Narrow the rows of a SEARCH that keeps the best ones itself (``top_k``)."""
    if lowering.is_stored or plan.limit is None or not has_searches_only(search.query):
        return
    with _noted(lowering.context):
        narrowing = _table_filter(search, plan)
        least = "" if plan.threshold is None else f" WHERE v >= {plan.threshold!r}"

        def similarities(condition: str) -> str:
            rows = lower(lowering, narrowing.narrowed(condition))
            return f"SELECT v FROM (SELECT {plan.similarity(0)} AS v FROM ({rows}\n) AS q){least}"

        question = _Question(narrowing, plan.column, plan.vectors[0][1], plan.limit, similarities)
        lowering.narrowed[search] = narrowing.narrowed(_candidates(lowering, question))


def lower_call(lowering: Lowering, ranking: FunctionRanking) -> str | None:
    """Return plain SQL that calls the functions, over candidates; None to run it as it stands."""
    with _noted(lowering.context):
        row = lowering.context.database.row(
            f"SELECT {lower(lowering, ranking.value)}", lowering.bindings
        )
        if row is None or not isinstance(row[0], bytes) or not row[0] or len(row[0]) % 4:
            raise Declined("what the rows are compared with is no vector")

        def similarities(condition: str) -> str:
            similarity = lower(lowering, ranking.similarity)
            return f"SELECT {similarity}\n AS v {lower(lowering, ranking.rows.narrowed(condition))}"

        question = _Question(
            ranking.whole,
            ranking.column,
            row[0],
            _wanted(lowering, ranking),
            similarities,
            is_strict=True,
        )
        return lower(lowering, ranking.whole.narrowed(_candidates(lowering, question)))
    return None


def _narrow_ranking(lowering: Lowering, ranking: SearchRanking, plan: SearchPlan) -> Query:
    search = ranking.search
    numbers = [n for n, name in enumerate(plan.names) if same_name(name, ranking.similarity)]
    if len(numbers) != 1:
        raise Declined(f"{ranking.similarity!r} is no similarity of the SEARCH")
    narrowing = _table_filter(search, plan)

    def similarities(condition: str) -> str:
        lowering.narrowed[search] = narrowing.narrowed(condition)
        try:
            return f"SELECT {quote_name(ranking.similarity)} AS v {lower(lowering, ranking.rows)}"
        finally:
            del lowering.narrowed[search]

    vector = plan.vectors[numbers[0]][1]
    question = _Question(narrowing, plan.column, vector, _wanted(lowering, ranking), similarities)
    return narrowing.narrowed(_candidates(lowering, question))


def _candidates(lowering: Lowering, question: _Question) -> str:
    """Return the condition that a row is a candidate.

    Raises:
        Declined: The scan is to answer.
    """
    if not lowering.may_narrow:
        raise Declined("other connections may write meanwhile; a transaction would keep them out")
    habit = _habit(lowering)
    if habit.scans > 0:
        habit.scans -= 1
        raise Declined("the matrix was no help the last time")
    current = _current(lowering, question)
    place = lowering.bindings.add("[]")
    condition = (
        f"{question.filter.table.reference}.{current.column.row_id} IN"
        f" (SELECT value FROM json_each({place}) AS thanosql_matrix)"
    )
    try:
        rows = _narrowed(lowering, question, habit, current, condition, place)
    except Declined as reason:
        if reason.was_dear:
            habit.scans, habit.first = _PATIENCE, 0
        raise
    lowering.context.state.notes.append(
        f"the matrix, of {len(current.matrix):,} rows; {len(rows):,} are compared"
    )
    return condition


def _current(lowering: Lowering, question: _Question) -> Current:
    table = question.filter.table.table
    if table.schema is None and table.name.lower() in lowering.common:
        raise Declined(f"{table.name!r} is what a WITH defines")
    context = lowering.context
    context.note_version()
    current = context.matrices.current(
        context.database, table, question.column, len(question.vector) // 4
    )
    if question.is_strict and not current.matrix.is_even:
        raise Declined(
            f"column {current.column.name!r} does not hold vectors of"
            f" {current.column.dimension} dimensions alone"
        )
    return current


def _narrowed(
    lowering: Lowering,
    question: _Question,
    habit: Habit,
    current: Current,
    condition: str,
    place: str,
) -> list[int]:
    """Bind the candidates to the condition's placeholder, and return them."""
    database, bindings = lowering.context.database, lowering.bindings
    narrow = question.similarities(condition)
    if habit.by_index is None:
        habit.by_index = _is_by_index(database, question.similarities(""), bindings)
    if habit.by_index and habit.trusted == 0:
        # To compare what an index finds is as quick up to about so many rows.
        many = max(100, len(current.matrix) // 60)
        _require_many(database, question.similarities(""), bindings, many)
        habit.trusted = _PATIENCE
    habit.trusted = max(0, habit.trusted - 1)

    def probe(rows: list[int], count: int) -> list[float]:
        bindings[place[1:]] = json.dumps(rows)
        sql = f"{narrow}\n ORDER BY 1 DESC LIMIT {count}"
        values = [value for (value,) in database.rows(sql, bindings)]
        return [value for value in values if value is not None]

    first = max(habit.first, question.wanted)
    vector = to_vector(question.vector)
    rows, values, habit.first = best_rows(current, vector, question.wanted, first, probe)
    # Rows that are equally similar come in the order in which they are read.
    if len(set(values)) < len(values) and (
        habit.by_index or _is_by_index(database, narrow, bindings)
    ):
        raise Declined("rows are equally similar, and an index puts them in order")
    return rows


def _habit(lowering: Lowering) -> Habit:
    """Return what was learnt of the statement's n-th SELECT of the best rows."""
    state = lowering.context.state
    key = lowering.arguments.sql, len(state.notes)
    if key not in state.habits and len(state.habits) >= _HABITS_LIMIT:
        state.habits.clear()
    return state.habits.setdefault(key, Habit())


def _is_by_index(database: Database, sql: str, bindings: dict[str, Any]) -> bool:
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}", bindings)
    return not all(_IN_ORDER.fullmatch(row[-1]) for row in plan)


def _require_many(database: Database, sql: str, bindings: dict[str, Any], count: int) -> None:
    """Raise Declined when an index finds only a few rows: then they are all compared."""
    row = database.row(f"SELECT count(*) FROM (SELECT 1 FROM ({sql}\n) LIMIT {count})", bindings)
    if row is None or row[0] < count:
        raise Declined("an index finds its few rows", was_dear=True)


def _table_filter(search: Search, plan: SearchPlan) -> Filter:
    narrowing = table_filter(search.query, plan.column)
    if narrowing is None:
        raise Declined("the rows searched are not those of one table with a WHERE at most")
    return narrowing


def _wanted(lowering: Lowering, ranking: SearchRanking | FunctionRanking) -> int:
    limit, offset = (_number(lowering, bound) for bound in (ranking.limit, ranking.offset))
    if limit < 1 or offset < 0:
        raise Declined(f"LIMIT is {limit}")
    return limit + offset


def _number(lowering: Lowering, bound: Bound) -> int:
    value = bound if isinstance(bound, int) else lowering.arguments.value(bound)
    if type(value) is not int:
        raise Declined("LIMIT is no whole number")
    return value


def is_search_only(query: Query) -> bool:
    """Return whether a statement reads, and does nothing else."""
    return query.verb in {"SELECT", "EXPLAIN"} and has_searches_only(query)


def has_searches_only(query: Query) -> bool:
    """Return whether a query can be lowered again: a CONVERT in it would run again."""
    statements = [part for part in query.parts if not isinstance(part, (str, Parameter))]
    return all(isinstance(each, Search) and has_searches_only(each.query) for each in statements)


def _count(query: Query, search: Search) -> int:
    """Return how often a SEARCH stands in a query: what narrows it narrows each."""
    inner = [part for part in query.parts if isinstance(part, Search)]
    return inner.count(search) + sum(_count(each.query, search) for each in inner)


@contextmanager
def _noted(context: Context) -> Iterator[None]:
    """Let the scan answer where the matrix declines, and note why."""
    try:
        yield
    except Declined as reason:
        context.state.notes.append(f"a scan: {reason}")
    except sqlite3.Error as error:
        if str(error) == "interrupted":
            raise
        # The scan fails likewise, or it does not need what failed.
        context.state.notes.append(f"a scan: {error}")
