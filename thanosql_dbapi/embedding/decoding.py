"""From an open file to an upright RGB picture, whatever its kind; says nothing of where it lies."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..models.forking import Lock
from ..settings import DEFAULT_IMAGE_PIXELS
from . import formats
from .jpeg_xl import jxl_size
from .pixels import has_16_bits, upright_rgb
from .salvage import lacks_its_end, salvage

if TYPE_CHECKING:
    from PIL.Image import Image

# Images above this are decoded one at a time, so that a pool of threads needs no tenfold memory.
PIXELS_LARGE = 50_000_000
# A progressive JPEG is held whole, at whatever size it is decoded.
_PROGRESSIVE_TIMES = 2
_ORIENTATION = 0x0112
_large = Lock()


class UnknownKindError(Exception):
    """The file is of no format that can be opened; the text is what its plugin says, if any."""


class TooLargeError(Exception):
    """The picture has more pixels than may be decoded; the text says how many."""


class NeedsExtraError(Exception):
    """The file needs a package that is not installed; the text says which."""


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        max_pixels: Most pixels to decode.
        least_side_px: Short side that a JPEG read at a half, a quarter or an eighth must keep;
            None reads it whole.
        remark: Gets what is to be said of a picture that is there in part.
    """

    max_pixels: int = DEFAULT_IMAGE_PIXELS
    least_side_px: int | None = None
    remark: Callable[[str], None] = lambda text: None


def decode(file: Any, head: bytes, suffix: str, reading: Reading) -> Image:
    """Return a picture, upright and RGB.

    Args:
        file: The file, open.
        head: Its first 64 bytes.
        suffix: Its suffix, which tells a camera's RAW from other TIFF files.
        reading: How to read it.

    Raises:
        NeedsExtraError: A package is missing.
        UnknownKindError: No format.
        TooLargeError: Too many pixels.
        MemoryError: There is not enough memory for it.
        Exception: What Pillow raises of a damaged file, of many classes.
    """
    if formats.is_raw(head, suffix):
        return _camera_picture(file, reading)

    def opened(content: bytes) -> Image:
        return _opened(io.BytesIO(content), head, reading)

    picture: Image | None = None
    try:
        if lacks_its_end(file, head):
            raise EOFError("its end was never written")
        picture = _opened(file, head, reading)
        if not formats.is_raw_tiff(picture):
            has_16 = has_16_bits(picture)
            with _turns(picture):
                picture.load()
                return upright_rgb(picture, _orientation(picture), has_16_bits=has_16)
    except (TooLargeError, NeedsExtraError, MemoryError):
        raise
    except Exception as cause:
        if isinstance(cause, UnknownKindError) and not str(cause):
            raise
        file.seek(0)
        with nullcontext() if picture is None else _turns(picture):
            found = _salvaged(file.read(), opened)
            if found is None:
                raise
            image, missing, has_16 = found
            if missing is not None:
                reading.remark(_cut_short(missing, cause))
            return upright_rgb(image, _orientation(image), has_16_bits=has_16)
    return _camera_picture(file, reading)


def _salvaged(content: bytes, opened: Callable[[bytes], Image]) -> Any:
    has_16 = False

    def noted(part: bytes) -> Image:
        nonlocal has_16
        picture = opened(part)
        has_16 = has_16_bits(picture)
        return picture

    try:
        found = salvage(content, noted)
    except (MemoryError, TooLargeError):
        raise
    except Exception:  # the first error says more
        return None
    return None if found is None else (*found, has_16)


def _cut_short(missing: float, cause: Exception) -> str:
    part = "less than 1 %" if missing < 0.01 else f"about {missing * 100:.0f} %"
    why = " ".join(str(cause).split())
    return f"is cut short or damaged at its end ({why}): {part} of the picture is missing"


def _opened(file: Any, head: bytes, reading: Reading) -> Image:
    """Return a picture that is to be decoded at a size within the limit."""
    if formats.is_jpeg_xl(head):
        file.seek(0)
        _require(*jxl_size(file.read()), reading)
    try:
        picture = formats.open_picture(file, head)
    except formats.REFUSALS as refusal:
        if extra := formats.extra_for(head):
            raise NeedsExtraError(str(extra)) from refusal
        raise UnknownKindError(str(refusal)) from refusal
    if not all(picture.size):
        raise ValueError(f"it has no pixels: it is {picture.width} × {picture.height}")
    width, height = picture.size
    if picture.format == "JPEG":
        if picture.info.get("progressive") or picture.info.get("progression"):
            limit = replace(reading, max_pixels=_PROGRESSIVE_TIMES * reading.max_pixels)
            _require(width, height, limit)
        divisor = _divisor(picture.size, reading)
        if divisor > 1:
            picture.draft(picture.mode, (width // divisor, height // divisor))
    elif picture.format == "JPEG2000" and width * height > reading.max_pixels:
        # It holds itself at halves, quarters, eighths too, if it was made as usual.
        power = next((n for n in (1, 2, 3) if width * height >> 2 * n <= reading.max_pixels), 0)
        if power:
            setattr(picture, "reduce", power)  # noqa: B010 - the plugin's own setter
            return picture
    _require(*picture.size, reading)
    return picture


def _divisor(size: tuple[int, int], reading: Reading) -> int:
    """Return by how much a JPEG is made smaller as it is decoded, which costs less than all."""
    wanted = 1
    if reading.least_side_px is not None:
        fitting = (each for each in (8, 4, 2) if min(size) >= each * reading.least_side_px)
        wanted = next(fitting, 1)
    pixels = size[0] * size[1]
    needed = next((each for each in (1, 2, 4, 8) if pixels // each**2 <= reading.max_pixels), 8)
    return max(wanted, needed)


def _require(width: int, height: int, reading: Reading) -> None:
    if width * height > reading.max_pixels:
        raise TooLargeError(f"{width:,} × {height:,} pixels")


def _camera_picture(file: Any, reading: Reading) -> Image:
    if not formats.RAW.is_installed():
        raise NeedsExtraError(str(formats.RAW))
    from .raw import camera_picture

    found, orientation = camera_picture(file, reading.max_pixels)
    if isinstance(found, bytes):
        picture = _opened(io.BytesIO(found), found[:64], reading)
        picture.load()
        own = _orientation(picture)
        return upright_rgb(picture, own if own != 1 else orientation)
    return upright_rgb(found, orientation)


def _turns(picture: Image) -> Any:
    """Return a lock for a large picture, nothing for others."""
    pixels = picture.width * picture.height
    if picture.format == "JPEG" and "progressive" in picture.info:
        # The coefficients of the whole picture are held, at whatever size it is decoded.
        pixels *= (getattr(picture, "decoderconfig", None) or (1,))[0] ** 2
    return _large if pixels > PIXELS_LARGE else nullcontext()


def _orientation(image: Image) -> int:
    """Return the EXIF orientation, 1 to 8; read after ``load``, as PNG may have it at the end."""
    try:
        with formats.no_warnings():
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block says nothing about the picture
        return 1
