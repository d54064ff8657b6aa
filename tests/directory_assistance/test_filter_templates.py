"""An administrator's template keeps its shape whatever a certificate says, and never asks for everybody."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.errors import NameSyntaxError
from directory_assistance.filter_templates import (
    TEMPLATE_FACTS,
    fill_template,
    read_filter_template,
    template_facts,
)
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
    render_filter,
)
from tests.directory_assistance.test_filters import INJECTIONS

FACTS: dict[str, tuple[FactValue, ...]] = {
    "subject.cn": ("Dave Lawson",),
    "san.mail": ("dave@renovations.com",),
    "certificate": (b"\x30\xff",),
    "subject.o": ("A", "B"),
    "subject.l": (" * ",),
    "subject.title": ("Mr\0",),
    "subject.st": (),
}


def filled(text: str) -> Filter | None:
    return fill_template(read_filter_template(text), FACTS)


def problem_of(text: str) -> str:
    with pytest.raises(NameSyntaxError) as refused:
        read_filter_template(text)
    return str(refused.value)


CN = Equality(attribute="cn", value="Dave Lawson")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("(cn={subject.cn})", CN, id="one placeholder"),
        pytest.param(
            "(mail=smtp:{san.mail}!)",
            Equality(attribute="mail", value="smtp:dave@renovations.com!"),
            id="with text",
        ),
        pytest.param(
            "(description={subject.cn}{san.mail})",
            Equality(attribute="description", value="Dave Lawsondave@renovations.com"),
            id="two placeholders",
        ),
        pytest.param(
            "(userCertificate;binary={certificate})",
            Equality(attribute="userCertificate;binary", value=b"\x30\xff"),
            id="octets",
        ),
        pytest.param(
            r"(a={subject.cn}\2a\7B\28)", Equality(attribute="a", value="Dave Lawson*{("), id="escapes"
        ),
        pytest.param(r"(a={subject.cn}\c3\bcü)", Equality(attribute="a", value="Dave Lawsonüü"), id="UTF-8"),
        pytest.param(
            r"(a={subject.cn}\ff)", Equality(attribute="a", value=b"Dave Lawson\xff"), id="no UTF-8"
        ),
        pytest.param(
            "(a={subject.cn}=b:c~d)",
            Equality(attribute="a", value="Dave Lawson=b:c~d"),
            id="operators in a value",
        ),
        pytest.param(
            "(cn=*{subject.cn}*)",
            Substring(attribute="cn", middle=("Dave Lawson",)),
            id="the template's own `*`",
        ),
        pytest.param(
            "(cn={subject.cn}*x*y)",
            Substring(attribute="cn", initial="Dave Lawson", middle=("x",), final="y"),
            id="all pieces",
        ),
        pytest.param(
            "(cn~={subject.cn})",
            Comparison(attribute="cn", operator=Operator.APPROXIMATE, value="Dave Lawson"),
            id="approximate",
        ),
        pytest.param("(cn:={subject.cn})", Extensible(attribute="cn", value="Dave Lawson"), id="extensible"),
        pytest.param(
            "(cn:dn:={subject.cn})",
            Extensible(attribute="cn", value="Dave Lawson", dn_attributes=True),
            id="extensible with the attributes of the name",
        ),
        pytest.param(
            "(cn:DN:2.4.6:={subject.cn})",
            Extensible(attribute="cn", rule="2.4.6", value="Dave Lawson", dn_attributes=True),
            id="extensible with all",
        ),
        pytest.param(
            "(:caseExactMatch:={subject.cn})",
            Extensible(rule="caseExactMatch", value="Dave Lawson"),
            id="extensible by rule alone",
        ),
        pytest.param(
            "(:dn:2.4.6:={subject.cn})",
            Extensible(rule="2.4.6", value="Dave Lawson", dn_attributes=True),
            id="extensible by rule and name",
        ),
        pytest.param(
            "(&(objectClass=person)(sn=*)(!(a<=1))(b>=2)(|(cn={subject.cn})(mail={san.mail})))",
            And(
                parts=(
                    Equality(attribute="objectClass", value="person"),
                    Present(attribute="sn"),
                    Not(part=Comparison(attribute="a", operator=Operator.AT_MOST, value="1")),
                    Comparison(attribute="b", operator=Operator.AT_LEAST, value="2"),
                    Or(parts=(CN, Equality(attribute="mail", value="dave@renovations.com"))),
                )
            ),
            id="everything nested",
        ),
    ],
)
def test_a_template_is_filled_with_the_facts(template: str, expected: Filter) -> None:
    assert expected == filled(template)


def test_the_facts_of_a_template_are_all_it_names_wherever_they_stand() -> None:
    template = read_filter_template("(&(cn={subject.cn}{sid})(!(a={san.mail}))(|(b=*{skid}*)(c:={serial})))")
    assert {"subject.cn", "sid", "san.mail", "skid", "serial"} == template_facts(template)


@pytest.mark.parametrize("fact", sorted(TEMPLATE_FACTS))
def test_each_fact_may_stand_in_a_template(fact: str) -> None:
    assert Equality(attribute="a", value="x") == fill_template(
        read_filter_template(f"(a={{{fact}}})"), {fact: ("x",)}
    )


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param("subject.o", id="several values (T53)"),
        pytest.param("subject.l", id="asterisks and blanks (T46)"),
        pytest.param("subject.title", id="a NUL (T44)"),
        pytest.param("subject.st", id="no value (T47)"),
        pytest.param("subject.uid", id="not there at all (T47)"),
    ],
)
@pytest.mark.parametrize(
    "template",
    [
        "(a={%s})",
        "(&(cn={subject.cn})(a={%s}))",
        "(|(cn={subject.cn})(a=x{%s}))",
        "(&(cn={subject.cn})(!(a={%s})))",
    ],
)
def test_t47_a_template_whose_facts_are_not_all_there_once_is_no_filter(template: str, fact: str) -> None:
    assert filled(template.replace("%s", "subject.cn")) is not None
    assert filled(template.replace("%s", fact)) is None


@pytest.mark.parametrize(
    "template",
    [
        "(objectClass=person)",
        "(cn=*)",
        "(!(cn={subject.cn}))",
        "(|(cn={subject.cn})(objectClass=person))",
        "(|(cn={subject.cn})(!(mail={san.mail})))",
        "(&(objectClass=person)(|(cn={subject.cn})(sn=*)))",
        "(cn>={subject.cn})",
        "(cn<={subject.cn})",
        "(cn=D*n)",
    ],
)
def test_t46_a_template_that_is_satisfied_whatever_the_certificate_says_is_refused(template: str) -> None:
    assert (
        f"filter template `{template}` can be satisfied whatever the certificate says: "
        "expected a placeholder such as `{subject.cn}` in each alternative"
    ) == problem_of(template)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", "expected `(`, found the end at character 1"),
        ("cn={subject.cn}", "expected `(`, found `cn={subject.cn}` at character 1"),
        (" (cn={subject.cn})", "expected `(`, found ` (cn={subject.cn})` at character 1"),
        ("(cn={subject.cn}", "expected `)`, found the end at character 17"),
        ("(cn={subject.cn}))", "expected the end, found `)` at character 18"),
        ("(cn={subject.cn})(a=b)", "expected the end, found `(a=b)` at character 18"),
        ("()", "expected an attribute name and `=`, found `)` at character 2"),
        ("(cn)", "expected an attribute name and `=`, found `cn)` at character 2"),
        ("(c n=x)", "expected an attribute name and `=`, found `c n=x)` at character 2"),
        ("({subject.cn}=x)", "expected an attribute name and `=`, found `{subject.cn}=x)` at character 2"),
        ("(&)", "expected `(`, found `)` at character 3"),
        ("(&(cn={subject.cn}) (a=b))", "expected `)`, found ` (a=b))` at character 20"),
        ("(|)", "expected `(`, found `)` at character 3"),
        ("(!)", "expected `(`, found `)` at character 3"),
        ("(!(a=b)(c=d))", "expected `)`, found `(c=d))` at character 8"),
        ("(cn=)", "expected a value, found `)` at character 5"),
        ("(cn=", "expected a value, found the end at character 5"),
        (
            "(cn=a(b)",
            r"expected a value, in which this character is written `\28`, found `(b)` at character 6",
        ),
        (
            "(cn=a}b)",
            r"expected a value, in which this character is written `\7d`, found `}b)` at character 6",
        ),
        (
            "(cn=a\0)",
            r"expected a value, in which this character is written `\00`, found `\x00)` at character 6",
        ),
        ("(a>=x*)", r"expected a value, in which this character is written `\2a`, found `*)` at character 6"),
        ("(a:=x*)", r"expected a value, in which this character is written `\2a`, found `*)` at character 6"),
        (r"(cn=\2)", r"expected two hexadecimal digits after the backslash, found `\2)` at character 5"),
        (r"(cn=\zz)", r"expected two hexadecimal digits after the backslash, found `\zz)` at character 5"),
        ("(cn=x\\", "expected two hexadecimal digits after the backslash, found `\\` at character 6"),
    ],
)
def test_a_template_that_is_no_filter_is_refused_with_the_place(template: str, expected: str) -> None:
    shown = template.replace("\0", r"\x00")
    assert f"filter template `{shown}`: {expected}" == problem_of(template)


@pytest.mark.parametrize(
    "placeholder",
    ["{subject.xx}", "{}", "{subject.cn", "{Subject.CN}", "{ subject.cn }", "{{subject.cn}}", "{"],
)
def test_an_unknown_placeholder_or_a_bare_brace_is_refused(placeholder: str) -> None:
    template = f"(cn={placeholder})"
    assert (
        f"filter template `{template}`: expected a placeholder such as `{{subject.cn}}` "
        f"(a brace itself is written `\\7b`), found `{template[4:24]}` at character 5"
    ) == problem_of(template)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("(1.=x)", "expected an attribute name such as `mail`, found `1.`"),
        ("(=x)", "expected an attribute name such as `mail`, found ``"),
        ("(cn:x=y)", "expected an attribute name such as `mail`, found `cn:x`"),
        ("(:=x)", "expected `attribute:dn:rule`, found ``"),
        ("(:dn:=x)", "expected `attribute:dn:rule`, found `:dn`"),
        ("(a:b:c:=x)", "expected `attribute:dn:rule`, found `a:b:c`"),
        ("(a:dn:b:c:=x)", "expected `attribute:dn:rule`, found `a:dn:b:c`"),
        ("(a::=x)", "expected a matching rule such as `caseIgnoreMatch`, found ``"),
        ("(a:1.:=x)", "expected a matching rule such as `caseIgnoreMatch`, found `1.`"),
        ("(1.:=x)", "expected an attribute name such as `mail`, found `1.`"),
        ("(cn=a**b)", "two `*` beside each other in filter template `(cn=a**b)`"),
        ("(cn=**)", "two `*` beside each other in filter template `(cn=**)`"),
    ],
)
def test_a_template_with_a_bad_attribute_rule_or_substring_is_refused(template: str, problem: str) -> None:
    assert problem == problem_of(template)


def test_a_template_of_4096_characters_is_read_and_a_longer_one_refused() -> None:
    longest = f"(cn={{subject.cn}}{'x' * (4_096 - 17)})"
    assert 4_096 == len(longest)
    assert filled(longest) is not None
    assert "filter template has 4097 characters, the limit is 4096" == problem_of(longest + "x")


@pytest.mark.parametrize(
    ("before", "around", "after"),
    [
        pytest.param("", "(&", "", id="in the first part"),
        pytest.param("", "(&(a=b)", "", id="in a later part"),
        pytest.param("(&(cn={subject.cn})", "(!", ")", id="in negations"),
    ],
)
def test_a_template_nested_16_deep_is_read_and_a_deeper_one_refused(
    before: str, around: str, after: str
) -> None:
    def nested(depth: int) -> str:
        levels = depth - 1 - before.count("(&")
        return f"{before}{around * levels}(cn={{subject.cn}}){')' * levels}{after}"

    assert filled(nested(16)) is not None
    assert "filter template is nested more than 16 deep" == problem_of(nested(17))


def test_a_refusal_shows_20_characters_from_the_place_on() -> None:
    rest = "0123456789" * 3
    assert f"expected `(`, found `{rest[:20]}` at character 1" in problem_of(rest)


def test_t44_a_hostile_value_in_a_template_is_one_equality_with_exactly_that_value() -> None:
    template = read_filter_template("(&(objectClass=person)(cn={subject.cn}))")
    shape = Equality(attribute="objectClass", value="person")
    asked = 0
    for value in INJECTIONS:
        filter_ = fill_template(template, {"subject.cn": (value,)})
        if filter_ is None:
            continue
        asked += 1
        expected: FactValue = value.encode("utf-8", "surrogatepass") if "\ud800" in value else value
        assert And(parts=(shape, Equality(attribute="cn", value=expected))) == filter_
        printed = render_filter(filter_)
        assert printed.startswith("(&(objectClass=person)(cn=")
        assert (3, 3, 0) == (printed.count("("), printed.count(")"), printed.count("*"))
    assert asked > 1_500


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_a_syntax_error(text: str) -> None:
    try:
        template = read_filter_template(text)
    except NameSyntaxError:
        return
    assert template_facts(template)


@given(
    st.lists(
        st.sampled_from([*"()&|!*=:{}\\a1.", "cn=", "{subject.cn}", "{san.mail}", "\\2a", ">="]), max_size=24
    )
)
def test_any_row_of_template_signs_is_a_template_or_a_syntax_error(signs: Sequence[str]) -> None:
    """What is read can be filled and printed; the printed text has the template's own parentheses."""
    text = f"(&(cn={{subject.cn}}){''.join(signs)})"
    try:
        template = read_filter_template(text)
    except NameSyntaxError:
        return
    filter_ = fill_template(template, {"subject.cn": ("*)(",), "san.mail": ("\\",)})
    assert filter_ is not None
    printed = render_filter(filter_)
    assert text.count("(") == printed.count("(")
