"""Identifiers that only Active Directory writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.backends.ldap.identifiers import (
    issuer_serial_identities,
    key_id_identity,
    sid_octets,
)
from directory_assistance.dn import read_ldap_dn
from directory_assistance.stored_values import read_key_id_identity, read_sid

SID = "S-1-5-21-1004336348-1177238915-682003330-512"
OCTETS = bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62800020000")


def test_a_security_identifier_is_written_as_active_directory_stores_it() -> None:
    """The example is that of Microsoft's documentation of the SID of Domain Admins."""
    assert sid_octets(SID) == OCTETS
    assert read_sid(OCTETS) == SID


@given(
    authority=st.integers(0, 2**48 - 1), parts=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=15)
)
def test_every_security_identifier_survives_the_way_there_and_back(authority: int, parts: list[int]) -> None:
    text = "-".join(["S", "1", str(authority), *map(str, parts)])
    octets = sid_octets(text)
    assert octets is not None
    assert read_sid(octets) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S-1-5",
        "S-1-5-",
        "s-1-5-32",
        "S-2-5-32",
        "S-1-5-032",
        "S-1-05-32",
        "S-1-5-4294967296",
        "S-1-281474976710656-1",
        "S-1-5-32 ",
        "S-1-5-\uff13",
        "S-1-5" + "-1" * 16,
    ],
)
def test_what_is_no_security_identifier_has_no_octets(text: str) -> None:
    assert sid_octets(text) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        OCTETS[:-1],
        OCTETS + b"\0",
        b"\2" + OCTETS[1:],
        b"\1\0" + OCTETS[2:8],
        b"\1\4" + OCTETS[2:],
        b"\1\x10" + OCTETS[2:8] + b"\0" * 64,
    ],
    ids=bytes.hex,
)
def test_octets_that_are_no_security_identifier_have_no_text(octets: bytes) -> None:
    assert read_sid(octets) is None


@given(octets=st.binary(max_size=80))
def test_reading_a_security_identifier_is_total(octets: bytes) -> None:
    text = read_sid(octets)
    assert text is None or sid_octets(text) == octets


def test_issuer_and_serial_are_written_root_first_and_last_octet_first() -> None:
    issuer = read_ldap_dn("CN=CONTOSO-DC-CA,DC=contoso,DC=com")
    assert issuer_serial_identities(issuer, 0x2B0000000011AC0000000012) == (
        "X509:<I>DC=com,DC=contoso,CN=CONTOSO-DC-CA<SR>1200000000AC11000000002B",
    )


def test_a_serial_number_whose_first_bit_is_set_is_looked_for_in_both_spellings() -> None:
    issuer = read_ldap_dn("CN=CA")
    assert issuer_serial_identities(issuer, 0x80FF) == ("X509:<I>CN=CA<SR>FF80", "X509:<I>CN=CA<SR>FF8000")
    assert issuer_serial_identities(issuer, 0x7F) == ("X509:<I>CN=CA<SR>7F",)


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
        "Kerberos:x",
    ]
    assert [read_key_id_identity(other) for other in others] == [None] * len(others)
