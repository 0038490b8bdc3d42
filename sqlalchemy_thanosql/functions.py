"""The SQL functions of the driver as SQLAlchemy functions with types.

Importing the package also makes them known to ``sqlalchemy.func``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, LargeBinary, String, literal
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine

from .types import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _VectorFunction = GenericFunction[NDArray[np.float32]]
    _FloatFunction = GenericFunction[float]
else:
    _VectorFunction = _FloatFunction = GenericFunction


class embed_text(_VectorFunction):  # noqa: N801 - SQL's spelling
    """``embed_text(model, text)``: the embedding of a text.

    Args:
        model: Name of a registered model, or an SQL expression.
        text: The text, or an SQL expression; NULL gives NULL.

    Example:
        >>> print(embed_text("clip", "a black cat"))
        embed_text(:embed_text_1, :embed_text_2)
    """

    name = "embed_text"
    inherit_cache = True
    type = Vector()

    def __init__(self, model: Any, text: Any, **kw: Any) -> None:
        super().__init__(_bound(model, String()), _bound(text, String()), **kw)


class embed_image(_VectorFunction):  # noqa: N801 - SQL's spelling
    """``embed_image(model, image)``: the embedding of an image.

    Args:
        model: Name of a registered model, or an SQL expression.
        image: Path, http(s) URL or bytes of an image, or an SQL expression; NULL gives NULL.
    """

    name = "embed_image"
    inherit_cache = True
    type = Vector()

    def __init__(self, model: Any, image: Any, **kw: Any) -> None:
        if isinstance(image, os.PathLike):
            image = os.fspath(image)
        is_blob = isinstance(image, (bytes, bytearray, memoryview))
        kind: TypeEngine[Any] = LargeBinary() if is_blob else String()
        super().__init__(_bound(model, String()), _bound(image, kind), **kw)


class cosine_similarity(_FloatFunction):  # noqa: N801 - SQL's spelling
    """``cosine_similarity(a, b)``: the cosine of the angle between two vectors, -1 to 1.

    Args:
        one: A column or other SQL expression; or an array, list or BLOB.
        other: Likewise. A value must have the length of the other side's ``Vector(dim)``.
    """

    name = "cosine_similarity"
    inherit_cache = True
    type = Float()

    def __init__(self, one: Any, other: Any, **kw: Any) -> None:
        dim = _dimension(one) or _dimension(other)
        super().__init__(_bound(one, Vector(dim)), _bound(other, Vector(dim)), **kw)


def _bound(value: Any, kind: TypeEngine[Any]) -> Any:
    """Return an SQL expression as it is, and a value as a bound parameter of that type."""
    if isinstance(value, ClauseElement) or hasattr(value, "__clause_element__"):
        return value
    return literal(value, kind)


def _dimension(value: Any) -> int | None:
    if hasattr(value, "__clause_element__"):
        value = value.__clause_element__()
    kind = getattr(value, "type", None)
    return kind.dim if isinstance(kind, Vector) else None
