"""Real listeners for tests, on loopback and unix sockets, and raw clients that say exactly what a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from authsvc.web.connection import Application
from authsvc.web.server import Listener, Listeners, run_event_loop, serve_listeners
from tests.support.pki import Authority, Issued

__all__ = ["RawAnswer", "client_context", "run", "say", "serving", "write_server_files"]

_LONGEST_WAIT = 20.0
"""Seconds until a test that hangs fails; none of them takes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What came back: status, header lines, and everything after them."""

    status: int
    headers: list[tuple[str, str]]
    rest: bytes

    def value(self, name: str) -> str | None:
        """Return the value of a header, None where it is absent; fail where it stands twice."""
        values = [value for found, value in self.headers if found.lower() == name.lower()]
        assert len(values) <= 1
        return values[0] if values else None


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a test's coroutine on the product's event loop, and fail if it hangs."""

    async def limited() -> None:
        await asyncio.wait_for(main(), _LONGEST_WAIT)

    run_event_loop(limited())


@asynccontextmanager
async def serving(
    listeners: Sequence[Listener], app: Application, *, on_reload: Callable[[], None] = lambda: None
) -> AsyncIterator[Listeners]:
    """Serve from "ready" to the end of the block, signals handled."""
    opened = Listeners(listeners, app)
    opened.open()
    ready = asyncio.Event()
    serving_task = asyncio.create_task(serve_listeners(opened, on_ready=ready.set, on_reload=on_reload))
    await ready.wait()
    try:
        yield opened
    finally:
        opened.stop()
        await serving_task


async def say(address: str, *pieces: bytes, tls: ssl.SSLContext | None = None) -> RawAnswer:
    """Connect, send the pieces, and return what comes until the other side closes.

    Each piece is on its way before the next is sent, though TCP may still join them.
    """
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.read()
    finally:
        writer.close()
    status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return RawAnswer(status=int(status_line.split(" ")[1]), headers=headers, rest=rest)


def write_server_files(folder: Path, issued: Issued) -> tuple[Path, Path]:
    """Write certificate (with its chain) and key of a server; return their paths."""
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_text(issued.bundle_pem)
    key.write_text(issued.key_pem)
    return certificate, key


def client_context(
    root: Authority, folder: Path, presented: Issued | None = None, *, chain: bool = False
) -> ssl.SSLContext:
    """Return a TLS client that trusts a root and presents a certificate, with the issuing authority if asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.der)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a weak certificate must be refused by the server, not here
    if presented is not None:
        path = folder / "client.pem"
        path.write_text((presented.bundle_pem if chain else presented.pem) + presented.key_pem)
        context.load_cert_chain(path)
    return context
