"""CONVERT: embeds the images, texts or videos of a query's rows, and says where the vectors go.

The rows are first put into a temporary table, so that a query with a random order or a moving
source is asked once. Then their images are embedded, batch by batch. What is left is a SELECT
over what was made, so that CONVERT stands wherever a SELECT can.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConvertWarning, OperationalError, clip, warn_user
from ..language import grammar
from ..language.names import quote_name, same_name
from ..language.tree import Convert, TableName
from ..planning.arguments import Arguments
from ..planning.convert_report import ConvertReport
from ..planning.plans import MadeRows
from ..stores.sqlite.compile import Compiler
from ..stores.sqlite.failures import Failures
from ..stores.sqlite.registry import VectorColumn
from .contents import Contents, open_store
from .context import Context
from .embedding_plan import EmbeddingPlan, Tally
from .filling import add_watched_column, warn_of
from .resolve import Handler, Resolver
from .staging import Staging
from .tables import names_query, reads_pages, require_tables, table_key
from .unfinished import Unfinished, fill_staging


@dataclass(frozen=True, eq=False)
class ConvertPlan:
    """A CONVERT, checked.

    Attributes:
        node: The statement.
        embedding: What it embeds, with what.
        target: The table that receives the vectors, or None.
        if_exists: What becomes of another table of that name.
    """

    node: Convert
    embedding: EmbeddingPlan
    target: TableName | None
    if_exists: str


def resolve_convert(resolver: Resolver, statement: Convert) -> ConvertPlan:
    """Return what a CONVERT will do.

    Raises:
        ModelError: No such model.
        OperationalError: A table that the query names is missing.
        StatementError: An option has a value of another kind.
    """
    plan, target = _plan(resolver, statement)
    resolver.require_own_tables(statement)
    if resolver.plan.is_stored and plan.kind == "video":
        raise resolver.arguments.error(
            f"CONVERT of videos cannot be part of a {resolver.verb}, which would read them whenever"
            " it runs; store the vectors with table_name and select those",
            statement,
        )
    if not resolver.plan.is_stored:
        require_tables(resolver.context.database, statement.query)
    elif target is not None:
        raise resolver.arguments.error(
            f"CONVERT inside {resolver.verb} cannot store into table_name; leave the option out",
            statement,
        )
    return ConvertPlan(statement, plan, target, resolver.arguments.if_exists(statement))


def perform_convert(resolver: Resolver, statement: Convert, convert: ConvertPlan) -> MadeRows:
    """Embed the rows of a CONVERT and store them where it says.

    Raises:
        ModelError: The model cannot be loaded.
        OperationalError: A column is missing, or a table exists already.
        MediaError: An image cannot be read, with ``on_error='fail'``.
    """
    plan, target, database = convert.embedding, convert.target, resolver.context.database
    if target is None:
        sql, tally = _convert_rows(resolver, statement, plan)
    else:
        key = table_key(database, target)
        if key is not None and names_query(database, statement.query, key):
            from .inplace import convert_in_place  # a search has no use for it

            sql, tally = convert_in_place(resolver, statement, plan, target)
        else:
            sql, tally = _convert_into(resolver, convert, target)
    resolver.context.state.report = _report(plan, target, tally)
    warn_of(resolver.context, plan, tally)
    return MadeRows(sql)


def _report(plan: EmbeddingPlan, target: TableName | None, tally: Tally) -> ConvertReport:
    return ConvertReport(
        "CONVERT",
        target.name if target else "",
        unchanged=tally.unchanged,
        converted=tally.embedded,
        reused=tally.reused,
        failed=len(tally.failures),
        empty=tally.empty,
        column=plan.column,
        model=plan.model.name,
        device=tally.device,
        dtype=tally.dtype,
    )


def _function_form(compiler: Compiler, plan: ConvertPlan) -> str:
    """Return the SELECT for a view or trigger: it embeds whenever it runs, row by row."""
    embedding = plan.embedding
    return (
        f"SELECT q.*, {embedding.call('q')} AS {quote_name(embedding.column)}"
        f" FROM ({compiler.parts(plan.node.query.parts)}\n) AS q"
    )


def _plan(resolver: Resolver, statement: Convert) -> tuple[EmbeddingPlan, TableName | None]:
    arguments = resolver.arguments
    model = resolver.context.registry.model(statement.model)
    is_film = statement.option(grammar.VIDEO_COL.name) is not None
    kind = arguments.option(statement, grammar.CONVERT_TYPE, "video" if is_film else "image")
    source = {"image": grammar.IMAGE_COL, "text": grammar.TEXT_COL, "video": grammar.VIDEO_COL}
    if kind != "video":
        _refuse_film_options(arguments, statement)
    name = arguments.option(statement, grammar.TABLE_NAME)
    schema, dot, table = name.partition(".") if name else ("", "", "")
    plan = EmbeddingPlan(
        model=model,
        kind=kind,
        source=arguments.option(statement, source[kind]),
        column=arguments.option(statement, grammar.VECTOR_COL, model.column),
        batch_size=arguments.option(statement, grammar.BATCH_SIZE),
        stops_on_error=arguments.option(statement, grammar.ON_ERROR) == "fail",
        base_dir=arguments.option(statement, grammar.BASE_DIR),
        verifies=arguments.option(statement, grammar.VERIFY),
        interval_s=arguments.option(statement, grammar.POOL_S),
    )
    if not name:
        return plan, None
    # `photos` or `album.photos`; a table whose own name has a dot is found whole.
    whole = not dot or resolver.context.database.find_table(None, name) is not None
    return plan, TableName(name) if whole else TableName(table, schema)


def _refuse_film_options(arguments: Arguments, statement: Convert) -> None:
    for spec in (grammar.VIDEO_COL, grammar.POOL_S):
        if option := statement.option(spec.name):
            raise arguments.error(
                f"CONVERT: option {spec.name!r} is for videos; say convert_type='video', or take"
                " the frames as rows with COPY … OPTIONS (interval=…); nothing was changed",
                option,
            )


def _convert_rows(resolver: Resolver, statement: Convert, plan: EmbeddingPlan) -> tuple[str, Tally]:
    """Return the rows with their vectors; nothing is stored but what the SQL around it stores."""
    query = resolver.compile_query(statement.query)
    staging = Staging.of_query(resolver.context, query, plan.column)
    tally = _fill_staging(resolver.context, plan, staging)
    if resolver.verb == "SELECT" and resolver.is_whole:
        warn_user(
            "CONVERT without table_name: the vectors are returned and not stored; to keep them"
            " name a table, OPTIONS (table_name='…'), or write"
            " CREATE TABLE … AS SELECT * FROM (CONVERT …)",
            ConvertWarning,
        )
    elif resolver.verb != "SELECT":
        # A copied column's table is not known here; its name and model are. A transaction of its
        # own: sqlite3 would begin one for the INSERT and leave it open after CREATE TABLE … AS.
        with resolver.context.database.atomic():
            resolver.context.registry.add_vector_column(
                VectorColumn("main", "", plan.column, *plan.facts())
            )
    return staging.select(), tally


def _convert_into(resolver: Resolver, convert: ConvertPlan, target: TableName) -> tuple[str, Tally]:
    """Store the rows with their vectors in another table than the one the query reads."""
    context, plan, if_exists = resolver.context, convert.embedding, convert.if_exists
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
    query = resolver.compile_query(convert.node.query)
    if found and reads_pages(context.database, *query, (found[0].lower(), found[1])):
        from .inplace import unclear

        raise unclear(target)
    staging = Staging.of_query(context, query, plan.column)
    schema, name = (found[0], found[1]) if found else (target.schema or "main", target.name)
    table = quote_name(schema, name)
    columns = ", ".join(quote_name(column) for column in staging.result_columns)
    if found and if_exists == "append":
        _require_columns(context.database.table_columns(schema, name), staging, target)
        _require_same_model(context, plan, schema, name)
    unfinished = Unfinished(context, plan, schema, name)
    tally = _fill_staging(context, plan, staging, unfinished)
    failures = Failures(context.database, (schema, name, plan.column))
    with context.database.atomic():
        unfinished.forget()
        if found and if_exists == "replace":
            context.database.execute(f"DROP TABLE {table}")
        if not found or if_exists == "replace":
            context.database.execute(f"CREATE TABLE {table} ({staging.definitions()})")
        context.database.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging.table}"
        )
        add_watched_column(context, plan, schema, name)
        if if_exists != "append":
            failures.forget()
        if tally.failures:
            # The rows have no key that is known here: a NULL, and their source.
            each = ((one.row_id, one.source, one.reason) for one in tally.failures)
            failures.add("CASE WHEN ? THEN NULL END", each)
    unfinished.drop()
    return staging.select(), tally


def _fill_staging(
    context: Context, plan: EmbeddingPlan, staging: Staging, unfinished: Unfinished | None = None
) -> Tally:
    staging.require(plan.source, f"CONVERT USING {plan.model.name}", plan.kind)
    staging.add_vector_column(plan.model.dimension)
    with open_store(context) as store:
        return fill_staging(context, plan, staging, Contents(context, plan, store), unfinished)


def _require_same_model(context: Context, plan: EmbeddingPlan, schema: str, table: str) -> None:
    """Refuse to append vectors to a column that holds those of another model."""
    known = context.registry.find_vector_column(schema, table, plan.column)
    if known is None or known.fingerprint == plan.model.fingerprint:
        return
    column = quote_name(plan.column)
    if context.database.row(
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


HANDLER = Handler(resolve_convert, perform_convert, selects={ConvertPlan: _function_form})
