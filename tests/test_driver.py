"""The driver as a DB-API module: PEP 249, plain SQL, vectors in rows, scripts, imports."""

from __future__ import annotations

import gc
import pickle
import sqlite3
import subprocess
import sys
import threading
import weakref
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import thanosql
import thanosql_dbapi
from thanosql_dbapi.stores.sqlite.database import Database
from thanosql_dbapi.stores.sqlite.registry import Registry, VectorColumn


def test_module_globals_are_those_of_pep_249() -> None:
    assert (thanosql.apilevel, thanosql.paramstyle) == ("2.0", "qmark")
    assert thanosql.threadsafety == sqlite3.threadsafety
    for name in thanosql_dbapi.__all__:
        assert getattr(thanosql, name) is getattr(thanosql_dbapi, name)
    assert sorted(thanosql.__all__) == sorted(thanosql_dbapi.__all__)


def test_exceptions_are_sqlite3s_own_or_derived_from_them() -> None:
    assert thanosql.OperationalError is sqlite3.OperationalError
    for name in ("StatementError", "ModelError", "MediaError", "SourceError", "WorkspaceError"):
        assert issubclass(getattr(thanosql, name), sqlite3.DatabaseError)


def test_everything_else_of_sqlite3_is_reachable() -> None:
    assert thanosql_dbapi.Row is sqlite3.Row
    assert thanosql_dbapi.PARSE_DECLTYPES == sqlite3.PARSE_DECLTYPES
    assert "register_adapter" in dir(thanosql_dbapi)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = thanosql_dbapi.no_such_name


def test_connection_and_cursor_are_sqlite3s(connection: thanosql.Connection) -> None:
    assert isinstance(connection, sqlite3.Connection)
    cursor = connection.cursor()
    assert isinstance(cursor, sqlite3.Cursor)
    assert isinstance(connection.execute("SELECT 1"), thanosql.Cursor)
    assert cursor.connection is connection


PLAIN = """
import thanosql
connection = thanosql.connect(":memory:")
connection.execute("CREATE TABLE photos (image, search)")
connection.executemany("INSERT INTO photos VALUES (?, ?)", [("a", 1)])
connection.executescript("SELECT image FROM photos;")
assert connection.execute("SELECT * FROM photos WHERE search = 1").fetchall() == [("a", 1)]
connection.close()
"""
HEAVY = ["torch", "transformers", "PIL", "pandas", "sqlalchemy", "sqlparse", "IPython", "httpx"]
HEAVY += ["jinja2", "pygments", "prompt_toolkit", "rich"]


@pytest.mark.parametrize(
    ("program", "heavy"),
    [
        ("import thanosql", [*HEAVY, "numpy", "thanosql_dbapi.statements"]),
        (PLAIN, [*HEAVY, "thanosql_dbapi.statements", "thanosql_dbapi.language.parser"]),
    ],
    ids=["import", "plain SQL"],
)
def test_nothing_heavy_is_loaded_before_it_is_asked_for(program: str, heavy: list[str]) -> None:
    code = f"{program}\nimport sys; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_plain_sql_reaches_sqlite_as_it_was_written() -> None:
    seen: list[str] = []
    connection = thanosql.connect(":memory:")
    connection.set_trace_callback(seen.append)
    sql = "SELECT /* search image text='x' using m */ 'convert using' AS [print], 2 -- copy"
    connection.execute(sql).fetchall()
    assert seen[0] == sql
    connection.close()


def test_sqlites_own_errors_stay() -> None:
    connection = thanosql.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError, match='near "SELEC": syntax error'):
        connection.execute("SELEC 1")
    with pytest.raises(sqlite3.ProgrammingError, match="Incorrect number of bindings"):
        connection.execute("SELECT ?", ())
    with pytest.raises(TypeError, match="must be str"):
        connection.execute(b"SELECT 1")  # type: ignore[arg-type]
    connection.close()


def test_a_connection_that_is_dropped_is_freed() -> None:
    connection = thanosql.connect(":memory:")
    reference = weakref.ref(connection)
    connection.close()
    del connection
    gc.collect()
    assert reference() is None


def test_a_statement_runs_whatever_the_connections_last_call_left() -> None:
    with closing(thanosql.connect(":memory:")) as connection:
        reading = connection.execute("SELECT 1 UNION ALL SELECT 2")
        assert reading.fetchone() == (1,)
        assert connection.execute("LIST MODEL").fetchall() == []
        assert reading.fetchall() == [(2,)]
        with pytest.raises(thanosql.DataError, match="expected vectors as BLOBs"):
            connection.execute("SELECT cosine_similarity(1, 2)")
        assert connection.execute("LIST MODEL").fetchall() == []
        assert not connection.in_transaction


def test_a_statement_without_rows_takes_the_last_ones_from_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("n\n1\n", encoding="utf-8")
    seen: list[str] = []
    with closing(thanosql.connect(":memory:", workspace=tmp_path)) as connection:
        cursor = connection.execute("SELECT 1 UNION ALL SELECT 2")
        assert cursor.fetchone() == (1,)
        connection.set_trace_callback(seen.append)
        cursor.execute("COPY t FROM 'n.csv'")
        assert (cursor.description, cursor.fetchall()) == (None, [])
        assert not any("thanosql_no_table" in sql for sql in seen)
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_statement_error_has_place_and_text_and_pickles(connection: thanosql.Connection) -> None:
    with pytest.raises(thanosql.StatementError, match="did you mean IMAGE") as caught:
        connection.execute("SEARCH\n  IMAG text='a' USING m AS SELECT 1")
    error = caught.value
    assert (error.line, error.column) == (2, 3)
    assert str(error).splitlines()[1:] == ["    IMAG text='a' USING m AS SELECT 1", "    ^"]
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.line) == (str(error), 2)


def test_vector_columns_are_fetched_as_arrays(converted: thanosql.Connection) -> None:
    row = converted.execute("SELECT photo_id, m_clipen FROM photos").fetchone()
    assert isinstance(row, tuple)
    vector = row[1]
    assert (vector.dtype, vector.ndim) == (np.float32, 1)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    # Elsewhere the value is a BLOB, which to_vector reads.
    (blob,) = converted.execute("SELECT m_clipen AS other FROM photos").fetchone()
    assert isinstance(blob, bytes)
    assert np.array_equal(thanosql.to_vector(blob), vector)
    # And the array goes back as a parameter.
    count = converted.execute("SELECT count(*) FROM photos WHERE m_clipen = ?", (vector,))
    assert count.fetchone() == (1,)


def test_vectors_are_decoded_whatever_the_row_factory(converted: thanosql.Connection) -> None:
    converted.row_factory = sqlite3.Row
    cursor = converted.execute("SELECT photo_id, m_clipen FROM photos ORDER BY photo_id")
    assert cursor.row_factory is sqlite3.Row
    row = cursor.fetchone()
    assert isinstance(row, sqlite3.Row)
    assert isinstance(row["m_clipen"], np.ndarray)
    cursor.row_factory = lambda cursor, row: dict(
        zip([column[0] for column in cursor.description], row, strict=True)
    )
    assert isinstance(cursor.fetchone()["m_clipen"], np.ndarray)
    assert cursor.execute("SELECT 7 AS seven").fetchone() == {"seven": 7}


def test_another_connections_new_vector_column_is_decoded_too(
    converted: thanosql.Connection, workspace: Path
) -> None:
    converted.commit()
    other = thanosql.connect(workspace / "photos.db")
    assert isinstance(other.execute("SELECT * FROM photos").fetchone()[-1], np.ndarray)
    converted.execute(
        "CONVERT USING m OPTIONS (table_name='photos', result_col='second') AS SELECT * FROM photos"
    )
    assert isinstance(other.execute("SELECT second FROM photos").fetchone()[0], np.ndarray)
    other.close()


@pytest.mark.parametrize("kind", ["connection", "cursor"])
def test_a_text_known_to_have_no_vectors_has_those_another_connection_adds(
    converted: thanosql.Connection, workspace: Path, kind: str
) -> None:
    converted.execute("CREATE TABLE album AS SELECT photo_id, image_path FROM photos")
    converted.commit()
    with closing(thanosql.connect(workspace / "photos.db")) as other:
        target = other if kind == "connection" else other.cursor()
        for _ in range(3):
            assert len(target.execute("SELECT * FROM album LIMIT 1").fetchall()[0]) == 2
        converted.execute(
            "CONVERT USING m OPTIONS (table_name='album', result_col='v') AS SELECT * FROM album"
        )
        converted.commit()
        for _ in range(2):
            row = target.execute("SELECT * FROM album LIMIT 1").fetchall()[0]
            assert isinstance(row[-1], np.ndarray)


def test_other_values_under_a_vectors_name_stay(converted: thanosql.Connection) -> None:
    assert converted.execute("SELECT 'text' AS m_clipen").fetchone() == ("text",)
    assert converted.execute("SELECT x'00' AS m_clipen").fetchone() == (b"\0",)
    assert converted.execute("SELECT NULL AS m_clipen").fetchone() == (None,)


def test_to_vector_says_what_is_wrong() -> None:
    with pytest.raises(thanosql.DataError, match="4 bytes a dimension, got 3 bytes"):
        thanosql.to_vector(b"abc")
    with pytest.raises(thanosql.DataError, match="expected a vector as bytes, got 'abc'"):
        thanosql.to_vector("abc")  # type: ignore[arg-type]


def test_a_two_dimensional_array_is_no_vector(connection: thanosql.Connection) -> None:
    with pytest.raises((thanosql.Error, ValueError), match=r"one dimension|unsupported|binding"):
        connection.execute("SELECT ?", (np.zeros((2, 2)),))


def test_executescript_runs_both_kinds_in_order(connection: thanosql.Connection) -> None:
    connection.executescript(
        """
        CREATE TABLE log (line TEXT);  -- plain
        CREATE TRIGGER watch AFTER INSERT ON log BEGIN
            INSERT INTO log SELECT 'seen; really' WHERE NEW.line = 'first';
        END;
        COPY more FROM '[{"a": 1}]';
        INSERT INTO log VALUES ('first');
        CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos;
        INSERT INTO log SELECT count(m_clipen) FROM photos
        """
    )
    assert connection.execute("SELECT line FROM log").fetchall() == [
        ("first",),
        ("seen; really",),
        ("6",),
    ]
    assert connection.execute("SELECT a FROM more").fetchall() == [(1,)]


def test_executemany_of_statements_without_rows(connection: thanosql.Connection) -> None:
    connection.executemany(
        "COPY words OPTIONS (if_exists='append') FROM ?", [('[{"w": "a"}]',), ('[{"w": "b"}]',)]
    )
    assert connection.execute("SELECT w FROM words").fetchall() == [("a",), ("b",)]


def test_executemany_of_a_search_says_why_not(converted: thanosql.Connection) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match=r"returns rows; call execute\(\)"):
        converted.executemany("SEARCH IMAGE text=? USING m AS SELECT * FROM photos", [("a",)])


def test_a_statement_without_rows_has_no_description(connection: thanosql.Connection) -> None:
    cursor = connection.execute("SELECT 1")
    cursor.execute("COPY t FROM '[{\"a\": 1}]'")
    assert cursor.description is None
    assert cursor.fetchall() == []


def test_two_statements_are_refused(connection: thanosql.Connection) -> None:
    with pytest.raises(thanosql.StatementError, match=r"one statement at a time.*line 1, col"):
        connection.execute("LIST MODEL; SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SEARCH AUDIO text='x' USING m AS SELECT 1",
        "PRINT AUDIO AS SELECT 1",
    ],
)
def test_what_is_not_built_says_what_is(connection: thanosql.Connection, sql: str) -> None:
    with pytest.raises(thanosql.NotSupportedError, match="not supported") as caught:
        connection.execute(sql)
    assert any(word in str(caught.value) for word in ("CONVERT", "UPLOAD MODEL", "PRINT IMAGE"))


def test_wrong_options_of_connect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="progress must be None, True, False or a callable"):
        thanosql.connect(":memory:", progress="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wrokspace"):
        thanosql.connect(":memory:", wrokspace=tmp_path)


def test_the_workspace_is_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THANOSQL_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "album"
    inside.mkdir()
    for database, options, expected in [
        (":memory:", {}, tmp_path),
        (inside / "a.db", {}, inside),
        ("album/b.db", {}, inside),
        (f"file:{inside}/c.db?mode=rwc", {"uri": True}, inside),
        ("file:x?mode=memory", {"uri": True}, tmp_path),
        (inside / "d.db", {"workspace": tmp_path}, tmp_path),
    ]:
        connection = thanosql.connect(database, **options)  # type: ignore[arg-type]
        assert connection.workspace == expected.resolve()
        connection.close()


def test_one_connection_used_by_several_threads_in_turn(workspace: Path) -> None:
    # In turn: sqlite3 itself can deadlock when one thread is inside a Python SQL function while
    # another one binds values, for it binds with the interpreter's lock held.
    connection = thanosql.connect(workspace / "t.db", check_same_thread=False, progress=False)
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    results: list[object] = []
    turn = threading.Lock()

    def embed(text: str) -> None:
        with turn:
            results.append(connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()[0])

    threads = [threading.Thread(target=embed, args=("a cat",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1
    connection.close()


def test_a_new_file_has_pages_for_vectors(tmp_path):
    page_size = "PRAGMA page_size"
    with closing(thanosql.connect(tmp_path / "new.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        assert connection.execute(page_size).fetchone() == (8192,)
    with closing(thanosql.connect(tmp_path / "chosen.db")) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("CREATE TABLE t (a)")
        assert connection.execute(page_size).fetchone() == (1024,)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    with closing(thanosql.connect(tmp_path / "old.db")) as connection:
        connection.execute("VACUUM")
        assert connection.execute(page_size).fetchone() == (4096,)
    # Neither asks for a file that is not there.
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        thanosql.connect(f"file:{tmp_path}/none.db?mode=ro", uri=True)
    assert not (tmp_path / "none.db").exists()


def test_sqlites_syntax_error_is_not_shown_before_ours() -> None:
    with closing(thanosql.connect(":memory:")) as connection:
        with pytest.raises(thanosql.StatementError, match="did you mean USING") as caught:
            connection.execute("SELECT * FROM (SEARCH IMAGE text='x' USNG m AS q)")
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("3d emb", 'SELECT "3d emb" FROM t'),
        ("3d emb", "SELECT [3d emb] FROM t"),
        ("3d emb", "SELECT `3d emb` FROM t"),
        ("3d emb", "SELECT * FROM t"),
        ("3d emb", "SELECT t.'3d emb' FROM t"),
        ("3d 'e", "SELECT t.'3d ''e' FROM t"),
        ("emb", "SELECT emb FROM t"),
        ("é ü", 'SELECT "é ü" AS "É ü" FROM t'),
    ],
)
def test_a_vector_column_may_have_any_name(name: str, sql: str, tmp_path: Path) -> None:
    with (
        closing(thanosql.connect(tmp_path / "x.db", isolation_level=None)) as connection,
        closing(thanosql.connect(tmp_path / "x.db", isolation_level=None)) as other,
    ):
        quoted = name.replace('"', '""')
        connection.execute(f'CREATE TABLE t ("{quoted}")')
        connection.execute("INSERT INTO t VALUES (?)", (b"\0" * 8,))
        assert connection.execute("SELECT 17").fetchone() == (17,)
        # Another process registers the column.
        column = VectorColumn("main", "t", name, "m", "f", 2, "x", "image")
        Registry(Database(other)).add_vector_column(column)
        assert connection.execute(sql).fetchone()[0].shape == (2,)
        assert connection.execute(sql).fetchone()[0].shape == (2,)
