"""How results look: frames, pictures, tables, CSV and JSON."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi.errors import ProgrammingError, StatementError
from thanosql_dbapi.opening import open_database
from thanosql_dbapi.ui import display, formats, terminal
from thanosql_dbapi.ui.pictures import pictures
from thanosql_dbapi.ui.session import run, searches, statements_of
from thanosql_dbapi.ui.thumbnails import thumbnail

VECTOR = np.asarray([0.1, -0.25, 3.0, 1.0], dtype=np.float32)


# Frames


def test_frame_keeps_none_among_texts_and_makes_numbers_numeric() -> None:
    rows = [(1, 0.5, "a", None), (None, 1.5, None, None)]
    frame = display.frame(["n", "x", "text", "nothing"], rows)
    assert frame["n"].dtype == "float64"
    assert frame["x"].dtype == "float64"
    assert frame["text"].tolist() == ["a", None]
    assert frame["nothing"].tolist() == [None, None]
    assert "None" in str(frame)


def test_frame_of_whole_numbers_keeps_them_whole() -> None:
    assert display.frame(["n"], [(1,), (2,)])["n"].dtype == "int64"


@pytest.mark.parametrize("rows", [1, 3])
def test_frame_holds_vectors_as_arrays(rows: int) -> None:
    frame = display.frame(["v"], [(VECTOR,)] * rows)
    assert frame.shape == (rows, 1)
    assert all(value is VECTOR for value in frame["v"])


def test_frame_keeps_repeated_names_and_order() -> None:
    frame = display.frame(["a", "b", "a"], [(1, 2, 3)])
    assert list(frame.columns) == ["a", "b", "a"]
    assert frame.iloc[0].tolist() == [1, 2, 3]


def test_frame_without_rows_keeps_its_columns() -> None:
    frame = display.frame(["a", "b"], [])
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["a", "b"]
    assert len(frame) == 0


# Pictures


def test_pictures_have_absolute_paths_and_reasons(conn, tmp_path: Path) -> None:
    outcome = run(conn, "PRINT IMAGE AS SELECT * FROM t")
    shown = list(pictures(conn, outcome))
    assert [each.name for each in shown[:4]] == [
        str(tmp_path / name) for name in ("red.png", "blue.jpg", "broken.jpg", "missing.jpg")
    ]
    sizes = [(each.thumbnail.width, each.thumbnail.height) for each in shown[:2]]
    assert sizes == [(480, 288), (100, 200)]
    assert all(each.thumbnail is None for each in shown[2:])
    reasons = [each.reason for each in shown[2:]]
    assert "no image of a known format" in reasons[0]
    assert "'missing.jpg' does not exist" in reasons[1]
    assert reasons[2] == "the row has no image"
    assert "outside the workspace" in reasons[3]
    assert "network=True" in reasons[4]
    assert shown[6].name == "https://example.com/a.jpg"


def test_pictures_out_of_blobs(conn) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(file, "PNG")
    blob = file.getvalue()
    outcome = run(conn, "PRINT IMAGE OPTIONS (image_col='b') AS SELECT :b AS b", {"b": blob})
    (picture,) = pictures(conn, outcome)
    assert picture.name == f"<{len(blob):,} bytes>"
    assert (picture.thumbnail.width, picture.thumbnail.height) == (8, 8)


def test_options_may_be_bound_and_column_names_ignore_case(conn, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "sub" / "one.png")
    outcome = run(
        conn,
        "PRINT IMAGE OPTIONS (image_col=:col, base_dir=:dir, limit=:most)"
        " AS SELECT 'one.png' AS Picture UNION ALL SELECT 'two.png'",
        {"col": "picture", "dir": "sub", "most": 1},
    )
    (picture,) = pictures(conn, outcome)
    assert picture.name == str(tmp_path / "sub" / "one.png")
    assert picture.reason == ""


@pytest.mark.parametrize(
    ("limit", "option", "want"),
    [(None, "", 7), (3, "", 3), (3, "OPTIONS (limit=5)", 5), (0, "", 0)],
)
def test_the_statements_limit_wins(conn, limit: int | None, option: str, want: int) -> None:
    outcome = run(conn, f"PRINT IMAGE {option} AS SELECT * FROM t")
    assert len(list(pictures(conn, outcome, limit))) == want


def test_a_missing_column_names_the_others(conn) -> None:
    outcome = run(conn, "PRINT IMAGE AS SELECT similarity, caption FROM t")
    with pytest.raises(
        ProgrammingError,
        match=r"column 'image_path', and the query's columns are 'similarity', 'caption'; .*image",
    ):
        list(pictures(conn, outcome))


def test_an_option_of_the_wrong_type_is_an_error(conn) -> None:
    with pytest.raises(StatementError, match="'limit' must be a whole number of at least 0"):
        run(conn, "PRINT IMAGE OPTIONS (limit='many') AS SELECT * FROM t")


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ((1000, 600), (480, 288)),
        ((100, 50), (100, 50)),
        ((4000, 3), (480, 1)),
        ((1000, 20000), (144, 2880)),
    ],
)
def test_thumbnails_are_small_jpegs(size: tuple[int, int], want: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(thumbnail(Image.new("RGB", size)).content)) as image:
        assert image.format == "JPEG"
        assert image.size == want


# Tables in a terminal


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, "NULL"),
        (0.5, "0.5"),
        (0.31655998, "0.316560"),
        (0.0, "0.0"),
        (1e-7, "1e-07"),
        (1234567.123456, "1234567.123456"),
        (float("inf"), "inf"),
        (12, "12"),
        ("two\nlines", r"two\nlines"),
        ("\ta\x1b[2J\x85", r"\ta\x1b[2J\x85"),
        (b"abc", "<3 bytes>"),
        (VECTOR, "[0.100, -0.250, 3.000, … 4]"),
        (VECTOR[:2], "[0.100, -0.250]"),
    ],
)
def test_cells(value: object, want: str) -> None:
    assert display.cell(value) == want


def _printed(table: object, width: int) -> list[str]:
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_tables_numbers_stand_right_and_texts_left() -> None:
    table = terminal.table(["path", "n"], [("a", 1), ("long/path", 100), (None, None)])
    lines = _printed(table, 100)
    assert lines[0] == "path           n"
    assert lines[2:] == ["a              1", "long/path    100", "NULL        NULL"]


def test_a_narrow_terminal_shortens_texts_and_never_numbers() -> None:
    rows = [("thanosql-dataset/storybook/TKbP3KZNBq9.jpg", 0.316558)]
    line = _printed(terminal.table(["image_path", "similarity"], rows), 30)[-1]
    assert "…" in line
    assert line.endswith("0.316558")


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        ({}, None),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}, None),
        ({"TERM_PROGRAM": "Apple_Terminal"}, None),
    ],
)
def test_which_terminals_take_pictures(environment: dict[str, str], want: str | None) -> None:
    assert terminal.image_protocol(environment) == want


def test_pictures_for_kitty_come_in_chunks() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    jpeg = thumbnail(Image.fromarray(noise)).content
    pieces = terminal.inline_image(jpeg, "kitty").strip().split("\x1b\\")[:-1]
    heads = [piece.removeprefix("\x1b_G").partition(";")[0] for piece in pieces]
    assert heads[0] == "a=T,f=100,q=2,m=1"
    assert set(heads[1:-1]) == {"m=1"}
    assert heads[-1] == "m=0"
    data = "".join(piece.partition(";")[2] for piece in pieces)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == "PNG"
        assert image.size == (240, 180)


def test_pictures_for_iterm_are_one_sequence() -> None:
    jpeg = thumbnail(Image.new("RGB", (400, 300))).content
    text = terminal.inline_image(jpeg, "iterm")
    head, _, data = text.partition(":")
    assert head.startswith("\x1b]1337;File=inline=1;width=240px;")
    assert base64.b64decode(data.removesuffix("\a\n")) == jpeg


def test_sql_is_highlighted_with_our_words_as_keywords() -> None:
    from pygments.token import Keyword, Name

    kinds = {text: kind for kind, text in terminal.sql_lexer().get_tokens("SEARCH IMAGE x FROM t")}
    assert kinds["SEARCH"] is Keyword
    assert kinds["IMAGE"] is Keyword
    assert kinds["FROM"] is Keyword
    assert kinds["x"] is Name


# CSV and JSON

NAMES = ["a", "b", "a"]
ROWS = [(1, 'say "hi", you', None), (VECTOR, b"\x00\xff", float("inf"))]


def test_csv_follows_rfc_4180() -> None:
    file = io.StringIO(newline="")
    formats.write_csv(file, NAMES, ROWS)
    assert file.getvalue() == (
        'a,b,a\r\n1,"say ""hi"", you",\r\n"[0.1, -0.25, 3.0, 1.0]",AP8=,\r\n'
    )


def test_json_is_an_array_of_objects() -> None:
    file = io.StringIO()
    formats.write_json(file, NAMES, ROWS)
    assert json.loads(file.getvalue()) == [
        {"a": 1, "b": 'say "hi", you', "a_2": None},
        {"a": [0.1, -0.25, 3.0, 1.0], "b": "AP8=", "a_2": None},
    ]


def test_json_without_rows_is_an_empty_array() -> None:
    file = io.StringIO()
    formats.write_json(file, ["a"], [])
    assert json.loads(file.getvalue()) == []


# Databases by name, and statements in a text


def test_url_and_path_open_the_same_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a b.db", "thanosql:///a%20b.db", f"sqlite:///{tmp_path}/a%20b.db"):
        with open_database(name) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            connection.execute("INSERT INTO t VALUES (1)")
        connection.close()
    with open_database(str(tmp_path / "a b.db")) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)
    connection.close()


def test_url_options_reach_the_connection(tmp_path: Path) -> None:
    for name in ("w", "a", "b"):
        (tmp_path / name).mkdir()
    url = f"thanosql:///{tmp_path}/x.db?workspace={tmp_path}/w&device=cpu&offline=true&network=0"
    connection = open_database(
        f"{url}&allowed_directories={tmp_path}/a&allowed_directories={tmp_path}/b"
    )
    settings = connection.settings
    assert settings.workspace.root == tmp_path / "w"
    assert settings.workspace.allowed_directories == (tmp_path / "a", tmp_path / "b")
    assert (settings.device, settings.offline, settings.network) == ("cpu", True, False)
    connection.close()


def test_a_url_without_a_path_is_a_database_in_memory() -> None:
    connection = open_database("thanosql://")
    assert ":memory:" in repr(connection)
    connection.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("postgresql://host/db", "is not the URL of a local database; expected one of"),
        ("thanosql://photos.db", r"names the host 'photos.db'.* thanosql:///photos.db"),
        (
            "thanosql:///p.db?divice=cpu",
            "unknown option 'divice'; a URL takes workspace, a",
        ),
        ("thanosql:///p.db?offline=maybe", "'offline' takes true or false; got 'maybe'"),
    ],
)
def test_bad_urls_are_explained(name: str, message: str) -> None:
    with pytest.raises(ProgrammingError, match=message):
        open_database(name)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(thanosql_dbapi.OperationalError, match=r"there is no folder '.*nowhere'"):
        open_database(str(tmp_path / "nowhere" / "x.db"))


@pytest.mark.parametrize(
    ("variables", "want"),
    [
        ({}, "thanosql.db"),
        ({"THANOSQL_WORKSPACE": "w"}, "w/thanosql.db"),
        ({"THANOSQL_DATABASE": "mine.db"}, "mine.db"),
        ({"THANOSQL_DATABASE": "mine.db", "THANOSQL_WORKSPACE": "w"}, "mine.db"),
    ],
)
def test_the_database_when_none_is_named(
    variables: dict[str, str], want: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    for name in ("THANOSQL_WORKSPACE", "THANOSQL_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    connection = open_database()
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert (tmp_path / want).is_file()


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("", []),
        (" ;; -- only a comment\n/* and */ ;", []),
        ("SELECT ';'", ["SELECT ';'"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1;", " SELECT 2;"]),
        (
            "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 2",
            ["CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;", " SELECT 2"],
        ),
    ],
)
def test_statements_of_a_text(script: str, want: list[str]) -> None:
    assert statements_of(script) == want


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("SEARCH IMAGE text='a' USING m AS SELECT * FROM t", True),
        ("SELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT * FROM t) LIMIT 1", True),
        (
            "PRINT IMAGE AS SELECT * FROM (SEARCH TEXT text='x' USING m AS SELECT * FROM t)",
            True,
        ),
        ("CONVERT USING m AS SELECT * FROM t", False),
        ("LIST MODEL", False),
    ],
)
def test_searches(sql: str, want: bool) -> None:
    from thanosql_dbapi.language import parse

    assert searches(parse(sql)) is want
