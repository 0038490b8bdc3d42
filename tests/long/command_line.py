"""What the command lines of several harnesses have in common."""

from __future__ import annotations

import argparse
import collections
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import thanosql_dbapi


class Trial(Protocol):
    """A harness that tries one input a seed."""

    wrong: list[str]
    outcomes: collections.Counter[str]
    connection: thanosql_dbapi.Connection

    def once(self, seed: int) -> None:
        """Try the input of a seed."""


def try_seeds(trial: Trial, seconds: float, seed: int) -> None:
    """Try inputs until the time is over; the seeds count on from ``seed``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        trial.once(seed)
        seed += 1
    trial.connection.close()


def run_trial(run: Callable[[float, int, Path, Path], Trial], about: str, counted: str) -> int:
    """Run a trial as the command line says, and return the exit status.

    Args:
        run: Gets seconds, seed, an empty folder and a CLIP folder.
        about: The module's docstring.
        counted: The attribute of the trial that counts what was tried.
    """
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a CLIP folder; default: storybook_clip")
    options = parser.parse_args()
    model = options.model or Path(thanosql_dbapi.__file__).parent / "storybook" / "model"
    with tempfile.TemporaryDirectory() as folder:
        trial = run(options.seconds, options.seed, Path(folder), model)
    print(f"{counted}:", getattr(trial, counted))
    print("outcomes:", dict(trial.outcomes))
    for each in trial.wrong[:50]:
        print("wrong:", each)
    print(f"{len(trial.wrong)} wrong")
    return 1 if trial.wrong else 0


def crash_options(about: str) -> argparse.ArgumentParser:
    """Return the options that all harnesses of scenarios have."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=float, default=60, help="of tries alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="scenarios whose names contain this")
    return parser


def in_new_folder(run: Callable[[Path, argparse.Namespace], int], given: argparse.Namespace) -> int:
    """Run with a folder of its own, which is removed."""
    folder = Path(tempfile.mkdtemp(prefix=Path(sys.argv[0]).stem))
    try:
        return run(folder, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
