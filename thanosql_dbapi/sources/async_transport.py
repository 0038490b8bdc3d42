"""How httpx connects in asyncio: to checked addresses, as ``transport`` does for threads.

Many requests share one connection of HTTP/2 here. In threads they cannot: httpcore takes the number
of a stream and uses it in two steps, and two threads may take the same.

Source: https://www.encode.io/httpcore/network-backends/
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from .addresses import Reach, UnknownHostError
from .transport import KEPT_S, core_request, errors_of_httpx, proxy_of, ssl_context


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends requests to the hosts within reach: over TLS by HTTP/2, where ``h2`` is installed.

    Args:
        reach: The addresses that may be connected to, asked anew for each redirect.
        connections: Most connections at a time.
    """

    def __init__(self, reach: Reach, *, connections: int) -> None:
        self._reach = reach
        self._http2 = find_spec("h2") is not None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context(self._http2),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEPT_S,
            http2=self._http2,
            network_backend=_AsyncBackend(reach),
        )
        self._proxies: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the answer as far as its headers."""
        if proxy := proxy_of(request.url):
            return await self._by_proxy(request, proxy)
        with errors_of_httpx():
            answer = await self._pool.handle_async_request(core_request(request))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AsyncBody(answer),
            extensions=answer.extensions,
        )

    async def _by_proxy(self, request: httpx.Request, proxy: str) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        with suppress(UnknownHostError):
            await asyncio.to_thread(self._reach.addresses, url.host, port)
        if proxy not in self._proxies:
            self._proxies[proxy] = httpx.AsyncHTTPTransport(
                verify=ssl_context(self._http2), proxy=proxy, http2=self._http2
            )
        return await self._proxies[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        for transport in self._proxies.values():
            await transport.aclose()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with errors_of_httpx():
            async for block in self._answer.aiter_stream():
                yield block

    async def aclose(self) -> None:
        await self._answer.aclose()


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to no name."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"no address of {host!r} answers")
        try:
            addresses = await asyncio.to_thread(self._reach.addresses, host, port)
        except UnknownHostError as exc:  # perhaps the network is away
            raise httpcore.ConnectError(str(exc)) from exc
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address,
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
