"""Where a connection's files live, and which paths its statements may read.

Relative paths in statements and in ``image_path`` columns start at the workspace. A statement is
data from outside as often as it is typed by hand, so it reads inside the workspace and the
connection's ``allowed_directories`` only, with symbolic links resolved first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Union

from .errors import WorkspaceError, clip
from .openfile import OpenFile

StrPath = Union[str, "os.PathLike[str]"]

DATASETS = "thanosql-dataset"
MODELS = "thanosql-model"


class Workspace:
    """A folder and the further folders that may be read.

    Args:
        root: The workspace; relative paths start here.
        allowed_directories: Further folders whose files statements may read.

    Attributes:
        root: The workspace, absolute, symbolic links resolved.
        allowed_directories: The further folders, likewise.

    Example:
        >>> Workspace("/photos").locate("2026/cat.jpg").as_posix()
        '/photos/2026/cat.jpg'
    """

    def __init__(self, root: StrPath, allowed_directories: Iterable[StrPath] = ()) -> None:
        self.root = Path(root).expanduser().resolve()
        if isinstance(allowed_directories, (str, os.PathLike)):
            allowed_directories = [allowed_directories]
        self.allowed_directories = tuple(
            (self.root / Path(folder).expanduser()).resolve() for folder in allowed_directories
        )

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
                allowed directories, or no file can have it.
        """
        text = os.fspath(path)
        if "\0" in text:
            raise WorkspaceError(f"path {clip(text)} contains a NUL character")
        try:
            full = (self.root / _expanded(text)).resolve()
        # A loop of links (RuntimeError before Python 3.13), a lone surrogate.
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkspaceError(f"path {clip(text)} cannot be followed: {error}") from error
        if self.holds(full):
            return full
        raise WorkspaceError(
            f"path {clip(text)} lies outside the workspace {str(self.root)!r}"
            f" (it is {str(full)!r}); move it there, or open the connection with"
            f" allowed_directories=[{str(full.parent)!r}]"
        )

    def holds(self, full: Path) -> bool:
        """Return whether a resolved path lies in the workspace or an allowed directory."""
        return any(full.is_relative_to(each) for each in (self.root, *self.allowed_directories))

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
        return self.locate(folder.parent) / folder.name


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, whatever the path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, no permission on the way
        return False


def _expanded(text: str) -> Path:
    """Return a path with ``~`` alone or before a slash as the home folder.

    ``~name`` is a file's own name: rows come from anywhere, and not from a shell.
    """
    path = Path(text)
    if path.parts[:1] != ("~",):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # the user has no home
        return path
