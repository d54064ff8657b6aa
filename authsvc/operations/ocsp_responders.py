"""Asking OCSP responders, and remembering what they answered (RFC 6960, RFC 5019, RFC 9654).

Lives here: who is asked, when, how often and for how long; `OcspResponders` is the `OcspSource` of a service. Not here:
connections, addresses and redirects (`fetching.py`), whether a response may be believed (`authsvc/trust/ocsp.py`), what
an answer means (`authsvc/trust/revocation.py`).

Invariants:

* A certificate's own address is called only if its host is configured, and only after its path was proven: nobody else
  calls `ask` (threat T31).
* What is not a believed response is never remembered as one, and never "good".
* One question waits no longer than `wait`, for one certificate once. Others who want to know the same wait for that
  question. A responder that fails makes everybody else's answer `OcspUnavailable` at once for a while, and then one
  question at a time tries it again: whoever blocks or stalls a responder costs requests one `wait` and no more of our
  threads (threat T39).
* A remembered answer ends where the response says, and is asked anew before that in the background while it is used, so
  that a warm request never waits. An older answer replaces no newer one; after "revoked" only an answer made later
  than that was heard makes a certificate good again.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar, assert_never

from authsvc.operations.fetch_connections import Network, read_url
from authsvc.operations.fetching import Fetcher, FetchFault, FetchPolicy
from authsvc.trust.anchors import TrustMaterialError, read_certificates_pem
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.ocsp import ResponseRules, find_responder_problem, verify_response
from authsvc.trust.ocsp_answer import (
    OcspAnswer,
    OcspGood,
    OcspNotAsked,
    OcspRevoked,
    OcspUnavailable,
    OcspUnknown,
)
from authsvc.trust.ocsp_messages import LARGEST_RESPONSE, build_request, responder_urls
from directory_assistance.errors import shorten

__all__ = [
    "MOST_PINNED",
    "MOST_QUESTIONS",
    "NonceUse",
    "OcspFigures",
    "OcspResponders",
    "OcspSettings",
    "read_pinned",
]

_LOG = logging.getLogger("authsvc.ocsp")

MOST_QUESTIONS: Final = 8
"""Questions to responders under way: half of the threads that decide, so that the others have some left (T39)."""

MOST_PINNED: Final = 16
"""Pinned responders: one, its successor, and some for other authorities; each may cost a signature check."""

_MOST_REMEMBERED: Final = 10_000
"""Answers in memory, of some three thousand octets each with the certificates that refreshing needs."""

_MOST_RESPONDERS: Final = 1_000
"""Addresses whose state is kept: authorities write them into certificates, so their number is not ours."""

_UNKNOWN_MEMORY: Final = timedelta(seconds=30)
"""How long "unknown" is remembered: a certificate that was just issued becomes known to its responder soon."""

_REFUSED_MEMORY: Final = timedelta(seconds=5)
"""How long a certificate whose response was not acceptable is not asked about: as long as a refused verdict lives."""

_SHORTEST_BACK_OFF: Final = 5.0
_LONGEST_BACK_OFF: Final = 60.0
"""Seconds in which a responder that failed is not asked: doubled each time, so that one that hangs holds a thread for a
sixtieth of the time, and one that is back is noticed within a minute."""

_LOOK_SECONDS: Final = 1.0
"""Between two looks at what must be asked anew: responses live for minutes at least."""

_REFRESH_AGAIN: Final = timedelta(seconds=30)
"""After a failed refreshing, until the next: what is remembered holds meanwhile."""

_WARNED: Final = 600.0
"""Seconds for which a failure is told to operators: a responder that nobody asks any more may be well again."""

_NONCE_OCTETS: Final = 32
"""RFC 9654 section 2.1."""

_REQUEST_TYPE: Final = "application/ocsp-request"
_RESPONSE_TYPE: Final = "application/ocsp-response"

_FAIR_SHARE: Final = 1 / 8
"""Of `wait`: a responder that does not answer within less has not failed."""

_NO_TIME: Final = "no time left to ask"
_UNAVAILABLE: Final = "unavailable"

_AnyKey = TypeVar("_AnyKey")
_AnyValue = TypeVar("_AnyValue")

Key = tuple[bytes, bytes, int]
"""Which certificate: its issuer's encoded name and key, its serial number; never the serial number alone."""

_Told = OcspGood | OcspRevoked | OcspUnknown
"""What a responder said; only this is remembered."""

ListLookup = Callable[[CertificateFacts, CertificateFacts, datetime], bool | None]
"""Whether the revocation lists at hand revoke a responder's certificate; None where none tells."""


class NonceUse(StrEnum):
    """Whether requests carry a nonce, and whether responses must."""

    REQUIRED = "required"
    SENT = "sent"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspSettings:
    """`trust.revocation.ocsp`.

    `wait`: how long one question may take. `hosts`: whose addresses in certificates may be called, as `host` or
    `host:port`. `url`: who is asked about every certificate, whatever stands in it; empty for nobody.
    `responder_file`: certificates (PEM) of the only responders that may sign. `private_networks`: networks that are not
    public and may be called.
    """

    wait: timedelta = timedelta(seconds=1)
    hosts: frozenset[str] = frozenset()
    url: str = ""
    responder_file: Path | None = None
    nonce: NonceUse = NonceUse.SENT
    maximum_age: timedelta = timedelta(hours=1)
    clock_skew: timedelta = timedelta(0)
    private_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspFigures:
    """What happened since the beginning.

    `answers`: by host and kind of answer, of questions that were put. `seconds`: that they took, by host. `remembered`:
    questions answered from memory. `shared`: that waited for another's. `skipped`: answered "unavailable" without a
    question, because one had just failed or too many were under way. `failing`: whether each host failed at last.
    """

    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    remembered: int = 0
    shared: int = 0
    skipped: int = 0
    failing: Mapping[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    """A believed answer, and what asking anew needs. `used` since it was asked; times are of the wall clock."""

    answer: _Told
    certificate: bytes
    issuer: bytes
    heard_at: datetime
    until: datetime
    refresh_at: datetime
    used: bool


@dataclass(slots=True)
class _Responder:
    """One address. `failures` in a row; `problem` of the last, `refused` of the last response; monotonic seconds."""

    failures: int = 0
    retry_at: float = 0.0
    trying: bool = False
    problem: str = ""
    refused: str = ""
    seen_at: float = 0.0


class _Flight:
    """One question under way. `answer` stands before `landed` is set; without one it ended in a bug."""

    __slots__ = ("answer", "landed")

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.answer: OcspAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Which certificate is asked about, when, and until when (monotonic seconds); whether a request waits for it."""

    key: Key
    facts: CertificateFacts
    issuer: CertificateFacts
    now: datetime
    limit: float
    wanted: bool


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_nonce() -> bytes:
    return secrets.token_bytes(_NONCE_OCTETS)


def read_pinned(octets: bytes, *, source: str) -> tuple[CertificateFacts, ...]:
    """Read the certificates of pinned responders.

    Args:
        octets: PEM.
        source: what messages call the file.

    Raises:
        TrustMaterialError: none, too many, one that cannot be read, or whose signatures would not be accepted.

    """
    pinned = tuple(read_certificates_pem(octets, source=source))
    if len(pinned) > MOST_PINNED:
        raise TrustMaterialError(
            f"`{source}`: expected at most {MOST_PINNED} responders, found {len(pinned)}"
        )
    for facts in pinned:
        problem = find_responder_problem(facts)
        if problem:
            raise TrustMaterialError(f"`{source}`: responder `{facts.subject_text}`: {problem}")
    return pinned


class OcspResponders:
    """The responders of one configuration; an `OcspSource`. Its methods may be called by several threads.

    Args:
        settings: what the operator says.
        fetcher: calls them.
        is_revoked: what the revocation lists at hand say of a delegated responder.
        now: the wall clock (UTC), of refreshing.
        monotonic: the clock of deadlines, in seconds.
        new_nonce: random octets.

    Raises:
        TrustMaterialError: the pinned responders cannot be used.
        OSError: their file cannot be read.

    """

    def __init__(  # noqa: PLR0913 - what it is made of; the service makes one
        self,
        settings: OcspSettings,
        *,
        fetcher: Fetcher,
        is_revoked: ListLookup = lambda _facts, _issuer, _now: None,
        now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        new_nonce: Callable[[], bytes] = _new_nonce,
    ) -> None:
        file = settings.responder_file
        self._settings = settings
        self._fetcher = fetcher
        self._is_revoked = is_revoked
        self._now = now
        self._monotonic = monotonic
        self._new_nonce = new_nonce
        self._rules = ResponseRules(
            pinned=() if file is None else read_pinned(file.read_bytes(), source=str(file)),
            require_nonce=settings.nonce is NonceUse.REQUIRED,
            maximum_age=settings.maximum_age,
            clock_skew=settings.clock_skew,
        )
        configured = {read_url(settings.url).entry} if settings.url else frozenset[str]()
        self._policy = FetchPolicy(
            hosts=settings.hosts | configured,
            private_networks=settings.private_networks,
            timeout=settings.wait,
            maximum_octets=LARGEST_RESPONSE,
        )
        self._wait = settings.wait.total_seconds()
        self._places = threading.BoundedSemaphore(MOST_QUESTIONS)
        self._lock = threading.Lock()  # of everything below; never held while somebody is asked
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._refused: OrderedDict[Key, tuple[float, OcspUnavailable]] = OrderedDict()
        self._responders: OrderedDict[str, _Responder] = OrderedDict()
        self._flights: dict[Key, _Flight] = {}
        self._answers: Counter[tuple[str, str]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._remembered = self._shared = self._skipped = self._changes = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- the questions (`OcspSource`)

    def find_remembered(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,  # noqa: ARG002 - the responders are the same for every anchor
        now: datetime,
    ) -> OcspAnswer | None:
        """Return an answer that is at hand and still holds; None where there is none. Never waits."""
        with self._lock:
            return self._find_kept(_key_of(facts, issuer), now)

    def ask(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,  # noqa: ARG002 - as above
        now: datetime,
        deadline: float,
    ) -> OcspAnswer:
        """Ask about one certificate, or wait for somebody who does; see `OcspSource`."""
        urls = self._urls_of(facts)
        if not urls:
            return OcspNotAsked()
        key, started = _key_of(facts, issuer), self._monotonic()
        question = _Question(
            key=key,
            facts=facts,
            issuer=issuer,
            now=now,
            limit=min(started + self._wait, deadline),
            wanted=True,
        )
        with self._lock:
            kept = self._find_kept(key, now)
            if kept is not None:
                return kept
            refused = self._find_refused(key, started)
            if refused is None:
                mine = _Flight()
                flight = self._flights.setdefault(key, mine)
                self._shared += flight is not mine
        if refused is not None:
            return self._unless_revoked(key, refused)
        if flight is mine:
            return self._fly(mine, question, urls)
        if flight.landed.wait(max(question.limit - self._monotonic(), 0.0)) and flight.answer is not None:
            return flight.answer
        return self._unless_revoked(
            key, OcspUnavailable(source=urls[0], problem=f"no answer within {self._wait:g} s")
        )

    # --- the service

    @property
    def changes(self) -> int:
        """How often a remembered answer became another: what was decided by the former no longer stands."""
        return self._changes

    def figures(self) -> OcspFigures:
        """Return what is counted."""
        with self._lock:
            failing: dict[str, bool] = {}
            for url, responder in self._responders.items():
                host = read_url(url).entry
                failing[host] = failing.get(host, False) or bool(responder.failures)
            return OcspFigures(
                answers=dict(self._answers),
                seconds=dict(self._seconds),
                remembered=self._remembered,
                shared=self._shared,
                skipped=self._skipped,
                failing=failing,
            )

    def warnings(self) -> list[str]:
        """Return what an operator should know now: responders that failed, or whose last response was refused."""
        with self._lock:
            recent = self._monotonic() - _WARNED
            return sorted(
                f"OCSP responder `{url}`: {problem}"
                for url, responder in self._responders.items()
                for problem in (responder.problem, responder.refused)
                if problem and responder.seen_at >= recent
            )

    def start(self) -> None:
        """Begin to ask anew in the background, before answers end."""
        self._thread = threading.Thread(target=self._run, name="ocsp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask nobody in the background any more; waits for a question under way, `wait` at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._wait)

    def refresh(self) -> int:
        """Ask anew about every certificate whose answer ends soon and was used; return how many that were."""
        now = self._now()
        with self._lock:
            due = [
                (key, kept)
                for key, kept in self._kept.items()
                if kept.used and kept.refresh_at <= now < kept.until and key not in self._flights
            ]
            for _key, kept in due:
                kept.refresh_at = now + _REFRESH_AGAIN  # of the old answer; a new one has its own
        for position, (key, kept) in enumerate(due):
            if self._stop.is_set():
                return position
            self._ask_anew(key, kept, now)
        return len(due)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - see below
                # The outermost handler of this thread. If it ended, every request would wait again; a defect is
                # logged, what is remembered holds as long as it would, and refreshing goes on.
                _LOG.exception("ocsp_refresh_broken")

    def _ask_anew(self, key: Key, kept: _Kept, now: datetime) -> None:
        facts, issuer = read_certificate(kept.certificate), read_certificate(kept.issuer)
        flight = _Flight()
        with self._lock:
            if self._flights.setdefault(key, flight) is not flight:
                return
        question = _Question(
            key=key, facts=facts, issuer=issuer, now=now, limit=self._monotonic() + self._wait, wanted=False
        )
        self._fly(flight, question, self._urls_of(facts))

    # --- one question

    def _urls_of(self, facts: CertificateFacts) -> tuple[str, ...]:
        """Return who may be asked: the configured responder, else those of the certificate that are allowed."""
        if facts.serial < 0:  # nobody has issued it by RFC 5280, and a request cannot name it
            return ()
        if self._settings.url:
            return (self._settings.url,)
        return tuple(url for url in responder_urls(facts) if self._is_allowed(url))

    def _is_allowed(self, url: str) -> bool:
        try:
            target = read_url(url)
        except FetchFault:
            return False
        return target.scheme in {"http", "https"} and target.is_allowed(self._policy)

    def _fly(self, flight: _Flight, question: _Question, urls: tuple[str, ...]) -> OcspAnswer:
        """Ask, and let everybody know who waits."""
        try:
            flight.answer = self._ask_each(question, urls)
            return flight.answer
        finally:
            with self._lock:
                del self._flights[question.key]
            flight.landed.set()

    def _ask_each(self, question: _Question, urls: tuple[str, ...]) -> OcspAnswer:
        """Ask one responder after another until one answers; each has its share of the time that is left."""
        first: OcspUnavailable | None = None
        for position, url in enumerate(urls):
            left = question.limit - self._monotonic()
            answer = self._ask_one(url, question, left / (len(urls) - position))
            if not isinstance(answer, OcspUnavailable):
                return self._keep(question, answer)
            first = first or answer
        assert first is not None
        return self._unless_revoked(question.key, first)

    def _ask_one(self, url: str, question: _Question, seconds: float) -> _Told | OcspUnavailable:
        """Ask one responder, and judge its response.

        1. Not while it has just failed: then nobody waits, not even for a place.
        2. Wait for a place; what happened to the responder meanwhile counts.
        3. Send, and receive.
        4. Judge. An unacceptable response says nothing against the responder's being there.
        """
        until = self._monotonic() + seconds
        problem = self._find_trouble(url, enter=False)  # 1
        if problem or seconds <= 0:
            return self._skip(url, problem or _NO_TIME)
        if not self._places.acquire(timeout=seconds):  # 2
            return self._skip(url, f"{MOST_QUESTIONS} questions to responders are under way")
        try:
            left = until - self._monotonic()
            problem = _NO_TIME if left <= 0 else self._find_trouble(url, enter=True)
            if problem:
                return self._skip(url, problem)
            nonce = None if self._settings.nonce is NonceUse.OFF else self._new_nonce()
            octets = self._send(url, question, nonce, left)  # 3
        finally:
            self._places.release()
        if isinstance(octets, OcspUnavailable):
            return octets
        answer = verify_response(  # 4
            octets,
            facts=question.facts,
            issuer=question.issuer,
            nonce=nonce,
            now=question.now,
            rules=self._rules,
            is_revoked=lambda facts, issuer: self._is_revoked(facts, issuer, question.now),
            source=url,
        )
        assert not isinstance(answer, OcspNotAsked)
        self._note_answer(url, question.key, answer)
        return answer

    def _send(
        self, url: str, question: _Question, nonce: bytes | None, seconds: float
    ) -> bytes | OcspUnavailable:
        """Send a request and return what comes, or why nothing does; for no longer than some seconds."""
        began = self._monotonic()
        problem = "asking it was broken off by a defect"
        try:
            octets = self._fetcher.post(
                url,
                build_request(question.facts, question.issuer, nonce=nonce),
                content_type=_REQUEST_TYPE,
                accept=_RESPONSE_TYPE,
                policy=replace(self._policy, timeout=timedelta(seconds=seconds)),
            )
            problem = ""
        except FetchFault as fault:
            octets, problem = b"", shorten(str(fault))
        finally:
            self._note_exchange(url, problem, began, fair=seconds >= self._wait * _FAIR_SHARE)
        return OcspUnavailable(source=url, problem=problem) if problem else octets

    # --- what is known of responders

    def _find_trouble(self, url: str, *, enter: bool) -> str:
        """Say why a responder is not asked now, or return an empty text.

        Args:
            url: its address.
            enter: whether it is asked then. If it failed before, nobody else asks it meanwhile.

        """
        with self._lock:
            responder = self._responders.get(url)
            if responder is None or not responder.failures:
                return ""
            if responder.trying or self._monotonic() < responder.retry_at:
                return f"not asked again yet: {responder.problem}"
            responder.trying = enter
            return ""

    def _note_exchange(self, url: str, problem: str, began: float, *, fair: bool) -> None:
        """Note that a question ended. Failures of questions that were put before the last failure are the same one.

        A responder that was given next to no time, because a place had to be waited for or the decision was late, has
        not failed by not answering (`fair`).
        """
        now, host = self._monotonic(), read_url(url).entry
        with self._lock:
            self._seconds[host] += now - began
            responder = self._responder(url)
            responder.trying = False
            if problem:
                self._answers[host, _UNAVAILABLE] += 1
            if problem and not fair:
                return
            came_back = not problem and responder.failures > 0
            newly_down = bool(problem) and responder.failures == 0
            if not problem:
                responder.failures = 0
            elif newly_down or began >= responder.seen_at:
                responder.failures += 1
                back_off = _SHORTEST_BACK_OFF * 2 ** min(responder.failures - 1, 10)
                responder.retry_at = now + min(back_off, _LONGEST_BACK_OFF)
            responder.problem, responder.seen_at = problem, now
        if newly_down:
            _LOG.warning("ocsp_responder_down", extra={"responder": url, "problem": problem})
        if came_back:
            _LOG.info("ocsp_responder_up", extra={"responder": url})

    def _note_answer(self, url: str, key: Key, answer: OcspAnswer) -> None:
        """Note what a response was; one that is refused is not asked for again at once."""
        problem = answer.problem if isinstance(answer, OcspUnavailable) else ""
        with self._lock:
            self._answers[read_url(url).entry, _word_of(answer)] += 1
            responder = self._responder(url)
            told, responder.refused, responder.seen_at = responder.refused, problem, self._monotonic()
            if isinstance(answer, OcspUnavailable):
                self._refused[key] = (self._monotonic() + _REFUSED_MEMORY.total_seconds(), answer)
                _cut(self._refused, _MOST_REMEMBERED)
        if problem and problem != told:
            _LOG.warning("ocsp_response_refused", extra={"responder": url, "problem": problem})

    def _responder(self, url: str) -> _Responder:
        """Return the state of a responder, new if nothing is known; the lock is held."""
        responder = self._responders.setdefault(url, _Responder())
        self._responders.move_to_end(url)
        _cut(self._responders, _MOST_RESPONDERS)
        return responder

    def _skip(self, url: str, problem: str) -> OcspUnavailable:
        with self._lock:
            self._skipped += 1
        return OcspUnavailable(source=url, problem=problem)

    # --- what is remembered

    def _find_kept(self, key: Key, now: datetime) -> OcspAnswer | None:
        """Return an answer that still holds; the lock is held."""
        kept = self._kept.get(key)
        if kept is None or kept.until <= now:
            return None
        self._kept.move_to_end(key)
        kept.used = True
        self._remembered += 1
        return kept.answer

    def _unless_revoked(self, key: Key, answer: OcspUnavailable) -> OcspAnswer:
        """Return an answer, or the "revoked" that was heard before it: who blocks a responder unsays nothing (T39)."""
        with self._lock:
            kept = self._kept.get(key)
        return kept.answer if kept is not None and isinstance(kept.answer, OcspRevoked) else answer

    def _find_refused(self, key: Key, at: float) -> OcspUnavailable | None:
        """Return why the last response was not accepted, if that was just now; the lock is held."""
        until, answer = self._refused.get(key, (at, None))
        if answer is None or until <= at:
            return None
        self._skipped += 1
        return answer

    def _keep(self, question: _Question, answer: _Told) -> OcspAnswer:
        """Remember an answer, unless an earlier one says more; return the one that counts.

        INVARIANT: nothing goes back to "good", see `_says_more`.
        """
        key, now = question.key, question.now
        with self._lock:
            self._refused.pop(key, None)
            old = self._kept.get(key)
            if old is not None and _says_more(old, answer, now):
                if isinstance(old.answer, OcspRevoked):
                    old.until = now + self._settings.maximum_age
                return old.answer
            if old is not None and type(old.answer) is not type(answer):
                self._changes += 1
            until = self._end_of(answer, now)
            self._kept[key] = _Kept(
                answer=answer,
                certificate=question.facts.der,
                issuer=question.issuer.der,
                heard_at=now,
                until=until,
                refresh_at=_refresh_at(key, now, min(until, now + self._settings.maximum_age)),
                used=question.wanted,
            )
            self._kept.move_to_end(key)
            _cut(self._kept, _MOST_REMEMBERED)
        return answer

    def _end_of(self, answer: _Told, now: datetime) -> datetime:
        match answer:
            case OcspGood():
                return answer.next_update
            case OcspRevoked():
                return now + self._settings.maximum_age
            case OcspUnknown():
                return now + _UNKNOWN_MEMORY
            case _ as unreachable:
                assert_never(unreachable)


def _says_more(old: _Kept, answer: _Told, now: datetime) -> bool:
    """Whether an earlier answer counts more than a new one: that is a replay, or of a responder that is behind.

    "Revoked" counts until "good" comes that was made after it was heard; a responder that has forgotten the certificate
    does not unsay it. "Good" that still holds counts more than a "good" that was made before it.
    """
    match old.answer:
        case OcspRevoked():
            later = isinstance(answer, OcspGood) and answer.this_update > old.heard_at
            return not (later or isinstance(answer, OcspRevoked))
        case OcspGood() as good:
            return isinstance(answer, OcspGood) and now < old.until and answer.this_update < good.this_update
        case OcspUnknown():
            return False
        case _ as unreachable:
            assert_never(unreachable)


def _key_of(facts: CertificateFacts, issuer: CertificateFacts) -> Key:
    return (facts.issuer_der, issuer.key_sha256, facts.serial)


def _refresh_at(key: Key, now: datetime, until: datetime) -> datetime:
    """Return when to ask anew: in the third quarter of a life, each certificate at its own place in it.

    The place is made of the serial number, so that what was asked about at once is not asked about at once again.
    """
    octet = hashlib.sha256(str(key[2]).encode()).digest()[0]
    return now + (until - now) * (0.5 + octet / 1024)


def _word_of(answer: OcspAnswer) -> str:
    match answer:
        case OcspGood():
            return "good"
        case OcspRevoked():
            return "revoked"
        case OcspUnknown():
            return "unknown"
        case OcspUnavailable():
            return _UNAVAILABLE
        case OcspNotAsked():
            return "not_asked"
        case _ as unreachable:
            assert_never(unreachable)


def _cut(memory: "OrderedDict[_AnyKey, _AnyValue]", most: int) -> None:
    """Forget what was used longest ago, down to so many."""
    while len(memory) > most:
        memory.popitem(last=False)
