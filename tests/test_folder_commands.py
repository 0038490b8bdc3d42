"""``thanosql search`` and ``thanosql index``: a folder of pictures in one command."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
from PIL import Image
from programs import REPOSITORY, Done, Program

import thanosql
from thanosql_dbapi.ui.album import Album

COLORS = ("red", "green", "blue", "black", "white", "orange")


@pytest.fixture
def pictures(tmp_path: Path, clip_folder: Path) -> Path:
    """A folder of six pictures whose database has the tiny model, and no table yet."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    shutil.copytree(clip_folder, tmp_path / "tiny_clip")
    for number, color in enumerate(COLORS):
        place = folder / "more" if number > 2 else folder
        Image.new("RGB", (40 + number, 48), color).save(place / f"{color}.png")
        written = datetime(2000 + number, 6, 1, tzinfo=timezone.utc).timestamp()
        os.utime(place / f"{color}.png", (written, written))
    with_model(folder / "photos.db", tmp_path)
    return folder


def with_model(database: Path, workspace: Path) -> None:
    """Make a database that has the tiny model under the name m."""
    with closing(
        thanosql.connect(database, allowed_directories=[workspace], isolation_level=None)
    ) as connection:
        connection.execute(f"UPLOAD MODEL m FROM '{workspace}/tiny_clip'")


def names(done: Done) -> list[str]:
    """Return the names of the pictures that a search printed."""
    assert done.status == 0, done.err
    return [line.split("  ", 1)[1] for line in done.lines]


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_the_first_search_makes_the_database_and_the_next_only_asks(
    program: Program, pictures: Path
) -> None:
    first = program("search", "pictures", "a black cat", "-n", "4")
    assert len(names(first)) == 4
    assert set(names(first)) <= {
        *(f"pictures/{each}.png" for each in COLORS[:3]),
        *(f"pictures/more/{each}.png" for each in COLORS[3:]),
    }
    similarities = [float(line.split()[0]) for line in first.lines]
    assert similarities == sorted(similarities, reverse=True)
    assert "COPY photos: 6 added" in first.err
    assert "CONVERT photos: 6 converted" in first.err
    before = (pictures / "photos.db").stat()
    second = program("search", "pictures", "a black cat", "-n", "4")
    assert (second.out, second.err) == (first.out, "")
    assert (pictures / "photos.db").stat().st_mtime_ns == before.st_mtime_ns


def test_the_answer_is_that_of_a_search_in_sql(program: Program, pictures: Path) -> None:
    found = json.loads(program("search", "pictures", "a dog", "--json").out)
    sql = (
        "SELECT image_path, s FROM (SEARCH IMAGE text='a dog' USING m OPTIONS (result_col='s')"
        " AS SELECT * FROM photos) ORDER BY s DESC"
    )
    with closing(thanosql.connect(pictures / "photos.db")) as connection:
        want = [
            {"path": f"pictures/{path}", "similarity": s} for path, s in connection.execute(sql)
        ]
    assert len(found) == 6
    assert [each["path"] for each in found] == [each["path"] for each in want]
    assert [each["similarity"] for each in found] == pytest.approx(
        [each["similarity"] for each in want], abs=1e-6
    )


def test_the_table_follows_the_folder(program: Program, pictures: Path) -> None:
    assert len(names(program("search", "pictures", "a cat"))) == 6
    (pictures / "red.png").rename(pictures / "more" / "crimson.png")
    (pictures / "green.png").unlink()
    Image.new("RGB", (9, 9), "pink").save(pictures / "pink.png")
    Image.new("RGB", (9, 9), "grey").save(pictures / "blue.png")
    done = program("search", "pictures", "a cat")
    assert sorted(names(done)) == [
        "pictures/blue.png",
        *(f"pictures/more/{each}.png" for each in ("black", "crimson", "orange", "white")),
        "pictures/pink.png",
    ]
    assert "COPY photos: 1 added, 1 updated, 1 moved, 1 removed, 3 unchanged" in done.err
    assert "2 converted" in done.err


def test_what_another_program_does_to_the_table_is_seen(program: Program, pictures: Path) -> None:
    program("index", "pictures")
    with closing(sqlite3.connect(pictures / "photos.db")) as connection:
        connection.execute("DELETE FROM photos WHERE image_path = 'red.png'")
        connection.commit()
    assert "pictures/red.png" in names(program("search", "pictures", "a cat"))


def test_what_was_seen_is_an_aid_and_no_truth(program: Program, pictures: Path) -> None:
    want = names(program("search", "pictures", "a cat"))
    seen = pictures / "photos.db-thanosql-seen"
    for damage in (b"", b"\xff\xfe", b"0" * 128):
        seen.write_bytes(damage)
        assert names(program("search", "pictures", "a cat")) == want
    seen.unlink()
    seen.symlink_to(pictures / "precious.txt")
    assert names(program("search", "pictures", "a cat")) == want
    assert not (pictures / "precious.txt").exists()


def test_index_says_what_is_there(program: Program, pictures: Path) -> None:
    (pictures / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = program("index", "pictures")
    assert done.status == 0
    assert "MediaWarning: " in done.err
    assert "torn.png" in done.err
    last = done.err.splitlines()[-1]
    assert last == f"{pictures}/photos.db: 7 pictures, 6 with a vector of m"
    assert "torn.png" not in program("search", "pictures", "a cat").out


def test_an_interrupted_index_goes_on(tmp_path: Path, pictures: Path, program: Program) -> None:
    file = io.BytesIO()
    Image.effect_noise((1400, 1000), 60).convert("RGB").save(file, "JPEG")
    for number in range(240):  # each of another content, all of them slow to decode
        (pictures / f"{number}.jpg").write_bytes(file.getvalue() + str(number).encode())
    database = pictures / "photos.db"
    with subprocess.Popen(
        [sys.executable, "-m", "thanosql_dbapi", "index", "pictures", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
        # Whoever starts the tests in the background has them ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        while process.poll() is None and not _vectors(database):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert 0 < _vectors(database) < 246
    assert len(names(program("search", "pictures", "a cat", "-n", "500"))) == 246
    assert _vectors(database) == 246


def _vectors(database: Path) -> int:
    try:
        ((count,),) = rows(database, "SELECT count(m_clipen) FROM photos")
    except sqlite3.OperationalError:  # no table, no column, or locked for a moment
        return 0
    assert isinstance(count, int)
    return count


# What to look for


def test_texts_and_pictures_are_added_and_subtracted(program: Program, pictures: Path) -> None:
    import numpy as np

    program("index", "pictures")
    with closing(thanosql.connect(pictures / "photos.db")) as connection:

        def vector(text: str) -> np.ndarray:
            ((blob,),) = connection.execute("SELECT embed_text('m', ?)", (text,)).fetchall()
            return thanosql.to_vector(blob)

        total = vector("a cat") + vector("a boat") - vector("a dog")
        want = connection.execute(
            "SELECT image_path FROM photos ORDER BY cosine_similarity(m_clipen, ?) DESC", (total,)
        ).fetchall()
    done = program("search", "pictures", "a cat", "a boat", "--not", "a dog")
    assert names(done) == [f"pictures/{path}" for (path,) in want]


def test_pictures_like_a_picture(program: Program, pictures: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    shutil.copy(pictures / "more" / "black.png", outside)
    done = program("search", "pictures", "--image", "outside.png", "-n", "1")
    assert done.lines == ["1.0000  pictures/more/black.png"]
    done = program("search", "pictures", "0*a cat", "--image", "outside.png", "-n", "1")
    assert done.lines == ["1.0000  pictures/more/black.png"]
    done = program("search", "pictures", "--image", "nowhere.png")
    assert (done.status, done.out) == (2, "")
    assert "the picture 'nowhere.png' cannot be read: No such file" in done.err


def test_since_and_where(program: Program, pictures: Path) -> None:
    """The files were written in 2000, 2001, … one a year, and none says when it was taken."""
    done = program("search", "pictures", "a cat", "--since", "2003")
    assert sorted(names(done)) == [f"pictures/more/{each}.png" for each in sorted(COLORS[3:])]
    done = program("search", "pictures", "a cat", "--where", "width IN (41, 42) -- of six")
    assert sorted(names(done)) == ["pictures/blue.png", "pictures/green.png"]
    done = program("search", "pictures", "a cat", "--where", "0")
    assert (done.status, done.out) == (0, "")
    assert "no picture is left by the conditions" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("pictures",), 2, "what to look for is missing"),
        ((), 2, "what to look for is missing"),
        (("./pictrues", "a cat"), 2, "the folder './pictrues' does not exist"),
        (("pictures/red.png", "a cat"), 2, "the folder 'pictures/red.png' is a file"),
        (("./pictrues",), 2, "the folder './pictrues' does not exist"),
        (("pictures", " "), 2, "a text to look for says nothing"),
        (("pictures", "a", "--since", "20x"), 2, "--since takes a date, such as 2024"),
        (("pictures", "a", "--since", "2024-13"), 2, "--since takes a date, such as 2024"),
        (("pictures", "a", "--where", "nope = 1"), 1, "--where 'nope = 1' is no condition"),
        (("pictures", "a", "--where", "1) OR (1"), 1, "--where '1) OR (1' is no condition"),
        (("pictures", "a", "--where", "width = ?"), 1, "--where 'width = ?' has a placeholder"),
        (("pictures", "a", "--where", "width = :w"), 1, "write the value itself"),
        (("pictures", "a", "--since", "2024-05-06T99:00"), 2, "--since takes a date"),
        (("pictures", "a", "-n", str(10**30)), 0, ""),
        (("pictures", "a", "--json", "-0"), 2, "--json and -0 are two formats"),
        (("pictures", "a", "-n", "0"), 2, "0 is not in the range"),
        (("pictures", "a", "--model", "clp"), 1, "no model named 'clp' in the catalog; did you"),
        (("pictures", "a", "--device", "cuda:99"), 2, "device 'cuda:99' is not available"),
        (("empty", "a"), 1, "expected pictures"),
    ],
)
def test_bad_arguments(
    arguments: tuple[str, ...], status: int, message: str, program: Program, pictures: Path
) -> None:
    (pictures.parent / "empty").mkdir()
    done = program("search", *arguments)
    assert done.status == status
    assert message in done.err
    assert "Traceback" not in done.err


def test_without_a_folder_it_is_the_current_one(
    program: Program, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    assert "red.png" in names(program("search", "a cat"))
    assert "red.png" in names(program("search", ".", "a cat"))
    assert "more/white.png" in names(program("search", "--image", "more/white.png"))
    assert program("index").status == 0


# Which database, which model


def test_one_database_of_several_folders(program: Program, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    with_model(tmp_path / "all" / "all.db", tmp_path)
    program("search", "pictures/more", "a cat", "--db", "all/all.db")
    (tmp_path / "own").mkdir()
    Image.new("RGB", (8, 8), "pink").save(tmp_path / "own" / "pink.png")
    done = program("search", "own", "a cat", "--db", "all/all.db")
    assert names(done) == ["own/pink.png"]
    assert len(rows(tmp_path / "all" / "all.db", "SELECT 1 FROM photos")) == 4
    done = program("search", "pictures/more", "a cat", "--db", "all/all.db")
    assert sorted(names(done)) == [f"pictures/more/{each}.png" for each in sorted(COLORS[3:])]
    assert not (tmp_path / "pictures" / "more" / "photos.db").exists()


def test_of_several_models_the_newest_vectors_are_searched(
    program: Program, pictures: Path
) -> None:
    program("index", "pictures")
    with closing(thanosql.connect(pictures / "photos.db", isolation_level=None)) as connection:
        connection.execute("UPLOAD MODEL other FROM 'thanosql-model/m'")
    assert "of other" in program("index", "pictures", "--model", "OTHER").err
    Image.new("RGB", (8, 8), "pink").save(pictures / "pink.png")
    assert "7 pictures, 7 with a vector of other" in program("index", "pictures").err
    assert "7 pictures, 7 with a vector of m" in program("index", "pictures", "--model", "m").err


def test_offline_without_a_model_it_says_what_to_do(
    program: Program, pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    shutil.rmtree(pictures / "thanosql-model")
    (pictures / "photos.db").unlink()
    done = program("search", "pictures", "a cat", "--offline")
    assert (done.status, done.out) == (1, "")
    for words in ("offline", "need the model 'clip'", "--model storybook_clip", "UPLOAD MODEL"):
        assert words in done.err
    done = program("search", "pictures", "a cat", "--offline", "--model", "storybook_clip")
    assert len(names(done)) == 6
    assert "this model knows drawings only" in done.err
    assert len(names(program("search", "pictures", "a dog"))) == 6


def test_a_database_that_may_not_be_written_is_searched_as_it_is(
    program: Program, pictures: Path
) -> None:
    program("search", "pictures", "a cat")
    Image.new("RGB", (8, 8), "pink").save(pictures / "pink.png")
    done = program("search", "pictures", "a cat", "--mode", "ro")
    assert len(names(done)) == 6
    assert done.err == ""


# How it is printed


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_whose_name_is_not_utf_8(
    program: Program, tmp_path: Path, clip_folder: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"ol\xe9")
    folder.mkdir()
    shutil.copytree(clip_folder, tmp_path / "tiny_clip")
    Image.new("RGB", (8, 8), "pink").save(folder / "a.png")
    with_model(folder / "photos.db", tmp_path)
    done = program("search", str(folder), "a cat", "--json")
    assert done.status == 0, done.err
    assert [each["path"] for each in json.loads(done.out)] == [str(folder / "a.png")]


@pytest.mark.parametrize("command", ["index", "serve"])
def test_no_other_command_is_recommended(command: str, program: Program) -> None:
    done = program(command, "nowhere")
    assert done.status == 2
    assert "the folder 'nowhere' does not exist" in done.err
    assert "thanosql search" not in done.err


def test_paths_for_other_programs(program: Program, pictures: Path) -> None:
    odd = "two\nlines \x1b[2J.png"
    Image.new("RGB", (8, 8), "pink").save(pictures / odd)
    done = program("search", "pictures", "a cat", "-0")
    paths = done.out.split("\0")
    assert paths[-1] == ""
    assert len(paths) == 8
    assert f"pictures/{odd}" in paths
    assert all(Path(path).is_file() for path in paths[:-1])
    shown = program("search", "pictures", "a cat")
    assert r"pictures/two\nlines \x1b[2J.png" in shown.out
    assert len(shown.lines) == 7
    assert "\x1b" not in shown.out
    assert {each["path"] for each in json.loads(program("search", "pictures", "a", "--json").out)}


def test_no_command_of_a_name_reaches_a_terminal(
    program: Program, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8), "pink").save(pictures / "\x1b]0;x\x07.png")
    assert "\x1b" in program("search", "pictures", "a cat", "-0").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for form in ("-0", "--json", "--no-preview"):
        assert "\x1b" not in program("search", "pictures", "a cat", form).out


def test_a_terminal_that_can_shows_the_pictures(
    program: Program, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = program("search", "pictures", "a cat", "-n", "2").out
    assert shown.count("\x1b_Ga=T,f=100") == 2
    assert shown.index("pictures/") < shown.index("\x1b_G")
    assert "\x1b_G" not in program("search", "pictures", "a cat", "--no-preview").out


def test_a_gallery_of_the_answer(
    program: Program, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)))
    done = program("search", "--gallery", "pictures", "a <cat>", "-n", "3")
    assert len(names(done)) == 3
    assert f"gallery: {tmp_path}/gallery.html" in done.err
    page = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert "a &lt;cat&gt;" in page
    assert page.count('src="data:image/') == 3
    done = program("search", "--gallery", "cats.html", "pictures", "a cat", "--open")
    assert opened == [(tmp_path / "cats.html").as_uri()]
    assert f"no browser was found; open file://{tmp_path}/cats.html" in done.err
    done = program("search", "pictures", "a cat", "--gallery=nowhere/x.html")
    assert done.status == 1
    assert "cannot write the gallery" in done.err


def test_a_question_that_was_asked_before_needs_no_torch(
    program: Program, pictures: Path, tmp_path: Path
) -> None:
    text = "a question that no other test asks"  # what this process knows is not written again
    program("search", "pictures", text)
    code = (
        "import sys; from thanosql_dbapi.ui.cli import main; status = main(sys.argv[1:]);"
        " heavy = {'torch', 'transformers', 'pandas', 'rich', 'PIL', 'asyncio'};"
        " print(status, sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "search", "pictures", text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == "0 []\n"
    assert len(done.stdout.splitlines()) == 6


@pytest.mark.parametrize("options", [[], ["--exclude", "*.png"]])
def test_a_folder_without_pictures_gets_no_database(
    program: Program, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    if options:
        Image.new("RGB", (9, 9)).save(tmp_path / "empty" / "left_out.png")
    done = program("search", "empty", "a cat", *options)
    assert done.status == 1
    assert "expected pictures, audio or video files, got none" in done.err
    assert [path.name for path in (tmp_path / "empty").iterdir() if path.suffix != ".png"] == []


@pytest.mark.parametrize(
    "arguments", [["search", ".", "a cat"], ["index", "."], ["photos.db", "x"]]
)
def test_a_file_that_is_no_database_is_named(
    program: Program, tmp_path: Path, arguments: list[str]
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "photos.db", "JPEG")
    done = program(*arguments)
    assert done.status == 1
    assert f"{str(tmp_path / 'photos.db')!r} is not a database: expected" in done.err
    assert r"got b'\xff\xd8\xff\xe0" in done.err


def test_a_folder_for_the_database_that_is_not_there_is_named(
    program: Program, pictures: Path
) -> None:
    done = program("search", "pictures", "a cat", "--db", str(pictures / "none" / "photos.db"))
    assert done.status == 1
    assert f"there is no folder {str(pictures / 'none')!r}" in done.err


def test_a_search_waits_for_another_that_writes(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with (
        closing(sqlite3.connect(pictures / "photos.db", isolation_level=None)) as other,
        closing(Album(pictures, say=said.append)) as album,
    ):
        album.connection.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")

        def say(sentence: str) -> None:
            said.append(sentence)
            if other.in_transaction:
                other.execute("COMMIT")

        monkeypatch.setattr(album, "_say", say)
        album.bring_in_step("m")
        assert (
            said[0] == f"another program writes to {str(pictures / 'photos.db')!r}: waiting for it"
        )
        assert said[1].startswith("COPY photos: 6 added")
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("thanosql_dbapi.ui.album.LONGEST_WAIT_S", 0.0)
        monkeypatch.setattr(album, "_listing", None)
        (pictures / "red.png").unlink()
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            album.bring_in_step("m")
