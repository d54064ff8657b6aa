"""Two real `authsvc serve` on one store, as two machines are; each is asked as its web server `edge` asks."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml

from authsvc.sample_world.processes import start_process, stop_process, wait_for_port
from authsvc.store.schema import open_engine
from tests.support.pki import Issued
from tests.support.postgresql import PostgresqlServer
from tests.support.presented import byte_sequence
from tests.support.sample_world import free_ports
from tests.support.service import Place, fill_store, lay_place

__all__ = ["Asked", "TwoProcesses", "two_processes"]

_LONGEST_SECONDS = 15.0
"""How long an answer may take to change before the caller fails."""

READ_SALES = "/auth?database=sales.nsf&level=reader"


class Asked:
    """One of the processes, over one connection that stays open."""

    def __init__(self, port: int, place: Place) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_LONGEST_SECONDS)
        self._secret = place.secret

    def ask(self, issued: Issued) -> tuple[int, str]:
        """Return status and reason of a request with somebody's certificate."""
        headers = {
            "X-Front-End-Secret": self._secret,
            "Client-Cert": byte_sequence(issued.der).decode("ascii"),
        }
        answer = self._client.get(READ_SALES, headers=headers)
        return answer.status_code, answer.headers["auth-reason"]

    def wait_for(self, issued: Issued, expected: tuple[int, str]) -> float:
        """Ask without a pause until the answer is so; return the seconds that took."""
        began = time.monotonic()
        while (found := self.ask(issued)) != expected:
            assert time.monotonic() - began < _LONGEST_SECONDS, found
        return time.monotonic() - began

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class TwoProcesses:
    """What `two_processes` yields: where everything lies, the address of the store, and both processes."""

    def __init__(self, place: Place, store_url: str, both: tuple[Asked, Asked]) -> None:
        self.place = place
        self.store_url = store_url
        self.both = both

    def run(self, *arguments: str) -> None:
        """Run a command of its own process; fail where it does not end with 0."""
        command = _command(self.store_url, self.place.file, *arguments)
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr


@contextmanager
def two_processes(postgresql: PostgresqlServer | None) -> Iterator[TwoProcesses]:
    """Run both until the end of the block.

    Args:
        postgresql: where the store is; None for an SQLite file.

    """
    with ExitStack() as opened:
        # A short path: that of a unix socket may have 107 bytes.
        place = lay_place(Path(opened.enter_context(TemporaryDirectory(prefix="authsvc-"))))
        url = f"sqlite:///{place.folder / 'directory.db'}"
        if postgresql is not None:
            url = opened.enter_context(postgresql.database())
            engine = open_engine(url)
            fill_store(engine)
            engine.dispose()
            place.configure_directories(primary={"domain": "Renovations", "url": "${PRIMARY_URL}"})
        both, started = [], []
        for file in (place.file, _second(place)):
            log = file.with_suffix(".log")
            process = start_process(_command(url, file, "serve"), log=log)
            opened.callback(stop_process, process)
            started.append((file, log, process))
        for file, log, process in started:
            port = int(_listen(file).rpartition(":")[2])
            wait_for_port(port, process, name="authsvc", log=log)
            both.append(Asked(port, place))
            opened.callback(both[-1].close)
        yield TwoProcesses(place, url, (both[0], both[1]))


def _second(place: Place) -> Path:
    """Write the configuration of the second process: other listeners, another audit file, the same store."""
    ports = free_ports()
    front_ends = place.configuration["front_ends"]
    api = place.configuration["api"]
    assert isinstance(front_ends, list)
    assert isinstance(api, dict)
    nginx, edge, direct = front_ends
    changed = {
        "api": api | {"listen": f"127.0.0.1:{ports.api}"},
        "front_ends": [
            nginx | {"listen": "unix:second.sock"},
            edge | {"listen": f"127.0.0.1:{ports.edge}"},
            direct | {"listen": f"127.0.0.1:{ports.direct}"},
        ],
        "audit": {"file": "second.jsonl"},
    }
    return place.write("second.yaml", yaml.safe_dump(place.configuration | changed))


def _listen(file: Path) -> str:
    front_ends = yaml.safe_load(file.read_text())["front_ends"]
    return str(next(each["listen"] for each in front_ends if each["name"] == "edge"))


def _command(url: str, file: Path, *arguments: str) -> list[str]:
    """Return a command line; `env` becomes the interpreter, so that its process id is that of authsvc."""
    return ["env", f"PRIMARY_URL={url}", sys.executable, "-m", "authsvc", "--config", str(file), *arguments]
