"""Certificates as the store takes and keeps them: read from PEM or DER, described, judged for warnings.

What lives here: texts and files into DER octets, the facts kept beside them for look-ups, one line about
a certificate, and what an administrator is warned of. What does not: rows (`people.py`), and trust: any
readable certificate is stored, because an entry may hold one that has expired or that another service
uses (`authsvc/trust` decides at each request).

Standard: PEM is RFC 7468 section 2, the label `CERTIFICATE`.
"""

import base64
import binascii
import hashlib
import re
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from authsvc.trust.certificate import LARGEST_CERTIFICATE, read_certificate
from authsvc.trust.profile import (
    EndEntityRules,
    StrengthFloor,
    find_critical_problems,
    find_end_entity_problems,
)
from directory_assistance.certificate_names import StoredFacts, read_stored_certificate
from directory_assistance.dn import render_ldap
from directory_assistance.errors import CertificateSyntaxError, shorten

__all__ = [
    "LARGEST_CERTIFICATE_FILE",
    "CertificateRecord",
    "describe_certificate",
    "find_warnings",
    "read_certificate_file",
    "read_facts",
    "read_pem",
    "render_pem",
]

LARGEST_CERTIFICATE_FILE = 2 * LARGEST_CERTIFICATE
"""Octets of a file with one certificate: base64 needs a third more than the certificate itself."""

_BLOCK = re.compile(r"-----BEGIN ([^\r\n-]*)-----(.*?)-----END \1-----", re.DOTALL)
_BEGIN = "-----BEGIN "

_SHOWN_DIGITS = 16
"""Hexadecimal digits of the SHA-256 digest in one line about a certificate: enough to find it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """A readable certificate that a person holds, and whether it is marked revoked."""

    der: bytes = field(repr=False)
    sha256: bytes
    revoked: bool = False

    @classmethod
    def from_der(cls, der: bytes, *, revoked: bool = False) -> Self:
        """Take a certificate.

        Raises:
            CertificateSyntaxError: the octets are not one certificate whose issuer and serial number can
                be read.

        """
        read_facts(der)
        return cls(der=der, sha256=hashlib.sha256(der).digest(), revoked=revoked)


def read_facts(der: bytes) -> StoredFacts:
    """Read what is kept beside a certificate for look-ups.

    Raises:
        CertificateSyntaxError: it cannot be read; it would never bind anybody.

    """
    facts = read_stored_certificate(der)
    if facts is None:
        raise CertificateSyntaxError(
            "expected one X.509 certificate, found octets that cannot be read as one"
        )
    return facts


def read_pem(text: str) -> bytes:
    """Read a text that holds exactly one certificate in PEM; text around the block is ignored (RFC 7468).

    Raises:
        CertificateSyntaxError: no block, several, another label, or no base64 inside.

    """
    begins = text.count(_BEGIN)
    # Counted first: with many beginnings and no end, the pattern would try the rest of the text from each of them.
    block = _BLOCK.search(text) if begins == 1 else None
    if block is None:
        raise CertificateSyntaxError(f"expected one PEM block, found {begins}")
    label, content = block.groups()
    if label != "CERTIFICATE":
        raise CertificateSyntaxError(f"expected a PEM block `CERTIFICATE`, found `{shorten(label)}`")
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: a character beyond ASCII
        raise CertificateSyntaxError("expected base64 inside the PEM block, found something else") from error


def read_certificate_file(octets: bytes) -> bytes:
    """Read the content of a certificate file, PEM or DER.

    Raises:
        CertificateSyntaxError: as `read_pem`. Not checked: whether DER is a certificate.

    """
    if _BEGIN.encode() not in octets:
        return octets
    return read_pem(octets.decode("utf-8", "replace"))


def render_pem(der: bytes) -> str:
    """Print as PEM, ending in a line break."""
    return ssl.DER_cert_to_PEM_cert(der)


def describe_certificate(der: bytes) -> str:
    """Return one line about a stored certificate: serial number, issuer, digest."""
    facts = read_stored_certificate(der)
    digest = hashlib.sha256(der).hexdigest()[:_SHOWN_DIGITS]
    if facts is None:
        return f"unreadable (sha256 {digest}…)"
    return f"serial {facts.serial:x} of {shorten(render_ldap(facts.issuer))} (sha256 {digest}…)"


def find_warnings(der: bytes, now: datetime) -> tuple[str, ...]:
    """Say why a readable certificate lets nobody in: expired, weak, of an authority, not for clients.

    Args:
        der: a certificate that `read_facts` accepts.
        now: the moment to judge dates by.

    Returns:
        One text per finding, for a warning; none for a certificate that trust would find nothing wrong
        with by itself. Not checked: its path.

    """
    try:
        facts = read_certificate(der)
    except CertificateSyntaxError as error:
        return (f"cannot be presented: {error}",)
    found = []
    if now > facts.not_after:
        found.append(f"expired at {facts.not_after:%Y-%m-%d %H:%M} UTC")
    findings = find_end_entity_problems(
        facts,
        floor=StrengthFloor(),
        rules=EndEntityRules(eku_required=False, allow_any_eku=True),  # an anchor may say so
        is_anchor=False,
    ) + find_critical_problems(facts)
    return (*found, *(finding.detail for finding in findings))
