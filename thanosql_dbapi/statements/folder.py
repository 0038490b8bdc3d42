"""COPY of a folder: a row a file, kept in step with the folder by ``append`` and ``sync``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ..embedding.formats import picture_suffixes
from ..errors import OperationalError, clip
from ..language import grammar
from ..language.names import same_name
from ..language.option_specs import OptionSpec
from ..language.tree import Copy
from ..planning.arguments import Arguments
from ..planning.report import Report, Skipped
from ..sources.folder import (
    COLUMNS,
    HEADER_COLUMNS,
    Changes,
    Exclusion,
    File,
    Known,
    Listing,
    Reason,
    Rows,
    Rules,
    additions,
    all_changes,
    column_of,
    file_facts,
    sort_naturally,
    suffix_of,
)
from ..sources.tables import Row, Table
from ..stores.sqlite.files import Files
from .context import Context
from .folder_messages import nothing_found, nothing_left, warn_of_skipped
from .folder_rows import PathColumn, PathRows
from .frames import FILM_COLUMN, TIME_COLUMN, FrameOptions, Frames, check_interval, taking
from .origins import Origin


@dataclass(frozen=True)
class FolderOptions:
    """The options that only a folder takes.

    Attributes:
        exclude: The patterns of what is left out.
        suffixes: The only suffixes that are taken, in lower case with the dot; None takes all.
        is_recursive: Whether folders in the folder are read.
        has_headers: Whether the columns with what pictures' headers say are wanted.
        may_be_empty: Whether ``sync`` may find nothing, and remove all rows.
    """

    exclude: tuple[str, ...]
    suffixes: frozenset[str] | None
    is_recursive: bool
    has_headers: bool
    may_be_empty: bool


@dataclass(frozen=True)
class FolderCopy:
    """A COPY of a folder, or of one film.

    Attributes:
        origin: Where the files lie.
        options: What is read of it.
        name: The table's name, for messages.
        table: Its qualified, quoted name.
        declared: The columns of a table that is there and stays; empty where it is made.
        is_sync: Whether rows follow the files.
        store: Makes the table, or adds rows to it.
        frames: How frames are taken out of films; None makes a row of each file.
        old_frames: The paths of frames that the table has or had.
    """

    origin: Origin
    options: FolderOptions
    name: str
    table: str
    declared: Sequence[str]
    is_sync: bool
    store: Callable[[Table], object]
    frames: FrameOptions | None = None
    old_frames: Collection[str] = ()


def folder_options(arguments: Arguments, statement: Copy) -> FolderOptions:
    """Return the options that only a folder takes.

    Raises:
        StatementError: One has a value of another type.
    """
    exclude = _texts(
        arguments, statement, grammar.EXCLUDE, "a pattern or a list of patterns", "['*.tmp', 'x/']"
    )
    suffixes = _texts(
        arguments, statement, grammar.FILE_TYPE, "a suffix or a list of suffixes", "['.jpg']"
    )
    return FolderOptions(
        exclude,
        frozenset(f".{each.lower().lstrip('.')}" for each in suffixes) or None,
        arguments.option(statement, grammar.RECURSIVE),
        arguments.option(statement, grammar.EXIF),
        arguments.option(statement, grammar.ALLOW_EMPTY),
    )


def _texts(
    arguments: Arguments, statement: Copy, spec: OptionSpec[Any], what: str, example: str
) -> tuple[str, ...]:
    """Return the texts of an option that takes one or a list."""
    given = statement.option(spec.name)
    texts: list[str] = []
    for each in [] if given is None else arguments.several(given.value):
        if not isinstance(each, (str, type(None))):
            raise arguments.error(
                f"option {spec.name!r} must be {what}, got {clip(each)}",
                given or statement,
                f"e.g. {spec.name}={example}",
            )
        texts += [each] if each else []
    return tuple(texts)


def refuse_folder_options(arguments: Arguments, statement: Copy, *, is_sync: bool) -> None:
    """Raise where an option is given that only a folder takes.

    Raises:
        StatementError: One is given.
    """
    of_folders = (
        *(grammar.FILE_TYPE, grammar.EXCLUDE, grammar.RECURSIVE, grammar.EXIF),
        grammar.ALLOW_EMPTY,
    )
    given = next((each.name for each in of_folders if statement.option(each.name)), None)
    if given is not None or is_sync:
        what = "if_exists='sync'" if given is None else f"option {given!r}"
        raise arguments.error(
            f"COPY: {what} is for folders, and FROM names no folder; nothing was changed",
            statement.option(given or "if_exists") or statement,
        )


def copy_folder(context: Context, copied: FolderCopy) -> None:
    """Make a table of a folder's files, or bring one in step with them; all or nothing.

    Raises:
        SourceError: The folder is missing, cannot be read, or has no media file.
        OperationalError: The table has no column for paths.
    """
    listing = _listing(context, copied)
    if copied.options.suffixes is not None:
        listing.keep(copied.options.suffixes)
    column = _column(copied, listing)
    if copied.frames and not copied.is_sync:
        check_interval(context.database, copied.table, copied.declared, copied.name, copied.frames)
    files = listing.take(column, Reason.NO_VIDEO if copied.frames else Reason.MEDIUM)
    may_be_empty = copied.is_sync and (copied.declared or copied.options.may_be_empty)
    if not files and not may_be_empty:
        raise nothing_found(copied.origin, listing.skips.all())
    taken = taking(context, copied.frames, copied.old_frames) if copied.frames else nullcontext()
    database = context.database
    with taken as frames, database.atomic():
        if copied.declared:
            changes, known = _bring_in_step(context, copied, column, files, listing.skips.all())
        else:
            changes, known = Changes(added=files), {}
        sort_naturally(changes.added)
        if changes.added or not copied.declared:
            if frames is None:
                copied.store(_table(copied, column, changes.added))
            else:
                _store_frames(copied, frames, changes, listing)
        if not context.settings.is_read_only:
            _remember(context, changes, known, copied.origin.digests())
        if frames is not None:
            frames.publish()
    skipped = listing.skips.all()
    context.state.report = Report(
        "COPY",
        copied.name,
        len(changes.added),
        len(changes.updated),
        len(changes.moved),
        len(changes.removed),
        len(changes.unchanged),
        skipped,
    )
    # The last: where warnings are errors, all is done.
    warn_of_skipped(copied.origin, copied.name, skipped)
    if frames is not None:
        frames.warn(copied.name)


def _store_frames(copied: FolderCopy, frames: Frames, changes: Changes, listing: Listing) -> None:
    """Store the frames of new films; one that cannot be read is no addition."""
    films = changes.added
    copied.store(frames.table(films))
    if len(frames.failures) == len(films) and not copied.declared:
        raise frames.nothing(len(films))
    changes.added = [film for film in films if film.path not in frames.failures]
    for path, why in frames.failures.items():
        listing.skips.add(Reason.UNREADABLE, suffix_of(path), f"{path}: {why}")


def _listing(context: Context, copied: FolderCopy) -> Listing:
    rules = Rules(
        column_of([each for each, extra in picture_suffixes().items() if extra is None]),
        context.workspace.holds,
        Exclusion(copied.options.exclude),
        copied.options.is_recursive,
    )
    return copied.origin.listing(rules)


def _column(copied: FolderCopy, listing: Listing) -> str:
    """Return the column for the paths: that of the table where there is one."""
    wanted = FILM_COLUMN if copied.frames else listing.column
    if not copied.declared:
        return wanted or COLUMNS[0]
    columns = (FILM_COLUMN,) if copied.frames else COLUMNS
    known = [each for each in columns if any(same_name(each, name) for name in copied.declared)]
    if not known:
        raise OperationalError(
            f"COPY: table {clip(copied.name)} has no column {clip(wanted or COLUMNS[0])}"
            f" (it has {', '.join(copied.declared)}); nothing was changed"
        )
    column = wanted if wanted in known else known[0]
    has_frames = any(same_name(TIME_COLUMN, name) for name in copied.declared)
    if column == FILM_COLUMN and has_frames and not copied.frames:
        raise OperationalError(
            f"COPY: table {clip(copied.name)} has a row for each frame of its films (column"
            f" {TIME_COLUMN!r}), and whole films are no frames; say OPTIONS (interval=…) with the"
            " seconds it was made with, or copy into another table; nothing was changed"
        )
    return column


def _table(copied: FolderCopy, column: str, files: Sequence[File]) -> Table:
    """Return the rows of files; what the headers say is read as they are asked for."""

    def rows() -> Iterator[Row]:
        if not copied.options.has_headers:
            return ((file.path,) for file in files)
        headers = copied.origin.headers(files)
        return ((file.path, *header) for file, header in zip(files, headers, strict=True))

    columns, types = [column], ["TEXT"]
    if copied.options.has_headers:
        columns += HEADER_COLUMNS.keys()
        types += HEADER_COLUMNS.values()
    return Table(tuple(columns), tuple(types), rows, len(files))


def _bring_in_step(
    context: Context,
    copied: FolderCopy,
    column: str,
    files: Sequence[File],
    skipped: Sequence[Skipped],
) -> tuple[Changes, Mapping[str, Known]]:
    """Change the rows that are there; new files get no row yet.

    Returns:
        What has changed, and what was known of the files by path.
    """
    root = str(context.workspace.root)
    rows = PathColumn(context.database, copied.table, column, root)
    facts = ("file_size", "modified_at")
    with_facts = copied.options.has_headers and all(
        any(same_name(fact, name) for name in copied.declared) for fact in facts
    )
    found = rows.read(with_facts=with_facts)
    known = _known(context, copied, found, files)
    if copied.is_sync:
        if not files and not copied.options.may_be_empty:
            raise nothing_left(copied.origin, copied.name, len(known.inside), skipped)
        changes = all_changes(known, files, copied.origin.gone(files), copied.origin.digest)
    else:
        changes = additions(known, files)
    _compare_digests(changes, known.known, copied.origin.digests())
    if copied.frames and copied.is_sync:  # other frames
        changes.removed += changes.updated
        changes.added += changes.updated.values()
        changes.updated.clear()
    spelled = found.spelled
    rows.remove(text for path in changes.removed for text in spelled[path])
    rows.move({text: new.path for old, new in changes.moved.items() for text in spelled[old]})
    if copied.options.has_headers:
        rows.add_header_columns(copied.declared)
        _update_headers(copied.origin, rows, found, changes)
    return changes, known.known


def _known(context: Context, copied: FolderCopy, found: PathRows, files: Sequence[File]) -> Rows:
    """Return the rows that matter, with what is remembered of their files."""
    is_inside = copied.origin.holds(is_recursive=copied.options.is_recursive)
    inside = {path for path in found.spelled if is_inside(path)}
    new = {file[1:] for file in files if file.inode and file.path not in inside}
    known: dict[str, Known] = {}
    outside = set()
    for path, facts in Files(context.database).all():
        if path in inside:
            known[path] = facts
        elif copied.is_sync and facts[:3] in new and path in found.spelled:
            known[path] = facts
            outside.add(path)
    return Rows(inside, outside, known)


def _compare_digests(
    changes: Changes, known: Mapping[str, Known], digests: Mapping[str, bytes]
) -> None:
    """Believe digests, where they are known without reading, and not size and time."""
    if not digests:
        return
    there = {**changes.updated, **changes.unchanged}
    for path, file in there.items():
        before, now = known.get(path), digests.get(file.path)
        if before is None or before.digest is None or now is None:
            continue
        is_same = before.digest == now
        (changes.updated if is_same else changes.unchanged).pop(path, None)
        (changes.unchanged if is_same else changes.updated)[path] = file


def _update_headers(origin: Origin, rows: PathColumn, found: PathRows, changes: Changes) -> None:
    """Write what headers say to the rows where that is missing or of an older file."""
    stale = []
    there = chain(changes.updated.items(), changes.unchanged.items(), changes.moved.items())
    for path, file in there:
        if found.facts.get(path) != file_facts(file):
            texts = [file.path] if path in changes.moved else found.spelled[path]
            stale += [(text, file) for text in texts]
    if stale:
        headers = origin.headers(file for _, file in stale)
        rows.set_headers((text, *header) for (text, _), header in zip(stale, headers, strict=True))


def _remember(
    context: Context, changes: Changes, known: Mapping[str, Known], digests: Mapping[str, bytes]
) -> None:
    """Write down what files are like now, as far as it is not known."""
    seen = [
        file
        for file in chain(
            changes.added,
            changes.updated.values(),
            changes.moved.values(),
            changes.unchanged.values(),
        )
        if (before := known.get(file.path)) is None or before[:3] != file[1:]
    ]
    if seen:
        Files(context.database).remember(seen, {**changes.digests, **digests})
