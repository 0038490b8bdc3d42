"""The package is typed: mypy reads ``typed.py``, which pins the public types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    not sqlalchemy.__version__.startswith("2.1"), reason="the types are those of SQLAlchemy 2.1"
)
def test_the_public_types_are_as_pinned():
    # From the root, so that it shares the cache of the run over the whole package.
    process = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/dialect/typed.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stdout == "Success: no issues found in 1 source file\n", process.stderr


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "sqlalchemy_thanosql" / "py.typed").is_file()
    assert "* = py.typed\n" in (ROOT / "setup.cfg").read_text("utf-8")
