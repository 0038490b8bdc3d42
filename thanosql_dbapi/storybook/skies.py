"""Skies by time and mood, and what falls from or hangs in them.

Every function returns a picture that the painter keeps and cuts a window from.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import TYPE_CHECKING

from .canvas import Colour, Pen, mix

if TYPE_CHECKING:
    from PIL import Image

WIDE, HIGH = 400, 240
"""Size of a background in picture pixels; the painter cuts 320 by 240 out of it."""

_GRADIENTS: dict[str, tuple[Colour, Colour, Colour]] = {
    "day": ((84, 166, 236), (150, 210, 248), (230, 244, 250)),
    "night": ((16, 22, 66), (36, 48, 112), (84, 98, 162)),
    "sunset": ((96, 72, 156), (242, 124, 96), (255, 208, 118)),
    "rain": ((100, 120, 144), (138, 156, 176), (182, 194, 204)),
}
_CLOUDS: dict[str, Colour] = {
    "day": (255, 255, 255),
    "night": (84, 94, 150),
    "sunset": (255, 176, 150),
    "rain": (110, 122, 140),
}
_GLOOM: dict[str, Colour] = {
    "day": (112, 118, 126),
    "night": (34, 36, 52),
    "sunset": (92, 70, 88),
    "rain": (74, 80, 92),
}


def sky(time: str, mood: str, rng: random.Random) -> Image.Image:
    """Paint a sky.

    Args:
        time: one of the world's times.
        mood: one of the world's moods.
        rng: where the clouds go.

    Returns:
        RGB, WIDE by HIGH.
    """
    top, middle, low = _GRADIENTS[time]
    if mood == "gloomy":
        grey = _GLOOM[time]
        top, middle, low = (mix(c, grey, s) for c, s in ((top, 0.75), (middle, 0.62), (low, 0.5)))
    elif mood == "cheerful":
        top, middle, low = (
            mix(c, (120, 200, 255), 0.16) if time != "sunset" else mix(c, (255, 130, 150), 0.14)
            for c in (top, middle, low)
        )
    picture = _gradient(top, middle, low)
    _heavens(picture, time, mood, rng)
    if mood == "gloomy":
        _clouds(picture, mix(_CLOUDS[time], _GLOOM[time], 0.8), rng, 11, 1.5, 34)
        _clouds(picture, mix(_GLOOM[time], (30, 30, 40), 0.45), rng, 10, 1.3, 12)
    elif time == "rain":
        _clouds(picture, _CLOUDS[time], rng, 9, 1.3, 20)
        _clouds(picture, (146, 158, 174), rng, 6, 1.0, 34)
    else:
        _clouds(picture, _CLOUDS[time], rng, 4 if time == "night" else 5, 0.9, 48)
    return picture


def _gradient(top: Colour, middle: Colour, low: Colour) -> Image.Image:
    from PIL import Image

    ramp = Image.new("RGB", (1, 3))
    ramp.putdata([top, middle, low])
    tall = ramp.resize((1, 168), Image.Resampling.BICUBIC)
    column = Image.new("RGB", (1, HIGH), low)
    column.paste(tall, (0, 0))
    return column.resize((WIDE, HIGH))


def glow(picture: Image.Image, x: float, y: float, r: float, colour: Colour, strength: int) -> None:
    """Lay a soft round light on a picture, in place."""
    from PIL import Image

    size = round(2 * r)
    mask = Image.radial_gradient("L").resize((size, size))
    mask = mask.point([round(strength * max(0.0, 1 - v / 181) ** 2) for v in range(256)])
    picture.paste(colour, (round(x - r), round(y - r)), mask)


def _heavens(picture: Image.Image, time: str, mood: str, rng: random.Random) -> None:
    pen = Pen(WIDE, HIGH, 2)
    x, y = rng.uniform(110, 290), rng.uniform(28, 52)
    if time == "day" and mood != "gloomy":
        glow(picture, x, y, 90, (255, 250, 210), 220)
        r = 19 if mood == "cheerful" else 15
        if mood == "cheerful":
            for i in range(12):
                a = i * math.pi / 6
                pen.line(
                    [
                        (x + 24 * math.cos(a), y + 24 * math.sin(a)),
                        (x + 31 * math.cos(a), y + 31 * math.sin(a)),
                    ],
                    3,
                    (255, 214, 74),
                )
        pen.oval(x, y, r, r, (255, 222, 92))
        pen.oval(x, y, r - 3, r - 3, (255, 232, 128))
        if mood == "cheerful":
            _smile(pen, x, y)
    elif time == "sunset":
        y = rng.uniform(92, 104)
        dim = mood == "gloomy"
        glow(picture, x, y, 130, (255, 226, 150), 110 if dim else 230)
        pen.oval(x, y, 25, 25, (226, 130, 104) if dim else (255, 226, 130))
        if mood == "cheerful":
            _smile(pen, x, y - 8)
    elif time == "night":
        for _ in range(18 if mood == "gloomy" else 80):
            dot = rng.choice((0.5, 0.7, 1.1))
            pen.oval(rng.uniform(0, WIDE), rng.uniform(0, 130), dot, dot, (240, 240, 255))
        glow(picture, x, y, 80, (200, 210, 255), 70 if mood == "gloomy" else 190)
        pen.oval(x, y, 17, 17, (176, 178, 190) if mood == "gloomy" else (252, 246, 214))
        for dx, dy, dot in ((-5, -4, 3.4), (5, 3, 4.2), (-3, 7, 2.4)):
            if mood != "cheerful":
                pen.oval(
                    x + dx,
                    y + dy,
                    dot,
                    dot,
                    (158, 160, 174) if mood == "gloomy" else (232, 224, 190),
                )
        if mood == "cheerful":
            _smile(pen, x, y)
    sheet = pen.image.reduce(2)
    picture.paste(sheet, (0, 0), sheet)


def _smile(pen: Pen, x: float, y: float) -> None:
    pen.oval(x - 5, y - 3, 1.7, 2.2, (120, 84, 50))
    pen.oval(x + 5, y - 3, 1.7, 2.2, (120, 84, 50))
    pen.line([(x - 6, y + 4), (x, y + 8), (x + 6, y + 4)], 1.8, (120, 84, 50))
    pen.oval(x - 9, y + 2, 2.6, 1.8, (250, 170, 130))
    pen.oval(x + 9, y + 2, 2.6, 1.8, (250, 170, 130))


def _clouds(
    picture: Image.Image, colour: Colour, rng: random.Random, n: int, size: float, low: float
) -> None:
    from PIL import ImageFilter

    pen = Pen(WIDE, HIGH, 1)
    shade = Pen(WIDE, HIGH, 1)
    for i in range(n):
        x = (i + rng.uniform(0.1, 0.9)) * WIDE / n
        y = rng.uniform(low - 16, low + 22)
        k = size * rng.uniform(0.75, 1.25)
        for dx, dy, r in ((-22, 3, 10), (-10, -4, 13), (5, -7, 16), (19, -1, 12), (30, 4, 8)):
            pen.oval(x + dx * k, y + dy * k, r * k * 1.2, r * k * 0.8, colour)
            shade.oval(
                x + dx * k,
                y + (dy + 5) * k,
                r * k * 1.2,
                r * k * 0.7,
                mix(colour, (60, 70, 110), 0.2),
            )
    for layer, alpha in ((shade, 200), (pen, 225)):
        soft = layer.image.getchannel("A").filter(ImageFilter.GaussianBlur(1.6))
        flat = layer.image.convert("RGB")
        flat.paste(
            mix(colour, (60, 70, 110), 0.2) if layer is shade else colour, (0, 0, WIDE, HIGH)
        )
        picture.paste(flat, (0, 0), soft.point([v * alpha // 255 for v in range(256)]))


def rainbow(rng: random.Random) -> Image.Image:
    """Paint a rainbow to lay over a sky; RGBA."""
    from PIL import Image, ImageFilter

    pen = Pen(WIDE, HIGH, 1)
    x, r = rng.uniform(130, 270), rng.uniform(120, 150)
    bands = (
        (236, 84, 84),
        (246, 156, 66),
        (250, 224, 92),
        (104, 190, 104),
        (84, 146, 226),
        (150, 98, 200),
    )
    for i, band in enumerate(bands):
        pen.oval(x, 158, r - i * 5, r - i * 5, band)
    inner = r - len(bands) * 5
    hole = Pen(WIDE, HIGH, 1)
    hole.oval(x, 158, inner, inner, (0, 0, 0))
    alpha = pen.image.getchannel("A")
    alpha.paste(0, (0, 0), hole.image.getchannel("A"))
    alpha = alpha.filter(ImageFilter.GaussianBlur(1.2)).point([v * 170 // 255 for v in range(256)])
    pen.image.putalpha(alpha)
    lid = Image.new("L", (WIDE, HIGH), 0)
    lid.paste(alpha.crop((0, 0, WIDE, 150)), (0, 0))
    pen.image.putalpha(lid)
    return pen.image


def streaks(rng: random.Random) -> Image.Image:
    """Paint a mask of falling rain, WIDE by HIGH."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (WIDE * 2, HIGH * 2), 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(210):
        x, y, length = (
            rng.uniform(0, WIDE * 2 + 60),
            rng.uniform(-40, HIGH * 2),
            rng.uniform(26, 54),
        )
        draw.line(
            [(x, y), (x - length * 0.28, y + length)], fill=round(rng.uniform(110, 210)), width=3
        )
    for _ in range(46):
        x, y = rng.uniform(0, WIDE * 2), rng.uniform(HIGH * 1.35, HIGH * 2)
        draw.arc((x - 14, y - 5, x + 14, y + 5), 0, 360, fill=150, width=2)
    return mask.reduce(2)


def flakes(rng: random.Random) -> Image.Image:
    """Paint a mask of falling snow, WIDE by HIGH."""
    pen = Pen(WIDE, HIGH, 2)
    for _ in range(90):
        r = rng.uniform(0.8, 2.2)
        pen.oval(rng.uniform(0, WIDE), rng.uniform(0, HIGH), r, r, (255, 255, 255))
    return pen.image.getchannel("A").reduce(2)


def vignette(strength: int) -> Image.Image:
    """Paint a mask that darkens towards the edges; 320 by 240."""
    from PIL import Image

    mask = Image.radial_gradient("L").resize((320, 240))
    return mask.point([round(strength * (max(0, v - 60) / 195) ** 1.4) for v in range(256)])


def fog(rng: random.Random) -> Image.Image:
    """Paint a mask of lying fog, WIDE by HIGH."""
    from PIL import ImageFilter

    pen = Pen(WIDE, HIGH, 0.25)
    for _ in range(16):
        pen.oval(
            rng.uniform(0, WIDE),
            rng.uniform(118, 172),
            rng.uniform(40, 110),
            rng.uniform(4, 11),
            (255, 255, 255),
        )
    mask = pen.image.getchannel("A").filter(ImageFilter.GaussianBlur(2.5)).resize((WIDE, HIGH))
    return mask.point([v * 105 // 255 for v in range(256)])


def branches(rng: random.Random) -> Image.Image:
    """Paint bare twigs that reach into the picture from a corner; RGBA, 320 by 240."""
    pen = Pen(320, 240, 2)
    bark = (44, 38, 46)
    y = rng.uniform(10, 34)
    reach = rng.uniform(95, 135)
    pen.taper([(-6, y + 26), (reach * 0.4, y + 10), (reach, y + 14)], 10, 1.5, bark)
    for i in range(6):
        x = reach * (0.2 + 0.13 * i)
        up = -1 if i % 2 else 1
        tip = (x + rng.uniform(20, 34), y + 12 + up * rng.uniform(18, 34))
        pen.taper([(x, y + 14 - 2 * (i < 2)), (x + 13, y + 12 + up * 8), tip], 4, 1, bark)
        pen.taper([(x + 13, y + 12 + up * 8), (x + 26, y + 11 + up * 6)], 2, 0.8, bark)
    return pen.image.reduce(2)


def cobweb(rng: random.Random) -> Image.Image:
    """Paint a cobweb in an upper corner, with its owner; RGBA, 320 by 240."""
    pen = Pen(320, 240, 2)
    silk = (206, 208, 216)
    reach = rng.uniform(62, 84)
    spokes = [(math.cos(a), math.sin(a)) for a in (0.03, 0.36, 0.72, 1.1, 1.54)]
    for dx, dy in spokes:
        pen.line([(0, 0), (dx * reach, dy * reach)], 1.1, silk)
    for r in (0.25, 0.45, 0.66, 0.88):
        for (ax, ay), (bx, by) in pairwise(spokes):
            sag = ((ax + bx) * 0.44 * r * reach, (ay + by) * 0.44 * r * reach)
            pen.line(
                [(ax * r * reach, ay * r * reach), sag, (bx * r * reach, by * r * reach)], 0.9, silk
            )
    x, y = reach * 0.72, reach * 0.36
    pen.line([(x, y), (x, y + 30)], 0.8, silk)
    for side in (-1, 1):
        for lift in (-3, 0, 3):
            pen.line(
                [(x, y + 33), (x + side * 5, y + 31 + lift), (x + side * 7, y + 35 + lift)],
                0.9,
                (36, 32, 40),
            )
    pen.oval(x, y + 33, 3.6, 4.2, (36, 32, 40))
    return pen.image.reduce(2)


def bunting(rng: random.Random) -> Image.Image:
    """Paint flags on a string and a bunch of balloons; RGBA, 320 by 240."""
    pen = Pen(320, 240, 2)
    gay = ((236, 92, 92), (250, 200, 80), (100, 184, 120), (92, 156, 228), (236, 140, 190))
    sag = rng.uniform(16, 26)
    line = [(x, 4 + sag * (1 - ((x - 160) / 165) ** 2)) for x in range(-4, 330, 12)]
    pen.line(line, 1.4, (250, 246, 236), is_smooth=False)
    for i, (x, y) in enumerate(line[1::2]):
        pen.poly([(x - 8, y), (x + 8, y), (x, y + 15)], gay[i % 5])
        pen.poly(
            [(x - 8, y), (x + 8, y), (x + 6.5, y + 3), (x - 6.5, y + 3)],
            mix(gay[i % 5], (255, 255, 255), 0.4),
        )
    bx = rng.uniform(26, 58)
    by = rng.uniform(66, 84)
    for i, (dx, dy) in enumerate(((-11, 4), (12, 2), (0, -14))):
        c = gay[(i * 2 + int(rng.random() * 5)) % 5]
        pen.line(
            [(bx + dx, by + dy + 12), (bx + dx * 0.3, by + 32), (bx, by + 52)], 0.9, (250, 246, 236)
        )
        pen.oval(bx + dx, by + dy, 10, 12.5, c)
        pen.poly(
            [(bx + dx - 2.5, by + dy + 15), (bx + dx + 2.5, by + dy + 15), (bx + dx, by + dy + 11)],
            c,
        )
        pen.oval(bx + dx - 3.5, by + dy - 4.5, 2.4, 3.4, mix(c, (255, 255, 255), 0.65), 20)
    for _ in range(34):
        fx, fy = rng.uniform(0, 320), rng.uniform(26, 150)
        pen.oval(fx, fy, 2.0, 1.2, gay[int(rng.random() * 5)], rng.uniform(0, 180))
    return pen.image.reduce(2)
