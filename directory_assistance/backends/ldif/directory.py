"""`LdifDirectory`: a trusted domain that lives in an LDIF file, which is only read.

What lives here: questions within limits of time and number. What does not: the grammar (`reading.py`), the index
(`content.py`), which reading of the file is used (`source.py`), how an entry is judged
(`directory_assistance.judging`).

Invariants are those of `directory_assistance.directory`. A question is answered from one reading of the file from its
start to its end.

NOTE: memberships that no group lists are not seen: the primary group of Active Directory, groups made by a search.
"""

import time
from collections.abc import Callable, Sequence

from directory_assistance.backends.ldif.content import LdifContent
from directory_assistance.backends.ldif.reading import ValueReader
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.backends.ldif.source import LdifSource
from directory_assistance.backends.ldif.watch import LdifWatch
from directory_assistance.candidates import Candidate, FilterCandidate
from directory_assistance.directory import LookUp, PersonGroups
from directory_assistance.dn import MemberReference, prepare
from directory_assistance.entry import Entry, Group
from directory_assistance.errors import DirectoryUnavailable, ExpansionLimitExceeded
from directory_assistance.judging import (
    attributes_of_candidate,
    can_judge,
    describe_candidate,
    match_candidate,
    match_filter,
)
from directory_assistance.watching import OnChange

__all__ = ["MOST_GROUPS", "LdifDirectory"]

MOST_GROUPS = 10_000
"""Groups in the answer to one question, as of an LDAP directory: no person is in so many."""

_LOOKS_AT_THE_CLOCK = 256
"""Entries judged between two looks at the clock: a few milliseconds."""


class LdifDirectory:
    """A directory in an LDIF file; the contract is that of `directory_assistance.directory`.

    An entry is every record that is no group. Its names are its DN and, only to find it, the values of `cn`. Groups are
    those that list the DN in `member` or `uniqueMember`; there, other names and wildcards count as well.

    Args:
        domain: the domain it serves.
        settings: where the file is.
        clock: the monotonic clock, in seconds.

    """

    def __init__(
        self, domain: str, settings: LdifSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._domain = domain
        self._clock = clock
        self._source = LdifSource(domain, settings.path, clock)
        self._watch: LdifWatch | None = None

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        return self._domain

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`; see `directory_assistance.directory`."""
        content = self._source.content(deadline)
        asked = describe_candidate(candidate)
        if isinstance(candidate, FilterCandidate) and not can_judge(candidate.filter):
            return LookUp(asked=asked, supported=False)
        reader = ValueReader(attributes_of_candidate(candidate))
        found: list[Entry] = []
        for count, number in enumerate(content.find_numbers(candidate), 1):
            if count % _LOOKS_AT_THE_CLOCK == 0:
                self._hold_time(deadline)
            entry = _named(content, number, candidate, reader)
            if entry is not None:
                found.append(entry)
            if len(found) > limit:
                return LookUp(asked=asked, exceeded=True)
        return LookUp(asked=asked, entries=tuple(sorted(found, key=lambda entry: entry.key)))

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members` as a direct member, sorted by name."""
        content = self._source.content(deadline)
        found: list[Group] = []
        for group in content.find_groups(members):
            found.append(group)
            if len(found) > MOST_GROUPS:
                raise ExpansionLimitExceeded(self._domain, f"more groups than {MOST_GROUPS} in one answer")
        return tuple(sorted(found, key=lambda group: (prepare(group.name), group.reference.key)))

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups that list the person; this kind of directory knows no other memberships."""
        return PersonGroups(groups=self.find_groups(members, deadline=deadline))

    def watch(self, on_change: OnChange) -> LdifWatch:
        """Begin to watch the file; see `directory_assistance.watching`. At most one watch at a time."""
        assert self._watch is None or self._watch.is_closed, "one watch at a time"
        self._watch = LdifWatch(self._source, on_change)
        return self._watch

    def check(self, *, deadline: float) -> None:
        """Raise `DirectoryUnavailable` where there is no reading of the file that may be used."""
        self._source.content(deadline)

    def close(self) -> None:
        """Stop watching, and let go of the content; calls from now on raise `DirectoryUnavailable`."""
        if self._watch is not None:
            self._watch.close()
        self._source.close()

    def _hold_time(self, deadline: float) -> None:
        if self._clock() >= deadline:
            raise DirectoryUnavailable(self._domain, "no time left to look through all entries")


def _named(content: LdifContent, number: int, candidate: Candidate, reader: ValueReader) -> Entry | None:
    """Return the entry if the candidate means it; of a filter, an entry is read only if it matches."""
    attributes = content.read_attributes(number, reader)
    if isinstance(candidate, FilterCandidate):
        return content.read_entry(number) if match_filter(candidate.filter, attributes) else None
    entry = content.read_entry(number)
    return entry if match_candidate(candidate, entry, attributes) else None
