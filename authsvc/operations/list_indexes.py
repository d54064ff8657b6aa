"""From the index of a revocation list to a list that counts: whose it is, and whether it is a newer one.

What lives here: the joint between where lists come from and what they are (`trust/crl.py`). What does not: files,
fetching, and what a list means for a certificate (`trust/revocation.py`).

INVARIANT: no list leaves here that no known authority has signed. Which of them may speak for a certificate is asked
again at every decision.
"""

from collections.abc import Iterable
from mmap import mmap
from typing import Final

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList

__all__ = ["INDEXED_ELSEWHERE", "goes_back", "is_kept_by", "older_list", "open_list", "signers_of"]

INDEXED_ELSEWHERE: Final = 1024 * 1024
"""Octets of a list from which it is indexed in another process: below, it takes some milliseconds."""


def open_list(
    index: bytes | mmap, issuers: Iterable[CertificateFacts], *, source: str, whose: str = ""
) -> RevocationList:
    """Make a list of its index, and prove its signature.

    Args:
        index: what `index_crl` returned, perhaps mapped into memory.
        issuers: the authorities that may have signed it.
        source: what messages and evidence call it.
        whose: what messages call these authorities; by default all that are configured.

    Raises:
        TrustMaterialError: it is no index, or none of the authorities signed the list.

    """
    found = RevocationList.from_index(index, source=source)
    known = signers_of(found, issuers)
    if not known:
        expected = (
            whose or "neither a trust anchor nor a configured intermediate: its signature cannot be checked"
        )
        raise TrustMaterialError(f"`{source}`: issuer `{found.issuer_text}` is {expected}")
    problems = [_find_signer_problem(found, facts) for facts in known]
    if all(problems):
        raise TrustMaterialError(f"`{source}`: {problems[0]}")
    return found


def signers_of(one: RevocationList, issuers: Iterable[CertificateFacts]) -> list[CertificateFacts]:
    """Return the authorities that bear the name of a list's issuer."""
    return [facts for facts in issuers if facts.subject_key == one.issuer_key]


def _find_signer_problem(one: RevocationList, facts: CertificateFacts) -> str:
    usage = facts.key_usage
    if usage is not None and not usage.crl_sign:
        return f"issuer `{facts.subject_text}` may not sign revocation lists (key usage without cRLSign)"
    return one.find_signature_problem(facts)


def goes_back(found: RevocationList, held: RevocationList) -> bool:
    """Whether a list of the same series is older than the one at hand (threat T37)."""
    return found.same_series(held) and (held.supersedes(found) or found.this_update < held.this_update)


def is_kept_by(old: RevocationList, other: RevocationList) -> bool:
    """Whether another list says all that this one says: it is of the same series, and no older."""
    return old.same_series(other) and not goes_back(other, old)


def older_list(source: str, found: RevocationList, held: RevocationList) -> str:
    """Say that a source turned to an older list (threat T37)."""
    return (
        f"`{source}`: expected a list newer than number {held.number} of {held.this_update.isoformat()}, "
        f"found number {found.number} of {found.this_update.isoformat()}"
    )
