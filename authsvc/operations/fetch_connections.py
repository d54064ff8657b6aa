"""Connections to servers that a certificate or a configuration names: to whom, to which address, and for how long.

What lives here: reading a URL, the list of hosts that may be called, resolving and judging addresses, a connection
whose every wait is bounded by one deadline. What does not: HTTP (`fetch_http.py`), LDAP (`fetch_ldap.py`), what is
fetched and when (`revocation_sources.py`).

A URL in a certificate is a wish of whoever made the certificate (threat T31). Invariants:

* Nothing is connected to, and no name is resolved, whose host is not on the list of the policy.
* The address connected to is the very address that was judged: a name is resolved once for one connection, so that
  a second answer of the name server cannot lead elsewhere.
* If one address of a host is neither public nor in the listed networks, none of them is called.
* One deadline holds for the whole exchange: resolving, connecting, TLS, every octet in both directions. Whoever drips
  octets slowly does not win time with each of them (threat T33).
* No proxy of the environment, no credentials, no cookies.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from directory_assistance.config_reading import describe_ssl_error
from directory_assistance.errors import shorten

__all__ = [
    "Address",
    "Connection",
    "FetchFault",
    "FetchPolicy",
    "Network",
    "Resolve",
    "Target",
    "find_address_problem",
    "host_entry",
    "open_connection",
    "read_url",
    "resolve_addresses",
    "trusted_roots",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}
"""The schemes that can be fetched, and the port of each where a URL names none."""

_LONGEST_URL: Final = 2_048
"""Characters of a URL: distribution points with long LDAP names have some hundred."""

_MOST_ADDRESSES: Final = 16
"""Addresses of one host that are looked at: a name server must not choose how long connecting takes."""

_URL = re.compile(r"[\x21-\x7e]+", re.ASCII)
"""Visible ASCII: whatever else stands in a URL is there to be read differently by somebody."""

_HOST = re.compile(
    r"[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62}){0,32}|\[[0-9a-f:.]{2,45}\]", re.ASCII
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that a translator turns into the IPv4 address in their last 32 bits (RFC 6052)."""

_READ_OCTETS: Final = 64 * 1024


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


Resolve = Callable[[str, int, float], Sequence[str]]
"""Host, port, seconds at most: its addresses as text. Raises FetchFault or OSError."""


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
        raise FetchFault(f"`{shown}`: expected a URL without a user name")
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


def resolve_addresses(host: str, port: int, seconds: float) -> Sequence[str]:
    """Ask the system for the addresses of a host, and wait so many seconds for it at most.

    The question itself cannot be stopped: it ends by the system's own limits, in a thread that nobody waits for.

    Raises:
        FetchFault: no answer within that time.
        OSError: the host has no address.

    """
    answers: list[Sequence[str]] = []
    failures: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failures.append(error)
        else:
            answers.append(tuple(dict.fromkeys(str(each[4][0]) for each in found)))

    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(seconds)
    if answers:
        return answers[0]
    if failures:
        raise OSError(str(failures[0])) from failures[0]
    raise FetchFault(f"no address of `{host}` within {seconds:.1f} s")


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


def trusted_roots(ca_file: Path | None) -> ssl.SSLContext:
    """Return how servers are verified: by the authorities of a file, or by those of the system.

    Raises:
        FetchFault: the file cannot be used.

    """
    context = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # verifies the chain and the name: both are on by default
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise FetchFault(f"`{ca_file}`: expected authorities (PEM): {describe_ssl_error(error)}") from error
    return context


class Connection:
    """A connected stream whose waits all end at one deadline, and whose answer has a limit.

    Args:
        stream: the socket.
        where: the URL, for messages.
        deadline: monotonic seconds.
        limit: octets that may be read in all; one more is a fault.

    """

    def __init__(self, stream: socket.socket, *, where: str, deadline: float, limit: int) -> None:
        self._stream = stream
        self._where = where
        self._deadline = deadline
        self._limit = limit
        self._read = 0

    def send(self, octets: bytes) -> None:
        """Send everything.

        Raises:
            FetchFault: the deadline passed.
            OSError: the connection broke.

        """
        self._stream.settimeout(self._left())
        try:
            self._stream.sendall(octets)
        except TimeoutError as error:
            raise self._late() from error

    def receive(self, buffer: memoryview) -> int:
        """Read what is there, at least one octet; 0 at the end.

        Raises:
            FetchFault: the deadline passed, or more was sent than may be.
            OSError: the connection broke.

        """
        self._stream.settimeout(self._left())
        try:
            count = self._stream.recv_into(buffer, min(len(buffer), _READ_OCTETS))
        except TimeoutError as error:
            raise self._late() from error
        except ssl.SSLEOFError:
            return 0  # the end without a farewell: whoever needs to know the length counts the octets
        self._read += count
        if self._read > self._limit:
            raise FetchFault(f"`{self._where}`: too large: more than {self._limit} octets were sent")
        return count

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> FetchFault:
        return FetchFault(f"`{self._where}`: expected the whole answer in time, found none")


def open_connection(  # noqa: PLR0913 - what to call, under which rules, with which parts
    target: Target,
    policy: FetchPolicy,
    *,
    deadline: float,
    limit: int,
    resolve: Resolve,
    context: Callable[[], ssl.SSLContext],
) -> Connection:
    """Connect to a host that the policy allows.

    1. The host must be on the list, before anything is asked of anybody.
    2. Resolve, and judge every address.
    3. Connect to one of those, the next where one does not answer.
    4. TLS where the scheme says so, for the host's name.

    Args:
        target: where to.
        policy: who may be called.
        deadline: monotonic seconds, of the whole exchange.
        limit: octets that may be read.
        resolve: asks for addresses.
        context: makes how TLS servers are verified.

    Raises:
        FetchFault: it may not be called, or cannot be.

    """
    # 1
    if not target.is_allowed(policy):
        raise FetchFault(f"`{target.url}`: `{target.entry}` is not among the hosts that may be called")
    # 2
    addresses = _judged_addresses(target, policy, deadline, resolve)
    # 3
    stream = _connect(target, addresses, deadline)
    # 4
    try:
        if target.scheme in {"https", "ldaps"}:
            stream = _secured(stream, target, deadline, context())
    except BaseException:
        stream.close()
        raise
    return Connection(stream, where=target.url, deadline=deadline, limit=limit)


def _judged_addresses(
    target: Target, policy: FetchPolicy, deadline: float, resolve: Resolve
) -> tuple[Address, ...]:
    left = max(deadline - time.monotonic(), 0.001)
    try:
        found = tuple(resolve(target.host, target.port, left))[:_MOST_ADDRESSES]
        addresses = tuple(ipaddress.ip_address(text) for text in found)
    except (OSError, ValueError) as error:
        raise FetchFault(f"`{target.url}`: no address of `{target.host}`: {error}") from error
    if not addresses:
        raise FetchFault(f"`{target.url}`: no address of `{target.host}`")
    for address in addresses:
        problem = find_address_problem(address, policy.private_networks)
        if problem:
            raise FetchFault(
                f"`{target.url}`: `{target.host}` is at {address}, which {problem} and in none of "
                "`private_networks`"
            )
    return addresses


def _connect(target: Target, addresses: Sequence[Address], deadline: float) -> socket.socket:
    problem = ""
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        stream = socket.socket(family, socket.SOCK_STREAM)
        stream.settimeout(left)
        try:
            stream.connect((str(address), target.port))
        except OSError as error:
            stream.close()
            problem = f"{address}: {error.strerror or error}"
            continue
        return stream
    raise FetchFault(f"`{target.url}`: cannot be connected to: {problem or 'no time left'}")


def _secured(
    stream: socket.socket, target: Target, deadline: float, context: ssl.SSLContext
) -> socket.socket:
    stream.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        # The whole handshake shares this time-out: Python makes a deadline of it.
        return context.wrap_socket(stream, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise FetchFault(
            f"`{target.url}`: the server's certificate is not accepted: {error.verify_message}"
        ) from error
    except (OSError, ValueError) as error:
        raise FetchFault(f"`{target.url}`: no TLS: {describe_ssl_error(error)}") from error
