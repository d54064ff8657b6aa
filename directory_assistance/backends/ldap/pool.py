"""Open connections to one host, kept for the next question.

What lives here: who may use which connection when, how many there are, how old they get. What does not:
what is done with one (`session.py`), and when a question is put again, or elsewhere (`client.py`).

Invariants:

* A session belongs to one caller between `lend` and its end.
* There are never more than `most` sessions; who comes later waits, half a second at most.
* A session whose use raised is closed; every other goes back. The one used last is lent first, so that the
  number of open connections follows the load.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from directory_assistance.backends.ldap.session import LdapSession
from directory_assistance.errors import DirectoryUnavailable

__all__ = ["MOST_SESSIONS", "PoolBusy", "SessionPool"]

MOST_SESSIONS = 8
"""Connections to one host per process: the server gains nothing from more, and waiting callers hold threads."""

_OLDEST_SECONDS = 600.0
"""Age at which a connection is replaced: a rotated password, certificate or address takes effect by then."""

_IDLE_SECONDS = 60.0
"""Unused time after which a connection is not trusted: firewalls forget quiet connections without a word."""


_LONGEST_WAIT_SECONDS = 0.5
"""How long a caller waits for another to finish: hundreds of answers of a healthy server. A server that hangs holds
as many threads as there are connections for one time-out each; whoever came later must not hold theirs too, because
other directories are still there to answer."""


class PoolBusy(DirectoryUnavailable):
    """Every connection to the host was in use: that says nothing about the host."""


class SessionPool:
    """The sessions to one host.

    Args:
        domain: for the faults.
        open_session: opens one, within a deadline in monotonic seconds.
        most: how many there may be.

    """

    def __init__(
        self, domain: str, open_session: Callable[[float], LdapSession], *, most: int = MOST_SESSIONS
    ) -> None:
        self._domain = domain
        self._open_session = open_session
        self._most = most
        self._condition = threading.Condition()
        self._idle: list[LdapSession] = []
        self._taken = 0
        self._closed = False

    @contextmanager
    def lend(self, deadline: float, *, fresh: bool = False) -> Iterator[LdapSession]:
        """Lend a session.

        Args:
            deadline: monotonic seconds, for opening; a caller waits for another to finish until then, and no longer
                than half a second.
            fresh: open a new one, and close those that lie idle: they are as old as the one that failed.

        Raises:
            PoolBusy: none became free in time.
            DirectoryUnavailable: none could be opened, or the pool is closed.

        """
        stale = self._enter(deadline, fresh=fresh)
        session: LdapSession | None = None
        sound = False
        try:
            for each in stale:
                each.abort()
            session = self._take(deadline)
            yield session
            sound = True
        finally:
            self._leave(session, sound=sound)

    def close_idle(self) -> None:
        """Close the sessions that nobody uses now."""
        with self._condition:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def close(self) -> None:
        """Close every idle session now, and each lent one when it comes back; lend none any more."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self.close_idle()

    def _enter(self, deadline: float, *, fresh: bool) -> list[LdapSession]:
        """Wait for a place; return the sessions to close first."""
        deadline = min(deadline, time.monotonic() + _LONGEST_WAIT_SECONDS)
        with self._condition:
            while self._taken >= self._most and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    raise PoolBusy(self._domain, f"all {self._most} connections were in use")
            if self._closed:
                raise DirectoryUnavailable(self._domain, "the directory is closed")
            self._taken += 1
            stale: list[LdapSession] = []
            if fresh:
                stale, self._idle = self._idle, []
            return stale

    def _take(self, deadline: float) -> LdapSession:
        while True:
            with self._condition:
                session = self._idle.pop() if self._idle else None
            if session is None:
                return self._open_session(deadline)
            now = time.monotonic()
            if now - session.opened < _OLDEST_SECONDS and now - session.used < _IDLE_SECONDS:
                return session
            session.close()

    def _leave(self, session: LdapSession | None, *, sound: bool) -> None:
        with self._condition:
            self._taken -= 1
            keep = sound and session is not None and not self._closed
            if keep and session is not None:
                session.kept = True
                self._idle.append(session)
            self._condition.notify()
        if session is not None and not keep:
            session.abort()
