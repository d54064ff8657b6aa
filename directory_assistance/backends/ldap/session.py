"""One LDAP connection: opened, bound, searched, closed; the only file that names ldap3.

What lives here: every option of ldap3, and the translation of what it raises into faults. What does not:
which connection is used when (`pool.py`), what a result code means for a question (`directory.py`).

Invariants:

* Every ldap3 option is written out at its call, also where it equals today's default.
* No call lasts longer than it was allowed: each octet sent or received is under one deadline, whatever the
  pace of the server. (Looking up a host's name is the operating system's affair and has its own limits.)
* No answer takes more memory than `LARGEST_ANSWER`, whatever the server sends.
* A session that raised is of no more use.

Standards: RFC 4511 (protocol), RFC 4513 (bind, StartTLS).
"""

import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, assert_never

import ldap3
from ldap3.core.exceptions import LDAPCommunicationError, LDAPException, LDAPInvalidFilterError
from pyasn1.error import PyAsn1Error

from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    ExternalBind,
    LdapHost,
    LdapSettings,
    SimpleBind,
    Transport,
)
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable, shorten

__all__ = [
    "LARGEST_ANSWER",
    "ConnectionLost",
    "FoundEntry",
    "LdapSession",
    "SearchAnswer",
    "SearchRequest",
    "make_context",
    "open_session",
]

LARGEST_ANSWER = 8 * 1024 * 1024
"""Octets of one answer: a hundred entries with a dozen certificates each are a quarter of it."""

_READ_SIZE = 256 * 1024
"""Octets read at once. ldap3 reads 4,096, and copies all it has at each step: a long answer costs seconds."""

_SHORTEST_WAIT_SECONDS = 0.001
"""Time limit of a read whose deadline has passed: it takes what has arrived, or fails."""

_CLOSE_SECONDS = 0.5
"""How long saying good-bye to a server may take."""

_GARBAGE = (PyAsn1Error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What ldap3's decoder raises for octets that are not LDAP; it checks nothing beforehand."""

_Authentication = Literal["ANONYMOUS", "SIMPLE", "SASL"]

_TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class ConnectionLost(DirectoryUnavailable):
    """The connection had ended before or while it was used; the question may be put again on a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One search: `base` in RFC 4514, `filter_text` in RFC 4515, `size_limit` in entries."""

    base: str
    scope: Literal["BASE", "SUBTREE"]
    filter_text: str
    attributes: Sequence[str]
    size_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """An entry as the server sent it, in octets; attribute descriptions are in lower case."""

    dn: bytes
    values: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a server answered to a search (RFC 4511 section 4.5.2).

    `code` is the result code, `description` its name, `message` the server's own words. `references` are
    the URIs of search continuation references: parts of the answer that lie elsewhere.
    """

    code: int
    description: str
    message: str
    matched_dn: str
    entries: tuple[FoundEntry, ...]
    references: tuple[str, ...]


class _ResultMessage(TypedDict):
    """What is read of ldap3's last message."""

    type: str
    result: int
    description: str
    dn: str | None
    message: str | None


class _ResponseMessage(TypedDict):
    """What is read of ldap3's messages before the last; entries and references differ."""

    type: str
    raw_dn: bytes
    raw_attributes: Mapping[str, Sequence[bytes] | None]
    uri: Sequence[str] | None


class _BoundedSocket:
    """A socket under one deadline and one budget of octets; ldap3 uses it as its socket.

    ldap3 sets a time limit for each read. A server that sends one octet a second would never run into it.
    """

    def __init__(self, plain: socket.socket) -> None:
        self.plain = plain
        self.timed_out = False
        self.overran = False
        self._until = 0.0
        self._octets = 0

    def allow(self, until: float, octets: int) -> None:
        """Allow reading `octets`, until an instant of the monotonic clock."""
        self._until = until
        self._octets = octets

    def recv(self, size: int) -> bytes:
        with self._timed():
            received = self.plain.recv(size)
        self._octets -= len(received)
        if self._octets < 0:
            self.overran = True
            raise OSError("the answer is too large")
        return received

    def sendall(self, octets: bytes) -> None:
        with self._timed():
            self.plain.sendall(octets)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        try:
            # A time limit of 0 would mean "do not block", a negative one is an error.
            self.plain.settimeout(max(self._until - time.monotonic(), _SHORTEST_WAIT_SECONDS))
            yield
        except TimeoutError:
            self.timed_out = True
            raise

    def shutdown(self, how: int) -> None:
        self.plain.shutdown(how)

    def close(self) -> None:
        self.plain.close()


class _VerifyingTls(ldap3.Tls):
    """TLS by a context of ours.

    ldap3's own would accept every certificate by default, compares names with a copy of code that Python
    dropped, and cannot set a minimum version.
    """

    def __init__(self, context: ssl.SSLContext, host: LdapHost, handshake_seconds: float) -> None:
        # `validate` is not used by our `wrap_socket`; it says what holds, should ldap3 ever look.
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._server_name = host.host
        self._handshake_seconds = handshake_seconds

    # The signature is ldap3's; it asks for the handshake wherever it calls this.
    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Replace the connection's socket by one that has shaken hands with a verified server."""
        bounded = connection.socket if isinstance(connection.socket, _BoundedSocket) else None
        plain = connection.socket if bounded is None else bounded.plain
        _send_at_once(plain)
        plain.settimeout(self._handshake_seconds)  # Python holds the whole handshake to it
        protected = self._context.wrap_socket(
            plain, server_side=False, do_handshake_on_connect=True, server_hostname=self._server_name
        )
        if bounded is None:
            connection.socket = protected
        else:
            bounded.plain = protected


class LdapSession:
    """A bound connection to one host. For one caller at a time.

    `opened` and `used` are instants of the monotonic clock.
    """

    def __init__(
        self, domain: str, host: LdapHost, connection: ldap3.Connection, bounded: _BoundedSocket
    ) -> None:
        self.host = host
        self.opened = self.used = time.monotonic()
        self._domain = domain
        self._connection = connection
        self._bounded = bounded

    def search(self, request: SearchRequest, until: float) -> SearchAnswer:
        """Search, and return what the server answered, whatever its result code.

        Args:
            request: the question.
            until: instant of the monotonic clock by which the answer must be complete.

        Raises:
            ConnectionLost: the server had closed the connection, or closed it now.
            DirectoryUnavailable: no complete answer in time, or no LDAP.
            DirectoryAnswerMalformed: the answer is larger than `LARGEST_ANSWER`.

        """
        self.used = time.monotonic()
        self._bounded.allow(until, LARGEST_ANSWER)
        with _translated(self._domain, self.host, self._bounded):
            _status, result, response, _request = self._connection.search(
                search_base=request.base,
                search_filter=request.filter_text,
                search_scope=request.scope,
                dereference_aliases=ldap3.DEREF_NEVER,  # default ALWAYS: an alias leads elsewhere
                attributes=list(request.attributes),
                size_limit=request.size_limit,  # default 0: as many as the server likes
                time_limit=max(1, math.ceil(until - self.used)),  # whole seconds; a server may ignore it
                types_only=False,
                get_operational_attributes=False,  # the few that we want are listed
                controls=None,
                paged_size=None,  # a paged search ends at the server's limit without saying so
                paged_criticality=False,
                paged_cookie=None,
                auto_escape=False,  # the filter is escaped; ldap3 would guess whether it is
            )
            return _read_answer(result, response)

    def close(self) -> None:
        """Say good-bye and close; nothing is raised."""
        self._bounded.allow(time.monotonic() + _CLOSE_SECONDS, 0)
        with suppress(LDAPException, OSError):
            self._connection.unbind()
        self.abort()

    def abort(self) -> None:
        """Close the socket at once."""
        self._bounded.close()


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
        DirectoryUnavailable: any of it failed.

    """
    now = time.monotonic()
    seconds = min(settings.connect_timeout.total_seconds(), deadline - now)
    if seconds <= 0:
        raise DirectoryUnavailable(domain, f"no time left to connect to `{host.uri}`")
    with _translated(domain, host, None):
        connection = _make_connection(domain, host, settings, seconds)
    try:
        with _translated(domain, host, None):
            connection.open(reset_usage=True, read_server_info=False)  # step 1
            bounded = _BoundedSocket(connection.socket)  # step 2
            connection.socket = bounded
            # ldap3 appends each chunk to all before it, so few large ones.
            connection.strategy.socket_size = _READ_SIZE
        bounded.allow(min(time.monotonic() + settings.timeout.total_seconds(), deadline), LARGEST_ANSWER)
        _secure_and_bind(domain, host, connection, bounded)  # steps 3 and 4
    except BaseException:
        if connection.socket is not None:  # ldap3 leaves it open when a handshake fails
            connection.socket.close()
        raise
    return LdapSession(domain, host, connection, bounded)


def _secure_and_bind(
    domain: str, host: LdapHost, connection: ldap3.Connection, bounded: _BoundedSocket
) -> None:
    if host.transport is Transport.START_TLS:
        with _translated(domain, host, bounded):
            connection.start_tls(read_server_info=False)
        # ldap3 returns something true also where it did not.
        if not connection.tls_started or not isinstance(bounded.plain, ssl.SSLSocket):
            raise DirectoryUnavailable(domain, f"`{host.uri}`: StartTLS failed")
    if host.transport is not Transport.SOCKET:
        _send_at_once(bounded.plain)
    with _translated(domain, host, bounded):
        connection.bind(read_server_info=False, controls=None)
    if not connection.bound:
        said = shorten(str(connection.result["description"]))
        raise DirectoryUnavailable(domain, f"`{host.uri}`: bind refused: {said}")


def _send_at_once(plain: socket.socket) -> None:
    """Turn off Nagle's algorithm: over TLS it adds 40 ms to a handshake and to every question."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _make_connection(domain: str, host: LdapHost, settings: LdapSettings, seconds: float) -> ldap3.Connection:
    tls = None
    if host.transport in {Transport.TLS, Transport.START_TLS}:
        tls = _VerifyingTls(make_context(settings), host, seconds)
    server = ldap3.Server(
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
    return ldap3.Connection(
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


def make_context(settings: LdapSettings) -> ssl.SSLContext:
    """Return what a connection is verified with, the client certificate of an external bind included.

    Raises:
        OSError: a file cannot be read, or holds something else.

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
        raise DirectoryUnavailable(domain, f"the password cannot be read: {_one_line(error)}") from error
    password = password.removesuffix("\n").removesuffix("\r")
    if not password:
        # A name with an empty password is an anonymous bind that looks like a success (RFC 4513 section
        # 5.1.2).
        raise DirectoryUnavailable(domain, "the password is empty")
    return password


def _read_answer(result: _ResultMessage, response: Sequence[_ResponseMessage]) -> SearchAnswer:
    """Take what we need out of ldap3's dictionaries.

    Raises:
        ValueError: the answer does not end as a search ends.

    """
    if result["type"] != "searchResDone":
        raise ValueError(f"expected the end of a search, found `{result['type']}`")
    entries: list[FoundEntry] = []
    references: list[str] = []
    for message in response:
        if message["type"] == "searchResEntry":
            values = {
                description.lower(): tuple(octets or ())  # ldap3 has None where there is no value
                for description, octets in message["raw_attributes"].items()
            }
            entries.append(FoundEntry(dn=bytes(message["raw_dn"]), values=values))
        elif message["type"] == "searchResRef":
            references.extend(message["uri"] or ())
    return SearchAnswer(
        code=result["result"],
        description=result["description"],
        message=result["message"] or "",
        matched_dn=result["dn"] or "",
        entries=tuple(entries),
        references=tuple(references),
    )


@contextmanager
def _translated(domain: str, host: LdapHost, bounded: _BoundedSocket | None) -> Iterator[None]:
    """Turn what ldap3, sockets and TLS raise into faults: the one place that does.

    Data of one question (a filter that ldap3 cannot send, an answer that is too large) is never a
    `DirectoryUnavailable`: a crafted certificate must not make a directory look down for everybody.
    """
    try:
        yield
    except LDAPInvalidFilterError as error:
        raise DirectoryAnswerMalformed(domain, f"the filter cannot be sent: {_one_line(error)}") from error
    except (LDAPException, OSError, *_GARBAGE) as error:
        if bounded is not None and bounded.overran:
            raise DirectoryAnswerMalformed(
                domain, f"`{host.uri}`: the answer is larger than {LARGEST_ANSWER} octets"
            ) from error
        if bounded is not None and bounded.timed_out:
            raise DirectoryUnavailable(domain, f"`{host.uri}` did not answer in time") from error
        if isinstance(error, LDAPCommunicationError | OSError):
            raise ConnectionLost(domain, f"`{host.uri}`: {_one_line(error)}") from error
        if isinstance(error, LDAPException):
            raise DirectoryUnavailable(domain, f"`{host.uri}`: {_one_line(error)}") from error
        raise DirectoryUnavailable(domain, f"`{host.uri}` sent something that is not LDAP") from error


def _one_line(error: Exception) -> str:
    return shorten(" ".join(str(error).split()))
