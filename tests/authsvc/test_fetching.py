"""Fetching over the network: who is called, for how long, and what counts as an answer."""

import io
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authsvc.operations.fetch_connections import resolve_addresses
from authsvc.operations.fetch_targets import find_address_problem
from authsvc.operations.fetching import Fetched, Fetcher, FetchFault, FetchPolicy, host_entry, read_url
from tests.support import ldap_wire
from tests.support.list_server import (
    Answer,
    ListServer,
    Request,
    body,
    server_context,
    serving_lists,
)
from tests.support.pki import NOW, Authority

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
LIST = b"the octets of a list"

SHORT = timedelta(milliseconds=400)
"""For exchanges that end by their deadline."""

SLACK = 5.0
"""Seconds within which an exchange of `SHORT` has ended, on a machine that does other things too."""


@pytest.fixture
def server() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


def policy_for(
    *servers: ListServer, timeout: timedelta = timedelta(seconds=10), maximum_octets: int = 100_000
) -> FetchPolicy:
    return FetchPolicy(
        hosts=frozenset(each.host for each in servers),
        private_networks=LOOPBACK,
        timeout=timeout,
        maximum_octets=maximum_octets,
    )


def at_loopback(_host: str, _port: int, _seconds: float) -> Sequence[str]:
    """Resolve every name to where the tests' servers are, without asking a name server."""
    return ["127.0.0.1"]


def get(url: str, policy: FetchPolicy, fetcher: Fetcher | None = None, **condition: str) -> bytes:
    into = io.BytesIO()
    (fetcher or Fetcher(resolve=at_loopback)).get(url, policy, into=into, **condition)
    return into.getvalue()


def refused(url: str, policy: FetchPolicy, fetcher: Fetcher | None = None) -> str:
    with pytest.raises(FetchFault) as caught:
        get(url, policy, fetcher)
    text = str(caught.value)
    assert "\n" not in text
    return text


# ------------------------------------------------------------------------------------------------ an answer


def test_what_a_url_names_is_fetched(server: ListServer) -> None:
    server.answers["/ca.crl?x=1"] = body(LIST, 'ETag: "7"', "Last-Modified: yesterday")
    into = io.BytesIO()
    fetched = Fetcher().get(server.url("/ca.crl?x=1"), policy_for(server), into=into)
    assert Fetched(octets=len(LIST), etag='"7"', last_modified="yesterday") == fetched
    assert LIST == into.getvalue()
    (request,) = server.requests
    assert ("GET", server.host, b"") == (request.method, request.headers["host"], request.body)


def test_a_list_that_is_unchanged_is_not_sent_again(server: ListServer) -> None:
    server.answers["/ca.crl"] = body(b"", status="304 Not Modified")
    into = io.BytesIO()
    fetched = Fetcher().get(
        server.url("/ca.crl"), policy_for(server), into=into, etag='"7"', last_modified="yesterday"
    )
    assert Fetched(octets=0, unchanged=True, etag='"7"', last_modified="yesterday") == fetched
    assert ('"7"', "yesterday") == (
        server.requests[0].headers["if-none-match"],
        server.requests[0].headers["if-modified-since"],
    )
    assert "expected status 200, found 304" in refused(server.url("/ca.crl"), policy_for(server))


def test_a_chunked_list_is_put_together(server: ListServer) -> None:
    server.answers["/ca.crl"] = _pieces(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"4\r\nthe \r\n",
        b"4\r\nlist\r\n",
        b"0\r\n\r\n",
    )
    assert b"the list" == get(server.url("/ca.crl"), policy_for(server))


def test_a_question_is_posted(server: ListServer) -> None:
    server.answers["/ocsp"] = body(b"an answer", "Content-Type: Application/OCSP-Response; x=y")
    fetcher = Fetcher()
    answer = fetcher.post(
        server.url("/ocsp"),
        b"a question",
        content_type="application/ocsp-request",
        accept="application/ocsp-response",
        policy=policy_for(server),
    )
    assert b"an answer" == answer
    (request,) = server.requests
    assert ("POST", b"a question", "application/ocsp-request") == (
        request.method,
        request.body,
        request.headers["content-type"],
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            body(b"hello", "Content-Type: text/html"),
            "expected `application/ocsp-response`, found `text/html`",
        ),
        (body(b"", "Location: /elsewhere", status="302 Found"), "expected an answer, found a redirect"),
        (body(b"", status="500 Broken"), "found 500 `Broken`"),
    ],
)
def test_an_answer_to_a_question_is_of_the_type_wanted(server: ListServer, answer: Answer, text: str) -> None:
    server.answers["/ocsp"] = answer
    with pytest.raises(FetchFault) as caught:
        Fetcher().post(
            server.url("/ocsp"),
            b"q",
            content_type="application/ocsp-request",
            accept="application/ocsp-response",
            policy=policy_for(server),
        )
    assert text in str(caught.value)


def test_a_question_is_not_posted_over_ldap(server: ListServer) -> None:
    with pytest.raises(FetchFault, match="expected http or https"):
        Fetcher().post(
            "ldap://localhost/cn=x", b"q", content_type="a/b", accept="a/b", policy=policy_for(server)
        )


# ----------------------------------------------------------------------------------------------- who is called


def test_t31_a_host_that_is_not_listed_is_not_even_looked_up(server: ListServer) -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int, _seconds: float) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    fetcher = Fetcher(resolve=resolve)
    listed = policy_for(server)
    for url in (
        f"http://internal:{server.port}/",
        f"http://localhost.:{server.port}/",
        "http://localhost/",
        f"http://localhost:{server.port}.example.com/",
        f"http://127.0.0.1:{server.port}/",
        f"ldap://localhost:{server.port + 1}/cn=x",
    ):
        refused(url, listed, fetcher)
    text = refused(f"http://internal:{server.port}/", listed, fetcher)
    assert f"`internal:{server.port}` is not among the hosts that may be called" in text
    assert ([], 0) == (asked, server.connections)
    assert "is not among the hosts" in refused(server.url("/"), FetchPolicy(hosts=frozenset()), fetcher)
    server.answers["/"] = body(LIST)
    assert LIST == get(f"http://LOCALHOST:{server.port}/", listed, fetcher)


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "not a public"),
        ("10.1.2.3", "not a public"),
        ("172.16.0.1", "not a public"),
        ("192.168.1.1", "not a public"),
        ("169.254.169.254", "not a public"),
        ("100.64.0.1", "not a public"),
        ("0.0.0.0", "not a public"),  # noqa: S104 - an address that is refused
        ("255.255.255.255", "not a public"),
        ("240.0.0.1", "not a public"),
        ("224.0.0.1", "multicast"),
        ("::1", "not a public"),
        ("::", "not a public"),
        ("fe80::1", "not a public"),
        ("fe80::1%1", "not a public"),
        ("fc00::1", "not a public"),
        ("fec0::1", "not a public"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "not a public"),
        ("::ffff:169.254.169.254", "not a public"),
        ("::ffff:224.0.0.1", "multicast"),
        ("2002:7f00:1::", "not a public"),
        ("64:ff9b::10.0.0.1", "not a public"),
        ("2001:db8::1", "not a public"),
    ],
)
def test_t31_an_address_that_is_not_public_is_not_called(address: str, word: str) -> None:
    assert word in find_address_problem(ipaddress.ip_address(address), ())
    text = refused(
        "http://crl.example.com/a.crl",
        FetchPolicy(hosts=frozenset({"crl.example.com"})),
        Fetcher(resolve=lambda _host, _port, _seconds: ["93.184.216.34", address]),
    )
    assert f"`crl.example.com` is at {ipaddress.ip_address(address)}, which is" in text
    assert word in text


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:21f::1", "64:ff9b::8.8.8.8"])
def test_a_public_address_is_called(address: str) -> None:
    assert "" == find_address_problem(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_an_address_of_a_listed_network_is_called(address: str) -> None:
    listed = ipaddress.ip_network("10.1.0.0/16")
    assert "" == find_address_problem(ipaddress.ip_address(address), (listed,))
    assert "" != find_address_problem(ipaddress.ip_address("10.2.0.1"), (listed,))


def test_t31_the_address_that_was_judged_is_the_one_that_is_called(server: ListServer) -> None:
    """A name server that answers otherwise the second time is not asked a second time."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    server.answers["/"] = body(LIST)
    fetcher = Fetcher(resolve=lambda _host, _port, _seconds: answers.pop(0))
    assert LIST == get(server.url("/"), policy_for(server), fetcher)
    assert [["10.0.0.1"]] == answers


def test_t31_no_proxy_of_the_environment_is_asked(
    server: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/"] = body(LIST)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:secret@127.0.0.1:1")
    assert LIST == get(server.url("/"), policy_for(server))
    assert not {"authorization", "proxy-authorization", "cookie"} & server.requests[0].headers.keys()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost/a",
        "file:///etc/passwd",
        "gopher://localhost/",
        "http:///a",
        "http://localhost:0/",
        "http://localhost:99999/",
        "http://user@localhost/",
        "http://user:secret@localhost/",
        "http://local\\host/",
        "http://localhost/a b",
        "http://localhost/a\r\nHost: x",
        "http://löcalhost/",
        "http://[::1/",
        "http://-x-/",
        "//localhost/",
        "",
        "http://localhost/" + "a" * 3000,
    ],
)
def test_t31_what_is_no_url_that_can_be_fetched_is_refused(url: str) -> None:
    with pytest.raises(FetchFault):
        read_url(url)


@pytest.mark.parametrize("text", ["crl.example.com", "CRL.example.com:8080", "10.0.0.1", "[::1]", "[::1]:80"])
def test_an_entry_of_a_list_of_hosts_is_read(text: str) -> None:
    assert text.lower() == host_entry(text)


@pytest.mark.parametrize(
    "text", ["", "*", "*.example.com", "http://a", "a/b", "a:0", "a:x", "a:99999", "::1", "a b", "a..b"]
)
def test_what_is_no_host_is_no_entry_of_a_list(text: str) -> None:
    with pytest.raises(ValueError, match="expected a host"):
        host_entry(text)


def test_a_host_without_an_address_is_a_fault() -> None:
    listed = FetchPolicy(hosts=frozenset({"nowhere.invalid"}), timeout=timedelta(seconds=5))
    assert "no address of `nowhere.invalid`" in refused("http://nowhere.invalid/", listed, Fetcher())
    nothing = Fetcher(resolve=lambda _host, _port, _seconds: [])
    assert "no address of `nowhere.invalid`" in refused("http://nowhere.invalid/", listed, nothing)


def test_a_name_server_that_is_silent_costs_no_more_than_the_time_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_host, **_type: done.wait(30) and [])
    with pytest.raises(FetchFault, match="no address of `slow"):
        resolve_addresses("slow.example.com", 80, 0.1)
    done.set()


# ------------------------------------------------------------------------------------------------- redirects


def test_a_redirect_to_the_same_host_is_followed(server: ListServer) -> None:
    server.answers["/old"] = body(b"", "Location: /new", status="301 Moved")
    server.answers["/new"] = body(LIST)
    assert LIST == get(server.url("/old"), policy_for(server))


def test_a_redirect_to_https_is_followed_where_that_is_listed(server: ListServer, tmp_path: Path) -> None:
    authority = Authority.root(now=datetime.now(UTC))
    (tmp_path / "ca.pem").write_text(authority.pem)
    with serving_lists(tls=server_context(authority.issue_server(), tmp_path)) as secure:
        server.answers["/"] = body(b"", f"Location: {secure.url('/')}", status="302 Found")
        secure.answers["/"] = body(LIST)
        fetcher = Fetcher(ca_file=tmp_path / "ca.pem", resolve=at_loopback)
        assert LIST == get(server.url("/"), policy_for(server, secure), fetcher)
        assert "is not among the hosts" in refused(server.url("/"), policy_for(server), fetcher)
        secure.answers["/"] = body(b"", f"Location: {server.url('/')}", status="302 Found")
        text = refused(secure.url("/"), policy_for(server, secure), fetcher)
        assert "expected no redirect to http" in text


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("http://evil.example.com/", "expected redirects to the same host only"),
        ("//evil.example.com/", "expected redirects to the same host only"),
        ("http://10.0.0.1/", "expected redirects to the same host only"),
        ("http://169.254.169.254/latest/meta-data/", "expected redirects to the same host only"),
        ("http://localhost:1/", "`localhost:1` is not among the hosts"),
        ("ftp://localhost/", "expected http, https, ldap or ldaps"),
        ("ldap://localhost/cn=x", "expected no redirect to ldap"),
        ("file:///etc/passwd", "expected http, https, ldap or ldaps"),
        ("http://a@localhost/", "without a user name"),
        ("", "nothing usable"),
        ("a" * 3000, "nothing usable"),
    ],
)
def test_t31_a_redirect_elsewhere_is_refused(server: ListServer, location: str, text: str) -> None:
    server.answers["/"] = body(LIST, f"Location: {location}", status="302 Found")
    assert text in refused(server.url("/"), policy_for(server))
    assert 1 == server.connections


def test_t31_a_redirect_is_judged_by_the_address_of_its_own_look_up(server: ListServer) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    server.answers["/"] = body(b"", "Location: /again", status="302 Found")
    fetcher = Fetcher(resolve=lambda _host, _port, _seconds: answers.pop(0))
    assert "`localhost` is at 10.0.0.1, which is not a public" in refused(
        server.url("/"), policy_for(server), fetcher
    )


def test_redirects_have_an_end(server: ListServer) -> None:
    server.answers["/"] = body(b"", "Location: /", status="302 Found")
    assert "expected at most 3 redirects, found more" in refused(server.url("/"), policy_for(server))
    assert 4 == server.connections


# ----------------------------------------------------------------------------------------------- time and size


def _pieces(*pieces: bytes) -> Answer:
    def answer(_request: Request, _server: ListServer) -> Iterator[bytes]:
        yield from pieces

    return answer


def _dripping(start: bytes, drop: bytes) -> Answer:
    """Begin, and go on with a drop every few milliseconds until the server ends."""

    def answer(_request: Request, server: ListServer) -> Iterator[bytes]:
        yield start
        while not server.ended.wait(0.02):
            yield drop

    return answer


def _hanging(start: bytes) -> Answer:
    def answer(_request: Request, server: ListServer) -> Iterator[bytes]:
        yield start
        server.ended.wait(60)
        yield b""

    return answer


_OK = b"HTTP/1.1 200 OK\r\n"

SLOW: dict[str, Answer] = {
    "nothing is ever said": _hanging(b""),
    "the status line drips": _dripping(b"", b"H"),
    "a header drips": _dripping(_OK + b"X: ", b"a"),
    "headers drip": _dripping(_OK, b"X: a\r\n"),
    "continue for ever": _dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the body drips": _dripping(_OK + b"Content-Length: 90000\r\n\r\n", b"a"),
    "the body hangs": _hanging(_OK + b"Content-Length: 90000\r\n\r\nabc"),
    "chunks drip": _dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "the size of a chunk drips": _dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "the end of the chunks drips": _dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n"),
    "the length of the body is not said": _dripping(_OK + b"\r\n", b"a"),
}


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in SLOW.items()])
def test_t33_whoever_answers_slowly_is_given_up_in_time(server: ListServer, answer: Answer) -> None:
    server.answers["/"] = answer
    began = time.monotonic()
    text = refused(server.url("/"), policy_for(server, timeout=SHORT))
    assert time.monotonic() - began < SLACK
    # Some of these reach a limit of Python's HTTP client first, which is as good.
    assert "expected the whole answer in time" in text or "expected an HTTP answer" in text


_BIG = b"a" * 4096

LARGE: dict[str, tuple[Answer, str]] = {
    "it is announced": (
        _pieces(_OK + b"Content-Length: 100001\r\n\r\n"),
        "too large: 100001 octets announced",
    ),
    "it is sent in one": (body(b"a" * 100_001), "too large: 100001 octets announced"),
    "chunks never end": (
        _dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
        "too large: more than 100000 octets",
    ),
    "tiny chunks never end": (
        _dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 20_000),
        "too large",
    ),
    "the length is not said": (_dripping(_OK + b"\r\n", _BIG * 16), "too large: more than 100000 octets"),
    "headers never end": (_dripping(_OK, b"X: a\r\n" * 100), "expected an HTTP answer"),
    "a header never ends": (_dripping(_OK + b"X: ", _BIG * 32), "expected an HTTP answer"),
    "continue for ever": (
        _dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000),
        "too large: more than 178036 octets were sent",
    ),
}


@pytest.mark.parametrize(("answer", "text"), [pytest.param(*case, id=name) for name, case in LARGE.items()])
def test_t33_what_is_too_large_is_a_fault_that_says_so(server: ListServer, answer: Answer, text: str) -> None:
    server.answers["/"] = answer
    assert text in refused(server.url("/"), policy_for(server))


def test_what_is_as_large_as_allowed_is_fetched(server: ListServer) -> None:
    server.answers["/"] = body(b"a" * 100_000)
    assert 100_000 == len(get(server.url("/"), policy_for(server)))


CUT_OFF: dict[str, tuple[Answer, str]] = {
    "it is shorter than announced": (
        _pieces(_OK + b"Content-Length: 10\r\n\r\nabc"),
        "expected 10 octets, found 3",
    ),
    "a chunk is cut off": (
        _pieces(_OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        "cut off after 2 octets",
    ),
    "the last chunk is missing": (
        _pieces(_OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
        "cut off after 2 octets",
    ),
    "no status line": (_pieces(b"220 mail.example.com ESMTP\r\n\r\n"), "expected an HTTP answer"),
    "nothing": (_pieces(), "expected an HTTP answer"),
    "it is compressed": (body(LIST, "Content-Encoding: gzip"), "expected no content encoding, found `gzip`"),
    "only a part": (body(LIST, status="206 Partial Content"), "expected status 200, found 206"),
    "nothing to say": (body(b"", status="204 No Content"), "expected status 200, found 204"),
    "an error page": (body(LIST, status="404 Not\x1bFound"), "found 404 `Not\\x1bFound`"),
}


@pytest.mark.parametrize(("answer", "text"), [pytest.param(*case, id=name) for name, case in CUT_OFF.items()])
def test_half_an_answer_is_none(server: ListServer, answer: Answer, text: str) -> None:
    server.answers["/"] = answer
    assert text in refused(server.url("/"), policy_for(server))


def test_who_refuses_to_connect_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    listed = FetchPolicy(hosts=frozenset({f"localhost:{port}"}), private_networks=LOOPBACK)
    assert "cannot be connected to: 127.0.0.1: Connection refused" in refused(
        f"http://localhost:{port}/", listed
    )


# ------------------------------------------------------------------------------------------------------- TLS


def test_a_tls_server_is_verified_by_the_authorities_configured(tmp_path: Path) -> None:
    authority, other = (
        Authority.root(now=datetime.now(UTC)),
        Authority.root("CN=Other Root,O=Elsewhere", now=datetime.now(UTC)),
    )
    (tmp_path / "ca.pem").write_text(authority.pem)
    (tmp_path / "other.pem").write_text(other.pem)
    with serving_lists(tls=server_context(authority.issue_server(), tmp_path)) as secure:
        secure.answers["/"] = body(LIST)
        url, listed = secure.url("/"), policy_for(secure)
        good = Fetcher(ca_file=tmp_path / "ca.pem", resolve=at_loopback)
        assert LIST == get(url, listed, good)
        foreign = Fetcher(ca_file=tmp_path / "other.pem", resolve=at_loopback)
        for fetcher in (foreign, Fetcher(resolve=at_loopback)):
            assert "the server's certificate is not accepted" in refused(url, listed, fetcher)
        missing = Fetcher(ca_file=tmp_path / "missing.pem", resolve=at_loopback)
        assert "expected authorities (PEM)" in refused(url, listed, missing)
        assert 1 == len(secure.requests)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda authority: authority.issue_server("crl.example.com"),
        lambda authority: authority.issue_server(
            not_after=NOW.replace(year=2021), not_before=NOW.replace(year=2020)
        ),
    ],
    ids=["of another host", "expired"],
)
def test_t31_a_wrong_tls_certificate_is_refused(tmp_path: Path, wrong: Callable[[Authority], object]) -> None:
    authority = Authority.root(now=datetime.now(UTC))
    (tmp_path / "ca.pem").write_text(authority.pem)
    issued = wrong(authority)
    with serving_lists(tls=server_context(issued, tmp_path)) as secure:  # type: ignore[arg-type]  # made by the case
        secure.answers["/"] = body(LIST)
        fetcher = Fetcher(ca_file=tmp_path / "ca.pem", resolve=at_loopback)
        assert "the server's certificate is not accepted" in refused(
            secure.url("/"), policy_for(secure), fetcher
        )


def test_a_server_that_speaks_no_tls_is_a_fault(server: ListServer) -> None:
    url = server.url("/").replace("http:", "https:")
    text = refused(url, policy_for(server, timeout=SHORT))
    assert "no TLS" in text


# ------------------------------------------------------------------------------------------------------- LDAP


def _ldap_policy(uri: str, *, maximum_octets: int = 100_000, timeout: timedelta = SHORT * 10) -> FetchPolicy:
    return FetchPolicy(
        hosts=frozenset({uri.removeprefix("ldap://")}),
        private_networks=LOOPBACK,
        timeout=timeout,
        maximum_octets=maximum_octets,
    )


DN = "cn=Renovations%20CA,o=Renovations"


def test_a_list_is_fetched_from_an_ldap_server() -> None:
    def script(message_id: int) -> Iterator[bytes]:
        yield ldap_wire.entry(message_id, "cn=x", **{"certificateRevocationList;binary": [LIST]})
        yield ldap_wire.search_done(message_id)

    with ldap_wire.serving(script) as uri:
        for query in (
            "",
            "?certificateRevocationList;binary",
            "?certificateRevocationList?base?objectClass=cRLDistributionPoint",
            "?authorityRevocationList;binary,certificateRevocationList;binary?sub?(objectClass=*)",
        ):
            assert LIST == get(f"{uri}/{DN}{query}", _ldap_policy(uri))


@pytest.mark.parametrize(
    "query",
    [
        "?userPassword",
        "?certificateRevocationList,userPassword",
        "?certificateRevocationList?one",
        "?certificateRevocationList?base?(|(a=b)(c=d))",
        "?certificateRevocationList?base?(a=b",
        "?certificateRevocationList?base?a b=c",
        "?certificateRevocationList?base?(a=b)?!bindname=cn=x",
        "?certificateRevocationList?base?(a=b)?x?y",
    ],
)
def test_t32_an_ldap_url_asks_for_a_list_and_for_nothing_else(query: str) -> None:
    refused(f"ldap://localhost/{DN}{query}", FetchPolicy(hosts=frozenset({"localhost"})))
    refused("ldap://localhost/", FetchPolicy(hosts=frozenset({"localhost"})))


LDAP_FAULTS: dict[str, tuple[Callable[[int], list[bytes]], str]] = {
    "no entry": (lambda i: [ldap_wire.search_done(i, 32)], "expected an entry of this name, found none"),
    "no value": (
        lambda i: [ldap_wire.entry(i, "cn=x", cn=["x"]), ldap_wire.search_done(i)],
        "expected exactly one value of `certificateRevocationList;binary`, found none",
    ),
    "two values": (
        lambda i: [
            ldap_wire.entry(i, "cn=x", **{"certificateRevocationList;binary": [LIST, LIST + b"2"]}),
            ldap_wire.search_done(i),
        ],
        "expected exactly one value of `certificateRevocationList;binary`, found 2",
    ),
    "two entries": (
        lambda i: [
            ldap_wire.entry(i, "cn=x", **{"certificateRevocationList;binary": [LIST]}),
            ldap_wire.entry(i, "cn=y", **{"certificateRevocationList;binary": [LIST]}),
            ldap_wire.search_done(i, 4),
        ],
        "found result 4",
    ),
    "a reference": (
        lambda i: [ldap_wire.reference(i, "ldap://evil.example.com/"), ldap_wire.search_done(i)],
        "found a referral, which is not followed",
    ),
    "a referral": (lambda i: [ldap_wire.search_done(i, 10)], "found a referral, which is not followed"),
    "another answer": (lambda i: [ldap_wire.search_done(i + 1)], "found that to 3"),
    "a bind again": (lambda i: [ldap_wire.bind_done(i)], "found tag 0x61"),
    "no LDAP": (lambda _i: [b"HTTP/1.1 400 Bad Request\r\n"], "expected LDAP messages"),
    "a list of 200 KB": (
        lambda i: [ldap_wire.entry(i, "cn=x", **{"certificateRevocationList;binary": [b"a" * 200_000]})],
        "too large",
    ),
    "a list of one octet too many": (
        lambda i: [
            ldap_wire.entry(i, "cn=x", **{"certificateRevocationList;binary": [b"a" * 100_001]}),
            ldap_wire.search_done(i),
        ],
        "too large: 100001 octets, 100000 allowed",
    ),
    "nothing": (lambda _i: [], "expected the whole answer in time"),
    "a few octets": (lambda i: [ldap_wire.search_done(i)[:5]], "expected the whole answer in time"),
}


@pytest.mark.parametrize(
    ("script", "text"), [pytest.param(*case, id=name) for name, case in LDAP_FAULTS.items()]
)
def test_an_ldap_server_that_does_not_answer_with_one_list_is_a_fault(
    script: Callable[[int], list[bytes]], text: str
) -> None:
    with ldap_wire.serving(lambda message_id: iter(script(message_id))) as uri:
        assert text in refused(f"{uri}/{DN}", _ldap_policy(uri, timeout=SHORT))


def test_t32_the_bind_of_a_fetch_is_anonymous_and_nothing_of_ours_is_sent() -> None:
    """An attacker's server sees an empty name and an empty password."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def attack() -> None:
            connection, _address = listener.accept()
            with connection:
                received.append(connection.recv(4096))
                connection.sendall(ldap_wire.bind_done(1, 49))
                received.append(connection.recv(4096))

        attacker = threading.Thread(target=attack)
        attacker.start()
        uri = f"ldap://localhost:{listener.getsockname()[1]}"
        text = refused(f"{uri}/{DN}", _ldap_policy(uri))
        attacker.join(10)
    assert "expected an anonymous bind, found result 49" in text
    assert [bytes.fromhex("300c020101600702010304008000"), b""] == received


def _hang_up(listener: socket.socket) -> None:
    connection, _address = listener.accept()
    connection.close()


def test_an_ldap_server_that_hangs_up_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        hanging_up = threading.Thread(target=_hang_up, args=(listener,))
        hanging_up.start()
        uri = f"ldap://localhost:{listener.getsockname()[1]}"
        text = refused(f"{uri}/{DN}", _ldap_policy(uri))
        hanging_up.join(10)
    assert "expected an answer, found the end" in text or "the connection broke" in text
