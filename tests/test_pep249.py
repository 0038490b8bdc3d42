"""The module against PEP 249, clause by clause: https://peps.python.org/pep-0249/."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Iterator

import pytest

import thanosql


@pytest.fixture
def conn() -> Iterator[thanosql.Connection]:
    conn = thanosql.connect(":memory:")
    conn.executescript("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');")
    yield conn
    conn.close()


# Module interface


def test_constructor_and_globals() -> None:
    assert callable(thanosql.connect)
    assert thanosql.apilevel == "2.0"
    assert thanosql.threadsafety in (0, 1, 2, 3)
    assert thanosql.paramstyle in ("qmark", "numeric", "named", "format", "pyformat")


def test_exceptions_have_the_inheritance_layout() -> None:
    assert issubclass(thanosql.Warning, Exception)
    assert issubclass(thanosql.Error, Exception)
    assert issubclass(thanosql.InterfaceError, thanosql.Error)
    assert issubclass(thanosql.DatabaseError, thanosql.Error)
    for kind in (
        thanosql.DataError,
        thanosql.OperationalError,
        thanosql.IntegrityError,
        thanosql.InternalError,
        thanosql.ProgrammingError,
        thanosql.NotSupportedError,
    ):
        assert issubclass(kind, thanosql.DatabaseError)


# Connection objects


def test_close_makes_the_connection_unusable_and_rolls_back(tmp_path) -> None:
    connection = thanosql.connect(tmp_path / "a.db")
    cursor = connection.cursor()
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    connection.close()
    for call in (
        connection.cursor,
        connection.commit,
        lambda: connection.execute("LIST MODEL"),
        lambda: connection.execute("SELECT 1"),
        lambda: cursor.execute("LIST MODEL"),
        lambda: cursor.execute("SELECT 1"),
        cursor.fetchone,
    ):
        with pytest.raises(thanosql.Error, match="closed database"):
            call()
    connection = thanosql.connect(tmp_path / "a.db")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    connection.close()


def test_commit_and_rollback(conn: thanosql.Connection) -> None:
    conn.commit()
    conn.execute("DELETE FROM t")
    conn.rollback()
    conn.execute("DELETE FROM t WHERE a = 1")
    conn.commit()
    conn.rollback()
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_cursors_of_a_connection_are_not_isolated(conn: thanosql.Connection) -> None:
    one, other = conn.cursor(), conn.cursor()
    one.execute("INSERT INTO t VALUES (4, 'w')")
    assert other.execute("SELECT max(a) FROM t").fetchone() == (4,)


# Cursor objects


def test_description_has_seven_items_a_column(conn: thanosql.Connection) -> None:
    cursor = conn.cursor()
    assert cursor.description is None
    cursor.execute("SELECT a, b AS second FROM t")
    assert [len(column) for column in cursor.description] == [7, 7]
    assert [column[0] for column in cursor.description] == ["a", "second"]
    # SQLite has no column types, so the type code is None and equals no type object.
    types = (thanosql.STRING, thanosql.BINARY, thanosql.NUMBER, thanosql.DATETIME, thanosql.ROWID)
    assert all(column[1] is None for column in cursor.description)
    assert not any(column[1] == kind for column in cursor.description for kind in types)
    cursor.execute("LIST MODEL")
    assert all(len(column) == 7 for column in cursor.description)
    cursor.execute("DELETE FROM t")
    assert cursor.description is None


def test_rowcount(conn: thanosql.Connection) -> None:
    cursor = conn.cursor()
    assert cursor.rowcount == -1
    assert cursor.execute("UPDATE t SET b = NULL WHERE a > 1").rowcount == 2
    assert cursor.execute("SELECT a FROM t").rowcount == -1
    assert cursor.executemany("INSERT INTO t VALUES (?, ?)", [(4, ""), (5, "")]).rowcount == 2


def test_close_makes_the_cursor_unusable(conn: thanosql.Connection) -> None:
    cursor = conn.execute("SELECT a FROM t")
    cursor.close()
    for call in (
        cursor.fetchone,
        lambda: cursor.execute("SELECT 1"),
        lambda: cursor.execute("LIST MODEL"),
        lambda: cursor.executemany("DELETE FROM t WHERE a = ?", []),
    ):
        with pytest.raises(thanosql.Error, match="closed cursor"):
            call()


def test_parameters_by_position_and_name(conn: thanosql.Connection) -> None:
    cursor = conn.cursor()
    assert cursor.execute("SELECT ?, ?", ("it's", None)).fetchone() == ("it's", None)
    assert cursor.execute("SELECT :a || :b", {"a": "x", "b": "y"}).fetchone() == ("xy",)
    sql = "SELECT count(*) FROM (LIST MODEL) WHERE 1 = ? AND 2 = ?"
    assert cursor.execute(sql, (1, 2)).fetchone() == (0,)


def test_fetching(conn: thanosql.Connection) -> None:
    cursor = conn.execute("SELECT a FROM t ORDER BY a")
    assert cursor.arraysize == 1
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany() == [(2,)]
    assert cursor.fetchmany(5) == [(3,)]
    assert (cursor.fetchone(), cursor.fetchmany(), cursor.fetchall()) == (None, [], [])
    cursor.arraysize = 2
    assert len(cursor.execute("SELECT a FROM t").fetchmany()) == 2
    assert list(cursor.execute("SELECT a FROM t ORDER BY a")) == [(1,), (2,), (3,)]
    assert next(cursor.execute("SELECT 7")) == (7,)


def test_sizes_are_accepted_and_ignored(conn: thanosql.Connection) -> None:
    cursor = conn.cursor()
    cursor.setinputsizes([1])
    cursor.setoutputsize(1000)
    cursor.setoutputsize(1000, 0)


# Type objects and constructors


def test_constructors(conn: thanosql.Connection) -> None:
    assert thanosql.Date(2026, 1, 31) == datetime.date(2026, 1, 31)
    assert thanosql.Time(12, 30, 1) == datetime.time(12, 30, 1)
    assert thanosql.Timestamp(2026, 1, 31, 12, 30, 1) == datetime.datetime(2026, 1, 31, 12, 30, 1)
    ticks = datetime.datetime(2026, 1, 31, 12, 30, 1).timestamp()
    assert thanosql.DateFromTicks(ticks) == datetime.date(2026, 1, 31)
    assert thanosql.TimeFromTicks(ticks) == datetime.time(12, 30, 1)
    assert thanosql.TimestampFromTicks(ticks) == datetime.datetime(2026, 1, 31, 12, 30, 1)
    assert conn.execute("SELECT ?", (thanosql.Binary(b"\0x"),)).fetchone() == (b"\0x",)


def test_type_objects_differ_and_hash() -> None:
    kinds = {thanosql.STRING, thanosql.BINARY, thanosql.NUMBER, thanosql.DATETIME, thanosql.ROWID}
    assert len(kinds) == 5


# Optional extensions


def test_optional_extensions(conn: thanosql.Connection) -> None:
    cursor = conn.execute("INSERT INTO t VALUES (9, 'v')")
    assert cursor.connection is conn
    assert cursor.lastrowid == 4
    assert iter(cursor) is cursor
    for name in ("Warning", "Error", "InterfaceError", "DatabaseError", "DataError"):
        assert getattr(conn, name) is getattr(thanosql, name)
    for name in ("OperationalError", "IntegrityError", "InternalError", "ProgrammingError"):
        assert getattr(conn, name) is getattr(thanosql, name)
    assert conn.NotSupportedError is thanosql.NotSupportedError


def test_connect_takes_keywords() -> None:
    assert "database" in inspect.signature(thanosql.connect).parameters
    thanosql.connect(database=":memory:", timeout=1).close()
