"""What every answer passes through: whom the server answers, and what browsers may do with it.

A server on loopback is reached by every page that the browser opens. A page elsewhere can give its
own name the address 127.0.0.1 (DNS rebinding) and then reads what is here as its own; the name is
in the Host header, so names that are not this server's are refused. Other pages may neither embed
nor frame what is here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]

_OURS = re.compile(r"/-/pictures(/|$)|/-/picture/")
_PLAIN = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_OUR_POLICY = (
    b"default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self';"
    b" connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Datasette's own pages have scripts and styles in them.
_DATASETTE_POLICY = (
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    b" script-src 'self' 'unsafe-inline'; object-src 'none'; form-action 'self'; base-uri 'none';"
    b" frame-ancestors 'none'"
)


class Guard:
    """ASGI middleware.

    Args:
        application: What answers.
        names: Names by which the server may be asked, beside loopback's and plain addresses.
        guards_all: Whether Datasette's own pages are guarded as ours are.
    """

    def __init__(
        self, application: Application, names: Iterable[str] = (), *, guards_all: bool = False
    ) -> None:
        self._application = application
        self._names = {name.lower().rstrip(".") for name in names}
        self._guards_all = guards_all

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        is_ours = _OURS.search(scope["path"]) is not None
        if not (is_ours or self._guards_all):
            await self._application(scope, receive, send)
            return
        policy = _OUR_POLICY if is_ours else _DATASETTE_POLICY

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with(message.get("headers", ()), policy)}
            await send(message)

        name = _host(scope)
        if name is not None and self._knows(name):
            await self._application(scope, receive, send_guarded)
        else:
            await _refuse(name, send_guarded)

    def _knows(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        try:
            # A page's own name is never an address, so nothing can be rebound to one.
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _with(headers: Iterable[tuple[bytes, bytes]], policy: bytes) -> list[tuple[bytes, bytes]]:
    there = [(bytes(name), bytes(value)) for name, value in headers]
    names = {name.lower() for name, _ in there}
    ours = (*_PLAIN, (b"content-security-policy", policy))
    return there + [(name, value) for name, value in ours if name not in names]


def _host(scope: Any) -> str | None:
    """Return the name that a request asks for, without its port; None where it has not one."""
    given = [value for name, value in scope["headers"] if name.lower() == b"host"]
    if len(given) != 1:
        return None
    text = given[0].decode("latin-1").strip().lower()
    found = re.fullmatch(r"\[([0-9a-f:.]+)\](:\d*)?|([^\s:@/\\\[\]]+)(:\d*)?", text)
    return (found[1] or found[3]).rstrip(".") if found else None


async def _refuse(name: str | None, send: Callable[[Any], Awaitable[None]]) -> None:
    said = "no name" if name is None else f"the name {name!r}"
    text = (
        f"403 Forbidden\n\nThis server was asked for by {said}, which is not its own. Open it as"
        " http://127.0.0.1, or start it with that name: thanosql serve --name.\n"
    )
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace")})
