"""The first search of a new process: seconds from its start to the first answer, and to what.

    python -m benchmarks.first_search [--rows N] [--runs N] [--vocabulary FILE]
    python -m benchmarks.first_search --opening [--cold] [--rows N] [--runs N]

A text that was never seen has to import torch and load the model; one that was asked before, in
any process of the workspace, does not. Each run is a new process over the same database of random
vectors; the two kinds take turns.

With ``--opening``: the first search of a connection beside the second, where another process has
left the side file, and the text's vector is known. ``--cold`` puts the side file out of the page
cache before each (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import thanosql_dbapi
from thanosql_dbapi.models.query_store import NAME

from .collection import TEXT as ASKED
from .collection import Collection, collection
from .measure import machine, shown
from .models import vit_b32
from .search import SQL

DIMENSION = 512
TEXT = "a photograph of a black cat on a sofa"
SEARCH = (
    "SELECT id, m_clipen_similarity1 FROM (SEARCH IMAGE text=? USING m AS SELECT * FROM photos)"
    " ORDER BY m_clipen_similarity1 DESC LIMIT 5"
)
# What a program does, and what it costs as seen from outside; argument 3 asks for the parts.
PROGRAM = """
import json, sys, time
def lap():
    global last
    now = time.perf_counter()
    taken, last = now - last, now
    return taken
last, parts = time.perf_counter(), {}
database, text, is_split, is_new, search = sys.argv[1:]
import thanosql
parts["import thanosql"] = lap()
connection = thanosql.connect(database, progress=False)
if is_split == "1":
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    parts["connect"] = lap()
    if is_new == "1":
        import torch, transformers
        from transformers import CLIPTextModelWithProjection, AutoTokenizer
        parts["import torch and transformers"] = lap()
    connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()
    parts["the text's vector"] = lap()
assert len(connection.execute(search, (text,)).fetchall()) == 5
parts["first search"] = lap()
connection.execute(search, (text,)).fetchall()
parts["second search"] = lap()
heavy = sorted({"torch", "transformers", "pandas"} & sys.modules.keys())
searched = time.time() - parts["second search"]
print(json.dumps({"parts": parts, "heavy": heavy, "searched": searched}))
"""

OPENING = """
import json, sys, time
import thanosql
connection = thanosql.connect(sys.argv[1], progress=False)
connection.execute("SELECT embed_text('m', ?)", (sys.argv[2],)).fetchone()
taken = []
for _ in range(2):
    begin = time.perf_counter(), time.process_time()
    connection.execute(sys.argv[3]).fetchall()
    taken += [time.perf_counter() - begin[0], time.process_time() - begin[1]]
print(json.dumps(taken))
"""


def opening(rows: int, runs: int, *, is_cold: bool) -> None:
    """Print what the first search of a new connection takes beside its second."""
    made = collection(rows)
    side = made.database.with_name(f"{made.database.name}-thanosql1")
    if not side.exists():
        _opened(made)
    taken = []
    for _ in range(runs):
        if is_cold:
            with side.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        taken.append(_opened(made))
    cache = "not in the page cache" if is_cold else "in the page cache"
    print(f"\n### The first search after opening, {rows:,} rows, side file {cache}\n")
    print("| | first | second |\n|---|---:|---:|")
    medians = [statistics.median(each) for each in zip(*taken, strict=True)]
    for name, parts in (("seconds", medians[::2]), ("of processors", medians[1::2])):
        _line(name, list(parts))


def _opened(made: Collection) -> list[float]:
    """Return seconds and processor seconds of the first search, and of the second."""
    command = [sys.executable, "-c", OPENING, str(made.database), ASKED, SQL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken: list[float] = json.loads(done.stdout)
    return taken


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--vocabulary", type=Path, help="bpe_simple_vocab_16e6.txt.gz of CLIP")
    parser.add_argument("--opening", action="store_true", help="the first search of a connection")
    parser.add_argument("--cold", action="store_true", help="with --opening: out of the page cache")
    options = parser.parse_args()
    print(machine("torch", "transformers"))
    if options.opening:
        opening(options.rows, options.runs, is_cold=options.cold)
        return
    with tempfile.TemporaryDirectory() as name:
        database = _database(Path(name), options.rows, options.vocabulary)
        wholes: dict[str, list[float]] = {"never seen": [], "seen before": []}
        parts: dict[str, list[dict[str, float]]] = {"never seen": [], "seen before": []}
        heavy = {}
        for _ in range(options.runs):
            for kind, runs in wholes.items():
                seconds, _, heavy[kind] = _process(database, kind, is_split=False)
                runs.append(seconds)
                parts[kind].append(_process(database, kind, is_split=True)[1])
    print(f"\n### First search of a new process, {options.rows:,} × {DIMENSION}\n")
    print("| | " + " | ".join(f"text {kind}" for kind in wholes) + " |\n|---|---:|---:|")
    _line("**start to first answer**", [statistics.median(runs) for runs in wholes.values()])
    for part in parts["never seen"][0]:
        _line(part, [_median(runs, part) for runs in parts.values()])
    for kind, modules in heavy.items():
        print(
            f"\nText {kind}: imported {', '.join(modules) or 'none of torch, transformers, pandas'}"
        )


def _database(place: Path, rows: int, vocabulary: Path | None) -> Path:
    vit_b32(place / "vit_b32", vocabulary)
    connection = thanosql_dbapi.connect(place / "photos.db", progress=False)
    connection.execute("UPLOAD MODEL m FROM 'vit_b32'")
    connection.execute("CREATE TABLE photos (id INTEGER PRIMARY KEY, image_path TEXT)")
    # Makes the column, and all that belongs to one; there is no image to embed yet.
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    vectors = np.random.default_rng(0).normal(size=(rows, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    connection.executemany(
        "INSERT INTO photos (image_path, m_clipen) VALUES (?, ?)",
        ((f"{number}.jpg", vector.tobytes()) for number, vector in enumerate(vectors)),
    )
    connection.commit()
    connection.close()
    return place / "photos.db"


def _process(database: Path, kind: str, *, is_split: bool) -> tuple[float, dict[str, float], list]:
    """Search in a new process; return seconds to the answer, the parts, and heavy imports."""
    is_new = kind == "never seen"
    if is_new:
        (database.parent / "thanosql-model" / NAME).unlink(missing_ok=True)
    flags = [str(int(is_split)), str(int(is_new))]
    begin = time.time()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(database), TEXT, *flags, SEARCH],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    return told["searched"] - begin, told["parts"], told["heavy"]


def _median(runs: list[dict[str, float]], part: str) -> float | None:
    taken = [run[part] for run in runs if part in run]
    return statistics.median(taken) if taken else None


def _line(what: str, seconds: list[float | None]) -> None:
    print(f"| {what} | " + " | ".join("–" if s is None else shown(s) for s in seconds) + " |")


if __name__ == "__main__":
    main()
