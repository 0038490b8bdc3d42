"""FUNCTION: a made-up one takes a spec and a handler, and stands wherever a query does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import thanosql_dbapi
from thanosql_dbapi import Connection, NotSupportedError, StatementError, statements
from thanosql_dbapi.language import grammar, parse
from thanosql_dbapi.language.grammar import Shape, StatementSpec
from thanosql_dbapi.language.option_specs import text
from thanosql_dbapi.language.tree import Function
from thanosql_dbapi.planning.plans import RowsPlan
from thanosql_dbapi.statements.resolve import Resolver

RESULT_COL = text("result_col", "letters")
SPEC = StatementSpec(
    ("FUNCTION", "COMPUTE", "LETTERS"),
    "Function",
    Shape.QUERY,
    fields={"AS": "query", "FROM": "source"},
    fixed={"name": "compute.letters"},
    options=(RESULT_COL,),
    is_either=True,
)


def resolve_letters(resolver: Resolver, statement: Function) -> RowsPlan:
    """Count the letters of a query's first value, or of the text after FROM."""
    if statement.query is None:
        given: Any = resolver.arguments.value(statement.source)
    else:
        (given,) = resolver.context.database.row(*resolver.compile_query(statement.query)) or (
            None,
        )
    column = resolver.arguments.option(statement, RESULT_COL)
    return RowsPlan((column,), ((len(str(given)),),))


@pytest.fixture
def connection() -> Iterator[Connection]:
    grammar.register(SPEC)
    statements.register("compute.letters", statements.Handler(resolve_letters))
    opened = thanosql_dbapi.connect(":memory:", isolation_level=None)
    try:
        yield opened
    finally:
        opened.close()
        grammar.unregister(SPEC.words)


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("FUNCTION compute.letters FROM 'four'", (), 4),
        ("function Compute.LETTERS AS SELECT 'three'", (), 5),
        ("FUNCTION compute.letters AS (VALUES (?))", ("ab",), 2),
        ("FUNCTION compute.letters FROM ?", ("abc",), 3),
        ("SELECT letters + 1 FROM (FUNCTION compute.letters FROM 'ab') AS f", (), 3),
        ("WITH f AS (FUNCTION compute.letters AS SELECT 'ab') SELECT letters FROM f", (), 2),
        ("SELECT n FROM (FUNCTION compute.letters OPTIONS (result_col='n') FROM 'a')", (), 1),
        ("FUNCTION compute.letters AS SELECT letters FROM (FUNCTION compute.letters FROM 'a')",
         (), 1),
        ("SELECT 9 UNION ALL FUNCTION compute.letters FROM 'ab' ORDER BY 1", (), 2),
    ],
)  # fmt: skip
def test_it_runs_wherever_a_query_does(
    connection: Connection, sql: str, parameters: tuple[Any, ...], expected: int
) -> None:
    assert connection.execute(sql, parameters).fetchone() == (expected,)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("FUNCTION compute.leters FROM 'a'", "'compute.leters'.*did you mean compute.letters"),
        ("FUNCTION computer.letters FROM 'a'", "did you mean compute.letters?"),
        ("FUNCTION letters FROM 'a'", "did you mean compute.letters?"),
        ("SELECT * FROM (FUNCTION compute.x FROM 'a')", "the name of a function, .*letters"),
        ("FUNCTION", "expected the name of a function, .* found end of statement"),
        ("FUNCTION compute.letters", "expected FROM and a path in quotes or AS and a query"),
        ("FUNCTION compute.letters FROM 'a' AS SELECT 1", "expected either AS and a query or FROM"),
        ("FUNCTION compute.letters AS (SELECT 1) FROM 'a'", "expected either AS and a query"),
        ("FUNCTION compute.letters FROM 'a' FROM 'b'", "FROM is given twice"),
        ("FUNCTION compute.letters FROM letters", "expected a value for FROM, found 'letters'"),
        ("FUNCTION compute.letters OPTIONS (resultcol='n') FROM 'a'", "did you mean 'result_col'"),
        ("FUNCTION compute.letters OPTIONS (result_col=1) FROM 'a'", "must be a text, got 1"),
    ],
)  # fmt: skip
def test_what_does_not_parse_is_named(connection: Connection, sql: str, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        connection.execute(sql)


def test_a_function_without_a_handler_is_named(connection: Connection) -> None:
    spec = SPEC._replace(words=("FUNCTION", "COMPUTE", "SUM"), fixed={"name": "compute.sum"})
    grammar.register(spec)
    try:
        with pytest.raises(NotSupportedError, match=r"^FUNCTION compute.sum is not supported yet"):
            connection.execute("FUNCTION compute.sum AS SELECT 1")
    finally:
        grammar.unregister(spec.words)


def test_the_word_is_not_reserved(connection: Connection) -> None:
    connection.execute("CREATE TABLE function (function, compute)")
    connection.execute("INSERT INTO function VALUES (1, 2)")
    sql = "SELECT (function), function.compute FROM function AS function"
    assert connection.execute(sql).fetchall() == [(1, 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "FUNCTION compute.letters FROM 'four'",
        "SELECT letters FROM (FUNCTION compute.letters AS SELECT name FROM people) AS f LIMIT 1",
    ],
)
def test_sqlglot_reads_and_writes_it(connection: Connection, sql: str) -> None:
    pytest.importorskip("sqlglot")
    from sqlglot import exp

    from sqlalchemy_thanosql.sqlglot import ThanoSQL

    connection.execute("CREATE TABLE people AS SELECT 'Ada' AS name")
    (tree,) = ThanoSQL().parse(sql)
    assert tree is not None
    # A file that is read is none of the tables that a tool may ask about.
    assert bool(list(tree.find_all(exp.Insert))) == ("people" not in sql)
    written = ThanoSQL().generate(tree)
    assert connection.execute(written).fetchall() == connection.execute(sql).fetchall()
    assert parse(written) is not None
