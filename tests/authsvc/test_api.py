"""The JSON API: who may call it, what it answers, and that no body in the world makes it answer anything else."""

import asyncio
import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.access.levels import Level
from authsvc.decision.verdict import Allowed, Denied
from authsvc.operations.service import Service
from authsvc.presented.registry import HandshakeCertificates
from authsvc.reason import HIDDEN_REASON, Reason
from authsvc.store.bootstrap import create_token
from authsvc.store.certificates import CertificateRecord
from authsvc.store.people import create_person
from authsvc.web.api import callers
from authsvc.web.api.documents import write_verdict
from authsvc.web.app import create_app
from authsvc.web.connection import Receive, Scope, Send
from authsvc.web.serving import _InForce
from tests.support.api import API, EDGE, HANGS, Call, Reply, by, reply_to, send_call
from tests.support.pki import SERVER_AUTH, Issued
from tests.support.presented import byte_sequence
from tests.support.service import (
    BEGIN,
    NOW,
    Place,
    acl,
    lay_place,
    serving_service,
    world,
)
from tests.support.store import changing, person
from tests.support.verdicts import IDENTITY, denied
from tests.support.verdicts import allowed as allowed_verdict

PEOPLE = world().people
DAVE, ADA, MAX, EVE, NORMA = (PEOPLE[name] for name in ("dave", "ada", "max", "eve", "norma"))
BY_ADA = by(ADA)
JSON = (b"content-type", b"application/json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Api"]:
    """A service that tests leave as they found it, but for its audit file."""
    place = lay_place(tmp_path_factory.mktemp("shared"))
    with serving_service(place) as service:
        yield Api(place, service)


@pytest.fixture
def own(tmp_path: Path) -> Iterator["Api"]:
    """A service of the test's own."""
    place = lay_place(tmp_path)
    with serving_service(place) as service:
        yield Api(place, service)


class Api:
    """A service with what answers for it."""

    def __init__(self, place: Place, service: Service) -> None:
        self.place = place
        self.service = service
        self.in_force = _InForce(service)

    def send(self, call: Call) -> Reply:
        """Send a call; whatever comes back has what all answers have."""
        reply = send_call(self.in_force.answer, call)
        assert re.fullmatch("[0-9a-f]{24}", reply.value("X-Request-Id") or "")
        assert reply.value("Cache-Control") == "private, no-store"
        assert not [name for name, _ in reply.headers if name.startswith(b"remote-")]
        return reply

    def token(self) -> str:
        """Make a bootstrap token."""
        path = self.place.folder / "token"
        with self.place.store() as engine:
            create_token(engine, path, actor="local:test", now=NOW)
        return path.read_text().strip()

    def record(self, reply: Reply) -> dict[str, object]:
        """Return the audit record of an answer."""
        wanted = reply.value("X-Request-Id")
        (found,) = [each for each in self.place.records() if each["request_id"] == wanted]
        return found


def body_of(issued: Issued, **more: object) -> dict[str, object]:
    return {"certificate": issued.pem, **more}


def authenticate(issued: Issued = DAVE, **call: object) -> Call:
    return Call(**({"body": body_of(issued), "connection": BY_ADA} | call))  # type: ignore[arg-type]  # deviations


def authorize(issued: Issued = DAVE, database: str = "sales.nsf", **more: object) -> Call:
    body = body_of(issued, database=database, **more)
    return Call(path="/v1/authorize", body=body, connection=BY_ADA)


def explain(issued: Issued = DAVE, **more: object) -> Call:
    return Call(path="/v1/explain", body=body_of(issued, **more), connection=BY_ADA)


def problem(reply: Reply) -> tuple[int, str]:
    """Return status and reason of a problem document, which is whole."""
    assert reply.value("Content-Type") == "application/problem+json"
    document = reply.document
    assert set(document) == {"type", "title", "status", "detail", "reason", "request_id"}
    assert reply.status == document["status"]
    assert reply.value("X-Request-Id") == document["request_id"]
    assert reply.value("Auth-Reason") == document["reason"]
    assert f"urn:authsvc:reason:{document['reason']}" == document["type"]
    assert (reply.value("WWW-Authenticate") is not None) is (reply.status == 401)
    assert (reply.value("Retry-After") is not None) is (reply.status == 503)
    return reply.status, str(document["reason"])


def verdict(reply: Reply) -> tuple[int, str, str]:
    """Return status, verdict and reason of a verdict document; the status is the reason's."""
    assert reply.value("Content-Type") == "application/json"
    document = reply.document
    assert reply.value("X-Request-Id") == document["request_id"]
    assert reply.value("Auth-Reason") == document["reason"]
    assert (reply.status == 200) is (document["verdict"] == "allowed")
    assert (reply.value("WWW-Authenticate") is not None) is (reply.status == 401)
    assert (reply.value("Retry-After") is not None) is (reply.status == 503)
    return reply.status, document["verdict"], document["reason"]


# --- answers -----------------------------------------------------------------------------------------------


def test_authenticate_tells_who_it_is_and_what_that_rests_on(shared: Api) -> None:
    reply = shared.send(authenticate())
    assert (200, "allowed", "allowed_identity") == verdict(reply)
    document = reply.document
    assert {
        "name": "Dave Lawson/Renovations",
        "dn": "CN=Dave Lawson,O=Renovations",
        "domain": "Renovations",
        "directory": "primary",
        "method": "client-certificate",
        "mail": "dave@renovations.example",
        "display_name": "Dave Lawson",
        "aliases": [],
        "groups": [],
        "found_by": "certificate",
        "bound_by": "certificate",
        "strength": "strong",
    } == document["identity"]
    assert document["access"] is None
    assert document["certificate"]["sha256"] == hashlib.sha256(DAVE.der).hexdigest()
    assert document["evidence"]["trust_anchor"] == "corp"
    evidence = document["evidence"]["revocation"]
    assert ("good", "crl") == (evidence["status"], evidence["source"])
    assert evidence["age_seconds"] == (NOW - BEGIN).total_seconds()
    assert ("require", False) == (evidence["policy"], evidence["grace_used"])
    assert (60, shared.service.version) == (document["expires_in"], document["policy_version"])
    assert document["trace"] is None


def test_authorize_tells_what_they_may_do(shared: Api) -> None:
    reply = shared.send(authorize(requirement={"level": "Reader", "roles": ["Buyer"]}))
    assert (200, "allowed", "allowed") == verdict(reply)
    assert {
        "database": "sales.nsf",
        "level": "Reader",
        "privileges": ["read_public_documents"],
        "roles": ["Buyer"],
        "decided_by": "explicit",
        "entries": ["Dave Lawson/Renovations"],
    } == reply.document["access"]


REQUIREMENTS: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({}, (200, "allowed")),
    ({"requirement": {}}, (200, "allowed")),
    ({"requirement": {"level": "reader"}}, (200, "allowed")),
    ({"requirement": {"level": "Author"}}, (403, "acl_level")),
    ({"requirement": {"privileges": ["delete_documents"]}}, (403, "acl_privilege")),
    ({"requirement": {"roles": ["Approver"]}}, (403, "acl_role")),
    ({"database": "SALES.NSF"}, (200, "allowed")),
    ({"database": "elsewhere"}, (403, "database_unknown")),
    ({"database": "a/../sales.nsf"}, (403, "database_unknown")),
    ({"database": "\ud800"}, (403, "database_unknown")),
]


@pytest.mark.parametrize(("more", "expected"), REQUIREMENTS, ids=[str(more) for more, _ in REQUIREMENTS])
def test_every_requirement_must_hold(shared: Api, more: dict[str, object], expected: tuple[int, str]) -> None:
    reply = shared.send(authorize(**more))  # type: ignore[arg-type]  # deviations
    assert expected == (reply.status, reply.document["reason"])


def test_a_refused_identity_is_told_with_its_access(shared: Api) -> None:
    reply = shared.send(authorize(EVE))
    assert (403, "denied", "acl_level") == verdict(reply)
    assert reply.document["identity"]["name"] == "Eve Everybody/Renovations"
    assert reply.document["access"]["level"] == "No Access"
    assert reply.document["detail"] is not None


@pytest.mark.parametrize(
    ("given", "expose", "told"),
    [
        (allowed_verdict(), False, ["a note"]),
        (denied(Reason.NO_ENTRY), False, []),
        (denied(Reason.NO_ENTRY), True, ["a note"]),
        (denied(Reason.ACL_LEVEL), False, []),
    ],
    ids=["an allow", "a refusal", "a refusal to an administrator", "a refused identity"],
)
def test_t61_notes_of_a_refusal_are_for_administrators(
    given: Allowed | Denied, *, expose: bool, told: list[str]
) -> None:
    document = write_verdict(
        replace(given, notes=("a note",)), request_id="r", policy_version="1", now=NOW, expose=expose
    )
    assert told == document.notes


@pytest.mark.parametrize(
    ("reason", "expose", "shown"),
    [
        (Reason.ACL_LEVEL, False, True),
        (Reason.DENY_GROUP, False, False),
        (Reason.DENY_GROUP, True, True),
    ],
)
def test_t61_who_was_refused_without_an_identity_is_for_administrators(
    reason: Reason, *, expose: bool, shown: bool
) -> None:
    refused = replace(denied(reason), identity=IDENTITY)
    document = write_verdict(refused, request_id="r", policy_version="1", now=NOW, expose=expose)
    assert shown is (document.identity is not None)


def test_groups_that_do_not_count_for_acls_do_not_leave() -> None:
    """Neither deny nor mail groups: who reads the list takes every name in it for a permission."""
    document = write_verdict(allowed_verdict(), request_id="r", policy_version="1", now=NOW, expose=True)
    assert document.identity is not None
    assert ["Sales", "Partners"] == [group.name for group in document.identity.groups]


@pytest.mark.parametrize(("later", "expected"), [(0, 60), (59.5, 0), (61, 0)])
def test_expires_in_is_never_more_than_what_is_left(later: float, expected: int) -> None:
    now = NOW + timedelta(seconds=later)
    document = write_verdict(allowed_verdict(), request_id="r", policy_version="1", now=now, expose=True)
    assert expected == document.expires_in


def test_an_undecided_verdict_carries_no_identity(own: Api) -> None:
    own.send(authenticate())
    with closing(connect(own.place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE person_names RENAME TO elsewhere")
    reply = own.send(authorize(EVE))
    assert (503, "undecided", "directory_unavailable") == verdict(reply)
    assert reply.document["identity"] is None
    assert reply.document["expires_in"] == 0


# --- a certificate in a body -------------------------------------------------------------------------------


def _base64(issued: Issued) -> str:
    return base64.b64encode(issued.der).decode()


@pytest.mark.parametrize(
    "text",
    [DAVE.pem, f"\n  {DAVE.pem}\n\n", _base64(DAVE), "\n".join(re.findall(".{1,64}", _base64(DAVE)))],
    ids=["PEM", "PEM with white space around it", "base64 DER", "base64 DER in lines"],
)
def test_a_certificate_may_be_pem_or_base64_der(shared: Api, text: str) -> None:
    assert shared.send(authenticate(body={"certificate": text})).status == 200


def test_a_chain_completes_a_path(own: Api) -> None:
    """An intermediate that nobody configured; its own revocation list is configured."""
    below = world().issuing  # the issuing authority is configured; without it the chain is needed
    trust = {
        "anchors": [{"name": "corp", "file": "root.pem"}],
        "revocation": {"mode": "off"},
    }
    own.place.configure(trust=trust)
    with serving_service(own.place) as service:
        api = Api(own.place, service)
        token = ((b"authorization", b"Bearer " + api.token().encode()), JSON)
        without = api.send(authenticate(headers=token, connection=API))
        assert (401, "denied", "certificate_untrusted") == verdict(without)
        hints: list[object] = [below.pem, base64.b64encode(NORMA.der).decode()]
        for chain in (hints[:1], hints, hints[::-1]):
            body = body_of(DAVE, chain=chain)
            assert api.send(authenticate(body=body, headers=token, connection=API)).status == 200


UNREADABLE: dict[str, dict[str, object]] = {
    "text": {"certificate": "hello"},
    "half a PEM": {"certificate": DAVE.pem[:200]},
    "two PEM blocks": {"certificate": DAVE.pem + ADA.pem},
    "a key": {"certificate": DAVE.key_pem},
    "DER with something after it": {"certificate": base64.b64encode(DAVE.der + b"\x00").decode()},
    "characters outside ASCII": {"certificate": "MIIB\u00e4"},
    "an unreadable chain": {"certificate": DAVE.pem, "chain": ["hello"]},
    "white space": {"certificate": "  "},
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_certificate_is_certificate_unreadable(shared: Api, body: dict[str, object]) -> None:
    assert (401, "denied", "certificate_unreadable") == verdict(shared.send(authenticate(body=body)))


REFUSED: list[tuple[str, Callable[[], Issued], tuple[int, str, str]]] = [
    ("nobody's", lambda: NORMA, (401, "denied", "no_entry")),
    ("another's", lambda: world().issue("Dave Lawson"), (401, "denied", "certificate_differs")),
    (
        "a server's",
        lambda: world().issue("Dave Lawson", eku=(SERVER_AUTH,)),
        (401, "denied", "certificate_usage"),
    ),
    (
        "expired",
        lambda: world().issue("Dave Lawson", not_after=NOW - timedelta(seconds=1)),
        (401, "denied", "certificate_expired"),
    ),
]


@pytest.mark.parametrize(
    ("issue", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_the_status_of_a_refusal_is_its_reasons(
    shared: Api, issue: Callable[[], Issued], expected: tuple[int, str, str]
) -> None:
    assert expected == verdict(shared.send(authenticate(issue())))


# --- who may call: administrators --------------------------------------------------------------------------

CALLS = [authenticate(), authorize(), explain()]
CALL_IDS = ["authenticate", "authorize", "explain"]


def called_by(call: Call, issued: Issued | None, *headers: tuple[bytes, bytes]) -> Call:
    return replace(call, connection=by(issued), headers=(JSON, *headers))


@pytest.mark.parametrize("call", CALLS, ids=CALL_IDS)
def test_an_auditor_may_call(shared: Api, call: Call) -> None:
    assert shared.send(called_by(call, ADA)).status == 200
    assert shared.send(called_by(call, MAX)).status == 200


STRANGERS: dict[str, tuple[Callable[[], Issued | None], tuple[int, str]]] = {
    "nobody in particular": (lambda: None, (401, "certificate_missing")),
    "a person without the role": (lambda: EVE, (403, "acl_role")),
    "a person without an ACL entry": (lambda: DAVE, (403, "acl_level")),
    "a certificate without an entry": (lambda: NORMA, (401, HIDDEN_REASON)),
    "another's name": (lambda: world().issue("Ada Auditor"), (401, HIDDEN_REASON)),
    "an expired certificate": (
        lambda: world().issue("Ada Auditor", not_after=NOW - timedelta(seconds=1)),
        (401, "certificate_expired"),
    ),
}


_NEEDED = {
    401: "the client certificate of an administrator, or the bootstrap token, is needed",
    403: "the ACL of `directory` must give you role `Auditor`",
    503: "nothing could be decided about the caller",
}


@pytest.mark.parametrize("call", CALLS, ids=CALL_IDS)
@pytest.mark.parametrize(("issue", "expected"), STRANGERS.values(), ids=STRANGERS.keys())
def test_t75_nobody_else_may_and_learns_nothing(
    shared: Api, call: Call, issue: Callable[[], Issued | None], expected: tuple[int, str]
) -> None:
    """Neither about the certificate in the body, nor (T61) who exists; and the refusal is recorded."""
    reply = shared.send(called_by(call, issue()))
    assert expected == problem(reply)
    assert _NEEDED[reply.status] == reply.document["detail"]
    assert "Dave" not in reply.body.decode()
    record = shared.record(reply)
    assert (call.path in str(record["detail"]), reply.status) == (True, record["status"])


def test_t61_whom_the_api_refuses_is_recorded_with_the_true_reason(shared: Api) -> None:
    answers = []
    for issued, reason in ((NORMA, "no_entry"), (world().issue("Ada Auditor"), "certificate_differs")):
        reply = shared.send(called_by(authenticate(), issued))
        document = {key: value for key, value in reply.document.items() if key != "request_id"}
        answers.append((document, [header for header in reply.headers if header[0] != b"x-request-id"]))
        record = shared.record(reply)
        assert reason == record["reason"]
        assert record["presented_sha256"] == hashlib.sha256(issued.der).hexdigest()
    assert answers[0] == answers[1]


def test_the_api_listens_to_no_certificate_header(shared: Api) -> None:
    forged = (b"client-cert", byte_sequence(ADA.der))
    assert (401, "certificate_missing") == problem(shared.send(called_by(authenticate(), None, forged)))


def test_without_tls_there_is_no_certificate(shared: Api) -> None:
    assert (401, "certificate_missing") == problem(shared.send(replace(authenticate(), connection=API)))


def test_a_certificate_that_cannot_be_read_admits_nobody(shared: Api) -> None:
    held = HandshakeCertificates(certificate=ADA.der, chain=(ADA.der,) * 11)
    reply = shared.send(replace(authenticate(), connection=replace(API, certificates=held)))
    assert (401, "certificate_unreadable") == problem(reply)


def test_reasons_are_told_where_the_configuration_says_so(own: Api) -> None:
    own.place.configure(expose_reasons=True)
    with serving_service(own.place) as service:
        reply = Api(own.place, service).send(called_by(authenticate(), NORMA))
    assert (401, "no_entry") == problem(reply)


def test_while_nothing_can_be_decided_about_the_caller_the_call_is_undecided(own: Api) -> None:
    with closing(connect(own.place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE person_names RENAME TO elsewhere")
    reply = own.send(authenticate())
    assert (503, "directory_unavailable") == problem(reply)
    assert _NEEDED[503] == reply.document["detail"]


def test_t41_an_auditor_whose_certificate_was_just_revoked_may_not_call(own: Api) -> None:
    own.send(authenticate())
    own.place.write("issuing.crl", world().crl(ADA, number=2))
    own.service._trust.poll()
    own.service._look()
    assert (401, "certificate_revoked") == problem(own.send(authenticate()))


# --- who may call: the bootstrap token ---------------------------------------------------------------------


def bearing(token: str, call: Call | None = None, *, scheme: str = "Bearer") -> Call:
    header = (b"authorization", f"{scheme} {token}".encode("latin-1"))
    return replace(call or authenticate(), connection=by(None), headers=(JSON, header))


@pytest.mark.parametrize("call", CALLS, ids=CALL_IDS)
def test_the_bootstrap_token_lets_in(own: Api, call: Call) -> None:
    assert own.send(bearing(own.token(), call)).status == 200


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("", "Bearer"), ("guess", "Bearer"), ("\xe4" * 600, "bearer")],
    ids=["empty", "guessed", "long"],
)
def test_a_wrong_token_lets_nobody_in(own: Api, text: str, scheme: str) -> None:
    token = own.token()
    reply = own.send(bearing(text, scheme=scheme))
    assert (401, "certificate_missing") == problem(reply)
    assert own.record(reply)["status"] == 401
    assert (401, "certificate_missing") == problem(own.send(bearing(token, scheme="Basic")))


def test_without_a_token_made_none_works(shared: Api) -> None:
    assert (401, "certificate_missing") == problem(shared.send(bearing("")))


def test_a_wrong_token_is_not_mended_by_a_good_certificate(own: Api) -> None:
    """Whoever shows a token is judged by it."""
    call = replace(bearing("guess"), connection=BY_ADA)
    assert (401, "certificate_missing") == problem(own.send(call))


def test_the_token_stops_working_once_a_manager_has_used_a_certificate(own: Api) -> None:
    token = own.token()
    assert own.send(called_by(authenticate(), ADA)).status == 200  # an auditor, no manager
    assert own.send(bearing(token)).status == 200
    assert own.send(called_by(authenticate(), MAX)).status == 200
    assert (401, "certificate_missing") == problem(own.send(bearing(token)))


def test_a_full_access_administrator_does_not_close_the_door(own: Api) -> None:
    """Full access bypasses the ACL: nobody has yet used its Manager entry."""
    own.place.configure(full_access_administrators=["Dave Lawson/Renovations"])
    token = own.token()
    with serving_service(own.place) as service:
        api = Api(own.place, service)
        assert api.send(called_by(authenticate(), DAVE)).status == 200
        assert api.send(bearing(token)).status == 200


def test_a_manager_without_the_role_does_not_close_the_door(own: Api) -> None:
    own.place.put_database("directory", acl("Max Manager/Renovations", Level.MANAGER))
    own.service._look()
    token = own.token()
    assert (403, "acl_role") == problem(own.send(called_by(authenticate(), MAX)))
    assert own.send(bearing(token)).status == 200


def test_while_the_store_does_not_answer_a_token_is_undecided(own: Api) -> None:
    token = own.token()
    with closing(connect(own.place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE settings RENAME TO elsewhere")
    assert (503, "store_unavailable") == problem(own.send(bearing(token)))


# --- who may call: front ends ------------------------------------------------------------------------------


def from_edge(call: Call, *headers: tuple[bytes, bytes]) -> Call:
    return replace(call, connection=EDGE, headers=(JSON, *headers))


SHOWN = (b"x-front-end-secret", b"the secret of the edge")


def test_an_admitted_web_server_may_authenticate_and_authorize(shared: Api) -> None:
    reply = shared.send(from_edge(authenticate(), SHOWN))
    assert (200, "allowed", "allowed_identity") == verdict(reply)
    assert shared.record(reply)["front_end"] == "edge"
    assert (200, "allowed", "allowed") == verdict(shared.send(from_edge(authorize(), SHOWN)))
    refused = shared.send(from_edge(authorize(EVE), SHOWN))
    assert (403, "denied", "acl_level") == verdict(refused)
    assert refused.document["identity"]["name"] == "Eve Everybody/Renovations"
    assert refused.document["detail"] is None


@pytest.mark.parametrize("call", CALLS[:2], ids=CALL_IDS[:2])
@pytest.mark.parametrize(
    "headers",
    [(), ((SHOWN[0], b"guess"),), (SHOWN, SHOWN), ((b"authorization", b"Bearer x"),)],
    ids=["no secret", "another secret", "the secret twice", "a token"],
)
def test_t1_a_stranger_at_a_front_end_is_refused_whatever_it_says(
    shared: Api, call: Call, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    for each in (call, replace(call, pieces=[b"no JSON"])):
        reply = shared.send(from_edge(each, *headers))
        assert (403, "untrusted_front_end") == problem(reply)
        assert (403, "edge") == (shared.record(reply)["status"], shared.record(reply)["front_end"])


def test_the_bootstrap_token_is_nothing_at_a_front_end(own: Api) -> None:
    header = (b"authorization", b"Bearer " + own.token().encode())
    assert (403, "untrusted_front_end") == problem(own.send(from_edge(authenticate(), header)))


def test_t61_a_web_server_does_not_learn_who_exists(own: Api) -> None:
    """One answer for no entry, a wrong binding, a disabled entry; the true reason is in the record."""
    with own.place.store() as engine, changing(engine) as change:
        held = CertificateRecord.from_der(world().issue("Dora Disabled").der)
        dora = person("Dora Disabled/Renovations", certificates=[held], disabled=True)
        create_person(change, dora)
    disabled = Issued(certificate=x509.load_der_x509_certificate(held.der), key=DAVE.key)
    cases = [(NORMA, "no_entry"), (world().issue("Dave Lawson"), "certificate_differs")]
    answers = set()
    for issued, reason in [*cases, (disabled, "entry_disabled")]:
        reply = own.send(from_edge(authenticate(issued), SHOWN))
        assert (401, "denied", HIDDEN_REASON) == verdict(reply)
        assert reason == own.record(reply)["reason"]
        told = {
            key: value for key, value in reply.document.items() if key not in {"request_id", "certificate"}
        }
        answers.add(json.dumps(told))
    assert len(answers) == 1
    assert "disabled" not in answers.pop()


def test_a_web_server_learns_the_reason_where_the_configuration_says_so(own: Api) -> None:
    own.place.configure(expose_reasons=True)
    with serving_service(own.place) as service:
        reply = Api(own.place, service).send(from_edge(authenticate(NORMA), SHOWN))
    assert (401, "denied", "no_entry") == verdict(reply)
    assert reply.document["detail"] is not None


def test_an_administrator_learns_the_reason(shared: Api) -> None:
    reply = shared.send(authenticate(NORMA))
    assert (401, "denied", "no_entry") == verdict(reply)
    assert reply.document["detail"] is not None


OTHER_PATHS = ["/v1/explain", "/healthz", "/readyz", "/openapi.json", "/metrics", "/v1/people", "/"]


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_nothing_else_of_the_api_is_on_a_front_end(shared: Api, path: str) -> None:
    for method in ("GET", "POST"):
        call = replace(from_edge(explain(), SHOWN), path=path, method=method)
        assert shared.send(call).status == 404
        assert shared.send(replace(call, headers=(JSON,))).status == 403


@pytest.mark.parametrize("path", ["/v1/authenticate", "/v1/authorize", *OTHER_PATHS])
def test_t75_nothing_of_the_api_is_where_clients_connect_directly(shared: Api, path: str) -> None:
    """There anybody could ask about anybody; an administrator's certificate changes nothing."""
    direct = replace(by(MAX), listener="direct")
    for method in ("GET", "POST"):
        assert shared.send(replace(authenticate(), path=path, method=method, connection=direct)).status == 404


@pytest.mark.parametrize(
    ("listener", "call"), [("edge", explain()), ("direct", authenticate()), ("nowhere", authorize())]
)
def test_t75_the_application_itself_refuses_what_no_listener_passes_on(
    shared: Api, listener: str, call: Call
) -> None:
    """Were a path to be passed on by mistake."""
    connection = replace(by(MAX), listener=listener)
    application = create_app(shared.service, shared.in_force.endpoint.settings.front_ends)
    reply = send_call(application, replace(call, connection=connection, headers=(JSON, SHOWN)))
    assert (403, "untrusted_front_end") == problem(reply)


def test_auth_is_not_on_the_api_listener(shared: Api) -> None:
    for method in ("GET", "POST"):
        assert (404, "bad_request") == problem(
            shared.send(Call(path="/auth", method=method, connection=BY_ADA))
        )


# --- explain -----------------------------------------------------------------------------------------------


def test_explain_answers_200_with_the_trace_and_what_would_change_it(shared: Api) -> None:
    reply = shared.send(explain(EVE, database="sales.nsf"))
    document = reply.document
    assert (200, "acl_level") == (reply.status, reply.value("Auth-Reason"))
    assert ("denied", "acl_level") == (document["verdict"], document["reason"])
    steps = {line["step"] for line in document["trace"]}
    assert {"present", "verify", "revocation", "search", "identify", "decide"} <= steps
    assert all(set(line) == {"step", "subject", "result", "milliseconds"} for line in document["trace"])
    assert "ACL entry" in document["to_change_this"]


def test_explain_of_an_allow_has_nothing_to_change(shared: Api) -> None:
    document = shared.send(explain()).document
    assert ("allowed", None) == (document["verdict"], document["to_change_this"])
    assert document["trace"]


def test_explain_is_never_cached(own: Api) -> None:
    own.send(explain(database="sales.nsf"))
    own.place.put_database("sales.nsf", acl("Dave Lawson/Renovations", Level.NO_ACCESS))
    assert own.send(explain(database="sales.nsf")).document["reason"] == "acl_level"


def test_explain_can_assume_a_front_end(own: Api) -> None:
    """Its anchors count, not those of `api`."""
    anchors = [{"name": "corp", "file": "root.pem", "front_ends": ["edge", "api"]}]
    trust = own.place.configuration["trust"]
    assert isinstance(trust, dict)
    own.place.configure(trust=trust | {"anchors": anchors})
    with serving_service(own.place) as service:
        api = Api(own.place, service)
        found = {name: api.send(explain(front_end=name)).document["reason"] for name in ("edge", "nginx")}
    assert {"edge": "allowed_identity", "nginx": "certificate_untrusted"} == found


@pytest.mark.parametrize(
    "more",
    [{"front_end": "nowhere"}, {"front_end": "\ud800"}, {"requirement": {"level": "Reader"}}],
    ids=["no such front end", "no text", "a requirement without a database"],
)
def test_a_question_that_makes_no_sense_is_a_bad_request(shared: Api, more: dict[str, object]) -> None:
    assert (400, "bad_request") == problem(shared.send(explain(**more)))  # type: ignore[arg-type]  # deviations


def test_t75_an_explanation_is_recorded_with_who_asked(shared: Api) -> None:
    reply = shared.send(explain(EVE, database="sales.nsf"))
    record = shared.record(reply)
    assert ("acl_level", 403) == (record["reason"], record["status"])
    assert record["detail"] == "explained to Ada Auditor/Renovations, as for front end api"


def test_a_call_is_recorded_with_who_asked(shared: Api) -> None:
    reply = shared.send(replace(authenticate(), headers=(JSON, (b"x-request-id", b"theirs"))))
    record = shared.record(reply)
    assert ("asked by Ada Auditor/Renovations", "theirs") == (record["detail"], record["caller_request_id"])
    assert record["policy_version"] == shared.service.version


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (authenticate(), (503, "store_unavailable")),
        (authorize(), (503, "store_unavailable")),
        (explain(NORMA), (503, "store_unavailable")),
        (authenticate(NORMA), (401, "no_entry")),
    ],
    ids=["an allow", "an allow of access", "an explanation", "a refusal"],
)
def test_what_cannot_be_recorded_is_not_allowed_and_not_explained(
    own: Api, call: Call, expected: tuple[int, str]
) -> None:
    assert own.service.audit is not None
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), own.service.audit._file)
    reply = own.send(call)
    assert expected == (reply.status, reply.document["reason"])
    assert reply.document.get("identity") is None


# --- bodies ------------------------------------------------------------------------------------------------

BAD_BODIES: dict[str, Call] = {
    "no body": authenticate(pieces=[b""]),
    "no JSON": authenticate(pieces=[b"{"]),
    "not UTF-8": authenticate(pieces=[b'{"certificate": "\xff"}']),
    "no object": authenticate(body=[DAVE.pem]),
    "null": authenticate(body=None),
    "no certificate": authenticate(body={}),
    "an empty certificate": authenticate(body={"certificate": ""}),
    "a certificate of another type": authenticate(body={"certificate": 5}),
    "a certificate that is too long": authenticate(body={"certificate": "a" * 131_073}),
    "a list of certificates": authenticate(body={"certificate": [DAVE.pem]}),
    "an unknown key": authenticate(body=body_of(DAVE, database="sales.nsf")),
    "an unknown key that is no text": authenticate(body=body_of(DAVE, **{"\ud800": 1})),
    "a chain of one text": authenticate(body=body_of(DAVE, chain=world().issuing.pem)),
    "a chain of eleven": authenticate(body=body_of(DAVE, chain=[world().issuing.pem] * 11)),
    "no database": authorize(database=None),  # type: ignore[arg-type]  # deviations
    "tls as a text": authorize(tls="yes"),
    "an unknown level": authorize(requirement={"level": "Boss"}),
    "No Access as a level": authorize(requirement={"level": "No Access"}),
    "an unknown privilege": authorize(requirement={"privileges": ["everything"]}),
    "an empty role": authorize(requirement={"roles": [""]}),
    "a role as a text": authorize(requirement={"roles": "Buyer"}),
    "an unknown part of a requirement": authorize(requirement={"role": ["Buyer"]}),
    "another content type": authenticate(headers=((b"content-type", b"text/plain"),)),
    "no content type": authenticate(headers=()),
    "endless nesting": authenticate(pieces=[b"[" * 100_000]),
    "a number without end": authenticate(pieces=[b"9" * 100_000]),
    "a body that breaks off": authenticate(pieces=[b'{"certificate": ', b""]),
    "an endless body": authenticate(pieces=[b" " * 1_048_576] * 4),
}


@pytest.mark.parametrize("call", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_body_that_is_none_of_ours_is_a_bad_request(shared: Api, call: Call) -> None:
    assert (400, "bad_request") == problem(shared.send(call))


def test_a_bad_request_says_where_and_repeats_nothing(shared: Api) -> None:
    """What was sent may be a secret in the wrong place."""
    reply = shared.send(authenticate(body=body_of(DAVE, key="-----BEGIN PRIVATE KEY-----")))
    assert reply.document["detail"] == "body.key: Extra inputs are not permitted"


def test_t76_a_body_is_read_no_further_than_its_limit(shared: Api) -> None:
    reply = shared.send(authenticate(pieces=[b" " * 1_048_576] * 100))
    assert reply.pieces_read == 3


def test_a_body_of_the_largest_size_is_read(shared: Api) -> None:
    text = json.dumps(body_of(DAVE)).encode()
    padded = text + b" " * (callers._LARGEST_BODY - len(text))
    assert shared.send(authenticate(pieces=[padded])).status == 200
    assert shared.send(authenticate(pieces=[padded, b" "])).status == 400


@pytest.mark.parametrize("call", [called_by(authenticate(), None), from_edge(authenticate())])
def test_t76_of_a_stranger_no_body_is_read(shared: Api, call: Call) -> None:
    assert shared.send(call).pieces_read == 0


def test_a_body_that_does_not_come_is_not_waited_for(shared: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_BODY_SECONDS", 0.0)
    assert (400, "bad_request") == problem(shared.send(authenticate(pieces=[HANGS])))


# --- what all answers have ---------------------------------------------------------------------------------


def test_health_is_open_to_everybody(shared: Api) -> None:
    reply = shared.send(Call(path="/healthz", method="GET", connection=by(None)))
    assert (200, {"status": "ok"}) == (reply.status, reply.document)


def test_readiness_is_open_to_everybody(shared: Api) -> None:
    reply = shared.send(Call(path="/readyz", method="GET", connection=by(None)))
    assert reply.status == 200
    expected = {"ready": True, "policy_version": shared.service.version, "problems": [], "warnings": []}
    assert expected == reply.document


def test_however_many_ask_the_directories_are_asked_once(own: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may ask; nobody may make the service do more than it does for one."""
    asked, readiness = [], own.service.readiness

    def counted() -> object:
        asked.append(1)
        return readiness()

    monkeypatch.setattr(own.service, "readiness", counted)
    call = Call(path="/readyz", method="GET")

    async def main() -> None:
        pending = [reply_to(own.in_force.answer, call) for _ in range(5)]
        assert {200} == {reply.status for reply in await asyncio.gather(*pending)}
        assert len(asked) == 1
        assert (await reply_to(own.in_force.answer, call)).status == 200
        assert len(asked) == 2

    asyncio.run(main())


def test_what_is_not_ready_answers_503_and_says_why(own: Api) -> None:
    with closing(connect(own.place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE generation RENAME TO elsewhere")
    reply = own.send(Call(path="/readyz", method="GET"))
    assert (503, False) == (reply.status, reply.document["ready"])
    assert reply.document["problems"] != []


def test_the_openapi_document_is_open_to_everybody(shared: Api) -> None:
    reply = shared.send(Call(path="/openapi.json", method="GET", connection=by(None)))
    assert reply.status == 200
    paths = {"/auth", "/v1/authenticate", "/v1/authorize", "/v1/explain", "/healthz", "/readyz", "/metrics"}
    paths |= {"/v1/directories", "/v1/directories/{domain}/verify"}
    paths |= {"/v1/revocation"}
    paths |= {"/v1/blocks", "/v1/blocks/{number}", "/v1/trust-anchors", "/v1/cross-certificates"}
    assert paths == set(reply.document["paths"])
    assert not [
        (path, status)
        for path, methods in reply.document["paths"].items()
        for method in methods.values()
        for status in method["responses"]
        if status == "422"
    ]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/explain/", "/healthz/", "/docs", "/redoc", "/%00", "/\u00e4"]
)
def test_another_path_is_a_problem_document(shared: Api, path: str) -> None:
    assert (404, "bad_request") == problem(shared.send(Call(path=path, method="GET", connection=by(None))))


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [("/v1/explain", "GET", "POST"), ("/v1/authorize", "PUT", "POST"), ("/readyz", "POST", "GET")],
)
def test_another_method_is_a_problem_document_that_names_the_right_one(
    shared: Api, path: str, method: str, allowed: str
) -> None:
    reply = shared.send(Call(path=path, method=method, connection=by(None)))
    assert (405, "bad_request") == problem(reply)
    assert allowed == reply.value("Allow")


def test_t14_a_bug_is_a_500_that_says_nothing(
    own: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("authsvc.web.api.decisions.write_verdict", fail)
    reply = own.send(authenticate())
    assert reply.status == 500
    assert reply.value("Content-Type") == "application/problem+json"
    assert {"type", "title", "status", "request_id"} == set(reply.document)
    (record,) = [each for each in caplog.records if each.message == "bug"]
    assert vars(record)["request_id"] == reply.value("X-Request-Id")


def test_t14_a_bug_in_the_middle_of_an_answer_cuts_it(own: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning has been sent: the server ends the connection, so that nobody takes it for whole."""

    async def broken(_self: object, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    monkeypatch.setattr("starlette.routing.Router.__call__", broken)
    with pytest.raises(ZeroDivisionError):
        own.send(Call(path="/healthz", method="GET"))


def test_an_application_without_a_service_answers_that_nothing_is_there() -> None:
    """What the OpenAPI document is printed from."""
    application = create_app()
    for call in CALLS:
        reply = send_call(application, call)
        assert (503, "store_unavailable") == problem(reply)
    reply = send_call(application, Call(path="/readyz", method="GET"))
    assert (503, False) == (reply.status, reply.document["ready"])


# --- any body at all ---------------------------------------------------------------------------------------

_STATUSES = {400, 401, 403}
_TEXTS = st.one_of(
    st.text(max_size=20),
    st.characters(categories=["Cs"]),
    st.sampled_from([DAVE.pem[:400], NORMA.pem, "sales.nsf", "Reader", "Buyer", "directory"]),
)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3))
)
_KEYS = st.sampled_from(
    ["certificate", "chain", "database", "requirement", "level", "privileges", "roles", "tls", "front_end"]
)
_OBJECTS = st.dictionaries(st.one_of(_KEYS, _TEXTS), st.one_of(_VALUES, st.dictionaries(_KEYS, _VALUES)))
_BODIES = st.one_of(
    _OBJECTS.map(lambda value: json.dumps(value).encode()),
    _OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
)


@settings(max_examples=150, deadline=None)
@given(body=_BODIES, path=st.sampled_from(["/v1/authenticate", "/v1/authorize"]), admitted=st.booleans())
def test_any_body_at_all_gives_an_answer_of_the_contract_and_never_an_allow(
    shared: Api, body: bytes, path: str, *, admitted: bool
) -> None:
    """No certificate that anybody may use occurs in the bodies."""
    call = Call(path=path, pieces=[body], connection=BY_ADA if admitted else by(None))
    reply = shared.send(call)
    assert reply.status in _STATUSES
    assert reply.document["reason"] in {*Reason, HIDDEN_REASON}


@settings(max_examples=100, deadline=None)
@given(body=_BODIES)
def test_any_body_at_all_is_explained_or_refused_and_never_allowed(shared: Api, body: bytes) -> None:
    reply = shared.send(Call(path="/v1/explain", pieces=[body], connection=BY_ADA))
    assert reply.status in {200, 400}
    assert reply.document.get("verdict") != "allowed"


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, len(DAVE.der) - 1), flipped=st.integers(1, 255))
def test_any_changed_octet_of_a_certificate_is_refused(shared: Api, position: int, flipped: int) -> None:
    der = bytearray(DAVE.der)
    der[position] ^= flipped
    reply = shared.send(authenticate(body={"certificate": base64.b64encode(der).decode()}))
    assert (401, "denied") == verdict(reply)[:2]


@settings(max_examples=100, deadline=None)
@given(value=st.binary(max_size=60))
def test_any_authorization_at_all_admits_nobody(shared: Api, value: bytes) -> None:
    for header in (value, b"Bearer " + value):
        reply = shared.send(called_by(authenticate(), None, (b"authorization", header)))
        assert (401, "certificate_missing") == problem(reply)
