"""Which family a folder's model is of.

``model_type`` in ``config.json`` decides. Another package adds a family by an entry point of the
group ``thanosql.families``, named as the model type, that gives a ``Family``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import ModelError, clip
from ..files import CONFIG, read_config
from .protocol import Family
from .refused import reason

GROUP = "thanosql.families"
# model_type → module. They are imported when a folder asks for them.
BUILT_IN = {
    "clip": "clip",
    "siglip": "siglip",
    "metaclip_2": "metaclip2",
    "altclip": "altclip",
    "chinese_clip": "chineseclip",
}


def family_of(config: dict[str, Any], folder: Path) -> Family:
    """Return the family of a folder's model.

    Args:
        config: What ``config.json`` says.
        folder: The folder, for the message.

    Raises:
        ModelError: There is none of its model type; the message says why, and what to take instead.
    """
    kind = config.get("model_type")
    family = _family(kind) if isinstance(kind, str) else None
    if family is None:
        known = dict.fromkeys([*BUILT_IN, *(point.name for point in _points())])
        raise ModelError(
            f"model folder {str(folder)!r} holds no model of a kind that is known here: expected"
            f' "model_type" in {CONFIG} to be one of {", ".join(map(repr, known))}, got'
            f" {clip(kind)}; {reason(config)}"
        )
    return family


def read_family(folder: Path) -> Family:
    """Return the family of a folder's model, as its ``config.json`` says.

    Raises:
        ModelError: There is no configuration, or no family for it.
    """
    return family_of(read_config(folder), folder)


@lru_cache(maxsize=64)
def _family(model_type: str) -> Family | None:
    if model_type in BUILT_IN:
        module = importlib.import_module(f".{BUILT_IN[model_type]}", __package__)
        family: Family = module.FAMILY
        return family
    for point in _points():
        if point.name == model_type:
            return _loaded(point)
    return None


def _points() -> Iterable[Any]:
    from importlib.metadata import entry_points  # slow to import, and seldom asked for

    return entry_points(group=GROUP)


def _loaded(point: Any) -> Family:
    try:
        family = point.load()
    except Exception as exc:
        raise ModelError(
            f"the family of models {point.name!r} cannot be loaded from {point.value}:"
            f" {type(exc).__name__}: {clip(str(exc), 200)}; correct or remove the package that has"
            " it"
        ) from exc
    family = family() if isinstance(family, type) else family
    if not isinstance(family, Family):
        raise ModelError(
            f"the family of models {point.name!r}: {point.value} gives {clip(family)}, expected a"
            " Family"
        )
    return family
