"""PRINT VIDEO: plays in a notebook from the time that a row says, prints paths in a terminal."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from films import BLUE, GREEN, RED, av, name_of, scenes, write_film
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import thanosql_dbapi
from thanosql_dbapi.errors import NotSupportedError, ProgrammingError
from thanosql_dbapi.ui.cli import main

SOURCE = re.compile(r'src="data:(video/\w+);base64,([^"#]+)(#[^"]*)?"')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    write_film(tmp_path / "films" / "rgb.mp4", scenes(RED, GREEN, BLUE))
    with thanosql_dbapi.connect(tmp_path / "films.db", progress=False) as connection:
        connection.execute("COPY frames OPTIONS (interval=1) FROM 'films'")
    connection.close()
    return tmp_path


@pytest.fixture
def shell(folder: Path) -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "thanosql")
    shell.run_cell("%thanosql films.db")
    yield shell
    shell.magics_manager.registry["ThanosqlMagics"].close()
    InteractiveShell.clear_instance()


def shown(shell: InteractiveShell, sql: str) -> tuple[list[str], list[Any]]:
    """Return the lines that a cell prints, and (media type, file, fragment) of its videos."""
    with capture_output() as captured:
        result = shell.run_cell(f"%%thanosql\n{sql}")
    if result.error_in_exec is not None:
        raise result.error_in_exec
    found = []
    for output in captured.outputs:
        if match := SOURCE.search(output.data.get("text/html", "")):
            found.append((match[1], base64.b64decode(match[2]), match[3] or ""))
    return captured.stdout.splitlines(), found


def test_a_notebook_plays_from_the_time_of_the_row(shell: InteractiveShell, folder: Path) -> None:
    lines, found = shown(shell, "PRINT VIDEO AS SELECT * FROM frames ORDER BY time_s LIMIT 2")
    film = folder / "films" / "rgb.mp4"
    assert lines == [str(film), f"{film}  at 1 s"]
    assert found == [("video/mp4", film.read_bytes(), ""), ("video/mp4", film.read_bytes(), "#t=1")]


def test_of_a_film_that_browsers_do_not_play_an_excerpt_is_shown(
    shell: InteractiveShell, folder: Path
) -> None:
    write_film(folder / "long.avi", scenes(*(RED, GREEN, BLUE) * 10), codec="mpeg4")
    _, [(kind, content, fragment)] = shown(
        shell, "PRINT VIDEO OPTIONS (video_col='v') AS SELECT 'long.avi' AS v, 4.0 AS start_s"
    )
    assert (kind, fragment) == ("video/mp4", "")
    with av.open(io.BytesIO(content)) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].codec_context.name == "h264"
    assert [name_of(frame) for frame in frames[5:200:10]] == list("gbr" * 7)[:20]
    assert len(frames) == 200


def test_what_cannot_be_shown_is_said(shell: InteractiveShell) -> None:
    rows = "VALUES ('gone.mp4'), ('../x.mp4'), (NULL), ('films/rgb.mp4')"
    lines, found = shown(shell, f"PRINT VIDEO AS SELECT column1 AS video_path FROM ({rows})")
    assert len(found) == 1
    assert sum("cannot be shown" in line for line in lines) == 3
    with pytest.raises(ProgrammingError, match=r"the column 'v', and the query's columns are '1'"):
        shown(shell, "PRINT VIDEO OPTIONS (video_col='v') AS SELECT 1")
    with pytest.raises(NotSupportedError, match="PRINT AUDIO"):
        shown(shell, "PRINT AUDIO AS SELECT 1")


def test_as_many_are_shown_as_the_limit_says(shell: InteractiveShell) -> None:
    rows = "SELECT 'films/rgb.mp4' AS video_path FROM frames JOIN frames JOIN frames"
    lines, found = shown(shell, f"PRINT VIDEO AS {rows}")
    assert (len(found), lines[-1][:13]) == (10, "… and 17 more")
    _, found = shown(shell, f"PRINT VIDEO OPTIONS (limit=1) AS {rows}")
    assert len(found) == 1


def test_a_terminal_prints_the_paths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "PRINT VIDEO OPTIONS (base_dir='films') AS SELECT 'rgb.mp4' AS video_path, 1.5 AS time_s"
    assert main(["films.db", sql]) == 0
    assert capsys.readouterr().out == f"{folder / 'films' / 'rgb.mp4'}  at 1.5 s\n"
    assert main(["films.db", "PRINT VIDEO AS SELECT 'gone.mp4' AS video_path"]) == 0
    assert "does not exist" in capsys.readouterr().err
