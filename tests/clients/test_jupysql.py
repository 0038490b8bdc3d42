"""JupySQL's ``%sql`` on our engine, in a real IPython shell."""

from __future__ import annotations

import os

import pytest

import thanosql_dbapi

os.environ["PLOOMBER_STATS_ENABLED"] = "false"  # JupySQL reports its use over the network
pytest.importorskip("sql.magic", reason="the extra `clients` is not installed")
interactiveshell = pytest.importorskip("IPython.core.interactiveshell")

BLACK = "images/black.png"


@pytest.fixture
def shell(photo_engine, tmp_path, monkeypatch):
    """A shell with ``%sql`` on the engine."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    interactiveshell.InteractiveShell.clear_instance()
    shell = interactiveshell.InteractiveShell.instance()
    shell.user_ns["engine"] = photo_engine
    run(shell, "%load_ext sql")
    run(shell, "%config SqlMagic.feedback = 0")
    run(shell, "%config SqlMagic.named_parameters = 'enabled'")
    run(shell, "%sql engine --alias photos")
    yield shell
    run(shell, "%sql --close photos")
    shell.history_manager.end_session()
    interactiveshell.InteractiveShell.clear_instance()


def run(shell, code: str):
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


SEARCH = """
SELECT image_path, m_clipen_similarity1 AS similarity
FROM (SEARCH IMAGE image={} USING m AS SELECT * FROM photos)
ORDER BY similarity DESC LIMIT 2"""


def test_a_search_in_a_cell(shell):
    rows = run(shell, "%%sql" + SEARCH.format(f"'{BLACK}'"))
    assert rows[0][0] == BLACK
    assert rows[0][1] == pytest.approx(1, abs=1e-5)


def test_a_search_whose_image_is_a_variable(shell):
    shell.user_ns["wanted"] = BLACK
    for written in (":wanted", "'{{wanted}}'"):
        rows = run(shell, "%%sql" + SEARCH.format(written))
        assert rows[0][0] == BLACK


def test_vectors_arrive_as_arrays_in_a_data_frame(shell):
    frame = run(shell, "result = %sql SELECT * FROM photos\nresult.DataFrame()")
    assert list(frame.columns) == ["photo_id", "image_path", "caption", "m_clipen"]
    assert frame.m_clipen[0].shape == (24,)


def test_statements_of_ours_are_committed(shell, workspace):
    run(shell, "%sql COPY more FROM 'photos.csv'")
    run(shell, "%sql CONVERT USING m OPTIONS (table_name='more') AS SELECT * FROM more")
    other = thanosql_dbapi.connect(workspace / "photos.db", progress=False)
    assert other.execute("SELECT count(m_clipen) FROM more").fetchone() == (6,)
    other.close()
    assert [row[0] for row in run(shell, "%sql LIST MODEL")] == ["m"]


def test_the_list_of_tables_is_the_users(shell):
    tables = run(shell, "%sqlcmd tables")
    assert "photos" in str(tables)
    assert "thanosql_" not in str(tables)
    assert "m_clipen" in str(run(shell, "%sqlcmd columns --table photos"))
