"""The small application behind nginx: it knows nothing of certificates and believes the identity headers."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["application"]

# Any: the shape of ASGI's messages is the protocol's, not ours
Message = MutableMapping[str, Any]


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer every request with a greeting and the identity headers that arrived, one a line (ASGI)."""
    del receive  # the body, if there is one, is not read
    assert scope["type"] == "http"
    headers = sorted(
        (name.decode("latin-1").title(), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name.startswith((b"remote-", b"remote_", b"x-ssl-client", b"client-cert"))
    )
    who = next((value for name, value in headers if name == "Remote-User"), "stranger")
    lines = [f"Hello {who}, this is {scope['path']}.", ""]
    lines += [f"{name}: {value}" for name, value in headers]
    body = ("\n".join(lines) + "\n").encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
