"""Reading revocation lists: only a list that is wholly understood and signed by its issuer exists."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.crl import LARGEST_CRL, RevocationList, RevokedEntry, Scope, read_crl
from tests.support.pki import (
    NOW,
    Authority,
    Issued,
    KeyKind,
    SmallWorld,
    der_element,
    generate_key,
    key_usage,
    resigned,
    small_world,
    unchanged,
    uri,
)
from tests.support.trust import facts_of

SHA1 = hashes.SHA1()  # noqa: S303 - what must be refused
HOUR = timedelta(hours=1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
WORLD = small_world()


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return WORLD


def _read(octets: bytes, *issuers: Authority, source: str = "a.crl") -> RevocationList:
    return read_crl(octets, [facts_of(one) for one in issuers or (WORLD.root, WORLD.issuing)], source=source)


def _problem(octets: bytes, *issuers: Authority) -> str:
    with pytest.raises(TrustMaterialError) as caught:
        _read(octets, *issuers)
    assert str(caught.value).startswith("`a.crl`: ")
    return str(caught.value).removeprefix("`a.crl`: ")


def _point(
    *,
    full_name: list[x509.GeneralName] | None = None,
    users: bool = False,
    authorities: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    indirect: bool = False,
    attributes: bool = False,
) -> tuple[x509.ExtensionType, bool]:
    point = x509.IssuingDistributionPoint(
        full_name=full_name,
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=authorities,
        only_some_reasons=reasons,
        indirect_crl=indirect,
        only_contains_attribute_certs=attributes,
    )
    return (point, True)


def test_a_list_is_read_whole(world: SmallWorld) -> None:
    crl = world.issuing.crl([world.dave, 5], reason=x509.ReasonFlags.key_compromise, number=7)
    issuing = facts_of(world.issuing)
    entry = RevokedEntry(since=NOW - HOUR, reason="keyCompromise")
    assert _read(crl.der) == RevocationList(
        source="a.crl",
        issuer=(issuing.subject_der, issuing.key_sha256),
        issuer_text="CN=Renovations Issuing CA,O=Renovations",
        this_update=NOW - HOUR,
        next_update=NOW + timedelta(days=7),
        number=7,
        scope=Scope(),
        entries={world.dave.certificate.serial_number: entry, 5: entry},
    )


def test_pem_and_der_say_the_same(world: SmallWorld) -> None:
    crl = world.issuing.crl([5])
    assert _read(crl.der) == _read(crl.pem.encode())


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.P384, KeyKind.P521])
def test_a_list_may_be_signed_with_every_key_that_an_issuer_may_have(kind: KeyKind) -> None:
    root = Authority.root(now=NOW, key=kind)
    assert set(_read(root.crl([5]).der, root).entries) == {5}


def test_a_list_without_entries_number_and_key_identifier_is_a_list(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl(number=None, authority_key_id=False).der)
    assert (crl.number, crl.entries) == (-1, {})


def test_an_entry_may_say_when_it_became_invalid(world: SmallWorld) -> None:
    crl = world.issuing.crl([5], entry_extensions=[(x509.InvalidityDate(NOW.replace(tzinfo=None)), True)])
    assert _read(crl.der).entries[5].reason == ""


# ---------------------------------------------------------------------------------------------- signature


def test_t34_a_list_signed_with_another_key_is_refused(world: SmallWorld) -> None:
    forged = world.issuing.crl(signing_key=generate_key())
    assert (
        _problem(forged.der)
        == "not signed with the key of its issuer `CN=Renovations Issuing CA,O=Renovations`"
    )


def test_t34_a_list_signed_with_another_kind_of_key_is_refused(world: SmallWorld) -> None:
    root = Authority.root(now=NOW, key=KeyKind.RSA_2048)
    assert "not signed with the key" in _problem(root.crl(signing_key=generate_key()).der, root)
    assert "not signed with the key" in _problem(world.root.crl(signing_key=root.key).der)


def test_t34_a_list_under_another_issuers_name_is_refused(world: SmallWorld) -> None:
    claimed = world.issuing.crl(issuer_name=world.root.certificate.subject)
    assert "not signed with the key of its issuer `CN=Renovations Root CA" in _problem(claimed.der)


def test_t34_a_list_of_an_unknown_issuer_is_refused(world: SmallWorld) -> None:
    problem = _problem(world.issuing.crl().der, world.root)
    assert problem == (
        "issuer `CN=Renovations Issuing CA,O=Renovations` is neither a trust anchor "
        "nor a configured intermediate: its signature cannot be checked"
    )


def test_t22_a_list_belongs_to_the_authority_whose_key_signed_it_not_to_its_namesake(
    world: SmallWorld,
) -> None:
    twin = Authority.root(now=NOW)
    crl = _read(twin.crl([5]).der, world.root, twin)
    assert crl.issuer == (facts_of(world.root).subject_der, facts_of(twin).key_sha256)


@pytest.mark.parametrize("usage", [key_usage("key_cert_sign"), key_usage("digital_signature")])
def test_t34_an_issuer_without_crl_sign_signs_no_lists(world: SmallWorld, usage: x509.KeyUsage) -> None:
    issuer = world.root.issue_authority("CN=No Lists", key_usage=usage)
    assert _problem(issuer.crl().der, issuer) == (
        "issuer `CN=No Lists` may not sign revocation lists (key usage without cRLSign)"
    )
    neighbour = world.root.issue_authority("CN=No Usage", key_usage=None)
    _read(neighbour.crl().der, neighbour)


def test_t34_an_end_entity_signs_no_lists(world: SmallWorld) -> None:
    dave = Authority(certificate=world.dave.certificate, key=world.dave.key, now=NOW)
    assert (
        _problem(dave.crl().der, dave)
        == "issuer `CN=Dave Lawson,O=Renovations` is no certification authority"
    )


def test_a_weakly_signed_list_is_refused(world: SmallWorld) -> None:
    der = resigned(world.issuing.crl().der, world.issuing.key, hash_algorithm=SHA1)
    assert _problem(der) == "expected a signature with SHA-256, SHA-384 or SHA-512"
    _read(resigned(world.issuing.crl().der, world.issuing.key))


def test_a_list_of_an_issuer_with_a_weak_key_is_refused() -> None:
    root = Authority.root(now=NOW, key=KeyKind.RSA_1024)
    assert "not signed with the key" in _problem(root.crl().der, root)


# --------------------------------------------------------------------------------------------------- scope


@pytest.mark.parametrize(
    ("extension", "covers_leaf", "covers_authority"),
    [
        pytest.param(None, True, True, id="no scope: everything"),
        pytest.param(_point(users=True), True, False, id="only end entities"),
        pytest.param(_point(authorities=True), False, True, id="only authorities"),
        pytest.param(_point(attributes=True), False, False, id="only attribute certificates"),
        pytest.param(
            _point(reasons=frozenset({x509.ReasonFlags.key_compromise})), False, False, id="only some reasons"
        ),
        pytest.param(
            _point(full_name=[uri("http://x/1.crl")]), True, False, id="one of the certificate's points"
        ),
        pytest.param(_point(full_name=[uri("http://x/2.crl")]), False, False, id="another point"),
    ],
)
def test_t34_a_list_covers_what_its_scope_says(
    world: SmallWorld,
    extension: tuple[x509.ExtensionType, bool] | None,
    covers_leaf: bool,
    covers_authority: bool,
) -> None:
    point = x509.DistributionPoint([uri("http://x/1.crl")], None, None, None)
    other_issuers = x509.DistributionPoint(
        [uri("http://x/2.crl")], None, None, [x509.DirectoryName(world.root.certificate.subject)]
    )
    some_reasons = x509.DistributionPoint(
        [uri("http://x/2.crl")], None, frozenset({x509.ReasonFlags.superseded}), None
    )
    points = x509.CRLDistributionPoints([point, other_issuers, some_reasons])
    leaf = facts_of(world.issuing.issue(extensions=[(points, False)]))
    scope = _read(world.issuing.crl(extensions=[extension] if extension else []).der).scope
    assert scope.covers(leaf) == covers_leaf
    assert scope.covers(facts_of(world.issuing)) == covers_authority


def test_t34_an_indirect_list_is_refused(world: SmallWorld) -> None:
    assert (
        _problem(world.issuing.crl(extensions=[_point(indirect=True)]).der)
        == "indirect lists are not supported"
    )


def test_an_entry_for_another_issuer_refuses_the_list(world: SmallWorld) -> None:
    other = x509.CertificateIssuer([x509.DirectoryName(world.root.certificate.subject)])
    problem = _problem(world.issuing.crl([5], entry_extensions=[(other, False)]).der)
    assert problem == "entry 5 speaks for another issuer"


def test_a_delta_list_is_refused(world: SmallWorld) -> None:
    crl = world.issuing.crl(extensions=[(x509.DeltaCRLIndicator(1), True)])
    assert _problem(crl.der) == "delta lists are not supported"


# ---------------------------------------------------------------------------------- extensions and entries


def test_an_unknown_critical_extension_of_the_list_refuses_it(world: SmallWorld) -> None:
    assert "critical extension 1.2.3.4 of the list" in _problem(
        world.issuing.crl(extensions=[(UNKNOWN, True)]).der
    )
    _read(world.issuing.crl(extensions=[(UNKNOWN, False)]).der)


def test_t36_an_unknown_critical_extension_of_an_entry_refuses_the_list(world: SmallWorld) -> None:
    problem = _problem(world.issuing.crl([5], entry_extensions=[(UNKNOWN, True)]).der)
    assert problem == "entry 5: critical extension 1.2.3.4 is not supported"
    _read(world.issuing.crl([5], entry_extensions=[(UNKNOWN, False)]).der)


def test_t36_an_entry_that_cannot_be_read_refuses_the_list(world: SmallWorld) -> None:
    """A reason code that does not exist, in the first entry, must not hide the second."""
    crl = world.issuing.crl([5, 6], reason=x509.ReasonFlags.key_compromise)
    assert crl.der.count(b"\x0a\x01\x01") == 2

    def spoil(fields: list[bytes]) -> list[bytes]:
        return [field.replace(b"\x0a\x01\x01", b"\x0a\x01\x0b", 1) for field in fields]

    assert "revocation list cannot be read" in _problem(resigned(crl.der, world.issuing.key, edit=spoil))


def test_t40_remove_from_crl_refuses_a_list_that_is_no_delta(world: SmallWorld) -> None:
    crl = world.issuing.crl([5], reason=x509.ReasonFlags.remove_from_crl)
    assert "entry 5 says removeFromCRL" in _problem(crl.der)


def test_t40_a_hold_is_a_revocation(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl([5], reason=x509.ReasonFlags.certificate_hold).der)
    assert crl.entries[5].reason == "certificateHold"


# ---------------------------------------------------------------------------------------------- dates, size


def _without_next_update(fields: list[bytes]) -> list[bytes]:
    return [*fields[:4], *fields[5:]]  # version, algorithm, issuer, this update, [next update]


def test_t37_a_list_without_next_update_is_refused(world: SmallWorld) -> None:
    der = resigned(world.issuing.crl().der, world.issuing.key, edit=_without_next_update)
    assert _problem(der) == "the list has no next update, so that nobody can tell when it is stale"


def test_a_list_that_ends_before_it_begins_is_refused(world: SmallWorld) -> None:
    der = world.issuing.crl().der

    def same_dates(fields: list[bytes]) -> list[bytes]:
        return [*fields[:4], fields[3], *fields[5:]]

    assert "is not after its this update" in _problem(resigned(der, world.issuing.key, edit=same_dates))


def test_a_list_is_current_from_this_update_to_before_next_update(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl().der)
    second = timedelta(seconds=1)
    assert [
        crl.is_current(instant)
        for instant in [
            crl.this_update - second,
            crl.this_update,
            crl.next_update - second,
            crl.next_update,
        ]
    ] == [False, True, True, False]


@pytest.mark.parametrize(
    ("number", "this_update", "newer"),
    [(2, NOW - HOUR, False), (3, NOW - 2 * HOUR, True), (2, NOW, True), (1, NOW, False), (None, NOW, False)],
)
def test_of_two_lists_the_higher_number_is_newer_then_the_later(
    world: SmallWorld, number: int | None, this_update: object, newer: bool
) -> None:
    assert isinstance(this_update, type(NOW))
    base = _read(world.issuing.crl(number=2).der)
    other = _read(world.issuing.crl(number=number, this_update=this_update).der)
    assert other.supersedes(base) == newer


def test_t33_a_list_over_the_limit_is_refused_before_it_is_read() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return LARGEST_CRL + 1

    assert _problem(Huge(b"")) == f"expected a list of at most {LARGEST_CRL} octets, found {LARGEST_CRL + 1}"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param(b"", "expected PEM blocks `X509 CRL`, found none", id="an empty file"),
        pytest.param(b"\x30\x03\x02\x01\x01", "not a DER revocation list", id="another structure"),
        pytest.param(WORLD.issuing.crl().der[:-1], "not a DER revocation list", id="cut off"),
        pytest.param(WORLD.issuing.crl().der + b"\x00", "not a DER revocation list", id="something after it"),
        pytest.param(
            WORLD.issuing.pem.encode(), "expected PEM `X509 CRL`, found `CERTIFICATE`", id="a certificate"
        ),
        pytest.param(
            (WORLD.issuing.crl().pem + WORLD.root.crl().pem).encode(),
            "expected one revocation list, found 2",
            id="two lists in one file",
        ),
    ],
)
def test_what_is_no_list_is_refused(octets: bytes, expected: str) -> None:
    with pytest.raises(TrustMaterialError) as caught:
        _read(octets)
    assert expected in str(caught.value)


def test_different_algorithms_inside_and_outside_are_refused(world: SmallWorld) -> None:
    der = bytearray(world.issuing.crl().der)
    position = der.rindex(bytes.fromhex("2a8648ce3d040302"))
    der[position + 7] = 3  # ecdsa-with-SHA384 outside
    assert _problem(bytes(der)) == "signature algorithm inside and outside of the signed part differ"


_CRL = WORLD.issuing.crl([5, 6], reason=x509.ReasonFlags.superseded).der


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, len(_CRL) - 1), flip=st.integers(1, 255))
def test_a_mutated_list_is_never_read_and_never_an_accident(position: int, flip: int) -> None:
    mutated = _CRL[:position] + bytes([_CRL[position] ^ flip]) + _CRL[position + 1 :]
    with pytest.raises(TrustMaterialError):
        _read(mutated)


@settings(max_examples=300, deadline=None)
@given(octets=st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: der_element(0x30, body)))
def test_any_octets_are_a_list_or_a_problem(octets: bytes) -> None:
    with pytest.raises(TrustMaterialError):
        _read(octets)


@pytest.mark.filterwarnings(
    "ignore:Attribute's length:UserWarning"
)  # `O` spoiled into `C` has too long a value
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_correctly_signed_but_spoiled_list_is_read_or_a_problem(data: st.DataObject) -> None:
    """Signed again after the mutation, so that what lies behind the signature is reached."""

    def spoil(fields: list[bytes]) -> list[bytes]:
        which = data.draw(st.integers(2, len(fields) - 1))
        position = data.draw(st.integers(0, len(fields[which]) - 1))
        spoiled = bytearray(fields[which])
        spoiled[position] ^= data.draw(st.integers(1, 255))
        return [*fields[:which], bytes(spoiled), *fields[which + 1 :]]

    edit: Callable[[list[bytes]], list[bytes]] = spoil
    der = resigned(_CRL, WORLD.issuing.key, edit=edit)
    try:
        crl = _read(der)
    except TrustMaterialError:
        return
    assert crl.issuer_text == "CN=Renovations Issuing CA,O=Renovations"


def test_the_unchanged_list_is_read(world: SmallWorld) -> None:
    """The neighbour of the mutations."""
    assert set(_read(resigned(_CRL, world.issuing.key, edit=unchanged)).entries) == {5, 6}
    assert isinstance(world.dave, Issued)
