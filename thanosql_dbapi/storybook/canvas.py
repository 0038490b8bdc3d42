"""A pen over Pillow that draws smooth shapes, and the little colour arithmetic the pictures need.

Owns no knowledge of what is drawn. Pillow is imported inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
Point = tuple[float, float]

PALETTE: dict[str, Colour] = {
    "black": (44, 42, 52),
    "white": (248, 246, 240),
    "red": (212, 44, 46),
    "orange": (245, 134, 28),
    "yellow": (252, 216, 52),
    "green": (66, 164, 72),
    "blue": (42, 110, 216),
    "purple": (134, 66, 184),
    "pink": (248, 142, 186),
    "brown": (128, 80, 46),
}
WOODEN = "wooden"
PALETTE[WOODEN] = (222, 184, 130)
"""The plain chair's own colour, which is none of the world's."""
INK: Colour = (38, 32, 40)
CREAM: Colour = (255, 248, 230)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Blend two colours.

    Args:
        a: the colour at share 0.
        b: the colour at share 1.
        share: 0 to 1.

    Returns:
        The blend.
    """
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def darker(colour: Colour, share: float = 0.25) -> Colour:
    """Shade a colour towards a warm dark.

    Args:
        colour: any colour.
        share: 0 to 1.

    Returns:
        The darker colour.
    """
    return mix(colour, (40, 24, 60), share)


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """Lift a colour towards cream; black is lifted to slate only, so that it stays black.

    Args:
        colour: any colour.
        share: 0 to 1.

    Returns:
        The lighter colour.
    """
    return mix(colour, (250, 246, 236), share * (0.55 if sum(colour) < 180 else 1.0))


@lru_cache(maxsize=2048)
def _spline(points: tuple[Point, ...], is_closed: bool, steps: int) -> tuple[Point, ...]:
    """Catmull-Rom curve through the points."""
    n = len(points)
    out: list[Point] = []
    spans = n if is_closed else n - 1
    for i in range(spans):
        if is_closed:
            p0, p1, p2, p3 = (points[(i + d) % n] for d in (-1, 0, 1, 2))
        else:
            p0, p1, p2, p3 = (points[min(max(i + d, 0), n - 1)] for d in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            t2, t3 = t * t, t * t * t
            out.append(
                tuple(  # type: ignore[arg-type]  # two numbers, which mypy cannot count
                    0.5
                    * (
                        2 * b
                        + (c - a) * t
                        + (2 * a - 5 * b + 4 * c - d) * t2
                        + (3 * b - a - 3 * c + d) * t3
                    )
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    if not is_closed:
        out.append(points[-1])
    return tuple(out)


class Pen:
    """Draws on a transparent sheet in units of its own; opaque shapes, later ones on top.

    Args:
        width: sheet width in units.
        height: sheet height in units.
        scale: pixels a unit.
    """

    def __init__(self, width: float, height: float, scale: float) -> None:
        """See the class."""
        from PIL import Image, ImageDraw

        self.image: Image.Image = Image.new(
            "RGBA", (round(width * scale), round(height * scale)), (0, 0, 0, 0)
        )
        self.scale = scale
        self.shift: Point = (0.0, 0.0)
        self._draw = ImageDraw.Draw(self.image)

    def poly(self, points: Sequence[Point], fill: Colour, alpha: int = 255) -> None:
        """Fill a polygon."""
        k = self.scale
        sx, sy = self.shift
        self._draw.polygon([((x + sx) * k, (y + sy) * k) for x, y in points], fill=(*fill, alpha))

    def blob(self, points: Sequence[Point], fill: Colour, alpha: int = 255) -> None:
        """Fill the smooth closed curve through the points."""
        self.poly(_spline(tuple(points), True, 7), fill, alpha)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, turn: float = 0.0
    ) -> None:
        """Fill an ellipse; `turn` is degrees clockwise."""
        k = self.scale
        if not turn:
            sx, sy = self.shift
            x, y = x + sx, y + sy
            self._draw.ellipse(
                ((x - rx) * k, (y - ry) * k, (x + rx) * k, (y + ry) * k), (*fill, 255)
            )
            return
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        ring = [(math.cos(a * math.pi / 14), math.sin(a * math.pi / 14)) for a in range(28)]
        self.poly(
            [(x + rx * p * c - ry * q * s, y + rx * p * s + ry * q * c) for p, q in ring], fill
        )

    def line(
        self, points: Sequence[Point], width: float, fill: Colour, *, is_smooth: bool = True
    ) -> None:
        """Stroke a curve (or a polyline) with round ends."""
        k = self.scale
        path = _spline(tuple(points), False, 6) if is_smooth and len(points) > 2 else tuple(points)
        w = max(1, round(width * k))
        sx, sy = self.shift
        self._draw.line(
            [((x + sx) * k, (y + sy) * k) for x, y in path],
            fill=(*fill, 255),
            width=w,
            joint="curve",
        )
        if w > 3:
            for x, y in (path[0], path[-1]):
                self.oval(x, y, width / 2, width / 2, fill)

    def taper(self, points: Sequence[Point], start: float, end: float, fill: Colour) -> None:
        """Stroke a curve whose width runs from `start` to `end`: tails, branches, limbs."""
        path = _spline(tuple(points), False, 6) if len(points) > 2 else tuple(points)
        n = len(path) - 1
        left: list[Point] = []
        right: list[Point] = []
        for i, (x, y) in enumerate(path):
            (x0, y0), (x1, y1) = path[max(i - 1, 0)], path[min(i + 1, n)]
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            half = (start + (end - start) * i / n) / 2
            dx, dy = (y0 - y1) / length * half, (x1 - x0) / length * half
            left.append((x + dx, y + dy))
            right.append((x - dx, y - dy))
        self.poly(left + right[::-1], fill)
        self.oval(*path[0], start / 2, start / 2, fill)
        self.oval(*path[-1], end / 2, end / 2, fill)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, fill: Colour, round_by: float = 0.0
    ) -> None:
        """Fill a rectangle with round corners."""
        k = self.scale
        sx, sy = self.shift
        x0, y0, x1, y1 = x0 + sx, y0 + sy, x1 + sx, y1 + sy
        self._draw.rounded_rectangle(
            (x0 * k, y0 * k, x1 * k, y1 * k), radius=round_by * k, fill=(*fill, 255)
        )

    def clear(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Cut a rectangular hole."""
        k = self.scale
        self._draw.rectangle((x0 * k, y0 * k, x1 * k, y1 * k), fill=(0, 0, 0, 0))

    def eye(self, x: float, y: float, r: float, iris: Colour | None = None) -> None:
        """Draw a friendly eye: dark, with a glint; with an iris for cats."""
        if iris is not None:
            self.oval(x, y, r * 1.25, r * 1.25, iris)
            self.oval(x, y, r * 0.6, r * 1.05, INK)
        else:
            self.oval(x, y, r * 1.35, r * 1.4, (252, 250, 245))
            self.oval(x + r * 0.15, y, r, r * 1.1, INK)
        self.oval(x + r * 0.4, y - r * 0.45, r * 0.36, r * 0.36, (255, 255, 255))
