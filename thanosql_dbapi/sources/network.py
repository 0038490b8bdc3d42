"""Bytes over http(s): whole small files, and large ones into a file with a progress bar."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import SourceError, clip
from ..progress import Progress
from .addresses import Reach

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
CONNECT_S = 10.0
ATTEMPTS = 3
REDIRECTS = 10
IMAGE_LIMIT_BYTES = 64 << 20
TOTAL_S = 60.0
"""Longest time for a whole image or catalog, redirects included."""
_PIECE_BYTES = 1 << 16


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
    url: str,
    *,
    limit_bytes: int = IMAGE_LIMIT_BYTES,
    timeout_s: float = TIMEOUT_S,
    total_s: float = TOTAL_S,
    reach: Reach | None = None,
) -> bytes:
    """Return what an http(s) URL gives.

    Args:
        url: At most ten redirects are followed.
        limit_bytes: More than this is refused; a compressed transfer counts as it unpacks.
        timeout_s: Longest silence of the server, in seconds.
        total_s: Longest time for all of it, in seconds.
        reach: The addresses that may be connected to. None is for a URL that the user himself has
            named: its host, and public ones.

    Raises:
        SourceError: The server may not be reached, cannot be, answers with an error, or sends too
            much or for too long.
    """
    content = bytearray()
    with _open(url, timeout_s, total_s, reach or _reach_of(url)) as response:
        for block in _unpacked(url, response):
            content += block
            if len(content) > limit_bytes:
                raise SourceError(f"{url!r} sends more than the limit of {limit_bytes:,} bytes")
    return bytes(content)


def _unpacked(url: str, response: httpx.Response) -> Iterator[bytes]:
    """Yield a response's content in small pieces.

    It was asked for as it is. A server that compresses it all the same is read by our own hand:
    a piece of a compressed transfer can be a thousand times as large when it is unpacked, and
    a transfer that is compressed several times over that many times again.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        yield from response.iter_raw()
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise SourceError(f"{url!r} is sent in the encoding {clip(coding)}; expected none, or gzip")
    inflate = zlib.decompressobj(wbits=47)  # zlib's and gzip's headers
    try:
        for block in response.iter_raw():
            while block and not inflate.eof:
                yield inflate.decompress(block, _PIECE_BYTES)
                block = inflate.unconsumed_tail
    except zlib.error as exc:
        raise SourceError(f"{url!r} sends damaged {coding} data: {exc}") from exc
    if not inflate.eof:
        raise SourceError(f"{url!r} sends {coding} data that end early")


def _reach_of(url: str, allowed_hosts: Iterable[str] = ()) -> Reach:
    """Return what a URL that the user has named may lead to: its own host is his word."""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # httpx will say what is wrong with it
        host = None
    return Reach([*allowed_hosts, *([f"[{host}]" if ":" in host else host] if host else [])])


def download(
    url: str,
    target: Path,
    *,
    what: str,
    progress: Progress,
    allowed_hosts: Iterable[str] = (),
) -> str:
    """Put what an http(s) URL gives into a file.

    Args:
        url: The user's own word, as the catalog has it. At most ten redirects are followed.
        target: The file, made anew.
        what: What the progress is of.
        progress: Shows the bytes.
        allowed_hosts: Hosts that redirects may lead to although their addresses are not public.

    Returns:
        The SHA-256 (hex) of the file.

    Raises:
        SourceError: The server cannot be reached, answers with an error, or stops early, three
            times in a row; or the disk is full.
    """
    reach = _reach_of(url, allowed_hosts)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(url, target, what, progress, reach)
        except _InterruptedError as exc:
            if attempt == ATTEMPTS:
                raise SourceError(str(exc)) from exc.__cause__
    raise AssertionError("unreachable")


class _InterruptedError(SourceError):
    """The connection failed; another attempt may do."""


def _download(url: str, target: Path, what: str, progress: Progress, reach: Reach) -> str:
    digest = hashlib.sha256()
    with _open(url, TIMEOUT_S, None, reach) as response:
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        with target.open("wb") as file, progress.track(what, total, "B") as advance:
            for block in response.iter_raw():
                digest.update(block)
                file.write(block)
                advance(len(block))
    return digest.hexdigest()


@contextmanager
def _open(
    url: str, timeout_s: float, total_s: float | None, reach: Reach
) -> Iterator[httpx.Response]:
    """Open a URL, and turn httpx's errors into ours for the time that it is read.

    The file's own bytes are asked for: a checksum is of those, not of a compressed transfer.
    """
    import httpx

    from .transport import Deadline, Transport

    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    deadline = Deadline(total_s)
    try:
        with (
            httpx.Client(
                transport=Transport(reach, deadline),
                follow_redirects=True,
                max_redirects=REDIRECTS,
                timeout=timeout,
                headers={"accept-encoding": "identity"},
            ) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            yield response
    except SourceError as exc:
        if str(exc).startswith(repr(url)):
            raise
        raise SourceError(f"{url!r}: {exc}") from exc
    except httpx.HTTPStatusError as exc:
        code = exc.response.status_code
        kind = _InterruptedError if code >= 500 else SourceError
        raise kind(f"{url!r} answers {code} {exc.response.reason_phrase}; check the URL") from exc
    except httpx.UnsupportedProtocol as exc:
        raise SourceError(f"{url!r} leads to a URL that is not http(s): {exc}") from exc
    except httpx.TransportError as exc:
        if deadline.is_over:
            raise SourceError(
                f"{url!r} takes longer than the limit of {total_s:g} seconds"
            ) from exc
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
