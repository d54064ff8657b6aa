"""Asking an LDAP directory that has several hosts: a question and its deadline in, one complete answer out.

What lives here: which host is asked, when a question is put again and where, what a failure says about a host. What
does not: the state of the hosts (`hosts.py`), connections (`pool.py`), what an answer means (`directory.py`).

Invariants:

* No question outlives its deadline. While further hosts are there, the one being asked gets its share of the time
  left and no more, so that a host that hangs leaves time for the next.
* A question is put again only where it cannot have been answered: it is a search, and changes nothing.
* Failures of transport count against the host, always. An answer that is malformed or too large, a filter that
  cannot be sent, connections that are all in use never do (threat T79).
* A host that says it is of another kind than configured is down: its answers would be "nobody" (threat T65). It is
  asked what it is over each new connection.
"""

import time
from collections.abc import Sequence
from functools import partial

from directory_assistance.backends.ldap.ad_groups import missing_capability
from directory_assistance.backends.ldap.host_watch import HostWatch
from directory_assistance.backends.ldap.hosts import Hosts
from directory_assistance.backends.ldap.opening import name_result_code, open_session
from directory_assistance.backends.ldap.pool import PoolBusy, SessionPool
from directory_assistance.backends.ldap.root_dse import (
    ROOT_DSE_REQUEST,
    UNKNOWN_ROOT_DSE,
    RootDse,
    contradiction,
    read_root_dse,
)
from directory_assistance.backends.ldap.session import (
    ConnectionLost,
    HostSilent,
    LdapSession,
    SearchAnswer,
    SearchRequest,
    TransportFault,
)
from directory_assistance.backends.ldap.settings import LdapHost, LdapSettings
from directory_assistance.backends.ldap.watch import LdapWatch, Watched
from directory_assistance.directory import HostStatus
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable
from directory_assistance.watching import OnChange

__all__ = ["LdapClient"]

_BUSY = 51
_UNAVAILABLE = 52
_HOST_CODES = frozenset({_BUSY, _UNAVAILABLE})
"""Result codes by which a host says that it cannot answer anybody now (RFC 4511 appendix A.2)."""


class _HostBusy(TransportFault):
    """The host answers that it cannot answer now."""


class LdapClient:
    """The hosts of one directory, asked as one.

    Args:
        domain: for the faults.
        hosts: in the order of preference.
        settings: of the directory.

    """

    def __init__(self, domain: str, hosts: Sequence[LdapHost], settings: LdapSettings) -> None:
        self._domain = domain
        self._settings = settings
        self._operation_seconds = settings.timeout.total_seconds()
        self._roots: dict[str, RootDse] = {}
        self._pools = {host.uri: SessionPool(domain, partial(self._open, host)) for host in hosts}
        self._in_order = tuple(hosts)
        self._watch: LdapWatch | None = None
        self._hosts = Hosts(domain, hosts, self._probe, recovered=self._fail_back, leaving=self._leave)

    @property
    def host_statuses(self) -> tuple[HostStatus, ...]:
        """How each host stands, in the order of preference."""
        return self._hosts.statuses

    def ask(self, request: SearchRequest, deadline: float) -> SearchAnswer:
        """Put a question to the first host that answers it.

        1. Ask the hosts that are not known to be down, in their order, each within its share of the time left.
        2. Where all of them are down, try those that nobody else is trying.

        Raises:
            DirectoryUnavailable: no host gave a complete answer in time.
            DirectoryAnswerMalformed: a host's answer, or the question, is not what it should be.

        """
        order = self._hosts.order()
        problems: list[str] = []
        for position, host in enumerate(order):  # step 1
            try:
                return self._ask_host(host, request, self._share(deadline, len(order) - position))
            except (TransportFault, PoolBusy) as fault:
                problems.append(fault.problem)
        if not order:
            for position, host in enumerate(self._in_order):  # step 2
                with self._hosts.claim(host) as claimed:
                    if not claimed:
                        continue
                    try:
                        left = len(self._in_order) - position
                        return self._ask_host(host, request, self._share(deadline, left))
                    except (TransportFault, PoolBusy) as fault:
                        problems.append(fault.problem)
            problems = problems or [status.problem for status in self._hosts.statuses]
        raise DirectoryUnavailable(self._domain, "; ".join(problems))

    def watch(self, watched: Watched, on_change: OnChange) -> LdapWatch:
        """Watch every host, each over a connection of its own; at most one watch at a time."""
        watches = {
            host.uri: HostWatch(self._domain, watched, partial(self._open_for_watch, host), on_change)
            for host in self._in_order
        }
        self._watch = LdapWatch(self._hosts, watches, on_change)
        return self._watch

    def close(self) -> None:
        """End the watch, close every connection; questions from now on raise `DirectoryUnavailable`."""
        if self._watch is not None:
            self._watch.close()
        for pool in self._pools.values():
            pool.close()
        self._hosts.close()

    def _share(self, deadline: float, left: int) -> float:
        """Return until when one of the hosts left to ask may take.

        Raises:
            DirectoryUnavailable: the deadline has passed.

        """
        now = time.monotonic()
        if now >= deadline:
            raise DirectoryUnavailable(self._domain, "no time left to ask")
        return now + (deadline - now) / left

    def _ask_host(self, host: LdapHost, request: SearchRequest, deadline: float) -> SearchAnswer:
        """Ask one host; once more on a new connection where a kept one had ended.

        A host that stays silent is not asked again: the second try would take as long as the first.
        """
        try:
            try:
                answer = self._ask_once(host, request, deadline, fresh=False)
            except _KeptConnectionLost:
                answer = self._ask_once(host, request, deadline, fresh=True)
        except (_HostBusy, HostSilent) as fault:
            self._hosts.note_silent(host, fault.problem)
            raise
        except TransportFault as fault:
            self._note_down(host, fault)
            raise
        self._hosts.note_up(host)
        return answer

    def _ask_once(
        self, host: LdapHost, request: SearchRequest, deadline: float, *, fresh: bool
    ) -> SearchAnswer:
        with self._pools[host.uri].lend(deadline, fresh=fresh) as session:
            try:
                answer = session.search(request, min(time.monotonic() + self._operation_seconds, deadline))
            except ConnectionLost as fault:
                if session.kept:
                    raise _KeptConnectionLost(self._domain, fault.problem) from fault
                raise
        if answer.code in _HOST_CODES:
            said = f": {answer.message}" if answer.message else ""
            raise _HostBusy(self._domain, f"`{host.uri}` answered {name_result_code(answer.code)}{said}")
        return answer

    def _open(self, host: LdapHost, deadline: float) -> LdapSession:
        """Open a connection for questions; faults as `_open_and_learn`."""
        session, _root = self._open_and_learn(host, deadline)
        return session

    def _open_and_learn(self, host: LdapHost, deadline: float) -> tuple[LdapSession, RootDse]:
        """Open a connection, and learn what the server at its other end is.

        Each time: behind one address there may be several servers, and another one than yesterday. Whatever goes wrong
        here goes wrong for everybody, because nothing of a question is in it.

        Raises:
            TransportFault: the host is down, of another kind than configured, or said something unreadable.
            DirectoryUnavailable: no time was left, or the password or key cannot be read.

        """
        try:
            session = open_session(self._domain, host, self._settings, deadline)
        except (HostSilent, DirectoryAnswerMalformed) as fault:
            # A host that does not finish a handshake is down, not slow.
            raise TransportFault(self._domain, fault.problem) from fault
        try:
            root = self._learn(host, session, deadline)
        except DirectoryAnswerMalformed as fault:
            session.abort()
            raise TransportFault(self._domain, fault.problem) from fault
        except BaseException:
            session.abort()
            raise
        self._roots[host.uri] = root
        return session, root

    def _learn(self, host: LdapHost, session: LdapSession, deadline: float) -> RootDse:
        """Read what a server says about itself; a server that says nothing is believed to be what is configured."""
        answer = session.search(ROOT_DSE_REQUEST, min(time.monotonic() + self._operation_seconds, deadline))
        if answer.code in _HOST_CODES:
            raise _HostBusy(self._domain, f"`{host.uri}` answered {name_result_code(answer.code)}")
        root = read_root_dse(answer.entries[0]) if answer.entries else UNKNOWN_ROOT_DSE
        problem = contradiction(root, self._settings.server) or missing_capability(
            self._settings.group_style, root.capabilities
        )
        if problem:
            raise TransportFault(self._domain, f"`{host.uri}`: {problem}")
        return root

    def _open_for_watch(self, host: LdapHost, deadline: float) -> tuple[LdapSession, RootDse]:
        try:
            return self._open_and_learn(host, deadline)
        except TransportFault as fault:
            self._note_down(host, fault)
            raise

    def _note_down(self, host: LdapHost, fault: TransportFault) -> None:
        self._roots.pop(host.uri, None)  # what comes back may be another server
        self._hosts.note_down(host, fault.problem)

    def _probe(self, host: LdapHost) -> None:
        """Connect, bind and ask what it is, on a connection of its own."""
        self._open(host, time.monotonic() + 2 * self._settings.connect_timeout.total_seconds()).close()

    def _leave(self, host: LdapHost) -> None:
        """Have forgotten what was read of a host that goes down unwatched."""
        if self._watch is not None:
            self._watch.leave(host)

    def _fail_back(self, host: LdapHost) -> None:
        """Let go of what lies idle at hosts of less preference, and watch the one that is back."""
        if self._watch is not None:
            self._watch.wake(host)
        less_preferred = self._in_order[self._in_order.index(host) + 1 :]
        for other in less_preferred:
            self._pools[other.uri].close_idle()


class _KeptConnectionLost(ConnectionLost):
    """The connection lay idle and had ended; the host may be as well as ever."""
