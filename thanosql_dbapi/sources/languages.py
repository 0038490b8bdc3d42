"""Which scripts a text is written in, and whether a model of the catalog knows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from ..errors import SourceError, clip
from .catalog import BUILT_IN_MODEL, Catalog, Entry, load_catalog

MANY = "mul"
# How the Unicode names of a script's letters begin → languages written in it.
_SCRIPTS = {
    "HANGUL": ("ko",),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "CJK": ("zh", "ja"),
    "CYRILLIC": ("ru", "uk", "bg", "sr", "be", "kk", "mn"),
    "ARABIC": ("ar", "fa", "ur"),
    "HEBREW": ("he",),
    "DEVANAGARI": ("hi", "mr", "ne"),
    "BENGALI": ("bn",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "THAI": ("th",),
    "GREEK": ("el",),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy",),
}
_SHOWN = {"CJK": "Chinese characters"}


def lacking(
    name: str,
    source: str,
    fingerprint: str,
    text: str,
    catalog: Callable[[], Catalog],
    warned: set[tuple[str, str]],
) -> str:
    """Return a warning of a script that a model lacks, or "".

    Args:
        name: The model's name.
        source: Where it came from, as the catalog says.
        fingerprint: The model's.
        text: What is searched for.
        catalog: Gives the catalog.
        warned: The models and scripts that were looked at; added to.
    """
    new = [script for script in scripts_of(text) if (name, script) not in warned]
    if not new:
        return ""
    warned.update((name, script) for script in new)
    try:
        models = list(catalog().models.values())
    except SourceError:  # the user's catalog, which this statement does not need
        models = list(load_catalog().models.values())
    found = [each for each in models if each.languages and _same(each.source, source)]
    script = next((script for script in new if found and not _knows(found[0], script)), None)
    if script is None:
        return _of_earlier(name, fingerprint) if source == BUILT_IN_MODEL and found else ""
    better = _better(models, script)
    take = f"; GET THANOSQL MODEL {' or '.join(better)} gets one that does" if better else ""
    return (
        f"model {clip(name)} does not know {_SHOWN.get(script, script.capitalize())}, and what it"
        f" finds for such a text means nothing: its languages are {', '.join(found[0].languages)}"
        f"{take}"
    )


def _of_earlier(name: str, fingerprint: str) -> str:
    """Return a warning where the built-in model is one that an earlier release brought, or ""."""
    from ..models.folder import fingerprint as fingerprint_of
    from ..storybook import MODEL_FOLDER

    if fingerprint == fingerprint_of(MODEL_FOLDER):
        return ""
    return (
        f"model {clip(name)} came with an earlier release and knows English only, so what it finds"
        " for such a text means nothing; GET THANOSQL MODEL storybook_clip OPTIONS"
        " (overwrite=True) gets today's, which knows Korean; then CONVERT the table again"
    )


def _better(models: list[Entry], script: str) -> list[str]:
    """Return the names of a model made for few languages, and of one that knows many.

    The built-in one is no answer: it knows nothing of photographs.
    """
    knowing = [each for each in models if _knows(each, script) and each.source != BUILT_IN_MODEL]
    knowing.sort(key=lambda each: (is_non_commercial(each.license), len(each.languages)))
    few = [each.name for each in knowing if MANY not in each.languages]
    many = [each.name for each in knowing if MANY in each.languages]
    return [*few[:1], *many[:1]]


def scripts_of(text: str) -> list[str]:
    """Return the scripts of a text other than Latin, in the order of their first letters."""
    names = (unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    return list(dict.fromkeys(name for name in names if name in _SCRIPTS))


def is_non_commercial(licence: str) -> bool:
    """Return whether a licence says that it allows no commercial use."""
    words = licence.lower().replace("-", " ").split()
    return "nc" in words or "noncommercial" in words or "non commercial" in " ".join(words)


def _knows(entry: Entry, script: str) -> bool:
    return not {MANY, *_SCRIPTS[script]}.isdisjoint(entry.languages)


def _same(one: str, other: str) -> bool:
    return one.partition("@")[0] == other.partition("@")[0]
