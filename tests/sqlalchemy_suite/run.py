"""Run SQLAlchemy's suite for third-party dialects on its own sqlite dialects and on ours.

    python tests/sqlalchemy_suite/run.py

prints the counts beside each other, and each test that the built-in dialect passes and ours does
not; the exit status is 1 where there is one. The async dialects run where aiosqlite and
greenlet are installed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import sqlalchemy

ROOT = Path(__file__).resolve().parents[2]
PAIRS = {
    "sync": ("sqlite://", "thanosql://"),
    "async": ("sqlite+aiosqlite://", "thanosql+aiosqlite://"),
}
"""The URL of the built-in dialect and of ours, for each kind of engine."""

# How the suite spells a database in a test's name: `ExistsTest_sqlite+pysqlite_3_40_1`.
_DRIVERS = ("sqlite+pysqlite", "sqlite+thanosql_aiosqlite", "sqlite+thanosql", "sqlite+aiosqlite")


def outcomes(url: str) -> dict[str, str]:
    """Run the suite on a database; return passed, failed or skipped for each test by its name."""
    with tempfile.TemporaryDirectory() as folder:
        # The suite leaves database files where it runs, and wants its setup.cfg there.
        (Path(folder) / "setup.cfg").write_text((ROOT / "setup.cfg").read_text("utf-8"), "utf-8")
        # Our own pytest settings are stricter than the suite, which has markers of its own.
        (Path(folder) / "pytest.ini").write_text("[pytest]\n", "utf-8")
        report = Path(folder) / "report.xml"
        process = subprocess.run(
            [
                sys.executable,
                *("-m", "pytest", str(ROOT / "tests/sqlalchemy_suite"), f"--dburi={url}"),
                *("-c", "pytest.ini", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
                *("--maxfail=10000", "--tb=short", f"--junitxml={report}"),
            ],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *_python_path()]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            raise SystemExit(f"the suite did not run on {url}:\n{process.stdout}{process.stderr}")
        return {_name(case): _outcome(case) for case in ElementTree.parse(report).iter("testcase")}


def regressions(stock: dict[str, str], ours: dict[str, str]) -> list[str]:
    """Return the tests that pass on the built-in dialect and do not on ours."""
    return sorted(
        name
        for name, outcome in stock.items()
        if outcome == "passed" and ours.get(name, "missing") != "passed"
    )


def _python_path() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []


def _name(case: ElementTree.Element) -> str:
    name = f"{case.get('classname')}::{case.get('name')}".rpartition("test_suite.")[2]
    for driver in _DRIVERS:
        name = name.replace(driver, "sqlite")
    return name


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def can_run(kind: str) -> bool:
    """Return whether the packages that this kind of engine needs are installed."""
    return kind == "sync" or all(map(importlib.util.find_spec, ("aiosqlite", "greenlet")))


def main() -> int:
    """Print the comparison, and return the exit status."""
    print(f"SQLAlchemy {sqlalchemy.__version__}, Python {sys.version.split()[0]}")
    all_lost: list[str] = []
    for kind, urls in PAIRS.items():
        if not can_run(kind):
            continue
        stock, ours = (outcomes(url) for url in urls)
        for url, tests in zip(urls, (stock, ours), strict=True):
            count = Counter(tests.values())
            print(
                f"{url:24} {count['passed']:5} passed {count['failed']:4} failed"
                f" {count['skipped']:4} skipped"
            )
        lost = regressions(stock, ours)
        for name in lost:
            print(f"passes on {urls[0]} and {ours.get(name, 'is missing')} on {urls[1]}: {name}")
        for name, outcome in sorted(stock.items()):
            if outcome == "failed":
                print(f"fails on both: {name}")
        all_lost += lost
    return 1 if all_lost else 0


if __name__ == "__main__":
    sys.exit(main())
