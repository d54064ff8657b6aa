"""The verdict cache: verdicts with a bounded life, that never outlive what they rest on.

Invariants (semantics section 8):

* A verdict is served only under the *epoch* it was made in. The epoch changes with every snapshot
  (configuration, trust, revocation, directories) and every write to the primary, so one comparison is the
  whole invalidation.
* A verdict is served only before its `valid_until`.
* `Undecided` is never stored. Refusals live in a cache of their own, so that strangers with endless
  certificates cannot push out the people who work here (threat T76): only certificates with a valid path
  enter the large one.

Used by one event loop: no lock.
"""

from dataclasses import dataclass
from datetime import datetime

from cachetools import LRUCache

from authsvc.access.databases import Target
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Allowed, Denied, Verdict
from authsvc.presented.presentation import (
    NoCertificate,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)

__all__ = ["CacheKey", "VerdictCache", "cache_key"]

_VERIFIED_VERDICTS = 20_000
"""Verdicts about certificates with a valid path, about 2 KB each: 40 MB at most."""

_OTHER_VERDICTS = 2_000
"""Verdicts about everything else: enough to make a stranger's retries cheap."""

CacheKey = tuple[str, bytes, Target, bool | None, str]
"""Front end, digest of everything presented, target (database and requirement), over TLS, https address."""


def cache_key(request: DecisionRequest) -> CacheKey:
    """Return the key of a request: structured, over full digests, so that no two questions share one (threat T71)."""
    match request.presentation:
        case PresentedCertificate(digest=digest):
            presented = digest
        case NoCertificate():
            presented = b"none"
        case UnreadableCertificate(problem=problem):
            presented = b"unreadable:" + problem.encode("utf-8", "surrogatepass")
        case RejectedByFrontEnd(problem=problem):
            presented = b"rejected:" + problem.encode("utf-8", "surrogatepass")
    return (request.front_end.name, presented, request.target, request.over_tls, request.https_url)


@dataclass(frozen=True, slots=True)
class _Stored:
    verdict: Verdict
    epoch: object
    valid_until: datetime


class VerdictCache:
    """Verdicts by question, each bound to its epoch and its end."""

    __slots__ = ("_other", "_verified")

    def __init__(self, *, verified: int = _VERIFIED_VERDICTS, other: int = _OTHER_VERDICTS) -> None:
        # NOTE: LRUCache with the end compared by hand is five times cheaper per hit than TTLCache.
        self._verified: LRUCache[CacheKey, _Stored] = LRUCache(maxsize=verified)
        self._other: LRUCache[CacheKey, _Stored] = LRUCache(maxsize=other)

    def find(self, key: CacheKey, *, epoch: object, now: datetime) -> Verdict | None:
        """Return the stored verdict if it was made in this very epoch and has not ended; None means: decide."""
        stored = self._verified.get(key) or self._other.get(key)
        if stored is None or stored.epoch != epoch or now >= stored.valid_until:
            return None
        return stored.verdict

    def store(self, key: CacheKey, verdict: Verdict, *, epoch: object) -> None:
        """Store a verdict made in `epoch`; an undecided one is not stored."""
        match verdict:
            case Allowed(certificate=certificate) | Denied(certificate=certificate):
                shelf = self._other if certificate is None else self._verified
                shelf[key] = _Stored(verdict, epoch, verdict.valid_until)
            case _:
                return

    def clear(self) -> int:
        """Forget everything; return how many verdicts there were."""
        count = len(self._verified) + len(self._other)
        self._verified.clear()
        self._other.clear()
        return count
