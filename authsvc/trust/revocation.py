"""Revocation as data: a snapshot of lists, and what it says about a certification path (semantics section 8).

Lives here: the outcome for a whole path under the policy of its anchor, from lists and OCSP. Not here: what lists say
of one certificate (`crl_decision.py`), reading them (`crl_reading.py`), files and fetching (`authsvc/operations/`),
asking OCSP responders. Nothing here waits but the one question to a responder, and that only where nothing at hand
answers.

How each uncertainty falls, for every certificate of the path but the anchor:

* listed in a list that counts, stale ones included, or by an OCSP answer at hand: revoked, whatever the mode (but
  `off`, which does not look) and whatever the other elements say;
* covered by current lists that do not name it: good, and nobody is asked;
* else what an OCSP answer at hand says, and without one what a responder says now: good, revoked, or neither;
* else, if a list that would cover it is stale or not valid yet, any configured source could not be read (nobody can
  tell whose list it was), or a responder did not answer: unavailable;
* else unknown.

Under `require`, one unknown element refuses; without one, an unavailable element makes the answer undecided. (With
one it would be refused whatever the unavailable source said.) Under `prefer` both pass, marked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import assert_never

from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList
from authsvc.trust.crl_decision import (
    Covered,
    ListChecks,
    Listed,
    ListState,
    ListUse,
    NotCovered,
    SignerPaths,
    SortedLists,
    StaleCover,
)
from authsvc.trust.ocsp_answer import (
    OcspAnswer,
    OcspGood,
    OcspNotAsked,
    OcspRevoked,
    OcspSource,
    OcspUnavailable,
    OcspUnknown,
)
from authsvc.trust.path import VerifiedCertificate, find_signer_paths

__all__ = [
    "CertificateEvidence",
    "RevocationEvidence",
    "RevocationOutcome",
    "RevocationRefusal",
    "RevocationSnapshot",
    "RevocationStatus",
    "RevocationUndecided",
    "SignerPaths",
    "SourceProblem",
    "check_revocation",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """A configured source of which no list is at hand: its name and why."""

    source: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSnapshot:
    """All lists at one instant. Made by `RevocationSnapshot.of`.

    `lists` are sorted by issuer, scope and age; none is left out, because only at a decision is it known whose key
    signed which. `problems` are the configured sources without a usable list. `grace`: how long after its next update
    a list still counts, visibly.
    """

    lists: SortedLists = field(default_factory=SortedLists)
    problems: tuple[SourceProblem, ...] = ()
    grace: timedelta = timedelta(0)

    @classmethod
    def of(
        cls,
        lists: Iterable[RevocationList],
        problems: Iterable[SourceProblem] = (),
        *,
        grace: timedelta = timedelta(0),
    ) -> "RevocationSnapshot":
        """Return a snapshot; of several lists of one key and scope the newest counts (threat T37)."""
        return cls(lists=SortedLists.of(lists), problems=tuple(problems), grace=grace)


class RevocationStatus(StrEnum):
    """What is known of a path, or of one certificate of it."""

    GOOD = "good"
    NOT_CHECKED = "not_checked"
    UNKNOWN_ACCEPTED = "unknown_accepted"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEvidence:
    """What is known of one certificate of the path, and from where.

    `status`: good, revoked, unknown or unavailable. `lists`: those that prove it good. `source`: of the list or the
    responder that decided, empty where none did. `detail`: empty where it is good.
    """

    subject: str
    serial: int
    status: RevocationStatus
    source: str = ""
    lists: tuple[ListUse, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEvidence:
    """What revocation rests on, and how sure we are.

    `policy` is the anchor's mode. `source` is `crl`, `ocsp`, `crl+ocsp`, or empty where nothing was used; `lists` and
    `responders` name them. `this_update` is the oldest and `next_update` the earliest of all that was used, None
    without any. `grace_used`: a list counts although its next update has passed. `holds_until`: no cache may outlive
    it; that is `next_update`, with the grace where it is used. `detail` says what was accepted without proof, or why
    it is refused.
    """

    status: RevocationStatus
    policy: RevocationMode
    source: str = ""
    lists: tuple[str, ...] = ()
    responders: tuple[str, ...] = ()
    this_update: datetime | None = None
    next_update: datetime | None = None
    grace_used: bool = False
    holds_until: datetime | None = None
    certificates: tuple[CertificateEvidence, ...] = ()
    detail: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """Return how old the oldest evidence is, None without any."""
        return None if self.this_update is None else now - self.this_update


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRefusal:
    """The certificate is refused: `certificate_revoked` or `revocation_unknown`."""

    reason: Reason
    detail: str
    evidence: RevocationEvidence = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationUndecided:
    """A configured source that had to answer cannot: `revocation_unavailable`. Never cached."""

    reason: Reason
    detail: str
    evidence: RevocationEvidence = field(compare=False)


RevocationOutcome = RevocationEvidence | RevocationRefusal | RevocationUndecided


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    """Proven by lists, or by an answer of a responder."""

    lists: tuple[ListUse, ...] = ()
    answer: OcspGood | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revoked:
    detail: str
    source: str
    by_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unknown:
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unavailable:
    detail: str


_State = _Good | _Revoked | _Unknown | _Unavailable
"""The state of one element."""

_STATUS_OF_STATE = {
    _Good: RevocationStatus.GOOD,
    _Revoked: RevocationStatus.REVOKED,
    _Unknown: RevocationStatus.UNKNOWN,
    _Unavailable: RevocationStatus.UNAVAILABLE,
}


def check_revocation(  # noqa: PLR0913 - what it depends on is passed in
    verified: VerifiedCertificate,
    snapshot: RevocationSnapshot,
    *,
    now: datetime,
    find_signer_paths: SignerPaths = find_signer_paths,
    ocsp: OcspSource | None = None,
    deadline: float = inf,
) -> RevocationOutcome:
    """Say whether every certificate of the path, but the anchor, is not revoked.

    1. Ask the lists, and the OCSP answers that are at hand, about every element.
    2. Unless one is revoked: ask a responder about each that is not proven good.
    3. Judge by the anchor's mode.

    Args:
        verified: the path; its anchor's mode is the policy. A pinned certificate is its own anchor: nothing is
        checked.
        snapshot: the lists.
        now: aware.
        find_signer_paths: who may sign lists under a name.
        ocsp: who answers for single certificates, None for nobody.
        deadline: for questions to responders, monotonic seconds.

    """
    policy = verified.anchor.revocation
    if policy is RevocationMode.OFF:
        return RevocationEvidence(status=RevocationStatus.NOT_CHECKED, policy=policy)
    # 1
    checks = ListChecks(
        verified, snapshot.lists, now=now, grace=snapshot.grace, find_signer_paths=find_signer_paths
    )
    path, anchor_id = verified.path, verified.anchor_id
    states: list[_State] = []
    unasked: list[int] = []
    for position, facts in enumerate(path[:-1]):
        issuer = path[position + 1]
        state = _state_by_lists(checks.find_state(facts, path[position + 1 :]), facts, issuer, snapshot)
        if ocsp is not None and not isinstance(state, _Revoked):
            answer = ocsp.find_remembered(facts, issuer, anchor_id=anchor_id, now=now)
            if answer is None:
                unasked.append(position)
            else:
                state = _with_answer(state, answer, facts)
        states.append(state)
    # 2
    if ocsp is not None and not any(isinstance(state, _Revoked) for state in states):
        for position in unasked:
            facts = path[position]
            if not isinstance(states[position], _Good):
                answer = ocsp.ask(facts, path[position + 1], anchor_id=anchor_id, now=now, deadline=deadline)
                states[position] = _with_answer(states[position], answer, facts)
    # 3
    evidence = _evidence(path, states, policy, snapshot.grace)
    return _judge(states, evidence)


def _judge(states: Sequence[_State], evidence: RevocationEvidence) -> RevocationOutcome:
    for state in states:
        if isinstance(state, _Revoked):
            return RevocationRefusal(
                reason=Reason.CERTIFICATE_REVOKED,
                detail=state.detail,
                evidence=_refused(evidence, RevocationStatus.REVOKED, state),
            )
    if evidence.policy is RevocationMode.REQUIRE:
        for state in states:
            if isinstance(state, _Unknown):
                return RevocationRefusal(
                    reason=Reason.REVOCATION_UNKNOWN,
                    detail=state.detail,
                    evidence=_refused(evidence, RevocationStatus.UNKNOWN, state),
                )
        for state in states:
            if isinstance(state, _Unavailable):
                return RevocationUndecided(
                    reason=Reason.REVOCATION_UNAVAILABLE,
                    detail=state.detail,
                    evidence=_refused(evidence, RevocationStatus.UNAVAILABLE, state),
                )
    return evidence


def _refused(
    evidence: RevocationEvidence, status: RevocationStatus, state: _Revoked | _Unknown | _Unavailable
) -> RevocationEvidence:
    """Return the evidence of a refusal; a refusal for what is not good ends with the life of refusals alone."""
    evidence = replace(evidence, status=status, detail=state.detail, holds_until=None)
    if not isinstance(state, _Revoked):
        return evidence
    return replace(
        evidence,
        source="crl" if state.by_list else "ocsp",
        lists=(state.source,) if state.by_list else (),
        responders=() if state.by_list else (state.source,),
        this_update=None,
        next_update=None,
        grace_used=False,
    )


def _evidence(
    path: Sequence[CertificateFacts], states: Sequence[_State], policy: RevocationMode, grace: timedelta
) -> RevocationEvidence:
    """Return what the proof of the good elements rests on, and what would be accepted without one."""
    uses: list[ListUse] = []
    answers: list[OcspGood] = []
    accepted: list[str] = []
    certificates = []
    for facts, state in zip(path, states, strict=False):
        match state:
            case _Good(lists=lists, answer=answer):
                uses += lists
                answers += [] if answer is None else [answer]
                detail = ""
                source = (
                    ", ".join(one for use in lists for one in use.sources)
                    if answer is None
                    else answer.source
                )
            case _Revoked(detail=detail, source=source):
                pass
            case _Unknown(detail=detail) | _Unavailable(detail=detail):
                accepted.append(detail)
                source = ""
            case _ as unreachable:
                assert_never(unreachable)
        certificates.append(
            CertificateEvidence(
                subject=facts.subject_text,
                serial=facts.serial,
                status=_STATUS_OF_STATE[type(state)],
                source=source,
                lists=state.lists if isinstance(state, _Good) else (),
                detail=detail,
            )
        )
    if accepted:
        status = RevocationStatus.UNKNOWN_ACCEPTED
    elif uses or answers:
        status = RevocationStatus.GOOD
    else:
        status = RevocationStatus.NOT_CHECKED
    dated: list[ListUse | OcspGood] = [*uses, *answers]
    return RevocationEvidence(
        status=status,
        policy=policy,
        source="+".join(name for name, used in (("crl", uses), ("ocsp", answers)) if used),
        lists=tuple(dict.fromkeys(source for use in uses for source in use.sources)),
        responders=tuple(dict.fromkeys(answer.source for answer in answers)),
        this_update=min((one.this_update for one in dated), default=None),
        next_update=min((one.next_update for one in dated), default=None),
        grace_used=any(use.in_grace for use in uses),
        holds_until=min(
            (
                *(use.next_update + grace if use.in_grace else use.next_update for use in uses),
                *(answer.next_update for answer in answers),
            ),
            default=None,
        ),
        certificates=tuple(certificates),
        detail="; ".join(accepted),
    )


def _state_by_lists(
    state: ListState, facts: CertificateFacts, issuer: CertificateFacts, snapshot: RevocationSnapshot
) -> _State:
    match state:
        case Listed(by=by, entry=entry):
            return _revoked(by.source, facts, entry.reason, entry.since, by_list=True)
        case Covered(uses=uses):
            return _Good(lists=uses)
        case StaleCover(problem=problem):
            return _Unavailable(detail=problem)
        case NotCovered(hint=hint):
            where = f"no current list covers `{facts.subject_text}` of issuer `{issuer.subject_text}`"
            if snapshot.problems:
                first = snapshot.problems[0]
                return _Unavailable(detail=f"{where}, and `{first.source}` cannot be read: {first.problem}")
            return _Unknown(detail=f"{where}: {hint}" if hint else where)
        case _ as unreachable:
            assert_never(unreachable)


def _revoked(
    source: str, facts: CertificateFacts, reason: str, since: datetime, *, by_list: bool
) -> _Revoked:
    why = f" ({reason})" if reason else ""
    return _Revoked(
        detail=f"`{source}` revokes `{facts.subject_text}`{why} since {since.isoformat()}",
        source=source,
        by_list=by_list,
    )


def _with_answer(state: _State, answer: OcspAnswer, facts: CertificateFacts) -> _State:
    """Put a responder's answer beside what lists say: "revoked" always counts, the rest where lists prove nothing."""
    if isinstance(answer, OcspRevoked):
        return _revoked(answer.source, facts, answer.reason, answer.since, by_list=False)
    if isinstance(state, _Good | _Revoked):
        return state
    match answer:
        case OcspGood():
            return _Good(answer=answer)
        case OcspUnavailable(source=source, problem=problem):
            return _Unavailable(detail=f"{state.detail}, and `{source}` does not say: {problem}")
        case OcspUnknown(source=source):
            return replace(state, detail=f"{state.detail}, and `{source}` does not know it")
        case OcspNotAsked():
            return state
        case _ as unreachable:
            assert_never(unreachable)
