"""The ACL of a database and its resolution: from an identity to effective access (semantics section 7).

What lives here: databases with their ACL, requirements, resolution with its explanation, and whether a
requirement is met. What does not: the words (`levels.py`), one entry (`entries.py`), which request needs
which database (`databases.py`), TLS as a requirement and full access administrators (`decision/pipeline.py`).

Resolution, as its steps are numbered below:

    0  not authenticated                 the `Anonymous` entry, else `-Default-`
    1  the name has an explicit entry    that entry alone
    2  groups                            the highest level, privileges and roles of all
    3  wildcards                         as 2, only when 1 and 2 matched nothing (`union`: together with 2)
    4  nothing                           `-Default-`
    5  cap                               `maximum_internet_access`, for the unauthenticated alone

Invariants:

* Effective access does not depend on the order of the entries, nor on the order of an identity's groups.
* An ACL without entries gives No Access, and an empty requirement is not met.
* No Access among several entries neither wins nor contributes. Alone it decides, and then gives what it
  names: the two public document privileges, and `replicate_or_copy_documents` beside them. It never gives a
  role.
* A cap only takes away: Reader capped to Depositor does not gain `create_documents`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from authsvc.access.database_key import database_key
from authsvc.access.entries import (
    DEFAULT,
    AclEntry,
    AnonymousTarget,
    DefaultTarget,
    GroupTarget,
    NameTarget,
    QualifiedGroup,
    Target,
    WildcardTarget,
    match_membership,
    match_person,
    match_wildcard_entry,
    read_role,
)
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
from authsvc.access.requirements import Requirement
from authsvc.reason import Reason
from directory_assistance.dn import Name, prepare
from directory_assistance.entry import GroupMembership, Identity
from directory_assistance.errors import shorten

__all__ = [
    "FIXED_PRIVILEGES",
    "OPTIONAL_PRIVILEGES",
    "AccessExplanation",
    "AclEntry",
    "AclError",
    "AnonymousTarget",
    "Database",
    "DecidedBy",
    "DefaultTarget",
    "EffectiveAccess",
    "EntryMatch",
    "GroupTarget",
    "Level",
    "NameTarget",
    "Privilege",
    "QualifiedGroup",
    "Requirement",
    "Target",
    "UserType",
    "WildcardMode",
    "WildcardTarget",
    "explain_access",
    "explicit_names",
    "full_access",
    "read_database",
    "read_level",
    "read_privilege",
    "read_role",
    "read_user_type",
    "resolve_access",
    "unmet_requirement",
]


class WildcardMode(StrEnum):
    """Whether wildcards count only where no group matched, or together with groups."""

    FALLBACK = "fallback"
    UNION = "union"


class DecidedBy(StrEnum):
    """The step of the resolution that decided."""

    EXPLICIT = "explicit"
    GROUPS = "groups"
    WILDCARDS = "wildcards"
    GROUPS_AND_WILDCARDS = "groups_and_wildcards"
    DEFAULT = "default"
    ANONYMOUS = "anonymous"
    FULL_ACCESS = "full_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A protected resource and its ACL. `read_database` makes a checked one.

    `name`: as written. `maximum_internet_access`: caps whoever has no certificate identity. `roles`: those
    defined.
    """

    name: str
    title: str = ""
    require_tls: bool = False
    maximum_internet_access: Level = Level.EDITOR
    roles: frozenset[str] = frozenset()
    entries: tuple[AclEntry, ...] = ()
    wildcards: WildcardMode = WildcardMode.FALLBACK

    @property
    def key(self) -> str:
        """The name by which databases are compared."""
        return database_key(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveAccess:
    """What an identity may do in a database, and why.

    `database`: its name as written. `entries`: names of the ACL entries that gave it, sorted. `via`: the
    groups by which they matched, sorted; empty unless groups decided.
    """

    database: str
    level: Level
    privileges: frozenset[Privilege]
    roles: frozenset[str]
    decided_by: DecidedBy
    entries: tuple[str, ...] = ()
    via: tuple[GroupMembership, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMatch:
    """An ACL entry that names the identity.

    `step`: at which step of the resolution. `memberships`: the groups by which it does. `gave`: whether what
    it holds went into the effective access (an entry of a later step did not, nor a No Access among higher
    entries).
    """

    entry: AclEntry
    step: DecidedBy
    memberships: tuple[GroupMembership, ...] = ()
    gave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessExplanation:
    """Effective access with every entry that matched at any step, in the order of the steps.

    `level_before_cap`: what the entries gave; higher than the access only where the cap took away.
    """

    access: EffectiveAccess
    matches: tuple[EntryMatch, ...]
    level_before_cap: Level


def read_database(  # noqa: PLR0913 - what a database document holds, by name
    *,
    name: str,
    title: str = "",
    require_tls: bool = False,
    maximum_internet_access: str | Level = Level.EDITOR,
    roles: Iterable[str] = (),
    entries: Iterable[AclEntry] = (),
    wildcards: str | WildcardMode = WildcardMode.FALLBACK,
) -> Database:
    """Make a database of what was written, and add `-Default-` as No Access where it is missing.

    Raises:
        DatabaseNameError: the name has no key.
        AclError: two roles differ in case alone; two entries bear the same name, whatever their types (as in
            Domino; so an explicit entry is always one); an entry has a role that is not defined.

    """
    where = f"database `{shorten(name)}`"
    database_key(name)
    maximum = (
        maximum_internet_access
        if isinstance(maximum_internet_access, Level)
        else read_level(maximum_internet_access)
    )
    defined: dict[str, str] = {}
    for role in map(read_role, roles):
        if defined.setdefault(role.casefold(), role) != role:
            raise AclError(f"{where}: roles `{defined[role.casefold()]}` and `{role}` differ in case alone")
    seen: dict[Target, AclEntry] = {}
    for entry in entries:
        twin = seen.setdefault(entry.target, entry)
        if twin is not entry:
            raise AclError(
                f"{where}: acl entries `{shorten(twin.name)}` and `{shorten(entry.name)}` are the same name"
            )
        unknown = sorted(entry.roles - frozenset(defined.values()))
        if unknown:
            listed = ", ".join(f"`{shorten(role)}`" for role in unknown)
            known = ", ".join(sorted(defined.values())) or "none"
            raise AclError(
                f"{where}: acl entry `{shorten(entry.name)}`: role {listed} is not defined (roles: {known})"
            )
    if DefaultTarget() not in seen:
        seen[DefaultTarget()] = AclEntry.parse(name=DEFAULT, level=Level.NO_ACCESS)
    try:
        mode = WildcardMode(wildcards)
    except ValueError:
        raise AclError(
            f"{where}: expected wildcards fallback or union, found `{shorten(wildcards)}`"
        ) from None
    return Database(
        name=name,
        title=title,
        require_tls=require_tls,
        maximum_internet_access=maximum,
        roles=frozenset(defined.values()),
        entries=tuple(seen.values()),
        wildcards=mode,
    )


def resolve_access(
    database: Database, identity: Identity | None, *, domains: frozenset[str], primary_only: bool = False
) -> EffectiveAccess:
    """Return what an identity may do in a database.

    Args:
        database: with its ACL.
        identity: who, with all groups that count; None for whoever is not authenticated.
        domains: names of every domain that is configured, the primary's too, enabled or not: an ACL entry
            that ends in `@` and one of them is that domain's group.
        primary_only: for the database `directory`: only primary identities and primary groups are seen. An
            identity found elsewhere is then nobody: it has what `-Default-` gives.

    Not checked: `require_tls`, `deny_access`, full access administrators.

    """
    return explain_access(database, identity, domains=domains, primary_only=primary_only).access


def explain_access(
    database: Database, identity: Identity | None, *, domains: frozenset[str], primary_only: bool = False
) -> AccessExplanation:
    """Return effective access with every entry that matched, step by step; arguments as `resolve_access`."""
    if identity is None:
        matches = _named_by(database, AnonymousTarget, DecidedBy.ANONYMOUS)  # step 0
    elif primary_only and not identity.primary:
        matches = []
    else:
        matches = _match_entries(
            database, identity, frozenset(map(prepare, domains)), primary_only=primary_only
        )
    matches += _named_by(database, DefaultTarget, DecidedBy.DEFAULT)  # steps 0 and 4
    decided_by, deciding = _deciding(matches, database.wildcards)
    level, giving = _highest(deciding)
    maximum = database.maximum_internet_access if identity is None else Level.MANAGER  # step 5
    capped = min(level, maximum)
    privileges = frozenset[Privilege]().union(*(match.entry.all_privileges for match in giving))
    for bound in (level, capped):
        privileges &= FIXED_PRIVILEGES[bound] | OPTIONAL_PRIVILEGES[bound]
    roles = frozenset[str]().union(*(match.entry.roles for match in giving))
    access = EffectiveAccess(
        database=database.name,
        level=capped,
        privileges=privileges,
        roles=roles if capped > Level.NO_ACCESS else frozenset(),
        decided_by=decided_by,
        entries=tuple(sorted((match.entry.name for match in giving), key=_name_order)),
        via=_sorted_memberships(membership for match in giving for membership in match.memberships),
    )
    return AccessExplanation(
        access=access,
        matches=tuple(
            EntryMatch(
                entry=match.entry, step=match.step, memberships=match.memberships, gave=match in giving
            )
            for match in matches
        ),
        level_before_cap=level,
    )


def full_access(database: Database) -> EffectiveAccess:
    """Return what a full access administrator has: everything, whatever the ACL says (step 7)."""
    return EffectiveAccess(
        database=database.name,
        level=Level.MANAGER,
        privileges=frozenset(Privilege),
        roles=database.roles,
        decided_by=DecidedBy.FULL_ACCESS,
    )


def unmet_requirement(access: EffectiveAccess, requirement: Requirement) -> Reason | None:
    """Return why a requirement is not met, or None where all of it is.

    The level is looked at first, then privileges, then roles. A role alone implies Reader. No Access is no
    level that could be required: it counts as Depositor, so that nobody is let in by requiring nothing. An
    empty requirement is not met. Full access meets everything, roles that the database does not define
    included.
    """
    if access.decided_by is DecidedBy.FULL_ACCESS:
        return None
    needed = requirement.implied_level
    if requirement.is_empty or (needed is not None and access.level < max(needed, Level.DEPOSITOR)):
        return Reason.ACL_LEVEL
    if not requirement.privileges <= access.privileges:
        return Reason.ACL_PRIVILEGE
    if not requirement.roles <= access.roles:
        return Reason.ACL_ROLE
    return None


def explicit_names(database: Database) -> frozenset[Name]:
    """Return the name of every entry that is neither special nor a wildcard, whatever its type."""
    return frozenset(entry.target.name for entry in database.entries if isinstance(entry.target, NameTarget))


def _match_entries(
    database: Database, identity: Identity, domains: frozenset[str], *, primary_only: bool
) -> list[EntryMatch]:
    """Return the entries that name an identity, each once at its earliest step, in the order of the steps."""
    groups = [group for group in identity.groups if group.primary or not primary_only]
    found: dict[DecidedBy, list[EntryMatch]] = {
        DecidedBy.EXPLICIT: [],
        DecidedBy.GROUPS: [],
        DecidedBy.WILDCARDS: [],
    }
    for entry in database.entries:
        memberships = _sorted_memberships(
            group for group in groups if match_membership(entry, group, domains)
        )
        if match_person(entry, identity, domains):
            step = DecidedBy.EXPLICIT
            memberships = ()
        elif memberships:
            step = DecidedBy.GROUPS
        elif match_wildcard_entry(entry, identity, domains):
            step = DecidedBy.WILDCARDS
        else:
            continue
        found[step].append(EntryMatch(entry=entry, step=step, memberships=memberships))
    return [
        match
        for step in found.values()
        for match in sorted(step, key=lambda match: _name_order(match.entry.name))
    ]


def _named_by(
    database: Database, target: type[AnonymousTarget | DefaultTarget], step: DecidedBy
) -> list[EntryMatch]:
    return [
        EntryMatch(entry=entry, step=step) for entry in database.entries if isinstance(entry.target, target)
    ]


def _deciding(matches: Sequence[EntryMatch], wildcards: WildcardMode) -> tuple[DecidedBy, list[EntryMatch]]:
    """Return the step that decides, and the entries that matched at it."""
    at = {step: [match for match in matches if match.step is step] for step in DecidedBy}
    groups, wild = at[DecidedBy.GROUPS], at[DecidedBy.WILDCARDS]
    if at[DecidedBy.ANONYMOUS]:  # step 0
        return DecidedBy.ANONYMOUS, at[DecidedBy.ANONYMOUS]
    if at[DecidedBy.EXPLICIT]:  # step 1
        return DecidedBy.EXPLICIT, at[DecidedBy.EXPLICIT]
    if groups and wild and wildcards is WildcardMode.UNION:  # steps 2 and 3 joined
        return DecidedBy.GROUPS_AND_WILDCARDS, groups + wild
    if groups:  # step 2
        return DecidedBy.GROUPS, groups
    if wild:  # step 3
        return DecidedBy.WILDCARDS, wild
    return DecidedBy.DEFAULT, at[DecidedBy.DEFAULT]  # step 4


def _highest(deciding: Sequence[EntryMatch]) -> tuple[Level, list[EntryMatch]]:
    """Return the highest level, and the entries that give: those of No Access only where all are."""
    level = max((match.entry.level for match in deciding), default=Level.NO_ACCESS)
    return level, [
        match for match in deciding if level is Level.NO_ACCESS or match.entry.level > Level.NO_ACCESS
    ]


def _name_order(name: str) -> tuple[str, str]:
    return prepare(name), name


def _sorted_memberships(memberships: Iterable[GroupMembership]) -> tuple[GroupMembership, ...]:
    return tuple(
        sorted(
            set(memberships), key=lambda group: (*_name_order(group.qualified_name), group.type, group.via)
        )
    )
