"""Asking OCSP responders (RFC 6960, RFC 5019, RFC 9654).

Lives here: who is asked, when, how often and for how long; `OcspResponders` is the `OcspSource` of a service. Not here:
what is remembered (`ocsp_memory.py`), how responders fare (`ocsp_states.py`), connections, addresses and redirects
(`fetching.py`), whether a response may be believed (`authsvc/trust/ocsp.py`), what an answer means
(`authsvc/trust/revocation.py`).

Invariants:

* A certificate's own address is called only if its host is configured, and only after its path was proven: nobody else
  calls `ask` (threat T31).
* One question waits no longer than `wait`, for one certificate once. Others who want to know the same wait for that
  question. A responder that fails makes everybody else's answer `OcspUnavailable` at once for a while, and then one
  question at a time tries it again: whoever blocks or stalls a responder costs requests one `wait` and no more of our
  threads (threat T39).
* A remembered answer ends where the response says, and is asked for anew before that, in the background, while it is
  used, so that a warm request never waits.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from authsvc.operations.fetch_connections import Network
from authsvc.operations.fetching import Fetcher, FetchFault, FetchPolicy, read_url
from authsvc.operations.ocsp_memory import Heard, Key, OcspMemory, Told, key_of
from authsvc.operations.ocsp_states import OcspFigures, ResponderStates
from authsvc.trust.anchors import TrustMaterialError, read_certificates_pem
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.ocsp import ResponseRules, find_responder_problem, verify_response
from authsvc.trust.ocsp_answer import OcspAnswer, OcspNotAsked, OcspUnavailable
from authsvc.trust.ocsp_messages import LARGEST_RESPONSE, build_request, responder_urls
from directory_assistance.errors import shorten

__all__ = ["MOST_PINNED", "MOST_QUESTIONS", "NonceUse", "OcspResponders", "OcspSettings", "read_pinned"]

_LOG = logging.getLogger("authsvc.ocsp")

MOST_QUESTIONS: Final = 8
"""Questions to responders under way: half of the threads that decide, so that the others have some left (T39)."""

MOST_PINNED: Final = 16
"""Pinned responders: one, its successor, and some for other authorities; each may cost a signature check."""

_LOOK_SECONDS: Final = 1.0
"""Between two looks at what must be asked for anew: responses live for minutes at least."""

_NONCE_OCTETS: Final = 32
"""RFC 9654 section 2.1."""

_REQUEST_TYPE: Final = "application/ocsp-request"
_RESPONSE_TYPE: Final = "application/ocsp-response"

_FAIR_SHARE: Final = 1 / 8
"""Of `wait`: a responder that does not answer within less has not failed."""

_SILENT_SHARE: Final = 0.8
"""Share of its time after which a question that failed counts as one that nobody answered."""

_NO_TIME: Final = "no time left to ask"

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
    `host:port`; `anchor_hosts`: instead of those, by the id of the trust anchor that the path ends at. `url`: who is
    asked about every certificate, whatever stands in it; empty for nobody. `responder_file`: certificates (PEM) of the
    only responders that may sign. `private_networks`: networks that are not public and may be called.
    """

    wait: timedelta = timedelta(seconds=1)
    hosts: frozenset[str] = frozenset()
    anchor_hosts: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    url: str = ""
    responder_file: Path | None = None
    nonce: NonceUse = NonceUse.SENT
    maximum_age: timedelta = timedelta(hours=1)
    clock_skew: timedelta = timedelta(0)
    private_networks: tuple[Network, ...] = ()


class _Flight:
    """One question under way. `answer` stands before `landed` is set; without one it ended in a bug."""

    __slots__ = ("answer", "landed")

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.answer: OcspAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Which certificate is asked about; `now` it is `began`, until `limit` (monotonic seconds).

    `wanted`: whether a request waits for it.
    """

    facts: CertificateFacts
    issuer: CertificateFacts
    anchor_id: str
    now: datetime
    began: float
    limit: float
    wanted: bool

    @property
    def key(self) -> Key:
        """What its answer is remembered by."""
        return key_of(self.facts, self.issuer)


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
        self._wait = settings.wait.total_seconds()
        self._places = threading.BoundedSemaphore(MOST_QUESTIONS)
        self._memory = OcspMemory(settings.maximum_age)
        self._states = ResponderStates(monotonic)
        self._lock = threading.Lock()  # of the following; never held while somebody is asked
        self._flights: dict[Key, _Flight] = {}
        self._shared = self._skipped = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- the questions (`OcspSource`)

    def find_remembered(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,  # noqa: ARG002 - an answer is believed for its issuer, whatever the path above
        now: datetime,
    ) -> OcspAnswer | None:
        """Return an answer that is at hand and still holds; None where there is none. Never waits."""
        return self._memory.find(key_of(facts, issuer), now)

    def ask(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,
        now: datetime,
        deadline: float,
    ) -> OcspAnswer:
        """Ask about one certificate, or wait for somebody who does; see `OcspSource`."""
        urls = self._urls_of(facts, anchor_id)
        if not urls:
            return OcspNotAsked()
        key, began = key_of(facts, issuer), self._monotonic()
        known = self._memory.find(key, now)
        if known is not None:
            return known
        refused = self._memory.find_refused(key, began)
        if refused is not None:
            return refused
        question = _Question(
            facts=facts,
            issuer=issuer,
            anchor_id=anchor_id,
            now=now,
            began=began,
            limit=min(began + self._wait, deadline),
            wanted=True,
        )
        with self._lock:
            mine = _Flight()
            flight = self._flights.setdefault(key, mine)
            self._shared += flight is not mine
        if flight is mine:
            return self._fly(mine, question, urls)
        if flight.landed.wait(max(question.limit - self._monotonic(), 0.0)) and flight.answer is not None:
            return flight.answer
        return OcspUnavailable(source=urls[0], problem=f"no answer within {self._wait:g} s")

    # --- the service

    @property
    def changes(self) -> int:
        """How often a remembered answer became another: what was decided by the former no longer stands."""
        return self._memory.changes

    def figures(self) -> OcspFigures:
        """Return what is counted."""
        memory = self._memory
        return self._states.figures(
            remembered=memory.hits, shared=self._shared, skipped=self._skipped + memory.refused_hits
        )

    def warnings(self) -> list[str]:
        """Return what an operator should know now: responders that failed, or whose last response was refused."""
        return self._states.warnings()

    def start(self) -> None:
        """Begin to ask anew in the background, before answers end."""
        self._thread = threading.Thread(target=self._run, name="ocsp", daemon=True)
        self._thread.start()

    def take_over(self, former: "OcspResponders") -> None:
        """Remember what those of a former configuration heard to be revoked; "good" is asked for anew."""
        for key, heard in former._memory.revoked():  # noqa: SLF001 - of the same class
            self._memory.keep(key, heard)

    def close(self) -> None:
        """Ask nobody in the background any more; waits for a question under way, `wait` at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._wait)

    def refresh(self) -> int:
        """Ask anew about every certificate whose answer ends soon and was used; return how many that were."""
        with self._lock:
            under_way = frozenset(self._flights)
        due = self._memory.due(self._now(), but=under_way)
        for position, (key, heard) in enumerate(due):
            if self._stop.is_set():
                return position
            self._ask_anew(key, heard)
        return len(due)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - see below
                # The outermost handler of this thread. If it ended, every request would wait again; a defect is
                # logged, what is remembered holds as long as it would, and refreshing goes on.
                _LOG.exception("ocsp_refresh_broken")

    def _ask_anew(self, key: Key, heard: Heard) -> None:
        facts, issuer = read_certificate(heard.certificate), read_certificate(heard.issuer)
        urls = self._urls_of(facts, heard.anchor_id)
        if not urls:  # heard under a former configuration, which had this one's responder on its list
            return
        flight, began = _Flight(), self._monotonic()
        with self._lock:
            if self._flights.setdefault(key, flight) is not flight:
                return
        question = _Question(
            facts=facts,
            issuer=issuer,
            anchor_id=heard.anchor_id,
            now=self._now(),
            began=began,
            limit=began + self._wait,
            wanted=False,
        )
        self._fly(flight, question, urls)

    # --- one question

    def _urls_of(self, facts: CertificateFacts, anchor_id: str) -> tuple[str, ...]:
        """Return who may be asked: the configured responder, else those of the certificate that are allowed."""
        if facts.serial < 0:  # nobody has issued it by RFC 5280, and a request cannot name it
            return ()
        if self._settings.url:
            return (self._settings.url,)
        policy = self._policy_for(anchor_id, self._wait)
        return tuple(url for url in responder_urls(facts) if _is_allowed(url, policy))

    def _policy_for(self, anchor_id: str, seconds: float) -> FetchPolicy:
        settings = self._settings
        hosts = settings.anchor_hosts.get(anchor_id, settings.hosts)
        return FetchPolicy(
            hosts=frozenset({read_url(settings.url).entry}) if settings.url else hosts,
            private_networks=settings.private_networks,
            timeout=timedelta(seconds=seconds),
            maximum_octets=LARGEST_RESPONSE,
        )

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
        return first

    def _ask_one(self, url: str, question: _Question, seconds: float) -> Told | OcspUnavailable:
        """Ask one responder, and judge its response.

        1. Not while it has just failed: then nobody waits, not even for a place.
        2. Wait for a place; what happened to the responder meanwhile counts.
        3. Send, and receive.
        4. Judge. An unacceptable response says nothing against the responder's being there.
        """
        until = self._monotonic() + seconds
        problem = self._states.find_trouble(url, enter=False)  # 1
        if problem or seconds <= 0:
            return self._skip(url, problem or _NO_TIME)
        if not self._places.acquire(timeout=seconds):  # 2
            return self._skip(url, f"{MOST_QUESTIONS} questions to responders are under way")
        try:
            left = until - self._monotonic()
            problem = _NO_TIME if left <= 0 else self._states.find_trouble(url, enter=True)
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
            now=self._time_of(question),
            rules=self._rules,
            is_revoked=lambda facts, issuer: self._is_revoked(facts, issuer, question.now),
            source=url,
        )
        assert not isinstance(answer, OcspNotAsked)
        self._states.note_answer(url, answer)
        if isinstance(answer, OcspUnavailable):
            self._memory.refuse(question.key, answer, self._monotonic())
        return answer

    def _time_of(self, question: _Question) -> datetime:
        """Return the time by the clock of a question: an answer is made after it was asked for."""
        return question.now + timedelta(seconds=self._monotonic() - question.began)

    def _keep(self, question: _Question, answer: Told) -> Told:
        heard = Heard(
            answer=answer,
            anchor_id=question.anchor_id,
            certificate=question.facts.der,
            issuer=question.issuer.der,
            at=self._time_of(question),
            wanted=question.wanted,
        )
        return self._memory.keep(question.key, heard)

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
                policy=self._policy_for(question.anchor_id, seconds),
            )
            problem = ""
        except FetchFault as fault:
            octets, problem = b"", shorten(str(fault))
        finally:
            self._states.note_exchange(
                url,
                problem,
                began,
                fair=seconds >= self._wait * _FAIR_SHARE,
                silent=self._monotonic() - began >= seconds * _SILENT_SHARE,
            )
        return OcspUnavailable(source=url, problem=problem) if problem else octets

    def _skip(self, url: str, problem: str) -> OcspUnavailable:
        with self._lock:
            self._skipped += 1
        return OcspUnavailable(source=url, problem=problem)


def _is_allowed(url: str, policy: FetchPolicy) -> bool:
    try:
        target = read_url(url)
    except FetchFault:
        return False
    return target.scheme in {"http", "https"} and target.is_allowed(policy)
