"""`CachingDirectory`: a directory that remembers what another one answered, and forgets it when that changes.

What lives here: for how long an answer is good, one question at a time for all who ask it, and what a change
forgets. What does not: the shelves and what stands on them (`answers.py`), and how a server is made to tell a change
(its own backend). It keeps the whole contract of `directory_assistance.directory`.

Invariants:

* A fault is never kept. It is told to everybody who waits for the same question, and to nobody after.
* An answer is as old as its *question*: what was written after the question need not be in it.
* The lifetime in force is that at the time it is asked for again. An answer counts as watched only if the watch was
  live when the question was put and is live now; becoming live, and ceasing to be, tells `EVERYTHING` between.
* `purge` forgets before the change is told on: whoever asks after having been told gets the new state.
* A question under way at a purge belongs to the time before it. Whoever asked before gets its answer; nobody joins
  it any more, and it is not kept: whether the server read the state before or after the change cannot be known.
  So a change told between an answer's being read and its being kept loses the answer, never the change.
* Whoever may not be given an answer of some age may not join a question of that age either.
* What strangers can cause (nobody found, too many found) is on a shelf of its own, and cannot push out the people
  who work here (threat T76).
"""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from directory_assistance.backends.answers import (
    Kept,
    Lifetime,
    Shelf,
    Tag,
    key_of_groups,
    key_of_look_up,
    octets_of_groups,
    octets_of_look_up,
    tags_of_change,
    tags_of_look_up,
)
from directory_assistance.candidates import Candidate
from directory_assistance.directory import Directory, HostStatus, KnowsHosts, LookUp, PersonGroups
from directory_assistance.dn import MemberReference
from directory_assistance.entry import Group
from directory_assistance.errors import DirectoryFault, DirectoryUnavailable
from directory_assistance.watching import Change, OnChange, Watch, WatchState, WatchStatus

__all__ = ["CacheCounts", "CachingDirectory", "Lifetimes"]

_HITS_OCTETS: Final = 64 * 1024 * 1024
"""For look-ups that found somebody: some ten thousand people with a certificate or two each."""

_MISSES_OCTETS: Final = 8 * 1024 * 1024
"""For look-ups that found nobody, or too many: enough to make a stranger's retries cheap."""

_GROUPS_OCTETS: Final = 16 * 1024 * 1024
"""For the groups of people, and of groups. Only people who were found and bound are asked about."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long answers are good.

    `live_hits`, `live_misses`: while a watch is live. A change is told then, so these do not bound what is seen of
    it; they bound what a defect in a server's telling could do. Misses are shorter: somebody who has just been entered
    asks again, and they are what strangers fill the memory with. `unwatched`: in every other state, hits and misses
    alike. It is the same however long a watch has been lost: each answer is at most that old, and a directory whose
    watch has just broken is the last that should be asked everything at once. Zero keeps nothing.
    `unsupported`: that a kind of candidate cannot be asked here; it does not depend on what is in the directory.
    """

    live_hits: timedelta = timedelta(seconds=600)
    live_misses: timedelta = timedelta(seconds=60)
    unwatched: timedelta = timedelta(seconds=2)
    unsupported: timedelta = timedelta(seconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCounts:
    """What happened since the beginning.

    `hits`: questions answered from memory. `misses`: questions put to the directory. `shared`: questions that waited
    for another's answer. `purged`: answers that a change made forgotten.
    """

    hits: int
    misses: int
    shared: int
    purged: int


class _Flight(Generic[Answer]):
    """One question under way, begun at `asked_at` while the watch was `live` or not.

    `answer` or `fault` stands before `landed` is set; neither, and it ended in a bug.
    """

    __slots__ = ("answer", "asked_at", "fault", "landed", "live")

    def __init__(self, asked_at: float, *, live: bool) -> None:
        self.asked_at = asked_at
        self.live = live
        self.landed = threading.Event()
        self.answer: Answer | None = None
        self.fault: DirectoryFault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place(Generic[Answer]):
    """Where an answer is kept, and what for."""

    shelf: Shelf[Answer]
    lifetime: Lifetime
    octets: int
    tags: frozenset[Tag] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question(Generic[Answer]):
    """One question: `shelves` may know the answer, `flights` are of its kind, `ask` asks, `place` keeps."""

    key: Hashable
    shelves: tuple[Shelf[Answer], ...]
    flights: dict[Hashable, _Flight[Answer]]
    ask: Callable[[], Answer]
    place: Callable[[Answer], _Place[Answer]]


class CachingDirectory:
    """A directory that answers from memory where it may; the contract is that of `directory_assistance.directory`.

    Args:
        inner: the directory that knows. Closed with this one.
        lifetimes: how long its answers are good.
        monotonic: the clock of deadlines and ages, in seconds.

    """

    def __init__(
        self,
        inner: Directory,
        lifetimes: Lifetimes = Lifetimes(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        unwatched = lifetimes.unwatched.total_seconds()
        unsupported = lifetimes.unsupported.total_seconds()
        self._inner = inner
        self._monotonic = monotonic
        self._hit = Lifetime(lifetimes.live_hits.total_seconds(), unwatched)
        self._miss = Lifetime(lifetimes.live_misses.total_seconds(), unwatched)
        self._unsupported = Lifetime(unsupported, unsupported)
        self._lock = threading.Lock()  # of everything below; never held while the directory is asked
        self._hits: Shelf[LookUp] = Shelf(_HITS_OCTETS)
        self._misses: Shelf[LookUp] = Shelf(_MISSES_OCTETS)
        self._groups: Shelf[tuple[Group, ...]] = Shelf(_GROUPS_OCTETS)
        self._of_persons: Shelf[PersonGroups] = Shelf(_GROUPS_OCTETS)
        self._look_up_flights: dict[Hashable, _Flight[LookUp]] = {}
        self._group_flights: dict[Hashable, _Flight[tuple[Group, ...]]] = {}
        self._person_flights: dict[Hashable, _Flight[PersonGroups]] = {}
        self._watch: Watch | None = None
        self._hit_count = self._miss_count = self._shared_count = self._purged_count = 0

    @property
    def inner(self) -> Directory:
        """The directory that knows; for whoever must have an answer that nobody remembered (`explain`)."""
        return self._inner

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        return self._inner.domain

    @property
    def counts(self) -> CacheCounts:
        """What happened so far."""
        with self._lock:
            return CacheCounts(
                hits=self._hit_count,
                misses=self._miss_count,
                shared=self._shared_count,
                purged=self._purged_count,
            )

    # --- the questions

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`; see `directory_assistance.directory`."""

        def place(found: LookUp) -> _Place[LookUp]:
            hit = bool(found.entries)
            told = self._hit if hit else self._miss
            return _Place(
                shelf=self._hits if hit else self._misses,
                lifetime=told if found.supported else self._unsupported,
                octets=octets_of_look_up(candidate, found),
                tags=tags_of_look_up(candidate, found),
            )

        return self._answer(
            _Question(
                key=key_of_look_up(candidate, limit),
                shelves=(self._hits, self._misses),
                flights=self._look_up_flights,
                ask=lambda: self._inner.find_entries(candidate, limit=limit, deadline=deadline),
                place=place,
            ),
            deadline,
        )

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members` as a direct member, sorted by name, of every type."""

        def place(found: tuple[Group, ...]) -> _Place[tuple[Group, ...]]:
            return _Place(
                shelf=self._groups,
                lifetime=self._hit if found else self._miss,
                octets=octets_of_groups(members, len(found)),
            )

        return self._answer(
            _Question(
                key=key_of_groups(members),
                shelves=(self._groups,),
                flights=self._group_flights,
                ask=lambda: self._inner.find_groups(members, deadline=deadline),
                place=place,
            ),
            deadline,
        )

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups of somebody who may be listed as any of `members`: at least the direct ones."""

        def place(found: PersonGroups) -> _Place[PersonGroups]:
            return _Place(
                shelf=self._of_persons,
                lifetime=self._hit if found.groups else self._miss,
                octets=octets_of_groups(members, len(found.groups)),
            )

        return self._answer(
            _Question(
                key=key_of_groups(members),
                shelves=(self._of_persons,),
                flights=self._person_flights,
                ask=lambda: self._inner.find_groups_of_person(members, deadline=deadline),
                place=place,
            ),
            deadline,
        )

    # --- change

    def purge(self, change: Change) -> int:
        """Forget what a change could alter; return how many answers that were.

        1. Every group answer: a change does not say whether it was of a group, nor of whose.
        2. With `everything`, everything else.
        3. Every look-up whose candidate asks for one of the facts, or by a filter; every one that returned the entry
           of that unique id, or an entry without one, or too many to be told.
        4. Without a unique id, every look-up that returned anybody: nobody knows whose entry it was before.
        5. Questions under way are joined by nobody any more, and their answers are not kept.

        Never waits for the directory.
        """
        with self._lock:
            dropped = self._groups.clear() + self._of_persons.clear()  # 1
            if change.everything:  # 2
                dropped += self._hits.clear() + self._misses.clear()
            else:
                if change.unique_id is None:  # 4
                    dropped += self._hits.clear()
                tags = tags_of_change(change)
                dropped += self._hits.drop(tags) + self._misses.drop(tags)  # 3
            self._detach_flights()  # 5
            self._purged_count += dropped
        return dropped

    def watch(self, on_change: OnChange) -> Watch | None:
        """Watch the directory: each change is first forgotten here, then told on. None where it needs no watch."""

        def purge_and_tell(change: Change) -> None:
            self.purge(change)
            on_change(change)

        inner = self._inner.watch(purge_and_tell)
        if inner is None:
            return None
        self._watch = inner
        return _PassedOn(inner, self._end_watch)

    def check(self, *, deadline: float) -> None:
        """Ask the directory itself; nothing of this is remembered."""
        self._inner.check(deadline=deadline)

    def close(self) -> None:
        """Close the directory, and forget everything: a closed directory answers nobody."""
        self._inner.close()
        with self._lock:
            for shelf in (self._hits, self._misses):
                shelf.clear()
            self._groups.clear()
            self._of_persons.clear()
            self._detach_flights()

    @property
    def host_statuses(self) -> tuple[HostStatus, ...]:
        """How the servers of the directory stand, as far as it tells (`KnowsHosts`)."""
        return self._inner.host_statuses if isinstance(self._inner, KnowsHosts) else ()

    # --- one question

    def _answer(self, question: _Question[Answer], deadline: float) -> Answer:
        """Answer from memory, or with somebody else's question, or by asking.

        Raises:
            DirectoryUnavailable: the deadline has passed, or passed while waiting for somebody else's question.
            DirectoryFault: the directory could not answer; the one who asked and everybody who waited get it.

        """
        while True:
            now, live = self._monotonic(), self._is_live()
            if now >= deadline:
                raise DirectoryUnavailable(self.domain, "no time left to ask")
            with self._lock:
                kept = self._find_kept(question, now, live=live)
                if kept is not None:
                    self._hit_count += 1
                    return kept.answer
                flight = question.flights.get(question.key)
                joined = flight is not None and self._may_join(flight, now, live=live)
                if flight is None or not joined:
                    flight = question.flights[question.key] = _Flight(now, live=live)
                    self._miss_count += 1
                else:
                    self._shared_count += 1
            if not joined:
                return self._lead(question, flight)
            answer = self._wait(flight, deadline - now)
            if answer is not None:
                return answer

    def _find_kept(self, question: _Question[Answer], now: float, *, live: bool) -> Kept[Answer] | None:
        for shelf in question.shelves:
            kept = shelf.find(question.key)
            if kept is None:
                continue
            if kept.lifetime.holds(now - kept.asked_at, live=live and kept.live):
                return kept
            shelf.remove(question.key)
        return None

    def _may_join(self, flight: _Flight[Answer], now: float, *, live: bool) -> bool:
        """Whether a question is so young that its answer could be given from memory; a watched one always is."""
        return (live and flight.live) or self._miss.holds(now - flight.asked_at, live=False)

    def _lead(self, question: _Question[Answer], flight: _Flight[Answer]) -> Answer:
        """Put a question, for oneself and for everybody who joins; keep the answer if it still belongs to now."""
        place: _Place[Answer] | None = None
        try:
            answer = question.ask()
            place = question.place(answer)
            flight.answer = answer
        except DirectoryFault as fault:
            flight.fault = fault
            raise
        finally:
            self._land(question, flight, place)
        return answer

    def _land(
        self,
        question: _Question[Answer],
        flight: _Flight[Answer],
        place: _Place[Answer] | None,
    ) -> None:
        with self._lock:
            attached = question.flights.get(question.key) is flight
            if attached:
                del question.flights[question.key]
            if (
                attached
                and place is not None
                and flight.answer is not None
                and place.lifetime.holds(0, live=flight.live)
            ):
                for shelf in question.shelves:  # one answer to one question
                    shelf.remove(question.key)
                kept = Kept(
                    answer=flight.answer,
                    asked_at=flight.asked_at,
                    live=flight.live,
                    lifetime=place.lifetime,
                    octets=place.octets,
                    tags=place.tags,
                )
                place.shelf.put(question.key, kept)
        flight.landed.set()

    def _wait(self, flight: _Flight[Answer], seconds: float) -> Answer | None:
        """Wait for somebody else's question; None where it ended in a bug, which everybody then meets alone."""
        if not flight.landed.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise DirectoryUnavailable(
                self.domain, "no time left to wait for the same question of another request"
            )
        if flight.fault is not None:
            # One of one's own: a traceback that several threads write to is nobody's.
            raise type(flight.fault)(flight.fault.domain, flight.fault.problem) from flight.fault
        return flight.answer

    def _is_live(self) -> bool:
        watch = self._watch
        return watch is not None and watch.status.state is WatchState.LIVE

    def _detach_flights(self) -> None:
        self._look_up_flights.clear()
        self._group_flights.clear()
        self._person_flights.clear()

    def _end_watch(self) -> None:
        self._watch = None


class _PassedOn:
    """The watch of the directory behind; closed, it counts as no watch whatever that one says."""

    __slots__ = ("_end", "_inner")

    def __init__(self, inner: Watch, end: Callable[[], None]) -> None:
        self._inner = inner
        self._end = end

    @property
    def status(self) -> WatchStatus:
        """How it stands now."""
        return self._inner.status

    def close(self) -> None:
        """Stop watching; nothing is told afterwards."""
        self._end()
        self._inner.close()
