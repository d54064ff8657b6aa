"""`authsvc demo` as a user starts it: it says what to type, ends when told, and harms nothing but its own."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from authsvc.cli.demo import ended_by_signals
from authsvc.sample_world import nginx, slapd
from authsvc.sample_world.errors import MissingProgram, WorldError
from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.slapd import SlapdError
from authsvc.sample_world.world import Ports
from tests.support.command_line import run_authsvc
from tests.support.curl import run_curl
from tests.support.sample_world import free_ports


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that has said "ready", and what it printed."""

    process: "subprocess.Popen[str]"
    folder: Path
    ports: Ports
    lines: tuple[str, ...]

    @property
    def curl_lines(self) -> list[str]:
        """Return every printed line that is a curl command, from `curl` to its end."""
        return ["curl " + line.partition(" curl ")[2] for line in self.lines if " curl " in line]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return the exit code and the rest of both outputs."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def ports_in_a_row() -> Ports:
    """Return four free ports in a row."""
    while True:
        first = free_ports().api
        try:
            with socket.socket() as a, socket.socket() as b, socket.socket() as c:
                for offset, probe in enumerate((a, b, c), start=1):
                    probe.bind(("127.0.0.1", first + offset))
        except (OSError, OverflowError):
            continue
        return Ports.counted_from(first)


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    ports = ports_in_a_row()
    command = [sys.executable, "-m", "authsvc", "demo", str(folder), "--port", str(ports.api), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told = process.stderr if "--json" in options else process.stdout
        assert told is not None
        lines: list[str] = []
        while not lines or lines[-1] != "Ctrl-C ends it":
            line = told.readline()
            assert line, f"the demo ended: {lines[-3:]} {process.communicate()}"
            lines.append(line.rstrip("\n"))
        yield Demo(process=process, folder=folder, ports=ports, lines=tuple(lines))
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


def children_of(pid: int) -> set[int]:
    """Return the processes that a process has started and that still live."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in listed}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d") / "world"


def test_the_demo_says_ready_and_what_it_printed_can_be_typed_and_ctrl_c_ends_it_with_all_its_children(
    folder: Path,
) -> None:
    with demo(folder) as running:
        assert any(line.startswith("ready: ") for line in running.lines)
        assert world_json_is_as_told(running)
        assert_three_lines_answer(running)
        assert_hints_work(running)
        children = children_of(running.process.pid)
        assert len(children) == 4
        code, out, err = running.end(signal.SIGINT)
        assert (code, out, err) == (0, "\nthe sample world has ended\n", "")
        assert not [child for child in children if is_alive(child)]


def world_json_is_as_told(running: Demo) -> bool:
    """Every printed curl line of a story stands in `world.json`, whole and in order."""
    told = json.loads((running.folder / "world.json").read_text(encoding="utf-8"))
    assert [set(story) for story in told] == [{"story", "ways"}] * len(told)
    for story in told:
        assert story["ways"].keys() <= {"rfc9440", "nginx", "tls"}
        for way in story["ways"].values():
            assert set(way) in ({"curl", "status", "reason", "identity"}, {"curl", "refused_by"})
            if "refused_by" in way:
                assert way["refused_by"] in {"web server", "handshake", "client"}
    written = [way["curl"] for story in told for way in story["ways"].values()]
    assert running.curl_lines[: len(written)] == written
    assert all("\n" not in line and shlex.split(line)[:3] == ["curl", "-s", "-i"] for line in written)
    titles = [line.split("  ")[0] for line in running.lines if line and not line.startswith(" ")]
    assert [story["story"] for story in told] == titles[1:-2]
    return True


def assert_three_lines_answer(running: Demo) -> None:
    told = json.loads((running.folder / "world.json").read_text(encoding="utf-8"))
    for way, story in zip(("rfc9440", "nginx", "tls"), told[:3], strict=True):
        expected = story["ways"][way]
        answer = run_curl(expected["curl"])
        assert (answer.status, answer.reason) == (expected["status"], expected["reason"])


def assert_hints_work(running: Demo) -> None:
    hints = {line.split()[0]: line.split(maxsplit=1)[1] for line in running.lines[-4:-1]}
    assert set(hints) == {"why?", "health", "audit"}
    explained = run_authsvc(*shlex.split(hints["why?"])[1:])
    assert (explained.exit_code, explained.stdout.splitlines()[0]) == (1, "denied: certificate_differs (401)")
    healthy = subprocess.run(shlex.split(hints["health"]), capture_output=True, text=True, check=True)
    assert json.loads(healthy.stdout)
    tail = shlex.split(hints["audit"])
    assert tail[:2] == ["tail", "-f"]
    assert json.loads(Path(tail[2]).read_text().splitlines()[0])["reason"]


def test_a_second_run_over_the_same_folder_works_and_term_ends_it_too(folder: Path) -> None:
    with demo(folder, "--json") as running:
        children = children_of(running.process.pid)
        other = run_authsvc("demo", running.folder, "--port", "1024")
        assert (other.exit_code, other.stderr) == (
            2,
            f"error: a sample world runs in `{folder}`: end it, or name another folder\n",
        )
        code, out, err = running.end(signal.SIGTERM)
        assert (code, err) == (0, "\nthe sample world has ended\n")
        assert out == (folder / "world.json").read_text(encoding="utf-8")
        assert not [child for child in children if is_alive(child)]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_it_too_and_a_second_signal_does_not_disturb_the_end(
    first: signal.Signals,
) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with ended_by_signals():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), first)
        for second in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), second)
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_server_that_ends_by_itself_ends_the_demo_and_is_named_with_its_log(folder: Path) -> None:
    with demo(folder) as running:
        children = children_of(running.process.pid)
        (victim,) = [
            child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "nginx"
        ]
        os.kill(victim, signal.SIGKILL)
        _out, err = running.process.communicate(timeout=30)
        assert running.process.returncode == 2
        assert err == f"error: nginx ended by itself: see `{folder}/logs/nginx.log`\n"
        assert not [child for child in children if is_alive(child)]


# --- in the way


def untouched(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"thesis.txt": b"three years of work"}, id="a file"),
        pytest.param({"world.json": b"[]"}, id="a world.json of somebody else's"),
        pytest.param({".git/config": b"[core]"}, id="a hidden folder"),
    ],
)
def test_a_folder_with_something_else_in_it_is_refused_untouched(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    for name, octets in content.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(octets)
    result = run_authsvc("demo", tmp_path, "--port", str(ports_in_a_row().api))
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: `{tmp_path}` is not empty and holds no sample world: name another folder\n",
    )
    assert untouched(tmp_path) == content


def test_a_file_in_the_place_of_the_folder_is_refused_untouched(tmp_path: Path) -> None:
    file = tmp_path / "world"
    file.write_text("mine")
    result = run_authsvc("demo", file, "--port", str(ports_in_a_row().api))
    assert (result.exit_code, result.stderr) == (2, f"error: `{file}` is no folder: name another\n")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("offset", range(4))
def test_a_busy_port_is_named_before_anything_is_touched(tmp_path: Path, offset: int) -> None:
    ports = ports_in_a_row()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.api + offset))
        taken.listen()
        before = children_of(os.getpid())
        result = run_authsvc("demo", tmp_path / "world", "--port", str(ports.api))
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: port {ports.api + offset} of 127.0.0.1 is in use: name others with --port\n",
    )
    assert not (tmp_path / "world").exists()
    assert children_of(os.getpid()) == before


def test_a_path_too_long_for_sockets_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 80)
    result = run_authsvc("demo", long, "--port", str(ports_in_a_row().api))
    assert result.exit_code == 2
    assert "too long" in result.stderr
    assert not long.exists()


@pytest.mark.parametrize("port", ["0", "65533", "http"])
def test_a_port_without_three_behind_it_is_a_mistake_of_usage(tmp_path: Path, port: str) -> None:
    assert run_authsvc("demo", tmp_path / "world", "--port", port).exit_code == 2


def path_without(tmp_path: Path, *missing: str) -> str:
    """Return a PATH with the programs of this one but these."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("openssl", "nginx", "slapd", "slapadd"):
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found is not None and name not in missing:
            (folder / name).symlink_to(found)
    return str(folder)


def test_without_nginx_the_package_is_named_and_nothing_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path, "nginx"))
    monkeypatch.setattr(nginx, "_PROGRAM_FOLDERS", "")
    with pytest.raises(MissingProgram, match="apt-get install nginx"):
        RunningWorld(tmp_path / "world", ports_in_a_row(), now=datetime.now(UTC))
    assert not (tmp_path / "world").exists()


def test_without_slapd_the_package_is_named_and_nothing_is_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path, "slapd"))
    monkeypatch.setattr(slapd, "_PROGRAM_FOLDERS", "")
    before = children_of(os.getpid())
    with (
        pytest.raises(SlapdError, match="package `slapd`"),
        RunningWorld(tmp_path / "world", ports_in_a_row(), now=datetime.now(UTC)),
    ):
        pytest.fail("it started without slapd")
    assert children_of(os.getpid()) == before


def test_a_server_that_does_not_start_is_told_with_the_end_of_its_log_and_nothing_is_left_running(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("n")
    before = children_of(os.getpid())
    monkeypatch.setattr(nginx, "_USER_OF_ROOT", "no_such_word on;\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with (
        pytest.raises(WorldError, match=r"nginx ended with status 1 before it listened: .*no_such_word"),
        RunningWorld(folder / "world", ports_in_a_row(), now=datetime.now(UTC)),
    ):
        pytest.fail("it started with a broken configuration")
    assert children_of(os.getpid()) == before
