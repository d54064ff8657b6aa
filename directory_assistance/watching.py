"""Live change: what a directory tells when something in it changed, and how firmly it can be relied on.

Values and protocols only. How a kind of server is made to tell is its backend's affair; what is forgotten when it
tells is that of whoever remembers (`backends/caching.py`, the service's verdict cache).

Invariants:

* A change is told after it can be read: who asks after being told gets the new state.
* Between two changes told while the state is `LIVE`, nothing that a decision rests on has changed unseen. When a
  watch becomes live, and when it is lost, it tells `EVERYTHING`: what happened meanwhile is not known.
* A watch that is not live promises nothing. Whoever remembers answers must then forget them soon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from directory_assistance.facts import Fact

__all__ = ["EVERYTHING", "Change", "OnChange", "Watch", "WatchState", "WatchStatus"]


class WatchState(StrEnum):
    """How a watch stands.

    `STARTING`: not yet told anything. `LIVE`: every change is told. `LOST`: it was live, or could not become so, and
    is tried again. `UNSUPPORTED`: this server does not tell changes. `OFF`: the configuration says no.
    """

    STARTING = "starting"
    LIVE = "live"
    LOST = "lost"
    UNSUPPORTED = "unsupported"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """The state of a watch; `how` names the means (`syncrepl`, `file`), `problem` says why it is not live."""

    state: WatchState
    how: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry changed, was added, renamed or removed; or a group.

    `unique_id`: as in `Entry`; with it, what was known of the entry before is found. `facts`: what the entry can be
    found by now, empty when it is gone. `everything`: nobody knows what changed.
    """

    unique_id: str | None = None
    facts: frozenset[Fact] = frozenset()
    everything: bool = False


EVERYTHING = Change(everything=True)
"""Anything may have changed."""

OnChange = Callable[[Change], None]
"""Called from a thread of the watch; must not block and must not raise."""


class Watch(Protocol):
    """A directory being watched."""

    @property
    def status(self) -> WatchStatus:
        """How it stands now; may be read from any thread."""
        ...

    def close(self) -> None:
        """Stop watching; nothing is told afterwards. A second time does nothing."""
        ...
