"""The fields of one request that belong to a dialect, already singled out: what a decoder is given.

Made by `registry.py`, which has refused duplicates, foreign dialects, other spellings and oversize before.
"""

from dataclasses import dataclass

__all__ = ["LARGEST_CHAIN", "CertificateFields"]

LARGEST_CHAIN = 10
"""Certificates of a presented chain: a public path has three; more only cost signatures (threat T9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """Stripped values; None where the field is absent. `chain` holds one value per field line, in order."""

    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    verify: bytes | None = None
