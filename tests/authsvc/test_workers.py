"""`serve --workers N`, for real: processes that share listeners, come, go, and tell one story."""

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from authsvc.access.levels import Level
from tests.authsvc.test_metrics import samples
from tests.support.command_line import run_authsvc
from tests.support.presented import escaped_pem
from tests.support.service import Place, acl, lay_place, world
from tests.support.workers import (
    LONGEST_WAIT,
    READ_SALES,
    Connection,
    Supervised,
    is_alive,
    supervised,
    wait_until,
)

PEOPLE = world().people
DECISIONS = "authsvc_decisions_total{reason=acl_level,verdict=denied}"
READ_MISSING = "/auth?database=missing.nsf&level=reader"
MISSING = "authsvc_decisions_total{reason=database_unknown,verdict=denied}"
"""A refusal, and its figure, of one test alone."""


@contextmanager
def laid() -> Iterator[Place]:
    """A place with a short path: that of a unix socket may have 107 bytes."""
    with TemporaryDirectory(prefix="authsvc-") as folder:
        yield lay_place(Path(folder))


@pytest.fixture
def place() -> Iterator[Place]:
    with laid() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def running() -> Iterator[Supervised]:
    """Two workers, for tests that leave two behind: three starts of Python are dear.

    A worker that was ready has always been so for long enough, so that the first pause is the same in every test.
    """
    with laid() as fresh, supervised(fresh, _STEADY_SECONDS=0.0, _LONGEST_PAUSE_SECONDS=0.4) as started:
        yield started


@pytest.fixture
def each(running: Supervised) -> Iterator[dict[int, Connection]]:
    """A kept connection to each of them."""
    found = running.connect_to_each()
    yield found
    for connection in found.values():
        connection.close()


def ask_api(running: Supervised, path: str) -> httpx.Response:
    """Ask on a fresh connection: whichever worker takes it."""
    context = ssl.create_default_context(cadata=world().root.pem)
    with httpx.Client(verify=context, timeout=LONGEST_WAIT) as client:
        return client.get(f"https://{running.addresses['api'][0]}{path}")


def scrape(running: Supervised) -> dict[str, float]:
    return samples(ask_api(running, "/metrics").content)


def statuses(each: dict[int, Connection], name: str) -> set[int]:
    """Ask every worker about a person."""
    return {connection.ask(PEOPLE[name]) for connection in each.values()}


# --- together ----------------------------------------------------------------------------------------------


def test_connections_are_shared_among_the_workers(running: Supervised) -> None:
    """Though each is opened, and used, while nothing else is going on."""
    connections = [running.connect() for _ in range(24)]
    assert {200} == {connection.ask(PEOPLE["dave"]) for connection in connections}
    counted = Counter(connection.pid for connection in connections)
    for connection in connections:
        connection.close()
    assert set(running.pids.values()) == set(counted)
    assert running.process.pid not in counted
    assert min(counted.values()) >= 24 // 4


def test_every_front_end_answers_in_its_dialect(running: Supervised) -> None:
    path = running.addresses["nginx"][0].removeprefix("unix:")
    assert 0o660 == stat.S_IMODE(Path(path).stat().st_mode)
    headers = {
        "X-SSL-Client-Cert": escaped_pem(PEOPLE["dave"].der).decode(),
        "X-SSL-Client-Verify": "SUCCESS",
    }
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        by_nginx = client.get(f"http://authsvc{READ_SALES}", headers=headers)
    context = ssl.create_default_context(cadata=world().root.pem)
    held = running.place.folder / "client.pem"
    held.write_text(PEOPLE["dave"].bundle_pem + PEOPLE["dave"].key_pem)
    context.load_cert_chain(held)
    with httpx.Client(verify=context, timeout=LONGEST_WAIT) as client:
        direct = client.get(f"https://{running.addresses['direct'][0]}{READ_SALES}")
    for answer in (by_nginx, direct):
        assert (200, "Dave Lawson/Renovations") == (answer.status_code, answer.headers["remote-user"])
    assert ask_api(running, "/healthz").json() == {"status": "ok"}
    assert {"unix", "127.0.0.1"} == {str(record["peer"]) for record in running.place.records()[-2:]}


def test_a_handshake_that_fails_harms_nobody(running: Supervised) -> None:
    host, _, port = running.addresses["direct"][0].rpartition(":")
    before = list(running.log)
    for _ in range(4):
        with socket.create_connection((host, int(port)), LONGEST_WAIT) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert not stranger.recv(65_536).startswith(b"HTTP")
    assert ask_api(running, "/healthz").status_code == 200
    assert before == running.log


def test_t66_a_changed_acl_counts_in_every_worker(
    running: Supervised, each: dict[int, Connection], tmp_path: Path
) -> None:
    """As `authsvc apply` changes it, within the half second that the documentation tells, and some for the machine."""
    assert {200} == statuses(each, "dave")
    declared = tmp_path / "changed.yaml"
    for level, status in (("No Access", 403), ("Reader", 200)):
        entry = {"name": "Dave Lawson/Renovations", "type": "person", "level": level, "roles": ["Buyer"]}
        declared.write_text(json.dumps({"databases": [{"name": "sales.nsf", "acl": [entry]}]}))
        assert run_authsvc("apply", declared, "--yes", config=running.place.file).exit_code == 0
        took = wait_until(lambda status=status: {status} == statuses(each, "dave"), level)  # type: ignore[misc]  # bound
        assert took < 2


def test_a_new_revocation_list_counts_in_every_worker(
    running: Supervised, each: dict[int, Connection]
) -> None:
    """Within the five seconds that the documentation tells."""
    max_ = PEOPLE["max"]
    running.place.put_database("sales.nsf", acl("Max Manager/Renovations", Level.READER))
    wait_until(lambda: {200} == statuses(each, "max"), "the ACL")
    running.place.write("issuing.crl", world().crl(max_, number=2))
    assert wait_until(lambda: {401} == statuses(each, "max"), "the revocation") < 5
    running.place.write("issuing.crl", world().crl(number=3))
    wait_until(lambda: {200} == statuses(each, "max"), "the end of it")
    running.place.put_database("sales.nsf", acl("Dave Lawson/Renovations", Level.READER, "Buyer"))
    wait_until(lambda: {200} == statuses(each, "dave"), "the ACL as it was")


def test_the_figures_are_those_of_all_workers_whichever_is_asked(
    running: Supervised, each: dict[int, Connection]
) -> None:
    nobody = "authsvc_decisions_total{reason=no_entry,verdict=denied}"  # in no other test of these workers
    for connection in each.values():
        for _ in range(5):
            assert connection.ask(PEOPLE["norma"]) == 401
    expected = 5.0 * len(each)
    wait_until(lambda: scrape(running)[nobody] == expected, f"{expected} decisions")
    assert {expected} == {scrape(running)[nobody] for _ in range(8)}  # by both, most probably


def test_figures_never_fall_though_different_workers_are_asked(
    running: Supervised, each: dict[int, Connection]
) -> None:
    seen = [0.0]
    for _ in range(8):
        for connection in each.values():
            connection.ask(PEOPLE["eve"])
            seen.append(scrape(running).get(DECISIONS, 0))
    assert sorted(seen) == seen


def test_readiness_warns_of_nothing_when_all_is_well(running: Supervised) -> None:
    wait_until(lambda: ask_api(running, "/readyz").json()["warnings"] == [], "no warning")
    assert ask_api(running, "/readyz").status_code == 200


# --- HUP ---------------------------------------------------------------------------------------------------


def versions(running: Supervised) -> set[str]:
    return {str(ask_api(running, "/readyz").json()["policy_version"]) for _ in range(6)}


def hang_up(running: Supervised, event: str) -> None:
    """Send HUP and wait until every worker has said the same about it."""
    before = len(running.events(event))
    running.signal(signal.SIGHUP)
    told = running.wait_for(event, before + len(running.pids))[before:]
    assert sorted(running.pids) == sorted(int(str(line["worker"])) for line in told)


def test_t69_t70_a_bad_reload_keeps_the_old_configuration_in_every_worker(
    running: Supervised, each: dict[int, Connection]
) -> None:
    (before,) = versions(running)
    running.place.configure(surprise=True)
    hang_up(running, "reload_refused")
    assert {before} == versions(running)
    assert {200} == statuses(each, "dave")
    del running.place.configuration["surprise"]
    running.place.configure(expose_reasons=True)
    hang_up(running, "reloaded")
    assert before not in versions(running)
    assert {200} == statuses(each, "dave")


def test_hup_begins_a_new_audit_file_in_every_worker_and_no_record_is_lost(
    running: Supervised, each: dict[int, Connection]
) -> None:
    moved = running.place.folder / "audit.1"
    (running.place.folder / "audit.jsonl").rename(moved)
    wait_until(lambda: statuses(each, "eve") == {403}, "records in the file that was moved away")
    hang_up(running, "reloaded")
    before = moved.read_bytes()
    for _ in range(50):
        assert {403} == statuses(each, "eve")
    assert before == moved.read_bytes()
    assert 50 * len(each) == len(running.place.records())
    assert {"acl_level"} == {str(record["reason"]) for record in running.place.records()}


# --- workers that end --------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_nobody_gets_in_meanwhile(
    running: Supervised, each: dict[int, Connection]
) -> None:
    """Every request before, during and after is answered right, by the other worker too."""
    for connection in each.values():
        assert connection.ask(PEOPLE["dave"], READ_MISSING) == 403
    wait_until(lambda: scrape(running).get(MISSING) == len(each), "both decisions")
    ready, ended = len(running.events("worker_ready")), len(running.events("worker_ended"))
    killed = running.pids[1]
    os.kill(killed, signal.SIGKILL)
    answered = Counter[tuple[str, int]]()

    def replaced() -> bool:
        for name, path in (("dave", READ_SALES), ("dave", READ_MISSING), ("eve", READ_SALES)):
            with closing(running.connect()) as connection:
                try:
                    answered[f"{name} {path}", connection.ask(PEOPLE[name], path)] += 1
                except (ConnectionError, OSError):
                    answered["cut", 0] += 1  # the killed worker had just accepted it
        return len(running.events("worker_ready")) == ready + 1

    wait_until(replaced, "the new worker")
    refused = (f"dave {READ_MISSING}", 403)
    assert {(f"dave {READ_SALES}", 200), refused, (f"eve {READ_SALES}", 403)} == set(answered) - {("cut", 0)}
    assert answered["cut", 0] <= 2
    (told,) = running.events("worker_ended")[ended:]
    assert {"worker": 1, "pid": killed, "status": -9, "next_in_seconds": 0.1} == {
        key: told[key] for key in ("worker", "pid", "status", "next_in_seconds")
    }
    assert killed not in running.pids.values()
    fresh = running.connect_to_each()
    assert {200} == statuses(fresh, "dave")
    # What the killed worker had counted is counted still.
    expected = len(each) + answered[refused]
    wait_until(lambda: scrape(running)[MISSING] >= expected, f"{expected} decisions")
    wait_until(lambda: ask_api(running, "/readyz").json()["warnings"] == [], "no warning")


def test_a_worker_that_is_asked_to_end_drains_and_is_replaced(running: Supervised) -> None:
    ready, ended = len(running.events("worker_ready")), len(running.events("worker_ended"))
    with half_asked(running) as (pid, finish):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGTERM)  # service managers tell every process, and so does the supervisor
        assert finish() == (200, "allowed")
    (told,) = running.wait_for("worker_ended", ended + 1)[ended:]
    assert (pid, 0) == (told["pid"], told["status"])
    running.wait_for("worker_ready", ready + 1)
    path = Path(running.addresses["nginx"][0].removeprefix("unix:"))
    assert path.is_socket()


def test_a_worker_that_cannot_start_again_is_tried_again_and_the_others_go_on(running: Supervised) -> None:
    """What stands in the file by now is wrong, or is for other listeners: it says so in the log, and in /readyz."""
    place = running.place
    correct, configured = place.file.read_bytes(), dict(place.configuration)
    ready, ended = len(running.events("worker_ready")), len(running.events("worker_ended"))
    try:
        place.configure(surprise=True)
        os.kill(running.pids[0], signal.SIGKILL)
        (refused, *_) = running.wait_for("worker_not_started")
        assert (0, "error") == (refused["worker"], refused["level"])
        assert "surprise" in str(refused["problem"])
        del place.configuration["surprise"]
        front_ends = place.configuration["front_ends"]
        assert isinstance(front_ends, list)
        place.configure(front_ends=[front_ends[0] | {"dialect": "rfc9440"}, *front_ends[1:]])

        def refused_for_its_listeners() -> bool:
            return any(
                "with a restart only" in str(line["problem"]) for line in running.events("worker_not_started")
            )

        wait_until(refused_for_its_listeners, "the refusal")
        with closing(running.connect()) as connection:
            assert (200, 403) == (connection.ask(PEOPLE["dave"]), connection.ask(PEOPLE["eve"]))
        wait_until(
            lambda: "1 of 2 workers are silent" in str(ask_api(running, "/readyz").json()["warnings"]),
            "the warning",
        )
    finally:
        place.configuration.clear()
        place.configuration.update(configured)
        place.file.write_bytes(correct)
    running.wait_for("worker_ready", ready + 1)
    pauses = [line["next_in_seconds"] for line in running.events("worker_ended")[ended:]]
    assert [0.1, 0.2, 0.4, 0.4][: len(pauses)] == pauses[:4]
    assert sorted(pauses, key=str) == pauses


# --- the end -----------------------------------------------------------------------------------------------


@contextmanager
def half_asked(running: Supervised) -> Iterator[tuple[int, Callable[[], tuple[int, str]]]]:
    """Begin a call whose body has not come; yield who has it in hand, and what sends the rest and reads the answer."""
    body = json.dumps({"certificate": PEOPLE["dave"].pem}).encode()
    head = (
        "POST /v1/authenticate HTTP/1.1\r\nHost: authsvc\r\nContent-Type: application/json\r\n"
        f"X-Front-End-Secret: {running.place.secret}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with closing(running.connect()) as connection:
        held = connection.socket
        held.sendall(head.encode())
        with held.makefile("rb") as answer:
            assert (b"HTTP/1.1 100 Continue\r\n", b"\r\n") == (answer.readline(), answer.readline())

            def finish() -> tuple[int, str]:
                held.sendall(body)
                status = int(answer.readline().split()[1])
                while answer.readline() != b"\r\n":
                    pass
                return status, str(json.loads(answer.read())["verdict"])

            yield connection.pid, finish


def test_term_lets_running_requests_end_and_leaves_nothing_behind(place: Place) -> None:
    with supervised(place) as running:
        pids = [running.process.pid, *running.pids.values()]
        assert all(map(is_alive, pids))
        host, _, port = running.addresses["edge"][0].rpartition(":")
        tls_host, _, tls_port = running.addresses["direct"][0].rpartition(":")
        with (
            socket.create_connection((tls_host, int(tls_port)), LONGEST_WAIT),  # its handshake never begins
            half_asked(running) as (_pid, finish),
        ):
            running.signal(signal.SIGTERM)

            def refused() -> bool:
                try:
                    socket.create_connection((host, int(port)), LONGEST_WAIT).close()
                except ConnectionRefusedError:
                    return True
                except ConnectionResetError:  # it was waiting to be accepted when the socket was closed
                    return False
                return False

            wait_until(refused, "no more connections")
            assert finish() == (200, "allowed")
        assert running.wait_end() == 0
        assert not any(map(is_alive, pids))
        assert not list(place.folder.glob("*.sock"))
        assert running.log[-1]["event"] == "ended"
        assert not running.events("worker_ended")
        assert not running.events("worker_killed")


def test_a_second_signal_cuts(place: Place) -> None:
    with supervised(place) as running:
        pids = [running.process.pid, *running.pids.values()]
        with half_asked(running):
            running.signal(signal.SIGINT)
            wait_until(lambda: any(not is_alive(pid) for pid in pids), "the worker that has nothing to do")
            begin = time.monotonic()
            running.signal(signal.SIGINT)
            assert running.wait_end() == 0
            assert time.monotonic() - begin < 8  # draining would take ten seconds
        assert not any(map(is_alive, pids))


def test_workers_end_with_their_supervisor_however_it_ends(place: Place) -> None:
    with supervised(place) as running:
        pids = list(running.pids.values())
        os.kill(running.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, pids)), "the end of the workers")


def test_a_worker_that_does_not_end_is_killed(place: Place) -> None:
    """It hangs: stopped, it hears nobody."""
    with supervised(place, _END_SECONDS=1.0) as running:
        pids = list(running.pids.values())
        os.kill(pids[0], signal.SIGSTOP)
        running.signal(signal.SIGTERM)
        assert running.wait_end() == 0
        # On a busy machine a second may be too short for the other one too.
        assert pids[0] in {line["pid"] for line in running.events("worker_killed")}
        assert not any(map(is_alive, pids))


def test_without_any_worker_all_ends_with_exit_code_3(place: Place) -> None:
    """A web server would wait for ever at a socket behind which nobody answers."""
    with supervised(place, _LONGEST_SILENCE_SECONDS=0.5) as running:
        place.configure(surprise=True)
        for pid in running.pids.values():
            os.kill(pid, signal.SIGKILL)
        assert running.wait_end() == 3
        assert "expected a worker that serves, found none" in running.said
        assert not list(place.folder.glob("*.sock"))


# --- the start ---------------------------------------------------------------------------------------------


def fails(place: Place) -> tuple[int, str]:
    """Start what cannot; return the exit code and what was said, once nobody is left."""
    running = Supervised(place)
    status = running.wait_end()
    assert not list(place.folder.glob("*.sock"))
    assert not running.events("ready")
    return status, running.said


def test_what_a_worker_cannot_start_with_ends_the_start_and_is_said_once(place: Place) -> None:
    (place.folder / "audit.jsonl").mkdir()
    status, said = fails(place)
    assert (2, 1) == (status, said.count("error: "))
    assert "audit.jsonl" in said


def test_a_store_that_is_no_database_ends_the_start_before_any_worker(place: Place) -> None:
    shutil.copy(place.file, place.folder / "directory.db")
    status, said = fails(place)
    assert (3, 1) == (status, said.count("error: "))


def test_a_port_that_is_taken_ends_the_start(place: Place) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        place.configure(
            api=place.configuration["api"] | {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}  # type: ignore[operator]  # a mapping
        )
        status, said = fails(place)
    assert status == 2
    assert "Address already in use" in said


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(place: Place, number: str) -> None:
    assert run_authsvc("serve", "--workers", number, config=place.file).exit_code == 2
