"""Whether an issuer's own complete lists revoke a certificate: the plain case of `crl_decision.py`.

Lives here: what the certificate of an OCSP responder is judged by, which has no certification path of its own. Not
here: indirect, partial and delta lists, and lists that somebody else signed: they revoke, where they name the
certificate, and never prove that it is good.
"""

from datetime import datetime

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl_decision import SortedLists

__all__ = ["is_listed"]


def is_listed(
    lists: SortedLists, facts: CertificateFacts, issuer: CertificateFacts, *, now: datetime
) -> bool | None:
    """Say whether lists revoke a certificate.

    Args:
        lists: all that are at hand.
        facts: the certificate; its issuer's signature on it has been checked.
        issuer: whose key must have signed the lists, and whose name they must bear.
        now: aware.

    Returns:
        Whether it is revoked; None where no current list for every certificate and reason says so or otherwise.

    """
    covered: bool | None = None
    for series in lists.series.get(issuer.subject_key, ()):
        for one in (*series.complete, *series.deltas):
            if not one.is_signed_by(issuer):
                continue
            entry = one.find(facts.serial, facts.issuer_key)
            if entry is not None and not entry.is_removal:
                return True
            if not one.is_delta and one.scope.is_everything and one.is_current(now):
                covered = False
    return covered
