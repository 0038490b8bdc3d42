"""Whether a column holds the vectors of a model, before rows are compared by them."""

from __future__ import annotations

from ..errors import OperationalError, clip
from ..language.names import quote_name, same_name
from ..language.tree import Query, TableName
from ..stores.sqlite.compile import Compiled
from ..stores.sqlite.registry import Model
from . import drawings
from .context import Context
from .tables import tables_behind


def check_model(context: Context, query: Query, column: str, model: Model, what: str) -> None:
    """Check that the vectors of a query's column are not known to be those of another model.

    Args:
        context: The connection.
        query: The query.
        column: The column.
        model: The model.
        what: The statement, for the message.

    Raises:
        OperationalError: They are.
    """
    named = [
        each for each in context.registry.vector_columns() if same_name(each.column_name, column)
    ]
    own = tables_behind(context.database, query)
    read = [each for each in named if (each.schema_name.lower(), each.table_name.lower()) in own]
    if drawings.is_of_concern(context, model):
        drawings.check_searched(context, model, read)
    others = [each for each in read or named if each.fingerprint != model.fingerprint]
    if not others or (not read and len(others) < len(named)):
        return
    other = others[0]
    again = (
        f"model {clip(model.name)} has changed since; CONVERT the table again"
        if same_name(other.model, model.name)
        else f"search USING {other.model}, or CONVERT the table with {clip(model.name)}"
    )
    raise OperationalError(
        f"{what}: column {clip(column)} holds vectors of model"
        f" {clip(other.model)} ({other.dimension} dimensions), not of this one; {again}"
    )


def check_sample(
    context: Context, compiled: Compiled, column: str, model: Model, what: str
) -> None:
    """Check that the first value of a query's column can be a vector of a model.

    Args:
        context: The connection.
        compiled: The query.
        column: The column.
        model: The model.
        what: The statement, for the message.

    Raises:
        OperationalError: It cannot.
    """
    name = quote_name(column)
    sample = context.database.row(
        f"SELECT typeof({name}), length({name}) FROM ({compiled.sql}\n)"
        f" WHERE {name} IS NOT NULL LIMIT 1",
        compiled.parameters,
    )
    if sample and sample != ("blob", 4 * model.dimension):
        kind, length = sample
        got = f"{length // 4} dimensions" if kind == "blob" else f"a value of type {kind}"
        raise OperationalError(
            f"{what}: column {clip(column)} holds {got}, and model"
            f" {clip(model.name)} makes vectors of {model.dimension} dimensions; name the column"
            " of this model with OPTIONS (emb_col='…'), or CONVERT the table with it first"
        )


def check_same_model(
    context: Context, query: Query, column: str, table: TableName, own_column: str, what: str
) -> None:
    """Check that a query's vectors are not known to be of another model than those of a table.

    Args:
        context: The connection.
        query: The query.
        column: Its column.
        table: The table.
        own_column: The table's column.
        what: The statement, for the message.

    Raises:
        OperationalError: They are.
    """
    registry = context.registry
    source = registry.find_vector_column(table.schema or "main", table.name, own_column)
    own = tables_behind(context.database, query)
    read = [
        each
        for each in registry.vector_columns()
        if same_name(each.column_name, column)
        and (each.schema_name.lower(), each.table_name.lower()) in own
    ]
    if source is None or not read or any(each.fingerprint == source.fingerprint for each in read):
        return
    raise OperationalError(
        f"{what}: column {clip(column)} holds vectors of model {clip(read[0].model)}"
        f" ({read[0].dimension} dimensions), and column {clip(own_column)} of table"
        f" {clip(table.name)} those of model {clip(source.model)} ({source.dimension} dimensions),"
        f" which do not compare; CONVERT one of them with the model of the other"
    )
