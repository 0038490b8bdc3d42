"""The sqlglot dialect: what a tool that parses SQL is told of ThanoSQL, and what it runs.

The two questions are asked as Apache Superset asks them: the tables of a statement are the sources
of its scopes, and a statement writes when it holds an INSERT or the like.
"""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import thanosql_dbapi
from thanosql_dbapi import language
from thanosql_dbapi.language import tree

sqlglot = pytest.importorskip("sqlglot", minversion="28.10")
from sqlglot import exp  # noqa: E402
from sqlglot.errors import ParseError, SqlglotError, UnsupportedError  # noqa: E402
from sqlglot.optimizer.scope import traverse_scope  # noqa: E402

from sqlalchemy_thanosql import writing  # noqa: E402
from sqlalchemy_thanosql.sqlglot import ThanoSQL  # noqa: E402
from sqlalchemy_thanosql.sqlglot_nodes import Action, Reading  # noqa: E402

CATS = "SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos"
WRITTEN = """SEARCH IMAGE text='a cat' USING "m" AS (SELECT * FROM photos)"""
INNER = "WITH s AS (SELECT 1) SELECT * FROM s"
STORE = "CONVERT USING m OPTIONS (table_name='{}') AS SELECT * FROM photos"


def parse_all(sql: str) -> list[exp.Expression]:
    return [each for each in ThanoSQL().parse(sql) if each is not None]


def parse_one(sql: str) -> exp.Expression:
    (statement,) = parse_all(sql)
    return statement


def tables(statement: exp.Expression) -> set[str]:
    if isinstance(statement, exp.Describe):
        found = list(statement.find_all(exp.Table))
    else:
        found = [
            source
            for scope in traverse_scope(statement)
            for source in scope.sources.values()
            if isinstance(source, exp.Table)
        ]
    return {f"{each.db}.{each.name}".lstrip(".") for each in found}


def writes(statement: exp.Expression) -> bool:
    kinds = (exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Alter)
    return statement.find(*kinds) is not None


def statements_of(node: object) -> Iterator[str]:
    """The statements that the driver reads in a text, without their queries."""
    if isinstance(node, tree.Statement):
        has_query = hasattr(node, "query")
        yield repr(replace(node, query=tree.Query(())) if has_query else node)
    for part in getattr(node, "parts", ()):
        yield from statements_of(part)
    if hasattr(node, "query"):
        yield from statements_of(node.query)


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        (CATS, {"photos"}),
        (f"SELECT image_path FROM ({CATS} WHERE x > 3) ORDER BY 1 LIMIT 5", {"photos"}),
        (f"SELECT * FROM a JOIN ({CATS}) AS s ON a.id = s.id", {"a", "photos"}),
        (f"SELECT * FROM a WHERE id IN (SELECT id FROM ({CATS}))", {"a", "photos"}),
        (f"SELECT (SELECT max(x) FROM ({CATS})) FROM a", {"a", "photos"}),
        (f"SELECT * FROM a UNION ALL {CATS}", {"a", "photos"}),
        (f"WITH c AS ({CATS}) SELECT * FROM c", {"photos"}),
        ("WITH c AS (SELECT * FROM a) SEARCH TEXT text='x' USING m AS SELECT * FROM c", {"a"}),
        (f"SEARCH IMAGE text='x' USING m AS {CATS}", {"photos"}),
        ("SEARCH IMAGE text='x' USING m AS (SELECT * FROM a JOIN main.b)", {"a", "main.b"}),
        ("SEARCH IMAGE text='x' USING m AS (SELECT * FROM a, b)", {"a", "b"}),
        ("SEARCH IMAGE text='x' USING m AS WITH p AS (SELECT * FROM a) SELECT * FROM p", {"a"}),
        ('SEARCH IMAGE texts=[\'a\', "it\'s; b"] USING m AS SELECT * FROM "a b"', {"a b"}),
        (
            "SEARCH IMAGE USING m OPTIONS (search_by='image', search_input='x.jpg') AS VALUES (1)",
            set(),
        ),
        (f"{CATS} -- FROM secret", {"photos"}),
        ("CONVERT USING m AS SELECT * FROM photos", {"photos"}),
        ("PRINT IMAGE OPTIONS (limit=3) AS SELECT * FROM photos", {"photos"}),
        ("SELECT * FROM (PREDICT USING m AS SELECT * FROM photos) WHERE x = 'a'", {"photos"}),
        (
            "PREDICT USING m OPTIONS (label_col='n', label_table='tags') AS SELECT * FROM photos",
            {"photos", "tags"},
        ),
        ("EVALUATE USING m OPTIONS (k=[1, 5], text_col='t') AS SELECT * FROM photos", {"photos"}),
        (f"PRINT IMAGE AS {CATS}", {"photos"}),
        (f"EXPLAIN QUERY PLAN SELECT * FROM ({CATS})", {"photos"}),
        (f"EXPLAIN {CATS}", {"photos"}),
        ("LIST MODEL", {"thanosql_models"}),
        ("SELECT * FROM (LIST TABLE) WHERE type = 'view'", {"sqlite_master"}),
        ("LIST THANOSQL DATASET", set()),
        ("EXPLAIN SELECT * FROM photos", {"photos"}),
        ("SELECT list, search FROM copy", {"copy"}),
        ("SELECT cosine_similarity(v, embed_text('m', 'x')) AS s FROM t ORDER BY s DESC", {"t"}),
        ("SELECT * FROM a WHERE x IN main.b OR y NOT IN 'c'", {"a", "main.b", "c"}),
        ("SELECT * FROM (VALUES ((SELECT x FROM a)))", {"a"}),
        ("SELECT * FROM (CONVERT USING m AS WITH c AS (SELECT * FROM a) SELECT * FROM c)", {"a"}),
        ("SELECT a FROM t ORDER BY cosine_similarity(v, embed_text('m', 'x')) DESC LIMIT 5", {"t"}),
    ],
)
def test_reads(sql: str, read: set[str]) -> None:
    statement = parse_one(sql)
    written = ThanoSQL().generate(statement, pretty=True)

    assert tables(statement) == read
    assert not writes(statement)
    assert sorted(statements_of(language.parse(written))) == sorted(
        statements_of(language.parse(sql))
    )
    assert tables(parse_one(written)) == read


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("COPY t FROM 'x.csv'", {"t"}),
        (
            "BUILD MODEL a USING clipen OPTIONS (label_col='who') AS SELECT * FROM photos",
            {"photos", "thanosql_models"},
        ),
        (f"FIT MODEL a USING b AS {CATS}", {"photos", "thanosql_models"}),
        ("COPY main.t OPTIONS (if_exists='append') FROM '[{\"a\": 1}]'", {"main.t"}),
        (STORE.format("photos"), {"photos"}),
        (STORE.format("new"), {"photos", "new"}),
        (STORE.format("album.new"), {"photos", "album.new"}),
        (f"SELECT count(*) FROM ({STORE.format('new')})", {"photos", "new"}),
        (
            f"SELECT * FROM a WHERE id IN (SELECT id FROM ({STORE.format('b')}))",
            {"a", "photos", "b"},
        ),
        (f"EXPLAIN {STORE.format('new')}", {"photos", "new"}),
        ("EXPLAIN CONVERT USING m AS SELECT * FROM photos", {"photos", "thanosql_models"}),
        (f"CREATE VIEW cats AS {CATS}", {"photos"}),
        (f"CREATE TABLE cats AS SELECT * FROM ({CATS})", {"photos"}),
        (f"INSERT INTO t {CATS}", {"photos"}),
        ("GET THANOSQL MODEL clip OPTIONS (overwrite=True) AS c", {"thanosql_models"}),
        ("GET THANOSQL DATASET storybook", set()),
        ("UPLOAD MODEL x FROM 'folder'", {"thanosql_models"}),
        ("DELETE MODEL clip", {"thanosql_models"}),
        # What sqlglot itself does not read, or takes for no more than a look.
        ("REPLACE INTO t SELECT * FROM secret", {"secret"}),
        ("PRAGMA user_version = 4", set()),
        ("ATTACH DATABASE 'x.db' AS x", set()),
        ("VACUUM INTO 'x.db'", set()),
        ("CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO u SELECT * FROM secret", {"secret"}),
    ],
)
def test_writes(sql: str, named: set[str]) -> None:
    statement = parse_one(sql)

    assert writes(statement)
    # `album.new` may be a name with a dot, too.
    assert named <= tables(statement) <= named | {"album.new"}
    assert sorted(statements_of(language.parse(ThanoSQL().generate(statement)))) == sorted(
        statements_of(language.parse(sql))
    )


def test_a_script_falls_into_its_statements() -> None:
    first, second, third = parse_all(f"SELECT ';' AS a; {CATS} /* ; */;\nCOPY t FROM 'a;b.csv'; ")

    assert (writes(first), writes(second), writes(third)) == (False, False, True)
    assert tables(second) == {"photos"}


def test_statements_of_ours_do_not_hide_behind_a_trigger() -> None:
    script = "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; COPY u FROM 'x.csv'; END"

    assert tables(parse_all(script)[1]) == {"u"}


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        (
            CATS,
            f"SELECT * FROM ({WRITTEN}) LIMIT 7",
        ),
        (
            f"SELECT * FROM ({CATS}) LIMIT 100",
            f"SELECT * FROM ({WRITTEN}) LIMIT 7",
        ),
        (
            "PRINT IMAGE AS SELECT * FROM photos",
            "PRINT IMAGE AS (SELECT * FROM (SELECT * FROM photos) LIMIT 7)",
        ),
        ("LIST MODEL", "SELECT * FROM (LIST MODEL) LIMIT 7"),
    ],
)
def test_a_limit_that_a_tool_sets(sql: str, want: str) -> None:
    statement = parse_one(sql)
    statement.args["limit"] = exp.Limit(expression=exp.Literal.number(7))

    assert ThanoSQL().generate(statement) == want


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        (f"SELECT * FROM ({CATS})", f"SELECT * FROM ({WRITTEN})"),
        ("REPLACE INTO t SELECT * FROM photos", "INSERT OR REPLACE INTO t SELECT * FROM photos"),
    ],
)
def test_a_table_that_a_tool_replaces_is_replaced_inside(sql: str, want: str) -> None:
    def secured(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table) and node.name == "photos":
            return exp.select("*").from_(node.copy()).where("open = 1").subquery("photos")
        return node

    statement = parse_one(sql).transform(secured)

    assert ThanoSQL().generate(statement) == want.replace(
        "FROM photos", "FROM (SELECT * FROM photos WHERE open = 1) AS photos"
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            'SELECT 1;\nSEARCH IMAGE text="a" USING m OPTIONS (topk=5) AS SELECT * FROM t',
            r"unknown option 'topk' \(line 2, column 40\); did you mean 'top_k'\?",
        ),
        ("COPY t", r"COPY: expected FROM and a path in quotes"),
        ("COPY t IN 'x'", r"COPY: expected FROM"),
        (f"{CATS}) UNION SELECT * FROM (SELECT 1", r"this '\)' closes nothing \(line 1, column"),
        ("(LIST MODEL)", r"cannot stand in parentheses alone \(line 1, column 1\)"),
        ("x IN (LIST MODEL)", r"cannot stand in parentheses alone"),
        ("SEARCH AUDIO text='a' USING m AS SELECT 1", r"SEARCH AUDIO is not supported"),
        ("CREATE TABLE x USING m", r"CREATE TABLE: expected FROM and a path in quotes"),
        (
            f"CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO u {CATS}",
            r"cannot be checked inside a CREATE TRIGGER",
        ),
        # Where Superset would not find the table `secret`.
        ("VALUES ((SELECT a FROM secret))", r"table secret cannot be checked in this place"),
        ("INSERT INTO t VALUES ((SELECT a FROM secret))", r"table secret cannot be checked"),
        (
            "INSERT INTO t VALUES (1) RETURNING (SELECT a FROM secret)",
            r"table secret cannot be checked",
        ),
        ("UPDATE t SET a = b FROM secret", r"table secret cannot be checked"),
        ("x > 1 OR EXISTS (SELECT 1 FROM secret)", r"table secret cannot be checked"),
        (
            "WITH secret AS (SELECT 1) SELECT * FROM (SELECT * FROM main.secret)",
            r"main\.secret is a table and secret a WITH; rename the WITH",
        ),
        (
            "WITH secret AS (SELECT 1) SELECT * FROM (CONVERT USING m AS SELECT * FROM Secret)",
            r"CONVERT does not see the WITH Secret around it; put the WITH in its query",
        ),
        (
            f"WITH s AS (SELECT 1) SELECT * FROM (CONVERT USING m AS SELECT * FROM s, ({INNER}))",
            r"CONVERT does not see the WITH s around it",
        ),
        ("PRAGMA x) OR (1", r"this '\)' closes nothing \(line 1, column 9\)"),
        (f"{CATS}\nWHERE WHERE", r"Line 2, Col: 11"),
        (
            "SELECT * FROM (SEARCH IMAGE\ntext='a'\nUSING m AS SELECT 1)\nWHERE x = = 3",
            r"Line 4, Col: 11",
        ),
    ],
)
def test_what_is_refused(sql: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_all(sql)


@pytest.mark.parametrize("clause", ["list > 3", "search LIKE '%x'", "get = 1", "load > 3", "image"])
def test_columns_named_as_verbs_are_columns_in_clauses(clause: str) -> None:
    statement = parse_one(clause)

    assert isinstance(statement, exp.Condition)
    assert ThanoSQL().generate(statement) == clause


@pytest.mark.parametrize(
    "made",
    [
        exp.Command(this="COPY", expression="t FROM 'x.csv'"),
        exp.Command(this="SELECT", expression=f"* FROM ({CATS})"),
    ],
)
def test_no_statement_leaves_that_the_tree_does_not_have(made: exp.Expression) -> None:
    with pytest.raises(UnsupportedError, match="other ThanoSQL statements than the one it read"):
        ThanoSQL().generate(made)


def test_the_driver_runs_what_is_written(connection: thanosql_dbapi.Connection) -> None:
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    sql = (
        'SELECT photo_id, m_clipen_similarity1 FROM (SEARCH IMAGE text="it\'s red" USING m AS'
        " SELECT * FROM photos WHERE caption <> 'x') ORDER BY 2 DESC"
    )
    written = ThanoSQL().generate(parse_one(sql), pretty=True)

    assert connection.execute(written).fetchall() == connection.execute(sql).fetchall()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
SCALARS = st.one_of(
    TEXTS, st.booleans(), st.none(), st.integers(0, 10**9), st.floats(0, 1e9, width=32)
)


@given(
    medium=st.sampled_from(["image", "text"]),
    texts=st.lists(TEXTS, min_size=1, max_size=3),
    images=st.lists(TEXTS, max_size=2),
    model=NAMES,
    options=st.dictionaries(st.sampled_from(["emb_col", "result_col", "top_k"]), SCALARS),
    is_ranked=st.booleans(),
)
def test_a_search_is_written_as_it_is_read(
    medium: str,
    texts: list[str],
    images: list[str],
    model: str,
    options: dict[str, tree.Scalar],
    is_ranked: bool,
) -> None:
    search = tree.Search(
        medium,
        tuple(texts),
        () if is_ranked else tuple(images),
        model,
        tree.Query(("SELECT 1",)),
        is_ranked,
        options=tuple(tree.Option(*pair) for pair in options.items()),
    )

    assert language.parse(writing.write_statement(search, "SELECT 1")) == tree.Query((search,))


# One a line, so that a word may have spaces.
WORDS = f"""\
SELECT
*
FROM
(
)
SEARCH
IMAGE
text='a'
USING m
AS
LIST
MODEL
CONVERT
COPY
UNION ALL
,
;
/*
*/
'
[
]
WHERE x =
EXPLAIN
WITH c
PRINT
VALUES
PRAGMA
photos
{CATS}
({CATS})
{STORE.format("t")}
COPY t FROM 'x'
LIST MODEL
(LIST MODEL)
""".splitlines()


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join))
def test_a_query_inside_a_select_holds_no_more_than_the_tree(sql: str) -> None:
    try:
        (statement,) = ThanoSQL().parse(sql)
    except (SqlglotError, ValueError, AttributeError):
        return  # sqlglot itself (28.10) has an AttributeError for `ALL (`.
    if statement is None or isinstance(statement, exp.Condition):
        return
    known = {repr(each.args["statement"]) for each in statement.find_all(Reading, Action)}
    try:
        embedded = language.parse(f"SELECT count(*) FROM ({sql}\n) AS virtual_table")
    except thanosql_dbapi.StatementError:
        return
    assert set(statements_of(embedded)) <= known


def test_the_examples_are_true() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "superset.md"

    result = doctest.testfile(str(page), module_relative=False)
    assert (result.attempted > 0, result.failed) == (True, 0)
    assert doctest.testmod(writing).failed == 0
