"""CONVERT into the very table its query reads: the column is added or filled, nothing else moves.

What each row's vector was made from is kept in ``thanosql_sources``, one small number a row, so
that the same statement run again embeds only what is missing or has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import cast

from ..errors import (
    MediaWarning,
    NotSupportedError,
    OperationalError,
    WorkspaceError,
    clip,
    warn_user,
)
from ..language.names import quote_name, same_name
from ..language.outline import outline
from ..language.select import common_names
from ..language.tree import Convert, TableName
from ..stores.sqlite.database import Database
from .context import Context
from .filling import EmbeddingPlan, add_watched_column, fill
from .resolve import Resolver
from .staging import KEY, Staging, with_keys
from .tables import table_key
from .target import Target, Writer, make_sources, shown
from .unfinished import Unfinished, fill_staging


def convert_in_place(
    resolver: Resolver, statement: Convert, plan: EmbeddingPlan, table: TableName
) -> str:
    """Fill the vector column of the rows that the query selects, and return their SELECT."""
    context = resolver.context
    target = _target(context, statement, plan, table)
    staging = _stage(resolver, statement, plan, target, table)
    if target.source and not _is_source(context.database, plan, target, staging):
        target = replace(target, source=None)
        staging = _stage(resolver, statement, plan, target, table)
    context.encoder(plan.model)  # what cannot be loaded is to fail before anything is changed
    with context.database.atomic() if plan.stops_on_error else nullcontext():
        if _has_other_vectors(context, plan, target):
            _replace_vectors(context, plan, target, staging)
        else:
            column_id = _prepare_column(context, plan, target)
            _fill(context, plan, target, staging, column_id)
    columns = ", ".join(
        f"t.{quote_name(name)}" if name == plan.column else f"r.{quote_name(name)}"
        for name in staging.result_columns
    )
    return (
        f"SELECT {columns} FROM {staging.table} AS r LEFT JOIN {target.table} AS t"
        f" ON {target.matches()}"
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


def _prepare_column(context: Context, plan: EmbeddingPlan, target: Target) -> int:
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
        return add_watched_column(context, plan, target.schema, target.name)


def _holds_other_data(database: Database, target: Target, column: str) -> bool:
    return (
        database.row(
            f"SELECT 1 FROM {target.table} WHERE {column} IS NOT NULL"
            f" AND (typeof({column}) <> 'blob' OR length({column}) % 4 <> 0) LIMIT 1"
        )
        is not None
    )


def _has_other_vectors(context: Context, plan: EmbeddingPlan, target: Target) -> bool:
    """Return whether the column is there and holds vectors of another model."""
    known = context.registry.find_vector_column(target.schema, target.name, plan.column)
    return (
        known is not None
        and known.fingerprint != plan.model.fingerprint
        and any(
            same_name(name, plan.column)
            for name, _ in context.database.table_columns(target.schema, target.name)
        )
    )


def _replace_vectors(
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging
) -> None:
    """Put one model's vectors in place of another's, in one transaction at the end.

    Vectors of two models do not compare, so that a column must never hold both, and the old ones
    are not to be lost to a model or a disk that fails half-way.
    """
    database = context.database
    _require_all_rows(context, plan, target, staging)
    staging.add_vector_column(plan.model.dimension)
    states: dict[int, int] = {}
    unfinished = Unfinished(context, plan, target.schema, target.name)
    count = staging.count()
    made = fill_staging(
        context, plan, staging, unfinished, lambda rows: _stated(context, plan, rows, states)
    )
    if not count:
        return
    if not made:
        raise OperationalError(
            f"CONVERT USING {plan.model.name}: none of the {count:,} {plan.kind}s could be"
            f" embedded, and column {clip(plan.column)} of table {clip(target.name)} holds vectors"
            " of another model, which stay; nothing was changed"
        )
    with database.atomic():
        _require_all_rows(context, plan, target, staging)  # others may have added some
        unfinished.forget()
        column_id = _prepare_column(context, plan, target)
        writer = Writer(context, plan, target, staging, column_id, states)
        rows = staging.sources(plan.column)
        while batch := [
            (cast("bytes | None", blob), row_id) for row_id, blob in islice(rows, 1000)
        ]:
            writer.write(batch)
        writer.finish()
    unfinished.drop()


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
    context: Context, plan: EmbeddingPlan, target: Target, staging: Staging, column_id: int
) -> None:
    """Embed the rows whose vector is missing or was made from another source."""
    # What is embedded already, in the state its source has now, is not embedded again.
    done = context.database.stream(
        f"SELECT r.{staging.row_id}, s.state, r.{quote_name(plan.source)} FROM {staging.table} AS r"
        f" CROSS JOIN {target.table} AS t ON {target.matches()}"
        f" CROSS JOIN main.thanosql_sources AS s"
        f" ON s.column_id = ? AND s.row_key = {target.row_key()}"
        f" WHERE length(t.{quote_name(plan.column)}) = ?",
        (column_id, 4 * plan.model.dimension),
    )
    current, kept = set[int](), dict[int, object]()
    for row_id, state, source in done:
        now = source_state(context, plan, source)
        if now == state:
            current.add(row_id)
        elif is_gone(now, state) and not plan.stops_on_error:
            # A disk that is not plugged in must not cost the vectors of all its pictures.
            kept[row_id] = source
    states: dict[int, int] = {}
    pending = (
        row for row in staging.sources(plan.source) if row[0] not in current and row[0] not in kept
    )
    writer = Writer(context, plan, target, staging, column_id, states)
    count = staging.count() - len(current) - len(kept)
    fill(context, plan, _stated(context, plan, pending, states), count, writer.write)
    writer.finish()
    Unfinished(context, plan, target.schema, target.name).drop()
    if kept:
        warn_user(
            f"CONVERT USING {plan.model.name}: {len(kept):,} images are not there any more; their"
            f" {clip(plan.column)} of before stays: {shown(list(kept.values()))}",
            MediaWarning,
        )


def _stated(
    context: Context,
    plan: EmbeddingPlan,
    rows: Iterable[tuple[int, object]],
    states: dict[int, int],
) -> Iterator[tuple[int, object]]:
    """Yield the rows, and note what each source is when it is read.

    One that changes later has another state next time.
    """
    for row_id, source in rows:
        states[row_id] = source_state(context, plan, source)
        yield row_id, source


def source_state(context: Context, plan: EmbeddingPlan, source: object) -> int:
    """Return a number that changes when the source does.

    Its upper half stands for the model and the text, path or bytes, its lower half for the bytes
    again or for the size and time of the path's file, 0 where there is none.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((plan.kind, plan.model.fingerprint)).encode())
    if isinstance(source, bytes):
        digest.update(source)
    else:
        digest.update(repr(source).encode("utf-8", "surrogatepass"))
    state = digest.digest()
    if plan.kind == "image" and isinstance(source, str):
        try:
            status = context.workspace.locate(source).stat()
            digest.update(repr((status.st_size, status.st_mtime_ns)).encode())
            state = state[:4] + digest.digest()[:4]
        except (OSError, ValueError, WorkspaceError):
            state = state[:4] + bytes(4)  # a URL, or a file that is gone: reading it says what
    return int.from_bytes(state, "big", signed=True)


def is_gone(now: int, before: int) -> bool:
    """Return whether a source's file was there before and is not now, all else being equal."""
    return now != before and now >> 32 == before >> 32 and not now & 0xFFFFFFFF


def unclear(table: TableName) -> NotSupportedError:
    """Return the error for a query whose rows cannot be matched with those of its table."""
    return NotSupportedError(
        f"CONVERT into {clip(table.name)}, the table the query reads: it cannot be told which of"
        f" its rows the query selects; write SELECT … FROM {table.name} [JOIN …] [WHERE …] without"
        " DISTINCT, GROUP BY, UNION or a subquery, or give another table_name; nothing was changed"
    )
