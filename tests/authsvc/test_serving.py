"""`serve`, for real: its listeners, reload by HUP, drain by TERM, and what happens when the audit file is full."""

import json
import logging
import os
import queue
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partialmethod
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from authsvc.access.levels import Level
from authsvc.operations.audit import AuditFault
from authsvc.operations.trust_files import TrustFiles
from authsvc.trust.anchors import TrustMaterialError
from authsvc.web import serving
from authsvc.web.http_protocol import LARGEST_HEAD_BYTES
from authsvc.web.serving import SecretUnreadable, serve
from authsvc.web.sockets import ListenerError
from tests.support.pki import SERVER_AUTH, Authority, Issued, host
from tests.support.presented import byte_sequence, escaped_pem
from tests.support.service import BEGIN, END, NOW, Place, acl, lay_place, world

PEOPLE = world().people
READ_SALES = "/auth?database=sales.nsf&level=reader"
_LONGEST_WAIT = 10.0
"""Seconds until a test that hangs fails; none of them takes one."""


@pytest.fixture
def place() -> Iterator[Place]:
    """A place with a short path: that of a unix socket may have 107 bytes."""
    with TemporaryDirectory(prefix="authsvc-") as folder:
        yield lay_place(Path(folder))


class Events(logging.Handler):
    """What the service logs, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def wait_for(self, *names: str) -> tuple[str, str]:
        """Return the next event of these names, and its problem; others are thrown away."""
        while True:
            record = self._records.get(timeout=_LONGEST_WAIT)
            if record.getMessage() in names:
                return record.getMessage(), str(vars(record).get("problem", ""))


@dataclass
class Running:
    """A running service, as a client sees it."""

    place: Place
    addresses: Mapping[str, tuple[str, ...]]
    events: Events
    stopped: bool = field(default=False)

    def tls(self, issued: Issued | None = None) -> ssl.SSLContext:
        """Return a client that trusts the server, with a certificate."""
        context = ssl.create_default_context(cadata=world().root.pem)
        if issued is not None:
            path = self.place.folder / "client.pem"
            path.write_text(issued.bundle_pem + issued.key_pem)
            context.load_cert_chain(path)
        return context

    def get(self, listener: str, path: str, issued: Issued | None = None, **headers: str) -> httpx.Response:
        """Ask once, over TLS but for unix sockets and the front end `edge`."""
        (address,) = self.addresses[listener]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if address.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=address.removeprefix("unix:"))
            with httpx.Client(transport=transport) as client:
                return client.get(f"http://authsvc{path}", headers=named)
        scheme = "http" if listener == "edge" else "https"
        with httpx.Client(verify=self.tls(issued), timeout=_LONGEST_WAIT) as client:
            return client.get(f"{scheme}://{address}{path}", headers=named)

    def as_nginx(self, issued: Issued, path: str = READ_SALES) -> httpx.Response:
        """Ask as the web server nginx does about somebody's certificate."""
        certificate = escaped_pem(issued.der).decode()
        return self.get("nginx", path, X_SSL_Client_Cert=certificate, X_SSL_Client_Verify="SUCCESS")

    def version(self) -> str:
        """Return the policy version that answers."""
        return str(self.get("api", "/readyz").json()["policy_version"])

    def hang_up(self) -> str:
        """Send HUP; return what became of it."""
        os.kill(os.getpid(), signal.SIGHUP)
        event, problem = self.events.wait_for("reloaded", "reload_refused", "reload_failed")
        return f"{event}: {problem}" if problem else event

    def terminate(self) -> None:
        """Send TERM."""
        self.stopped = True
        os.kill(os.getpid(), signal.SIGTERM)


def run(place: Place, script: Callable[[Running], None]) -> None:
    """Serve a place, run a script beside it in a thread, and stop."""
    events, failures, threads = Events(), list[BaseException](), list[threading.Thread]()
    logger = logging.getLogger("authsvc")
    level = logger.level

    def ready(addresses: Mapping[str, tuple[str, ...]]) -> None:
        running = Running(place, addresses, events)

        def play() -> None:
            try:
                script(running)
            except BaseException as failure:  # noqa: BLE001 - raised again in the test's own thread
                failures.append(failure)
            finally:
                if not running.stopped:
                    running.terminate()

        threads.append(threading.Thread(target=play))
        threads[0].start()

    logger.addHandler(events)
    logger.setLevel(logging.INFO)
    try:
        serve(place.settings(), on_ready=ready)
        for thread in threads:
            thread.join(_LONGEST_WAIT)
    finally:
        logger.removeHandler(events)
        logger.setLevel(level)
    for failure in failures:
        raise failure
    assert open_files(place.folder) == []


def open_files(folder: Path) -> list[str]:
    """Return what this process has open in a folder, once old configurations have been closed."""
    for thread in threading.enumerate():
        if thread.name == "close-old-configuration":
            thread.join(_LONGEST_WAIT)
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:
            continue  # the listing itself was one
    return sorted(path for path in found if path.startswith(str(folder)))


# --- the listeners -----------------------------------------------------------------------------------------


def test_every_front_end_answers_in_its_dialect(place: Place) -> None:
    def script(running: Running) -> None:
        answers = {
            "nginx": running.as_nginx(PEOPLE["dave"]),
            "edge": running.get(
                "edge",
                READ_SALES,
                Client_Cert=byte_sequence(PEOPLE["dave"].der).decode(),
                X_Front_End_Secret=place.secret,
            ),
            "direct": running.get("direct", READ_SALES, PEOPLE["dave"]),
        }
        for name, answer in answers.items():
            assert (200, "Dave Lawson/Renovations") == (
                answer.status_code,
                answer.headers.get("remote-user"),
            ), name
        assert running.get("direct", READ_SALES, PEOPLE["eve"]).status_code == 403
        assert running.get("direct", READ_SALES).headers["auth-reason"] == "certificate_missing"
        assert ["nginx", "edge", "direct", "direct", "direct"] == [
            record["front_end"] for record in place.records()
        ]

    run(place, script)


def test_the_api_answers_administrators_over_tls(place: Place) -> None:
    def script(running: Running) -> None:
        body = {"certificate": PEOPLE["dave"].pem, "database": "sales.nsf"}
        (address,) = running.addresses["api"]
        found = {}
        for name in ("ada", "dave", None):
            issued = None if name is None else PEOPLE[name]
            with httpx.Client(verify=running.tls(issued)) as client:
                answer = client.post(f"https://{address}/v1/authorize", json=body)
            found[name] = (answer.status_code, answer.json()["reason"])
        assert {
            "ada": (200, "allowed"),
            "dave": (403, "acl_level"),
            None: (401, "certificate_missing"),
        } == found
        assert running.get("api", "/healthz").json() == {"status": "ok"}
        assert running.get("direct", "/healthz", PEOPLE["max"]).status_code == 404

    run(place, script)


def test_t9_a_certificate_header_that_is_too_large_is_unreadable_and_recorded(place: Place) -> None:
    def script(running: Running) -> None:
        for _ in range(2):
            answer = running.get("nginx", READ_SALES, X_SSL_Client_Cert="a" * LARGEST_HEAD_BYTES)
            assert (401, "certificate_unreadable") == (answer.status_code, answer.headers["auth-reason"])
            assert running.hang_up() == "reloaded"
        assert ["certificate_unreadable"] * 2 == [record["reason"] for record in place.records()]

    run(place, script)


def test_an_allow_that_cannot_be_recorded_is_503_store_unavailable(place: Place) -> None:
    """The disk is full. Refusals stay what they are; and the service is not ready."""
    place.configure(audit={"file": "/dev/full"})

    def script(running: Running) -> None:
        allow, refusal = running.as_nginx(PEOPLE["dave"]), running.as_nginx(PEOPLE["eve"])
        assert (503, "store_unavailable") == (allow.status_code, allow.headers["auth-reason"])
        assert "remote-user" not in allow.headers
        assert (403, "acl_level") == (refusal.status_code, refusal.headers["auth-reason"])
        assert running.get("api", "/readyz").status_code == 503

    run(place, script)


# --- reload ------------------------------------------------------------------------------------------------


def test_a_reload_puts_a_changed_configuration_in_force(place: Place) -> None:
    def script(running: Running) -> None:
        first = running.version()
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "not_authenticated"
        place.configure(expose_reasons=True)
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "not_authenticated"
        assert running.hang_up() == "reloaded"
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "no_entry"
        second = running.version()
        assert first != second
        assert [first, first, second] == [record["policy_version"] for record in place.records()]
        assert 1 == sum(path.endswith("audit.jsonl") for path in open_files(place.folder))

    run(place, script)


def test_t66_a_changed_acl_counts_without_a_reload(place: Place) -> None:
    def script(running: Running) -> None:
        assert running.as_nginx(PEOPLE["dave"]).status_code == 200
        place.put_database("sales.nsf", acl("Dave Lawson/Renovations", Level.NO_ACCESS))
        end = time.monotonic() + _LONGEST_WAIT
        while running.as_nginx(PEOPLE["dave"]).status_code == 200:
            assert time.monotonic() < end

    run(place, script)


def _unknown_key(place: Place) -> None:
    place.configure(surprise=True)


def _another_listener(place: Place) -> None:
    front_ends = place.configuration["front_ends"]
    assert isinstance(front_ends, list)
    more = {"name": "more", "dialect": "nginx", "listen": "unix:more.sock"}
    place.configure(front_ends=[*front_ends, more])


def _another_dialect(place: Place) -> None:
    front_ends = place.configuration["front_ends"]
    assert isinstance(front_ends, list)
    place.configure(front_ends=[front_ends[0] | {"dialect": "rfc9440"}, *front_ends[1:]])


def _another_web_server(place: Place) -> None:
    front_ends = place.configuration["front_ends"]
    assert isinstance(front_ends, list)
    tls = {"certificate": "server.pem", "key": "server.key"}
    named = front_ends[1] | {"client_name": "edge.example", "client_ca_file": "root.pem", "tls": tls}
    place.configure(front_ends=[front_ends[0], named, front_ends[2]])


def _no_anchor(place: Place) -> None:
    place.write("root.pem", "")


def _no_secret(place: Place) -> None:
    (place.folder / "edge.secret").write_text(" \n")


def _another_key(place: Place) -> None:
    place.write("server.key", PEOPLE["eve"].key_pem).chmod(0o600)


def _no_database(place: Place) -> None:
    place.write("not.db", "this is no database")
    place.configure_directories(primary={"domain": "Renovations", "url": "sqlite:///not.db"})


def _no_audit(place: Place) -> None:
    (place.folder / "folder").mkdir()
    place.configure(audit={"file": "folder"})


def _no_audit_file(place: Place) -> None:
    (place.folder / "audit.jsonl").mkdir()


def _no_file(place: Place) -> None:
    (place.folder / "authsvc.yaml").unlink()


BAD_RELOADS: list[tuple[Callable[[Place], None], str]] = [
    (_unknown_key, "surprise"),
    (_another_listener, "with a restart only"),
    (_another_dialect, "with a restart only"),
    (_another_web_server, "with a restart only"),
    (_no_anchor, "root.pem"),
    (_no_secret, "edge.secret"),
    (_another_key, "key values mismatch"),
    (_no_database, "not a database"),
    (_no_audit, "folder"),
    (_no_file, "authsvc.yaml"),
]


@pytest.mark.parametrize(
    ("damage", "why"), BAD_RELOADS, ids=[damage.__name__.strip("_") for damage, _ in BAD_RELOADS]
)
def test_t69_t70_a_bad_reload_keeps_the_old_configuration_and_says_why(
    place: Place, damage: Callable[[Place], None], why: str
) -> None:
    def script(running: Running) -> None:
        before = running.version()
        damage(place)
        outcome = running.hang_up()
        assert outcome.startswith("reload_refused: ")
        assert why in outcome
        assert "\n" not in outcome
        assert before == running.version()
        assert running.as_nginx(PEOPLE["dave"]).status_code == 200
        assert running.get("direct", READ_SALES, PEOPLE["dave"]).status_code == 200
        assert 1 == sum(path.endswith("audit.jsonl") for path in open_files(place.folder))

    run(place, script)


def test_after_a_bad_reload_a_good_one_counts(place: Place) -> None:
    def script(running: Running) -> None:
        _unknown_key(place)
        running.hang_up()
        del place.configuration["surprise"]
        place.configure(expose_reasons=True)
        assert running.hang_up() == "reloaded"
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "no_entry"

    run(place, script)


@pytest.mark.parametrize("damage", [lambda _place: None, _unknown_key], ids=["a good reload", "a bad one"])
def test_a_reload_begins_a_new_audit_file_where_the_old_one_was_moved_away(
    place: Place, damage: Callable[[Place], None]
) -> None:
    def script(running: Running) -> None:
        running.as_nginx(PEOPLE["dave"])
        (place.folder / "audit.jsonl").rename(place.folder / "audit.1")
        damage(place)
        running.hang_up()
        running.as_nginx(PEOPLE["eve"])
        assert ["acl_level"] == [record["reason"] for record in place.records()]

    run(place, script)


def test_a_bug_in_a_reload_keeps_the_old_configuration(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(running: Running) -> None:
        before = running.version()
        with monkeypatch.context() as patched:
            patched.setattr(serving, "_open_again", lambda *_given: 1 // 0)
            assert running.hang_up() == "reload_failed"
        assert before == running.version()
        assert running.hang_up() == "reloaded"

    run(place, script)


def test_a_reload_asked_for_during_a_reload_comes_after_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before the last HUP is in force in the end; requests are answered meanwhile."""
    opening, go_on, open_again = threading.Event(), threading.Event(), serving._open_again

    def slowly(*given: object) -> object:
        opening.set()
        fresh = open_again(*given)  # type: ignore[arg-type]  # as they come
        assert go_on.wait(_LONGEST_WAIT)
        return fresh

    def script(running: Running) -> None:
        monkeypatch.setattr(serving, "_open_again", slowly)
        os.kill(os.getpid(), signal.SIGHUP)
        assert opening.wait(_LONGEST_WAIT)
        place.configure(expose_reasons=True)
        os.kill(os.getpid(), signal.SIGHUP)
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "not_authenticated"
        go_on.set()
        for _ in range(2):
            assert running.events.wait_for("reloaded", "reload_refused") == ("reloaded", "")
        assert running.as_nginx(PEOPLE["norma"]).headers["auth-reason"] == "no_entry"

    run(place, script)


def test_a_reload_brings_a_renewed_server_certificate(place: Place) -> None:
    renewed = world().root.issue(
        "CN=renewed",
        san=[host("localhost"), host("127.0.0.1")],
        eku=(SERVER_AUTH,),
        not_before=BEGIN,
        not_after=END,
    )

    def script(running: Running) -> None:
        place.write("server.key", renewed.key_pem).chmod(0o600)
        place.write("server.pem", renewed.bundle_pem)
        assert running.hang_up() == "reloaded"
        for listener in ("api", "direct"):
            name, port = running.addresses[listener][0].split(":")
            with (
                socket.create_connection((name, int(port)), _LONGEST_WAIT) as plain,
                running.tls().wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                assert connection.getpeercert(binary_form=True) == renewed.der

    run(place, script)


def test_a_new_anchor_counts_in_the_handshake_too_without_a_reload(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_often(monkeypatch)
    root = Authority.root("CN=Second Root", now=NOW, not_before=BEGIN, not_after=END)
    stranger = root.issue("CN=Dave Lawson,O=Renovations", not_before=BEGIN, not_after=END)
    trust = place.configuration["trust"]
    assert isinstance(trust, dict)
    place.configure(trust=trust | {"revocation": {"mode": "off"}})

    def script(running: Running) -> None:
        with pytest.raises(httpx.TransportError):
            running.get("direct", READ_SALES, stranger)
        place.write("root.pem", world().root.pem + root.pem)
        running.events.wait_for("trust_changed")
        end = time.monotonic() + _LONGEST_WAIT
        while True:
            try:
                answer = running.get("direct", READ_SALES, stranger)
                break
            except httpx.TransportError:
                assert time.monotonic() < end
        assert (401, "not_authenticated") == (answer.status_code, answer.headers["auth-reason"])
        assert place.records()[-1]["reason"] == "certificate_differs"

    run(place, script)


def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files of trust be looked at every few milliseconds."""
    monkeypatch.setattr(TrustFiles, "start", partialmethod(TrustFiles.start, timedelta(milliseconds=20)))


def test_a_server_key_that_vanished_hinders_neither_handshakes_nor_decisions(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshake goes on with what it had; the withdrawn anchor counts for nothing all the same."""
    look_often(monkeypatch)
    other = Authority.root("CN=Second Root", now=NOW, not_before=BEGIN, not_after=END)

    def script(running: Running) -> None:
        (place.folder / "server.key").unlink()
        place.write("root.pem", other.pem)
        assert "server.key" in running.events.wait_for("tls_kept")[1]
        answer = running.get("direct", READ_SALES, PEOPLE["dave"])
        assert (401, "certificate_untrusted") == (answer.status_code, answer.headers["auth-reason"])

    run(place, script)


# --- requests under way ------------------------------------------------------------------------------------


@contextmanager
def half_asked(running: Running) -> Iterator[Callable[[], tuple[int, dict[str, object]]]]:
    """Begin a call whose body has not come; yield what sends it and returns the answer.

    `100 Continue` tells that the service has the request in hand.
    """
    body = json.dumps({"certificate": PEOPLE["dave"].pem}).encode()
    head = (
        "POST /v1/authenticate HTTP/1.1\r\nHost: authsvc\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    name, port = running.addresses["api"][0].split(":")
    with (
        socket.create_connection((name, int(port)), _LONGEST_WAIT) as plain,
        running.tls(PEOPLE["ada"]).wrap_socket(plain, server_hostname="localhost") as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(head.encode())
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert answer.readline() == b"\r\n"

        def finish() -> tuple[int, dict[str, object]]:
            connection.sendall(body)
            status = int(answer.readline().split()[1])
            while answer.readline() != b"\r\n":
                pass
            return status, json.loads(answer.read())

        yield finish


def test_t70_a_request_is_answered_by_the_configuration_it_came_under(place: Place) -> None:
    """The old one stays open until its last request is answered, and is closed then."""

    def script(running: Running) -> None:
        before = running.version()
        with half_asked(running) as finish:
            place.configure(expose_reasons=True)
            assert running.hang_up() == "reloaded"
            assert before != running.version()
            assert 2 == sum(path.endswith("audit.jsonl") for path in open_files(place.folder))
            status, document = finish()
        assert (200, "allowed", before) == (status, document["verdict"], document["policy_version"])
        assert running.version() != before  # answered after: the other request has left
        assert 1 == sum(path.endswith("audit.jsonl") for path in open_files(place.folder))

    run(place, script)


def test_term_lets_running_requests_end_and_accepts_no_more(place: Place) -> None:
    def script(running: Running) -> None:
        name, port = running.addresses["api"][0].split(":")
        with half_asked(running) as finish:
            running.terminate()
            end = time.monotonic() + _LONGEST_WAIT
            while True:
                assert time.monotonic() < end
                try:
                    socket.create_connection((name, int(port)), _LONGEST_WAIT).close()
                except ConnectionRefusedError:
                    break
                except ConnectionResetError:  # it was waiting to be accepted when the socket was closed
                    continue
            status, document = finish()
        assert (200, "allowed") == (status, document["verdict"])
        assert [record["reason"] for record in place.records()] == ["allowed_identity"]

    run(place, script)


# --- the start ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "error"),
    [(_another_key, ListenerError), (_no_anchor, TrustMaterialError), (_no_audit_file, AuditFault)],
    ids=["another key", "no anchor", "no audit file"],
)
def test_what_cannot_start_leaves_nothing_open(
    place: Place, damage: Callable[[Place], None], error: type[Exception]
) -> None:
    """A file that was in order when the configuration was read."""
    settings = place.settings()
    damage(place)
    with pytest.raises(error):
        serve(settings, on_ready=lambda _addresses: None)
    assert open_files(place.folder) == []


def test_a_port_that_is_taken_refuses_the_start_and_leaves_nothing_open(place: Place) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        front_ends = place.configuration["front_ends"]
        assert isinstance(front_ends, list)
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        place.configure(front_ends=[front_ends[0], front_ends[1] | {"listen": listen}])
        with pytest.raises(ListenerError, match="Address already in use"):
            serve(place.settings(), on_ready=lambda _addresses: None)
    assert open_files(place.folder) == []


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_secret_refuses_the_start(place: Place, text: str) -> None:
    """It would admit everybody who shows nothing."""
    settings = place.settings()
    (place.folder / "edge.secret").write_text(text)
    with pytest.raises(SecretUnreadable, match="expected a secret, found nothing"):
        serve(settings, on_ready=lambda _addresses: None)
    (place.folder / "edge.secret").unlink()
    with pytest.raises(SecretUnreadable, match="No such file"):
        serve(settings, on_ready=lambda _addresses: None)
    assert open_files(place.folder) == []
