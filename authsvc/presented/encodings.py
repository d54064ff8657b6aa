"""Decoding certificates from text, strictly: base64, percent-encoding, PEM, and the outer shell of DER.

Here: one function per encoding, shared by the dialects. Not here: X.509 itself, which `trust/` reads.

INVARIANT: one text has one reading or none. Whatever is left over, in any layer, is an error (threat T10):
characters outside the alphabet, missing or superfluous padding, bits set below the padding, a second PEM
block, bytes after the certificate. Every error is an `EncodingError`, whatever the bytes.

Standards: RFC 4648 section 4 (base64), RFC 3986 section 2.1 (percent-encoding), RFC 7468 (PEM), X.690 (DER).
"""

import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = [
    "EncodingError",
    "read_base64",
    "read_certificate_der",
    "read_pem_certificate",
    "read_percent_encoded",
]

_PERCENT_ENCODED: Final = re.compile(rb"(?:[A-Za-z0-9\-._~+/=]|%[0-9A-Fa-f]{2})*\Z")
"""Unreserved characters, the `+ / =` of base64 that some servers leave raw, and complete escapes. No raw
space."""

_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)-----END CERTIFICATE-----(?:\r?\n)?\Z"
)
_LINE_ENDS: Final = re.compile(rb"\r?\n")
_SEQUENCE: Final = b"\x30"
_INDEFINITE: Final = 0x80
"""First length octet without a length; above it, the number of length octets that follow (X.690 8.1.3)."""


class EncodingError(ValueError):
    """Bytes are not one certificate in the encoding they should have."""


def read_base64(text: bytes) -> bytes:
    """Read base64 in its one canonical spelling.

    Raises:
        EncodingError: a foreign character, wrong padding, or bits that no octet holds.

    """
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise EncodingError(f"expected base64: {str(error).lower()}") from error
    if binascii.b2a_base64(octets, newline=False) != text:
        # strict_mode still accepts `QR==` for `QQ==`: two spellings of one certificate
        raise EncodingError("expected base64: bits are set after the last octet")
    return octets


def read_percent_encoded(text: bytes) -> bytes:
    """Read percent-encoding; a `+` is a plus sign, never a space.

    Raises:
        EncodingError: an escape is cut off or no hexadecimal, or a character stands raw that must be escaped.

    """
    if not _PERCENT_ENCODED.match(text):
        raise EncodingError("expected percent-encoded PEM, found a raw character or a malformed escape")
    return unquote_to_bytes(text)


def read_pem_certificate(text: bytes) -> bytes:
    """Read exactly one PEM block labelled CERTIFICATE, with nothing before or after it; return its octets.

    Raises:
        EncodingError: another label, two blocks, text around the block, or a body that is no base64.

    """
    match = _PEM.match(text)
    if match is None:
        raise EncodingError("expected one PEM block labelled CERTIFICATE and nothing else")
    return read_base64(_LINE_ENDS.sub(b"", match[1]))


def read_certificate_der(octets: bytes) -> bytes:
    """Return the octets if they are exactly one DER SEQUENCE: definite minimal length, nothing after it.

    Only the outer shell is looked at, at the same cost for any bytes (threat T9); that it is a certificate is
    checked in `trust/certificate.py`.

    Raises:
        EncodingError: another tag, a length that is not DER, octets missing or left over.

    """
    if octets[:1] != _SEQUENCE:
        raise EncodingError("expected a certificate in DER, which begins with a SEQUENCE")
    first = octets[1] if len(octets) > 1 else _INDEFINITE
    header, length = 2, first
    if first >= _INDEFINITE:
        encoded = octets[2 : 2 + first - _INDEFINITE]
        header, length = 2 + len(encoded), int.from_bytes(encoded, "big")
        if not encoded or encoded[0] == 0 or length < _INDEFINITE:
            raise EncodingError("expected a certificate in DER, found an indefinite or padded length")
    if header + length != len(octets):
        raise EncodingError(f"expected a certificate of {header + length} octets, found {len(octets)}")
    return octets
