"""Kill statements at random moments, while other processes say the same.

    python tests/long/kill.py --seconds 600

Before or after, never between; the same statements again succeed; nothing hidden is left.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import crashing


def main() -> int:
    """Kill for as long as the time allows, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of tries alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="scenarios whose names contain this")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill"))
    try:
        return _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> int:
    crashing.make_template(folder / "template")
    crashing.warm()
    chance = random.Random(options.seed)
    benches = []
    for number, scenario in enumerate(crashing.SCENARIOS):
        if options.only in scenario.name:
            template = folder / "template" / "workspace"
            bench = crashing.Bench(scenario, folder / str(number), template)
            place, begun = bench.copy(), time.monotonic()
            crashing.child(partial(crashing.run, place, scenario.script))
            benches.append((bench, time.monotonic() - begun))
    kills = beside = faults = 0
    ends = time.monotonic() + options.seconds
    while time.monotonic() < ends:
        bench, takes_s = chance.choice(benches)
        place = bench.copy()
        work = partial(crashing.run, place, bench.scenario.script)
        # Two processes that append have both appended, which is neither state.
        other = chance.random() < 0.3 and "append" not in bench.scenario.name
        if other:  # another process says the same and is not killed
            thread = threading.Thread(target=crashing.child, args=(work,))
            thread.start()
        number, _ = crashing.child(work, kill_after_s=chance.uniform(0, 1.1 * takes_s))
        if other:
            thread.join()
        wrong = bench.check(place)
        kills += number == signal.SIGKILL
        beside += other
        if wrong:
            faults += 1
            print(f"FAULT {bench.scenario.name}{', with another' * other}: {wrong}", flush=True)
    print(f"{kills} kills, {beside} with another process, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
