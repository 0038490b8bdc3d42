"""Rows in parts, what reading their sources gave, and the batches that come of it.

A part goes to whatever reads and embeds sources, a thread, a process or another machine; what comes
back is a :class:`Read` for each of its sources. All of it can be pickled. What needs the database
is asked of ``Known``, where the statement runs.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import MediaError, OperationalError, ProgrammingError, WorkspaceError, clip
from ..models.protocol import AnyEncoder, Pixels, Vectors
from .known import Content, FileFacts, Known, Lookup

K = TypeVar("K")

# A batch of images that are BLOBs ends early when the files alone take this much.
BATCH_BYTES = 64 << 20

ReadError = MediaError | WorkspaceError


class _KeepsCauses:
    """Pickles ``error`` with its causes, which exceptions lose."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "error": _chain(self.__dict__["error"])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        chain = state["error"]
        for error, cause in pairwise(chain):
            error.__cause__ = cause
        self.__dict__.update(state, error=chain[0] if chain else None)


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and its causes, up to one that cannot be pickled."""
    chain: list[BaseException] = []
    while error is not None:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            break
        chain.append(error)
        error = error.__cause__
    return chain


@dataclass(frozen=True)
class Failure(_KeepsCauses, Generic[K]):
    """A row whose source could not be read.

    Attributes:
        key: The row.
        source: Its source, as the row has it.
        error: Why: a MediaError, or a WorkspaceError where the path may not be read.
    """

    key: K
    source: object
    error: ReadError


@dataclass
class Read(_KeepsCauses):
    """What reading a source gave; one of ``pixels``, ``vector`` and ``error``, or none of them.

    None of them is for a source whose rows have their vector already.

    Attributes:
        content: What the source holds, where that can be told.
        pixels: What the model is to embed.
        vector: Its vector, float32, unit length.
        is_made: Whether the model made the vector; else it was known.
        remarks: What is to be said of a picture or film that is there in part.
        error: Why it could not be read.
    """

    content: Content | None = None
    pixels: Pixels | None = None
    vector: bytes | None = None
    is_made: bool = False
    remarks: list[str] = field(default_factory=list)
    error: ReadError | None = None


@dataclass
class Batch(Generic[K]):
    """What became of some consecutive rows; each is in exactly one of the first four lists.

    Attributes:
        keys: The rows that have a vector now.
        vectors: float32 array (n, dimension), unit length, row i is ``keys[i]``.
        failures: The rows that could not be read.
        empty: The rows whose source is NULL.
        unchanged: The rows that have the vector of their content already.
        contents: The rows' contents, as far as they are known.
        files: The files that were read for a digest.
        made: Contents and the vectors that the model made of them; the other vectors were known.
        reused: How many rows got a vector that was known.
        remarks: What is to be said of sources that are there in part.
        device: What computed, e.g. ``"cpu"`` or ``"cuda:0"``.
        dtype: The numbers it computed with, e.g. ``"float32"``.
    """

    keys: list[K]
    vectors: Vectors
    failures: list[Failure[K]] = field(default_factory=list)
    empty: list[K] = field(default_factory=list)
    unchanged: list[K] = field(default_factory=list)
    contents: dict[K, bytes] = field(default_factory=dict)
    files: list[FileFacts] = field(default_factory=list)
    made: list[tuple[bytes, bytes]] = field(default_factory=list)
    reused: int = 0
    remarks: list[str] = field(default_factory=list)
    device: str = ""
    dtype: str = ""

    def __len__(self) -> int:
        return len(self.keys) + len(self.failures) + len(self.empty) + len(self.unchanged)

    @classmethod
    def of(cls, encoder: AnyEncoder) -> Batch[K]:
        """Return an empty batch of an encoder."""
        none = np.empty((0, encoder.dimension), np.float32)
        return cls([], none, device=encoder.device, dtype=encoder.dtype)


class Part(Generic[K]):
    """Some consecutive rows; a source that several of them name is read once.

    Args:
        rows: Pairs of a key and a source; None is no source.

    Attributes:
        rows: The rows.
        sources: The sources to read, by the position of the first row that names them.
    """

    def __init__(self, rows: list[tuple[K, object]]) -> None:
        self.rows = rows
        self.sources: dict[int, object] = {}
        self._same: dict[int, int] = {}  # position of a row → that of the first with its source
        self._keys: dict[int, list[K]] = {}
        first: dict[object, int] = {}
        for position, (key, source) in enumerate(rows):
            if source is None:
                continue
            is_plain = isinstance(source, (str, bytes))
            at = first.setdefault(source, position) if is_plain else position
            self.sources.setdefault(at, source)
            self._same[position] = at
            self._keys.setdefault(at, []).append(key)

    def lookup(self, position: int, known: Known, dimension: int) -> Lookup:
        """Return what tells whether a source need not be decoded.

        Args:
            position: Of the source in :attr:`sources`.
            known: What is known.
            dimension: Length of the model's vectors.
        """
        return Lookup(known, self._keys[position], dimension)

    def batch(self, reads: Mapping[int, Read], known: Known, batch: Batch[K]) -> Batch[K]:
        """Put into an empty batch what became of the rows, and return it.

        Args:
            reads: What reading :attr:`sources` gave, their pixels embedded.
            known: What is known.
            batch: The empty batch.
        """
        found: list[bytes] = []
        for position, (key, source) in enumerate(self.rows):
            if source is None:
                batch.empty.append(key)
                continue
            read = reads[self._same[position]]
            if read.error is not None:
                batch.failures.append(Failure(key, source, read.error))
                continue
            if read.content is not None:
                batch.contents[key] = read.content.key
                if known.has(key, read.content.key):
                    batch.unchanged.append(key)
                    continue
            assert read.vector is not None
            batch.keys.append(key)
            found.append(read.vector)
            batch.reused += not read.is_made
        for read in reads.values():
            batch.remarks += read.remarks
            if read.content is None:
                continue
            if read.content.file is not None:
                batch.files.append(read.content.file)
            if read.is_made and read.vector is not None:
                batch.made.append((read.content.key, read.vector))
        if found:
            batch.vectors = np.frombuffer(b"".join(found), "<f4").reshape(len(found), -1)
        return batch


def embed_reads(encoder: AnyEncoder, reads: Iterable[Read]) -> None:
    """Have the model embed the pixels of what was read; the vectors take their place."""
    waiting = [read for read in reads if read.pixels is not None]
    pixels = [read.pixels for read in waiting if read.pixels is not None]
    if not pixels:
        return
    for read, vector in zip(waiting, encoder.embed_pixels(pixels), strict=True):
        read.vector, read.is_made, read.pixels = vector.astype("<f4").tobytes(), True, None


def cut(rows: Iterable[tuple[K, object]], size: int) -> Generator[list[tuple[K, object]]]:
    """Cut rows into parts, without taking a row before its part is asked for."""
    part: list[tuple[K, object]] = []
    held = 0
    for row in rows:
        part.append(row)
        held += len(row[1]) if isinstance(row[1], bytes) else 0
        if len(part) == size or held >= BATCH_BYTES:
            yield part
            part, held = [], 0
    if part:
        yield part


def unreadable(kind: str, source: object, error: Exception) -> MediaError:
    """Return the error of a row for whatever was raised as its source was read.

    Args:
        kind: ``"image"`` or ``"video"``.
        source: The source.
        error: What was raised.
    """
    why = "not enough memory" if isinstance(error, MemoryError) else clip(str(error), 200)
    failure = MediaError(f"{kind} {clip(source)} cannot be read: {type(error).__name__}: {why}")
    failure.__cause__ = error
    return failure


def require_files(error: BaseException) -> None:
    """Raise OperationalError where an image cannot be opened because too many files are.

    That says nothing of the image: its vector must not become NULL for it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            raise OperationalError(
                f"images cannot be opened: {cause.strerror}; close some files or raise the limit"
                " (ulimit -n), and run the statement again"
            ) from error
        cause = cause.__cause__ or cause.__context__


def checked_size(batch_size: object, default: int) -> int:
    """Return the rows a batch, the default where none are given.

    Raises:
        ProgrammingError: It is not a whole number, 1 or more.
    """
    if batch_size is None:
        return default
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ProgrammingError(f"batch_size must be 1 or more, got {clip(batch_size)}")
    return batch_size
