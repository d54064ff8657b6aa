"""What directories hold and what is made of it: entries, groups, identities.

Values only: nothing here asks a directory. How an entry becomes a match is `search.py`; how groups are
expanded is `groups.py`.

INVARIANT: `Entry.names` is never empty, and its first element is the entry's own name (for an LDAP entry its
DN).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from directory_assistance.dn import DistinguishedName, Name

__all__ = ["Entry", "Group", "GroupMembership", "GroupType", "Identity", "StoredCertificate", "Strength"]


class GroupType(StrEnum):
    """What a group is for (semantics: Identity). An LDAP group is `multi`."""

    MULTI = "multi"
    ACL = "acl"
    SERVERS = "servers"
    DENY = "deny"
    MAIL = "mail"

    @property
    def counts_for_acls(self) -> bool:
        """Whether membership may give access: `mail` and `deny` groups never do."""
        return self in {GroupType.MULTI, GroupType.ACL, GroupType.SERVERS}


class Strength(StrEnum):
    """How firmly an entry is bound to the certificate; it stands in verdict and trace."""

    STRONG = "strong"
    MEDIUM = "medium"
    WEAK = "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate that an entry holds: its DER bytes, and whether the directory marks it revoked."""

    der: bytes
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One directory entry about one person or service.

    `names`: the own name first, then the names that only find the entry. `dn`: the LDAP DN, None for other
    kinds. `mapped_names`: the values of the configured name attribute, unread; several make the entry
    ambiguous. `sid`: the `objectSid` in text form `S-1-5-...`. `subject_key_ids`, `issuer_serials`: those that the
    entry names beside its certificates, an issuer once for each order in which its text may be meant. `expires`: from
    when on the entry counts as disabled (UTC), None for never. `key`: what tells this entry from every other of its
    directory (row id, DN). `unique_id`: what stays when it is renamed (`entryUUID` of RFC 4530, `nsUniqueId`,
    `objectGUID`; canonical, lower case), None where the directory has none.
    """

    key: str
    names: tuple[Name, ...]
    dn: DistinguishedName | None = None
    mapped_names: tuple[str, ...] = ()
    display_name: str = ""
    mails: tuple[str, ...] = ()
    certificates: tuple[StoredCertificate, ...] = ()
    sid: str | None = None
    subject_key_ids: tuple[bytes, ...] = ()
    issuer_serials: tuple[tuple[DistinguishedName, int], ...] = ()
    disabled: bool = False
    expires: datetime | None = None
    unique_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as its directory holds it, without its members.

    `name` is the plain name (`cn` of an LDAP group). `reference` is how groups of the same directory list it
    as a member: the flat name, or the LDAP DN.
    """

    name: str
    type: GroupType
    reference: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMembership:
    """A group that an identity belongs to, with its origin.

    `plain`: whether it also counts under its plain name (always for the primary). `via`: the groups through
    which the membership came, outermost last, empty for a direct one.
    """

    name: str
    domain: str
    type: GroupType
    primary: bool
    plain: bool
    via: tuple[str, ...] = ()

    @property
    def qualified_name(self) -> str:
        """The name that leaves the service: plain for the primary, else `Group@Domain`."""
        return self.name if self.primary else f"{self.name}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who it is: the name for ACLs, groups with their origin, and how it was found and bound.

    `name` is what ACLs see. `own_name` is the name the entry has in its directory: equal to `name` unless an
    LDAP name attribute maps it. `aliases` only found the entry: they never match an ACL entry or a group
    member.
    """

    name: Name
    own_name: Name
    domain: str
    primary: bool
    display_name: str = ""
    mail: str = ""
    aliases: tuple[Name, ...] = ()
    groups: tuple[GroupMembership, ...] = ()
    found_by: str = ""
    bound_by: str = ""
    strength: Strength = Strength.WEAK
