"""An SQL function of ours that fails while rows are fetched says why, by every way to fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import thanosql_dbapi as thanosql

CALL = "SELECT id, cosine_similarity(v, ?) FROM t"
VECTOR = np.ones(4, "f4")


@pytest.fixture(params=[True, False], ids=["one thread", "threads"])
def connection(request: pytest.FixtureRequest) -> Iterator[thanosql.Connection]:
    """Table ``t`` of five rows; the fourth vector is of another dimension."""
    made = thanosql.connect(":memory:", progress=False, check_same_thread=request.param)
    made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    vectors = [np.ones(3 if number == 4 else 4, "f4") for number in range(1, 6)]
    made.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(vectors, 1)))
    yield made
    made.close()


FETCHES: dict[str, Callable[[thanosql.Cursor], Any]] = {
    "fetchall": lambda cursor: cursor.fetchall(),
    "fetchmany": lambda cursor: cursor.fetchmany(5),
    "fetchone": lambda cursor: [cursor.fetchone() for _ in range(5)],
    "iteration": list,
}


@pytest.mark.parametrize("fetch", FETCHES)
def test_the_cause_is_raised(connection: thanosql.Connection, fetch: str) -> None:
    for _ in range(2):  # a text that is executed again, too
        cursor = connection.execute(CALL, (VECTOR,))
        with pytest.raises(thanosql.DataError, match="vectors of 3 and 4 dimensions; they come"):
            FETCHES[fetch](cursor)


WRITE = "INSERT INTO t (v) SELECT cosine_similarity(v, {}) FROM t"
WRITES: dict[str, Callable[[thanosql.Connection], Any]] = {
    "execute": lambda connection: connection.execute(WRITE.format("?"), (VECTOR,)),
    "executemany": lambda connection: connection.executemany(WRITE.format("?"), [(VECTOR,)]),
    "executescript": lambda connection: connection.executescript(WRITE.format("zeroblob(16)")),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_statement_that_writes_raises_the_cause(
    connection: thanosql.Connection, write: str
) -> None:
    with pytest.raises(thanosql.DataError, match="vectors of 3 and 4 dimensions; they come"):
        WRITES[write](connection)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)


def test_a_cursor_is_of_its_own_class_again(connection: thanosql.Connection) -> None:
    cursor = connection.cursor()
    kind = type(cursor)
    assert cursor.execute(CALL + " WHERE id < 3", (VECTOR,)).fetchall() == [(1, 1.0), (2, 1.0)]
    assert isinstance(cursor, thanosql.Cursor)
    assert cursor.execute("SELECT 1").fetchone() == (1,)
    assert type(cursor) is kind
    cursor.execute("LIST TABLE")
    assert [row[0] for row in cursor] == ["t"]
    assert cursor.execute("SELECT 2").fetchall() == [(2,)]
    assert type(cursor) is kind
