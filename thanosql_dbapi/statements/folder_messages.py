"""What a COPY of a folder says: what was left out, and that nothing was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import MediaWarning, SourceError, clip, warn_user
from ..planning.report import Skipped
from ..sources.folder import Reason

_BY_SUFFIX = (Reason.RAW, Reason.PICTURE, Reason.MEDIUM)
_BY_NAME = (Reason.UNREADABLE, Reason.NAME, Reason.LINK, Reason.SPECIAL)
_SHOWN = 8


def nothing_found(folder: Path, skipped: Sequence[Skipped]) -> SourceError:
    """Return the error for a folder without a media file, which says what there is instead."""
    where = f"folder {str(folder)!r}"
    if not folder.exists():
        return SourceError(f"{where} does not exist; nothing was changed")
    found = "; it is empty"
    if skipped:
        each = [f"{skip.count:,} {_label(skip)} ({skip.reason})" for skip in skipped]
        more = f" and {len(each) - _SHOWN:,} kinds more" if len(each) > _SHOWN else ""
        found = f"; it has {', '.join(each[:_SHOWN])}{more}{_remedy(skipped)}"
    return SourceError(
        f"{where}: expected pictures, audio or video files, got none{found}; nothing was changed"
    )


def _label(skip: Skipped) -> str:
    by_name = {reason.value for reason in _BY_NAME}
    if skip.reason in by_name:
        return f"such as {_plain(skip.examples[0])}"
    return _plain(skip.suffix or "without a suffix")


def nothing_left(folder: Path, table: str, count: int, skipped: Sequence[Skipped]) -> SourceError:
    """Return the error for a folder whose files are all gone, which ``sync`` does not believe.

    Args:
        folder: The folder.
        table: The table's name.
        count: How many of its files the table has.
        skipped: What is in the folder.
    """
    if not count:
        return nothing_found(folder, skipped)
    is_there = folder.exists()
    now = "has no file for them now" if is_there else "does not exist"
    return SourceError(
        f"COPY: folder {str(folder)!r} {now}, and table {clip(table)} has"
        f" {count:,} files of it; if a disk is not plugged in, nothing is lost; to"
        " remove the rows, say OPTIONS (if_exists='sync', allow_empty=True); nothing was changed"
    )


def warn_of_skipped(folder: Path, table: str, skipped: Sequence[Skipped]) -> None:
    """Say in one warning what was left out that the user may have wanted.

    Args:
        folder: The folder.
        table: The table's name.
        skipped: What was left out.
    """
    parts = []
    for reason in Reason:
        found = [skip for skip in skipped if skip.reason == reason.value]
        if not found or reason not in (*_BY_SUFFIX, *_BY_NAME):
            continue
        count = sum(skip.count for skip in found)
        if reason in _BY_SUFFIX:
            shown = [f"{_plain(skip.suffix)} ({skip.count:,})" for skip in found]
            more = len(shown) - _SHOWN
        else:
            shown = [_plain(each) for skip in found for each in skip.examples][:3]
            more = count - len(shown)
        rest = f" and {more:,} more" if more > 0 else ""
        parts.append(f"{reason.value}: {', '.join(shown[:_SHOWN])}{rest}")
    if parts:
        warn_user(
            f"COPY {_plain(table)}: left out of folder {str(folder)!r}: {'; '.join(parts)}"
            f"{_remedy(skipped)}"
            " (Connection.report has all that got no row)",
            MediaWarning,
        )


def _remedy(skipped: Sequence[Skipped]) -> str:
    """Return what to install for pictures that were left out, or an empty text."""
    from ..embedding.formats import picture_suffixes

    needed = picture_suffixes()
    extras = {
        extra.name for skip in skipped if (extra := needed.get(skip.suffix or "")) is not None
    }
    return (
        f'; to read more, pip install "thanosql-dbapi[{",".join(sorted(extras))}]"'
        if extras
        else ""
    )


def _plain(text: str) -> str:
    """Return a file's name for a message: one that could command a terminal as its repr."""
    return text if text.isprintable() else repr(text)
