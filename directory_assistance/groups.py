"""Groups of an identity: nested expansion inside one directory, with budgets, and origin.

What lives here: breadth-first expansion over one directory, which memberships of which directory count for an
identity, and the deny check. What does not: how a directory finds groups (backends), and what a group gives
(`authsvc/access`).

Invariants:

* Nesting never leaves its directory, and naming rules are not applied to it (semantics: Identity).
* A loop costs nothing: each group is expanded once. A budget that runs out is a fault (`expansion_limit`),
  never a shorter list: a missing group can raise access as well as lower it.
* A group that does not count (for ACLs: type `mail` or `deny`, or a reserved name) carries no membership on to
  the groups it is in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from directory_assistance.directory import Directory
from directory_assistance.dn import FlatName, MemberReference, Name, is_reserved, prepare, wildcards_of
from directory_assistance.entry import Group
from directory_assistance.errors import ExpansionLimitExceeded

__all__ = [
    "ExpansionLimits",
    "FoundGroup",
    "expand_groups",
    "find_denying_group",
    "is_usable_group_name",
    "references_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionLimits:
    """Budgets of one expansion: nesting depth in levels, and number of groups in all.

    20 levels are more than people build by hand; 10,000 groups are more than an Active Directory token can
    hold. `nested` is False where the directory says that groups hold people only: then nothing is expanded.
    """

    nested: bool = True
    max_depth: int = 20
    max_groups: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGroup:
    """A group that was reached, and the groups between: the one that lists the member first, empty when direct."""

    group: Group
    via: tuple[str, ...] = ()


def references_of(names: Iterable[Name]) -> tuple[MemberReference, ...]:
    """Return the ways in which a group may list somebody of these names: each name, and each wildcard it matches."""
    references: list[MemberReference] = []
    for name in names:
        references.append(name)
        references.extend(wildcards_of(name))
    return tuple(dict.fromkeys(references))


def expand_groups(
    directory: Directory,
    members: Sequence[MemberReference],
    *,
    counts: Callable[[Group], bool],
    limits: ExpansionLimits,
    deadline: float,
) -> tuple[FoundGroup, ...]:
    """Find every group that holds one of `members`, directly or through other groups of the same directory.

    Args:
        directory: whose groups.
        members: how the person may be listed (`references_of`).
        counts: which groups are kept, and carry membership on.
        limits: the budgets.
        deadline: monotonic seconds.

    Returns:
        The groups found, each once, by the shortest way to it, sorted by name.

    Raises:
        ExpansionLimitExceeded: a budget ran out.
        DirectoryFault: the directory did not answer.

    """
    told = directory.find_groups_of_person(members, deadline=deadline)
    found = {group.reference: FoundGroup(group=group) for group in told.groups if counts(group)}
    frontier = () if told.complete else _sorted(found.values())
    depth = 1
    while frontier and limits.nested:
        _hold_budget(directory, found, limits)
        reached: dict[Name, FoundGroup] = {}
        for child, group in _find_parents(directory, frontier, deadline=deadline):
            if counts(group) and group.reference not in found and group.reference not in reached:
                reached[group.reference] = FoundGroup(group=group, via=(*child.via, child.group.name))
        depth += 1
        if reached and depth > limits.max_depth:
            raise ExpansionLimitExceeded(
                directory.domain, f"groups are nested deeper than {limits.max_depth} levels"
            )
        found |= reached
        frontier = _sorted(reached.values())
    _hold_budget(directory, found, limits)
    return _sorted(found.values())


def _sorted(found: Iterable[FoundGroup]) -> tuple[FoundGroup, ...]:
    """Sort by name: which of two ways to a group is told must not depend on a directory's order."""
    return tuple(sorted(found, key=lambda hit: (prepare(hit.group.name), hit.group.name)))


def _hold_budget(directory: Directory, found: dict[Name, FoundGroup], limits: ExpansionLimits) -> None:
    if len(found) > limits.max_groups:
        raise ExpansionLimitExceeded(
            directory.domain, f"more than {limits.max_groups} groups for one identity"
        )


def _find_parents(
    directory: Directory, frontier: Sequence[FoundGroup], *, deadline: float
) -> list[tuple[FoundGroup, Group]]:
    """Find the groups that list a group of the frontier, each with the child it lists.

    One question for the whole frontier first: the usual answer is "none", and then it was one question. Only
    where there are parents is each child asked for, to know the origin.
    """
    together = directory.find_groups([child.group.reference for child in frontier], deadline=deadline)
    if not together:
        return []
    if len(frontier) == 1:
        return [(frontier[0], group) for group in together]
    return [
        (child, group)
        for child in frontier
        for group in directory.find_groups([child.group.reference], deadline=deadline)
    ]


def find_denying_group(
    directory: Directory,
    names: Iterable[Name],
    deny_access: Iterable[str],
    *,
    limits: ExpansionLimits,
    deadline: float,
) -> str | None:
    """Return the name of a group under `deny_access` that holds one of the names, or None.

    Args:
        directory: the primary directory; deny groups are its groups alone.
        names: the name for ACLs, the entry's own name and every alias: to deny, all of them count.
        deny_access: the group names listed in the configuration.
        limits: the budgets.
        deadline: monotonic seconds.

    Groups of every type carry membership here, and a listed group denies whatever its type: in doubt it
    denies.

    Raises:
        DirectoryFault: as `expand_groups`.

    """
    listed = {prepare(name) for name in deny_access}
    if not listed:
        return None
    hits = expand_groups(
        directory, references_of(names), counts=lambda _group: True, limits=limits, deadline=deadline
    )
    return next((hit.group.name for hit in hits if prepare(hit.group.name) in listed), None)


def is_usable_group_name(name: str) -> bool:
    """Whether a directory's group may be a group here: `Anonymous`, `-Default-`, names with `*`, blank ones may not."""
    return bool(prepare(name)) and not is_reserved(FlatName(text=name))
