"""The bare ASGI server that `auth.py` compares with: the same HTTP stack, an answer of the same shape, no decision."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

# Any: the shape of ASGI's messages is the protocol's, not ours
Message = MutableMapping[str, Any]

_HEADERS = [(f"remote-header-{number}".encode(), b"Somebody In Particular/Example") for number in range(13)]
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [*_HEADERS, (b"content-length", b"0"), (b"cache-control", b"private, no-store")],
}
_BODY = {"type": "http.response.body", "body": b""}


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer 200 with thirteen headers, as an allow of authsvc has them."""
    del receive
    assert scope["type"] == "http"
    await send(_START)
    await send(_BODY)
