"""The certification path: from a presented certificate to a trust anchor, or the reason why there is none.

Implements RFC 5280 section 6.1 over paths that `path_building.py` proposes: dates here, authorities and extensions
in `profile.py`, names in `name_constraints.py`, policies in `policies.py`. Not here: revocation (`revocation.py`),
which names of the certificate may find anybody.

Invariants:

* The end entity is what the front end says its client proved; the presented chain is an unordered pool of
  hints, cut to size before parsing, and can only complete a path that ends at an anchor of ours (threats T20,
  T24).
* `VerifiedCertificate` is made by `verify_path` alone.
* Where several paths exist, the certificate is accepted if one of them is in order, and else the path that came
  nearest tells the reason. When several reasons apply to it, the first in the order of `authsvc/reason.py` is given.
* The constraints of an anchor's own certificate hold as those of any authority do (RFC 5937), its dates too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import FrontEndTrust, Profile, TrustAnchor, TrustStore
from authsvc.trust.certificate import (
    LARGEST_CERTIFICATE,
    CertificateFacts,
    read_facts_of_frame,
)
from authsvc.trust.general_names import read_name_key
from authsvc.trust.name_constraints import NameConstraintChecks
from authsvc.trust.path_building import CertificatePool, SignatureChecks, build_paths
from authsvc.trust.policies import PolicyChecks
from authsvc.trust.profile import (
    Finding,
    find_authority_problems,
    find_cost_problem,
    find_critical_problems,
    find_end_entity_problems,
    find_issuer_profile_problems,
    find_signer_problems,
    narrow_purposes,
)
from directory_assistance.certificate_frame import read_certificate_frame
from directory_assistance.certificate_names import CertificateNames, read_names_of_frame
from directory_assistance.der import DerSyntaxError
from directory_assistance.dn import DistinguishedName, NameKey
from directory_assistance.errors import CertificateSyntaxError

__all__ = [
    "MOST_PRESENTED_CERTIFICATES",
    "PathRefusal",
    "VerifiedCertificate",
    "find_signer_paths",
    "verify_path",
]

MOST_PRESENTED_CERTIFICATES: Final = 10
"""Certificates of a presented chain, checked before parsing: real chains have one or two (threat T9)."""

_LARGEST_CHAIN: Final = 4 * LARGEST_CERTIFICATE
"""Octets of everything presented together: reading is what costs most of a large certificate (threat T24)."""

_MOST_PATHS: Final = 32
"""Paths that are looked at: one for each anchor of a name, and for each cross-certificate (threat T24)."""

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
    certificate had expired and was accepted by the front end's grace. `pool` is everything that was at hand to
    build paths from, the middle of this one included, `never_between` what must not stand in the middle of one.
    Not checked: revocation.
    """

    names: CertificateNames
    path: tuple[CertificateFacts, ...]
    anchor: TrustAnchor
    front_end: str
    not_after: datetime
    expired_accepted: bool
    pool: CertificatePool = field(default_factory=CertificatePool, repr=False, compare=False)
    never_between: frozenset[bytes] = field(default=frozenset(), repr=False, compare=False)
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
    """Why a presented certificate is not accepted. `names` is None where the certificate cannot be read.

    `path`: the path that came nearest, leaf first, which `reason` and `detail` are about; empty where there is none.
    """

    reason: Reason
    detail: str
    names: CertificateNames | None
    path: tuple[CertificateFacts, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What one verification is about; dates are aware; `pool` never holds the end entity itself."""

    leaf: CertificateFacts
    names: CertificateNames
    pool: CertificatePool
    trust: FrontEndTrust
    now: datetime
    clock_skew: timedelta
    accept_expired: timedelta
    checks: SignatureChecks
    name_checks: NameConstraintChecks
    policy_checks: PolicyChecks


def verify_path(  # noqa: PLR0913 - what it depends on is passed in
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
    3. Look at every path that the signatures allow, within budgets, for one that is in order, or for the reason.

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
    any_serial = store.profile is Profile.RFC5280
    try:
        names, leaf = _read_end_entity(presented.der, store, any_serial=any_serial)
    except CertificateSyntaxError as error:
        return PathRefusal(reason=Reason.CERTIFICATE_UNREADABLE, detail=str(error), names=None)
    question = _Question(
        leaf=leaf,
        names=names,
        pool=_read_pool(presented, leaf, store, any_serial=any_serial),
        trust=store.for_front_end(front_end),
        now=now,
        clock_skew=clock_skew,
        accept_expired=accept_expired,
        checks=SignatureChecks(store.pool.proven, store.memory),
        name_checks=NameConstraintChecks(),
        policy_checks=PolicyChecks(),
    )
    # 2
    nearest: Finding | None = None
    nearest_path: tuple[CertificateFacts, ...] = ()
    if _reaches_anchor_by_name(question):
        # 3
        for path, anchor in islice(_find_paths(question), _MOST_PATHS):
            findings = _find_path_problems(question, path, anchor)
            if not findings:
                if store.profile is Profile.CLIENT:
                    store.memory.keep(names, path, configured=store.by_der)
                return _evidence(question, path, anchor, front_end)
            first = min(findings, key=lambda finding: _REASON_ORDER[finding.reason])
            if nearest is None or _REASON_ORDER[first.reason] > _REASON_ORDER[nearest.reason]:
                nearest, nearest_path = first, path
    if nearest is not None:
        return PathRefusal(reason=nearest.reason, detail=nearest.detail, names=names, path=nearest_path)
    detail = _explain_untrusted(question, store, front_end)
    return PathRefusal(reason=Reason.CERTIFICATE_UNTRUSTED, detail=detail, names=names)


def find_signer_paths(
    verified: VerifiedCertificate, signer: NameKey, *, now: datetime
) -> Iterator[tuple[CertificateFacts, ...]]:
    """Yield the paths of whoever may sign revocation lists under a name, to the anchor of a verified path.

    RFC 5280 section 6.3.3 (f): the path of a list's issuer must end at the very anchor of the certificate's own.
    The signer need not be an authority itself; everything above it is one, and all are valid now.

    Args:
        verified: the certificate whose revocation is asked about; its path and pool are where signers come from.
        signer: the name that a list has as its issuer.
        now: aware.

    Yields:
        Paths, signer first, anchor last; the anchor alone where it is the signer. Not checked: who signed which
        list, key usage cRLSign, revocation.

    """
    anchor = verified.anchor
    checks = SignatureChecks(verified.pool.proven)
    constraints = NameConstraintChecks()
    rules = anchor.settings
    if anchor.facts.subject_key == signer:
        yield (anchor.facts,)
    for candidate in verified.pool.named(signer):
        if candidate.key_sha256 in verified.never_between:
            continue
        found = build_paths(
            candidate,
            anchors={anchor.facts.subject_key: (anchor.facts,)},
            pool=verified.pool,
            never_between=verified.never_between,
            checks=checks,
        )
        for path in islice(found, _MOST_PATHS):
            problems = [
                one for position in range(1, len(path)) for one in find_authority_problems(path, position)
            ]
            for position, facts in enumerate(path):
                problems += find_critical_problems(facts)
                if rules.profile is Profile.CLIENT:
                    problems += find_signer_problems(
                        facts, floor=rules.floor, is_anchor=position == len(path) - 1
                    )
            in_time = all(facts.not_before <= now <= facts.not_after for facts in path)
            if in_time and not problems and not constraints.find_problem(path):
                yield path


def _read_end_entity(
    der: bytes, store: TrustStore, *, any_serial: bool
) -> tuple[CertificateNames, CertificateFacts]:
    """Read names and facts of one certificate, cut once.

    Raises:
        CertificateSyntaxError: either cannot be read.

    """
    remembered = store.memory.find_end_entity(der)
    if remembered is not None:
        return remembered
    try:
        frame = read_certificate_frame(der, any_serial=any_serial)
    except DerSyntaxError as error:
        raise CertificateSyntaxError(f"certificate is not DER as RFC 5280 has it: {error}") from error
    issuer = store.names.get(frame.issuer.encoded)
    names = read_names_of_frame(frame, issuer=issuer)
    # An unusable name has replacement characters in it: only the certificate's own octets tell it apart.
    keys = None if names.unusable else (names.subject.key, names.issuer.key)
    facts = read_facts_of_frame(frame, names=keys, issuer_is_read=issuer is not None, any_serial=any_serial)
    return names, facts


def _find_size_problem(presented: PresentedCertificate) -> str:
    if len(presented.chain) > MOST_PRESENTED_CERTIFICATES:
        return (
            f"expected at most {MOST_PRESENTED_CERTIFICATES} chain certificates, found {len(presented.chain)}"
        )
    largest = max(map(len, (presented.der, *presented.chain)))
    if largest > LARGEST_CERTIFICATE:
        return f"expected certificates of at most {LARGEST_CERTIFICATE} octets, found {largest}"
    together = sum(map(len, (presented.der, *presented.chain)))
    if together > _LARGEST_CHAIN:
        return f"expected at most {_LARGEST_CHAIN} octets of certificates together, found {together}"
    return ""


def _read_pool(
    presented: PresentedCertificate, leaf: CertificateFacts, store: TrustStore, *, any_serial: bool
) -> CertificatePool:
    """Return the hints that may complete a path: our own intermediates, then the presented ones by digest.

    The order is ours, so that the client's order decides nothing. A hint that cannot be read or whose key is
    too expensive to check is left out: no path can need it that would be accepted.
    """
    # A chain repeats each name once, and its root's is ours: making keys of names is a third of reading a hint.
    keys = {leaf.subject_der: leaf.subject_key, leaf.issuer_der: leaf.issuer_key}
    hints = []
    for der in presented.chain:
        if der in store.by_der or der == presented.der:
            continue
        try:
            facts = store.memory.find_hint(der) or _read_hint(der, keys, store, any_serial=any_serial)
        except (DerSyntaxError, CertificateSyntaxError):
            continue
        if not find_cost_problem(facts):
            hints.append(facts)
    return store.pool.with_hints(sorted(hints, key=lambda facts: facts.sha256))


def _read_hint(
    der: bytes, keys: dict[bytes, NameKey], store: TrustStore, *, any_serial: bool
) -> CertificateFacts:
    frame = read_certificate_frame(der, any_serial=any_serial)
    subject, issuer = frame.subject.encoded, frame.issuer.encoded
    for name in (subject, issuer):
        if name not in keys:
            known = store.names.get(name)
            keys[name] = read_name_key(name) if known is None else known.key
    return read_facts_of_frame(
        frame,
        names=(keys[subject], keys[issuer]),
        issuer_is_read=issuer in store.names,
        any_serial=any_serial,
    )


def _reaches_anchor_by_name(question: _Question) -> bool:
    if question.leaf.der in question.trust.by_certificate:
        return True
    reached: set[NameKey] = set()
    wanted = [question.leaf.issuer_key]
    while wanted:
        name = wanted.pop()
        if name in question.trust.by_subject:
            return True
        if name not in reached:
            reached.add(name)
            wanted.extend(facts.issuer_key for facts in question.pool.named(name))
    return False


def _find_paths(question: _Question) -> Iterator[tuple[tuple[CertificateFacts, ...], TrustAnchor]]:
    """Yield every path with each anchor that it ends at: one certificate may stand under several ids.

    A leaf that is pinned by a cross-certificate has no other path, even if its issuer is trusted too (semantics
    section 8).
    """
    leaf, trust = question.leaf, question.trust
    for anchor in trust.anchors:
        if anchor.der == leaf.der:
            yield (leaf,), anchor
    if leaf.der in trust.cross_certificates:
        return
    paths = build_paths(
        leaf,
        anchors=trust.by_subject,
        pool=question.pool,
        never_between=trust.never_between,
        checks=question.checks,
    )
    for path in paths:
        for anchor in trust.anchors:
            if anchor.der == path[-1].der:
                yield path, anchor


def _find_path_problems(
    question: _Question, path: tuple[CertificateFacts, ...], anchor: TrustAnchor
) -> list[Finding]:
    """Return everything that is wrong with a path whose signatures hold."""
    settings = anchor.settings
    last = len(path) - 1
    rules = settings.end_entity_rules
    findings: list[Finding] = []
    for position, facts in enumerate(path):
        findings += find_critical_problems(facts)
        if position > 0:
            findings += find_authority_problems(path, position)
        if settings.profile is Profile.CLIENT:
            check = find_issuer_profile_problems if position > 0 else find_end_entity_problems
            findings += check(facts, floor=settings.floor, rules=rules, is_anchor=position == last)
            rules = narrow_purposes(rules, facts)
    problem = question.name_checks.find_problem(path)
    if problem:
        findings.append(Finding(reason=Reason.CERTIFICATE_UNTRUSTED, detail=problem))
    problem = question.policy_checks.find_problem(path, settings.policy_inputs)
    if problem:
        findings.append(Finding(reason=Reason.CERTIFICATE_POLICY, detail=problem))
    return findings + _find_anchor_problems(question, anchor) + _find_date_problems(question, path)


def _find_anchor_problems(question: _Question, anchor: TrustAnchor) -> list[Finding]:
    findings = []
    if anchor.settings.not_before is not None and question.now < anchor.settings.not_before:
        begins = f"trust in anchor `{anchor.id}` begins at {anchor.settings.not_before.isoformat()}"
        findings.append(Finding(reason=Reason.CERTIFICATE_UNTRUSTED, detail=begins))
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
        # On this side of the comparison, because a certificate without an end has the last instant there is.
        if question.now - _allowance(question, position) > facts.not_after:
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
        expired_accepted=question.now - question.clock_skew > path[0].not_after,
        pool=question.pool,
        never_between=question.trust.never_between,
        seal=_SEAL,
    )


def _explain_untrusted(question: _Question, store: TrustStore, front_end: str) -> str:
    """Say why no path leads to an anchor: intermediate missing, root unknown, other key, other front end."""
    return _explain_at_once(question, store, front_end) or _explain_by_climbing(question, store, front_end)


def _explain_at_once(question: _Question, store: TrustStore, front_end: str) -> str:
    """Say what can be said without looking at issuers, or return an empty text."""
    leaf = question.leaf
    if not question.trust.anchors:
        return f"no trust anchor counts on front end `{front_end}`"
    pinned = [anchor for anchor in store.anchors if anchor.der == leaf.der]
    if pinned:
        return f"trust anchor `{pinned[0].id}` does not count on front end `{front_end}`"
    if leaf.issuer_is_subject:
        return f"`{leaf.subject_text}` is self-signed, and is no trust anchor on front end `{front_end}`"
    if question.checks.exhausted:
        return (
            f"no path from `{leaf.subject_text}` to a trust anchor was found among the first signatures: "
            "too many certificates have the names of its issuers"
        )
    return ""


def _explain_by_climbing(question: _Question, store: TrustStore, front_end: str) -> str:
    climbed = _climb(question)
    top = climbed[-1]
    named = [anchor for anchor in store.anchors if anchor.facts.subject_key == top.issuer_key]
    here = [anchor for anchor in named if anchor.settings.counts_on(front_end)]
    if here:
        return (
            f"`{top.subject_text}` names issuer `{top.issuer_text}` but is not signed by the key of "
            f"trust anchor `{here[0].id}` of that name"
        )
    if named:
        return f"trust anchor `{named[0].id}` does not count on front end `{front_end}`"
    if any(facts.key_sha256 in question.trust.never_between for facts in question.pool.named(top.issuer_key)):
        return (
            f"issuer `{top.issuer_text}` of `{top.subject_text}` has the key of a cross-certificate, "
            "and no path goes through one to another trust anchor"
        )
    return _explain_unknown_issuer(question, climbed)


def _climb(question: _Question) -> list[CertificateFacts]:
    """Return the end entity and the issuers above it, as far as they are known, one for each step."""
    climbed = [question.leaf]
    while True:
        above = question.pool.named(climbed[-1].issuer_key)
        issuer = next(
            (
                one
                for one in above
                if one not in climbed
                and one.key_sha256 not in question.trust.never_between
                and question.checks.hold(climbed[-1], one)
            ),
            None,
        )
        if issuer is None:
            return climbed
        climbed.append(issuer)


def _explain_unknown_issuer(question: _Question, climbed: Sequence[CertificateFacts]) -> str:
    top = climbed[-1]
    if top.issuer_is_subject:
        return f"the path ends at root `{top.subject_text}`, which is no trust anchor"
    if any(facts not in climbed for facts in question.pool.named(top.issuer_key)):
        return (
            f"`{top.subject_text}` names issuer `{top.issuer_text}` but is not signed by the key of "
            "the known certificate of that name"
        )
    return (
        f"issuer `{top.issuer_text}` of `{top.subject_text}` is neither a trust anchor "
        "nor a known intermediate: either an intermediate certificate is missing, or its root is not trusted"
    )
