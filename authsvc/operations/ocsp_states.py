"""How OCSP responders fare: which of them is left alone for a while, what is counted, what operators are told (T39).

Lives here: the state of each address. Not here: asking (`ocsp_responders.py`), what was answered (`ocsp_memory.py`).

Invariants:

* After a failure nobody asks for a while, and then one question at a time does, until one is answered: a responder
  that hangs holds one thread for a small part of the time.
* Only that nothing came counts as a failure. A response that is not acceptable was an answer: it says something about
  one certificate, and must not keep others from being asked about.
* Addresses come from certificates: how many are known is bounded, and what is counted is counted by host, whose number
  the configuration bounds (threat T74).

May be used by several threads; nothing here waits.
"""

import logging
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from authsvc.operations.fetching import read_url
from authsvc.operations.ocsp_memory import Told, cut
from authsvc.trust.ocsp_answer import OcspGood, OcspRevoked, OcspUnavailable, OcspUnknown

__all__ = ["OcspFigures", "ResponderStates"]

_LOG = logging.getLogger("authsvc.ocsp")

_MOST_RESPONDERS: Final = 1_000
"""Addresses whose state is kept: authorities write them into certificates, so their number is not ours."""

_SHORTEST_BACK_OFF: Final = 5.0
_LONGEST_BACK_OFF: Final = 60.0
"""Seconds in which a responder that failed is not asked: doubled each time, so that one that hangs holds a thread for a
sixtieth of the time, and one that is back is noticed within a minute."""

_MOST_DOUBLINGS: Final = 10
"""Beyond them the longest counts in any case."""

_WARNED: Final = 600.0
"""Seconds for which a failure is told to operators: a responder that nobody asks any more may be well again."""

_UNAVAILABLE: Final = "unavailable"


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
class _Responder:
    """One address. `failures` in a row; `problem` of the last, `refused` of the last response; monotonic seconds."""

    failures: int = 0
    retry_at: float = 0.0
    trying: bool = False
    problem: str = ""
    refused: str = ""
    seen_at: float = 0.0


@dataclass(slots=True)
class _Silence:
    """A host that let the time pass, under whatever address: how often in a row; as in `_Responder`."""

    failures: int = 0
    retry_at: float = 0.0
    problem: str = ""


def _back_off(failures: int) -> float:
    """Return for how many seconds nobody is asked after so many failures in a row."""
    return min(_SHORTEST_BACK_OFF * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), _LONGEST_BACK_OFF)


class ResponderStates:
    """The responders that were asked.

    Args:
        monotonic: the clock, in seconds.

    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()  # of everything below
        self._responders: OrderedDict[str, _Responder] = OrderedDict()
        self._silent: OrderedDict[str, _Silence] = OrderedDict()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def find_trouble(self, url: str, *, enter: bool) -> str:
        """Say why a responder is not asked now, or return an empty text.

        Args:
            url: its address.
            enter: whether it is asked then. If it failed before, nobody else asks it until `note_exchange`.

        """
        with self._lock:
            silence = self._silent.get(read_url(url).entry)
            if silence is not None and self._monotonic() < silence.retry_at:
                return f"not asked again yet: {silence.problem}"
            responder = self._responders.get(url)
            if responder is None or not responder.failures:
                return ""
            if responder.trying or self._monotonic() < responder.retry_at:
                return f"not asked again yet: {responder.problem}"
            responder.trying = enter
            return ""

    def note_exchange(
        self, url: str, problem: str, began: float, *, fair: bool, silent: bool = False
    ) -> None:
        """Note that a question ended, with an empty problem if something came.

        Failures of questions that were put before the last failure was known are the same failure.

        Args:
            url: whom it was put to.
            problem: why nothing came.
            began: when it was put, in monotonic seconds.
            fair: whether there was time to answer: who had none, because a place had to be waited for or the decision
                was late, has not failed.
            silent: whether nothing came until the time was up. Then nobody asks that host for a while, under any
                address: each certificate may name its own, and each would wait for as long. What is refused at once is
                held against the one address alone, so that an odd one takes nobody else's responder away (threat T79).

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
                self._silent.pop(host, None)
            elif newly_down or began >= responder.seen_at:
                responder.failures += 1
                responder.retry_at = now + _back_off(responder.failures)
            if problem and silent:
                silence = self._silent.setdefault(host, _Silence())
                if began >= silence.retry_at:  # else it was put before the host was known to be silent
                    silence.failures += 1
                    silence.retry_at = now + _back_off(silence.failures)
                silence.problem = problem
                cut(self._silent, _MOST_RESPONDERS)
            responder.problem, responder.seen_at = problem, now
        if newly_down:
            _LOG.warning("ocsp_responder_down", extra={"responder": url, "problem": problem})
        if came_back:
            _LOG.info("ocsp_responder_up", extra={"responder": url})

    def note_answer(self, url: str, answer: Told | OcspUnavailable) -> None:
        """Note what a response was worth."""
        problem = answer.problem if isinstance(answer, OcspUnavailable) else ""
        with self._lock:
            self._answers[read_url(url).entry, _word_of(answer)] += 1
            responder = self._responder(url)
            told, responder.refused, responder.seen_at = responder.refused, problem, self._monotonic()
        if problem and problem != told:
            _LOG.warning("ocsp_response_refused", extra={"responder": url, "problem": problem})

    def warnings(self) -> list[str]:
        """Return what an operator should know now: who failed, or whose last response was refused."""
        with self._lock:
            recent = self._monotonic() - _WARNED
            return sorted(
                f"OCSP responder `{url}`: {problem}"
                for url, responder in self._responders.items()
                for problem in (responder.problem, responder.refused)
                if problem and responder.seen_at >= recent
            )

    def figures(self, *, remembered: int, shared: int, skipped: int) -> OcspFigures:
        """Return what is counted, with what others counted."""
        with self._lock:
            failing: dict[str, bool] = {}
            for url, responder in self._responders.items():
                host = read_url(url).entry
                failing[host] = failing.get(host, False) or responder.failures > 0
            return OcspFigures(
                answers=dict(self._answers),
                seconds=dict(self._seconds),
                remembered=remembered,
                shared=shared,
                skipped=skipped,
                failing=failing,
            )

    def _responder(self, url: str) -> _Responder:
        """Return the state of a responder, new if nothing is known; the lock is held."""
        responder = self._responders.setdefault(url, _Responder())
        self._responders.move_to_end(url)
        cut(self._responders, _MOST_RESPONDERS)
        return responder


def _word_of(answer: Told | OcspUnavailable) -> str:
    match answer:
        case OcspGood():
            return "good"
        case OcspRevoked():
            return "revoked"
        case OcspUnknown():
            return "unknown"
        case OcspUnavailable():
            return _UNAVAILABLE
        case _ as unreachable:
            assert_never(unreachable)
