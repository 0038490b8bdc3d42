"""Plain SQL through ThanoSQL's dialect beside SQLAlchemy's own for SQLite.

    python -m benchmarks.dialect

The same statements on copies of the same table, on an engine of each dialect. SQLAlchemy itself
takes 20 to 200 microseconds for a query, so what a dialect adds is a small part of it. The built-in
dialect begins no transaction for a query, ours does, since SQLAlchemy speaks of one: "on a new
connection" has the BEGIN and ROLLBACK of each, "on one connection" has neither.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Executable, create_engine, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .measure import compare, machine
from .plain_sql import DATA

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCHEMES = ("sqlite", "thanosql")
COLUMNS = ("id", "name", "value", "part")
BULK = [dict(zip(COLUMNS, row, strict=True)) for row in DATA]

Engines = Mapping[str, "Engine"]


class Base(DeclarativeBase):
    """The benchmark's tables."""


class Thing(Base):
    """A row of the table that ``benchmarks.plain_sql`` has too."""

    __tablename__ = "t"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    value: Mapped[float]
    part: Mapped[int]


def main() -> None:
    """Print the tables."""
    print(machine("sqlalchemy"))
    for place in ("memory", "file"):
        with engines(place) as both:
            for engine in both.values():
                with engine.begin() as connection:
                    Base.metadata.create_all(connection)
                    connection.execute(insert(Thing), BULK)
            queries(place, both)
            orm(place, both)
        with engines(place) as both:
            bulk(place, both)


@contextmanager
def engines(place: str) -> Iterator[Engines]:
    """Yield an engine of each dialect on an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        both = {
            scheme: create_engine(
                f"{scheme}://" if place == "memory" else f"{scheme}:///{Path(folder, scheme)}.db"
            )
            for scheme in SCHEMES
        }
        yield both
        for engine in both.values():
            engine.dispose()


def queries(place: str, both: Engines) -> None:
    """Compare queries of Core: texts and expressions, on one connection and on a new one each."""
    columns = (Thing.id, Thing.name, Thing.value)
    first = {"id": 0}
    connections = {name: engine.connect() for name, engine in both.items()}
    for title, sql, expression, calls in (
        (
            "point query",
            "SELECT id, name, value FROM t WHERE id = :id",
            select(*columns).where(Thing.id == 0),
            1_000,
        ),
        (
            "10 rows",
            "SELECT id, name, value FROM t WHERE id >= :id LIMIT 10",
            select(*columns).where(Thing.id >= 0).limit(10),
            1_000,
        ),
    ):
        for kind, statement, values in (
            ("text()", text(sql), first),
            ("select()", expression, None),
        ):
            compare(
                f"{title}, {kind}, on one connection, {place}",
                {name: on_one(each, statement, values) for name, each in connections.items()},
                runs=41,
                calls=calls,
            )
            compare(
                f"{title}, {kind}, on a new connection, {place}",
                {name: on_new(each, statement, values) for name, each in both.items()},
                runs=41,
                calls=calls,
            )
    compare(
        f"fetch of 100,000 rows, select(), {place}",
        {name: on_one(each, select(*columns), None) for name, each in connections.items()},
        runs=15,
    )
    for connection in connections.values():
        connection.close()


def on_one(connection: Connection, statement: Executable, values: Any) -> Callable[[], object]:
    """Return a function that executes a query within one transaction, and fetches its rows."""
    return lambda: connection.execute(statement, values).all()


def on_new(engine: Engine, statement: Executable, values: Any) -> Callable[[], object]:
    """Return a function that takes a connection from the pool, queries, and gives it back."""

    def work() -> object:
        with engine.connect() as connection:
            return connection.execute(statement, values).all()

    return work


def orm(place: str, both: Engines) -> None:
    """Compare one object by its key, in a new session."""

    def get(engine: Engine) -> Callable[[], object]:
        def work() -> object:
            with Session(engine) as session:
                return session.scalars(select(Thing).where(Thing.id == 0)).one()

        return work

    compare(
        f"one object, in a new Session, {place}",
        {name: get(engine) for name, engine in both.items()},
        runs=41,
        calls=500,
    )


def bulk(place: str, both: Engines) -> None:
    """Compare executemany."""

    def insert_all(engine: Engine) -> Callable[[], object]:
        Base.metadata.create_all(engine)

        def work() -> None:
            with engine.connect() as connection:
                connection.execute(insert(Thing), BULK)

        return work

    compare(
        f"executemany of 100,000 rows, insert(), {place}",
        {name: insert_all(engine) for name, engine in both.items()},
        runs=15,
    )


if __name__ == "__main__":
    main()
