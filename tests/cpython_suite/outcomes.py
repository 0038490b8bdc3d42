"""Run CPython's tests of sqlite3 in this process, on whatever ``import sqlite3`` gives.

    python outcomes.py REPORT FOLDER

writes a JSON object to the file REPORT: which module had ``connect``, and for each test passed,
failed or skipped by its name. FOLDER has the tests, where this Python has none. ``run.py`` starts
this.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
import unittest
from pathlib import Path
from types import TracebackType
from typing import Union

ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]


class Outcomes(unittest.TextTestResult):
    """Notes what became of each test; one whose subtest fails has failed."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.by_name: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self.by_name[test.id()] = "passed"

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.by_name[test.id()] = "failed"

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:  # noqa: N802
        super().addError(test, err)
        self.by_name[test.id()] = "failed"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.by_name[test.id()] = "skipped"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self.by_name[test.id()] = "failed"

    def addSubTest(  # noqa: N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None
    ) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.by_name[test.id()] = "failed"


def main(report: str, folder: str) -> None:
    """Run the tests and write the report."""
    if folder:
        import test

        test.__path__.append(folder)
    if sys.version_info >= (3, 11):
        package = importlib.import_module("test.test_sqlite3")
        modules = sorted(path.stem for path in Path(package.__path__[0]).glob("test_*.py"))
        names = [f"test.test_sqlite3.{module}" for module in modules]
    else:  # the tests were inside sqlite3
        names = ["test.test_sqlite"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Outcomes, verbosity=0).run(suite)
    assert isinstance(result, Outcomes)
    # sqlite3.connect is a function of _sqlite3.
    module = sqlite3.connect.__module__.removeprefix("_")
    document = {"module": module, "tests": result.by_name}
    Path(report).write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
