"""The command line: one statement, scripts, exports, the shell and the demo."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from programs import REPOSITORY, Program

import thanosql
from thanosql_dbapi.language import parse
from thanosql_dbapi.storybook import MODEL_FOLDER
from thanosql_dbapi.ui import demo


@pytest.fixture
def photos(program: Program, tmp_path: Path) -> str:
    """A database of two pictures."""
    Image.new("RGB", (64, 48), "red").save(tmp_path / "red.jpg")
    done = program(
        "photos.db",
        "CREATE TABLE t (n INTEGER, image_path TEXT, x BLOB);"
        "INSERT INTO t VALUES (1, 'red.jpg', x'00ff'), (2, 'no, \"such\".jpg', NULL)",
    )
    assert (done.status, done.lines, done.err) == (0, ["Success", "Success"], "")
    return "photos.db"


# One statement


def test_a_statement_prints_a_table(program: Program, photos: str) -> None:
    done = program(photos, "SELECT n, image_path FROM t")
    assert done.status == 0
    assert done.lines[0] == "n   image_path"
    assert done.lines[2:] == ["1   red.jpg", '2   no, "such".jpg']


def test_nothing_is_cut_off_where_the_output_is_no_terminal(program: Program, photos: str) -> None:
    text = "x" * 3000
    assert text in program(photos, f"SELECT '{text}' AS a, '{text}' AS b").out


def test_print_prints_absolute_paths(program: Program, photos: str, tmp_path: Path) -> None:
    done = program(photos, "PRINT IMAGE AS SELECT * FROM t")
    assert done.status == 0
    assert done.lines == [str(tmp_path / "red.jpg"), str(tmp_path / 'no, "such".jpg')]
    assert done.err.startswith("cannot be shown: image 'no, \"such\".jpg' does not exist")


def test_csv(program: Program, photos: str) -> None:
    done = program(photos, "SELECT * FROM t", "--csv")
    assert done.out.splitlines(keepends=True)[0] == "n,image_path,x\r\n"
    assert list(csv.reader(io.StringIO(done.out)))[1:] == [
        ["1", "red.jpg", "AP8="],
        ["2", 'no, "such".jpg', ""],
    ]


def test_json(program: Program, photos: str) -> None:
    done = program("--json", photos, "SELECT * FROM t")
    assert json.loads(done.out) == [
        {"n": 1, "image_path": "red.jpg", "x": "AP8="},
        {"n": 2, "image_path": 'no, "such".jpg', "x": None},
    ]


def test_exports_of_a_statement_without_rows(program: Program, photos: str) -> None:
    assert program(photos, "CREATE TABLE u (x)", "--csv").out == ""
    assert json.loads(program(photos, "CREATE TABLE v (x)", "--json").out) == []
    assert program(photos, "SELECT * FROM u", "--csv").out == "x\r\n"


def test_exports_take_one_statement(program: Program, photos: str) -> None:
    done = program(photos, "SELECT 1; SELECT 2", "--csv")
    assert (done.status, done.out) == (1, "")
    assert "--csv and --json take one statement, and there are 2" in done.err


def test_errors_keep_their_caret_and_have_no_traceback(program: Program, photos: str) -> None:
    done = program(photos, "SEARCH IMAGE\n   txt='a' USING m AS SELECT * FROM t")
    assert (done.status, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("StatementError: SEARCH IMAGE: expected text= or image=")
    assert lines[1:] == ["     txt='a' USING m AS SELECT * FROM t", "     ^"]


def test_the_statement_has_its_place_and_options(program: Program, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "w" / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    sql = "PRINT IMAGE AS SELECT 'a.png' AS image_path UNION ALL SELECT '../b.png'"
    done = program("x.db", sql, "--workspace", "w")
    assert "outside the workspace" in done.err
    done = program("x.db", sql, "--workspace", "w", "--allow", str(tmp_path))
    assert (done.lines, done.err) == ([str(tmp_path / "w" / "a.png"), str(tmp_path / "b.png")], "")


def test_a_database_that_cannot_be_opened(program: Program) -> None:
    done = program("nowhere/x.db", "SELECT 1")
    assert done.status == 1
    assert "there is no folder" in done.err


def test_version_and_help(program: Program) -> None:
    assert program("--version").lines == [f"thanosql {thanosql.__version__}"]
    for line in ("thanosql demo", "doctor  Say what is", "--device DEVICE"):
        assert line in program("--help").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--csv", ":memory:", "SELECT 1 AS a"),
        (":memory:", "--csv", "SELECT 1 AS a"),
        ("--device", "cpu", ":memory:", "SELECT 1 AS a", "--csv"),
        ("--csv", "--", ":memory:", "SELECT 1 AS a"),
    ],
)
def test_options_stand_anywhere(arguments: tuple[str, ...], program: Program) -> None:
    assert program(*arguments).out == "a\r\n1\r\n"


def test_options_stand_before_a_command_too(program: Program) -> None:
    done = program("--rows", "0", "demo")
    assert (done.status, done.out) == (2, "")
    assert "--rows" in done.err
    assert "Usage: thanosql demo [OPTIONS] [FOLDER]" in done.err


@pytest.mark.parametrize("arguments", [("./demo",), ("--", "demo")])
def test_a_database_that_is_called_as_a_command_is(
    arguments: tuple[str, ...], program: Program, tmp_path: Path
) -> None:
    assert program(*arguments, "CREATE TABLE t (x)").out == "Success\n"
    with thanosql.connect(tmp_path / "demo") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pictures",), "'pictures' is a folder, and a database is a file"),
        (("SELECT * FROM photos",), "thanosql DATABASE 'SELECT * FROM photos'"),
        (("search image text='x' using m as t",), "the database is missing before the statement"),
        (("doctr",), "did you mean the command 'doctor'? A new database of that name: thanosql ./"),
        (("a.db", "--device", "gpu9"), "--device takes cpu, cuda, cuda:1 or mps; got 'gpu9'"),
        (("a.db", "--device", "cuda:77"), "device 'cuda:77' is not available; this machine has"),
        (("a.db", "--allow", "nowhere"), "--allow takes a folder, and '/"),
        (("a.db", "--workspace", "nowhere"), "/nowhere' does not exist; got"),
        (("a.db", "--csv", "--json"), "--csv and --json are two formats; name one"),
        (("a.db", "SELECT 1", "SELECT 2"), "unexpected extra argument"),
        (("thanosql:///a.db?device=gpu9",), "option 'device' takes cpu, cuda, cuda:1 or mps"),
        (("a.db", "--rows", "2"), "No such option '--rows'"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: tuple[str, ...], message: str, program: Program, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    done = program(*arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.splitlines()[-1].startswith("Error: ")
    assert [each.name for each in tmp_path.iterdir()] == ["pictures"]


def test_a_path_outside_is_allowed_by_an_option_that_the_message_names(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "my photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "my photos" / "a.png")
    sql = f"COPY t FROM '{tmp_path}/my photos'; SELECT count(*) AS n FROM t"
    done = program("w/x.db", sql)
    assert done.status == 1
    assert f"or start thanosql with --allow '{tmp_path}/my photos'\n" in done.err
    assert "allowed_directories" not in done.err
    done = program("w/x.db", sql, "--allow", "my photos")  # the current folder's
    assert (done.status, done.lines[-1]) == (0, "1")


def test_ours_are_the_names_it_exits_with(program: Program, monkeypatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thanosql_dbapi.ui.cli.open_database", interrupted)
    assert program("x.db", "SELECT 1").status == 130


# Scripts


def test_a_script_on_standard_input(program: Program, photos: str) -> None:
    done = program(photos, stdin=".tables\nSELECT 1 AS a;\n-- over\nSELECT 2 AS b")
    assert done.status == 0
    assert [line for line in done.lines if not line.startswith("─")] == ["t", "a", "1", "b", "2"]


def test_a_script_stops_at_the_first_error(program: Program, photos: str) -> None:
    done = program(photos, stdin="SELECT 1 AS a;\n\nSELECT\n  nope;\nSELECT 3 AS c")
    assert done.status == 1
    assert done.lines[0] == "a"
    assert "c" not in done.lines
    assert done.err.splitlines() == [
        "OperationalError: no such column: nope",
        "stopped: at the statement that begins in line 3",
    ]


def test_a_transaction_left_open_is_undone(program: Program, photos: str) -> None:
    program(photos, stdin="BEGIN; DELETE FROM t;")
    assert program(photos, "SELECT count(*) AS n FROM t", "--csv").out == "n\r\n2\r\n"


def test_quit_ends_a_script(program: Program, photos: str) -> None:
    done = program(photos, stdin=".quit\nSELECT nope;")
    assert (done.status, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    ("command", "want"),
    [
        (".tables", ["t"]),
        (".schema", ["CREATE TABLE t (n INTEGER, image_path TEXT, x BLOB);"]),
        (".schema T", ["CREATE TABLE t (n INTEGER, image_path TEXT, x BLOB);"]),
    ],
)
def test_commands(command: str, want: list[str], program: Program, photos: str) -> None:
    assert program(photos, stdin=command).lines == want


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ".nope",
            "unknown command '.nope'; the commands are .tables, .schema, .rows, .gallery, .help",
        ),
        (".schema nope", "no such table: nope"),
        (".rows many", ".rows takes a number or all, got 'many'"),
    ],
)
def test_wrong_commands(command: str, message: str, program: Program, photos: str) -> None:
    done = program(photos, stdin=command)
    assert done.status == 1
    assert message in done.err


def test_help_names_every_command_and_only_statements_that_parse(
    program: Program, photos: str
) -> None:
    text = program(photos, stdin=".help").out
    for command in (".tables", ".schema", ".rows", ".gallery", ".help", ".quit"):
        assert f"  {command}" in text
    for statement in re.findall(r"LIST (?:THANOSQL )?\w+|GET THANOSQL \w+ \w+", text):
        assert parse(statement) is not None


# As a program


@pytest.mark.parametrize("module", ["thanosql", "thanosql_dbapi"])
def test_as_a_program(module: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", module, "x.db", "SELECT 'é' AS a", "--csv"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\r\né\r\n".encode(), b"")


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    sql = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 50000)"
    command = [sys.executable, "-m", "thanosql_dbapi", "x.db", f"{sql} SELECT * FROM c", "--csv"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# The demo


def test_every_statement_of_the_demo_parses() -> None:
    for step in demo.STEPS:
        sql = step.sql.replace("{rows}", "10")
        assert "{" not in sql
        parse(sql)


def test_the_demo_wants_a_folder_of_its_own(program: Program, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    done = program("demo", "full")
    assert done.status == 1
    assert "is not empty, and the demo wants one of its own" in done.err
    assert program("demo", "--rows", "0").status == 2


@pytest.mark.skipif(not MODEL_FOLDER.is_dir(), reason="storybook_clip is not trained yet")
def test_the_demo(program: Program, tmp_path: Path) -> None:
    (tmp_path / "thanosql-demo").mkdir()
    done = program("demo", "--rows", "300")
    assert (done.status, done.err) == (0, "")
    place = tmp_path / "thanosql-demo-2"
    page = place / "gallery.html"
    text = page.read_text(encoding="utf-8")
    searches = [step.heading for step in demo.STEPS if step.heading]
    assert text.count("<section") == len(searches)
    assert text.count('src="data:image/jpeg') >= 5 * (len(searches) - 2)
    for heading in searches:
        assert f">{heading}</h2>" in text
    assert page.as_uri() in done.out
    assert "    thanosql thanosql-demo-2/photos.db" in done.lines
    with thanosql.connect(place / "photos.db") as connection:
        sql = done.out[done.out.index('sql = "') + 7 :].partition('"\n')[0]
        rows = connection.execute(sql, ("a cat in the rain",)).fetchall()
    connection.close()
    assert len(rows) == 5
    assert rows[0][-1] >= rows[4][-1]


# Bytes and streams that are not as usual


@pytest.mark.parametrize("arguments", [(), ("--csv",)])
def test_a_script_that_is_not_utf_8(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _started("photos.db", *arguments, folder=tmp_path, piped=b"SELECT '\xe9';\n")
    assert done.returncode == 1
    assert "what was typed or piped in is not UTF-8 at" in done.stderr.decode()
    assert "SELECT" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_statement_that_is_not_utf_8(program: Program, photos: str) -> None:
    done = program(photos, f"SELECT {os.fsdecode(b'1 AS caf%s' % bytes([0xE9]))}")
    assert (done.status, done.out) == (1, "")
    assert "what was typed or piped in is not UTF-8 at" in done.err


@pytest.mark.skipif(os.name != "posix", reason="the streams are closed by a shell")
def test_started_without_streams(tmp_path: Path) -> None:
    """What is printed reaches no file that happens to have the stream's number."""
    command = [sys.executable, "-m", "thanosql", "photos.db", "CREATE TABLE t AS SELECT 1 AS n"]
    closed = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run(closed, cwd=tmp_path, env=environment).returncode == 0
    with thanosql.connect(tmp_path / "photos.db") as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
    connection.close()
    closed[2] = '"$@" <&-'
    closed[-1:] = []
    done = subprocess.run(closed, cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def _started(*arguments: str, folder: Path, piped: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the program as a process of its own, whose standard input is real."""
    return subprocess.run(
        [sys.executable, "-m", "thanosql", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        input=piped,
        capture_output=True,
    )
