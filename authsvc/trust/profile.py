"""What certificates must be: as authorities under RFC 5280, and beyond it our client profile (semantics section 8).

Lives here: key and signature strength, key usage, extended key usage, basic constraints and path length, which critical
extensions are understood. Not here: signatures and chaining (`path_building.py`), names and policies
(`name_constraints.py`, `policies.py`), dates (`path.py`).

Every function returns findings, empty for "nothing wrong"; none raises. The reason of each finding:

* `certificate_untrusted`: an issuer that may not issue (no CA, no keyCertSign, path length exceeded);
* `certificate_weak`: key or signature below the profile, or too expensive to check (threats T25, T26);
* `certificate_usage`: not for TLS clients (threat T27);
* `certificate_policy`: whatever is critical and not understood (threat T28).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from authsvc.reason import Reason
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.signatures import SignatureAlgorithm, SignatureScheme

__all__ = [
    "CLIENT_PURPOSES",
    "LARGEST_RSA_BITS",
    "LARGEST_RSA_EXPONENT_BITS",
    "MINIMUM_RSA_BITS",
    "EndEntityRules",
    "Finding",
    "Profile",
    "StrengthFloor",
    "find_authority_problems",
    "find_cost_problem",
    "find_critical_problems",
    "find_end_entity_problems",
    "find_issuer_profile_problems",
    "find_key_problem",
    "find_signature_problem",
    "find_signer_problems",
    "narrow_purposes",
]

MINIMUM_RSA_BITS: Final = 2048
"""Bits of an RSA modulus, the floor of every anchor's floor."""

LARGEST_RSA_BITS: Final = 8192
"""Bits of an RSA modulus: beyond it one signature check costs over a millisecond (threat T25)."""

LARGEST_RSA_EXPONENT_BITS: Final = 32
"""Bits of an RSA public exponent: what Microsoft's library reads; everybody uses 65537."""

_LARGEST_DSA_BITS: Final = 4096
"""Bits of a DSA modulus, known to the bare path algorithm only; the standard ends at 3072."""

_EDWARDS_CURVE_BITS: Final = {"Ed25519": 256, "Ed448": 448}
_CURVE_BITS: Final = {"P-256": 256, "P-384": 384, "P-521": 521} | _EDWARDS_CURVE_BITS
_HASH_BITS: Final = {"sha256": 256, "sha384": 384, "sha512": 512}
_EDWARDS_HASH_BITS: Final = 512
"""Ed25519 hashes with SHA-512, Ed448 with SHAKE256 of 912 bits."""

_ANY_PURPOSE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

CLIENT_PURPOSES: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string})
"""Key purposes of which a certificate must have one, unless its anchor names others."""

_UNDERSTOOD: Final = frozenset(
    {
        x509.BasicConstraints.oid.dotted_string,
        x509.KeyUsage.oid.dotted_string,
        x509.ExtendedKeyUsage.oid.dotted_string,
        x509.SubjectAlternativeName.oid.dotted_string,
        x509.SubjectKeyIdentifier.oid.dotted_string,
        x509.AuthorityKeyIdentifier.oid.dotted_string,
        x509.NameConstraints.oid.dotted_string,
        x509.CertificatePolicies.oid.dotted_string,
        x509.PolicyConstraints.oid.dotted_string,
        x509.InhibitAnyPolicy.oid.dotted_string,
        "2.5.29.33",  # policyMappings, for which `cryptography` has no class
        x509.CRLDistributionPoints.oid.dotted_string,
    }
)
"""Extensions that may be critical. Everything else that is critical refuses (RFC 5280 section 4.2)."""


class Profile(StrEnum):
    """What certificates must be beyond a valid path."""

    CLIENT = "client"
    """Ours: strong, and for TLS clients."""

    RFC5280 = "rfc5280"
    """Nothing: the path algorithm of RFC 5280 section 6 alone, for tests and for `authsvc verify`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthFloor:
    """The weakest keys and signatures that count: bits of RSA moduli, of curves, and of hash functions."""

    rsa_bits: int = MINIMUM_RSA_BITS
    curve_bits: int = 256
    hash_bits: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEntityRules:
    """What an anchor asks of end-entity certificates, strength apart; see `AnchorSettings`."""

    eku_required: bool = True
    allow_any_eku: bool = False
    purposes: frozenset[str] = CLIENT_PURPOSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with an element of a path: the reason that it gives, and expected, found, where."""

    reason: Reason
    detail: str


def find_cost_problem(facts: CertificateFacts) -> str:
    """Say why no signature must be checked with this key, or return an empty text (threat T25)."""
    if facts.key.kind == "RSA":
        if facts.key.bits > LARGEST_RSA_BITS:
            return f"expected an RSA key of at most {LARGEST_RSA_BITS} bits, found {facts.key}"
        if facts.key.exponent.bit_length() > LARGEST_RSA_EXPONENT_BITS:
            return (
                f"expected an RSA exponent of at most {LARGEST_RSA_EXPONENT_BITS} bits, "
                f"found {facts.key.exponent.bit_length()} bits"
            )
    if facts.key.kind == "DSA" and facts.key.bits > _LARGEST_DSA_BITS:
        return f"expected a DSA key of at most {_LARGEST_DSA_BITS} bits, found {facts.key}"
    return ""


def find_key_problem(facts: CertificateFacts, floor: StrengthFloor) -> str:
    """Say why a key is not strong enough, or too expensive to check with, or return an empty text."""
    if facts.key.kind == "RSA":
        if facts.key.bits < floor.rsa_bits:
            return f"expected an RSA key of at least {floor.rsa_bits} bits, found {facts.key}"
        return find_cost_problem(facts)
    bits = _CURVE_BITS.get(facts.key.kind)
    if bits is None:
        return f"expected a key of RSA, ECDSA P-256, P-384, P-521, Ed25519 or Ed448, found {facts.key}"
    if bits < floor.curve_bits:
        return f"expected a key on a curve of at least {floor.curve_bits} bits, found {facts.key}"
    return ""


def find_signature_problem(algorithm: SignatureAlgorithm | None, floor: StrengthFloor) -> str:
    """Say why signatures of an algorithm are not strong enough, or return an empty text."""
    if algorithm is None:
        return (
            "expected a signature with SHA-256, SHA-384 or SHA-512, found an algorithm that is not supported"
        )
    bits = _EDWARDS_HASH_BITS if algorithm.hashes_itself else _HASH_BITS.get(algorithm.hash_name, 0)
    if bits == 0 or algorithm.scheme is SignatureScheme.DSA:
        return (
            f"expected a signature with SHA-256, SHA-384 or SHA-512, "
            f"found {algorithm.hash_name} ({algorithm.oid})"
        )
    if bits < floor.hash_bits:
        return f"expected a signature with a hash of at least {floor.hash_bits} bits, found {algorithm}"
    return ""


def find_end_entity_problems(
    facts: CertificateFacts, *, floor: StrengthFloor, rules: EndEntityRules, is_anchor: bool
) -> list[Finding]:
    """Check the end-entity certificate against the client profile.

    Args:
        facts: the certificate.
        floor: the anchor's.
        rules: the anchor's.
        is_anchor: whether the certificate is itself pinned as the anchor; then its signature proves nothing
            and is not judged.

    """
    found = _strength_findings(
        find_key_problem(facts, floor),
        "" if is_anchor else find_signature_problem(facts.algorithm, floor),
    )
    if facts.is_authority:
        found.append(_usage("expected an end-entity certificate, found a certification authority's"))
    usage = facts.key_usage
    if usage is not None and not usage.digital_signature:
        found.append(_usage("expected key usage digitalSignature, which is not set"))
    if usage is not None and usage.key_cert_sign:
        found.append(_usage("key usage keyCertSign is set, which only authorities may have"))
    problem = _find_purpose_problem(facts, rules)
    if problem:
        found.append(_usage(problem))
    if facts.name_constraints is not None:
        found.append(_policy("name constraints stand in an end-entity certificate"))
    return _located("certificate", facts, found)


def _find_purpose_problem(facts: CertificateFacts, rules: EndEntityRules) -> str:
    found = facts.extended_key_usage
    wanted = "clientAuth" if rules.purposes == CLIENT_PURPOSES else f"`{' '.join(sorted(rules.purposes))}`"
    if found is None:
        if rules.eku_required:
            return (
                f"expected extended key usage {wanted}, found no extended key usage, "
                "which is accepted only with `eku: optional` on the trust anchor"
            )
        return ""
    if rules.purposes & found or (rules.allow_any_eku and _ANY_PURPOSE in found):
        return ""
    if _ANY_PURPOSE in found:
        return f"expected extended key usage {wanted}, found anyExtendedKeyUsage, which is not allowed here"
    return f"expected extended key usage {wanted}, found `{' '.join(sorted(found))}`"


def find_authority_problems(path: Sequence[CertificateFacts], position: int) -> list[Finding]:
    """Check an issuer of a path as RFC 5280 section 6.1.4 (k) to (n) does; the anchor is checked too.

    Args:
        path: leaf first, anchor last.
        position: of the issuer.

    """
    facts = path[position]
    found = []
    constraints = facts.basic_constraints
    # Self-issued authorities do not count against the path length (section 4.2.1.9).
    below = sum(not authority.issuer_is_subject for authority in path[1:position])
    if constraints is None or not constraints.ca:
        found.append(_untrusted("it is no certification authority (basicConstraints)"))
    elif constraints.path_length is not None and below > constraints.path_length:
        found.append(_untrusted(f"it allows {constraints.path_length} authorities below it, found {below}"))
    usage = facts.key_usage
    if usage is not None and not usage.key_cert_sign:
        found.append(_untrusted("it may not issue certificates (key usage without keyCertSign)"))
    return _located("issuer", facts, found)


def find_issuer_profile_problems(
    facts: CertificateFacts, *, floor: StrengthFloor, rules: EndEntityRules, is_anchor: bool
) -> list[Finding]:
    """Check an issuer against the client profile: strength, and purposes where it limits them.

    Args:
        facts: the issuer.
        floor: the anchor's.
        rules: the anchor's, narrowed by what is below (`narrow_purposes`).
        is_anchor: the anchor's own signature proves nothing and is not judged.

    """
    found = _strength_findings(
        find_key_problem(facts, floor),
        "" if is_anchor else find_signature_problem(facts.algorithm, floor),
    )
    purposes = facts.extended_key_usage
    if purposes is not None and not purposes & (rules.purposes | {_ANY_PURPOSE}):
        wanted = (
            "clientAuth" if rules.purposes == CLIENT_PURPOSES else f"`{' '.join(sorted(rules.purposes))}`"
        )
        found.append(_usage(f"it issues for other purposes than {wanted}: `{' '.join(sorted(purposes))}`"))
    return _located("issuer", facts, found)


def narrow_purposes(rules: EndEntityRules, facts: CertificateFacts) -> EndEntityRules:
    """Return rules with the purposes that a certificate leaves of them, for whoever issued it.

    Where an anchor names several purposes, one of them must be a purpose of the end entity and of every issuer that
    limits them: an authority for one purpose does not issue for another. Where none is left, the rules stay, because
    the certificate itself is refused.
    """
    if len(rules.purposes) < 2:  # nothing to narrow, as nearly always
        return rules
    own = facts.extended_key_usage
    if own is None or (_ANY_PURPOSE in own and (rules.allow_any_eku or facts.is_authority)):
        return rules
    return replace(rules, purposes=rules.purposes & own or rules.purposes)


def find_signer_problems(facts: CertificateFacts, *, floor: StrengthFloor, is_anchor: bool) -> list[Finding]:
    """Check the strength of an element of a path that a list's signer has; purposes are not its affair."""
    return _strength_findings(
        find_key_problem(facts, floor),
        "" if is_anchor else find_signature_problem(facts.algorithm, floor),
    )


def find_critical_problems(facts: CertificateFacts) -> list[Finding]:
    """Find critical extensions that nobody here processes (RFC 5280 section 6.1.4 (o), 6.1.5 (f))."""
    unknown = sorted(
        oid for oid, extension in facts.extensions.items() if extension.critical and oid not in _UNDERSTOOD
    )
    return _located(
        "certificate", facts, [_policy(f"critical extension {oid} is not supported") for oid in unknown]
    )


def _strength_findings(*problems: str) -> list[Finding]:
    return [Finding(reason=Reason.CERTIFICATE_WEAK, detail=problem) for problem in problems if problem]


def _located(what: str, facts: CertificateFacts, findings: list[Finding]) -> list[Finding]:
    """Say in each finding whose it is. Printing a name costs more than all checks, so that it comes last."""
    if not findings:
        return findings
    where = f"{what} `{facts.subject_text}`"
    return [Finding(reason=one.reason, detail=f"{where}: {one.detail}") for one in findings]


def _untrusted(detail: str) -> Finding:
    return Finding(reason=Reason.CERTIFICATE_UNTRUSTED, detail=detail)


def _usage(detail: str) -> Finding:
    return Finding(reason=Reason.CERTIFICATE_USAGE, detail=detail)


def _policy(detail: str) -> Finding:
    return Finding(reason=Reason.CERTIFICATE_POLICY, detail=detail)
