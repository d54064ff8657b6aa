"""Self-tests: whether each directory still finds the certificate that is known to be in it (`sample`).

What lives here: when one is made, in which thread, what is logged of it, and what an operator should know. What does
not: the look-ups and what they show (`verifying.py` and below).

A directory that answers, and finds nobody, looks well from everywhere else: a wrong base, rights that were taken away,
a lost index or an import that went wrong become refusals. Its sample shows it.

Invariants:

* Nobody waits for a self-test: no request, no look of the service, and the end of the service no longer than
  `_CLOSE_SECONDS`.
* One directory is asked at a time, for no longer than `LONGEST_SELF_TEST`, and no more often than once in
  `BETWEEN_SELF_TESTS`.
* A directory that does not answer has neither passed nor failed: others tell of it, and what stood before stands.
* What is logged names no person: words of the check, never of the entry.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from authsvc.operations.watches import DomainWatch
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.verification import Check, CheckResult
from directory_assistance.watching import WatchState

__all__ = ["BETWEEN_SELF_TESTS", "LONGEST_SELF_TEST", "SelfTests"]

_LOG = logging.getLogger("authsvc.self_tests")

BETWEEN_SELF_TESTS: Final = timedelta(minutes=1)
"""Between two self-tests of a directory: a server that comes and goes is not asked more for that."""

LONGEST_SELF_TEST: Final = timedelta(seconds=10)
"""The deadline of one self-test, as of one decision."""

_CLOSE_SECONDS: Final = 0.5
"""How long closing waits for a self-test under way: nobody can interrupt a question that was put."""


@dataclass(slots=True)
class _Tested:
    """One domain. `problem` is what the last self-test found that was answered, empty for nothing."""

    domain: str
    due: bool = True
    last: float = float("-inf")
    problem: str = ""
    advice: str = ""
    watch: WatchState = WatchState.STARTING
    hosts_away: frozenset[str] = frozenset()


class SelfTests:
    """The self-tests of the directories of one configuration.

    Args:
        domains: those that have a sample.
        look: asks one of them for its sample until a monotonic instant, without any memory.
        monotonic: the clock of deadlines, in seconds.

    """

    def __init__(
        self,
        domains: Iterable[str],
        look: Callable[[str, float], tuple[Check, ...]],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._tested = tuple(_Tested(domain=name) for name in domains)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def observe(self, watches: Iterable[DomainWatch], hosts: Iterable[tuple[str, HostStatus]]) -> None:
        """Begin what is due, in a thread of its own. Of one thread at a time; never waits.

        Due is every directory at first; one whose watch has become live again, or of whose servers one is back; and
        one that has failed, or has not answered, because nobody tells when that is mended.

        Args:
            watches: how every watch stands now.
            hosts: how every server stands now, with its domain.

        """
        if not self._tested or self._closed.is_set():
            return
        states = {each.domain: each.status.state for each in watches}
        away: dict[str, set[str]] = {}
        for domain, status in hosts:
            if status.state is not HostState.UP:
                away.setdefault(domain, set()).add(status.uri)
        for each in self._tested:
            _note_recovery(
                each, states.get(each.domain, WatchState.OFF), frozenset(away.get(each.domain, ()))
            )
        if self._thread is not None and self._thread.is_alive():
            return
        now = self._monotonic()
        ready = [
            each
            for each in self._tested
            if each.due and now - each.last >= BETWEEN_SELF_TESTS.total_seconds()
        ]
        if ready:
            self._thread = threading.Thread(target=self._test, args=(ready,), name="self-test", daemon=True)
            self._thread.start()

    def warnings(self, *, but: Collection[str] = ()) -> list[str]:
        """Return what the last self-tests found, of every domain but some."""
        return [
            f"the sample of `{each.domain}` is refused: {each.problem}; change {each.advice}"
            for each in self._tested
            if each.problem and each.domain not in but
        ]

    def close(self) -> None:
        """Begin no other self-test, and wait a moment for the one under way; nothing is logged of it any more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _test(self, ready: Iterable[_Tested]) -> None:
        for each in ready:
            if self._closed.is_set():
                return
            each.last, each.due = self._monotonic(), False  # before: a recovery during it makes it due again
            try:
                deadline = each.last + LONGEST_SELF_TEST.total_seconds()
                checks = self._look(each.domain, deadline)
            except Exception:  # noqa: BLE001 - see below
                # The outermost handler of this thread: a defect here is nobody's refusal. It is tried again.
                each.due = True
                if not self._closed.is_set():
                    _LOG.exception("directory_self_test_broken", extra={"domain": each.domain})
                continue
            if not self._closed.is_set():
                _conclude(each, checks)


def _note_recovery(tested: _Tested, watch: WatchState, hosts_away: frozenset[str]) -> None:
    """Make a self-test due where the watch was lost and is live, or where a server was away and is not."""
    if tested.watch is WatchState.LOST and watch is WatchState.LIVE:
        tested.due = True
    if watch in {WatchState.LOST, WatchState.LIVE}:
        tested.watch = watch
    if tested.hosts_away - hosts_away:
        tested.due = True
    tested.hosts_away = hosts_away


def _conclude(tested: _Tested, checks: tuple[Check, ...]) -> None:
    """Log what came of a self-test: a failure when it begins or becomes another one, each pass."""
    failures = [check for check in checks if check.result is CheckResult.FAILED]
    failure = next((check for check in failures if check.answered), None)
    if failure is None and failures:
        tested.due = True
        return
    if failure is None:
        tested.problem = tested.advice = ""
        _LOG.info("directory_self_test_passed", extra={"domain": tested.domain})
        return
    tested.due = True
    if (tested.problem, tested.advice) != (failure.why, failure.advice):
        tested.problem, tested.advice = failure.why, failure.advice
        _LOG.warning(
            "directory_self_test_failed",
            extra={"domain": tested.domain, "problem": failure.why, "advice": failure.advice},
        )
