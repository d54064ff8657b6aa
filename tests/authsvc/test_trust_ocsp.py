"""OCSP responses: which are believed, and that nothing else ever says "good" (RFC 6960, threat T38)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.ocsp import ResponseRules, find_responder_problem, verify_response
from authsvc.trust.ocsp_answer import OcspAnswer, OcspGood, OcspRevoked, OcspUnavailable, OcspUnknown
from authsvc.trust.ocsp_messages import (
    LARGEST_RESPONSE,
    MOST_EMBEDDED_CERTIFICATES,
    BasicResponse,
    build_request,
    read_response,
    responder_urls,
)
from directory_assistance.der import SEQUENCE, DerSyntaxError
from tests.support.ocsp import (
    GOOD,
    NO_NEXT_UPDATE,
    OCSP_SIGNING,
    UNKNOWN,
    access_to,
    by_key,
    by_name,
    certificate_id,
    delegate,
    encoded_time,
    extension,
    failed,
    nonce_extension,
    object_identifier,
    response,
    revoked,
    single,
    wrapped,
)
from tests.support.pki import (
    CLIENT_AUTH,
    NOW,
    Authority,
    Issued,
    KeyKind,
    der_element,
    generate_key,
    key_usage,
    name_from_text,
    resigned,
    small_world,
)
from tests.support.trust import facts_of

SOURCE = "http://ocsp.example.com/"
NONCE = bytes(range(32))
HOUR = timedelta(hours=1)
RULES = ResponseRules()
CRITICAL = extension("1.3.6.1.4.1.99.1", b"\x05\x00", critical=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An issuing authority with Dave's certificate, its OCSP responder, and strangers."""

    issuing: Authority
    dave: Issued
    other: Issued
    responder: Issued
    stranger: Authority
    namesake: Authority


@cache
def the_world() -> World:
    """Return the world of these tests; making it takes some milliseconds."""
    small = small_world()
    return World(
        issuing=small.issuing,
        dave=small.dave,
        other=small.issuing.issue("CN=Norma Kent,O=Renovations"),
        responder=delegate(small.issuing),
        stranger=Authority.root("CN=Stranger", now=NOW),
        namesake=Authority.root(small.issuing.certificate.subject, now=NOW),
    )


W = the_world()


def judge(
    der: bytes,
    *,
    of: Issued | Authority = W.dave,
    issuer: Authority = W.issuing,
    nonce: bytes | None = None,
    now: datetime = NOW,
    rules: ResponseRules = RULES,
    revoked_responder: bool | None = None,
) -> OcspAnswer:
    """Judge a response with everything else ordinary: no list says anything of the responder."""
    return verify_response(
        der,
        facts=facts_of(of),
        issuer=facts_of(issuer),
        nonce=nonce,
        now=now,
        rules=rules,
        is_revoked=lambda _facts, _issuer: revoked_responder,
        source=SOURCE,
    )


def refused(answer: OcspAnswer) -> str:
    """Return why a response was not accepted, or fail."""
    assert isinstance(answer, OcspUnavailable), answer
    assert answer.source == SOURCE
    return answer.problem


def told(*singles: bytes, **deviation: object) -> bytes:
    """Return a response that the issuer signed about Dave, or about what is given."""
    return response(*(singles or (single(W.dave, W.issuing),)), **({"signer": W.issuing} | deviation))  # type: ignore[arg-type] # the names are those of `response`


def told_by(responder: Issued, **deviation: object) -> bytes:
    """Return a good response about Dave that somebody signed and gave their certificate with."""
    return told(**({"signer": responder, "certificates": [responder]} | deviation))


GOOD_FOR_AN_HOUR = OcspGood(source=SOURCE, this_update=NOW - timedelta(minutes=5), next_update=NOW + HOUR)


# --- what is believed


def test_a_response_of_the_issuer_says_good() -> None:
    assert GOOD_FOR_AN_HOUR == judge(told())


def test_a_response_of_a_delegate_says_good() -> None:
    assert GOOD_FOR_AN_HOUR == judge(told_by(W.responder))


def test_a_responder_may_name_itself_by_name() -> None:
    assert GOOD_FOR_AN_HOUR == judge(told_by(W.responder, responder_id=by_name(W.responder)))
    assert GOOD_FOR_AN_HOUR == judge(told(responder_id=by_name(W.issuing)))


def test_a_delegate_may_sign_with_ed25519() -> None:
    responder = delegate(W.issuing, key=KeyKind.ED25519)
    assert GOOD_FOR_AN_HOUR == judge(told_by(responder))


def test_certificates_of_nobody_in_particular_do_not_matter() -> None:
    """What cannot be read, and what did not sign, is passed over."""
    der = told_by(W.responder, certificates=[b"\x30\x00", W.other, W.responder])
    assert GOOD_FOR_AN_HOUR == judge(der)


def test_the_version_may_be_written_out() -> None:
    assert GOOD_FOR_AN_HOUR == judge(told(version=bytes.fromhex("a003020100")))


def test_the_certificate_may_be_named_by_another_hash() -> None:
    assert GOOD_FOR_AN_HOUR == judge(told(single(W.dave, W.issuing, hash_name="sha256")))


def test_a_response_without_next_update_holds_for_the_maximum_age() -> None:
    der = told(single(W.dave, W.issuing, this_update=NOW - timedelta(minutes=10), next_update=NO_NEXT_UPDATE))
    rules = ResponseRules(maximum_age=timedelta(minutes=30))
    expected = OcspGood(
        source=SOURCE,
        this_update=NOW - timedelta(minutes=10),
        next_update=NOW + timedelta(minutes=20),
    )
    assert expected == judge(der, rules=rules)
    assert "expired 2026-03-01T12:20:00+00:00" in refused(
        judge(der, rules=rules, now=NOW + timedelta(minutes=20))
    )


def test_revoked_tells_since_when_and_why() -> None:
    since = NOW - timedelta(days=30)
    assert OcspRevoked(source=SOURCE, since=since, reason="keyCompromise") == judge(
        told(single(W.dave, W.issuing, revoked(since, reason=1)))
    )
    assert OcspRevoked(source=SOURCE, since=since, reason="") == judge(
        told(single(W.dave, W.issuing, revoked(since)))
    )
    assert OcspRevoked(source=SOURCE, since=since, reason="reason 7") == judge(
        told(single(W.dave, W.issuing, revoked(since, reason=7)))
    )


def test_a_hold_is_revoked() -> None:
    answer = judge(told(single(W.dave, W.issuing, revoked(reason=6))))
    assert isinstance(answer, OcspRevoked)
    assert "certificateHold" == answer.reason


@pytest.mark.parametrize(
    ("this_update", "next_update"),
    [(NOW - 2 * HOUR, NOW - HOUR), (NOW + HOUR, NOW + 2 * HOUR)],
    ids=["expired", "to come"],
)
def test_revoked_counts_at_all_times(this_update: datetime, next_update: datetime) -> None:
    one = single(W.dave, W.issuing, revoked(), this_update=this_update, next_update=next_update)
    assert isinstance(judge(told(one)), OcspRevoked)


def test_of_several_single_responses_ours_counts() -> None:
    others = single(W.other, W.issuing, revoked())
    assert GOOD_FOR_AN_HOUR == judge(told(others, single(W.dave, W.issuing), others))


def test_of_several_about_ours_the_worst_counts() -> None:
    good, unknown = single(W.dave, W.issuing), single(W.dave, W.issuing, UNKNOWN)
    bad = single(W.dave, W.issuing, revoked(), this_update=NOW - 9 * HOUR)
    assert isinstance(judge(told(good, bad, unknown)), OcspRevoked)
    assert isinstance(judge(told(good, unknown)), OcspUnknown)


def test_of_several_good_ones_about_ours_the_newest_counts() -> None:
    newer = NOW - timedelta(minutes=1)
    answer = judge(told(single(W.dave, W.issuing, this_update=newer), single(W.dave, W.issuing)))
    assert OcspGood(source=SOURCE, this_update=newer, next_update=NOW + HOUR) == answer


def test_a_response_of_the_librarys_builder_is_believed() -> None:
    """What others encode is read as what is encoded here."""
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=W.dave.certificate,
        issuer=W.issuing.certificate,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=NOW - timedelta(minutes=5),
        next_update=NOW + HOUR,
        revocation_time=None,
        revocation_reason=None,
    )
    built = (
        builder.responder_id(ocsp.OCSPResponderEncoding.NAME, W.responder.certificate)
        .certificates([W.responder.certificate])
        .add_extension(x509.OCSPNonce(NONCE), critical=False)
        .sign(W.responder.key, hashes.SHA256())
    )
    der = built.public_bytes(serialization.Encoding.DER)
    # The builder says that it is made now, by the clock of the machine, which is not that of these tests.
    rules = ResponseRules(require_nonce=True, clock_skew=timedelta(days=36_500))
    assert GOOD_FOR_AN_HOUR == judge(der, nonce=NONCE, rules=rules)


def test_the_library_reads_what_is_encoded_here() -> None:
    loaded = ocsp.load_der_ocsp_response(
        told_by(W.responder, extensions=[nonce_extension(NONCE)], responder_id=by_name(W.responder))
    )
    assert W.responder.certificate.subject == loaded.responder_name
    assert W.dave.certificate.serial_number == loaded.serial_number
    assert ocsp.OCSPCertStatus.GOOD == loaded.certificate_status
    assert NOW + HOUR == loaded.next_update_utc
    assert NONCE == loaded.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce


# --- T38: everything else is not "good"


def test_t38_unknown_is_not_good() -> None:
    assert OcspUnknown(source=SOURCE) == judge(told(single(W.dave, W.issuing, UNKNOWN)))


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (1, "malformedRequest"),
        (2, "internalError"),
        (3, "tryLater"),
        (4, "status 4"),
        (5, "sigRequired"),
        (6, "unauthorized"),
    ],
)
def test_t38_a_responder_that_says_that_it_cannot_answer_is_unavailable(status: int, name: str) -> None:
    assert f"the responder says `{name}`" == refused(judge(failed(status)))


ABOUT_OTHERS = {
    "another serial number": lambda: told(
        single(W.dave, W.issuing, serial=W.dave.certificate.serial_number + 1)
    ),
    "the same serial number of another issuer": lambda: told(single(W.dave, W.stranger)),
    "the same serial number of an issuer of the same name": lambda: told(single(W.dave, W.namesake)),
    "a hash function that is not known": lambda: told(single(W.dave, W.issuing, hash_name="md5")),
    "nobody": lambda: response(signer=W.issuing),
}


@pytest.mark.parametrize("made", ABOUT_OTHERS.values(), ids=ABOUT_OTHERS)
def test_t38_a_response_about_another_certificate_says_nothing(made: Callable[[], bytes]) -> None:
    assert "the response is about other certificates" == refused(judge(made()))


def resigned_delegate(hash_algorithm: hashes.SHA1) -> bytes:
    """Return the responder's certificate, signed with a weak hash."""
    return resigned(W.responder.der, W.issuing.key, hash_algorithm=hash_algorithm)


SIGNERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a stranger that names itself": (
        lambda: told_by(W.stranger.issue(eku=(OCSP_SIGNING,))),
        "its certificate is issued by `CN=Stranger`, expected `CN=Renovations Issuing CA,O=Renovations`",
    ),
    "a stranger in the name of the issuer": (
        lambda: told(key=W.stranger.key),
        "it has not made the signature",
    ),
    "a stranger in the name of the issuer's name": (
        lambda: told(key=W.stranger.key, responder_id=by_name(W.issuing)),
        "it has not made the signature",
    ),
    "a delegate of an issuer of the same name": (
        lambda: told_by(delegate(W.namesake)),
        "its certificate is not signed by the key of `CN=Renovations Issuing CA,O=Renovations`",
    ),
    "the root, which is not the issuer": (
        lambda: told_by(delegate(W.stranger)),
        "its certificate is issued by `CN=Stranger`",
    ),
    "a delegate whose certificate is not there": (
        lambda: told_by(W.responder, certificates=[]),
        "no certificate of the responder that it names may sign it",
    ),
    "a delegate that the response does not name": (
        lambda: told_by(W.responder, responder_id=by_key(W.other)),
        "no certificate of the responder that it names may sign it",
    ),
    "somebody else of the issuer's": (
        lambda: told_by(W.other),
        "its certificate is not for OCSP (extended key usage OCSPSigning)",
    ),
    "a delegate without extended key usage": (
        lambda: told_by(delegate(W.issuing, eku=None)),
        "its certificate is not for OCSP (extended key usage OCSPSigning)",
    ),
    "a delegate for any purpose": (
        lambda: told_by(delegate(W.issuing, eku=(x509.ObjectIdentifier("2.5.29.37.0"),))),
        "its certificate is not for OCSP (extended key usage OCSPSigning)",
    ),
    "a delegate that may not sign": (
        lambda: told_by(delegate(W.issuing, key_usage=key_usage("key_encipherment"))),
        "its certificate is not for signatures (key usage digitalSignature)",
    ),
    "a delegate that has expired": (
        lambda: told_by(delegate(W.issuing, not_after=NOW - timedelta(seconds=1))),
        "its certificate is valid from 2026-02-28T12:00:00+00:00 to 2026-03-01T11:59:59+00:00",
    ),
    "a delegate that is not valid yet": (
        lambda: told_by(delegate(W.issuing, not_before=NOW + timedelta(seconds=1))),
        "its certificate is valid from 2026-03-01T12:00:01+00:00",
    ),
    "a delegate with a critical extension that nobody knows": (
        lambda: told_by(
            delegate(
                W.issuing,
                extensions=(
                    (
                        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99.1"), b"\x05\x00"),
                        True,
                    ),
                ),
            )
        ),
        "critical extension 1.3.6.1.4.1.99.1 of its certificate is not supported",
    ),
    "a delegate that nobody says is not revoked": (
        lambda: told_by(delegate(W.issuing, extensions=())),
        "nobody tells whether its certificate is revoked (no id-pkix-ocsp-nocheck, no current list)",
    ),
    "a delegate with a weak key": (
        lambda: told_by(
            delegate(W.issuing, key=KeyKind.SECP256K1),
        ),
        "expected a key of RSA, ECDSA P-256, P-384, P-521, Ed25519 or Ed448",
    ),
    "a delegate with a weakly signed certificate": (
        lambda: told(signer=W.responder, certificates=[resigned_delegate(hashes.SHA1())]),  # noqa: S303
        "its certificate: expected a signature with SHA-256, SHA-384 or SHA-512, found sha1 (1.2.840.10045.4.1)",
    ),
    "the issuer, weakly": (
        lambda: told(hash_name="sha1"),
        "the response: expected a signature with SHA-256, SHA-384 or SHA-512, found sha1 (1.2.840.10045.4.1)",
    ),
}


@pytest.mark.parametrize(("made", "problem"), SIGNERS.values(), ids=SIGNERS)
def test_t38_only_the_issuer_and_its_delegates_may_sign(made: Callable[[], bytes], problem: str) -> None:
    assert problem in refused(judge(made()))


def test_t38_a_delegate_that_is_revoked_may_not_sign() -> None:
    """A list counts even where the certificate says that nobody need look."""
    assert "its certificate is revoked" in refused(judge(told_by(W.responder), revoked_responder=True))


def test_a_delegate_that_a_list_says_is_good_may_sign() -> None:
    responder = delegate(W.issuing, extensions=())
    assert GOOD_FOR_AN_HOUR == judge(told_by(responder), revoked_responder=False)


def test_t38_an_octet_of_the_signed_part_cannot_be_changed() -> None:
    der = told()
    changed = der.replace(encoded_time(NOW + HOUR), encoded_time(NOW + 9 * HOUR))
    assert changed != der
    assert "it has not made the signature" in refused(judge(changed))


def test_t38_a_signature_of_an_unknown_algorithm_is_none() -> None:
    der = told().replace(object_identifier("1.2.840.10045.4.3.2"), object_identifier("1.2.840.10045.4.3.9"))
    problem = "the response: it is signed with an algorithm that is not supported"
    assert problem == refused(judge(der))
    assert problem == refused(judge(der, rules=ResponseRules(floor=None)))


TIMES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a response that has expired": (
        lambda: told(single(W.dave, W.issuing, this_update=NOW - HOUR, next_update=NOW)),
        "the response expired 2026-03-01T12:00:00+00:00",
    ),
    "a response that is to come": (
        lambda: told(single(W.dave, W.issuing, this_update=NOW + timedelta(seconds=6))),
        "the response begins 2026-03-01T12:00:06+00:00",
    ),
    "a response that was made in the future": (
        lambda: told(produced_at=NOW + timedelta(seconds=6)),
        "the response was produced 2026-03-01T12:00:06+00:00",
    ),
    "an unknown that has expired": (
        lambda: told(single(W.dave, W.issuing, UNKNOWN, this_update=NOW - HOUR, next_update=NOW)),
        "the response expired 2026-03-01T12:00:00+00:00",
    ),
    "a replay without next update": (
        lambda: told(
            single(W.dave, W.issuing, this_update=NOW - timedelta(days=9), next_update=NO_NEXT_UPDATE)
        ),
        "the response expired 2026-02-20T13:00:00+00:00",
    ),
}


@pytest.mark.parametrize(("made", "problem"), TIMES.values(), ids=TIMES)
def test_t38_a_response_counts_only_in_its_time(made: Callable[[], bytes], problem: str) -> None:
    assert problem == refused(judge(made()))


def test_the_responders_clock_may_be_ahead_by_the_skew_and_five_seconds() -> None:
    rules = ResponseRules(clock_skew=timedelta(seconds=30))
    ahead = NOW + timedelta(seconds=35)
    der = told(single(W.dave, W.issuing, this_update=ahead), produced_at=ahead)
    assert isinstance(judge(der, rules=rules), OcspGood)
    assert isinstance(judge(der, rules=rules, now=NOW - timedelta(seconds=1)), OcspUnavailable)


def test_the_dates_of_a_delegate_allow_the_skew() -> None:
    der = told_by(delegate(W.issuing, not_before=NOW + timedelta(seconds=30)))
    assert isinstance(judge(der, rules=ResponseRules(clock_skew=timedelta(seconds=30))), OcspGood)
    assert isinstance(judge(der, rules=ResponseRules(clock_skew=timedelta(seconds=29))), OcspUnavailable)


def test_the_dates_of_the_issuer_are_its_paths_matter_and_not_judged_again() -> None:
    ended = Authority.root("CN=Ended", now=NOW, not_after=NOW - HOUR)
    dave = ended.issue()
    der = response(single(dave, ended), signer=ended)
    assert GOOD_FOR_AN_HOUR == judge(der, of=dave, issuer=ended)


def test_the_dates_of_a_certificate_may_be_the_ends_of_the_calendar() -> None:
    responder = delegate(W.issuing, not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert GOOD_FOR_AN_HOUR == judge(told_by(responder), rules=ResponseRules(clock_skew=HOUR))


def test_t38_a_response_with_another_nonce_is_refused_always() -> None:
    der = told(extensions=[nonce_extension(b"x" * 32)])
    problem = "the response has another nonce: it answers another question"
    for required in (False, True):
        assert problem == refused(judge(der, nonce=NONCE, rules=ResponseRules(require_nonce=required)))
    assert GOOD_FOR_AN_HOUR == judge(der)  # nobody asked with a nonce


def test_t38_a_response_without_the_nonce_is_refused_where_it_is_required() -> None:
    required = ResponseRules(require_nonce=True)
    assert "the response does not repeat the nonce" == refused(judge(told(), nonce=NONCE, rules=required))
    assert "a nonce is required, and none was sent" == refused(judge(told(), rules=required))
    assert GOOD_FOR_AN_HOUR == judge(told(), nonce=NONCE)
    repeated = told(extensions=[nonce_extension(NONCE, critical=True)])
    assert GOOD_FOR_AN_HOUR == judge(repeated, nonce=NONCE, rules=required)


@pytest.mark.parametrize(
    "made",
    [
        lambda: told(extensions=[CRITICAL]),
        lambda: told(single(W.dave, W.issuing, extensions=[CRITICAL])),
        lambda: told(single(W.dave, W.issuing), single(W.other, W.issuing, extensions=[CRITICAL])),
    ],
    ids=["of the response", "of the single response", "of another single response"],
)
def test_t38_a_critical_extension_that_nobody_knows_refuses(made: Callable[[], bytes]) -> None:
    problem = "critical extension 1.3.6.1.4.1.99.1 of the response is not supported"
    assert problem == refused(judge(made()))


def test_extensions_that_are_not_critical_do_not_matter() -> None:
    harmless = extension("1.3.6.1.4.1.99.1", b"")
    assert GOOD_FOR_AN_HOUR == judge(
        told(single(W.dave, W.issuing, extensions=[harmless]), extensions=[harmless])
    )


# --- pinned responders


def test_t38_where_responders_are_pinned_nobody_else_may_sign() -> None:
    rules = ResponseRules(pinned=(facts_of(W.other),))
    problem = "no certificate of the responder that it names may sign it"
    assert problem == refused(judge(told(), rules=rules))
    assert problem == refused(judge(told_by(W.responder), rules=rules))


def test_a_pinned_responder_may_sign_whoever_issued_it() -> None:
    pinned = W.stranger.issue("CN=Validation", eku=(CLIENT_AUTH,))
    rules = ResponseRules(pinned=(facts_of(W.other), facts_of(pinned)))
    assert GOOD_FOR_AN_HOUR == judge(told(signer=pinned), rules=rules)
    assert "it has not made the signature" in refused(
        judge(told(signer=pinned, key=W.other.key), rules=rules)
    )


def test_t38_a_pinned_responder_that_has_expired_may_not_sign() -> None:
    pinned = W.stranger.issue("CN=Validation", not_after=NOW - HOUR)
    rules = ResponseRules(pinned=(facts_of(pinned),))
    assert "its certificate is valid from" in refused(judge(told(signer=pinned), rules=rules))


# --- what nobody would sign with


def test_a_weak_signature_is_accepted_where_the_profile_says_so() -> None:
    rules = ResponseRules(floor=None)
    assert GOOD_FOR_AN_HOUR == judge(told(hash_name="sha1"), rules=rules)
    weak = told(signer=W.responder, certificates=[resigned_delegate(hashes.SHA1())])  # noqa: S303
    assert GOOD_FOR_AN_HOUR == judge(weak, rules=rules)


def test_a_delegates_certificate_of_an_unknown_algorithm_is_nobodys() -> None:
    known, unknown = map(object_identifier, ("1.2.840.10045.4.3.2", "1.2.840.10045.4.3.9"))
    der = W.responder.der.replace(known, unknown)
    told_it = told(signer=W.responder, certificates=[der])
    assert "its certificate: " in refused(judge(told_it))


def test_an_issuer_whose_key_is_not_accepted_delegates_to_nobody() -> None:
    weak = Authority.root("CN=Weak", now=NOW, key=KeyKind.SECP256K1)
    dave, responder = weak.issue(), delegate(weak)
    der = told(single(dave, weak), signer=responder, certificates=[responder])
    assert "found secp256k1" in refused(judge(der, of=dave, issuer=weak))


def test_keys_that_cannot_be_used_sign_nothing() -> None:
    """DSA keys without parameters, and what the library does not know."""
    usable = facts_of(W.responder)
    assert "" == find_responder_problem(usable)
    assert "its key is not supported" in find_responder_problem(with_key(usable, kind="unsupported"))
    assert "its key is not supported" in find_responder_problem(with_key(usable, kind="DSA", inherits=True))


def with_key(facts: CertificateFacts, *, kind: str, inherits: bool = False) -> CertificateFacts:
    """Return facts that say that a key is of another kind."""
    return replace(facts, key=replace(facts.key, kind=kind, inherits=inherits))


# --- octets that are no response

EMPTY = der_element(SEQUENCE, b"")


def signed_part(*fields: bytes) -> bytes:
    """Return a response whose ResponseData has these fields; what it is signed with does not matter."""
    algorithm = der_element(SEQUENCE, object_identifier("1.2.840.10045.4.3.2"))
    return wrapped(der_element(SEQUENCE, b"".join(fields)) + algorithm + b"\x03\x02\x00\x00")


def with_single(*fields: bytes) -> bytes:
    """Return a response with one single response of these fields."""
    inner = der_element(SEQUENCE, b"".join(fields))
    return signed_part(by_key(W.issuing), encoded_time(NOW), der_element(SEQUENCE, inner))


CERT_ID = certificate_id(W.dave, W.issuing)

SHAPES = {
    "nothing": b"",
    "text": b"<html>404</html>",
    "successful without a response": der_element(SEQUENCE, b"\x0a\x01\x00"),
    "a response of another type": wrapped(b"", response_type="1.3.6.1.5.5.7.48.1.99"),
    "an empty basic response": wrapped(b""),
    "octets after it": told() + b"\x00",
    "another version": told(version=bytes.fromhex("a003020101")),
    "too many certificates": told(certificates=[W.other] * (MOST_EMBEDDED_CERTIFICATES + 1)),
    "an extension twice": told(extensions=[extension("1.2.3", b""), extension("1.2.3", b"")]),
    "an extension that is critical in two ways": told(
        extensions=[der_element(SEQUENCE, object_identifier("1.2.3") + b"\x01\x01\x01\x04\x00")]
    ),
    "a nonce that is none": told(extensions=[extension("1.3.6.1.5.5.7.48.1.2", b"\x05\x00")]),
    "a single response that is none": signed_part(
        by_key(W.issuing), encoded_time(NOW), der_element(SEQUENCE, b"\x05\x00")
    ),
    "a status that is none": with_single(CERT_ID, b"\x83\x00", encoded_time(NOW)),
    "a good with a content": with_single(CERT_ID, b"\x80\x01\x00", encoded_time(NOW)),
    "a time with a fraction": with_single(CERT_ID, GOOD, der_element(0x18, b"20260301120000.5Z")),
    "a day that the calendar does not have": with_single(
        CERT_ID, GOOD, der_element(0x18, b"20260230120000Z")
    ),
}


@pytest.mark.parametrize("der", SHAPES.values(), ids=SHAPES)
def test_t38_what_is_no_response_says_nothing(der: bytes) -> None:
    assert "the response cannot be read: " in refused(judge(der))


def test_a_response_that_is_too_large_is_not_read() -> None:
    problem = f"expected a response of at most {LARGEST_RESPONSE} octets, found {LARGEST_RESPONSE + 1}"
    assert problem == refused(judge(bytes(LARGEST_RESPONSE + 1)))


MUTABLE = told_by(W.responder, extensions=[nonce_extension(NONCE)])


@settings(max_examples=400, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(MUTABLE) - 1), st.integers(1, 255)), min_size=1, max_size=3
    ),
    cut=st.integers(0, len(MUTABLE)) | st.none(),
)
def test_t38_a_response_that_was_changed_is_an_answer_and_never_good(
    changes: list[tuple[int, int]], cut: int | None
) -> None:
    """Whatever the octets: no exception. A change leaves "good" only where nothing that counts was changed."""
    octets = bytearray(MUTABLE)
    for position, bits in changes:
        octets[position] ^= bits
    der = bytes(octets[:cut])
    answer = judge(der, nonce=NONCE)
    if isinstance(answer, OcspGood):
        assert GOOD_FOR_AN_HOUR == answer
        read, original = read_response(der), read_response(MUTABLE)
        assert isinstance(read, BasicResponse)
        assert isinstance(original, BasicResponse)
        assert original.signed == read.signed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_t38_any_octets_are_an_answer(octets: bytes) -> None:
    assert isinstance(judge(octets), OcspUnavailable)


# --- requests, and whom a certificate names


def test_a_request_names_exactly_one_certificate() -> None:
    loaded = ocsp.load_der_ocsp_request(build_request(facts_of(W.dave), facts_of(W.issuing), nonce=NONCE))
    expected = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(W.dave.certificate, W.issuing.certificate, hashes.SHA1())  # noqa: S303 - as responders know it
        .build()
    )
    assert expected.issuer_name_hash == loaded.issuer_name_hash
    assert expected.issuer_key_hash == loaded.issuer_key_hash
    assert W.dave.certificate.serial_number == loaded.serial_number
    assert "sha1" == loaded.hash_algorithm.name
    assert NONCE == loaded.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce


def test_a_request_without_a_nonce_is_the_same_each_time() -> None:
    made = {build_request(facts_of(W.dave), facts_of(W.issuing), nonce=None) for _ in range(2)}
    assert 1 == len(made)
    assert [] == list(ocsp.load_der_ocsp_request(made.pop()).extensions)


def urls(*found: tuple[x509.ExtensionType, bool]) -> tuple[str, ...]:
    return responder_urls(facts_of(W.issuing.issue(extensions=found)))


def test_a_certificate_names_its_responders() -> None:
    assert () == urls()
    assert ("http://a/", "http://b/") == urls(access_to("http://a/", "http://b/", "http://a/"))
    assert 4 == len(urls(access_to(*(f"http://{n}/" for n in range(9)))))
    assert () == urls(access_to("http://a/" + "a" * 2_048))


def test_only_addresses_of_responders_count() -> None:
    name = x509.DirectoryName(name_from_text("CN=Responder"))
    issuers = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://a/")
    )
    elsewhere = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, name)
    assert () == urls((x509.AuthorityInformationAccess([issuers, elsewhere]), False))


def test_reading_alone_believes_nothing() -> None:
    """A response of nobody is read like any other."""
    read = read_response(told(key=generate_key()))
    assert isinstance(read, BasicResponse)
    with pytest.raises(DerSyntaxError):
        read_response(EMPTY)
