"""Vectors as values: ndarray in Python, a BLOB of little-endian float32 in SQLite.

The BLOB is sqlite-vec's compact format (https://alexgarcia.xyz/sqlite-vec/api-reference.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Union

from .errors import DataError, clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RowFactory = Callable[[sqlite3.Cursor, tuple[Any, ...]], Any]
Buffer = Union[bytes, bytearray, memoryview]


def to_vector(blob: Buffer) -> NDArray[np.float32]:
    r"""Return the vector that a BLOB holds.

    A column that CONVERT made is decoded without asking; this function is for aliased or computed
    values, which a fetch returns as bytes.

    Args:
        blob: Little-endian float32 numbers, 4 bytes each.

    Returns:
        float32 array (n,), read-only, sharing the memory of ``blob``.

    Raises:
        DataError: ``blob`` is not bytes, or its length is not a multiple of 4.

    Example:
        >>> to_vector(b"\x00\x00\x80?\x00\x00\x00@").tolist()
        [1.0, 2.0]
    """
    import numpy as np

    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise DataError(f"expected a vector as bytes, got {clip(blob)}")
    if memoryview(blob).nbytes % 4:
        raise DataError(f"a vector has 4 bytes a dimension, got {memoryview(blob).nbytes} bytes")
    return np.frombuffer(blob, dtype="<f4")


def from_vector(vector: Any) -> bytes:
    """Return the BLOB of a vector: anything numpy reads as one row of numbers.

    Raises:
        DataError: It is not one-dimensional, or no numbers.
    """
    import numpy as np

    try:
        array = np.asarray(vector, dtype="<f4")
    except (TypeError, ValueError) as error:
        raise DataError(f"expected a vector of numbers, got {clip(vector)}") from error
    if array.ndim != 1:
        raise DataError(f"a vector has one dimension, got an array of shape {array.shape}")
    return array.tobytes()


def register_adapter() -> None:
    """Let every sqlite3 connection bind a one-dimensional ndarray: it becomes its BLOB.

    An adapter that the program has registered for arrays stays: adapters belong to the process.
    """
    import numpy as np

    if (np.ndarray, sqlite3.PrepareProtocol) not in sqlite3.adapters:
        sqlite3.register_adapter(np.ndarray, from_vector)


class Decoder:
    """A row factory that makes vectors of some columns, then calls the user's own.

    Args:
        dimensions: Column index to length of its vectors. A value that is not a BLOB of that length
            stays as it is: another column may bear a vector column's name.
        row_factory: The user's row factory, or None for tuples.
    """

    __slots__ = ("_read", "_sizes", "dimensions", "row_factory")

    def __init__(self, dimensions: Mapping[int, int], row_factory: RowFactory | None) -> None:
        import numpy as np

        self.dimensions = dimensions
        self.row_factory = row_factory
        self._read = np.frombuffer
        self._sizes = [(index, 4 * dimension) for index, dimension in dimensions.items()]

    def __call__(self, cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Any:
        """Return the row with its vectors as arrays."""
        values = list(row)
        for index, size in self._sizes:
            value = values[index]
            if type(value) is bytes and len(value) == size:
                values[index] = self._read(value, "<f4")
        decoded = tuple(values)
        return decoded if self.row_factory is None else self.row_factory(cursor, decoded)
