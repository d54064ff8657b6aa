"""Reading one certificate for trust: facts, or a named problem."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from authsvc.trust.anchors import read_pem_blocks
from authsvc.trust.certificate import KeyFacts, read_certificate
from directory_assistance.errors import CertificateSyntaxError
from tests.support.pki import (
    NOW,
    Authority,
    KeyKind,
    SmallWorld,
    der_element,
    generate_key,
    resigned,
    small_world,
)
from tests.support.pkits import pkits_cases
from tests.support.trust import facts_of


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


def test_the_facts_of_a_certificate(world: SmallWorld) -> None:
    facts = facts_of(world.dave)
    issuing = facts_of(world.issuing)
    assert facts.certificate == world.dave.certificate
    assert facts.issuer_der == issuing.subject_der
    assert facts.subject_der == world.dave.certificate.subject.public_bytes()
    assert facts.serial == world.dave.certificate.serial_number
    assert (facts.not_before, facts.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=365))
    assert facts.key == KeyFacts(kind="P-256", bits=256)
    assert (facts.signature_algorithm, facts.signature_hash) == ("1.2.840.10045.4.3.2", "sha256")
    assert facts.extended_key_usage == frozenset({"1.3.6.1.5.5.7.3.2"})
    assert facts.subject_text == "CN=Dave Lawson,O=Renovations"
    assert not facts.issuer_is_subject
    assert facts_of(world.root).issuer_is_subject
    assert facts_of(world.root).key_sha256 != issuing.key_sha256


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (KeyKind.RSA_2048, "RSA-2048"),
        (KeyKind.P384, "P-384"),
        (KeyKind.SECP256K1, "secp256k1"),
        (KeyKind.ED25519, "Ed25519"),
        (KeyKind.ED448, "Ed448"),
    ],
)
def test_a_key_is_called_by_its_kind(world: SmallWorld, kind: KeyKind, expected: str) -> None:
    assert str(facts_of(world.issuing.issue(key=kind)).key) == expected


def test_a_dsa_key_is_read_as_what_it_is(world: SmallWorld, tmp_path: Path) -> None:
    """Made with the openssl command: the builder of `cryptography` makes none."""
    commands = [
        "openssl dsaparam -out dsa.param 1024",
        "openssl gendsa -out dsa.key dsa.param",
        "openssl req -x509 -new -key dsa.key -subj /CN=DSA -sha256 -outform DER -out dsa.der",
    ]
    for command in commands:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    facts = read_certificate((tmp_path / "dsa.der").read_bytes())
    assert str(facts.key) == "DSA-1024"
    assert str(facts_of(world.dave).key) == "P-256"


def test_a_name_for_messages_is_short_and_printable() -> None:
    assert facts_of(Authority.root("", now=NOW).issue(issuer_name="CN=A")).issuer_text == "CN=A"
    long_name = facts_of(Authority.root("CN=" + "\x1b" * 60, now=NOW)).subject_text
    assert long_name.startswith("CN=\\x1b\\x1b")
    assert long_name.isprintable()


def test_an_empty_subject_has_a_name_for_messages() -> None:
    assert facts_of(Authority.root(now=NOW).issue("")).subject_text == "(empty name)"


def _serial(octets: str) -> bytes:
    return der_element(0x02, bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("position", "replacement", "expected"),
    [
        pytest.param(0, b"", "extensions in a certificate of version 1", id="version 1"),
        pytest.param(
            0, bytes.fromhex("a003020101"), "expected a certificate of version 1 or 3", id="version 2"
        ),
        pytest.param(1, _serial("00"), "serial number is zero or negative", id="serial number zero"),
        pytest.param(1, _serial("ff"), "serial number is zero or negative", id="negative serial number"),
        pytest.param(1, _serial("00" + "ff" * 21), "more than 20 octets", id="21 octets"),
        pytest.param(3, bytes.fromhex("3000"), "issuer is empty", id="empty issuer"),
        pytest.param(4, bytes.fromhex("3000"), "certificate cannot be read", id="no dates"),
        pytest.param(6, bytes.fromhex("3000"), "certificate cannot be read", id="no key"),
    ],
)
def test_a_certificate_that_rfc_5280_does_not_allow_cannot_be_read(
    world: SmallWorld, position: int, replacement: bytes, expected: str
) -> None:
    der = resigned(
        world.dave.der,
        world.issuing.key,
        edit=lambda fields: [*fields[:position], replacement, *fields[position + 1 :]],
    )
    with pytest.raises(CertificateSyntaxError, match=expected):
        read_certificate(der)


def test_the_longest_serial_number_is_read(world: SmallWorld) -> None:
    longest = _serial("00" + "ff" * 20)
    der = resigned(world.dave.der, world.issuing.key, edit=lambda fields: [fields[0], longest, *fields[2:]])
    assert read_certificate(der).serial == (1 << 160) - 1


def test_the_largest_certificate_is_read(world: SmallWorld) -> None:
    """A certificate of exactly 64 KiB; one octet more is not even looked at."""
    signing_key = generate_key(KeyKind.ED25519)  # its signatures are all of one length

    def padded(octets: int) -> bytes:
        padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(octets))
        issued = world.issuing.issue(
            key=world.dave.key, serial=1, signing_key=signing_key, extensions=[(padding, False)]
        )
        return issued.der

    largest = padded(65_000 + 65_536 - len(padded(65_000)))
    assert len(largest) == 65_536
    assert read_certificate(largest).serial == 1
    with pytest.raises(CertificateSyntaxError, match="certificate has 65537 octets, the limit is 65536"):
        read_certificate(largest + b"\x00")


def test_different_algorithms_inside_and_outside_are_refused(world: SmallWorld) -> None:
    der = bytearray(world.dave.der)
    position = der.rindex(bytes.fromhex("2a8648ce3d040302"))
    der[position + 7] = 3  # ecdsa-with-SHA384 outside
    with pytest.raises(CertificateSyntaxError, match="inside and outside of the signed part differ"):
        read_certificate(bytes(der))


def test_a_signature_algorithm_nobody_knows_has_no_hash(world: SmallWorld) -> None:
    unknown = world.dave.der.replace(
        bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040309")
    )
    facts = read_certificate(unknown)
    assert (facts.signature_algorithm, facts.signature_hash) == ("1.2.840.10045.4.3.9", "")


def test_a_certificate_of_version_1_cannot_be_read(world: SmallWorld) -> None:
    old = resigned(world.dave.der, world.issuing.key, edit=lambda fields: fields[1:-1])
    with pytest.raises(CertificateSyntaxError, match=r"expected X\.509 version 3, found another"):
        read_certificate(old)


def test_a_dsa_key_that_inherits_its_parameters_is_read_for_the_bare_path_algorithm_alone() -> None:
    """RFC 3279 section 2.3.2; the certificate is one of NIST's (4.1.5), which the builder would not make."""
    case = next(case for case in pkits_cases() if case.id == "4.1.5")
    inheriting = read_pem_blocks(
        case.batch["intermediates"][1].encode(), labels=frozenset({b"CERTIFICATE"}), source="PKITS"
    )[0]
    facts = read_certificate(inheriting, any_serial=True)
    assert facts.key == KeyFacts(kind="DSA", bits=0, inherits=True)
    assert facts.der == inheriting
    assert facts.subject_text == "CN=DSA Parameters Inherited CA,O=Test Certificates 2011,C=US"
    with pytest.raises(CertificateSyntaxError, match="cannot be read"):
        read_certificate(inheriting)
