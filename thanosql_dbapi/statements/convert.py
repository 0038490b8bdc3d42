"""CONVERT: embeds the images or texts of a query's rows, and says where the vectors go.

The rows are first put into a temporary table, so that a query with a random order or a moving
source is asked once. Then their images are embedded, batch by batch. What is left is a SELECT
over what was made, so that CONVERT stands wherever a SELECT can.
"""

from __future__ import annotations

from ..errors import ConvertWarning, NotSupportedError, OperationalError, clip, warn_user
from ..language.names import quote_name, quote_text, same_name
from ..language.outline import tables_read
from ..language.tree import Convert, TableName
from ..stores.sqlite.registry import VectorColumn
from . import inplace
from .filling import Plan, add_watched_column, fill
from .query import Lowering, lower
from .staging import Staging
from .tables import names_query, reads_pages, require_tables, table_key

DEFAULT_SOURCE = {"image": "image_path", "text": "text"}


def lower_convert(lowering: Lowering, statement: Convert) -> str:
    """Embed the rows of a CONVERT, store them where it says, and return the SELECT of its result.

    Raises:
        ModelError: No such model, or it cannot be loaded.
        OperationalError: A column or table is missing, or exists already.
        MediaError: An image cannot be read, with ``on_error='fail'``.
        StatementError: An option has a value of another kind.
    """
    plan, target = _plan(lowering, statement)
    _require_own_tables(lowering, statement)
    database = lowering.context.database
    if not lowering.is_stored:
        require_tables(database, statement.query)
    if lowering.is_stored or lowering.is_explained:
        return _function_form(lowering, statement, plan, target)
    if target is None:
        return _convert_rows(lowering, statement, plan)
    key = table_key(database, target)
    if key is not None and names_query(database, statement.query, key):
        return inplace.convert_in_place(lowering, statement, plan, target)
    return _convert_into(lowering, statement, plan, target)


def _require_own_tables(lowering: Lowering, statement: Convert) -> None:
    """Refuse a query that reads what a WITH around it defines: it is run before, by itself."""
    for table in tables_read(statement.query):
        if table.schema is None and table.name in lowering.common:
            raise NotSupportedError(
                f"CONVERT: its query reads {clip(table.name)}, which the WITH before it defines;"
                f" put the WITH inside: CONVERT USING {statement.model} AS WITH {table.name} AS"
                " (…) SELECT …; nothing was changed"
            )


def _plan(lowering: Lowering, statement: Convert) -> tuple[Plan, TableName | None]:
    arguments = lowering.arguments
    model = lowering.context.registry.model(statement.model)
    kind = arguments.choice(statement, "convert_type", ("image", "text"), "image")
    source = arguments.text(statement, "image_col" if kind == "image" else "text_col")
    name = arguments.text(statement, "table_name")
    schema, dot, table = name.partition(".") if name else ("", "", "")
    plan = Plan(
        model=model,
        kind=kind,
        source=source or DEFAULT_SOURCE[kind],
        column=arguments.text(statement, "result_col", model.column),
        batch_size=arguments.integer(statement, "batch_size", 1),
        stops_on_error=arguments.choice(statement, "on_error", ("null", "fail"), "null") == "fail",
    )
    if not name:
        return plan, None
    # `photos` or `album.photos`; a table whose own name has a dot is found whole.
    whole = not dot or lowering.context.database.find_table(None, name) is not None
    return plan, TableName(name) if whole else TableName(table, schema)


def _convert_rows(lowering: Lowering, statement: Convert, plan: Plan) -> str:
    """Return the rows with their vectors; nothing is stored but what the SQL around it stores."""
    staging = Staging.of_query(lowering, lower(lowering, statement.query), plan.column)
    _fill_staging(lowering, plan, staging)
    if lowering.verb == "SELECT" and lowering.is_whole:
        warn_user(
            "CONVERT without table_name: the vectors are returned and not stored; to keep them"
            " name a table, OPTIONS (table_name='…'), or write"
            " CREATE TABLE … AS SELECT * FROM (CONVERT …)",
            ConvertWarning,
        )
    elif lowering.verb != "SELECT":
        # A copied column's table is not known here; its name and model are. A transaction of its
        # own: sqlite3 would begin one for the INSERT and leave it open after CREATE TABLE … AS.
        with lowering.context.database.atomic():
            lowering.context.registry.add_vector_column(
                VectorColumn("main", "", plan.column, *plan.facts())
            )
    return staging.select()


def _convert_into(lowering: Lowering, statement: Convert, plan: Plan, target: TableName) -> str:
    """Store the rows with their vectors in another table than the one the query reads."""
    context, arguments = lowering.context, lowering.arguments
    default = "replace" if arguments.flag(statement, "overwrite") else "fail"
    if_exists = arguments.choice(statement, "if_exists", ("fail", "replace", "append"), default)
    found = context.database.find_table(target.schema, target.name)
    if found and found[2] == "view":
        raise OperationalError(
            f"CONVERT: {clip(target.name)} is a view; name a table; nothing was changed"
        )
    if found and if_exists == "fail":
        raise OperationalError(
            f"CONVERT: table {clip(target.name)} exists and the query does not read it;"
            " say if_exists='replace' or if_exists='append'; nothing was changed"
        )
    sql = lower(lowering, statement.query)
    if found and reads_pages(
        context.database, sql, lowering.bindings, (found[0].lower(), found[1])
    ):
        raise inplace.unclear(target)
    staging = Staging.of_query(lowering, sql, plan.column)
    schema, name = (found[0], found[1]) if found else (target.schema or "main", target.name)
    table = quote_name(schema, name)
    columns = ", ".join(quote_name(column) for column in staging.result_columns)
    if found and if_exists == "append":
        _require_columns(context.database.table_columns(schema, name), staging, target)
        _require_same_model(lowering, plan, schema, name)
    _fill_staging(lowering, plan, staging)
    with context.database.atomic():
        if found and if_exists == "replace":
            context.database.execute(f"DROP TABLE {table}")
        if not found or if_exists == "replace":
            context.database.execute(f"CREATE TABLE {table} ({staging.definitions()})")
        context.database.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging.table}"
        )
        add_watched_column(context, plan, schema, name)
    return staging.select()


def _fill_staging(lowering: Lowering, plan: Plan, staging: Staging) -> None:
    staging.require(plan.source, f"CONVERT USING {plan.model.name}", plan.kind)
    staging.add_vector_column(plan.model.dimension)
    database = lowering.context.database
    vector, table = quote_name(plan.column), staging.table

    def write(batch: list[tuple[bytes | None, int]]) -> None:
        with database.atomic():
            database.execute_many(
                f"UPDATE {table} SET {vector} = ? WHERE {staging.row_id} = ?", batch
            )

    fill(lowering.context, plan, staging.sources(plan.source), staging.count(), write)


def _function_form(
    lowering: Lowering, statement: Convert, plan: Plan, target: TableName | None
) -> str:
    """Return the SELECT for a view or trigger: it embeds whenever it runs, row by row."""
    if target is not None:
        raise lowering.arguments.error(
            f"CONVERT inside {lowering.verb} cannot store into table_name; leave the option out",
            statement,
        )
    return (
        f"SELECT q.*, embed_{plan.kind}({quote_text(plan.model.name)},"
        f" q.{quote_name(plan.source)}) AS {quote_name(plan.column)}"
        f" FROM ({lower(lowering, statement.query)}\n) AS q"
    )


def _require_same_model(lowering: Lowering, plan: Plan, schema: str, table: str) -> None:
    """Refuse to append vectors to a column that holds those of another model."""
    known = lowering.context.registry.find_vector_column(schema, table, plan.column)
    if known is None or known.fingerprint == plan.model.fingerprint:
        return
    column = quote_name(plan.column)
    if lowering.context.database.row(
        f"SELECT 1 FROM {quote_name(schema, table)} WHERE {column} IS NOT NULL LIMIT 1"
    ):
        raise OperationalError(
            f"CONVERT USING {plan.model.name}: column {clip(plan.column)} of table {clip(table)}"
            f" holds vectors of model {clip(known.model)} with other weights, and vectors of two"
            f" models do not compare; CONVERT table {clip(table)} in place with this model first,"
            " or name another column with OPTIONS (result_col='…'); nothing was changed"
        )


def _require_columns(existing: list[tuple[str, str]], staging: Staging, target: TableName) -> None:
    known = [name for name, _ in existing]
    missing = [
        column
        for column in staging.result_columns
        if not any(same_name(column, name) for name in known)
    ]
    if missing:
        raise OperationalError(
            f"CONVERT: table {clip(target.name)} has no column"
            f" {', '.join(clip(name) for name in missing)} (it has {', '.join(known)}), so the rows"
            " cannot be appended; nothing was changed"
        )
