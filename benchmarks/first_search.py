"""The first search of a new process: seconds from its start to the first answer, and to what.

    python -m benchmarks.first_search [--rows N] [--runs N] [--vocabulary FILE]

A text that was never seen has to import torch and load the model; one that was asked before, in
any process of the workspace, does not. Each run is a new process over the same database of random
vectors; the two kinds take turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import thanosql_dbapi
from thanosql_dbapi.models.query_store import NAME

from .measure import machine, shown
from .models import vit_b32

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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--vocabulary", type=Path, help="bpe_simple_vocab_16e6.txt.gz of CLIP")
    options = parser.parse_args()
    print(machine("torch", "transformers"))
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
