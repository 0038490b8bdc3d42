"""FUNCTION preprocess.video_to_df: films are cut into clips, whose paths become a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import MediaError, MediaWarning, WorkspaceError, clip, warn_user
from ..language import grammar
from ..language.names import quote_name, same_name
from ..language.tree import Function
from ..planning.plans import MadeRows
from ..sources.new_files import NewFiles, Stems, new_files
from ..stores.sqlite.compile import Compiled, Compiler
from .context import Context
from .filling import SHOWN_FAILURES
from .resolve import Handler, Resolver
from .staging import Staging, new_table
from .tables import require_tables

TIMES = ("start_s", "end_s")
"""The columns that say where in its film a clip lies, unless the query has columns of the names."""


@dataclass(frozen=True, eq=False)
class ClipsPlan:
    """A FUNCTION preprocess.video_to_df, checked.

    Attributes:
        node: The statement.
        film: The path after FROM, or None.
        source: The column with the paths of films.
        column: The column that gets the paths of clips.
        interval_s: The length of a clip in seconds.
        folder: Where the clips are written, links resolved.
        may_replace: Whether files that are there are replaced.
    """

    node: Function
    film: str | None
    source: str
    column: str
    interval_s: float
    folder: Path
    may_replace: bool


def resolve_clips(resolver: Resolver, statement: Function) -> ClipsPlan:
    """Return what the function will do.

    Raises:
        StatementError: An option is missing or has a value of another kind.
        WorkspaceError: Files may not be written in the folder.
        OperationalError: A table that the query names is missing.
    """
    arguments, context = resolver.arguments, resolver.context
    arguments.option(statement, grammar.METHOD)
    folder = arguments.option(statement, grammar.RESULT_DIR)
    if not folder:
        raise arguments.error(
            f"{_label(statement)}: expected the option result_dir, a folder for the clips",
            statement,
            "e.g. OPTIONS (interval=10, result_dir='clips')",
        )
    if resolver.plan.is_stored:
        raise arguments.error(
            f"{_label(statement)} writes files and cannot be part of a {resolver.verb}", statement
        )
    film = None
    if statement.query is None:
        film = arguments.value(statement.source)
        film = str(film) if isinstance(film, Path) else film
        if not isinstance(film, str):
            raise arguments.error(
                f"{_label(statement)}: expected the path of a film after FROM, got {clip(film)}",
                statement,
            )
    else:
        require_tables(context.database, statement.query)
    return ClipsPlan(
        statement,
        film,
        arguments.option(statement, grammar.VIDEO_COL),
        arguments.option(statement, grammar.CLIP_COL),
        arguments.option(statement, grammar.CLIP_S),
        context.workspace.writable(Path(folder)),
        arguments.option(statement, grammar.OVERWRITE),
    )


def perform_clips(resolver: Resolver, statement: Function, plan: ClipsPlan) -> MadeRows:
    """Cut the films.

    Raises:
        MediaError: The film after FROM cannot be read; one of a query gets no clip and is named in
            a warning.
        SourceError: A file is there that a clip would replace, or the disk says no.
        OperationalError: The query has no such column.
    """
    context, label = resolver.context, _label(statement)
    context.require_writable(label)
    if statement.query is None:
        query = Compiled(f"SELECT :film AS {quote_name(plan.source)}", {"film": plan.film})
    else:
        query = resolver.compile_query(statement.query)
    staging = Staging.of_query(context, query, plan.column)
    staging.require(plan.source, label, "video")
    cutting = _Cutting(context, plan)
    total = staging.count()
    with new_files(plan.folder, lambda name: plan.may_replace) as files:
        with context.settings.progress.track(label, total, "video") as advance:
            for row_id, source in staging.sources(plan.source):
                cutting.row(row_id, source, files)
                advance(1)
        sql = _store(context, plan, staging, cutting.clips)
        files.publish()
    cutting.warn(label, total)
    return MadeRows(sql)


class _Cutting:
    """The films of rows, each cut once.

    Attributes:
        clips: Row id, path, begin and end in seconds of each clip.
    """

    def __init__(self, context: Context, plan: ClipsPlan) -> None:
        self.clips: list[tuple[int, str, float, float]] = []
        self._context, self._plan = context, plan
        self._known: dict[object, list[tuple[str, float, float]]] = {}
        self._stems = Stems()
        self._failures: list[tuple[object, str]] = []
        self._remarks: list[str] = []

    def row(self, row_id: int, source: object, files: NewFiles) -> None:
        """Cut the film of a row, unless an earlier row has named it."""
        if source is None:
            return
        if source not in self._known:
            try:
                self._known[source] = self._cut(source, files)
            except (MediaError, WorkspaceError) as error:
                if self._plan.film is not None:
                    raise
                self._known[source] = []
                self._failures.append((source, str(error)))
        self.clips += [(row_id, *clip) for clip in self._known[source]]

    def _cut(self, source: object, files: NewFiles) -> list[tuple[str, float, float]]:
        stem = self._stems.take(Path(str(source)).stem)
        paths: list[Path] = []

        def create(number: int) -> BinaryIO:
            path, file = files.create(stem, f"_{number:04}.mp4")
            paths.append(path)
            return file

        try:
            with self._context.pictures.open_film(source, self._remarks.append) as film:
                from ..embedding.clips import cut

                clips = list(cut(film, self._plan.interval_s, create))
        except BaseException:
            for path in paths:
                files.discard(path)
            raise
        spelled = self._context.workspace.spelled
        return [(spelled(paths[clip.number]), clip.begin_s, clip.end_s) for clip in clips]

    def warn(self, label: str, total: int) -> None:
        """Say what a user has to know; the last thing, as a warning may be an error."""
        if self._failures:
            shown = [f"\n  {clip(source)}: {why}" for source, why in self._failures]
            warn_user(
                f"{label}: {len(shown):,} videos of {total:,} rows could not be read, and have no"
                f" clips:{_first(shown)}",
                MediaWarning,
            )
        if self._remarks:
            shown = [f"\n  {remark}" for remark in self._remarks]
            warn_user(
                f"{label}: {len(shown):,} videos are there in part:{_first(shown)}", MediaWarning
            )


def _first(lines: list[str]) -> str:
    more = len(lines) - SHOWN_FAILURES
    return "".join(lines[:SHOWN_FAILURES]) + (f"\n  and {more:,} more" if more > 0 else "")


def _store(
    context: Context,
    plan: ClipsPlan,
    staging: Staging,
    clips: list[tuple[int, str, float, float]],
) -> str:
    """Return the SELECT of the rows, one for each clip; a row without a clip has NULL."""
    table = quote_name("temp", new_table(context))
    database = context.database
    with database.atomic():
        database.execute(f"CREATE TABLE {table} (id INTEGER, path TEXT, start_s REAL, end_s REAL)")
        database.execute_many(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", clips)
    selected = ", ".join(
        f"c.path AS {quote_name(name)}"
        if name == staging.vector_column
        else f"r.{quote_name(name)}"
        for name in staging.result_columns
    )
    rows = (
        f"SELECT {selected}{_times(staging.result_columns)} FROM {staging.table} AS r"
        f" LEFT JOIN {table} AS c ON c.id = r.{staging.row_id} ORDER BY r.{staging.row_id}, c.rowid"
    )
    return f"SELECT * FROM ({rows})"  # a part of a UNION has no ORDER BY of its own


def _times(columns: list[str]) -> str:
    free = [name for name in TIMES if not any(same_name(name, each) for each in columns)]
    return "".join(f", c.{name}" for name in free)


def _label(statement: Function) -> str:
    return f"{grammar.FUNCTION} {statement.name}"


def _explained(compiler: Compiler, plan: ClipsPlan) -> str:
    """Return a SELECT for EXPLAIN, which cuts nothing."""
    if plan.node.query is None:
        return f"SELECT {compiler.bind(plan.film)} AS {quote_name(plan.source)}"
    return f"SELECT * FROM ({compiler.parts(plan.node.query.parts)}\n)"


HANDLER = Handler(resolve_clips, perform_clips, selects={ClipsPlan: _explained})
