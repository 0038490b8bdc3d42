"""sqlite-utils on a file of ours, with its own connection and with ours."""

from __future__ import annotations

import numpy as np
import pytest

import thanosql_dbapi

sqlite_utils = pytest.importorskip("sqlite_utils", reason="the extra `clients` is not installed")

BLACK = "images/black.png"
SEARCH = "SEARCH IMAGE image=:image USING m OPTIONS (top_k=2) AS SELECT * FROM photos"


@pytest.fixture
def plain(converted, workspace):
    """The file, opened by sqlite-utils itself: plain SQLite, without sqlite-vec."""
    converted.commit()
    database = sqlite_utils.Database(workspace / "photos.db")
    yield database
    database.conn.close()


@pytest.fixture
def ours(converted):
    return sqlite_utils.Database(converted)


def test_its_own_connection_reads_the_file(plain, converted):
    assert "photos" in plain.table_names()
    rows = list(plain["photos"].rows_where("image_path = ?", [BLACK]))
    stored = converted.execute("SELECT m_clipen FROM photos WHERE image_path = ?", [BLACK])
    np.testing.assert_array_equal(
        thanosql_dbapi.to_vector(rows[0]["m_clipen"]), stored.fetchone()[0]
    )
    assert "VECTOR(24)" in plain["photos"].schema


def test_its_own_connection_writes_the_file_and_a_search_sees_it(plain, converted):
    (black,) = plain["photos"].rows_where("image_path = ?", [BLACK])
    plain["photos"].insert({**black, "photo_id": "new", "image_path": "copy of black"})
    plain["photos"].delete_where("image_path = ?", [BLACK])
    found = converted.execute(SEARCH, {"image": BLACK}).fetchone()
    assert found[:2] == ("new", "copy of black")


def test_our_connection_gives_arrays_and_takes_them(ours, converted):
    row = next(iter(ours["photos"].rows))
    assert row["m_clipen"].dtype == np.float32
    vector = np.float32([1] + [0] * 23)
    ours["photos"].insert({"photo_id": "east", "m_clipen": vector})
    (back,) = ours["photos"].rows_where("photo_id = 'east'")
    np.testing.assert_array_equal(back["m_clipen"], vector)


def test_our_connection_runs_our_statements(ours):
    rows = ours.query(f"SELECT * FROM ({SEARCH})", {"image": BLACK})
    assert next(rows)["image_path"] == BLACK
    assert next(ours.query(SEARCH, {"image": BLACK}))["image_path"] == BLACK
    ours.execute("COPY more FROM 'photos.csv'")
    assert ours["more"].count == 6


def test_new_columns_and_indexes_leave_the_vectors_alone(ours, converted):
    ours["photos"].add_column("stars", int)
    ours["photos"].create_index(["caption"])
    assert converted.execute(SEARCH, {"image": BLACK}).fetchone()[1] == BLACK


def test_transform_keeps_the_vectors(ours, converted):
    ours["photos"].transform(rename={"caption": "words"})
    found = converted.execute(
        f"SELECT image_path, m_clipen, words FROM ({SEARCH})", {"image": BLACK}
    )
    path, vector, words = found.fetchone()
    assert (path, vector.shape, words) == (BLACK, (24,), "a black picture")
