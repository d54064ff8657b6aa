"""What a connection is: the facts of socket and handshake, and how the application finds them in a request.

uvicorn tells the application neither the listener nor the peer's certificate. `http_protocol.py` therefore
puts one `Connection` per connection into the mapping that uvicorn copies into `scope["state"]` of every
request; `connection_of` is the only reader.

INVARIANT: nothing here comes from a header (threat T85).
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Protocol

from cryptography import x509

from authsvc.presented.registry import HandshakeCertificates
from authsvc.trust.certificate import READ_ERRORS

__all__ = [
    "STATE_CONNECTION",
    "STATE_OVERSIZED",
    "Application",
    "Connection",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "connection_of",
    "dns_names_of",
    "is_oversized",
]

# Any: ASGI scopes and messages are dictionaries of mixed values by their specification; every value is
# checked or converted where it is taken out.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        """Answer one request."""
        ...


STATE_CONNECTION: Final = "authsvc_connection"
STATE_OVERSIZED: Final = "authsvc_oversized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Who connected, and how; the same for every request of a connection.

    `address` is None on a unix socket, and where the peer had gone before we asked. `certificates` is None on
    a listener without TLS, and holds no certificate where the client presented none.
    """

    listener: str
    unix_socket: bool
    address: IPv4Address | IPv6Address | None = None
    certificates: HandshakeCertificates | None = None

    @property
    def peer(self) -> str:
        """The peer as records show it: its address, or `unix`."""
        return "unix" if self.unix_socket else str(self.address or "unknown")


def connection_of(scope: Mapping[str, Any]) -> Connection:
    """Return the connection that a request came by.

    Raises:
        AssertionError: the request did not come through one of our listeners.

    """
    connection = scope["state"].get(STATE_CONNECTION)
    assert isinstance(connection, Connection)
    return connection


def is_oversized(scope: Mapping[str, Any]) -> bool:
    """Tell whether the request's head exceeded a limit: its last header fields are cut or missing."""
    return scope["state"].get(STATE_OVERSIZED) is True


@lru_cache(maxsize=64)
def dns_names_of(certificate: bytes) -> tuple[str, ...]:
    """Return the SAN dNSNames of a certificate (DER); none where it has none, or cannot be read.

    Not checked: anything else. The handshake has verified it against the listener's authorities.
    """
    try:
        extension = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return tuple(extension.value.get_values_for_type(x509.DNSName))
    except READ_ERRORS:
        return ()
