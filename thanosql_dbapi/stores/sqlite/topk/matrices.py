"""The matrices of a connection: each kept in step with its column, or not used at all.

What can change a column without a connection's knowing is other connections' commits, its own
statements, a ROLLBACK, a VACUUM, DDL. For a watched column (see ``watching``) the log tells which
rows to look at again. For any other, only a database in which nothing at all has changed will do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ....language.names import same_name
from ....language.tree import TableName
from ..database import Database
from . import sidefile
from .change_log import Mark, Watch, changes_since, find_watch, last_mark
from .matrix import Column, Matrix, most_rows, read_matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .quantized import Floats, Products

MOST_CHANGES = 1000
"""Changed rows that every search compares besides; with more, the matrix is made anew from them."""

LONGEST_LOG = 100_000
FEWEST_FILED = 2000
"""Rows below which a matrix is read as quickly as its side file."""

# One matrix serves all connections of a process, for as long as one of them uses it.
_shared: WeakValueDictionary[tuple[str, int, int], Matrix] = WeakValueDictionary()

Probe = Callable[[list[int], int], list[float]]


class Declined(Exception):  # noqa: N818 - no error: the scan answers
    """Why the matrix does not answer.

    Args:
        reason: The reason.
        was_dear: Whether it took time to find out, which the same statement is to be spared.
    """

    def __init__(self, reason: str, *, was_dear: bool = False) -> None:
        super().__init__(reason)
        self.was_dear = was_dear


@dataclass(frozen=True)
class Current:
    """A column as a statement finds it.

    Attributes:
        column: The column.
        matrix: Its vectors at some time.
        changed: The rows that have changed since.
        products: What multiplies them, or None for the processor.
    """

    column: Column
    matrix: Matrix
    changed: set[int]
    products: Products | None


@dataclass
class _Entry:
    """What is known of one column."""

    schema_version: list[tuple[int]]
    watch: Watch | None
    column: Column | None
    matrix: Matrix | None = None
    state: tuple[int, int] = (-1, -1)  # of the whole database, when last asked
    is_checked: bool = True  # that the matrix's rows still have their numbers
    too_large: bool = False
    products: tuple[Matrix, Products | None] | None = None


@dataclass
class Matrices:
    """The matrices that a connection uses.

    Attributes:
        file: The database's file, or None for one in memory.
        limit: Bytes a matrix may have; 0 turns them all off.
        can_write: Whether side files may be written.
        on_device: Takes a matrix's codes to a GPU; None where there is none.
    """

    file: Path | None
    limit: int
    can_write: bool = True
    on_device: Callable[[NDArray[np.int8]], Products | None] = lambda codes: None
    _entries: dict[tuple[TableName, str, int], _Entry] = field(default_factory=dict)

    def current(self, database: Database, table: TableName, column: str, dimension: int) -> Current:
        """Return a column, its matrix, and the rows that have changed since that was read.

        Args:
            database: The database, as the statement sees it.
            table: The table, as the statement names it.
            column: Its column.
            dimension: Length of the vectors.

        Raises:
            Declined: There is none that could be trusted.
        """
        if self.limit <= 0:
            raise Declined("cache_bytes=0 turns the matrix off")
        entry = self._entry(database, table, column, dimension)
        if entry.column is None:
            raise Declined(f"{table.name!r} is no table of main with row ids and such a column")
        if entry.watch is None:
            matrix, changed = self._unwatched(database, entry, entry.column), set[int]()
        else:
            matrix, changed = self._watched(database, entry, entry.column, entry.watch)
        if entry.products is None or entry.products[0] is not matrix:
            entry.products = matrix, self.on_device(matrix.vectors.codes)
        return Current(entry.column, matrix, changed, entry.products[1])

    def _entry(self, database: Database, table: TableName, column: str, dimension: int) -> _Entry:
        key = table, column, dimension
        known = self._entries.get(key)
        # A temporary table hides one of main.
        version = database.rows("PRAGMA main.schema_version") + database.rows(
            "PRAGMA temp.schema_version"
        )
        if known is not None and known.schema_version == version:
            return known
        found, watch = _find_column(database, table, column, dimension), None
        if found is not None:
            watch = find_watch(database, found.table, found.name)
        entry = self._entries[key] = _Entry(version, watch, found)
        if known is not None and watch is not None and known.watch == watch:
            # A VACUUM may have given the rows other numbers, and leaves no entry in the log.
            entry.matrix, entry.is_checked = known.matrix, False
        return entry

    # -- a column whose changes are logged ----------------------------------------------------

    def _watched(
        self, database: Database, entry: _Entry, column: Column, watch: Watch
    ) -> tuple[Matrix, set[int]]:
        if entry.matrix is None:
            entry.matrix, entry.is_checked = self._found(watch, column), False
        changed = None
        if entry.matrix is not None and entry.matrix.mark is not None:
            changed = changes_since(database, watch.column_id, entry.matrix.mark, LONGEST_LOG)
        if (
            entry.matrix is not None
            and changed is not None
            and (entry.is_checked or entry.matrix.agrees(database, column, changed))
        ):
            entry.is_checked = True
            if len(changed) <= MOST_CHANGES:
                return entry.matrix, changed
            if len(changed) < len(entry.matrix) // 2:
                patched = self._patched(database, entry.matrix, column, watch, changed)
                if patched.nbytes > self.limit:
                    entry.matrix, entry.too_large = None, True
                    raise self._too_large()
                self._keep(database, patched, watch, column)
                entry.matrix = patched
                return patched, set()
        entry.matrix = None
        if entry.too_large:
            raise self._too_large()
        entry.matrix, entry.is_checked = self._read(database, entry, column, watch), True
        return entry.matrix, set()

    def _found(self, watch: Watch, column: Column) -> Matrix | None:
        """Return a matrix that another connection, or another process, has made."""
        if self.file is None:
            return None
        found = _shared.get(self._key(watch, column))
        found = found or sidefile.load(self._path(watch), column.dimension)
        if found is None or found.nbytes > self.limit:
            return None
        self._share(found, watch, column)
        return found

    def _patched(
        self, database: Database, matrix: Matrix, column: Column, watch: Watch, changed: set[int]
    ) -> Matrix:
        mark = last_mark(database, watch.column_id)
        rows = sorted(changed)
        fresh = read_matrix(database, column, mark, mean=matrix.vectors.mean, rows=rows)
        return matrix.patched(fresh, changed)

    def _read(self, database: Database, entry: _Entry, column: Column, watch: Watch) -> Matrix:
        # The mark first: what changes while the rows are read is then looked at again.
        mark = last_mark(database, watch.column_id)
        try:
            if mark is not None and self._is_filed(database, most_rows(database, column)):
                with suppress(OSError, ValueError):
                    return self._read_to_file(database, column, watch, mark)
            matrix = read_matrix(database, column, mark, limit=self.limit)
        except MemoryError:
            entry.too_large = True
            raise self._too_large() from None
        if not database.connection.in_transaction:
            self._share(matrix, watch, column)
        return matrix

    def _read_to_file(self, database: Database, column: Column, watch: Watch, mark: Mark) -> Matrix:
        assert self.file is not None
        with sidefile.writing(self.file, watch.column_id) as writer:
            writer.finish(
                read_matrix(database, column, mark, append=writer.append, limit=self.limit)
            )
        matrix = sidefile.load(self._path(watch), column.dimension)
        if matrix is None or matrix.mark != mark:
            raise OSError("another process was quicker")
        self._share(matrix, watch, column)
        return matrix

    def _keep(self, database: Database, matrix: Matrix, watch: Watch, column: Column) -> None:
        if database.connection.in_transaction:
            return  # it may never be committed
        self._share(matrix, watch, column)
        if self.file is not None and self._is_filed(database, len(matrix)):
            with suppress(OSError, ValueError):
                sidefile.write(self.file, watch.column_id, matrix)

    def _is_filed(self, database: Database, rows: int) -> bool:
        return (
            self.file is not None
            and self.can_write
            and rows >= FEWEST_FILED
            and not database.connection.in_transaction
            and os.access(self.file, os.W_OK)
        )

    def _path(self, watch: Watch) -> Path:
        assert self.file is not None
        return sidefile.path_of(self.file, watch.column_id)

    def _key(self, watch: Watch, column: Column) -> tuple[str, int, int]:
        return str(self.file), watch.column_id, column.dimension

    def _share(self, matrix: Matrix, watch: Watch, column: Column) -> None:
        if self.file is not None:
            _shared[self._key(watch, column)] = matrix

    def _too_large(self) -> Declined:
        return Declined(f"the matrix would have more than cache_bytes={self.limit:,}")

    # -- any other column ---------------------------------------------------------------------

    def _unwatched(self, database: Database, entry: _Entry, column: Column) -> Matrix:
        if database.connection.in_transaction:
            entry.matrix = None  # a ROLLBACK would leave no trace
            raise Declined("no triggers note what changes in this table, and a transaction is open")
        (version,) = database.row("PRAGMA main.data_version") or (0,)
        state = version, database.connection.total_changes
        before, entry.state = entry.state, state
        if before != state:
            entry.matrix = None
            raise Declined(
                "no triggers note what changes in this table; the next search uses the matrix if"
                " nothing has changed by then"
            )
        if entry.matrix is None:
            if entry.too_large:
                raise self._too_large()
            try:
                entry.matrix = read_matrix(database, column, None, limit=self.limit)
            except MemoryError:
                entry.too_large = True
                return self._unwatched(database, entry, column)
        return entry.matrix


def _find_column(database: Database, table: TableName, name: str, dimension: int) -> Column | None:
    found = database.find_table(table.schema, table.name)
    if found is None or found[0].lower() != "main" or found[2] != "table":
        return None
    own = [each for each, _ in database.table_columns("main", found[1]) if same_name(each, name)]
    row_id = database.row_id("main", found[1])
    return Column(found[1], own[0], row_id, dimension) if own and row_id else None


def best_rows(
    current: Current, query: Floats, wanted: int, first: int, probe: Probe
) -> tuple[list[int], list[float], int]:
    """Return rows among which are the best that a statement lets through.

    Args:
        current: The column.
        query: float32 array (dimension,).
        wanted: Rows that the statement asks for, >= 1.
        first: How many of the best rows to begin with, >= wanted: a WHERE may drop some.
        probe: ``probe(row ids, n)`` runs the statement over these rows alone and returns its
            greatest n similarities, best first.

    Returns:
        The row ids, the statement's greatest similarities, one more than wanted where there is,
        and how many of the best rows they had to be.

    Raises:
        Declined: A scan is quicker.
    """
    matrix, changed = current.matrix, current.changed
    if len(matrix.odd) > MOST_CHANGES:
        raise Declined(f"{len(matrix.odd):,} vectors are zero or not finite")
    # To look a row up by its id costs some five times what a scan takes to pass it.
    asked, most = first, max(len(matrix) // 5, 500) + len(changed)
    was_dear = False
    for rows, floor in matrix.candidates(query, changed, first, current.products):
        if len(rows) > most:
            break
        values = probe(rows, wanted + 1)
        if len(values) >= wanted and values[wanted - 1] >= floor:
            return rows, values, asked
        asked, most = asked * 8, max(len(matrix) // 50, 500) + len(changed)
        was_dear = True
    raise Declined("too many rows would have to be compared one by one", was_dear=was_dear)
