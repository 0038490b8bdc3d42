"""What a search has found out is used again only while nothing that it rests on has changed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import thanosql

SEARCH = (
    "SEARCH IMAGE text='a black cat' USING m OPTIONS (result_col='s') AS SELECT * FROM other.photos"
)


def attach(connection: thanosql.Connection, file: Path, columns: str, vector: bytes) -> None:
    other = sqlite3.connect(file)
    other.execute(f"CREATE TABLE photos (m_clipen BLOB {columns})")
    other.execute("INSERT INTO photos (m_clipen) VALUES (?)", (vector,))
    other.commit()
    other.close()
    connection.execute(f"ATTACH '{file}' AS other")


def test_another_file_attached_under_the_same_name(
    converted: thanosql.Connection, tmp_path: Path
) -> None:
    (vector,) = converted.execute("SELECT embed_text('m', 'a black cat')").fetchone()
    attach(converted, tmp_path / "one.db", "", vector)
    assert converted.execute(SEARCH).fetchone()[-1] == pytest.approx(1)
    converted.execute("DETACH other")
    attach(converted, tmp_path / "two.db", "", vector[:8])
    with pytest.raises(sqlite3.OperationalError, match="'m_clipen' holds 2 dimensions"):
        converted.execute(SEARCH)
    converted.execute("DETACH other")
    attach(converted, tmp_path / "three.db", ", s TEXT", vector)
    with pytest.raises(sqlite3.OperationalError, match="the rows have a column 's' already"):
        converted.execute(SEARCH)


def test_another_process_changes_what_is_attached(
    converted: thanosql.Connection, tmp_path: Path
) -> None:
    (vector,) = converted.execute("SELECT embed_text('m', 'a black cat')").fetchone()
    attach(converted, tmp_path / "one.db", "", vector)
    converted.execute(SEARCH).fetchall()
    other = sqlite3.connect(tmp_path / "one.db")
    other.execute("UPDATE photos SET m_clipen = x'00'")
    other.commit()
    other.close()
    with pytest.raises(sqlite3.OperationalError, match="'m_clipen' holds"):
        converted.execute(SEARCH)


def test_values_that_are_equal_in_python_are_not_the_same(converted: thanosql.Connection) -> None:
    sql = (
        "SELECT kind FROM (SEARCH IMAGE text='a black cat' USING m AS"
        " SELECT *, typeof(?) AS kind FROM photos) LIMIT 1"
    )
    kinds = [converted.execute(sql, (value,)).fetchone()[0] for value in (1, 1.0, True, "1", None)]
    assert kinds == ["integer", "real", "integer", "text", "null"]


def test_bound_texts_and_options_count_anew(converted: thanosql.Connection) -> None:
    sql = (
        "SELECT * FROM (SEARCH IMAGE text=:text USING m OPTIONS (result_col=:name)"
        " AS SELECT photo_id, m_clipen FROM photos)"
    )
    for text, name in (("a cat", "s"), ("a dog", "s"), ("a dog", "t"), ("a cat", "s")):
        cursor = converted.execute(sql, {"text": text, "name": name})
        assert cursor.description[-1][0] == name
        wanted = converted.execute("SELECT embed_text('m', ?)", (text,)).fetchone()[0]
        for _, vector, similarity in cursor:
            expected = float(vector @ thanosql.to_vector(wanted))
            assert similarity == pytest.approx(expected, abs=1e-6)


def test_an_image_that_was_replaced(converted: thanosql.Connection, workspace: Path) -> None:
    sql = (
        "SELECT photo_id FROM (SEARCH IMAGE images='images/asked.png' USING m"
        " OPTIONS (result_col='s') AS SELECT * FROM photos) ORDER BY s DESC LIMIT 1"
    )
    images = sorted(converted.execute("SELECT photo_id, image_path FROM photos").fetchall())[:3]
    for photo, path in images:
        shutil.copy(workspace / path, workspace / "images/asked.png")
        for _ in range(2):
            assert converted.execute(sql).fetchone()[0] == photo


def test_a_model_whose_files_are_gone(converted: thanosql.Connection, workspace: Path) -> None:
    sql = "SEARCH IMAGE text='a black cat' USING m AS SELECT * FROM photos"
    for _ in range(2):
        converted.execute(sql).fetchall()
    (folder,) = converted.execute("SELECT folder FROM thanosql_models").fetchone()
    (workspace / folder).rename(workspace / "elsewhere")
    with pytest.raises(thanosql.ModelError, match="the files of model 'm' are gone"):
        converted.execute(sql)


def test_rows_written_by_the_program_or_by_another_one(
    converted: thanosql.Connection, workspace: Path
) -> None:
    sql = (
        "SELECT photo_id FROM (SEARCH IMAGE text='a black cat' USING m OPTIONS (result_col='s')"
        " AS SELECT * FROM photos) ORDER BY s DESC LIMIT 1"
    )
    (vector,) = converted.execute("SELECT embed_text('m', 'a black cat')").fetchone()
    insert = "INSERT INTO photos (photo_id, m_clipen) VALUES (?, ?)"
    converted.execute(sql).fetchall()
    converted.execute(insert, ("own", vector))
    converted.commit()
    for _ in range(2):
        assert converted.execute(sql).fetchone() == ("own",)
    converted.execute("DELETE FROM photos WHERE photo_id = 'own'")
    converted.commit()
    file = converted.execute("PRAGMA database_list").fetchone()[2]
    with thanosql.connect(file, workspace=workspace) as other:
        doubled = (2 * thanosql.to_vector(vector)).astype(np.float32).tobytes()
        other.execute(insert, ("other", doubled))
    other.close()
    for _ in range(2):
        assert converted.execute(sql).fetchone() == ("other",)
