"""What the notebook and the command line share: running a statement, and its outcome."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..connection import Connection
from ..errors import (
    ConvertWarning,
    LicenseWarning,
    MediaWarning,
    ModelWarning,
    OperationalError,
)
from ..language import grammar, parse, split_script
from ..language.tree import Print, Search
from ..planning.convert_report import ConvertReport
from ..planning.report import Report
from ..planning.training_report import TrainingReport

if TYPE_CHECKING:
    from ..planning.plans import SearchPlan
    from ..stores.sqlite.database import Parameters


@dataclass(frozen=True)
class PrintOptions:
    """The options of a PRINT statement, bound parameters replaced by their values.

    Attributes:
        medium: ``"image"`` or ``"video"``.
        image_col: Name of the column with the images, or None where the statement names none.
        video_col: Name of the column with the paths of videos.
        base_dir: Folder put before relative paths, or None.
        limit: Most rows to show, or None.
    """

    medium: str = "image"
    image_col: str | None = None
    video_col: str = grammar.VIDEO_COL.default
    base_dir: str | None = grammar.BASE_DIR.default
    limit: int | None = grammar.LIMIT.default


@dataclass(frozen=True)
class Outcome:
    """What a statement came to.

    Attributes:
        sql: The statement.
        names: Names of the result's columns; None where the statement returns no rows.
        rows: The rows, vectors as arrays.
        print_options: The options of a PRINT; None for another statement.
        report: What a COPY or CONVERT did, as one sentence; ``""`` for another statement.
        searches: The plans of the SEARCHes in it, the innermost first.
    """

    sql: str
    names: list[str] | None
    rows: list[tuple[Any, ...]]
    print_options: PrintOptions | None = None
    report: str = ""
    searches: tuple[SearchPlan, ...] = ()

    @property
    def is_print(self) -> bool:
        """Whether the statement is a PRINT, whose rows are pictures or videos to show."""
        return self.print_options is not None

    @property
    def shows_videos(self) -> bool:
        """Whether the statement is a PRINT VIDEO."""
        return self.print_options is not None and self.print_options.medium == "video"


def run(connection: Connection, sql: str, parameters: Parameters | None = None) -> Outcome:
    """Execute one statement and fetch all it returns.

    Raises:
        sqlite3.Error: As ``Cursor.execute``.
    """
    bound, before = parameters or (), connection.report
    cursor = connection.cursor()
    cursor.row_factory = None
    try:
        cursor.execute(sql, bound)
        names = [column[0] for column in cursor.description] if cursor.description else None
        rows = cursor.fetchall()
    finally:
        cursor.close()
    tree = parse(sql)
    options = _print_options(sql, tree, bound) if isinstance(tree, Print) else None
    report = connection.report
    said = sentence(report) if report is not None and report is not before else ""
    searched = () if tree is None else connection._state.searches
    return Outcome(sql, names, rows, options, said, searched)


_COUNTS = (
    *("added", "updated", "moved", "removed"),
    *("converted", "reused", "unchanged", "failed", "empty"),
)


def sentence(report: Report) -> str:
    """Return what a COPY, a CONVERT or the training of a CLIP did, in one sentence.

    Example:
        >>> sentence(Report("COPY", "photos", added=1200, unchanged=3))
        'COPY photos: 1,200 added, 3 unchanged.'
    """
    if isinstance(report, TrainingReport):
        return _trained(report)
    counts = {name: getattr(report, name, 0) for name in _COUNTS}
    counts["skipped"] = sum(each.count for each in report.skipped)
    shown = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    where = ""
    if isinstance(report, ConvertReport) and report.converted:
        where = f", on {report.device} ({report.dtype})"
    return f"{f'{report.statement} {report.table}'.rstrip()}: {shown or 'no rows'}{where}."


def _trained(report: TrainingReport) -> str:
    found = "nothing held out"
    if report.recall_at_1 is not None and report.recall_at_5 is not None:
        found = (
            f"recall@1 {report.recall_at_1:.2f}, recall@5 {report.recall_at_5:.2f} on"
            f" {report.held_out:,} pictures held out"
        )
        if report.recall_at_1_before is not None and report.recall_at_5_before is not None:
            before = f"{report.recall_at_1_before:.2f} and {report.recall_at_5_before:.2f}"
            found += f" ({before} before)"
    return (
        f"{report.statement} {report.model}: {report.pictures:,} pictures, {report.epochs:.1f}"
        f" epochs in {report.seconds / 60:.1f} minutes, on {report.device}; {found}."
    )


def _print_options(sql: str, statement: Print, parameters: Parameters) -> PrintOptions:
    """Read the options of a PRINT.

    Raises:
        StatementError: An option of the wrong type.
    """
    from ..planning.arguments import Arguments

    arguments = Arguments(sql, statement, parameters)
    named = statement.option(grammar.IMAGE_COL.name)
    return PrintOptions(
        statement.medium,
        None if named is None else arguments.option(statement, grammar.IMAGE_COL),
        arguments.option(statement, grammar.VIDEO_COL),
        arguments.option(statement, grammar.BASE_DIR),
        arguments.option(statement, grammar.LIMIT),
    )


def statements_of(script: str) -> list[str]:
    r"""Return the statements of a text; white space and comments alone are none.

    Example:
        >>> statements_of("SELECT 1; -- one\n;")
        ['SELECT 1; -- one\n;']
        >>> statements_of(" -- nothing\n")
        []
    """
    from ..language.lexer import Kind, tokens

    def says_something(piece: str) -> bool:
        return any(token.kind is not Kind.END and token.text != ";" for token in tokens(piece))

    return [piece for piece in split_script(script) if says_something(piece)]


def searches(node: object) -> bool:
    """Return whether a tree, or a part of one, holds a SEARCH at any depth."""
    inner: Sequence[object] = (*getattr(node, "parts", ()), getattr(node, "query", None))
    return isinstance(node, Search) or any(searches(each) for each in inner if each is not None)


def is_interrupted(error: BaseException) -> bool:
    """Return whether a statement was stopped by Ctrl-C, and by nothing else."""
    if isinstance(error, KeyboardInterrupt):
        return True
    name = getattr(error, "sqlite_errorname", None)  # Python 3.11
    return isinstance(error, OperationalError) and (
        name == "SQLITE_INTERRUPT" or (name is None and str(error) == "interrupted")
    )


@contextmanager
def brief_warnings(show: Callable[[str, str], None]) -> Iterator[None]:
    """Give the driver's warnings to ``show(category_name, message)``, without file and line."""
    ours = (MediaWarning, ConvertWarning, ModelWarning, LicenseWarning)
    with warnings.catch_warnings():
        others = warnings.showwarning
        for category in ours:
            warnings.simplefilter("always", category)

        def showwarning(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, ours):
                show(category.__name__, str(message))
            else:
                others(message, category, *rest, **more)

        warnings.showwarning = showwarning
        yield
