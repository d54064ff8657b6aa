"""HTTP/1.1 on one connection: uvicorn's httptools protocol with facts, limits and answers of our own.

What is added to uvicorn (the tests hold each point against the real server):

* `scope["state"]` carries the `Connection`;
* a request head is limited in bytes, in lines and in time. One that is too large is read to its end and
  thrown away, so that the caller can see its answer; then the listener's `oversized` application gets what
  was kept of it, and the connection ends (threat T9);
* what is neither head nor body (chunk extensions, a trailer) is limited in bytes, and a body that nobody reads
  in time;
* a `#` in the request target stays where it is, so that `access/paths.py` refuses it: the parser would cut it
  off, and the web server has not;
* fields of a chunked body's trailer never become header fields: uvicorn would append them to the fields that
  the application reads, past every proxy that removes a forged header;
* what is no HTTP is answered by a problem document with a request id, as everything else.
"""

import asyncio
import json
import secrets
from ipaddress import IPv4Address, IPv6Address, ip_address
from ssl import SSLObject
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from authsvc.presented.registry import HandshakeCertificates
from authsvc.web.connection import (
    STATE_CONNECTION,
    STATE_OVERSIZED,
    Application,
    Connection,
    Receive,
    Scope,
    Send,
)

__all__ = ["LARGEST_HEAD_BYTES", "MOST_HEADER_LINES", "ListenerConfig", "ListenerProtocol", "new_request_id"]

LARGEST_HEAD_BYTES: Final = 262_144
"""Bytes of a request head: a certificate and a chain header of 64 KB each, and as much again for the rest."""

MOST_HEADER_LINES: Final = 256
"""Header fields of a request: browsers send about twenty, a web server adds ten."""

_DRAINED_BYTES: Final = 8_388_608
"""Bytes of an oversized head that are thrown away in wait for its end, before the connection is cut."""

_LARGEST_FRAMING_BYTES: Final = 65_536
"""Bytes of chunk extensions or of a trailer without a byte of body between them: the parser copies all of a
trailer field with each piece that arrives, so an endless one would stop the event loop."""

_HEAD_SECONDS: Final = 20.0
"""How long a request head may take to arrive, or the rest of a body that was answered unread: slow senders must
not hold connections for ever."""

_HEAD_END: Final = b"\r\n\r\n"


class ListenerConfig(uvicorn.Config):
    """uvicorn's configuration of one listener, every option that matters written out.

    Args:
        app: the application.
        oversized: what answers requests whose head exceeds a limit.
        listener: its name.
        unix_socket: whether it is one.
        keep_alive_seconds: how long an idle connection stays open.
        drain_seconds: how long running requests may take after TERM.

    """

    def __init__(  # noqa: PLR0913 - a listener's settings
        self,
        app: Application,
        *,
        oversized: Application | None,
        listener: str,
        unix_socket: bool,
        keep_alive_seconds: int,
        drain_seconds: int,
    ) -> None:
        super().__init__(
            app,
            http=ListenerProtocol,
            ws="none",
            lifespan="off",  # the application is built before, and shared by all listeners
            interface="asgi3",
            log_config=None,  # the process has set up its logging
            access_log=False,  # the audit record says more; an access log halves throughput
            proxy_headers=False,  # who connected is a fact of the socket (threat T85)
            forwarded_allow_ips=[],
            server_header=False,
            date_header=True,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=drain_seconds,
            limit_concurrency=None,
        )
        self.listener = listener
        self.unix_socket = unix_socket
        self.oversized = oversized if oversized is not None else _answer_431


class ListenerProtocol(HttpToolsProtocol):
    """One connection of a listener."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(config, ListenerConfig)
        self._listener_config = config
        self._reading_head = True
        self._head_bytes = 0
        self._head_tail = b""
        self._framing_bytes = 0
        self._oversized = False
        self._draining = False
        self._drained = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Note who connected, before the first request."""
        super().connection_made(transport)
        self.app_state = {STATE_CONNECTION: self._describe_connection(transport)}
        self._arm_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._disarm_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data to the parser, as long as the request head stays within its limit."""
        if self._draining:
            self._drain(data)
            return
        if self._reading_head:
            if self._head_bytes + len(data) > LARGEST_HEAD_BYTES and _HEAD_END not in self._head_tail + data:
                self._draining = self._oversized = True
                self._drain(data)
                return
            self._head_bytes += len(data)
            self._head_tail = data[-3:]
        else:
            self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > _LARGEST_FRAMING_BYTES:
            self.transport.abort()
        self._arm_idle_timer()

    def on_message_begin(self) -> None:
        """Begin a request head."""
        super().on_message_begin()
        self._arm_head_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; a trailer field is not one."""
        if not self._reading_head:
            return
        if len(self.headers) >= MOST_HEADER_LINES:
            self._oversized = True
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._reading_head = False
        self._disarm_head_timer()
        if self._oversized:
            self.scope["state"][STATE_OVERSIZED] = True
            self.app = self._listener_config.oversized  # for good: the connection ends with this answer
        super().on_headers_complete()
        if b"#" in self.url:
            self.scope["raw_path"], _, self.scope["query_string"] = self.url.partition(b"?")
        if self._oversized:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body."""
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next request head."""
        self._disarm_head_timer()  # of the rest of a body that was answered unread
        self._framing_bytes = 0
        self._reading_head = True
        self._head_bytes = 0
        self._head_tail = b""
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and close."""
        request_id = new_request_id()
        document = {
            "type": "urn:authsvc:reason:bad_request",
            "title": msg.removesuffix("."),
            "status": 400,
            "reason": "bad_request",
            "request_id": request_id.decode("ascii"),
        }
        body = json.dumps(document).encode("ascii")
        fields = [
            b"auth-reason: bad_request",
            b"x-request-id: " + request_id,
            b"cache-control: private, no-store",
            b"content-type: application/problem+json",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        self.transport.write(STATUS_LINE[400] + b"\r\n".join(fields) + _HEAD_END + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a web server passes its client's `Upgrade` on, and the answer is an ordinary one."""

    def _drain(self, data: bytes) -> None:
        """Throw the rest of an oversized head away; at its end, let the parser see a head that ends there."""
        if self._drained:
            return  # the request is being answered, and the connection ends: nothing that follows counts
        self._head_bytes += len(data)
        if _HEAD_END in self._head_tail + data:
            self._drained = True
            super().data_received(_HEAD_END)
        elif self._head_bytes > _DRAINED_BYTES:
            self.transport.abort()
        else:
            self._head_tail = (self._head_tail + data)[-3:]

    def _describe_connection(self, transport: asyncio.Transport) -> Connection:
        tls = transport.get_extra_info("ssl_object")
        return Connection(
            listener=self._listener_config.listener,
            unix_socket=self._listener_config.unix_socket,
            address=None if self.client is None else _read_address(self.client[0]),
            certificates=_read_handshake(tls) if isinstance(tls, SSLObject) else None,
        )

    def _arm_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self._cut_slow_head)

    def _arm_idle_timer(self) -> None:
        """Let a clock run after bytes that begin no request: uvicorn stops its own at any byte."""
        cycle: RequestResponseCycle | None = (
            self.cycle
        )  # None before the first request, other than its type says
        if cycle is None or not cycle.response_complete or self.transport.is_closing():
            return  # a head is on its way, or an answer
        if not self._reading_head:
            self._arm_head_timer()
        elif self._head_timer is None and self.timeout_keep_alive_task is None:
            seconds = self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _disarm_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_slow_head(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.abort()


def new_request_id() -> bytes:
    """Return a request id: 24 hexadecimal characters, 96 bits by chance."""
    return secrets.token_hex(12).encode("ascii")


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _read_handshake(tls: SSLObject) -> HandshakeCertificates:
    """Return what the client sent in the handshake; the leaf is no element of the chain."""
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return HandshakeCertificates()
    return HandshakeCertificates(
        certificate=leaf, chain=tuple(element for element in _presented_chain(tls) if element != leaf)
    )


def _presented_chain(tls: Any) -> tuple[bytes, ...]:
    """Return the chain as sent (DER): the one adapter to a part of `ssl` that is private until Python 3.13.

    3.13 has `SSLObject.get_unverified_chain`, which returns bytes; before, the object underneath has it,
    which returns certificates. Where neither is there, the chain is empty: it is a hint that can only
    complete a path.
    """
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return tuple(bytes(element) for element in public() or ())
    private = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    if private is None:
        return ()
    return tuple(bytes(element.public_bytes(_ENCODING_DER)) for element in private() or ())


_ENCODING_DER: Final = 2
"""`_ssl.ENCODING_DER` (X509_FILETYPE_ASN1)."""


async def _answer_431(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer a request head over a limit where the listener has no answer of its own (RFC 6585 section 5)."""
    request_id = new_request_id()
    document = {
        "type": "urn:authsvc:reason:bad_request",
        "title": "The request head is too large",
        "status": 431,
        "reason": "bad_request",
        "request_id": request_id.decode("ascii"),
    }
    body = json.dumps(document).encode("ascii")
    headers = [
        (b"auth-reason", b"bad_request"),
        (b"x-request-id", request_id),
        (b"cache-control", b"private, no-store"),
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": body})
