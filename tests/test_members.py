"""Pictures and tables in zip and tar archives: in COPY, CONVERT, SEARCH and PRINT; bad archives."""

from __future__ import annotations

import io
import pickle
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi import ConvertReport, Report
from thanosql_dbapi.embedding.pictures import Pictures
from thanosql_dbapi.places import parse
from thanosql_dbapi.sources.policy import SourcePolicy
from thanosql_dbapi.sources.reader import Reader
from thanosql_dbapi.ui.pictures import pictures
from thanosql_dbapi.ui.session import run
from thanosql_dbapi.workspace import Workspace

COLORS = ("red", "green", "blue")
BG = ["2024/blue.jpg", "2024/green.jpg"]


def jpeg(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (48, 40), color).save(out, "JPEG")
    return out.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10)), content)
    return out.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_700_000_000
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


ALBUM = {
    **{f"2024/{color}.jpg": jpeg(color) for color in COLORS},
    "2024/private/white.jpg": jpeg("white"),
    "2024/readme.txt": b"what is here",
    ".trash/old.jpg": jpeg("black"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    """A workspace with the pictures as files and in archives, and a model."""
    folder = tmp_path_factory.mktemp("members")
    shutil.copytree(clip_folder, folder / "tiny_clip")
    for name, content in ALBUM.items():
        path = folder / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "album.zip").write_bytes(zipped(ALBUM))
    (folder / "album.tar").write_bytes(tarred(ALBUM))
    (folder / "album.tar.gz").write_bytes(tarred(ALBUM, "w:gz"))
    with closing(thanosql.connect(folder / "model.db")) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    return folder


@pytest.fixture
def db(root: Path) -> Iterator[thanosql.Connection]:
    path = root / "test.db"
    shutil.copy(root / "model.db", path)
    (root / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
    with closing(thanosql.connect(path)) as connection:
        yield connection
    path.unlink()


def paths(connection: thanosql.Connection, table: str = "t") -> list[str]:
    return [path for (path,) in connection.execute(f"SELECT image_path FROM {table}").fetchall()]


def copied(connection: thanosql.Connection, source: str, options: str = "") -> Report:
    connection.execute(f"COPY t OPTIONS ({options or 'recursive=True'}) FROM '{source}'")
    report = connection.report
    assert isinstance(report, Report)
    return report


def converted(
    connection: thanosql.Connection, table: str = "t", options: str = ""
) -> ConvertReport:
    connection.execute(
        f"CONVERT USING m OPTIONS (table_name='{table}'{options}) AS SELECT * FROM {table}"
    )
    report = connection.report
    assert isinstance(report, ConvertReport)
    return report


def failures(connection: thanosql.Connection) -> dict[str, str]:
    return {
        source.strip("'"): reason
        for source, reason in connection.execute("SELECT source, reason FROM thanosql_failures")
    }


@pytest.mark.parametrize("name", ["album.zip", "album.tar", "album.tar.gz"])
def test_an_archive_is_copied_and_converted_as_the_folder_it_was_made_of(
    db: thanosql.Connection, root: Path, name: str
) -> None:
    scheme = "zip" if name.endswith(".zip") else "tar"
    report = copied(db, name)
    members = ["2024/blue.jpg", "2024/green.jpg", "2024/private/white.jpg", "2024/red.jpg"]
    assert paths(db) == [f"{scheme}://{each}::{name}" for each in members]
    assert {(each.reason, each.suffix, each.count) for each in report.skipped} == {
        ("no picture, audio or video", ".txt", 1),
        ("kept by a system or a program for itself", ".trash/", 1),
    }
    assert converted(db).converted == 4
    db.execute("COPY files FROM 'album/'")
    assert converted(db, "files").reused == 4  # by their content
    same = db.execute(
        "SELECT count(*) FROM t JOIN files ON instr(t.image_path, substr(files.image_path, 7)) > 0"
        " AND CAST(t.m_clipen AS BLOB) = CAST(files.m_clipen AS BLOB)"
    ).fetchone()
    assert same == (4,)
    assert converted(db).unchanged == 4
    assert converted(db, options=", verify=True").unchanged == 4


@pytest.mark.parametrize(
    ("source", "options", "want"),
    [
        ("zip://::album.zip", "exclude=['private/', 'b*']", ["2024/green.jpg", "2024/red.jpg"]),
        (
            "zip://2024/::album.zip",
            "recursive=False, exclude='re*'",
            ["2024/blue.jpg", "2024/green.jpg"],
        ),
        (
            "zip://2024::album.zip",
            "recursive=False, exclude='re*'",
            ["2024/blue.jpg", "2024/green.jpg"],
        ),
        ("zip://2024/*e*.jpg::album.zip", "", ["2024/blue.jpg", "2024/green.jpg", "2024/red.jpg"]),
        ("zip://**/w*.jpg::album.zip", "", ["2024/private/white.jpg"]),
        ("zip://2024/[gr]*::./album.zip", "", ["2024/green.jpg", "2024/red.jpg"]),
        ("zip://2024/private/::{}/album.zip", "", ["2024/private/white.jpg"]),
    ],
)
def test_folders_and_patterns_in_an_archive(
    db: thanosql.Connection, root: Path, source: str, options: str, want: list[str]
) -> None:
    copied(db, source.format(root), options)
    assert paths(db) == [f"zip://{each}::album.zip" for each in want]


def test_a_table_follows_an_archive(db: thanosql.Connection, root: Path) -> None:
    archive = root / "moving.zip"
    archive.write_bytes(zipped({f"{color}.jpg": jpeg(color) for color in COLORS}))
    copied(db, "moving.zip", "exif=True")
    assert db.execute("SELECT width, height, file_size, modified_at FROM t LIMIT 1").fetchone() == (
        *(48, 40),
        *(len(jpeg("blue")), "2024-05-06T07:08:10+00:00"),
    )
    converted(db)
    archive.write_bytes(
        zipped(
            {"kept/red.jpg": jpeg("red"), "green.jpg": jpeg("orange"), "white.jpg": jpeg("white")}
        )
    )
    report = copied(db, "moving.zip", "if_exists='sync'")
    assert (report.added, report.updated, report.moved, report.removed) == (1, 1, 1, 1)
    assert sorted(paths(db)) == [
        f"zip://{each}::moving.zip" for each in ("green.jpg", "kept/red.jpg", "white.jpg")
    ]
    report = converted(db)
    assert (report.converted, report.unchanged) == (2, 1)  # the moved one is known by its content
    assert copied(db, "moving.zip", "if_exists='append'").unchanged == 3
    archive.unlink()
    with pytest.raises(thanosql.SourceError, match=r"'moving\.zip' does not exist.* 3 files"):
        copied(db, "moving.zip", "if_exists='sync'")
    with pytest.warns(thanosql.MediaWarning, match="3 images are not there any more"):
        assert converted(db).failed == 3  # and keep their vectors
    assert db.execute("SELECT count(m_clipen) FROM t").fetchone() == (3,)
    assert copied(db, "moving.zip", "if_exists='sync', allow_empty=True").removed == 3


@pytest.mark.parametrize("damage", ["in its content", "in its header", "between two", "header"])
def test_rows_of_a_part_of_an_archive_that_cannot_be_read_stay(
    db: thanosql.Connection, root: Path, damage: str
) -> None:
    content = tarred({f"{number}.jpg": jpeg("red") + bytes([number]) for number in range(6)})
    at = content.index(b"3.jpg")  # where the header of the fourth begins
    left = {
        "in its content": content[: at + 700],
        "in its header": content[: at + 100],
        "between two": content[:at],
        "header": content[:at] + b"?" * 20 + content[at + 20 :],
    }[damage]
    archive = root / "part.tar"
    archive.write_bytes(content)
    assert copied(db, "part.tar").added == 6
    archive.write_bytes(left)
    with pytest.warns(thanosql.MediaWarning, match="the archive is .*cut short after [34] members"):
        assert copied(db, "part.tar", "if_exists='sync'").removed == 0
    assert len(paths(db)) == 6
    archive.write_bytes(content)
    assert copied(db, "part.tar", "if_exists='sync'").unchanged == 6


def test_search_and_print_take_members(db: thanosql.Connection) -> None:
    copied(db, "album.zip")
    converted(db)
    found = db.execute(
        "SELECT image_path FROM (SEARCH IMAGE image='zip://2024/red.jpg::album.zip' USING m"
        " OPTIONS (result_col='s') AS SELECT * FROM t) ORDER BY s DESC LIMIT 1"
    ).fetchone()
    assert found == ("zip://2024/red.jpg::album.zip",)
    shown = list(pictures(db, run(db, "PRINT IMAGE AS SELECT * FROM t")))
    assert [each.thumbnail is not None for each in shown] == [True] * 4
    db.execute("CREATE TABLE names AS SELECT 'red.jpg' AS image_path")
    statement = "PRINT IMAGE OPTIONS (base_dir='zip://2024::album.zip') AS SELECT * FROM names"
    assert [each.reason for each in pictures(db, run(db, statement))] == [""]
    assert converted(db, "names", ", base_dir='zip://2024::album.zip'").reused == 1
    db.execute(
        "CREATE VIEW v AS SELECT * FROM (CONVERT USING m OPTIONS (result_col='seen',"
        " base_dir='zip://2024::album.zip') AS SELECT image_path FROM names)"
    )
    both = "SELECT CAST(seen AS BLOB), CAST(m_clipen AS BLOB) FROM v, names"
    seen, known = (np.frombuffer(each, "<f4") for each in db.execute(both).fetchone())
    assert np.allclose(seen, known, atol=1e-5)


def test_a_table_in_an_archive(db: thanosql.Connection, root: Path) -> None:
    (root / "tables.zip").write_bytes(
        zipped({"a.csv": b"id,name\n007,x\n008,y\n", "b.jsonl": b'{"n": 1}\n', "empty.csv": b""})
    )
    db.execute("COPY a FROM 'zip://a.csv::tables.zip'")
    assert db.execute("SELECT * FROM a").fetchall() == [("007", "x"), ("008", "y")]
    db.execute("COPY a OPTIONS (if_exists='append') FROM 'zip://a.csv::tables.zip'")
    db.execute("COPY b FROM 'zip://b.jsonl::tables.zip'")
    assert db.execute("SELECT * FROM b").fetchall() == [(1,)]
    for source, message in {
        "zip://empty.csv::tables.zip": r"'zip://empty\.csv::tables\.zip' is empty",
        "zip://no.csv::tables.zip": r"no\.csv::tables\.zip' does not exist: the archive has no mem",
        "zip://a.pkl::tables.zip": "is a pickle",
        "zip://::tables.zip": r"got none; it has 2 \.csv",
    }.items():
        with pytest.raises(thanosql.Error, match=message):
            db.execute(f"COPY c FROM '{source}'")
    with pytest.raises(thanosql.StatementError, match=r"sync.* is for folders"):
        db.execute("COPY a OPTIONS (if_exists='sync') FROM 'zip://a.csv::tables.zip'")


def encrypted(content: bytes) -> bytes:
    """Set the flag of encryption in a zip archive's headers; zipfile cannot encrypt."""
    data = bytearray(content)
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


def linked(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO(tarred(members))
    with tarfile.open(fileobj=out, mode="a") as archive:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def noise() -> bytes:
    return random.Random(1).randbytes(5000)


def cut_tar() -> bytes:
    return tarred({**GOOD, "late.jpg": b"x" * 2000})[:3000]


def bomb() -> bytes:
    return zipped({"big.jpg": bytes(65 << 20)})


def nested() -> bytes:
    return zipped({"inner.zip": zipped(ALBUM)})


def damaged_member(content: bytes) -> bytes:
    data = bytearray(content)
    at = data.index(b"PK\3\4") + 60
    data[at : at + 40] = bytes(40)
    return bytes(data)


GOOD = {"good.jpg": jpeg("red")}
BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    # Name of the archive → member's address, content, what is said
    "password.zip": (
        "zip://good.jpg",
        lambda: encrypted(zipped(GOOD)),
        "protected with a password",
    ),
    "cut.zip": (
        "zip://good.jpg",
        lambda: zipped(GOOD)[:-30],
        "'cut.zip' is damaged or cut short: it begi",
    ),
    "noise.zip": (
        "zip://good.jpg",
        lambda: random.Random(1).randbytes(5000),
        "is neither a zip nor",
    ),
    "empty.zip": ("zip://good.jpg", lambda: b"", "'empty.zip' is neither a zip nor a tar archive"),
    "damaged.zip": (
        "zip://good.jpg",
        lambda: damaged_member(zipped(GOOD)),
        r"member 'good.jpg' of archive 'damaged.zip' is damaged or cut short",
    ),
    "bomb.zip": ("zip://big.jpg", bomb, "it has more than the limit of 67,108,864 bytes"),
    "link.tar": ("tar://link.jpg", lambda: linked(GOOD), "it is a link or device, expected a file"),
    "cut.tar": (
        "tar://late.jpg",
        cut_tar,
        "cut short",
    ),
    "cut.tar.gz": ("tar://good.jpg", lambda: tarred(GOOD, "w:gz")[:200], "is damaged or cut short"),
    "text.zip": (
        "zip://a.jpg",
        lambda: zipped({"a.jpg": b"no picture"}),
        "no image of a known format",
    ),
    "missing.zip": ("zip://no.jpg", lambda: zipped(GOOD), "has no member 'no.jpg'"),
}


def test_what_is_wrong_with_a_member_is_said_and_stops_nothing(
    db: thanosql.Connection, root: Path
) -> None:
    sources = {"zip://2024/red.jpg::album.zip": ""}
    for name, (member, content, message) in BAD.items():
        (root / name).write_bytes(content())
        sources[f"{member}::{name}"] = message
    (root.parent / "outside.zip").write_bytes(zipped(GOOD))
    sources |= {
        "zip://good.jpg::../outside.zip": "lies outside the workspace",
        "zip://good.jpg::/etc/outside.zip": "lies outside the workspace",
        "zip://good.jpg::none.zip": r"archive 'none.zip' does not exist",
        "zip://good.jpg::album": "archive 'album' is no file",
        "zip://2024/red.jpg::zip://inner.zip::nested.zip": "in an archive that is in an archive",
        "zip://inner.zip": "names no archive; expected zip://MEMBER::ARCHIVE",
        "az://album/a.jpg": "expected a path, or what begins with http://",
        "zip://../../etc/passwd::album.zip": "has no member '../../etc/passwd'",
        "zip://2024::album.zip": "has no member '2024'",
    }
    db.execute("CREATE TABLE t (image_path TEXT)")
    db.executemany("INSERT INTO t VALUES (?)", [(source,) for source in sources])
    with pytest.warns(thanosql.MediaWarning, match=f"{len(sources) - 1} of {len(sources)} images"):
        report = converted(db)
    assert (report.converted, report.failed) == (1, len(sources) - 1)
    reasons = failures(db)
    assert {source for source in sources if message_of(reasons, source) == ""} == {
        "zip://2024/red.jpg::album.zip"
    }
    wrong = {
        source: message_of(reasons, source)
        for source, message in sources.items()
        if message not in message_of(reasons, source)
    }
    assert wrong == {}


def message_of(reasons: Mapping[str, str], source: str) -> str:
    return reasons.get(source, "")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.zip", "archive 'none.zip' does not exist"),
        ("zip://*.jpg::../outside.zip", "lies outside the workspace"),
        ("noise.zip", "archive 'noise.zip' is neither a zip nor a tar archive"),
        ("zip://no/::album.zip", "expected pictures, audio or video files, got none; it is empty"),
        ("zip://2024/red.jpg::album.zip", "a single picture is stored with INSERT"),
        ("zip://::zip://a::b.zip", "in an archive that is in an archive"),
        ("nested.zip", r"got none; it has 1 \.zip"),
        ("zip://album.zip", "names no archive; expected zip://MEMBER::ARCHIVE"),
    ],
)
def test_copy_of_a_bad_archive_changes_nothing(
    db: thanosql.Connection, root: Path, source: str, message: str
) -> None:
    (root / "noise.zip").write_bytes(noise())
    (root / "nested.zip").write_bytes(nested())
    with pytest.raises(thanosql.Error, match=message):
        copied(db, source)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 't'").fetchone() == (0,)


def test_names_that_lead_elsewhere_and_archives_cut_short_are_named(
    db: thanosql.Connection, root: Path
) -> None:
    odd = {**GOOD, "../up.jpg": jpeg("red"), "/root.jpg": jpeg("red"), "a//b.jpg": jpeg("red")}
    (root / "odd.zip").write_bytes(zipped(odd))
    with pytest.warns(thanosql.MediaWarning, match=r"name with '\.\.' or an empty part in it"):
        report = copied(db, "odd.zip")
    assert paths(db) == ["zip://good.jpg::odd.zip"]
    assert sum(each.count for each in report.skipped) == 3
    names = {f"{number}.jpg": jpeg("red") for number in range(5)}
    (root / "short.tar").write_bytes(tarred(names)[:4000])
    with pytest.warns(thanosql.MediaWarning, match="the archive is cut short after 3 members"):
        copied(db, "short.tar", "if_exists='append'")
    assert len(paths(db)) == 4
    assert not (root.parent / "up.jpg").exists()


def test_how_sources_are_read_can_be_sent_to_another_process(root: Path) -> None:
    policy = SourcePolicy(
        Workspace(root),
        storage=(("s3", (("secret", "hush"),)),),
        limit_bytes=len(jpeg("red")) - 1,
    )
    assert "hush" not in repr(policy)
    opener: Pictures = pickle.loads(pickle.dumps(Pictures(Reader(policy), 10**6)))
    with pytest.raises(thanosql.MediaError, match="more than the limit"):
        opener.open("zip://2024/red.jpg::album.zip")
    whole = pickle.loads(pickle.dumps(Reader(SourcePolicy(Workspace(root)))))
    assert whole.read("tar://2024/red.jpg::album.tar.gz") == jpeg("red")
    assert not opener.is_far("zip://2024/red.jpg::album.zip")
    assert opener.is_far("zip://2024/red.jpg::https://example.org/album.zip")
    image = Pictures(whole, 10**6).open(str(root / "album" / "2024" / "red.jpg"))
    assert np.asarray(image).shape == (40, 48, 3)


def test_places() -> None:
    place = parse("zip://a::b/c.jpg::S3://album/x y.zip")
    assert place.archive is not None
    assert (place.path, place.archive.bucket, place.archive.path) == (
        "a::b/c.jpg",
        "album",
        "x y.zip",
    )
    assert parse("gs://album/2024/*.jpg").pattern == "2024/*.jpg"
    assert parse("gs://album/2024 [a]/").pattern == ""
    for text in ("s3://", "s3://a b/c", "s3://album/../b", "gs://album/a/./b", "s3://album/a\0"):
        with pytest.raises(thanosql.SourceError, match="expected "):
            parse(text)
