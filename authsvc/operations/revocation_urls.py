"""Revocation lists from URLs: who fetches, when, and what becomes of what was fetched.

What lives here: the schedule, the background threads, taking a list or saying why not. What does not: the exchange
(`fetching.py`), what a list means (`trust/`), which distribution points there are (`distribution_points.py`).

One process of a machine fetches: the one that holds the lock of the cache. It writes what it fetched into the cache,
and takes it from there, as all the others do. Invariants:

* Nothing here is on the way of a request: a decision uses the lists that are there.
* A list replaces another only if it was read whole, signed by an authority that we know (of a distribution point: by
  its own issuer), current, and not older (threats T34, T37, T42). Else the last good one stays, and the reason is told.
* The next question comes at a random moment between a half and three quarters of what is left of the list's life, or
  sooner; after a failure sooner, then later and later; never twice within `minimum`, never after more than `maximum`.
* A clock that was set back does not stop the questions.

Logs `revocation_fetch_failed`, for a defect; what servers do wrong is a problem of the source.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from mmap import mmap
from pathlib import Path
from typing import Final

from authsvc.operations.distribution_points import DistributionPoints, Point
from authsvc.operations.fetch_connections import Network
from authsvc.operations.fetching import Fetched, Fetcher, FetchFault, FetchPolicy, read_url
from authsvc.operations.indexing import index_in_process
from authsvc.operations.list_indexes import INDEXED_ELSEWHERE, goes_back, open_list
from authsvc.operations.revocation_cache import Record, RevocationCache, Stamp
from authsvc.operations.revocation_files import older_list
from authsvc.operations.revocation_states import ListState, SourceKind
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, index_crl
from directory_assistance.errors import shorten

__all__ = ["FetchSettings", "FetchedLists", "RefreshSettings", "next_attempt"]

_LOG = logging.getLogger("authsvc.revocation")

_MOST_AT_A_TIME: Final = 4
"""Lists being fetched at one time: a server that hangs must not keep the others waiting, nor a hundred threads run."""

_STOP_SECONDS: Final = 5.0
"""How long an exchange may take to end once its connection was taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """How often: two questions to one source are at least `minimum` apart, and at most `maximum`."""

    minimum: timedelta = timedelta(seconds=60)
    maximum: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """What every exchange may cost, and whom it may reach; the hosts are each source's own."""

    timeout: timedelta = timedelta(seconds=10)
    maximum_octets: int = 100 * 1024 * 1024
    private_networks: tuple[Network, ...] = ()
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A source to be fetched: its name, its URL, who may be called, and of a distribution point its issuer."""

    source: str
    url: str
    hosts: frozenset[str]
    point: Point | None = None

    @property
    def kind(self) -> SourceKind:
        return SourceKind.URL if self.point is None else SourceKind.DISTRIBUTION_POINT


def next_attempt(
    record: Record, held: RevocationList | None, settings: RefreshSettings, *, now: datetime, chance: float
) -> datetime:
    """Return when to ask again.

    Args:
        record: what came of the last question.
        held: the list at hand.
        settings: the bounds.
        now: aware.
        chance: between 0 and 1, another one each time, so that many services do not ask at one moment.

    """
    left = timedelta(0) if held is None else max(held.next_update - now, timedelta(0))
    if not record.failing:
        wanted = left * (0.5 + 0.25 * chance)
    else:
        # Twice as long after each failure, but within a quarter of what is left of the list.
        backed_off = settings.minimum * 2 ** min(record.failing - 1, 16)
        wanted = (min(backed_off, left / 4) if left else backed_off) * (0.75 + 0.25 * chance)
    return now + min(max(wanted, settings.minimum), settings.maximum)


class FetchedLists:
    """The lists of configured URLs and of distribution points. `poll` is for one thread at a time.

    Args:
        urls: the configured ones.
        cache: what every process of this machine shares.
        points: the distribution points.
        fetcher: calls servers.
        fetching: what that may cost.
        refresh: how often.
        now: the wall clock, UTC.
        chance: returns a number between 0 and 1.

    """

    def __init__(  # noqa: PLR0913 - each argument is one part
        self,
        urls: Sequence[str],
        cache: RevocationCache,
        *,
        points: DistributionPoints,
        fetcher: Fetcher,
        fetching: FetchSettings,
        refresh: RefreshSettings,
        now: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self._configured = tuple(
            _Wanted(source=url, url=url, hosts=frozenset({read_url(url).entry})) for url in urls
        )
        self._cache = cache
        self._points = points
        self._fetcher = fetcher
        self._fetching = fetching
        self._refresh = refresh
        self._now = now
        self._chance = chance
        self._stamps: dict[str, Stamp | None] = {}
        self._states: dict[str, ListState] = {each.source: _unfetched(each) for each in self._configured}
        self._due: dict[str, datetime] = {}
        self._hurry: set[str] = set()
        self._begun: dict[str, datetime] = {}
        self._running: dict[str, threading.Thread] = {}
        self._closed = False

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
        wanted = (*self._configured, *map(self._wanted, self._points.points))
        self._states = {each.source: self._look(each, known, again=authorities_changed) for each in wanted}
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

    def _wanted(self, point: Point) -> _Wanted:
        return _Wanted(
            source=point.source, url=point.url, hosts=frozenset({read_url(point.url).entry}), point=point
        )

    # -------------------------------------------------------------------------------- taking what was fetched

    def _look(self, wanted: _Wanted, issuers: Sequence[CertificateFacts], *, again: bool) -> ListState:
        """Return the state of one source by its record: as before where nothing changed and it is not read `again`."""
        before = self._states.get(wanted.source) or _unfetched(wanted)
        stamp = self._cache.record_stamp(wanted.source)
        if stamp == self._stamps.get(wanted.source) and not again:
            return before
        record = self._cache.read_record(wanted.source)
        self._stamps[wanted.source] = stamp
        if record is None:
            return before
        if record.due is not None:
            self._due[wanted.source] = record.due
        state = replace(
            before,
            problem=record.problem or ("" if record.digest else _unfetched(wanted).problem),
            attempted=record.attempted,
            succeeded=record.succeeded,
            successes=record.successes,
            failures=record.failures,
        )
        if not record.digest or (record.digest == before.digest and not again):
            return state
        return self._taken(wanted, state, record, issuers)

    def _taken(
        self, wanted: _Wanted, state: ListState, record: Record, issuers: Sequence[CertificateFacts]
    ) -> ListState:
        index = self._cache.find_index(record.digest, record.index_digest)
        if index is None:
            self._hurry.add(wanted.source)
            return replace(state, problem=state.problem or f"`{wanted.url}`: its index is lost")
        try:
            held = self._opened(wanted, index, issuers)
        except TrustMaterialError as error:
            return replace(state, problem=str(error))
        if state.held is not None and goes_back(held, state.held):
            return replace(state, problem=older_list(wanted.url, held, state.held))
        return replace(state, held=held, digest=record.digest)

    def _opened(
        self, wanted: _Wanted, index: bytes | mmap, issuers: Sequence[CertificateFacts]
    ) -> RevocationList:
        """Make a list of its index; of a distribution point it must be its issuer's.

        Raises:
            TrustMaterialError: nobody known signed it, or not the one who had to.

        """
        if wanted.point is None:
            return open_list(index, issuers, source=wanted.url)
        whose = f"not `{wanted.point.issuer.subject_text}`, whose certificates or lists name this place"
        return open_list(index, (wanted.point.issuer,), source=wanted.url, whose=whose)

    # ---------------------------------------------------------------------------------------------- fetching

    def _begin(self, wanted: Sequence[_Wanted], issuers: Sequence[CertificateFacts]) -> None:
        """Start a thread for each source that is due, as many as may run."""
        self._running = {source: each for source, each in self._running.items() if each.is_alive()}
        now = self._now()
        for each in wanted:
            if self._closed or len(self._running) >= _MOST_AT_A_TIME:
                return
            if each.source not in self._running and self._is_due(each.source, now):
                self._hurry.discard(each.source)
                self._begun[each.source] = now
                # Until the record says more: a thread that dies must not make us ask without a pause.
                self._due[each.source] = now + self._refresh.minimum
                held = self._states[each.source].held
                thread = threading.Thread(
                    target=self._fetch, args=(each, held, issuers), name="list-fetching", daemon=True
                )
                self._running[each.source] = thread
                thread.start()

    def _is_due(self, source: str, now: datetime) -> bool:
        begun, due = self._begun.get(source), self._due.get(source)
        if begun is not None and begun <= now < begun + self._refresh.minimum:
            return False
        # One that is further away than it can be was written by another clock.
        return due is None or due <= now or due > now + self._refresh.maximum or source in self._hurry

    def _fetch(
        self, wanted: _Wanted, held: RevocationList | None, issuers: Sequence[CertificateFacts]
    ) -> None:
        """Ask once, and write down what came of it; the whole work of a thread."""
        record = self._cache.read_record(wanted.source) or Record(source=wanted.source)
        if wanted.point is not None:
            record = replace(record, issuer=wanted.point.issuer.der, anchor=wanted.point.anchor)
        try:
            record, held = self._ask(wanted, record, held, issuers)
        except (FetchFault, TrustMaterialError) as error:
            record = self._failed(record, str(error))
        except OSError as error:
            where = f"`{self._cache.folder}`: the list cannot be kept"
            record = self._failed(record, f"{where}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - see below
            # The outermost handler of this thread: a defect must be seen, and the source asked again no sooner than
            # after any other failure.
            _LOG.exception("revocation_fetch_failed", extra={"source": wanted.source})
            record = self._failed(record, f"`{wanted.url}`: a defect: {shorten(str(error))}")
        if self._closed:
            return
        due = next_attempt(record, held, self._refresh, now=self._now(), chance=self._chance())
        with suppress(OSError):
            self._cache.write_record(replace(record, due=due))
            self._cache.tidy(self._now())

    def _failed(self, record: Record, problem: str) -> Record:
        return replace(
            record,
            attempted=self._now(),
            failures=record.failures + 1,
            failing=record.failing + 1,
            problem=problem,
        )

    def _ask(
        self,
        wanted: _Wanted,
        record: Record,
        held: RevocationList | None,
        issuers: Sequence[CertificateFacts],
    ) -> tuple[Record, RevocationList]:
        """Fetch, index, judge.

        1. Fetch into a file. What the last good list was told by is asked with only while that list is at hand.
        2. The same list as before: nothing to do.
        3. Index it, in another process if it is large.
        4. It must be signed by whoever had to, not older, and current.
        5. Keep the index.
        """
        policy = FetchPolicy(
            hosts=wanted.hosts,
            private_networks=self._fetching.private_networks,
            timeout=self._fetching.timeout,
            maximum_octets=self._fetching.maximum_octets,
        )
        known = held is not None
        with self._cache.scratch() as file, self._cache.scratch() as made:
            # 1
            with file.open("wb") as into:
                fetched = self._fetcher.get(
                    wanted.url,
                    policy,
                    into=into,
                    etag=record.etag if known else "",
                    last_modified=record.last_modified if known else "",
                )
            # 2
            if fetched.unchanged and held is not None:
                return _answered(record, fetched, self._now()), held
            # 3
            if not fetched.octets:
                raise TrustMaterialError(f"`{wanted.url}`: expected a revocation list, found nothing")
            if fetched.octets > INDEXED_ELSEWHERE:
                with self._cache.indexing():  # each such process takes memory: one at a time
                    digest = _indexed_elsewhere(wanted.url, file, made, self._fetching.maximum_octets)
                index = made.read_bytes()
            else:
                octets = file.read_bytes()
                digest = hashlib.sha256(octets).hexdigest()
                index = _indexed(wanted.url, octets)
        # 4
        found = self._opened(wanted, index, issuers)
        now = self._now()
        if held is not None and goes_back(found, held):
            raise TrustMaterialError(older_list(wanted.url, found, held))
        if not found.is_current(now):
            begins, ends = found.this_update.isoformat(), found.next_update.isoformat()
            problem = f"`{wanted.url}`: expected a current list, found one from {begins} to {ends}"
            if held is not None and held.is_current(now):
                raise TrustMaterialError(problem)
        else:
            problem = ""
        # 5
        self._cache.keep_index(digest, index)
        record = replace(
            _answered(record, fetched, now),
            digest=digest,
            index_digest=hashlib.sha256(index).hexdigest(),
            problem=problem,
        )
        return record, found


def _unfetched(wanted: _Wanted) -> ListState:
    return ListState(source=wanted.source, kind=wanted.kind, problem=f"`{wanted.url}`: not fetched yet")


def _indexed(url: str, octets: bytes) -> bytes:
    try:
        return index_crl(octets)
    except TrustMaterialError as error:
        raise TrustMaterialError(f"`{url}`: {error}") from error


def _indexed_elsewhere(url: str, file: Path, made: Path, limit: int) -> str:
    try:
        return index_in_process(file, made, maximum_octets=limit)
    except TrustMaterialError as error:
        raise TrustMaterialError(f"`{url}`: {error}") from error


def _answered(record: Record, fetched: Fetched, now: datetime) -> Record:
    return replace(
        record,
        attempted=now,
        succeeded=now,
        successes=record.successes + 1,
        failing=0,
        problem="",
        etag=fetched.etag,
        last_modified=fetched.last_modified,
    )
