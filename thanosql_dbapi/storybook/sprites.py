"""Which poses each thing has and how large it is; draws them once and keeps them.

A sprite is a cut-out somewhat larger than it is ever pasted, its outline and shading included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import creatures, objects, people
from .canvas import PALETTE, Colour, Pen, darker

if TYPE_CHECKING:
    from PIL import Image

Draw = Callable[[Pen, Colour], None]

POSES: dict[str, tuple[Draw, ...]] = {
    "cat": (creatures.cat_sitting, creatures.cat_walking, creatures.cat_lying),
    "dog": (creatures.dog_sitting, creatures.dog_standing, creatures.dog_running),
    "bird": (creatures.bird_standing, creatures.bird_flying),
    "fish": (creatures.fish_leaping, creatures.fish_level),
    "horse": (creatures.horse_standing, creatures.horse_trotting),
    "person": (people.person_waving, people.person_standing, people.person_in_dress),
    "tree": (objects.tree_round, objects.tree_tall, objects.tree_pine),
    "house": (objects.house_cottage, objects.house_tall),
    "car": (objects.car_small, objects.car_van),
    "boat": (objects.boat_sailing, objects.boat_steaming),
    "flower": (objects.flower_daisy, objects.flower_tulip, objects.flower_poppy),
    "chair": (objects.chair_plain, objects.chair_armchair),
}
SITTING: dict[str, tuple[Draw, ...]] = {
    "cat": (creatures.cat_sitting, creatures.cat_lying),
    "dog": (creatures.dog_sitting,),
    "bird": (creatures.bird_standing,),
    "person": (people.person_sitting,),
}
HEIGHTS: dict[str, int] = {
    "cat": 98,
    "dog": 102,
    "bird": 86,
    "fish": 92,
    "horse": 120,
    "person": 124,
    "tree": 138,
    "house": 128,
    "car": 116,
    "boat": 116,
    "flower": 112,
    "chair": 108,
}
"""Side of the sprite's square in picture pixels when there is one of them."""
_SHEET_PX = 232
_SMALL_PX = 144
_RIM: Colour = (112, 108, 130)


class Sprites:
    """Draws each pose in each colour once."""

    def __init__(self) -> None:
        """Start with nothing drawn."""
        self._drawn: dict[tuple[str, str, bool], tuple[Image.Image, Image.Image]] = {}

    def get(self, draw: Draw, colour: str, px: int) -> tuple[Image.Image, Image.Image]:
        """Give a pose in a colour, outlined and shaded.

        Args:
            draw: one of the pose functions above.
            colour: a name of the palette.
            px: the size it is wanted in; a small one is cut from a smaller, cheaper sheet.

        Returns:
            Its colours (RGB, square, larger than px) and its mask (L, same size); both shared,
            so not to be changed.
        """
        key = (draw.__name__, colour, px < _SMALL_PX * 0.72)
        if key not in self._drawn:
            pen = Pen(104, 104, _SHEET_PX / 104)
            pen.shift = (2.0, 3.0)
            draw(pen, PALETTE[colour])
            colours, mask = _finish(pen.image, _ink(colour))
            small = (_SMALL_PX, _SMALL_PX)
            self._drawn[key[0], key[1], False] = colours, mask
            self._drawn[key[0], key[1], True] = colours.resize(small), mask.resize(small)
        return self._drawn[key]


def _ink(colour: str) -> Colour:
    """Outline of a thing: its own dark; a pale rim for black, which would drown in the night."""
    return _RIM if colour == "black" else darker(PALETTE[colour], 0.62)


def _finish(cut: Image.Image, ink: Colour) -> tuple[Image.Image, Image.Image]:
    """Shade the cut-out towards its foot and outline it."""
    from PIL import Image, ImageChops

    alpha = cut.getchannel("A")
    edge = alpha
    for dx, dy in ((2, 0), (-2, 0), (0, 2), (0, -2), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        edge = ImageChops.lighter(edge, ImageChops.offset(alpha, dx, dy))
    colours = cut.convert("RGB")
    shade = colours.point([v * 205 // 255 for v in range(256)] * 3)
    ramp = Image.linear_gradient("L").resize(cut.size).point([max(0, v - 110) for v in range(256)])
    colours.paste(shade, (0, 0), ramp)
    flat = Image.new("RGB", cut.size, ink)
    flat.paste(colours, (0, 0), alpha)
    return flat, edge
