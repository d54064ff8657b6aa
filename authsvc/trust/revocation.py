"""Revocation as data: a snapshot of lists, and what it says about a certificate (semantics section 8).

Lives here: the decision over lists that were read before. Not here: reading (`crl.py`), files and their
reloading (`authsvc/operations/trust_files.py`), fetching. Nothing here waits for anything: the snapshot is
what there is.

How each uncertainty falls, for every certificate of the path but the anchor:

* listed in any list that its issuer signed, stale ones included: revoked, whatever the mode (but `off`, which
  does not look) and whatever the other elements say;
* covered by a current list that does not name it: good;
* else, if its issuer's list is stale or not valid yet, or any configured source could not be read (nobody can
  tell whose list it was): unavailable;
* else unknown.

Under `require`, one unknown element refuses; without one, an unavailable element makes the answer undecided.
(With one it would be refused whatever the unavailable source said.) Under `prefer` both pass, marked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import IssuerKey, RevocationList
from authsvc.trust.path import VerifiedCertificate

__all__ = [
    "RevocationEvidence",
    "RevocationOutcome",
    "RevocationRefusal",
    "RevocationSnapshot",
    "RevocationStatus",
    "RevocationUndecided",
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
    """All lists at one instant, newest of each issuer and scope, by issuer. Made by `RevocationSnapshot.of`.

    `problems` are the configured sources without a usable list.
    """

    lists: Mapping[IssuerKey, tuple[RevocationList, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    problems: tuple[SourceProblem, ...] = ()

    @classmethod
    def of(
        cls, lists: Iterable[RevocationList], problems: Iterable[SourceProblem] = ()
    ) -> "RevocationSnapshot":
        """Return a snapshot; of several lists of one issuer and scope the newest counts (threat T37)."""
        newest: dict[tuple[object, ...], RevocationList] = {}
        for one in lists:
            key = (one.issuer, one.scope)
            if key not in newest or one.supersedes(newest[key]):
                newest[key] = one
        by_issuer: defaultdict[IssuerKey, list[RevocationList]] = defaultdict(list)
        for one in newest.values():
            by_issuer[one.issuer].append(one)
        return cls(
            lists=MappingProxyType({issuer: tuple(found) for issuer, found in by_issuer.items()}),
            problems=tuple(problems),
        )


class RevocationStatus(StrEnum):
    """What is known, where a certificate passes."""

    GOOD = "good"
    NOT_CHECKED = "not_checked"
    UNKNOWN_ACCEPTED = "unknown_accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEvidence:
    """Why revocation does not stand in the way, and how sure we are.

    `policy` is the anchor's mode. `source` is `crl`, or empty where no list was used; `lists` names them.
    `this_update` is the oldest and `next_update` the earliest of the lists used, None without one; no cache
    may outlive `next_update`. `detail` says what was accepted without proof, else it is empty.
    """

    status: RevocationStatus
    policy: RevocationMode
    source: str = ""
    lists: tuple[str, ...] = ()
    this_update: datetime | None = None
    next_update: datetime | None = None
    detail: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """Return how old the oldest list used is, None without one."""
        return None if self.this_update is None else now - self.this_update


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRefusal:
    """The certificate is refused: `certificate_revoked` or `revocation_unknown`."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationUndecided:
    """A configured source that had to answer cannot: `revocation_unavailable`. Never cached."""

    reason: Reason
    detail: str


RevocationOutcome = RevocationEvidence | RevocationRefusal | RevocationUndecided


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revoked:
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unknown:
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unavailable:
    detail: str


_ElementState = RevocationList | _Revoked | _Unknown | _Unavailable
"""The state of one element; a list means that it is good by that list."""


def check_revocation(
    verified: VerifiedCertificate, snapshot: RevocationSnapshot, *, now: datetime
) -> RevocationOutcome:
    """Say whether every certificate of the path, but the anchor, is not revoked.

    Args:
        verified: the path; its anchor's mode is the policy. A pinned certificate is its own anchor: nothing
        is checked.
        snapshot: the lists.
        now: aware.

    """
    policy = verified.anchor.revocation
    if policy is RevocationMode.OFF:
        return RevocationEvidence(status=RevocationStatus.NOT_CHECKED, policy=policy)
    states = [
        _find_state(facts, issuer, snapshot, now)
        for facts, issuer in zip(verified.path, verified.path[1:], strict=False)
    ]
    for state in states:
        if isinstance(state, _Revoked):
            return RevocationRefusal(reason=Reason.CERTIFICATE_REVOKED, detail=state.detail)
    if policy is RevocationMode.REQUIRE:
        for state in states:
            if isinstance(state, _Unknown):
                return RevocationRefusal(reason=Reason.REVOCATION_UNKNOWN, detail=state.detail)
        for state in states:
            if isinstance(state, _Unavailable):
                return RevocationUndecided(reason=Reason.REVOCATION_UNAVAILABLE, detail=state.detail)
    return _evidence(states, policy)


def _evidence(states: Iterable[_ElementState], policy: RevocationMode) -> RevocationEvidence:
    used: list[RevocationList] = []
    accepted: list[str] = []
    for state in states:
        if isinstance(state, RevocationList):
            used.append(state)
        else:
            accepted.append(state.detail)
    if accepted:
        status = RevocationStatus.UNKNOWN_ACCEPTED
    elif used:
        status = RevocationStatus.GOOD
    else:
        status = RevocationStatus.NOT_CHECKED
    return RevocationEvidence(
        status=status,
        policy=policy,
        source="crl" if used else "",
        lists=tuple(dict.fromkeys(one.source for one in used)),
        this_update=min((one.this_update for one in used), default=None),
        next_update=min((one.next_update for one in used), default=None),
        detail="; ".join(accepted),
    )


def _find_state(
    facts: CertificateFacts, issuer: CertificateFacts, snapshot: RevocationSnapshot, now: datetime
) -> _ElementState:
    """Look one certificate up in the lists that its issuer, told by name and key, has signed."""
    lists = snapshot.lists.get((issuer.subject_der, issuer.key_sha256), ())
    for one in lists:
        entry = one.entries.get(facts.serial)
        if entry is not None:
            why = f" ({entry.reason})" if entry.reason else ""
            return _Revoked(
                detail=f"`{one.source}` revokes `{facts.subject_text}`{why} since {entry.since.isoformat()}"
            )
    covering = [one for one in lists if one.scope.covers(facts)]
    current = [one for one in covering if one.is_current(now)]
    if current:
        return max(current, key=lambda one: one.this_update)
    if covering:
        one = covering[0]
        if now < one.this_update:
            return _Unavailable(
                detail=f"`{one.source}` of `{one.issuer_text}` begins {one.this_update.isoformat()}"
            )
        return _Unavailable(
            detail=f"`{one.source}` of `{one.issuer_text}` expired {one.next_update.isoformat()}"
        )
    where = f"no current list covers `{facts.subject_text}` of issuer `{issuer.subject_text}`"
    if snapshot.problems:
        first = snapshot.problems[0]
        return _Unavailable(detail=f"{where}, and `{first.source}` cannot be read: {first.problem}")
    return _Unknown(detail=where)
