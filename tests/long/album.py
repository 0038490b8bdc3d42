"""What the long harnesses share: a workspace with a model, and a table that has vectors."""

from __future__ import annotations

import functools
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of torch would wait for one another

import thanosql_dbapi

DIMENSION = 128  # the built-in model's
MODEL = "storybook_clip"
TEXT = "a black cat"

TABLES = (
    "id INTEGER PRIMARY KEY, code TEXT UNIQUE",
    "id INTEGER, code TEXT UNIQUE",
    "id INTEGER, code TEXT",
)
"""A row id that a column holds, one that a dump changes, and one that VACUUM changes too."""


@functools.lru_cache(maxsize=20_000)
def vector(seed: int) -> bytes | None:
    """Return a value for a vector column; the first few seeds have no direction or are extreme."""
    odd = [None, 0.0, np.inf, 1e30, np.nan]
    if seed < len(odd):
        value = odd[seed]
        return None if value is None else np.full(DIMENSION, value, "<f4").tobytes()
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(DIMENSION) * 10 ** rng.uniform(-3, 3)).astype("<f4").tobytes()


def make_workspace(folder: Path, rows: int) -> Path:
    """Make a workspace: the model, and ``photos0.db`` and so on, one for each of :data:`TABLES`.

    Args:
        folder: An empty folder.
        rows: Rows of the table ``photos``, which has the watched columns ``v`` and ``u``.
    """
    for number, columns in enumerate(TABLES):
        with closing(connect(folder / f"photos{number}.db")) as connection:
            connection.execute(f"GET THANOSQL MODEL {MODEL}")
            connection.execute(f"CREATE TABLE photos ({columns}, album INTEGER, text TEXT)")
            for column in ("v", "u"):
                connection.execute(convert("photos", column))
            connection.execute(f"SELECT embed_text('{MODEL}', '{TEXT}')").fetchone()
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO photos (code, album, text, v, u) VALUES (?, ?, ?, ?, ?)",
                [
                    (f"c{n}", n % 7, f"a cat {n}", vector(5 + n), vector(500 + n))
                    for n in range(rows)
                ],
            )
            connection.execute("COMMIT")
    return folder


def convert(table: str, column: str, where: str = "1") -> str:
    """Return the CONVERT of some rows of a table into one of its own columns."""
    return (
        f"CONVERT USING {MODEL} OPTIONS (table_name='{table}', convert_type='text',"
        f" result_col='{column}') AS SELECT * FROM {table} WHERE {where}"
    )


def connect(file: Path, **options: Any) -> thanosql_dbapi.Connection:
    """Open a database that lies in the workspace of its folder; nothing begins by itself."""
    settings = {"progress": False, "isolation_level": None, "offline": True, **options}
    return thanosql_dbapi.connect(file, **settings)


def query_vector(folder: Path) -> bytes:
    """Return the vector of :data:`TEXT`."""
    with closing(connect(folder / "photos0.db")) as connection:
        found: bytes = connection.execute(f"SELECT embed_text('{MODEL}', '{TEXT}')").fetchone()[0]
    return found


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that nobody has open, in place: the target keeps its inode."""
    for suffix in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(source, target)
