"""What OCSP responders said, remembered: for how long, what replaces what, and what is asked for anew (T38, T39).

Lives here: answers by certificate, and responses that were just refused. Not here: asking (`ocsp_responders.py`), how
responders fare (`ocsp_states.py`), whether a response may be believed (`authsvc/trust/ocsp.py`).

Invariants:

* Only a believed answer is remembered as one, and "good" no longer than its response says.
* "Revoked" is remembered until it is unsaid by "good" that was made after it was heard. Who blocks a responder, or
  replays what it said before, unsays nothing; nor does a reload.
* An answer that was made before the one at hand does not replace it.
* Certificates are told by issuer and serial number, never by the serial number alone (threat T35).
* What is remembered is bounded; what was used longest ago is forgotten first.

May be used by several threads; nothing here waits.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar, assert_never

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.ocsp_answer import OcspGood, OcspRevoked, OcspUnavailable, OcspUnknown

__all__ = ["Heard", "Kept", "Key", "OcspMemory", "Told", "cut", "key_of"]

_MOST_REMEMBERED: Final = 10_000
"""Answers in memory, of some three thousand octets each with the certificates that asking anew needs."""

_UNKNOWN_MEMORY: Final = timedelta(seconds=30)
"""How long "unknown" is remembered: a certificate that was just issued becomes known to its responder soon."""

_REFUSED_SECONDS: Final = 5.0
"""How long a certificate whose response was not acceptable is not asked about: as long as a refused verdict lives."""

_REFRESH_AGAIN: Final = timedelta(seconds=30)
"""After asking anew in vain, until the next time: what is remembered holds meanwhile."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_AnyKey = TypeVar("_AnyKey")
_AnyValue = TypeVar("_AnyValue")

Key = tuple[bytes, bytes, int]
"""Which certificate: its issuer's encoded name and key, its serial number."""

Told = OcspGood | OcspRevoked | OcspUnknown
"""What a responder said; only this is remembered."""


def key_of(facts: CertificateFacts, issuer: CertificateFacts) -> Key:
    """Return what a certificate is remembered by."""
    return (facts.issuer_der, issuer.key_sha256, facts.serial)


def cut(memory: "OrderedDict[_AnyKey, _AnyValue]", most: int) -> None:
    """Forget what was used longest ago, down to so many."""
    while len(memory) > most:
        memory.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An answer, about which certificate (DER, with its issuer's), at what time; `wanted` by a request that waits.

    `anchor_id`: where the path ended for which it was asked.
    """

    answer: Told
    anchor_id: str
    certificate: bytes
    issuer: bytes
    at: datetime
    wanted: bool


@dataclass(slots=True)
class Kept:
    """What was heard; `used` since. It holds up to `until`, and is asked for anew from `refresh_at` on, if used."""

    heard: Heard
    until: datetime
    refresh_at: datetime
    used: bool


class OcspMemory:
    """The answers that one service remembers.

    Args:
        maximum_age: after which an answer that is used is asked for anew at the latest.

    """

    def __init__(self, maximum_age: timedelta) -> None:
        self._maximum_age = maximum_age
        self._lock = threading.Lock()  # of everything below
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._refused: OrderedDict[Key, tuple[float, OcspUnavailable]] = OrderedDict()
        self._hits = self._refused_hits = self._changes = 0

    @property
    def hits(self) -> int:
        """Questions that were answered from here."""
        return self._hits

    @property
    def refused_hits(self) -> int:
        """Questions that were not put, because the last response had just been refused."""
        return self._refused_hits

    @property
    def changes(self) -> int:
        """How often an answer became another one, or the first was "revoked"."""
        return self._changes

    def find(self, key: Key, now: datetime) -> Told | None:
        """Return an answer that still holds."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.until <= now:
                return None
            self._kept.move_to_end(key)
            kept.used = True
            self._hits += 1
            return kept.heard.answer

    def find_refused(self, key: Key, at: float) -> OcspUnavailable | None:
        """Return why the last response was not accepted, if that was just now (monotonic seconds)."""
        with self._lock:
            until, answer = self._refused.get(key, (at, None))
            if answer is None or until <= at:
                return None
            self._refused_hits += 1
            return answer

    def refuse(self, key: Key, answer: OcspUnavailable, at: float) -> None:
        """Remember for a moment why a response was not accepted (monotonic seconds)."""
        with self._lock:
            self._refused[key] = (at + _REFUSED_SECONDS, answer)
            cut(self._refused, _MOST_REMEMBERED)

    def keep(self, key: Key, heard: Heard) -> Told:
        """Remember an answer, unless an earlier one says more; return the one that counts."""
        with self._lock:
            self._refused.pop(key, None)
            old = self._kept.get(key)
            if old is not None and _says_more(old, heard):
                return old.heard.answer
            # A first "revoked" changes something too: while nobody answered, `prefer` may have let it pass.
            before = None if old is None else type(old.heard.answer)
            if type(heard.answer) is not before and (
                before is not None or isinstance(heard.answer, OcspRevoked)
            ):
                self._changes += 1
            until = _end_of(heard)
            self._kept[key] = Kept(
                heard=heard,
                until=until,
                refresh_at=_refresh_at(key, heard.at, min(until, heard.at + self._maximum_age)),
                used=heard.wanted,
            )
            self._kept.move_to_end(key)
            cut(self._kept, _MOST_REMEMBERED)
            return heard.answer

    def revoked(self) -> list[tuple[Key, Heard]]:
        """Return what is remembered as revoked."""
        with self._lock:
            return [
                (key, kept.heard)
                for key, kept in self._kept.items()
                if isinstance(kept.heard.answer, OcspRevoked)
            ]

    def due(self, now: datetime, *, but: Collection[Key]) -> list[tuple[Key, Heard]]:
        """Return what must be asked for anew: what ends soon and was used, but some. The next time is set."""
        with self._lock:
            due = [
                (key, kept)
                for key, kept in self._kept.items()
                if kept.used and kept.refresh_at <= now < kept.until and key not in but
            ]
            for _key, kept in due:
                kept.refresh_at = now + _REFRESH_AGAIN  # of what is remembered; what replaces it has its own
            return [(key, kept.heard) for key, kept in due]


def _end_of(heard: Heard) -> datetime:
    match heard.answer:
        case OcspGood() as good:
            return good.next_update
        case OcspRevoked():
            return _NEVER
        case OcspUnknown():
            return heard.at + _UNKNOWN_MEMORY
        case _ as unreachable:
            assert_never(unreachable)


def _says_more(old: Kept, new: Heard) -> bool:
    """Whether an earlier answer counts more than a new one.

    "Revoked" counts until "good" comes that was made after it was heard; a responder that has forgotten the certificate
    does not unsay it. "Good" that still holds counts more than a "good" that was made before it.
    """
    match old.heard.answer:
        case OcspRevoked():
            later = isinstance(new.answer, OcspGood) and new.answer.this_update > old.heard.at
            return not (later or isinstance(new.answer, OcspRevoked))
        case OcspGood() as good:
            older = isinstance(new.answer, OcspGood) and new.answer.this_update < good.this_update
            return older and new.at < old.until
        case OcspUnknown():
            return False
        case _ as unreachable:
            assert_never(unreachable)


def _refresh_at(key: Key, now: datetime, until: datetime) -> datetime:
    """Return when to ask anew: in the third quarter of a life, each certificate at its own place in it.

    The place is made of the serial number, so that what was asked about at once is not asked about at once again.
    """
    octet = hashlib.sha256(str(key[2]).encode()).digest()[0]
    return now + (until - now) * (0.5 + octet / 1024)
