"""Whatever a value holds, a printed filter asks for that value and nothing else."""

from collections.abc import Callable
from itertools import product
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import MATCH_EQUAL, MATCH_EXTENSIBLE, MATCH_SUBSTRING, parse_filter
from ldap3.protocol.convert import prepare_filter_for_sending

from directory_assistance.dn import read_ldap_dn
from directory_assistance.errors import NameSyntaxError
from directory_assistance.filter_templates import _fill, _Reader
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    FactValue,
    Filter,
    Not,
    Operator,
    Or,
    Present,
    Substring,
    certificate_exact_assertion,
    check_attribute_description,
    check_matching_rule,
    is_blank_or_asterisks,
    render_filter,
)

ATOMS = (
    # RFC 4515: the characters of its grammar, alone and as they stand in filters
    *("*", "(", ")", "\\", "\0", "&", "|", "!", "=", "~=", ">=", "<=", ":=", ":dn:"),
    *(")(", "*)(", "))(|(uid=*", ")(uid=*))(|(uid=*", "\\2a", "\\28", "\\", "\\zz", "\\5c2a"),
    # RFC 4514: the characters of names
    *(",", "+", '"', "#", ";", "<", ">", "/", " ", "\\,", "cn="),
    # placeholders, other scripts, things that look like others
    *("{subject.cn}", "}", "{", "é", "株", "\uff0a", "\u202e", "\u200b", "\ud800", "\n", "\x7f"),
)
INJECTIONS = sorted({*ATOMS, *(one + other for one, other in product(ATOMS, repeat=2))})
"""Every pair of the metacharacters of RFC 4515 and RFC 4514: about two thousand values."""


def read_back(text: str) -> Filter:
    """Read a printed filter with the reader of templates, which knows no leniency."""
    return _fill(_Reader(text).read(), {})


class ParsedByLdap3(Protocol):
    """What ldap3 makes of one filter; the library has no types of its own."""

    tag: int
    assertion: dict[str, str | bytes]
    elements: "list[ParsedByLdap3]"


_ldap3_parse: Callable[[str, None, bool, bool, None, bool], ParsedByLdap3] = parse_filter
_ldap3_send: Callable[[str | bytes], bytes] = prepare_filter_for_sending


def read_by_ldap3(text: str) -> tuple[int, dict[str, str | bytes]]:
    """Return the kind of the only assertion and its fields, the value as ldap3 sends it."""
    [node] = _ldap3_parse(text, None, True, True, None, False).elements
    fields = {key: _ldap3_send(value) if key == "value" else value for key, value in node.assertion.items()}
    return node.tag, fields


def octets(value: FactValue) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def test_t44_a_value_of_metacharacters_is_one_equality_with_exactly_that_value() -> None:
    """Read back by our own reader, and by ldap3's, which sends what it read."""
    assert len(INJECTIONS) > 1_500
    for value in INJECTIONS:
        printed = render_filter(Equality(attribute="cn", value=value))
        again = read_back(printed)
        assert isinstance(again, Equality)
        assert ("cn", octets(value)) == (again.attribute, octets(again.value))
        tag, assertion = read_by_ldap3(printed)
        assert MATCH_EQUAL == tag
        assert {"attr": "cn", "value": octets(value)} == assertion


def test_t44_a_value_of_metacharacters_stays_in_its_place_among_others() -> None:
    """Between two assertions, and as the pieces of a substring match and the value of an extensible match."""
    for value in ATOMS:
        inside = And(
            parts=(
                Not(part=Equality(attribute="a", value=value)),
                Or(parts=(Equality(attribute="b", value=value), Present(attribute="c"))),
            )
        )
        again = read_back(render_filter(inside))
        if "\ud800" not in value:
            assert inside == again
        for node, tag in (
            (Substring(attribute="cn", initial=value, middle=(value,), final=value), MATCH_SUBSTRING),
            (Extensible(attribute="cn", rule="2.5.13.2", value=value), MATCH_EXTENSIBLE),
        ):
            printed = render_filter(node)
            assert node == read_back(printed) or "\ud800" in value
            assert tag == read_by_ldap3(printed)[0]


@given(st.text())
def test_t44_any_text_reads_back_as_itself(value: str) -> None:
    if value:
        node = Equality(attribute="userPrincipalName", value=value)
        assert node == read_back(render_filter(node))


@given(st.binary(min_size=1))
def test_any_octets_read_back_as_themselves_and_are_printed_escaped(value: bytes) -> None:
    printed = render_filter(Equality(attribute="userCertificate;binary", value=value))
    escaped = "".join(f"\\{octet:02x}" for octet in value)
    assert f"(userCertificate;binary={escaped})" == printed
    again = read_back(printed)
    assert isinstance(again, Equality)
    assert value == octets(again.value)


@given(st.text(st.characters()))
def test_a_printed_filter_is_one_line_of_printable_ascii(value: str) -> None:
    """Lone surrogates among them: printing is total."""
    printed = render_filter(Equality(attribute="cn", value=value))
    assert printed.isascii()
    assert printed.isprintable()


@pytest.mark.parametrize(
    ("node", "printed"),
    [
        pytest.param(Equality(attribute="cn", value="Dave Lawson"), "(cn=Dave Lawson)", id="equality"),
        pytest.param(Equality(attribute="cn", value="*"), r"(cn=\2a)", id="an asterisk is a character"),
        pytest.param(Equality(attribute="cn", value="a(b)c\\d\0"), r"(cn=a\28b\29c\5cd\00)", id="RFC 4515"),
        pytest.param(Equality(attribute="cn", value="{a}"), r"(cn=\7ba\7d)", id="braces"),
        pytest.param(Equality(attribute="cn", value="Mü~"), r"(cn=M\c3\bc~)", id="UTF-8 octet by octet"),
        pytest.param(Equality(attribute="cn", value="\x7f\n"), r"(cn=\7f\0a)", id="controls"),
        pytest.param(Equality(attribute="cn", value="\ud800"), r"(cn=\ed\a0\80)", id="lone surrogate"),
        pytest.param(Equality(attribute="cn", value=" a b "), r"(cn=\20a b\20)", id="blanks at the ends"),
        pytest.param(Equality(attribute="cn", value=" "), r"(cn=\20)", id="one blank"),
        pytest.param(Equality(attribute="cn", value=""), "(cn=)", id="empty value"),
        pytest.param(Equality(attribute="cn", value=b"a\xff"), r"(cn=\61\ff)", id="octets"),
        pytest.param(
            Equality(attribute="2.5.4.3;lang-de", value="a"), "(2.5.4.3;lang-de=a)", id="dotted, option"
        ),
        pytest.param(
            Comparison(attribute="a", operator=Operator.AT_LEAST, value="1*"), r"(a>=1\2a)", id="at least"
        ),
        pytest.param(Comparison(attribute="a", operator=Operator.AT_MOST, value="1"), "(a<=1)", id="at most"),
        pytest.param(
            Comparison(attribute="a", operator=Operator.APPROXIMATE, value="1"), "(a~=1)", id="approximate"
        ),
        pytest.param(Substring(attribute="a", initial="x*"), r"(a=x\2a*)", id="initial substring"),
        pytest.param(Substring(attribute="a", final="x"), "(a=*x)", id="final substring"),
        pytest.param(Substring(attribute="a", middle=("x", b"y")), r"(a=*x*\79*)", id="inner substrings"),
        pytest.param(
            Substring(attribute="a", initial="1", middle=("2",), final="3"), "(a=1*2*3)", id="all substrings"
        ),
        pytest.param(Extensible(attribute="a", value="x"), "(a:=x)", id="extensible"),
        pytest.param(Extensible(rule="1.2", value="x"), "(:1.2:=x)", id="extensible by rule alone"),
        pytest.param(
            Extensible(attribute="a", rule="caseExactMatch", value="x", dn_attributes=True),
            "(a:dn:caseExactMatch:=x)",
            id="extensible with everything",
        ),
        pytest.param(Present(attribute="a"), "(a=*)", id="present"),
        pytest.param(Not(part=Present(attribute="a")), "(!(a=*))", id="not"),
        pytest.param(And(parts=(Present(attribute="a"), Present(attribute="b"))), "(&(a=*)(b=*))", id="and"),
        pytest.param(Or(parts=(Present(attribute="a"),)), "(|(a=*))", id="or"),
    ],
)
def test_a_filter_is_printed_as_rfc_4515_says(node: Filter, printed: str) -> None:
    assert printed == render_filter(node)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        pytest.param(And(parts=()), "`&` and `|` need at least one filter", id="and of nothing"),
        pytest.param(
            Not(part=And(parts=())), "`&` and `|` need at least one filter", id="not and of nothing"
        ),
        pytest.param(Or(parts=()), "`&` and `|` need at least one filter", id="or of nothing"),
        pytest.param(Substring(attribute="a"), "a substring match without a substring", id="no substring"),
        pytest.param(
            Substring(attribute="a", initial="x", middle=("",)),
            "a substring match without a substring",
            id="inner",
        ),
        pytest.param(
            Extensible(value="x"),
            "an extensible match names neither an attribute nor a matching rule",
            id="extensible with neither",
        ),
    ],
)
def test_t46_an_empty_filter_is_never_printed_because_empty_would_mean_everybody(
    node: Filter, problem: str
) -> None:
    with pytest.raises(NameSyntaxError) as refused:
        render_filter(node)
    assert problem == str(refused.value)


BAD_ATTRIBUTES = (
    "",
    "*",
    "cn=",
    "cn)",
    "c n",
    "cn ",
    "1",
    "1.",
    "01.2",
    "-a",
    "cn;",
    "cn;a=b",
    "ćn",
    "cn\n",
    ":cn",
)


@pytest.mark.parametrize("attribute", BAD_ATTRIBUTES)
def test_t44_an_attribute_that_is_none_is_never_printed(attribute: str) -> None:
    with pytest.raises(NameSyntaxError, match=r"^expected an attribute name such as `mail`, found `"):
        check_attribute_description(attribute)
    nodes: list[Filter] = [
        Equality(attribute=attribute, value="x"),
        Present(attribute=attribute),
        Comparison(attribute=attribute, operator=Operator.AT_LEAST, value="x"),
        Substring(attribute=attribute, initial="x"),
    ]
    if attribute:
        nodes.append(Extensible(attribute=attribute, value="x"))
    for node in nodes:
        with pytest.raises(NameSyntaxError):
            render_filter(node)


@pytest.mark.parametrize(
    "attribute", ["cn", "c", "msDS-PrincipalName", "2.5.4.3", "0.9", "userCertificate;binary", "cn;x-1;y"]
)
def test_an_attribute_description_of_rfc_4512_is_kept(attribute: str) -> None:
    assert attribute == check_attribute_description(attribute)


@pytest.mark.parametrize("rule", ["", "a b", "1", "dn:=x", "x;binary", "é"])
def test_a_matching_rule_that_is_none_is_never_printed(rule: str) -> None:
    with pytest.raises(
        NameSyntaxError, match=r"^expected a matching rule such as `caseIgnoreMatch`, found `"
    ):
        check_matching_rule(rule)
    if rule:
        with pytest.raises(NameSyntaxError):
            render_filter(Extensible(attribute="a", rule=rule, value="x"))


@pytest.mark.parametrize("rule", ["caseIgnoreMatch", "1.2.840.113556.1.4.803"])
def test_a_matching_rule_is_kept(rule: str) -> None:
    assert rule == check_matching_rule(rule)


def test_t55_the_serial_number_of_an_exact_assertion_is_decimal() -> None:
    assert '{ serialNumber 255, issuer rdnSequence:"CN=CA,O=Acme" }' == certificate_exact_assertion(
        read_ldap_dn("CN=CA,O=Acme"), 255
    )


def test_t45_a_quote_in_an_issuer_is_doubled_and_its_commas_stay_escaped() -> None:
    """RFC 3642 doubles the quote that RFC 4514 escaped; the filter printer escapes what is left."""
    issuer = read_ldap_dn(r"CN=CA \"1\"\, Acme")
    assertion = certificate_exact_assertion(issuer, 5)
    assert r'{ serialNumber 5, issuer rdnSequence:"CN=CA \""1\""\, Acme" }' == assertion
    assert (
        r'(userCertificate=\7b serialNumber 5, issuer rdnSequence:"CN=CA \5c""1\5c""\5c, Acme" \7d)'
        == render_filter(Equality(attribute="userCertificate", value=assertion))
    )


@pytest.mark.parametrize(
    "value",
    ["", " ", "\t\u3000", "*", "**", " * * ", "\u200b", "\u200b*\ufeff", "\uff0a", "\u00ad", b""],
)
def test_t46_a_value_that_names_nobody_in_particular_is_blank(value: FactValue) -> None:
    assert is_blank_or_asterisks(value)


@pytest.mark.parametrize("value", ["a", "*a", "-", ".", "\\2a", b"*", b"\0"])
def test_t46_a_value_that_names_somebody_is_not_blank(value: FactValue) -> None:
    assert not is_blank_or_asterisks(value)


def test_t54_look_alike_characters_are_asked_for_as_they_are() -> None:
    """Comparison is the entry's and `dn.py`'s affair; a filter never folds one name into another."""
    assert r"(cn=\d0\b0dmin)" == render_filter(Equality(attribute="cn", value="\u0430dmin"))
    assert r"(cn=e\cc\81)" == render_filter(Equality(attribute="cn", value="e\u0301"))
    assert r"(cn=\e2\80\aenimda)" == render_filter(Equality(attribute="cn", value="\u202enimda"))
