"""The seven places, each drawn by daylight on a sheet whose sky is left open.

The painter lays the sheet over a sky and tints it by time and mood; what shines by itself at night
(windows, lamps) goes to a second sheet.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from .canvas import Colour, Pen, Point, darker, lighter, mix

WIDE, HIGH = 400.0, 240.0
WINDOW = (118, 14, 282, 112)
"""The hole in the room's wall, through which the sky shows: x0, y0, x1, y1."""


def _ridge(
    rng: random.Random, y: float, height: float, waves: float = 2.0, jag: float = 0.0
) -> list[Point]:
    """Outline of a hilly line across the sheet, closed along its foot."""
    a, b = rng.uniform(0, 6.28), rng.uniform(0, 6.28)
    points: list[Point] = [(-5, HIGH + 5)]
    for i in range(0, 41):
        x = i * WIDE / 40
        t = x / WIDE * 6.28 * waves
        bump = 0.6 * math.sin(t / 2 + a) + 0.4 * math.sin(t * 1.13 + b)
        points.append((x, y - height * bump + (rng.uniform(-jag, jag) if jag else 0)))
    points.append((WIDE + 5, HIGH + 5))
    return points


def _tufts(pen: Pen, rng: random.Random, colour: Colour, n: int, top: float) -> None:
    for _ in range(n):
        x, y = rng.uniform(0, WIDE), rng.uniform(top, HIGH - 2)
        for dx in (-3, 0, 3):
            pen.line([(x + dx * 0.5, y), (x + dx, y - rng.uniform(4, 7))], 1.2, colour)


def _fir(pen: Pen, x: float, y: float, h: float, c: Colour, snow: Colour | None = None) -> None:
    pen.box(x - h * 0.04, y - h * 0.12, x + h * 0.04, y, (104, 78, 62))
    for i in range(4):
        top, half = y - h + i * h * 0.2, h * (0.12 + 0.055 * i)
        low = top + h * 0.34
        pen.poly([(x, top), (x + half, low), (x - half, low)], mix(c, darker(c), i % 2))
        if snow is not None:
            pen.poly(
                [
                    (x, top),
                    (x + half * 0.62, low - h * 0.13),
                    (x + half * 0.2, low - h * 0.17),
                    (x - half * 0.1, low - h * 0.1),
                    (x - half * 0.5, low - h * 0.15),
                ],
                snow,
            )


def beach(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """Sea, sand, foam, shells, an umbrella."""
    pen.box(0, 112, WIDE, HIGH, (58, 152, 206))
    pen.box(0, 112, WIDE, 124, (44, 128, 190))
    for i in range(46):
        x, y = rng.uniform(0, WIDE), 117 + 52 * (i / 46) ** 1.3
        w = 5 + (y - 112) * 0.28
        pen.line([(x - w, y), (x, y - 1.6), (x + w, y)], 1.2 + (y - 112) * 0.012, (150, 212, 236))
    shore = _ridge(rng, 178, 5, 3)
    pen.blob([(x, y - 5) for x, y in shore], (232, 246, 248))
    pen.blob([(x, y - 1) for x, y in shore], (206, 178, 128))
    pen.blob([(x, y + 4) for x, y in shore], (240, 214, 158))
    for _ in range(130):
        x, y = rng.uniform(0, WIDE), rng.uniform(190, HIGH)
        pen.oval(x, y, 1.1, 0.7, rng.choice(((222, 192, 134), (250, 230, 184))))
    x = rng.choice((rng.uniform(30, 90), rng.uniform(310, 370)))
    pen.line([(x, 134), (x + 5, 194)], 2.6, (238, 226, 204))
    for i in range(6):
        a0, a1 = math.pi + i * math.pi / 6, math.pi + (i + 1) * math.pi / 6
        arc = [
            (x + 34 * math.cos(a0 + (a1 - a0) * t / 4), 146 + 26 * math.sin(a0 + (a1 - a0) * t / 4))
            for t in range(5)
        ]
        pen.poly([(x + 1, 144), *arc], (240, 112, 98) if i % 2 else (255, 246, 228))
    for _ in range(4):
        x, y = rng.uniform(10, WIDE - 10), rng.uniform(214, 234)
        c = rng.choice(((250, 180, 150), (255, 236, 214)))
        for i in range(5):
            a = i * 1.257 + x
            pen.line([(x, y), (x + 4.6 * math.cos(a), y + 3 * math.sin(a))], 2.4, c)


def forest(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """Three depths of trees, trunks that leave the picture, ferns and mushrooms."""
    pen.poly(_ridge(rng, 112, 6, 2, 3), (126, 172, 132))
    for tone, base, size, n in (
        ((112, 160, 116), 140, 58, 16),
        ((80, 132, 88), 156, 80, 12),
        ((52, 104, 66), 172, 104, 9),
    ):
        for i in range(n):
            x = (i + rng.uniform(0.1, 0.9)) * WIDE / n
            h = size * rng.uniform(0.85, 1.25)
            if rng.random() < 0.5:
                _fir(pen, x, base, h, tone)
            else:
                pen.box(x - 2, base - h * 0.4, x + 2, base, mix((104, 78, 62), tone, 0.3))
                for dx, dy, r in ((-0.16, -0.5, 0.2), (0.16, -0.5, 0.2), (0, -0.72, 0.24)):
                    pen.oval(
                        x + dx * h,
                        base + dy * h,
                        r * h,
                        r * h,
                        mix(tone, (140, 180, 90), 0.12 + 0.1 * (dy < -0.6)),
                    )
        pen.poly(_ridge(rng, base - 2, 3, 3), mix(tone, (120, 176, 84), 0.45))
    pen.poly(_ridge(rng, 176, 4, 2), (112, 156, 76))
    for x in (rng.uniform(28, 66), rng.uniform(330, 372)):
        pen.taper([(x, -10), (x + 3, 120), (x + 2, 188)], 17, 24, (92, 70, 58))
        pen.taper([(x + 4, -10), (x + 8, 120), (x + 8, 184)], 4, 6, (72, 54, 48))
        pen.taper([(x + 2, 180), (x - 18, 196)], 10, 3, (92, 70, 58))
        pen.taper([(x + 2, 180), (x + 22, 195)], 10, 3, (72, 54, 48))
        for _ in range(7):
            pen.oval(
                x + rng.uniform(-42, 42),
                rng.uniform(-8, 16),
                25,
                15,
                rng.choice(((62, 116, 66), (80, 136, 76))),
            )
    _tufts(pen, rng, (80, 126, 60), 70, 186)
    for _ in range(5):
        x, y = rng.uniform(8, WIDE - 8), rng.uniform(196, 236)
        pen.box(x - 1.6, y - 6, x + 1.6, y, (250, 238, 220), 1)
        pen.blob([(x - 6, y - 5), (x, y - 12), (x + 6, y - 5), (x, y - 4)], (206, 84, 72))
        pen.oval(x - 1.5, y - 8, 1, 1, (255, 244, 230))


def snow(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """White hills, firs under snow, drifts."""
    pen.blob(_ridge(rng, 124, 12, 2), (204, 220, 240))
    for i in range(11):
        _fir(
            pen,
            (i + rng.uniform(0.1, 0.9)) * WIDE / 11,
            140,
            rng.uniform(26, 44),
            (112, 148, 146),
            (240, 246, 254),
        )
    pen.blob(_ridge(rng, 144, 9, 2), (224, 235, 248))
    for x in (*(rng.uniform(8, 110) for _ in range(3)), *(rng.uniform(290, 392) for _ in range(3))):
        _fir(pen, x, rng.uniform(158, 174), rng.uniform(66, 96), (72, 118, 112), (250, 252, 255))
    pen.blob(_ridge(rng, 172, 7, 2), (240, 246, 253))
    pen.blob(_ridge(rng, 208, 6, 1.5), (250, 252, 255))
    for _ in range(16):
        x, y = rng.uniform(0, WIDE), rng.uniform(184, 236)
        pen.line([(x - 14, y), (x, y - 2), (x + 14, y)], 1.6, (220, 230, 246))


def city(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """Two rows of buildings, a pavement, a street with lamps."""
    for row, (base, low, high, tones) in enumerate(
        (
            (150, 62, 112, ((150, 170, 196), (166, 180, 204), (142, 160, 186))),
            (172, 46, 86, ((186, 150, 140), (196, 178, 150), (146, 158, 170), (172, 160, 178))),
        )
    ):
        x = -8.0
        while x < WIDE:
            w, h = rng.uniform(26, 46), rng.uniform(low, high)
            c = rng.choice(tones)
            pen.box(x, base - h, x + w, base, c)
            pen.box(x, base - h, x + w, base - h + 4, darker(c))
            pen.box(x + w - 5, base - h, x + w, base, darker(c, 0.14))
            for wy in range(round(base - h + 9), base - 9, 13):
                for wx in range(round(x + 5), round(x + w - 9), 10):
                    pen.box(
                        wx,
                        wy,
                        wx + 5,
                        wy + 7,
                        mix(c, (70, 90, 130), 0.55) if row else mix(c, (90, 120, 160), 0.4),
                    )
                    if rng.random() < 0.55:
                        lights.box(wx, wy, wx + 5, wy + 7, (255, 222, 130))
            x += w + (0 if row == 0 else rng.uniform(0, 5))
    pen.box(0, 168, WIDE, 190, (198, 192, 188))
    for i in range(14):
        pen.line([(i * 31 - 8, 190), (i * 31, 168)], 1.2, (174, 168, 166))
    pen.box(0, 189, WIDE, 193, (158, 154, 156))
    pen.box(0, 193, WIDE, HIGH, (112, 114, 124))
    for i in range(9):
        x = i * 50 - rng.uniform(0, 5)
        pen.poly([(x, 213), (x + 26, 213), (x + 23, 218), (x - 4, 218)], (238, 232, 212))
    for x in (rng.uniform(40, 90), rng.uniform(190, 220), rng.uniform(310, 365)):
        pen.line([(x, 98), (x, 180)], 2.6, (66, 70, 84))
        pen.line([(x, 98), (x + 9, 95), (x + 14, 101)], 2.2, (66, 70, 84))
        pen.oval(x + 14, 104, 4.4, 4, (250, 240, 206))
        lights.oval(x + 14, 104, 5.4, 5, (255, 236, 160))


def room(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """A wall with a window, boards, a rug, a picture, a lamp."""
    wall = rng.choice(((236, 214, 186), (206, 222, 220), (232, 206, 204), (222, 220, 190)))
    pen.box(0, 0, WIDE, 168, wall)
    for i in range(0, 400, 20):
        pen.box(i, 0, i + 9, 160, lighter(wall, 0.25))
    pen.box(0, 158, WIDE, 170, (250, 242, 230))
    pen.box(0, 168, WIDE, HIGH, (186, 134, 92))
    for i, y in enumerate((168, 182, 200, 222)):
        pen.box(0, y, WIDE, y + 1.5, (150, 104, 70))
        for j in range(7):
            x = j * 66 + (i % 2) * 33 - 6
            pen.line([(x, y), (x - 3, y + 20)], 1.2, (156, 110, 74))
    tone = rng.choice(((176, 96, 100), (96, 130, 150), (130, 140, 100)))
    pen.oval(200, 212, 150, 25, darker(tone, 0.12))
    pen.oval(200, 211, 142, 22, lighter(tone, 0.25))
    pen.oval(200, 211, 122, 17, tone)
    x0, y0, x1, y1 = WINDOW
    pen.box(x0 - 7, y0 - 7, x1 + 7, y1 + 7, (250, 244, 232), 3)
    pen.box(x0 - 12, y1 + 6, x1 + 12, y1 + 13, (238, 228, 212), 2)
    pen.clear(x0, y0, x1, y1)
    middle = x0 + (x1 - x0) / 2
    pen.box(middle - 2.4, y0, middle + 2.4, y1, (250, 244, 232))
    pen.box(x0, (y0 + y1) / 2 - 2, x1, (y0 + y1) / 2 + 2, (250, 244, 232))
    cloth = mix(tone, (250, 240, 230), 0.4)
    for side, rod in ((1, x0 - 14), (-1, x1 + 14)):
        pen.blob(
            [
                (rod, 4),
                (rod + side * 34, 5),
                (rod + side * 26, 50),
                (rod + side * 10, 84),
                (rod + side * 14, 124),
                (rod - side * 6, 126),
            ],
            cloth,
        )
        pen.line(
            [
                (rod + side * 14, 8),
                (rod + side * 10, 50),
                (rod + side * 3, 84),
                (rod + side * 4, 122),
            ],
            2,
            darker(cloth, 0.14),
        )
    pen.line([(x0 - 24, 5), (x1 + 24, 5)], 3.4, (140, 100, 72))
    for nail in (rng.uniform(48, 70), rng.uniform(336, 352)):
        pen.box(nail - 21, 44, nail + 21, 76, (150, 108, 76), 2)
        pen.box(nail - 17, 48, nail + 17, 72, (226, 232, 226))
        pen.blob(
            [(nail - 17, 71), (nail - 8, 58), (nail + 2, 66), (nail + 10, 56), (nail + 17, 71)],
            (142, 168, 150),
        )
    lamp = rng.choice((rng.uniform(22, 40), rng.uniform(362, 380)))
    pen.line([(lamp, 100), (lamp, 176)], 2.6, (110, 84, 66))
    pen.oval(lamp, 177, 12, 3, (110, 84, 66))
    pen.poly(
        [(lamp - 11, 88), (lamp + 11, 88), (lamp + 18, 110), (lamp - 18, 110)], (246, 226, 180)
    )
    lights.poly(
        [(lamp - 11, 88), (lamp + 11, 88), (lamp + 18, 110), (lamp - 18, 110)], (255, 232, 160)
    )


def mountains(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """Snow-capped peaks, foothills, a meadow."""
    for tone, base, high, n in (((150, 166, 200), 142, 78, 5), ((112, 126, 164), 150, 102, 4)):
        xs = [(i + rng.uniform(0.2, 0.8)) * WIDE / n for i in range(n)]
        for x in xs:
            h, w = high * rng.uniform(0.75, 1.15), rng.uniform(62, 84)
            top = base - h
            pen.poly([(x, top), (x + w, base + 6), (x - w, base + 6)], tone)
            pen.poly(
                [
                    (x, top),
                    (x + w, base + 6),
                    (x + w * 0.1, base + 6),
                    (x - w * 0.06, top + h * 0.5),
                    (x + w * 0.08, top + h * 0.3),
                ],
                darker(tone, 0.2),
            )
            cap = 0.34
            pen.poly(
                [
                    (x, top),
                    (x + w * cap, top + h * cap),
                    (x + w * 0.2, top + h * 0.28),
                    (x + w * 0.07, top + h * 0.42),
                    (x - w * 0.06, top + h * 0.28),
                    (x - w * 0.2, top + h * 0.4),
                    (x - w * cap, top + h * cap),
                ],
                (246, 250, 255),
            )
            pen.poly(
                [
                    (x, top),
                    (x + w * cap, top + h * cap),
                    (x + w * 0.2, top + h * 0.28),
                    (x + w * 0.09, top + h * 0.38),
                    (x + w * 0.05, top + h * 0.2),
                ],
                (206, 218, 238),
            )
    pen.blob(_ridge(rng, 146, 8, 3), (96, 142, 112))
    for i in range(16):
        _fir(
            pen,
            (i + rng.uniform(0.1, 0.9)) * WIDE / 16,
            rng.uniform(152, 160),
            rng.uniform(16, 28),
            (70, 116, 92),
        )
    pen.blob(_ridge(rng, 160, 5, 2), (134, 184, 96))
    pen.blob(_ridge(rng, 190, 7, 1.5), (152, 200, 106))
    _tufts(pen, rng, (112, 162, 78), 60, 172)
    for _ in range(30):
        x, y = rng.uniform(0, WIDE), rng.uniform(178, 236)
        pen.oval(x, y, 1.5, 1.3, (250, 246, 236))
    for _ in range(4):
        x, y = rng.uniform(0, WIDE), rng.uniform(172, 232)
        pen.blob(
            [
                (x - 10, y),
                (x - 6, y - 8),
                (x + 3, y - 9),
                (x + 10, y - 2),
                (x + 6, y + 2),
                (x - 6, y + 2),
            ],
            (150, 154, 164),
        )
        pen.line([(x - 4, y - 6), (x + 2, y - 7)], 1.4, (190, 194, 202))


def lake(pen: Pen, lights: Pen, rng: random.Random) -> None:
    """Wooded hills around still water, reeds, water lilies, a grassy bank."""
    pen.blob(_ridge(rng, 92, 14, 2), (142, 176, 172))
    pen.blob(_ridge(rng, 108, 9, 3), (104, 154, 124))
    for i in range(30):
        x = (i + rng.uniform(0, 1)) * WIDE / 30
        pen.oval(
            x,
            116,
            rng.uniform(7, 12),
            rng.uniform(7, 13),
            rng.choice(((84, 138, 96), (74, 126, 92), (96, 148, 98))),
        )
    pen.box(0, 118, WIDE, HIGH, (92, 168, 204))
    for i in range(30):
        x = (i + rng.uniform(0, 1)) * WIDE / 30
        pen.oval(x, 120, rng.uniform(7, 12), rng.uniform(4, 9), (84, 148, 160))
    for _ in range(44):
        x, y = rng.uniform(0, WIDE), rng.uniform(124, 196)
        w = rng.uniform(8, 26)
        pen.line(
            [(x - w, y), (x + w, y)],
            1.2,
            rng.choice(((150, 206, 228), (74, 148, 188), (176, 220, 236))),
        )
    for _ in range(7):
        x, y = rng.uniform(0, WIDE), rng.uniform(166, 192)
        pen.oval(x, y, 8, 2.6, (92, 158, 96))
        pen.poly([(x, y), (x + 8, y - 2), (x + 8, y + 1)], (92, 168, 204))
        pen.oval(x - 2, y - 2.4, 2.6, 1.8, (250, 226, 234))
    pen.blob(_ridge(rng, 202, 4, 2), (84, 128, 72))
    pen.blob(_ridge(rng, 207, 4, 2), (136, 182, 92))
    for _ in range(22):
        x = rng.choice((rng.uniform(-4, 90), rng.uniform(310, 404)))
        y, h = rng.uniform(196, 214), rng.uniform(26, 48)
        pen.line([(x, y), (x + rng.uniform(-4, 4), y - h)], 1.5, (92, 136, 74))
        if rng.random() < 0.5:
            pen.oval(x, y - h + 2, 2.1, 6, (122, 84, 58))
    _tufts(pen, rng, (100, 148, 72), 40, 212)


PLACES: dict[str, Callable[[Pen, Pen, random.Random], None]] = {
    "beach": beach,
    "forest": forest,
    "snow": snow,
    "city": city,
    "room": room,
    "mountains": mountains,
    "lake": lake,
}
