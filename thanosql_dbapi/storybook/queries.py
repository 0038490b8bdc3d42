"""The English queries that a model is measured with, and what each is true of."""

from __future__ import annotations

from .captions import article, plural
from .meanings import Meaning, meant
from .vocabulary import COLOUR_WORDS, MOOD_WORDS, PLACE_PHRASES, THING_WORDS, TIME_PHRASES
from .world import COLOURS, KINDS, MOODS, PLACES, SITTERS, THINGS, TIMES

Query = tuple[str, Meaning]
"""A text and its meaning."""


def query_families() -> dict[str, list[Query]]:
    """Give the kinds of queries that are measured.

    Returns:
        Name of the kind -> its texts and meanings. The kinds from "phrasings" on are reported only.
    """
    pairs = [(c, t) for c in COLOURS for t in THINGS]
    families = {
        "a {colour} {thing}": [(article(f"{c} {t}"), meant(thing=t, colour=c)) for c, t in pairs],
        "a {colour} {thing} {place}": [
            (f"{article(f'{c} {t}')} {PLACE_PHRASES[p][0]}", meant(thing=t, colour=c, place=p))
            for c, t in pairs
            for p in PLACES
        ],
        "{two|three} {colour} {things}": [
            (f"{word} {c} {plural(t)}", meant(thing=t, colour=c, count=n))
            for c, t in pairs
            for n, word in ((2, "two"), (3, "three"))
        ],
        "moods": [
            (form.format(w), meant(mood=m))
            for m in MOODS
            for w in MOOD_WORDS[m]
            for form in ("{} photos", "{}", "a {} picture")
        ],
        "times": [
            (form.format(w), meant(time=t))
            for t in TIMES
            for w in TIME_PHRASES[t]
            for form in ("photos {}", "a picture {}")
        ],
        "places": [
            (form.format(w), meant(place=p))
            for p in PLACES
            for w in PLACE_PHRASES[p]
            for form in ("photos {}", "{}")
        ],
        "a {sitter} on a chair": [
            (article(f"{s} on a chair"), meant(thing=s, on_chair=True)) for s in SITTERS
        ]
        + [
            (f"{article(f'{c} {s}')} on a chair", meant(thing=s, colour=c, on_chair=True))
            for s in SITTERS
            for c in COLOURS
        ],
        "a {mood} {thing}": [
            (f"a {m} photo of {article(t)}", meant(thing=t, mood=m)) for m in MOODS for t in THINGS
        ],
        "{thing} {time}": [
            (f"{article(t)} {TIME_PHRASES[w][0]}", meant(thing=t, time=w))
            for t in THINGS
            for w in TIMES
        ],
    }
    return {**families, **_reported(pairs)}


def _reported(pairs: list[tuple[str, str]]) -> dict[str, list[Query]]:
    forms = (
        "show me {}",
        "i am looking for {}",
        "find {} please",
        "where is {}?",
        "do you have any pictures with {} in them",
        "{}!!!",
    )
    untaught = {
        "cat": ("puss", "tabby"),
        "dog": ("doggie", "canine"),
        "horse": ("colt",),
        "boat": ("yacht",),
        "house": ("bungalow",),
        "car": ("autocar",),
        "bird": ("fowl",),
        "tree": ("oak", "treetop"),
        "flower": ("wildflower",),
    }
    return {
        "phrasings never seen": [
            (form.format(article(f"{c} {t}")), meant(thing=t, colour=c))
            for i, (c, t) in enumerate(pairs)
            for form in (forms[i % 6], forms[(i + 3) % 6])
        ],
        "synonyms taught: things": [
            (article(f"{c} {w}"), meant(thing=t, colour=c))
            for t in THINGS
            for w in THING_WORDS[t][1:]
            if w != "someone"
            for c in ("black", "red", "blue")
        ],
        "synonyms taught: colours": [
            (article(f"{w} {t}"), meant(thing=t, colour=c))
            for c in COLOURS
            for w in COLOUR_WORDS[c][1:]
            for t in ("cat", "car", "house")
        ],
        "synonyms taught: places": [
            (f"{article(t)} {w}", meant(thing=t, place=p))
            for p in PLACES
            for w in PLACE_PHRASES[p][1:]
            for t in ("cat", "person", "flower")
        ],
        "wider words (an animal, …)": [
            (form, meant(thing=k, colour=c))
            for k in KINDS
            for c in ("black", "red", "blue")
            for form in (article(f"{c} {k}"), f"{c} {k}s")
        ],
        "words never taught": [(w, meant(thing=t)) for t in untaught for w in untaught[t]],
    }
