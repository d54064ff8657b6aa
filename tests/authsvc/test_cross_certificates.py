"""Cross-certificates: trust in one foreign authority, or one leaf, for names, domains and dates only (semantics 8)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authsvc.access.levels import Level
from authsvc.decision.verdict import Allowed, Denied
from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, RevocationMode, TrustAnchor, TrustMaterialError
from authsvc.trust.path import PathRefusal, VerifiedCertificate
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.dn import read_ldap_dn
from directory_assistance.domains import PrimaryDomain, SecondaryDomain
from directory_assistance.naming import read_naming_rule
from tests.support.decision import (
    DEFAULT_PLAN,
    Case,
    MappingDatabases,
    acl,
    person,
    presented,
    primary_of,
    sales,
)
from tests.support.pki import NOW, Authority, small_world
from tests.support.trust import anchor_of, refused, store_of, verified, verify

DAY = timedelta(days=1)
WORLD = small_world()
PARTNER = Authority.root("CN=Partner CA,O=Partners", now=NOW)
ANN = PARTNER.issue("CN=Ann,O=Partners")
LIMITS = AnchorSettings(
    id="partner",
    is_cross_certificate=True,
    permitted_names=(read_ldap_dn("O=Partners"),),
    domains=frozenset({"Partners"}),
    not_before=NOW - DAY,
    not_after=NOW + DAY,
)
CORP = anchor_of(WORLD.root)
STORE = store_of(CORP, anchor_of(PARTNER, LIMITS), intermediates=(WORLD.issuing,))


def outcome_of(outcome: VerifiedCertificate | PathRefusal) -> str:
    return outcome.anchor_id if isinstance(outcome, VerifiedCertificate) else outcome.reason.value


def test_a_foreign_authority_counts_for_its_names_and_days() -> None:
    evidence = verified(verify(ANN, STORE))
    assert evidence.anchor_id == "partner"
    assert evidence.not_after == NOW + DAY


@pytest.mark.parametrize(
    ("subject", "when", "expected"),
    [
        pytest.param("CN=Ann,O=Partners", NOW, "partner", id="within all limits"),
        pytest.param("CN=Ann,O=Renovations", NOW, "certificate_untrusted", id="another organisation's name"),
        pytest.param("CN=Ann,O=Partners", NOW - DAY, "partner", id="when trust begins"),
        pytest.param("CN=Ann,O=Partners", NOW + DAY, "certificate_untrusted", id="when trust ends"),
        pytest.param(
            "CN=Ann,O=Partners",
            NOW - DAY - timedelta(seconds=1),
            "certificate_untrusted",
            id="before it begins",
        ),
    ],
)
def test_a_cross_certificate_counts_within_its_limits_only(subject: str, when: object, expected: str) -> None:
    issued = PARTNER.issue(subject, not_before=NOW - 2 * DAY)
    assert isinstance(when, type(NOW))
    assert expected == outcome_of(verify(issued, STORE, now=when))


@pytest.mark.parametrize(
    "lacking",
    [
        pytest.param({"permitted_names": None}, id="without names"),
        pytest.param({"permitted_names": ()}, id="for no name"),
        pytest.param({"domains": None}, id="without domains"),
        pytest.param({"domains": frozenset()}, id="for no domain"),
        pytest.param({"not_after": None}, id="without an end"),
    ],
)
def test_a_cross_certificate_without_all_its_limits_is_refused(lacking: dict[str, object]) -> None:
    settings = replace(LIMITS, **lacking)  # type: ignore[arg-type] # one field of each case
    with pytest.raises(
        TrustMaterialError, match="cross-certificate `partner`: expected permitted names, domains and"
    ):
        TrustAnchor.from_der(settings, PARTNER.der)


def test_a_leaf_may_be_pinned_by_a_cross_certificate() -> None:
    store = store_of(CORP, anchor_of(ANN, LIMITS))
    assert "partner" == verified(verify(ANN, store)).anchor_id
    assert Reason.CERTIFICATE_UNTRUSTED is refused(verify(PARTNER.issue("CN=Bob,O=Partners"), store)).reason


def test_no_path_goes_through_a_cross_certificate_to_another_anchor() -> None:
    """Our own root certified the partner too: what counts is the cross-certificate, or nothing."""
    ours = WORLD.root.issue_authority("CN=Partner CA,O=Partners", key=PARTNER.key)
    intruder = PARTNER.issue("CN=Dave Lawson,O=Renovations")
    open_store = store_of(CORP, intermediates=(ours,))
    assert "corp" == verified(verify(intruder, open_store)).anchor_id
    limited = store_of(CORP, anchor_of(PARTNER, LIMITS), intermediates=(ours,))
    assert "partner" == verified(verify(ANN, limited)).anchor_id
    assert Reason.CERTIFICATE_UNTRUSTED is refused(verify(intruder, limited)).reason
    assert Reason.CERTIFICATE_UNTRUSTED is refused(verify(intruder, limited, chain=(ours.der,))).reason


# --- domains


def partners(domain: str) -> SecondaryDomain:
    return SecondaryDomain(
        domain=domain,
        directory=MemoryDirectory(domain, [person("Ann/Partners", holds=ANN)]),
        plan=DEFAULT_PLAN,
        rules=(read_naming_rule("*", trusted=True),),
    )


def case_of(*domains: str, settings: AnchorSettings = LIMITS, primary: PrimaryDomain | None = None) -> Case:
    off = replace(settings, revocation=RevocationMode.OFF)
    return Case(
        trust=store_of(CORP, anchor_of(PARTNER, off)),
        presentation=presented(ANN),
        primary=primary or primary_of(),
        domains=tuple(map(partners, domains)),
        databases=MappingDatabases(sales(acl("-Default-", Level.READER))),
    )


def test_the_owner_is_looked_for_in_the_named_domains_only() -> None:
    allowed = case_of("Acme", "Partners").decide()
    assert isinstance(allowed, Allowed)
    assert allowed.identity is not None
    assert "Partners" == allowed.identity.domain
    asked = [line.subject for line in allowed.trace if line.result == "not asked: trust is for other domains"]
    assert ["Renovations", "Acme"] == asked


def test_an_owner_elsewhere_is_nobody() -> None:
    denied = case_of("Acme").decide()
    assert isinstance(denied, Denied)
    assert Reason.NO_ENTRY is denied.reason
    assert "not asked, because trust in the certificate is for other domains" in denied.detail


def test_the_primary_is_a_domain_like_others_here() -> None:
    primary = primary_of(person("Ann/Partners", holds=ANN))
    assert isinstance(case_of(primary=primary).decide(), Denied)
    named = replace(LIMITS, domains=frozenset({"Renovations"}))
    assert isinstance(case_of(settings=named, primary=primary).decide(), Allowed)


def test_the_primary_is_asked_for_marks_of_revoked_certificates_all_the_same() -> None:
    primary = primary_of(person("Ann/Partners", holds=ANN, revoked=True))
    denied = case_of("Partners", primary=primary).decide()
    assert isinstance(denied, Denied)
    assert Reason.CERTIFICATE_REVOKED is denied.reason
