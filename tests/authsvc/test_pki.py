"""The certificate factory: its defaults are correct, and each deviation is what it says."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from directory_assistance.certificate_names import read_certificate_names
from tests.support.pki import (
    CLIENT_AUTH,
    NOW,
    SERVER_AUTH,
    UPN_OID,
    Authority,
    KeyKind,
    dns,
    generate_key,
    host,
    mail,
    name_from_text,
    sid_extension,
    small_world,
    upn,
    uri,
)


def test_the_default_certificate_is_a_client_certificate_of_the_issuing_authority() -> None:
    world = small_world()
    certificate = world.dave.certificate
    certificate.verify_directly_issued_by(world.issuing.certificate)
    world.issuing.certificate.verify_directly_issued_by(world.root.certificate)
    assert certificate.subject.rfc4514_string() == "CN=Dave Lawson,O=Renovations"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [CLIENT_AUTH]
    assert certificate.not_valid_before_utc == NOW - timedelta(days=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


def test_a_text_subject_is_leaf_first_and_may_hold_every_usual_attribute() -> None:
    text = "CN=Zoë\\, X+UID=7,OU=Sales,O=Renovations,C=US,emailAddress=z@x.org,serialNumber=9,givenName=Z"
    assert [
        (attribute.oid.dotted_string, attribute.value)
        for rdn in reversed(name_from_text(text).rdns)
        for attribute in rdn
    ] == [
        ("2.5.4.3", "Zoë, X"),
        ("0.9.2342.19200300.100.1.1", "7"),
        ("2.5.4.11", "Sales"),
        ("2.5.4.10", "Renovations"),
        ("2.5.4.6", "US"),
        ("1.2.840.113549.1.9.1", "z@x.org"),
        ("2.5.4.5", "9"),
        ("2.5.4.42", "Z"),
    ]


def test_an_empty_text_subject_is_the_empty_name() -> None:
    assert x509.Name([]) == name_from_text("")


@pytest.mark.parametrize("kind", KeyKind)
def test_every_kind_of_key_can_stand_in_a_certificate(kind: KeyKind) -> None:
    issued = small_world().issuing.issue(key=kind)
    assert issued.certificate.public_key() == issued.key.public_key()


def test_alternative_names_and_the_security_identifier_are_read_back() -> None:
    san = [mail("d@x.org"), upn("dave@corp"), dns("x.org"), uri("urn:x"), host("::1"), host("y.org")]
    issued = small_world().issuing.issue(san=san, extensions=[(sid_extension("S-1-5-21-1-2-3-1104"), False)])
    names = read_certificate_names(issued.der)
    assert names.san_mails == ("d@x.org",)
    assert names.san_upns == ("dave@corp",)
    assert names.san_dns == ("x.org", "y.org")
    assert names.san_uris == ("urn:x",)
    assert names.san_ips == ("::1",)
    assert names.sids == ("S-1-5-21-1-2-3-1104",)
    assert UPN_OID.dotted_string == "1.3.6.1.4.1.311.20.2.3"


def test_a_bundle_holds_the_certificate_and_the_intermediates_without_the_root() -> None:
    world = small_world()
    below = world.issuing.issue_authority("CN=Below").issue()
    subjects = [
        one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(below.bundle_pem.encode())
    ]
    assert subjects == ["CN=Dave Lawson,O=Renovations", "CN=Below", "CN=Renovations Issuing CA,O=Renovations"]
    assert load_pem_private_key(below.key_pem.encode(), None).public_key() == below.certificate.public_key()


def test_a_server_certificate_names_its_hosts() -> None:
    issued = small_world().issuing.issue_server("localhost", "127.0.0.1")
    san = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(san) == [dns("localhost"), host("127.0.0.1")]
    usage = issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [SERVER_AUTH]


def test_a_list_names_certificates_authorities_and_serial_numbers() -> None:
    world = small_world()
    crl = world.issuing.crl([world.dave, world.issuing, 5], reason=x509.ReasonFlags.key_compromise).crl
    assert {entry.serial_number for entry in crl} == {
        world.dave.certificate.serial_number,
        world.issuing.certificate.serial_number,
        5,
    }
    assert crl.next_update_utc == NOW + timedelta(days=7)


def test_an_authority_comes_back_from_its_files() -> None:
    issuing = small_world().issuing
    again = Authority.from_pem(issuing.pem, issuing.key_pem, now=NOW, chain_pem=issuing.pem)
    assert again.der == issuing.der
    assert again.issue().chain == (issuing.certificate,)


def test_an_authority_does_not_come_back_with_the_key_of_another() -> None:
    world = small_world()
    with pytest.raises(ValueError, match="not the key of the certificate"):
        Authority.from_pem(world.issuing.pem, world.root.key_pem, now=NOW)


def test_an_authority_does_not_come_back_with_a_key_that_cannot_sign() -> None:
    world = small_world()
    key = x25519.X25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="expected an RSA, ECDSA or EdDSA private key"):
        Authority.from_pem(world.issuing.pem, pem, now=NOW)


def test_an_authority_signs_with_the_key_that_it_is_given() -> None:
    world = small_world()
    forged = world.issuing.issue(signing_key=generate_key())
    with pytest.raises(InvalidSignature):
        forged.certificate.verify_directly_issued_by(world.issuing.certificate)
