"""COPY of a folder: what becomes a row, what is left out, and how a table is kept in step."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest
from PIL import Image

import thanosql
from thanosql_dbapi.planning.report import Report

TIME_NS = 1_700_000_000_123_000_000


class Album:
    """A workspace with a database, and files that are written into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.db = thanosql.connect(root / "photos.db", progress=False)

    def write(self, *names: str, content: str | None = None) -> None:
        """Write files, each with a content of its own unless one is given."""
        for name in names:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content or name)

    def touch(self, *names: str, time_ns: int = TIME_NS) -> None:
        for name in names:
            os.utime(self.root / name, ns=(time_ns, time_ns))

    def copy(self, options: str = "", folder: str = "p/", table: str = "t") -> Report:
        """Run COPY, which must not warn; return its report."""
        clause = f"OPTIONS ({options}) " if options else ""
        self.db.execute(f"COPY {table} {clause}FROM '{folder}'")
        report = self.db.report
        assert report is not None
        return report

    def said(self, options: str = "", folder: str = "p/", table: str = "t") -> str:
        """Run COPY, and return its one warning, or nothing."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.copy(options, folder, table)
        assert {each.category for each in caught} <= {thanosql.MediaWarning}
        assert len(caught) <= 1
        return "".join(str(each.message) for each in caught)

    def paths(self, column: str = "image_path", table: str = "t") -> list[str]:
        return [row[0] for row in self.db.execute(f"SELECT {column} FROM {table}")]

    def notes(self) -> dict[str, str]:
        """Return what the user's own column says, by path."""
        return dict(self.db.execute("SELECT image_path, note FROM t").fetchall())

    def annotate(self) -> None:
        """Give each row a value of its own: the path that it has now."""
        self.db.execute("ALTER TABLE t ADD COLUMN note TEXT")
        self.db.execute("UPDATE t SET note = image_path")
        self.db.commit()

    def skipped(self) -> dict[tuple[str, str], int]:
        report = self.db.report
        assert report is not None
        return {(each.reason, each.suffix): each.count for each in report.skipped}


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Album]:
    for module in ("pillow_heif", "pillow_jxl", "rawpy"):  # the packages of the extras
        monkeypatch.setitem(sys.modules, module, None)
    root = tmp_path / "workspace"
    root.mkdir()
    album = Album(root)
    yield album
    album.db.close()


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """Return added, updated, moved, removed, unchanged."""
    return report.added, report.updated, report.moved, report.removed, report.unchanged


# What becomes a row


def test_files_are_sorted_as_people_count(album: Album) -> None:
    names = [
        "p/2.JPG", "p/10.jpg", "p/b2/1.webp", "p/B3.bmp", "p/b10/1.gif", "p/고양이.png",
    ]  # fmt: skip
    album.write(*reversed(names), "p/b2/notes.txt", "p/.hidden.jpg", "p/.cache/x.jpg")
    report = album.copy()
    assert album.paths() == names
    assert (report.table, counts(report)) == ("t", (6, 0, 0, 0, 0))
    assert album.skipped() == {
        ("no picture, audio or video", ".txt"): 1,
        ("hidden", ".jpg"): 1,
        ("hidden", ".cache/"): 1,
    }


def test_the_workspace_itself_and_a_folder_outside(album: Album, tmp_path: Path) -> None:
    album.write("1.jpg", "../outside/2.jpg")
    album.copy(folder=".")
    assert album.paths() == ["1.jpg"]
    outside = tmp_path / "outside"
    with thanosql.connect(
        album.root / "x.db", progress=False, allowed_directories=[outside]
    ) as connection:
        connection.execute("COPY t FROM ?", (outside,))
        rows = connection.execute("SELECT * FROM t").fetchall()
    connection.close()
    assert rows == [((outside / "2.jpg").as_posix(),)]


IMAGES = (".tif", ".tiff", ".bmp", ".jpeg", ".jpe", ".jpg", ".jfif", ".mpo", ".ppm")
FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm")


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (["a.mp3", "b.flac"], "audio_path"),
        (["1.mp4", "2.mp4", "song.mp3"], "video_path"),
        (["1.mp3", "2.mp3", "clip.mp4"], "audio_path"),
        (["film.mp4", "song.mp3"], "video_path"),
        (["1.mp4", "2.mp4", "poster.jpg"], "image_path"),
        (["a.mp4", "b.mov", "c.avi", "d.mkv", "e.webm", "f.csv"], "video_path"),
        (["a.tif", "a.tiff", "a.bmp", "a.jpeg", "a.jpe", "a.jfif", "a.mpo", "a.ppm"], "image_path"),
    ],
)
def test_the_column_says_the_kind(album: Album, names: list[str], column: str) -> None:
    album.write(*(f"p/{name}" for name in names))
    album.said()
    suffixes = {"audio_path": (".mp3", ".flac"), "image_path": IMAGES, "video_path": FILMS}[column]
    assert album.paths(column) == sorted(f"p/{each}" for each in names if each.endswith(suffixes))


def test_what_is_left_out_is_named_once_and_counted(album: Album) -> None:
    album.write("p/a.jpg", "p/1.NEF", "p/2.nef", "p/3.CR2", "p/4.jxl", "p/5.mov", "p/readme.md")
    said = album.said()
    for part in (".nef (2)", ".cr2 (1)", ".jxl (1)", ".mov (1)"):
        assert part in said
    assert ".md" not in said
    assert album.paths() == ["p/a.jpg"]
    assert album.skipped()[("RAW picture", ".nef")] == 2
    report = album.db.report
    assert report is not None
    assert set(report.skipped[0].examples) == {"p/1.NEF", "p/2.nef"}


def test_what_systems_and_programs_keep_is_left_out(album: Album) -> None:
    kept = [
        "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/1.jpg", "$RECYCLE.BIN/S-1/$R1.jpg",
        "System Volume Information/1.jpg", "#snapshot/1.jpg", "@Recycle/1.jpg",
        "lost+found/1.jpg", ".stversions/1.jpg", ".Trash-1000/files/1.jpg", ".thumbnails/1.jpg",
        "__MACOSX/1.jpg", "2024/Catalog Previews.lrdata/0/1.jpg",
        "Photos.photoslibrary/resources/derivatives/1.jpg", "Old.aplibrary/Previews/1.jpg",
    ]  # fmt: skip
    mine = [
        "2024/1.jpg",
        "Old.aplibrary/Masters/2019/1.jpg",
        "Photos.photoslibrary/originals/1.jpg",
    ]
    album.write(*(f"p/{name}" for name in (*kept, *mine)))
    album.copy()
    assert album.paths() == [f"p/{name}" for name in mine]
    assert album.skipped()[("kept by a system or a program for itself", "@eaDir/")] == 1
    # Named itself, such a folder is read.
    album.copy(folder="p/#recycle", table="bin")
    assert album.paths(table="bin") == ["p/#recycle/1.jpg"]


def test_exclude_and_recursive(album: Album) -> None:
    album.write("p/a.jpg", "p/b.tmp.JPG", "p/private/c.jpg", "p/x/private/d.jpg", "p/x/e.jpg")
    album.write("p/raw/f.jpg", "p/x/raw/g.jpg")
    album.copy("exclude=['*.tmp.jpg', 'Private/', '/raw']")
    assert album.paths() == ["p/a.jpg", "p/x/e.jpg", "p/x/raw/g.jpg"]
    assert album.skipped()[("excluded by the options", "private/")] == 2
    album.copy("exclude='x/private', overwrite=True")
    assert "p/private/c.jpg" in album.paths()
    assert "p/x/private/d.jpg" not in album.paths()
    album.copy("recursive=False, overwrite=True")
    assert album.paths() == ["p/a.jpg", "p/b.tmp.JPG"]
    album.db.execute("COPY t OPTIONS (exclude=?, overwrite=True) FROM 'p'", (["?", "*.tmp*"],))
    assert album.paths() == ["p/a.jpg", "p/private/c.jpg", "p/raw/f.jpg"]
    with pytest.raises(thanosql.StatementError, match="'exclude' must be a pattern or a list"):
        album.copy("exclude=[1], overwrite=True")


def test_options_of_folders_are_refused_elsewhere(album: Album) -> None:
    album.write("t.csv", content="a\n1\n")
    for options in ("exif=True", "recursive=False", "exclude='x'", "if_exists='sync'"):
        with pytest.raises(thanosql.StatementError, match="for folders, and FROM names no folder"):
            album.copy(options, "t.csv")
    album.copy(folder="t.csv")
    assert album.db.report == Report("COPY", "t", added=1)


# Links


def test_links(album: Album, tmp_path: Path) -> None:
    album.write("p/a.jpg", "p/sub/b.jpg", "other/c.jpg", "../secret/s.jpg")
    folder = album.root / "p"
    (folder / "file.jpg").symlink_to(folder / "sub" / "b.jpg")
    (folder / "linked").symlink_to(album.root / "other", target_is_directory=True)
    (folder / "again").symlink_to(folder / "sub", target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    (folder / "up").symlink_to(album.root, target_is_directory=True)
    (folder / "secret").symlink_to(tmp_path / "secret", target_is_directory=True)
    (folder / "secret.jpg").symlink_to(tmp_path / "secret" / "s.jpg")
    (folder / "broken.jpg").symlink_to(folder / "gone.jpg")
    (folder / "itself.jpg").symlink_to(folder / "itself.jpg")
    said = album.said()
    assert album.paths() == ["p/a.jpg", "p/file.jpg", "p/linked/c.jpg", "p/sub/b.jpg"]
    assert "p/secret" in said
    assert "p/itself.jpg" in said
    assert album.skipped()[("link to a folder that is read already", "/")] == 3


def test_a_link_into_an_allowed_directory(album: Album, tmp_path: Path) -> None:
    album.write("p/a.jpg", "../nas/2024/b.jpg", "../nas/c.jpg")
    (album.root / "p" / "nas").symlink_to(tmp_path / "nas", target_is_directory=True)
    (tmp_path / "nas" / "back").symlink_to(album.root / "p", target_is_directory=True)
    nas = [tmp_path / "nas"]
    with thanosql.connect(album.root / "x.db", progress=False, allowed_directories=nas) as db:
        db.execute("COPY t FROM 'p/'")
        rows = db.execute("SELECT * FROM t").fetchall()
    db.close()
    assert rows == [("p/a.jpg",), ("p/nas/2024/b.jpg",), ("p/nas/c.jpg",)]


# One bad entry does not stop the rest


def test_a_folder_that_may_not_be_read(album: Album) -> None:
    album.write("p/1.jpg", "p/private/2.jpg", "p/z/3.jpg")
    program = (
        "import thanosql; db = thanosql.connect('photos.db', progress=False);"
        "db.execute('COPY t FROM \"p/\"'); print(db.execute('SELECT * FROM t').fetchall());"
        'db.execute(\'COPY t OPTIONS (if_exists="sync") FROM "p/"\'); print(db.report.removed)'
    )
    assert as_user(album, program, private="").count("p/private/2.jpg") == 1
    said = as_user(album, program.replace("COPY t FROM", "COPY u FROM"), private="p/private")
    assert "p/1.jpg" in said
    assert "p/z/3.jpg" in said
    assert "p/private/: Permission denied" in said
    # What cannot be looked at is not gone.
    assert album.paths() == ["p/1.jpg", "p/private/2.jpg", "p/z/3.jpg"]


def as_user(album: Album, program: str, private: str) -> str:
    """Run a program without the rights of root, while a folder is private to nobody."""
    command = [sys.executable, "-W", "always", "-c", program]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root reads every folder, and there is no setpriv")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", "--bounding-set", rights, "--inh-caps", rights, *command]
    if private:
        (album.root / private).chmod(0)
    try:
        done = subprocess.run(command, cwd=album.root, capture_output=True, text=True, check=False)
    finally:
        if private:
            (album.root / private).chmod(0o755)
    return done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_not_utf8(album: Album) -> None:
    album.write("p/1.jpg")
    folder = os.fsencode(album.root / "p")
    (album.root / os.fsdecode(folder + b"/M\xe4rz.jpg")).write_bytes(b"x")
    (album.root / os.fsdecode(folder + b"/\xe4")).mkdir()
    said = album.said()
    assert album.paths() == ["p/1.jpg"]
    assert "p/M\\xe4rz.jpg" in said
    assert "p/\\xe4" in said


def test_where_warnings_are_errors_all_is_done(album: Album) -> None:
    album.write("p/1.jpg", "p/2.nef")
    with pytest.raises(thanosql.MediaWarning, match=r"\.nef"):
        album.copy()
    report = album.db.report
    assert report is not None
    assert (report.added, album.paths()) == (1, ["p/1.jpg"])


def test_a_name_cannot_command_the_terminal(album: Album) -> None:
    album.write("p/1.jpg")
    (album.root / "p" / "\x1b[2Jx.jpg").symlink_to("gone.jpg")
    assert "\x1b" not in album.said()


@pytest.mark.skipif(sys.platform == "win32", reason="no such files on Windows")
def test_what_is_no_regular_file(album: Album) -> None:
    album.write("p/1.jpg", "p/folder.jpg/2.jpg")
    os.mkfifo(album.root / "p" / "pipe.jpg")
    assert "pipe.jpg" in album.said()
    assert album.paths() == ["p/1.jpg", "p/folder.jpg/2.jpg"]


@pytest.mark.parametrize("options", ["", "if_exists='append'", "if_exists='sync'"])
def test_a_folder_without_a_picture_says_what_it_has(album: Album, options: str) -> None:
    album.write("p/1.nef", "p/2.NEF", "p/notes.txt", "p/README", "empty/.keep", "file.jpg")
    with pytest.raises(thanosql.SourceError, match=r"got none; it has 2 \.nef \(RAW.*1 \.txt"):
        album.copy(options)
    with pytest.raises(thanosql.SourceError, match=r"got none; it has 1 without a suffix \(hidden"):
        album.copy(options, "empty/")
    if "sync" in options:
        with pytest.raises(thanosql.SourceError, match="does not exist; nothing was changed"):
            album.copy(options, "q/")
    assert album.db.execute("LIST TABLE").fetchall() == []


# append


def test_append_adds_only_new_files(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.copy()
    album.write("p/3.jpg", "p/sub/4.jpg")
    (album.root / "p" / "1.jpg").unlink()
    assert counts(album.copy("if_exists='append'")) == (2, 0, 0, 0, 1)
    assert album.paths() == ["p/1.jpg", "p/2.jpg", "p/3.jpg", "p/sub/4.jpg"]
    assert counts(album.copy("if_exists='append'")) == (0, 0, 0, 0, 3)
    album.write("p/2.jpg", content="other")
    assert counts(album.copy("if_exists='append'")) == (0, 1, 0, 0, 2)


def test_rows_may_spell_a_path_otherwise(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "p/3.jpg", "p/Café.jpg")
    album.db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, image_path TEXT UNIQUE)")
    texts = [
        "./p//1.jpg",
        (album.root / "p/2.jpg").as_posix(),
        "p/x/../3.jpg",
        unicodedata.normalize("NFD", "p/Café.jpg"),
        "https://example.org/p/4.jpg",
    ]
    album.db.executemany("INSERT INTO t (image_path) VALUES (?)", [(text,) for text in texts])
    for mode in ("append", "sync"):
        assert counts(album.copy(f"if_exists='{mode}'")) == (0, 0, 0, 0, 4)
    assert counts(album.copy("if_exists='sync', exclude='q'", ".")) == (0, 0, 0, 0, 4)
    assert album.paths() == texts
    album.write("p/Café.jpg".replace("é", "e\u0301"))  # both spellings, as Linux allows
    assert counts(album.copy("if_exists='append'"))[0] in (0, 1)


def test_append_to_a_table_without_the_column(album: Album) -> None:
    album.write("p/1.jpg")
    album.db.execute("CREATE TABLE t (picture TEXT)")
    with pytest.raises(sqlite3.OperationalError, match=r"no column 'image_path'.*picture"):
        album.copy("if_exists='append'")


# sync


def test_sync_removes_and_adds(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "q/1.jpg")
    album.copy("if_exists='sync'")
    album.copy("if_exists='append'", "q/")
    album.annotate()
    (album.root / "p" / "1.jpg").unlink()
    (album.root / "q" / "1.jpg").unlink()
    album.write("p/3.jpg", "p/2.jpg", content="other")
    assert counts(album.copy("if_exists='sync'")) == (1, 1, 0, 1, 0)
    # Rows of other folders stay as they are.
    assert album.notes() == {"p/2.jpg": "p/2.jpg", "q/1.jpg": "q/1.jpg", "p/3.jpg": None}
    assert counts(album.copy("if_exists='sync'")) == (0, 0, 0, 0, 2)


def test_moved_and_renamed_files_keep_their_rows(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "p/3.jpg", "p/4.jpg")
    album.copy()
    album.annotate()
    root = album.root
    (root / "p/2024").mkdir()
    (root / "p/1.jpg").rename(root / "p/2024/1.jpg")
    (root / "p/2.jpg").rename(root / "p/name.jpg")
    # To another disk: the number changes, size and time do not.
    shutil.copy2(root / "p/3.jpg", root / "p/2024/3.jpg")
    (root / "p/3.jpg").unlink()
    report = album.copy("if_exists='sync'")
    assert counts(report) == (0, 0, 3, 0, 1)
    assert album.notes() == {
        "p/2024/1.jpg": "p/1.jpg",
        "p/name.jpg": "p/2.jpg",
        "p/2024/3.jpg": "p/3.jpg",
        "p/4.jpg": "p/4.jpg",
    }


def test_files_that_exchange_their_names(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "p/3.jpg")
    album.copy()
    album.annotate()
    album.db.execute("CREATE UNIQUE INDEX one ON t (image_path)")
    root = album.root / "p"
    for old, new in [("3", "4"), ("2", "3"), ("1", "2")]:  # a number is inserted
        (root / f"{old}.jpg").rename(root / f"{new}.jpg")
    album.write("p/1.jpg", content="a new one")
    assert counts(album.copy("if_exists='sync'")) == (1, 0, 3, 0, 0)
    assert album.notes() == {
        "p/1.jpg": None,
        "p/2.jpg": "p/1.jpg",
        "p/3.jpg": "p/2.jpg",
        "p/4.jpg": "p/3.jpg",
    }
    (root / "2.jpg").rename(root / "x")
    (root / "3.jpg").rename(root / "2.jpg")
    (root / "x").rename(root / "3.jpg")
    assert counts(album.copy("if_exists='sync'")) == (0, 0, 2, 0, 2)
    assert album.notes()["p/2.jpg"] == "p/2.jpg"
    (root / "2.jpg").replace(root / "3.jpg")
    assert counts(album.copy("if_exists='sync'")) == (0, 0, 1, 1, 2)
    assert album.notes()["p/3.jpg"] == "p/2.jpg"


def test_a_copy_does_not_take_the_row_of_its_original(album: Album) -> None:
    album.write("p/1.jpg")
    album.copy()
    album.annotate()
    know_digests(album)
    root = album.root / "p"
    shutil.copy2(root / "1.jpg", root / "backup.jpg")
    album.write("p/1.jpg", content="edited")
    assert counts(album.copy("if_exists='sync'")) == (1, 1, 0, 0, 0)
    assert album.notes() == {"p/1.jpg": "p/1.jpg", "p/backup.jpg": None}


def test_a_number_in_the_file_system_alone_proves_nothing(album: Album) -> None:
    """Some file systems number their files anew at each mount."""
    album.write("p/1.jpg", "p/2.jpg")
    album.touch("p/1.jpg", "p/2.jpg")
    album.copy()
    album.db.execute(
        "UPDATE thanosql_files SET inode = (SELECT sum(inode) FROM thanosql_files) - inode"
    )
    assert counts(album.copy("if_exists='sync'")) == (0, 0, 0, 0, 2)
    assert album.paths() == ["p/1.jpg", "p/2.jpg"]


def test_a_camera_that_counts_again(album: Album) -> None:
    album.write("p/IMG_1.jpg")
    album.copy()
    album.annotate()
    (album.root / "p/IMG_1.jpg").rename(album.root / "p/holiday.jpg")
    album.write("p/IMG_1.jpg", content="another picture")
    assert counts(album.copy("if_exists='sync'")) == (1, 0, 1, 0, 0)
    assert album.notes() == {"p/holiday.jpg": "p/IMG_1.jpg", "p/IMG_1.jpg": None}


def test_a_file_that_was_only_touched_is_not_updated(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.copy()
    know_digests(album)
    album.touch("p/1.jpg", "p/2.jpg")
    album.write("p/2.jpg", content="p/x.jpg")
    assert counts(album.copy("if_exists='sync'")) == (0, 1, 0, 0, 1)


def test_the_same_size_and_time_are_not_enough_where_several_have_them(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "p/3.jpg", content="same size")
    album.touch("p/1.jpg", "p/2.jpg", "p/3.jpg")
    album.copy()
    album.annotate()
    root = album.root / "p"
    (root / "new").mkdir()
    for name in ("a", "b"):
        shutil.copy2(root / "1.jpg", root / "new" / f"{name}.jpg")
    shutil.copy2(root / "3.jpg", root / "new" / "3.jpg")
    for name in ("1", "2", "3"):
        (root / f"{name}.jpg").unlink()
    # Only the one of the same name is certain.
    assert counts(album.copy("if_exists='sync'")) == (2, 0, 1, 2, 0)
    assert album.notes()["p/new/3.jpg"] == "p/3.jpg"


def test_a_digest_that_is_known_decides(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.touch("p/1.jpg", "p/2.jpg")
    album.copy()
    album.annotate()
    root = album.root / "p"
    shutil.copy2(root / "1.jpg", root / "a.jpg")
    (root / "1.jpg").unlink()
    know_digests(album)
    album.touch("p/a.jpg", time_ns=TIME_NS + 10**9)  # a sync tool gave it a new time
    (root / "2.jpg").unlink()
    album.write("p/b.jpg", content="p/x.jpg")  # as long and as old as the other was
    album.touch("p/b.jpg")
    assert counts(album.copy("if_exists='sync'")) == (1, 0, 1, 1, 0)
    assert album.notes() == {"p/a.jpg": "p/1.jpg", "p/b.jpg": None}
    # What was read is remembered, and the digest has moved with its file.
    known = album.db.execute(
        "SELECT path FROM thanosql_files WHERE digest IS NOT NULL ORDER BY path"
    ).fetchall()
    assert known == [("p/1.jpg",), ("p/2.jpg",), ("p/a.jpg",), ("p/b.jpg",)]


def know_digests(album: Album) -> None:
    """Put the digests of the files of ``Album.write`` into the database, as CONVERT does."""
    for name in album.paths():
        digest = hashlib.sha256(name.encode()).digest()
        album.db.execute("UPDATE thanosql_files SET digest = ? WHERE path = ?", (digest, name))
    album.db.commit()


def test_a_folder_that_was_renamed(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg", "q/3.jpg")
    album.copy()
    album.copy("if_exists='append'", "q/")
    album.annotate()
    (album.root / "p").rename(album.root / "Bilder")
    shutil.copy2(album.root / "q/3.jpg", album.root / "Bilder/3.jpg")
    # The same files under another name take their rows along; a copy of another is new.
    assert counts(album.copy("if_exists='sync'", "Bilder/")) == (1, 0, 2, 0, 0)
    assert album.notes() == {
        "Bilder/1.jpg": "p/1.jpg",
        "Bilder/2.jpg": "p/2.jpg",
        "Bilder/3.jpg": None,
        "q/3.jpg": "q/3.jpg",
    }


def test_several_rows_of_one_file_go_together(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.db.execute("CREATE TABLE t (image_path TEXT, note TEXT)")
    album.db.executemany(
        "INSERT INTO t VALUES (?, ?)",
        [("p/1.jpg", "a"), ("p/1.jpg", "b"), ("./p/1.jpg", "c"), ("p/2.jpg", "d")],
    )
    album.copy("if_exists='append'")  # so that the files are known
    (album.root / "p/1.jpg").rename(album.root / "p/x.jpg")
    (album.root / "p/2.jpg").unlink()
    assert counts(album.copy("if_exists='sync'")) == (0, 0, 1, 1, 0)
    rows = album.db.execute("SELECT * FROM t ORDER BY note").fetchall()
    assert rows == [("p/x.jpg", "a"), ("p/x.jpg", "b"), ("p/x.jpg", "c")]


def test_excluded_files_keep_their_rows(album: Album) -> None:
    album.write("p/1.jpg", "p/private/2.jpg", "p/private/3.jpg")
    album.copy()
    (album.root / "p/private/3.jpg").unlink()
    assert counts(album.copy("if_exists='sync', exclude='private/'")) == (0, 0, 0, 1, 1)
    assert album.paths() == ["p/1.jpg", "p/private/2.jpg"]
    album.write("p/sub/4.jpg")
    assert counts(album.copy("if_exists='sync', recursive=False")) == (0, 0, 0, 0, 1)


def test_names_that_differ_in_case_only(album: Album) -> None:
    album.write("p/A.jpg")
    album.db.execute("CREATE TABLE t (image_path TEXT COLLATE NOCASE, note TEXT)")
    album.db.execute("INSERT INTO t VALUES ('p/A.jpg', 'upper'), ('p/a.jpg', 'lower')")
    assert album.copy("if_exists='sync'").removed == (0 if (album.root / "p/a.jpg").exists() else 1)
    assert "p/A.jpg" in album.paths()


@pytest.mark.parametrize("what", ["missing", "empty", "without pictures"])
def test_an_empty_or_missing_folder_needs_insisting(album: Album, what: str) -> None:
    album.write("p/1.jpg", "p/sub/2.jpg", "q/3.jpg")
    album.copy()
    album.copy("if_exists='append'", "q/")
    shutil.rmtree(album.root / "p")
    if what != "missing":
        (album.root / "p").mkdir()
    if what == "without pictures":
        album.write("p/notes.txt")
    with pytest.raises(
        thanosql.SourceError, match=r"has 2 files of it.*sync', allow_empty=True.*nothing was"
    ):
        album.copy("if_exists='sync'")
    assert len(album.paths()) == 3
    assert counts(album.copy("if_exists='sync', allow_empty=True")) == (0, 0, 0, 2, 0)
    assert album.paths() == ["q/3.jpg"]


def test_sync_is_all_or_nothing(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.copy()
    album.db.execute("CREATE TRIGGER no BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END")
    (album.root / "p/1.jpg").unlink()
    album.write("p/3.jpg")
    before = album.db.report
    with pytest.raises(sqlite3.IntegrityError, match="no"):
        album.copy("if_exists='sync'")
    assert album.paths() == ["p/1.jpg", "p/2.jpg"]
    assert not album.db.in_transaction
    assert album.db.report is before
    album.db.execute("DROP TRIGGER no")
    album.db.execute("BEGIN")
    assert counts(album.copy("if_exists='sync'")) == (1, 0, 0, 1, 1)
    album.db.rollback()
    assert album.paths() == ["p/1.jpg", "p/2.jpg"]


def test_sync_in_another_schema(album: Album) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.db.execute("ATTACH ':memory:' AS other")
    album.copy(table='other."my ""t"""')
    (album.root / "p/1.jpg").rename(album.root / "p/3.jpg")
    (album.root / "p/2.jpg").unlink()
    assert counts(album.copy("if_exists='sync'", table='other."my ""t"""')) == (0, 0, 1, 1, 0)
    assert album.paths(table='other."my ""t"""') == ["p/3.jpg"]


# What headers say


EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def photograph(path: Path, size: tuple[int, int] = (40, 30)) -> None:
    """Write a picture whose header says all that there is."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canon", "Canon EOS R5", 6
    exif[EXIF_IFD] = {
        0x9003: "2024:05:06 07:08:09",
        0x9011: "+09:00",
        0xA434: "RF24-105mm F4 L IS USM",
    }
    exif[GPS_IFD] = {1: "S", 2: (33.0, 51.0, 24.48), 3: "E", 4: (151.0, 12.0, 54.36)}
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, exif=exif.tobytes())


def headers(album: Album, table: str = "t") -> list[dict[str, object]]:
    cursor = album.db.execute(f"SELECT * FROM {table} ORDER BY image_path")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif(album: Album, suffix: str) -> None:
    path = album.root / "p" / f"1.{suffix}"
    photograph(path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    album.copy("exif=True")
    (row,) = headers(album)
    assert row == {
        "image_path": f"p/1.{suffix}",
        "taken_at": "2024-05-06T07:08:09+09:00",
        "camera": "Canon EOS R5",
        "lens": "RF24-105mm F4 L IS USM",
        "width": 30,
        "height": 40,
        "latitude": pytest.approx(-33.8568, abs=1e-6),
        "longitude": pytest.approx(151.2151, abs=1e-6),
        "file_size": path.stat().st_size,
        "modified_at": "2023-11-14T22:13:20+00:00",
    }
    assert album.db.execute("SELECT datetime(taken_at) FROM t").fetchone() == (
        "2024-05-05 22:08:09",
    )


def test_exif_of_files_that_say_nothing_or_nonsense(album: Album) -> None:
    folder = album.root / "p"
    folder.mkdir()
    Image.new("RGB", (4, 3)).save(folder / "1.jpg")
    album.write("p/2.jpg")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Apple", "iPhone 14", "2024:01:01 00:00:00"
    more = exif.get_ifd(EXIF_IFD)
    more[0x9003], more[0x9011], more[0x9291] = "2024:02:30 25:00:00", "   :  ", "12"
    more[0x9004], more[0x9292] = "2024:02:28 05:06:07", "500"
    more[0xA434] = "----"
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    Image.new("L", (4, 3)).save(folder / "3.jpg", exif=exif)
    (folder / "4.jpg").write_bytes((folder / "3.jpg").read_bytes()[:60])
    album.copy("exif=True")
    rows = headers(album)
    known = [{k: v for k, v in row.items() if v is not None} for row in rows]
    for row in known:
        del row["image_path"], row["modified_at"], row["file_size"]
    assert known == [
        {"width": 4, "height": 3},
        {},
        {
            "width": 4,
            "height": 3,
            "camera": "Apple iPhone 14",
            "taken_at": "2024-02-28T05:06:07.500",
        },
        {},
    ]


def test_exif_of_a_picture_beyond_every_limit(album: Album) -> None:
    """No pixel is decoded, so the size does not matter."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Scanner"
    folder = album.root / "p"
    folder.mkdir()
    header = struct.pack(">IIBBBBB", 60000, 50000, 8, 2, 0, 0, 0)
    (folder / "1.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"no pixels at all")
        + chunk(b"eXIf", exif.tobytes()[6:]) + chunk(b"IEND", b"")
    )  # fmt: skip
    album.copy("exif=True")
    (row,) = headers(album)
    assert (row["width"], row["height"], row["camera"]) == (50000, 60000, "Scanner")


@pytest.mark.parametrize("mode", ["append", "sync"])
def test_exif_is_kept_in_step(album: Album, mode: str) -> None:
    photograph(album.root / "p" / "1.jpg")
    photograph(album.root / "p" / "2.jpg")
    album.copy()
    album.annotate()
    options = f"exif=True, if_exists='{mode}'"
    assert counts(album.copy(options)) == (0, 0, 0, 0, 2)
    assert [row["width"] for row in headers(album)] == [30, 30]
    album.db.execute("UPDATE t SET camera = 'mine'")
    album.db.commit()
    photograph(album.root / "p" / "2.jpg", (80, 60))
    photograph(album.root / "p" / "3.jpg")
    assert counts(album.copy(options)) == (1, 1, 0, 0, 1)
    # Only what is new or has changed is read.
    rows = [(row["camera"], row["width"], row["note"]) for row in headers(album)]
    assert rows == [
        ("mine", 30, "p/1.jpg"),
        ("Canon EOS R5", 60, "p/2.jpg"),
        ("Canon EOS R5", 30, None),
    ]
    # A second table learns of a change that the first one has seen.
    album.copy("exif=True", table="u")
    photograph(album.root / "p" / "1.jpg", (8, 6))
    album.copy(options)
    album.copy(options, table="u")
    assert [row["width"] for row in headers(album, "u")] == [6, 60, 30]


def test_times_beyond_what_sqlite_can_store(album: Album) -> None:
    album.write("p/1.jpg")
    try:
        os.utime(album.root / "p/1.jpg", (4e10, 4e10))
    except OSError:
        pytest.skip("this file system has no such times")
    time = datetime.fromtimestamp(0, timezone.utc).isoformat()
    for options in ("exif=True", "exif=True, if_exists='sync'"):
        album.copy(options)
        (row,) = headers(album)
        assert row["modified_at"] is None or str(row["modified_at"]) > time


def test_modified_at_is_in_utc(album: Album) -> None:
    album.write("p/1.jpg")
    album.touch("p/1.jpg")
    album.copy("exif=True")
    (row,) = headers(album)
    time = datetime.fromisoformat(str(row["modified_at"]))
    assert time == datetime.fromtimestamp(1_700_000_000.123, timezone.utc)


def test_the_page_about_ones_own_photos(album: Album) -> None:
    photograph(album.root / "pictures" / "1.jpg")
    photograph(album.root / "pictures" / "2019" / "raw" / "2.jpg")
    page = (Path(__file__).parents[1] / "docs" / "your-photos.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sql\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    rows = [
        album.db.execute(statement).fetchall() for block in blocks for statement in block.split(";")
    ]
    assert rows[1] == [(2, "pictures/1.jpg")]
    assert rows[-2:] == [[("2024-05", 2)], []]
    program = "".join(re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    exec(program, {"connection": album.db})


def test_the_report_of_other_statements(album: Album) -> None:
    assert album.db.report is None
    album.db.execute('COPY t FROM \'[{"a": 1}, {"a": 2}]\'')
    assert album.db.report == Report("COPY", "t", added=2)
    album.db.execute("SELECT 1")
    assert album.db.report == Report("COPY", "t", added=2)


@pytest.mark.parametrize("if_exists", ["sync", "append", "replace", "fail"])
def test_a_table_that_another_program_makes_meanwhile(album: Album, if_exists: str) -> None:
    album.write("p/1.jpg", "p/2.jpg")
    album.db.commit()
    path = album.db.execute("PRAGMA database_list").fetchone()[2]
    with closing(sqlite3.connect(path)) as other:

        def overtake(sql: str) -> None:
            if sql.startswith("BEGIN IMMEDIATE"):
                album.db.set_trace_callback(None)
                other.execute("CREATE TABLE t (image_path TEXT)")
                other.execute("INSERT INTO t VALUES ('p/1.jpg')")
                other.commit()

        album.db.set_trace_callback(overtake)
        if if_exists == "fail":
            with pytest.raises(thanosql.OperationalError, match="COPY: table 't' exists"):
                album.copy(f"if_exists='{if_exists}'")
            assert album.paths() == ["p/1.jpg"]
            return
        report = album.copy(f"if_exists='{if_exists}'")
    assert album.paths() == ["p/1.jpg", "p/2.jpg"]
    assert report.added == (2 if if_exists == "replace" else 1)
