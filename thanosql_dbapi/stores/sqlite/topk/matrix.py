"""The vectors of one column in memory, and which of its rows can be in the top k.

A matrix names candidates; SQLite compares those with the query and orders them. Invariant: every
row that can be in the top k is a candidate.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....language.names import quote_name
from ..database import Database
from ..similarity import LONGEST, SHORTEST
from .blocks import possible_rows
from .change_log import Mark
from .quantized import Quantized, quantize

if TYPE_CHECKING:
    from .blocks import PossibleRows
    from .quantized import Floats

    RowIds = NDArray[np.int64]

ROW_OVERHEAD = 20  # bytes a row beside its codes: row id, scale, error, length
_CHUNK_BYTES = 16 * 2**20
_SAMPLE = 1000

Append = Callable[["NDArray[np.int8]"], None]


@dataclass(frozen=True)
class Column:
    """A vector column of an ordinary table in ``main``.

    Attributes:
        table: The table.
        name: The column.
        row_id: A name of the table's row id that no column has taken.
        dimension: Length of its vectors; what has another length has no similarity.
    """

    table: str
    name: str
    row_id: str
    dimension: int


@dataclass(frozen=True, eq=False)
class Matrix:
    """The vectors of a column at a mark of its log, in one version of the schema.

    Attributes:
        mark: The mark, or None where there is no log.
        row_ids: int64 array (n,), ascending.
        vectors: Row i is that of ``row_ids[i]``.
        outliers: Rows whose vectors are not finite, too short or too long; always candidates.
        is_uniform: Whether every value of the column is NULL or a vector of its dimension.
        cookie: ``PRAGMA schema_version`` when the vectors were read; the log proves nothing about
            another one, in which the triggers may have been away or the rows renumbered.
    """

    mark: Mark | None
    row_ids: RowIds
    vectors: Quantized
    outliers: frozenset[int] = frozenset()
    is_uniform: bool = True
    cookie: int = -1

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, mapped files included."""
        return self.vectors.nbytes + self.row_ids.nbytes

    def candidates(
        self,
        query: Floats,
        changed: Collection[int],
        wanted: int,
        search: PossibleRows | None = None,
    ) -> Iterator[tuple[list[int], float]]:
        """Yield larger and larger sets of rows that hold the best.

        Args:
            query: float32 array (dimension,).
            changed: Rows that have changed since the mark; each is always a candidate.
            wanted: How many of the best rows the first set must hold, >= 1; each one after it
                holds eight times as many.
            search: What goes through the vectors. Default: the processor does.

        Yields:
            (row ids, floor): every other row has a similarity below the floor.
        """
        vectors, rounded = self.vectors, self.vectors.rounded(query)
        find = search or functools.partial(possible_rows, vectors)
        without = np.sort(self._places(changed))
        always = {*changed, *self.outliers}
        while wanted < len(self):
            rows, floor = find(rounded, wanted, without)
            lower, upper = vectors.narrow_bounds(rounded, rows)
            if wanted <= len(rows):
                floor = max(floor, float(np.partition(lower, -wanted)[-wanted]))
                rows = rows[upper >= floor]
            yield sorted(always.union(self.row_ids[rows].tolist())), floor
            wanted *= 8

    def patched(self, fresh: Matrix, changed: Collection[int]) -> Matrix:
        """Return the matrix with some rows replaced.

        Args:
            fresh: The current values of these rows, rounded with this matrix's mean.
            changed: The ids of these rows, deleted ones included.
        """
        kept = np.ones(len(self), bool)
        kept[self._places(changed)] = False
        row_ids = np.concatenate([self.row_ids[kept], fresh.row_ids])
        order = np.argsort(row_ids, kind="stable")

        def merged(old: NDArray, new: NDArray) -> NDArray:  # type: ignore[type-arg]
            return np.concatenate([old[kept], new])[order]

        old, new = self.vectors, fresh.vectors
        vectors = Quantized(
            old.mean,
            merged(old.codes, new.codes),
            merged(old.scale, new.scale),
            merged(old.error, new.error),
            merged(old.length, new.length),
        )
        outliers = self.outliers.difference(changed) | fresh.outliers
        is_uniform = self.is_uniform and fresh.is_uniform
        return Matrix(fresh.mark, row_ids[order], vectors, outliers, is_uniform, self.cookie)

    def _places(self, row_ids: Collection[int]) -> NDArray[np.intp]:
        if not row_ids:
            return np.empty(0, np.intp)
        wanted = np.fromiter(row_ids, np.int64, len(row_ids))
        places = np.searchsorted(self.row_ids, wanted)
        places[places == len(self)] = 0
        found: NDArray[np.intp] = (
            places[self.row_ids[places] == wanted] if len(self) else places[:0]
        )
        return found


def read_matrix(
    database: Database,
    column: Column,
    mark: Mark | None,
    *,
    cookie: int = -1,
    mean: Floats | None = None,
    rows: Sequence[int] | None = None,
    append: Append | None = None,
    limit: int | None = None,
) -> Matrix:
    """Read a column's vectors.

    Args:
        database: The database.
        column: The column.
        mark: The log's last mark, read before the vectors or in the same snapshot.
        cookie: The schema's version, likewise.
        mean: The mean to round with. Default: that of a sample.
        rows: Only these rows, ascending; they should be few.
        append: Takes the codes as they are read, in place of the matrix, whose own are then empty.
        limit: Most bytes the matrix may have.

    Raises:
        MemoryError: It would have more.
    """
    if mean is None:
        sample = [vectors for _, vectors, _ in _read(database, column, _sample(database, column))]
        mean = quantize(_clean(np.concatenate([_none(column), *sample]))[0]).mean
    pieces = [quantize(_none(column), mean)]
    row_ids, outliers = [np.empty(0, np.int64)], set[int]()
    total, is_uniform = 0, True
    for ids, vectors, others in _read(database, column, rows):
        is_uniform = is_uniform and not others
        clean, is_clean = _clean(vectors)
        outliers.update(ids[~is_clean].tolist())
        row_ids.append(ids[is_clean])
        piece = quantize(clean, mean)
        if append is not None:
            append(piece.codes)
            piece = Quantized(mean, pieces[0].codes, piece.scale, piece.error, piece.length)
        pieces.append(piece)
        total += len(ids) * (column.dimension + ROW_OVERHEAD)
        if limit is not None and total > limit:
            raise MemoryError(f"more than {limit:,} bytes")
    whole = Quantized(
        mean,
        np.concatenate([piece.codes for piece in pieces]),
        np.concatenate([piece.scale for piece in pieces]),
        np.concatenate([piece.error for piece in pieces]),
        np.concatenate([piece.length for piece in pieces]),
    )
    return Matrix(mark, np.concatenate(row_ids), whole, frozenset(outliers), is_uniform, cookie)


def _read(
    database: Database, column: Column, rows: Sequence[int] | None
) -> Iterator[tuple[RowIds, Floats, int]]:
    """Yield row ids, their vectors and a number of other values, some thousand rows at a time.

    SQLite itself puts the BLOBs end to end: a row at a time through Python takes three times as
    long. group_concat makes text of them, which in a UTF-8 database is the same bytes.
    """
    vector, row_id = quote_name(column.name), column.row_id
    size = 4 * column.dimension
    some = f" AND {row_id} IN (SELECT value FROM json_each(:rows))" if rows is not None else ""
    select = (
        f"SELECT {row_id} AS r, {vector} AS v,"
        f" typeof({vector}) = 'blob' AND length({vector}) = {size} AS fits"
        f" FROM {quote_name('main', column.table)}"
        f" WHERE {row_id} >= :first AND {vector} IS NOT NULL{some}"
        f" ORDER BY {row_id} LIMIT {max(1, _CHUNK_BYTES // size)}"
    )
    if database.rows("PRAGMA encoding") == [("UTF-8",)]:
        ends, joined = "max(r)", "CAST(group_concat(v, '') FILTER (WHERE fits) AS BLOB)"
        select = (
            f"SELECT {ends}, json_group_array(r) FILTER (WHERE fits), {joined}, sum(NOT fits)"
            f" FROM ({select})"
        )
        read = database.row
    else:
        read = functools.partial(_joined, database)
    first, greatest = -(2**63), 2**63 - 1
    given = {} if rows is None else {"rows": json.dumps(list(rows))}
    while (
        first <= greatest
        and (row := read(select, {"first": first, **given}))
        and row[0] is not None
    ):
        last, ids, blob, others = row
        first = last + 1
        vectors = np.frombuffer(blob or b"", "<f4").reshape(-1, column.dimension)
        yield np.array(json.loads(ids), np.int64), vectors, others


def _joined(database: Database, sql: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    """Return in one row what the rows of a SELECT hold, as SQLite's functions do it."""
    rows = database.rows(sql, parameters)
    fit = [row for row in rows if row[2]]
    ids = json.dumps([row[0] for row in fit])
    return rows[-1][0] if rows else None, ids, b"".join(row[1] for row in fit), len(rows) - len(fit)


def _sample(database: Database, column: Column) -> list[int]:
    """Return the ids of rows that lie evenly between the first and the last."""
    table, row_id = quote_name("main", column.table), column.row_id
    ends = database.row(f"SELECT min({row_id}), max({row_id}) FROM {table}")
    if not ends or ends[0] is None:
        return []
    first, last = ends
    step = max(1, (last - first) // _SAMPLE)
    wanted = json.dumps(list(range(first, last + 1, step)))
    found = database.rows(
        f"SELECT (SELECT {row_id} FROM {table} WHERE {row_id} >= value ORDER BY {row_id} LIMIT 1)"
        " FROM json_each(?)",
        (wanted,),
    )
    return sorted({row[0] for row in found})


def most_rows(database: Database, column: Column) -> int:
    """Return a number of rows that a table has at most, if its row ids begin at 1 or above."""
    row = database.row(f"SELECT max({column.row_id}) FROM {quote_name('main', column.table)}")
    return row[0] or 0 if row else 0


def _clean(vectors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    is_clean = (lengths > SHORTEST) & (lengths < LONGEST)  # False for NaN
    return vectors if is_clean.all() else vectors[is_clean], is_clean


def _none(column: Column) -> Floats:
    return np.empty((0, column.dimension), np.float32)
