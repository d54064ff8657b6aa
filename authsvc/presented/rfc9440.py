"""Dialect `rfc9440`: `Client-Cert` and `Client-Cert-Chain` (RFC 9440).

`Client-Cert` is a Structured Fields byte sequence `:base64 DER:` without parameters, on one line.
`Client-Cert-Chain` is a list of such, without the leaf, perhaps on several lines, and never without
`Client-Cert`.

"No certificate" is an absent field or `::`, which Caddy sends. An *empty* field is unreadable: load balancers
empty it when a certificate is too large for them, and a certificate that was lost on the way is never
anonymous (threat T82).

Where we are stricter than RFC 8941: base64 must be canonical (section 4.2.7 lets a parser accept missing
padding).
"""

from typing import Final

from authsvc.presented.encodings import EncodingError, read_base64, read_certificate_der
from authsvc.presented.fields import LARGEST_CHAIN, CertificateFields
from authsvc.presented.presentation import NoCertificate, Presentation, PresentedCertificate

__all__ = ["read_rfc9440"]

_NOTHING: Final = b"::"


def read_rfc9440(fields: CertificateFields) -> Presentation:
    """Read the two fields.

    Raises:
        EncodingError: the value is not of the form above, or a chain stands without a certificate.

    """
    if fields.certificate is None or fields.certificate == _NOTHING:
        if fields.chain:
            raise EncodingError("expected Client-Cert beside Client-Cert-Chain (RFC 9440 section 2.3)")
        return NoCertificate()
    der = _read_byte_sequence(fields.certificate)
    return PresentedCertificate(der=der, chain=_read_chain(fields.chain))


def _read_chain(lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
    value = b", ".join(lines)
    if value in {b"", _NOTHING}:  # HAProxy sends `::` on a resumed session, which has lost the chain
        return ()
    members = value.split(b",")  # no byte sequence holds a comma
    if len(members) > LARGEST_CHAIN:
        raise EncodingError(f"expected at most {LARGEST_CHAIN} chain certificates, found {len(members)}")
    return tuple(_read_byte_sequence(member.strip(b" \t")) for member in members)


def _read_byte_sequence(item: bytes) -> bytes:
    if len(item) < 3 or not (item.startswith(b":") and item.endswith(b":")):
        raise EncodingError("expected a byte sequence `:base64:` without parameters")
    return read_certificate_der(read_base64(item[1:-1]))
