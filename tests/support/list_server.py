"""An HTTP server on loopback that does with every answer exactly what a test says, octet by octet."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.pki import Issued

__all__ = ["Answer", "ListServer", "Request", "body", "server_context", "serving_lists"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asked: headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ListServer:
    """The server: `answers` by path, whatever was asked in `requests`.

    `ended` is set when the server goes, so that an answer that never ends can.
    """

    port: int
    scheme: str = "http"
    answers: dict[str, "Answer"] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    asked: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """What a list of hosts calls it."""
        return f"localhost:{self.port}"

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"{self.scheme}://{self.host}{path}"

    def wait_for_requests(self, count: int, *, path: str = "", seconds: float = 10) -> None:
        """Wait until so many requests (of a path) were made."""
        with self.asked:
            assert self.asked.wait_for(lambda: len(self.of(path)) >= count, timeout=seconds), (
                count,
                self.requests,
            )

    def of(self, path: str) -> list[Request]:
        """The requests of a path, of every path where it is empty."""
        return [each for each in self.requests if not path or each.path == path]


Answer = Callable[[Request, ListServer], Iterator[bytes]]
"""Yields the octets of an answer, piece by piece."""


def body(octets: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """Answer with a body and its length."""

    def answer(_request: Request, _server: ListServer) -> Iterator[bytes]:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(octets)}", *headers, "", ""]
        yield "\r\n".join(lines).encode() + octets

    return answer


def server_context(issued: Issued, folder: Path) -> ssl.SSLContext:
    """The TLS side of a server with a certificate."""
    file = folder / f"server-{issued.certificate.serial_number:x}.pem"
    file.write_text(issued.key_pem + issued.bundle_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextmanager
def serving_lists(*, tls: ssl.SSLContext | None = None) -> Iterator[ListServer]:
    """Serve on a free port of 127.0.0.1 until the end of the block; one request a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ListServer(port=listener.getsockname()[1], scheme="http" if tls is None else "https")
    open_now: list[socket.socket] = []
    workers: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _address = listener.accept()
                server.connections += 1
                open_now.append(connection)
                worker = threading.Thread(target=serve, args=(connection,))
                workers.append(worker)
                worker.start()

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            connection = plain if tls is None else tls.wrap_socket(plain, server_side=True)
            with connection:
                request = _read_request(connection)
                if request is None:
                    return
                with server.asked:
                    server.requests.append(request)
                    server.asked.notify_all()
                answer = server.answers.get(request.path, body(b"nothing here", status="404 Not Found"))
                for piece in answer(request, server):
                    connection.sendall(piece)

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        server.ended.set()
        for each in (listener, *open_now):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in (acceptor, *workers):
            thread.join(timeout=10)


def _read_request(connection: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(rest) < int(headers.get("content-length", "0")):
        rest += connection.recv(65536)
    method, path, _version = first.split(" ")
    return Request(method=method, path=path, headers=headers, body=rest)
