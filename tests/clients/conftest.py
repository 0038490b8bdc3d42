"""An engine on a file with six converted photographs, for the packages that take one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Engine

import thanosql_dbapi

registry.register("thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("sqlite.thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("thanosql.aiosqlite", "sqlalchemy_thanosql.aio", "ThanosqlDialectAsync")


@pytest.fixture
def photo_engine(converted: thanosql_dbapi.Connection, workspace: Path) -> Iterator[Engine]:
    """An engine on ``photos.db``: the table ``photos``, converted in place, and the model ``m``."""
    converted.commit()
    engine = sqlalchemy.create_engine(f"thanosql:///{workspace}/photos.db?progress=false")
    yield engine
    engine.dispose()
