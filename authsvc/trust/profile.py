"""Our client profile: what certificates must be beyond RFC 5280 (semantics section 8).

Lives here: key and signature strength, key usage, extended key usage, which critical extensions are
understood, name constraints that the path engine does not evaluate, certificate policies. Not here:
signatures, chaining, dates (`path.py`). The engine (`cryptography`) checks neither the end entity's key, nor
extended key usage once its policy is written out, nor critical extensions that it was told to let pass: all
of that is here, and for every element.

Every function returns findings, empty for "nothing wrong"; none raises. The reason of each finding:

* `certificate_untrusted`: an issuer that may not issue (no CA, no keyCertSign, path length exceeded), another
  X.509 constraint of the path;
* `certificate_weak`: key or signature below the profile, or too expensive to check (threat T25);
* `certificate_usage`: not for TLS clients;
* `certificate_policy`: certificate policies not met, and whatever is critical or constraining and not
  evaluated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authsvc.reason import Reason
from authsvc.trust.certificate import CertificateFacts

__all__ = [
    "LARGEST_RSA_BITS",
    "LARGEST_RSA_EXPONENT_BITS",
    "MINIMUM_RSA_BITS",
    "SIGNATURE_HASHES",
    "Finding",
    "find_authority_key_problem",
    "find_authority_problems",
    "find_cost_problem",
    "find_end_entity_problems",
    "find_name_constraint_problems",
    "find_policy_problems",
]

MINIMUM_RSA_BITS: Final = 2048
"""Bits of an RSA modulus, the floor of every anchor's floor."""

LARGEST_RSA_BITS: Final = 8192
"""Bits of an RSA modulus: beyond it one signature check costs over a millisecond (threat T25)."""

LARGEST_RSA_EXPONENT_BITS: Final = 32
"""Bits of an RSA public exponent: what Microsoft's library reads; everybody uses 65537."""

_EDWARDS = frozenset({"Ed25519", "Ed448"})
_CURVES = frozenset({"P-256", "P-384", "P-521"})
SIGNATURE_HASHES = frozenset({"sha256", "sha384", "sha512"})
_SIGNATURE_ALGORITHMS = frozenset(
    {
        "1.2.840.113549.1.1.11",  # sha256WithRSAEncryption
        "1.2.840.113549.1.1.12",  # sha384WithRSAEncryption
        "1.2.840.113549.1.1.13",  # sha512WithRSAEncryption
        "1.2.840.113549.1.1.10",  # RSASSA-PSS; its hash is checked by name
        "1.2.840.10045.4.3.2",  # ecdsa-with-SHA256
        "1.2.840.10045.4.3.3",  # ecdsa-with-SHA384
        "1.2.840.10045.4.3.4",  # ecdsa-with-SHA512
    }
)
_EDWARDS_SIGNATURES = frozenset({"1.3.101.112", "1.3.101.113"})

_CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
_ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

_POLICY_MAPPINGS = "2.5.29.33"
_CERTIFICATE_POLICIES = x509.CertificatePolicies.oid.dotted_string
_POLICY_CONSTRAINTS = x509.PolicyConstraints.oid.dotted_string
_INHIBIT_ANY_POLICY = x509.InhibitAnyPolicy.oid.dotted_string
_ANY_POLICY = "2.5.29.32.0"
_ANY_POLICY_DER = bytes.fromhex("0604551d2000")

_UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid.dotted_string,
        x509.KeyUsage.oid.dotted_string,
        x509.ExtendedKeyUsage.oid.dotted_string,
        x509.SubjectAlternativeName.oid.dotted_string,
        x509.SubjectKeyIdentifier.oid.dotted_string,
        x509.AuthorityKeyIdentifier.oid.dotted_string,
        x509.NameConstraints.oid.dotted_string,
        _CERTIFICATE_POLICIES,
        _POLICY_CONSTRAINTS,
        _INHIBIT_ANY_POLICY,
        _POLICY_MAPPINGS,
    }
)
"""Extensions that may be critical. Everything else that is critical refuses (RFC 5280 section 4.2)."""


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
    return ""


def find_authority_key_problem(facts: CertificateFacts, *, minimum_rsa_bits: int) -> str:
    """Say why the key of an issuer is not accepted, or return an empty text.

    NOTE: semantics section 8 accepts Ed25519 and Ed448; the path engine checks no signature made with them,
    so that they are accepted in end-entity certificates only. This refuses where the rule would allow.
    """
    if facts.key.kind in _EDWARDS:
        return f"issuers with {facts.key} keys are not supported: expected RSA or ECDSA P-256, P-384, P-521"
    return _find_key_problem(facts, minimum_rsa_bits=minimum_rsa_bits)


def _find_key_problem(facts: CertificateFacts, *, minimum_rsa_bits: int) -> str:
    if facts.key.kind == "RSA":
        if facts.key.bits < minimum_rsa_bits:
            return f"expected an RSA key of at least {minimum_rsa_bits} bits, found {facts.key}"
        return find_cost_problem(facts)
    if facts.key.kind in _CURVES or facts.key.kind in _EDWARDS:
        return ""
    return f"expected a key of RSA, ECDSA P-256, P-384, P-521, Ed25519 or Ed448, found {facts.key}"


def _find_signature_problem(facts: CertificateFacts) -> str:
    if facts.signature_algorithm in _EDWARDS_SIGNATURES:
        return ""
    if facts.signature_algorithm in _SIGNATURE_ALGORITHMS and facts.signature_hash in SIGNATURE_HASHES:
        return ""
    found = facts.signature_hash or "none that is supported"
    return (
        f"expected a signature with SHA-256, SHA-384 or SHA-512, found {found} ({facts.signature_algorithm})"
    )


def find_end_entity_problems(
    facts: CertificateFacts,
    *,
    minimum_rsa_bits: int,
    eku_required: bool,
    allow_any_eku: bool,
    is_anchor: bool,
) -> list[Finding]:
    """Check the end-entity certificate against the profile.

    Args:
        facts: the certificate.
        minimum_rsa_bits: the anchor's floor.
        eku_required: whether a certificate without extended key usage is refused.
        allow_any_eku: whether anyExtendedKeyUsage is enough.
        is_anchor: whether the certificate is itself pinned as the anchor; then its signature proves nothing
        and is
            not judged.

    """
    found = _strength_findings(
        _find_key_problem(facts, minimum_rsa_bits=minimum_rsa_bits),
        "" if is_anchor else _find_signature_problem(facts),
    )
    constraints = facts.basic_constraints
    if constraints is not None and constraints.ca:
        found.append(_usage("expected an end-entity certificate, found a certification authority's"))
    usage = facts.key_usage
    if usage is not None and not usage.digital_signature:
        found.append(_usage("expected key usage digitalSignature, which is not set"))
    if usage is not None and usage.key_cert_sign:
        found.append(_usage("key usage keyCertSign is set, which only authorities may have"))
    problem = _find_purpose_problem(facts, eku_required=eku_required, allow_any_eku=allow_any_eku)
    if problem:
        found.append(_usage(problem))
    if facts.name_constraints is not None:
        found.append(_policy("name constraints stand in an end-entity certificate"))
    return _located("certificate", facts, found + _critical_findings(facts))


def _find_purpose_problem(facts: CertificateFacts, *, eku_required: bool, allow_any_eku: bool) -> str:
    purposes = facts.extended_key_usage
    if purposes is None:
        if eku_required:
            return (
                "expected extended key usage clientAuth, found no extended key usage, "
                "which is accepted only with `eku: optional` on the trust anchor"
            )
        return ""
    if _CLIENT_AUTH in purposes or (allow_any_eku and _ANY_PURPOSE in purposes):
        return ""
    if _ANY_PURPOSE in purposes:
        return "expected extended key usage clientAuth, found anyExtendedKeyUsage, which is not allowed here"
    return f"expected extended key usage clientAuth, found `{' '.join(sorted(purposes))}`"


def find_authority_problems(
    facts: CertificateFacts, *, authorities_below: int, minimum_rsa_bits: int, is_anchor: bool
) -> list[Finding]:
    """Check an issuer of the path.

    Args:
        facts: its certificate.
        authorities_below: how many authorities stand between it and the end entity. Self-issued ones count
        too, as
            they do in the engine; RFC 5280 would not count them (this refuses where the RFC would allow).
        minimum_rsa_bits: the anchor's floor.
        is_anchor: the anchor's own signature proves nothing and is not judged.

    """
    found = _strength_findings(
        find_authority_key_problem(facts, minimum_rsa_bits=minimum_rsa_bits),
        "" if is_anchor else _find_signature_problem(facts),
    )
    constraints = facts.basic_constraints
    if constraints is None or not constraints.ca:
        found.append(_untrusted("it is no certification authority (basicConstraints)"))
    elif constraints.path_length is not None and authorities_below > constraints.path_length:
        found.append(
            _untrusted(f"it allows {constraints.path_length} authorities below it, found {authorities_below}")
        )
    usage = facts.key_usage
    if usage is not None and not usage.key_cert_sign:
        found.append(_untrusted("it may not issue certificates (key usage without keyCertSign)"))
    purposes = facts.extended_key_usage
    if purposes is not None and not purposes & {_CLIENT_AUTH, _ANY_PURPOSE}:
        found.append(_usage(f"it issues for other purposes than clientAuth: `{' '.join(sorted(purposes))}`"))
    return _located("issuer", facts, found + _critical_findings(facts))


def find_name_constraint_problems(path: Sequence[CertificateFacts]) -> list[Finding]:
    """Find name constraints that the engine ignores or cannot evaluate; what it evaluates is left to it.

    The engine refuses critical directoryName constraints, and passes over others; it never looks at
    emailAddress in a subject, which RFC 5280 section 4.2.1.10 puts under rfc822Name constraints. Both refuse
    here (fails closed).

    Args:
        path: leaf first, anchor last.

    """
    findings: list[Finding] = []
    for position, facts in enumerate(path):
        constraints = facts.name_constraints
        if constraints is None or position == 0:
            continue
        subtrees = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
        where = f"issuer `{facts.subject_text}`"
        unsupported = sorted(
            {type(one).__name__ for one in subtrees if not isinstance(one, _EVALUATED_CONSTRAINTS)}
        )
        if unsupported:
            findings.append(
                _policy(f"{where}: name constraints of kind {', '.join(unsupported)} are not supported")
            )
        if any(isinstance(one, x509.RFC822Name) for one in subtrees):
            findings.extend(
                _policy(
                    f"{where} constrains mail, and `{below.subject_text}` has an address in its subject only"
                )
                for below in path[:position]
                if _has_unconstrained_mail(below)
            )
    return findings


_EVALUATED_CONSTRAINTS = (x509.DNSName, x509.IPAddress, x509.RFC822Name)


def _has_unconstrained_mail(facts: CertificateFacts) -> bool:
    """Whether the subject has an emailAddress that no rfc822Name of the certificate repeats."""
    in_subject = {
        str(one.value) for one in facts.certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    }
    if not in_subject:
        return False
    extension = facts.extensions.get(x509.SubjectAlternativeName.oid.dotted_string)
    if extension is None or not isinstance(extension.value, x509.SubjectAlternativeName):
        return True
    return not in_subject <= set(extension.value.get_values_for_type(x509.RFC822Name))


def find_policy_problems(path: Sequence[CertificateFacts], *, required: frozenset[str]) -> list[Finding]:
    """Check certificate policies over a path (RFC 5280 section 6.1, without mapping).

    Where neither an element nor the anchor's settings demand an explicit policy, every policy is acceptable
    and nothing can fail but a mapping of anyPolicy. Where one does, the policies valid for the path are those
    that every element below the anchor asserts. Together with policy mapping or inhibitAnyPolicy that rule
    would be wrong, so that such a path is refused (fails closed), and skipCerts is taken as 0.

    Args:
        path: leaf first, anchor last.
        required: dotted policies, of which one must be valid; empty for no requirement.

    """
    explicit = bool(required)
    complicated = False
    for facts in path:
        mappings = facts.extensions.get(_POLICY_MAPPINGS)
        if mappings is not None:
            complicated = True
            value = mappings.value
            if not isinstance(value, x509.UnrecognizedExtension) or _ANY_POLICY_DER in value.value:
                return [_policy(f"`{facts.subject_text}` maps anyPolicy, which RFC 5280 forbids")]
        complicated = complicated or _INHIBIT_ANY_POLICY in facts.extensions
        demand = facts.extensions.get(_POLICY_CONSTRAINTS)
        if demand is not None:
            constraints = demand.value
            explicit = explicit or (
                not isinstance(constraints, x509.PolicyConstraints)
                or constraints.require_explicit_policy is not None
            )
    if not explicit:
        return []
    if complicated:
        return [
            _policy("an explicit policy together with policy mapping or inhibitAnyPolicy is not supported")
        ]
    valid = _valid_policies(path)
    if valid is not None and not valid:
        return [_policy("an explicit policy is required, and no policy is asserted by the whole path")]
    if required and valid is not None and not valid & required:
        return [
            _policy(
                f"expected one of the certificate policies `{' '.join(sorted(required))}`, "
                f"found `{' '.join(sorted(valid))}`"
            )
        ]
    return []


def _valid_policies(path: Sequence[CertificateFacts]) -> frozenset[str] | None:
    """Return the policies that every element below the anchor asserts, None for any policy."""
    valid: frozenset[str] | None = None
    for facts in path[:-1] or path:
        extension = facts.extensions.get(_CERTIFICATE_POLICIES)
        asserted = (
            frozenset(one.policy_identifier.dotted_string for one in extension.value)
            if extension is not None and isinstance(extension.value, x509.CertificatePolicies)
            else frozenset()
        )
        if _ANY_POLICY in asserted:
            continue
        valid = asserted if valid is None else valid & asserted
    return valid


def _critical_findings(facts: CertificateFacts) -> list[Finding]:
    unknown = sorted(
        oid for oid, extension in facts.extensions.items() if extension.critical and oid not in _UNDERSTOOD
    )
    return [_policy(f"critical extension {oid} is not supported") for oid in unknown]


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
