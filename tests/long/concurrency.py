"""Threads and processes search while one process writes and one converts.

usage: python tests/long/concurrency.py [--seconds 180] [--journal wal|delete] [--threads 8]
           [--processes 3] [--rows 3000] [--timeout 10]

In every committed state exactly one row, the ball, has the vector that is searched for, so a search
with LIMIT 1 must find it. The writer, a plain sqlite3 connection, moves the ball by UPDATE, DELETE
and INSERT, in transactions of up to 1,500 rows, and rolls some back. A fault is a search that does
not find the ball, a lock error before the busy timeout is over, any other error, and a searcher
that gets no answer at all. The longest wait of a search is printed.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from album import (  # noqa: E402
    DIMENSION,
    MODEL,
    TEXT,
    connect,
    convert,
    make_workspace,
    query_vector,
)

from thanosql_dbapi.planning.answer import Way  # noqa: E402

_EARLY = 0.8  # of the busy timeout
_OPTIONS = "OPTIONS (emb_col='v', result_col='s'"
_SEARCH = f"SEARCH IMAGE text='{TEXT}' USING {MODEL} {_OPTIONS}"
_QUERIES = (
    f"SELECT r, s FROM ({_SEARCH}) AS SELECT rowid AS r, * FROM balls) ORDER BY s DESC LIMIT 1",
    (
        f"SELECT r, s FROM ({_SEARCH}) AS SELECT rowid AS r, * FROM balls WHERE number >= 0)"
        " ORDER BY s DESC LIMIT 1"
    ),
    f"SELECT r, s FROM ({_SEARCH}, top_k=1) AS SELECT rowid AS r, v FROM balls)",
    (
        f"SELECT rowid AS r, cosine_similarity(v, embed_text('{MODEL}', '{TEXT}')) AS s FROM balls"
        " ORDER BY s DESC LIMIT 1"
    ),
)
Counts = collections.Counter[str]


def is_early(error: sqlite3.OperationalError, waited: float, timeout: float) -> bool:
    """Return whether a lock error came before the busy timeout was over."""
    return "locked" in str(error) and waited < _EARLY * timeout


def search(file: Path, end: float, timeout: float, counts: Counts, seed: int) -> None:
    """Search until the time is over; ``"longest wait ms"`` is the largest of its kind."""
    draw = random.Random(seed)
    connection = connect(file, timeout=timeout)
    while time.time() < end:
        sql, is_inside = draw.choice(_QUERIES), draw.random() < 0.2
        began = time.monotonic()
        try:
            if is_inside:
                connection.execute("BEGIN")
            rows = connection.execute(sql).fetchall()
            way = connection._state.answers[-1].way
            if is_inside:
                connection.execute("COMMIT")
            counts["searches"] += 1
            counts["by the matrix" if way is Way.MATRIX else "by a scan"] += 1
            if len(rows) != 1 or rows[0][1] is None or rows[0][1] < 0.9999:
                counts["FAULT: a wrong answer"] += 1
                print(f"wrong: {rows} by {way} inside={is_inside}: {sql}", flush=True)
        except sqlite3.OperationalError as error:
            kind = "FAULT: locked too early" if "locked" in str(error) else f"FAULT: {error}"
            if "locked" in str(error) and not is_early(error, time.monotonic() - began, timeout):
                kind = "locked after the timeout"
            counts[kind] += 1
            if connection.in_transaction:
                connection.rollback()
        waited = int(1000 * (time.monotonic() - began))
        counts["longest wait ms"] = max(counts["longest wait ms"], waited)
        if draw.random() < 0.01:
            connection.close()
            connection = connect(file, timeout=timeout)
    connection.close()


def write(file: Path, end: float, timeout: float, counts: Counts, seed: int) -> None:
    """Move the ball until the time is over."""
    draw, numbers = random.Random(seed), np.random.default_rng(seed)
    ball = (file.with_name("ball")).read_bytes()

    def other() -> bytes:
        return numbers.standard_normal(DIMENSION).astype("<f4").tobytes()

    with closing(sqlite3.connect(file, isolation_level=None, timeout=timeout)) as connection:
        while time.time() < end:
            began, end_with = time.monotonic(), "COMMIT"
            try:
                connection.execute("BEGIN IMMEDIATE")
                (here,) = connection.execute("SELECT rowid FROM balls WHERE is_ball").fetchone()
                (last,) = connection.execute("SELECT max(rowid) FROM balls").fetchone()
                how = draw.choices(["move", "insert", "many", "undone"], [5, 3, 1, 1])[0]
                if how == "insert":
                    connection.execute("DELETE FROM balls WHERE is_ball")
                    connection.execute(
                        "INSERT INTO balls (number, v, is_ball) VALUES (?, ?, 1)",
                        (draw.randrange(1000), ball),
                    )
                elif how == "many":
                    connection.executemany(
                        "UPDATE balls SET v = ? WHERE rowid = ? AND NOT is_ball",
                        [
                            (other(), draw.randrange(1, last + 1))
                            for _ in range(draw.choice([1, 300, 1500]))
                        ],
                    )
                else:
                    there = draw.choice(
                        [row for row in (1, here + 1, here - 1, last) if row != here]
                    )
                    connection.execute(
                        "UPDATE balls SET is_ball = 0, v = ? WHERE rowid = ?", (other(), here)
                    )
                    moved = connection.execute(
                        "UPDATE balls SET is_ball = 1, v = ? WHERE rowid = ?", (ball, there)
                    ).rowcount
                    if how == "undone" or not moved:
                        end_with = "ROLLBACK"
                connection.execute(end_with)
                counts["writes"] += 1
                if draw.random() < 0.02:
                    connection.execute(f"CREATE TABLE IF NOT EXISTS x{draw.randrange(1000)} (a)")
            except sqlite3.OperationalError as error:
                early = is_early(error, time.monotonic() - began, timeout)
                counts["FAULT: writer locked too early" if early else f"writer: {error}"] += 1
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            time.sleep(0.002)


def keep_converting(file: Path, end: float, timeout: float, counts: Counts, seed: int) -> None:
    """Convert texts of some rows into another column until the time is over."""
    number = 0
    with closing(connect(file, timeout=timeout)) as connection:
        while time.time() < end:
            number, began = number + 1, time.monotonic()
            try:
                connection.execute(
                    "UPDATE balls SET text = ? WHERE rowid % 50 = ?", (f"cat {number}", number % 50)
                )
                connection.execute(convert("balls", "w", "rowid % 50 < 4")).fetchall()
                counts["converts"] += 1
            except sqlite3.OperationalError as error:
                early = is_early(error, time.monotonic() - began, timeout)
                counts["FAULT: CONVERT locked too early" if early else f"CONVERT: {error}"] += 1


def _process(work: Any, file: Path, end: float, timeout: float, seed: int, queue: Any) -> None:
    counts = Counts()
    try:
        work(file, end, timeout, counts, seed)
    except BaseException as error:
        counts[f"FAULT: {work.__name__} ended with {type(error).__name__}: {error}"] += 1
    queue.put((f"{work.__name__} {seed}", counts))


def make_table(folder: Path, rows: int, journal: str) -> Path:
    """Make the database with the table ``balls``."""
    make_workspace(folder, 1)
    file, ball = folder / "balls.db", query_vector(folder)
    (folder / "ball").write_bytes(ball)
    numbers = np.random.default_rng(1)
    with closing(connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(f"GET THANOSQL MODEL {MODEL}")
        connection.execute("CREATE TABLE balls (number INTEGER, text TEXT, is_ball DEFAULT 0)")
        for column in ("v", "w"):
            connection.execute(convert("balls", column))
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO balls (number, text, v) VALUES (?, 'a cat', ?)",
            [(n, numbers.standard_normal(DIMENSION).astype("<f4").tobytes()) for n in range(rows)],
        )
        connection.execute("UPDATE balls SET v = ?, is_ball = 1 WHERE rowid = 7", (ball,))
        connection.execute("COMMIT")
    return file


def run(
    folder: Path,
    *,
    seconds: float,
    journal: str,
    threads: int = 8,
    processes: int = 3,
    rows: int = 3000,
    timeout: float = 10,
    starting: float = 8,
) -> dict[str, Counts]:
    """Let all of them work, and return what each counted.

    Args:
        folder: An empty folder.
        seconds: Time to work.
        journal: ``"wal"`` or ``"delete"``.
        threads: Searching threads of this process.
        processes: Searching processes.
        rows: Rows of the table.
        timeout: Busy timeout in seconds.
        starting: Seconds that the processes take to start.
    """
    file = make_table(folder, rows, journal)
    context = multiprocessing.get_context("spawn")
    queue, end = context.Queue(), time.time() + seconds + starting
    jobs = [(write, 1), (keep_converting, 2), *((search, 100 + n) for n in range(processes))]
    started = [
        context.Process(target=_process, args=(work, file, end, timeout, seed, queue))
        for work, seed in jobs
    ]
    for process in started:
        process.start()
    found = {f"thread {n}": Counts() for n in range(threads)}
    own = [
        threading.Thread(target=search, args=(file, end, timeout, counts, n), daemon=True)
        for n, counts in enumerate(found.values())
    ]
    for thread in own:
        thread.start()
    for thread in own:
        thread.join(max(1.0, end + 60 - time.time()))
    if any(thread.is_alive() for thread in own):
        found["threads"] = Counts({"FAULT: a thread hangs": 1})
    found |= dict(queue.get(timeout=max(1.0, end + 90 - time.time())) for _ in started)
    for process in started:
        process.join()
    with closing(sqlite3.connect(file)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        (balls,) = connection.execute("SELECT count(*) FROM balls WHERE is_ball").fetchone()
    found["database"] = Counts({f"integrity {verdict}": 1, "balls": balls})
    if verdict != "ok" or balls != 1:
        found["database"]["FAULT: the database is damaged"] += 1
    for name, counts in found.items():
        if name.startswith(("thread ", "search ")) and not counts["searches"]:
            counts["FAULT: starved"] += 1
    return found


def faults(found: dict[str, Counts]) -> int:
    """Return how many faults were counted."""
    return sum(
        count for counts in found.values() for kind, count in counts.items() if "FAULT" in kind
    )


def main(arguments: list[str] | None = None) -> int:
    """Run, print the counts, and return the number of faults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--journal", choices=["wal", "delete"], default="wal")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--timeout", type=float, default=10)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), **vars(given))
    total, longest = Counts(), 0
    for name, counts in found.items():
        print(f"  {name}: {dict(sorted(counts.items()))}")
        longest = max(longest, counts.pop("longest wait ms", 0))
        total += counts
    print(
        f"concurrency, {given.journal}, {given.seconds:g} s: "
        + ", ".join(f"{count:,} {kind}" for kind, count in sorted(total.items()))
        + f"; longest wait of a search {longest:,} ms; {faults(found)} faults"
    )
    return faults(found)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
