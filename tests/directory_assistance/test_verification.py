"""What a verification says of a sample, over directories in memory: every answer, and what to change for each.

Real servers, and what they show before a sample is looked for, are in `test_ldap_verifying.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import BindBy, Candidate, FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.directory import LookUp
from directory_assistance.dn import FlatName, read_member, read_name
from directory_assistance.domains import AnyDomain, GroupAuthorization, PrimaryDomain, SecondaryDomain
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.groups import ExpansionLimits
from directory_assistance.naming import read_naming_rule
from directory_assistance.verification import Check, CheckRecorder, CheckResult, Sample, verify_sample
from tests.support.pki import NOW, Authority, Issued

ROOT = Authority.root(now=NOW)
DAVE = ROOT.issue("CN=Dave Lawson,O=Acme")
OTHER = ROOT.issue("CN=Dave Lawson,O=Acme")
WAYS = (FindWay(find_by=FindBy.CERTIFICATE), FindWay(find_by=FindBy.COMMON_NAME))
OK, WARNING, FAILED, SKIPPED = CheckResult.OK, CheckResult.WARNING, CheckResult.FAILED, CheckResult.SKIPPED


class Partly(MemoryDirectory):
    """A directory that does not answer a way, or cannot be asked in it."""

    silent: FindBy | None = None
    unsupported: FindBy | None = None

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        if candidate.find_by is self.silent:
            raise DirectoryUnavailable(self.domain, "connection refused")
        if candidate.find_by is self.unsupported:
            return LookUp(asked="by certificate", supported=False)
        return super().find_entries(candidate, limit=limit, deadline=deadline)


def entry(*names: str, holds: Sequence[Issued] = (DAVE,), **fields: Any) -> Entry:
    base = Entry(
        key=names[0],
        names=tuple(map(read_name, names)),
        certificates=tuple(StoredCertificate(der=issued.der) for issued in holds),
    )
    return replace(base, **fields)


def group(name: str, *members: str, type: GroupType = GroupType.MULTI) -> tuple[Group, list[Any]]:  # noqa: A002 - the word of the contract
    return Group(name=name, type=type, reference=FlatName(text=name)), [*map(read_member, members)]


DAVE_ENTRY = entry("Dave Lawson/Acme")
BASE = SecondaryDomain(
    domain="Acme",
    directory=MemoryDirectory("Acme", [DAVE_ENTRY], [group("Sales", "Dave Lawson/Acme")]),
    plan=MatchPlan(ways=WAYS),
    rules=(read_naming_rule("*/Acme", trusted=True),),
    group_authorization=GroupAuthorization.OWN,
)


def with_people(*people: Entry, **fields: Any) -> SecondaryDomain:
    return replace(BASE, directory=MemoryDirectory("Acme", people), **fields)


def checks_of(domain: AnyDomain, sample: Issued = DAVE, **options: Any) -> tuple[Check, ...]:
    recorder = CheckRecorder(lambda: 0.0)
    held = Sample(names=read_certificate_names(sample.der), anchor_id="corp")
    verify_sample(recorder, domain, held, **({"deadline": 1e12, "now": NOW} | options))  # type: ignore[arg-type]  # deviations
    for check in recorder.checks:
        assert bool(check.advice) is (check.result is not OK)
        assert "\n" not in check.found + check.advice
    return recorder.checks


def told(checks: Sequence[Check], name: str) -> list[tuple[CheckResult, str, str]]:
    return [(check.result, check.subject, check.found) for check in checks if check.name == name]


def test_a_correct_domain_has_nothing_but_ok() -> None:
    checks = checks_of(BASE)
    assert [(check.name, check.result, check.subject, check.found) for check in checks] == [
        (
            "find_by",
            OK,
            "certificate",
            "certificate is that of the certificate: 1 entry, 1 bound by certificate",
        ),
        ("find_by", OK, "common_name", "common_name is `Dave Lawson`: 1 entry, 1 bound by certificate"),
        ("owner", OK, "Dave Lawson/Acme", "found by certificate, bound by certificate"),
        ("rule", OK, "Dave Lawson/Acme", "covered by `*/*/*/*/Acme/*`"),
        ("state", OK, "Dave Lawson/Acme", "neither disabled nor locked, as far as we may read"),
        ("groups", OK, "Dave Lawson/Acme", "`Sales`"),
    ]


def test_the_primary_needs_no_rule_and_its_groups_count() -> None:
    primary = PrimaryDomain(
        domain="Acme",
        directory=MemoryDirectory("Acme", [DAVE_ENTRY], [group("Sales", "Dave Lawson/Acme")]),
        plan=BASE.plan,
    )
    checks = checks_of(primary)
    assert told(checks, "rule") == [(OK, "Dave Lawson/Acme", "the primary directory needs no rule")]
    assert told(checks, "groups") == [(OK, "Dave Lawson/Acme", "`Sales`")]


# --- the ways

ONE_UNBOUND = "common_name is `Dave Lawson`: 1 entry, 0 bound by certificate"

WAY_CASES: list[tuple[str, SecondaryDomain, tuple[CheckResult, str]]] = [
    (
        "a way that finds nobody",
        with_people(entry("Somebody Else/Acme")),
        (WARNING, "common_name is `Dave Lawson`: 0 entries, 0 bound by certificate"),
    ),
    (
        "a way that finds more than may be told",
        with_people(*(entry(f"Dave Lawson/U{number}/Acme", holds=()) for number in range(3)), size_limit=2),
        (FAILED, "common_name is `Dave Lawson`: more than 2 entries, so the certificate is `ambiguous`"),
    ),
    (
        "a way that finds two owners",
        with_people(DAVE_ENTRY, entry("Dave Lawson/West/Acme")),
        (FAILED, "common_name is `Dave Lawson`: 2 entries, 2 bound by certificate: `ambiguous`"),
    ),
    (
        "a way that finds somebody with another certificate",
        with_people(entry("Dave Lawson/Acme", holds=(OTHER,))),
        (
            WARNING,
            f"{ONE_UNBOUND}: `Dave Lawson/Acme` does not hold this certificate: it holds 1 other",
        ),
    ),
]


@pytest.mark.parametrize(
    ("domain", "expected"), [case[1:] for case in WAY_CASES], ids=[case[0] for case in WAY_CASES]
)
def test_a_way_says_what_it_finds(domain: SecondaryDomain, expected: tuple[CheckResult, str]) -> None:
    by_name = next(check for check in checks_of(domain) if check.subject == "common_name")
    assert expected == (by_name.result, by_name.found)


def test_a_way_for_which_the_sample_has_no_fact_is_skipped() -> None:
    domain = replace(BASE, plan=MatchPlan(ways=(*WAYS, FindWay(find_by=FindBy.UPN))))
    (check,) = [each for each in checks_of(domain) if each.subject == "upn"]
    assert (check.result, check.found.partition(":")[0]) == (SKIPPED, "not asked")


def test_a_way_that_this_kind_cannot_be_asked_in_is_skipped_and_the_owner_found_by_another() -> None:
    directory = Partly("Acme", [DAVE_ENTRY])
    directory.unsupported = FindBy.CERTIFICATE
    checks = checks_of(replace(BASE, directory=directory))
    assert told(checks, "find_by")[0] == (
        SKIPPED,
        "certificate",
        "this kind of directory cannot be asked so: by certificate",
    )
    assert told(checks, "owner") == [(OK, "Dave Lawson/Acme", "found by common_name, bound by certificate")]


def test_a_way_that_is_not_answered_leaves_the_owner_unknown() -> None:
    directory = Partly("Acme", [entry("Dave Lawson/Acme", holds=())])
    directory.silent = FindBy.CERTIFICATE
    checks = checks_of(replace(BASE, directory=directory))
    assert told(checks, "find_by")[0] == (FAILED, "certificate", "connection refused")
    assert told(checks, "owner") == [(SKIPPED, "sample", "not known: not every way was answered")]


# --- the owner


def test_several_owners_fail_and_are_all_told() -> None:
    checks = checks_of(with_people(DAVE_ENTRY, entry("Al Jones/Acme")))
    assert told(checks, "owner") == [
        (FAILED, "sample", "several entries are bound to it: `Al Jones/Acme` and `Dave Lawson/Acme`")
    ]


def test_nobody_fails_and_nothing_further_is_asked() -> None:
    checks = checks_of(with_people())
    assert told(checks, "owner") == [(FAILED, "sample", "no way finds an entry (`no_entry`)")]
    assert [check.name for check in checks] == ["find_by", "find_by", "owner"]


@pytest.mark.parametrize(
    ("held", "why", "advice"),
    [
        (
            (OTHER,),
            "it holds 1 other",
            "store this certificate in the entry, or choose another `bind_by` than",
        ),
        ((), "it holds none", "store the certificate in the entry, and let the identity we bind as read it"),
    ],
)
def test_an_entry_that_is_not_bound_fails_and_says_what_it_lacks(
    held: tuple[Issued, ...], why: str, advice: str
) -> None:
    checks = checks_of(with_people(entry("Dave Lawson/Acme", holds=held)))
    (owner,) = [check for check in checks if check.name == "owner"]
    assert (owner.result, owner.subject) == (FAILED, "Dave Lawson/Acme")
    assert owner.found.endswith(why)
    assert owner.advice.startswith(advice)
    assert [check.name for check in checks][-3:] == ["rule", "state", "groups"]


# --- names, state, groups

UID = "uid=1/o=acme"

NAME_CASES: list[tuple[str, SecondaryDomain, list[tuple[CheckResult, str, str]]]] = [
    (
        "a name outside the trusted rules",
        with_people(entry("Dave Lawson/Beta")),
        [
            (
                FAILED,
                "Dave Lawson/Beta",
                "no enabled trusted rule covers this name (`domain_not_trusted_for_name`)",
            )
        ],
    ),
    (
        "a reserved name",
        with_people(entry("Anonymous")),
        [(FAILED, "Anonymous", "the name is reserved, and nobody's")],
    ),
    (
        "own name and mapped name are both looked at",
        with_people(
            entry(UID, mapped_names=("CN=Dave,O=Acme",)),
            rules=(read_naming_rule("*", trusted=True),),
        ),
        [
            (OK, UID, "covered by `*/*/*/*/*/*`"),
            (OK, "Dave/Acme", "covered by `*/*/*/*/*/*`"),
        ],
    ),
    (
        "several mapped names",
        with_people(entry(UID, mapped_names=("CN=A,O=Acme", "CN=B,O=Acme"))),
        [(FAILED, UID, "the name attribute has 2 values (`ambiguous`)")],
    ),
    (
        "a mapped name that is none",
        with_people(entry(UID, mapped_names=("Dave",))),
        [(FAILED, UID, "the name attribute holds no distinguished name")],
    ),
]


@pytest.mark.parametrize(
    ("domain", "expected"), [case[1:] for case in NAME_CASES], ids=[case[0] for case in NAME_CASES]
)
def test_the_names_of_the_entry_must_be_the_domains(
    domain: SecondaryDomain, expected: list[tuple[CheckResult, str, str]]
) -> None:
    found = [
        (result, subject, text.partition(": ")[0])
        for result, subject, text in told(checks_of(domain), "rule")
    ]
    assert expected == found


STATES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[CheckResult, str]]] = [
    ("disabled", {"disabled": True}, {}, (FAILED, "disabled or locked (`entry_disabled`)")),
    (
        "expired this very instant",
        {"expires": NOW},
        {},
        (FAILED, f"expired at {NOW.isoformat()} (`entry_disabled`)"),
    ),
    (
        "still to expire",
        {"expires": NOW + timedelta(seconds=1)},
        {},
        (OK, "neither disabled nor locked, as far as we may read"),
    ),
    (
        "to expire at all, where nobody says what time it is",
        {"expires": NOW + timedelta(days=1)},
        {"now": None},
        (FAILED, f"expired at {(NOW + timedelta(days=1)).isoformat()} (`entry_disabled`)"),
    ),
]


@pytest.mark.parametrize(
    ("fields", "options", "expected"), [case[1:] for case in STATES], ids=[case[0] for case in STATES]
)
def test_t57_the_state_of_the_entry_is_that_of_a_search(
    fields: dict[str, Any], options: dict[str, Any], expected: tuple[CheckResult, str]
) -> None:
    ((result, _subject, found),) = told(
        checks_of(with_people(replace(DAVE_ENTRY, **fields)), **options), "state"
    )
    assert expected == (result, found)


def in_groups(*groups: tuple[Group, list[Any]], **fields: Any) -> tuple[CheckResult, str]:
    domain = replace(BASE, directory=MemoryDirectory("Acme", [DAVE_ENTRY], groups), **fields)
    ((result, _subject, found),) = told(checks_of(domain), "groups")
    return result, found


def test_groups_are_shown_up_to_ten_of_them() -> None:
    groups = [group(f"G{number:02}", "Dave Lawson/Acme") for number in range(12)]
    assert in_groups(*groups[:1]) == (OK, "`G00`")
    assert in_groups() == (OK, "none")
    ten = ", ".join(f"`G{number:02}`" for number in range(10))
    assert in_groups(*groups[:10]) == (OK, ten)
    assert in_groups(*groups) == (OK, f"{ten} and 2 more")


def test_groups_that_do_not_count_are_not_shown() -> None:
    letters = group("Letters", "Dave Lawson/Acme", type=GroupType.MAIL)
    assert in_groups(letters, group("*", "Dave Lawson/Acme")) == (OK, "none")


def test_groups_of_a_domain_that_count_for_nobody_are_not_asked_for() -> None:
    assert in_groups(group_authorization=GroupAuthorization.NONE) == (
        SKIPPED,
        "groups of this domain count for nobody",
    )


def test_groups_beyond_a_limit_fail() -> None:
    nested = [group("Inner", "Dave Lawson/Acme"), group("Outer", "Inner")]
    assert in_groups(*nested, expansion=ExpansionLimits(max_depth=1)) == (
        FAILED,
        "groups are nested deeper than 1 levels",
    )


def test_groups_are_looked_for_by_the_mapped_name_in_the_primary_and_by_the_own_name_elsewhere() -> None:
    mapped = entry(UID, mapped_names=("CN=Dave,O=Acme",))
    groups = [group("By own name", UID), group("By mapped name", "Dave/Acme")]
    directory = MemoryDirectory("Acme", [mapped], groups)
    primary = PrimaryDomain(domain="Acme", directory=directory, plan=BASE.plan)
    assert told(checks_of(primary), "groups")[0][2] == "`By mapped name`"
    assert told(checks_of(replace(BASE, directory=directory)), "groups")[0][2] == "`By own name`"


def test_a_binding_by_what_the_ca_states_is_told_with_the_anchor() -> None:
    by_name = MatchPlan(ways=WAYS[1:], bind_by=BindBy.NAME, issued_by=frozenset({"partner"}))
    ((result, _subject, found),) = told(checks_of(replace(BASE, plan=by_name)), "owner")
    assert (result, found) == (
        FAILED,
        "found, but not bound (`certificate_differs`): the path ends in anchor `corp`, and issued_by allows `partner`",
    )
