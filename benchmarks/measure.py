"""Medians of interleaved runs, and the ratios between them: what every benchmark here prints.

Absolute times mean little on a machine that does other work. The candidates of one comparison
therefore take turns, run after run, and what is reported is each one's median beside the first's.
"""

from __future__ import annotations

import gc
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata

from thanosql_dbapi.cores import usable_cores

Candidate = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured value, and what it is held against.

    Attributes:
        what: What was measured, with its size.
        value: Seconds, or things a second, by ``unit``; None where this machine cannot measure it.
        unit: ``"s"`` for seconds, of which fewer are better, ``"%"`` likewise; any other, such as
            ``"images/s"``, is a rate.
        beside: What the value is divided by, in words; empty where it stands for itself.
        other: The value of ``beside``, in the same unit.
        bar: What the ratio, or the value where there is no ``beside``, is to reach: at most for
            seconds, at least for rates. None where it is reported only.
        note: What a reader has to know; the reason where ``value`` is None.
        is_failed: Whether the measuring itself went wrong.
    """

    what: str
    value: float | None
    unit: str = "s"
    beside: str = ""
    other: float | None = None
    bar: float | None = None
    note: str = ""
    is_failed: bool = False

    @property
    def ratio(self) -> float | None:
        """``value / other``, or None."""
        return self.value / self.other if self.value is not None and self.other else None

    @property
    def is_met(self) -> bool | None:
        """Whether the bar is reached; None where there is no bar or no value."""
        reached = self.ratio if self.beside else self.value
        if reached is None or self.bar is None:
            return None
        return reached <= self.bar if self.fewer_is_better else reached >= self.bar

    @property
    def fewer_is_better(self) -> bool:
        """Whether the value is a cost, not a rate."""
        return self.unit in ("s", "%")

    def shown(self, value: float | None) -> str:
        """Return a value of this figure with its unit."""
        if value is None:
            return ""
        if self.unit == "s":
            return shown(value)
        return f"{value:,.3g} {self.unit}" if value < 100 else f"{value:,.0f} {self.unit}"


def compare(
    title: str,
    candidates: Mapping[str, Candidate],
    *,
    runs: int = 15,
    calls: int = 1,
    warm_up: int = 1,
    pause_s: float = 0.0,
) -> dict[str, float]:
    """Time candidates in turn, and print a table of medians and ratios to the first.

    Args:
        title: What is compared.
        candidates: Name to a function that does the work once; the first is what the others are
            measured against.
        runs: Turns of each, >= 1.
        calls: Calls within one turn, for work of microseconds.
        warm_up: Turns of each before any is counted.
        pause_s: Waited before each turn: threads of a BLAS go on spinning for some time after a
            product, on the core that the next candidate wants.

    Returns:
        Median seconds of one call, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + runs):
        for name, work in candidates.items():
            time.sleep(pause_s)
            taken = _turn(work, calls)
            if turn >= warm_up:
                seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    report(title, medians, {name: _spread(taken) for name, taken in seconds.items()})
    return medians


def report(title: str, medians: Mapping[str, float], spreads: Mapping[str, float]) -> None:
    """Print a Markdown table: seconds, spread between the quartiles, ratio to the first row."""
    base = next(iter(medians.values()))
    print(f"\n### {title}\n\n| | median | spread | ratio |\n|---|---:|---:|---:|")
    for name, median in medians.items():
        spread = f"±{spreads[name] / median:.0%}" if name in spreads else ""
        print(f"| {name} | {shown(median)} | {spread} | {median / base:.2f} |")


def shown(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def machine(*packages: str) -> str:
    """Return one line on the machine and the versions a result holds for."""
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    return ", ".join(
        [
            f"{platform.machine()}, {usable_cores()} cores",
            f"Python {sys.version.split()[0]}",
            f"SQLite {sqlite3.sqlite_version}",
            *versions,
        ]
    )


def _turn(work: Candidate, calls: int) -> float:
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        begin = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - begin) / calls
    finally:
        if was_enabled:
            gc.enable()


def _spread(taken: list[float]) -> float:
    if len(taken) < 2:
        return 0.0
    quartiles = statistics.quantiles(taken, n=4)
    return (quartiles[2] - quartiles[0]) / 2
