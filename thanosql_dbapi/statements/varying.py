"""SEARCH with ``diversify``: of the best rows, those that differ from one another."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from ..language.names import quote_name, quote_text
from ..planning.plans import MadeRows, SearchPlan
from ..stores.sqlite.compile import Compiled, Compiler
from ..training.variety import most_varied
from ..vectors import to_vector
from .resolve import Resolver
from .row_vectors import HIDDEN
from .staging import Staging

_POOL, _LEAST_POOL = 10, 200
"""Best rows that the varied ones are chosen from: so many times as are wanted, and how many at
least."""


def varied_rows(resolver: Resolver, plan: SearchPlan) -> MadeRows:
    """Return the rows of a SEARCH with ``top_k`` and ``diversify``, the best first."""
    assert plan.diversity is not None
    assert plan.limit is not None
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
