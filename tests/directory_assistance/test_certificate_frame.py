"""The frame of a certificate: its parts as encoded, and every deviation from its shape."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory_assistance.certificate_frame import LARGEST_CERTIFICATE, read_certificate_frame
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.der import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    DerSyntaxError,
    read_element,
    read_elements,
)
from directory_assistance.errors import CertificateSyntaxError
from tests.support.constraints import object_identifier
from tests.support.pki import der_element, small_world

WORLD = small_world()
DER = WORLD.dave.der
SIGNED, ALGORITHM, SIGNATURE = read_elements(read_element(DER, SEQUENCE).content)
FIELDS = [field.encoded for field in read_elements(SIGNED.content)]
VERSION, SERIAL, INNER_ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)


def certificate(
    replaced: dict[int, bytes] | None = None,
    *,
    further: bytes = b"",
    algorithm: bytes = ALGORITHM.encoded,
    signature: bytes = SIGNATURE.encoded,
    end: bytes = b"",
) -> bytes:
    """Return the certificate with some of its fields replaced, others added at the end."""
    fields = [(replaced or {}).get(position, field) for position, field in enumerate(FIELDS)]
    signed = der_element(SEQUENCE, b"".join(fields) + further)
    return der_element(SEQUENCE, signed + algorithm + signature + end)


def extension(oid: str, value: bytes = b"\x05\x00", critical: bytes = b"") -> bytes:
    return der_element(SEQUENCE, object_identifier(oid) + critical + der_element(OCTET_STRING, value))


def extensions(*members: bytes) -> bytes:
    return der_element(0xA3, der_element(SEQUENCE, b"".join(members)))


def number(content: bytes) -> bytes:
    return der_element(INTEGER, content)


def test_a_certificate_is_cut_into_its_parts() -> None:
    frame = read_certificate_frame(DER)
    assert frame.der == DER
    assert frame.sha256 == hashlib.sha256(DER).digest()
    assert frame.signed == SIGNED.encoded
    assert frame.algorithm == ALGORITHM.encoded == FIELDS[INNER_ALGORITHM]
    assert frame.signature == SIGNATURE.content[1:] == WORLD.dave.certificate.signature
    assert frame.is_version_3
    assert frame.serial == WORLD.dave.certificate.serial_number
    assert frame.issuer.encoded == FIELDS[ISSUER]
    assert frame.subject.encoded == FIELDS[SUBJECT]
    assert frame.public_key_info == FIELDS[KEY]
    assert sorted(frame.extensions) == sorted(
        one.oid.dotted_string for one in WORLD.dave.certificate.extensions
    )
    assert certificate() == DER


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(certificate({EXTENSIONS: b""}), id="without extensions"),
        pytest.param(
            certificate({EXTENSIONS: der_element(0x81, b"\x00") + FIELDS[EXTENSIONS]}), id="with an issuer id"
        ),
        pytest.param(
            certificate(
                {EXTENSIONS: der_element(0x81, b"\x00") + der_element(0x82, b"\x00") + FIELDS[EXTENSIONS]}
            ),
            id="with both unique identifiers",
        ),
        pytest.param(
            certificate({SERIAL: number(b"\x7f" + b"\xff" * 19)}), id="with a serial number of 20 octets"
        ),
        pytest.param(
            certificate({SERIAL: number(b"\x00" + b"\xff" * 20)}),
            id="with one of 20 octets that are kept positive",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(*(extension(f"1.2.{n}") for n in range(100)))}),
            id="with 100 extensions",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(extension("1.2.3", critical=der_element(BOOLEAN, b"\xff")))}),
            id="with a critical extension",
        ),
    ],
)
def test_what_rfc_5280_allows_has_a_frame(der: bytes) -> None:
    frame = read_certificate_frame(der)
    assert frame.is_version_3
    assert read_certificate_frame(der, any_serial=True) == frame


def test_a_certificate_of_version_1_has_a_frame_without_extensions() -> None:
    frame = read_certificate_frame(certificate({VERSION: b"", EXTENSIONS: b""}))
    assert not frame.is_version_3
    assert frame.extensions == {}


@pytest.mark.parametrize(
    ("der", "expected"),
    [
        pytest.param(b"", "expected tag 0x30, found the end", id="nothing"),
        pytest.param(DER + b"\x00", "length missing at octet", id="an octet after it"),
        pytest.param(DER + b"\x05\x00", "expected the end, found tag 0x05", id="an element after it"),
        pytest.param(certificate(end=b"\x05\x00"), "expected the end, found tag 0x05", id="a fourth part"),
        pytest.param(
            certificate(further=b"\x05\x00"), "expected the end, found tag 0x05", id="a field too many"
        ),
        pytest.param(certificate(signature=b""), "expected tag 0x03, found the end", id="no signature"),
        pytest.param(
            certificate(signature=der_element(BIT_STRING, b"\x01\x00")),
            "not one of whole octets",
            id="unused bits",
        ),
        pytest.param(
            certificate(signature=der_element(BIT_STRING, b"")), "not one of whole octets", id="no bits"
        ),
        pytest.param(
            certificate(algorithm=der_element(SEQUENCE, object_identifier("1.3.101.112"))),
            "signature algorithm inside and outside of the signed part differ",
            id="another algorithm outside",
        ),
        pytest.param(
            certificate({INNER_ALGORITHM: der_element(SEQUENCE, b"")}),
            "signature algorithm inside and outside of the signed part differ",
            id="another algorithm inside",
        ),
        pytest.param(
            certificate({VERSION: der_element(0xA0, number(b"\x01"))}),
            "expected a certificate of version 1 or 3",
            id="2",
        ),
        pytest.param(
            certificate({VERSION: der_element(0xA0, number(b"\x00"))}),
            "of version 1 or 3",
            id="1, written out",
        ),
        pytest.param(
            certificate({VERSION: der_element(0xA0, number(b"\x03"))}), "of version 1 or 3", id="version 4"
        ),
        pytest.param(
            certificate({VERSION: der_element(0xA0, b"")}),
            "expected tag 0x02, found the end",
            id="no version",
        ),
        pytest.param(
            certificate({VERSION: b""}), "extensions in a certificate of version 1", id="1 with extensions"
        ),
        pytest.param(
            certificate({VERSION: b"", EXTENSIONS: der_element(0x82, b"\x00")}),
            "unique identifiers or extensions in a certificate of version 1",
            id="1 with a unique identifier",
        ),
        pytest.param(
            certificate({SERIAL: number(b"\x00")}), "serial number is zero or negative", id="serial zero"
        ),
        pytest.param(
            certificate({SERIAL: number(b"\xff")}), "serial number is zero or negative", id="serial negative"
        ),
        pytest.param(
            certificate({SERIAL: number(b"\x01" + b"\x00" * 20)}),
            "serial number has more than 20 octets",
            id="161 bits",
        ),
        pytest.param(certificate({SERIAL: number(b"\x00\x01")}), "integer not minimal", id="serial padded"),
        pytest.param(certificate({SERIAL: number(b"")}), "integer without octets", id="serial empty"),
        pytest.param(certificate({ISSUER: b""}), "expected tag 0x30, found tag 0xa3", id="a field missing"),
        pytest.param(
            certificate({EXTENSIONS: der_element(0x82, b"") + der_element(0x81, b"") + FIELDS[EXTENSIONS]}),
            "expected the end, found tag 0x81",
            id="unique identifiers in another order",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions()}),
            "expected at least 1 element, found 0",
            id="an empty list",
        ),
        pytest.param(
            certificate({EXTENSIONS: der_element(0xA3, b"")}),
            "expected tag 0x30, found the end",
            id="no list at all",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(extension("1.2.3"), extension("1.2.4"), extension("1.2.3"))}),
            "extension 1.2.3 stands twice",
            id="an extension twice",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(*(extension(f"1.2.{n}") for n in range(101)))}),
            "expected at most 100 extensions, found 101",
            id="101 extensions",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(extension("1.2.3", critical=der_element(BOOLEAN, b"\x00")))}),
            "boolean is not the one octet 0xff",
            id="critical false, written out",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(extension("1.2.3", critical=der_element(BOOLEAN, b"\x01")))}),
            "boolean is not the one octet 0xff",
            id="critical by another octet",
        ),
        pytest.param(
            certificate(
                {
                    EXTENSIONS: extensions(
                        der_element(
                            SEQUENCE, read_element(extension("1.2.3"), SEQUENCE).content + b"\x05\x00"
                        )
                    )
                }
            ),
            "expected the end, found tag 0x05",
            id="an extension with a field too many",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(b"\x31\x00")}),
            "expected tag 0x30, found tag 0x31",
            id="a set in the list",
        ),
        pytest.param(
            certificate({EXTENSIONS: extensions(der_element(SEQUENCE, object_identifier("1.2.3")))}),
            "expected tag 0x04, found the end",
            id="an extension without a value",
        ),
    ],
)
def test_t17_what_deviates_has_no_frame(der: bytes, expected: str) -> None:
    with pytest.raises((CertificateSyntaxError, DerSyntaxError)) as caught:
        read_certificate_frame(der)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("content", "serial"), [(b"\x00", 0), (b"\xff", -1), (b"\x01" + b"\x00" * 20, 1 << 160)]
)
def test_any_serial_number_is_read_where_the_caller_says_so(content: bytes, serial: int) -> None:
    der = certificate({SERIAL: number(content)})
    assert read_certificate_frame(der, any_serial=True).serial == serial
    assert read_certificate_names(der, any_serial=True).serial == serial
    with pytest.raises(DerSyntaxError, match="not minimal"):
        read_certificate_frame(certificate({SERIAL: number(b"\x00\x01")}), any_serial=True)


def test_t24_a_certificate_over_the_limit_is_refused_before_it_is_cut() -> None:
    padding = LARGEST_CERTIFICATE - len(
        certificate({EXTENSIONS: extensions(extension("1.2.3", b"\x00" * 60_000))})
    )
    largest = certificate({EXTENSIONS: extensions(extension("1.2.3", b"\x00" * (60_000 + padding)))})
    assert len(largest) == LARGEST_CERTIFICATE
    assert len(read_certificate_frame(largest).extensions["1.2.3"]) == 60_000 + padding
    with pytest.raises(CertificateSyntaxError, match="certificate has 65537 octets, the limit is 65536"):
        read_certificate_frame(largest + b"\x00")


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_any_octets_are_a_frame_or_refused(data: st.DataObject) -> None:
    mutated = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        frame = read_certificate_frame(bytes(mutated))
    except (CertificateSyntaxError, DerSyntaxError):
        return
    assert frame.serial > 0
    assert frame.signed in frame.der
