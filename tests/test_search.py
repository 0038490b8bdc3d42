"""SEARCH and the SQL functions: names, order, values, filters, views, and what is refused."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thanosql

SIM = "m_clipen_similarity1"


def names(cursor: sqlite3.Cursor) -> list[str]:
    return [column[0] for column in cursor.description]


def test_the_tutorials_form_adds_a_column_and_keeps_rows_and_order(
    converted: thanosql.Connection,
) -> None:
    cursor = converted.execute(
        'SEARCH IMAGE text="a black cat" USING m AS SELECT * FROM photos ORDER BY photo_id DESC'
    )
    assert names(cursor) == ["photo_id", "image_path", "caption", "m_clipen", SIM]
    rows = cursor.fetchall()
    assert [row[0] for row in rows] == ["005", "004", "003", "002", "001", "000"]
    query = thanosql.to_vector(
        converted.execute("SELECT embed_text('m', 'a black cat')").fetchone()[0]
    )
    for row in rows:
        assert row[-1] == pytest.approx(float(row[3] @ query), abs=1e-6)


def test_the_later_form_returns_rows_best_first(converted: thanosql.Connection) -> None:
    sql = (
        "SEARCH IMAGE USING m OPTIONS (search_by='image', search_input='images/blue.png',"
        " emb_col='m_clipen', result_col='score', top_k=3) AS SELECT photo_id, m_clipen FROM photos"
    )
    cursor = converted.execute(sql)
    assert names(cursor) == ["photo_id", "m_clipen", "score"]
    rows = cursor.fetchall()
    assert len(rows) == 3
    assert rows[0][0] == "002"
    assert rows[0][2] == pytest.approx(1, abs=1e-6)
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    default = converted.execute(
        "SEARCH IMAGE USING m OPTIONS (search_by='text', search_input='x') AS SELECT * FROM photos"
    )
    assert names(default)[-1] == "search_result"
    assert len(default.fetchall()) == 6


def test_the_later_form_stops_at_a_thousand_unless_told(converted: thanosql.Connection) -> None:
    converted.execute(
        "CREATE TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 1100) SELECT i, (SELECT m_clipen FROM photos LIMIT 1) AS m_clipen FROM n"
    )
    sql = (
        "SEARCH IMAGE USING m OPTIONS (search_by='text', search_input='x'{}) AS SELECT * FROM many"
    )
    assert len(converted.execute(sql.format("")).fetchall()) == 1000
    assert len(converted.execute(sql.format(", top_k=None")).fetchall()) == 1100
    assert len(converted.execute(sql.format(", top_k=1050")).fetchall()) == 1050


def test_several_values_get_numbered_columns_texts_first(converted: thanosql.Connection) -> None:
    cursor = converted.execute(
        "SEARCH IMAGE images=['images/red.png'] texts=['a', \"b\"] USING m AS SELECT * FROM photos"
    )
    assert names(cursor)[-3:] == [f"m_clipen_similarity{number}" for number in (1, 2, 3)]
    assert cursor.fetchone()[-1] == pytest.approx(1, abs=1e-6)
    renamed = (
        "SEARCH IMAGE texts=['a', 'b'] USING m OPTIONS (column_name='s') AS SELECT * FROM photos"
    )
    assert names(converted.execute(renamed))[-2:] == ["s1", "s2"]
    alone = "SEARCH IMAGE texts=['a'] USING m OPTIONS (result_col='s') AS SELECT * FROM photos"
    assert names(converted.execute(alone))[-1] == "s"


def test_bound_parameters_stand_wherever_a_value_can(converted: thanosql.Connection) -> None:
    literal = converted.execute(
        "SELECT photo_id, s FROM (SEARCH IMAGE text='a cat' USING m"
        " OPTIONS (result_col='s', top_k=2) AS SELECT * FROM photos WHERE photo_id > '001')"
        " WHERE s > -1"
    ).fetchall()
    question = converted.execute(
        "SELECT photo_id, s FROM (SEARCH IMAGE text=? USING m OPTIONS (result_col='s', top_k=?)"
        " AS SELECT * FROM photos WHERE photo_id > ?) WHERE s > ?",
        ("a cat", 2, "001", -1),
    ).fetchall()
    named = converted.execute(
        "SELECT photo_id, s FROM (SEARCH IMAGE text=:q USING m OPTIONS (result_col=$c, top_k=@k)"
        " AS SELECT * FROM photos WHERE photo_id > :id) WHERE s > :least AND :q IS NOT NULL",
        {"q": "a cat", "c": "s", "k": 2, "id": "001", "least": -1},
    ).fetchall()
    numbered = converted.execute(
        "SELECT photo_id, s FROM (SEARCH IMAGE text=?2 USING m OPTIONS (result_col='s', top_k=?1)"
        " AS SELECT * FROM photos WHERE photo_id > ?3) WHERE s > ?1 - 3",
        (2, "a cat", "001"),
    ).fetchall()
    assert literal == question == named == numbered
    listed = converted.execute(
        "SEARCH IMAGE texts=? USING m AS SELECT * FROM photos", (["a", "b"],)
    )
    assert names(listed)[-1] == "m_clipen_similarity2"
    by = converted.execute(
        "SEARCH IMAGE USING m OPTIONS (search_by=?, search_input=?, top_k=1)"
        " AS SELECT photo_id, m_clipen FROM photos",
        ("image", "images/white.png"),
    )
    assert by.fetchone()[0] == "004"


def test_a_bound_image_is_bytes_or_a_path(converted: thanosql.Connection, workspace: Path) -> None:
    content = (workspace / "images" / "green.png").read_bytes()
    search = "SEARCH IMAGE image=? USING m AS SELECT * FROM photos"
    sql = f"SELECT photo_id FROM ({search}) ORDER BY {SIM} DESC"
    assert converted.execute(sql, (content,)).fetchone() == ("001",)
    assert converted.execute(sql, ("images/green.png",)).fetchone() == ("001",)


@pytest.mark.filterwarnings("ignore::thanosql_dbapi.ModelWarning")  # a text that is cut
def test_a_bound_value_is_never_read_as_sql(converted: thanosql.Connection) -> None:
    odd = "'); DROP TABLE photos; --\"]"
    sql = "SEARCH IMAGE text=? USING m AS SELECT * FROM photos"
    assert len(converted.execute(sql, (odd,)).fetchall()) == 6
    quoted = "SEARCH IMAGE text='" + odd.replace("'", "''") + "' USING m AS SELECT * FROM photos"
    assert converted.execute(quoted).fetchone()[-1] == converted.execute(sql, (odd,)).fetchone()[-1]


def test_threshold_and_top_k(converted: thanosql.Connection) -> None:
    every = converted.execute(
        f"SELECT {SIM} FROM (SEARCH IMAGE text='a' USING m AS SELECT * FROM photos)"
    )
    values = sorted((row[0] for row in every.fetchall()), reverse=True)
    middle = (values[2] + values[3]) / 2
    above = converted.execute(
        f"SEARCH IMAGE text='a' USING m OPTIONS (threshold={middle!r}) AS SELECT * FROM photos"
    ).fetchall()
    assert sorted((row[-1] for row in above), reverse=True) == values[:3]
    assert [row[0] for row in above] == sorted(row[0] for row in above)
    best = converted.execute(
        "SEARCH IMAGE text='a' USING m OPTIONS (threshold=?, top_k=2) AS SELECT * FROM photos",
        (middle,),
    ).fetchall()
    assert [row[-1] for row in best] == values[:2]


def test_rows_without_an_embedding_have_null_and_are_never_among_the_best(
    converted: thanosql.Connection,
) -> None:
    converted.execute("UPDATE photos SET m_clipen = NULL WHERE photo_id < '003'")
    converted.execute("UPDATE photos SET m_clipen = zeroblob(96) WHERE photo_id = '003'")
    rows = converted.execute("SEARCH IMAGE text='a' USING m AS SELECT * FROM photos").fetchall()
    assert [row[-1] is None for row in rows] == [True, True, True, True, False, False]
    best = "SEARCH IMAGE text='a' USING m OPTIONS (top_k=5) AS SELECT * FROM photos"
    assert len(converted.execute(best).fetchall()) == 2


def test_it_stands_wherever_a_select_can(converted: thanosql.Connection) -> None:
    search = "SEARCH IMAGE text='a cat' USING m AS (SELECT photo_id, m_clipen FROM photos)"
    expected = converted.execute(search).fetchall()
    ids = [row[0] for row in sorted(expected, key=lambda row: -row[2])]
    for sql in [
        f"SELECT photo_id FROM ({search}) ORDER BY {SIM} DESC",
        f"SELECT photo_id FROM ({search}) AS x ORDER BY x.{SIM} DESC",
        f"WITH found AS ({search}) SELECT photo_id FROM found ORDER BY {SIM} DESC",
        f"SELECT photo_id FROM photos JOIN ({search}) AS s USING (photo_id) ORDER BY {SIM} DESC",
        f"SELECT photo_id FROM ({search} UNION ALL {search}) GROUP BY 1 ORDER BY max({SIM}) DESC",
        f"SELECT photo_id FROM (SELECT * FROM ({search} ORDER BY 1)) ORDER BY {SIM} DESC",
    ]:
        assert [row[0] for row in converted.execute(sql).fetchall()] == ids, sql
    converted.execute(f"CREATE TABLE found AS {search}")
    converted.execute(f"INSERT INTO found {search}")
    assert converted.execute("SELECT count(*) FROM found").fetchone() == (12,)
    plan = converted.execute(f"EXPLAIN QUERY PLAN SELECT * FROM ({search})").fetchall()
    assert "photos" in str(plan)


def test_a_view_over_a_search_is_a_plain_table(
    converted: thanosql.Connection, workspace: Path
) -> None:
    converted.execute(
        f"CREATE VIEW cats AS SELECT photo_id, {SIM} AS score"
        " FROM (SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos)"
    )
    expected = converted.execute("SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos")
    scores = [row[-1] for row in expected.fetchall()]
    other = thanosql.connect(workspace / "photos.db", progress=False)
    assert [row[0] for row in other.execute("SELECT score FROM cats").fetchall()] == scores
    other.close()
    with pytest.raises(sqlite3.OperationalError, match="parameters are not allowed in views"):
        converted.execute(
            "CREATE VIEW v AS SELECT * FROM (SEARCH IMAGE text=? USING m AS SELECT * FROM photos)",
            ("a",),
        )


def test_the_functions_say_the_same_as_search(converted: thanosql.Connection) -> None:
    rows = converted.execute(
        "SELECT s.photo_id, m_clipen_similarity1, m_clipen_similarity2,"
        " cosine_similarity(s.m_clipen, embed_text('m', 'a cat')),"
        " cosine_similarity(s.m_clipen, embed_image('m', 'images/red.png'))"
        " FROM (SEARCH IMAGE text='a cat' image='images/red.png' USING m AS SELECT * FROM photos) s"
    ).fetchall()
    assert len(rows) == 6
    for _, text, image, text_too, image_too in rows:
        assert text == pytest.approx(text_too, abs=1e-6)
        assert image == pytest.approx(image_too, abs=1e-6)


def test_functions_of_null_are_null_and_their_errors_arrive(converted: thanosql.Connection) -> None:
    assert converted.execute(
        "SELECT embed_text('m', NULL), embed_image('m', NULL), cosine_similarity(NULL, x'0000803f')"
    ).fetchone() == (None, None, None)
    with pytest.raises(thanosql.ModelError, match="no model 'nope'"):
        converted.execute("SELECT embed_text('nope', 'x')").fetchone()
    with pytest.raises(thanosql.MediaError, match=r"'images/none\.png' does not exist"):
        converted.execute("SELECT embed_image('m', 'images/none.png')").fetchone()
    with pytest.raises(thanosql.DataError, match="vectors of 1 and 2 dimensions"):
        converted.execute("SELECT cosine_similarity(x'0000803f', x'0000803f0000803f')").fetchone()
    with pytest.raises(thanosql.ProgrammingError, match="expected a text, got 3"):
        converted.execute("SELECT embed_text('m', 3)").fetchone()


vectors = st.lists(
    st.floats(-1e3, 1e3, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3),
    min_size=24,
    max_size=24,
)


@pytest.mark.filterwarnings("ignore::thanosql_dbapi.ModelWarning")  # a text that is cut
@given(
    stored=st.lists(st.none() | vectors, max_size=12), text=st.text(max_size=20).filter(str.strip)
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_similarities_are_numpys(
    converted: thanosql.Connection, stored: list[list[float] | None], text: str
) -> None:
    converted.execute("DROP TABLE IF EXISTS v")
    converted.execute("CREATE TABLE v (m_clipen)")
    arrays = [None if row is None else np.array(row, np.float32) for row in stored]
    converted.executemany("INSERT INTO v VALUES (?)", [(array,) for array in arrays])
    found = converted.execute("SEARCH IMAGE text=? USING m AS SELECT * FROM v", (text,)).fetchall()
    (blob,) = converted.execute("SELECT embed_text('m', ?)", (text,)).fetchone()
    query = thanosql.to_vector(blob).astype(float)
    for array, (_, value) in zip(arrays, found, strict=True):
        if array is None or not array.any():
            assert value is None
        else:
            cosine = float(array.astype(float) @ query / np.linalg.norm(array.astype(float)))
            assert math.isclose(value, cosine, abs_tol=2e-5)
            assert -1 <= value <= 1


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        (
            "SEARCH IMAGE text='a' USING nope AS SELECT * FROM photos",
            thanosql.ModelError,
            r"no model 'nope'.*GET THANOSQL MODEL nope",
        ),
        (
            "SEARCH IMAGE text='a' USING M2 AS SELECT * FROM photos",
            thanosql.ModelError,
            "did you mean 'm'|it has m",
        ),
        (
            "SEARCH IMAGE text='a' USING m AS SELECT photo_id FROM photos",
            thanosql.OperationalError,
            r"no column 'm_clipen' \(they have photo_id\); table 'photos' has it",
        ),
        (
            "SEARCH IMAGE text='a' USING m OPTIONS (emb_col='caption') AS SELECT * FROM photos",
            thanosql.OperationalError,
            "column 'caption' holds a value of type text.*24 dimensions",
        ),
        (
            "SEARCH IMAGE text='a' USING m AS SELECT zeroblob(32) AS m_clipen",
            thanosql.OperationalError,
            "holds 8 dimensions, and model 'm' makes vectors of 24",
        ),
        (
            "SEARCH IMAGE text=NULL USING m AS SELECT * FROM photos",
            thanosql.StatementError,
            "expected a string for text, found None",
        ),
        (
            "SEARCH IMAGE text=7 USING m AS SELECT * FROM photos",
            thanosql.StatementError,
            "expected a string for text, found 7",
        ),
        (
            "SEARCH IMAGE image='images/none.png' USING m AS SELECT * FROM photos",
            thanosql.MediaError,
            r"'images/none\.png' does not exist",
        ),
        (
            "SEARCH IMAGE image='../x.png' USING m AS SELECT * FROM photos",
            thanosql.WorkspaceError,
            "lies outside the workspace.*allowed_directories",
        ),
        (
            "SEARCH IMAGE image='https://example.com/a.png' USING m AS SELECT * FROM photos",
            thanosql.MediaError,
            "network=True",
        ),
        (
            "SEARCH IMAGE text='a' USING m OPTIONS (top_k=0) AS SELECT * FROM photos",
            thanosql.StatementError,
            "'top_k' must be a whole number of at least 1, got 0",
        ),
        (
            "SEARCH IMAGE text='a' USING m OPTIONS (serch_by='x') AS SELECT * FROM photos",
            thanosql.StatementError,
            "unknown option 'serch_by'.*'search_by'",
        ),
        (
            "SEARCH IMAGE text='a' USING m AS SELECT * FROM missing",
            thanosql.OperationalError,
            "no such table: missing",
        ),
        ("SEARCH IMAGE USING m AS SELECT * FROM photos", thanosql.StatementError, "text"),
    ],
)
def test_bad_input(
    converted: thanosql.Connection, sql: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        converted.execute(sql)


def test_search_before_convert(connection: thanosql.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match=r"CONVERT USING m OPTIONS \(table_name="):
        connection.execute("SEARCH IMAGE text='a' USING m AS SELECT * FROM photos")


def test_search_in_a_table_that_is_not_the_converted_one(converted: thanosql.Connection) -> None:
    converted.execute("CREATE TABLE others AS SELECT photo_id, image_path FROM photos")
    with pytest.raises(sqlite3.OperationalError, match=r"CONVERT USING m OPTIONS \(table_name="):
        converted.execute("SEARCH IMAGE text='a' USING m AS SELECT * FROM others")


def test_a_column_of_another_model(converted: thanosql.Connection, workspace: Path) -> None:
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(workspace / "tiny_clip")
    torch.nn.init.normal_(model.visual_projection.weight)
    model.save_pretrained(workspace / "tiny_clip")
    converted.execute("UPLOAD MODEL n FROM 'tiny_clip'")
    with pytest.raises(sqlite3.OperationalError, match=r"holds vectors of model 'm'.*USING m"):
        converted.execute(
            "SEARCH IMAGE text='a' USING n OPTIONS (emb_col='m_clipen') AS SELECT * FROM photos"
        )


def test_wrong_numbers_of_values(converted: thanosql.Connection) -> None:
    sql = "SEARCH IMAGE text=? USING m AS SELECT * FROM photos WHERE photo_id = ?"
    with pytest.raises(sqlite3.ProgrammingError, match="uses 2, and there are 1 supplied"):
        converted.execute(sql, ("a",))
    with pytest.raises(sqlite3.ProgrammingError, match="value for binding parameter :q"):
        converted.execute("SEARCH IMAGE text=:q USING m AS SELECT * FROM photos", {"p": 1})


def test_bound_values_of_another_type(converted: thanosql.Connection) -> None:
    for value, got in [(7, "7"), (None, "NULL"), (b"x", "b'x'")]:
        with pytest.raises(thanosql.StatementError, match=f"must be a text, got {got}"):
            converted.execute("SEARCH IMAGE text=? USING m AS SELECT * FROM photos", (value,))


def test_the_verbs_are_no_reserved_words(converted: thanosql.Connection) -> None:
    converted.executescript(
        "CREATE TABLE search (image TEXT, text TEXT, copy INT, list INT);"
        "INSERT INTO search VALUES ('i', 't', 1, 2);"
    )
    row = converted.execute("SELECT image, (text), copy AS convert FROM search AS print").fetchone()
    assert row == ("i", "t", 1)
