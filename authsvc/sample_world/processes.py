"""Child processes of the sample world: wait until one listens, stop one by its id."""

import socket
import subprocess
import time
from pathlib import Path

__all__ = ["free_port", "stop_process", "wait_for_port"]

_START_SECONDS = 10.0
"""How long a server may take until it listens; they all take well under one second."""

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
        TimeoutError: the process ended, or did not listen within 10 seconds; the text ends in its log's last lines.

    """
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        ended = process.poll()
        if ended is not None:
            raise TimeoutError(f"`{process.args!r}` ended with status {ended} before it listened: {_tail(log)}")
        with socket.socket() as probe:
            probe.settimeout(_RETRY_SECONDS)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(_RETRY_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    raise TimeoutError(f"nothing listens on port {port} after {_START_SECONDS:.0f} s: {_tail(log)}")


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
