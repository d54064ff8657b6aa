"""What a snapshot of lists says about a verified certificate, for each mode; how uncertainty falls."""

from datetime import timedelta

import pytest
from cryptography import x509

from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, RevocationMode
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationRefusal,
    RevocationSnapshot,
    RevocationStatus,
    RevocationUndecided,
    SourceProblem,
    check_revocation,
)
from tests.support.pki import NOW, Authority, IssuedCrl, SmallWorld, small_world
from tests.support.trust import anchor_of, facts_of, store_of, verified, verify, world_store

HOUR = timedelta(hours=1)
PROBLEM = SourceProblem(source="broken.crl", problem="cannot be read")


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


def _dave(world: SmallWorld, mode: RevocationMode = RevocationMode.REQUIRE) -> VerifiedCertificate:
    return verified(verify(world.dave, world_store(world, AnchorSettings(id="corp", revocation=mode))))


def _list(world: SmallWorld, crl: IssuedCrl, source: str) -> RevocationList:
    return read_crl(crl.der, [facts_of(world.root), facts_of(world.issuing)], source=source)


def _root_list(world: SmallWorld) -> RevocationList:
    return _list(world, world.root.crl(this_update=NOW - 3 * HOUR, next_update=NOW + 2 * HOUR), "root.crl")


def _issuing_list(world: SmallWorld) -> RevocationList:
    return _list(world, world.issuing.crl(), "issuing.crl")


def test_covered_by_current_lists_that_do_not_name_it_a_certificate_is_good(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)], [PROBLEM])
    evidence = check_revocation(_dave(world), snapshot, now=NOW)
    assert evidence == RevocationEvidence(
        status=RevocationStatus.GOOD,
        policy=RevocationMode.REQUIRE,
        source="crl",
        lists=("issuing.crl", "root.crl"),
        this_update=NOW - 3 * HOUR,
        next_update=NOW + 2 * HOUR,
        detail="",
    )
    assert isinstance(evidence, RevocationEvidence)
    assert evidence.age(NOW) == 3 * HOUR


@pytest.mark.parametrize("mode", [RevocationMode.REQUIRE, RevocationMode.PREFER])
def test_a_revoked_certificate_is_refused(world: SmallWorld, mode: RevocationMode) -> None:
    revoking = world.issuing.crl([world.dave], reason=x509.ReasonFlags.key_compromise)
    snapshot = RevocationSnapshot.of([_root_list(world), _list(world, revoking, "issuing.crl")])
    assert check_revocation(_dave(world, mode), snapshot, now=NOW) == RevocationRefusal(
        reason=Reason.CERTIFICATE_REVOKED,
        detail="`issuing.crl` revokes `CN=Dave Lawson,O=Renovations` (keyCompromise) "
        "since 2026-03-01T11:00:00+00:00",
    )


@pytest.mark.parametrize("mode", [RevocationMode.REQUIRE, RevocationMode.PREFER])
@pytest.mark.parametrize("issuing_known", [True, False])
def test_t21_a_revoked_intermediate_is_refused_whoever_presented_it(
    world: SmallWorld, mode: RevocationMode, issuing_known: bool
) -> None:
    settings = AnchorSettings(id="corp", revocation=mode)
    dave = verified(verify(world.dave, store_of(anchor_of(world.root, settings)), chain=(world.issuing.der,)))
    lists = [_list(world, world.root.crl([world.issuing]), "root.crl")]
    if issuing_known:
        lists.append(_issuing_list(world))
    outcome = check_revocation(dave, RevocationSnapshot.of(lists, [PROBLEM]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED
    assert "`root.crl` revokes `CN=Renovations Issuing CA,O=Renovations`" in outcome.detail


@pytest.mark.parametrize("instant", [NOW - 2 * HOUR, NOW + timedelta(days=30)])
def test_a_list_that_is_not_current_still_revokes(world: SmallWorld, instant: object) -> None:
    assert isinstance(instant, type(NOW))
    snapshot = RevocationSnapshot.of([_list(world, world.issuing.crl([world.dave]), "issuing.crl")])
    outcome = check_revocation(_dave(world, RevocationMode.PREFER), snapshot, now=instant)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED


def test_t35_a_serial_number_listed_by_another_issuer_revokes_nobody(world: SmallWorld) -> None:
    serial = world.dave.certificate.serial_number
    twin = Authority.root("CN=Renovations Issuing CA,O=Renovations", now=NOW)  # the same name, another key
    twins = read_crl(twin.crl([serial]).der, [facts_of(twin)], source="twin.crl")
    roots = _list(world, world.root.crl([serial]), "root.crl")
    good = RevocationSnapshot.of([_issuing_list(world), roots, twins])
    assert isinstance(check_revocation(_dave(world), good, now=NOW), RevocationEvidence)
    # nor does the twin's silence prove anything
    silent = read_crl(twin.crl().der, [facts_of(twin)], source="twin.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), silent]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN


# ----------------------------------------------------------------------------- unknown and unavailable


def test_without_a_source_for_its_issuer_a_certificate_is_unknown(world: SmallWorld) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world)]), now=NOW)
    assert outcome == RevocationRefusal(
        reason=Reason.REVOCATION_UNKNOWN,
        detail="no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
        "`CN=Renovations Issuing CA,O=Renovations`",
    )


def test_without_any_source_a_certificate_is_unknown(world: SmallWorld) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot(), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN


def test_t34_a_list_whose_scope_does_not_cover_it_leaves_a_certificate_unknown(world: SmallWorld) -> None:
    point = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=True,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    partial = _list(world, world.issuing.crl(extensions=[(point, True)]), "authorities.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), partial]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN
    revoking = _list(world, world.issuing.crl([world.dave], extensions=[(point, True)]), "authorities.crl")
    snapshot = RevocationSnapshot.of([_root_list(world), revoking, _issuing_list(world)])
    outcome = check_revocation(_dave(world), snapshot, now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param(-timedelta(seconds=1), None, id="a second before next update"),
        pytest.param(timedelta(0), "expired 2026-03-08T12:00:00+00:00", id="at next update"),
        pytest.param(
            -timedelta(days=7, hours=1, seconds=1), "begins 2026-03-01T11:00:00+00:00", id="before this"
        ),
    ],
)
def test_t37_a_list_that_is_not_current_makes_a_certificate_undecided(
    world: SmallWorld, offset: timedelta, expected: str | None
) -> None:
    lasting = _list(
        world, world.root.crl(this_update=NOW - 9 * HOUR, next_update=NOW + timedelta(days=99)), "root.crl"
    )
    snapshot = RevocationSnapshot.of([lasting, _issuing_list(world)])
    outcome = check_revocation(_dave(world), snapshot, now=NOW + timedelta(days=7) + offset)
    if expected is None:
        assert isinstance(outcome, RevocationEvidence)
    else:
        assert outcome == RevocationUndecided(
            reason=Reason.REVOCATION_UNAVAILABLE,
            detail=f"`issuing.crl` of `CN=Renovations Issuing CA,O=Renovations` {expected}",
        )


def test_t39_a_source_that_cannot_be_read_makes_certificates_without_a_current_list_undecided(
    world: SmallWorld,
) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world)], [PROBLEM]), now=NOW)
    assert outcome == RevocationUndecided(
        reason=Reason.REVOCATION_UNAVAILABLE,
        detail="no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
        "`CN=Renovations Issuing CA,O=Renovations`, and `broken.crl` cannot be read: cannot be read",
    )


def test_when_one_element_is_unknown_and_another_unavailable_the_certificate_is_refused(
    world: SmallWorld,
) -> None:
    """Whatever the unavailable source would have said, the answer is no."""
    expired = _list(world, world.root.crl(next_update=NOW - timedelta(minutes=1)), "root.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([expired]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN


def test_t37_of_two_lists_of_one_issuer_the_newer_counts(world: SmallWorld) -> None:
    old = _list(world, world.issuing.crl(number=1, this_update=NOW - 2 * HOUR), "old.crl")
    new = _list(world, world.issuing.crl([world.dave], number=2), "new.crl")
    for lists in [[old, new], [new, old]]:
        outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), *lists]), now=NOW)
        assert isinstance(outcome, RevocationRefusal)
        assert outcome.reason is Reason.CERTIFICATE_REVOKED
    lifted = _list(world, world.issuing.crl(number=3, this_update=NOW), "lifted.crl")
    snapshot = RevocationSnapshot.of([_root_list(world), lifted, new, old])
    assert isinstance(check_revocation(_dave(world), snapshot, now=NOW), RevocationEvidence)


# ------------------------------------------------------------------------------------------------ modes


def test_prefer_lets_unknown_and_unavailable_pass_marked(world: SmallWorld) -> None:
    dave = _dave(world, RevocationMode.PREFER)
    unknown = check_revocation(dave, RevocationSnapshot.of([_root_list(world)]), now=NOW)
    assert unknown == RevocationEvidence(
        status=RevocationStatus.UNKNOWN_ACCEPTED,
        policy=RevocationMode.PREFER,
        source="crl",
        lists=("root.crl",),
        this_update=NOW - 3 * HOUR,
        next_update=NOW + 2 * HOUR,
        detail="no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
        "`CN=Renovations Issuing CA,O=Renovations`",
    )
    unavailable = check_revocation(dave, RevocationSnapshot.of([], [PROBLEM]), now=NOW)
    assert isinstance(unavailable, RevocationEvidence)
    assert unavailable.status is RevocationStatus.UNKNOWN_ACCEPTED
    assert (unavailable.source, unavailable.this_update, unavailable.next_update) == ("", None, None)
    assert unavailable.age(NOW) is None
    assert "; " in unavailable.detail


def test_prefer_says_good_where_it_knows(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)])
    outcome = check_revocation(_dave(world, RevocationMode.PREFER), snapshot, now=NOW)
    assert isinstance(outcome, RevocationEvidence)
    assert outcome.status is RevocationStatus.GOOD


def test_off_does_not_look(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_list(world, world.issuing.crl([world.dave]), "issuing.crl")])
    assert check_revocation(_dave(world, RevocationMode.OFF), snapshot, now=NOW) == RevocationEvidence(
        status=RevocationStatus.NOT_CHECKED, policy=RevocationMode.OFF
    )


def test_a_pinned_certificate_has_nobody_who_could_revoke_it(world: SmallWorld) -> None:
    pinned = verified(verify(world.dave, store_of(anchor_of(world.dave, AnchorSettings(id="pinned")))))
    snapshot = RevocationSnapshot.of([_list(world, world.issuing.crl([world.dave]), "issuing.crl")])
    assert check_revocation(pinned, snapshot, now=NOW) == RevocationEvidence(
        status=RevocationStatus.NOT_CHECKED, policy=RevocationMode.REQUIRE
    )


def test_the_anchor_is_not_looked_up(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of(
        [_list(world, world.root.crl([world.root]), "root.crl"), _issuing_list(world)]
    )
    assert isinstance(check_revocation(_dave(world), snapshot, now=NOW), RevocationEvidence)
