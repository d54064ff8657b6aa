"""One request to an ASGI application, without a socket: the scope that our listeners make, and the whole answer."""

import asyncio
from dataclasses import dataclass

from authsvc.web.connection import (
    STATE_CONNECTION,
    STATE_OVERSIZED,
    Application,
    Connection,
    Message,
    Scope,
)

__all__ = ["UNIX", "AsgiAnswer", "Request", "ask"]

UNIX = Connection(listener="nginx", unix_socket=True)
"""A connection of the front end `nginx` over its unix socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiAnswer:
    """Status, headers as sent, and body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def value(self, name: str) -> str | None:
        """Return the value of a header, None where it is absent; fail where it stands twice."""
        values = [value.decode("latin-1") for found, value in self.headers if found == name.lower().encode()]
        assert len(values) <= 1
        return values[0] if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; ordinary unless a test says otherwise."""

    path: bytes = b"/auth"
    query: bytes = b""
    method: str = "GET"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    connection: Connection = UNIX
    oversized: bool = False

    def scope(self) -> Scope:
        """Return the scope that uvicorn and our protocol make of it."""
        state: dict[str, object] = {STATE_CONNECTION: self.connection}
        if self.oversized:
            state[STATE_OVERSIZED] = True
        return {
            "type": "http",
            "method": self.method,
            "path": self.path.decode("latin-1"),
            "raw_path": self.path,
            "query_string": self.query,
            "headers": [(b"host", b"authsvc"), *self.headers],
            "client": ("192.0.2.99", 1),  # what a proxy-header middleware would make of X-Forwarded-For
            "state": state,
        }


def ask(application: Application, request: Request) -> AsgiAnswer:
    """Return the answer to a request; fail if the application reads its body."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await application(request.scope(), receive, send)

    asyncio.run(call())
    start, *bodies = sent
    return AsgiAnswer(
        status=start["status"],
        headers=start["headers"],
        body=b"".join(body.get("body", b"") for body in bodies),
    )
