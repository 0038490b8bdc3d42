"""COPY … OPTIONS (interval=…) FROM films: a row for each frame that is taken out of them."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    SIZE,
    WHITE,
    av,
    name_of,
    scenes,
    write_film,
    write_sound,
)
from PIL import Image

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

FRAMES = "COPY frames OPTIONS (interval=1{}) FROM 'films/'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    workspace = tmp_path / "workspace"
    write_film(workspace / "films" / "rgb.mp4", scenes(RED, GREEN, BLUE))
    write_film(workspace / "films" / "deep" / "wk.mkv", scenes(WHITE, BLACK))
    return workspace


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    opened = thanosql_dbapi.connect(folder / "films.db", progress=False)
    yield opened
    opened.close()


def color(value: Any) -> str:
    return name_of(np.asarray(Image.open(io.BytesIO(value))))


def found(connection: Connection) -> list[tuple[Any, ...]]:
    """Return (path, time, colour) of the frames in a table, in the order of its rows."""
    rows = connection.execute("SELECT video_path, time_s, frame FROM frames").fetchall()
    return [(path, time_s, color(frame)) for path, time_s, frame in rows]


RGB = [("films/rgb.mp4", 0.0, "r"), ("films/rgb.mp4", 1.0, "g"), ("films/rgb.mp4", 2.0, "b")]
WK = [("films/deep/wk.mkv", 0.0, "w"), ("films/deep/wk.mkv", 1.0, "k")]


def test_a_folder_of_films_gives_a_row_a_frame(connection: Connection) -> None:
    connection.execute(FRAMES.format(""))
    assert found(connection) == WK + RGB
    types = connection.execute("SELECT DISTINCT typeof(time_s), typeof(frame) FROM frames")
    assert types.fetchall() == [("real", "blob")]
    assert connection.report.added == 2


@pytest.mark.parametrize("interval", [1e9, 1e308, 10**30])
def test_an_interval_longer_than_any_film_takes_the_first_frame(
    connection: Connection, interval: float
) -> None:
    connection.execute(
        "COPY frames OPTIONS (interval=?) FROM ?", (interval, "films/rgb.mp4")
    ).close()
    assert found(connection) == RGB[:1]


def test_one_film_bound_as_a_path(connection: Connection, folder: Path) -> None:
    sql = "COPY frames OPTIONS (interval=:i, frame_width=:w) FROM :film"
    connection.execute(sql, {"i": 0.75, "w": 32, "film": folder / "films" / "rgb.mp4"})
    assert [row[1:] for row in found(connection)] == [
        (0.0, "r"),
        (0.75, "r"),
        (1.5, "g"),
        (2.25, "b"),
    ]
    frame = connection.execute("SELECT frame FROM frames").fetchone()[0]
    assert Image.open(io.BytesIO(frame)).size == (32, 24)


def test_frames_become_files(connection: Connection, folder: Path) -> None:
    write_film(folder / "films" / "deep" / "rgb.mp4", scenes(WHITE, seconds=0.5))
    connection.execute(FRAMES.format(", frame_dir='stills'"))
    rows = connection.execute("SELECT * FROM frames").fetchall()
    assert rows[0] == ("films/deep/rgb.mp4", 0.0, "stills/rgb_00000.000.jpg")
    assert rows[-1] == ("films/rgb.mp4", 2.0, "stills/rgb-2_00002.000.jpg")
    assert [color((folder / row[2]).read_bytes()) for row in rows] == list("wwkrgb")
    assert len(list((folder / "stills").iterdir())) == len(rows)


def test_without_interval_a_folder_of_films_is_a_row_a_film(connection: Connection) -> None:
    connection.execute("COPY films FROM 'films/'")
    assert connection.execute("SELECT * FROM films").fetchall() == [(WK[0][0],), (RGB[0][0],)]


@pytest.mark.parametrize("if_exists", ["append", "sync"])
def test_whole_films_are_no_rows_of_frames(connection: Connection, if_exists: str) -> None:
    connection.execute(FRAMES.format(""))
    before = connection.execute("SELECT count(*) FROM frames").fetchone()
    with pytest.raises(thanosql_dbapi.OperationalError, match=r"'frames'.*interval=.*nothing was"):
        connection.execute(f"COPY frames OPTIONS (if_exists='{if_exists}') FROM 'films/'")
    assert connection.execute("SELECT count(*) FROM frames").fetchone() == before


def test_frames_of_another_interval_are_not_appended(connection: Connection) -> None:
    connection.execute(FRAMES.format(""))
    before = connection.execute("SELECT count(*) FROM frames").fetchone()
    with pytest.raises(
        thanosql_dbapi.OperationalError,
        match=r"'frames' has frames every \S+ seconds .*, and interval is 0\.25; .*nothing was",
    ):
        connection.execute("COPY frames OPTIONS (interval=0.25, if_exists='append') FROM 'films/'")
    assert connection.execute("SELECT count(*) FROM frames").fetchone() == before


@pytest.mark.parametrize("more", ["", ", frame_dir='stills'"])
def test_append_and_sync_follow_the_films(connection: Connection, folder: Path, more: str) -> None:
    def times() -> list[tuple[Any, ...]]:
        return connection.execute("SELECT video_path, time_s FROM frames ORDER BY 1, 2").fetchall()

    wk, rgb = [row[:2] for row in WK], [row[:2] for row in RGB]
    connection.execute(FRAMES.format(more))
    write_film(folder / "films" / "new.mp4", scenes(RED))
    connection.execute(FRAMES.format(f"{more}, if_exists='append'"))
    assert (connection.report.added, connection.report.unchanged) == (1, 2)
    assert times() == [*wk, ("films/new.mp4", 0.0), *rgb]

    (folder / "films" / "new.mp4").rename(folder / "films" / "moved.mp4")
    shutil.rmtree(folder / "films" / "deep")
    connection.execute("ALTER TABLE frames ADD COLUMN note DEFAULT 'kept'")
    connection.execute("UPDATE frames SET note = 'mine'")
    write_film(folder / "films" / "rgb.mp4", scenes(GREEN, GREEN))
    connection.execute(FRAMES.format(f"{more}, if_exists='sync'"))
    report = connection.report
    assert (report.added, report.moved, report.removed) == (1, 1, 2)
    assert times() == [("films/moved.mp4", 0.0), *rgb[:2]]
    notes = connection.execute("SELECT DISTINCT video_path, note FROM frames ORDER BY 1").fetchall()
    assert notes == [("films/moved.mp4", "mine"), ("films/rgb.mp4", "kept")]
    if more:
        paths = connection.execute("SELECT image_path FROM frames ORDER BY video_path, time_s")
        pictures = [color((folder / path).read_bytes()) for (path,) in paths]
    else:
        rows = connection.execute("SELECT frame FROM frames ORDER BY video_path, time_s")
        pictures = [color(frame) for (frame,) in rows]
    assert pictures == ["r", "g", "g"]
    connection.execute(FRAMES.format(f"{more}, overwrite=True"))
    assert times() == [("films/moved.mp4", 0.0), *rgb[:2]]


def test_files_of_the_users_are_not_replaced(connection: Connection, folder: Path) -> None:
    (folder / "stills").mkdir()
    mine = folder / "stills" / "rgb_00001.000.jpg"
    mine.write_text("mine")
    with pytest.raises(SourceError, match=r"rgb_00001.000.jpg' exists already"):
        connection.execute(FRAMES.format(", frame_dir='stills'"))
    assert mine.read_text() == "mine"
    assert os.listdir(folder / "stills") == [mine.name]  # noqa: PTH208
    assert connection.execute("LIST TABLE").fetchall() == []


def test_no_file_stays_of_a_copy_that_fails(connection: Connection, folder: Path) -> None:
    connection.execute("CREATE TABLE frames (video_path, time_s CHECK (time_s < 2), image_path)")
    with pytest.raises(thanosql_dbapi.IntegrityError, match="CHECK"):
        connection.execute(FRAMES.format(", frame_dir='stills', if_exists='append'"))
    assert not (folder / "stills").exists()
    assert connection.execute("SELECT count(*) FROM frames").fetchone() == (0,)


def test_no_file_stays_where_the_commit_fails(connection: Connection, folder: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE known (path PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE frames (video_path REFERENCES known DEFERRABLE INITIALLY DEFERRED, time_s,"
        " image_path)"
    )
    with pytest.raises(thanosql_dbapi.IntegrityError, match="FOREIGN KEY"):
        connection.execute(FRAMES.format(", frame_dir='stills', if_exists='append'"))
    assert not (folder / "stills").exists()


def test_a_file_that_comes_meanwhile_is_not_replaced(folder: Path) -> None:
    mine = folder / "stills" / "wk_00000.000.jpg"

    def progress(done: int, total: int | None, what: str) -> None:
        mine.write_text("mine")

    connection = thanosql_dbapi.connect(folder / "films.db", progress=progress)
    with pytest.raises(SourceError, match="exists already"):
        connection.execute("COPY frames OPTIONS (interval=9, frame_dir='stills') FROM 'films/'")
    assert connection.execute("LIST TABLE").fetchall() == []
    connection.close()
    assert [(path.name, path.read_text()) for path in mine.parent.iterdir()] == [
        (mine.name, "mine")
    ]


# -- every kind of film ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.mp4", "libx264", {}),
        ("long-gop.mkv", "libx264", {"gop": 250}),
        ("a.avi", "mpeg4", {}),
        ("a.mts", "libx264", {"format": "mpegts"}),
        ("a.webm", "libvpx-vp9", {}),
        ("sound.mov", "libx264", {"sound": "pcm_s16le"}),
    ],
)
def test_every_container_has_the_right_frames(
    connection: Connection, folder: Path, name: str, codec: str, how: dict[str, Any]
) -> None:
    colors = (RED, GREEN, BLUE, WHITE, BLACK) * 5
    write_film(folder / "one" / name, scenes(*colors), codec=codec, **how)
    for interval, letters in ((1, "rgbwk" * 5), (4, "rkwbgrk"), (11, "rgb")):
        sql = f"COPY frames OPTIONS (interval={interval}, overwrite=True) FROM 'one/{name}'"
        connection.execute(sql)
        assert "".join(row[2] for row in found(connection)) == letters


def test_frames_of_uneven_lengths_and_a_film_that_does_not_say_how_long_it_is(
    connection: Connection, folder: Path
) -> None:
    red, green, blue = (pixels for _, pixels in scenes(RED, GREEN, BLUE, seconds=0.1))
    write_film(folder / "one.mkv", [(0, red), (0.1, green), (3.9, blue), (4.0, blue)])
    connection.execute("COPY frames OPTIONS (interval=1) FROM 'one.mkv'")
    assert "".join(row[2] for row in found(connection)) == "rggg" + "b"
    # A recording that was not closed has no length.
    live = io.BytesIO()
    live.seekable = lambda: False  # type: ignore[method-assign]
    with av.open(live, "w", format="matroska", options={"live": "1"}) as film:
        pictures = film.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        for _, pixels in scenes(RED, GREEN):
            film.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        film.mux(pictures.encode(None))
    (folder / "live.mkv").write_bytes(live.getvalue())
    connection.execute("COPY frames OPTIONS (interval=1, overwrite=True) FROM 'live.mkv'")
    assert "".join(row[2] for row in found(connection)) == "rg"


def test_films_are_turned_upright_and_their_pixels_made_square(
    connection: Connection, folder: Path
) -> None:
    if not hasattr(av.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV writes no rotation")
    half = np.zeros((48, 64, 3), np.uint8)
    half[:, :32] = RED  # left; turned to the left, it lies below
    write_film(folder / "turned.mp4", [(0, half), (0.1, half)], rotation=90)
    write_film(folder / "wide.mp4", scenes(RED, seconds=0.2), aspect=Fraction(2))
    connection.execute("COPY frames OPTIONS (interval=1) FROM 'turned.mp4'")
    connection.execute("COPY frames OPTIONS (interval=1, if_exists='append') FROM 'wide.mp4'")
    rows = connection.execute("SELECT frame FROM frames").fetchall()
    turned, wide = (Image.open(io.BytesIO(frame)) for (frame,) in rows)
    assert turned.size == (48, 64)
    assert name_of(np.asarray(turned)[:16]) == "k"
    assert name_of(np.asarray(turned)[-16:]) == "r"
    assert wide.size == (128, 48)


# -- what is wrong --------------------------------------------------------------------------------


def bad_films(folder: Path) -> None:
    folder.mkdir()
    whole = write_film(folder / "whole.mkv", scenes(*(RED, GREEN) * 20, seconds=0.5)).read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    mp4 = write_film(folder / "mp4.mp4", scenes(RED)).read_bytes()
    (folder / "no-index.mp4").write_bytes(mp4[: mp4.index(b"moov") - 9])
    (folder / "half-index.mp4").write_bytes(mp4[: mp4.index(b"moov") + 200])
    (folder / "mp4.mp4").unlink()
    (folder / "empty.mp4").touch()
    (folder / "page.mp4").write_text("<!DOCTYPE html><title>404</title>")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile whole.mkv\n")
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nwhole.mkv\n#EXT-X-ENDLIST\n")
    Image.new("RGB", (9, 9)).save(folder / "picture.mp4", "JPEG")
    write_film(folder / "none.mp4", [], codec="libx264")
    write_sound(folder / "sound.mp4")
    write_sound(folder / "song.mp4", with_cover=True)
    (folder / "note.txt").write_text("no film")
    Image.new("RGB", (9, 9)).save(folder / "photo.jpg")


def test_a_film_that_cannot_be_read_is_named_and_stops_nothing(
    connection: Connection, folder: Path
) -> None:
    bad_films(folder / "bad")
    with pytest.warns(MediaWarning) as caught:
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'bad'")
    rows = connection.execute("SELECT video_path, count(*) FROM frames GROUP BY 1").fetchall()
    assert rows[1] == ("bad/whole.mkv", 20)
    assert rows[0][0] == "bad/cut.mkv"
    assert 5 <= rows[0][1] <= 15
    skipped = {
        example.partition(":")[0]: each.reason
        for each in connection.report.skipped
        for example in each.examples
    }
    assert skipped["bad/photo.jpg"] == "no video"
    assert connection.report.added == 2
    said = " ".join(str(each.message) for each in caught)
    assert "cut.mkv' is cut short: it says that it has 20.0 seconds" in said
    count = sum(each.count for each in connection.report.skipped if each.reason == "cannot be read")
    assert count == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-index.mp4", "is damaged or cut short: it begins as a video"),
        ("half-index.mp4", "is damaged or cut short"),
        ("empty.mp4", "is empty"),
        ("page.mp4", "looks like an HTML page"),
        ("concat.mp4", "is no video of a known format"),
        ("list.mp4", "is no video of a known format"),
        ("picture.mp4", "looks like JPEG"),
        ("none.mp4", "has a stream of pictures, and it has no frame|damaged or cut short"),
        ("sound.mp4", "sound only"),
        ("song.mp4", "sound only"),
        ("note.txt", "looks like a text"),
        ("gone.mp4", "does not exist"),
    ],
)
def test_a_single_film_that_cannot_be_read_is_an_error(
    connection: Connection, folder: Path, name: str, message: str
) -> None:
    bad_films(folder / "bad")
    with pytest.raises(MediaError, match=message):
        connection.execute(f"COPY frames OPTIONS (interval=1, frame_dir='s') FROM 'bad/{name}'")
    assert connection.execute("LIST TABLE").fetchall() == []
    assert not (folder / "s").exists()


def test_a_film_that_is_damaged_in_places_gives_the_rest(
    connection: Connection, folder: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = write_film(
        folder / "a.avi", [(n / 10, pixels) for n, pixels in enumerate(noise)], codec="mpeg4", gop=1
    )
    content, places = bytearray(path.read_bytes()), []
    at = content.index(b"movi")
    while (at := content.find(b"00dc", at + 4)) > 0 and len(places) < 30:
        places.append(at)
    for place in places[::5]:
        content[place + 8 : place + 80] = b"\xff" * 72
    path.write_bytes(content)
    with pytest.warns(MediaWarning, match=r"is damaged: \d+ pieces of it could not"):
        connection.execute("COPY frames OPTIONS (interval=0.1) FROM 'a.avi'")
    assert connection.execute("SELECT count(*) FROM frames").fetchone() == (30,)


def test_a_folder_without_a_film_that_can_be_read(connection: Connection, folder: Path) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "a.mp4").write_text("a")
    (folder / "bad" / "b.mp4").write_text("b")
    with pytest.raises(SourceError, match="none of the 2 videos can be read"):
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'bad'")
    assert connection.execute("LIST TABLE").fetchall() == []
    Image.new("RGB", (9, 9)).save(folder / "bad" / "photo.jpg")
    (folder / "bad" / "a.mp4").unlink()
    (folder / "bad" / "b.mp4").unlink()
    with pytest.raises(SourceError, match=r"got none; it has 1 \.jpg \(no video\)"):
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'bad'")


def test_frames_of_too_many_pixels_are_refused(folder: Path) -> None:
    connection = thanosql_dbapi.connect(folder / "f.db", max_image_pixels=1000, progress=False)
    with pytest.raises(MediaError, match=r"limit of 1,000 pixels: its frames have 64 × 48"):
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'films/rgb.mp4'")
    connection.close()


def test_without_pyav_the_extra_is_named(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MediaError, match=r'pip install "thanosql-dbapi\[video\]"'):
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'films/rgb.mp4'")


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("COPY f OPTIONS (frame_dir='x') FROM 'films'", StatementError, "say how many seconds"),
        ("COPY f OPTIONS (frame_width=99) FROM 'films'", StatementError, "say how many seconds"),
        ("COPY f OPTIONS (interval=1, exif=True) FROM 'films'", StatementError, "'exif' is for"),
        ("COPY f OPTIONS (interval=0) FROM 'films'", StatementError, "at least 0.001, got 0"),
        ("COPY f OPTIONS (interval='1') FROM 'films'", StatementError, "got '1'"),
        ("COPY f OPTIONS (interval=1, frame_dir='../x') FROM 'films'", WorkspaceError, "outside"),
        ("COPY f OPTIONS (interval=1, exclude='*') FROM 'films/rgb.mp4'", StatementError,
         "is for folders"),
        ("COPY f OPTIONS (interval=1) FROM '[{\"a\": 1}]'", MediaError, "does not exist"),
        ("COPY f OPTIONS (interval=1) FROM 'gone/'", MediaError, "does not exist"),
        ("COPY t OPTIONS (interval=1, if_exists='append') FROM 'films'", OperationalError,
         "has no column 'video_path'"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_named(
    connection: Connection, sql: str, error: type[Exception], message: str
) -> None:
    connection.execute("CREATE TABLE t (x)")
    with pytest.raises(error, match=message):
        connection.execute(sql)
    assert connection.execute("LIST TABLE").fetchall() == [("t", "table")]
