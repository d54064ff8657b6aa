"""People and groups as checked values: what the store writes and reads, what `apply` compares.

What lives here: the values, and which names are possible. What does not: rows (`people.py`, `groups.py`),
files (`declared.py`). Databases with their ACL are `authsvc.access.acl.Database`.

Decided where the specification is silent:

* A name of a person or group may not be reserved (`Anonymous`, `-Default-`, anything with `*`).
* The name of a group that counts for ACLs holds no `@`: in an ACL, `Sales@Airius` is the group `Sales` of the
  domain Airius if there is such a domain, so a group called that would change hands with the configuration
  (threat T64). Groups of type `mail` and `deny` may be named like mail addresses.

INVARIANT: names are stored as `render_name` prints them, so that reading the text back gives the same
name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from authsvc.store.certificates import CertificateRecord
from authsvc.store.errors import NameRefused
from directory_assistance.dn import (
    MemberReference,
    Name,
    NameSyntaxError,
    has_unusable_characters,
    is_reserved,
    key_text,
    prepare,
    read_member,
    read_name,
    render_name,
)
from directory_assistance.entry import GroupType
from directory_assistance.errors import shorten

__all__ = [
    "LONGEST_NAME",
    "LONGEST_TEXT",
    "GroupRecord",
    "PersonRecord",
    "read_group_member",
    "read_group_name",
    "read_group_type",
    "read_mail",
    "read_person_name",
    "read_text",
]

LONGEST_NAME = 1_000
"""Characters of a name as printed: a header with all identity headers has 3,500 bytes, and PostgreSQL's index
entries end at 2,700.
"""

LONGEST_TEXT = 1_000
"""Characters of a display name, title or mail address, which travel in headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """One person. `names`: the identity first, then the names that only find it; each once.

    `certificates`: each once, in the order in which they came.
    """

    names: tuple[Name, ...]
    mail: str = ""
    display_name: str = ""
    disabled: bool = False
    certificates: tuple[CertificateRecord, ...] = ()

    @classmethod
    def make(
        cls,
        *,
        names: Iterable[Name],
        mail: str = "",
        display_name: str = "",
        disabled: bool = False,
        certificates: Iterable[CertificateRecord] = (),
    ) -> Self:
        """Make a person of checked parts; a name or certificate that stands twice is kept once.

        Raises:
            NameRefused: there is no name.

        """
        distinct = tuple(dict.fromkeys(names))
        if not distinct:
            raise NameRefused("a person needs a name, found none")
        return cls(
            names=distinct,
            mail=mail,
            display_name=display_name,
            disabled=disabled,
            certificates=tuple({one.sha256: one for one in certificates}.values()),
        )

    @property
    def key(self) -> str:
        """What tells this person from every other of the directory."""
        return key_text(self.names[0])

    @property
    def shown_name(self) -> str:
        """The first name, printed."""
        return render_name(self.names[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord:
    """One group. `members`: each once, sorted by their key."""

    name: Name
    type: GroupType = GroupType.MULTI
    members: tuple[MemberReference, ...] = ()

    @classmethod
    def make(cls, *, name: Name, type: GroupType, members: Iterable[MemberReference] = ()) -> Self:  # noqa: A002 - the word of the contract
        """Make a group of checked parts; a member that stands twice is kept once.

        Raises:
            NameRefused: the name has an `@` and the type counts for ACLs.

        """
        shown = render_name(name)
        if type.counts_for_acls and "@" in prepare(shown):
            raise NameRefused(
                f"expected the name of a `{type}` group without `@`, found `{shorten(shown)}`:"
                " an ACL would read it as a group of another domain"
            )
        distinct = {key_text(member): member for member in members}
        return cls(name=name, type=type, members=tuple(distinct[key] for key in sorted(distinct)))

    @property
    def key(self) -> str:
        """What tells this group from every other of the directory."""
        return key_text(self.name)

    @property
    def shown_name(self) -> str:
        """The name, printed."""
        return render_name(self.name)


def read_person_name(text: str) -> Name:
    """Read one of a person's names.

    Raises:
        NameRefused: it cannot be read, is reserved or is too long.

    """
    return _read_own_name(text, "person")


def read_group_name(text: str) -> Name:
    """Read the name of a group.

    Raises:
        NameRefused: it cannot be read, is reserved or is too long.

    """
    return _read_own_name(text, "group")


def read_group_member(text: str) -> MemberReference:
    """Read a member of a group: a name in any form, a wildcard such as `*/Sales/Acme`, another group.

    Raises:
        NameRefused: it is none of these, or nobody's (`Anonymous`, `-Default-`, `*`).

    """
    try:
        member = read_member(text)
    except NameSyntaxError as error:
        raise NameRefused(f"member: {error}") from error
    if isinstance(member, Name) and is_reserved(member):
        raise NameRefused(f"expected a member, found `{shorten(text)}`, which is nobody's name")
    if len(text) > LONGEST_NAME:
        raise NameRefused(f"expected a member of at most {LONGEST_NAME} characters, found {len(text)}")
    return member


def read_group_type(text: str) -> GroupType:
    """Read the type of a group.

    Raises:
        NameRefused: it is none.

    """
    try:
        return GroupType(text)
    except ValueError as error:
        raise NameRefused(f"expected a type ({', '.join(GroupType)}), found `{shorten(text)}`") from error


def read_mail(text: str) -> str:
    """Read a mail address as a person has it; empty for none. Not checked: whether mail would arrive.

    Raises:
        NameRefused: no `@` with something on both sides, a blank, or a character that no header may
        carry.

    """
    local, _, host = text.rpartition("@")
    if text and not (prepare(local) and prepare(host) and not any(map(str.isspace, text))):
        raise NameRefused(f"expected a mail address, found `{shorten(text)}`")
    return read_text(text)


def read_text(text: str) -> str:
    """Read a title or display name.

    Raises:
        NameRefused: it is too long or holds control characters.

    """
    if len(text) > LONGEST_TEXT or has_unusable_characters(text):
        raise NameRefused(
            f"expected at most {LONGEST_TEXT} characters and no control characters, found `{shorten(text)}`"
        )
    return text


def _read_own_name(text: str, whose: str) -> Name:
    try:
        name = read_name(text)
    except NameSyntaxError as error:
        raise NameRefused(f"name of a {whose}: {error}") from error
    if is_reserved(name):
        raise NameRefused(
            f"expected the name of a {whose}, found `{shorten(text)}`:"
            " `Anonymous`, `-Default-` and names with `*` are nobody's"
        )
    if len(render_name(name)) > LONGEST_NAME:
        raise NameRefused(f"expected a name of at most {LONGEST_NAME} characters, found `{shorten(text)}`")
    return name
