"""The vectors of past queries: a text searched twice is embedded once.

The process remembers the latest, and a ``Store``, where it is given one, those of other processes.
A vector is known by its model's fingerprint, the device asked for, and what the model is
shown, so it is found before anything of the model is loaded, or torch imported.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .forking import Lock
from .protocol import Pixels

Compute = Callable[[Sequence[int]], list[bytes]]

LIMIT = 4096
# Part of every key: another number forgets all vectors, e.g. when images are prepared otherwise.
VERSION = 2


class Store(Protocol):
    """Where vectors outlive the process; never raises."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors of keys, of those that are there."""
        ...

    def put(self, vectors: Mapping[bytes, bytes]) -> None:
        """Keep vectors by their keys, if possible."""
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

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors of keys, of those that are remembered."""
        with self._lock:
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in found:
                self._vectors.move_to_end(key)
        return found

    def put(self, vectors: Mapping[bytes, bytes]) -> None:
        """Remember vectors by their keys."""
        with self._lock:
            for key, vector in vectors.items():
                self._vectors[key] = vector
                self._vectors.move_to_end(key)
            while len(self._vectors) > self.limit:
                self._vectors.popitem(last=False)

    def clear(self) -> None:
        """Forget every vector."""
        with self._lock:
            self._vectors.clear()


queries = VectorCache()


def query_vectors(asked: Sequence[Query], store: Store | None, compute: Compute) -> list[bytes]:
    """Return the unit vectors of queries as float32 bytes, computed if nobody remembers them.

    Args:
        asked: What is to be embedded, by one model.
        store: Where other processes' vectors are, or None for this process's alone.
        compute: Embeds those of some places, in one go.
    """
    if not all(query.fingerprint for query in asked):
        return compute(range(len(asked)))
    keys = [query.key() for query in asked]
    known = queries.get(keys)
    missing = {key: place for place, key in enumerate(keys) if key not in known}
    if missing and store is not None:
        size = 4 * asked[0].dimension
        stored = store.get(list(missing))
        fresh = {key: vector for key, vector in stored.items() if len(vector) == size}
        queries.put(fresh)
        known |= fresh
        missing = {key: place for key, place in missing.items() if key not in fresh}
    if missing:
        # Outside of all locks: it may load a model.
        made = dict(zip(missing, compute(list(missing.values())), strict=True))
        queries.put(made)
        if store is not None:
            store.put(made)
        known |= made
    return [known[key] for key in keys]
