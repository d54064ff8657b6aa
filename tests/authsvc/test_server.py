"""The listeners, started for real: sockets, TLS, limits, signals."""

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from authsvc.presented.registry import HandshakeCertificates
from authsvc.web.connection import (
    Connection,
    Receive,
    Scope,
    Send,
    connection_of,
    dns_names_of,
    is_oversized,
)
from authsvc.web.http_protocol import (
    LARGEST_HEAD_BYTES,
    MOST_HEADER_LINES,
    _presented_chain,
    _read_address,
)
from authsvc.web.server import Listener, Listeners
from authsvc.web.sockets import ListenerError
from authsvc.web.tls_contexts import ClientCertificates, TlsSettings
from tests.support.pki import NOW, SERVER_AUTH, Authority, Issued, KeyKind, host
from tests.support.serving import RawAnswer, client_context, run, say, serving, write_server_files

GET = b"GET /auth HTTP/1.1\r\nHost: authsvc\r\nConnection: close\r\n"
END = b"\r\n"


class Seen:
    """An application that keeps what it was asked, and answers 200."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send, /) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    @property
    def connections(self) -> list[Connection]:
        return [connection_of(scope) for scope in self.scopes]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: that of a unix socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="authsvc-") as name:
        yield Path(name)


def tcp(name: str = "tcp", **changed: object) -> Listener:
    return replace(Listener(name=name, address="127.0.0.1:0"), **changed)  # type: ignore[arg-type]  # deviations


def address_of(listeners: Listeners, name: str = "tcp") -> str:
    (address,) = listeners.addresses[name]
    return address


# --- who connected -----------------------------------------------------------------------------------------


def test_each_request_knows_its_listener_and_its_peer(folder: Path) -> None:
    """Two listeners, one application: the listener alone tells them apart."""

    async def main() -> None:
        seen = Seen()
        unix = Listener(name="nginx", address=f"unix:{folder}/nginx.sock")
        async with serving([unix, tcp("edge")], seen) as listeners:
            (address,) = listeners.addresses["edge"]
            assert (await say(f"unix:{folder}/nginx.sock", GET + END)).rest == b"ok"
            assert (await say(address, GET + END)).rest == b"ok"
        assert seen.connections == [
            Connection(listener="nginx", unix_socket=True),
            Connection(listener="edge", unix_socket=False, address=ip_address("127.0.0.1")),
        ]
        assert ["unix", "127.0.0.1"] == [connection.peer for connection in seen.connections]

    run(main)


def test_t85_no_header_changes_who_connected() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            forged = b"X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nForwarded: for=10.1.2.3\r\n"
            await say(address_of(listeners), GET + forged + END)
        assert [ip_address("127.0.0.1")] == [connection.address for connection in seen.connections]
        assert ["127.0.0.1"] == [scope["client"][0] for scope in seen.scopes]
        assert ["http"] == [scope["scheme"] for scope in seen.scopes]

    run(main)


def test_every_request_of_a_connection_has_the_same_facts() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            await say(address_of(listeners), GET.replace(b"Connection: close\r\n", b"") + END + GET + END)
        first, second = seen.connections
        assert first is second

    run(main)


def test_a_listener_on_a_name_listens_on_each_of_its_addresses() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([Listener(name="named", address="localhost:0")], seen) as listeners:
            for address in listeners.addresses["named"]:
                assert (await say(address.replace("[", "").replace("]", ""), GET + END)).status == 200

    run(main)


# --- limits of a request head ------------------------------------------------------------------------------


def padding(size: int) -> bytes:
    return b"X-Padding: " + b"a" * size + b"\r\n"


def test_t09_a_head_within_the_limit_is_read() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            head = GET + padding(LARGEST_HEAD_BYTES - len(GET) - 17) + END
            assert len(head) < LARGEST_HEAD_BYTES
            assert (await say(address_of(listeners), head)).status == 200

    run(main)


@pytest.mark.parametrize("size", [LARGEST_HEAD_BYTES * 3, 4_000_000])
def test_t09_an_oversized_head_is_drained_and_answered(size: int) -> None:
    """By its own application, which sees what was kept of the head; the connection then ends."""

    async def main() -> None:
        seen, oversized = Seen(), Seen()
        async with serving([tcp(oversized=oversized)], seen) as listeners:
            request = GET.replace(b"Connection: close\r\n", b"") + padding(size) + b"X-After: 1\r\n" + END
            answer = await say(address_of(listeners), request, GET + END)
            assert (200, b"ok", "close") == (answer.status, answer.rest, answer.value("Connection"))
        assert seen.scopes == []
        (scope,) = oversized.scopes
        assert is_oversized(scope)
        assert [b"host", b"x-padding"] == [name for name, _ in scope["headers"]]
        assert sum(len(value) for _, value in scope["headers"]) <= LARGEST_HEAD_BYTES

    run(main)


def test_t09_an_oversized_head_without_an_application_is_a_431() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            answer = await say(address_of(listeners), GET + padding(LARGEST_HEAD_BYTES * 3) + END)
        assert (431, "bad_request", "close") == (
            answer.status,
            answer.value("Auth-Reason"),
            answer.value("Connection"),
        )
        assert json.loads(answer.rest)["request_id"] == answer.value("X-Request-Id")
        assert seen.scopes == []

    run(main)


def test_t09_an_endless_head_is_cut() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await say(address_of(listeners), GET, *[b"X: " + b"a" * 1_000_000] * 20)
        assert seen.scopes == []

    run(main)


@pytest.mark.parametrize(("lines", "oversized"), [(MOST_HEADER_LINES, False), (MOST_HEADER_LINES + 1, True)])
def test_t09_header_lines_are_counted(lines: int, *, oversized: bool) -> None:
    async def main() -> None:
        seen, too_many = Seen(), Seen()
        async with serving([tcp(oversized=too_many)], seen) as listeners:
            fields = b"".join(b"X-%d: 1\r\n" % number for number in range(lines - 2))
            await say(address_of(listeners), GET + fields + END)
        assert (int(not oversized), int(oversized)) == (len(seen.scopes), len(too_many.scopes))
        assert len((seen.scopes + too_many.scopes)[0]["headers"]) == MOST_HEADER_LINES

    run(main)


def test_a_large_body_is_no_large_head() -> None:
    """Bytes after the head do not count, in whatever pieces they come, and nobody has to read them."""

    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            head = GET.replace(b"GET", b"POST").replace(b"Connection: close\r\n", b"")
            large = head + b"Content-Length: 1000000\r\n" + END + b"a" * 1_000_000
            answer = await say(address_of(listeners), large, large, GET + END)
            assert answer.status == 200
        assert ["POST", "POST", "GET"] == [scope["method"] for scope in seen.scopes]

    run(main)


def test_a_head_in_many_pieces_is_one_head() -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            pieces = [bytes([octet]) for octet in GET + END]
            assert (await say(address_of(listeners), *pieces)).status == 200

    run(main)


def test_a_slow_head_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the second one of a connection, and one that never begins."""
    monkeypatch.setattr("authsvc.web.http_protocol._HEAD_SECONDS", 0.05)

    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            for pieces in ((), (b"GET /auth HTTP/1.1\r\nHost:",)):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await say(address_of(listeners), *pieces)
        assert seen.scopes == []

    run(main)


def test_t04_fields_of_a_trailer_are_no_header_fields() -> None:
    """Uvicorn appends them to the list that the application reads."""

    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            head = GET.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n" + END
            await say(address_of(listeners), head + b"3\r\nabc\r\n0\r\nClient-Cert: ::\r\n" + END)
        (scope,) = seen.scopes
        assert [b"host", b"connection", b"transfer-encoding"] == [name for name, _ in scope["headers"]]

    run(main)


NOT_HTTP = {
    "a NUL in the path": b"GET /au\0th HTTP/1.1\r\nHost: a\r\n",
    "T10 a folded line": GET + b"Client-Cert: a\r\n\tb\r\n",
    "T10 a bare line feed": b"GET /auth HTTP/1.1\r\nHost: a\r\nClient-Cert: a\nX: b\r\n",
    "a space before the colon": GET + b"Client-Cert : a\r\n",
    "raw bytes in the path": b"GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n",
    "no path": b"GET http://a?database=public HTTP/1.1\r\nHost: a\r\n",
    "two lengths": GET + b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "a length and chunks": GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("request_", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_no_http_is_a_bad_request_with_an_id(request_: bytes) -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            answer = await say(address_of(listeners), request_ + END)
        assert (400, "bad_request", "private, no-store") == (
            answer.status,
            answer.value("Auth-Reason"),
            answer.value("Cache-Control"),
        )
        assert json.loads(answer.rest)["request_id"] == answer.value("X-Request-Id")
        assert seen.scopes == []

    run(main)


def test_an_upgrade_is_an_ordinary_request() -> None:
    """A web server may pass its client's `Upgrade` on."""

    async def main() -> None:
        seen = Seen()
        async with serving([tcp()], seen) as listeners:
            fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            head = b"GET /auth HTTP/1.1\r\nHost: a\r\n"
            name, _, port = address_of(listeners).rpartition(":")
            reader, writer = await asyncio.open_connection(name, int(port))
            writer.write(head + fields + END)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()

    run(main)


def test_an_answer_says_nothing_of_the_software() -> None:
    async def main() -> None:
        async with serving([tcp()], Seen()) as listeners:
            answer = await say(address_of(listeners), GET + END)
        assert answer.value("Server") is None

    run(main)


# --- sockets -----------------------------------------------------------------------------------------------


def test_a_unix_socket_is_for_owner_and_group_and_gone_afterwards(folder: Path) -> None:
    path = folder / "nginx.sock"

    async def main() -> None:
        async with serving([Listener(name="nginx", address=f"unix:{path}")], Seen()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660

    run(main)
    assert not path.exists()


def test_the_socket_file_of_a_dead_process_is_replaced(folder: Path) -> None:
    path = folder / "nginx.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()

    async def main() -> None:
        async with serving([Listener(name="nginx", address=f"unix:{path}")], Seen()):
            assert (await say(f"unix:{path}", GET + END)).status == 200

    run(main)


def test_a_socket_file_that_somebody_replaced_is_left_alone(folder: Path) -> None:
    path = folder / "nginx.sock"

    async def main() -> None:
        async with serving([Listener(name="nginx", address=f"unix:{path}")], Seen()):
            path.unlink()
            path.write_text("theirs")

    run(main)
    assert path.read_text() == "theirs"


def test_a_listener_that_cannot_open_leaves_none_open(folder: Path) -> None:
    (folder / "file").write_text("not a socket")
    good = Listener(name="good", address=f"unix:{folder}/good.sock")
    bad = Listener(name="bad", address=f"unix:{folder}/file")
    with pytest.raises(ListenerError, match=r"listener `bad` .* no socket"):
        Listeners([good, bad], Seen()).open()
    assert ["file"] == [path.name for path in folder.iterdir()]


def test_a_socket_in_use_is_not_taken_over(folder: Path) -> None:
    listener = Listener(name="nginx", address=f"unix:{folder}/nginx.sock")

    async def main() -> None:
        async with serving([listener], Seen()):
            with pytest.raises(ListenerError, match="another process listens there"):
                Listeners([listener], Seen()).open()
            assert (await say(listener.address, GET + END)).status == 200

    run(main)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenerError, match=f"listener `tcp` at `{address}`.*in use"):
            Listeners([tcp(address=address)], Seen()).open()


@pytest.mark.parametrize(
    "address", ["", "9443", ":9443", "localhost:", "localhost:x", "localhost:65536", "a:-1"]
)
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ListenerError, match="expected `host:port` or `unix:path`"):
        Listeners([tcp(address=address)], Seen()).open()


def test_a_socket_whose_folder_is_missing_is_named(folder: Path) -> None:
    listener = Listener(name="nginx", address=f"unix:{folder}/no/nginx.sock")
    with pytest.raises(ListenerError, match=r"listener `nginx`.*No such file"):
        Listeners([listener], Seen()).open()


def test_a_socket_file_that_is_gone_already_is_no_matter(folder: Path) -> None:
    listeners = Listeners([Listener(name="nginx", address=f"unix:{folder}/nginx.sock")], Seen())
    listeners.open()
    (folder / "nginx.sock").unlink()
    listeners.close()
    assert list(folder.iterdir()) == []


def test_a_socket_that_cannot_be_served_ends_all() -> None:
    async def main() -> None:
        listeners = Listeners([tcp("a"), tcp("b")], Seen())
        listeners.open()
        listeners._bound.of("b")[0].close()
        ready: list[bool] = []
        with pytest.raises(ListenerError, match="listening ended"):
            await listeners.serve(lambda: ready.append(True))
        assert ready == []

    run(main)


def test_listeners_may_be_served_outside_the_main_thread() -> None:
    """Signals are then somebody else's."""
    failures: list[BaseException] = []

    async def main() -> None:
        async with serving([tcp()], Seen()) as listeners:
            assert (await say(address_of(listeners), GET + END)).status == 200

    def guarded() -> None:
        try:
            run(main)
        except BaseException as failure:  # noqa: BLE001 - carried to the main thread
            failures.append(failure)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    assert failures == []


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ListenerError, match="listener `tcp`"):
        Listeners([tcp(address="[::zz]:0")], Seen()).open()


# --- signals -----------------------------------------------------------------------------------------------


class Holding(Seen):
    """Answers only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        self.entered.set()
        await self.release.wait()
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_lets_running_requests_end_and_takes_no_more(number: signal.Signals) -> None:
    async def main() -> None:
        holding = Holding()
        async with serving([tcp("a"), tcp("b")], holding) as listeners:
            (address,) = listeners.addresses["a"]
            running = asyncio.create_task(say(address, GET + END))
            await holding.entered.wait()
            os.kill(os.getpid(), number)
            await refused(address)
            holding.release.set()
            assert (await running).rest == b"ok"

    run(main)


async def refused(address: str) -> None:
    """Return as soon as an address takes no connection any more."""
    name, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(name, int(port))
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was in the queue of a socket that closed
            continue
        writer.close()


def test_hup_calls_for_a_reload_and_serves_on() -> None:
    async def main() -> None:
        reloaded = asyncio.Event()
        async with serving([tcp()], Seen(), on_reload=reloaded.set) as listeners:
            os.kill(os.getpid(), signal.SIGHUP)
            await reloaded.wait()
            assert (await say(address_of(listeners), GET + END)).status == 200

    run(main)


def test_a_second_term_cuts() -> None:
    async def main() -> None:
        holding = Holding()
        async with serving([tcp()], holding) as listeners:
            running = asyncio.create_task(say(address_of(listeners), GET + END))
            await holding.entered.wait()
            listeners.stop()
            listeners.stop()
            holding.release.set()
            await running

    run(main)


def test_handlers_are_gone_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        async with serving([tcp()], Seen()):
            pass

    run(main)
    assert signal.getsignal(signal.SIGTERM) == before


# --- TLS ---------------------------------------------------------------------------------------------------

# OpenSSL reads the wall clock itself, so these certificates are valid whenever the tests run.
SINCE, UNTIL = datetime(2001, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
CLIENTS = Authority.root("CN=Client CA", now=NOW, not_before=SINCE, not_after=UNTIL)
ISSUING = CLIENTS.issue_authority("CN=Client Issuing CA", not_before=SINCE, not_after=UNTIL)
OTHERS = Authority.root("CN=Other CA", now=NOW, not_before=SINCE, not_after=UNTIL)
SERVERS = Authority.root("CN=Server CA", now=NOW, not_before=SINCE, not_after=UNTIL)


def issue(authority: Authority = ISSUING, **changed: object) -> Issued:
    base: dict[str, object] = {"subject": "CN=Dave Lawson", "not_before": SINCE, "not_after": UNTIL}
    return authority.issue(**{**base, **changed})  # type: ignore[arg-type]  # a table of deviations


SERVER = issue(
    SERVERS, subject="CN=localhost", eku=(SERVER_AUTH,), san=[host("127.0.0.1"), host("localhost")]
)
DAVE = issue()


def tls_settings(folder: Path, **changed: object) -> TlsSettings:
    certificate, key = write_server_files(folder, SERVER)
    base = TlsSettings(
        certificate=certificate,
        key=key,
        client_certificates=ClientCertificates.OPTIONAL,
        authorities=(CLIENTS.der, ISSUING.der),
    )
    return replace(base, **changed)  # type: ignore[arg-type]  # a table of deviations


async def present(folder: Path, address: str, presented: Issued | None, *, chain: bool = False) -> RawAnswer:
    return await say(address, GET + END, tls=client_context(SERVERS, folder, presented, chain=chain))


def test_a_client_certificate_reaches_the_application(folder: Path) -> None:
    """With the chain, without the chain, and none at all."""

    async def main() -> None:
        seen = Seen()
        async with serving([tcp(tls=tls_settings(folder))], seen) as listeners:
            address = address_of(listeners)
            await present(folder, address, DAVE, chain=True)
            await present(folder, address, DAVE)
            await present(folder, address, None)
        assert [
            HandshakeCertificates(certificate=DAVE.der, chain=(ISSUING.der,)),
            HandshakeCertificates(certificate=DAVE.der),
            HandshakeCertificates(),
        ] == [connection.certificates for connection in seen.connections]
        assert ["https"] * 3 == [scope["scheme"] for scope in seen.scopes]

    run(main)


def test_a_client_may_bring_the_intermediate_that_we_lack(folder: Path) -> None:
    async def main() -> None:
        seen = Seen()
        settings = tls_settings(folder, authorities=(CLIENTS.der,))
        async with serving([tcp(tls=settings)], seen) as listeners:
            address = address_of(listeners)
            assert (await present(folder, address, DAVE, chain=True)).status == 200
            await handshake_refused(folder, address, DAVE)

    run(main)


async def handshake_refused(folder: Path, address: str, presented: Issued | None) -> None:
    """Fail unless the handshake ends the connection; in TLS 1.3 a client learns of it at its first read."""
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await present(folder, address, presented)


EXPIRED = datetime(2002, 1, 1, tzinfo=UTC)
REFUSED = {
    "expired": issue(not_after=EXPIRED),
    "not valid yet": issue(not_before=datetime(2098, 1, 1, tzinfo=UTC)),
    "foreign": issue(OTHERS),
    "foreign with a name of ours": issue(OTHERS, issuer_name="CN=Client Issuing CA"),
    "of a wrong usage": issue(eku=(SERVER_AUTH,)),
    "weak": issue(key=KeyKind.RSA_1024),
}


@pytest.mark.parametrize("presented", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_handshake_refuses_ends_there(folder: Path, presented: Issued) -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp(tls=tls_settings(folder))], seen) as listeners:
            address = address_of(listeners)
            await handshake_refused(folder, address, presented)
            assert (await present(folder, address, DAVE)).status == 200
        assert len(seen.scopes) == 1

    run(main)


def test_t29_without_authorities_every_certificate_is_refused(folder: Path) -> None:
    """Never the system's roots, never no check."""

    async def main() -> None:
        seen = Seen()
        async with serving([tcp(tls=tls_settings(folder, authorities=()))], seen) as listeners:
            address = address_of(listeners)
            await handshake_refused(folder, address, DAVE)
            assert (await present(folder, address, None)).status == 200

    run(main)


def test_a_required_certificate_is_required(folder: Path) -> None:
    async def main() -> None:
        seen = Seen()
        settings = tls_settings(folder, client_certificates=ClientCertificates.REQUIRED)
        async with serving([tcp(tls=settings)], seen) as listeners:
            address = address_of(listeners)
            await handshake_refused(folder, address, None)
            assert (await present(folder, address, DAVE)).status == 200

    run(main)


def test_a_certificate_that_nobody_asked_for_is_none(folder: Path) -> None:
    async def main() -> None:
        seen = Seen()
        settings = tls_settings(folder, client_certificates=ClientCertificates.IGNORED)
        async with serving([tcp(tls=settings)], seen) as listeners:
            await present(folder, address_of(listeners), DAVE)
        assert [HandshakeCertificates()] == [connection.certificates for connection in seen.connections]

    run(main)


def test_a_pinned_certificate_is_its_own_authority(folder: Path) -> None:
    async def main() -> None:
        pinned = issue(OTHERS)
        settings = tls_settings(folder, authorities=(pinned.der,))
        async with serving([tcp(tls=settings)], Seen()) as listeners:
            address = address_of(listeners)
            assert (await present(folder, address, pinned)).status == 200
            await handshake_refused(folder, address, issue(OTHERS))

    run(main)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_t08_no_session_ticket_is_issued(folder: Path, version: ssl.TLSVersion) -> None:
    """A resumed session would have lost the client's chain."""

    async def main() -> None:
        async with serving([tcp(tls=tls_settings(folder))], Seen()) as listeners:
            context = client_context(SERVERS, folder, DAVE)
            context.minimum_version = context.maximum_version = version
            name, _, port = address_of(listeners).rpartition(":")
            reader, writer = await asyncio.open_connection(name, int(port), ssl=context)
            writer.write(GET + END)
            await reader.readuntil(b"ok")
            session = writer.get_extra_info("ssl_object").session
            assert session is None or not session.has_ticket
            writer.close()

    run(main)


@pytest.mark.parametrize(
    ("version", "spoken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)]
)
def test_tls_begins_at_1_2(folder: Path, version: ssl.TLSVersion, *, spoken: bool) -> None:
    async def main() -> None:
        async with serving([tcp(tls=tls_settings(folder))], Seen()) as listeners:
            context = client_context(SERVERS, folder)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the old version, which is the point
                context.minimum_version = context.maximum_version = version
            if spoken:
                assert (await say(address_of(listeners), GET + END, tls=context)).status == 200
            else:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await say(address_of(listeners), GET + END, tls=context)

    run(main)


def test_material_is_replaced_for_the_next_handshake(folder: Path) -> None:
    """New anchors and a renewed server certificate, without closing the listener; a bad replacement changes nothing."""

    async def main() -> None:
        foreign = issue(OTHERS)
        settings = tls_settings(folder)
        async with serving([tcp(tls=settings)], Seen()) as listeners:
            address = address_of(listeners)
            await handshake_refused(folder, address, foreign)
            listeners.replace_tls("tcp", replace(settings, authorities=(OTHERS.der,)))
            assert (await present(folder, address, foreign)).status == 200
            await handshake_refused(folder, address, DAVE)
            settings.certificate.write_text("no certificate")
            with pytest.raises(ListenerError, match="listener `tcp`: certificate `"):
                listeners.replace_tls("tcp", settings)
            assert (await present(folder, address, foreign)).status == 200
            with pytest.raises(ListenerError, match="at the next start only"):
                listeners.replace_tls(
                    "tcp", replace(settings, client_certificates=ClientCertificates.IGNORED)
                )

    run(main)


BROKEN = {
    "no certificate": ("", SERVER.key_pem),
    "no key": (SERVER.pem, ""),
    "another's key": (SERVER.pem, DAVE.key_pem),
}


@pytest.mark.parametrize(("certificate", "key"), BROKEN.values(), ids=BROKEN.keys())
def test_material_that_cannot_be_used_stops_the_start(folder: Path, certificate: str, key: str) -> None:
    settings = tls_settings(folder)
    settings.certificate.write_text(certificate)
    settings.key.write_text(key)
    with pytest.raises(ListenerError, match=r"listener `tcp` at `127\.0\.0\.1:0`: certificate `"):
        Listeners([tcp(tls=settings)], Seen()).open()


def test_an_encrypted_key_is_an_error_and_no_question(folder: Path) -> None:
    settings = tls_settings(folder)
    encryption = serialization.BestAvailableEncryption(b"password")
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    settings.key.write_bytes(SERVER.key.private_bytes(encoding, kind, encryption))
    with pytest.raises(ListenerError):
        Listeners([tcp(tls=settings)], Seen()).open()


def test_authorities_that_are_none_stop_the_start(folder: Path) -> None:
    with pytest.raises(ListenerError, match="client authorities"):
        Listeners([tcp(tls=tls_settings(folder, authorities=(b"garbage",)))], Seen()).open()


def test_plain_http_on_a_tls_listener_is_no_request(folder: Path) -> None:
    async def main() -> None:
        seen = Seen()
        async with serving([tcp(tls=tls_settings(folder))], seen) as listeners:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await say(address_of(listeners), GET + END)
        assert seen.scopes == []

    run(main)


class PublicChain:
    """What `ssl.SSLObject` offers from Python 3.13 on."""

    def get_unverified_chain(self) -> list[bytes]:
        return [b"leaf", b"issuing"]


@pytest.mark.parametrize(("tls", "expected"), [(PublicChain(), (b"leaf", b"issuing")), (object(), ())])
def test_the_chain_is_read_where_python_offers_it(tls: object, expected: tuple[bytes, ...]) -> None:
    """And is empty where it does not: it is a hint."""
    assert expected == _presented_chain(tls)


def test_an_address_that_is_none_is_unknown() -> None:
    assert _read_address("nowhere") is None
    assert Connection(listener="a", unix_socket=False).peer == "unknown"


def test_names_of_a_certificate_are_its_dns_names() -> None:
    assert dns_names_of(SERVER.der) == ("localhost",)
    assert dns_names_of(DAVE.der) == ()
    assert dns_names_of(b"garbage") == ()
