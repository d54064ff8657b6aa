"""How long somebody waits for a database server that has become silent.

What lives here: the instant until which the questions of a block are waited for. What does not: waiting itself
(`postgresql.py`), engines whose connections keep to it (`sql_engine.py`), and which instants those are
(`backends/sql.py`, the store of the service).

A server that was stopped, or whose network swallows packets, neither answers nor closes: no time-out of its own ends
such a wait, and those of TCP take minutes.

INVARIANT: every wait of a connection of such an engine ends, at the instant of the block around it, or else after the
engine's own limit. What a wait covers is one statement, one commit, one answer to "are you there", or connecting.

NOTE: SQLite is asked in this process; how long it waits for a writer is its `busy_timeout`.
NOTE: the resolver of the system is not held to it: a name of a host is looked up for as long as that takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["answered_until", "waits_end_at"]

_ENDS_AT: Final[ContextVar[float | None]] = ContextVar("_ENDS_AT", default=None)
"""The instant of the innermost block, in monotonic seconds; each thread has a value of its own."""


@contextmanager
def answered_until(deadline: float) -> Iterator[None]:
    """Let every wait of this thread inside the block end at an instant, or at that of a block around it if earlier.

    It also counts for what the pool does inside: connecting, and asking whether a connection is still alive.

    Args:
        deadline: monotonic seconds.

    """
    around = _ENDS_AT.get()
    token = _ENDS_AT.set(deadline if around is None else min(deadline, around))
    try:
        yield
    finally:
        _ENDS_AT.reset(token)


def waits_end_at() -> float | None:
    """Return the instant at which waits of this thread end, in monotonic seconds; None outside of every block."""
    return _ENDS_AT.get()
