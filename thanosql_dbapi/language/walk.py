"""Walks over trees: which parameters and statements a tree holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from .kept import once_a_tree
from .tree import Parameter, Query, Statement, Tree


@once_a_tree
def parameters_of(tree: Tree) -> tuple[Parameter, ...]:
    """Return all bound parameters of a tree in source order; a repeated one comes repeatedly."""
    return tuple(sorted(_parameters(tree), key=lambda parameter: parameter.offset))


def is_bare(query: Query) -> bool:
    """Return whether a query is one ThanoSQL statement with nothing but white space around it."""
    statements = [part for part in query.parts if not isinstance(part, str)]
    text = "".join(part for part in query.parts if isinstance(part, str))
    return len(statements) == 1 and not text.strip(" \t\r\n\f;")


@once_a_tree
def statements_in(query: Query) -> tuple[Statement, ...]:
    """Return the statements of ours in a query, the innermost first."""
    return tuple(_statements(query))


def _statements(query: Query) -> Iterator[Statement]:
    for part in query.parts:
        if isinstance(part, (str, Parameter)):
            continue
        inner = getattr(part, "query", None)
        if inner is not None:
            yield from _statements(inner)
        yield part


def _parameters(node: object) -> Iterator[Parameter]:
    if isinstance(node, Parameter):
        yield node
    elif isinstance(node, Query):
        yield from _parameters(node.parts)
    elif isinstance(node, tuple):
        for each in node:
            yield from _parameters(each)
    elif is_dataclass(node):
        for field in fields(node):
            yield from _parameters(getattr(node, field.name))
