"""URLs: what they may say, what they open, and what a slip in one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

import thanosql_dbapi
from sqlalchemy_thanosql import ThanosqlDialect


def arguments(url):
    return ThanosqlDialect().create_connect_args(make_url(url))


@pytest.mark.parametrize("scheme", ["thanosql", "sqlite+thanosql"])
def test_both_schemes_open_the_driver(open_engine, tmp_path, scheme):
    engine = open_engine(f"{scheme}:///{tmp_path}/x.db")
    assert (engine.dialect.name, engine.dialect.driver) == ("sqlite", "thanosql")
    assert engine.dialect.dbapi is thanosql_dbapi
    with engine.connect() as connection:
        driver_connection = connection.connection.dbapi_connection
        assert isinstance(driver_connection, thanosql_dbapi.Connection)
        assert driver_connection.workspace == tmp_path


def test_options_reach_the_connection(open_engine, tmp_path):
    for name in ("work", "one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "catalog.json").write_text("{}")
    engine = open_engine(
        f"thanosql:///{tmp_path}/x.db?workspace={tmp_path}/work&device=cpu&offline=yes&network=off"
        f"&progress=false&catalog={tmp_path}/catalog.json&timeout=2.5"
        f"&allowed_directories={tmp_path}/one&allowed_directories={tmp_path}/two"
    )
    with engine.connect() as connection:
        settings = connection.connection.dbapi_connection.settings
    assert settings.workspace.root == tmp_path / "work"
    assert settings.workspace.allowed_directories == (tmp_path / "one", tmp_path / "two")
    assert settings.catalog == f"{tmp_path}/catalog.json"
    assert (settings.device, settings.offline, settings.network) == ("cpu", True, False)


@pytest.mark.parametrize(
    ("url", "database", "options"),
    [
        ("thanosql://", ":memory:", {"check_same_thread": True}),
        ("thanosql:///:memory:", ":memory:", {"check_same_thread": True}),
        ("thanosql:///x.db", str(Path.cwd() / "x.db"), {"check_same_thread": False}),
        ("thanosql:////tmp/x.db?timeout=2", "/tmp/x.db", {"timeout": 2.0}),
        (
            "thanosql:////tmp/x.db?isolation_level=immediate",
            "/tmp/x.db",
            {"isolation_level": "IMMEDIATE"},
        ),
        (
            "thanosql:///file:x.db?mode=ro&uri=true&device=cpu",
            "file:x.db?mode=ro",
            {"uri": True, "device": "cpu"},
        ),
        (
            "thanosql:///file:x.db?vfs=own&key=1&uri=true",
            "file:x.db?key=1&vfs=own",
            {"uri": True},
        ),
    ],
)
def test_database_and_sqlite3_options_are_as_in_pysqlite(url, database, options):
    (filename,), keywords = arguments(url)
    assert filename == database
    assert options.items() <= keywords.items()


def test_a_read_only_uri_is_read_only(open_engine, tmp_path):
    thanosql_dbapi.connect(tmp_path / "x.db").close()
    engine = open_engine(f"thanosql:///file:{tmp_path}/x.db?mode=ro&uri=true")
    with (
        engine.connect() as connection,
        pytest.raises(DBAPIError, match="attempt to write a readonly database"),
    ):
        connection.execute(text("CREATE TABLE t (a)"))


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("devise=cpu", "unknown option 'devise'; did you mean 'device'?"),
        ("colour=red", "unknown option 'colour'\nOptions are: workspace, allowed_directories"),
        (
            "immutable=1",
            "unknown option 'immutable'; it is an option of SQLite's URI, which needs 'uri=",
        ),
        ("uri=true&wrkspace=/tmp", "unknown option 'wrkspace'; did you mean 'workspace'?"),
        (
            "workspace=/none/there",
            "option 'workspace' takes a folder, and '/none/there' does not exist",
        ),
        (f"workspace={__file__}", f"option 'workspace' takes a folder, and {__file__!r} is a file"),
        ("allowed_directories=/tmp&allowed_directories=/none", "option 'allowed_directories' "),
        ("catalog=/none.json", "option 'catalog' takes the path of a JSON file that exists"),
        ("device=gpu", "option 'device' takes cpu, cuda, cuda:1 or mps; got 'gpu'"),
        ("device=cpu&device=cuda", "option 'device' is given 2 times; only 'allowed_directories'"),
        ("offline=maybe", "option 'offline' takes true or false; got 'maybe'"),
        ("progress=2", "option 'progress' takes true or false; got '2'"),
        ("timeout=soon", "option 'timeout' takes a number of seconds; got 'soon'"),
        ("cache_bytes=4GB", "option 'cache_bytes' takes a number of bytes; got '4GB'"),
        ("cached_statements=1.5", "option 'cached_statements' takes an integer; got '1.5'"),
        (
            "isolation_level=AUTOCOMMIT",
            "the kind of BEGIN (AUTOCOMMIT and SERIALIZABLE are values of create_engine(",
        ),
    ],
)
def test_a_slip_in_the_options_is_named(query, want):
    with pytest.raises(ArgumentError, match=re.escape(want)) as caught:
        create_engine(f"thanosql:///x.db?{query}")
    assert "\n thanosql:////absolute/path/to/photos.db\n" in str(caught.value)


def test_a_host_is_told_the_third_slash():
    with pytest.raises(
        ArgumentError,
        match=re.escape(
            "URL 'thanosql://photos.db' names a host, and a database is a file;"
            " for the file 'photos.db' write three slashes: thanosql:///photos.db"
        ),
    ):
        create_engine("thanosql://photos.db")


def test_a_password_is_not_shown():
    with pytest.raises(ArgumentError, match="names a host") as caught:
        create_engine("thanosql://me:secret@host/photos.db")
    assert "secret" not in str(caught.value)


def test_a_missing_folder_of_the_file_is_sqlites_own_error(open_engine, tmp_path):
    with pytest.raises(DBAPIError, match="unable to open database file"):
        open_engine(f"thanosql:///{tmp_path}/none/x.db").connect()
