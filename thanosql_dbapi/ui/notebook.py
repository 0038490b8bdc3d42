"""The notebook: ``%load_ext thanosql``, then ``%thanosql`` and ``%%thanosql``.

``%thanosql photos.db`` opens a database and gives the connection, ``%%thanosql`` over a statement
runs it and gives a data frame, PRINT IMAGE shows the pictures.

Python variables come in by two doors:

* A variable alone, ``%%thanosql $query``, *is the text* of the statement (or the name
  of the database), as in IPython's own magics. ``{expression}`` alone is the same.
* Within a statement ``$name`` (also ``:name`` and ``@name``) is SQLite's bound parameter, and its
  *value* is that of the Python variable. It is never put into the text, so quotes in it do no
  harm, and a list, bytes or a data frame will do where the statement takes one. Braces within a
  statement are left alone: they are JSON more often than Python.

A failed statement raises the driver's exception, and the notebook shows its message alone;
``%tb`` shows the traceback after all.
"""

from __future__ import annotations

import atexit
import base64
import os
import re
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from traitlets import Int

from ..connection import Connection
from ..errors import Error, ProgrammingError, clip
from ..language import parse
from ..language.lexer import Kind, tokens
from ..opening import is_url, open_database
from . import display
from .completion import candidates, matching
from .pictures import pictures
from .sections import Card, section_of
from .session import Outcome, brief_warnings, run, searches, statements_of
from .templating import environment_of
from .thumbnails import MIME, SHARP_BOX, WIDTH_PX
from .videos import videos

# A notebook's file has them in it.
_MOST_VIDEOS = 10
_TOKEN = re.compile(r"API_TOKEN\s*=", re.IGNORECASE)
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_BRACES = re.compile(r"\{(.+)\}", re.DOTALL)
_QUOTED = re.compile(r"""(["'])(.+)\1""")
_PATH = re.compile(r"[^\s()'\";]*[./\\][^\s()'\";]*")
_ALONE = re.compile(r"%%thanosql[ \t]+(\S.*)", re.DOTALL)
# A cell under the cell magic, or the last line of one with the line magic, up to the cursor.
_MAGIC = re.compile(r"(?:%%thanosql\b|(?:.*\n)*?[^\n#]*?%thanosql\b)(.*)", re.DOTALL)
_NO_TOKEN = "A local database needs no API token; this one was neither kept nor sent anywhere."


@magics_class
class ThanosqlMagics(Magics):
    """``%thanosql`` and ``%%thanosql``."""

    image_limit = Int(
        100, min=0, help="Most pictures one PRINT shows, unless it has OPTIONS (limit=…)."
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell  # Magics.shell may be None to a type checker
        self._connection: Connection | None = None
        self._opened: weakref.WeakSet[Connection] = weakref.WeakSet()

    @property
    def connection(self) -> Connection:
        """The connection of the magics; the default database is opened when none was named."""
        return self._connection or self.open(None)

    @property
    def opened(self) -> Connection | None:
        """The connection of the magics, if one has been opened: typing opens none."""
        return self._connection

    def open(self, name: str | None) -> Connection:
        """Open a database, and make it the one that the magics use."""
        self._connection = open_database(name)
        self._opened.add(self._connection)
        return self._connection

    def close(self) -> None:
        """Close every connection that the magics opened."""
        self._connection = None
        for connection in list(self._opened):
            connection.close()

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def thanosql(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Run a ThanoSQL or SQL statement, or open a database.

        ``%thanosql photos.db`` opens a database; a URL such as
        ``thanosql:///photos.db?workspace=…&device=cpu`` does too. ``%thanosql`` alone gives the
        connection. ``%thanosql SELECT 1`` runs a statement of one line, ``%%thanosql`` the
        statement under it. ``$name`` in a statement is the value of a Python variable; alone,
        ``%%thanosql $name``, it is the statement's text.
        """
        names = {**self._shell.user_ns, **(local_ns or {})}
        with _short_errors():
            head = _expanded(line.strip(), names)
            if _TOKEN.match(head):
                print(_NO_TOKEN)  # noqa: T201 - a magic prints
                head = ""
                if cell is None:
                    return None
            database = _database_in(head)
            if database is not None:
                connection, head = self.open(database), ""
            else:
                connection = self.connection
            if not head and cell is None:
                return connection
            body = _expanded(cell or "", names)
            return self._answer(connection, f"{head}\n{body}" if head else body, names)

    def _answer(self, connection: Connection, text: str, names: Mapping[str, Any]) -> Any:
        sql = _one_statement(text)
        parameters = _parameters(sql, names)
        if searches(parse(sql)):
            print("Searching...", flush=True)  # noqa: T201
        with brief_warnings(_show_warning):
            outcome = run(connection, sql, parameters)
        if outcome.report:
            # Not printed: what the tutorial prints is all that standard output gets, and Jupyter
            # shows standard error in red.
            self._shell.display_pub.publish(data={"text/plain": outcome.report})
        if outcome.names is None:
            print("Success")  # noqa: T201
            return None
        if outcome.shows_videos:
            self._show_videos(connection, outcome)
            return None
        if outcome.is_print:
            self._show_pictures(connection, outcome)
            return None
        frame = display.frame(outcome.names, outcome.rows)
        return display.headed(frame) if outcome.report else frame

    def _show_pictures(self, connection: Connection, outcome: Outcome) -> None:
        if len(outcome.names or []) == 1:
            shown = self._show_one_by_one(connection, outcome)
        else:
            shown = self._show_grid(connection, outcome)
        _say_left(outcome, shown)

    def _show_videos(self, connection: Connection, outcome: Outcome) -> None:
        """Print the path of each video, and show it under that, to be played from its time on."""
        page = environment_of("thanosql_dbapi.ui").get_template("video.html")
        shown = 0
        for video in videos(connection, outcome, _MOST_VIDEOS):
            shown += 1
            print(video.label, flush=True)  # noqa: T201
            try:
                playable = video.playable(connection)
            except Error as error:
                print(f"  cannot be shown: {error}")  # noqa: T201
                continue
            self._shell.display_pub.publish(
                data={
                    "text/html": page.render(video=playable, name=video.label),
                    "text/plain": f"<video, {len(playable.content):,} bytes>",
                }
            )
        _say_left(outcome, shown)

    def _show_one_by_one(self, connection: Connection, outcome: Outcome) -> int:
        """Print each path and show the picture under it, as the tutorial has it."""
        shown = 0
        for picture in pictures(connection, outcome, self.image_limit):
            shown += 1
            print(picture.name, flush=True)  # noqa: T201
            small = picture.thumbnail
            if small is None:
                print(f"  cannot be shown: {picture.reason}")  # noqa: T201
                continue
            if small.remark:
                print(f"  shown in part: {small.remark}")  # noqa: T201
            jpeg = base64.b64encode(small.content).decode()
            self._shell.display_pub.publish(
                data={MIME: jpeg, "text/plain": f"<image, {small.width} × {small.height}>"},
                metadata={MIME: {"width": WIDTH_PX, "alt": Path(picture.name).name}},
            )
        return shown

    def _show_grid(self, connection: Connection, outcome: Outcome) -> int:
        """Show the pictures side by side, each with its similarity, caption and short path."""
        box = (SHARP_BOX[0], SHARP_BOX[0] * 3 // 4)
        page = environment_of("thanosql_dbapi.ui").get_template("notebook.html")
        section = section_of(connection, outcome, box=box, limit=self.image_limit)
        self._shell.display_pub.publish(
            data={
                "text/html": page.render(section=section),
                "text/plain": "\n".join(map(_line, section.cards)) or "no pictures",
            }
        )
        return len(section.cards)


def _say_left(outcome: Outcome, shown: int) -> None:
    left = len(outcome.rows) - shown
    if left and outcome.print_options and outcome.print_options.limit is None:
        print(f"… and {left:,} more; OPTIONS (limit=…) shows as many as it says")  # noqa: T201


def _line(card: Card) -> str:
    """Return what a notebook without HTML shows of a picture."""
    similarity = "" if card.similarity is None else f"{card.similarity:.3f}  "
    reason = f"  cannot be shown: {card.reason}" if card.reason else ""
    return display.visible(f"{similarity}{card.path or card.name}{reason}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics; a second time, under either package's name, keeps the connection."""
    if "ThanosqlMagics" in shell.magics_manager.registry:
        return
    magics = ThanosqlMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.append(_one_line)
    shell.Completer.custom_matchers.append(_matcher(magics))
    atexit.register(magics.close)


def _matcher(magics: ThanosqlMagics) -> Any:
    """Return what completes the statements of the magics for IPython."""

    def matcher(context: CompletionContext) -> Any:
        lines = context.full_text.split("\n")[: context.cursor_line]
        match = _MAGIC.match("\n".join([*lines, context.text_until_cursor]))
        if match is None:
            return {"completions": []}
        typed, found = candidates(magics.opened, match[1])
        return {
            "completions": [SimpleCompletion(text=each) for each in matching(typed, found)],
            "matched_fragment": typed,
            "ordered": True,
            "suppress": True,
        }

    return context_matcher(identifier="thanosql")(matcher)


def _one_line(lines: list[str]) -> list[str]:
    """Make a line magic of a cell that is ``%%thanosql $query`` alone.

    IPython refuses a cell magic without a body.
    """
    first, *rest = lines or [""]
    match = _ALONE.fullmatch(first.rstrip())
    if match is None or any(line.strip() for line in rest):
        return lines
    return [f"%thanosql {match.group(1)}\n"]


@contextmanager
def _short_errors() -> Iterator[None]:
    """Let the driver's exceptions through, to be shown as their message alone, once."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        failed: Any = error

        def render() -> list[str]:
            # IPython asks an exception how it wants to be shown. %tb asks again, and then gets
            # the traceback.
            del failed._render_traceback_
            return [f"{type(failed).__name__}: {failed}"]

        failed._render_traceback_ = render
        raise


def _show_warning(category: str, message: str) -> None:
    print(f"{category}: {message}", file=sys.stderr)  # noqa: T201


def _expanded(text: str, names: Mapping[str, Any]) -> str:
    """Return the text that a variable or expression standing alone holds; other text as it is."""
    alone = text.strip()
    match = _VARIABLE.fullmatch(alone) or _BRACES.fullmatch(alone)
    if match is None:
        return text
    try:
        value = eval(match.group(1), {}, names)
    except Exception as error:
        raise UsageError(f"%thanosql {alone}: {type(error).__name__}: {error}") from error
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value).strip()
    raise UsageError(f"%thanosql {alone}: expected the text of a statement, got {clip(value)}")


def _database_in(head: str) -> str | None:
    """Return the database that the magic's line names, or None where it is a statement."""
    if quoted := _QUOTED.fullmatch(head):
        return quoted.group(2)
    is_name = head == ":memory:" or _PATH.fullmatch(head) or (is_url(head) and " " not in head)
    return head if is_name else None


def _one_statement(text: str) -> str:
    statements = statements_of(text)
    if not statements:
        raise ProgrammingError("the cell holds no statement")
    if len(statements) > 1:
        second = " ".join(statements[1].split())
        raise ProgrammingError(
            f"a cell takes one statement, and this one holds {len(statements)}; put"
            f" {clip(second, 60)} into a cell of its own"
        )
    return statements[0]


def _parameters(sql: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Python variables that the statement's parameters name."""
    values: dict[str, Any] = {}
    for token in tokens(sql):
        if token.kind is not Kind.PARAMETER:
            continue
        name = token.text[1:]
        if not name.isidentifier():
            raise ProgrammingError(
                f"the parameter {token.text} has no name; in a notebook write $name, and the value"
                " of that Python variable is bound"
            )
        if name not in names:
            raise ProgrammingError(
                f"there is no Python variable {name!r} to bind to {token.text}; assign it in a cell"
                " before"
            )
        values[name] = _bindable(names[name])
    return values


def _bindable(value: Any) -> Any:
    """Return a value as sqlite3 takes it: a path as text, a numpy number as a number."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    item: Callable[[], Any] | None = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return item()
    return value
