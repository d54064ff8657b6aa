"""The names of a certificate are read whole, from their own types, in one way, or not at all."""

import hashlib
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.certificate_names import (
    CertificateNames,
    OtherName,
    StoredFacts,
    attribute_values,
    read_certificate_names,
    read_stored_certificate,
    read_validity,
)
from directory_assistance.der import Fields, read_elements
from directory_assistance.dn import (
    DistinguishedName,
    dn_from_attributes,
    has_unusable_characters,
    read_ldap_dn,
    render_ldap,
)
from directory_assistance.errors import CertificateSyntaxError
from tests.support.pki import (
    NOW,
    Authority,
    Issued,
    KeyKind,
    der_element,
    dns,
    host,
    mail,
    sid_extension,
    upn,
    uri,
)

AUTHORITY = Authority.root("CN=Renovations Root CA,O=Renovations", now=NOW)

RICH = AUTHORITY.issue(
    "CN=Dave Lawson,OU=East,O=Renovations,C=US",
    serial=0x1234,
    san=[
        mail("dave@renovations.com"),
        upn("dave@corp.renovations.com"),
        dns("dave.renovations.com"),
        uri("urn:dave"),
        host("192.0.2.1"),
        host("2001:db8::1"),
        x509.DirectoryName(x509.Name.from_rfc4514_string("CN=Dave,O=Acme")),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9"), der_element(0x0C, b"d@x")),
    ],
    extensions=[(sid_extension("S-1-5-21-1-2-3-1104"), False)],
)
PLAIN = AUTHORITY.issue("CN=Dave Lawson,O=Renovations", serial=5)


# --- certificates that no builder makes: taken apart and put together again, with one deviation ---


def oid(dotted: str) -> bytes:
    """Return the DER of an object identifier, through an otherName that `cryptography` encodes."""
    san = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier(dotted))])
    return b"\x06" + read_elements(read_elements(san.public_bytes())[0].content)[0].encoded[1:]


def rdn(*attributes: tuple[str, int, bytes]) -> bytes:
    """Return the DER of one RDN, of (dotted type, tag of the value, content of the value)."""
    encoded = [
        der_element(0x30, oid(dotted) + der_element(tag, content)) for dotted, tag, content in attributes
    ]
    return der_element(0x31, b"".join(encoded))


def name(*rdns: bytes) -> bytes:
    return der_element(0x30, b"".join(rdns))


def common_name(tag: int, content: bytes) -> bytes:
    return name(rdn(("2.5.4.3", tag, content)))


def extension(dotted: str, value: bytes, *, critical: bytes = b"") -> bytes:
    return der_element(0x30, oid(dotted) + critical + der_element(0x04, value))


def alternative_names(*names: bytes) -> bytes:
    return extension("2.5.29.17", der_element(0x30, b"".join(names)))


def other_name(dotted: str, value: bytes) -> bytes:
    return der_element(0xA0, oid(dotted) + der_element(0xA0, value))


def sids(*names: bytes) -> bytes:
    return extension("1.3.6.1.4.1.311.25.2", der_element(0x30, b"".join(names)))


def sid_value(text: bytes) -> bytes:
    return other_name("1.3.6.1.4.1.311.25.2.1", der_element(0x04, text))


UPN = "1.3.6.1.4.1.311.20.2.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The encodings of the parts of a certificate; None leaves one out."""

    version: bytes | None
    serial: bytes
    inner_algorithm: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    key: bytes
    unique_ids: bytes = b""
    extensions: bytes | None
    outer_algorithm: bytes
    signature: bytes
    after: bytes = b""
    after_signed: bytes = b""
    after_signature: bytes = b""

    @property
    def der(self) -> bytes:
        signed = [
            self.version or b"",
            self.serial,
            self.inner_algorithm,
            self.issuer,
            self.validity,
            self.subject,
            self.key,
            self.unique_ids,
            self.extensions or b"",
            self.after_signed,
        ]
        outer = [
            der_element(0x30, b"".join(signed)),
            self.outer_algorithm,
            self.signature,
            self.after_signature,
        ]
        return der_element(0x30, b"".join(outer)) + self.after


def take_apart(der: bytes) -> Pieces:
    certificate = Fields(read_elements(der)[0].content)
    signed = [element.encoded for element in read_elements(certificate.take(0x30).content)]
    version, serial, algorithm, issuer, validity, subject, key, extensions = signed
    return Pieces(
        version=version,
        serial=serial,
        inner_algorithm=algorithm,
        issuer=issuer,
        validity=validity,
        subject=subject,
        key=key,
        extensions=extensions,
        outer_algorithm=certificate.take(0x30).encoded,
        signature=certificate.take(0x03).encoded,
    )


BASE = take_apart(PLAIN.der)


def with_extensions(*extensions: bytes) -> bytes:
    return replace(BASE, extensions=der_element(0xA3, der_element(0x30, b"".join(extensions)))).der


def refusal(der: bytes) -> str:
    """Return why a certificate is refused."""
    with pytest.raises(CertificateSyntaxError) as refused:
        read_certificate_names(der)
    return str(refused.value)


def test_a_certificate_put_together_again_is_the_same() -> None:
    assert PLAIN.der == BASE.der


# --- what is read ---


def test_every_name_of_a_certificate_is_read_from_its_own_type() -> None:
    """Subject and issuer leaf first, every kind of SAN, SID, key identifier, serial, digest, key."""
    certificate = RICH.certificate
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert CertificateNames(
        der=RICH.der,
        sha256=hashlib.sha256(RICH.der).digest(),
        subject=read_ldap_dn("CN=Dave Lawson,OU=East,O=Renovations,C=US"),
        issuer=read_ldap_dn("CN=Renovations Root CA,O=Renovations"),
        issuer_der=certificate.issuer.public_bytes(),
        serial=0x1234,
        public_key_info=certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
        common_names=("Dave Lawson",),
        san_mails=("dave@renovations.com",),
        san_upns=("dave@corp.renovations.com",),
        san_dns=("dave.renovations.com",),
        san_uris=("urn:dave",),
        san_ips=("192.0.2.1", "2001:db8::1"),
        san_directory_names=(read_ldap_dn("CN=Dave,O=Acme"),),
        san_registered_ids=("1.2.3.4",),
        san_other_names=(OtherName(oid="1.3.6.1.5.5.7.8.9", value=b"\x0c\x03d@x"),),
        sids=("S-1-5-21-1-2-3-1104",),
        subject_key_id=key_id.digest,
    ) == read_certificate_names(RICH.der)


def test_the_subject_is_leaf_first() -> None:
    assert "CN=Dave Lawson,OU=East,O=Renovations,C=US" == render_ldap(
        read_certificate_names(RICH.der).subject
    )


def test_a_certificate_without_extensions_has_only_a_subject() -> None:
    names = read_certificate_names(replace(BASE, extensions=None).der)
    assert ("Dave Lawson",) == names.common_names
    assert names.subject_key_id is None
    assert (
        () == names.san_mails + names.san_upns + names.san_dns + names.san_uris + names.san_ips + names.sids
    )


def test_a_certificate_of_version_1_is_read() -> None:
    assert 5 == read_certificate_names(replace(BASE, version=None, extensions=None).der).serial


def test_an_empty_subject_is_read_as_a_name_without_components() -> None:
    names = read_certificate_names(AUTHORITY.issue("", san=[mail("dave@renovations.com")]).der)
    assert () == names.subject.rdns
    assert "" == names.unusable
    assert ("dave@renovations.com",) == names.san_mails


def test_several_values_are_all_read_leaf_first() -> None:
    subject = "CN=Dave,emailAddress=d@a.com,UID=d1,CN=David,emailAddress=e@a.com,UID=d2,O=Acme"
    names = read_certificate_names(AUTHORITY.issue(subject).der)
    assert ("Dave", "David") == names.common_names
    assert ("d@a.com", "e@a.com") == names.subject_emails
    assert ("d1", "d2") == names.subject_uids
    assert ("Acme",) == attribute_values(names.subject, "2.5.4.10")
    assert () == attribute_values(names.subject, "2.5.4.6")


def test_the_values_of_one_component_with_several_attributes_are_all_read() -> None:
    names = read_certificate_names(AUTHORITY.issue("UID=d1+CN=Dave,O=Acme").der)
    assert read_ldap_dn("CN=Dave+UID=d1,O=Acme") == names.subject
    assert ("Dave",) == names.common_names
    assert ("d1",) == names.subject_uids


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.ED25519, KeyKind.ED448, KeyKind.SECP256K1])
def test_a_certificate_with_any_kind_of_key_is_read(kind: KeyKind) -> None:
    """Whether the key is good enough is a question of trust, not of names."""
    issued = AUTHORITY.issue(key=kind)
    expected = issued.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert expected == read_certificate_names(issued.der).public_key_info


@pytest.mark.parametrize(
    ("tag", "content", "text"),
    [
        pytest.param(0x0C, "Müller 株".encode(), "Müller 株", id="UTF8String"),
        pytest.param(0x12, b"0123", "0123", id="NumericString"),
        pytest.param(0x13, b"Dave Lawson", "Dave Lawson", id="PrintableString"),
        pytest.param(0x14, b"M\xfcller", "Müller", id="T61String as Latin-1"),
        pytest.param(0x16, b"d@a.com", "d@a.com", id="IA5String"),
        pytest.param(0x1A, b"Dave", "Dave", id="VisibleString"),
        pytest.param(0x1C, "Müller".encode("utf-32-be"), "Müller", id="UniversalString"),
        pytest.param(0x1E, "Müller".encode("utf-16-be"), "Müller", id="BMPString"),
        pytest.param(0x1E, "a\U0001d400".encode("utf-16-be"), "a\U0001d400", id="BMPString with a pair"),
        pytest.param(0x0C, b" Dave  Lawson ", " Dave  Lawson ", id="blanks are kept"),
        pytest.param(0x0C, b"", "", id="empty value"),
    ],
)
def test_t52_a_subject_in_any_string_type_is_read_as_its_text(tag: int, content: bytes, text: str) -> None:
    names = read_certificate_names(replace(BASE, subject=common_name(tag, content)).der)
    assert (text,) == names.common_names
    assert "" == names.unusable


def test_a_value_is_raw_text_whatever_it_looks_like() -> None:
    value = '*)(uid=*))(|(uid=*, "quoted"+\\2a/=$'
    names = read_certificate_names(replace(BASE, subject=common_name(0x0C, value.encode())).der)
    assert (value,) == names.common_names


# --- unusable names (T18) ---

NUL_MAIL = der_element(0x81, b"dave@renovations.com\x00.evil.com")


@pytest.mark.parametrize(
    ("der", "why"),
    [
        pytest.param(
            replace(BASE, subject=common_name(0x0C, b"Dave\x00Evil")).der,
            r"subject attribute 2.5.4.3 holds a control character or an unpaired surrogate: `Dave\x00Evil`",
            id="NUL in the common name",
        ),
        pytest.param(
            replace(
                BASE, subject=name(rdn(("2.5.4.10", 0x0C, b"a\nb")), rdn(("2.5.4.3", 0x0C, b"Dave")))
            ).der,
            r"subject attribute 2.5.4.10 holds a control character or an unpaired surrogate: `a\nb`",
            id="line feed in the organisation",
        ),
        pytest.param(
            replace(BASE, subject=common_name(0x0C, "a\x85b".encode())).der,
            r"subject attribute 2.5.4.3 holds a control character or an unpaired surrogate: `a\x85b`",
            id="C1 control",
        ),
        pytest.param(
            replace(BASE, subject=common_name(0x0C, b"a\xed\xa0\x80b")).der,
            r"subject attribute 2.5.4.3 holds a control character or an unpaired surrogate: `a\ud800b`",
            id="unpaired surrogate in UTF8String",
        ),
        pytest.param(
            with_extensions(alternative_names(der_element(0xA4, common_name(0x1E, b"\x00a\xd8\x00\x00b")))),
            r"directoryName attribute 2.5.4.3 holds a control character or an unpaired surrogate: `a\ud800b`",
            id="unpaired surrogate in BMPString",
        ),
        pytest.param(
            with_extensions(alternative_names(der_element(0xA4, common_name(0x1C, b"\x00\x00\xd8\x00")))),
            r"directoryName attribute 2.5.4.3 holds a control character or an unpaired surrogate: `\ud800`",
            id="surrogate in UniversalString",
        ),
        pytest.param(
            replace(BASE, issuer=common_name(0x16, b"CA\x7f")).der,
            r"issuer attribute 2.5.4.3 holds a control character or an unpaired surrogate: `CA\x7f`",
            id="delete in the issuer",
        ),
        pytest.param(
            with_extensions(alternative_names(NUL_MAIL)),
            "rfc822Name holds a control character or an unpaired surrogate: "
            r"`dave@renovations.com\x00.evil.com`",
            id="NUL in a mail",
        ),
        pytest.param(
            with_extensions(alternative_names(der_element(0x82, b"a\x00b"))),
            r"dNSName holds a control character or an unpaired surrogate: `a\x00b`",
            id="NUL in a host name",
        ),
        pytest.param(
            with_extensions(alternative_names(der_element(0x86, b"a\rb"))),
            r"uniformResourceIdentifier holds a control character or an unpaired surrogate: `a\rb`",
            id="carriage return in a URI",
        ),
        pytest.param(
            with_extensions(alternative_names(other_name(UPN, der_element(0x0C, b"admin\x00@x")))),
            r"user principal name holds a control character or an unpaired surrogate: `admin\x00@x`",
            id="NUL in a UPN",
        ),
        pytest.param(
            with_extensions(alternative_names(der_element(0xA4, common_name(0x0C, b"a\x00b")))),
            r"directoryName attribute 2.5.4.3 holds a control character or an unpaired surrogate: `a\x00b`",
            id="NUL in a directoryName",
        ),
        pytest.param(
            replace(
                BASE, subject=name(rdn(("2.5.4.45", 0x03, b"\x00\x01")), rdn(("2.5.4.3", 0x0C, b"D")))
            ).der,
            "subject attribute 2.5.4.45 is no character string (tag 0x03)",
            id="bit string in the subject",
        ),
    ],
)
def test_t18_a_name_with_a_control_character_makes_the_certificate_unusable(der: bytes, why: str) -> None:
    """All names are gone, subject and issuer are safe to show, and nothing is cut off."""
    names = read_certificate_names(der)
    assert why == names.unusable
    gone = names.common_names + names.subject_emails + names.subject_uids + names.san_mails + names.san_upns
    assert (
        () == gone + names.san_dns + names.san_uris + names.san_ips + names.san_directory_names + names.sids
    )
    assert not has_unusable_characters(render_ldap(names.subject) + render_ldap(names.issuer))
    assert der == names.der


def test_t18_an_unusable_character_is_shown_as_a_replacement_and_nothing_is_truncated() -> None:
    names = read_certificate_names(replace(BASE, subject=common_name(0x0C, b"Dave\x00Evil")).der)
    assert "CN=Dave\N{REPLACEMENT CHARACTER}Evil" == render_ldap(names.subject)


def test_t18_a_good_name_beside_a_bad_one_is_not_used() -> None:
    good = der_element(0x81, b"dave@renovations.com")
    assert "" == read_certificate_names(with_extensions(alternative_names(good))).unusable
    names = read_certificate_names(with_extensions(alternative_names(good, NUL_MAIL)))
    assert names.unusable
    assert () == names.san_mails


def test_t18_the_first_bad_name_is_the_reason() -> None:
    subject = name(rdn(("2.5.4.10", 0x0C, b"a\x00")), rdn(("2.5.4.3", 0x0C, b"b\x00")))
    names = read_certificate_names(replace(BASE, subject=subject).der)
    assert (
        r"subject attribute 2.5.4.10 holds a control character or an unpaired surrogate: `a\x00`"
        == names.unusable
    )


# --- strictness (T17) ---

PADDED = BASE.der.replace(BASE.serial, b"\x02\x02\x00\x05", 1)
NEXT_KEY_ID = extension("2.5.29.14", der_element(0x04, b"2"))
KEY_ID = extension("2.5.29.14", der_element(0x04, b"1"))


@pytest.mark.parametrize(
    ("der", "problem"),
    [
        pytest.param(b"", "expected tag 0x30, found the end", id="nothing"),
        pytest.param(b"-----BEGIN CERTIFICATE-----", "element at octet 0 wants 45", id="PEM"),
        pytest.param(BASE.der[:-1], "element at octet 0 wants", id="cut off"),
        pytest.param(BASE.der + b"\x00", "length missing at octet", id="one octet after it"),
        pytest.param(BASE.der + BASE.der, "expected the end, found tag 0x30", id="two certificates"),
        pytest.param(b"\x30\x80" + BASE.der[4:] + b"\0\0", "indefinite length at octet 1", id="BER"),
        pytest.param(
            replace(BASE, serial=b"\x02\x02\x00\x05").der, "integer not minimal", id="padded serial"
        ),
        pytest.param(replace(BASE, serial=b"\x02\x00").der, "integer without octets", id="empty serial"),
        pytest.param(
            replace(BASE, serial=b"\x02\x01\x00").der, "serial number is zero or neg", id="serial zero"
        ),
        pytest.param(
            replace(BASE, serial=b"\x02\x01\xff").der,
            "serial number is zero or negative",
            id="serial negative",
        ),
        pytest.param(
            replace(BASE, serial=b"\x02\x15\x01" + b"\0" * 20).der,
            "serial number has more than 20 octets",
            id="serial of 21 octets",
        ),
        pytest.param(
            replace(BASE, version=b"\xa0\x03\x02\x01\x00").der,
            "expected a certificate of version 1 or 3",
            id="version 1 named",
        ),
        pytest.param(
            replace(BASE, version=b"\xa0\x03\x02\x01\x03").der,
            "expected a certificate of version 1 or 3",
            id="v4",
        ),
        pytest.param(
            replace(BASE, version=None).der,
            "unique identifiers or extensions in a certificate of version 1",
            id="extensions in v1",
        ),
        pytest.param(
            replace(BASE, version=b"\xa0\x03\x02\x01\x01", extensions=None).der,
            "expected a certificate of version 1 or 3",
            id="v2",
        ),
        pytest.param(
            replace(BASE, version=None, extensions=None, unique_ids=b"\x81\x02\x00\x01").der,
            "unique identifiers or extensions in a certificate of version 1",
            id="issuer unique id in v1",
        ),
        pytest.param(
            replace(BASE, version=None, extensions=None, unique_ids=b"\x82\x02\x00\x01").der,
            "unique identifiers or extensions in a certificate of version 1",
            id="subject unique id in v1",
        ),
        pytest.param(
            replace(BASE, outer_algorithm=take_apart(AUTHORITY.issue(signing_key=RICH.key).der).issuer).der,
            "signature algorithm inside and outside of the signed part differ",
            id="two signature algorithms",
        ),
        pytest.param(replace(BASE, issuer=name()).der, "issuer is empty", id="empty issuer"),
        pytest.param(
            replace(BASE, after_signed=b"\x05\x00").der,
            "expected the end, found tag 0x05",
            id="more in signed part",
        ),
        pytest.param(
            replace(BASE, after_signature=b"\x05\x00").der,
            "expected the end, found tag 0x05",
            id="more after the signature",
        ),
        pytest.param(
            replace(BASE, validity=der_element(0x30, b"\x05\x00")).der,
            "certificate cannot be read a second time",
            id="no dates",
        ),
        pytest.param(with_extensions(), "expected at least 1 element, found 0", id="no extension"),
        pytest.param(
            with_extensions(KEY_ID, NEXT_KEY_ID), "extension 2.5.29.14 stands twice", id="extension twice"
        ),
        pytest.param(
            with_extensions(extension("2.5.29.14", b"\x04\x011", critical=b"\x01\x01\x00")),
            "boolean is not the one octet 0xff",
            id="critical FALSE written",
        ),
        pytest.param(
            with_extensions(extension("2.5.29.14", b"\x04\x011", critical=b"\x01\x01\x01")),
            "boolean is not the one octet 0xff",
            id="critical TRUE as 1",
        ),
        pytest.param(
            with_extensions(extension("2.5.29.14", b"\x04\x011\x00")),
            "length missing",
            id="more after the key id",
        ),
        pytest.param(
            replace(BASE, subject=name(der_element(0x31, b""))).der,
            "expected at least 1 element, found 0",
            id="component without attribute",
        ),
        pytest.param(
            replace(BASE, subject=name(rdn(("2.5.4.10", 0x0C, b"b"), ("2.5.4.3", 0x0C, b"a")))).der,
            "certificate cannot be read a second time",
            id="attributes out of order",
        ),
        pytest.param(
            replace(BASE, subject=common_name(0x0C, b"M\xfcller")).der,
            "subject attribute 2.5.4.3 is not utf-8: invalid start byte",
            id="Latin-1 in UTF8String",
        ),
        pytest.param(
            replace(BASE, subject=common_name(0x16, b"M\xfcller")).der,
            "subject attribute 2.5.4.3 is not ascii: ordinal not in range(128)",
            id="Latin-1 in IA5String",
        ),
        pytest.param(
            replace(BASE, subject=common_name(0x1E, b"\x00a\x00")).der,
            "certificate cannot be read a second time",
            id="BMPString of three octets",
        ),
        pytest.param(
            replace(BASE, subject=name(*[rdn(("2.5.4.3", 0x0C, b"a"))] * 101)).der,
            "subject has more than 100 attributes",
            id="101 attributes",
        ),
        pytest.param(
            replace(BASE, subject=name(*[rdn(("2.5.4.3", 0x0C, b"a" * 1_000))] * 5)).der,
            "subject has more than 4096 octets",
            id="a name of five thousand octets",
        ),
        pytest.param(
            with_extensions(*(extension(f"1.2.3.{number}", b"") for number in range(101))),
            "expected at most 100 extensions, found 101",
            id="101 extensions",
        ),
    ],
)
def test_t17_a_certificate_that_others_may_read_differently_is_refused(der: bytes, problem: str) -> None:
    assert problem in refusal(der)


def test_a_serial_number_of_20_octets_is_read_also_with_its_highest_bit_set() -> None:
    serial = 2**160 - 1
    assert serial == read_certificate_names(replace(BASE, serial=b"\x02\x15\x00" + b"\xff" * 20).der).serial


def test_the_smallest_serial_number_is_1() -> None:
    assert 1 == read_certificate_names(replace(BASE, serial=b"\x02\x01\x01").der).serial


def test_the_names_as_a_log_would_show_them_hold_no_certificate_and_no_key() -> None:
    shown = repr(read_certificate_names(PLAIN.der))
    assert "Dave Lawson" in shown
    assert not [octets for octets in (BASE.der, BASE.key, BASE.issuer) if repr(octets) in shown]


def test_100_extensions_are_read() -> None:
    der = with_extensions(*(extension(f"1.2.3.{number}", b"") for number in range(100)))
    assert ("Dave Lawson",) == read_certificate_names(der).common_names


def test_a_name_of_almost_4_kib_is_read() -> None:
    subject = name(*[rdn(("2.5.4.3", 0x0C, b"a" * 1_000))] * 4)
    assert 4_000 == sum(map(len, read_certificate_names(replace(BASE, subject=subject).der).common_names))


def test_100_attributes_are_read() -> None:
    subject = name(*[rdn(("2.5.4.3", 0x0C, b"a"))] * 100)
    assert ("a",) * 100 == read_certificate_names(replace(BASE, subject=subject).der).common_names


def test_unique_identifiers_of_version_3_are_passed_over() -> None:
    der = replace(BASE, unique_ids=b"\x81\x02\x00\x01\x82\x02\x00\x01").der
    assert ("Dave Lawson",) == read_certificate_names(der).common_names


def test_t09_a_certificate_of_64_kib_is_read_and_a_larger_one_refused() -> None:
    small = len(with_extensions(extension("1.2.3", b"x" * 60_000)))
    filling = 60_000 + 65_536 - small
    assert 65_536 == len(with_extensions(extension("1.2.3", b"x" * filling)))
    read_certificate_names(with_extensions(extension("1.2.3", b"x" * filling)))
    larger = with_extensions(extension("1.2.3", b"x" * (filling + 1)))
    assert "certificate has 65537 octets, the limit is 65536" == refusal(larger)
    assert read_stored_certificate(larger) is None


def test_t17_the_issuer_is_kept_as_the_certificate_has_it() -> None:
    """A PrintableString and a UTF8String of one text are the same name in different octets."""
    printable = common_name(0x13, b"CA")
    utf8 = common_name(0x0C, b"CA")
    first = read_certificate_names(replace(BASE, issuer=printable).der)
    second = read_certificate_names(replace(BASE, issuer=utf8).der)
    assert first.issuer == second.issuer
    assert (printable, utf8) == (first.issuer_der, second.issuer_der)


# --- alternative names (T19) ---


@pytest.mark.parametrize(
    ("general_name", "problem"),
    [
        pytest.param(
            other_name(UPN, der_element(0x16, b"dave@x")),
            "expected tag 0x0c, found tag 0x16",
            id="UPN as IA5String",
        ),
        pytest.param(
            other_name(UPN, der_element(0x13, b"dave")),
            "expected tag 0x0c, found tag 0x13",
            id="UPN as Printable",
        ),
        pytest.param(
            other_name(UPN, der_element(0x1E, b"\0d")),
            "expected tag 0x0c, found tag 0x1e",
            id="UPN as BMPString",
        ),
        pytest.param(
            other_name(UPN, der_element(0x04, b"dave")),
            "expected tag 0x0c, found tag 0x04",
            id="UPN as octets",
        ),
        pytest.param(
            other_name(UPN, der_element(0x0C, b"a") * 2),
            "expected the end, found tag 0x0c",
            id="UPN of two texts",
        ),
        pytest.param(
            other_name(UPN, der_element(0x0C, b"\xff")),
            "user principal name is not utf-8",
            id="UPN not UTF-8",
        ),
        pytest.param(
            der_element(0xA0, oid(UPN) + der_element(0xA1, b"")),
            "expected tag 0xa0, found tag 0xa1",
            id="otherName [1]",
        ),
        pytest.param(
            der_element(0xA0, oid(UPN) + der_element(0xA0, b"\x0c\0") + b"\5\0"),
            "expected the end, found tag 0x05",
            id="otherName with more",
        ),
        pytest.param(der_element(0x81, b"d\xfc@x"), "rfc822Name is not ascii", id="Latin-1 in a mail"),
        pytest.param(
            der_element(0x87, b"123"), "expected an iPAddress of 4 or 16 octets, found 3", id="short IP"
        ),
        pytest.param(der_element(0x87, b"12345678"), "expected an iPAddress of 4 or 16", id="IP with mask"),
        pytest.param(der_element(0x88, b""), "object identifier empty", id="empty registeredID"),
        pytest.param(der_element(0xA3, b""), "name of an unknown kind (tag 0xa3)", id="x400Address"),
        pytest.param(der_element(0xA5, b""), "name of an unknown kind (tag 0xa5)", id="ediPartyName"),
        pytest.param(der_element(0x0C, b"x"), "name of an unknown kind (tag 0x0c)", id="a bare string"),
        pytest.param(der_element(0x80, b"x"), "name of an unknown kind (tag 0x80)", id="primitive otherName"),
        pytest.param(
            der_element(0xA4, der_element(0x30, der_element(0x31, b""))),
            "expected at least 1 element, found 0",
            id="directoryName with an empty component",
        ),
        pytest.param(
            der_element(0xA4, name(rdn(("2.5.4.10", 0x0C, b"b"), ("2.5.4.3", 0x0C, b"a")))),
            "set in the directoryName is not in order",
            id="directoryName out of order",
        ),
        pytest.param(
            der_element(0xA4, common_name(0x1E, b"abc")), "is not utf-16-be", id="directoryName of odd length"
        ),
    ],
)
def test_t19_an_alternative_name_of_another_type_than_it_claims_is_refused(
    general_name: bytes, problem: str
) -> None:
    assert problem in refusal(with_extensions(alternative_names(general_name)))


def test_t19_a_mail_address_counts_as_mail_only_where_it_is_an_rfc822_name() -> None:
    names = read_certificate_names(
        AUTHORITY.issue(
            "CN=d@cn.com,emailAddress=d@subject.com",
            san=[dns("d@dns.com"), uri("d@uri.com"), upn("d@upn.com")],
        ).der
    )
    assert () == names.san_mails
    assert ("d@dns.com",) == names.san_dns
    assert ("d@uri.com",) == names.san_uris
    assert ("d@upn.com",) == names.san_upns
    assert ("d@subject.com",) == names.subject_emails


def test_an_other_name_of_another_type_is_no_user_principal_name() -> None:
    """An internationalised mail address (RFC 9598) is kept as it is, and asserts nothing."""
    names = read_certificate_names(
        with_extensions(alternative_names(other_name("1.3.6.1.5.5.7.8.9", der_element(0x0C, b"dave@x"))))
    )
    assert () == names.san_upns + names.san_mails
    assert (OtherName(oid="1.3.6.1.5.5.7.8.9", value=b"\x0c\x06dave@x"),) == names.san_other_names


def test_1000_alternative_names_are_read_and_one_more_or_none_is_refused() -> None:
    one = der_element(0x81, b"a@b")
    names = read_certificate_names(with_extensions(alternative_names(*[one] * 1_000)))
    assert ("a@b",) * 1_000 == names.san_mails
    problem = "expected 1 to 1000 subject alternative names, found "
    assert f"{problem}1001" == refusal(with_extensions(alternative_names(*[one] * 1_001)))
    assert f"{problem}0" == refusal(with_extensions(alternative_names()))


# --- security identifiers (T87) ---


TAG = "tag:microsoft.com,2022-09-14:sid:"


def uris(*texts: str) -> bytes:
    return alternative_names(*(der_element(0x86, text.encode()) for text in texts))


def test_a_security_identifier_in_a_tag_uri_is_read_and_stays_a_uri() -> None:
    names = read_certificate_names(with_extensions(uris("https://acme.example", TAG + "S-1-5-21-1-2-3-1104")))
    assert ("S-1-5-21-1-2-3-1104",) == names.sids
    assert ("https://acme.example", TAG + "S-1-5-21-1-2-3-1104") == names.san_uris


def test_t87_extension_and_tag_uri_that_agree_are_one_identifier_and_that_differ_are_two() -> None:
    extension_and_uri = (sids(sid_value(b"S-1-5-21-1")), uris(TAG + "S-1-5-21-1"))
    assert ("S-1-5-21-1",) == read_certificate_names(with_extensions(*extension_and_uri)).sids
    differing = (sids(sid_value(b"S-1-5-21-1")), uris(TAG + "S-1-5-21-2"))
    assert ("S-1-5-21-1", "S-1-5-21-2") == read_certificate_names(with_extensions(*differing)).sids


@pytest.mark.parametrize(
    "uri",
    [
        "tag:microsoft.com,2022-09-14:sid",
        "tag:microsoft.com,2022-09-15:sid:S-1-5-18",
        "tag:microsoft.com.evil.example,2022-09-14:sid:S-1-5-18",
        "https://acme.example/tag:microsoft.com,2022-09-14:sid:S-1-5-18",
        "S-1-5-18",
        " " + TAG + "S-1-5-18",
    ],
)
def test_t87_another_uri_is_no_security_identifier(uri: str) -> None:
    assert () == read_certificate_names(with_extensions(uris(uri))).sids


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        (TAG, "expected a security identifier `S-1-5-...`, found ``"),
        (TAG + "S-1-5-018", "expected a security identifier `S-1-5-...`"),
        (TAG + "S-1-5-18 ", "expected a security identifier `S-1-5-...`"),
        (TAG + "S-1-5-18?x", "expected a security identifier `S-1-5-...`"),
        (TAG + "S%2D1-5-18", "expected a security identifier `S-1-5-...`"),
        (TAG + "*", "expected a security identifier `S-1-5-...`"),
        (TAG.upper() + "S-1-5-18", f"expected `{TAG}` in small letters"),
        ("Tag:microsoft.com,2022-09-14:sid:S-1-5-18", f"expected `{TAG}` in small letters"),
    ],
)
def test_t87_a_security_identifier_in_a_tag_uri_in_another_spelling_is_refused(
    uri: str, problem: str
) -> None:
    assert problem in refusal(with_extensions(uris(uri)))


def test_several_security_identifiers_are_all_read() -> None:
    names = read_certificate_names(with_extensions(sids(sid_value(b"S-1-5-21-1"), sid_value(b"S-1-5-21-2"))))
    assert ("S-1-5-21-1", "S-1-5-21-2") == names.sids


@pytest.mark.parametrize(
    "text",
    [
        b"S-1-5-18",
        b"S-1-5-21-0-1-2-500",
        b"S-1-5-21-4294967295-4294967295-4294967295-1104",
        b"S-1-5" + b"-1" * 15,
    ],
)
def test_a_security_identifier_of_the_nt_authority_is_read(text: bytes) -> None:
    assert (text.decode(),) == read_certificate_names(with_extensions(sids(sid_value(text)))).sids


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"*",
        b"S-1-5",
        b"S-1-5-",
        b"s-1-5-18",
        b"S-1-1-0",
        b"S-2-5-18",
        b"S-1-5-018",
        b"S-1-5-18 ",
        b" S-1-5-18",
        b"S-1-5-18\n",
        b"S-1-5-18\x00",
        b"S-1-5--18",
        b"S-1-5-12345678901",
        b"S-1-5" + b"-1" * 16,
        b"S-1-5-\xb2",
        "S-1-5-٣".encode(),
    ],
)
def test_t87_a_security_identifier_in_another_spelling_is_refused(text: bytes) -> None:
    assert "expected a security identifier `S-1-5-...`" in refusal(with_extensions(sids(sid_value(text))))


@pytest.mark.parametrize(
    ("der", "problem"),
    [
        pytest.param(sids(), "expected at least 1 element, found 0", id="none"),
        pytest.param(
            sids(der_element(0x81, b"S-1-5-18")), "expected tag 0xa0, found tag 0x81", id="as a mail"
        ),
        pytest.param(
            sids(other_name(UPN, der_element(0x04, b"S-1-5-18"))),
            f"security identifier extension holds an otherName of type {UPN}",
            id="of another type",
        ),
        pytest.param(
            sids(other_name("1.3.6.1.4.1.311.25.2.1", der_element(0x0C, b"S-1-5-18"))),
            "expected tag 0x04, found tag 0x0c",
            id="as UTF8String",
        ),
        pytest.param(
            extension("1.3.6.1.4.1.311.25.2", b"S-1-5-18"), "element at octet 0 wants 45", id="bare text"
        ),
    ],
)
def test_t87_a_security_identifier_in_another_shape_is_refused(der: bytes, problem: str) -> None:
    assert problem in refusal(with_extensions(der))


# --- certificates that a directory holds ---


def test_the_facts_of_a_stored_certificate_are_those_of_the_certificate() -> None:
    names = read_certificate_names(RICH.der)
    assert StoredFacts(
        issuer=names.issuer,
        serial=names.serial,
        public_key_info=names.public_key_info,
        subject_key_id=names.subject_key_id,
    ) == read_stored_certificate(RICH.der)


def test_a_stored_certificate_whose_alternative_names_are_malformed_still_has_its_facts() -> None:
    """Nobody is found by those of a stored certificate; its key still tells whose it is."""
    der = with_extensions(KEY_ID, alternative_names(der_element(0xA3, b"")))
    refusal(der)
    facts = read_stored_certificate(der)
    assert facts is not None
    assert (b"1", 5) == (facts.subject_key_id, facts.serial)


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not a certificate", id="text"),
        pytest.param(PLAIN.pem.encode(), id="PEM"),
        pytest.param(BASE.der + b"\0", id="octets after it"),
        pytest.param(replace(BASE, serial=b"\x02\x01\x00").der, id="serial zero"),
        pytest.param(replace(BASE, issuer=common_name(0x0C, b"CA\0")).der, id="issuer with NUL"),
        pytest.param(replace(BASE, issuer=common_name(0x0C, b"CA\xff")).der, id="issuer not UTF-8"),
        pytest.param(with_extensions(extension("2.5.29.14", b"1")), id="malformed key identifier"),
    ],
)
def test_t79_a_stored_certificate_that_cannot_be_read_binds_nothing_and_raises_nothing(der: bytes) -> None:
    assert read_stored_certificate(der) is None


# --- whatever the octets ---


def texts_of(names: CertificateNames) -> Iterator[str]:
    for one in fields(CertificateNames):
        value = getattr(names, one.name)
        values = value if isinstance(value, tuple) else (value,)
        for element in values:
            if isinstance(element, str):
                yield element
            elif isinstance(element, DistinguishedName):
                yield from (attribute.value for rdn in element.rdns for attribute in rdn.attributes)


def check_reading(der: bytes) -> bool:
    """Read octets; whatever is read fulfils what the module promises. Return whether names came of it."""
    try:
        names = read_certificate_names(der)
    except CertificateSyntaxError:
        return False
    assert der == names.der
    assert 0 < names.serial < 2**160
    assert names.issuer.rdns
    assert not any(map(has_unusable_characters, texts_of(names)))
    facts = read_stored_certificate(der)
    if facts is not None:
        assert (names.issuer, names.serial, names.public_key_info, names.subject_key_id) == (
            facts.issuer,
            facts.serial,
            facts.public_key_info,
            facts.subject_key_id,
        )
    if not names.unusable:
        check_against_cryptography(names)
    return not names.unusable


def check_against_cryptography(names: CertificateNames) -> None:
    """Where `cryptography` reads the names too, it reads the same (T17); it may refuse more."""
    certificate = x509.load_der_x509_certificate(names.der)
    assert certificate.serial_number == names.serial
    try:
        with warnings.catch_warnings():
            # of the serial number inside a mutated authority key identifier
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return
    assert names.san_mails == tuple(san.get_values_for_type(x509.RFC822Name))
    assert names.san_dns == tuple(san.get_values_for_type(x509.DNSName))
    assert names.san_uris == tuple(san.get_values_for_type(x509.UniformResourceIdentifier))
    assert names.san_ips == tuple(str(address) for address in san.get_values_for_type(x509.IPAddress))
    assert names.san_registered_ids == tuple(
        one.dotted_string for one in san.get_values_for_type(x509.RegisteredID)
    )
    others = [(one.type_id.dotted_string, one.value) for one in san.get_values_for_type(x509.OtherName)]
    assert [one.decode() for dotted, value in others if dotted == UPN for one in [value[2:]]] == list(
        names.san_upns
    )


def test_t17_a_subject_is_read_as_cryptography_reads_it() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Müller, Söhne & Co"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Dave Lawson"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "dave@renovations.com"),
        ]
    )
    names = read_certificate_names(AUTHORITY.issue(subject).der)
    expected = dn_from_attributes(
        [[(one.oid.dotted_string, str(one.value))] for one in reversed(list(subject))]
    )
    assert expected == names.subject


@given(st.binary(max_size=200))
def test_any_octets_are_refused_with_a_syntax_error(octets: bytes) -> None:
    assert not check_reading(octets)
    assert read_stored_certificate(octets) is None


@given(st.binary(max_size=60))
def test_any_octets_in_an_extension_are_names_or_a_syntax_error(octets: bytes) -> None:
    for dotted in ("2.5.29.17", "2.5.29.14", "1.3.6.1.4.1.311.25.2"):
        check_reading(with_extensions(extension(dotted, octets)))


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_octets_in_a_subject_are_a_name_or_a_syntax_error(tag: int, octets: bytes) -> None:
    check_reading(replace(BASE, subject=common_name(tag, octets)).der)
    check_reading(replace(BASE, subject=der_element(0x30, octets)).der)


def mutated(der: bytes, chance: random.Random) -> bytes:
    """Flip, replace, delete or insert a few octets in one or two places."""
    octets = bytearray(der)
    for _ in range(chance.choice((1, 1, 2))):
        position = chance.randrange(len(octets))
        match chance.randrange(4):
            case 0:
                octets[position] ^= 1 << chance.randrange(8)
            case 1:
                octets[position] = chance.randrange(256)
            case 2:
                del octets[position : position + chance.randrange(1, 4)]
            case _:
                octets[position:position] = chance.randbytes(chance.randrange(1, 4))
    return bytes(octets)


@pytest.mark.parametrize(
    "issued",
    [
        pytest.param(RICH, id="every kind of name"),
        pytest.param(PLAIN, id="subject only"),
        pytest.param(AUTHORITY.issue("UID=d+CN=Müller,DC=acme,DC=com", key=KeyKind.ED25519), id="Ed25519"),
        pytest.param(AUTHORITY.issue(key=KeyKind.RSA_2048, san=[mail("a@b.com")]), id="RSA"),
    ],
)
def test_a_mutated_certificate_is_read_strictly_or_refused(issued: Issued) -> None:
    """2,000 mutations each; some are still certificates, most are not."""
    chance = random.Random(20_260_301)
    read = [check_reading(mutated(issued.der, chance)) for _ in range(2_000)]
    assert 50 < sum(read) < 1_500


# --- dates


def test_the_life_of_a_certificate_is_its_two_dates() -> None:
    begin, end = NOW.replace(year=2020), NOW.replace(year=2040)
    issued = AUTHORITY.issue("CN=Dave Lawson,O=Renovations", not_before=begin, not_after=end)
    assert (begin, end) == read_validity(issued.der)


@pytest.mark.parametrize("octets", [b"", b"no certificate", RICH.der[:-1]])
def test_what_is_no_certificate_has_no_life(octets: bytes) -> None:
    assert read_validity(octets) is None
