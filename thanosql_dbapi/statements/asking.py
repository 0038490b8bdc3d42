"""What a SEARCH can ask beyond similarities: a combined question, probabilities, variety."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import clip
from ..language import grammar
from ..language.names import quote_name, quote_text
from ..language.tree import Search
from ..models.temperature import read_temperature
from ..planning.plans import MadeRows, QueryValue, QueryVector, SearchPlan
from ..stores.sqlite.compile import Compiled, Compiler
from ..stores.sqlite.registry import Model
from ..training.variety import most_varied
from ..vectors import to_vector
from .resolve import Resolver
from .row_vectors import HIDDEN
from .staging import Staging

BACKGROUND = "a picture"
"""What any picture shows; a probability says by how much a text fits better."""
_POOL, _LEAST_POOL = 10, 200
"""Best rows that the varied ones are chosen from: so many times as are wanted, and how many at
least."""
_WEIGHTED = re.compile(r"\s*([+-]?)\s*(?:(\d+(?:\.\d*)?|\.\d+)\s*\*)?\s*(.*)", re.DOTALL)


def combined(
    resolver: Resolver, statement: Search, model: Model, values: Sequence[QueryValue]
) -> QueryVector:
    """Return one question of several: ``'a cat'``, ``'-a dog'``, ``'0.5*night'``.

    Raises:
        StatementError: A text has a weight and no words, or an image is bytes in a view.
    """
    parts = []
    for each in values:
        weight, value = 1.0, each.value
        if each.kind == "text":
            weight, value = _weighted(value)
            if not value:
                raise resolver.arguments.error(
                    f"SEARCH: the text {clip(each.value)} has a weight and no words", statement
                )
        elif not isinstance(value, str):
            raise resolver.arguments.error(
                "SEARCH: with combine=True an image is a path or a URL, got bytes", statement
            )
        parts.append((weight, each.kind, value))
    value = json.dumps(parts, ensure_ascii=False)
    blob = resolver.context.embed_query("combined", model.name, value)
    assert blob is not None
    return QueryVector("combined", value, all(each.is_written for each in values), blob)


def with_probability(resolver: Resolver, model: Model, plan: SearchPlan) -> SearchPlan:
    """Return a SEARCH whose similarities are the model's own probabilities.

    Raises:
        ModelError: The model has no temperature.
    """
    context = resolver.context
    found = read_temperature(context.model_folder(model), model.fingerprint)
    background = None
    if not found.is_sigmoid:
        blob = context.embed_query("text", model.name, BACKGROUND)
        assert blob is not None
        background = QueryVector("text", BACKGROUND, True, blob)
    return replace(plan, scale=found.scale, bias=found.bias, background=background)


def wanted_diversity(resolver: Resolver, statement: Search, limit: int | None) -> float | None:
    """Return how much like rows lose, None where they do not.

    Raises:
        StatementError: It is not between 0 and 1, there is no ``top_k``, or it is for a view.
    """
    option = statement.option(grammar.DIVERSIFY.name)
    share = resolver.arguments.option(statement, grammar.DIVERSIFY)
    if option is None or not share:
        return None
    problem = ""
    if not 0 < share <= 1:
        problem = f"must be between 0 and 1, got {share!r}"
    elif limit is None:
        problem = "chooses the best rows so that they differ; say how many with top_k"
    elif resolver.plan.is_stored:
        problem = f"cannot be part of {resolver.verb}"
    if problem:
        raise resolver.arguments.error(f"option 'diversify' {problem}", option)
    return share


def perform_search(resolver: Resolver, statement: Search, plan: SearchPlan) -> object:
    """Choose the rows of a SEARCH that are to differ from one another."""
    if plan.diversity is None or plan.limit is None:
        return plan
    context = resolver.context
    pool = replace(plan, limit=max(_LEAST_POOL, _POOL * plan.limit), is_ranked=True)
    compiler = Compiler(resolver.plan, resolver.arguments)
    query = Compiled(compiler.node(pool), compiler.parameters)
    staging = Staging.of_query(context, query, HIDDEN)
    rows = context.database.rows(
        f"SELECT {staging.row_id}, {quote_name(plan.column)} FROM {staging.table}"
        f" WHERE length({quote_name(plan.column)}) = {4 * plan.dimension}"
        f" ORDER BY {staging.row_id}"
    )
    vectors = np.frombuffer(b"".join(row[1] for row in rows), "<f4").reshape(-1, plan.dimension)
    chosen = most_varied(vectors, to_vector(plan.vectors[0].vector), plan.limit, plan.diversity)
    order = quote_text(json.dumps([rows[place][0] for place in chosen]))
    names = ", ".join(f"q.{quote_name(name)}" for name in staging.columns)
    # A CROSS JOIN keeps the order of the first.
    return MadeRows(
        f"SELECT {names} FROM json_each({order}) AS o"
        f" CROSS JOIN {staging.table} AS q ON q.{staging.row_id} = o.value"
    )


def is_diverse(statement: Search) -> bool:
    """Return whether a SEARCH has rows to choose after it is compared."""
    return statement.option(grammar.DIVERSIFY.name) is not None


def _weighted(text: str) -> tuple[float, str]:
    found = _WEIGHTED.fullmatch(text)
    assert found is not None
    sign, number, words = found.groups()
    weight = float(number) if number else 1.0
    return (-weight if sign == "-" else weight), words.strip()
