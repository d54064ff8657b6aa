"""Building paths: what may stand above what, the budgets, cross-certificates, and dates of the far future."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, TrustStore
from authsvc.trust.path import find_signer_paths
from directory_assistance.dn import read_ldap_dn
from tests.support.pki import NOW, Authority, SmallWorld, small_world
from tests.support.trust import anchor_of, facts_of, refused, store_of, verified, verify, world_store

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What RFC 5280 section 4.1.2.5 writes for a certificate without an end."""


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


# --------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("allowed", [timedelta(0), SECOND, timedelta(minutes=5)])
def test_t30_a_certificate_without_an_end_is_an_answer_whatever_the_clock_skew(
    world: SmallWorld, allowed: timedelta
) -> None:
    """The end and the skew together are past the last instant that Python knows."""
    endless = world.issuing.issue(not_after=NO_END)
    store = world_store(world)
    evidence = verified(verify(endless, store, clock_skew=allowed, accept_expired=allowed))
    assert evidence.not_after == world.issuing.certificate.not_valid_after_utc
    early = verify(endless, store, now=NOW - 2 * DAY, clock_skew=allowed, accept_expired=allowed)
    assert refused(early).reason is Reason.CERTIFICATE_NOT_YET_VALID


# --------------------------------------------------------------------------------------- cross-certificates

PARTNER = AnchorSettings(
    id="partner",
    is_cross_certificate=True,
    permitted_names=(read_ldap_dn("O=Partner"),),
    domains=frozenset({"Partner"}),
    not_after=NOW + DAY,
)
AT_PARTNER = "CN=Pat,O=Partner"


@pytest.fixture(scope="module")
def partner() -> Authority:
    """A foreign authority, which the root of our world has certified too."""
    return Authority.root("CN=Partner CA", now=NOW)


def _certified_by(world: SmallWorld, partner: Authority, subject: str = "CN=Partner CA") -> Authority:
    return world.root.issue_authority(subject, key=partner.key, path_length=None)


@pytest.mark.parametrize(
    ("settings", "front_end", "anchor_id"),
    [
        pytest.param(None, "nginx", "corp", id="without a cross-certificate the root's certificate counts"),
        pytest.param(PARTNER, "nginx", "partner", id="a path through a cross-certificate ends there"),
        pytest.param(
            replace(PARTNER, front_ends=frozenset({"envoy"})),
            "envoy",
            "partner",
            id="a limited one counts on its front end",
        ),
        pytest.param(
            replace(PARTNER, front_ends=frozenset({"envoy"})),
            "nginx",
            None,
            id="where it does not count, its authority is not trusted without its limits",
        ),
        pytest.param(
            replace(PARTNER, permitted_names=(read_ldap_dn("O=Elsewhere"),)),
            "nginx",
            None,
            id="beyond its names no other path counts",
        ),
        pytest.param(replace(PARTNER, not_after=NOW), "nginx", None, id="nor after its end"),
        pytest.param(replace(PARTNER, not_before=NOW + SECOND), "nginx", None, id="nor before its begin"),
        pytest.param(
            replace(PARTNER, not_before=NOW), "nginx", "partner", id="it counts from its first instant on"
        ),
    ],
)
@pytest.mark.parametrize("configured", [True, False], ids=["configured", "presented"])
def test_t22_a_path_never_goes_through_a_cross_certificate_to_another_anchor(  # noqa: PLR0917 - pytest passes them by name
    world: SmallWorld,
    partner: Authority,
    settings: AnchorSettings | None,
    front_end: str,
    anchor_id: str | None,
    configured: bool,
) -> None:
    certified = _certified_by(world, partner)
    anchors = [anchor_of(world.root), *([] if settings is None else [anchor_of(partner, settings)])]
    store = store_of(*anchors, intermediates=(certified,) if configured else ())
    chain = () if configured else (certified.der,)
    outcome = verify(partner.issue(AT_PARTNER), store, chain=chain, front_end=front_end)
    if anchor_id is None:
        assert refused(outcome).reason is Reason.CERTIFICATE_UNTRUSTED
    else:
        assert verified(outcome).anchor_id == anchor_id


def _crossed_store(world: SmallWorld, partner: Authority, settings: AnchorSettings = PARTNER) -> TrustStore:
    return store_of(anchor_of(world.root), anchor_of(partner, settings))


def test_t22_the_key_of_a_cross_certificate_is_told_under_another_name(
    world: SmallWorld, partner: Authority
) -> None:
    renamed = _certified_by(world, partner, "CN=Nobody in particular")
    issued = renamed.issue(AT_PARTNER)
    assert verified(verify(issued, world_store(world), chain=(renamed.der,))).anchor_id == "corp"
    refusal = refused(verify(issued, _crossed_store(world, partner), chain=(renamed.der,)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail.endswith("no path goes through one to another trust anchor")


def test_t22_an_authority_below_a_cross_certificate_ends_there_too(
    world: SmallWorld, partner: Authority
) -> None:
    below = partner.issue_authority("CN=Partner Issuing CA")
    chain = (below.der, _certified_by(world, partner).der)
    store = _crossed_store(world, partner)
    assert verified(verify(below.issue(AT_PARTNER), store, chain=chain)).anchor_id == "partner"
    assert refused(verify(below.issue(), store, chain=chain)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_t22_a_leaf_pinned_by_a_cross_certificate_has_no_other_path(world: SmallWorld) -> None:
    pin = replace(PARTNER, permitted_names=(read_ldap_dn("O=Renovations"),), front_ends=frozenset({"envoy"}))
    store = store_of(anchor_of(world.root), anchor_of(world.dave, pin), intermediates=(world.issuing,))
    assert verified(verify(world.dave, store, front_end="envoy")).anchor_id == "partner"
    refusal = refused(verify(world.dave, store, front_end="nginx"))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == "trust anchor `partner` does not count on front end `nginx`"
    late = refused(verify(world.dave, store, front_end="envoy", now=NOW + DAY))
    assert late.detail.startswith("trust in anchor `partner` ended")
    assert verified(verify(world.issuing.issue(), store)).anchor_id == "corp"


def test_a_leaf_pinned_without_limits_has_the_path_of_its_issuer_too(world: SmallWorld) -> None:
    pin = AnchorSettings(id="pin", front_ends=frozenset({"envoy"}))
    store = store_of(anchor_of(world.root), anchor_of(world.dave, pin), intermediates=(world.issuing,))
    assert verified(verify(world.dave, store, front_end="envoy")).anchor_id == "pin"
    assert verified(verify(world.dave, store, front_end="nginx")).anchor_id == "corp"


def test_t34_the_key_of_a_cross_certificate_signs_no_lists_under_another_anchor(
    world: SmallWorld, partner: Authority
) -> None:
    """The foreign authority is certified under the name of our issuing authority."""
    name = "CN=Renovations Issuing CA,O=Renovations"
    posing = _certified_by(world, partner, name)
    below = partner.issue_authority(name)
    chain = (posing.der, below.der, _certified_by(world, partner).der)
    signer = facts_of(world.issuing).subject_key
    for store, count in ((world_store(world), 3), (_crossed_store(world, partner), 1)):
        evidence = verified(verify(world.dave, store, chain=(world.issuing.der, *chain)))
        assert evidence.anchor_id == "corp"
        found = list(find_signer_paths(evidence, signer, now=NOW))
        assert len(found) == count
        assert evidence.path[1].der in {path[0].der for path in found}
