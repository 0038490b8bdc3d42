"""FUNCTION compute.nearest: the k most similar rows of a table for each row of a query."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest

import thanosql_dbapi as thanosql
from thanosql_dbapi.stores.sqlite import arithmetic

Connection = thanosql.Connection
Found = dict[int, list[tuple[int, float]]]

SCAN = """
SELECT a.id, b.id, CASE
    WHEN vec_distance_L2(a.v, zeroblob(:size)) BETWEEN 1e-12 AND 1e12
     AND vec_distance_L2(b.v, zeroblob(:size)) BETWEEN 1e-12 AND 1e12
    THEN max(-1.0, min(1.0, 1.0 - vec_distance_cosine(a.v, b.v)))
    ELSE cosine_similarity(a.v, b.v) END AS s
FROM one AS a CROSS JOIN other AS b
WHERE length(a.v) = :size AND length(b.v) = :size ORDER BY a.id, s DESC, b.id
"""
"""All pairs, as SQL compares two vectors."""


def table(connection: Connection, name: str, vectors: np.ndarray) -> None:
    connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, v)")
    connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", list(enumerate(vectors, 1)))
    connection.commit()


def drawn(count: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype("f4")


@pytest.fixture
def tables() -> Iterator[Connection]:
    """Tables ``one`` of 300 rows and ``other`` of 500, both of 24 numbers."""
    made = thanosql.connect(":memory:", progress=False)
    table(made, "one", drawn(300, 24, 1))
    table(made, "other", drawn(500, 24, 2))
    yield made
    made.close()


def nearest(
    connection: Connection,
    options: str = "",
    query: str = "SELECT id, v FROM one",
    source: str = "other",
) -> Found:
    sql = (
        "SELECT id, nearest, nearest_similarity, nearest_rank FROM (FUNCTION compute.nearest"
        f" OPTIONS (emb_col='v', src_table='{source}', src_key_col='id'{options}) AS {query})"
    )
    found: Found = {}
    for row, key, value, rank in connection.execute(sql):
        pairs = found.setdefault(row, [])
        if key is None:
            assert (value, rank, pairs) == (None, None, [])
        else:
            pairs.append((key, value))
            assert rank == len(pairs)
    return found


def scanned(connection: Connection, count: int, size: int = 96) -> Found:
    found: Found = {}
    for row, key, value in connection.execute(SCAN, {"size": size}):
        pairs = found.setdefault(row, [])
        if value is not None and len(pairs) < count:
            pairs.append((key, value))
    return found


@pytest.fixture(params=["numpy", "sql"])
def arithmetics(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numpy does not add as sqlite-vec does, SQL compares every pair."""
    if request.param == "sql":
        monkeypatch.setattr(arithmetic, "is_exact", lambda database: False)


@pytest.mark.usefixtures("arithmetics")
@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_answer_is_that_of_a_scan(tables: Connection, count: int) -> None:
    found = nearest(tables, f", top_k={count}")
    assert found == scanned(tables, count)
    one, other = (
        np.stack([np.frombuffer(v, "f4") for (v,) in tables.execute(f"SELECT v FROM {name}")])
        for name in ("one", "other")
    )
    one, other = (
        rows.astype("f8") / np.linalg.norm(rows.astype("f8"), axis=1)[:, None]
        for rows in (one, other)
    )
    cosines = one @ other.T
    for row, pairs in found.items():
        best = np.sort(cosines[row - 1])[::-1][:count]
        assert [value for _, value in pairs] == pytest.approx(best.tolist(), abs=1e-6)


@pytest.mark.usefixtures("arithmetics")
def test_equal_rows_come_in_the_order_of_the_table(tables: Connection) -> None:
    tables.execute("UPDATE other SET v = (SELECT v FROM one WHERE id = 7) WHERE id % 50 = 3")
    found = nearest(tables, ", top_k=4", "SELECT id, v FROM one WHERE id = 7")
    assert [key for key, _ in found[7]] == [3, 53, 103, 153]
    assert found == {7: scanned(tables, 4)[7]}


@pytest.mark.usefixtures("arithmetics")
def test_vectors_of_any_length_and_values_that_are_none(tables: Connection) -> None:
    odd = [
        np.full(24, math.nan, "f4"),
        np.zeros(24, "f4"),
        np.full(24, math.inf, "f4"),
        drawn(1, 24, 3)[0] * np.float32(1e-30),
        drawn(1, 24, 4)[0] * np.float32(1e30),
        drawn(1, 7, 5)[0],
    ]
    for name in ("one", "other"):
        tables.executemany(
            f"UPDATE {name} SET v = ? WHERE id = ?", [(v, n + 1) for n, v in enumerate(odd)]
        )
        tables.execute(f"UPDATE {name} SET v = NULL WHERE id = 10")
    tables.execute("UPDATE other SET v = 'text' WHERE id = 11")
    found = nearest(tables, ", top_k=500")
    expected = scanned(tables, 500)
    assert [row for row in found if not found[row]] == [1, 2, 3, 6, 10]
    assert {row: pairs for row, pairs in found.items() if pairs} == {
        row: pairs for row, pairs in expected.items() if pairs
    }
    # Of 500 rows, three have no direction, one another dimension and two no vector.
    assert len(found[4]) == len(found[20]) == 494
    assert max(value for _, value in found[4]) <= 1


def test_more_than_the_table_has_and_a_table_without_rows(tables: Connection) -> None:
    table(tables, "few", drawn(3, 24, 6))
    found = nearest(tables, ", top_k=10", source="few")
    assert {len(pairs) for pairs in found.values()} == {3}
    assert nearest(tables, query="SELECT id, v FROM one WHERE id < 0") == {}


def test_top_k_of_far_more_than_the_table_has(tables: Connection) -> None:
    found = nearest(tables, f", top_k={10**11}")
    assert {len(pairs) for pairs in found.values()} == {500}
    # A view may find other rows later; a place is kept for each neighbour.
    with pytest.raises(thanosql.StatementError, match=r"'top_k' must be at most 1,000,000"):
        tables.execute(
            "CREATE VIEW near AS FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='other',"
            " top_k=1000001) AS SELECT id, v FROM one"
        )


@pytest.mark.parametrize("name", ["thanosql_n", "THANOSQL_found"])
def test_a_column_of_a_name_that_the_statement_needs(tables: Connection, name: str) -> None:
    with pytest.raises(thanosql.OperationalError, match=rf"(?i)a column '{name}', a name that"):
        nearest(tables, query=f"SELECT id, v, 9 AS {name} FROM one")


def test_a_computed_column_is_a_key_of_the_table(tables: Connection) -> None:
    tables.execute("ALTER TABLE other ADD COLUMN twice AS (2 * id)")
    sql = (
        "FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='other', src_key_col='twice')"
        " AS SELECT id, v FROM one WHERE id = 7"
    )
    keys = [row[2] for row in tables.execute(sql)]
    assert keys == [2 * key for key, _ in nearest(tables)[7]]


def test_a_row_is_no_neighbour_of_itself_where_its_key_is_given(tables: Connection) -> None:
    itself = nearest(tables, ", top_k=1", source="one")
    assert all(pairs[0][0] == row for row, pairs in itself.items())
    others = nearest(tables, ", top_k=3, key_col='id'", source="one")
    assert all(row not in dict(pairs) and len(pairs) == 3 for row, pairs in others.items())
    expected = nearest(tables, ", top_k=4", source="one")
    assert others == {row: pairs[1:] for row, pairs in expected.items()}


def test_a_key_that_many_rows_have_leaves_all_of_them_out(tables: Connection) -> None:
    tables.execute("CREATE TABLE frames AS SELECT id, id % 3 AS film, v FROM one")
    tables.execute("UPDATE frames SET film = NULL WHERE id = 5")
    found = tables.execute(
        "SELECT f.id, film, nearest FROM (FUNCTION compute.nearest OPTIONS (src_table='frames',"
        " emb_col='v', key_col='film', src_key_col='film', top_k=9) AS SELECT * FROM frames) AS f"
    ).fetchall()
    assert len(found) == 300 * 9
    assert all(film != near for _, film, near in found if film is not None)
    # NULL is no key: a row without one has neighbours with any.
    assert {near for row, _, near in found if row == 5} <= {0, 1, 2, None}


def test_many_blocks(tables: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    from thanosql_dbapi.stores.sqlite import nearest as module

    whole = nearest(tables, ", top_k=6")
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_SOURCE_ROWS", 11)
    assert nearest(tables, ", top_k=6") == whole


def test_the_row_id_is_the_key_unless_one_is_named(tables: Connection) -> None:
    tables.execute("CREATE TABLE named (name TEXT PRIMARY KEY, v)")
    tables.execute("INSERT INTO named SELECT 'row ' || id, v FROM other WHERE id < 20")
    sql = (
        "SELECT id, nearest FROM (FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='named',"
        " top_k=2{}) AS SELECT id, v FROM one LIMIT 5)"
    )
    ids = tables.execute(sql.format("")).fetchall()
    names = tables.execute(sql.format(", src_key_col='name'")).fetchall()
    assert [(row, f"row {key}") for row, key in ids] == names


def test_in_views_inserts_and_other_statements(tables: Connection) -> None:
    function = (
        "FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='other', top_k=2) AS"
        " SELECT id, v FROM one WHERE id < 9"
    )
    rows = tables.execute(f"SELECT id, nearest FROM ({function})").fetchall()
    tables.execute(f"CREATE VIEW pairs AS {function}")
    assert tables.execute("SELECT id, nearest FROM pairs").fetchall() == rows
    tables.execute(f"CREATE TABLE kept AS SELECT id, nearest FROM ({function})")
    assert tables.execute("SELECT * FROM kept").fetchall() == rows
    tables.execute(f"INSERT INTO kept SELECT id, nearest FROM ({function})")
    assert tables.execute("SELECT count(*) FROM kept").fetchone() == (2 * len(rows),)
    joined = tables.execute(
        f"SELECT count(*) FROM ({function}) AS p JOIN other AS o ON o.id = p.nearest"
    )
    assert joined.fetchone() == (len(rows),)
    assert [column[0] for column in tables.execute(function).description] == [
        *("id", "v", "nearest", "nearest_similarity", "nearest_rank")
    ]


def test_rows_that_are_not_committed_count(tables: Connection) -> None:
    tables.execute("INSERT INTO other SELECT 1000, v FROM one WHERE id = 1")
    assert nearest(tables)[1][0] == (1000, pytest.approx(1, abs=1e-6))
    tables.execute("UPDATE other SET v = -v WHERE 0")
    tables.execute("DELETE FROM other WHERE id = 1000")
    assert nearest(tables) == scanned(tables, 5)
    tables.rollback()
    tables.execute("INSERT INTO one SELECT id + 1000, v FROM one")
    twice = nearest(tables, ", key_col='id'", source="one")
    assert twice[1][0] == (1001, pytest.approx(1, abs=1e-6))


def test_tables_of_other_schemas(tables: Connection) -> None:
    expected = nearest(tables)
    tables.execute("CREATE TEMP TABLE near AS SELECT * FROM other")
    assert nearest(tables, source="near") == expected
    tables.commit()
    tables.execute("ATTACH ':memory:' AS aside")
    tables.execute('CREATE TABLE aside."an other" AS SELECT * FROM other')
    assert nearest(tables, source="aside.an other") == expected


def test_vectors_as_lists_in_json(tables: Connection) -> None:
    import json

    vector = drawn(1, 24, 9)[0]
    records = json.dumps([{"id": 1, "v": json.dumps(vector.tolist())}])
    found = tables.execute(
        "SELECT id, nearest FROM (FUNCTION compute.nearest OPTIONS (emb_col='v', src_table='other',"
        " top_k=1) FROM ?)",
        (records,),
    ).fetchall()
    rows = tables.execute("SELECT id, v FROM other").fetchall()
    best = max(rows, key=lambda row: thanosql_cosine(vector, np.frombuffer(row[1], "f4")))
    assert found == [(1, best[0])]


def thanosql_cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


BAD = {
    "src_table='nowhere'": "no such table: nowhere; option src_table names one with the vectors",
    "emb_col='v'": "expected the option src_table, the table with the vectors that are searched",
    "src_table='other', src_emb_col='w'": r"'other': the table has no column 'w' \(it has",
    "src_table='other', src_key_col='w'": r"'other': the table has no column 'w' \(it has",
    "src_table='other', key_col='w'": r"the query has no column 'w' \(it has id, v\); name the col",
    "src_table='other', top_k=0": "option 'top_k' must be a whole number of at least 1, got 0",
    "src_table='words', src_emb_col='v'": "column 'v' holds 'no vector', which is no vector",
    "src_table='empty'": "column 'v' has no vector",
    "src_table='seen'": "it is a view, or has no row ids; CREATE TABLE … AS SELECT",
    "src_table='bare'": "it is a view, or has no row ids; CREATE TABLE … AS SELECT",
    "src_table='other', result_col='id'": "a column 'id' already; .*result_col",
    "src_table='other', rank_col='v'": "a column 'v' already; .*rank_col",
    "src_table='other', score_col='nearest'": "a column 'nearest' already; .*score_col",
}


@pytest.mark.parametrize("options", BAD)
def test_bad_input(tables: Connection, options: str) -> None:
    tables.executescript(
        "CREATE TABLE words AS SELECT 'no vector' AS v; CREATE TABLE empty (v);"
        " CREATE VIEW seen AS SELECT * FROM other;"
        " CREATE TABLE bare (id INTEGER PRIMARY KEY, v) WITHOUT ROWID;"
        " INSERT INTO bare SELECT * FROM other"
    )
    options = options if "emb_col='v'" in options[:12] else f"emb_col='v', {options}"
    with pytest.raises(sqlite3.Error, match=BAD[options.removeprefix("emb_col='v', ")]):
        tables.execute(f"FUNCTION compute.nearest OPTIONS ({options}) AS SELECT id, v FROM one")


def test_vectors_of_another_model_are_refused_by_both_names(converted: Connection) -> None:
    converted.executescript(
        "UPDATE thanosql_models SET name = 'first';"
        " CREATE TABLE others AS SELECT * FROM photos;"
        " INSERT INTO thanosql_vectors (schema_name, table_name, column_name, model, fingerprint,"
        " dimension, source_column, source_type) SELECT schema_name, 'others', column_name,"
        " 'second', 'another', dimension, source_column, source_type FROM thanosql_vectors"
    )
    for function, more in (("nearest", ""), ("similarity", ", src_label_col='image_path'")):
        sql = (
            f"FUNCTION compute.{function} OPTIONS (emb_col='m_clipen', src_table='{{}}'{more})"
            " AS SELECT m_clipen FROM photos"
        )
        assert converted.execute(sql.format("photos")).fetchall()
        with pytest.raises(
            thanosql.OperationalError,
            match=r"holds vectors of model 'm' \(\d+ dimensions\), and column 'm_clipen' of table"
            r" 'others' those of model 'second' .*CONVERT one of them",
        ):
            converted.execute(sql.format("others"))


def test_vectors_of_another_dimension_are_refused(tables: Connection) -> None:
    table(tables, "wide", drawn(3, 30, 6))
    with pytest.raises(
        thanosql.OperationalError,
        match=r"table 'wide': column 'v' holds vectors of 24 dimensions, and.* of 30",
    ):
        nearest(tables, source="wide")


def test_ctrl_c_ends_it(tables: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    from thanosql_dbapi.stores.sqlite import nearest as module
    from thanosql_dbapi.training.neighbours import Nearest

    calls = []

    def interrupted(*arguments: object) -> None:
        calls.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Nearest, "add", interrupted)
    monkeypatch.setattr(module, "_ROWS", 100)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        nearest(tables)
    assert len(calls) == 1  # nor is the rest looked at when SQLite ends the aggregate
    monkeypatch.undo()
    assert nearest(tables)
