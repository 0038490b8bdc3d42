"""Which SELECTs want the best rows by similarity, so that not every row need be compared.

Two shapes, the first in two spellings, are told apart from the rest of SQL, token by token ::

    SELECT … FROM (SEARCH … AS SELECT … FROM t [WHERE …]) [AS s] [WHERE …]
        ORDER BY s.similarity DESC [, …] LIMIT k [OFFSET o]

    WITH s AS (SEARCH … AS SELECT … FROM t [WHERE …])
    SELECT … FROM s [WHERE …] ORDER BY s.similarity DESC [, …] LIMIT k [OFFSET o]

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
from .outline import FromTable, common_names
from .reader import Reader
from .select_core import Core, Filter, Tokens, plain_name, read_core
from .tree import Parameter, Part, Query, Ranked, Search

_FUNCTION = "COSINE_SIMILARITY"

Bound = int | Parameter


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
    every = Tokens(query)
    found = []
    for index, (number, token) in enumerate(every.tokens):
        part = query.parts[number] if token.kind is Kind.UNKNOWN and number >= 0 else None
        if isinstance(part, Search) and index > 0:
            before = every.tokens[index - 2][1] if index > 2 else token
            is_common = every.has_with and before.word == "AS"
            core = read_core(every, 0 if is_common else index - 1)
            read = _read_common if is_common else _read_here
            ranking = core and _search_ranking(core, part, read(core, part, index))
            found += [ranking] if ranking else []
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
    every = Tokens(query)
    found = {}
    for index, (_, token) in enumerate(every.tokens):
        if token.word == _FUNCTION and not every.has_with:
            core = read_core(every, index)
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
    every = Tokens(query)
    core = read_core(every, 0)
    if core is None or every.has_with or core.end != len(every.tokens) - 1:
        return None
    if core.has("ORDER") or core.has("LIMIT") or not core.passes_on(column):
        return None
    return core.filter(core.begin, core.end)


def _search_ranking(
    core: Core, search: Search, source: tuple[str | None, tuple[Part, ...]] | None
) -> SearchRanking | None:
    ordered, bounds = _ordered_by(core), _limit(core)
    if ordered is None or bounds is None or source is None:
        return None
    alias, head = source
    term = plain_name([core.token(index) for index in ordered])
    if term is None or term[0] not in (None, alias):
        return None
    tail = core.every.slice(core.span("FROM").stop, core.span("ORDER").start)
    return SearchRanking(search, term[1], Query((*head, " ", *tail)), *bounds)


def _read_here(
    core: Core, search: Search, index: int
) -> tuple[str | None, tuple[Part, ...]] | None:
    """Return the alias and the text of ``FROM (SEARCH …) [[AS] alias]`` and nothing else."""
    span, every = core.span("FROM"), core.every
    words = [core.token(index) for index in span][1:]
    if len(words) < 3 or words[0].text != "(" or words[2].text != ")":
        return None
    rest = words[4:] if words[3:] and words[3].word == "AS" else words[3:]
    if len(rest) > 1 or (rest and rest[0].kind not in {Kind.NAME, Kind.QUOTED, Kind.STRING}):
        return None
    if _common(every).intersection(every.names(core.begin, core.end)):
        return None  # what it means by itself is another thing than here
    alias = quote_name(unquote(rest[0].text)) if rest else None
    return alias, every.slice(span.start, span.stop)


def _read_common(
    core: Core, search: Search, index: int
) -> tuple[str | None, tuple[Part, ...]] | None:
    """Return the same for ``WITH name AS (SEARCH …) … FROM name [[AS] alias]``."""
    every, source = core.every, core.source()
    name = every.tokens[index - 3][1]
    if source is None or source.table.schema is not None:
        return None
    own = source.table.name.lower()
    if own != unquote(name.text).lower() or every.names(0, len(every.tokens) - 1).count(own) != 2:
        return None
    others = _common(every) - {own}
    if others.intersection(every.names(core.begin, core.end)):
        return None
    return source.reference, ("FROM (", search, f"\n) AS {source.reference}")


def _common(every: Tokens) -> frozenset[str]:
    return common_names(every.query) if every.has_with else frozenset()


def _function_ranking(core: Core) -> FunctionRanking | None:
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


def _call(core: Core, ordered: range, table: FromTable) -> tuple[str, Query] | None:
    """Return the column and the value of ``cosine_similarity(column, value)``, in either order."""
    begin = ordered.start + 2
    if core.token(ordered.start).word != _FUNCTION or core.token(begin - 1).text != "(":
        return None
    _, end = core.every.level(begin)
    arguments = core.items(begin, end)
    if end + 1 != ordered.stop or len(arguments) != 2:
        return None
    for one, other in (arguments, arguments[::-1]):
        column = plain_name([core.token(index) for index in one])
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


def _ordered_by(core: Core) -> range | None:
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
    name = plain_name([core.token(index) for index in term])
    if name is None or name[0] is not None:
        return term
    return _unaliased(core, term, name[1])


def _unaliased(core: Core, term: range, name: str) -> range | None:
    """Return what an ORDER BY name stands for: a result column's expression goes first."""
    for item in core.columns():
        words = [core.token(index) for index in item]
        if not words or unquote(words[-1].text).lower() != name.lower():
            continue
        if len(words) > 2 and words[-2].word == "AS":
            return range(item.start, item.stop - 2)
        plain = plain_name(words)
        return None if plain is None else item
    return term


def _limit(core: Core) -> tuple[Bound, Bound] | None:
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


def _bound(core: Core, index: int) -> Bound | None:
    number, token = core.every.tokens[index]
    if token.kind is Kind.PARAMETER and number >= 0:
        part = core.every.query.parts[number]
        return part if isinstance(part, Parameter) else None
    return int(token.text) if token.kind is Kind.NUMBER and token.text.isdecimal() else None
