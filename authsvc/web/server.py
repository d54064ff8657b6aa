"""Listeners: their sockets, one uvicorn server each, signals. One process, one event loop.

Here: opening, serving, draining. Not here: the protocol on a connection (`http_protocol.py`), TLS
(`tls_contexts.py`), who may speak as a front end, and everything that a request means.

Invariants:

* Every socket is bound and listening before `on_ready` is called; if one cannot be opened, none stays open.
* Signals are handled once for all listeners: TERM and INT drain (a second one cuts), HUP calls `on_reload`.
* A unix socket is never connectable by others than its owner and group, not for a moment.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import uvicorn
import uvloop

from authsvc.web.connection import Application
from authsvc.web.http_protocol import ListenerConfig, ListenerProtocol
from authsvc.web.tls_contexts import SwitchableContext, TlsMaterialError, TlsSettings

__all__ = ["Listener", "ListenerError", "Listeners", "run_event_loop", "serve_listeners"]

_LOG = logging.getLogger("authsvc.server")

_HANDSHAKE_SECONDS: Final = 10.0
"""How long a TLS handshake may take: slow clients must not hold connections."""

_KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection stays open: longer than the pools of the web servers (nginx 60 s)."""

_DRAIN_SECONDS: Final = 10
"""How long running requests may take after TERM: as long as the longest decision."""

_BACKLOG: Final = 2_048
"""Connections that the kernel holds until they are accepted."""

_UNIX_MODE: Final = 0o660
"""Owner and group of a unix socket may connect; the web server is put into the group."""

_UNIX_PREFIX: Final = "unix:"

_Result = TypeVar("_Result")


class ListenerError(Exception):
    """A listener cannot be opened: its address, its socket file or its TLS material. Names the listener."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to connect to.

    `address` is `host:port`, `[host]:port` or `unix:path`; port 0 lets the kernel choose. `oversized` answers
    requests whose head exceeds a limit (`connection.is_oversized`); without it they get a plain 431.
    """

    name: str
    address: str
    tls: TlsSettings | None = None
    oversized: Application | None = None


class Listeners:
    """The listeners of a process, from opening to closing.

    Args:
        listeners: where to listen; names are unique.
        app: answers everything.

    """

    def __init__(self, listeners: Sequence[Listener], app: Application) -> None:
        assert len({listener.name for listener in listeners}) == len(listeners)
        self._listeners = tuple(listeners)
        self._app = app
        self._sockets: dict[str, tuple[socket.socket, ...]] = {}
        self._contexts: dict[str, SwitchableContext] = {}
        self._socket_files: list[_SocketFile] = []
        self._servers: list[_Server] = []

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Where each listener listens, as `host:port` or `unix:path`: the ports that the kernel chose."""
        return {name: tuple(map(_describe_socket, sockets)) for name, sockets in self._sockets.items()}

    def open(self) -> None:
        """Read all TLS material and bind all sockets.

        Raises:
            ListenerError: one cannot be opened; then none is.

        """
        for listener in self._listeners:
            try:
                if listener.tls is not None:
                    self._contexts[listener.name] = SwitchableContext(listener.tls)
                self._sockets[listener.name] = self._bind(listener)
            except (OSError, TlsMaterialError, ListenerError) as error:
                self.close()
                raise ListenerError(f"listener `{listener.name}` at `{listener.address}`: {error}") from error

    def replace_tls(self, name: str, settings: TlsSettings) -> None:
        """Use other TLS material of a listener from the next handshake on.

        Raises:
            ListenerError: it cannot be used; the present material stays.

        """
        try:
            self._contexts[name].replace(settings)
        except TlsMaterialError as error:
            raise ListenerError(f"listener `{name}`: {error}") from error

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Serve until `stop`, then drain; `open` goes before.

        Args:
            on_ready: called once, when every listener accepts connections.

        Raises:
            ListenerError: a socket could not be served.

        """
        self._servers = [self._make_server(listener) for listener in self._listeners]
        tasks = [
            asyncio.create_task(server.serve(sockets=list(self._sockets[listener.name])), name=listener.name)
            for server, listener in zip(self._servers, self._listeners, strict=True)
        ]
        try:
            for server, task in zip(self._servers, tasks, strict=True):
                accepting = asyncio.ensure_future(server.accepting.wait())
                await asyncio.wait({accepting, task}, return_when=asyncio.FIRST_COMPLETED)
                accepting.cancel()
            if all(server.accepting.is_set() for server in self._servers):
                on_ready()
            await asyncio.gather(*tasks)
        except OSError as error:
            raise ListenerError(f"listening ended: {error}") from error
        finally:
            self.stop()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    def stop(self) -> None:
        """Accept no more, let running requests end; called again, cut them."""
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True

    def close(self) -> None:
        """Close what `open` opened, and remove the socket files that are still ours."""
        for sockets in self._sockets.values():
            for listening in sockets:
                listening.close()
        for socket_file in self._socket_files:
            socket_file.remove()
        self._sockets.clear()
        self._socket_files.clear()

    def _make_server(self, listener: Listener) -> "_Server":
        config = ListenerConfig(
            self._app,
            oversized=listener.oversized,
            listener=listener.name,
            unix_socket=listener.address.startswith(_UNIX_PREFIX),
            keep_alive_seconds=_KEEP_ALIVE_SECONDS,
            drain_seconds=_DRAIN_SECONDS,
        )
        return _Server(config, self._contexts.get(listener.name))

    def _bind(self, listener: Listener) -> tuple[socket.socket, ...]:
        if listener.address.startswith(_UNIX_PREFIX):
            path = Path(listener.address.removeprefix(_UNIX_PREFIX))
            bound, socket_file = _bind_unix(path)
            self._socket_files.append(socket_file)
            return (bound,)
        return _bind_tcp(listener.address)


async def serve_listeners(
    listeners: Listeners,
    *,
    on_ready: Callable[[], None],
    on_reload: Callable[[], None],
) -> None:
    """Serve opened listeners until TERM or INT, with signals handled.

    Args:
        listeners: opened.
        on_ready: called once, when every listener accepts connections.
        on_reload: called in the event loop for each HUP; a bad reload is its business.

    Raises:
        ListenerError: a socket could not be served.

    """
    handled: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():  # no other thread can handle signals
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, listeners.stop)
            handled.append(number)
        loop.add_signal_handler(signal.SIGHUP, on_reload)
        handled.append(signal.SIGHUP)
    try:
        await listeners.serve(on_ready)
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def run_event_loop(main: Coroutine[None, None, _Result]) -> _Result:
    """Run a coroutine to its end on a new uvloop event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


class _Server(uvicorn.Server):
    """uvicorn's server of one listener, with signals left to the process and sockets opened before."""

    def __init__(self, config: ListenerConfig, tls: SwitchableContext | None) -> None:
        super().__init__(config)
        self._listener_config = config
        self._tls = tls
        self.accepting = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: they are handled once, for all servers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on sockets that are bound; unlike uvicorn, limit the time of a handshake."""
        assert sockets is not None
        loop = asyncio.get_running_loop()
        tls = None if self._tls is None else self._tls.context
        seconds = None if tls is None else _HANDSHAKE_SECONDS
        self.servers = []
        for bound in sockets:
            create = loop.create_unix_server if bound.family == socket.AF_UNIX else loop.create_server
            self.servers.append(
                await create(
                    self._make_protocol, sock=bound, ssl=tls, ssl_handshake_timeout=seconds, backlog=_BACKLOG
                )
            )
        self.started = True
        self.accepting.set()

    def _make_protocol(self) -> asyncio.Protocol:
        return ListenerProtocol(self._listener_config, self.server_state, {})


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
        listening.listen(_BACKLOG)
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
            listening.listen(_BACKLOG)
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
