"""The public API is typed: mypy reads a program that uses it, and infers what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("thanosql", "thanosql_dbapi", "sqlalchemy_thanosql")

PROGRAM = """
from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import {module} as thanosql

connection = thanosql.connect("photos.db")
assert_type(connection, thanosql.Connection)
assert_type(connection.workspace, Path)
assert_type(thanosql.connect(), thanosql.Connection)
with thanosql.connect(
    Path("photos.db"),
    workspace=Path("photos"),
    allowed_directories=["/data"],
    catalog="catalog.json",
    device="cpu",
    progress=lambda done, total, what: print(done, total, what),
    offline=True,
    network=False,
    timeout=1.0,
    isolation_level=None,
) as inside:
    assert_type(inside, thanosql.Connection)

cursor = connection.execute("SELECT ?", (1,))
assert_type(cursor, thanosql.Cursor)
assert_type(cursor.execute("SELECT :a", {{"a": 1}}), thanosql.Cursor)
assert_type(cursor.executemany("INSERT INTO t VALUES (?)", [(1,)]), thanosql.Cursor)
assert_type(connection.executescript("SELECT 1"), thanosql.Cursor)
assert_type(cursor.connection, thanosql.Connection)
assert_type(cursor.fetchone(), Any)
assert_type(cursor.fetchall(), list[Any])
assert_type(cursor.rowcount, int)
assert_type(thanosql.to_vector(b""), NDArray[np.float32])
assert_type(thanosql.apilevel, str)
assert_type(thanosql.sqlite_version_info, tuple[int, int, int])

plain: sqlite3.Connection = connection
rows: sqlite3.Cursor = cursor
connection.row_factory = thanosql.Row
thanosql.register_adapter(Path, str)
error: sqlite3.ProgrammingError = thanosql.StatementError("no", statement="SEARCH", offset=1)
try:
    connection.execute("SEARCH")
except thanosql.StatementError as found:
    assert_type(found.line, int)
    assert_type(found.hint, str | None)
except thanosql.Error:
    pass

thanosql.connect(device=1)  # error: [arg-type]
thanosql.connect(progress="yes")  # error: [arg-type]
connection.execute(1)  # error: [arg-type]
thanosql.to_vector("text")  # error: [arg-type]
"""


# What the API's types do not come from takes mypy half a minute to read.
CONFIGURATION = """
[mypy]
strict = True
follow_imports = silent
error_summary = False
pretty = False

[mypy-torch.*,transformers.*,tokenizers.*,safetensors.*,pandas.*,sqlalchemy.*,IPython.*,PIL.*]
follow_imports = skip

[mypy-rich.*,prompt_toolkit.*,pygments.*,tqdm.*,httpx.*,huggingface_hub.*,pyarrow.*,openpyxl.*]
follow_imports = skip
"""


def test_mypy_infers_the_public_api(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text(CONFIGURATION, encoding="utf-8")
    expected = set()
    for module in ("thanosql", "thanosql_dbapi"):
        program = PROGRAM.format(module=module)
        (tmp_path / f"uses_{module}.py").write_text(program, encoding="utf-8")
        for number, line in enumerate(program.splitlines(), 1):
            if "# error: [arg-type]" in line:
                expected.add((f"uses_{module}.py", number))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "uses_thanosql.py", "uses_thanosql_dbapi.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    found = [line.split(":", 2) for line in done.stdout.splitlines()]
    assert [rest for *_, rest in found if "[arg-type]" not in rest] == [], done.stdout
    assert {(file, int(number)) for file, number, _ in found} == expected, done.stdout + done.stderr


def test_the_packages_say_that_they_are_typed() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file()
