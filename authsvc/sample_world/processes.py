"""Child processes of the sample world: wait until one listens, stop one by its id."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["free_port", "stop_process", "wait_for_port", "wait_for_socket"]

_START_SECONDS = 20.0
"""How long a server may take until it listens; they take about one second, a loaded machine ten times
that."""

_STOP_SECONDS = 5.0
"""How long a server may take to end before it is killed."""

_RETRY_SECONDS = 0.02
"""How long one attempt to connect is spaced from the next."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", *, log: Path) -> None:
    """Return when something listens on a loopback port.

    Raises:
        TimeoutError: the process ended, or did not listen in time; the text ends in its log's last lines.

    """
    _wait(lambda probe: probe.connect_ex(("127.0.0.1", port)) == 0, socket.AF_INET, process, log)


def wait_for_socket(path: Path, process: "subprocess.Popen[bytes]", *, log: Path) -> None:
    """Return when something listens on a unix socket; raises as `wait_for_port`."""
    _wait(lambda probe: probe.connect_ex(str(path)) == 0, socket.AF_UNIX, process, log)


def _wait(
    listens: Callable[[socket.socket], bool],
    family: socket.AddressFamily,
    process: "subprocess.Popen[bytes]",
    log: Path,
) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        ended = process.poll()
        if ended is not None:
            raise TimeoutError(
                f"`{process.args!r}` ended with status {ended} before it listened: {_tail(log)}"
            )
        with socket.socket(family) as probe:
            probe.settimeout(_RETRY_SECONDS)
            if listens(probe):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_RETRY_SECONDS)
    raise TimeoutError(f"`{process.args!r}` does not listen after {_START_SECONDS:.0f} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-800:] if log.exists() else f"no log `{log.name}`"


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    """End a child: ask, wait, then kill."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
