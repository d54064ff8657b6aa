"""Calls of the API in this process: the scope that our listeners make, a body in pieces, and the whole answer."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from authsvc.presented.registry import HandshakeCertificates
from authsvc.web.connection import STATE_CONNECTION, Application, Connection, Message
from tests.support.asgi import AsgiAnswer
from tests.support.pki import Issued

__all__ = ["API", "EDGE", "HANGS", "Call", "Reply", "by", "reply_to", "send_call"]

HANGS = b"(nothing ever comes)"
"""A piece of a body that never comes."""

API = Connection(listener="api", unix_socket=False, address=ip_address("127.0.0.1"))
EDGE = Connection(listener="edge", unix_socket=False, address=ip_address("127.0.0.1"))


def by(issued: Issued | None) -> Connection:
    """Return a TLS connection to the listener `api` by somebody with this certificate, or without one."""
    held = HandshakeCertificates() if issued is None else HandshakeCertificates(certificate=issued.der)
    return replace(API, certificates=held)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call; ordinary unless a test says otherwise. `body` is sent as JSON, `pieces` as they are."""

    path: str = "/v1/authenticate"
    method: str = "POST"
    body: object = None
    pieces: Sequence[bytes] | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    connection: Connection = API

    @property
    def sent(self) -> list[bytes]:
        """What is sent as a body."""
        return [json.dumps(self.body).encode()] if self.pieces is None else list(self.pieces)


@dataclass(frozen=True, kw_only=True)
class Reply(AsgiAnswer):
    """An answer whose body may be a JSON document. `pieces_read`: how many pieces of the body were asked for."""

    pieces_read: int = field(default=0)

    @property
    def document(self) -> dict[str, Any]:
        """The body, read as a JSON object."""
        read = json.loads(self.body)
        assert isinstance(read, dict)
        return read


def send_call(application: Application, call: Call) -> Reply:
    """Return the answer to a call, on an event loop of its own."""
    return asyncio.run(reply_to(application, call))


async def reply_to(application: Application, call: Call) -> Reply:
    """Return the answer to a call. A body that breaks off is a list of pieces that ends in an empty one."""
    pieces, sent, read = call.sent, list[Message](), 0

    async def receive() -> Message:
        nonlocal read
        if read == len(pieces):
            return {"type": "http.disconnect"}
        read += 1
        if pieces[read - 1] is HANGS:
            await asyncio.Event().wait()
        if call.pieces is not None and not pieces[read - 1]:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces[read - 1], "more_body": read < len(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": call.method,
        "scheme": "https",
        "server": ("127.0.0.1", 8443),
        "client": ("192.0.2.99", 1),
        "root_path": "",
        "path": call.path,
        "raw_path": call.path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"authsvc"), *call.headers],
        "state": {STATE_CONNECTION: call.connection},
    }

    await application(scope, receive, send)
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    return Reply(
        status=start["status"],
        headers=start["headers"],
        body=b"".join(body.get("body", b"") for body in bodies),
        pieces_read=read,
    )
