"""CONVERT of videos, SEARCH VIDEO, and the scene that a text describes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import BLUE, GREEN, RED, scenes, write_film, write_sound
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi import Connection, ConvertWarning, MediaError, MediaWarning, StatementError

POOL = "CONVERT USING m OPTIONS (video_col='video_path'{}) AS SELECT * FROM films"


@pytest.fixture
def films(connection: Connection, workspace: Path) -> Connection:
    """The tests' connection with a model ``m``, and a table of two films."""
    write_film(workspace / "films" / "rgb.mp4", scenes(RED, GREEN, BLUE))
    write_film(workspace / "films" / "r.mp4", scenes(RED))
    connection.execute("COPY films FROM 'films/'")
    return connection


def vectors(connection: Connection, column: str = "m_clipen", table: str = "films") -> list[Any]:
    rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY video_path").fetchall()
    return [row[0] for row in rows]


def test_a_film_gets_the_mean_of_its_frames(films: Connection) -> None:
    # The three frames of one film are two batches.
    films.execute(POOL.format(", table_name='films', batch_size=2"))
    assert films.report.converted == 2
    films.execute("COPY frames OPTIONS (interval=1) FROM 'films/rgb.mp4'")
    films.execute(
        "CONVERT USING m OPTIONS (image_col='frame', table_name='frames') AS SELECT * FROM frames"
    )
    frames = np.stack(vectors(films, table="frames"))
    mean = frames.sum(axis=0) / np.linalg.norm(frames.sum(axis=0))
    _, pooled = vectors(films)
    assert np.linalg.norm(pooled) == pytest.approx(1, abs=1e-5)
    assert float(pooled @ mean) > 0.9999
    assert max(float(pooled @ frame) for frame in frames) < 0.9999


def test_what_is_known_is_not_read_again(films: Connection, workspace: Path) -> None:
    convert = POOL.format(", table_name='films', interval={}")
    films.execute(convert.format(1))
    first = vectors(films)
    films.execute(convert.format(1))
    assert (films.report.unchanged, films.report.converted) == (2, 0)
    (workspace / "films" / "r.mp4").rename(workspace / "films" / "a.mp4")
    films.execute("COPY films OPTIONS (if_exists='sync') FROM 'films/'")
    films.execute(convert.format(1))
    assert (films.report.unchanged, films.report.converted) == (2, 0)
    films.execute("CREATE TABLE twice AS SELECT video_path FROM films")
    films.execute(convert.format(1).replace("films'", "twice'").replace("FROM films", "FROM twice"))
    assert (films.report.reused, films.report.converted) == (2, 0)
    # Other frames make another vector.
    films.execute(convert.format(2))
    assert films.report.converted == 2
    assert float(vectors(films)[1] @ first[1]) < 0.9999


def test_rows_are_returned_or_stored_elsewhere(films: Connection) -> None:
    with pytest.warns(ConvertWarning, match="not stored"):
        rows = films.execute(POOL.format(", result_col='v'")).fetchall()
    assert [len(row) for row in rows] == [2, 2]
    sql = POOL.format(", table_name='made', result_col='v'").replace(
        "SELECT *", "SELECT video_path"
    )
    films.execute(sql)
    named = dict(rows)
    for path, vector in films.execute("SELECT video_path, v FROM made").fetchall():
        assert np.allclose(vector, np.frombuffer(named[path], np.float32), atol=1e-6)


def test_a_film_that_cannot_be_read_is_one_failure(films: Connection, workspace: Path) -> None:
    write_sound(workspace / "films" / "sound.mp4")
    films.execute("INSERT INTO films VALUES ('films/sound.mp4'), ('gone.mp4'), (NULL), (x'00')")
    with pytest.warns(MediaWarning, match="3 of 6 videos could not be read") as caught:
        films.execute(POOL.format(", table_name='films'"))
    report = films.report
    assert (report.converted, report.failed, report.empty) == (2, 3, 1)
    assert "sound only" in str(caught[0].message)
    reasons = films.execute("SELECT source, reason FROM thanosql_failures").fetchall()
    assert [reason.partition(" ")[0] for _, reason in reasons] == ["video"] * 3
    with pytest.raises(MediaError, match=r"sound\.mp4' has sound only"):
        films.execute(POOL.format(", table_name='films', on_error='fail'"))


def test_a_film_that_is_gone_keeps_its_vector(films: Connection, workspace: Path) -> None:
    films.execute(POOL.format(", table_name='films'"))
    (workspace / "films" / "r.mp4").unlink()
    with pytest.warns(MediaWarning, match="1 videos are not there any more"):
        films.execute(POOL.format(", table_name='films'"))
    assert all(vector is not None for vector in vectors(films))


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (POOL.format(", convert_type='image'"), "'video_col' is for videos"),
        (POOL.replace("video_col='video_path'{}", "interval=2"), "'interval' is for videos"),
        (POOL.format(", interval=-1"), "at least 0.001"),
        (f"CREATE VIEW v AS {POOL.format('')}", "cannot be part of a CREATE VIEW"),
        ("SEARCH VIDEO USING m OPTIONS (search_by='text') AS SELECT 1", "search_input"),
    ],
)
def test_options_that_make_no_sense_are_named(films: Connection, sql: str, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        films.execute(sql)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Connection, list[str]]]:
    """A film of six drawings, two seconds each, with one caption each; and a clip of each."""
    workspace = tmp_path_factory.mktemp("story")
    connection = thanosql_dbapi.connect(workspace / "story.db", progress=False)
    connection.execute("GET THANOSQL DATASET storybook OPTIONS (rows=12)")
    connection.execute("GET THANOSQL MODEL storybook_clip")
    table = workspace / "thanosql-dataset" / "storybook" / "storybook.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["ai_description"]: row["image_path"] for row in csv.DictReader(file)}
    captions = list(rows)[:6]
    drawn = [np.asarray(Image.open(workspace / rows[caption])) for caption in captions]
    frames = [(number / 10, drawn[number // 20]) for number in range(120)]
    write_film(workspace / "films" / "story.mp4", frames, gop=25)
    for number, pixels in enumerate(drawn):
        write_film(workspace / "clips" / f"{number}.mp4", [(0, pixels), (0.1, pixels)])
    yield connection, captions
    connection.close()


def test_the_scene_that_a_text_describes_is_found(story: tuple[Connection, list[str]]) -> None:
    connection, captions = story
    connection.execute("COPY frames OPTIONS (interval=1) FROM 'films/'")
    connection.execute(
        "CONVERT USING storybook_clip OPTIONS (image_col='frame', table_name='frames')"
        " AS SELECT * FROM frames"
    )
    search = (
        "SELECT video_path, time_s FROM (SEARCH IMAGE text=? USING storybook_clip"
        " OPTIONS (result_col='s') AS SELECT * FROM frames) ORDER BY s DESC LIMIT 2"
    )
    for number, caption in enumerate(captions):
        found = connection.execute(search, (caption,)).fetchall()
        assert sorted(found) == [
            ("films/story.mp4", 2.0 * number),
            ("films/story.mp4", 2.0 * number + 1),
        ], caption


def test_the_clip_that_a_text_describes_is_found(story: tuple[Connection, list[str]]) -> None:
    connection, captions = story
    connection.execute("COPY clips FROM 'clips/'")
    connection.execute(
        "CONVERT USING storybook_clip OPTIONS (video_col='video_path', table_name='clips',"
        " result_col='convert_result') AS SELECT * FROM clips"
    )
    later = (
        "SELECT video_path, score FROM (SEARCH VIDEO USING storybook_clip OPTIONS"
        " (search_by='text', search_input=:text, emb_col='convert_result', result_col='score',"
        " top_k=10) AS SELECT * FROM clips)"
    )
    tutorial = (
        "SELECT video_path, s FROM (SEARCH VIDEO text=:text USING storybook_clip OPTIONS"
        " (emb_col='convert_result', result_col='s') AS SELECT * FROM clips) ORDER BY s DESC"
    )
    for number, caption in enumerate(captions):
        for search in (later, tutorial):
            rows = connection.execute(search, {"text": caption}).fetchall()
            assert len(rows) == 6
            assert rows[0][0] == f"clips/{number}.mp4"
