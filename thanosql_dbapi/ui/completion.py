"""What Tab completes in the shell: words, the names of tables and columns, models after USING."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ..connection import Connection
from ..language import grammar
from ..stores.sqlite.registry import PREFIX
from .session import run

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

_SQL_WORDS = (
    "ALTER ANALYZE AND AS ASC ATTACH BEGIN BETWEEN BY CASE COMMIT COUNT CREATE CROSS DELETE DESC"
    " DISTINCT DROP ELSE END EXISTS EXPLAIN FROM GROUP HAVING IN INDEX INNER INSERT INTO IS JOIN"
    " LEFT LIKE LIMIT NOT NULL OFFSET ON OR ORDER OVER PRAGMA QUERY PLAN REPLACE RETURNING ROLLBACK"
    " SELECT SET TABLE THEN UNION UPDATE VACUUM VALUES VIEW WHEN WHERE WITH"
)
# What is being typed, and what stands before it.
_MODEL = re.compile(r"\b(?:USING|DELETE\s+MODEL)\s+(\w[\w.-]*)?$", re.IGNORECASE)
_CATALOG_MODEL = re.compile(r"\bGET\s+THANOSQL\s+MODEL\s+(\w[\w.-]*)?$", re.IGNORECASE)
_DATASET = re.compile(r"\bGET\s+THANOSQL\s+DATASET\s+(\w[\w.-]*)?$", re.IGNORECASE)
_WORD = re.compile(r"\w+$")


@lru_cache(maxsize=1)
def words() -> frozenset[str]:
    """Return the keywords of SQL and of ThanoSQL."""
    return grammar.keywords() | set(_SQL_WORDS.split())


def names(connection: Connection) -> list[str]:
    """Return the names of tables, views and their columns."""
    rows = run(
        connection,
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
        " WHERE m.type IN ('table', 'view')",
    ).rows
    return sorted({name for row in rows for name in row if not name.startswith(PREFIX)})


def candidates(connection: Connection, text: str) -> tuple[str, Sequence[str]]:
    """Return what is being typed at the end of a text, and all that may be meant by it.

    Args:
        connection: The database. Where it cannot be asked, being locked say, words alone are
            known: no reason to disturb the typing.
        text: What stands before the cursor.
    """
    for pattern, statement in (
        (_MODEL, "SELECT model_name FROM (LIST MODEL)"),
        (_CATALOG_MODEL, "SELECT model_name FROM (LIST THANOSQL MODEL)"),
        (_DATASET, "SELECT dataset_name FROM (LIST THANOSQL DATASET)"),
    ):
        if found := pattern.search(text):
            return found[1] or "", _asked(connection, partial(_first_column, statement))
    typed = found[0] if (found := _WORD.search(text)) else ""
    return typed, [*_asked(connection, names), *sorted(words())]


def completer(connection: Connection) -> Completer:
    """Return what completes for prompt_toolkit."""
    from prompt_toolkit.completion import Completer, Completion

    class ThanosqlCompleter(Completer):
        def get_completions(
            self, document: Document, complete_event: CompleteEvent
        ) -> Iterator[Completion]:
            typed, found = candidates(connection, document.text_before_cursor)
            for name in dict.fromkeys(found):
                if name.lower().startswith(typed.lower()):
                    yield Completion(name, -len(typed))

    return ThanosqlCompleter()


def _first_column(sql: str, connection: Connection) -> list[str]:
    return [row[0] for row in run(connection, sql).rows]


def _asked(connection: Connection, ask: Callable[[Connection], list[str]]) -> list[str]:
    with suppress(sqlite3.Error):
        return ask(connection)
    return []
