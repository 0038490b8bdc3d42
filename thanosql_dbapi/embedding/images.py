"""Images out of files, URLs and bytes that nobody vouches for, as RGB pictures.

Only formats that Pillow decodes itself are tried, never one that starts another program, and the
size in the header is checked before a pixel is decoded. The result is what
``transformers.image_utils.load_image`` gives: turned upright, transparency dropped, RGB; save that
16-bit and floating-point pictures are scaled to 8 bits instead of cut off at white.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import MediaError, SourceError, clip
from ..models.forking import Lock
from ..openfile import OpenFile

if TYPE_CHECKING:
    from PIL.Image import Image

Source = str | bytes | bytearray | memoryview
Locate = Callable[[str], Path]
Fetch = Callable[[str], bytes]

# Twice Pillow's own mark for a suspicious image: 179 megapixels, above any camera's.
PIXELS_LIMIT = 178_956_970
# Images above this are decoded one at a time, so that a pool of threads needs no tenfold memory.
PIXELS_LARGE = 50_000_000
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP"),
)
_LOOKS_LIKE = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML"),
    (b"%pdf", "a PDF"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_large = Lock()
_quiet = Lock()


def open_image(
    source: Source, *, locate: Locate, fetch: Fetch | None, least_side_px: int | None = None
) -> Image:
    """Return an image as an upright RGB picture, decoded.

    Args:
        source: A path, a ``file:`` or http(s) URL, or the bytes of an image file.
        locate: Gives the file that a path means, its links resolved, or raises
            (``Workspace.locate``).
        fetch: Gives the bytes of an http(s) URL; None where the network is off.
        least_side_px: A JPEG is decoded at half its size, which takes half as long, where its
            short side keeps this length then; None is whole.

    Raises:
        MediaError: The image is missing, damaged, of an unknown format or too large.
        WorkspaceError: ``locate`` refuses the path, or a link stands on the one that it gives.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        name = f"image of {len(content)} bytes"
        return _decode(io.BytesIO(content), name, "", least_side_px)
    if not isinstance(source, str):
        raise MediaError(f"an image is a path, a URL or bytes, got {clip(source)}")
    scheme = source[:8].lower()
    if scheme.startswith(("http://", "https://")):
        content = _fetched(source, fetch)
        return _decode(io.BytesIO(content), f"image {clip(source)}", "", least_side_px)
    path = _local_path(source) if scheme.startswith("file:") else source
    return _open_file(source, locate(path), least_side_px)


def _open_file(source: str, path: Path, least_side_px: int | None) -> Image:
    name = f"image {clip(source)}"
    place = "" if str(path) == source else f" (looked for at {str(path)!r})"
    try:
        with OpenFile(path) as opened:
            if opened.is_folder:
                raise MediaError(f"{name} is a folder, expected a file{place}")
            if not opened.is_file:
                raise MediaError(f"{name} is not a regular file{place}")
            with opened.reader() as file:
                return _decode(file, name, place, least_side_px)
    except IsADirectoryError as exc:
        raise MediaError(f"{name} is a folder, expected a file{place}") from exc
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise MediaError(f"{name} does not exist{place}") from exc
    except OSError as exc:
        raise MediaError(f"{name} cannot be opened: {exc.strerror or exc}{place}") from exc


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


def _fetched(url: str, fetch: Fetch | None) -> bytes:
    if fetch is None:
        raise MediaError(
            f"image {clip(url)} needs the network, which is off; open the connection with"
            " network=True"
        )
    try:
        return fetch(url)
    except SourceError as exc:
        raise MediaError(f"image {clip(url)}: {exc}") from exc


def _decode(file: Any, name: str, place: str, least_side_px: int | None) -> Image:
    head = file.read(64)
    file.seek(0)
    if not head:
        raise MediaError(f"{name} is empty (0 bytes){place}")
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with _no_warnings():
            image: Image.Image = Image.open(file, formats=formats)
        if image.width * image.height > PIXELS_LIMIT:
            raise Image.DecompressionBombError
        if not all(image.size):
            raise MediaError(f"{name} has no pixels: it is {image.width} × {image.height}{place}")
        if least_side_px is not None and min(image.size) >= 2 * least_side_px:
            # Does nothing but to JPEGs.
            image.draft(image.mode, (image.width // 2, image.height // 2))
        with _large if image.width * image.height > PIXELS_LARGE else nullcontext():
            image.load()
            return _upright(_rgb(image), _orientation(image))
    except MediaError:
        raise
    except Image.DecompressionBombError as exc:
        raise MediaError(
            f"{name} is larger than the limit of {PIXELS_LIMIT:,} pixels, and was not"
            f" decoded{place}"
        ) from exc
    except UnidentifiedImageError as exc:
        raise MediaError(f"{name} {_no_image(head)}{place}") from exc
    except MemoryError as exc:  # which says nothing about the picture
        raise MediaError(
            f"{name} could not be decoded: there is not enough memory now; it may be a good picture"
            f"{place}"
        ) from exc
    # Pillow lets many kinds of error through from damaged files: OSError, SyntaxError, ValueError,
    # struct.error, zlib.error, IndexError, …
    except Exception as exc:
        raise MediaError(
            f"{name} is damaged or cut short: {str(exc) or type(exc).__name__}{place}"
        ) from exc


def _no_image(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = next((kind for mark, kind in _LOOKS_LIKE if start.startswith(mark)), None)
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        kind = "HEIF, which needs converting to JPEG first"
    looks = f": it looks like {kind}" if kind else ""
    return (
        f"is no image of a known format{looks}; its first bytes are {head[:12]!r}, expected JPEG,"
        " PNG, WebP, GIF, TIFF, BMP, AVIF …"
    )


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep Pillow's warnings on odd headers from users' screens, and from becoming errors.

    The filters belong to the whole process, so only headers are read in here, one at a time.
    """
    with _quiet, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _orientation(image: Image) -> int:
    """Return the EXIF orientation, 1 to 8; read after ``load``, as PNG may have it at the end."""
    try:
        with _no_warnings():
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged EXIF block says nothing about the picture
        return 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image) -> Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        return _scaled(image)
    if image.mode == "P" and "transparency" in image.info:
        # Straight to RGB, Pillow would warn of transparency it cannot express.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _scaled(image: Image) -> Image:
    """Bring 16-bit and floating-point greys to 8 bits; Pillow would cut them off at 255."""
    import numpy as np
    from PIL import Image as Images

    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    if image.mode == "F":
        scale = 255.0 if top <= 1.0 else 1.0
    else:
        scale = 1.0 if top <= 255.0 and not image.mode.startswith("I;16") else 255.0 / 65535.0
    grey = np.clip(values * scale + 0.5, 0, 255).astype(np.uint8)
    return Images.fromarray(grey).convert("RGB")
