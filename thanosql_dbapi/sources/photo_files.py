"""Many small pictures by URL into a folder: in parallel, politely, each one once.

A picture is whole or not there: it is written under another name and renamed. So what is there when
the work begins is not asked for again.
"""

from __future__ import annotations

import asyncio
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..progress import Advance
from .addresses import Reach
from .network import (
    CONNECT_S,
    IMAGE_LIMIT_BYTES,
    REDIRECTS,
    TIMEOUT_S,
    TOTAL_S,
    shown_url,
    split_login,
)

if TYPE_CHECKING:
    import httpx

REQUESTS_PER_S = 200.0
"""Most requests in a second; a server that says it is too much gets half of that, and so on."""
ATTEMPTS = 6
BACK_OFF_S = 0.5
"""The wait before a second attempt; it doubles for each further one."""
LONGEST_PAUSE_S = 300.0
"""A server that wants a longer pause is left alone, until the user comes again."""
_TOO_MUCH = (429, 503)
_GONE = (403, 404, 410, 451)
# Where more than half of the first ones are gone, or so many in a row are forbidden, it is the
# server, or the way there.
_GONE_TRIED = 50


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
    """When the next request may be sent, for all tasks together.

    Args:
        per_second: Most requests in a second.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0
        self._slowed = 0.0

    async def wait(self) -> None:
        """Wait for this task's turn."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._interval
        if turn > now:
            await asyncio.sleep(turn - now)

    def slow_down(self, pause_s: float) -> None:
        """Have all tasks pause, and go on at half the pace."""
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
    there = len(photos) - len(missing)
    forbidden = 0
    with closing(_Fetching(missing, reach, workers).results()) as results:
        for tried, (photo, status) in enumerate(results, 1):
            if status:
                gone[photo.path] = status
                forbidden = forbidden + 1 if status == 403 else 0
                is_enough = tried >= min(_GONE_TRIED, len(missing))
                # Those that are there count: what a last try has left may be the gone ones alone.
                if forbidden >= _GONE_TRIED or (is_enough and len(gone) * 2 > there + tried):
                    raise SourceError(
                        f"{len(gone)} of {tried} pictures are not there: the last one,"
                        f" {shown_url(photo.url)!r}, answers {status}; perhaps the server refuses"
                        " this network: try again later"
                    )
            else:
                forbidden = 0
            advance(1)
    return gone


def is_there(path: Path) -> bool:
    """Return whether a picture is there, and no link to elsewhere."""
    try:
        return not path.is_symlink() and path.stat().st_size > 0
    except OSError:
        return False


class _Fetching:
    """The tasks that fetch pictures, in an event loop of their own thread.

    The user's thread may have an event loop already, as in a notebook.
    """

    def __init__(self, photos: Iterable[PhotoFile], reach: Reach, workers: int) -> None:
        self._todo = iter(list(photos))
        self._reach = reach
        self._workers = workers
        self._pace = Pace(REQUESTS_PER_S)
        self._done: queue.SimpleQueue[tuple[PhotoFile, int] | BaseException | None]
        self._done = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()

    def results(self) -> Generator[tuple[PhotoFile, int], None, None]:
        """Yield the pictures as they are done, with the status of those that are gone, else 0."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            while (result := self._done.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._task.cancel)
            thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._work())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except BaseException as exc:
            self._done.put(exc)
        finally:
            self._done.put(None)
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _work(self) -> None:
        import httpx

        from .async_transport import AsyncTransport

        async with httpx.AsyncClient(
            transport=AsyncTransport(self._reach, connections=self._workers),
            follow_redirects=True,
            max_redirects=REDIRECTS,
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S, pool=None),
            headers={"accept-encoding": "identity", "accept": "image/*"},
        ) as client:
            tasks = [asyncio.create_task(self._fetch_some(client)) for _ in range(self._workers)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch_some(self, client: httpx.AsyncClient) -> None:
        for photo in self._todo:
            self._done.put((photo, await self._fetch(client, photo)))

    async def _fetch(self, client: httpx.AsyncClient, photo: PhotoFile) -> int:
        """Fetch a picture; return 0, or the status that says it is gone."""
        shown = shown_url(photo.url)
        why = ""
        for attempt in range(ATTEMPTS):
            await self._pace.wait()
            pause_s = BACK_OFF_S * 2**attempt * random.uniform(0.75, 1.25)
            try:
                if sys.version_info >= (3, 11):  # without a task of its own
                    async with asyncio.timeout(TOTAL_S):
                        status, why, wanted_s = await _attempt(client, photo)
                else:
                    status, why, wanted_s = await asyncio.wait_for(_attempt(client, photo), TOTAL_S)
            except asyncio.TimeoutError:
                status, why, wanted_s = 0, f"takes longer than {TOTAL_S:g} seconds", 0.0
            if not why:
                return status
            if status in _TOO_MUCH:
                pause_s = max(pause_s, wanted_s)
                if pause_s > LONGEST_PAUSE_S:
                    raise SourceError(
                        f"{shown!r} {why}, and asks for a pause of {pause_s:,.0f} seconds; come"
                        " back then"
                    )
                self._pace.slow_down(pause_s)
            await asyncio.sleep(pause_s)
        raise SourceError(f"{shown!r} {why}, {ATTEMPTS} times in a row; try again later")


async def _attempt(client: httpx.AsyncClient, photo: PhotoFile) -> tuple[int, str, float]:
    """Ask for a picture once.

    Returns:
        The status, or 0 where there is none or the picture is there; why another attempt should be
        made, or ``""``; the pause that the server asks for.

    Raises:
        SourceError: Another attempt would not help.
    """
    import httpx

    shown = shown_url(photo.url)
    url, login = split_login(photo.url)
    try:
        async with client.stream("GET", url, auth=login) as response:
            status = response.status_code
            if status in _GONE:
                return status, "", 0.0
            if status == 200:
                write_new(photo.path, await _content(shown, response))
                return 0, "", 0.0
            why = f"answers {status} {response.reason_phrase}"
            if status not in (408, 425, 429) and (status < 500 or status == 511):
                raise SourceError(f"{shown!r} {why}; check the network")
            return status, why, _retry_after_s(response.headers.get("retry-after"))
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as exc:
        raise SourceError(f"{shown!r} cannot be downloaded: {exc}") from exc
    except httpx.TransportError as exc:
        return 0, f"cannot be downloaded: {str(exc) or type(exc).__name__}", 0.0
    except (httpx.InvalidURL, ValueError, TypeError) as exc:
        raise SourceError(f"{shown!r} cannot be downloaded: {exc}") from exc


async def _content(shown: str, response: httpx.Response) -> bytes:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = bytearray()
    async for block in response.aiter_raw():
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


def write_new(path: Path, content: bytes) -> None:
    """Make a file, or replace one: by another name, so that it is whole or not there.

    Nothing is written through a link that somebody has put in its place.

    Raises:
        OSError: The disk says no.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            file = part.open("xb")
        except FileExistsError:  # of a killed process
            part.unlink()
            file = part.open("xb")
        with file:
            file.write(content)
        os.replace(part, path)  # noqa: PTH105 - as Path.replace, without a second Path
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
