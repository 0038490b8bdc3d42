"""What sources hold, by digests of their bytes; needs no database, and can be sent to a process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ..errors import WorkspaceError
from ..openfile import OpenFile
from ..places import join
from ..sources.folder.digest import content_digest
from ..workspace import Workspace
from .known import Content, FileFacts

VERSION = 1
"""Part of every content: another number forgets all of them, e.g. when images are prepared
otherwise."""

# A larger file is no picture; it is read by the decoder alone, which looks at its first bytes.
_MOST_BYTES = 1 << 31


@dataclass(frozen=True)
class Digests:
    """Where the sources of a statement lie, and what they hold.

    Attributes:
        workspace: Which files may be read.
        head: What tells how a source becomes a vector: the model, and the kind of the sources.
        kind: ``"image"``, ``"text"`` or ``"video"``.
        base_dir: Folder put before relative paths, or None.
    """

    workspace: Workspace
    head: bytes
    kind: str
    base_dir: str | None = None

    def place(self, source: Any) -> Any:
        """Return where a source is: a path with its folder before it, any other as it is."""
        return placed(source, self.kind, self.base_dir)

    def content(self, source: Any) -> Content | None:
        """Return what a source holds; None for what cannot be read."""
        source = getattr(source, "content", source)  # what was fetched
        if isinstance(source, bytes):
            return Content(self.key(hashlib.sha256(source).digest()))
        if not isinstance(source, str):
            return None
        if self.kind == "text":
            return Content(self.key(hashlib.sha256(source.encode()).digest()))
        place = self.place(source)
        if not isinstance(place, str) or place[:5].lower() == "file:":
            return None
        try:
            path = self.workspace.locate(place)
            with OpenFile(path) as opened:
                status = opened.status
                if not opened.is_file or not 0 < status.st_size <= _MOST_BYTES:
                    return None
                digest = content_digest(opened)
        except (OSError, ValueError, WorkspaceError):
            return None  # the decoder says why
        facts = FileFacts(str(path), status.st_size, status.st_mtime_ns, status.st_ino, digest)
        return Content(self.key(digest), facts)

    def is_still(self, source: Any, content: Content) -> bool:
        """Return whether the file of a source has the size and time that it had."""
        if content.file is None:
            return True
        try:
            status = self.workspace.locate(str(self.place(source))).stat()
        except (OSError, ValueError, WorkspaceError):
            return False
        return (status.st_size, status.st_mtime_ns, status.st_ino) == content.file[1:4]

    def key(self, digest: bytes) -> bytes:
        """Return the content's key for a SHA-256 of its bytes."""
        return hashlib.sha256(self.head + b"\0" + digest).digest()


def placed(source: Any, kind: str, base_dir: str | None) -> Any:
    """Return where a source is: a path with its folder before it, any other as it is.

    Args:
        source: As the row has it.
        kind: What sources are: texts of kind ``"text"`` are no paths.
        base_dir: The folder, or None.
    """
    is_path = kind != "text" and isinstance(source, str)
    return join(base_dir, source) if base_dir and is_path else source
