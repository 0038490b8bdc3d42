"""What a long statement costs: at most in proportion to its length, or it is refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from thanosql_dbapi import Connection, StatementError

SEARCH = (
    "(SEARCH IMAGE text='a cat' USING m OPTIONS (emb_col='m_clipen', result_col='s')"
    " AS SELECT * FROM photos)"
)
LINE = "\n-- more"
FUNCTION = "cosine_similarity(m_clipen, embed_text('m', 'a cat'))"


def calls(work: Callable[[], Any]) -> int:
    """Return how many function calls a piece of work takes; errors of SQL end it."""
    count = 0

    def count_call(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        work()
    except sqlite3.Error:
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "text",
    [
        lambda n: f"SELECT * FROM {'(' * n}{SEARCH}{')' * n}",
        lambda n: f"SELECT * FROM {SEARCH} WHERE {'(' * n}1{')' * n} ORDER BY s DESC LIMIT 2",
        lambda n: f"SELECT * FROM {'(' * n}SEARCH IMAGE text='a cat'",
        lambda n: f"{'SELECT * FROM (' * n}{SEARCH}{')' * n}",
        lambda n: f"SELECT * FROM {SEARCH} WHERE caption IN ('a'{', b' * n}) ORDER BY s LIMIT 2",
        lambda n: f"SELECT * FROM photos WHERE 1{' AND 1' * n} ORDER BY {FUNCTION} DESC LIMIT 2",
        lambda n: " UNION ALL ".join([f"SELECT s FROM {SEARCH}"] * (n // 10)),
        lambda n: f"WITH {', '.join(f'a{i} AS (SELECT 1)' for i in range(n))} SELECT * {SEARCH}",
        lambda n: SEARCH[1:-1].replace("text='a cat'", f"texts=['a cat'{', ?1' * n}]"),
        lambda n: f"SELECT * FROM {SEARCH}{' -- more' * n}{LINE * n}{';' * n}",
        lambda n: f"SELEC {'(' * n} SEARCH IMAGE",
    ],
)
def test_calls_grow_with_the_length(converted: Connection, text: Callable[[int], str]) -> None:
    def counted(size: int) -> int:
        sql = text(size)
        values = ("a dog",) if "?1" in sql else ()
        return calls(lambda: converted.execute(sql, values).fetchall())

    counted(50)  # the model, and what is imported
    first, second, third = (counted(size) for size in (100, 200, 400))
    # Twice the length takes twice the calls more.
    assert third - second <= 2.3 * max(second - first, 300)


@pytest.mark.parametrize("depth", [2_000, 8_000])
def test_deep_parentheses_end_in_no_error_of_python(converted: Connection, depth: int) -> None:
    for sql in (
        f"SELECT * FROM {'(' * depth}{SEARCH}{')' * depth}",
        f"SELECT * FROM {SEARCH} WHERE {'(' * depth}1{')' * depth}",
    ):
        with suppress(sqlite3.Error):  # some versions of SQLite refuse it; none is RecursionError
            converted.execute(sql)


def test_more_texts_than_a_result_has_columns(converted: Connection) -> None:
    sql = SEARCH[1:-1].replace("text='a cat'", "texts=?")
    with pytest.raises(StatementError, match="250,000 texts and images"):
        converted.execute(sql, (["a cat"] * 250_000,))


COMMENTS = """
import sqlite3, sqlalchemy, thanosql_dbapi
engine = sqlalchemy.create_engine("thanosql://", isolation_level=None)
connection = thanosql_dbapi.connect(":memory:")
for piece in ("-", "--\\n", "/**/", "/***/", "/*a*/", "--x\\n/**/", ";", " "):
    for end in ("", "x", "alte", "VACUU", "*/"):
        text = piece * 3000 + end
        for execute in (connection.execute, engine.connect().exec_driver_sql):
            try:
                execute(text)
            except (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError):
                pass
print("done")
"""


def test_many_comments_before_a_word() -> None:
    """A process of its own: an expression that tries all ways never ends."""
    run = subprocess.run(
        [sys.executable, "-c", COMMENTS], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout == "done\n", run.stderr
