"""What is read in a tree is read once, and kept by the tree's identity."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")
Node = TypeVar("Node")

_MOST_KEPT = 512


def once_a_tree(reader: Callable[[Node], T]) -> Callable[[Node], T]:
    """Keep what a function reads in a tree, by the tree's identity.

    Two trees of equal words are equal and stand in two places: what is read in one holds the
    statements of that one.
    """
    kept: dict[int, tuple[Node, T]] = {}

    @wraps(reader)
    def read_once(tree: Node) -> T:
        found = kept.get(id(tree))
        if found is None or found[0] is not tree:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            found = kept[id(tree)] = tree, reader(tree)
        return found[1]

    return read_once
