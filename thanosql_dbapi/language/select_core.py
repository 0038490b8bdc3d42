"""One SELECT inside a query: its clauses, its one table, and where its rows can be narrowed.

Told token by token, with all else left as it is written. What cannot be told for certain is not
told at all: a SELECT with a join, a GROUP BY, DISTINCT, an aggregate, a window or a UNION is None
here, for its rows are not, one for one, the rows of a table.

Source: https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .lexer import Kind, Token
from .names import quote_name, unquote
from .outline import FromTable, query_tokens, read_item
from .scalars import SCALAR_FUNCTIONS
from .tree import Part, Query

_CLAUSES = ("FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT")
_UNFIT = frozenset(
    {"DISTINCT", "GROUP", "HAVING", "WINDOW", "OVER", "UNION", "INTERSECT", "EXCEPT", "RETURNING"}
)
# Words that an opening parenthesis may follow without being functions.
_NO_FUNCTION = frozenset(
    {"ALL", "AND", "AS", "BETWEEN", "BY", "CASE", "COLLATE", "DESC", "ASC", "ELSE", "EXISTS"}
    | {"FROM", "GLOB", "IN", "IS", "LIKE", "LIMIT", "MATCH", "NOT", "NULL", "OR", "REGEXP"}
    | {"SELECT", "THEN", "WHEN", "WHERE", "ESCAPE", "DISTINCT", "ON", "JOIN", "ORDER", "OFFSET"}
)

Place = tuple[int, int]  # number of a part, offset in it


@dataclass(frozen=True)
class Filter:
    """A piece of SQL that reads one table, and where its rows can be narrowed.

    Attributes:
        table: The table.
        head: What comes before its WHERE clause.
        condition: What stands after WHERE; empty where there is none.
        tail: What comes after.
    """

    table: FromTable
    head: tuple[Part, ...]
    condition: tuple[Part, ...]
    tail: tuple[Part, ...]

    def narrowed(self, condition: str = "") -> Query:
        """Return the SQL with one condition more, or as it was."""
        given: tuple[Part, ...] = ()
        if self.condition:
            given = (" AND (", *self.condition, "\n)") if condition else self.condition
        where = (f"\n WHERE {condition}",) if given or condition else ()
        return Query((*self.head, *where, *given, " ", *self.tail))


class Tokens:
    """The tokens of a query, and the text between two of them."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.tokens = list(query_tokens(query))
        self.has_with = any(token.word == "WITH" for _, token in self.tokens)

    def names(self, begin: int, end: int) -> list[str]:
        """Return the names between two tokens, in lower case, but for what qualifies another."""
        found = []
        for index in range(begin, end):
            token = self.tokens[index][1]
            if token.kind in {Kind.NAME, Kind.QUOTED, Kind.STRING}:
                is_qualifier = self.tokens[index + 1][1].text == "."
                found += [] if is_qualifier else [unquote(token.text).lower()]
        return found

    def level(self, index: int) -> tuple[int, int]:
        """Return the first token and the end of the parentheses that a token stands in."""
        begin, end, depth = index, index, 0
        while begin > 0:
            text = self.tokens[begin - 1][1].text
            if text == "(" and depth == 0:
                break
            depth += (text == ")") - (text == "(")
            begin -= 1
        depth = 0
        while end < len(self.tokens) - 1:
            text = self.tokens[end][1].text
            if text == ")" and depth == 0:
                break
            depth += (text == "(") - (text == ")")
            end += 1
        return begin, end

    def slice(self, begin: int, end: int) -> tuple[Part, ...]:
        """Return what stands from one token up to another, comments and blanks included."""
        first, start = self._place(begin)
        last, stop = self._place(end)
        if begin >= end:
            return ()
        parts: list[Part] = []
        for number in range(first, min(last, len(self.query.parts) - 1) + 1):
            part = self.query.parts[number]
            if isinstance(part, str):
                part = part[start if number == first else 0 : stop if number == last else None]
            elif number == last:
                break
            if part:
                parts.append(part)
        return tuple(parts)

    def _place(self, index: int) -> Place:
        number, token = self.tokens[index]
        return (len(self.query.parts), 0) if number < 0 else (number, token.start)


@dataclass(frozen=True)
class Core:
    """One SELECT: where its clauses begin.

    Attributes:
        every: All tokens of the query it stands in.
        begin: The token SELECT.
        end: The token after its last one.
        clauses: First word of each clause after the select list, and its token, in order.
    """

    every: Tokens
    begin: int
    end: int
    clauses: tuple[tuple[str, int], ...]

    def has(self, word: str) -> bool:
        """Return whether there is a clause of this first word."""
        return any(clause == word for clause, _ in self.clauses)

    def span(self, word: str) -> range:
        """Return the tokens of a clause, its first word included; empty where there is none."""
        for position, (clause, index) in enumerate(self.clauses):
            if clause == word:
                after = self.clauses[position + 1 :]
                return range(index, after[0][1] if after else self.end)
        return range(self.end, self.end)

    def token(self, index: int) -> Token:
        """Return a token."""
        return self.every.tokens[index][1]

    def items(self, begin: int, end: int) -> list[range]:
        """Return the runs of tokens between commas outside of parentheses."""
        runs, depth, start = [], 0, begin
        for index in range(begin, end):
            text = self.token(index).text
            depth += (text == "(") - (text == ")")
            if text == "," and depth == 0:
                runs.append(range(start, index))
                start = index + 1
        return [*runs, range(start, end)]

    def columns(self) -> list[range]:
        """Return the items of the select list."""
        begin = self.begin + 1
        if self.token(begin).word == "ALL":
            begin += 1
        return self.items(begin, self.span("FROM").start)

    def source(self) -> FromTable | None:
        """Return the table it reads, where that is all of its FROM clause."""
        span = self.span("FROM")
        item = read_item([token for _, token in self.every.tokens], span.start + 1)
        return item[0] if item and item[1] == span.stop else None

    def passes_on(self, column: str) -> bool:
        """Return whether a column of the result is the table's own of that name."""
        source, own = self.source(), 0
        for item in self.columns():
            words = [self.token(index) for index in item]
            if [token.text for token in words[-1:]] == ["*"]:
                own += 1
            elif words and unquote(words[-1].text).lower() == column.lower():
                # Many a program writes `t.vector AS vector`.
                is_labelled = len(words) > 2 and words[-2].word == "AS"
                plain = plain_name(words[:-2] if is_labelled else words)
                is_own = plain is not None and plain[1].lower() == column.lower()
                is_of_source = plain and source and plain[0] in (None, source.reference)
                own += 1 if is_own and is_of_source else 2
        return source is not None and own == 1

    def filter(self, begin: int, end: int) -> Filter | None:
        """Return where its rows can be narrowed, in the text between two tokens around it."""
        table, where, text = self.source(), self.span("WHERE"), self.every.slice
        if table is None:
            return None
        if not where:
            at = self.span("FROM").stop
            return Filter(table, text(begin, at), (), text(at, end))
        condition = text(where.start + 1, where.stop)
        return Filter(table, text(begin, where.start), condition, text(where.stop, end))


def read_core(every: Tokens, index: int) -> Core | None:
    """Return the SELECT around a token, where it can be one whose rows are its source's rows."""
    begin, end = every.level(index)
    while end > begin and every.tokens[end - 1][1].text == ";":
        end -= 1
    while begin < end and every.tokens[begin][1].word in {"EXPLAIN", "QUERY", "PLAN"}:
        begin += 1
    if begin < end and every.tokens[begin][1].word == "WITH":
        begin = _main_select(every, begin, end)
    if begin >= end or every.tokens[begin][1].word != "SELECT":
        return None
    clauses, depth = [], 0
    for at in range(begin + 1, end):
        token = every.tokens[at][1]
        if token.text == ";":
            return None
        depth += (token.text == "(") - (token.text == ")")
        is_outside = depth == 0 and token.text not in "()"
        if is_outside and token.word in _UNFIT:
            return None
        if is_outside and token.word in _CLAUSES:
            clauses.append((token.word, at))
        if token.word == "OVER" or token.kind is Kind.UNTERMINATED:
            return None
    words = [word for word, _ in clauses]
    if words[:1] != ["FROM"] or words != [word for word in _CLAUSES if word in words]:
        return None
    core = Core(every, begin, end, tuple(clauses))
    return core if _is_plain(core) else None


def _main_select(every: Tokens, begin: int, end: int) -> int:
    """Return the SELECT that a WITH belongs to, or the end where it is no SELECT."""
    depth = 0
    for index in range(begin, end):
        token = every.tokens[index][1]
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word in {"SELECT", "VALUES", "INSERT", "UPDATE", "DELETE"}:
            return index
    return end


def _is_plain(core: Core) -> bool:
    """Return whether no function outside WHERE can be an aggregate."""
    skipped = {*core.span("FROM"), *core.span("WHERE")}
    for index in range(core.begin, core.end - 1):
        token = core.token(index)
        if index in skipped or core.token(index + 1).text != "(" or token.kind is Kind.SYMBOL:
            continue
        is_known = token.word in SCALAR_FUNCTIONS or token.word in _NO_FUNCTION
        if token.kind in {Kind.NAME, Kind.QUOTED, Kind.STRING} and not is_known:
            return False
        if token.word in {"MAX", "MIN"} and _arity(core, index + 1) < 2:
            return False
    return True


def _arity(core: Core, opening: int) -> int:
    _, end = core.every.level(opening + 1)
    return len(core.items(opening + 1, end))


def plain_name(words: Sequence[Token]) -> tuple[str | None, str] | None:
    """Return (qualifier quoted, name) where the tokens are one column's name."""
    kinds = {Kind.NAME, Kind.QUOTED}
    if len(words) == 1 and words[0].kind in kinds:
        return None, unquote(words[0].text)
    is_qualified = len(words) == 3 and words[1].text == "."
    if is_qualified and words[0].kind in kinds and words[2].kind in kinds:
        return quote_name(unquote(words[0].text)), unquote(words[2].text)
    return None
