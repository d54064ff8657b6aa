"""The client profile beyond the defaults: configured purposes over a path, and floors of curves and hashes."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, StrengthFloor
from authsvc.trust.certificate import CertificateFacts, KeyFacts
from authsvc.trust.profile import find_cost_problem, find_key_problem, find_signature_problem
from tests.support.pki import CLIENT_AUTH, NOW, Authority, KeyKind, SmallWorld, small_world
from tests.support.trust import anchor_of, facts_of, refused, store_of, verified, verify

SMARTCARD = ExtendedKeyUsageOID.SMARTCARD_LOGON
KERBEROS = ExtendedKeyUsageOID.KERBEROS_PKINIT_KDC
ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
Purposes = tuple[x509.ObjectIdentifier, ...] | None


def with_key(key: KeyFacts) -> CertificateFacts:
    """Return facts of a certificate as if it had another key."""
    return replace(facts_of(Authority.root(now=NOW)), key=key)


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


# ------------------------------------------------------------------------------------------------- purposes


@pytest.mark.parametrize(
    ("configured", "upper", "lower", "leaf", "expected"),
    [
        pytest.param((SMARTCARD,), None, None, (SMARTCARD,), "", id="the configured purpose"),
        pytest.param(
            (SMARTCARD,),
            None,
            None,
            (CLIENT_AUTH,),
            "expected extended key usage `1.3.6.1.4.1.311.20.2.2`, found `1.3.6.1.5.5.7.3.2`",
            id="clientAuth is nothing where another purpose is configured",
        ),
        pytest.param((SMARTCARD, CLIENT_AUTH), None, None, (CLIENT_AUTH,), "", id="one of two is enough"),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            None,
            (CLIENT_AUTH,),
            (CLIENT_AUTH, SMARTCARD),
            "",
            id="the issuer's one",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            None,
            (SMARTCARD,),
            (CLIENT_AUTH,),
            "it issues for other purposes than clientAuth: `1.3.6.1.4.1.311.20.2.2`",
            id="an issuer for one purpose does not issue for another, though both are configured",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH, KERBEROS),
            (KERBEROS,),
            (SMARTCARD,),
            (CLIENT_AUTH, KERBEROS, SMARTCARD),
            "it issues for other purposes than `1.3.6.1.4.1.311.20.2.2`",
            id="nor do two of three that are configured",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            (SMARTCARD,),
            (CLIENT_AUTH,),
            (CLIENT_AUTH, SMARTCARD),
            "it issues for other purposes than clientAuth",
            id="nor do two issuers that have none in common",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            (SMARTCARD,),
            (CLIENT_AUTH, SMARTCARD),
            (CLIENT_AUTH, SMARTCARD),
            "",
            id="but they do if they have one in common",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            (SMARTCARD,),
            (ANY_PURPOSE,),
            (SMARTCARD,),
            "",
            id="any is any of an issuer",
        ),
        pytest.param(
            (SMARTCARD, CLIENT_AUTH),
            (SMARTCARD,),
            None,
            (CLIENT_AUTH, ANY_PURPOSE),
            "it issues for other purposes than clientAuth",
            id="any of an end entity is nothing unless the anchor says so",
        ),
    ],
)
def test_t27_one_configured_purpose_holds_over_the_whole_path(  # noqa: PLR0917 - pytest passes them by name
    world: SmallWorld,
    configured: tuple[x509.ObjectIdentifier, ...],
    upper: Purposes,
    lower: Purposes,
    leaf: Purposes,
    expected: str,
) -> None:
    settings = AnchorSettings(id="corp", purposes=frozenset(one.dotted_string for one in configured))
    above = _limited(world.root, "CN=Upper", upper)
    below = _limited(above, "CN=Lower", lower)
    store = store_of(anchor_of(world.root, settings), intermediates=(above, below))
    outcome = verify(below.issue(eku=leaf), store)
    if expected:
        refusal = refused(outcome)
        assert refusal.reason is Reason.CERTIFICATE_USAGE
        assert expected in refusal.detail
    else:
        verified(outcome)


def _limited(issuer: Authority, subject: str, purposes: Purposes) -> Authority:
    extensions = [] if purposes is None else [(x509.ExtendedKeyUsage(purposes), False)]
    return issuer.issue_authority(subject, path_length=None, extensions=extensions)


def test_t27_any_of_an_end_entity_is_every_purpose_where_the_anchor_says_so(world: SmallWorld) -> None:
    settings = AnchorSettings(
        id="corp",
        purposes=frozenset({SMARTCARD.dotted_string, CLIENT_AUTH.dotted_string}),
        allow_any_eku=True,
    )
    issuing = _limited(world.root, "CN=Cards", (SMARTCARD,))
    store = store_of(anchor_of(world.root, settings), intermediates=(issuing,))
    verified(verify(issuing.issue(eku=(CLIENT_AUTH, ANY_PURPOSE)), store))
    assert refused(verify(issuing.issue(eku=(CLIENT_AUTH,)), store)).reason is Reason.CERTIFICATE_USAGE
    other = _limited(world.root, "CN=Controllers", (KERBEROS,))
    both = store_of(anchor_of(world.root, settings), intermediates=(other,))
    refusal = refused(verify(other.issue(eku=(ANY_PURPOSE,)), both))
    assert refusal.detail == (
        "issuer `CN=Controllers`: it issues for other purposes than `1.3.6.1.4.1.311.20.2.2 1.3.6.1.5.5.7.3.2`: "
        "`1.3.6.1.5.2.3.5`"
    )


# --------------------------------------------------------------------------------------------------- floors


@pytest.mark.parametrize(
    ("floor", "key", "expected"),
    [
        pytest.param(StrengthFloor(curve_bits=384), KeyKind.P384, "", id="a curve at the floor"),
        pytest.param(StrengthFloor(curve_bits=384), KeyKind.P521, "", id="a curve above it"),
        pytest.param(StrengthFloor(curve_bits=384), KeyKind.ED448, "", id="Edwards curves have bits too"),
        pytest.param(
            StrengthFloor(curve_bits=384),
            KeyKind.P256,
            "expected a key on a curve of at least 384 bits, found P-256",
            id="a curve below it",
        ),
        pytest.param(
            StrengthFloor(curve_bits=257),
            KeyKind.ED25519,
            "expected a key on a curve of at least 257 bits, found Ed25519",
            id="an Edwards curve below it",
        ),
        pytest.param(StrengthFloor(rsa_bits=3072), KeyKind.RSA_3072, "", id="a modulus at the floor"),
        pytest.param(
            StrengthFloor(rsa_bits=3072),
            KeyKind.RSA_2048,
            "expected an RSA key of at least 3072 bits, found RSA-2048",
            id="a modulus below it",
        ),
    ],
)
def test_t26_the_floor_of_an_anchor_counts_bits_of_keys(
    floor: StrengthFloor, key: KeyKind, expected: str
) -> None:
    root = Authority.root(now=NOW, key=KeyKind.P521)
    outcome = verify(root.issue(key=key), store_of(anchor_of(root, AnchorSettings(id="corp", floor=floor))))
    if expected:
        refusal = refused(outcome)
        assert refusal.reason is Reason.CERTIFICATE_WEAK
        assert refusal.detail == f"certificate `CN=Dave Lawson,O=Renovations`: {expected}"
    else:
        verified(outcome)


@pytest.mark.parametrize(
    ("key", "hash_algorithm", "bits", "accepted"),
    [
        pytest.param(KeyKind.P256, hashes.SHA384(), 384, True, id="a hash at the floor"),
        pytest.param(KeyKind.P256, hashes.SHA512(), 384, True, id="a hash above it"),
        pytest.param(KeyKind.P256, hashes.SHA256(), 384, False, id="a hash below it"),
        pytest.param(KeyKind.P256, hashes.SHA384(), 385, False, id="one bit below it"),
        pytest.param(KeyKind.ED25519, None, 512, True, id="Ed25519 hashes with 512 bits"),
        pytest.param(KeyKind.ED448, None, 513, False, id="and nothing has more"),
    ],
)
def test_t26_the_floor_of_an_anchor_counts_bits_of_hashes(
    key: KeyKind,
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None,
    bits: int,
    accepted: bool,
) -> None:
    """The anchor's own signature is not judged: it proves nothing."""
    root = Authority.root(now=NOW, key=key)
    store = store_of(anchor_of(root, AnchorSettings(id="corp", floor=StrengthFloor(hash_bits=bits))))
    outcome = verify(root.issue(hash_algorithm=hash_algorithm), store)
    if accepted:
        verified(outcome)
    else:
        refusal = refused(outcome)
        assert refusal.reason is Reason.CERTIFICATE_WEAK
        assert f"with a hash of at least {bits} bits, found " in refusal.detail


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("P-256", 256), ("P-384", 384), ("P-521", 521), ("Ed25519", 256), ("Ed448", 448)],
)
def test_t26_a_curve_is_as_strong_as_its_bits_and_not_by_one_more(kind: str, bits: int) -> None:
    facts = with_key(KeyFacts(kind=kind, bits=bits))
    assert "" == find_key_problem(facts, StrengthFloor(curve_bits=bits))
    assert f"at least {bits + 1} bits, found {kind}" in find_key_problem(
        facts, StrengthFloor(curve_bits=bits + 1)
    )


@pytest.mark.parametrize(
    ("algorithm", "bits"),
    [(hashes.SHA256(), 256), (hashes.SHA384(), 384), (hashes.SHA512(), 512)],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_t26_a_hash_is_as_strong_as_its_bits_and_not_by_one_more(
    algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512, bits: int
) -> None:
    signed = facts_of(Authority.root(now=NOW).issue(hash_algorithm=algorithm)).algorithm
    assert "" == find_signature_problem(signed, StrengthFloor(hash_bits=bits))
    assert f"at least {bits + 1} bits" in find_signature_problem(signed, StrengthFloor(hash_bits=bits + 1))


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param(KeyFacts(kind="RSA", bits=8192, exponent=2**32 - 1), "", id="RSA at both limits"),
        pytest.param(
            KeyFacts(kind="RSA", bits=8193, exponent=3),
            "expected an RSA key of at most 8192 bits, found RSA-8193",
            id="a longer modulus",
        ),
        pytest.param(
            KeyFacts(kind="RSA", bits=2048, exponent=2**32 + 1),
            "expected an RSA exponent of at most 32 bits, found 33 bits",
            id="a longer exponent",
        ),
        pytest.param(KeyFacts(kind="DSA", bits=4096), "", id="DSA at its limit"),
        pytest.param(
            KeyFacts(kind="DSA", bits=4097),
            "expected a DSA key of at most 4096 bits, found DSA-4097",
            id="a longer DSA modulus",
        ),
        pytest.param(KeyFacts(kind="P-521", bits=521), "", id="curves are all cheap"),
    ],
)
def test_t25_a_key_that_is_dear_to_check_with_is_told_by_its_numbers(key: KeyFacts, problem: str) -> None:
    assert problem == find_cost_problem(with_key(key))


def test_t26_an_algorithm_that_is_not_known_is_below_every_floor() -> None:
    """No path has one, because it signs nothing; lists and answers of responders are asked as well."""
    assert find_signature_problem(None, StrengthFloor()) == (
        "expected a signature with SHA-256, SHA-384 or SHA-512, found an algorithm that is not supported"
    )
