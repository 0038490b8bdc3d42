"""A file on a server, read like one on the disk: by HTTP ranges, for a part of a large archive.

Source: https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
"""

from __future__ import annotations

import io
import re
import time
from typing import Any

from ..errors import SourceError
from .addresses import Reach
from .network import (
    ATTEMPTS,
    RETRY_S,
    BrokenOffError,
    open_url,
    refuse_page,
    shown_url,
    validator_of,
)


class RangeFile(io.RawIOBase):
    """The file that a URL gives; wrap it in ``io.BufferedReader``.

    Redirects are followed once: the parts are asked for where the first one led to.

    Args:
        url: The URL.
        reach: The addresses that may be connected to.

    Attributes:
        has_ranges: Whether the server gives parts; if it does not, nothing can be read here.
        size: Number of bytes of the file; 0 without ranges.

    Raises:
        SourceError: The server cannot be reached, answers with an error, or gives a web page.
    """

    def __init__(self, url: str, reach: Reach) -> None:
        self._url = url
        self._reach = reach
        self._at = 0
        content, total = self._part(0, 1, is_first=True)
        self.has_ranges = bool(content)
        self.size = total

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next.

        Raises:
            SourceError: The server does not give it, or the file is no longer the same.
        """
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self.size)
        if self._at >= end:
            return 0
        content = self.part(self._at, end)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``; several threads may ask at once.

        Raises:
            SourceError: The server does not give it, or the file is no longer the same.
        """
        return self._part(start, end)[0]

    def _part(self, start: int, end: int, *, is_first: bool = False) -> tuple[bytes, int]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask(start, end, is_first)
            except BrokenOffError as exc:
                if attempt == ATTEMPTS:
                    raise SourceError(str(exc)) from exc.__cause__
                time.sleep(RETRY_S * attempt)
        raise AssertionError("unreachable")

    def _ask(self, start: int, end: int, is_first: bool) -> tuple[bytes, int]:
        asked = {"range": f"bytes={start}-{end - 1}"}
        with open_url(self._url, self._reach, headers=asked) as response:
            refuse_page(self._url, response)
            found = re.fullmatch(
                r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("content-range", "").strip()
            )
            is_part = response.status_code == 206 and found is not None
            if is_first:
                if not is_part:  # all of it comes, and is not read
                    return b"", 0
                self._url = str(response.url)
                self._validator = validator_of(response)
            if (
                not is_part
                or found is None
                or (int(found[1]), int(found[2]) + 1) != (start, end)
                or self._validator != validator_of(response)
            ):
                raise SourceError(
                    f"{shown_url(self._url)!r} has changed while it was read; say the statement"
                    " again"
                )
            content = b"".join(response.iter_raw())
            if len(content) != end - start:
                raise BrokenOffError(f"{shown_url(self._url)!r} sends less than it says")
            return content, int(found[3])
