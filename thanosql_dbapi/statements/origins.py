"""What a COPY lists: a folder on the disk, the objects under a prefix, the members of an archive.

The rest of COPY asks an origin alone, and does not know where the files lie.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from ..embedding.formats import header_readers
from ..errors import SourceError, WorkspaceError, clip
from ..places import Place, within
from ..sources.digest import content_digest
from ..sources.folder import (
    File,
    Listing,
    Reason,
    Rules,
    file_of,
    read_headers,
    walk,
)
from ..sources.folder.entries import Entries, matcher
from ..sources.reader import Reader, prefix_of
from ..sources.tables import Cell
from ..workspace import Workspace, is_folder
from .folder_rows import is_gone, is_under

Test = Callable[[str], bool]


class Origin(Protocol):
    """Where the files of a COPY lie."""

    @property
    def shown(self) -> str:
        """How messages name it."""
        ...

    @property
    def is_there(self) -> bool:
        """Whether it exists."""
        ...

    @property
    def absence(self) -> str:
        """That it does not exist, for a message."""
        ...

    @property
    def hint(self) -> str:
        """What may be the matter where nothing is found, with a semicolon after it; or empty."""
        ...

    @property
    def emptiness(self) -> str:
        """What a message says where there is nothing at all in it."""
        ...

    def listing(self, rules: Rules) -> Listing:
        """Return what is in it; nothing where it does not exist.

        Raises:
            SourceError: It cannot be read.
        """
        ...

    def holds(self, *, is_recursive: bool) -> Test:
        """Return what says whether a row's path names a file in it."""
        ...

    def gone(self, files: Iterable[File]) -> Test:
        """Return what says whether a row's path names no file any more."""
        ...

    def digest(self, file: File) -> bytes | None:
        """Return a digest of a file's content, 32 bytes; None where there is none."""
        ...

    def digests(self) -> Mapping[str, bytes]:
        """Return the digests that are known without reading, by path."""
        ...

    def headers(self, files: Iterable[File]) -> Iterator[tuple[Cell, ...]]:
        """Yield what the headers of pictures say."""
        ...


class Folder:
    """A folder on the disk.

    Args:
        path: The folder, its links resolved.
        workspace: Where it lies.
    """

    def __init__(self, path: Path, workspace: Workspace) -> None:
        self._path, self._workspace = path, workspace

    @property
    def shown(self) -> str:  # noqa: D102 - Origin has all of them
        return f"folder {str(self._path)!r}"

    @property
    def is_there(self) -> bool:  # noqa: D102
        return self._path.exists()

    @property
    def absence(self) -> str:  # noqa: D102
        return f"{self.shown} does not exist"

    @property
    def hint(self) -> str:  # noqa: D102
        return "if a disk is not plugged in, nothing is lost; "

    @property
    def emptiness(self) -> str:  # noqa: D102
        return "it is empty"

    def listing(self, rules: Rules) -> Listing:  # noqa: D102
        if not is_folder(self._path):
            return Listing()
        return walk(self._path, self._workspace.root, rules)

    def holds(self, *, is_recursive: bool) -> Test:  # noqa: D102
        root = self._workspace.root
        is_inside = self._path.is_relative_to(root)
        start = (self._path.relative_to(root) if is_inside else self._path).as_posix()
        return is_under("" if start == "." else f"{start.rstrip('/')}/", is_recursive=is_recursive)

    def gone(self, files: Iterable[File]) -> Test:  # noqa: D102
        return is_gone(str(self._workspace.root), files)

    def digest(self, file: File) -> bytes | None:  # noqa: D102
        try:
            with self._workspace.open(self._full(file.path)) as opened:
                return content_digest(opened)
        except (OSError, WorkspaceError):  # not the same file, as far as anybody can say
            return None

    def digests(self) -> Mapping[str, bytes]:  # noqa: D102
        return {}

    def headers(self, files: Iterable[File]) -> Iterator[tuple[Cell, ...]]:  # noqa: D102
        @contextmanager
        def opener(path: str) -> Iterator[BinaryIO]:
            with self._workspace.open(self._full(path)) as opened, opened.reader() as file:
                yield file

        return read_headers(files, opener, header_readers())

    def _full(self, path: str) -> str:
        """Return an absolute path, so that no name stands for one's own home."""
        return os.path.join(self._workspace.root, path)  # noqa: PTH118 - one a file


class Film(Folder):
    """One film on the disk, whose frames get a row each.

    Args:
        path: The film, its links resolved.
        workspace: Where it lies.
        opening: Opens a film, or raises what is wrong with it.
    """

    def __init__(
        self,
        path: Path,
        workspace: Workspace,
        opening: Callable[[object, Callable[[str], None]], AbstractContextManager[object]],
    ) -> None:
        super().__init__(path, workspace)
        self._opening = opening

    @property
    def shown(self) -> str:  # noqa: D102
        return f"film {str(self._path)!r}"

    def listing(self, rules: Rules) -> Listing:  # noqa: D102
        listing = Listing()
        path = self._workspace.spelled(self._path)
        with self._opening(path, lambda remark: None):
            listing.files["video_path"].append(file_of(path, self._path.stat()))
        return listing

    def holds(self, *, is_recursive: bool) -> Test:  # noqa: D102
        return lambda path: path == self._workspace.spelled(self._path)


class Elsewhere:
    """The objects of a bucket under a prefix, or the members of an archive.

    Args:
        place: The prefix or pattern, in the bucket or archive.
        reader: Reads them.
    """

    # Most of the work waits for a network.
    _THREADS = 16

    def __init__(self, place: Place, reader: Reader) -> None:
        self._place, self._reader = place, reader
        self._entries: Entries | None = None
        self._absence = f"{self.shown} does not exist"

    @property
    def shown(self) -> str:  # noqa: D102
        return clip(self._place.text, 200)

    @property
    def is_there(self) -> bool:  # noqa: D102
        return self._entries is not None

    @property
    def absence(self) -> str:  # noqa: D102
        return self._absence

    @property
    def hint(self) -> str:  # noqa: D102
        return ""

    @property
    def emptiness(self) -> str:  # noqa: D102
        if not self._place.pattern and PurePosixPath(self._place.path).suffix:
            return (
                "a folder or prefix is expected, and nothing lies below it; the path of a single"
                " picture is stored with INSERT"
            )
        return "it is empty"

    def listing(self, rules: Rules) -> Listing:  # noqa: D102
        place = self._place
        entries = Entries(rules, prefix_of(place), place.pattern, lambda name: within(place, name))
        try:
            entries.take(self._reader.entries(place))
        except SourceError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self._absence = str(error)
            return entries.listing
        self._entries = entries
        if problem := self._reader.problem(place):
            entries.listing.skips.add(Reason.UNREADABLE, "", f"the archive is {problem}")
        return entries.listing

    def holds(self, *, is_recursive: bool) -> Test:  # noqa: D102
        start, prefix = within(self._place, ""), prefix_of(self._place)
        head = start.partition("::")[0]
        tail = start[len(head) :]
        matches = matcher(self._place.pattern)

        def test(path: str) -> bool:
            if not path.startswith(head) or not path.endswith(tail):
                return False
            name = path[len(head) : len(path) - len(tail)]
            is_inside = name.startswith(prefix) and matches(name)
            return is_inside and (is_recursive or "/" not in name[len(prefix) :])

        return test

    def gone(self, files: Iterable[File]) -> Test:  # noqa: D102
        there = set() if self._entries is None else self._entries.paths
        if self._entries is not None and self._reader.problem(self._place):
            return lambda _path: False  # it may be in the part that cannot be read
        return lambda path: path not in there

    def digest(self, file: File) -> bytes | None:  # noqa: D102
        return self.digests().get(file.path)

    def digests(self) -> Mapping[str, bytes]:  # noqa: D102
        return {} if self._entries is None else self._entries.tags

    def headers(self, files: Iterable[File]) -> Iterator[tuple[Cell, ...]]:  # noqa: D102
        return read_headers(files, self._reader.beginning, header_readers(), self._THREADS)
