"""The five nearest among the rows that a WHERE keeps: ``python -m benchmarks.filters``.

The condition keeps 50 %, 1 % or 0.01 % of the rows, on a column with an index and on one without,
inside SEARCH and outside. Ours stands against the scan of the same statement.
"""

from __future__ import annotations

from .collection import FILTERS, TEXT, Collection, run
from .measure import compare

_INSIDE = (
    f"SELECT photo_id, sim FROM (SEARCH IMAGE text='{TEXT}' USING m OPTIONS (result_col='sim')"
    " AS SELECT * FROM photos WHERE {}) ORDER BY sim DESC LIMIT 5"
)
_OUTSIDE = (
    f"SELECT photo_id, sim FROM (SEARCH IMAGE text='{TEXT}' USING m OPTIONS (result_col='sim')"
    " AS SELECT * FROM photos) WHERE {} ORDER BY sim DESC LIMIT 5"
)


def times(made: Collection, runs: int) -> None:
    """Print a table for each condition, and check that both answers are the same."""
    scanning, quick = made.connect(cache_bytes=0), made.connect()
    for place, sql in (("inside", _INSIDE), ("outside", _OUTSIDE)):
        for share, condition in FILTERS.items():
            for column, suffix in (("no index", ""), ("an index", "_indexed")):
                statement = sql.format(condition.format(suffix))
                candidates = {
                    "the scan (cache_bytes=0)": lambda s=statement: scanning.execute(s).fetchall(),
                    "thanosql": lambda s=statement: quick.execute(s).fetchall(),
                }
                assert len({repr(find()) for find in candidates.values()}) == 1, statement
                title = f"WHERE keeps {share}, {place} SEARCH, {column}, {made.rows:,} rows"
                compare(title, candidates, runs=runs)
    scanning.close()
    quick.close()


if __name__ == "__main__":
    run(times)
