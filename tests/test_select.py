"""What a query reads from, and where a result column can be put."""

from __future__ import annotations

import pytest

from thanosql_dbapi.language import parse
from thanosql_dbapi.language.outline import outline, tables_read
from thanosql_dbapi.language.select import FromTable
from thanosql_dbapi.language.tree import Print, Query, TableName

SEARCH = "SEARCH IMAGE text='a' USING m AS "


def read_query(sql: str) -> Query:
    tree = parse(f"PRINT IMAGE AS {sql}")
    assert isinstance(tree, Print)
    return tree.query


@pytest.mark.parametrize(
    ("sql", "select_list", "tables"),
    [
        ("SELECT * FROM t", "SELECT", [("t", None, '"t"')]),
        ("SELECT ALL a FROM main.t AS x", "SELECT ALL", [("t", "main", '"x"')]),
        ("SELECT/* c */a FROM [my t] y WHERE y.a", "SELECT", [("my t", None, '"y"')]),
        ("SELECT a FROM t LEFT JOIN u ON (t.a = u.a), v", "SELECT", ["t", "u", "v"]),
        ("SELECT a FROM t NATURAL JOIN u USING (a) ORDER BY b, c", "SELECT", ["t", "u"]),
        ("SELECT a FROM t INDEXED BY i WHERE a IS DISTINCT FROM b, c", "SELECT", ["t"]),
        ("SELECT a, (SELECT b FROM u) FROM t LIMIT 1, 2", "SELECT", ["t"]),
        ("SELECT a FROM (SELECT * FROM u) x, f(1) y, t z", "SELECT", [("t", None, '"z"')]),
        ("SELECT a FROM (u JOIN v) JOIN t", "SELECT", ["t"]),
        (
            "WITH q AS (SELECT 1 FROM u) SELECT a FROM q",
            "WITH q AS (SELECT 1 FROM u) SELECT",
            ["q"],
        ),
        ("SELECT 1", "SELECT", []),
    ],
)
def test_outline(sql: str, select_list: str, tables: list[object]) -> None:
    shape = outline(read_query(sql))
    assert shape is not None
    assert shape.select_list == (0, len(select_list))
    expected = [
        table if isinstance(table, tuple) else (table, None, f'"{table}"') for table in tables
    ]
    assert list(shape.tables) == [
        FromTable(TableName(name, schema), reference) for name, schema, reference in expected
    ]
    assert not any([shape.is_compound, shape.is_distinct, shape.is_grouped])


def test_outline_counts_all_sources() -> None:
    shape = outline(read_query("SELECT a FROM t, (SELECT 1), f(2), (u JOIN v) JOIN w"))
    assert shape is not None
    assert (shape.sources, len(shape.tables)) == (5, 2)


@pytest.mark.parametrize(
    ("sql", "flag"),
    [
        ("SELECT a FROM t UNION SELECT b FROM u", "is_compound"),
        ("SELECT DISTINCT a FROM t", "is_distinct"),
        ("SELECT a FROM t GROUP BY a", "is_grouped"),
        ("SELECT count(*) FROM t HAVING 1", "is_grouped"),
    ],
)
def test_outline_flags(sql: str, flag: str) -> None:
    shape = outline(read_query(sql))
    assert shape is not None
    flags = {name for name in ("is_compound", "is_distinct", "is_grouped") if getattr(shape, name)}
    assert flags == {flag}


@pytest.mark.parametrize("sql", ["VALUES (1)", "LIST TABLE", "WITH q AS (SELECT 1) VALUES (2)"])
def test_outline_of_other_queries_is_none(sql: str) -> None:
    assert outline(read_query(sql)) is None


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT * FROM T", "t"),
        ("SELECT * FROM a WHERE x IN (SELECT y FROM b JOIN (c, d))", "a b c d"),
        (f"SELECT * FROM (CONVERT USING m AS {SEARCH} SELECT * FROM [u]) JOIN v", "u v"),
        ("WITH q(x) AS (SELECT * FROM a), [R] AS (SELECT 1) SELECT * FROM Q, r, b", "a b"),
        ("SELECT f(a, b), 'FROM c' FROM t, json_each(t.d) -- FROM e", "t"),
        ("SELECT a IS DISTINCT FROM b FROM t", "t"),
        ("SELECT 1", ""),
    ],
)
def test_tables_read(sql: str, names: str) -> None:
    assert tables_read(read_query(sql)) == {TableName(name) for name in names.split()}


def test_tables_read_keeps_schemas() -> None:
    query = read_query("WITH t AS (SELECT 1) SELECT * FROM t, Main.T")
    assert tables_read(query) == {TableName("t", "main")}
