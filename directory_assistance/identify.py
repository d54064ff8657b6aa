"""From a match to an identity: the name for ACLs, mail, and groups with their origin (semantics: Identity)."""

from collections.abc import Iterable
from typing import assert_never

from directory_assistance.dn import Name, common_name_of, prepare
from directory_assistance.domains import (
    AnyDomain,
    DirectoryAssistance,
    GroupAuthorization,
    PrimaryDomain,
)
from directory_assistance.entry import Group, GroupMembership, Identity
from directory_assistance.groups import (
    FoundGroup,
    expand_groups,
    find_denying_group,
    is_usable_group_name,
    references_of,
)
from directory_assistance.search import Match
from directory_assistance.trace import TraceRecorder

__all__ = ["denying_group_of", "domains_with_groups", "identify"]


def identify(
    assistance: DirectoryAssistance, match: Match, *, deadline: float, trace: TraceRecorder
) -> Identity:
    """Make an identity of a match.

    1. Groups of the primary, for everybody, by the name for ACLs.
    2. Groups of each domain with `group_authorization`: `own` about the people found in it, `all` about
       everybody.
    3. Mail: of the primary always, of another domain only inside its `mail_domains`.

    Raises:
        DirectoryFault: a directory whose groups count did not answer, whatever its `on_unavailable` says: a
            missing group can raise access as well as lower it.

    """
    memberships: list[GroupMembership] = []
    for domain in domains_with_groups(assistance, match):
        hits = expand_groups(
            domain.directory,
            references_of([_listed_name(domain, match)]),
            counts=_counts_for_acls,
            limits=domain.expansion,
            deadline=deadline,
        )
        memberships.extend(_memberships(assistance, domain, hits, deadline=deadline))
        shown = ", ".join(hit.group.name for hit in hits) or "none"
        trace.note("identify", f"{domain.domain}: groups", shown)
    primary = isinstance(match.domain, PrimaryDomain)
    return Identity(
        name=match.name,
        own_name=match.own_name,
        domain=match.domain.domain,
        primary=primary,
        display_name=match.entry.display_name or common_name_of(match.own_name) or "",
        mail=_mail(match),
        aliases=match.entry.names[1:],
        groups=tuple(
            sorted(memberships, key=lambda group: (prepare(group.qualified_name), group.qualified_name))
        ),
        found_by=match.found_by.value,
        bound_by=match.bound_by.value,
        strength=match.strength,
    )


def domains_with_groups(assistance: DirectoryAssistance, match: Match) -> tuple[AnyDomain, ...]:
    """Return the domains that `identify` asks for the groups of a match."""
    return tuple(domain for domain in assistance.every_domain if _is_asked(domain, match))


def denying_group_of(
    assistance: DirectoryAssistance, match: Match, deny_access: Iterable[str], *, deadline: float
) -> str | None:
    """Return the primary's group under `deny_access` that holds this person, or None.

    A member matches by the name for ACLs, by the entry's own name and by any alias.

    Raises:
        DirectoryFault: the primary did not answer.

    """
    primary = assistance.primary
    names: tuple[Name, ...] = tuple(dict.fromkeys((match.name, *match.entry.names)))
    return find_denying_group(
        primary.directory, names, deny_access, limits=primary.expansion, deadline=deadline
    )


def _counts_for_acls(group: Group) -> bool:
    return group.type.counts_for_acls and is_usable_group_name(group.name)


def _is_asked(domain: AnyDomain, match: Match) -> bool:
    """Whether the groups of a domain count for a person, wherever that person was found."""
    if isinstance(domain, PrimaryDomain):
        return True
    match domain.group_authorization:
        case GroupAuthorization.NONE:
            return False
        case GroupAuthorization.OWN:
            return match.domain is domain
        case GroupAuthorization.ALL:
            return domain.enabled
        case _ as unreachable:
            assert_never(unreachable)


def _listed_name(domain: AnyDomain, match: Match) -> Name:
    """Return how the groups of a domain list the person: inside its own directory by its own name there."""
    return match.own_name if match.domain is domain else match.name


def _memberships(
    assistance: DirectoryAssistance,
    domain: AnyDomain,
    hits: Iterable[FoundGroup],
    *,
    deadline: float,
) -> list[GroupMembership]:
    primary = assistance.primary
    found: list[GroupMembership] = []
    for hit in hits:
        name = hit.group.name
        # A plain name of a foreign group counts for one domain at most, where the primary defines none of
        # that name; a name that itself holds an `@` would read as another domain's group.
        plain = isinstance(domain, PrimaryDomain) or (
            domain.plain_group_names
            and "@" not in name
            and not primary.directory.holds_group(name, deadline=deadline)
        )
        found.append(
            GroupMembership(
                name=name,
                domain=domain.domain,
                type=hit.group.type,
                primary=domain is primary,
                plain=plain,
                via=hit.via,
            )
        )
    return found


def _mail(match: Match) -> str:
    """Return the mail address that may leave the service, or nothing."""
    mails = match.entry.mails
    if isinstance(match.domain, PrimaryDomain):
        return mails[0] if mails else ""
    return next((mail for mail in mails if _mail_domain(mail) in match.domain.mail_domains), "")


def _mail_domain(mail: str) -> str | None:
    """Return what stands behind the last `@`, casefolded; None for a text that is no address."""
    local, at, domain = mail.rpartition("@")
    return domain.casefold() if local and at else None
