"""The asynchronous shell around the pipeline: cache, single flight, bounded threads.

The event loop answers from the cache at once. On a miss one flight per question runs the synchronous pipeline
on a bounded pool of threads; others who ask the same wait for that flight. A full pool answers `overloaded`
at once rather than queueing without end (threats T72, T78).

INVARIANT: the epoch is read before the pipeline runs, so a change during the run makes the verdict unusable
to everyone after it, never the other way round.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from authsvc.decision.cache import CacheKey, VerdictCache, cache_key
from authsvc.decision.pipeline import Moment, Snapshot, decide
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Undecided, Verdict
from authsvc.reason import Reason
from directory_assistance.trace import TraceRecorder

__all__ = ["Decider"]

_THREADS = 4
"""Threads that run the pipeline. cryptography and ldap3 hold the GIL: more threads only lengthen the tail."""

_LONGEST_QUEUE = 256
"""Decisions under way or waiting, above which the answer is `overloaded`: about half a second of LDAP
work."""

_LONGEST_DECISION = timedelta(seconds=10)
"""The deadline of one decision; each directory's own time-outs are shorter."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Decider:
    """Decides requests for one process.

    Args:
        snapshot: returns the current snapshot and the epoch it belongs to; None as epoch means that nobody
            knows whether something changed, and then nothing is served from, or stored in, the cache.
        now: the wall clock (UTC).
        monotonic: the clock of deadlines, in seconds.

    """

    def __init__(
        self,
        snapshot: Callable[[], tuple[Snapshot, object | None]],
        *,
        now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshot = snapshot
        self._now = now
        self._monotonic = monotonic
        self._cache = VerdictCache()
        self._flights: dict[tuple[CacheKey, object | None], asyncio.Future[Verdict]] = {}
        self._under_way = 0
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="decide")

    def cached(self, request: DecisionRequest) -> Verdict | None:
        """Return the verdict of an earlier equal request if it still stands; never waits."""
        _snapshot, epoch = self._snapshot()
        if epoch is None:
            return None
        return self._cache.find(cache_key(request), epoch=epoch, now=self._now())

    async def decide(self, request: DecisionRequest) -> Verdict:
        """Decide, sharing the work with everybody who asks the same at the same time."""
        snapshot, epoch = self._snapshot()
        key = cache_key(request)
        if epoch is not None:
            verdict = self._cache.find(key, epoch=epoch, now=self._now())
            if verdict is not None:
                return verdict
        flight = self._flights.get((key, epoch))
        if flight is None:
            if self._under_way >= _LONGEST_QUEUE:
                return Undecided(
                    reason=Reason.OVERLOADED,
                    detail=f"{self._under_way} decisions are under way",
                    step="answer",
                )
            flight = self._take_off(request, snapshot, key, epoch)
        # A caller that hangs up must not end the flight of the others.
        return await asyncio.shield(flight)

    async def explain(self, request: DecisionRequest) -> Verdict:
        """Decide afresh, neither reading nor filling the cache, and look for a second owner."""
        snapshot, _epoch = self._snapshot()
        if self._under_way >= _LONGEST_QUEUE:
            return Undecided(
                reason=Reason.OVERLOADED, detail=f"{self._under_way} decisions are under way", step="answer"
            )
        return await self._run(request, snapshot, exhaustive=True)

    def flush(self) -> int:
        """Empty the cache; return how many verdicts were dropped."""
        return self._cache.clear()

    def close(self) -> None:
        """Let running decisions end and take no more."""
        self._threads.shutdown(wait=True)

    def _take_off(
        self, request: DecisionRequest, snapshot: Snapshot, key: CacheKey, epoch: object | None
    ) -> asyncio.Future[Verdict]:
        flight = asyncio.ensure_future(self._run(request, snapshot, exhaustive=False))
        self._flights[key, epoch] = flight

        def land(done: asyncio.Future[Verdict]) -> None:
            del self._flights[key, epoch]
            if not done.cancelled() and done.exception() is None and epoch is not None:
                self._cache.store(key, done.result(), epoch=epoch)

        flight.add_done_callback(land)
        return flight

    async def _run(self, request: DecisionRequest, snapshot: Snapshot, *, exhaustive: bool) -> Verdict:
        moment = Moment(now=self._now(), deadline=self._monotonic() + _LONGEST_DECISION.total_seconds())
        trace = TraceRecorder(self._monotonic)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: decide(request, snapshot, moment, trace, exhaustive=exhaustive)
            )
        finally:
            self._under_way -= 1
