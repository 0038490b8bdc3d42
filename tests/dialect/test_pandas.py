"""pandas over an engine and over a raw connection; warnings are errors here."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy
from sqlalchemy import inspect, text

import thanosql_dbapi
from sqlalchemy_thanosql import Vector, search_image

pandas = pytest.importorskip("pandas")

SEARCH = "SEARCH IMAGE image={} USING m OPTIONS (top_k=2) AS SELECT * FROM photos"
BLACK = "images/black.png"

PANDAS = tuple(int(part) for part in pandas.__version__.split(".")[:2])

takes_engine = pytest.mark.skipif(
    sqlalchemy.__version__.startswith("1.") and PANDAS >= (2, 2),
    reason="pandas 2.2 and newer need SQLAlchemy 2",
)


@pytest.fixture(params=[pytest.param("engine", marks=takes_engine), "driver"])
def source(request, photo_engine, workspace):
    """An engine, then a connection of the driver itself."""
    if request.param == "engine":
        yield photo_engine
        return
    connection = thanosql_dbapi.connect(workspace / "photos.db", progress=False)
    yield connection
    connection.close()


def test_read_sql(source):
    frame = pandas.read_sql("SELECT * FROM photos ORDER BY photo_id", source)
    assert list(frame.columns) == ["photo_id", "image_path", "caption", "m_clipen"]
    assert frame.m_clipen[0].dtype == np.float32
    assert frame.m_clipen[0].shape == (24,)


def test_read_sql_with_a_statement_of_ours(source):
    frame = pandas.read_sql(SEARCH.format(f"'{BLACK}'"), source)
    assert frame.image_path[0] == BLACK
    assert len(frame) == 2


def test_read_sql_query_with_parameters(source, photo_engine):
    if source is photo_engine:
        frame = pandas.read_sql_query(text(SEARCH.format(":i")), source, params={"i": BLACK})
    else:
        frame = pandas.read_sql_query(SEARCH.format("?"), source, params=(BLACK,))
    assert frame.image_path[0] == BLACK


def test_chunks(source):
    chunks = list(pandas.read_sql("SELECT * FROM photos", source, chunksize=4))
    assert [len(chunk) for chunk in chunks] == [4, 2]
    assert chunks[1].m_clipen.iloc[0].shape == (24,)


def test_vectors_go_back(source, photo_engine):
    frame = pandas.read_sql("SELECT photo_id, m_clipen FROM photos", source)
    declared = Vector(24) if source is photo_engine else "VECTOR(24)"
    for if_exists, rows in (("fail", 6), ("append", 12), ("replace", 6)):
        frame.to_sql(
            "copied", source, index=False, if_exists=if_exists, dtype={"m_clipen": declared}
        )
        back = pandas.read_sql("SELECT * FROM copied", source)
        assert len(back) == rows
    np.testing.assert_array_equal(np.stack(back.m_clipen), np.stack(frame.m_clipen))
    with pytest.raises(ValueError, match="Table 'copied' already exists"):
        frame.to_sql("copied", source, index=False)
    assert inspect(photo_engine).get_columns("copied")[1]["type"].dim == 24


def test_vectors_go_back_without_a_declared_type(source):
    frame = pandas.read_sql("SELECT photo_id, m_clipen FROM photos", source)
    frame.to_sql("copied", source, index=False)
    back = pandas.read_sql("SELECT * FROM copied", source)
    np.testing.assert_array_equal(np.stack(back.m_clipen), np.stack(frame.m_clipen))


@takes_engine
def test_read_a_table_and_a_selectable(photo_engine):
    frame = pandas.read_sql_table("photos", photo_engine)
    assert frame.m_clipen[0].shape == (24,)
    table = sqlalchemy.Table("photos", sqlalchemy.MetaData(), autoload_with=photo_engine)
    statement = search_image("m", image=BLACK, query=table, top_k=1)
    assert pandas.read_sql(statement, photo_engine).image_path.tolist() == [BLACK]
