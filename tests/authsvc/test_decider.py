"""The shell around the pipeline: what is shared, what is bounded, and what is left behind when something goes wrong."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from authsvc.decision.pipeline import Policy, Snapshot
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Undecided, Verdict
from authsvc.operations import decider as module
from authsvc.operations.decider import Decider
from authsvc.presented.presentation import NoCertificate
from authsvc.reason import Reason
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import Candidate
from directory_assistance.directory import LookUp
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain
from directory_assistance.errors import DirectoryUnavailable
from tests.support.decision import (
    CRL_END,
    DAVE,
    DEFAULT_PLAN,
    MappingDatabases,
    acl,
    person,
    presented,
    reading,
    revocation,
    sales,
    trust,
)
from tests.support.pki import NOW

REQUEST = DecisionRequest(
    presentation=presented(DAVE), front_end=FrontEndPolicy(name="nginx"), target=reading()
)
_LONGEST_WAIT = 20.0
"""Seconds until a test that hangs fails; none of them takes one."""


class Watched(MemoryDirectory):
    """The primary, which counts how often a run of the pipeline begins, and can hold every run back."""

    def __init__(self) -> None:
        super().__init__("Renovations", [person("Dave Lawson/Renovations", holds=DAVE)])
        self.runs = 0
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.problem: Exception | None = None
        self._lock = threading.Lock()

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        with self._lock:
            self.runs += 1  # the first question ends the search: one for each run
        self.entered.release()
        assert self.open.wait(_LONGEST_WAIT)
        if self.problem is not None:
            raise self.problem
        return super().find_entries(candidate, limit=limit, deadline=deadline)


@dataclass
class Place:
    """A decider over a watched directory; clock, snapshot and epoch are the test's."""

    directory: Watched = field(default_factory=Watched)
    epoch: object | None = 1
    now: datetime = NOW
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.snapshot = self.another_snapshot()
        self.decider = Decider(
            lambda: (self.snapshot, self.epoch), now=lambda: self.now, monotonic=lambda: 0.0
        )

    def another_snapshot(self) -> Snapshot:
        """Return a snapshot that is equal and not the same."""
        return Snapshot(
            trust=trust(),
            revocation=revocation(),
            assistance=DirectoryAssistance(
                primary=PrimaryDomain(domain="Renovations", directory=self.directory, plan=DEFAULT_PLAN)
            ),
            databases=MappingDatabases(sales(acl("Dave Lawson/Renovations", "Reader", type="person"))),
            policy=self.policy,
            version="test",
        )

    async def hold(self) -> None:
        """Hold every run back from now on."""
        self.directory.open.clear()

    async def let_go(self) -> None:
        """Let all runs go on; beside others in a `gather`, it comes after they have asked."""
        self.directory.open.set()

    async def entered(self) -> None:
        """Wait until one more run has begun."""
        assert await asyncio.to_thread(self.directory.entered.acquire, timeout=_LONGEST_WAIT)


@contextmanager
def place(**changed: object) -> Iterator[Place]:
    case = Place(**changed)  # type: ignore[arg-type]  # deviations
    try:
        yield case
    finally:
        case.directory.open.set()
        case.decider.close()


def run(main: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(main, _LONGEST_WAIT))


def other(number: int) -> DecisionRequest:
    return replace(REQUEST, front_end=FrontEndPolicy(name=f"front end {number}"))


# --- the cache ---------------------------------------------------------------------------------------------


def test_the_first_question_runs_the_pipeline_and_the_second_does_not() -> None:
    async def main() -> None:
        assert case.decider.cached(REQUEST) is None
        first = await case.decider.decide(REQUEST)
        assert isinstance(first, Allowed)
        assert await case.decider.decide(REQUEST) is first
        assert case.decider.cached(REQUEST) is first
        assert case.directory.runs == 1

    with place() as case:
        run(main())


def _another_epoch(case: Place) -> None:
    case.epoch = 2


def _unknown_epoch(case: Place) -> None:
    case.epoch = None


def _later(case: Place) -> None:
    case.now = NOW + timedelta(seconds=60)


def _earlier(case: Place) -> None:
    case.now = NOW - timedelta(seconds=1)


def _flushed(case: Place) -> None:
    assert case.decider.flush() == 1


@pytest.mark.parametrize(
    "change",
    [_another_epoch, _unknown_epoch, _later, _earlier, _flushed],
    ids=["another epoch", "an unknown epoch", "the end of its life", "a clock set back", "a flush"],
)
def test_t41_t66_after_a_change_the_question_is_decided_afresh(change: Callable[[Place], None]) -> None:
    async def main() -> None:
        await case.decider.decide(REQUEST)
        change(case)
        assert case.decider.cached(REQUEST) is None
        assert isinstance(await case.decider.decide(REQUEST), Allowed)
        assert case.directory.runs == 2

    with place() as case:
        run(main())


def test_without_an_epoch_nothing_is_kept() -> None:
    async def main() -> None:
        for _ in range(3):
            await case.decider.decide(REQUEST)
        assert case.directory.runs == 3
        case.epoch = 1
        assert case.decider.cached(REQUEST) is None

    with place(epoch=None) as case:
        run(main())


def test_a_verdict_made_while_something_changed_is_nobodys_but_the_askers() -> None:
    """The epoch is read before the run: a write during it is not in the verdict."""

    async def main() -> None:
        await case.hold()
        asking = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        case.epoch = 2
        await case.let_go()
        assert isinstance(await asking, Allowed)
        assert case.decider.cached(REQUEST) is None

    with place() as case:
        run(main())


def test_a_verdict_under_way_at_a_flush_is_not_kept() -> None:
    async def main() -> None:
        await case.hold()
        asking = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        case.decider.flush()
        await case.let_go()
        await asking
        assert case.decider.cached(REQUEST) is None

    with place() as case:
        run(main())


def test_undecided_is_decided_afresh_each_time() -> None:
    async def main() -> None:
        case.directory.problem = DirectoryUnavailable("Renovations", "connection refused")
        verdict = await case.decider.decide(REQUEST)
        assert verdict.reason is Reason.DIRECTORY_UNAVAILABLE
        case.directory.problem = None
        assert isinstance(await case.decider.decide(REQUEST), Allowed)

    with place() as case:
        run(main())


# --- single flight -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [1, None], ids=["with an epoch", "without an epoch"])
def test_t72_many_who_ask_the_same_at_a_time_are_one_run(epoch: object | None) -> None:
    async def main() -> None:
        await case.hold()
        *verdicts, _ = await asyncio.gather(*(case.decider.decide(REQUEST) for _ in range(50)), case.let_go())
        assert case.directory.runs == 1
        assert isinstance(verdicts[0], Allowed)
        assert all(verdict is verdicts[0] for verdict in verdicts)

    with place(epoch=epoch) as case:
        run(main())


def test_others_who_ask_something_else_do_not_share_the_run() -> None:
    async def main() -> None:
        await case.hold()
        await asyncio.gather(*(case.decider.decide(other(number)) for number in range(4)), case.let_go())
        assert case.directory.runs == 4

    with place() as case:
        run(main())


def _new_snapshot(case: Place) -> None:
    case.snapshot = case.another_snapshot()


def _flush(case: Place) -> None:
    assert case.decider.flush() == 0


@pytest.mark.parametrize(
    ("epoch", "change"),
    [(1, _another_epoch), (None, _new_snapshot), (1, _flush)],
    ids=["another epoch", "another snapshot, the epoch being unknown", "a flush"],
)
def test_t41_nobody_joins_a_run_that_began_before_a_change(
    epoch: object | None, change: Callable[[Place], None]
) -> None:
    async def main() -> None:
        await case.hold()
        early = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        change(case)
        late = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        await case.let_go()
        await asyncio.gather(early, late)
        assert case.directory.runs == 2

    with place(epoch=epoch) as case:
        run(main())


def test_t41_who_comes_after_the_end_of_a_long_run_gets_a_verdict_of_its_own() -> None:
    """The revocation list ran out while the directory was thinking: an allow of before must not be shared."""

    async def main() -> None:
        await case.hold()
        early = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        case.now = CRL_END
        late = asyncio.ensure_future(case.decider.decide(REQUEST))
        await asyncio.gather(asyncio.wait([early, late]), case.let_go())
        assert isinstance(await early, Allowed)
        assert (await late).reason is Reason.REVOCATION_UNAVAILABLE

    with place(now=CRL_END - timedelta(seconds=1)) as case:
        run(main())


def test_t78_who_comes_after_the_end_of_a_long_run_waits_for_no_place_in_a_full_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        await case.hold()
        early = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        case.now = CRL_END
        late = asyncio.ensure_future(case.decider.decide(REQUEST))
        await asyncio.to_thread(lambda: None)  # a turn of the event loop: it has asked by now
        monkeypatch.setattr(module, "_LONGEST_QUEUE", 0)
        await case.let_go()
        assert isinstance(await early, Allowed)
        assert (await late).reason is Reason.OVERLOADED

    with place(now=CRL_END - timedelta(seconds=1)) as case:
        run(main())


def test_t72_a_fault_is_shared_by_those_who_asked_at_the_time() -> None:
    async def main() -> None:
        await case.hold()
        case.directory.problem = DirectoryUnavailable("Renovations", "connection refused")
        asking = asyncio.gather(*(case.decider.decide(REQUEST) for _ in range(5)))
        verdicts, _ = await asyncio.gather(asking, case.let_go())
        assert {Reason.DIRECTORY_UNAVAILABLE} == {verdict.reason for verdict in verdicts}
        assert case.directory.runs == 1

    with place() as case:
        run(main())


def test_with_no_cache_time_everybody_who_asks_later_is_decided_alone() -> None:
    async def main() -> None:
        for runs in (1, 2):
            assert isinstance(await case.decider.decide(REQUEST), Allowed)
            assert runs == case.directory.runs
        await case.hold()
        both = asyncio.gather(case.decider.decide(REQUEST), case.decider.decide(REQUEST))
        await asyncio.gather(both, case.let_go())
        assert case.directory.runs == 4

    with place(policy=Policy(allowed_lifetime=timedelta(0))) as case:
        run(main())


def test_a_caller_that_hangs_up_does_not_end_the_run_of_the_others() -> None:
    async def main() -> None:
        await case.hold()
        first = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        second = asyncio.ensure_future(case.decider.decide(REQUEST))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await case.let_go()
        assert isinstance(await second, Allowed)
        assert case.directory.runs == 1

    with place() as case:
        run(main())


def test_a_run_whose_callers_have_all_hung_up_still_fills_the_cache() -> None:
    async def main() -> None:
        await case.hold()
        only = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        late = asyncio.ensure_future(case.decider.decide(REQUEST))
        await asyncio.gather(late, case.let_go())
        assert case.directory.runs == 1
        assert case.decider.cached(REQUEST) is late.result()

    with place() as case:
        run(main())


class _BugError(Exception):
    """What no code expects."""


def test_t14_a_bug_reaches_every_caller_of_the_run_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        await case.hold()
        case.directory.problem = _BugError()
        *outcomes, _ = await asyncio.gather(
            *(case.decider.decide(REQUEST) for _ in range(3)), case.let_go(), return_exceptions=True
        )
        assert [_BugError] * 3 == [type(outcome) for outcome in outcomes]
        assert case.decider.cached(REQUEST) is None
        case.directory.problem = None
        assert isinstance(await case.decider.decide(REQUEST), Allowed)
        assert case.directory.runs == 2

    with place() as case:
        run(main())


# --- bounds ------------------------------------------------------------------------------------------------


def test_t78_above_the_longest_queue_the_answer_is_overloaded_at_once() -> None:
    """All of them asked in one turn of the event loop; nobody waits, and the cache still answers."""

    async def main() -> None:
        known = await case.decider.decide(other(-1))
        await case.hold()
        limit = module._LONGEST_QUEUE
        waiting = [asyncio.ensure_future(case.decider.decide(other(number))) for number in range(limit)]
        refused = await asyncio.gather(*(case.decider.decide(other(limit + extra)) for extra in range(3)))
        assert {(Undecided, Reason.OVERLOADED)} == {(type(each), each.reason) for each in refused}
        assert not any(each.done() for each in waiting)
        assert await case.decider.decide(other(-1)) is known
        assert (await case.decider.explain(REQUEST)).reason is Reason.OVERLOADED
        joining = asyncio.ensure_future(case.decider.decide(other(0)))
        await case.let_go()
        assert all(isinstance(each, Allowed) for each in await asyncio.gather(joining, *waiting))
        assert isinstance(await case.decider.decide(REQUEST), Allowed)

    with place() as case:
        run(main())


def test_t78_a_run_counts_until_it_ends_though_its_caller_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_QUEUE", 1)

    async def main() -> None:
        await case.hold()
        first = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        first.cancel()
        assert (await case.decider.decide(other(1))).reason is Reason.OVERLOADED
        await case.let_go()
        await asyncio.wait([first, asyncio.ensure_future(case.decider.decide(REQUEST))])
        assert isinstance(await case.decider.decide(other(1)), Allowed)

    with place() as case:
        run(main())


def test_t75_explanations_leave_threads_to_those_who_work_here() -> None:
    async def main() -> None:
        await case.hold()
        explaining = [asyncio.ensure_future(case.decider.explain(REQUEST)) for _ in range(2)]
        for _ in explaining:
            await case.entered()
        assert (await case.decider.explain(REQUEST)).reason is Reason.OVERLOADED
        explaining[0].cancel()  # its thread still works
        assert (await case.decider.explain(REQUEST)).reason is Reason.OVERLOADED
        working = asyncio.ensure_future(case.decider.decide(REQUEST))
        await asyncio.gather(asyncio.wait([*explaining, working]), case.let_go())
        assert isinstance(await working, Allowed)
        assert isinstance(await case.decider.explain(REQUEST), Allowed)

    with place() as case:
        run(main())


def test_an_explanation_is_made_afresh_and_never_kept() -> None:
    async def main() -> None:
        kept = await case.decider.decide(replace(REQUEST))
        runs = case.directory.runs
        explained = await case.decider.explain(REQUEST)
        assert explained is not kept
        assert case.directory.runs > runs
        assert case.decider.cached(REQUEST) is kept
        case.decider.flush()
        await case.decider.explain(REQUEST)
        assert case.decider.cached(REQUEST) is None

    with place() as case:
        run(main())


def test_a_closed_decider_answers_overloaded_and_never_allows() -> None:
    async def main() -> None:
        verdicts: list[Verdict] = [
            await case.decider.decide(REQUEST),
            await case.decider.explain(REQUEST),
            await case.decider.decide(replace(REQUEST, presentation=NoCertificate())),
        ]
        assert {Reason.OVERLOADED} == {verdict.reason for verdict in verdicts}

    with place() as case:
        case.decider.close()
        run(main())


def test_closing_waits_for_what_is_under_way() -> None:
    async def main() -> None:
        await case.hold()
        asking = asyncio.ensure_future(case.decider.decide(REQUEST))
        await case.entered()
        closing = asyncio.ensure_future(asyncio.to_thread(case.decider.close))
        await asyncio.gather(closing, case.let_go())
        assert isinstance(await asking, Allowed)

    with place() as case:
        run(main())
