"""Search results as one HTML file with the pictures in it, to open in a browser or to send.

A picture is embedded once, for the grid and the large view. On the machine where the pictures are,
the large view then loads the file itself, by a path relative to the page, and so is as sharp as it
is; elsewhere the embedded one stays. Embedding whole pictures would make a file of hundreds of
megabytes, and links alone one that is empty on another machine.

The page loads nothing from any host, and its policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..connection import Connection
from ..errors import OperationalError, ProgrammingError, clip, clip_path
from ..language import grammar
from ..workspace import StrPath, with_home
from .display import visible
from .gallery_words import words_for
from .pictures import count_of
from .sections import Card, Section, section_of
from .session import Outcome, run
from .templating import environment_of, source

if TYPE_CHECKING:
    from markupsafe import Markup

    from ..stores.sqlite.database import Parameters

MOST_PICTURES = 100
"""Pictures of a gallery, unless it is told otherwise."""

# Of many the pictures are smaller: 1,000 photographs make a file of 30 MB; at 640 pixels, 84 MB.
_FEW = 100
_BOX_OF_FEW, _BOX_OF_MANY = (800, 800), (360, 360)
# What browsers show by themselves.
_SUFFIXES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")


def gallery(
    connection: Connection,
    sql: str,
    parameters: Parameters = (),
    *,
    file: StrPath = "gallery.html",
    image_col: str = grammar.IMAGE_COL.default,
    title: str | None = None,
    limit: int | None = MOST_PICTURES,
) -> Path:
    """Run a query and write its pictures to an HTML file; see :func:`thanosql_dbapi.gallery`."""
    given: object = limit
    is_count = isinstance(given, int) and not isinstance(given, bool) and given >= 0
    if not (given is None or is_count):
        raise ProgrammingError(
            f"limit is a number of pictures, 0 or more, or None for all; got {clip(limit)}; nothing"
            " was run or written"
        )
    outcome = run(connection, sql, parameters)
    section = gallery_section(connection, outcome, image_col=image_col, limit=limit)
    return write_gallery(file, [section], title=title or section.heading)


def gallery_section(
    connection: Connection,
    outcome: Outcome,
    heading: str | None = None,
    *,
    image_col: str = grammar.IMAGE_COL.default,
    limit: int | None = MOST_PICTURES,
) -> Section:
    """Return the pictures of an executed query at the sizes of a gallery; see ``section_of``."""
    box = _BOX_OF_FEW if count_of(outcome, limit) <= _FEW else _BOX_OF_MANY
    return section_of(connection, outcome, heading, box=box, image_col=image_col, limit=limit)


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

    Raises:
        OperationalError: The file cannot be written; an older one is as it was.
    """
    file = Path(with_home(os.fspath(path))).absolute()
    folder = file.parent.resolve()
    environment = environment_of("thanosql_dbapi.ui")
    script = source(environment, "gallery.js")
    style = source(environment, "look.css") + source(environment, "gallery.css")
    page = environment.get_template("gallery.html").render(
        title=title,
        lead=lead,
        words=words_for(title),
        sections=sections,
        small=_BOX_OF_MANY[0],
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        original=lambda card: _original(card, folder),
        coloured=_coloured,
        folder_and_name=_folder_and_name,
    )
    unfinished = file.with_name(f".{file.name}.partial")
    try:
        unfinished.write_text(page, encoding="utf-8", newline="\n")
        unfinished.replace(file)
    except (OSError, ValueError) as error:  # ValueError: a NUL, half of a surrogate pair
        with suppress(OSError, ValueError):
            unfinished.unlink()
        reason = getattr(error, "strerror", None) or error
        raise OperationalError(
            f"cannot write the gallery {clip_path(file)}: {reason}; no file was changed"
        ) from error
    return file


def _original(card: Card, folder: Path) -> str:
    """Return the URL of a picture's file, relative to the page; empty where no browser shows it."""
    if card.path is None or card.thumbnail is None or card.path.suffix.lower() not in _SUFFIXES:
        return ""
    try:
        relative = os.path.relpath(card.path, folder)
    except ValueError:  # another drive
        return card.path.as_uri()
    # A colon or question mark in a name would be read as a scheme or a query.
    return "./" + quote(os.fsencode(Path(relative).as_posix()))


def _folder_and_name(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    return folder + slash, base


def _coloured(sql: str) -> Markup:
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    from .terminal import sql_lexer

    lines = visible("\n".join(sql.splitlines()))
    return Markup(highlight(lines, sql_lexer(), HtmlFormatter(nowrap=True)).rstrip("\n"))
