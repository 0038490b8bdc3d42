"""Folders of media: one row a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import SourceError, clip
from .table import Row, Table

_IMAGES = {".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
_NEWER_IMAGES = {".avif", ".heic", ".heif"}

MEDIA = {
    "image_path": frozenset(_IMAGES | _NEWER_IMAGES),
    "audio_path": frozenset({".wav", ".flac", ".mp3", ".ogg", ".m4a"}),
    "video_path": frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm"}),
}
"""The column that a file's path goes in, by its suffix."""

_DIGITS = re.compile("([0-9]+)")


def media_table(folder: Path, relative_to: Path) -> Table:
    """Return the paths of the media files under a folder, folders in it included.

    There is one column, ``image_path`` when the folder has an image, else ``audio_path``, else
    ``video_path``; ``skipped`` counts the media files of the other kinds. Paths use ``/`` and are
    sorted as people count: 2.jpg comes before 10.jpg. Hidden files and folders are left out, as
    are symbolic links to folders and to files outside the folder.

    Args:
        folder: The folder.
        relative_to: Paths inside this folder are relative to it; others are absolute.

    Raises:
        SourceError: The folder is missing, cannot be read, or has no media file.
    """
    where = f"folder {str(folder)!r}"
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise SourceError(f"{where}: expected a folder of media files, got {got}")
    found: dict[str, list[str]] = {column: [] for column in MEDIA}
    others = 0
    base = relative_to.resolve()
    for path in _files(folder.resolve(), where):
        column = next((each for each in MEDIA if path.suffix.lower() in MEDIA[each]), None)
        if column is None:
            others += 1
            continue
        found[column].append(
            (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
        )
    column = next((each for each in MEDIA if found[each]), None)
    if column is None:
        expected = " ".join(sorted(suffix for suffixes in MEDIA.values() for suffix in suffixes))
        raise SourceError(
            f"{where}: expected images, audio or video files ({expected}), got none"
            f" ({others} other file{'' if others == 1 else 's'})"
        )
    paths = sorted(_checked(found[column], where), key=_natural)
    skipped = sum(map(len, found.values())) - len(paths)

    def rows() -> Iterator[Row]:
        return ((path,) for path in paths)

    return Table((column,), ("TEXT",), rows, len(paths), skipped)


def _files(folder: Path, where: str) -> Iterator[Path]:
    """Yield the files under a folder that are not hidden and lie in it."""

    def fail(error: OSError) -> None:
        raise SourceError(
            f"{where}: {str(error.filename)!r} cannot be read: {error.strerror}"
        ) from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(folder):
                continue
            yield path


def _checked(paths: list[str], where: str) -> list[str]:
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise SourceError(
                f"{where}: the name of {clip(path)} is not UTF-8, which SQLite cannot store;"
                " rename the file"
            ) from error
    return paths


def _natural(path: str) -> tuple[list[list[tuple[int, int, str]]], str]:
    """Return a sort key: folder by folder, numbers by value and before letters, case aside."""
    parts = path.casefold().split("/")
    return [[_piece(piece) for piece in _DIGITS.split(part) if piece] for part in parts], path


def _piece(piece: str) -> tuple[int, int, str]:
    return (0, int(piece), "") if _DIGITS.fullmatch(piece) else (1, 0, piece)
