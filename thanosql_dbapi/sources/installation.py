"""Folders that are replaced whole, and what a killed process leaves of that, put right.

A folder is made as ``.NAME.ID.partial`` beside its destination. The file ``.NAME.ID.journal`` says
what it is for, and its lock says that a process is still at work. ``settle_all`` takes the journals
that nobody has locked and brings each to its end:

* a data set's partial folder is removed; if the destination had been moved to ``.NAME.ID.old``,
  it is moved back. One with the file ``UNFINISHED`` in it, which takes long to fill, is kept, with
  its journal, for the statement that goes on with it;
* a model's partial folder is removed too; once it is whole it is called ``.NAME.ID.whole``, and
  takes the destination's place if the database has committed its fingerprint;
* a deleted model's folder is removed if the database has committed the deletion.

So the database's commit decides, whether it comes now, with the user's own transaction, or never.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import Error
from ..models.provenance import read_receipt
from .journal import Journal, locked

Registered = Callable[[Path, str], "str | None"]
"""Return the fingerprint that a database file has committed for a model, or None; it raises
``sqlite3.Error`` or OSError where it cannot tell."""

UNFINISHED = ".unfinished"
"""The file in a partial folder that makes it one to go on with."""

_MANY_FILES = 500
_LOOK_S = 0.5
_HIDDEN = re.compile(
    r"\.(.+)\.([0-9a-f]{8})\.(?:journal|partial|whole|old|trash|partial\.download)"
)


class Installation:
    """One folder on its way to its destination, or one that is to be removed.

    Use :meth:`begin`. The process has the journal locked until the object is closed or collected.

    Attributes:
        destination: The folder that is replaced or removed.
        model: The name the model is registered by, or ``""`` for a data set.
        removes: Whether the destination is to be removed.
    """

    def __init__(self, destination: Path, ident: str, journal: Journal) -> None:
        self.destination = destination
        self._ident = ident
        self._journal = journal
        self.database, self.model, self._inode = _read(journal)
        self.removes = self._inode != 0

    @classmethod
    def begin(
        cls, destination: Path, *, model: str = "", database: str = "", removes: bool = False
    ) -> Installation:
        """Write and lock a journal.

        Args:
            destination: The folder.
            model: The name the model will be registered by.
            database: The file of the database that registers it; ``""`` if it is in memory.
            removes: The destination is to be removed, and not replaced.

        Raises:
            OSError: The disk says no.
        """
        destination.parent.mkdir(parents=True, exist_ok=True)
        journal = None
        while journal is None:  # another process may look at a new journal before it is locked
            ident = uuid.uuid4().hex[:8]
            path = _hidden(destination, ident, "journal")
            journal = locked(path)
        try:
            # Relative, so that a workspace may be moved with its databases.
            relative = os.path.relpath(database, destination.parent) if database else ""
            inode = destination.lstat().st_ino if removes else 0
            journal.write(json.dumps([relative, model, inode]).encode())
            return cls(destination, ident, journal)
        except BaseException:
            path.unlink(missing_ok=True)
            journal.close()
            raise

    @classmethod
    def resume(cls, destination: Path) -> Installation | None:
        """Take up what a process has begun for a destination and left to go on with.

        Returns:
            None where there is nothing of that kind.

        Raises:
            BlockingIOError: A process is at work on it.
            OSError: The disk says no.
        """
        for other, ident in _left(destination.parent):
            if other != destination or not _is_unfinished(destination, ident):
                continue
            path = _hidden(destination, ident, "journal")
            end = time.monotonic() + _LOOK_S  # another's settle_all has it for a moment
            while (journal := locked(path)) is None:
                if time.monotonic() > end:
                    raise BlockingIOError(errno.EAGAIN, "another process is getting it")
                time.sleep(0.02)
            if _is_unfinished(destination, ident):  # still
                return cls(destination, ident, journal)
            journal.close()
        return None

    @property
    def partial(self) -> Path:
        """The hidden folder to be filled."""
        return _hidden(self.destination, self._ident, "partial")

    @property
    def whole(self) -> Path:
        """What the partial folder is called when nothing is missing in it."""
        return _hidden(self.destination, self._ident, "whole")

    def finish(self) -> None:
        """Say that the partial folder is whole.

        Raises:
            OSError: The disk says no.
        """
        self.partial.rename(self.whole)

    def publish_unfinished(self) -> None:
        """Put the partial folder in the destination's place, without the mark that keeps it.

        Killed in the middle, it leaves either the whole of it to be gone on with, or a hidden file.

        Raises:
            OSError: The disk says no, and the destination is as it was.
        """
        self._publish(self.partial)
        with suppress(OSError):
            (self.destination / UNFINISHED).unlink(missing_ok=True)

    def publish(self) -> None:
        """Put the whole folder in the destination's place.

        In one system call where the system can exchange two names; elsewhere the destination is
        missing for a moment, and is moved back by whoever finds the journal.

        Raises:
            OSError: The disk says no, and the destination is as it was.
        """
        self._publish(self.whole)

    def _publish(self, folder: Path) -> None:
        if not exists(self.destination):
            folder.rename(self.destination)
        elif not _exchange(folder, self.destination):
            old = _hidden(self.destination, self._ident, "old")
            self.destination.rename(old)
            try:
                folder.rename(self.destination)
            except OSError:
                old.rename(self.destination)
                raise

    def settle(self, fingerprint: str | None) -> None:
        """Do what the database has committed, and clear up.

        Args:
            fingerprint: What the database has committed for the model; None if it has no such
                model, or this is a data set.

        Raises:
            OSError: The disk says no; the next :func:`settle_all` tries again.
        """
        old = _hidden(self.destination, self._ident, "old")
        if exists(old) and not exists(self.destination):
            old.rename(self.destination)
        if _is_unfinished(self.destination, self._ident):
            return
        receipt = read_receipt(self.whole)
        if fingerprint is not None and receipt and receipt.fingerprint == fingerprint:
            self.publish()
        elif self.removes and fingerprint is None and self._is_as_it_was():
            self._discard(self.destination)
        self.clear()

    def clear(self) -> None:
        """Remove what is left of the work, and then the journal."""
        for suffix in ("partial", "whole", "old", "partial.download"):
            with suppress(OSError):
                self._discard(_hidden(self.destination, self._ident, suffix))
        _remove(_hidden(self.destination, self._ident, "trash"))
        with suppress(OSError):
            _hidden(self.destination, self._ident, "journal").unlink()
        self.close()

    def close(self) -> None:
        """Unlock the journal and leave it to the next process, or to :func:`settle_all`."""
        self._journal.close()

    def _is_as_it_was(self) -> bool:
        return exists(self.destination) and self.destination.lstat().st_ino == self._inode

    def _discard(self, path: Path) -> None:
        """Remove a folder; half removed, it is never taken for a whole one."""
        if not exists(path):
            return
        trash = _hidden(self.destination, self._ident, "trash")
        _remove(trash)
        path.rename(trash)
        _remove(trash)


def settle_all(parent: Path, registered: Registered) -> None:
    """Bring to its end what killed processes have begun in a folder; it raises nothing.

    Args:
        parent: The folder of all models, or of all data sets.
        registered: Asks a database for a model's fingerprint.
    """
    for destination, ident in _left(parent):
        with suppress(OSError):
            journal = locked(_hidden(destination, ident, "journal"))
            if journal is None:
                continue  # a process is at work
            work = Installation(destination, ident, journal)
            try:
                work.settle(_committed(work, parent, registered))
            except Error:
                pass  # the database is locked, or is none: another time
            finally:
                work.close()


def whole_folder(folder: Path, fingerprint: str) -> Path | None:
    """Return the hidden folder that is to become a model's, if it has this fingerprint."""
    with suppress(OSError):
        for path in folder.parent.glob(f".{_escaped(folder.name)}.*.whole"):
            receipt = read_receipt(path)
            if receipt is not None and receipt.fingerprint == fingerprint:
                return path
    return None


def flush_folder(folder: Path) -> None:
    """Wait until the disk has a folder's files, so that no power cut takes them."""
    tree = list(os.walk(folder))
    if sys.platform == "linux" and sum(len(names) for *_, names in tree) > _MANY_FILES:
        os.sync()  # Linux waits for it; a call for each file takes much longer
        return
    for directory, _, names in tree:
        for name in names:
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    _flush(file.fileno())
        if sys.platform != "win32":  # which opens no folders
            number = os.open(directory, os.O_RDONLY)
            try:
                _flush(number)
            finally:
                os.close(number)


def exists(path: Path) -> bool:
    """Return whether there is something of this name, be it a link to nowhere."""
    return os.path.lexists(path)


def _flush(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # it cannot
            raise


def _committed(work: Installation, parent: Path, registered: Registered) -> str | None:
    if not work.model or not work.database:
        # No database in memory outlives its connection, which had the journal locked. Whether it
        # had committed a deletion nobody knows.
        work.removes = False
        return None
    return registered(parent / work.database, work.model)


def _left(parent: Path) -> list[tuple[Path, str]]:
    try:
        names = [path.name for path in parent.iterdir()]
    except OSError:
        return []
    found = {match.groups() for match in map(_HIDDEN.fullmatch, names) if match}
    return [(parent / name, ident) for name, ident in sorted(found)]


def _hidden(destination: Path, ident: str, suffix: str) -> Path:
    return destination.with_name(f".{destination.name}.{ident}.{suffix}")


def _is_unfinished(destination: Path, ident: str) -> bool:
    folder = _hidden(destination, ident, "partial")
    # Whoever may write to the workspace may have put a link there.
    return not folder.is_symlink() and exists(folder / UNFINISHED)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _read(journal: Journal) -> tuple[str, str, int]:
    """Return a journal's database, model and inode; those of nothing where it is damaged."""
    try:
        database, model, inode = json.loads(journal.read())
        return str(database), str(model), int(inode)
    except (ValueError, TypeError):
        return "", "", 0


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink(missing_ok=True)
    elif exists(path):
        shutil.rmtree(path, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot.

    Source: https://man7.org/linux/man-pages/man2/rename.2.html (RENAME_EXCHANGE)
    """
    if sys.platform not in ("linux", "darwin"):
        return False
    try:
        library = ctypes.CDLL(None, use_errno=True)
        first, second = os.fsencode(one), os.fsencode(other)
        if sys.platform == "linux":
            status = library.renameat2(-100, first, -100, second, 2)
        else:
            status = library.renamex_np(first, second, 2)
    except (OSError, AttributeError):
        return False
    return bool(status == 0)
