"""What an index needs of a stored certificate, at a small part of the price of reading it whole.

What lives here: issuer, serial number, public key and subject key identifier, cut out of the octets without a look at
the rest.
What does not: reading certificates (`certificate_names.py`), and any decision: what is found by these values is read
whole before it counts.

INVARIANT: where `read_stored_certificate` reads a certificate, this gives the same values. Where that refuses one, this
may give something: an index may point where nothing is found, never the reverse. (RFC 5280 section 4.1. Of 100,000
certificates the strict reading takes six seconds, this takes one.)
"""

from dataclasses import dataclass

from directory_assistance.certificate_names import read_stored_certificate
from directory_assistance.dn import DistinguishedName

__all__ = ["CertificateFacts", "CertificatePeeker"]

_INTEGER = 0x02
_OCTET_STRING = 0x04
_SEQUENCE = 0x30
_VERSION = 0xA0
_EXTENSIONS = 0xA3

_SUBJECT_KEY_IDENTIFIER = b"\x06\x03\x55\x1d\x0e"
"""DER of the object identifier 2.5.29.14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What finds the holder of a certificate beside the certificate itself; fields as in `StoredFacts`."""

    issuer: DistinguishedName
    serial: int
    public_key_info: bytes
    subject_key_id: bytes | None


class CertificatePeeker:
    """Looks into one certificate after another; remembers the issuers, which are few."""

    def __init__(self) -> None:
        self._issuers: dict[bytes, DistinguishedName] = {}

    def peek(self, der: bytes) -> CertificateFacts | None:
        """Return what an index needs of a certificate; None only where it cannot be read at all."""
        try:
            issuer, serial, public_key_info, key_id = _cut(der)
        except (IndexError, _NotExpectedError):
            return None
        name = self._issuers.get(issuer)
        if name is None:
            whole = read_stored_certificate(der)
            if whole is None:
                return None
            name = self._issuers[issuer] = whole.issuer
        return CertificateFacts(
            issuer=name, serial=serial, public_key_info=public_key_info, subject_key_id=key_id
        )


class _NotExpectedError(Exception):
    """Octets are not what a certificate has in this place."""


def _cut(der: bytes) -> tuple[bytes, int, bytes, bytes | None]:
    """Cut issuer, serial number, public key and subject key identifier out of a certificate."""
    start, _end = _content(der, 0, _SEQUENCE)  # Certificate
    at, end = _content(der, start, _SEQUENCE)  # TBSCertificate
    if der[at] == _VERSION:
        at = _content(der, at, _VERSION)[1]
    start, at = _content(der, at, _INTEGER)
    serial = int.from_bytes(der[start:at], "big", signed=True)
    issuer_at = _content(der, at, _SEQUENCE)[1]  # behind the signature algorithm
    at = _content(der, issuer_at, _SEQUENCE)[1]
    issuer = der[issuer_at:at]
    at = _content(der, at, _SEQUENCE)[1]  # validity
    key_at = _content(der, at, _SEQUENCE)[1]  # behind the subject
    at = _content(der, key_at, _SEQUENCE)[1]
    key = der[key_at:at]
    while at < end:  # unique identifiers; neither has the tag of extensions
        tag = der[at]
        start, at = _content(der, at, tag)
        if tag == _EXTENSIONS:
            return issuer, serial, key, _key_id(der, start)
    return issuer, serial, key, None


def _key_id(der: bytes, at: int) -> bytes | None:
    at, end = _content(der, at, _SEQUENCE)
    while at < end:
        start, at = _content(der, at, _SEQUENCE)
        if der.startswith(_SUBJECT_KEY_IDENTIFIER, start):
            start += len(_SUBJECT_KEY_IDENTIFIER)
            if der[start] != _OCTET_STRING:  # whether it is critical
                start = _content(der, start, der[start])[1]
            start, _end = _content(der, start, _OCTET_STRING)
            start, until = _content(der, start, _OCTET_STRING)
            return der[start:until]
    return None


def _content(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return where the content of the element at a place starts and ends.

    Raises:
        _NotExpectedError: it has another tag.
        IndexError: the octets end before it does.

    """
    if der[at] != tag:
        raise _NotExpectedError
    length = der[at + 1]
    start = at + 2
    if length & 0x80:
        count = length & 0x7F
        start += count
        length = int.from_bytes(der[at + 2 : start], "big")
    end = start + length
    if end > len(der):
        raise IndexError
    return start, end
