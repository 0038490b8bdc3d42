"""sqlite-vec in every connection, and in no other, on Pythons of both kinds."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import thanosql_dbapi

PROGRAM = """
import sqlite3, thanosql_dbapi
ours = thanosql_dbapi.connect(":memory:")
plain = sqlite3.connect(":memory:")
print(hasattr(sqlite3.Connection, "enable_load_extension"))
print(ours.execute("SELECT vec_length(vec_f32('[1, 2, 3]'))").fetchone()[0])
try:
    plain.execute("SELECT vec_version()")
except sqlite3.OperationalError as error:
    print(error)
"""


def other_pythons() -> list[str]:
    """Interpreters of this one's version, whose site-packages therefore fit."""
    names = ["python3", f"python3.{sys.version_info.minor}", "/usr/bin/python3"]
    found = {str(Path(path).resolve()): path for path in map(shutil.which, names) if path}
    found[str(Path(sys.executable).resolve())] = sys.executable
    fitting = []
    for path in found.values():
        command = [path, "-c", "import sys; print(*sys.version_info[:2])"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.stdout.split() == [str(part) for part in sys.version_info[:2]]:
            fitting.append(path)
    return fitting


@pytest.mark.parametrize("python", other_pythons())
def test_every_kind_of_python_gets_sqlite_vec_and_keeps_it_to_our_connections(python: str) -> None:
    root = Path(thanosql_dbapi.__file__).parents[1]
    paths = os.pathsep.join([str(root), sysconfig.get_path("purelib")])
    answer = subprocess.run(
        [python, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines()[1:] == ["3", "no such function: vec_version"]


def test_extension_loading_is_off_again() -> None:
    with thanosql_dbapi.connect(":memory:") as connection:
        if hasattr(connection, "load_extension"):
            with pytest.raises(sqlite3.OperationalError, match="not authorized"):
                connection.load_extension("anything")
    connection.close()


def test_connections_opened_in_many_threads_all_have_it() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def version(_: int) -> str:
        connection = thanosql_dbapi.connect(":memory:")
        try:
            return str(connection.execute("SELECT vec_version()").fetchone()[0])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(version, range(40)))) == 1
