"""The certification path: from a presented certificate to a trust anchor, or the reason why there is none.

Implements RFC 5280 section 6.1 by `cryptography.x509.verification` (signatures, chaining of names as encoded,
dates, basicConstraints, path length, name constraints of mail, DNS and IP kind, critical extensions) and,
over what the engine ignores, `profile.py`. Not here: revocation (`revocation.py`), which names of the
certificate may find anybody.

Invariants:

* The end entity is what the front end says its client proved; the presented chain is an unordered pool of
  hints, cut to size before parsing, and can only complete a path that ends at an anchor of ours (threats T20,
  T24).
* `VerifiedCertificate` is made by `verify_path` alone.
* Reasons come from our own checks, never from the engine's error text. When several apply, the first in the
  order of `authsvc/reason.py` is given. Where several paths exist, the certificate is accepted if one of them
  is in order, and else the path that came nearest tells the reason.
* What our checks cannot explain, and the engine refuses, is `certificate_untrusted`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import FrontEndTrust, TrustAnchor, TrustStore
from authsvc.trust.certificate import LARGEST_CERTIFICATE, READ_ERRORS, CertificateFacts, read_certificate
from authsvc.trust.profile import (
    Finding,
    find_authority_problems,
    find_cost_problem,
    find_end_entity_problems,
    find_name_constraint_problems,
    find_policy_problems,
)
from directory_assistance.certificate_names import CertificateNames, read_certificate_names
from directory_assistance.der import SEQUENCE, read_element, read_elements
from directory_assistance.dn import DistinguishedName
from directory_assistance.errors import CertificateSyntaxError

__all__ = ["MOST_PRESENTED_CERTIFICATES", "PathRefusal", "VerifiedCertificate", "verify_path"]

MOST_PRESENTED_CERTIFICATES: Final = 10
"""Certificates of a presented chain, checked before parsing: real chains have one or two (threat T9)."""

_DEEPEST_PATH: Final = 8
"""Authorities between end entity and anchor, the engine's default: real paths have one or two."""

_MOST_SIGNATURES: Final = 64
"""Signature checks of one diagnosis: some milliseconds at most (threat T24)."""

_MOST_PATHS: Final = 32
"""Paths that one diagnosis looks at: one for each anchor of a name, and for each cross-certificate."""

_REASON_ORDER: Final = {reason: position for position, reason in enumerate(Reason)}


class _Seal:
    """What proves that a `VerifiedCertificate` was made here."""


_SEAL: Final = _Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCertificate:
    """Evidence that a certificate has a certification path to a trust anchor, and fits our client profile.

    `path` is leaf first, anchor last; a certificate that is itself pinned as an anchor is a path of one.
    `not_after` is the instant from which this evidence no longer holds: the earliest end of all elements of
    the path and of the trust in the anchor; no cache may outlive it. `expired_accepted` says that the
    certificate had expired and was accepted by the front end's grace. Not checked: revocation.
    """

    names: CertificateNames
    path: tuple[CertificateFacts, ...]
    anchor: TrustAnchor
    front_end: str
    not_after: datetime
    expired_accepted: bool
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to be made anywhere but in `verify_path`."""
        if seal is not _SEAL:
            raise AssertionError("a verified certificate is made by verify_path only")

    @property
    def anchor_id(self) -> str:
        """The id of the anchor that the path ends at (what `issued_by` means)."""
        return self.anchor.id


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRefusal:
    """Why a presented certificate is not accepted. `names` is None where the certificate cannot be read."""

    reason: Reason
    detail: str
    names: CertificateNames | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What one verification is about; dates are aware; `pool` never holds the end entity itself."""

    leaf: CertificateFacts
    names: CertificateNames
    pool: tuple[CertificateFacts, ...]
    trust: FrontEndTrust
    now: datetime
    clock_skew: timedelta
    accept_expired: timedelta


def verify_path(  # noqa: PLR0911, PLR0913 - one return for each way it can end; what it depends on is passed in
    presented: PresentedCertificate,
    store: TrustStore,
    *,
    front_end: str,
    now: datetime,
    clock_skew: timedelta,
    accept_expired: timedelta,
) -> VerifiedCertificate | PathRefusal:
    """Verify a presented certificate for one front end.

    1. Cut to size and read the end entity and the hints.
    2. Tell whether, by names alone, an anchor can be reached; no signature is checked for strangers (threat
       T78).
    3. Let the engine find a path at `now`, and check it against the profile.
    4. If that fails: look at every path that the signatures allow, within budgets, for one that is in order,
       or for the reason.

    Args:
        presented: the end entity, and hints.
        store: anchors and intermediates.
        front_end: name of the front end, `api` for the API listener; chooses the anchors.
        now: aware; dates are inclusive.
        clock_skew: how far each date may be missed.
        accept_expired: how long after its end the end-entity certificate (never an issuer) is still accepted.

    Returns:
        The evidence, or a refusal with one of the reasons `certificate_unreadable`, `certificate_untrusted`,
        `certificate_weak`, `certificate_usage`, `certificate_policy`, `certificate_not_yet_valid`,
        `certificate_expired`. Never raises, whatever was presented; nothing is accepted by default.

    """
    # 1
    problem = _find_size_problem(presented)
    if problem:
        return PathRefusal(reason=Reason.CERTIFICATE_UNREADABLE, detail=problem, names=None)
    try:
        names = read_certificate_names(presented.der)
        leaf = read_certificate(presented.der)
    except CertificateSyntaxError as error:
        return PathRefusal(reason=Reason.CERTIFICATE_UNREADABLE, detail=str(error), names=None)
    question = _Question(
        leaf=leaf,
        names=names,
        pool=_read_pool(presented, store),
        trust=store.for_front_end(front_end),
        now=now,
        clock_skew=clock_skew,
        accept_expired=accept_expired,
    )
    # 2
    anchors = question.trust.store
    if anchors is None or not _reaches_anchor_by_name(question):
        detail = _explain_untrusted(question, store, front_end)
        return PathRefusal(reason=Reason.CERTIFICATE_UNTRUSTED, detail=detail, names=names)
    # 3
    found = _find_path(question, anchors, question.pool, now)
    if found is not None:
        anchor = question.trust.by_certificate[found[-1].certificate]
        if not _find_path_problems(question, found, anchor):
            return _evidence(question, found, anchor, front_end)
    # 4
    nearest: Finding | None = None
    for path, anchor in _signed_paths(question):
        findings = _find_path_problems(question, path, anchor)
        if not findings and _is_confirmed(question, path, anchor):
            return _evidence(question, path, anchor, front_end)
        first = min(findings or [_unexplained(path)], key=lambda finding: _REASON_ORDER[finding.reason])
        if nearest is None or _REASON_ORDER[first.reason] > _REASON_ORDER[nearest.reason]:
            nearest = first
    if nearest is not None:
        return PathRefusal(reason=nearest.reason, detail=nearest.detail, names=names)
    detail = _explain_untrusted(question, store, front_end)
    return PathRefusal(reason=Reason.CERTIFICATE_UNTRUSTED, detail=detail, names=names)


def _find_size_problem(presented: PresentedCertificate) -> str:
    if len(presented.chain) > MOST_PRESENTED_CERTIFICATES:
        return (
            f"expected at most {MOST_PRESENTED_CERTIFICATES} chain certificates, found {len(presented.chain)}"
        )
    largest = max(map(len, (presented.der, *presented.chain)))
    if largest > LARGEST_CERTIFICATE:
        return f"expected certificates of at most {LARGEST_CERTIFICATE} octets, found {largest}"
    return ""


def _read_pool(presented: PresentedCertificate, store: TrustStore) -> tuple[CertificateFacts, ...]:
    """Return the hints that may complete a path: our own intermediates, then the presented ones by digest.

    The order is ours, so that the client's order decides nothing. A hint that cannot be read or whose key is
    too expensive to check is left out: no path can need it that would be accepted.
    """
    pool = {facts.der: facts for facts in store.intermediates}
    hints = []
    for der in presented.chain:
        try:
            facts = store.by_der.get(der) or read_certificate(der)
        except CertificateSyntaxError:
            continue
        if not find_cost_problem(facts):
            hints.append(facts)
    pool.update((facts.der, facts) for facts in sorted(hints, key=lambda facts: facts.sha256))
    pool.pop(presented.der, None)
    return tuple(pool.values())


def _reaches_anchor_by_name(question: _Question) -> bool:
    if question.leaf.certificate in question.trust.by_certificate:
        return True
    reached: set[bytes] = set()
    wanted = [question.leaf.issuer_der]
    while wanted:
        name = wanted.pop()
        if name in question.trust.subjects:
            return True
        if name not in reached:
            reached.add(name)
            wanted.extend(facts.issuer_der for facts in question.pool if facts.subject_der == name)
    return False


class _PolicyMappings(x509.ExtensionType):
    """The extension type that `cryptography` has no class for; only its identifier is used."""

    oid = x509.ObjectIdentifier("2.5.29.33")


def _end_entity_policy() -> ExtensionPolicy:
    """What the engine itself demands of the end entity: everything written out.

    NOTE: a rule that is set here replaces the engine's own. So extended key usage, key usage and criticality
    are `profile.py`'s: the engine would demand a SAN and an AKI, which certificates that we meet every day do
    not have, and cannot know that `eku: optional` accepts none.
    """
    may = Criticality.AGNOSTIC
    return (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.BasicConstraints, may, None)  # the engine still refuses CA certificates
        .may_be_present(x509.AuthorityInformationAccess, may, None)
        .may_be_present(x509.AuthorityKeyIdentifier, may, None)
        .may_be_present(x509.SubjectKeyIdentifier, may, None)
        .may_be_present(x509.KeyUsage, may, None)
        .may_be_present(x509.ExtendedKeyUsage, may, None)
        .may_be_present(x509.SubjectAlternativeName, may, None)
        .may_be_present(x509.CertificatePolicies, may, None)
        .may_be_present(x509.PolicyConstraints, may, None)
        .may_be_present(x509.InhibitAnyPolicy, may, None)
        .may_be_present(_PolicyMappings, may, None)
    )


def _authority_policy() -> ExtensionPolicy:
    """What the engine itself demands of issuers; see `_end_entity_policy`.

    basicConstraints must be there and say CA, but need not be critical: RFC 5280 section 6.1.4 (k) asks no
    more of a validator. Name constraints keep the engine's own rule.
    """
    may = Criticality.AGNOSTIC
    return (
        ExtensionPolicy.webpki_defaults_ca()
        .require_present(x509.BasicConstraints, may, None)
        .may_be_present(x509.AuthorityInformationAccess, may, None)
        .may_be_present(x509.AuthorityKeyIdentifier, may, None)
        .may_be_present(x509.SubjectKeyIdentifier, may, None)
        .may_be_present(x509.KeyUsage, may, None)
        .may_be_present(x509.ExtendedKeyUsage, may, None)
        .may_be_present(x509.SubjectAlternativeName, may, None)
        .may_be_present(x509.CertificatePolicies, may, None)
        .may_be_present(x509.PolicyConstraints, may, None)
        .may_be_present(x509.InhibitAnyPolicy, may, None)
        .may_be_present(_PolicyMappings, may, None)
    )


_END_ENTITY_POLICY: Final = _end_entity_policy()
_AUTHORITY_POLICY: Final = _authority_policy()


def _find_path(
    question: _Question, anchors: Store, pool: Iterable[CertificateFacts], at: datetime
) -> tuple[CertificateFacts, ...] | None:
    """Have the engine find a path from the end entity to one of the anchors, valid at an instant."""
    hints = {facts.certificate: facts for facts in pool}
    verifier = (
        PolicyBuilder()
        .store(anchors)
        .time(at)
        .max_chain_depth(_DEEPEST_PATH)
        .extension_policies(ca_policy=_AUTHORITY_POLICY, ee_policy=_END_ENTITY_POLICY)
        .build_client_verifier()
    )
    try:
        chain = verifier.verify(question.leaf.certificate, list(hints)).chain
    except VerificationError:
        return None
    known = hints | {one.certificate: one.facts for one in question.trust.anchors}
    return (question.leaf, *(known[element] for element in chain[1:]))


def _find_path_problems(
    question: _Question, path: Sequence[CertificateFacts], anchor: TrustAnchor
) -> list[Finding]:
    """Return everything that our own checks find wrong with a path whose signatures hold."""
    leaf, authorities = path[0], path[1:]
    findings = find_end_entity_problems(
        leaf,
        minimum_rsa_bits=anchor.settings.minimum_rsa_bits,
        eku_required=anchor.settings.eku_required,
        allow_any_eku=anchor.settings.allow_any_eku,
        is_anchor=not authorities,
    )
    for below, authority in enumerate(authorities):
        findings += find_authority_problems(
            authority,
            authorities_below=below,
            minimum_rsa_bits=anchor.settings.minimum_rsa_bits,
            is_anchor=below == len(authorities) - 1,
        )
    findings += find_name_constraint_problems(path)
    findings += find_policy_problems(path, required=anchor.settings.required_policies)
    findings += _find_anchor_problems(question, anchor)
    return findings + _find_date_problems(question, path)


def _find_anchor_problems(question: _Question, anchor: TrustAnchor) -> list[Finding]:
    findings = []
    if anchor.settings.not_after is not None and question.now >= anchor.settings.not_after:
        ended = f"trust in anchor `{anchor.id}` ended at {anchor.settings.not_after.isoformat()}"
        findings.append(Finding(reason=Reason.CERTIFICATE_UNTRUSTED, detail=ended))
    if anchor.settings.permitted_names is not None:
        subject = question.names.subject
        usable = not question.names.unusable
        if not (usable and any(_ends_in(subject, suffix) for suffix in anchor.settings.permitted_names)):
            outside = (
                f"anchor `{anchor.id}` is not trusted for the name `{question.leaf.subject_text}`: "
                "it ends in none of its permitted names"
            )
            findings.append(Finding(reason=Reason.CERTIFICATE_UNTRUSTED, detail=outside))
    return findings


def _ends_in(name: DistinguishedName, suffix: DistinguishedName) -> bool:
    """Whether a name (leaf first) ends in the RDN sequence of another; everything ends in the empty one."""
    count = len(suffix.rdns)
    return (
        count <= len(name.rdns)
        and DistinguishedName(rdns=name.rdns[len(name.rdns) - count :]).key == suffix.key
    )


def _allowance(question: _Question, position: int) -> timedelta:
    """Return how long after its end an element still counts: the grace is the end entity's alone."""
    return question.clock_skew + (question.accept_expired if position == 0 else timedelta(0))


def _find_date_problems(question: _Question, path: Sequence[CertificateFacts]) -> list[Finding]:
    findings = []
    for position, facts in enumerate(path):
        which = "certificate" if position == 0 else "issuer"
        if question.now + question.clock_skew < facts.not_before:
            findings.append(
                Finding(
                    reason=Reason.CERTIFICATE_NOT_YET_VALID,
                    detail=f"{which} `{facts.subject_text}` is valid from {facts.not_before.isoformat()}, "
                    f"now is {question.now.isoformat()}",
                )
            )
        if question.now > facts.not_after + _allowance(question, position):
            findings.append(
                Finding(
                    reason=Reason.CERTIFICATE_EXPIRED,
                    detail=f"{which} `{facts.subject_text}` expired at {facts.not_after.isoformat()}, "
                    f"now is {question.now.isoformat()}",
                )
            )
    return findings


def _evidence(
    question: _Question, path: tuple[CertificateFacts, ...], anchor: TrustAnchor, front_end: str
) -> VerifiedCertificate:
    ends = [
        facts.not_after
        if question.now <= facts.not_after
        else facts.not_after + _allowance(question, position)
        for position, facts in enumerate(path)
    ]
    if anchor.settings.not_after is not None:
        ends.append(anchor.settings.not_after)
    return VerifiedCertificate(
        names=question.names,
        path=path,
        anchor=anchor,
        front_end=front_end,
        not_after=min(ends),
        expired_accepted=question.now > path[0].not_after + question.clock_skew,
        seal=_SEAL,
    )


def _signed_paths(question: _Question) -> Iterator[tuple[tuple[CertificateFacts, ...], TrustAnchor]]:
    """Yield every path whose names chain and whose signatures hold, whatever else is wrong with it.

    Within the budgets; depth first; anchors before hints. No name and key stands in a path twice (no cycles).
    An anchor is never in the middle of a path: what goes through it ends there.
    """
    signatures = _SignatureChecks()
    found = 0
    for anchor in question.trust.anchors:
        if anchor.der == question.leaf.der:
            found += 1
            yield (question.leaf,), anchor
    unfinished: list[tuple[CertificateFacts, ...]] = [(question.leaf,)]
    while unfinished:
        path = unfinished.pop()
        for anchor in question.trust.anchors:
            if signatures.hold(path[-1], anchor.facts):
                if found == _MOST_PATHS:
                    return
                found += 1
                yield (*path, anchor.facts), anchor
        if len(path) <= _DEEPEST_PATH:
            used = {(facts.subject_der, facts.key_sha256) for facts in path[1:]}
            unfinished.extend(
                (*path, facts)
                for facts in reversed(question.pool)
                if (facts.subject_der, facts.key_sha256) not in used
                and facts.certificate not in question.trust.by_certificate
                and signatures.hold(path[-1], facts)
            )


class _SignatureChecks:
    """Checks who signed what, each pair once, and at most `_MOST_SIGNATURES` pairs; beyond, nothing holds."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], bool] = {}

    def hold(self, subject: CertificateFacts, issuer: CertificateFacts) -> bool:
        """Whether the issuer's name is the one named in the certificate, and its key made the signature."""
        if subject.issuer_der != issuer.subject_der:
            return False
        pair = (subject.der, issuer.key_sha256)
        if pair not in self._known:
            if len(self._known) >= _MOST_SIGNATURES:
                return False
            self._known[pair] = _is_signed_by(subject, issuer)
        return self._known[pair]


def _is_signed_by(subject: CertificateFacts, issuer: CertificateFacts) -> bool:
    try:
        subject.certificate.verify_directly_issued_by(issuer.certificate)
    except InvalidSignature:
        return False
    except READ_ERRORS:
        return _is_weakly_signed_by(subject, issuer)
    return True


def _is_weakly_signed_by(subject: CertificateFacts, issuer: CertificateFacts) -> bool:
    """Whether the issuer made the signature with an algorithm that `cryptography` refuses, such as SHA-1.

    Only tells "weak" from "untrusted": the profile refuses every path with such a signature.
    """
    signed = read_elements(read_element(subject.der, SEQUENCE).content)[0].encoded
    signature = subject.certificate.signature
    try:
        key = issuer.certificate.public_key()
        algorithm = subject.certificate.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(algorithm))
            return True
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
            return True
    except (InvalidSignature, *READ_ERRORS):
        return False
    return False


def _is_confirmed(question: _Question, path: Sequence[CertificateFacts], anchor: TrustAnchor) -> bool:
    """Whether the engine accepts exactly this path, at the instant nearest to now when all of it is valid.

    An instant other than now matters for the clock skew and for the grace after expiry, which the engine does
    not know; dates have been checked before. Elements that were never valid together cannot be confirmed.
    """
    begin = max(facts.not_before for facts in path)
    end = min(facts.not_after for facts in path)
    if begin > end:
        return False
    at = min(max(question.now, begin), end)
    return _find_path(question, Store([anchor.certificate]), path[1:-1], at) == path


def _unexplained(path: Sequence[CertificateFacts]) -> Finding:
    """Return the finding for a path that the engine refuses for something that our own checks do not tell."""
    constrained = [facts.subject_text for facts in path[1:] if facts.name_constraints is not None]
    hint = f", name constraints of `{constrained[0]}` among its checks" if constrained else ""
    return Finding(
        reason=Reason.CERTIFICATE_UNTRUSTED,
        detail=f"the certification path to `{path[-1].subject_text}` is not valid under RFC 5280{hint}",
    )


def _explain_untrusted(question: _Question, store: TrustStore, front_end: str) -> str:
    """Say why no path leads to an anchor: intermediate missing, root unknown, other key, other front end."""
    leaf = question.leaf
    if not question.trust.anchors:
        return f"no trust anchor counts on front end `{front_end}`"
    if leaf.issuer_is_subject:
        return f"`{leaf.subject_text}` is self-signed, and is no trust anchor on front end `{front_end}`"
    climbed = _climb(question)
    top = climbed[-1]
    named = [anchor for anchor in store.anchors if anchor.facts.subject_der == top.issuer_der]
    here = [anchor for anchor in named if anchor.settings.counts_on(front_end)]
    if here:
        return (
            f"`{top.subject_text}` names issuer `{top.issuer_text}` but is not signed by the key of "
            f"trust anchor `{here[0].id}` of that name"
        )
    if named:
        return f"trust anchor `{named[0].id}` does not count on front end `{front_end}`"
    return _explain_unknown_issuer(question, climbed)


def _climb(question: _Question) -> list[CertificateFacts]:
    """Return the end entity and the issuers above it, as far as they are known, one for each step."""
    signatures = _SignatureChecks()
    climbed = [question.leaf]
    while True:
        issuer = next(
            (one for one in question.pool if one not in climbed and signatures.hold(climbed[-1], one)), None
        )
        if issuer is None:
            return climbed
        climbed.append(issuer)


def _explain_unknown_issuer(question: _Question, climbed: Sequence[CertificateFacts]) -> str:
    top = climbed[-1]
    if top.issuer_is_subject:
        return f"the path ends at root `{top.subject_text}`, which is no trust anchor"
    if any(facts.subject_der == top.issuer_der and facts not in climbed for facts in question.pool):
        return (
            f"`{top.subject_text}` names issuer `{top.issuer_text}` but is not signed by the key of "
            "the known certificate of that name"
        )
    return (
        f"issuer `{top.issuer_text}` of `{top.subject_text}` is neither a trust anchor "
        "nor a known intermediate: either an intermediate certificate is missing, or its root is not trusted"
    )
