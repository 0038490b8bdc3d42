"""How results look in a terminal: tables, pictures where it can show them, errors in red.

Where the output is not a terminal, the same comes as plain text: nothing cut off, no colours.
"""

from __future__ import annotations

import base64
import io
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TextIO

from ..connection import Connection
from ..errors import WorkspaceError
from ..language import grammar
from . import display
from .session import Outcome

if TYPE_CHECKING:
    from click import UsageError
    from pygments.lexer import Lexer
    from rich.console import Console
    from rich.table import Table

    from .pictures import Picture

KEYWORDS = grammar.keywords() - {"AS", "CREATE", "DELETE", "FROM", "TABLE"}
"""The words of ThanoSQL that are none of SQL."""

_UNCUT = 100_000
_GAP = 3
_FEW_ROWS = 5
_WORD = 12
_KITTY_CHUNK = 4096
_KONSOLE_WITH_PICTURES = 220400


class Terminal:
    """Standard output and standard error, as one program uses them.

    Args:
        limit: Most rows of a table to show, None for all.
        hint: What to add where there are more.
    """

    def __init__(self, limit: int | None = None, hint: str = "") -> None:
        self.limit = limit
        self.hint = hint

    # Made when something is shown: a search that prints paths need not load rich.
    @cached_property
    def console(self) -> Console:
        """Standard output."""
        return _console(sys.stdout)

    @cached_property
    def errors(self) -> Console:
        """Standard error."""
        return _console(sys.stderr)

    @cached_property
    def protocol(self) -> str | None:
        """How the terminal takes pictures; None where there is none, or it takes none."""
        return image_protocol(os.environ) if sys.stdout.isatty() else None

    def show(self, connection: Connection, outcome: Outcome) -> None:
        """Show what a statement came to: a table, pictures, or ``Success``."""
        if outcome.names is None:
            self.say("Success", "green")
        elif outcome.shows_videos:
            self._show_videos(connection, outcome)
        elif outcome.is_print:
            self.show_pictures(connection, outcome)
        else:
            rows = outcome.rows[: self.limit]
            if self.console.is_terminal and goes_down(outcome.names, rows, self.console.width):
                self._show_down(outcome.names, rows)
            else:
                self.console.print(table(outcome.names, rows))
            left = len(outcome.rows) - len(rows)
            if left:
                self.say(f"… and {left:,} rows more{self.hint}", "dim")

    def _show_down(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show each row as a block: a line for each of its values, nothing cut off."""
        from rich.cells import cell_len

        titles = [_title(name) for name in names]
        width = max(map(cell_len, titles))
        for number, row in enumerate(rows, 1):
            self.say(f"── row {number:,} {'─' * width}", "dim")
            for title, value in zip(titles, row, strict=True):
                self.say(f"{title}{' ' * (width - cell_len(title))}   {display.cell(value)}")

    def show_pictures(self, connection: Connection, outcome: Outcome) -> None:
        """Show the pictures of a PRINT: the path of each, and itself where the terminal can."""
        from .pictures import pictures

        for picture in pictures(connection, outcome):
            self.say(picture.name)
            self.show_picture(picture)

    def _show_videos(self, connection: Connection, outcome: Outcome) -> None:
        """Show the path of each video, and where it is to be played from."""
        from .videos import videos

        for video in videos(connection, outcome):
            self.say(video.label)
            if video.reason:
                self.warn("cannot be shown", video.reason)

    def show_picture(self, picture: Picture) -> None:
        """Show a picture where the terminal can, or say why it cannot be shown."""
        if picture.thumbnail is None:
            self.warn("cannot be shown", picture.reason)
            return
        if picture.thumbnail.remark:
            self.warn("shown in part", picture.thumbnail.remark)
        if self.protocol:
            self.console.file.write(inline_image(picture.thumbnail.content, self.protocol))
            self.console.file.flush()

    def say(self, text: str, style: str = "") -> None:
        """Print one text as it is."""
        text = display.visible(text)
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def say_code(self, code: str, lexer: Lexer | None = None) -> None:
        """Print code, coloured where the terminal can; SQL unless told otherwise."""
        from pygments import highlight
        from pygments.formatters import TerminalFormatter

        code = display.visible(code)
        if self.console.color_system:
            # Not rich's own way with code, which cuts off what is wider than the terminal.
            code = str(highlight(code, lexer or sql_lexer(), TerminalFormatter())).rstrip("\n")
        print(code, file=self.console.file)

    def note(self, text: str) -> None:
        """Print what is no part of a result to standard error."""
        self.errors.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def warn(self, what: str, message: str) -> None:
        """Print a warning to standard error."""
        self._complain(what, message, "yellow")

    def error(self, error: BaseException) -> None:
        """Print an error's kind and message to standard error; the message keeps its lines."""
        message = str(error)
        if isinstance(error, WorkspaceError) and error.folder is not None:
            allow = f"--allow {shlex.quote(error.folder)}"
            message = f"{error.reason}; move it there, or start thanosql with {allow}"
        self._complain(type(error).__name__, message, "red")

    def usage_error(self, error: UsageError) -> None:
        """Print what is wrong with the arguments, and where their help is, to standard error."""
        if error.ctx is not None:
            self.errors.print(display.visible(error.ctx.get_usage()), markup=False, soft_wrap=True)
        self._complain("Error", f"{error.format_message()}; --help says more", "red")

    def _complain(self, what: str, message: str, style: str) -> None:
        text = display.visible(f"{what}: {message}")
        self.errors.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def goes_down(names: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> bool:
    """Return whether a result is shown down the page, a block for each row.

    Few rows that a table of this width would cut off are; of many, only those whose columns would
    have no room for a word.

    Args:
        names: Names of the columns.
        rows: Rows of that many values.
        width: Of the terminal, in characters.
    """
    from rich.cells import cell_len

    widest = [cell_len(_title(name)) for name in names]
    for row in rows:
        widest = [max(w, cell_len(display.cell(v))) for w, v in zip(widest, row, strict=True)]
    room = width - _GAP * (len(names) - 1)
    return bool(rows) and (
        sum(min(each, _WORD) for each in widest) > room
        or (sum(widest) > room and len(rows) <= _FEW_ROWS)
    )


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a result as an aligned table; a terminal too narrow for a value gets its beginning.

    Args:
        names: Names of the columns.
        rows: Rows of that many values.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    # The texts refuse to wrap, not the columns: of columns rich then narrows the widest first.
    for index, name in enumerate(names):
        values = [row[index] for row in rows if row[index] is not None]
        is_number = bool(values) and all(isinstance(value, (int, float)) for value in values)
        made.add_column(
            Text(
                _title(name),
                style="bold",
                no_wrap=True,
                overflow="ellipsis",
            ),
            justify="right" if is_number else "left",
            # A number with an ellipsis would be another number.
            min_width=max(len(display.cell(value)) for value in values) if is_number else None,
        )
    for row in rows:
        cells = [(display.cell(value), "dim" if value is None else "") for value in row]
        made.add_row(*(Text(c, style=s, no_wrap=True, overflow="ellipsis") for c, s in cells))
    return made


def _title(name: str) -> str:
    return display.cell(name)


def image_protocol(environment: Mapping[str, str]) -> str | None:
    """Return how this terminal takes pictures: ``"kitty"``, ``"iterm"``, or None.

    Asked of the environment alone: a question to the terminal itself would leave its answer in
    the input of one that does not understand it. Within tmux and screen pictures get lost.
    """
    if environment.get("TMUX") or environment.get("STY"):
        return None
    program = environment.get("TERM_PROGRAM", "")
    if (
        environment.get("KITTY_WINDOW_ID")
        or environment.get("TERM") in ("xterm-kitty", "xterm-ghostty")
        or program == "ghostty"
    ):
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "rio", "mintty"):
        return "iterm"
    konsole = environment.get("KONSOLE_VERSION", "")
    has_konsole = konsole.isdecimal() and int(konsole) >= _KONSOLE_WITH_PICTURES
    return "iterm" if has_konsole or environment.get("LC_TERMINAL") == "iTerm2" else None


def inline_image(jpeg: bytes, protocol: str) -> str:
    """Return what makes a terminal show a picture, 240 pixels wide.

    Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/ and
    https://iterm2.com/documentation-images.html
    """
    from .thumbnails import WIDTH_PX

    if protocol == "iterm":
        data = base64.b64encode(jpeg).decode()
        options = f"inline=1;width={WIDTH_PX}px;size={len(jpeg)};preserveAspectRatio=1"
        return f"\x1b]1337;File={options}:{data}\a\n"
    return "".join(_kitty_chunks(_png(jpeg))) + "\n"


@lru_cache(maxsize=1)
def sql_lexer() -> Lexer:
    """Return the pygments lexer of SQL with ThanoSQL's words as keywords."""
    from pygments.lexers.sql import SqlLexer
    from pygments.token import Keyword, Name

    class ThanosqlLexer(SqlLexer):
        name = "ThanoSQL"

        def get_tokens_unprocessed(self, *args: Any) -> Iterator[tuple[int, Any, str]]:
            for index, kind, value in super().get_tokens_unprocessed(*args):
                is_ours = kind is Name and value.upper() in KEYWORDS
                yield index, Keyword if is_ours else kind, value

    return ThanosqlLexer()


def _console(file: TextIO) -> Console:
    from rich.console import Console

    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=_UNCUT)


def _png(jpeg: bytes) -> bytes:
    from PIL import Image
    from PIL.Image import Resampling

    from .thumbnails import WIDTH_PX

    file = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        # Kitty shows a picture's own pixels, where iTerm scales it.
        height = max(1, round(image.height * WIDTH_PX / image.width))
        image.resize((WIDTH_PX, height), Resampling.LANCZOS).save(file, "PNG")
    return file.getvalue()


def _kitty_chunks(png: bytes) -> Iterator[str]:
    data = base64.b64encode(png).decode()
    for begin in range(0, len(data), _KITTY_CHUNK):
        first = "a=T,f=100,q=2," if begin == 0 else ""
        more = int(begin + _KITTY_CHUNK < len(data))
        yield f"\x1b_G{first}m={more};{data[begin : begin + _KITTY_CHUNK]}\x1b\\"
