"""How an LDAP connection comes to be: connected, secured, bound. The only file that names ldap3.

What lives here: every option of ldap3, TLS, and the translation of what either raises into faults. What does not:
searching (`session.py`, on the socket that is handed over there), and which host is tried when (`hosts.py`).

Invariants:

* Every ldap3 option is written out at its call, also where it equals today's default.
* No call lasts longer than it was allowed: every address of a host, and the handshakes, share one time.
* A server over TLS has shown a certificate that is in date and of a known authority; nothing is sent to it before.

Standards: RFC 4513 (bind, StartTLS), RFC 4511.
"""

import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, assert_never

import ldap3
from ldap3.core.exceptions import LDAPCommunicationError, LDAPException
from ldap3.core.results import RESULT_CODES
from pyasn1.error import PyAsn1Error

from directory_assistance.backends.ldap.bounded import BoundedSocket
from directory_assistance.backends.ldap.session import (
    LARGEST_ANSWER,
    ConnectionLost,
    HostSilent,
    LdapSession,
    TransportFault,
    one_line,
)
from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    ExternalBind,
    LdapHost,
    LdapSettings,
    SimpleBind,
    Transport,
)
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable, shorten

__all__ = ["make_tls_context", "name_result_code", "open_session"]

_READ_SIZE = 256 * 1024
"""Octets that ldap3 reads at once. It would read 4,096, and copy all it has at each step."""

_GARBAGE = (PyAsn1Error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What ldap3's decoder raises for octets that are not LDAP; it checks nothing beforehand."""

_SHORTEST_WAIT_SECONDS = 0.001
"""Time limit of a step when no time is left for it: it fails, and is not waited for."""

_Authentication = Literal["ANONYMOUS", "SIMPLE", "SASL"]

_TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def name_result_code(code: int) -> str:
    """Return a result code as `49 invalidCredentials` (RFC 4511 section 4.1.9)."""
    return f"{code} {RESULT_CODES.get(code, 'unknown')}"


class _VerifyingTls(ldap3.Tls):
    """TLS by a context of ours.

    ldap3's own would accept every certificate by default, compares names with a copy of code that Python
    dropped, and cannot set a minimum version.

    `failure`: what the last handshake ended with, None if it succeeded. ldap3 tells it as the text of a text.
    """

    def __init__(self, context: ssl.SSLContext, host: LdapHost) -> None:
        # `validate` is not used by our `wrap_socket`; it says what holds, should ldap3 ever look.
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._server_name = host.host
        self.failure: OSError | None = None

    # The signature is ldap3's; it asks for the handshake wherever it calls this.
    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Replace the connection's socket by one that has shaken hands with a verified server."""
        bounded = connection.socket if isinstance(connection.socket, BoundedSocket) else None
        plain = connection.socket if bounded is None else bounded.plain
        _send_at_once(plain)
        plain.settimeout(connection.server.connect_timeout)  # Python holds the whole handshake to it
        try:
            protected = self._context.wrap_socket(
                plain, server_side=False, do_handshake_on_connect=True, server_hostname=self._server_name
            )
        except OSError as error:
            self.failure = error
            raise
        self.failure = None
        if bounded is None:
            connection.socket = protected
        else:
            bounded.plain = protected


class _Server(ldap3.Server):
    """A host of which all addresses are tried within one time, each within its share of what is left of it.

    ldap3 would give each the whole time, so that a name with four of them takes four times as long as was allowed; and
    it leaves the socket of one that failed to the collector of garbage.
    """

    connection: ldap3.Connection | None = None
    _until = 0.0
    _left = 1

    @property
    def connect_timeout(self) -> float:
        """Seconds for the address that is tried now."""
        return _seconds_until(self._until) / self._left

    @connect_timeout.setter
    def connect_timeout(self, seconds: float) -> None:
        """Begin to count: ldap3 sets it once, when a server is made."""
        self._until = time.monotonic() + seconds

    def candidate_addresses(self) -> Iterator[object]:
        """Yield each address; who asks for another one has failed with the one before."""
        addresses = super().candidate_addresses()  # type: ignore[no-untyped-call]  # ldap3 has no types here
        for position, address in enumerate(addresses):
            self._left = len(addresses) - position
            yield address
            if self.connection is not None and self.connection.socket is not None:
                self.connection.socket.close()


def _seconds_until(instant: float) -> float:
    # A time limit of 0 would mean "do not block", a negative one is an error.
    return max(instant - time.monotonic(), _SHORTEST_WAIT_SECONDS)


def open_session(domain: str, host: LdapHost, settings: LdapSettings, deadline: float) -> LdapSession:
    """Connect, secure and bind.

    1. Connect; with `ldaps`, shake hands.
    2. Put the socket under our limits.
    3. StartTLS where the transport asks for it. If the server declines, the host counts as down.
    4. Bind.

    Args:
        domain: for the faults.
        host: where to.
        settings: time limits, TLS, bind.
        deadline: monotonic seconds.

    Raises:
        TransportFault: the host could not be reached, did not show a certificate that counts, or refused us.
        DirectoryUnavailable: no time was left, or the password or key cannot be read.

    """
    now = time.monotonic()
    seconds = min(settings.connect_timeout.total_seconds(), deadline - now)
    if seconds <= 0:
        raise DirectoryUnavailable(domain, f"no time left to connect to `{host.uri}`")
    with _translated(domain, host):
        tls = _make_tls(host, settings)
        connection = _make_connection(domain, host, settings, seconds, tls)
    try:
        with _translated(domain, host, tls=tls):
            connection.open(reset_usage=True, read_server_info=False)  # step 1
            bounded = BoundedSocket(connection.socket)  # step 2
            connection.socket = bounded
            # ldap3 appends each chunk to all before it, so few large ones.
            connection.strategy.socket_size = _READ_SIZE
        bounded.allow(min(time.monotonic() + settings.timeout.total_seconds(), deadline), LARGEST_ANSWER)
        _secure_and_bind(domain, host, connection, bounded, tls)  # steps 3 and 4
    except BaseException:
        if connection.socket is not None:  # ldap3 leaves it open when a handshake fails
            connection.socket.close()
        raise
    return LdapSession(domain, host, bounded)


def _secure_and_bind(
    domain: str,
    host: LdapHost,
    connection: ldap3.Connection,
    bounded: BoundedSocket,
    tls: _VerifyingTls | None,
) -> None:
    if host.transport is Transport.START_TLS:
        with _translated(domain, host, bounded, tls):
            connection.start_tls(read_server_info=False)
        # ldap3 returns something true also where it did not.
        if not connection.tls_started or not isinstance(bounded.plain, ssl.SSLSocket):
            raise TransportFault(domain, f"`{host.uri}`: StartTLS failed")
    if host.transport is not Transport.SOCKET:
        _send_at_once(bounded.plain)
    with _translated(domain, host, bounded):
        connection.bind(read_server_info=False, controls=None)
    if not connection.bound:
        said = shorten(str(connection.result["description"]))
        raise TransportFault(domain, f"`{host.uri}`: bind refused: {said}")


def _send_at_once(plain: socket.socket) -> None:
    """Turn off Nagle's algorithm: over TLS it adds 40 ms to a handshake and to every question."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _make_tls(host: LdapHost, settings: LdapSettings) -> _VerifyingTls | None:
    if host.transport not in {Transport.TLS, Transport.START_TLS}:
        return None
    return _VerifyingTls(make_tls_context(settings), host)


def _make_connection(
    domain: str, host: LdapHost, settings: LdapSettings, seconds: float, tls: _VerifyingTls | None
) -> ldap3.Connection:
    server = _Server(
        host=host.uri if host.transport is Transport.SOCKET else host.host,
        port=host.port or None,
        use_ssl=host.transport is Transport.TLS,
        allowed_referral_hosts=[],  # default: any host, with our password
        get_info=ldap3.NONE,  # default SCHEMA: 10 ms and a megabyte for each connection
        tls=tls,
        formatter=None,
        connect_timeout=seconds,  # default: none at all
        mode=ldap3.IP_V6_PREFERRED,
        validator=None,
    )
    user, password, authentication = _credentials(domain, settings)
    server.connection = connection = ldap3.Connection(
        server=server,
        user=user,
        password=password,
        auto_bind=ldap3.AUTO_BIND_NONE,  # binding is step 4
        version=3,
        authentication=authentication,
        client_strategy=ldap3.SAFE_SYNC,  # others poll, retry for minutes, or share their answers
        auto_referrals=False,  # default True: a referral would be followed with our password
        auto_range=False,  # would ask further questions behind our back, without limits
        sasl_mechanism=ldap3.EXTERNAL if authentication == ldap3.SASL else None,
        sasl_credentials="",  # with None the bind never completes
        check_names=False,  # would reword base and filter by the schema
        collect_usage=False,
        read_only=True,
        lazy=False,
        raise_exceptions=False,  # result codes are read in `directory.py`
        pool_name=None,
        pool_size=None,
        pool_lifetime=None,
        cred_store=None,
        fast_decoder=True,
        receive_timeout=math.ceil(seconds),  # until step 2; whole, or ldap3 fails to pack it
        return_empty_attributes=False,
        use_referral_cache=False,
        auto_escape=False,
        auto_encode=False,
        pool_keepalive=None,
        source_address=None,
        source_port=None,
        source_port_list=None,
    )
    return connection


def make_tls_context(settings: LdapSettings) -> ssl.SSLContext:
    """Return the context that every connection over TLS is made by.

    Raises:
        OSError: a file of the settings cannot be read, or is not what it should be.

    """
    tls = settings.tls
    context = ssl.create_default_context(
        ssl.Purpose.SERVER_AUTH,
        cafile=None if tls.ca_file is None else str(tls.ca_file),
        capath=None,
        cadata=None,
    )
    context.check_hostname = tls.verify_server_name
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = _TLS_VERSIONS[tls.minimum_version]
    if isinstance(settings.bind, ExternalBind):
        context.load_cert_chain(
            certfile=settings.bind.certificate, keyfile=settings.bind.key, password=_no_password
        )
    return context


def _no_password() -> str:
    """Answer for an encrypted key file: without this, OpenSSL would ask on the terminal of the service."""
    return ""


def _credentials(domain: str, settings: LdapSettings) -> tuple[str | None, str | None, _Authentication]:
    match settings.bind:
        case AnonymousBind():
            return None, None, ldap3.ANONYMOUS
        case SimpleBind(dn=dn, password_file=source):
            return dn, _read_password(domain, source), ldap3.SIMPLE
        case ExternalBind():
            return None, None, ldap3.SASL
        case _:
            assert_never(settings.bind)


def _read_password(domain: str, source: Path | Callable[[], str]) -> str:
    try:
        password = source.read_text(encoding="utf-8") if isinstance(source, Path) else source()
    except (OSError, UnicodeDecodeError) as error:
        raise DirectoryUnavailable(domain, f"the password cannot be read: {one_line(error)}") from error
    password = password.removesuffix("\n").removesuffix("\r")
    if not password:
        # A name with an empty password is an anonymous bind that looks like a success (RFC 4513 section
        # 5.1.2).
        raise DirectoryUnavailable(domain, "the password is empty")
    return password


@contextmanager
def _translated(
    domain: str, host: LdapHost, bounded: BoundedSocket | None = None, tls: _VerifyingTls | None = None
) -> Iterator[None]:
    """Turn what ldap3, sockets and TLS raise into faults: the one place that does."""
    try:
        yield
    except (LDAPException, OSError, *_GARBAGE) as error:
        if bounded is not None and bounded.overran:
            raise DirectoryAnswerMalformed(
                domain, f"`{host.uri}`: the answer is larger than {LARGEST_ANSWER} octets"
            ) from error
        if bounded is not None and bounded.timed_out:
            raise HostSilent(domain, f"`{host.uri}` did not answer in time") from error
        if tls is not None and tls.failure is not None:
            raise ConnectionLost(domain, f"`{host.uri}`: TLS: {one_line(tls.failure)}") from error
        if isinstance(error, LDAPCommunicationError | OSError):
            raise ConnectionLost(domain, f"`{host.uri}`: {_tell(error)}") from error
        if isinstance(error, LDAPException):
            raise TransportFault(domain, f"`{host.uri}`: {one_line(error)}") from error
        raise TransportFault(domain, f"`{host.uri}` sent something that is not LDAP") from error


def _tell(error: LDAPException | OSError) -> str:
    """Return what an exception of connecting says; ldap3 collects those of a name with several addresses."""
    match error.args:
        case (str(), [*collected]):
            return shorten("; ".join(dict.fromkeys(one_line(each) for each, _address in collected)))
        case _:
            return one_line(error)
