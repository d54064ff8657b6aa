"""A directory that tells its changes, as far as a test says so."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import Candidate
from directory_assistance.directory import LookUp
from directory_assistance.dn import MemberReference
from directory_assistance.entry import Entry, Group
from directory_assistance.facts import facts_of_entry
from directory_assistance.watching import EVERYTHING, Change, OnChange, Watch, WatchState, WatchStatus

__all__ = ["LONGEST_WAIT", "FakeWatch", "WatchedDirectory"]

LONGEST_WAIT = 20.0
"""Seconds until a test that hangs fails; none of them takes one."""


def _starting() -> WatchStatus:
    return WatchStatus(state=WatchState.STARTING, how="fake")


@dataclass
class FakeWatch:
    """A watch whose state is the test's."""

    tell: OnChange
    status: WatchStatus = field(default_factory=_starting)
    closed: int = 0

    def turn(self, state: WatchState, problem: str = "") -> None:
        """Change the state as a watch does: becoming live, and being lost, tell `EVERYTHING`."""
        self.status = WatchStatus(state=state, how="fake", problem=problem)
        if state in {WatchState.LIVE, WatchState.LOST}:
            self.tell(EVERYTHING)

    def close(self) -> None:
        """Count."""
        self.closed += 1


class WatchedDirectory(MemoryDirectory):
    """People who change, each change told; it counts look-ups, and can hold back what it has read."""

    def __init__(self, domain: str, *people: Entry) -> None:
        super().__init__(domain, people)
        self.asked: list[object] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.watched: FakeWatch | None = None
        self._domain_name = domain

    @property
    def server(self) -> FakeWatch:
        """The watch; there must be one."""
        assert self.watched is not None
        return self.watched

    def put(self, *people: Entry) -> None:
        """Let other people be in the directory, and tell nobody."""
        fresh = MemoryDirectory(self._domain_name, people)
        self._entries, self._attributes = fresh._entries, fresh._attributes

    def remove(self, entry: Entry) -> None:
        """Remove somebody, and tell that."""
        self.put(*(each for each in self._entries if each.key != entry.key))
        self.server.tell(Change(unique_id=entry.unique_id))

    def add(self, entry: Entry) -> None:
        """Enter somebody, and tell that."""
        self.put(*self._entries, entry)
        self.server.tell(Change(unique_id=entry.unique_id, facts=facts_of_entry(entry)))

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Answer with what is there at the time of the question, however long that is held back."""
        self.asked.append(candidate)
        found = super().find_entries(candidate, limit=limit, deadline=deadline)
        self.entered.release()
        assert self.open.wait(LONGEST_WAIT)
        return found

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Count too."""
        self.asked.append(tuple(members))
        return super().find_groups(members, deadline=deadline)

    def watch(self, on_change: OnChange) -> Watch | None:
        """Be watched."""
        assert self.watched is None, "at most one watch at a time"
        self.watched = FakeWatch(on_change)
        return self.watched
