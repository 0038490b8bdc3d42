"""The vectors of past queries: a text searched twice is embedded once.

The process remembers the latest, and a ``Store``, where it is given one, those of other processes.
A vector is known by its model's fingerprint, the device asked for, and what the model is
shown, so it is found before anything of the model is loaded, or torch imported.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .forking import Lock
from .protocol import Pixels

LIMIT = 4096
# Part of every key: another number forgets all vectors, e.g. when images are prepared otherwise.
VERSION = 2


class Store(Protocol):
    """Where vectors outlive the process; never raises."""

    def get(self, key: bytes) -> bytes | None:
        """Return the vector of a key, or None."""
        ...

    def put(self, key: bytes, vector: bytes) -> None:
        """Keep a vector, if possible."""
        ...


@dataclass(frozen=True)
class Query:
    """A text or an image, and the model that is to embed it.

    Attributes:
        fingerprint: The model's; an empty one may be any model's, and is not remembered.
        dimension: Length of its vectors.
        device: What the user asked for, such as ``"cpu"``; None is the best available.
        content: The text, or the image as the model sees it.
    """

    fingerprint: str
    dimension: int
    device: str | None
    content: str | Pixels

    def key(self) -> bytes:
        """Return the digest by which the vector is known, 32 bytes."""
        kind = "text" if isinstance(self.content, str) else f"image {self.content.shape}"
        head = (VERSION, self.fingerprint, self.device or "auto", kind)
        digest = hashlib.sha256("\0".join(map(str, head)).encode() + b"\0")
        if isinstance(self.content, str):
            digest.update(self.content.encode("utf-8", "surrogatepass"))
        else:
            digest.update(self.content.tobytes())
        return digest.digest()


class VectorCache:
    """A bounded map of key → float32 bytes; the vector unused for longest makes room.

    Args:
        limit: Vectors kept, 1 or more.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._vectors: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: bytes, compute: Callable[[], bytes]) -> bytes:
        """Return the vector of ``key``, computed now if it is not remembered."""
        with self._lock:
            found = self._vectors.get(key)
            if found is not None:
                self._vectors.move_to_end(key)
                return found
        vector = compute()  # outside the lock: it may load a model
        with self._lock:
            self._vectors[key] = vector
            self._vectors.move_to_end(key)
            while len(self._vectors) > self.limit:
                self._vectors.popitem(last=False)
        return vector

    def clear(self) -> None:
        """Forget every vector."""
        with self._lock:
            self._vectors.clear()


queries = VectorCache()


def query_vector(query: Query, store: Store | None, compute: Callable[[], bytes]) -> bytes:
    """Return a query's unit vector as float32 bytes, computed if nobody remembers it.

    Args:
        query: What is to be embedded.
        store: Where other processes' vectors are, or None for this process's alone.
        compute: Embeds it.
    """
    if not query.fingerprint:
        return compute()
    key = query.key()

    def find() -> bytes:
        found = store.get(key) if store is not None else None
        if found is not None and len(found) == 4 * query.dimension:
            return found
        vector = compute()
        if store is not None:
            store.put(key, vector)
        return vector

    return queries.get(key, find)
