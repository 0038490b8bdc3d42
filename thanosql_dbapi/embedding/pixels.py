"""From a decoded picture to the one that a model and a reader see: upright, RGB, 8 bits, sRGB.

Colours follow the picture's ICC profile, transparency lies on white, and numbers of more than 8
bits are scaled by the range that the picture itself uses. Opens no file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

# The largest numbers of usual pictures: floats, and 8 to 16 bits.
_USUAL_TOPS = (1, 255, 1023, 4095, 16383, 65535)
# Of so many numbers of a picture, spread evenly, its range is taken.
_SAMPLES = 1 << 20
# A profile that moves no colour further than this, of 255, is sRGB: Pillow's own, Adobe's and
# Facebook's differ by 1.
_SAME_COLOUR = 2
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def upright_rgb(image: Image, orientation: int = 1, *, has_16_bits: bool = False) -> Image:
    """Return a decoded picture as RGB, in sRGB, turned upright.

    Args:
        image: The picture; it is not changed.
        orientation: As EXIF has it, 1 to 8; any other number is 1.
        has_16_bits: Whether its colours have 16 bits in the file, of which Pillow keeps the upper
            8: :func:`has_16_bits`.
    """
    profile = image.info.get("icc_profile")
    is_grey = image.mode in _GREY_MODES or image.mode.startswith("I;")
    if image.mode.startswith(("I", "F")):
        image = _scaled(image)
    elif has_16_bits:
        image = _stretched(_with_8_bits_clear(image))
    if image.has_transparency_data:
        image = _on_white(image)
    elif image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    return _upright(_in_srgb(image, profile, is_grey=is_grey), orientation)


def has_16_bits(image: Any) -> bool:
    """Return whether an opened picture, not yet decoded, has colours of 16 bits in its file."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


# ---- transparency and direction ----------------------------------------------------------------


def _on_white(image: Image) -> Image:
    from PIL import Image as Images

    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB")
    paper = Images.new("RGB", image.size, "white")
    paper.paste(image.convert("RGB"), mask=alpha)
    return paper


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


# ---- colour ------------------------------------------------------------------------------------


def _in_srgb(image: Image, profile: Any, *, is_grey: bool) -> Image:
    """Return a picture of mode RGB, L, CMYK or LAB as RGB, its profile applied if it fits."""
    if not isinstance(profile, bytes) and image.mode == "LAB":
        profile = b""  # Pillow itself has no way from L*a*b* to RGB
    if isinstance(profile, bytes) and (found := _transform(profile)) is not None:
        mode, transform = found
        if (mode == "L" and is_grey) or (mode == "RGB" and image.mode == "L"):
            image = image.convert(mode)
        if image.mode == mode:
            return image if transform is None else transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=64)
def _transform(profile: bytes) -> tuple[str, ImageCmsTransform | None] | None:
    """Return the mode that a profile is for, and the way from it to sRGB.

    The way is None where the profile is sRGB's own, and the whole answer where it is damaged or
    for no picture: such a profile is ignored, as browsers do.
    """
    import io

    from PIL import Image as Images
    from PIL import ImageCms

    try:
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else lab
        mode = _MODE_OF_SPACE[given.profile.xcolor_space.strip().upper()]
        transform = ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB":
            colours = [
                (red, green, blue)
                for red in range(0, 256, 51)
                for green in range(0, 256, 51)
                for blue in range(0, 256, 51)
            ]
            sample = Images.new("RGB", (len(colours), 1))
            sample.putdata(colours)
            moved = zip(sample.tobytes(), transform.apply(sample).tobytes(), strict=True)
            if all(abs(before - after) <= _SAME_COLOUR for before, after in moved):
                return mode, None
    # PyCMSError, OSError, KeyError …, and ImportError where Pillow was built without LittleCMS.
    except Exception:
        return None
    return mode, transform


# ---- numbers of more than 8 bits ---------------------------------------------------------------


def _scaled(image: Image) -> Image:
    """Bring greys of 16 or 32 bits, whole or floating-point, to 8; Pillow cuts them off at 255."""
    import numpy as np
    from PIL import Image as Images

    values = np.asarray(image).astype(np.float32)
    clear = image.info.get("transparency")
    is_clear = values == clear if isinstance(clear, int) else None
    low, high = _range(values)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    values = (np.clip(values, low, high) - low) * np.float32(255 / (high - low))
    values = (values + np.float32(0.5)).astype(np.uint8)
    if is_clear is not None:
        values[is_clear] = 255
    return Images.fromarray(values)


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return what is to be black and white among a picture's numbers.

    White is the largest number, without the two or the thousandth part that are above all others:
    hot pixels, overshoots. A usual top such as 4095 above it is taken if it is less than twice as
    large. Black is 0, unless the numbers go far below or begin far above it.
    """
    import numpy as np

    flat = values.ravel()
    flat = flat[:: max(1, flat.size // _SAMPLES)]
    known = np.sort(flat[np.isfinite(flat)]).astype(float)
    if not known.size:
        return 0.0, 1.0
    odd = min(max(2, known.size // 1000), (known.size - 1) // 8)
    low, high = known[odd], known[-1 - odd]
    if low == high:  # a few spots on an even ground are the picture
        low, high = known[0], known[-1]
    high = next((top for top in _USUAL_TOPS if high <= top < 2 * high), high)
    if (high > 0 and -high / 20 < low < high / 4) or low >= high > 0:
        low = 0.0
    return float(low), float(high if high > low else low + 1)


def _with_8_bits_clear(image: Image) -> Image:
    """Return the picture, the colour that is transparent in it with the upper bits alone."""
    colour = image.info.get("transparency")
    if isinstance(colour, tuple):
        image = image.copy()
        image.info["transparency"] = tuple(each >> 8 for each in colour)
    return image


def _stretched(image: Image) -> Image:
    """Lighten a colour picture that uses the lower of its 16 bits only, as 12-bit cameras do.

    Pillow has dropped the lower 8 bits: what is left of 12 bits are 16 steps a colour.
    """
    bands = len(image.getbands()) - (1 if image.mode in ("RGBA", "LA") else 0)
    histogram = image.histogram()
    counts = [sum(histogram[value : 256 * bands : 256]) for value in range(256)]
    left = max(2, sum(counts) // 1000)
    high = 255
    while high and left >= counts[high]:
        left -= counts[high]
        high -= 1
    top = next((top for top in (3, 15, 63) if high <= top < 2 * high + 1), high)
    if not 0 < top < 128:
        return image
    lighter = [min(255, round(value * 255 / top)) for value in range(256)]
    alpha = list(range(256)) if image.mode in ("RGBA", "LA") else []
    stretched = image.point(lighter * bands + alpha)
    stretched.info = image.info
    return stretched
