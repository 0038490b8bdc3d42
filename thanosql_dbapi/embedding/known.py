"""What may be known of a source before it is decoded; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class FileFacts(NamedTuple):
    """A file that was read.

    Attributes:
        path: Its path, absolute, links resolved.
        size: Bytes.
        mtime_ns: The time of its last change, in nanoseconds since 1970.
        inode: Its number in the file system.
        digest: SHA-256 of its content.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int
    digest: bytes


@dataclass(frozen=True)
class Content:
    """What a source holds.

    Attributes:
        key: A digest of the model and the content.
        file: The file that was read, or None.
    """

    key: bytes
    file: FileFacts | None = None


class Known(Protocol):
    """Knows vectors by the content of sources; used by several threads at once."""

    def has(self, key: Any, content: bytes) -> bool:
        """Return whether a row has the vector of this content already."""
        ...

    def vector(self, content: bytes) -> bytes | None:
        """Return the float32 vector of a content, or None."""
        ...


class KnowsNothing:
    """Every source is embedded."""

    def has(self, key: Any, content: bytes) -> bool:  # noqa: D102 - Known has it
        return False

    def vector(self, content: bytes) -> bytes | None:  # noqa: D102
        return None


KNOWS_NOTHING = KnowsNothing()


class Lookup:
    """Says whether the rows of one source can do without decoding it.

    Args:
        known: What is known.
        keys: The rows.
        dimension: Length of the model's vectors.

    Attributes:
        vector: The vector that was found for the rows that have none, or None.
    """

    def __init__(self, known: Known, keys: list[Any], dimension: int) -> None:
        self._known, self._keys, self._bytes = known, keys, 4 * dimension
        self.vector: bytes | None = None

    def __call__(self, content: bytes) -> bool:
        """Return whether each row has the vector of a content, or its vector is known."""
        if all(self._known.has(key, content) for key in self._keys):
            return True
        vector = self._known.vector(content)
        if vector is None or len(vector) != self._bytes:
            return False
        self.vector = vector
        return True
