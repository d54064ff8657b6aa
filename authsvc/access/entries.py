"""One ACL entry: whom it names, what it gives, and whether it names a given identity or group.

What lives here: reading an entry from its text, and matching it against one name or one group membership.
What does not: choosing among the entries that match (`acl.py`).

Whom a text names (semantics sections 6 and 7):

* `-Default-` and `Anonymous` are themselves and nobody's name.
* A text whose leftmost component is `*` is a wildcard.
* A text that ends in `@` and the name of a domain that exists is always that domain's group, whatever else it
  could be. Which domains exist is configuration, so it is asked when access is resolved, not when the entry
  is read.
* Anything else is the name of a person or of a group, and the user type says which; `unspecified` is both.

INVARIANT: aliases are never looked at. Names are compared as values (`directory_assistance.dn`), never as
text.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from authsvc.access.levels import (
    FIXED_PRIVILEGES,
    OPTIONAL_PRIVILEGES,
    AclError,
    Level,
    Privilege,
    UserType,
    read_level,
    read_privilege,
    read_user_type,
)
from directory_assistance.dn import (
    DistinguishedName,
    FlatName,
    Name,
    NameSyntaxError,
    WildcardName,
    has_unusable_characters,
    is_reserved,
    match_wildcard,
    prepare,
    read_member,
    read_name,
)
from directory_assistance.entry import GroupMembership, GroupType, Identity
from directory_assistance.errors import shorten

__all__ = [
    "ANONYMOUS",
    "DEFAULT",
    "LONGEST_NAME",
    "LONGEST_ROLE",
    "AclEntry",
    "AnonymousTarget",
    "DefaultTarget",
    "GroupTarget",
    "NameTarget",
    "QualifiedGroup",
    "Target",
    "WildcardTarget",
    "match_membership",
    "match_person",
    "match_wildcard_entry",
    "read_role",
]

DEFAULT = "-Default-"
"""The ACL entry for everybody whom no other entry names."""

ANONYMOUS = "Anonymous"
"""The ACL entry for requests without an identity."""

LONGEST_NAME = 255
"""Characters of an ACL entry's name: Domino's limit, so that every ACL can be carried over."""

LONGEST_ROLE = 255
"""Characters of a role: it travels in a header, with a budget of a few thousand bytes for all of them."""

_GROUP_TYPES = frozenset({UserType.PERSON_GROUP, UserType.SERVER_GROUP, UserType.MIXED_GROUP})
_WILDCARD_TYPES = frozenset({UserType.UNSPECIFIED, UserType.MIXED_GROUP, UserType.PERSON_GROUP})
_SATISFIED_BY: Mapping[GroupType, frozenset[UserType]] = MappingProxyType(
    {
        GroupType.MULTI: _GROUP_TYPES | {UserType.UNSPECIFIED},
        GroupType.ACL: _GROUP_TYPES | {UserType.UNSPECIFIED},
        GroupType.SERVERS: frozenset({UserType.SERVER_GROUP, UserType.MIXED_GROUP, UserType.UNSPECIFIED}),
        GroupType.DENY: frozenset(),
        GroupType.MAIL: frozenset(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTarget:
    """Everybody whom no other entry names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousTarget:
    """Whoever presented no certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTarget:
    """A person or a group of this name; the user type says which, `unspecified` is both."""

    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class WildcardTarget:
    """Every person whose name ends so."""

    wildcard: WildcardName


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTarget:
    """A group, never a person: of one domain (its name prepared), or by plain name where `domain` is None."""

    group: Name
    domain: str | None = None


Target = DefaultTarget | AnonymousTarget | NameTarget | WildcardTarget | GroupTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class QualifiedGroup:
    """One reading of a text as `Group@Domain`; it holds only if a domain of that (prepared) name exists."""

    group: Name
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AclEntry:
    """One line of an ACL.

    `name`: the text as written. `privileges`: the optional ones that it names, without those its level always
    has. `target` and `qualified` are made of the text; `meaning` joins them.
    """

    name: str
    level: Level
    type: UserType = UserType.UNSPECIFIED
    privileges: frozenset[Privilege] = frozenset()
    roles: frozenset[str] = frozenset()
    target: Target
    qualified: tuple[QualifiedGroup, ...] = field(default=(), repr=False)

    @classmethod
    def parse(
        cls,
        *,
        name: str,
        level: str | Level,
        type: str | UserType = UserType.UNSPECIFIED,  # noqa: A002 - the word of the contract
        privileges: Iterable[str] = (),
        roles: Iterable[str] = (),
    ) -> Self:
        """Read an ACL entry as it stands in a declarative document, the API or the store.

        Args:
            name: any form of semantics section 2, a wildcard, a group, `-Default-` or `Anonymous`.
            level: `Editor`, `No Access`, in any case.
            type: one of the six user types.
            privileges: names of privileges; those that the level always has may be named, and are left out.
            roles: names of roles; whether the database defines them is checked by `read_database`.

        Raises:
            AclError: naming the entry, and what it claims that it cannot have. Not checked: whether such a
                person or group exists.

        """
        where = f"acl entry `{shorten(name)}`"
        try:
            read_type = read_user_type(type)
            read = level if isinstance(level, Level) else read_level(level)
            named = frozenset(read_privilege(privilege) for privilege in privileges)
            target = _read_target(name, read_type)
            read_roles = frozenset(read_role(role) for role in roles)
        except ValueError as problem:
            raise AclError(f"{where}: {problem}") from problem
        _check_privileges(where, read, named)
        return cls(
            name=name,
            level=read,
            type=read_type,
            privileges=named - FIXED_PRIVILEGES[read],
            roles=read_roles,
            target=target,
            qualified=_read_qualified(name),
        )

    @property
    def all_privileges(self) -> frozenset[Privilege]:
        """What the entry gives: the privileges that its level always has, and those it names."""
        return FIXED_PRIVILEGES[self.level] | self.privileges

    def meaning(self, domains: frozenset[str]) -> Target:
        """Return whom the entry names where domains of these (prepared) names exist."""
        for reading in self.qualified:
            if reading.domain in domains:
                return GroupTarget(group=reading.group, domain=reading.domain)
        return self.target


def match_person(entry: AclEntry, identity: Identity, domains: frozenset[str]) -> bool:
    """Whether the entry names this very identity: explicitly, not by group or wildcard.

    NOTE: an entry of type `server` names nobody yet: an identity does not say that it is a server (threat
    T80).
    """
    meaning = entry.meaning(domains)
    return (
        isinstance(meaning, NameTarget)
        and entry.type in {UserType.PERSON, UserType.UNSPECIFIED}
        and meaning.name == identity.name
    )


def match_wildcard_entry(entry: AclEntry, identity: Identity, domains: frozenset[str]) -> bool:
    """Whether the entry is a wildcard that matches this identity."""
    meaning = entry.meaning(domains)
    return isinstance(meaning, WildcardTarget) and match_wildcard(meaning.wildcard, identity.name)


def match_membership(entry: AclEntry, membership: GroupMembership, domains: frozenset[str]) -> bool:
    """Whether the entry names this group, and the group is of a type that satisfies the entry's."""
    if entry.type not in _SATISFIED_BY[membership.type]:
        return False
    match entry.meaning(domains):
        case GroupTarget(group=group, domain=str() as domain):
            return group == _read_group_name(membership.name) and domain == prepare(membership.domain)
        case GroupTarget(group=group) | NameTarget(name=group):
            if membership.primary:
                return group == _read_group_name(membership.name)
            return membership.plain and _match_foreign_plain_name(entry, group, membership.name)
        case _:
            return False


def _match_foreign_plain_name(entry: AclEntry, group: Name, found: str) -> bool:
    """Whether a group from outside the primary, one that may have a plain name, is meant by a plain name.

    Never by an unspecified entry with a hierarchical name, which is a person's (threat T64); nor where the
    group's own name holds an `@`, which would make it another domain's. Escapes are not resolved in a flat
    name: a group called `Sal"e"s` does not become `Sales`, which the primary may define.
    """
    if "@" in prepare(found):
        return False
    if isinstance(group, DistinguishedName):
        return entry.type is not UserType.UNSPECIFIED and group == _read_group_name(found)
    return group == FlatName(text=found)


def read_role(text: str) -> str:
    """Read a role's name: printable, without blanks at its ends, compared exactly.

    Raises:
        AclError: it is empty, too long, or holds what cannot be printed.

    """
    if not text or text != text.strip() or not text.isprintable() or len(text) > LONGEST_ROLE:
        expected = f"a role (1 to {LONGEST_ROLE} printable characters, no blank at its ends)"
        raise AclError(f"expected {expected}, found `{shorten(text)}`")
    return text


def _check_privileges(where: str, level: Level, named: frozenset[Privilege]) -> None:
    never = named - FIXED_PRIVILEGES[level] - OPTIONAL_PRIVILEGES[level]
    if never:
        listed = ", ".join(f"`{privilege}`" for privilege in sorted(never))
        raise AclError(f"{where}: level {level.label} never has {listed}")
    copies, reads = Privilege.REPLICATE_OR_COPY_DOCUMENTS, Privilege.READ_PUBLIC_DOCUMENTS
    if copies in named and reads not in named | FIXED_PRIVILEGES[level]:
        raise AclError(f"{where}: level {level.label} has `{copies}` only together with `{reads}`")


def _read_target(text: str, user_type: UserType) -> Target:
    """Read whom a text names, leaving aside that it could be `Group@Domain`."""
    if len(text) > LONGEST_NAME:
        raise AclError(f"expected a name of at most {LONGEST_NAME} characters, found {len(text)}")
    for special, target in ((DEFAULT, DefaultTarget()), (ANONYMOUS, AnonymousTarget())):
        if prepare(text) == prepare(special):
            if user_type is not UserType.UNSPECIFIED:
                raise AclError(f"`{special}` is of type unspecified, found `{user_type}`")
            return target
    try:
        name = read_member(text)
    except NameSyntaxError:
        if not _can_be_odd_group(text, user_type):
            raise
        return GroupTarget(group=FlatName(text=text))
    if isinstance(name, WildcardName):
        if user_type not in _WILDCARD_TYPES:
            raise AclError(
                f"a wildcard is of type unspecified, mixed group or person group, found `{user_type}`"
            )
        return WildcardTarget(wildcard=name)
    if is_reserved(name):
        raise AclError(
            f"this name is nobody's: write `{DEFAULT}` or `{ANONYMOUS}`, or `*` as leftmost component"
        )
    return NameTarget(name=name)


def _can_be_odd_group(text: str, user_type: UserType) -> bool:
    """Whether a text that reads as no name can still be a group's: directories call groups `R&D = fun`.

    An unspecified entry so called must hold an `@`, else it is more likely a person's name mistyped; whether
    a domain follows the `@` is known only when access is resolved.
    """
    possible = user_type in _GROUP_TYPES or (user_type is UserType.UNSPECIFIED and bool(_at_signs(text)))
    return possible and not has_unusable_characters(text) and not is_reserved(FlatName(text=text))


def _read_qualified(text: str) -> tuple[QualifiedGroup, ...]:
    """Return every reading of a text as `Group@Domain`, the longest domain first.

    Where domains `West@Acme` and `Acme` exist, `Sales@West@Acme` is thus always the former's group.
    """
    return tuple(
        QualifiedGroup(group=_read_group_name(text[:position]), domain=prepare(text[position + 1 :]))
        for position in _at_signs(text)
    )


def _at_signs(text: str) -> list[int]:
    """Return where `@` stands, or a character that compares equal to it."""
    return [position for position, sign in enumerate(text) if unicodedata.normalize("NFKC", sign) == "@"]


def _read_group_name(text: str) -> Name:
    """Return what a group's name compares as: the name that it reads as, else the text itself."""
    try:
        return read_name(text)
    except NameSyntaxError:
        return FlatName(text=text)
