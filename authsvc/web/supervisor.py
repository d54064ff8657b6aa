"""`serve --workers N`: one process that binds every listener, and N that serve them (docs/adr/0023).

Here: starting workers, starting those anew that end, passing on signals, ending all. Not here: anything that a worker
does (`serving.py`), and what is said on the link (`worker_link.py`).

    TERM, INT               no more is accepted, every worker drains; a second one cuts; what is left is killed
    HUP                     every worker reloads by itself
    a worker ends           another takes its number, after a pause that grows up to `_LONGEST_PAUSE_SECONDS`
    the supervisor ends     however it does, every worker drains and ends: the link's other end is closed

Invariants:

* The sockets stay open while workers come and go: whoever connects meanwhile waits, and is not refused.
* Nobody is told "ready" before every worker is. One that cannot start the first time ends everything.
* A socket behind which nobody answers is worse than none: without any worker for `_LONGEST_SILENCE_SECONDS`, all ends.
* This process answers no request, holds no trust material and no connection to a directory.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from authsvc.operations.service import API_NAME, migrate_stores
from authsvc.operations.shared_figures import make_slot_file
from authsvc.settings import Settings
from authsvc.web.serving import log_warnings, name_places
from authsvc.web.sharing import ConnectionCounts, make_counts_file
from authsvc.web.sockets import BoundSockets, bind_all
from authsvc.web.worker_link import Command, WorkerArguments

__all__ = ["MOST_WORKERS", "WorkerFailed", "supervise"]

_LOG = logging.getLogger("authsvc.supervisor")

MOST_WORKERS: Final = 64
"""Each is a whole service: 100 MB, sixteen threads, and its own connections to every directory."""

_FIRST_PAUSE_SECONDS: Final = 0.1
"""Before a worker that has ended is replaced; doubled each time."""

_LONGEST_PAUSE_SECONDS: Final = 15.0
"""A worker that cannot start costs a start of Python each time, and somebody mends it meanwhile."""

_STEADY_SECONDS: Final = 60.0
"""A worker that was ready for so long has ended for a new reason: the pause is the first again."""

_LONGEST_SILENCE_SECONDS: Final = 30.0
"""How long there may be no worker at all: two starts on a loaded machine."""

_END_SECONDS: Final = 15.0
"""How long workers may take to end: the ten seconds of draining, and closing. systemd waits for 20 s."""

_REAP_SECONDS: Final = 5.0
"""How long a process may take to end after its link has: it is ending already."""

_REAP_LOOK_SECONDS: Final = 0.01
"""Between two looks whether it has."""

_LOOK_SECONDS: Final = 1.0
"""Between two looks whether anybody serves."""


class WorkerFailed(Exception):  # noqa: N818 - says what happened, as the other errors of the start do
    """No worker serves. `status` is the exit code of the one that could not start, which has said why; else None."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def supervise(
    settings: Settings,
    *,
    workers: int,
    command: Sequence[str],
    on_ready: Callable[[Mapping[str, tuple[str, ...]]], None],
) -> None:
    """Serve a configuration by several processes until TERM or INT; HUP reloads.

    Args:
        settings: from `read_settings`. Workers read the file again.
        workers: how many, at most `MOST_WORKERS`.
        command: what starts a worker; its arguments are added as one text.
        on_ready: called once with the addresses of each listener, when every worker accepts connections.

    Raises:
        StoreFault, SchemaRefused, ListenerError: it cannot start; nothing is left open.
        WorkerFailed: a worker cannot start, or none is left; nothing is left running.

    """
    migrate_stores(settings)
    bound = bind_all(
        {
            API_NAME: str(settings.api.listen),
            **{each.name: str(each.listen) for each in settings.front_ends},
        }
    )
    shared = _Shared(
        figures=tuple(make_slot_file() for _ in range(workers)), connections=make_counts_file(workers)
    )
    try:
        log_warnings(settings)
        asyncio.run(_Supervisor(settings, command, bound, shared).run(on_ready))
    finally:
        bound.close()
        for file in (*shared.figures, shared.connections):
            os.close(file)
    _LOG.info("ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """The memory that workers share, as file descriptors: `shared_figures.py`, `sharing.py`."""

    figures: tuple[int, ...]
    connections: int


@dataclass(slots=True, kw_only=True)
class _Worker:
    """One process. `ready_since` is None until it has said that it is."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ready_since: float | None = None

    def tell(self, command: Command) -> None:
        """Say something; one that has ended does not hear it."""
        self.writer.write(command.value)

    def drain(self) -> None:
        """Ask it to end: one that serves nobody yet, at once."""
        if self.ready_since is None:
            self.process.terminate()
        else:
            self.tell(Command.DRAIN)


class _Supervisor:
    """The workers, by their numbers, from the first start to the last end. Lives on one event loop."""

    def __init__(
        self, settings: Settings, command: Sequence[str], bound: BoundSockets, shared: _Shared
    ) -> None:
        self._settings = settings
        self._command = tuple(command)
        self._bound = bound
        self._shared = shared
        self._connections = ConnectionCounts(shared.connections)
        self._workers: dict[int, _Worker] = {}
        self._ready = [False] * len(shared.figures)  # whether one of this number ever was
        self._version = ""
        self._stop_wanted = asyncio.Event()
        self._changed = asyncio.Event()
        self._served_at = 0.0

    async def run(self, on_ready: Callable[[Mapping[str, tuple[str, ...]]], None]) -> None:
        """Start every worker, keep each alive until a signal, end all.

        1. The first worker alone: what is wrong with the configuration is said once.
        2. The others, at the same time.
        3. Wait for a signal, or until nobody serves.
        4. End.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        keepers: list[asyncio.Task[None]] = []
        try:
            for numbers in (range(1), range(1, len(self._ready))):  # 1, 2
                keepers += [asyncio.create_task(self._keep(number)) for number in numbers]
                while not all(self._ready[number] for number in numbers) and not self._stop_wanted.is_set():
                    await self._wait(keepers, self._changed)
            self._served_at = time.monotonic()
            if not self._stop_wanted.is_set():
                _LOG.info("ready", extra={"policy_version": self._version})
                on_ready(self._bound.addresses)
            while not self._stop_wanted.is_set():  # 3
                await self._wait(keepers, self._stop_wanted)
                self._require_somebody()
        finally:
            await self._end(keepers)  # 4

    async def _wait(self, keepers: Sequence[asyncio.Task[None]], event: asyncio.Event) -> None:
        """Wait a little, or until an event, or until somebody gives up, and raise that."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait({waiting, *keepers}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._changed.clear()
        for keeper in keepers:
            if keeper.done():
                keeper.result()

    def _require_somebody(self) -> None:
        now = time.monotonic()
        if any(worker.ready_since is not None for worker in self._workers.values()):
            self._served_at = now
        elif now - self._served_at > _LONGEST_SILENCE_SECONDS:
            raise WorkerFailed(
                f"expected a worker that serves, found none for {_LONGEST_SILENCE_SECONDS:.0f} seconds"
            )

    async def _keep(self, number: int) -> None:
        """Have a worker of this number until the end.

        Raises:
            WorkerFailed: the first one ended before it was ready.
            OSError: the first one could not be started.

        """
        pause, again = _FIRST_PAUSE_SECONDS, False
        while not self._stop_wanted.is_set():
            try:
                worker = await self._start(number, again=again)
            except OSError as error:
                if not again:
                    raise
                _LOG.error("worker_not_started", extra={"worker": number, "problem": str(error)})
            else:
                status = await self._watch(number, worker)
                if self._stop_wanted.is_set():
                    return
                if not self._ready[number]:
                    raise WorkerFailed(f"worker {number} {_ended(status)} before it was ready", status=status)
                if worker.ready_since is not None and time.monotonic() - worker.ready_since > _STEADY_SECONDS:
                    pause = _FIRST_PAUSE_SECONDS
                _LOG.warning(
                    "worker_ended",
                    extra={
                        "worker": number,
                        "pid": worker.process.pid,
                        "status": status,
                        "next_in_seconds": pause,
                    },
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop_wanted.wait(), pause)
            pause, again = min(2 * pause, _LONGEST_PAUSE_SECONDS), True

    async def _start(self, number: int, *, again: bool) -> _Worker:
        ours, theirs = socket.socketpair()
        arguments = WorkerArguments(
            configuration=str(self._settings.file),
            number=number,
            again=again,
            places=name_places(self._settings),
            sockets=self._bound.descriptors,
            link=theirs.fileno(),
            figures=self._shared.figures,
            connections=self._shared.connections,
        )
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603, ASYNC220 - this interpreter; it is there at once
                    [*self._command, arguments.to_text()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # `--json` promises one document there
                    pass_fds=arguments.descriptors,
                    process_group=0,  # Ctrl-C is for the supervisor, which tells the workers
                )
            except OSError:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        worker = self._workers[number] = _Worker(process=process, reader=reader, writer=writer)
        if self._stop_wanted.is_set():  # it came while this one was started
            worker.drain()
        return worker

    async def _watch(self, number: int, worker: _Worker) -> int:
        """Wait for a worker to be ready, and to end; return its exit code, negative for a signal."""
        try:
            line = await worker.reader.readline()
            if line.endswith(b"\n"):
                worker.ready_since = time.monotonic()
                self._version = line.decode("ascii").strip()
                self._ready[number] = True
                self._changed.set()
                _LOG.info(
                    "worker_ready",
                    extra={"worker": number, "pid": worker.process.pid, "policy_version": self._version},
                )
                await worker.reader.read()
        except ConnectionError:
            pass  # it ended with something of ours unread: the end all the same
        finally:
            del self._workers[number]
            self._connections.put(number, None)
            worker.writer.close()
        return await _reap(worker.process)

    def _reload(self) -> None:
        for worker in self._workers.values():
            worker.tell(Command.RELOAD)

    def _stop(self) -> None:
        """Accept no more and let all workers drain; a second time, cut."""
        if self._stop_wanted.is_set():
            for worker in self._workers.values():
                worker.tell(Command.CUT)
            return
        self._stop_wanted.set()
        self._changed.set()
        self._bound.stop_listening()
        for worker in self._workers.values():
            worker.drain()

    async def _end(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Let all workers end, and kill those that do not."""
        if not self._stop_wanted.is_set():
            self._stop()
        _done, running = await asyncio.wait(keepers, timeout=_END_SECONDS)
        for number, worker in self._workers.items():
            _LOG.error("worker_killed", extra={"worker": number, "pid": worker.process.pid})
            worker.process.kill()
        if running:
            await asyncio.wait(running)
        for keeper in keepers:
            keeper.exception()  # it has been raised already, or is of no interest any more


async def _reap(process: "subprocess.Popen[bytes]") -> int:
    """Return the exit code of a process that is ending."""
    last = time.monotonic() + _REAP_SECONDS
    while (status := process.poll()) is None:
        if time.monotonic() > last:
            process.kill()
        await asyncio.sleep(_REAP_LOOK_SECONDS)
    return status


def _ended(status: int) -> str:
    return f"ended with exit code {status}" if status >= 0 else f"was ended by signal {-status}"
