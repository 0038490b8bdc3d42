"""COPY of films with ``interval``: a row for each frame that is taken out of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import (
    MediaError,
    MediaWarning,
    OperationalError,
    SourceError,
    WorkspaceError,
    clip,
    warn_user,
)
from ..language import grammar
from ..language.names import quote_name, same_name
from ..language.tree import Copy
from ..planning.arguments import Arguments
from ..progress import Advance
from ..sources.folder import File
from ..sources.new_files import NewFiles, Stems, new_files
from ..sources.tables import Row, Table
from ..stores.sqlite.database import Database
from .context import Context

if TYPE_CHECKING:
    from PIL.Image import Image

FILM_COLUMN, TIME_COLUMN, FRAME_COLUMN, FILE_COLUMN = "video_path", "time_s", "frame", "image_path"
_QUALITY = 90
_ENDING = "_{:09.3f}.jpg"
_OUR_NAME = re.compile(r".*_\d{5,}\.\d{3}\.jpg", re.DOTALL)
_SHOWN = 5


@dataclass(frozen=True)
class FrameOptions:
    """How frames are taken out of films.

    Attributes:
        interval_s: Seconds from one frame to the next.
        folder: Where the frames become files, links resolved; None keeps them in the rows.
        width: Most pixels of a frame's width; None keeps it as it is.
    """

    interval_s: float
    folder: Path | None
    width: int | None


def frame_options(context: Context, arguments: Arguments, statement: Copy) -> FrameOptions | None:
    """Return the options that say how frames are taken; None where none are asked for.

    Raises:
        StatementError: One has a value of another type, or makes no sense with the others.
        WorkspaceError: Files may not be written in ``frame_dir``.
    """
    interval_s = arguments.option(statement, grammar.FRAME_S)
    folder = arguments.option(statement, grammar.FRAME_DIR)
    width = arguments.option(statement, grammar.FRAME_WIDTH)
    if interval_s is None:
        for spec in (grammar.FRAME_DIR, grammar.FRAME_WIDTH):
            if option := statement.option(spec.name):
                raise arguments.error(
                    f"COPY: option {spec.name!r} is for the frames of films; say how many seconds"
                    " apart they are with interval; nothing was changed",
                    option,
                )
        return None
    if arguments.option(statement, grammar.EXIF):
        raise arguments.error(
            "COPY: option 'exif' is for pictures, and 'interval' takes frames out of films; nothing"
            " was changed",
            statement.option(grammar.EXIF.name) or statement,
        )
    if folder is not None:
        context.require_writable("COPY with frame_dir")
    place = None if folder is None else context.workspace.writable(Path(folder))
    return FrameOptions(interval_s, place, width)


class Frames:
    """Takes frames out of films while a table is made of them.

    Attributes:
        failures: Why a film could not be read, by its path.
        remarks: What is to be said of films that are there in part.
    """

    def __init__(self, context: Context, options: FrameOptions, files: NewFiles | None) -> None:
        self.failures: dict[str, str] = {}
        self.remarks: list[str] = []
        self._context, self._options, self._files = context, options, files
        self._stems = Stems()
        self._undo: Callable[[], None] = lambda: None

    def table(self, films: Sequence[File]) -> Table:
        """Return the rows of films' frames; the films are read as the rows are asked for."""
        is_file = self._options.folder is not None
        column, kind = (FILE_COLUMN, "TEXT") if is_file else (FRAME_COLUMN, "BLOB")
        return Table(
            (FILM_COLUMN, TIME_COLUMN, column),
            ("TEXT", "REAL", kind),
            lambda: self._rows(films),
            None,
        )

    def publish(self) -> None:
        """Bring the files of frames into their folder."""
        if self._files is not None:
            self._undo = self._files.publish()

    def undo(self) -> None:
        """Take them out again."""
        self._undo()

    def _rows(self, films: Sequence[File]) -> Iterator[Row]:
        track = self._context.settings.progress.track("COPY: frames", len(films), "video")
        with track as advance:
            for film in films:
                yield from self._of_film(film, advance)

    def _of_film(self, film: File, advance: Advance) -> Iterator[Row]:
        # No name stands for one's own home.
        path = f"./{film.path}" if film.path.startswith("~") else film.path
        stem = self._stem(film)
        try:
            from ..embedding.frames import stills

            with self._context.pictures.open_film(path, self.remarks.append) as opened:
                for still in stills(opened, self._options.interval_s):
                    yield film.path, still.time_s, self._kept(still.image, stem, still.time_s)
        except (MediaError, WorkspaceError) as error:
            self.failures[film.path] = str(error)
        advance(1)

    def _stem(self, film: File) -> str:
        files = self._files
        if files is None:
            return ""
        return self._stems.take(
            Path(film.path).stem, lambda stem: files.is_free(stem, _ENDING.format(0.0))
        )

    def _kept(self, image: Image, stem: str, time_s: float) -> bytes | str:
        """Return a frame as the row has it: a JPEG, or the path of one."""
        width = self._options.width
        if width is not None and image.width > width:
            from PIL.Image import Resampling

            height = max(1, round(image.height * width / image.width))
            image = image.resize((width, height), Resampling.LANCZOS, reducing_gap=3.0)
        if self._files is None:
            content = io.BytesIO()
            image.save(content, "JPEG", quality=_QUALITY)
            return content.getvalue()
        path, file = self._files.create(stem, _ENDING.format(time_s))
        with file:
            image.save(file, "JPEG", quality=_QUALITY)
        return self._context.workspace.spelled(path)

    def warn(self, table: str) -> None:
        """Say what is there in part; the last thing, as a warning may be an error."""
        if self.remarks:
            shown = "".join(f"\n  {remark}" for remark in self.remarks[:_SHOWN])
            more = len(self.remarks) - _SHOWN
            warn_user(
                f"COPY {clip(table)}: {len(self.remarks):,} videos are there in part, and have the"
                f" frames of that part:{shown}" + (f"\n  and {more:,} more" if more > 0 else ""),
                MediaWarning,
            )

    def nothing(self, films: int) -> MediaError | SourceError:
        """Return the error where no film could be read."""
        reasons = list(self.failures.values())
        if films == 1:
            return MediaError(f"{reasons[0]}; nothing was changed")
        shown = "".join(f"\n  {reason}" for reason in reasons[:_SHOWN])
        more = films - _SHOWN
        return SourceError(
            f"COPY: none of the {films:,} videos can be read; nothing was changed:{shown}"
            + (f"\n  and {more:,} more" if more > 0 else "")
        )


@contextmanager
def taking(context: Context, options: FrameOptions, replaced: Collection[str]) -> Iterator[Frames]:
    """Give what takes frames; an exception takes out of their folder the files that were put there.

    Args:
        context: The connection.
        options: How frames are taken.
        replaced: The paths of frames that the table had, which may be replaced.
    """
    files: AbstractContextManager[NewFiles | None] = nullcontext()
    if options.folder is not None:
        spelled, folder = context.workspace.spelled, options.folder
        files = new_files(folder, lambda name: spelled(folder / name) in replaced)
    with files as opened:
        frames = Frames(context, options, opened)
        try:
            yield frames
        except BaseException:
            frames.undo()
            raise


def frames_of(database: Database, table: str, columns: Collection[str]) -> set[str]:
    """Return the paths of frames that the rows of a table name, by the names that COPY gives."""
    if not all(
        any(same_name(name, each) for each in columns) for name in (FILM_COLUMN, FILE_COLUMN)
    ):
        return set()
    rows = database.stream(f"SELECT {quote_name(FILE_COLUMN)} FROM {table}")
    return {path for (path,) in rows if isinstance(path, str) and _OUR_NAME.fullmatch(path)}


def check_interval(
    database: Database, table: str, columns: Collection[str], name: str, options: FrameOptions
) -> None:
    """Check that more frames of a table are to be as far apart as those that it has.

    Args:
        database: The database.
        table: The table, qualified and quoted.
        columns: Its columns; empty where it is made.
        name: The table, for messages.
        options: How frames are to be taken.

    Raises:
        OperationalError: They are not.
    """
    if not any(same_name(TIME_COLUMN, each) for each in columns):
        return
    time = quote_name(TIME_COLUMN)
    # The first frame of a film is that at 0 seconds, so the second tells the interval.
    (there,) = database.row(f"SELECT min({time}) FROM {table} WHERE {time} > 0") or (None,)
    if isinstance(there, (int, float)) and abs(there - options.interval_s) > 1e-6:
        raise OperationalError(
            f"COPY: table {clip(name)} has frames every {there:g} seconds (column"
            f" {TIME_COLUMN!r}), and interval is {options.interval_s:g}; say"
            f" interval={there:g}, or copy into another table; nothing was changed"
        )
