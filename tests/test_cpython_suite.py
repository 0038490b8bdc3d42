"""CPython's own tests of sqlite3: nothing fails on our module that passes on sqlite3."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

RUNNER = Path(__file__).parent / "cpython_suite" / "run.py"


def test_nothing_fails_that_sqlite3_passes() -> None:
    spec = importlib.util.spec_from_file_location("cpython_suite_run", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    if not runner.has_tests():
        pytest.skip("this Python was installed without its test package")
    stock, ours = (runner.outcomes(module) for module in runner.MODULES)
    assert sum(outcome == "passed" for outcome in stock.values()) > 250
    assert stock.keys() == ours.keys()
    assert set(runner.regressions(stock, ours)) == set(runner.BY_DESIGN)
