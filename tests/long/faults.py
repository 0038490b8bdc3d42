"""Fail each statement at each of its system calls that change files, and at other limits.

    python tests/long/faults.py --seconds 600

A full disk, an input/output error, a read-only file system, too many open files, a file size
limit, and Ctrl-C at any line of Python: the statement succeeds or raises one of our exceptions,
the workspace is as before or after it, no thread or child is left, and the statement again
succeeds.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import command_line
import crashing
import shim

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT)


def main() -> int:
    """Make the faults that the time allows, and return the exit status."""
    parser = command_line.crash_options(__doc__)
    parser.add_argument("--kind", default="", help="kinds of faults whose names contain this")
    parser.add_argument("--messages", action="store_true", help="print what the statements raise")
    options = parser.parse_args()
    if not shim.reexecute():
        print("skipped: needs Linux and a C compiler")
        return 0
    try:
        return command_line.in_new_folder(_run, options)
    finally:
        shim.remove()


def _run(folder: Path, options: argparse.Namespace) -> int:
    chance = random.Random(options.seed)
    benches = []
    for bench in crashing.benches(folder, options.only):
        script = bench.scenario.script
        _, calls = crashing.child(partial(_counted, bench.copy(), script))
        _, lines = crashing.child(partial(_interrupted, 0, bench.copy(), script))
        benches.append((bench, calls, lines))
    kinds = [each for each in (*KINDS,) if options.kind in each]
    tried, happened, faults = Counter[str](), Counter[str](), 0
    ends = time.monotonic() + options.seconds
    while time.monotonic() < ends:
        bench, calls, lines = chance.choice(benches)
        kind = chance.choice(kinds)
        place = bench.copy()
        at = chance.randint(1, lines if kind == "interrupt" else calls)
        seed = chance.random()
        number, outcome = crashing.child(
            partial(KINDS[kind], at, seed, place, bench.scenario.script)
        )
        tried[kind] += 1
        failed = isinstance(outcome, crashing.Failed)
        happened[kind] += failed
        if failed and options.messages:
            print(f"{bench.scenario.name}, {kind}: {outcome.kind.__name__}: {outcome.message}")
        wrong = ""
        if number:
            wrong = f"ended by signal {number}"
        elif failed and not outcome.is_ours:
            wrong = f"raises {outcome.trace}"
        elif not failed and outcome:
            wrong = f"leaves {outcome}"
        wrong = wrong or bench.check(place)
        if wrong:
            faults += 1
            print(f"FAULT {bench.scenario.name}: {kind} at {at}: {wrong}", flush=True)
    for kind in kinds:
        print(f"{kind}: {tried[kind]} tried, {happened[kind]} statements failed by it")
    print(f"{sum(tried.values())} faults made, {faults} not as they should be")
    return int(faults > 0)


def _counted(place: Path, script: tuple[str, ...]) -> int:
    shim.arm(0, shim.COUNT)
    crashing.run(place, script)
    return shim.disarm()


def _fails(mode: int, at: int, seed: float, place: Path, script: tuple[str, ...]) -> str:
    shim.arm(at, mode, ERRORS[int(seed * len(ERRORS))])
    try:
        crashing.run(place, script)
    finally:
        shim.disarm()
    return _left()


def _full(at: int, seed: float, place: Path, script: tuple[str, ...]) -> str:
    shim.arm(at, shim.FAIL_ON, errno.ENOSPC)
    try:
        crashing.run(place, script)
    finally:
        shim.disarm()
    return _left()


def _few_files(at: int, seed: float, place: Path, script: tuple[str, ...]) -> str:
    connection = crashing.connect(place)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # A number is free if it is below the limit: those that are in use may have gaps.
    used = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    limit = [number for number in range(1000) if number not in used][int(seed * 5)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        _say(connection, script)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        connection.close()
    return _left()


def _small_files(at: int, seed: float, place: Path, script: tuple[str, ...]) -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    connection = crashing.connect(place)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(seed * 400_000), hard))
    try:
        _say(connection, script)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        connection.close()
    return _left()


def _interrupted(at: int, place: Path, script: tuple[str, ...]) -> Any:
    """Interrupt at a line of ours, or count them if ``at`` is 0."""
    lines = 0
    ours = str(Path(sys.modules["thanosql_dbapi"].__file__ or "").parent)

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(ours):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                signal.raise_signal(signal.SIGINT)
        return trace

    connection = crashing.connect(place)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.settrace(trace)
    try:
        _say(connection, script)
    finally:
        sys.settrace(None)
        connection.close()
    return _left() if at else lines


def _say(connection: Any, script: tuple[str, ...]) -> None:
    for sql in script:
        connection.execute(sql).fetchall()


def _left() -> str:
    """Return the threads and children that are left."""
    threads = [each.name for each in threading.enumerate() if each.name.startswith("thanosql")]
    try:
        children = f" and child {os.waitpid(-1, os.WNOHANG)}"
    except ChildProcessError:
        children = ""
    return f"threads {threads}{children}" if threads or children else ""


KINDS = {
    "one call fails": partial(_fails, shim.FAIL_ONCE),
    "all calls fail from one on": partial(_fails, shim.FAIL_ON),
    "disk full": _full,
    "few open files": _few_files,
    "small files": _small_files,
    "interrupt": lambda at, seed, place, script: _interrupted(at, place, script),
}

if __name__ == "__main__":
    sys.exit(main())
