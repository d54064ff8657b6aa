"""`/v1/blocks` and `/v1/trust-anchors`: who may, what is read, what is answered, and what is in force by then."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from cryptography.hazmat.primitives import serialization

from authsvc.access.levels import Level
from authsvc.reason import Reason
from tests.authsvc.test_api import Api, problem
from tests.support.api import EDGE, Call, Reply, by
from tests.support.pki import NOW, Authority, Issued
from tests.support.presented import byte_sequence
from tests.support.service import acl, lay_place, serving_service, world

PEOPLE = world().people
DAVE, ADA, MAX, EVE = (PEOPLE[name] for name in ("dave", "ada", "max", "eve"))
MANAGERS = (
    acl("Max Manager/Renovations", Level.MANAGER, "Auditor"),
    acl("Ada Auditor/Renovations", Level.READER, "Auditor"),
    acl("Eve Everybody/Renovations", Level.READER, "TrustManager"),
)
"""Eve may block, the others may look."""

SHA256 = hashlib.sha256(DAVE.der).hexdigest()
BLOCK = {"kind": "certificate", "value": SHA256, "reason": "laptop stolen"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Api]:
    place = lay_place(tmp_path)
    place.put_database("directory", *MANAGERS)
    with serving_service(place) as service:
        yield Api(place, service)


def listing(who: Issued | None = ADA, path: str = "/v1/blocks") -> Call:
    return Call(path=path, method="GET", connection=by(who))


def adding(who: Issued | None = EVE, /, **body: object) -> Call:
    return Call(path="/v1/blocks", body=BLOCK | body, connection=by(who))


def removing(number: object, who: Issued | None = EVE) -> Call:
    return Call(path=f"/v1/blocks/{number}", method="DELETE", connection=by(who))


def authorize(issued: Issued = DAVE) -> Call:
    body = {"certificate": issued.pem, "database": "sales.nsf"}
    return Call(path="/v1/authorize", body=body, connection=by(ADA))


def told(reply: Reply) -> tuple[int, str]:
    return reply.status, str(reply.document["reason"])


# --- adding, listing, removing


def test_a_block_is_added_listed_and_removed(own: Api) -> None:
    reply = own.send(adding(owner="Security desk", until="12h"))
    assert (201, "application/json") == (reply.status, reply.value("Content-Type"))
    expected = {
        "id": 1,
        "kind": "certificate",
        "value": SHA256,
        "serial": None,
        "owner": "Security desk",
        "reason": "laptop stolen",
        "ends": "2026-03-02T00:00:00Z",
        "in_force": True,
        "created_by": "Eve Everybody/Renovations",
        "created_at": "2026-03-01T12:00:00Z",
    }
    assert expected == reply.document
    assert {"blocks": [expected]} == own.send(listing()).document
    removed = own.send(removing(1))
    assert (204, b"") == (removed.status, removed.body)
    assert {"blocks": []} == own.send(listing()).document


def test_who_adds_a_block_owns_it_where_nobody_else_is_named(own: Api) -> None:
    reply = own.send(adding())
    assert ("Eve Everybody/Renovations", None) == (reply.document["owner"], reply.document["ends"])


ISSUING = world().issuing
ISSUER = "CN=Renovations Issuing CA,O=Renovations"


def _key_sha256(issued: Issued) -> str:
    info = issued.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(info).hexdigest()


WAYS = {
    "a digest": {"kind": "certificate", "value": SHA256.upper()},
    "a certificate": {"kind": "certificate", "value": None, "certificate": DAVE.pem},
    "a key's digest": {"kind": "public_key", "value": _key_sha256(DAVE)},
    "a certificate's key": {"kind": "public_key", "value": None, "certificate": DAVE.pem},
    "the issuing CA's key": {"kind": "public_key", "value": None, "certificate": ISSUING.pem},
    "the root's key": {"kind": "public_key", "value": None, "certificate": world().root.pem},
    "issuer and serial number": {
        "kind": "issuer_serial",
        "value": ISSUER,
        "serial": hex(DAVE.certificate.serial_number),
    },
    "a certificate's issuer and serial number": {
        "kind": "issuer_serial",
        "value": None,
        "certificate": DAVE.pem,
    },
    "a subject": {"kind": "subject", "value": "cn=dave lawson, o=renovations"},
    "a certificate's subject": {"kind": "subject", "value": None, "certificate": DAVE.pem},
    "an identity": {"kind": "identity", "value": "Dave Lawson/Renovations"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_t41_a_block_of_any_kind_is_in_force_when_it_is_answered_and_not_before_or_after(
    own: Api, way: dict[str, object]
) -> None:
    """The allow is remembered; nobody looks at the store's generation meanwhile."""
    assert 200 == own.send(authorize()).status
    hits = own.service.decider.cache_hits
    assert 200 == own.send(authorize()).status
    assert own.service.decider.cache_hits > hits
    number = own.send(adding(**way)).document["id"]
    expected = Reason.ENTRY_DISABLED if way["kind"] == "identity" else Reason.CERTIFICATE_REVOKED
    # By the token: a block of a CA's key refuses the administrators too.
    token = (b"authorization", f"Bearer {own.token()}".encode())
    asked = authorize()
    by_token = Call(path=asked.path, body=asked.body, headers=(*asked.headers, token))
    assert (401, expected.value) == told(own.send(by_token))
    gone = removing(number)
    removed = own.send(Call(path=gone.path, method="DELETE", headers=(token,)))
    assert 204 == removed.status
    assert 200 == own.send(authorize()).status


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"kind": "everybody"}, id="a kind that there is not"),
        pytest.param({"value": None}, id="nothing to refuse"),
        pytest.param({"value": ""}, id="an empty value"),
        pytest.param({"value": "12"}, id="no digest"),
        pytest.param({"certificate": DAVE.pem}, id="value and certificate"),
        pytest.param({"serial": "1"}, id="a serial number beside a digest"),
        pytest.param({"kind": "issuer_serial", "value": ISSUER}, id="an issuer without a serial number"),
        pytest.param({"kind": "issuer_serial", "value": ISSUER, "serial": "12ab"}, id="hexadecimal unmarked"),
        pytest.param({"kind": "issuer_serial", "value": ISSUER, "serial": 12}, id="a number that is no text"),
        pytest.param(
            {"kind": "issuer_serial", "value": None, "serial": "1", "certificate": DAVE.pem},
            id="a certificate and a serial number",
        ),
        pytest.param({"kind": "subject", "value": "C=US,O=Acme,CN=Dave"}, id="root first"),
        pytest.param({"kind": "subject", "value": None, "certificate": "nonsense"}, id="no certificate"),
        pytest.param({"kind": "subject", "value": None, "certificate": DAVE.key_pem}, id="a private key"),
        pytest.param({"kind": "identity", "value": "*"}, id="everybody"),
        pytest.param(
            {"kind": "identity", "value": None, "certificate": DAVE.pem}, id="an identity by certificate"
        ),
        pytest.param({"reason": " "}, id="no reason"),
        pytest.param({"reason": None}, id="a reason that is none"),
        pytest.param({"reason": "a\nb"}, id="a reason of two lines"),
        pytest.param({"reason": "x" * 501}, id="a reason that is too long"),
        pytest.param({"owner": "x" * 201}, id="an owner that is too long"),
        pytest.param({"until": "tomorrow"}, id="no end"),
        pytest.param({"until": "2026-03-24T12:00:00"}, id="an end without a time zone"),
        pytest.param({"until": "2026-03-01T12:00:00Z"}, id="an end that is now"),
        pytest.param({"until": "0s"}, id="a time of nothing"),
        pytest.param({"until": "9999999d"}, id="a time beyond the calendar"),
        pytest.param({"until": "9999-12-31"}, id="a day after which there is none"),
        pytest.param({"until": "0001-01-01T00:00:00+14:00"}, id="an instant before all of them"),
        pytest.param({"colour": "red"}, id="an unknown key"),
    ],
)
def test_what_cannot_be_meant_is_a_bad_request_and_changes_nothing(
    own: Api, changed: dict[str, object]
) -> None:
    assert (400, "bad_request") == problem(own.send(adding(**changed)))
    assert {"blocks": []} == own.send(listing()).document


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("2026-12-31", "2027-01-01T00:00:00Z"),
        ("2026-12-31T12:00:00+01:00", "2026-12-31T11:00:00Z"),
        (" 7d ", "2026-03-08T12:00:00Z"),
    ],
)
def test_an_end_is_read_as_people_write_it(own: Api, until: str, ends: str) -> None:
    assert ends == own.send(adding(until=until)).document["ends"]


@pytest.mark.parametrize("number", [2, 2**31 - 1])
def test_a_number_that_no_block_has_is_404(own: Api, number: int) -> None:
    own.send(adding())
    reply = own.send(removing(number))
    assert (404, "bad_request") == (reply.status, reply.document["reason"])
    assert 1 == len(own.send(listing()).document["blocks"])


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**64, "one", "1.5"])
def test_what_is_no_number_is_a_bad_request(own: Api, number: object) -> None:
    assert (400, "bad_request") == problem(own.send(removing(number)))


# --- who may


@pytest.mark.parametrize("call", [adding(ADA), adding(MAX), removing(1, ADA), removing(1, MAX)])
def test_only_a_trust_manager_may_change_blocks(own: Api, call: Call) -> None:
    """Not a Manager either: each write needs its role."""
    own.send(adding())
    reply = own.send(call)
    assert (403, "acl_role") == problem(reply)
    assert "role `TrustManager`" in str(reply.document["detail"])
    assert 1 == len(own.send(listing()).document["blocks"])


CALLS = [listing, adding, lambda who: removing(1, who), lambda who: listing(who, "/v1/trust-anchors")]
IDS = ["list", "add", "remove", "anchors"]


@pytest.mark.parametrize("call", CALLS, ids=IDS)
def test_who_has_no_access_to_directory_may_nothing(own: Api, call: object) -> None:
    assert callable(call)
    assert (403, "acl_level") == problem(own.send(call(DAVE)))
    assert (401, "certificate_missing") == problem(own.send(call(None)))


@pytest.mark.parametrize("path", ["/v1/blocks", "/v1/trust-anchors", "/v1/cross-certificates"])
@pytest.mark.parametrize("who", [ADA, MAX, EVE], ids=["ada", "max", "eve"])
def test_whoever_reads_directory_may_look(own: Api, who: Issued, path: str) -> None:
    assert 200 == own.send(listing(who, path)).status


@pytest.mark.parametrize(
    "path", ["/v1/blocks", "/v1/blocks/1", "/v1/trust-anchors", "/v1/cross-certificates"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_t75_no_front_end_has_these_calls(own: Api, path: str, method: str) -> None:
    headers = (
        (b"client-cert", byte_sequence(EVE.der)),
        (b"x-front-end-secret", own.place.secret.encode()),
    )
    reply = own.send(Call(path=path, method=method, body=BLOCK, headers=headers, connection=EDGE))
    assert 404 == reply.status
    assert {"blocks": []} == own.send(listing()).document


@pytest.mark.parametrize("kind", ["certificate", "subject", "public_key", "issuer_serial"])
def test_an_administrator_whose_certificate_is_blocked_may_not_call(own: Api, kind: str) -> None:
    """Administration is decided like anything else; the bootstrap token is no certificate."""
    own.send(adding(kind=kind, value=None, certificate=ADA.pem))
    assert (401, "certificate_revoked") == problem(own.send(listing(ADA)))
    assert 200 == own.send(listing(MAX)).status
    headers = ((b"authorization", f"Bearer {own.token()}".encode()),)
    assert 200 == own.send(Call(path="/v1/blocks", method="GET", headers=headers)).status


def test_a_trust_manager_who_blocks_herself_is_out_until_the_token_lets_her_in_again(own: Api) -> None:
    own.send(adding(kind="identity", value="Eve Everybody/Renovations"))
    assert (401, "not_authenticated") == problem(own.send(removing(1)))
    headers = ((b"authorization", f"Bearer {own.token()}".encode()),)
    assert 204 == own.send(Call(path="/v1/blocks/1", method="DELETE", headers=headers)).status
    assert 204 == own.send(removing(own.send(adding()).document["id"])).status


# --- records


def test_every_answer_is_recorded_with_who_asked_and_a_change_with_what_changed(own: Api) -> None:
    added, listed, removed = own.send(adding()), own.send(listing()), own.send(removing(1))
    anchors = own.send(listing(MAX, "/v1/trust-anchors"))
    assert [
        f"block 1 (certificate {SHA256}) added by Eve Everybody/Renovations",
        "blocks listed for Ada Auditor/Renovations",
        "block 1 removed by Eve Everybody/Renovations",
        "trust anchors listed for Max Manager/Renovations",
    ] == [own.record(reply)["detail"] for reply in (added, listed, removed, anchors)]


def test_a_refusal_by_a_block_is_recorded_with_the_blocks_number(own: Api) -> None:
    own.send(adding(kind="identity", value="Dave Lawson/Renovations"))
    record = own.record(own.send(authorize()))
    assert ("entry_disabled", 1) == (record["reason"], record["block_id"])
    assert "laptop stolen" in str(record["verdict_detail"])


def test_a_web_server_does_not_learn_of_a_block(own: Api) -> None:
    own.send(adding(kind="identity", value="Dave Lawson/Renovations"))
    headers = (*Call().headers, (b"x-front-end-secret", own.place.secret.encode()))
    body = {"certificate": DAVE.pem}
    reply = own.send(Call(body=body, headers=headers, connection=EDGE))
    assert (401, "not_authenticated") == told(reply)
    assert b"block" not in reply.body


@pytest.mark.parametrize(
    "call",
    [adding(), removing(1), listing(), listing(ADA, "/v1/trust-anchors")],
    ids=["add", "remove", "list", "anchors"],
)
def test_what_cannot_be_recorded_is_store_unavailable_and_a_change_stands_all_the_same(
    own: Api, call: Call
) -> None:
    own.send(adding(kind="identity", value="Somebody Else"))
    audit = own.service.audit
    assert audit is not None
    full = os.open("/dev/full", os.O_WRONLY)
    audit._file, kept = full, audit._file
    try:
        assert (503, "store_unavailable") == problem(own.send(call))
    finally:
        audit._file = kept
        os.close(full)
    expected = {"POST": 2, "DELETE": 0, "GET": 1}[call.method]
    assert expected == len(own.send(listing()).document["blocks"])


def test_a_store_that_fails_meanwhile_is_store_unavailable(own: Api) -> None:
    """The token is checked, then the table of blocks is gone."""
    headers = ((b"authorization", f"Bearer {own.token()}".encode()), (b"content-type", b"application/json"))
    with closing(connect(own.place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE blocks RENAME TO elsewhere")
    for call in (listing(), adding(), removing(1)):
        sent = Call(path=call.path, method=call.method, body=call.body, headers=headers)
        assert (503, "store_unavailable") == problem(own.send(sent))
    own.service._look()
    assert (503, "store_unavailable") == problem(own.send(listing(MAX)))


def test_readiness_tells_blocks_that_cannot_be_read(own: Api) -> None:
    assert own.service.readiness().ready
    own.send(adding())
    with closing(connect(own.place.folder / "directory.db")) as connection, connection:
        connection.execute("UPDATE blocks SET kind = 'everybody'")
        connection.execute("UPDATE generation SET value = value + 1")
        connection.execute("UPDATE block_log SET at = '2027-01-01T00:00:00.000000Z'")
    problems = own.service.readiness().problems
    assert 1 == len(problems)
    assert "block 1 cannot be read" in problems[0]


# --- trust anchors


def test_trust_anchors_are_told_with_what_they_are_trusted_for(own: Api) -> None:
    root = world().root
    reply = own.send(listing(ADA, "/v1/trust-anchors"))
    assert {
        "policy_version": own.service.version,
        "trust_anchors": [
            {
                "id": "corp",
                "subject": "CN=Renovations Root CA,O=Renovations",
                "sha256": hashlib.sha256(root.der).hexdigest(),
                "public_key_sha256": _key_sha256(Issued(certificate=root.certificate, key=root.key)),
                "key": "P-256",
                "not_before": f"{root.certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
                "not_after": f"{root.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                "settings": {
                    "eku_required": True,
                    "allow_any_eku": False,
                    "purposes": ["1.3.6.1.5.5.7.3.2"],
                    "minimum_rsa_bits": 2048,
                    "minimum_curve_bits": 256,
                    "minimum_hash_bits": 256,
                    "not_before": None,
                    "not_after": None,
                    "permitted_names": None,
                    "front_ends": None,
                    "domains": None,
                    "required_policies": [],
                    "revocation": "require",
                },
            }
        ],
    } == reply.document


def test_cross_certificates_are_told_by_themselves(tmp_path: Path) -> None:
    place = lay_place(tmp_path)
    partner = {
        "name": "partner",
        "file": "partner.pem",
        "permitted_names": ["o=partners"],
        "domains": ["Renovations"],
        "not_after": "2099-01-31",
    }
    (tmp_path / "partner.pem").write_text(Authority.root("CN=Partner CA,O=Partners", now=NOW).pem)
    trust = place.configuration["trust"]
    assert isinstance(trust, dict)
    place.configure(trust=trust | {"cross_certificates": [partner]})
    with serving_service(place) as service:
        own = Api(place, service)
        anchors = own.send(listing(ADA, "/v1/trust-anchors")).document["trust_anchors"]
        (cross,) = own.send(listing(ADA, "/v1/cross-certificates")).document["cross_certificates"]
    assert ["corp"] == [each["id"] for each in anchors]
    assert ("partner", "CN=Partner CA,O=Partners") == (cross["id"], cross["subject"])
    assert (["O=partners"], ["Renovations"]) == (
        cross["settings"]["permitted_names"],
        cross["settings"]["domains"],
    )


def test_the_limits_of_a_trust_anchor_are_told(tmp_path: Path) -> None:
    place = lay_place(tmp_path)
    limited = {
        "name": "corp",
        "file": "root.pem",
        "front_ends": ["nginx", "api"],
        "permitted_names": ["o=renovations"],
        "not_after": "2099-01-31",
    }
    trust = place.configuration["trust"]
    assert isinstance(trust, dict)
    place.configure(trust=trust | {"anchors": [limited]})
    with serving_service(place) as service:
        (anchor,) = Api(place, service).send(listing(ADA, "/v1/trust-anchors")).document["trust_anchors"]
    assert (["api", "nginx"], ["O=renovations"], "2099-01-31T00:00:00Z") == (
        anchor["settings"]["front_ends"],
        anchor["settings"]["permitted_names"],
        anchor["settings"]["not_after"],
    )
    assert anchor["not_after"] > anchor["settings"]["not_after"]
