"""SQLAlchemy's own pytest plugin; ``run.py`` is what starts this folder's tests."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import registry

registry.register("thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("sqlite.thanosql", "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
registry.register("thanosql.aiosqlite", "sqlalchemy_thanosql.aio", "ThanosqlDialectAsync")

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403
