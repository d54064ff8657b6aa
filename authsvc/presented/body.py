"""A certificate in the body of an API call or in a file: PEM text or base64 DER, one, and chain hints beside it."""

from collections.abc import Sequence

from authsvc.presented.encodings import EncodingError, read_base64, read_certificate_der, read_pem_certificate
from authsvc.presented.presentation import Presentation, PresentedCertificate, UnreadableCertificate

__all__ = ["read_body", "read_certificate_file"]

_PEM_BEGIN = b"-----BEGIN"
_PEM_END = b"-----END CERTIFICATE-----"
_DER_BEGIN = b"\x30"


def read_body(certificate: str, chain: Sequence[str] = ()) -> Presentation:
    """Read the certificate of a JSON body. Total.

    Args:
        certificate: PEM or base64 DER; white space around it is dropped.
        chain: the same, each; in any order.

    """
    try:
        return PresentedCertificate(der=_read_text(certificate), chain=tuple(map(_read_text, chain)))
    except EncodingError as error:
        return UnreadableCertificate(problem=str(error))


def read_certificate_file(octets: bytes) -> Presentation:
    """Read a file: DER, base64 of it, or PEM whose first block is the certificate and the others hints. Total."""
    try:
        if octets.startswith(_DER_BEGIN):
            return PresentedCertificate(der=read_certificate_der(octets))
        blocks = _pem_blocks(octets)
        if not blocks:
            return PresentedCertificate(der=_read_octets(octets.strip()))
        first, *others = blocks
        return PresentedCertificate(der=_read_octets(first), chain=tuple(map(_read_octets, others)))
    except EncodingError as error:
        return UnreadableCertificate(problem=str(error))


def _pem_blocks(octets: bytes) -> list[bytes]:
    """Cut a text into its certificate blocks; text around them is allowed (RFC 7468 section 5.2), keys are not read."""
    blocks = []
    for part in octets.split(_PEM_END)[:-1]:
        _before, begin, rest = part.rpartition(_PEM_BEGIN)
        blocks.append(begin + rest + _PEM_END)
    return blocks


def _read_text(text: str) -> bytes:
    try:
        return _read_octets(text.strip().encode("ascii"))
    except UnicodeEncodeError as error:
        raise EncodingError("expected PEM or base64, found a character outside ASCII") from error


def _read_octets(octets: bytes) -> bytes:
    if octets.startswith(_PEM_BEGIN):
        return read_certificate_der(read_pem_certificate(octets))
    return read_certificate_der(read_base64(b"".join(octets.split())))
