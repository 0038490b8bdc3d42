"""Many small pictures by URL into a folder: in parallel, politely, each one once.

A picture is whole or not there: it is written under another name and renamed. So what is there when
the work begins is not asked for again.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..progress import Advance
from .addresses import Reach
from .network import CONNECT_S, IMAGE_LIMIT_BYTES, REDIRECTS, TIMEOUT_S, shown_url, split_login

if TYPE_CHECKING:
    import httpx

REQUESTS_PER_S = 200.0
"""Most requests in a second; a server that says it is too much gets half of that, and so on."""
ATTEMPTS = 6
BACK_OFF_S = 0.5
"""The wait before a second attempt; it doubles for each further one."""
LONGEST_PAUSE_S = 300.0
"""A server that wants a longer pause is left alone, until the user comes again."""
_GONE = (403, 404, 410, 451)
# Where more than half of the first ones are gone, it is the server, or the way there.
_GONE_TRIED = 50
_PART = ".part"
_JOIN_S = 2.0


@dataclass(frozen=True)
class PhotoFile:
    """A picture to be fetched.

    Attributes:
        url: Where it is.
        path: The file it becomes.
    """

    url: str
    path: Path


class Pace:
    """When the next request may be sent, for all threads together.

    Args:
        per_second: Most requests in a second.
    """

    def __init__(self, per_second: float = REQUESTS_PER_S) -> None:
        self._lock = threading.Lock()
        self._interval = 1 / per_second
        self._next = 0.0
        self._slowed = 0.0

    def wait(self, stop: threading.Event) -> None:
        """Wait for this thread's turn, or until ``stop`` is set."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            stop.wait(turn - now)

    def slow_down(self, pause_s: float) -> None:
        """Have all threads pause, and go on at half the pace."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now + pause_s)
            if now >= self._slowed:  # one answer too many is many, of requests sent before
                self._interval = min(self._interval * 2, 1.0)
                self._slowed = now + max(pause_s, 1.0)


def fetch_photos(
    photos: Sequence[PhotoFile], *, reach: Reach, workers: int, advance: Advance
) -> dict[Path, int]:
    """Fetch pictures that are not there yet.

    Args:
        photos: The pictures.
        reach: The addresses that may be connected to.
        workers: Most requests at a time.
        advance: Is told of each picture that is there.

    Returns:
        Those that are gone: the HTTP status by path.

    Raises:
        SourceError: The server does not answer, forbids it, or gives something that is no picture.
        OSError: The disk says no.
    """
    missing = []
    for photo in photos:
        if is_there(photo.path):
            advance(1)
        else:
            missing.append(photo)
    gone: dict[Path, int] = {}
    if not missing:
        return gone
    with _client(reach, workers) as client:
        for tried, (photo, status) in enumerate(_results(client, missing, workers), 1):
            if status:
                gone[photo.path] = status
            if len(gone) * 2 > tried >= min(_GONE_TRIED, len(missing)):
                raise SourceError(
                    f"{len(gone)} of the first {tried} pictures are not there: the last one,"
                    f" {shown_url(photo.url)!r}, answers {status or 200}; perhaps the server"
                    " refuses this network: try again later"
                )
            advance(1)
    return gone


def is_there(path: Path) -> bool:
    """Return whether a picture is there, and no link to elsewhere."""
    try:
        return not path.is_symlink() and path.stat().st_size > 0
    except OSError:
        return False


def _results(
    client: httpx.Client, photos: Iterable[PhotoFile], workers: int
) -> Iterator[tuple[PhotoFile, int]]:
    """Yield the pictures as they are done, with the status of those that are gone, else 0."""
    todo = iter(list(photos))
    done: queue.SimpleQueue[tuple[PhotoFile, int] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()
    turn = threading.Lock()
    pace = Pace()

    def work() -> None:
        try:
            while not stop.is_set():
                with turn:
                    photo = next(todo, None)
                if photo is None:
                    break
                done.put((photo, _fetch(client, photo, pace, stop)))
        except BaseException as exc:
            done.put(exc)
        done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            result = done.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
    finally:
        stop.set()
        end = time.monotonic() + _JOIN_S
        for thread in threads:  # one that waits for a server is left to its timeout
            thread.join(max(0.0, end - time.monotonic()))


def _fetch(client: httpx.Client, photo: PhotoFile, pace: Pace, stop: threading.Event) -> int:
    """Fetch a picture; return 0, or the status that says it is gone."""
    import httpx

    shown = shown_url(photo.url)
    url, login = split_login(photo.url)
    why = ""
    for attempt in range(ATTEMPTS):
        pace.wait(stop)
        if stop.is_set():
            return 0
        pause_s = BACK_OFF_S * 2**attempt * random.uniform(0.75, 1.25)
        try:
            with client.stream("GET", url, auth=login) as response:
                status = response.status_code
                if status in _GONE:
                    return status
                if status == 200:
                    _write(photo, _content(shown, response))
                    return 0
                why = f"answers {status} {response.reason_phrase}"
                if status not in (408, 425, 429) and (status < 500 or status == 511):
                    raise SourceError(f"{shown!r} {why}; check the network")
                if status in (429, 503):
                    pause_s = max(pause_s, _retry_after_s(response.headers.get("retry-after")))
                    if pause_s > LONGEST_PAUSE_S:
                        raise SourceError(
                            f"{shown!r} {why}, and asks for a pause of {pause_s:,.0f} seconds;"
                            " come back then"
                        )
                    pace.slow_down(pause_s)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as exc:
            raise SourceError(f"{shown!r} cannot be downloaded: {exc}") from exc
        except httpx.TransportError as exc:
            why = f"cannot be downloaded: {str(exc) or type(exc).__name__}"
        except (httpx.InvalidURL, ValueError, TypeError) as exc:
            raise SourceError(f"{shown!r} cannot be downloaded: {exc}") from exc
        stop.wait(pause_s)
    raise SourceError(f"{shown!r} {why}, {ATTEMPTS} times in a row; try again later")


def _content(shown: str, response: httpx.Response) -> bytes:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = bytearray()
    for block in response.iter_raw():
        content += block
        if len(content) > IMAGE_LIMIT_BYTES:
            raise SourceError(f"{shown!r} sends more than the limit of {IMAGE_LIMIT_BYTES:,} bytes")
    if not content or not (kind.startswith("image/") or content.startswith(b"\xff\xd8\xff")):
        what = f"{kind or 'something'} ({bytes(content[:20])!r}…)" if content else "nothing"
        raise SourceError(
            f"{shown!r} gives {what} instead of a picture; perhaps the login page of a network or"
            " proxy: open the URL in a browser"
        )
    return bytes(content)


def _write(photo: PhotoFile, content: bytes) -> None:
    part = photo.path.with_name(f".{photo.path.name}{_PART}")
    try:
        part.write_bytes(content)
        os.replace(part, photo.path)  # noqa: PTH105 - as Path.replace, without a second Path
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _retry_after_s(value: str | None) -> float:
    """Return the seconds that a Retry-After means, given as such or as a date."""
    text = (value or "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


@contextmanager
def _client(reach: Reach, workers: int) -> Iterator[httpx.Client]:
    """Give a client for all threads: over TLS one connection of HTTP/2, else one for each."""
    import httpx

    from .transport import Deadline, Transport

    transport = Transport(
        reach, Deadline(None), connections=workers, http2=find_spec("h2") is not None
    )
    with httpx.Client(
        transport=transport,
        follow_redirects=True,
        max_redirects=REDIRECTS,
        timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S, pool=None),
        headers={"accept-encoding": "identity", "accept": "image/*"},
    ) as client:
        yield client
