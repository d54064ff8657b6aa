"""The sub-request route: the order in which a request is looked at, and what it is answered."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.access.databases import DatabaseTarget, IdentityTarget, RouteTable, read_requirement, read_route
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Verdict
from authsvc.operations.audit import AuditFault, DecisionRecord
from authsvc.original_request import OriginalRequest
from authsvc.presented.admission import FrontEndAdmission
from authsvc.presented.original_headers import DEFAULT_PARTS, OriginalKind, OriginalPart
from authsvc.presented.presentation import (
    NoCertificate,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.presented.registry import Dialect, HandshakeCertificates, PresentationReader
from authsvc.reason import Reason
from authsvc.web.auth import AuthEndpoint, AuthSettings, FrontEnd, TargetReader
from authsvc.web.connection import Connection
from authsvc.web.responses import IdentityHeader, Responses
from tests.support.asgi import UNIX, AsgiAnswer, Request, ask
from tests.support.pki import NOW, SERVER_AUTH, dns
from tests.support.presented import byte_sequence, escaped_pem, leaf, world
from tests.support.verdicts import VALID_UNTIL, allowed, denied, undecided

READER = read_requirement(level="reader")
SALES = DatabaseTarget(database="sales.nsf", requirement=READER)
PRESENTED = ((b"x-ssl-client-cert", escaped_pem(leaf())), (b"x-ssl-client-verify", b"SUCCESS"))
NOBODY = ((b"x-ssl-client-verify", b"NONE"),)
GOOD = Request(query=b"database=sales.nsf&level=reader", headers=PRESENTED)
ROUTES = RouteTable(routes=(read_route(path="/sales.nsf/**", database="sales.nsf"),))
EDGE = Connection(listener="edge", unix_socket=False, address=ip_address("10.1.2.3"))
DIRECT = Connection(
    listener="direct",
    unix_socket=False,
    address=ip_address("192.0.2.1"),
    certificates=HandshakeCertificates(certificate=leaf()),
)
IDENTITY_HEADERS = {name.value.lower() for name in IdentityHeader}


@dataclass
class Deciding:
    """Answers what the test says, and keeps what it was asked; cached unless the test says otherwise."""

    verdict: Verdict | Callable[[], Verdict] = field(default_factory=allowed)
    warm: bool = True
    requests: list[DecisionRequest] = field(default_factory=list)

    def cached(self, request: DecisionRequest) -> Verdict | None:
        return self._answer(request) if self.warm else None

    async def decide(self, request: DecisionRequest) -> Verdict:
        return self._answer(request)

    def _answer(self, request: DecisionRequest) -> Verdict:
        self.requests.append(request)
        return self.verdict() if callable(self.verdict) else self.verdict


@dataclass
class Recording:
    """Keeps records, or fails to."""

    records: list[DecisionRecord] = field(default_factory=list)
    full: bool = False

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)
        if self.full:
            raise AuditFault("audit file `audit.jsonl`: No space left on device")


def front_end(name: str, dialect: Dialect, **changed: object) -> FrontEnd:
    base: dict[str, object] = {
        "policy": FrontEndPolicy(name=name),
        "reader": PresentationReader(dialect),
        "admission": None if dialect is Dialect.TLS else FrontEndAdmission(),
    }
    return FrontEnd(**{**base, **changed})  # type: ignore[arg-type]  # a table of deviations


SECRET = FrontEndAdmission(peers=(ip_network("10.0.0.0/8"),), secret=b"s3cret")
SHOWN = (b"x-front-end-secret", b"s3cret")
FRONT_ENDS = {
    "nginx": front_end(
        "nginx",
        Dialect.NGINX,
        original_kind=OriginalKind.X_ORIGINAL,
        original_parts=DEFAULT_PARTS[OriginalKind.X_ORIGINAL],
    ),
    "edge": front_end("edge", Dialect.RFC9440, admission=SECRET),
    "direct": front_end("direct", Dialect.TLS),
    "envoy": front_end("envoy", Dialect.RFC9440, original_kind=OriginalKind.APPENDED),
}
ENVOY = replace(UNIX, listener="envoy")


@dataclass
class World:
    """An endpoint with its ports in sight."""

    deciding: Deciding = field(default_factory=Deciding)
    recording: Recording = field(default_factory=Recording)
    front_ends: dict[str, FrontEnd] = field(default_factory=lambda: dict(FRONT_ENDS))

    def __post_init__(self) -> None:
        settings = AuthSettings(
            front_ends=self.front_ends,
            targets=TargetReader(ROUTES),
            responses=Responses(),
            policy_version="7",
        )
        self.endpoint = AuthEndpoint(settings, self.deciding, self.recording, now=lambda: NOW)

    def ask(self, request: Request) -> AsgiAnswer:
        return ask(self.endpoint, request)


def refused(answer: AsgiAnswer) -> tuple[int, str | None]:
    """Return status and reason of an answer, which carries no identity."""
    assert not {name.decode() for name, _ in answer.headers} & IDENTITY_HEADERS
    assert answer.value("Cache-Control") == "private, no-store"
    return answer.status, answer.value("Auth-Reason")


# --- the way through ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [True, False], ids=["from the cache", "decided"])
def test_an_allowed_request_is_answered_with_the_identity(*, warm: bool) -> None:
    case = World(deciding=Deciding(warm=warm))
    answer = case.ask(GOOD)
    assert (200, b"") == (answer.status, answer.body)
    assert ("Dave Lawson/Renovations", "0") == (answer.value("Remote-User"), answer.value("Content-Length"))
    assert [
        DecisionRequest(
            presentation=PresentedCertificate(der=leaf()),
            front_end=FrontEndPolicy(name="nginx"),
            target=SALES,
            over_tls=None,
        )
    ] == case.deciding.requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND"])
def test_any_method_is_answered_without_reading_a_body(method: str) -> None:
    assert World().ask(replace(GOOD, method=method)).status == 200


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (denied(Reason.NO_ENTRY), (401, "not_authenticated")),
        (denied(Reason.CERTIFICATE_MISSING), (401, "certificate_missing")),
        (denied(Reason.ACL_LEVEL), (403, "acl_level")),
        (undecided(), (503, "directory_unavailable")),
    ],
)
def test_a_refusal_is_answered_with_its_reason(verdict: Verdict, expected: tuple[int, str]) -> None:
    assert expected == refused(World(deciding=Deciding(verdict=verdict)).ask(GOOD))


def test_a_person_at_a_browser_gets_a_page() -> None:
    case = World(deciding=Deciding(verdict=denied(Reason.ACL_LEVEL)))
    answer = case.ask(replace(GOOD, headers=(*PRESENTED, (b"accept", b"text/html,*/*;q=0.8"))))
    assert answer.value("Content-Type") == "text/html; charset=utf-8"
    assert (answer.value("X-Request-Id") or "?").encode() in answer.body


def test_the_request_id_is_always_ours() -> None:
    request = replace(GOOD, headers=(*PRESENTED, (b"x-request-id", b"theirs\x1b")))
    case = World()
    ids = {case.ask(request).value("X-Request-Id") for _ in range(3)}
    assert len(ids) == 3
    assert all(found is not None and len(found) == 24 for found in ids)
    assert {record.request_id for record in case.recording.records} == ids
    assert {record.caller_request_id for record in case.recording.records} == {"theirs\x1b"}


# --- step 1 and 2: who is calling --------------------------------------------------------------------------


def edge(*headers: tuple[bytes, bytes], connection: Connection = EDGE) -> Request:
    fields = ((b"client-cert", byte_sequence(leaf())), *headers)
    return replace(GOOD, headers=fields, connection=connection)


def test_an_admitted_caller_is_heard() -> None:
    assert World().ask(edge(SHOWN)).status == 200


STRANGERS = {
    "T01 no secret": edge(),
    "T01 another secret": edge((SHOWN[0], b"guess")),
    "T03 the secret twice": edge(SHOWN, SHOWN),
    "T85 another address": edge(
        SHOWN,
        (b"x-forwarded-for", b"10.1.2.3"),
        (b"x-real-ip", b"10.1.2.3"),
        (b"forwarded", b"for=10.1.2.3"),
        connection=replace(EDGE, address=ip_address("192.0.2.1")),
    ),
    "T01 another path": replace(edge(), path=b"/auth/x"),
    "T01 no such path": replace(edge(), path=b"/elsewhere"),
    "T01 an oversized head": replace(edge(), oversized=True),
    "T01 a bad request": replace(edge(), query=b"what=ever"),
}


@pytest.mark.parametrize("request_", STRANGERS.values(), ids=STRANGERS.keys())
def test_t01_a_stranger_is_no_front_end_before_anything_else(request_: Request) -> None:
    """403 and counted, whatever else is wrong; never a request without a certificate."""
    case = World()
    assert (403, "untrusted_front_end") == refused(case.ask(request_))
    assert case.deciding.requests == []
    assert case.endpoint.counts == {("edge", Reason.UNTRUSTED_FRONT_END): 1}
    assert [Reason.UNTRUSTED_FRONT_END] == [record.reason for record in case.recording.records]


def test_a_web_server_may_prove_itself_by_its_certificate() -> None:
    """Its name is taken from the handshake's certificate; that certificate is not its client's."""
    admission = FrontEndAdmission(client_name="edge.example")
    case = World(front_ends={"edge": front_end("edge", Dialect.RFC9440, admission=admission)})
    named = world().issuing.issue("CN=edge", san=[dns("edge.example")], eku=(SERVER_AUTH,)).der
    for certificate, expected in ((named, 200), (leaf(), 403), (b"no certificate", 403), (None, 403)):
        shaken = HandshakeCertificates(certificate=certificate)
        assert expected == case.ask(edge(connection=replace(EDGE, certificates=shaken))).status
    assert case.ask(edge()).status == 403
    assert [PresentedCertificate(der=leaf())] == [asked.presentation for asked in case.deciding.requests]


def test_t81_the_listener_alone_names_the_front_end() -> None:
    case = World()
    case.ask(replace(GOOD, headers=(*PRESENTED, (b"x-front-end", b"direct"))))
    assert [FrontEndPolicy(name="nginx")] == [asked.front_end for asked in case.deciding.requests]


def test_another_listener_has_no_such_path() -> None:
    """`/auth` is not served on the `api` listener."""
    assert (404, "bad_request") == refused(
        World().ask(replace(GOOD, connection=replace(UNIX, listener="api")))
    )


# --- step 3 and 4: path and head ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [b"/auth/", b"/auth/x", b"/authx", b"/", b"", b"/AUTH", b"/%61uth", b"//auth"]
)
def test_there_is_one_path(path: bytes) -> None:
    case = World()
    assert (404, "bad_request") == refused(case.ask(replace(GOOD, path=path)))
    assert case.deciding.requests == []


def test_t09_an_oversized_head_is_an_unreadable_certificate() -> None:
    case = World()
    assert (401, "certificate_unreadable") == refused(case.ask(replace(GOOD, oversized=True)))
    assert case.deciding.requests == []


# --- step 5 and 6: what is asked for -----------------------------------------------------------------------

BAD = {
    "an unknown parameter": replace(GOOD, query=b"database=sales.nsf&level=reader&front_end=direct"),
    "a repeated parameter": replace(GOOD, query=b"database=sales.nsf&database=public&level=reader"),
    "no requirement where the method is not the original one": replace(GOOD, query=b"database=sales.nsf"),
    "half an original request": replace(GOOD, headers=(*PRESENTED, (b"x-original-uri", b"/sales.nsf/x"))),
    "an original request twice": replace(
        GOOD, headers=(*PRESENTED, *(((b"x-original-uri", b"/sales.nsf/x"),) * 2), (b"x-original-method", b"GET"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD.keys())
def test_t88_a_mistake_of_the_caller_is_a_bad_request(request_: Request) -> None:
    case = World()
    answer = case.ask(request_)
    assert (400, "bad_request") == refused(answer)
    assert json.loads(answer.body)["detail"]
    assert case.deciding.requests == []
    assert [record.detail for record in case.recording.records] == [json.loads(answer.body)["detail"]]


def test_a_bad_request_goes_before_an_unreadable_certificate() -> None:
    request = replace(GOOD, query=b"what=ever", headers=((b"x-ssl-client-cert", b"garbage"),))
    assert (400, "bad_request") == refused(World().ask(request))


def original(uri: bytes = b"/sales.nsf/x?database=public", method: bytes = b"GET") -> Request:
    fields = (*PRESENTED, (b"x-original-uri", uri), (b"x-original-method", method))
    return Request(headers=fields)


def test_an_original_request_is_routed() -> None:
    case = World()
    case.ask(original())
    assert [SALES] == [asked.target for asked in case.deciding.requests]
    assert [OriginalRequest(method="GET", uri="/sales.nsf/x?database=public")] == [
        record.original for record in case.recording.records
    ]


def test_t88_a_path_without_a_route_is_no_question_about_identity() -> None:
    """The pipeline answers `database_unknown` after the identity."""
    case = World(deciding=Deciding(verdict=denied(Reason.DATABASE_UNKNOWN)))
    assert (403, "database_unknown") == refused(case.ask(original(b"/elsewhere")))
    assert not isinstance(case.deciding.requests[0].target, IdentityTarget | DatabaseTarget)


def test_identity_alone_is_asked_for_in_words() -> None:
    case = World()
    case.ask(replace(GOOD, query=b"identity=only"))
    assert [IdentityTarget()] == [asked.target for asked in case.deciding.requests]


# --- appended paths ----------------------------------------------------------------------------------------

ENVOY_REQUEST = Request(
    path=b"/auth/sales.nsf/x", headers=((b"client-cert", byte_sequence(leaf())),), connection=ENVOY
)


def test_an_appended_path_is_the_original_request() -> None:
    case = World()
    case.ask(replace(ENVOY_REQUEST, method="PUT"))
    assert [DatabaseTarget(database="sales.nsf", requirement=read_requirement(level="author"))] == [
        asked.target for asked in case.deciding.requests
    ]


@pytest.mark.parametrize("path", [b"/auth", b"/auth/elsewhere"])
@pytest.mark.parametrize("query", [b"database=public&level=reader", b"identity=only"])
def test_t81_a_query_behind_an_appended_path_is_not_ours(path: bytes, query: bytes) -> None:
    """Not even without a path, where a client's `:path` was a query alone."""
    case = World(deciding=Deciding(verdict=denied(Reason.DATABASE_UNKNOWN)))
    assert (403, "database_unknown") == refused(case.ask(replace(ENVOY_REQUEST, path=path, query=query)))
    assert not isinstance(case.deciding.requests[0].target, IdentityTarget | DatabaseTarget)


# --- step 7: what is presented -----------------------------------------------------------------------------

PRESENTATIONS = {
    "none": (NOBODY, NoCertificate),
    "unreadable": (((b"x-ssl-client-cert", b"garbage"), NOBODY[0]), UnreadableCertificate),
    "T02 of another dialect": ((*PRESENTED, (b"client-cert", byte_sequence(leaf()))), UnreadableCertificate),
    "T06 rejected": ((PRESENTED[0], (b"x-ssl-client-verify", b"FAILED:expired")), RejectedByFrontEnd),
}


@pytest.mark.parametrize(("headers", "kind"), PRESENTATIONS.values(), ids=PRESENTATIONS.keys())
def test_what_is_presented_reaches_the_decision(headers: tuple[tuple[bytes, bytes], ...], kind: type) -> None:
    case = World()
    case.ask(replace(GOOD, headers=headers))
    assert [kind] == [type(asked.presentation) for asked in case.deciding.requests]


def test_t13_identity_headers_of_a_request_are_not_read() -> None:
    """Nginx passes its client's headers on with the sub-request."""
    case = World()
    case.ask(GOOD)
    case.ask(replace(GOOD, headers=(*PRESENTED, (b"remote-user", b"Alan Jones/Renovations"))))
    assert case.deciding.requests[0] == case.deciding.requests[1]


# --- direct TLS --------------------------------------------------------------------------------------------


def test_a_direct_request_carries_its_own_method_and_came_over_tls() -> None:
    """`curl --cert … 'https://localhost:9443/auth?database=sales.nsf'` needs no requirement."""
    case = World()
    answer = case.ask(Request(query=b"database=sales.nsf", connection=DIRECT))
    assert answer.status == 200
    assert [
        DecisionRequest(
            presentation=PresentedCertificate(der=leaf()),
            front_end=FrontEndPolicy(name="direct"),
            target=SALES,
            over_tls=True,
        )
    ] == case.deciding.requests


def test_a_direct_request_without_a_database_matches_no_route() -> None:
    case = World(deciding=Deciding(verdict=denied(Reason.DATABASE_UNKNOWN)))
    assert (403, "database_unknown") == refused(case.ask(Request(connection=DIRECT)))


def test_t05_a_certificate_in_a_header_is_none_on_a_direct_listener() -> None:
    headers = ((b"client-cert", byte_sequence(leaf())),)
    case = World()
    case.ask(Request(query=b"database=sales.nsf", headers=headers, connection=DIRECT))
    assert [UnreadableCertificate] == [type(asked.presentation) for asked in case.deciding.requests]


def test_a_direct_listener_cannot_believe_words_about_another_request() -> None:
    with pytest.raises(AssertionError):
        front_end("direct", Dialect.TLS, original_kind=OriginalKind.X_ORIGINAL)


def test_t01_a_header_front_end_cannot_be_without_admission() -> None:
    with pytest.raises(AssertionError):
        front_end("edge", Dialect.RFC9440, admission=None)


# --- TLS of the original request ---------------------------------------------------------------------------

FORWARDED = front_end(
    "nginx", Dialect.NGINX, original_kind=OriginalKind.X_FORWARDED, original_parts=frozenset(OriginalPart)
)


def forwarded(proto: bytes, host: bytes = b"app.example:8080") -> Request:
    fields = {b"uri": b"/sales.nsf/x?y=%20", b"method": b"GET", b"host": host, b"proto": proto}
    return Request(headers=(*PRESENTED, *((b"x-forwarded-" + part, value) for part, value in fields.items())))


@pytest.mark.parametrize(("proto", "over_tls"), [(b"https", True), (b"http", False), (b"wss", True)])
def test_the_scheme_says_whether_the_request_came_over_tls(proto: bytes, *, over_tls: bool) -> None:
    case = World(front_ends={"nginx": FORWARDED})
    case.ask(forwarded(proto))
    assert [over_tls] == [asked.over_tls for asked in case.deciding.requests]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"app.example:8080", "https://app.example/sales.nsf/x?y=%20"),
        (b"app.example", "https://app.example/sales.nsf/x?y=%20"),
        (b"[2001:db8::1]:80", "https://[2001:db8::1]/sales.nsf/x?y=%20"),
    ],
)
def test_tls_required_says_where_to_go(host: bytes, expected: str) -> None:
    case = World(front_ends={"nginx": FORWARDED}, deciding=Deciding(verdict=denied(Reason.TLS_REQUIRED)))
    answer = case.ask(forwarded(b"http", host))
    assert (403, "tls_required") == refused(answer)
    assert expected == answer.value("Location") == json.loads(answer.body)["https_url"]


def test_without_a_host_nobody_knows_where_to_go() -> None:
    answer = World(deciding=Deciding(verdict=denied(Reason.TLS_REQUIRED))).ask(original())
    assert (403, None) == (answer.status, answer.value("Location"))


# --- step 9: record and answer -----------------------------------------------------------------------------


def test_a_record_says_what_was_asked_presented_and_answered() -> None:
    case = World()
    answer = case.ask(GOOD)
    assert [
        DecisionRecord(
            time=NOW,
            request_id=answer.value("X-Request-Id") or "",
            front_end="nginx",
            peer="unix",
            status=200,
            reason=Reason.ALLOWED,
            presentation=PresentedCertificate(der=leaf()),
            target=SALES,
            verdict=allowed(),
            policy_version="7",
        )
    ] == case.recording.records


def test_a_record_has_the_true_reason() -> None:
    case = World(deciding=Deciding(verdict=denied(Reason.ENTRY_DISABLED)))
    assert (401, "not_authenticated") == refused(case.ask(GOOD))
    assert [Reason.ENTRY_DISABLED] == [record.reason for record in case.recording.records]
    assert case.endpoint.counts == {("nginx", Reason.ENTRY_DISABLED): 1}


def test_an_allow_that_cannot_be_recorded_is_not_given() -> None:
    case = World(recording=Recording(full=True))
    assert (503, "store_unavailable") == refused(case.ask(GOOD))
    assert case.endpoint.counts == {("nginx", Reason.STORE_UNAVAILABLE): 1}


@pytest.mark.parametrize("verdict", [denied(Reason.ACL_LEVEL), undecided()], ids=["denied", "undecided"])
def test_a_refusal_that_cannot_be_recorded_stays_one(verdict: Verdict) -> None:
    case = World(recording=Recording(full=True), deciding=Deciding(verdict=verdict))
    assert (verdict.reason.status, verdict.reason.value) == refused(case.ask(GOOD))


def test_an_endpoint_may_keep_no_records() -> None:
    settings = World().endpoint.settings
    assert ask(AuthEndpoint(settings, Deciding(), None), GOOD).status == 200


# --- caching by the web server -----------------------------------------------------------------------------

CACHING = {"nginx": replace(FRONT_ENDS["nginx"], max_age_seconds=30)}


@pytest.mark.parametrize("verdict", [allowed(), denied(Reason.ACL_LEVEL)], ids=["allowed", "denied"])
def test_t16_an_answer_is_cached_where_the_front_end_says_so(verdict: Verdict) -> None:
    answer = World(front_ends=CACHING, deciding=Deciding(verdict=verdict)).ask(GOOD)
    assert answer.value("Cache-Control") == "private, max-age=30"
    assert answer.value("Vary") == "Accept, x-ssl-client-cert, x-ssl-client-verify"


def test_t16_no_answer_is_cached_past_its_verdict() -> None:
    verdict = replace(allowed(), valid_until=NOW + timedelta(seconds=7))
    answer = World(front_ends=CACHING, deciding=Deciding(verdict=verdict)).ask(GOOD)
    assert answer.value("Cache-Control") == "private, max-age=7"
    assert NOW + timedelta(seconds=60) == VALID_UNTIL


UNCACHED = {
    "undecided": (Deciding(verdict=undecided()), Recording(), GOOD),
    "a bad request": (Deciding(), Recording(), replace(GOOD, query=b"what=ever")),
    "an allow that could not be recorded": (Deciding(), Recording(full=True), GOOD),
}


@pytest.mark.parametrize(("deciding", "recording", "request_"), UNCACHED.values(), ids=UNCACHED.keys())
def test_t16_what_is_no_verdict_is_never_cached(
    deciding: Deciding, recording: Recording, request_: Request
) -> None:
    refused(World(front_ends=CACHING, deciding=deciding, recording=recording).ask(request_))


# --- bugs and readiness ------------------------------------------------------------------------------------


def test_t14_a_bug_is_a_500_without_an_identity(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> Verdict:
        raise ZeroDivisionError("a secret of the inside")

    answer = World(deciding=Deciding(verdict=bug)).ask(GOOD)
    assert (500, None) == refused(answer)
    assert answer.value("X-Request-Id") == json.loads(answer.body)["request_id"]
    assert b"inside" not in answer.body
    assert [("bug", answer.value("X-Request-Id"))] == [
        (record.message, getattr(record, "request_id", None)) for record in caplog.records
    ]


def test_t14_a_request_past_our_listeners_is_a_bug() -> None:
    scope = Request().scope()
    scope["state"] = {}
    request = replace(GOOD)

    class Stray(Request):
        def scope(self) -> dict[str, object]:
            return dict(scope)

    assert request != Stray()
    assert World().ask(Stray()).status == 500


def test_settings_may_be_replaced_between_requests() -> None:
    case = World()
    case.endpoint.settings = replace(case.endpoint.settings, front_ends={})
    assert case.ask(GOOD).status == 404


def test_large_questions_are_not_remembered() -> None:
    """Strangers choose paths: only short ones are kept ready."""
    reader = TargetReader(ROUTES)
    short = OriginalRequest(method="GET", uri="/sales.nsf/x")
    long = OriginalRequest(method="GET", uri="/sales.nsf/" + "x" * 2_000)
    for asked, same in ((short, True), (long, False)):
        first = reader.read(b"", asked, query_is_ours=True)
        assert same is (reader.read(b"", asked, query_is_ours=True) is first)
        assert first == SALES


FIELDS = st.tuples(
    st.sampled_from(
        [
            b"x-ssl-client-cert",
            b"x-ssl-client-verify",
            b"x-original-uri",
            b"x-original-method",
            b"accept",
            b"connection",
            b"x-request-id",
            b"client-cert",
            b"host",
            b"x_ssl_client_cert",
        ]
    ),
    st.binary(max_size=40),
)


@given(
    path=st.binary(max_size=20).map(lambda rest: b"/auth" + rest) | st.just(b"/auth"),
    query=st.binary(max_size=40) | st.just(b"database=sales.nsf&level=reader"),
    method=st.sampled_from(["GET", "POST", "M-SEARCH"]),
    headers=st.lists(FIELDS, max_size=5),
    connection=st.sampled_from([UNIX, EDGE, DIRECT, ENVOY]),
)
def test_t14_any_request_has_an_answer_of_the_contract(
    path: bytes, query: bytes, method: str, headers: list[tuple[bytes, bytes]], connection: Connection
) -> None:
    """No bytes make a 500; and without a certificate that the decision allows there is no 200."""
    case = World(deciding=Deciding(verdict=denied(Reason.NO_ENTRY)))
    request = Request(path=path, query=query, method=method, headers=tuple(headers), connection=connection)
    assert refused(case.ask(request)) in {
        (400, "bad_request"),
        (401, "not_authenticated"),
        (403, "untrusted_front_end"),
        (404, "bad_request"),
    }
