"""CREATE TABLE … USING model FROM folder: COPY and CONVERT in one, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thanosql_dbapi import (
    Connection,
    MediaError,
    MediaWarning,
    ModelError,
    OperationalError,
    SourceError,
    StatementError,
    WorkspaceError,
)

CREATE = (
    "CREATE TABLE t USING m OPTIONS (path_type='folder', data_type='image', file_type=['.png']{})"
    " FROM 'images'"
)


def rows(connection: Connection, table: str = "t") -> list[Any]:
    sql = f"SELECT image_path, length(m_clipen) FROM {table} ORDER BY image_path"
    return connection.execute(sql).fetchall()


def test_a_folder_becomes_a_table_with_vectors(connection: Connection, workspace: Path) -> None:
    cursor = connection.execute(CREATE.format(""))
    assert cursor.description is None
    assert len(rows(connection)) == 6
    assert {length for _, length in rows(connection)} == {4 * 24}
    report = connection.report
    assert (report.statement, report.table) == ("CREATE TABLE", "t")
    assert (report.added, report.converted) == (6, 6)
    found = connection.execute(
        "SELECT image_path FROM (SEARCH IMAGE image='images/red.png' USING m"
        " OPTIONS (top_k=1) AS SELECT * FROM t)"
    ).fetchall()
    assert found == [("images/red.png",)]
    # It goes on as a table that COPY and CONVERT have made.
    (workspace / "images" / "new.png").write_bytes((workspace / "images/red.png").read_bytes())
    connection.execute("COPY t OPTIONS (if_exists='append') FROM 'images'")
    connection.execute("CONVERT USING m OPTIONS (table_name='t') AS SELECT * FROM t")
    assert (connection.report.converted, connection.report.failed) == (0, 0)
    assert len(rows(connection)) == 7


def test_only_files_of_the_type_are_taken(connection: Connection, workspace: Path) -> None:
    (workspace / "images" / "red.png").rename(workspace / "images" / "red.JPG")
    connection.execute(
        "CREATE TABLE main.t USING m OPTIONS (file_type='jpg', result_col='v') FROM ?", ("images/",)
    )
    assert connection.execute("SELECT image_path FROM t").fetchall() == [("images/red.JPG",)]
    assert connection.execute("SELECT length(v) FROM t").fetchone() == (96,)
    (skipped,) = connection.report.skipped
    assert (skipped.suffix, skipped.count, skipped.reason) == (".png", 5, "excluded by the options")
    connection.execute("COPY all_of_them OPTIONS (file_type=['.png', '.jpg']) FROM 'images'")
    assert connection.execute("SELECT count(*) FROM all_of_them").fetchone() == (6,)


def test_a_table_that_exists_is_not_replaced_unasked(connection: Connection) -> None:
    connection.execute("CREATE TABLE t AS SELECT 1 AS mine")
    with pytest.raises(OperationalError, match=r"table 't' exists; .*nothing was changed"):
        connection.execute(CREATE.format(""))
    connection.execute(CREATE.format("").replace("TABLE t", "TABLE IF NOT EXISTS t"))
    assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]
    connection.execute(CREATE.format(", overwrite=True"))
    assert len(rows(connection)) == 6
    connection.execute(CREATE.format("").replace("TABLE t", "TEMP TABLE IF NOT EXISTS u"))
    assert len(rows(connection, "temp.u")) == 6


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        (CREATE.format("").replace("USING m", "USING n"), ModelError, "no model 'n'"),
        (CREATE.format("").replace("'images'", "'gone'"), SourceError, "no folder 'gone'"),
        (CREATE.format("").replace("'images'", "'photos.csv'"), SourceError, "no folder"),
        (CREATE.format("").replace("'images'", "'..'"), WorkspaceError, "outside the workspace"),
        (CREATE.format("").replace(".png", ".gif"), SourceError, "expected pictures"),
        (CREATE.format("").replace("'folder'", "'web'"), StatementError, "must be 'folder'"),
        (CREATE.format("").replace("'image'", "'sound'"), StatementError, "'image' or 'video'"),
        (CREATE.format(", interval=1"), StatementError, "'interval' is for data_type='video'"),
        (CREATE.format(", file_types=1"), StatementError, "did you mean 'file_type'"),
        (CREATE.format("").partition(" FROM")[0], StatementError, "expected FROM and a path"),
        (CREATE.format("").replace("TABLE t", "TEMP TABLE main.t"), StatementError, "in temp"),
    ],
)
def test_what_is_wrong_is_said_and_no_table_made(
    connection: Connection, sql: str, error: type[Exception], message: str
) -> None:
    before = connection.execute("LIST TABLE").fetchall()
    with pytest.raises(error, match=message):
        connection.execute(sql)
    assert connection.execute("LIST TABLE").fetchall() == before


def test_one_bad_picture_is_named_or_ends_it(connection: Connection, workspace: Path) -> None:
    (workspace / "images" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"bad\.png"):
        connection.execute(CREATE.format(", on_error='fail'"))
    assert ("t", "table") not in connection.execute("LIST TABLE").fetchall()
    with pytest.warns(MediaWarning, match="1 of 7 images could not be read"):
        connection.execute(CREATE.format(""))
    assert rows(connection)[0] == ("images/bad.png", None)


def test_videos(connection: Connection, workspace: Path) -> None:
    pytest.importorskip("av")
    from films import GREEN, RED, scenes, write_film

    write_film(workspace / "images" / "rg.mp4", scenes(RED, GREEN))
    connection.execute(
        "CREATE TABLE films USING m OPTIONS (data_type='video', interval=0.5) FROM 'images'"
    )
    (row,) = connection.execute("SELECT video_path, length(m_clipen) FROM films").fetchall()
    assert row == ("images/rg.mp4", 96)


def test_creates_of_sqlite_are_its_own(connection: Connection) -> None:
    connection.execute('CREATE TABLE "using" ("using", model)')
    connection.execute(
        "CREATE TABLE c AS SELECT * FROM [using] JOIN (SELECT 1 AS model) USING (model)"
    )
    assert connection.execute("SELECT count(*) FROM c").fetchone() == (0,)


def test_sqlglot_reads_and_writes_it() -> None:
    pytest.importorskip("sqlglot")
    from sqlglot import exp

    from sqlalchemy_thanosql.sqlglot import ThanoSQL
    from thanosql_dbapi.language import parse

    sql = CREATE.format("").replace("TABLE t", "TABLE IF NOT EXISTS t")
    (tree,) = ThanoSQL().parse(sql)
    assert tree is not None
    assert isinstance(tree, exp.Insert)
    assert next(table.name for table in tree.find_all(exp.Table)) == "t"
    assert parse(ThanoSQL().generate(tree)) == parse(sql)
