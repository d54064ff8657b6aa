"""Dialect `nginx`: `$ssl_client_escaped_cert` and `$ssl_client_verify`; ingress-nginx too.

The certificate is percent-encoded PEM. nginx never passes the chain. The verify result is always sent, and
decides together with the certificate:

| verify | certificate | presentation |
|---|---|---|
| `SUCCESS` | readable | presented |
| `SUCCESS` | none | unreadable: it was lost on the way (threat T82) |
| `NONE` | none | no certificate |
| anything else, `NONE` and no result included | readable | rejected by the front end (threat T6) |
| `FAILED:reason`, an unknown word | none | rejected by the front end |
| no result at all, or an empty one | none | unreadable: nothing says that there was no certificate |

A certificate that cannot be read is unreadable whatever the result says.
"""

from typing import Final

from authsvc.presented.encodings import (
    EncodingError,
    read_certificate_der,
    read_pem_certificate,
    read_percent_encoded,
)
from authsvc.presented.fields import CertificateFields
from authsvc.presented.presentation import (
    NoCertificate,
    Presentation,
    PresentedCertificate,
    RejectedByFrontEnd,
)
from directory_assistance.errors import shorten

__all__ = ["read_nginx"]

_SUCCESS: Final = b"SUCCESS"
_NONE: Final = b"NONE"


def read_nginx(fields: CertificateFields) -> Presentation:
    """Read certificate and verify result after the table above.

    Raises:
        EncodingError: the certificate cannot be read, or was lost on the way.

    """
    if not fields.certificate:
        return _without_certificate(fields.verify)
    der = read_certificate_der(read_pem_certificate(read_percent_encoded(fields.certificate)))
    if fields.verify != _SUCCESS:
        return RejectedByFrontEnd(problem=f"verify result is {_quote(fields.verify)}, expected `SUCCESS`")
    return PresentedCertificate(der=der)


def _without_certificate(verify: bytes | None) -> Presentation:
    if verify == _NONE:
        return NoCertificate()
    if not verify or verify == _SUCCESS:
        raise EncodingError(f"expected verify result `NONE` without a certificate, found {_quote(verify)}")
    return RejectedByFrontEnd(problem=f"verify result is {_quote(verify)}, expected `SUCCESS`")


def _quote(verify: bytes | None) -> str:
    return "missing" if verify is None else f"`{shorten(verify.decode('latin-1'))}`"
