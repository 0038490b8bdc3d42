"""Where a connection's files live, and which paths its statements may read.

Relative paths in statements and in ``image_path`` columns start at the workspace. A statement is
data from outside as often as it is typed by hand, so it reads inside the workspace and the
connection's ``allowed_directories`` only, with symbolic links resolved first.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Union
from unicodedata import normalize

from .errors import WorkspaceError, clip
from .openfile import OpenFile
from .places import STORES, Place, parse, scheme_of

StrPath = Union[str, "os.PathLike[str]"]

DATASETS = "thanosql-dataset"
MODELS = "thanosql-model"


class Workspace:
    """A folder and the further folders that may be read.

    Args:
        root: The workspace; relative paths start here.
        allowed_directories: Further folders whose files statements may read; and buckets, with
            or without a prefix, that they may read with the credentials of the environment.

    Attributes:
        root: The workspace, absolute, symbolic links resolved.
        allowed_directories: The further folders, likewise.
        allowed_buckets: The buckets, as they were given.
        linked: Where the folders of models and data sets are, if the user has made links of them.

    Example:
        >>> Workspace("/photos").locate("2026/cat.jpg").as_posix()
        '/photos/2026/cat.jpg'
    """

    def __init__(self, root: StrPath, allowed_directories: Iterable[StrPath] = ()) -> None:
        self.root = absolute(Path(), os.fspath(root))
        if isinstance(allowed_directories, (str, os.PathLike)):
            allowed_directories = [allowed_directories]
        given = [os.fspath(folder) for folder in allowed_directories]
        self.allowed_buckets = tuple(each for each in given if scheme_of(each) in STORES)
        self.allowed_directories = tuple(
            absolute(self.root, each) for each in given if each not in self.allowed_buckets
        )
        # A link that comes later may be somebody else's.
        own = (absolute(self.root, name) for name in (MODELS, DATASETS))
        self.linked = tuple(each for each in own if not each.is_relative_to(self.root))

    @property
    def datasets(self) -> Path:
        """Folder of the data sets, one folder each."""
        return self.root / DATASETS

    @property
    def models(self) -> Path:
        """Folder of the models, one folder each."""
        return self.root / MODELS

    def locate(self, path: StrPath) -> Path:
        """Return the absolute path a statement means; it need not exist.

        Args:
            path: A path as a statement or a row has it; relative ones start at the workspace.

        Raises:
            WorkspaceError: The path, symbolic links resolved, lies outside the workspace and the
                allowed directories; or no file can have it.
        """
        text = os.fspath(path)
        full = absolute(self.root, text)
        if self.holds(full):
            return full
        raise self._outside(text, full)

    def _outside(self, text: str, full: Path) -> WorkspaceError:
        return WorkspaceError(
            f"path {clip(text)} lies outside the workspace {str(self.root)!r}"
            f" (it is {str(full)!r})",
            str(full if is_folder(full) else full.parent),
        )

    def holds(self, full: Path) -> bool:
        """Return whether a resolved path may be read.

        It lies in the workspace or an allowed directory, or where the folder of models or data
        sets was a link to when the workspace was opened.
        """
        return self.owns(full) or any(full.is_relative_to(each) for each in self.linked)

    def owns(self, full: Path) -> bool:
        """Return whether files may be written at a resolved path."""
        return any(full.is_relative_to(each) for each in (self.root, *self.allowed_directories))

    def spelled(self, full: Path) -> str:
        """Return a resolved path as rows have it: with ``/``, relative inside the workspace."""
        return (full.relative_to(self.root) if full.is_relative_to(self.root) else full).as_posix()

    def is_own(self, place: Place) -> bool:
        """Return whether an object lies in one of the allowed buckets, under its prefix."""
        for each in map(parse, self.allowed_buckets):
            prefix = each.path.rstrip("/")
            if (place.scheme, place.bucket) == (each.scheme, each.bucket) and (
                not prefix or place.path == prefix or place.path.startswith(f"{prefix}/")
            ):
                return True
        return False

    def open(self, path: StrPath) -> OpenFile:
        """Open the file that a statement means, once; what is read is what was checked.

        Args:
            path: As for :meth:`locate`.

        Raises:
            WorkspaceError: As for :meth:`locate`.
            OSError: There is no such file, or it cannot be opened.
        """
        return OpenFile(self.locate(path))

    def place(self, folder: Path) -> Path:
        """Return where a folder of a data set or a model is written, which need not exist.

        Args:
            folder: A folder in :attr:`datasets` or :attr:`models`.

        Returns:
            The folder, its parent's links resolved, its own name as it is.

        Raises:
            WorkspaceError: The parent is a link to outside.
        """
        return self.writable(folder.parent) / folder.name

    def writable(self, folder: Path) -> Path:
        """Return a folder in which files may be written, links resolved.

        Raises:
            WorkspaceError: It lies, or is a link to, outside.
        """
        full = absolute(self.root, os.fspath(folder))
        if not self.owns(full):
            raise self._outside(os.fspath(folder), full)
        return full


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, whatever the path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, no permission on the way
        return False


def absolute(root: Path, text: str) -> Path:
    """Return the absolute path that a text means, links resolved.

    The one place where the text of a statement, a row or an option becomes a path.

    Args:
        root: Where a relative path starts.
        text: The path; it need not exist.

    Raises:
        WorkspaceError: No file can have it.
    """
    if "\0" in text:
        raise WorkspaceError(f"path {clip(text)} contains a NUL character")
    full = None
    try:
        full = (root / with_home(text)).resolve()
        full.stat()
    except (FileNotFoundError, NotADirectoryError):
        # It need not be there; opening it says what is wrong.
        full = full if full is None or text.isascii() else _written_otherwise(full)
    except PermissionError:
        pass
    except UnicodeError as error:
        raise WorkspaceError(
            f"path {clip(text)} has characters that no file name has: {error}"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        if full is not None and getattr(error, "errno", None) == errno.ENAMETOOLONG:
            return full  # opening it says that no file has it
        # Links in a circle are a RuntimeError before Python 3.13.
        is_circle = isinstance(error, RuntimeError) or getattr(error, "errno", 0) == errno.ELOOP
        reason = getattr(error, "strerror", None) or error
        reason = "its links lead in a circle" if is_circle else reason
        raise WorkspaceError(f"path {clip(text)} cannot be looked up: {reason}") from error
    if full is None:  # a link of /proc whose file is gone
        raise WorkspaceError(
            f"path {clip(text)} cannot be looked up: a link on the way leads nowhere"
        )
    return full


def _written_otherwise(missing: Path) -> Path:
    """Return a path that is there and differs in how its accents are written, or the path itself.

    Macs write é as e and an accent, other systems as one character, and a list of files and the
    files may come from two of them. The names that are there are left as they are.
    """
    found = Path(missing.anchor)
    for name in missing.parts[1:]:
        spellings = dict.fromkeys((name, normalize("NFC", name), normalize("NFD", name)))
        try:
            there = (found / each for each in spellings if os.path.lexists(found / each))
            step = next(there, None)
        except (OSError, ValueError):
            step = None
        if step is None:
            return missing
        found = step
    try:
        return found.resolve()
    except (OSError, RuntimeError):
        return missing


def with_home(text: str) -> str:
    """Return a path with one's own home in place of a `~` that stands for it.

    ``~$photo.png`` is a file's name; ``pathlib`` would look for a user of that name, and raise.
    """
    is_home = text == "~" or text.startswith(("~/", f"~{os.sep}"))
    return os.path.expanduser(text) if is_home else text  # noqa: PTH111 - see above
