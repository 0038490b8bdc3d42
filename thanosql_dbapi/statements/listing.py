"""LIST: models, tables, and what the catalog offers, as a table expression."""

from __future__ import annotations

import json

from ..language.names import quote_text
from ..language.tree import List
from ..stores.sqlite.registry import PREFIX
from .query import Lowering


def lower_list(lowering: Lowering, statement: List) -> str:
    """Return the SELECT that a LIST stands for."""
    context = lowering.context
    if statement.what == "table":
        return (
            "SELECT * FROM (SELECT name AS table_name, type FROM main.sqlite_master"
            " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            f" AND substr(name, 1, {len(PREFIX)}) <> {quote_text(PREFIX)} ORDER BY name)"
        )
    if statement.what == "model":
        columns = ["model_name", "base", "dimension", "source"]
        rows = [
            [model.name, model.base, model.dimension, model.source]
            for model in context.registry.models()
        ]
        return _table(columns, rows)
    catalog = context.catalog()
    if statement.what == "thanosql model":
        columns = ["model_name", "base", "source", "license", "description"]
        return _table(
            columns,
            [[e.name, e.base, e.source, e.license, e.description] for e in catalog.models.values()],
        )
    columns = ["dataset_name", "source", "license", "description"]
    return _table(
        columns,
        [[e.name, e.source, e.license, e.description] for e in catalog.datasets.values()],
    )


def _table(columns: list[str], rows: list[list[object]]) -> str:
    # A list in JSON is an expression SQLite reads as a table, in a view and without parameters too.
    selected = ", ".join(
        f"json_extract(value, '$[{index}]') AS {column}" for index, column in enumerate(columns)
    )
    text = quote_text(json.dumps(rows, ensure_ascii=False))
    return f"SELECT {selected} FROM json_each({text})"
