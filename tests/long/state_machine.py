"""Searches compared with scans while connections and a second process do what SQLite allows.

usage: python tests/long/state_machine.py [--seconds 60] [--seed 1] [--cases N] [--replay FILE]

Two driver connections (a, b), a plain sqlite3 connection (p) and a second process (w) write one
file, and change its schema, roll back, restore and replace it. After each operation some searches
are compared with scans of the same connection. Thresholds are lowered so that fifty rows take
every path: patched matrices, side files, logs that are too long.

What a case does follows from its seed alone. A case that fails is made shorter and written to
``state_machine-SEED-CASE.json``, which ``--replay`` runs again. The last line has the counts.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from album import make_workspace  # noqa: E402
from world import Difference, World  # noqa: E402

ROWS = 44
LENGTH = 60
_SHORTENING_S = 40
Operation = list[Any]


class Writer:
    """Draws the operations of a case."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.recent = [5]

    def operations(self, count: int) -> list[Operation]:
        """Return what a case does, its first operation being the setting."""
        draw = self.random
        setting = ["setting", draw.randrange(3), draw.choice(["wal", "delete"])]
        return [setting, *(self._operation() for _ in range(count))]

    def _operation(self) -> Operation:
        draw = self.random
        (kind,) = draw.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])
        actor = draw.choices("abpw", [5, 3, 4, 2])[0]
        arguments = _KINDS[kind][1](self)
        return [kind, actor, *arguments, self._searches()]

    def _searches(self) -> list[Any]:
        draw = self.random
        return [
            [
                draw.choices("abw", [5, 4, 1])[0],
                draw.randrange(8),
                draw.choice([TABLES[0], *TABLES]),
                draw.choices(["v", "u"], [4, 1])[0],
                draw.choice([draw.choice(self.recent), draw.randrange(5, 60)]),
                draw.choice([1, 1, 2, 3, 7]),
            ]
            for _ in range(draw.choice([20, 30, 40]))
        ]

    def row(self) -> int:
        """Return a row id; the ends of the table are drawn more often."""
        return self.random.choice([self.random.randrange(1, ROWS + 20), 1, ROWS, ROWS + 1])

    def seed(self) -> int:
        """Return the seed of a vector; there are few, so that vectors are equal now and then."""
        draw = self.random
        seed = draw.choices(
            [draw.randrange(5, 60), draw.randrange(5), draw.randrange(60, 9999)], [6, 1, 3]
        )[0]
        if seed >= 5:
            self.recent = [*self.recent[-5:], seed]
        return seed

    def seeds(self) -> list[int]:
        """Return some seeds; now and then more than a matrix keeps as changes."""
        return [self.seed() for _ in range(self.random.choice([1, 2, 5, 20, 80]))]


TABLES = ("photos", "main.photos", "pictures", "copied", "aux.photos", "elsewhere")

_SQL = {
    "BEGIN": 8, "BEGIN IMMEDIATE": 4, "COMMIT": 12, "ROLLBACK": 8, "SAVEPOINT s": 5,
    "ROLLBACK TO s": 5, "RELEASE s": 4, "VACUUM": 8, "DELETE FROM photos": 0.3,
    "CREATE TABLE other (a)": 5, "DROP TABLE other": 5,
    "CREATE INDEX by_album ON photos (album)": 1,
    "DROP INDEX by_album": 2, "CREATE INDEX by_v ON photos (v)": 0.5, "DROP INDEX by_v": 1,
    "ALTER TABLE photos ADD COLUMN more": 1, "ALTER TABLE photos DROP COLUMN more": 1,
    "ALTER TABLE photos RENAME TO pictures": 3, "ALTER TABLE pictures RENAME TO photos": 6,
    "ALTER TABLE photos RENAME COLUMN v TO x": 3, "ALTER TABLE photos RENAME COLUMN u TO v": 3,
    "ALTER TABLE photos RENAME COLUMN x TO u": 4, "ALTER TABLE photos RENAME COLUMN x TO v": 5,
    "ALTER TABLE photos RENAME COLUMN v TO u": 2, "ALTER TABLE photos RENAME COLUMN u TO x": 1,
    "ALTER TABLE photos RENAME COLUMN album TO albums": 1,
    "ALTER TABLE photos RENAME COLUMN albums TO album": 3,
    "CREATE TABLE copied AS SELECT rowid AS id, code, album, text, v, u FROM photos": 3,
    "DROP TABLE copied": 2, "DELETE FROM copied WHERE rowid % 9 = 1": 1,
    "UPDATE copied SET v = u WHERE rowid % 5 = 0": 1,
    "CREATE TEMP TABLE photos AS SELECT * FROM main.photos WHERE rowid % 2": 1.5,
    "DROP TABLE temp.photos": 4, "CREATE TEMP VIEW photos AS SELECT * FROM main.photos LIMIT 70": 1,
    "DROP VIEW temp.photos": 3,
    "UPDATE photos SET v = u WHERE rowid % 11 = 0": 2, "UPDATE photos SET u = v, v = u": 0.7,
    "UPDATE photos SET album = album + 1": 1, "UPDATE photos SET v = NULL WHERE rowid % 13 = 0": 1,
    "UPDATE photos SET v = 7 WHERE rowid = 3": 0.3,
    "UPDATE photos SET v = x'00' WHERE rowid = 4": 0.3,
    "UPDATE photos SET v = u WHERE typeof(v) <> 'blob' OR length(v) < 9": 3,
    "DELETE FROM thanosql_changes": 1,
    "DELETE FROM thanosql_changes WHERE number < (SELECT max(number) FROM thanosql_changes)": 2,
    "DROP TABLE thanosql_changes": 0.1,
    "CREATE TRIGGER mine AFTER UPDATE OF album ON photos BEGIN UPDATE photos SET v = OLD.u"
    " WHERE rowid = OLD.rowid - 1; END": 1,
    "DROP TRIGGER mine": 2, "PRAGMA recursive_triggers = ON": 0.5,
    "PRAGMA journal_mode = WAL": 1, "PRAGMA journal_mode = DELETE": 1,
    "PRAGMA wal_checkpoint(TRUNCATE)": 1, "REINDEX": 0.5, "ANALYZE": 0.5,
    "CREATE TABLE thanosql_new AS SELECT * FROM photos": 0.2, "DROP TABLE thanosql_new": 0.5,
    "UPDATE photos SET rowid = rowid + 1000 WHERE rowid % 2": 0.5,
    "UPDATE photos SET rowid = -rowid WHERE rowid IN (1, 2)": 0.5,
    "DETACH aux": 4,
    "UPDATE aux.photos SET v = u WHERE rowid % 3 = 0": 1,
    "ALTER TABLE aux.photos RENAME COLUMN v TO x": 0.5,
    "ALTER TABLE aux.photos RENAME COLUMN x TO v": 1,
    "CREATE TABLE aux.elsewhere AS SELECT * FROM photos": 1, "DROP TABLE aux.elsewhere": 0.5,
}  # fmt: skip

_KINDS: dict[str, tuple[float, Any]] = {
    "sql": (48, lambda w: [w.random.choices(list(_SQL), list(_SQL.values()))[0]]),
    "replace": (8, lambda w: [w.row(), w.seeds()]),
    "upsert": (6, lambda w: [w.row(), w.seeds()]),
    "insert": (10, lambda w: [w.seeds()]),
    "update": (12, lambda w: [w.row(), w.seeds()]),
    "move": (5, lambda w: [w.row(), w.row()]),
    "delete": (7, lambda w: [w.row(), w.random.choice([1, 1, 2, 30])]),
    "untrigger": (2, lambda w: [w.random.randrange(8)]),
    "retrigger": (8, lambda w: []),
    "attach": (2, lambda w: []),
    "convert": (0.7, lambda w: [w.random.choice("vux"), w.random.randrange(7)]),
    "reopen": (4, lambda w: []),
    "save": (3, lambda w: []),
    "backup": (2, lambda w: []),
    "overwrite": (1.5, lambda w: [w.random.choice(["saved", "dump", "dump"])]),
    "exchange": (1.5, lambda w: [w.random.choice(["saved", "dump", "dump"])]),
    "catch_up": (3, lambda w: []),
}


def run_case(
    workspace: Path, process: Any, operations: list[Operation]
) -> collections.Counter[str]:
    """Perform operations on a fresh copy, and compare searches after each.

    Raises:
        Difference: A search and its scan differ.
    """
    world = World(workspace, process, *operations[0][1:])
    try:
        world.compare(Writer("begin")._searches())
        for number, operation in enumerate(operations[1:]):
            *what, searches = operation
            world.perform(what)
            try:
                world.compare(searches)
            except Difference as difference:
                difference.place = number
                raise
    finally:
        world.close()
    return world.counts


def shortened(workspace: Path, process: Any, operations: list[Operation]) -> list[Operation]:
    """Return fewer operations that fail as well."""
    size, end = len(operations) // 2, time.monotonic() + _SHORTENING_S
    while size and time.monotonic() < end:
        begin = 1
        while begin < len(operations):
            fewer = operations[:begin] + operations[begin + size :]
            try:
                run_case(workspace, process, fewer)
                begin += size
            except Difference:
                operations = fewer
        size //= 2
    return operations


def main(arguments: list[str] | None = None) -> int:
    """Run cases until the time is over; return the number of those that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--replay", type=Path, help="run a case that was kept")
    parser.add_argument("--keep", type=Path, default=Path.cwd(), help="folder for cases that fail")
    given = parser.parse_args(arguments)
    counts, failed = collections.Counter[str](), 0
    given.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder), ROWS)
        begun = time.monotonic()
        with Process() as process:
            if given.replay:
                run_case(workspace, process, json.loads(given.replay.read_text()))
                return 0
            for case in range(given.first, given.first + given.cases):
                if time.monotonic() - begun > given.seconds:
                    break
                operations = Writer(f"{given.seed}/{case}").operations(LENGTH)
                try:
                    counts += run_case(workspace, process, operations)
                except Difference as difference:
                    failed += 1
                    print(f"seed {given.seed} case {case}: {difference}", flush=True)
                    kept = operations[: difference.place + 2]
                    kept = shortened(workspace, process, kept)
                    kind = given.keep / f"state_machine-{given.seed}-{case}.json"
                    kind.write_text("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n")
                    print(f"  kept in {kind}: {len(kept) - 1} operations", flush=True)
                counts["cases"] += 1
    known = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    print(f"state machine, seed {given.seed}: {known}; {failed} cases failed")
    return failed


class Process:
    """The second process: it does what it is told, one thing after another."""

    def __enter__(self) -> Any:
        """Start it, and return the pipe to it."""
        self._own, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        return self._own

    def __exit__(self, *error: object) -> None:
        self._own.send(None)
        self._process.join()


def _serve(pipe: Any) -> None:
    from world import serve

    serve(pipe)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
