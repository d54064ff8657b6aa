"""The verdict: what a decision is, with the evidence that made it.

A verdict is *allowed*, *denied* or *undecided*; there is no fourth answer, and none of them is reached by
default: `Allowed` demands an identity or the word anonymous. How verdicts become HTTP is `web/responses.py`.
"""

from dataclasses import dataclass
from datetime import datetime

from authsvc.access.acl import EffectiveAccess
from authsvc.reason import Reason
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import RevocationEvidence
from directory_assistance.entry import Identity
from directory_assistance.trace import TraceLine

__all__ = ["Allowed", "Denied", "Undecided", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Access is given. `identity` is None only for reason `allowed_anonymous`.

    `access` is None only for `allowed_identity`. `valid_until` bounds every cache (UTC).
    """

    reason: Reason
    identity: Identity | None
    access: EffectiveAccess | None
    certificate: VerifiedCertificate | None
    revocation: RevocationEvidence | None
    valid_until: datetime
    notes: tuple[str, ...] = ()
    trace: tuple[TraceLine, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to exist without a subject: the class of defect where an exception path answers "allowed"."""
        assert self.reason.status == 200
        assert (self.identity is None) == (self.reason is Reason.ALLOWED_ANONYMOUS)
        assert (self.access is None) == (self.reason is Reason.ALLOWED_IDENTITY)
        assert (self.certificate is None) == (self.reason is Reason.ALLOWED_ANONYMOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Access is refused. `identity` is given where it is known (403), for the audit record, never as a header.

    `step` is the one of the eight that refused; `detail` says what was expected and found, for
    administrators. `block_id` is the number of the emergency block that refused, None where none did.
    """

    reason: Reason
    detail: str
    step: str
    identity: Identity | None = None
    access: EffectiveAccess | None = None
    certificate: VerifiedCertificate | None = None
    revocation: RevocationEvidence | None = None
    valid_until: datetime
    block_id: int | None = None
    notes: tuple[str, ...] = ()
    trace: tuple[TraceLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A fault: something that had to answer did not. Never cached, carries no identity."""

    reason: Reason
    detail: str
    step: str
    certificate: VerifiedCertificate | None = None
    revocation: RevocationEvidence | None = None
    trace: tuple[TraceLine, ...] = ()


Verdict = Allowed | Denied | Undecided
