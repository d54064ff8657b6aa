"""One attempt to fetch a revocation list: asked, indexed, judged, kept, and when to ask again.

What lives here: what becomes of one answer. What does not: which sources there are, and whose turn it is
(`revocation_urls.py`), the exchange (`fetching.py`), what a list means (`trust/`).

Invariants:

* A list is kept only if it was read whole, signed by an authority that we know (of a distribution point: by its own
  issuer), current, and neither older than the one at hand nor of another kind or scope (threats T34, T37, T42). Else
  the last good one stays in the record, and the reason stands beside it.
* The next question comes at a random moment between a half and three quarters of what is left of the list's life;
  after a failure sooner, then later and later; never twice within `minimum`, never after more than `maximum`.

Logs `revocation_fetch_failed`, for a defect; what servers do wrong is a problem of the source.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from mmap import mmap
from pathlib import Path

from authsvc.operations.distribution_points import Point
from authsvc.operations.fetch_targets import Network
from authsvc.operations.fetching import Fetched, Fetcher, FetchFault, FetchPolicy
from authsvc.operations.indexing import index_in_process
from authsvc.operations.list_indexes import INDEXED_ELSEWHERE, goes_back, older_list, open_list
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_records import Record
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, index_crl
from directory_assistance.errors import shorten

__all__ = ["FetchSettings", "FetchedSource", "ListFetcher", "RefreshSettings", "next_attempt", "open_fetched"]

_LOG = logging.getLogger("authsvc.revocation")


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
class FetchedSource:
    """A source to be fetched: its name, its URL, who may be called, and of a distribution point the point."""

    name: str
    url: str
    hosts: frozenset[str]
    point: Point | None = None


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
    latest = settings.maximum * (0.75 + 0.25 * chance)
    return now + max(min(wanted, latest), settings.minimum)


def open_fetched(
    source: FetchedSource, index: bytes | mmap, issuers: Sequence[CertificateFacts]
) -> RevocationList:
    """Make a list of the index of what was fetched; of a distribution point it must be its issuer's.

    Raises:
        TrustMaterialError: nobody known signed it, or not the one who had to.

    """
    if source.point is None:
        return open_list(index, issuers, source=source.url)
    whose = f"not `{source.point.issuer.subject_text}`, whose certificates or lists name this place"
    return open_list(index, (source.point.issuer,), source=source.url, whose=whose)


class ListFetcher:
    """Makes attempts; several threads may at once, each with another source.

    `counts`: what this process attempted, by the name of the source and `success` or `failure`.

    Args:
        cache: where what was fetched is kept.
        fetcher: calls servers.
        fetching: what that may cost.
        refresh: how often.
        now: the wall clock, UTC.
        chance: returns a number between 0 and 1.

    """

    def __init__(  # noqa: PLR0913 - each argument is one part
        self,
        cache: RevocationCache,
        *,
        fetcher: Fetcher,
        fetching: FetchSettings,
        refresh: RefreshSettings,
        now: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._fetching = fetching
        self._refresh = refresh
        self._now = now
        self._chance = chance
        self._closed = False
        self.counts: Counter[tuple[str, ...]] = Counter()

    def close(self) -> None:
        """End every exchange; what comes of it is not written any more."""
        self._closed = True
        self._fetcher.close()

    def attempt(
        self, source: FetchedSource, held: RevocationList | None, issuers: Sequence[CertificateFacts]
    ) -> None:
        """Ask once, and write down what came of it; blocking, never raises.

        Args:
            source: what is fetched.
            held: the list at hand.
            issuers: the authorities that may have signed a configured one.

        """
        record = self._cache.read_record(source.name) or Record(source=source.name)
        if source.point is not None:
            record = replace(record, issuer=source.point.issuer.der, anchor=source.point.anchor)
        try:
            record, held = self._ask(source, record, held, issuers)
        except (FetchFault, TrustMaterialError) as error:
            record = self._failed(record, str(error))
        except OSError as error:
            where = f"`{self._cache.folder}`: the list cannot be kept"
            record = self._failed(record, f"{where}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - see below
            # The outermost handler of this thread: a defect must be seen, and the source asked again no sooner than
            # after any other failure.
            _LOG.exception("revocation_fetch_failed", extra={"source": source.name})
            record = self._failed(record, f"`{source.url}`: a defect: {shorten(str(error))}")
        if self._closed:
            return
        self.counts[source.name, "failure" if record.failing else "success"] += 1
        due = next_attempt(record, held, self._refresh, now=self._now(), chance=self._chance())
        with suppress(OSError):  # the cache tells it
            self._cache.write_record(replace(record, due=due))
            self._cache.tidy(self._now())

    def _ask(
        self,
        source: FetchedSource,
        record: Record,
        held: RevocationList | None,
        issuers: Sequence[CertificateFacts],
    ) -> tuple[Record, RevocationList]:
        """Fetch, index, judge.

        1. Fetch into a file. What the last good list was told by is asked with only while that list is at hand, here
           and, for other processes, in the cache.
        2. The same list as before: nothing to do.
        3. Index it, in another process if it is large.
        4. Judge it.
        5. Keep the index.
        """
        known = held is not None and self._cache.find_index(record.digest, record.index_digest) is not None
        with self._cache.scratch() as file, self._cache.scratch() as made:
            # 1
            with file.open("wb") as into:
                fetched = self._fetcher.get(
                    source.url,
                    self._policy(source),
                    into=into,
                    etag=record.etag if known else "",
                    last_modified=record.last_modified if known else "",
                )
            # 2
            if fetched.unchanged and held is not None:  # only who asked with something is told so
                return _answered(record, fetched, self._now()), held
            # 3
            try:
                digest, index = self._index(file, made, fetched.octets)
            except TrustMaterialError as error:
                raise TrustMaterialError(f"`{source.url}`: {error}") from error
        # 4
        found = open_fetched(source, index, issuers)
        problem = self._judge(source, found, held)
        # 5
        self._cache.keep_index(digest, index)
        answered = _answered(record, fetched, self._now())
        index_digest = hashlib.sha256(index).hexdigest()
        return replace(answered, digest=digest, index_digest=index_digest, problem=problem), found

    def _policy(self, source: FetchedSource) -> FetchPolicy:
        return FetchPolicy(
            hosts=source.hosts,
            private_networks=self._fetching.private_networks,
            timeout=self._fetching.timeout,
            maximum_octets=self._fetching.maximum_octets,
        )

    def _index(self, file: Path, made: Path, octets: int) -> tuple[str, bytes]:
        """Return the digest of a list's octets, and its index."""
        if not octets:
            raise TrustMaterialError("expected a revocation list, found nothing")
        if octets > INDEXED_ELSEWHERE:
            with self._cache.indexing():  # each such process takes memory: one at a time
                digest = index_in_process(file, made, maximum_octets=self._fetching.maximum_octets)
            return digest, made.read_bytes()
        content = file.read_bytes()
        return hashlib.sha256(content).hexdigest(), index_crl(content)

    def _judge(self, source: FetchedSource, found: RevocationList, held: RevocationList | None) -> str:
        """Refuse a list that must not take the place of the one at hand; return what is wrong with it nevertheless.

        A list that is not current takes the place of none, or of one that is not current either: what it revokes is
        revoked. Neither does one that speaks for other certificates, or says only what changed, take the place of a
        current one: what that one revokes would not be any more.

        Raises:
            TrustMaterialError: it is older, or of another kind or not current and the one at hand is current.

        """
        if held is not None and goes_back(found, held):
            raise TrustMaterialError(older_list(source.url, found, held))
        now = self._now()
        if held is not None and held.is_current(now) and not found.same_kind(held):
            raise TrustMaterialError(
                f"`{source.url}`: expected a list of `{held.issuer_text}` of the same kind and scope as before, "
                f"found another one, of `{found.issuer_text}`"
            )
        if found.is_current(now):
            return ""
        begins, ends = found.this_update.isoformat(), found.next_update.isoformat()
        problem = f"`{source.url}`: expected a current list, found one from {begins} to {ends}"
        if held is not None and held.is_current(now):
            raise TrustMaterialError(problem)
        return problem

    def _failed(self, record: Record, problem: str) -> Record:
        return replace(
            record,
            attempted=self._now(),
            failures=record.failures + 1,
            failing=record.failing + 1,
            problem=problem,
        )


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
