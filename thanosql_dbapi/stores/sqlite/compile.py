"""Plans become SQL: pure and cheap, with or without a restriction to candidate rows.

``SEARCH IMAGE text='a cat' USING m AS q`` becomes a SELECT over ``(q)`` with one more column, so
it composes with everything SQLite has: ORDER BY, joins, views, INSERT. Nothing is decided here,
nothing is asked of a database: all that can fail has failed before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...language.lexer import Kind, tokens
from ...language.names import quote_name, quote_text, unquote
from ...language.topk import FunctionTopK
from ...language.tree import Parameter, Part
from ...planning.arguments import Arguments
from ...planning.plans import (
    UNRESTRICTED,
    MadeRows,
    NamedPlan,
    NodePlan,
    Plan,
    QueryVector,
    Restriction,
    RowsPlan,
    SearchPlan,
    TablesPlan,
    TopK,
)
from .registry import PREFIX
from .similarity import similarity, similarity_of_many


class Compiled(NamedTuple):
    """SQL and its named parameters."""

    sql: str
    parameters: dict[str, Any]


Select = Callable[["Compiler", Any], str]
"""Gives the SELECT of a node plan."""

_NUMBER, _FOUND = "thanosql_number", "thanosql_found"

SELECTS: dict[type, Select] = {}
"""For each class of node plan, what compiles it; a statement's handler adds its own."""


def compile_plan(
    plan: Plan, arguments: Arguments, restriction: Restriction = UNRESTRICTED
) -> Compiled:
    """Return the SQL of a whole text.

    Args:
        plan: The text, its statements resolved, and performed where they do work.
        arguments: What the caller bound.
        restriction: For some top-k queries, the condition that a row is a candidate.
    """
    return compile_parts(plan, plan.query.parts, arguments, restriction)


def compile_parts(
    plan: Plan,
    parts: Iterable[Part],
    arguments: Arguments,
    restriction: Restriction = UNRESTRICTED,
) -> Compiled:
    """Return the SQL of a piece of a text; see :func:`compile_plan`.

    Args:
        plan: The text.
        parts: The piece.
        arguments: What the caller bound.
        restriction: As for :func:`compile_plan`.
    """
    compiler = Compiler(plan, arguments, restriction)
    return Compiled(compiler.parts(parts), compiler.parameters)


def compile_probe(plan: Plan, best: TopK, arguments: Arguments, condition: str) -> Compiled:
    """Return the SELECT of a top-k query's similarities alone, as column ``v``.

    Args:
        plan: The text.
        best: The top-k query.
        arguments: What the caller bound.
        condition: That a row is a candidate; empty for all rows.
    """
    restriction = {best.key: condition} if condition else UNRESTRICTED
    # Names in double quotes must then be columns: SQLite would make a string of one that it does
    # not find, such as a column of the SELECT around this one.
    compiler = Compiler(plan, arguments, restriction, is_strict=best.is_inner)
    shape, search = best.shape, best.search
    if isinstance(shape, FunctionTopK):
        value = compiler.parts(shape.similarity)
        sql = f"SELECT {value}\n AS v {compiler.parts(shape.rows.parts(condition))}"
    elif shape is not None:
        sql = f"SELECT {quote_name(shape.similarity)} AS v {compiler.parts(shape.rows)}"
    else:
        assert search is not None
        rows = compiler.rows(search)
        value = compiler.similarity(search, search.vectors[0])
        sql = f"SELECT v FROM (SELECT {value} AS v FROM ({rows}\n) AS q)"
        if search.threshold is not None:
            sql += f" WHERE v >= {compiler.bind(search.threshold)}"
    return Compiled(sql, compiler.parameters)


@dataclass
class Compiler:
    """One compilation: the parameters that have got a name so far.

    All placeholders of the source turn into ``:p1``, ``:p2`` … by their SQLite numbers, so that
    clauses may change their order and every Python binds them alike; values of our own are added
    as ``:v1``, ``:v2`` ….
    """

    plan: Plan
    arguments: Arguments
    restriction: Restriction = field(default_factory=lambda: UNRESTRICTED)
    is_strict: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    _added: int = 0

    def parts(self, parts: Iterable[Part]) -> str:
        """Return the SQL of parts of a query."""
        return "".join(map(self._part, parts))

    def _part(self, part: Part) -> str:
        if isinstance(part, str):
            return _without_strings(part) if self.is_strict else part
        if isinstance(part, Parameter):
            self.parameters[f"p{part.number}"] = self.arguments.value(part)
            # A keyword may follow `?1` without a space, but would be read as part of a name.
            return f":p{part.number} "
        return self.node(self.plan.nodes[part.offset])

    def node(self, node: NodePlan) -> str:
        """Return the SELECT of a statement of ours."""
        return SELECTS[type(node)](self, node)

    def bind(self, value: Any) -> str:
        """Return a placeholder for a value of our own."""
        self._added += 1
        self.parameters[f"v{self._added}"] = value
        return f":v{self._added}"

    def rows(self, search: SearchPlan) -> str:
        """Return the query of a SEARCH, restricted where it is to be."""
        condition = self.restriction.get(search.node.offset)
        if condition is None:
            return self.parts(search.node.query.parts)
        assert search.narrowing is not None
        return self.parts(search.narrowing.parts(condition))

    def similarity(self, search: SearchPlan, wanted: QueryVector) -> str:
        """Return the SQL of a similarity, of rows that are called ``q``."""
        column = "q." + quote_name(search.column)
        return similarity(column, search.dimension, self._vector(search, wanted))

    def _vector(self, search: SearchPlan, wanted: QueryVector) -> str:
        if not self.plan.is_stored:
            return self.bind(wanted.vector)
        # What is kept names the model, its fingerprint and the value, not this moment's vector. A
        # bound value SQLite itself refuses there.
        value = quote_text(wanted.value) if wanted.is_written else self.bind(wanted.value)
        model = f"{quote_text(search.model)}, {value}, {quote_text(search.fingerprint)}"
        return f"embed_{wanted.kind}({model})"


def _search(compiler: Compiler, plan: SearchPlan) -> str:
    if plan.score != "cosine":
        return _scored_search(compiler, plan)
    rows, own = compiler.rows(plan), "q.*"
    expressions = [compiler.similarity(plan, vector) for vector in plan.vectors]
    if plan.many is not None and plan.columns is not None:
        column = f"q.{quote_name(plan.column)}"
        found = f"thanosql_distances({column}, {compiler.bind(plan.many)}) AS {_FOUND}"
        # OFFSET keeps SQLite from calling the function once for each mention.
        rows = f"SELECT q.*, {found} FROM ({rows}\n) AS q LIMIT -1 OFFSET 0"
        own = ", ".join(f"q.{quote_name(name)}" for name in plan.columns)
        expressions = [
            similarity_of_many(f"q.{_FOUND}", place, alone)
            for place, alone in enumerate(expressions)
        ]
    first = expressions[0]
    added = ", ".join(
        f"{expression} AS {quote_name(name)}"
        for expression, name in zip(expressions, plan.names, strict=True)
    )
    sql = f"SELECT {own}, {added} FROM ({rows}\n) AS q"
    sql += _kept(compiler, plan, first)
    # As a part of a UNION, a SELECT may have neither ORDER BY nor LIMIT of its own.
    return f"SELECT * FROM ({sql})" if plan.is_ranked or plan.limit is not None else sql


def _scored_search(compiler: Compiler, plan: SearchPlan) -> str:
    """Return a SEARCH whose similarity is not the cosine."""
    rows, order = compiler.rows(plan), ""
    cosines = [compiler.similarity(plan, vector) for vector in plan.vectors]
    if plan.score == "percentile":
        # Windows put the rows in an order of their own, so each gets a number before.
        assert plan.columns is not None
        rows = f"SELECT q.*, row_number() OVER () AS {_NUMBER} FROM ({rows}\n) AS q"
        own = ", ".join(f"q.{quote_name(name)}" for name in plan.columns)
        order = f" ORDER BY q.{_NUMBER}"
        values = [_percentile(cosine) for cosine in cosines]
    else:
        own = "q.*"
        others = [] if plan.background is None else [compiler.similarity(plan, plan.background)]
        values = [
            _probability(plan, cosine, others and [*cosines[:n], *cosines[n + 1 :], *others])
            for n, cosine in enumerate(cosines)
        ]
    added = ", ".join(
        f"{value} AS {quote_name(name)}" for value, name in zip(values, plan.names, strict=True)
    )
    first = f"s.{quote_name(plan.names[0])}"
    sql = f"SELECT * FROM (SELECT {own}, {added} FROM ({rows}\n) AS q{order}) AS s"
    sql += _kept(compiler, plan, first)
    return f"SELECT * FROM ({sql})"


def _kept(compiler: Compiler, plan: SearchPlan, first: str) -> str:
    """Return the clauses that keep the rows above the threshold, or the best ones.

    Args:
        compiler: The compiler.
        plan: The SEARCH.
        first: The SQL of the first similarity.
    """
    sql = ""
    if plan.threshold is not None:
        is_stored = compiler.plan.is_stored
        least = repr_number(plan.threshold) if is_stored else compiler.bind(plan.threshold)
        sql += f" WHERE {first} >= {least}"
    elif plan.is_ranked:
        sql += f" WHERE {first} IS NOT NULL"
    if plan.is_ranked:
        sql += f" ORDER BY {first} DESC"
    if plan.limit is not None:
        sql += f" LIMIT {plan.limit}"
    return sql


def _percentile(cosine: str) -> str:
    """Return the share of the rows that are at most as similar, of 100; those without have none."""
    window = f"PARTITION BY {cosine} IS NULL ORDER BY {cosine}"
    return f"CASE WHEN {cosine} IS NOT NULL THEN 100.0 * cume_dist() OVER ({window}) END"


def _probability(plan: SearchPlan, cosine: str, others: list[str]) -> str:
    arguments = [repr_number(plan.scale), repr_number(plan.bias), cosine, *others]
    return f"thanosql_probability({', '.join(arguments)})"


def _made(compiler: Compiler, plan: MadeRows) -> str:
    return plan.sql


def _named(compiler: Compiler, plan: NamedPlan) -> str:
    # A name with a qualifier is never a string, and never a column of the SELECT around it.
    names = [name for name in plan.search.names if name != plan.name]
    added = "".join(f", NULL AS {quote_name(name)}" for name in names)
    wanted = f"thanosql_q.{quote_name(plan.name)}"
    rows = compiler.rows(plan.search)
    return f"SELECT thanosql_q.*, {wanted}{added} FROM ({rows}\n) AS thanosql_q"


def repr_number(number: float) -> str:
    """Return a number as an SQL expression; infinity is too large a literal, NaN is NULL."""
    words: Mapping[str, str] = {"inf": "9e999", "-inf": "-9e999", "nan": "NULL"}
    return words.get(repr(number), repr(number))


def literal(value: int | float | str | bytes) -> str:
    """Return a value as an SQL expression without affinity."""
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        # A NUL would end the statement.
        return " || char(0) || ".join(map(quote_text, value.split("\0")))
    return repr_number(value) if isinstance(value, float) else str(int(value))


def _rows(compiler: Compiler, plan: RowsPlan) -> str:
    # A list in JSON is an expression SQLite reads as a table, in a view and without parameters too.
    selected = ", ".join(
        f"json_extract(value, '$[{index}]') AS {column}"
        for index, column in enumerate(plan.columns)
    )
    text = quote_text(json.dumps(plan.rows, ensure_ascii=False))
    return f"SELECT {selected} FROM json_each({text})"


def _tables(compiler: Compiler, plan: TablesPlan) -> str:
    return (
        "SELECT * FROM (SELECT name AS table_name, type FROM main.sqlite_master"
        " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        f" AND substr(name, 1, {len(PREFIX)}) <> {quote_text(PREFIX)} ORDER BY name)"
    )


SELECTS.update(
    {
        SearchPlan: _search,
        NamedPlan: _named,
        MadeRows: _made,
        RowsPlan: _rows,
        TablesPlan: _tables,
    }
)


def _without_strings(sql: str) -> str:
    """Return SQL whose names in double quotes are names, and never strings, to SQLite.

    Source: https://www.sqlite.org/quirks.html#dblquote
    """
    if '"' not in sql:
        return sql
    result, end = [], 0
    for token in tokens(sql):
        if token.kind is Kind.QUOTED and token.text[0] == '"':
            name = unquote(token.text).replace("`", "``")
            result += [sql[end : token.start], f"`{name}`"]
            end = token.end
    return "".join([*result, sql[end:]])
