"""One picture made small: a path, URL or BLOB to the bytes of a JPEG file.

Notebook, terminal, gallery and web page show the same bytes. JPEG, because all of them can show it:
Jupyter and terminals take no WebP, which is 30 % smaller and takes four times as long to write.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..embedding.pictures import Pictures
from ..statements.context import QueryValue

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH_PX = 240
"""How wide a picture is shown in a notebook and a terminal."""
Box = tuple[int, int]
"""Most width and most height in pixels, each >= 1."""
SHARP_BOX: Box = (2 * WIDTH_PX, 12 * WIDTH_PX)
"""What a screen of two pixels to the point shows at that width; a tall picture is narrower."""
MIME = "image/jpeg"

_QUALITY = 82


@dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
        content: A JPEG file, sRGB, upright, without EXIF.
        width: Its width in pixels.
        height: Its height in pixels.
        remark: What is to be said of a picture that is there in part, else empty.
    """

    content: bytes
    width: int
    height: int
    remark: str = ""


def read_thumbnail(opener: Pictures, source: QueryValue, box: Box = SHARP_BOX) -> Thumbnail:
    """Return the picture that a path, URL or BLOB names, made small; any thread may call it.

    The picture is read as CONVERT reads it: its EXIF orientation and colour profile applied, by
    the same limits and from the same folders. A large JPEG is decoded at a part of its size.

    Args:
        opener: Opens pictures as a connection does: ``Pictures.of(connection.settings)``.
        source: A path, absolute or from the workspace on; a URL, an object in a bucket, a member
            of an archive; or the bytes of an image file.
        box: Most width and height; a smaller picture keeps its size.

    Raises:
        MediaError: It is missing, damaged, of an unknown format or too large.
        WorkspaceError: The path is outside the workspace and the allowed directories.

    Example:
        >>> import thanosql_dbapi
        >>> connection = thanosql_dbapi.connect(":memory:")
        >>> read_thumbnail(Pictures.of(connection.settings), "no.jpg")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        thanosql_dbapi.errors.MediaError: image 'no.jpg' does not exist (looked for at '...no.jpg')
        >>> connection.close()
    """
    remarks: list[str] = []
    image = opener.open(source, least_side_px=min(box), remark=remarks.append)
    return thumbnail(image, box, remark=" ".join(remarks))


def thumbnail(image: Image, box: Box = SHARP_BOX, *, remark: str = "") -> Thumbnail:
    """Return an RGB image as a JPEG file no larger than a box; a smaller one keeps its size."""
    from PIL.Image import Resampling

    scale = min(1.0, box[0] / image.width, box[1] / image.height)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return Thumbnail(file.getvalue(), image.width, image.height, remark)
