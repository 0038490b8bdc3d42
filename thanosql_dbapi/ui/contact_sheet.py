"""Search results as one picture: a row of pictures for each query."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..workspace import StrPath

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from .sections import Card, Section

_MARGIN_PX = 28
_GAP_PX = 12
_HEADING_PX = 52
_INK, _PAPER, _FAINT = "#1d1b26", "#ffffff", "#7a7688"


def write_contact_sheet(
    path: StrPath, sections: Sequence[Section], *, columns: int = 5, width_px: int = 240
) -> Path:
    """Write one picture with a row of pictures for each query.

    Args:
        path: Where; the ending says the format (``.jpg``, ``.png``, ``.webp``).
        sections: The queries; of each the first ``columns`` pictures are shown.
        columns: Pictures in a row, >= 1.
        width_px: Width of a picture, >= 1.

    Returns:
        The absolute path.
    """
    file = Path(path).absolute()
    contact_sheet(sections, columns=columns, width_px=width_px).save(file, quality=90)
    return file


def contact_sheet(sections: Sequence[Section], *, columns: int = 5, width_px: int = 240) -> Image:
    """Return the picture that :func:`write_contact_sheet` writes."""
    from PIL import Image, ImageDraw

    height_px = width_px * 3 // 4
    row_px = _HEADING_PX + height_px + 26
    width = 2 * _MARGIN_PX + columns * (width_px + _GAP_PX) - _GAP_PX
    height = _MARGIN_PX + len(sections) * row_px + _MARGIN_PX // 2
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, section in enumerate(sections):
        top = _MARGIN_PX // 2 + index * row_px
        draw.text((_MARGIN_PX, top + 12), f"“{section.heading}”", fill=_INK, font=_font(26))
        for column, card in enumerate(section.cards[:columns]):
            left = _MARGIN_PX + column * (width_px + _GAP_PX)
            _place(sheet, draw, card, (left, top + _HEADING_PX), (width_px, height_px))
    return sheet


def _place(
    sheet: Image, draw: ImageDraw, card: Card, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Put a picture on the sheet, cut to the size, with its similarity beneath."""
    from PIL import Image, ImageDraw, ImageOps

    left, top = corner
    if card.thumbnail:
        with Image.open(io.BytesIO(card.thumbnail.content)) as image:
            cut = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        scale = 4  # the rounded corners are drawn large and shrunk, to be smooth
        mask = Image.new("L", (size[0] * scale, size[1] * scale), 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, *mask.size), 10 * scale, fill=255)
        sheet.paste(cut, corner, mask.resize(size, Image.Resampling.LANCZOS))
    else:
        draw.rounded_rectangle((left, top, left + size[0], top + size[1]), 10, outline=_FAINT)
    if card.similarity is not None:
        text = f"{card.similarity:.3f}"
        draw.text((left + 2, top + size[1] + 5), text, fill=_FAINT, font=_font(14))


def _font(size_px: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size_px)
