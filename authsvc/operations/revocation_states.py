"""What is known of one source of revocation lists at one moment, and what an operator should hear about it.

What lives here: values. What does not: how they come about (`revocation_files.py`, `revocation_urls.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from authsvc.trust.crl import RevocationList

__all__ = ["ListState", "ListStatus", "SourceKind", "SourceStatus", "life_warnings"]

_LIFE_LEFT: Final = 0.2
"""Share of a list's life below which it is reported as running out."""


class SourceKind(StrEnum):
    """Where a list comes from. A directory stands for itself where something is wrong with it as a whole."""

    FILE = "file"
    DIRECTORY = "directory"
    URL = "url"
    DISTRIBUTION_POINT = "distribution_point"


class ListStatus(StrEnum):
    """Whether a source's list counts now. `GRACE`: it is past its next update, and `grace` lets it count still."""

    CURRENT = "current"
    GRACE = "grace"
    EXPIRED = "expired"
    FUTURE = "future"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """One source: the last good list, the digest of its octets, and what is wrong now.

    `attempted`, `succeeded`, `successes`, `failures` are of fetched sources: when it was last asked, when it last
    answered, how often each happened.
    """

    source: str
    kind: SourceKind
    held: RevocationList | None = None
    digest: str = ""
    problem: str = ""
    attempted: datetime | None = None
    succeeded: datetime | None = None
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """A source as it is shown: everything about its list is None where there is none."""

    source: str
    kind: SourceKind
    status: ListStatus
    problem: str = ""
    issuer: str | None = None
    number: int | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    entries: int | None = None
    attempted: datetime | None = None
    succeeded: datetime | None = None
    successes: int = 0
    failures: int = 0

    @classmethod
    def of(cls, state: ListState, *, now: datetime, grace: timedelta) -> "SourceStatus":
        """Return how a source stands at an instant."""
        held = state.held
        return cls(
            source=state.source,
            kind=state.kind,
            status=_status_of(held, now, grace),
            problem=state.problem,
            issuer=None if held is None else held.issuer_text,
            number=None if held is None or held.number < 0 else held.number,
            this_update=None if held is None else held.this_update,
            next_update=None if held is None else held.next_update,
            entries=None if held is None else held.entry_count,
            attempted=state.attempted,
            succeeded=state.succeeded,
            successes=state.successes,
            failures=state.failures,
        )


def _status_of(held: RevocationList | None, now: datetime, grace: timedelta) -> ListStatus:
    if held is None:
        return ListStatus.MISSING
    if now < held.this_update:
        return ListStatus.FUTURE
    if now < held.next_update:
        return ListStatus.CURRENT
    return ListStatus.GRACE if now < held.next_update + grace else ListStatus.EXPIRED


def life_warnings(status: SourceStatus, *, now: datetime, grace: timedelta) -> Iterator[str]:
    """Yield what is wrong, or soon will be, with the dates of a source's list at an instant."""
    if status.status is ListStatus.MISSING or status.this_update is None or status.next_update is None:
        return
    which = f"`{status.source}` of `{status.issuer}`"
    next_update = status.next_update.isoformat()
    match status.status:
        case ListStatus.FUTURE:
            yield f"{which} begins {status.this_update.isoformat()}, in the future"
        case ListStatus.EXPIRED:
            yield f"{which} expired {next_update}"
        case ListStatus.GRACE:
            end = (status.next_update + grace).isoformat()
            yield f"{which} expired {next_update}, and counts until {end} because of `grace`"
        case ListStatus.CURRENT:
            if status.next_update - now < _LIFE_LEFT * (status.next_update - status.this_update):
                yield f"{which} has less than {_LIFE_LEFT:.0%} of its life left: next update {next_update}"
        case _ as unreachable:
            assert_never(unreachable)
