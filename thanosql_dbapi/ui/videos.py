"""The videos of a result's rows, and what a notebook plays of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..connection import Connection
from ..errors import Error, MediaError, ProgrammingError
from ..places import join
from .pictures import count_of
from .session import Outcome, PrintOptions

TIME_COLUMNS = ("time_s", "start_s")
"""The columns that say from which second a video is played; the first that is there counts."""

# A larger file would make a notebook slow; of it, an excerpt is shown.
_WHOLE_BYTES = 16 << 20
_EXCERPT_S = 20.0
_EXCERPT_WIDTH_PX = 640
_KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
# What every browser plays, by FFmpeg's names.
_CODECS = ("h264", "vp8", "vp9", "av1")


@dataclass(frozen=True)
class Playable:
    """What a browser plays of a video.

    Attributes:
        content: A video file.
        kind: Its media type.
        fragment: What is added to its URL: ``"#t=12.5"`` to begin there, or nothing.
        excerpt_s: The length in seconds where it is an excerpt, without sound; 0 for the whole.
    """

    content: bytes
    kind: str
    fragment: str = ""
    excerpt_s: float = 0.0


@dataclass(frozen=True)
class Video:
    """One row's video.

    Attributes:
        name: The absolute path, or what the row has instead.
        path: Where the file is, its links resolved; None where it may not be read.
        begin_s: From where it is to be played, in seconds.
        reason: Why it cannot be shown, else empty.
    """

    name: str
    path: Path | None
    begin_s: float = 0.0
    reason: str = ""

    @property
    def label(self) -> str:
        """The path, and the time where it is another than the beginning."""
        return f"{self.name}  at {self.begin_s:g} s" if self.begin_s else self.name

    def playable(self, connection: Connection) -> Playable:
        """Return what a browser plays of it: the file, or an excerpt of one that is large or odd.

        Raises:
            sqlite3.Error: It cannot be read.
        """
        if self.path is None or self.reason:
            raise MediaError(self.reason)
        with connection._context().pictures.open_film(str(self.path), lambda remark: None) as film:
            kind = _KINDS.get(self.path.suffix.lower())
            is_small = film.size_bytes <= _WHOLE_BYTES
            if kind and is_small and film.stream.codec_context.name in _CODECS:
                fragment = f"#t={self.begin_s:g}" if self.begin_s else ""
                return Playable(film.content(), kind, fragment)
            from ..embedding.clips import excerpt

            content = excerpt(film, self.begin_s, _EXCERPT_S, _EXCERPT_WIDTH_PX)
            return Playable(content, "video/mp4", "", _EXCERPT_S)


def videos(connection: Connection, outcome: Outcome, limit: int | None = None) -> Iterator[Video]:
    """Yield the videos of an executed PRINT VIDEO in the order of its rows.

    Args:
        connection: Where it ran: its settings say which files may be read.
        outcome: What ``session.run`` returned.
        limit: Most videos to yield; the PRINT's own ``limit`` wins.

    Raises:
        ProgrammingError: The result has no such column.
    """
    options = outcome.print_options or PrintOptions("video")
    names = [name.lower() for name in outcome.names or []]
    if options.video_col.lower() not in names:
        raise ProgrammingError(
            f"PRINT VIDEO shows the column {options.video_col!r}, and the query's columns are"
            f" {', '.join(map(repr, outcome.names or [])) or 'none'}; select that column, or name"
            " another with OPTIONS (video_col='…')"
        )
    column = names.index(options.video_col.lower())
    time = next((names.index(name) for name in TIME_COLUMNS if name in names), None)
    for row in outcome.rows[: count_of(outcome, limit)]:
        yield _video(connection, row[column], None if time is None else row[time], options)


def _video(connection: Connection, value: Any, time: Any, options: PrintOptions) -> Video:
    begin_s = float(time) if isinstance(time, (int, float)) and time > 0 else 0.0
    if not isinstance(value, str):
        return Video("NULL" if value is None else str(value), None, 0.0, "the row has no video")
    name = join(options.base_dir, value) if options.base_dir else value
    try:
        path = connection._context().workspace.locate(name)
    except Error as error:
        return Video(name, None, begin_s, str(error))
    there = "" if path.is_file() else f"video {str(path)!r} does not exist"
    return Video(str(path), path, begin_s, there)
