"""A way to a server that can be made bad: slow, silent, cut, or a black hole that swallows whoever knocks."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

__all__ = ["Proxy", "black_hole"]


class Proxy:
    """Forwards connections to one address of loopback; a context manager.

    Args:
        target: port of 127.0.0.1 to forward to.

    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._silent = threading.Event()
        self._delay_seconds = 0.0
        self.accepted = 0
        """Connections that came in so far."""

    @property
    def url(self) -> str:
        """`ldap://127.0.0.1:PORT`."""
        return f"ldap://127.0.0.1:{self._listener.getsockname()[1]}"

    def slow_down(self, seconds: float) -> None:
        """Hold back each answer for so long; 0 to be quick again."""
        self._delay_seconds = seconds

    def silence(self) -> None:
        """Forward nothing any more, and close nothing."""
        self._silent.set()

    def cut(self) -> None:
        """End every connection that is open."""
        with self._lock:
            opened, self._open = self._open, []
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> Self:
        """Begin to forward."""
        self._start(self._accept)
        return self

    def __exit__(self, *_of_what: object) -> None:
        """End everything."""
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]  # a bound method
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open += [client, server]
                self._start(self._forward, client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _events in selector.select(timeout=0.1):
                    received = key.fileobj.recv(65_536)  # type: ignore[union-attr]  # a socket
                    if not received:
                        return
                    if key.fileobj is server:
                        self._closed.wait(self._delay_seconds)
                    if not self._silent.is_set():
                        key.data.sendall(received)
                if client.fileno() < 0:
                    return


@contextmanager
def black_hole() -> Iterator[str]:
    """Listen, and let nobody in: the queue is full, and whoever connects hears nothing at all.

    Yields:
        The server's URI.

    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers: list[socket.socket] = []
        try:
            for _each in range(8):  # one or two are enough; the kernel rounds up
                filler = socket.socket()
                filler.setblocking(False)
                fillers.append(filler)
                filler.connect_ex(address)
            yield f"ldap://127.0.0.1:{address[1]}"
        finally:
            for filler in fillers:
                filler.close()
