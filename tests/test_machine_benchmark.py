"""``python -m benchmarks.machine``: rows that fail or cannot run are told, and the others go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import line
from benchmarks.measure import Figure

ROOT = Path(__file__).parents[1]


def test_a_figure_is_held_against_its_bar() -> None:
    quick = Figure("top 5", 0.002, "s", "numpy", 0.004, 0.4)
    assert quick.ratio == 0.5
    assert quick.is_met is False
    assert line(quick) == "| top 5 | 2 ms | numpy: 4 ms | 0.50 | ≤ 0.4 × | missed |"
    rate = Figure("CONVERT", 95.0, "images/s", "decoding", 100.0, 0.9, "told")
    assert line(rate).endswith("| 0.95 | ≥ 0.9 × | met; told |")
    alone = Figure("a join", 20.0, bar=30)
    assert line(alone) == "| a join | 20 s |  |  | ≤ 30 s | met |"
    assert Figure("reported", 20.0).is_met is None
    assert line(Figure("GPU", None, note="no GPU")) == "| GPU | not here | | | | no GPU |"


def test_the_rows_of_a_machine(tmp_path: Path) -> None:
    (tmp_path / "many-2222").write_text("in the way of a folder")
    command = [sys.executable, "-m", "benchmarks.machine", "--only", "folder", "csv"]
    command += ["--folder", str(tmp_path), "--json", str(tmp_path / "told.json"), "--seconds", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["machine"]["processor"]
    by_name = {each["what"].split()[0]: each for each in told["figures"]}
    assert by_name["folder"]["is_failed"]
    assert "Not a directory" in by_name["folder"]["note"]  # the path after it may be cut short
    assert by_name["COPY"]["value"] > 0
    assert by_name["COPY"]["ratio"] == by_name["COPY"]["value"] / by_name["COPY"]["other"]
    assert "| folder | failed |" in done.stdout
