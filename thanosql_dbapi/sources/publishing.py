"""From a hidden folder into its destination's place: at once, or over several tries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import Error, SourceError
from .catalog import DATASET, Entry
from .installation import UNFINISHED, Installation, exists, flush_folder


def refuse_existing(entry: Entry, destination: Path, overwrite: bool) -> None:
    """Refuse a destination that is there and may not be replaced.

    Raises:
        SourceError: It is.
    """
    if exists(destination) and not overwrite:
        raise SourceError(
            f"{entry.kind} {entry.name!r}: {str(destination)!r} exists already; to replace it, say"
            " OPTIONS (overwrite=True)"
        )


@contextmanager
def publishing(entry: Entry, destination: Path, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder beside the destination that takes its place at the end.

    Raises:
        SourceError: The destination exists and may not be replaced, or the disk says no.
    """
    refuse_existing(entry, destination, overwrite)
    with working(entry, destination) as work:
        try:
            yield work.partial
            if exists(destination):  # on the disk before the old one goes
                flush_folder(work.partial)
            work.finish()
            work.publish()
        finally:
            work.clear()


@contextmanager
def continuing(entry: Entry, destination: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder that takes the destination's place at the end, as an earlier try left it.

    What goes wrong leaves the folder hidden beside the destination, if there is anything in it, and
    the next call for this destination goes on with it.

    Raises:
        SourceError: The destination exists and may not be replaced, another process is at work on
            it, or the disk says no.
    """
    refuse_existing(entry, destination, overwrite)
    with _naming(entry, destination) as naming:
        work = Installation.resume(destination)
        if work is None:
            work = Installation.begin(destination)
            work.partial.mkdir()
            (work.partial / UNFINISHED).touch()
        naming.hidden = str(work.partial)
        try:
            yield work.partial
            if exists(destination):
                flush_folder(work.partial)
            work.publish_unfinished()
        except BaseException:
            if any(path.name != UNFINISHED for path in work.partial.iterdir()):
                naming.ending = (
                    "what was fetched is kept, and the same statement goes on with it; nothing"
                    " else was changed"
                )
                work.close()
            else:
                work.clear()
            raise
        work.clear()


@contextmanager
def working(
    entry: Entry, destination: Path, *, model: str = "", database: str = ""
) -> Iterator[Installation]:
    """Begin an installation, and name the entry in what goes wrong.

    Raises:
        SourceError: The disk says no.
    """
    with _naming(entry, destination) as naming:
        work = Installation.begin(destination, model=model, database=database)
        naming.hidden = str(work.partial)
        work.partial.mkdir()
        yield work


@dataclass
class _Naming:
    """What a message about a destination says: which path it hides, and how it ends."""

    hidden: str = "\0"
    ending: str = "nothing was changed"


@contextmanager
def _naming(entry: Entry, destination: Path) -> Iterator[_Naming]:
    what = f"{entry.kind} {entry.name!r}"
    naming = _Naming()
    try:
        yield naming
    except Error as exc:  # add to the message, keep the class
        is_folder = entry.kind != DATASET and Path(entry.source).is_dir()
        shown = entry.source if is_folder else str(destination)
        message = str(exc).replace(naming.hidden, shown)
        raise type(exc)(f"{what}: {message}; {naming.ending}") from exc
    except OSError as exc:
        raise SourceError(
            f"{what}: {str(destination)!r} cannot be written: {exc.strerror or exc};"
            f" {naming.ending}"
        ) from exc
