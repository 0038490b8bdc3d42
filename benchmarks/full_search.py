"""The tutorial's own SEARCH, all rows with their similarity: ``python -m benchmarks.full_search``.

It stands against the same SELECT without SEARCH, which is what fetching the rows costs, and
against numpy's product over the vectors of rows fetched so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from .collection import COLUMN, KINDS, TEXT, Collection, collection
from .measure import compare, machine

_SEARCH = f"SEARCH IMAGE text='{TEXT}' USING m AS {{}}"
_ALL = "SELECT * FROM photos"
_BARE = f"SELECT photo_id, {COLUMN} FROM photos"
_NAMES = f"SELECT photo_id, {COLUMN}_similarity1 FROM ({{}})"


def times(made: Collection, runs: int) -> None:
    """Print the tables."""
    connection, query = made.connect(), made.query()

    def rows(sql: str) -> list[tuple[object, ...]]:
        return connection.execute(sql).fetchall()

    def by_numpy() -> object:
        return np.stack([row[1] for row in rows(_BARE)]) @ query

    compare(
        f"All columns of {made.rows:,} rows",
        {
            "SELECT * without SEARCH": lambda: rows(_ALL),
            "SEARCH … AS SELECT *": lambda: rows(_SEARCH.format(_ALL)),
        },
        runs=runs,
    )
    compare(
        f"Ids and similarities of {made.rows:,} rows",
        {
            "the vectors fetched, numpy's product": by_numpy,
            "SELECT photo_id, similarity FROM (SEARCH …)": lambda: rows(
                _NAMES.format(_SEARCH.format(_BARE))
            ),
        },
        runs=runs,
    )
    connection.close()


def main() -> None:
    """Time the full search."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--kind", choices=KINDS, default="clip")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where collections are kept")
    given = parser.parse_args()
    print(machine("numpy", "sqlite-vec"))
    times(collection(given.rows, given.kind, folder=given.folder), given.runs)


if __name__ == "__main__":
    main()
