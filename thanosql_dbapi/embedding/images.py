"""Images out of files and bytes that nobody vouches for, as RGB pictures.

Finds and opens the file, and says what is wrong with it; ``decoding`` reads the picture, and
``formats`` knows the kinds of pictures. The size in the header is checked before a pixel is
decoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import MediaError, MediaWarning, clip, warn_user
from ..openfile import OpenFile
from ..settings import DEFAULT_IMAGE_PIXELS
from .decoding import NeedsExtraError, Reading, TooLargeError, UnknownKindError, decode
from .formats import is_ours, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

Locate = Callable[[str], Path]


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
    remark: Callable[[str], None] = _warn,
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
            MediaWarning where it is not given. Give one in threads.

    Raises:
        MediaError: The image is missing, damaged, of an unknown format or too large.
        WorkspaceError: ``locate`` refuses the path, or a link stands on the one that it gives.
    """
    reading = Reading(max_pixels, least_side_px, remark)
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        name = f"image of {len(content)} bytes"
        return _decode(io.BytesIO(content), name, "", "", reading)
    if isinstance(source, Fetched):
        # Of a member of an archive, the archive's name stands behind its own.
        suffix = PurePosixPath(source.name.partition("::")[0].partition("?")[0]).suffix
        content = source.content
        return _decode(io.BytesIO(content), f"image {clip(source.name)}", "", suffix, reading)
    if not isinstance(source, str):
        raise MediaError(f"an image is a path, a URL or bytes, got {clip(source)}")
    path = _local_path(source) if source[:5].lower() == "file:" else source
    return _open_file(source, locate(path), reading)


def _open_file(source: str, path: Path, reading: Reading) -> Image:
    name, place = f"image {clip(source)}", looked_at(source, path)
    with open_medium(name, place, path) as opened, opened.reader() as file:
        try:
            return _decode(file, name, place, path.suffix, reading)
        except OSError as exc:
            raise MediaError(f"{name} cannot be read: {exc.strerror or exc}{place}") from exc


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
