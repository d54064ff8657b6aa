"""The directories being watched: how each watch stands, how many changes were told, and what follows from both.

What lives here: starting a watch on every enabled directory, counting what they tell, one log event for each change
of state, and how long a verdict may live that rests on a directory whose changes nobody tells. What does not: how a
change is told (`directory_assistance.watching`), what a directory's own memory forgets (`backends/caching.py`), and
what a change does to cached verdicts (`service.py`, by the epoch).

Invariants:

* `changes` grows after the memory of the directory has forgotten, and before the watch tells anything more. Whoever
  reads it, and then asks, gets an answer that is at least as new as every change counted.
* A change told is counted whatever it is of: nobody knows which verdicts the change of a group touches.
* What rests on a directory that tells no changes is at most `SEEN_WITHIN` old in all: its memory and the verdict
  made of it share that time.
* A domain whose configuration says that it is not watched is not bounded here: the cache time is what its operator
  chose.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, assert_never

from directory_assistance.backends import REMEMBERED
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain
from directory_assistance.watching import Change, Watch, WatchState, WatchStatus

__all__ = ["SEEN_WITHIN", "DomainWatch", "Watches", "verdict_lifetimes", "warnings"]

_LOG = logging.getLogger("authsvc.watches")

SEEN_WITHIN: Final = timedelta(seconds=5)
"""Within which a change counts that a directory cannot tell: short enough for somebody who was just removed, long
enough that a person who clicks through a page is looked up once."""

_VERDICT_LIFETIME: Final = SEEN_WITHIN - REMEMBERED.unwatched
"""Of a verdict that rests on such a directory: the rest of that time is its memory's."""

_OFF: Final = WatchStatus(state=WatchState.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainWatch:
    """How the watch of a domain stands, and how many changes it has told."""

    domain: str
    status: WatchStatus
    changes: int

    @property
    def is_blind(self) -> bool:
        """Whether changes could be told and are not."""
        match self.status.state:
            case WatchState.LIVE | WatchState.OFF:
                return False
            case WatchState.STARTING | WatchState.LOST | WatchState.UNSUPPORTED:
                return True
            case _ as unreachable:
                assert_never(unreachable)


class _Watched:
    """One domain. `watch` is None where the configuration says that it is not watched."""

    __slots__ = ("changes", "domain", "logged", "watch")

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.watch: Watch | None = None
        self.changes = 0
        self.logged = WatchState.STARTING

    @property
    def status(self) -> WatchStatus:
        return _OFF if self.watch is None else self.watch.status


class Watches:
    """The watches of all directories of one configuration.

    Args:
        assistance: the open directories.
        off: the domains that are not watched, by configuration.
        wake: called when the state of a watch may have changed; from any thread, must not block.

    Attributes:
        changes: how many changes all directories have told; reading it costs nothing.

    """

    def __init__(
        self,
        assistance: DirectoryAssistance,
        *,
        off: frozenset[str] = frozenset(),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.changes = 0
        self._off = off
        self._wake = wake
        self._lock = threading.Lock()  # of the counters: each watch tells from a thread of its own
        self._watched: tuple[_Watched, ...] = ()
        self._pending = [
            each for each in assistance.every_domain if isinstance(each, PrimaryDomain) or each.enabled
        ]

    def start(self) -> None:
        """Begin to watch every enabled directory that needs it; a second time does nothing.

        A directory that returns no watch changes never, or somebody else sees to it (the generation of an sql
        directory): it is not among the watched, and bounds nothing. What fails here is a bug; the rest is begun with
        at the next call.
        """
        while self._pending:
            domain = self._pending[0]
            watched = _Watched(domain.domain)
            if domain.domain not in self._off:
                watched.watch = domain.directory.watch(self._teller(watched))
            if watched.watch is not None or domain.domain in self._off:
                self._watched = (*self._watched, watched)
            del self._pending[0]

    def close(self) -> None:
        """Stop watching; a second time does nothing."""
        for watched in self._watched:
            if watched.watch is not None:
                watched.watch.close()

    @property
    def domains(self) -> tuple[DomainWatch, ...]:
        """Every domain that is watched, or would be if its configuration let it, in the order of the configuration."""
        return tuple(
            DomainWatch(domain=each.domain, status=each.status, changes=each.changes)
            for each in self._watched
        )

    def observe(self) -> tuple[DomainWatch, ...]:
        """Return `domains`, and log each state that is another one than at the last look. Of one thread at a time."""
        domains = self.domains
        for watched, now in zip(self._watched, domains, strict=True):
            if watched.logged is not now.status.state:
                watched.logged = now.status.state
                _log(now)
        return domains

    def _teller(self, watched: _Watched) -> Callable[[Change], None]:
        def tell(change: Change) -> None:
            with self._lock:
                watched.changes += 1
                self.changes += 1
            if change.everything:  # so a watch tells that it has become live, or is lost
                self._wake()

        return tell


def verdict_lifetimes(domains: tuple[DomainWatch, ...]) -> Mapping[str, timedelta]:
    """Return how long a verdict may live that rests on a directory, for each domain where changes are not told."""
    return MappingProxyType({each.domain: _VERDICT_LIFETIME for each in domains if each.is_blind})


def warnings(domains: tuple[DomainWatch, ...], *, but: Collection[str] = ()) -> list[str]:
    """Return what an operator should know, of every domain but some; a watch that is starting is nothing to know."""
    return [
        f"changes in `{each.domain}` are seen within {SEEN_WITHIN.total_seconds():.0f} s only: "
        + (each.status.problem or f"its watch is {each.status.state}")
        for each in domains
        if each.status.state in {WatchState.LOST, WatchState.UNSUPPORTED} and each.domain not in but
    ]


def _log(now: DomainWatch) -> None:
    how, problem = now.status.how, now.status.problem
    match now.status.state:
        case WatchState.LIVE:
            _LOG.info("directory_watch_live", extra={"domain": now.domain, "how": how})
        case WatchState.LOST:
            _LOG.warning("directory_watch_lost", extra={"domain": now.domain, "how": how, "problem": problem})
        case WatchState.UNSUPPORTED:
            _LOG.warning(
                "directory_watch_unsupported", extra={"domain": now.domain, "how": how, "problem": problem}
            )
        case WatchState.STARTING | WatchState.OFF:
            pass
        case _ as unreachable:
            assert_never(unreachable)
