"""Attacks on a connection: what a stranger can do to a real listener with bytes that are almost HTTP."""

import asyncio
from contextlib import suppress

import pytest

from authsvc.web.connection import Receive, Scope, Send
from authsvc.web.server import Listener
from tests.support.serving import run, say, serving

POST = b"POST /auth HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /auth HTTP/1.1\r\nHost: a\r\n\r\n"
LISTENER = Listener(name="tcp", address="127.0.0.1:0")


class Asked:
    """An application that keeps what it was asked, and answers without reading a body."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send, /) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


ENDLESS = {
    "a trailer field": (b"0\r\nX: ", b"a" * 100_000),
    "trailer fields": (b"0\r\n", b"X: a\r\n" * 10_000),
    "a chunk extension": (b"5;", b"a" * 100_000),
}


@pytest.mark.parametrize(("begin", "piece"), ENDLESS.values(), ids=ENDLESS.keys())
def test_t09_what_is_neither_head_nor_body_has_an_end(begin: bytes, piece: bytes) -> None:
    """A trailer field of 200 MB stopped the event loop for seconds: the parser copies it with every piece."""

    async def main() -> None:
        async with serving([LISTENER], Asked()) as listeners:
            (address,) = listeners.addresses["tcp"]
            with pytest.raises(ConnectionError):
                await say(address, POST + begin, *[piece] * 100)

    run(main)


def test_t09_a_body_in_many_chunks_is_no_endless_one() -> None:
    async def main() -> None:
        seen = Asked()
        async with serving([LISTENER], seen) as listeners:
            (address,) = listeners.addresses["tcp"]
            chunks = [b"10000\r\n" + b"a" * 0x10000 + b"\r\n"] * 16
            last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            answer = await say(address, POST, *chunks, b"0\r\nX: a\r\n\r\n", last)
        assert (200, ["POST", "GET"]) == (answer.status, [scope["method"] for scope in seen.scopes])

    run(main)


UNFINISHED = {
    "line ends behind an answer": (GET, b"\r\n"),
    "a body that nobody reads": (GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 9\r\n\r\n", b"a"),
}


@pytest.mark.parametrize(("first", "then"), UNFINISHED.values(), ids=UNFINISHED.keys())
def test_t09_no_bytes_keep_an_answered_connection_open_for_ever(
    monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
) -> None:
    """Bytes that begin no request stopped every clock of the connection."""
    monkeypatch.setattr("authsvc.web.http_protocol._HEAD_SECONDS", 0.05)
    monkeypatch.setattr("authsvc.web.server._KEEP_ALIVE_SECONDS", 0.2)

    async def main() -> None:
        async with serving([LISTENER], Asked()) as listeners:
            host, _, port = listeners.addresses["tcp"][0].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(first)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(then)
            with suppress(ConnectionError):  # cut in the middle of a body: the same to a client
                assert await reader.read() == b""
            writer.close()

    run(main)


FRAGMENTS = {
    "behind the path": (b"/auth/public#/../secret", b"/auth/public#/../secret", b""),
    "behind the query": (b"/auth?level=reader#&level=manager", b"/auth", b"level=reader#&level=manager"),
    "a query inside": (b"/auth#?database=a", b"/auth#", b"database=a"),
}


@pytest.mark.parametrize(("target", "path", "query"), FRAGMENTS.values(), ids=FRAGMENTS.keys())
def test_t15_a_number_sign_is_not_cut_off_the_target(target: bytes, path: bytes, query: bytes) -> None:
    """The parser takes what follows for a fragment; the web server took it for a part of the path."""

    async def main() -> None:
        seen = Asked()
        async with serving([LISTENER], seen) as listeners:
            (address,) = listeners.addresses["tcp"]
            await say(address, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert [(path, query)] == [(scope["raw_path"], scope["query_string"]) for scope in seen.scopes]

    run(main)
