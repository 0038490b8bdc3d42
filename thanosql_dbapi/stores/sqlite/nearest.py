"""``thanosql_nearest``: the SQL aggregate behind FUNCTION compute.nearest.

It takes the vectors of some rows and reads those of a table, block by block: one product of
matrices for each pair of blocks. So its memory depends on the size of the blocks, and beyond them
on the number of pairs that it returns, of 16 bytes each.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...language.names import quote_name
from .aggregates import guarded
from .database import Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...training.neighbours import Nearest

    Floats = NDArray[np.float32]

PAIR = 16
"""Bytes of a pair: the row id, int64, and the similarity, float64; NaN for no pair."""

_ROWS, _SOURCE_ROWS = 2048, 4096
_MOST_BYTES = 1_000_000_000  # SQLite's limit of a value
_NO_GROUP, _OWN_GROUP = -1, -2


def spec_of(
    schema: str | None, table: str, row_id: str, column: str, dimension: int, key: str | None
) -> str:
    """Return what the aggregate is told of the table that it reads, as JSON."""
    return json.dumps([schema, table, row_id, column, dimension, key], ensure_ascii=False)


class NearestRows:
    """``thanosql_nearest(number, vector, key, count, spec)``.

    Of each row it takes the number, counted from 1, the vector and the key: a row of the table
    with the same key is no neighbour. ``count`` is how many neighbours are wanted, ``spec`` that
    of :func:`spec_of`. The result is a BLOB: of each row, in the order of the numbers, ``count``
    pairs.
    """

    connection: Callable[[], sqlite3.Connection | None]

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._blobs: list[bytes] = []
        self._groups: list[int] = []
        self._known: dict[Any, int] = {}
        self._found: list[tuple[list[int], Any]] = []
        self._last = 0
        self._count = 0
        self._spec = ""

    def step(self, number: int, vector: Any, key: Any, count: int, spec: str) -> None:
        """Take a row."""
        self._count, self._spec = count, spec
        self._last = max(self._last, number)
        if self._last * count * PAIR > _MOST_BYTES:
            raise DataError(
                f"compute.nearest: the neighbours of more than {self._last:,} rows, {count:,} each,"
                " do not fit into a value of SQLite; ask for fewer rows at a time"
            )
        if not isinstance(vector, bytes) or len(vector) != 4 * json.loads(spec)[4]:
            return
        self._numbers.append(number)
        self._blobs.append(vector)
        group = self._known.setdefault(key, len(self._known)) if key is not None else _NO_GROUP
        self._groups.append(group)
        if len(self._blobs) == _ROWS:
            self._look()

    def finalize(self) -> bytes:
        """Return the pairs."""
        import numpy as np

        if self._blobs:
            self._look()
        pairs = np.zeros((self._last, self._count), _pair_type())
        pairs["value"] = np.nan
        for numbers, found in self._found:
            pairs[np.array(numbers) - 1] = found
        return pairs.tobytes()

    def _look(self) -> None:
        """Find the neighbours of the rows that were taken, and forget these."""
        import numpy as np

        from ...training.neighbours import Nearest
        from . import arithmetic

        connection = self.connection()
        assert connection is not None
        database = Database(connection)
        schema, table, row_id, column, dimension, key = json.loads(self._spec)
        nearest = Nearest(
            np.frombuffer(b"".join(self._blobs), "<f4").reshape(-1, dimension),
            self._count,
            arithmetic.slack(dimension),
            _compare(database),
            np.array(self._groups, np.int64) if key is not None else None,
        )
        vector = quote_name(column)
        names = ", ".join([row_id, vector, *([quote_name(key)] if key is not None else [])])
        rows = database.chunks(
            f"SELECT {names} FROM {quote_name(schema, table)}"
            f" WHERE typeof({vector}) = 'blob' AND length({vector}) = {4 * dimension}"
            f" ORDER BY {row_id}",
            size=_SOURCE_ROWS,
        )
        with closing(rows):
            for ids, vectors, keys in _blocks(rows, dimension):
                groups = [self._known.get(each, _OWN_GROUP) for each in keys]
                nearest.add(ids, vectors, np.array(groups, np.int64) if key is not None else None)
        self._keep(nearest)

    def _keep(self, nearest: Nearest) -> None:
        import numpy as np

        pairs = np.empty(nearest.ids.shape, _pair_type())
        pairs["id"] = nearest.ids
        pairs["value"] = np.where(np.isneginf(nearest.values), np.nan, nearest.values)
        self._found.append((self._numbers, pairs))
        self._numbers, self._blobs, self._groups = [], [], []


def _pair_type() -> Any:
    import numpy as np

    return np.dtype([("id", "<i8"), ("value", "<f8")])


def _blocks(
    rows: Iterator[list[tuple[Any, ...]]], dimension: int
) -> Iterator[tuple[NDArray[np.int64], Floats, list[Any]]]:
    """Yield the row ids, the vectors and the keys, if there are keys, of some rows."""
    import numpy as np

    for block in rows:
        ids, blobs, *keys = zip(*block, strict=True)
        vectors = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, dimension)
        yield np.array(ids, np.int64), vectors, list(*keys)


def _compare(database: Database) -> Callable[[Floats, Floats], NDArray[np.float64]]:
    """Return what compares rows of one array with those of another, as SQL does."""
    import numpy as np

    from . import arithmetic
    from .similarity import LONGEST, SHORTEST, cosine_similarity

    def in_sql(rows: Floats, others: Floats) -> NDArray[np.float64]:
        found = np.full(len(rows), np.nan)
        is_sound = np.ones(len(rows), bool)
        for vectors in (rows, others):
            lengths = arithmetic.lengths_of(vectors)
            is_sound &= (lengths > SHORTEST) & (lengths < LONGEST)
        for place in np.flatnonzero(is_sound):
            pair = rows[place].tobytes(), others[place].tobytes()
            (found[place],) = database.row(arithmetic.SIMILARITY, pair) or (None,)
        return found

    ordinary = arithmetic.similarities if arithmetic.is_exact(database) else in_sql

    def compare(rows: Floats, others: Floats) -> NDArray[np.float64]:
        values = ordinary(rows, others)
        for place in np.flatnonzero(np.isnan(values)):
            found = cosine_similarity(rows[place].tobytes(), others[place].tobytes())
            values[place] = np.nan if found is None else found
        return values

    return compare


def register(connection: sqlite3.Connection, failed: Callable[[BaseException], None]) -> None:
    """Give a connection the aggregate.

    Args:
        connection: The connection.
        failed: Gets the exception of one that fails: SQLite keeps no message.
    """
    # SQLite keeps the class as long as the connection: a strong reference back would keep a dropped
    # connection open for ever.
    of_connection = type("NearestRows", (NearestRows,), {"connection": weakref.ref(connection)})
    connection.create_aggregate("thanosql_nearest", 5, guarded(of_connection, failed))
