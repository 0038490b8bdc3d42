"""The animals of the storybook, each pose a function that draws one on a 100 by 100 sheet.

They face right and stand on y = 97; the painter mirrors, scales, tilts, shades and outlines them.
"""

from __future__ import annotations

from .canvas import INK, Colour, Pen, darker, lighter, mix

PINK: Colour = (244, 150, 150)


def cat_sitting(pen: Pen, c: Colour) -> None:
    """A cat that sits and looks at the reader."""
    d, li = darker(c), lighter(c, 0.45)
    pen.taper([(66, 90), (86, 90), (93, 74), (86, 58), (90, 48)], 9, 6, d)
    pen.blob([(30, 95), (28, 78), (36, 58), (50, 48), (64, 58), (72, 78), (70, 95), (50, 98)], c)
    pen.oval(34, 88, 10, 9, d)
    pen.oval(66, 88, 10, 9, d)
    pen.blob([(50, 54), (58, 64), (56, 78), (50, 83), (44, 78), (42, 64)], li)
    pen.box(40, 72, 49, 97, c, 4)
    pen.box(51, 72, 60, 97, c, 4)
    pen.oval(44, 95, 6, 3.4, li)
    pen.oval(56, 95, 6, 3.4, li)
    _cat_head(pen, c, 50, 33)


def cat_walking(pen: Pen, c: Colour) -> None:
    """A cat that walks, its tail up."""
    d, li = darker(c), lighter(c, 0.45)
    pen.taper([(20, 62), (8, 52), (6, 34), (15, 22), (12, 14)], 9, 6, c)
    for x, foot in ((28, 24), (58, 62)):
        pen.taper([(x, 70), (foot, 94)], 10, 7, d)
    pen.blob([(14, 66), (20, 54), (40, 51), (62, 52), (72, 60), (66, 76), (44, 79), (20, 78)], c)
    pen.blob([(26, 77), (44, 73), (62, 75), (60, 79), (44, 82), (28, 81)], li)
    for x, foot in ((20, 16), (64, 70)):
        pen.taper([(x, 70), (foot, 94)], 11, 8, c)
        pen.oval(foot + 2, 95, 6, 3, li)
    _cat_head(pen, c, 74, 42, 0.85)


def cat_lying(pen: Pen, c: Colour) -> None:
    """A cat at rest, paws tucked in."""
    d, li = darker(c), lighter(c, 0.45)
    pen.blob([(8, 90), (10, 70), (28, 56), (52, 58), (74, 70), (80, 92), (44, 98)], c)
    pen.oval(22, 84, 15, 13, d)
    pen.taper([(12, 92), (34, 97), (56, 94)], 9, 7, d)
    pen.oval(70, 93, 13, 5, li)
    _cat_head(pen, c, 72, 60, 0.9)


def _cat_head(pen: Pen, c: Colour, x: float, y: float, k: float = 1.0) -> None:
    d, li = darker(c), lighter(c, 0.5)
    for side in (-1, 1):
        pen.poly(
            [
                (x + side * 20 * k, y - 3 * k),
                (x + side * 19 * k, y - 29 * k),
                (x + side * 3 * k, y - 13 * k),
            ],
            c,
        )
        pen.poly(
            [
                (x + side * 16 * k, y - 9 * k),
                (x + side * 16 * k, y - 22 * k),
                (x + side * 7 * k, y - 13 * k),
            ],
            PINK,
        )
    pen.oval(x, y, 21 * k, 17 * k, c)
    for dx in (-5, 0, 5):
        pen.line([(x + dx * k, y - 16 * k), (x + dx * 0.8 * k, y - 10 * k)], 2 * k, d)
    pen.oval(x - 5 * k, y + 8 * k, 7 * k, 5.5 * k, li)
    pen.oval(x + 5 * k, y + 8 * k, 7 * k, 5.5 * k, li)
    pen.eye(x - 9 * k, y - 1 * k, 4.4 * k, (206, 226, 92))
    pen.eye(x + 9 * k, y - 1 * k, 4.4 * k, (206, 226, 92))
    pen.poly([(x - 3 * k, y + 4 * k), (x + 3 * k, y + 4 * k), (x, y + 7.5 * k)], (232, 110, 120))
    pen.line(
        [
            (x - 6 * k, y + 9 * k),
            (x - 3 * k, y + 11 * k),
            (x, y + 8 * k),
            (x + 3 * k, y + 11 * k),
            (x + 6 * k, y + 9 * k),
        ],
        1.3 * k,
        INK,
    )
    whisker = mix(c, (255, 255, 255), 0.6) if sum(c) < 420 else (96, 88, 92)
    for side in (-1, 1):
        for dy in (-2, 2):
            pen.line(
                [
                    (x + side * 11 * k, y + (8 + dy / 2) * k),
                    (x + side * 25 * k, y + (7 + dy * 1.6) * k),
                ],
                1.0 * k,
                whisker,
            )


def dog_sitting(pen: Pen, c: Colour) -> None:
    """A dog that sits and waits."""
    d, li = darker(c), lighter(c, 0.45)
    pen.taper([(30, 88), (14, 80), (8, 64)], 9, 5, c)
    pen.blob([(24, 95), (22, 78), (34, 58), (50, 46), (66, 52), (68, 74), (66, 95), (44, 98)], c)
    pen.oval(34, 85, 14, 12, d)
    pen.oval(36, 94, 12, 4, c)
    pen.blob([(58, 54), (67, 62), (66, 80), (58, 86), (53, 70)], li)
    pen.box(54, 66, 63, 97, c, 4)
    pen.oval(60, 95, 7, 3.2, li)
    pen.line(
        [(44, 52), (56, 57), (68, 53)],
        5,
        (214, 60, 70) if c[0] < 190 or c[1] > 120 else (60, 110, 200),
    )
    pen.oval(58, 60, 3.4, 3.4, (250, 214, 90))
    _dog_head(pen, c, 56, 33)


def dog_standing(pen: Pen, c: Colour) -> None:
    """A dog that stands and wags its tail."""
    d, li = darker(c), lighter(c, 0.45)
    pen.taper([(16, 58), (6, 48), (7, 32)], 8, 4, c)
    for x in (26, 60):
        pen.box(x - 4, 66, x + 4, 95, d, 3)
    pen.blob([(12, 62), (20, 51), (44, 52), (66, 48), (73, 60), (66, 78), (46, 74), (22, 79)], c)
    pen.blob([(66, 58), (72, 64), (67, 76), (60, 72)], li)
    for x in (18, 66):
        pen.box(x - 4.5, 66, x + 4.5, 97, c, 4)
        pen.oval(x + 2, 95, 6.5, 3, li)
    pen.line(
        [(58, 50), (67, 57), (77, 55)],
        5,
        (214, 60, 70) if c[0] < 190 or c[1] > 120 else (60, 110, 200),
    )
    _dog_head(pen, c, 72, 36, 0.9)


def dog_running(pen: Pen, c: Colour) -> None:
    """A dog that runs with its ears in the wind."""
    d, li = darker(c), lighter(c, 0.45)
    pen.taper([(14, 62), (4, 54), (2, 44)], 8, 4, c)
    pen.taper([(24, 72), (16, 84), (22, 95)], 10, 6, d)
    pen.taper([(60, 72), (74, 82), (84, 86)], 10, 6, d)
    pen.blob([(10, 66), (18, 56), (42, 57), (62, 50), (72, 60), (64, 76), (42, 76), (18, 80)], c)
    pen.taper([(20, 72), (8, 82), (4, 94)], 11, 6, c)
    pen.taper([(64, 70), (78, 76), (92, 76)], 11, 6, c)
    pen.oval(4, 95, 5, 3, li)
    pen.oval(93, 76, 3, 5, li)
    _dog_head(pen, c, 72, 38, 0.88)


def _dog_head(pen: Pen, c: Colour, x: float, y: float, k: float = 1.0) -> None:
    d, li = darker(c, 0.4), lighter(c, 0.5)
    pen.blob(
        [
            (x - 14 * k, y - 14 * k),
            (x + 4 * k, y - 18 * k),
            (x + 15 * k, y - 8 * k),
            (x + 17 * k, y + 6 * k),
            (x + 4 * k, y + 16 * k),
            (x - 13 * k, y + 12 * k),
            (x - 19 * k, y - 1 * k),
        ],
        c,
    )
    pen.blob(
        [
            (x + 4 * k, y + 1 * k),
            (x + 18 * k, y - 2 * k),
            (x + 28 * k, y + 3 * k),
            (x + 27 * k, y + 12 * k),
            (x + 12 * k, y + 17 * k),
            (x + 2 * k, y + 13 * k),
        ],
        li,
    )
    pen.blob(
        [
            (x + 11 * k, y + 14 * k),
            (x + 19 * k, y + 14 * k),
            (x + 19 * k, y + 23 * k),
            (x + 14 * k, y + 25 * k),
            (x + 11 * k, y + 20 * k),
        ],
        (238, 112, 124),
    )
    pen.line(
        [(x + 27 * k, y + 10 * k), (x + 17 * k, y + 15 * k), (x + 8 * k, y + 12 * k)], 1.6 * k, INK
    )
    pen.oval(x + 26 * k, y + 2.5 * k, 4.6 * k, 3.8 * k, INK)
    pen.oval(x + 27 * k, y + 1.3 * k, 1.4 * k, 0.9 * k, (240, 240, 240))
    pen.eye(x + 5 * k, y - 5 * k, 3.6 * k)
    pen.blob(
        [
            (x - 11 * k, y - 17 * k),
            (x - 2 * k, y - 12 * k),
            (x - 3 * k, y + 6 * k),
            (x - 10 * k, y + 20 * k),
            (x - 19 * k, y + 14 * k),
            (x - 20 * k, y - 4 * k),
        ],
        d,
    )


def bird_standing(pen: Pen, c: Colour) -> None:
    """A round bird on two legs."""
    d, li = darker(c), lighter(c, 0.5)
    for x in (46, 58):
        pen.line([(x, 80), (x, 95)], 2.6, (226, 140, 50))
        pen.line([(x - 6, 96), (x + 7, 96)], 2.6, (226, 140, 50))
    pen.poly([(24, 60), (2, 58), (4, 68), (0, 76), (24, 74)], d)
    pen.blob(
        [
            (16, 64),
            (30, 44),
            (46, 38),
            (56, 16),
            (74, 14),
            (84, 28),
            (80, 52),
            (70, 76),
            (48, 86),
            (26, 78),
        ],
        c,
    )
    pen.blob([(78, 46), (74, 66), (58, 82), (48, 74), (60, 58)], li)
    pen.blob([(22, 58), (40, 48), (58, 56), (52, 70), (32, 74), (14, 68)], d)
    pen.line([(26, 66), (42, 68)], 2, c)
    pen.poly(
        [(82, 26), (99, 33), (82, 38)],
        (250, 176, 48) if c[2] > 100 or c[1] < 120 else (232, 96, 40),
    )
    pen.eye(71, 28, 4.6)
    pen.taper([(66, 14), (60, 6), (52, 7)], 4, 2, c)


def bird_flying(pen: Pen, c: Colour) -> None:
    """A bird on the wing."""
    d, li = darker(c), lighter(c, 0.5)
    pen.blob([(46, 52), (36, 28), (20, 10), (44, 14), (62, 32), (66, 50)], d)
    pen.poly([(24, 58), (2, 48), (6, 60), (0, 70), (26, 68)], d)
    pen.blob([(18, 62), (36, 50), (60, 46), (78, 42), (88, 52), (82, 64), (62, 74), (38, 74)], c)
    pen.blob([(84, 60), (66, 73), (44, 74), (56, 64)], li)
    pen.blob([(42, 60), (30, 36), (8, 24), (36, 22), (58, 40), (62, 58)], c)
    pen.line([(20, 29), (40, 44)], 2, d)
    pen.line([(30, 26), (49, 46)], 2, d)
    pen.poly(
        [(86, 50), (100, 56), (85, 60)],
        (250, 176, 48) if c[2] > 100 or c[1] < 120 else (232, 96, 40),
    )
    pen.eye(77, 51, 4.0)


def fish_leaping(pen: Pen, c: Colour) -> None:
    """A fish in the air, nose up."""
    _fish(pen, c, [(12, 70), (22, 46), (46, 28), (72, 26), (92, 40), (80, 60), (54, 72), (30, 76)])


def fish_level(pen: Pen, c: Colour) -> None:
    """A fish that swims along."""
    _fish(pen, c, [(14, 52), (30, 34), (54, 28), (80, 34), (95, 50), (82, 66), (54, 74), (30, 68)])


def _fish(pen: Pen, c: Colour, body: list[tuple[float, float]]) -> None:
    d, li = darker(c), lighter(c, 0.5)
    tx, ty = body[0]
    pen.blob(
        [
            (tx + 12, ty - 4),
            (tx - 11, ty - 20),
            (tx - 6, ty),
            (tx - 10, ty + 20),
            (tx + 12, ty + 5),
        ],
        d,
    )
    bx, by = body[2]
    pen.blob([(bx - 10, by + 6), (bx - 6, by - 14), (bx + 14, by - 14), (bx + 24, by + 4)], d)
    lx, ly = body[6]
    pen.blob([(lx - 6, ly - 4), (lx - 10, ly + 14), (lx + 6, ly + 12), (lx + 14, ly - 4)], d)
    pen.blob(body, c)
    pen.blob(
        [
            body[5],
            (body[5][0] + 4, body[5][1] - 6),
            (bx + 14, by + 34),
            (tx + 22, ty + 2),
            body[7],
            body[6],
        ],
        li,
    )
    ex, ey = body[4]
    for i in range(3):
        for j in range(2):
            x, y = bx - 8 + i * 9, by + 14 + j * 10 + (i % 2) * 3
            pen.line([(x, y - 4), (x + 4, y), (x, y + 4)], 2, d)
    pen.blob([(ex - 38, ey + 8), (ex - 24, ey + 6), (ex - 30, ey + 16), (ex - 44, ey + 20)], d)
    pen.eye(ex - 15, ey - 5, 5.2)
    pen.line([(ex - 2, ey + 3), (ex - 8, ey + 7), (ex - 13, ey + 6)], 1.8, INK)
    pen.oval(ex - 19, ey + 6, 3.4, 2.4, mix(c, PINK, 0.6))


def horse_standing(pen: Pen, c: Colour) -> None:
    """A horse at rest."""
    _horse(pen, c, ((22, 22), (34, 33), (58, 58), (68, 69)))


def horse_trotting(pen: Pen, c: Colour) -> None:
    """A horse that trots."""
    _horse(pen, c, ((22, 14), (34, 40), (58, 54), (68, 82)))


def _horse(pen: Pen, c: Colour, legs: tuple[tuple[float, float], ...]) -> None:
    d, li = darker(c), lighter(c, 0.45)
    mane = darker(c, 0.55) if sum(c) > 250 else (112, 98, 100)
    if sum(c) > 660:
        mane = (206, 190, 160)
    pen.taper([(16, 50), (6, 58), (5, 74), (9, 84)], 9, 4, mane)
    for i in (1, 2):
        top, foot = legs[i]
        pen.taper([(top, 62), ((top + foot) / 2 + 1, 78), (foot, 92)], 9, 5.5, d)
        pen.box(foot - 3.4, 91, foot + 4.2, 97, mane, 1)
    pen.blob(
        [(13, 54), (20, 45), (42, 47), (60, 43), (72, 46), (76, 58), (68, 70), (44, 72), (22, 70)],
        c,
    )
    pen.blob([(26, 71), (44, 69), (62, 70), (58, 73), (44, 75), (30, 74)], li)
    for i in (0, 3):
        top, foot = legs[i]
        pen.taper([(top, 62), ((top + foot) / 2 + 1, 78), (foot, 92)], 11, 6, c)
        pen.box(foot - 3.6, 91, foot + 4.6, 97, mane, 1)
    pen.blob([(56, 50), (62, 32), (68, 14), (80, 10), (84, 20), (80, 40), (76, 60), (64, 62)], c)
    pen.blob([(70, 12), (80, 9), (88, 16), (97, 30), (96, 37), (89, 38), (80, 28), (72, 24)], c)
    pen.blob([(90, 25), (97, 30), (97, 37), (90, 38), (87, 32)], li)
    pen.poly([(70, 13), (72, 1), (78, 10)], c)
    pen.poly([(76, 11), (80, 1), (83, 11)], d)
    pen.blob([(72, 6), (66, 14), (58, 30), (52, 46), (58, 48), (66, 34), (73, 20), (78, 14)], mane)
    pen.eye(82, 18, 2.8)
    pen.oval(94, 32, 1.3, 1.3, INK)
    pen.line([(95, 36), (91, 36)], 1.2, INK)
