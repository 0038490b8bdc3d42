"""Which frame a film shows at a time: packets read, sought and decoded, no more than it takes.

Packets are read up to the last key frame before a time and dropped undecoded; a time that is far
ahead is sought. So the price of a frame is that of the frames since its key frame, in any
container, with an index or without.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

    from .video import Film

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


def stills(film: Film, interval_s: float, *, least_side_px: int | None = None) -> Iterator[Still]:
    """Yield the frames that are shown at 0 seconds, at ``interval_s``, twice that and so on.

    Between two times that are far apart nothing is decoded but the frames since the last key
    frame before the second.

    Args:
        film: The film, just opened.
        interval_s: Seconds between two frames, more than 0.
        least_side_px: A frame is made smaller by a whole number where its short side keeps
            twice this length; None keeps it whole.

    Raises:
        MediaError: There is no frame, or one is too large.
    """
    reader = FrameReader(film)
    for number in itertools.count():
        time_s = round(float(number * min(interval_s, _LONGEST_S)), 6)
        frame = reader.at(time_s)
        if frame is None:
            break
        film.check_size(frame.width, frame.height)
        yield Still(time_s, film.picture(frame, least_side_px))
    check_end(film, reader.decoder)


def check_end(film: Film, decoder: Decoder) -> None:
    """Say what was missing in a film that is read to its end.

    Raises:
        MediaError: It has no frame.
    """
    if decoder.last_s is None:
        why = "none of them can be decoded" if decoder.damaged else "it has no frame"
        raise MediaError(f"{film.name} has a stream of pictures, and {why}")
    if decoder.damaged:
        film.remark(
            f"{film.name} is damaged: {decoder.damaged:,} pieces of it could not be decoded"
        )
    told = film.stream.duration
    told_s = None if told is None else float(told * film.stream.time_base)
    if told_s is None and len(film.container.streams) == 1:
        told_s = film.duration_s
    if told_s and told_s - decoder.last_s > max(_SHORT_S, told_s * _SHORT_PART):
        film.remark(
            f"{film.name} is cut short: it says that it has {told_s:.1f} seconds, and its last"
            f" frame is at {decoder.last_s:.1f}"
        )
