"""An engine on a file with six photographs and a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Engine

registry.register("thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("sqlite.thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("thanosql.aiosqlite", "sqlalchemy_thanosql.aio", "ThanosqlDialectAsync")

IS_1_4 = sqlalchemy.__version__.startswith("1.")


@pytest.fixture
def open_engine() -> Iterator[Callable[..., Engine]]:
    """``create_engine`` in the style of 2.0, whose engines are disposed of at the end."""
    engines: list[Engine] = []

    def create(url: str, **options: Any) -> Engine:
        engines.append(create_engine(url, **({"future": True} if IS_1_4 else {}), **options))
        return engines[-1]

    yield create
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(open_engine: Callable[..., Engine], tmp_path: Path) -> Engine:
    """An engine on an empty file."""
    return open_engine(f"thanosql:///{tmp_path}/test.db")


@pytest.fixture
def photo_engine(open_engine: Callable[..., Engine], workspace: Path) -> Engine:
    """An engine on a file with the table ``photos``, converted in place, and the model ``m``."""
    engine = open_engine(f"thanosql:///{workspace}/photos.db?progress=false")
    with engine.begin() as connection:
        for statement in (
            "COPY photos FROM 'photos.csv'",
            "UPLOAD MODEL m FROM 'tiny_clip'",
            "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos",
        ):
            connection.execute(text(statement))
    return engine
