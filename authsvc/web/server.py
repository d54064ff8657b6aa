"""Listeners: one uvicorn server each, signals. One process, one event loop.

Here: opening, serving, draining. Not here: sockets (`sockets.py`), the protocol on a connection
(`http_protocol.py`), TLS (`tls_contexts.py`), several processes (`supervisor.py`), who may speak as a front end,
and everything that a request means.

Invariants:

* Every socket is bound and listening before `on_ready` is called; if one cannot be opened, none stays open.
* Signals are handled once for all listeners: TERM and INT drain (a second one cuts), HUP calls `on_reload`. A worker
  is told so by its supervisor instead (`worker_link.py`).
"""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import uvicorn
import uvloop

from authsvc.web.connection import Application
from authsvc.web.http_protocol import ListenerConfig, ListenerProtocol
from authsvc.web.sharing import SharingServer
from authsvc.web.sockets import BACKLOG, BoundSockets, ListenerError, is_unix
from authsvc.web.tls_contexts import SwitchableContext, TlsMaterialError, TlsSettings
from authsvc.web.worker_link import Command, SupervisorLink

__all__ = ["Listener", "Listeners", "run_event_loop", "serve_listeners"]

_LOG = logging.getLogger("authsvc.server")

_HANDSHAKE_SECONDS: Final = 10.0
"""How long a TLS handshake may take: slow clients must not hold connections."""

_KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection stays open: longer than the pools of the web servers (nginx 60 s)."""

_DRAIN_SECONDS: Final = 10
"""How long running requests may take after TERM: as long as the longest decision."""

_Result = TypeVar("_Result")


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
        is_fair: of a worker: whether it may have one more connection at once, when it has so many; None where nobody
            else listens to the same sockets.

    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        app: Application,
        *,
        is_fair: Callable[[int], bool] | None = None,
    ) -> None:
        assert len({listener.name for listener in listeners}) == len(listeners)
        self._listeners = tuple(listeners)
        self._app = app
        self._is_fair = is_fair
        self._bound = BoundSockets()
        self._contexts: dict[str, SwitchableContext] = {}
        self._servers: list[_Server] = []

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Where each listener listens, as `host:port` or `unix:path`: the ports that the kernel chose."""
        return self._bound.addresses

    def open(self, inherited: Mapping[str, Sequence[socket.socket]] | None = None) -> None:
        """Read all TLS material, and bind all sockets or take those that another process has bound.

        Args:
            inherited: the sockets of every listener by its name; None binds.

        Raises:
            ListenerError: one cannot be opened; then none is.

        """
        for listener in self._listeners:
            try:
                if listener.tls is not None:
                    self._contexts[listener.name] = SwitchableContext(listener.tls)
                if inherited is None:
                    self._bound.bind(listener.name, listener.address)
                else:
                    self._bound.adopt(listener.name, inherited[listener.name])
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
            asyncio.create_task(server.serve(sockets=list(self._bound.of(listener.name))), name=listener.name)
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
        if any(server.should_exit for server in self._servers):
            self.cut()
        else:
            self.drain()

    def drain(self) -> None:
        """Accept no more, let running requests end; called again, do nothing."""
        for server in self._servers:
            server.should_exit = True

    def cut(self) -> None:
        """Accept no more, and let nothing end."""
        for server in self._servers:
            server.should_exit = server.force_exit = True

    def close(self) -> None:
        """Close what `open` opened, and remove the socket files that are still ours."""
        self._bound.close()

    def _make_server(self, listener: Listener) -> "_Server":
        config = ListenerConfig(
            self._app,
            oversized=listener.oversized,
            listener=listener.name,
            unix_socket=is_unix(listener.address),
            keep_alive_seconds=_KEEP_ALIVE_SECONDS,
            drain_seconds=_DRAIN_SECONDS,
        )
        return _Server(
            config,
            self._contexts.get(listener.name),
            is_fair=None if self._is_fair is None else self._may_accept,
        )

    def _may_accept(self) -> bool:
        assert self._is_fair is not None
        return self._is_fair(sum(len(server.server_state.connections) for server in self._servers))


async def serve_listeners(
    listeners: Listeners,
    *,
    on_ready: Callable[[], None],
    on_reload: Callable[[], None],
    link: SupervisorLink | None = None,
) -> None:
    """Serve opened listeners until TERM or INT, with signals handled; a worker, until its supervisor says so.

    Args:
        listeners: opened.
        on_ready: called once, when every listener accepts connections.
        on_reload: called in the event loop for each HUP; a bad reload is its business.
        link: of a worker. It obeys the supervisor alone, but drains at TERM too: as often as it likes, because
            service managers tell every process that there is.

    Raises:
        ListenerError: a socket could not be served.

    """
    handled: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    if link is not None:
        actions = {
            Command.RELOAD: on_reload,
            Command.DRAIN: listeners.drain,
            Command.CUT: listeners.cut,
        }

        def act(command: Command) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: there is nothing to end any more
                loop.call_soon_threadsafe(actions[command])

        loop.add_signal_handler(signal.SIGTERM, listeners.drain)
        handled.append(signal.SIGTERM)
        link.obey(act)
    elif threading.current_thread() is threading.main_thread():  # no other thread can handle signals
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

    def __init__(
        self, config: ListenerConfig, tls: SwitchableContext | None, *, is_fair: Callable[[], bool] | None
    ) -> None:
        super().__init__(config)
        self._is_fair = is_fair
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
            if self._is_fair is not None:
                sharing = SharingServer(
                    bound, self._make_protocol, tls=tls, handshake_seconds=seconds, is_fair=self._is_fair
                )
                self.servers.append(sharing)  # type: ignore[arg-type]  # uvicorn only closes it
                continue
            create = loop.create_unix_server if bound.family == socket.AF_UNIX else loop.create_server
            self.servers.append(
                await create(
                    self._make_protocol, sock=bound, ssl=tls, ssl_handshake_timeout=seconds, backlog=BACKLOG
                )
            )
        self.started = True
        self.accepting.set()

    def _make_protocol(self) -> asyncio.Protocol:
        return ListenerProtocol(self._listener_config, self.server_state, {})
