"""The asynchronous shell around the pipeline: cache, single flight, bounded threads.

The event loop answers from the cache at once. On a miss one flight per question runs the synchronous pipeline
on a bounded pool of threads; others who ask the same wait for that flight. A full pool answers `overloaded`
at once rather than queueing without end (threats T72, T78).

Invariants:

* The epoch is read before the pipeline runs, so a change during the run makes the verdict unusable to
  everyone after it, never the other way round.
* Who joins a flight gets a verdict that was made for the snapshot current at the joining, and that still
  stood when the joiner asked: a flight is no way around what bounds a cached verdict.
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

_THREADS = 16
"""Threads that run the pipeline. They are there to wait for directories, not for speed: cryptography and ldap3 hold
the GIL. Twice the connections to one LDAP directory, so that one that hangs leaves threads for everybody else."""

_LONGEST_QUEUE = 256
"""Decisions under way or waiting, above which the answer is `overloaded`: about half a second of LDAP
work."""

_MOST_EXPLANATIONS = 2
"""Explanations under way, above which the answer is `overloaded`: each asks every directory, and must leave
threads to those who work here (threat T75)."""

_LONGEST_DECISION = timedelta(seconds=10)
"""The deadline of one decision; each directory's own time-outs are shorter."""

_FlightKey = tuple[CacheKey, object, int, int]
"""Question, epoch, number of flushes before it, and the identity of the snapshot: without an epoch the
snapshot alone tells that nothing changed. It is kept beside the flight, so that its number belongs to no
other one meanwhile."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Decider:
    """Decides requests for one process.

    Args:
        snapshot: returns the current snapshot and the epoch it belongs to; None as epoch means that nobody
            knows whether something changed, and then nothing is served from, or stored in, the cache.
        afresh: turns a snapshot into one whose directories remember nothing, for explanations.
        now: the wall clock (UTC).
        monotonic: the clock of deadlines, in seconds.

    Attributes:
        cache_hits: questions that were answered from the cache.

    Used by one event loop; `close` may come from any thread.
    """

    def __init__(
        self,
        snapshot: Callable[[], tuple[Snapshot, object | None]],
        *,
        afresh: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache_hits = 0  # a number, not an object of a metrics library: every request passes here
        self._snapshot = snapshot
        self._afresh = afresh
        self._now = now
        self._monotonic = monotonic
        self._cache = VerdictCache()
        self._flights: dict[_FlightKey, tuple[asyncio.Future[Verdict], Snapshot]] = {}
        self._flushes = 0
        self._under_way = 0
        self._explaining = 0
        self._closed = False
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="decide")

    def cached(self, request: DecisionRequest) -> Verdict | None:
        """Return the verdict of an earlier equal request if it still stands; never waits."""
        _snapshot, epoch = self._snapshot()
        verdict = self._cache.find(cache_key(request), epoch=epoch, now=self._now())
        if verdict is not None:
            self.cache_hits += 1
        return verdict

    async def decide(self, request: DecisionRequest) -> Verdict:
        """Decide, sharing the work with everybody who asks the same at the same time.

        Raises:
            Exception: a bug in the pipeline, to everybody on the flight; nothing of it is kept.

        """
        key, arrived = cache_key(request), self._now()
        snapshot, epoch = self._snapshot()
        verdict = self._cache.find(key, epoch=epoch, now=arrived)
        if verdict is not None:
            self.cache_hits += 1
            return verdict
        flight_key: _FlightKey = (key, epoch, self._flushes, id(snapshot))
        joined = flight_key in self._flights
        if not joined and self._is_full():
            return self._overloaded()
        flight = (
            self._flights[flight_key][0] if joined else self._take_off(request, snapshot, epoch, flight_key)
        )
        # Shielded: a caller that hangs up must not end the flight of the others.
        verdict = await asyncio.shield(flight)
        if not joined or isinstance(verdict, Undecided) or arrived < verdict.valid_until:
            return verdict
        # It had ended when this caller came (the certificate, or the revocation list, ended during a long
        # flight): this caller's own decision is shared with nobody.
        if self._is_full():
            return self._overloaded()
        return await asyncio.shield(self._run(request, self._snapshot()[0], self._moment(), exhaustive=False))

    async def explain(self, request: DecisionRequest) -> Verdict:
        """Decide afresh, neither reading nor filling any cache, and look for a second owner."""
        if self._is_full() or self._explaining >= _MOST_EXPLANATIONS:
            return self._overloaded()
        snapshot = self._afresh(self._snapshot()[0])
        running = self._run(request, snapshot, self._moment(), exhaustive=True)
        self._explaining += 1

        def end(_running: asyncio.Future[Verdict]) -> None:
            self._explaining -= 1

        running.add_done_callback(end)
        return await asyncio.shield(running)

    def flush(self) -> int:
        """Empty the cache, of decisions under way too; return how many verdicts were dropped."""
        self._flushes += 1
        return self._cache.clear()

    def close(self) -> None:
        """Let running decisions end and take no more: from here on the answer is `overloaded`."""
        self._closed = True
        self._threads.shutdown(wait=True)

    def _is_full(self) -> bool:
        return self._closed or self._under_way >= _LONGEST_QUEUE

    def _overloaded(self) -> Undecided:
        why = (
            "this configuration has been replaced, or the service is ending"
            if self._closed
            else f"{self._under_way} decisions are under way"
        )
        return Undecided(reason=Reason.OVERLOADED, detail=why, step="answer")

    def _moment(self) -> Moment:
        return Moment(now=self._now(), deadline=self._monotonic() + _LONGEST_DECISION.total_seconds())

    def _take_off(
        self, request: DecisionRequest, snapshot: Snapshot, epoch: object | None, key: _FlightKey
    ) -> asyncio.Future[Verdict]:
        moment = self._moment()
        flight = self._run(request, snapshot, moment, exhaustive=False)
        self._flights[key] = (flight, snapshot)
        flushes = self._flushes

        def land(done: asyncio.Future[Verdict]) -> None:
            del self._flights[key]
            if not done.cancelled() and done.exception() is None and flushes == self._flushes:
                self._cache.store(key[0], done.result(), epoch=epoch, decided_at=moment.now)

        flight.add_done_callback(land)
        return flight

    def _run(
        self, request: DecisionRequest, snapshot: Snapshot, moment: Moment, *, exhaustive: bool
    ) -> asyncio.Future[Verdict]:
        """Run the pipeline on a thread. It is under way from this call on, not from when the thread begins."""
        trace = TraceRecorder(self._monotonic)
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: decide(request, snapshot, moment, trace, exhaustive=exhaustive)
        )
        self._under_way += 1

        def end(_running: asyncio.Future[Verdict]) -> None:
            self._under_way -= 1

        running.add_done_callback(end)
        return running
