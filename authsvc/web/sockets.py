"""Listening sockets: bound once, described, closed, their files removed.

Here: binding of TCP addresses and unix sockets. Not here: who serves them (`server.py`: this process;
`supervisor.py`: workers that inherit them).

Invariants:

* A unix socket is never connectable by others than its owner and group, not for a moment.
* A socket file is removed by the process that made it, and only while it is still that file.
"""

import os
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["BACKLOG", "BoundSockets", "ListenerError", "bind_all", "is_unix"]

BACKLOG: Final = 2_048
"""Connections that the kernel holds until they are accepted."""

_UNIX_MODE: Final = 0o660
"""Owner and group of a unix socket may connect; the web server is put into the group."""

_UNIX_PREFIX: Final = "unix:"


class ListenerError(Exception):
    """A listener cannot be opened: its address, its socket file or its TLS material. Names the listener."""


class BoundSockets:
    """The listening sockets of every listener, by its name; a host name may stand for several addresses."""

    def __init__(self) -> None:
        self._sockets: dict[str, tuple[socket.socket, ...]] = {}
        self._files: list[_SocketFile] = []

    def bind(self, name: str, address: str) -> None:
        """Bind an address (`host:port`, `[host]:port`, `unix:path`) and listen; nobody accepts yet.

        Raises:
            ListenerError, OSError: it cannot be bound; the text does not name the listener.

        """
        if is_unix(address):
            bound, socket_file = _bind_unix(Path(address.removeprefix(_UNIX_PREFIX)))
            self._files.append(socket_file)
            self._sockets[name] = (bound,)
        else:
            self._sockets[name] = _bind_tcp(address)

    def adopt(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Take sockets that another process has bound; their files stay that one's."""
        self._sockets[name] = tuple(sockets)

    def of(self, name: str) -> tuple[socket.socket, ...]:
        """Return the sockets of a listener."""
        return self._sockets[name]

    @property
    def descriptors(self) -> dict[str, tuple[int, ...]]:
        """The file descriptors of each listener's sockets, for a process that inherits them."""
        return {name: tuple(each.fileno() for each in found) for name, found in self._sockets.items()}

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Where each listener listens, as `host:port` or `unix:path`: the ports that the kernel chose."""
        return {name: tuple(map(_describe_socket, sockets)) for name, sockets in self._sockets.items()}

    def stop_listening(self) -> None:
        """Close every socket; whoever inherited it listens on."""
        for sockets in self._sockets.values():
            for listening in sockets:
                listening.close()
        self._sockets.clear()

    def close(self) -> None:
        """Close every socket, and remove the socket files that are still ours."""
        self.stop_listening()
        for socket_file in self._files:
            socket_file.remove()
        self._files.clear()


def bind_all(places: Mapping[str, str]) -> BoundSockets:
    """Bind every address, by the name of its listener.

    Raises:
        ListenerError: one cannot be bound; then none is.

    """
    bound = BoundSockets()
    for name, address in places.items():
        try:
            bound.bind(name, address)
        except (OSError, ListenerError) as error:
            bound.close()
            raise ListenerError(f"listener `{name}` at `{address}`: {error}") from error
    return bound


def is_unix(address: str) -> bool:
    """Whether an address is that of a unix socket."""
    return address.startswith(_UNIX_PREFIX)


class _SocketFile:
    """A socket file that we made, told from one that somebody else put in its place since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._identify()

    def remove(self) -> None:
        """Remove the file if it is still ours."""
        if self._identity is not None and self._identify() == self._identity:
            self._path.unlink(missing_ok=True)

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _bind_unix(path: Path) -> tuple[socket.socket, _SocketFile]:
    _remove_stale_socket(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        socket_file = _SocketFile(path)
        path.chmod(_UNIX_MODE)  # nobody can connect before `listen`, so there is no moment of another mode
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening, socket_file


def _remove_stale_socket(path: Path) -> None:
    """Remove the socket file of a process that is gone.

    Raises:
        ListenerError: the file is no socket, or somebody answers at it.

    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenerError("a file stands there that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise ListenerError("another process listens there")


def _bind_tcp(address: str) -> tuple[socket.socket, ...]:
    host, port = _split_address(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _name, place in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # No IPv4 behind an IPv6 socket: a peer has one address, and `peers` sees that one.
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(place)
            listening.listen(BACKLOG)
            listening.setblocking(False)
    except OSError:
        for listening in bound:
            listening.close()
        raise
    return tuple(bound)


def _split_address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ListenerError("expected `host:port` or `unix:path`")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _describe_socket(listening: socket.socket) -> str:
    name = listening.getsockname()
    if isinstance(name, tuple):
        host, port = str(name[0]), int(name[1])
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{_UNIX_PREFIX}{os.fsdecode(name)}"
