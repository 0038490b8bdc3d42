"""The media among the entries of a bucket or an archive, by the rules for folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Protocol

from .walk import LATEST_NS, File, Listing, Reason, Rules, kind_of, suffix_of, why_left_out


class Entry(Protocol):
    """What is listed: a name with ``/``, bytes, a time, a digest of what is said of its content."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as the class says
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def mtime_ns(self) -> int: ...  # noqa: D102
    @property
    def tag(self) -> bytes | None: ...  # noqa: D102
    @property
    def is_file(self) -> bool: ...  # noqa: D102


class Entries:
    """Takes entries one by one.

    Args:
        rules: What is read.
        prefix: What the names of all entries begin with: the folder, with its final ``/``.
        pattern: A pattern that names must match, as fsspec has them: ``*`` is anything but ``/``,
            ``**/`` any folders; empty for all names.
        path_of: Gives the path that a row has of an entry.

    Attributes:
        listing: The media files, and what is left out.
        tags: The digests of what is said of files, by path.
        paths: The paths of all entries, also of those that are left out.
    """

    def __init__(
        self, rules: Rules, prefix: str, pattern: str, path_of: Callable[[str], str]
    ) -> None:
        self._rules, self._prefix, self._path_of = rules, prefix, path_of
        self._matches = matcher(pattern)
        self._folder = prefix.rstrip("/").rpartition("/")[2]
        self._folders: dict[str, Reason | None] = {}
        self.listing = Listing()
        self.tags: dict[str, bytes] = {}
        self.paths: set[str] = set()

    def take(self, entries: Iterable[Entry]) -> None:
        """Take entries."""
        for each in entries:
            name = each.name
            # Some programs keep an empty object for each folder.
            if name.startswith(self._prefix) and not name.endswith("/") and self._matches(name):
                self._take(each, name[len(self._prefix) :])

    def _take(self, entry: Entry, inside: str) -> None:
        skip = self.listing.skips.add
        suffix = suffix_of(inside)
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            shown = entry.name.encode("utf-8", "backslashreplace").decode()
            skip(Reason.NAME, suffix_of(shown), shown)
            return
        path = self._path_of(entry.name)
        self.paths.add(path)
        *folders, _ = parts = inside.split("/")
        if not all(part not in ("", ".", "..") for part in parts) or "\0" in inside:
            skip(Reason.ODD_NAME, suffix, path)
            return
        if any(self._is_left_out("/".join(folders[: depth + 1])) for depth in range(len(folders))):
            return
        column = self._rules.columns.get(suffix)
        if reason := why_left_out(self._rules, self._folder, inside, is_folder=False):
            skip(reason, suffix, path)
        elif column is None:
            skip(kind_of(suffix), suffix, path)
        elif not entry.is_file:
            skip(Reason.SPECIAL, suffix, path)
        else:
            if entry.tag is not None:
                self.tags[path] = entry.tag
            self.listing.files[column].append(_file(path, entry))

    def _is_left_out(self, folder: str) -> bool:
        """Return whether a folder is left out; it is counted once."""
        if folder not in self._folders:
            reason = why_left_out(self._rules, self._folder, folder, is_folder=True)
            self._folders[folder] = reason
            if reason:
                name = f"{folder.rpartition('/')[2]}/"
                self.listing.skips.add(reason, name, self._path_of(self._prefix + folder))
        return self._folders[folder] is not None


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a name matches a pattern, as fsspec has them."""
    if not pattern:
        return lambda name: True
    from fsspec.utils import glob_translate

    matches = re.compile(glob_translate(pattern)).match
    return lambda name: matches(name) is not None


def _file(path: str, entry: Entry) -> File:
    # What a store says of a content stands for the number that a file system gives a file.
    number = 0
    if entry.tag is not None:
        digest = hashlib.blake2b(entry.tag, digest_size=8).digest()
        number = int.from_bytes(digest, "big", signed=True)
    return File(path, entry.size, min(entry.mtime_ns, LATEST_NS), number)
