"""The magics in real IPython shells, and in a real kernel."""

from __future__ import annotations

import base64
import builtins
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from PIL import Image

import thanosql
from thanosql_dbapi.errors import ProgrammingError, StatementError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Cell:
    """What one cell did."""

    def __init__(self, shell: InteractiveShell, source: str) -> None:
        with capture_output() as captured:
            result = shell.run_cell(source, store_history=True)
        self.value = result.result
        self.error: BaseException | None = result.error_before_exec or result.error_in_exec
        self.stdout: str = _COLOUR.sub("", captured.stdout)
        self.shown: list[RichOutput] = captured.outputs

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


Run = Callable[[str], Cell]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A fresh IPython in an empty folder, with the extension loaded."""
    monkeypatch.chdir(tmp_path)
    for name in ("THANOSQL_WORKSPACE", "THANOSQL_DATABASE", "THANOSQL_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "thanosql")
    yield shell
    shell.magics_manager.registry["ThanosqlMagics"].close()
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell: InteractiveShell) -> Run:
    return lambda source: Cell(shell, source)


@pytest.fixture
def table(run: Run, tmp_path: Path) -> None:
    """A table of three pictures, the last of which is no picture."""
    Image.new("RGB", (1200, 800), "red").save(tmp_path / "red.jpg")
    Image.new("RGB", (60, 80), "blue").save(tmp_path / "blue.png")
    run("%%thanosql\nCREATE TABLE t (n INTEGER, image_path TEXT)")
    cell = run("%%thanosql\nINSERT INTO t VALUES (1, 'red.jpg'), (2, 'blue.png'), (3, 'no.jpg')")
    assert cell.error is None


# Connecting


def test_both_packages_load_the_same_magics(shell: InteractiveShell, run: Run) -> None:
    connection = run("%thanosql").value
    assert run("%load_ext thanosql_dbapi").error is None
    assert run("%reload_ext thanosql").error is None
    assert run("%thanosql").value is connection


def test_a_token_is_taken_and_not_shown(run: Run, tmp_path: Path) -> None:
    cell = run("%thanosql API_TOKEN=<s3cret token>")
    assert cell.lines == [
        "A local database needs no API token; this one was neither kept nor sent anywhere."
    ]
    assert cell.value is None
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    "name",
    [
        "photos.db",
        "./photos.db",
        '"photos.db"',
        "'photos.db'",
        "thanosql:///photos.db",
        "sqlite:///photos.db",
        "$name",
        "{folder / name}",
    ],
)
def test_a_database_is_named_in_many_ways(name: str, run: Run, tmp_path: Path) -> None:
    run("from pathlib import Path; folder = Path.cwd(); name = 'photos.db'")
    connection = run(f"%thanosql {name}").value
    assert isinstance(connection, thanosql.Connection)
    run("%%thanosql\nCREATE TABLE t (x)")
    assert (tmp_path / "photos.db").is_file()
    assert connection.workspace == tmp_path
    assert str(tmp_path / "photos.db") in repr(connection)
    assert run("%thanosql").value is connection


def test_the_connection_is_a_value_for_python(run: Run) -> None:
    run("connection = %thanosql :memory:")
    run("connection.execute('CREATE TABLE t AS SELECT 7 AS x')")
    assert run("%thanosql SELECT x FROM t").value["x"].tolist() == [7]


def test_the_default_database_is_in_the_workspace(run: Run, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "w").mkdir()
    monkeypatch.setenv("THANOSQL_WORKSPACE", "w")
    run("%%thanosql\nCREATE TABLE t (x)")
    assert (tmp_path / "w" / "thanosql.db").is_file()


def test_the_line_may_connect_and_the_body_ask(run: Run, tmp_path: Path) -> None:
    run("%%thanosql other.db\nCREATE TABLE t (x)")
    assert (tmp_path / "other.db").is_file()


def test_a_bad_url_is_explained(run: Run) -> None:
    cell = run("%thanosql postgresql://host/db")
    assert isinstance(cell.error, ProgrammingError)
    assert "thanosql:///photos.db" in cell.stdout


# Statements


def test_rows_are_a_data_frame(run: Run, table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # IPython leaves `_` alone where the builtins have one, as they do after a doctest.
    monkeypatch.delattr(builtins, "_", raising=False)
    cell = run("%%thanosql\n\n-- a comment\nSELECT n, image_path FROM t ORDER BY n;\n")
    assert isinstance(cell.value, pandas.DataFrame)
    assert cell.value["n"].tolist() == [1, 2, 3]
    assert run("_").value is cell.value
    assert cell.stdout.startswith("Out[")  # a semicolon is SQL's own, and hides nothing
    assert "Searching" not in cell.stdout


def test_no_rows_is_success_and_an_empty_result_is_a_frame(run: Run, table: None) -> None:
    cell = run("%%thanosql\nDELETE FROM t WHERE n = 1")
    assert (cell.stdout, cell.value) == ("Success\n", None)
    cell = run("%%thanosql\nSELECT * FROM t WHERE 0")
    assert cell.value.shape == (0, 2)


def test_vectors_are_arrays(run: Run, table: None) -> None:
    run("import numpy as np, thanosql; v = np.ones(3, dtype=np.float32)")
    frame = run("%thanosql SELECT $v AS v").value
    vector = thanosql.to_vector(frame["v"][0])
    assert vector.tolist() == [1.0, 1.0, 1.0]


def test_a_cell_is_committed_unless_begin_was_said(run: Run, table: None) -> None:
    def count_elsewhere() -> int:
        connection = thanosql.connect("thanosql.db")
        (count,) = connection.execute("SELECT count(*) FROM t").fetchone()
        connection.close()
        return count

    assert count_elsewhere() == 3
    run("%thanosql BEGIN")
    run("%%thanosql\nDELETE FROM t")
    assert count_elsewhere() == 3
    run("%thanosql ROLLBACK")
    assert run("%thanosql SELECT count(*) AS n FROM t").value["n"][0] == 3
    run("%%thanosql\nDELETE FROM t")
    assert count_elsewhere() == 0


def test_python_sees_the_rows_whatever_its_row_factory(run: Run, table: None) -> None:
    run("import sqlite3; connection = %thanosql")
    run("connection.row_factory = sqlite3.Row")
    assert run("%thanosql SELECT n FROM t").value["n"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("cell", "want"),
    [
        ("%%thanosql\nBUILD MODEL a USING CLIPEn\nOPTIONS (label_", "label_col="),
        ("%%thanosql\nPREDICT USING m OPTIONS (emb_col='", "m_clipen"),
        ("x = 1\nframe = %thanosql SELECT * FROM anim", "animals"),
    ],
)
def test_a_statement_is_completed(
    cell: str, want: str, run: Run, shell: InteractiveShell, tmp_path: Path
) -> None:
    run(f"%thanosql {tmp_path / 'photos.db'}")
    run("%%thanosql\nCREATE TABLE animals (label TEXT, m_clipen VECTOR(4))")
    with provisionalcompleter():
        (found,) = shell.Completer.completions(cell, len(cell))
    assert found.text == want
    assert want.startswith(cell[found.start :])


def test_python_is_completed_as_ever_and_typing_opens_no_database(
    shell: InteractiveShell, run: Run, tmp_path: Path
) -> None:
    for cell, want in (("impo", "import"), ("%%thanosql\nSELECT * FRO", "FROM")):
        with provisionalcompleter():
            assert want in [each.text for each in shell.Completer.completions(cell, len(cell))]
    assert not list(tmp_path.glob("*.db"))


def test_two_statements_are_refused(run: Run, table: None) -> None:
    cell = run("%%thanosql\nDELETE FROM t; SELECT 2;")
    assert isinstance(cell.error, ProgrammingError)
    assert str(cell.error) == (
        "a cell takes one statement, and this one holds 2; put 'SELECT 2;' into a cell of its own"
    )
    assert run("%thanosql SELECT count(*) AS n FROM t").value["n"][0] == 3


@pytest.mark.parametrize("body", ["\n", "-- nothing\n", ";"])
def test_no_statement_is_an_error(body: str, run: Run) -> None:
    assert str(run(f"%%thanosql\n{body}").error) == "the cell holds no statement"


# Variables


def test_a_parameter_is_a_python_variable(run: Run, table: None) -> None:
    run("n, name = 2, \"it's; -- 'quoted'\"")
    frame = run(
        "%%thanosql\nSELECT n, $name AS a, :name AS b, @name AS c FROM t WHERE n = $n"
    ).value
    assert frame.values.tolist() == [[2, *["it's; -- 'quoted'"] * 3]]
    assert run("%thanosql SELECT n FROM t WHERE n < $n").value["n"].tolist() == [1]


def test_a_parameter_sees_local_variables(run: Run) -> None:
    run("def f(local):\n    return get_ipython().run_line_magic('thanosql', 'SELECT $local AS x')")
    assert run("f(5)").value["x"].tolist() == [5]


def test_values_of_numpy_and_pathlib_are_taken(run: Run) -> None:
    run("import numpy as np; from pathlib import Path; a = np.int64(3); p = Path('x')")
    frame = run("%%thanosql\nSELECT $a AS a, typeof($a) AS t, $p AS p").value
    assert frame.values.tolist() == [[3, "integer", "x"]]


def test_a_data_frame_is_copied_into_a_table(run: Run) -> None:
    run("import pandas; frame = pandas.DataFrame({'x': [1, 2], 'y': ['a', None]})")
    cell = run("%%thanosql\nCOPY t FROM $frame")
    assert (cell.error, cell.stdout) == (None, "Success\n")
    assert run("%thanosql SELECT * FROM t").value["y"].tolist() == ["a", None]


def test_what_stands_in_quotes_is_left_alone(run: Run) -> None:
    run("n = 2")
    frame = run("""%%thanosql\nSELECT '$n {n}' AS a, json_extract('{"n":1}', '$.n') AS b""").value
    assert frame.values.tolist() == [["$n {n}", 1]]
    line = run("""%thanosql SELECT json_extract('{"n":1}', '$.n') AS b, '{n}' AS a""").value
    assert line.values.tolist() == [[1, "{n}"]]


@pytest.mark.parametrize(
    "source", ["%%thanosql $query", "%thanosql $query", "%%thanosql\n$query\n"]
)
def test_a_variable_alone_is_the_statement(source: str, run: Run, table: None) -> None:
    run("query, n = 'SELECT n FROM t WHERE n = $n', 3")
    cell = run(source)
    assert cell.error is None
    assert cell.value["n"].tolist() == [3]


def test_an_expression_alone_is_the_statement(run: Run, table: None) -> None:
    run("tables = ['t']")
    frame = run("%%thanosql {'SELECT count(*) AS n FROM ' + tables[0]}").value
    assert frame["n"].tolist() == [3]


def test_a_missing_variable_is_named(run: Run) -> None:
    cell = run("%%thanosql\nSELECT 1,\n  $nowhere")
    assert isinstance(cell.error, ProgrammingError)
    assert str(cell.error).startswith("there is no Python variable 'nowhere' to bind to $nowhere")
    cell = run("%%thanosql $nowhere")
    assert isinstance(cell.error, UsageError)
    assert "name 'nowhere' is not defined" in str(cell.error)
    assert "has no name; in a notebook write $name" in str(run("%thanosql SELECT ?").error)


def test_a_variable_alone_must_be_a_text(run: Run) -> None:
    run("query = 12")
    assert "expected the text of a statement, got 12" in str(run("%%thanosql $query").error)


# Errors


def test_errors_are_short_and_keep_their_type(run: Run) -> None:
    cell = run("%%thanosql\nSEARCH IMAGE\n  txt='a' USING m AS SELECT * FROM t")
    assert isinstance(cell.error, StatementError)
    assert (cell.error.line, cell.error.column) == (2, 3)
    assert cell.lines[0].startswith("StatementError: SEARCH IMAGE: expected text= or image=")
    assert cell.lines[-1] == "    ^"
    assert "Traceback" not in cell.stdout
    cell = run("%%thanosql\nSELECT * FROM nowhere")
    assert cell.lines == ["OperationalError: no such table: nowhere"]


def test_tb_shows_the_traceback_after_all(run: Run) -> None:
    run("%%thanosql\nSELECT * FROM nowhere")
    assert "Traceback" in run("%tb").stdout


def test_errors_of_the_connection_in_python_keep_their_traceback(run: Run) -> None:
    run("connection = %thanosql")
    assert "Traceback" in run("connection.execute('SELECT * FROM nowhere')").stdout


def test_searching_is_said_before_the_search(run: Run, table: None) -> None:
    cell = run(
        "%%thanosql\nSELECT * FROM (SEARCH IMAGE text='a' USING m AS SELECT * FROM t) LIMIT 5"
    )
    assert cell.lines[0] == "Searching..."
    assert "GET THANOSQL MODEL m" in cell.lines[1]


def test_convert_of_many_rows_shows_its_counts_and_a_head(
    run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    for sql in (
        "COPY photos FROM 'photos.csv'",
        "INSERT INTO photos SELECT b.* FROM photos AS a, photos AS b",  # 42 rows
        "UPLOAD MODEL m FROM 'tiny_clip'",
    ):
        assert run(f"%%thanosql\n{sql}").error is None
    sql = "CONVERT USING m OPTIONS (table_name='photos') AS SELECT image_path FROM photos"
    cell = run(f"%%thanosql\n{sql}")
    assert re.fullmatch(
        r"CONVERT photos: 42 converted, on \w+ \(\w+\)\.", cell.shown[0].data["text/plain"]
    )
    assert cell.value.shape == (42, 2)
    shown = InteractiveShell.instance().display_formatter.format(cell.value)[0]
    assert shown["text/html"].count("<tr") == 1 + 5
    for text in shown.values():
        assert "the first 5 of 42 rows × 2 columns" in text
    # What is made of it is a frame like any other.
    shown = InteractiveShell.instance().display_formatter.format(cell.value[["image_path"]])[0]
    assert shown["text/html"].count("<tr") == 1 + 42


# PRINT


def test_print_shows_paths_and_images(run: Run, table: None, tmp_path: Path) -> None:
    cell = run("%%thanosql\nPRINT IMAGE\nAS\nSELECT image_path FROM t ORDER BY n")
    assert cell.error is None
    assert cell.value is None
    assert cell.lines[:3] == [str(tmp_path / each) for each in ("red.jpg", "blue.png", "no.jpg")]
    assert cell.lines[3].startswith("  cannot be shown: image 'no.jpg' does not exist")
    assert [each.metadata["image/jpeg"] for each in cell.shown] == [
        {"width": 240, "alt": "red.jpg"},
        {"width": 240, "alt": "blue.png"},
    ]
    sizes = []
    for each in cell.shown:
        with Image.open(io.BytesIO(base64.b64decode(each.data["image/jpeg"]))) as image:
            assert image.format == "JPEG"
            sizes.append(image.size)
    assert sizes == [(480, 320), (60, 80)]


def test_print_shows_blobs(run: Run) -> None:
    run("from PIL import Image; import io; file = io.BytesIO()")
    run("Image.new('RGB', (9, 9)).save(file, 'PNG'); blob = file.getvalue()")
    cell = run("%%thanosql\nPRINT IMAGE OPTIONS (image_col='b') AS SELECT $blob AS b")
    assert cell.lines[0].endswith("bytes>")
    assert len(cell.shown) == 1


def test_print_stops_at_its_limit_and_says_so(run: Run, table: None) -> None:
    run("%config ThanosqlMagics.image_limit = 1")
    cell = run("%%thanosql\nPRINT IMAGE AS SELECT image_path FROM t")
    assert len(cell.shown) == 1
    assert cell.lines[-1].startswith("… and 2 more; OPTIONS (limit=…)")
    cell = run("%%thanosql\nPRINT IMAGE OPTIONS (limit=2) AS SELECT image_path FROM t")
    assert len(cell.shown) == 2
    assert "more" not in cell.stdout
    cell = run("%%thanosql\nPRINT IMAGE AS SELECT * FROM t")
    assert cell.shown[0].data["text/html"].count("<figure") == 1
    assert cell.lines[-1].startswith("… and 2 more; OPTIONS (limit=…)")


def test_print_of_several_columns_is_a_grid(run: Run, table: None, tmp_path: Path) -> None:
    cell = run(
        "%%thanosql\nPRINT IMAGE AS SELECT image_path, 1.0 / n AS similarity,"
        " '<b> & “' || n AS caption FROM t ORDER BY n"
    )
    assert cell.error is None
    assert cell.value is None
    (grid,) = cell.shown
    page = grid.data["text/html"]
    assert page.count("<figure") == 3
    assert re.findall(r'<img src="data:image/jpeg;base64,[^"]+" width="240"', page)
    assert re.findall(r' alt="([^"]*)"', page) == ["&lt;b&gt; &amp; “1", "&lt;b&gt; &amp; “2"]
    assert re.findall(r"<b>(\d\.\d+)</b>", page) == ["1.000", "0.500", "0.333"]
    assert re.findall(r"<bdi>([^<]*\.(?:jpg|png))</bdi>", page) == ["red.jpg", "blue.png", "no.jpg"]
    assert "cannot be shown" in page
    assert str(tmp_path) not in page.replace("(looked for at", "").replace(
        f"&#39;{tmp_path}/no.jpg&#39;", ""
    )
    lines = grid.data["text/plain"].splitlines()
    assert lines[:2] == [f"1.000  {tmp_path / 'red.jpg'}", f"0.500  {tmp_path / 'blue.png'}"]
    assert lines[2].startswith(f"0.333  {tmp_path / 'no.jpg'}  cannot be shown: image 'no.jpg'")


def test_a_grid_of_no_rows_says_so(run: Run, table: None) -> None:
    cell = run("%%thanosql\nPRINT IMAGE AS SELECT * FROM t WHERE 0")
    assert cell.shown[0].data["text/plain"] == "no pictures"


def test_print_without_the_column_names_the_others(run: Run, table: None) -> None:
    cell = run("%%thanosql\nPRINT IMAGE AS SELECT n FROM t")
    assert isinstance(cell.error, ProgrammingError)
    assert "the query's columns are 'n'" in cell.stdout


# A real kernel


def test_in_a_real_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")

    Image.new("RGB", (1200, 800), "red").save(tmp_path / "red.jpg")
    repository = Path(__file__).resolve().parents[1]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.delenv("THANOSQL_DATABASE", raising=False)
    sources = [
        "%load_ext thanosql\n%thanosql API_TOKEN=abc",
        "%%thanosql\nCREATE TABLE t AS SELECT 'red.jpg' AS image_path, NULL AS x",
        "%%thanosql\nSELECT * FROM t",
        "%%thanosql\nPRINT IMAGE AS SELECT image_path FROM t",
        "%%thanosql\nPRINT IMAGE AS SELECT * FROM t",
        "%%thanosql\nSELECT * FROM nowhere",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=120,
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    token, create, select, show, grid, wrong = [cell["outputs"] for cell in notebook["cells"]]
    assert "needs no API token" in token[0]["text"]
    assert create[0]["text"] == "Success\n"
    assert "<td>red.jpg</td>" in select[0]["data"]["text/html"]
    assert "None" in select[0]["data"]["text/html"]
    assert show[0]["text"] == f"{tmp_path / 'red.jpg'}\n"
    assert show[1]["metadata"] == {"image/jpeg": {"width": 240, "alt": "red.jpg"}}
    assert 'alt="red.jpg"' in grid[0]["data"]["text/html"]
    assert wrong[0]["ename"] == "OperationalError"
    assert wrong[0]["traceback"] == ["OperationalError: no such table: nowhere"]
