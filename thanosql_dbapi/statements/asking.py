"""What a SEARCH can ask beyond similarities: a combined question, probabilities, variety."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from ..errors import clip
from ..language import grammar
from ..language.tree import Search
from ..models.temperature import read_temperature
from ..planning.plans import QueryValue, QueryVector, SearchPlan
from ..stores.sqlite.registry import Model
from .resolve import Resolver

BACKGROUND = "a picture"
"""What any picture shows; a probability says by how much a text fits better."""
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


def _weighted(text: str) -> tuple[float, str]:
    found = _WEIGHTED.fullmatch(text)
    assert found is not None
    sign, number, words = found.groups()
    weight = float(number) if number else 1.0
    return (-weight if sign == "-" else weight), words.strip()
