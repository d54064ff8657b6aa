"""The verdict cache: verdicts with a bounded life, that never outlive what they rest on.

Invariants (semantics section 8):

* A verdict is served only under the *epoch* it was made in. The epoch changes with every snapshot
  (configuration, trust, revocation, directories) and every write to the primary, so one comparison is the
  whole invalidation. None is no epoch: nothing is served or stored under it.
* A verdict is served only between the instant it was made at and its `valid_until`. The first bound matters
  when the clock is set back: a verdict from the future would otherwise live longer than anybody allowed
  (threat T30).
* `Undecided` is never stored. Allows of certificates have a shelf of their own; everything that a stranger
  can cause (refusals, anonymous access) is on another, so that endless certificates cannot push out the
  people who work here (threat T76).
* A question has one verdict at most: storing one forgets the other shelf's.

Used by one event loop: no lock.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from cachetools import LRUCache

from authsvc.access.databases import DatabaseTarget, Target
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.presented.presentation import (
    NoCertificate,
    Presentation,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)

__all__ = ["CacheKey", "VerdictCache", "cache_key"]

_VERIFIED_VERDICTS = 20_000
"""Allows of certificates: the people who are at work at one time, a few databases each."""

_OTHER_VERDICTS = 2_000
"""Verdicts about everything else: enough to make a stranger's retries cheap."""

_MOST_ROLES = 32
"""Roles of a requirement above which a verdict is not kept: on some front ends strangers write them, and the
memory of the cache is bounded by its keys."""

_PresentedKey = tuple[str, bytes | str]
"""The kind of a presentation, and what tells two of a kind apart."""

CacheKey = tuple[FrontEndPolicy, _PresentedKey, Target, bool | None, str]
"""Front end, everything presented, target (database and requirement), over TLS, https address."""


def cache_key(request: DecisionRequest) -> CacheKey:
    """Return the key of a request: structured, over full digests, so that no two questions share one (threat T71)."""
    return (
        request.front_end,
        _presented_key(request.presentation),
        request.target,
        request.over_tls,
        request.https_url,
    )


def _presented_key(presentation: Presentation) -> _PresentedKey:
    match presentation:
        case PresentedCertificate(digest=digest):
            return "certificate", digest
        case NoCertificate():
            return "none", ""
        case UnreadableCertificate(problem=problem):
            return "unreadable", problem
        case RejectedByFrontEnd(problem=problem):
            return "rejected", problem
        case _ as unreachable:
            assert_never(unreachable)


@dataclass(frozen=True, slots=True)
class _Stored:
    verdict: Verdict
    epoch: object
    decided_at: datetime
    valid_until: datetime


class VerdictCache:
    """Verdicts by question, each bound to its epoch, its beginning and its end.

    Args:
        verified: how many allows of certificates are kept.
        other: how many other verdicts are kept.

    """

    __slots__ = ("_other", "_verified")

    def __init__(self, *, verified: int = _VERIFIED_VERDICTS, other: int = _OTHER_VERDICTS) -> None:
        # NOTE: LRUCache with the end compared by hand is five times cheaper per hit than TTLCache.
        self._verified: LRUCache[CacheKey, _Stored] = LRUCache(maxsize=verified)
        self._other: LRUCache[CacheKey, _Stored] = LRUCache(maxsize=other)

    def find(self, key: CacheKey, *, epoch: object | None, now: datetime) -> Verdict | None:
        """Return the stored verdict if it was made in this very epoch and still stands; None means: decide."""
        if epoch is None:
            return None
        for shelf in (self._verified, self._other):
            stored = shelf.get(key)
            if stored is None:
                continue
            if stored.epoch == epoch and stored.decided_at <= now < stored.valid_until:
                return stored.verdict
            del shelf[key]
        return None

    def store(self, key: CacheKey, verdict: Verdict, *, epoch: object | None, decided_at: datetime) -> None:
        """Store a verdict made in `epoch` at `decided_at`; an undecided one, or one without epoch, is not stored."""
        match verdict:
            case Allowed(certificate=certificate) if certificate is not None:
                shelf, other = self._verified, self._other
            case Allowed() | Denied():
                shelf, other = self._other, self._verified
            case Undecided():
                return
            case _ as unreachable:
                assert_never(unreachable)
        if epoch is None or _is_bulky(key[2]):
            return
        other.pop(key, None)
        shelf[key] = _Stored(verdict, epoch, decided_at, verdict.valid_until)

    def clear(self) -> int:
        """Forget everything; return how many verdicts there were."""
        count = len(self._verified) + len(self._other)
        self._verified.clear()
        self._other.clear()
        return count


def _is_bulky(target: Target) -> bool:
    """Whether a target is too large to be kept; every other part of a key has a limit where it is read."""
    return isinstance(target, DatabaseTarget) and len(target.requirement.roles) > _MOST_ROLES
