"""Dialect `tls`: this service terminated TLS itself, and holds what the client proved in the handshake.

No header says anything here; a certificate header of any dialect is refused before (`registry.py`).
"""

from collections.abc import Sequence

from authsvc.presented.encodings import EncodingError, read_certificate_der
from authsvc.presented.fields import LARGEST_CHAIN
from authsvc.presented.header_fields import LARGEST_VALUE_BYTES
from authsvc.presented.presentation import NoCertificate, Presentation, PresentedCertificate

__all__ = ["read_tls"]


def read_tls(certificate: bytes | None, chain: Sequence[bytes]) -> Presentation:
    """Read what the handshake left.

    Args:
        certificate: the client's certificate (DER), None if it sent none.
        chain: what else the client sent, in any order, without that certificate.

    Raises:
        EncodingError: longer than any certificate header may be, or too many of them.

    """
    if certificate is None:
        return NoCertificate()
    if len(chain) > LARGEST_CHAIN:
        raise EncodingError(f"expected at most {LARGEST_CHAIN} chain certificates, found {len(chain)}")
    if len(certificate) + sum(map(len, chain)) > LARGEST_VALUE_BYTES:
        raise EncodingError(f"expected at most {LARGEST_VALUE_BYTES} bytes of certificates")
    return PresentedCertificate(
        der=read_certificate_der(certificate), chain=tuple(read_certificate_der(element) for element in chain)
    )
