"""Emergency blocks in the decision: who is refused, by which reason, for how long, and what a broken store means."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from authsvc.access.acl import Requirement
from authsvc.access.databases import DatabaseTarget, IdentityTarget
from authsvc.access.levels import Level
from authsvc.decision.advice import advise
from authsvc.decision.cache import VerdictCache, cache_key
from authsvc.decision.pipeline import Policy
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.operations.audit import DecisionRecord, render_record
from authsvc.presented.presentation import NoCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, TrustAnchor, TrustStore
from authsvc.trust.blocks import BlockedIdentity, BlockKind, BlockList
from authsvc.trust.crl import read_crl
from authsvc.trust.revocation import RevocationSnapshot
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.dn import read_ldap_dn, read_name, render_name
from directory_assistance.entry import GroupType
from tests.authsvc.test_pipeline import group, secondary, stale
from tests.support.blocks import blocks_of, of
from tests.support.decision import (
    CRL_END,
    DAVE,
    ISSUING,
    ROOT,
    Case,
    MappingDatabases,
    acl,
    person,
    presented,
    primary_of,
    reading,
    revocation,
    sales,
)
from tests.support.pki import NOW, Authority

IDENTITY = BlockedIdentity(name=read_name("Dave Lawson/Renovations"))
CERTIFICATE_KINDS = [kind for kind in BlockKind if kind is not BlockKind.IDENTITY]
OTHER = ISSUING.issue("CN=Other,O=Renovations")


def refused(verdict: Verdict) -> Denied:
    assert isinstance(verdict, Denied), verdict
    return verdict


@pytest.mark.parametrize("where", [DAVE, ISSUING, ROOT], ids=["leaf", "authority", "anchor"])
@pytest.mark.parametrize("kind", CERTIFICATE_KINDS)
def test_a_blocked_certificate_anywhere_on_the_path_is_certificate_revoked(
    kind: BlockKind, where: object
) -> None:
    assert isinstance(where, type(DAVE) | type(ROOT))
    verdict = refused(replace(Case(), blocks=blocks_of(of(kind, where))).decide())
    assert (Reason.CERTIFICATE_REVOKED, "revocation", 7) == (verdict.reason, verdict.step, verdict.block_id)
    assert verdict.identity is None
    assert verdict.certificate is not None


@pytest.mark.parametrize("kind", CERTIFICATE_KINDS)
def test_a_block_of_somebody_else_refuses_nobody(kind: BlockKind) -> None:
    verdict = replace(Case(), blocks=blocks_of(of(kind, OTHER))).decide()
    assert isinstance(verdict, Allowed)


def test_a_blocked_identity_is_entry_disabled() -> None:
    verdict = refused(replace(Case(), blocks=blocks_of(IDENTITY)).decide())
    assert (Reason.ENTRY_DISABLED, "identify", 7) == (verdict.reason, verdict.step, verdict.block_id)
    assert verdict.identity is None
    other = BlockedIdentity(name=read_name("Dave Lawson/East/Renovations"))
    assert isinstance(replace(Case(), blocks=blocks_of(other)).decide(), Allowed)


@pytest.mark.parametrize(
    "name", ["Dave Lawson/Acme", "uid=dave,o=acme"], ids=["mapped name", "entry's own name"]
)
def test_an_identity_with_a_mapped_name_is_blocked_by_either_name(name: str) -> None:
    dn = read_ldap_dn("uid=dave,o=acme")
    entry = replace(person("uid=dave/o=acme", holds=DAVE), dn=dn, mapped_names=("CN=Dave Lawson,O=Acme",))
    case = replace(
        Case(),
        primary=primary_of(),
        domains=(secondary(MemoryDirectory("Acme", (entry,), ())),),
        target=IdentityTarget(),
    )
    verdict = case.decide()
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    assert ("Dave Lawson/Acme", dn) == (render_name(verdict.identity.name), verdict.identity.own_name)
    blocked = blocks_of(BlockedIdentity(name=read_name(name)))
    assert Reason.ENTRY_DISABLED is replace(case, blocks=blocked).decide().reason


def test_a_blocked_identity_is_refused_where_only_the_identity_is_asked_for() -> None:
    case = replace(Case(), target=IdentityTarget())
    assert isinstance(case.decide(), Allowed)
    assert Reason.ENTRY_DISABLED is replace(case, blocks=blocks_of(IDENTITY)).decide().reason


def test_a_refusal_tells_which_block_whose_until_when_and_why() -> None:
    ends = NOW + timedelta(hours=1)
    verdict = refused(
        replace(Case(), blocks=blocks_of(of(BlockKind.PUBLIC_KEY, ISSUING), ends=ends)).decide()
    )
    assert (
        "`CN=Renovations Issuing CA,O=Renovations` of the certification path is under emergency block 7 (public_key,"
        f" of Ada Admin, until {ends:%Y-%m-%d %H:%M:%S} UTC): key found on a laptop" == verdict.detail
    )
    identity = refused(replace(Case(), blocks=blocks_of(IDENTITY)).decide())
    assert (
        "`Dave Lawson/Renovations` in `Renovations` is under emergency block 7 (identity, of Ada Admin, without an"
        " end): key found on a laptop" == identity.detail
    )
    for each in (verdict, identity):
        assert "block 7" in advise(each)
        assert "`authsvc blocks`" in advise(each)
        assert each.detail == each.trace[-1].result


def test_a_refusal_by_a_block_is_recorded_with_its_number() -> None:
    verdict = replace(Case(), blocks=blocks_of(IDENTITY)).decide()
    record = DecisionRecord(
        time=NOW,
        request_id="r",
        front_end="nginx",
        peer="unix",
        status=401,
        reason=verdict.reason,
        verdict=verdict,
    )
    assert '"block_id":7' in render_record(record)
    assert "block_id" not in render_record(replace(record, verdict=Case().decide()))
    assert "block_id" not in render_record(
        replace(record, verdict=replace(Case(), presentation=NoCertificate()).decide())
    )


def test_the_reason_of_a_block_cannot_break_the_record() -> None:
    """Threat T73 for what an administrator typed: nothing of it ends a line, and it is cut to size."""
    (block,) = blocks_of(IDENTITY).blocks
    long = BlockList.of([replace(block, reason="\x1b[2J" + "x" * 5_000, owner="\n{}")])
    detail = refused(replace(Case(), blocks=long).decide()).detail
    assert detail.isprintable()
    assert len(detail) < 700


# --- the order of refusals


def test_a_block_goes_before_a_stale_list() -> None:
    """Who is refused must not become undecided because a file was not renewed."""
    case = replace(Case(), revocation=stale())
    assert Reason.REVOCATION_UNAVAILABLE is case.decide().reason
    blocked = replace(case, blocks=blocks_of(of(BlockKind.PUBLIC_KEY, DAVE))).decide()
    assert Reason.CERTIFICATE_REVOKED is blocked.reason


def test_a_revoked_certificate_stays_revoked_beside_a_block() -> None:
    for blocks in (blocks_of(of(BlockKind.SUBJECT, DAVE)), blocks_of(of(BlockKind.SUBJECT, OTHER))):
        verdict = refused(replace(Case(), revocation=revocation(DAVE), blocks=blocks).decide())
        assert Reason.CERTIFICATE_REVOKED is verdict.reason


def test_a_blocked_identity_goes_before_its_deny_group() -> None:
    """The order of the table of reasons: `entry_disabled` before `deny_group`."""
    gone = group("Gone", "Dave Lawson/Renovations", kind=GroupType.DENY)
    primary = primary_of(person("Dave Lawson/Renovations", holds=DAVE), groups=(gone,))
    case = replace(Case(), primary=primary, policy=Policy(deny_access=("Gone",)))
    assert Reason.DENY_GROUP is case.decide().reason
    assert Reason.ENTRY_DISABLED is replace(case, blocks=blocks_of(IDENTITY)).decide().reason


def test_a_stranger_is_refused_as_before_and_no_store_is_asked() -> None:
    stranger = Authority.root("CN=Elsewhere", now=NOW).issue("CN=Dave Lawson,O=Renovations")
    case = replace(Case(), presentation=presented(stranger), blocks=Broken())
    assert Reason.CERTIFICATE_UNTRUSTED is case.decide().reason


@pytest.mark.parametrize("kind", list(BlockKind))
def test_a_full_access_administrator_is_blocked_too(kind: BlockKind) -> None:
    name = read_name("Dave Lawson/Renovations")
    case = replace(Case(), policy=Policy(full_access_administrators=frozenset({name})))
    assert Reason.ALLOWED_FULL_ACCESS is case.decide().reason
    blocked = IDENTITY if kind is BlockKind.IDENTITY else of(kind, DAVE)
    assert isinstance(replace(case, blocks=blocks_of(blocked)).decide(), Denied)


def test_a_block_makes_nobody_anonymous() -> None:
    front_end = FrontEndPolicy(name="nginx", anonymous=True)
    case = replace(
        Case(),
        front_end=front_end,
        policy=Policy(anonymous_without_entry=True),
        databases=MappingDatabases(sales(acl("Anonymous", Level.READER))),
    )
    assert Reason.ALLOWED_ANONYMOUS is replace(case, primary=primary_of()).decide().reason
    for blocked in (IDENTITY, of(BlockKind.CERTIFICATE, DAVE)):
        assert isinstance(replace(case, blocks=blocks_of(blocked)).decide(), Denied)


# --- T21: a withdrawn sub-CA


WITHDRAWN = ROOT.issue_authority("CN=Withdrawn CA,O=Renovations")
VICTIM = WITHDRAWN.issue("CN=Dave Lawson,O=Renovations")
CROSS_ROOT = Authority.root("CN=Second Root CA,O=Renovations", now=NOW)
CROSS = CROSS_ROOT.issue_authority("CN=Withdrawn CA,O=Renovations", key=WITHDRAWN.key)
REISSUED = ROOT.issue_authority("CN=Withdrawn CA,O=Renovations", key=WITHDRAWN.key, serial=77)


def withdrawn(*chain: Authority) -> Case:
    """A world that trusts two roots; the client sends a sub-CA along that we have taken from our configuration."""
    settings = AnchorSettings(id="corp")
    lists = (
        ROOT.crl(next_update=CRL_END),
        CROSS_ROOT.crl(next_update=CRL_END),
        WITHDRAWN.crl(next_update=CRL_END),
    )
    return replace(
        Case(),
        presentation=presented(VICTIM, *chain),
        trust=TrustStore.of(
            [TrustAnchor.from_der(settings, ROOT.der), TrustAnchor.from_der(settings, CROSS_ROOT.der)]
        ),
        revocation=RevocationSnapshot.of(
            [read_crl(each.der, source=f"{number}.crl") for number, each in enumerate(lists)]
        ),
        primary=primary_of(person("Dave Lawson/Renovations", holds=VICTIM)),
    )


@pytest.mark.parametrize(
    "sent",
    [WITHDRAWN, CROSS, REISSUED],
    ids=["the certificate we knew", "a cross-certificate", "a new certificate"],
)
def test_t21_a_withdrawn_sub_ca_is_refused_by_its_key_whichever_certificate_a_client_sends_along(
    sent: Authority,
) -> None:
    """Taking it out of the configuration is not enough: the client's copy completes the path."""
    assert isinstance(withdrawn(sent).decide(), Allowed)
    blocked = blocks_of(of(BlockKind.PUBLIC_KEY, WITHDRAWN))
    verdict = refused(replace(withdrawn(sent), blocks=blocked).decide())
    assert (Reason.CERTIFICATE_REVOKED, 7) == (verdict.reason, verdict.block_id)


def test_t21_the_subject_of_a_withdrawn_sub_ca_is_refused_in_every_certificate_too() -> None:
    for sent in (WITHDRAWN, CROSS, REISSUED):
        case = replace(withdrawn(sent), blocks=blocks_of(of(BlockKind.SUBJECT, WITHDRAWN)))
        assert Reason.CERTIFICATE_REVOKED is case.decide().reason


def test_t21_a_blocked_anchor_is_refused_though_it_is_configured() -> None:
    blocked = blocks_of(of(BlockKind.PUBLIC_KEY, CROSS_ROOT))
    assert Reason.CERTIFICATE_REVOKED is replace(withdrawn(CROSS), blocks=blocked).decide().reason
    assert isinstance(replace(withdrawn(WITHDRAWN), blocks=blocked).decide(), Allowed)


# --- how long it is remembered


@pytest.mark.parametrize("blocked", [IDENTITY, of(BlockKind.SUBJECT, DAVE)], ids=["identity", "subject"])
@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        pytest.param(NOW + timedelta(seconds=2), NOW + timedelta(seconds=2), id="no longer than the block"),
        pytest.param(NOW + timedelta(days=1), NOW + timedelta(seconds=5), id="no longer than any refusal"),
        pytest.param(None, NOW + timedelta(seconds=5), id="a block without an end"),
    ],
)
def test_t41_a_refusal_by_a_block_is_not_remembered_beyond_its_end(
    blocked: BlockedIdentity, ends: datetime | None, expected: datetime
) -> None:
    verdict = refused(replace(Case(), blocks=blocks_of(blocked, ends=ends)).decide())
    assert expected == verdict.valid_until


def test_an_allow_is_bounded_by_no_block() -> None:
    ended = blocks_of(IDENTITY, of(BlockKind.SUBJECT, DAVE), ends=NOW)
    other = blocks_of(of(BlockKind.SUBJECT, OTHER), ends=NOW + timedelta(seconds=1))
    for blocks in (ended, other):
        verdict = replace(Case(), blocks=blocks).decide()
        assert isinstance(verdict, Allowed)
        assert NOW + timedelta(seconds=60) == verdict.valid_until


def test_a_remembered_refusal_by_a_block_ends_with_it() -> None:
    ends = NOW + timedelta(seconds=2)
    verdict = replace(Case(), blocks=blocks_of(IDENTITY, ends=ends)).decide()
    target = DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER))
    key = cache_key(
        DecisionRequest(presentation=presented(DAVE), front_end=FrontEndPolicy(name="nginx"), target=target)
    )
    cache = VerdictCache()
    cache.store(key, verdict, epoch=1, decided_at=NOW)
    assert verdict is cache.find(key, epoch=1, now=ends - timedelta(microseconds=1))
    assert cache.find(key, epoch=1, now=ends) is None


# --- a store that cannot be read


class Broken:
    """Blocks whose store does not answer."""

    def current(self) -> BlockList:
        """Raise as a broken store does."""
        raise StoreFault("the store is locked")


@pytest.mark.parametrize("target", [reading(), IdentityTarget()], ids=["database", "identity"])
def test_blocks_that_cannot_be_read_are_undecided_and_never_none(target: object) -> None:
    case = replace(Case(), target=target)  # type: ignore[arg-type]  # one of both
    assert isinstance(case.decide(), Allowed)
    verdict = replace(case, blocks=Broken()).decide()
    assert isinstance(verdict, Undecided)
    assert (Reason.STORE_UNAVAILABLE, "the store is locked") == (verdict.reason, verdict.detail)


def test_without_a_certificate_no_block_can_hit() -> None:
    case = replace(Case(), presentation=NoCertificate(), blocks=Broken())
    assert Reason.CERTIFICATE_MISSING is case.decide().reason
