"""The command line: ``thanosql photos.db "SQL"``, and commands such as ``search``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import click

from .._version import __version__
from ..connection import Connection
from ..errors import ProgrammingError
from ..opening import open_database
from ..settings import OPTIONS
from .arguments import (
    INTERRUPTED,
    Program,
    Unnamed,
    check_database,
    check_device,
    connect_options,
)
from .display import visible
from .folder_commands import index, search, serve
from .session import brief_warnings, run, statements_of

_HELP = """Ask your pictures a question in SQL.

\b
  thanosql search ~/Pictures "a black cat"
  thanosql serve ~/Pictures          a page to search them in
  thanosql demo                      see it work: the tutorial on drawn pictures
  thanosql doctor                    what is installed, and what is in its way
  thanosql photos.db                 a shell
  thanosql photos.db "LIST MODEL"    one statement
  thanosql photos.db "SELECT * FROM photos" --csv > photos.csv
  thanosql photos.db < script.sql    several

DATABASE is a file or a URL; without it, THANOSQL_DATABASE names it, else it is thanosql.db in the
workspace. Without SQL the database opens in a shell, or runs the statements on standard input.
Options may stand anywhere. A database that is called as a command is: ./demo, or -- demo.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: What follows its name; None takes them from ``sys.argv``.

    Returns:
        The exit status: 0, 1 for a statement that failed or a problem that ``doctor`` found, 2 for
        arguments that make no sense, 130 after Ctrl-C.
    """
    _open_closed_streams()
    try:
        status: int = program.main(
            None if arguments is None else list(arguments),
            prog_name="thanosql",
            standalone_mode=False,
        )
    except click.UsageError as error:
        _terminal().usage_error(error)
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return status


@click.group(cls=Program, help=_HELP)
def program() -> None:
    """The commands; what each returns is the exit status."""


@program.command(Program.default, cls=Unnamed, hidden=True)
@click.argument("database", required=False)
@click.argument("sql", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="print the result of a statement as CSV")
@click.option("--json", "as_json", is_flag=True, help="print the result of a statement as JSON")
@connect_options(*OPTIONS)
@click.version_option(__version__, prog_name="thanosql", message="%(prog)s %(version)s")
def _database(
    database: str | None, sql: str | None, as_csv: bool, as_json: bool, **options: Any
) -> int:
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two formats; name one")
    check_database(database, program.list_commands(click.get_current_context()))
    check_device(options["device"])
    connection = open_database(database, **options)
    with closing(connection):
        if as_csv or as_json:
            return _export(connection, sys.stdin.read() if sql is None else sql, as_json=as_json)
        return _shell(connection, sql)


def _shell(connection: Connection, sql: str | None) -> int:
    from .shell import ROWS_SHOWN, Shell
    from .terminal import Terminal

    if sql is not None:
        return int(not Shell(connection, Terminal()).run_script(sql))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return int(not Shell(connection, Terminal()).run_script(sys.stdin.read()))
    Shell(connection, Terminal(ROWS_SHOWN, "; .rows all shows all")).interact()
    return 0


def _export(connection: Connection, text: str, *, as_json: bool) -> int:
    from .formats import write_csv, write_json

    statements = statements_of(text)
    if len(statements) != 1:
        raise ProgrammingError(
            f"--csv and --json take one statement, and there are {len(statements)}"
        )
    with brief_warnings(_terminal().warn):
        outcome = run(connection, statements[0])
    names: list[str] = outcome.names or []
    if as_json:
        write_json(sys.stdout, names, outcome.rows)
    elif outcome.names is not None:
        _keep_line_ends(sys.stdout)
        write_csv(sys.stdout, names, outcome.rows)
    sys.stdout.flush()
    return 0


for _command in (search, index, serve):
    program.add_command(_command)


@program.command
@click.argument("folder", required=False)
@click.option(
    "--rows", type=click.IntRange(1), default=2000, show_default=True, help="number of pictures"
)
@connect_options("device")
def demo(folder: str | None, rows: int, device: str | None) -> int:
    """Run the tutorial on drawn pictures, in a new folder.

    FOLDER is thanosql-demo unless it is given. The pictures and the model come with the package:
    it needs no network, and takes under a minute.
    """
    from .demo import run_demo

    check_device(device)
    run_demo(_terminal(), folder, rows=rows, device=device)
    return 0


@program.command
@click.option(
    "--online",
    is_flag=True,
    help="also get clip and the tutorial's first photographs, and compare with what the tutorial"
    " prints of them; 0.6 GB the first time",
)
@connect_options("device")
def doctor(online: bool, device: str | None) -> int:
    """Say what is installed, which devices there are, and what is wrong."""
    from .doctor import examine
    from .doctor_online import examine_online

    check_device(device)
    is_well = True
    with brief_warnings(_terminal().warn):
        for finding in chain(examine(), examine_online(device=device) if online else ()):
            is_well = is_well and not finding.is_problem
            mark = "!" if finding.is_problem else " "
            print(f"{mark} {visible(finding.what)}: {visible(finding.text)}", flush=True)
    return int(not is_well)


def _open_closed_streams() -> None:
    """Give the program the streams it was started without, as by ``>&-``.

    Python has None for them. Their numbers would go to the next files that are opened, and what
    is printed would be written into these.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _terminal() -> Any:
    from .terminal import Terminal

    return Terminal()


def _keep_line_ends(file: Any) -> None:
    """Stop a text file from turning line feeds into what the system likes."""
    if hasattr(file, "reconfigure"):
        file.reconfigure(newline="")
