"""Whether a folder and its database are as a search left them: then there is nothing to do.

One number stands for all that their outcome depends on: each picture's path, size, time and inode,
the database file's own size and time, and which packages decode pictures. It is kept beside the
database. It is an aid and no truth: without it, or with another, the statements run, and they do
only what is to be done.
"""

from __future__ import annotations

import hashlib
import os
import time
from array import array
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from ..errors import SourceError
from ..sources.folder import Exclusion, Rules, column_of, walk
from ..sources.folder.suffixes import OTHER_PICTURES, RAW
from ..workspace import Workspace

VERSION = 1
"""Part of the number: another one forgets all that was seen."""

SUFFIX = "-thanosql-seen"
_DECODERS = ("PIL", "pillow_heif", "rawpy", "pillow_jxl")
# A file system tells no two times of one tick apart; the longest of Linux's is 10 ms.
_TICK_S = 0.02
_COARSE_NS = 1_000_000

State = tuple[tuple[int, int, int] | None, ...]
"""Size, time and inode of a database's file and of its write-ahead log; None: it is not there."""


def database_state(database: Path) -> State:
    """Return what a database's files are like; every commit changes it.

    Asked while this process has the database closed: to open one may make a log.
    """
    return tuple(_facts(Path(f"{database}{each}")) for each in ("", "-wal"))


def listing_digest(folder: Path, workspace: Workspace, exclude: tuple[str, ...]) -> bytes | None:
    """Return a number that changes with any picture in a folder; None where it cannot be read.

    Args:
        folder: The folder, absolute, its links resolved.
        workspace: Says which links lead to where statements may read.
        exclude: The patterns of what COPY leaves out.
    """
    # All that may be a picture: which of them can be decoded, only Pillow knows, and to import it
    # takes half as long as to read the folder.
    rules = Rules(column_of(OTHER_PICTURES | RAW), workspace.holds, Exclusion(exclude))
    try:
        listing = walk(folder, workspace.root, rules)
    except SourceError:
        return None
    # In the order of the file system, which has no reason to change it while nothing changes.
    files = [file for column in listing.files.values() for file in column]
    digest = hashlib.blake2b(repr((VERSION, str(folder), exclude, _decoders())).encode())
    paths, *numbers = zip(*files, strict=True) if files else ((), (), (), ())
    digest.update("\0".join(paths).encode())
    for each in numbers:
        digest.update(array("q", each))
    return digest.digest()


def is_seen(database: Path, state: State, listing: bytes, model: str) -> bool:
    """Return whether a search with a model has left a folder and the database in this state."""
    try:
        text = Path(f"{database}{SUFFIX}").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False
    return text == _number(state, listing, model)


def remember(database: Path, listing: bytes, model: str) -> None:
    """Note that a folder, as it was listed, and the database are in step.

    Nothing is noted where that cannot be written, or where the file system's clock could hide a
    later change.

    Args:
        database: Its file; this process has it closed.
        listing: What the folder was like before it was brought in step.
        model: The name of the model whose vectors are there.
    """
    state = database_state(database)
    if state[0] is None or any(each and each[1] % _COARSE_NS == 0 for each in state):
        return
    newest = max(each[1] for each in state if each) / 1e9
    time.sleep(min(_TICK_S, max(0.0, newest + _TICK_S - time.time())))
    if database_state(database) != state:
        return
    path = Path(f"{database}{SUFFIX}")
    with suppress(OSError):
        if not path.is_symlink():  # behind a link could be anybody's file
            path.write_text(_number(state, listing, model), encoding="ascii")


def _number(state: State, listing: bytes, model: str) -> str:
    return hashlib.blake2b(repr((VERSION, state, listing, model)).encode()).hexdigest()


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _decoders() -> list[tuple[str, int] | None]:
    """Return where the packages are that decode pictures, and since when."""
    found: list[tuple[str, int] | None] = []
    for name in _DECODERS:
        spec = find_spec(name)
        place = spec.origin if spec else None
        found.append((place, os.stat(place).st_mtime_ns) if place else None)  # noqa: PTH116
    return found
