"""Verdicts for tests of what is made of them: a correct base for each kind, and a word for each deviation."""

from dataclasses import replace
from datetime import timedelta

from authsvc.access.acl import DecidedBy, EffectiveAccess
from authsvc.access.levels import Level, Privilege
from authsvc.decision.verdict import Allowed, Denied, Undecided
from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence, RevocationStatus
from directory_assistance.dn import read_name
from directory_assistance.entry import GroupMembership, GroupType, Identity, Strength
from tests.support.decision import DAVE, ISSUING, ROOT
from tests.support.pki import NOW
from tests.support.trust import anchor_of, store_of, verified, verify

__all__ = ["ACCESS", "CERTIFICATE", "IDENTITY", "VALID_UNTIL", "allowed", "anonymous", "denied", "undecided"]

CERTIFICATE: VerifiedCertificate = verified(verify(DAVE, store_of(anchor_of(ROOT), intermediates=(ISSUING,))))
VALID_UNTIL = NOW + timedelta(seconds=60)
REVOCATION = RevocationEvidence(
    status=RevocationStatus.GOOD,
    policy=RevocationMode.REQUIRE,
    source="crl",
    lists=("corp-issuing.crl",),
    this_update=NOW - timedelta(hours=1),
    next_update=NOW + timedelta(days=6),
    holds_until=NOW + timedelta(days=6),
    certificates=(
        CertificateEvidence(
            subject="CN=Dave Lawson,O=Renovations",
            serial=DAVE.certificate.serial_number,
            status=RevocationStatus.GOOD,
            source="corp-issuing.crl",
            lists=(
                ListUse(
                    source="corp-issuing.crl",
                    number=7,
                    this_update=NOW - timedelta(hours=1),
                    next_update=NOW + timedelta(days=6),
                ),
            ),
        ),
    ),
)
IDENTITY = Identity(
    name=read_name("Dave Lawson/Renovations"),
    own_name=read_name("Dave Lawson/Renovations"),
    domain="Renovations",
    primary=True,
    display_name="Dave Lawson",
    mail="dave@renovations.com",
    groups=(
        GroupMembership(name="Sales", domain="Renovations", type=GroupType.MULTI, primary=True, plain=True),
        GroupMembership(name="Partners", domain="Airius", type=GroupType.MULTI, primary=False, plain=True),
        GroupMembership(name="Leavers", domain="Renovations", type=GroupType.DENY, primary=True, plain=True),
        GroupMembership(name="News", domain="Renovations", type=GroupType.MAIL, primary=True, plain=True),
    ),
    found_by="common_name",
    bound_by="certificate",
    strength=Strength.STRONG,
)
ACCESS = EffectiveAccess(
    database="sales.nsf",
    level=Level.EDITOR,
    privileges=frozenset({Privilege.DELETE_DOCUMENTS, Privilege.CREATE_DOCUMENTS}),
    roles=frozenset({"Buyer", "Approver"}),
    decided_by=DecidedBy.GROUPS,
    entries=("Sales",),
)
_ALLOWED = Allowed(
    reason=Reason.ALLOWED,
    identity=IDENTITY,
    access=ACCESS,
    certificate=CERTIFICATE,
    revocation=REVOCATION,
    valid_until=VALID_UNTIL,
)


def allowed(identity: Identity = IDENTITY, access: EffectiveAccess | None = ACCESS) -> Allowed:
    """Return an allow for an identity; without access, of the identity alone."""
    reason = Reason.ALLOWED_IDENTITY if access is None else Reason.ALLOWED
    return replace(_ALLOWED, reason=reason, identity=identity, access=access)


def anonymous() -> Allowed:
    """Return an allow for nobody in particular."""
    access = replace(ACCESS, level=Level.READER, privileges=frozenset(), roles=frozenset())
    return Allowed(
        reason=Reason.ALLOWED_ANONYMOUS,
        identity=None,
        access=access,
        certificate=None,
        revocation=None,
        valid_until=VALID_UNTIL,
    )


def denied(reason: Reason, detail: str = "what an administrator may know") -> Denied:
    """Return a refusal; where the identity is known it carries it, as the pipeline's does."""
    known = reason.status == 403
    return Denied(
        reason=reason,
        detail=detail,
        step="decide" if known else "search",
        identity=IDENTITY if known else None,
        access=ACCESS if known else None,
        certificate=CERTIFICATE,
        revocation=REVOCATION,
        valid_until=VALID_UNTIL,
    )


def undecided(reason: Reason = Reason.DIRECTORY_UNAVAILABLE) -> Undecided:
    """Return a fault's verdict."""
    return Undecided(reason=reason, detail="domain `Airius`: refused", step="search", certificate=CERTIFICATE)
