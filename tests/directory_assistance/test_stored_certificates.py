"""The cheap look into a stored certificate agrees with the strict reading, wherever that reads anything."""

from cryptography.x509 import SubjectKeyIdentifier
from hypothesis import example, given
from hypothesis import strategies as st

from directory_assistance.certificate_names import read_stored_certificate
from directory_assistance.stored_certificates import CertificatePeeker
from tests.support.directories import ACME, ALAN, DAVE, PERIL, ROOT, STRANGER
from tests.support.pki import NOW, Authority, resigned

CERTIFICATES = [
    *(issued.der for issued in (DAVE, ALAN, PERIL, STRANGER)),
    ROOT.issue(
        subject_key_id=False, extensions=[(SubjectKeyIdentifier(b"\1" * 20), True)]
    ).der,  # critical, which RFC 5280 forbids and certificates do
    ROOT.issue(subject_key_id=False).der,
    *(authority.der for authority in (ROOT, ACME, Authority.root("O=Ö", now=NOW).issue_authority())),
]


def agrees(der: bytes) -> bool:
    """Whether what the strict reading says, if it reads the octets at all, is said by the peeker too."""
    strict, peeked = read_stored_certificate(der), CertificatePeeker().peek(der)
    if strict is None:
        return True
    assert peeked is not None
    return all(
        getattr(strict, name) == getattr(peeked, name)
        for name in ("issuer", "serial", "public_key_info", "subject_key_id")
    )


def test_certificates_of_people_and_authorities_are_read_alike() -> None:
    assert all(read_stored_certificate(der) for der in CERTIFICATES)
    assert all(map(agrees, CERTIFICATES))


def test_a_certificate_without_extensions_has_no_key_identifier() -> None:
    """The strict reading may refuse it; an index may still point to it."""
    bare = resigned(DAVE.der, ROOT.key, edit=lambda fields: fields[:-1])
    peeked = CertificatePeeker().peek(bare)
    assert peeked is not None
    assert (peeked.serial, peeked.subject_key_id) == (DAVE.certificate.serial_number, None)
    assert agrees(bare)


def test_a_unique_identifier_before_the_extensions_hides_no_key_identifier() -> None:
    issuer_unique_id = b"\x81\x02\x00\x01"  # RFC 5280 section 4.1.2.8
    unusual = resigned(DAVE.der, ROOT.key, edit=lambda fields: [*fields[:-1], issuer_unique_id, fields[-1]])
    peeked, usual = CertificatePeeker().peek(unusual), CertificatePeeker().peek(DAVE.der)
    assert peeked == usual
    assert usual is not None
    assert usual.subject_key_id is not None
    assert read_stored_certificate(unusual) is not None
    assert agrees(unusual)


def test_issuers_are_remembered_without_being_mixed_up() -> None:
    peeker = CertificatePeeker()
    for der in (*CERTIFICATES, *CERTIFICATES):
        peeked, strict = peeker.peek(der), read_stored_certificate(der)
        assert peeked is not None
        assert strict is not None
        assert (peeked.issuer, peeked.serial) == (strict.issuer, strict.serial)


@given(
    der=st.sampled_from(CERTIFICATES),
    at=st.floats(0, 1, exclude_max=True),
    octets=st.binary(min_size=0, max_size=4),
    cut=st.integers(0, 4),
)
def test_a_certificate_with_other_octets_in_it_is_no_surprise(
    der: bytes, at: float, octets: bytes, cut: int
) -> None:
    """Nothing is raised, and where the strict reading still takes it, both say the same."""
    place = int(at * len(der))
    assert agrees(der[:place] + octets + der[place + cut :])


@given(octets=st.binary(max_size=60))
@example(octets=b"")
@example(octets=b"\x30\xff")
@example(octets=b"\x30\x80\x30\x80\x02\x80")
def test_any_octets_are_looked_into_without_a_fault(octets: bytes) -> None:
    assert agrees(octets)
