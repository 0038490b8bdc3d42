"""A made-up statement takes three places: its tree, its spec, its handler."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import thanosql_dbapi
from thanosql_dbapi import Connection, StatementError, statements
from thanosql_dbapi.language import grammar, may_be_thanosql
from thanosql_dbapi.language.grammar import OptionSpec, Shape, StatementSpec
from thanosql_dbapi.language.tree import Query, Statement
from thanosql_dbapi.stores.sqlite.compile import Compiler


# 1. The tree.
@dataclass(frozen=True)
class Caption(Statement):
    """``CAPTION USING model [OPTIONS (…)] AS query``."""

    model: str
    query: Query


# 2. The grammar.
SPEC = StatementSpec(
    ("CAPTION",),
    Caption,
    Shape.QUERY,
    fields={"USING": "model", "AS": "query"},
    options=(OptionSpec("result_col", default="caption", older=("column_name",)),),
)


# 3. The handler.
@dataclass(frozen=True, eq=False)
class CaptionPlan:
    """A CAPTION, checked."""

    node: Caption
    column: str


def resolve_caption(resolver: Any, statement: Caption) -> CaptionPlan:
    return CaptionPlan(statement, resolver.arguments.text(statement, "result_col", "caption"))


def compile_caption(compiler: Compiler, plan: CaptionPlan) -> str:
    rows = compiler.parts(plan.node.query.parts)
    model = "'" + plan.node.model + "'"
    return f"SELECT q.*, 'seen by ' || {model} AS {plan.column} FROM ({rows}) AS q"


@pytest.fixture
def connection() -> Iterator[Connection]:
    grammar.register(SPEC)
    statements.register(Caption, resolve_caption, selects={CaptionPlan: compile_caption})
    opened = thanosql_dbapi.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE photos (name)")
    opened.execute("INSERT INTO photos VALUES ('a.jpg')")
    try:
        yield opened
    finally:
        opened.close()
        grammar.unregister(("CAPTION",))


CAPTION = "CAPTION USING m OPTIONS (result_col='said') AS SELECT * FROM photos"


def test_it_runs_wherever_a_query_does(connection: Connection) -> None:
    expected = [("a.jpg", "seen by m")]
    assert connection.execute(CAPTION).fetchall() == expected
    assert connection.execute(f"SELECT said FROM ({CAPTION})").fetchall() == [("seen by m",)]
    connection.execute(f"CREATE VIEW said AS {CAPTION}")
    assert connection.execute("SELECT * FROM said").fetchall() == expected
    joined = f"SELECT count(*) FROM ({CAPTION}) JOIN ({CAPTION.replace('said', 'x')}) USING (name)"
    assert connection.execute(joined).fetchone() == (1,)
    assert may_be_thanosql(CAPTION)
    assert "CAPTION" in grammar.keywords()


def test_a_misspelt_option_is_named(connection: Connection) -> None:
    with pytest.raises(StatementError, match=r"unknown option 'resultcol'.*did you mean 'result_"):
        connection.execute(CAPTION.replace("result_col", "resultcol"))


def test_sqlglot_reads_and_writes_it(connection: Connection) -> None:
    pytest.importorskip("sqlglot")
    from sqlglot import exp

    from sqlalchemy_thanosql.sqlglot import ThanoSQL

    (tree,) = ThanoSQL().parse(f"SELECT said FROM ({CAPTION}) AS c")
    assert tree is not None
    assert [table.name for table in tree.find_all(exp.Table)] == ["photos"]
    written = ThanoSQL().generate(tree)
    assert connection.execute(written).fetchall() == [("seen by m",)]


def test_without_the_spec_it_is_no_statement(connection: Connection) -> None:
    assert connection.execute("SELECT 1 AS caption").fetchone() == (1,)
    grammar.unregister(("CAPTION",))
    try:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            connection.execute(CAPTION)
    finally:
        grammar.register(SPEC)
