"""One certificate against trust material at hand: certification path and revocation, without a service.

Lives here: what `authsvc verify` and `authsvc trust show` ask, and the answer element by element, so that it can be
drawn. Not here: whether a path is in order (`authsvc/trust/path.py`), what lists say (`authsvc/trust/revocation.py`),
options and printing (`authsvc/cli/`).

Invariants:

* The answer is that of `verify_path` and `check_revocation`, which `serve` asks too; what is added here explains it and
  can change nothing.
* Whatever an element's problem, it stands on one element: the one that the refusal names, else the certificate.
* Nothing is fetched. A list that cannot be used is a source without an answer, as in `serve`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from authsvc.presented.body import read_certificate_file
from authsvc.presented.presentation import PresentedCertificate, UnreadableCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import TrustMaterialError, TrustStore
from authsvc.trust.certificate import READ_ERRORS, CertificateFacts, read_certificate
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.path import (
    MOST_PRESENTED_CERTIFICATES,
    PathRefusal,
    VerifiedCertificate,
    verify_path,
)
from authsvc.trust.profile import find_cost_problem
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationOutcome,
    RevocationRefusal,
    RevocationSnapshot,
    RevocationUndecided,
    SourceProblem,
    check_revocation,
)
from authsvc.trust.signatures import is_signed_with
from directory_assistance.errors import CertificateSyntaxError

__all__ = ["PathAnswer", "PathElement", "Role", "check_file", "check_path", "read_lists"]

_DEEPEST_CLIMB: Final = 10
"""Elements of a drawing: more than any path that is accepted has."""

_MOST_SIGNATURES: Final = 64
"""Signature checks of one drawing, for pools that somebody made to be expensive (threat T24)."""


class Role(StrEnum):
    """What an element is to its path."""

    CERTIFICATE = "certificate"
    INTERMEDIATE = "intermediate"
    ANCHOR = "anchor"
    UNKNOWN_ROOT = "unknown root"
    """A self-signed certificate that is no trust anchor."""

    MISSING = "missing"
    """An issuer of which no certificate is at hand: an intermediate, or a root that nobody trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathElement:
    """One element: its name, what it is, what is wrong with it (empty for nothing), and its certificate if at hand."""

    name: str
    role: Role
    problem: str = ""
    facts: CertificateFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAnswer:
    """The answer and its path. `elements`: leaf first; empty where the certificate cannot be read, or nobody asked.

    `detail` is empty when allowed. `anchor_id`: of the anchor that the path ends at, empty where it ends at none.
    `revocation` is None where nobody asked, because there is no path.
    """

    reason: Reason
    detail: str
    elements: tuple[PathElement, ...]
    anchor_id: str = ""
    revocation: RevocationEvidence | None = None

    @property
    def valid(self) -> bool:
        """Whether the certificate has a path and is not revoked; undecided is not valid."""
        return self.reason is Reason.ALLOWED


def read_lists(lists: Iterable[tuple[str, bytes]]) -> RevocationSnapshot:
    """Read revocation lists, each with what messages call it; one that cannot be used is a problem of the snapshot."""
    read: list[RevocationList] = []
    problems: list[SourceProblem] = []
    for source, octets in lists:
        try:
            read.append(read_crl(octets, source=source))
        except TrustMaterialError as error:
            problems.append(SourceProblem(source=source, problem=str(error)))
    return RevocationSnapshot.of(read, problems)


def check_file(  # noqa: PLR0913 - what the answer depends on is passed in
    octets: bytes,
    store: TrustStore,
    revocation: RevocationSnapshot,
    *,
    front_end: str,
    now: datetime,
    hints: Sequence[bytes] = (),
    clock_skew: timedelta = timedelta(0),
    drawn: bool = True,
) -> PathAnswer:
    """Check the first certificate of a file, PEM or DER; the others are hints. Otherwise as `check_path`."""
    match read_certificate_file(octets):
        case PresentedCertificate(der=der, chain=chain):
            presented = PresentedCertificate(der=der, chain=(*chain, *hints))
            return check_path(
                presented,
                store,
                revocation,
                front_end=front_end,
                now=now,
                clock_skew=clock_skew,
                drawn=drawn,
            )
        case UnreadableCertificate(problem=problem):
            return PathAnswer(reason=Reason.CERTIFICATE_UNREADABLE, detail=problem, elements=())
        case other:
            raise AssertionError(f"a file is a certificate or unreadable, never {type(other).__name__}")


def check_path(  # noqa: PLR0913 - what the answer depends on is passed in
    presented: PresentedCertificate,
    store: TrustStore,
    revocation: RevocationSnapshot,
    *,
    front_end: str,
    now: datetime,
    clock_skew: timedelta = timedelta(0),
    drawn: bool = True,
) -> PathAnswer:
    """Verify a certificate's path, then its revocation. Total, as `verify_path` is.

    Args:
        presented: the certificate, and hints.
        store: anchors and intermediates.
        revocation: the lists.
        front_end: which anchors count; `api` for those that count on the API.
        now: aware.
        clock_skew: how far each date may be missed.
        drawn: whether anybody wants the elements of a refused path, which may cost as much as the answer.

    """
    outcome = verify_path(
        presented,
        store,
        front_end=front_end,
        now=now,
        clock_skew=clock_skew,
        accept_expired=timedelta(0),
    )
    match outcome:
        case PathRefusal():
            elements = _draw_refused(presented, store, front_end, outcome) if drawn else ()
            return PathAnswer(reason=outcome.reason, detail=outcome.detail, elements=elements)
        case VerifiedCertificate():
            return _with_revocation(outcome, check_revocation(outcome, revocation, now=now))


def _with_revocation(verified: VerifiedCertificate, outcome: RevocationOutcome) -> PathAnswer:
    match outcome:
        case RevocationEvidence() as evidence:
            reason, detail = Reason.ALLOWED, ""
        case RevocationRefusal(reason=reason, detail=detail, evidence=evidence):
            pass
        case RevocationUndecided(reason=reason, detail=detail, evidence=evidence):
            pass
        case _:
            assert_never(outcome)
    elements = _elements_to_anchor(verified.path)
    return PathAnswer(
        reason=reason,
        detail=detail,
        elements=_mark(elements, detail, otherwise=0) if detail else elements,
        anchor_id=verified.anchor_id,
        revocation=evidence,
    )


def _draw_refused(
    presented: PresentedCertificate, store: TrustStore, front_end: str, refusal: PathRefusal
) -> tuple[PathElement, ...]:
    """Return the path as far as it is known, with the refusal on one of its elements."""
    if refusal.path:
        return _mark(_elements_to_anchor(refusal.path), refusal.detail, otherwise=0)
    try:
        leaf = read_certificate(presented.der, any_serial=True)
    except CertificateSyntaxError:
        return ()
    anchors = tuple(anchor.facts for anchor in store.for_front_end(front_end).anchors)
    climbed = _climb(leaf, (*anchors, *store.intermediates, *_read_hints(presented, store)))
    top = climbed[-1]
    if top in anchors:  # beyond the budgets of `verify_path`
        return _mark(_elements_to_anchor(climbed), refusal.detail, otherwise=0)
    known = tuple(_element(facts, Role.INTERMEDIATE) for facts in climbed[1:])
    elements = (_element(leaf, Role.CERTIFICATE), *known)
    if top.issuer_is_subject:
        elements = (*elements[:-1], _element(top, Role.UNKNOWN_ROOT))
    else:
        elements = (*elements, PathElement(name=top.issuer_text, role=Role.MISSING))
    if refusal.reason is Reason.CERTIFICATE_UNTRUSTED:  # what fails is that the path does not go on
        return (*elements[:-1], replace(elements[-1], problem=refusal.detail))
    return _mark(elements, refusal.detail, otherwise=0)


def _element(facts: CertificateFacts, role: Role) -> PathElement:
    return PathElement(name=facts.subject_text, role=role, facts=facts)


def _elements_to_anchor(path: Sequence[CertificateFacts]) -> tuple[PathElement, ...]:
    """Return the elements of a path that ends at an anchor, which may be the pinned certificate itself."""
    *below, anchor = path
    roles = (Role.CERTIFICATE, *(Role.INTERMEDIATE for _ in below[1:]))
    return (*map(_element, below, roles), _element(anchor, Role.ANCHOR))


def _mark(elements: Sequence[PathElement], detail: str, *, otherwise: int) -> tuple[PathElement, ...]:
    """Put a refusal on the element that it names first, or else on the one at a position."""
    named = [
        (detail.index(f"`{element.name}`"), position)
        for position, element in enumerate(elements)
        if f"`{element.name}`" in detail
    ]
    failing = min(named)[1] if named else otherwise
    return tuple(
        replace(element, problem=detail) if position == failing else element
        for position, element in enumerate(elements)
    )


def _read_hints(presented: PresentedCertificate, store: TrustStore) -> list[CertificateFacts]:
    """Return the presented hints that can be read, no more of them than `verify_path` looks at."""
    hints = []
    for der in presented.chain[:MOST_PRESENTED_CERTIFICATES]:
        try:
            hints.append(store.by_der.get(der) or read_certificate(der, any_serial=True))
        except CertificateSyntaxError:
            continue
    return hints


def _climb(leaf: CertificateFacts, pool: Sequence[CertificateFacts]) -> list[CertificateFacts]:
    """Return the certificate and the issuers above it as far as they are known, one for each step, anchors first.

    An issuer is told by name and signature. Within the budgets; no certificate twice.
    """
    climbed = [leaf]
    signatures = 0
    while len(climbed) < _DEEPEST_CLIMB and not (len(climbed) > 1 and climbed[-1].issuer_is_subject):
        below = climbed[-1]
        for candidate in pool:
            if candidate.subject_key != below.issuer_key or candidate in climbed:
                continue
            if signatures == _MOST_SIGNATURES:
                return climbed
            signatures += 1
            if _is_signed_by(below, candidate):
                climbed.append(candidate)
                break
        else:
            return climbed
    return climbed


def _is_signed_by(below: CertificateFacts, above: CertificateFacts) -> bool:
    if below.algorithm is None or find_cost_problem(above):
        return False
    try:
        key = above.certificate.public_key()
    except READ_ERRORS:  # a DSA key without parameters of its own
        return False
    return is_signed_with(key, below.algorithm, signature=below.signature, signed=below.signed)
