"""The table that a CONVERT in place fills: which of its rows are meant, and how they are written.

Invariant: a vector is written only to the row that its source was read from. What each row's vector
was made from is kept in ``thanosql_sources``, a row each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import ConvertWarning, clip, warn_user
from ..language.names import quote_name
from ..stores.sqlite.sources import WRITE
from ..stores.sqlite.topk.change_log import shorten
from .contents import Contents, vector_check
from .context import Context
from .embedding_plan import EmbeddingPlan
from .filling import SHOWN_FAILURES
from .grouping import Batch
from .staging import KEY, Staging

MOST_ARGUMENTS = 100
"""Of an SQL function: 127 before SQLite 3.48. https://www.sqlite.org/limits.html"""


@dataclass(frozen=True)
class Target:
    """The table that is converted.

    Attributes:
        schema: Its schema.
        name: Its name as created.
        keys: The columns that tell its rows apart, quoted: its row id, or its primary key where
            it has none.
        reference: What the query calls it, quoted.
        source: The column with the images or texts, quoted; where the query computes them or
            takes them from another table, None.
        content: The columns that hold no vectors, quoted.
    """

    schema: str
    name: str
    keys: list[str]
    reference: str
    source: str | None
    content: list[str]

    @property
    def table(self) -> str:
        """The qualified, quoted name."""
        return quote_name(self.schema, self.name)

    @property
    def expressions(self) -> list[str]:
        """The hidden columns that the query gets: the keys, and what :attr:`guard` compares."""
        keys = [f"{self.reference}.{key}" for key in self.keys]
        return keys if self.source else [*keys, self._content(self.reference)]

    @property
    def guard(self) -> str:
        """The name of the column of a staging row that :meth:`matches` compares besides keys."""
        return self.source or f"{KEY}{len(self.keys)}"

    def matches(self) -> str:
        """Return the condition that row ``t`` of the table is the one of staging row ``r``.

        A key alone does not tell: between two transactions another program may delete the row and
        use its row id again, or VACUUM may number all rows anew. So the source has to be the one
        that was read; where it is no column of the table, the row's whole content has to be.
        """
        now = f"t.{self.source}" if self.source else self.content_now()
        return f"{self.has_keys()} AND {now} IS r.{self.guard} COLLATE BINARY"

    def has_keys(self) -> str:
        """Return the condition that row ``t`` of the table has the keys of staging row ``r``."""
        return " AND ".join(f"t.{key} = r.{KEY}{number}" for number, key in enumerate(self.keys))

    def content_now(self) -> str:
        """Return the whole content of row ``t`` of the table, as the guard has it."""
        return self._content("t")

    def _content(self, reference: str) -> str:
        return exact(f"{reference}.{column}" for column in self.content)

    def row_key(self) -> str:
        """Return the key of staging row ``r`` in ``thanosql_sources``, as one value.

        Several keys are a JSON array if they are integers and texts, and one of :func:`exact`
        otherwise: JSON has no BLOBs and fewer digits.
        """
        keys = [f"r.{KEY}{number}" for number in range(len(self.keys))]
        if len(keys) == 1:
            # `+` takes the column's affinity off, with which the key of thanosql_sources would not
            # be used and each row would read that whole table.
            return f"+{keys[0]}"
        is_plain = " AND ".join(f"typeof({key}) IN ('integer', 'text')" for key in keys)
        return f"CASE WHEN {is_plain} THEN json_array({', '.join(keys)}) ELSE {exact(keys)} END"


def exact(values: Iterable[str]) -> str:
    """Return SQL for a text that tells any two rows of values apart, of whatever storage class."""
    each = [
        f"CASE typeof({value}) WHEN 'blob' THEN 'b' || hex({value})"
        f" WHEN 'text' THEN 't' || {value} ELSE quote({value}) END"
        for value in values
    ]
    arrays = [
        f"json_array({', '.join(each[first : first + MOST_ARGUMENTS])})"
        for first in range(0, len(each), MOST_ARGUMENTS)
    ]
    return " || ".join(["'x'", *arrays])


class Writer:
    """Writes vectors of staging rows to the rows of the table that they were made from.

    Args:
        context: The connection.
        plan: What they were embedded with.
        target: The table.
        staging: The rows.
        column_id: The column's number in the registry.
        contents: What the rows hold; what is written is taken out.
    """

    def __init__(
        self,
        context: Context,
        plan: EmbeddingPlan,
        target: Target,
        staging: Staging,
        column_id: int,
        contents: Contents,
    ) -> None:
        self._database, self._plan, self._target = context.database, plan, target
        self._staging, self._column_id, self._contents = staging, column_id, contents
        self._left: list[int] = []
        table, row_id = staging.table, staging.row_id
        keys = ", ".join(target.keys)
        values = ", ".join(f"r.{KEY}{number}" for number in range(len(target.keys)))
        self._vector_sql = (
            f"UPDATE {target.table} SET {quote_name(plan.column)} = ? WHERE ({keys}) ="
            f" (SELECT {values} FROM {table} AS r WHERE r.{row_id} = ?)"
        )
        self._state_sql = WRITE.format(
            select=f"SELECT ?, {target.row_key()}, ?, ?, ? FROM {table} AS r WHERE r.{row_id} = ?"
        )
        self._there_sql = (
            f"SELECT r.{row_id} FROM {table} AS r CROSS JOIN {target.table} AS t"
            f" ON {target.matches()} WHERE r.{row_id} BETWEEN ? AND ?"
        )
        # A trigger of the user's may have changed other columns of the row, such as its date.
        self._again_sql = target.source is None and (
            f"UPDATE {table} AS r SET {target.guard} = (SELECT {target.content_now()}"
            f" FROM {target.table} AS t WHERE {target.has_keys()}) WHERE r.{row_id} = ?"
        )

    def write(self, batch: Batch, unchanged: Sequence[int] = ()) -> None:
        """Write a batch in one transaction; rows that have changed meanwhile are left.

        Args:
            batch: The vectors.
            unchanged: Rows whose vector stays, of whose source the state has changed.
        """
        row_ids = [*(row_id for _, row_id in batch), *unchanged]
        if not row_ids:
            return
        states, contents = self._contents.states, self._contents.keys
        with self._database.atomic():
            span = min(row_ids), max(row_ids)
            there = {row_id for (row_id,) in self._database.rows(self._there_sql, span)}
            known = [(blob, row_id) for blob, row_id in batch if row_id in there]
            made: list[tuple[int, int, bytes | None, int | None, int]] = [
                (self._column_id, states[row_id], contents.get(row_id), vector_check(blob), row_id)
                for blob, row_id in known
                if blob is not None
            ]
            made += [
                (self._column_id, states[row_id], contents.get(row_id), None, row_id)
                for row_id in unchanged
                if row_id in there
            ]
            self._database.execute_many(self._vector_sql, known)
            self._database.execute_many(self._state_sql, made)
            if self._again_sql:
                self._database.execute_many(self._again_sql, [(row_id,) for _, row_id in known])
        self._contents.forget(row_ids)
        self._left += [row_id for row_id in row_ids if row_id not in there]

    def finish(self) -> None:
        """Shorten the log of changes, and warn of the rows that were left."""
        with self._database.atomic():
            shorten(self._database, self._column_id, keep=self._staging.count() // 10)
        if not self._left:
            return
        first = ", ".join(map(str, self._left[: SHOWN_FAILURES + 1]))
        sources = self._database.rows(
            f"SELECT {quote_name(self._plan.source)} FROM {self._staging.table}"
            f" WHERE {self._staging.row_id} IN ({first})"
        )
        warn_user(
            f"CONVERT USING {self._plan.model.name}: {len(self._left):,} rows of table"
            f" {clip(self._target.name)} were changed, moved or deleted while it ran, and got no"
            f" vector: {shown([source for (source,) in sources])}; run the statement again to"
            " embed them",
            ConvertWarning,
        )


def shown(sources: list[object]) -> str:
    """Return the first sources for a message."""
    first = ", ".join(clip(source) for source in sources[:SHOWN_FAILURES])
    return f"{first} …" if len(sources) > SHOWN_FAILURES else first
