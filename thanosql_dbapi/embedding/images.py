"""Images out of files and bytes that nobody vouches for, as RGB pictures.

Finds and opens the file, and says what is wrong with it; ``decoding`` reads the picture, and
``formats`` knows the kinds of pictures. The size in the header is checked before a pixel is
decoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import MediaError, MediaWarning, clip, warn_user
from ..openfile import OpenFile
from ..settings import DEFAULT_IMAGE_PIXELS
from ..sources.digest import content_digest
from .decoding import NeedsExtraError, Reading, TooLargeError, UnknownKindError, decode
from .formats import is_ours, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

Locate = Callable[[str], Path]

# A larger file is no picture; it is read by the decoder alone, which looks at its first bytes.
_MOST_BYTES = 1 << 31
# A larger one is read in parts for its digest, and once more to be decoded.
_WHOLE_BYTES = 64 << 20


@dataclass(frozen=True)
class Fetched:
    """An image that was read elsewhere.

    Attributes:
        name: How its row names it.
        content: The bytes of the image file.
    """

    name: str
    content: bytes


Source = str | bytes | bytearray | memoryview | Fetched


def _warn(text: str) -> None:
    warn_user(text, MediaWarning)


def open_image(
    source: Source,
    *,
    locate: Locate,
    least_side_px: int | None = None,
    max_pixels: int = DEFAULT_IMAGE_PIXELS,
    remark: Callable[[str], None] | None = None,
) -> Image:
    """Return an image as an upright RGB picture in sRGB, decoded.

    Args:
        source: A path, a ``file:`` URL, the bytes of an image file, or what was fetched.
        locate: Gives the file that a path means, its links resolved, or raises
            (``Workspace.locate``).
        least_side_px: A JPEG is decoded at half its size, a quarter or an eighth, which takes half
            as long or less, where its short side keeps this length then; None is whole.
        max_pixels: Most pixels to decode; a JPEG of more is decoded at a half, quarter or eighth.
        remark: Gets what is to be said of a picture that is there in part, the image named; a
            MediaWarning where it is None. Give one in threads.

    Raises:
        MediaError: The image is missing, damaged, of an unknown format or too large.
        WorkspaceError: ``locate`` refuses the path, or a link stands on the one that it gives.
    """
    with open_picture(source, locate=locate) as picture:
        return picture.decode(least_side_px, max_pixels, remark)


class OpenPicture:
    """A picture's file that was found and opened.

    Attributes:
        opened: The file; None where its bytes were given.
    """

    def __init__(
        self, name: str, place: str, suffix: str, content: bytes | None, opened: OpenFile | None
    ) -> None:
        self._name, self._place, self._suffix = name, place, suffix
        self._content, self.opened = content, opened

    def digest(self) -> bytes | None:
        """Return the SHA-256 of the file's bytes; None where they cannot be read."""
        if self.opened is None or self._content is not None:
            assert self._content is not None
            return sha256(self._content).digest()
        size = self.opened.status.st_size
        if not self.opened.is_file or not 0 < size <= _MOST_BYTES:
            return None
        try:
            if size > _WHOLE_BYTES:
                return content_digest(self.opened)
            self._content = self.opened.read()  # and decoded from there: the file is read once
        except OSError:
            return None  # the decoder says why
        return sha256(self._content).digest()

    def is_still(self) -> bool:
        """Return whether the file has the size and time that it had when it was opened."""
        if self.opened is None:
            return True
        before, now = self.opened.status, self.opened.status_now()
        return (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns)

    def decode(
        self,
        least_side_px: int | None = None,
        max_pixels: int = DEFAULT_IMAGE_PIXELS,
        remark: Callable[[str], None] | None = None,
    ) -> Image:
        """Return the picture; the arguments are those of :func:`open_image`."""
        reading = Reading(max_pixels, least_side_px, remark or _warn)
        try:
            if self._content is not None:
                return _decode(
                    io.BytesIO(self._content), self._name, self._place, self._suffix, reading
                )
            assert self.opened is not None
            with self.opened.reader() as file:
                return _decode(file, self._name, self._place, self._suffix, reading)
        except OSError as exc:
            raise MediaError(
                f"{self._name} cannot be read: {exc.strerror or exc}{self._place}"
            ) from exc


@contextmanager
def open_picture(source: Source, *, locate: Locate) -> Iterator[OpenPicture]:
    """Find and open a picture.

    Args:
        source: As for :func:`open_image`.
        locate: As for :func:`open_image`.

    Raises:
        MediaError: It is missing, or cannot be opened.
        WorkspaceError: ``locate`` refuses the path, or a link stands on the one that it gives.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        yield OpenPicture(f"image of {len(content)} bytes", "", "", content, None)
        return
    if isinstance(source, Fetched):
        # Of a member of an archive, the archive's name stands behind its own.
        suffix = PurePosixPath(source.name.partition("::")[0].partition("?")[0]).suffix
        yield OpenPicture(f"image {clip(source.name)}", "", suffix, source.content, None)
        return
    if not isinstance(source, str):
        raise MediaError(f"an image is a path, a URL or bytes, got {clip(source)}")
    path = locate(_local_path(source) if source[:5].lower() == "file:" else source)
    name, place = f"image {clip(source)}", looked_at(source, path)
    with open_medium(name, place, path) as opened:
        yield OpenPicture(name, place, path.suffix, None, opened)


def looked_at(source: str, path: Path) -> str:
    """Return what messages add to the name of a file whose path is not the one that was given."""
    return "" if str(path) == source else f" (looked for at {str(path)!r})"


def open_medium(name: str, place: str, path: Path) -> OpenFile:
    """Open the file of an image or video.

    Args:
        name: What it is called in messages, e.g. ``"image 'cat.jpg'"``.
        place: As :func:`looked_at` gives it.
        path: Its path, links resolved.

    Raises:
        MediaError: It does not exist, is no regular file, or cannot be opened.
        WorkspaceError: A link stands on the path.
    """
    try:
        opened = OpenFile(path)
    except IsADirectoryError as exc:
        raise MediaError(f"{name} is a folder, expected a file{place}") from exc
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise MediaError(f"{name} does not exist{place}") from exc
    except OSError as exc:
        raise MediaError(f"{name} cannot be opened: {exc.strerror or exc}{place}") from exc
    if opened.is_file:
        return opened
    kind = "is a folder, expected a file" if opened.is_folder else "is not a regular file"
    opened.close()
    raise MediaError(f"{name} {kind}{place}")


def _local_path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as exc:  # e.g. a bracket that is not closed
        raise MediaError(f"image {clip(url)} is no URL: {exc}; expected file:///path") from exc
    if parts.netloc not in ("", "localhost"):
        raise MediaError(
            f"image {clip(url)} names the host {parts.netloc!r}; expected file:///path"
        )
    return url2pathname(parts.path) if parts.path.startswith("/") else unquote(parts.path)


def _decode(file: Any, name: str, place: str, suffix: str, reading: Reading) -> Image:
    """Return the picture of an open file; every error of it becomes a MediaError."""
    head = file.read(64)
    file.seek(0)
    if not head:
        raise MediaError(f"{name} is empty (0 bytes){place}")
    kind = kind_of(head)
    remarks: list[str] = []
    from PIL.Image import DecompressionBombError

    try:
        image = decode(file, head, suffix, replace(reading, remark=remarks.append))
    except NeedsExtraError as exc:
        raise MediaError(f"{name} looks like {exc}{place}") from exc
    except TooLargeError as exc:
        raise MediaError(
            f"{name} is larger than the limit of {reading.max_pixels:,} pixels: it has {exc}, and"
            " was not decoded; it may be a good picture: open the connection with a larger"
            f" max_image_pixels{place}"
        ) from exc
    except DecompressionBombError as exc:
        raise MediaError(
            f"{name} is larger than Pillow itself decodes, and was not decoded; it may be a good"
            f" picture: set PIL.Image.MAX_IMAGE_PIXELS ({exc}){place}"
        ) from exc
    except UnknownKindError as exc:
        raise MediaError(f"{name} {_no_image(head, kind, _reason(exc))}{place}") from exc
    except MemoryError as exc:  # which says nothing about the picture
        raise MediaError(
            f"{name} could not be decoded: there is not enough memory now; it may be a good picture"
            f"{place}"
        ) from exc
    # Pillow lets many kinds of error through from damaged files: OSError, SyntaxError, ValueError,
    # struct.error, zlib.error, IndexError, …
    except Exception as exc:
        begins = f"it begins as {kind}; " if kind else ""
        raise MediaError(f"{name} is damaged or cut short: {begins}{_reason(exc)}{place}") from exc
    for remark in remarks:  # a filter may make an error of a warning
        reading.remark(f"{name} {remark}{place}")
    return image


def _reason(error: Exception) -> str:
    """Return what a decoder says, on one line."""
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error)
    text = " ".join(text.split())
    return text[:200] or ("" if isinstance(error, UnknownKindError) else type(error).__name__)


def _no_image(head: bytes, kind: str | None, reason: str) -> str:
    if is_ours(kind):
        why = f": {reason}" if reason else ""
        return (
            f"cannot be opened: it begins as {kind}, and is damaged, cut short or of a variety that"
            f" Pillow does not read{why}"
        )
    looks = f": it looks like {kind}" if kind else ""
    return (
        f"is no image of a known format{looks}; its first bytes are {head[:12]!r}, expected JPEG,"
        " PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC …"
    )
