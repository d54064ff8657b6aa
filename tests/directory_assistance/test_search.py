"""The search: a table for every sentence of the semantics on order, binding and what ends a search."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import BindBy, Candidate, FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.directory import LookUp
from directory_assistance.dn import Name, read_ldap_dn, read_name, render_name
from directory_assistance.domains import (
    Ambiguity,
    DirectoryAssistance,
    OnUnavailable,
    PrimaryDomain,
    SecondaryDomain,
    order_domains,
)
from directory_assistance.entry import Entry, StoredCertificate, Strength
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable
from directory_assistance.naming import read_naming_rule, read_suffix_rule
from directory_assistance.search import Match, NoMatch, SearchOutcome, SearchRefusal, SearchRequest, search
from directory_assistance.trace import TraceRecorder
from tests.support.pki import Authority, Issued, mail, sid_extension

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = Authority.root(now=NOW)
DAVE = ROOT.issue("CN=Dave Lawson,O=Renovations", san=[mail("dave@renovations.com")])
DAVE_RENEWED = ROOT.issue("CN=Dave Lawson,O=Renovations", key=DAVE.key)
DAVE_OTHER_KEY = ROOT.issue("CN=Dave Lawson,O=Renovations")
SID = "S-1-5-21-1-2-3-1104"
DAVE_SID = ROOT.issue("CN=Dave Lawson,O=Renovations", extensions=[(sid_extension(SID), False)])
WINTER = ROOT.issue("CN=Walter Winter,OU=West,O=Acme")
FLAT = ROOT.issue("CN=Al Jones")

TRUSTED_ALL = (read_naming_rule("*", trusted=True),)
ALL_WAYS = (FindBy.CERTIFICATE, FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL)


def plan(*ways: FindBy, bind_by: BindBy = BindBy.CERTIFICATE, issued_by: tuple[str, ...] = ()) -> MatchPlan:
    return MatchPlan(
        ways=tuple(FindWay(find_by=way) for way in (ways or ALL_WAYS)),
        bind_by=bind_by,
        issued_by=frozenset(issued_by),
    )


def entry(*names: str, holds: Issued | bytes | None = None, revoked: bool = False, **fields: Any) -> Entry:
    der = holds.der if isinstance(holds, Issued) else holds
    base = Entry(
        key=names[0],
        names=tuple(read_name(name) for name in names),
        certificates=() if der is None else (StoredCertificate(der=der, revoked=revoked),),
    )
    return replace(base, **fields)


class CountingDirectory(MemoryDirectory):
    """A memory directory that remembers what it was asked, and can be out of reach."""

    asked: list[FindBy]
    fault: Exception | None = None

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        self.asked = [*getattr(self, "asked", []), candidate.find_by]
        if self.fault is not None:
            raise self.fault
        return super().find_entries(candidate, limit=limit, deadline=deadline)


def directory(domain: str, *entries: Entry, fault: Exception | None = None) -> CountingDirectory:
    made = CountingDirectory(domain, entries, ())
    made.fault = fault
    return made


def primary(
    *entries: Entry, match_plan: MatchPlan | None = None, fault: Exception | None = None
) -> PrimaryDomain:
    return PrimaryDomain(
        domain="Renovations",
        directory=directory("Renovations", *entries, fault=fault),
        plan=match_plan or plan(),
    )


def secondary(name: str, *entries: Entry, fault: Exception | None = None, **fields: Any) -> SecondaryDomain:
    base = SecondaryDomain(
        domain=name, directory=directory(name, *entries, fault=fault), plan=plan(), rules=TRUSTED_ALL
    )
    return replace(base, **fields)


def run(
    assistance: DirectoryAssistance,
    certificate: Issued = DAVE,
    *,
    anchor: str = "corp",
    exhaustive: bool = False,
    administrative: frozenset[Name] = frozenset(),
) -> tuple[SearchOutcome, TraceRecorder]:
    trace = TraceRecorder()
    request = SearchRequest(
        names=read_certificate_names(certificate.der),
        anchor_id=anchor,
        deadline=1e12,
        is_administrative=administrative.__contains__,
        exhaustive=exhaustive,
        now=NOW,
    )
    return search(assistance, request, trace), trace


def found(outcome: SearchOutcome) -> str:
    """Print an outcome: the identity's name and domain, or the refusal."""
    match outcome:
        case Match():
            return f"{render_name(outcome.name)} in {outcome.domain.domain} by {outcome.found_by}"
        case NoMatch(refusal=refusal):
            return refusal.value


NAME = "Dave Lawson/Renovations"


def test_the_default_plan_finds_by_certificate_and_binds_it_strongly() -> None:
    outcome, _ = run(DirectoryAssistance(primary=primary(entry(NAME, holds=DAVE))))
    assert found(outcome) == "Dave Lawson/Renovations in Renovations by certificate"
    assert isinstance(outcome, Match)
    assert outcome.strength is Strength.STRONG


OUTCOMES: list[tuple[str, Callable[[], DirectoryAssistance], Issued, str]] = [
    (
        "the first value of the entry's names is the identity, the others only find it",
        lambda: DirectoryAssistance(
            primary=primary(
                entry("Alan Jones/Renovations", "AJones", "Al Jones", holds=FLAT),
                match_plan=plan(FindBy.COMMON_NAME),
            )
        ),
        FLAT,
        "Alan Jones/Renovations in Renovations by common_name",
    ),
    (
        "the same name with another key differs",
        lambda: DirectoryAssistance(primary=primary(entry(NAME, holds=DAVE_OTHER_KEY))),
        DAVE,
        "certificate_differs",
    ),
    (
        "same-named people are told apart by the binding",
        lambda: DirectoryAssistance(
            primary=primary(
                entry(NAME, holds=DAVE),
                entry("Dave Lawson/West/Renovations", holds=DAVE_OTHER_KEY),
                match_plan=plan(FindBy.COMMON_NAME),
            )
        ),
        DAVE,
        "Dave Lawson/Renovations in Renovations by common_name",
    ),
    (
        "more than one bound entry in one directory is ambiguous",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE), entry("Twin/Renovations", holds=DAVE))
        ),
        DAVE,
        "ambiguous",
    ),
    (
        "a name lookup over the size limit is ambiguous, never partial",
        lambda: DirectoryAssistance(
            primary=replace(
                primary(
                    entry(NAME, holds=DAVE),
                    entry("Dave Lawson/West/Renovations"),
                    entry("Dave Lawson/East/Renovations"),
                    match_plan=plan(FindBy.COMMON_NAME),
                ),
                size_limit=2,
            )
        ),
        DAVE,
        "ambiguous",
    ),
    (
        "at the size limit the binding decides",
        lambda: DirectoryAssistance(
            primary=replace(
                primary(
                    entry(NAME, holds=DAVE),
                    entry("Dave Lawson/West/Renovations"),
                    match_plan=plan(FindBy.COMMON_NAME),
                ),
                size_limit=2,
            )
        ),
        DAVE,
        "Dave Lawson/Renovations in Renovations by common_name",
    ),
    ("nobody holds the certificate", lambda: DirectoryAssistance(primary=primary()), DAVE, "no_entry"),
    (
        "a disabled entry is refused",
        lambda: DirectoryAssistance(primary=primary(entry(NAME, holds=DAVE, disabled=True))),
        DAVE,
        "entry_disabled",
    ),
    (
        "a disabled entry ends the search although a later directory has another",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE, disabled=True)),
            domains=(secondary("Acme", entry("D/Acme", holds=DAVE)),),
        ),
        DAVE,
        "entry_disabled",
    ),
    (
        "an entry that has expired is refused, from the very instant on",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE, expires=NOW)),
            domains=(secondary("Acme", entry("D/Acme", holds=DAVE)),),
        ),
        DAVE,
        "entry_disabled",
    ),
    (
        "an entry that will expire is found until then",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE, expires=NOW + timedelta(microseconds=1)))
        ),
        DAVE,
        "Dave Lawson/Renovations in Renovations by certificate",
    ),
    (
        "a certificate marked revoked in the primary is refused whatever the plan finds",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE, revoked=True), match_plan=plan(FindBy.MAIL)),
            domains=(secondary("Acme", entry("D/Acme", holds=DAVE)),),
        ),
        DAVE,
        "certificate_revoked",
    ),
    (
        "a mark of revocation counts on any entry that a way finds elsewhere",
        lambda: DirectoryAssistance(
            primary=primary(), domains=(secondary("Acme", entry("D/Acme", holds=DAVE, revoked=True)),)
        ),
        DAVE,
        "certificate_revoked",
    ),
    (
        "found by name with a certificate that differs, the next directory is asked",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE_OTHER_KEY)),
            domains=(secondary("Acme", entry("D/Acme", holds=DAVE)),),
        ),
        DAVE,
        "D/Acme in Acme by certificate",
    ),
    (
        "the entry found must match a trusted rule, not the name supplied",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "Acme",
                    entry("Somebody/East/Acme", holds=DAVE),
                    rules=(read_naming_rule("*/Renovations", trusted=True),),
                ),
            ),
        ),
        DAVE,
        "domain_not_trusted_for_name",
    ),
    (
        "an entry outside the trusted rules does not end the search",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "A",
                    entry("X/East/Acme", holds=DAVE),
                    rules=(read_naming_rule("*/West/Acme", trusted=True),),
                ),
                secondary("B", entry("Y/East/Acme", holds=DAVE)),
            ),
        ),
        DAVE,
        "Y/East/Acme in B by certificate",
    ),
    (
        "a rule that is not trusted covers nothing",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary("A", entry("X/Acme", holds=DAVE), rules=(read_naming_rule("*", trusted=False),)),
            ),
        ),
        DAVE,
        "no_entry",
    ),
    (
        "a disabled domain is not asked",
        lambda: DirectoryAssistance(
            primary=primary(), domains=(secondary("A", entry("X/Acme", holds=DAVE), enabled=False),)
        ),
        DAVE,
        "no_entry",
    ),
    (
        "with a mapped name the mapped name is the identity",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "Airius",
                    entry("uid=1/o=airius.com", holds=DAVE, mapped_names=("cn=John Doe,o=Airius",)),
                    rules=(
                        read_suffix_rule("o=airius.com", trusted=True),
                        read_naming_rule("*/Airius", trusted=True),
                    ),
                ),
            ),
        ),
        DAVE,
        "John Doe/Airius in Airius by certificate",
    ),
    (
        "with a mapped name the entry's own DN must match a trusted rule too",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "Airius",
                    entry("uid=1/o=airius.com", holds=DAVE, mapped_names=("cn=John Doe,o=Airius",)),
                    rules=(read_naming_rule("*/Airius", trusted=True),),
                ),
            ),
        ),
        DAVE,
        "domain_not_trusted_for_name",
    ),
    (
        "with a mapped name the mapped name must match a trusted rule too",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "Airius",
                    entry("uid=1/o=airius.com", holds=DAVE, mapped_names=("cn=John Doe,o=Airius",)),
                    rules=(read_suffix_rule("o=airius.com", trusted=True),),
                ),
            ),
        ),
        DAVE,
        "domain_not_trusted_for_name",
    ),
    (
        "several mapped names are ambiguous",
        lambda: DirectoryAssistance(
            primary=primary(),
            domains=(
                secondary(
                    "Airius",
                    entry("uid=1/o=airius.com", holds=DAVE, mapped_names=("cn=A,o=Airius", "cn=B,o=Airius")),
                ),
            ),
        ),
        DAVE,
        "ambiguous",
    ),
    (
        "T86: nobody outside the primary bears a primary person's name",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE_OTHER_KEY)),
            domains=(secondary("Acme", entry(NAME, holds=DAVE)),),
        ),
        DAVE,
        "domain_not_trusted_for_name",
    ),
    (
        "T86: nobody outside the primary bears a primary person's alias",
        lambda: DirectoryAssistance(
            primary=primary(entry("Alan Jones/Renovations", "Boss/Acme")),
            domains=(secondary("Acme", entry("Boss/Acme", holds=DAVE)),),
        ),
        DAVE,
        "domain_not_trusted_for_name",
    ),
    (
        "T86: an alias of somebody outside may equal a primary name, since aliases do not count",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE_OTHER_KEY)),
            domains=(secondary("Acme", entry("Other/Acme", NAME, holds=DAVE)),),
        ),
        DAVE,
        "Other/Acme in Acme by certificate",
    ),
    (
        "a domain that may assert primary names does",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE_OTHER_KEY)),
            domains=(secondary("Acme", entry(NAME, holds=DAVE), may_assert_primary_names=True),),
        ),
        DAVE,
        "Dave Lawson/Renovations in Acme by certificate",
    ),
    (
        "a stored certificate marked revoked never binds a renewed one by its key",
        lambda: DirectoryAssistance(
            primary=primary(
                entry(NAME, holds=DAVE, revoked=True),
                match_plan=plan(FindBy.SUBJECT, bind_by=BindBy.PUBLIC_KEY),
            )
        ),
        DAVE_RENEWED,
        "certificate_differs",
    ),
    (
        "public_key survives renewal with the same key",
        lambda: DirectoryAssistance(
            primary=primary(
                entry(NAME, holds=DAVE), match_plan=plan(FindBy.SUBJECT, bind_by=BindBy.PUBLIC_KEY)
            )
        ),
        DAVE_RENEWED,
        "Dave Lawson/Renovations in Renovations by subject",
    ),
    (
        "certificate does not survive renewal with the same key",
        lambda: DirectoryAssistance(
            primary=primary(entry(NAME, holds=DAVE), match_plan=plan(FindBy.SUBJECT))
        ),
        DAVE_RENEWED,
        "certificate_differs",
    ),
    (
        "garbage among the stored certificates binds nobody and breaks nothing",
        lambda: DirectoryAssistance(
            primary=primary(
                entry(NAME, holds=b"\x30\x00"), match_plan=plan(FindBy.SUBJECT, bind_by=BindBy.PUBLIC_KEY)
            )
        ),
        DAVE,
        "certificate_differs",
    ),
]


@pytest.mark.parametrize(
    ("world", "certificate", "expected"), [case[1:] for case in OUTCOMES], ids=[c[0] for c in OUTCOMES]
)
def test_search_outcome(world: Callable[[], DirectoryAssistance], certificate: Issued, expected: str) -> None:
    outcome, _ = run(world(), certificate)
    assert expected == found(outcome)


ISSUED_DAVE = (read_ldap_dn(ROOT.certificate.subject.rfc4514_string()), DAVE.certificate.serial_number)
ISSUED_OTHER = (ISSUED_DAVE[0], ISSUED_DAVE[1] + 1)
OTHER_ISSUED = (read_ldap_dn("CN=Other Root,O=Other"), ISSUED_DAVE[1])

BINDINGS = [
    (BindBy.ISSUER_SERIAL, DAVE, entry(NAME, holds=DAVE), Strength.STRONG),
    (BindBy.ISSUER_SERIAL, DAVE, entry(NAME, issuer_serials=(ISSUED_DAVE,)), Strength.STRONG),
    (BindBy.SUBJECT_KEY_ID, DAVE_RENEWED, entry(NAME, holds=DAVE), Strength.STRONG),
    (BindBy.SID, DAVE_SID, entry(NAME, sid=SID), Strength.STRONG),
    (BindBy.NAME, DAVE, entry(NAME), Strength.MEDIUM),
]


@pytest.mark.parametrize(
    ("bind_by", "certificate", "held", "strength"),
    BINDINGS,
    ids=[f"{number} {b[0].value}" for number, b in enumerate(BINDINGS)],
)
def test_t87_a_statement_of_the_ca_counts_only_from_the_cas_that_may_make_it(
    bind_by: BindBy, certificate: Issued, held: Entry, strength: Strength
) -> None:
    def world(*issued_by: str) -> DirectoryAssistance:
        return DirectoryAssistance(
            primary=primary(held, match_plan=plan(FindBy.SUBJECT, bind_by=bind_by, issued_by=issued_by))
        )

    outcome, _ = run(world("corp"), certificate, anchor="corp")
    assert isinstance(outcome, Match)
    assert outcome.strength is strength
    assert found(run(world("corp"), certificate, anchor="second-ca")[0]) == "certificate_differs"
    assert found(run(world(), certificate, anchor="corp")[0]) == "certificate_differs", (
        "empty never means all"
    )


@pytest.mark.parametrize(
    ("bind_by", "held"),
    [
        (BindBy.ISSUER_SERIAL, entry(NAME, holds=DAVE_OTHER_KEY)),
        (BindBy.ISSUER_SERIAL, entry(NAME, issuer_serials=(ISSUED_OTHER, OTHER_ISSUED))),
        (BindBy.SUBJECT_KEY_ID, entry(NAME, holds=DAVE_OTHER_KEY)),
        (BindBy.SID, entry(NAME, sid="S-1-5-21-1-2-3-9999")),
        (BindBy.SID, entry(NAME)),
    ],
    ids=[
        "another serial",
        "names another serial, and another issuer",
        "another key identifier",
        "another sid",
        "no sid",
    ],
)
def test_an_entry_without_the_identifier_is_not_bound(bind_by: BindBy, held: Entry) -> None:
    match_plan = plan(FindBy.SUBJECT, bind_by=bind_by, issued_by=("corp",))
    assert (
        found(run(DirectoryAssistance(primary=primary(held, match_plan=match_plan)), DAVE_SID)[0])
        == "certificate_differs"
    )


def test_insecure_name_only_needs_no_anchor_and_is_weak() -> None:
    match_plan = plan(FindBy.SUBJECT, bind_by=BindBy.INSECURE_NAME_ONLY)
    outcome, trace = run(DirectoryAssistance(primary=primary(entry(NAME), match_plan=match_plan)))
    assert isinstance(outcome, Match)
    assert outcome.strength is Strength.WEAK
    assert any("insecure_name_only" in line.result for line in trace.lines)


def test_issued_by_restricts_a_binding_that_does_not_need_it() -> None:
    world = DirectoryAssistance(
        primary=primary(entry(NAME, holds=DAVE), match_plan=plan(issued_by=("corp",)))
    )
    assert found(run(world, anchor="corp")[0]) == "Dave Lawson/Renovations in Renovations by certificate"
    assert found(run(world, anchor="other")[0]) == "certificate_differs"


def test_t46_a_wildcard_name_finds_nobody_by_name() -> None:
    star = ROOT.issue("CN=*")
    match_plan = plan(FindBy.COMMON_NAME, bind_by=BindBy.INSECURE_NAME_ONLY)
    outcome, _ = run(DirectoryAssistance(primary=primary(entry(NAME), match_plan=match_plan)), star)
    assert found(outcome) == "no_usable_name"


def test_t18_a_control_character_in_a_name_makes_the_certificate_unusable() -> None:
    outcome, _ = run(
        DirectoryAssistance(primary=primary(entry(NAME, holds=DAVE))), ROOT.issue("CN=Dave\\00Lawson")
    )
    assert found(outcome) == "no_usable_name"


# --- order
# ------------------------------------------------------------------------------------------------------


def domain_with_rule(name: str, *rules: str, search_order: int | None = None) -> SecondaryDomain:
    made = tuple(
        read_suffix_rule(rule, trusted=True) if "=" in rule else read_naming_rule(rule, trusted=True)
        for rule in rules
    )
    return secondary(name, rules=made, search_order=search_order)


ORDERS = [
    (
        "most specific rule first",
        "CN=Phyllis Spera,OU=Sales,O=Renovations",
        [
            domain_with_rule("Wide", "*/Renovations", search_order=1),
            domain_with_rule("Narrow", "*/Sales/Renovations"),
        ],
        ["Narrow", "Wide"],
    ),
    (
        "matching rules before the rest",
        "CN=Phyllis Spera,OU=Sales,O=Renovations",
        [domain_with_rule("Other", "*/Acme", search_order=1), domain_with_rule("Mine", "*", search_order=9)],
        ["Mine", "Other"],
    ),
    (
        "equal rules by search order ascending",
        "CN=Phyllis Spera,O=Renovations",
        [domain_with_rule("A", "*", search_order=2), domain_with_rule("B", "*", search_order=1)],
        ["B", "A"],
    ),
    (
        "no search order is last",
        "CN=Phyllis Spera,O=Renovations",
        [domain_with_rule("A", "*"), domain_with_rule("B", "*", search_order=7)],
        ["B", "A"],
    ),
    (
        "then by domain name",
        "CN=Phyllis Spera,O=Renovations",
        [domain_with_rule("beta", "*"), domain_with_rule("Alpha", "*")],
        ["Alpha", "beta"],
    ),
    (
        "search order zero is a number, and the first",
        "CN=Phyllis Spera,O=Renovations",
        [
            domain_with_rule("A", "*", search_order=1),
            domain_with_rule("B", "*", search_order=0),
            domain_with_rule("C", "*"),
        ],
        ["B", "A", "C"],
    ),
    (
        "a flat subject ignores the rules' specificity",
        "CN=Phyllis Spera",
        [
            domain_with_rule("Narrow", "*/Sales/Renovations", search_order=2),
            domain_with_rule("Wide", "*", search_order=1),
        ],
        ["Wide", "Narrow"],
    ),
]


@pytest.mark.parametrize(
    ("subject", "domains", "expected"), [o[1:] for o in ORDERS], ids=[o[0] for o in ORDERS]
)
def test_domains_are_ordered(subject: str, domains: list[SecondaryDomain], expected: list[str]) -> None:
    ordered = order_domains(domains, read_ldap_dn(subject))
    assert expected == [domain.domain for domain, _rule in ordered]


def test_the_subject_is_asked_only_of_directories_with_a_rule_for_it() -> None:
    mine = secondary("Mine", rules=(read_naming_rule("*/Renovations", trusted=True),))
    other = secondary("Other", rules=(read_naming_rule("*/Acme", trusted=True),))
    run(DirectoryAssistance(primary=primary(), domains=(other, mine)))
    assert [FindBy.CERTIFICATE, FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL] == asked_of(mine)
    assert [FindBy.CERTIFICATE, FindBy.COMMON_NAME, FindBy.MAIL] == asked_of(other)


def asked_of(domain: SecondaryDomain | PrimaryDomain) -> list[FindBy]:
    assert isinstance(domain.directory, CountingDirectory)
    return getattr(domain.directory, "asked", [])


def test_the_primary_is_asked_once_for_the_certificate_even_though_it_is_asked_for_marks_too() -> None:
    first = primary()
    run(DirectoryAssistance(primary=first))
    assert asked_of(first).count(FindBy.CERTIFICATE) == 1


def test_a_hit_ends_the_search() -> None:
    later = secondary("Later", entry("D/Acme", holds=DAVE))
    run(DirectoryAssistance(primary=primary(entry(NAME, holds=DAVE)), domains=(later,)))
    assert asked_of(later) == []


# --- ambiguity, outage
# ------------------------------------------------------------------------------------------


def two_owners(ambiguity: Ambiguity, *, fault: Exception | None = None) -> DirectoryAssistance:
    return DirectoryAssistance(
        primary=primary(entry(NAME, holds=DAVE)),
        domains=(secondary("Acme", entry("D/Acme", holds=DAVE), fault=fault),),
        ambiguity=ambiguity,
    )


def test_strict_refuses_a_second_owner_in_a_later_directory() -> None:
    assert found(run(two_owners(Ambiguity.STRICT))[0]) == "ambiguous"


def test_strict_depends_on_every_later_directory() -> None:
    with pytest.raises(DirectoryUnavailable):
        run(two_owners(Ambiguity.STRICT, fault=DirectoryUnavailable("Acme", "refused")))


def test_strict_allows_a_single_owner() -> None:
    world = DirectoryAssistance(
        primary=primary(entry(NAME, holds=DAVE)), domains=(secondary("Acme"),), ambiguity=Ambiguity.STRICT
    )
    assert found(run(world)[0]) == "Dave Lawson/Renovations in Renovations by certificate"


def test_explain_searches_on_and_warns_of_a_second_owner_without_changing_the_outcome() -> None:
    outcome, _ = run(two_owners(Ambiguity.FIRST), exhaustive=True)
    assert isinstance(outcome, Match)
    assert len(outcome.warnings) == 1
    assert "D/Acme" in outcome.warnings[0]
    assert outcome.name == read_name(NAME)


def test_explain_survives_an_outage_after_the_hit() -> None:
    outcome, trace = run(
        two_owners(Ambiguity.FIRST, fault=DirectoryUnavailable("Acme", "refused")), exhaustive=True
    )
    assert isinstance(outcome, Match)
    assert any("not asked for a second owner" in line.result for line in trace.lines)


def outage(on_unavailable: OnUnavailable, fault: Exception) -> DirectoryAssistance:
    return DirectoryAssistance(
        primary=primary(),
        domains=(
            secondary("First", fault=fault, search_order=1, on_unavailable=on_unavailable),
            secondary("Second", entry("D/Acme", holds=DAVE), search_order=2),
        ),
    )


DOWN = DirectoryUnavailable("First", "connection refused")


def test_t50_a_later_directory_does_not_answer_for_an_earlier_one_that_is_down() -> None:
    with pytest.raises(DirectoryUnavailable):
        run(outage(OnUnavailable.UNDECIDED, DOWN))


def test_t50_unless_the_domain_says_skip_and_then_the_trace_is_marked() -> None:
    outcome, trace = run(outage(OnUnavailable.SKIP, DOWN))
    assert found(outcome) == "D/Acme in Second by certificate"
    assert any("SKIPPED" in line.result and line.subject == "First" for line in trace.lines)


def test_a_malformed_answer_is_not_an_outage_and_is_never_skipped() -> None:
    with pytest.raises(DirectoryAnswerMalformed):
        run(outage(OnUnavailable.SKIP, DirectoryAnswerMalformed("First", "an entry without a name")))


def test_an_outage_of_the_primary_is_never_skipped() -> None:
    world = DirectoryAssistance(
        primary=primary(fault=DirectoryUnavailable("Renovations", "locked")),
        domains=(secondary("Second", entry("D/Acme", holds=DAVE)),),
    )
    with pytest.raises(DirectoryUnavailable):
        run(world)


def test_an_unreadable_mapped_name_is_a_fault() -> None:
    world = DirectoryAssistance(
        primary=primary(),
        domains=(secondary("Airius", entry("uid=1/o=a", holds=DAVE, mapped_names=("no dn",))),),
    )
    with pytest.raises(DirectoryAnswerMalformed, match="no distinguished name"):
        run(world)


def test_t86_nobody_outside_the_primary_bears_a_name_of_the_administrators() -> None:
    world = DirectoryAssistance(
        primary=primary(), domains=(secondary("Acme", entry("Boss/Acme", holds=DAVE)),)
    )
    assert found(run(world)[0]) == "Boss/Acme in Acme by certificate"
    reserved = frozenset({read_name("CN=Boss/O=ACME")})
    assert found(run(world, administrative=reserved)[0]) == "domain_not_trusted_for_name"


def test_t86_a_group_of_the_primary_has_its_name_for_itself() -> None:
    class WithGroup(CountingDirectory):
        def holds_name(self, name: Name, *, deadline: float) -> bool:
            return name == read_name("Managers")

    world = DirectoryAssistance(
        primary=PrimaryDomain(domain="Renovations", directory=WithGroup("Renovations", (), ()), plan=plan()),
        domains=(secondary("Acme", entry("Managers", holds=DAVE)),),
    )
    assert found(run(world)[0]) == "domain_not_trusted_for_name"


def test_the_refusal_given_is_the_first_in_the_order_of_the_table() -> None:
    world = DirectoryAssistance(
        primary=primary(),
        domains=(
            secondary(
                "A",
                entry("X/East/Acme", holds=DAVE),
                rules=(read_naming_rule("*/Acme", trusted=True),),
                search_order=1,
            ),
            secondary("B", entry(NAME, holds=DAVE_OTHER_KEY), search_order=2),
        ),
    )
    assert found(run(world)[0]) == "X/East/Acme in A by certificate"
    untrusted = replace(world.domains[0], rules=(read_naming_rule("*/West/Acme", trusted=True),))
    assert found(run(replace(world, domains=(untrusted, world.domains[1])))[0]) == "certificate_differs"
    assert found(run(replace(world, domains=(untrusted,)))[0]) == "domain_not_trusted_for_name"


def test_refusals_are_in_the_order_of_precedence() -> None:
    assert list(SearchRefusal) == [
        SearchRefusal.CERTIFICATE_REVOKED,
        SearchRefusal.NO_USABLE_NAME,
        SearchRefusal.AMBIGUOUS,
        SearchRefusal.ENTRY_DISABLED,
        SearchRefusal.CERTIFICATE_DIFFERS,
        SearchRefusal.DOMAIN_NOT_TRUSTED_FOR_NAME,
        SearchRefusal.NO_ENTRY,
    ]


def test_a_match_cannot_be_made_without_the_search() -> None:
    world = primary()
    with pytest.raises(AssertionError):
        Match(
            seal=object(),
            domain=world,
            entry=entry(NAME),
            name=read_name(NAME),
            found_by=FindBy.SUBJECT,
            bound_by=BindBy.CERTIFICATE,
            rule="",
            asked=frozenset(),
        )


ASKED: list[tuple[str, dict[str, object], set[str]]] = [
    ("a hit in the primary asks nobody else", {"holder": "Renovations"}, {"Renovations"}),
    ("a hit elsewhere was asked for of the primary first", {"holder": "Acme"}, {"Renovations", "Acme"}),
    ("nobody's having it was asked of all", {"holder": "nobody"}, {"Renovations", "Acme", "Beta"}),
    (
        "strict ambiguity rests on every later directory",
        {"holder": "Renovations", "ambiguity": Ambiguity.STRICT},
        {"Renovations", "Acme", "Beta"},
    ),
    (
        "a directory that was skipped was asked",
        {"holder": "Beta", "fault": DirectoryUnavailable("Acme", "connection refused")},
        {"Renovations", "Acme", "Beta"},
    ),
    (
        "a directory without a candidate was not asked",
        {"holder": "Beta", "acme_plan": plan(FindBy.MAIL), "certificate": WINTER},
        {"Renovations", "Beta"},
    ),
]


@pytest.mark.parametrize(("given", "expected"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
def test_an_outcome_names_the_domains_that_were_asked(given: dict[str, Any], expected: set[str]) -> None:
    certificate = given.get("certificate", DAVE)

    def holding(name: str) -> tuple[Entry, ...]:
        return (entry(f"A/{name}", holds=certificate),) if given["holder"] == name else ()

    acme_plan = given.get("acme_plan", plan())
    world = DirectoryAssistance(
        primary=primary(*holding("Renovations")),
        domains=(
            secondary(
                "Acme",
                *holding("Acme"),
                plan=acme_plan,
                fault=given.get("fault"),
                on_unavailable=OnUnavailable.SKIP,
                search_order=1,
            ),
            secondary("Beta", *holding("Beta"), search_order=2),
        ),
        ambiguity=given.get("ambiguity", Ambiguity.FIRST),
    )
    outcome, _ = run(world, certificate)
    assert isinstance(outcome, NoMatch) is (given["holder"] == "nobody")
    assert expected == outcome.asked


def test_a_certificate_of_no_usable_name_is_asked_of_nobody() -> None:
    outcome, _ = run(DirectoryAssistance(primary=primary(match_plan=plan(FindBy.UPN))))
    assert isinstance(outcome, NoMatch)
    assert (SearchRefusal.NO_USABLE_NAME, frozenset()) == (outcome.refusal, outcome.asked)


def test_a_mark_could_hide_among_more_holders_than_the_size_limit_in_the_primary() -> None:
    holders = (entry(f"Twin {number}/Renovations", holds=DAVE) for number in range(3))
    first = replace(primary(*holders, match_plan=plan(FindBy.MAIL)), size_limit=2)
    assert found(run(DirectoryAssistance(primary=first))[0]) == "ambiguous"


def test_explain_warns_of_owners_that_a_later_directory_cannot_tell_apart() -> None:
    world = DirectoryAssistance(
        primary=primary(entry(NAME, holds=DAVE)),
        domains=(secondary("Acme", entry("A/Acme", holds=DAVE), entry("B/Acme", holds=DAVE)),),
    )
    outcome, _ = run(world, exhaustive=True)
    assert isinstance(outcome, Match)
    assert "A/Acme" in outcome.warnings[0]


def test_a_certificate_without_a_key_identifier_is_bound_to_nobody_by_it() -> None:
    bare = ROOT.issue("CN=Dave Lawson,O=Renovations", subject_key_id=False)
    match_plan = plan(FindBy.SUBJECT, bind_by=BindBy.SUBJECT_KEY_ID, issued_by=("corp",))
    held = entry(NAME, holds=bare, subject_key_ids=(b"",))
    world = DirectoryAssistance(primary=primary(held, match_plan=match_plan))
    assert found(run(world, bare)[0]) == "certificate_differs"


@pytest.mark.parametrize("name", ["Anonymous", "-Default-"])
def test_a_reserved_name_is_never_an_identity_not_even_in_the_primary(name: str) -> None:
    world = DirectoryAssistance(primary=primary(entry(name, holds=DAVE)))
    assert found(run(world)[0]) == "domain_not_trusted_for_name"


def test_explain_survives_a_malformed_answer_after_the_hit() -> None:
    """`serve` would not have asked that directory: to look on must not change the outcome."""
    malformed = DirectoryAnswerMalformed("Acme", "an entry without a name")
    outcome, trace = run(two_owners(Ambiguity.FIRST, fault=malformed), exhaustive=True)
    assert isinstance(outcome, Match)
    assert any("not asked for a second owner" in line.result for line in trace.lines)
    with pytest.raises(DirectoryAnswerMalformed):
        run(two_owners(Ambiguity.STRICT, fault=malformed))
