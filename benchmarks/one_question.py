"""One question as a program, ``thanosql search``: from its start to its end, in seconds.

    python -m benchmarks.one_question [--pictures N | --folder DIR] [--runs N]

The folder has small JPEG files, a thousand in a folder, embedded before by storybook_clip, as a
model of the user's own: of the built-in one, each search would say that these are no drawings. Each
run is a new process; what was asked before and what was never asked take turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import thanosql_dbapi
from thanosql_dbapi.storybook import MODEL_FOLDER

from .folder import write_photos
from .measure import machine, shown

ASKED = "a black cat"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--pictures", type=int, default=25_000)
    parser.add_argument("--folder", type=Path, help="take a folder that was searched before")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    print(machine("torch", "transformers"))
    with tempfile.TemporaryDirectory() as name:
        folder, what = options.folder, str(options.folder)
        if folder is None:
            folder, what = Path(name), f"{options.pictures:,} pictures"
            write_photos(folder, options.pictures, 0)
            _add_model(folder)
        first = _run(folder, ASKED)
        runs: dict[str, list[tuple[float, float]]] = {"asked before": [], "never asked": []}
        for _ in range(options.runs):
            runs["asked before"].append(_run(folder, ASKED))
            runs["never asked"].append(_run(folder, f"a cat with {time.time_ns()} dogs"))
    print(f"\n### One question about {what}\n")
    print("| | seconds | of processors |\n|---|---:|---:|")
    print(f"| the first search | {shown(first[0])} | {shown(first[1])} |")
    for kind, each in runs.items():
        seconds, busy = (statistics.median(part) for part in zip(*each, strict=True))
        print(f"| a text {kind} | {shown(seconds)} | {shown(busy)} |")


def _add_model(folder: Path) -> None:
    shutil.copytree(MODEL_FOLDER, folder / "model")
    with closing(thanosql_dbapi.connect(folder / "photos.db")) as connection:
        connection.execute("UPLOAD MODEL m FROM 'model'")
        connection.commit()


def _run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Search in a new process; return the seconds it took, and those of processors."""
    # Installed, the package has its bytecode.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "thanosql", "search", str(folder), *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return seconds, user + system


if __name__ == "__main__":
    main()
