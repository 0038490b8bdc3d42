"""Reflection: the driver's tables are hidden, and any text may be asked for as a table."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, inspect, text

from sqlalchemy_thanosql import Vector


def test_the_drivers_own_tables_views_and_indexes_are_hidden(photo_engine):
    with photo_engine.begin() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
        assert {"thanosql_models", "thanosql_vectors"} <= set(names)
        for statement in (
            "CREATE VIEW thanosql_view AS SELECT 1",
            "CREATE VIEW cats AS SELECT * FROM photos",
            "CREATE TEMPORARY TABLE thanosql_temporary (a)",
            "CREATE TEMPORARY TABLE scratch (a)",
            "CREATE TEMPORARY VIEW thanosql_temporary_view AS SELECT 1",
            "CREATE TEMPORARY VIEW glance AS SELECT 1",
            "CREATE INDEX thanosql_index ON photos (photo_id)",
            "CREATE UNIQUE INDEX by_path ON photos (image_path)",
            "CREATE TRIGGER thanosql_trigger AFTER INSERT ON photos BEGIN SELECT 1; END",
        ):
            connection.execute(text(statement))
        inspector = inspect(connection)
        assert inspector.get_table_names() == ["photos"]
        assert inspector.get_view_names() == ["cats"]
        assert inspector.get_temp_table_names() == ["scratch"]
        assert inspector.get_temp_view_names() == ["glance"]
        assert [each["name"] for each in inspector.get_indexes("photos")] == ["by_path"]
        metadata = MetaData()
        metadata.reflect(connection, views=True)
        assert [index.name for index in metadata.tables["photos"].indexes] == ["by_path"]
        assert sorted(metadata.tables) == ["cats", "photos"]


def test_a_converted_column_reflects_as_a_vector(photo_engine):
    columns = {each["name"]: each["type"] for each in inspect(photo_engine).get_columns("photos")}
    assert isinstance(columns["m_clipen"], Vector)
    assert columns["m_clipen"].dim == 24


@pytest.mark.parametrize(
    "name",
    [
        "SELECT * FROM photos",
        "SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos",
        'SELECT "a", [b], `c` FROM (SEARCH IMAGE text="it\'s" USING m AS SELECT * FROM x); --',
        "LIST MODEL",
        "DELETE MODEL m",
        "가나다",
        "a\nb",
        "x" * 5000,
    ],
)
def test_a_whole_statement_is_no_table(photo_engine, name):
    inspector = inspect(photo_engine)
    assert not inspector.has_table(name)
    assert inspector.has_table("photos")
    with photo_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM thanosql_models")).scalar() == 1
