"""SQLAlchemy's suite for third-party dialects: nothing fails that its own sqlite passes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

RUNNER = Path(__file__).parents[1] / "sqlalchemy_suite" / "run.py"


def load_runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sqlalchemy_suite_run", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    return runner


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_fails_that_the_builtin_dialect_passes(kind):
    runner = load_runner()
    if not runner.can_run(kind):
        pytest.skip("the extra `async` is not installed")
    stock, ours = (runner.outcomes(url) for url in runner.PAIRS[kind])
    assert sum(outcome == "passed" for outcome in stock.values()) > 400
    assert runner.regressions(stock, ours) == []
