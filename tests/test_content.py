"""Vectors follow content: what CONVERT embeds again after files, tables and rows have moved."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi import ConvertReport
from thanosql_dbapi.models.vector_store import VectorStore

IN_PLACE = "CONVERT USING m OPTIONS (table_name='{}') AS SELECT * FROM {}"
MARK = np.eye(24, dtype="<f4")[7].tobytes()


def convert(connection: thanosql.Connection, table: str = "photos") -> ConvertReport:
    """Convert a table in place, and return what was done."""
    connection.execute(IN_PLACE.format(table, table))
    report = connection.report
    assert isinstance(report, ConvertReport)
    return report


def mark(connection: thanosql.Connection, table: str = "photos") -> None:
    """Put a vector of the test's own into each row; ``marked`` counts those that are left."""
    connection.execute(f"UPDATE {table} SET m_clipen = ?", (MARK,))
    connection.commit()


def marked(connection: thanosql.Connection, table: str = "photos") -> int:
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE CAST(m_clipen AS BLOB) = ?", (MARK,)
    ).fetchone()
    return int(row[0])


def vectors(connection: thanosql.Connection, table: str = "photos") -> dict[str, bytes]:
    return dict(
        connection.execute(f"SELECT image_path, CAST(m_clipen AS BLOB) FROM {table}").fetchall()
    )


def renumbered(connection: thanosql.Connection, workspace: Path) -> None:
    connection.execute("DELETE FROM photos WHERE rowid IN (1, 3)")
    connection.commit()
    connection.execute("VACUUM")


def touched(connection: thanosql.Connection, workspace: Path) -> None:
    for number, path in enumerate((workspace / "images").iterdir()):
        os.utime(path, (1_700_000_000 + number,) * 2)


def folder_renamed(connection: thanosql.Connection, workspace: Path) -> None:
    (workspace / "images").rename(workspace / "Bilder")
    connection.execute("UPDATE photos SET image_path = replace(image_path, 'images/', 'Bilder/')")
    connection.commit()


def files_renamed(connection: thanosql.Connection, workspace: Path) -> None:
    for path in (workspace / "images").iterdir():
        path.rename(path.with_name(f"1_{path.name}"))
    connection.execute("UPDATE photos SET image_path = replace(image_path, '/', '/1_')")
    connection.commit()


def renumbered_and_moved(connection: thanosql.Connection, workspace: Path) -> None:
    renumbered(connection, workspace)
    touched(connection, workspace)


def restored_from_a_dump(connection: thanosql.Connection, workspace: Path) -> None:
    """The rows are numbered anew, as by VACUUM."""
    connection.execute("DELETE FROM photos WHERE rowid = 1")
    connection.commit()
    script = "\n".join(connection.iterdump())
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    for (name,) in connection.execute(tables).fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    connection.executescript(script)


CHANGES: list[Callable[[thanosql.Connection, Path], None]] = [
    renumbered,
    touched,
    folder_renamed,
    files_renamed,
    renumbered_and_moved,
    restored_from_a_dump,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_holds_the_same_content_keeps_its_vector(
    converted: thanosql.Connection,
    workspace: Path,
    change: Callable[[thanosql.Connection, Path], None],
) -> None:
    mark(converted)
    change(converted, workspace)
    (rows,) = converted.execute("SELECT count(*) FROM photos").fetchone()
    report = convert(converted)
    assert (report.converted, report.reused, report.unchanged) == (0, 0, rows)
    assert marked(converted) == rows
    # And the next time not a file is read: all is as it was noted.
    before = {path: path.stat().st_atime_ns for path in workspace.rglob("*.png")}
    assert convert(converted).unchanged == rows
    assert {path: path.stat().st_atime_ns for path in workspace.rglob("*.png")} == before


@pytest.mark.parametrize("key", ["id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY", "id UNIQUE"])
def test_row_ids_that_vacuum_leaves_as_they_are(
    connection: thanosql.Connection, workspace: Path, key: str
) -> None:
    connection.execute(f"CREATE TABLE k ({key}, image_path TEXT)")
    connection.execute("INSERT INTO k SELECT 10 * rowid, image_path FROM photos")
    convert(connection, "k")
    mark(connection, "k")
    connection.execute("DELETE FROM k WHERE id IN (10, 20)")
    connection.commit()
    connection.execute("VACUUM")
    assert convert(connection, "k").unchanged == 4
    assert marked(connection, "k") == 4


@pytest.mark.parametrize("kind", ["computed paths", "blobs", "texts"])
def test_sources_of_other_kinds_after_a_vacuum(
    connection: thanosql.Connection, workspace: Path, kind: str
) -> None:
    connection.execute("CREATE TABLE v (source)")
    if kind == "blobs":
        sources = [(path.read_bytes(),) for path in (workspace / "images").iterdir()]
        connection.executemany("INSERT INTO v VALUES (?)", sources)
    else:
        column = "replace(image_path, 'images/', '')" if kind == "computed paths" else "caption"
        connection.execute(f"INSERT INTO v SELECT {column} FROM photos")
    options = {
        "computed paths": ("image_col='p'", "'images/' || source AS p"),
        "blobs": ("image_col='source'", "source"),
        "texts": ("convert_type='text', text_col='source'", "source"),
    }
    given, selected = options[kind]
    sql = f"CONVERT USING m OPTIONS (table_name='v', {given}) AS SELECT {selected} FROM v"
    connection.execute(sql)
    mark(connection, "v")
    connection.execute("DELETE FROM v WHERE rowid IN (2, 3)")
    connection.commit()
    connection.execute("VACUUM")
    connection.execute(sql)
    assert marked(connection, "v") == 4


def test_rows_that_swapped_their_paths_before_a_vacuum_get_the_right_vectors(
    converted: thanosql.Connection,
) -> None:
    right = vectors(converted)
    converted.executescript(
        "UPDATE photos SET image_path = CASE photo_id WHEN '004' THEN 'images/orange.png'"
        " ELSE 'images/white.png' END WHERE photo_id IN ('004', '005');"
        "DELETE FROM photos WHERE photo_id = '000';"
    )
    converted.execute("VACUUM")
    report = convert(converted)
    del right["images/red.png"]
    assert vectors(converted) == right
    assert (report.converted, report.reused, report.unchanged) == (0, 2, 3)


def test_a_row_whose_key_another_row_had_gets_its_own_vector(
    converted: thanosql.Connection,
) -> None:
    """Row 2 gets the path of row 1, which is deleted, and its number, by VACUUM."""
    right = vectors(converted)
    converted.executescript(
        "DELETE FROM photos WHERE rowid = 1;"
        "UPDATE photos SET image_path = 'images/red.png' WHERE rowid = 2;"
    )
    converted.execute("VACUUM")
    assert convert(converted).reused == 1
    assert vectors(converted)["images/red.png"] == right["images/red.png"]


@pytest.mark.parametrize("where", ["a second table", "made again", "another database", "into"])
def test_another_table_of_the_same_files_needs_no_forward_pass(
    converted: thanosql.Connection, workspace: Path, where: str
) -> None:
    right = vectors(converted)
    connection = converted
    if where == "another database":
        connection = thanosql.connect(workspace / "second.db", progress=False)
        connection.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    if where == "made again":
        connection.execute("DROP TABLE photos")
    if where == "into":
        connection.execute(
            "CONVERT USING m OPTIONS (table_name='again') AS SELECT image_path FROM photos"
        )
        report = connection.report
        assert isinstance(report, ConvertReport)
    else:
        connection.execute("COPY again FROM 'images/'")
        report = convert(connection, "again")
    assert (report.converted, report.reused) == (0, 6)
    assert vectors(connection, "again") == right
    if connection is not converted:
        connection.close()


@pytest.mark.parametrize("kind", ["blob", "text"])
def test_blobs_and_texts_are_known_by_content_too(
    connection: thanosql.Connection, workspace: Path, kind: str
) -> None:
    contents: list[str] | list[bytes]
    if kind == "blob":
        contents = [path.read_bytes() for path in sorted((workspace / "images").iterdir())]
    else:
        contents = ["a cat", "a dog", "a cat"]
    options = "image_col='source'" if kind == "blob" else "convert_type='text', text_col='source'"
    reports = []
    for table in ("first", "second"):
        connection.execute(f"CREATE TABLE {table} (source)")
        connection.executemany(f"INSERT INTO {table} VALUES (?)", [(each,) for each in contents])
        connection.execute(
            f"CONVERT USING m OPTIONS (table_name='{table}', {options}) AS SELECT * FROM {table}"
        )
        reports.append(connection.report)
    first, second = reports
    assert isinstance(first, ConvertReport)
    assert isinstance(second, ConvertReport)
    assert first.converted == len(contents)
    assert (second.converted, second.reused) == (0, len(contents))


def replaced(path: Path, colour: str) -> None:
    """Write another picture of the same size in bytes, and give it the old one's time."""
    before = path.stat()
    picture = Image.new("RGB", (48, 40), colour)
    picture.save(path, "BMP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def bitmaps(connection: thanosql.Connection, workspace: Path) -> thanosql.Connection:
    """Table ``b`` of three bitmaps, all of one size, converted."""
    (workspace / "b").mkdir()
    for name in ("1", "2", "3"):
        Image.new("RGB", (48, 40), "navy").save(workspace / "b" / f"{name}.bmp")
    connection.execute("COPY b FROM 'b/'")
    convert(connection, "b")
    return connection


def test_verify_finds_what_was_replaced_under_the_same_name_size_and_time(
    bitmaps: thanosql.Connection, workspace: Path
) -> None:
    before = vectors(bitmaps, "b")
    replaced(workspace / "b" / "2.bmp", "yellow")
    assert convert(bitmaps, "b").unchanged == 3
    bitmaps.execute("CONVERT USING m OPTIONS (table_name='b', verify=True) AS SELECT * FROM b")
    report = bitmaps.report
    assert isinstance(report, ConvertReport)
    assert (report.converted, report.unchanged) == (1, 2)
    after = vectors(bitmaps, "b")
    assert [path for path in before if before[path] != after[path]] == ["b/2.bmp"]


def test_a_file_of_the_first_version_goes_on_working(
    converted: thanosql.Connection, workspace: Path
) -> None:
    """It has neither contents nor the table that tells of a VACUUM."""
    converted.executescript(
        "CREATE TABLE old (column_id INTEGER NOT NULL, row_key NOT NULL, state INTEGER NOT NULL,"
        " PRIMARY KEY (column_id, row_key)) WITHOUT ROWID;"
        "INSERT INTO old SELECT column_id, row_key, state FROM thanosql_sources;"
        "DROP TABLE thanosql_sources; ALTER TABLE old RENAME TO thanosql_sources;"
        "DROP TABLE thanosql_numbering;"
    )
    mark(converted)
    assert convert(converted).unchanged == 6
    assert marked(converted) == 6
    (workspace / "thanosql-model" / ".vectors.db").unlink()
    Image.new("RGB", (64, 40), "purple").save(workspace / "images" / "red.png")
    assert convert(converted).converted == 1
    touched(converted, workspace)
    # Only of the row that was embedded since is the content known.
    assert convert(converted).unchanged == 1


@pytest.mark.parametrize("damage", ["deleted", "torn", "text", "folder", "link"])
def test_the_store_is_an_aid_only(
    converted: thanosql.Connection, workspace: Path, damage: str
) -> None:
    right = vectors(converted)
    store = workspace / "thanosql-model" / ".vectors.db"
    content = bytearray(store.read_bytes())
    store.unlink()
    elsewhere = workspace / "elsewhere.db"
    if damage == "torn":
        content[4096:] = os.urandom(len(content) - 4096)
        store.write_bytes(content)
    elif damage == "text":
        store.write_text("no database")
    elif damage == "folder":
        store.mkdir()
    elif damage == "link":
        elsewhere.write_bytes(content)
        store.symlink_to(elsewhere)
    before = elsewhere.read_bytes() if elsewhere.exists() else b""
    converted.execute("UPDATE photos SET m_clipen = NULL")
    converted.commit()
    report = convert(converted)
    assert report.converted + report.reused == 6
    after = vectors(converted)
    for path, vector in right.items():
        np.testing.assert_allclose(
            np.frombuffer(after[path], "<f4"), np.frombuffer(vector, "<f4"), atol=1e-6
        )
    assert (elsewhere.read_bytes() if elsewhere.exists() else b"") == before


def test_the_store_is_not_written_where_the_database_may_not_be(
    converted: thanosql.Connection, workspace: Path
) -> None:
    store = workspace / "thanosql-model" / ".vectors.db"
    store.unlink()
    converted.commit()
    with closing(thanosql.connect(workspace / "photos.db", mode="ro", progress=False)) as reader:
        rows = reader.execute("SELECT * FROM (CONVERT USING m AS SELECT * FROM photos)").fetchall()
    assert len(rows) == 6
    assert not store.exists()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Callable[[], VectorStore]]:
    """Opens one store several times, with room for some hundred vectors."""
    opened: list[VectorStore] = []

    def open_it() -> VectorStore:
        opened.append(VectorStore(tmp_path / "v.db", 200_000))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_the_store_forgets_what_was_unused_for_longest(
    store: Callable[[], VectorStore], tmp_path: Path
) -> None:
    with store() as first:
        first.put((key(number), bytes([number]) * 1000) for number in range(100))
    for run in range(1, 8):
        with store() as later:
            assert later.get(key(7)) == b"\7" * 1000
            later.put((key(100 * run + n), bytes(1000)) for n in range(50))
    with store() as last:
        assert last.get(key(7)) == b"\7" * 1000
        assert last.get(key(8)) is None
        assert last.get(key(749)) == bytes(1000)
    assert (tmp_path / "v.db").stat().st_size < 400_000


def test_the_store_believes_no_vector_that_was_changed(
    store: Callable[[], VectorStore], tmp_path: Path
) -> None:
    with store() as first:
        first.put([(key(1), b"\1" * 96), (key(2), b"\2" * 96)])
    with closing(sqlite3.connect(tmp_path / "v.db")) as database, database:
        database.execute("UPDATE vectors SET vector = zeroblob(96) WHERE id = 1")
    with store() as second:
        assert second.get(key(1)) is None
        assert second.get(key(2)) == b"\2" * 96


def test_a_file_that_is_written_while_it_is_read_is_not_remembered(
    connection: thanosql.Connection, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is of the old picture, the pixels are of the new one."""
    from thanosql_dbapi.embedding import images

    red, decode = workspace / "images" / "red.png", images.OpenPicture.decode

    def late(picture, *how):
        if picture.opened.path == red:
            Image.new("RGB", (64, 64), "purple").save(red)
        return decode(picture, *how)

    original = red.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(images.OpenPicture, "decode", late)
        patched.setattr(images, "_WHOLE_BYTES", 0)  # a larger file is read twice
        convert(connection)
    purple = vectors(connection)["images/red.png"]
    red.write_bytes(original)
    assert convert(connection).converted == 1
    assert vectors(connection)["images/red.png"] != purple


def test_a_picture_that_was_damaged_keeps_its_vector_until_it_can_be_read(
    converted: thanosql.Connection, workspace: Path
) -> None:
    before = vectors(converted)
    good = workspace / "images" / "red.png"
    shutil.copy(good, workspace / "red.png")
    good.write_bytes(b"half a picture")
    with pytest.warns(thanosql.MediaWarning, match="of before stays"):
        report = convert(converted)
    assert (report.failed, report.unchanged) == (1, 5)
    assert vectors(converted) == before
    shutil.copy(workspace / "red.png", good)
    assert convert(converted).unchanged == 6


def test_copy_learns_the_digests_of_what_was_converted(
    connection: thanosql.Connection, workspace: Path
) -> None:
    connection.execute("COPY album FROM 'images/'")
    convert(connection, "album")
    known = dict(connection.execute("SELECT path, digest FROM thanosql_files").fetchall())
    assert known == {
        f"images/{path.name}": hashlib.sha256(path.read_bytes()).digest()
        for path in (workspace / "images").iterdir()
    }
    assert not connection.in_transaction
    mark(connection, "album")
    (workspace / "images").rename(workspace / "moved")
    connection.execute("COPY album OPTIONS (if_exists='sync') FROM '.'")
    report = connection.report
    assert report is not None
    assert len(vectors(connection, "album")) == 6 + report.added
    convert(connection, "album")
    assert marked(connection, "album") == 6


# ---- what nothing new costs ------------------------------------------------------------------


def test_nothing_new_needs_no_model(converted: thanosql.Connection, workspace: Path) -> None:
    code = (
        "import sys, thanosql_dbapi;"
        " db = thanosql_dbapi.connect(sys.argv[1], progress=False);"
        " db.execute(sys.argv[2]);"
        " print(db.report.unchanged, db.report.converted, 'torch' in sys.modules)"
    )
    statement = IN_PLACE.format("photos", "photos")
    done = subprocess.run(
        [sys.executable, "-c", code, str(workspace / "photos.db"), statement],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "6 0 False\n"


def test_a_file_that_becomes_a_link_is_seen(
    converted: thanosql.Connection, workspace: Path
) -> None:
    red, blue = workspace / "images" / "red.png", workspace / "images" / "blue.png"
    before = vectors(converted)
    assert before["images/red.png"] != before["images/blue.png"]
    red.unlink()
    red.symlink_to(blue)
    assert convert(converted).reused == 1
    assert vectors(converted)["images/red.png"] == before["images/blue.png"]
