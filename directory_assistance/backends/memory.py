"""`MemoryDirectory`: a directory made of values, complete and honest; the fake of the tests.

What lives here: every candidate answered from entries held in memory, by looking at each of them. What does
not: speed, and anything that changes.

INVARIANT: it keeps the whole contract of `directory_assistance.directory`; the contract suite runs over it
as over the others. Closed, it is out of reach, as a stopped server is.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    IssuerSerialCandidate,
    SidCandidate,
    SubjectCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import StoredFacts, read_stored_certificate
from directory_assistance.directory import LookUp, PersonGroups
from directory_assistance.dn import (
    MemberReference,
    Name,
    common_name_of,
    prepare,
    read_ldap_dn,
    render_ldap,
)
from directory_assistance.entry import Entry, Group
from directory_assistance.errors import DirectoryUnavailable, NameSyntaxError, shorten
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    FactValue,
    Filter,
    Not,
    Or,
    Present,
    Substring,
    render_filter,
)
from directory_assistance.watching import OnChange, Watch

__all__ = ["MemoryDirectory"]

GroupWithMembers = tuple[Group, Sequence[MemberReference]]

_TEXT_ATTRIBUTES = {FindBy.UPN: "userprincipalname", FindBy.UID: "uid"}


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
        if isinstance(candidate, FilterCandidate) and not _is_supported(candidate.filter):
            return LookUp(asked=shorten(render_filter(candidate.filter)), supported=False)
        found = tuple(entry for entry in self._entries if self._is_named(entry, candidate))
        asked = _describe(candidate)
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

    # One answer per kind of candidate, and of filter below.
    def _is_named(self, entry: Entry, candidate: Candidate) -> bool:  # noqa: PLR0911
        match candidate:
            case SubjectCandidate():
                return candidate.dn in entry.names or any(
                    _is_dn(text, candidate) for text in entry.mapped_names
                )
            case TextCandidate():
                return self._has_text(entry, candidate)
            case CertificateCandidate():
                return any(stored.der == candidate.der for stored in entry.certificates)
            case IssuerSerialCandidate():
                wanted = (candidate.issuer, candidate.serial)
                stored = ((fact.issuer, fact.serial) for fact in _facts(entry))
                return wanted in (*entry.issuer_serials, *stored)
            case SubjectKeyIdCandidate():
                key_ids = (*entry.subject_key_ids, *(fact.subject_key_id for fact in _facts(entry)))
                return bool(candidate.subject_key_id) and candidate.subject_key_id in key_ids
            case SidCandidate():
                return entry.sid == candidate.sid
            case FilterCandidate():
                return _matches(candidate.filter, self._attributes[entry.key])
            case _:
                assert_never(candidate)

    def _has_text(self, entry: Entry, candidate: TextCandidate) -> bool:
        wanted = prepare(candidate.text)
        if candidate.find_by is FindBy.COMMON_NAME:
            values = [common_name_of(name) or "" for name in entry.names]
        elif candidate.find_by is FindBy.MAIL:
            values = list(entry.mails)
        else:
            values = list(self._attributes[entry.key].get(_TEXT_ATTRIBUTES[candidate.find_by], ()))
        return bool(wanted) and wanted in map(prepare, values)


def _attributes_of(entry: Entry, further: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    common_names = tuple(common_name_of(name) or "" for name in entry.names)
    own = {
        "objectclass": ("person",),
        "cn": tuple(name for name in common_names if name),
        "mail": entry.mails,
        "displayname": (entry.display_name,) if entry.display_name else (),
    }
    return own | {name.casefold(): tuple(values) for name, values in further.items()}


def _is_dn(text: str, candidate: SubjectCandidate) -> bool:
    try:
        return read_ldap_dn(text) == candidate.dn
    except NameSyntaxError:
        return False


def _facts(entry: Entry) -> Iterable[StoredFacts]:
    facts = (read_stored_certificate(stored.der) for stored in entry.certificates)
    return [fact for fact in facts if fact is not None]


def _describe(candidate: Candidate) -> str:
    match candidate:
        case SubjectCandidate():
            return f"{candidate.find_by} is `{shorten(render_ldap(candidate.dn))}`"
        case TextCandidate():
            return f"{candidate.find_by} is `{shorten(candidate.text)}`"
        case FilterCandidate():
            return f"`{shorten(render_filter(candidate.filter))}`"
        case _:
            return f"{candidate.find_by} is that of the certificate"


def _is_supported(node: Filter) -> bool:
    """Whether a filter can be judged here: ordering and matching rules need a schema."""
    match node:
        case Comparison() | Extensible():
            return False
        case Equality() | Substring() | Present():
            return True
        case And() | Or():
            return all(map(_is_supported, node.parts))
        case Not():
            return _is_supported(node.part)
        case _:
            assert_never(node)


def _matches(node: Filter, attributes: Mapping[str, tuple[str, ...]]) -> bool:  # noqa: PLR0911
    """Judge a filter as a server with these attributes does (RFC 4511 section 4.5.1.7), texts by RFC 4518."""
    match node:
        case Equality():
            return prepare(_text(node.value)) in map(prepare, attributes.get(node.attribute.casefold(), ()))
        case Substring():
            return any(_has_pieces(value, node) for value in attributes.get(node.attribute.casefold(), ()))
        case Present():
            return bool(attributes.get(node.attribute.casefold()))
        case And():
            return all(_matches(part, attributes) for part in node.parts)
        case Or():
            return any(_matches(part, attributes) for part in node.parts)
        case Not():
            return not _matches(node.part, attributes)
        case Comparison() | Extensible():
            return False
        case _:
            assert_never(node)


def _text(value: FactValue) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _has_pieces(value: str, node: Substring) -> bool:
    text, initial, final = prepare(value), prepare(_text(node.initial)), prepare(_text(node.final))
    if not text.startswith(initial):
        return False
    at = len(initial)
    for piece in (prepare(_text(each)) for each in node.middle):
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return text[at:].endswith(final)
