"""The vectors of past queries: a text searched twice is embedded once in a process."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from .encoder import AnyEncoder

if TYPE_CHECKING:
    from PIL.Image import Image

LIMIT = 4096

Key = tuple[str, ...]


class VectorCache:
    """A bounded map of key → float32 bytes; the vector unused for longest makes room.

    Args:
        limit: Vectors kept, 1 or more.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._vectors: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: Key, compute: Callable[[], bytes]) -> bytes:
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


def text_vector(encoder: AnyEncoder, text: str) -> bytes:
    """Return a text's unit vector as float32 bytes, remembered for the process.

    Raises:
        ModelError: See ``clip.Encoder.embed_texts``.
    """
    key = (encoder.fingerprint, encoder.device, "text", text)
    if not encoder.fingerprint:  # an unnamed model may be any
        return encoder.embed_texts([text]).tobytes()
    return queries.get(key, lambda: encoder.embed_texts([text]).tobytes())


def image_vector(encoder: AnyEncoder, image: Image) -> bytes:
    """Return an RGB image's unit vector as float32 bytes, remembered by its pixels.

    Raises:
        ModelError: See ``clip.Encoder.embed_pixels``.
    """
    if not encoder.fingerprint:
        return encoder.embed_images([image]).tobytes()
    digest = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
    key = (encoder.fingerprint, encoder.device, "image", digest)
    return queries.get(key, lambda: encoder.embed_images([image]).tobytes())
