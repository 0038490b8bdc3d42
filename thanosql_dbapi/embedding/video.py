"""Films out of files that nobody vouches for: opened, sought through, their frames as pictures.

PyAV (the extra ``video``) is imported here and in ``clips`` alone. Of FFmpeg's demuxers only those
of films are let loose on a file: others, such as those of playlists, open what a file names.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
SAME_S = 1e-4
"""Two times that differ by less are one: containers round to a thousandth or finer."""

# The way to a time that is so far ahead is sought, a nearer one read through.
_SEEK_S = 8.0
# So far before a time it is sought again where what was found comes after it; then from the start.
_BACK_S = (0.0, 2.0, 10.0, 60.0)
# Frames that are farther apart than any film is long (31 years); FFmpeg's times have 64 bits.
_LONGEST_S = 1e9
# So many packets wait to be decoded at most: there may be no further key frame.
_WAITING = 2000
_DECODERS = 4
# What a film may lack of its stated length without a word.
_SHORT_S, _SHORT_PART = 1.0, 0.02


@dataclass(frozen=True)
class Still:
    """A frame of a film.

    Attributes:
        time_s: The time at which it is shown, in seconds from the beginning.
        image: The picture, RGB, upright, its pixels square.
    """

    time_s: float
    image: Image


class Film:
    """An open film.

    Attributes:
        name: What it is called in messages.
        container: PyAV's container.
        stream: Its stream of pictures.
        sound: Its first stream of sound, or None.
        duration_s: What the file says of its length, in seconds; None where it does not say.
        begin: Where its time is 0, in seconds of the container's clock.
    """

    def __init__(
        self, file: Any, name: str, max_pixels: int, remark: Callable[[str], None]
    ) -> None:
        self.name, self._max_pixels, self._remark = name, max_pixels, remark
        self._file = file
        self.container = _container(file, name)
        try:
            self.stream = _stream(self.container, name)
            self._check_size(self.stream.codec_context.width, self.stream.codec_context.height)
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

    def stills(self, interval_s: float, *, least_side_px: int | None = None) -> Iterator[Still]:
        """Yield the frames that are shown at 0 seconds, at ``interval_s``, twice that and so on.

        Between two times that are far apart nothing is decoded but the frames since the last key
        frame before the second.

        Args:
            interval_s: Seconds between two frames, more than 0.
            least_side_px: A frame is made smaller by a whole number where its short side keeps
                twice this length; None keeps it whole.

        Raises:
            MediaError: There is no frame, or one is too large.
        """
        reader = FrameReader(self)
        for number in itertools.count():
            time_s = round(float(number * min(interval_s, _LONGEST_S)), 6)
            frame = reader.at(time_s)
            if frame is None:
                break
            self._check_size(frame.width, frame.height)
            yield Still(time_s, self.picture(frame, least_side_px))
        self.check_end(reader.decoder)

    def check_end(self, decoder: Decoder) -> None:
        """Say what was missing in a film that is read to its end.

        Raises:
            MediaError: It has no frame.
        """
        if decoder.last_s is None:
            why = "none of them can be decoded" if decoder.damaged else "it has no frame"
            raise MediaError(f"{self.name} has a stream of pictures, and {why}")
        if decoder.damaged:
            self._remark(
                f"{self.name} is damaged: {decoder.damaged:,} pieces of it could not be decoded"
            )
        told = self.stream.duration
        told_s = None if told is None else float(told * self.stream.time_base)
        if told_s is None and len(self.container.streams) == 1:
            told_s = self.duration_s
        if told_s and told_s - decoder.last_s > max(_SHORT_S, told_s * _SHORT_PART):
            self._remark(
                f"{self.name} is cut short: it says that it has {told_s:.1f} seconds, and its last"
                f" frame is at {decoder.last_s:.1f}"
            )

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

    def _check_size(self, width: int, height: int) -> None:
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


class Decoder:
    """Decodes the packets of a film, and goes on after one that is damaged.

    Attributes:
        last_s: The time of the last frame so far, in seconds; None before the first.
        damaged: How many packets could not be read or decoded.
    """

    def __init__(self, film: Film) -> None:
        self.last_s: float | None = None
        self.damaged = 0
        self._film = film

    def packets(self, *streams: Any) -> Iterator[Any]:
        """Yield the packets of streams from where the film stands; an empty one of each is last."""
        import av

        try:
            yield from self._film.container.demux(*streams)
        except av.FFmpegError:
            self.damaged += 1

    def frames(self, packet: Any) -> Iterator[tuple[float, Any]]:
        """Yield the frames that a packet completes, each with its time in seconds."""
        import av

        try:
            decoded = packet.decode()
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged += 1
            return
        for frame in decoded:
            time_s = self._film.time(frame.pts)
            if time_s is None:
                time_s = 0.0 if self.last_s is None else self.last_s + self._film.frame_s
            self.last_s = max(time_s, self.last_s or time_s)
            yield time_s, frame


class FrameReader:
    """Gives the frames that a film shows at times that grow.

    Attributes:
        decoder: What decodes them.
    """

    def __init__(self, film: Film) -> None:
        self.decoder = Decoder(film)
        self._film = film
        self._packets = self.decoder.packets(film.stream)
        self._waiting: deque[Any] = deque()
        self._frames: deque[tuple[float, Any]] = deque()
        self._shown: tuple[float, Any] | None = None
        self._read_s = 0.0
        self._seek_s = _SEEK_S

    def at(self, time_s: float) -> Any:
        """Return the frame that is shown at a time, which is not before the last one asked for.

        Returns:
            None after the film's end.
        """
        self._approach(time_s)
        while True:
            while self._frames:
                if self._frames[0][0] > time_s + SAME_S:
                    return (self._shown or self._frames[0])[1]
                self._shown = self._frames.popleft()
            if not self._decode():
                break
        if self._shown is None:
            return None
        begin_s, frame = self._shown
        return frame if time_s < begin_s + self._film.length_s(frame) - SAME_S else None

    def _approach(self, time_s: float) -> None:
        """Go past the packets up to the last key frame at or before a time, undecoded."""
        if self._frames and self._frames[-1][0] > time_s + SAME_S:
            return
        if time_s - self._read_s > self._seek_s and not self._seek(time_s):
            self._seek_s *= 2
        while self._read_s <= time_s and len(self._waiting) < _WAITING:
            packet = self._next_packet()
            if packet is None:
                return
            if packet.is_keyframe and self._stamp(packet) <= time_s + SAME_S:
                self._begin_at(packet)
            else:
                self._waiting.append(packet)

    def _begin_at(self, packet: Any) -> None:
        self._film.stream.codec_context.flush_buffers()
        self._waiting.clear()
        self._frames.clear()
        self._waiting.append(packet)

    def _seek(self, time_s: float) -> bool:
        """Jump to a key frame at or before a time; return whether that was a way ahead."""
        import av

        film, before_s = self._film, self._read_s
        for back_s in (*_BACK_S, math.inf):
            wanted_s = max(0.0, time_s - back_s) if back_s < math.inf else 0.0
            stamp = int((Fraction(wanted_s) + film.begin) / film.stream.time_base)
            try:
                film.container.seek(stamp, stream=film.stream, backward=True)
            except av.FFmpegError:
                return False  # it stays where it was
            self._packets = self.decoder.packets(film.stream)
            while (packet := self._next_packet()) is not None and not packet.is_keyframe:
                pass
            if (packet is not None and self._stamp(packet) <= time_s + SAME_S) or not wanted_s:
                if packet is not None:
                    self._begin_at(packet)
                break
        return self._read_s > before_s

    def _stamp(self, packet: Any) -> float:
        found = self._film.time(packet.pts if packet.pts is not None else packet.dts)
        return self._read_s if found is None else found

    def _next_packet(self) -> Any:
        """Return the next packet, of which the last is empty; None after it."""
        packet = next(self._packets, None)
        if packet is not None:
            read_s = self._film.time(packet.dts if packet.dts is not None else packet.pts)
            is_last = read_s is None and not packet.size
            self._read_s = math.inf if is_last else self._read_s if read_s is None else read_s
        return packet

    def _decode(self) -> bool:
        """Decode one packet; return whether there was one."""
        packet = self._waiting.popleft() if self._waiting else self._next_packet()
        if packet is None:
            return False
        self._frames.extend(self.decoder.frames(packet))
        return True


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
