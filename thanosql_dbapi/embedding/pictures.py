"""Opens the picture or film that a row or a query names, wherever it lies.

Another process can be sent it: it holds what says how pictures are read, and no open file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ..errors import MediaError, NotSupportedError, SourceError, clip
from ..places import is_elsewhere, parse
from ..settings import Settings
from ..sources.network import without_secrets
from ..sources.policy import SourcePolicy
from ..sources.reader import Reader

if TYPE_CHECKING:
    from PIL.Image import Image

    from .images import OpenPicture
    from .video import Film


class Pictures:
    """Reads by a policy; used by several threads at once.

    Args:
        reader: Reads what is no file of its own.
        max_pixels: Most pixels of an image to decode.

    Example:
        >>> import pickle
        >>> from thanosql_dbapi.sources.policy import SourcePolicy
        >>> from thanosql_dbapi.workspace import Workspace
        >>> pictures = Pictures(Reader(SourcePolicy(Workspace("/photos"))), 10**8)
        >>> pickle.loads(pickle.dumps(pictures)).is_far("s3://album/cat.jpg")
        True
    """

    def __init__(self, reader: Reader, max_pixels: int) -> None:
        self._reader, self._max_pixels = reader, max_pixels

    @classmethod
    def of(cls, settings: Settings) -> Pictures:
        """Return what opens pictures as a connection does."""
        return cls(Reader(SourcePolicy.of(settings)), settings.max_image_pixels)

    def is_far(self, source: Any) -> bool:
        """Return whether reading a source waits for a network."""
        if not isinstance(source, str) or not is_elsewhere(source):
            return False
        try:
            return parse(source).is_far
        except SourceError:  # reading it says why
            return False

    def fetch(self, source: Any) -> Any:
        """Return a source as it is if it is a path or bytes, else what was read of it.

        Raises:
            MediaError: It cannot be read.
            WorkspaceError: It is a member of an archive outside the workspace.
        """
        if not isinstance(source, str) or not is_elsewhere(source):
            return source
        from .images import Fetched

        shown = without_secrets(source)
        try:
            return Fetched(shown, self._reader.read(source))
        except (SourceError, NotSupportedError) as error:
            is_named = str(error).startswith(clip(shown))
            message = f"image {error}" if is_named else f"image {clip(shown)}: {error}"
            # A file that is not there is told apart by the cause.
            raise MediaError(message) from error.__cause__ or error

    def open(
        self,
        source: Any,
        least_side_px: int | None = None,
        remark: Callable[[str], None] | None = None,
    ) -> Image:
        """Return an image as RGB.

        Args:
            source: A path, URL, object or member; bytes; or what :meth:`fetch` gave.
            least_side_px: As for ``open_image``.
            remark: As for ``open_image``.

        Raises:
            MediaError: It cannot be read.
            WorkspaceError: It lies where statements may not read.
        """
        with self.opened(self.fetch(source)) as picture:
            return self.decode(picture, least_side_px, remark)

    def opened(self, source: Any) -> AbstractContextManager[OpenPicture]:
        """Find and open a picture that need not be fetched.

        Args:
            source: A path, bytes, or what :meth:`fetch` gave.

        Raises:
            MediaError: It cannot be opened.
            WorkspaceError: It lies where statements may not read.
        """
        from .images import open_picture

        return open_picture(source, locate=self._reader.policy.workspace.locate)

    def decode(
        self,
        picture: OpenPicture,
        least_side_px: int | None = None,
        remark: Callable[[str], None] | None = None,
    ) -> Image:
        """Return an open picture as RGB; the arguments are those of :meth:`open`."""
        return picture.decode(least_side_px, self._max_pixels, remark)

    def open_film(self, source: Any, remark: Callable[[str], None]) -> AbstractContextManager[Film]:
        """Open the film that a path means.

        Args:
            source: The path.
            remark: Gets what is to be said of a film that is there in part.

        Raises:
            MediaError: It cannot be read.
            WorkspaceError: It lies where statements may not read.
        """
        from .video import open_film

        return open_film(
            source,
            locate=self._reader.policy.workspace.locate,
            max_pixels=self._max_pixels,
            remark=remark,
        )
