"""What Tab completes in shell and notebook: words, names, and what a statement takes where it is.

A statement's own come from ``grammar``: the rest of its opening words, its clauses, the names of
its options and, of an option that names a column or a table, those that there are.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..connection import Connection
from ..language import grammar
from ..language.lexer import Kind, tokens
from ..language.option_specs import Kind as OptionKind
from ..language.option_specs import OptionSpec
from ..stores.sqlite.registry import PREFIX
from .session import run

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

_T = TypeVar("_T")

_SQL_WORDS = (
    "ALTER ANALYZE AND AS ASC ATTACH BEGIN BETWEEN BY CASE COMMIT COUNT CREATE CROSS DELETE DESC"
    " DISTINCT DROP ELSE END EXISTS EXPLAIN FROM GROUP HAVING IN INDEX INNER INSERT INTO IS JOIN"
    " LEFT LIKE LIMIT NOT NULL OFFSET ON OR ORDER OVER PRAGMA QUERY PLAN REPLACE RETURNING ROLLBACK"
    " SELECT SET TABLE THEN UNION UPDATE VACUUM VALUES VIEW WHEN WHERE WITH"
)
# What is being typed at the end of a text, by what may be typed there.
_WORD = re.compile(r"\w*$")
_NAME = re.compile(r"[\w.-]*$")
# An option's value, or an item of its list, open quotation or none.
_VALUE = re.compile(r"(\w+)\s*=\s*(?:\[[^\]]*?)?(['\"]?)([\w.-]*)$")
_CLAUSES = ("USING", "FROM", "AS", "OPTIONS")
_SUBJECTS = {
    ("DELETE", "MODEL"): "SELECT model_name FROM (LIST MODEL)",
    ("GET", "THANOSQL", "MODEL"): "SELECT model_name FROM (LIST THANOSQL MODEL)",
    ("GET", "THANOSQL", "DATASET"): "SELECT dataset_name FROM (LIST THANOSQL DATASET)",
}
_MODELS = _SUBJECTS["DELETE", "MODEL"]
_TABLE_OPTIONS = ("src_table", "label_table", "table_name")
_MODEL_OPTIONS = ("base_model",)
_NEW_COLUMNS = ("result_col", "score_col")
_VECTOR = "VECTOR"
# What CREATE TABLE … AS makes of a column of vectors: its declared type is not kept.
_UNTYPED = ("", "BLOB", "NUM")


@dataclass
class _Level:
    """What one pair of parentheses, or the text outside of any, holds up to the cursor.

    Attributes:
        spec: The statement that began last in it; in its OPTIONS, the statement that they are of.
        words: The bare words so far, in upper case.
        clause: The clause whose word comes right before the cursor, or empty.
        is_fresh: Whether only the statement's opening words come before the cursor.
        is_options: Whether these are the parentheses of OPTIONS.
        given: The options that have a value.
    """

    spec: grammar.StatementSpec | None = None
    words: list[str] = field(default_factory=list)
    clause: str = ""
    is_fresh: bool = False
    is_options: bool = False
    given: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def words() -> frozenset[str]:
    """Return the keywords of SQL and of ThanoSQL."""
    return grammar.keywords() | set(_SQL_WORDS.split())


def names(connection: Connection) -> list[str]:
    """Return the names of tables, views and their columns."""
    return sorted({name for table, column, _ in _columns(connection) for name in (table, column)})


def candidates(connection: Connection | None, text: str) -> tuple[str, Sequence[str]]:
    """Return what is being typed at the end of a text, and all that may be meant by it.

    Args:
        connection: The database. Where there is none, or it cannot be asked, being locked say,
            words alone are known: no reason to disturb the typing.
        text: What stands before the cursor.
    """
    if value := _VALUE.search(text):
        level = _level(text[: value.start()])
        if level.is_options and level.spec:
            found = _values(connection, level.spec.option(value[1].lower()))
            return value[3], found if value[2] else [_quoted(each) for each in found]
    typed = _NAME.search(text)[0]  # type: ignore[index]
    level = _level(text[: len(text) - len(typed)])
    spec = level.spec
    if level.is_options and spec:
        options = [each.name for each in spec.options or () if each.name not in level.given]
        return typed, [f"{name}=" for name in options]
    if level.words[-1:] == [grammar.FUNCTION]:
        return typed, [".".join(each.words[1:]).lower() for each in grammar.specs_of("FUNCTION")]
    if level.clause == "USING":
        return typed, [*_architectures(spec), *_asked(connection, partial(_first_column, _MODELS))]
    if spec and level.is_fresh and (asked := _SUBJECTS.get(spec.words)):
        return typed, _asked(connection, partial(_first_column, asked))
    typed = _WORD.search(text)[0]  # type: ignore[index]
    first = _next_words(level.words)
    if first and level.words[-1] not in _SQL_WORDS.split():
        return typed, first
    if spec and not first and not level.clause:
        first = [*spec.clauses, *(["OPTIONS"] if spec.options else [])]
    return typed, list(dict.fromkeys([*first, *_asked(connection, names), *sorted(words())]))


def matching(typed: str, found: Sequence[str]) -> list[str]:
    """Return the candidates that begin with what is typed, in whatever case."""
    return [name for name in dict.fromkeys(found) if name.lower().startswith(typed.lower())]


def completer(connection: Connection) -> Completer:
    """Return what completes for prompt_toolkit."""
    from prompt_toolkit.completion import Completer, Completion

    class ThanosqlCompleter(Completer):
        def get_completions(
            self, document: Document, complete_event: CompleteEvent
        ) -> Iterator[Completion]:
            typed, found = candidates(connection, document.text_before_cursor)
            for name in matching(typed, found):
                yield Completion(name, -len(typed))

    return ThanosqlCompleter()


def _level(text: str) -> _Level:
    """Return where the end of a text is: in which statement, clause and parentheses."""
    stack = [_Level()]
    last = ""
    for token in tokens(text):
        level = stack[-1]
        if token.text == "(":
            is_options = level.words[-1:] == ["OPTIONS"] and last == "OPTIONS"
            stack.append(_Level(level.spec if is_options else None, is_options=is_options))
        elif token.text == ")":
            del stack[max(1, len(stack) - 1) :]
        elif token.text == ";":
            stack = [_Level()]
        elif token.text == "=" and level.is_options:
            level.given.append(last.lower())
        elif token.kind is not Kind.END and token.text != ".":
            level.words.append(token.word)
            level.clause = token.word if token.word in _CLAUSES else ""
            began = None if level.is_options else _spec_of(level.words)
            level.spec, level.is_fresh = began or level.spec, began is not None
        last = token.word
    return stack[-1]


def _spec_of(said: Sequence[str]) -> grammar.StatementSpec | None:
    """Return the statement whose opening words the last words are."""
    for count in (3, 2, 1):
        spec = grammar.SPECS.get(tuple(said[-count:]))
        if spec is not None and spec.is_supported:
            return spec
    return None


def _next_words(said: Sequence[str]) -> list[str]:
    """Return the words with which an opening phrase that has begun may go on."""
    found = []
    for spec in grammar.SPECS.values():
        is_offered = spec.is_supported and not spec.is_older
        for count in range(1, len(spec.words)):
            if tuple(said[-count:]) == spec.words[:count] and is_offered:
                found.append(spec.words[count])
    return list(dict.fromkeys(found))


def _values(connection: Connection | None, option: OptionSpec[Any] | None) -> list[str]:
    """Return what an option's value may be, where that is a few words or a name."""
    if option is None or option.name in _NEW_COLUMNS:
        return []
    if option.choices:
        return list(option.choices)
    if option.kind is OptionKind.FLAG:
        return ["True", "False"]
    if option.name in _MODEL_OPTIONS:
        return _asked(connection, partial(_first_column, _MODELS))
    columns = _asked(connection, _columns)
    if option.name in _TABLE_OPTIONS:
        return sorted({table for table, _, _ in columns})
    if option.name.endswith("_col"):
        vectors = sorted({name for _, name, kind in columns if kind.upper().startswith(_VECTOR)})
        if "emb" in option.name:
            return [*vectors, *sorted({name for _, name, kind in columns if kind in _UNTYPED})]
        return sorted({name for _, name, _ in columns} - {*vectors})
    return []


def _quoted(value: str) -> str:
    return value if value in ("True", "False") else f"'{value}'"


def _architectures(spec: grammar.StatementSpec | None) -> list[str]:
    """Return what BUILD MODEL takes after USING beside the name of a model."""
    if spec is None or spec.words != ("BUILD", "MODEL"):
        return []
    from ..statements.building import NETWORKS

    return ["CLIPEn", *NETWORKS]


def _columns(connection: Connection) -> list[tuple[str, str, str]]:
    """Return (table, column, declared type) of all tables and views but the driver's own."""
    rows = run(
        connection,
        "SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
        " WHERE m.type IN ('table', 'view')",
    ).rows
    return [(table, name, kind) for table, name, kind in rows if not table.startswith(PREFIX)]


def _first_column(sql: str, connection: Connection) -> list[str]:
    return [row[0] for row in run(connection, sql).rows]


def _asked(connection: Connection | None, ask: Callable[[Connection], list[_T]]) -> list[_T]:
    if connection is not None:
        with suppress(sqlite3.Error):
            return ask(connection)
    return []
