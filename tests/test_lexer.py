"""Tokens and scripts are cut where SQLite cuts them."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thanosql_dbapi.language import parse, quote_name, quote_text, split_script
from thanosql_dbapi.language.lexer import tokens


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("'a''b' \"c\"\"d\" [e]]", ["'a''b'", '"c""d"', "[e]", "]"]),
        ("x'00' X'0' x", ["x'00'", "X'0'", "x"]),
        ("a->b->>c||d<=e<>", ["a", "->", "b", "->>", "c", "||", "d", "<=", "e", "<>"]),
        ("a=b==c!=d<<~e.f", ["a", "=", "b", "==", "c", "!=", "d", "<<", "~", "e", ".", "f"]),
        ("1.5e3 .5 0x1F 1_000 5.a", ["1.5e3", ".5", "0x1F", "1_000", "5.", "a"]),
        ("? ?12 :a @b $c::d(e f) #g", ["?", "?12", ":a", "@b", "$c::d", "(", "e", "f", ")", "#g"]),
        ("$a$ b $a$ $$", ["$a$", "b", "$a$", "$$"]),
        ("a/* $$ */b--c\nd/*e", ["a", "b", "d"]),
        ("한글_1 \ufeff é\u00a0x", ["한글_1", "é\u00a0x"]),
        ("'open \" ;", ["'open \" ;"]),
    ],
)
def test_tokens_are_sqlite_s(sql: str, texts: list[str]) -> None:
    found = list(tokens(sql))
    assert [token.text for token in found[:-1]] == texts
    assert all(sql[token.start : token.end] == token.text for token in found)


def test_sqlparse_keeps_its_own_lexer() -> None:
    import sqlparse

    parse("LIST MODEL")
    statement = sqlparse.parse("SELECT 1")[0]
    assert str(statement.tokens[0].ttype) == "Token.Keyword.DML"


def test_quoting() -> None:
    assert quote_name('a"b') == '"a""b"'
    assert quote_text("it's") == "'it''s'"


WORDS = (
    "CREATE TEMP TRIGGER t BEGIN END ; ; ; EXPLAIN SELECT 'a;b' \"c;\" [d;] `;` -- /* ; */ "
    "\n ' $ x.y 한글 ;END CREATE; LIST MODEL"
)
SCRIPTS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=30).map(" ".join)


@given(SCRIPTS)
def test_scripts_are_split_where_sqlite_says(script: str) -> None:
    pieces = split_script(script)
    assert "".join(pieces) == script
    for piece in pieces[:-1]:
        assert sqlite3.complete_statement(piece)
        ends = [at for at, character in enumerate(piece) if character == ";"]
        body = piece.lstrip("; \n")
        if body == piece.lstrip(" \n") and not body.startswith(("--", "/*")):
            assert not any(sqlite3.complete_statement(piece[: at + 1]) for at in ends[:-1])


def test_script_of_both_languages() -> None:
    script = (
        "-- first\nCREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;"
        "LIST MODEL; ;SELECT ';' /* ; */;\n -- the end"
    )
    pieces = split_script(script)
    assert pieces == [
        "-- first\nCREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;",
        "LIST MODEL;",
        " ;SELECT ';' /* ; */;\n -- the end",
    ]
    assert [parse(piece) is None for piece in pieces] == [True, False, True]


@pytest.mark.parametrize(
    "statement",
    [
        "SEARCH IMAGE texts=['a];b', 'c'] USING m AS SELECT 1;",
        'SEARCH IMAGE texts=[ "a];""b" ] USING m AS SELECT 1;',
        "COPY t FROM ? OPTIONS (x=[1, None, ':];', :a,]);",
        "SELECT [a;b], ['c] FROM [d]]e;",
    ],
)
def test_a_script_is_not_cut_inside_a_list(statement: str) -> None:
    assert split_script(statement + " SELECT 2") == [statement, " SELECT 2"]
