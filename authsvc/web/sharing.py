"""Accepting from sockets that other workers listen to as well, so that each gets its share of connections.

Web servers keep connections for a long time and reuse the newest. The kernel gives a connection to whichever worker
wakes first, and that may be the same one each time: sixteen kept connections on one worker leave the other without
anything to do for hours. So a worker that has more connections than another one waits a moment before it accepts; the
other one has woken too, and takes the connection meanwhile.

What lives here: the numbers of connections, in memory that all workers share, and the accepting. What does not: the
single process, which accepts as asyncio does (`server.py`).

INVARIANT: a connection waits for `_MOMENT_SECONDS` at most for a worker that has fewer, but hangs or has died.
"""

import asyncio
import logging
import mmap
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

__all__ = ["ConnectionCounts", "SharingServer", "make_counts_file"]

_LOG = logging.getLogger("authsvc.server")

_MOMENT_SECONDS: Final = 0.001
"""How long a connection is left to the others: the shortest time that the event loop knows."""

_SLACK: Final = 1
"""So many more connections than another worker are no reason to wait: as many are under way anyway."""

_NO_ROOM_SECONDS: Final = 1.0
"""How long no connection is accepted after the machine had no file or no memory for one."""

_NUMBER_BYTES: Final = 8

_ABSENT: Final = 2**63
"""Connections of a worker that is not there: nobody waits for it."""


def make_counts_file(workers: int) -> int:
    """Return the file descriptor of new counts, in memory, without a name; closed at exec unless passed on."""
    file = os.memfd_create("authsvc-connections")
    os.truncate(file, workers * _NUMBER_BYTES)
    counts = ConnectionCounts(file)
    for number in range(workers):
        counts.put(number, None)
    return file


class ConnectionCounts:
    """How many connections each worker has, as far as it has told.

    Args:
        file: the descriptor; from `make_counts_file`, in whichever process.

    """

    def __init__(self, file: int) -> None:
        # Of aligned words of the machine's size, one process sees the old number or the new one.
        self._numbers = memoryview(mmap.mmap(file, os.fstat(file).st_size)).cast("Q")

    def put(self, number: int, connections: int | None) -> None:
        """Tell how many connections a worker has; None where it is not there."""
        self._numbers[number] = _ABSENT if connections is None else connections

    def is_fair(self, connections: int) -> bool:
        """Whether a worker with so many may have one more at once."""
        return connections <= min(self._numbers) + _SLACK


class SharingServer:
    """Accepts from one listening socket, one connection at a time; closed as asyncio's server is.

    Args:
        listening: not blocking; other processes accept from it too.
        make_protocol: for each connection.
        tls: for each connection; None for none.
        handshake_seconds: how long its handshake may take.
        is_fair: whether this worker may have one more connection at once; called whenever there is one.

    """

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None,
        handshake_seconds: float | None,
        is_fair: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make_protocol = make_protocol
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._is_fair = is_fair
        self._beginning: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._look)

    def close(self) -> None:
        """Accept no more. The socket stays open, and so does every connection."""
        if self._waiting is None:
            self._loop.remove_reader(self._listening)
        else:
            self._waiting.cancel()

    async def wait_closed(self) -> None:
        """Wait for nothing: handshakes under way are no requests, and end with the event loop."""

    def _look(self) -> None:
        if self._is_fair():
            self._accept()
        else:
            self._pause(_MOMENT_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._waiting = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._waiting = None
        self._loop.add_reader(self._listening, self._look)
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _peer = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was there first, or the client has gone
        except OSError as error:
            _LOG.error("accept_failed", extra={"problem": error.strerror or str(error)})
            self._pause(_NO_ROOM_SECONDS)
            return
        connection.setblocking(False)
        beginning = self._loop.create_task(self._begin(connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make_protocol, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        except OSError:
            # The handshake: it has told the client, and nobody else is concerned.
            connection.close()
