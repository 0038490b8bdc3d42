"""The tutorial's own SEARCH, all rows with their similarity: ``python -m benchmarks.full_search``.

It stands against the same SELECT without SEARCH, which is what fetching the rows costs, and
against numpy's product over the vectors of rows fetched so.
"""

from __future__ import annotations

import numpy as np

from .collection import COLUMN, TEXT, Collection, run
from .measure import compare

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


if __name__ == "__main__":
    run(times)
