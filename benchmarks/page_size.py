"""SQLite's page size for a table with vectors: ``python -m benchmarks.page_size --rows 25000``.

A vector of 512 dimensions takes 2,048 bytes. With its row it fills a page of 4,096 bytes, SQLite's
default, on its own: half of the file is empty, and a scan reads that half too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

import thanosql_dbapi as thanosql

from . import collection
from .measure import compare, machine
from .tiny_clip import DIMENSION

SIZES = (4096, 8192, 16384, 32768, 65536)
_TOUCHED = 1_000


def fill(path: Path, page_size: int, rows: int, matrix: np.ndarray) -> None:
    """Make a file with one table, with the rows and vectors of a collection."""
    path.unlink(missing_ok=True)
    with closing(thanosql.connect(path, isolation_level=None, progress=False)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute(collection.TABLE)
        connection.execute("BEGIN")
        collection.insert(connection, rows, matrix)
        connection.execute("COMMIT")


def scan(connection: thanosql.Connection, query: bytes) -> None:
    """Read every vector."""
    sql = f"SELECT sum(vec_distance_cosine({collection.COLUMN}, ?)) FROM photos"
    connection.execute(sql, (query,)).fetchone()


def scan_others(connection: thanosql.Connection) -> None:
    """Read every row, but no vector."""
    connection.execute("SELECT sum(album), max(description) FROM photos").fetchone()


def look_up(connection: thanosql.Connection, ids: list[int]) -> None:
    """Read single rows with their vectors."""
    for number in ids:
        connection.execute("SELECT * FROM photos WHERE photo_id = ?", (number,)).fetchone()


def update(connection: thanosql.Connection, ids: list[int]) -> None:
    """Change a small column of some rows, in one transaction."""
    connection.execute("BEGIN")
    connection.executemany(
        "UPDATE photos SET scene = scene + 1 WHERE photo_id = ?", [(number,) for number in ids]
    )
    connection.execute("COMMIT")


def main() -> None:
    """Make the table at each page size, and time what is done with it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files go; default: a temporary one")
    given = parser.parse_args()
    matrix = np.random.default_rng(0).random((given.rows, DIMENSION), dtype=np.float32)
    ids = random.Random(0).sample(range(1, given.rows + 1), min(_TOUCHED, given.rows))
    print(machine("sqlite-vec"))
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        paths = {size: Path(name) / f"{size}.db" for size in SIZES}

        def each(work: Callable[..., None], *arguments: object) -> dict[str, Callable[[], None]]:
            return {
                f"{size:,} bytes": partial(work, connection, *arguments)
                for size, connection in connections.items()
            }

        title = f"{given.rows:,} rows: executemany into a new file"
        makers = {
            f"{size:,} bytes": partial(fill, path, size, given.rows, matrix)
            for size, path in paths.items()
        }
        compare(title, makers, runs=min(given.runs, 3), warm_up=0)
        base = paths[SIZES[0]].stat().st_size
        print("\n### File size\n\n| | bytes | ratio |\n|---|---:|---:|")
        for size, path in paths.items():
            taken = path.stat().st_size
            print(f"| {size:,} bytes | {taken / 1e6:.0f} MB | {taken / base:.2f} |")
        connections = {
            size: thanosql.connect(path, isolation_level=None, progress=False)
            for size, path in paths.items()
        }
        query = matrix[0].tobytes()
        compare("Scan of the vectors", each(scan, query), runs=given.runs)
        compare("Scan of the other columns", each(scan_others), runs=given.runs)
        compare(f"{len(ids):,} rows by their id", each(look_up, ids), runs=given.runs)
        compare(f"Update of {len(ids):,} rows", each(update, ids), runs=given.runs)
        for connection in connections.values():
            connection.close()


if __name__ == "__main__":
    main()
