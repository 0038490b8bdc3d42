"""Bytes over http(s): whole small files, and large ones into a file with a progress bar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError, clip
from ..progress import Progress

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
CONNECT_S = 10.0
ATTEMPTS = 3
IMAGE_LIMIT_BYTES = 64 << 20


def is_url(text: str) -> bool:
    """Return whether a text is an http(s) URL."""
    return text[:8].lower().startswith(("http://", "https://"))


def refuse_offline(offline: bool, what: str) -> None:
    """Refuse what needs the network, on a connection that was opened offline.

    Raises:
        SourceError: ``offline`` is true.
    """
    if offline:
        raise SourceError(
            f"{what} needs the network, and this connection is offline; open it with offline=False"
            " (and without THANOSQL_OFFLINE)"
        )


def fetch_bytes(
    url: str, *, limit_bytes: int = IMAGE_LIMIT_BYTES, timeout_s: float = TIMEOUT_S
) -> bytes:
    """Return what an http(s) URL gives.

    Args:
        url: Redirects are followed.
        limit_bytes: More than this is refused.
        timeout_s: Longest silence of the server, in seconds.

    Raises:
        SourceError: The server cannot be reached, answers with an error, or sends too much.
    """
    content = bytearray()
    with _open(url, timeout_s) as response:
        for block in response.iter_bytes():
            content += block
            if len(content) > limit_bytes:
                raise SourceError(f"{url!r} sends more than the limit of {limit_bytes:,} bytes")
    return bytes(content)


def download(url: str, target: Path, *, what: str, progress: Progress) -> str:
    """Put what an http(s) URL gives into a file.

    Args:
        url: Redirects are followed.
        target: The file, made anew.
        what: What the progress is of.
        progress: Shows the bytes.

    Returns:
        The SHA-256 (hex) of the file.

    Raises:
        SourceError: The server cannot be reached, answers with an error, or stops early, three
            times in a row; or the disk is full.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(url, target, what, progress)
        except _InterruptedError as exc:
            if attempt == ATTEMPTS:
                raise SourceError(str(exc)) from exc.__cause__
    raise AssertionError("unreachable")


class _InterruptedError(SourceError):
    """The connection failed; another attempt may do."""


def _download(url: str, target: Path, what: str, progress: Progress) -> str:
    digest = hashlib.sha256()
    with _open(url, TIMEOUT_S, plain=True) as response:
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        with target.open("wb") as file, progress.track(what, total, "B") as advance:
            for block in response.iter_raw():
                digest.update(block)
                file.write(block)
                advance(len(block))
    return digest.hexdigest()


@contextmanager
def _open(url: str, timeout_s: float, *, plain: bool = False) -> Iterator[httpx.Response]:
    """Open a URL, and turn httpx's errors into ours for the time that it is read.

    ``plain`` asks for the file's own bytes: a checksum is of those, not of a compressed transfer.
    """
    import httpx

    headers = {"accept-encoding": "identity"} if plain else {}
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=timeout, headers=headers) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            yield response
    except httpx.HTTPStatusError as exc:
        code = exc.response.status_code
        kind = _InterruptedError if code >= 500 else SourceError
        raise kind(f"{url!r} answers {code} {exc.response.reason_phrase}; check the URL") from exc
    except httpx.TransportError as exc:
        why = str(exc) or type(exc).__name__
        raise _InterruptedError(
            f"{url!r} cannot be downloaded: {why}; check the network and try again"
        ) from exc
    # A host or path that cannot be written in a request is a ValueError, UnicodeError or TypeError
    # out of the depths of httpx.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as exc:
        raise SourceError(f"{clip(url)} cannot be downloaded: {exc}; check the URL") from exc
    except OSError as exc:
        raise SourceError(f"{url!r} cannot be stored: {exc.strerror or exc}") from exc
