"""Many questions at once, against one: ``python -m benchmarks.many_texts``.

A hundred texts in one SEARCH: the five nearest to the first, all rows, and texts that were never
asked. And a join: the five nearest of a table for each row of a query, against one top-k search for
each row. What counts is the ratio.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time

import numpy as np

from thanosql_dbapi.models.query_cache import queries

from .collection import TEXT, Collection, run
from .measure import compare, shown

_MANY = 100
_TEXTS = [TEXT, *(f"picture {number} of a dog" for number in range(1, _MANY))]
_SEARCH = "SEARCH IMAGE texts=? USING m AS SELECT * FROM photos"
_BEST = (
    f"SELECT photo_id, m_clipen_similarity1 FROM ({_SEARCH})"
    " ORDER BY m_clipen_similarity1 DESC LIMIT 5"
)
_NEAREST = """
SELECT photo_id, nearest, nearest_similarity FROM (
    FUNCTION compute.nearest OPTIONS (src_table='photos', key_col='photo_id',
                                      src_key_col='photo_id', top_k=5)
    AS SELECT photo_id, m_clipen FROM photos LIMIT ?)
"""
_ONE_ROW = """
SELECT photo_id FROM photos
ORDER BY cosine_similarity(m_clipen, ?) DESC LIMIT 6
"""
_SAMPLE = 50


def times(made: Collection, runs: int) -> None:
    """Print tables of 1 and 100 texts, known and new, and of a join."""
    connection = made.connect()
    fresh = itertools.count()

    def search(count: int, sql: str) -> None:
        connection.execute(sql, [_TEXTS[:count]]).fetchall()

    def ask_new(count: int) -> None:
        queries.clear()
        texts = [f"never asked {next(fresh)} {time.time()}" for _ in range(count)]
        connection.execute(_BEST, [texts]).fetchall()

    for what, work in {
        "the five nearest to the first": lambda count: search(count, _BEST),
        "the same, texts that were never asked": ask_new,
        "all rows": lambda count: search(count, _SEARCH),
    }.items():
        compare(
            f"Texts in one SEARCH of {made.rows:,} rows, {what}",
            {
                "1 text": lambda work=work: work(1),
                f"{_MANY} texts": lambda work=work: work(_MANY),
            },
            runs=min(runs, 3) if what == "all rows" else runs,
        )
    _join(made)
    connection.close()


def _join(made: Collection) -> None:
    connection = made.connect()
    vectors = made.matrix()[:_SAMPLE]
    connection.execute(_ONE_ROW, [vectors[0].astype("<f4").tobytes()]).fetchall()
    begin = time.perf_counter()
    for vector in vectors:
        connection.execute(_ONE_ROW, [vector.astype("<f4").tobytes()]).fetchall()
    alone = (time.perf_counter() - begin) / _SAMPLE
    before, begin, used = _peak_mib(), time.perf_counter(), time.process_time()
    pairs = connection.execute(_NEAREST, [made.rows]).fetchall()
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    assert len(pairs) == 5 * made.rows
    _check(made, pairs)
    memory = _peak_mib() - before
    print(f"\n### The five nearest of {made.rows:,} rows for each of them\n")
    print("| | seconds | of the processor | memory beyond what there was |")
    print("|---|---:|---:|---:|")
    print(f"| FUNCTION compute.nearest | {seconds:.1f} | {used:.1f} | {memory:.0f} MiB |")
    print(f"| a search for each row, {shown(alone)} each | {alone * made.rows:.1f} | | |")
    connection.close()


def _check(made: Collection, pairs: list[tuple[int, int, float]]) -> None:
    """Check some rows against float64."""
    unit = made.matrix().astype(np.float64)
    for row in range(0, made.rows, max(1, made.rows // 20)):
        cosines = unit @ unit[row]
        cosines[row] = -np.inf
        best = np.sort(cosines)[::-1][:5]
        found = [similar for _, _, similar in pairs[5 * row : 5 * row + 5]]
        assert np.abs(best - found).max() < 1e-5, row


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    run(times)
