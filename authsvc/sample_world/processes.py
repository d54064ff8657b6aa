"""Child processes of the sample world: start one, wait until it listens, stop it by its id.

INVARIANT: each child is in a process group of its own. Ctrl-C in a terminal goes to the whole group in the
foreground: so it reaches the parent alone, which stops its children in order.
"""

import contextlib
import errno
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from authsvc.sample_world.errors import WorldError

__all__ = [
    "find_busy_port",
    "listens_on",
    "start_process",
    "stop_process",
    "wait_for_port",
    "wait_for_socket",
]

_START_SECONDS = 20.0
"""How long a server may take until it listens; they take about one second, a loaded machine ten times
that."""

_STOP_SECONDS = 5.0
"""How long a server may take to end before it is killed."""

_RETRY_SECONDS = 0.02
"""How long one attempt to connect is spaced from the next."""

_LOG_TAIL = 800
"""Characters of a log that an error repeats: the last lines say what went wrong."""


def find_busy_port(ports: Iterable[int]) -> int | None:
    """Return the first of these ports of 127.0.0.1 that somebody listens on at this moment, or None.

    Raises:
        OSError: a port cannot be listened on for another reason (no right to it).

    """
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return port
                raise
    return None


def listens_on(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_RETRY_SECONDS)
        return probe.connect_ex(str(path)) == 0
    return False


def start_process(arguments: Sequence[str], *, log: Path) -> "subprocess.Popen[bytes]":
    """Start a child that writes to a log and reads nothing; it is not waited for."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - programs found on PATH or this interpreter, arguments of our own
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", *, name: str, log: Path) -> None:
    """Return when something listens on a loopback port.

    Raises:
        WorldError: the process ended, or did not listen in time; the text ends in its log's last lines.

    """
    _wait(lambda probe: probe.connect_ex(("127.0.0.1", port)) == 0, socket.AF_INET, process, name, log)


def wait_for_socket(path: Path, process: "subprocess.Popen[bytes]", *, name: str, log: Path) -> None:
    """Return when something listens on a unix socket; raises as `wait_for_port`."""
    _wait(lambda probe: probe.connect_ex(str(path)) == 0, socket.AF_UNIX, process, name, log)


def _wait(
    listens: Callable[[socket.socket], bool],
    family: socket.AddressFamily,
    process: "subprocess.Popen[bytes]",
    name: str,
    log: Path,
) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        ended = process.poll()
        if ended is not None:
            raise WorldError(f"{name} ended with status {ended} before it listened: {read_tail(log)}")
        with socket.socket(family) as probe:
            probe.settimeout(_RETRY_SECONDS)
            if listens(probe):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_RETRY_SECONDS)
    raise WorldError(f"{name} does not listen after {_START_SECONDS:.0f} s: {read_tail(log)}")


def read_tail(log: Path) -> str:
    """Return the end of a log on one line."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text[-_LOG_TAIL:].splitlines() if line.strip()]
    return ": ".join(lines) or f"`{log}` is empty"


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    """End a child: ask, wait, then kill."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
