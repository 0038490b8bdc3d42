"""Says scenes in English. Pure: imports neither torch nor Pillow."""

from __future__ import annotations

import random
from dataclasses import replace

from .meanings import Meaning, Said, choose, meant, pick
from .vocabulary import (
    COLOUR_WORDS,
    COUNT_WORDS,
    MOOD_WORDS,
    PLACE_PHRASES,
    PREFIXES,
    SCENE_WORDS,
    THING_WORDS,
    TIME_ADJECTIVES,
    TIME_PHRASES,
)
from .world import KINDS, MOODS, PLACES, TIMES, Scene


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


def say(scene: Scene, rng: random.Random) -> tuple[str, Meaning]:
    """Say some of what a scene shows, in one of many ways.

    Args:
        scene: the scene.
        rng: what is said, and how.

    Returns:
        A lower-case caption that is true of the scene, and its meaning.
    """
    said = choose(rng)
    meaning = Meaning()
    parts: list[str] = []
    noun = ""
    if said.thing or said.colour:
        noun, meaning = _noun(scene, said, rng)
    if said.place:
        parts.append(pick(rng, PLACE_PHRASES[scene.place]))
        meaning = replace(meaning, place=1 << PLACES.index(scene.place))
    if said.time:
        words, bits = _when(scene, rng)
        parts.append(words)
        meaning = replace(meaning, time=bits[0], mood=bits[1])
    adjective = ""
    if said.mood:
        adjective = pick(rng, MOOD_WORDS[scene.mood])
        meaning = replace(meaning, mood=1 << MOODS.index(scene.mood))
    if rng.random() < 0.25:
        parts.reverse()
    return _assemble(noun, parts, adjective, rng), meaning


def _when(scene: Scene, rng: random.Random) -> tuple[str, tuple[int, int]]:
    every_mood = Meaning().mood
    if scene.time == "day" and scene.mood != "gloomy" and rng.random() < 0.2:
        fair = every_mood & ~(1 << MOODS.index("gloomy"))
        return pick(rng, ("on a sunny day", "in the sunshine", "sunny")), (1, fair)
    return pick(rng, TIME_PHRASES[scene.time]), (1 << TIMES.index(scene.time), every_mood)


def _noun(scene: Scene, said: Said, rng: random.Random) -> tuple[str, Meaning]:
    if scene.is_on_chair and said.thing and not said.count and rng.random() < 0.12:
        return pick(rng, ("a chair", "chairs", "a seat")), meant(thing="chair")
    thing = scene.thing
    word = pick(rng, THING_WORDS[thing])
    wider = [kind for kind, members in KINDS.items() if thing in members]
    if wider and rng.random() < 0.06:
        thing = wider[int(rng.random() * len(wider))]
        word = thing
    if not said.thing:
        thing, word = "", pick(rng, ("something", "anything", "one"))
    colour = scene.colour if said.colour else None
    hue = pick(rng, COLOUR_WORDS[scene.colour])
    on_chair = bool(thing) and scene.is_on_chair and rng.random() < 0.5
    count = scene.count if said.count and thing else None
    meaning = meant(thing=thing or None, colour=colour, count=count, on_chair=on_chair)
    if thing == "chair" and colour is None and count == 1:
        meaning = meant(thing="chair", count=1)
    noun = _counted(word, hue if colour else "", count, thing, rng)
    if on_chair:
        noun += pick(
            rng,
            (" on a chair", " sitting on a chair", " in a chair", " on a seat", " on the chair"),
        )
    return noun, meaning


def _counted(word: str, hue: str, count: int | None, thing: str, rng: random.Random) -> str:
    if not thing:
        return f"something {hue}" if rng.random() < 0.6 else f"{hue} things"
    if thing == "person" and hue and rng.random() < 0.5:
        tail = pick(
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
    number = pick(rng, COUNT_WORDS[count])
    return f"{number} {words if count == 1 else many}"


def _assemble(noun: str, parts: list[str], adjective: str, rng: random.Random) -> str:
    style = rng.random()
    if style < 0.12:  # key words
        pieces = [noun, *parts, adjective] if rng.random() < 0.5 else [adjective, *parts, noun]
        return ", ".join(piece for piece in pieces if piece)
    scene_word = pick(rng, SCENE_WORDS)
    if not noun:
        if adjective:
            noun = pick(
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
        prefix = pick(rng, PREFIXES) if rng.random() < 0.4 else ""
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
    mood = pick(rng, MOOD_WORDS[scene.mood])
    forms = (
        f"{COUNT_WORDS[scene.count][0]} {scene.colour} {noun}, {place}",
        f"{article(mood)} {adjective} {place}",
        f"{mood} {noun} {place}",
        f"{noun} {TIME_PHRASES[scene.time][0]}",
    )
    text = forms[int(rng.random() * len(forms))]
    return text[0].upper() + text[1:]
