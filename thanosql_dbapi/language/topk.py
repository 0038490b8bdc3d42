"""Which SELECTs are top-k similarity queries, so that candidate rows can answer for all rows.

Two shapes, the first in two spellings, are told apart from the rest of SQL ::

    SELECT … FROM (SEARCH … AS SELECT … FROM t [WHERE …]) [AS s] [WHERE …]
        ORDER BY s.similarity DESC [, …] LIMIT k [OFFSET o]

    WITH s AS (SEARCH … AS SELECT … FROM t [WHERE …])
    SELECT … FROM s [WHERE …] ORDER BY s.similarity DESC [, …] LIMIT k [OFFSET o]

    SELECT … FROM t [AS a] [WHERE …]
        ORDER BY cosine_similarity(column, embed_text(…)) DESC [, …] LIMIT k [OFFSET o]

at the outermost level or in parentheses. Invariant: the rows of such a SELECT are, one for one,
rows of the table, and it gives the same rows each time it runs (see :mod:`.narrowing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .kept import once_a_tree
from .lexer import Kind, Token, tokens
from .names import quote_name, unquote
from .narrowing import Narrowing, end_of, is_row_for_row, narrowing_of, plain_name
from .reader import Reader
from .select import NAMES, Core, FromTable, Text, common_names, read
from .tree import Parameter, Part, Query, Ranked, Search

_FUNCTION = "COSINE_SIMILARITY"

Bound = int | Parameter


@dataclass(frozen=True)
class SearchTopK:
    """A SELECT of the first shape.

    Attributes:
        search: The SEARCH it reads.
        similarity: The similarity column that it is ordered by.
        rows: Its FROM and WHERE clauses.
        limit: Rows wanted.
        offset: Rows passed over before them.
        is_inner: Whether it is inside a SELECT with rows of its own, whose columns a name in it may
            mean.
    """

    search: Search
    similarity: str
    rows: tuple[Part, ...]
    limit: Bound
    offset: Bound
    is_inner: bool


@dataclass(frozen=True)
class FunctionTopK:
    """A SELECT of the second shape.

    Attributes:
        similarity: The call of the function that it is ordered by.
        column: The vector column that is compared.
        value: SQL of the vector it is compared with, which names no column.
        whole: The text, with the place where the SELECT's rows can be narrowed.
        rows: The same of its FROM and WHERE clauses alone.
        limit: Rows wanted.
        offset: Rows passed over before them.
        is_inner: As for :class:`SearchTopK`.
    """

    similarity: tuple[Part, ...]
    column: str
    value: tuple[Part, ...]
    whole: Narrowing
    rows: Narrowing
    limit: Bound
    offset: Bound
    is_inner: bool


@lru_cache(maxsize=256)
def words_of(sql: str) -> frozenset[str]:
    """Return the names and words of a text, in lower case."""
    return frozenset(unquote(token.text).lower() for token in tokens(sql) if token.kind in NAMES)


@once_a_tree
def searches_for_best(query: Query) -> tuple[SearchTopK, ...]:
    """Return the SELECTs of a query that have the first shape."""
    text = read(query)
    found = []
    for index, (number, token) in enumerate(text.tokens):
        part = query.parts[number] if token.kind is Kind.UNKNOWN and number >= 0 else None
        if not isinstance(part, Search) or index == 0:
            continue
        name = text.token(index - 3) if index > 2 and text.token(index - 2).word == "AS" else None
        is_common = name is not None and unquote(name.text).lower() in common_names(query)
        core = _main_core(text) if is_common else text.core_of(index - 1)
        if core is None or not is_row_for_row(core):
            continue
        source = _read_common(core, part, index) if is_common else _read_here(core, index)
        shape = source and _search_shape(core, part, *source)
        found += [shape] if shape else []
    return tuple(found)


def read_ranked(sql: str) -> Ranked | None:
    """Return a plain text that has the second shape as a tree; None for any other text."""
    reader, parts, lexed, end = Reader(sql), list[Part](), list[tuple[int, Token]](), 0
    pending: list[Token] = []

    def cut(start: int) -> None:
        lexed.extend((len(parts), each._replace(start=each.start - end)) for each in pending)
        pending.clear()
        if sql[end:start]:
            parts.append(sql[end:start])

    while (token := reader.take()).kind is not Kind.END:
        if token.kind is Kind.PARAMETER:
            cut(token.start)
            lexed.append((len(parts), token._replace(start=0)))
            parts.append(reader.parameter(token))
            end = token.end
        else:
            pending.append(token)
    cut(len(sql))
    lexed.append((-1, token))
    query = Query(tuple(parts), lexed=tuple(lexed))
    return Ranked(query) if function_for_best(query) else None


@once_a_tree
def function_for_best(query: Query) -> FunctionTopK | None:
    """Return the SELECT of a query that has the second shape; None when none or several have."""
    text, found = read(query), {}
    if any(token.word == "WITH" for _, token in text.tokens):
        return None
    for index, (_, token) in enumerate(text.tokens):
        if token.word == _FUNCTION:
            core = text.core_of(index)
            shape = _function_shape(core) if is_row_for_row(core) else None
            if shape:
                found[core.first] = shape
    return next(iter(found.values())) if len(found) == 1 else None


def _main_core(text: Text) -> Core | None:
    """Return the SELECT that the WITH of the outermost level belongs to."""
    cores = text.levels[0].cores
    return cores[0] if len(cores) == 1 and cores[0].select is not None else None


def _is_inner(core: Core) -> bool:
    """Return whether a SELECT is inside another one's parentheses, those after FROM excepted.

    A subquery after FROM cannot name columns of its neighbours; one in an expression can.
    """
    text = core.text
    for level in text.levels[1:]:
        if level.begin <= core.first < level.end:
            before = text.token(level.begin - 2)
            outer = text.core_of(level.begin - 1)
            is_source = any(source.begin == level.begin - 1 for source in outer.sources)
            is_common = before.word == "AS" and outer.level.common
            if outer.select is not None and not is_source and not is_common:
                return True
    return False


# -- the shapes ---------------------------------------------------------------------------------


def _search_shape(
    core: Core, search: Search, alias: str | None, head: tuple[Part, ...]
) -> SearchTopK | None:
    ordered, bounds = _ordered_by(core), _limit(core)
    if ordered is None or bounds is None:
        return None
    term = plain_name([core.text.token(index) for index in ordered])
    if term is None or term[0] not in (None, alias):
        return None
    tail = core.text.slice(core.span("FROM").stop, core.span("ORDER").start)
    return SearchTopK(search, term[1], (*head, " ", *tail), *bounds, _is_inner(core))


def _read_here(core: Core, index: int) -> tuple[str | None, tuple[Part, ...]] | None:
    """Return the alias and the text of ``FROM (SEARCH …) [[AS] alias]`` and nothing else."""
    span, text = core.span("FROM"), core.text
    words = [text.token(each) for each in span][1:]
    if len(words) < 3 or words[0].text != "(" or words[2].text != ")":
        return None
    rest = words[4:] if words[3:] and words[3].word == "AS" else words[3:]
    if len(rest) > 1 or (rest and rest[0].kind not in NAMES):
        return None
    if common_names(text.query).intersection(text.names(core.first, core.end)):
        return None  # what it means by itself differs from what it means here
    alias = quote_name(unquote(rest[0].text)) if rest else None
    return alias, text.slice(span.start, span.stop)


def _read_common(
    core: Core, search: Search, index: int
) -> tuple[str | None, tuple[Part, ...]] | None:
    """Return the same for ``WITH name AS (SEARCH …) … FROM name [[AS] alias]``."""
    text, source = core.text, core.table()
    if source is None or source.table.schema is not None or core.select is None:
        return None
    own, name = source.table.name.lower(), unquote(text.token(index - 3).text).lower()
    if own != name or text.names(0, len(text.tokens) - 1).count(own) != 2:
        return None
    others = common_names(text.query) - {own}
    if others.intersection(text.names(core.select, core.end)):
        return None
    return source.reference, ("FROM (", search, f"\n) AS {source.reference}")


def _function_shape(core: Core) -> FunctionTopK | None:
    text, ordered, bounds = core.text, _ordered_by(core), _limit(core)
    whole = narrowing_of(core, 0, len(text.tokens) - 1)
    rows = narrowing_of(core, core.span("FROM").start, core.span("ORDER").start)
    if ordered is None or bounds is None or whole is None or rows is None:
        return None
    call = _call(core, ordered, whole.table)
    if call is None:
        return None
    similarity = text.slice(ordered.start, ordered.stop)
    return FunctionTopK(similarity, *call, whole, rows, *bounds, _is_inner(core))


def _call(core: Core, ordered: range, table: FromTable) -> tuple[str, tuple[Part, ...]] | None:
    """Return the column and the value of ``cosine_similarity(column, value)``, in either order."""
    text, begin = core.text, ordered.start + 2
    if text.token(ordered.start).word != _FUNCTION or text.token(begin - 1).text != "(":
        return None
    end = text.closing[begin - 1]
    arguments = text.items(begin, end)
    if end + 1 != ordered.stop or len(arguments) != 2:
        return None
    for one, other in (arguments, arguments[::-1]):
        column = plain_name([text.token(index) for index in one])
        value = [text.token(index) for index in other]
        if column and column[0] in (None, table.reference) and _is_constant(value):
            return column[1], text.slice(other.start, other.stop)
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
    span = range(core.span("ORDER").start, min(core.span("ORDER").stop, end_of(core)))
    if len(span) < 4 or core.text.token(span.start + 1).word != "BY":
        return None
    first = core.text.items(span.start + 2, span.stop)[0]
    words = [core.text.token(index).word for index in first]
    for ending in (["DESC"], ["DESC", "NULLS", "LAST"]):
        if words[-len(ending) :] == ending and len(words) > len(ending):
            term = range(first.start, first.stop - len(ending))
            break
    else:
        return None
    name = plain_name([core.text.token(index) for index in term])
    if name is None or name[0] is not None:
        return term
    return _unaliased(core, term, name[1])


def _unaliased(core: Core, term: range, name: str) -> range | None:
    """Return what an ORDER BY name means: a result column's expression goes first."""
    for item in core.columns():
        words = [core.text.token(index) for index in item]
        if not words or unquote(words[-1].text).lower() != name.lower():
            continue
        if len(words) > 2 and words[-2].word == "AS":
            return range(item.start, item.stop - 2)
        plain = plain_name(words)
        return None if plain is None else item
    return term


def _limit(core: Core) -> tuple[Bound, Bound] | None:
    span = range(core.span("LIMIT").start, min(core.span("LIMIT").stop, end_of(core)))
    words = [core.text.token(index) for index in span][1:]
    values = [_bound(core, index) for index in span][1:]
    if len(words) == 1:
        values = [*values, None, 0]
    elif len(words) != 3 or (words[1].word or words[1].text) not in {"OFFSET", ","}:
        return None
    first, _, second = values
    if first is None or second is None:
        return None
    return (second, first) if words[1:] and words[1].text == "," else (first, second)


def _bound(core: Core, index: int) -> Bound | None:
    number, token = core.text.tokens[index]
    if token.kind is Kind.PARAMETER and number >= 0:
        part = core.text.query.parts[number]
        return part if isinstance(part, Parameter) else None
    return int(token.text) if token.kind is Kind.NUMBER and token.text.isdecimal() else None
