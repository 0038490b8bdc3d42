"""Whatever a value is, a statement raises PEP 249's exceptions alone, and says which value it was.

Every bad value goes through every statement of ours, every option, every bound parameter and every
SQL function. What plain SQL does with a value that SQLite cannot take is sqlite3's own affair, to
the letter (`tests/cpython_suite`), and is left out here.
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi

LONG = "x" * 300


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class OddPath:
    def __fspath__(self) -> int:
        return 5


PATHS = [
    *("~", "~nobody_of_this_name", "~$photo.png", "~nobody_of_this_name/x.csv", "~/nothing.csv"),
    *(
        "loop_a",
        "loop_a/x.csv",
        "afile/x",
        "afile/x.csv",
        "images",
        "folder.csv",
        "images/red.png/",
    ),
    *(
        "fifo",
        "fifo.csv",
        "sock",
        "/dev/zero",
        "/dev/null",
        "",
        ".",
        "..",
        "/",
        "  ",
        "\n",
        "*",
        "?",
    ),
    *("file:", "file://[bad", "file://[bad/x.png", "file:///etc/passwd", "file://host/x"),
    *("http://", "http://[bad", "http://⒈com/", "http://xn--\uffff/", "http://a..b/x.png"),
    *(f"http://{'a' * 70}.invalid/", "http://:99999/", "http://127.0.0.1:99999/x"),
    *(
        "http://127.0.0.1:1/x",
        "https://user:pa ss@/",
        "http://127.0.0.1:1/\ud800",
        "http://\ud800/",
    ),
    *("\ud800", "a\udcffb.csv", "x\ud83d.png", "\0", "a\0b", "http://127.0.0.1:1/\0"),
    *(LONG, f"{LONG}.csv", "x/" * 3000, f"/{'x' * 5000}", f"{'a' * 255}.csv", "\u202e.csv"),
    *("data:image/png;base64,xx", "ftp://x/y", "hf:\ud800/x", "hf:a/b@../.."),
]
OTHERS: list[Any] = [
    *(None, True, False, 0, -1, 2**63, 2**64, 10**400, -(10**400), 1.5),
    *(float("nan"), float("inf"), -float("inf"), 1j),
    *(np.int64(3), np.uint64(2**64 - 1), np.float32(0.5), np.float64("nan"), np.bool_(True)),
    *(np.str_("x"), np.bytes_(b"x"), np.datetime64("NaT"), np.ma.masked, np.zeros(3)),
    *(np.zeros((2, 2)), np.array("x"), np.array(["a", object()], dtype=object)),
    *(decimal.Decimal("1.5"), decimal.Decimal("NaN"), decimal.Decimal("sNaN")),
    *(datetime.date(2026, 1, 1), pathlib.Path("nothing"), pathlib.Path("a\0b"), OddPath()),
    *(b"", b"x", b"\x89PNG\r\n\x1a\n", bytearray(b"q"), memoryview(b"abcd")),
    *(memoryview(b"abcdef")[::2], memoryview(np.zeros((2, 3))), memoryview(bytearray(4))),
    *([], [[]], [None], [1], ["a", None], (), ("a",), {}, {"a": 1}, set(), range(3)),
    *(object(), Unshowable(), len, int, sys, ...),
]
VALUES = [*PATHS, *OTHERS]

SEARCH = "SEARCH IMAGE text='a cat' USING m {} AS SELECT * FROM photos"
STATEMENTS = [
    *("COPY copied FROM ?", "UPLOAD MODEL u FROM ?"),
    "SEARCH TEXT text=? USING m AS SELECT * FROM photos",
    "SEARCH IMAGE text=? USING m AS SELECT * FROM photos",
    "SEARCH IMAGE image=? USING m AS SELECT * FROM photos",
    "SEARCH IMAGE images=? USING m AS SELECT * FROM photos",
    "SEARCH IMAGE text='a cat' USING m AS SELECT *, ? AS more FROM photos",
    SEARCH.format("") + " LIMIT ?",
    "CONVERT USING m AS SELECT ? AS image_path",
    "CONVERT USING m OPTIONS (convert_type='text', text_col='t') AS SELECT ? AS t",
    "PRINT IMAGE AS SELECT ? AS image_path",
]
OPTIONS = {
    SEARCH: ("emb_col", "result_col", "threshold", "top_k"),
    "CONVERT USING m {} AS SELECT * FROM photos": (
        *("image_col", "text_col", "table_name", "result_col", "batch_size", "on_error"),
        *("if_exists", "overwrite", "convert_type"),
    ),
    "COPY copied {} FROM 'photos.csv'": ("overwrite", "if_exists"),
    "UPLOAD MODEL u {} FROM 'nothing'": ("overwrite", "framework"),
    "GET THANOSQL MODEL nothing {}": ("overwrite", "model_name"),
    "GET THANOSQL DATASET nothing {}": ("overwrite", "rows", "seed"),
}
STATEMENTS += [
    statement.format(f"OPTIONS ({option}=?)")
    for statement, options in OPTIONS.items()
    for option in options
]
NAMED = [
    *("COPY \"{}\" FROM 'photos.csv'", 'COPY t FROM "{}"', "UPLOAD MODEL \"{}\" FROM 'tiny_clip'"),
    *('DELETE MODEL "{}"', 'GET THANOSQL MODEL "{}"', 'GET THANOSQL DATASET "{}"'),
    *('GET THANOSQL MODEL own AS "{}"', 'CONVERT USING "{}" AS SELECT 1 AS x'),
    "SEARCH IMAGE text='x' USING \"{}\" AS SELECT * FROM photos",
    "SEARCH IMAGE text='x' USING m AS SELECT * FROM \"{}\"",
]
FUNCTIONS = [
    *("SELECT embed_text('m', ?)", "SELECT embed_text(?, 'x')", "SELECT embed_text('m', 'x', ?)"),
    *("SELECT embed_image('m', ?)", "SELECT embed_image(?, 'images/red.png')"),
    "SELECT embed_image('m', 'images/red.png', ?)",
    *("SELECT cosine_similarity(?, x'0000803f')", "SELECT cosine_similarity(x'0000803f', ?)"),
]
# Where the value is good or unused, the error is about something else, which these words tell.
OTHERWISE = (
    *("no folder 'nothing'", "named 'nothing'", "'copied' exists", "datatype mismatch"),
    *("was replaced since the view", "unknown database", "which is no character"),
    *("no column 'm_clipen'", "table 't' exists", "'own'"),
)


def is_about_the_value(message: str) -> bool:
    return not any(words in message for words in OTHERWISE)


# What sqlite3 refuses before the function is called.
SQLITES_OWN = (UnicodeEncodeError, OverflowError, BufferError, ValueError)


@pytest.fixture(scope="module")
def hall(
    tmp_path_factory: pytest.TempPathFactory, clip_folder: Path
) -> Iterator[thanosql_dbapi.Connection]:
    """A connection with a converted table, in a workspace that is full of traps."""
    folder = tmp_path_factory.mktemp("bad") / "w"
    (folder / "images").mkdir(parents=True)
    (folder / "folder.csv").mkdir()
    shutil.copytree(clip_folder, folder / "tiny_clip")
    for color in ("red", "green", "blue"):
        Image.new("RGB", (48, 40), color).save(folder / "images" / f"{color}.png")
    names = ("red", "green", "blue")
    lines = [f"{number},images/{name}.png,{name}" for number, name in enumerate(names)]
    (folder / "photos.csv").write_text("\n".join(["photo_id,image_path,caption", *lines]))
    (folder / "afile").write_text("x")
    catalog = {"models": {"own": {"source": "images"}}}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    for name in ("fifo", "fifo.csv"):
        os.mkfifo(folder / name)
    (folder / "loop_a").symlink_to("loop_b")
    (folder / "loop_b").symlink_to("loop_a")
    listener = socket.socket(socket.AF_UNIX)
    with pytest.MonkeyPatch.context() as patch:  # a socket's path is short
        patch.chdir(folder)
        listener.bind("sock")
    connection = thanosql_dbapi.connect(
        folder / "photos.db", progress=False, network=True, catalog=folder / "catalog.json"
    )
    connection.execute("COPY photos FROM 'photos.csv'")
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    yield connection
    connection.close()
    listener.close()


def outcome(
    connection: thanosql_dbapi.Connection, sql: str, parameters: Any = ()
) -> BaseException | None:
    """Return what a statement raised, its rows read; it leaves no transaction open."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # of sqlite3's own date adapters
            connection.execute(sql, parameters).fetchall()
    except Exception as error:
        return error
    finally:
        assert not connection.in_transaction
    return None


def fault(error: BaseException | None, value: object) -> str:
    """Return what is wrong with an error about a value, or ""."""
    if error is None:
        return ""
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.InternalError):
        return f"{shown_as(value)}: {type(error).__name__}: {error!a:.200}"
    message = str(error)
    try:
        message.encode()
    except UnicodeEncodeError:
        return f"{shown_as(value)}: a message that cannot be printed: {message!a:.200}"
    is_named = names(message, value) or not is_about_the_value(message)
    return "" if is_named else f"{shown_as(value)} is not named: {message!a:.300}"


def shown_as(value: object) -> str:
    return object.__repr__(value) if isinstance(value, Unshowable) else ascii(value)[:60]


def names(message: str, value: object) -> bool:
    """Return whether a message names a value, by its beginning at least."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True  # nothing to name
    if isinstance(value, np.ndarray) and value.ndim == 1 and names(message, value.tolist()):
        return True  # its items are the values
    if isinstance(value, (list, tuple)):
        return not value or any(names(message, each) for each in value)
    shown = object.__repr__(value) if isinstance(value, Unshowable) else repr(value)
    forms = {shown[:20], shown[1:20], type(value).__name__, str(getattr(value, "shape", ""))}
    if isinstance(value, (bytes, bytearray, memoryview)):
        forms.add(f"{len(bytes(value))} bytes")
        forms.add(f"{bytes(value)[:12]!r}")
    if not isinstance(value, Unshowable):
        forms.add(str(value)[:20].strip())
        forms.add(str(value).removeprefix("file://"))
    return any(form and form in message for form in forms)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_no_bound_value_leads_out_of_pep_249(hall: thanosql_dbapi.Connection, sql: str) -> None:
    wrong = [fault(outcome(hall, sql, (value,)), value) for value in VALUES]
    assert [each for each in wrong if each] == []


@pytest.mark.parametrize("sql", NAMED)
def test_no_name_leads_out_of_pep_249(hall: thanosql_dbapi.Connection, sql: str) -> None:
    found = [
        (outcome(hall, sql.format(value.replace('"', '""'))), value) for value in PATHS if value
    ]
    wrong = [fault(error, value) for error, value in found]
    assert [each for each in wrong if each] == []


def is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@pytest.mark.parametrize("sql", FUNCTIONS)
def test_no_argument_leads_out_of_pep_249(hall: thanosql_dbapi.Connection, sql: str) -> None:
    found = [(outcome(hall, sql, (value,)), value) for value in VALUES]
    wrong = [
        # A number or an array that SQLite keeps as another type is not there to be named, nor half
        # a surrogate pair, which Python 3.12 and later bind and do not give to the function.
        fault(error, value if isinstance(value, str) and is_whole(value) else None)
        for error, value in found
        if not isinstance(error, SQLITES_OWN)
    ]
    assert [each for each in wrong if each] == []


CATALOGS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"5",
    "no UTF-8": b"\xff\xfe{}",
    "deep": b"[" * 200_000,
    "huge": b" " * (17 << 20),
    "models is a list": b'{"models": []}',
    "twice": b'{"models": {"a": {"source": "x"}, "a": {"source": "y"}}}',
    **{
        f"entry {number}": json.dumps({"models": {"mine": entry}}).encode()
        for number, entry in enumerate(
            [
                *(None, 5, [], "x", {}, {"source": 5}, {"source": ""}, {"source": "\0"}),
                *({"source": "\ud800"}, {"source": "~nobody_of_this_name/m"}, {"source": LONG}),
                *({"source": "ftp://x"}, {"source": "builtin:x"}, {"source": "hf:a b"}),
                *({"source": "http://[bad"}, {"source": "http://a..b/x"}, {"source": "loop_a"}),
                *({"source": "fifo"}, {"source": "/dev/zero"}, {"source": "afile"}),
                *({"source": "x", "sha256": "y"}, {"source": "x", "base": "a b"}),
                *({"source": "x", "license": {"a": 1}}, {"source": "http://127.0.0.1:1/\ud800"}),
            ]
        )
    },
    **{
        f"name {number}": json.dumps({"models": {name: {"source": "x"}}}).encode()
        for number, name in enumerate(["", " ", LONG, "a/b", "a\0b", "\ud800", "..", "a:b"])
    },
}


@pytest.mark.parametrize("name", CATALOGS)
def test_a_catalog_without_sense_is_refused(
    hall: thanosql_dbapi.Connection, tmp_path: Path, name: str
) -> None:
    for trap in ("fifo", "afile", "loop_a", "loop_b"):
        (tmp_path / trap).symlink_to(hall.workspace / trap)
    catalog = tmp_path / "bad_catalog.json"
    catalog.write_bytes(CATALOGS[name])
    connection = thanosql_dbapi.connect(
        tmp_path / "a.db", catalog=catalog, progress=False, network=True
    )
    error = outcome(connection, "GET THANOSQL MODEL mine")
    connection.close()
    assert isinstance(error, thanosql_dbapi.OperationalError), error
    assert "bad_catalog.json" in str(error) or "'mine'" in str(error)
    str(error).encode()


@pytest.mark.parametrize(
    "place",
    ["fifo", "images", "sock", "/dev/zero", "~nobody_of_this_name/c.json", "loop_a", LONG, "a\0b"],
)
def test_an_option_of_connect_that_names_no_file_is_refused(
    hall: thanosql_dbapi.Connection, place: str
) -> None:
    catalog = place if place[0] in "~/" else str(hall.workspace / place)
    for name in ("catalog", "workspace", "allowed_directories"):
        if name != "catalog" and place == "images":
            continue  # a good one
        with pytest.raises(
            thanosql_dbapi.ProgrammingError, match=r"catalog|workspace|allowed_dir|path"
        ) as caught:
            thanosql_dbapi.connect(":memory:", **{name: catalog})
        assert names(str(caught.value), catalog)


def test_a_catalog_that_becomes_a_pipe_is_refused(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text("{}")
    connection = thanosql_dbapi.connect(":memory:", catalog=catalog, progress=False)
    catalog.unlink()
    os.mkfifo(catalog)
    with pytest.raises(thanosql_dbapi.SourceError, match=r"catalog\.json"):
        connection.execute("LIST THANOSQL MODEL")
    connection.close()
