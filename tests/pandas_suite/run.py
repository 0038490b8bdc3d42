"""Run pandas' own tests of SQL on sqlite3 and SQLAlchemy's sqlite, and on ours in their place.

    python tests/pandas_suite/run.py

prints the two counts beside each other, and each test that passes on the built-in ones and not on
ours; the exit status is 1 where there is one. Nothing is patched in the tests: what they import as
``sqlite3`` is the driver, and ``sqlite://`` is the dialect, see ``stand_in/sitecustomize.py``.
Tests that need a file which pandas' wheel does not have fail on both. It takes some minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pandas
import sqlalchemy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WHICH = "not mysql and not postgres"  # they look for servers


def outcomes(*, ours: bool) -> dict[str, str]:
    """Run the tests; return passed, failed or skipped for each by its name."""
    path = [str(HERE / "stand_in"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    environment["SQLITE3_STAND_IN"] = "1" if ours else ""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        (Path(folder) / "pytest.ini").write_text("[pytest]\n", "utf-8")
        process = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--pyargs", "pandas.tests.io.test_sql"),
                *("-q", "-p", "no:cacheprovider", "-W", "ignore", "-k", WHICH),
                *("-c", "pytest.ini", f"--rootdir={folder}", f"--junitxml={report}"),
            ],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            raise SystemExit(f"the tests did not run:\n{process.stdout}{process.stderr}")
        cases = ElementTree.parse(report).iter("testcase")
        return {str(case.get("name")): _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def main() -> int:
    """Print the comparison, and return the exit status."""
    results = {name: outcomes(ours=name == "ours") for name in ("built-in", "ours")}
    print(f"pandas {pandas.__version__}, SQLAlchemy {sqlalchemy.__version__}")
    for name, tests in results.items():
        count = Counter(tests.values())
        print(
            f"{name:10} {count['passed']:5} passed {count['failed']:4} failed"
            f" {count['skipped']:4} skipped"
        )
    stock, ours = results.values()
    lost = [name for name in stock if stock[name] == "passed" != ours.get(name)]
    for name in lost:
        print(f"passes on the built-in ones and {ours.get(name, 'is missing')}: {name}")
    return 0 if "passed" in stock.values() and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
