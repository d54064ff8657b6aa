"""Every source of revocation lists together: files, directories, URLs, and what certificates name.

What lives here: what all of them say at one moment, as one snapshot, and what an operator should hear. What does not:
each kind (`revocation_files.py`, `revocation_urls.py`, `distribution_points.py`), anchors (`trust_files.py`).

INVARIANT: a source without a list is a problem in the snapshot, so that a certificate which only it could speak for is
undecided, never good. A distribution point without a list is none there, because it is known whose list is missing:
whoever notes the path is told.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from authsvc.operations.distribution_points import DistributionPoints
from authsvc.operations.fetching import Fetcher
from authsvc.operations.list_fetching import FetchSettings, ListFetcher, RefreshSettings
from authsvc.operations.list_indexes import signers_of
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_files import FileLists
from authsvc.operations.revocation_states import ListState, SourceKind, SourceStatus, life_warnings
from authsvc.operations.revocation_urls import FetchedLists
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import RevocationSnapshot, SourceProblem

__all__ = ["RevocationSettings", "RevocationSources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """Where lists come from.

    `paths`: files and directories. `urls`: http, https, ldap, ldaps. `hosts`: of distribution points, by the id of the
    trust anchor; `""` for what configured lists name. `grace`: how long a list counts after its next update. `cache`:
    the directory that remembers, None for none.
    """

    paths: tuple[Path, ...] = ()
    urls: tuple[str, ...] = ()
    hosts: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    fetch: FetchSettings = field(default_factory=FetchSettings)
    refresh: RefreshSettings = field(default_factory=RefreshSettings)
    grace: timedelta = timedelta(0)
    cache: Path | None = None


class RevocationSources:
    """All sources. `poll` is for one thread at a time; `note`, `statuses` and `snapshot` for any.

    Args:
        settings: which sources.
        now: the wall clock, UTC.
        serving: whether this process may write into the cache, and fetch.
        fetcher: calls servers; None for one of its own.
        chance: returns a number between 0 and 1.

    """

    def __init__(
        self,
        settings: RevocationSettings,
        *,
        now: Callable[[], datetime],
        serving: bool = False,
        fetcher: Fetcher | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._now = now
        self._serving = serving
        self._cache = RevocationCache.open(settings.cache, writing=serving)
        self._points = DistributionPoints(settings.hosts, self._cache)
        self._files = FileLists(settings.paths, self._cache, grace=settings.grace)
        self._fetched = FetchedLists(
            settings.urls,
            self._cache,
            points=self._points,
            fetcher=ListFetcher(
                self._cache,
                fetcher=fetcher or Fetcher(ca_file=settings.fetch.ca_file),
                fetching=settings.fetch,
                refresh=settings.refresh,
                now=now,
                chance=chance,
            ),
            refresh=settings.refresh,
            now=now,
        )
        self._told: tuple[ListState, ...] = ()

    @property
    def states(self) -> tuple[ListState, ...]:
        """Every source, files first."""
        return (*self._files.states, *self._fetched.states)

    def poll(
        self,
        issuers: Iterable[CertificateFacts],
        *,
        authorities_changed: bool = False,
        first: bool = False,
    ) -> None:
        """Look at every file and at what was fetched; begin to fetch what is due.

        Args:
            issuers: the authorities that may have signed lists.
            authorities_changed: whether they are others than the last time.
            first: whether this is the look before the first decision: then large files are waited for, and nothing
                is fetched.

        """
        known = tuple(issuers)
        self._files.poll(known, now=self._now(), authorities_changed=authorities_changed, waiting=first)
        self._fetched.poll(
            known, authorities_changed=authorities_changed, fetching=self._serving and not first
        )
        states = self.states
        if states != self._told:
            self._told = states
            self._note_deltas(known)

    def snapshot(self) -> RevocationSnapshot:
        """Return what decisions read."""
        states = self.states
        return RevocationSnapshot.of(
            (each.held for each in states if each.held is not None),
            (
                SourceProblem(source=each.source, problem=each.problem)
                for each in states
                if each.held is None and each.kind is not SourceKind.DISTRIBUTION_POINT
            ),
            grace=self._settings.grace,
        )

    def note(self, verified: VerifiedCertificate) -> str:
        """Learn from a proven path, and say which of its places has no list yet: `DistributionPoints.note`."""
        return self._points.note(verified)

    def statuses(self, now: datetime) -> tuple[SourceStatus, ...]:
        """Return how every source stands at an instant."""
        return tuple(SourceStatus.of(each, now=now, grace=self._settings.grace) for each in self.states)

    @property
    def fetches(self) -> Mapping[tuple[str, ...], int]:
        """How often this process fetched, by source and `success` or `failure`."""
        return self._fetched.fetches

    def warnings(self, now: datetime) -> list[str]:
        """Return what an operator should see to."""
        found = [each for each in (self._cache.problem, self._points.problem) if each]
        for status in self.statuses(now):
            if status.problem:
                kept = "" if status.issuer is None else "; the list read before is kept"
                found.append(status.problem + kept)
            found += life_warnings(status, now=now, grace=self._settings.grace)
        return found

    def close(self) -> None:
        """Stop fetching, and let another process of this machine do it."""
        self._fetched.close()
        self._files.close()
        self._cache.close()

    def _note_deltas(self, issuers: tuple[CertificateFacts, ...]) -> None:
        """Learn where the lists at hand say that their delta lists are."""
        if not self._points.enabled:
            return
        points = {each.source: each for each in self._points.points}
        for state in self.states:
            urls = () if state.held is None else state.held.freshest_urls
            if state.held is None or not urls:
                continue
            point = points.get(state.source)
            if point is not None:
                self._points.note_delta(urls, point.issuer, point.anchor)
            for issuer in signers_of(state.held, issuers):
                self._points.note_delta(urls, issuer, "")
