"""The harnesses of ``tests/long`` for some seconds each."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LONG = Path(__file__).parent / "long"


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a harness as its command does, and put lowered thresholds back."""
    monkeypatch.syspath_prepend(str(LONG))
    topk = importlib.import_module("thanosql_dbapi.statements.topk")
    matrices = importlib.import_module("thanosql_dbapi.stores.sqlite.topk.matrices")
    blocks = importlib.import_module("thanosql_dbapi.stores.sqlite.topk.blocks")
    for module, names in (
        (topk, ["FEWEST_ROWS"]),
        (blocks, ["FEWEST_ROWS", "MOST_ROWS", "THREAD_BYTES"]),
        (matrices, ["MOST_CHANGES", "LONGEST_LOG", "FEWEST_FILED"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    yield importlib.import_module
    for name in ("album", "world", "state_machine", "concurrency", "ends"):
        sys.modules.pop(name, None)


def test_state_machine(long: Any, tmp_path: Path) -> None:
    machine = long("state_machine")
    workspace = machine.make_workspace(tmp_path, machine.ROWS)
    counts: Any = machine.collections.Counter()
    with machine.Process() as process:
        for case in range(1):
            operations = machine.Writer(f"short/{case}").operations(12)
            counts += machine.run_case(workspace, process, operations)
    assert counts["searches by matrix"] > counts["searches by scan"]
    assert counts["operations"]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_concurrency(long: Any, tmp_path: Path, journal: str) -> None:
    concurrency = long("concurrency")
    found = concurrency.run(
        tmp_path, seconds=2, journal=journal, threads=2, processes=1, rows=300, starting=2
    )
    assert not concurrency.faults(found), found
    assert sum(counts["searches"] for counts in found.values())


def test_ends(long: Any, tmp_path: Path) -> None:
    ends = long("ends")
    ends.MOMENTS = 6
    measured = ends.run(tmp_path, seconds=60, searches=240, converts=4)
    # Memory is for the long form: in a few hundred searches it is what was loaded.
    grown = [each for each in ends.growth(measured) if not each.startswith("memory")]
    assert not grown
