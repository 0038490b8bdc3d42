"""The nodes that ThanoSQL's statements are in sqlglot's trees, and what makes them.

They derive from SELECT, INSERT and DESCRIBE, so that a tool that has never heard of them finds the
tables they read, the queries in them, and whether they write. This module reads no text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlglot import exp

from thanosql_dbapi.language import grammar, tree

MODELS = "thanosql_models"
"""The driver's table of registered models: what statements about models read and write."""


class Reading(exp.Select):
    """SEARCH, CONVERT, PREDICT or the like, as a SELECT over its query; PRINT at the top alone.

    ``from_`` is the query, or the table that LIST reads. Clauses that a tool adds (LIMIT, WHERE …)
    are those of a SELECT around the statement. ``statement`` is the driver's own tree. A CONVERT
    that stores has an INSERT in ``writes``, a PREDICT a SELECT from its table of labels in
    ``reads``.
    """

    arg_types = {  # noqa: RUF012
        **exp.Select.arg_types,
        "statement": True,
        "writes": False,
        "reads": False,
    }


class Action(exp.Insert):
    """COPY, GET, UPLOAD MODEL, BUILD MODEL or the like: an INSERT into the table it writes."""

    arg_types = {**exp.Insert.arg_types, "this": False, "statement": True}  # noqa: RUF012


class Opaque(exp.Insert):
    """SQLite's statements that sqlglot does not read: verbatim, and an INSERT to be safe."""

    arg_types = {**exp.Insert.arg_types, "this": False, "text": True}  # noqa: RUF012


class Explain(exp.Describe):
    """EXPLAIN or EXPLAIN QUERY PLAN and a statement."""

    arg_types = {"this": True, "head": True}  # noqa: RUF012


def put(expression: exp.Expression, place: exp.Table, reading: Reading) -> exp.Expression:
    """Put a statement in the place of its name; return the whole."""
    select = place.find_ancestor(exp.Select)
    assert select is not None
    is_bare = not any(
        value for name, value in select.args.items() if name not in {"expressions", "from_"}
    )
    if not is_bare:
        # What followed the statement has become a part of the SELECT for its name.
        place.replace(exp.Subquery(this=reading))
        return expression
    if select is expression:
        return reading
    select.replace(reading)
    return expression


def headless(statement: Any) -> Any:
    """Return a statement with an empty query: sqlglot has its own."""
    return replace(statement, query=tree.Query(())) if has_query(statement) else statement


def has_query(statement: tree.Statement) -> bool:
    """Return whether a statement has a query after AS."""
    return getattr(statement, "query", None) is not None


def written_table(statement: tree.Tree) -> exp.Table | None:
    """Return the table that an action writes; None where it writes files alone."""
    if isinstance(statement, (tree.Copy, tree.CreateUsing)):
        return make_table(statement.table.name, statement.table.schema)
    return None if isinstance(statement, tree.GetDataset) else make_table(MODELS)


def make_table(name: str, schema: str | None = None) -> exp.Table:
    """Return the node of a table."""
    return exp.table_(name, db=schema, quoted=True)


def targets(name: str) -> list[exp.Table]:
    """Return the tables that a ``table_name`` may mean: with a dot it may be either."""
    schema, dot, rest = name.partition(".")
    return [make_table(name), make_table(rest, schema)] if dot else [make_table(name)]


def make_reading(
    statement: tree.Search | tree.Convert | tree.Predict | tree.Evaluate | tree.Print,
    query: exp.Expression,
) -> Reading:
    """Return the node of a statement with a query."""
    return Reading(expressions=[exp.Star()], from_=from_query(query), statement=headless(statement))


def training(statement: tree.BuildModel | tree.FitModel, query: exp.Expression) -> Action:
    """Return the node of a BUILD or FIT: its query is read, and the table of models written."""
    written = make_table(MODELS)
    read = exp.Select(
        expressions=[exp.Star()],
        from_=from_query(query),
        joins=[exp.Join(this=written.copy())],
    )
    return Action(this=written, expression=read, statement=headless(statement))


def listing(statement: tree.List) -> Reading:
    """Return the node of a LIST: a SELECT from the table that it reads."""
    name = {"table": "sqlite_master", "model": MODELS}.get(statement.what)
    from_ = exp.From(this=make_table(name)) if name else None
    return Reading(expressions=[exp.Star()], from_=from_, statement=statement)


def function(statement: tree.Function, query: exp.Expression | None) -> Reading:
    """Return the node of a FUNCTION; it writes where it makes files or reads one after FROM.

    No tool knows which users may do either.
    """
    spec = grammar.spec_for(statement)
    if query is None:
        reading = Reading(expressions=[exp.Star()], statement=statement)
    else:
        from_ = from_query(query)
        reading = Reading(expressions=[exp.Star()], from_=from_, statement=headless(statement))
    if query is None or spec is None or spec.writes_files:
        reading.set("writes", exp.Insert(this=make_table(MODELS)))
    return reading


def from_query(query: exp.Expression | None) -> exp.From:
    """Return ``FROM (query)``."""
    return exp.From(this=exp.Subquery(this=query))


def select_from(tables: list[exp.Table]) -> exp.Select | None:
    """Return a SELECT that reads the tables, so that a tool finds them; None for none."""
    if not tables:
        return None
    first, *rest = tables
    return exp.Select(
        expressions=[exp.Star()],
        from_=exp.From(this=first.copy()),
        joins=[exp.Join(this=each.copy()) for each in rest],
    )
