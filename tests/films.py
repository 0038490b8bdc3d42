"""Films that tests make: drawn scenes one after another, with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
from av.stream import Disposition  # noqa: E402

SIZE = (64, 48)
RED, GREEN, BLUE, WHITE, BLACK = (
    *((255, 0, 0), (0, 255, 0), (0, 0, 255)),
    *((255, 255, 255), (0, 0, 0)),
)
Color = tuple[int, int, int]


def scenes(*colors: Color, seconds: float = 1.0, size: tuple[int, int] = SIZE) -> list[Any]:
    """Return (time, pixels) of scenes of one colour each, at 10 frames a second."""
    count = round(seconds * 10)
    return [
        (number / 10, np.full((size[1], size[0], 3), colors[number // count], np.uint8))
        for number in range(count * len(colors))
    ]


def write_film(
    path: Path,
    frames: Sequence[tuple[float, Any]],
    *,
    codec: str = "libx264",
    format: str | None = None,
    gop: int = 12,
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: str | None = None,
) -> Path:
    """Write a film of frames with their times in seconds.

    Args:
        path: Its file; the suffix says which container.
        frames: Times that grow, and RGB arrays of one size.
        codec: FFmpeg's name of the encoder.
        format: The container, where the suffix does not say.
        gop: Frames from one key frame to the next.
        rotation: By how many degrees a player turns it to the left.
        aspect: Width of a pixel by its height.
        sound: FFmpeg's name of the encoder of a tone as long as the film, or None.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=format) as film:
        pictures: Any = film.add_stream(codec, rate=10, options={"g": str(gop)})
        pictures.height, pictures.width = frames[0][1].shape[:2] if frames else SIZE[::-1]
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        if aspect:
            pictures.codec_context.sample_aspect_ratio = aspect
        if rotation:
            pictures.set_display_rotation(rotation)
        tone: Any = film.add_stream(sound, rate=8000, layout="mono") if sound else None
        film.start_encoding()  # a file without a frame has its header all the same
        for time_s, pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode(None))
        if tone is not None:
            _add_tone(film, tone, frames[-1][0] + 0.1 if frames else 1.0)
    return path


def write_sound(path: Path, *, with_cover: bool = False) -> Path:
    """Write a file with a second of sound and no picture, or that of a cover."""
    with av.open(str(path), "w") as film:
        tone: Any = film.add_stream("aac", rate=8000, layout="mono")
        if with_cover:
            cover: Any = film.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
            cover.disposition = Disposition.attached_pic
            pixels = np.full((SIZE[1], SIZE[0], 3), RED, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuvj420p")
            film.mux(cover.encode(picture))
            film.mux(cover.encode(None))
        _add_tone(film, tone, 1.0)
    return path


def _add_tone(film: Any, stream: Any, seconds: float) -> None:
    for begin in range(0, round(seconds * 8000), 1024):
        wave = (np.sin(np.arange(begin, begin + 1024) / 3) * 9000).astype(np.int16)[None]
        part = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        part.sample_rate, part.pts, part.time_base = 8000, begin, Fraction(1, 8000)
        film.mux(stream.encode(part))
    film.mux(stream.encode(None))


def colors_of(path: Path) -> list[str]:
    """Return the colour of each frame of a film, read by PyAV itself, as a letter of "rgbwk"."""
    with av.open(str(path)) as film:
        return [name_of(frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]


def name_of(pixels: Any) -> str:
    """Return which of the colours a picture has in its middle, as a letter of "rgbwk"."""
    known = dict(zip("rgbwk", (RED, GREEN, BLUE, WHITE, BLACK), strict=True))
    middle = np.asarray(pixels)[pixels.shape[0] // 2, pixels.shape[1] // 2].astype(int)
    return min(known, key=lambda each: int(np.abs(middle - known[each]).sum()))


def runs(letters: Iterable[str]) -> list[tuple[str, int]]:
    """Return what follows one another, and how often: [("r", 10), ("g", 10)]."""
    found: list[tuple[str, int]] = []
    for letter in letters:
        if found and found[-1][0] == letter:
            found[-1] = letter, found[-1][1] + 1
        else:
            found.append((letter, 1))
    return found
