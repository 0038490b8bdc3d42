"""Plain SQL is untouched: SQLite gets the very same string, and what comes back is sqlite3's own.

Statements are made from SQLite's grammar, with our verbs as the names of tables, columns, aliases,
windows and triggers, and with comments full of ThanoSQL between any two words; and from no grammar
at all. Each runs on sqlite3 and on the driver.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import thanosql
from thanosql_dbapi.language.screening import first_words

SCHEMA = """
CREATE TABLE search (id INTEGER PRIMARY KEY, image TEXT, text, "using" REAL,
                     list, model, copy, get);
CREATE TABLE convert (id INTEGER PRIMARY KEY, image, text, "using", list TEXT UNIQUE,
                      model TEXT DEFAULT '{"a": [1, 2]}', copy, get);
CREATE TABLE print (id, image BLOB, text, "using", list, model, copy, get);
CREATE VIEW list AS SELECT * FROM search;
INSERT INTO search (id, image, text, list) VALUES (1, 'a', 'a cat', 0.5), (2, 'b', NULL, 1.5);
INSERT INTO convert (id, list) VALUES (1, 'one'), (2, 'two');
INSERT INTO print (id, copy, image) VALUES (1, 2, x'00ff'), ('x', NULL, NULL);
"""


class Watched(thanosql.Connection):
    """A connection that notes the objects given to SQLite: sqlite3 calls it to compile a text."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.compiled: list[object] = []
        super().__init__(*arguments, **options)

    def __call__(self, sql: str) -> Any:
        self.compiled.append(sql)
        return super().__call__(sql)


def outcome(connection: sqlite3.Connection, run: Callable[[], Any]) -> Any:
    """What a caller sees: columns, rows, counters, state; or the error's class and text."""
    try:
        cursor = run()
        names = cursor.description and [column[0] for column in cursor.description]
        seen = (names, cursor.fetchall(), cursor.rowcount, cursor.lastrowid)
    except Exception as error:
        seen = (type(error), str(error))
    contents = []
    for table in ("search", "convert", "print"):
        try:
            contents.append(sqlite3.Cursor(connection).execute(f"SELECT * FROM {table}").fetchall())
        except sqlite3.Error as error:
            contents.append(str(error))
    return seen, contents, connection.in_transaction, connection.total_changes


def assert_untouched(sql: Any, parameters: Any = ()) -> None:
    outcomes = []
    for kind in (sqlite3.Connection, Watched):
        connection = kind(":memory:", cached_statements=0)
        compiled = getattr(connection, "compiled", [])
        connection.executescript(SCHEMA)
        cursor = connection.cursor()
        seen = []
        # Twice and more, since a text that was met before takes another way.
        for target in (connection, connection, cursor, cursor):
            compiled.clear()
            seen.append(outcome(connection, lambda on=target: on.execute(sql, parameters)))
            # What the driver asks SQLite on its own behalf, it asks afterwards. Python 3.10 keeps
            # a few compiled statements whatever it is told.
            is_compiled = len(seen) == 1 or sys.version_info >= (3, 11)
            if kind is Watched and isinstance(sql, str) and is_compiled:
                assert compiled[0] is sql
        outcomes.append(seen)
        connection.close()
    assert outcomes[1] == outcomes[0]


GAP = st.sampled_from(
    [
        *(" ", " ", " ", "\n", "\t", "\f"),
        "/* SEARCH IMAGE text='a' USING m AS SELECT 1 */",
        " -- CONVERT USING m AS SELECT 1\n",
        "/* unbalanced ( ' \" */",
        " --\r\n",
    ]
)
TABLE = st.sampled_from(
    ["search", "convert", "print", "list", "main.search", '"print"', "[convert]"]
)
COLUMN = st.sampled_from(
    ["id", "image", "text", '"using"', "list", "model", "copy", "get", "rowid"]
)
ALIAS = st.sampled_from(
    ["search", "image", "print", "upload", "predict", '"SEARCH IMAGE"', "[get]"]
)
LITERAL = st.sampled_from(
    ["1", "-2", "0.5", "1e3", "0x1F", "NULL", "'a'", "'it''s (SEARCH IMAGE'", "x'00ff'", "?1", "''"]
)


def words(*parts: Any) -> st.SearchStrategy[list[str]]:
    """Strategies and words in a row, as one list of words."""
    made = [st.just([part]) if isinstance(part, str) else part.map(as_list) for part in parts]
    return st.tuples(*made).map(lambda lists: [word for each in lists for word in each])


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def listed(item: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[list[str]]:
    """One to three items with commas between."""
    return st.lists(item.map(as_list), min_size=least, max_size=3).map(
        lambda items: [
            word for index, each in enumerate(items) for word in ([","] * (index > 0) + each)
        ]
    )


EXPRESSION = st.recursive(
    st.one_of(COLUMN, LITERAL).map(as_list),
    lambda inner: st.one_of(
        words("(", inner, ")"),
        words(
            inner, st.sampled_from(["+", "*", "||", "=", "<>", "<<", "AND", "IS", "IS NOT"]), inner
        ),
        words(inner, st.sampled_from(["->", "->>"]), st.sampled_from(["'$.a'", "'$.a[0]'", "0"])),
        words(inner, "BETWEEN", inner, "AND", inner),
        words(inner, "IN", "(", inner, ",", inner, ")"),
        words(inner, st.sampled_from(["LIKE", "GLOB", "NOT LIKE"]), inner),
        words("CASE", "WHEN", inner, "THEN", inner, "ELSE", inner, "END"),
        words("CAST", "(", inner, "AS", st.sampled_from(["TEXT", "INTEGER", "image"]), ")"),
        words(
            st.sampled_from(["abs", "length", "typeof", "quote", "max", "count"]), "(", inner, ")"
        ),
        words("json_extract", "(", inner, ",", "'$.a'", ")"),
        words("(", "SELECT", inner, "FROM", TABLE, "LIMIT", "1", ")"),
        words("EXISTS", "(", "SELECT", inner, "FROM", TABLE, ")"),
        words(
            "sum", "(", inner, ")", "OVER", "(", "PARTITION", "BY", inner, "ORDER", "BY", inner, ")"
        ),
        words("row_number", "(", ")", "OVER", "get"),
    ),
    max_leaves=6,
)
RESULT = st.one_of(
    EXPRESSION, words(EXPRESSION, "AS", ALIAS), st.just(["*"]), words("search", ".", "*")
)
SOURCE = st.one_of(
    words(TABLE, "AS", ALIAS),
    TABLE.map(as_list),
    words(TABLE, "AS", "search", "JOIN", TABLE, "AS", "convert", "USING", "(", "id", ")"),
    words(TABLE, "LEFT", "JOIN", TABLE, "ON", EXPRESSION),
    words("(", "SELECT", listed(RESULT), "FROM", TABLE, ")", "AS", ALIAS),
    words("json_each", "(", "'[1, 2]'", ")", "AS", ALIAS),
    words("(", TABLE, "AS", ALIAS, ",", TABLE, ")"),
)
CORE = words("SELECT", st.sampled_from(["", "DISTINCT", "ALL"]), listed(RESULT), "FROM", SOURCE)
TAIL = st.one_of(
    st.just([]),
    words("WHERE", EXPRESSION),
    words("GROUP", "BY", EXPRESSION, "HAVING", EXPRESSION),
    words("WINDOW", "get", "AS", "(", "ORDER", "BY", EXPRESSION, ")"),
    words("ORDER", "BY", EXPRESSION, st.sampled_from(["ASC", "DESC NULLS LAST"]), "LIMIT", "2"),
)
SELECT = st.one_of(
    words(CORE, TAIL),
    words(CORE, st.sampled_from(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]), CORE),
    words("WITH", ALIAS, "AS", "(", CORE, TAIL, ")", CORE),
    words(
        *("WITH RECURSIVE", "list", "(", "model", ")", "AS", "(", "SELECT", "1", "UNION ALL"),
        *("SELECT", "model", "+", "1", "FROM", "list", "LIMIT", "3", ")", CORE),
    ),
    words("VALUES", "(", listed(EXPRESSION), ")", ",", "(", listed(EXPRESSION), ")"),
)
RETURNING = st.one_of(st.just([]), words("RETURNING", listed(RESULT)))
CHANGE = st.one_of(
    words("INSERT", "INTO", TABLE, "DEFAULT", "VALUES", RETURNING),
    words("INSERT", "INTO", "convert", "(", "id", ",", "list", ")", SELECT, RETURNING),
    words(
        *("INSERT", "INTO", "convert", "AS", "search", "(", "id", ",", "list", ")", "VALUES", "("),
        *(LITERAL, ",", LITERAL, ")", "ON", "CONFLICT", "(", "list", ")", "DO", "UPDATE", "SET"),
        *("model", "=", "excluded", ".", "list", "WHERE", EXPRESSION, RETURNING),
    ),
    words(
        "REPLACE",
        "INTO",
        "search",
        "(",
        "id",
        ",",
        "image",
        ")",
        "VALUES",
        "(",
        "1",
        ",",
        LITERAL,
        ")",
    ),
    words(
        "UPDATE", TABLE, "SET", COLUMN, "=", EXPRESSION, "FROM", "print", "AS", "copy", RETURNING
    ),
    words("DELETE", "FROM", TABLE, "WHERE", EXPRESSION, RETURNING),
    words("CREATE", "TABLE", ALIAS, "AS", SELECT),
    words("CREATE", "TEMP", "VIEW", ALIAS, "AS", SELECT),
    words(
        "CREATE",
        "TABLE",
        ALIAS,
        "(",
        COLUMN,
        "text",
        ",",
        COLUMN,
        "DEFAULT",
        "(",
        LITERAL,
        ")",
        ")",
    ),
    words("CREATE", "INDEX", ALIAS, "ON", "search", "(", COLUMN, ")", "WHERE", EXPRESSION),
    words(
        *("CREATE", "TRIGGER", ALIAS, "AFTER", "UPDATE", "OF", "image", "ON", "search", "WHEN"),
        *(EXPRESSION, "BEGIN", SELECT, ";", "DELETE", "FROM", "print", ";"),
        *("INSERT", "INTO", "print", "(", "copy", ")", SELECT, ";", "END"),
    ),
    words("EXPLAIN", "QUERY", "PLAN", SELECT),
    st.sampled_from(
        ["BEGIN", "SAVEPOINT copy", "PRAGMA table_info(search)", "ANALYZE", "VACUUM"]
    ).map(as_list),
)
ENDING = st.sampled_from(
    ["", ";", " ; ", "; -- LIST MODEL", " /* open SEARCH IMAGE", ";;", "; SELECT 1"]
)


@st.composite
def statements(draw: st.DrawFn, statement: st.SearchStrategy[list[str]]) -> str:
    """The words of a statement with white space and comments between them."""
    return "".join(draw(GAP) + word for word in draw(statement)) + draw(ENDING)


@settings(max_examples=300, deadline=None)
@given(statements(SELECT), st.sampled_from([(), (1,), ("a cat",), (b"\0",), (1, 2), {"a": 1}]))
def test_queries(sql: str, parameters: Any) -> None:
    assert_untouched(sql, parameters)


@settings(max_examples=300, deadline=None)
@given(statements(CHANGE), st.sampled_from([(), (1,), (None,)]))
def test_changes(sql: str, parameters: Any) -> None:
    assert_untouched(sql, parameters)


PIECES = st.sampled_from(
    [
        *(
            "SELECT",
            "FROM",
            "WHERE",
            "AS",
            "(",
            ")",
            "((",
            "'",
            '"',
            "`",
            "[",
            "]",
            "/*",
            "*/",
            "--",
        ),
        *(
            "\n",
            " ",
            ",",
            ";",
            "=",
            "?",
            ":a",
            "$b",
            "\0",
            "\ud800",
            "\ufeff",
            "한글",
            "é",
            "𝄞",
            "x'",
        ),
        *("1", "a", "id", "image", "text", "INSERT INTO", "VALUES", "END", "BEGIN", "CASE", "\\"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=15).map(" ".join), st.text(max_size=40)))
def test_garbage(sql: str) -> None:
    assume(not first_words(sql)[1])  # a verb of ours alone is ours
    assert_untouched(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '" + "SEARCH IMAGE text=x USING m " * 40_000 + "' AS image",
        "INSERT INTO print (copy) VALUES " + ",".join(["('a copy of (it')"] * 60_000),
        "SELECT " + "(" * 900_000,
        "/* " + "CONVERT USING m AS SELECT 1 " * 40_000 + "*/ SELECT 1",
        "SELECT 1 -- " + "(LIST MODEL) " * 80_000,
        "SELECT 1\0SEARCH",
        "SELECT '\ud800'",
        "",
        " \n;",
    ],
    ids=[
        "literal",
        "values",
        "parentheses",
        "comment",
        "dashes",
        "nul",
        "surrogate",
        "empty",
        "blank",
    ],
)
def test_large_and_odd_texts(sql: str) -> None:
    assert_untouched(sql)


@pytest.mark.parametrize("sql", [b"SELECT 1", None, 1, [], bytearray(b"SELECT 1"), ("SELECT 1",)])
def test_what_is_no_text(sql: Any) -> None:
    assert_untouched(sql)


@pytest.mark.parametrize("parameters", [None, 1, "ab", (1, 2, 3), {"b": 1}, [object()], (2**64,)])
def test_wrong_parameters(parameters: Any) -> None:
    for sql in ("SELECT ?", "SELECT :a", "SELECT 1"):
        if not (sql == "SELECT :a" and isinstance(parameters, (str, tuple, list))):
            assert_untouched(sql, parameters)
