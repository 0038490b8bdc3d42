"""SEARCH: checks the columns and the model, embeds the query values, and writes the SELECT."""

from __future__ import annotations

from typing import Any

from ..errors import OperationalError, clip
from ..language.names import quote_name, quote_text, same_name
from ..language.outline import tables_read
from ..language.tree import Search, Value
from ..stores.sqlite.registry import Model, VectorColumn
from .nearest import narrow_search
from .plan import SearchPlan
from .query import Lowering, lower

DEFAULT_TOP_K = 1000


def lower_search(lowering: Lowering, statement: Search) -> str:
    """Return the SELECT that a SEARCH stands for.

    Raises:
        ModelError: No such model, or it cannot be loaded.
        MediaError: A query image cannot be read.
        OperationalError: The rows have no embedding column, or one of another model.
        StatementError: An option has a value of another kind.
    """
    query = lower(lowering, lowering.narrowed.get(statement, statement.query))
    plan = lowering.searches.get(statement)
    if plan is None:
        plan = lowering.searches[statement] = _plan(lowering, statement, query)
        narrow_search(lowering, statement, plan)
        query = lower(lowering, lowering.narrowed.get(statement, statement.query))
    return plan.select(query)


def _plan(lowering: Lowering, statement: Search, query: str) -> SearchPlan:
    arguments = lowering.arguments
    model = lowering.context.registry.model(statement.model)
    column = arguments.text(statement, "emb_col", model.column)
    _check_column(lowering, statement, query, column, model)
    vectors = [
        _query_vector(lowering, statement, model, kind, value)
        for kind, value in _query_values(lowering, statement)
    ]
    if not vectors:
        raise arguments.error("SEARCH: no text and no image to search for", statement)
    name = arguments.text(statement, "result_col")
    if name is None and statement.ranked:
        name = "search_result"
    numbers = range(1, len(vectors) + 1)
    if name is None:
        names = [f"{column}_similarity{number}" for number in numbers]
    else:
        names = [name] if len(vectors) == 1 else [f"{name}{number}" for number in numbers]
    limit = _top_k(lowering, statement)
    return SearchPlan(
        model=model,
        column=column,
        vectors=tuple(vectors),
        names=tuple(names),
        threshold=arguments.number(statement, "threshold"),
        limit=limit,
        is_ranked=statement.ranked or limit is not None,
    )


def _top_k(lowering: Lowering, statement: Search) -> int | None:
    # The later form returns 1,000 rows unless told otherwise; `top_k=None` is how to say "all".
    given = statement.option("top_k")
    if given is None:
        return DEFAULT_TOP_K if statement.ranked else None
    return lowering.arguments.integer(statement, "top_k", 1)


def _query_values(lowering: Lowering, statement: Search) -> list[tuple[str, Value]]:
    """Return (kind, value) of each query value, texts first; a bound list becomes its items."""
    arguments = lowering.arguments
    texts, images = statement.texts, statement.images
    search_by = statement.option("search_by")
    if search_by is not None:
        # Only a bound `search_by` gets here: the parser has put any other in its place.
        kind = arguments.choice(statement, "search_by", ("text", "image"), "text")
        search_input = statement.option("search_input")
        values: tuple[Value, ...] = () if search_input is None else (search_input.value,)
        texts, images = (values, images) if kind == "text" else (texts, values)
    pairs: list[tuple[str, Value]] = []
    for kind, given in (("text", texts), ("image", images)):
        for value in given:
            bound = arguments.value(value)
            spread = isinstance(bound, (list, tuple))
            pairs.extend((kind, each) for each in (bound if spread else [value]))
    return pairs


def _query_vector(
    lowering: Lowering, statement: Search, model: Model, kind: str, value: Value
) -> tuple[str, bytes]:
    """Return a query value's vector as SQL and as bytes; it is embedded here and now."""
    bound: Any = lowering.arguments.value(value)
    accepted = str if kind == "text" else (str, bytes, bytearray, memoryview)
    if not isinstance(bound, accepted):
        expected = "a text" if kind == "text" else "a path, a URL or bytes"
        raise lowering.arguments.error(
            f"SEARCH: the {kind} to search for must be {expected}, got"
            f" {'NULL' if bound is None else clip(bound)}",
            statement,
        )
    # Errors inside an SQL function lose their message in SQLite; raised here, they arrive.
    vector = lowering.context.embed_query(kind, model.name, bound)
    assert vector is not None
    if not lowering.is_stored:
        return lowering.bindings.add(vector), vector
    # What is kept names the model and the value, not this moment's vector. A bound value SQLite
    # itself refuses there.
    written = quote_text(value) if isinstance(value, str) else lowering.bindings.add(bound)
    return f"embed_{kind}({quote_text(model.name)}, {written})", vector


def _check_column(
    lowering: Lowering, statement: Search, query: str, column: str, model: Model
) -> None:
    context = lowering.context
    try:
        names = context.database.columns(query, lowering.bindings)
    except OperationalError:
        if lowering.is_whole:
            raise
        # The rows may come from a WITH or a row of the statement around: SQLite itself will tell.
        return
    if not any(same_name(name, column) for name in names):
        raise OperationalError(_missing_column(lowering, statement, column, names, model))
    known = [
        each for each in context.registry.vector_columns() if same_name(each.column_name, column)
    ]
    if known and all(each.fingerprint != model.fingerprint for each in known):
        other = known[0]
        again = (
            f"model {clip(model.name)} has changed since; CONVERT the table again"
            if same_name(other.model, model.name)
            else f"search USING {other.model}, or CONVERT the table with {clip(model.name)}"
        )
        raise OperationalError(
            f"SEARCH USING {model.name}: column {clip(column)} holds vectors of model"
            f" {clip(other.model)} ({other.dimension} dimensions), not of this one; {again}"
        )
    sample = context.database.row(
        f"SELECT typeof({quote_name(column)}), length({quote_name(column)})"
        f" FROM ({query}\n) WHERE {quote_name(column)} IS NOT NULL LIMIT 1",
        lowering.bindings,
    )
    if sample and sample != ("blob", 4 * model.dimension):
        kind, length = sample
        got = f"{length // 4} dimensions" if kind == "blob" else f"a value of type {kind}"
        raise OperationalError(
            f"SEARCH USING {model.name}: column {clip(column)} holds {got}, and model"
            f" {clip(model.name)} makes vectors of {model.dimension} dimensions; name the column"
            " of this model with OPTIONS (emb_col='…'), or CONVERT the table with it first"
        )


def _missing_column(
    lowering: Lowering, statement: Search, column: str, names: list[str], model: Model
) -> str:
    read = tables_read(statement.query)
    filled = [
        each
        for each in lowering.context.registry.vector_columns()
        if same_name(each.column_name, column)
        and any(same_name(each.table_name, table.name) for table in read)
    ]
    remedy = (
        _where_it_went(lowering, filled[0], column)
        if filled
        else f"CONVERT USING {model.name} OPTIONS (table_name='…') AS SELECT * FROM … makes it;"
        " or name another column with OPTIONS (emb_col='…')"
    )
    return (
        f"SEARCH USING {model.name}: the rows have no column {clip(column)}"
        f" (they have {', '.join(names)}); {remedy}"
    )


def _where_it_went(lowering: Lowering, filled: VectorColumn, column: str) -> str:
    declared = lowering.context.database.table_columns(filled.schema_name, filled.table_name)
    table = clip(filled.table_name)
    if any(same_name(name, column) for name, _ in declared):
        return f"table {table} has it: add it to the SELECT after AS"
    return (
        f"CONVERT once made it in table {table}; if it was renamed, say"
        " OPTIONS (emb_col='…'), if it was dropped, CONVERT the table again"
    )
