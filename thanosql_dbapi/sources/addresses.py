"""Which addresses a URL may lead to.

A URL in a row is data from outside, and the machine that reads it stands where others cannot reach:
beside its own services, its neighbours and its cloud's metadata. So only public addresses are
connected to, and what the user has named himself. A name is resolved here, and the address that
was checked is the one that is connected to: a second answer of the DNS does not count.

Sources: https://www.iana.org/assignments/iana-ipv4-special-registry/,
https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Union

from ..errors import SourceError, clip

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_KINDS = (
    ("is_unspecified", "unspecified"),
    ("is_loopback", "loopback"),
    ("is_link_local", "link-local"),
    ("is_multicast", "multicast"),
    ("is_reserved", "reserved"),
    ("is_site_local", "private"),
    ("is_private", "private"),
)


class UnknownHostError(SourceError):
    """A host that cannot be found, here and now."""


class Reach:
    """The addresses that may be connected to: public ones, and those of named hosts.

    Args:
        hosts: Names or addresses, each with a port or without: ``nas.local``, ``10.0.0.5:8000``,
            ``[::1]:8000``. A host that is named has any address.

    Example:
        >>> Reach().addresses("127.0.0.1", 80)
        Traceback (most recent call last):
        thanosql_dbapi.errors.SourceError: '127.0.0.1' is a loopback address; ...
        >>> Reach(["127.0.0.1"]).addresses("127.0.0.1", 80)
        ['127.0.0.1']
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._named = {_split(host) for host in hosts}

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be connected to.

        Raises:
            UnknownHostError: The host cannot be found.
            SourceError: It has only addresses that are not public.
        """
        found = _resolve(host, port)
        is_named = self._is_named(host, port)
        allowed = [each for each in found if is_named or self._is_named(each, port)]
        allowed += [each for each in found if each not in allowed and not kind_of(each)]
        if allowed:
            return allowed
        where = f"{host!r} is" if found == [host] else f"{host!r} has the address {found[0]},"
        raise SourceError(
            f"{where} a {kind_of(found[0])} address; a row may name public hosts only, and those"
            f" that the connection was opened with: allowed_hosts=[{host!r}]"
        )

    def _is_named(self, host: str, port: int) -> bool:
        name = _plain(host)
        return (name, None) in self._named or (name, port) in self._named


def kind_of(address: str) -> str:
    """Return what kind of address is not public, or ``""`` for a public one.

    Example:
        >>> kind_of("169.254.169.254"), kind_of("::ffff:10.0.0.1"), kind_of("1.1.1.1")
        ('link-local', 'private', '')
    """
    known = ipaddress.ip_address(address)
    embedded = _embedded(known)
    is_mapped = isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None
    for each in embedded if is_mapped else (*embedded, known):
        for attribute, kind in _KINDS:
            if getattr(each, attribute, False):
                return kind
        if not each.is_global:
            return "shared"
    return ""


def _embedded(address: _Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address leads to through a gateway."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A name that cannot be written in the DNS is a UnicodeError.
    except (OSError, UnicodeError) as exc:
        raise UnknownHostError(
            f"host {clip(host)} cannot be found: {getattr(exc, 'strerror', None) or exc}"
        ) from exc
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _split(host: str) -> tuple[str, int | None]:
    name, colon, port = host.rpartition(":")
    is_address = host.count(":") > 1 and not host.startswith("[")
    if is_address or not colon or not port.isdigit():
        return _plain(host), None
    return _plain(name), int(port)


def _plain(host: str) -> str:
    """Return a host in one spelling: names in the DNS's letters, addresses in their short form."""
    name = host.strip("[]").lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name
