"""Texts to trees: every form of the language, every error, and properties of any text."""

from __future__ import annotations

import sqlite3
import sys
import warnings
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thanosql_dbapi.errors import StatementError
from thanosql_dbapi.language import grammar, parse
from thanosql_dbapi.language.tree import (
    Convert,
    Copy,
    GetDataset,
    GetModel,
    List,
    Option,
    Parameter,
    Print,
    Query,
    Search,
    TableName,
    Tree,
)

STATEMENTS = Path(__file__).with_name("statements")


def read_lines(name: str) -> list[str]:
    """Return the lines of a file of statements, its first line (what it holds) left out."""
    return (STATEMENTS / name).read_text(encoding="utf-8").splitlines()[1:]


VALID = [line.split(" ", 1) for line in read_lines("valid.sql")]
EQUAL = [block.splitlines() for block in "\n".join(read_lines("equal.sql")).split("\n\n")]
ERRORS = list(zip(*[iter(read_lines("errors.sql"))] * 2, strict=True))
TUTORIAL = (STATEMENTS.parent / "tutorial" / "search_image_by_text.txt").read_text(encoding="utf-8")

SEARCH = "SEARCH IMAGE text='a' USING m AS "


def rebuild(query: Query, sql: str) -> str:
    """Return the SQL that a query's parts make up, having done the same with those inside."""
    text = ""
    for part in query.parts:
        if isinstance(part, str):
            text += part
        elif isinstance(part, Parameter):
            text += part.text
        else:
            inner = getattr(part, "query", None)
            if inner is not None:
                assert rebuild(inner, sql) == sql[inner.offset : inner.end]
            text += sql[part.offset : part.end]
    return text


def lone(sql: str) -> Search:
    """Return the one SEARCH that a text is."""
    tree = parse(sql)
    assert isinstance(tree, Query)
    (statement,) = tree.parts
    assert isinstance(statement, Search)
    return statement


@pytest.mark.parametrize(("kind", "sql"), VALID)
def test_every_form_parses(kind: str, sql: str) -> None:
    tree = parse(sql)
    assert type(tree).__name__ == kind
    query = tree if isinstance(tree, Query) else getattr(tree, "query", None)
    if query is not None:
        assert rebuild(query, sql) == sql[query.offset : query.end]


def test_forms_cover_every_verb() -> None:
    words = " ".join(sql.upper() for _, sql in VALID + [["", sql] for sql in chain(*EQUAL)])
    labels = [spec.label for spec in grammar.SPECS.values()]
    assert [label for label in labels if label.upper() not in words] == ["LIST THANOSQL_DATASET"]


@pytest.mark.parametrize("spellings", EQUAL, ids=lambda block: block[0])
def test_spellings_of_one_statement_are_equal(spellings: list[str]) -> None:
    first, *others = [parse(sql) for sql in spellings]
    assert first is not None
    for other in others:
        assert other == first


@pytest.mark.parametrize(("sql", "expected"), ERRORS)
def test_error_says_what_where_and_what_to_do(sql: str, expected: str) -> None:
    sql = sql.replace("\\n", "\n")
    place, message = expected.removeprefix("--^ ").split(" ", 1)
    with pytest.raises(StatementError, match=r"line \d+, column \d+") as caught:
        parse(sql)
    error = caught.value
    hint = f"; {error.hint}" if error.hint else ""
    assert f"{error.line}:{error.column} {error.message}{hint}" == f"{place} {message}"
    shown, caret = str(error).split("\n")[-2:]
    assert shown.strip() in sql
    assert caret.strip() == "^"


def test_error_shows_the_line_and_a_caret_under_the_spot() -> None:
    with pytest.raises(StatementError, match="unknown option 'topk'") as caught:
        parse("-- 고양이\nSEARCH IMAGE text='고양이' USING m\n  OPTIONS (topk=1) AS SELECT 1")
    assert str(caught.value).split("\n")[1:] == [
        "    OPTIONS (topk=1) AS SELECT 1",
        "             ^",
    ]


def test_caret_stands_right_behind_korean_text() -> None:
    with pytest.raises(StatementError, match="found 'USNG'") as caught:
        parse("SEARCH IMAGE text='고양이' USNG m")
    assert str(caught.value).split("\n")[1:] == [
        "  SEARCH IMAGE text='고양이' USNG m",
        "                             ^",
    ]
    assert caught.value.column == 25


def test_statements_inside_each_other_have_a_limit() -> None:
    deep = f"SELECT * FROM ({SEARCH}" * 500 + "SELECT 1" + ")" * 500
    with pytest.raises(StatementError, match="expected at most 40 statements inside each other"):
        parse(deep)


def test_tutorial_parses_word_for_word() -> None:
    trees = [parse(sql) for sql in TUTORIAL.split("%%thanosql\n")[1:]]
    cat = Search("image", ("a black cat",), (), "tutorial_search_clip", select("unsplash_data"))
    assert len(trees) == 13
    assert trees[:3] == [
        GetDataset("unsplash_data", options=(Option("overwrite", True),)),
        Copy(
            TableName("unsplash_data"),
            "thanosql-dataset/unsplash_data/unsplash.csv",
            options=(Option("overwrite", True),),
        ),
        GetModel(
            "tutorial_search_clip",
            "tutorial_search_clip",
            options=(Option("overwrite", True),),
        ),
    ]
    assert trees[3] is None
    assert trees[4] == Print("image", Query(("SELECT image_path \nFROM unsplash_data \nLIMIT 5",)))
    convert = Convert(
        "tutorial_search_clip",
        Query(("SELECT *\nFROM unsplash_data",)),
        options=(
            Option("image_col", "image_path"),
            Option("table_name", "unsplash_data"),
            Option("batch_size", 128),
        ),
    )
    assert trees[5] == Query((convert,))
    assert trees[6] is None
    assert trees[7] == Query((cat,))
    assert isinstance(trees[8], Query)
    assert isinstance(trees[8].parts[1], Search)
    for tree in trees[9:]:
        assert isinstance(tree, Print)
        assert isinstance(tree.query.parts[1], Search)
        assert tree.query.parts[2].endswith("LIMIT 5")  # type: ignore[union-attr]


def select(table: str) -> Query:
    """Return the query as the tutorial lays it out."""
    return Query((f"SELECT * \nFROM {table}",))


def test_texts_come_before_images_and_parameters_stay_one() -> None:
    search = lone("SEARCH TEXT images=['x', ?] text=:t USING m AS SELECT 1")
    assert search.medium == "text"
    assert search.texts == (Parameter(2, "t"),)
    assert search.images == ("x", Parameter(1))
    assert not search.ranked


def test_later_form_is_ranked() -> None:
    search = lone(
        "SEARCH IMAGE USING m OPTIONS (search_by='text', search_input=?, top_k=3) AS SELECT 1"
    )
    assert (search.texts, search.images, search.ranked) == ((Parameter(1),), (), True)
    assert search.options == (Option("top_k", 3),)


def test_later_form_with_a_bound_kind_keeps_its_options() -> None:
    search = lone(
        "SEARCH IMAGE USING m OPTIONS (search_input_type=?, search_input='a') AS SELECT 1"
    )
    assert (search.texts, search.images, search.ranked) == ((), (), True)
    assert search.options == (Option("search_by", Parameter(1)), Option("search_input", "a"))


def test_model_name_may_be_bound() -> None:
    tree = parse("GET THANOSQL MODEL m OPTIONS (model_name=:n)")
    assert tree == GetModel("m", options=(Option("model_name", Parameter(1, "n")),))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'it''s'", "it's"),
        ('"say ""hi"""', 'say "hi"'),
        ("''", ""),
        ("-5", -5),
        ("+ 1_000", 1000),
        ("0x1F", 31),
        ("-1.5e-3", -0.0015),
        (".5", 0.5),
        ("5.", 5.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("[]", ()),
        ("""['a', "b]c", -1, True, NULL, ?]""", ("a", "b]c", -1, True, None, Parameter(1))),
        ("['한글', ]", ("한글",)),
        ("[ /* ] */ 1 ]", (1,)),
        ("$x::y(z)", Parameter(1, "x::y(z)")),
    ],
)
def test_option_values(written: str, value: object) -> None:
    tree = parse(f"PREDICT USING m OPTIONS (labels={written}, top_k=1) AS SELECT [z]")
    assert isinstance(tree, Query)
    (predict,) = tree.parts
    assert predict.options == (  # type: ignore[union-attr]
        Option("labels", value),  # type: ignore[arg-type]
        Option("top_k", 1),
    )


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        (f"{SEARCH} SELECT 1", "SELECT"),
        (f"VALUES ((SELECT a FROM ({SEARCH} SELECT 1)))", "SELECT"),
        (f"WITH q AS ({SEARCH} SELECT 1) DELETE FROM t", "DELETE"),
        (f"REPLACE INTO t {SEARCH} SELECT 1", "REPLACE"),
        (f"UPDATE t SET a = ({SEARCH} SELECT 1)", "UPDATE"),
        (f"CREATE TEMP VIEW v AS {SEARCH} SELECT 1", "CREATE VIEW"),
        (f"EXPLAIN CREATE TABLE v AS {SEARCH} SELECT 1", "EXPLAIN"),
        ("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT (LIST TABLE); END", "CREATE TRIGGER"),
    ],
)
def test_verb_of_the_sql_around(sql: str, verb: str) -> None:
    tree = parse(sql)
    assert isinstance(tree, Query)
    assert tree.verb == verb


def test_query_ends_before_comments_and_semicolons() -> None:
    tree = parse("/* a */ SELECT 1 -- b\n FROM (LIST TABLE) -- c\n; -- d")
    assert tree == Query(("SELECT 1 -- b\n FROM (", List("table"), ")"))


WORDS = (
    "SEARCH IMAGE TEXT AUDIO CONVERT LIST MODEL THANOSQL DATASET GET COPY PRINT DELETE BUILD "
    "USING OPTIONS AS FROM SELECT UNION ALL WITH INSERT INTO VALUES CREATE TABLE VIEW TRIGGER "
    "BEGIN END EXPLAIN t m text= image= top_k= search_by= 'a' \"b\" [c] ['d'] 1 -2. ( ) ( ) , ; . "
    "= * ? ?3 :x $y$ -- /* */ ' \" [ ] \n 한글 \x1a \ufeff"
)
TEXTS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=25).map(" ".join) | st.text()


@given(st.sampled_from(["", "SELECT * FROM (", SEARCH, "SEARCH IMAGE "]), TEXTS)
def test_any_text_parses_or_is_a_statement_error(opening: str, text: str) -> None:
    sql = opening + text
    tree: Tree | None = None
    try:
        tree = parse(sql)
    except StatementError as error:
        assert error.message  # noqa: PT017 - which texts fail is not known
    if isinstance(tree, (Query, Print)):
        query = tree if isinstance(tree, Query) else tree.query
        assert rebuild(query, sql) == sql[query.offset : query.end]


@given(
    st.lists(
        st.sampled_from(["?", "?", "?2", "?007", "?9"]),
        min_size=1,
        max_size=6,
    )
    if sys.version_info >= (3, 14)
    else st.lists(
        st.sampled_from(["?", "?2", "?9", ":a", "@a", "$a", ":b", "$a::b(c)", "#a"]),
        min_size=1,
        max_size=6,
    )
)
def test_parameters_are_numbered_as_sqlite_does(written: list[str]) -> None:
    written = [*written, "?", written[0], "?"]
    first, second, third, *others = written
    tree = parse(
        f"SELECT {first} FROM (SEARCH IMAGE text=[{second}, 'x'] USING m "
        f"AS SELECT * FROM t WHERE a = {third}) WHERE b IN ({', '.join(others)})"
    )
    assert isinstance(tree, Query)
    search = tree.parts[3]
    assert isinstance(search, Search)
    found = [tree.parts[1], search.texts[0], search.query.parts[1]]
    found += [part for part in tree.parts[4:] if isinstance(part, Parameter)]
    numbers = [part.number for part in found if isinstance(part, Parameter)]
    with warnings.catch_warnings(), closing(sqlite3.connect(":memory:")) as conn:
        warnings.simplefilter("ignore", DeprecationWarning)  # names with a sequence
        (row,) = conn.execute(f"SELECT {', '.join(written)}", range(1, max(numbers) + 1))
    assert tuple(numbers) == row
