"""Which files are pictures, audio or video, by their suffix."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_RAW = (
    "3fr arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos mrw"
    " nef nrw orf ori pef ptx pxn raf raw rw2 rwl rwz sr2 srf srw sti x3f"
)
_OTHER = (
    "ai apng avif avifs bmp cdr cur dcm dds dib djvu emf eps exr fits gif hdr heic heics heif heifs"
    " hif icns ico j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx jxl jxr kra mpo pbm pcx pfm pgm png"
    " pnm ppm psb psd qoi sgi svg svgz tga tif tiff wdp webp wmf xbm xcf xpm"
)

RAW = frozenset(f".{suffix}" for suffix in _RAW.split())
"""What cameras call their unprocessed pictures."""

OTHER_PICTURES = frozenset(f".{suffix}" for suffix in _OTHER.split())
"""Further pictures: not all of them can be read, and some need a package."""

AUDIO = frozenset({".wav", ".flac", ".mp3", ".ogg", ".m4a"})
_VIDEO = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv webm wmv"
VIDEO = frozenset(f".{suffix}" for suffix in _VIDEO.split())

COLUMNS = ("image_path", "audio_path", "video_path")
"""The columns for the paths of pictures, audio and video."""


def column_of(pictures: Collection[str]) -> Mapping[str, str]:
    """Return the column for a file's path, by its suffix in lower case.

    Args:
        pictures: The suffixes of the pictures that can be read.
    """
    kinds = zip(COLUMNS, (pictures, AUDIO, VIDEO), strict=True)
    return {suffix: column for column, suffixes in kinds for suffix in suffixes}
