"""What BUILD MODEL and FIT MODEL have in common: the new model's name, and the query."""

from __future__ import annotations

from typing import Union

from ..errors import ModelError, clip
from ..language import grammar
from ..language.tree import BuildModel, FitModel
from ..planning.arguments import Arguments
from .context import Context
from .models import check_name
from .resolve import Resolver, resolve

Training = Union[BuildModel, FitModel]
_KINDS = {"classifier": "a classifier", "embedding": "a model that makes vectors"}


def begin(context: Context, arguments: Arguments, statement: Training, kind: str) -> Resolver:
    """Check what needs no row, and return the query, resolved.

    Args:
        context: The connection.
        arguments: The statement's.
        statement: The statement.
        kind: The kind of the new model, as :attr:`Model.kind` has it. A model of that name and
            kind is replaced with ``overwrite``; one of another kind never is.

    Raises:
        ModelError: The name is taken.
    """
    overwrite = arguments.option(statement, grammar.OVERWRITE)
    context.require_writable(verb(statement))
    check_name(arguments, statement, statement.name)
    there = context.registry.find_model(statement.name)
    if there is not None and there.kind != kind:
        raise ModelError(
            f"{verb(statement)}: {clip(there.name)} is {_KINDS[there.kind]}; choose another"
            " name; nothing was changed"
        )
    if there is not None and not overwrite:
        raise ModelError(
            f"{verb(statement)}: model {clip(there.name)} is in this database already; say"
            " OPTIONS (overwrite=True) to replace it; nothing was changed"
        )
    return Resolver(context, arguments, resolve(context, arguments, statement.query))


def verb(statement: Training) -> str:
    """Return the statement's first words."""
    return "BUILD MODEL" if isinstance(statement, BuildModel) else "FIT MODEL"


def label(statement: Training) -> str:
    """Return the statement, for messages."""
    return f"{verb(statement)} {statement.name}"
