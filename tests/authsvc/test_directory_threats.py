"""Threats T48 to T64, T86 and T87 where they matter: one decision over a primary and other directories.

Each attack is one change away from a case that is allowed, so that the refusal is the defence's and no accident.
What each defence is made of has its own tests (`tests/directory_assistance`); real servers are in
`tests/end_to_end/test_three_domains.py`.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from authsvc.access.acl import Requirement
from authsvc.access.databases import DatabaseTarget
from authsvc.access.levels import Level
from authsvc.decision.pipeline import Policy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, TrustAnchor, TrustStore
from authsvc.trust.certificate import read_certificate
from authsvc.trust.crl import read_crl
from authsvc.trust.revocation import RevocationSnapshot
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import BindBy, Candidate, FindBy, FindWay, MatchPlan
from directory_assistance.directory import LookUp
from directory_assistance.dn import (
    DistinguishedName,
    MemberReference,
    read_ldap_dn,
    read_member,
    read_name,
    render_ldap,
    render_name,
)
from directory_assistance.domains import (
    Ambiguity,
    GroupAuthorization,
    OnUnavailable,
    PrimaryDomain,
    SecondaryDomain,
)
from directory_assistance.entry import Entry, Group, GroupType
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.groups import ExpansionLimits
from directory_assistance.naming import NamingRule, read_naming_rule, read_suffix_rule
from tests.support.decision import (
    CRL_END,
    DAVE,
    DEFAULT_PLAN,
    ISSUING,
    ROOT,
    Case,
    MappingDatabases,
    acl,
    person,
    presented,
    sales,
)
from tests.support.pki import NOW, Authority, Issued, mail, sid_extension, upn

Listed = tuple[Group, Sequence[MemberReference]]

EVERYWHERE = (read_naming_rule("*", trusted=True),)
EVERYBODY = MappingDatabases(sales(acl("-Default-", Level.READER)))
DIRECTORY = DatabaseTarget(database="directory", requirement=Requirement(level=Level.READER))


def plan(*ways: FindBy, bind_by: BindBy, issued_by: str = "corp") -> MatchPlan:
    return MatchPlan(
        ways=tuple(FindWay(find_by=way) for way in ways), bind_by=bind_by, issued_by=frozenset({issued_by})
    )


BY_NAME = plan(FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL, bind_by=BindBy.NAME)


class Asked(MemoryDirectory):
    """A directory that goes out of reach after so many answers."""

    answers = sys.maxsize

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        self.answers -= 1
        if self.answers < 0:
            raise DirectoryUnavailable(self.domain, "connection refused")
        return super().find_entries(candidate, limit=limit, deadline=deadline)


def group(name: str, *members: str, type: GroupType = GroupType.MULTI) -> Listed:  # noqa: A002 - the word of the contract
    return Group(name=name, type=type, reference=read_name(name)), [*map(read_member, members)]


def holding(*names: str, holds: Issued | None = DAVE, **fields: Any) -> Entry:
    return replace(person(*names, holds=holds), **fields)


def primary(
    *people: Entry,
    groups: Sequence[Listed] = (),
    match_plan: MatchPlan = DEFAULT_PLAN,
    attributes: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> PrimaryDomain:
    directory = Asked("Renovations", people, groups, attributes=attributes or {})
    return PrimaryDomain(domain="Renovations", directory=directory, plan=match_plan)


def domain(
    name: str,
    *people: Entry,
    groups: Sequence[Listed] = (),
    down: bool = False,
    attributes: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    **fields: Any,
) -> SecondaryDomain:
    directory = Asked(name, people, groups, attributes=attributes or {})
    directory.answers = 0 if down else sys.maxsize
    base = SecondaryDomain(domain=name, directory=directory, plan=DEFAULT_PLAN, rules=EVERYWHERE)
    return replace(base, **fields)


def rules(*texts: str) -> tuple[NamingRule, ...]:
    return tuple(read_naming_rule(text, trusted=True) for text in texts)


def world(first: PrimaryDomain, *domains: SecondaryDomain, **fields: Any) -> Case:
    """Return a case in which everybody may read, so that identity alone decides."""
    base = Case(databases=EVERYBODY, primary=first, domains=domains)
    return replace(base, **fields)


def read_dn(text: str) -> DistinguishedName:
    name = read_name(text)
    assert isinstance(name, DistinguishedName)
    return name


def decided(case: Case) -> str:
    """Print a verdict: who it is and where found, or the reason."""
    verdict = case.decide()
    if isinstance(verdict, Allowed) and verdict.identity is not None:
        return f"{render_name(verdict.identity.name)} in {verdict.identity.domain}"
    return verdict.reason.value


def told(verdict: Verdict) -> str:
    return "\n".join(f"{line.subject}: {line.result}" for line in verdict.trace)


def readers(*names: str) -> MappingDatabases:
    return MappingDatabases(sales(*(acl(name, Level.READER, type="person") for name in names)))


# --- T48: several owners


def test_t48_two_owners_in_a_later_directory_are_refused_and_both_are_told() -> None:
    one, other = holding("Dave Lawson/Acme"), holding("Twin/Acme")
    assert "Dave Lawson/Acme in Acme" == decided(world(primary(), domain("Acme", one)))
    verdict = world(primary(), domain("Acme", one, other)).decide()
    assert verdict.reason is Reason.AMBIGUOUS
    assert isinstance(verdict, Denied)
    assert "`Dave Lawson/Acme`, `Twin/Acme`" in verdict.detail


def test_t48_more_namesakes_than_may_be_told_are_ambiguous_though_one_of_them_is_bound() -> None:
    own = holding("Dave Lawson/Acme")
    others = [holding(f"Dave Lawson/U{number}/Acme", holds=None) for number in range(100)]
    by_name = MatchPlan(ways=(FindWay(find_by=FindBy.COMMON_NAME),))
    assert "Dave Lawson/Acme in Acme" == decided(
        world(primary(), domain("Acme", own, *others[:99], plan=by_name))
    )
    assert "ambiguous" == decided(world(primary(), domain("Acme", own, *others, plan=by_name)))


def test_t48_strict_ambiguity_finds_the_second_owner_in_the_third_directory() -> None:
    first, second = domain("Acme", holding("D/Acme"), search_order=1), domain("Beta", search_order=2)
    third = domain("Gamma", holding("D/Gamma"), search_order=3)
    strict = {"ambiguity": Ambiguity.STRICT}
    assert "D/Acme in Acme" == decided(world(primary(), first, second, third))
    assert "ambiguous" == decided(world(primary(), first, second, third, **strict))
    assert "D/Acme in Acme" == decided(world(primary(), first, second, **strict))


# --- T49: the same name in two directories, a lower one shadows a higher one

SHADOW = domain("Beta", holding("Ada/Acme"), rules=rules("*/Beta"), search_order=0)


def test_t49_a_namesake_in_a_lower_directory_has_a_name_of_its_own_and_not_the_higher_ones_rights() -> None:
    databases = readers("Dave Lawson/Acme")
    absent = domain("Acme", holding("Dave Lawson/Acme", holds=None), rules=rules("*/Acme"), search_order=1)
    lower = domain("Beta", holding("Dave Lawson/Beta"), rules=rules("*/Beta"), search_order=2)
    assert "acl_level" == decided(world(primary(), absent, lower, databases=databases))
    present = domain("Acme", holding("Dave Lawson/Acme"), rules=rules("*/Acme"), search_order=1)
    assert "Dave Lawson/Acme in Acme" == decided(world(primary(), present, lower, databases=databases))


def test_t49_a_directory_that_says_names_of_another_is_ignored_and_reported() -> None:
    assert "domain_not_trusted_for_name" == decided(world(primary(), SHADOW))
    true = domain("Acme", holding("Dave Lawson/Acme"), rules=rules("*/Acme"), search_order=1)
    verdict = world(primary(), SHADOW, true).decide()
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    assert ("Dave Lawson/Acme", "Acme") == (render_name(verdict.identity.name), verdict.identity.domain)
    assert "no enabled trusted rule of `Beta` covers `Ada/Acme`" in told(verdict)
    assert "Ada/Acme in Beta" == decided(
        world(primary(), replace(SHADOW, rules=rules("*/Beta", "*/Acme")), true)
    )


def test_t49_rules_that_are_disabled_or_not_trusted_let_nobody_say_a_name() -> None:
    off = (
        *rules("*/Beta"),
        read_naming_rule("*/Acme", trusted=False),
        read_naming_rule("*/Acme", trusted=True, enabled=False),
    )
    assert "domain_not_trusted_for_name" == decided(world(primary(), replace(SHADOW, rules=off)))


@pytest.mark.parametrize(
    ("own", "mapped", "expected"),
    [
        ("uid=1/o=beta", "CN=Ada,O=Beta", "Ada/Beta in Beta"),
        ("uid=1/o=beta", "CN=Ada,O=Acme", "domain_not_trusted_for_name"),
        ("uid=1/o=beta", "CN=Ada,O=Beta,C=US,L=x", "domain_not_trusted_for_name"),
        ("uid=1/o=acme", "CN=Ada,O=Beta", "domain_not_trusted_for_name"),
    ],
    ids=["both inside", "the mapped name outside", "a mapped name of another shape", "the own name outside"],
)
def test_t49_own_name_and_mapped_name_must_both_be_the_directorys(
    own: str, mapped: str, expected: str
) -> None:
    trusted = (read_suffix_rule("o=beta", trusted=True), read_naming_rule("*/Beta", trusted=True))
    narrow = (trusted[1], replace(trusted[0], suffix=read_ldap_dn("uid=1,o=beta")))
    beta = domain("Beta", holding(own, mapped_names=(mapped,)), rules=narrow)
    assert expected == decided(world(primary(), beta))


# --- T50: what is down does not answer "nobody"


@pytest.mark.parametrize(
    ("down", "skips", "expected"),
    [
        (set(), set(), "D/Gamma in Gamma"),
        ({"Beta"}, set(), "directory_unavailable"),
        ({"Beta"}, {"Beta"}, "D/Gamma in Gamma"),
        ({"Beta"}, {"Acme", "Gamma"}, "directory_unavailable"),
        ({"Acme", "Beta"}, {"Beta"}, "directory_unavailable"),
        ({"Acme", "Beta"}, {"Acme", "Beta"}, "D/Gamma in Gamma"),
        ({"Gamma"}, {"Gamma"}, "no_entry"),
        ({"Renovations"}, {"Acme", "Beta", "Gamma"}, "directory_unavailable"),
    ],
    ids=[
        "all answer",
        "the second is down",
        "the second is down and skipped",
        "another says skip",
        "one of two that are down is not skipped",
        "both that are down are skipped",
        "the owner's own is down and skipped",
        "the primary is down and is never skipped",
    ],
)
def test_t50_of_three_domains_the_one_that_is_down_decides_unless_it_says_skip(
    down: set[str], skips: set[str], expected: str
) -> None:
    holders = {"Gamma": (holding("D/Gamma"),)}
    domains = tuple(
        domain(
            name,
            *holders.get(name, ()),
            down=name in down,
            search_order=order,
            on_unavailable=OnUnavailable.SKIP if name in skips else OnUnavailable.UNDECIDED,
        )
        for order, name in enumerate(("Acme", "Beta", "Gamma"))
    )
    first = primary()
    assert isinstance(first.directory, Asked)
    first.directory.answers = 0 if "Renovations" in down else sys.maxsize
    case = world(first, *domains)
    assert expected == decided(case)
    verdict = case.decide()
    assert isinstance(verdict, Undecided) is (expected == "directory_unavailable")
    skipped = {
        name for name in down & skips if f"{name}: SKIPPED although it did not answer" in told(verdict)
    }
    assert skipped == (set() if isinstance(verdict, Undecided) and "Acme" not in skips else down & skips)


def test_t50_a_primary_that_goes_away_between_two_questions_is_not_skipped() -> None:
    first = primary()
    assert isinstance(first.directory, Asked)
    first.directory.answers = 1
    acme = domain("Acme", holding("D/Acme"), on_unavailable=OnUnavailable.SKIP)
    assert "directory_unavailable" == decided(world(first, acme))


# --- T51, T87: a second CA

TWIN = Authority.root(ROOT.certificate.subject.rfc4514_string(), now=NOW)
TWIN_ISSUING = TWIN.issue_authority(ISSUING.certificate.subject.rfc4514_string())
SID = "S-1-5-21-1-2-3-1104"
BOTH_TRUSTED: dict[str, Any] = {
    "trust": TrustStore.of(
        [
            TrustAnchor.from_der(AnchorSettings(id="corp"), ROOT.der),
            TrustAnchor.from_der(AnchorSettings(id="twin"), TWIN.der),
        ],
        [read_certificate(ISSUING.der), read_certificate(TWIN_ISSUING.der)],
    ),
    "revocation": RevocationSnapshot.of(
        [
            read_crl(authority.crl(next_update=CRL_END).der, source=str(number))
            for number, authority in enumerate((ROOT, ISSUING, TWIN, TWIN_ISSUING))
        ]
    ),
}
ADA = "Ada Boss/Renovations"
ADA_HELD = ISSUING.issue("CN=Ada Boss,O=Renovations")

STATEMENTS: list[tuple[str, MatchPlan, dict[str, Any]]] = [
    ("a subject", plan(FindBy.SUBJECT, bind_by=BindBy.NAME), {}),
    ("a common name", plan(FindBy.COMMON_NAME, bind_by=BindBy.NAME), {}),
    (
        "a mail address",
        plan(FindBy.MAIL, bind_by=BindBy.NAME),
        {"name": "CN=x", "san": [mail("ada@renovations.com")]},
    ),
    (
        "a user principal name",
        plan(FindBy.UPN, bind_by=BindBy.NAME),
        {"name": "CN=x", "san": [upn("ada@corp.renovations.com")]},
    ),
    (
        "a security identifier",
        plan(FindBy.SID, bind_by=BindBy.SID),
        {"name": "CN=x", "extensions": [(sid_extension(SID), False)]},
    ),
    (
        "a key identifier",
        plan(FindBy.SUBJECT_KEY_ID, bind_by=BindBy.SUBJECT_KEY_ID),
        {"name": "CN=x", "key": ADA_HELD.key},
    ),
    (
        "issuer and serial number",
        plan(FindBy.ISSUER_SERIAL, bind_by=BindBy.ISSUER_SERIAL),
        {"serial": ADA_HELD.certificate.serial_number},
    ),
]


def stating(authority: Authority, statement: dict[str, Any]) -> Issued:
    fields = dict(statement)
    return authority.issue(fields.pop("name", "CN=Ada Boss,O=Renovations"), **fields)


@pytest.mark.parametrize("place", ["primary", "domain"])
@pytest.mark.parametrize(
    ("match_plan", "statement"), [case[1:] for case in STATEMENTS], ids=[case[0] for case in STATEMENTS]
)
def test_t51_t87_what_a_second_ca_states_of_an_administrator_counts_nowhere(
    match_plan: MatchPlan, statement: dict[str, Any], place: str
) -> None:
    """Both CAs are trusted, and of one name; the directory listens to the one alone."""
    ada = holding(ADA, holds=ADA_HELD, mails=("ada@renovations.com",), sid=SID)
    attributes = {ADA: {"userPrincipalName": ["ada@corp.renovations.com"]}}

    def case(authority: Authority, issued_by: str) -> Case:
        chosen = replace(match_plan, issued_by=frozenset({issued_by}))
        issued = stating(authority, statement)
        if place == "primary":
            made = world(primary(ada, match_plan=chosen, attributes=attributes), domain("Acme"))
        else:
            made = world(primary(), domain("Acme", ada, plan=chosen, attributes=attributes))
        return replace(made, presentation=presented(issued, authority), **BOTH_TRUSTED)

    where = "Renovations" if place == "primary" else "Acme"
    assert "certificate_differs" == decided(case(TWIN_ISSUING, "corp"))
    assert f"{ADA} in {where}" == decided(case(TWIN_ISSUING, "twin")), "only issued_by refuses it"
    if "serial" not in statement:  # the number of a certificate that exists is not given twice
        assert f"{ADA} in {where}" == decided(case(ISSUING, "corp"))


def test_t51_a_name_stated_by_a_second_ca_finds_nobody_in_any_directory_and_binds_nobody_elsewhere() -> None:
    admin = TWIN_ISSUING.issue("CN=admin")
    case = world(
        primary(holding("admin", holds=None), match_plan=BY_NAME),
        domain("Acme", holding("admin/Acme", holds=None), plan=BY_NAME),
        presentation=presented(admin, TWIN_ISSUING),
        **BOTH_TRUSTED,
    )
    assert "certificate_differs" == decided(case)
    by_certificate = domain("Acme", holding("admin/Acme", holds=DAVE))
    assert "certificate_differs" == decided(replace(case, domains=(by_certificate,)))


# --- T53, T54: what a name is


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("CN=Ada Boss,O=Renovations", "Ada Boss/Renovations in Renovations"),
        ("CN=Ada Boss,CN=Dave Lawson,O=Renovations", "no_usable_name"),
        ("CN=Dave Lawson,CN=Ada Boss,O=Renovations", "no_usable_name"),
        ("CN=Ada Boss+CN=Dave Lawson,O=Renovations", "no_usable_name"),
        ("CN=Ada Boss,OU=x,CN=Ada Boss,O=Renovations", "Ada Boss/Renovations in Renovations"),
    ],
)
def test_t53_of_several_common_names_none_is_chosen_in_any_directory(subject: str, expected: str) -> None:
    by_name = plan(FindBy.COMMON_NAME, bind_by=BindBy.NAME)
    first = primary(holding(ADA, holds=None), match_plan=by_name)
    acme = domain("Acme", holding("Dave Lawson/Acme", holds=None), plan=by_name)
    issued = ISSUING.issue(subject)
    assert expected == decided(world(first, acme, presentation=presented(issued, ISSUING)))


def test_t53_of_several_mail_addresses_none_is_chosen_unless_the_way_says_first() -> None:
    issued = ISSUING.issue("CN=x", san=[mail("dave@acme.com"), mail("ada@renovations.com")])
    by_mail = plan(FindBy.MAIL, bind_by=BindBy.NAME)
    first_of = replace(by_mail, ways=(FindWay(find_by=FindBy.MAIL, first_of_several=True),))
    people = (
        holding(ADA, holds=None, mails=("ada@renovations.com",)),
        holding("Dave Lawson/Renovations", holds=None, mails=("dave@acme.com",)),
    )
    shown = presented(issued, ISSUING)
    assert "no_usable_name" == decided(world(primary(*people, match_plan=by_mail), presentation=shown))
    assert "Dave Lawson/Renovations in Renovations" == decided(
        world(primary(*people, match_plan=first_of), presentation=shown)
    )


SAME_NAME = {
    "wide letters": "\uff21da Boss/Renovations",
    "a direction mark": "\u202eAda Boss\u202c/Renovations",
    "an invisible character": "Ada\u200b Bo\u00adss/Renovations",
    "case and blanks": "ADA   bosS/RENOVATIONS",
    "a mathematical letter": "\U0001d400da Boss/Renovations",
}


@pytest.mark.parametrize("spelling", SAME_NAME.values(), ids=SAME_NAME)
def test_t54_a_spelling_of_an_administrators_name_in_a_lower_directory_is_the_administrators(
    spelling: str,
) -> None:
    ada = holding(ADA, holds=None)
    acme = domain("Acme", holding(spelling))
    assert "domain_not_trusted_for_name" == decided(world(primary(ada), acme))
    assert decided(world(primary(), acme)).endswith(" in Acme")


OTHER_NAME = {
    "a Cyrillic letter": "\u0410da Boss/Renovations",
    "a letter with an accent": "\u00c1da Boss/Renovations",
    "a combining accent": "A\u0301da Boss/Renovations",
    "a dotless letter": "Ada Boss\u0131/Renovations",
}


@pytest.mark.parametrize("spelling", OTHER_NAME.values(), ids=OTHER_NAME)
def test_t54_a_look_alike_is_another_name_and_has_nothing_of_the_administrators(spelling: str) -> None:
    ada = holding(ADA, holds=None)
    acme = domain("Acme", holding(spelling))
    assert "acl_level" == decided(world(primary(ada), acme, databases=readers(ADA)))
    assert decided(world(primary(ada), acme)).endswith(" in Acme")


def test_t54_a_certificate_that_looks_alike_finds_nobody_and_a_decomposed_one_its_owner() -> None:
    jose = holding("Jos\u00e9/Renovations", holds=None)
    by_name = plan(FindBy.COMMON_NAME, bind_by=BindBy.NAME)
    for common_name, expected in (
        ("Jose\u0301", "Jos\u00e9/Renovations in Renovations"),
        ("Jos\u0435\u0301", "no_entry"),
        ("Jose", "no_entry"),
    ):
        issued = ISSUING.issue(f"CN={common_name}")
        case = world(primary(jose, match_plan=by_name), presentation=presented(issued, ISSUING))
        assert expected == decided(case), ascii(common_name)


# --- T57: the state of the account


@pytest.mark.parametrize("place", ["primary", "first domain", "second domain"])
@pytest.mark.parametrize("state", [{"disabled": True}, {"expires": NOW}], ids=["disabled", "expired"])
def test_t57_a_disabled_owner_is_refused_wherever_found_and_a_later_namesake_does_not_help(
    place: str, state: dict[str, Any]
) -> None:
    def case(fields: dict[str, Any]) -> Case:
        def people(where: str) -> tuple[Entry, ...]:
            return (holding(f"Dave/{where.title().replace(' ', '')}", **fields),) if where == place else ()

        return world(
            primary(*people("primary")),
            domain("Acme", *people("first domain"), search_order=1),
            domain("Beta", *people("second domain"), search_order=2),
            domain("Gamma", holding("Dave/Gamma"), search_order=3),
        )

    assert "entry_disabled" == decided(case(state))
    assert decided(case({})).startswith("Dave/")
    assert not decided(case({})).endswith("Gamma")


# --- T63: groups without end


def groups_of(*groups: Listed, limits: ExpansionLimits | None = None) -> Verdict:
    acme = domain(
        "Acme",
        holding("Dave/Acme"),
        groups=groups,
        group_authorization=GroupAuthorization.OWN,
        on_unavailable=OnUnavailable.SKIP,
        expansion=limits or ExpansionLimits(),
    )
    return world(primary(), acme).decide()


def test_t63_a_cycle_of_groups_is_each_group_once() -> None:
    verdict = groups_of(
        group("A", "Dave/Acme", "C"), group("B", "A"), group("C", "B", "C"), group("Other", "Nobody/Acme")
    )
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    assert ["A", "B", "C"] == [membership.name for membership in verdict.identity.groups]


@pytest.mark.parametrize("count", [10_000, 10_001])
def test_t63_a_group_more_than_the_limit_is_undecided_though_the_domain_says_skip(count: int) -> None:
    verdict = groups_of(*(group(f"G{number}", "Dave/Acme") for number in range(count)))
    assert (Reason.ALLOWED if count == 10_000 else Reason.EXPANSION_LIMIT) is verdict.reason
    assert isinstance(verdict, Allowed if count == 10_000 else Undecided)


@pytest.mark.parametrize("depth", [20, 21])
def test_t63_groups_nested_deeper_than_the_limit_are_undecided(depth: int) -> None:
    nested = [group("G1", "Dave/Acme"), *(group(f"G{n}", f"G{n - 1}") for n in range(2, depth + 1))]
    assert (Reason.ALLOWED if depth == 20 else Reason.EXPANSION_LIMIT) is groups_of(*nested).reason


# --- T64: a foreign group

ADMINS = "Admins"


def group_case(*foreign: Listed, entry: str, type: str = "person group", **fields: Any) -> Case:  # noqa: A002 - the word of the contract
    """A person of the primary, whom a domain that may use plain names puts into groups."""
    airius = domain(
        "Airius",
        groups=foreign,
        group_authorization=GroupAuthorization.ALL,
        plain_group_names=True,
    )
    databases = MappingDatabases(sales(acl(entry, Level.READER, type=type)))
    return replace(Case(databases=databases, domains=(airius,)), **fields)


DAVE_NAME = "Dave Lawson/Renovations"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(
            group_case(group("Staff", DAVE_NAME), entry="Staff"), Reason.ALLOWED, id="a plain foreign group"
        ),
        pytest.param(
            group_case(
                group("Staff", DAVE_NAME),
                entry="Staff",
                primary=primary(holding(DAVE_NAME), groups=[group("STAFF", "Somebody Else/Renovations")]),
            ),
            Reason.ACL_LEVEL,
            id="the primary has a group of that name",
        ),
        pytest.param(
            group_case(group("Staff@Renovations", DAVE_NAME), entry="Staff@Renovations"),
            Reason.ACL_LEVEL,
            id="its own name reads as a group of the primary",
        ),
        pytest.param(
            group_case(group("Staff@Elsewhere", DAVE_NAME), entry="Staff@Elsewhere"),
            Reason.ACL_LEVEL,
            id="its own name reads as a group of somewhere else",
        ),
        pytest.param(
            group_case(group("Staff@Elsewhere", DAVE_NAME), entry="Staff@Elsewhere@Airius"),
            Reason.ALLOWED,
            id="its own name reads as a group of somewhere else, under its full name",
        ),
        pytest.param(
            group_case(group("Staff/Renovations", DAVE_NAME), entry="Staff/Renovations", type="unspecified"),
            Reason.ACL_LEVEL,
            id="an unspecified entry of a hierarchical name",
        ),
        pytest.param(
            group_case(group("Staff/Renovations", DAVE_NAME), entry="Staff/Renovations"),
            Reason.ALLOWED,
            id="an entry that says it means a group",
        ),
        pytest.param(
            group_case(group("Staff", DAVE_NAME, type=GroupType.MAIL), entry="Staff"),
            Reason.ACL_LEVEL,
            id="a group for mail",
        ),
        pytest.param(
            group_case(
                group("Staff", DAVE_NAME),
                entry="Staff",
                domains=(
                    domain(
                        "Airius",
                        groups=[group("Staff", DAVE_NAME)],
                        group_authorization=GroupAuthorization.ALL,
                    ),
                ),
            ),
            Reason.ACL_LEVEL,
            id="of a domain that may not use plain names",
        ),
    ],
)
def test_t64_a_foreign_group_counts_only_under_the_name_it_may_have(case: Case, expected: Reason) -> None:
    assert expected is case.decide().reason


@pytest.mark.parametrize("entry", [ADMINS, f"{ADMINS}@Airius"])
def test_t64_a_foreign_group_opens_nothing_in_the_directory_database(entry: str) -> None:
    """Neither under its plain name nor under its full one, for a person of the primary."""
    databases = MappingDatabases(
        replace(sales(acl(entry, Level.MANAGER, type="person group")), name="directory")
    )
    case = group_case(group(ADMINS, DAVE_NAME), entry=entry, databases=databases, target=DIRECTORY)
    assert Reason.ACL_LEVEL is case.decide().reason
    own = primary(holding(DAVE_NAME), groups=[group(ADMINS, DAVE_NAME)])
    expected = Reason.ALLOWED if entry == ADMINS else Reason.ACL_LEVEL
    assert expected is replace(case, primary=own).decide().reason


# --- T86: whoever administers another directory

BORROWED = {
    "a person's name": ADA,
    "a person's alias": "ABoss",
    "a group's name": ADMINS,
    "an entry in the ACL of directory": "Ada Admin/Renovations",
    "a full access administrator": "Root/Renovations",
}
ROOT_MAY_ALL = Policy(full_access_administrators=frozenset({read_name("Root/Renovations")}))


def directory_of_administrators() -> PrimaryDomain:
    return primary(holding(ADA, "ABoss", holds=None), groups=[group(ADMINS, ADA)])


BORROWINGS = {
    **{f"by the entry's own name, {words}": holding(name) for words, name in BORROWED.items()},
    **{
        f"by the mapped name, {words}": holding("uid=1/o=acme", mapped_names=(render_ldap(read_dn(name)),))
        for words, name in BORROWED.items()
        if "/" in name
    },
}


@pytest.mark.parametrize("own", BORROWINGS.values(), ids=BORROWINGS)
def test_t86_nobody_outside_has_a_name_of_the_administrators(own: Entry) -> None:
    acme = domain("Acme", own)
    case = world(directory_of_administrators(), acme, domain("Beta"), policy=ROOT_MAY_ALL)
    assert "domain_not_trusted_for_name" == decided(case)
    allowed = replace(case, domains=(replace(acme, may_assert_primary_names=True),))
    assert decided(allowed).endswith(" in Acme"), "only that defence refuses it"
    assert Reason.ACL_LEVEL is replace(allowed, target=DIRECTORY).decide().reason


@pytest.mark.parametrize("name", ["ABoss", ADMINS])
def test_t86_a_distinguished_name_of_one_component_is_not_the_flat_name(name: str) -> None:
    """A mapped name is a DN: it cannot spell an alias or a group of the primary, and has nothing of theirs."""
    own = holding("uid=1/o=acme", mapped_names=(f"CN={name}",))
    case = world(directory_of_administrators(), domain("Acme", own))
    assert f"CN={name} in Acme" == decided(case)
    entries = [acl(name, Level.READER, type=type_) for type_ in ("person", "person group")]
    for entry in entries:
        assert Reason.ACL_LEVEL is replace(case, databases=MappingDatabases(sales(entry))).decide().reason
    own_entry = acl(f"CN={name}", Level.READER, type="person")
    assert Reason.ALLOWED is replace(case, databases=MappingDatabases(sales(own_entry))).decide().reason


@pytest.mark.parametrize("alias", BORROWED.values(), ids=BORROWED)
def test_t86_an_alias_outside_is_nobodys_identity(alias: str) -> None:
    """It may stand there; it gives nothing."""
    case = world(
        directory_of_administrators(), domain("Acme", holding("Mallory/Acme", alias)), policy=ROOT_MAY_ALL
    )
    assert "Mallory/Acme in Acme" == decided(case)
    assert Reason.ACL_LEVEL is replace(case, databases=readers(ADA, "Root/Renovations")).decide().reason
    assert Reason.ACL_LEVEL is replace(case, target=DIRECTORY).decide().reason


def test_t86_mail_of_an_administrator_on_an_entry_outside_neither_finds_nor_leaves() -> None:
    mallory = holding("Mallory/Acme", mails=("ada@renovations.com", "mallory@acme.com"))
    ada = holding(ADA, holds=None, mails=("ada@renovations.com",))
    verdict = world(primary(ada), domain("Acme", mallory, mail_domains=frozenset({"acme.com"}))).decide()
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    assert ("Mallory/Acme", "mallory@acme.com") == (
        render_name(verdict.identity.name),
        verdict.identity.mail,
    )
    silent = world(primary(ada), domain("Acme", mallory)).decide()
    assert isinstance(silent, Allowed)
    assert silent.identity is not None
    assert silent.identity.mail == ""


@pytest.mark.parametrize("authorization", list(GroupAuthorization))
def test_t86_a_group_outside_that_is_called_like_the_administrators_gives_nothing(
    authorization: GroupAuthorization,
) -> None:
    databases = MappingDatabases(
        sales(acl(ADMINS, Level.READER, type="person group"), acl(f"{ADMINS}@Acme", Level.NO_ACCESS))
    )
    acme = domain(
        "Acme",
        holding("Mallory/Acme"),
        groups=[group(ADMINS, "Mallory/Acme")],
        group_authorization=authorization,
        plain_group_names=True,
    )
    case = world(directory_of_administrators(), acme, databases=databases)
    assert Reason.ACL_LEVEL is case.decide().reason
    without = replace(case, primary=primary(holding(ADA, holds=None)))
    counts = authorization is not GroupAuthorization.NONE
    assert (Reason.ALLOWED if counts else Reason.ACL_LEVEL) is without.decide().reason


def test_t86_a_deny_group_outside_denies_nobody_and_frees_nobody() -> None:
    """Nor does a group outside take the place of the primary's deny group."""
    denying = group("Terminated", "Mallory/Acme", type=GroupType.DENY)
    policy = Policy(deny_access=("Terminated",))
    outside = domain(
        "Acme", holding("Mallory/Acme"), groups=[denying], group_authorization=GroupAuthorization.ALL
    )
    assert "Mallory/Acme in Acme" == decided(world(primary(), outside, policy=policy))
    assert "deny_group" == decided(
        world(
            primary(groups=[denying]),
            replace(outside, directory=Asked("Acme", [holding("Mallory/Acme")])),
            policy=policy,
        )
    )
