"""Polars over an engine and over a raw connection; warnings are errors here."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import MetaData, Table, inspect, select, text

from sqlalchemy_thanosql import search_image

polars = pytest.importorskip("polars", reason="the extra `clients` is not installed")

BLACK = "images/black.png"
SEARCH = (
    "SELECT image_path, m_clipen_similarity1 AS similarity"
    " FROM (SEARCH IMAGE image={} USING m OPTIONS (top_k=2) AS SELECT * FROM photos)"
)


@pytest.fixture(params=["engine", "driver"])
def source(request, photo_engine, converted):
    """An engine, then a connection of the driver itself."""
    return photo_engine if request.param == "engine" else converted


def test_vectors_arrive_as_lists_of_numbers(source):
    frame = polars.read_database("SELECT * FROM photos ORDER BY photo_id", source)
    assert frame.columns == ["photo_id", "image_path", "caption", "m_clipen"]
    assert frame.schema["m_clipen"] == polars.List(polars.Float32)
    assert [len(vector) for vector in frame["m_clipen"]] == [24] * 6


def test_vectors_arrive_as_arrays_where_the_schema_says_so(source, converted):
    frame = polars.read_database(
        "SELECT * FROM photos ORDER BY photo_id",
        source,
        schema_overrides={"m_clipen": polars.Array(polars.Float32, 24)},
    )
    stored = converted.execute("SELECT m_clipen FROM photos ORDER BY photo_id").fetchall()
    np.testing.assert_array_equal(
        frame["m_clipen"].to_numpy(), np.stack([row[0] for row in stored])
    )


def test_statements_of_ours_with_parameters(source, photo_engine):
    if source is photo_engine:
        query, parameters = text(SEARCH.format(":image")), {"image": BLACK}
    else:
        query, parameters = SEARCH.format("?"), [BLACK]
    frame = polars.read_database(query, source, execute_options={"parameters": parameters})
    assert frame["image_path"][0] == BLACK
    assert frame["similarity"][0] == pytest.approx(1, abs=1e-5)


def test_batches(source):
    frames = polars.read_database("SELECT * FROM photos", source, iter_batches=True, batch_size=4)
    assert [frame.height for frame in frames] == [4, 2]


def test_a_selectable(photo_engine):
    photos = Table("photos", MetaData(), autoload_with=photo_engine)
    found = search_image("m", image=BLACK, query=select(photos), top_k=1)
    frame = polars.read_database(found, photo_engine)
    assert frame["image_path"].to_list() == [BLACK]


def test_vectors_go_back(photo_engine):
    frame = polars.read_database("SELECT photo_id, m_clipen FROM photos", photo_engine)
    assert frame.write_database("copied", photo_engine) == 6
    assert "copied" in inspect(photo_engine).get_table_names()
    back = polars.read_database("SELECT * FROM copied", photo_engine)
    assert back.equals(frame)
