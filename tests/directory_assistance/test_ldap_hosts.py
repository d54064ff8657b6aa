"""Hosts of a directory: which of them is asked, what takes one out, and what brings it back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from directory_assistance.backends.ldap import hosts as hosts_module
from directory_assistance.backends.ldap.hosts import Hosts
from directory_assistance.backends.ldap.settings import LdapHost, read_ldap_uri
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable

FIRST = read_ldap_uri("ldap://127.0.0.1:1")
SECOND = read_ldap_uri("ldap://127.0.0.1:2")
PATIENCE_SECONDS = 10.0
"""How long a test waits for the thread; it needs a moment."""


class World:
    """Hosts whose probes answer as a test says, under a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.problem: dict[str, str] = {}
        self.probed: list[str] = []
        self.recovered: list[str] = []
        self.seen = threading.Condition()
        self.readings = 0
        self.hosts = Hosts(
            "Airius", (FIRST, SECOND), self._probe, recovered=self._recover, monotonic=self._monotonic
        )

    def _monotonic(self) -> float:
        self.readings += 1
        return self.now

    def _probe(self, host: LdapHost) -> None:
        with self.seen:
            self.probed.append(host.uri)
            self.seen.notify_all()
        if host.uri in self.problem:
            raise DirectoryUnavailable("Airius", self.problem[host.uri])

    def _recover(self, host: LdapHost) -> None:
        with self.seen:
            self.recovered.append(host.uri)
            self.seen.notify_all()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the thread see it."""
        self.now += seconds
        with self.hosts._condition:
            self.hosts._condition.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.seen:
            assert self.seen.wait_for(condition, PATIENCE_SECONDS)

    @property
    def states(self) -> dict[str, HostState]:
        return {status.uri: status.state for status in self.hosts.statuses}


@contextmanager
def world() -> Iterator[World]:
    made = World()
    yield made
    made.hosts.close()


def test_every_host_is_up_at_first_and_asked_in_the_order_of_the_configuration() -> None:
    with world() as one:
        assert one.hosts.order() == (FIRST, SECOND)
        assert one.hosts.statuses == (
            HostStatus(uri=FIRST.uri, state=HostState.UP, problem=""),
            HostStatus(uri=SECOND.uri, state=HostState.UP, problem=""),
        )


def test_a_host_that_is_down_is_not_asked_and_says_why() -> None:
    with world() as one:
        one.problem[FIRST.uri] = "refused"
        one.hosts.note_down(FIRST, "refused")
        assert one.hosts.order() == (SECOND,)
        assert one.hosts.statuses[0] == HostStatus(uri=FIRST.uri, state=HostState.DOWN, problem="refused")


def test_a_host_that_is_down_is_probed_by_a_thread_and_then_asked_again_first() -> None:
    with world() as one:
        one.hosts.note_down(FIRST, "refused")
        assert one.probed == []  # not before its time
        one.pass_time(0.3)
        one.wait(lambda: one.recovered == [FIRST.uri])
        assert one.hosts.order() == (FIRST, SECOND)
        assert one.hosts.statuses[0].problem == ""


def test_a_host_that_stays_away_is_probed_less_and_less_often() -> None:
    with world() as one:
        one.problem[FIRST.uri] = "still refused"
        one.hosts.note_down(FIRST, "refused")
        for count, seconds in enumerate((0.26, 0.51, 1.01, 2.01, 4.01, 5.01, 5.01), start=1):
            one.pass_time(seconds - 0.02)
            assert len(one.probed) == count - 1
            one.pass_time(0.02)
            one.wait(lambda count=count: len(one.probed) == count)  # type: ignore[misc]  # the loop's own number
            one.wait(lambda: one.hosts.statuses[0].problem == "still refused")
            with one.hosts._condition:  # the thread has set its next time
                assert one.hosts._condition.wait_for(
                    lambda: one.hosts._health[FIRST.uri].next_probe > one.now, PATIENCE_SECONDS
                )
        assert one.hosts.order() == (SECOND,)


@pytest.mark.parametrize(
    "raised", [DirectoryAnswerMalformed("Airius", "an answer of 9 MB"), ZeroDivisionError("a bug")]
)
def test_a_probe_that_cannot_be_read_or_breaks_is_a_host_that_is_down(raised: Exception) -> None:
    def probe(_host: LdapHost) -> None:
        raise raised

    hosts = Hosts("Airius", (FIRST,), probe, monotonic=lambda: 0.0)
    hosts._look_at(hosts._health[FIRST.uri])
    assert hosts.statuses[0].state is HostState.DOWN
    hosts.close()


def test_t79_a_host_that_let_a_question_time_out_is_asked_after_the_others_but_asked() -> None:
    with world() as one:
        one.hosts.note_silent(FIRST, "did not answer in time")
        assert one.hosts.order() == (SECOND, FIRST)
        one.wait(lambda: one.probed == [FIRST.uri])  # at once, and it answers
        assert one.hosts.order() == (SECOND, FIRST)
        one.hosts.note_up(FIRST)  # an answer to somebody else does not end the suspicion
        assert one.states[FIRST.uri] is HostState.SUSPECT
        one.pass_time(10.1)
        one.wait(lambda: one.recovered == [FIRST.uri])
        assert one.hosts.order() == (FIRST, SECOND)


def test_a_host_that_is_silent_to_the_probe_too_is_down() -> None:
    with world() as one:
        one.problem[FIRST.uri] = "silent"
        one.hosts.note_silent(FIRST, "did not answer in time")
        one.wait(lambda: bool(one.probed))
        with one.hosts._condition:
            assert (
                one.hosts._condition.wait_for(
                    lambda: one.hosts._health[FIRST.uri].state is HostState.DOWN, PATIENCE_SECONDS
                )
                or one.states[FIRST.uri] is HostState.DOWN
            )
        assert one.hosts.order() == (SECOND,)


def test_a_host_that_is_down_does_not_become_suspect() -> None:
    with world() as one:
        one.problem[FIRST.uri] = "refused"
        one.hosts.note_down(FIRST, "refused")
        one.hosts.note_silent(FIRST, "too slow")
        assert one.hosts.statuses[0].state is HostState.DOWN


def test_one_caller_at_a_time_claims_a_host_that_is_down() -> None:
    with world() as one:
        with (
            one.hosts.claim(FIRST) as first,
            one.hosts.claim(FIRST) as second,
            one.hosts.claim(SECOND) as other,
        ):
            assert (first, second, other) == (True, False, True)
        with one.hosts.claim(FIRST) as again:
            assert again
            with one.hosts.claim(FIRST):
                pass  # whoever did not get it does not give it back either
            with one.hosts.claim(FIRST) as third:
                assert not third


def test_an_answer_of_a_host_that_was_down_brings_it_back_at_once() -> None:
    with world() as one:
        one.problem[FIRST.uri] = "refused"
        one.hosts.note_down(FIRST, "refused")
        one.hosts.note_up(FIRST)
        assert one.recovered == [FIRST.uri]
        assert one.hosts.order() == (FIRST, SECOND)


def test_the_thread_ends_when_every_host_is_up_and_begins_again() -> None:
    with world() as one:
        for _again in range(2):
            one.hosts.note_down(FIRST, "refused")
            thread = one.hosts._prober
            assert thread is not None
            one.pass_time(0.3)
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        assert one.recovered == [FIRST.uri] * 2


def test_closed_hosts_are_probed_no_more() -> None:
    with world() as one:
        one.hosts.note_down(FIRST, "refused")
        one.hosts.close()
        one.pass_time(60)
        one.hosts.note_down(SECOND, "refused")
        assert one.hosts._prober is None
        assert one.probed == []


def test_a_host_that_falls_ill_while_the_thread_waits_for_another_is_probed_in_its_own_time() -> None:
    with world() as one:
        one.hosts.note_silent(FIRST, "too slow")
        one.wait(lambda: one.probed == [FIRST.uri])  # the next probe of this one is ten seconds away
        one.hosts.note_silent(SECOND, "too slow")
        with one.seen:
            assert one.seen.wait_for(lambda: SECOND.uri in one.probed, PATIENCE_SECONDS / 2)


def test_a_thread_that_waits_does_nothing_meanwhile() -> None:
    with world() as one:
        one.hosts.note_silent(FIRST, "too slow")
        one.wait(lambda: one.probed == [FIRST.uri])
        thread = one.hosts._prober
        assert thread is not None
        before = one.readings
        thread.join(0.1)  # it does not end: the next probe is ten seconds away
        assert one.readings - before < 5


def test_closing_wakes_a_thread_that_waits_for_its_next_probe() -> None:
    with world() as one:
        one.hosts.note_silent(FIRST, "too slow")
        one.wait(lambda: one.probed == [FIRST.uri])  # the next probe is ten seconds away
        thread = one.hosts._prober
        assert thread is not None
        one.hosts.close()
        thread.join(PATIENCE_SECONDS / 2)
        assert not thread.is_alive()


@pytest.mark.parametrize(("name", "most"), [("_FIRST_PROBE_SECONDS", 1.0), ("_LONGEST_PROBE_SECONDS", 10.0)])
def test_a_host_that_is_back_is_found_within_seconds(name: str, most: float) -> None:
    assert 0 < getattr(hosts_module, name) <= most


class Still:
    """One host whose thread never begins, so that every step is the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.fails = True
        self.recovered = 0
        self.hosts = Hosts(
            "Airius", (FIRST,), self._probe, recovered=self._recover, monotonic=lambda: self.now
        )
        self.hosts.close()
        self.health = self.hosts._health[FIRST.uri]

    def _probe(self, _host: LdapHost) -> None:
        if self.fails:
            raise DirectoryUnavailable("Airius", "refused again")

    def _recover(self, _host: LdapHost) -> None:
        self.recovered += 1

    def states_and_recoveries(self) -> tuple[HostState, int]:
        return self.hosts.statuses[0].state, self.recovered

    def look(self) -> float:
        """Probe now; return in how many seconds the next probe is due."""
        self.hosts._look_at(self.health)
        return self.health.next_probe - self.now


def test_the_time_between_two_probes_doubles_up_to_five_seconds_and_begins_anew_after_a_recovery() -> None:
    one = Still()
    for _again in range(2):
        one.fails = True
        one.hosts.note_down(FIRST, "refused")
        assert one.health.next_probe - one.now == 0.25
        assert [one.look() for _probe in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
        assert one.hosts.statuses[0].problem == "refused again"
        one.fails = False
        one.look()
        assert one.hosts.statuses[0] == HostStatus(uri=FIRST.uri, state=HostState.UP, problem="")
    assert one.recovered == 2


def test_a_second_failure_of_a_host_that_is_down_tells_why_and_hurries_nobody() -> None:
    one = Still()
    one.hosts.note_down(FIRST, "refused")
    assert one.look() == 0.5
    one.hosts.note_down(FIRST, "another reason")
    assert (one.health.next_probe - one.now, one.hosts.statuses[0].problem) == (0.5, "another reason")


def test_t79_a_suspicion_lasts_ten_seconds_and_a_new_one_begins_it_anew() -> None:
    one = Still()
    one.fails = False
    one.hosts.note_silent(FIRST, "too slow")
    assert (one.health.next_probe, one.hosts.statuses[0].problem) == (100.0, "too slow")
    one.now = 105.0
    assert one.look() == 5.0, "nothing is asked before the suspicion is over"
    one.hosts.note_silent(FIRST, "too slow again")
    one.now = 114.9
    one.look()
    assert one.states_and_recoveries() == (HostState.SUSPECT, 0)
    one.now = 115.0
    one.look()
    assert one.states_and_recoveries() == (HostState.UP, 1)


def test_an_answer_of_a_host_that_was_never_down_is_no_recovery() -> None:
    one = Still()
    one.hosts.note_up(FIRST)
    assert one.states_and_recoveries() == (HostState.UP, 0)


@pytest.mark.parametrize(
    ("states", "due", "wait"),
    [
        ((None, None), None, None),
        ((7.0, None), None, 7.0),
        ((7.0, 3.0), None, 3.0),
        ((3.0, 7.0), None, 3.0),
        ((7.0, 0.0), SECOND, None),
        ((-1.0, 0.0), FIRST, None),
        ((None, -1.0), SECOND, None),
    ],
)
def test_the_host_that_has_waited_longest_is_probed_first(
    states: tuple[float | None, ...], due: LdapHost | None, wait: float | None
) -> None:
    """`states`: in how many seconds each host is due, None for one that is up."""
    hosts = Hosts("Airius", (FIRST, SECOND), lambda _host: None, monotonic=lambda: 100.0)
    hosts.close()
    for host, seconds in zip((FIRST, SECOND), states, strict=True):
        if seconds is not None:
            hosts.note_down(host, "refused")
            hosts._health[host.uri].next_probe = 100.0 + seconds
    found, seconds_to_wait = hosts._next_due(100.0)
    assert (found and found.host, seconds_to_wait) == (due, wait)
