"""Accepting from a socket that others listen to as well: fair shares, and nobody who waits for ever."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import cast

import pytest

from authsvc.web.sharing import ConnectionCounts, SharingServer, make_counts_file
from tests.support.serving import run


@pytest.fixture
def counts() -> Iterator[ConnectionCounts]:
    file = make_counts_file(3)
    yield ConnectionCounts(file)
    os.close(file)


def test_nobody_waits_for_a_worker_that_is_not_there(counts: ConnectionCounts) -> None:
    counts.put(0, 100)
    assert counts.is_fair(100)
    counts.put(1, 98)
    assert not counts.is_fair(100)
    counts.put(1, None)
    assert counts.is_fair(100)


@pytest.mark.parametrize(("own", "fair"), [(0, True), (5, True), (6, True), (7, False)])
def test_a_worker_may_have_one_more_than_the_one_that_has_least(
    counts: ConnectionCounts, own: int, fair: bool
) -> None:
    counts.put(1, 5)
    counts.put(2, 50)
    counts.put(0, own)
    assert fair is counts.is_fair(own)


class _Greeting(asyncio.Protocol):
    """Says its name to whoever connects."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        answering = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class
        answering.write(self._name)
        answering.close()


def listening() -> socket.socket:
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    return bound


@contextmanager
def server(bound: socket.socket, name: bytes, *, fair: bool) -> Iterator[SharingServer]:
    accepting = SharingServer(
        bound, lambda: _Greeting(name), tls=None, handshake_seconds=None, is_fair=lambda: fair
    )
    try:
        yield accepting
    finally:
        accepting.close()


async def who(bound: socket.socket) -> bytes:
    """Return who accepts a connection."""
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    name = await reader.read()
    writer.close()
    await writer.wait_closed()
    return name


@pytest.mark.parametrize("names", [(b"poor", b"rich"), (b"rich", b"poor")])
def test_who_has_more_leaves_a_connection_to_who_has_fewer(names: tuple[bytes, bytes]) -> None:
    """Whoever of them the kernel wakes first."""

    async def main() -> None:
        with closing(listening()) as bound, closing(bound.dup()) as again, ExitStack() as stack:
            for each, name in zip((bound, again), names, strict=True):
                stack.enter_context(server(each, name, fair=name == b"poor"))
            assert await who(bound) == b"poor"

    run(main)


def test_a_connection_that_nobody_else_takes_is_taken() -> None:
    """The worker with fewer hangs."""

    async def main() -> None:
        with closing(listening()) as bound, server(bound, b"rich", fair=False):
            assert [b"rich"] * 8 == [await who(bound) for _ in range(8)]

    run(main)


def test_a_connection_that_another_one_took_is_no_matter() -> None:
    async def main() -> None:
        with closing(listening()) as bound, server(bound, b"alone", fair=True) as alone:
            alone._accept()
            assert await who(bound) == b"alone"

    run(main)


class _Full(socket.socket):
    """A socket that finds too many files open, once."""

    full = True

    def accept(self) -> tuple[socket.socket, object]:
        if self.full:
            self.full = False
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_without_room_for_a_connection_it_waits_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authsvc.web.sharing._NO_ROOM_SECONDS", 0.01)

    async def main() -> None:
        with closing(_Full(fileno=listening().detach())) as full:
            full.setblocking(False)
            with server(full, b"late", fair=True):
                assert await who(full) == b"late"

    run(main)
    assert [("accept_failed", "Too many open files")] == [
        (record.getMessage(), vars(record)["problem"]) for record in caplog.records
    ]


def test_a_server_that_is_closed_while_it_waits_accepts_no_more() -> None:
    async def main() -> None:
        with closing(listening()) as bound:
            with server(bound, b"rich", fair=False) as rich:
                rich._look()
                assert rich._waiting is not None
            asking = asyncio.ensure_future(who(bound))
            with server(bound, b"poor", fair=True):
                assert await asking == b"poor"

    run(main)
