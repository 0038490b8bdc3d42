"""How httpx connects: to checked addresses, and for no longer than was said.

Source: https://www.encode.io/httpcore/network-backends/
"""

from __future__ import annotations

import functools
import ssl
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import httpx

from .addresses import Reach, UnknownHostError

KEPT_S = 20.0
"""How long an idle connection is kept: less than servers keep theirs."""


class Deadline:
    """A moment after which nothing is waited for.

    Args:
        seconds: From now; None is never.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return self._end is not None and time.monotonic() >= self._end

    def within(self, timeout: float | None) -> float | None:
        """Return a timeout in seconds, cut off where the deadline comes earlier.

        Raises:
            httpcore.ReadTimeout: The deadline has passed.
        """
        if self._end is None:
            return timeout
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is over")
        return left if timeout is None else min(timeout, left)


class Transport(httpx.BaseTransport):
    """Sends requests to the hosts within reach.

    Behind a proxy that the environment names, the proxy resolves the names and connects: then a
    host is refused only where it resolves here, too.

    Args:
        reach: The addresses that may be connected to, asked anew for each redirect.
        deadline: When it all must be over.
    """

    def __init__(self, reach: Reach, deadline: Deadline) -> None:
        self._reach = reach
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context(), network_backend=_Backend(reach, deadline)
        )
        self._proxies: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the answer as far as its headers."""
        if proxy := proxy_of(request.url):
            return self._by_proxy(request, proxy)
        with errors_of_httpx():
            answer = self._pool.handle_request(core_request(request))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def _by_proxy(self, request: httpx.Request, proxy: str) -> httpx.Response:
        url = request.url
        with suppress(UnknownHostError):
            self._reach.addresses(url.host, url.port or (443 if url.scheme == "https" else 80))
        if proxy not in self._proxies:
            self._proxies[proxy] = httpx.HTTPTransport(verify=ssl_context(), proxy=proxy)
        return self._proxies[proxy].handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        for transport in self._proxies.values():
            transport.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with errors_of_httpx():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and to no name."""

    def __init__(self, reach: Reach, deadline: Deadline) -> None:
        self._reach = reach
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"no address of {host!r} answers")
        try:
            addresses = self._reach.addresses(host, port)
        except UnknownHostError as exc:  # perhaps the network is away
            raise httpcore.ConnectError(str(exc)) from exc
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(
                    address,
                    port,
                    timeout=self._deadline.within(timeout),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection that is not waited for beyond the deadline, however slowly it sends."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.within(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def core_request(request: httpx.Request) -> httpcore.Request:
    """Return a request of httpx as httpcore takes it."""
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextmanager
def errors_of_httpx() -> Iterator[None]:
    """Turn httpcore's errors into those of the same names in httpx."""
    try:
        yield
    except Exception as exc:
        kind = getattr(httpx, type(exc).__name__, None)
        if not type(exc).__module__.startswith("httpcore") or kind is None:
            raise
        raise kind(str(exc)) from exc


@functools.cache
def ssl_context(http2: bool = False) -> ssl.SSLContext:
    """Return the context of all connections; httpcore writes the protocols that it offers to it."""
    return httpx.create_ssl_context()


def proxy_of(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL, or None."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
