"""The page on SQLAlchemy: its examples run."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import pandas
import pytest
import sqlalchemy

import thanosql_dbapi

PAGE = Path(__file__).parents[2] / "docs" / "sqlalchemy.md"
BLOCK = re.compile(r"^```(pycon|sql)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PACKAGES = {
    "asyncio": ("aiosqlite", "greenlet"),
    "Polars": ("polars",),
    "SQLModel": ("sqlmodel",),
    "sqlite-utils": ("sqlite_utils",),
}
"""Sections whose examples need packages that may be absent."""

pytestmark = pytest.mark.skipif(
    sqlalchemy.__version__.startswith("1."), reason="the page is written for SQLAlchemy 2"
)


@pytest.fixture
def tutorial(tmp_path, monkeypatch):
    """A small copy of the tutorial's folder."""
    monkeypatch.chdir(tmp_path)
    connection = thanosql_dbapi.connect("photos.db", progress=False)
    for statement in (
        "GET THANOSQL DATASET storybook OPTIONS (rows=8)",
        "GET THANOSQL MODEL storybook_clip",
        "COPY storybook FROM 'thanosql-dataset/storybook/storybook.csv'",
        "CONVERT USING storybook_clip OPTIONS (table_name='storybook') AS SELECT * FROM storybook",
    ):
        connection.execute(statement)
    yield connection
    connection.close()


def examples() -> str:
    """Return the examples, but for those of packages that are not installed."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = [
        section
        for section in sections
        if all(map(importlib.util.find_spec, PACKAGES.get(section.partition("\n")[0], ())))
    ]
    blocks = BLOCK.findall("\n## ".join(kept))
    return "\n".join(content for language, content in blocks if language == "pycon")


def test_the_examples(tutorial):
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    names: dict[str, object] = {}
    test = doctest.DocTestParser().get_doctest(examples(), names, PAGE.name, None, 0)
    runner.run(test, out=report.append, clear_globs=False)
    test.globs["engine"].dispose()
    assert not report, "".join(report)


def test_the_view_and_the_functions(tutorial):
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    (script,) = [content for language, content in blocks if language == "sql"]
    view, query = script.split(";\n")[:2]
    tutorial.execute(view)
    assert len(pandas.read_sql(query, tutorial)) == 5


def test_the_korean_twin_has_the_same_blocks_but_asks_in_korean():
    twin = PAGE.with_suffix(".ko.md")
    fence = re.compile(r"^ *```\w+\n.*?^ *```$", re.DOTALL | re.MULTILINE)
    korean = (
        twin.read_text("utf-8").replace("검은 고양이", "a black cat").replace("고양이", "a cat")
    )
    assert fence.findall(korean) == fence.findall(PAGE.read_text("utf-8"))
