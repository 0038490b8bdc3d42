"""SQLAlchemy over thanosql_dbapi: ``create_engine("thanosql:///photos.db")``.

Everything of SQLAlchemy's SQLite dialect works; on top come the type :class:`Vector`, the
functions ``embed_text``, ``embed_image`` and ``cosine_similarity``, and the statements
``search_image``, ``search_text``, ``convert``, ``predict`` and ``evaluate``. SQLAlchemy 1.4.54,
2.0 and 2.1.
"""

from __future__ import annotations

from .dialect import ThanosqlDialect
from .functions import cosine_similarity, embed_image, embed_text
from .statements import convert, evaluate, predict, search_image, search_text
from .types import Vector

__all__ = [
    "ThanosqlDialect",
    "Vector",
    "convert",
    "cosine_similarity",
    "embed_image",
    "embed_text",
    "evaluate",
    "predict",
    "search_image",
    "search_text",
]
