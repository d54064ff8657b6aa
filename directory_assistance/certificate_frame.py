"""The frame of a certificate, cut strictly and once (RFC 5280 section 4.1).

Lives here: the parts of a certificate as encoded. Not here: what they say (`certificate_names.py` reads the names,
`authsvc/trust/certificate.py` the rest), and any judgement.

INVARIANT: every reader of certificates begins here, so that no two of them see different parts (threat T17). What is
not DER, has a field too many, a repeated extension, or a serial number that RFC 5280 forbids, has no frame.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from directory_assistance.der import (
    BIT_STRING,
    INTEGER,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_integer,
    read_octets_of_bits,
)
from directory_assistance.errors import CertificateSyntaxError
from directory_assistance.extensions import read_extensions

__all__ = ["LARGEST_CERTIFICATE", "CertificateFrame", "read_certificate_frame"]

LARGEST_CERTIFICATE: Final = 65_536
"""Octets of a certificate: real ones have one or two thousand; web servers stop at 8 to 64 thousand."""

_LONGEST_SERIAL_NUMBER: Final = 20
"""Octets of a serial number (RFC 5280 section 4.1.2.2), not counting the one that keeps it positive."""

_VERSION_3: Final = 2
"""How version 3 is encoded."""

_EXPLICIT_0: Final = 0xA0
_EXPLICIT_3: Final = 0xA3
_ISSUER_UNIQUE_ID: Final = 0x81
_SUBJECT_UNIQUE_ID: Final = 0x82


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFrame:
    """A certificate's parts as encoded.

    `der` is the whole certificate, `sha256` its digest; `signed` the octets that `signature` is over, made with the
    algorithm whose identifier is `algorithm`. `issuer` and `subject` are Names, `public_key_info` is
    SubjectPublicKeyInfo. `extensions` maps the dotted type to the content of extnValue.
    """

    der: bytes = field(repr=False)
    sha256: bytes
    signed: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    is_version_3: bool
    serial: int
    issuer: Element = field(repr=False)
    subject: Element = field(repr=False)
    public_key_info: bytes = field(repr=False)
    extensions: dict[str, bytes] = field(repr=False)


def read_certificate_frame(der: bytes, *, any_serial: bool = False) -> CertificateFrame:
    """Cut a certificate into its parts.

    Args:
        der: the certificate and nothing after it.
        any_serial: whether a serial number of zero, a negative or a longer one is read too; never for a decision.

    Raises:
        CertificateSyntaxError: it is over 64 KiB, of another version than 1 or 3, has a serial number that RFC 5280
            forbids, a repeated extension, more than 100 extensions, or extensions in version 1.
        DerSyntaxError: it is not DER of this shape.

    """
    if len(der) > LARGEST_CERTIFICATE:
        raise CertificateSyntaxError(f"certificate has {len(der)} octets, the limit is {LARGEST_CERTIFICATE}")
    certificate = Fields(read_element(der, SEQUENCE).content)
    signed_part = certificate.take(SEQUENCE)
    signed = Fields(signed_part.content)
    algorithm = certificate.take(SEQUENCE)
    signature = read_octets_of_bits(certificate.take(BIT_STRING).content)
    certificate.finish()

    is_version_3 = _read_version(signed.take_optional(_EXPLICIT_0))
    serial_content = signed.take(INTEGER).content
    serial = read_integer(serial_content) if any_serial else _read_serial(serial_content)
    if signed.take(SEQUENCE) != algorithm:
        raise CertificateSyntaxError("signature algorithm inside and outside of the signed part differ")
    issuer = signed.take(SEQUENCE)
    signed.take(SEQUENCE)  # validity: the caller's affair
    subject = signed.take(SEQUENCE)
    public_key_info = signed.take(SEQUENCE).encoded
    later = [signed.take_optional(tag) for tag in (_ISSUER_UNIQUE_ID, _SUBJECT_UNIQUE_ID, _EXPLICIT_3)]
    if any(later) and not is_version_3:
        raise CertificateSyntaxError("unique identifiers or extensions in a certificate of version 1")
    extensions = later[-1]
    signed.finish()
    return CertificateFrame(
        der=der,
        sha256=hashlib.sha256(der).digest(),
        signed=signed_part.encoded,
        algorithm=algorithm.encoded,
        signature=signature,
        is_version_3=is_version_3,
        serial=serial,
        issuer=issuer,
        subject=subject,
        public_key_info=public_key_info,
        extensions={} if extensions is None else _values_of(extensions),
    )


def _read_version(element: Element | None) -> bool:
    """Whether the version is 3; else it is 1, which DER never writes, because it is the default.

    Version 2 is refused: nobody issued it, and `cryptography` does not read it.
    """
    if element is None:
        return False
    if read_integer(read_element(element.content, INTEGER).content) != _VERSION_3:
        raise CertificateSyntaxError("expected a certificate of version 1 or 3, found another one")
    return True


def _read_serial(content: bytes) -> int:
    serial = read_integer(content)
    if serial <= 0:
        raise CertificateSyntaxError("serial number is zero or negative")
    if serial.bit_length() > 8 * _LONGEST_SERIAL_NUMBER:
        raise CertificateSyntaxError(f"serial number has more than {_LONGEST_SERIAL_NUMBER} octets")
    return serial


def _values_of(extensions: Element) -> dict[str, bytes]:
    """Return the content of extnValue by dotted type; there is one extension at least."""
    found = read_extensions(read_element(extensions.content, SEQUENCE).content)
    if not found:
        raise DerSyntaxError("expected at least 1 element, found 0")
    return {oid: extension.value for oid, extension in found.items()}
