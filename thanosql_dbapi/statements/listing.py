"""LIST: models, tables, and what the catalog offers, as a table expression."""

from __future__ import annotations

from ..language.tree import List
from ..planning.plans import RowsPlan, TablesPlan
from .resolve import Handler, Resolver


def resolve_list(resolver: Resolver, statement: List) -> RowsPlan | TablesPlan:
    """Return the rows that a LIST has."""
    context = resolver.context
    if statement.what == "table":
        return TablesPlan()
    if statement.what == "model":
        return RowsPlan(
            ("model_name", "base", "dimension", "source", "kind"),
            tuple(
                (m.name, m.base, m.dimension, m.source, m.kind) for m in context.registry.models()
            ),
        )
    catalog = context.catalog()
    if statement.what == "thanosql model":
        return RowsPlan(
            ("model_name", "base", "source", "license", "description", "languages", "size"),
            tuple(
                (
                    *(e.name, e.base or None, e.shown_source, e.license, e.description),
                    *(", ".join(e.languages) or None, e.size or None),
                )
                for e in catalog.models.values()
            ),
        )
    return RowsPlan(
        ("dataset_name", "source", "license", "description"),
        tuple(
            (e.name, e.shown_source, e.license, e.description) for e in catalog.datasets.values()
        ),
    )


HANDLER = Handler(resolve_list)
