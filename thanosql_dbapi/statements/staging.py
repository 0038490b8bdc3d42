"""The rows of a statement, held in a temporary table while they are embedded."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import OperationalError, clip
from ..language.names import quote_name, same_name
from ..language.outline import outline
from ..language.tree import Part, Query
from ..stores.sqlite.compile import Compiled
from ..stores.sqlite.database import Database, row_id_name
from .context import Context

KEY = "thanosql_key"
# Rows read at once, by the size of their sources.
READ_LEAST, READ_MOST = 8, 1000
READ_BYTES = 8 << 20


class Staging:
    """A temporary table of a query's rows, in order, with room for their vectors.

    Attributes:
        table: Its qualified, quoted name.
        columns: The query's columns in order, but for keys and an older vector column.
        result_columns: The columns with the vector's: in its old place if the query had it, else
            at the end.
        row_id: The name of its row id, which a column may have taken.
    """

    def __init__(
        self, database: Database, table: str, columns: list[str], result_columns: list[str]
    ) -> None:
        self.database = database
        self.table = table
        self.columns = columns
        self.result_columns = result_columns
        self.row_id = row_id_name(result_columns) or "rowid"
        self.vector_column = next(name for name in result_columns if name not in columns)

    @classmethod
    def of_query(
        cls, context: Context, query: Compiled, vector_column: str, keys: int = 0
    ) -> Staging:
        """Run a query once and keep its rows.

        Args:
            context: The connection.
            query: The query, whose first ``keys`` columns are keys of :data:`KEY`'s names.
            vector_column: The column that is to come; one of that name in the query is left out.
            keys: Number of key columns.
        """
        names = context.database.columns(*query)
        visible = names[keys:]
        columns = [name for name in visible if not same_name(name, vector_column)]
        result = [vector_column if same_name(name, vector_column) else name for name in visible]
        if len(columns) == len(visible):
            result.append(vector_column)
        table = new_table(context)
        selected = ", ".join(quote_name(name) for name in names[:keys] + columns)
        context.database.execute(
            f"CREATE TEMP TABLE {quote_name(table)} AS SELECT {selected} FROM ({query.sql}\n)",
            query.parameters,
        )
        return cls(context.database, quote_name("temp", table), columns, result)

    def require(self, column: str, what: str, kind: str) -> None:
        """Check that the query has the column with the images or texts.

        Raises:
            OperationalError: It has not.
        """
        if not any(same_name(column, name) for name in self.columns):
            raise OperationalError(
                f"{what}: the query has no column {clip(column)} (it has"
                f" {', '.join(self.columns)}); name the column with the {kind}s with"
                f" OPTIONS ({kind}_col='…'); nothing was changed"
            )

    def add_vector_column(self, dimension: int) -> None:
        """Add the column for the vectors, all NULL."""
        self.database.execute(
            f"ALTER TABLE {self.table} ADD COLUMN {quote_name(self.vector_column)}"
            f" VECTOR({dimension})"
        )

    def count(self) -> int:
        """Return the number of rows."""
        row = self.database.row(f"SELECT count(*) FROM {self.table}")
        return row[0] if row else 0

    def sources(self, column: str, condition: str = "") -> Iterator[tuple[int, object]]:
        """Yield (row id here, source) in order, reading a little at a time.

        Args:
            column: The column with the sources.
            condition: SQL that is true for the rows wanted; empty for all.

        Each read is a statement of its own: the transactions that are committed meanwhile
        would otherwise have an open reader under them. Images that are BLOBs are read a few at
        once, paths a thousand.
        """
        last, count, source = 0, READ_LEAST, quote_name(column)
        also = f" AND {condition}" if condition else ""
        while rows := self.database.rows(
            f"SELECT {self.row_id}, {source} FROM {self.table}"
            f" WHERE {self.row_id} > ?{also} ORDER BY {self.row_id} LIMIT ?",
            (last, count),
        ):
            last = rows[-1][0]
            size = max(len(value) if isinstance(value, (bytes, str)) else 0 for _, value in rows)
            yield from rows
            count = min(READ_MOST, max(READ_LEAST, READ_BYTES // max(1, size)))

    def select(self) -> str:
        """Return the SELECT of the rows with their vectors, in order."""
        columns = ", ".join(quote_name(column) for column in self.result_columns)
        return f"SELECT {columns} FROM {self.table}"

    def definitions(self) -> str:
        """Return the column definitions for a lasting table of these rows."""
        types = {
            row[1]: row[2]
            for row in self.database.rows(f"PRAGMA temp.table_info({self.table.split('.', 1)[1]})")
        }
        return ", ".join(
            f"{quote_name(column)} {types[column]}".rstrip() for column in self.result_columns
        )


def with_keys(query: Query, expressions: list[str]) -> tuple[Part, ...] | None:
    """Return a query's parts with key columns before its own; None where that cannot be."""
    shape = outline(query)
    if shape is None or shape.is_compound or shape.is_distinct or shape.is_grouped:
        return None
    number, at = shape.select_list
    head = query.parts[number]
    assert isinstance(head, str)
    keys = ", ".join(f"{each} AS {KEY}{number}" for number, each in enumerate(expressions))
    added = f"{head[:at]} {keys}, {head[at:]}"
    return (*query.parts[:number], added, *query.parts[number + 1 :])


def drop_staging(context: Context) -> None:
    """Drop the temporary tables of earlier statements, but for those still being read."""
    kept = []
    for table in context.state.temporary:
        try:
            context.database.execute(f"DROP TABLE IF EXISTS temp.{quote_name(table)}")
        except OperationalError:
            kept.append(table)
    context.state.temporary[:] = kept


def new_table(context: Context) -> str:
    """Return the name of a temporary table that the next statement drops."""
    context.state.temporary_count += 1
    name = f"thanosql_rows{context.state.temporary_count}"
    context.state.temporary.append(name)
    return name
