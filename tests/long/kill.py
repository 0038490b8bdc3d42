"""Kill statements at random moments, while other processes say the same.

    python tests/long/kill.py --seconds 600

Before or after, never between; the same statements again succeed; nothing hidden is left.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import command_line
import crashing


def main() -> int:
    """Kill for as long as the time allows, and return the exit status."""
    options = command_line.crash_options(__doc__).parse_args()
    return command_line.in_new_folder(_run, options)


def _run(folder: Path, options: argparse.Namespace) -> int:
    chance = random.Random(options.seed)
    benches = []
    for bench in crashing.benches(folder, options.only):
        place, begun = bench.copy(), time.monotonic()
        crashing.child(partial(crashing.run, place, bench.scenario.script))
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
