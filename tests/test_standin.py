"""The module in sqlite3's place: its names, the arguments of connect, and what objects do.

``test_cpython_suite.py`` has the breadth; here is what that suite does not ask.
"""

from __future__ import annotations

import copy
import datetime
import pickle
import sqlite3
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import thanosql
import thanosql_dbapi

OURS = {"connect", "Connection", "Cursor", "dbapi2"}


@pytest.fixture
def conn() -> Iterator[thanosql.Connection]:
    conn = thanosql.connect(":memory:")
    yield conn
    conn.close()


@pytest.mark.parametrize("module", [thanosql, thanosql_dbapi, thanosql_dbapi.dbapi2])
def test_every_public_name_of_sqlite3_is_the_same_object(module: types.ModuleType) -> None:
    names = {name for name in dir(sqlite3) if not name.startswith("_")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        different = {n for n in names if getattr(module, n, None) is not getattr(sqlite3, n)}
    assert different == OURS
    assert issubclass(module.Connection, sqlite3.Connection)
    assert issubclass(module.Cursor, sqlite3.Cursor)


def test_dbapi2_is_the_driver_too() -> None:
    from thanosql_dbapi import dbapi2

    assert dbapi2 is thanosql.dbapi2 is thanosql_dbapi
    with pytest.raises(AttributeError, match="'thanosql_dbapi' has no attribute 'no_such_name'"):
        _ = thanosql.no_such_name


@pytest.mark.skipif(not (3, 12) <= sys.version_info < (3, 14), reason="deprecated 3.12 to 3.13")
def test_deprecated_names_warn_at_the_callers_line() -> None:
    with pytest.warns(DeprecationWarning, match="version is deprecated") as caught:
        _ = thanosql.version
    assert [warning.filename for warning in caught] == [__file__]


def test_connect_takes_sqlite3s_arguments_by_position(tmp_path: Path) -> None:
    class Own(thanosql.Connection):
        pass

    uri = f"file:{tmp_path}/a.db?mode=rwc"
    arguments: tuple[Any, ...] = (1.5, sqlite3.PARSE_DECLTYPES, "IMMEDIATE", False, Own, 10, True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection = thanosql.connect(uri, *arguments)
    assert {warning.filename for warning in caught} <= {__file__}
    assert bool(caught) is (sys.version_info >= (3, 13))
    # Threads may share it, so it has a lock: an object of a class derived from Own.
    assert isinstance(connection, Own)
    assert connection.isolation_level == "IMMEDIATE"
    assert connection.workspace == tmp_path.resolve()
    connection.close()


def test_wrong_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError, match=r"at most 8 positional arguments \(9 given"):
        thanosql.connect(":memory:", 5.0, 0, "", True, thanosql.Connection, 1, False, 1)
    with pytest.raises(TypeError, match="multiple values for argument 'timeout'"):
        thanosql.connect(":memory:", 5.0, timeout=1.0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit is new in 3.12")
def test_autocommit_is_passed_on() -> None:
    connection = thanosql.connect(":memory:", autocommit=False)
    assert connection.in_transaction
    assert connection.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (0,)
    connection.close()


def test_a_factory_of_sqlite3s_own_kind_gets_our_abilities() -> None:
    class Loud(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.row_factory = sqlite3.Row

    class Named(sqlite3.Cursor):
        pass

    connection = thanosql.connect(":memory:", factory=Loud, progress=False)
    assert isinstance(connection, Loud)
    assert isinstance(connection, thanosql.Connection)
    row = connection.execute("SELECT count(*) AS n FROM (LIST MODEL)").fetchone()
    assert (type(row), row["n"]) == (sqlite3.Row, 0)
    cursor = connection.cursor(Named)
    assert isinstance(cursor, Named)
    assert isinstance(cursor, thanosql.Cursor)
    assert connection.cursor(Named).__class__ is cursor.__class__
    assert cursor.execute("SELECT count(*) AS n FROM (LIST MODEL)").fetchone()["n"] == 0
    connection.close()
    connection = thanosql.connect(":memory:", factory=sqlite3.Connection)
    assert type(connection) is thanosql.Connection
    connection.close()


def test_a_factory_that_passes_ours_by_is_refused() -> None:
    class Stubborn(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            sqlite3.Connection.__init__(self, *arguments, **options)

    with pytest.raises(thanosql.ProgrammingError, match=r"'Stubborn' opens .* without super\(\)"):
        thanosql.connect(":memory:", factory=Stubborn)


def test_a_factory_may_be_any_callable_and_gets_what_was_given(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def factory(database: str, **options: Any) -> thanosql.Connection:
        seen.update(options)
        return thanosql.Connection(database, **options)

    thanosql.connect(":memory:", factory=factory, timeout=1.0, workspace=tmp_path).close()
    assert seen == {"factory": factory, "timeout": 1.0, "workspace": tmp_path}
    seen.clear()
    thanosql.connect(":memory:", factory=factory, offline=False, cache_bytes=0).close()
    assert seen == {"factory": factory, "offline": False, "cache_bytes": 0}


def test_a_file_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connection = thanosql.connect("~nobody.db")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert (tmp_path / "~nobody.db").is_file()
    assert connection.workspace == tmp_path.resolve()


@pytest.mark.parametrize("work", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_sqlite3_does_not_copy_is_not_copied(conn: thanosql.Connection, work: Any) -> None:
    for thing in (conn, conn.cursor()):
        with pytest.raises(TypeError, match="cannot pickle"):
            work(thing)


def test_the_context_manager_commits_and_rolls_back(conn: thanosql.Connection) -> None:
    conn.execute("CREATE TABLE t (a)")
    with conn as same:
        assert same is conn
        conn.execute("INSERT INTO t VALUES (1)")

    def fail() -> None:
        with conn:
            conn.execute("INSERT INTO t VALUES (2)")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError, match="zero"):
        fail()
    assert conn.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_another_thread_is_refused_as_ever(conn: thanosql.Connection) -> None:
    errors: list[BaseException] = []
    cursor = conn.execute("SELECT 1 AS one")
    conn.execute("SELECT 1 AS one")

    def work() -> None:
        for call in (conn.execute, cursor.execute, conn.executemany, conn.executescript):
            try:
                call(*(("SELECT 1 AS one", []) if call == conn.executemany else ("SELECT 1",)))
            except sqlite3.ProgrammingError as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(errors) == 4
    assert all("objects created in a thread" in str(error) for error in errors)


def test_dump_backup_blobs_and_serialization(conn: thanosql.Connection) -> None:
    conn.executescript("CREATE TABLE t (a, b BLOB); INSERT INTO t VALUES (1, x'00112233');")
    assert "INSERT INTO \"t\" VALUES(1,X'00112233');" in list(conn.iterdump())
    target = thanosql.connect(":memory:")
    conn.backup(target)
    plain = sqlite3.connect(":memory:")
    conn.backup(plain)
    for copied in (target, plain):
        assert copied.execute("SELECT a, b FROM t").fetchall() == [(1, b"\x00\x11\x22\x33")]
    if sys.version_info >= (3, 11):
        with conn.blobopen("t", "b", 1) as blob:
            assert isinstance(blob, thanosql.Blob)
            assert blob.read() == b"\x00\x11\x22\x33"
        target.deserialize(conn.serialize())
        assert target.execute("SELECT a FROM t").fetchone() == (1,)
    target.close()
    plain.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="deprecated in 3.12")
@pytest.mark.parametrize("connect", [thanosql.connect, sqlite3.connect])
def test_default_adapters_warn_at_the_callers_line(connect: Any) -> None:
    thanosql.connect(":memory:").close()
    known = sqlite3.adapters[datetime.date, sqlite3.PrepareProtocol]
    if not known.__module__.startswith(("sqlite3", "thanosql_dbapi")):
        pytest.skip(f"{known.__module__} has registered its own in this process, which stay")
    connection = connect(":memory:")
    when = datetime.datetime(2026, 1, 31, 12, 30)
    for value, text in ((when, "2026-01-31 12:30:00"), (when.date(), "2026-01-31")):
        with pytest.warns(DeprecationWarning, match="default date.* adapter is") as caught:
            assert connection.execute("SELECT ?", (value,)).fetchone() == (text,)
        assert [warning.filename for warning in caught] == [__file__]
    connection.close()


@pytest.mark.skipif(not (3, 12) <= sys.version_info < (3, 14), reason="an error from 3.14 on")
def test_named_placeholders_with_a_sequence_do_nothing_where_the_warning_is_an_error(
    conn: thanosql.Connection,
) -> None:
    conn.execute("CREATE TABLE t (a)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning, match="named parameter"):
            conn.execute("INSERT INTO t VALUES (:a)", (1,))
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
    with pytest.warns(DeprecationWarning, match="named parameter"):
        conn.execute("INSERT INTO t VALUES (:a)", (1,))
    conn.execute("INSERT INTO t VALUES (:a)", {"a": 2})
    conn.execute("INSERT INTO t SELECT ':a' WHERE ? = 1", (1,))
    assert conn.execute("SELECT a FROM t").fetchall() == [(1,), (2,), (":a",)]


def test_a_trace_has_the_users_statements_alone(conn: thanosql.Connection) -> None:
    seen: list[str] = []
    conn.set_trace_callback(seen.append)
    changes = conn.total_changes
    conn.execute("SELECT 1 AS never_seen_before").fetchall()
    conn.execute("SELECT * FROM (SELECT 2 AS nor_this)").fetchall()
    assert seen == ["SELECT 1 AS never_seen_before", "SELECT * FROM (SELECT 2 AS nor_this)"]
    assert conn.total_changes == changes
    assert not conn.in_transaction
    conn.set_trace_callback(None)
    conn.execute("SELECT 3 AS the_last")
    assert len(seen) == 2


def test_an_authorizer_may_keep_the_registry_from_the_driver(
    converted: thanosql.Connection,
) -> None:
    def authorize(action: int, name: str | None, *rest: object) -> int:
        is_registry = name is not None and name.startswith("thanosql_")
        return sqlite3.SQLITE_DENY if is_registry else sqlite3.SQLITE_OK

    other = thanosql.connect(converted.workspace / "photos.db")
    converted.commit()
    other.set_authorizer(authorize)
    sql = "SELECT m_clipen FROM photos"
    assert isinstance(other.execute(sql).fetchone()[0], bytes)
    # None ends it from 3.11 on, and denies all before.
    other.set_authorizer(lambda *_: sqlite3.SQLITE_OK)
    assert not isinstance(other.execute(sql).fetchone()[0], bytes)
    other.close()


def test_a_known_text_sees_a_column_that_another_connection_makes(
    connection: thanosql.Connection,
) -> None:
    other = thanosql.connect(connection.workspace / "photos.db")
    queries = ["SELECT * FROM photos", 'SELECT photo_id, "m_clipen" FROM photos']
    for _ in range(2):  # the second time the texts are known
        for sql in queries:
            assert isinstance(other.execute(sql).fetchone()[-1], str)
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    connection.commit()
    for sql in queries:
        assert other.execute(sql).fetchone()[-1].dtype == "float32"
    other.close()


def test_a_known_text_sees_what_a_statement_of_ours_makes_of_its_columns(
    connection: thanosql.Connection,
) -> None:
    connection.execute("ALTER TABLE photos ADD COLUMN v")
    cursor = connection.cursor()
    for _ in range(2):
        assert connection.execute("SELECT v FROM photos").fetchone() == (None,)
    connection.execute(
        "CONVERT USING m OPTIONS (table_name='photos', result_col='v') AS SELECT * FROM photos"
    )
    assert cursor.execute("SELECT v FROM photos").fetchone()[0].dtype == "float32"
    # The same cursor, back to plain values.
    assert cursor.execute("SELECT photo_id FROM photos").fetchone() == ("000",)
    assert cursor.execute("SELECT photo_id FROM photos").fetchone() == ("000",)
