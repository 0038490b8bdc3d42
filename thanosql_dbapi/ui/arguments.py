"""What the command line is made of: options that stand anywhere, and those of ``connect``."""

from __future__ import annotations

import difflib
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click

from ..errors import ModelError, ProgrammingError, clip
from ..opening import is_url
from ..option import Option, OptionError
from ..places import is_elsewhere
from ..settings import OPTIONS
from ..workspace import with_home
from .session import is_interrupted

INTERRUPTED = 130
"""The exit status that a shell reports of a program that Ctrl-C ended."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Program(click.Group):
    """Commands, each with its options before or after its name; and what to do without one.

    The arguments of a call that names no command belong to the hidden command ``default``. After
    ``--``, and as ``./search``, a command's name is a file's.
    """

    default = "database"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, the command's name put first."""
        return super().parse_args(ctx, self._command_first(args))

    def invoke(self, ctx: click.Context) -> int:
        """Run the command, and return its exit status; what went wrong is on standard error."""
        try:
            return int(super().invoke(ctx) or 0)
        except OptionError as error:
            raise click.UsageError(str(error)) from error
        except BrokenPipeError:
            # Whoever read the output has had enough (head, a pager). Python would complain once
            # more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (UnicodeEncodeError, UnicodeDecodeError) as error:
            # SQLite takes text alone. Bytes that are none come from the arguments or from a pipe.
            where = clip(error.object[max(0, error.start - 20) : error.end])
            return _failed(
                ProgrammingError(f"what was typed or piped in is not UTF-8 at {where}; convert it")
            )
        except (sqlite3.Error, sqlite3.Warning, OSError, MemoryError, KeyboardInterrupt) as error:
            return INTERRUPTED if is_interrupted(error) else _failed(error)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both forms of a call."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] [DATABASE] [SQL]")
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS] …", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and the options of a call without one."""
        self.format_commands(ctx, formatter)
        database = self.commands[self.default]
        database.format_options(click.Context(database, parent=ctx), formatter)

    def _command_first(self, args: list[str]) -> list[str]:
        args = [*self._with_values(args)]
        words = iter(enumerate(args))
        valued = set(self._options_with_values())
        for index, word in words:
            if word in self.list_commands(self.context_class(self)):
                if not self.commands[word].hidden:
                    return [word, *args[:index], *args[index + 1 :]]
                break
            if word == "--" or not word.startswith("-"):
                break
            if word in valued:
                next(words, None)
        return [self.default, *args]

    def _with_values(self, args: list[str]) -> Iterator[str]:
        """Yield the arguments; an optional file that is not given gets its default's name."""
        optional = {
            name: parameter
            for parameter in self._parameters()
            if isinstance(parameter, OptionalFile)
            for name in parameter.opts
        }
        ends = args.index("--") if "--" in args else len(args)
        for index, word in enumerate(args):
            option = optional.get(word) if index < ends else None
            following = args[index + 1] if index + 1 < len(args) else ""
            if option is None or following.lower().endswith(option.suffixes):
                yield word
            else:
                yield f"{word}={option.otherwise}"

    def _options_with_values(self) -> Iterator[str]:
        for parameter in self._parameters():
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                yield from parameter.opts

    def _parameters(self) -> Iterator[click.Parameter]:
        for command in self.commands.values():
            yield from command.params


class OptionalFile(click.Option):
    """An option that takes a file's name, and may stand alone: what follows then is no file's.

    Which is which, the suffix says: ``--gallery DIR "a cat"`` and ``--gallery cats.html DIR "a
    cat"`` are both understood.

    Args:
        suffixes: How the file's name ends, in lower case.
        otherwise: The name without one.
    """

    def __init__(
        self, *arguments: Any, suffixes: tuple[str, ...], otherwise: str, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.suffixes, self.otherwise = suffixes, otherwise


class Unnamed(click.Command):
    """A command that is called without its name, and has its program's help."""

    class context_class(click.Context):  # noqa: N801 - click's name
        """Its messages name the program alone."""

        @property
        def command_path(self) -> str:
            """What was typed before the arguments."""
            assert self.parent is not None
            return self.parent.command_path

    def get_help(self, ctx: click.Context) -> str:
        """Return the program's help."""
        assert ctx.parent is not None
        return ctx.parent.get_help()


def _reader(option: Option) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return what reads the texts given for an option of ``connect``."""

    def read(text: str, ctx: click.Context) -> Any:
        try:
            if option.name == "allowed_directories" and not is_elsewhere(text):
                # Typed in a shell, a folder is the current folder's; in a URL, the workspace's.
                text = str(Path(with_home(text)).absolute())
            return option.read_text(text, option.flag)
        except OptionError as error:
            raise click.UsageError(str(error), ctx) from error

    def read_all(ctx: click.Context, parameter: click.Parameter, texts: Any) -> Any:
        if option.is_repeatable:
            return [read(text, ctx) for text in texts] or None
        return None if texts is None else read(texts, ctx)

    return read_all


def connect_options(*names: str) -> Callable[[_Command], _Command]:
    """Return a decorator that gives a command options of ``connect``.

    Args:
        names: Their names in ``settings.OPTIONS``, which are also the parameters' names. A
            parameter is None where its option is not given.
    """

    def decorate(command: _Command) -> _Command:
        for name in reversed(names):
            option = OPTIONS[name]
            if option.metavar is None:
                flag = option.flag.removeprefix("--")
                added = click.option(f"--{flag}/--no-{flag}", name, default=None, help=option.help)
            else:
                added = click.option(
                    option.flag,
                    name,
                    metavar=option.metavar,
                    callback=_reader(option),
                    multiple=option.is_repeatable,
                    help=option.help,
                )
            command = added(command)
        return command

    return decorate


def check_device(device: str | None) -> None:
    """Refuse a device that this machine has not, before anything is done.

    Args:
        device: What ``--device`` says. The processor is always there; any other is asked of torch,
            which takes seconds to import.

    Raises:
        click.UsageError: The machine has none of it.
    """
    if device in (None, "cpu"):
        return
    from ..models.devices import resolve_device

    try:
        resolve_device(device)
    except ModelError as error:
        raise click.UsageError(str(error)) from error


def check_database(name: str | None, commands: list[str]) -> None:
    """Refuse what is given for a database and is plainly something else.

    Args:
        name: What stands for it.
        commands: The names of commands, one of which may be meant.

    Raises:
        click.UsageError: It is a folder, a statement or a misspelt command.
    """
    if name is None or is_url(name) or name == ":memory:":
        return
    path = Path(with_home(name))
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError):  # too long for a name
        is_folder, is_there = False, False
    if is_folder:
        raise click.UsageError(
            f"{name!r} is a folder, and a database is a file; to search the pictures in it:"
            f' thanosql search {quote(name)} "a black cat"; to open the database that the search'
            f" makes: thanosql {quote(str(path / 'photos.db'))}"
        )
    if is_there:
        return
    if any(each.isspace() for each in name) and _is_statement(name):
        raise click.UsageError(
            f"the database is missing before the statement: thanosql DATABASE {quote(name)}"
        )
    near = difflib.get_close_matches(name, commands, 1, 0.75) if name.isalpha() else []
    if near and name not in commands:  # the very name was meant: it stands after --
        raise click.UsageError(
            f"there is no database {name!r}; did you mean the command {near[0]!r}? A new database"
            f" of that name: thanosql {quote(f'./{name}')}"
        )


def _is_statement(text: str) -> bool:
    from .completion import words

    return text.split(None, 1)[0].upper() in words()


def _failed(error: BaseException) -> int:
    """Say what went wrong, and return the exit status."""
    from .terminal import Terminal

    Terminal().error(error)
    return 1
