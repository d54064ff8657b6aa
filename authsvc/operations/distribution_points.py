"""Where the certificates themselves say that their revocation lists are: learnt from proven paths only.

What lives here: which of these places may be called, and remembering them. What does not: calling them
(`revocation_urls.py`).

A distribution point is a URL in a certificate (RFC 5280 section 4.2.1.13). Invariants (threat T31):

* Nothing is learnt from a certificate before a path from it to a trust anchor has been proven: whoever cannot make
  that signature cannot make us call anybody.
* A place is learnt only if its host is on the list of the trust anchor that the path ends at.
* A place is learnt for the issuer of the certificate that names it: a list found there counts for no other.
* The number of places is bounded, of one issuer and in all. One too many is not called, and nothing that only it could
  prove is ever good.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from authsvc.operations.fetching import FetchFault, FetchPolicy, read_url
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_records import Record
from authsvc.trust.certificate import READ_ERRORS, CertificateFacts, read_certificate
from authsvc.trust.distribution_points import (
    CRL_DISTRIBUTION_POINTS,
    fetchable_urls,
    read_distribution_points,
)
from authsvc.trust.path import VerifiedCertificate
from directory_assistance.der import DerSyntaxError

__all__ = ["DistributionPoints", "Point"]

_MOST_OF_ISSUER: Final = 32
"""Places of one issuer: a CA that splits its lists has a few, one of each kind."""

_MOST: Final = 512
"""Places in all."""

_MOST_WAITING: Final = 1_024
"""Places that were seen and not looked at yet: a look is a quarter of a second away."""

_MOST_KNOWN: Final = 4_096
"""Extensions whose places are remembered, so that a request does not read URLs again."""

_FRESHEST: Final = "2.5.29.46"

_EXTENSIONS: Final = (CRL_DISTRIBUTION_POINTS, _FRESHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place: its URL, the issuer whose list is there, and the trust anchor whose hosts allow it."""

    url: str
    issuer: CertificateFacts
    anchor: str

    @property
    def source(self) -> str:
        """Its name: two issuers may name the same URL, and each of them gets its own list from there or none."""
        return f"{self.url} of {self.issuer.key_sha256.hex()[:16]}"


class DistributionPoints:
    """The places learnt so far.

    Args:
        hosts: the hosts that may be called, by the id of the trust anchor; `""` for lists that were configured.
        cache: remembers them, for other processes and for the next start.

    """

    def __init__(self, hosts: Mapping[str, frozenset[str]], cache: RevocationCache) -> None:
        self._hosts = dict(hosts)
        self._cache = cache
        self._seen: deque[Point] = deque(maxlen=_MOST_WAITING)
        self._lock = threading.Lock()  # of the memory of extensions: requests come from many threads
        self._known: dict[tuple[str, bytes], tuple[str, ...]] = {}
        self._served: frozenset[str] = frozenset()
        self._directory_stamp = -1
        self._points: dict[str, Point] = {}
        self.problem = ""

    @property
    def enabled(self) -> bool:
        """Whether any place may be learnt."""
        return any(self._hosts.values())

    @property
    def points(self) -> tuple[Point, ...]:
        """The places that are called."""
        return tuple(self._points.values())

    def note(self, verified: VerifiedCertificate) -> str:
        """Learn the places that the certificates of a proven path name; on the path of a request, never waits.

        Returns:
            A place of which there is no list yet, empty where there is one of each, or no place.

        """
        if not self._hosts.get(verified.anchor_id):
            return ""
        waiting = ""
        for facts, issuer in zip(verified.path, verified.path[1:], strict=False):
            for url in self._allowed(verified.anchor_id, facts):
                point = Point(url=url, issuer=issuer, anchor=verified.anchor_id)
                if point.source not in self._served:
                    waiting = waiting or url
                    self._seen.append(point)
        return waiting

    def note_delta(self, urls: Iterable[str], issuer: CertificateFacts, anchor: str) -> None:
        """Learn where a proven list says that its delta lists are."""
        for url in urls:
            if self._is_allowed(url, anchor):
                self._seen.append(Point(url=url, issuer=issuer, anchor=anchor))

    def serve(self, sources: frozenset[str]) -> None:
        """Tell of which points there is a list, by their sources."""
        self._served = sources

    def poll(self) -> None:
        """Take what was learnt since the last look, here and by other processes; for one thread at a time."""
        stamp = self._cache.directory_stamp()
        if stamp != self._directory_stamp:
            self._directory_stamp = stamp
            for record in self._cache.records():
                self._remember(record)
        seen: dict[str, Point] = {}
        while self._seen and len(seen) < _MOST_WAITING:
            point = self._seen.popleft()
            seen.setdefault(point.source, point)
        for point in seen.values():
            if point.source not in self._points and self._has_room(point):
                self._points[point.source] = point
                if self._cache.read_record(point.source) is None:
                    with suppress(OSError):
                        self._cache.write_record(
                            Record(source=point.source, issuer=point.issuer.der, anchor=point.anchor)
                        )

    def _remember(self, record: Record) -> None:
        url = record.source.partition(" ")[0]
        if record.source in self._points or not self._is_allowed(url, record.anchor) or record.issuer is None:
            return
        try:
            issuer = read_certificate(record.issuer)
        except READ_ERRORS:
            return
        point = Point(url=url, issuer=issuer, anchor=record.anchor)
        if point.source == record.source and self._has_room(point):
            self._points[point.source] = point

    def _has_room(self, point: Point) -> bool:
        issuers = Counter(each.issuer.key_sha256 for each in self._points.values())
        if len(self._points) < _MOST and issuers[point.issuer.key_sha256] < _MOST_OF_ISSUER:
            return True
        self.problem = (
            f"distribution point `{point.url}` of `{point.issuer.subject_text}` is not fetched: "
            f"expected at most {_MOST_OF_ISSUER} of one issuer and {_MOST} in all"
        )
        return False

    def _is_allowed(self, url: str, anchor: str) -> bool:
        hosts = self._hosts.get(anchor, frozenset())
        try:
            return read_url(url).is_allowed(FetchPolicy(hosts=hosts))
        except FetchFault:
            return False

    def _allowed(self, anchor: str, facts: CertificateFacts) -> tuple[str, ...]:
        """Return the places that a certificate names and that may be called."""
        found: list[str] = []
        for oid in _EXTENSIONS:
            value = facts.extension_values.get(oid)
            if value is None:
                continue
            known = self._known.get((anchor, value))
            if known is None:
                urls = (url for url in _urls_of(value, facts.issuer_der) if self._is_allowed(url, anchor))
                known = tuple(urls)[:_MOST_OF_ISSUER]
                with self._lock:
                    if len(self._known) >= _MOST_KNOWN:
                        self._known.clear()
                    self._known[anchor, value] = known
            found += known
        return tuple(found)


def _urls_of(value: bytes, issuer_der: bytes) -> tuple[str, ...]:
    """Return the URLs of points whose lists the certificate's own issuer signs; none of what cannot be read."""
    try:
        points = read_distribution_points(value, issuer_der)
    except DerSyntaxError:
        return ()
    return fetchable_urls(point for point in points if point.issuers is None)
