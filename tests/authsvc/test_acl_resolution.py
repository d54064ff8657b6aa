"""From an identity to effective access: a case for every sentence of semantics section 7, with a neighbour.

In the table an id is a sentence of the specification, or what it implies; a neighbour is the same case with
one deviation, and has the other answer.
"""

from dataclasses import dataclass, replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.access.acl import (
    FIXED_PRIVILEGES,
    OPTIONAL_PRIVILEGES,
    AccessExplanation,
    AclEntry,
    Database,
    DecidedBy,
    EffectiveAccess,
    EntryMatch,
    Level,
    Privilege,
    WildcardMode,
    explain_access,
    resolve_access,
)
from authsvc.access.entries import match_membership, match_person, match_wildcard_entry
from directory_assistance.dn import read_name
from directory_assistance.entry import GroupMembership, GroupType, Identity
from tests.support.acl import DAVE, DOMAINS, access, database, entry, group, person

SALES = group("Sales")
CREATE, DELETE = Privilege.CREATE_DOCUMENTS, Privilege.DELETE_DOCUMENTS
READ_PUBLIC, COPY = Privilege.READ_PUBLIC_DOCUMENTS, Privilege.REPLICATE_OR_COPY_DOCUMENTS


@dataclass(frozen=True, kw_only=True)
class Case:
    """An ACL, who asks, and what they get: level, and which step decided."""

    sentence: str
    acl: tuple[AclEntry, ...]
    who: Identity | None = DAVE
    level: str = "Editor"
    by: str = "default"
    wildcards: str = "fallback"
    primary_only: bool = False


def case(  # one line of the table
    sentence: str, who: Identity | None, level: str, by: str, *acl: AclEntry, wildcards: str = "fallback"
) -> Case:
    return Case(sentence=sentence, acl=acl, who=who, level=level, by=by, wildcards=wildcards)


def seen_by_directory(sentence: str, who: Identity, level: str, by: str, *acl: AclEntry) -> Case:
    """Return a case of the database `directory`."""
    return Case(sentence=sentence, acl=acl, who=who, level=level, by=by, primary_only=True)


def member(*groups: GroupMembership, domain: str = "Renovations") -> Identity:
    """Return somebody in these groups: of the primary Dave Lawson, of another domain Ann of Acme."""
    return person(
        "Dave Lawson/Renovations" if domain == "Renovations" else "Ann Poe/West/Acme", *groups, domain=domain
    )


ANN = member(domain="Acme West")
JOE = person("joe@airius")
DAVE_GROUP = group("Dave Lawson/Renovations")
FOREIGN_PLAIN = group("Sales", domain="Airius", plain=True)

ENTRIES = [
    case("a name (full hierarchical)", DAVE, "Editor", "explicit", entry("Dave Lawson/Renovations")),
    case("not another name", DAVE, "No Access", "default", entry("Dave Larson/Renovations")),
    case("not the common name alone", DAVE, "No Access", "default", entry("Dave Lawson")),
    case("not another organisation", DAVE, "No Access", "default", entry("Dave Lawson/Acme")),
    case(
        "LDAP names are written with slashes: uid=Sandra Smith/o=Acme/c=US",
        person("uid=Sandra Smith,o=Acme,c=US"),
        "Editor",
        "explicit",
        entry("uid=Sandra Smith/o=Acme/c=US"),
    ),
    case(
        "every form of section 2 is read: canonical",
        DAVE,
        "Editor",
        "explicit",
        entry("CN=Dave Lawson/O=Renovations"),
    ),
    case(
        "every form of section 2 is read: LDAP",
        DAVE,
        "Editor",
        "explicit",
        entry("cn=DAVE LAWSON,o=Renovations"),
    ),
    case("every form of section 2 is read: flat", person("Dave"), "Editor", "explicit", entry("dave")),
    case(
        "every form of section 2 is read: Internet", person("d@x.com"), "Editor", "explicit", entry("D@X.com")
    ),
    case("a wildcard (* only as the leftmost component)", ANN, "Editor", "wildcards", entry("*/West/Acme")),
    case("a wildcard: any number of components in its place", ANN, "Editor", "wildcards", entry("*/Acme")),
    case("a wildcard: not another branch", ANN, "No Access", "default", entry("*/East/Acme")),
    case("a wildcard: not the branch itself", person("O=Acme"), "No Access", "default", entry("*/Acme")),
    case("a wildcard: not a flat name", person("Acme"), "No Access", "default", entry("*/Acme")),
    case("a group (plain)", member(SALES), "Editor", "groups", entry("Sales")),
    case("a group that one is not in", member(SALES), "No Access", "default", entry("Marketing")),
    case(
        "a group (Group@Domain)",
        member(group("Sales", domain="Airius")),
        "Editor",
        "groups",
        entry("Sales@Airius"),
    ),
    case(
        "a group of another domain (Group@Domain)",
        member(group("Sales", domain="Acme West")),
        "No Access",
        "default",
        entry("Sales@Airius"),
    ),
    case(
        "a group of the primary is meant by Group@Domain too",
        member(SALES),
        "Editor",
        "groups",
        entry("Sales@renovations"),
    ),
    case(
        "another group of the domain is not meant by Group@Domain",
        member(group("Marketing", domain="Airius")),
        "No Access",
        "default",
        entry("Sales@Airius"),
    ),
    case("-Default- (always present, No Access if not named)", DAVE, "No Access", "default"),
    case("-Default- as it is named", DAVE, "Reader", "default", entry("-Default-", "Reader")),
    case("Anonymous (not created by itself)", None, "No Access", "default"),
    case("Anonymous is nobody with an identity", DAVE, "No Access", "default", entry("Anonymous")),
    case(
        "Anonymous and -Default- are never an identity",
        person("Anonymous"),
        "No Access",
        "default",
        entry("Anonymous"),
    ),
    case(
        "Anonymous and -Default- are never a group",
        member(group("Anonymous"), group("-Default-")),
        "No Access",
        "default",
        entry("Anonymous"),
    ),
]

GROUP_NAMES = [
    case(
        "an entry that ends in @ and a domain's name is always that domain's group",
        person("x", group("joe", domain="Airius")),
        "Editor",
        "groups",
        entry("joe@airius"),
    ),
    case("even where a person is called so", JOE, "No Access", "default", entry("joe@airius")),
    case(
        "even where the entry is typed person",
        JOE,
        "No Access",
        "default",
        entry("joe@airius", type="person"),
    ),
    case(
        "a domain that does not exist makes no group",
        person("joe@x.com"),
        "Editor",
        "explicit",
        entry("joe@x.com"),
    ),
    case(
        "even where a primary group is called so",
        member(group("joe@airius")),
        "No Access",
        "default",
        entry("joe@airius"),
    ),
    case(
        "a primary group called Name@Somewhere counts where Somewhere is no domain",
        member(group("joe@somewhere")),
        "Editor",
        "groups",
        entry("joe@somewhere"),
    ),
    case(
        "even where a wildcard could be meant",
        person("CN=Dave/O=Renovations@Airius"),
        "No Access",
        "default",
        entry("*/Renovations@Airius"),
    ),
    case(
        "a quoted @ begins no domain",
        person('CN=Dave/O="Renovations@Airius"'),
        "Editor",
        "explicit",
        entry('CN=Dave/O="Renovations@Airius"'),
    ),
    case(
        "a full-width @ begins a domain too",
        person("x", group("joe", domain="Airius")),
        "Editor",
        "groups",
        entry("joe\uff20Airius"),
    ),
    case(
        "a group whose name reads as no name counts as Group@Domain",
        member(group("R&D = fun", domain="Airius")),
        "Editor",
        "groups",
        entry("R&D = fun@Airius"),
    ),
    case(
        "a group whose name reads as no name counts under a group's type",
        member(group("R&D = fun")),
        "Editor",
        "groups",
        entry("R&D = fun", type="mixed group"),
    ),
    case(
        "a person is not meant by what reads as no name",
        person("x", group("R&D = fun", domain="Acme West")),
        "No Access",
        "default",
        entry("R&D = fun@Airius"),
    ),
    case(
        "a foreign group whose own name holds @ counts only as Name@Domain",
        member(group("all@acme", domain="Airius", plain=True)),
        "No Access",
        "default",
        entry("all@acme"),
    ),
    case(
        "also where the entry quotes the @",
        member(group("all@acme", domain="Airius", plain=True)),
        "No Access",
        "default",
        entry('all"@"acme'),
    ),
    case(
        "also where the entry is hierarchical and typed",
        member(group("CN=all@acme/O=Acme", domain="Airius", plain=True)),
        "No Access",
        "default",
        entry("CN=all@acme/O=Acme", type="mixed group"),
    ),
    case(
        "a primary group may hold a quoted @",
        member(group('all"@"acme')),
        "Editor",
        "groups",
        entry('all"@"acme'),
    ),
    case(
        "a foreign group whose own name holds @ counts as Name@Domain",
        member(group("all@acme", domain="Airius", plain=True)),
        "Editor",
        "groups",
        entry("all@acme@Airius"),
    ),
    case(
        "the plain name of a foreign group counts where it may",
        member(FOREIGN_PLAIN),
        "Editor",
        "groups",
        entry("Sales"),
    ),
    case(
        "the plain name of a foreign group counts nowhere else",
        member(group("Sales", domain="Airius")),
        "No Access",
        "default",
        entry("Sales"),
    ),
    case(
        "escapes in a foreign group's name do not make it a plain name",
        member(group('Sal"e"s', domain="Airius", plain=True)),
        "No Access",
        "default",
        entry("Sales"),
    ),
    case(
        "escapes in a primary group's name are read",
        member(group('Sal"e"s')),
        "Editor",
        "groups",
        entry("Sales"),
    ),
]

TYPES = [
    case(
        "an entry typed person is never satisfied by a group of the same name",
        person("Ann/Acme", DAVE_GROUP),
        "No Access",
        "default",
        entry("Dave Lawson/Renovations", type="person"),
    ),
    case("but by the person", DAVE, "Editor", "explicit", entry("Dave Lawson/Renovations", type="person")),
    case(
        "unspecified is satisfied by a group of the same name",
        person("Ann/Acme", DAVE_GROUP),
        "Editor",
        "groups",
        entry("Dave Lawson/Renovations"),
    ),
    case(
        "a group from outside the primary never satisfies an unspecified entry with a hierarchical name",
        person("Ann/Acme", group("Dave Lawson/Renovations", domain="Airius", plain=True)),
        "No Access",
        "default",
        entry("Dave Lawson/Renovations"),
    ),
    case(
        "but one with a flat name",
        person("Ann/Acme", group("Dave Lawson", domain="Airius", plain=True)),
        "Editor",
        "groups",
        entry("Dave Lawson"),
    ),
    case(
        "and a typed one with a hierarchical name",
        person("Ann/Acme", group("Managers/Acme", domain="Airius", plain=True)),
        "Editor",
        "groups",
        entry("CN=Managers/O=Acme", type="person group"),
    ),
    case(
        "but not with another hierarchical name",
        person("Ann/Acme", group("Managers/Acme", domain="Airius", plain=True)),
        "No Access",
        "default",
        entry("CN=Managers/O=Renovations", type="person group"),
    ),
    *(
        case(
            f"an entry typed {user_type} is not satisfied by a person",
            DAVE,
            "No Access",
            "default",
            entry("Dave Lawson/Renovations", type=user_type),
        )
        for user_type in ("server", "person group", "server group", "mixed group")
    ),
    *(
        case(
            f"a group of type {kind} does{'' if satisfied else ' not'} satisfy {user_type}",
            member(group("Sales", type=GroupType(kind))),
            "Editor" if satisfied else "No Access",
            "groups" if satisfied else "default",
            entry("Sales", type=user_type),
        )
        for kind, satisfying in {
            "multi": {"person group", "server group", "mixed group", "unspecified"},
            "acl": {"person group", "server group", "mixed group", "unspecified"},
            "servers": {"server group", "mixed group", "unspecified"},
            "mail": set[str](),
            "deny": set[str](),
        }.items()
        for user_type in ("person", "server", "person group", "server group", "mixed group", "unspecified")
        for satisfied in [user_type in satisfying]
    ),
    *(
        case(
            f"a wildcard typed {user_type} matches people",
            DAVE,
            "Editor",
            "wildcards",
            entry("*/Renovations", type=user_type),
        )
        for user_type in ("unspecified", "mixed group", "person group")
    ),
    case(
        "a wildcard matches no groups",
        person("Ann/Acme", DAVE_GROUP),
        "No Access",
        "default",
        entry("*/Renovations"),
    ),
]

STEPS = [
    case(
        "0: not authenticated: the Anonymous entry", None, "Reader", "anonymous", entry("Anonymous", "Reader")
    ),
    case(
        "0: the Anonymous entry, also where it is lower than -Default-",
        None,
        "No Access",
        "anonymous",
        entry("Anonymous", "No Access"),
        entry("-Default-", "Author"),
    ),
    case("0: if there is none, -Default-", None, "Author", "default", entry("-Default-", "Author")),
    case(
        "1: the name has an explicit entry: that entry alone, even when it is lower than a group's",
        member(SALES),
        "Reader",
        "explicit",
        entry("Dave Lawson/Renovations", "Reader"),
        entry("Sales", "Manager"),
        entry("*/Renovations", "Manager"),
        entry("-Default-", "Manager"),
    ),
    case(
        "1: No Access included",
        member(SALES),
        "No Access",
        "explicit",
        entry("Dave Lawson/Renovations", "No Access"),
        entry("Sales", "Author"),
        entry("*/Renovations", "Editor"),
        entry("-Default-", "Reader"),
        wildcards="union",
    ),
    case(
        "1: an entry that is both the name and a group is explicit",
        person("Sales", SALES),
        "Editor",
        "explicit",
        entry("Sales"),
    ),
    case(
        "1: an alias is no name",
        person("Alan Jones/Renovations", aliases=("AJones", "Al Jones")),
        "No Access",
        "default",
        entry("AJones"),
        entry("Al Jones"),
    ),
    case(
        "1: with a mapped name ACLs see only the mapped name",
        person("Dave Lawson/Renovations", own_name="uid=dave,o=airius.com", domain="Airius"),
        "No Access",
        "default",
        entry("uid=dave/o=airius.com"),
    ),
    case(
        "2: the highest level among the matching groups",
        member(SALES, group("Approvers"), group("Readers")),
        "Author",
        "groups",
        entry("Readers", "Reader"),
        entry("Sales", "Author"),
        entry("Approvers", "Depositor"),
        entry("-Default-", "Manager"),
    ),
    case(
        "2: No Access in a group does not win",
        member(SALES, group("Out")),
        "Reader",
        "groups",
        entry("Sales", "Reader"),
        entry("Out", "No Access"),
    ),
    case(
        "2: but alone it decides, before wildcards and -Default-",
        member(group("Out")),
        "No Access",
        "groups",
        entry("Out", "No Access"),
        entry("*/Renovations", "Manager"),
        entry("-Default-", "Manager"),
    ),
    case(
        "3: wildcards only when steps 1 and 2 matched nothing",
        member(SALES),
        "Reader",
        "groups",
        entry("Sales", "Reader"),
        entry("*/Renovations", "Editor"),
    ),
    case(
        "3: highest level",
        ANN,
        "Author",
        "wildcards",
        entry("*/West/Acme", "Reader"),
        entry("*/Acme", "Author"),
        entry("*/Renovations", "Manager"),
        entry("-Default-", "Manager"),
    ),
    case(
        "3: union joins steps 2 and 3 instead",
        member(SALES),
        "Editor",
        "groups_and_wildcards",
        entry("Sales", "Reader"),
        entry("*/Renovations", "Editor"),
        wildcards="union",
    ),
    case(
        "3: union with groups alone is groups",
        member(SALES),
        "Reader",
        "groups",
        entry("Sales", "Reader"),
        wildcards="union",
    ),
    case(
        "3: union with wildcards alone is wildcards",
        DAVE,
        "Reader",
        "wildcards",
        entry("*/Renovations", "Reader"),
        wildcards="union",
    ),
    case(
        "4: nothing: -Default-", DAVE, "Depositor", "default", entry("-Default-", "Depositor"), entry("Sales")
    ),
]

DIRECTORY = [
    seen_by_directory(
        "the ACL of directory sees primary identities",
        DAVE,
        "Manager",
        "explicit",
        entry("Dave Lawson/Renovations", "Manager"),
    ),
    seen_by_directory(
        "and no others, by name",
        person("Dave Lawson/Renovations", domain="Airius"),
        "No Access",
        "default",
        entry("Dave Lawson/Renovations", "Manager"),
    ),
    seen_by_directory(
        "nor by wildcard",
        person("Dave Lawson/Renovations", domain="Airius"),
        "No Access",
        "default",
        entry("*/Renovations", "Manager"),
    ),
    seen_by_directory(
        "it sees primary groups", member(SALES), "Manager", "groups", entry("Sales", "Manager")
    ),
    seen_by_directory(
        "but not of others' identities",
        person("Ann/Acme", SALES, domain="Acme West"),
        "No Access",
        "default",
        entry("Sales", "Manager"),
    ),
    seen_by_directory(
        "nor others' groups by their plain name",
        member(FOREIGN_PLAIN),
        "No Access",
        "default",
        entry("Sales", "Manager"),
    ),
    seen_by_directory(
        "nor others' groups as Group@Domain",
        member(group("Sales", domain="Airius")),
        "No Access",
        "default",
        entry("Sales@Airius", "Manager"),
    ),
    seen_by_directory(
        "whoever is not seen has what -Default- gives",
        person("Dave Lawson/Renovations", domain="Airius"),
        "Reader",
        "default",
        entry("Dave Lawson/Renovations", "Manager"),
        entry("-Default-", "Reader"),
    ),
    case(
        "other databases see every identity",
        person("Dave Lawson/Renovations", domain="Airius"),
        "Manager",
        "explicit",
        entry("Dave Lawson/Renovations", "Manager"),
    ),
]


@pytest.mark.parametrize(
    "given_case",
    [pytest.param(line, id=line.sentence) for line in [*ENTRIES, *GROUP_NAMES, *TYPES, *STEPS, *DIRECTORY]],
)
def test_the_sentences_of_section_7(given_case: Case) -> None:
    found = access(
        given_case.who, *given_case.acl, wildcards=given_case.wildcards, primary_only=given_case.primary_only
    )
    assert (given_case.level, given_case.by) == (found.level.label, found.decided_by.value)


def test_a_comparison_answers_yes_or_no() -> None:
    """The three matchers never answer with something that only counts as no."""
    domains = frozenset({"airius"})
    plain = group("all@acme", domain="Airius", plain=True)
    for other in (entry("Marketing"), entry("*/Acme"), entry("Sales", type="person"), entry('all"@"acme')):
        assert match_membership(other, plain, domains) is False
        assert match_membership(other, SALES, domains) is False
        assert match_person(other, DAVE, domains) is False
        assert match_wildcard_entry(other, DAVE, domains) is False


# --- privileges and roles


def gave(found: EffectiveAccess) -> tuple[str, set[Privilege], set[str], tuple[str, ...]]:
    """Return level, privileges, roles and the entries that gave them."""
    return found.level.label, set(found.privileges), set(found.roles), found.entries


def test_privileges_and_roles_come_from_the_entries_that_matched_at_the_deciding_step() -> None:
    found = access(
        member(SALES),
        entry("Dave Lawson/Renovations", "Author"),
        entry("Sales", "Author", privileges=("create_documents",), roles=("Buyer",)),
    )
    assert ("Author", {READ_PUBLIC}, set(), ("Dave Lawson/Renovations",)) == gave(found)


def test_privileges_and_roles_of_all_matching_groups_are_joined() -> None:
    found = access(
        member(SALES, group("Approvers")),
        entry("Sales", "Author", privileges=("create_documents",), roles=("Buyer",)),
        entry("Approvers", "Author", privileges=("delete_documents",), roles=("Approver",)),
        entry("Others", "Author", privileges=("create_script_agents",), roles=("Auditor",)),
    )
    assert ("Author", {CREATE, DELETE, READ_PUBLIC}, {"Buyer", "Approver"}, ("Approvers", "Sales")) == gave(
        found
    )


def test_a_privilege_from_a_lower_group_is_kept_where_the_resulting_level_may_hold_it() -> None:
    found = access(member(SALES, group("In")), entry("Sales", "Author"), entry("In", "Depositor"))
    assert ("Author", {CREATE, READ_PUBLIC}, set(), ("In", "Sales")) == gave(found)


def test_a_privilege_from_a_lower_group_is_dropped_where_the_resulting_level_never_holds_it() -> None:
    found = access(member(SALES, group("In")), entry("Sales", "Reader"), entry("In", "Depositor"))
    assert ("Reader", {READ_PUBLIC}, set(), ("In", "Sales")) == gave(found)


def test_no_access_in_a_group_contributes_nothing() -> None:
    found = access(
        member(SALES, group("Out")),
        entry("Sales", "Depositor"),
        entry("Out", "No Access", privileges=("read_public_documents",), roles=("Buyer",)),
    )
    assert ("Depositor", {CREATE}, set(), ("Sales",)) == gave(found)


@pytest.mark.parametrize("name", ["Dave Lawson/Renovations", "Out", "*/Renovations", "-Default-"])
def test_no_access_that_decides_alone_gives_what_it_names_of_public_documents_and_no_role(name: str) -> None:
    privileges = ("read_public_documents", "replicate_or_copy_documents")
    found = access(member(group("Out")), entry(name, "No Access", privileges=privileges, roles=("Buyer",)))
    assert ("No Access", {READ_PUBLIC, COPY}, set(), (name,)) == gave(found)


def test_wildcards_join_like_groups() -> None:
    found = access(
        ANN,
        entry("*/Acme", "Reader", roles=("Buyer",)),
        entry("*/West/Acme", "Author", privileges=("delete_documents",), roles=("Approver",)),
    )
    assert ("Author", {DELETE, READ_PUBLIC}, {"Buyer", "Approver"}, ("*/Acme", "*/West/Acme")) == gave(found)


def test_the_union_mode_joins_privileges_and_roles_of_groups_and_wildcards() -> None:
    acl = [entry("Sales", "Reader", roles=("Buyer",)), entry("*/Renovations", "Author", roles=("Approver",))]
    assert {"Buyer", "Approver"} == access(member(SALES), *acl, wildcards="union").roles
    assert {"Buyer"} == access(member(SALES), *acl).roles


def test_two_explicit_entries_of_one_name_would_join_to_the_highest() -> None:
    """`read_database` refuses them; a database made otherwise is still resolved without regard to order."""
    low = entry("Dave Lawson/Renovations", "Reader", "person", roles=("Buyer",))
    high = entry("Dave Lawson/Renovations", "Author", roles=("Approver",))
    none = entry("CN=Dave Lawson/O=Renovations", "No Access")
    expected = ("Author", {READ_PUBLIC}, {"Buyer", "Approver"}, ("Dave Lawson/Renovations",) * 2)
    for order in permutations([low, high, none]):
        found = resolve_access(Database(name="x", entries=order), DAVE, domains=DOMAINS)
        assert expected == gave(found)
        assert found.decided_by is DecidedBy.EXPLICIT


@pytest.mark.parametrize("who", [None, DAVE])
def test_an_acl_without_entries_gives_no_access(who: Identity | None) -> None:
    found = resolve_access(Database(name="x", maximum_internet_access=Level.MANAGER), who, domains=DOMAINS)
    expected = EffectiveAccess(
        database="x",
        level=Level.NO_ACCESS,
        privileges=frozenset(),
        roles=frozenset(),
        decided_by=DecidedBy.DEFAULT,
        entries=(),
        via=(),
    )
    assert expected == found


# --- the cap


def anonymous(maximum: str, *entries: AclEntry) -> EffectiveAccess:
    return resolve_access(database(*entries, maximum_internet_access=maximum), None, domains=DOMAINS)


@pytest.mark.parametrize("maximum", [level.label for level in Level])
@pytest.mark.parametrize("level", [level.label for level in Level])
@pytest.mark.parametrize("name", ["Anonymous", "-Default-"])
def test_t68_maximum_internet_access_caps_whoever_has_no_identity(
    name: str, level: str, maximum: str
) -> None:
    found = anonymous(maximum, entry(name, level))
    assert min(level, maximum, key=[grade.label for grade in Level].index) == found.level.label


@pytest.mark.parametrize("maximum", [level.label for level in Level])
def test_t68_a_certificate_identity_is_never_capped(maximum: str) -> None:
    manager = database(entry("Dave Lawson/Renovations", "Manager"), maximum_internet_access=maximum)
    assert resolve_access(manager, DAVE, domains=DOMAINS).level is Level.MANAGER
    default = database(entry("-Default-", "Manager"), maximum_internet_access=maximum)
    assert resolve_access(default, DAVE, domains=DOMAINS).level is Level.MANAGER


def test_the_default_cap_is_editor() -> None:
    assert access(None, entry("Anonymous", "Manager")).level is Level.EDITOR


def test_a_cap_takes_away_what_the_capped_level_never_holds() -> None:
    found = anonymous(
        "Reader", entry("Anonymous", "Editor", privileges=("delete_documents",), roles=("Buyer",))
    )
    expected = {READ_PUBLIC, Privilege.WRITE_PUBLIC_DOCUMENTS}
    assert ("Reader", expected, {"Buyer"}, ("Anonymous",)) == gave(found)


def test_a_cap_gives_nothing_that_the_entry_did_not_give() -> None:
    assert CREATE not in anonymous("Depositor", entry("Anonymous", "Reader")).privileges
    assert CREATE in anonymous("Depositor", entry("Anonymous", "Editor")).privileges


def test_a_cap_gives_nothing_that_the_level_before_it_never_has() -> None:
    twice = (entry("Anonymous", "Reader"), entry("anonymous", "Depositor"))
    found = resolve_access(
        Database(name="x", maximum_internet_access=Level.DEPOSITOR, entries=twice), None, domains=DOMAINS
    )
    assert ("Depositor", {READ_PUBLIC}, set(), ("Anonymous", "anonymous")) == gave(found)


def test_a_cap_of_no_access_leaves_no_role() -> None:
    found = anonymous("No Access", entry("Anonymous", "Editor", roles=("Buyer",)))
    assert ("No Access", {READ_PUBLIC, Privilege.WRITE_PUBLIC_DOCUMENTS}, set(), ("Anonymous",)) == gave(
        found
    )


# --- the explanation


def test_the_access_names_the_groups_by_which_its_entries_matched() -> None:
    nested = group("Sales", via=("West Sales",))
    found = access(
        member(nested, group("Approvers"), group("Idle"), group("Out")),
        entry("sales", "Reader"),
        entry("Approvers", "Author"),
        entry("Out", "No Access"),
    )
    assert found.entries == ("Approvers", "sales")
    assert (group("Approvers"), nested) == found.via


def test_an_explicit_entry_names_no_groups() -> None:
    assert access(person("Sales", SALES), entry("Sales")).via == ()


def test_the_explanation_lists_every_entry_that_matched_step_by_step() -> None:
    acl = {
        name: entry(name, level)
        for name, level in {
            "-Default-": "Manager",
            "*/Renovations": "Manager",
            "Sales": "Reader",
            "Approvers": "Author",
            "Out": "No Access",
            "Marketing": "Manager",
            "Anonymous": "Manager",
        }.items()
    }
    who = member(SALES, group("Approvers"), group("Out"))
    expected = (
        EntryMatch(
            entry=acl["Approvers"], step=DecidedBy.GROUPS, memberships=(group("Approvers"),), gave=True
        ),
        EntryMatch(entry=acl["Out"], step=DecidedBy.GROUPS, memberships=(group("Out"),), gave=False),
        EntryMatch(entry=acl["Sales"], step=DecidedBy.GROUPS, memberships=(SALES,), gave=True),
        EntryMatch(entry=acl["*/Renovations"], step=DecidedBy.WILDCARDS),
        EntryMatch(entry=acl["-Default-"], step=DecidedBy.DEFAULT),
    )
    sales = database(*acl.values())
    assert AccessExplanation(
        access=resolve_access(sales, who, domains=DOMAINS), matches=expected, level_before_cap=Level.AUTHOR
    ) == explain_access(sales, who, domains=DOMAINS)


def test_an_entry_stands_in_the_explanation_once_at_its_earliest_step() -> None:
    found = explain_access(database(entry("Sales")), person("Sales", SALES), domains=DOMAINS)
    assert [(match.entry.name, match.step, match.memberships) for match in found.matches] == [
        ("Sales", DecidedBy.EXPLICIT, ()),
        ("-Default-", DecidedBy.DEFAULT, ()),
    ]


def test_an_entry_that_matches_by_several_memberships_names_all_sorted_by_name_type_and_origin() -> None:
    expected = (
        group("Sales", type=GroupType.ACL),
        SALES,
        group("Sales", via=("East Sales",)),
        group("Sales", via=("East Sales", "World Sales")),
        group("Sales", via=("North Sales",)),
        group("Sales", via=("South Sales",)),
        group("Sales", via=("West Sales",)),
        group("Sales", type=GroupType.SERVERS),
        FOREIGN_PLAIN,
    )
    found = explain_access(database(entry("Sales")), member(*reversed(expected), SALES), domains=DOMAINS)
    assert expected == found.matches[0].memberships


def test_the_explanation_of_the_unauthenticated_says_what_the_cap_took() -> None:
    acl = [entry("Anonymous", "Manager"), entry("-Default-", "Designer"), entry("Sales")]
    found = explain_access(database(*acl, maximum_internet_access="Reader"), None, domains=DOMAINS)
    assert (found.level_before_cap, found.access.level) == (Level.MANAGER, Level.READER)
    assert (
        EntryMatch(entry=acl[0], step=DecidedBy.ANONYMOUS, gave=True),
        EntryMatch(entry=acl[1], step=DecidedBy.DEFAULT),
    ) == found.matches


def test_entries_are_sorted_as_names_and_then_by_spelling() -> None:
    same = Database(name="x", entries=(entry("SALES"), entry("sales"), entry("Sales"), entry("approvers")))
    found = resolve_access(same, member(SALES, group("Approvers")), domains=DOMAINS)
    assert ("approvers", "SALES", "Sales", "sales") == found.entries


# --- threats


def test_t64_a_foreign_group_never_stands_for_a_primary_one() -> None:
    acl = [entry("Sales", "Manager", "person group"), entry("-Default-", "Reader")]
    assert access(member(SALES), *acl).level is Level.MANAGER
    for stranger in (
        group("Sales", domain="Airius"),
        group("Sales@Renovations", domain="Airius", plain=True),
    ):
        assert access(member(stranger), *acl).level is Level.READER


def test_t64_nor_for_another_foreign_one() -> None:
    longest = resolve_access(
        database(entry("Sales@West@Acme")),
        member(group("Sales@West", domain="Acme")),
        domains=frozenset({"Renovations", "Acme", "West@Acme"}),
    )
    assert longest.level is Level.NO_ACCESS
    assert (
        resolve_access(
            database(entry("Sales@West@Acme")),
            member(group("Sales", domain="West@Acme")),
            domains=frozenset({"Renovations", "Acme", "West@Acme"}),
        ).level
        is Level.EDITOR
    )


def test_t66_a_group_that_was_left_gives_nothing_more() -> None:
    acl = [entry("Sales", roles=("Buyer",))]
    assert ("Editor", {"Buyer"}) == (
        access(member(SALES), *acl).level.label,
        set(access(member(SALES), *acl).roles),
    )
    assert ("No Access", set()) == (access(member(), *acl).level.label, set(access(member(), *acl).roles))


def test_t86_an_alias_of_an_administrator_gives_nothing() -> None:
    acl = [entry("Dave Lawson/Renovations", "Manager")]
    impostor = person("Mallory/Acme", domain="Airius", aliases=("Dave Lawson/Renovations",))
    assert access(DAVE, *acl).level is Level.MANAGER
    assert access(impostor, *acl).level is Level.NO_ACCESS


# --- properties

NAMES = [
    "Dave Lawson/Renovations",
    "Sales",
    "Approvers",
    "Sales@Airius",
    "*/Renovations",
    "*/Acme",
    "-Default-",
    "Anonymous",
]


@st.composite
def acl_entries(draw: st.DrawFn) -> AclEntry:
    """Any valid ACL entry of a few names that meet a few people."""
    name = draw(st.sampled_from(NAMES))
    level = draw(st.sampled_from(Level))
    optional = draw(st.frozensets(st.sampled_from(sorted(OPTIONAL_PRIVILEGES[level]))))
    if level <= Level.DEPOSITOR and READ_PUBLIC not in optional:
        optional -= {COPY}
    kinds = {"*": ["unspecified", "person group"], "-": ["unspecified"]}.get(
        name[0],
        ["unspecified"] if name == "Anonymous" else ["unspecified", "person", "person group", "server group"],
    )
    return AclEntry.parse(
        name=name,
        level=level,
        type=draw(st.sampled_from(kinds)),
        privileges=optional,
        roles=draw(st.frozensets(st.sampled_from(["Buyer", "Approver"]))),
    )


MEMBERSHIPS = st.builds(
    group,
    st.sampled_from(["Sales", "Approvers", "Dave Lawson/Renovations"]),
    domain=st.sampled_from(["Renovations", "Airius"]),
    type=st.sampled_from(GroupType),
    plain=st.booleans(),
)
PEOPLE = st.none() | st.builds(
    lambda name, groups, domain: person(name, *groups, domain=domain),
    st.sampled_from(["Dave Lawson/Renovations", "Ann Poe/West/Acme", "Sales"]),
    st.lists(MEMBERSHIPS, max_size=4),
    st.sampled_from(["Renovations", "Airius"]),
)
DATABASES = st.builds(
    Database,
    name=st.just("x"),
    maximum_internet_access=st.sampled_from(Level),
    entries=st.lists(acl_entries(), max_size=8).map(tuple),
    wildcards=st.sampled_from(WildcardMode),
)


@given(DATABASES, PEOPLE, st.booleans(), st.randoms(use_true_random=False))
def test_effective_access_does_not_depend_on_any_order(
    any_database: Database,
    who: Identity | None,
    primary_only: bool,
    chance: Random,
) -> None:
    shuffled = list(any_database.entries)
    chance.shuffle(shuffled)
    groups = list(who.groups) if who else []
    chance.shuffle(groups)
    reordered = replace(any_database, entries=tuple(shuffled))
    other = replace(who, groups=tuple(groups)) if who else None
    expected = resolve_access(any_database, who, domains=DOMAINS, primary_only=primary_only)
    assert expected == resolve_access(reordered, other, domains=DOMAINS, primary_only=primary_only)


@given(DATABASES, PEOPLE, st.booleans())
def test_nobody_holds_what_the_level_never_has(
    any_database: Database,
    who: Identity | None,
    primary_only: bool,
) -> None:
    found = resolve_access(any_database, who, domains=DOMAINS, primary_only=primary_only)
    assert found.privileges <= FIXED_PRIVILEGES[found.level] | OPTIONAL_PRIVILEGES[found.level]
    if found.level <= Level.DEPOSITOR and COPY in found.privileges:
        assert READ_PUBLIC in found.privileges
    if found.level is Level.NO_ACCESS:
        assert not found.roles


@given(DATABASES, PEOPLE)
def test_a_level_has_all_its_fixed_privileges_unless_it_is_capped(
    any_database: Database, who: Identity | None
) -> None:
    found = explain_access(any_database, who, domains=DOMAINS)
    if found.level_before_cap is found.access.level:
        assert FIXED_PRIVILEGES[found.access.level] <= found.access.privileges


@given(DATABASES, PEOPLE)
def test_the_directory_never_gives_a_stranger_more_than_default(
    any_database: Database, who: Identity | None
) -> None:
    if who is not None and not who.primary:
        nobody = replace(who, name=read_name("Nobody"), groups=())
        expected = resolve_access(any_database, nobody, domains=DOMAINS)
        assert expected == resolve_access(any_database, who, domains=DOMAINS, primary_only=True)
