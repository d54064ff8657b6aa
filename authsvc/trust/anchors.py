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

from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.path_building import CertificatePool, prove_all
from authsvc.trust.path_memory import PathMemory
from authsvc.trust.policies import PolicyInputs
from authsvc.trust.profile import (
    CLIENT_PURPOSES,
    MINIMUM_RSA_BITS,
    EndEntityRules,
    Profile,
    StrengthFloor,
    find_cost_problem,
    find_key_problem,
)
from directory_assistance.certificate_names import read_distinguished_name
from directory_assistance.dn import DistinguishedName, NameKey
from directory_assistance.errors import CertificateSyntaxError

__all__ = [
    "AnchorSettings",
    "FrontEndTrust",
    "Profile",
    "RevocationMode",
    "StrengthFloor",
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

    `id`: what `issued_by`, audit and evidence call it. `eku_required`: whether a certificate without extended key
    usage is refused (`eku: required`). `allow_any_eku`: whether anyExtendedKeyUsage is as good as one of `purposes`,
    the dotted key purposes of which a certificate must have one. `floor`: for every key and signature of the path.
    `key_pins`: SHA-256 of the keys that count of a file, None for all. `not_before`, `not_after`: until and from then
    on the anchor does not count, None for always. `permitted_names`: the subject must end in one of these names, None
    for any name; an empty tuple permits nothing. `front_ends`: where the anchor counts, None for everywhere; on the
    API listener a limited anchor counts only if it lists `api`. `domains`: the only domains whose directories may
    hold the owner, None for all. `is_cross_certificate`: trust in one foreign authority or one pinned leaf, which no
    path may go through to another anchor, whatever certificate its key stands in, and on whatever front end.
    `required_policies`: dotted certificate policies of which the path must be valid for one; empty for no
    requirement. `explicit_policy`, `inhibit_policy_mapping`, `inhibit_any_policy`: the inputs of RFC 5280 section
    6.1.1; the client profile asks for an explicit policy wherever it asks for any. `profile`: what certificates must
    be beyond RFC 5280.
    """

    id: str
    eku_required: bool = True
    allow_any_eku: bool = False
    purposes: frozenset[str] = CLIENT_PURPOSES
    floor: StrengthFloor = field(default_factory=StrengthFloor)
    key_pins: frozenset[bytes] | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    permitted_names: tuple[DistinguishedName, ...] | None = None
    front_ends: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    is_cross_certificate: bool = False
    required_policies: frozenset[str] = frozenset()
    explicit_policy: bool = False
    inhibit_policy_mapping: bool = False
    inhibit_any_policy: bool = False
    profile: Profile = Profile.CLIENT
    revocation: RevocationMode = RevocationMode.REQUIRE

    @property
    def has_its_limits(self) -> bool:
        """Whether a cross-certificate has names, domains and an end; an anchor needs none of them."""
        if not self.is_cross_certificate:
            return True
        return bool(self.permitted_names and self.domains) and self.not_after is not None

    @property
    def end_entity_rules(self) -> EndEntityRules:
        """What the anchor asks of end-entity certificates."""
        return EndEntityRules(
            eku_required=self.eku_required, allow_any_eku=self.allow_any_eku, purposes=self.purposes
        )

    @property
    def policy_inputs(self) -> PolicyInputs:
        """What the anchor asks of certificate policies."""
        return PolicyInputs(
            initial=self.required_policies,
            explicit=self.explicit_policy
            or (self.profile is Profile.CLIENT and bool(self.required_policies)),
            inhibit_mapping=self.inhibit_policy_mapping,
            inhibit_any=self.inhibit_any_policy,
        )

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
        if settings.floor.rsa_bits < MINIMUM_RSA_BITS:
            raise TrustMaterialError(
                f"trust anchor `{settings.id}`: expected minimum_rsa_bits of {MINIMUM_RSA_BITS} or more, "
                f"found {settings.floor.rsa_bits}"
            )
        problem = find_cost_problem(facts)
        if not problem and facts.is_authority and settings.profile is Profile.CLIENT:
            problem = find_key_problem(facts, settings.floor)
        if problem:
            raise TrustMaterialError(f"trust anchor `{settings.id}` (`{facts.subject_text}`): {problem}")
        _require_limits(settings)
        return cls(settings=settings, facts=facts)

    @classmethod
    def from_der(cls, settings: AnchorSettings, der: bytes) -> "TrustAnchor":
        """Return an anchor for one certificate; raises as `of`, and for an unreadable certificate."""
        try:
            facts = read_certificate(der, any_serial=settings.profile is Profile.RFC5280)
        except CertificateSyntaxError as error:
            raise TrustMaterialError(f"trust anchor `{settings.id}`: {error}") from error
        return cls.of(settings, facts)

    @classmethod
    def from_pem(cls, settings: AnchorSettings, pem: bytes, *, source: str) -> "tuple[TrustAnchor, ...]":
        """Return one anchor for each certificate of a PEM file that has a pinned key, at least one.

        Args:
            settings: of each; where they pin keys, certificates of other keys are left out.
            pem: the file.
            source: what messages call the file.

        Raises:
            TrustMaterialError: the file is empty, a certificate in it cannot be an anchor, or a pinned key is
                not in it.

        """
        certificates = read_certificates_pem(pem, source=source)
        pins = settings.key_pins
        if pins is not None:
            certificates = tuple(facts for facts in certificates if facts.key_sha256 in pins)
            missing = sorted(pin.hex() for pin in pins - {facts.key_sha256 for facts in certificates})
            if missing:
                raise TrustMaterialError(
                    f"`{source}`: expected a certificate of the key {missing[0]}, found none"
                )
        return tuple(cls.of(settings, facts) for facts in certificates)

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


def _require_limits(settings: AnchorSettings) -> None:
    """Refuse a cross-certificate without the limits that make it one (semantics section 8)."""
    if not settings.has_its_limits:
        raise TrustMaterialError(
            f"cross-certificate `{settings.id}`: expected permitted names, domains and an end of trust"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndTrust:
    """The anchors that count on one front end, in the order of the configuration, ready for building paths.

    `by_certificate` gives the first anchor of a certificate (by its octets); `by_subject` the certificates of
    anchors by subject. `cross_certificates` are the octets of the cross-certificates of all front ends, and
    `never_between` the digests of their keys: where one does not count, it is not trusted without its limits either.
    """

    anchors: tuple[TrustAnchor, ...]
    by_certificate: Mapping[bytes, TrustAnchor]
    by_subject: Mapping[NameKey, tuple[CertificateFacts, ...]]
    cross_certificates: frozenset[bytes]
    never_between: frozenset[bytes]

    @classmethod
    def of(cls, anchors: Iterable[TrustAnchor], all_anchors: Iterable[TrustAnchor]) -> "FrontEndTrust":
        """Return the same anchors, indexed; `all_anchors` are those of all front ends."""
        listed = tuple(anchors)
        crossing = [one.facts for one in all_anchors if one.settings.is_cross_certificate]
        by_certificate: dict[bytes, TrustAnchor] = {}
        for anchor in listed:
            by_certificate.setdefault(anchor.der, anchor)
        return cls(
            anchors=listed,
            by_certificate=MappingProxyType(by_certificate),
            by_subject=CertificatePool.of(anchor.facts for anchor in listed).by_subject,
            cross_certificates=frozenset(facts.der for facts in crossing),
            never_between=frozenset(facts.key_sha256 for facts in crossing),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """All anchors and intermediates of a configuration, parsed once. Made by `TrustStore.of`.

    `pool` holds the intermediates, and what is proven of the signatures of all certificates here; `names` the subjects
    of all, as encoded, with what they say: nearly every certificate that comes names one of them as its issuer.
    `memory` is the one thing here that changes: it remembers how certificates of accepted paths read.
    """

    anchors: tuple[TrustAnchor, ...]
    intermediates: tuple[CertificateFacts, ...]
    by_der: Mapping[bytes, CertificateFacts] = field(repr=False, compare=False)
    pool: CertificatePool = field(repr=False, compare=False)
    names: Mapping[bytes, DistinguishedName] = field(repr=False, compare=False)
    profile: Profile
    memory: PathMemory = field(default_factory=PathMemory, repr=False, compare=False)
    _everywhere: FrontEndTrust = field(repr=False, compare=False)
    _by_front_end: Mapping[str, FrontEndTrust] = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        anchors: Iterable[TrustAnchor],
        intermediates: Iterable[CertificateFacts] = (),
        *,
        prove: bool = True,
    ) -> "TrustStore":
        """Return a store.

        Args:
            anchors: at least one.
            intermediates: what may complete paths.
            prove: whether to check all signatures between them now, so that no request has to. A store for one
                question, of certificates that a stranger chose, leaves that to the budgets of the question.

        Raises:
            TrustMaterialError: there is no anchor, one id has the same certificate twice, a key is too
                expensive to check signatures with, or the anchors differ in their profile.

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
        profile = listed[0].settings.profile
        if any(anchor.settings.profile is not profile for anchor in listed):
            raise TrustMaterialError("trust anchors of different profiles")
        limited = frozenset().union(*(anchor.settings.front_ends or () for anchor in listed))
        everything = (*pool, *(anchor.facts for anchor in listed))
        return cls(
            anchors=listed,
            intermediates=pool,
            by_der=MappingProxyType({facts.der: facts for facts in everything}),
            pool=CertificatePool.of(pool, prove_all(everything) if prove else None),
            names=MappingProxyType(_names_of(everything)),
            profile=profile,
            _everywhere=FrontEndTrust.of(
                (anchor for anchor in listed if anchor.settings.front_ends is None), listed
            ),
            _by_front_end=MappingProxyType(
                {
                    name: FrontEndTrust.of((one for one in listed if one.settings.counts_on(name)), listed)
                    for name in limited
                }
            ),
        )

    def for_front_end(self, front_end: str) -> FrontEndTrust:
        """Return the anchors that count on a front end; none is possible."""
        return self._by_front_end.get(front_end, self._everywhere)


def _names_of(certificates: Iterable[CertificateFacts]) -> dict[bytes, DistinguishedName]:
    """Return the subjects that can be compared, by their octets."""
    read = {facts.subject_der: read_distinguished_name(facts.subject_der) for facts in certificates}
    return {der: name for der, name in read.items() if name is not None}


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
