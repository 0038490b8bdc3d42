"""FUNCTION compute.…: what can be asked of vectors that are there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest

import thanosql_dbapi as thanosql

Connection = thanosql.Connection


@pytest.fixture
def rows() -> Iterator[Connection]:
    """Table ``t``: four rows around each of three directions, one without a vector, one alone."""
    connection = thanosql.connect(":memory:", progress=False)
    generator = np.random.default_rng(0)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, label, convert_result)")
    for number in range(12):
        vector = np.eye(3, 8)[number % 3] + 0.03 * generator.standard_normal(8)
        unit = (vector / np.linalg.norm(vector)).astype("f4")
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", (number, "abc"[number % 3], unit))
    connection.execute("INSERT INTO t VALUES (12, NULL, NULL)")
    connection.execute("INSERT INTO t VALUES (13, 'z', ?)", (np.eye(8)[7].astype("f4"),))
    connection.commit()
    yield connection
    connection.close()


def vectors(connection: Connection, condition: str = "1") -> np.ndarray:
    sql = f"SELECT convert_result FROM t WHERE convert_result IS NOT NULL AND {condition}"
    return np.stack([np.frombuffer(blob, "f4") for (blob,) in connection.execute(sql)])


# -- groupby_emb_mean and similarity ------------------------------------------------------------


def test_one_row_a_label_with_its_mean_vector(rows: Connection) -> None:
    cursor = rows.execute(
        "FUNCTION compute.groupby_emb_mean OPTIONS (label_col='label', emb_col='convert_result',"
        " result_col='emb_mean_result') AS SELECT * FROM t WHERE label IS NOT NULL"
    )
    assert [column[0] for column in cursor.description] == ["label", "emb_mean_result"]
    found = dict(cursor)
    assert list(found) == ["a", "b", "c", "z"]
    expected = vectors(rows, "label = 'a'").mean(axis=0)
    assert np.frombuffer(found["a"], "f4") == pytest.approx(expected, abs=1e-6)


def test_a_label_without_a_vector_has_no_mean(rows: Connection) -> None:
    sql = "SELECT * FROM (FUNCTION compute.groupby_emb_mean AS SELECT * FROM t WHERE id = 12)"
    assert rows.execute(sql).fetchall() == [(None, None)]


def test_the_two_together_label_rows_by_few_examples(rows: Connection) -> None:
    rows.execute(
        "CREATE TABLE means AS SELECT * FROM"
        " (FUNCTION compute.groupby_emb_mean AS SELECT * FROM t WHERE id IN (0, 1, 2, 13))"
    )
    options = "emb_col='convert_result', src_table='means', src_emb_col='emb_mean_result'"
    sql = (
        f"FUNCTION compute.similarity OPTIONS ({options}, src_label_col='label') AS SELECT * FROM t"
    )
    cursor = rows.execute(sql)
    assert [column[0] for column in cursor.description][-1] == "similarity_result"
    found = cursor.fetchall()
    assert [row[3] for row in found] == [*"abcabcabcabc", None, "z"]
    rows.execute(f"CREATE VIEW v AS {sql}")
    assert [row[3] for row in rows.execute("SELECT * FROM v")] == [row[3] for row in found]


def test_the_nearest_labels_of_a_row_with_their_similarity(rows: Connection) -> None:
    found = rows.execute(
        "SELECT id, tag, s FROM (FUNCTION compute.similarity OPTIONS (src_table='t', top_k=3,"
        " result_col='tag', score_col='s') AS SELECT id, convert_result FROM t WHERE id IN (4, 12))"
    ).fetchall()
    known = [row for row in found if row[0] == 4]
    similar = np.sort(vectors(rows) @ vectors(rows, "id = 4")[0])[::-1]
    assert [row[1] for row in known] == ["b", "b", "b"]
    assert [row[2] for row in known] == pytest.approx(similar[:3].tolist(), abs=1e-5)
    assert [row for row in found if row[0] == 12] == [(12, None, None)]
    one = rows.execute(
        "SELECT s FROM (FUNCTION compute.similarity OPTIONS (src_table='t', score_col='s') AS"
        " SELECT id, convert_result FROM t WHERE id = 4)"
    ).fetchone()
    assert one[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["records", "file", "frame"])
def test_rows_of_a_file(rows: Connection, kind: str, tmp_path: object) -> None:
    import pandas as pd

    records = [
        {"label": "x", "convert_result": json.dumps([1.0, 0.0])},
        {"label": "x", "convert_result": json.dumps([0.0, 1.0])},
        {"label": "y", "convert_result": json.dumps([0.5, 0.5])},
    ]
    with thanosql.connect(tmp_path / "a.db", progress=False) as connection:  # type: ignore[operator]
        source: object = json.dumps(records)
        if kind == "frame":
            source = pd.DataFrame(records)
        elif kind == "file":
            (connection.workspace / "r.csv").write_text(pd.DataFrame(records).to_csv(index=False))
            source = "r.csv"
        found = dict(connection.execute("FUNCTION compute.groupby_emb_mean FROM ?", (source,)))
        assert not connection.in_transaction
    connection.close()
    assert {label: np.frombuffer(blob, "f4").tolist() for label, blob in found.items()} == {
        "x": [0.5, 0.5],
        "y": [0.5, 0.5],
    }


# -- duplicates and outliers --------------------------------------------------------------------


def test_copies_are_groups(rows: Connection) -> None:
    sql = "SELECT id, duplicate_group FROM (FUNCTION compute.duplicates{} AS SELECT * FROM t)"
    found = rows.execute(sql.format("")).fetchall()
    assert found == [(number, 1 + number % 3) for number in sorted(range(12), key=lambda n: n % 3)]
    assert rows.execute(sql.format(" OPTIONS (threshold=1)")).fetchall() == []
    rows.execute("INSERT INTO t SELECT 20, 'copy', convert_result FROM t WHERE id = 13")
    found = rows.execute(sql.format(" OPTIONS (threshold=1)")).fetchall()
    assert found == [(13, 1), (20, 1)]


def test_groups_are_those_of_all_pairs(rows: Connection) -> None:
    generator = np.random.default_rng(7)
    rows.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, convert_result)")
    made = generator.standard_normal((300, 3)).astype("f4")
    rows.executemany("INSERT INTO many VALUES (?, ?)", list(enumerate(made)))
    rows.commit()
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    alike = unit @ unit.T >= 0.995
    group = list(range(300))
    while True:  # until no pair joins two groups
        after = [min(group[other] for other in np.flatnonzero(alike[row])) for row in range(300)]
        if after == group:
            break
        group = after
    expected = {
        frozenset(row for row in range(300) if group[row] == first)
        for first in set(group)
        if group.count(first) > 1
    }
    found: dict[int, set[int]] = {}
    sql = (
        "SELECT id, g FROM (FUNCTION compute.duplicates OPTIONS (threshold=0.995, result_col='g')"
        " AS SELECT * FROM many)"
    )
    for number, place in rows.execute(sql):
        found.setdefault(place, set()).add(number)
    assert {frozenset(each) for each in found.values()} == expected
    assert expected


def test_what_is_like_no_other_comes_first(rows: Connection) -> None:
    found = rows.execute(
        "SELECT id, outlier_score FROM (FUNCTION compute.outliers OPTIONS (neighbors=3) AS"
        " SELECT * FROM t)"
    ).fetchall()
    assert len(found) == 13  # one row has no vector
    assert found[0][0] == 13
    similar = vectors(rows) @ vectors(rows).T
    np.fill_diagonal(similar, -np.inf)
    expected = 1 - np.sort(similar, axis=1)[:, -3:].mean(axis=1)
    assert [row[1] for row in found] == pytest.approx(sorted(expected, reverse=True), abs=1e-5)
    best = rows.execute(
        "SELECT id FROM (FUNCTION compute.outliers OPTIONS (neighbors=3, top_k=2) AS"
        " SELECT * FROM t)"
    ).fetchall()
    assert best == [row[:1] for row in found[:2]]


@pytest.mark.parametrize("function", ["duplicates", "outliers"])
def test_views_and_unions(rows: Connection, function: str) -> None:
    sql = f"SELECT id FROM (FUNCTION compute.{function} AS SELECT * FROM t)"
    found = rows.execute(sql).fetchall()
    rows.execute(f"CREATE VIEW v AS {sql}")
    assert rows.execute("SELECT * FROM v").fetchall() == found
    assert rows.execute(f"{sql} UNION ALL SELECT 99").fetchall() == [*found, (99,)]
    rows.execute("DELETE FROM t")
    assert rows.execute("SELECT * FROM v").fetchall() == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("similarity AS SELECT * FROM t", r"compute.similarity: expected the option src_table"),
        (
            "similarity OPTIONS (src_table='x') AS SELECT * FROM t",
            r"no such table: x; option src_table names one with the labelled",
        ),
        (
            "similarity OPTIONS (src_table='t', src_label_col='tag') AS SELECT * FROM t",
            r"src_table 't': the table has no column 'tag' \(it has id, label, convert_result\)",
        ),
        (
            "duplicates OPTIONS (emb_col='v') AS SELECT * FROM t",
            r"no column 'v' \(it has id, label",
        ),
        (
            "duplicates OPTIONS (emb_col='label') AS SELECT * FROM t",
            r"column 'label' holds 'a', which is no vector; name the column",
        ),
        ("outliers AS SELECT *, 1 AS outlier_score FROM t", r"a column 'outlier_score' already"),
        ("groupby_emb_mean AS SELECT * FROM nowhere", r"no such table: nowhere"),
        ("groupby_emb_mean FROM 'nowhere.csv'", r"nowhere.csv"),
        (
            "outliers AS SELECT * FROM t UNION ALL SELECT 1, 2, zeroblob(4)",
            r"vectors of 8 and 1 dimensions; they come from different models",
        ),
    ],
)
def test_what_cannot_be_computed(rows: Connection, sql: str, message: str) -> None:
    with pytest.raises(sqlite3.Error, match=message):
        rows.execute(f"FUNCTION compute.{sql}").fetchall()


@pytest.mark.filterwarnings("error")
def test_vectors_without_a_length_are_left_out(rows: Connection) -> None:
    for number, value in enumerate((np.nan, np.inf, 3e38), start=20):
        vector = np.full(8, value, "f4")
        rows.execute("INSERT INTO t VALUES (?, 'a', ?)", (number, vector))
    for function in ("outliers", "duplicates OPTIONS (threshold=-1)"):
        found = rows.execute(f"SELECT id FROM (FUNCTION compute.{function} AS SELECT * FROM t)")
        assert sorted(row[0] for row in found) == [*range(12), 13]
    sql = "FUNCTION compute.groupby_emb_mean AS SELECT * FROM t WHERE label = 'a' AND id < 22"
    ((_, mean),) = rows.execute(sql)
    expected = vectors(rows, "label = 'a' AND id < 20").mean(axis=0)
    assert np.frombuffer(mean, "f4") == pytest.approx(expected, abs=1e-6)


def test_the_means_have_a_name_of_their_own(rows: Connection) -> None:
    with pytest.raises(thanosql.OperationalError, match="have a column 'label' already; name the"):
        rows.execute(
            "FUNCTION compute.groupby_emb_mean OPTIONS (result_col='label') AS SELECT * FROM t"
        )
