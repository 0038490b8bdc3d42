"""What a warm SEARCH of 60 rows costs beside the bare scan: ``python -m benchmarks.overhead``.

Both ask for the five most similar rows of the same table; the bare scan is plain sqlite3 with the
query's vector bound. Also printed: the driver's own SQL statements, and the calls of Python
functions and the modules they are in.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

import thanosql_dbapi

from .tiny_clip import make_model

ROWS, ROUNDS, TIMES = 60, 15, 200
SEARCH = (
    "SELECT id, s FROM (SEARCH IMAGE text='a black cat' USING m OPTIONS (result_col='s')"
    " AS SELECT * FROM photos) ORDER BY s DESC LIMIT 5"
)
SCAN = (
    "SELECT id, CASE WHEN typeof(m_clipen) = 'blob' AND length(m_clipen) = ? THEN"
    " 1 - vec_distance_cosine(m_clipen, ?) END AS s FROM photos ORDER BY s DESC LIMIT 5"
)


def seconds(run: Callable[[], object]) -> float:
    """Return the median time of one call over some hundred."""
    begin = time.perf_counter()
    for _ in range(TIMES):
        run()
    return (time.perf_counter() - begin) / TIMES


def called(run: Callable[[], object]) -> tuple[int, int]:
    """Return the calls of Python functions of the driver, and in how many modules they are."""
    calls, modules = 0, set()

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        name = frame.f_globals.get("__name__", "")  # type: ignore[attr-defined]
        if event == "call" and name.startswith("thanosql"):
            calls += 1
            modules.add(name)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls, len(modules)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "model")
        connection = thanosql_dbapi.connect(Path(folder) / "photos.db", progress=False)
        connection.execute(f"UPLOAD MODEL m FROM '{model}'")
        vector = connection.execute("SELECT embed_text('m', 'a black cat')").fetchone()[0]
        size = len(vector)
        connection.execute("CREATE TABLE photos (id INTEGER PRIMARY KEY, image_path TEXT)")
        connection.execute("INSERT INTO photos (image_path) VALUES (NULL)")
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
        numbers = np.random.default_rng(0).normal(size=(ROWS, size // 4)).astype("<f4")
        connection.executemany("INSERT INTO photos (m_clipen) VALUES (?)", [(v,) for v in numbers])
        connection.commit()

        def search() -> object:
            return connection.execute(SEARCH).fetchall()

        def scan() -> object:
            return connection.execute(SCAN, (size, vector)).fetchall()

        first = called(search)
        for _ in range(20):
            search(), scan()
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        search()
        connection.set_trace_callback(None)
        times = [(seconds(search), seconds(scan)) for _ in range(ROUNDS)]
        ours, bare = (1e3 * median(each) for each in zip(*times, strict=True))
        print(f"SEARCH {ours:.3f} ms, bare scan {bare:.3f} ms, {ours - bare:.3f} ms more")
        print(f"SQL statements of ours: {len(statements) - 1}, and the user's own")
        for name, (calls, modules) in (("cold", first), ("warm", called(search))):
            print(f"{name}: {calls} calls of functions in {modules} modules")
        connection.close()


if __name__ == "__main__":
    main()
