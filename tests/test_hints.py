"""Errors that say what was probably meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

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
