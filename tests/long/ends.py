"""A day's worth of statements: memory, descriptors, temporary tables and threads stay flat.

usage: python tests/long/ends.py [--seconds 600] [--searches 100000] [--converts 1000]

One connection searches and converts, with texts that repeat, new ones, statements that fail,
cursors that are not read to their end, and now and then another connection that opens, searches and
closes. It ends when the searches and CONVERTs are done, or the time is over. What is held is
measured twenty times; from the first third on, it must not grow: memory by at most 16 MiB, the
others not at all.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from album import (  # noqa: E402
    MODEL,
    TEXT,
    connect,
    convert,
    make_workspace,
    vector,
)

import thanosql_dbapi  # noqa: E402

ROWS = 300
MOMENTS = 20
_MOST_GROWTH = 16 * 2**20
_SEARCH = (
    f"SELECT code, s FROM (SEARCH IMAGE text=? USING {MODEL} OPTIONS (emb_col='v', result_col='s')"
    " AS SELECT * FROM photos) ORDER BY s DESC LIMIT 3"
)
_FUNCTION = "SELECT code FROM photos ORDER BY cosine_similarity(v, ?) DESC LIMIT 3"


class Held(NamedTuple):
    """What the process holds."""

    memory: int
    descriptors: int
    threads: int
    temporary_tables: int
    files: int


def held(connection: thanosql_dbapi.Connection, folder: Path) -> Held:
    """Measure, after a collection of garbage."""
    gc.collect()
    (tables,) = connection.execute("SELECT count(*) FROM temp.sqlite_master").fetchone()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(list(Path("/proc/self/fd").iterdir())),
        max(threading.active_count(), len(list(Path("/proc/self/task").iterdir()))),
        tables,
        len(list(folder.iterdir())),
    )


def work(connection: thanosql_dbapi.Connection, file: Path, number: int) -> None:
    """Do the n-th piece of a day's work; one search at least."""
    seed = 5 + number % 400
    if number % 100 == 0:
        connection.execute(convert("photos", "v", f"rowid = {number // 100 % ROWS + 1}")).fetchall()
    if number % 7 == 0:
        connection.execute(
            "UPDATE photos SET v = ?, text = ? WHERE rowid = ?",
            (vector(seed), f"a cat {number}", number % ROWS + 1),
        )
    if number % 50 == 0:  # a text that nobody has asked for
        connection.execute(_SEARCH, (f"a dog {number}",)).fetchall()
    elif number % 5 == 0:
        connection.execute(f"{_SEARCH} /* {number} */", (TEXT,)).fetchall()
    elif number % 5 == 1:
        connection.execute(_SEARCH, (TEXT,))  # not read
    else:
        connection.execute(_FUNCTION, (vector(seed),)).fetchall()
    if number % 31 == 0:
        with suppress(sqlite3.Error):
            connection.execute(f"SEARCH IMAGE text='a' USING none{number} AS SELECT 1")
    if number % 37 == 0:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM photos WHERE rowid % 2")
        connection.execute(_FUNCTION, (vector(seed),)).fetchall()
        connection.execute("ROLLBACK")
    if number % 211 == 0:
        with closing(connect(file)) as other:
            other.execute(_FUNCTION, (vector(seed),)).fetchall()


def run(folder: Path, *, seconds: float, searches: int, converts: int) -> list[Held]:
    """Work, and return what was held at twenty moments.

    Args:
        folder: An empty folder.
        seconds: Time after which it ends in any case.
        searches: Searches to do.
        converts: CONVERTs to do, one in a hundred searches at least.
    """
    make_workspace(folder, ROWS)
    file, end = folder / "photos0.db", time.monotonic() + seconds
    measured = []
    with closing(connect(file)) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(1, searches + 1):
            work(connection, file, number)
            if number * converts // searches > (number - 1) * converts // searches:
                row = number % ROWS + 1
                connection.execute(convert("photos", "u", f"rowid = {row}")).fetchall()
            if number % max(1, searches // MOMENTS) == 0:
                measured.append(held(connection, folder))
                if time.monotonic() > end:
                    break
    return measured


def growth(measured: list[Held]) -> list[str]:
    """Return what has grown from the first third to the end, in words."""
    # A cursor that is not read keeps one temporary table: which moment sees it is chance.
    first = measured[: len(measured) // 3 + 1]
    begin, end = Held(*map(max, zip(*first, strict=True))), measured[-1]
    found = [
        f"{name}: {before:,} to {after:,}"
        for name, before, after in zip(Held._fields[1:], begin[1:], end[1:], strict=True)
        if after > before
    ]
    if end.memory > begin.memory + _MOST_GROWTH:
        found.append(f"memory: {begin.memory:,} to {end.memory:,} bytes")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was held, and return how many of its kinds have grown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--searches", type=int, default=100_000)
    parser.add_argument("--converts", type=int, default=1000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = run(Path(folder), **vars(given))
    done = given.searches // MOMENTS * len(measured)
    for place in sorted({0, len(measured) // 3, len(measured) * 2 // 3, len(measured) - 1}):
        print(f"  after {(place + 1) * given.searches // MOMENTS:,} searches: {measured[place]}")
    found = growth(measured)
    print(f"ends: {done:,} searches; what has grown: {'; '.join(found) or 'nothing'}")
    return len(found)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
