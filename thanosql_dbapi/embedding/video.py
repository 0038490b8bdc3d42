"""Films out of files that nobody vouches for: opened, and their frames made pictures.

PyAV (the extra ``video``) is imported here, in ``frames`` and in ``clips`` alone. Of FFmpeg's
demuxers only those of films are let loose on a file: others, such as those of playlists, open what
a file names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MediaError, clip
from ..places import is_elsewhere
from ..settings import DEFAULT_IMAGE_PIXELS
from .formats import Extra, kind_of
from .images import looked_at, open_medium

if TYPE_CHECKING:
    from PIL.Image import Image

VIDEO = Extra("video", "av", "a video", frozenset())
"""What films need."""

_DEMUXERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,ogg"
_BUFFER_BYTES = 1 << 18
_DECODERS = 4


class Film:
    """An open film.

    Attributes:
        name: What it is called in messages.
        container: PyAV's container.
        stream: Its stream of pictures.
        sound: Its first stream of sound, or None.
        duration_s: What the file says of its length, in seconds; None where it does not say.
        begin: Where its time is 0, in seconds of the container's clock.
        remark: Gets what is to be said of a film that is there in part.
    """

    def __init__(
        self, file: Any, name: str, max_pixels: int, remark: Callable[[str], None]
    ) -> None:
        self.name, self.remark, self._max_pixels = name, remark, max_pixels
        self._file = file
        self.container = _container(file, name)
        try:
            self.stream = _stream(self.container, name)
            self.check_size(self.stream.codec_context.width, self.stream.codec_context.height)
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.thread_count = min(_DECODERS, os.cpu_count() or 1)
        self.stream.thread_type = "AUTO"
        sounds = (each for each in self.container.streams.audio if each.codec_context is not None)
        self.sound: Any = next(sounds, None)
        begin, length = self.container.start_time, self.container.duration
        if begin is None and self.stream.start_time is not None:
            self.begin = self.stream.start_time * self.stream.time_base
        else:
            self.begin = Fraction(begin or 0, 1_000_000)
        self.duration_s = None if length is None else length / 1_000_000

    @property
    def size_bytes(self) -> int:
        """The size of its file."""
        return int(self._file.seek(0, os.SEEK_END))

    def content(self) -> bytes:
        """Return its file, whole; nothing can be decoded after that."""
        self._file.seek(0)
        content: bytes = self._file.read()
        return content

    def time(self, stamp: int | None, stream: Any = None) -> float | None:
        """Return the time of a packet or frame in seconds from the film's beginning."""
        if stamp is None:
            return None
        return float(stamp * (stream or self.stream).time_base - self.begin)

    def length_s(self, frame: Any) -> float:
        """Return for how long a frame is shown, in seconds."""
        return float(frame.duration * self.stream.time_base) or self.frame_s

    @property
    def rate(self) -> Fraction:
        """Frames a second where frames are evenly spaced; a guess where the file does not say."""
        return Fraction(self.stream.guessed_rate or self.stream.average_rate or 25)

    @property
    def frame_s(self) -> float:
        """How long a frame is shown, in seconds, by :attr:`rate`."""
        return float(1 / self.rate)

    def picture(self, frame: Any, least_side_px: int | None = None) -> Image:
        """Return a decoded frame as a picture: RGB, upright, its pixels square."""
        from PIL.Image import Transpose

        width, height = self.square_size(frame)
        times = 1
        if least_side_px is not None:
            times = max(1, min(width, height) // (2 * least_side_px))
        size = max(1, width // times), max(1, height // times)
        image: Image
        if size == (frame.width, frame.height):
            image = frame.to_image()
        else:
            image = frame.to_image(width=size[0], height=size[1], interpolation="AREA")
        turn = quarter_turns(frame)
        if not turn:
            return image
        turns = (Transpose.ROTATE_90, Transpose.ROTATE_180, Transpose.ROTATE_270)
        return image.transpose(turns[turn - 1])

    def square_size(self, frame: Any) -> tuple[int, int]:
        """Return the width and height of a frame whose pixels are made square."""
        return max(1, round(frame.width * (self.stream.sample_aspect_ratio or 1))), frame.height

    def check_size(self, width: int, height: int) -> None:
        """Refuse a frame that is too large.

        Raises:
            MediaError: It is.
        """
        if width * height > self._max_pixels:
            raise MediaError(
                f"{self.name} is larger than the limit of {self._max_pixels:,} pixels: its frames"
                f" have {width:,} × {height:,}, and were not decoded; open the connection with a"
                " larger max_image_pixels"
            )


def quarter_turns(frame: Any) -> int:
    """Return by how many quarters of a circle a frame is turned to the left to be upright."""
    turns: int = round(frame.rotation / 90) % 4
    return turns


@contextmanager
def open_film(
    source: object,
    *,
    locate: Callable[[str], Path],
    max_pixels: int = DEFAULT_IMAGE_PIXELS,
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[Film]:
    """Open the film that a path means.

    Args:
        source: The path.
        locate: Gives the file that a path means, its links resolved, or raises
            (``Workspace.locate``).
        max_pixels: Most pixels of a frame.
        remark: Gets what is to be said of a film that is there in part, the film named.

    Raises:
        MediaError: It is missing, damaged, no film or too large, or PyAV is not installed.
        WorkspaceError: ``locate`` refuses the path, or a link stands on the one that it gives.
    """
    name = f"video {clip(source)}"
    if not isinstance(source, str):
        raise MediaError(f"{name} is no path; videos are read from files")
    if is_elsewhere(source) or source[:5].lower() == "file:":
        raise MediaError(f"{name} is a URL; videos are read from files: give a path")
    path = locate(source)
    place = looked_at(source, path)
    with open_medium(name, place, path) as opened, opened.reader() as file:
        if not opened.status.st_size:
            raise MediaError(f"{name} is empty (0 bytes){place}")
        film = Film(file, name, max_pixels, remark)
        with film.container:
            yield film


def _container(file: Any, name: str) -> Any:
    if not VIDEO.is_installed():
        raise MediaError(f"{name} looks like {VIDEO}")
    import av

    head = file.read(64)
    file.seek(0)
    try:
        return av.open(
            file,
            options={"format_whitelist": _DEMUXERS, "protocol_whitelist": ""},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )
    except av.FFmpegError as error:
        kind = kind_of(head)
        if kind == "a video":
            why = (
                "is damaged or cut short: it begins as a video, and what says where its frames lie"
                " is missing or wrong, as in a recording or copy that was not finished"
            )
        else:
            looks = f": it looks like {kind}" if kind else ""
            why = f"is no video of a known format{looks}; its first bytes are {head[:12]!r}"
        raise MediaError(f"{name} {why}") from error


def _stream(container: Any, name: str) -> Any:
    """Return the stream of pictures; that of a cover is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.codec_context is None:
            raise MediaError(f"{name} has pictures in a format that FFmpeg here does not decode")
        if not stream.disposition & Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise MediaError(f"{name} has sound only, expected pictures")
    raise MediaError(f"{name} is damaged or cut short: it has neither pictures nor sound")
