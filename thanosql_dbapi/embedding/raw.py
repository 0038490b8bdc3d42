"""The picture that a camera puts into its RAW file, by rawpy: the extra ``raw``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.forking import Lock

if TYPE_CHECKING:
    from PIL.Image import Image

# A smaller preview, as the first cameras wrote them, is less than a model looks at.
_LEAST_SIDE_PX = 200
# LibRaw's number of a turn → EXIF's.
_ORIENTATION = {3: 3, 5: 8, 6: 6}
_developing = Lock()


def camera_picture(file: Any, most_px: int) -> tuple[bytes | Image, int]:
    """Return the largest preview of a RAW file, or the picture developed at half its size.

    Args:
        file: The file, open.
        most_px: Most pixels to develop.

    Returns:
        The bytes of a JPEG, or a picture, RGB; and its EXIF orientation.

    Raises:
        ValueError: The file has no preview, and developed it would be larger than ``most_px``.
        rawpy.LibRawError: The file is damaged, or of a camera that LibRaw does not know.
    """
    import rawpy
    from PIL import Image

    file.seek(0)
    with rawpy.imread(file) as raw:
        sizes = raw.sizes
        orientation = _ORIENTATION.get(sizes.flip, 1)
        try:
            preview: Any = raw.extract_thumb()
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            preview = None
        if preview is not None and preview.format == rawpy.ThumbFormat.JPEG:
            size = _jpeg_size(preview.data)
            if min(size) >= _LEAST_SIDE_PX:
                return preview.data, _turn(size, sizes, orientation)
        elif preview is not None:
            picture = Image.fromarray(preview.data)
            if min(picture.size) >= _LEAST_SIDE_PX:
                return picture.convert("RGB"), _turn(picture.size, sizes, orientation)
        if sizes.width * sizes.height > 4 * most_px:
            raise ValueError(f"no preview, and {sizes.width} × {sizes.height} pixels")
        with _developing:  # which takes many times the memory of the file
            developed = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
    return Image.fromarray(developed).convert("RGB"), 1


def _turn(size: tuple[int, int], sizes: Any, orientation: int) -> int:
    """Return how the preview lies: some cameras have turned it upright, and not the RAW itself."""
    is_across = orientation in (6, 8)
    was_turned = (size[0] < size[1]) != (sizes.raw_width < sizes.raw_height)
    return 1 if is_across and was_turned else orientation


def _jpeg_size(content: bytes) -> tuple[int, int]:
    import io

    from PIL.JpegImagePlugin import JpegImageFile

    try:
        return JpegImageFile(io.BytesIO(content)).size
    except Exception:  # a damaged preview: the picture is developed
        return 0, 0
