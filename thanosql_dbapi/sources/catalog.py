"""What data sets and models there are: the package's catalog, and the user's laid over it.

A catalog is a JSON file, on disk or at a URL::

    {"datasets": {"photos": {"source": "photos.zip", "sha256": "…", "description": "…",
                             "license": "…"}},
     "models":   {"mine":   {"source": "hf:org/name@revision", "base": "clipen", "sha256": "…",
                           "languages": ["ko", "en"]}}}

``source`` is one of ``hf:org/name[@revision]`` (models), an http(s) URL or a path of a zip or tar
archive, a path of a folder, ``unsplash:RELEASE`` (data sets), ``builtin:storybook`` and
``builtin:storybook_clip``. Relative paths start at the catalog.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union
from urllib.parse import urljoin

from ..errors import SourceError, clip, clip_path
from ..workspace import with_home
from .network import fetch_bytes, is_url, refuse_offline, shown_url

BUILT_IN = Path(__file__).with_name("catalog.json")
SIZE_LIMIT_BYTES = 16 << 20
NAME_LIMIT_BYTES = 100

DATASET = "data set"
MODEL = "model"
_FIELDS = {
    DATASET: ("source", "sha256", "description", "license"),
    MODEL: ("source", "base", "sha256", "description", "license", "size"),
}
_LIST = {DATASET: "LIST THANOSQL DATASET", MODEL: "LIST THANOSQL MODEL"}
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
LANGUAGES = "languages"
BUILT_IN_MODEL = "builtin:storybook_clip"
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_BASE = re.compile(r"\w+")
# NUL and half of a pair: JSON can write them, files and SQLite cannot have them.
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Entry:
    """One data set or model of a catalog.

    Attributes:
        name: Its name, in GET and as a folder.
        source: Where it comes from; a path is absolute.
        sha256: Checksum of the archive, lower case, or "" for none.
        description: What it is.
        license: Its licence.
        size: How much is downloaded, in words.
        languages: The codes of the languages that a model's texts may be in, such as ``"ko"``;
            ``"mul"`` stands for many. Empty where the catalog does not say.
        base: A model's base algorithm, the end of its column's name; "" for that of its family, and
            for a data set.
        kind: ``"data set"`` or ``"model"``.
        catalog: The catalog file or URL that has the entry.
    """

    name: str
    source: str
    sha256: str = ""
    description: str = ""
    license: str = ""
    base: str = ""
    size: str = ""
    languages: tuple[str, ...] = ()
    kind: str = MODEL
    catalog: str = ""

    @property
    def shown_source(self) -> str:
        """The source for messages and records: without a login, if it is a URL that has one."""
        return shown_url(self.source)


@dataclass(frozen=True)
class Catalog:
    """The data sets and models by name.

    Attributes:
        datasets: Data sets by name.
        models: Models by name.
    """

    datasets: Mapping[str, Entry]
    models: Mapping[str, Entry]

    def dataset(self, name: str) -> Entry:
        """Return a data set.

        Raises:
            SourceError: There is none of that name; the nearest one is named.
        """
        return _find(self.datasets, name, DATASET)

    def model(self, name: str) -> Entry:
        """Return a model.

        Raises:
            SourceError: There is none of that name; the nearest one is named.
        """
        return _find(self.models, name, MODEL)


def load_catalog(
    location: Union[str, os.PathLike[str], None] = None,
    *,
    offline: bool = False,
    fetch: Callable[[str], bytes] | None = None,
) -> Catalog:
    """Return the built-in catalog with the user's laid over it.

    Args:
        location: Path or http(s) URL of the user's catalog, or None.
        offline: The network may not be used.
        fetch: Gives the bytes of a URL; None downloads them.

    Raises:
        SourceError: The user's catalog is missing, cannot be reached, or is malformed.

    Example:
        >>> load_catalog().model("tutorial_search_clip").base
        'clipen'
    """
    ours = _parse(BUILT_IN.read_text(encoding="utf-8"), str(BUILT_IN))
    if location is None:
        return ours
    place = os.fspath(location)
    if is_url(place):
        refuse_offline(offline, f"catalog {shown_url(place)!r}")
        content = fetch(place) if fetch else fetch_bytes(place, limit_bytes=SIZE_LIMIT_BYTES)
    else:
        place, content = _read(place)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SourceError(f"catalog {shown_url(place)!r} is not UTF-8 text: {exc}") from exc
    user = _parse(text, place)
    return Catalog({**ours.datasets, **user.datasets}, {**ours.models, **user.models})


def _read(place: str) -> tuple[str, bytes]:
    path = Path(with_home(place)).absolute()
    try:
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise OSError("expected a file, got a folder, device or pipe")
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise SourceError(
            f"catalog {clip_path(path)} cannot be read:"
            f" {getattr(exc, 'strerror', None) or exc}; give the path or URL of a JSON file as"
            " connect(catalog=…) or in THANOSQL_CATALOG"
        ) from exc
    if len(content) > SIZE_LIMIT_BYTES:
        raise SourceError(
            f"catalog {str(path)!r} is larger than the limit of {SIZE_LIMIT_BYTES:,} bytes"
        )
    return str(path), content


def _parse(text: str, place: str) -> Catalog:
    shown = shown_url(place)
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"catalog {shown!r} is not JSON: {exc}") from exc
    parts: dict[str, dict[str, Entry]] = {"datasets": {}, "models": {}}
    if not isinstance(content, dict):
        raise SourceError(
            f'catalog {shown!r}: expected an object with "datasets" and "models", got'
            f" {clip(content)}"
        )
    for key, kind in (("datasets", DATASET), ("models", MODEL)):
        entries = content.pop(key, {})
        if not isinstance(entries, dict):
            raise SourceError(
                f'catalog {shown!r}: "{key}" must be an object, entries by name, got'
                f" {clip(entries)}"
            )
        parts[key] = {name: _entry(kind, name, value, place) for name, value in entries.items()}
    for key in content:
        if near := difflib.get_close_matches(key, parts, 1):
            raise SourceError(f'catalog {shown!r}: unknown "{key}"; did you mean "{near[0]}"?')
    return Catalog(parts["datasets"], parts["models"])


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"the name {key!r} stands twice in one object")
        seen[key] = value
    return seen


def _entry(kind: str, name: str, value: Any, place: str) -> Entry:
    where = f"catalog {shown_url(place)!r}: {kind} {clip(name)}"
    if problem := name_problem(name):
        raise SourceError(f"{where}: {problem}")
    if not isinstance(value, dict):
        raise SourceError(f'{where}: expected an object with a "source", got {clip(value)}')
    fields = _FIELDS[kind]
    known = (*fields, LANGUAGES) if kind == MODEL else fields
    for key in value:
        # Catalogs may carry facts of their own; a misspelt "sha256" must not pass as one.
        if key not in known and (near := difflib.get_close_matches(key, known, 1, 0.75)):
            raise SourceError(f'{where}: unknown field "{key}"; did you mean "{near[0]}"?')
    texts: dict[str, Any] = {field: _text(value, field, where) for field in fields}
    if kind == MODEL:
        texts[LANGUAGES] = _languages(value.get(LANGUAGES), where)
    if not texts["source"]:
        raise SourceError(f'{where}: the field "source" is missing')
    if texts["sha256"] and not _SHA256.fullmatch(texts["sha256"]):
        raise SourceError(
            f'{where}: "sha256" must be 64 hexadecimal digits, got {clip(texts["sha256"])}'
        )
    if kind == MODEL and texts["base"] and not _BASE.fullmatch(texts["base"]):
        raise SourceError(
            f'{where}: "base" must be a word such as "clipen" (it ends the name of the vector'
            f" column), got {clip(texts['base'])}"
        )
    texts["sha256"] = texts["sha256"].lower()
    texts["source"] = _resolve(texts["source"], kind, where, place)
    return Entry(kind=kind, name=name, catalog=shown_url(place), **texts)


def _text(value: dict[str, Any], field: str, where: str) -> str:
    found = value.get(field)
    if field == "size" and isinstance(found, (int, float)) and not isinstance(found, bool):
        return str(found)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise SourceError(f'{where}: "{field}" must be a text, got {clip(found)}')
    if bad := _NO_CHARACTER.search(found):
        raise SourceError(
            f'{where}: "{field}" has {clip(bad.group())}, which is no character, in {clip(found)}'
        )
    return found.strip()


def _languages(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    value = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    if isinstance(value, list) and all(
        isinstance(code, str) and _LANGUAGE.fullmatch(code) for code in value
    ):
        return tuple(value)
    raise SourceError(
        f'{where}: "{LANGUAGES}" must be a list of the codes of languages such as ["en", "ko"],'
        f' or ["mul"] for many, got {clip(value)}'
    )


def _resolve(source: str, kind: str, where: str, place: str) -> str:
    """Return a source with its path made absolute, from where the catalog is."""
    if is_url(source):
        return source
    if source.startswith("builtin:"):
        names = {DATASET: "builtin:storybook", MODEL: BUILT_IN_MODEL}
        if source != names[kind]:
            raise SourceError(
                f'{where}: "source" {clip(source)} is unknown; a built-in {kind} is {names[kind]!r}'
            )
        return source
    if source.startswith("hf:"):
        if kind == DATASET:
            raise SourceError(
                f'{where}: "source" {clip(source)}: only models come from the Hugging Face hub;'
                " give the URL of a zip or tar archive"
            )
        return source
    if source.startswith("unsplash:"):
        if kind != DATASET or not re.fullmatch(r"unsplash:[\w.-]+(/[\w.-]+)*", source):
            raise SourceError(
                f'{where}: "source" {clip(source)}: expected a data set and unsplash:RELEASE, as'
                " in unsplash:lite/latest"
            )
        return source
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", source):
        raise SourceError(
            f'{where}: "source" must be hf:org/name[@revision], an http(s) URL, a path of an'
            f" archive or folder, unsplash:RELEASE, or builtin:…, got {clip(source)}"
        )
    if is_url(place):
        try:
            return urljoin(place, source)
        except ValueError as exc:
            raise SourceError(f'{where}: "source" {clip(source)} is no URL: {exc}') from exc
    return os.path.normpath(Path(place).parent / with_home(source))


def name_problem(name: str) -> str:
    """Return why a name cannot be a folder's, or ""."""
    if bad := _NO_CHARACTER.search(name):
        return f"a name has no {clip(bad.group())}"
    if not name or len(name.encode()) > NAME_LIMIT_BYTES:
        return f"a name has 1 to {NAME_LIMIT_BYTES} bytes"
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        return "a name neither starts nor ends with a space or a full stop"
    if bad := re.search(r'[\\/:*?"<>|\x00-\x1f]', name):
        return f"a name is also a folder's, which cannot have {bad.group()!r}"
    return ""


def _find(entries: Mapping[str, Entry], name: str, kind: str) -> Entry:
    if name in entries:
        return entries[name]
    folded = {key.casefold(): entry for key, entry in entries.items()}
    if name.casefold() in folded:  # SQL names are the same in any case
        return folded[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    meant = f"; did you mean {folded[near[0]].name!r}?" if near else ";"
    raise SourceError(
        f"no {kind} named {clip(name)} in the catalog{meant} {_LIST[kind]} shows them all"
    )
