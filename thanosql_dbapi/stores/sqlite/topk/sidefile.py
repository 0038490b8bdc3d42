"""A matrix in a file beside the database, mapped into memory: a new process need not read it anew.

``photos.db-thanosql3`` holds the vectors of column 3, rounded. Processes share its pages. It is
written whole under another name and then renamed, and it counts only with the mark of a log entry
that the database has: deleting it loses nothing, and an older one is not believed.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .change_log import Mark
from .matrix import Matrix
from .quantized import Quantized

_FORMAT = 1
_HEADER_BYTES = 4096
_ALIGNMENT = 64
_ABANDONED_S = 3600


def path_of(database: Path, column_id: int) -> Path:
    """Return the side file of a column."""
    return database.with_name(f"{database.name}-thanosql{column_id}")


class Writer:
    """Writes a side file as its vectors are read, so that they need not all be in memory.

    Args:
        database: The database's file; the side file may be read by whoever may read that.
        column_id: The column's number in the log.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, database: Path, column_id: int) -> None:
        self.database = database
        self.path = path_of(database, column_id)
        self._sweep()
        descriptor, name = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=database.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(bytes(_HEADER_BYTES))

    def _sweep(self) -> None:
        """Remove what processes that were killed while they wrote have left."""
        for left in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_S:
                    left.unlink()

    def append(self, codes: np.typing.NDArray[np.int8]) -> None:
        """Write the codes of the next rows."""
        self._file.write(codes.tobytes())

    def finish(self, matrix: Matrix) -> None:
        """Write the rest, and put the file in its place.

        Args:
            matrix: A matrix of the appended rows, with its mark; its own codes are not used.
        """
        with self._file as file:
            vectors = matrix.vectors
            for array in (matrix.row_ids, vectors.scale, vectors.error, vectors.length):
                file.write(bytes(-file.tell() % _ALIGNMENT))
                file.write(np.ascontiguousarray(array).tobytes())
            file.write(bytes(-file.tell() % _ALIGNMENT))
            file.write(vectors.mean.tobytes())
            assert matrix.mark is not None
            header = {
                "rows": len(matrix.row_ids),
                "dimension": len(vectors.mean),
                "mark": [matrix.mark.number, matrix.mark.token],
                "odd": sorted(matrix.odd),
                "is_even": matrix.is_even,
            }
            file.seek(0)
            file.write(_packed(header))
        shutil.copymode(self.database, self._temporary)
        self._temporary.replace(self.path)

    def close(self) -> None:
        """Leave no trace of a file that was not finished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def write(database: Path, column_id: int, matrix: Matrix) -> None:
    """Write a matrix that is in memory.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
        ValueError: It cannot be said in a header.
    """
    with writing(database, column_id) as writer:
        writer.append(matrix.vectors.codes)
        writer.finish(matrix)


@contextmanager
def writing(database: Path, column_id: int) -> Iterator[Writer]:
    """Give a writer that leaves no trace when the block fails or does not finish it."""
    writer = Writer(database, column_id)
    try:
        yield writer
    finally:
        writer.close()


def load(path: Path, dimension: int) -> Matrix | None:
    """Return the matrix of a side file, mapped; None where there is none that can be read.

    Args:
        path: The side file.
        dimension: Length of the vectors it must have.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        header = _unpacked(path)
        if header["dimension"] == dimension:
            return _mapped(path, header)
    return None


def _mapped(path: Path, header: dict[str, Any]) -> Matrix:
    rows, dimension = header["rows"], header["dimension"]
    position = _HEADER_BYTES
    arrays = []
    for kind, shape in (
        (np.int8, (rows, dimension)),
        (np.int64, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (dimension,)),
    ):
        position += -position % _ALIGNMENT
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        # A map of nothing is an error.
        array: Any = np.memmap(path, kind, "r", position, shape) if size else np.empty(shape, kind)
        arrays.append(np.asarray(array))
        position += size
    if path.stat().st_size != position:
        raise ValueError("the file is cut off")
    codes, row_ids, scale, error, length, mean = arrays
    vectors = Quantized(np.array(mean), codes, scale, error, length)
    odd = frozenset(header["odd"])
    return Matrix(Mark(*header["mark"]), row_ids, vectors, odd, header["is_even"])


def _packed(header: dict[str, Any]) -> bytes:
    text = json.dumps({"format": _FORMAT, **header}).encode()
    line = b"%08x %s\n" % (zlib.crc32(text), text)
    if len(line) > _HEADER_BYTES:
        raise ValueError("too many vectors that do not fit in")
    return line.ljust(_HEADER_BYTES, b"\0")


def _unpacked(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        line = file.read(_HEADER_BYTES).partition(b"\n")[0]
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the header is damaged")
    header: dict[str, Any] = json.loads(text)
    if header["format"] != _FORMAT:
        raise ValueError("the file is of another version")
    return header
