"""Errors that say what was probably meant."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import thanosql_dbapi
from thanosql_dbapi import Connection


@pytest.fixture
def memory() -> Iterator[Connection]:
    opened = thanosql_dbapi.connect(":memory:")
    yield opened
    opened.close()


def said(connection: sqlite3.Connection, sql: str) -> str:
    """Return the text of the error that a statement raises."""
    try:
        connection.execute(sql)
    except sqlite3.Error as error:
        return str(error)
    raise AssertionError(sql)


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SERCH IMAGE text='a' USING m AS SELECT 1", "did you mean SEARCH?"),
        ("CONVRT USING m AS SELECT 1", "did you mean CONVERT?"),
        ("PRNT IMAGE AS SELECT 1", "did you mean PRINT?"),
        ("COPPY t FROM 'a.csv'", "did you mean COPY?"),
        ("SELECT * FROM SEARCH IMAGE text='a' USING m AS SELECT 1", "put SEARCH … in parentheses"),
        ("SELECT * FROM CONVERT USING m AS SELECT 1", "put CONVERT … in parentheses"),
        ("SEARCH IMAGE text='it's a cat' USING m AS SELECT 1", "written twice: 'it''s'"),
        ("SEARCH IMAGE text=‘a cat’ USING m AS SELECT 1", "write straight quotes"),
    ],
)
def test_a_slip_gets_a_hint(memory: Connection, sql: str, hint: str) -> None:
    assert hint in said(memory, sql)


@pytest.mark.parametrize("sql", ["SELEC 1", "CO", "SELECT * FROM search AS", "SEARC"])
def test_other_errors_are_sqlites_own(memory: Connection, sql: str) -> None:
    with closing(sqlite3.connect(":memory:")) as plain:
        assert said(memory, sql) == said(plain, sql)


def test_an_unknown_similarity_column_is_named(converted: Connection) -> None:
    search = "(SEARCH IMAGE text='a' USING m AS SELECT * FROM photos)"
    with pytest.raises(sqlite3.OperationalError, match="is called 'm_clipen_similarity1' here"):
        converted.execute(f"SELECT * FROM {search} ORDER BY similarity DESC")
    inside = search.replace("photos)", "photos WHERE m_clipen_similarity1 > 0)")
    with pytest.raises(sqlite3.OperationalError, match="the SEARCH adds to these rows"):
        converted.execute(f"SELECT * FROM {inside}")


@pytest.mark.parametrize(
    "sql",
    [
        (
            "WITH p AS (SELECT *, 1 AS s FROM photos) SELECT photo_id FROM (SEARCH IMAGE"
            " text='a cat' USING m OPTIONS (result_col='s') AS SELECT * FROM p) ORDER BY s DESC"
        ),
        (
            'WITH p(photo_id, m_clipen, "S") AS (SELECT photo_id, m_clipen, 1 FROM photos), f AS'
            " (SEARCH IMAGE text='a cat' USING m OPTIONS (result_col='s') AS SELECT * FROM p)"
            " SELECT photo_id FROM f ORDER BY s DESC"
        ),
        (
            "SELECT photo_id, (SELECT max(s) FROM (SEARCH IMAGE text='a cat' USING m OPTIONS"
            " (result_col='s') AS SELECT i.m_clipen, o.photo_id AS s FROM photos AS i))"
            " FROM photos AS o"
        ),
    ],
)
def test_a_column_that_only_the_sql_around_it_makes_is_named(
    converted: Connection, sql: str
) -> None:
    with pytest.raises(sqlite3.OperationalError, match="have a column 's' already"):
        converted.execute(sql)
    converted.execute(sql.replace("result_col='s'", "result_col='t'").replace("ORDER BY s", ""))


def test_rows_of_a_with_hold_vectors_of_another_model(
    converted: Connection, workspace: Path
) -> None:
    shutil.copytree(workspace / "tiny_clip", workspace / "other_clip")
    config = workspace / "other_clip/config.json"
    config.write_text(config.read_text().replace('"logit_scale_init_value"', '"unused"'))
    converted.execute("UPLOAD MODEL n FROM 'other_clip'")
    with pytest.raises(sqlite3.OperationalError, match="'m_clipen' holds vectors of model 'm'"):
        converted.execute(
            "WITH p AS (SELECT * FROM photos) SELECT * FROM (SEARCH IMAGE text='a cat' USING n"
            " OPTIONS (emb_col='m_clipen') AS SELECT * FROM p)"
        )


@pytest.mark.parametrize(
    "sql",
    [
        "SEARCH IMAGE text='a' USING m AS SELECT * FROM photo",
        "SELECT count(*) FROM (SEARCH IMAGE text='a' USING m AS SELECT * FROM photo)",
        (
            "WITH p AS (SELECT 1) SELECT * FROM p, (SEARCH IMAGE text='a' USING m AS SELECT * FROM"
            " photo)"
        ),
        "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM main.photo",
    ],
)
def test_a_misspelt_table_is_named(converted: Connection, sql: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="photo; did you mean 'photos'"):
        converted.execute(sql)


def test_a_column_that_is_there_already_is_named(converted: Connection) -> None:
    sql = "SEARCH IMAGE text='a' USING m OPTIONS (result_col='image_path') AS SELECT * FROM photos"
    with pytest.raises(sqlite3.OperationalError, match="have a column 'image_path' already"):
        converted.execute(sql)


def test_an_empty_text_is_refused(converted: Connection) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match="must say something, got ' '"):
        converted.execute("SEARCH IMAGE text=' ' USING m AS SELECT * FROM photos")


def test_executemany_counts_the_rows_of_all_sets(converted: Connection) -> None:
    converted.execute("CREATE TABLE hits (question, image_path)")
    cursor = converted.executemany(
        "INSERT INTO hits SELECT ?1, image_path FROM (SEARCH IMAGE text=?1 USING m"
        " OPTIONS (top_k=2) AS SELECT * FROM photos)",
        [["a cat"], ["a dog"], ["a boat"]],
    )
    assert cursor.rowcount == converted.execute("SELECT count(*) FROM hits").fetchone()[0] > 3


def test_a_text_that_is_cut_is_said(converted: Connection) -> None:
    with pytest.warns(thanosql_dbapi.ModelWarning, match="longer than model 'm' reads"):
        converted.execute("SELECT embed_text('m', ?)", ["word " * 90]).fetchone()
