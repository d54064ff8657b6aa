"""A connection to PostgreSQL that waits for no longer than it may. The only file that names psycopg.

What lives here: the one class. What does not: who may wait for how long (`sql_waiting.py`), engines and statements.

Invariants:

* Every wait ends: at the instant of the block of `answered_until` around it, else after `longest_wait_seconds`.
* A connection whose wait has ended without an answer is closed: the answer may still come, and would be taken for
  that of the next question.

psycopg asks for the socket through generators and resumes them ten times a second, also when nothing has arrived. Its
own limit for connecting counts besides.
"""

import time
from collections.abc import Generator
from typing import Self, TypeVar

import psycopg
from psycopg.abc import RV, PQGen, PQGenConn
from psycopg.rows import TupleRow

from directory_assistance.sql_waiting import waits_end_at

__all__ = ["BoundedConnection"]

_INTERVAL_SECONDS = 0.1
"""Between two looks at the clock, which is psycopg's own default: a wait ends this much late at the most."""

_WAIT_SECONDS = 5.0
"""How long a wait may take where nobody has said it."""

_Asked = TypeVar("_Asked")
_Ready = TypeVar("_Ready")


class _Silence(psycopg.OperationalError):
    """The server did not answer in the time that it had."""


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection of psycopg whose waits end.

    `longest_wait_seconds`: for waits outside of every block of `answered_until`.
    """

    longest_wait_seconds: float = _WAIT_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """Wait for the answer to what a generator of psycopg has sent.

        Raises:
            psycopg.OperationalError: it did not come in time; the connection is closed.

        """
        ends_at = waits_end_at()
        if ends_at is None:
            ends_at = time.monotonic() + self.longest_wait_seconds
        try:
            return super().wait(_until(ends_at, gen), interval, timeout)
        except _Silence:
            self.pgconn.finish()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        # Beside `connect_timeout`, which is two seconds at least.
        ends_at = waits_end_at()
        connecting = super()._connect_gen(conninfo)
        return connecting if ends_at is None else _until(ends_at, connecting)


def _until(ends_at: float, waiting: Generator[_Asked, _Ready, RV]) -> Generator[_Asked, _Ready, RV]:
    """Pass on what a generator asks for and is told, until an instant."""
    try:
        asked = next(waiting)
        while True:
            ready = yield asked
            asked = waiting.send(ready)  # first: it takes what has arrived by now
            if time.monotonic() >= ends_at:
                raise _Silence("no answer in time")
    except StopIteration as stop:
        answer: RV = stop.value
        return answer
