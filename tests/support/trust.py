"""Short forms for tests about trust: a store of one or several anchors, a verification, its evidence."""

from datetime import datetime, timedelta

from authsvc.presented.presentation import PresentedCertificate
from authsvc.trust.anchors import AnchorSettings, TrustAnchor, TrustStore
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.path import PathRefusal, VerifiedCertificate, verify_path
from tests.support.pki import NOW, Authority, Issued, SmallWorld

__all__ = ["FRONT_END", "anchor_of", "facts_of", "refused", "store_of", "verified", "verify", "world_store"]

FRONT_END = "nginx"
NOTHING = timedelta(0)


def facts_of(issued: Authority | Issued) -> CertificateFacts:
    """Return the facts of a certificate."""
    return read_certificate(issued.der)


def anchor_of(issued: Authority | Issued, settings: AnchorSettings | None = None) -> TrustAnchor:
    """Return an anchor for a certificate; its id is `corp` unless the settings say otherwise."""
    return TrustAnchor.of(settings or AnchorSettings(id="corp"), facts_of(issued))


def store_of(*anchors: TrustAnchor, intermediates: tuple[Authority, ...] = ()) -> TrustStore:
    """Return a store."""
    return TrustStore.of(anchors, [facts_of(one) for one in intermediates])


def world_store(world: SmallWorld, settings: AnchorSettings | None = None) -> TrustStore:
    """Return a store with a world's root as anchor and its issuing authority as intermediate."""
    return store_of(anchor_of(world.root, settings), intermediates=(world.issuing,))


def verify(
    issued: Issued | Authority | bytes,
    store: TrustStore,
    *,
    chain: tuple[bytes, ...] = (),
    front_end: str = FRONT_END,
    now: datetime = NOW,
    clock_skew: timedelta = NOTHING,
    accept_expired: timedelta = NOTHING,
) -> VerifiedCertificate | PathRefusal:
    """Verify a certificate (or bytes) with everything else ordinary."""
    der = issued if isinstance(issued, bytes) else issued.der
    return verify_path(
        PresentedCertificate(der=der, chain=chain),
        store,
        front_end=front_end,
        now=now,
        clock_skew=clock_skew,
        accept_expired=accept_expired,
    )


def verified(outcome: VerifiedCertificate | PathRefusal) -> VerifiedCertificate:
    """Return the evidence, or fail with the refusal."""
    assert isinstance(outcome, VerifiedCertificate), outcome
    return outcome


def refused(outcome: VerifiedCertificate | PathRefusal) -> PathRefusal:
    """Return the refusal, or fail."""
    assert isinstance(outcome, PathRefusal), outcome.anchor_id
    return outcome
