"""Names of certificates in `altSecurityIdentities`: the strong forms, every spelling of them, and nothing else."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.alternative_identities import (
    issuer_serial_identities,
    key_id_identity,
    public_key_identities,
    read_issuer_serial_identity,
    read_key_id_identity,
)
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import DistinguishedName, dn_from_attributes, read_ldap_dn
from tests.support.pki import NOW, Authority

CONTOSO = read_ldap_dn("CN=CONTOSO-DC-CA,DC=contoso,DC=com")
DOCUMENTED = "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B"
SERIAL = 0x2B0000000011AC0000000012


def names_it(value: str, issuer: DistinguishedName = CONTOSO, serial: int = SERIAL) -> bool:
    return (issuer, serial) in read_issuer_serial_identity(value)


def test_issuer_and_serial_are_asked_for_as_microsoft_documents_it_first() -> None:
    """The example is that of KB5014754: the root first, the serial number's octets last first."""
    assert issuer_serial_identities(CONTOSO, SERIAL) == (
        DOCUMENTED,
        "X509:<I>DC=com, DC=contoso, CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
        "X509:<I>CN=CONTOSO-DC-CA,DC=contoso,DC=com<SR>1200000000AC11000000002B",
        "X509:<I>CN=CONTOSO-DC-CA, DC=contoso, DC=com<SR>1200000000AC11000000002B",
    )


def test_t52_keywords_and_quotes_are_asked_for_as_windows_and_as_rfc_4514_write_them() -> None:
    issuer = read_ldap_dn(r"emailAddress=ca@acme.example,CN=Acme\, Inc.,ST=Bavaria,2.5.4.97=VAT-1")
    asked = issuer_serial_identities(issuer, 1)
    assert len(asked) == 8
    assert asked[0] == 'X509:<I>OID.2.5.4.97=VAT-1,S=Bavaria,CN="Acme, Inc.",E=ca@acme.example<SR>01'
    assert (
        r"X509:<I>organizationIdentifier=VAT-1,ST=Bavaria,CN=Acme\, Inc.,emailAddress=ca@acme.example<SR>01"
        in asked
    )


def test_t55_a_serial_number_whose_first_bit_is_set_is_looked_for_in_both_spellings() -> None:
    issuer = read_ldap_dn("CN=CA")
    assert issuer_serial_identities(issuer, 0x80FF) == ("X509:<I>CN=CA<SR>FF80", "X509:<I>CN=CA<SR>FF8000")
    assert issuer_serial_identities(issuer, 0x7F) == ("X509:<I>CN=CA<SR>7F",)


@pytest.mark.parametrize(
    ("oid", "keyword"),
    [
        ("2.5.4.8", "S"),
        ("2.5.4.12", "T"),
        ("2.5.4.42", "G"),
        ("2.5.4.43", "I"),
        ("1.2.840.113549.1.9.1", "E"),
        ("2.5.4.3", "CN"),
        ("2.5.4.4", "SN"),
        ("2.5.4.5", "SERIALNUMBER"),
        ("2.5.4.6", "C"),
        ("2.5.4.7", "L"),
        ("2.5.4.9", "STREET"),
        ("2.5.4.10", "O"),
        ("2.5.4.11", "OU"),
        ("2.5.4.13", "Description"),
        ("2.5.4.17", "PostalCode"),
        ("2.5.4.18", "POBox"),
        ("2.5.4.20", "Phone"),
        ("0.9.2342.19200300.100.1.25", "DC"),
        ("2.5.4.97", "OID.2.5.4.97"),
    ],
)
def test_t52_every_keyword_of_windows_is_asked_for_and_read(oid: str, keyword: str) -> None:
    issuer = dn_from_attributes([[(oid, "Value")], [("2.5.4.3", "CA")]])
    assert issuer_serial_identities(issuer, 1)[0] == f"X509:<I>CN=CA,{keyword}=Value<SR>01"
    assert names_it(f"X509:<I>CN=CA,{keyword}=Value<SR>01", issuer, 1)
    assert names_it(f"X509:<I>CN=CA,{keyword.lower()}=Value<SR>01", issuer, 1)


def test_t52_an_empty_value_is_quoted_and_the_number_zero_has_an_octet() -> None:
    issuer = dn_from_attributes([[("2.5.4.11", "")], [("2.5.4.3", "CA")]])
    assert issuer_serial_identities(issuer, 0)[0] == 'X509:<I>CN=CA,OU=""<SR>00'


@pytest.mark.parametrize(
    "value",
    [
        DOCUMENTED,
        DOCUMENTED.lower(),
        "X509:<I>DC=com, DC=contoso , CN=contoso-dc-ca<SR>1200000000AC11000000002B",
        "X509:<I>CN=CONTOSO-DC-CA,DC=contoso,DC=com<SR>1200000000AC11000000002B",
        "X509:<I>domainComponent=com,dc=contoso,commonName=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
        'X509:<I>DC=com,DC="contoso",OID.2.5.4.3=CONTOSO-DC-CA<SR>1200000000AC11000000002B',
        r"X509:<I>DC=com,DC=contoso,2.5.4.3=CONTOSO\2DDC-CA<SR>1200000000AC11000000002B",
        "X509:<I>DC=com,DC=contoso,oid.2.5.4.3=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
        "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B0000",
    ],
)
def test_t52_t55_one_certificate_is_named_by_every_spelling_of_issuer_and_number(value: str) -> None:
    assert names_it(value)


@pytest.mark.parametrize(
    "value",
    [
        "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA<SR>2B0000000011AC0000000012",
        "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002C",
        "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA2<SR>1200000000AC11000000002B",
        "X509:<I>DC=contoso,DC=com,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
        "X509:<I>DC=com,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
        "X509:<I>DC=com,DC=contoso,OU=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
    ],
    ids=[
        "octets in order",
        "another number",
        "another name",
        "another order",
        "a part missing",
        "another type",
    ],
)
def test_t52_t55_another_issuer_or_number_names_another_certificate(value: str) -> None:
    assert len(read_issuer_serial_identity(value)) == 2
    assert not names_it(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "X509:<I>CN=CA<S>CN=Dave",
        "X509:<S>CN=Dave",
        "X509:<RFC822>dave@contoso.com",
        "X509:<I>CN=CA<SID>S-1-5-21-1-2-3-1104",
        "X509:<SKI>0102",
        "X509:<SHA1-PUKEY>50bf88e67522ab8ce093ce51830ab0bcf8ba7824",
        "X509:<SR>01",
        "X509:<I><SR>01",
        "X509:<I>CN=CA<SR>",
        "X509:<I>CN=CA<SR>1",
        "X509:<I>CN=CA<SR>0G",
        "X509:<I>CN=CA<SR>01 ",
        "X509:<I>CN=CA<SR>-1",
        "X509:<I>CN=CA<SR>" + "00" * 33,
        "X509:<I>CN=CA\N{LATIN SMALL LETTER LONG S}<\N{LATIN SMALL LETTER LONG S}R>01",
        "Kerberos:dave@CONTOSO.COM",
        "X509:<I>CA<SR>01",
        "X509:<I>CN=CA,<SR>01",
        "X509:<I>CN=CA;O=x<SR>01",
        'X509:<I>CN="CA<SR>01',
        'X509:<I>CN="CA"x<SR>01',
        'X509:<I>CN=C"A"<SR>01',
        "X509:<I>CN=CA<S>CN=Dave<SR>01",
        "X509:<I>CN=CA\\<SR>01",
        "X509:<I>CN= <SR>01",
        "X509:<I>CN=\0<SR>01",
    ],
)
def test_t52_weak_forms_and_what_is_no_name_name_nobody(value: str) -> None:
    assert read_issuer_serial_identity(value) == ()


def test_t52_a_plus_that_was_stored_as_a_blank_is_not_the_name_of_several_values() -> None:
    """Windows can be told to write a blank for the plus of a component; the text then reads as one value."""
    issuer = read_ldap_dn("CN=CA+OU=One")
    assert names_it("X509:<I>CN=CA + OU=One<SR>01", issuer, 1)
    assert names_it("X509:<I>OU=One+CN=CA<SR>01", issuer, 1)
    assert not names_it("X509:<I>CN=CA OU=One<SR>01", issuer, 1)


_TYPES = ("2.5.4.3", "2.5.4.8", "2.5.4.12", "2.5.4.97", "1.2.840.113549.1.9.1", "1.2.3.4")
_VALUES = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from(' ,+="<>#;\\'), min_size=1, max_size=8
).filter(lambda text: bool(text.strip()) and read_back(text))


def read_back(text: str) -> bool:
    """Whether there is anything to compare in a value."""
    return bool(dn_from_attributes([[("2.5.4.3", text)]]).rdns[0].attributes[0].prepared)


@given(
    rdns=st.lists(
        st.lists(st.tuples(st.sampled_from(_TYPES), _VALUES), min_size=1, max_size=2), min_size=1, max_size=3
    ),
    serial=st.integers(1, 2**160 - 1),
)
def test_t52_every_spelling_that_is_asked_for_is_read_as_the_same_certificate(
    rdns: list[list[tuple[str, str]]], serial: int
) -> None:
    issuer = dn_from_attributes(rdns)
    asked = issuer_serial_identities(issuer, serial)
    assert 1 <= len(asked) <= 16
    for value in asked:
        assert (issuer, serial) in read_issuer_serial_identity(value), value


@given(text=st.text(max_size=60) | st.text('X509:<I>SR=CN,+" \\0A', max_size=60).map("X509:<I>".__add__))
def test_reading_an_identity_is_total(text: str) -> None:
    assert len(read_issuer_serial_identity(text)) <= 2


def test_a_subject_key_identifier_is_read_back_and_nothing_else_is_taken_for_one() -> None:
    assert key_id_identity(b"\x0a\xff") == "X509:<SKI>0AFF"
    assert read_key_id_identity("x509:<ski>0aff") == b"\x0a\xff"
    others = [
        "",
        "X509:<SKI>",
        "X509:<SKI>0",
        "X509:<SKI>0g",
        "X509:<S>CN=x",
        "X509:<SKI>0AFF ",
        "X509:<SHA1-PUKEY>0AFF",
        "Kerberos:x",
    ]
    assert [read_key_id_identity(other) for other in others] == [None] * len(others)


def test_a_public_key_is_asked_for_by_the_digests_of_key_and_of_structure() -> None:
    issued = Authority.root(now=NOW).issue("CN=Dave")
    key_id = x509.SubjectKeyIdentifier.from_public_key(issued.key.public_key()).digest
    whole = issued.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_identities(read_certificate_names(issued.der).public_key_info) == (
        f"X509:<SHA1-PUKEY>{key_id.hex().upper()}",
        f"X509:<SHA1-PUKEY>{hashlib.sha1(whole, usedforsecurity=False).hexdigest().upper()}",
    )
