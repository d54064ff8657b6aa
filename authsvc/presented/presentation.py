"""What a request presented: a certificate, none, or something that is neither.

Everything here is untrusted bytes. The dialects (one module each beside this one) make a `Presentation` of
header fields; `trust/path.py` makes a verified certificate of a presented one.
"""

import hashlib
from dataclasses import dataclass, field

__all__ = [
    "NoCertificate",
    "Presentation",
    "PresentedCertificate",
    "RejectedByFrontEnd",
    "UnreadableCertificate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCertificate:
    """The end-entity certificate (DER) that the front end says its client proved, and a pool of chain hints.

    `chain` is unordered, untrusted and never holds the leaf's identity: it only helps to build a path
    (threat T20). `sha256` is the digest of the leaf, `digest` that of everything presented.
    """

    der: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    sha256: bytes = field(init=False)
    digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Digest everything presented: SHA-256 over the leaf and each chain element, with lengths."""
        everything = hashlib.sha256(self.der)
        object.__setattr__(self, "sha256", everything.digest())
        for element in self.chain:
            everything.update(len(element).to_bytes(4, "big"))
            everything.update(element)
        object.__setattr__(self, "digest", everything.digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCertificate:
    """The front end says, in its own spelling, that its client presented no certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableCertificate:
    """Something stands where a certificate belongs and cannot be read (reason `certificate_unreadable`)."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedByFrontEnd:
    """The front end's own verify result is not success (reason `certificate_untrusted`)."""

    problem: str


Presentation = PresentedCertificate | NoCertificate | UnreadableCertificate | RejectedByFrontEnd
