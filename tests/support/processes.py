"""Servers of tests as processes: started, stopped, killed, made silent, by process id and never by name.

What lives here: what the servers of `ds389.py`, `samba_ad.py` and `postgresql.py` have in common. What does not: how
each of them is configured and loaded. `slapd` is the sample world's own (`authsvc/sample_world/slapd.py`).

Invariants:

* `start` returns when the server answers, or raises; nothing is left running when it raises.
* A server is its process and all descendants: some fork a child for each connection.
* A missing program raises, and so fails the run.
"""

import abc
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Server", "ServerError", "ServerProcess", "find_program", "free_ports", "last_lines", "run_to_end"]

_PROGRAM_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"
"""Where Debian has servers; the search path of an ordinary login lacks it."""

_START_SECONDS = 60.0
"""How long a server may take to answer: the slowest needs four seconds, a loaded machine ten times that."""

_STOP_SECONDS = 15.0
"""How long a server may take to end when asked; then it is killed."""

_POLL_SECONDS = 0.02


class ServerError(Exception):
    """A server could not be made or started; the text says why, with the last lines of its log."""


def find_program(name: str, package: str) -> str:
    """Return the path of a program, in the folders of servers too; `package` is the Debian package for the text."""
    found = shutil.which(name) or shutil.which(name, path=_PROGRAM_FOLDERS)
    if found is None:
        raise ServerError(f"`{name}` is not installed: it comes with the Debian package `{package}`")
    return found


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return ports of a loopback address that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return [each.getsockname()[1] for each in sockets]


def last_lines(log: bytes) -> str:
    """Return what is worth repeating of a log."""
    lines = log.decode("utf-8", "replace").strip().splitlines()
    return ": ".join(lines[-4:]) or "it said nothing"


def run_to_end(
    command: Sequence[str | Path], *, user: str | None = None, cwd: Path = Path("/"), said: str = ""
) -> None:
    """Run a program that ends by itself.

    Args:
        command: the program and its arguments.
        user: as whom, where we may choose.
        cwd: a folder that the user may enter.
        said: its standard input.

    Raises:
        ServerError: it failed.

    """
    ended = subprocess.run(
        command,
        cwd=cwd,
        input=said.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **_as_user(user),  # type: ignore[call-overload]  # user, group and groups, or none of them
    )
    if ended.returncode != 0:
        raise ServerError(f"`{command[0]}` failed: {last_lines(ended.stdout)}")


class ServerProcess:
    """One running server.

    Args:
        command: the program, to stay in the foreground, and its arguments.
        log: where its output goes.
        answers: whether it answers now.
        user: as whom it runs, where we may choose.
        cwd: a folder that the user may enter.
        stop_signal: what asks it to end.

    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        answers: Callable[[], bool],
        user: str | None = None,
        cwd: Path = Path("/"),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command = command
        self._log = log
        self._answers = answers
        self._user = user
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises:
            ServerError: it ended, or does not answer in time.

        """
        assert self._process is None, "the server is already running"
        name = Path(self._command[0]).name
        with contextlib.ExitStack() as on_failure:
            with self._log.open("ab") as log_file:
                process: subprocess.Popen[bytes] = subprocess.Popen(
                    self._command,
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C is for whoever started it, who then stops it in its turn
                    **_as_user(self._user),  # type: ignore[call-overload]  # as above
                )
            self._process = process
            on_failure.callback(self.kill)
            deadline = time.monotonic() + _START_SECONDS
            while not self._answers():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_POLL_SECONDS)
                    raise ServerError(f"`{name}` ended at once: {last_lines(self._log.read_bytes())}")
                if time.monotonic() > deadline:
                    raise ServerError(f"`{name}` did not answer within {_START_SECONDS:.0f} s")
            on_failure.pop_all()

    def stop(self) -> None:
        """End the server and wait for it; nothing happens when it is not running."""
        if self._process is None:
            return
        self._signal_all(signal.SIGCONT)  # a paused process would not see the next signal
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server at once, as a crash would; nothing happens when it is not running."""
        if self._process is None:
            return
        self._signal_all(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Make the server silent without closing anything, as a hung machine is; return when it is."""
        assert self._process is not None, "the server is not running"
        self._signal_all(signal.SIGSTOP)
        # Its threads go on for a moment. An end is waited for too, lest we wait for ever, but not collected.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None, "the server is not running"
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """Signal the process first, so that it starts no more children, and then its descendants."""
        assert self._process is not None
        family = [self._process.pid, *_descendants(self._process.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Server(abc.ABC):
    """A server of one kind: a context manager that starts and stops it. `start` of each kind sets `_process`."""

    _process: ServerProcess | None = None

    @abc.abstractmethod
    def start(self) -> None:
        """Start the server, make it first if it is new, and return when it answers.

        Raises:
            ServerError: a program is missing, the content is not accepted, or the server does not come up.

        """

    @property
    def pid(self) -> int | None:
        """The process id, None when not running."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """End the server and wait for it; nothing happens when it is not running."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        assert self._process is not None, "the server was never started"
        self._process.kill()

    def pause(self) -> None:
        """Make the server silent without closing anything, as a hung machine is."""
        assert self._process is not None, "the server was never started"
        self._process.pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None, "the server was never started"
        self._process.resume()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # it may end while we look
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text(encoding="ascii").split()):
                found += [child, *_descendants(child)]
    return found


def _as_user(name: str | None) -> dict[str, object]:
    """Return the arguments of `subprocess` that change the user, none where we are not root."""
    if name is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
