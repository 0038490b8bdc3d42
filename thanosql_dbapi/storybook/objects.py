"""The plants and made things of the storybook, each drawn by a function on a 100 by 100 sheet.

They stand on y = 97, as the creatures do.
"""

from __future__ import annotations

from .canvas import CREAM, INK, Colour, Pen, darker, lighter, mix

BARK: Colour = (122, 86, 58)
GLASS: Colour = (186, 222, 240)
LEAF: Colour = (86, 150, 74)


def tree_round(pen: Pen, c: Colour) -> None:
    """A tree with a round crown."""
    _trunk(pen, c)
    _crown(
        pen, c, ((28, 46, 22), (72, 46, 22), (50, 28, 25), (38, 58, 18), (64, 58, 18), (50, 48, 24))
    )


def tree_tall(pen: Pen, c: Colour) -> None:
    """A slender tree."""
    _trunk(pen, c)
    _crown(
        pen, c, ((50, 18, 15), (40, 34, 17), (60, 36, 17), (38, 54, 17), (62, 54, 17), (50, 46, 20))
    )


def tree_pine(pen: Pen, c: Colour) -> None:
    """A fir of three tiers."""
    _trunk(pen, c)
    for i, (top, low, half) in enumerate(((42, 82, 36), (22, 60, 29), (2, 38, 21))):
        tier = mix(darker(c, 0.14), lighter(c, 0.16), i / 2)
        pen.blob(
            [
                (50, top),
                (50 + half * 0.5, (top + low) / 2),
                (50 + half, low - 1),
                (50, low + 3),
                (50 - half, low - 1),
                (50 - half * 0.5, (top + low) / 2),
            ],
            tier,
        )
        for dx in (-0.5, 0.0, 0.5):
            pen.oval(50 + dx * half, low - 4, 3, 2.2, darker(c, 0.3))


def _trunk(pen: Pen, c: Colour) -> None:
    bark = BARK if sum(c) < 330 or c[2] > 60 or c[0] > 200 else (96, 84, 84)
    pen.poly([(44, 50), (56, 50), (58, 86), (66, 97), (34, 97), (42, 86)], bark)
    pen.line([(52, 62), (53, 90)], 2, darker(bark))


def _crown(pen: Pen, c: Colour, puffs: tuple[tuple[float, float, float], ...]) -> None:
    for x, y, r in puffs:
        pen.oval(x, y + 2, r, r * 0.94, darker(c, 0.22))
    for x, y, r in puffs:
        pen.oval(x - 1, y - 2, r * 0.9, r * 0.84, c)
    for x, y, r in puffs[:4]:
        pen.oval(x - r * 0.3, y - r * 0.36, r * 0.42, r * 0.3, lighter(c, 0.24))
        pen.line(
            [(x + r * 0.2, y + r * 0.4), (x + r * 0.4, y + r * 0.5), (x + r * 0.55, y + r * 0.35)],
            1.6,
            darker(c, 0.3),
        )


def house_cottage(pen: Pen, c: Colour) -> None:
    """A cottage with a chimney."""
    roof = _roof(c)
    pen.box(66, 14, 76, 36, darker(c, 0.3))
    pen.box(64, 11, 78, 17, darker(c, 0.45), 1)
    pen.box(16, 44, 84, 97, c, 1)
    pen.box(16, 44, 84, 52, darker(c, 0.22))
    pen.blob([(50, 12), (72, 31), (95, 50), (88, 54), (50, 50), (12, 54), (5, 50), (28, 31)], roof)
    for y in (28, 37, 45):
        pen.line(
            [(50 - (y - 12) * 0.95, y + 2), (50, y), (50 + (y - 12) * 0.95, y + 2)],
            1.6,
            darker(roof),
        )
    _door(pen, 43, 66, 57, 97)
    _window(pen, 22, 62, 37, 78)
    _window(pen, 63, 62, 78, 78)
    pen.oval(50, 42, 5.5, 5.5, CREAM)
    pen.oval(50, 42, 4, 4, GLASS)
    for x in (20, 28, 36, 66, 74, 81):
        pen.oval(x, 95, 5, 4, LEAF)


def house_tall(pen: Pen, c: Colour) -> None:
    """A narrow house of two floors."""
    roof = _roof(c)
    pen.box(26, 34, 78, 97, c, 1)
    pen.box(26, 34, 78, 41, darker(c, 0.22))
    pen.poly([(52, 4), (88, 39), (16, 39)], roof)
    pen.line([(36, 26), (68, 26)], 1.6, darker(roof))
    pen.line([(28, 33), (76, 33)], 1.6, darker(roof))
    _window(pen, 33, 46, 47, 61)
    _window(pen, 58, 46, 72, 61)
    pen.line([(26, 66), (78, 66)], 2.4, lighter(c, 0.4))
    _window(pen, 58, 72, 72, 87)
    _door(pen, 33, 71, 47, 97)
    for x in (54, 62, 70, 77):
        pen.oval(x, 95, 5, 4, LEAF)


def _roof(c: Colour) -> Colour:
    return (116, 92, 92) if sum(c) > 240 else (150, 136, 136)


def _window(pen: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    pen.box(x0 - 1.6, y0 - 1.6, x1 + 1.6, y1 + 1.6, CREAM, 1.5)
    pen.box(x0, y0, x1, y1, GLASS)
    pen.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], 1.6, CREAM)
    pen.line([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], 1.6, CREAM)


def _door(pen: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    pen.box(x0 - 1.6, y0 - 1.6, x1 + 1.6, y1, CREAM, 4)
    pen.box(x0, y0, x1, y1, (112, 82, 66), 4)
    pen.oval(x1 - 3, (y0 + y1) / 2 + 2, 1.3, 1.3, (250, 210, 90))


def car_small(pen: Pen, c: Colour) -> None:
    """A round little car."""
    d = darker(c, 0.22)
    pen.blob([(20, 66), (28, 44), (40, 36), (60, 36), (72, 46), (80, 66)], c)
    pen.blob([(29, 62), (33, 48), (41, 42), (49, 42), (49, 62)], GLASS)
    pen.blob([(53, 62), (53, 42), (60, 42), (67, 49), (73, 62)], GLASS)
    pen.blob(
        [(4, 74), (8, 64), (24, 60), (70, 60), (88, 64), (97, 74), (96, 86), (50, 89), (5, 86)], c
    )
    pen.blob([(5, 80), (50, 79), (96, 80), (94, 88), (50, 90), (7, 88)], d)
    _car_parts(pen, 25, 75)


def car_van(pen: Pen, c: Colour) -> None:
    """A family van."""
    d = darker(c, 0.22)
    pen.box(5, 36, 78, 88, c, 9)
    pen.blob([(66, 38), (78, 42), (88, 62), (97, 68), (97, 86), (60, 89)], c)
    pen.box(11, 43, 29, 60, GLASS, 3)
    pen.box(33, 43, 51, 60, GLASS, 3)
    pen.blob([(56, 60), (56, 44), (72, 43), (80, 52), (84, 61)], GLASS)
    pen.box(5, 65, 97, 69, lighter(c, 0.55))
    pen.box(6, 80, 97, 89, d, 3)
    _car_parts(pen, 25, 76)


def _car_parts(pen: Pen, back: float, front: float) -> None:
    for x in (back, front):
        pen.oval(x, 86, 11.5, 11.5, INK)
        pen.oval(x, 86, 6, 6, (206, 206, 212))
        pen.oval(x, 86, 2.4, 2.4, (120, 120, 130))
    pen.oval(94, 73, 3.4, 4, (255, 240, 170))
    pen.oval(6, 73, 2.2, 3.4, (236, 90, 80))
    pen.line([(52, 66), (58, 66)], 2, INK)


def boat_sailing(pen: Pen, c: Colour) -> None:
    """A sailing boat; hull and pennant have the colour."""
    _hull(pen, c)
    pen.line([(48, 6), (48, 72)], 2.8, BARK)
    pen.blob([(51, 12), (70, 36), (82, 66), (66, 66), (51, 64)], CREAM)
    pen.blob([(45, 22), (32, 48), (22, 66), (34, 65), (45, 64)], lighter(c, 0.22))
    pen.poly([(48, 3), (30, 8), (48, 13)], c)
    pen.line([(52, 48), (75, 50)], 3.4, c)


def boat_steaming(pen: Pen, c: Colour) -> None:
    """A little steamer; hull and funnel have the colour."""
    pen.box(28, 50, 70, 76, CREAM, 3)
    pen.box(36, 38, 58, 52, CREAM, 3)
    pen.box(42, 16, 54, 39, c, 2)
    pen.box(42, 21, 54, 26, lighter(c, 0.6))
    for x in (36, 49, 62):
        pen.oval(x, 61, 4, 4, GLASS)
    pen.box(40, 42, 54, 49, GLASS, 1)
    _hull(pen, c)


def _hull(pen: Pen, c: Colour) -> None:
    pen.blob([(4, 70), (30, 73), (70, 73), (98, 68), (90, 86), (78, 95), (24, 95), (12, 86)], c)
    pen.blob([(10, 84), (50, 86), (92, 83), (80, 95), (22, 95)], darker(c, 0.28))
    pen.line([(8, 75), (50, 78), (94, 74)], 2.2, lighter(c, 0.6))


def flower_daisy(pen: Pen, c: Colour) -> None:
    """A flower with broad petals."""
    _stem(pen)
    for turn in range(0, 360, 45):
        _petal(pen, c, turn)
    heart = (252, 206, 60) if not (c[0] > 230 and 120 < c[1] < 230 and c[2] < 70) else (120, 74, 44)
    pen.oval(50, 30, 9.5, 9.5, heart)
    pen.oval(48, 28, 5, 4.4, lighter(heart, 0.3))
    pen.oval(46.5, 30, 1.2, 1.6, INK)
    pen.oval(53.5, 30, 1.2, 1.6, INK)
    pen.line([(47, 33), (50, 35), (53, 33)], 1.2, INK)


def _petal(pen: Pen, c: Colour, turn: float) -> None:
    import math

    a = math.radians(turn)
    x, y = 50 + 17 * math.cos(a), 30 + 17 * math.sin(a)
    pen.oval(x, y, 13, 8.6, darker(c, 0.2), turn)
    pen.oval(x + math.cos(a), y + math.sin(a), 11, 6.8, c, turn)
    pen.oval(x - 2 * math.cos(a), y - 2 * math.sin(a), 6, 1.6, lighter(c, 0.3), turn)


def flower_tulip(pen: Pen, c: Colour) -> None:
    """A tulip."""
    _stem(pen)
    d, li = darker(c, 0.2), lighter(c, 0.25)
    pen.blob([(50, 52), (34, 44), (30, 26), (34, 8), (44, 20), (50, 36)], d)
    pen.blob([(50, 52), (66, 44), (70, 26), (66, 8), (56, 20), (50, 36)], d)
    pen.blob([(50, 54), (37, 44), (38, 24), (50, 5), (62, 24), (63, 44)], c)
    pen.blob([(46, 44), (43, 28), (49, 14), (50, 28)], li)


def flower_poppy(pen: Pen, c: Colour) -> None:
    """A flower with a wide round bloom."""
    _stem(pen)
    d, li = darker(c, 0.2), lighter(c, 0.25)
    for x, y in ((34, 24), (66, 24), (36, 40), (64, 40), (50, 16)):
        pen.oval(x, y, 16, 14, d)
    for x, y in ((36, 25), (64, 25), (38, 39), (62, 39), (50, 19), (50, 32)):
        pen.oval(x, y, 14, 12, c)
    pen.line([(38, 24), (44, 28)], 2, li)
    pen.line([(62, 24), (56, 28)], 2, li)
    heart = INK if sum(c) > 240 else (252, 206, 60)
    pen.oval(50, 31, 6.5, 6, heart)


def _stem(pen: Pen) -> None:
    pen.line([(50, 40), (52, 66), (49, 97)], 4.4, (74, 136, 66))
    pen.blob([(50, 86), (34, 80), (20, 62), (36, 66), (48, 76)], LEAF)
    pen.blob([(51, 92), (66, 84), (80, 66), (64, 72), (53, 82)], (106, 170, 86))


def chair_plain(pen: Pen, c: Colour) -> None:
    """A chair with a slatted back."""
    d, li = darker(c, 0.3), lighter(c, 0.2)
    for x in (36, 72):
        pen.box(x - 3, 60, x + 3, 92, d, 2)
    for x in (28, 66):
        pen.box(x - 3.4, 4, x + 3.4, 62, c, 3)
    for y in (10, 24, 38):
        pen.box(27, y, 67, y + 8, li, 3)
    pen.poly([(24, 58), (68, 58), (80, 70), (22, 70)], li)
    pen.box(20, 69, 81, 76, c, 3)
    for x in (25, 76):
        pen.box(x - 3.6, 74, x + 3.6, 97, c, 2)
    pen.line([(28, 86), (74, 86)], 3, d)


def chair_armchair(pen: Pen, c: Colour) -> None:
    """A soft armchair."""
    d, li = darker(c, 0.24), lighter(c, 0.22)
    for x in (24, 76):
        pen.box(x - 3, 88, x + 3, 97, BARK, 1)
    pen.blob([(22, 60), (24, 22), (36, 8), (64, 8), (76, 22), (78, 60)], c)
    for x, y in ((40, 26), (60, 26), (50, 40)):
        pen.oval(x, y, 2, 2, d)
    pen.box(18, 56, 82, 90, d, 5)
    pen.box(26, 54, 74, 70, li, 6)
    pen.box(10, 44, 28, 90, c, 8)
    pen.box(72, 44, 90, 90, c, 8)
    pen.oval(19, 51, 6, 5, li)
    pen.oval(81, 51, 6, 5, li)


def seat(pen: Pen, c: Colour) -> None:
    """The plain wooden chair that creatures sit on; its seat is at y = 62."""
    chair_plain(pen, c)
