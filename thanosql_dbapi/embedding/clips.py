"""A film cut into clips of equal length, each an MP4 file of its own.

Pictures are encoded anew, since a copied stream can begin at key frames only: clip *k* has the very
frames that are shown from ``k * interval`` seconds on and before ``(k + 1) * interval``, the one
shown at its beginning included. Sound that MP4 files can have is copied, and right to one of its
packets, some 20 ms; other sound is encoded anew.
"""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.frame import PictureType

from ..errors import MediaError
from .frames import SAME_S, Decoder, FrameReader, check_end
from .video import Film, quarter_turns

# Sound that an MP4 file can have as it is, by FFmpeg's names.
_COPIED = ("aac", "ac3", "alac", "eac3", "mp3", "opus")
_ENCODERS = ("libx264", "mpeg4")
_QUALITY = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "2"}}
# What of a clip's sound may still come after this much of the next clip's pictures is left out.
_LATE_S = 5.0
# Times inside a clip, a fraction of every usual frame rate.
_TICKS = 60_000


@dataclass(frozen=True)
class Clip:
    """A clip that is written.

    Attributes:
        number: Its number, from 0.
        begin_s: Where it begins in the film, in seconds.
        end_s: Where it ends.
    """

    number: int
    begin_s: float
    end_s: float


def cut(film: Film, interval_s: float, create: Callable[[int], BinaryIO]) -> Iterator[Clip]:
    """Cut a film into clips, one pass over the film, and yield each when it is written.

    Args:
        film: The film, just opened.
        interval_s: The length of a clip in seconds, more than 0; the last may be shorter.
        create: Opens a new file for the clip of a number; it is closed here.

    Raises:
        MediaError: The film has no frame, or its frames cannot be encoded.
        OSError: A clip cannot be written.
    """
    cutter = _Cutter(film, interval_s, create)
    try:
        yield from cutter.run()
    except av.FFmpegError as error:
        if isinstance(error, (MemoryError, OSError)):
            raise
        raise MediaError(f"{film.name} cannot be encoded anew: {error.strerror}") from error
    finally:
        cutter.abandon()


def excerpt(film: Film, begin_s: float, length_s: float, most_width: int) -> bytes:
    """Return a part of a film as an MP4 file, without sound.

    Args:
        film: The film, just opened.
        begin_s: Where the part begins, in seconds; at the film's end it is its last frame.
        length_s: Its length; it is shorter where the film ends.
        most_width: Most width of its frames in pixels.

    Raises:
        MediaError: The film has no frame there.
    """
    reader, file = FrameReader(film), io.BytesIO()
    frame = reader.at(begin_s)
    if frame is None:
        raise MediaError(f"{film.name} has no frame at {begin_s:g} seconds")
    writer = _Writer(film, 0, length_s, file, frame, most_width)
    try:
        for number in range(max(1, math.ceil(length_s * film.rate))):
            frame = reader.at(begin_s + number * film.frame_s)
            if frame is None:
                break
            writer.picture(frame, number * film.frame_s)
        writer.finish()
        return file.getvalue()
    except av.FFmpegError as error:
        raise MediaError(f"{film.name} cannot be encoded anew: {error.strerror}") from error
    finally:
        writer.close()


class _Cutter:
    def __init__(self, film: Film, interval_s: float, create: Callable[[int], BinaryIO]) -> None:
        self._film, self._interval_s, self._create = film, interval_s, create
        self._open: list[_Writer] = []  # two at most: sound may come later than pictures
        self._sounds: deque[tuple[float, Any]] = deque()  # of clips to come
        self._before: Any = None  # the last frame
        self._end_s = 0.0

    def run(self) -> Iterator[Clip]:
        film, decoder = self._film, Decoder(self._film)
        streams = [film.stream] if film.sound is None else [film.stream, film.sound]
        for packet in decoder.packets(*streams):
            if packet.stream is film.sound:
                self._sounds.extend(_sounds(film, packet))
            else:
                for time_s, frame in decoder.frames(packet):
                    yield from self._picture(time_s, frame)
            self._write_sounds()
        check_end(film, decoder)
        while self._open:
            yield self._finish(self._end_s)

    def abandon(self) -> None:
        """Close what is open; nothing after :meth:`run` has come to its end."""
        while self._open:
            self._open.pop().close()

    def _finish(self, end_s: float = math.inf) -> Clip:
        done = self._open.pop(0)
        try:
            done.finish()
        finally:
            done.close()
        return Clip(done.number, done.begin_s, min(done.end_s, max(end_s, done.begin_s)))

    def _picture(self, time_s: float, frame: Any) -> Iterator[Clip]:
        number = max(0, int((time_s + SAME_S) / self._interval_s))
        first = self._open[-1].number + 1 if self._open else 0
        for each in range(first, number + 1):
            if self._open:
                self._open[-1].hold(self._before)
            writer = _Writer(self._film, each, self._interval_s, self._create(each), frame)
            self._open.append(writer)
            if time_s > writer.begin_s + SAME_S:  # the frame before is still shown at its beginning
                writer.picture(frame if self._before is None else self._before, 0.0)
            while len(self._open) > 2:
                yield self._finish()
        self._open[-1].picture(frame, max(0.0, time_s - self._open[-1].begin_s))
        self._before, self._end_s = frame, time_s + self._film.length_s(frame)
        if len(self._open) > 1 and time_s > self._open[0].end_s + _LATE_S:
            yield self._finish()

    def _write_sounds(self) -> None:
        while self._open and self._sounds and self._sounds[0][0] < self._open[-1].end_s:
            time_s, sound = self._sounds.popleft()
            for writer in self._open:
                if writer.begin_s <= time_s < writer.end_s:
                    writer.sound(sound, time_s - writer.begin_s)


def _sounds(film: Film, packet: Any) -> Iterator[tuple[float, Any]]:
    """Yield what is written of a packet of sound: itself, or its decoded frames; with the times."""
    if _is_copied(film.sound):
        time_s = film.time(packet.pts, film.sound)
        if time_s is not None and packet.size:
            yield time_s, packet
        return
    try:
        frames = packet.decode()
    except av.FFmpegError:  # a click
        return
    for frame in frames:
        if frame.pts is not None:
            yield float(frame.pts * frame.time_base - film.begin), frame


def _output(file: BinaryIO) -> Any:
    return av.open(file, "w", format="mp4")


def _is_copied(sound: Any) -> bool:
    return sound.codec_context.name.removesuffix("float") in _COPIED


class _Writer:
    """One clip that is being written.

    Attributes:
        number: Its number, from 0.
        begin_s: Where it begins in the film, in seconds.
        end_s: Where it ends, if the film goes on for so long.
    """

    def __init__(
        self,
        film: Film,
        number: int,
        interval_s: float,
        file: BinaryIO,
        frame: Any,
        most_width: int | None = None,
    ) -> None:
        self.number, self.begin_s = number, number * interval_s
        self.end_s = self.begin_s + interval_s
        self._film, self._file = film, file
        self._turn, self._ticks = quarter_turns(frame), -1
        self._shown_s = 0.0
        width, height = film.square_size(frame)
        times = 1 if most_width is None else max(1, math.ceil(width / most_width))
        width, height = width // times, height // times
        self._size = max(2, width - width % 2), max(2, height - height % 2)
        self._output = _output(file)
        encoder = next(name for name in _ENCODERS if name in av.codecs_available)
        rate = film.rate.limit_denominator(1001)
        self._pictures = self._output.add_stream(encoder, rate=rate, options=_QUALITY[encoder])
        turned = self._size[::-1] if self._turn % 2 else self._size
        self._pictures.width, self._pictures.height = turned
        self._pictures.pix_fmt = "yuv420p"
        self._pictures.codec_context.time_base = Fraction(1, _TICKS)
        self._sound, self._resampler = self._add_sound(None if most_width else film.sound)

    def _add_sound(self, sound: Any) -> tuple[Any, Any]:
        if sound is None:
            return None, None
        if _is_copied(sound):
            return self._output.add_stream_from_template(sound), None
        rate = sound.codec_context.sample_rate
        encoded = self._output.add_stream("aac", rate=rate, layout="stereo")
        return encoded, av.AudioResampler(format="fltp", layout="stereo", rate=rate)

    def picture(self, frame: Any, time_s: float) -> None:
        """Write a frame that is shown from a time on, in seconds from the clip's beginning."""
        width, height = self._size
        if self._turn:
            pixels = frame.to_ndarray(width=width, height=height, format="rgb24")
            turned = np.ascontiguousarray(np.rot90(pixels, self._turn))
            picture = av.VideoFrame.from_ndarray(turned, "rgb24").reformat(format="yuv420p")
        else:
            picture = frame.reformat(width, height, "yuv420p")
        self._ticks = max(self._ticks + 1, round(time_s * _TICKS))
        picture.pts, picture.time_base = self._ticks, Fraction(1, _TICKS)
        picture.pict_type = PictureType.NONE  # the encoder's own choice
        self._output.mux(self._pictures.encode(picture))
        self._shown_s = time_s

    def hold(self, frame: Any) -> None:
        """Have the last frame shown up to the clip's end, which a file does not say of itself."""
        last_s = self.end_s - self.begin_s - self._film.frame_s
        if last_s > self._shown_s + self._film.frame_s:
            self.picture(frame, last_s)

    def sound(self, sound: Any, time_s: float) -> None:
        """Write sound from a time on, in seconds from the clip's beginning."""
        if self._resampler is None:
            stamp = round(time_s / sound.time_base)
            sound.pts = sound.dts = stamp
            sound.stream = self._sound
            self._output.mux(sound)
            return
        sound.pts = round(time_s / sound.time_base)
        for part in self._resampler.resample(sound):
            self._output.mux(self._sound.encode(part))

    def finish(self) -> None:
        """Write what the encoders hold back, and close the clip."""
        self._output.mux(self._pictures.encode(None))
        if self._resampler is not None:
            for part in self._resampler.resample(None):
                self._output.mux(self._sound.encode(part))
            self._output.mux(self._sound.encode(None))
        self._output.close()

    def close(self) -> None:
        """Close the clip, whole or not."""
        with suppress(Exception):  # why it cannot be finished has been said
            self._output.close()
        self._file.close()
