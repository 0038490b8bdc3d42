"""What a storybook scene is, and how scenes are drawn by lot from a seed.

Owns the world's vocabulary and its odds. Pure: imports neither Pillow nor numpy.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")

THINGS = (
    "cat",
    "dog",
    "bird",
    "fish",
    "horse",
    "person",
    "tree",
    "house",
    "car",
    "boat",
    "flower",
    "chair",
)
COLOURS = (
    "black",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)
COUNTS = (1, 2, 3)
PLACES = ("beach", "forest", "snow", "city", "room", "mountains", "lake")
TIMES = ("day", "night", "sunset", "rain")
MOODS = ("calm", "cheerful", "gloomy")
SITTERS = ("cat", "dog", "bird", "person")
"""Who may sit on a chair."""

KINDS: dict[str, tuple[str, ...]] = {
    "animal": ("cat", "dog", "bird", "fish", "horse"),
    "creature": ("cat", "dog", "bird", "fish", "horse"),
    "pet": ("cat", "dog"),
    "vehicle": ("car", "boat"),
    "plant": ("tree", "flower"),
}
"""Wider words, each true of several things."""

# A thing with two or three common colours gets them half of the time: a shelf of blue cats only
# would look odd, and every colour must still turn up often enough to be learnt and found.
_COMMON_COLOURS = {
    "cat": ("black", "white", "orange"),
    "dog": ("brown", "white", "black"),
    "horse": ("brown", "white", "black"),
    "bird": ("blue", "red", "yellow"),
    "fish": ("orange", "blue", "yellow"),
    "tree": ("green", "orange", "pink"),
    "flower": ("red", "yellow", "pink"),
    "boat": ("white", "red", "blue"),
}
_NOT_IN_A_ROOM = ("tree", "house", "car", "boat", "horse")
_TIME_WEIGHTS = (0.40, 0.22, 0.20, 0.18)
_MOOD_WEIGHTS = (0.40, 0.30, 0.30)
_COUNT_WEIGHTS = (0.50, 0.26, 0.24)
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True)
class Scene:
    """One picture of the storybook, in words.

    Attributes:
        thing: one of THINGS; what the picture shows.
        colour: one of COLOURS; a person's colour is that of the clothes.
        count: 1, 2 or 3 of them, all of that colour.
        place: one of PLACES.
        time: one of TIMES.
        mood: one of MOODS.
        is_on_chair: the thing sits on a plain wooden chair (count is 1 then).
    """

    thing: str
    colour: str
    count: int
    place: str
    time: str
    mood: str
    is_on_chair: bool = False


def lot(*key: object) -> random.Random:
    """Make the random source that belongs to a key.

    Args:
        key: anything with a stable `str`, e.g. a seed and a row number.

    Returns:
        A generator that yields the same numbers for the same key on every Python.
    """
    return random.Random("storybook/" + "/".join(map(str, key)))


def sample_scene(seed: int, index: int) -> Scene:
    """Draw scene number `index` of a seed by lot; it depends on nothing else.

    Args:
        seed: any integer.
        index: row number, >= 0.

    Returns:
        The scene.

    Example:
        >>> sample_scene(0, 7) == sample_scene(0, 7)
        True
    """
    rng = lot(seed, index, "scene")
    thing = THINGS[int(rng.random() * len(THINGS))]
    common = _COMMON_COLOURS.get(thing, ())
    colours = common if common and rng.random() < 0.4 else COLOURS
    colour = colours[int(rng.random() * len(colours))]
    count = _weighted(rng, COUNTS, _COUNT_WEIGHTS)
    places = [p for p in PLACES if not (p == "room" and thing in _NOT_IN_A_ROOM)]
    if thing in ("boat", "fish"):  # mostly where the water is
        places += ["beach", "lake"] * 2
    place = places[int(rng.random() * len(places))]
    time = _weighted(rng, TIMES, _TIME_WEIGHTS)
    mood = _weighted(rng, MOODS, _MOOD_WEIGHTS)
    is_on_chair = thing in SITTERS and count == 1 and rng.random() < 0.3
    return Scene(thing, colour, count, place, time, mood, is_on_chair)


def photo_id(seed: int, index: int) -> str:
    """Name a row as Unsplash names its photos: 11 characters that depend on seed and row only.

    Args:
        seed: the data set's seed.
        index: row number, >= 0.

    Returns:
        11 letters, digits, `-` and `_`, the first one a letter or digit.
    """
    number = int.from_bytes(
        hashlib.sha256(f"storybook/{seed}/{index}".encode()).digest()[:16], "big"
    )
    letters = [_ID_LETTERS[number % 62]]
    number //= 62
    for _ in range(10):
        number, digit = divmod(number, 64)
        letters.append(_ID_LETTERS[digit])
    return "".join(letters)


def _weighted(rng: random.Random, values: tuple[_T, ...], weights: tuple[float, ...]) -> _T:
    point = rng.random() * sum(weights)
    for value, weight in zip(values, weights, strict=True):
        point -= weight
        if point < 0:
            return value
    return values[-1]
