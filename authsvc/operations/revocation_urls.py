"""Revocation lists from URLs: whose turn it is to be fetched, by which process, and taking what was fetched.

What lives here: the turns, the background threads, taking a list from the cache or saying why not. What does not: one
attempt (`list_fetching.py`), which distribution points there are (`distribution_points.py`), what a list means
(`trust/`).

One process of a machine fetches: the one that holds the lock of the cache. It writes what it fetched into the cache,
and takes it from there, as all the others do. Invariants:

* Nothing here is on the way of a request: a decision uses the lists that are there.
* What is taken from the cache is judged like what comes from anywhere else: signed by an authority that this process
  knows, and not older than what it has.
* A source is never asked twice within `minimum`, and a clock that was set back does not stop the questions.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from authsvc.operations.distribution_points import DistributionPoints, Point
from authsvc.operations.fetching import read_url
from authsvc.operations.list_fetching import FetchedSource, ListFetcher, RefreshSettings, open_fetched
from authsvc.operations.list_indexes import goes_back, older_list
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_records import Record, Stamp
from authsvc.operations.revocation_states import ListState, SourceKind
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts

__all__ = ["FetchedLists"]

_MOST_AT_A_TIME: Final = 4
"""Lists being fetched at one time: a server that hangs must not keep the others waiting, nor a hundred threads run."""

_STOP_SECONDS: Final = 5.0
"""How long an exchange may take to end once its connection was taken away."""


class FetchedLists:
    """The lists of configured URLs and of distribution points. `poll` is for one thread at a time.

    Args:
        urls: the configured ones.
        cache: what every process of this machine shares.
        points: the distribution points.
        fetcher: makes attempts.
        refresh: how often.
        now: the wall clock, UTC.

    """

    def __init__(  # noqa: PLR0913 - each argument is one part
        self,
        urls: Sequence[str],
        cache: RevocationCache,
        *,
        points: DistributionPoints,
        fetcher: ListFetcher,
        refresh: RefreshSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._configured = tuple(
            FetchedSource(name=url, url=url, hosts=frozenset({read_url(url).entry})) for url in urls
        )
        self._cache = cache
        self._points = points
        self._fetcher = fetcher
        self._refresh = refresh
        self._now = now
        self._stamps: dict[str, Stamp | None] = {}
        self._states: dict[str, ListState] = {each.name: _unfetched(each) for each in self._configured}
        self._due: dict[str, datetime] = {}
        self._hurry: set[str] = set()
        self._begun: dict[str, datetime] = {}
        self._running: dict[str, threading.Thread] = {}
        self._closed = False

    @property
    def fetches(self) -> Mapping[tuple[str, ...], int]:
        """How often this process fetched: `ListFetcher.counts`."""
        return dict(self._fetcher.counts)

    @property
    def states(self) -> tuple[ListState, ...]:
        """Every source, configured ones first."""
        return tuple(self._states.values())

    def poll(
        self,
        issuers: Iterable[CertificateFacts],
        *,
        authorities_changed: bool = False,
        fetching: bool = False,
    ) -> None:
        """Take what was fetched since the last look, and begin to fetch what is due.

        Args:
            issuers: the authorities that may have signed lists.
            authorities_changed: whether they are others than the last time.
            fetching: whether this process may fetch, if no other one of this machine does.

        """
        known = tuple(issuers)
        self._points.poll()
        wanted = (*self._configured, *map(_source_of, self._points.points))
        self._states = {each.name: self._look(each, known, again=authorities_changed) for each in wanted}
        self._points.serve(frozenset(each.source for each in self.states if each.held is not None))
        if authorities_changed:
            # What nobody could check before may be good now.
            self._hurry |= {each.source for each in self.states if each.problem}
        if fetching and wanted and self._cache.take_lock():
            self._begin(wanted, known)

    def close(self) -> None:
        """Stop fetching."""
        self._closed = True
        self._fetcher.close()
        for thread in self._running.values():
            thread.join(_STOP_SECONDS)

    # -------------------------------------------------------------------------------- taking what was fetched

    def _look(self, source: FetchedSource, issuers: Sequence[CertificateFacts], *, again: bool) -> ListState:
        """Return the state of one source by its record: as before where nothing changed and it is not read `again`."""
        before = self._states.get(source.name) or _unfetched(source)
        stamp = self._cache.record_stamp(source.name)
        if stamp == self._stamps.get(source.name) and not again:
            return before
        record = self._cache.read_record(source.name)
        self._stamps[source.name] = stamp
        if record is None:
            return before
        if record.due is not None:
            self._due[source.name] = record.due
        state = replace(
            before,
            problem=record.problem or ("" if record.digest else _unfetched(source).problem),
            attempted=record.attempted,
            succeeded=record.succeeded,
            successes=record.successes,
            failures=record.failures,
        )
        if not record.digest or (record.digest == before.digest and not again):
            return state
        return self._taken(source, state, record, issuers)

    def _taken(
        self, source: FetchedSource, state: ListState, record: Record, issuers: Sequence[CertificateFacts]
    ) -> ListState:
        index = self._cache.find_index(record.digest, record.index_digest)
        if index is None:
            self._hurry.add(source.name)
            return replace(state, problem=state.problem or f"`{source.url}`: its index is lost")
        try:
            held = open_fetched(source, index, issuers)
        except TrustMaterialError as error:
            return replace(state, problem=str(error))
        if state.held is not None and goes_back(held, state.held):
            return replace(state, problem=older_list(source.url, held, state.held))
        return replace(state, held=held, digest=record.digest)

    # ---------------------------------------------------------------------------------------------- fetching

    def _begin(self, sources: Sequence[FetchedSource], issuers: Sequence[CertificateFacts]) -> None:
        """Start a thread for each source that is due, as many as may run."""
        self._running = {name: thread for name, thread in self._running.items() if thread.is_alive()}
        now = self._now()
        for each in sources:
            if self._closed or len(self._running) >= _MOST_AT_A_TIME:
                return
            if each.name not in self._running and self._is_due(each.name, now):
                self._hurry.discard(each.name)
                self._begun[each.name] = now
                # Until the record says more: one that cannot be written must not make us ask without a pause.
                self._due[each.name] = now + self._refresh.minimum
                thread = threading.Thread(
                    target=self._fetcher.attempt,
                    args=(each, self._states[each.name].held, issuers),
                    name="list-fetching",
                    daemon=True,
                )
                self._running[each.name] = thread
                thread.start()

    def _is_due(self, source: str, now: datetime) -> bool:
        begun, due = self._begun.get(source), self._due.get(source)
        if begun is not None and begun <= now < begun + self._refresh.minimum:
            return False
        # One that is further away than it can be was written by another clock.
        return due is None or due <= now or due > now + self._refresh.maximum or source in self._hurry


def _source_of(point: Point) -> FetchedSource:
    return FetchedSource(
        name=point.source, url=point.url, hosts=frozenset({read_url(point.url).entry}), point=point
    )


def _unfetched(source: FetchedSource) -> ListState:
    kind = SourceKind.URL if source.point is None else SourceKind.DISTRIBUTION_POINT
    return ListState(source=source.name, kind=kind, problem=f"`{source.url}`: not fetched yet")
