"""The five nearest photographs, beside what else finds them.

::

    python -m benchmarks.search --rows 25000
    python -m benchmarks.search --rows 1000000 --kind uniform
    python -m benchmarks.search --rows 1000000 --threads 1 2 16

With ``--threads`` numpy and the driver are compared in a process of their own for each number,
which may use so many cores and no more. Where there is a GPU, it takes part.

The text is warm: it has been embedded before. Peers that are not installed are left out by name;
``pip install thanosql-dbapi[bench]`` installs them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .collection import KINDS, TEXT, Collection, collection
from .measure import compare, machine, shown
from .memory import peak_bytes
from .peers import PEERS, AbsentError, Find, K, cuda
from .tiny_clip import DIMENSION

SQL = (
    f"SELECT photo_id, sim FROM (SEARCH IMAGE text='{TEXT}' USING m OPTIONS (result_col='sim')"
    f" AS SELECT * FROM photos) ORDER BY sim DESC LIMIT {K}"
)
_FEW_ROWS = 25_000
_OURS = "thanosql"
_NUMBER_OF_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def driver(made: Collection, **options: Any) -> Find:
    """The statement through the driver, on a connection of its own."""
    connection = made.connect(**{"device": "cpu", **options})
    return lambda _: [row[0] for row in connection.execute(SQL)]


def driver_on_gpu(made: Collection) -> Find:
    """The same with the vectors on a GPU, where torch is loaded: a search does not load it."""
    torch = cuda()
    find, before = driver(made, device="cuda"), torch.cuda.memory_allocated()
    find(None)
    if torch.cuda.memory_allocated() - before < made.rows * DIMENSION:
        raise AbsentError("the vectors are not on the GPU: has it room for them?")
    return find


OURS = {
    _OURS: driver,
    "thanosql on the GPU": driver_on_gpu,
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


def times(made: Collection, names: list[str], runs: int) -> dict[str, float]:
    """Time the candidates, and say how many of the five nearest each finds.

    Returns:
        Median seconds, by name.
    """
    query = made.query()
    finders: dict[str, Find] = {}
    for name in names:
        try:
            finders[name] = CANDIDATES[name](made)
        except (ImportError, AbsentError) as error:
            print(f"{name}: left out, {error}")
    wanted = set(best(made, query))
    recall = {name: len(wanted & set(find(query))) / K for name, find in finders.items()}
    medians = compare(
        f"Top {K} of {made.rows:,} rows, {made.kind} vectors",
        {name: (lambda find=find: find(query)) for name, find in finders.items()},
        runs=runs,
        warm_up=2,
    )
    print("\n| | recall |\n|---|---:|")
    for name, share in recall.items():
        print(f"| {name} | {share:.1f} |")
    return medians


def threads(made: Collection, counts: list[int], runs: int) -> None:
    """Compare numpy and the driver where a process may use so many cores, for each number."""
    cores = sorted(os.sched_getaffinity(0))
    print(f"\n### Top {K} of {made.rows:,} rows, {made.kind} vectors, by cores\n")
    print(f"| cores | numpy float32 | {_OURS} | ratio |\n|---:|---:|---:|---:|")
    for count in counts:
        if count > len(cores):
            print(f"| {count} | left out: there are {len(cores)} | | |")
            continue
        command = [sys.executable, "-m", "benchmarks.search", "--rows", str(made.rows)]
        command += ["--kind", made.kind, "--runs", str(runs), "--only", _FIRST, _OURS, "--json"]
        command += ["--folder", str(made.folder.parent)]
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_NUMBER_OF_THREADS, str(count))},
            preexec_fn=lambda allowed=cores[:count]: os.sched_setaffinity(0, allowed),
        )
        medians = json.loads(done.stdout.splitlines()[-1])
        numpy, ours = medians[_FIRST], medians[_OURS]
        print(f"| {count} | {shown(numpy)} | {shown(ours)} | {ours / numpy:.2f} |", flush=True)


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
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of cores (Linux)")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of times")
    parser.add_argument("--once", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    made = collection(given.rows, given.kind, folder=given.folder)
    wanted = given.only or [""]
    names = [name for name in CANDIDATES if any(map(name.startswith, wanted))]
    if given.json:
        names = [name for name in CANDIDATES if name in wanted]
    if given.once:
        CANDIDATES[given.once](made)(made.query())
    elif given.memory:
        memory(made, names)
    elif given.threads:
        print(machine("numpy", "sqlite-vec"))
        threads(made, given.threads, given.runs)
    else:
        print(machine("numpy", "sqlite-vec"))
        medians = times(made, names, given.runs)
        if given.json:
            print(json.dumps(medians))


if __name__ == "__main__":
    main()
