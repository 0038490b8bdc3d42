"""Which kinds of pictures can be opened, by what, and what a file is that cannot.

Most are opened by Pillow itself; HEIC, RAW and JPEG XL need a package each, which an extra of this
one installs. Pillow's formats that start another program (EPS, WMF) are never tried, and the
plugins are asked directly: ``Image.open`` measures a picture before it is known how small it can be
decoded, by a limit that belongs to the whole process.
"""

from __future__ import annotations

import importlib
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.forking import Lock
from . import jpeg_xl

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000"),
    *("MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP"),
)
"""The formats, by Pillow's names, that are opened without a further package."""


@dataclass(frozen=True)
class Extra:
    """Pictures that need a further package.

    Attributes:
        name: What to install: ``pip install "thanosql-dbapi[name]"``.
        module: The module that opens them.
        kind: What they are called.
        suffixes: Their suffixes.
    """

    name: str
    module: str
    kind: str
    suffixes: frozenset[str]

    def is_installed(self) -> bool:
        """Return whether its package can be imported; asked anew until it can."""
        try:
            importlib.import_module(self.module)
        except ImportError:
            return False
        return True

    def __str__(self) -> str:
        return (
            f'{self.kind}, which needs a further package: pip install "thanosql-dbapi[{self.name}]"'
        )


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(f".{suffix}" for suffix in text.split())


HEIF = Extra("heif", "pillow_heif", "HEIC/HEIF", _suffixes("heic heics heif heifs hif"))
JPEG_XL = Extra("jxl", "pillow_jxl", "JPEG XL", _suffixes("jxl"))
RAW = Extra(
    "raw",
    "rawpy",
    "a camera's RAW file",
    _suffixes(
        "3fr arw cap cr2 cr3 crw dcr dcs dng erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf"
        " ori pef ptx pxn raf raw rw2 rwl rwz sr2 srf srw x3f"
    ),
)
EXTRAS = (HEIF, RAW, JPEG_XL)

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")
_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _DNG_VERSION = 254, 262, 50706
_CFA = 32803
_TAG_GROUPS = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_HEIF_BRANDS = (
    *("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"),
    *("mif1", "mif2", "msf1", "heif"),
)
_AVIF_BRANDS = ("avif", "avis")
_VIDEO_BRANDS = ("isom", "iso2", "mp41", "mp42", "m4v ", "qt  ", "avc1", "3gp4", "3gp5", "xavc")

_quiet = Lock()
are_warnings_off = False
"""Whether this process is ours alone and shows no warnings."""


def picture_suffixes() -> Mapping[str, Extra | None]:
    """Return the suffixes of pictures, in lower case with the dot.

    Returns:
        For each, None where such files can be opened now, else the extra to install.
    """
    from PIL import Image, features

    Image.init()
    readable = {name for name in FORMATS if name in Image.OPEN}
    if "JPEG" in readable:  # one reader has both
        readable.add("MPO")
    if not features.check("jpg_2000"):
        readable.discard("JPEG2000")
    found: dict[str, Extra | None] = {}
    for suffix, name in Image.registered_extensions().items():
        if name in readable:
            found[suffix.lower()] = None
    for extra in EXTRAS:
        missing = None if extra.is_installed() else extra
        found.update(dict.fromkeys(extra.suffixes, missing))
    return found


def header_readers() -> list[tuple[Any, Any]]:
    """Return what reads the headers of pictures, as ``PIL.Image.OPEN`` has it.

    JPEG XL is not among it: its decoder has no step before the pixels.
    """
    from PIL import Image

    Image.init()
    readers: list[tuple[Any, Any]] = [Image.OPEN[name] for name in FORMATS if name in Image.OPEN]
    if HEIF.is_installed():
        import pillow_heif

        readers.append((pillow_heif.HeifImageFile, lambda head: _brand(head) in _HEIF_BRANDS))
    return readers


REFUSALS = (SyntaxError, IndexError, TypeError, struct.error)
"""What a plugin raises that another plugin may do better, as ``Image.open`` has them."""


def open_picture(file: Any, head: bytes) -> Image:
    """Return a picture that is not yet decoded.

    Args:
        file: The file, open.
        head: Its first 64 bytes.

    Raises:
        SyntaxError: It is of no known format, then without a text; or one of ``REFUSALS``: the
            plugin of its format refuses it.
        Exception: What the plugin raises of a damaged file; of many classes.
    """
    from PIL import Image

    Image.init()
    refusal: Exception = SyntaxError()
    for factory, accepts in _plugins():
        if not accepts(head[:16]):
            continue
        file.seek(0)
        try:
            with no_warnings():
                picture = factory(file)
                if picture.format == "TIFF":
                    _read_tags(picture)
                return picture
        except REFUSALS as error:
            refusal = error
    raise refusal


def _read_tags(picture: Image) -> None:
    """Have a TIFF's tags read now: it warns of odd ones, and else would as it is decoded."""
    try:
        tags = picture.getexif()
        for group in _TAG_GROUPS:
            if group in tags:
                tags.get_ifd(group)
    except Exception:  # damaged tags say nothing of the picture
        return


def _plugins() -> Iterator[tuple[Callable[[Any], Image], Callable[[bytes], bool]]]:
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    # The first picture of an MPO file is a JPEG like others; the rest of it is not looked at.
    yield JpegImageFile, lambda head: head.startswith(b"\xff\xd8\xff")
    for name in FORMATS:
        if name in Image.OPEN and name not in ("JPEG", "MPO"):
            factory, accepts = Image.OPEN[name]
            # A text says why Pillow cannot read the format.
            yield (
                factory,
                lambda head, accepts=accepts: bool(  # type: ignore[misc]
                    accepts is None or accepts(head) is True
                ),
            )
    if HEIF.is_installed():
        import pillow_heif

        yield pillow_heif.HeifImageFile, lambda head: _brand(head) in _HEIF_BRANDS
    if JPEG_XL.is_installed():
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile

        yield JXLImageFile, is_jpeg_xl


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep Pillow's warnings on odd headers from users' screens, and from becoming errors.

    The filters belong to the whole process, so only headers are read in here, one at a time.
    """
    if are_warnings_off:
        yield
        return
    with _quiet, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(PIL|pillow_\w+)\.")
        yield


# ---- what a file is ----------------------------------------------------------------------------


def is_jpeg_xl(head: bytes) -> bool:
    """Return whether a file begins as JPEG XL does."""
    return head.startswith((jpeg_xl.CODESTREAM, jpeg_xl.CONTAINER))


def is_raw(head: bytes, suffix: str) -> bool:
    """Return whether a file is a camera's RAW, by its first bytes and its suffix.

    Most are TIFF files, and the suffix alone tells them from others.
    """
    return (
        head.startswith(_RAW_HEADS)
        or head[4:12] == b"ftypcrx "
        or head[6:14] == b"HEAPCCDR"
        or (head.startswith(_TIFF) and (head[8:10] == b"CR" or suffix.lower() in RAW.suffixes))
    )


def is_raw_tiff(image: Any) -> bool:
    """Return whether an opened TIFF is a camera's RAW, which holds a thumbnail at this place."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return False
    is_thumbnail = tags.get(_NEW_SUBFILE_TYPE) == 1
    return _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) == _CFA or (is_thumbnail and 330 in tags)


def kind_of(head: bytes) -> str | None:
    """Return what a file is by its first bytes, for messages; None where they say nothing."""
    for mark, name in _HEADS:
        if head.startswith(mark):
            return name
    if brand := _brand(head):
        if brand in _AVIF_BRANDS:
            return "AVIF"
        if brand in _HEIF_BRANDS:
            return "HEIC/HEIF"
        return "a video" if brand in _VIDEO_BRANDS or brand[:2] == "3g" else None
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": "a video", b"WAVE": "a sound"}.get(head[8:12])
    if is_jpeg_xl(head):
        return "JPEG XL"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = next((kind for mark, kind in _TEXTS if start.startswith(mark)), None)
    if kind is None and not head.strip(b"\0"):
        return "a file of zeros, whose content was never written"
    return kind or ("a text" if _is_text(head) else None)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:  # a letter may be cut at the end
        text = head[: error.start].decode("utf-8") if error.start > len(head) - 4 else "\0"
    return all(letter.isprintable() or letter.isspace() for letter in text)


def extra_for(head: bytes) -> Extra | None:
    """Return the extra that a file needs, RAW left aside, and that is not installed, or None."""
    if _brand(head) in _HEIF_BRANDS:
        needed: Extra | None = HEIF
    else:
        needed = JPEG_XL if is_jpeg_xl(head) else None
    return None if needed is None or needed.is_installed() else needed


def is_ours(kind: str | None) -> bool:
    """Return whether a kind that :func:`kind_of` names is one that is opened here."""
    return kind in _OURS


def _brand(head: bytes) -> str:
    """Return the brand of a file in boxes, as MP4, HEIC and AVIF are, or an empty text."""
    return head[8:12].decode("latin-1").lower() if head[4:8] == b"ftyp" else ""


_OURS = (
    *("JPEG", "PNG", "GIF", "TIFF", "BMP", "QOI", "PPM", "WebP", "JPEG 2000"),
    *("AVIF", "HEIC/HEIF", "JPEG XL"),
)
_HEADS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    *((mark, "TIFF") for mark in _TIFF),
    (b"BM", "BMP"),
    (b"qoif", "QOI"),
    *((b"P%d\n" % number, "PPM") for number in range(1, 8)),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    *((mark, "a camera's RAW file") for mark in _RAW_HEADS),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x05\x16\x07", "what macOS keeps beside a file (AppleDouble), not the file itself"),
    (b"bplist00", "a property list, as iCloud leaves in place of a file that is not downloaded"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"SIMPLE  =", "FITS"),
    (b"gimp xcf", "a GIMP picture"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
)
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML"),
    (b"%pdf", "a PDF"),
    (b"%!ps", "PostScript"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"/annex/objects", "a git-annex pointer, not the file itself"),
    (b'{"', "JSON"),
    (b"[{", "JSON"),
)
