"""Search results to look at: one HTML file with the pictures in it, or one picture of them all.

``search(connection, "a black cat", sql)`` gives a section, which ``write_gallery`` and
``write_contact_sheet`` take.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..connection import Connection
from ..errors import ProgrammingError
from ..workspace import StrPath
from . import display
from .gallery_page import PAGE, STYLE
from .session import Outcome, run

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_CAPTIONS = ("caption", "photo_description", "ai_description", "description", "title")
_SHEET_MARGIN_PX = 28
_SHEET_GAP_PX = 12
_SHEET_HEADING_PX = 52
_INK, _PAPER, _FAINT = "#1d1b26", "#ffffff", "#7a7688"


@dataclass(frozen=True)
class Card:
    """One picture of a result.

    Attributes:
        name: Its path, URL or size.
        jpeg: The picture, at most 480 pixels wide; None where it cannot be read.
        similarity: Cosine, -1 to 1; None where the result has no such column.
        caption: A description out of the result, or empty.
        reason: Why it cannot be read, or empty.
    """

    name: str
    jpeg: bytes | None
    similarity: float | None = None
    caption: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Section:
    """A query and its pictures, best first.

    Attributes:
        heading: What was looked for.
        sql: The statement.
        cards: The pictures.
        query_jpeg: The picture that was looked for, where it was one.
    """

    heading: str
    sql: str
    cards: Sequence[Card]
    query_jpeg: bytes | None = None


def search(
    connection: Connection,
    heading: str,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
) -> Section:
    """Run a PRINT IMAGE statement, and return its pictures as a section.

    The similarity is read from the first column whose name holds ``similarity`` or is
    ``search_result``, the caption from one called ``caption``, ``description`` or alike.

    Args:
        connection: A connection.
        heading: What to write above the pictures.
        sql: ``PRINT IMAGE AS SELECT …``.
        parameters: Values of its named placeholders.

    Raises:
        ProgrammingError: The statement is not PRINT, or its result has no column of images.
        sqlite3.Error: The statement failed.
    """
    return section_of(connection, heading, run(connection, sql, parameters))


def section_of(connection: Connection, heading: str, outcome: Outcome) -> Section:
    """Return the pictures of an executed PRINT as a section; see :func:`search`."""
    if not outcome.is_print:
        raise ProgrammingError("a gallery shows the pictures of PRINT IMAGE AS SELECT …")
    names = [name.lower() for name in outcome.names or []]
    ranked = [i for i, name in enumerate(names) if "similarity" in name or name == "search_result"]
    told = [names.index(name) for name in _CAPTIONS if name in names]
    cards = []
    for picture in display.pictures(connection, outcome):
        row = outcome.rows[picture.row]
        similarity = row[ranked[0]] if ranked else None
        cards.append(
            Card(
                picture.name,
                display.thumbnail(picture.image) if picture.image else None,
                similarity if isinstance(similarity, float) else None,
                next((str(row[i]) for i in told if row[i] is not None), ""),
                picture.reason or "",
            )
        )
    return Section(heading, outcome.sql.strip(), cards)


def write_gallery(
    path: StrPath, sections: Sequence[Section], *, title: str = "Gallery", lead: str = ""
) -> Path:
    """Write one HTML file with everything in it.

    Args:
        path: Where; an existing file is replaced.
        sections: What to show.
        title: Title of the page.
        lead: A sentence under it.

    Returns:
        The absolute path.
    """
    page = PAGE.format(
        style=STYLE,
        title=escape(title),
        lead=escape(lead),
        contents="".join(
            f'<li><a href="#q{index}">{escape(section.heading)}</a></li>'
            for index, section in enumerate(sections, 1)
        ),
        sections="\n".join(_section(index, each) for index, each in enumerate(sections, 1)),
    )
    file = Path(path).absolute()
    file.write_text(page, encoding="utf-8")
    return file


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
    row_px = _SHEET_HEADING_PX + height_px + 26
    width = 2 * _SHEET_MARGIN_PX + columns * (width_px + _SHEET_GAP_PX) - _SHEET_GAP_PX
    height = _SHEET_MARGIN_PX + len(sections) * row_px + _SHEET_MARGIN_PX // 2
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, section in enumerate(sections):
        top = _SHEET_MARGIN_PX // 2 + index * row_px
        draw.text((_SHEET_MARGIN_PX, top + 12), f"“{section.heading}”", fill=_INK, font=_font(26))
        for column, card in enumerate(section.cards[:columns]):
            left = _SHEET_MARGIN_PX + column * (width_px + _SHEET_GAP_PX)
            _place(sheet, draw, card, (left, top + _SHEET_HEADING_PX), (width_px, height_px))
    return sheet


def _place(
    sheet: Image, draw: ImageDraw, card: Card, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Put a picture on the sheet, cut to the size, with its similarity beneath."""
    from PIL import Image, ImageDraw, ImageOps

    left, top = corner
    if card.jpeg:
        with Image.open(io.BytesIO(card.jpeg)) as image:
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


def _section(number: int, section: Section) -> str:
    asked = ""
    if section.query_jpeg:
        asked = f'<img class="asked" src="{_data_url(section.query_jpeg)}" alt="the query picture">'
    found = "" if section.cards else '<p class="found">no pictures</p>'
    return (
        f'<section id="q{number}">\n<header>{asked}<div><h2>{escape(section.heading)}</h2>'
        f"{found}</div></header>\n"
        f'<ol class="cards">{"".join(_cards(section))}</ol>\n'
        f"<details><summary>SQL</summary><pre><code>{_coloured(section.sql)}</code></pre>"
        "</details>\n</section>"
    )


def _cards(section: Section) -> Iterator[str]:
    for card in section.cards:
        name = escape(Path(card.name).name)
        if card.jpeg:
            alt = escape(card.caption or name)
            shown = f'<img src="{_data_url(card.jpeg)}" alt="{alt}" loading="lazy">'
        else:
            shown = f'<div class="missing">{escape(card.reason)}</div>'
        figure = ""
        if card.similarity is not None:
            figure = f"similarity <b>{card.similarity:.3f}</b>"
        caption = f'<span class="caption">{escape(card.caption)}</span>' if card.caption else ""
        yield (
            f'<li><figure title="{escape(card.name)}">{shown}<figcaption>'
            f'<span class="similarity">{figure}</span>{caption}'
            f'<span class="name">{name}</span></figcaption></figure></li>'
        )


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _coloured(sql: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    from .terminal import sql_lexer

    return str(highlight(sql, sql_lexer(), HtmlFormatter(nowrap=True))).rstrip("\n")
