"""The people of the storybook, drawn as the animals are."""

from __future__ import annotations

from .canvas import INK, Colour, Pen, darker, lighter, mix

_BLUSH: Colour = (244, 150, 150)
_SKINS: tuple[Colour, ...] = ((250, 212, 180), (224, 170, 124), (150, 100, 70))
_HAIRS: tuple[Colour, ...] = ((94, 58, 36), (52, 40, 40), (40, 32, 34))


def person_waving(pen: Pen, c: Colour) -> None:
    """Someone in coat and trousers who waves."""
    _person(pen, c, 0, arm=((64, 46), (78, 34), (80, 18)))


def person_standing(pen: Pen, c: Colour) -> None:
    """Someone in coat and trousers, hands down."""
    _person(pen, c, 1, arm=((63, 46), (70, 58), (68, 70)))


def person_in_dress(pen: Pen, c: Colour) -> None:
    """Someone in a long dress."""
    _person(pen, c, 2, arm=((62, 46), (74, 52), (80, 44)), is_dress=True)


def person_sitting(pen: Pen, c: Colour) -> None:
    """Someone who sits, legs hanging; the seat is at y = 74."""
    d, skin = darker(c, 0.3), _SKINS[0]
    pen.taper([(46, 70), (66, 72), (68, 92)], 12, 9, d)
    pen.oval(71, 94, 7, 3.6, INK)
    pen.blob([(36, 44), (50, 37), (64, 44), (66, 74), (50, 78), (34, 74)], c)
    pen.taper([(50, 70), (72, 72), (75, 90)], 12, 9, d)
    pen.oval(78, 93, 7, 3.6, INK)
    pen.taper([(42, 48), (44, 62), (58, 68)], 9, 7, darker(c, 0.18))
    pen.oval(60, 68, 4, 4, skin)
    _person_head(pen, c, skin, _HAIRS[0], 0)


def _person(
    pen: Pen, c: Colour, look: int, arm: tuple[tuple[float, float], ...], *, is_dress: bool = False
) -> None:
    d, skin = darker(c, 0.3), _SKINS[look]
    pen.taper([(38, 46), (29, 56), (31, 69)], 9, 7, d)
    pen.oval(31, 71, 4, 4, skin)
    if is_dress:
        for x in (45, 55):
            pen.box(x - 2.6, 84, x + 2.6, 96, skin, 2)
            pen.oval(x + 1.5, 95.5, 5, 2.4, INK)
        pen.blob(
            [
                (40, 42),
                (50, 38),
                (60, 42),
                (61, 58),
                (74, 86),
                (62, 90),
                (50, 89),
                (38, 90),
                (26, 86),
                (39, 58),
            ],
            c,
        )
        pen.line([(39, 60), (50, 62), (61, 60)], 4, d)
        for x in (36, 46, 56, 65):
            pen.oval(x, 81, 2.2, 2.2, lighter(c, 0.5))
    else:
        for x, foot in ((44, 42), (56, 58)):
            pen.taper([(x, 68), (foot, 93)], 11, 9, d)
            pen.oval(foot + 2, 95, 7, 3.4, INK)
        pen.blob([(38, 44), (50, 38), (62, 44), (65, 74), (50, 78), (35, 74)], c)
        pen.line([(50, 46), (50, 76)], 1.4, d)
        for y in (52, 60, 68):
            pen.oval(52.5, y, 1.3, 1.3, lighter(c, 0.6))
    pen.taper(list(arm), 9, 7, darker(c, 0.14))
    pen.oval(arm[-1][0], arm[-1][1] - 1, 4.4, 4.4, skin)
    _person_head(pen, c, skin, _HAIRS[look], look)


def _person_head(pen: Pen, c: Colour, skin: Colour, hair: Colour, look: int) -> None:
    if look == 2:
        pen.blob(
            [(33, 24), (38, 8), (50, 3), (62, 8), (67, 24), (66, 42), (58, 40), (42, 40), (34, 42)],
            hair,
        )
    pen.box(46, 34, 54, 42, darker(skin, 0.12), 2)
    pen.oval(50, 23, 14.5, 15, skin)
    pen.blob([(35, 24), (36, 11), (50, 5), (64, 11), (65, 24), (60, 17), (48, 14), (40, 17)], hair)
    if look == 1:
        pen.blob([(33, 16), (36, 4), (50, -1), (64, 4), (67, 16), (50, 13)], c)
        pen.line([(33, 16), (50, 13), (67, 16)], 4, lighter(c, 0.4))
    pen.oval(45, 24, 2.2, 2.8, INK)
    pen.oval(56, 24, 2.2, 2.8, INK)
    pen.oval(40, 29, 3.2, 2, mix(skin, _BLUSH, 0.7))
    pen.oval(60, 29, 3.2, 2, mix(skin, _BLUSH, 0.7))
    pen.line([(46, 31), (50.5, 33.5), (55, 31)], 1.6, (150, 60, 60))
