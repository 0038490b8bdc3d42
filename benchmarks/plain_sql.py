"""Plain SQL through the driver beside plain SQL through sqlite3.

    python -m benchmarks.plain_sql

Both run the same statements on a copy of the same table. In memory a point query takes two
microseconds, so whatever the driver adds shows; on a file, where SQLite locks and unlocks, it
takes five times that.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import thanosql

from .measure import Candidate, compare, machine

ROWS = 100_000
DATA = [(number, f"name {number}", number / 7, number % 100) for number in range(ROWS)]

Connect = Callable[..., sqlite3.Connection]
DRIVERS: dict[str, Connect] = {"sqlite3": sqlite3.connect, "thanosql": thanosql.connect}


def main() -> None:
    """Print the tables."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for place in ("memory", "file"):
            connections = {
                name: filled(connect, ":memory:" if place == "memory" else f"{folder}/{name}.db")
                for name, connect in DRIVERS.items()
            }
            queries(place, connections)
            for connection in connections.values():
                connection.close()
        bulk(Path(folder))


def filled(connect: Connect, database: str) -> sqlite3.Connection:
    """Return a connection to a new database with the table."""
    connection = connect(database)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL, part INT)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", DATA)
    connection.commit()
    return connection


def queries(place: str, connections: dict[str, sqlite3.Connection]) -> None:
    """Compare statements that an application executes again and again."""
    for title, sql, calls in (
        ("point query", "SELECT id, name, value FROM t WHERE id = ?", 5_000),
        ("point query with *", "SELECT * FROM t WHERE id = ?", 5_000),
        ("10 rows", "SELECT id, name, value FROM t WHERE id >= ? LIMIT 10", 2_000),
        ("10 rows with *", "SELECT * FROM t WHERE id >= ? LIMIT 10", 2_000),
    ):
        compare(
            f"{title}, {place}",
            {name: query(connection, sql) for name, connection in connections.items()},
            runs=41,
            calls=calls,
        )
    never_seen(place, connections)
    compare(
        f"point query on one cursor, {place}",
        {
            name: query(connection.cursor(), "SELECT id, name, value FROM t WHERE id = ?")
            for name, connection in connections.items()
        },
        runs=41,
        calls=5_000,
    )
    compare(
        f"fetch of 100,000 rows, {place}",
        {
            name: query(connection, "SELECT id, name, value FROM t WHERE id >= ?")
            for name, connection in connections.items()
        },
        runs=15,
    )


NEVER_SEEN = (
    "SELECT {}",
    "SELECT id FROM t WHERE id = {}",
    "INSERT INTO t VALUES ({}, 'a b', 3, 4)",
    (
        "SELECT id, name, value FROM t WHERE id = {} AND name LIKE 'a copy of%' ORDER BY value DESC"
        " LIMIT 10 OFFSET 3"
    ),
    (
        "SELECT t.id, t.name, u.value FROM t JOIN t AS u ON t.id = u.id WHERE t.id = {} AND"
        " u.value > 1 GROUP BY t.id HAVING count(*) > 1 ORDER BY t.name LIMIT 5"
    ),
    (
        "INSERT INTO t (id, name, value, part) VALUES ({}, 'the name of a thing with a longer"
        " name', 3.25, 7) ON CONFLICT DO NOTHING"
    ),
    (
        "UPDATE t SET name = 'a new name for a row', value = value + 1, part = 3 WHERE id = {} AND"
        " name IS NOT NULL AND part > 17"
    ),
    (
        "WITH q AS (SELECT id, name FROM t WHERE id = {} AND name <> 'delete a list of print"
        " copies') SELECT * FROM q WHERE name > 'b'"
    ),
)


def never_seen(place: str, connections: dict[str, sqlite3.Connection]) -> None:
    """Compare statements that no connection has executed before: each has another number."""
    for template in NEVER_SEEN:
        runs, calls = 41, 500
        # Made before, so that the time is the statement's; both candidates get the same texts.
        texts = [template.format(10_000_000 + number) for number in range((runs + 1) * calls)]
        compare(
            f"never seen, {len(template) + 6} characters: {template[:40]}…, {place}",
            {name: unseen(connection, iter(texts)) for name, connection in connections.items()},
            runs=runs,
            calls=calls,
        )
        for connection in connections.values():
            connection.rollback()


def unseen(connection: sqlite3.Connection, texts: Iterator[str]) -> Candidate:
    """Return a function that executes the next of some statements at each call."""

    def work() -> object:
        return connection.execute(next(texts)).fetchall()

    return work


def query(target: Any, sql: str) -> Callable[[], object]:
    """Return a function that executes a query and fetches its rows."""

    def work() -> object:
        return target.execute(sql, (0,)).fetchall()

    return work


def bulk(folder: Path) -> None:
    """Compare executemany."""

    def insert(connect: Connect, database: str) -> Callable[[], object]:
        connection = connect(database)
        connection.execute("CREATE TABLE t (id, name TEXT, value REAL, part INT)")

        def work() -> None:
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", DATA)
            connection.rollback()

        return work

    for place in ("memory", "file"):
        compare(
            f"executemany of 100,000 rows, {place}",
            {
                name: insert(
                    connect, ":memory:" if place == "memory" else str(folder / f"{name}-bulk.db")
                )
                for name, connect in DRIVERS.items()
            },
            runs=15,
        )


if __name__ == "__main__":
    main()
