"""Self-tests: what each of them finds, when one is made, and that nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from authsvc.operations import service as service_module
from authsvc.operations.self_tests import BETWEEN_SELF_TESTS, SelfTests
from authsvc.operations.service import Service
from authsvc.operations.watches import DomainWatch
from authsvc.store.certificates import CertificateRecord
from authsvc.store.people import create_person
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.sql_tables import certificates, people
from directory_assistance.verification import Check, CheckResult
from directory_assistance.watching import WatchState, WatchStatus
from tests.authsvc.test_service import add_acme, closing_engine
from tests.support.pki import Issued
from tests.support.service import BEGIN, END, Place, lay_place, serving_service, world
from tests.support.store import changing, person

_LONGEST_WAIT = 10.0
_MINUTE = BETWEEN_SELF_TESTS.total_seconds()

WILE = world().issuing.issue("CN=Wile Coyote,O=Acme", not_before=BEGIN, not_after=END)


# --- what a self-test finds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with a secondary directory that holds Wile, and with his certificate as its sample."""
    laid = lay_place(tmp_path)
    with_sample(laid)
    add_wile(laid)
    return laid


def with_sample(place: Place, **deviation: object) -> None:
    place.write("wile.pem", WILE.pem)
    add_acme(place, **({"sample": "wile.pem"} | deviation))


def add_wile(place: Place, *held: Issued, name: str = "Wile Coyote/Acme") -> None:
    records = [CertificateRecord.from_der(each.der) for each in (held or (WILE,))]
    with closing_engine(place.folder / "acme.db") as engine, changing(engine) as change:
        create_person(change, person(name, mail="wile@acme.example", certificates=records))


def in_acme(place: Place, statement: object) -> None:
    with closing_engine(place.folder / "acme.db") as engine, changing(engine) as change:
        change.connection.execute(statement)  # type: ignore[call-overload]  # any statement


def make_due(service: Service) -> None:
    """Make the self-tests that are due, and wait for them."""
    tests = service._self_tests
    tests.observe((), ())
    if tests._thread is not None:
        tests._thread.join(_LONGEST_WAIT)
        assert not tests._thread.is_alive()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Return the events of self-tests: name, domain, problem."""
    return [
        (record.message, record.__dict__["domain"], record.__dict__.get("problem", ""))
        for record in caplog.records
        if record.message.startswith("directory_self_test")
    ]


def test_a_sample_that_is_found_bound_covered_and_enabled_passes(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with serving_service(place) as service:
        make_due(service)
        assert [("directory_self_test_passed", "Acme", "")] == told(caplog)
        assert () == service.readiness().warnings


def _take_the_person_away(place: Place) -> None:
    in_acme(place, delete(people))


def _take_the_certificate_away(place: Place) -> None:
    in_acme(place, delete(certificates))
    with_sample(place, find_by=["mail", "common_name"])


def _trust_other_names(place: Place) -> None:
    with_sample(place, rules=[{"rule": "*/Elsewhere", "trusted": True}])


def _disable(place: Place) -> None:
    in_acme(place, update(people).values(disabled=True))


def _store_it_twice(place: Place) -> None:
    add_wile(place, name="Twin/Acme")


def _write_no_certificate(place: Place) -> None:
    place.write("wile.pem", "no certificate")


FAILURES = [
    pytest.param(_take_the_person_away, "no way finds an entry (`no_entry`)", id="not found"),
    pytest.param(
        _take_the_certificate_away,
        "found, but not bound by certificate (`certificate_differs`)",
        id="not bound",
    ),
    pytest.param(
        _trust_other_names,
        "no enabled trusted rule covers this name (`domain_not_trusted_for_name`)",
        id="not covered",
    ),
    pytest.param(_disable, "disabled or locked (`entry_disabled`)", id="disabled"),
    pytest.param(_store_it_twice, "several entries are bound to it (`ambiguous`)", id="twice"),
    pytest.param(_write_no_certificate, "the file holds no certificate", id="no certificate"),
]


@pytest.mark.parametrize(("deviate", "problem"), FAILURES)
def test_a_sample_that_is_not_let_in_is_logged_once_and_stands_as_a_warning_that_names_nobody(
    place: Place, caplog: pytest.LogCaptureFixture, deviate: Callable[[Place], None], problem: str
) -> None:
    deviate(place)
    clock = [1000.0]
    with serving_service(place, monotonic=lambda: time.monotonic() + clock[0]) as service:
        for _ in range(3):
            make_due(service)
            clock[0] += _MINUTE
        assert [("directory_self_test_failed", "Acme", problem)] == told(caplog)
        (record,) = (each for each in caplog.records if each.message == "directory_self_test_failed")
        advice = record.__dict__["advice"]
        assert advice
        readiness = service.readiness()
        assert (f"the sample of `Acme` is refused: {problem}; change {advice}",) == readiness.warnings
        assert readiness.ready
        assert "wile" not in (problem + advice).lower()


def test_a_warning_ends_with_the_self_test_that_passes(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _take_the_person_away(place)
    clock = [0.0]
    with serving_service(place, monotonic=lambda: time.monotonic() + clock[0]) as service:
        make_due(service)
        add_wile(place)
        make_due(service)  # a minute has not passed
        assert 1 == len(service.readiness().warnings)
        clock[0] += _MINUTE
        make_due(service)
        assert () == service.readiness().warnings
        clock[0] += _MINUTE
        make_due(service)  # whoever has passed is not asked again
        expected = ["directory_self_test_failed", "directory_self_test_passed"]
        assert expected == [event for event, _domain, _problem in told(caplog)]


def test_the_primary_is_tested_too_and_a_domain_that_is_not_enabled_or_has_no_sample_is_not(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place.write("dave.pem", world().people["dave"].pem)
    primary = {"domain": "Renovations", "url": "sqlite:///directory.db"}
    place.configure_directories(primary=primary | {"sample": "dave.pem"})
    for deviation in ({"enabled": False}, {"sample": None}):
        with_sample(place, **deviation)
        if deviation == {"sample": None}:
            add_acme(place)
        caplog.clear()
        with serving_service(place) as service:
            make_due(service)
            assert [("directory_self_test_passed", "Renovations", "")] == told(caplog)


def test_a_directory_that_does_not_answer_has_neither_passed_nor_failed_and_is_asked_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = [0.0]
    with serving_service(place, monotonic=lambda: time.monotonic() + clock[0]) as service:
        in_acme(place, update(people).values(disabled=True))
        file = place.folder / "acme.db"
        kept = file.rename(place.folder / "kept.db")
        make_due(service)
        assert [] == told(caplog)
        kept.rename(file)
        clock[0] += _MINUTE
        make_due(service)
        assert ["directory_self_test_failed"] == [event for event, _domain, _problem in told(caplog)]


def test_a_started_service_makes_its_self_tests_by_itself_and_not_in_a_thread_of_requests(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service_module, "GENERATION_INTERVAL", timedelta(milliseconds=1))
    caplog.set_level(logging.INFO, logger="authsvc.self_tests")
    passed = threading.Event()
    threads: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "directory_self_test_passed":
                threads.append(str(record.threadName))
                passed.set()

    logger, handler = logging.getLogger("authsvc.self_tests"), Heard()
    logger.addHandler(handler)
    try:
        with serving_service(place) as service:
            service.start()
            assert passed.wait(_LONGEST_WAIT)
    finally:
        logger.removeHandler(handler)
    assert ["self-test"] == threads


# --- when one is made


@dataclass
class Scripted:
    """Self-tests of one domain under a clock of the test's, whose look-ups pass."""

    now: float = 0.0
    asked: list[float] = field(default_factory=list)
    watch: WatchState = WatchState.LIVE
    host: HostState = HostState.UP

    def __post_init__(self) -> None:
        self.tests = SelfTests(["Acme"], self._look, monotonic=lambda: self.now)

    def _look(self, _domain: str, deadline: float) -> tuple[Check, ...]:
        assert deadline > self.now
        self.asked.append(self.now)
        return (Check(name="owner", subject="x", result=CheckResult.OK, found="y"),)

    def observe(self, seconds: float = 0.0) -> int:
        """Let seconds pass, look, and return how often was asked in all."""
        self.now += seconds
        status = WatchStatus(state=self.watch, how="fake")
        watches = [DomainWatch(domain="Acme", status=status, changes=0)]
        hosts = [
            ("Acme", HostStatus(uri="ldap://a", state=self.host)),
            ("Other", HostStatus(uri="ldap://a", state=HostState.DOWN)),
        ]
        self.tests.observe(watches, hosts)
        if self.tests._thread is not None:
            self.tests._thread.join(_LONGEST_WAIT)
        return len(self.asked)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    made = Scripted()
    assert 1 == made.observe()
    yield made
    made.tests.close()


def test_who_has_passed_is_left_alone(scripted: Scripted) -> None:
    assert 1 == scripted.observe(_MINUTE)
    assert 1 == scripted.observe(100 * _MINUTE)


def test_a_watch_that_becomes_live_again_is_a_reason_but_one_that_is_lost_is_none(
    scripted: Scripted,
) -> None:
    scripted.watch = WatchState.LOST
    assert 1 == scripted.observe(_MINUTE)
    scripted.watch = WatchState.STARTING
    assert 1 == scripted.observe(_MINUTE)
    scripted.watch = WatchState.LIVE
    assert 2 == scripted.observe()
    assert 2 == scripted.observe(_MINUTE)


@pytest.mark.parametrize("away", [HostState.DOWN, HostState.SUSPECT])
def test_a_server_that_is_back_is_a_reason(scripted: Scripted, away: HostState) -> None:
    scripted.host = away
    assert 1 == scripted.observe(_MINUTE)
    scripted.host = HostState.UP
    assert 2 == scripted.observe()
    assert 2 == scripted.observe(_MINUTE)


def test_a_server_that_comes_and_goes_is_tested_once_a_minute_and_not_forgotten(scripted: Scripted) -> None:
    for _ in range(10):
        for state in (HostState.DOWN, HostState.UP):
            scripted.host = state
            assert 1 == scripted.observe(1)
    assert 1 == scripted.observe(_MINUTE - 20.5)
    assert 2 == scripted.observe(1)


# --- nobody waits


def hanging(entered: threading.Event, released: threading.Event) -> SelfTests:
    def look(_domain: str, _deadline: float) -> tuple[Check, ...]:
        entered.set()
        released.wait(_LONGEST_WAIT)
        return (Check(name="owner", subject="x", result=CheckResult.FAILED, found="y", advice="z", why="w"),)

    return SelfTests(["Acme", "Other"], look, monotonic=time.monotonic)


def test_neither_a_look_nor_the_end_waits_for_a_directory_that_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entered, released = threading.Event(), threading.Event()
    tests = hanging(entered, released)
    began = time.monotonic()
    tests.observe((), ())
    assert entered.wait(_LONGEST_WAIT)
    thread = tests._thread
    tests.observe((), ())
    assert thread is tests._thread, "one at a time"
    tests.close()
    assert time.monotonic() - began < 1
    released.set()
    assert thread is not None
    thread.join(_LONGEST_WAIT)
    assert [] == told(caplog), "nothing is logged after the end"
    assert [] == tests.warnings()
    tests.observe((), ())
    assert thread is tests._thread


def test_a_defect_is_logged_and_hinders_no_other_directory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = [0.0]

    def look(domain: str, _deadline: float) -> tuple[Check, ...]:
        if domain == "Acme" and clock[0] == 0:
            raise ZeroDivisionError
        return ()

    tests = SelfTests(["Acme", "Other"], look, monotonic=lambda: clock[0])
    for _ in range(2):
        tests.observe((), ())
        assert tests._thread is not None
        tests._thread.join(_LONGEST_WAIT)
        clock[0] += _MINUTE
    assert [
        ("directory_self_test_broken", "Acme", ""),
        ("directory_self_test_passed", "Other", ""),
        ("directory_self_test_passed", "Acme", ""),
    ] == told(caplog)
    tests.close()


def test_a_silent_directory_is_not_told_twice() -> None:
    """What `/readyz` says of a domain that does not answer is enough."""

    def look(_domain: str, _deadline: float) -> tuple[Check, ...]:
        return (Check(name="state", subject="x", result=CheckResult.FAILED, found="y", advice="z", why="w"),)

    tests = SelfTests(["Acme"], look, monotonic=time.monotonic)
    tests.observe((), ())
    assert tests._thread is not None
    tests._thread.join(_LONGEST_WAIT)
    assert ["the sample of `Acme` is refused: w; change z"] == tests.warnings()
    assert [] == tests.warnings(but={"Acme"})
    tests.close()
