"""`authsvc serve --workers N` as real processes: its log lines as they come, and which worker holds a connection."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.pki import Issued
from tests.support.presented import byte_sequence
from tests.support.service import Place

__all__ = ["LONGEST_WAIT", "READ_SALES", "Connection", "Supervised", "is_alive", "supervised", "wait_until"]

LONGEST_WAIT = 30.0
"""Seconds until a test that hangs fails; a start takes two on an idle machine."""

_PROGRAM = (
    "from authsvc.web import supervisor; vars(supervisor).update({}); "
    "from authsvc.cli.main import main; main()"
)
"""`authsvc`, with some constants changed."""

_LOOK_SECONDS = 0.02
"""Between two looks: whoever waits must not take the processor from those that it waits for."""

READ_SALES = "/auth?database=sales.nsf&level=reader"


class Supervised:
    """A supervisor with its workers.

    Args:
        place: its configuration.
        workers: how many; `--workers`.
        limits: constants of the supervisor's module that are something else in this test.

    """

    def __init__(self, place: Place, workers: int = 2, **limits: float) -> None:
        self.place = place
        self.log: list[dict[str, object]] = []
        self.said = ""
        self.addresses: Mapping[str, list[str]] = {}
        self._workers = workers
        self._news = threading.Condition()
        self._connections: list[Connection] = []
        command = [
            sys.executable,
            "-c",
            _PROGRAM.format(limits),
            "--config",
            str(place.file),
            "serve",
            "--json",
        ]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._reading = threading.Thread(target=self._read_log)
        self._reading.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.said += line
                self._news.notify_all()

    def wait_ready(self) -> None:
        """Read the document of `--json`."""
        assert self.process.stdout is not None
        document = ""
        for line in self.process.stdout:
            document += line
            if line == "}\n":
                break
        assert document, f"{self.said}{self.log}"
        self.wait_for("ready")
        self.wait_for("worker_ready", self._workers)  # who says so may be heard after "ready"
        self.addresses = json.loads(document)["listening"]

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the log lines of an event so far."""
        with self._news:
            return [line for line in self.log if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> list[dict[str, object]]:
        """Return the log lines of an event, when there are so many."""
        with self._news:
            found = self._news.wait_for(lambda: len(self.events(name)) >= count, LONGEST_WAIT)
        assert found, f"{count} x {name} in {self.said}{self.log}"
        return self.events(name)

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each number."""
        return {int(str(each["worker"])): int(str(each["pid"])) for each in self.events("worker_ready")}

    def signal(self, number: signal.Signals) -> None:
        """Signal the supervisor alone."""
        self.process.send_signal(number)

    def wait_end(self) -> int:
        """Wait for the supervisor; return its exit code, when nobody holds its log any more."""
        status = self.process.wait(LONGEST_WAIT)
        self._reading.join(LONGEST_WAIT)
        assert not self._reading.is_alive(), "somebody still writes to the log"
        for connection in self._connections:
            connection.close()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def connect(self) -> "Connection":
        """Connect to the front end `edge`; closed at the end at the latest."""
        self._connections.append(Connection(self))
        return self._connections[-1]

    def connect_to_each(self) -> dict[int, "Connection"]:
        """Return a kept connection to each worker, by process id."""
        found: dict[int, Connection] = {}
        end = time.monotonic() + LONGEST_WAIT
        while set(found) != set(self.pids.values()):
            assert time.monotonic() < end, f"only {found.keys()} of {self.pids}"
            fresh = self.connect()
            if fresh.ask(None) == 0 or fresh.pid in found:
                fresh.close()
            else:
                found[fresh.pid] = fresh
        return found


class Connection:
    """A kept connection to the front end `edge`."""

    def __init__(self, running: Supervised) -> None:
        self._running = running
        host, _, port = running.addresses["edge"][0].rpartition(":")
        self._client = http.client.HTTPConnection(host, int(port), timeout=LONGEST_WAIT)
        self._client.connect()

    def ask(self, issued: Issued | None, path: str = READ_SALES) -> int:
        """Ask about somebody's certificate; return the status."""
        headers = {"X-Front-End-Secret": self._running.place.secret}
        if issued is not None:
            headers["Client-Cert"] = byte_sequence(issued.der).decode()
        self._client.request("GET", path, headers=headers)
        answer = self._client.getresponse()
        answer.read()
        return answer.status

    @property
    def socket(self) -> socket.socket:
        """The connection itself."""
        assert isinstance(self._client.sock, socket.socket)
        return self._client.sock

    @property
    def pid(self) -> int:
        """Which worker has accepted it: who has the other end's socket open."""
        ours, theirs = (name[1] for name in (self.socket.getsockname(), self.socket.getpeername()))
        ends = f"0100007F:{theirs:04X} 0100007F:{ours:04X}"
        (inode,) = (
            line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if ends in line
        )
        (pid,) = (pid for pid in self._running.pids.values() if f"socket:[{inode}]" in _open_files(pid))
        return pid

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def is_alive(pid: int) -> bool:
    """Whether a process is there, and has not ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool], what: str) -> float:
    """Return how many seconds it took until something holds."""
    begin = time.monotonic()
    pause = threading.Event()
    while not holds():
        assert time.monotonic() - begin < LONGEST_WAIT, what
        pause.wait(_LOOK_SECONDS)
    return time.monotonic() - begin


@contextmanager
def supervised(place: Place, workers: int = 2, **limits: float) -> Iterator[Supervised]:
    """Run a supervisor with its workers, from "ready" to the end of the block; nothing is left running."""
    running = Supervised(place, workers, **limits)
    try:
        running.wait_ready()
        yield running
    finally:
        running.process.terminate()
        try:
            running.process.wait(LONGEST_WAIT)
        finally:
            running.process.kill()
        running.wait_end()


def _open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except OSError:
            continue  # closed meanwhile
    return found
