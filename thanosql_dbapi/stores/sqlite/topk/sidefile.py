"""A matrix in a file beside the database, mapped into memory: a new process reads no vectors.

``photos.db-thanosql3`` holds the rounded vectors of column 3. Processes share its pages. A writer
writes a temporary file and renames it. The side file is a best-effort cache: deleting it loses
nothing. A reader uses it only where its :class:`Origin` is that of the database: the same schema
version, the same file (device and inode), and a change counter that has not gone back.
"""

from __future__ import annotations

import glob
import json
import mmap
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .change_log import Mark
from .matrix import Matrix
from .quantized import Quantized

_FORMAT = 2
_HEADER_BYTES = 4096
_ALIGNMENT = 64
_ABANDONED_S = 3600
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Origin:
    """The database that a side file belongs to.

    Attributes:
        device: Device of the database file.
        inode: Its inode.
        changes: The change counter of its header; SQLite adds 1 at each commit in rollback mode.

    Source: https://www.sqlite.org/fileformat2.html#file_change_counter
    """

    device: int
    inode: int
    changes: int


def origin_of(database: Path, identity: tuple[int, int]) -> Origin | None:
    """Return the origin of an open database; None where it cannot be known.

    POSIX drops all of a process's locks on a file when the process closes any descriptor of it
    (https://www.sqlite.org/howtocorrupt.html, 2.2). So this reads from the descriptor that SQLite
    has open.

    Args:
        database: The file.
        identity: The device and the inode of the file that the connection opened.
    """
    with suppress(OSError, ValueError):
        if os.name == "nt":
            with database.open("rb") as file:
                header = file.read(28)
            return Origin(*identity, int.from_bytes(header[24:28], "big"))
        for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            with suppress(OSError):
                if _identity(number) == identity:
                    header = os.pread(number, 28, 0)
                    # Another thread may have closed it meanwhile.
                    if header.startswith(_MAGIC) and _identity(number) == identity:
                        return Origin(*identity, int.from_bytes(header[24:28], "big"))
    return None


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def path_of(database: Path, column_id: int) -> Path:
    """Return the side file of a column."""
    return database.with_name(f"{database.name}-thanosql{column_id}")


class Writer:
    """Writes a side file as its vectors are read, so that they need not all be in memory.

    Args:
        database: The database's file; the side file gets its permissions.
        column_id: The column's number in the log.
        origin: The database's, read before the vectors or in the same snapshot.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, database: Path, column_id: int, origin: Origin) -> None:
        self.database = database
        self.origin = origin
        self.path = path_of(database, column_id)
        self._sweep()
        descriptor, name = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=database.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(bytes(_HEADER_BYTES))

    def _sweep(self) -> None:
        """Remove the temporary files of processes that were killed."""
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
                "outliers": sorted(matrix.outliers),
                "is_uniform": matrix.is_uniform,
                "cookie": matrix.cookie,
                "origin": asdict(self.origin),
            }
            file.seek(0)
            file.write(_packed(header))
        shutil.copymode(self.database, self._temporary)
        self._temporary.replace(self.path)

    def close(self) -> None:
        """Remove the temporary file, where it was not finished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def write(database: Path, column_id: int, origin: Origin, matrix: Matrix) -> None:
    """Write a matrix that is in memory.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
        ValueError: The header would be too long.
    """
    with writing(database, column_id, origin) as writer:
        writer.append(matrix.vectors.codes)
        writer.finish(matrix)


@contextmanager
def writing(database: Path, column_id: int, origin: Origin) -> Iterator[Writer]:
    """Give a writer; a file that the block does not finish is removed."""
    writer = Writer(database, column_id, origin)
    try:
        yield writer
    finally:
        writer.close()


def load(path: Path, dimension: int, cookie: int, origin: Origin) -> Matrix | None:
    """Return the matrix of a side file, mapped; None where the file is unusable.

    Args:
        path: The side file.
        dimension: Length of the vectors it must have.
        cookie: The schema version it must have.
        origin: The database's origin now.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        header = _unpacked(path)
        written = Origin(**header["origin"])
        is_same = (written.device, written.inode) == (origin.device, origin.inode)
        is_later = written.changes <= origin.changes
        if is_same and is_later and (header["dimension"], header["cookie"]) == (dimension, cookie):
            return _mapped(path, header)
    return None


def _mapped(path: Path, header: dict[str, Any]) -> Matrix:
    rows, dimension = header["rows"], header["dimension"]
    with path.open("rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_WILLNEED"):
        # The first search reads all of it. Page by page, a file that is not in memory takes twice
        # as long.
        with suppress(OSError):
            whole.madvise(mmap.MADV_WILLNEED)
    position = _HEADER_BYTES
    arrays: list[Any] = []
    for kind, shape in (
        (np.int8, (rows, dimension)),
        (np.int64, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (rows,)),
        (np.float32, (dimension,)),
    ):
        position += -position % _ALIGNMENT
        arrays.append(np.ndarray(shape, kind, whole, position))
        position += arrays[-1].nbytes
    if len(whole) != position:
        raise ValueError("the file is cut off")
    codes, row_ids, scale, error, length, mean = arrays
    vectors = Quantized(np.array(mean), codes, scale, error, length)
    outliers = frozenset(header["outliers"])
    is_uniform, cookie = header["is_uniform"], header["cookie"]
    return Matrix(Mark(*header["mark"]), row_ids, vectors, outliers, is_uniform, cookie)


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
