"""The modules import one another in one direction: no circles, and no arrow from a lower room up.

Imports inside functions count, and those for type checkers alone: what a module names in its types
it knows. ``ROOMS`` has the rooms of docs/design.md, lowest first.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("thanosql_dbapi", "sqlalchemy_thanosql", "thanosql")
BASE = (
    *(
        "errors",
        "progress",
        "cores",
        "openfile",
        "option",
        "places",
        "workspace",
        "vectors",
        "settings",
        "sqlite3_compat",
    ),
    "_version",
)
# Rooms on one line may not use one another, but for BESIDE.
ROOMS: tuple[tuple[str, ...], ...] = (
    tuple(f"thanosql_dbapi.{name}" for name in BASE),
    ("thanosql_dbapi.language",),
    ("thanosql_dbapi.planning",),
    (
        "thanosql_dbapi.models",
        "thanosql_dbapi.sources",
        "thanosql_dbapi.storybook",
        "thanosql_dbapi.embedding",
        "thanosql_dbapi.training",
    ),
    ("thanosql_dbapi.stores",),
    ("thanosql_dbapi.statements",),
    tuple(
        f"thanosql_dbapi.{name}"
        for name in ("plain_texts", "sharing", "cursor", "connection", "opening", "explanation")
    ),
    ("thanosql_dbapi.ui",),
    # The face of the driver, which imports the magics when IPython asks for them.
    ("thanosql_dbapi", "thanosql_dbapi.__main__"),
    ("sqlalchemy_thanosql", "thanosql"),
)
# Modules of these rooms may use one another, as long as there is no circle.
OPEN = (0, 6, 8, 9)
BESIDE = {
    ("thanosql_dbapi.sources", "thanosql_dbapi.models"),
    ("thanosql_dbapi.sources", "thanosql_dbapi.storybook"),
    ("thanosql_dbapi.embedding", "thanosql_dbapi.models"),
    ("thanosql_dbapi.embedding", "thanosql_dbapi.sources"),
    ("thanosql_dbapi.training", "thanosql_dbapi.models"),
    ("thanosql_dbapi.storybook", "thanosql_dbapi.training"),
}
# Programs that train and measure the built-in model.
PROGRAMS = ("thanosql_dbapi.storybook.quality", "thanosql_dbapi.storybook.recipe")

KNOWN: set[tuple[str, str]] = set()
"""(importing module, imported module) of arrows that are wrong and not yet removed."""


@cache
def modules() -> Mapping[str, Path]:
    """Return the modules of the packages by name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports_of(name: str) -> set[str]:
    """Return the modules of ours that a module imports, itself excluded."""
    path = modules()[name]
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in modules() else base)
    return (found & modules().keys()) - {name}


@cache
def graph() -> Mapping[str, set[str]]:
    """Return each module's imports, KNOWN left out."""
    return {
        name: {other for other in imports_of(name) if (name, other) not in KNOWN}
        for name in modules()
    }


def room_of(name: str) -> tuple[int, str]:
    """Return the place of a module's room from below, and the room's name."""
    fitting = [
        (place, room)
        for place, rooms in enumerate(ROOMS)
        for room in rooms
        if name == room or (name.startswith(f"{room}.") and room != "thanosql_dbapi")
    ]
    assert fitting, f"{name} is in no room; say in ROOMS where it belongs"
    return max(fitting, key=lambda found: len(found[1]))


def is_allowed(name: str, other: str) -> bool:
    (place, room), (other_place, other_room) = room_of(name), room_of(other)
    if name in PROGRAMS and other_room in ("thanosql_dbapi.models", "thanosql_dbapi.embedding"):
        return True
    if place != other_place:
        return other_place < place
    return room == other_room or place in OPEN or (room, other_room) in BESIDE


def test_there_is_no_circle_of_imports() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_module_imports_from_a_higher_room() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in sorted(graph().items())
        for other in sorted(others)
        if not is_allowed(name, other)
    ]
    assert wrong == []


def test_every_known_exception_still_exists() -> None:
    assert {(name, other) for name, other in KNOWN if other not in imports_of(name)} == set()


def test_display_knows_nothing_of_statements_or_language() -> None:
    rooms = {room_of(other)[1] for other in graph()["thanosql_dbapi.ui.display"]}
    assert not rooms & {"thanosql_dbapi.statements", "thanosql_dbapi.language"}
