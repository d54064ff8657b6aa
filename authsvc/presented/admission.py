"""Who may speak as a front end: the caller's address, its secret, its own certificate.

Here: the test that a caller passes before anything it says is read. Not here: the caller's facts themselves,
which the edge takes from the socket and the handshake, never from a header such as `X-Forwarded-For` (T85).

INVARIANT: all conditions that are given must hold, and a TCP front end without any condition admits nobody.
Refused is `untrusted_front_end`, never "without a certificate" (threat T1).
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from authsvc.presented.header_fields import HeaderField, connection_names, normal_name, strip_value

__all__ = [
    "SECRET_HEADER",
    "Admitted",
    "Caller",
    "FrontEndAdmission",
    "Refused",
    "admit",
    "read_secret_lines",
]

SECRET_HEADER: Final = b"x-front-end-secret"
"""Where a web server shows the secret that it shares with us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndAdmission:
    """The conditions of one front end, each None or empty where it is not given.

    `peers`: networks that its connections come from. `secret`: the content of `secret_file`. `client_name`: a
    SAN dNSName of the web server's own certificate, which the handshake has verified against
    `client_ca_file`.
    """

    peers: tuple[IPv4Network | IPv6Network, ...] = ()
    secret: bytes | None = field(default=None, repr=False)
    client_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who connected. `address` is None on a unix socket, or where the socket has no peer any more.

    `secret_lines`: the field lines that show a secret, whatever their spelling. `dns_names`: the SAN dNSNames
    of the certificate that the caller proved, verified against the front end's `client_ca_file`; empty for
    none.
    """

    unix_socket: bool
    address: IPv4Address | IPv6Address | None = None
    secret_lines: tuple[HeaderField, ...] = field(default=(), repr=False)
    dns_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The caller is the front end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The caller is not; `problem` is for the audit record, never for the caller."""

    problem: str


def admit(admission: FrontEndAdmission, caller: Caller) -> Admitted | Refused:
    """Decide whether a caller is the front end that it connected as.

    A unix socket needs nothing more than its file mode; what is given must hold there too, so `peers` on a
    unix socket admit nobody.
    """
    given = bool(admission.peers) or admission.secret is not None or admission.client_name is not None
    if not given and not caller.unix_socket:
        return Refused(problem="this front end has no condition to admit anybody")
    problem = (
        _find_peer_problem(admission, caller)
        or _find_secret_problem(admission, caller)
        or _find_name_problem(admission, caller)
    )
    return Refused(problem=problem) if problem else Admitted()


def read_secret_lines(headers: Sequence[HeaderField]) -> tuple[HeaderField, ...]:
    """Return every field line that could be taken for the secret, other spellings and removals included.

    A secret that `Connection` names comes back twice: an intermediary would have removed it (threat T4), and
    one that is there twice is refused.
    """
    lines = tuple(line for line in headers if normal_name(line[0]) == SECRET_HEADER)
    return lines * 2 if lines and SECRET_HEADER in connection_names(headers) else lines


def _find_peer_problem(admission: FrontEndAdmission, caller: Caller) -> str:
    if not admission.peers:
        return ""
    address = caller.address
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # a dual-stack socket shows IPv4 peers so
    if address is None or not any(address in network for network in admission.peers):
        return f"`{address or 'unknown'}` is in none of the networks under `peers`"
    return ""


def _find_secret_problem(admission: FrontEndAdmission, caller: Caller) -> str:
    if admission.secret is None:
        return ""
    if len(caller.secret_lines) != 1 or caller.secret_lines[0][0] != SECRET_HEADER:
        return f"expected one line of `X-Front-End-Secret`, found {len(caller.secret_lines)}"
    shown = strip_value(caller.secret_lines[0][1])
    if not admission.secret or not hmac.compare_digest(shown, admission.secret):
        return "the secret is not ours"
    return ""


def _find_name_problem(admission: FrontEndAdmission, caller: Caller) -> str:
    if admission.client_name is None:
        return ""
    wanted = _ascii_folded(admission.client_name)
    # NOTE: equal names only. A certificate for `*.example.com` is not the certificate of `edge.example.com`.
    if not wanted or wanted not in {_ascii_folded(name) for name in caller.dns_names}:
        return f"the caller's certificate does not name `{admission.client_name}`"
    return ""


def _ascii_folded(name: str) -> str:
    """Return a DNS name for comparison: ASCII letters in lower case, nothing else changed (RFC 4343)."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
