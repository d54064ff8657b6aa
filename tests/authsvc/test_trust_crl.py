"""Reading revocation lists: only a list that is wholly understood exists, and only a signature proves it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts, KeyFacts, read_certificate
from authsvc.trust.crl import LARGEST_CRL, RevocationList, RevokedEntry, index_crl, read_crl
from authsvc.trust.distribution_points import ALL_REASONS, EVERYTHING, DistributionPoint, Scope
from authsvc.trust.profile import StrengthFloor
from tests.support.lists import delta_of, entry, indirect_list, issuing_point, list_of_entries, uri_name
from tests.support.pki import (
    NOW,
    Authority,
    Issued,
    KeyKind,
    SmallWorld,
    der_element,
    dns,
    generate_key,
    resigned,
    small_world,
    unchanged,
    uri,
)
from tests.support.trust import facts_of

SHA1 = hashes.SHA1()  # noqa: S303 - what must be refused
HOUR = timedelta(hours=1)
CLIENT_FLOOR = StrengthFloor()
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
WORLD = small_world()


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return WORLD


def _read(octets: bytes) -> RevocationList:
    return read_crl(octets, source="a.crl")


def _problem(octets: bytes) -> str:
    with pytest.raises(TrustMaterialError) as caught:
        _read(octets)
    assert str(caught.value).startswith("`a.crl`: ")
    return str(caught.value).removeprefix("`a.crl`: ").removeprefix("revocation list cannot be read: ")


def _entry(crl: RevocationList, serial: int) -> RevokedEntry | None:
    return crl.find(serial, crl.issuer_key)


def _unsigned(octets: bytes, issuer: Authority | Issued, floor: StrengthFloor | None = CLIENT_FLOOR) -> str:
    """Why a list is not proven by the key of an authority."""
    return _read(octets).find_signature_problem(facts_of(issuer), floor=floor)


def test_a_list_is_read_whole(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl([world.dave, 5], reason=x509.ReasonFlags.key_compromise, number=7).der)
    issuing = facts_of(world.issuing)
    assert (crl.source, crl.issuer_text, crl.issuer_key) == (
        "a.crl",
        "CN=Renovations Issuing CA,O=Renovations",
        issuing.subject_key,
    )
    assert (crl.this_update, crl.next_update) == (NOW - HOUR, NOW + timedelta(days=7))
    assert (crl.number, crl.base_number, crl.is_delta, crl.entry_count) == (7, None, False, 2)
    assert (
        crl.authority_key_id
        == x509.SubjectKeyIdentifier.from_public_key(world.issuing.key.public_key()).digest
    )
    assert (crl.scope, crl.freshest_urls) == (EVERYTHING, ())
    for serial in (world.dave.certificate.serial_number, 5):
        entry = _entry(crl, serial)
        assert entry is not None
        assert (entry.since, entry.reason) == (NOW - HOUR, "keyCompromise")
    assert _entry(crl, 6) is None
    assert crl.find(5, facts_of(world.root).subject_key) is None
    assert repr(_entry(crl, 5)) == ("RevokedEntry(since=2026-03-01T11:00:00+00:00, reason='keyCompromise')")


def test_pem_der_and_a_mapped_file_say_the_same(world: SmallWorld, tmp_path: Path) -> None:
    crl = world.issuing.crl([5])
    assert _read(crl.der) == _read(crl.pem.encode())
    path = tmp_path / "a.crl"
    path.write_bytes(crl.der)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        assert index_crl(mapped) == index_crl(crl.der)


def test_an_index_is_read_from_memory_and_from_a_mapped_file(world: SmallWorld, tmp_path: Path) -> None:
    index = index_crl(world.issuing.crl([5]).der)
    path = tmp_path / "a.index"
    path.write_bytes(index)
    with path.open("rb") as file:
        mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
    for one in (index, memoryview(index), mapped):
        crl = RevocationList.from_index(one, source="a.crl")
        assert crl == RevocationList.from_index(index, source="a.crl")
        assert _entry(crl, 5) is not None
        assert crl.is_intact()


def test_what_was_written_to_a_mapped_file_is_read_although_no_file_has_it(
    world: SmallWorld, tmp_path: Path
) -> None:
    """Pages of a file are given back while it is read, but not those that only memory has."""
    first, second = (world.issuing.crl([serial, 7], number=1).der for serial in (5, 6))
    path = tmp_path / "a.crl"
    path.write_bytes(first[:-1].ljust(len(second), b"\0"))
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_COPY) as mapped:
        mapped[:] = second
        assert index_crl(mapped) == index_crl(second)


class _ChangingFile(mmap):
    """A mapped file whose first entry is changed by somebody as soon as the entries are read."""

    def __getitem__(self, key: Any) -> Any:  # Any: a mapping is asked for octets and for slices
        octets = super().__getitem__(key)
        if isinstance(key, slice) and octets[:2] == octets[35:37] == b"\x30\x21":
            self[key.start + 10] = octets[10] ^ 1
        return octets


def test_t42_a_file_that_changes_while_it_is_read_is_refused(world: SmallWorld, tmp_path: Path) -> None:
    """The signature would prove what was there before, and the index hold what came after."""
    whole = list_of_entries(world.issuing, [entry(2**120 + number) for number in range(30)])
    path = tmp_path / "a.crl"
    path.write_bytes(whole)
    with path.open("rb") as file:
        for kind, problem in ((mmap, ""), (_ChangingFile, "the file was changed while it was read")):
            with kind(file.fileno(), 0, access=ACCESS_COPY) as mapped:
                if problem:
                    with pytest.raises(TrustMaterialError, match=problem):
                        index_crl(mapped)
                else:
                    assert index_crl(mapped) == index_crl(whole)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(lambda index: index[:0], "is cut off", id="empty"),
        pytest.param(lambda index: index[:40], "is cut off", id="cut off in the prefix"),
        pytest.param(lambda index: index[:-1], "is cut off or spoiled", id="cut off at the end"),
        pytest.param(lambda index: index + b"\0", "is cut off or spoiled", id="something after it"),
        pytest.param(lambda index: b"x" + index[1:], "another version or machine", id="another magic"),
        pytest.param(
            lambda index: index[:8] + b"\xff\xff" + index[10:],
            "another version or machine",
            id="another version",
        ),
        pytest.param(
            lambda index: index[:-1] + bytes([index[-1] ^ 1]), "is cut off or spoiled", id="a bit of the head"
        ),
    ],
)
def test_t42_half_an_index_or_a_spoiled_one_is_refused(
    world: SmallWorld, spoil: Callable[[bytes], bytes], expected: str
) -> None:
    index = index_crl(world.issuing.crl([5]).der)
    with pytest.raises(TrustMaterialError) as caught:
        RevocationList.from_index(spoil(index), source="a.crl")
    assert str(caught.value).startswith("`a.crl`: ")
    assert expected in str(caught.value)


def test_a_changed_serial_number_in_an_index_is_noticed_by_who_looks(world: SmallWorld) -> None:
    index = bytearray(index_crl(world.issuing.crl([5]).der))
    index[70] ^= 1
    assert not RevocationList.from_index(bytes(index), source="a.crl").is_intact()


def test_the_same_list_gives_the_same_index(world: SmallWorld) -> None:
    der = world.issuing.crl(range(1, 3000)).der
    assert index_crl(der) == index_crl(der)


@pytest.mark.parametrize(
    "kind", [KeyKind.RSA_2048, KeyKind.P384, KeyKind.P521, KeyKind.ED25519, KeyKind.ED448]
)
def test_a_list_may_be_signed_with_every_key_that_an_issuer_may_have(kind: KeyKind) -> None:
    root = Authority.root(now=NOW, key=kind)
    crl = _read(root.crl([5]).der)
    assert crl.is_signed_by(facts_of(root))
    assert not crl.is_signed_by(facts_of(Authority.root(now=NOW, key=kind)))
    assert _entry(crl, 5) is not None


def test_a_list_without_entries_number_and_key_identifier_is_a_list(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl(number=None, authority_key_id=False).der)
    assert (crl.number, crl.entry_count, crl.authority_key_id) == (-1, 0, b"")
    assert _entry(crl, 5) is None


def test_a_list_of_version_1_is_a_list_without_extensions(world: SmallWorld) -> None:
    def version_1(fields: list[bytes]) -> list[bytes]:
        return fields[1:6]  # no version, no extensions

    def version_1_with_extensions(fields: list[bytes]) -> list[bytes]:
        return fields[1:]

    plain, with_reason = world.issuing.crl([5]), world.issuing.crl([5], reason=x509.ReasonFlags.superseded)
    crl = _read(resigned(plain.der, world.issuing.key, edit=version_1))
    assert (crl.number, _entry(crl, 5) is not None) == (-1, True)
    for one, edit in ((plain, version_1_with_extensions), (with_reason, version_1)):
        assert "extensions in a list of version 1" in _problem(
            resigned(one.der, world.issuing.key, edit=edit)
        )


def test_another_version_is_refused(world: SmallWorld) -> None:
    def version_3(fields: list[bytes]) -> list[bytes]:
        return [b"\x02\x01\x02", *fields[1:]]

    assert _problem(resigned(world.issuing.crl().der, world.issuing.key, edit=version_3)) == (
        "expected version 2 or no version"
    )


def test_a_list_of_nobody_is_refused(world: SmallWorld) -> None:
    assert _problem(world.issuing.crl(issuer_name=x509.Name([])).der) == "the list's issuer is empty"


def test_a_list_of_a_name_that_must_not_be_compared_is_told_so(world: SmallWorld) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x07b")])
    assert _read(world.issuing.crl(issuer_name=name).der).issuer_text == "(a name that must not be compared)"


def test_an_entry_may_say_when_it_became_invalid(world: SmallWorld) -> None:
    crl = _read(
        world.issuing.crl([5], entry_extensions=[(x509.InvalidityDate(NOW.replace(tzinfo=None)), True)]).der
    )
    entry = _entry(crl, 5)
    assert entry is not None
    assert entry.reason == ""


# ---------------------------------------------------------------------------------------------- signature


def test_t34_a_list_signed_with_another_key_is_not_proven(world: SmallWorld) -> None:
    forged = world.issuing.crl(signing_key=generate_key())
    assert _unsigned(forged.der, world.issuing) == (
        "not signed with the key of `CN=Renovations Issuing CA,O=Renovations`"
    )
    assert _unsigned(world.issuing.crl().der, world.issuing) == ""


def test_t34_a_list_signed_with_another_kind_of_key_is_not_proven(world: SmallWorld) -> None:
    root = Authority.root(now=NOW, key=KeyKind.RSA_2048)
    assert "not signed with the key" in _unsigned(root.crl(signing_key=generate_key()).der, root)
    assert "not signed with the key" in _unsigned(world.root.crl(signing_key=root.key).der, world.root)


def test_t22_a_list_belongs_to_the_authority_whose_key_signed_it_not_to_its_namesake(
    world: SmallWorld,
) -> None:
    twin = Authority.root(now=NOW)
    crl = _read(twin.crl([5]).der)
    assert (crl.is_signed_by(facts_of(twin)), crl.is_signed_by(facts_of(world.root))) == (True, False)


def test_what_is_known_of_keys_is_bounded(world: SmallWorld) -> None:
    """A hundred namesakes: the answers stay right when what was remembered has been forgotten."""
    crl = _read(world.root.crl().der)
    root = facts_of(world.root)
    for number in range(100):
        other = replace(facts_of(world.issuing), key_sha256=number.to_bytes(32, "big"))
        assert not crl.is_signed_by(other)
    assert crl.is_signed_by(root)


def test_a_weak_signature_proves_nothing_in_the_client_profile(world: SmallWorld) -> None:
    der = resigned(world.issuing.crl().der, world.issuing.key, hash_algorithm=SHA1)
    assert "expected a signature with SHA-256, SHA-384 or SHA-512" in _unsigned(der, world.issuing)
    assert _unsigned(der, world.issuing, floor=None) == ""
    assert _unsigned(resigned(world.issuing.crl().der, world.issuing.key), world.issuing) == ""


def test_a_weak_key_proves_nothing_in_the_client_profile() -> None:
    root = Authority.root(now=NOW, key=KeyKind.RSA_1024)
    assert "expected an RSA key of at least 2048 bits" in _unsigned(root.crl().der, root)
    assert _unsigned(root.crl().der, root, floor=None) == ""


def test_a_floor_of_an_anchor_holds_for_lists_too() -> None:
    root = Authority.root(now=NOW, key=KeyKind.RSA_2048)
    assert "at least 3072 bits" in _unsigned(root.crl().der, root, floor=StrengthFloor(rsa_bits=3072))


def test_a_key_that_nobody_knows_proves_nothing(world: SmallWorld) -> None:
    crl = _read(world.root.crl().der)
    strange = replace(facts_of(world.root), key=KeyFacts(kind="unsupported", bits=0))
    assert not crl.is_signed_by(strange, floor=None)


def test_a_dsa_key_with_its_parameters_from_above_signs_lists_in_the_bare_algorithm(
    world: SmallWorld,
) -> None:
    """RFC 3279 section 2.3.2: the key alone is not enough, and its issuer's key must be of that kind."""
    parameters = dsa.generate_parameters(1024)
    upper, lower = parameters.generate_private_key(), parameters.generate_private_key()
    above = _dsa_facts(world, upper)
    issuer = _without_parameters(_dsa_facts(world, lower), lower)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(world.root.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + HOUR)
        .sign(lower, hashes.SHA256())
    )
    read = _read(crl.public_bytes(serialization.Encoding.DER))
    assert read.is_signed_by(issuer, floor=None, above=(above,))
    assert not read.is_signed_by(issuer, floor=None)
    assert not read.is_signed_by(issuer, floor=None, above=(facts_of(world.root),))
    assert not read.is_signed_by(issuer, above=(above,))


def _dsa_facts(world: SmallWorld, key: dsa.DSAPrivateKey) -> CertificateFacts:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(world.root.certificate.subject)
        .issuer_name(world.root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(NOW - HOUR)
        .not_valid_after(NOW + HOUR)
        .sign(key, hashes.SHA256())
    )
    return read_certificate(certificate.public_bytes(serialization.Encoding.DER))


def _without_parameters(facts: CertificateFacts, key: dsa.DSAPrivateKey) -> CertificateFacts:
    """The same certificate, its key without parameters."""
    y = key.public_key().public_numbers().y
    number = der_element(0x02, y.to_bytes(y.bit_length() // 8 + 1, "big"))
    algorithm = der_element(0x30, bytes.fromhex("06072a8648ce380401"))
    return replace(
        facts,
        key=KeyFacts(kind="DSA", bits=0, inherits=True),
        key_info=der_element(0x30, algorithm + der_element(0x03, b"\0" + number)),
    )


def test_an_algorithm_that_nobody_knows_refuses_the_list(world: SmallWorld) -> None:
    der = world.issuing.crl().der.replace(
        bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d04037f")
    )
    assert _problem(der) == "the algorithm of the list's signature is not known"


# --------------------------------------------------------------------------------------------------- scope


HERE = DistributionPoint(names=frozenset({uri_name("http://x/1.crl")}))


@pytest.mark.parametrize(
    ("extension", "covers_leaf", "covers_authority"),
    [
        pytest.param(None, True, True, id="no scope: everything"),
        pytest.param(issuing_point(end_entities=True), True, False, id="only end entities"),
        pytest.param(issuing_point(authorities=True), False, True, id="only authorities"),
        pytest.param(issuing_point(attributes=True), False, False, id="only attribute certificates"),
        pytest.param(
            issuing_point(full_name=[uri("http://x/1.crl")]), True, True, id="one of the certificate's points"
        ),
        pytest.param(issuing_point(full_name=[uri("http://x/2.crl")]), False, False, id="another point"),
    ],
)
def test_t34_a_list_covers_what_its_scope_says(
    world: SmallWorld,
    extension: tuple[x509.ExtensionType, bool] | None,
    covers_leaf: bool,
    covers_authority: bool,
) -> None:
    scope = _read(world.issuing.crl(extensions=[extension] if extension else []).der).scope
    assert scope.covers(HERE, is_authority=False) == covers_leaf
    assert scope.covers(HERE, is_authority=True) == covers_authority


def test_t34_some_reasons_are_not_all(world: SmallWorld) -> None:
    some = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.aa_compromise})
    scope = _read(world.issuing.crl(extensions=[issuing_point(reasons=some)]).der).scope
    assert scope == Scope(reasons=0b1_0000_0010)
    assert not scope.is_everything
    assert _read(world.issuing.crl().der).scope.reasons == ALL_REASONS


def test_an_indirect_list_has_the_certificates_of_several_issuers(world: SmallWorld) -> None:
    root, issuing = facts_of(world.root).subject_key, facts_of(world.issuing).subject_key
    crl = _read(indirect_list(world.issuing, [(None, 1), (world.root, 2), (None, 3), (world.issuing, 4)]))
    assert crl.scope.indirect
    assert crl.entry_count == 4
    assert [crl.find(serial, issuing) is not None for serial in (1, 2, 3, 4)] == [True, False, False, True]
    assert [crl.find(serial, root) is not None for serial in (1, 2, 3, 4)] == [False, True, True, False]


def test_an_entry_for_another_issuer_refuses_a_list_that_is_not_indirect(world: SmallWorld) -> None:
    other = x509.CertificateIssuer([x509.DirectoryName(world.root.certificate.subject)])
    problem = _problem(world.issuing.crl([5], entry_extensions=[(other, True)]).der)
    assert problem == "entry 5: speaks for another issuer, and the list is not indirect"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([uri("http://x/")], 0),
        (
            [
                x509.DirectoryName(WORLD.root.certificate.subject),
                x509.DirectoryName(WORLD.issuing.certificate.subject),
            ],
            2,
        ),
    ],
)
def test_an_entry_for_nobody_or_for_two_issuers_refuses_the_list(
    world: SmallWorld, names: list[x509.GeneralName], found: int
) -> None:
    crl = world.issuing.crl(
        [5],
        entry_extensions=[(x509.CertificateIssuer(names), True)],
        extensions=[issuing_point(indirect=True)],
    )
    assert f"expected one directory name of the certificate's issuer, found {found}" in _problem(crl.der)


def test_t33_a_list_about_the_certificates_of_a_thousand_issuers_is_refused(world: SmallWorld) -> None:
    names = [Authority.root(f"CN={number}", now=NOW, key=world.root.key) for number in range(1000)]
    fitting = indirect_list(world.issuing, [(name, 7) for name in names[:999]])
    assert _read(fitting).entry_count == 999
    assert "at most 1000 issuers" in _problem(indirect_list(world.issuing, [(name, 7) for name in names]))


def test_a_delta_list_says_what_it_completes(world: SmallWorld) -> None:
    crl = _read(world.issuing.crl(number=8, extensions=[(x509.DeltaCRLIndicator(5), True)]).der)
    assert (crl.number, crl.base_number, crl.is_delta) == (8, 5, True)


@pytest.mark.parametrize("content", [b"\xff", bytes([1]) + bytes(20)])
def test_a_number_that_is_negative_or_too_long_refuses_the_list(world: SmallWorld, content: bytes) -> None:
    number = x509.UnrecognizedExtension(x509.CRLNumber.oid, der_element(0x02, content))
    crl = world.issuing.crl(number=None, extensions=[(number, False)])
    assert _problem(crl.der) == "expected a list's number of at most 20 octets, not negative"


def test_a_delta_list_without_a_number_is_refused(world: SmallWorld) -> None:
    crl = world.issuing.crl(number=None, extensions=[(x509.DeltaCRLIndicator(5), True)])
    assert "a delta list without a number" in _problem(crl.der)


def test_a_list_says_where_its_delta_lists_are(world: SmallWorld) -> None:
    points = [
        x509.DistributionPoint([uri("ldap://x/"), uri("http://x/2")], None, None, None),
        x509.DistributionPoint([uri("http://x/1"), dns("x")], None, None, None),
        x509.DistributionPoint(None, None, None, [x509.DirectoryName(world.root.certificate.subject)]),
    ]
    crl = _read(world.issuing.crl(extensions=[(x509.FreshestCRL(points), False)]).der)
    assert crl.freshest_urls == ("http://x/1", "http://x/2", "ldap://x/")


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

    assert _problem(resigned(crl.der, world.issuing.key, edit=spoil)) == (
        "entry 5: expected a reason code of RFC 5280, found 11"
    )


def test_t40_remove_from_crl_refuses_a_list_that_is_no_delta(world: SmallWorld) -> None:
    crl = world.issuing.crl([5], reason=x509.ReasonFlags.remove_from_crl)
    assert "entry 5: says removeFromCRL" in _problem(crl.der)


def test_t40_a_hold_is_a_revocation(world: SmallWorld) -> None:
    entry = _entry(_read(world.issuing.crl([5], reason=x509.ReasonFlags.certificate_hold).der), 5)
    assert entry is not None
    assert (entry.reason, entry.is_hold, entry.is_removal) == ("certificateHold", True, False)


def test_t40_remove_from_crl_is_read_in_a_delta_list(world: SmallWorld) -> None:
    delta = world.issuing.crl(
        [5],
        number=2,
        reason=x509.ReasonFlags.remove_from_crl,
        extensions=[(x509.DeltaCRLIndicator(1), True)],
    )
    entry = _entry(_read(delta.der), 5)
    assert entry is not None
    assert entry.is_removal


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


def test_t33_a_field_over_a_megabyte_is_refused(world: SmallWorld) -> None:
    huge = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(1024 * 1024))
    problem = _problem(world.issuing.crl(extensions=[(huge, False)]).der)
    assert problem.startswith("expected a field of at most 1048576 octets, found 10486")


def test_of_two_lists_of_one_series_one_takes_the_others_place(world: SmallWorld) -> None:
    base = _read(world.issuing.crl().der)
    assert base.same_series(_read(world.issuing.crl([5], number=9).der))
    for other in (
        world.root.crl(),
        world.issuing.crl(authority_key_id=False),
        world.issuing.crl(extensions=[issuing_point(end_entities=True)]),
        world.issuing.crl(extensions=[delta_of(1)]),
    ):
        assert not base.same_series(_read(other.der))


def test_t33_a_list_over_the_limit_is_refused_before_it_is_read() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return LARGEST_CRL + 1

    assert _problem(Huge(b"")) == f"expected a list of at most {LARGEST_CRL} octets, found {LARGEST_CRL + 1}"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param(b"", "expected PEM blocks `X509 CRL`, found none", id="an empty file"),
        pytest.param(b"\x30\x03\x02\x01\x01", "revocation list cannot be read", id="another structure"),
        pytest.param(WORLD.issuing.crl().der[:-1], "revocation list cannot be read", id="cut off"),
        pytest.param(WORLD.issuing.crl().der + b"\x00", "nothing after it", id="something after it"),
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
def test_a_mutated_list_is_never_proven_and_never_an_accident(position: int, flip: int) -> None:
    mutated = _CRL[:position] + bytes([_CRL[position] ^ flip]) + _CRL[position + 1 :]
    try:
        crl = _read(mutated)
    except TrustMaterialError:
        return
    assert not crl.is_signed_by(facts_of(WORLD.issuing))


@settings(max_examples=300, deadline=None)
@given(octets=st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: der_element(0x30, body)))
def test_any_octets_are_a_list_or_a_problem(octets: bytes) -> None:
    with pytest.raises(TrustMaterialError):
        _read(octets)


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
    assert crl.is_signed_by(facts_of(WORLD.issuing))


def test_the_unchanged_list_is_read(world: SmallWorld) -> None:
    """The neighbour of the mutations."""
    crl = _read(resigned(_CRL, world.issuing.key, edit=unchanged))
    assert crl.is_signed_by(facts_of(world.issuing))
    assert (_entry(crl, 5), crl.entry_count) == (_entry(crl, 6), 2)
    assert isinstance(world.dave, Issued)


def test_a_list_without_an_end_is_current_with_a_grace_too(world: SmallWorld) -> None:
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert _read(world.issuing.crl(next_update=never).der).is_current(NOW, timedelta(days=1))
