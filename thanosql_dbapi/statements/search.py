"""SEARCH: checks the columns, the model and the names, and embeds the query values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ..errors import OperationalError, clip
from ..language import grammar
from ..language.names import same_name
from ..language.narrowing import narrowing
from ..language.outline import tables_read
from ..language.select import has_condition
from ..language.tree import Search, Value
from ..planning.plans import (
    NamedPlan,
    NodePlan,
    Plan,
    QueryValue,
    QueryVector,
    SearchPlan,
)
from ..stores.sqlite.compile import Compiled, compile_plan
from ..stores.sqlite.registry import Model, VectorColumn
from ..stores.sqlite.similarity import COMPARING
from . import drawings
from .asking import combined, wanted_diversity, with_probability
from .resolve import Handler, Resolver, does_work
from .tables import require_tables
from .vector_columns import check_model, check_sample

MOST_VALUES = 2000
"""SQLite's limit of columns (https://www.sqlite.org/limits.html); nothing is embedded beyond it."""

FEWEST_MANY = 16
"""Query values from which on a row is compared with all of them at once: about as quick for so
many (benchmarks.many_texts)."""

_NO_COLUMN = "no such column: "


def resolve_search(resolver: Resolver, statement: Search) -> SearchPlan:
    """Return what a SEARCH will do.

    Raises:
        ModelError: No such model, or it cannot be loaded.
        MediaError: A query image cannot be read.
        OperationalError: The rows have no embedding column, or one of another model, or they have
            a column of the name that the similarity is to get.
        StatementError: An option has a value of another kind.
    """
    arguments = resolver.arguments
    model = resolver.context.registry.model(statement.model)
    column = arguments.option(statement, grammar.EMB_COL, model.column)
    values = _query_values(resolver, statement)
    if not values:
        raise arguments.error("SEARCH: no text and no image to search for", statement)
    if len(values) > MOST_VALUES:
        raise arguments.error(
            f"SEARCH: {len(values):,} texts and images to search for; each gives a column, and a"
            f" result of SQLite has {MOST_VALUES:,} at most; search for them in several statements;"
            " nothing was changed",
            statement,
        )
    is_one = arguments.option(statement, grammar.COMBINE)
    names = _names(resolver, statement, column, 1 if is_one else len(values))
    threshold = arguments.option(statement, grammar.THRESHOLD)
    limit = _top_k(resolver, statement)
    columns = _check_columns(resolver, statement, column, names, model)
    diversity = wanted_diversity(resolver, statement, limit)
    score = arguments.option(statement, grammar.SCORE)
    if score == "percentile" and columns is None:
        raise arguments.error(
            "SEARCH: with score='percentile' the rows are compared with one another, and here only"
            " the SQL around the SEARCH says which they are; put its WITH into the query after AS",
            statement,
        )
    can_narrow = score == "cosine" and diversity is None and not does_work(statement.query)
    vectors = (
        (combined(resolver, statement, model, values),)
        if is_one
        else _embedded(resolver, model, values)
    )
    _tell_of_drawings(resolver, model, values)
    plan = SearchPlan(
        node=statement,
        model=model.name,
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        column=column,
        vectors=vectors,
        names=names,
        threshold=threshold,
        limit=limit,
        is_ranked=statement.ranked or limit is not None,
        narrowing=narrowing(statement.query, column) if can_narrow else None,
        columns=columns,
        score=score,
        diversity=diversity,
        many=_many(resolver, vectors) if score == "cosine" and columns is not None else None,
    )
    return with_probability(resolver, model, plan) if score == "probability" else plan


def check_search(resolver: Resolver, statement: Search, plan: SearchPlan) -> None:
    """Check the names that a SEARCH adds to rows which only the SQL around it makes sense of.

    Raises:
        OperationalError: As :func:`resolve_search`.
    """
    if plan.columns is not None or resolver.plan.is_stored or does_work(resolver.plan.query):
        return
    for name in plan.names:
        probe = resolver.plan.with_node(statement.offset, NamedPlan(plan, name))
        compiled = compile_plan(probe, resolver.arguments)
        try:
            resolver.context.database.row(f"EXPLAIN {compiled.sql}", compiled.parameters)
        except OperationalError:
            continue  # there is none, or what is wrong will be said when the whole is executed
        raise _taken(statement, name)


def perform_search(resolver: Resolver, statement: Search, plan: SearchPlan) -> NodePlan:
    """Choose the rows of a SEARCH that are to differ from one another."""
    if plan.diversity is None:
        return plan
    from .varying import varied_rows

    return varied_rows(resolver, plan)


def _is_diverse(statement: Search) -> bool:
    return statement.option(grammar.DIVERSIFY.name) is not None


def _names(resolver: Resolver, statement: Search, column: str, count: int) -> tuple[str, ...]:
    name = resolver.arguments.option(statement, grammar.SIMILARITY_COL)
    if name is None and statement.ranked:
        name = grammar.LATER_SIMILARITY_COL
    if name is not None and count == 1:
        return (name,)
    stem = f"{column}_similarity" if name is None else name
    return tuple(f"{stem}{number}" for number in range(1, count + 1))


def _top_k(resolver: Resolver, statement: Search) -> int | None:
    # Not `otherwise`: in the later form `top_k=None` is how to say "all".
    if statement.option(grammar.TOP_K.name) is None:
        return grammar.LATER_TOP_K if statement.ranked else None
    return resolver.arguments.option(statement, grammar.TOP_K)


def _query_values(resolver: Resolver, statement: Search) -> list[QueryValue]:
    """Return the query values, texts first.

    Raises:
        StatementError: One is no text, or no image.
    """
    arguments = resolver.arguments
    texts, images = statement.texts, statement.images
    if statement.option(grammar.SEARCH_BY.name) is not None:
        # Only a bound `search_by` gets here: the parser has put any other in its place.
        kind = arguments.option(statement, grammar.SEARCH_BY, "text")
        search_input = statement.option(grammar.SEARCH_INPUT.name)
        values: tuple[Value, ...] = () if search_input is None else (search_input.value,)
        texts, images = (values, images) if kind == "text" else (texts, values)
    found = [
        QueryValue(kind, value, isinstance(written, str))
        for kind, given in (("text", texts), ("image", images))
        for written in given
        for value in arguments.several(written)
    ]
    for each in found:
        if problem := _problem(each.kind, each.value):
            raise arguments.error(f"SEARCH: the {each.kind} to search for {problem}", statement)
    return found


def _problem(kind: str, value: Any) -> str:
    """Return what is wrong with a query value, or ""."""
    accepted = str if kind == "text" else (str, bytes, bytearray, memoryview)
    if not isinstance(value, accepted):
        expected = "a text" if kind == "text" else "a path, a URL or bytes"
        return f"must be {expected}, got {'NULL' if value is None else clip(value)}"
    if isinstance(value, str) and not value.strip():
        return f"must say something, got {clip(value)}"
    return ""


def _embedded(
    resolver: Resolver, model: Model, values: Sequence[QueryValue]
) -> tuple[QueryVector, ...]:
    # Errors inside an SQL function lose their message in SQLite; raised here, they arrive.
    blobs: list[bytes] = []
    for kind in ("text", "image"):
        some = [each.value for each in values if each.kind == kind]
        blobs += resolver.context.embed_queries(kind, model.name, some) if some else []
    return tuple(QueryVector(*each, blob) for each, blob in zip(values, blobs, strict=True))


def _tell_of_drawings(resolver: Resolver, model: Model, values: Sequence[QueryValue]) -> None:
    """Warn of a photograph that is searched for with a model that knows drawings only."""
    context = resolver.context
    if not drawings.is_of_concern(context, model):
        return
    for kind, value, _ in values:
        image = value if isinstance(value, str) else bytes(value)
        if kind == "image" and drawings.is_no_drawing(context, image):
            drawings.tell(context, f"SEARCH USING {model.name}", image)


def _many(resolver: Resolver, vectors: tuple[QueryVector, ...]) -> str | None:
    """Return what the vectors are known by, where rows are compared with all of them at once.

    Where the SQL around has a condition, SQLite may use it to find a few rows by an index, which
    it cannot look for behind a function that is called once a row.
    """
    state = resolver.context.state
    if (
        len(vectors) < FEWEST_MANY
        or resolver.plan.is_stored
        or not state.own_functions.isdisjoint(COMPARING)
        or has_condition(resolver.plan.query)
    ):
        return None
    import numpy as np

    from ..stores.sqlite.arithmetic import Wanted, is_exact

    blob = b"".join(vector.vector for vector in vectors)
    key = hashlib.sha256(blob).hexdigest()
    if key not in state.wanted:
        wanted = Wanted.of(np.frombuffer(blob, "<f4").reshape(len(vectors), -1))
        if wanted is None or not is_exact(resolver.context.database):
            return None
        state.keep_wanted(key, wanted)
    return key


# -- the columns of the rows --------------------------------------------------------------------


def _check_columns(
    resolver: Resolver, statement: Search, column: str, added: tuple[str, ...], model: Model
) -> tuple[str, ...] | None:
    """Check the columns of a SEARCH's rows, and return them; None where they cannot be known."""
    what = f"SEARCH USING {statement.model}"
    compiled = resolver.compile_query(statement.query)
    names = _columns(resolver, statement, compiled, added)
    if names is None:
        check_model(resolver.context, resolver.plan.query, column, model, what)
        return None
    if not any(same_name(name, column) for name in names):
        raise OperationalError(_missing_column(resolver, statement, column, names, model))
    taken = [name for name in added if any(same_name(name, each) for each in names)]
    if taken:
        raise _taken(statement, taken[0])
    check_model(resolver.context, statement.query, column, model, what)
    if not does_work(statement.query):
        check_sample(resolver.context, compiled, column, model, what)
    return tuple(names)


def _taken(statement: Search, name: str) -> OperationalError:
    return OperationalError(
        f"SEARCH USING {statement.model}: the rows have a column {clip(name)} already, and the"
        " similarity would get the same name; name it with OPTIONS (result_col='…'), or leave"
        " that column out of the query after AS"
    )


def _columns(
    resolver: Resolver, statement: Search, compiled: Compiled, added: tuple[str, ...]
) -> list[str] | None:
    """Return the columns of a SEARCH's rows; None where only the SQL around it makes sense of it.

    The rows may come from a WITH around the statement, or name columns of a row around it.
    """
    try:
        return resolver.context.database.columns(*compiled)
    except OperationalError as error:
        column = str(error).removeprefix(_NO_COLUMN)
        if any(same_name(column, name) for name in added):
            raise OperationalError(
                f"{error}; {clip(column)} is the similarity that the SEARCH adds to these rows, so"
                f" only the SQL around it knows it: SELECT * FROM (SEARCH … AS …) WHERE {column}"
                " > 0.2"
            ) from None
        require_tables(resolver.context.database, statement.query, resolver.common)
        if resolver.is_whole:
            raise
        return None


def with_column_hint(error: OperationalError, plan: Plan) -> OperationalError:
    """Return SQLite's error about an unknown column, with the names that the SEARCHes give."""
    names = [
        name for node in plan.nodes.values() if isinstance(node, SearchPlan) for name in node.names
    ]
    if not names or not str(error).startswith(_NO_COLUMN) or type(error) is not OperationalError:
        return error
    wanted = str(error).removeprefix(_NO_COLUMN)
    return OperationalError(
        f"{error}; the similarity is called {', '.join(map(clip, names))} here;"
        f" OPTIONS (result_col='{wanted}') in the SEARCH would call it {clip(wanted)}"
    )


def _missing_column(
    resolver: Resolver, statement: Search, column: str, names: list[str], model: Model
) -> str:
    read = tables_read(statement.query)
    filled = [
        each
        for each in resolver.context.registry.vector_columns()
        if same_name(each.column_name, column)
        and any(same_name(each.table_name, table.name) for table in read)
    ]
    remedy = (
        _where_it_went(resolver, filled[0], column)
        if filled
        else f"CONVERT USING {model.name} OPTIONS (table_name='…') AS SELECT * FROM … makes it;"
        " or name another column with OPTIONS (emb_col='…')"
    )
    return (
        f"SEARCH USING {model.name}: the rows have no column {clip(column)}"
        f" (they have {', '.join(names)}); {remedy}"
    )


def _where_it_went(resolver: Resolver, filled: VectorColumn, column: str) -> str:
    declared = resolver.context.database.table_columns(filled.schema_name, filled.table_name)
    table = clip(filled.table_name)
    if any(same_name(name, column) for name, _ in declared):
        return f"table {table} has it: add it to the SELECT after AS"
    return (
        f"CONVERT once made it in table {table}; if it was renamed, say"
        " OPTIONS (emb_col='…'), if it was dropped, CONVERT the table again"
    )


HANDLER = Handler(
    resolve_search,
    perform_search,
    check=check_search,
    works=_is_diverse,
    is_repeatable=True,
)
