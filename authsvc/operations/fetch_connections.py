"""Connections to servers that a certificate or a configuration names: to which address, and for how long.

What lives here: resolving, a connection whose every wait is bounded by one deadline, TLS. What does not: who may be
called (`fetch_targets.py`), HTTP (`fetch_http.py`), LDAP (`fetch_ldap.py`), what is fetched and when
(`revocation_urls.py`).

Invariants:

* Nothing is connected to, and no name is resolved, whose host is not on the list of the policy (threat T31).
* The address connected to is the very address that was judged: a name is resolved once for one connection, so that
  a second answer of the name server cannot lead elsewhere.
* If one address of a host is neither public nor in the listed networks, none of them is called.
* One deadline holds for the whole exchange: resolving, connecting, TLS, every octet in both directions. Whoever drips
  octets slowly does not win time with each of them (threat T33).
* No proxy of the environment, no credentials, no cookies.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from authsvc.operations.fetch_targets import (
    Address,
    FetchFault,
    FetchPolicy,
    Network,
    Target,
    find_address_problem,
)
from directory_assistance.config_reading import describe_ssl_error

__all__ = [
    "Connection",
    "Network",
    "Resolve",
    "Streams",
    "open_connection",
    "resolve_addresses",
    "trusted_roots",
]

_MOST_ADDRESSES: Final = 16
"""Addresses of one host that are looked at: a name server must not choose how long connecting takes."""

_READ_OCTETS: Final = 64 * 1024

Resolve = Callable[[str, int, float], Sequence[str]]
"""Host, port, seconds at most: its addresses as text. Raises FetchFault or OSError."""


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


class Streams:
    """The sockets of exchanges that are under way, so that they can be ended from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def add(self, stream: socket.socket) -> None:
        """Count a socket in.

        Raises:
            FetchFault: nothing is to be fetched any more.

        """
        with self._lock:
            if self._closed:
                raise FetchFault("nothing is fetched any more: the service ends")
            self._open.add(stream)

    def discard(self, stream: socket.socket) -> None:
        """Count a socket out."""
        with self._lock:
            self._open.discard(stream)

    def close(self) -> None:
        """End every exchange, and let none begin."""
        with self._lock:
            self._closed = True
            for stream in self._open:
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)


class Connection:
    """A connected stream whose waits all end at one deadline, and whose answer has a limit.

    Args:
        stream: the socket.
        streams: counts it out when it is closed.
        where: the URL, for messages.
        deadline: monotonic seconds.
        limit: octets that may be read in all; one more is a fault.

    """

    def __init__(
        self, stream: socket.socket, streams: Streams, *, where: str, deadline: float, limit: int
    ) -> None:
        self._stream = stream
        self._streams = streams
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
        self._streams.discard(self._stream)
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
    streams: Streams,
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
        streams: knows what is under way.

    Raises:
        FetchFault: it may not be called, or cannot be.

    """
    # 1
    if not target.is_allowed(policy):
        raise FetchFault(f"`{target.url}`: `{target.entry}` is not among the hosts that may be called")
    # 2
    addresses = _judged_addresses(target, policy, deadline, resolve)
    # 3
    stream = _connect(target, addresses, deadline, streams)
    # 4
    if target.scheme in {"https", "ldaps"}:
        stream = _secured(stream, target, deadline, context, streams)
    return Connection(stream, streams, where=target.url, deadline=deadline, limit=limit)


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


def _connect(
    target: Target, addresses: Sequence[Address], deadline: float, streams: Streams
) -> socket.socket:
    problem = ""
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        stream = socket.socket(family, socket.SOCK_STREAM)
        try:
            streams.add(stream)
            stream.settimeout(left)
            stream.connect((str(address), target.port))
        except OSError as error:
            problem = f"{address}: {error.strerror or error}"
        except FetchFault:
            stream.close()
            raise
        else:
            return stream
        streams.discard(stream)
        stream.close()
    raise FetchFault(f"`{target.url}`: cannot be connected to: {problem or 'no time left'}")


def _secured(
    stream: socket.socket,
    target: Target,
    deadline: float,
    context: Callable[[], ssl.SSLContext],
    streams: Streams,
) -> socket.socket:
    """Put TLS over a stream; where that fails, the stream is closed."""
    secured = stream
    try:
        stream.settimeout(max(deadline - time.monotonic(), 0.001))
        # The handshake is made by its own call, because until then nobody else could end it.
        secured = context().wrap_socket(stream, server_hostname=target.host, do_handshake_on_connect=False)
        streams.discard(stream)
        streams.add(secured)
        # The whole handshake shares one time-out: Python makes a deadline of it.
        secured.do_handshake()
    except ssl.SSLCertVerificationError as error:
        problem = f"the server's certificate is not accepted: {error.verify_message}"
        raise _closed(secured, target, streams, problem) from error
    except (OSError, ValueError) as error:
        raise _closed(secured, target, streams, f"no TLS: {describe_ssl_error(error)}") from error
    except FetchFault:
        _closed(secured, target, streams, "")
        raise
    return secured


def _closed(stream: socket.socket, target: Target, streams: Streams, problem: str) -> FetchFault:
    streams.discard(stream)
    stream.close()
    return FetchFault(f"`{target.url}`: {problem}")
