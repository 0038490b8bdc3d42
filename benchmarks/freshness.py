"""A search after a write: ``python -m benchmarks.freshness --rows 1000000``.

One row's vector is written, or a row of another table, and committed; then the five nearest are
asked for. Only the search is timed. The writes come from this connection and from another one.
The collection is put back as it was.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from .collection import COLUMN, Collection, run
from .measure import report
from .search import SQL


def times(made: Collection, runs: int) -> None:
    """Print the time of a search after each kind of write."""
    own, other = made.connect(isolation_level=None), made.connect(isolation_level=None)
    own.execute("CREATE TABLE IF NOT EXISTS unrelated (n INTEGER)")
    vectors = own.execute(f"SELECT photo_id, {COLUMN} FROM photos WHERE photo_id <= 50").fetchall()
    count = 0

    def write_vector(connection: object) -> None:
        nonlocal count
        count += 1
        # Of another row: to write what is there already is no change.
        photo_id, vector = vectors[count % len(vectors)][0], vectors[count % len(vectors) - 1][1]
        sql = f"UPDATE photos SET {COLUMN} = ? WHERE photo_id = ?"
        connection.execute(sql, (vector, photo_id))  # type: ignore[attr-defined]

    def write_elsewhere(connection: object) -> None:
        connection.execute("INSERT INTO unrelated VALUES (1)")  # type: ignore[attr-defined]

    writes: dict[str, Callable[[], None]] = {
        "undisturbed": lambda: None,
        "after a vector was written": lambda: write_vector(own),
        "after a vector was written by another connection": lambda: write_vector(other),
        "after a write to another table": lambda: write_elsewhere(own),
        "after a write to another table by another connection": lambda: write_elsewhere(other),
    }
    taken: dict[str, list[float]] = {name: [] for name in writes}
    for turn in range(runs + 2):
        for name, write in writes.items():
            write()
            begin = time.perf_counter()
            own.execute(SQL).fetchall()
            if turn >= 2:
                taken[name].append(time.perf_counter() - begin)
    own.executemany(
        f"UPDATE photos SET {COLUMN} = ? WHERE photo_id = ?",
        [(vector, photo_id) for photo_id, vector in vectors],
    )
    own.execute("DROP TABLE unrelated")
    own.close()
    other.close()
    quartiles = {name: statistics.quantiles(each, n=4) for name, each in taken.items()}
    report(
        f"Search of {made.rows:,} rows after a write",
        {name: statistics.median(each) for name, each in taken.items()},
        {name: (each[2] - each[0]) / 2 for name, each in quartiles.items()},
    )


if __name__ == "__main__":
    run(times, runs=15)
