"""Building certification paths: which certificates may stand above one another, within budgets (RFC 4158).

Lives here: the search from a certificate up to trust anchors, by names, then by signatures. Not here: whether a
path is in order (`path.py`), which anchors count (`anchors.py`).

Invariants:

* The pool is unordered hints, whoever gave them: its order decides only which path is looked at first, and that
  order is ours (threat T20).
* Names chain by their RFC 4518 keys (RFC 5280 section 7.1); every step of a path that leaves here is proven by a
  signature.
* Nothing that a stranger sends costs more than the budgets: signature checks, steps, depth, paths (threat T24). What
  is beyond a budget is not trusted. No key is used that is too expensive (`find_cost_problem`, threat T25).
* No name and key stands in a path twice (no cycles). A trust anchor's certificate is never in the middle of a path,
  and nor is the key of a cross-certificate, under whatever certificate and name: what goes through it ends there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.path_memory import PathMemory
from authsvc.trust.signatures import inherit_dsa_parameters, is_signed_with
from directory_assistance.dn import NameKey

__all__ = ["DEEPEST_PATH", "CertificatePool", "SignatureChecks", "build_paths", "prove_all"]

DEEPEST_PATH: Final = 8
"""Authorities between end entity and anchor: real paths have one or two."""

_MOST_SIGNATURES: Final = 64
"""Signature checks of one search: with the largest key that is accepted, some 50 ms (threat T24)."""

_MOST_STEPS: Final = 4_000
"""Certificates that one search tries to put above another, whether or not their signature was checked before."""

ProvenPairs = Mapping[tuple[bytes, bytes], bool]
"""Whether a certificate, told by its digest, is signed by a key, told by its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePool:
    """Certificates that may stand in the middle of a path, by subject; made by `of`.

    `proven`: what is known of their signatures already, so that it need not be checked for every request.
    """

    certificates: tuple[CertificateFacts, ...] = ()
    by_subject: Mapping[NameKey, tuple[CertificateFacts, ...]] = field(default_factory=dict, repr=False)
    proven: ProvenPairs = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, certificates: Iterable[CertificateFacts], proven: ProvenPairs | None = None
    ) -> "CertificatePool":
        """Return a pool; each certificate stands in it once, in the order given."""
        unique = tuple({one.der: one for one in certificates}.values())
        by_subject: dict[NameKey, tuple[CertificateFacts, ...]] = {}
        for one in unique:
            by_subject[one.subject_key] = (*by_subject.get(one.subject_key, ()), one)
        return cls(certificates=unique, by_subject=by_subject, proven=proven or {})

    def with_hints(self, hints: Iterable[CertificateFacts]) -> "CertificatePool":
        """Return the same pool with further certificates after those that it has; itself where there are none."""
        known = {one.der for one in self.certificates}
        further = CertificatePool.of(one for one in hints if one.der not in known)
        if not further.certificates:
            return self
        by_subject = dict(self.by_subject)
        for subject, added in further.by_subject.items():
            by_subject[subject] = (*by_subject.get(subject, ()), *added)
        return CertificatePool(
            certificates=(*self.certificates, *further.certificates),
            by_subject=by_subject,
            proven=self.proven,
        )

    def named(self, subject: NameKey) -> tuple[CertificateFacts, ...]:
        """Return the certificates of a subject."""
        return self.by_subject.get(subject, ())


def prove_all(certificates: Sequence[CertificateFacts]) -> ProvenPairs:
    """Check every signature between certificates whose names chain: once, when they are configured."""
    proven: dict[tuple[bytes, bytes], bool] = {}
    by_subject = CertificatePool.of(certificates).by_subject
    for below in certificates:
        for above in by_subject.get(below.issuer_key, ()):
            pair = (below.sha256, above.key_sha256)
            if pair not in proven and not above.key.inherits:
                proven[pair] = _is_signed_by(below, _public_key(above))
    return proven


class SignatureChecks:
    """Checks who signed what, each pair once, and at most `_MOST_SIGNATURES` pairs; beyond, nothing holds.

    Args:
        proven: what is known of the configured certificates.
        memory: what is known of accepted paths.

    Attributes:
        exhausted: whether a budget has been used up, so that what was not found may be there.

    """

    __slots__ = ("_known", "_left", "_memory", "_proven", "_steps", "exhausted")

    def __init__(self, proven: ProvenPairs | None = None, memory: PathMemory | None = None) -> None:
        self.exhausted = False
        self._memory = memory
        self._proven: ProvenPairs = proven or {}
        self._known: dict[tuple[bytes, bytes], bool] = {}
        self._left = _MOST_SIGNATURES
        self._steps = _MOST_STEPS

    def may_step(self) -> bool:
        """Count one step; say whether it is within the budget."""
        self._steps -= 1
        self.exhausted = self.exhausted or self._steps < 0
        return self._steps >= 0

    def hold(self, below: CertificateFacts, above: CertificateFacts) -> bool:
        """Whether the name of `above` is the one that `below` names as issuer, and its key made the signature.

        A DSA key without parameters of its own can be used only when the path above it is known: until then it
        holds, and `build_paths` checks it at the end.
        """
        if below.issuer_key != above.subject_key:
            return False
        if above.key.inherits:
            return True
        pair = (below.sha256, above.key_sha256)
        known = self._proven.get(pair)
        if known is None:
            known = self._known.get(pair)
        if known is None and self._memory is not None and self._memory.is_proven(pair):
            return True
        if known is None:
            if not self._may_check():
                return False
            known = self._known[pair] = _is_signed_by(below, _public_key(above))
        return known

    def hold_with(self, below: CertificateFacts, key: PublicKeyTypes) -> bool:
        """Whether a key made a signature; for keys that no certificate has alone, so that nothing is remembered."""
        return self._may_check() and _is_signed_by(below, key)

    def _may_check(self) -> bool:
        if self._left == 0:
            self.exhausted = True
            return False
        self._left -= 1
        return True


def _public_key(facts: CertificateFacts) -> PublicKeyTypes | None:
    """Return the key of a certificate, None for a kind that `cryptography` does not know."""
    return None if facts.key.kind == "unsupported" else facts.certificate.public_key()


def _is_signed_by(below: CertificateFacts, key: PublicKeyTypes | None) -> bool:
    algorithm = below.algorithm
    if algorithm is None or key is None:
        return False
    return is_signed_with(key, algorithm, signature=below.signature, signed=below.signed)


def build_paths(
    end: CertificateFacts,
    *,
    anchors: Mapping[NameKey, Sequence[CertificateFacts]],
    pool: CertificatePool,
    never_between: frozenset[bytes],
    checks: SignatureChecks,
) -> Iterator[tuple[CertificateFacts, ...]]:
    """Yield every path from a certificate to an anchor whose names chain and whose signatures hold.

    Depth first; anchors before the pool; whose key identifier is the one that the certificate below names before
    others. Whatever else is wrong with a path is not looked at.

    Args:
        end: where paths begin.
        anchors: certificates of anchors, by subject.
        pool: what may stand between; holds no key that is too expensive.
        never_between: digests of keys that may only end a path.
        checks: the budgets, shared by everything that one request causes.

    Yields:
        Paths, `end` first, an anchor's certificate last.

    """
    unfinished: list[tuple[tuple[CertificateFacts, ...], CertificateFacts, bool]] = []

    def climb(path: tuple[CertificateFacts, ...]) -> None:
        """Note what may stand above a path: the last noted is tried first."""
        top = path[-1]
        ends = tuple(anchors.get(top.issuer_key, ()))
        if len(path) <= DEEPEST_PATH:
            used = {(facts.subject_key, facts.key_sha256) for facts in path}
            for facts in reversed(_likely_first(top, pool.named(top.issuer_key))):
                who = (facts.subject_key, facts.key_sha256)
                if who not in used and facts.key_sha256 not in never_between and facts not in ends:
                    unfinished.append((path, facts, False))
        unfinished.extend((path, facts, True) for facts in reversed(_likely_first(top, ends)))

    climb((end,))
    while unfinished:
        path, above, is_end = unfinished.pop()
        if not checks.may_step():
            return
        if not checks.hold(path[-1], above):
            continue
        longer = (*path, above)
        if not is_end:
            climb(longer)
        elif _hold_with_inherited_keys(longer, checks):
            yield longer


def _likely_first(
    below: CertificateFacts, candidates: Sequence[CertificateFacts]
) -> Sequence[CertificateFacts]:
    """Order issuers: those whose key identifier the certificate below names come first (RFC 4158 section 3.5.12)."""
    if len(candidates) < 2:
        return candidates
    wanted = _authority_key_id(below)
    return sorted(candidates, key=lambda facts: wanted is None or _subject_key_id(facts) != wanted)


def _authority_key_id(facts: CertificateFacts) -> bytes | None:
    extension = facts.extensions.get(x509.AuthorityKeyIdentifier.oid.dotted_string)
    if extension is None or not isinstance(extension.value, x509.AuthorityKeyIdentifier):
        return None
    return extension.value.key_identifier


def _subject_key_id(facts: CertificateFacts) -> bytes | None:
    extension = facts.extensions.get(x509.SubjectKeyIdentifier.oid.dotted_string)
    if extension is None or not isinstance(extension.value, x509.SubjectKeyIdentifier):
        return None
    return extension.value.digest


def _hold_with_inherited_keys(path: Sequence[CertificateFacts], checks: SignatureChecks) -> bool:
    """Check what `hold` could not: signatures by DSA keys with parameters from above (RFC 5280 section 6.1.4 (e))."""
    if not any(facts.key.inherits for facts in path):
        return True
    working: PublicKeyTypes | None = None
    for above, below in zip(reversed(path[1:]), reversed(path[:-1]), strict=True):
        if not above.key.inherits:
            working = _public_key(above)
        elif working is None:
            return False
        else:
            working = inherit_dsa_parameters(above.key_info, working)
            if working is None or not checks.hold_with(below, working):
                return False
    return True
