"""How fast this machine is with the driver, in one call: ``python -m benchmarks.machine``.

Runs one row after another, each in a process of its own with a share of the time, and prints one
table: what was measured, beside what, the ratio, and the bar. A row that fails or takes too long
says so, and the others go on. What a machine lacks (a GPU, cores, a package) is "not here". It
needs no photograph and no download: pictures are drawn, vectors and models made up.

    python -m benchmarks.machine [--seconds 540] [--only NAME …] [--folder DIR] [--json FILE]

A ratio of seconds is to be at most its bar, one of rates at least. Run it on a machine that does
nothing else: the head of the table has the load that it found.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from thanosql_dbapi.cores import usable_cores

from .measure import Figure

SECONDS = 540
"""Of the whole run: under ten minutes."""
_VERSIONS = ("numpy", "torch", "transformers", "pillow", "numkong", "sqlite-vec", "ray")
_ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*", re.MULTILINE)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Share:
    """What a row is given.

    Attributes:
        folder: Where rows keep what they make; what an earlier row has made is there.
        seconds: About how long the row should take; it chooses its sizes by that.
    """

    folder: Path
    seconds: float


@dataclass(frozen=True)
class Row:
    """One thing to measure.

    Attributes:
        name: As ``--only`` names it.
        work: ``module:function`` of this package; the function takes a Share and yields Figures.
        seconds: Its part of the whole, as a share of the default SECONDS.
        cores: With how many cores it runs, each in a process of its own; empty for all there are.
    """

    name: str
    work: str
    seconds: float
    cores: tuple[int, ...] = ()


ROWS = (
    Row("vectors", "rows:vectors", 150),
    Row("top5", "rows:top5", 20, cores=(1, 2, 16)),
    Row("first", "rows:first_search", 15),
    Row("gpu-top5", "rows:top5_gpu", 20),
    Row("decoding", "decoding:ready_path", 25),
    Row("texts", "rows:many_texts", 15),
    Row("join", "rows:join", 45),
    Row("decode-bound", "rows:decode_bound", 40),
    Row("model-bound", "rows:model_bound", 45),
    Row("gpu-convert", "rows:convert_gpu", 60),
    Row("writes", "rows:writes", 15),
    Row("ray", "rows:on_ray", 40),
    Row("csv", "rows:copy_csv", 15),
    Row("folder", "rows:copy_folder", 15),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, and print the table; the exit status is 1 when a row failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the whole run")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="NAME")
    parser.add_argument("--folder", type=Path, help="keep vectors and pictures there, and use them")
    parser.add_argument("--json", type=Path, help="write machine and figures there, too")
    parser.add_argument("--child", nargs=2, metavar=("ROW", "RESULTS"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        _measure(given.child[0], Share(given.folder, given.seconds), Path(given.child[1]))
        return 0
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for row in ROWS if not given.only or row.name in given.only]
        return run(rows, folder.resolve(), given.seconds, given.json)


def run(rows: Sequence[Row], folder: Path, seconds: float, report: Path | None = None) -> int:
    """Measure rows and print their table; return how many failed, at most 1."""
    here = about(folder)
    begin = time.monotonic()
    for name, value in here.items():
        print(f"- {name}: {value}")
    print("\n| | measured | beside it | ratio | bar | |\n|---|---:|---|---:|---:|---|", flush=True)
    figures: list[Figure] = []
    failed = False
    jobs = [(row, count) for row in rows for count in row.cores or (usable_cores(),)]
    while jobs:
        row, count = jobs.pop(0)
        left = seconds - (time.monotonic() - begin)
        # Of a slow machine each row gets its part of what is left, and no row the others'.
        waiting = sum(each.seconds for each, cores_wanted in jobs if not _no_cores(cores_wanted))
        share = row.seconds * min(seconds / SECONDS, left / (row.seconds + waiting))
        if why := _no_cores(count):
            found, error = [Figure(f"{row.name}, {count} cores", None, note=why)], ""
        else:
            found, error = _child(row, count, folder, share, min(left, 2 * share + 30))
        if error:
            failed = True
            found.append(Figure(row.name, None, note=error, is_failed=True))
        for figure in found:
            print(line(figure), flush=True)
        figures += found
    taken = time.monotonic() - begin
    print(f"\n{taken:.0f} s, load average at the end {_load()}")
    if report:
        rows_told = [{**dataclasses.asdict(f), "ratio": f.ratio, "met": f.is_met} for f in figures]
        report.write_text(json.dumps({"machine": here, "figures": rows_told}, indent=1))
    return int(failed)


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    if figure.value is None:
        why = "failed" if figure.is_failed else "not here"
        return f"| {figure.what} | {why} | | | | {figure.note} |"
    beside = f"{figure.beside}: {figure.shown(figure.other)}" if figure.beside else ""
    ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else ""
    bar = ""
    if figure.bar is not None:
        sign = "≤" if figure.fewer_is_better else "≥"
        bar = f"{sign} {figure.bar:g} ×" if beside else f"{sign} {figure.shown(figure.bar)}"
    verdict = {True: "met", False: "missed", None: ""}[figure.is_met]
    note = "; ".join(filter(None, (verdict, figure.note)))
    return f"| {figure.what} | {figure.shown(figure.value)} | {beside} | {ratio} | {bar} | {note} |"


def about(folder: Path) -> dict[str, str]:
    """Return what the figures depend on, by name."""
    versions = [f"thanosql {_version('thanosql-dbapi')}", f"Python {sys.version.split()[0]}"]
    versions += [f"SQLite {sqlite3.sqlite_version}"]
    versions += [f"{name} {version}" for name in _VERSIONS if (version := _version(name))]
    free = shutil.disk_usage(folder).free
    return {
        "processor": f"{_processor()} ({platform.machine()}), {_cores_told()}",
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB{_shared_memory()}; {free / 2**30:.0f} GiB"
        " free on the disk",
        "GPU": _gpu(),
        "versions": ", ".join(versions),
        "system": platform.platform(),
        "load average at the start": _load(),
    }


def _child(
    row: Row, count: int, folder: Path, share: float, limit: float
) -> tuple[list[Figure], str]:
    """Measure a row in a process of its own; return its figures, and why it ended early, or ''."""
    with tempfile.TemporaryDirectory() as place:
        results, log = Path(place, "results"), Path(place, "log")
        results.touch()
        command = [sys.executable, "-m", "benchmarks.machine", "--child", row.name, str(results)]
        command += ["--folder", str(folder), "--seconds", str(share)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1"}
        if count < usable_cores():
            environment.update(dict.fromkeys(_THREAD_VARIABLES, str(count)))
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=Path(__file__).parent.parent,
                # Its workers are stopped with it.
                start_new_session=True,
                preexec_fn=_limit(count) if count < usable_cores() else None,
            )
            error = _wait(process, limit)
        found = [Figure(**json.loads(text)) for text in results.read_text().splitlines()]
        if process.returncode and not error:
            told = log.read_text(errors="replace").strip() or f"exit status {process.returncode}"
            errors = _ERROR.findall(told) or told.splitlines()
            error = errors[-1].replace("|", "/")[:200]
    return found, error


def _wait(process: subprocess.Popen[bytes], limit: float) -> str:
    error = ""
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        error = f"stopped after {limit:.0f} s"
    except BaseException:
        _stop(process)
        raise
    if error:
        _stop(process)
    return error


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a row's process and what it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _limit(count: int) -> Any:
    """Give what makes a new process run on some cores alone."""
    chosen = sorted(os.sched_getaffinity(0))[:count]
    return lambda: os.sched_setaffinity(0, chosen)


def _measure(name: str, share: Share, results: Path) -> None:
    """Run a row here, and write each figure as soon as it is there."""
    (row,) = [row for row in ROWS if row.name == name]
    module, _, function = row.work.partition(":")
    work = getattr(import_module(f".{module}", __package__), function)
    figures: Iterator[Figure] = work(share)
    with results.open("a", encoding="utf-8") as file:
        for figure in figures:
            file.write(json.dumps(dataclasses.asdict(figure)) + "\n")
            file.flush()


def _no_cores(count: int) -> str:
    """Return why a row cannot run on so many cores, or ''."""
    if count > usable_cores():
        return f"this process may use {usable_cores()}"
    if count < usable_cores() and not hasattr(os, "sched_setaffinity"):
        return "this system gives a process all cores or none"
    return ""


def _cores_told() -> str:
    told = f"{usable_cores()} of {os.cpu_count()} cores may be used"
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        told += f", a quota of {int(quota) / int(period):.1f} cores"
    return told


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(each.split(":", 1)[1].strip() for each in lines if "model name" in each)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return platform.processor() or "unknown"


def _memory_bytes() -> float:
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows
        return float("nan")
    with contextlib.suppress(OSError, ValueError):
        physical = min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return physical


def _shared_memory() -> str:
    with contextlib.suppress(OSError):
        return f", /dev/shm {shutil.disk_usage('/dev/shm').total / 2**30:.1f} GiB"
    return ""


def _gpu() -> str:
    """Ask torch in another process, so that this one holds no device."""
    program = (
        "import torch\n"
        "if torch.cuda.is_available():\n"
        " for n in range(torch.cuda.device_count()):\n"
        "  d = torch.cuda.get_device_properties(n)\n"
        "  print(d.name, f'{d.total_memory / 2**30:.0f} GiB')\n"
        "elif torch.backends.mps.is_available(): print('mps')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return "torch does not load: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    return ", ".join(done.stdout.split("\n")).strip(", ") or "none"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _load() -> str:
    try:
        return ", ".join(f"{each:.1f}" for each in os.getloadavg())
    except (AttributeError, OSError):  # Windows
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
