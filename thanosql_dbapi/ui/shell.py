"""The interactive shell: ``thanosql photos.db``; and scripts on standard input.

A statement ends with a semicolon, or with an empty line. Lines that begin with a dot are the
shell's own commands.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..connection import Connection
from ..language import parse, split_script
from ..language.tree import DeleteModel, List, Query
from ..language.walk import is_bare
from ..stores.sqlite.registry import PREFIX
from .completion import completer
from .session import brief_warnings, is_interrupted, run, statements_of
from .terminal import Terminal, sql_lexer

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from .session import Outcome

ROWS_SHOWN = 100

HELP = """\
A statement ends with ; or with an empty line. SQL is SQLite's, and there is more:
  GET THANOSQL DATASET storybook             COPY storybook FROM 'file.csv'
  GET THANOSQL MODEL storybook_clip          CONVERT USING model OPTIONS (…) AS SELECT …
  SEARCH IMAGE text='a black cat' USING model AS SELECT …      PRINT IMAGE AS SELECT …
  LIST THANOSQL DATASET   LIST THANOSQL MODEL   LIST TABLE   LIST MODEL
Commands of the shell:
  .tables           the tables and views
  .schema [TABLE]   the statements that made them
  .rows N|all       how many rows of a result are shown (now {rows})
  .gallery [FILE]   the pictures of the last result as an HTML file; default: gallery.html
  .help, help       this text
  .quit, quit, exit leave (Ctrl-D does too; Ctrl-C stops a statement)"""

# What people type who want to leave or to know more; no statement is one word but VACUUM.
_PLAIN_WORDS = {"quit": ".quit", "exit": ".quit", "help": ".help"}
_BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)


class Shell:
    """A database and a terminal.

    Args:
        connection: Where statements run.
        terminal: Where results go.
    """

    def __init__(self, connection: Connection, terminal: Terminal) -> None:
        self.connection = connection
        self.terminal = terminal
        self._last: Outcome | None = None
        self._commands: dict[str, Callable[[str], None]] = {
            ".tables": self._tables,
            ".schema": self._schema,
            ".rows": self._rows,
            ".gallery": self._gallery,
            ".help": self._help,
        }

    def execute(self, sql: str) -> None:
        """Run one statement and show its result.

        Raises:
            sqlite3.Error: The statement failed.
        """
        with brief_warnings(self.terminal.warn):
            outcome = run(self.connection, sql)
        if outcome.names is not None:
            self._last = outcome
        self.terminal.show(self.connection, outcome)
        if outcome.report:
            self.terminal.note(outcome.report)

    def command(self, line: str) -> None:
        """Obey a line that begins with a dot.

        Raises:
            ProgrammingError: There is no such command, or it does not take the argument.
        """
        word, _, argument = line.strip().partition(" ")
        command = self._commands.get(word)
        if command is None:
            raise sqlite3.ProgrammingError(
                f"unknown command {word!r}; the commands are"
                f" {', '.join((*self._commands, '.quit'))}"
            )
        command(argument.strip())

    def attempt(self, text: str) -> bool:
        """Run a statement or command; errors are shown, not raised. False where one failed."""
        try:
            if (command := command_of(text)) is not None:
                self.command(command)
            else:
                for sql in statements_of(text):
                    self.execute(sql)
        except (sqlite3.Error, sqlite3.Warning, KeyboardInterrupt) as error:
            if is_interrupted(error):
                self.terminal.say("\nstopped", "yellow")
            else:
                self.terminal.error(error)
            return False
        return True

    def interact(self) -> None:
        """Read statements from the terminal until the user leaves."""
        session = _session(self)
        where = f"{self.connection!r}".partition(" ")[2].rstrip(">")
        self.terminal.say(f"thanosql: {where}", "bold")
        self.terminal.say("End a statement with ; or an empty line. .help helps.", "dim")
        while True:
            try:
                text = session.prompt("thanosql> ")
            except KeyboardInterrupt:  # drops the line, as in every shell
                continue
            except EOFError:
                return
            if _leaves(text):
                return
            self.attempt(text)

    def run_script(self, script: str) -> bool:
        """Run statements and commands one after another, up to the first that fails.

        Returns:
            Whether all succeeded; the error is on standard error with its line.
        """
        for line, text in _pieces(script):
            if _leaves(text):
                return True
            if not self.attempt(text):
                if text.strip() != script.strip():
                    self.terminal.warn("stopped", f"at the statement that begins in line {line}")
                return False
        return True

    def _tables(self, argument: str) -> None:
        for name, _ in run(self.connection, "LIST TABLE").rows:
            self.terminal.say(name)

    def _schema(self, argument: str) -> None:
        sql = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, rowid"
        found = False
        for name, statement in run(self.connection, sql).rows:
            is_wanted = argument.lower() in ("", name.lower()) and not name.startswith(PREFIX)
            if is_wanted:
                found = True
                self.terminal.say_code(f"{statement};")
        if argument and not found:
            raise sqlite3.OperationalError(f"no such table: {argument}")

    def _rows(self, argument: str) -> None:
        if argument.lower() == "all":
            self.terminal.limit = None
        elif argument.isdecimal():
            self.terminal.limit = int(argument)
        else:
            raise sqlite3.ProgrammingError(f".rows takes a number or all, got {argument!r}")

    def _gallery(self, argument: str) -> None:
        from .gallery import gallery_section, write_gallery

        if self._last is None:
            raise sqlite3.ProgrammingError(
                ".gallery writes the pictures of the last result, and there is none yet; run a"
                " statement such as PRINT IMAGE AS SELECT … first"
            )
        section = gallery_section(self.connection, self._last)
        page = write_gallery(argument or "gallery.html", [section], title=section.heading)
        self.terminal.say(str(page))

    def _help(self, argument: str) -> None:
        limit = self.terminal.limit
        self.terminal.say(HELP.format(rows="all" if limit is None else limit))


def command_of(text: str) -> str | None:
    """Return the shell's own command that a text is, comments before it aside; else None."""
    code = _code(text).rstrip()
    if code.startswith("."):
        return code
    return _PLAIN_WORDS.get(code.rstrip("; \t").lower())


def is_complete(text: str) -> bool:
    """Return whether Enter runs a text, or begins another line of it.

    Most statements may go on in the next line, so only a semicolon or an empty line ends them.
    LIST and DELETE MODEL cannot.
    """
    stripped = text.strip()
    is_ended = not stripped or bool(command_of(text)) or sqlite3.complete_statement(text)
    before, _, last_line = text.rpartition("\n")
    if is_ended or (before and not last_line.strip()):
        return True
    try:
        tree = parse(text)
    except sqlite3.Error:
        return False
    if isinstance(tree, Query):
        return is_bare(tree) and any(isinstance(part, List) for part in tree.parts)
    return isinstance(tree, DeleteModel)


def _pieces(script: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of a script's statements and dot commands."""
    line, rest = 1, script
    while rest.strip():
        blank = len(rest) - len(rest.lstrip())
        line, rest = line + rest.count("\n", 0, blank), rest[blank:]
        begin = len(rest) - len(_code(rest))
        first_line = rest[begin:].partition("\n")[0]
        is_command = command_of(first_line) is not None
        piece = rest[:begin] + first_line if is_command else split_script(rest)[0]
        yield line, piece
        line, rest = line + piece.count("\n"), rest[len(piece) :]


def _code(text: str) -> str:
    """Return a text without the blanks and comments that it begins with."""
    found = _BLANK.match(text)
    return text[found.end() :] if found else text


def _leaves(text: str) -> bool:
    return command_of(text) in (".quit", ".exit")


def state_folder() -> Path:
    """Return the user's folder for what programs remember, which need not exist."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "thanosql"


def _history_file() -> Path | None:
    """Return the history's file, in the user's state folder; None where it cannot be kept."""
    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "history"
        file.touch(mode=0o600)
    except OSError:
        return None
    return file


def _session(shell: Shell) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.lexers import PygmentsLexer

    keys = KeyBindings()

    @Condition
    def is_ready() -> bool:
        buffer = get_app().current_buffer
        return buffer.document.is_cursor_at_the_end and is_complete(buffer.text)

    @keys.add("enter", filter=is_ready)
    def run_it(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    file = _history_file()
    return PromptSession(
        history=FileHistory(str(file)) if file else InMemoryHistory(),
        lexer=PygmentsLexer(type(sql_lexer())),
        completer=completer(shell.connection),
        complete_while_typing=False,
        auto_suggest=AutoSuggestFromHistory(),
        multiline=True,
        key_bindings=keys,
        prompt_continuation=lambda width, line, wraps: "...> ".rjust(width),
    )
