"""From a match to an identity: a table for each sentence of the semantics on names, groups and mail."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import FlatName, MemberReference, read_member, read_name, render_name
from directory_assistance.domains import (
    DirectoryAssistance,
    GroupAuthorization,
    PrimaryDomain,
    SecondaryDomain,
)
from directory_assistance.entry import Entry, Group, GroupType, Identity, StoredCertificate, Strength
from directory_assistance.errors import DirectoryUnavailable, ExpansionLimitExceeded
from directory_assistance.groups import ExpansionLimits
from directory_assistance.identify import denying_group_of, identify
from directory_assistance.naming import read_naming_rule
from directory_assistance.search import Match, SearchRequest, search
from directory_assistance.trace import TraceRecorder
from tests.support.pki import NOW, Authority

CERTIFICATE = Authority.root(now=NOW).issue("CN=Dave Lawson,O=Renovations")
PLAN = MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE),))
NO_END = 1e12

Listed = tuple[Group, Sequence[MemberReference]]


def group(name: str, *members: str, type: GroupType = GroupType.MULTI) -> Listed:  # noqa: A002 - the word of the contract
    return Group(name=name, type=type, reference=FlatName(text=name)), [*map(read_member, members)]


def owner(*names: str, mails: tuple[str, ...] = (), mapped: str | None = None, shown: str = "") -> Entry:
    """Return the entry that holds the certificate."""
    return Entry(
        key="1",
        names=tuple(map(read_name, names)),
        mails=mails,
        mapped_names=() if mapped is None else (mapped,),
        display_name=shown,
        certificates=(StoredCertificate(der=CERTIFICATE.der),),
    )


DAVE = owner("Dave Lawson/Renovations", "DLawson", mails=("dave@renovations.com", "d@renovations.com"))
UID = "uid=dave/ou=boston/o=airius.com"
LDAP_DAVE = owner(UID, mails=("dave@elsewhere.com", "Dave@AIRIUS.com"))
MAPPED_DAVE = owner(UID, mapped="CN=Dave Lawson,O=Airius")


@dataclass(frozen=True, kw_only=True)
class World:
    """A primary, and a domain Airius; the owner of the certificate is where `owner_in` says."""

    owner: Entry = DAVE
    owner_in: str = "Renovations"
    primary_groups: Sequence[Listed] = ()
    airius_groups: Sequence[Listed] = ()
    airius: dict[str, Any] = field(default_factory=dict)
    further: Sequence[SecondaryDomain] = ()

    def assistance(self) -> DirectoryAssistance:
        def directory(domain: str, groups: Sequence[Listed]) -> MemoryDirectory:
            return MemoryDirectory(domain, [self.owner] if self.owner_in == domain else [], groups)

        airius = SecondaryDomain(
            domain="Airius",
            directory=directory("Airius", self.airius_groups),
            plan=PLAN,
            rules=(read_naming_rule("*", trusted=True),),
        )
        return DirectoryAssistance(
            primary=PrimaryDomain(
                domain="Renovations", directory=directory("Renovations", self.primary_groups), plan=PLAN
            ),
            domains=(replace(airius, **self.airius), *self.further),
        )

    def match(self) -> tuple[DirectoryAssistance, Match]:
        assistance = self.assistance()
        request = SearchRequest(
            names=read_certificate_names(CERTIFICATE.der), anchor_id="corp", deadline=NO_END
        )
        match = search(assistance, request, TraceRecorder())
        assert isinstance(match, Match)
        return assistance, match

    def identity(self, trace: TraceRecorder | None = None) -> Identity:
        assistance, match = self.match()
        return identify(assistance, match, deadline=NO_END, trace=trace or TraceRecorder())


OWN = {"group_authorization": GroupAuthorization.OWN}
ALL = {"group_authorization": GroupAuthorization.ALL}
LISTED = "Dave Lawson/Renovations"


def in_airius(entry: Entry = LDAP_DAVE, **fields: Any) -> World:
    return World(owner=entry, owner_in="Airius", **fields)


# --- names


def test_the_identity_of_a_primary_person_says_everything_of_it() -> None:
    world = World(owner=replace(DAVE, display_name="Dave J. Lawson"))
    assert world.identity() == Identity(
        name=read_name("Dave Lawson/Renovations"),
        own_name=read_name("Dave Lawson/Renovations"),
        domain="Renovations",
        primary=True,
        display_name="Dave J. Lawson",
        mail="dave@renovations.com",
        aliases=(FlatName(text="DLawson"),),
        groups=(),
        found_by="certificate",
        bound_by="certificate",
        strength=Strength.STRONG,
    )


def test_the_name_is_the_first_of_the_entrys_names() -> None:
    assert "Dave Lawson/Renovations" == render_name(World().identity().name)


def test_without_a_mapped_name_an_ldap_person_keeps_the_dn() -> None:
    identity = in_airius().identity()
    assert (UID, UID) == (render_name(identity.name), render_name(identity.own_name))
    assert ("Airius", False) == (identity.domain, identity.primary)


def test_with_a_name_attribute_acls_see_only_the_mapped_name() -> None:
    identity = in_airius(MAPPED_DAVE).identity()
    assert "Dave Lawson/Airius" == render_name(identity.name)
    assert UID == render_name(identity.own_name)


def test_aliases_are_told_and_are_not_the_name() -> None:
    identity = World(owner=owner("Alan Jones/Renovations", "AJones", "Al Jones")).identity()
    assert ["AJones", "Al Jones"] == [render_name(alias) for alias in identity.aliases]


# --- groups: which directories, matched how, under which names

GROUPS: list[tuple[str, World, list[str]]] = [
    (
        "groups come from the primary for its people",
        World(primary_groups=[group("Sales", LISTED)]),
        ["Sales"],
    ),
    (
        "groups come from the primary for everybody, by the name for ACLs",
        in_airius(primary_groups=[group("Visitors", UID)]),
        ["Visitors"],
    ),
    (
        "a mapped name is what groups of the primary list",
        in_airius(MAPPED_DAVE, primary_groups=[group("Mapped", "Dave Lawson/Airius"), group("Own", UID)]),
        ["Mapped"],
    ),
    (
        "a wildcard of a primary group lists people of every directory",
        in_airius(primary_groups=[group("Boston", "*/ou=boston/o=airius.com")]),
        ["Boston"],
    ),
    (
        "aliases never match a group member",
        World(primary_groups=[group("Sales", "DLawson")]),
        [],
    ),
    (
        "a domain's groups do not count by default",
        in_airius(airius_groups=[group("Staff", UID)]),
        [],
    ),
    (
        "own: a domain is asked about the people found in it",
        in_airius(airius=OWN, airius_groups=[group("Staff", UID)]),
        ["Staff@Airius"],
    ),
    (
        "own: and about nobody else",
        World(airius=OWN, airius_groups=[group("Staff", LISTED)]),
        [],
    ),
    (
        "all: a domain is asked about people found in it",
        in_airius(airius=ALL, airius_groups=[group("Staff", UID)]),
        ["Staff@Airius"],
    ),
    (
        "all: and about everybody else, by the name for ACLs",
        World(airius=ALL, airius_groups=[group("Guests", LISTED)]),
        ["Guests@Airius"],
    ),
    (
        "a disabled domain is asked about nobody",
        World(airius=ALL | {"enabled": False}, airius_groups=[group("Guests", LISTED)]),
        [],
    ),
    (
        "inside its own directory a person is listed by the entry's own DN",
        in_airius(
            MAPPED_DAVE,
            airius=OWN,
            airius_groups=[group("By DN", UID), group("By mapped name", "Dave Lawson/Airius")],
        ),
        ["By DN@Airius"],
    ),
    (
        "any number of domains may be asked",
        World(
            airius=ALL,
            airius_groups=[group("Guests", LISTED)],
            primary_groups=[group("Sales", LISTED)],
            further=[
                SecondaryDomain(
                    domain="Acme West",
                    directory=MemoryDirectory("Acme West", groups=[group("Friends", LISTED)]),
                    plan=PLAN,
                    group_authorization=GroupAuthorization.ALL,
                )
            ],
        ),
        ["Friends@Acme West", "Guests@Airius", "Sales"],
    ),
    (
        "nested groups expand inside their own directory, never in another",
        World(
            airius=ALL,
            airius_groups=[group("Outer", "Sales")],
            primary_groups=[group("Sales", LISTED), group("All", "Sales", "Guests@Airius")],
        ),
        ["All", "Sales"],
    ),
    (
        "naming rules are not applied to nested groups",
        in_airius(
            airius=OWN | {"rules": (read_naming_rule("*", trusted=True),)},
            airius_groups=[group("Inner/Elsewhere", UID), group("Outer", "Inner/Elsewhere")],
        ),
        ["Inner/Elsewhere@Airius"],
    ),
    (
        "mail and deny groups are not told",
        World(
            primary_groups=[
                group("Letters", LISTED, type=GroupType.MAIL),
                group("Terminated", LISTED, type=GroupType.DENY),
            ]
        ),
        [],
    ),
    (
        "qualified names are sorted, case ignored",
        World(
            airius=ALL,
            airius_groups=[group("alpha", LISTED), group("Delta", LISTED)],
            primary_groups=[group("Beta", LISTED), group("gamma", LISTED)],
        ),
        ["alpha@Airius", "Beta", "Delta@Airius", "gamma"],
    ),
    (
        "Anonymous, -Default- and names with a star are never a group",
        World(primary_groups=[group("Anonymous", LISTED), group("-default-", LISTED), group("*", LISTED)]),
        [],
    ),
    (
        "nor do they carry membership on",
        World(primary_groups=[group("Sales", "Anonymous"), group("Anonymous", LISTED)]),
        [],
    ),
]


@pytest.mark.parametrize(
    ("world", "expected"), [pytest.param(world, expected, id=told) for told, world, expected in GROUPS]
)
def test_groups(world: World, expected: list[str]) -> None:
    assert expected == [membership.qualified_name for membership in world.identity().groups]


PLAIN = ALL | {"plain_group_names": True}

PLAIN_NAMES: list[tuple[str, World, dict[str, bool]]] = [
    (
        "groups of the primary always count under their plain names",
        World(primary_groups=[group("Sales", LISTED)]),
        {"Sales": True},
    ),
    (
        "a group from outside counts as Group@Domain alone",
        World(airius=ALL, airius_groups=[group("Staff", LISTED)]),
        {"Staff@Airius": False},
    ),
    (
        "the groups of the domain with plain_group_names also count under their plain names",
        World(airius=PLAIN, airius_groups=[group("Staff", LISTED)]),
        {"Staff@Airius": True},
    ),
    (
        "not where the primary defines a group of that name, whatever its spelling, type and members",
        World(
            airius=PLAIN,
            airius_groups=[group("Staff", LISTED), group("Guests", LISTED)],
            primary_groups=[group("STAFF", "Somebody Else/Renovations", type=GroupType.MAIL)],
        ),
        {"Guests@Airius": True, "Staff@Airius": False},
    ),
    (
        "a foreign group whose own name holds an @ counts only as Name@Domain",
        World(airius=PLAIN, airius_groups=[group("Managers@Renovations", LISTED)]),
        {"Managers@Renovations@Airius": False},
    ),
    (
        "a group of the primary whose name holds an @ keeps it",
        World(primary_groups=[group("sales@renovations.com", LISTED)]),
        {"sales@renovations.com": True},
    ),
]


@pytest.mark.parametrize(
    ("world", "expected"), [pytest.param(world, expected, id=told) for told, world, expected in PLAIN_NAMES]
)
def test_t64_plain_group_names(world: World, expected: dict[str, bool]) -> None:
    assert expected == {membership.qualified_name: membership.plain for membership in world.identity().groups}


def test_a_membership_says_where_it_comes_from_and_through_which_groups() -> None:
    groups = [group("Employees", "Sales"), group("Sales", "Managers"), group("Managers", UID)]
    memberships = in_airius(airius=OWN, airius_groups=groups).identity().groups
    assert [
        ("Employees", "Airius", False, ("Managers", "Sales")),
        ("Managers", "Airius", False, ()),
        ("Sales", "Airius", False, ("Managers",)),
    ] == [(each.name, each.domain, each.primary, each.via) for each in memberships]


def test_the_type_of_a_group_is_kept() -> None:
    world = World(primary_groups=[group("Servers", LISTED, type=GroupType.SERVERS)])
    assert [GroupType.SERVERS] == [membership.type for membership in world.identity().groups]


def test_the_trace_tells_each_directory_that_was_asked_for_groups() -> None:
    trace = TraceRecorder()
    World(airius=ALL, primary_groups=[group("B", LISTED), group("A", LISTED)]).identity(trace)
    assert [("identify", "Renovations: groups", "A, B"), ("identify", "Airius: groups", "none")] == [
        (line.step, line.subject, line.result) for line in trace.lines
    ]


# --- faults


def test_the_outage_of_a_domain_asked_about_everybody_is_a_fault_for_everybody() -> None:
    world = World(airius=ALL)
    assistance, match = world.match()
    assistance.domains[0].directory.close()
    with pytest.raises(DirectoryUnavailable, match="Airius"):
        identify(assistance, match, deadline=NO_END, trace=TraceRecorder())


@pytest.mark.parametrize("authorization", [GroupAuthorization.OWN, GroupAuthorization.NONE])
def test_the_outage_of_another_domain_harms_nobody_else(authorization: GroupAuthorization) -> None:
    world = World(airius={"group_authorization": authorization})
    assistance, match = world.match()
    assistance.domains[0].directory.close()
    assert identify(assistance, match, deadline=NO_END, trace=TraceRecorder()).groups == ()


def test_the_outage_of_the_primary_is_a_fault_for_people_of_other_domains_too() -> None:
    assistance, match = in_airius().match()
    assistance.primary.directory.close()
    with pytest.raises(DirectoryUnavailable, match="Renovations"):
        identify(assistance, match, deadline=NO_END, trace=TraceRecorder())


def test_each_domain_has_its_own_limits() -> None:
    groups = [group("Outer", "Inner"), group("Inner", LISTED)]
    limited = {"expansion": ExpansionLimits(max_depth=1)}
    assert 2 == len(World(primary_groups=groups, airius=ALL | limited).identity().groups)
    with pytest.raises(ExpansionLimitExceeded, match="Airius"):
        World(airius_groups=groups, airius=ALL | limited).identity()


# --- mail

MAILS: list[tuple[str, World, str]] = [
    ("the first mail of a primary person leaves", World(), "dave@renovations.com"),
    ("a primary person may have none", World(owner=replace(DAVE, mails=())), ""),
    ("mail of somebody found outside the primary does not leave by default", in_airius(), ""),
    (
        "it leaves only within that domain's mail_domains, case ignored",
        in_airius(airius={"mail_domains": frozenset({"airius.com"})}),
        "Dave@AIRIUS.com",
    ),
    (
        "a domain that only ends like it does not count",
        in_airius(airius={"mail_domains": frozenset({"rius.com", "com"})}),
        "",
    ),
    (
        "a text that is no address does not leave, even if it reads like the domain",
        in_airius(
            replace(LDAP_DAVE, mails=("airius.com", "@airius.com")),
            airius={"mail_domains": frozenset({"airius.com"})},
        ),
        "",
    ),
    (
        "what counts is behind the last @",
        in_airius(
            replace(LDAP_DAVE, mails=("dave@airius.com@evil.com",)),
            airius={"mail_domains": frozenset({"airius.com"})},
        ),
        "",
    ),
]


@pytest.mark.parametrize(
    ("world", "expected"), [pytest.param(world, expected, id=told) for told, world, expected in MAILS]
)
def test_mail(world: World, expected: str) -> None:
    assert expected == world.identity().mail


# --- deny groups


def deny(*members: str) -> list[Listed]:
    return [group("Terminated", *members, type=GroupType.DENY)]


DENIALS: list[tuple[str, World, str | None]] = [
    ("a member matches by the name for ACLs", World(primary_groups=deny(LISTED)), "Terminated"),
    ("for deny groups a member matches by any alias", World(primary_groups=deny("DLawson")), "Terminated"),
    (
        "for deny groups a member matches by the entry's own DN",
        in_airius(MAPPED_DAVE, primary_groups=deny(UID)),
        "Terminated",
    ),
    (
        "and by the mapped name",
        in_airius(MAPPED_DAVE, primary_groups=deny("Dave Lawson/Airius")),
        "Terminated",
    ),
    (
        "everybody is looked up, wherever found",
        in_airius(primary_groups=deny("*/o=airius.com")),
        "Terminated",
    ),
    ("deny groups of other domains do not count", in_airius(airius=OWN, airius_groups=deny(UID)), None),
    ("somebody else is not denied", World(primary_groups=deny("Sandra Smith/Renovations")), None),
]


@pytest.mark.parametrize(
    ("world", "expected"), [pytest.param(world, expected, id=told) for told, world, expected in DENIALS]
)
def test_deny_groups(world: World, expected: str | None) -> None:
    assistance, match = world.match()
    assert expected == denying_group_of(assistance, match, ["Terminated"], deadline=NO_END)


def test_the_limits_of_the_primary_hold_for_deny_groups() -> None:
    world = World(primary_groups=[*deny("Sales"), group("Sales", LISTED)])
    assistance, match = world.match()
    limited = replace(assistance.primary, expansion=ExpansionLimits(max_depth=1))
    with pytest.raises(ExpansionLimitExceeded):
        denying_group_of(replace(assistance, primary=limited), match, ["Terminated"], deadline=NO_END)


def test_closing_directory_assistance_closes_every_directory() -> None:
    assistance = World().assistance()
    assistance.close()
    for domain in assistance.every_domain:
        with pytest.raises(DirectoryUnavailable):
            domain.directory.check(deadline=NO_END)


def test_the_names_of_all_domains_count_disabled_ones_too() -> None:
    assistance = World(airius={"enabled": False}).assistance()
    assert frozenset({"Renovations", "Airius"}) == assistance.domain_names
    assert not assistance.domains[0].searchable
