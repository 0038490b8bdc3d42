"""What a COPY of a folder says: what was left out, and that nothing was found."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MediaWarning, SourceError, clip, warn_user
from ..planning.report import Skipped
from ..sources.folder import Reason
from .origins import Origin

_BY_SUFFIX = (Reason.RAW, Reason.PICTURE, Reason.MEDIUM)
_BY_NAME = (Reason.UNREADABLE, Reason.NAME, Reason.ODD_NAME, Reason.LINK, Reason.SPECIAL)
_SHOWN = 8


def nothing_found(origin: Origin, skipped: Sequence[Skipped]) -> SourceError:
    """Return the error for an origin without a media file, which says what there is instead."""
    if not origin.is_there:
        return SourceError(f"{origin.absence}; nothing was changed")
    found = f"; {origin.emptiness}"
    if skipped:
        each = [f"{skip.count:,} {_label(skip)} ({skip.reason})" for skip in skipped]
        more = f" and {len(each) - _SHOWN:,} kinds more" if len(each) > _SHOWN else ""
        found = f"; it has {', '.join(each[:_SHOWN])}{more}{_remedy(skipped)}"
    return SourceError(
        f"{origin.shown}: expected pictures, audio or video files, got none{found}; nothing was"
        " changed"
    )


def _label(skip: Skipped) -> str:
    by_name = {reason.value for reason in _BY_NAME}
    if skip.reason in by_name:
        return f"such as {_plain(skip.examples[0])}"
    return _plain(skip.suffix or "without a suffix")


def nothing_left(origin: Origin, table: str, count: int, skipped: Sequence[Skipped]) -> SourceError:
    """Return the error for an origin whose files are all gone, which ``sync`` does not believe.

    Args:
        origin: The folder, bucket or archive.
        table: The table's name.
        count: How many of its files the table has.
        skipped: What is in the folder.
    """
    if not count:
        return nothing_found(origin, skipped)
    now = f"{origin.shown} has no file for them now" if origin.is_there else origin.absence
    return SourceError(
        f"COPY: {now}, and table {clip(table)} has {count:,} files of it; {origin.hint}to"
        " remove the rows, say OPTIONS (if_exists='sync', allow_empty=True); nothing was changed"
    )


def warn_of_skipped(origin: Origin, table: str, skipped: Sequence[Skipped]) -> None:
    """Say in one warning what was left out that the user may have wanted.

    Args:
        origin: The folder, bucket or archive.
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
            f"COPY {_plain(table)}: left out of {origin.shown}: {'; '.join(parts)}"
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
