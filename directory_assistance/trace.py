"""The trace: what was asked, where, and what came of it, step by step.

`explain`, the audit record and the console print the same trace; nothing else in the core logs. A trace is
written by the core through a `TraceRecorder` that the edge made, so that milliseconds are measured without
the core reading a clock. Recording never changes a decision.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["TraceLine", "TraceRecorder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """One line of a trace.

    `step` is one of the eight steps (present, verify, revocation, name, search, identify, decide, answer);
    `subject` is what was looked at (a domain, a rule, a filter, an ACL entry); `result` is what came of it;
    `milliseconds` is the time since the line before, or None where nobody measured.
    """

    step: str
    subject: str
    result: str
    milliseconds: float | None = None


class TraceRecorder:
    """Collects the lines of one request.

    Args:
        monotonic: seconds that never run backwards, or None to leave out the milliseconds.

    """

    __slots__ = ("_last", "_lines", "_monotonic")

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._lines: list[TraceLine] = []
        self._monotonic = monotonic
        self._last = monotonic() if monotonic is not None else 0.0

    def note(self, step: str, subject: str, result: str) -> None:
        """Add a line."""
        milliseconds = None
        if self._monotonic is not None:
            now = self._monotonic()
            milliseconds = round((now - self._last) * 1000, 3)
            self._last = now
        self._lines.append(TraceLine(step=step, subject=subject, result=result, milliseconds=milliseconds))

    @property
    def lines(self) -> tuple[TraceLine, ...]:
        """All lines so far, oldest first."""
        return tuple(self._lines)
