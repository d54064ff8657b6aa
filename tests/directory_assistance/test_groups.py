"""Expansion of groups inside one directory: nesting, origin, loops, wildcards, what carries, and the budgets."""

from collections.abc import Callable, Sequence

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.dn import FlatName, MemberReference, Name, read_member, read_name
from directory_assistance.entry import Group, GroupType
from directory_assistance.errors import DirectoryUnavailable, ExpansionLimitExceeded
from directory_assistance.groups import (
    ExpansionLimits,
    FoundGroup,
    expand_groups,
    find_denying_group,
    is_usable_group_name,
    references_of,
)

DAVE = read_name("Dave Lawson/Sales/Renovations")
NO_END = 1e12


def group(name: str, *members: str, type: GroupType = GroupType.MULTI) -> tuple[Group, list[MemberReference]]:  # noqa: A002 - the word of the contract
    return Group(name=name, type=type, reference=FlatName(text=name)), [*map(read_member, members)]


def everything(_group: Group) -> bool:
    return True


def counting(one: Group) -> bool:
    return one.type.counts_for_acls


def expand(
    *groups: tuple[Group, Sequence[MemberReference]],
    names: Sequence[Name] = (DAVE,),
    counts: Callable[[Group], bool] = counting,
    limits: ExpansionLimits | None = None,
) -> tuple[FoundGroup, ...]:
    return expand_groups(
        MemoryDirectory("Renovations", groups=groups),
        references_of(names),
        counts=counts,
        limits=limits or ExpansionLimits(),
        deadline=NO_END,
    )


def told(hits: Sequence[FoundGroup]) -> list[str]:
    """Print each group with its way: `Employees < Sales < Managers` lists its members from the outside in."""
    return [" < ".join((hit.group.name, *reversed(hit.via))) for hit in hits]


LISTED = "Dave Lawson/Sales/Renovations"

EXPANSIONS: list[tuple[str, list[tuple[Group, list[MemberReference]]], list[str]]] = [
    ("nobody lists the person: no groups", [group("Sales", "Somebody Else/Renovations")], []),
    ("a group lists the person by name", [group("Sales", LISTED)], ["Sales"]),
    ("names are compared, not texts", [group("Sales", "cn=DAVE  lawson/ou=sales/o=renovations")], ["Sales"]),
    ("a group lists the person by a wildcard", [group("Sales", "*/Sales/Renovations")], ["Sales"]),
    (
        "a wildcard stands for any number of components, but one at least",
        [group("All", "*/Renovations"), group("Too deep", "*/Dave Lawson/Sales/Renovations")],
        ["All"],
    ),
    ("a wildcard of another branch lists nobody", [group("East", "*/East/Renovations")], []),
    (
        "groups are nested three deep, and each says through which groups it came",
        [group("Employees", "Sales"), group("Sales", "Managers"), group("Managers", LISTED)],
        ["Employees < Sales < Managers", "Managers", "Sales < Managers"],
    ),
    (
        "a group that lists the person and a group of the person is a direct one",
        [group("Sales", "Managers", LISTED), group("Managers", LISTED)],
        ["Managers", "Sales"],
    ),
    (
        "of two ways to a group the shorter one is told",
        [group("All", "A", "C"), group("A", "B"), group("B", LISTED), group("C", LISTED)],
        ["A < B", "All < C", "B", "C"],
    ),
    (
        "of two ways of one length the first by name is told, whatever the directory's order",
        [group("All", "B", "A"), group("B", LISTED), group("A", LISTED)],
        ["A", "All < A", "B"],
    ),
    (
        "a loop of groups is harmless",
        [group("Sales", LISTED, "Buyers"), group("Buyers", "Sales")],
        ["Buyers < Sales", "Sales"],
    ),
    ("a group that lists itself is harmless", [group("Sales", LISTED, "Sales")], ["Sales"]),
    (
        "groups of type multi, acl and servers count",
        [
            group("Acl", LISTED, type=GroupType.ACL),
            group("Multi", LISTED, type=GroupType.MULTI),
            group("Servers", LISTED, type=GroupType.SERVERS),
        ],
        ["Acl", "Multi", "Servers"],
    ),
    (
        "mail and deny groups never count",
        [group("Letters", LISTED, type=GroupType.MAIL), group("Gone", LISTED, type=GroupType.DENY)],
        [],
    ),
    (
        "mail and deny groups carry nobody on to the groups that list them",
        [
            group("Sales", "Letters", "Gone"),
            group("Letters", LISTED, type=GroupType.MAIL),
            group("Gone", LISTED, type=GroupType.DENY),
        ],
        [],
    ),
    (
        "a mail group above a counting one does not count either",
        [group("Letters", "Sales", type=GroupType.MAIL), group("Sales", LISTED)],
        ["Sales"],
    ),
    (
        "the order is by name, case ignored",
        [group("beta", LISTED), group("Alpha", LISTED), group("Gamma", LISTED)],
        ["Alpha", "beta", "Gamma"],
    ),
]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [pytest.param(groups, expected, id=sentence) for sentence, groups, expected in EXPANSIONS],
)
def test_expansion(groups: list[tuple[Group, list[MemberReference]]], expected: list[str]) -> None:
    assert expected == told(expand(*groups))


def test_a_flat_or_internet_name_is_listed_by_itself_and_by_no_wildcard() -> None:
    names = (FlatName(text="Dave"), read_name("dave@renovations.com"))
    assert names == references_of(names)


def test_each_reference_is_asked_for_once() -> None:
    assert references_of([DAVE]) == references_of([DAVE, DAVE])
    assert len(references_of([DAVE])) == 3


def chain(length: int) -> list[tuple[Group, list[MemberReference]]]:
    """Groups nested `length` deep; the innermost, G1, lists the person."""
    return [group("G1", LISTED), *(group(f"G{n}", f"G{n - 1}") for n in range(2, length + 1))]


def test_the_default_limits_are_20_levels_and_10_000_groups() -> None:
    limits = ExpansionLimits()
    assert (True, 20, 10_000) == (limits.nested, limits.max_depth, limits.max_groups)


def test_groups_nested_as_deep_as_the_limit_are_expanded() -> None:
    assert 20 == len(expand(*chain(20)))


def test_t63_groups_nested_deeper_than_the_limit_are_a_fault() -> None:
    with pytest.raises(
        ExpansionLimitExceeded, match=r"domain `Renovations`: groups are nested deeper than 20 levels"
    ):
        expand(*chain(21))


def test_a_depth_limit_of_one_allows_direct_groups_alone() -> None:
    limits = ExpansionLimits(max_depth=1)
    assert ["G1"] == told(expand(*chain(1), limits=limits))
    with pytest.raises(ExpansionLimitExceeded):
        expand(*chain(2), limits=limits)


def test_a_loop_at_the_depth_limit_is_no_fault() -> None:
    loop = [group("Sales", LISTED, "Buyers"), group("Buyers", "Sales")]
    assert ["Buyers < Sales", "Sales"] == told(expand(*loop, limits=ExpansionLimits(max_depth=2)))


def test_as_many_groups_as_the_limit_are_expanded() -> None:
    groups = [group(f"G{n}", LISTED) for n in range(3)]
    assert 3 == len(expand(*groups, limits=ExpansionLimits(max_groups=3)))


@pytest.mark.parametrize("nested", [True, False])
def test_t63_more_direct_groups_than_the_limit_are_a_fault_nested_or_not(nested: bool) -> None:
    groups = [group(f"G{n}", LISTED) for n in range(4)]
    with pytest.raises(
        ExpansionLimitExceeded, match=r"domain `Renovations`: more than 3 groups for one identity"
    ):
        expand(*groups, limits=ExpansionLimits(max_groups=3, nested=nested))


def test_more_groups_than_the_limit_are_a_fault_when_only_nesting_exceeds_it() -> None:
    with pytest.raises(ExpansionLimitExceeded, match="more than 3 groups"):
        expand(*chain(4), limits=ExpansionLimits(max_groups=3))


def test_groups_that_do_not_count_spend_no_budget() -> None:
    groups = [group("Sales", LISTED), *(group(f"M{n}", LISTED, type=GroupType.MAIL) for n in range(5))]
    assert ["Sales"] == told(expand(*groups, limits=ExpansionLimits(max_groups=1)))


def test_without_nesting_only_direct_groups_are_found() -> None:
    assert ["G1"] == told(expand(*chain(3), limits=ExpansionLimits(nested=False, max_depth=1)))


class CountingDirectory(MemoryDirectory):
    """A memory directory that remembers how often groups were asked for."""

    questions = 0

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        self.questions += 1
        return super().find_groups(members, deadline=deadline)


@pytest.mark.parametrize(
    ("groups", "questions"),
    [
        pytest.param([], 1, id="nobody lists the person: one question"),
        pytest.param([group("A", LISTED), group("B", LISTED)], 2, id="no nesting: one more for all groups"),
        pytest.param(chain(2), 3, id="one group a level: one question a level"),
        pytest.param(
            [group("A", LISTED), group("B", LISTED), group("All", "A")],
            5,
            id="only where groups have parents is each asked for, to know the way",
        ),
    ],
)
def test_questions_are_few(groups: list[tuple[Group, list[MemberReference]]], questions: int) -> None:
    directory = CountingDirectory("Renovations", groups=groups)
    expand_groups(
        directory, references_of([DAVE]), counts=everything, limits=ExpansionLimits(), deadline=NO_END
    )
    assert questions == directory.questions


def test_a_directory_that_does_not_answer_is_a_fault_never_no_groups() -> None:
    directory = MemoryDirectory("Renovations", groups=[group("Sales", LISTED)])
    directory.close()
    with pytest.raises(DirectoryUnavailable):
        expand_groups(
            directory, references_of([DAVE]), counts=everything, limits=ExpansionLimits(), deadline=NO_END
        )


# --- deny groups


def denying(
    *groups: tuple[Group, Sequence[MemberReference]],
    names: Sequence[str] = (LISTED,),
    deny_access: Sequence[str] = ("Terminated",),
    limits: ExpansionLimits | None = None,
) -> str | None:
    return find_denying_group(
        MemoryDirectory("Renovations", groups=groups),
        map(read_name, names),
        deny_access,
        limits=limits or ExpansionLimits(),
        deadline=NO_END,
    )


GONE = group("Terminated", LISTED, type=GroupType.DENY)

DENIALS: list[tuple[str, str | None, str | None]] = [
    ("a member of a deny group listed under deny_access is denied", "Terminated", denying(GONE)),
    (
        "the listed name is compared with case ignored",
        "Terminated",
        denying(GONE, deny_access=["TERMINATED"]),
    ),
    (
        "a group that deny_access does not list denies nobody",
        None,
        denying(GONE, deny_access=["Others", "Term"]),
    ),
    ("an empty deny_access denies nobody", None, denying(GONE, deny_access=[])),
    ("somebody else is not denied", None, denying(GONE, names=["Sandra Smith/Renovations"])),
    (
        "a member matches by any of the names given",
        "Terminated",
        denying(group("Terminated", "DLawson", type=GroupType.DENY), names=[LISTED, "DLawson"]),
    ),
    (
        "a wildcard member is denied",
        "Terminated",
        denying(group("Terminated", "*/Renovations", type=GroupType.DENY)),
    ),
    (
        "a member of a group in the deny group is denied",
        "Terminated",
        denying(group("Terminated", "Sales", type=GroupType.DENY), group("Sales", LISTED)),
    ),
    (
        "in doubt it denies: mail and deny groups carry membership here",
        "Terminated",
        denying(
            group("Terminated", "Letters", type=GroupType.DENY),
            group("Letters", "Gone", type=GroupType.MAIL),
            group("Gone", LISTED, type=GroupType.DENY),
        ),
    ),
    (
        "in doubt it denies: a listed group of another type denies too",
        "Terminated",
        denying(group("Terminated", LISTED)),
    ),
    (
        "of several the first by name is told",
        "Dismissed",
        denying(
            GONE, group("Dismissed", LISTED, type=GroupType.DENY), deny_access=["Terminated", "Dismissed"]
        ),
    ),
]


@pytest.mark.parametrize(
    ("expected", "found"),
    [pytest.param(expected, found, id=sentence) for sentence, expected, found in DENIALS],
)
def test_deny_groups(expected: str | None, found: str | None) -> None:
    assert expected == found


def test_the_limits_hold_for_deny_groups_too() -> None:
    with pytest.raises(ExpansionLimitExceeded):
        denying(*chain(3), limits=ExpansionLimits(max_depth=2))


def test_an_empty_deny_access_asks_nothing() -> None:
    directory = MemoryDirectory("Renovations", groups=[GONE])
    directory.close()
    assert find_denying_group(directory, [DAVE], [], limits=ExpansionLimits(), deadline=NO_END) is None


# --- names of groups


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        pytest.param("Sales", True, id="an ordinary name"),
        pytest.param("Sales@Airius", True, id="a name with an @"),
        pytest.param("Anonymous", False, id="Anonymous"),
        pytest.param("ANONYMOUS ", False, id="Anonymous in any spelling"),
        pytest.param("-Default-", False, id="-Default-"),
        pytest.param("*", False, id="a star"),
        pytest.param("Sa*es", False, id="a name with a star in it"),
        pytest.param("", False, id="nothing"),
        pytest.param(" ", False, id="blank"),
    ],
)
def test_reserved_names_are_never_a_group(name: str, usable: bool) -> None:
    assert usable is is_usable_group_name(name)
