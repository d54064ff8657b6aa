"""Naming rules: a case for every sentence of "Naming rules" in the semantics, and the laws of rules."""

from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.dn import (
    DistinguishedName,
    FlatName,
    InternetName,
    Name,
    NameSyntaxError,
    read_ldap_dn,
    read_name,
)
from directory_assistance.naming import (
    NamingRule,
    RuleParts,
    SixPartRule,
    SuffixRule,
    ambiguous_country_warning,
    match_rule,
    most_specific_match,
    read_naming_rule,
    read_suffix_rule,
    render_rule,
    specificity,
)
from tests.support.names import CN, OU, O, dn


class Reader(Protocol):
    """What both readers of rules have in common."""

    def __call__(self, text: str, *, enabled: bool = True, trusted: bool = False) -> NamingRule: ...


def suffix(text: str) -> SuffixRule:
    return read_suffix_rule(text, trusted=True)


def rule(text: str) -> SixPartRule:
    return read_naming_rule(text, trusted=True)


# --- reading and printing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*", "*/*/*/*/*/*", id="`*` is all six asterisks"),
        pytest.param("*/Renovations", "*/*/*/*/Renovations/*", id="the last part of a short form is O"),
        pytest.param(
            "*/Sales/Renovations",
            "*/*/*/Sales/Renovations/*",
            id="the part before the last of a short form is OU1",
        ),
        pytest.param("*/East/Sales/Acme", "*/*/East/Sales/Acme/*", id="the part before that is OU2"),
        pytest.param("*/X/East/Sales/Acme", "*/X/East/Sales/Acme/*", id="the part before that is OU3"),
        pytest.param(
            "X/A/B/C/Acme", "X/A/B/C/Acme/", id="a short form without a leading / or * has up to four OU"
        ),
        pytest.param(
            "/Renovations", "////Renovations/", id="without the leading * the parts not named are empty"
        ),
        pytest.param("/Sales/Renovations", "///Sales/Renovations/", id="/Sales/Renovations has empty parts"),
        pytest.param(
            "Sales/Renovations", "///Sales/Renovations/", id="the leading / of a short form may be left out"
        ),
        pytest.param("Renovations", "////Renovations/", id="one part alone is O"),
        pytest.param("*/US", "*/*/*/*/US/*", id="a short form never guesses a country"),
        pytest.param("*/*/Renovations", "*/*/*/*/Renovations/*", id="a later * is a named part"),
        pytest.param("/*/Renovations", "///*/Renovations/", id="a later * leaves the parts not named empty"),
        pytest.param("*/*", "*/*/*/*/*/*", id="two asterisks are six"),
        pytest.param(
            "*/*/*/Sales/Renovations/US", "*/*/*/Sales/Renovations/US", id="a country is named in six parts"
        ),
        pytest.param("*/A/B/C/D/US", "*/A/B/C/D/US", id="six parts are six parts, even with a leading *"),
        pytest.param("/A/B/C/D/US", "/A/B/C/D/US", id="six parts are six parts, even with a leading /"),
        pytest.param("///Sales/Renovations/", "///Sales/Renovations/", id="a part may be empty"),
        pytest.param(
            " / / /Sales/Renovations/ ", "///Sales/Renovations/", id="an empty part may be one space"
        ),
        pytest.param("/////", "/////", id="all parts may be empty"),
        pytest.param(
            "*/OU=Sales/O=Renovations/C=US",
            "*/*/*/Sales/Renovations/US",
            id="a country is named with keywords",
        ),
        pytest.param(
            "*/O=Renovations", "*/*/*/*/Renovations/*", id="keywords: a leading * for the parts not named"
        ),
        pytest.param("/O=Renovations", "////Renovations/", id="keywords: a leading / for empty parts"),
        pytest.param("O=Renovations", "////Renovations/", id="keywords: nothing before them for empty parts"),
        pytest.param("*/OU=Sales", "*/*/*/Sales/*/*", id="keywords: O may be left out"),
        pytest.param("*/C=US", "*/*/*/*/*/US", id="keywords: C alone"),
        pytest.param("*/O=Acme/C=", "*/*/*/*/Acme/", id="keywords: an empty value is an empty part"),
        pytest.param("/OU=*/O=Acme/C=*", "///*/Acme/*", id="keywords: an asterisk is an asterisk"),
        pytest.param(
            "*/OU=4/OU=3/OU=2/OU=1/O=Acme/C=US",
            "4/3/2/1/Acme/US",
            id="keywords: four OU, leaf first, fill all parts",
        ),
        pytest.param(
            "* / ou = Sales / o = Acme", "*/*/*/Sales/Acme/*", id="keywords: case and spaces do not count"
        ),
        pytest.param("O=Acme, Inc", "////Acme, Inc/", id="keywords: a comma is ordinary"),
        pytest.param(
            '*/"Sales/East"/Acme', '*/*/*/Sales"/"East/Acme/*', id="literals are escaped with quotes"
        ),
        pytest.param("*/Sales$/East/Acme", '*/*/*/Sales"/"East/Acme/*', id="literals are escaped with $"),
        pytest.param('*/A"="B', '*/*/*/*/A"="B/*', id="an escaped = is no keyword"),
        pytest.param("*/O=A$=B", '*/*/*/*/A"="B/*', id="an escaped = after a keyword is in its value"),
    ],
)
def test_every_rule_is_printed_in_six_parts(text: str, expected: str) -> None:
    assert expected == render_rule(read_naming_rule(text))
    assert read_naming_rule(text) == read_naming_rule(expected)


FORM = "found `"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected no empty part in a short rule (write all six parts, `OU4/OU3/OU2/OU1/O/C`), found ``"),
        ("/", "expected no empty part in a short rule"),
        ("*/", "expected no empty part in a short rule"),
        ("*/Renovations/", "expected no empty part in a short rule"),
        ("*//Renovations", "expected no empty part in a short rule"),
        ("//Renovations", "expected no empty part in a short rule"),
        ("a/b/c/d/e/f/g", "expected at most six parts (`OU4/OU3/OU2/OU1/O/C`), found `a/b/c/d/e/f/g`"),
        ("*/a/b/c/d/e/f", "expected at most six parts"),
        ("Sal*/Acme", "expected `*` only as a whole part (`*/Sales/Renovations`, not `Sal*/Renovations`)"),
        ("**/Acme", "expected `*` only as a whole part"),
        ('"*"/Acme', "expected `*` only as a whole part"),
        ("\N{FULLWIDTH ASTERISK}/Acme", "expected `*` only as a whole part"),
        ("*/O=A*", "expected `*` only as a whole part"),
        ("\u200b/Acme", "expected parts with something visible in them, found `\\u200b/Acme`"),
        (
            '6" pipe/Acme',
            'expected quotes in pairs around something (three of them mean a quote itself), found `6" ',
        ),
        (
            "a\0/Acme",
            "expected a rule without control characters and unpaired surrogates, found `a\\x00/Acme`",
        ),
        ("\ud800/Acme", "expected a rule without control characters and unpaired surrogates"),
        (
            "*/DC=acme",
            "expected OU, O or C instead of `DC` (other trees need a `suffix` rule), found `*/DC=acme`",
        ),
        ("*/CN=Dave/O=Acme", "expected OU, O or C instead of `CN`"),
        ("*/=Acme", "expected OU, O or C instead of ``"),
        (
            "*/O=Acme/US",
            "expected one keyword in every part after the first (`*/OU=Sales/O=Renovations/C=US`)",
        ),
        ("*/*/O=Acme", "expected one keyword in every part after the first"),
        ("Sales/O=Acme", "expected one keyword in every part after the first"),
        ('"*"/O=Acme', "expected one keyword in every part after the first"),
        ("OU=Sales,O=Acme", "expected one keyword in every part after the first"),
        ("*/C=US/O=Acme", "expected up to four OU, leaf first, then O, then C, the last two at most once"),
        ("*/O=Acme/OU=Sales", "expected up to four OU, leaf first, then O, then C"),
        ("*/C=US/OU=Sales", "expected up to four OU, leaf first, then O, then C"),
        ("*/O=Acme/O=Acme", "expected up to four OU, leaf first, then O, then C"),
        ("*/C=US/C=US", "expected up to four OU, leaf first, then O, then C"),
        ("*/OU=1/OU=2/OU=3/OU=4/OU=5", "expected up to four OU, leaf first, then O, then C"),
    ],
)
def test_a_text_that_is_no_rule_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(NameSyntaxError) as caught:
        read_naming_rule(text)
    assert str(caught.value).startswith(expected)
    assert FORM in str(caught.value)


def test_a_rule_has_4096_characters_at_most() -> None:
    assert read_naming_rule("x" * 4_096).parts[4] == "x" * 4_096
    with pytest.raises(NameSyntaxError, match="expected a rule of at most 4096 characters, found `x"):
        read_naming_rule("x" * 4_097)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "ou=staff,dc=acme,dc=com", "OU=staff,DC=acme,DC=com", id="a suffix is a distinguished name"
        ),
        pytest.param("o=airius.com", "O=airius.com", id="a suffix may have one component"),
        pytest.param("ou=staff/dc=acme/dc=com", "OU=staff,DC=acme,DC=com", id="a suffix may have slashes"),
        pytest.param(
            "o=a\\2Fb,c=us", "O=a\\2Fb,C=us", id="a slash in a value is printed so that it reads back"
        ),
        pytest.param('o=6\\" pipe', 'O=6\\" pipe', id="a quote in a value is printed so that it reads back"),
    ],
)
def test_a_suffix_rule_is_printed_as_it_is_read(text: str, expected: str) -> None:
    assert expected == render_rule(read_suffix_rule(text))
    assert read_suffix_rule(text) == read_suffix_rule(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a suffix with keywords, such as `ou=staff,dc=acme,dc=com`, found ``"),
        (
            "Sales/Acme",
            "expected a suffix with keywords, such as `ou=staff,dc=acme,dc=com`, found `Sales/Acme`",
        ),
        ('o"="x', "expected a suffix with keywords"),
        ("*", "expected a suffix with keywords"),
        ("o=*", "expected a suffix without `*` (every name that ends in it matches), found `o=*`"),
        ("ou=a+o=*,c=us", "expected a suffix without `*`"),
        ("o=Ac\N{FULLWIDTH ASTERISK}me", "expected a suffix without `*`"),
        ("*,o=acme", "expected an attribute type such as `CN` or `2.5.4.3` before `=` instead of `*,o`"),
        ("o=", "expected a value that is not blank in every component, found `o=`"),
        ("o=acme,", "expected `type=value` in every component"),
    ],
)
def test_a_text_that_is_no_suffix_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(NameSyntaxError) as caught:
        read_suffix_rule(text)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(("read", "text"), [(read_naming_rule, "*"), (read_suffix_rule, "o=x")])
def test_a_rule_is_enabled_and_not_trusted_unless_it_says_so(read: Reader, text: str) -> None:
    plain, disabled, trusted = read(text), read(text, enabled=False), read(text, trusted=True)
    assert (plain.enabled, plain.trusted) == (True, False)
    assert (disabled.enabled, disabled.trusted) == (False, False)
    assert (trusted.enabled, trusted.trusted) == (True, True)


def test_a_rule_made_without_flags_is_enabled_and_not_trusted() -> None:
    anything = SixPartRule(parts=("*", "*", "*", "*", "*", "*"))
    by_suffix = SuffixRule(suffix=read_ldap_dn("o=x"))
    assert (anything.enabled, anything.trusted) == (by_suffix.enabled, by_suffix.trusted) == (True, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*/Sales/US", True, id="the last part of a short rule has two letters"),
        pytest.param("*/us", True, id="in lower case too"),
        pytest.param("/Sales/US", True, id="with a leading slash"),
        pytest.param("Sales/US", True, id="without a leading slash"),
        pytest.param("US", True, id="alone"),
        pytest.param("*/Sales/ US ", True, id="spaces do not count"),
        pytest.param("*/Sales/USA", False, id="three letters"),
        pytest.param("*/Sales/U", False, id="one letter"),
        pytest.param("*/Sales/U1", False, id="a letter and a digit"),
        pytest.param("*/Sales/ÄÖ", False, id="letters beyond ASCII"),
        pytest.param("*/*/*/*/US/*", False, id="six parts say where they stand"),
        pytest.param("*/*/*/*/Acme/US", False, id="six parts with a country"),
        pytest.param("*/O=US", False, id="keywords say what they are"),
        pytest.param("*/*/*/OU=a/O=US/C=*", False, id="no rule, though there are six parts"),
        pytest.param("OU=1/OU=2/OU=3/OU=4/O=US/C=de", False, id="six parts with keywords"),
        pytest.param("*", False, id="no part is named"),
        pytest.param("", False, id="no rule at all"),
        pytest.param("\0", False, id="no readable text"),
    ],
)
def test_a_warning_is_due_when_the_last_part_of_a_short_rule_has_two_letters(
    text: str, *, expected: bool
) -> None:
    assert expected is ambiguous_country_warning(text)


# --- matching


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        # each part is a literal
        pytest.param("*/*/*/Sales/Acme/*", "Dave/Sales/Acme", True, id="a literal matches its text"),
        pytest.param("*/*/*/Sales/Acme/*", "Dave/East/Acme", False, id="a literal matches no other text"),
        pytest.param("*/*/*/Sales/Acme/*", "Dave/Acme", False, id="a literal does not match an absent part"),
        pytest.param("*/*/*/SALES/acme/*", "Dave/sales/ACME", True, id="a literal matches in any case"),
        pytest.param("*/Stra\u00dfe  1", "Dave/STRASSE 1", True, id="a literal matches prepared text"),
        pytest.param(
            "*/Sales/Acme", "Dave/Sale/Acme", False, id="a literal does not match the beginning of itself"
        ),
        # `*` (anything, absent included)
        pytest.param("*/*/*/*/Acme/US", "Dave/Acme/US", True, id="* matches an absent unit"),
        pytest.param("*/*/*/*/Acme/US", "Dave/4/3/2/1/Acme/US", True, id="* matches any unit"),
        pytest.param("*/Acme", "Dave/Acme", True, id="* matches an absent country"),
        pytest.param("*/Acme", "Dave/Acme/US", True, id="* matches any country"),
        pytest.param("*/*/*/*/*/US", "CN=Dave/C=US", True, id="* matches an absent organisation"),
        # or empty (nothing may stand there)
        pytest.param("////Acme/", "Dave/Acme", True, id="an empty part matches an absent one"),
        pytest.param("////Acme/", "Dave/Sales/Acme", False, id="an empty OU1 matches no unit"),
        pytest.param("////Acme/", "Dave/Acme/US", False, id="an empty C matches no country"),
        pytest.param("*/*/*/*//US", "Dave/Acme/US", False, id="an empty O matches no organisation"),
        pytest.param(
            "///Sales/Acme/", "Dave/East/Sales/Acme", False, id="an empty OU2 matches no second unit"
        ),
        pytest.param(
            "//*/Sales/Acme/", "Dave/X/East/Sales/Acme", False, id="an empty OU3 matches no third unit"
        ),
        pytest.param("/*/*/*/Acme/", "Dave/4/3/2/1/Acme", False, id="an empty OU4 matches no fourth unit"),
        pytest.param("/*/*/*/Acme/", "Dave/3/2/1/Acme", True, id="an empty OU4 matches three units"),
        # each position
        pytest.param("4/3/2/1/Acme/US", "Dave/4/3/2/1/Acme/US", True, id="every part in its place"),
        pytest.param("X/3/2/1/Acme/US", "Dave/4/3/2/1/Acme/US", False, id="OU4 in its place"),
        pytest.param("4/X/2/1/Acme/US", "Dave/4/3/2/1/Acme/US", False, id="OU3 in its place"),
        pytest.param("4/3/X/1/Acme/US", "Dave/4/3/2/1/Acme/US", False, id="OU2 in its place"),
        pytest.param("4/3/2/X/Acme/US", "Dave/4/3/2/1/Acme/US", False, id="OU1 in its place"),
        pytest.param("4/3/2/1/X/US", "Dave/4/3/2/1/Acme/US", False, id="O in its place"),
        pytest.param("4/3/2/1/Acme/X", "Dave/4/3/2/1/Acme/US", False, id="C in its place"),
        # short forms as documented
        pytest.param("*/Renovations", "Dave Lawson/Renovations", True, id="*/Renovations trusts Dave Lawson"),
        pytest.param("*/Renovations", "Dave Lawson/Acme", False, id="*/Renovations trusts nobody of Acme"),
        pytest.param(
            "*/*/*/*/renovations/us", "CN=jack brown,O=renovations,C=us", True, id="the documented US"
        ),
        pytest.param(
            "*/*/*/*/renovations/us", "CN=jack brown,O=renovations,C=fr", False, id="the documented FR"
        ),
        pytest.param(
            "/Sales/Renovations", "Dave/Sales/Renovations", True, id="/Sales/Renovations is that branch"
        ),
        pytest.param(
            "/Sales/Renovations", "Dave/East/Sales/Renovations", False, id="/Sales/Renovations goes no deeper"
        ),
        pytest.param(
            "*/Sales/Renovations", "Dave/East/Sales/Renovations", True, id="*/Sales/Renovations goes deeper"
        ),
        pytest.param("*/US", "Dave/Acme/US", False, id="a short form never means a country"),
        pytest.param("*/US", "Dave/US", True, id="a short form of two letters means an organisation"),
        # any name that is not CN, up to four OU, O, C matches only all-asterisk
        pytest.param("*", "Dave/5/4/3/2/1/Acme", True, id="all-asterisk matches five units"),
        pytest.param("*/Acme", "Dave/5/4/3/2/1/Acme", False, id="another rule does not match five units"),
        pytest.param("*", "uid=x,ou=Sales,o=Acme", True, id="all-asterisk matches a UID"),
        pytest.param("*/Sales/Acme", "uid=x,ou=Sales,o=Acme", False, id="another rule does not match a UID"),
        pytest.param("*", "cn=x,dc=acme,dc=com", True, id="all-asterisk matches a DC"),
        pytest.param("*/*/*/*/*/", "cn=x,dc=acme,dc=com", False, id="five asterisks do not match a DC"),
        pytest.param("/////", "cn=x,dc=acme,dc=com", False, id="six empty parts do not match a DC"),
        pytest.param("*", "ou=Sales,o=Acme", True, id="all-asterisk matches a name without CN"),
        pytest.param("*/Acme", "ou=Sales,o=Acme", False, id="another rule does not match a name without CN"),
        pytest.param("*/Acme", "cn=x,cn=y,o=Acme", False, id="another rule does not match two CN"),
        pytest.param("*/Acme", "cn=x,o=Acme,o=Acme", False, id="another rule does not match two O"),
        pytest.param("*/Acme", "cn=x,o=Acme,ou=Sales", False, id="another rule does not match another order"),
        pytest.param(
            "*/Acme", "cn=x+uid=y,o=Acme", False, id="another rule does not match a multi-valued component"
        ),
        pytest.param("*", "Dave", True, id="all-asterisk matches a flat name"),
        pytest.param("*/Dave", "Dave", False, id="another rule does not match a flat name"),
        pytest.param("/////", "Dave", False, id="six empty parts do not match a flat name"),
        pytest.param("*", "dave@acme.com", True, id="all-asterisk matches an Internet name"),
        pytest.param("*/acme.com", "dave@acme.com", False, id="another rule does not match an Internet name"),
    ],
)
def test_matching_a_six_part_rule(text: str, name: str, *, expected: bool) -> None:
    assert expected is match_rule(read_naming_rule(text), read_name(name))


def test_a_blank_part_of_a_name_is_not_an_absent_part() -> None:
    assert not match_rule(rule("////Acme/"), dn((CN, "Dave"), (OU, " "), (O, "Acme")))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        pytest.param(
            "o=airius.com", "uid=675894,ou=boston,o=airius.com", True, id="a name that ends in the suffix"
        ),
        pytest.param("OU=Boston,O=AIRIUS.com", "uid=675894,ou=boston,o=airius.com", True, id="in any case"),
        pytest.param("ou=boston,o=airius.com", "ou=boston,o=airius.com", True, id="the suffix itself"),
        pytest.param("ou=boston,o=airius.com", "o=airius.com", False, id="a name shorter than the suffix"),
        pytest.param(
            "ou=boston,o=airius.com", "uid=1,ou=rome,o=airius.com", False, id="a name of another branch"
        ),
        pytest.param(
            "o=airius.com", "uid=1,o=airius.com,c=us", False, id="a name that goes on after the suffix"
        ),
        pytest.param("o=airius.com", "uid=1,ou=airius.com", False, id="the text under another type"),
        pytest.param(
            "dc=acme,dc=com", "cn=x,dc=notacme,dc=com", False, id="the end of a value is not the value"
        ),
        pytest.param("dc=acme,dc=com", "cn=x,dc=com,dc=acme", False, id="the sequence counts"),
        pytest.param("ou=a+l=b,o=c", "cn=x,l=b+ou=a,o=c", True, id="a multi-valued component is a set"),
        pytest.param("o=Acme", "Dave/Sales/Acme", True, id="a Notes name"),
        pytest.param("o=Acme", "Acme", False, id="a flat name has no end"),
        pytest.param("o=Acme", "dave@acme", False, id="an Internet name has no end"),
    ],
)
def test_a_suffix_rule_matches_a_name_that_ends_in_that_sequence(
    text: str, name: str, *, expected: bool
) -> None:
    assert expected is match_rule(suffix(text), read_name(name))


def test_a_suffix_without_components_matches_nobody() -> None:
    nothing = SuffixRule(suffix=DistinguishedName(rdns=()), trusted=True)
    for name in (read_name("Dave/Acme"), FlatName(text="Dave"), InternetName(text="d@x"), nothing.suffix):
        assert not match_rule(nothing, name)


def test_matching_does_not_look_at_the_flags() -> None:
    assert match_rule(read_naming_rule("*", enabled=False), FlatName(text="Dave"))
    assert match_rule(read_suffix_rule("o=x", enabled=False), read_ldap_dn("cn=a,o=x"))


# --- which is more specific


@pytest.mark.parametrize(
    ("more", "less"),
    [
        pytest.param("*/Renovations", "*", id="more literal parts: one before none"),
        pytest.param("*/Sales/Renovations", "*/Renovations", id="more literal parts: two before one"),
        pytest.param("*/*/*/East/Sales/*", "///*/Acme/", id="more literals before more empty parts"),
        pytest.param("4/3/2/1/Acme/US", "*/3/2/1/Acme/US", id="more literal parts: six before five"),
        pytest.param("///Sales/Acme/", "*/Sales/Acme", id="then more empty parts"),
        pytest.param("//*/Sales/Acme/", "*/*/*/Sales/Acme/", id="then more empty parts: three before one"),
        pytest.param("/*/*/*/*/", "*/*/*/*/*/", id="empty parts count without literals"),
        pytest.param("*/*/*/*/*/US", "*/*/*/*/Acme/*", id="then the right-most literal first: C before O"),
        pytest.param(
            "*/*/*/*/Acme/*", "*/*/*/Sales/*/*", id="then the right-most literal first: O before OU1"
        ),
        pytest.param(
            "*/*/*/Sales/*/*", "*/*/East/*/*/*", id="then the right-most literal first: OU1 before OU2"
        ),
        pytest.param("*/*/East/*/*/*", "*/X/*/*/*/*", id="then the right-most literal first: OU2 before OU3"),
        pytest.param("*/X/*/*/*/*", "Y/*/*/*/*/*", id="then the right-most literal first: OU3 before OU4"),
        pytest.param("*/*/*/*/Acme/US", "*/*/*/Sales/*/US", id="then the next literal from the right"),
        pytest.param("Y/*/*/*/*/US", "*/*/*/Sales/Acme/*", id="a literal C before a literal O and OU1"),
    ],
)
def test_the_more_specific_of_two_six_part_rules(more: str, less: str) -> None:
    assert specificity(rule(more)) > specificity(rule(less))


def test_a_suffix_rule_counts_one_literal_per_component() -> None:
    assert specificity(suffix("ou=staff,dc=acme,dc=com")) > specificity(rule("*/Sales/Acme"))
    assert specificity(rule("*/*/*/Sales/Acme/US")) > specificity(suffix("dc=acme,dc=com"))
    assert specificity(suffix("uid=1,ou=2,ou=3,ou=4,ou=5,ou=6,o=7")) > specificity(rule("4/3/2/1/Acme/US"))


def test_a_suffix_rule_is_less_specific_than_as_many_literals_with_an_empty_part() -> None:
    assert specificity(rule("///Sales/Acme/")) > specificity(suffix("dc=acme,dc=com"))


def test_the_literals_of_a_suffix_rule_stand_at_the_right() -> None:
    assert specificity(suffix("o=acme,c=us")) == specificity(rule("*/*/*/*/Acme/US"))
    assert specificity(suffix("dc=acme,dc=com")) > specificity(rule("*/Sales/Acme"))


def test_specificity_is_what_the_order_says() -> None:
    assert specificity(rule("//*/Sales/Acme/")) == (2, 3, (False, True, True, False, False, False))
    assert specificity(suffix("dc=acme,dc=com")) == (2, 0, (True, True, False, False, False, False))
    assert specificity(rule("*")) == (0, 0, (False,) * 6)


def test_the_documented_example_asks_the_sales_directory_first() -> None:
    name = read_name("Phyllis Spera/Sales/Renovations")
    sales, renovations = rule("/Sales/Renovations"), rule("*/Renovations")
    assert most_specific_match([renovations, sales], name) is sales


def test_only_rules_that_are_enabled_trusted_and_match_are_considered() -> None:
    name = read_name("Dave/Sales/Acme")
    anything = rule("*")
    others: list[NamingRule] = [
        read_naming_rule("*/Sales/Acme", trusted=False),
        read_naming_rule("*/Sales/Acme", enabled=False, trusted=True),
        rule("*/East/Acme"),
        read_suffix_rule("ou=Sales,o=Acme", trusted=False),
        read_suffix_rule("ou=Sales,o=Acme", enabled=False, trusted=True),
        suffix("ou=East,o=Acme"),
    ]
    assert most_specific_match([*others, anything], name) is anything
    assert most_specific_match(others, name) is None


def test_the_first_of_equally_specific_rules_is_taken() -> None:
    name = read_name("Dave/Acme/US")
    six_parts, by_suffix = rule("*/*/*/*/Acme/US"), suffix("o=Acme,c=US")
    assert most_specific_match([six_parts, by_suffix], name) is six_parts
    assert most_specific_match([by_suffix, six_parts], name) is by_suffix


def test_no_rules_match_nobody() -> None:
    assert most_specific_match([], read_name("Dave/Acme")) is None


# --- laws

LITERALS = st.text(alphabet='ab/="$@ ,\\+ÄÖß', min_size=1, max_size=4).filter(lambda text: bool(text.strip()))
PARTS = st.one_of(st.sampled_from(["*", ""]), LITERALS.map(str.strip))
SIX_PARTS: st.SearchStrategy[RuleParts] = st.tuples(PARTS, PARTS, PARTS, PARTS, PARTS, PARTS)
SIX_PART_RULES = SIX_PARTS.map(lambda parts: SixPartRule(parts=parts, trusted=True))
SUFFIX_RULES = st.lists(
    st.tuples(st.sampled_from([CN, OU, O, "1.2.3"]), LITERALS), min_size=1, max_size=4
).map(lambda components: SuffixRule(suffix=dn(*components), trusted=True))
RULES: st.SearchStrategy[NamingRule] = st.one_of(SIX_PART_RULES, SUFFIX_RULES)
UNITS = st.lists(st.sampled_from("ab"), max_size=5)
NAMES: st.SearchStrategy[Name] = st.builds(
    lambda units, organisation: dn((CN, "x"), *((OU, unit) for unit in units), (O, organisation)),
    UNITS,
    st.sampled_from("ab"),
)


@given(st.one_of(st.text(), st.text(alphabet='*/OUC=,ab"$ \0')))
def test_every_text_is_read_as_a_rule_or_refused(text: str) -> None:
    for read in (read_naming_rule, read_suffix_rule):
        try:
            found: NamingRule = read(text)
        except NameSyntaxError:
            continue
        assert read(render_rule(found)) == found
    assert ambiguous_country_warning(text) in {True, False}


@given(SIX_PART_RULES)
def test_a_printed_six_part_rule_reads_back_as_the_same_rule(six_parts: SixPartRule) -> None:
    assert read_naming_rule(render_rule(six_parts), trusted=True) == six_parts


@given(SUFFIX_RULES)
def test_a_printed_suffix_rule_reads_back_as_the_same_rule(by_suffix: SuffixRule) -> None:
    assert read_suffix_rule(render_rule(by_suffix), trusted=True) == by_suffix


@given(st.lists(RULES, max_size=5), NAMES)
def test_the_most_specific_match_matches_and_no_match_is_more_specific(
    rules: list[NamingRule], name: Name
) -> None:
    found = most_specific_match(rules, name)
    matching = [candidate for candidate in rules if match_rule(candidate, name)]
    assert (found is None) is (not matching)
    assert found is None or all(specificity(found) >= specificity(candidate) for candidate in matching)


@given(SIX_PART_RULES, NAMES, st.integers(min_value=0, max_value=5))
def test_an_asterisk_in_the_place_of_a_part_never_loses_a_name(
    six_parts: SixPartRule, name: Name, index: int
) -> None:
    wider = list(six_parts.parts)
    wider[index] = "*"
    unit4, unit3, unit2, unit1, organisation, country = wider
    looser = SixPartRule(parts=(unit4, unit3, unit2, unit1, organisation, country))
    assert match_rule(looser, name) or not match_rule(six_parts, name)
    assert specificity(looser) <= specificity(six_parts)
