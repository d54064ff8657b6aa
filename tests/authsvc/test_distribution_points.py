"""Reading distribution points and scopes: the DER that no library writes, and what it is read as."""

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.distribution_points import (
    ALL_REASONS,
    EVERYTHING,
    DistributionPoint,
    Scope,
    fetchable_urls,
    read_distribution_points,
    read_scope,
)
from authsvc.trust.general_names import read_name_key
from directory_assistance.der import DerSyntaxError
from tests.support.lists import uri_name
from tests.support.pki import der_element, name_from_text, uri

ISSUER = name_from_text("CN=Issuer,O=Renovations").public_bytes()
URI = bytes.fromhex("86026161")  # "aa"
FULL_NAME = bytes.fromhex("a0 06 a0 04".replace(" ", "")) + URI
LONG_RDN = der_element(0x30, b"\x06\x03\x55\x04\x0d" + der_element(0x0C, 200 * b"x"))


def _points(*points: bytes) -> bytes:
    return der_element(0x30, b"".join(der_element(0x30, point) for point in points))


def test_a_point_with_everything_is_read_as_the_library_writes_it() -> None:
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                [uri("http://b/"), uri("http://a/")],
                None,
                frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.aa_compromise}),
                [x509.DirectoryName(name_from_text("CN=Lists")), uri("http://nobody/")],
            ),
            x509.DistributionPoint([uri("http://c/")], None, None, None),
        ]
    )
    first, second = read_distribution_points(points.public_bytes(), ISSUER)
    assert first.names == frozenset({uri_name("http://a/"), uri_name("http://b/")})
    assert first.reasons == 0b1_0000_0010
    lists, own = read_name_key(name_from_text("CN=Lists").public_bytes()), read_name_key(ISSUER)
    assert [first.is_signed_under(name, own) for name in (lists, own)] == [True, False]
    assert [second.is_signed_under(name, own) for name in (lists, own)] == [False, True]
    assert second == DistributionPoint(names=frozenset({uri_name("http://c/")}), reasons=ALL_REASONS)
    assert fetchable_urls((first, second)) == ("http://a/", "http://b/", "http://c/")


@pytest.mark.parametrize("length", [60, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 200, 240, 300])
def test_a_name_relative_to_the_issuer_may_have_any_length(length: int) -> None:
    """Each way that DER writes a length down is among them, for the name and for what is put behind it."""
    attribute = der_element(0x30, b"\x06\x03\x55\x04\x0d" + der_element(0x0C, length * b"x"))
    (point,) = read_distribution_points(_points(der_element(0xA0, der_element(0xA1, attribute))), ISSUER)
    assert point.names is not None
    (name,) = point.names
    long = x509.NameAttribute(x509.ObjectIdentifier("2.5.4.13"), length * "x")
    whole = x509.Name(
        [*name_from_text("CN=Issuer,O=Renovations").rdns, x509.RelativeDistinguishedName([long])]
    )
    assert name.content == whole.public_bytes()
    assert name.key == read_name_key(whole.public_bytes())


def test_where_a_point_has_no_name_the_issuer_of_its_lists_is_its_name() -> None:
    """RFC 5280 section 6.3.3 (b) (2) (i)."""
    issuer = der_element(0xA4, ISSUER)
    (point,) = read_distribution_points(_points(der_element(0xA2, issuer)), b"")
    for named, covered in ((issuer, True), (URI, False)):
        scope = read_scope(
            der_element(0x30, der_element(0xA0, der_element(0xA0, named)) + b"\x84\x01\xff"), ISSUER
        )
        assert scope.covers(point, is_authority=False) == covered


def test_without_one_issuer_of_lists_a_relative_name_is_relative_to_the_certificates_issuer() -> None:
    """RFC 5280 forbids it with two; then nothing matches that should not."""
    two = b"".join(der_element(0xA4, name_from_text(text).public_bytes()) for text in ("CN=1", "CN=2"))
    relative = der_element(0xA0, der_element(0xA1, LONG_RDN))
    (point,) = read_distribution_points(_points(relative + der_element(0xA2, two)), ISSUER)
    (plain,) = read_distribution_points(_points(relative), ISSUER)
    assert point.names == plain.names
    assert point.issuers is not None
    assert len(point.issuers) == 2


@pytest.mark.parametrize(
    ("bits", "mask"),
    [
        (b"\x07\x80\x80", 0b1_0000_0000),
        (b"\x00\xff", 0b1111_1110),
        (b"\x00\x00\x01", 0),
        (b"\x06\x40", 0b10),
        (b"\x00\x00\x00\xff", 0),
        (b"\x00", 0),
    ],
)
def test_reasons_are_the_named_bits(bits: bytes, mask: int) -> None:
    (point,) = read_distribution_points(_points(FULL_NAME + der_element(0x81, bits)), ISSUER)
    assert point.reasons == mask
    assert read_scope(der_element(0x30, der_element(0x83, bits)), ISSUER) == Scope(reasons=mask)


BAD_POINTS = {
    "nothing": b"",
    "no sequence": b"\x31\x00",
    "no point": b"\x30\x00",
    "a point that is no sequence": der_element(0x30, b"\x05\x00"),
    "a point with neither name nor issuer": _points(b""),
    "a point with reasons only": _points(b"\x81\x02\x06\x40"),
    "a name that is none": _points(b"\xa0\x02\x05\x00"),
    "a name of no names": _points(b"\xa0\x02\xa0\x00"),
    "a second name": _points(b"\xa0\x0c" + 2 * FULL_NAME[2:]),
    "fields in another order": _points(b"\x81\x02\x06\x40" + FULL_NAME),
    "an issuer of lists that is no name": _points(b"\xa2\x02\x05\x00"),
    "reasons without octets": _points(FULL_NAME + b"\x81\x00"),
    "eight unused bits": _points(FULL_NAME + b"\x81\x02\x08\x00"),
    "unused bits of nothing": _points(FULL_NAME + b"\x81\x01\x01"),
    "unused bits that are set": _points(FULL_NAME + b"\x81\x02\x01\x01"),
    "a field too many": _points(FULL_NAME + b"\x05\x00"),
    "more than a thousand": _points(*1001 * [FULL_NAME]),
}


@pytest.mark.parametrize("bad", BAD_POINTS)
def test_points_that_cannot_be_read_are_a_problem(bad: str) -> None:
    with pytest.raises(DerSyntaxError):
        read_distribution_points(BAD_POINTS[bad], ISSUER)


BAD_SCOPES = {
    "nothing": b"",
    "false, which DER does not write": b"\x30\x03\x81\x01\x00",
    "true in other words": b"\x30\x03\x84\x01\x01",
    "end entities and authorities": b"\x30\x06\x81\x01\xff\x82\x01\xff",
    "authorities and attributes": b"\x30\x06\x82\x01\xff\x85\x01\xff",
    "fields in another order": b"\x30\x06\x84\x01\xff\x81\x01\xff",
    "an unknown field": b"\x30\x03\x86\x01\xff",
}


@pytest.mark.parametrize("bad", BAD_SCOPES)
def test_a_scope_that_cannot_be_read_is_a_problem(bad: str) -> None:
    with pytest.raises(DerSyntaxError):
        read_scope(BAD_SCOPES[bad], ISSUER)


def test_an_empty_scope_is_everything() -> None:
    assert read_scope(b"\x30\x00", ISSUER) == EVERYTHING
    assert EVERYTHING.is_everything


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=60) | st.binary(max_size=40).map(_points))
def test_any_octets_are_points_or_a_problem(value: bytes) -> None:
    for read in (read_distribution_points, read_scope):
        try:
            read(value, ISSUER)
        except DerSyntaxError:
            continue
