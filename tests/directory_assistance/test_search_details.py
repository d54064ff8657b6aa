"""What a search says when it refuses: the directory, the entry, the rule or the binding that decided."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import BindBy, Candidate, FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.directory import LookUp
from directory_assistance.dn import read_name
from directory_assistance.domains import DirectoryAssistance, OnUnavailable, PrimaryDomain, SecondaryDomain
from directory_assistance.entry import Entry, StoredCertificate
from directory_assistance.naming import read_naming_rule, read_suffix_rule
from directory_assistance.search import NoMatch, SearchRefusal, SearchRequest, search
from directory_assistance.trace import TraceRecorder
from tests.support.pki import NOW, Authority, Issued, sid_extension

ROOT = Authority.root(now=NOW)
SID = "S-1-5-21-1-2-3-1104"
DAVE = ROOT.issue("CN=Dave Lawson,O=Renovations", extensions=[(sid_extension(SID), False)])
OTHER = ROOT.issue("CN=Dave Lawson,O=Renovations")
ANOTHER = ROOT.issue("CN=Dave Lawson,O=Renovations")
DEFAULT_RULES = (read_naming_rule("*", trusted=True),)


def plan(bind_by: BindBy = BindBy.CERTIFICATE, *issued_by: str, ways: tuple[FindBy, ...] = ()) -> MatchPlan:
    return MatchPlan(
        ways=tuple(FindWay(find_by=way) for way in ways or (FindBy.CERTIFICATE, FindBy.COMMON_NAME)),
        bind_by=bind_by,
        issued_by=frozenset(issued_by),
    )


def entry(name: str, *holds: Issued, **fields: Any) -> Entry:
    base = Entry(
        key=name,
        names=(read_name(name),),
        certificates=tuple(StoredCertificate(der=issued.der) for issued in holds),
    )
    return replace(base, **fields)


def primary(*entries: Entry, match_plan: MatchPlan | None = None) -> PrimaryDomain:
    directory = MemoryDirectory("Renovations", entries)
    return PrimaryDomain(domain="Renovations", directory=directory, plan=match_plan or plan())


def acme(*entries: Entry, **fields: Any) -> SecondaryDomain:
    base = SecondaryDomain(
        domain="Acme", directory=MemoryDirectory("Acme", entries), plan=plan(), rules=DEFAULT_RULES
    )
    return replace(base, **fields)


def refusal(first: PrimaryDomain, *domains: SecondaryDomain) -> NoMatch:
    request = SearchRequest(names=read_certificate_names(DAVE.der), anchor_id="corp", deadline=1e12)
    outcome = search(DirectoryAssistance(primary=first, domains=domains), request, TraceRecorder())
    assert isinstance(outcome, NoMatch)
    return outcome


NAME = "Dave Lawson/Renovations"


def test_t57_without_an_instant_an_entry_that_expires_at_all_counts_as_expired() -> None:
    ends = NOW + timedelta(days=1)
    assert refusal(primary(entry(NAME, DAVE, expires=ends))) == NoMatch(
        refusal=SearchRefusal.ENTRY_DISABLED,
        detail=f"`{NAME}` in `Renovations` expired at {ends.isoformat()}",
    )


# --- an entry was found by name, and is not bound

NOT_BOUND = [
    pytest.param(
        primary(entry(NAME, OTHER)),
        "does not hold this certificate: it holds 1 other (bind_by: certificate)",
        id="another certificate",
    ),
    pytest.param(
        primary(entry(NAME, OTHER, ANOTHER)),
        "does not hold this certificate: it holds 2 others (bind_by: certificate)",
        id="other certificates",
    ),
    pytest.param(
        primary(entry(NAME)),
        "does not hold this certificate: it holds none (bind_by: certificate)",
        id="no certificate",
    ),
    pytest.param(
        primary(entry(NAME, OTHER), match_plan=plan(BindBy.PUBLIC_KEY)),
        "holds no certificate with this public key: it holds 1 other (bind_by: public_key)",
        id="another key",
    ),
    pytest.param(
        primary(entry(NAME), match_plan=plan(BindBy.SID, "corp")),
        "does not hold the sid of this certificate (bind_by: sid)",
        id="another identifier",
    ),
    pytest.param(
        primary(entry(NAME), match_plan=plan(BindBy.NAME, "partner", "branch")),
        "the path ends in anchor `corp`, and issued_by allows `branch`, `partner` (bind_by: name)",
        id="a statement of a CA that may not make it",
    ),
    pytest.param(
        primary(entry(NAME), match_plan=plan(BindBy.NAME)),
        "the path ends in anchor `corp`, and issued_by allows no anchor (bind_by: name)",
        id="no CA may make the statement",
    ),
]


@pytest.mark.parametrize(("first", "why"), NOT_BOUND)
def test_certificate_differs_says_which_entry_was_found_how_and_what_it_lacks(
    first: PrimaryDomain, why: str
) -> None:
    assert refusal(first) == NoMatch(
        refusal=SearchRefusal.CERTIFICATE_DIFFERS,
        detail=f"`{NAME}` in `Renovations` was found by common_name, but {why}",
    )


# --- the directory is not trusted for the name


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        pytest.param(
            [read_naming_rule("*/West/Acme", trusted=True)],
            "`*/*/*/West/Acme/*`",
            id="a trusted rule for other names",
        ),
        pytest.param(
            [
                read_suffix_rule("o=airius.com", trusted=True),
                read_naming_rule("*"),
                read_naming_rule("*", trusted=True, enabled=False),
                read_naming_rule("*", enabled=False),
            ],
            "`O=airius.com`, `*/*/*/*/*/*` (not trusted), `*/*/*/*/*/*` (disabled), "
            "`*/*/*/*/*/*` (disabled, not trusted)",
            id="rules that do not count",
        ),
        pytest.param(
            [read_naming_rule(f"*/{unit}/Acme", trusted=True) for unit in "ABCDE"],
            ", ".join(f"`*/*/*/{unit}/Acme/*`" for unit in "ABCDE"),
            id="five rules are all told",
        ),
        pytest.param(
            [read_naming_rule(f"*/{unit}/Acme", trusted=True) for unit in "ABCDEFG"],
            ", ".join(f"`*/*/*/{unit}/Acme/*`" for unit in "ABCDE") + " and 2 more",
            id="of many rules the first five are told",
        ),
    ],
)
def test_not_trusted_for_name_says_the_domain_the_name_and_the_domains_rules(
    rules: list[Any], told: str
) -> None:
    outcome = refusal(primary(), acme(entry("Dave Lawson/East/Acme", DAVE), rules=tuple(rules)))
    assert outcome == NoMatch(
        refusal=SearchRefusal.DOMAIN_NOT_TRUSTED_FOR_NAME,
        detail=("no enabled trusted rule of `Acme` covers `Dave Lawson/East/Acme`: its rules are " + told),
    )


def test_a_borrowed_name_is_told_with_its_domain_and_the_key_that_would_allow_it() -> None:
    outcome = refusal(primary(entry(NAME, OTHER, key="p")), acme(entry(NAME, DAVE)))
    assert outcome == NoMatch(
        refusal=SearchRefusal.DOMAIN_NOT_TRUSTED_FOR_NAME,
        detail=(
            f"`{NAME}`, found in `Acme`, is a name of the primary directory or of an administrator, and the "
            "domain does not say may_assert_primary_names"
        ),
    )


# --- nobody


class LimitedDirectory(MemoryDirectory):
    """A directory that cannot be asked by certificate."""

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        if candidate.find_by is FindBy.CERTIFICATE:
            return LookUp(asked="by certificate", supported=False)
        return super().find_entries(candidate, limit=limit, deadline=deadline)


def closed() -> MemoryDirectory:
    directory = MemoryDirectory("Acme")
    directory.close()
    return directory


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        pytest.param((), "Renovations: certificate, common_name", id="the primary alone"),
        pytest.param(
            (acme(),),
            "Renovations: certificate, common_name; Acme: certificate, common_name",
            id="every directory that was asked",
        ),
        pytest.param(
            (acme(directory=LimitedDirectory("Acme")),),
            "Renovations: certificate, common_name; Acme: certificate not supported, common_name",
            id="a way that a directory does not support",
        ),
        pytest.param(
            (acme(plan=plan(ways=(FindBy.UPN,))),),
            "Renovations: certificate, common_name; Acme: not asked",
            id="a directory that no name of the certificate reaches",
        ),
        pytest.param(
            (acme(directory=closed(), on_unavailable=OnUnavailable.SKIP),),
            "Renovations: certificate, common_name; Acme: did not answer and was skipped",
            id="a directory that was skipped",
        ),
        pytest.param(
            (acme(rules=()),), "Renovations: certificate, common_name", id="but none without a trusted rule"
        ),
    ],
)
def test_no_entry_says_which_directories_were_asked_and_how(
    domains: tuple[SecondaryDomain, ...], told: str
) -> None:
    assert refusal(primary(), *domains) == NoMatch(
        refusal=SearchRefusal.NO_ENTRY,
        detail=f"no directory holds an entry for this certificate; asked were {told}",
    )
