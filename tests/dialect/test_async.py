"""The async engine: the same dialect, with each connection in a thread of aiosqlite."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Column, Integer, String, inspect, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, ProgrammingError
from sqlalchemy.orm import declarative_base
from sqlalchemy.pool import StaticPool

import thanosql_dbapi
from sqlalchemy_thanosql import Vector, embed_image, search_image

pytest.importorskip("aiosqlite", reason="the extra `async` is not installed")
pytest.importorskip("greenlet", reason="the extra `async` is not installed")
asyncio_of_sqlalchemy = pytest.importorskip("sqlalchemy.ext.asyncio")

IS_1_4 = sqlalchemy.__version__.startswith("1.")
SCHEME = "thanosql+aiosqlite"
BLACK = "images/black.png"

Base = declarative_base()


class Photo(Base):
    __tablename__ = "photos"

    photo_id = Column(String, primary_key=True)
    image_path = Column(String)
    caption = Column(String)
    m_clipen = Column(Vector(24))


class Point(Base):
    __tablename__ = "points"

    id = Column(Integer, primary_key=True)
    place = Column(Vector(2))


@asynccontextmanager
async def opened(url: str, **options: Any):
    engine = asyncio_of_sqlalchemy.create_async_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


def run(work: Callable[[Any], Any], url: str, **options: Any) -> None:
    async def main() -> None:
        async with opened(url, **options) as engine:
            await work(engine)

    asyncio.run(main())


@pytest.mark.parametrize(
    "scheme",
    [
        SCHEME,
        *(
            pytest.param(name, marks=pytest.mark.skipif(IS_1_4, reason="SQLAlchemy 2 looks it up"))
            for name in ("thanosql", "sqlite+thanosql")
        ),
    ],
)
def test_the_schemes_open_the_driver(tmp_path, scheme):
    (tmp_path / "work").mkdir()

    async def work(engine):
        assert (engine.dialect.name, engine.dialect.is_async) == ("sqlite", True)
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver_connection = raw.driver_connection._conn
            assert isinstance(driver_connection, thanosql_dbapi.Connection)
            assert driver_connection.workspace == tmp_path / "work"
            assert driver_connection.settings.device == "cpu"

    run(work, f"{scheme}:///{tmp_path}/x.db?workspace={tmp_path}/work&device=cpu")


def test_statements_of_ours_and_the_orm(photo_engine):
    async def work(engine):
        async with asyncio_of_sqlalchemy.AsyncSession(engine) as session:
            similarity = Photo.m_clipen.cosine_similarity(embed_image("m", BLACK))
            photo = (await session.execute(select(Photo).order_by(similarity.desc()))).scalars()
            assert photo.first().image_path == BLACK
            found = await session.execute(search_image("m", image=BLACK, query=Photo, top_k=2))
            assert found.first().image_path == BLACK
            with pytest.raises(ProgrammingError, match="SEARCH IMAGE: unknown option 'serch_by'"):
                await session.execute(
                    text("SEARCH IMAGE USING m OPTIONS (serch_by='text') AS SELECT * FROM photos")
                )
            with pytest.raises(DatabaseError, match=r"none\.png"):
                await session.execute(search_image("m", image="none.png", query=Photo))

    run(work, str(photo_engine.url).replace("thanosql:", f"{SCHEME}:"))


def test_transactions_and_savepoints(tmp_path):
    async def work(engine):
        async with engine.connect() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.rollback()
            assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == []
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with asyncio_of_sqlalchemy.AsyncSession(engine) as session:
            session.add(Point(place=[1, 2]))
            await session.flush()
            async with session.begin_nested() as savepoint:
                session.add(Point(place=[3, 4]))
                await session.flush()
                await savepoint.rollback()
            await session.commit()
        async with engine.connect() as connection:
            rows = (await connection.execute(select(Point.place))).scalars().all()
            assert [row.tolist() for row in rows] == [[1, 2]]

    run(work, f"{SCHEME}:///{tmp_path}/x.db")


def test_autocommit(tmp_path):
    async def work(engine):
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("CREATE TABLE t (a)"))
            await connection.rollback()
            assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == ["t"]

    run(work, f"{SCHEME}:///{tmp_path}/x.db")


def test_tasks_run_beside_each_other(tmp_path):
    async def add(engine, number):
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})

    async def work(engine):
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE t (a)"))
        await asyncio.gather(*(add(engine, number) for number in range(20)))
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 20

    run(work, f"{SCHEME}:///{tmp_path}/x.db?isolation_level=IMMEDIATE&timeout=60")


def test_tasks_share_one_memory():
    async def work(engine):
        assert isinstance(engine.sync_engine.pool, StaticPool)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE t (a)"))
        async with engine.connect() as connection:
            assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == ["t"]

    run(work, f"{SCHEME}://")


def test_a_slip_in_the_options_is_named():
    with pytest.raises(ArgumentError, match="unknown option 'devise'; did you mean 'device'"):
        asyncio_of_sqlalchemy.create_async_engine(f"{SCHEME}:///x.db?devise=cpu")


def test_without_aiosqlite_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    want = (
        "an async engine needs the package aiosqlite, which is not installed:"
        " pip install 'thanosql-dbapi[async]'"
    )
    with pytest.raises(ModuleNotFoundError, match=re.escape(want)):
        asyncio_of_sqlalchemy.create_async_engine(f"{SCHEME}://")
