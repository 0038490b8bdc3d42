"""A matrix is used only where it is certain that it is the column's: each way to be wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thanosql_dbapi
from thanosql_dbapi import Connection

DIMENSION = 24  # the tiny model's
SIDE_FILE_ROWS = 2_100
BEST = "SELECT rowid, cosine_similarity(v, ?) AS s FROM photos ORDER BY s DESC LIMIT 3"
SEARCH = (
    "SELECT id, s FROM (SEARCH IMAGE text='a cat' USING m OPTIONS (emb_col='v', result_col='s')"
    " AS SELECT * FROM photos WHERE album < 5) ORDER BY s DESC LIMIT 3"
)

Open = Callable[..., Connection]


def vector(seed: int) -> bytes:
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype("<f4").tobytes()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    """A folder with a model and a database whose row ids no column holds and VACUUM changes."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copytree(clip_folder, folder / "tiny_clip")
    with closing(thanosql_dbapi.connect(folder / "photos.db", progress=False)) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
        connection.execute("CREATE TABLE photos (id INTEGER, album INTEGER, text TEXT)")
        for column in ("v", "u"):
            connection.execute(
                f"CONVERT USING m OPTIONS (table_name='photos', convert_type='text',"
                f" result_col='{column}') AS SELECT * FROM photos"
            )
        connection.commit()
    return folder


@pytest.fixture
def opened(template: Path, tmp_path: Path) -> Iterator[Open]:
    """Open connections to a copy of the template; they begin no transaction by themselves."""
    shutil.copy(template / "photos.db", tmp_path / "photos.db")
    connections: list[Connection] = []

    def open_one(name: str = "photos.db") -> Connection:
        connection = thanosql_dbapi.connect(
            tmp_path / name, workspace=template, progress=False, isolation_level=None
        )
        connections.append(connection)
        return connection

    yield open_one
    for connection in connections:
        connection.close()


@pytest.fixture
def photos(opened: Open) -> Connection:
    """A connection; the table has 100 rows."""
    connection = opened()
    fill(connection, 100)
    return connection


def fill(connection: sqlite3.Connection, rows: int) -> None:
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO photos (id, album, v, u) VALUES (?, ?, ?, ?)",
        [(n, n % 7, vector(n), vector(-n % 10_000)) for n in range(1, rows + 1)],
    )
    connection.execute("COMMIT")


def check(connection: Connection, *seeds: int) -> None:
    """Compare searches for some vectors with a scan by SQLite alone."""
    for seed in seeds:
        wanted = sqlite3.Cursor(connection).execute(BEST, (vector(seed),)).fetchall()
        assert connection.execute(BEST, (vector(seed),)).fetchall() == wanted


def uses_matrix(connection: Connection) -> bool:
    return connection.explain(BEST, (vector(1),)).uses_matrix


def test_vacuum_after_all_rows_have_changed(photos: Connection) -> None:
    check(photos, 1)
    photos.execute("DELETE FROM photos WHERE rowid IN (2, 3)")
    photos.execute("UPDATE photos SET v = u WHERE 1")
    photos.execute("VACUUM")
    assert photos.execute("SELECT max(rowid) FROM photos").fetchone() == (98,)
    check(photos, *range(10), *(-n % 10_000 for n in range(1, 101)))
    assert uses_matrix(photos)


@pytest.mark.parametrize("vacuums", [True, False])
def test_the_last_id_comes_back_after_vacuum(
    opened: Open, photos: Connection, vacuums: bool
) -> None:
    # The last two rows are equal, so that the row with the last id looks as it did.
    photos.execute("UPDATE photos SET v = ? WHERE rowid IN (99, 100)", (vector(500),))
    other = opened()
    for each in (photos, other):
        check(each, 1)
    with closing(sqlite3.connect(photos.execute("PRAGMA database_list").fetchone()[2])) as plain:
        plain.execute("DELETE FROM photos WHERE rowid = 98")
        plain.commit()
        if vacuums:
            plain.execute("VACUUM")
        plain.execute("INSERT INTO photos (v) VALUES (?)", (vector(501),))
        plain.commit()
    for each in (photos, other):
        check(each, 500, 501, 98, 1)
        assert uses_matrix(each)


@pytest.mark.parametrize("undo", ["ROLLBACK", "ROLLBACK TO s; RELEASE s; COMMIT"])
def test_a_schema_version_that_comes_again(photos: Connection, undo: str) -> None:
    check(photos, 1)
    photos.execute("BEGIN")
    photos.execute("SAVEPOINT s")
    photos.execute("ALTER TABLE photos RENAME COLUMN v TO x")
    photos.execute("ALTER TABLE photos RENAME COLUMN u TO v")
    check(photos, 1, -5 % 10_000)
    (version,) = photos.execute("PRAGMA schema_version").fetchone()
    for statement in undo.split("; "):
        photos.execute(statement)
    photos.execute("CREATE TABLE other (a)")
    photos.execute("DROP TABLE other")
    assert photos.execute("PRAGMA schema_version").fetchone() == (version,)
    check(photos, *range(1, 20))
    assert uses_matrix(photos)


def test_triggers_dropped_and_put_back(opened: Open, photos: Connection) -> None:
    other = opened()
    for each in (photos, other):
        check(each, 1)
    triggers = photos.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    with closing(sqlite3.connect(photos.execute("PRAGMA database_list").fetchone()[2])) as plain:
        for name, _ in triggers:
            plain.execute(f"DROP TRIGGER {name}")
        plain.execute("UPDATE photos SET v = ? WHERE rowid = 50", (vector(600),))
        for _, sql in triggers:
            plain.execute(sql)
        plain.commit()
    for each in (photos, other):
        check(each, 600, 50)
        assert uses_matrix(each)


def at_the_same_inode(file: Path, content: Path) -> None:
    """Put another database in a file's place, as one may that gets the inode of a deleted file."""
    inode = file.stat().st_ino
    shutil.copyfile(content, file)
    assert file.stat().st_ino == inode


def header_of(side: Path) -> Any:
    return json.loads(side.read_bytes()[:4096].partition(b"\n")[0].partition(b" ")[2])


def test_a_dump_restored_under_an_old_side_file(opened: Open, tmp_path: Path) -> None:
    file, side = tmp_path / "photos.db", tmp_path / "photos.db-thanosql1"
    with closing(opened()) as connection:
        fill(connection, SIDE_FILE_ROWS)
        connection.execute("DELETE FROM photos WHERE rowid = 20")
        check(connection, 1)
    assert side.exists()
    restored = tmp_path / "restored.db"
    with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(restored)) as new:
        new.executescript("\n".join(old.iterdump()))
        # As many DDL statements and commits as the old file has seen.
        (version,) = new.execute("PRAGMA schema_version").fetchone()
        for number in range(min(30, header_of(side)["cookie"] - version)):
            new.execute(f"CREATE TABLE passing{number} (a)")
        for _ in range(header_of(side)["origin"]["changes"]):
            new.execute("UPDATE photos SET album = album + 1 WHERE rowid = 1")
            new.commit()
    at_the_same_inode(file, restored)
    with closing(opened()) as connection:
        check(connection, *range(10, 40), SIDE_FILE_ROWS)
        assert uses_matrix(connection)


def test_a_version_drawn_by_chance_is_kept(opened: Open, photos: Connection) -> None:
    (version,) = photos.execute("PRAGMA schema_version").fetchone()
    assert version >= 2**20
    photos.execute(
        "CONVERT USING m OPTIONS (table_name='photos', convert_type='text', result_col='v')"
        " AS SELECT * FROM photos WHERE rowid = 1"
    )
    assert photos.execute("PRAGMA schema_version").fetchone() == (version,)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no deserialize")
def test_deserialize(opened: Open, photos: Connection) -> None:
    check(photos, 1)
    with closing(sqlite3.connect(":memory:")) as other:
        photos.backup(other)
        other.execute("DROP TRIGGER thanosql_watch_1_update")
        other.execute("UPDATE photos SET v = ? WHERE rowid = 60", (vector(700),))
        other.execute(
            f"PRAGMA schema_version = {photos.execute('PRAGMA schema_version').fetchone()[0]}"
        )
        other.commit()
        photos.deserialize(other.serialize())
    check(photos, 700, 60)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no blobopen")
def test_a_blob_written_in_place(photos: Connection) -> None:
    check(photos, 1)
    with photos.blobopen("photos", "v", 70) as blob:
        blob.write(vector(800))
    check(photos, 800, 70)


@pytest.mark.parametrize("text", [BEST.replace("rowid,", "id,") + " -- {}", SEARCH])
def test_equal_rows_by_an_index_that_comes_later(photos: Connection, text: str) -> None:
    query = np.frombuffer(photos.execute("SELECT embed_text('m', 'a cat')").fetchone()[0], "<f4")
    sql = text.replace("FROM photos ORDER", "FROM photos WHERE album < 5 ORDER")
    values = (query.tobytes(),) if "?" in sql else ()
    photos.execute("UPDATE photos SET v = ? WHERE rowid % 9 = 1", (query.tobytes(),))
    photos.execute("UPDATE photos SET album = 4 - rowid % 5")
    photos.execute(sql, values).fetchall()
    photos.execute("CREATE INDEX by_album ON photos (album)")
    scan = sql.replace("FROM photos", "FROM (SELECT * FROM photos) AS photos")
    wanted = photos.execute(scan, values).fetchall()
    assert photos.execute(sql, values).fetchall() == wanted


def test_equal_rows_by_an_index_that_another_program_makes(
    opened: Open, photos: Connection
) -> None:
    other = opened()
    text = BEST.replace("FROM photos", "FROM photos WHERE album < 5")
    photos.execute("UPDATE photos SET v = ? WHERE rowid % 9 = 1", (vector(1),))
    photos.execute("UPDATE photos SET album = 4 - rowid % 5")
    for each in range(2):
        if each:
            other.execute("CREATE INDEX by_album ON photos (album)")
        scan = f"{text} /* {each} */"
        wanted = sqlite3.Cursor(photos).execute(scan, (vector(1),)).fetchall()
        assert photos.execute(text, (vector(1),)).fetchall() == wanted


def test_a_mark_is_of_the_moment_of_its_vectors(
    opened: Open, photos: Connection, tmp_path: Path
) -> None:
    # Another program commits between any two statements of a search that takes many changes in.
    photos.execute("PRAGMA journal_mode = WAL")
    fill(photos, 1_500)
    check(photos, 1)
    photos.execute("UPDATE photos SET v = u WHERE rowid <= 1200")
    seeds = iter(range(10_000, 10_040))

    with closing(sqlite3.connect(tmp_path / "photos.db", isolation_level=None)) as plain:

        def interfere(sql: str) -> None:
            if (seed := next(seeds, None)) is not None:
                plain.execute("UPDATE photos SET v = ? WHERE rowid = ?", (vector(seed), seed % 997))

        photos.set_trace_callback(interfere)
        while next(seeds, None) is not None:
            photos.execute(BEST, (vector(1),)).fetchall()
        photos.set_trace_callback(None)
    check(photos, *range(10_000, 10_040))


def test_a_program_compares_in_its_own_way(photos: Connection) -> None:
    photos.create_function("vec_distance_cosine", 2, lambda vector, _: vector[0] / 255)
    scan = f"{SEARCH} + 0"
    assert photos.execute(SEARCH).fetchall() == photos.execute(scan).fetchall()
