"""Files that a statement makes in a folder of the user's: all of them come into it at the end.

They are written into a hidden folder inside it, whose journal has what a killed process leaves
removed by the next statement that writes there. A file that is there already is replaced only where
the statement says so.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceError, clip
from .installation import Installation, exists, flush_folder, settle_all

_NAME = "thanosql"
# Of most file systems.
_NAME_BYTES = 255


class NewFiles:
    """The files on their way into a folder; see :func:`new_files`.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, hidden: Path, may_replace: Callable[[str], bool]) -> None:
        self.folder = folder
        self._hidden, self._may_replace = hidden, may_replace
        self._names: list[str] = []

    def create(self, stem: str, ending: str) -> tuple[Path, BinaryIO]:
        """Open a new file for writing.

        Args:
            stem: How its name begins; cut where the name would be too long.
            ending: How its name ends.

        Returns:
            The path that it will have, and the file.

        Raises:
            SourceError: There is a file of the name, which may not be replaced.
            OSError: The disk says no.
        """
        name = short_name(stem, ending)
        self._require_free(name)
        file = (self._hidden / name).open("xb+")
        self._names.append(name)
        return self.folder / name, file

    def is_free(self, stem: str, ending: str) -> bool:
        """Return whether a file may be created."""
        target = self.folder / short_name(stem, ending)
        return not exists(target) or self._may_replace(target.name)

    def discard(self, path: Path) -> None:
        """Forget a file that was created and is not to be."""
        self._names.remove(path.name)
        (self._hidden / path.name).unlink(missing_ok=True)

    def publish(self) -> Callable[[], None]:
        """Bring the files into the folder.

        Returns:
            What takes them out again, but for those that replaced one.

        Raises:
            SourceError: A file of a name is there, which may not be replaced; none is moved.
            OSError: The disk says no.
        """
        flush_folder(self._hidden)
        moved: list[Path] = []

        def undo() -> None:
            for path in moved:
                with suppress(OSError):
                    path.unlink()

        try:
            for name in self._names:
                self._require_free(name)
            for name in self._names:
                target = self.folder / name
                if not self._may_replace(name):
                    _move(self._hidden / name, target)
                    moved.append(target)
            for name in self._names:
                if exists(self._hidden / name):
                    (self._hidden / name).replace(self.folder / name)
        except BaseException:
            undo()
            raise
        return undo

    def _require_free(self, name: str) -> None:
        target = self.folder / name
        if not exists(target) or (self._may_replace(name) and target.is_file()):
            return
        raise SourceError(
            f"file {str(target)!r} exists already, and is not replaced unasked: name another"
            " folder, or say OPTIONS (overwrite=True); nothing was changed"
        )


class Stems:
    """Beginnings of file names, no two of which are the same, case aside."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stem: str, is_free: Callable[[str], bool] = lambda stem: True) -> str:
        """Return a stem that is not taken yet: itself, or with the next number that is free."""
        name, number = stem, 1
        while name.casefold() in self._taken or not is_free(name):
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        return name


def short_name(stem: str, ending: str) -> str:
    """Return a file's name of a stem and an ending that no file system finds too long."""
    room = _NAME_BYTES - len(os.fsencode(ending))
    return os.fsencode(stem)[:room].decode("utf-8", "ignore") + ending


@contextmanager
def new_files(folder: Path, may_replace: Callable[[str], bool]) -> Iterator[NewFiles]:
    """Give what takes the files for a folder; what was not published is removed at the end.

    Args:
        folder: The folder, links resolved; it is made where it is not there.
        may_replace: Whether a file of a name may be replaced.

    Raises:
        SourceError: The disk says no.
    """
    was_there = exists(folder)
    try:
        work = Installation.begin(folder / _NAME)
        settle_all(folder, lambda file, name: None)
        work.partial.mkdir()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield NewFiles(folder, work.partial, may_replace)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        work.clear()
        if not was_there:
            with suppress(OSError):
                folder.rmdir()  # it stays where there is something in it


def _cannot_write(folder: Path, error: OSError) -> SourceError:
    return SourceError(
        f"folder {clip(str(folder))} cannot be written: {error.strerror or error}; nothing was"
        " changed"
    )


def _move(source: Path, target: Path) -> None:
    """Give a file another name, where there is none of that name."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        if exists(target):  # a file system without hard links
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
    else:
        source.unlink()
