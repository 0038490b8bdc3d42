"""Transactions, savepoints, isolation levels, pools, threads, forks."""

from __future__ import annotations

import multiprocessing
import sys
import threading

import pytest
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, SingletonThreadPool

HAS_AUTOCOMMIT = sys.version_info >= (3, 12)


def count(connection, table="t"):
    return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()


@pytest.fixture
def table_engine(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    return engine


def test_ddl_is_rolled_back(engine):
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE gone (a)"))
        connection.execute(text("INSERT INTO gone VALUES (1)"))
        connection.rollback()
        assert inspect(connection).get_table_names() == []


def test_a_transaction_reads_one_state(table_engine):
    # In WAL, so that a reader does not hold up the writer.
    with table_engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode=WAL")).scalar() == "wal"
    with table_engine.connect() as reader, table_engine.connect() as writer:
        assert count(reader) == 0
        writer.execute(text("INSERT INTO t VALUES (1)"))
        writer.commit()
        assert count(reader) == 0
        reader.rollback()
        assert count(reader) == 1


def test_savepoints(table_engine):
    with table_engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        with connection.begin_nested() as inner:
            connection.execute(text("INSERT INTO t VALUES (2)"))
            connection.execute(text("CREATE TABLE gone (a)"))
            inner.rollback()
        with connection.begin_nested():
            connection.execute(text("INSERT INTO t VALUES (3)"))
    with table_engine.connect() as connection:
        assert connection.execute(text("SELECT a FROM t")).scalars().all() == [1, 3]
        assert inspect(connection).get_table_names() == ["t"]


def test_a_savepoint_that_comes_first_commits_nothing(table_engine):
    with table_engine.connect() as connection:
        with connection.begin_nested():
            connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.rollback()
        assert count(connection) == 0


def test_a_session_with_savepoints(table_engine):
    with Session(table_engine, future=True) as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
        savepoint = session.begin_nested()
        session.execute(text("INSERT INTO t VALUES (2)"))
        with pytest.raises(OperationalError, match="no such table"):
            session.execute(text("SELECT * FROM missing"))
        savepoint.rollback()
        session.commit()
        assert count(session) == 1


def test_statements_that_want_no_transaction_come_before_it(table_engine):
    with table_engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys=ON"))
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        connection.exec_driver_sql("/* tidy */ VACUUM -- all")
        connection.execute(text("ATTACH ':memory:' AS other"))
        connection.execute(text("DETACH other"))
        connection.execute(text("SELECT 1"))
        connection.rollback()
        connection.execute(text("BEGIN IMMEDIATE"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.commit()
        assert count(connection) == 1


def test_autocommit(open_engine, tmp_path):
    engine = open_engine(f"thanosql:///{tmp_path}/x.db", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        assert not connection.connection.dbapi_connection.in_transaction
        connection.rollback()
        assert count(connection) == 1


def test_the_isolation_level_of_one_connection(table_engine):
    with table_engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with table_engine.connect() as connection:
        assert count(connection) == 1
        connection.execute(text("INSERT INTO t VALUES (2)"))
        assert connection.connection.dbapi_connection.in_transaction
        connection.rollback()
        assert count(connection) == 1
    serializable = table_engine.execution_options(isolation_level="SERIALIZABLE")
    with serializable.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
        assert count(connection) == 2


@pytest.mark.parametrize("by", ["url", "connect_args"])
def test_the_kind_of_begin(open_engine, tmp_path, by):
    url, options = f"thanosql:///{tmp_path}/x.db", {}
    if by == "url":
        url += "?isolation_level=IMMEDIATE&timeout=0"
    else:
        options = {"connect_args": {"isolation_level": "IMMEDIATE", "timeout": 0}}
    engine = open_engine(url, **options)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("SELECT 1"))
    with engine.connect() as one, engine.connect() as other:
        one.execute(text("SELECT 1"))
        with pytest.raises(OperationalError, match="database is locked"):
            other.execute(text("SELECT 1"))


def test_the_recipe_of_sqlalchemys_documentation_still_works(open_engine, tmp_path):
    engine = open_engine(f"thanosql:///{tmp_path}/x.db")

    @event.listens_for(engine, "connect")
    def leave_it_to_us(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE gone (a)"))
        connection.rollback()
        assert inspect(connection).get_table_names() == []


@pytest.mark.skipif(not HAS_AUTOCOMMIT, reason="sqlite3 has autocommit= from Python 3.12 on")
@pytest.mark.parametrize("autocommit", [True, False])
def test_pythons_own_transaction_control(open_engine, tmp_path, autocommit):
    engine = open_engine(f"thanosql:///{tmp_path}/x.db", connect_args={"autocommit": autocommit})
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
        connection.rollback()
        assert inspect(connection).get_table_names() == (["t"] if autocommit else [])
        connection.rollback()
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("CREATE TABLE u (a)"))
        connection.rollback()
        assert "u" in inspect(connection).get_table_names()


def test_convert_and_copy_join_a_transaction(photo_engine):
    with photo_engine.connect() as connection:
        connection.execute(text("COPY more FROM 'photos.csv'"))
        connection.execute(
            text("CONVERT USING m OPTIONS (table_name='more') AS SELECT * FROM more")
        )
        connection.rollback()
        assert inspect(connection).get_table_names() == ["photos"]


def test_convert_and_copy_commit_themselves_in_autocommit(photo_engine):
    with photo_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("COPY more FROM 'photos.csv'"))
        connection.execute(
            text("CONVERT USING m OPTIONS (table_name='more') AS SELECT * FROM more")
        )
    with photo_engine.connect() as connection:
        assert count(connection, "more") == 6


def test_pools():
    for url, pool in {
        "thanosql:///some.db": QueuePool,
        "thanosql:///file:some.db?mode=ro&uri=true": QueuePool,
        "thanosql://": SingletonThreadPool,
        "thanosql:///:memory:": SingletonThreadPool,
    }.items():
        assert type(create_engine(url).pool) is pool, url


def test_threads_share_a_file(open_engine, tmp_path):
    engine = open_engine(f"thanosql:///{tmp_path}/x.db?isolation_level=IMMEDIATE&timeout=60")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))
    errors: list[BaseException] = []

    def work():
        try:
            for _ in range(10):
                with engine.begin() as connection:
                    value = connection.execute(text("SELECT a FROM t")).scalar()
                    connection.execute(text("UPDATE t SET a = :a"), {"a": value + 1})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT a FROM t")).scalar() == 40


def test_each_thread_has_a_memory_of_its_own(open_engine):
    engine = open_engine("thanosql://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    names: list[list[str]] = []

    def look():
        with engine.connect() as connection:
            names.append(inspect(connection).get_table_names())
            connection.detach()  # is closed at the end, by the thread that opened it

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert names == [[]]
    assert inspect(engine).get_table_names() == ["t"]


def _insert_in_child(engine):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
        assert connection.connection._connection_record.info["process"] != _PARENT["process"]


_PARENT: dict[str, int] = {}


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_opens_its_own_connections(table_engine):
    with table_engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        _PARENT["process"] = connection.connection._connection_record.info["process"]
    process = multiprocessing.get_context("fork").Process(
        target=_insert_in_child, args=(table_engine,)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    with table_engine.connect() as connection:
        assert count(connection) == 2
