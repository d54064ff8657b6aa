"""What revocation lists say of one certificate: the algorithm of RFC 5280 section 6.3.3.

Lives here: which lists may speak for a certificate, who must have signed them, how complete and delta lists are put
together, and how reasons add up. Not here: what follows for a whole path, OCSP, policy (`revocation.py`); reading
(`crl_reading.py`).

Invariants:

* A list counts only where a key has signed it whose owner may sign lists: the certificate's own issuer, or somebody
  of the name that the list has as issuer, with a path of their own to the very anchor of the certificate's path,
  whose elements are not revoked (threat T34). A list out of scope never proves "good".
* An entry that names the certificate, in the newest list of a series, revokes it: stale or not, in scope or not. Only
  a hold is ever lifted, and only by a current delta list that fits to the list with the hold (threat T40).
* Serial numbers are looked up under the name of the certificate's issuer, in lists of nobody but that issuer and
  those that the certificate itself names as issuers of its lists (threat T35).

Two departures from the RFC, both to the strict side. Somebody else of the issuer's own name speaks for the issuer
only where the names above both are the same up to the anchor: otherwise an authority below the same root could take
the name of another one. And a signer that is no authority must have key usage cRLSign, where the RFC is content with
no key usage at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Protocol

from authsvc.trust.anchors import Profile
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, RevokedEntry, Scope
from authsvc.trust.distribution_points import (
    ALL_REASONS,
    CRL_DISTRIBUTION_POINTS,
    DistributionPoint,
    implicit_point,
    read_distribution_points,
)
from authsvc.trust.path import VerifiedCertificate
from directory_assistance.der import DerSyntaxError
from directory_assistance.dn import NameKey

__all__ = [
    "Covered",
    "ListChecks",
    "ListSeries",
    "ListState",
    "ListUse",
    "Listed",
    "NotCovered",
    "SignerPaths",
    "SortedLists",
    "StaleCover",
]

_MOST_SIGNER_CHECKS: Final = 64
"""Certificates of lists' signers whose own revocation one decision looks up: real PKIs have one (threat T24)."""


class SignerPaths(Protocol):
    """Who may sign lists under a name: see `authsvc.trust.path.find_signer_paths`."""

    def __call__(
        self, verified: VerifiedCertificate, signer: NameKey, *, now: datetime
    ) -> Iterable[tuple[CertificateFacts, ...]]:
        """Return paths, signer first, anchor last, all to the anchor of the verified path."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSeries:
    """Lists of one issuer, scope and key identifier, newest first. Their signatures may differ."""

    complete: tuple[RevocationList, ...] = ()
    deltas: tuple[RevocationList, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedLists:
    """Lists in series, by the name of their issuer; `indirect` is who has issued indirect ones. Made by `of`."""

    series: Mapping[NameKey, tuple[ListSeries, ...]] = field(default_factory=lambda: MappingProxyType({}))
    indirect: tuple[NameKey, ...] = ()

    @classmethod
    def of(cls, lists: Iterable[RevocationList]) -> "SortedLists":
        """Sort lists; nothing is left out, because whose lists they are only their signatures tell."""
        found: dict[NameKey, dict[tuple[Scope, bytes], list[RevocationList]]] = {}
        for one in sorted(lists, key=lambda one: (one.number, one.this_update, one.source), reverse=True):
            found.setdefault(one.issuer_key, {}).setdefault((one.scope, one.authority_key_id), []).append(one)
        return cls(
            series=MappingProxyType(
                {
                    issuer: tuple(
                        ListSeries(
                            complete=tuple(one for one in series if not one.is_delta),
                            deltas=tuple(one for one in series if one.is_delta),
                        )
                        for series in by_scope.values()
                    )
                    for issuer, by_scope in found.items()
                }
            ),
            indirect=tuple(
                issuer for issuer, by_scope in found.items() if any(scope.indirect for scope, _ in by_scope)
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUse:
    """A complete list that takes part in the proof that a certificate is not revoked, and the delta list put over it.

    `delta_source` and `delta_number` are empty and -1 without one; the dates are the delta list's where there is one,
    because it says how things were then. `in_grace`: the next update has passed, and the list still counts.
    """

    source: str
    number: int
    delta_source: str = ""
    delta_number: int = -1
    this_update: datetime
    next_update: datetime
    in_grace: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """What both lists are called."""
        return (self.source, self.delta_source) if self.delta_source else (self.source,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list names the certificate."""

    by: RevocationList
    entry: RevokedEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Current lists speak for the certificate, for every reason, and do not name it."""

    uses: tuple[ListUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleCover:
    """With this list the certificate would be covered, but it is stale, not valid yet, or its signer uncertain."""

    by: RevocationList
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCovered:
    """No list speaks for the certificate; `hint` says of one that might have why it does not, else it is empty."""

    hint: str = ""


ListState = Listed | Covered | StaleCover | NotCovered


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The newest lists of a series that one key has signed, a complete one, a delta list, or both.

    `is_certain`: whether the signer's own path is known not to be revoked.
    """

    complete: RevocationList | None
    delta: RevocationList | None
    is_certain: bool

    @property
    def one(self) -> RevocationList:
        """One of its lists: issuer and scope are the same in both."""
        one = self.complete or self.delta
        assert one is not None
        return one

    @property
    def scope(self) -> Scope:
        """What the lists speak for."""
        return self.one.scope

    @property
    def issuer(self) -> NameKey:
        """Whose lists they are."""
        return self.one.issuer_key

    @property
    def combines(self) -> bool:
        """Whether both make one current list together (RFC 5280 section 5.2.4)."""
        return (
            self.complete is not None
            and self.delta is not None
            and self.delta.base_number is not None
            and self.delta.base_number <= self.complete.number < self.delta.number
        )

    def find_entry(self, facts: CertificateFacts, now: datetime) -> Listed | None:
        """Return the entry that revokes a certificate. No grace lifts a hold."""
        complete, delta = self.complete, self.delta
        held = None if complete is None else complete.find(facts.serial, facts.issuer_key)
        if delta is not None and (complete is None or delta.number > complete.number):
            changed = delta.find(facts.serial, facts.issuer_key)
            if changed is not None and not changed.is_removal:
                return Listed(by=delta, entry=changed)
            lifts = changed is not None and held is not None and held.is_hold
            if lifts and self.combines and delta.is_current(now):
                return None
        return None if held is None or complete is None else Listed(by=complete, entry=held)

    def find_use(self, now: datetime, grace: timedelta) -> ListUse | None:
        """Return the lists by which it is current, without grace if possible."""
        complete, delta = self.complete, self.delta
        if complete is None:
            return None
        for allowed in (timedelta(0), grace):
            # A complete list may be older than its next update if a delta list says what happened since.
            if delta is not None and self.combines and delta.is_current(now, allowed):
                return ListUse(
                    source=complete.source,
                    number=complete.number,
                    delta_source=delta.source,
                    delta_number=delta.number,
                    this_update=delta.this_update,
                    next_update=delta.next_update,
                    in_grace=now >= delta.next_update,
                )
            if complete.is_current(now, allowed):
                return ListUse(
                    source=complete.source,
                    number=complete.number,
                    this_update=complete.this_update,
                    next_update=complete.next_update,
                    in_grace=now >= complete.next_update,
                )
        return None


class ListChecks:
    """What lists say of the certificates of one path, and of the paths of whoever signed those lists.

    Args:
        verified: the path.
        lists: all lists.
        now: aware.
        grace: how long after its next update a list still counts.
        find_signer_paths: who may sign lists under a name.

    """

    def __init__(
        self,
        verified: VerifiedCertificate,
        lists: SortedLists,
        *,
        now: datetime,
        grace: timedelta,
        find_signer_paths: SignerPaths,
    ) -> None:
        settings = verified.anchor.settings
        self.lists = lists
        self.now = now
        self.grace = grace
        self.floor = settings.floor if settings.profile is Profile.CLIENT else None
        self._verified = verified
        self._find_signer_paths = find_signer_paths
        self._known: dict[tuple[bytes, bytes], ListState] = {}
        self._open: set[tuple[bytes, bytes]] = set()
        self._cuts = 0
        self._left = _MOST_SIGNER_CHECKS

    def find_state(self, facts: CertificateFacts, above: tuple[CertificateFacts, ...]) -> ListState:
        """Say what lists say of a certificate.

        Args:
            facts: the certificate.
            above: the rest of its path: its issuer first, the anchor last.

        """
        pair = (facts.sha256, above[0].sha256)
        state = self._known.get(pair)
        if state is None:
            cuts = self._cuts
            self._open.add(pair)
            state = _Question(self, facts, above).answer()
            self._open.discard(pair)
            if cuts == self._cuts:  # else a circle was cut here, and from elsewhere the answer may be another
                self._known[pair] = state
        return state

    def find_signers(self, issuer: NameKey) -> Iterator[tuple[CertificateFacts, ...]]:
        """Yield the paths of everybody who may sign lists under a name; their revocation is not checked."""
        for path in self._find_signer_paths(self._verified, issuer, now=self.now):
            if _may_sign_lists(path[0]):
                yield path

    def is_good(self, path: tuple[CertificateFacts, ...]) -> bool | None:
        """Whether no element of a signer's path is revoked; None where that cannot be told.

        It cannot where it would rest on itself: a key does not vouch for its own certificate. RFC 5280 does not say so,
        and NIST's suite wants it to (test 4.14.30): under profile `rfc5280` it does.
        """
        certain: bool | None = True
        for position, facts in enumerate(path[:-1]):
            above = path[position + 1 :]
            if (facts.sha256, above[0].sha256) in self._open or self._left == 0:
                self._cuts += 1
                if self.floor is not None or self._left == 0:
                    certain = None
                continue
            self._left -= 1
            state = self.find_state(facts, above)
            if isinstance(state, Listed):
                return False
            if not isinstance(state, Covered):
                certain = None
        return certain


def _may_sign_lists(facts: CertificateFacts) -> bool:
    usage = facts.key_usage
    return facts.is_authority if usage is None else usage.crl_sign


def _names_of(path: tuple[CertificateFacts, ...]) -> tuple[NameKey, ...]:
    """Return the subjects of a path, each once where certificates are self-issued (roll-over, keys for lists)."""
    names = [facts.subject_key for facts in path]
    return (names[0], *(above for below, above in pairwise(names) if above != below))


class _Question:
    """What lists say of one certificate.

    Args:
        checks: the whole path's.
        facts: the certificate.
        above: its issuer first, the anchor last.

    """

    def __init__(
        self, checks: ListChecks, facts: CertificateFacts, above: tuple[CertificateFacts, ...]
    ) -> None:
        self._checks = checks
        self._facts = facts
        self._above = above
        self._views: list[_View] = []
        self._keys: set[bytes] = set()
        self._points: tuple[DistributionPoint, ...] | None = None
        self._unreadable = ""
        self._hint = ""

    def answer(self) -> ListState:
        """Answer.

        1. Look at the lists that the certificate's own issuer has signed.
        2. If there are more lists of that name, and one of them names the certificate or nothing is proven yet: find
           out who signed them.
        3. The same for indirect lists of others, where the certificate names those as issuers of its lists.
        """
        own, issuer = self._facts.issuer_key, self._above[0]
        # 1
        unproven = self._lists_of(own)
        if _may_sign_lists(issuer):
            self._add_views(own, self._above, is_certain=True)
            unproven = [one for one in unproven if not self._is_signed(one, self._above)]
        else:
            self._hint = f"`{issuer.subject_text}` may not sign revocation lists (key usage without cRLSign)"
        state = self._judge()
        # 2
        if self._matters(state, unproven):
            problem = unproven[0].find_signature_problem(issuer, floor=self._checks.floor)
            self._hint = self._hint or f"`{unproven[0].source}` does not count: {problem}"
            state = self._look_for_signers(own, _names_of(self._above))
        # 3
        for name in self._checks.lists.indirect:
            if name == own:
                continue
            named = any(point.is_signed_under(name, own) for point in self._read_points())
            if named and self._matters(state, self._lists_of(name)):
                state = self._look_for_signers(name, None)
        if self._unreadable and isinstance(state, Covered):
            return NotCovered(hint=self._unreadable)
        return state

    def _lists_of(self, issuer: NameKey) -> list[RevocationList]:
        return [
            one
            for series in self._checks.lists.series.get(issuer, ())
            for one in (*series.complete, *series.deltas)
        ]

    def _matters(self, state: ListState, lists: list[RevocationList]) -> bool:
        """Whether to find out who signed lists: not where the answer stands, and none of them names the certificate."""
        if isinstance(state, Listed) or not lists:
            return False
        facts = self._facts
        return not isinstance(state, Covered) or any(
            one.find(facts.serial, facts.issuer_key) is not None for one in lists
        )

    def _look_for_signers(self, issuer: NameKey, names: tuple[NameKey, ...] | None) -> ListState:
        """Add the lists of a name by others than those who were seen; `names` of their path, None for any."""
        for path in self._checks.find_signers(issuer):
            signer = path[0]
            if signer.key_sha256 in self._keys or (names is not None and _names_of(path) != names):
                continue
            if not any(self._is_signed(one, path) for one in self._lists_of(issuer)):
                continue
            good = self._checks.is_good(path)
            if good is not False:
                self._add_views(issuer, path, is_certain=good is True)
        return self._judge()

    def _is_signed(self, one: RevocationList, path: tuple[CertificateFacts, ...]) -> bool:
        return one.is_signed_by(path[0], floor=self._checks.floor, above=path[1:])

    def _add_views(self, issuer: NameKey, path: tuple[CertificateFacts, ...], *, is_certain: bool) -> None:
        """Add the newest lists of each series of an issuer that the first key of a path has signed."""
        if is_certain:
            self._keys.add(path[0].key_sha256)
        for series in self._checks.lists.series.get(issuer, ()):
            complete, delta = (
                next((one for one in lists if self._is_signed(one, path)), None)
                for lists in (series.complete, series.deltas)
            )
            if complete is not None or delta is not None:
                self._views.append(_View(complete=complete, delta=delta, is_certain=is_certain))

    def _judge(self) -> ListState:
        """Say what the lists found so far say together."""
        now, grace = self._checks.now, self._checks.grace
        for view in self._views:
            listed = view.find_entry(self._facts, now)
            if listed is not None:
                return listed
        current = [
            (view, use) for view in self._views if view.is_certain and (use := view.find_use(now, grace))
        ]
        current.sort(key=lambda pair: (pair[1].in_grace, now - pair[1].this_update))
        fresh = dict(current)
        # A list in its grace takes part only where it must.
        used = self._find_cover([view for view, use in current if not use.in_grace])
        if used is None:
            used = self._find_cover(list(fresh))
        if used is not None:
            return Covered(uses=tuple(fresh[view] for view in used))
        others = [view for view in self._views if view not in fresh and view.complete is not None]
        for view in self._find_cover([*fresh, *others]) or ():
            if view not in fresh:
                return self._stale(view)
        return NotCovered(hint=self._hint)

    def _find_cover(self, views: list[_View]) -> tuple[_View, ...] | None:
        """Return the lists that together speak for every reason, the first ones first; None where they do not."""
        own = self._facts.issuer_key
        for view in views:
            if view.issuer == own and view.scope.is_everything:
                return (view,)
        reasons = 0
        used: list[_View] = []
        for point in (*self._read_points(), implicit_point(self._facts)) if views else ():
            for view in views:
                added = point.reasons & view.scope.reasons & ~reasons
                if (
                    added
                    and point.is_signed_under(view.issuer, own)
                    and view.scope.covers(point, is_authority=self._facts.is_authority)
                ):
                    reasons |= added
                    used.append(view)
        return tuple(dict.fromkeys(used)) if reasons == ALL_REASONS else None

    def _read_points(self) -> tuple[DistributionPoint, ...]:
        """Return the certificate's own distribution points, once read."""
        if self._points is None:
            value = self._facts.extension_values.get(CRL_DISTRIBUTION_POINTS)
            try:
                self._points = (
                    () if value is None else read_distribution_points(value, self._facts.issuer_der)
                )
            except DerSyntaxError as error:
                self._points = ()
                self._unreadable = f"its distribution points cannot be read: {error}"
        return self._points

    def _stale(self, view: _View) -> StaleCover:
        one = view.complete
        assert one is not None
        where = f"`{one.source}` of `{one.issuer_text}`"
        if self._checks.now < one.this_update:
            return StaleCover(by=one, problem=f"{where} begins {one.this_update.isoformat()}")
        if not one.is_current(self._checks.now, self._checks.grace):
            return StaleCover(by=one, problem=f"{where} expired {one.next_update.isoformat()}")
        return StaleCover(
            by=one, problem=f"{where} is signed by a key of which nobody can tell whether it is revoked"
        )
