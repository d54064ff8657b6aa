"""Answers of a directory that are kept: how large they are, by what they are found again, and what drops them.

What lives here: one shelf of answers, and what a shelf must know of questions and answers. What does not: how long
an answer is good, and who is asked when there is none (`caching.py`).

Invariants:

* A shelf is bounded in octets; the answers not used for the longest time go first. Octets are an estimate, made of
  what strangers choose (certificates, names) and a sum for the rest.
* Two questions share a key only if they are the same question to the octet. Names that compare as equal and are
  spelled differently do not: a server is asked with the spelling, and may compare otherwise than we do.
* An answer is found by each of its tags. What a change may have to do with (`tags_of_change`) and the tags of every
  answer that it could alter meet; tags may meet where it alters nothing.

Not safe for threads: whoever has a shelf has a lock.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    IssuerSerialCandidate,
    SubjectCandidate,
    TextCandidate,
)
from directory_assistance.directory import LookUp
from directory_assistance.dn import DistinguishedName, MemberReference, WildcardName
from directory_assistance.entry import Entry
from directory_assistance.facts import facts_of_candidate
from directory_assistance.watching import Change

__all__ = [
    "Kept",
    "Lifetime",
    "Shelf",
    "Tag",
    "key_of_groups",
    "key_of_look_up",
    "octets_of_groups",
    "octets_of_look_up",
    "tags_of_change",
    "tags_of_look_up",
]

Answer = TypeVar("Answer")

Tag = tuple[str, str]
"""A fact (`directory_assistance.facts`), the unique id of an entry, or one of the two below."""

_UNIQUE_ID: Final = "unique_id"  # no word of `FindBy`, so no fact

_BY_FILTER: Final[Tag] = (FindBy.FILTER, "")
"""Of every look-up by a filter: nobody but the directory can judge it, so any change may alter the answer."""

_OF_SOMEBODY: Final[Tag] = (_UNIQUE_ID, "")
"""Of every answer that rests on entries that nobody can tell: too many to be named, or without a unique id."""

_LARGEST_ANSWER: Final = 1024 * 1024
"""Octets above which an answer is not kept: a hundred people of one name, each with several certificates, must not
push out hundreds of others."""

_RECORD: Final = 1_000
_ENTRY: Final = 1_500
_NAME: Final = 400
"""Octets that a record, an entry and a name take besides their own texts, in this interpreter, rounded up."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how many seconds an answer is good, counted from the question: while a watch is live, and otherwise."""

    live: float
    unwatched: float

    def holds(self, age: float, *, live: bool) -> bool:
        """Whether an answer of this age, in seconds, is still good."""
        return age < (self.live if live else self.unwatched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[Answer]):
    """An answer: when it was asked for (monotonic seconds), and whether the watch was live then."""

    answer: Answer
    asked_at: float
    live: bool
    lifetime: Lifetime
    octets: int
    tags: frozenset[Tag] = frozenset()


class _Answers(LRUCache[Hashable, Kept[Answer]]):
    """The answers by key, with an index by tag that follows every removal, evictions too."""

    def __init__(self, octets: int) -> None:
        super().__init__(maxsize=octets, getsizeof=lambda kept: kept.octets)
        self.by_tag: dict[Tag, set[Hashable]] = {}

    def put(self, key: Hashable, kept: Kept[Answer]) -> None:
        self.pop(key, None)  # with its tags, which the new answer may not have
        self[key] = kept
        for tag in kept.tags:
            self.by_tag.setdefault(tag, set()).add(key)

    def __delitem__(self, key: Hashable) -> None:
        tags = LRUCache.__getitem__(self, key).tags
        super().__delitem__(key)
        for tag in tags:
            keys = self.by_tag[tag]
            keys.discard(key)
            if not keys:
                del self.by_tag[tag]

    def clear(self) -> None:
        super().clear()
        self.by_tag.clear()


class Shelf(Generic[Answer]):
    """Answers by question.

    Args:
        octets: how large all of them together may be.

    """

    __slots__ = ("_answers",)

    def __init__(self, octets: int) -> None:
        self._answers: _Answers[Answer] = _Answers(octets)

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self._answers)

    def find(self, key: Hashable) -> Kept[Answer] | None:
        """Return what is kept under a key, good or not."""
        return self._answers.get(key)

    def put(self, key: Hashable, kept: Kept[Answer]) -> None:
        """Keep an answer instead of the one before; one that is too large is not kept."""
        if kept.octets <= min(_LARGEST_ANSWER, self._answers.maxsize):
            self._answers.put(key, kept)
        else:
            self.remove(key)

    def remove(self, key: Hashable) -> None:
        """Forget what is kept under a key, if anything."""
        self._answers.pop(key, None)

    def drop(self, tags: Iterable[Tag]) -> int:
        """Forget every answer with any of these tags; return how many there were."""
        keys = {key for tag in tags for key in self._answers.by_tag.get(tag, ())}
        for key in keys:
            del self._answers[key]
        return len(keys)

    def clear(self) -> int:
        """Forget every answer; return how many there were."""
        count = len(self._answers)
        self._answers.clear()
        return count


# --- questions


def key_of_look_up(candidate: Candidate, limit: int) -> Hashable:
    """Return what tells a look-up from every other one (threat T71)."""
    match candidate:
        case SubjectCandidate(dn=name):
            return (candidate, limit, _spelling(name))
        case CertificateCandidate(issuer=name) | IssuerSerialCandidate(issuer=name):
            return (candidate, limit, _spelling(name))
        case _:
            return (candidate, limit)


def key_of_groups(members: Sequence[MemberReference]) -> Hashable:
    """Return what tells a question for the groups of `members` from every other one."""
    return tuple((member, _spelling(member)) for member in members)


def _spelling(name: MemberReference) -> Hashable:
    if isinstance(name, DistinguishedName):
        rdns = name.rdns
    elif isinstance(name, WildcardName):
        rdns = name.suffix
    else:
        return name.text
    return tuple(tuple(attribute.value for attribute in rdn.attributes) for rdn in rdns)


# --- tags


def tags_of_look_up(candidate: Candidate, found: LookUp) -> frozenset[Tag]:
    """Return the tags of an answer to a candidate."""
    facts = facts_of_candidate(candidate)
    tags: set[Tag] = {_BY_FILTER} if facts is None else set(facts)
    if found.exceeded:
        tags.add(_OF_SOMEBODY)
    tags.update((_UNIQUE_ID, entry.unique_id or "") for entry in found.entries)
    return frozenset(tags)


def tags_of_change(change: Change) -> frozenset[Tag]:
    """Return the tags of all that a change may have to do with, when it is told of one entry.

    Without a unique id nobody knows what the entry was found by before: see `CachingDirectory.purge`.
    """
    return change.facts | {_BY_FILTER, _OF_SOMEBODY, (_UNIQUE_ID, change.unique_id or "")}


# --- sizes


def octets_of_look_up(candidate: Candidate, found: LookUp) -> int:
    """Return about how large a question and its answer are."""
    return _octets_of_candidate(candidate) + len(found.asked) + sum(map(_octets_of_entry, found.entries))


def octets_of_groups(members: Sequence[MemberReference], groups: int) -> int:
    """Return about how large a question for groups is, with as many in its answer."""
    return _RECORD + sum(map(_octets_of_name, members)) + groups * _ENTRY


def _octets_of_candidate(candidate: Candidate) -> int:
    match candidate:
        case SubjectCandidate(dn=name) | IssuerSerialCandidate(issuer=name):
            return _RECORD + _octets_of_name(name)
        case CertificateCandidate(der=der, issuer=name):
            return _RECORD + len(der) + _octets_of_name(name)
        case TextCandidate(text=text):
            return _RECORD + 4 * len(text)
        case FilterCandidate():
            return _RECORD + 4 * len(repr(candidate.filter))
        case _:
            return _RECORD


def _octets_of_name(name: MemberReference) -> int:
    return _NAME + 12 * len(name.key)  # the key, the values it was made of, and both prepared


def _octets_of_entry(entry: Entry) -> int:
    return (
        _ENTRY
        + sum(map(_octets_of_name, entry.names))
        + sum(len(stored.der) for stored in entry.certificates)
        + 4 * sum(map(len, (*entry.mails, *entry.mapped_names, entry.display_name, entry.key)))
        + _RECORD * len(entry.subject_key_ids)
        + sum(_octets_of_name(issuer) for issuer, _serial in entry.issuer_serials)
    )
