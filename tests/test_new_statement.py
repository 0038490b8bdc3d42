"""A made-up statement takes three places: its tree, its spec, its handler."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import thanosql_dbapi
from thanosql_dbapi import (
    Connection,
    InternalError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
    statements,
)
from thanosql_dbapi.language import grammar, may_be_thanosql
from thanosql_dbapi.language.grammar import Shape, StatementSpec
from thanosql_dbapi.language.option_specs import choice, flag, integer, number, text
from thanosql_dbapi.language.tree import Query, Statement
from thanosql_dbapi.statements.resolve import HANDLERS, Handler, Resolver
from thanosql_dbapi.stores.sqlite.compile import Compiler


# 1. The tree.
@dataclass(frozen=True)
class Caption(Statement):
    """``CAPTION USING model [OPTIONS (…)] AS query``."""

    model: str
    query: Query


# 2. The grammar.
RESULT_COL = text("result_col", "caption", older=("column_name",))
STYLE = choice("style", ("short", "long"), "short")
WORDS = integer("words", None, minimum=3)
CERTAINTY = number("certainty", 0.5)
SHOUTS = flag("shouts")
SPEC = StatementSpec(
    ("CAPTION",),
    Caption,
    Shape.QUERY,
    fields={"USING": "model", "AS": "query"},
    options=(RESULT_COL, STYLE, WORDS, CERTAINTY, SHOUTS),
)


# 3. The handler.
@dataclass(frozen=True, eq=False)
class CaptionPlan:
    """A CAPTION, checked."""

    node: Caption
    column: str
    said: list[Any]


def resolve_caption(resolver: Resolver, statement: Caption) -> CaptionPlan:
    option = resolver.arguments.option
    said = [option(statement, spec) for spec in (STYLE, WORDS, CERTAINTY, SHOUTS)]
    return CaptionPlan(statement, option(statement, RESULT_COL), said)


def compile_caption(compiler: Compiler, plan: CaptionPlan) -> str:
    rows = compiler.parts(plan.node.query.parts)
    text = f"seen by {plan.node.model}: {plan.said}".replace("'", "''")
    return f"SELECT q.*, '{text}' AS {plan.column} FROM ({rows}) AS q"


@pytest.fixture
def connection() -> Iterator[Connection]:
    grammar.register(SPEC)
    handler = statements.Handler(resolve_caption, selects={CaptionPlan: compile_caption})
    statements.register(Caption, handler)
    opened = thanosql_dbapi.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE photos (name)")
    opened.execute("INSERT INTO photos VALUES ('a.jpg')")
    try:
        yield opened
    finally:
        opened.close()
        grammar.unregister(("CAPTION",))


SEEN = "seen by m: ['short', None, 0.5, False]"
CAPTION = "CAPTION USING m OPTIONS (result_col='said') AS SELECT * FROM photos"


def test_it_runs_wherever_a_query_does(connection: Connection) -> None:
    expected = [("a.jpg", SEEN)]
    assert connection.execute(CAPTION).fetchall() == expected
    assert connection.execute(f"SELECT said FROM ({CAPTION})").fetchall() == [(SEEN,)]
    connection.execute(f"CREATE VIEW said AS {CAPTION}")
    assert connection.execute("SELECT * FROM said").fetchall() == expected
    joined = f"SELECT count(*) FROM ({CAPTION}) JOIN ({CAPTION.replace('said', 'x')}) USING (name)"
    assert connection.execute(joined).fetchone() == (1,)
    assert may_be_thanosql(CAPTION)
    assert "CAPTION" in grammar.keywords()


def test_a_misspelt_option_is_named(connection: Connection) -> None:
    with pytest.raises(StatementError, match=r"unknown option 'resultcol'.*did you mean 'result_"):
        connection.execute(CAPTION.replace("result_col", "resultcol"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, None, None, None, None), ["caption", "short", None, 0.5, False]),
        (("c", "LONG", np.int64(3), 1, 1), ["c", "long", 3, 1.0, True]),
        (("c", "short", 10**30, np.float32(0.5), np.True_), ["c", "short", 2**63 - 1, 0.5, True]),
    ],
)
def test_an_option_has_the_type_and_the_default_of_its_spec(
    connection: Connection, given: tuple[Any, ...], said: list[Any]
) -> None:
    names = "column_name=?, style=?, words=?, certainty=?, shouts=?"
    cursor = connection.execute(f"CAPTION USING m OPTIONS ({names}) AS SELECT 1", given)
    assert cursor.description[1][0] == said[0]
    assert cursor.fetchone() == (1, f"seen by m: {said[1:]}")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("result_col=1", "option 'result_col' must be a text, got 1"),
        ("style='loud'", "option 'style' must be 'short' or 'long', got 'loud'"),
        ("words=2", "option 'words' must be a whole number of at least 3, got 2"),
        ("words=True", "option 'words' must be a whole number of at least 3, got True"),
        ("certainty='1'", "option 'certainty' must be a number, got '1'"),
        ("shouts=2", "option 'shouts' must be True or False, got 2"),
    ],
)
def test_a_value_that_does_not_fit_the_spec_is_refused(
    connection: Connection, option: str, expected: str
) -> None:
    with pytest.raises(StatementError, match=expected):
        connection.execute(f"CAPTION USING m OPTIONS ({option}) AS SELECT 1")


def test_a_handler_cannot_read_an_option_that_its_spec_has_not(connection: Connection) -> None:
    grammar.register(SPEC._replace(options=(RESULT_COL,)))
    with pytest.raises(InternalError, match=r"^Caption has no option 'style' in its spec"):
        connection.execute(CAPTION)


@dataclass(frozen=True)
class Shout(Statement):
    """``SHOUT``."""


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (Shape.SHOWN, ProgrammingError, "this one returns rows; call execute"),
        (Shape.ACTION, NotSupportedError, "Shout is not supported"),
    ],
)
def test_its_shape_says_whether_it_can_run_many_times(
    connection: Connection, shape: Shape, error: type[Exception], message: str
) -> None:
    grammar.register(StatementSpec(("SHOUT",), Shout, shape))
    try:
        with pytest.raises(error, match=message):
            connection.executemany("SHOUT", [()])
    finally:
        grammar.unregister(("SHOUT",))


def test_sqlglot_reads_and_writes_it(connection: Connection) -> None:
    pytest.importorskip("sqlglot")
    from sqlglot import exp

    from sqlalchemy_thanosql.sqlglot import ThanoSQL

    (tree,) = ThanoSQL().parse(f"SELECT said FROM ({CAPTION}) AS c")
    assert tree is not None
    assert [table.name for table in tree.find_all(exp.Table)] == ["photos"]
    written = ThanoSQL().generate(tree)
    assert connection.execute(written).fetchall() == [(SEEN,)]


def test_without_the_spec_it_is_no_statement(connection: Connection) -> None:
    assert connection.execute("SELECT 1 AS caption").fetchone() == (1,)
    grammar.unregister(("CAPTION",))
    try:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            connection.execute(CAPTION)
    finally:
        grammar.register(SPEC)


PLACED = [(node, place) for node, place in HANDLERS.items() if isinstance(place, str)]


@pytest.mark.parametrize(("node", "place"), PLACED)
def test_a_handler_of_a_query_is_where_its_place_says(node: type | str, place: str) -> None:
    handler = statements.load(place)
    assert isinstance(handler, Handler)
    assert annotations_of(handler.resolve) == ["Resolver", tree_of(node)]
    if handler.perform is not None:
        assert annotations_of(handler.perform)[:2] == ["Resolver", tree_of(node)]


@pytest.mark.parametrize(("node", "action"), list(statements.ACTIONS.items()))
def test_an_action_is_where_its_place_says(node: type, action: statements.Action | str) -> None:
    found = statements.load(action) if isinstance(action, str) else action
    assert annotations_of(found) == ["Context", "Arguments", node.__name__]


def tree_of(node: type | str) -> str:
    return node.__name__ if isinstance(node, type) else "Function"


def annotations_of(function: Any) -> list[str]:
    """Return the types of a function's parameters, as they are written."""
    return [each.annotation for each in inspect.signature(function).parameters.values()]
