"""What sources hold, by digests of their bytes; needs no database, and can be sent to a process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import WorkspaceError
from ..openfile import OpenFile
from ..places import join
from ..sources.digest import content_digest
from ..workspace import Workspace
from .known import Content, FileFacts

if TYPE_CHECKING:
    from .images import OpenPicture

VERSION = 1
"""Part of every content: another number forgets all of them, e.g. when images are prepared
otherwise."""

# A larger film is not read for a digest.
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

    def of_picture(self, picture: OpenPicture) -> Content | None:
        """Return what the file of a picture holds; None where it cannot be read."""
        digest = picture.digest()
        return None if digest is None else self._content(digest, picture.opened)

    def of_text(self, text: str) -> Content:
        """Return what a text holds."""
        return self._content(hashlib.sha256(text.encode()).digest(), None)

    def of_file(self, source: Any) -> Content | None:
        """Return what the file of a row holds; None for what is no file, or cannot be read."""
        place = self.place(source)
        if not isinstance(place, str) or place[:5].lower() == "file:":
            return None
        try:
            with self.workspace.open(place) as opened:
                if not opened.is_file or not 0 < opened.status.st_size <= _MOST_BYTES:
                    return None
                return self._content(content_digest(opened), opened)
        except (OSError, ValueError, WorkspaceError):
            return None  # the decoder says why

    def _content(self, digest: bytes, opened: OpenFile | None) -> Content:
        key = hashlib.sha256(self.head + b"\0" + digest).digest()
        if opened is None:
            return Content(key)
        at = opened.status
        return Content(
            key, FileFacts(str(opened.path), at.st_size, at.st_mtime_ns, at.st_ino, digest)
        )

    def is_still(self, source: Any, content: Content) -> bool:
        """Return whether the file of a source has the size and time that it had."""
        if content.file is None:
            return True
        try:
            status = self.workspace.locate(str(self.place(source))).stat()
        except (OSError, ValueError, WorkspaceError):
            return False
        return (status.st_size, status.st_mtime_ns, status.st_ino) == content.file[1:4]


def placed(source: Any, kind: str, base_dir: str | None) -> Any:
    """Return where a source is: a path with its folder before it, any other as it is.

    Args:
        source: As the row has it.
        kind: What sources are: texts of kind ``"text"`` are no paths.
        base_dir: The folder, or None.
    """
    is_path = kind != "text" and isinstance(source, str)
    return join(base_dir, source) if base_dir and is_path else source
