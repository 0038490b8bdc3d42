"""The command line: ``thanosql demo``, ``thanosql doctor``, ``thanosql photos.db "SQL"``."""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from .._version import __version__
from ..connection import Connection
from ..errors import ProgrammingError
from ..opening import open_database
from ..option import Option, OptionError
from ..settings import OPTIONS
from .session import brief_warnings, is_interrupted, run, statements_of

_DESCRIPTION = "Ask your pictures a question in SQL."
_EPILOG = """\
Without SQL the database opens in a small shell, or runs the statements on standard input.

  thanosql demo                      see it work: the tutorial on drawn pictures
  thanosql doctor                    what is installed, and what is in its way
  thanosql photos.db                 a shell
  thanosql photos.db "LIST MODEL"    one statement
  thanosql photos.db "SELECT * FROM photos" --csv > photos.csv
  thanosql photos.db < script.sql    several
"""
_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: What follows its name; None takes them from ``sys.argv``.

    Returns:
        The exit status: 0, 1 for a statement that failed or a problem that ``doctor`` found, 130
        after Ctrl-C.

    Raises:
        SystemExit: argparse's, with status 2, for arguments that make no sense.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["demo"]:
            return _demo(given[1:])
        return _doctor(given[1:]) if given[:1] == ["doctor"] else _database(given)
    except (sqlite3.Error, sqlite3.Warning, KeyboardInterrupt) as error:
        if is_interrupted(error):
            return _INTERRUPTED
        _terminal().error(error)
        return 1
    except BrokenPipeError:
        # Whoever read the output has had enough (head, a pager). Python would complain once more
        # when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thanosql",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"thanosql {__version__}")
    parser.add_argument(
        "database",
        nargs="?",
        metavar="DATABASE",
        help="a file or URL; default: THANOSQL_DATABASE, else thanosql.db in the workspace",
    )
    parser.add_argument("sql", nargs="?", metavar="SQL", help="a statement to run")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--csv", action="store_true", help="print the result as CSV")
    output.add_argument("--json", action="store_true", help="print the result as JSON")
    for option in OPTIONS.values():
        _add_option(parser, option)
    return parser


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    """Add an option of ``connect``; its value is None where it is not given."""
    if option.metavar is None:
        parser.add_argument(
            option.flag,
            dest=option.name,
            action=argparse.BooleanOptionalAction,
            default=None,
            help=option.help,
        )
        return

    def read(text: str) -> Any:
        try:
            return option.read_text(text)
        except OptionError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser.add_argument(
        option.flag,
        dest=option.name,
        metavar=option.metavar,
        type=read,
        action="append" if option.is_repeatable else "store",
        help=option.help,
    )


def _database(given: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(given)
    ours = {name: getattr(options, name) for name in OPTIONS}
    connection = open_database(options.database, **ours)
    with closing(connection):
        if options.csv or options.json:
            sql = options.sql if options.sql is not None else sys.stdin.read()
            return _export(connection, sql, as_json=options.json)
        return _shell(connection, options.sql)


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


def _demo(given: list[str]) -> int:
    from .demo import run_demo

    parser = argparse.ArgumentParser(
        prog="thanosql demo",
        description="Run the tutorial on the built-in drawn pictures, in a new folder: no network,"
        " under a minute.",
    )
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="a new folder; default: thanosql-demo"
    )
    parser.add_argument("--rows", type=_at_least_one, default=2000, help="number of pictures")
    _add_option(parser, OPTIONS["device"])
    options = parser.parse_args(given)
    run_demo(_terminal(), options.folder, rows=options.rows, device=options.device)
    return 0


def _doctor(given: list[str]) -> int:
    from .doctor import examine

    argparse.ArgumentParser(
        prog="thanosql doctor",
        description="Say what is installed here, which devices there are, and what is wrong.",
    ).parse_args(given)
    is_well = True
    for finding in examine():
        is_well = is_well and not finding.is_problem
        mark = "!" if finding.is_problem else " "
        print(f"{mark} {finding.what}: {finding.text}")
    return int(not is_well)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


def _terminal() -> Any:
    from .terminal import Terminal

    return Terminal()


def _keep_line_ends(file: Any) -> None:
    """Stop a text file from turning line feeds into what the system likes."""
    if hasattr(file, "reconfigure"):
        file.reconfigure(newline="")
