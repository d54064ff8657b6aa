"""What only a memory directory does: judging filters by itself, and facts that other kinds keep elsewhere."""

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import FilterCandidate, SidCandidate, SubjectCandidate
from directory_assistance.directory import LookUp
from directory_assistance.dn import FlatName, read_ldap_dn
from directory_assistance.entry import Entry
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    Filter,
    Not,
    Operator,
    Or,
    Present,
    Substring,
)
from directory_assistance.judging import match_filter
from tests.support.directories import deadline

ADA = Entry(
    key="1",
    names=(read_ldap_dn("CN=Ada Byron,O=Acme"), FlatName(text="Ada")),
    mapped_names=("CN=Ada Mapped,O=Acme", "no name at all"),
    display_name="Ada B.",
    mails=("ada@acme.com",),
    sid="S-1-5-21-1-2-3-4",
)
ATTRIBUTES = {
    "employeeNumber": ["A-17"],
    "userCertificate": [b"\x30\xff".decode("utf-8", "surrogateescape")],
    "description": ["\ud800"],
}
DIRECTORY = MemoryDirectory("Acme", [ADA], attributes={"1": ATTRIBUTES})


def ask(wanted: Filter) -> LookUp:
    return DIRECTORY.find_entries(FilterCandidate(filter=wanted), limit=2, deadline=deadline())


def sub(attribute: str, initial: str = "", *middle: str, final: str = "") -> Substring:
    return Substring(attribute=attribute, initial=initial, middle=middle, final=final)


FILTERS: list[tuple[Filter, bool]] = [
    (Equality(attribute="employeenumber", value="a-17"), True),
    (Equality(attribute="employeeNumber", value=b"A-17"), True),
    (Equality(attribute="employeeNumber", value=b"a-17"), False),
    (Equality(attribute="employeeNumber", value="A-1"), False),
    (Equality(attribute="userCertificate;binary", value=b"\x30\xff"), True),
    (Equality(attribute="userCertificate", value=b"\x30\xff"), True),
    (Equality(attribute="userCertificate;binary", value=b"\x30\xfe"), False),
    (Equality(attribute="userCertificate;other", value=b"\x30\xff"), False),
    (Equality(attribute="description", value=b"\xed\xa0\x80"), False),
    (Equality(attribute="objectClass", value="person"), True),
    (Equality(attribute="displayName", value="ada  b."), True),
    (Equality(attribute="cn", value="Ada"), True),
    (Present(attribute="mail"), True),
    (Present(attribute="telephoneNumber"), False),
    (sub("mail", "ada", final="com"), True),
    (sub("mail", "", "@", "acme", final="com"), True),
    (sub("mail", "", "acme", "@"), False),
    (sub("mail", "da"), False),
    (sub("mail", final="co"), False),
    (sub("employeeNumber", "A-17", final="7"), False),
    (sub("telephoneNumber", "1"), False),
    (And(parts=(Present(attribute="mail"), Equality(attribute="cn", value="Ada"))), True),
    (And(parts=(Present(attribute="mail"), Equality(attribute="cn", value="Eve"))), False),
    (Or(parts=(Equality(attribute="cn", value="Eve"), Equality(attribute="cn", value="Ada"))), True),
    (Or(parts=(Equality(attribute="cn", value="Eve"),)), False),
    (Not(part=Equality(attribute="cn", value="Eve")), True),
    (Not(part=Equality(attribute="cn", value="Ada")), False),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_a_filter_is_judged_as_a_server_would(wanted: Filter, expected: bool) -> None:
    found = ask(wanted)
    assert (found.supported, bool(found.entries)) == (True, expected)


ORDERING = Comparison(attribute="cn", operator=Operator.AT_LEAST, value="A")
RULE = Extensible(attribute="cn", rule="caseExactMatch", value="Ada")


@pytest.mark.parametrize(
    "wanted",
    [ORDERING, RULE, And(parts=(Present(attribute="cn"), ORDERING)), Or(parts=(RULE,)), Not(part=ORDERING)],
)
def test_a_filter_that_needs_a_schema_is_not_answered(wanted: Filter) -> None:
    found = ask(wanted)
    assert (found.supported, found.entries) == (False, ())


@pytest.mark.parametrize("wanted", [ORDERING, RULE])
def test_what_needs_a_schema_matches_nobody_though_somebody_has_the_attribute(wanted: Filter) -> None:
    """Whoever judges without having asked whether that can be done finds nobody, and never everybody."""
    assert not match_filter(wanted, {"cn": ("Ada",)})
    assert match_filter(Present(attribute="cn"), {"cn": ("Ada",)})


def test_a_security_identifier_finds_its_owner() -> None:
    answers = {
        sid: len(DIRECTORY.find_entries(SidCandidate(sid=sid), limit=2, deadline=deadline()).entries)
        for sid in ("S-1-5-21-1-2-3-4", "S-1-5-21-1-2-3-5")
    }
    assert answers == {"S-1-5-21-1-2-3-4": 1, "S-1-5-21-1-2-3-5": 0}


@pytest.mark.parametrize(("dn", "expected"), [("cn=ada mapped,o=acme", 1), ("cn=eve,o=acme", 0)])
def test_a_mapped_name_finds_its_owner(dn: str, expected: int) -> None:
    found = DIRECTORY.find_entries(SubjectCandidate(dn=read_ldap_dn(dn)), limit=2, deadline=deadline())
    assert len(found.entries) == expected


def test_a_filter_that_cannot_be_printed_is_judged_all_the_same() -> None:
    found = ask(Equality(attribute="no attribute", value="x"))
    assert (found.asked, found.entries) == ("a filter that cannot be printed", ())
