"""SELECTs whose rows are those of one table, one for one, and where one condition more can be put.

What is not certain (a join, GROUP BY, DISTINCT, an aggregate, a window, a UNION, a function that is
not known) is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .functions import (
    CLOCK_WORDS,
    DATE_FUNCTIONS,
    OWN_OPERATORS,
    SCALAR_FUNCTIONS,
    STEADY_AGGREGATES,
)
from .lexer import Kind, Token
from .names import quote_name, unquote
from .select import NAMES, Core, FromTable, read
from .tree import Part, Query

_ORDER = ("FROM", "WHERE", "ORDER", "LIMIT")

# Words that an opening parenthesis may follow without being functions.
_NO_FUNCTION = frozenset(
    {"ALL", "AND", "AS", "BETWEEN", "BY", "CASE", "COLLATE", "DESC", "ASC", "ELSE", "EXISTS"}
    | {"FROM", "GLOB", "IN", "IS", "LIKE", "LIMIT", "MATCH", "NOT", "NULL", "OR", "REGEXP"}
    | {"SELECT", "THEN", "WHEN", "WHERE", "ESCAPE", "DISTINCT", "ON", "JOIN", "ORDER", "OFFSET"}
    | {"USING", "VALUES", "UNION", "INTERSECT", "EXCEPT", "HAVING", "FILTER", "OVER", "WITH"}
)


@dataclass(frozen=True)
class Narrowing:
    """A piece of SQL that reads one table, and where one condition more can be put.

    Attributes:
        table: The table.
        head: What comes before its WHERE clause.
        condition: The condition after WHERE; empty where there is none.
        tail: What comes after.
    """

    table: FromTable
    head: tuple[Part, ...]
    condition: tuple[Part, ...]
    tail: tuple[Part, ...]

    def parts(self, condition: str = "") -> tuple[Part, ...]:
        """Return the SQL with one condition more, or as it was."""
        given: tuple[Part, ...] = ()
        if self.condition:
            given = (" AND (", *self.condition, "\n)") if condition else self.condition
        where = (f"\n WHERE {condition}",) if given or condition else ()
        return (*self.head, *where, *given, " ", *self.tail)


def narrowing(query: Query, column: str) -> Narrowing | None:
    """Return where to narrow ``SELECT … FROM t [WHERE …]``, all of whose rows are rows of ``t``.

    Args:
        query: The query of a SEARCH.
        column: The column that must be the table's own in its result.
    """
    text = read(query)
    core = text.levels[0].cores[0]
    is_other = any(token.word == "WITH" for _, token in text.tokens) or core.has("ORDER", "LIMIT")
    if is_other or not is_row_for_row(core) or not _passes_on(core, column):
        return None
    return narrowing_of(core, 0, len(text.tokens) - 1)


def is_row_for_row(core: Core) -> bool:
    """Return whether a SELECT's rows are rows of its source, one for one, the same each time."""
    if core.select is None or core.level.is_compound or core.is_distinct:
        return False
    text, words = core.text, [word for word, _ in core.clauses]
    if words[:1] != ["FROM"] or words != [word for word in _ORDER if word in words]:
        return False
    if any(text.token(index).text == ";" for index in range(core.select, end_of(core))):
        return False
    return all(_is_steady(core, index) for index in range(core.select, end_of(core)))


def end_of(core: Core) -> int:
    """Return the end of a SELECT without the semicolons that may follow a statement."""
    end = core.end
    while end > core.first and core.text.token(end - 1).text == ";":
        end -= 1
    return end


def _is_steady(core: Core, index: int) -> bool:
    """Return whether a token is not, and does not call, what may answer differently each time."""
    text = core.text
    token, after = text.token(index), text.token(index + 1)
    if token.kind is Kind.UNTERMINATED or token.word in CLOCK_WORDS | OWN_OPERATORS | {"OVER"}:
        return False
    if after.text != "(" or token.kind not in NAMES or token.word in _NO_FUNCTION:
        return True
    name = unquote(token.text).upper()
    if text.token(index - 1).word in {"INTO", "AS"} or text.token(index - 1).text == ".":
        return False
    if name in DATE_FUNCTIONS:
        inside = [text.token(each) for each in range(index + 2, text.closing[index + 1])]
        asks = any(each.kind is Kind.PARAMETER or each.text.lower() == "'now'" for each in inside)
        return bool(inside) and not asks
    # Elsewhere, an aggregate of an outer column in a subquery makes an aggregate of the whole.
    if index in core.span("WHERE") and name in STEADY_AGGREGATES:
        return True
    if name in {"MAX", "MIN"} and len(text.items(index + 2, text.closing[index + 1])) < 2:
        return False
    return name in SCALAR_FUNCTIONS


def _passes_on(core: Core, column: str) -> bool:
    """Return whether a column of the result is the table's own of that name."""
    source, own = core.table(), 0
    if source is None:
        return False
    for item in core.columns():
        words = [core.text.token(index) for index in item]
        if words[-1:] and words[-1].text == "*":
            qualifier = plain_name([*words[:-1], Token(Kind.NAME, "_", 0, "_")])
            own += qualifier is not None and qualifier[0] in (None, source.reference)
        elif words and unquote(words[-1].text).lower() == column.lower():
            # Many a program writes `t.vector AS vector`.
            is_labelled = len(words) > 2 and words[-2].word == "AS"
            name = plain_name(words[:-2] if is_labelled else words)
            is_own = name is not None and name[1].lower() == column.lower()
            if name is None or not is_own or name[0] not in (None, source.reference):
                return False
            own += 1
    return own == 1


def narrowing_of(core: Core, begin: int, end: int) -> Narrowing | None:
    """Return where a SELECT's rows can be narrowed, in the text between two tokens around it."""
    table, where, cut = core.table(), core.span("WHERE"), core.text.slice
    if table is None:
        return None
    if not where:
        at = core.span("FROM").stop
        at = min(at, end_of(core))
        return Narrowing(table, cut(begin, at), (), cut(at, end))
    stop = min(where.stop, end_of(core))
    condition = cut(where.start + 1, stop)
    return Narrowing(table, cut(begin, where.start), condition, cut(stop, end))


def plain_name(words: Sequence[Token]) -> tuple[str | None, str] | None:
    """Return (qualifier quoted, name) where the tokens are one column's name."""
    kinds = {Kind.NAME, Kind.QUOTED}
    if len(words) == 1 and words[0].kind in kinds:
        return None, unquote(words[0].text)
    is_qualified = len(words) == 3 and words[1].text == "."
    if is_qualified and words[0].kind in kinds and words[2].kind in kinds:
        return quote_name(unquote(words[0].text)), unquote(words[2].text)
    return None
