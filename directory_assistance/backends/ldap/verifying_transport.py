"""Verification of the way to an LDAP host: its name, the connection, StartTLS, TLS and the server's certificate.

What lives here: plain sockets, looked at one step at a time, so that it can be told which one fails and why.
What does not: the connections that questions are put over (`session.py`), LDAP itself (`verifying.py`).

Invariants:

* TLS is verified with the very context that sessions use. What an unverified second connection tells is the
  certificate's names and dates, for the text of a failure; nothing is ever sent over it.
* Every step has a time limit, looking up a name too: that runs in a thread of its own, which is left behind
  if the operating system takes longer.

Standards: RFC 4511 section 4.14 (StartTLS).
"""

import socket
import ssl
import threading
import time
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from directory_assistance.backends.ldap.opening import make_tls_context
from directory_assistance.backends.ldap.settings import LdapHost, LdapSettings, Transport
from directory_assistance.certificate_names import read_certificate_names, read_validity
from directory_assistance.dn import render_ldap
from directory_assistance.errors import CertificateSyntaxError, shorten
from directory_assistance.verification import CheckRecorder

__all__ = ["verify_transport"]

_EXPIRES_SOON: Final = timedelta(days=21)
"""Left life of a server's certificate that is a warning: time for whoever renews it by hand."""

_START_TLS: Final = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
"""An ExtendedRequest with message number 1 (RFC 4511 section 4.14.1)."""

_LARGEST_REPLY: Final = 4_096
"""Octets of the answer to StartTLS; real ones have fourteen, and a line of text."""

_MOST_ADDRESSES: Final = 8
"""Addresses of one name that are tried, as far as the time goes."""

_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME = frozenset({62, 64})  # host name, IP address
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_... of OpenSSL."""


def verify_transport(
    recorder: CheckRecorder, host: LdapHost, settings: LdapSettings, *, now: datetime, deadline: float
) -> tuple[bool, bool]:
    """Look at the way to a host, step by step.

    Args:
        recorder: where each check goes: `dns`, `connect`, `tls`.
        host: where to.
        settings: time limits and TLS.
        now: aware, for the days that a certificate has left.
        deadline: monotonic seconds.

    Returns:
        Whether something listens there, and whether LDAP can be spoken to it.

    """
    if host.transport is Transport.SOCKET:
        connected = _verify_socket(recorder, host, settings, deadline)
        return connected, connected
    addresses = _verify_dns(recorder, host, settings, deadline)
    address = _verify_connect(recorder, host, addresses, settings, deadline) if addresses else None
    if address is None:
        return False, False
    if host.transport is Transport.LOOPBACK:
        return True, True
    return True, _verify_tls(recorder, host, address, settings, now=now, deadline=deadline)


def _seconds(settings: LdapSettings, deadline: float) -> float:
    """Return how long one step may take; more than nothing, so that a passed deadline is a time-out."""
    return max(0.001, min(settings.connect_timeout.total_seconds(), deadline - time.monotonic()))


def _verify_socket(recorder: CheckRecorder, host: LdapHost, settings: LdapSettings, deadline: float) -> bool:
    recorder.begin()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
            plain.settimeout(_seconds(settings, deadline))
            plain.connect(host.host)
    except OSError as error:
        advice = "the path of the server's socket, and whether our user may open it"
        recorder.fail("connect", host.uri, f"`{shorten(host.host)}`: {_said(error)}", advice=advice)
        return False
    recorder.ok("connect", host.uri, f"socket `{shorten(host.host)}`")
    return True


# --- name and connection


def _verify_dns(
    recorder: CheckRecorder, host: LdapHost, settings: LdapSettings, deadline: float
) -> tuple[str, ...]:
    """Return the addresses of the host; an address is its own and is not looked up."""
    if _is_address(host.host):
        return (host.host,)
    recorder.begin()
    answer: list[tuple[str, ...] | OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host.host, host.port, type=socket.SOCK_STREAM)
            answer.append(tuple(dict.fromkeys(str(each[4][0]) for each in found)))
        except (OSError, UnicodeError) as error:  # a label of more than 63 letters is a UnicodeError
            answer.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=ask, name="verify-dns", daemon=True)
    thread.start()
    thread.join(_seconds(settings, deadline))
    found = answer[0] if answer else OSError("no answer in time")
    if isinstance(found, OSError):
        advice = "the name in `hosts`, or the name servers of this machine"
        recorder.fail("dns", host.uri, f"`{shorten(host.host)}`: {_said(found)}", advice=advice)
        return ()
    recorder.ok("dns", host.uri, ", ".join(found))
    return found[:_MOST_ADDRESSES]


def _verify_connect(
    recorder: CheckRecorder,
    host: LdapHost,
    addresses: tuple[str, ...],
    settings: LdapSettings,
    deadline: float,
) -> str | None:
    """Return the first address that accepts a connection."""
    recorder.begin()
    problems: list[str] = []
    for address in addresses:
        try:
            with socket.create_connection((address, host.port), timeout=_seconds(settings, deadline)):
                pass
        except OSError as error:
            problems.append(f"{address} port {host.port}: {_said(error)}")
            continue
        found = f"{address} port {host.port}"
        if problems:
            advice = "the server listens on some of its addresses only; sessions try them in order too"
            recorder.warn("connect", host.uri, f"{found}, after {'; '.join(problems)}", advice=advice)
        else:
            recorder.ok("connect", host.uri, found)
        return address
    advice = "the port in `hosts` (ldap 389, ldaps 636), whether the server runs, and firewalls"
    recorder.fail("connect", host.uri, "; ".join(problems), advice=advice)
    return None


# --- TLS


def _verify_tls(  # noqa: PLR0913 - what it depends on is passed in
    recorder: CheckRecorder,
    host: LdapHost,
    address: str,
    settings: LdapSettings,
    *,
    now: datetime,
    deadline: float,
) -> bool:
    recorder.begin()
    try:
        context = make_tls_context(settings)
    except (OSError, ValueError) as error:
        advice = "`ca_file`, and `certificate` and `key` of an external bind"
        recorder.fail("tls", host.uri, f"the files of TLS cannot be used: {_said(error)}", advice=advice)
        return False
    try:
        version, der = _shake_hands(host, address, context, settings, deadline)
    except ssl.SSLCertVerificationError as error:
        shown = _peek(host, address, settings, deadline)
        found, advice = _explain_certificate(error, host, shown)
        recorder.fail("tls", host.uri, found, advice=advice)
        return False
    except (OSError, ValueError) as error:
        found, advice = _explain_handshake(error, host)
        recorder.fail("tls", host.uri, found, advice=advice)
        return False
    found = f"{version}, {_describe(der)}"
    if not settings.tls.verify_server_name:
        found += ", its name is not looked at"
    validity = read_validity(der)
    left = None if validity is None else validity[1] - now
    if left is not None and left < _EXPIRES_SOON:
        recorder.warn(
            "tls", host.uri, f"{found}: {left.days} days left", advice="renew the certificate of the server"
        )
    else:
        days = "" if left is None else f" ({left.days} days left)"
        recorder.ok("tls", host.uri, found + days)
    return True


def _shake_hands(
    host: LdapHost, address: str, context: ssl.SSLContext, settings: LdapSettings, deadline: float
) -> tuple[str, bytes]:
    """Return the version of TLS and the server's certificate (DER).

    Raises:
        OSError: it does not come to that; a subclass where the certificate is refused.

    """
    with socket.create_connection((address, host.port), timeout=_seconds(settings, deadline)) as plain:
        if host.transport is Transport.START_TLS:
            _start_tls(plain, deadline=time.monotonic() + _seconds(settings, deadline))
        plain.settimeout(_seconds(settings, deadline))
        with context.wrap_socket(
            plain, server_side=False, do_handshake_on_connect=True, server_hostname=host.host
        ) as protected:
            return protected.version() or "TLS", protected.getpeercert(binary_form=True) or b""


def _start_tls(plain: socket.socket, *, deadline: float) -> None:
    """Ask for TLS and read the answer.

    Raises:
        OSError: the server declines, or answers something else.

    """
    plain.sendall(_START_TLS)
    reply = bytearray()
    while (length := _length_of(reply)) is None or len(reply) < length:
        plain.settimeout(max(0.001, deadline - time.monotonic()))
        piece = plain.recv(_LARGEST_REPLY)
        reply += piece
        if not piece or len(reply) > _LARGEST_REPLY:
            raise OSError("the server does not answer StartTLS as LDAP has it")
    # ExtendedResponse is [APPLICATION 24]; its first element is the result code, 0 for success.
    if b"\x78" not in reply or b"\x0a\x01\x00" not in reply:
        raise OSError("the server declines StartTLS")


def _length_of(reply: bytearray) -> int | None:
    """Return how long a message is, None while too little of it is there (BER, RFC 4511 section 5.1)."""
    if len(reply) < 2:
        return None
    if reply[1] < 0x80:
        return 2 + reply[1]
    more = reply[1] & 0x7F
    if len(reply) < 2 + more:
        return None
    return 2 + more + int.from_bytes(reply[2 : 2 + more], "big")


def _peek(host: LdapHost, address: str, settings: LdapSettings, deadline: float) -> bytes:
    """Return the certificate that a server shows, unverified (DER), empty where it shows none any more.

    INVARIANT: the connection ends with the handshake; nothing is sent over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return _shake_hands(host, address, context, settings, deadline)[1]
    except (OSError, ValueError):
        return b""


def _explain_certificate(error: ssl.SSLCertVerificationError, host: LdapHost, der: bytes) -> tuple[str, str]:
    """Return why the server's certificate is refused, and what to change."""
    shown, code, validity = _describe(der), error.verify_code, read_validity(der)
    if code in _WRONG_NAME:
        return (
            f"the server shows a {shown}, not for `{host.host}`",
            "the name in `hosts` as the certificate has it, or a certificate with this name",
        )
    if code == _EXPIRED:
        ended = "" if validity is None else f" on {validity[1]:%Y-%m-%d}"
        return (
            f"the certificate of the server, or of its CA, has ended: {shown}{ended}",
            "renew it on the server",
        )
    if code == _NOT_YET_VALID:
        begins = "" if validity is None else f" on {validity[0]:%Y-%m-%d}"
        return f"the certificate of the server begins later: {shown}{begins}", "the clock of this machine"
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"no authority that is trusted here vouches for the server: {shown}",
            "`tls: {ca_file: ...}` with the CA of the server's certificate; the server must send intermediates",
        )
    return f"{error.verify_message}: {shown}", "the certificate of the server, or `ca_file`"


def _explain_handshake(error: OSError | ValueError, host: LdapHost) -> tuple[str, str]:
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if reason in {"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE"}:
        other = (
            "636 is usual for `ldaps://`" if host.transport is Transport.TLS else "`ldaps://` if it is that"
        )
        return "the server does not speak TLS here", f"the port in `hosts`: {other}"
    if "PROTOCOL" in reason or "VERSION" in reason:
        return (
            f"the server speaks no version of TLS that is allowed: {_said(error)}",
            "`minimum_version`, or a newer server",
        )
    if isinstance(error, TimeoutError):
        return "the handshake did not end in time", "whether the server is overloaded; `connect_timeout`"
    if host.transport is Transport.START_TLS and not isinstance(error, ssl.SSLError):
        return _said(error), "a certificate on the server, or `ldaps://`"
    return f"the handshake failed: {_said(error)}", "what the server's log says of it"


def _describe(der: bytes) -> str:
    """Describe a server's certificate: its names and who issued it."""
    try:
        names = read_certificate_names(der)
    except CertificateSyntaxError:
        return "certificate that cannot be read"
    said = (*names.san_dns, *names.san_ips) or names.common_names
    for_whom = ", ".join(f"`{shorten(name)}`" for name in said[:5]) or "nobody"
    return f"certificate for {for_whom}, issued by `{shorten(render_ldap(names.issuer))}`"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _said(error: OSError | ValueError) -> str:
    """Say what is wrong without OpenSSL's line of a C file."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    text = getattr(error, "strerror", None) or str(error)
    return shorten(" ".join(text.split())).lower()
