"""SQLAlchemy's tests for third-party dialects, as they are."""

from __future__ import annotations

from sqlalchemy.testing.suite import *  # noqa: F403
