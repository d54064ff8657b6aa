"""`MemoryDirectory`: a directory made of values, complete and honest; the fake of the tests.

What lives here: every candidate answered from entries held in memory, by looking at each of them. What does
not: how one is judged (`directory_assistance.judging`), speed, and anything that changes.

INVARIANT: it keeps the whole contract of `directory_assistance.directory`; the contract suite runs over it
as over the others. Closed, it is out of reach, as a stopped server is.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from directory_assistance.candidates import Candidate, FilterCandidate
from directory_assistance.directory import LookUp, PersonGroups
from directory_assistance.dn import MemberReference, Name, common_name_of, prepare
from directory_assistance.entry import Entry, Group
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.judging import can_judge, describe_candidate, match_candidate
from directory_assistance.watching import OnChange, Watch

__all__ = ["MemoryDirectory"]

GroupWithMembers = tuple[Group, Sequence[MemberReference]]


class MemoryDirectory:
    """Entries and groups in memory.

    Args:
        domain: the domain it serves.
        entries: its people, each with a key of its own.
        groups: its groups, each with its direct members.
        attributes: further attributes of entries, by entry key and attribute name, for the ways `upn`,
            `uid` and `filter`; `cn` and `mail` come from the entry itself.

    """

    def __init__(
        self,
        domain: str,
        entries: Iterable[Entry] = (),
        groups: Iterable[GroupWithMembers] = (),
        *,
        attributes: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType({}),
    ) -> None:
        self._domain = domain
        self._entries = tuple(entries)
        self._groups = tuple((group, frozenset(members)) for group, members in groups)
        self._attributes = {
            entry.key: _attributes_of(entry, attributes.get(entry.key, {})) for entry in self._entries
        }
        self._closed = False

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        return self._domain

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`; see `directory_assistance.directory`."""
        self.check(deadline=deadline)
        asked = describe_candidate(candidate)
        if isinstance(candidate, FilterCandidate) and not can_judge(candidate.filter):
            return LookUp(asked=asked, supported=False)
        found = tuple(
            entry for entry in self._entries if match_candidate(candidate, entry, self._attributes[entry.key])
        )
        return (
            LookUp(asked=asked, exceeded=True) if len(found) > limit else LookUp(asked=asked, entries=found)
        )

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members` as a direct member, sorted by name."""
        self.check(deadline=deadline)
        wanted = frozenset(members)
        found = (group for group, listed in self._groups if listed & wanted)
        return tuple(sorted(found, key=lambda group: (prepare(group.name), group.reference.key)))

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups that list the person; this kind of directory knows no other memberships."""
        return PersonGroups(groups=self.find_groups(members, deadline=deadline))

    def watch(self, on_change: OnChange) -> Watch | None:  # noqa: ARG002 - see below
        """Return None: the values never change."""
        return None

    def check(self, *, deadline: float) -> None:  # noqa: ARG002 - nothing here takes time
        """Raise `DirectoryUnavailable` once closed."""
        if self._closed:
            raise DirectoryUnavailable(self._domain, "the directory is closed")

    def close(self) -> None:
        """Go out of reach."""
        self._closed = True

    def holds_name(self, name: Name, *, deadline: float) -> bool:
        """Whether any person (alias included) or any group has this name."""
        self.check(deadline=deadline)
        held = any(name in entry.names for entry in self._entries)
        return held or any(name == group.reference for group, _members in self._groups)

    def holds_group(self, name: str, *, deadline: float) -> bool:
        """Whether a group has this plain name, whatever its type."""
        self.check(deadline=deadline)
        return any(prepare(group.name) == prepare(name) for group, _members in self._groups)


def _attributes_of(entry: Entry, further: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    common_names = tuple(common_name_of(name) or "" for name in entry.names)
    own = {
        "objectclass": ("person",),
        "cn": tuple(name for name in common_names if name),
        "mail": entry.mails,
        "displayname": (entry.display_name,) if entry.display_name else (),
    }
    return own | {name.casefold(): tuple(values) for name, values in further.items()}
