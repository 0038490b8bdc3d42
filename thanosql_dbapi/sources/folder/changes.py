"""What has changed in a folder since a table was made of it: which file is which.

A file that has another path than its row, and the same content, was moved. That it is the same
file is known

1. by its number in the file system, with its size and time: a rename changes none of them. The
   file that has the old name now is another one: a camera counts again, files exchange names;
2. by the digest of its content, where that of the old file is known;
3. by its size and time alone, where no other file has both.

Invariant: by 2 and 3, a row is moved only if the file that it named is gone, or is another row's
now. Where it is there and has changed, somebody made a copy and went on with the original.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from unicodedata import normalize

from .walk import File

_K = TypeVar("_K", bound=Hashable)


class Known(NamedTuple):
    """What is remembered of a file.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
        inode: Its number in the file system; 0 where that has none.
        digest: SHA-256 of its content; None where nobody has read it.
    """

    size: int
    mtime_ns: int
    inode: int
    digest: bytes | None


@dataclass
class Changes:
    """The difference between a table's rows and a folder's files.

    Attributes:
        added: Files without a row.
        updated: Files whose size or time is another than before, by the path of their row.
        moved: Files that have another path now, by the path of their row.
        removed: The paths of rows whose file is gone.
        unchanged: Files that are as they were, by the path of their row.
        digests: Digests of files, by path, as far as they were read or are known from before.
    """

    added: list[File] = field(default_factory=list)
    updated: dict[str, File] = field(default_factory=dict)
    moved: dict[str, File] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    unchanged: dict[str, File] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """The paths of a table's rows.

    Attributes:
        inside: Those under the folder.
        outside: Others whose file may have been moved into it; they are never removed.
        known: What is remembered of the files.
    """

    inside: Set[str]
    outside: Set[str]
    known: Mapping[str, Known]


def additions(rows: Rows, files: Iterable[File]) -> Changes:
    """Return what has changed, nothing being moved or removed."""
    changes = Changes()
    by_path = {file.path: file for file in files}
    changes.added, _ = _without_twins(rows.inside, by_path, changes)
    for path in by_path.keys() & rows.inside:
        _file_of_row(by_path[path], rows.known.get(path), changes)
    return changes


def all_changes(
    rows: Rows,
    files: Iterable[File],
    is_gone: Callable[[str], bool],
    digest_of: Callable[[File], bytes | None],
) -> Changes:
    """Return what has changed.

    Args:
        rows: The rows.
        files: The files in the folder.
        is_gone: Whether a row's path, which is not among the files, names no file any more.
        digest_of: Reads the digest of a file; None where it cannot be read.
    """
    changes = Changes()
    by_path = {file.path: file for file in files}
    new, missing = _without_twins(rows.inside, by_path, changes)
    gone = [path for path in missing if is_gone(path)]
    there = by_path.keys() & rows.inside
    changed = [path for path in there if _differs(by_path[path], rows.known.get(path))]
    matching = _Matching(rows.known, digest_of, changes.digests)
    if gone or changed or rows.outside:
        outside = [path for path in rows.outside if is_gone(path)]
        targets = [*new, *(by_path[path] for path in changed)]
        matching.same_files([*gone, *outside, *changed], targets)
        matching.same_content([*gone, *changed], targets, by_path.keys())
        matching.same_size_and_time(gone, new)
    changes.moved, taken = matching.moved, matching.taken
    changes.added = [file for file in new if file.path not in taken]
    changes.removed = [path for path in gone if path not in changes.moved]
    for path in there:
        owner = taken.get(path)
        if owner == path:  # it was only touched
            changes.unchanged[path] = by_path[path]
        elif owner is not None:
            if path not in changes.moved:
                changes.removed.append(path)
        elif path in changes.moved:
            changes.added.append(by_path[path])
        else:
            _file_of_row(by_path[path], rows.known.get(path), changes)
    return changes


def _without_twins(
    paths: Set[str], by_path: Mapping[str, File], changes: Changes
) -> tuple[list[File], list[str]]:
    """Return the files without a row, and the rows without a file.

    A letter with an accent has two spellings in Unicode; programs and file systems change one for
    the other, and both name the same file.
    """
    new = [file for path, file in by_path.items() if path not in paths]
    missing = [path for path in paths if path not in by_path]
    if not new or not missing:
        return new, missing
    spelled = {normalize("NFC", path): path for path in missing}
    twins = {
        file.path: row
        for file in new
        if (row := spelled.pop(normalize("NFC", file.path), None)) is not None
    }
    changes.unchanged |= {row: by_path[path] for path, row in twins.items()}
    return (
        [file for file in new if file.path not in twins],
        [path for path in missing if path not in changes.unchanged],
    )


def _file_of_row(file: File, known: Known | None, changes: Changes) -> None:
    is_same = known is None or (known.size, known.mtime_ns) == (file.size, file.mtime_ns)
    (changes.unchanged if is_same else changes.updated)[file.path] = file


def _differs(file: File, known: Known | None) -> bool:
    """Return whether another file may lie where a row's file was.

    Some file systems number their files anew each time. That alone says nothing where many files
    may have the same size and time.
    """
    if known is None or known[:3] == file[1:]:
        return False
    return known[:2] != file[1:3] or not _is_coarse(known)


def _is_coarse(known: Known) -> bool:
    """Return whether a file's time is one that many files can have, as archives write it."""
    return known.mtime_ns % 10**6 == 0


class _Matching:
    """Finds the files of rows that name another path.

    Attributes:
        moved: The file of each row that names another path, by that path.
        taken: The row's path, by the file's; the same where a file was only touched.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        digest_of: Callable[[File], bytes | None],
        digests: dict[str, bytes],
    ) -> None:
        self._known, self._digest_of, self._digests = known, digest_of, digests
        self.moved: dict[str, File] = {}
        self.taken: dict[str, str] = {}

    def same_files(self, rows: Iterable[str], files: Iterable[File]) -> None:
        """Match by number in the file system, size and time."""
        self._pair(
            _grouped(self._open_rows(rows), lambda known: known[:3] if _is_proof(known) else None),
            _group_files(self._open_files(files), lambda file: file[1:]),
            is_certain=True,
        )
        self._keep_digests()

    def same_content(
        self, rows: Iterable[str], files: Iterable[File], there: Collection[str]
    ) -> None:
        """Match by the digest of the content; files that no row can have are not read.

        Args:
            rows: The rows.
            files: The files.
            there: The paths of all files.
        """
        certain = set(self.moved)
        by_digest = _grouped(self._open_rows(rows), lambda known: known.digest)
        sizes = {self._known[path].size for paths in by_digest.values() for path in paths}
        self._pair(
            by_digest,
            _group_files(
                self._open_files(files),
                lambda file: self._digest(file) if file.size in sizes else None,
            ),
            is_certain=True,
        )
        while wrong := [
            path
            for path in self.moved
            if path in there and path not in certain and path not in self.taken
        ]:
            for path in wrong:
                del self.taken[self.moved.pop(path).path]
        self._keep_digests()

    def same_size_and_time(self, rows: Iterable[str], files: Iterable[File]) -> None:
        """Match by size and time, where the digest is not known and only one has both."""
        self._pair(
            _grouped(self._open_rows(rows), lambda known: None if known.digest else known[:2]),
            _group_files(self._open_files(files), lambda file: file[1:3]),
            is_certain=False,
        )

    def _keep_digests(self) -> None:
        for path, file in self.moved.items():
            if (digest := self._known[path].digest) is not None:
                self._digests[file.path] = digest

    def _open_rows(self, rows: Iterable[str]) -> list[tuple[str, Known]]:
        return [
            (path, known)
            for path in rows
            if path not in self.moved and (known := self._known.get(path)) is not None
        ]

    def _open_files(self, files: Iterable[File]) -> list[File]:
        return [file for file in files if file.path not in self.taken]

    def _digest(self, file: File) -> bytes | None:
        digest = self._digest_of(file)
        if digest is not None:
            self._digests[file.path] = digest
        return digest

    def _pair(
        self,
        rows: Mapping[_K, list[str]],
        files: Mapping[_K, list[File]],
        *,
        is_certain: bool,
    ) -> None:
        """Match rows with files of the same key: of the same path, then of the same name first."""
        for key, paths in rows.items():
            found = files.get(key, [])
            if len(paths) > 1 or len(found) > 1:
                paths, found = self._pair_names(paths, found, lambda path: path)
                paths, found = self._pair_names(paths, found, _name)
            if is_certain or len(paths) == len(found) == 1:
                for path, file in zip(paths, found, strict=False):
                    self._match(path, file)

    def _pair_names(
        self, paths: list[str], files: list[File], name_of: Callable[[str], str]
    ) -> tuple[list[str], list[File]]:
        """Match rows and files of the same name, and return the others."""
        named = defaultdict(list)
        for file in files:
            named[name_of(file.path)].append(file)
        others = []
        for path in paths:
            same = named[name_of(path)]
            if len(same) == 1:
                self._match(path, same.pop())
            else:
                others.append(path)
        return others, [file for same in named.values() for file in same]

    def _match(self, path: str, file: File) -> None:
        self.taken[file.path] = path
        if path != file.path:
            self.moved[path] = file


def _is_proof(known: Known) -> bool:
    """Return whether number, size and time tell a file from all others.

    File systems give the number of a deleted file to the next one, which an archive may have
    written with a time in whole seconds. The digest is better then.
    """
    return bool(known.inode) and not (_is_coarse(known) and known.digest)


def _grouped(
    rows: Iterable[tuple[str, Known]], key_of: Callable[[Known], _K | None]
) -> dict[_K, list[str]]:
    groups: dict[_K, list[str]] = defaultdict(list)
    for path, known in rows:
        if (key := key_of(known)) is not None:
            groups[key].append(path)
    return groups


def _group_files(
    files: Iterable[File], key_of: Callable[[File], _K | None]
) -> dict[_K, list[File]]:
    groups: dict[_K, list[File]] = defaultdict(list)
    for file in files:
        if (key := key_of(file)) is not None:
            groups[key].append(file)
    return groups


def _name(path: str) -> str:
    return normalize("NFC", path.rpartition("/")[2])
