"""What there is of a picture whose file was cut short, or holds more text than Pillow takes.

Pillow stops at the first byte that is missing; its switch to go on belongs to the whole process,
other threads' and users' pictures included. Here the file is read once more, into a picture that
was filled with noise: what is still noise afterwards was not in the file.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

MOST_MISSING = 0.2
"""The part of a picture that may be missing, 0 to 1."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000
_TILE_PART = b"\xff\x90\x00\x0a"
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_GREY = (127, 128)  # what libjpeg writes where nothing is known
_STRIP = 512  # columns
_PROFILE_LIMIT = 16 << 20
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")

Open = Callable[[bytes], "Image"]
"""Opens a picture of bytes, and says at what size it is to be decoded; does not decode."""


def salvage(content: bytes, opened: Open) -> tuple[Image, float | None] | None:
    """Return what there is of a picture that could not be decoded.

    Args:
        content: The whole file.
        opened: Opens it.

    Returns:
        The picture, decoded, and which part of it is missing, 0 to 1: None where the file is
        whole. None if there is not enough of it.
    """
    if content.startswith(_PNG):
        content = content.rstrip(b"\0")
        shorter, profile = without_texts(content)
        result = _patient(shorter, opened)
        if result and profile:
            result[0].info["icc_profile"] = profile
        is_whole = result is not None and result[1] == 0 and b"IEND" in content[-64:]
        return (result[0], None) if result and is_whole else result
    if content.startswith(_JPEG):
        return _jpeg(content.rstrip(b"\0"), opened)
    if size := _stated_size(content):
        return _padded(content.rstrip(b"\0"), size, opened)
    return _patient(content, opened)


def lacks_its_end(file: Any, head: bytes) -> bool:
    """Return whether a file's end was never written: a copy that stopped can have zeros there.

    Some decoders take zeros for pixels.
    """
    if head.startswith((_JPEG, _PNG)):
        count = 16
    elif _has_stated_size(head):
        count = 1024  # what is beside the picture may end in some
    else:
        return False
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - count))
    is_zero = size > count and not any(file.read(count))
    file.seek(0)
    if is_zero:  # zeros may follow what is whole
        written = file.read().rstrip(b"\0")
        file.seek(0)
        if _has_stated_size(head):
            return (_stated_size(written) or 0) - len(written) >= count
        return not written.endswith((_JPEG_END, _PNG_END))
    return False


def without_texts(content: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG without its texts, and its ICC profile if that is too large for Pillow.

    Drawing programs keep their history in texts, of which Pillow takes a megabyte each.
    """
    parts, profile = [_PNG], None
    at = len(_PNG)
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + size
        if kind == b"iCCP" and (large := _large_profile(content[at + 8 : end - 4])):
            profile = large
        elif kind not in _TEXT_CHUNKS:
            parts.append(content[at:end])
        at = end
        if kind == b"IEND":
            break
    return b"".join(parts), profile


def _large_profile(chunk: bytes) -> bytes | None:
    _, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _PROFILE_LIMIT)
    except zlib.error:
        return None
    return profile if len(profile) > 1 << 20 and not unpacker.unconsumed_tail else None


def _jpeg(content: bytes, opened: Open) -> tuple[Image, float | None] | None:
    strict = _patient(content, opened)
    if strict is not None and strict[1] == 0:
        return strict[0], None
    if _is_coarse(content):
        return None
    least = 1.0 if strict is None else strict[1]
    # With an end, libjpeg makes use of the last bytes as well, and of the scans of a progressive
    # file that are there; it fills the rest with grey.
    ended = _patient(content + _JPEG_END, opened)
    if ended is None:
        return strict
    missing = min(least, _grey_end(ended[0])) if ended[1] == 0 else ended[1]
    return (ended[0], missing) if missing <= MOST_MISSING else None


def _padded(content: bytes, size: int, opened: Open) -> tuple[Image, float | None] | None:
    """Decode a file whose header states its size, with filling in place of what is missing.

    Decoders differ in which they take for pixels.
    """
    missing = (size - len(content)) / size
    if not 0 < missing <= MOST_MISSING:
        return None
    for filling in (b"\0", b"\xff"):
        try:
            result = _patient(content + filling * (size - len(content)), opened)
        except (SyntaxError, ValueError, RuntimeError, OSError):
            continue
        if result is not None:
            return result[0], max(missing, result[1])
    return None


def _has_stated_size(head: bytes) -> bool:
    return head.startswith((b"RIFF", _CODESTREAM)) or head[4:8] in (b"ftyp", b"jP  ")


def _stated_size(content: bytes) -> int | None:
    """Return how long a file says that it is: WebP, those made of boxes, JPEG 2000; or None."""
    if not _has_stated_size(content):
        return None
    if content.startswith(b"RIFF"):
        return 8 + int.from_bytes(content[4:8], "little")
    at = 0
    if content.startswith(_CODESTREAM) or content[4:8] == b"jP  ":
        at = content.find(_TILE_PART)
        while 0 <= at < len(content) - 10 and content[at : at + 4] == _TILE_PART:
            length = int.from_bytes(content[at + 6 : at + 10], "big")
            at = at + length if length else -1
        return at + 2 if at > 0 else None
    while 0 <= at <= len(content) - 8:
        length = int.from_bytes(content[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        at = at + length if length >= 8 else -1
    return at if at > 0 else None


def _is_coarse(content: bytes) -> bool:
    """Return whether a progressive JPEG ends before any scan with the details of its brightness."""
    start = content.find(b"\xff\xc2")
    if start < 0:
        return False
    brightness = content[start + 10 : start + 11]
    at = content.find(b"\xff\xda", start)
    while at >= 0:
        colours = content[at + 4 : at + 5]
        rest = content[at + 5 + 2 * (colours[0] if colours else 0) :][:2]
        if content[at + 5 : at + 6] == brightness and rest[1:] == b"\x3f":
            return False
        at = content.find(b"\xff\xda", at + 2)
    return True


def _patient(content: bytes, opened: Open) -> tuple[Image, float] | None:
    """Decode a picture over noise; return it, and the part that is noise still."""
    import numpy as np
    from PIL import Image

    picture: Any = opened(content)
    tiles = list(picture.tile)
    length = len(Image.new(picture.mode, (picture.width, 1)).tobytes()) * picture.height
    noise = np.random.default_rng(0).integers(0, 256, length, dtype=np.uint8)
    ground = Image.frombytes(picture.mode, picture.size, noise.tobytes())
    if picture.palette is not None and picture.mode == "P":
        ground.putpalette(b"\0" * 3)
    if tiles:
        picture.im = ground.im
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception:
        if not tiles or picture._im is not ground.im:
            return None  # its plugin decodes all or nothing
        picture.tile = []
    else:
        return picture, 0.0
    found = np.frombuffer(picture.tobytes(), np.uint8)
    if found.size != noise.size:
        return None
    pixel = 1 if picture.mode == "1" else length // (picture.width * picture.height)
    shape = (picture.height, -1, pixel)
    is_noise = (found.reshape(shape) == noise.reshape(shape)).all(axis=2)
    missing = float(is_noise.mean())
    if missing > MOST_MISSING:
        return None
    picture.frombytes(_filled(found.reshape(shape), is_noise).tobytes())
    return picture, missing


def _filled(pixels: NDArray[np.uint8], is_noise: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the pixels with those that are missing as the nearest above them, or below."""
    import numpy as np

    height, width = is_noise.shape
    rows = np.arange(height, dtype=np.int32)[:, None]
    filled = np.empty_like(pixels)
    for left in range(0, width, _STRIP):  # the numbers of rows take more memory than the pixels
        strip = slice(left, left + _STRIP)
        noise = is_noise[:, strip]
        above = np.maximum.accumulate(np.where(noise, -1, rows), axis=0)
        below = np.minimum.accumulate(np.where(noise, height, rows)[::-1], axis=0)[::-1]
        nearest = np.where(above >= 0, above, np.where(below < height, below, rows))
        filled[:, strip] = np.take_along_axis(pixels[:, strip], nearest[:, :, None], axis=0)
    return filled


def _grey_end(image: Image) -> float:
    """Return the part of a picture's rows that are, up to its end, the grey of no data."""
    import numpy as np

    pixels = np.asarray(image)
    is_grey = np.isin(pixels, _JPEG_GREY).reshape(len(pixels), -1)
    known = np.flatnonzero(~is_grey.all(axis=1))
    return float(1 - (known[-1] + 1) / len(pixels)) if known.size else 1.0
