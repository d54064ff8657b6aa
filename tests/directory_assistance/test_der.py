"""DER is read in one way or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.der import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_elements,
    read_integer,
    read_object_identifier,
    read_octets_of_bits,
    read_true,
)
from tests.support.pki import der_element


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_element_of_any_length_is_cut_out_whole(length: int) -> None:
    encoded = der_element(OCTET_STRING, b"x" * length)
    assert read_elements(encoded + b"\x05\x00") == [
        Element(OCTET_STRING, b"x" * length, encoded),
        Element(0x05, b"", b"\x05\x00"),
    ]


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        pytest.param("04", "length missing at octet 1", id="no length"),
        pytest.param("0481", "length cut off at octet 1", id="length cut off"),
        pytest.param("048201", "length cut off at octet 1", id="long length cut off"),
        pytest.param("0402ff", "element at octet 0 wants 2 octets, 1 are left", id="content cut off"),
        pytest.param("04000401", "element at octet 2 wants 1 octets, 0 are left", id="second cut off"),
        pytest.param("048000", "indefinite length at octet 1", id="indefinite length"),
        pytest.param("04810100", "length not minimal at octet 1", id="length 1 in long form"),
        pytest.param("04817f" + "00" * 127, "length not minimal at octet 1", id="length 127 in long form"),
        pytest.param("04820080" + "00" * 128, "length not minimal at octet 1", id="padded length"),
        pytest.param("04850000000001ff", "length of 5 octets at octet 1", id="length of five octets"),
        pytest.param("1f0100", "tag number above 30 at octet 0", id="high tag number"),
        pytest.param("bf8101020500", "tag number above 30 at octet 0", id="high tag number, context"),
    ],
)
def test_t17_an_element_that_der_does_not_allow_is_refused(octets: str, problem: str) -> None:
    with pytest.raises(DerSyntaxError) as refused:
        read_elements(bytes.fromhex(octets))
    assert problem == str(refused.value)


def test_a_length_of_four_octets_is_read() -> None:
    with pytest.raises(DerSyntaxError, match=r"^element at octet 0 wants 16777216 octets, 0 are left$"):
        read_elements(bytes.fromhex("048401000000"))


def test_fields_are_taken_in_order_and_must_be_used_up() -> None:
    fields = Fields(bytes.fromhex("0201050400"))
    assert fields.take_optional(OCTET_STRING) is None
    assert fields.take(INTEGER).content == b"\x05"
    with pytest.raises(DerSyntaxError, match=r"^expected the end, found tag 0x04$"):
        fields.finish()
    with pytest.raises(DerSyntaxError, match=r"^expected tag 0x30, found tag 0x04$"):
        fields.take(SEQUENCE)
    assert fields.take_any().tag == OCTET_STRING
    fields.finish()
    assert fields.take_optional(OCTET_STRING) is None
    with pytest.raises(DerSyntaxError, match=r"^expected tag 0x30, found the end$"):
        fields.take(SEQUENCE)
    with pytest.raises(DerSyntaxError, match=r"^expected an element, found the end$"):
        fields.take_any()


def test_one_element_alone_has_nothing_after_it() -> None:
    assert read_element(b"\x04\x01a", OCTET_STRING).content == b"a"
    with pytest.raises(DerSyntaxError, match=r"^expected the end, found tag 0x05$"):
        read_element(b"\x04\x01a\x05\x00", OCTET_STRING)


@pytest.mark.parametrize(
    ("content", "value"),
    [("00", 0), ("7f", 127), ("0080", 128), ("ff", -1), ("80", -128), ("ff7f", -129), ("010000", 65_536)],
)
def test_an_integer_is_read_with_its_sign(content: str, value: int) -> None:
    assert value == read_integer(bytes.fromhex(content))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "integer without octets"),
        ("0000", "integer not minimal"),
        ("007f", "integer not minimal"),
        ("ffff", "integer not minimal"),
        ("ff80", "integer not minimal"),
    ],
)
def test_t17_an_integer_that_is_padded_is_refused(content: str, problem: str) -> None:
    with pytest.raises(DerSyntaxError, match=f"^{problem}$"):
        read_integer(bytes.fromhex(content))


@pytest.mark.parametrize("content", ["", "00", "01", "ffff"])
def test_t17_a_boolean_other_than_true_is_refused(content: str) -> None:
    read_true(b"\xff")
    with pytest.raises(DerSyntaxError, match=r"^boolean is not the one octet 0xff$"):
        read_true(bytes.fromhex(content))


@pytest.mark.parametrize(
    ("content", "dotted"),
    [
        ("00", "0.0"),
        ("27", "0.39"),
        ("28", "1.0"),
        ("4f", "1.39"),
        ("50", "2.0"),
        ("550403", "2.5.4.3"),
        ("8837", "2.999"),
        ("2a818001", "1.2.16385"),
        ("2b0601040182371402 03", "1.3.6.1.4.1.311.20.2.3"),
        ("2a" + "01" * 62, "1.2" + ".1" * 62),
    ],
)
def test_an_object_identifier_is_read_as_dotted_numbers(content: str, dotted: str) -> None:
    assert dotted == read_object_identifier(bytes.fromhex(content))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "object identifier empty or cut off"),
        ("5584", "object identifier empty or cut off"),
        ("558003", "object identifier arc not minimal"),
        ("80", "object identifier empty or cut off"),
        ("8001", "object identifier arc not minimal"),
        ("2a" + "01" * 63, "object identifier of 64 octets"),
    ],
)
def test_t17_an_object_identifier_that_der_does_not_allow_is_refused(content: str, problem: str) -> None:
    with pytest.raises(DerSyntaxError, match=f"^{problem}$"):
        read_object_identifier(bytes.fromhex(content))


@given(st.binary(max_size=300))
def test_any_octets_are_elements_that_join_to_them_again_or_a_syntax_error(octets: bytes) -> None:
    try:
        elements = read_elements(octets)
    except DerSyntaxError:
        return
    assert octets == b"".join(element.encoded for element in elements)
    assert octets == b"".join(der_element(element.tag, element.content) for element in elements)


def test_octets_of_bits_are_those_of_a_bit_string_without_unused_ones() -> None:
    assert read_octets_of_bits(b"\0") == b""
    assert read_octets_of_bits(b"\0\1\x80") == b"\1\x80"
    for content in (b"", b"\1\x80", b"\7\x80", b"\x08", b"\xff\0"):
        with pytest.raises(DerSyntaxError, match="whole octets"):
            read_octets_of_bits(content)
