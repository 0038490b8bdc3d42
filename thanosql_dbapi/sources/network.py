"""Bytes over http(s): whole small files, and large ones into a file with a progress bar."""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

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
RETRY_S = 0.3
"""The wait before a second attempt; before a third it is twice as long."""
_PIECE_BYTES = 1 << 16
_PASSING = (408, 416, 425, 429)
_ADVICE = {
    401: "it wants a login: put it in the URL as https://name:password@…",
    403: "it forbids to get this; perhaps it wants a login or the acceptance of terms first",
    407: "the proxy wants a login: put it in HTTPS_PROXY as http://name:password@…",
    429: "it has had too many requests; try again later",
    503: "try again later",
    511: "the network wants a login; open a page in a browser",
}
_LOGIN = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_SECRET = re.compile(
    r"(?i)([?&;][^=&#\s]*(?:token|secret|sig|signature|password|passwd|pwd|key|credential|auth)"
    r"[^=&#]*=)[^&#\s'\"]*"
)


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
    for block in fetch_blocks(
        url,
        limit_bytes=limit_bytes,
        timeout_s=timeout_s,
        total_s=total_s,
        reach=reach or reach_of(url),
    ):
        content += block
    return bytes(content)


def fetch_blocks(
    url: str, *, limit_bytes: int, timeout_s: float, total_s: float, reach: Reach
) -> Iterator[bytes]:
    """Yield what an http(s) URL gives in small pieces; else as :func:`fetch_bytes`."""
    size = 0
    with open_url(url, reach, timeout_s=timeout_s, total_s=total_s) as response:
        for block in _unpacked(url, response):
            size += len(block)
            if size > limit_bytes:
                raise SourceError(
                    f"{shown_url(url)!r} sends more than the limit of {limit_bytes:,} bytes"
                )
            yield block


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
        raise SourceError(
            f"{shown_url(url)!r} is sent in the encoding {clip(coding)}; expected none, or gzip"
        )
    inflate = zlib.decompressobj(wbits=47)  # zlib's and gzip's headers
    try:
        for block in response.iter_raw():
            while block and not inflate.eof:
                yield inflate.decompress(block, _PIECE_BYTES)
                block = inflate.unconsumed_tail
    except zlib.error as exc:
        raise SourceError(f"{shown_url(url)!r} sends damaged {coding} data: {exc}") from exc
    if not inflate.eof:
        raise SourceError(f"{shown_url(url)!r} sends {coding} data that end early")


def reach_of(*urls: str, allowed_hosts: Iterable[str] = ()) -> Reach:
    """Return what URLs that the user has named may lead to: their own hosts are his word."""
    named = list(allowed_hosts)
    for url in urls:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:  # httpx will say what is wrong with it
            continue
        named += [f"[{host}]" if ":" in host else host] if host else []
    return Reach(named)


def shown_url(url: str) -> str:
    """Return a URL for messages and records, with what may be a secret in it as ``***``.

    Example:
        >>> shown_url("https://me:pw@example.org/a.zip?part=1&token=abc")
        'https://***@example.org/a.zip?part=1&token=***'
    """
    if not is_url(url):
        return url
    return without_secrets(url)


def without_secrets(text: str) -> str:
    """Return a text with the logins in its URLs, and what may be secrets, as ``***``."""
    return _SECRET.sub(r"\1***", _LOGIN.sub("***@", text))


def split_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without the name and password in it, and these.

    httpx writes the URLs of its requests to its log and into its errors.
    """
    try:
        parts = urlsplit(url)
        if parts.username is None:
            return url, None
        login = (unquote(parts.username), unquote(parts.password or ""))
    except ValueError:  # httpx will say what is wrong with it
        return url, None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), login


class BrokenOffError(SourceError):
    """The connection failed, or the server is not well; another attempt may do.

    Attributes:
        status: The server's answer, or 0.
    """

    status = 0


def download(
    url: str,
    target: Path,
    *,
    what: str,
    progress: Progress,
    allowed_hosts: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    continues: bool = False,
) -> str:
    """Put what an http(s) URL gives into a file.

    A transfer that breaks off is continued where it stopped, if the server gives ranges and says
    by ETag or date that the file is still the same.

    Args:
        url: The user's own word, as the catalog has it. At most ten redirects are followed.
        target: The file, made anew.
        what: What the progress is of.
        progress: Shows the bytes.
        allowed_hosts: Hosts that redirects may lead to although their addresses are not public.
        headers: Of the request; a login goes to the URL's own host alone.
        continues: The target, if it is there, is the beginning of the very same file, whose
            checksum the caller knows.

    Returns:
        The SHA-256 (hex) of the file.

    Raises:
        SourceError: The server cannot be reached, answers with an error, or stops early, three
            times in a row without a byte more; or the disk is full.
    """
    transfer = _Transfer(url, target, what, dict(headers or {}), continues)
    reach = reach_of(url, allowed_hosts=allowed_hosts)
    failures = 0
    while True:
        before = transfer.size
        try:
            transfer.attempt(reach, progress)
            return transfer.digest.hexdigest()
        except BrokenOffError as exc:
            if exc.status == 416:  # the file is shorter than what is there of it
                transfer.restart()
            failures = 1 if transfer.size > before else failures + 1
            if failures >= ATTEMPTS:
                raise SourceError(str(exc)) from exc.__cause__
            time.sleep(RETRY_S * failures)


class _Transfer:
    """A file on its way, over as many connections as it takes."""

    def __init__(
        self, url: str, target: Path, what: str, headers: dict[str, str], continues: bool
    ) -> None:
        self._url = url
        self._target = target
        self._what = what
        self._headers = headers
        self._continues = continues
        self._validator = ""
        self.restart()
        if continues and target.is_file():
            with target.open("rb") as file:
                while block := file.read(1 << 20):
                    self._count(block)

    def attempt(self, reach: Reach, progress: Progress) -> None:
        headers = dict(self._headers)
        if self.size and (self._continues or self._validator):
            headers["range"] = f"bytes={self.size}-"
            if self._validator:
                headers["if-range"] = self._validator
        with open_url(self._url, reach, headers=headers) as response:
            refuse_page(self._url, response)
            found = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
            if response.status_code != 206 or found is None or int(found[1]) != self.size:
                self.restart()
                if response.status_code == 206:
                    self._continues = False
                    raise BrokenOffError(f"{shown_url(self._url)!r} sends another part than asked")
            self._validator = validator_of(response)
            length = response.headers.get("content-length", "")
            total = self.size + int(length) if length.isdigit() else None
            with (
                self._target.open("ab" if self.size else "wb") as file,
                progress.track(self._what, total, "B") as advance,
            ):
                if self.size:
                    advance(self.size)
                for block in response.iter_raw():
                    file.write(block)
                    self._count(block)
                    advance(len(block))

    def restart(self) -> None:
        self.size = 0
        self.digest = hashlib.sha256()

    def _count(self, block: bytes) -> None:
        self.size += len(block)
        self.digest.update(block)


def validator_of(response: httpx.Response) -> str:
    """Return what tells whether a file is still the same: its strong ETag, its date, or ``""``."""
    etag = str(response.headers.get("etag", ""))
    return etag if etag.startswith('"') else str(response.headers.get("last-modified", ""))


def refuse_page(url: str, response: httpx.Response) -> None:
    """Refuse a web page where a file was asked for.

    Raises:
        SourceError: It is one: of a proxy that wants a login, say.
    """
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/html":
        host = f" from {response.url.host!r}" if response.history else ""
        raise SourceError(
            f"{shown_url(url)!r} gives a web page (text/html){host} instead of a file: perhaps the"
            " login page of a network or proxy; open the URL in a browser"
        )


@contextmanager
def open_url(
    url: str,
    reach: Reach,
    *,
    timeout_s: float = TIMEOUT_S,
    total_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[httpx.Response]:
    """Open a URL, and turn httpx's errors into ours for the time that it is read.

    The file's own bytes are asked for: a checksum is of those, not of a compressed transfer.

    Args:
        url: At most ten redirects are followed.
        reach: The addresses that may be connected to.
        timeout_s: Longest silence of the server, in seconds.
        total_s: Longest time for all of it, in seconds; None is any.
        headers: Of the request.

    Raises:
        BrokenOffError: The server cannot be reached, is not well, or stops early.
        SourceError: It may not be reached, or answers with an error; or the disk is full.
    """
    import httpx

    from .transport import Deadline, Transport

    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    deadline = Deadline(total_s)
    shown = shown_url(url)
    address, login = split_login(url)
    try:
        with (
            httpx.Client(
                transport=Transport(reach, deadline),
                follow_redirects=True,
                max_redirects=REDIRECTS,
                timeout=timeout,
                headers={"accept-encoding": "identity", **(headers or {})},
            ) as client,
            client.stream("GET", address, auth=login) as response,
        ):
            _refuse_error(shown, response)
            yield response
    except SourceError as exc:
        if str(exc).startswith(repr(shown)):
            raise
        raise type(exc)(f"{shown!r}: {exc}") from exc
    except httpx.UnsupportedProtocol as exc:
        raise SourceError(f"{shown!r} leads to a URL that is not http(s): {exc}") from exc
    except httpx.TransportError as exc:
        if deadline.is_over:
            raise SourceError(
                f"{shown!r} takes longer than the limit of {total_s:g} seconds"
            ) from exc
        why = without_secrets(str(exc)) or type(exc).__name__
        raise BrokenOffError(
            f"{shown!r} cannot be downloaded: {why}; check the network and try again"
        ) from exc
    # A host or path that cannot be written in a request is a ValueError, UnicodeError or TypeError
    # out of the depths of httpx.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as exc:
        raise SourceError(f"{clip(shown)} cannot be downloaded: {exc}; check the URL") from exc
    except OSError as exc:
        raise SourceError(f"{shown!r} cannot be stored: {exc.strerror or exc}") from exc


def _refuse_error(shown: str, response: httpx.Response) -> None:
    code = response.status_code
    if response.is_success:
        return
    is_passing = code in _PASSING or (code >= 500 and code != 511)
    advice = _ADVICE.get(code, "check the URL")
    message = f"{shown!r} answers {code} {response.reason_phrase}; {advice}"
    if not is_passing:
        raise SourceError(message)
    failure = BrokenOffError(message)
    failure.status = code
    raise failure
