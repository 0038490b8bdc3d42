"""Says scenes in English, and knows which scenes a saying is true of.

A caption carries its meaning: for each thing that can be said (who, colour, how many, where, when,
mood) the values it allows. Pure: imports neither torch nor Pillow.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .vocabulary import (
    COLOUR_WORDS,
    COUNT_WORDS,
    KINDS,
    MOOD_WORDS,
    PLACE_PHRASES,
    PREFIXES,
    SCENE_WORDS,
    THING_WORDS,
    TIME_ADJECTIVES,
    TIME_PHRASES,
)
from .world import COLOURS, COUNTS, MOODS, PLACES, SITTERS, THINGS, TIMES, Scene

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


def _pick(rng: random.Random, values: tuple[str, ...]) -> str:
    """Draw one; the first, the usual word, is drawn about half of the time."""
    if rng.random() < 0.4:
        return values[0]
    return values[int(rng.random() * len(values))]


def article(words: str) -> str:
    """Put the indefinite article before a phrase."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def plural(word: str) -> str:
    """Form the plural of one of the vocabulary's nouns."""
    irregular = {
        "fish": "fish",
        "person": "people",
        "man": "men",
        "woman": "women",
        "child": "children",
        "someone": "people",
    }
    if word in irregular:
        return irregular[word]
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


@dataclass(frozen=True)
class _Said:
    """Which parts of a scene a caption is going to say."""

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


def _choose(rng: random.Random) -> _Said:
    point, pattern = rng.random(), ""
    for share, words in _PATTERNS:
        point -= share
        if point < 0:
            pattern = words
            break
    if not pattern:
        flags = [rng.random() < p for p in (0.95, 0.7, 0.5, 0.6, 0.5, 0.4)]
        return _Said(*flags) if any(flags) else _Said(True, True, False, False, False, False)
    said = pattern.split()
    return _Said(*(name in said for name in ("thing", "colour", "count", "place", "time", "mood")))


def say(scene: Scene, rng: random.Random) -> tuple[str, Meaning]:
    """Say some of what a scene shows, in one of many ways.

    Args:
        scene: the scene.
        rng: what is said, and how.

    Returns:
        A lower-case caption that is true of the scene, and its meaning.
    """
    said = _choose(rng)
    meaning = Meaning()
    parts: list[str] = []
    noun = ""
    if said.thing or said.colour:
        noun, meaning = _noun(scene, said, rng)
    if said.place:
        parts.append(_pick(rng, PLACE_PHRASES[scene.place]))
        meaning = replace(meaning, place=1 << PLACES.index(scene.place))
    if said.time:
        words, bits = _when(scene, rng)
        parts.append(words)
        meaning = replace(meaning, time=bits[0], mood=bits[1])
    adjective = ""
    if said.mood:
        adjective = _pick(rng, MOOD_WORDS[scene.mood])
        meaning = replace(meaning, mood=1 << MOODS.index(scene.mood))
    if rng.random() < 0.25:
        parts.reverse()
    return _assemble(noun, parts, adjective, rng), meaning


def _when(scene: Scene, rng: random.Random) -> tuple[str, tuple[int, int]]:
    every_mood = Meaning().mood
    if scene.time == "day" and scene.mood != "gloomy" and rng.random() < 0.2:
        fair = every_mood & ~(1 << MOODS.index("gloomy"))
        return _pick(rng, ("on a sunny day", "in the sunshine", "sunny")), (1, fair)
    return _pick(rng, TIME_PHRASES[scene.time]), (1 << TIMES.index(scene.time), every_mood)


def _noun(scene: Scene, said: _Said, rng: random.Random) -> tuple[str, Meaning]:
    if scene.is_on_chair and said.thing and not said.count and rng.random() < 0.12:
        return _pick(rng, ("a chair", "chairs", "a seat")), meant(thing="chair")
    thing = scene.thing
    word = _pick(rng, THING_WORDS[thing])
    wider = [kind for kind, members in KINDS.items() if thing in members]
    if wider and rng.random() < 0.06:
        thing = wider[int(rng.random() * len(wider))]
        word = thing
    if not said.thing:
        thing, word = "", _pick(rng, ("something", "anything", "one"))
    colour = scene.colour if said.colour else None
    hue = _pick(rng, COLOUR_WORDS[scene.colour])
    on_chair = bool(thing) and scene.is_on_chair and rng.random() < 0.5
    count = scene.count if said.count and thing else None
    meaning = meant(thing=thing or None, colour=colour, count=count, on_chair=on_chair)
    if thing == "chair" and colour is None and count == 1:
        meaning = meant(thing="chair", count=1)
    noun = _counted(word, hue if colour else "", count, thing, rng)
    if on_chair:
        noun += _pick(
            rng,
            (" on a chair", " sitting on a chair", " in a chair", " on a seat", " on the chair"),
        )
    return noun, meaning


def _counted(word: str, hue: str, count: int | None, thing: str, rng: random.Random) -> str:
    if not thing:
        return f"something {hue}" if rng.random() < 0.6 else f"{hue} things"
    if thing == "person" and hue and rng.random() < 0.5:
        tail = _pick(
            rng, (f" in {hue}", f" dressed in {hue}", f" in {hue} clothes", f" wearing {hue}")
        )
        return _number(word, count, rng) + tail
    words = f"{hue} {word}".strip()
    if word == "someone":
        words = f"{hue} person".strip()
    return _number(words, count, rng)


def _number(words: str, count: int | None, rng: random.Random) -> str:
    head, _, noun = words.rpartition(" ")
    many = f"{head} {plural(noun)}".strip()
    if count is None:
        style = rng.random()
        if style < 0.62:
            return article(words)
        return words if style < 0.72 else many if style < 0.92 else f"the {words}"
    number = _pick(rng, COUNT_WORDS[count])
    return f"{number} {words if count == 1 else many}"


def _assemble(noun: str, parts: list[str], adjective: str, rng: random.Random) -> str:
    style = rng.random()
    if style < 0.12:  # key words
        pieces = [noun, *parts, adjective] if rng.random() < 0.5 else [adjective, *parts, noun]
        return ", ".join(piece for piece in pieces if piece)
    scene_word = _pick(rng, SCENE_WORDS)
    if not noun:
        if adjective:
            noun = _pick(
                rng,
                (
                    f"{adjective} {scene_word}s",
                    article(f"{adjective} {scene_word}"),
                    adjective,
                    f"the mood is {adjective}",
                ),
            )
        elif style < 0.5:
            noun = rng.choice((article(scene_word), f"{scene_word}s"))
        return " ".join([noun, *parts]).strip()
    if adjective and rng.random() < 0.6:
        tail = [article(f"{adjective} {scene_word}") + " of", noun, *parts]
    elif adjective:
        tail = [noun, *parts, rng.choice((f"in a {adjective} mood", f", {adjective}"))]
    else:
        prefix = _pick(rng, PREFIXES) if rng.random() < 0.4 else ""
        verb = ""
        if parts and rng.random() < 0.12:
            verb = "that is" if noun.startswith(("a ", "an ")) else ""
        tail = [prefix, noun, verb, *parts]
        if parts and not prefix and not verb and rng.random() < 0.2:
            tail = [*parts, rng.choice((",", "there is", "")), noun]
    return " ".join(" ".join(tail).split()).replace(" ,", ",")


def describe(scene: Scene, rng: random.Random) -> str:
    """Describe a whole scene plainly, as the data set's `ai_description` does.

    Args:
        scene: the scene.
        rng: which of the usual words.

    Returns:
        A lower-case caption that says who, colour, how many and where, and often when and the mood.
    """
    number = {1: "", 2: "two ", 3: "three "}[scene.count]
    words = f"{scene.colour} {scene.thing if scene.count == 1 else plural(scene.thing)}"
    if scene.thing == "person":
        words = f"{'person' if scene.count == 1 else 'people'} in {scene.colour}"
    text = number + words if number else article(words)
    if scene.is_on_chair:
        text += " on a chair"
    text += " " + PLACE_PHRASES[scene.place][0]
    if scene.time != "day" or rng.random() < 0.3:
        text += " " + TIME_PHRASES[scene.time][0]
    if scene.mood != "calm" and rng.random() < 0.6:
        text += f", {scene.mood}"
    return text


def title(scene: Scene, rng: random.Random) -> str:
    """Give a scene the title a person might, or none, as the data set's `photo_description`.

    Args:
        scene: the scene.
        rng: which.

    Returns:
        A title, or the empty string for about two scenes of five.
    """
    if rng.random() < 0.4:
        return ""
    noun = scene.thing if scene.count == 1 else plural(scene.thing)
    place = PLACE_PHRASES[scene.place][0]
    adjective = TIME_ADJECTIVES[scene.time]
    mood = _pick(rng, MOOD_WORDS[scene.mood])
    forms = (
        f"{COUNT_WORDS[scene.count][0]} {scene.colour} {noun}, {place}",
        f"{article(mood)} {adjective} {place}",
        f"{mood} {noun} {place}",
        f"{noun} {TIME_PHRASES[scene.time][0]}",
    )
    text = forms[int(rng.random() * len(forms))]
    return text[0].upper() + text[1:]
