"""Trust anchors as objects, and the store of everything that a certification path may be built from.

Lives here: what an anchor is trusted for (front ends, names, dates, strength, purposes, policies,
revocation), and reading PEM files of certificates. Not here: paths (`path.py`), files
(`authsvc/operations/trust_files.py`).

Invariants: an anchor is told by its id and its certificate's octets, never by its name, so that a second CA
of the same name is another CA (threat T22). A store without an anchor cannot exist (threat T29).
Intermediates complete paths and are never anchors. Everything is parsed once, here, and immutable.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.verification import Store

from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.profile import MINIMUM_RSA_BITS, find_authority_key_problem, find_cost_problem
from directory_assistance.dn import DistinguishedName
from directory_assistance.errors import CertificateSyntaxError

__all__ = [
    "AnchorSettings",
    "FrontEndTrust",
    "RevocationMode",
    "TrustAnchor",
    "TrustMaterialError",
    "TrustStore",
    "read_certificates_pem",
    "read_pem_blocks",
]

_MOST_CERTIFICATES = 1_000
"""Certificates of one file: the public web's whole root store has about 150."""

_ARMOUR = re.compile(
    rb"-----BEGIN (?P<label>[A-Z0-9 ]{1,64})-----[ \t]*\r?\n"
    rb"(?P<body>[A-Za-z0-9+/=\s]*)-----END (?P=label)-----",
    re.ASCII,
)
_BEGIN = b"-----BEGIN "
_CERTIFICATE_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})


class TrustMaterialError(ValueError):
    """A file of certificates or of revocation lists cannot be used; the text says which and why."""


class RevocationMode(StrEnum):
    """What happens to a certificate whose revocation state cannot be told (semantics section 8)."""

    REQUIRE = "require"
    """Unknown is refused, unavailable is undecided."""

    PREFER = "prefer"
    """Unknown and unavailable pass, marked; revoked is refused."""

    OFF = "off"
    """Nobody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """What an anchor is trusted for, apart from the certificate.

    `id`: what `issued_by`, audit and evidence call it. `eku_required`: whether a certificate without extended
    key usage is refused (`eku: required`). `allow_any_eku`: whether anyExtendedKeyUsage is as good as
    clientAuth. `minimum_rsa_bits`: for every key of the path. `not_after`: from then on the anchor does not
    count, None for never. `permitted_names`: the subject must end in one of these names, None for any name;
    an empty tuple permits nothing. `front_ends`: where the anchor counts, None for everywhere; on the API
    listener a limited anchor counts only if it lists `api`. `required_policies`: dotted certificate policies
    of which the path must be valid for one; empty for no requirement.
    """

    id: str
    eku_required: bool = True
    allow_any_eku: bool = False
    minimum_rsa_bits: int = MINIMUM_RSA_BITS
    not_after: datetime | None = None
    permitted_names: tuple[DistinguishedName, ...] | None = None
    front_ends: frozenset[str] | None = None
    required_policies: frozenset[str] = frozenset()
    revocation: RevocationMode = RevocationMode.REQUIRE

    def counts_on(self, front_end: str) -> bool:
        """Whether paths of this front end (`api` for the API listener) may end here."""
        return self.front_ends is None or front_end in self.front_ends


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchor:
    """A certification authority (or one pinned end-entity certificate) that paths may end at, and for what.

    Several anchors may have one id: a CA and its successor are one anchor for `issued_by`. Made by `of`,
    `from_der` and `from_pem`, which refuse what no path could use.
    """

    settings: AnchorSettings
    facts: CertificateFacts

    @classmethod
    def of(cls, settings: AnchorSettings, facts: CertificateFacts) -> "TrustAnchor":
        """Return an anchor.

        Raises:
            TrustMaterialError: the id is empty, the RSA floor is below 2048 bits, or the key is one that
                no path could use.

        """
        if not settings.id:
            raise TrustMaterialError("trust anchor without an id")
        if settings.minimum_rsa_bits < MINIMUM_RSA_BITS:
            raise TrustMaterialError(
                f"trust anchor `{settings.id}`: expected minimum_rsa_bits of {MINIMUM_RSA_BITS} or more, "
                f"found {settings.minimum_rsa_bits}"
            )
        constraints = facts.basic_constraints
        if constraints is not None and constraints.ca:
            problem = find_authority_key_problem(facts, minimum_rsa_bits=settings.minimum_rsa_bits)
            if problem:
                raise TrustMaterialError(f"trust anchor `{settings.id}` (`{facts.subject_text}`): {problem}")
        return cls(settings=settings, facts=facts)

    @classmethod
    def from_der(cls, settings: AnchorSettings, der: bytes) -> "TrustAnchor":
        """Return an anchor for one certificate; raises as `of`, and for an unreadable certificate."""
        try:
            facts = read_certificate(der)
        except CertificateSyntaxError as error:
            raise TrustMaterialError(f"trust anchor `{settings.id}`: {error}") from error
        return cls.of(settings, facts)

    @classmethod
    def from_pem(cls, settings: AnchorSettings, pem: bytes, *, source: str) -> "tuple[TrustAnchor, ...]":
        """Return one anchor for each certificate of a PEM file, at least one, all with these settings.

        Args:
            settings: of each.
            pem: the file.
            source: what messages call the file.

        Raises:
            TrustMaterialError: the file is empty, or a certificate in it cannot be an anchor.

        """
        return tuple(cls.of(settings, facts) for facts in read_certificates_pem(pem, source=source))

    @property
    def id(self) -> str:
        """The settings' id."""
        return self.settings.id

    @property
    def der(self) -> bytes:
        """The anchor's certificate."""
        return self.facts.der

    @property
    def certificate(self) -> x509.Certificate:
        """The anchor's certificate, parsed."""
        return self.facts.certificate

    @property
    def revocation(self) -> RevocationMode:
        """The settings' revocation mode."""
        return self.settings.revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndTrust:
    """The anchors that count on one front end, in the order of the configuration, ready for the path engine.

    `store` is None where no anchor counts. `by_certificate` gives the first anchor of a certificate;
    `subjects` are the anchors' encoded names.
    """

    anchors: tuple[TrustAnchor, ...]
    store: Store | None
    by_certificate: Mapping[x509.Certificate, TrustAnchor]
    subjects: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """All anchors and intermediates of a configuration, parsed once. Made by `TrustStore.of`."""

    anchors: tuple[TrustAnchor, ...]
    intermediates: tuple[CertificateFacts, ...]
    by_der: Mapping[bytes, CertificateFacts] = field(repr=False, compare=False)
    _everywhere: FrontEndTrust = field(repr=False, compare=False)
    _by_front_end: Mapping[str, FrontEndTrust] = field(repr=False, compare=False)

    @classmethod
    def of(
        cls, anchors: Iterable[TrustAnchor], intermediates: Iterable[CertificateFacts] = ()
    ) -> "TrustStore":
        """Return a store.

        Raises:
            TrustMaterialError: there is no anchor, one id has the same certificate twice, or a key is too
                expensive to check signatures with.

        """
        listed = tuple(anchors)
        if not listed:
            raise TrustMaterialError("no trust anchor: expected one at least")
        seen: set[tuple[str, bytes]] = set()
        for anchor in listed:
            if (anchor.id, anchor.der) in seen:
                raise TrustMaterialError(f"trust anchor `{anchor.id}` holds one certificate twice")
            seen.add((anchor.id, anchor.der))
        pool = tuple({one.der: one for one in intermediates}.values())
        for one in pool:
            problem = find_cost_problem(one)
            if problem:
                raise TrustMaterialError(f"intermediate `{one.subject_text}`: {problem}")
        limited = frozenset().union(*(anchor.settings.front_ends or () for anchor in listed))
        return cls(
            anchors=listed,
            intermediates=pool,
            by_der=MappingProxyType(
                {facts.der: facts for facts in (*pool, *(anchor.facts for anchor in listed))}
            ),
            _everywhere=_front_end_trust(anchor for anchor in listed if anchor.settings.front_ends is None),
            _by_front_end=MappingProxyType(
                {
                    name: _front_end_trust(one for one in listed if one.settings.counts_on(name))
                    for name in limited
                }
            ),
        )

    def for_front_end(self, front_end: str) -> FrontEndTrust:
        """Return the anchors that count on a front end; none is possible."""
        return self._by_front_end.get(front_end, self._everywhere)


def _front_end_trust(anchors: Iterable[TrustAnchor]) -> FrontEndTrust:
    listed = tuple(anchors)
    by_certificate: dict[x509.Certificate, TrustAnchor] = {}
    for anchor in listed:
        by_certificate.setdefault(anchor.certificate, anchor)
    return FrontEndTrust(
        anchors=listed,
        store=Store(list(by_certificate)) if by_certificate else None,  # `Store([])` raises
        by_certificate=MappingProxyType(by_certificate),
        subjects=frozenset(anchor.facts.subject_der for anchor in listed),
    )


def read_certificates_pem(pem: bytes, *, source: str) -> tuple[CertificateFacts, ...]:
    """Read every certificate of a PEM file; text between the blocks is allowed (RFC 7468 section 5.2).

    Args:
        pem: the file.
        source: what messages call the file.

    Returns:
        At least one certificate, in the order of the file.

    Raises:
        TrustMaterialError: no certificate, a block of another kind (a private key does not belong here),
            a broken block, too many blocks, or an unreadable certificate.

    """
    blocks = read_pem_blocks(pem, labels=_CERTIFICATE_LABELS, source=source)
    certificates = []
    for number, der in enumerate(blocks, start=1):
        try:
            certificates.append(read_certificate(der))
        except CertificateSyntaxError as error:
            raise TrustMaterialError(f"`{source}`: certificate {number}: {error}") from error
    return tuple(certificates)


def read_pem_blocks(pem: bytes, *, labels: frozenset[bytes], source: str) -> tuple[bytes, ...]:
    """Decode every block of a PEM file, which must all have one of the labels.

    Raises:
        TrustMaterialError: no block, a block with another label, a block that is cut off or no base64, too
        many.

    """
    wanted = "/".join(sorted(label.decode("ascii") for label in labels))
    found = list(_ARMOUR.finditer(pem))
    if not found and _BEGIN not in pem:
        raise TrustMaterialError(f"`{source}`: expected PEM blocks `{wanted}`, found none")
    if len(found) != pem.count(_BEGIN):
        raise TrustMaterialError(f"`{source}`: a PEM block is cut off or malformed")
    if len(found) > _MOST_CERTIFICATES:
        raise TrustMaterialError(
            f"`{source}`: found {len(found)} PEM blocks, the limit is {_MOST_CERTIFICATES}"
        )
    blocks = []
    for number, match in enumerate(found, start=1):
        if match["label"] not in labels:
            label = match["label"].decode("ascii")
            raise TrustMaterialError(f"`{source}`: block {number}: expected PEM `{wanted}`, found `{label}`")
        try:
            blocks.append(binascii.a2b_base64(b"".join(match["body"].split()), strict_mode=True))
        except binascii.Error as error:
            raise TrustMaterialError(f"`{source}`: block {number} is not base64: {error}") from error
    return tuple(blocks)
