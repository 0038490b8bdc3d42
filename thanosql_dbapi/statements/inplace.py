"""CONVERT into the very table its query reads: the column is added or filled, nothing else moves.

What each row's vector was made from is kept in ``thanosql_sources``, one small number a row, so
that the same statement run again embeds only what is missing or has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from ..errors import (
    MediaWarning,
    NotSupportedError,
    OperationalError,
    WorkspaceError,
    clip,
    warn_user,
)
from ..language.names import quote_name
from ..language.outline import common_names, outline
from ..language.tree import Convert, TableName
from ..stores.sqlite.database import Database
from ..stores.sqlite.topk.change_log import shorten
from .context import Context
from .filling import SHOWN_FAILURES, Plan, add_watched_column, fill
from .query import Lowering, lower
from .staging import KEY, Staging, with_keys
from .tables import table_key

_SOURCES = """
CREATE TABLE IF NOT EXISTS main.thanosql_sources (
    column_id INTEGER NOT NULL,
    row_key NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (column_id, row_key)
) WITHOUT ROWID"""


@dataclass(frozen=True)
class Target:
    """The table that is converted.

    Attributes:
        schema: Its schema.
        name: Its name as created.
        keys: The columns that tell its rows apart, quoted: its row id, or its primary key where
            it has none.
        reference: What the query calls it, quoted.
    """

    schema: str
    name: str
    keys: list[str]
    reference: str

    @property
    def table(self) -> str:
        """The qualified, quoted name."""
        return quote_name(self.schema, self.name)

    def matches(self, prefix: str = "") -> str:
        """Return the condition that a row is the one of a staging row's keys."""
        return " AND ".join(
            f"{prefix}{key} = {KEY}{number}" for number, key in enumerate(self.keys)
        )


def convert_in_place(lowering: Lowering, statement: Convert, plan: Plan, table: TableName) -> str:
    """Fill the vector column of the rows that the query selects, and return their SELECT."""
    context = lowering.context
    target = _target(context.database, statement, table)
    keyed = with_keys(statement.query, [f"{target.reference}.{key}" for key in target.keys])
    if keyed is None:
        raise unclear(table)
    staging = Staging.of_query(lowering, lower(lowering, keyed), plan.column, len(target.keys))
    staging.require(plan.source, f"CONVERT USING {plan.model.name}", plan.kind)
    with context.database.atomic() if plan.stops_on_error else nullcontext():
        column_id = _prepare_column(context, plan, target)
        _fill(context, plan, target, staging, column_id)
        with context.database.atomic():
            shorten(context.database, column_id, keep=staging.count() // 10)
    columns = ", ".join(
        f"t.{quote_name(name)}" if name == plan.column else f"r.{quote_name(name)}"
        for name in staging.result_columns
    )
    return (
        f"SELECT {columns} FROM {staging.table} AS r LEFT JOIN {target.table} AS t"
        f" ON {target.matches('t.')}"
    )


def _target(database: Database, statement: Convert, table: TableName) -> Target:
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
    return Target(schema, name, _keys(database, schema, name), references[0])


def _keys(database: Database, schema: str, name: str) -> list[str]:
    if row_id := database.row_id(schema, name):
        return [row_id]
    info = database.rows(f"PRAGMA {quote_name(schema)}.table_info({quote_name(name)})")
    primary_key = sorted((row[5], row[1]) for row in info if row[5])
    return [quote_name(column) for _, column in primary_key]


def _prepare_column(context: Context, plan: Plan, target: Target) -> int:
    """Make sure the vector column is there and is this model's, and return its registry id."""
    database, column = context.database, quote_name(plan.column)
    declared = {
        name.lower(): kind for name, kind in database.table_columns(target.schema, target.name)
    }
    known = context.registry.find_vector_column(target.schema, target.name, plan.column)
    with database.atomic():
        if plan.column.lower() not in declared:
            database.execute(
                f"ALTER TABLE {target.table} ADD COLUMN {column} VECTOR({plan.model.dimension})"
            )
        elif known is None and _holds_other_data(database, target, column):
            raise OperationalError(
                f"CONVERT: column {clip(plan.column)} of table {clip(target.name)} exists and"
                " holds data that is no vector; choose another name with"
                " OPTIONS (result_col='…'); nothing was changed"
            )
        elif known is not None and known.fingerprint != plan.model.fingerprint:
            # Vectors of two models do not compare: the rows not selected now are to be embedded
            # another time.
            database.execute(
                f"UPDATE {target.table} SET {column} = NULL WHERE {column} IS NOT NULL"
            )
        database.execute(_SOURCES)
        return add_watched_column(context, plan, target.schema, target.name)


def _holds_other_data(database: Database, target: Target, column: str) -> bool:
    return (
        database.row(
            f"SELECT 1 FROM {target.table} WHERE {column} IS NOT NULL"
            f" AND (typeof({column}) <> 'blob' OR length({column}) % 4 <> 0) LIMIT 1"
        )
        is not None
    )


def _fill(context: Context, plan: Plan, target: Target, staging: Staging, column_id: int) -> None:
    database, column = context.database, quote_name(plan.column)
    one_key = len(target.keys) == 1
    key_columns = [f"{KEY}{number}" for number in range(len(target.keys))]
    # `+` takes the column's affinity off, with which the key of thanosql_sources would not be used
    # and each row would read that whole table.
    row_key = f"+{key_columns[0]}" if one_key else f"json_array({', '.join(key_columns)})"
    # What is embedded already, in the state its source has now, is not embedded again.
    done = database.stream(
        f"SELECT r.{staging.row_id}, s.state, r.{quote_name(plan.source)} FROM {staging.table} AS r"
        f" CROSS JOIN {target.table} AS t ON {target.matches('t.')}"
        f" CROSS JOIN main.thanosql_sources AS s ON s.column_id = ? AND s.row_key = {row_key}"
        f" WHERE length(t.{column}) = ?",
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

    # What a source is when it is read: one that changes later has another state next time.
    states: dict[int, int] = {}

    def pending() -> Iterator[tuple[int, object]]:
        for row_id, source in staging.sources(plan.source):
            if row_id not in current and row_id not in kept:
                states[row_id] = source_state(context, plan, source)
                yield row_id, source

    keys = ", ".join(target.keys)
    vector_sql = (
        f"UPDATE {target.table} SET {column} = ? WHERE ({keys}) = (SELECT"
        f" {', '.join(key_columns)} FROM {staging.table} WHERE {staging.row_id} = ?)"
    )
    state_sql = (
        "INSERT OR REPLACE INTO main.thanosql_sources (column_id, row_key, state)"
        f" SELECT ?, {row_key}, ? FROM {staging.table} WHERE {staging.row_id} = ?"
    )

    def write(batch: list[tuple[bytes | None, int]]) -> None:
        known = [(column_id, states.pop(row_id), row_id) for _, row_id in batch]
        made = [state for state, (blob, _) in zip(known, batch, strict=True) if blob is not None]
        with database.atomic():
            database.execute_many(vector_sql, batch)
            database.execute_many(state_sql, made)

    fill(context, plan, pending(), staging.count() - len(current) - len(kept), write)
    if kept:
        first = ", ".join(clip(source) for source in list(kept.values())[:SHOWN_FAILURES])
        more = " …" if len(kept) > SHOWN_FAILURES else ""
        warn_user(
            f"CONVERT USING {plan.model.name}: {len(kept):,} images are not there any more; their"
            f" {clip(plan.column)} of before stays: {first}{more}",
            MediaWarning,
        )


def source_state(context: Context, plan: Plan, source: object) -> int:
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
