"""The vectors of a CONVERT that stores them only at its end, kept until then.

CONVERT into another table, and one that replaces another model's vectors, change the table in one
transaction at the end. Until then each batch is kept in ``thanosql_unfinished``, so that the same
statement again, after a kill or an error, goes on where it was. A vector is found by a digest of
the model and the source, so the query may also be another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from ..errors import MediaError, OperationalError, WorkspaceError
from ..language.names import quote_name
from ..stores.sqlite.database import Database
from .contents import Contents
from .context import Context
from .embedding_plan import EmbeddingPlan, Tally
from .filling import fill
from .grouping import Batch
from .staging import Staging

TABLE = "thanosql_unfinished"
_CREATE = f"""
CREATE TABLE IF NOT EXISTS main.{TABLE} (
    target TEXT NOT NULL,
    source BLOB NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (target, source)
)"""
_CHUNK = 256

Rows = Iterable[tuple[int, object]]
"""Row id in the staging table, and source."""


class Unfinished:
    """What is kept of the CONVERT into one column.

    Inside a transaction of the user's nothing is kept: it would go with the transaction.

    Args:
        context: The connection.
        plan: What the CONVERT embeds with.
        schema: The target's schema.
        table: The target.
    """

    def __init__(self, context: Context, plan: EmbeddingPlan, schema: str, table: str) -> None:
        self._context, self._database, self._plan = context, context.database, plan
        self._target = repr((schema.lower(), table.lower(), plan.column.lower()))
        self._keys: dict[int, bytes] = {}
        self._keeps = not self._database.connection.in_transaction and bool(self._database.file())

    def restore(self, rows: Rows, write: Callable[[Batch], None]) -> set[int]:
        """Have the vectors that are kept written, and return the ids of their rows."""
        if not self._is_there() or not self._database.row(
            f"SELECT 1 FROM main.{TABLE} WHERE target = ?", (self._target,)
        ):
            return set()
        restored: set[int] = set()
        batch: Batch = []
        for row_id, source in rows:
            if source is None:
                continue
            found = self._database.row(
                f"SELECT vector FROM main.{TABLE} WHERE target = ? AND source = ?",
                (self._target, self._key(source)),
            )
            if found and len(found[0]) == 4 * self._plan.model.dimension:
                batch.append((found[0], row_id))
                restored.add(row_id)
            if len(batch) == _CHUNK:
                write(batch)
                batch = []
        if batch:
            write(batch)
        return restored

    def noted(self, rows: Rows) -> Iterator[tuple[int, object]]:
        """Yield the rows, and note what each source is when it is read."""
        for row_id, source in rows:
            if self._keeps and source is not None:
                self._keys[row_id] = self._key(source)
            yield row_id, source

    def keep(self, batch: Batch) -> None:
        """Keep the vectors of rows that were noted; in the caller's transaction."""
        found = [
            (self._target, key, blob)
            for blob, row_id in batch
            if (key := self._keys.pop(row_id, None)) and blob is not None
        ]
        if found:
            self._database.execute(_CREATE)
            self._database.execute_many(
                f"INSERT OR REPLACE INTO main.{TABLE} VALUES (?, ?, ?)", found
            )

    def forget(self) -> None:
        """Forget all; in the transaction that stores the vectors, which uses the space again."""
        if self._is_there():
            self._database.execute(f"DELETE FROM main.{TABLE} WHERE target = ?", (self._target,))

    def drop(self) -> None:
        """Forget all, and drop the table if nothing else is kept."""
        if self._database.connection.in_transaction or not self._is_there():
            return
        with self._database.atomic():
            self.forget()
        drop_if_empty(self._database)

    def _is_there(self) -> bool:
        return bool(self._database.table_columns("main", TABLE))

    def _key(self, source: object) -> bytes:
        """Return a digest of the model and the source, and of the size and time of its file."""
        plan = self._plan
        digest = hashlib.blake2b(digest_size=20)
        digest.update(repr((plan.way, plan.model.fingerprint, type(source).__name__)).encode())
        if isinstance(source, bytes):
            digest.update(source)
        else:
            digest.update(repr(plan.place(source)).encode("utf-8", "surrogatepass"))
        if plan.names_files and isinstance(source, str):
            try:
                status = self._context.workspace.locate(plan.place(source)).stat()
                digest.update(repr((status.st_size, status.st_mtime_ns)).encode())
            except (OSError, ValueError, WorkspaceError):
                pass  # a URL, or a file that is gone: reading it says what
        return digest.digest()


def drop_if_empty(database: Database) -> None:
    """Drop the table if nothing is kept; a SELECT that is still read may prevent that."""
    if database.connection.in_transaction or not database.table_columns("main", TABLE):
        return
    try:
        with database.atomic():
            if not database.row(f"SELECT 1 FROM main.{TABLE} LIMIT 1"):
                database.execute(f"DROP TABLE main.{TABLE}")
    except OperationalError:
        pass  # the next statement does it


def fill_staging(
    context: Context,
    plan: EmbeddingPlan,
    staging: Staging,
    contents: Contents,
    unfinished: Unfinished | None = None,
    *,
    takes_note: bool = False,
) -> Tally:
    """Embed all rows of a staging table into its own vector column.

    Args:
        context: The connection.
        plan: What to embed with.
        staging: The rows.
        contents: What is known of the rows by their content.
        unfinished: Where vectors are kept that a killed process would lose, if anywhere.
        takes_note: Whether ``contents`` is to hold what was noted of all rows afterwards.

    Raises:
        MediaError: An image cannot be read and the plan stops on errors.
    """
    database, vector = context.database, quote_name(plan.column)
    stated: Callable[[Rows], Rows] = contents.stated if takes_note else iter

    def store(batch: Batch) -> None:
        database.execute_many(
            f"UPDATE {staging.table} SET {vector} = ? WHERE {staging.row_id} = ?", batch
        )

    def write(batch: Batch, unchanged: list[int]) -> None:
        assert not unchanged, "no row of a temporary table has a vector before"
        with database.atomic():
            store(batch)
            if unfinished and len(batch) < count:
                unfinished.keep(batch)
        if not takes_note:
            contents.forget(row_id for _, row_id in batch)

    def restore(batch: Batch) -> None:
        with database.atomic():
            store(batch)

    restored = set[int]()
    if unfinished and not plan.verifies:
        restored = unfinished.restore(stated(staging.sources(plan.source)), restore)
    pending = stated(row for row in staging.sources(plan.source) if row[0] not in restored)
    if unfinished:
        pending = unfinished.noted(pending)
    count = staging.count() - len(restored)
    try:
        tally = fill(context, plan, pending, count, write, contents)
    except (MediaError, WorkspaceError):
        # With on_error='fail' nothing is to be left. After any other error the rest can go on.
        if unfinished:
            unfinished.drop()
        raise
    tally.reused += len(restored)
    return tally
