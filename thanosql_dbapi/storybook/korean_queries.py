"""The Korean queries that a model is measured with, and what each is true of."""

from __future__ import annotations

from .korean import with_particle
from .korean_words import (
    COLOUR_WORDS,
    COUNTERS,
    KIND_WORDS,
    MOOD_WORDS,
    NUMBERS,
    PLACE_NOUNS,
    THING_WORDS,
    TIME_NOUNS,
    TIME_PHRASES,
)
from .meanings import meant
from .queries import Query
from .world import COLOURS, MOODS, PLACES, SITTERS, THINGS, TIMES

_NEVER_SEEN = (
    "혹시 {} 나온 거 가지고 계신가요?",
    "{이/가} 어디쯤 등장하지?",
    "{만/만} 골라서 정리해 봐",
    "{이/가} 담긴 컷을 구합니다",
    "{을/를} 구경하러 왔습니다",
    "{}!!!",
)
_UNTAUGHT = {
    "cat": ("고양이과", "괭이"),
    "dog": ("견공", "삽살개"),
    "bird": ("참새", "날짐승"),
    "horse": ("경주마", "백마"),
    "person": ("아저씨", "할머니"),
    "boat": ("요트", "나룻배"),
    "house": ("가옥", "초가집"),
    "car": ("자가용", "택시"),
    "tree": ("소나무", "고목"),
    "flower": ("장미", "들꽃"),
}


def korean_query_families() -> dict[str, list[Query]]:
    """Give the kinds of Korean queries that are measured.

    Returns:
        Name of the kind -> its texts and meanings.
    """
    pairs = [(c, t) for c in COLOURS for t in THINGS]
    families = {
        "{색} {것}": [(_named(c, t), meant(thing=t, colour=c)) for c, t in pairs],
        "{곳}에 있는 {색} {것}": [
            (f"{PLACE_NOUNS[p][0]}에 있는 {_named(c, t)}", meant(thing=t, colour=c, place=p))
            for c, t in pairs
            for p in PLACES
        ],
        "{색} {것} {두|세} {마리|…}": [
            (f"{_named(c, t)} {NUMBERS[n]} {COUNTERS[t]}", meant(thing=t, colour=c, count=n))
            for c, t in pairs
            for n in (2, 3)
        ],
        "분위기": [
            (form.format(w), meant(mood=m))
            for m in MOODS
            for w in MOOD_WORDS[m]
            for form in ("{} 사진", "{}", "{} 분위기의 그림")
        ],
        "때": [
            (f"{w} {picture}", meant(time=t))
            for t in TIMES
            for w in (*TIME_PHRASES[t], *TIME_NOUNS[t])
            for picture in ("사진", "그림")
        ],
        "곳": [
            (form.format(w), meant(place=p))
            for p in PLACES
            for w in PLACE_NOUNS[p]
            for form in ("{} 사진", "{}에서 찍은 사진")
        ],
        "의자에 앉은 {것}": [
            (f"의자에 앉은 {THING_WORDS[s][0]}", meant(thing=s, on_chair=True)) for s in SITTERS
        ]
        + [
            (f"의자에 앉은 {_named(c, s)}", meant(thing=s, colour=c, on_chair=True))
            for s in SITTERS
            for c in COLOURS
        ],
        "{분위기} {것} 사진": [
            (f"{MOOD_WORDS[m][0]} {THING_WORDS[t][0]} 사진", meant(thing=t, mood=m))
            for m in MOODS
            for t in THINGS
        ],
        "{때} {것}": [
            (f"{TIME_PHRASES[w][0]} {THING_WORDS[t][0]}", meant(thing=t, time=w))
            for t in THINGS
            for w in TIMES
        ],
    }
    return {**families, **_reported(pairs)}


def _named(colour: str, thing: str) -> str:
    """Name a thing by its colour, in the usual words."""
    return f"{COLOUR_WORDS[colour][0]} {THING_WORDS[thing][0]}"


def _asked(form: str, words: str) -> str:
    """Put words into a form, with the particle that it asks for."""
    before, _, rest = form.partition("{")
    particle, _, after = rest.partition("}")
    return before + (with_particle(words, particle) if particle else words) + after


def _reported(pairs: list[tuple[str, str]]) -> dict[str, list[Query]]:
    return {
        "말투: 배우지 않은 것": [
            (_asked(form, _named(c, t)), meant(thing=t, colour=c))
            for i, (c, t) in enumerate(pairs)
            for form in (_NEVER_SEEN[i % 6], _NEVER_SEEN[(i + 3) % 6])
        ],
        "비슷한 말: 것": [
            (f"{COLOUR_WORDS[c][0]} {w}", meant(thing=t, colour=c))
            for t in THINGS
            for w in dict.fromkeys(THING_WORDS[t][1:])
            if w != "누군가"
            for c in ("black", "red", "blue")
        ],
        "비슷한 말: 색": [
            (f"{w} {THING_WORDS[t][0]}", meant(thing=t, colour=c))
            for c in COLOURS
            for w in COLOUR_WORDS[c][1:]
            for t in ("cat", "car", "house")
        ],
        "비슷한 말: 곳": [
            (f"{w}에 있는 {THING_WORDS[t][0]}", meant(thing=t, place=p))
            for p in PLACES
            for w in PLACE_NOUNS[p][1:]
            for t in ("cat", "person", "flower")
        ],
        "{색} 옷을 입은 사람": [
            (f"{COLOUR_WORDS[c][0]} 옷을 입은 {w}", meant(thing="person", colour=c))
            for c in COLOURS
            for w in ("사람", "아이")
        ],
        "띄어 쓰지 않은 {색}{것}": [
            (_named(c, t).replace(" ", ""), meant(thing=t, colour=c)) for c, t in pairs
        ],
        "넓은 말 (동물, …)": [
            (f"{COLOUR_WORDS[c][0]} {w}{end}", meant(thing=k, colour=c))
            for k, words in KIND_WORDS.items()
            for w in words
            for c in ("black", "red", "blue")
            for end in ("", "들")
        ],
        "배우지 않은 말": [(w, meant(thing=t)) for t in _UNTAUGHT for w in _UNTAUGHT[t]],
    }
