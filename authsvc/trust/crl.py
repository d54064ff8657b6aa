"""Reading a certificate revocation list (RFC 5280 section 5), strictly and once.

Lives here: the octets of a list become an immutable `RevocationList`, its signature proven. Not here: what a
list means for a certificate (`revocation.py`), files, fetching.

Invariants: a list is told by the encoded name *and* the key of its issuer, so that a serial number is never
looked up in the list of another CA (threat T35). A list that is not wholly understood does not exist: one
entry that cannot be read, one unknown critical extension, and it is refused (threat T36). A list whose scope
is narrower than what we handle is kept, because what it revokes is revoked, but never proves that a
certificate is good (threat T34).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from authsvc.trust.anchors import TrustMaterialError, read_pem_blocks
from authsvc.trust.certificate import READ_ERRORS, CertificateFacts, describe_name
from authsvc.trust.profile import StrengthFloor, find_key_problem
from authsvc.trust.signatures import MODERN_HASHES
from directory_assistance.der import (
    BIT_STRING,
    INTEGER,
    SEQUENCE,
    DerSyntaxError,
    Fields,
    read_element,
    read_octets_of_bits,
)
from directory_assistance.errors import shorten

__all__ = ["LARGEST_CRL", "IssuerKey", "RevocationList", "RevokedEntry", "Scope", "read_crl"]

LARGEST_CRL: Final = 256 * 1024 * 1024
"""Octets of a list, checked before parsing: a million entries have about 50 MB (threat T33)."""


_CRL_LABELS: Final = frozenset({b"X509 CRL"})

_UNDERSTOOD_IN_LIST: Final = frozenset(
    {
        x509.AuthorityKeyIdentifier.oid.dotted_string,
        x509.CRLNumber.oid.dotted_string,
        x509.IssuingDistributionPoint.oid.dotted_string,
    }
)
_UNDERSTOOD_IN_ENTRY: Final = frozenset(
    {x509.CRLReason.oid.dotted_string, x509.InvalidityDate.oid.dotted_string}
)

IssuerKey = tuple[bytes, bytes]
"""Who issued: the encoded name, and the SHA-256 of SubjectPublicKeyInfo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedEntry:
    """One revoked certificate: since when, and why (RFC 5280 name of the reason, empty if not said)."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which certificates of its issuer a list speaks for (issuingDistributionPoint, RFC 5280 section 5.2.5).

    `partial`: for some reasons only, or for attribute certificates; never proves "good".
    `distribution_points`: only for certificates that name one of these points; None for all.
    """

    end_entities: bool = True
    authorities: bool = True
    partial: bool = False
    distribution_points: frozenset[x509.GeneralName] | None = None

    def covers(self, facts: CertificateFacts) -> bool:
        """Whether the list's silence about this certificate of its issuer means "not revoked"."""
        constraints = facts.basic_constraints
        is_authority = constraints is not None and constraints.ca
        if self.partial or not (self.authorities if is_authority else self.end_entities):
            return False
        return self.distribution_points is None or bool(
            self.distribution_points & _distribution_points(facts)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list whose signature has been proven with its issuer's key.

    Dates are aware; the list is current from `this_update` up to, but not including, `next_update`. `number`
    is -1 where the list has none. `source` is what messages and evidence call it.
    """

    source: str
    issuer: IssuerKey = field(repr=False)
    issuer_text: str
    this_update: datetime
    next_update: datetime
    number: int
    scope: Scope
    entries: Mapping[int, RevokedEntry] = field(repr=False)

    def is_current(self, now: datetime) -> bool:
        """Whether the list speaks for this instant."""
        return self.this_update <= now < self.next_update

    def supersedes(self, other: "RevocationList") -> bool:
        """Whether this list is newer than another of the same issuer and scope (threat T37)."""
        return (self.number, self.this_update) > (other.number, other.this_update)


def read_crl(octets: bytes, issuers: Iterable[CertificateFacts], *, source: str) -> RevocationList:
    """Read a list, PEM or DER, and prove its signature.

    1. Decode, and cut the signed part out as it stands: the signature is checked over these octets, not over
       what somebody encoded anew.
    2. Find the issuer among the known authorities: same encoded name, may sign lists, key verifies.
    3. Read list extensions and every entry.

    Args:
        octets: the file.
        issuers: certificates of known authorities.
        source: what messages call the file.

    Raises:
        TrustMaterialError: too large, unreadable, not signed by a known authority that may sign lists,
            weakly signed, without next update, a delta list, an indirect list, an unknown critical extension,
            an entry that cannot be read or says removeFromCRL (which only delta lists may).

    """
    if len(octets) > LARGEST_CRL:
        raise TrustMaterialError(
            f"`{source}`: expected a list of at most {LARGEST_CRL} octets, found {len(octets)}"
        )
    der = octets
    if not octets.startswith(b"\x30"):
        blocks = read_pem_blocks(octets, labels=_CRL_LABELS, source=source)
        if len(blocks) != 1:
            raise TrustMaterialError(f"`{source}`: expected one revocation list, found {len(blocks)}")
        der = blocks[0]
    try:
        return _read(der, issuers, source)
    except TrustMaterialError as error:
        raise TrustMaterialError(f"`{source}`: {error}") from error
    except DerSyntaxError as error:
        raise TrustMaterialError(f"`{source}`: not a DER revocation list: {error}") from error
    except READ_ERRORS as error:
        raise TrustMaterialError(
            f"`{source}`: revocation list cannot be read: {shorten(str(error))}"
        ) from error


def _read(der: bytes, issuers: Iterable[CertificateFacts], source: str) -> RevocationList:
    # 1
    signed, issuer_der = _read_frame(der)
    crl = x509.load_der_x509_crl(der)
    # 2
    issuer = _find_issuer(crl, signed, issuer_der, issuers)
    # 3
    extensions = crl.extensions
    _require_understood(extensions)
    next_update = crl.next_update_utc
    if next_update is None:
        raise TrustMaterialError("the list has no next update, so that nobody can tell when it is stale")
    if next_update <= crl.last_update_utc:
        raise TrustMaterialError("the list's next update is not after its this update")
    return RevocationList(
        source=source,
        issuer=(issuer.subject_der, issuer.key_sha256),
        issuer_text=issuer.subject_text,
        this_update=crl.last_update_utc,
        next_update=next_update,
        number=_read_number(extensions),
        scope=_read_scope(extensions),
        entries=_read_entries(crl),
    )


def _read_frame(der: bytes) -> tuple[bytes, bytes]:
    """Return the signed part and the issuer's name, both as encoded."""
    outer = Fields(read_element(der, SEQUENCE).content)
    signed = outer.take(SEQUENCE)
    algorithm = outer.take(SEQUENCE)
    read_octets_of_bits(outer.take(BIT_STRING).content)
    outer.finish()
    inner = Fields(signed.content)
    inner.take_optional(INTEGER)
    if inner.take(SEQUENCE) != algorithm:
        raise TrustMaterialError("signature algorithm inside and outside of the signed part differ")
    return signed.encoded, inner.take(SEQUENCE).encoded


def _find_issuer(
    crl: x509.CertificateRevocationList,
    signed: bytes,
    issuer_der: bytes,
    issuers: Iterable[CertificateFacts],
) -> CertificateFacts:
    name = describe_name(crl.issuer)
    known = [facts for facts in issuers if facts.subject_der == issuer_der]
    if not known:
        raise TrustMaterialError(
            f"issuer `{name}` is neither a trust anchor nor a configured intermediate: "
            "its signature cannot be checked"
        )
    refused = ""
    for facts in known:
        if not _is_signed_with(crl, signed, facts):
            continue
        refused = _find_issuer_problem(facts)
        if not refused:
            return facts
    raise TrustMaterialError(refused or f"not signed with the key of its issuer `{name}`")


def _find_issuer_problem(facts: CertificateFacts) -> str:
    constraints = facts.basic_constraints
    if constraints is None or not constraints.ca:
        return f"issuer `{facts.subject_text}` is no certification authority"
    usage = facts.key_usage
    if usage is not None and not usage.crl_sign:
        return f"issuer `{facts.subject_text}` may not sign revocation lists (key usage without cRLSign)"
    return ""


def _is_signed_with(crl: x509.CertificateRevocationList, signed: bytes, facts: CertificateFacts) -> bool:
    """Whether the key of an authority, strong enough, made the list's signature, with SHA-2."""
    if find_key_problem(facts, StrengthFloor()):
        return False
    algorithm = crl.signature_hash_algorithm
    if algorithm is None or algorithm.name not in MODERN_HASHES:
        raise TrustMaterialError("expected a signature with SHA-256, SHA-384 or SHA-512")
    parameters = crl.signature_algorithm_parameters
    key = facts.certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(crl.signature, signed, parameters)
            return True
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS):
            key.verify(crl.signature, signed, parameters, algorithm)
            return True
    except InvalidSignature:
        return False
    return False


def _require_understood(extensions: x509.Extensions) -> None:
    for extension in extensions:
        oid = extension.oid.dotted_string
        if oid == x509.DeltaCRLIndicator.oid.dotted_string:
            raise TrustMaterialError("delta lists are not supported")
        if extension.critical and oid not in _UNDERSTOOD_IN_LIST:
            raise TrustMaterialError(f"critical extension {oid} of the list is not supported")


def _read_number(extensions: x509.Extensions) -> int:
    try:
        return extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return -1


def _read_scope(extensions: x509.Extensions) -> Scope:
    try:
        point = extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return Scope()
    if point.indirect_crl:
        raise TrustMaterialError("indirect lists are not supported")
    return Scope(
        end_entities=not point.only_contains_ca_certs,
        authorities=not point.only_contains_user_certs,
        partial=bool(
            point.only_some_reasons or point.only_contains_attribute_certs or point.relative_name is not None
        ),
        distribution_points=None if point.full_name is None else frozenset(point.full_name),
    )


def _read_entries(crl: x509.CertificateRevocationList) -> Mapping[int, RevokedEntry]:
    return MappingProxyType({entry.serial_number: _read_entry(entry) for entry in crl})


def _read_entry(entry: x509.RevokedCertificate) -> RevokedEntry:
    reason = ""
    for extension in entry.extensions:
        if extension.critical and extension.oid.dotted_string not in _UNDERSTOOD_IN_ENTRY:
            raise TrustMaterialError(
                f"entry {entry.serial_number:x}: "
                f"critical extension {extension.oid.dotted_string} is not supported"
            )
        if isinstance(extension.value, x509.CertificateIssuer):
            raise TrustMaterialError(f"entry {entry.serial_number:x} speaks for another issuer")
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason.value
    if reason == x509.ReasonFlags.remove_from_crl.value:
        raise TrustMaterialError(
            f"entry {entry.serial_number:x} says removeFromCRL, which only delta lists may"
        )
    return RevokedEntry(since=entry.revocation_date_utc, reason=reason)


def _distribution_points(facts: CertificateFacts) -> frozenset[x509.GeneralName]:
    """Return the points at which the certificate's own issuer publishes lists for all reasons."""
    extension = facts.extensions.get(x509.CRLDistributionPoints.oid.dotted_string)
    if extension is None or not isinstance(extension.value, x509.CRLDistributionPoints):
        return frozenset()
    return frozenset(
        name
        for point in extension.value
        if point.reasons is None and point.crl_issuer is None
        for name in point.full_name or ()
    )
