"""How a decision is told: a database and a person, one deviation each, the whole text expected; revocation beside."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authsvc.access.acl import AclEntry, Database, explain_access
from authsvc.access.requirements import read_requirement
from authsvc.decision.wording import tell_matches, tell_revocation, tell_unmet
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence, RevocationStatus
from directory_assistance.entry import Identity
from tests.support.acl import DAVE, DOMAINS, database, entry, group, person
from tests.support.pki import NOW

NAME = "Dave Lawson/Renovations"
REQUIRED = "level=Manager is required in `sales.nsf`, and "
SALES = entry("Sales", "Author", privileges=("create_documents",), roles=("Buyer",))
IN_SALES = person(NAME, group("Sales"))
SEVEN = [f"Group {number}" for number in range(1, 8)]


def told(world: Database, who: Identity | None) -> str:
    explanation = explain_access(world, who, domains=DOMAINS)
    return tell_unmet(explanation, read_requirement(level="manager"))


UNMET: list[tuple[str, tuple[AclEntry, ...], Identity | None, str]] = [
    (
        "an explicit entry",
        (entry(NAME, "Reader"),),
        DAVE,
        "ACL entry `Dave Lawson/Renovations` (Reader, by name) gives no more",
    ),
    (
        "an explicit entry beside a group's",
        (entry(NAME, "No Access"), SALES),
        IN_SALES,
        (
            "ACL entry `Dave Lawson/Renovations` (No Access, by name) gives no more; `Sales` (Author, "
            "create_documents, role Buyer, by group `Sales`) matches, but does not count beside it"
        ),
    ),
    (
        "an explicit entry beside a group's and a wildcard",
        (entry(NAME, "No Access"), SALES, entry("*/Renovations", "Reader")),
        IN_SALES,
        (
            "ACL entry `Dave Lawson/Renovations` (No Access, by name) gives no more; `Sales` (Author, "
            "create_documents, role Buyer, by group `Sales`), `*/Renovations` (Reader, by wildcard) match, but do "
            "not count beside it"
        ),
    ),
    (
        "two groups together, and a No Access that does not count beside them",
        (SALES, entry("Staff", "Reader"), entry("Others", "No Access")),
        person(NAME, group("Sales"), group("Staff"), group("Others")),
        (
            "ACL entries `Sales` (Author, create_documents, role Buyer, by group `Sales`), `Staff` (Reader, by "
            "group `Staff`) give no more; `Others` (No Access, by group `Others`) matches, but does not count "
            "beside them"
        ),
    ),
    (
        "a nested group of another domain, with the way to it",
        (entry("Staff@Airius", "Reader"),),
        person(
            "uid=dave/o=airius.com", group("Staff", domain="Airius", via=("Inner", "Outer")), domain="Airius"
        ),
        "ACL entry `Staff@Airius` (Reader, by group `Staff@Airius` (through `Inner`, `Outer`)) gives no more",
    ),
    (
        "a wildcard",
        (entry("*/Renovations", "Reader"),),
        DAVE,
        "ACL entry `*/Renovations` (Reader, by wildcard) gives no more",
    ),
    (
        "nothing matches",
        (entry("-Default-", "Reader"),),
        DAVE,
        "ACL entry `-Default-` (Reader, as nothing else matches) gives no more",
    ),
    (
        "no certificate",
        (entry("Anonymous", "Reader"),),
        None,
        "ACL entry `Anonymous` (Reader, without a certificate) gives no more",
    ),
    (
        "of many entries the first five are told",
        tuple(entry(name, "Reader") for name in SEVEN),
        person(NAME, *map(group, SEVEN)),
        "ACL entries "
        + ", ".join(f"`{name}` (Reader, by group `{name}`)" for name in SEVEN[:5])
        + " and 2 more give no more",
    ),
    (
        "five entries are all told",
        tuple(entry(name, "Reader") for name in SEVEN[:5]),
        person(NAME, *map(group, SEVEN[:5])),
        "ACL entries "
        + ", ".join(f"`{name}` (Reader, by group `{name}`)" for name in SEVEN[:5])
        + " give no more",
    ),
]


@pytest.mark.parametrize(
    ("entries", "who", "expected"),
    [pytest.param(entries, who, expected, id=sentence) for sentence, entries, who, expected in UNMET],
)
def test_why_a_requirement_is_not_met(
    entries: tuple[AclEntry, ...], who: Identity | None, expected: str
) -> None:
    assert REQUIRED + expected == told(database(*entries), who)


def test_a_cap_is_told_where_it_took_away() -> None:
    entries = (entry("Anonymous", "Author"),)
    assert told(database(*entries, maximum_internet_access="Reader"), None).endswith(
        "gives no more; maximum_internet_access lowers it to Reader"
    )
    assert told(database(*entries, maximum_internet_access="Author"), None).endswith("gives no more")


def test_all_that_is_required_is_told() -> None:
    explanation = explain_access(database(entry(NAME, "Reader")), DAVE, domains=DOMAINS)
    requirement = read_requirement(level="author", privileges=["delete_documents"], roles=["Buyer"])
    assert tell_unmet(explanation, requirement).startswith(
        "level=Author privilege=delete_documents role=Buyer is required in `sales.nsf`, and "
    )


def test_each_entry_that_matched_is_told_with_whether_it_counts() -> None:
    world = database(SALES, entry("*/Renovations", "Reader"), entry("Strangers", "Manager"))
    explanation = explain_access(world, IN_SALES, domains=DOMAINS)
    assert [
        ("Sales", "Author, create_documents, role Buyer, by group `Sales`"),
        ("*/Renovations", "Reader, by wildcard: does not count"),
    ] == list(tell_matches(explanation))


def test_default_is_told_only_where_it_counts() -> None:
    explanation = explain_access(database(), DAVE, domains=DOMAINS)
    assert [("-Default-", "No Access, as nothing else matches")] == list(tell_matches(explanation))


def test_revocation_is_told_for_each_certificate_and_then_altogether() -> None:
    plain = ListUse(source="a.crl", number=7, this_update=NOW - timedelta(hours=1), next_update=NOW)
    late = replace(plain, source="b.crl", number=-1, delta_source="d.crl", delta_number=9, in_grace=True)
    evidence = RevocationEvidence(
        status=RevocationStatus.UNKNOWN_ACCEPTED,
        policy=RevocationMode.PREFER,
        source="crl",
        grace_used=True,
        certificates=(
            CertificateEvidence(
                subject="CN=1",
                serial=1,
                status=RevocationStatus.GOOD,
                source="a.crl, b.crl",
                lists=(plain, late),
            ),
            CertificateEvidence(
                subject="CN=2",
                serial=2,
                status=RevocationStatus.REVOKED,
                source="http://ocsp.example/",
                detail="it says so",
            ),
            CertificateEvidence(
                subject="CN=3", serial=3, status=RevocationStatus.UNKNOWN, detail="nobody knows"
            ),
        ),
    )
    assert list(tell_revocation(evidence)) == [
        (
            "CN=1",
            (
                "good by `a.crl` number 7, until 2026-03-01T12:00:00+00:00; "
                "`b.crl` with `d.crl` number 9, until 2026-03-01T12:00:00+00:00, which has passed"
            ),
        ),
        ("CN=2", "revoked by http://ocsp.example/: it says so"),
        ("CN=3", "unknown: nobody knows"),
        ("crl", "unknown_accepted, by grace (mode prefer)"),
    ]


def test_revocation_that_nobody_looked_at_is_told_so() -> None:
    evidence = RevocationEvidence(status=RevocationStatus.NOT_CHECKED, policy=RevocationMode.OFF)
    assert list(tell_revocation(evidence)) == [("no source", "not_checked (mode off)")]
