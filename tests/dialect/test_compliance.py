"""SQLAlchemy's suite for third-party dialects: nothing fails that its own sqlite passes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

RUNNER = Path(__file__).parents[1] / "sqlalchemy_suite" / "run.py"


def test_nothing_fails_that_the_builtin_dialect_passes():
    spec = importlib.util.spec_from_file_location("sqlalchemy_suite_run", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    stock, ours = (runner.outcomes(runner.DATABASES[name]) for name in ("sqlite", "thanosql"))
    assert sum(outcome == "passed" for outcome in stock.values()) > 400
    assert runner.regressions(stock, ours) == []
