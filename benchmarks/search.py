"""The five nearest photographs, beside what else finds them.

::

    python -m benchmarks.search --rows 25000
    python -m benchmarks.search --rows 1000000 --kind uniform

The text is warm: it has been embedded before. Peers that are not installed are left out by name;
``pip install thanosql-dbapi[bench]`` installs them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .collection import KINDS, TEXT, Collection, collection
from .measure import compare, machine
from .memory import peak_bytes
from .peers import PEERS, AbsentError, Find, K

SQL = (
    f"SELECT photo_id, sim FROM (SEARCH IMAGE text='{TEXT}' USING m OPTIONS (result_col='sim')"
    f" AS SELECT * FROM photos) ORDER BY sim DESC LIMIT {K}"
)
_FEW_ROWS = 25_000


def driver(made: Collection, **options: Any) -> Find:
    """The statement through the driver, on a connection of its own."""
    connection = made.connect(**options)
    return lambda _: [row[0] for row in connection.execute(SQL)]


OURS = {
    "thanosql": driver,
    "thanosql, cache_bytes=0: the scan": lambda made: driver(made, cache_bytes=0),
}
_FIRST = "numpy float32, product + argpartition"
CANDIDATES = {_FIRST: PEERS[_FIRST], **OURS, **PEERS}


def best(made: Collection, query: Any) -> list[int]:
    """Return the ids of the five nearest in float64, best first."""
    matrix = np.load(made.folder / "vectors.npy", mmap_mode="r")
    wide = query.astype(np.float64)
    parts = [matrix[i : i + 10_000].astype(np.float64) for i in range(0, len(matrix), 10_000)]
    similarities = np.concatenate([part @ wide for part in parts])
    return [int(i) + 1 for i in np.argsort(-similarities, kind="stable")[:K]]


def times(made: Collection, names: list[str], runs: int) -> None:
    """Time the candidates, and say how many of the five nearest each finds."""
    query = made.query()
    finders: dict[str, Find] = {}
    for name in names:
        try:
            finders[name] = CANDIDATES[name](made)
        except (ImportError, AbsentError) as error:
            print(f"{name}: left out, {error}")
    wanted = set(best(made, query))
    recall = {name: len(wanted & set(find(query))) / K for name, find in finders.items()}
    compare(
        f"Top {K} of {made.rows:,} rows, {made.kind} vectors",
        {name: (lambda find=find: find(query)) for name, find in finders.items()},
        runs=runs,
        warm_up=2,
    )
    print("\n| | recall |\n|---|---:|")
    for name, share in recall.items():
        print(f"| {name} | {share:.1f} |")


def memory(made: Collection, names: list[str]) -> None:
    """Print the peak memory of a process that searches once, and bytes a row."""
    few = collection(_FEW_ROWS, made.kind, folder=made.folder.parent)
    print(f"\n### Peak memory, {made.rows:,} rows\n\n| | peak | bytes a row |\n|---|---:|---:|")
    for name in names:
        peaks = []
        for each in (few, made):
            command = [sys.executable, "-m", "benchmarks.search", "--once", name]
            command += ["--rows", str(each.rows), "--kind", each.kind]
            peaks.append(peak_bytes([*command, "--folder", str(made.folder.parent)]))
        a_row = (peaks[1] - peaks[0]) / max(made.rows - few.rows, 1)
        print(f"| {name} | {peaks[1] / 1e6:,.0f} MB | {a_row:,.0f} |")


def main() -> None:
    """Find the nearest photographs with each candidate."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--kind", choices=KINDS, default="clip")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where collections are kept")
    parser.add_argument("--only", nargs="+", help="candidates, by the first words of their names")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of times")
    parser.add_argument("--once", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    made = collection(given.rows, given.kind, folder=given.folder)
    names = [name for name in CANDIDATES if not given.only or any(map(name.startswith, given.only))]
    if given.once:
        CANDIDATES[given.once](made)(made.query())
    elif given.memory:
        memory(made, names)
    else:
        print(machine("numpy", "sqlite-vec"))
        times(made, names, given.runs)


if __name__ == "__main__":
    main()
