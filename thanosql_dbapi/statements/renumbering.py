"""After a VACUUM: which row of a table has which entry of ``thanosql_sources``.

VACUUM numbers the rows of a table anew that has neither an index nor a column for its row id. A
row's vector tells which content it was made from, by its hash; a vector that the user has put there
has none, and is taken to belong to the row's source.
"""

from __future__ import annotations

from ..language.names import quote_name
from ..stores.sqlite.database import Database
from ..stores.sqlite.sources import is_numbered, note_numbering
from .contents import Contents, vector_check
from .context import Context
from .embedding_plan import EmbeddingPlan
from .staging import Staging
from .target import Target

_BEFORE, _AFTER = "temp.thanosql_numbered_before", "temp.thanosql_numbered_after"
# Sources may be BLOBs of some megabytes.
_READ_AT_ONCE = 16


def follow_vacuum(
    context: Context,
    plan: EmbeddingPlan,
    target: Target,
    staging: Staging,
    column_id: int,
    contents: Contents,
) -> None:
    """Give the entries of a column their rows' new keys, if a VACUUM has numbered rows anew.

    Args:
        context: The connection.
        plan: What is embedded.
        target: The table.
        staging: The rows of the query; where that computes the sources, they are there alone.
        column_id: The column's number in the registry.
        contents: What the rows hold. The caller commits.
    """
    database = context.database
    if target.schema != "main" or len(target.keys) != 1:
        return
    is_known = is_numbered(database, column_id)
    if is_known is False and not _holds_row_id(database, target):
        _renumber(database, plan, target, staging, column_id, contents)
    if not is_known:
        note_numbering(database, column_id)


def _holds_row_id(database: Database, target: Target) -> bool:
    """Return whether a column holds the row id, which then stays: an INTEGER PRIMARY KEY."""
    info = database.rows(f"PRAGMA main.table_info({quote_name(target.name)})")
    return [row[2].upper() for row in info if row[5]] == ["INTEGER"]


def _renumber(
    database: Database,
    plan: EmbeddingPlan,
    target: Target,
    staging: Staging,
    column_id: int,
    contents: Contents,
) -> None:
    for table in (_BEFORE, _AFTER):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    database.execute(
        f"CREATE TABLE {_BEFORE} AS SELECT row_key, state, state >> 32 AS"
        " name, content, vector_check FROM main.thanosql_sources WHERE column_id = ?",
        (column_id,),
    )
    for column in ("vector_check", "name"):
        database.execute(
            f"CREATE INDEX temp.thanosql_by_{column} ON thanosql_numbered_before ({column})"
        )
    database.execute(f"CREATE TABLE {_AFTER} (row_key, state, content, vector_check)")
    key, vector = f"t.{target.keys[0]}", f"t.{quote_name(plan.column)}"
    source, rest = f"t.{target.source}", ""
    if target.source is None:
        source = f"r.{quote_name(plan.source)}"
        rest = f" LEFT JOIN {staging.table} AS r ON {target.has_keys()}"
    rows = database.stream(
        f"SELECT {key}, {source}, {vector} FROM {target.table} AS t{rest}"
        f" WHERE typeof({vector}) = 'blob' AND length({vector}) = ?",
        (4 * plan.model.dimension,),
        _READ_AT_ONCE,
    )
    for row_key, source, blob in rows:
        name = contents.name(source)
        # Of several entries of one vector all have its content; one of the same name has its state.
        database.execute(
            f"INSERT INTO {_AFTER} SELECT ?1, state, content, vector_check FROM {_BEFORE}"
            " WHERE vector_check = ?2 ORDER BY name IS ?3 DESC, row_key IS ?1 DESC LIMIT 1",
            (row_key, vector_check(blob), name),
        ) or database.execute(
            f"INSERT INTO {_AFTER} SELECT ?1, state, content, vector_check FROM {_BEFORE}"
            " WHERE name = ?2 ORDER BY row_key IS ?1 DESC LIMIT 1",
            (row_key, name),
        )
    database.execute("DELETE FROM main.thanosql_sources WHERE column_id = ?", (column_id,))
    database.execute(
        "INSERT INTO main.thanosql_sources (column_id, row_key, state, content, vector_check)"
        f" SELECT ?, * FROM {_AFTER}",
        (column_id,),
    )
    for table in (_BEFORE, _AFTER):
        database.execute(f"DROP TABLE {table}")
