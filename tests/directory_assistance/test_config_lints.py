"""Warnings about domains as they are together; each warning's text is held by `tests/data/config`.

Here: that what is said about the order is the order in which a search asks.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import FindBy, FindWay, MatchPlan
from directory_assistance.config_lints import PlacedDomain, lint_domains
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import DistinguishedName
from directory_assistance.domains import Ambiguity, OnUnavailable, SecondaryDomain, order_domains
from directory_assistance.naming import NamingRule, SixPartRule, SuffixRule, match_rule
from directory_assistance.settings import DomainSettings, SqlSettings
from directory_assistance.yaml_lines import load_yaml
from tests.directory_assistance.test_naming_relations import RULES, SUFFIXES
from tests.support.names import CN, dn

PLAN = MatchPlan(ways=(FindWay(find_by=FindBy.MAIL),))
NAMES = SUFFIXES.map(lambda rest: dn((CN, "x"), *rest))
ORDERS = st.sampled_from([None, 0, 1])


def placed(position: int, name: str, rule: NamingRule, **changed: object) -> PlacedDomain:
    settings = DomainSettings(
        domain=name, directory=SqlSettings(url="sqlite:///a.db", shown=""), plan=PLAN, rules=(rule,)
    )
    path = ("domains", position)
    return PlacedDomain(
        settings=replace(settings, **changed),  # type: ignore[arg-type]  # deviations
        path=path,
        rules=(((*path, "rules", 0), rule),),
        find_by=(*path, "find_by"),
        bind_by=(*path, "bind_by"),
    )


def warnings_of(*domains: PlacedDomain, ambiguity: Ambiguity = Ambiguity.FIRST) -> list[str]:
    reader = ConfigReader(loaded=load_yaml("{}", "any.yaml"), folder=Path(), environment={})
    lint_domains(reader, domains, ambiguity)
    assert all(problem.warning for problem in reader.problems)
    return [problem.problem for problem in reader.problems]


def trusted(rule: NamingRule) -> NamingRule:
    return replace(rule, trusted=True)


@given(RULES.map(trusted), RULES.map(trusted), NAMES, ORDERS, ORDERS)
def test_the_domain_said_to_be_asked_first_is_asked_first(
    one: NamingRule, other: NamingRule, name: DistinguishedName, order: int | None, other_order: int | None
) -> None:
    """Of two domains that are trusted for a name, the warning names the one that a search for it asks first."""
    if not (match_rule(one, name) and match_rule(other, name)):
        return
    domains = (
        placed(0, "One", one, search_order=order),
        placed(1, "Other", other, search_order=other_order),
    )
    (told,) = [text for text in warnings_of(*domains) if "both trusted" in text]
    said = re.search(r": `(\w+)` is asked first", told)
    assert said is not None
    open_domains = [
        SecondaryDomain(
            domain=each.settings.domain,
            directory=MemoryDirectory(each.settings.domain),
            plan=PLAN,
            rules=each.settings.rules,
            search_order=each.settings.search_order,
        )
        for each in domains
    ]
    assert order_domains(open_domains, name)[0][0].domain == said[1]


@given(
    RULES,
    RULES,
    st.fixed_dictionaries({"enabled": st.booleans(), "on_unavailable": st.sampled_from(OnUnavailable)}),
    st.booleans(),
    st.sampled_from(Ambiguity),
)
def test_any_two_domains_are_looked_at_without_an_exception(
    one: NamingRule,
    other: NamingRule,
    changed: dict[str, object],
    is_trusted: bool,
    ambiguity: Ambiguity,
) -> None:
    first = placed(0, "One", replace(one, trusted=is_trusted), **changed)
    second = placed(1, "Other", replace(other, trusted=True))
    assert isinstance(warnings_of(first, second, ambiguity=ambiguity), list)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(SixPartRule(parts=("*", "*", "*", "*", "Acme", "*"), trusted=True), id="six parts"),
        pytest.param(SuffixRule(suffix=dn(("2.5.4.10", "Acme")), trusted=True), id="a suffix"),
    ],
)
def test_a_domain_alone_is_no_reason_for_a_warning(rule: NamingRule) -> None:
    assert warnings_of(placed(0, "One", rule)) == []


def test_the_outage_of_a_domain_that_is_never_asked_concerns_nobody() -> None:
    rule = SixPartRule(parts=("*", "*", "*", "*", "Acme", "*"))
    assert warnings_of(placed(0, "One", rule), ambiguity=Ambiguity.STRICT) == []
    assert len(warnings_of(placed(0, "One", trusted(rule)), ambiguity=Ambiguity.STRICT)) == 1
