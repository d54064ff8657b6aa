"""Whom a URL names, and who may be called: URLs read strictly, lists of hosts, addresses judged.

What lives here: values and judgements; nothing is resolved and nothing is called. What does not: connections
(`fetch_connections.py`).

A URL in a certificate is a wish of whoever made the certificate (threat T31). Invariants:

* A host counts only if it is on the list exactly, with its port.
* An address that leads to another one (IPv4 in IPv6) is judged by that one.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from directory_assistance.errors import shorten

__all__ = [
    "Address",
    "FetchFault",
    "FetchPolicy",
    "Network",
    "Target",
    "find_address_problem",
    "host_entry",
    "read_url",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}
"""The schemes that can be fetched, and the port of each where a URL names none."""

_LONGEST_URL: Final = 2_048
"""Characters of a URL: distribution points with long LDAP names have some hundred."""

_URL = re.compile(r"[\x21-\x7e]+", re.ASCII)
"""Visible ASCII: whatever else stands in a URL is there to be read differently by somebody."""

_HOST = re.compile(
    r"[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62}){0,32}|\[[0-9a-f:.]{2,45}\]", re.ASCII
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that a translator turns into the IPv4 address in their last 32 bits (RFC 6052)."""


class FetchFault(Exception):  # noqa: N818 - a fault is this project's word for it (GLOSSARY.md)
    """Nothing usable could be fetched; the text says what was expected, what was found, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """What may be called, and what an exchange may cost.

    `hosts`: `host` (the usual port of the scheme) or `host:port`, in any case; an empty list calls nobody.
    `private_networks`: networks that are not public and may be called nevertheless. `timeout`: of the whole exchange.
    `maximum_octets`: of what is fetched.
    """

    hosts: frozenset[str]
    private_networks: tuple[Network, ...] = ()
    timeout: timedelta = timedelta(seconds=10)
    maximum_octets: int = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that has been read: `host` is in lower case, without brackets."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def entry(self) -> str:
        """What a list of hosts calls it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def is_allowed(self, policy: FetchPolicy) -> bool:
        """Whether the policy lists this host, exactly."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        listed = {each.lower() for each in policy.hosts}
        return f"{host}:{self.port}" in listed or (self.port == DEFAULT_PORTS[self.scheme] and host in listed)


def host_entry(text: str) -> str:
    """Read one entry of a list of hosts: `host`, `host:port`, `[address]:port`; in lower case.

    Raises:
        ValueError: it is none.

    """
    expected = f"expected a host such as `crl.example.com` or `crl.example.com:8080`, found `{shorten(text)}`"
    lowered = text.lower()
    host, colon, port = lowered.rpartition(":")
    if not colon or lowered.endswith("]"):
        host, port = lowered, ""
    elif not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(expected)
    if _HOST.fullmatch(host) is None:
        raise ValueError(expected)
    return lowered


def read_url(url: str) -> Target:
    """Read a URL that can be fetched.

    Raises:
        FetchFault: its scheme is another one, it holds a user name or characters that a URL does not, or has no host.

    """
    shown = shorten(url)
    if len(url) > _LONGEST_URL:
        raise FetchFault(f"`{shown}`: expected a URL of at most {_LONGEST_URL} characters, found {len(url)}")
    if _URL.fullmatch(url) is None or "\\" in url:
        raise FetchFault(f"`{shown}`: expected a URL of visible ASCII characters")
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchFault(f"`{shown}`: expected a URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise FetchFault(f"`{shown}`: expected http, https, ldap or ldaps, found `{shorten(parts.scheme)}`")
    if "@" in parts.netloc:
        hidden = f"{parts.scheme}://…@{parts.netloc.rpartition('@')[2]}"
        raise FetchFault(f"`{shorten(hidden)}`: expected a URL without a user name")
    host = (parts.hostname or "").lower()
    bracketed = f"[{host}]" if ":" in host else host
    if _HOST.fullmatch(bracketed) is None or port == 0:
        raise FetchFault(f"`{shown}`: expected a URL with the name of a host")
    return Target(
        url=url,
        scheme=parts.scheme,
        host=host,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=parts.path,
        query=parts.query,
    )


def find_address_problem(address: Address, private_networks: Sequence[Network]) -> str:
    """Say why an address may not be called; empty if it may: it is public, or in a listed network."""
    inner = _embedded(address)
    if any(each in network for network in private_networks for each in {address, inner}):
        return ""
    if inner.is_multicast:
        return "is a multicast address"
    if inner.is_unspecified or inner.is_reserved or not inner.is_global or _is_site_local(inner):
        return "is not a public address"
    return ""


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_site_local(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.is_site_local
