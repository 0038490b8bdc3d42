"""The shell, as it is typed into."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import thanosql
from thanosql_dbapi.opening import open_database
from thanosql_dbapi.ui import completion, shell
from thanosql_dbapi.ui.terminal import Terminal


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[thanosql.Connection]:
    connection = open_database(str(tmp_path / "t.db"))
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", True),
        (".tables", True),
        ("-- all of them\n.tables", True),
        ("quit", True),
        ("exit;", True),
        ("/* how? */ HELP", True),
        ("quit the\nSELECT", False),
        ("SELECT 1;", True),
        ("SELECT 1", False),
        ("SELECT 1\n", True),
        ("SELECT 1\n  ", True),
        ("SELECT ';", False),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1;", False),
        ("LIST MODEL", True),
        ("LIST THANOSQL DATASET", True),
        ("DELETE MODEL m", True),
        ("GET THANOSQL MODEL m", False),
        ("SEARCH IMAGE text='a' USING m AS SELECT * FROM t", False),
        ("SEARCH IMAGE txt='a'", False),
    ],
)
def test_what_enter_runs(text: str, want: bool) -> None:
    assert shell.is_complete(text) is want


def test_long_results_are_cut_with_a_word(opened, capsys: pytest.CaptureFixture[str]) -> None:
    session = shell.Shell(opened, Terminal(2, "; .rows all shows all"))
    sql = (
        "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT * FROM c"
    )
    assert session.attempt(sql)
    assert capsys.readouterr().out.splitlines()[-1] == "… and 3 rows more; .rows all shows all"
    assert session.attempt(".rows all")
    assert session.attempt(sql)
    assert "more" not in capsys.readouterr().out


def test_ctrl_c_stops_a_statement(opened, capsys: pytest.CaptureFixture[str]) -> None:
    session = shell.Shell(opened, Terminal())
    lock = threading.Lock()
    lock.acquire()
    # In C, so that the signal finds no Python of the statement's own to stop instead.
    opened.create_function("under_way", 0, lock.release)

    def press() -> None:
        with lock:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    # Whoever starts the tests in the background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        endless = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c)"
        assert not session.attempt(f"{endless} SELECT count(*) FROM (SELECT under_way()), c")
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped" in capsys.readouterr().out
    assert session.attempt("SELECT 1")


@pytest.mark.parametrize(
    ("text", "typed", "want"),
    [
        ("SELECT im", "im", "image_path"),
        ("SELECT * FROM ph", "ph", "photos"),
        ("SEARCH IMAGE text='a' us", "us", "USING"),
        ("SEARCH IMAGE text='a' USING ", "", "my-clip.v2"),
        ("convert using my-c", "my-c", "my-clip.v2"),
        ("DELETE MODEL m", "m", "my-clip.v2"),
        ("GET THANOSQL MODEL story", "story", "storybook_clip"),
        ("GET THANOSQL DATASET ", "", "unsplash_data"),
        ("FIT MODEL b USING ", "", "my-clip.v2"),
        ("SELECT * FROM (PREDICT USING my", "my", "my-clip.v2"),
    ],
)
def test_what_is_completed(text: str, typed: str, want: str, opened) -> None:
    opened.execute("CREATE TABLE photos (image_path)")
    opened.execute("GET THANOSQL MODEL storybook_clip")
    opened.execute("UPDATE thanosql_models SET name = 'my-clip.v2'")
    got, found = completion.candidates(opened, text)
    assert got == typed
    assert want in found
    after_using = "using" in text.lower()
    assert not after_using or list(found) == [want]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("BUI", ["BUILD"]),
        ("BUILD ", ["MODEL"]),
        ("GET THANOSQL ", ["DATASET", "MODEL"]),
        ("SELECT 1; PRINT ", ["IMAGE", "AUDIO", "VIDEO"]),
        ("BUILD MODEL a USING CL", ["CLIPEn"]),
        ("BUILD MODEL a USING CLIPEn OPTIONS (label", ["label_col="]),
        ("BUILD MODEL a USING CLIPEn OPTIONS (label_col='label', over", ["overwrite="]),
        ("BUILD MODEL a USING CLIPEn OPTIONS (overwrite=True, ov", []),
        ("BUILD MODEL a USING CLIPEn OPTIONS (label_col='", ["image_path", "label"]),
        ("PREDICT USING m OPTIONS (labels=['a (', 'b'], emb_col='", ["m_clipen"]),
        ("PREDICT USING m OPTIONS (emb_col=", ["'m_clipen'"]),
        ("PREDICT USING m OPTIONS (result_col='", []),
        ("SELECT count(*) FROM (EVALUATE USING m OPTIONS (by_label=", ["True", "False"]),
        ("CONVERT USING m OPTIONS (on_error='n", ["null"]),
        ("FUNCTION compute.d", ["compute.duplicates"]),
        ("SELECT * FROM (FUNCTION compute.duplicates OPTIONS (thr", ["threshold="]),
        ("FUNCTION compute.similarity OPTIONS (src_table='", ["animals"]),
        ("FUNCTION compute.duplicates OPTIONS (threshold=0.9) AS SELECT m_", ["m_clipen"]),
    ],
)
def test_what_a_statement_takes_is_completed(text: str, want: list[str], opened) -> None:
    opened.execute("CREATE TABLE animals (image_path TEXT, label TEXT, m_clipen VECTOR(4))")
    typed, found = completion.candidates(opened, text)
    assert completion.matching(typed, found) == want


def test_nothing_is_completed_of_a_database_that_cannot_be_asked(opened) -> None:
    opened.set_authorizer(lambda *arguments: 1)  # SQLITE_DENY
    assert completion.candidates(opened, "CONVERT USING ") == ("", [])
    assert "SELECT" in completion.candidates(opened, "SEL")[1]


def test_at_a_prompt(opened, tmp_path: Path, monkeypatch, capsys) -> None:
    """Keys typed into the real prompt: two lines, an error, a command, Ctrl-D."""
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    keys = "SELECT 41 + 1\rAS answer;\rSELECT nope;\r\x03.tables\rLIST MODEL\r\x04"
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        typed.send_text(keys)
        shell.Shell(opened, Terminal()).interact()
    captured = capsys.readouterr()
    assert "42" in [line.strip() for line in captured.out.splitlines()]
    assert "model_name" in captured.out
    assert captured.err == "OperationalError: no such column: nope\n"
    history = tmp_path / "state" / "thanosql" / "history"
    assert "+AS answer;" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("word", ["quit", "exit;", "QUIT", ".quit", ".exit", "/* */ .quit"])
def test_words_that_leave(word: str, opened, capsys) -> None:
    session = shell.Shell(opened, Terminal())
    assert session.run_script(f"SELECT 1 AS a;\n{word}\nSELECT nope;")
    assert capsys.readouterr().err == ""


def test_help_and_commands_after_comments(opened, capsys) -> None:
    opened.execute("CREATE TABLE t (x)")
    session = shell.Shell(opened, Terminal())
    script = "-- the tables\n/* all\nof them */ .tables\nSELECT 1 AS a -- .nope\n;\nhelp\n.rows 2"
    assert session.run_script(script), capsys.readouterr().err
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "t"
    assert any(line.startswith("  .quit, quit, exit") for line in lines)
    assert "(now 100)" not in lines
    assert not session.run_script("-- one\n\n-- two\n.nope")
    assert "unknown command '.nope'" in capsys.readouterr().err


# Wide results


def _down(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns, as rich understands the environment."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_wide_row_is_shown_down_the_page(opened, narrow, capsys) -> None:
    session = shell.Shell(opened, Terminal(100))
    path = "a/very/long/path/" * 4
    assert session.attempt(f"SELECT 1 AS n, '{path}' AS image_path, 'b' || char(10, 27, 7) AS 이름")
    lines = _down(_plain(capsys.readouterr().out))
    assert lines[0].startswith("── row 1 ─")
    assert lines[1:] == ["n            1", f"image_path   {path}", r"이름         b\n\x1b\x07"]


def test_many_wide_rows_stay_a_table_unless_the_columns_have_no_room(
    opened, narrow, capsys
) -> None:
    session = shell.Shell(opened, Terminal(100))
    values = ", ".join(f"('{'x' * 90}', {n})" for n in range(9))
    assert session.attempt(f"VALUES {values}")
    table = _down(_plain(capsys.readouterr().out))
    assert len(table) == 2 + 9
    assert all(len(line) <= 60 for line in table)
    columns = ", ".join(f"'{'y' * 20}' AS c{n}" for n in range(9))
    assert session.attempt(f"SELECT {columns} FROM (VALUES (1), (2), (3), (4), (5), (6))")
    lines = _down(_plain(capsys.readouterr().out))
    assert len(lines) == 6 * (1 + 9)
    assert lines[-1] == f"c8   {'y' * 20}"


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
