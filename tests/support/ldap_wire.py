"""A server that answers LDAP with whatever a test wants, right or wrong."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.support.pki import der_element

__all__ = ["bind_done", "entry", "message", "notice_of_disconnection", "reference", "search_done", "serving"]

_BIND_REQUEST = 0x60
_SEARCH_REQUEST = 0x63

_ROOT_DSE = bytes.fromhex("04000a0100")
"""The beginning of a search of the empty name, and of that alone (RFC 4511 section 4.5.1)."""

RootDse = Callable[[int], bytes]

Script = Callable[[int], Iterator[bytes] | Sequence[bytes]]
"""Given the message id of a search, the octets to send, piece by piece."""


def _octets(value: bytes | str) -> bytes:
    return der_element(0x04, value if isinstance(value, bytes) else value.encode())


def message(message_id: int, operation: bytes) -> bytes:
    """Return an LDAPMessage (RFC 4511 section 4.1.1)."""
    number = message_id.to_bytes(4, "big").lstrip(b"\0") or b"\0"
    if number[0] & 0x80:
        number = b"\0" + number
    return der_element(0x30, der_element(0x02, number) + operation)


def _result(tag: int, code: int, matched_dn: str = "", text: str = "", further: bytes = b"") -> bytes:
    return der_element(tag, der_element(0x0A, bytes((code,))) + _octets(matched_dn) + _octets(text) + further)


def bind_done(message_id: int, code: int = 0) -> bytes:
    """Return a BindResponse."""
    return message(message_id, _result(0x61, code))


def search_done(message_id: int, code: int = 0, matched_dn: str = "", text: str = "") -> bytes:
    """Return a SearchResultDone."""
    return message(message_id, _result(0x65, code, matched_dn, text))


def entry(message_id: int, dn: bytes | str, **attributes: Sequence[bytes | str]) -> bytes:
    """Return a SearchResultEntry; `__` in an attribute's name stands for `;`. Of a person, unless it says otherwise."""
    if dn:
        attributes = {"objectClass": ["person"]} | attributes
    listed = b"".join(
        der_element(
            0x30, _octets(name.replace("__", ";")) + der_element(0x31, b"".join(map(_octets, values)))
        )
        for name, values in attributes.items()
    )
    return message(message_id, der_element(0x64, _octets(dn) + der_element(0x30, listed)))


def reference(message_id: int, *uris: str) -> bytes:
    """Return a SearchResultReference."""
    return message(message_id, der_element(0x73, b"".join(map(_octets, uris))))


def notice_of_disconnection() -> bytes:
    """Return the unsolicited notification by which a server says good-bye (RFC 4511 section 4.4.1)."""
    name = der_element(0x8A, b"1.3.6.1.4.1.1466.20036")
    return message(0, _result(0x78, 52, further=name))


def _hidden_root_dse(message_id: int) -> bytes:
    return search_done(message_id)


@contextmanager
def serving(script: Script, *, root_dse: RootDse = _hidden_root_dse) -> Iterator[str]:
    """Serve on a free port of loopback: every bind succeeds, every search is answered by the script.

    Args:
        script: answers searches, but not those of the root DSE.
        root_dse: answers a search of the root DSE; by default the server shows none.

    Yields:
        The server's URI.

    """
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []
    workers: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _address = listener.accept()
                connections.append(connection)
                worker = threading.Thread(target=answer, args=(connection,))
                workers.append(worker)
                worker.start()

    def answer(connection: socket.socket) -> None:
        with suppress(OSError):
            while received := connection.recv(65536):
                for piece in _answers(received, script, root_dse):
                    connection.sendall(piece)

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"ldap://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for each in (listener, *connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in (acceptor, *workers):
            thread.join(timeout=10)


def _answers(received: bytes, script: Script, root_dse: RootDse) -> Iterator[bytes]:
    message_id, operation = _read_request(received)
    if operation == _BIND_REQUEST:
        yield bind_done(message_id)
    elif operation == _SEARCH_REQUEST and _ROOT_DSE in received:
        yield root_dse(message_id)
    elif operation == _SEARCH_REQUEST:
        yield from script(message_id)


def _read_request(octets: bytes) -> tuple[int, int]:
    """Return message id and operation tag of a request that arrived in one piece."""
    at = 2 if octets[1] < 0x80 else 2 + (octets[1] & 0x7F)
    length = octets[at + 1]
    return int.from_bytes(octets[at + 2 : at + 2 + length], "big"), octets[at + 2 + length]
