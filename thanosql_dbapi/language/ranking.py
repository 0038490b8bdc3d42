"""Which SELECTs want the best rows by similarity, so that not every row need be compared.

Two shapes are told apart from the rest of SQL, token by token ::

    SELECT … FROM (SEARCH … AS SELECT … FROM t [WHERE …]) [AS s] [WHERE …]
        ORDER BY s.similarity DESC [, …] LIMIT k [OFFSET o]

    SELECT … FROM t [AS a] [WHERE …]
        ORDER BY cosine_similarity(column, embed_text(…)) DESC [, …] LIMIT k [OFFSET o]

at the outermost level or in parentheses. The rows of such a SELECT are, one for one, rows of the
table, so the best k of them are those of the best rows of the table. Where that is not certain
(a join, GROUP BY, DISTINCT, an aggregate, a window, a UNION) the shape does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .lexer import Kind, Token
from .names import quote_name, unquote
from .outline import FromTable, query_tokens, read_item
from .reader import Reader
from .scalars import SCALAR_FUNCTIONS
from .tree import Parameter, Part, Query, Ranked, Search

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
_FUNCTION = "COSINE_SIMILARITY"

Bound = int | Parameter
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


@dataclass(frozen=True)
class SearchRanking:
    """A SELECT of the first shape.

    Attributes:
        search: The SEARCH it reads.
        similarity: The similarity column that it is ordered by.
        rows: Its FROM and WHERE clauses.
        limit: Rows wanted.
        offset: Rows passed over before them.
    """

    search: Search
    similarity: str
    rows: Query
    limit: Bound
    offset: Bound


@dataclass(frozen=True)
class FunctionRanking:
    """A SELECT of the second shape.

    Attributes:
        similarity: The call of the function that it is ordered by.
        column: The vector column that is compared.
        value: SQL of the vector it is compared with, which names no column.
        whole: The text, with the place where the SELECT's rows can be narrowed.
        rows: The same of its FROM and WHERE clauses alone.
        limit: Rows wanted.
        offset: Rows passed over before them.
    """

    similarity: Query
    column: str
    value: Query
    whole: Filter
    rows: Filter
    limit: Bound
    offset: Bound


@lru_cache(maxsize=256)
def search_rankings(query: Query) -> tuple[SearchRanking, ...]:
    """Return the SELECTs of a query that have the first shape."""
    every = _Tokens(query)
    found = []
    for index, (number, token) in enumerate(every.tokens):
        part = query.parts[number] if token.kind is Kind.UNKNOWN and number >= 0 else None
        if not isinstance(part, Search) or every.has_with or index == 0:
            continue
        core = _core(every, index - 1)
        ranking = core and _search_ranking(core, part)
        if ranking:
            found.append(ranking)
    return tuple(found)


def read_ranked(sql: str) -> Ranked | None:
    """Return a plain text that has the second shape as a tree; None for any other text."""
    reader, parts, end = Reader(sql), list[Part](), 0
    while (token := reader.take()).kind is not Kind.END:
        if token.kind is Kind.PARAMETER:
            parts += [sql[end : token.start], reader.parameter(token)]
            end = token.end
    query = Query((*[part for part in parts if part], sql[end:]))
    return Ranked(query) if function_ranking(query) else None


@lru_cache(maxsize=256)
def function_ranking(query: Query) -> FunctionRanking | None:
    """Return the SELECT of a query that has the second shape; None when none or several have."""
    every = _Tokens(query)
    found = {}
    for index, (_, token) in enumerate(every.tokens):
        if token.word == _FUNCTION and not every.has_with:
            core = _core(every, index)
            ranking = core and _function_ranking(core)
            if core and ranking:
                found[core.begin] = ranking
    return next(iter(found.values())) if len(found) == 1 else None


@lru_cache(maxsize=256)
def table_filter(query: Query, column: str) -> Filter | None:
    """Return where to narrow ``SELECT … FROM t [WHERE …]``, all of whose rows are rows of ``t``.

    Args:
        query: The query of a SEARCH.
        column: The column that must be the table's own in its result.
    """
    every = _Tokens(query)
    core = _core(every, 0)
    if core is None or every.has_with or core.end != len(every.tokens) - 1:
        return None
    if core.has("ORDER") or core.has("LIMIT") or not core.passes_on(column):
        return None
    return core.filter(core.begin, core.end)


class _Tokens:
    """The tokens of a query, and the text between two of them."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.tokens = list(query_tokens(query))
        self.has_with = any(token.word == "WITH" for _, token in self.tokens)

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
class _Core:
    """One SELECT: where its clauses begin, as indices of tokens."""

    every: _Tokens
    begin: int
    end: int
    clauses: tuple[tuple[str, int], ...]

    def has(self, word: str) -> bool:
        return any(clause == word for clause, _ in self.clauses)

    def span(self, word: str) -> range:
        """Return the tokens of a clause, its first word included; empty where there is none."""
        for position, (clause, index) in enumerate(self.clauses):
            if clause == word:
                after = self.clauses[position + 1 :]
                return range(index, after[0][1] if after else self.end)
        return range(self.end, self.end)

    def token(self, index: int) -> Token:
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
                plain = _plain(words[:-2] if is_labelled else words)
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


def _core(every: _Tokens, index: int) -> _Core | None:
    """Return the SELECT around a token, where it can be one whose rows are its source's rows."""
    begin, end = every.level(index)
    while end > begin and every.tokens[end - 1][1].text == ";":
        end -= 1
    while begin < end and every.tokens[begin][1].word in {"EXPLAIN", "QUERY", "PLAN"}:
        begin += 1
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
    core = _Core(every, begin, end, tuple(clauses))
    return core if _is_plain(core) else None


def _is_plain(core: _Core) -> bool:
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


def _arity(core: _Core, opening: int) -> int:
    _, end = core.every.level(opening + 1)
    return len(core.items(opening + 1, end))


def _search_ranking(core: _Core, search: Search) -> SearchRanking | None:
    # FROM (SEARCH …) [[AS] alias] and nothing else.
    span = core.span("FROM")
    words = [core.token(index) for index in span][1:]
    if len(words) < 3 or words[0].text != "(" or words[2].text != ")":
        return None
    rest = words[3:]
    if rest and rest[0].word == "AS":
        rest = rest[1:]
    if len(rest) > 1 or (rest and rest[0].kind not in {Kind.NAME, Kind.QUOTED, Kind.STRING}):
        return None
    ordered = _ordered_by(core)
    bounds = _limit(core)
    if ordered is None or bounds is None:
        return None
    term = _plain([core.token(index) for index in ordered])
    alias = quote_name(unquote(rest[0].text)) if rest else None
    if term is None or (term[0] is not None and term[0] != alias):
        return None
    rows = core.every.slice(span.start, core.span("ORDER").start)
    return SearchRanking(search, term[1], Query(rows), *bounds)


def _function_ranking(core: _Core) -> FunctionRanking | None:
    every, ordered, bounds = core.every, _ordered_by(core), _limit(core)
    whole = core.filter(0, len(every.tokens) - 1)
    rows = core.filter(core.span("FROM").start, core.span("ORDER").start)
    if ordered is None or bounds is None or whole is None or rows is None:
        return None
    call = _call(core, ordered, whole.table)
    if call is None:
        return None
    similarity = Query(every.slice(ordered.start, ordered.stop))
    return FunctionRanking(similarity, *call, whole, rows, *bounds)


def _call(core: _Core, ordered: range, table: FromTable) -> tuple[str, Query] | None:
    """Return the column and the value of ``cosine_similarity(column, value)``, in either order."""
    begin = ordered.start + 2
    if core.token(ordered.start).word != _FUNCTION or core.token(begin - 1).text != "(":
        return None
    _, end = core.every.level(begin)
    arguments = core.items(begin, end)
    if end + 1 != ordered.stop or len(arguments) != 2:
        return None
    for one, other in (arguments, arguments[::-1]):
        column = _plain([core.token(index) for index in one])
        value = [core.token(index) for index in other]
        if column and column[0] in (None, table.reference) and _is_constant(value):
            return column[1], Query(core.every.slice(other.start, other.stop))
    return None


def _is_constant(words: Sequence[Token]) -> bool:
    """Return whether an expression is a vector that no row takes part in."""
    for index, token in enumerate(words):
        follows = words[index + 1].text if index + 1 < len(words) else ""
        if token.kind in {Kind.STRING, Kind.PARAMETER, Kind.BLOB, Kind.NUMBER}:
            continue
        if token.text in {"(", ")", ","} or (token.word.startswith("EMBED_") and follows == "("):
            continue
        return False
    return bool(words)


def _ordered_by(core: _Core) -> range | None:
    """Return the tokens of the first thing ordered by, best first, an alias looked up."""
    span = core.span("ORDER")
    if len(span) < 4 or core.token(span.start + 1).word != "BY":
        return None
    first = core.items(span.start + 2, span.stop)[0]
    words = [core.token(index).word for index in first]
    for ending in (["DESC"], ["DESC", "NULLS", "LAST"]):
        if words[-len(ending) :] == ending and len(words) > len(ending):
            term = range(first.start, first.stop - len(ending))
            break
    else:
        return None
    name = _plain([core.token(index) for index in term])
    if name is None or name[0] is not None:
        return term
    return _unaliased(core, term, name[1])


def _unaliased(core: _Core, term: range, name: str) -> range | None:
    """Return what an ORDER BY name stands for: a result column's expression goes first."""
    for item in core.columns():
        words = [core.token(index) for index in item]
        if not words or unquote(words[-1].text).lower() != name.lower():
            continue
        if len(words) > 2 and words[-2].word == "AS":
            return range(item.start, item.stop - 2)
        plain = _plain(words)
        return None if plain is None else item
    return term


def _limit(core: _Core) -> tuple[Bound, Bound] | None:
    words = [core.token(index) for index in core.span("LIMIT")][1:]
    values = [_bound(core, index) for index in core.span("LIMIT")][1:]
    if len(words) == 1:
        values = [*values, None, 0]
    elif len(words) != 3 or (words[1].word or words[1].text) not in {"OFFSET", ","}:
        return None
    first, _, second = values
    if first is None or second is None:
        return None
    return (second, first) if words[1:] and words[1].text == "," else (first, second)


def _bound(core: _Core, index: int) -> Bound | None:
    number, token = core.every.tokens[index]
    if token.kind is Kind.PARAMETER and number >= 0:
        part = core.every.query.parts[number]
        return part if isinstance(part, Parameter) else None
    return int(token.text) if token.kind is Kind.NUMBER and token.text.isdecimal() else None


def _plain(words: Sequence[Token]) -> tuple[str | None, str] | None:
    """Return (qualifier quoted, name) where the tokens are one column's name."""
    kinds = {Kind.NAME, Kind.QUOTED}
    if len(words) == 1 and words[0].kind in kinds:
        return None, unquote(words[0].text)
    is_qualified = len(words) == 3 and words[1].text == "."
    if is_qualified and words[0].kind in kinds and words[2].kind in kinds:
        return quote_name(unquote(words[0].text)), unquote(words[2].text)
    return None
