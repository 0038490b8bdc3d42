"""What lies in a model's folder beside the model: where it came from, and its fingerprint.

Several databases may share a workspace. The receipt lets a second one use files that are there,
and tells a database that another one has replaced them.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import WorkspaceError
from ..openfile import OpenFile

NAME = "thanosql.json"


@dataclass(frozen=True)
class Receipt:
    """A model folder's receipt.

    Attributes:
        source: Where the model came from, as the catalog says.
        fingerprint: The model's fingerprint when it was put there.
    """

    source: str
    fingerprint: str


@dataclass(frozen=True)
class KnownFolder:
    """A model's folder that has been looked at: one system call tells whether it is still the same.

    Attributes:
        path: The folder, its links resolved.
        receipt: The path of its receipt.
        status: Device, inode, size and time of the receipt then.
    """

    path: Path
    receipt: str
    status: tuple[int, int, int, int]

    @classmethod
    def of(cls, folder: Path) -> KnownFolder | None:
        """Return what is to be known of a folder; None where it has no receipt."""
        receipt = str(folder / NAME)
        status = _status(receipt)
        return None if status is None else cls(folder, receipt, status)

    def is_there(self) -> bool:
        """Return whether the folder has the same receipt file, unchanged."""
        return _status(self.receipt) == self.status


def _status(file: str) -> tuple[int, int, int, int] | None:
    try:
        status = os.lstat(file)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Put a receipt in a model's folder."""
    (folder / NAME).write_text(json.dumps(asdict(receipt), indent=1) + "\n", encoding="utf-8")


def read_receipt(folder: Path) -> Receipt | None:
    """Return a folder's receipt, or None where there is none that can be read."""
    file = folder / NAME
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):  # a link may lead outside, a pipe be read for ever
            return None
        return _read(file, (status.st_ino, status.st_size, status.st_mtime_ns))
    except (OSError, ValueError, TypeError, RecursionError, WorkspaceError):
        return None


@lru_cache(maxsize=32)
def _read(file: Path, version: tuple[int, int, int]) -> Receipt:
    """Return a receipt, read once for each version of its file: a search asks each time."""
    with OpenFile(file) as opened:
        return Receipt(**json.loads(opened.read()))
