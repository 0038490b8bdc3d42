"""The pictures of a table's rows, made small: the only files that the pages show anything of.

A picture is asked for by table, column and row, never by a path. What the row holds is data from
outside: a path in it is confined as in a statement, and what is sent is a JPEG made of the decoded
picture, so no byte of a file leaves as it is, EXIF with its places neither.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...embedding.images import open_image
from ...errors import MediaError, WorkspaceError
from ...opening import is_url
from ...settings import Settings
from ..thumbnails import thumbnail
from .asking import RefusedError

WIDTHS = (480, 1600)
"""The widths that a picture may be asked for, in pixels."""

_CACHE_BYTES = 64 * 2**20
_BESIDE = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Sent:
    """A picture as it is sent.

    Attributes:
        jpeg: A JPEG file.
        tag: Tells it from others, for HTTP's ETag.
    """

    jpeg: bytes
    tag: str


class Pictures:
    """Makes pictures small, in threads of its own, and keeps the last of them.

    Attributes:
        pool: Where :meth:`small` is to be called.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(
            min(4, os.cpu_count() or 1), thread_name_prefix="thanosql-pictures"
        )
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def small(self, settings: Settings, database: str, source: object, width_px: int) -> Sent:
        """Return what a row's value shows, at most this wide.

        Args:
            settings: Those of the database's connections.
            database: The database's file, of which nothing is shown.
            source: A path, or the bytes of an image file.
            width_px: One of ``WIDTHS``.

        Raises:
            RefusedError: 403 for what may not be shown, 404 for what is no picture.
        """
        if isinstance(source, str):
            if is_url(source) and not source.lower().startswith("file:"):
                raise RefusedError(404, "picture_elsewhere")
            stamp = _stamp(_locate(settings, database, source))
        elif isinstance(source, bytes):
            stamp = hashlib.sha256(source).hexdigest()
        else:
            raise RefusedError(404, "no_picture")
        tag = hashlib.sha256(f"{stamp} {width_px}".encode()).hexdigest()[:32]
        with self._lock:
            if (kept := self._kept.get(tag)) is not None:
                self._kept.move_to_end(tag)
                return Sent(kept, tag)
        jpeg = self._made(settings, database, source, width_px)
        with self._lock:
            if tag not in self._kept:
                self._kept[tag] = jpeg
                self._size += len(jpeg)
            while self._size > _CACHE_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1])
        return Sent(jpeg, tag)

    def _made(self, settings: Settings, database: str, source: str | bytes, width_px: int) -> bytes:
        try:
            image = open_image(
                source,
                locate=lambda path: _locate(settings, database, path),
                least_side_px=width_px,
                max_pixels=settings.max_image_pixels,
                remark=lambda text: None,
            )
        except WorkspaceError:
            raise RefusedError(403, "picture_outside") from None
        except MediaError as error:
            # Its message has absolute paths in it, which are nobody's business.
            raise RefusedError(404, "picture_damaged") from error
        return thumbnail(image, (width_px, 2 * width_px)).content


def _locate(settings: Settings, database: str, text: str) -> Path:
    """Return the file that a row's path means.

    Raises:
        RefusedError: It lies outside, or is the database or in the folder of models.
    """
    path = url2pathname(urlsplit(text).path) if text[:5].lower() == "file:" else text
    try:
        full = settings.workspace.locate(path)
    except (WorkspaceError, ValueError):
        raise RefusedError(403, "picture_outside") from None
    models = settings.workspace.models
    kept = {Path(f"{database}{suffix}").resolve() for suffix in _BESIDE}
    folders = (models, models.resolve(), *settings.workspace.linked)
    if full in kept or any(full.is_relative_to(folder) for folder in folders):
        raise RefusedError(403, "picture_outside")
    return full


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        raise RefusedError(404, "picture_missing") from None
    return f"{path} {status.st_ino} {status.st_mtime_ns} {status.st_size}"
