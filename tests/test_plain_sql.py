"""Plain SQL is no business of the parser's, whatever its names are."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thanosql_dbapi.language import grammar, may_be_thanosql, parse

LINES = (Path(__file__).parent / "statements" / "plain.sql").read_text(encoding="utf-8")
PLAIN = LINES.splitlines()[1:]

# What a list of a table and its alias alone in parentheses means cannot be told from the text.
TAKEN = "SELECT * FROM (list model)"

FIRST_WORDS = grammar.first_words()


@pytest.fixture(scope="module")
def names() -> Iterator[sqlite3.Connection]:
    """Return a database in which our verbs are tables and columns."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.create_function("print", 1, lambda value: value)
        for table in sorted(FIRST_WORDS | {"model", "image", "text", "thanosql"}):
            if table != "SEARCH":
                conn.execute(f"CREATE TABLE {table} (id)")
        conn.execute("CREATE TABLE search (id, search, image, text)")
        conn.execute("CREATE INDEX image_index ON search (image)")
        conn.execute('CREATE TABLE names (search, list, print, "get", convert, model)')
        yield conn


@pytest.mark.parametrize("sql", PLAIN)
def test_verbs_go_on_as_names(sql: str, names: sqlite3.Connection) -> None:
    assert parse(sql) is None
    statement = sql if sql.startswith("EXPLAIN") else f"EXPLAIN {sql}"
    arguments = ["a", "b", "c", "d", "e"] if "$search$" in sql else []
    if arguments and sys.version_info >= (3, 12):
        return  # names with a sequence are deprecated, names with ?5 cannot be bound otherwise
    names.execute(statement, arguments)


@pytest.mark.parametrize("verb", sorted(FIRST_WORDS | {"DELETE", "CREATE"}))
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '{0}'",
        'SELECT "{0}" FROM (SELECT 1 AS "{0}")',
        "-- {0} MODEL\nSELECT 1",
        "/* {0} IMAGE */ SELECT 1",
        "SELECT [{0}] FROM (SELECT 1 AS [{0}])",
        '"{0}" MODEL m',
        "'{0}' MODEL m",
        "x{0} MODEL m",
        "{0}x MODEL m",
        "{0}_ MODEL m",
        "({0} MODEL m)",
    ],
)
def test_verbs_in_other_clothes_are_not_ours(sql: str, verb: str) -> None:
    assert parse(sql.format(verb)) is None


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        " \n\t;;",
        "SELECT (((",
        "SELECT )))",
        "SELECT 'open",
        'SELECT "open',
        "SELECT [open",
        "/* open",
        "SELECT 1; SELECT 2",
        "DELETE",
        "DELETE FROM",
        "SELECT \x00 search image",
        "SELECT \ud800 (search image",
        "CREATE VIRTUAL TABLE t USING fts5(search image text = 'a', tokenize = 'porter')",
        "CREATE TABLE t (search image text = 'a')",
        "BEGIN",
        "SELECT 1 UNION search",
        "SELECT 1 UNION copy t",
        "INSERT INTO t convert",
        "END; SEARCHING IMAGE",
        "-- LIST MODEL",
        "SERCH IMAGE text='a' USING m AS SELECT 1",
        "ſEARCH IMAGE text='a'",
    ],
)
def test_what_sqlite_should_judge_is_left_to_it(sql: str) -> None:
    assert parse(sql) is None


NAMES = [*sorted(FIRST_WORDS), "IMAGE", "TEXT", "AUDIO", "MODEL", "THANOSQL", "OPTIONS", "t", "m"]
WORDS = st.sampled_from(
    [
        *NAMES,
        *("SELECT", "FROM", "AS", "JOIN", "USING", "WITH", "UNION", "ALL", "VALUES", "INTO", "IN"),
        *("*", "(", ")", "(", ")", ",", "=", ".", "1", "'a'", "?"),
    ]
)


def is_syntax_error(conn: sqlite3.Connection, sql: str) -> bool:
    """Tell whether SQLite cannot read a text, as against not finding what it names."""
    try:
        conn.execute(f"EXPLAIN {sql}")
    except sqlite3.Error as error:
        text = str(error)
        return "syntax error" in text or "incomplete" in text or "required before" in text
    return False


@settings(max_examples=500)  # SQLite can read one in ten
@given(
    st.sampled_from(["SELECT * FROM (", "SELECT ", "WITH ", "INSERT INTO ", "SELECT 1 UNION "]),
    st.lists(WORDS, max_size=8),
    st.sampled_from(["", ")", ") SELECT 1", " FROM t", " VALUES (1)"]),
)
def test_what_sqlite_can_read_is_plain(opening: str, words: list[str], rest: str) -> None:
    sql = opening + " ".join(words) + rest
    with closing(sqlite3.connect(":memory:")) as conn:
        is_sql = not is_syntax_error(conn, sql)
    if is_sql and not re.search(r"\( ?LIST MODEL ?\)", sql):
        assert parse(sql) is None


NAME = st.sampled_from(NAMES)
ITEM = st.one_of(
    NAME,
    st.tuples(NAME, NAME).map(" ".join),
    st.tuples(NAME, NAME).map(" AS ".join),
)
SOURCE = st.recursive(
    ITEM,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("({0[0]} JOIN {0[1]})".format),
        st.tuples(inner, inner, NAME).map("({0[0]} JOIN {0[1]} USING ({0[2]}))".format),
        st.tuples(inner, inner).map("({0[0]}, {0[1]})".format),
        st.tuples(ITEM, inner, NAME).map("(SELECT {0[0]} FROM {0[1]}) {0[2]}".format),
        st.tuples(NAME, NAME, NAME).map("(SELECT {0[0]} FROM {0[1]} {0[2]})".format),
    ),
    max_leaves=6,
)


@given(st.lists(ITEM, min_size=1, max_size=3), SOURCE, NAME, NAME)
def test_queries_over_our_verbs_are_plain(
    columns: list[str], source: str, cte: str, column: str
) -> None:
    sql = (
        f"WITH {cte} ({column}) AS (SELECT {column} FROM {cte}_) "
        f"SELECT {', '.join(columns)} FROM {source} WHERE ({column} = 1) OR {cte} IN ({column})"
    )
    with closing(sqlite3.connect(":memory:")) as conn:
        assert not is_syntax_error(conn, sql)
    assert parse(sql) is None


def test_the_one_text_that_is_taken() -> None:
    assert parse(TAKEN) is not None
    assert parse(TAKEN.replace("list", "list AS")) is None


def test_a_large_plain_statement_is_not_lexed() -> None:
    code = (
        "import sys; from thanosql_dbapi.language import parse; "
        "sql = 'INSERT INTO t VALUES ' + ','.join(['(1, \\'a copy of \\')'] * 50_000); "
        "assert parse(sql) is None; "
        "print('sqlparse' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("script", "may_be"),
    [
        ("SELECT 1; DROP TABLE t;", False),
        ("SELECT 1; LIST MODEL;", True),
        ("DELETE FROM t; delete /* x */ model m;", True),
        ("CREATE TABLE t USING m FROM 'd'", True),
    ],
)
def test_scripts_without_our_verbs_need_no_splitting(script: str, may_be: bool) -> None:
    assert may_be_thanosql(script) is may_be
