"""A socket under one deadline and one budget of octets.

A time limit for each read would not do: a server that sends one octet a second would never run into it.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["BoundedSocket"]

_SHORTEST_WAIT_SECONDS = 0.001
"""Time limit of the one call that is made when the deadline has passed: it takes what has arrived, or fails."""


class BoundedSocket:
    """A socket that serves until an instant, and up to a number of octets; ldap3 uses it as its socket, too.

    `timed_out` and `overran` say afterwards which limit ended it.

    INVARIANT: once the deadline has passed, at most one more call reaches the socket. A peer that sends an octet just
    before each read gives up would else be read until the budget is used, which may take hours.
    """

    def __init__(self, plain: socket.socket) -> None:
        self.plain = plain
        self.timed_out = False
        self.overran = False
        self._until = 0.0
        self._octets = 0
        self._late = False

    def allow(self, until: float, octets: int) -> None:
        """Allow reading `octets`, until an instant of the monotonic clock."""
        self._until = until
        self._octets = octets
        self._late = False
        self.timed_out = False

    def recv(self, size: int) -> bytes:
        """Receive what has arrived, at most `size` octets; nothing at the end of the connection."""
        with self._timed():
            received = self.plain.recv(size)
        self._octets -= len(received)
        if self._octets < 0:
            self.overran = True
            raise OSError("the answer is too large")
        return received

    def sendall(self, octets: bytes) -> None:
        """Send everything. Piece by piece, because over TLS Python would give each piece the whole time."""
        left = memoryview(octets)
        while left:
            with self._timed():
                left = left[self.plain.send(left) :]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        seconds = self._until - time.monotonic()
        if seconds <= 0 and self._late:
            self.timed_out = True
            raise TimeoutError("the deadline has passed")
        self._late = seconds <= 0
        try:
            # A time limit of 0 would mean "do not block", a negative one is an error.
            self.plain.settimeout(max(seconds, _SHORTEST_WAIT_SECONDS))
            yield
        except TimeoutError:
            self.timed_out = True
            raise

    def shutdown(self, how: int) -> None:
        """Shut down as sockets do."""
        self.plain.shutdown(how)

    def close(self) -> None:
        """Close as sockets do."""
        self.plain.close()
