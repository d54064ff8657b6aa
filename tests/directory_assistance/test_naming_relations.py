"""Relations of naming rules: which covers which, which overlap, held against the names that rules match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.dn import FlatName, Name, read_name
from directory_assistance.naming import (
    NamingRule,
    RuleParts,
    SixPartRule,
    SuffixRule,
    match_rule,
    read_naming_rule,
    read_suffix_rule,
)
from directory_assistance.naming_relations import covers, matches_any_name, overlaps
from tests.support.names import CN, DC, OU, UID, C, O, dn


def rule(text: str) -> NamingRule:
    """Read `suffix o=Acme`, or a rule of six parts."""
    kind, _, rest = text.partition(" ")
    return read_suffix_rule(rest) if kind == "suffix" else read_naming_rule(text)


# --- covers


@pytest.mark.parametrize(
    ("general", "special"),
    [
        pytest.param("*/Acme", "*/West/Acme", id="the organisation covers its unit"),
        pytest.param("*", "*/Acme", id="six asterisks cover every rule"),
        pytest.param("*", "suffix dc=acme,dc=com", id="six asterisks cover every suffix"),
        pytest.param("*/Acme", "/West/Acme", id="an asterisk covers an empty part"),
        pytest.param("suffix o=Acme", "/Acme", id="a suffix covers the names without a country"),
        pytest.param("suffix o=Acme", "*/*/*/West/Acme/", id="a suffix covers the units of its organisation"),
        pytest.param("suffix ou=West,o=Acme", "*/*/*/West/Acme/", id="a suffix of two covers the same unit"),
        pytest.param("suffix c=US", "*/*/*/*/*/US", id="a suffix covers the names of its country"),
        pytest.param("suffix dc=com", "suffix dc=acme,dc=com", id="a suffix covers a longer one"),
    ],
)
def test_a_rule_covers_a_narrower_one_and_not_the_other_way_round(general: str, special: str) -> None:
    assert covers(rule(general), rule(special))
    assert not covers(rule(special), rule(general))
    assert overlaps(rule(general), rule(special))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("*/acme", "*/ACME", id="case counts for nothing"),
        pytest.param("///West/Acme/", "*/*//West/Acme/", id="nothing stands beyond an empty unit"),
        pytest.param("////Acme/", "*/*/*//Acme/", id="nothing stands beyond an empty first unit"),
    ],
)
def test_two_rules_of_one_meaning_cover_each_other(one: str, other: str) -> None:
    assert covers(rule(one), rule(other))
    assert covers(rule(other), rule(one))


@pytest.mark.parametrize(
    ("general", "special"),
    [
        pytest.param("*/West/Acme", "*/Acme", id="a unit does not cover its organisation"),
        pytest.param("*/Acme", "*", id="an organisation does not cover everybody"),
        pytest.param("*/Acme", "suffix o=Acme", id="below a suffix are names of every shape"),
        pytest.param("suffix o=Acme", "*/Acme", id="a name with a country does not end in the organisation"),
        pytest.param("suffix o=Acme", "*", id="a suffix does not cover everybody"),
        pytest.param("suffix cn=Dave,o=Acme", "/Acme", id="a suffix with a common name covers one name"),
        pytest.param("suffix dc=acme,dc=com", "*/Acme", id="a suffix of another shape covers none"),
        pytest.param("suffix ou=a+l=b,o=Acme", "/a/Acme", id="a multi-valued component is of another shape"),
        pytest.param("suffix dc=acme,dc=com", "suffix dc=com", id="a suffix does not cover a shorter one"),
        pytest.param("/West/Acme", "*/West/Acme", id="an empty part does not cover an asterisk"),
    ],
)
def test_a_rule_does_not_cover_one_with_another_name(general: str, special: str) -> None:
    assert not covers(rule(general), rule(special))


# --- overlaps


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("*/West/Acme", "*/*/*/*/Acme/US", id="a unit and a country"),
        pytest.param("*/Acme", "suffix o=Acme", id="an organisation and its suffix"),
        pytest.param("/Acme", "suffix cn=Dave,o=Acme", id="a suffix that is one name which matches"),
        pytest.param("*/*/*/*/Acme/US", "suffix c=US", id="a country as a suffix"),
        pytest.param("*/*/*/West/*/*", "*/*/East/*/*/*", id="two units at different places"),
        pytest.param("*", "suffix ou=a+l=b,o=c", id="six asterisks and any suffix"),
        pytest.param("*/*/*/*/Acme/US", "suffix o=Acme,c=US", id="organisation and country as a suffix"),
        pytest.param("*/*/*/West//", "suffix ou=West", id="a unit without an organisation"),
    ],
)
def test_rules_that_both_match_some_name_overlap(one: str, other: str) -> None:
    assert overlaps(rule(one), rule(other))
    assert overlaps(rule(other), rule(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("*/Acme", "*/Renovations", id="two organisations"),
        pytest.param("/Acme", "/West/Acme", id="an empty unit and a unit"),
        pytest.param("*/*/*/*/Acme/US", "suffix o=Acme", id="a country that the suffix has not"),
        pytest.param("*/Acme", "suffix dc=acme,dc=com", id="a suffix of another shape"),
        pytest.param(
            "/West/Acme", "suffix cn=Dave,o=Acme", id="a suffix that is one name which does not match"
        ),
        pytest.param("*/*/East/*/Acme/*", "///*/Acme/*", id="a unit beyond an empty one"),
        pytest.param("*/*/East/*/Acme/*", "*/*/*//Acme/*", id="a second unit without a first"),
        pytest.param("suffix dc=acme,dc=com", "suffix dc=corp,dc=com", id="two suffixes"),
        pytest.param("*/*/*/*/Beta/US", "suffix o=Acme,c=US", id="another organisation of the country"),
        pytest.param("*/*/*/*/West/*", "suffix ou=West", id="a unit that the rule has as an organisation"),
        pytest.param("*/*/West//Acme/*", "suffix o=Acme", id="a rule with a gap, below a suffix"),
        pytest.param("*/*/*/*/Acme/US", "suffix ou=a,ou=b,ou=c,ou=d,ou=e,c=US", id="more units than four"),
    ],
)
def test_rules_without_a_common_name_do_not_overlap(one: str, other: str) -> None:
    assert not overlaps(rule(one), rule(other))
    assert not overlaps(rule(other), rule(one))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*/West/Acme", True, id="units from the right"),
        pytest.param("/West///Acme/", False, id="a unit beyond an empty one"),
        pytest.param("*/*/West//Acme/", False, id="a second unit without a first"),
        pytest.param("///West/Acme/", True, id="empty units beyond the first"),
        pytest.param("/////", True, id="no part at all: a common name alone"),
        pytest.param("suffix dc=acme", True, id="a suffix"),
    ],
)
def test_a_rule_whose_units_have_a_gap_matches_nobody(text: str, *, expected: bool) -> None:
    assert matches_any_name(rule(text)) is expected


def test_a_suffix_with_nothing_visible_in_a_component_overlaps_six_asterisks_alone() -> None:
    """An organisation of invisible characters is not an organisation that is absent."""
    invisible = SuffixRule(suffix=dn((OU, "West"), (O, "\u200b")))
    assert not overlaps(invisible, rule("*/*/*/West//"))
    assert overlaps(invisible, rule("*"))


def test_a_suffix_without_components_relates_to_nothing() -> None:
    """No reader makes one; should one be made, it must not mean everybody."""
    empty = SuffixRule(suffix=dn())
    assert not covers(empty, rule("suffix o=Acme"))
    assert not covers(empty, rule("*/Acme"))
    assert not overlaps(empty, rule("*/Acme"))
    assert not overlaps(empty, empty)


# --- laws

PARTS = st.sampled_from(["*", "*", "", "a", "b"])
SIX_PARTS: st.SearchStrategy[RuleParts] = st.tuples(PARTS, PARTS, PARTS, PARTS, PARTS, PARTS)
SUFFIXES = st.one_of(
    st.tuples(
        st.lists(st.sampled_from("ab"), max_size=5),
        st.lists(st.sampled_from("ab"), max_size=1),
        st.lists(st.sampled_from("ab"), max_size=1),
    )
    .map(
        lambda parts: [
            *((OU, unit) for unit in parts[0]),
            *((O, o) for o in parts[1]),
            *((C, c) for c in parts[2]),
        ]
    )
    .filter(bool),
    st.lists(st.tuples(st.sampled_from([CN, OU, O, C, DC]), st.sampled_from("ab")), min_size=1, max_size=4),
)
RULES: st.SearchStrategy[NamingRule] = st.one_of(
    SIX_PARTS.map(lambda parts: SixPartRule(parts=parts)),
    SUFFIXES.map(lambda components: SuffixRule(suffix=dn(*components))),
)
NAMES: st.SearchStrategy[Name] = st.one_of(
    SUFFIXES.map(lambda rest: dn((CN, "x"), *rest)),
    SUFFIXES.map(lambda rest: dn((UID, "x"), *rest)),
    SUFFIXES.map(lambda components: dn(*components)),
    st.just(FlatName(text="x")),
    st.just(read_name("x@a")),
)


@given(RULES, RULES, NAMES)
def test_what_a_covered_rule_matches_the_covering_one_matches(
    general: NamingRule, special: NamingRule, name: Name
) -> None:
    assert not covers(general, special) or not match_rule(special, name) or match_rule(general, name)


@given(RULES, RULES, NAMES)
def test_two_rules_that_match_a_name_overlap(one: NamingRule, other: NamingRule, name: Name) -> None:
    assert overlaps(one, other) or not (match_rule(one, name) and match_rule(other, name))
    assert overlaps(one, other) is overlaps(other, one)


@given(RULES, RULES)
def test_a_rule_covers_itself_and_overlaps_what_it_covers(one: NamingRule, other: NamingRule) -> None:
    assert covers(one, one)
    assert not (covers(one, other) and matches_any_name(other)) or overlaps(one, other)


@given(RULES, RULES, RULES)
def test_covering_carries_over(one: NamingRule, other: NamingRule, third: NamingRule) -> None:
    assert not (covers(one, other) and covers(other, third)) or covers(one, third)
