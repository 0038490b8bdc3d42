"""What may be known of a source before it is decoded; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Content:
    """What a source holds.

    Attributes:
        key: A digest of the model and the content.
        stamp: What would change with the content of a file.
    """

    key: bytes
    stamp: object = None


class Known(Protocol):
    """Tells sources by their content, and knows vectors by it; used by several threads at once."""

    def content(self, source: Any) -> Content | None:
        """Return what a source holds; None where that cannot be told."""
        ...

    def is_still(self, source: Any, content: Content) -> bool:
        """Return whether a source has not changed since its content was told."""
        ...

    def has(self, key: Any, content: bytes) -> bool:
        """Return whether a row has the vector of this content already."""
        ...

    def vector(self, content: bytes) -> bytes | None:
        """Return the float32 vector of a content, or None."""
        ...


class KnowsNothing:
    """Every source is embedded."""

    def content(self, source: Any) -> Content | None:  # noqa: D102 - Known has it
        return None

    def is_still(self, source: Any, content: Content) -> bool:  # noqa: D102
        return False

    def has(self, key: Any, content: bytes) -> bool:  # noqa: D102
        return False

    def vector(self, content: bytes) -> bytes | None:  # noqa: D102
        return None


KNOWS_NOTHING = KnowsNothing()
