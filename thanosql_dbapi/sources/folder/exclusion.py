"""What is left out of a folder: by default, and by the user's own patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase, translate
from unicodedata import normalize

_SYSTEM = (
    # Synology, QNAP and other network storage: thumbnails, recycle bins, snapshots.
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@__thumb"),
    *("@sharebin", "@syno*", "network trash folder", "~snapshot"),
    # Windows, macOS and Linux.
    *("$recycle.bin", "recycler", "system volume information", "found.[0-9][0-9][0-9]"),
    *("lost+found", "__macosx", "temporary items", ".trash*", ".thumbnails", ".stversions"),
    # Previews of photo libraries and of programs that serve pictures.
    *("*.lrdata", "appdata_oc*"),
)
_is_system = re.compile("|".join(map(translate, _SYSTEM))).match

_LIBRARIES = (
    *(".photoslibrary", ".photolibrary", ".migratedphotolibrary"),
    *(".aplibrary", ".migratedaplibrary", ".cocatalog"),
)
_ORIGINALS = frozenset({"originals", "masters"})
"""The folders of a photo library that hold the pictures as they were taken."""


def is_system_folder(name: str, parent: str) -> bool:
    """Return whether a folder holds what a system or program keeps for itself.

    Args:
        name: Its name.
        parent: The name of the folder that it is in; of a photo library, only the originals count.
    """
    name = name.casefold()
    if parent.casefold().endswith(_LIBRARIES):
        return name not in _ORIGINALS
    return _is_system(name) is not None


class Exclusion:
    """The patterns of the option ``exclude``, as in a .gitignore file, case aside.

    Args:
        patterns: ``*.tmp`` is every entry of such a name, in any folder; ``private/`` is every
            folder of that name; ``2019/raw`` and ``/raw`` start at the folder that is read.

    Example:
        >>> Exclusion(["*.tmp", "private/"]).excludes("2024/a.TMP", is_folder=False)
        True
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns: list[tuple[str, bool, bool]] = []
        for pattern in patterns:
            text = _folded(pattern).removeprefix("./")
            bare = text.strip("/")
            if bare:
                is_anchored = "/" in text.rstrip("/")
                self._patterns.append((bare, is_anchored, text.endswith("/")))

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Return whether an entry is left out.

        Args:
            path: Its path in the folder that is read, with ``/``.
            is_folder: Whether it is a folder.
        """
        if not self._patterns:
            return False
        path = _folded(path)
        name = path.rpartition("/")[2]
        return any(
            (is_folder or not for_folders) and fnmatchcase(path if is_anchored else name, pattern)
            for pattern, is_anchored, for_folders in self._patterns
        )


def _folded(text: str) -> str:
    return normalize("NFC", text).casefold()
