"""What a tree holds and returns: its parameters, its statements, rows or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from . import grammar
from .grammar import Shape
from .kept import once_a_tree
from .tree import Parameter, Query, Ranked, Statement, Tree

_READING = ("SELECT", "EXPLAIN", "WITH", "VALUES")


@once_a_tree
def parameters_of(tree: Tree) -> tuple[Parameter, ...]:
    """Return all bound parameters of a tree in source order; a repeated one comes repeatedly."""
    return tuple(sorted(_parameters(tree), key=lambda parameter: parameter.offset))


def is_bare(query: Query) -> bool:
    """Return whether a query is one ThanoSQL statement with nothing but white space around it."""
    statements = [part for part in query.parts if not isinstance(part, str)]
    text = "".join(part for part in query.parts if isinstance(part, str))
    return len(statements) == 1 and not text.strip(" \t\r\n\f;")


def returns_rows(tree: Tree) -> bool:
    """Return whether a text returns rows: SQL by its verb, a statement of ours by its spec."""
    if isinstance(tree, Query):
        return tree.verb in _READING
    if isinstance(tree, Ranked):
        return True
    spec = grammar.spec_for(tree)
    return spec is not None and spec.is_supported and spec.shape is not Shape.ACTION


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
