"""Which of a directory's hosts is asked: ordered failover, fail-back, and a breaker for each host.

What lives here: what is known of each host, and the thread that looks after those that are not well. What does not:
connections (`pool.py`), and what a request makes of a failure (`client.py`).

A host is

* `UP`: asked, in the order of the configuration;
* `SUSPECT`: it let a question time out. Hosts that are up are asked before it, but it is asked: one slow question
  must not take a host away from everybody (threat T79). It is up again when it answers a probe after the suspicion;
* `DOWN`: it could not be reached, did not let us in, or was silent to a probe. It is not asked, and costs nothing.

Invariants:

* Only failures of transport are told here; the data of a question never are.
* Nobody's request probes a host that is down while another host is there: a thread does that, soon at first, then
  less often. Where every host is down, one request at a time tries (`claim`), so that a server that is back answers
  the next call, and one that hangs holds one thread.
* A host that is up again is asked again from the next question on: fail-back needs nobody.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from directory_assistance.backends.ldap.settings import LdapHost
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.errors import DirectoryFault, shorten

__all__ = ["Hosts"]

_FIRST_PROBE_SECONDS = 0.25
"""Between the failure and the first probe: a server that was restarted is back by then."""

_LONGEST_PROBE_SECONDS = 5.0
"""Between two probes of a host that stays away: what a return may go unnoticed, and a firewall's log bears."""

_SUSPICION_SECONDS = 10.0
"""How long a host that let a question time out is asked after the others, though it answers probes."""


_CLOSE_SECONDS = 0.5
"""How long closing waits for the thread: nobody can interrupt a connection that is being made."""


@dataclass(slots=True)
class _Health:
    host: LdapHost
    state: HostState = HostState.UP
    problem: str = ""
    interval: float = _FIRST_PROBE_SECONDS
    next_probe: float = 0.0
    suspected_until: float = 0.0
    claimed: bool = False


class Hosts:
    """The hosts of one directory.

    Args:
        domain: names the thread.
        hosts: in the order in which they are asked.
        probe: connects, binds and asks something; raises a `DirectoryFault` if that fails.
        recovered: called when a host is up again, from any thread; must not block.
        leaving: called before a host that was asked is down, from any thread, without a lock; must not block.
        monotonic: the clock, in seconds.

    """

    def __init__(  # noqa: PLR0913 - what it is told, whom it tells, and a clock
        self,
        domain: str,
        hosts: Sequence[LdapHost],
        probe: Callable[[LdapHost], None],
        *,
        recovered: Callable[[LdapHost], None] = lambda _host: None,
        leaving: Callable[[LdapHost], None] = lambda _host: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._domain = domain
        self._probe = probe
        self._recovered = recovered
        self._leaving = leaving
        self._monotonic = monotonic
        self._condition = threading.Condition()
        self._health = {host.uri: _Health(host=host) for host in hosts}
        self._prober: threading.Thread | None = None
        self._closed = False

    def order(self) -> tuple[LdapHost, ...]:
        """Return the hosts to ask, in order: those that are up, then those under suspicion; none that is down."""
        with self._condition:
            healths = tuple(self._health.values())
            return tuple(
                health.host
                for state in (HostState.UP, HostState.SUSPECT)
                for health in healths
                if health.state is state
            )

    @property
    def statuses(self) -> tuple[HostStatus, ...]:
        """Every host as it stands, in the order of the configuration."""
        with self._condition:
            return tuple(
                HostStatus(uri=health.host.uri, state=health.state, problem=health.problem)
                for health in self._health.values()
            )

    def note_down(self, host: LdapHost, problem: str) -> None:
        """Take a host out: it could not be reached, or failed on a new connection."""
        self._tell_leaving(self._health[host.uri])
        with self._condition:
            self._take_out(self._health[host.uri], problem)

    def note_silent(self, host: LdapHost, problem: str) -> None:
        """Suspect a host: a question to it timed out, or it said that it is too busy. It is probed at once."""
        with self._condition:
            health = self._health[host.uri]
            if health.state is not HostState.DOWN:
                now = self._monotonic()
                health.state, health.problem = HostState.SUSPECT, problem
                health.suspected_until = now + _SUSPICION_SECONDS
                health.next_probe = now
                self._wake()

    def note_up(self, host: LdapHost) -> None:
        """Note that a host answered; one under suspicion stays so until its time is over."""
        with self._condition:
            health = self._health[host.uri]
            recovered = health.state is HostState.DOWN
            if recovered:
                self._take_in(health)
        if recovered:
            self._recovered(host)

    @contextmanager
    def claim(self, host: LdapHost) -> Iterator[bool]:
        """Claim the one try at a host that is down; False where somebody else is trying it."""
        with self._condition:
            health = self._health[host.uri]
            claimed = not health.claimed
            health.claimed = True
        try:
            yield claimed
        finally:
            if claimed:
                with self._condition:
                    health.claimed = False

    def close(self) -> None:
        """End the thread; nothing is probed any more."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            prober = self._prober
        if prober is not None and prober is not threading.current_thread():
            prober.join(_CLOSE_SECONDS)  # one that is connecting to a host that is down ends by itself

    def _tell_leaving(self, health: _Health) -> None:
        if health.state is not HostState.DOWN:
            self._leaving(health.host)

    # --- with the lock held

    def _take_out(self, health: _Health, problem: str) -> None:
        if health.state is not HostState.DOWN:
            health.state = HostState.DOWN
            health.interval = _FIRST_PROBE_SECONDS
            health.next_probe = self._monotonic() + health.interval
        health.problem = problem
        self._wake()

    def _take_in(self, health: _Health) -> None:
        health.state, health.problem = HostState.UP, ""

    def _wake(self) -> None:
        if self._prober is None and not self._closed:
            self._prober = threading.Thread(
                target=self._look_after, name=f"hosts {self._domain}", daemon=True
            )
            self._prober.start()
        self._condition.notify_all()

    def _next_due(self, now: float) -> tuple[_Health | None, float | None]:
        """Return a host to probe now; else how long to wait for the next, None where every host is up."""
        unwell = [health for health in self._health.values() if health.state is not HostState.UP]
        if not unwell:
            return None, None
        first = min(unwell, key=lambda health: health.next_probe)
        wait = first.next_probe - now
        return (first, None) if wait <= 0 else (None, wait)

    # --- the thread

    def _look_after(self) -> None:
        """Probe hosts that are not up until all are, or until closed."""
        while True:
            with self._condition:
                due, wait = self._next_due(self._monotonic())
                if self._closed or (due is None and wait is None):
                    self._prober = None
                    return
                if due is None:
                    self._condition.wait(wait)
                    continue
                due.next_probe = self._monotonic() + due.interval  # whatever becomes of it
            self._look_at(due)

    def _look_at(self, health: _Health) -> None:
        problem = ""
        try:
            self._probe(health.host)
        except DirectoryFault as fault:
            problem = fault.problem
        except Exception as error:  # noqa: BLE001 - see below
            # The outermost handler of this thread. If it ended, no host would ever be found back.
            problem = shorten(f"a defect of the probe: {error}")
        if problem:
            self._tell_leaving(health)
            with self._condition:
                self._take_out(health, problem)
                health.interval = min(health.interval * 2, _LONGEST_PROBE_SECONDS)
                health.next_probe = self._monotonic() + health.interval
            return
        with self._condition:
            now = self._monotonic()
            if health.state is HostState.SUSPECT and now < health.suspected_until:
                health.next_probe = health.suspected_until
                return
            self._take_in(health)
        self._recovered(health.host)
