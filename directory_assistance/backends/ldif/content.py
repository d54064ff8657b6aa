"""One LDIF file, read whole: an immutable snapshot with an index.

What lives here: which records are entries and which are groups, what each is found by, and who is listed in which
group. What does not: the grammar (`reading.py`), which file and when (`source.py`), what an entry's values mean
(`directory_assistance.stored_values`), limits of time and number (`directory.py`).

Invariants:

* A file is used whole or not at all: one line that is no LDIF, or a name that two entries have, refuses all of it.
* A value that cannot be read refuses its entry alone, at every question that could mean it: the index still leads
  there, and reading the entry is then the fault.
* A group that lists what cannot be read, or is there in part only, refuses every question for groups: whom it lists is
  not known, and a missing group can raise access as well as lower it.
* The index leads to every entry that a candidate means, and perhaps to others; whoever follows it judges.

An entry is kept as the octets of its record, and read when a question leads there: 100,000 entries as values would
take several times the memory. The keys of the index are hashes of facts for the same reason.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from directory_assistance.alternative_identities import read_issuer_serial_identity, read_key_id_identity
from directory_assistance.backends.ldif.members import MemberReader
from directory_assistance.backends.ldif.reading import (
    LdifRecord,
    LdifSyntaxError,
    ValueReader,
    normalise_ldif,
    read_record,
    read_records,
)
from directory_assistance.candidates import Candidate, FindBy
from directory_assistance.dn import FlatName, MemberReference, NameKey
from directory_assistance.entry import Entry, Group, StoredCertificate
from directory_assistance.errors import DirectoryAnswerMalformed, NameSyntaxError, shorten
from directory_assistance.facts import facts_of_candidate, facts_of_entry
from directory_assistance.identifiers import read_sid
from directory_assistance.judging import TEXT_ATTRIBUTES, Attributes
from directory_assistance.stored_certificates import CertificatePeeker
from directory_assistance.stored_values import (
    ENTRY_ATTRIBUTES,
    GROUP_ATTRIBUTES,
    GROUP_CLASSES,
    StoredValues,
    is_nobody,
    read_stored_entry,
    read_stored_group,
)

__all__ = ["LdifContent", "read_content"]

_Values = Mapping[str, tuple[bytes, ...]]

_MEMBER_ATTRIBUTES = frozenset({"member", "uniquemember"})
_MEMBER_STARTS = tuple(_MEMBER_ATTRIBUTES)
_ENTRY_NAMES = frozenset(name.lower() for name in ENTRY_ATTRIBUTES)
_GROUP_NAMES = frozenset(name.lower() for name in GROUP_ATTRIBUTES)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LdifContent:
    """A file as it was read; made by `read_content`.

    `places`: start, end and line of the record of each entry, one after another. `index`: the number or numbers of
    entries by the hash of a fact. `groups`: each group, or why it cannot be read. `listed`: the numbers of groups by
    the key of what they list. `unknown_members`: why it is not known whom the groups list, empty where it is.
    """

    domain: str
    text: bytes
    places: "array[int]"
    index: Mapping[int, int | list[int]]
    groups: Sequence[Group | str]
    listed: Mapping[NameKey, Sequence[int]]
    unknown_members: str

    @property
    def count(self) -> int:
        """How many entries there are; groups and places are none."""
        return len(self.places) // 3

    def find_numbers(self, candidate: Candidate) -> Iterable[int]:
        """Return the numbers of the entries that a candidate may mean, ascending; all of them for a filter."""
        facts = facts_of_candidate(candidate)
        if facts is None:
            return range(self.count)
        found: set[int] = set()
        for fact in facts:
            hit = self.index.get(hash(fact), ())
            found.update((hit,) if isinstance(hit, int) else hit)
        return sorted(found)

    def read_entry(self, number: int) -> Entry:
        """Read an entry.

        Raises:
            DirectoryAnswerMalformed: a value that cannot be read.

        """
        record, line = self._record(number)
        try:
            return read_stored_entry(_stored(self.domain, record, _ENTRY_NAMES))
        except DirectoryAnswerMalformed as fault:
            raise DirectoryAnswerMalformed(self.domain, f"line {line}: {fault.problem}") from fault

    def read_attributes(self, number: int, reader: ValueReader) -> Attributes:
        """Read the texts of the attributes that a reader wants, with the options of their names and without."""
        start, end, _line = self.places[3 * number : 3 * number + 3]
        texts: dict[str, list[str]] = {}
        for description, octets in reader.read(self.text, start, end).items():
            values = [_text(each) for each in octets]
            for name in {description, _without_options(description)}:
                texts.setdefault(name, []).extend(values)
        return texts

    def find_groups(self, members: Iterable[MemberReference]) -> Iterator[Group]:
        """Find the groups that list any of `members`, each once.

        Raises:
            DirectoryAnswerMalformed: one of them cannot be read, or whom the groups list is not known.

        """
        if self.unknown_members:
            raise DirectoryAnswerMalformed(self.domain, self.unknown_members)
        found: dict[int, None] = {}
        for member in members:
            found.update(dict.fromkeys(self.listed.get(NameKey(member.key), ())))
        for number in found:
            group = self.groups[number]
            if isinstance(group, str):
                raise DirectoryAnswerMalformed(self.domain, group)
            yield group

    def _record(self, number: int) -> tuple[LdifRecord, int]:
        start, end, line = self.places[3 * number : 3 * number + 3]
        return read_record(self.text, start, end), line


def read_content(domain: str, octets: bytes) -> LdifContent:
    """Read a file.

    1. Every record, in order: entries are indexed, groups are put aside.
    2. The groups: by then the names of the entries they list are known, and need not be read again.

    Args:
        domain: for the faults.
        octets: all of the file.

    Raises:
        LdifSyntaxError: it is no LDIF, or two records have the same name.

    """
    indexer = _Indexer(domain)
    text = normalise_ldif(octets)
    for record in read_records(text):  # 1
        indexer.add(record)
    for start, end, line in indexer.groups_aside:  # 2
        indexer.add_group(read_record(text, start, end), line)
    return LdifContent(
        domain=domain,
        text=text,
        places=indexer.places,
        index=indexer.index,
        groups=indexer.groups,
        listed=indexer.listed,
        unknown_members=indexer.unknown_members,
    )


@dataclass(slots=True)
class _Indexer:
    """What becomes of a file while it is read; fields as in `LdifContent`."""

    domain: str
    places: "array[int]" = field(default_factory=lambda: array("Q"))
    index: dict[int, int | list[int]] = field(default_factory=dict)
    groups: list[Group | str] = field(default_factory=list)
    listed: dict[NameKey, list[int]] = field(default_factory=dict)
    unknown_members: str = ""
    groups_aside: list[tuple[int, int, int]] = field(default_factory=list)
    _lines: dict[NameKey, int] = field(default_factory=dict)
    _members: MemberReader = field(default_factory=MemberReader)
    _peeker: CertificatePeeker = field(default_factory=CertificatePeeker)

    def add(self, record: LdifRecord) -> None:
        """Take in a record.

        Raises:
            LdifSyntaxError: an earlier one has its name.

        """
        if _is_group(record.values):
            self._hold_name(record)
            self.groups_aside.append((record.start, record.end, record.line))
            return
        if is_nobody(record.values.get("objectclass", ())):
            self._hold_name(record)
            return
        try:
            entry = read_stored_entry(_stored(self.domain, record, _ENTRY_NAMES))
        except DirectoryAnswerMalformed:  # whoever is led to it gets the fault
            self._hold_name(record)
            entry, sids = _readable_part(record)
        else:
            sids = ()
            self._hold_key(NameKey(entry.key), record)
        texts = {
            find_by: [_text(octets) for octets in record.values.get(name, ())]
            for find_by, name in TEXT_ATTRIBUTES.items()
        }
        number = len(self.places) // 3
        self.places.extend((record.start, record.end, record.line))
        facts = facts_of_entry(entry, texts, read_certificate=self._peeker.peek)
        for fact in facts.union((FindBy.SID, sid) for sid in sids):
            self._point(hash(fact), number)

    def add_group(self, record: LdifRecord, line: int) -> None:
        """Take in a group that was put aside."""
        number = len(self.groups)
        try:
            self.groups.append(read_stored_group(_stored(self.domain, record, _GROUP_NAMES)))
        except DirectoryAnswerMalformed as fault:
            self.groups.append(f"line {line}: {fault.problem}")
        for description, values in record.values.items():
            if _without_options(description) not in _MEMBER_ATTRIBUTES:
                continue
            if "range=" in description:
                self._refuse_groups(record, line, f"only a part of the values of `{description}` is there")
            for octets in values:
                self._list(octets, number, record, line)

    def _list(self, octets: bytes, number: int, record: LdifRecord, line: int) -> None:
        try:
            key = self._members.read(octets)
        except NameSyntaxError as error:
            self._refuse_groups(record, line, f"a member cannot be read: {error}")
            return
        if key is not None:
            numbers = self.listed.setdefault(key, [])
            if numbers[-1:] != [number]:  # listed twice
                numbers.append(number)

    def _refuse_groups(self, record: LdifRecord, line: int, problem: str) -> None:
        self.unknown_members = (
            self.unknown_members or f"line {line}: group `{shorten(_text(record.dn))}`: {problem}"
        )

    def _hold_name(self, record: LdifRecord) -> None:
        """Hold the name of a record against those before; one that cannot be read is nobody's."""
        try:
            key = StoredValues(self.domain, record.dn, {}).read_dn().key
        except DirectoryAnswerMalformed:
            return
        self._hold_key(key, record)

    def _hold_key(self, key: NameKey, record: LdifRecord) -> None:
        before = self._lines.setdefault(key, record.line)
        if before != record.line:
            raise LdifSyntaxError(
                record.line,
                f"expected each name once, found `{shorten(_text(record.dn))}` again, which is that of line {before}",
            )
        self._members.learn(record.dn, key)

    def _point(self, key: int, number: int) -> None:
        before = self.index.setdefault(key, number)
        if isinstance(before, list):
            before.append(number)
        elif before != number:
            self.index[key] = [before, number]


def _is_group(values: _Values) -> bool:
    """Tell by its class; a record that lists members is a group whatever its class, as over LDAP."""
    if any(each.lower() in GROUP_CLASSES for each in values.get("objectclass", ())):
        return True
    return any(
        _without_options(description) in _MEMBER_ATTRIBUTES
        for description in values
        if description.startswith(_MEMBER_STARTS)
    )


def _stored(domain: str, record: LdifRecord, names: frozenset[str]) -> StoredValues:
    """Return the values that are read of a record: what else stands in an export must not make it malformed."""
    wanted = {
        description: octets
        for description, octets in record.values.items()
        if description in names or (";" in description and _without_options(description) in names)
    }
    return StoredValues(domain, record.dn, wanted)


def _readable_part(record: LdifRecord) -> tuple[Entry, tuple[str, ...]]:
    """Return what an entry that cannot be read as a whole may be found by, for the index alone; SIDs apart."""
    values: dict[str, list[bytes]] = {}
    for description, octets in record.values.items():
        values.setdefault(_without_options(description), []).extend(octets)
    texts = {name: [_text(each) for each in octets] for name, octets in values.items()}
    key_ids = (read_key_id_identity(text) for text in texts.get("altsecurityidentities", ()))
    try:
        own = [StoredValues("", record.dn, {}).read_dn()]
    except DirectoryAnswerMalformed:
        own = []
    sids = (read_sid(octets) for octets in values.get("objectsid", ()))
    entry = Entry(
        key="",
        names=(*own, *(FlatName(text=text) for text in texts.get("cn", ()))),
        mails=tuple(texts.get("mail", ())),
        certificates=tuple(StoredCertificate(der=der) for der in values.get("usercertificate", ())),
        subject_key_ids=tuple(key_id for key_id in key_ids if key_id is not None),
        issuer_serials=tuple(
            chain.from_iterable(map(read_issuer_serial_identity, texts.get("altsecurityidentities", ())))
        ),
    )
    return entry, tuple(sid for sid in sids if sid is not None)


def _without_options(description: str) -> str:
    return description.partition(";")[0]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
