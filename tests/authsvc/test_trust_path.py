"""The certification path: each refusal with its allowed neighbour, precedence, and the path's threats."""

import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from authsvc.reason import Reason
from authsvc.trust import path, path_building
from authsvc.trust.anchors import AnchorSettings, StrengthFloor, TrustStore
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.path import MOST_PRESENTED_CERTIFICATES, VerifiedCertificate
from directory_assistance.dn import read_ldap_dn
from tests.support.pki import (
    CA_KEY_USAGE,
    CLIENT_AUTH,
    NOW,
    SERVER_AUTH,
    Authority,
    Issued,
    KeyKind,
    SmallWorld,
    der_element,
    dns,
    generate_key,
    key_usage,
    mail,
    resigned,
    small_world,
    upn,
    uri,
)
from tests.support.trust import anchor_of, refused, store_of, verified, verify, world_store

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SHA1 = hashes.SHA1()  # noqa: S303 - what must be refused
ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


@pytest.fixture(scope="module")
def store(world: SmallWorld) -> TrustStore:
    return world_store(world)


# ------------------------------------------------------------------------------------------------ accepted


def test_a_correct_certificate_is_verified_with_its_path_and_anchor(
    world: SmallWorld, store: TrustStore
) -> None:
    evidence = verified(verify(world.dave, store))
    assert [element.der for element in evidence.path] == [world.dave.der, world.issuing.der, world.root.der]
    assert evidence.anchor_id == "corp"
    assert evidence.front_end == "nginx"
    assert evidence.names.common_names == ("Dave Lawson",)
    assert evidence.not_after == world.dave.certificate.not_valid_after_utc
    assert not evidence.expired_accepted


def test_a_verified_certificate_cannot_be_made_without_the_check(
    world: SmallWorld, store: TrustStore
) -> None:
    evidence = verified(verify(world.dave, store))
    with pytest.raises(AssertionError, match="made by verify_path only"):
        VerifiedCertificate(
            names=evidence.names,
            path=evidence.path,
            anchor=evidence.anchor,
            front_end=evidence.front_end,
            not_after=evidence.not_after,
            expired_accepted=False,
            seal=None,
        )
    with pytest.raises(AssertionError):
        replace(evidence, front_end="other", seal=object())


@pytest.mark.parametrize(
    "deviation",
    [
        pytest.param(
            {"san": [mail("d@x.org"), upn("d@x"), dns("x.org"), uri("urn:x")]}, id="with alternative names"
        ),
        pytest.param({"subject_key_id": False, "authority_key_id": False}, id="without key identifiers"),
        pytest.param({"key_usage": None}, id="without key usage"),
        pytest.param(
            {"key_usage": key_usage("digital_signature", "key_encipherment")}, id="with further usages"
        ),
        pytest.param({"eku": (SERVER_AUTH, CLIENT_AUTH)}, id="for servers and clients"),
        pytest.param(
            {"basic_constraints": x509.BasicConstraints(ca=False, path_length=None)}, id="saying no CA"
        ),
        pytest.param({"key": KeyKind.RSA_2048}, id="RSA-2048"),
        pytest.param({"key": KeyKind.P384}, id="P-384"),
        pytest.param({"key": KeyKind.P521}, id="P-521"),
        pytest.param({"key": KeyKind.ED25519}, id="Ed25519"),
        pytest.param({"key": KeyKind.ED448}, id="Ed448"),
        pytest.param({"hash_algorithm": hashes.SHA512()}, id="signed with SHA-512"),
        pytest.param({"subject": "", "san": [mail("d@x.org")]}, id="without a subject"),
        pytest.param(
            {
                "eku": None,
                "extensions": [(x509.ExtendedKeyUsage([CLIENT_AUTH]), True)],
            },
            id="with critical extended key usage",
        ),
        pytest.param(
            {
                "extensions": [
                    (
                        x509.CertificatePolicies(
                            [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]
                        ),
                        True,
                    )
                ]
            },
            id="with critical certificate policies, which nobody asks about",
        ),
        pytest.param(
            {
                "extensions": [
                    (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)
                ]
            },
            id="with an unknown extension that is not critical",
        ),
    ],
)
def test_a_certificate_within_the_profile_is_accepted(
    world: SmallWorld, store: TrustStore, deviation: dict[str, object]
) -> None:
    verified(verify(_issue(world.issuing, deviation), store))


def _issue(authority: Authority, deviation: dict[str, object]) -> Issued:
    return authority.issue(**deviation)  # type: ignore[arg-type]  # the table names arguments of `issue`


def test_an_intermediate_may_come_from_the_client(world: SmallWorld) -> None:
    store = store_of(anchor_of(world.root))
    verified(verify(world.dave, store, chain=(world.issuing.der,)))


def test_an_anchor_may_be_an_issuing_authority_itself(world: SmallWorld) -> None:
    evidence = verified(verify(world.dave, store_of(anchor_of(world.issuing))))
    assert [element.der for element in evidence.path] == [world.dave.der, world.issuing.der]


def test_a_pinned_certificate_is_its_own_anchor(world: SmallWorld) -> None:
    store = store_of(anchor_of(world.dave, AnchorSettings(id="pinned")))
    evidence = verified(verify(world.dave, store))
    assert [element.der for element in evidence.path] == [world.dave.der]
    assert evidence.anchor_id == "pinned"
    assert refused(verify(world.issuing.issue(), store)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_pinned_certificate_must_fit_the_profile_and_be_valid(world: SmallWorld) -> None:
    settings = AnchorSettings(id="pinned")
    expired = world.issuing.issue(not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    refusal = refused(verify(expired, store_of(anchor_of(expired, settings))))
    assert refusal.reason is Reason.CERTIFICATE_EXPIRED
    evidence = verified(verify(expired, store_of(anchor_of(expired, settings)), accept_expired=2 * DAY))
    assert evidence.expired_accepted
    assert [element.der for element in evidence.path] == [expired.der]
    server = world.issuing.issue(eku=(SERVER_AUTH,))
    refusal = refused(verify(server, store_of(anchor_of(server, settings))))
    assert refusal.reason is Reason.CERTIFICATE_USAGE


# ---------------------------------------------------------------------------------------------- unreadable


def test_bytes_that_are_no_certificate_are_unreadable(store: TrustStore) -> None:
    refusal = refused(verify(b"\x30\x03\x02\x01\x01", store))
    assert refusal.reason is Reason.CERTIFICATE_UNREADABLE
    assert refusal.names is None


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_chain_is_limited_in_number_before_it_is_read(
    world: SmallWorld, store: TrustStore, surplus: int
) -> None:
    chain = (b"no certificate",) * (MOST_PRESENTED_CERTIFICATES + surplus)
    outcome = verify(world.dave, store, chain=chain)
    if surplus:
        assert refused(outcome).reason is Reason.CERTIFICATE_UNREADABLE
        assert refused(outcome).detail == "expected at most 10 chain certificates, found 11"
    else:
        verified(outcome)


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_chain_is_limited_in_size_before_it_is_read(
    world: SmallWorld, store: TrustStore, surplus: int
) -> None:
    outcome = verify(world.dave, store, chain=(b"\x00" * (65_536 + surplus),))
    assert isinstance(outcome, VerifiedCertificate) == (surplus == 0)


def _drop_version(fields: list[bytes]) -> list[bytes]:
    return fields[1:]


def _serial(value: int) -> bytes:
    return der_element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(_drop_version, id="version 1 with extensions"),
        pytest.param(lambda fields: [*_drop_version(fields)[:-1]], id="version 1 without extensions"),
        pytest.param(lambda fields: [fields[0], _serial(0), *fields[2:]], id="serial number zero"),
        pytest.param(lambda fields: [fields[0], _serial(-5), *fields[2:]], id="negative serial number"),
        pytest.param(
            lambda fields: [fields[0], _serial(1 << 168), *fields[2:]], id="serial number of 22 octets"
        ),
        pytest.param(lambda fields: [fields[0], b"\x02\x02\x00\x05", *fields[2:]], id="padded serial number"),
        pytest.param(
            lambda fields: [
                *fields[:-1],
                fields[-1].replace(b"\x06\x03\x55\x1d\x0f", b"\x06\x03\x55\x1d\x25"),
            ],
            id="an extension twice",
        ),
        pytest.param(lambda fields: [*fields, b"\x05\x00"], id="a field left over"),
    ],
)
def test_t17_a_certificate_that_two_readers_could_read_differently_is_unreadable(
    world: SmallWorld, store: TrustStore, edit: object
) -> None:
    assert callable(edit)
    der = resigned(world.dave.der, world.issuing.key, edit=edit)
    assert refused(verify(der, store)).reason is Reason.CERTIFICATE_UNREADABLE
    verified(verify(resigned(world.dave.der, world.issuing.key), store))


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda der: der + b"\x00", id="an octet after it"),
        pytest.param(lambda der: b"\x30\x80" + der[4:] + b"\x00\x00", id="indefinite length"),
        pytest.param(lambda der: b"\x30\x83\x00" + der[2:], id="length not minimal"),
        pytest.param(lambda der: der[:-1], id="cut off"),
    ],
)
def test_t17_other_encodings_of_the_same_certificate_are_unreadable(
    world: SmallWorld, store: TrustStore, tamper: object
) -> None:
    assert callable(tamper)
    assert refused(verify(tamper(world.dave.der), store)).reason is Reason.CERTIFICATE_UNREADABLE


# ----------------------------------------------------------------------------------------------- untrusted


def test_a_foreign_certificate_with_a_good_subject_is_untrusted(store: TrustStore) -> None:
    foreign = Authority.root("CN=Foreign CA,O=Elsewhere", now=NOW).issue()
    refusal = refused(verify(foreign, store))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.names is not None
    assert refusal.names.common_names == ("Dave Lawson",)
    assert "either an intermediate certificate is missing, or its root is not trusted" in refusal.detail


def test_t20_the_leaf_is_what_was_presented_whatever_the_chain_holds(
    world: SmallWorld, store: TrustStore
) -> None:
    foreign = Authority.root("CN=Foreign CA", now=NOW).issue("CN=Mallory")
    for chain in [(world.dave.der, world.issuing.der), (world.issuing.der, world.dave.der)]:
        assert refused(verify(foreign, store, chain=chain)).reason is Reason.CERTIFICATE_UNTRUSTED
    sandra = world.issuing.issue("CN=Sandra Smith")
    evidence = verified(verify(world.dave, store, chain=(sandra.der, world.dave.der, world.root.der)))
    assert evidence.path[0].der == world.dave.der


def test_t20_the_order_of_the_chain_decides_nothing(world: SmallWorld) -> None:
    middle = world.root.issue_authority("CN=Middle", path_length=None)
    issuing = middle.issue_authority("CN=Low")
    dave = issuing.issue()
    store = store_of(anchor_of(world.root))
    pool = (middle.der, issuing.der, world.issuing.der)
    paths = {verified(verify(dave, store, chain=chain)).path for chain in [pool, pool[::-1]]}
    assert len(paths) == 1


def test_a_presented_self_made_root_does_not_make_a_path(store: TrustStore) -> None:
    root = Authority.root(now=NOW)  # the same name as the trusted root, another key
    issuing = root.issue_authority()
    refusal = refused(verify(issuing.issue(), store, chain=(issuing.der, root.der)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED


def test_t22_a_second_authority_of_the_same_name_is_another_one(world: SmallWorld) -> None:
    twin = Authority.root(now=NOW)
    assert twin.certificate.subject == world.root.certificate.subject
    direct = world.root.issue()
    store = store_of(anchor_of(twin, AnchorSettings(id="twin")), anchor_of(world.root))
    assert verified(verify(direct, store)).anchor_id == "corp"
    assert verified(verify(twin.issue(), store)).anchor_id == "twin"
    refusal = refused(verify(direct, store_of(anchor_of(twin, AnchorSettings(id="twin")))))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert "not signed by the key of trust anchor `twin` of that name" in refusal.detail


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [
        pytest.param({"basic_constraints": False}, "no certification authority", id="no basicConstraints"),
        pytest.param(
            {
                "basic_constraints": False,
                "extensions": [(x509.BasicConstraints(ca=False, path_length=None), True)],
            },
            "no certification authority",
            id="not a CA",
        ),
        pytest.param(
            {"key_usage": key_usage("digital_signature")}, "without keyCertSign", id="no keyCertSign"
        ),
    ],
)
def test_t23_a_certificate_that_may_not_issue_makes_no_path(
    world: SmallWorld, deviation: dict[str, object], expected: str
) -> None:
    # the table names arguments of `issue_authority`
    issuer = world.root.issue_authority("CN=No Issuer", **deviation)  # type: ignore[arg-type]
    refusal = refused(verify(issuer.issue(), store_of(anchor_of(world.root), intermediates=(issuer,))))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert expected in refusal.detail
    neighbour = world.root.issue_authority("CN=No Issuer", key_usage=None)
    verified(verify(neighbour.issue(), store_of(anchor_of(world.root), intermediates=(neighbour,))))


def test_t23_an_end_entity_certificate_is_not_used_as_an_authority(
    world: SmallWorld, store: TrustStore
) -> None:
    below = Authority(certificate=world.dave.certificate, key=world.dave.key, now=NOW)
    refusal = refused(verify(below.issue("CN=Mallory"), store, chain=(world.dave.der,)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert "no certification authority" in refusal.detail


def test_t23_path_length_is_kept(world: SmallWorld) -> None:
    upper = world.root.issue_authority("CN=Upper", path_length=0)
    lower = upper.issue_authority("CN=Lower")
    store = store_of(anchor_of(world.root), intermediates=(upper, lower))
    verified(verify(upper.issue(), store))
    refusal = refused(verify(lower.issue(), store))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == "issuer `CN=Upper`: it allows 0 authorities below it, found 1"


def test_t23_name_constraints_are_kept(world: SmallWorld) -> None:
    limit = x509.NameConstraints([mail("renovations.com")], None)
    issuing = world.root.issue_authority("CN=Limited", extensions=[(limit, True)])
    store = store_of(anchor_of(world.root), intermediates=(issuing,))
    verified(verify(issuing.issue(san=[mail("dave@renovations.com")]), store))
    refusal = refused(verify(issuing.issue(san=[mail("dave@elsewhere.com")]), store))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == (
        "issuer `CN=Limited` may not certify `CN=Dave Lawson,O=Renovations`: "
        "rfc822Name `dave@elsewhere.com` is in none of the permitted subtrees"
    )


def test_t24_cyclic_and_same_named_issuers_are_answered_within_the_budgets(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten authorities of one name, each certified by the next, in a ring; the anchors are namesakes."""
    keys = [generate_key() for _ in range(10)]
    ring = [
        Authority.root("CN=Ring", now=NOW, key=keys[(number + 1) % 10]).issue_authority(
            "CN=Ring", key=keys[number], path_length=None
        )
        for number in range(10)
    ]
    checked: list[bytes] = []
    is_signed_by = path_building._is_signed_by

    def count(below: CertificateFacts, key: PublicKeyTypes | None) -> bool:
        checked.append(below.der)
        return is_signed_by(below, key)

    namesakes = [Authority.root("CN=Ring", now=NOW) for _ in range(2)]
    foreign = store_of(*(anchor_of(one) for one in namesakes))
    monkeypatch.setattr(path_building, "_is_signed_by", count)
    refusal = refused(verify(ring[0].issue(), foreign, chain=tuple(one.der for one in ring)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(checked) == path_building._MOST_SIGNATURES
    assert refusal.detail == (
        "no path from `CN=Dave Lawson,O=Renovations` to a trust anchor was found among the first signatures: "
        "too many certificates have the names of its issuers"
    )
    verified(verify(world.dave, world_store(world), chain=tuple(one.der for one in ring)))


@pytest.mark.parametrize("further", [0, 1])
def test_t24_the_paths_of_one_diagnosis_are_limited(world: SmallWorld, further: int) -> None:
    """The one anchor that would accept is looked at if it stands within the limit."""
    strict = [
        anchor_of(world.root, AnchorSettings(id=f"strict {number}"))
        for number in range(path._MOST_PATHS - 1 + further)
    ]
    lenient = anchor_of(world.root, AnchorSettings(id="lenient", eku_required=False))
    store = store_of(*strict, lenient, intermediates=(world.issuing,))
    outcome = verify(world.issuing.issue(eku=None), store)
    assert isinstance(outcome, VerifiedCertificate) == (further == 0)


@pytest.mark.parametrize("weak", [False, True])
def test_a_hint_with_a_key_of_an_unknown_kind_makes_no_path(world: SmallWorld, weak: bool) -> None:
    """`cryptography` raises where it is asked for such a key."""
    p256 = bytes.fromhex("06072a8648ce3d0201")
    assert world.issuing.der.count(p256) == 1
    unknown = resigned(
        world.issuing.der,
        world.root.key,
        edit=lambda fields: [field.replace(p256, bytes.fromhex("06072a8648ce3d0209")) for field in fields],
    )
    leaf = resigned(world.dave.der, world.issuing.key, hash_algorithm=SHA1 if weak else None)
    refusal = refused(verify(leaf, store_of(anchor_of(world.root)), chain=(unknown,)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_signature_of_another_kind_of_key_is_untrusted(world: SmallWorld, store: TrustStore) -> None:
    forged = world.issuing.issue(signing_key=generate_key(KeyKind.ED25519))
    assert refused(verify(forged, store)).reason is Reason.CERTIFICATE_UNTRUSTED


@pytest.mark.parametrize("kind", [KeyKind.P256, KeyKind.RSA_2048, KeyKind.ED25519])
def test_a_weak_signature_that_does_not_hold_is_untrusted(world: SmallWorld, kind: KeyKind) -> None:
    forged = resigned(world.dave.der, generate_key(), hash_algorithm=SHA1)
    issuing = world.root.issue_authority(key=kind)
    store = store_of(anchor_of(world.root), intermediates=(issuing,))
    assert refused(verify(forged, store)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_path_deeper_than_the_limit_is_untrusted(world: SmallWorld) -> None:
    authority, chain = world.root, []
    for depth in range(9):
        authority = authority.issue_authority(f"CN=Depth {depth}", path_length=None)
        chain.append(authority.der)
        outcome = verify(authority.issue(), store_of(anchor_of(world.root)), chain=tuple(chain))
        assert isinstance(outcome, VerifiedCertificate) == (depth < 8), depth
        expired = authority.issue(not_before=NOW - DAY, not_after=NOW - SECOND)
        diagnosed = refused(verify(expired, store_of(anchor_of(world.root)), chain=tuple(chain))).reason
        if depth < 8:
            assert diagnosed is Reason.CERTIFICATE_EXPIRED
        else:
            assert refused(outcome).reason is Reason.CERTIFICATE_UNTRUSTED
            assert diagnosed is Reason.CERTIFICATE_UNTRUSTED


def test_t78_a_stranger_costs_no_signature_check(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer is looked for by name first, and paths not at all."""
    monkeypatch.setattr("authsvc.trust.path.build_paths", None)  # calling it would raise
    foreign = Authority.root("CN=Foreign CA", now=NOW)
    issuing = foreign.issue_authority("CN=Foreign Issuing")
    outcome = verify(issuing.issue(), world_store(world), chain=(issuing.der, foreign.der))
    assert refused(outcome).reason is Reason.CERTIFICATE_UNTRUSTED


# ----------------------------------------------------------------------------------- explaining "untrusted"


def test_untrusted_says_that_an_intermediate_may_be_missing(world: SmallWorld) -> None:
    refusal = refused(verify(world.dave, store_of(anchor_of(world.root))))
    assert refusal.detail == (
        "issuer `CN=Renovations Issuing CA,O=Renovations` of `CN=Dave Lawson,O=Renovations` "
        "is neither a trust anchor nor a known intermediate: "
        "either an intermediate certificate is missing, or its root is not trusted"
    )


def test_untrusted_says_where_a_known_path_ends(world: SmallWorld) -> None:
    other = store_of(anchor_of(Authority.root("CN=Other", now=NOW)))
    whole = refused(verify(world.dave, other, chain=(world.issuing.der, world.root.der)))
    assert (
        whole.detail
        == "the path ends at root `CN=Renovations Root CA,O=Renovations`, which is no trust anchor"
    )
    part = refused(verify(world.dave, other, chain=(world.issuing.der,)))
    assert part.detail.startswith(
        "issuer `CN=Renovations Root CA,O=Renovations` of `CN=Renovations Issuing CA"
    )


def test_untrusted_says_that_a_known_issuer_did_not_sign(world: SmallWorld, store: TrustStore) -> None:
    forged = world.issuing.issue(signing_key=generate_key())
    assert (
        "not signed by the key of the known certificate of that name" in refused(verify(forged, store)).detail
    )


def test_untrusted_says_that_a_certificate_is_self_signed(store: TrustStore) -> None:
    own = Authority.root("CN=Dave Lawson", now=NOW)
    assert "is self-signed, and is no trust anchor on front end `nginx`" in refused(verify(own, store)).detail


# ------------------------------------------------------------------------------------- front ends and anchors


def test_an_anchor_limited_to_front_ends_counts_only_there(world: SmallWorld) -> None:
    limited = AnchorSettings(id="corp", front_ends=frozenset({"direct", "api"}))
    store = world_store(world, limited)
    verified(verify(world.dave, store, front_end="direct"))
    verified(verify(world.dave, store, front_end="api"))
    refusal = refused(verify(world.dave, store, front_end="nginx"))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == "no trust anchor counts on front end `nginx`"


def test_an_anchor_that_lists_no_api_does_not_count_on_the_api(world: SmallWorld) -> None:
    other = Authority.root("CN=Other", now=NOW)
    store = store_of(
        anchor_of(world.root, AnchorSettings(id="corp", front_ends=frozenset({"nginx"}))),
        anchor_of(other, AnchorSettings(id="other")),
        intermediates=(world.issuing,),
    )
    verified(verify(world.dave, store, front_end="nginx"))
    refusal = refused(verify(world.dave, store, front_end="api"))
    assert refusal.detail == "trust anchor `corp` does not count on front end `api`"
    verified(verify(other.issue(), store, front_end="api"))
    verified(verify(other.issue(), store, front_end="nginx"))


def test_the_same_certificate_may_be_two_anchors_for_two_front_ends(world: SmallWorld) -> None:
    store = store_of(
        anchor_of(world.root, AnchorSettings(id="web", front_ends=frozenset({"nginx"}))),
        anchor_of(world.root, AnchorSettings(id="admin", front_ends=frozenset({"api"}))),
        intermediates=(world.issuing,),
    )
    assert verified(verify(world.dave, store, front_end="nginx")).anchor_id == "web"
    assert verified(verify(world.dave, store, front_end="api")).anchor_id == "admin"


def test_trust_in_an_anchor_ends_at_its_end_date(world: SmallWorld) -> None:
    store = world_store(world, AnchorSettings(id="corp", not_after=NOW + SECOND))
    assert verified(verify(world.dave, store)).not_after == NOW + SECOND
    refusal = refused(verify(world.dave, store, now=NOW + SECOND))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == "trust in anchor `corp` ended at 2026-03-01T12:00:01+00:00"


@pytest.mark.parametrize(
    ("permitted", "subject", "accepted"),
    [
        pytest.param("O=Renovations", "CN=Dave,OU=East,O=Renovations", True, id="below the name"),
        pytest.param("O=renovations", "CN=Dave,O=RENOVATIONS", True, id="case does not matter"),
        pytest.param("CN=Dave,O=Renovations", "CN=Dave,O=Renovations", True, id="the name itself"),
        pytest.param("O=Renovations", "O=Renovations,CN=Dave", False, id="the name at the wrong end"),
        pytest.param("O=Renovations", "CN=Dave,O=Acme", False, id="another name"),
        pytest.param("OU=East,O=Renovations", "CN=Dave,O=Renovations", False, id="above the name"),
        pytest.param(
            "CN=A,CN=Dave,O=Renovations", "CN=Dave,O=Renovations", False, id="shorter than the name"
        ),
    ],
)
def test_an_anchor_with_permitted_names_counts_for_subjects_below_them(
    world: SmallWorld, permitted: str, subject: str, accepted: bool
) -> None:
    store = world_store(world, AnchorSettings(id="corp", permitted_names=(read_ldap_dn(permitted),)))
    outcome = verify(world.issuing.issue(subject), store)
    if accepted:
        verified(outcome)
    else:
        assert refused(outcome).reason is Reason.CERTIFICATE_UNTRUSTED
        assert "anchor `corp` is not trusted for the name" in refused(outcome).detail


def test_an_empty_list_of_permitted_names_permits_nothing(world: SmallWorld) -> None:
    store = world_store(world, AnchorSettings(id="corp", permitted_names=()))
    assert refused(verify(world.dave, store)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_permitted_names_do_not_hold_for_a_subject_that_cannot_be_used(world: SmallWorld) -> None:
    store = world_store(world, AnchorSettings(id="corp", permitted_names=(read_ldap_dn("O=Renovations"),)))
    nul = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Renovations"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "Dave\x00"),
        ]
    )
    assert refused(verify(world.issuing.issue(nul), store)).reason is Reason.CERTIFICATE_UNTRUSTED
    assert verified(verify(world.issuing.issue(nul), world_store(world))).names.unusable


def test_when_one_anchor_refuses_a_path_to_another_is_found(world: SmallWorld) -> None:
    """The issuing authority is cross-signed; the first anchor demands what the certificate has not."""
    other = Authority.root("CN=Other Root", now=NOW)
    crossed = other.issue_authority(key=world.issuing.key)
    store = store_of(
        anchor_of(
            world.root, AnchorSettings(id="strict", floor=StrengthFloor(rsa_bits=3072), eku_required=True)
        ),
        anchor_of(other, AnchorSettings(id="lenient", eku_required=False)),
        intermediates=(world.issuing, crossed),
    )
    assert verified(verify(world.dave, store)).anchor_id == "strict"
    assert verified(verify(world.issuing.issue(eku=None), store)).anchor_id == "lenient"


# ---------------------------------------------------------------------------------------------------- weak


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (KeyKind.RSA_1024, "expected an RSA key of at least 2048 bits, found RSA-1024"),
        (
            KeyKind.SECP256K1,
            "expected a key of RSA, ECDSA P-256, P-384, P-521, Ed25519 or Ed448, found secp256k1",
        ),
    ],
)
def test_t26_a_weak_key_of_the_end_entity_is_refused(
    world: SmallWorld, store: TrustStore, kind: KeyKind, expected: str
) -> None:
    refusal = refused(verify(world.issuing.issue(key=kind), store))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    assert refusal.detail.endswith(expected)


@pytest.mark.parametrize("kind", [KeyKind.RSA_1024, KeyKind.SECP256K1])
def test_t26_a_weak_or_unsupported_key_of_an_issuer_is_refused(world: SmallWorld, kind: KeyKind) -> None:
    issuing = world.root.issue_authority("CN=Weak", key=kind)
    refusal = refused(verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,))))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    assert refusal.detail.startswith("issuer `CN=Weak`")


def test_t26_the_floor_of_the_anchor_counts_for_the_whole_path(world: SmallWorld) -> None:
    strict = AnchorSettings(id="corp", floor=StrengthFloor(rsa_bits=3072))
    key = generate_key(KeyKind.RSA_2048)
    refusal = refused(verify(world.issuing.issue(key=key), world_store(world, strict)))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    issuing = world.root.issue_authority("CN=Small", key=key)
    store = store_of(anchor_of(world.root, strict), intermediates=(issuing,))
    assert refused(verify(issuing.issue(), store)).reason is Reason.CERTIFICATE_WEAK
    verified(verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,))))


@pytest.mark.parametrize("algorithm", [SHA1, hashes.SHA224()])
def test_t26_a_weak_signature_is_refused(
    world: SmallWorld, store: TrustStore, algorithm: hashes.SHA1 | hashes.SHA224
) -> None:
    der = resigned(world.dave.der, world.issuing.key, hash_algorithm=algorithm)
    refusal = refused(verify(der, store))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    assert f"expected a signature with SHA-256, SHA-384 or SHA-512, found {algorithm.name}" in refusal.detail


def test_t26_a_weak_rsa_signature_is_refused(world: SmallWorld, tmp_path: Path) -> None:
    """Made with the openssl command: the builder of `cryptography` makes none."""
    root = Authority.root("CN=RSA Root", now=NOW, key=KeyKind.RSA_2048)
    names = {"ca.pem": root.pem, "ca.key": root.key_pem, "dave.key": world.dave.key_pem}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "extensions").write_text("keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
    request = ["openssl", "req", "-new", "-key", "dave.key", "-subj", "/CN=Dave Lawson", "-out", "dave.csr"]
    sign = [
        "openssl",
        "x509",
        "-req",
        "-in",
        "dave.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-set_serial",
        "7",
    ]
    options = ["-extfile", "extensions", "-outform", "DER", "-days", "7", "-out", "dave.der"]
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    for algorithm in [["-sha1"], ["-sha1", *pss], ["-sha256"], ["-sha256", *pss]]:
        subprocess.run(request, cwd=tmp_path, check=True, capture_output=True)
        subprocess.run([*sign, *options, *algorithm], cwd=tmp_path, check=True, capture_output=True)
        der = (tmp_path / "dave.der").read_bytes()
        # the command dates by the wall clock, so that the certificate's own first second is taken for now
        now = x509.load_der_x509_certificate(der).not_valid_before_utc
        outcome = verify(der, store_of(anchor_of(root)), now=now)
        if "-sha1" in algorithm:
            assert refused(outcome).reason is Reason.CERTIFICATE_WEAK
        else:
            verified(outcome)


def test_t26_a_weak_signature_of_an_intermediate_is_refused(world: SmallWorld) -> None:
    weak = resigned(world.issuing.der, world.root.key, hash_algorithm=SHA1)
    outcome = verify(world.dave, store_of(anchor_of(world.root)), chain=(weak,))
    assert refused(outcome).reason is Reason.CERTIFICATE_WEAK


def test_t25_a_hint_with_an_expensive_key_is_left_out(world: SmallWorld) -> None:
    """The exponent is checked before any signature: such an issuer cannot be part of a path."""
    issuing = world.root.issue_authority("CN=Slow", key=KeyKind.RSA_2048)
    assert isinstance(issuing.key, rsa.RSAPrivateKey)
    info = _rsa_key_info(issuing.key.public_key().public_numbers().n, (1 << 32) + 1)
    slow = resigned(issuing.der, world.root.key, edit=lambda fields: [*fields[:6], info, *fields[7:]])
    store = store_of(anchor_of(world.root))
    refusal = refused(verify(issuing.issue(), store, chain=(slow,)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    verified(verify(issuing.issue(), store, chain=(issuing.der,)))


@pytest.mark.parametrize(
    ("bits", "exponent", "expected"),
    [
        pytest.param(8193, 65537, "expected an RSA key of at most 8192 bits, found RSA-8193", id="modulus"),
        pytest.param(
            8192, (1 << 32) + 1, "expected an RSA exponent of at most 32 bits, found 33 bits", id="exponent"
        ),
    ],
)
def test_t25_an_expensive_key_of_the_end_entity_is_refused(
    world: SmallWorld, store: TrustStore, bits: int, exponent: int, expected: str
) -> None:
    def with_key(bits: int, exponent: int) -> bytes:
        info = _rsa_key_info((1 << (bits - 1)) + 1, exponent)
        return resigned(
            world.dave.der, world.issuing.key, edit=lambda fields: [*fields[:6], info, *fields[7:]]
        )

    refusal = refused(verify(with_key(bits, exponent), store))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    assert refusal.detail.endswith(expected)
    verified(verify(with_key(8192, (1 << 32) - 1), store))


def _rsa_key_info(modulus: int, exponent: int) -> bytes:
    """Return SubjectPublicKeyInfo of an RSA key."""
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    key = der_element(0x30, _serial(modulus) + _serial(exponent))
    return der_element(0x30, algorithm + der_element(0x03, b"\x00" + key))


# --------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [
        pytest.param({"eku": (SERVER_AUTH,)}, "found `1.3.6.1.5.5.7.3.1`", id="a server certificate"),
        pytest.param(
            {"eku": (ExtendedKeyUsageOID.CODE_SIGNING,)},
            "found `1.3.6.1.5.5.7.3.3`",
            id="a code signing certificate",
        ),
        pytest.param({"eku": None}, "accepted only with `eku: optional`", id="no extended key usage"),
        pytest.param({"eku": (ANY_PURPOSE,)}, "found anyExtendedKeyUsage", id="any purpose"),
        pytest.param(
            {"key_usage": key_usage("key_encipherment")}, "digitalSignature", id="no digitalSignature"
        ),
        pytest.param(
            {"key_usage": key_usage("digital_signature", "key_cert_sign")},
            "keyCertSign is set",
            id="keyCertSign",
        ),
        pytest.param(
            {"basic_constraints": x509.BasicConstraints(ca=True, path_length=None)},
            "found a certification authority's",
            id="an authority",
        ),
        pytest.param(
            {
                "basic_constraints": x509.BasicConstraints(ca=True, path_length=None),
                "key_usage": CA_KEY_USAGE,
            },
            "found a certification authority's",
            id="an authority with its key usage",
        ),
    ],
)
def test_t27_a_certificate_for_another_purpose_is_refused(
    world: SmallWorld, store: TrustStore, deviation: dict[str, object], expected: str
) -> None:
    refusal = refused(verify(_issue(world.issuing, deviation), store))
    assert refusal.reason is Reason.CERTIFICATE_USAGE
    assert expected in refusal.detail


@pytest.mark.parametrize(
    ("settings", "eku", "accepted"),
    [
        pytest.param(AnchorSettings(id="c", eku_required=False), None, True, id="optional and absent"),
        pytest.param(
            AnchorSettings(id="c", eku_required=False), (SERVER_AUTH,), False, id="optional, but another"
        ),
        pytest.param(
            AnchorSettings(id="c", eku_required=False), (ANY_PURPOSE,), False, id="optional, but any"
        ),
        pytest.param(AnchorSettings(id="c", allow_any_eku=True), (ANY_PURPOSE,), True, id="any allowed"),
        pytest.param(
            AnchorSettings(id="c", allow_any_eku=True), (SERVER_AUTH,), False, id="any allowed, but another"
        ),
        pytest.param(AnchorSettings(id="c", allow_any_eku=True), None, False, id="any allowed, but absent"),
    ],
)
def test_t27_the_anchor_says_what_a_missing_or_any_purpose_is_worth(
    world: SmallWorld, settings: AnchorSettings, eku: tuple[x509.ObjectIdentifier, ...] | None, accepted: bool
) -> None:
    outcome = verify(world.issuing.issue(eku=eku), world_store(world, settings))
    assert isinstance(outcome, VerifiedCertificate) == accepted
    if not accepted:
        assert refused(outcome).reason is Reason.CERTIFICATE_USAGE


@pytest.mark.parametrize(
    ("purposes", "accepted"),
    [((CLIENT_AUTH, SERVER_AUTH), True), ((ANY_PURPOSE,), True), ((SERVER_AUTH,), False)],
)
def test_t27_an_issuer_for_other_purposes_is_refused(
    world: SmallWorld, purposes: tuple[x509.ObjectIdentifier, ...], accepted: bool
) -> None:
    issuing = world.root.issue_authority("CN=Special", extensions=[(x509.ExtendedKeyUsage(purposes), False)])
    outcome = verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,)))
    assert isinstance(outcome, VerifiedCertificate) == accepted
    if not accepted:
        assert refused(outcome).reason is Reason.CERTIFICATE_USAGE


# -------------------------------------------------------------------------------------------------- policy

POLICY = x509.ObjectIdentifier("1.2.3.1")
OTHER_POLICY = x509.ObjectIdentifier("1.2.3.2")
ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def _asserting(*policies: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    return (x509.CertificatePolicies([x509.PolicyInformation(one, None) for one in policies]), False)


def _mapping(first: bytes, second: bytes) -> tuple[x509.ExtensionType, bool]:
    pair = der_element(0x30, der_element(0x06, first) + der_element(0x06, second))
    return (
        x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), der_element(0x30, pair)),
        True,
    )


def test_t28_an_unknown_critical_extension_is_refused(world: SmallWorld, store: TrustStore) -> None:
    refusal = refused(verify(world.issuing.issue(extensions=[(UNKNOWN, True)]), store))
    assert refusal.reason is Reason.CERTIFICATE_POLICY
    assert refusal.detail.endswith("critical extension 1.2.3.4 is not supported")


def test_t28_an_unknown_critical_extension_of_an_issuer_is_refused(world: SmallWorld) -> None:
    issuing = world.root.issue_authority("CN=Special", extensions=[(UNKNOWN, True)])
    refusal = refused(verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,))))
    assert refusal.reason is Reason.CERTIFICATE_POLICY


def test_name_constraints_in_an_end_entity_certificate_are_refused(
    world: SmallWorld, store: TrustStore
) -> None:
    limit = (x509.NameConstraints([mail("x.org")], None), True)
    refusal = refused(verify(world.issuing.issue(extensions=[limit]), store))
    assert refusal.reason is Reason.CERTIFICATE_POLICY


@pytest.mark.parametrize(
    ("issuing_extensions", "leaf_extensions", "accepted"),
    [
        pytest.param(
            [(x509.PolicyConstraints(0, None), True)], [], False, id="explicit policy, none asserted"
        ),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(POLICY)],
            [_asserting(POLICY)],
            True,
            id="explicit policy, one asserted by all",
        ),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(POLICY)],
            [_asserting(OTHER_POLICY)],
            False,
            id="explicit policy, different ones asserted",
        ),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(ANY_POLICY)],
            [_asserting(POLICY)],
            True,
            id="explicit policy, the issuer asserts any",
        ),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(ANY_POLICY)],
            [_asserting(ANY_POLICY)],
            True,
            id="explicit policy, all assert any",
        ),
        pytest.param(
            [(x509.PolicyConstraints(None, 0), True)],
            [],
            True,
            id="only mapping is constrained, nothing to meet",
        ),
        pytest.param([], [(x509.PolicyConstraints(0, None), True)], False, id="the end entity demands it"),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(POLICY), (x509.InhibitAnyPolicy(0), True)],
            [_asserting(POLICY)],
            True,
            id="explicit policy with inhibitAnyPolicy, the same one asserted",
        ),
        pytest.param(
            [(x509.PolicyConstraints(0, None), True), _asserting(POLICY), (x509.InhibitAnyPolicy(0), True)],
            [_asserting(ANY_POLICY)],
            False,
            id="explicit policy with inhibitAnyPolicy, any asserted",
        ),
        pytest.param(
            [(x509.InhibitAnyPolicy(0), True)], [], True, id="inhibitAnyPolicy alone, nothing to meet"
        ),
        pytest.param(
            [
                (x509.PolicyConstraints(0, None), True),
                _asserting(POLICY),
                _mapping(b"\x2a\x03\x01", b"\x2a\x03\x02"),
            ],
            [_asserting(OTHER_POLICY)],
            True,
            id="explicit policy, mapped to the one asserted below",
        ),
        pytest.param(
            [
                (x509.PolicyConstraints(0, None), True),
                _asserting(POLICY),
                _mapping(b"\x2a\x03\x01", b"\x2a\x03\x02"),
            ],
            [_asserting(POLICY)],
            False,
            id="explicit policy, mapped away from the one asserted below",
        ),
        pytest.param(
            [_mapping(b"\x2a\x03\x01", b"\x2a\x03\x02")], [], True, id="mapping alone, nothing to meet"
        ),
        pytest.param(
            [_mapping(b"\x55\x1d\x20\x00", b"\x2a\x03\x02")],
            [],
            False,
            id="a mapping of anyPolicy is forbidden",
        ),
    ],
)
def test_certificate_policies_are_met_or_refused_and_never_passed_over(
    world: SmallWorld,
    issuing_extensions: list[tuple[x509.ExtensionType, bool]],
    leaf_extensions: list[tuple[x509.ExtensionType, bool]],
    accepted: bool,
) -> None:
    issuing = world.root.issue_authority("CN=Policies", extensions=issuing_extensions)
    leaf = issuing.issue(extensions=leaf_extensions)
    outcome = verify(leaf, store_of(anchor_of(world.root), intermediates=(issuing,)))
    assert isinstance(outcome, VerifiedCertificate) == accepted, outcome
    if not accepted:
        assert refused(outcome).reason is Reason.CERTIFICATE_POLICY


@pytest.mark.parametrize(
    ("issuing_policies", "leaf_policies", "accepted"),
    [
        pytest.param([POLICY], [POLICY, OTHER_POLICY], True, id="asserted by all"),
        pytest.param([ANY_POLICY], [POLICY], True, id="any above"),
        pytest.param([ANY_POLICY], [ANY_POLICY], True, id="any everywhere"),
        pytest.param([OTHER_POLICY], [OTHER_POLICY], False, id="another one"),
        pytest.param([POLICY], [], False, id="not by the end entity"),
        pytest.param([], [POLICY], False, id="not by the issuer"),
    ],
)
def test_an_anchor_may_require_a_policy(
    world: SmallWorld,
    issuing_policies: list[x509.ObjectIdentifier],
    leaf_policies: list[x509.ObjectIdentifier],
    accepted: bool,
) -> None:
    issuing = world.root.issue_authority(
        "CN=Policies", extensions=[_asserting(*issuing_policies)] if issuing_policies else []
    )
    leaf = issuing.issue(extensions=[_asserting(*leaf_policies)] if leaf_policies else [])
    settings = AnchorSettings(id="corp", required_policies=frozenset({POLICY.dotted_string}))
    outcome = verify(leaf, store_of(anchor_of(world.root, settings), intermediates=(issuing,)))
    assert isinstance(outcome, VerifiedCertificate) == accepted, outcome
    if not accepted:
        assert refused(outcome).reason is Reason.CERTIFICATE_POLICY


# --------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(NOW - DAY - SECOND, Reason.CERTIFICATE_NOT_YET_VALID, id="a second before"),
        pytest.param(NOW - DAY, None, id="the first second"),
        pytest.param(NOW + DAY, None, id="the last second"),
        pytest.param(NOW + DAY + timedelta(microseconds=1), Reason.CERTIFICATE_EXPIRED, id="just after"),
        pytest.param(NOW + DAY + SECOND, Reason.CERTIFICATE_EXPIRED, id="a second after"),
    ],
)
def test_a_certificate_is_valid_from_its_first_to_its_last_second(
    now: datetime, reason: Reason | None
) -> None:
    root = Authority.root(now=NOW, not_before=NOW - 9 * DAY)
    leaf = root.issue(not_before=NOW - DAY, not_after=NOW + DAY)
    outcome = verify(leaf, store_of(anchor_of(root)), now=now)
    if reason is None:
        assert verified(outcome).not_after == NOW + DAY
    else:
        assert refused(outcome).reason is reason
        assert "`CN=Dave Lawson,O=Renovations`" in refused(outcome).detail


def test_an_expired_issuer_is_named(world: SmallWorld) -> None:
    issuing = world.root.issue_authority(not_after=NOW - SECOND)
    refusal = refused(verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,))))
    assert refusal.reason is Reason.CERTIFICATE_EXPIRED
    assert refusal.detail.startswith("issuer `CN=Renovations Issuing CA,O=Renovations` expired")


def test_an_expired_anchor_is_expired() -> None:
    root = Authority.root(now=NOW, not_after=NOW - SECOND)
    refusal = refused(verify(root.issue(), store_of(anchor_of(root))))
    assert refusal.reason is Reason.CERTIFICATE_EXPIRED
    assert refusal.detail.startswith("issuer `CN=Renovations Root CA,O=Renovations` expired")


def test_the_evidence_ends_with_the_first_element_that_ends(world: SmallWorld) -> None:
    issuing = world.root.issue_authority(not_after=NOW + DAY)
    evidence = verified(verify(issuing.issue(), store_of(anchor_of(world.root), intermediates=(issuing,))))
    assert evidence.not_after == NOW + DAY


def test_evidence_of_the_last_instant_ends_there_though_skew_and_grace_would_allow_more() -> None:
    """What the certificate itself says is never exceeded before it has ended."""
    root = Authority.root(now=NOW)
    evidence = verified(
        verify(
            root.issue(not_after=NOW),
            store_of(anchor_of(root)),
            clock_skew=timedelta(minutes=5),
            accept_expired=DAY,
        )
    )
    assert (NOW, False) == (evidence.not_after, evidence.expired_accepted)


def test_a_chain_of_what_is_known_anyway_adds_nothing_to_build_paths_from(
    world: SmallWorld, store: TrustStore
) -> None:
    """Neither the certificate itself nor an anchor ever stands among the certificates in the middle."""
    chain = (world.dave.der, world.root.der, world.issuing.der)
    assert store.pool.certificates == verified(verify(world.dave, store, chain=chain)).pool.certificates


@pytest.mark.parametrize("over", [timedelta(0), SECOND])
def test_clock_skew_allows_that_much_and_no_more(
    world: SmallWorld, store: TrustStore, over: timedelta
) -> None:
    skew = timedelta(minutes=5)
    early = world.issuing.issue(not_before=NOW + skew + over)
    late = world.issuing.issue(not_before=NOW - 9 * DAY, not_after=NOW - skew - over)
    if over:
        assert refused(verify(early, store, clock_skew=skew)).reason is Reason.CERTIFICATE_NOT_YET_VALID
        assert refused(verify(late, store, clock_skew=skew)).reason is Reason.CERTIFICATE_EXPIRED
    else:
        verified(verify(early, store, clock_skew=skew))
        evidence = verified(verify(late, store, clock_skew=skew))
        assert not evidence.expired_accepted
        assert evidence.not_after == NOW


@pytest.mark.parametrize("over", [timedelta(0), SECOND])
def test_a_grace_accepts_an_expired_certificate_marked_and_for_that_long(
    world: SmallWorld, store: TrustStore, over: timedelta
) -> None:
    expired = world.issuing.issue(not_before=NOW - 9 * DAY, not_after=NOW - DAY - over)
    outcome = verify(expired, store, accept_expired=DAY)
    if over:
        assert refused(outcome).reason is Reason.CERTIFICATE_EXPIRED
    else:
        evidence = verified(outcome)
        assert evidence.expired_accepted
        assert evidence.not_after == NOW


def test_a_grace_is_not_for_issuers(world: SmallWorld) -> None:
    issuing = world.root.issue_authority(not_after=NOW - SECOND)
    store = store_of(anchor_of(world.root), intermediates=(issuing,))
    assert refused(verify(issuing.issue(), store, accept_expired=DAY)).reason is Reason.CERTIFICATE_EXPIRED


def test_a_grace_counts_when_the_issuer_has_been_certified_anew_since(world: SmallWorld) -> None:
    """The certificate ended before its issuer's present certificate began; the issuer is valid now."""
    issuing = world.root.issue_authority(not_before=NOW - SECOND)
    leaf = issuing.issue(not_before=NOW - 9 * DAY, not_after=NOW - timedelta(hours=1))
    store = store_of(anchor_of(world.root), intermediates=(issuing,))
    assert verified(verify(leaf, store, accept_expired=DAY)).expired_accepted
    early = verify(leaf, store, accept_expired=DAY, now=NOW - 2 * SECOND)
    assert refused(early).reason is Reason.CERTIFICATE_NOT_YET_VALID


def test_a_grace_does_not_accept_what_is_refused_for_another_reason(world: SmallWorld) -> None:
    limit = x509.NameConstraints([mail("renovations.com")], None)
    issuing = world.root.issue_authority("CN=Limited", not_before=NOW - 20 * DAY, extensions=[(limit, True)])
    root = store_of(anchor_of(Authority.root(now=NOW)), anchor_of(world.root), intermediates=(issuing,))
    leaf = issuing.issue(san=[mail("dave@elsewhere.com")], not_before=NOW - 9 * DAY, not_after=NOW - SECOND)
    assert refused(verify(leaf, root, accept_expired=DAY)).reason is Reason.CERTIFICATE_UNTRUSTED


# ---------------------------------------------------------------------------------------------- precedence


def _expired(**deviation: object) -> dict[str, object]:
    return {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY, **deviation}


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [
        (_expired(), Reason.CERTIFICATE_EXPIRED),
        (_expired(extensions=[(UNKNOWN, True)]), Reason.CERTIFICATE_POLICY),
        (_expired(extensions=[(UNKNOWN, True)], eku=None), Reason.CERTIFICATE_USAGE),
        (_expired(extensions=[(UNKNOWN, True)], eku=None, key=KeyKind.SECP256K1), Reason.CERTIFICATE_WEAK),
        (_expired(eku=None, key=KeyKind.SECP256K1, signing_key=generate_key()), Reason.CERTIFICATE_UNTRUSTED),
        (_expired(eku=None, key=KeyKind.SECP256K1, issuer_name="CN=Stranger"), Reason.CERTIFICATE_UNTRUSTED),
    ],
)
def test_when_several_reasons_apply_the_first_of_the_table_is_given(
    world: SmallWorld, store: TrustStore, deviation: dict[str, object], expected: Reason
) -> None:
    assert refused(verify(_issue(world.issuing, deviation), store)).reason is expected


def test_not_yet_valid_comes_before_expired(world: SmallWorld) -> None:
    issuing = world.root.issue_authority(not_after=NOW - SECOND)
    leaf = issuing.issue(not_before=NOW + DAY)
    store = store_of(anchor_of(world.root), intermediates=(issuing,))
    assert refused(verify(leaf, store)).reason is Reason.CERTIFICATE_NOT_YET_VALID


@pytest.mark.parametrize("reverse", [False, True])
def test_of_several_paths_the_one_that_came_nearest_tells_the_reason(
    world: SmallWorld, reverse: bool
) -> None:
    other = Authority.root("CN=Other Root", now=NOW)
    crossed = other.issue_authority(key=world.issuing.key, not_after=NOW - SECOND)
    step = -1 if reverse else 1
    anchors = [
        anchor_of(world.root, AnchorSettings(id="strict", eku_required=True)),
        anchor_of(other, AnchorSettings(id="lenient", eku_required=False)),
    ]
    store = store_of(*anchors[::step], intermediates=(world.issuing, crossed)[::step])
    assert refused(verify(world.issuing.issue(eku=None), store)).reason is Reason.CERTIFICATE_EXPIRED
