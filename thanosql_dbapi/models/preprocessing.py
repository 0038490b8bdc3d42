"""What a model sees of an image: resized and cropped exactly as its own image processor does it.

transformers' processor turns the picture into an array and back, and works in float64 on the way:
as long again as decoding the file. Here Pillow resizes and crops the picture itself, to the very
same pixels, and the numbers are brought to their range where the model runs. Needs neither torch
nor transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MediaError, ModelError, clip
from .families.protocol import ImageContract
from .families.registry import read_family
from .files import PREPROCESSOR
from .folder import read_processor
from .protocol import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

# Longest side of an image in its shortest; what is beyond, at both ends, a cropping model does
# not see.
SHAPE_LIMIT = 50
# A camera's JPEG is decoded at half its size where that keeps this many times the model's own
# short side, and this many pixels. Over 24 photographs enlarged to 6 and 12 megapixels, the
# vectors kept a cosine of 0.9994 and more to those of the whole files; a quarter of the size, or
# half of a small picture, did not keep 0.999. A quarter of 48 and an eighth of 108 megapixels,
# whose short sides are above the same bound, kept 0.9999 (12 photographs enlarged, storybook_clip).
HALF_TIMES = 3
HALF_LEAST_PX = 960

# No image tower sees as much; more would only fill the memory.
SIDE_LIMIT_PX = 1 << 13

_LARGEST = 1e9  # of the numbers that pixels are multiplied and divided with
_NOT_SUPPORTED = ("do_pad", "use_square_size")


@dataclass(frozen=True)
class Preparation:
    """A model's image processor, as its folder describes it.

    Attributes:
        edge_px: What the short side is brought to, the shape kept; None where ``size_px`` says.
        size_px: (height, width) that the image is brought to, whatever its shape; None where
            ``edge_px`` says, or where images are not resized.
        crop_px: (height, width) cut out of the middle, or None.
        resample: Pillow's number of the filter.
        scale: For each colour, what its values 0 to 255 are multiplied with …
        shift: … and what is then added: the float32 numbers that the model gets.
    """

    edge_px: int | None
    size_px: tuple[int, int] | None
    crop_px: tuple[int, int] | None
    resample: int
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    @property
    def seen_px(self) -> tuple[int, int] | None:
        """(height, width) that every image is brought to; None where that is not one for all."""
        return self.crop_px or self.size_px

    @property
    def least_side_px(self) -> int | None:
        """Short side that a JPEG decoded at a part of its size must keep; None decodes it whole."""
        side = self.edge_px or (max(self.size_px) if self.size_px else None)
        return None if side is None else max(HALF_TIMES * side, HALF_LEAST_PX)

    def pixels(self, image: Image) -> Pixels:
        """Resize and crop an image; safe to call from several threads at once.

        Args:
            image: An RGB image.

        Returns:
            uint8 array (height, width, 3).

        Raises:
            MediaError: It cannot be brought to the model's size.
        """
        try:
            return np.asarray(self._cropped(self._resized(image)), dtype=np.uint8)
        # What Pillow says of a size that it cannot make is not only ValueError.
        except (ArithmeticError, ValueError, MemoryError, OSError, SystemError) as exc:
            raise MediaError(
                f"image of {image.width} × {image.height} pixels cannot be resized for the model:"
                f" {str(exc) or 'not enough memory'}"
            ) from exc

    def _resized(self, image: Image) -> Image:
        from PIL.Image import Resampling

        if self.edge_px is not None:
            if self.crop_px is not None:
                image = _without_ends(image)
            short, long = sorted(image.size)
            size = (self.edge_px, int(self.edge_px * long / short))
            width, height = size if image.width <= image.height else size[::-1]
        elif self.size_px is not None:
            height, width = self.size_px
        else:
            return image
        return image.resize((width, height), Resampling(self.resample))

    def _cropped(self, image: Image) -> Image:
        if self.crop_px is None:
            return image
        height, width = self.crop_px
        # Beyond the edges of a smaller image, crop gives black, as the processor does.
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))


def _without_ends(image: Image) -> Image:
    """Return the middle of a strip; other images as they are.

    CLIP sees the middle square of an image whose short side it has brought to 224 pixels: a file
    of 1 × 60,000 would grow to 3 gigapixels on the way.
    """
    width, height = image.size
    limit = SHAPE_LIMIT * min(width, height)
    left, top = max(0, (width - limit) // 2), max(0, (height - limit) // 2)
    if not left and not top:
        return image
    return image.crop((left, top, width - left, height - top))


def load_preparation(folder: Path) -> Preparation:
    """Read a model folder's image processor, with the defaults of its family in transformers.

    Raises:
        ModelError: It is missing, damaged, or asks for what is not done here.

    Source: https://huggingface.co/docs/transformers/model_doc/clip
    """
    family = read_family(folder)
    settings, usual = read_processor(folder, family), family.images
    for name in _NOT_SUPPORTED:
        if settings.get(name):
            raise _refused(folder, name, settings[name], "which is not supported; leave it out")
    edge, size = _size(folder, settings, usual)
    crop = None
    if settings.get("do_center_crop", usual.crops):
        _, crop = _sides(
            folder, "crop_size", settings.get("crop_size", usual.side_px), is_square=True
        )
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    if not _is_number(factor):
        raise _refused(folder, "rescale_factor", factor, "expected a number")
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    if settings.get("do_normalize", True):
        mean = _colours(folder, "image_mean", settings.get("image_mean", usual.mean))
        std = _colours(folder, "image_std", settings.get("image_std", usual.std))
        if not all(std):
            raise _refused(folder, "image_std", std, "expected numbers other than 0")
    resample = settings.get("resample", usual.resample)
    if not _is_number(resample) or resample not in range(6):
        raise _refused(folder, "resample", resample, "expected the number of a Pillow filter, 0-5")
    return Preparation(
        edge_px=edge,
        size_px=size,
        crop_px=crop,
        resample=resample,
        scale=tuple(factor / each for each in std),
        shift=tuple(-middle / each for middle, each in zip(mean, std, strict=True)),
    )


def _size(
    folder: Path, settings: dict[str, Any], usual: ImageContract
) -> tuple[int | None, tuple[int, int] | None]:
    if not settings.get("do_resize", True):
        return None, None
    side = usual.side_px
    default = side if usual.crops else {"height": side, "width": side}
    return _sides(folder, "size", settings.get("size", default), is_square=False)


def _sides(
    folder: Path, name: str, value: Any, *, is_square: bool
) -> tuple[int | None, tuple[int, int] | None]:
    """Return (short side, None) or (None, (height, width)), out of all forms that were written."""
    given = value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        value = dict(zip(("height", "width"), value, strict=True))
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"height": value, "width": value} if is_square else {"shortest_edge": value}
    if isinstance(value, dict) and all(
        isinstance(side, int) and not isinstance(side, bool) and 0 < side <= SIDE_LIMIT_PX
        for side in value.values()
    ):
        if value.keys() == {"shortest_edge"} and not is_square:
            return value["shortest_edge"], None
        if value.keys() == {"height", "width"}:
            return None, (value["height"], value["width"])
    wanted = "height and width" if is_square else "shortest_edge, or height and width"
    raise _refused(folder, name, given, f"expected {wanted}, 1 to {SIDE_LIMIT_PX:,} pixels")


def _colours(folder: Path, name: str, value: Any) -> Sequence[float]:
    values = [value] * 3 if _is_number(value) else value
    if (
        not isinstance(values, (list, tuple))
        or len(values) != 3
        or not all(map(_is_number, values))
    ):
        raise _refused(folder, name, value, "expected three numbers, for red, green and blue")
    return values


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST and (value == 0 or abs(value) > 1 / _LARGEST)


def _refused(folder: Path, name: str, value: Any, expected: str) -> ModelError:
    return ModelError(
        f"model folder {str(folder)!r}: {name} of its image processor ({PREPROCESSOR}) is"
        f" {clip(value)}; {expected}"
    )
