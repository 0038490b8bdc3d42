"""The one reader of SELECT: the levels of parentheses in a query, their clauses, their tables.

It reads the tokens that the parser has kept, once for each query, and leaves all else as it is
written. A *level* is what one pair of parentheses holds, or what is outside all of them; a
*core* is one SELECT of a level, of which a UNION has several. Expressions are not read.

Source: https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from .kept import once_a_tree
from .lexer import Kind, Token
from .names import quote_name, unquote
from .tree import Part, Query, TableName

COMPOUND = frozenset({"UNION", "INTERSECT", "EXCEPT"})
NAMES = frozenset({Kind.NAME, Kind.QUOTED, Kind.STRING})
_CLAUSES = frozenset({"FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "RETURNING"})
_QUERY = frozenset({"SELECT", "VALUES", "WITH"})
_STATEMENTS = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})

# What can stand between a table and the end of its item without being its alias.
_JOINS = frozenset({"CROSS", "FULL", "INNER", "JOIN", "LEFT", "NATURAL", "OUTER", "RIGHT"})
_NO_ALIAS = _CLAUSES | COMPOUND | _JOINS | {"INDEXED", "NOT", "ON", "USING"}


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
class Source:
    """An item of a FROM clause.

    Attributes:
        table: The table, or None for a subquery, a statement of ours, a table function or a join
            in parentheses.
        begin: Its first token.
        end: The token after its last one, alias included, what ON and USING say not.
        inside: The items of a join in parentheses.
    """

    table: FromTable | None
    begin: int
    end: int
    inside: tuple[Source, ...] = ()


class Place(NamedTuple):
    """A place in a query where text can be inserted: the number of a part, an offset in it."""

    part: int
    offset: int


@dataclass(frozen=True, eq=False)
class Level:
    """What one pair of parentheses holds.

    Attributes:
        text: The query.
        begin: Its first token.
        end: The token after its last one: the closing parenthesis, or the end of the query.
    """

    text: Text
    begin: int
    end: int

    @cached_property
    def inner(self) -> tuple[int, ...]:
        """The tokens of this level alone; a pair of parentheses counts with its two."""
        found, index = [], self.begin
        while index < self.end:
            found.append(index)
            index = self.text.closing.get(index, index + 1)
        return tuple(found)

    @cached_property
    def common(self) -> frozenset[str]:
        """The names that a WITH of this level defines, in lower case."""
        words, names = [self.text.token(index) for index in self.inner], set()
        for at, token in enumerate(words):
            if token.word != "WITH" or not self._opens_with(words, at):
                continue
            is_due = True
            for next_ in words[at + 1 :]:
                if next_.word in _STATEMENTS:
                    break
                if is_due and next_.kind in NAMES and next_.word != "RECURSIVE":
                    names.add(unquote(next_.text).lower())
                is_due = next_.text == "," or (is_due and next_.word == "RECURSIVE")
        return frozenset(names)

    @staticmethod
    def _opens_with(words: Sequence[Token], at: int) -> bool:
        """Return whether the word WITH opens its clause, and is not a name."""
        after = [*words[at + 1 : at + 3], Token(Kind.END, "", 0, "")]
        if after[0].word == "RECURSIVE":
            return True
        return after[0].kind in NAMES and (after[1].word == "AS" or after[1].text == "(")

    @cached_property
    def cores(self) -> tuple[Core, ...]:
        """The SELECTs of this level, in order; the rest of another statement counts as one."""
        begins = [self.begin]
        begins += [index for index in self.inner if self.text.token(index).word in COMPOUND]
        ends = [*begins[1:], self.end]
        return tuple(Core(self, begin, end) for begin, end in zip(begins, ends, strict=True))

    @property
    def is_compound(self) -> bool:
        """Whether it has UNION, INTERSECT or EXCEPT."""
        return len(self.cores) > 1


@dataclass(frozen=True, eq=False)
class Core:
    """One SELECT of a level, or the whole level where it has no SELECT.

    Attributes:
        level: Its level.
        first: Its first token, that of a WITH or INSERT before the SELECT included.
        end: The token after its last one.
    """

    level: Level
    first: int
    end: int

    @property
    def text(self) -> Text:
        """Its query."""
        return self.level.text

    @cached_property
    def _words(self) -> tuple[tuple[int, Token], ...]:
        token = self.text.token
        return tuple((i, token(i)) for i in self.level.inner if self.first <= i < self.end)

    @cached_property
    def select(self) -> int | None:
        """The token SELECT; None where there is none (VALUES, DELETE FROM …)."""
        return next((index for index, token in self._words if token.word == "SELECT"), None)

    @cached_property
    def clauses(self) -> tuple[tuple[str, int], ...]:
        """The first word of each clause after the select list, and its token, in order."""
        begin, last, found = self.first if self.select is None else self.select, "", []
        for index, token in self._words:
            # IS DISTINCT FROM is an operator.
            if index >= begin and token.word in _CLAUSES and last != "DISTINCT":
                found.append((token.word, index))
            last = token.word
        return tuple(found)

    @cached_property
    def is_distinct(self) -> bool:
        """Whether it is SELECT DISTINCT."""
        return self.select is not None and self.text.token(self.select + 1).word == "DISTINCT"

    def has(self, *words: str) -> bool:
        """Return whether there is a clause of one of these first words."""
        return any(clause in words for clause, _ in self.clauses)

    def span(self, word: str) -> range:
        """Return the tokens of a clause, its first word included; empty where there is none."""
        for position, (clause, index) in enumerate(self.clauses):
            if clause == word:
                after = self.clauses[position + 1 :]
                return range(index, after[0][1] if after else self.end)
        return range(self.end, self.end)

    @cached_property
    def select_list(self) -> int:
        """The last token before the select list: SELECT, ALL or DISTINCT."""
        assert self.select is not None
        is_more = self.text.token(self.select + 1).word in {"ALL", "DISTINCT"}
        return self.select + is_more

    def columns(self) -> list[range]:
        """Return the items of the select list."""
        ends = [index for _, index in self.clauses] or [self.end]
        return self.text.items(self.select_list + 1, ends[0])

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The items of its FROM clause."""
        span = self.span("FROM")
        return tuple(self.text.sources(span.start + 1, span.stop)) if span else ()

    def table(self) -> FromTable | None:
        """Return the table it reads, where that is all of its FROM clause."""
        sources, span = self.sources, self.span("FROM")
        is_alone = len(sources) == 1 and sources[0].end == span.stop
        return sources[0].table if is_alone else None


@dataclass(frozen=True, eq=False)
class Text:
    """The tokens of a query, and the text between two of them.

    Attributes:
        query: The query.
        tokens: Number of the part, and the token with its offset in that part; a statement of ours
            counts as one token of kind UNKNOWN. The last one is of kind END.
        closing: For each "(" the token of its ")", or the end where it is never closed.
    """

    query: Query
    tokens: tuple[tuple[int, Token], ...]
    closing: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        openings: list[int] = []
        for index, (_, token) in enumerate(self.tokens):
            if token.text == "(":
                openings.append(index)
            elif token.text == ")" and openings:
                self.closing[openings.pop()] = index
        self.closing.update((opening, len(self.tokens) - 1) for opening in openings)

    def token(self, index: int) -> Token:
        """Return a token; past the end, the END token."""
        return self.tokens[min(index, len(self.tokens) - 1)][1]

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All levels, the outermost one first."""
        whole = Level(self, 0, len(self.tokens) - 1)
        found = sorted(self.closing.items())
        return (whole, *(Level(self, opening + 1, closing) for opening, closing in found))

    def level_of(self, index: int) -> Level:
        """Return the innermost level around a token."""
        around = [level for level in self.levels if level.begin <= index < level.end]
        return around[-1] if around else self.levels[0]

    def core_of(self, index: int) -> Core:
        """Return the SELECT around a token, of its innermost level."""
        cores = self.level_of(index).cores
        return next(core for core in reversed(cores) if core.first <= index)

    def items(self, begin: int, end: int) -> list[range]:
        """Return the runs of tokens between commas outside of parentheses."""
        runs, start, index = [], begin, begin
        while index < end:
            if self.token(index).text == ",":
                runs.append(range(start, index))
                start = index + 1
            index = max(index + 1, self.closing.get(index, 0))
        return [*runs, range(start, end)]

    def sources(self, begin: int, end: int) -> Iterator[Source]:
        """Yield the items of a FROM clause, or of a join in parentheses, between two tokens."""
        index, is_due = begin, True
        while index < end:
            token = self.token(index)
            if is_due and token.text not in {"", ";"} | {"("} and token.kind not in NAMES:
                is_due = False
                yield Source(None, index, index + 1)
            elif is_due and (token.text == "(" or token.kind in NAMES):
                is_due = False
                source = self._source(index)
                yield source
                index = source.end
                continue
            elif token.text == "," or token.word == "JOIN":
                is_due = True
            index = max(index + 1, self.closing.get(index, -1) + 1)

    def _source(self, begin: int) -> Source:
        inside: tuple[Source, ...] = ()
        table: TableName | None = None
        if self.token(begin).text == "(":
            closing = self.closing[begin]
            first = self.token(begin + 1)
            if first.word not in _QUERY and first.kind is not Kind.UNKNOWN:
                inside = tuple(self.sources(begin + 1, closing))
            at = closing + 1
        else:
            name, schema, at = unquote(self.token(begin).text), None, begin + 1
            if self.token(at).text == ".":
                schema, name, at = name, unquote(self.token(at + 1).text), at + 2
            if self.token(at).text == "(":
                at = self.closing[at] + 1
            else:
                table = TableName(name, schema)
        has_as = self.token(at).word == "AS"
        alias = self.token(at + has_as)
        reference = None
        if alias.kind in NAMES and (has_as or alias.word not in _NO_ALIAS):
            reference, at = quote_name(unquote(alias.text)), at + has_as + 1
        if table is None:
            return Source(None, begin, at, inside)
        return Source(FromTable(table, reference or quote_name(table.name)), begin, at)

    def names(self, begin: int, end: int) -> list[str]:
        """Return the names between two tokens, in lower case, but for what qualifies another."""
        found = []
        for index in range(begin, end):
            token = self.token(index)
            if token.kind in NAMES and self.token(index + 1).text != ".":
                found.append(unquote(token.text).lower())
        return found

    def place(self, index: int, *, after: bool = False) -> Place:
        """Return the place just before a token, or just after it."""
        number, token = self.tokens[min(index, len(self.tokens) - 1)]
        if number < 0:
            parts = self.query.parts
            last = parts[-1] if parts else ""
            return Place(max(0, len(parts) - 1), len(last) if isinstance(last, str) else 0)
        return Place(number, token.end if after else token.start)

    def slice(self, begin: int, end: int) -> tuple[Part, ...]:
        """Return the text from one token up to another, comments and blanks included."""
        if begin >= end:
            return ()
        first, start = self._edge(begin)
        last, stop = self._edge(end)
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

    def _edge(self, index: int) -> tuple[int, int]:
        number, token = self.tokens[index]
        return (len(self.query.parts), 0) if number < 0 else (number, token.start)


_CONDITIONS = frozenset({"WHERE", "ON", "USING", "NATURAL"})


@once_a_tree
def read(query: Query) -> Text:
    """Return the levels of a query."""
    return Text(query, query.tokens)


@once_a_tree
def common_names(query: Query) -> frozenset[str]:
    """Return the names that a query's WITH clauses define at any depth, in lower case."""
    return frozenset().union(*(level.common for level in read(query).levels))


@once_a_tree
def has_condition(query: Query) -> bool:
    """Return whether the SQL around the statements of ours may keep some of their rows only."""
    return any(token.word in _CONDITIONS for _, token in read(query).tokens)
