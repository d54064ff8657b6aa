"""Identifiers of entries as servers store them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.identifiers import read_guid, read_sid, read_uuid, sid_octets

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


def test_a_guid_is_read_as_windows_prints_it() -> None:
    """The first three groups are stored last octet first (MS-DTYP section 2.3.4)."""
    octets = bytes.fromhex("33221100554477668899aabbccddeeff")
    assert read_guid(octets) == "00112233-4455-6677-8899-aabbccddeeff"


@pytest.mark.parametrize("octets", [b"", b"\0" * 15, b"\0" * 17])
def test_octets_that_are_no_guid_have_no_text(octets: bytes) -> None:
    assert read_guid(octets) is None


@pytest.mark.parametrize(
    "text", ["00112233-4455-6677-8899-AABBCCDDEEFF", "00112233-44556677-8899aabb-ccddeeff"]
)
def test_an_entry_has_one_unique_identifier_however_it_is_spelled(text: str) -> None:
    assert read_uuid(text) == "00112233-4455-6677-8899-aabbccddeeff"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00112233445566778899aabbccddeeff",
        "{00112233-4455-6677-8899-aabbccddeeff}",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeefg",
        "00112233-4455-6677-8899-aabbccddeeff ",
        "00112233-4455-6677-8899-aabbccddeef\uff10",
    ],
)
def test_what_is_no_unique_identifier_is_none(text: str) -> None:
    assert read_uuid(text) is None
