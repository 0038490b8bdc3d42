"""What a caption says of a scene, in no language: what it allows, and which parts it says.

A caption carries its meaning: for each thing that can be said (who, colour, how many, where, when,
mood) the values it allows. Pure: imports neither torch nor Pillow.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .world import COLOURS, COUNTS, KINDS, MOODS, PLACES, SITTERS, THINGS, TIMES, Scene

SUBJECTS = (*THINGS, *(f"{sitter} on a chair" for sitter in SITTERS))
_SIZES = (len(SUBJECTS), len(COLOURS), len(COUNTS), len(PLACES), len(TIMES), len(MOODS))


@dataclass(frozen=True)
class Meaning:
    """What a caption allows, one bit a value; all bits set where it says nothing.

    Attributes:
        subject: bits over SUBJECTS.
        colour: bits over COLOURS.
        count: bits over COUNTS.
        place: bits over PLACES.
        time: bits over TIMES.
        mood: bits over MOODS.
    """

    subject: int = (1 << _SIZES[0]) - 1
    colour: int = (1 << _SIZES[1]) - 1
    count: int = (1 << _SIZES[2]) - 1
    place: int = (1 << _SIZES[3]) - 1
    time: int = (1 << _SIZES[4]) - 1
    mood: int = (1 << _SIZES[5]) - 1

    def bits(self) -> tuple[int, ...]:
        """Give the six masks in the order of `codes`."""
        return (self.subject, self.colour, self.count, self.place, self.time, self.mood)


def codes(scene: Scene) -> tuple[int, ...]:
    """Number a scene's values.

    Args:
        scene: any scene.

    Returns:
        Positions of its subject, colour, count, place, time and mood in their tuples.
    """
    subject = f"{scene.thing} on a chair" if scene.is_on_chair else scene.thing
    return (
        SUBJECTS.index(subject),
        COLOURS.index(scene.colour),
        COUNTS.index(scene.count),
        PLACES.index(scene.place),
        TIMES.index(scene.time),
        MOODS.index(scene.mood),
    )


def fits(meaning: Meaning, scene: Scene) -> bool:
    """Tell whether a caption of this meaning is true of a scene.

    "A black cat" is true where there are two of them, too; "one black cat" is not.

    Example:
        >>> fits(meant(thing="cat"), Scene("cat", "black", 2, "city", "day", "calm"))
        True
    """
    return all(mask >> code & 1 for mask, code in zip(meaning.bits(), codes(scene), strict=True))


def meant(
    *,
    thing: str | None = None,
    colour: str | None = None,
    count: int | None = None,
    place: str | None = None,
    time: str | None = None,
    mood: str | None = None,
    on_chair: bool = False,
) -> Meaning:
    """Build the meaning of a plain caption.

    Args:
        thing: one of THINGS, or one of the wider KINDS (`animal`, …).
        colour: one of COLOURS.
        count: exactly so many.
        place: one of PLACES.
        time: one of TIMES.
        mood: one of MOODS.
        on_chair: the thing sits on a chair.

    Returns:
        The meaning; what is left out allows everything.
    """
    all_bits = Meaning()
    return Meaning(
        _subject_bits(thing, on_chair, is_bare=colour is None and count in (None, 1))
        if thing
        else all_bits.subject,
        1 << COLOURS.index(colour) if colour else all_bits.colour,
        1 << COUNTS.index(count) if count else all_bits.count,
        1 << PLACES.index(place) if place else all_bits.place,
        1 << TIMES.index(time) if time else all_bits.time,
        1 << MOODS.index(mood) if mood else all_bits.mood,
    )


def _subject_bits(thing: str, on_chair: bool, *, is_bare: bool) -> int:
    bits = 0
    for member in KINDS.get(thing, (thing,)):
        if not on_chair:
            bits |= 1 << SUBJECTS.index(member)
        if member in SITTERS:
            bits |= 1 << SUBJECTS.index(f"{member} on a chair")
    if thing == "chair" and is_bare:  # the chair that someone sits on is a chair as well
        bits |= sum(1 << SUBJECTS.index(f"{sitter} on a chair") for sitter in SITTERS)
    return bits


def pick(rng: random.Random, values: tuple[str, ...]) -> str:
    """Draw one; the first, the usual word, is drawn about half of the time."""
    if rng.random() < 0.4:
        return values[0]
    return values[int(rng.random() * len(values))]


@dataclass(frozen=True)
class Said:
    """Which parts of a scene a caption is going to say.

    Attributes:
        thing: who.
        colour: which colour.
        count: how many.
        place: where.
        time: when.
        mood: the mood.
    """

    thing: bool
    colour: bool
    count: bool
    place: bool
    time: bool
    mood: bool


_PATTERNS: tuple[tuple[float, str], ...] = (
    (0.15, "thing colour"),
    (0.13, "thing colour place"),
    (0.15, "thing colour count"),
    (0.04, "thing"),
    (0.03, "thing count"),
    (0.04, "thing place"),
    (0.05, "mood"),
    (0.04, "time"),
    (0.04, "place"),
    (0.02, "colour"),
    (0.02, "mood time"),
    (0.02, "place time"),
    (0.02, "place mood"),
    (0.03, "thing mood"),
    (0.03, "thing time"),
    (0.19, ""),
)


def choose(rng: random.Random) -> Said:
    """Draw what a caption is going to say.

    Args:
        rng: what.

    Returns:
        At least one part is said.
    """
    point, pattern = rng.random(), ""
    for share, words in _PATTERNS:
        point -= share
        if point < 0:
            pattern = words
            break
    if not pattern:
        flags = [rng.random() < p for p in (0.95, 0.7, 0.5, 0.6, 0.5, 0.4)]
        return Said(*flags) if any(flags) else Said(True, True, False, False, False, False)
    said = pattern.split()
    return Said(*(name in said for name in ("thing", "colour", "count", "place", "time", "mood")))
