"""Kill each statement at each of its system calls that change files.

    python tests/long/crash_points.py --seconds 600

Before or after, never between; the same statements again succeed; nothing hidden is left.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import command_line
import crashing
import shim


def main() -> int:
    """Run the crash points that the time allows, and return the exit status."""
    options = command_line.crash_options(__doc__).parse_args()
    if not shim.reexecute():
        print("skipped: needs Linux and a C compiler")
        return 0
    try:
        return command_line.in_new_folder(_run, options)
    finally:
        shim.remove()


def _run(folder: Path, options: argparse.Namespace) -> int:
    benches, points = {}, []
    for bench in crashing.benches(folder, options.only):
        name, script = bench.scenario.name, bench.scenario.script
        _, calls = crashing.child(partial(_crash, 0, shim.COUNT, bench.copy(), script))
        benches[name] = (bench, calls)
        points += [(name, call, shim.KILL) for call in range(1, calls + 1)]
        points += [(name, call, shim.TORN) for call in range(1, calls + 1)]
    random.Random(options.seed).shuffle(points)
    tried: dict[str, int] = dict.fromkeys(benches, 0)
    faults = 0
    ends = time.monotonic() + options.seconds
    for name, call, mode in points:
        if time.monotonic() > ends:
            break
        bench, _ = benches[name]
        place = bench.copy()

        def crash(
            call: int = call, mode: int = mode, bench: crashing.Bench = bench, place: Path = place
        ) -> None:
            shim.arm(call, mode)
            crashing.run(place, bench.scenario.script)

        number, failed = crashing.child(crash)
        wrong = "" if number in (0, signal.SIGKILL) and not failed else f"{number} {failed}"
        wrong = wrong or bench.check(place)
        tried[name] += 1
        if wrong:
            faults += 1
            how = "torn" if mode == shim.TORN else "killed"
            print(f"FAULT {name}: {how} at call {call}: {wrong}", flush=True)
    for name, (_, calls) in benches.items():
        print(f"{name}: {calls} calls, {tried[name]} of {2 * calls} crash points tried")
    print(f"{sum(tried.values())} of {len(points)} crash points, {faults} faults")
    return int(faults > 0)


def _crash(call: int, mode: int, place: Path, script: tuple[str, ...]) -> int:
    shim.arm(call, mode)
    crashing.run(place, script)
    return shim.disarm()


if __name__ == "__main__":
    sys.exit(main())
