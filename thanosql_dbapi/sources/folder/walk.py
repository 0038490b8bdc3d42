"""The media files in a folder, and why each other entry is left out.

One entry that cannot be read never stops the rest. A link to a folder is followed where the
statement may read its target, after all folders that lie there themselves; no folder is read
twice, so that links cannot make a circle.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ...errors import SourceError
from ...planning.report import Skipped
from .exclusion import Exclusion, is_system_folder
from .suffixes import COLUMNS, OTHER_PICTURES, RAW

_DIGITS = re.compile("[0-9]+")
_EXAMPLES = 3
# SQLite stores 63 bits and a sign; some file systems' numbers have all 64.
_SIGNED = 2**63

LATEST_NS = _SIGNED - 1
"""The latest time that SQLite can store in nanoseconds, in the year 2262; later ones become it."""


class Reason(str, Enum):
    """Why an entry got no row."""

    UNREADABLE = "cannot be read"
    NAME = "name is not UTF-8"
    ODD_NAME = "name with '..' or an empty part in it"
    LINK = "link that is broken or leads to where statements may not read"
    LOOP = "link to a folder that is read already"
    RAW = "RAW picture"
    PICTURE = "picture of a kind that is not read"
    MEDIUM = "another medium than the table's"
    NO_VIDEO = "no video"
    OTHER = "no picture, audio or video"
    SPECIAL = "not a regular file"
    SYSTEM = "kept by a system or a program for itself"
    HIDDEN = "hidden"
    EXCLUDED = "excluded by the options"


class File(NamedTuple):
    """A media file.

    Attributes:
        path: As its row has it: relative to the workspace where it lies inside, with ``/``.
        size: Bytes.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
        inode: Its number in the file system; 0 where that has none.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int


class Skips:
    """Counts what is left out, by reason and suffix."""

    def __init__(self) -> None:
        self._found: dict[tuple[Reason, str], tuple[int, tuple[str, ...]]] = {}

    def add(self, reason: Reason, suffix: str, example: str) -> None:
        """Count one entry."""
        count, examples = self._found.get((reason, suffix), (0, ()))
        if len(examples) < _EXAMPLES:
            examples += (example,)
        self._found[reason, suffix] = count + 1, examples

    def all(self) -> tuple[Skipped, ...]:
        """Return what was counted, in the order of the reasons, the most frequent first."""
        order = list(Reason)
        found = sorted(
            self._found.items(), key=lambda item: (order.index(item[0][0]), -item[1][0], item[0][1])
        )
        return tuple(
            Skipped(reason.value, suffix, count, examples)
            for (reason, suffix), (count, examples) in found
        )


@dataclass
class Listing:
    """What is in a folder.

    Attributes:
        files: The media files by column, as they were found.
        skips: What is left out.
    """

    files: dict[str, list[File]] = field(default_factory=lambda: {each: [] for each in COLUMNS})
    skips: Skips = field(default_factory=Skips)

    @property
    def column(self) -> str | None:
        """The column of pictures if there are any, else of the medium with more files, or None."""
        pictures, *others = COLUMNS
        if self.files[pictures]:
            return pictures
        most = max(reversed(others), key=lambda column: len(self.files[column]))
        return most if self.files[most] else None

    def keep(self, suffixes: Collection[str]) -> None:
        """Leave out the files of other suffixes."""
        for column, files in self.files.items():
            for file in files:
                if suffix_of(file.path) not in suffixes:
                    self.skips.add(Reason.EXCLUDED, suffix_of(file.path), file.path)
            self.files[column] = [each for each in files if suffix_of(each.path) in suffixes]

    def take(self, column: str, others: Reason = Reason.MEDIUM) -> list[File]:
        """Return the files of one column; those of the others are skipped, for a reason."""
        for other in COLUMNS:
            if other != column:
                for file in self.files[other]:
                    self.skips.add(others, suffix_of(file.path), file.path)
                self.files[other] = []
        return self.files[column]


@dataclass(frozen=True)
class Rules:
    """What is read of a folder.

    Attributes:
        columns: The column for a file's path, by its suffix in lower case.
        may_read: Whether statements may read a path whose links are resolved.
        exclusion: What the user leaves out.
        is_recursive: Whether folders in the folder are read.
    """

    columns: Mapping[str, str]
    may_read: Callable[[Path], bool]
    exclusion: Exclusion = field(default_factory=Exclusion)
    is_recursive: bool = True


def walk(folder: Path, relative_to: Path, rules: Rules) -> Listing:
    """Return the media files under a folder.

    Args:
        folder: The folder, absolute, its links resolved.
        relative_to: Paths inside this folder are relative to it; others are absolute.
        rules: What is read.

    Raises:
        SourceError: The folder itself is missing or cannot be read.
    """
    return _Walk(folder, relative_to, rules).run()


def file_of(path: str, status: os.stat_result) -> File:
    """Return a file as a path and the operating system say that it is."""
    time, inode = status.st_mtime_ns, status.st_ino
    if not -LATEST_NS <= time <= LATEST_NS:
        time = LATEST_NS if time > 0 else -LATEST_NS
    return File(path, status.st_size, time, inode if inode < _SIGNED else inode - 2 * _SIGNED)


def suffix_of(name: str) -> str:
    """Return a file's suffix in lower case, with the dot; a name that begins with it has none."""
    name = name.rpartition("/")[2]
    stem, dot, end = name.rpartition(".")
    return f".{end}".lower() if dot and stem.strip(".") else ""


def sort_naturally(files: list[File]) -> None:
    """Sort files as people count: folder by folder, 2.jpg before 10.jpg, case aside."""
    files.sort(key=lambda file: file.path)
    files.sort(key=lambda file: _natural(file.path))


def _natural(path: str) -> str:
    """Return a sort key: the end of a name, then numbers by value, then letters."""
    return _DIGITS.sub(_number, path.casefold()).replace("/", "\0")


def _number(digits: re.Match[str]) -> str:
    number = digits[0].lstrip("0")
    return f"\1{chr(len(number))}{number}"


class _Walk:
    def __init__(self, folder: Path, relative_to: Path, rules: Rules) -> None:
        is_inside = folder.is_relative_to(relative_to)
        path = (folder.relative_to(relative_to) if is_inside else folder).as_posix()
        self._start = "" if path == "." else f"{path.rstrip('/')}/"
        self._folder, self._rules = folder, rules
        self._listing = Listing()
        self._skip = self._listing.skips.add
        self._left_out = partial(why_left_out, rules, folder.name)
        self._seen: set[tuple[int, int] | str] = set()
        self._folders: list[tuple[str, str]] = []
        self._links: list[tuple[str, str]] = []

    def run(self) -> Listing:
        try:
            # A link to a folder around this one is a loop too.
            self._seen = {_identity(str(each)) for each in self._folder.parents}
            self._read(str(self._folder), "")
        except OSError as error:
            raise SourceError(
                f"folder {str(self._folder)!r} cannot be read: {error.strerror or error}"
            ) from error
        while self._folders or self._links:
            is_link = not self._folders
            full, inside = self._links.pop(0) if is_link else self._folders.pop()
            try:
                self._read(full, inside)
            except OSError as error:
                self._unreadable(inside, error, "/")
        return self._listing

    def _read(self, full: str, inside: str) -> None:
        """Read one folder; ``inside`` is its path in the folder that is read, with a final /."""
        identity = _identity(full)
        if identity in self._seen:
            self._skip(Reason.LOOP, "/", self._start + inside)
            return
        self._seen.add(identity)
        with os.scandir(full) as entries:
            for entry in _readable(entries, lambda error: self._unreadable(inside, error, "/")):
                try:
                    if not self._took_plain(entry, inside):
                        self._examine(entry, inside)
                except (OSError, ValueError) as error:
                    self._unreadable(inside + entry.name, error, suffix_of(entry.name))

    def _took_plain(self, entry: os.DirEntry[str], inside: str) -> bool:
        """Note a media file of which nothing is special; in most folders all are."""
        name = entry.name
        column = self._rules.columns.get(suffix_of(name))
        if (
            column is None
            or name[0] == "."
            or not name.isascii()
            or not entry.is_file(follow_symlinks=False)
            or self._rules.exclusion.excludes(inside + name, is_folder=False)
        ):
            return False
        file = file_of(self._start + inside + name, entry.stat(follow_symlinks=False))
        self._listing.files[column].append(file)
        return True

    def _examine(self, entry: os.DirEntry[str], inside: str) -> None:
        name = entry.name
        path = inside + name
        if not name.isascii() and not _is_text(name):
            self._skip(Reason.NAME, suffix_of(_shown(name)), _shown(self._start + path))
            return
        is_link = entry.is_symlink()
        is_folder = entry.is_dir()
        suffix = f"{name}/" if is_folder else suffix_of(name)
        if reason := self._left_out(path, is_folder=is_folder):
            self._skip(reason, suffix, self._start + path)
        elif is_link and self._is_refused(entry, suffix, is_folder=is_folder):
            self._skip(Reason.LINK, suffix, self._start + path)
        elif is_folder:
            (self._links if is_link else self._folders).append((entry.path, f"{path}/"))
        else:
            self._examine_file(entry, path, suffix)

    def _examine_file(self, entry: os.DirEntry[str], path: str, suffix: str) -> None:
        column = self._rules.columns.get(suffix)
        if column is None:
            self._skip(kind_of(suffix), suffix, self._start + path)
        elif not entry.is_file():
            self._skip(Reason.SPECIAL, suffix, self._start + path)
        else:
            file = file_of(self._start + path, entry.stat())
            self._listing.files[column].append(file)

    def _is_refused(self, entry: os.DirEntry[str], suffix: str, *, is_folder: bool) -> bool:
        """Return whether a link is broken, or leads to media that statements may not read."""
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):  # a circle is a RuntimeError before Python 3.13
            return True
        is_wanted = is_folder or suffix in self._rules.columns
        return is_wanted and not self._rules.may_read(target)

    def _unreadable(self, inside: str, error: Exception, suffix: str) -> None:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._skip(Reason.UNREADABLE, suffix, f"{_shown(self._start + inside)}: {why}")


def why_left_out(rules: Rules, folder: str, path: str, *, is_folder: bool) -> Reason | None:
    """Return why an entry is left out by its name, or None.

    Args:
        rules: What is read.
        folder: The name of the folder that is read.
        path: The entry's path in that folder, with ``/``.
        is_folder: Whether it is a folder.
    """
    inside, _, name = path.rpartition("/")
    if is_folder and is_system_folder(name, inside.rpartition("/")[2] or folder):
        return Reason.SYSTEM
    if name.startswith("."):
        return Reason.HIDDEN
    is_deep = is_folder and not rules.is_recursive
    if is_deep or rules.exclusion.excludes(path, is_folder=is_folder):
        return Reason.EXCLUDED
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(suffix: str) -> Reason:
    """Return why a file of a suffix that is not read is left out."""
    if suffix in RAW:
        return Reason.RAW
    return Reason.PICTURE if suffix in OTHER_PICTURES else Reason.OTHER


def _readable(
    entries: Iterator[os.DirEntry[str]], fail: Callable[[OSError], None]
) -> Iterator[os.DirEntry[str]]:
    """Yield the entries up to the first error of the file system."""
    try:
        yield from entries
    except OSError as error:
        fail(error)


def _identity(path: str) -> tuple[int, int] | str:
    status = os.stat(path)  # noqa: PTH116 - one call a folder, and no Path is at hand
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _shown(path: str) -> str:
    r"""Return a path with \xe4 for each byte that is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
