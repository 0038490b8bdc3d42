"""FUNCTION preprocess.video_to_df: films cut into clips, right to the frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from films import BLUE, GREEN, RED, WHITE, av, colors_of, runs, scenes, write_film, write_sound

import thanosql_dbapi
from thanosql_dbapi import (
    Connection,
    MediaError,
    MediaWarning,
    OperationalError,
    SourceError,
    StatementError,
    WorkspaceError,
)

SPLIT = "FUNCTION preprocess.video_to_df OPTIONS (method='split', interval={}, result_dir='{}') "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    workspace = tmp_path / "workspace"
    write_film(workspace / "films" / "rgb.mp4", scenes(RED, GREEN, BLUE), sound="aac")
    return workspace


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    opened = thanosql_dbapi.connect(folder / "films.db", progress=False)
    yield opened
    opened.close()


def split(interval: float = 1, result_dir: str = "clips") -> str:
    return SPLIT.format(interval, result_dir) + "FROM 'films/rgb.mp4'"


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_film_is_cut_to_the_frame(connection: Connection, folder: Path) -> None:
    cursor = connection.execute(split())
    columns = [each[0] for each in cursor.description]
    assert columns == ["video_path", "video_split_path", "start_s", "end_s"]
    rows = cursor.fetchall()
    assert [row[1:] for row in rows] == [
        ("clips/rgb_0000.mp4", 0.0, 1.0),
        ("clips/rgb_0001.mp4", 1.0, 2.0),
        ("clips/rgb_0002.mp4", 2.0, 3.0),
    ]
    # A key frame stands every 12 frames: a copied stream could not begin at these places.
    found = [runs(colors_of(folder / path)) for _, path, *_ in rows]
    assert found == [[("r", 10)], [("g", 10)], [("b", 10)]]
    assert names(folder / "clips") == ["rgb_0000.mp4", "rgb_0001.mp4", "rgb_0002.mp4"]
    with av.open(str(folder / "clips" / "rgb_0001.mp4")) as clip:
        (sound,) = clip.streams.audio
        assert float(sound.duration * sound.time_base) == pytest.approx(1.0, abs=0.15)


def test_the_last_clip_is_shorter_and_names_are_the_options(
    connection: Connection, folder: Path
) -> None:
    connection.execute("COPY films FROM 'films/'")
    sql = (
        "CREATE TABLE clips AS SELECT c, end_s FROM (FUNCTION preprocess.video_to_df"
        " OPTIONS (interval=:i, result_dir=:d, result_col='c', video_col='video_path')"
        " AS SELECT * FROM films) WHERE start_s > 1"
    )
    connection.execute(sql, {"i": 1.75, "d": str(folder / "made" / "here")})
    assert connection.execute("SELECT * FROM clips").fetchall() == [("made/here/rgb_0001.mp4", 3.0)]
    assert runs(colors_of(folder / "made/here/rgb_0000.mp4")) == [("r", 10), ("g", 8)]
    # The frame of 1.7 seconds is still shown at 1.75.
    assert runs(colors_of(folder / "made/here/rgb_0001.mp4")) == [("g", 3), ("b", 10)]


def test_a_frame_that_is_shown_for_long_fills_its_clips(
    connection: Connection, folder: Path
) -> None:
    [(_, red)], [(_, green)] = scenes(RED, seconds=0.1), scenes(GREEN, seconds=0.1)
    write_film(folder / "films" / "rgb.mp4", [(0, red), (2.5, green), (2.6, green)])
    rows = connection.execute(split()).fetchall()
    assert [row[2:] for row in rows] == [(0.0, 1.0), (1.0, 2.0), (2.0, pytest.approx(2.7, abs=0.1))]
    found = [colors_of(folder / path) for _, path, *_ in rows]
    assert [set(each) for each in found] == [{"r"}, {"r"}, {"r", "g"}]
    with av.open(str(folder / "clips" / "rgb_0000.mp4")) as clip:
        (pictures,) = clip.streams.video
        assert float(pictures.duration * pictures.time_base) == pytest.approx(1.0, abs=0.05)


def test_no_file_is_replaced_unasked(connection: Connection, folder: Path) -> None:
    (folder / "clips").mkdir()
    mine = folder / "clips" / "rgb_0001.mp4"
    mine.write_text("mine")
    with pytest.raises(SourceError, match=r"rgb_0001.mp4' exists already.*overwrite=True"):
        connection.execute(split())
    assert names(folder / "clips") == ["rgb_0001.mp4"]
    assert mine.read_text() == "mine"
    connection.execute(split().replace("method", "overwrite=True, method")).fetchall()
    assert runs(colors_of(mine)) == [("g", 10)]
    # A folder of the name is never replaced.
    mine.unlink()
    mine.mkdir()
    with pytest.raises(SourceError, match="exists already"):
        connection.execute(split().replace("method", "overwrite=True, method"))


def test_films_that_cannot_be_read_are_named_and_stop_nothing(
    connection: Connection, folder: Path
) -> None:
    write_sound(folder / "films" / "sound.mp4")
    write_film(folder / "other" / "rgb.mp4", scenes(WHITE, seconds=0.5))
    paths = ["films/sound.mp4", "films/rgb.mp4", "gone.mp4", None, "other/rgb.mp4", "films/rgb.mp4"]
    connection.execute("CREATE TABLE films (id INTEGER PRIMARY KEY, video_path, video_split_path)")
    connection.executemany("INSERT INTO films (video_path) VALUES (?)", [(each,) for each in paths])
    with pytest.warns(MediaWarning, match="2 videos of 6 rows") as caught:
        rows = connection.execute(SPLIT.format(2, "clips") + "AS SELECT * FROM films").fetchall()
    assert [(row[0], row[2]) for row in rows] == [
        (1, None),
        (2, "clips/rgb_0000.mp4"),
        (2, "clips/rgb_0001.mp4"),
        (3, None),
        (4, None),
        (5, "clips/rgb-2_0000.mp4"),
        (6, "clips/rgb_0000.mp4"),
        (6, "clips/rgb_0001.mp4"),
    ]
    message = str(caught[0].message)
    assert "sound only" in message
    assert "'gone.mp4' does not exist" in message
    assert len(names(folder / "clips")) == 3


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        (SPLIT.format(1, "clips") + "FROM 'gone.mp4'", MediaError, "'gone.mp4' does not exist"),
        (SPLIT.format(1, "clips") + "FROM '../a.mp4'", WorkspaceError, "outside the workspace"),
        (SPLIT.format(1, "clips") + "FROM 'films'", MediaError, "is a folder"),
        (SPLIT.format(1, "clips") + "FROM 5", StatementError, "expected a path"),
        (SPLIT.format(1, "../out") + "FROM 'films/rgb.mp4'", WorkspaceError, "outside"),
        (SPLIT.format(1, "films/rgb.mp4/x") + "FROM 'films/rgb.mp4'", SourceError, "written"),
        (SPLIT.format(0, "clips") + "FROM 'films/rgb.mp4'", StatementError, "at least 0.001"),
        (SPLIT.format("9e999", "clips") + "FROM 'films/rgb.mp4'", StatementError, "too large"),
        (SPLIT.format("'1'", "clips") + "FROM 'films/rgb.mp4'", StatementError, "a number"),
        ("FUNCTION preprocess.video_to_df FROM 'films/rgb.mp4'", StatementError, "result_dir"),
        (SPLIT.format(1, "clips") + "AS SELECT 1 AS x", OperationalError, "no column 'video_path'"),
        (SPLIT.format(1, "clips") + "AS SELECT * FROM gone", OperationalError, "no such table"),
        (f"CREATE VIEW v AS {split()}", StatementError, "cannot be part of a CREATE VIEW"),
        (split().replace("split'", "cut'"), StatementError, "must be 'split'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(
    connection: Connection, folder: Path, sql: str, error: type[Exception], message: str
) -> None:
    before = names(folder)
    with pytest.raises(error, match=message):
        connection.execute(sql)
    assert names(folder) == before


def test_explain_cuts_nothing(connection: Connection, folder: Path) -> None:
    connection.execute(f"EXPLAIN QUERY PLAN {split()}").fetchall()
    assert not (folder / "clips").exists()


def test_a_read_only_connection_writes_no_clips(folder: Path) -> None:
    thanosql_dbapi.connect(folder / "films.db").close()
    connection = thanosql_dbapi.connect(f"file:{folder / 'films.db'}?mode=ro", uri=True)
    with pytest.raises(OperationalError, match="readonly"):
        connection.execute(split())
    connection.close()
    assert not (folder / "clips").exists()


def test_what_a_killed_statement_left_is_removed(connection: Connection, folder: Path) -> None:
    hidden = folder / "clips" / ".thanosql.0123abcd.partial"
    hidden.mkdir(parents=True)
    (hidden / "rgb_0000.mp4").write_bytes(b"half")
    hidden.with_suffix(".journal").write_bytes(b'["", "", 0]')
    connection.execute(split()).fetchall()
    assert names(folder / "clips") == ["rgb_0000.mp4", "rgb_0001.mp4", "rgb_0002.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_no_clip_goes_through_a_link_to_outside(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "clips").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError, match="outside the workspace"):
        connection.execute(split())
    assert names(tmp_path / "elsewhere") == []
