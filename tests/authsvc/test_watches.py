"""Live change from the directory to the verdict: what is told ends it at once; where nothing is, its life is short."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from authsvc.access.databases import DatabaseTarget, IdentityTarget, Target
from authsvc.access.levels import Level
from authsvc.access.requirements import Requirement
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Verdict
from authsvc.operations import service as service_module
from authsvc.operations.service import Service
from authsvc.operations.watches import SEEN_WITHIN, Watches
from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from directory_assistance import backends
from directory_assistance.backends.caching import CachingDirectory
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import FindBy, FindWay, MatchPlan
from directory_assistance.dn import read_ldap_dn
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.entry import Entry, StoredCertificate
from directory_assistance.watching import EVERYTHING, Change, OnChange, Watch, WatchState, WatchStatus
from tests.support.pki import Issued
from tests.support.service import NOW, Place, lay_place, serving_service, world
from tests.support.watching import LONGEST_WAIT, WatchedDirectory

NORMA = world().people["norma"]
DAVE = world().people["dave"]
LIVE, LOST, UNSUPPORTED = WatchState.LIVE, WatchState.LOST, WatchState.UNSUPPORTED

_NO_DATABASE = IdentityTarget()

NORMA_ENTRY = Entry(
    key="norma",
    names=(read_ldap_dn("CN=Norma Nobody,O=Acme"),),
    dn=read_ldap_dn("CN=Norma Nobody,O=Acme"),
    certificates=(StoredCertificate(der=NORMA.der),),
    unique_id="id of Norma",
)


def asking(issued: Issued = NORMA, target: Target = _NO_DATABASE) -> DecisionRequest:
    return DecisionRequest(
        presentation=PresentedCertificate(der=issued.der),
        front_end=FrontEndPolicy(name="nginx"),
        target=target,
    )


WHO = asking()
MAY_READ = asking(target=DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER)))


def ask(service: Service, request: DecisionRequest = WHO) -> Verdict:
    return asyncio.run(service.decider.decide(request))


def lives(verdict: Verdict) -> timedelta:
    assert isinstance(verdict, Allowed | Denied)
    return verdict.valid_until - NOW


@pytest.fixture
def place(tmp_path: Path) -> Place:
    laid = lay_place(tmp_path)
    configure(laid)
    return laid


def configure(place: Place, watch: str = "auto", **fields: object) -> None:
    """Add the LDAP domain Acme, in which Norma is."""
    ldap = {"hosts": ["ldapi://%2Fnowhere"], "base": "o=Acme", "watch": watch}
    domain = {"domain": "Acme", "type": "ldap", "ldap": ldap, "rules": [{"rule": "*/Acme", "trusted": True}]}
    place.configure_directories(domains=[domain | fields])


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedDirectory]:
    """What is opened instead of an LDAP directory."""
    directory = WatchedDirectory("Acme", NORMA_ENTRY)
    monkeypatch.setattr(backends, "LdapDirectory", lambda _domain, _settings: directory)
    yield directory
    directory.open.set()


@contextmanager
def watching(place: Place, **options: object) -> Iterator[Service]:
    """Serve, with every watch begun, but look at what changed only when the test says so."""
    with serving_service(place, **options) as service:
        service._watches.start()
        service._look()
        yield service


@pytest.fixture
def service(place: Place, acme: WatchedDirectory) -> Iterator[Service]:
    """A service whose watch of Acme is live."""
    with watching(place) as opened:
        acme.server.turn(LIVE)
        opened._look()
        yield opened


# --- a change ends every cached verdict ------------------------------------------------------------------------


def test_t66_a_change_that_is_told_ends_a_cached_allow_at_once(
    service: Service, acme: WatchedDirectory
) -> None:
    """Without a look at anything: the next question is decided afresh."""
    verdict = ask(service)
    assert isinstance(verdict, Allowed)
    assert service.decider.cached(WHO) is verdict
    acme.remove(NORMA_ENTRY)
    assert service.decider.cached(WHO) is None
    assert ask(service).reason is Reason.NO_ENTRY


def test_a_change_that_is_told_ends_a_cached_refusal_too(service: Service, acme: WatchedDirectory) -> None:
    acme.remove(NORMA_ENTRY)
    assert ask(service).reason is Reason.NO_ENTRY
    acme.add(NORMA_ENTRY)
    assert isinstance(ask(service), Allowed)


def test_t66_a_change_ends_the_cached_verdict_of_everybody(service: Service, acme: WatchedDirectory) -> None:
    """Nobody knows whom the change of a group touches."""
    requests = (WHO, MAY_READ, asking(DAVE))
    for request in requests:
        ask(service, request)
    acme.server.tell(Change(unique_id="id of a group"))
    assert [None, None, None] == [service.decider.cached(request) for request in requests]


def test_a_verdict_is_cached_again_after_a_change(service: Service, acme: WatchedDirectory) -> None:
    acme.server.tell(Change(unique_id="id of a printer"))
    verdict = ask(service)
    assert service.decider.cached(WHO) is verdict
    service._look()
    assert service.decider.cached(WHO) is verdict


def test_t66_a_change_that_is_told_during_a_decision_makes_its_verdict_nobody_elses(
    service: Service, acme: WatchedDirectory
) -> None:
    """Norma was read before she was removed; the answer is kept neither as a verdict nor by the directory's memory."""

    async def main() -> tuple[Verdict, Verdict]:
        acme.open.clear()
        before = asyncio.ensure_future(service.decider.decide(WHO))
        assert await asyncio.to_thread(acme.entered.acquire, timeout=LONGEST_WAIT)
        acme.remove(NORMA_ENTRY)
        after = asyncio.ensure_future(service.decider.decide(WHO))  # does not join the one before
        assert await asyncio.to_thread(acme.entered.acquire, timeout=LONGEST_WAIT)
        acme.open.set()
        return await before, await after

    before, after = asyncio.run(main())
    assert isinstance(before, Allowed)
    assert after.reason is Reason.NO_ENTRY
    assert service.decider.cached(WHO) in (None, after)  # whichever landed last
    assert ask(service).reason is Reason.NO_ENTRY


def test_the_memory_of_the_directory_answers_until_a_change(service: Service, acme: WatchedDirectory) -> None:
    ask(service)
    asked = len(acme.asked)
    ask(service, MAY_READ)
    assert asked == len(acme.asked)
    acme.server.tell(Change(unique_id=NORMA_ENTRY.unique_id))
    ask(service, MAY_READ)
    assert asked < len(acme.asked)


# --- where no change is told -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "seconds"),
    [(LIVE, 60), (WatchState.STARTING, 3), (LOST, 3), (UNSUPPORTED, 3)],
)
def test_t66_a_verdict_lives_shortly_where_nobody_tells_changes(
    place: Place, acme: WatchedDirectory, state: WatchState, seconds: int
) -> None:
    with watching(place) as service:
        acme.server.turn(state)
        service._look()
        assert timedelta(seconds=seconds) == lives(ask(service))


@pytest.mark.parametrize("state", [WatchState.STARTING, LOST, UNSUPPORTED])
def test_a_directory_that_was_not_asked_shortens_nothing(
    place: Place, acme: WatchedDirectory, state: WatchState
) -> None:
    with watching(place) as service:
        acme.server.turn(state)
        service._look()
        assert timedelta(seconds=60) == lives(ask(service, asking(DAVE)))


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("authorization", ["own", "all"])
def test_t66_groups_that_count_for_everybody_shorten_everybodys_verdict(
    place: Place, authorization: str
) -> None:
    configure(place, group_authorization=authorization)
    with watching(place) as service:
        seconds = 3 if authorization == "all" else 60
        assert timedelta(seconds=seconds) == lives(ask(service, asking(DAVE)))


@pytest.mark.usefixtures("acme")
def test_a_cache_time_below_the_bound_stays_what_it_is(place: Place) -> None:
    place.configure(cache={"time": "1s"})
    with watching(place) as service:
        assert timedelta(seconds=1) == lives(ask(service))


def test_t66_what_was_decided_while_the_watch_was_live_ends_with_it(
    service: Service, acme: WatchedDirectory
) -> None:
    """Whether or not the loss is told."""
    ask(service)
    acme.server.status = WatchStatus(state=LOST)
    service._look()
    assert service.decider.cached(WHO) is None
    assert timedelta(seconds=3) == lives(ask(service))


def test_t66_a_loss_that_is_told_ends_verdicts_before_anybody_looks(
    service: Service, acme: WatchedDirectory
) -> None:
    ask(service)
    acme.server.turn(LOST)
    assert service.decider.cached(WHO) is None


class Clock:
    """Wall clock and monotonic clock, which go on together."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._begin = time.monotonic()  # directories hold deadlines against the real one

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self._begin + self.passed


def test_t66_all_memories_together_show_an_untold_change_within_five_seconds(
    place: Place, acme: WatchedDirectory
) -> None:
    """Norma is removed just after she was looked up. Whoever asks keeps her alive in each memory as long as it goes."""
    clock = Clock()
    with watching(place, now=clock.now, monotonic=clock.monotonic) as service:
        acme.server.turn(LOST)
        service._look()

        def allowed(request: DecisionRequest) -> bool:
            service._look()
            return isinstance(ask(service, request), Allowed)

        assert allowed(WHO)
        acme.put()
        clock.passed = 1.99
        assert ask(service, MAY_READ).reason is Reason.ACL_LEVEL  # of Norma's, from memory
        assert allowed(WHO)
        other = asking(target=IdentityTarget())
        last = replace(other, over_tls=True)
        assert allowed(last)  # another question, made of the memory's answer when that is about to end
        clock.passed = 4.98
        assert allowed(last)
        clock.passed = SEEN_WITHIN.total_seconds()
        assert not allowed(last)
        assert not allowed(WHO)


def test_without_a_cache_time_an_untold_change_counts_at_once(place: Place, acme: WatchedDirectory) -> None:
    place.configure(cache={"time": "0s"})
    with watching(place) as service:
        assert isinstance(ask(service), Allowed)
        acme.put()
        assert ask(service).reason is Reason.NO_ENTRY


# --- watch: off ------------------------------------------------------------------------------------------------


def test_a_domain_that_is_not_watched_keeps_the_cache_time_and_has_no_memory(
    place: Place, acme: WatchedDirectory
) -> None:
    """So that the cache time is all there is."""
    configure(place, watch="off")
    with watching(place) as service:
        assert acme.watched is None
        assert timedelta(seconds=60) == lives(ask(service))
        assert service._assistance.domains[0].directory is acme
        assert () == service.readiness().warnings
        (domain,) = service._watches.domains
        assert ("Acme", WatchState.OFF, 0) == (domain.domain, domain.status.state, domain.changes)


# --- explanations ----------------------------------------------------------------------------------------------


def test_t75_an_explanation_asks_the_directory_itself(service: Service, acme: WatchedDirectory) -> None:
    ask(service)
    acme.put()  # untold
    assert isinstance(ask(service), Allowed)
    assert service.explain(WHO).reason is Reason.NO_ENTRY
    assert asyncio.run(service.decider.explain(WHO)).reason is Reason.NO_ENTRY
    assert isinstance(ask(service), Allowed)


def test_what_does_not_serve_watches_nothing(place: Place, acme: WatchedDirectory) -> None:
    with closing(Service.open(place.settings(), now=lambda: NOW)) as service:
        assert isinstance(service.explain(WHO), Allowed)
        assert acme.watched is None


# --- what is told to operators ---------------------------------------------------------------------------------


STATES: list[tuple[WatchState, str, str]] = [
    (UNSUPPORTED, "no such control", "changes in `Acme` are seen within 5 s only: no such control"),
    (LOST, "connection refused", "changes in `Acme` are seen within 5 s only: connection refused"),
    (LOST, "", "changes in `Acme` are seen within 5 s only: its watch is lost"),
]


@pytest.mark.parametrize(("state", "problem", "warning"), STATES)
def test_a_watch_that_is_lost_or_not_supported_is_a_warning(
    service: Service, acme: WatchedDirectory, state: WatchState, problem: str, warning: str
) -> None:
    acme.server.turn(state, problem)
    readiness = service.readiness()
    assert readiness.ready
    assert (warning,) == readiness.warnings


@pytest.mark.parametrize("state", [LIVE, WatchState.STARTING])
def test_a_watch_that_is_live_or_only_starting_is_no_warning(
    service: Service, acme: WatchedDirectory, state: WatchState
) -> None:
    acme.server.turn(state)
    assert () == service.readiness().warnings


def test_each_change_of_state_is_logged_once(
    place: Place, acme: WatchedDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with watching(place) as service:
        for state, problem in (
            (LIVE, ""),
            (LOST, "reset by peer"),
            (LIVE, ""),
            (UNSUPPORTED, "no such control"),
        ):
            acme.server.turn(state, problem)
            for _ in range(2):
                service._look()
    told = [
        (
            record.levelname,
            record.message,
            {key: vars(record).get(key) for key in ("domain", "how", "problem")},
        )
        for record in caplog.records
        if record.name == "authsvc.watches"
    ]
    live = ("INFO", "directory_watch_live", {"domain": "Acme", "how": "fake", "problem": None})
    assert [
        live,
        ("WARNING", "directory_watch_lost", {"domain": "Acme", "how": "fake", "problem": "reset by peer"}),
        live,
        (
            "WARNING",
            "directory_watch_unsupported",
            {"domain": "Acme", "how": "fake", "problem": "no such control"},
        ),
    ] == told


# --- beginning and ending --------------------------------------------------------------------------------------


class _Waiting(logging.Handler):
    """Sets an event for each log event that comes."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.told: dict[str, threading.Event] = {
            name: threading.Event() for name in ("directory_watch_live", "directory_watch_lost")
        }

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() in self.told:
            self.told[record.getMessage()].set()


@pytest.fixture
def waiting(caplog: pytest.LogCaptureFixture) -> Iterator[_Waiting]:
    handler = _Waiting()
    logger = logging.getLogger("authsvc.watches")
    caplog.set_level(logging.INFO, logger=logger.name)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_t66_a_started_service_is_woken_by_a_watch_and_does_not_wait_for_its_next_look(
    place: Place, acme: WatchedDirectory, monkeypatch: pytest.MonkeyPatch, waiting: _Waiting
) -> None:
    begun = threading.Event()

    def begin(on_change: OnChange) -> Watch | None:
        watch = WatchedDirectory.watch(acme, on_change)
        begun.set()
        return watch

    monkeypatch.setattr(acme, "watch", begin)
    monkeypatch.setattr(service_module, "GENERATION_INTERVAL", timedelta(hours=1))
    with serving_service(place) as service:
        service.start()
        assert begun.wait(LONGEST_WAIT)
        acme.server.turn(LIVE)
        assert waiting.told["directory_watch_live"].wait(LONGEST_WAIT)
        acme.server.turn(LOST)
        assert waiting.told["directory_watch_lost"].wait(LONGEST_WAIT)
    assert acme.server.closed == 1


def _worlds(*domains: SecondaryDomain) -> DirectoryAssistance:
    plan = MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE),))
    primary = PrimaryDomain(domain="Renovations", directory=MemoryDirectory("Renovations"), plan=plan)
    return DirectoryAssistance(primary=primary, domains=domains)


def _domain(directory: MemoryDirectory, *, enabled: bool = True) -> SecondaryDomain:
    plan = MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE),))
    return SecondaryDomain(domain=directory.domain, directory=directory, plan=plan, enabled=enabled)


def test_every_enabled_directory_that_can_be_watched_is_and_each_counts_for_itself() -> None:
    one, two, off, disabled = (WatchedDirectory(name) for name in ("One", "Two", "Off", "Disabled"))
    woken: list[None] = []
    watches = Watches(
        _worlds(_domain(one), _domain(two), _domain(off), _domain(disabled, enabled=False)),
        off=frozenset({"Off"}),
        wake=lambda: woken.append(None),
    )
    for _ in range(2):
        watches.start()
    assert (None, None) == (off.watched, disabled.watched)
    one.server.tell(Change(unique_id="1"))
    two.server.tell(Change(unique_id="1"))
    assert [] == woken
    two.server.tell(EVERYTHING)
    assert [None] == woken
    assert 3 == watches.changes
    assert [("One", 1), ("Two", 2), ("Off", 0)] == [(each.domain, each.changes) for each in watches.domains]
    watches.close()
    assert (1, 1) == (one.server.closed, two.server.closed)


def test_changes_told_by_many_threads_are_all_counted() -> None:
    directories = [WatchedDirectory(f"D{number}") for number in range(4)]
    watches = Watches(_worlds(*map(_domain, directories)))
    watches.start()

    def tell(directory: WatchedDirectory) -> None:
        for _ in range(2_000):
            directory.server.tell(Change(unique_id="1"))

    threads = [threading.Thread(target=tell, args=(each,)) for each in directories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8_000 == watches.changes
    assert [2_000] * 4 == [each.changes for each in watches.domains]


def test_a_defect_at_the_beginning_of_a_watch_blinds_the_cache_until_every_watch_has_begun(
    place: Place, acme: WatchedDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    defects: list[Exception] = [ZeroDivisionError()]
    mended = threading.Event()

    def begin(on_change: OnChange) -> Watch | None:
        if defects:
            raise defects.pop()
        mended.set()
        return WatchedDirectory.watch(acme, on_change)

    monkeypatch.setattr(acme, "watch", begin)
    with closing(Service.open(place.settings(), serving=True, now=lambda: NOW)) as service:
        with pytest.raises(ZeroDivisionError):
            service._watches.start()
        ask(service)
        assert service.decider.cached(WHO) is None
        service.start()
        assert mended.wait(LONGEST_WAIT)
    assert acme.server.closed == 1
    assert caplog.messages == []


def test_an_ldap_directory_is_remembered_and_another_one_is_not(place: Place, acme: WatchedDirectory) -> None:
    with watching(place) as service:
        directory = service._assistance.domains[0].directory
        assert isinstance(directory, CachingDirectory)
        assert directory.inner is acme
        assert not isinstance(service._assistance.primary.directory, CachingDirectory)


def test_a_directory_that_never_changes_bounds_nothing() -> None:
    watches = Watches(_worlds(_domain(MemoryDirectory("Acme"))))
    watches.start()
    assert () == watches.domains
