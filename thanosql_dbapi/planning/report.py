"""What a statement that changes a table did, for programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """Entries of a folder that got no row, all for one reason and of one suffix.

    Attributes:
        reason: Why, in a few words; the same words each time.
        suffix: Their suffix in lower case, e.g. ``".nef"``; of folders, the name and ``/``.
        count: How many.
        examples: The first of them, at most three, with what the operating system said.
    """

    reason: str
    suffix: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What the last COPY of a connection did.

    The numbers are rows; for a folder they are files, which are rows unless several rows name one
    file.

    Attributes:
        statement: ``"COPY"``.
        table: The table's name.
        added: New in the table.
        updated: Files whose content has changed since they were last seen.
        moved: Files that have another path now, in their old rows.
        removed: Files that are gone, and their rows.
        unchanged: Files that are as they were.
        skipped: What of the folder got no row.

    Example:
        >>> Report("COPY", "photos", added=3, unchanged=120).added
        3
    """

    statement: str
    table: str
    added: int = 0
    updated: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: tuple[Skipped, ...] = ()
