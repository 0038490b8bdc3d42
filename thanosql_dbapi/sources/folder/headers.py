"""What the headers of pictures say: when, where and with what they were taken. No pixel is decoded.

Whatever is damaged in a header says nothing, and the rest of it is read.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

from .suffixes import RAW
from .walk import LATEST_NS, File, suffix_of

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

    from ..tables.table import Cell

COLUMNS: Mapping[str, str] = {
    "taken_at": "TEXT",
    "camera": "TEXT",
    "lens": "TEXT",
    "width": "INTEGER",
    "height": "INTEGER",
    "latitude": "REAL",
    "longitude": "REAL",
    "file_size": "INTEGER",
    "modified_at": "TEXT",
}
"""The columns of the option ``exif``, with their types."""

Opener = Callable[[str], AbstractContextManager[BinaryIO]]
_T = TypeVar("_T")
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_SIDES = range(5, 9)
"""The orientations of pictures that lie on their side."""
# The time a picture was taken, or scanned, with its fraction of a second and its offset.
_TIMES = ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012))
_LENS = 0xA434
_WIDTH, _HEIGHT, _TIFF_WIDTH, _TIFF_HEIGHT = 0xA002, 0xA003, 0x0100, 0x0101
_TIME = re.compile(
    r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T](\d\d?):(\d\d):(\d\d)(?:\.(\d+))?"
    r"\s*(Z|[+-]\d\d:?\d\d)?"
)
_OFFSET = re.compile(r"[+-]\d\d:?\d\d|Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AT_ONCE = 2000
_A_TASK = 25
# Most of the work holds Python's lock; more threads wait for disks, and for those of a network.
_THREADS = 4


def read_headers(
    files: Iterable[File], open_file: Opener, readers: Sequence[Any], threads: int = _THREADS
) -> Iterator[tuple[Cell, ...]]:
    """Yield the values of ``COLUMNS`` for each file, in order; None where it says nothing.

    Args:
        files: The files.
        open_file: Opens the file that a path means, or raises.
        readers: What opens the formats, as ``PIL.Image.OPEN`` has them: pairs of a class and of
            what says by the first bytes whether it is the right one.
        threads: How many read at once.
    """
    from concurrent.futures import ThreadPoolExecutor

    def read(some: list[File]) -> list[tuple[Cell, ...]]:
        return [(*_header(each.path, open_file, readers), *file_facts(each)) for each in some]

    waiting = iter(files)
    with ThreadPoolExecutor(threads, thread_name_prefix="thanosql-headers") as pool:
        while batch := list(islice(waiting, _AT_ONCE)):
            tasks = [batch[first : first + _A_TASK] for first in range(0, len(batch), _A_TASK)]
            # The filters of warnings belong to the whole process: no yield in here.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")
                rows = [row for part in pool.map(read, tasks) for row in part]
            yield from rows


def file_facts(file: File) -> tuple[int, str | None]:
    """Return ``file_size`` and ``modified_at``."""
    if abs(file.mtime_ns) >= LATEST_NS:
        return file.size, None
    seconds, nanoseconds = divmod(file.mtime_ns, 10**9)
    time = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    fraction = "seconds" if not nanoseconds else "milliseconds"
    return file.size, time.isoformat(timespec=fraction)


def _header(path: str, open_file: Opener, readers: Sequence[Any]) -> tuple[Cell, ...]:
    """Return all columns but the last two."""
    nothing = (None,) * (len(COLUMNS) - 2)
    try:
        with open_file(path) as file:
            if suffix_of(path) in RAW:
                return _of_raw(file)
            image = _opened(file, path, readers)
            if image is None:
                return nothing
            exif = _or(lambda: _exif(image, file), None)
            width, height = image.size
            if image.format == "TIFF" and exif is not None:
                # Newer versions of Pillow turn the size of a TIFF themselves.
                width, height = exif.get(_TIFF_WIDTH, width), exif.get(_TIFF_HEIGHT, height)
            return _taken(exif, width, height)
    except Exception:  # a file that has gone; and damaged ones let many kinds of errors through
        return nothing


def _opened(file: IO[bytes], path: str, readers: Sequence[Any]) -> Image | None:
    """Return the image with its header read, whatever its size; ``Image.open`` has a limit."""
    prefix = file.read(16)
    for factory, accept in readers:
        if accept is not None and accept(prefix) is not True:
            continue
        file.seek(0)
        try:
            image: Image = factory(file, path)
        except (SyntaxError, IndexError, TypeError, struct.error):  # as in Image.open
            continue
        return image
    return None


def _exif(image: Image, file: IO[bytes]) -> Exif | None:
    if image.format == "PNG":
        # Pillow would decode the picture to look behind it.
        block = image.info.get("exif") or _png_exif(file)
        if block is None:
            return None
        from PIL.Image import Exif

        exif = Exif()
        exif.load(block)
        return exif
    return image.getexif()


def _png_exif(file: IO[bytes]) -> bytes | None:
    """Return the block with EXIF of a PNG, which may stand behind the pixels."""
    position = 8
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return None
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"eXIf":
            return file.read(min(length, 2**20))
        position += 12 + length


def _of_raw(file: IO[bytes]) -> tuple[Cell, ...]:
    """Return what a RAW file says: most kinds are TIFF, whose first pictures are small previews."""
    from PIL.Image import Exif

    exif = Exif()
    exif.load_from_fp(file)
    more = exif.get_ifd(_EXIF_IFD)
    return _taken(exif, more.get(_WIDTH), more.get(_HEIGHT))


def _taken(exif: Exif | None, width: Any, height: Any) -> tuple[Cell, ...]:
    """Return all columns but the last two, of a picture that is stored with a width and height."""
    size = [side if isinstance(side, int) and side > 0 else None for side in (width, height)]
    if exif is not None and _or(lambda: int(exif.get(_ORIENTATION, 1)), 1) in _SIDES:
        size.reverse()
    if not exif:
        return None, None, None, *size, None, None
    more: Mapping[int, Any] = _or(lambda: exif.get_ifd(_EXIF_IFD), {})
    gps: Mapping[int, Any] = _or(lambda: exif.get_ifd(_GPS_IFD), {})
    nowhere: tuple[float | None, float | None] = None, None
    return (
        _or(lambda: _time(more), None),
        _or(lambda: _camera(exif), None),
        _or(lambda: _lens(more), None),
        *size,
        *_or(lambda: _place(gps), nowhere),
    )


def _or(read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except Exception:  # one damaged entry does not spoil the others
        return otherwise


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    text = value.partition("\0")[0].strip()
    return text.encode("utf-8", "replace").decode()


def _time(more: Mapping[int, Any]) -> str | None:
    for when, fraction, offset in _TIMES:
        match = _TIME.match(_text(more.get(when)))
        if match is None:
            continue
        try:
            time = datetime(*(int(part) for part in match.groups()[:6]))  # type: ignore[arg-type]
        except ValueError:  # 0000:00:00, as a camera writes whose clock was never set
            continue
        digits = match[7] or _text(more.get(fraction))
        text = time.isoformat()
        if digits.isascii() and digits.isdigit() and digits.strip("0"):
            text += f".{digits[:6]}"
        zone = _OFFSET.fullmatch(match[8] or _text(more.get(offset)))
        return text + (_zone(zone[0]) if zone else "")
    return None


def _zone(text: str) -> str:
    return "+00:00" if text == "Z" else f"{text[:3]}:{text[-2:]}"


def _camera(exif: Exif) -> str | None:
    make, model = _text(exif.get(_MAKE)), _text(exif.get(_MODEL))
    if make and model and model.casefold().startswith(make.split()[0].casefold()):
        return model
    return f"{make} {model}".strip() or None


def _lens(more: Mapping[int, Any]) -> str | None:
    lens = _text(more.get(_LENS))
    return lens if any(each.isalnum() and each != "0" for each in lens) else None


def _place(gps: Mapping[int, Any]) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(2), _text(gps.get(1)), "NS", 90)
    longitude = _degrees(gps.get(4), _text(gps.get(3)), "EW", 180)
    # Devices without a position write zeros.
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None, None
    return latitude, longitude


def _degrees(parts: Any, side: str, sides: str, limit: int) -> float | None:
    side = side[:1].upper()
    if not side or side not in sides or not isinstance(parts, (tuple, list)):
        return None
    whole, *fractions = (float(part) for part in parts[:3])
    # A device that knows no seconds writes 0/0.
    known = (part if math.isfinite(part) else 0.0 for part in fractions)
    degrees = whole + math.fsum(part / 60.0**power for power, part in enumerate(known, 1))
    if not math.isfinite(degrees) or not 0 <= degrees <= limit:
        return None
    return round(-degrees if side == sides[1] else degrees, 8)
