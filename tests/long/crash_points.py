"""Kill each statement at each of its system calls that change files.

    python tests/long/crash_points.py --seconds 600

Before or after, never between; the same statements again succeed; nothing hidden is left.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import crashing
import shim


def main() -> int:
    """Run the crash points that the time allows, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of tries alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="scenarios whose names contain this")
    options = parser.parse_args()
    if not shim.reexecute():
        print("skipped: needs Linux and a C compiler")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="crash_points"))
    try:
        return _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shim.remove()


def _run(folder: Path, options: argparse.Namespace) -> int:
    crashing.make_template(folder / "template")
    crashing.warm()
    benches, points = {}, []
    for number, scenario in enumerate(crashing.SCENARIOS):
        if options.only not in scenario.name:
            continue
        bench = crashing.Bench(scenario, folder / str(number), folder / "template" / "workspace")
        place = bench.copy()

        _, calls = crashing.child(partial(_crash, 0, shim.COUNT, place, scenario.script))
        benches[scenario.name] = (bench, calls)
        points += [(scenario.name, call, shim.KILL) for call in range(1, calls + 1)]
        points += [(scenario.name, call, shim.TORN) for call in range(1, calls + 1)]
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
