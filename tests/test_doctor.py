"""``thanosql doctor``, and two packages that are imported as ``thanosql``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thanosql_dbapi.ui.cli import main

REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = dict(line[2:].split(": ", 1) for line in lines)
    assert found["thanosql-dbapi"]
    assert found["vectors in SQLite"].endswith(" loads")
    assert found["devices"].startswith("cpu")
    assert found["import thanosql"] == "is this driver"
    assert "extra files" in found


@pytest.mark.parametrize("hosted_first", [True, False])
def test_the_hosted_products_client(tmp_path: Path, hosted_first: bool) -> None:
    """Its files as pip puts them, before or after ours on the path."""
    (tmp_path / "thanosql").mkdir()
    (tmp_path / "thanosql" / "__init__.py").write_text("class ThanoSQL: ...\n")
    facts = tmp_path / "thanosql-1.0.11.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: thanosql\nVersion: 1.0.11\n")
    (facts / "RECORD").write_text("thanosql/__init__.py,,\n")
    path = [str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(
        [sys.executable, "-m", "thanosql_dbapi", "doctor"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path if hosted_first else path[::-1])},
        cwd=tmp_path / "thanosql",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("! "))
    assert "the client of the hosted product, thanosql 1.0.11, is installed too" in line
    gives = "this driver's `import thanosql` is hidden, and gives that client"
    if not hosted_first:
        gives = "its `import thanosql` is hidden, and gives this driver"
    assert gives in line
    assert "pip uninstall -y thanosql && pip install --force-reinstall --no-deps" in line
