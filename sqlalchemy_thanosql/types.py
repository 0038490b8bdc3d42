"""Vector: a column of embeddings as a SQLAlchemy type, an ndarray in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Union

from sqlalchemy import func
from sqlalchemy.types import UserDefinedType

from thanosql_dbapi.errors import clip
from thanosql_dbapi.vectors import to_vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.elements import ColumnElement

    _VectorBase = UserDefinedType[NDArray[np.float32]]
else:
    _VectorBase = UserDefinedType  # SQLAlchemy 1.4's cannot be subscripted

VectorLike = Union["NDArray[Any]", Sequence[float], bytes]
"""What binds as a vector: an array or list of numbers, or the BLOB itself."""


class Vector(_VectorBase):
    """A column of vectors of one length, ``VECTOR(512)`` in DDL.

    The database holds BLOBs of little-endian float32 numbers, sqlite-vec's format. Values bind
    from arrays, lists and BLOBs; a fetch gives one-dimensional read-only float32 arrays.

    Args:
        dim: Numbers in a vector, >= 1; None for any length.
        as_list: Fetch lists of floats instead of arrays.

    Raises:
        ValueError: ``dim`` is not a positive integer.
        TypeError: ``as_list`` is not True or False.

    Example:
        >>> import sqlalchemy
        >>> print(sqlalchemy.schema.CreateColumn(sqlalchemy.Column("emb", Vector(512))))
        emb VECTOR(512)
    """

    cache_ok = True
    hashable = False  # arrays are not; the ORM must not put them into sets

    class comparator_factory(UserDefinedType.Comparator):  # type: ignore[type-arg]  # noqa: N801
        """What a Vector column offers besides SQL's own operators."""

        def cosine_similarity(self, other: Any) -> ColumnElement[float]:
            """Return the SQL expression of the cosine between this vector and another.

            Args:
                other: An array, list or BLOB; another column; ``embed_text(…)``.

            Returns:
                A Float expression, -1 to 1, NULL where either vector is NULL.
            """
            # By its name: the module functions imports this one.
            found: ColumnElement[float] = func.cosine_similarity(self.expr, other)
            return found

    def __init__(self, dim: int | None = None, as_list: bool = False) -> None:
        if dim is not None and (type(dim) is not int or dim < 1):
            raise ValueError(f"dim must be a positive integer or None, got {clip(dim)}")
        if type(as_list) is not bool:  # a reflected VECTOR(3, 4): what SQLAlchemy reports itself
            raise TypeError(f"as_list must be True or False, got {clip(as_list)}")
        self.dim = dim
        self.as_list = as_list

    @property
    def python_type(self) -> type[Any]:
        """``numpy.ndarray``, or ``list`` with ``as_list``."""
        import numpy as np

        return list if self.as_list else np.ndarray

    def get_col_spec(self, **kw: Any) -> str:
        """Return the declared type."""
        return "VECTOR" if self.dim is None else f"VECTOR({self.dim})"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], bytes | None]:
        """Return what makes a bound value a BLOB."""
        return self._blob

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return what writes a value into SQL text."""

        def literal(value: Any) -> str:
            blob = self._blob(value)
            return "NULL" if blob is None else f"X'{blob.hex()}'"

        return literal

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what makes a fetched BLOB an array, and an array a list if that is asked for."""

        def array(value: Any) -> Any:
            # A value that is not a vector is kept: SQLite keeps any value in any column.
            is_blob = isinstance(value, bytes) and len(value) % 4 == 0
            return to_vector(value) if is_blob else value

        def numbers(value: Any) -> Any:
            vector = array(value)
            # The driver itself has made an array of a column that CONVERT filled.
            return vector.tolist() if hasattr(vector, "tolist") else vector

        return numbers if self.as_list else array

    def compare_values(self, x: Any, y: Any) -> bool:
        """Return whether two values are the same vector, for the ORM's history."""
        import numpy as np

        if x is None or y is None:
            return x is y
        return np.array_equal(_as_array(x), _as_array(y))

    def compare_against_backend(self, dialect: Dialect, conn_type: Any) -> bool | None:
        """Return, for Alembic, whether the database's type differs: a length left open does not."""
        if isinstance(conn_type, Vector):
            return None not in (self.dim, conn_type.dim) and self.dim != conn_type.dim
        return None

    def _blob(self, value: Any) -> bytes | None:
        import numpy as np

        if value is None:
            return None
        array = _as_array(value)
        length = "any length" if self.dim is None else f"length {self.dim}"
        if array.ndim != 1:
            raise ValueError(f"expected a vector of {length}, got an array of shape {array.shape}")
        if self.dim is not None and len(array) != self.dim:
            raise ValueError(
                f"expected a vector of length {self.dim}, got one of length {len(array)}"
            )
        finite = np.isfinite(array)
        if not finite.all():
            index = int(np.argmin(finite))
            raise ValueError(
                f"expected a vector of {length} of finite numbers, got one of length {len(array)}"
                f" with {array[index]} at index {index}"
            )
        return array.tobytes()


def _as_array(value: Any) -> NDArray[np.float32]:
    import numpy as np

    if isinstance(value, (bytes, bytearray, memoryview)):
        return to_vector(value)
    if isinstance(value, str):
        raise ValueError(f"expected a vector as array or list of numbers, got {clip(value)}")
    try:
        return np.asarray(value, dtype="<f4")
    except (TypeError, ValueError):
        raise ValueError(
            f"expected a vector as array or list of numbers, got {clip(value)}"
        ) from None
