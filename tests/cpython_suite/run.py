"""Run CPython's own tests of sqlite3 on sqlite3 and on our module in its place.

    python tests/cpython_suite/run.py [--tests FOLDER]

prints the two counts beside each other, and each test that sqlite3 passes and our module does not;
the exit status is 1 where there is one. Nothing is patched in the tests: what they import as
``sqlite3`` (and as ``sqlite3.dbapi2``, in programs that they start too) is the driver, see
``stand_in/sitecustomize.py``. It takes a few seconds.

A Python that was packaged without these tests (Debian's) takes them from FOLDER, which has the
folder ``test_sqlite3`` of a Python of the same version. It may be ahead by a patch release: a test
of what is not in this Python fails on both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULES = ("sqlite3", "thanosql_dbapi")

# Tests that sqlite3 passes and our module does not, each with the reason. There is none.
BY_DESIGN: dict[str, str] = {}


def has_tests() -> bool:
    """Return whether this Python was installed with its tests of sqlite3."""
    name = "test.test_sqlite3" if sys.version_info >= (3, 11) else "test.test_sqlite"
    return find_spec("test") is not None and find_spec(name) is not None


def outcomes(module: str, tests: str = "") -> dict[str, str]:
    """Run the tests on a module; return passed, failed or skipped for each test by its name.

    Args:
        module: One of ``MODULES``.
        tests: Folder with the folder ``test_sqlite3``; empty for this Python's own.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(HERE / "stand_in"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "SQLITE3_STAND_IN": module if module != "sqlite3" else "",
    }
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        process = subprocess.run(
            [sys.executable, str(HERE / "outcomes.py"), str(report), tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            raise SystemExit(f"the tests did not run on {module}:\n{process.stderr}")
        document = json.loads(report.read_text("utf-8"))
    if document["module"] != module:
        raise SystemExit(f"expected the tests to import {module}, they had {document['module']}")
    by_name: dict[str, str] = document["tests"]
    return by_name


def regressions(stock: dict[str, str], ours: dict[str, str]) -> list[str]:
    """Return the tests that sqlite3 passes and our module does not."""
    return sorted(
        name
        for name, outcome in stock.items()
        if outcome == "passed" and ours.get(name, "missing") != "passed"
    )


def main() -> int:
    """Print the comparison, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", default="", metavar="FOLDER")
    tests = parser.parse_args().tests
    if not tests and not has_tests():
        parser.error("this Python has no tests of sqlite3; --tests FOLDER says where they are")
    results = {module: outcomes(module, tests and str(Path(tests).resolve())) for module in MODULES}
    print(f"Python {sys.version.split()[0]}")
    for module, by_name in results.items():
        count = Counter(by_name.values())
        print(
            f"{module:16} {count['passed']:5} passed {count['failed']:4} failed"
            f" {count['skipped']:4} skipped"
        )
    lost = regressions(*results.values())
    for name in lost:
        reason = BY_DESIGN.get(name, results["thanosql_dbapi"].get(name, "is missing"))
        print(f"passes on sqlite3 and {reason}: {name}")
    for name, outcome in sorted(results["sqlite3"].items()):
        if outcome == "failed":
            print(f"fails on sqlite3: {name}")
    is_whole = "passed" in results["sqlite3"].values()
    return 0 if is_whole and not set(lost) - BY_DESIGN.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
