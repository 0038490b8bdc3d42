"""The matrices of a connection: each is up to date with its column, or is not used.

Invariant: a matrix is used only where facts prove that it is the column's. What is learnt of a
column (its watch, its matrix) counts in one committed version of the schema, its cookie
(``PRAGMA main.schema_version``): VACUUM and all DDL move it. The cookie of committed states only
grows, and that of an uncommitted state is larger than all of them, so equal cookies mean equal
schemas where one of the two is known to be committed. Within a version the log of a watched column
(see ``change_log``) lists the rows that changed, and the token of its mark proves that the log is
the one that the matrix was read with. A column that is not watched is used only while nothing at
all has changed in the database. A side file is used only for a version that CONVERT has drawn at
random (``change_log.draw_version``): another file at the same inode has another one.

All facts of one statement are read in one snapshot.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Union
from weakref import WeakValueDictionary

from ....language.names import same_name
from ....language.tree import TableName
from ..database import Database
from ..location import Location
from ..memory import Moment
from . import sidefile
from .change_log import DRAWN_VERSION, Mark, Watch, changes_since, find_watch, last_mark
from .matrix import Column, Matrix, most_rows, read_matrix

if TYPE_CHECKING:
    from .blocks import PossibleRows
    from .quantized import Quantized

MOST_CHANGES = 1000
"""Changed rows that every search compares too; with more, the matrix is patched."""

LONGEST_LOG = 100_000
FEWEST_FILED = 2000
"""Rows below which the column is read as quickly as its side file."""

# One matrix serves all connections of a process, for as long as one of them uses it.
_Key = tuple[str, Union[tuple[int, int], None], int, int, int]
_shared: WeakValueDictionary[_Key, Matrix] = WeakValueDictionary()


class Declined(Exception):  # noqa: N818 - no error: the scan answers
    """Why the matrix does not answer.

    Args:
        reason: The reason.
        is_expensive: Whether finding out took long: the statement then scans for some time.
    """

    def __init__(self, reason: str, *, is_expensive: bool = False) -> None:
        super().__init__(reason)
        self.is_expensive = is_expensive


@dataclass(frozen=True)
class Current:
    """A column as a statement finds it.

    Attributes:
        column: The column.
        matrix: Its vectors at some time.
        changed: The rows that have changed since.
        search: What goes through them, or None for the processor.
    """

    column: Column
    matrix: Matrix
    changed: set[int]
    search: PossibleRows | None


@dataclass
class _Entry:
    """What is known of one column."""

    schema_version: tuple[int, int]  # of main and of temp
    watch: Watch | None
    column: Column | None
    matrix: Matrix | None = None
    state: tuple[int, int] = (-1, -1)  # of the whole database, when last asked
    is_kept: bool = True  # beyond the statement
    too_large: bool = False
    search: tuple[Matrix, PossibleRows | None] | None = None


@dataclass
class Matrices:
    """The matrices that a connection uses.

    Attributes:
        file: The database's file, or None for one in memory.
        limit: Bytes a matrix may have; 0 turns them all off.
        can_write: Whether side files may be written.
        on_device: Takes a matrix's vectors to a GPU; None where there is none.
        identity: Device and inode of the file that the connection opened, or None where unknown.
        is_blind: Whether the connection can change vectors without an entry in the log.
    """

    file: Path | None
    limit: int
    can_write: bool = True
    on_device: Callable[[Quantized], PossibleRows | None] = lambda vectors: None
    identity: tuple[int, int] | None = None
    is_blind: bool = False
    _entries: dict[tuple[TableName, str, int], _Entry] = field(default_factory=dict)
    _seen: dict[tuple[TableName, str, int], tuple[Moment, Current]] = field(default_factory=dict)

    def current(
        self,
        database: Database,
        table: TableName,
        column: str,
        dimension: int,
        moment: Moment | None = None,
    ) -> Current:
        """Return a column, its matrix, and the rows that have changed since that was read.

        Args:
            database: The database, as the statement sees it.
            table: The table, as the statement names it.
            column: Its column.
            dimension: Length of the vectors.
            moment: The state that the database was in when the statement began, if it is known:
                what was found at the same moment is still so.

        Raises:
            Declined: No matrix is certain to be the column's.
        """
        if self.limit <= 0:
            raise Declined("cache_bytes=0 turns the matrix off")
        if self.is_blind:
            raise Declined("the connection can change vectors without a trace")
        known = self._seen.get((table, column, dimension))
        if moment is not None and known is not None and known[0] == moment:
            return known[1]
        with _snapshot(database):
            entry = self._entry(database, table, column, dimension)
            if entry.column is None:
                raise Declined(f"{table.name!r} is not a table of main with such a column")
            if entry.watch is None:
                matrix, changed = self._unwatched(database, entry, entry.column), set[int]()
            else:
                matrix, changed = self._watched(database, entry, entry.column, entry.watch)
        if entry.search is None or entry.search[0] is not matrix:
            entry.search = matrix, self.on_device(matrix.vectors)
        current = Current(entry.column, matrix, changed, entry.search[1])
        if moment is not None:
            self._seen[table, column, dimension] = moment, current
        return current

    def _entry(self, database: Database, table: TableName, column: str, dimension: int) -> _Entry:
        key = table, column, dimension
        known = self._entries.get(key)
        (cookie,) = database.row("PRAGMA main.schema_version") or (0,)
        # A temporary table hides one of main. Asked by name each time: the cookie of temp can come
        # again after a ROLLBACK.
        (hiding,) = database.row(
            "SELECT count(*) FROM temp.sqlite_master WHERE name = ? COLLATE NOCASE", (table.name,)
        ) or (0,)
        if known is not None and known.schema_version == (cookie, hiding):
            return known
        found, watch = _find_column(database, table, column, dimension), None
        if found is not None:
            watch = find_watch(database, found.table, found.name)
        entry = _Entry((cookie, hiding), watch, found)
        if not database.connection.in_transaction or self._is_committed(cookie):
            self._entries[key] = entry
        else:
            # A ROLLBACK lets the same cookie come again for another schema.
            entry.is_kept = False
        return entry

    def _is_committed(self, cookie: int) -> bool:
        """Return whether another connection sees the cookie, too."""
        if self.file is None or not self._is_own_file():
            return False
        uri = f"{self.file.absolute().as_uri()}?mode=ro"
        with suppress(sqlite3.Error, OSError):
            with closing(sqlite3.connect(uri, uri=True, timeout=0)) as other:
                row = other.execute("PRAGMA schema_version").fetchone()
            return bool(row == (cookie,))
        return False

    # -- a column whose changes are logged ----------------------------------------------------

    def _watched(
        self, database: Database, entry: _Entry, column: Column, watch: Watch
    ) -> tuple[Matrix, set[int]]:
        cookie = entry.schema_version[0]
        if entry.matrix is None:
            entry.matrix = self._found(watch, column, cookie)
        if entry.matrix is not None and entry.matrix.mark is not None:
            # The mark before the changes: what comes between is then in the next ones.
            mark = last_mark(database, watch.column_id)
            changed = changes_since(database, watch.column_id, entry.matrix.mark, LONGEST_LOG)
            if changed is not None and len(changed) <= MOST_CHANGES:
                return entry.matrix, changed
            if changed is not None and len(changed) < len(entry.matrix) // 2:
                rows = sorted(changed)
                mean = entry.matrix.vectors.mean
                fresh = read_matrix(database, column, mark, cookie=cookie, mean=mean, rows=rows)
                patched = entry.matrix.patched(fresh, changed)
                if patched.nbytes > self.limit:
                    entry.matrix, entry.too_large = None, True
                    raise self._too_large()
                self._keep(database, patched, watch, column)
                entry.matrix = patched
                return patched, set()
        entry.matrix = None
        if entry.too_large:
            raise self._too_large()
        if not entry.is_kept:
            raise Declined(
                "the schema may not be committed; a search outside of the transaction"
                " reads the matrix"
            )
        entry.matrix = self._read(database, entry, column, watch)
        return entry.matrix, set()

    def _found(self, watch: Watch, column: Column, cookie: int) -> Matrix | None:
        """Return a matrix that another connection, or another process, has made."""
        if self.file is None or not self._is_own_file():
            return None
        found = _shared.get(self._key(watch, column, cookie))
        if found is None and cookie >= DRAWN_VERSION and (origin := self._origin()) is not None:
            found = sidefile.load(self._path(watch), column.dimension, cookie, origin)
        if found is None or found.nbytes > self.limit:
            return None
        self._share(found, watch, column)
        return found

    def _read(self, database: Database, entry: _Entry, column: Column, watch: Watch) -> Matrix:
        mark, cookie = last_mark(database, watch.column_id), entry.schema_version[0]
        try:
            if mark is not None and self._is_filed(database, most_rows(database, column), cookie):
                with suppress(OSError, ValueError):
                    return self._read_to_file(database, column, watch, mark, cookie)
            matrix = read_matrix(database, column, mark, cookie=cookie, limit=self.limit)
        except MemoryError:
            entry.too_large = True
            raise self._too_large() from None
        if not database.connection.in_transaction:
            self._share(matrix, watch, column)
        return matrix

    def _read_to_file(
        self, database: Database, column: Column, watch: Watch, mark: Mark, cookie: int
    ) -> Matrix:
        assert self.file is not None
        origin = self._origin()
        if origin is None:
            raise OSError("the database's file is not known for certain")
        with sidefile.writing(self.file, watch.column_id, origin) as writer:
            writer.finish(
                read_matrix(
                    database, column, mark, cookie=cookie, append=writer.append, limit=self.limit
                )
            )
        matrix = sidefile.load(self._path(watch), column.dimension, cookie, origin)
        if matrix is None or matrix.mark != mark:
            raise OSError("another process was quicker")
        self._share(matrix, watch, column)
        return matrix

    def _keep(self, database: Database, matrix: Matrix, watch: Watch, column: Column) -> None:
        if database.connection.in_transaction:
            return  # it may never be committed
        self._share(matrix, watch, column)
        if self.file is not None and self._is_filed(database, len(matrix), matrix.cookie):
            with suppress(OSError, ValueError):
                if (origin := self._origin()) is not None:
                    sidefile.write(self.file, watch.column_id, origin, matrix)

    def _is_filed(self, database: Database, rows: int, cookie: int) -> bool:
        return (
            self.file is not None
            and self.can_write
            and rows >= FEWEST_FILED
            and cookie >= DRAWN_VERSION
            and not database.connection.in_transaction
            and self._is_own_file()
            and os.access(self.file, os.W_OK)
        )

    def _is_own_file(self) -> bool:
        """Return whether the path still leads to the file that the connection opened."""
        return self.identity is not None and Location(self.file).identity == self.identity

    def _origin(self) -> sidefile.Origin | None:
        if self.file is None or self.identity is None:
            return None
        return sidefile.origin_of(self.file, self.identity)

    def _path(self, watch: Watch) -> Path:
        assert self.file is not None
        return sidefile.path_of(self.file, watch.column_id)

    def _key(self, watch: Watch, column: Column, cookie: int) -> _Key:
        return str(self.file), self.identity, cookie, watch.column_id, column.dimension

    def _share(self, matrix: Matrix, watch: Watch, column: Column) -> None:
        if self.file is not None and self.identity is not None:
            _shared[self._key(watch, column, matrix.cookie)] = matrix

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


@contextmanager
def _snapshot(database: Database) -> Iterator[None]:
    """Let all reads of the block see one state of ``main``.

    A SELECT that is not finished keeps its read transaction open, without a BEGIN.
    """
    if database.connection.in_transaction:
        yield
        return
    cursor = sqlite3.Cursor(database.connection)
    try:
        # Its first row comes without a look into the table; more rows are to come.
        cursor.execute("SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT rowid FROM main.sqlite_master")
        yield
    finally:
        cursor.close()


def _find_column(database: Database, table: TableName, name: str, dimension: int) -> Column | None:
    found = database.find_table(table.schema, table.name)
    if found is None or found[0].lower() != "main" or found[2] != "table":
        return None
    own = [each for each, _ in database.table_columns("main", found[1]) if same_name(each, name)]
    row_id = database.row_id("main", found[1])
    return Column(found[1], own[0], row_id, dimension) if own and row_id else None
