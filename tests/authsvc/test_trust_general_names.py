"""GeneralName: every kind, what two have in common, what is none; and the keys by which names chain."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.general_names import (
    GeneralName,
    GeneralNameKind,
    read_general_name,
    read_general_names,
    read_name_key,
)
from directory_assistance.der import DerSyntaxError, Element, read_elements
from tests.support.constraints import UPN, general_name
from tests.support.pki import der_element, name_from_text


def read(text: str) -> GeneralName:
    (element,) = read_elements(general_name(text))
    return read_general_name(element)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("mail:D@x.example", GeneralNameKind.MAIL, "D@x.example"),
        ("dns:X.example", GeneralNameKind.DNS, "X.example"),
        ("uri:urn:x", GeneralNameKind.URI, "urn:x"),
        ("ip:192.0.2.1", GeneralNameKind.IP_ADDRESS, ""),
        ("dn:CN=Dave", GeneralNameKind.DIRECTORY_NAME, ""),
        ("upn:d@x.example", GeneralNameKind.OTHER_NAME, UPN),
        ("rid:1.2.3", GeneralNameKind.REGISTERED_ID, "1.2.3"),
        ("tag:a33000", GeneralNameKind.X400_ADDRESS, ""),
        ("tag:a5800161", GeneralNameKind.EDI_PARTY_NAME, ""),
    ],
)
def test_each_kind_is_read_from_its_own_tag(text: str, kind: GeneralNameKind, found: str) -> None:
    name = read(text)
    assert (name.kind, name.text) == (kind, found)
    assert (name.name is not None) == (kind is GeneralNameKind.DIRECTORY_NAME)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("dns:x.example", "dns:x.example", True),
        ("dns:x.example", "dns:X.example", False),
        ("dns:x.example", "mail:x.example", False),
        ("dn:CN=Dave,O=X", "dn:CN=DAVE,O=x", True),
        ("dn:CN=Dave,O=X", "dn:O=X,CN=Dave", False),
        ("dn:CN=D\\00", "dn:CN=D\\00", True),
        ("dn:CN=D\\00", "dn:CN=d\\00", False),
        ("other:1.2.3 0500", "other:1.2.3 0500", True),
        ("other:1.2.3 0500", "other:1.2.4 0500", False),
        ("other:1.2.3 0500", "other:1.2.3 0101ff", False),
        ("rid:1.2.3", "rid:1.2.3", True),
        ("rid:1.2.3", "rid:1.2.4", False),
        ("ip:192.0.2.1", "ip:192.0.2.1", True),
        ("ip:192.0.2.1", "ip:192.0.2.2", False),
    ],
)
def test_names_are_equal_by_kind_and_key(one: str, other: str, equal: bool) -> None:
    assert (read(one) == read(other)) == equal


@pytest.mark.parametrize(
    ("der", "expected"),
    [
        (b"\x8c\x01a", "expected a general name, found tag 0x8c"),
        (b"\xa1\x01a", "expected a general name, found tag 0xa1"),
        (b"\x84\x00", "expected a general name, found tag 0x84"),
        (b"\x82\x01\xff", "dNSName is not ASCII"),
        (b"\x81\x01\x80", "rfc822Name is not ASCII"),
        (b"\x86\x01\xfc", "uniformResourceIdentifier is not ASCII"),
        (b"\xa4\x00", "expected tag 0x30, found the end"),
        (b"\xa4\x02\x31\x00", "expected tag 0x30, found tag 0x31"),
        (b"\xa4\x04\x30\x00\x30\x00", "expected the end, found tag 0x30"),
        (b"\xa0\x00", "expected tag 0x06, found the end"),
        (b"\xa0\x03\x06\x01\x2a", "expected tag 0xa0, found the end"),
        (b"\xa0\x07\x06\x01\x2a\xa0\x00\x05\x00", "expected the end, found tag 0x05"),
        (b"\x88\x00", "object identifier empty or cut off"),
    ],
)
def test_what_is_no_general_name_is_refused(der: bytes, expected: str) -> None:
    (element,) = read_elements(der)
    with pytest.raises(DerSyntaxError) as caught:
        read_general_name(element)
    assert str(caught.value) == expected


def test_a_list_of_names_has_one_at_least_and_10000_at_most() -> None:
    one = general_name("dns:a")
    assert read_general_names(one * 2) == (read("dns:a"), read("dns:a"))
    assert len(read_general_names(one * 10_000)) == 10_000
    with pytest.raises(DerSyntaxError, match="expected at most 10000 general names, found 10001"):
        read_general_names(one * 10_001)
    with pytest.raises(DerSyntaxError, match="expected a general name, found none"):
        read_general_names(b"")


def _name(value: str, kind: "x509.name._ASN1Type") -> bytes:
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, value, kind)
    return x509.Name([attribute]).public_bytes()


def test_t52_name_keys_are_equal_whatever_string_type_and_case() -> None:
    kinds = x509.name._ASN1Type
    keys = {
        read_name_key(_name(value, kind))
        for value in ("Corp CA", "CORP  ca ")
        for kind in (
            kinds.UTF8String,
            kinds.PrintableString,
            kinds.BMPString,
            kinds.T61String,
            kinds.UniversalString,
        )
    }
    assert len(keys) == 1
    assert read_name_key(_name("Corp CB", kinds.UTF8String)) not in keys


def test_t18_a_name_that_must_not_be_compared_equals_its_own_octets_only() -> None:
    kinds = x509.name._ASN1Type
    hidden = [_name(value, kinds.UTF8String) for value in ("Corp\x00CA", "corp\x00ca", "CorpCA")]
    assert len({read_name_key(der) for der in hidden}) == 3
    assert read_name_key(hidden[0]) == f"octets:{hidden[0].hex()}"
    text = name_from_text(f"CN=octets:{hidden[0].hex()}").public_bytes()
    assert read_name_key(text) != read_name_key(hidden[0])


@settings(max_examples=300, deadline=None)
@given(tag=st.integers(0, 255), content=st.binary(max_size=40))
def test_any_octets_are_a_name_or_refused(tag: int, content: bytes) -> None:
    try:
        name = read_general_name(Element(tag, content, der_element(tag, content)))
    except DerSyntaxError:
        pass
    else:
        assert name.kind in GeneralNameKind
    assert read_name_key(content)
