"""What OCSP says of one certificate, as a closed union, and who may be asked (RFC 6960).

Lives here: the answers and the protocol. Not here: reading responses (`ocsp.py`), asking responders and remembering
(`operations/ocsp_responders.py`), what an answer means for a decision (`revocation.py`).

INVARIANT: only a response whose signature, signer and certificate were checked becomes `OcspGood` or `OcspRevoked`, and
`OcspGood` only if its times were in order too; everything else, *unknown* of a responder included, is not "good"
(threat T38).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from authsvc.trust.certificate import CertificateFacts

__all__ = [
    "OcspAnswer",
    "OcspGood",
    "OcspNotAsked",
    "OcspRevoked",
    "OcspSource",
    "OcspUnavailable",
    "OcspUnknown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspGood:
    """Not revoked, as of `this_update`; the answer holds until `next_update` (aware). `source`: the responder's URL."""

    source: str
    this_update: datetime
    next_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspRevoked:
    """Revoked since `since`; `reason` is RFC 5280's name of it, empty if not said."""

    source: str
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspUnknown:
    """The responder does not know the certificate: it covers nothing."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspUnavailable:
    """A responder that had to answer did not, or not acceptably; `problem` says why."""

    source: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspNotAsked:
    """No responder is configured or allowed for this certificate."""


OcspAnswer = OcspGood | OcspRevoked | OcspUnknown | OcspUnavailable | OcspNotAsked


class OcspSource(Protocol):
    """Who answers for single certificates."""

    def find_remembered(
        self, facts: CertificateFacts, issuer: CertificateFacts, *, anchor_id: str, now: datetime
    ) -> OcspAnswer | None:
        """Return an answer that is at hand and still holds; None where there is none. Never waits."""
        ...

    def ask(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,
        now: datetime,
        deadline: float,
    ) -> OcspAnswer:
        """Ask the responder, once, for no longer than `ocsp.wait` and not beyond a deadline (monotonic seconds).

        Args:
            facts: the certificate; its path has been proven.
            issuer: the next certificate of the path.
            anchor_id: where the path ends; it decides which responders may be asked.
            now: aware.
            deadline: of the whole decision.

        """
        ...
