"""How aiohttp, which s3fs and gcsfs use, connects: to checked addresses, as ``transport`` does.

Source: https://docs.aiohttp.org/en/stable/client_advanced.html#resolving-using-custom-nameservers
"""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from ..errors import SourceError
from .addresses import Reach, UnknownHostError, kind_of
from .network import reach_of


class Guard(AbstractResolver):
    """Resolves the hosts of an object store, and makes no socket to any address but a checked one.

    No statement and no row names such a host: it is the store's own, or the user's own word. So
    the store's host, and the names under it, may have any address; where the store redirects to,
    only a public one.

    Args:
        allowed_hosts: Further hosts that may have any address.
    """

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._allowed = tuple(allowed_hosts)
        self._hosts: list[str] = []
        self._reach = Reach()
        self._checked: set[str] = set()
        self.trust()

    def trust(self, *urls: str) -> None:
        """Allow the hosts of the store's URLs, beside those of the proxies in the environment."""
        self._hosts += [host for url in urls if (host := urlsplit(url).hostname)]
        proxies = [each for each in urllib.request.getproxies().values() if "://" in each]
        self._reach = reach_of(*urls, *proxies, allowed_hosts=self._allowed)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host that may be connected to.

        Raises:
            OSError: The host cannot be found.
            SourceError: It has only addresses that are not public.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(None, self._addresses, host, port)
        except UnknownHostError as error:
            raise OSError(str(error)) from error
        self._checked.update(found)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    def _addresses(self, host: str, port: int) -> list[str]:
        is_own = any(host.endswith(f".{each}") for each in self._hosts)
        reach = Reach([host]) if is_own else self._reach
        return reach.addresses(host, port)

    def socket(self, info: Any) -> socket.socket:
        """Return a socket for an address; those that were written as numbers are checked here.

        Raises:
            SourceError: The address is not public.
        """
        family, kind, proto, _, (address, port, *_rest) = info
        if address not in self._checked and kind_of(address):
            self._reach.addresses(address, port)
        return socket.socket(family, kind, proto)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def refusal_in(error: BaseException | None) -> SourceError | None:
    """Return why a guard refused an address, if that is behind an error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, SourceError):
            return error
        seen.add(id(error))
        inner = getattr(error, "kwargs", {}).get("error")  # of botocore's errors
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return None
