"""Keeps ATTACH and VACUUM INTO inside the workspace, for servers that run other people's SQL.

SQLite asks its authorizer before it attaches a file, and VACUUM INTO attaches the file that it
writes. An authorizer of the program's own works beside this one.

Source: https://www.sqlite.org/c3ref/set_authorizer.html
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import clip
from .location import read_uri, reads_uris

Authorizer = Callable[..., Any]

# Folders that SQLite would write temporary files to.
_PLACES = ("temp_store_directory", "data_store_directory")


class Guard:
    """An authorizer that refuses files outside a folder.

    Args:
        root: The folder, links resolved.
        is_uri: Whether the connection was opened with ``uri=True``.

    Attributes:
        own: The program's own authorizer, or None.
    """

    def __init__(self, root: Path, *, is_uri: bool) -> None:
        self.own: Authorizer | None = None
        self._root = root
        self._is_uri = is_uri
        self._reason: str | None = None

    def __call__(self, action: int, one: str | None, two: str | None, *more: Any) -> Any:
        """Say whether SQLite may do something: ``SQLITE_OK``, ``SQLITE_DENY``."""
        reason = None
        if action == sqlite3.SQLITE_ATTACH:
            reason = self._refusal(one)
        elif action == sqlite3.SQLITE_PRAGMA and two is not None and str(one).lower() in _PLACES:
            reason = f"PRAGMA {one} is refused by confine_attach=True; nothing was changed"
        if reason is not None:
            self._reason = reason
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if self.own is None else self.own(action, one, two, *more)

    def take_reason(self) -> str | None:
        """Return why the last statement was refused, once; SQLite says "not authorized" alone."""
        reason, self._reason = self._reason, None
        return reason

    def _refusal(self, name: str | None) -> str | None:
        if name is None:
            return (
                "ATTACH: with confine_attach=True the file's name must be a text in the statement,"
                " not a parameter or an expression; nothing was changed"
            )
        outside = next((each for each in self._meanings(name) if not self._is_inside(each)), None)
        if outside is None:
            return None
        return (
            f"ATTACH or VACUUM INTO of {clip(name)} is refused by confine_attach=True: it lies"
            f" outside the workspace {str(self._root)!r}, where relative names start at the current"
            f" folder {os.getcwd()!r}; nothing was changed"  # noqa: PTH109
        )

    def _meanings(self, name: str) -> list[str]:
        """Return the paths that a name may stand for, none where it is of no file."""
        if not name.startswith("file:"):
            return [] if name in ("", ":memory:") else [name]
        path, parameters = read_uri(name)
        modes = [value for key, value in parameters if key == "mode"]  # the last one counts
        is_memory = modes[-1:] == ["memory"] or path in ("", ":memory:")
        # Where it cannot be known whether SQLite takes it for a URI, both must be inside.
        plain = [] if self._is_uri or reads_uris() else [name]
        return plain if is_memory else [*plain, path]

    def _is_inside(self, path: str) -> bool:
        try:
            return Path(path).resolve().is_relative_to(self._root)
        except (OSError, RuntimeError, ValueError):
            return False
