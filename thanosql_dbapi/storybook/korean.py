"""Says scenes in Korean, as a person would who looks for pictures. Pure, as `captions` is.

What a thing is goes before it: where, when, mood and colour, then the thing, then how many. A
caption may be the thing alone, a picture of it, a sentence or a row of key words.
"""

from __future__ import annotations

import random
from dataclasses import replace

from .korean_words import (
    BEING_AT,
    BLUE_OR_GREEN,
    COLOUR_NOUNS,
    COLOUR_WORDS,
    COUNTERS,
    DOING_AT,
    FAIR_DAYS,
    KIND_WORDS,
    MOOD_WORDS,
    NUMBER_NOUNS,
    NUMBERS,
    PLACE_NOUNS,
    PLACE_PHRASES,
    SCENE_WORDS,
    THING_WORDS,
    TIME_ADVERBS,
    TIME_NOUNS,
    TIME_PHRASES,
)
from .meanings import Meaning, Said, choose, meant, pick
from .world import COLOURS, KINDS, MOODS, PLACES, TIMES, Scene

_LIVING = ("cat", "dog", "bird", "fish", "horse", "person")


def with_particle(words: str, pair: str) -> str:
    """Put the particle after a noun that its last sound asks for.

    Args:
        words: ends with a syllable of Hangul.
        pair: the form after a consonant, a stroke, the form after a vowel: `이/가`.

    Returns:
        The words with the particle.

    Example:
        >>> with_particle("꽃", "을/를"), with_particle("고양이", "을/를")
        ('꽃을', '고양이를')
    """
    after_consonant, after_vowel = pair.split("/")
    ends_in_consonant = (ord(words[-1]) - 0xAC00) % 28 > 0
    return words + (after_consonant if ends_in_consonant else after_vowel)


def say_korean(scene: Scene, rng: random.Random) -> tuple[str, Meaning]:
    """Say some of what a scene shows in Korean, in one of many ways.

    Args:
        scene: the scene.
        rng: what is said, and how.

    Returns:
        A caption that is true of the scene, and its meaning.
    """
    said = choose(rng)
    noun, meaning = "", Meaning()
    if said.thing or said.colour:
        noun, meaning = _noun(scene, said, rng)
    if said.place:
        meaning = replace(meaning, place=1 << PLACES.index(scene.place))
    is_fair = said.time and scene.time == "day" and scene.mood != "gloomy" and rng.random() < 0.15
    if said.time:
        meaning = replace(meaning, time=1 << TIMES.index(scene.time))
    if is_fair:
        meaning = replace(meaning, mood=meaning.mood & ~(1 << MOODS.index("gloomy")))
    if said.mood:
        meaning = replace(meaning, mood=1 << MOODS.index(scene.mood))
    style = rng.random()
    if style < 0.14:
        text = _key_words(scene, said, noun, rng, is_fair=is_fair)
    elif not noun:
        text = _of_no_thing(scene, said, rng, is_fair=is_fair)
    elif style < 0.30:
        text = _sentence(scene, said, noun, rng, is_fair=is_fair)
    else:
        text = _phrase(scene, said, noun, rng, is_fair=is_fair)
    return _spaced(text, rng), meaning


def _spaced(text: str, rng: random.Random) -> str:
    """Leave out spaces now and then, as people do."""
    luck = rng.random()
    if luck < 0.04:
        return text.replace(" ", "")
    if luck < 0.12:
        head, *rest = text.split(" ")
        return head + "".join(("" if rng.random() < 0.3 else " ") + word for word in rest)
    return text


# The thing


def _noun(scene: Scene, said: Said, rng: random.Random) -> tuple[str, Meaning]:
    if scene.is_on_chair and said.thing and not said.count and rng.random() < 0.12:
        return pick(rng, THING_WORDS["chair"]), meant(thing="chair")
    if not said.thing:
        return _coloured_thing(scene, rng), meant(colour=scene.colour)
    thing, word = scene.thing, pick(rng, THING_WORDS[scene.thing])
    wider = [kind for kind in KIND_WORDS if thing in KINDS[kind]]
    if wider and rng.random() < 0.06:
        thing = wider[int(rng.random() * len(wider))]
        word = pick(rng, KIND_WORDS[thing])
    colour = scene.colour if said.colour else None
    on_chair = scene.is_on_chair and rng.random() < 0.5
    count = scene.count if said.count else None
    meaning = meant(thing=thing, colour=colour, count=count, on_chair=on_chair)
    if thing == "chair" and colour is None and count == 1:
        meaning = meant(thing="chair", count=1)
    hue = ""
    if colour is not None:
        hue = _hue(colour, rng)
        if colour in ("blue", "green") and rng.random() < 0.08:
            hue = pick(rng, BLUE_OR_GREEN)
            both = 1 << COLOURS.index("blue") | 1 << COLOURS.index("green")
            meaning = replace(meaning, colour=both)
        if thing == "person" and rng.random() < 0.65:
            hue = f"{hue} " + pick(rng, ("옷을 입은", "옷 입은", "옷차림의", "옷을 걸친"))
    if on_chair:
        seat = pick(
            rng,
            ("의자에 앉은", "의자에 앉아 있는", "의자 위의", "의자 위에 있는", "의자에 있는"),
        )
        hue = f"{seat} {hue}".strip() if rng.random() < 0.8 else f"{hue} {seat}".strip()
    return _counted(hue, word, count, thing, rng), meaning


def _hue(colour: str, rng: random.Random) -> str:
    luck = rng.random()
    if luck < 0.86:
        return pick(rng, COLOUR_WORDS[colour])
    name = pick(rng, COLOUR_NOUNS[colour])
    return f"{name}의" if luck < 0.92 else f"{name}인" if luck < 0.95 else f"색이 {name}인"


def _coloured_thing(scene: Scene, rng: random.Random) -> str:
    hue = pick(rng, COLOUR_WORDS[scene.colour])
    name = pick(rng, COLOUR_NOUNS[scene.colour])
    return pick(rng, (f"{hue} 것", name, f"{hue} 것들", f"무언가 {hue} 것", f"{name}으로 된 것"))


def _counted(hue: str, word: str, count: int | None, thing: str, rng: random.Random) -> str:
    words = f"{hue} {word}".strip()
    if count is None:
        return f"{words}들" if rng.random() < 0.15 and word != "누군가" else words
    if word == "누군가":
        words = f"{hue} 사람".strip()
    number, counter = NUMBERS[count], COUNTERS[thing]
    forms = [
        f"{words} {number} {counter}",
        f"{number} {counter}의 {words}",
        f"{words} {count}{counter}",
        f"{words} {number}{counter}",
        f"{words} {NUMBER_NOUNS[count]}",
    ]
    if thing == "person":
        forms.append(f"{hue} {number} 사람".strip())
    if count == 2:
        forms.append(f"{words} 한 쌍")
    if count == 1:
        forms += [f"{words} 단 {number} {counter}", f"단 {number} {counter}의 {words}"]
        if thing in _LIVING:
            forms += [f"혼자 있는 {words}", f"홀로 있는 {words}"]
    return pick(rng, tuple(forms))


# What stands around it


def _at(scene: Scene, rng: random.Random) -> str:
    """Where, before a noun."""
    if rng.random() < 0.12:
        return pick(rng, PLACE_PHRASES[scene.place])
    place, luck = pick(rng, PLACE_NOUNS[scene.place]), rng.random()
    if luck < 0.35:
        return f"{place}의"
    doing = DOING_AT.get(scene.thing, ())
    if luck < 0.80 or not doing:
        return f"{place}에 " + pick(rng, ("있는", "있는", *BEING_AT.get(scene.thing, ())))
    return f"{place}에서 " + pick(rng, doing)


def _when(scene: Scene, rng: random.Random, *, is_fair: bool) -> str:
    """When, before a noun."""
    if is_fair:
        return f"{pick(rng, FAIR_DAYS)}의"
    return pick(rng, TIME_PHRASES[scene.time])


def _then(scene: Scene, rng: random.Random, *, is_fair: bool) -> str:
    """When, before a verb."""
    if is_fair:
        return pick(rng, FAIR_DAYS) + pick(rng, ("", "에"))
    return pick(rng, TIME_ADVERBS[scene.time])


def _moody(scene: Scene, rng: random.Random) -> str:
    """The mood, before a noun."""
    word = pick(rng, MOOD_WORDS[scene.mood])
    return pick(rng, (word, f"{word} 분위기의", f"{word} 느낌의", f"분위기가 {word}"))


def _joined(pieces: list[str]) -> str:
    return " ".join(piece for piece in pieces if piece)


def _around(scene: Scene, said: Said, rng: random.Random, *, is_fair: bool) -> list[str]:
    """Where and when, before a noun."""
    if said.place and said.time and rng.random() < 0.35:  # at night at the beach being
        place = pick(rng, PLACE_NOUNS[scene.place])
        return [_then(scene, rng, is_fair=is_fair), f"{place}에 있는"]
    found = [_when(scene, rng, is_fair=is_fair)] if said.time else []
    return [*found, _at(scene, rng)] if said.place else found


def _phrase(scene: Scene, said: Said, noun: str, rng: random.Random, *, is_fair: bool) -> str:
    around = _around(scene, said, rng, is_fair=is_fair)
    mood = _moody(scene, rng) if said.mood else ""
    if not mood:
        tail = _picture_of(noun, "", rng) if rng.random() < 0.45 else noun
        return _joined([*around, tail])
    luck = rng.random()
    if luck < 0.4:  # a gloomy picture of
        return _joined([*around, _picture_of(noun, mood, rng)])
    if luck < 0.7:
        return _joined([mood, *around, noun])
    if luck < 0.85:
        return _joined([*around, mood, noun])
    return _joined([*around, noun]) + f", {pick(rng, MOOD_WORDS[scene.mood])} 분위기"


def _picture_of(noun: str, mood: str, rng: random.Random) -> str:
    picture = _joined([mood, pick(rng, SCENE_WORDS[:4])])
    end = pick(rng, ("", "", "들", " 한 장")) if picture.endswith(("사진", "그림")) else ""
    forms = (
        f"{noun} {picture}",
        f"{with_particle(noun, '이/가')} 있는 {picture}",
        f"{with_particle(noun, '이/가')} 나오는 {picture}",
        f"{with_particle(noun, '을/를')} 찍은 {picture}",
        f"{noun}의 {picture}",
        f"{with_particle(noun, '을/를')} 그린 {picture}",
        f"{with_particle(noun, '이/가')} 보이는 {picture}",
        f"{with_particle(noun, '이/가')} 있는 모습",
    )
    text = pick(rng, forms[: 7 if mood else 8])
    return text + (end if text.endswith(picture) else "")


def _sentence(scene: Scene, said: Said, noun: str, rng: random.Random, *, is_fair: bool) -> str:
    subject = with_particle(noun, "이/가")
    place = f"{pick(rng, PLACE_NOUNS[scene.place])}에" if said.place else ""
    time = _then(scene, rng, is_fair=is_fair) if said.time else ""
    parts = [time, place, subject] if rng.random() < 0.6 else [subject, time, place]
    if said.mood:
        scene_word = pick(rng, SCENE_WORDS[:4])
        return _joined([*parts, "있는", _moody(scene, rng), scene_word])
    if rng.random() < 0.3:
        return _joined([*parts, "있는", pick(rng, SCENE_WORDS[:4])])
    if rng.random() < 0.3:  # the topic comes first
        parts = [with_particle(noun, "은/는"), time, place]
    return _joined([*parts, pick(rng, ("있다", "있어요", "있습니다", "있음"))])


def _key_words(scene: Scene, said: Said, noun: str, rng: random.Random, *, is_fair: bool) -> str:
    pieces = [noun] if noun else []
    if said.place:
        pieces.append(pick(rng, PLACE_NOUNS[scene.place]))
    if said.time:
        pieces.append(pick(rng, FAIR_DAYS if is_fair else TIME_NOUNS[scene.time]))
    if said.mood:
        word = pick(rng, MOOD_WORDS[scene.mood])
        pieces.append(pick(rng, (f"{word} 분위기", word, f"{word} 느낌")))
    if rng.random() < 0.4:
        pieces.reverse()
    return (" " if rng.random() < 0.5 else ", ").join(pieces)


def _of_no_thing(scene: Scene, said: Said, rng: random.Random, *, is_fair: bool) -> str:
    """Say where, when or the mood alone."""
    picture = pick(rng, SCENE_WORDS)
    many = f"{picture}들" if picture in ("사진", "그림") and rng.random() < 0.2 else picture
    mood = _moody(scene, rng) if said.mood else ""
    if said.mood and not said.place and not said.time:
        return pick(rng, (f"{mood} {many}", mood, f"{pick(rng, MOOD_WORDS[scene.mood])} 분위기"))
    place = pick(rng, PLACE_NOUNS[scene.place]) if said.place else ""
    if said.time and not said.place:
        forms = [
            f"{_when(scene, rng, is_fair=is_fair)} {_joined([mood, many])}",
            f"{_then(scene, rng, is_fair=is_fair)} 찍은 {_joined([mood, many])}",
        ]
        if not is_fair:
            forms.append(_joined([mood, pick(rng, TIME_NOUNS[scene.time]), many]))
        return pick(rng, tuple(forms))
    time = _when(scene, rng, is_fair=is_fair) if said.time else ""
    forms = [
        _joined([time, place, mood, many]),
        _joined([time, f"{place}의", mood, many]),
        _joined([mood, time, f"{place}에서", "찍은", many]),
        _joined([time, _place_phrase(scene, rng), mood, many]),
        _joined([mood, time, place]),
    ]
    return pick(rng, tuple(forms))


def _place_phrase(scene: Scene, rng: random.Random) -> str:
    return pick(rng, PLACE_PHRASES[scene.place])
