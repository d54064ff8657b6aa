"""The pipeline: every reason code is reached, and every allow has a neighbour one change away that is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from authsvc.access.acl import Requirement
from authsvc.access.databases import DatabaseTarget, IdentityTarget, RefusedTarget
from authsvc.access.levels import Level, Privilege
from authsvc.decision.advice import advise
from authsvc.decision.pipeline import Policy
from authsvc.decision.request import FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.presented.presentation import (
    NoCertificate,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.reason import Reason
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.crl import read_crl
from authsvc.trust.ocsp_answer import OcspUnknown
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import RevocationSnapshot, RevocationStatus
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.directory import LookUp
from directory_assistance.dn import MemberReference, read_name, render_name
from directory_assistance.domains import GroupAuthorization, SecondaryDomain
from directory_assistance.entry import Entry, Group, GroupType
from directory_assistance.errors import DirectoryUnavailable, ExpansionLimitExceeded
from directory_assistance.naming import read_naming_rule
from tests.support.decision import (
    CRL_END,
    DAVE,
    DEFAULT_PLAN,
    ISSUING,
    ROOT,
    Case,
    MappingDatabases,
    UnreachableDatabases,
    acl,
    person,
    presented,
    primary_of,
    reading,
    revocation,
    sales,
    trust,
)
from tests.support.pki import NOW, SERVER_AUTH, Authority, Issued, KeyKind

ANONYMOUS = FrontEndPolicy(name="nginx", anonymous=True)
DAVE_ENTRY = person("Dave Lawson/Renovations", holds=DAVE)
OPEN = MappingDatabases(sales(acl("Anonymous", Level.READER)))
FOREIGN = Authority.root(now=NOW).issue_authority().issue("CN=Dave Lawson,O=Renovations")


def group(
    name: str, *members: str, kind: GroupType = GroupType.MULTI
) -> tuple[Group, tuple[MemberReference, ...]]:
    return (
        Group(name=name, type=kind, reference=read_name(name)),
        tuple(read_name(member) for member in members),
    )


def test_the_base_case_is_allowed_with_everything_it_rests_on() -> None:
    verdict = Case().decide()
    assert isinstance(verdict, Allowed)
    assert verdict.reason is Reason.ALLOWED
    assert verdict.identity is not None
    assert render_name(verdict.identity.name) == "Dave Lawson/Renovations"
    assert verdict.identity.strength.value == "strong"
    assert verdict.access is not None
    assert verdict.access.level is Level.READER
    assert verdict.certificate is not None
    assert verdict.certificate.anchor_id == "corp"
    assert {line.step for line in verdict.trace} >= {
        "present",
        "verify",
        "revocation",
        "search",
        "identify",
        "decide",
        "answer",
    }


class Faulty(MemoryDirectory):
    """A directory that does not answer."""

    def find_entries(self, candidate: object, *, limit: int, deadline: float) -> LookUp:
        raise DirectoryUnavailable(self.domain, "connection refused")


class Bottomless(MemoryDirectory):
    """A directory whose groups never end."""

    def find_groups(self, members: object, *, deadline: float) -> tuple[Group, ...]:
        raise ExpansionLimitExceeded(self.domain, "too many groups")


def secondary(directory: MemoryDirectory, rule: str = "*") -> SecondaryDomain:
    return SecondaryDomain(
        domain=directory.domain,
        directory=directory,
        plan=DEFAULT_PLAN,
        rules=(read_naming_rule(rule, trusted=True),),
    )


def stale() -> RevocationSnapshot:
    old = ISSUING.crl(this_update=NOW - timedelta(days=9), next_update=NOW - timedelta(days=1))
    return RevocationSnapshot.of(
        [
            read_crl(ROOT.crl(next_update=CRL_END).der, source="root.crl"),
            read_crl(old.der, source="issuing.crl"),
        ]
    )


def case_of(certificate: Issued, **fields: Any) -> Case:
    return replace(Case(), presentation=presented(certificate), **fields)


EXPIRED = ISSUING.issue(
    "CN=Dave Lawson,O=Renovations", not_before=NOW - timedelta(9), not_after=NOW - timedelta(1)
)
EARLY = ISSUING.issue(
    "CN=Dave Lawson,O=Renovations", not_before=NOW + timedelta(1), not_after=NOW + timedelta(9)
)

REFUSALS: list[tuple[Reason, Callable[[], Case]]] = [
    (Reason.CERTIFICATE_MISSING, lambda: replace(Case(), presentation=NoCertificate())),
    (
        Reason.CERTIFICATE_UNREADABLE,
        lambda: replace(Case(), presentation=UnreadableCertificate(problem="two headers")),
    ),
    (
        Reason.CERTIFICATE_UNREADABLE,
        lambda: replace(Case(), presentation=PresentedCertificate(der=b"\x30\x00")),
    ),
    (Reason.CERTIFICATE_UNTRUSTED, lambda: case_of(FOREIGN)),
    (
        Reason.CERTIFICATE_UNTRUSTED,
        lambda: replace(Case(), presentation=RejectedByFrontEnd(problem="FAILED")),
    ),
    (Reason.CERTIFICATE_WEAK, lambda: case_of(ISSUING.issue(key=KeyKind.RSA_1024))),
    (Reason.CERTIFICATE_USAGE, lambda: case_of(ISSUING.issue(eku=(SERVER_AUTH,)))),
    (Reason.CERTIFICATE_POLICY, lambda: replace(Case(), trust=trust(required_policies=frozenset({"1.2.3"})))),
    (Reason.CERTIFICATE_NOT_YET_VALID, lambda: case_of(EARLY)),
    (Reason.CERTIFICATE_EXPIRED, lambda: case_of(EXPIRED)),
    (Reason.CERTIFICATE_REVOKED, lambda: replace(Case(), revocation=revocation(DAVE))),
    (
        Reason.CERTIFICATE_REVOKED,
        lambda: replace(
            Case(), primary=primary_of(person("Dave Lawson/Renovations", holds=DAVE, revoked=True))
        ),
    ),
    (Reason.REVOCATION_UNKNOWN, lambda: replace(Case(), revocation=RevocationSnapshot.of([]))),
    (Reason.NO_USABLE_NAME, lambda: case_of(ISSUING.issue("CN=Dave\\00Lawson,O=Renovations"))),
    (
        Reason.AMBIGUOUS,
        lambda: replace(Case(), primary=primary_of(DAVE_ENTRY, person("Twin/Renovations", holds=DAVE))),
    ),
    (
        Reason.ENTRY_DISABLED,
        lambda: replace(
            Case(), primary=primary_of(person("Dave Lawson/Renovations", holds=DAVE, disabled=True))
        ),
    ),
    (
        Reason.DENY_GROUP,
        lambda: replace(
            Case(),
            primary=primary_of(
                DAVE_ENTRY, groups=(group("Gone", "Dave Lawson/Renovations", kind=GroupType.DENY),)
            ),
            policy=Policy(deny_access=("Gone",)),
        ),
    ),
    (
        Reason.CERTIFICATE_DIFFERS,
        lambda: case_of(ISSUING.issue("CN=Dave Lawson,O=Renovations")),
    ),
    (
        Reason.DOMAIN_NOT_TRUSTED_FOR_NAME,
        lambda: replace(
            Case(),
            primary=primary_of(),
            domains=(
                secondary(MemoryDirectory("Acme", (person("D/East/Acme", holds=DAVE),), ()), "*/West/Acme"),
            ),
        ),
    ),
    (Reason.NO_ENTRY, lambda: replace(Case(), primary=primary_of())),
    (Reason.ACL_LEVEL, lambda: replace(Case(), target=reading(Level.EDITOR))),
    (
        Reason.ACL_PRIVILEGE,
        lambda: replace(Case(), target=reading(None, privileges=frozenset({Privilege.DELETE_DOCUMENTS}))),
    ),
    (Reason.ACL_ROLE, lambda: replace(Case(), target=reading(None, roles=frozenset({"Buyer"})))),
    (Reason.DATABASE_UNKNOWN, lambda: replace(Case(), databases=MappingDatabases())),
    (
        Reason.DATABASE_UNKNOWN,
        lambda: replace(Case(), target=RefusedTarget(reason=Reason.DATABASE_UNKNOWN, problem="no route")),
    ),
    (
        Reason.TLS_REQUIRED,
        lambda: replace(
            Case(),
            databases=MappingDatabases(sales(acl("Dave Lawson/Renovations", Level.READER), require_tls=True)),
            over_tls=False,
        ),
    ),
    (
        Reason.DIRECTORY_UNAVAILABLE,
        lambda: replace(Case(), primary=primary_of(), domains=(secondary(Faulty("Acme", (), ())),)),
    ),
    (Reason.REVOCATION_UNAVAILABLE, lambda: replace(Case(), revocation=stale())),
    (Reason.STORE_UNAVAILABLE, lambda: replace(Case(), databases=UnreachableDatabases())),
    (
        Reason.EXPANSION_LIMIT,
        lambda: replace(
            Case(), primary=replace(primary_of(), directory=Bottomless("Renovations", (DAVE_ENTRY,), ()))
        ),
    ),
    (
        Reason.BAD_REQUEST,
        lambda: replace(Case(), target=RefusedTarget(reason=Reason.BAD_REQUEST, problem="unknown parameter")),
    ),
]


@pytest.mark.parametrize(("reason", "case"), REFUSALS, ids=[reason.value for reason, _case in REFUSALS])
def test_every_refusal_is_reached_and_advised(reason: Reason, case: Callable[[], Case]) -> None:
    verdict = case().decide()
    assert isinstance(verdict, Undecided if reason.status == 503 else Denied)
    assert verdict.reason is reason
    assert verdict.detail
    assert advise(verdict)


def test_the_table_of_refusals_is_complete() -> None:
    elsewhere = {Reason.UNTRUSTED_FRONT_END, Reason.OVERLOADED}  # answered before the pipeline
    allowed = {reason for reason in Reason if reason.status == 200}
    assert {reason for reason, _case in REFUSALS} == set(Reason) - elsewhere - allowed


def test_identity_alone_is_allowed_without_access() -> None:
    verdict = replace(Case(), target=IdentityTarget()).decide()
    assert isinstance(verdict, Allowed)
    assert verdict.reason is Reason.ALLOWED_IDENTITY
    assert verdict.access is None


def test_identity_alone_is_never_answered_as_anonymous() -> None:
    case = replace(Case(), target=IdentityTarget(), presentation=NoCertificate(), front_end=ANONYMOUS)
    assert case.decide().reason is Reason.CERTIFICATE_MISSING


def test_anonymous_is_allowed_where_front_end_and_acl_allow_it() -> None:
    case = replace(Case(), presentation=NoCertificate(), front_end=ANONYMOUS, databases=OPEN)
    verdict = case.decide()
    assert isinstance(verdict, Allowed)
    assert verdict.reason is Reason.ALLOWED_ANONYMOUS
    assert verdict.identity is None


@pytest.mark.parametrize(
    "case",
    [
        replace(Case(), presentation=NoCertificate(), databases=OPEN),
        replace(Case(), presentation=NoCertificate(), front_end=ANONYMOUS),
        replace(
            Case(),
            presentation=NoCertificate(),
            front_end=ANONYMOUS,
            databases=OPEN,
            target=reading(Level.AUTHOR),
        ),
    ],
    ids=["the front end does not allow it", "the acl does not", "the level does not suffice"],
)
def test_anonymous_is_refused_so_that_a_certificate_may_be_presented(case: Case) -> None:
    assert case.decide().reason is Reason.CERTIFICATE_MISSING


def test_a_database_unknown_is_said_to_anonymous_only_where_anonymous_is_allowed() -> None:
    nobody = replace(Case(), presentation=NoCertificate(), databases=MappingDatabases())
    assert nobody.decide().reason is Reason.CERTIFICATE_MISSING
    assert replace(nobody, front_end=ANONYMOUS).decide().reason is Reason.DATABASE_UNKNOWN


def test_a_bad_request_comes_before_everything() -> None:
    target = RefusedTarget(reason=Reason.BAD_REQUEST, problem="repeated parameter")
    assert replace(Case(), target=target, presentation=NoCertificate()).decide().reason is Reason.BAD_REQUEST


def test_a_certificate_without_entry_counts_as_none_only_when_configured_and_allowed() -> None:
    unknown = replace(Case(), primary=primary_of(), databases=OPEN, front_end=ANONYMOUS)
    assert unknown.decide().reason is Reason.NO_ENTRY
    lenient = replace(unknown, policy=Policy(anonymous_without_entry=True))
    verdict = lenient.decide()
    assert verdict.reason is Reason.ALLOWED_ANONYMOUS
    assert isinstance(verdict, Allowed)
    assert verdict.certificate is None, "nothing of the certificate may look like an identity"
    assert replace(lenient, front_end=FrontEndPolicy(name="nginx")).decide().reason is Reason.NO_ENTRY


def test_only_no_entry_becomes_anonymous() -> None:
    policy = Policy(anonymous_without_entry=True)
    differs = replace(
        case_of(ISSUING.issue("CN=Dave Lawson,O=Renovations")),
        front_end=ANONYMOUS,
        databases=OPEN,
        policy=policy,
    )
    assert differs.decide().reason is Reason.CERTIFICATE_DIFFERS


def test_a_full_access_administrator_bypasses_the_acl_and_the_verdict_says_so() -> None:
    policy = Policy(full_access_administrators=frozenset({read_name("Dave Lawson/Renovations")}))
    verdict = replace(
        Case(), databases=MappingDatabases(sales()), policy=policy, target=reading(Level.MANAGER)
    ).decide()
    assert verdict.reason is Reason.ALLOWED_FULL_ACCESS


def test_t86_a_full_access_administrator_is_only_somebody_of_the_primary() -> None:
    policy = Policy(full_access_administrators=frozenset({read_name("D/Acme")}))
    acme = secondary(MemoryDirectory("Acme", (person("D/Acme", holds=DAVE),), ()))
    foreign = replace(Case(), primary=primary_of(), domains=(acme,), policy=policy)
    assert foreign.decide().reason is Reason.DOMAIN_NOT_TRUSTED_FOR_NAME
    asserting = replace(foreign, domains=(replace(acme, may_assert_primary_names=True),))
    assert asserting.decide().reason is Reason.ACL_LEVEL


def test_t86_an_administrator_of_directory_is_not_borrowed_from_outside() -> None:
    acme = secondary(MemoryDirectory("Acme", (person("Ada Admin/Renovations", holds=DAVE),), ()))
    assert (
        replace(Case(), primary=primary_of(), domains=(acme,)).decide().reason
        is Reason.DOMAIN_NOT_TRUSTED_FOR_NAME
    )


def test_the_directory_database_sees_only_primary_identities() -> None:
    target = DatabaseTarget(database="directory", requirement=Requirement(level=Level.READER))
    ada = primary_of(person("Ada Admin/Renovations", holds=DAVE))
    assert replace(Case(), primary=ada, target=target).decide().reason is Reason.ALLOWED
    acme = replace(
        secondary(MemoryDirectory("Acme", (person("Ada Admin/Renovations", holds=DAVE),), ())),
        may_assert_primary_names=True,
    )
    assert (
        replace(Case(), primary=primary_of(), domains=(acme,), target=target).decide().reason
        is Reason.ACL_LEVEL
    )


def test_tls_is_assumed_of_a_certificate_unless_somebody_says_otherwise() -> None:
    only_tls = replace(
        Case(),
        databases=MappingDatabases(sales(acl("Dave Lawson/Renovations", Level.READER), require_tls=True)),
    )
    assert only_tls.decide().reason is Reason.ALLOWED
    assert replace(only_tls, over_tls=True).decide().reason is Reason.ALLOWED
    assert replace(only_tls, over_tls=False).decide().reason is Reason.TLS_REQUIRED


def test_plain_anonymous_requests_are_sent_to_tls() -> None:
    databases = MappingDatabases(sales(acl("Anonymous", Level.READER), require_tls=True))
    nobody = replace(Case(), presentation=NoCertificate(), front_end=ANONYMOUS, databases=databases)
    assert nobody.decide().reason is Reason.TLS_REQUIRED
    assert replace(nobody, over_tls=True).decide().reason is Reason.ALLOWED_ANONYMOUS


def test_an_expired_certificate_passes_only_within_the_front_ends_grace_and_marked() -> None:
    renewed = replace(
        Case(),
        presentation=presented(EXPIRED),
        primary=primary_of(person("Dave Lawson/Renovations", holds=EXPIRED)),
    )
    assert renewed.decide().reason is Reason.CERTIFICATE_EXPIRED
    lenient = replace(renewed, front_end=FrontEndPolicy(name="nginx", accept_expired=timedelta(days=2)))
    verdict = lenient.decide()
    assert isinstance(verdict, Allowed)
    assert verdict.notes == ("expired, accepted by insecure_accept_expired",)
    shorter = replace(renewed, front_end=FrontEndPolicy(name="nginx", accept_expired=timedelta(hours=2)))
    assert shorter.decide().reason is Reason.CERTIFICATE_EXPIRED


def bound_of(verdict: Verdict) -> timedelta:
    assert isinstance(verdict, Allowed)
    return verdict.valid_until - NOW


def test_t41_a_verdict_outlives_neither_cache_time_nor_certificate_nor_list() -> None:
    assert bound_of(Case().decide()) == timedelta(seconds=60)
    patient = Policy(allowed_lifetime=timedelta(days=900))
    assert bound_of(replace(Case(), policy=patient).decide()) == CRL_END - NOW
    short = ISSUING.issue("CN=Dave Lawson,O=Renovations", not_after=NOW + timedelta(hours=3))
    brief = replace(
        Case(),
        policy=patient,
        presentation=presented(short),
        primary=primary_of(person("Dave Lawson/Renovations", holds=short)),
    )
    assert bound_of(brief.decide()) == timedelta(hours=3)


@dataclass
class NotedPaths:
    """Notes proven paths, and says that a place is waited for."""

    waiting: str = ""
    noted: list[VerifiedCertificate] = field(default_factory=list)

    def note(self, verified: VerifiedCertificate) -> str:
        self.noted.append(verified)
        return self.waiting


NO_LISTS = RevocationSnapshot.of([])


def test_a_list_that_is_on_its_way_makes_nobody_unknown() -> None:
    """And what is known already counts nevertheless."""
    paths = NotedPaths(waiting="http://crl.example.com/ca.crl")
    verdict = replace(Case(), paths=paths, revocation=NO_LISTS).decide()
    assert isinstance(verdict, Undecided)
    assert verdict.reason is Reason.REVOCATION_UNAVAILABLE
    assert verdict.detail.endswith("and `http://crl.example.com/ca.crl` is not fetched yet")
    assert (
        replace(Case(), paths=paths, revocation=revocation(DAVE)).decide().reason
        is Reason.CERTIFICATE_REVOKED
    )
    assert replace(Case(), paths=paths).decide().reason is Reason.ALLOWED
    nothing = replace(Case(), paths=NotedPaths(), revocation=NO_LISTS).decide()
    assert nothing.reason is Reason.REVOCATION_UNKNOWN


def test_t31_only_a_path_that_is_proven_is_told() -> None:
    paths = NotedPaths()
    stranger = Authority.root("CN=Stranger", now=NOW).issue("CN=Dave Lawson,O=Renovations")
    for case in (
        replace(Case(), paths=paths, presentation=presented(stranger)),
        replace(Case(), paths=paths, presentation=presented(EXPIRED)),
        replace(Case(), paths=paths, presentation=NoCertificate()),
    ):
        assert not isinstance(case.decide(), Allowed)
    assert [] == paths.noted
    assert isinstance(replace(Case(), paths=paths).decide(), Allowed)
    assert [DAVE.der] == [each.path[0].der for each in paths.noted]


def test_t37_a_verdict_in_the_grace_is_marked_and_ends_with_it() -> None:
    late = RevocationSnapshot.of(
        [
            read_crl(ROOT.crl(next_update=CRL_END).der, source="root.crl"),
            read_crl(ISSUING.crl(next_update=NOW).der, source="issuing.crl"),
        ],
        grace=timedelta(seconds=20),
    )
    verdict = replace(Case(), revocation=late).decide()
    assert bound_of(verdict) == timedelta(seconds=20)
    assert isinstance(verdict, Allowed)
    assert verdict.notes == ("a revocation list is past its next update, accepted by the grace",)
    assert verdict.revocation is not None
    assert verdict.revocation.grace_used
    none_left = RevocationSnapshot.of(
        late.lists.series[read_certificate(ISSUING.der).subject_key][0].complete
    )
    assert isinstance(replace(Case(), revocation=none_left).decide(), Denied)


def test_t39_a_refusal_for_revocation_carries_what_it_rests_on_and_may_be_cached() -> None:
    verdict = replace(Case(), revocation=revocation(DAVE)).decide()
    assert isinstance(verdict, Denied)
    assert verdict.revocation is not None
    assert (verdict.revocation.status, verdict.revocation.lists) == (
        RevocationStatus.REVOKED,
        ("issuing.crl",),
    )
    assert verdict.valid_until == NOW + Policy().refused_lifetime
    told = [line for line in verdict.trace if line.step == "revocation"]
    assert ("CN=Dave Lawson,O=Renovations", "crl") == (told[0].subject, told[-2].subject)
    unavailable = replace(Case(), revocation=stale()).decide()
    assert isinstance(unavailable, Undecided)
    assert unavailable.revocation is not None
    assert unavailable.revocation.status is RevocationStatus.UNAVAILABLE


def test_the_responders_of_the_snapshot_are_asked_within_the_deadline() -> None:
    asked = []

    class Responders:
        def find_remembered(self, *_: object, **__: object) -> None:
            return None

        def ask(self, facts: CertificateFacts, *_: object, deadline: float, **__: object) -> OcspUnknown:
            asked.append((facts.subject_text, deadline))
            return OcspUnknown(source="http://ocsp.example/")

    verdict = replace(Case(), revocation=RevocationSnapshot(), ocsp=Responders()).decide()
    assert isinstance(verdict, Denied)
    assert verdict.reason is Reason.REVOCATION_UNKNOWN
    assert verdict.detail.endswith("and `http://ocsp.example/` does not know it")
    assert asked == [
        ("CN=Dave Lawson,O=Renovations", 1e12),
        ("CN=Renovations Issuing CA,O=Renovations", 1e12),
    ]


def test_t14_an_allow_cannot_be_built_without_a_subject() -> None:
    with pytest.raises(AssertionError):
        Allowed(
            reason=Reason.ALLOWED,
            identity=None,
            access=None,
            certificate=None,
            revocation=None,
            valid_until=NOW,
        )
    with pytest.raises(AssertionError):
        Allowed(
            reason=Reason.NO_ENTRY,
            identity=None,
            access=None,
            certificate=None,
            revocation=None,
            valid_until=NOW,
        )


def test_a_fault_carries_no_identity() -> None:
    verdict = replace(Case(), databases=UnreachableDatabases()).decide()
    assert isinstance(verdict, Undecided)
    assert not hasattr(verdict, "identity")


def test_a_store_without_its_built_in_database_is_undecided() -> None:
    """Who the administrators are must be known before a name from outside the primary counts."""

    class Empty(MappingDatabases):
        def find(self, name: str) -> None:
            return None

    acme = secondary(MemoryDirectory("Acme", (person("D/Acme", holds=DAVE),), ()))
    case = replace(Case(), primary=primary_of(), domains=(acme,), databases=Empty())
    assert case.decide().reason is Reason.STORE_UNAVAILABLE


def test_a_route_that_covers_nothing_is_said_to_anonymous_where_anonymous_is_allowed() -> None:
    target = RefusedTarget(reason=Reason.DATABASE_UNKNOWN, problem="no route")
    nobody = replace(Case(), presentation=NoCertificate(), target=target)
    assert nobody.decide().reason is Reason.CERTIFICATE_MISSING
    assert replace(nobody, front_end=ANONYMOUS).decide().reason is Reason.DATABASE_UNKNOWN


def test_t57_a_verdict_ends_with_the_entry_that_it_rests_on() -> None:
    ends = NOW + timedelta(seconds=20)
    dave = replace(person("Dave Lawson/Renovations", holds=DAVE), expires=ends)
    case = replace(Case(), primary=primary_of(dave))
    assert bound_of(case.decide()) == timedelta(seconds=20)
    gone = replace(Case(), primary=primary_of(replace(dave, expires=NOW)))
    assert gone.decide().reason is Reason.ENTRY_DISABLED


def test_t41_anonymous_made_of_a_certificate_without_entry_ends_with_the_certificate() -> None:
    """After its end the same certificate is `certificate_expired`: the cache must not know it as Anonymous still."""
    short = ISSUING.issue("CN=Nobody,O=Renovations", not_after=NOW + timedelta(seconds=20))
    case = case_of(
        short,
        front_end=ANONYMOUS,
        databases=OPEN,
        policy=Policy(anonymous_without_entry=True),
        primary=primary_of(),
    )
    verdict = case.decide()
    assert verdict.reason is Reason.ALLOWED_ANONYMOUS
    assert bound_of(verdict) == timedelta(seconds=20)


# --- the life of what rests on a directory that tells no changes


FIVE = timedelta(seconds=5)
UNWATCHED_ACME = Policy(domain_lifetimes={"Acme": FIVE})


def acme(*people: Entry, authorization: GroupAuthorization = GroupAuthorization.NONE) -> SecondaryDomain:
    return replace(secondary(MemoryDirectory("Acme", people)), group_authorization=authorization)


LIVES: list[tuple[str, Case, timedelta]] = [
    (
        "found before that directory was asked",
        Case(policy=UNWATCHED_ACME, domains=(acme(),)),
        timedelta(seconds=60),
    ),
    (
        "found in it",
        Case(
            policy=UNWATCHED_ACME,
            primary=primary_of(),
            domains=(acme(person("Dave Lawson/Acme", holds=DAVE)),),
        ),
        FIVE,
    ),
    (
        "found elsewhere, but its groups count for everybody",
        Case(policy=UNWATCHED_ACME, domains=(acme(authorization=GroupAuthorization.ALL),)),
        FIVE,
    ),
    (
        "found elsewhere, and its groups count for its own people only",
        Case(policy=UNWATCHED_ACME, domains=(acme(authorization=GroupAuthorization.OWN),)),
        timedelta(seconds=60),
    ),
    (
        "found in it, and its life is longer than the cache time",
        Case(
            policy=Policy(domain_lifetimes={"Acme": timedelta(seconds=90)}),
            primary=primary_of(),
            domains=(acme(person("Dave Lawson/Acme", holds=DAVE)),),
        ),
        timedelta(seconds=60),
    ),
    (
        "found nowhere, and it was asked",
        Case(
            policy=Policy(domain_lifetimes={"Acme": timedelta(seconds=3)}),
            primary=primary_of(),
            domains=(acme(),),
        ),
        timedelta(seconds=3),
    ),
    (
        "the primary itself tells no changes",
        Case(policy=Policy(domain_lifetimes={"Renovations": FIVE, "Acme": timedelta(0)})),
        FIVE,
    ),
]


@pytest.mark.parametrize(("case", "life"), [case[1:] for case in LIVES], ids=[case[0] for case in LIVES])
def test_t66_a_verdict_lives_no_longer_than_what_it_rests_on_in_a_directory_that_tells_no_changes(
    case: Case, life: timedelta
) -> None:
    case = replace(
        case,
        target=IdentityTarget(),
        policy=replace(case.policy, refused_lifetime=timedelta(seconds=60)),
    )
    verdict = case.decide()
    assert isinstance(verdict, Allowed | Denied)
    assert life == verdict.valid_until - NOW


def test_t66_an_anonymous_verdict_rests_on_nobodys_having_been_found() -> None:
    case = Case(
        front_end=ANONYMOUS,
        primary=primary_of(),
        domains=(acme(),),
        databases=OPEN,
        policy=replace(UNWATCHED_ACME, anonymous_without_entry=True),
    )
    verdict = case.decide()
    assert verdict.reason is Reason.ALLOWED_ANONYMOUS
    assert isinstance(verdict, Allowed)
    assert verdict.valid_until - NOW == FIVE
