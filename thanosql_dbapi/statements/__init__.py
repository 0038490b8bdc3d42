"""What ThanoSQL statements do: one handler a statement, from tree to plain SQL.

A handler does its work (a download, a table, embeddings) and says which plain SQL answers the
statement. A new verb is a dataclass in ``language.tree``, a rule in the parser, and a handler
here: in :data:`_RULES` where it stands in a query, in :data:`_HANDLERS` where it stands alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import NotSupportedError
from ..language.outline import common_names
from ..language.ranking import function_ranking
from ..language.tree import (
    BuildModel,
    Convert,
    Copy,
    DeleteModel,
    FitModel,
    GetDataset,
    GetModel,
    List,
    Print,
    Query,
    Ranked,
    Search,
    Tree,
    Unsupported,
    UploadModel,
)
from ..language.walk import is_bare
from .arguments import Arguments, Bindings
from .context import Context
from .convert import lower_convert
from .copy import copy
from .get import get_dataset, get_model
from .listing import lower_list
from .models import delete_model, upload_model
from .nearest import is_search_only, lower_call, lower_ranked
from .query import Lowering
from .search import lower_search
from .staging import drop_staging

if TYPE_CHECKING:
    from ..stores.sqlite.database import Parameters

__all__ = ["Context", "prepare"]

Prepared = tuple[str, "Parameters"]
_NO_ROWS: Prepared = ("", {})
_ATTEMPTS = 3


def run(
    context: Context,
    execute: Callable[[str, Parameters], object],
    sql: str,
    tree: Tree,
    parameters: Parameters,
) -> None:
    """Do what a statement asks, and execute the plain SQL of its result.

    A search finds candidates first and compares them then. When another connection has committed
    in between, it begins anew, so that its rows are those of one moment.

    Args:
        context: The connection.
        execute: Executes plain SQL on the user's cursor, which has no statement open.
        sql: The statement's text.
        tree: The same, parsed.
        parameters: What the caller bound.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        context.may_narrow = attempt < _ATTEMPTS
        prepared = _prepare(context, sql, tree, parameters)
        if prepared[0]:  # the caller has ended the cursor's last statement: it has no rows
            execute(*prepared)
        if not context.is_outrun():
            return


def _prepare(context: Context, sql: str, tree: Tree, parameters: Parameters) -> Prepared:
    """Do what a statement asks, and return the plain SQL and parameters of its result.

    Args:
        context: The connection.
        sql: The statement's text.
        tree: The same, parsed.
        parameters: What the caller bound.

    Returns:
        SQL to execute and its named parameters; empty SQL where the statement returns no rows.
    """
    drop_staging(context)
    context.state.notes.clear()
    context.state.read_version = None
    arguments = Arguments(sql, tree, parameters)
    return _HANDLERS[type(tree)](context, arguments, tree)


def may_make_columns(tree: Tree) -> bool:
    """Return whether a statement may make a vector column that was not known before."""
    if isinstance(tree, Print):
        tree = tree.query
    if isinstance(tree, Ranked):
        return False
    return not (isinstance(tree, Query) and is_search_only(tree))


def _query(context: Context, arguments: Arguments, query: Query) -> Prepared:
    bindings = Bindings(arguments)
    lowering = Lowering(
        context, arguments, bindings, query.verb, is_bare(query), _RULES, common_names(query)
    )
    # What writes, or embeds images, cannot begin anew when another connection has committed.
    is_steady = context.database.connection.in_transaction
    lowering.may_narrow = context.may_narrow and (is_steady or is_search_only(query))
    return lower_ranked(lowering, query), bindings


def _ranked(context: Context, arguments: Arguments, statement: Ranked) -> Prepared:
    bindings = Bindings(arguments)
    lowering = Lowering(context, arguments, bindings, "SELECT", False, _RULES)
    lowering.may_narrow = context.may_narrow
    ranking = function_ranking(statement.query)
    assert ranking is not None
    sql = lower_call(lowering, ranking)
    return (arguments.sql, arguments.supplied) if sql is None else (sql, bindings)


def _print(context: Context, arguments: Arguments, statement: Print) -> Prepared:
    if statement.medium != "image":
        raise NotSupportedError(
            f"PRINT {statement.medium.upper()} is not supported yet; PRINT IMAGE is"
        )
    return _query(context, arguments, statement.query)


def _train(context: Context, arguments: Arguments, statement: BuildModel | FitModel) -> Prepared:
    verb = "BUILD" if isinstance(statement, BuildModel) else "FIT"
    raise NotSupportedError(
        f"{verb} MODEL is not supported yet; GET THANOSQL MODEL gets a trained model, UPLOAD MODEL"
        " registers a transformers CLIP folder of yours"
    )


def _unsupported(context: Context, arguments: Arguments, statement: Unsupported) -> Prepared:
    raise NotSupportedError(
        f"{statement.what} is not supported; of ThanoSQL this driver runs GET, COPY, CONVERT,"
        " SEARCH IMAGE, SEARCH TEXT, PRINT IMAGE, LIST, UPLOAD MODEL and DELETE MODEL with CLIP"
        " models"
    )


def _without_rows(handler: Callable[[Context, Arguments, Any], None]) -> Callable[..., Prepared]:
    def run(context: Context, arguments: Arguments, statement: Any) -> Prepared:
        handler(context, arguments, statement)
        return _NO_ROWS

    return run


_RULES: dict[type, Callable[[Lowering, Any], str]] = {
    Search: lower_search,
    Convert: lower_convert,
    List: lower_list,
}
_HANDLERS: dict[type, Callable[[Context, Arguments, Any], Prepared]] = {
    Query: _query,
    Ranked: _ranked,
    Print: _print,
    GetDataset: _without_rows(get_dataset),
    GetModel: _without_rows(get_model),
    Copy: _without_rows(copy),
    UploadModel: _without_rows(upload_model),
    DeleteModel: _without_rows(delete_model),
    BuildModel: _train,
    FitModel: _train,
    Unsupported: _unsupported,
}
