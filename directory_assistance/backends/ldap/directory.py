"""`LdapDirectory`: a trusted domain that lives in an LDAP server.

What lives here: putting questions within size limits, and what each result code means. What does not: hosts and
connections (`client.py`), the questions (`questions.py`), reading entries (`reading.py`).

Invariants:

* An answer is complete or a fault. A result code other than success, and any reference to another place, is
  a fault, with two exceptions that the protocol itself defines: a name that does not exist, and a value
  that the server calls invalid, which no entry can have (RFC 4511 section 4.5.1.7).
* `DirectoryUnavailable` is about the server or its configuration, never about the value asked for (threat
  T79).

NOTE: a size limit of the server below ours ends an answer early; that counts as more than was asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from directory_assistance.backends.ldap.ad_groups import PAGE_SIZE, AdPort, find_told_groups, primary_groups
from directory_assistance.backends.ldap.client import LdapClient
from directory_assistance.backends.ldap.messages import FoundEntry
from directory_assistance.backends.ldap.opening import name_result_code
from directory_assistance.backends.ldap.questions import (
    ANY_ENTRY,
    EntryQuestion,
    FilterQuestion,
    NotAsked,
    Question,
    plan_questions,
)
from directory_assistance.backends.ldap.reading import (
    ENTRY_ATTRIBUTES,
    GROUP_ATTRIBUTES,
    ReadEntry,
    read_entry,
    read_group,
)
from directory_assistance.backends.ldap.session import SearchAnswer, SearchRequest
from directory_assistance.backends.ldap.settings import GroupStyle, LdapSettings, ServerKind, read_ldap_uri
from directory_assistance.backends.ldap.watch import Watched
from directory_assistance.candidates import Candidate, FindBy
from directory_assistance.directory import HostStatus, LookUp, PersonGroups
from directory_assistance.dn import (
    DistinguishedName,
    MemberReference,
    NameKey,
    prepare,
    read_ldap_dn,
    render_ldap,
)
from directory_assistance.entry import Entry, Group
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
    NameSyntaxError,
    shorten,
)
from directory_assistance.facts import facts_of_entry
from directory_assistance.filters import Equality, Or, check_attribute_description, render_filter
from directory_assistance.stored_values import is_nobody
from directory_assistance.watching import EVERYTHING, Change, OnChange, Watch

__all__ = ["MOST_GROUPS", "LdapDirectory"]

MOST_GROUPS = 10_000
"""Groups in the answer to one question, as in an expansion: no Active Directory token can hold so many."""

_MEMBERS_AT_ONCE = 50
"""Names in one filter: a person has one; groups on the way up come in dozens."""

_SUCCESS = 0
_SIZE_LIMIT_EXCEEDED = 4
_NO_SUCH_OBJECT = 32
_INVALID_VALUE = frozenset({21, 34})  # invalidAttributeSyntax, invalidDNSyntax
_BAD_QUESTION = frozenset({2, 12, 17, 18})
"""protocolError, unavailableCriticalExtension, undefinedAttributeType, inappropriateMatching. A 389 Directory Server
says protocolError to a value with NUL in a substring filter, and values come from certificates: the host is well."""

_FOUND_BY_TEXT = {FindBy.UID: "uid", FindBy.UPN: "userPrincipalName"}
"""What finds an entry and is no part of an `Entry`."""

_REST_ON = frozenset(
    {b"cossuperdefinition", b"costemplate", b"ldapsubentry", b"nsroledefinition", b"subentry"}
)
"""Object classes, in lower case, of what other entries have attributes from."""

_PARTITIONS_WITHOUT_PEOPLE = frozenset({"cn=configuration", "dc=domaindnszones", "dc=forestdnszones"})
"""Where an Active Directory refers to from the root of a domain, whatever was asked (first component)."""

_MEMBER_ATTRIBUTES = {
    GroupStyle.MEMBER: ("member",),
    GroupStyle.UNIQUE_MEMBER: ("uniqueMember",),
    GroupStyle.BOTH: ("member", "uniqueMember"),
    GroupStyle.TOKEN_GROUPS: ("member",),
    GroupStyle.IN_CHAIN: ("member",),
}
"""What lists a direct member; in an Active Directory always `member`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The entries that one question is answered with; `exceeded` as in `LookUp`."""

    entries: tuple[Entry, ...] = ()
    exceeded: bool = False


class LdapDirectory:
    """A directory in an LDAP server; the contract is that of `directory_assistance.directory`.

    An entry's names are its DN and, only to find it, the values of `cn`. Groups are those that list the DN.

    Args:
        domain: the domain it serves.
        settings: how it is reached and read.

    Raises:
        NameSyntaxError: a host or the name attribute is not what it should be, or there is no host.

    """

    def __init__(self, domain: str, settings: LdapSettings) -> None:
        if not settings.hosts:
            raise NameSyntaxError("expected at least one LDAP host, found none")
        hosts = tuple(read_ldap_uri(uri) for uri in settings.hosts)
        self._name_attribute = settings.name_attribute
        if self._name_attribute is not None:
            check_attribute_description(self._name_attribute)
        self._domain = domain
        self._settings = settings
        self._base = render_ldap(settings.base)
        self._client = LdapClient(domain, hosts, settings)

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        return self._domain

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`; see `directory_assistance.directory`."""
        questions = plan_questions(candidate, self._settings)
        if isinstance(questions, NotAsked):
            return LookUp(asked=questions.why, supported=False)
        asked = " and ".join(self._describe(question) for question in questions)
        found: dict[str, Entry] = {}
        for question in questions:
            answer = self._answer(question, limit, deadline)
            found.update((entry.key, entry) for entry in answer.entries)
            if answer.exceeded or len(found) > limit:
                return LookUp(asked=asked, exceeded=True)
        return LookUp(entries=tuple(found[key] for key in sorted(found)), asked=asked)

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members`, sorted by name.

        Only distinguished names can be members of an LDAP group; other references are not asked for.
        """
        distinct = dict.fromkeys(members)
        names = [name for name in distinct if isinstance(name, DistinguishedName) and name.rdns]
        found: dict[NameKey, Group] = {}
        for start in range(0, len(names), _MEMBERS_AT_ONCE):
            for group in self._find_groups_of(names[start : start + _MEMBERS_AT_ONCE], deadline):
                found[group.reference.key] = group
            if len(found) > MOST_GROUPS:
                raise self._too_many_groups()
        return tuple(sorted(found.values(), key=lambda group: (prepare(group.name), group.reference.key)))

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups that list the person; in an Active Directory the primary group too, or all at once."""
        if self._settings.server is not ServerKind.ACTIVE_DIRECTORY:
            return PersonGroups(groups=self.find_groups(members, deadline=deadline))
        port = AdPort(
            domain=self._domain,
            base=self._settings.base,
            most=MOST_GROUPS,
            ask=lambda request: self._ask_for_groups(request, deadline),
        )
        names = [name for name in dict.fromkeys(members) if isinstance(name, DistinguishedName)]
        style = self._settings.group_style
        if style.needs_active_directory:
            return PersonGroups(groups=find_told_groups(port, style, names), complete=True)
        listed = self.find_groups(members, deadline=deadline)
        found = {group.reference.key: group for group in (*listed, *primary_groups(port, names))}
        return PersonGroups(
            groups=tuple(sorted(found.values(), key=lambda group: (prepare(group.name), group.reference.key)))
        )

    def watch(self, on_change: OnChange) -> Watch | None:
        """Have the server tell every change below the base; see `watch.py`."""
        attributes = self._attributes(_FOUND_BY_TEXT.values())
        watched = Watched(base=self._base, attributes=attributes, read_change=self._read_change)
        return self._client.watch(watched, on_change)

    def check(self, *, deadline: float) -> None:
        """Read the base entry; raise a `DirectoryFault` if that fails."""
        request = SearchRequest(
            base=self._base,
            scope="BASE",
            filter=ANY_ENTRY,
            attributes=("objectClass",),
            size_limit=1,
        )
        answer = self._ask(request, deadline)
        if answer.code == _NO_SUCH_OBJECT or (answer.code == _SUCCESS and not answer.entries):
            raise self._no_base()
        self._hold_success(answer)

    @property
    def host_statuses(self) -> tuple[HostStatus, ...]:
        """How each host stands, in the order of preference."""
        return self._client.host_statuses

    def close(self) -> None:
        """Close every connection; calls from now on raise `DirectoryUnavailable`."""
        self._client.close()

    def _describe(self, question: Question) -> str:
        match question:
            case EntryQuestion():
                return f"entry `{shorten(render_ldap(question.dn))}`"
            case FilterQuestion():
                return f"`{shorten(self._print(question))}`"
            case _:
                assert_never(question)

    def _answer(self, question: Question, limit: int, deadline: float) -> _Found:
        match question:
            case EntryQuestion():
                return self._read(question, deadline)
            case FilterQuestion():
                return self._search(question, limit, deadline)
            case _:
                assert_never(question)

    def _print(self, question: FilterQuestion) -> str:
        try:
            return render_filter(question.filter)
        except NameSyntaxError as error:
            raise DirectoryAnswerMalformed(self._domain, f"the filter cannot be printed: {error}") from error

    def _read(self, question: EntryQuestion, deadline: float) -> _Found:
        """Read one entry by its name.

        That the name does not exist is an answer; that the base does not exist is none.
        """
        request = SearchRequest(
            base=render_ldap(question.dn),
            scope="BASE",
            filter=ANY_ENTRY,
            attributes=self._attributes(()),
            size_limit=2,  # one more than there can be, so that an odd answer is compared and not cut
        )
        answer = self._ask(request, deadline)
        if answer.code == _NO_SUCH_OBJECT:
            if not self._shows_base(answer.matched_dn):
                self.check(deadline=deadline)
            return _Found()
        if answer.code in _INVALID_VALUE:
            return _Found()
        self._hold_success(answer)
        read = self._read_entries(answer, ())
        return _Found(entries=tuple(each.entry for each in read if each.entry.dn == question.dn))

    def _search(self, question: FilterQuestion, limit: int, deadline: float) -> _Found:
        request = SearchRequest(
            base=self._base,
            scope="SUBTREE",
            filter=question.filter,
            attributes=self._attributes(question.compared),
            size_limit=limit + 1,
        )
        answer = self._ask(request, deadline)
        if answer.code == _SIZE_LIMIT_EXCEEDED:
            return _Found(exceeded=True)
        if answer.code == _NO_SUCH_OBJECT:
            raise self._no_base()
        if answer.code in _INVALID_VALUE:
            return _Found()
        self._hold_success(answer)
        if len(answer.entries) > limit:  # some servers do not mind the limit they are given
            return _Found(exceeded=True)
        read = self._read_entries(answer, question.compared)
        return _Found(entries=tuple(each.entry for each in read if question.accepts(each)))

    def _read_entries(self, answer: SearchAnswer, compared: Sequence[str]) -> list[ReadEntry]:
        """Read the entries of people and services; groups and places are nobody, whatever certificate names them."""
        return [
            read_entry(self._domain, found, name_attribute=self._name_attribute, compared=compared)
            for found in answer.entries
            if not is_nobody(self._classes(found))
        ]

    def _classes(self, found: FoundEntry) -> tuple[bytes, ...]:
        """Return the object classes of an entry: each has some, so none at all are hidden ones."""
        classes = found.values.get("objectclass", ())
        if not classes:
            name = shorten(found.dn.decode("utf-8", "replace"))
            raise DirectoryAnswerMalformed(
                self._domain,
                f"entry `{name}`: the server shows no `objectClass`, so it may be a group: may it be read by the "
                "account that we bind with?",
            )
        return classes

    def _read_change(self, found: FoundEntry) -> Change:
        """Say of a changed entry, person or group, what it can be found by now.

        389-ds reckons what an entry holds, its lock too, from roles and classes of service: a change of one of these
        changes others, and nobody says which.
        """
        if not _REST_ON.isdisjoint(each.lower() for each in self._classes(found)):
            return EVERYTHING
        read = read_entry(
            self._domain, found, name_attribute=self._name_attribute, compared=_FOUND_BY_TEXT.values()
        )
        texts = {find_by: read.texts[name.lower()] for find_by, name in _FOUND_BY_TEXT.items()}
        return Change(unique_id=read.entry.unique_id, facts=facts_of_entry(read.entry, texts))

    def _attributes(self, compared: Iterable[str]) -> tuple[str, ...]:
        mapped = () if self._name_attribute is None else (self._name_attribute,)
        return tuple(dict.fromkeys((*ENTRY_ATTRIBUTES, *mapped, *compared)))

    def _find_groups_of(self, names: Sequence[DistinguishedName], deadline: float) -> Iterator[Group]:
        attributes = _MEMBER_ATTRIBUTES[self._settings.group_style]
        listed = Or(
            parts=tuple(
                Equality(attribute=attribute, value=render_ldap(name))
                for name in names
                for attribute in attributes
            )
        )
        request = SearchRequest(
            base=self._base,
            scope="SUBTREE",
            filter=listed,
            attributes=GROUP_ATTRIBUTES,
            size_limit=MOST_GROUPS + 1,
            page_size=PAGE_SIZE if self._settings.server is ServerKind.ACTIVE_DIRECTORY else None,
        )
        answer = self._ask(request, deadline)
        if answer.code == _SIZE_LIMIT_EXCEEDED or len(answer.entries) > MOST_GROUPS:
            raise self._too_many_groups()
        if answer.code == _NO_SUCH_OBJECT:
            raise self._no_base()
        if answer.code in _INVALID_VALUE:
            # No group lists such a name; which of them it is, the server does not say.
            for name in names if len(names) > 1 else ():
                yield from self._find_groups_of([name], deadline)
            return
        self._hold_success(answer)
        for found in answer.entries:
            yield read_group(self._domain, found)

    def _ask_for_groups(self, request: SearchRequest, deadline: float) -> SearchAnswer:
        """Put a question about groups; the answer is complete, and empty where the entry asked about does not exist."""
        answer = self._ask(request, deadline)
        if answer.code == _SIZE_LIMIT_EXCEEDED or len(answer.entries) >= request.size_limit > 1:
            raise self._too_many_groups()
        if answer.code == _NO_SUCH_OBJECT:
            if request.scope == "SUBTREE":
                raise self._no_base()
            if not self._shows_base(answer.matched_dn):
                self.check(deadline=deadline)
            return replace(answer, entries=())
        if answer.code not in _INVALID_VALUE:
            self._hold_success(answer)
        return answer

    def _ask(self, request: SearchRequest, deadline: float) -> SearchAnswer:
        return self._client.ask(request, deadline)

    def _hold_success(self, answer: SearchAnswer) -> None:
        """Raise what an answer other than a complete success means."""
        if answer.code in _BAD_QUESTION:
            raise DirectoryAnswerMalformed(
                self._domain, f"the server does not understand the question: {_said(answer)}"
            )
        if answer.code != _SUCCESS:
            raise DirectoryUnavailable(self._domain, f"the server answered {_said(answer)}")
        elsewhere = [uri for uri in answer.references if not self._is_without_people(uri)]
        if elsewhere:
            raise DirectoryUnavailable(
                self._domain,
                f"the answer is partial, because the server refers to `{shorten(elsewhere[0])}`",
            )

    def _is_without_people(self, uri: str) -> bool:
        if self._settings.server is not ServerKind.ACTIVE_DIRECTORY:
            return False
        _scheme, _slashes, rest = uri.partition("://")
        first, _comma, _others = rest.partition("/")[2].partition(",")
        return first.casefold() in _PARTITIONS_WITHOUT_PEOPLE

    def _shows_base(self, matched_dn: str) -> bool:
        """Whether the part of a name that exists shows that our base does."""
        try:
            matched = read_ldap_dn(matched_dn)
        except NameSyntaxError:  # empty where the server hides what we may not read
            return False
        base = self._settings.base
        return DistinguishedName(rdns=matched.rdns[-len(base.rdns) :]) == base

    def _no_base(self) -> DirectoryUnavailable:
        return DirectoryUnavailable(
            self._domain, f"the base `{shorten(self._base)}` does not exist or may not be read"
        )

    def _too_many_groups(self) -> ExpansionLimitExceeded:
        return ExpansionLimitExceeded(
            self._domain, f"more groups than {MOST_GROUPS} or than the server gives in one answer"
        )


def _said(answer: SearchAnswer) -> str:
    message = f": {shorten(answer.message)}" if answer.message else ""
    return f"{name_result_code(answer.code)}{message}"
