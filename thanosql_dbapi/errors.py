"""The exceptions: sqlite3's own classes, and ours derived from them.

    sqlite3.Warning
    sqlite3.Error
     ├── InterfaceError
     └── DatabaseError
          ├── DataError
          │    └── MediaError          an image that cannot be read
          ├── OperationalError
          │    ├── ModelError          a model that is missing, damaged or of another kind
          │    └── SourceError         a data set, file, archive or download that failed
          ├── IntegrityError
          ├── InternalError
          ├── ProgrammingError
          │    ├── StatementError      a ThanoSQL statement that does not parse
          │    └── WorkspaceError      a path that a statement may not read or write
          └── NotSupportedError
               └── ExtensionError      sqlite-vec cannot be loaded into this Python's SQLite

Code that catches ``sqlite3.Error`` therefore catches everything raised here. This module
imports nothing of the package.
"""

from __future__ import annotations

import builtins
import sys
import warnings
from pathlib import Path
from sqlite3 import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from unicodedata import east_asian_width

__all__ = [
    "ConvertWarning",
    "DataError",
    "DatabaseError",
    "Error",
    "ExtensionError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LicenseWarning",
    "MediaError",
    "MediaWarning",
    "ModelError",
    "ModelWarning",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "SourceError",
    "StatementError",
    "Warning",
    "WorkspaceError",
    "clip",
    "clip_path",
    "warn_user",
]

_PACKAGE = str(Path(__file__).parent)


def clip(value: object, limit: int = 80) -> str:
    """Return ``repr(value)``, shortened to ``limit`` characters for a message.

    Never raises, whatever the value is.
    """
    if isinstance(value, (str, bytes)):
        value = value[: limit + 1]  # not all of a long one is shown
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def clip_path(path: str | Path, limit: int = 80) -> str:
    """Return a path in quotes, of a long one the end: it names the file."""
    text = repr(str(path))
    return text if len(text) <= limit else f"'…{text[2 - limit :]}"


def warn_user(message: str, category: type[builtins.Warning]) -> None:
    """Warn at the line outside this package that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class StatementError(ProgrammingError):
    """A ThanoSQL statement that does not parse.

    The text of the exception holds the message, the place, the line at fault and a caret under
    the spot. The facts are attributes too, so that an editor need not read them out of the text.

    Attributes:
        message: What was expected and what was found, without the place.
        statement: The whole text of the statement.
        line: Line of the spot, from 1.
        column: Column of the spot in characters, from 1.
        hint: What to write instead, or None.

    Example:
        >>> error = StatementError("expected USING", statement="SEARCH IMAGE x", offset=13)
        >>> print(error)
        expected USING (line 1, column 14)
          SEARCH IMAGE x
                       ^
    """

    def __init__(
        self, message: str, *, statement: str = "", offset: int = 0, hint: str | None = None
    ) -> None:
        self.message = message
        self.statement = statement
        self.offset = offset
        self.hint = hint
        before = statement[:offset]
        self.line = before.count("\n") + 1
        self.column = offset - (before.rfind("\n") + 1) + 1
        super().__init__(self._render())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the constructor's arguments: BaseException would pass the rendered text."""
        return _rebuild, (type(self), self.message, self.statement, self.offset, self.hint)

    def _render(self) -> str:
        text = f"{self.message} (line {self.line}, column {self.column})"
        if self.hint:
            text += f"; {self.hint}"
        # Cut at line feeds alone, as the line is counted; splitlines() knows more separators.
        source = self.statement.split("\n")[self.line - 1]
        start = max(0, self.column - 61)
        shown = "".join(c if c.isprintable() else " " for c in source[start : start + 100])
        before = shown[: self.column - 1 - start]
        if shown.strip():
            text += f"\n  {shown.rstrip()}\n  {' ' * _width(before)}^"
        return text


def _width(text: str) -> int:
    """Return how many columns a text fills in a terminal: Korean letters fill two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def _rebuild(
    kind: type[StatementError], message: str, statement: str, offset: int, hint: str | None
) -> StatementError:
    return kind(message, statement=statement, offset=offset, hint=hint)


class MediaError(DataError):
    """An image that cannot be read: missing, damaged, of an unknown format, or too large."""


class ConvertWarning(UserWarning):
    """A CONVERT whose vectors are not stored: without a table, or of rows that have changed."""


class LicenseWarning(UserWarning):
    """The terms of what a GET is about to download, and where they are."""


class MediaWarning(UserWarning):
    """Images that a CONVERT could not read, a GET not find, a COPY left out: how many, and why."""


class ModelWarning(UserWarning):
    """A model that is not the one, or does not read all of the text, that one would think."""


class ModelError(OperationalError):
    """A model that is not registered, whose files are damaged, or that is of another kind."""


class SourceError(OperationalError):
    """A data set, file, archive or download that is missing, damaged or cannot be reached."""


class WorkspaceError(ProgrammingError):
    """A path outside the folders that the connection's statements may read or write.

    Args:
        reason: What is wrong.
        folder: The folder that ``connect`` would have to allow; None where that would not help.
    """

    def __init__(self, reason: str, folder: str | None = None) -> None:
        self.reason, self.folder = reason, folder
        super().__init__(
            reason
            if folder is None
            else f"{reason}; move it there, or open the connection with"
            f" allowed_directories=[{folder!r}]"
        )


class ExtensionError(NotSupportedError):
    """The sqlite-vec extension cannot be loaded into the SQLite of this Python."""
