"""CONVERT into the very table its query reads: the column is added or filled, nothing else moves.

What each row's vector was made from is kept in ``thanosql_sources``, so that the same statement run
again embeds only what is missing or has another content.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import cast

from ..errors import NotSupportedError, OperationalError, clip
from ..language.names import quote_name, same_name
from ..language.outline import outline
from ..language.select import common_names
from ..language.tree import Convert, TableName
from ..stores.sqlite.database import Database
from ..stores.sqlite.failures import Failures
from ..stores.sqlite.sources import make_sources
from .contents import Contents, is_gone, is_same_name, open_store
from .context import Context
from .embedding_plan import EmbeddingPlan, Failed, Tally
from .filling import add_watched_column, fill, warn_of
from .renumbering import follow_vacuum
from .resolve import Resolver
from .staging import KEY, Staging, with_keys
from .tables import table_key
from .target import Target, Writer
from .unfinished import Unfinished, fill_staging


def convert_in_place(
    resolver: Resolver, statement: Convert, plan: EmbeddingPlan, table: TableName
) -> tuple[str, Tally]:
    """Fill the vector column of the rows that the query selects.

    Returns:
        The SELECT of the rows, and what became of them.
    """
    context = resolver.context
    target = _target(context, statement, plan, table)
    staging = _stage(resolver, statement, plan, target, table)
    if target.source and not _is_source(context.database, plan, target, staging):
        target = replace(target, source=None)
        staging = _stage(resolver, statement, plan, target, table)
    holds = _fingerprint(context, plan, target)
    is_new = holds != plan.model.fingerprint
    with (
        # What cannot be loaded is to fail before anything is changed.
        context.executor.opened(context.task(plan), total=staging.count())
        if is_new
        else nullcontext(),
        context.database.atomic() if plan.stops_on_error else nullcontext(),
        open_store(context) as store,
    ):
        contents = Contents(context, plan, store)
        if holds not in (None, plan.model.fingerprint):
            tally = _replace_vectors(context, plan, target, staging, contents)
        else:
            column_id = _prepare_column(context, plan, target, staging, contents)
            tally = _fill(context, plan, target, staging, column_id, contents)
        _note_failures(context, plan, target, staging, tally)
    columns = ", ".join(
        f"t.{quote_name(name)}" if name == plan.column else f"r.{quote_name(name)}"
        for name in staging.result_columns
    )
    sql = (
        f"SELECT {columns} FROM {staging.table} AS r LEFT JOIN {target.table} AS t"
        f" ON {target.matches()}"
    )
    return sql, tally


def _note_failures(
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging, tally: Tally
) -> None:
    """Write down which rows could not be read, and forget what was said of the others."""
    failures = Failures(context.database, (target.schema, target.name, plan.column))
    if not tally.failures and not failures.are_noted:
        return
    key = target.row_key()
    rows = f"row_key IN (SELECT {key} FROM {staging.table} AS r)"
    if len(target.keys) == 1:
        there = f"SELECT 1 FROM {target.table} AS t WHERE t.{target.keys[0]} = row_key"
        rows += f" OR NOT EXISTS ({there})"
    with context.database.atomic():
        failures.forget(rows)
        if tally.failures:
            failures.add(
                f"(SELECT {key} FROM {staging.table} AS r WHERE r.{staging.row_id} = ?)",
                ((each.row_id, each.source, each.reason) for each in tally.failures),
            )


def _stage(
    resolver: Resolver, statement: Convert, plan: EmbeddingPlan, target: Target, table: TableName
) -> Staging:
    keyed = with_keys(statement.query, target.expressions)
    if keyed is None:
        raise unclear(table)
    keys = len(target.expressions)
    query = resolver.compile(keyed)
    staging = Staging.of_query(resolver.context, query, plan.column, keys)
    staging.require(plan.source, f"CONVERT USING {plan.model.name}", plan.kind)
    return staging


def _is_source(database: Database, plan: EmbeddingPlan, target: Target, staging: Staging) -> bool:
    """Return whether the sources are the table's column of that name, and no other expression."""
    return (
        database.row(
            f"SELECT 1 FROM {staging.table} AS r LEFT JOIN {target.table} AS t"
            f" ON {target.has_keys()}"
            f" WHERE t.{target.source} IS NOT r.{quote_name(plan.source)} COLLATE BINARY LIMIT 1"
        )
        is None
    )


def _target(context: Context, statement: Convert, plan: EmbeddingPlan, table: TableName) -> Target:
    database = context.database
    found = database.find_table(table.schema, table.name)
    if found is None or found[2] != "table":
        what = "is a view" if found else "does not exist"
        raise OperationalError(
            f"CONVERT: table_name {clip(table.name)} {what}; name a table; nothing was changed"
        )
    schema, name, _ = found
    shape = outline(statement.query)
    common, key = common_names(statement.query), table_key(database, table)
    references = [
        each.reference
        for each in (shape.tables if shape else ())
        if (each.table.schema is not None or each.table.name.lower() not in common)
        and table_key(database, each.table) == key
    ]
    if len(references) != 1:
        raise unclear(table)
    columns = [column for column, _ in database.table_columns(schema, name)]
    source = next((quote_name(each) for each in columns if same_name(each, plan.source)), None)
    vectors = {plan.column.lower()} | {
        each.column_name.lower()
        for each in context.registry.vector_columns()
        if (each.schema_name.lower(), each.table_name.lower()) == key
    }
    content = [quote_name(each) for each in columns if each.lower() not in vectors]
    keys = _keys(database, schema, name)
    return Target(schema, name, keys, references[0], source, content)


def _keys(database: Database, schema: str, name: str) -> list[str]:
    if row_id := database.row_id(schema, name):
        return [row_id]
    info = database.rows(f"PRAGMA {quote_name(schema)}.table_info({quote_name(name)})")
    primary_key = sorted((row[5], row[1]) for row in info if row[5])
    return [quote_name(column) for _, column in primary_key]


def _prepare_column(
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging, contents: Contents
) -> int:
    """Make sure the vector column is there and is this model's, and return its registry id."""
    database, column = context.database, quote_name(plan.column)
    declared = {
        name.lower(): kind for name, kind in database.table_columns(target.schema, target.name)
    }
    known = context.registry.find_vector_column(target.schema, target.name, plan.column)
    with database.atomic():
        if plan.column.lower() not in declared:
            # A STRICT table takes the names of storage classes only.
            is_strict = database.is_strict(target.schema, target.name)
            declared_type = "BLOB" if is_strict else f"VECTOR({plan.model.dimension})"
            database.execute(f"ALTER TABLE {target.table} ADD COLUMN {column} {declared_type}")
        elif known is None and _holds_other_data(database, target, column):
            raise OperationalError(
                f"CONVERT: column {clip(plan.column)} of table {clip(target.name)} exists and"
                " holds data that is no vector; choose another name with"
                " OPTIONS (result_col='…'); nothing was changed"
            )
        elif known is not None and known.fingerprint != plan.model.fingerprint:
            database.execute(
                f"UPDATE {target.table} SET {column} = NULL WHERE {column} IS NOT NULL"
            )
        make_sources(database)
        column_id = add_watched_column(context, plan, target.schema, target.name)
        follow_vacuum(context, plan, target, staging, column_id, contents)
        return column_id


def _holds_other_data(database: Database, target: Target, column: str) -> bool:
    return (
        database.row(
            f"SELECT 1 FROM {target.table} WHERE {column} IS NOT NULL"
            f" AND (typeof({column}) <> 'blob' OR length({column}) % 4 <> 0) LIMIT 1"
        )
        is not None
    )


def _fingerprint(context: Context, plan: EmbeddingPlan, target: Target) -> str | None:
    """Return the fingerprint of the model whose vectors the column holds, None without a column."""
    known = context.registry.find_vector_column(target.schema, target.name, plan.column)
    columns = context.database.table_columns(target.schema, target.name)
    is_there = any(same_name(name, plan.column) for name, _ in columns)
    return known.fingerprint if known is not None and is_there else None


def _replace_vectors(
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging, contents: Contents
) -> Tally:
    """Put one model's vectors in place of another's, in one transaction at the end.

    Vectors of two models do not compare, so that a column must never hold both, and the old ones
    are not to be lost to a model or a disk that fails half-way.
    """
    database = context.database
    _require_all_rows(context, plan, target, staging)
    staging.add_vector_column(plan.model.dimension)
    unfinished = Unfinished(context, plan, target.schema, target.name)
    count = staging.count()
    tally = fill_staging(context, plan, staging, contents, unfinished, takes_note=True)
    if not count:
        return tally
    if not tally.embedded + tally.reused:
        warn_of(context, plan, tally)
        raise OperationalError(
            f"CONVERT USING {plan.model.name}: none of the {count:,} {plan.kind}s could be"
            f" embedded, and column {clip(plan.column)} of table {clip(target.name)} holds vectors"
            " of another model, which stay; nothing was changed"
        )
    with database.atomic():
        _require_all_rows(context, plan, target, staging)  # others may have added some
        unfinished.forget()
        column_id = _prepare_column(context, plan, target, staging, contents)
        writer = Writer(context, plan, target, staging, column_id, contents)
        rows = staging.sources(plan.column)
        while batch := [
            (cast("bytes | None", blob), row_id) for row_id, blob in islice(rows, 1000)
        ]:
            writer.write(batch)
        writer.finish()
    unfinished.drop()
    return tally


def _require_all_rows(
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging
) -> None:
    """Refuse to replace another model's vectors where the query leaves out rows that have some."""
    vector = quote_name(plan.column)
    keys = ", ".join(f"t.{key}" for key in target.keys)
    chosen = ", ".join(f"{KEY}{number}" for number in range(len(target.keys)))
    (count,) = context.database.row(
        f"SELECT count(*) FROM {target.table} AS t WHERE t.{vector} IS NOT NULL"
        f" AND ({keys}) NOT IN (SELECT {chosen} FROM {staging.table})"
    ) or (0,)
    if count:
        raise OperationalError(
            f"CONVERT USING {plan.model.name}: {count:,} rows of table {clip(target.name)} that the"
            f" query does not select have vectors of another model in column {clip(plan.column)},"
            " and vectors of two models do not compare; select all rows, choose another column with"
            f" OPTIONS (result_col='…'), or give the old vectors up with UPDATE {target.table} SET"
            f" {vector} = NULL; nothing was changed"
        )


def _fill(
    context: Context,
    plan: EmbeddingPlan,
    target: Target,
    staging: Staging,
    column_id: int,
    contents: Contents,
) -> Tally:
    """Embed the rows whose vector is missing or was made from another content."""
    # What is embedded already, in the state its source has now, is not read again.
    done = context.database.stream(
        f"SELECT r.{staging.row_id}, s.state, s.content, r.{quote_name(plan.source)}"
        f" FROM {staging.table} AS r CROSS JOIN {target.table} AS t ON {target.matches()}"
        f" CROSS JOIN main.thanosql_sources AS s"
        f" ON s.column_id = ? AND s.row_key = {target.row_key()}"
        f" WHERE length(t.{quote_name(plan.column)}) = ?",
        (column_id, 4 * plan.model.dimension),
    )
    current, gone = set[int](), list[Failed]()
    for row_id, state, content, source in done:
        now = contents.state(source)
        if now == state and not plan.verifies:
            current.add(row_id)
        elif is_gone(now, state) and not plan.stops_on_error:
            # A disk that is not plugged in must not cost the vectors of all its pictures.
            gone.append(Failed(row_id, clip(source), "its file is not there", True, True))
        else:
            if content is not None:
                contents.had[row_id] = content
            if is_same_name(now, state):
                contents.away.add(row_id)
    left = current | {each.row_id for each in gone}
    pending = (row for row in staging.sources(plan.source) if row[0] not in left)
    writer = Writer(context, plan, target, staging, column_id, contents)
    count = staging.count() - len(left)
    tally = fill(context, plan, contents.stated(pending), count, writer.write, contents)
    writer.finish()
    Unfinished(context, plan, target.schema, target.name).drop()
    tally.unchanged += len(current)
    tally.failures += gone
    return tally


def unclear(table: TableName) -> NotSupportedError:
    """Return the error for a query whose rows cannot be matched with those of its table."""
    return NotSupportedError(
        f"CONVERT into {clip(table.name)}, the table the query reads: it cannot be told which of"
        f" its rows the query selects; write SELECT … FROM {table.name} [JOIN …] [WHERE …] without"
        " DISTINCT, GROUP BY, UNION or a subquery, or give another table_name; nothing was changed"
    )
