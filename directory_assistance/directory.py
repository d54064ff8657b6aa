"""The `Directory` protocol: what every kind of directory must be able to answer, and how.

The contract, held by one test suite over all kinds:

* Answers are complete or not given. A lookup that matches more than `limit` entries says so
  (`LookUp.exceeded`) and returns none of them; it never returns a part.
* A directory that cannot answer raises a `DirectoryFault`; it never returns "nothing" instead. A value in one
  entry that cannot be read is a `DirectoryAnswerMalformed`, except a stored certificate, which is handed on
  as bytes.
* A look-up returns every entry that matches, disabled ones too; it never decides. Comparison follows
  `directory_assistance.dn` (case-ignore, RFC 4518), whatever the server does.
* `deadline` is in seconds of the monotonic clock; no call outlives it by more than one operation's time-out.
* Calls may come from several threads at once.
* Implementations never write.
* `watch` tells what changes (`directory_assistance.watching`), or returns None where somebody else sees to that: a
  directory of values never changes, and the service reads the generation of an SQL directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from directory_assistance.candidates import Candidate
from directory_assistance.dn import MemberReference, Name
from directory_assistance.entry import Entry, Group
from directory_assistance.watching import OnChange, Watch

__all__ = ["Directory", "HostState", "HostStatus", "KnowsHosts", "LookUp", "PersonGroups", "PrimaryDirectory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """What a directory found for one candidate.

    `asked` is the question as the directory received it (an RFC 4515 filter, an SQL condition in words), for
    the trace. `supported` is False where this kind of directory cannot ask for such a candidate at all.
    INVARIANT: `exceeded` implies `entries` is empty.
    """

    entries: tuple[Entry, ...] = ()
    asked: str = ""
    exceeded: bool = False
    supported: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonGroups:
    """The groups of one person as a directory tells them, sorted by name.

    `complete`: the groups that these groups are in are among them, and nothing is left to expand; the directory has
    then told no ways (`via`) from one to another.
    """

    groups: tuple[Group, ...]
    complete: bool = False


class Directory(Protocol):
    """A source of entries and groups; see the module's contract."""

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        ...

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`."""
        ...

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members` as a direct member, sorted by name, of every type."""
        ...

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups of somebody who may be listed as any of `members`: at least the direct ones.

        Where a server keeps memberships that no group lists (the primary group of Active Directory), or can tell
        nested ones at once, this finds them; elsewhere it is `find_groups`.
        """
        ...

    def watch(self, on_change: OnChange) -> Watch | None:
        """Begin to watch for changes; None where this kind of directory needs no watch. At most one at a time."""
        ...

    def check(self, *, deadline: float) -> None:
        """Ask the cheapest question that shows the directory answers; raise a `DirectoryFault` if it does not."""
        ...

    def close(self) -> None:
        """Release connections; the directory is not used afterwards."""
        ...


class PrimaryDirectory(Directory, Protocol):
    """The primary directory: it also knows which names are taken (semantics: nobody borrows a primary name)."""

    def holds_name(self, name: Name, *, deadline: float) -> bool:
        """Whether any person (alias included) or any group of the directory has this name."""
        ...

    def holds_group(self, name: str, *, deadline: float) -> bool:
        """Whether a group of the directory has this plain name, whatever its type."""
        ...


class HostState(StrEnum):
    """How one of several servers of a directory stands.

    `UP`: it is asked. `SUSPECT`: it let a question time out, and is asked after the others. `DOWN`: it failed, and is
    left alone until it is found back.
    """

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """A server as it stands; `problem` is what happened last, empty when up."""

    uri: str
    state: HostState
    problem: str = ""


@runtime_checkable
class KnowsHosts(Protocol):
    """A directory that can tell how its servers stand; an offer beside the contract, for whoever looks after them."""

    @property
    def host_statuses(self) -> tuple[HostStatus, ...]:
        """Return how each server stands, in the order of the configuration. Never asks a server."""
        ...
