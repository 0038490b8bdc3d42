"""Plain SQL through ThanoSQL's dialect beside SQLAlchemy's own for SQLite.

    python -m benchmarks.dialect

The same statements on copies of the same table, on an engine of each dialect. SQLAlchemy itself
takes 15 to 200 microseconds for a query, so what a dialect adds is a small part of it. The built-in
dialect begins no transaction for a query, ours does, since SQLAlchemy speaks of one: "on a new
connection" has the BEGIN and ROLLBACK of each, "on one connection" has neither. Where the built-in
dialect is to begin them too, its manual has a recipe of two events; the third candidate has them.
https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-transactions
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Executable, create_engine, event, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .measure import compare, machine
from .plain_sql import DATA

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

RECIPE = "sqlite that begins"
SCHEMES = {"sqlite": "sqlite", "thanosql": "thanosql", RECIPE: "sqlite"}
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
        with opened(place) as engines:
            for engine in engines.values():
                with engine.begin() as connection:
                    Base.metadata.create_all(connection)
                    connection.execute(insert(Thing), BULK)
            queries(place, engines)
            orm(place, engines)
        with opened(place) as engines:
            bulk(place, engines)


@contextmanager
def opened(place: str) -> Iterator[Engines]:
    """Yield an engine of each dialect on an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        each = {
            name: create_engine(
                f"{scheme}://" if place == "memory" else f"{scheme}:///{Path(folder, name)}.db"
            )
            for name, scheme in SCHEMES.items()
        }
        begin_by_recipe(each[RECIPE])
        yield each
        for engine in each.values():
            engine.dispose()


def begin_by_recipe(engine: Engine) -> None:
    """Have the built-in dialect begin its transactions."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def connected(engines: Engines) -> Iterator[Mapping[str, Connection]]:
    """Yield a connection of each; one in memory is its thread's only one, so none may stay open."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(engine.connect()) for name, engine in engines.items()}


def queries(place: str, engines: Engines) -> None:
    """Compare queries of Core: texts and expressions, on one connection and on a new one each."""
    columns = (Thing.id, Thing.name, Thing.value)
    first = {"id": 0}
    for title, sql, expression in (
        (
            "point query",
            "SELECT id, name, value FROM t WHERE id = :id",
            select(*columns).where(Thing.id == 0),
        ),
        (
            "10 rows",
            "SELECT id, name, value FROM t WHERE id >= :id LIMIT 10",
            select(*columns).where(Thing.id >= 0).limit(10),
        ),
    ):
        for kind, statement, values in (
            ("text()", text(sql), first),
            ("select()", expression, None),
        ):
            with connected(engines) as connections:
                compare(
                    f"{title}, {kind}, on one connection, {place}",
                    {name: on_one(each, statement, values) for name, each in connections.items()},
                    runs=81,
                    calls=100,
                )
            compare(
                f"{title}, {kind}, on a new connection, {place}",
                {name: on_new(each, statement, values) for name, each in engines.items()},
                runs=81,
                calls=100,
            )
    with connected(engines) as connections:
        compare(
            f"fetch of 100,000 rows, select(), {place}",
            {name: on_one(each, select(*columns), None) for name, each in connections.items()},
            runs=7,
        )


def on_one(connection: Connection, statement: Executable, values: Any) -> Callable[[], object]:
    """Return a function that executes a query within one transaction, and fetches its rows."""
    return lambda: connection.execute(statement, values).all()


def on_new(engine: Engine, statement: Executable, values: Any) -> Callable[[], object]:
    """Return a function that takes a connection from the pool, queries, and gives it back."""

    def work() -> object:
        with engine.connect() as connection:
            return connection.execute(statement, values).all()

    return work


def orm(place: str, engines: Engines) -> None:
    """Compare one object by its key, in a new session."""

    def get(engine: Engine) -> Callable[[], object]:
        def work() -> object:
            with Session(engine) as session:
                return session.scalars(select(Thing).where(Thing.id == 0)).one()

        return work

    compare(
        f"one object, in a new Session, {place}",
        {name: get(engine) for name, engine in engines.items()},
        runs=61,
        calls=20,
    )


def bulk(place: str, engines: Engines) -> None:
    """Compare executemany."""

    def insert_all(engine: Engine) -> Callable[[], object]:
        Base.metadata.create_all(engine)

        def work() -> None:
            with engine.connect() as connection:
                connection.execute(insert(Thing), BULK)

        return work

    compare(
        f"executemany of 100,000 rows, insert(), {place}",
        {name: insert_all(engine) for name, engine in engines.items()},
        runs=7,
    )


if __name__ == "__main__":
    main()
