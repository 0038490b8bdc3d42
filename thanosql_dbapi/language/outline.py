"""What a query reads from: the tables after FROM and JOIN, and the shape of its outermost SELECT.

Source: https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from .lexer import Kind, Token, tokens
from .names import quote_name, unquote
from .tree import Parameter, Query, TableName

_END_OF_FROM = frozenset({"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "RETURNING"})
_COMPOUND = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_QUERY = frozenset({"SELECT", "VALUES", "WITH"})
_NAMES = frozenset({Kind.NAME, Kind.QUOTED, Kind.STRING})

# What can stand between a table and the end of its item without being its alias.
_JOINS = frozenset({"CROSS", "FULL", "INNER", "JOIN", "LEFT", "NATURAL", "OUTER", "RIGHT"})
_NO_ALIAS = _END_OF_FROM | _COMPOUND | _JOINS | {"INDEXED", "NOT", "ON", "USING"}


@dataclass(frozen=True)
class FromTable:
    """A table of a FROM clause.

    Attributes:
        table: Its name.
        reference: What qualifies its columns, quoted: the alias, or the name.
    """

    table: TableName
    reference: str


@dataclass(frozen=True)
class Outline:
    """The shape of a query's outermost SELECT.

    Attributes:
        select_list: Offset in ``query.parts[0]`` where a result column can be inserted: just after
            SELECT, SELECT ALL or SELECT DISTINCT. Put a space before the column, a comma after.
        tables: The items of its FROM clause that are plain tables, in order.
        sources: How many items its FROM clause has, subqueries and table functions included.
        is_compound: It is the first of a UNION, INTERSECT or EXCEPT.
        is_distinct: SELECT DISTINCT.
        is_grouped: It has GROUP BY or HAVING.
    """

    select_list: int
    tables: tuple[FromTable, ...]
    sources: int
    is_compound: bool
    is_distinct: bool
    is_grouped: bool


@dataclass
class _Level:
    """What a pair of parentheses holds."""

    is_from: bool = False  # in a FROM clause
    is_due: bool = False  # an item of FROM comes next
    is_with: bool = False


@dataclass
class _Facts:
    """What a walk over a query's tokens finds."""

    select: tuple[int, Token] | None = None  # part, and the last token before the select list
    tables: list[tuple[int, FromTable]] = field(default_factory=list)  # with their depth
    common: set[str] = field(default_factory=set)  # names of WITH, in lower case
    sources: int = 0
    words: set[str] = field(default_factory=set)  # bare words of the outermost level


def outline(query: Query) -> Outline | None:
    """Return the shape of a query's outermost SELECT.

    Args:
        query: Any query; a leading WITH is gone past.

    Returns:
        The shape; None when the query is no SELECT (VALUES, INSERT …), or begins with a statement
        of ours, or when a parameter or statement comes before its select list.
    """
    if query.verb != "SELECT":
        return None
    facts = _Walk(query).facts
    if facts.select is None or facts.select[0] != 0:
        return None
    return Outline(
        select_list=facts.select[1].end,
        tables=tuple(table for depth, table in facts.tables if depth == 0),
        sources=facts.sources,
        is_compound=bool(facts.words & _COMPOUND),
        is_distinct=facts.select[1].word == "DISTINCT",
        is_grouped=bool(facts.words & {"GROUP", "HAVING"}),
    )


def tables_read(query: Query) -> frozenset[TableName]:
    """Return every table after FROM or JOIN at any depth, queries of nested statements included.

    Names are in lower case, as SQLite takes no notice of it; names that WITH defines are left out.

    Args:
        query: Any query.
    """
    facts = _Walk(query).facts
    found = set()
    for _, item in facts.tables:
        name, schema = item.table.name.lower(), item.table.schema
        if schema is not None or name not in facts.common:
            found.add(TableName(name, schema.lower() if schema is not None else None))
    for part in query.parts:
        inner = getattr(part, "query", None)
        if inner is not None:
            found |= {
                table
                for table in tables_read(inner)
                if table.schema is not None or table.name not in facts.common
            }
    return frozenset(found)


@lru_cache(maxsize=256)
def common_names(query: Query) -> frozenset[str]:
    """Return the names that a query's WITH clauses define at any depth, in lower case."""
    return frozenset(_Walk(query).facts.common)


def query_tokens(query: Query) -> Iterator[tuple[int, Token]]:
    """Yield the tokens of all parts with the number of their part; ours count as one token."""
    for number, part in enumerate(query.parts):
        if isinstance(part, str):
            for token in tokens(part):
                if token.kind is not Kind.END:
                    yield number, token
        elif isinstance(part, Parameter):
            yield number, Token(Kind.PARAMETER, part.text, 0, "")
        else:
            yield number, Token(Kind.UNKNOWN, "", 0, "")
    yield -1, Token(Kind.END, "", 0, "")


class _Walk:
    """One pass over the tokens of a query."""

    def __init__(self, query: Query) -> None:
        self.facts = _Facts()
        self._levels = [_Level()]
        self._all = list(query_tokens(query))
        self._at = 0
        while self._at < len(self._all) - 1:
            self._step()

    def _token(self, distance: int = 0) -> Token:
        at = self._at + distance
        return self._all[at][1] if 0 <= at < len(self._all) else self._all[-1][1]

    def _step(self) -> None:
        token, level = self._token(), self._levels[-1]
        is_name = token.kind in {Kind.NAME, Kind.QUOTED, Kind.STRING}
        if level.is_with and is_name:
            before = self._token(-1)
            if before.text == "," or before.word in {"WITH", "RECURSIVE"}:
                self.facts.common.add(unquote(token.text).lower())
        if level.is_due and is_name:
            level.is_due = False
            if token.word not in _QUERY:
                self._item()
                return
            level.is_from = False
        if token.text == "(":
            self._count_source(level)
            self._levels.append(_Level(is_from=level.is_due, is_due=level.is_due))
            level.is_due = False
        elif token.text == ")":
            if len(self._levels) > 1:
                self._levels.pop()
        elif token.text == ",":
            level.is_due = level.is_from
        elif token.word:
            self._word(token, level)
        elif level.is_due:
            self._count_source(level)
            level.is_due = False
        self._at += 1

    def _word(self, token: Token, level: _Level) -> None:
        word = token.word
        is_outside = len(self._levels) == 1
        if is_outside:
            self.facts.words.add(word)
        if word == "WITH" and self._begins_with():
            level.is_with = True
        if word in {"SELECT", "VALUES"}:
            level.is_with = level.is_from = False
            if word == "SELECT" and is_outside and self.facts.select is None:
                self._select()
        elif word == "FROM":
            level.is_from = level.is_due = self._token(-1).word != "DISTINCT"
        elif word == "JOIN":
            level.is_due = level.is_from
        elif word in _END_OF_FROM or word in _COMPOUND:
            level.is_from = level.is_due = False

    def _begins_with(self) -> bool:
        """Return whether the word WITH opens its clause, and is no name."""
        if self._token(1).word == "RECURSIVE":
            return True
        return self._token(1).kind in _NAMES and (
            self._token(2).word == "AS" or self._token(2).text == "("
        )

    def _select(self) -> None:
        if self._token(1).word in {"ALL", "DISTINCT"}:
            self._at += 1
        self.facts.select = self._all[self._at]

    def _count_source(self, level: _Level) -> None:
        if level.is_due and len(self._levels) == 1:
            self.facts.sources += 1

    def _item(self) -> None:
        """Read ``[schema.]table [AS alias]``, or go past the name of a table function."""
        if len(self._levels) == 1:
            self.facts.sources += 1
        item = read_item([token for _, token in self._all], self._at)
        if item is None:
            self._at += 1
            return
        self._at = item[1]
        self.facts.tables.append((len(self._levels) - 1, item[0]))


def read_item(every: Sequence[Token], at: int) -> tuple[FromTable, int] | None:
    """Read a table of a FROM clause, ``[schema.]table [[AS] alias]``.

    Args:
        every: Tokens.
        at: Which of them the table's name should be.

    Returns:
        The table and the token after it; None for anything else, such as a table function.
    """

    def token(distance: int) -> Token:
        return every[min(at + distance, len(every) - 1)]

    if token(0).kind not in _NAMES:
        return None
    name, schema = unquote(token(0).text), None
    at += 1
    if token(0).text == ".":
        schema, name = name, unquote(token(1).text)
        at += 2
    if token(0).text == "(":
        return None
    reference = quote_name(name)
    has_as = token(0).word == "AS"
    alias = token(1) if has_as else token(0)
    if alias.kind in _NAMES and (has_as or alias.word not in _NO_ALIAS):
        reference = quote_name(unquote(alias.text))
        at += 2 if has_as else 1
    return FromTable(TableName(name, schema), reference), at
