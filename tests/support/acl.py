"""People, groups, ACL entries and databases for tests: base objects, and one word for each deviation."""

from authsvc.access.acl import AclEntry, Database, EffectiveAccess, read_database, resolve_access
from directory_assistance.dn import read_name
from directory_assistance.entry import GroupMembership, GroupType, Identity

__all__ = ["DAVE", "DOMAINS", "LDAP_DAVE", "access", "database", "entry", "group", "person"]

DOMAINS = frozenset({"Renovations", "Acme West", "Airius"})
"""The primary Renovations, the secondary directory Acme West, and Airius, the one with plain group names."""


def group(
    name: str,
    *,
    domain: str = "Renovations",
    type: GroupType = GroupType.MULTI,  # noqa: A002 - the word of the semantics
    plain: bool | None = None,
    via: tuple[str, ...] = (),
) -> GroupMembership:
    """Return a membership; of the primary, and plain, unless another domain is named."""
    primary = domain == "Renovations"
    return GroupMembership(
        name=name,
        domain=domain,
        type=type,
        primary=primary,
        plain=primary if plain is None else plain,
        via=via,
    )


def person(
    name: str = "Dave Lawson/Renovations",
    *groups: GroupMembership,
    domain: str = "Renovations",
    aliases: tuple[str, ...] = (),
    own_name: str | None = None,
) -> Identity:
    """Return an identity; of the primary unless another domain is named."""
    return Identity(
        name=read_name(name),
        own_name=read_name(own_name or name),
        domain=domain,
        primary=domain == "Renovations",
        aliases=tuple(map(read_name, aliases)),
        groups=groups,
    )


DAVE = person()
LDAP_DAVE = person("uid=dave/o=airius.com", domain="Airius")


def entry(
    name: str,
    level: str = "Editor",
    type: str = "unspecified",  # noqa: A002 - the word of the contract
    *,
    privileges: tuple[str, ...] = (),
    roles: tuple[str, ...] = (),
) -> AclEntry:
    """Return an ACL entry, Editor unless said otherwise."""
    return AclEntry.parse(name=name, level=level, type=type, privileges=privileges, roles=roles)


def database(
    *entries: AclEntry, wildcards: str = "fallback", maximum_internet_access: str = "Editor"
) -> Database:
    """Return the database `sales.nsf` with this ACL and the roles Buyer, Approver and Auditor."""
    return read_database(
        name="sales.nsf",
        roles=("Buyer", "Approver", "Auditor"),
        entries=entries,
        wildcards=wildcards,
        maximum_internet_access=maximum_internet_access,
    )


def access(
    identity: Identity | None, *entries: AclEntry, wildcards: str = "fallback", primary_only: bool = False
) -> EffectiveAccess:
    """Resolve an ACL of these entries for an identity."""
    return resolve_access(
        database(*entries, wildcards=wildcards), identity, domains=DOMAINS, primary_only=primary_only
    )
