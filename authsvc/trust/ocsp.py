"""Whether an OCSP response may be believed, and what it says of one certificate (RFC 6960 section 3.2, threat T38).

Lives here: the checks. Not here: the shape of messages (`ocsp_messages.py`), asking and remembering
(`authsvc/operations/ocsp_responders.py`), what an answer means for a decision (`revocation.py`).

INVARIANT: whatever the octets, the answer is a value, and "good" only when every check held. A response that fails one
is `OcspUnavailable`, as if nobody had answered: it says nothing, neither good nor bad.

Who may sign: the issuer of the certificate itself; or somebody whose certificate, in the response, that issuer's key
has signed for OCSP; or, where responders are pinned, one of those and nobody else. A delegated certificate must be
known not to be revoked: it says so itself (id-pkix-ocsp-nocheck), or a list of its issuer does. Where neither does it
is refused, however short its life is: a life is short only by somebody's opinion. (RFC 6960 section 4.2.2.2.1 leaves
that to the client.) A list that revokes it counts in any case.

A signed "revoked" needs no dates: a certificate that was revoked stays so, and an answer that is late or early must not
make it good where "unavailable" passes. (Lists count in the same way, stale ones too.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.ocsp_answer import OcspAnswer, OcspGood, OcspRevoked, OcspUnavailable, OcspUnknown
from authsvc.trust.ocsp_messages import (
    LARGEST_RESPONSE,
    BasicResponse,
    FailedResponse,
    SingleResponse,
    read_response,
)
from authsvc.trust.profile import StrengthFloor, find_cost_problem, find_key_problem, find_signature_problem
from authsvc.trust.signatures import SignatureAlgorithm, is_signed_with
from directory_assistance.der import DerSyntaxError
from directory_assistance.errors import CertificateSyntaxError, shorten

__all__ = ["ResponseRules", "RevocationLookup", "find_responder_problem", "verify_response"]

RevocationLookup = Callable[[CertificateFacts, CertificateFacts], bool | None]
"""Whether a certificate is revoked, given its issuer's, by what is at hand: None where nothing at hand tells."""

_OCSP_SIGNING: Final = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
_NO_CHECK: Final = x509.OCSPNoCheck.oid.dotted_string
_FLOOR: Final = StrengthFloor()
"""Of keys and signatures of responders: that of our profile. (An anchor's own floor holds for the path.)"""

_AHEAD: Final = timedelta(seconds=5)
"""How far a responder's clock may be ahead in any case: it writes the very second in which it answers, and clocks
differ by a little."""

_UNDERSTOOD: Final = frozenset(
    {
        x509.BasicConstraints.oid.dotted_string,
        x509.KeyUsage.oid.dotted_string,
        x509.ExtendedKeyUsage.oid.dotted_string,
        x509.SubjectKeyIdentifier.oid.dotted_string,
        x509.AuthorityKeyIdentifier.oid.dotted_string,
        x509.SubjectAlternativeName.oid.dotted_string,
        x509.CertificatePolicies.oid.dotted_string,
        _NO_CHECK,
    }
)
"""Extensions of a responder's certificate that may be critical: nothing in them could make it sign less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRules:
    """What an operator says about responses.

    `pinned`: the certificates of the only responders that may sign; empty for whom the issuer says. `require_nonce`:
    whether a response that does not repeat the nonce is refused; one that has another nonce always is. `maximum_age`:
    how long a response without a next update holds, from its this update on. `clock_skew`: how far the responder's
    clock may be ahead of ours, beyond a few seconds. `floor`: the weakest keys and
    signatures that count, None for all that are known.
    """

    pinned: tuple[CertificateFacts, ...] = ()
    require_nonce: bool = False
    maximum_age: timedelta = timedelta(hours=1)
    clock_skew: timedelta = timedelta(0)
    floor: StrengthFloor | None = _FLOOR


def verify_response(  # noqa: PLR0913 - a response, a question, and what may be believed
    der: bytes,
    *,
    facts: CertificateFacts,
    issuer: CertificateFacts,
    nonce: bytes | None,
    now: datetime,
    rules: ResponseRules,
    is_revoked: RevocationLookup,
    source: str,
) -> OcspAnswer:
    """Say what a response proves about a certificate.

    1. Read it. A responder that says that it cannot answer is unavailable, whatever its words.
    2. Nothing critical that is not understood; the nonce.
    3. The signer, and the signature over the octets as they stand.
    4. Exactly our certificate: serial number, and the hashes of its issuer's name and key, computed anew.
    5. The times, unless it says "revoked".

    Args:
        der: the response, whatever it is.
        facts: the certificate that was asked about; its path has been proven.
        issuer: the next certificate of that path.
        nonce: what was sent, None if none was.
        now: aware.
        rules: what the operator says.
        is_revoked: whether a delegated responder's certificate is revoked.
        source: what messages call the responder.

    Returns:
        Never `OcspNotAsked`.

    """
    response = _read(der)  # 1
    if isinstance(response, str):
        return OcspUnavailable(source=source, problem=response)
    problem = (
        _find_critical_problem(response)  # 2
        or _find_nonce_problem(response, nonce, rules)
        or _find_signer_problem(response, issuer, now, rules, is_revoked)  # 3
    )
    if problem:
        return OcspUnavailable(source=source, problem=problem)
    single = _find_single(response, facts, issuer)  # 4
    if single is None:
        return OcspUnavailable(source=source, problem="the response is about other certificates")
    if single.revoked_since is not None:
        return OcspRevoked(source=source, since=single.revoked_since, reason=single.reason)
    return _judge_times(response, single, now, rules, source)  # 5


def _read(der: bytes) -> BasicResponse | str:
    """Return the response, or why there is none."""
    if len(der) > LARGEST_RESPONSE:
        return f"expected a response of at most {LARGEST_RESPONSE} octets, found {len(der)}"
    try:
        response = read_response(der)
    except DerSyntaxError as error:
        return f"the response cannot be read: {shorten(str(error))}"
    return f"the responder says `{response.status}`" if isinstance(response, FailedResponse) else response


def find_responder_problem(facts: CertificateFacts, floor: StrengthFloor | None = _FLOOR) -> str:
    """Say why nothing that the holder of a certificate signs is accepted, or return an empty text.

    Args:
        facts: the certificate.
        floor: of its key; None accepts every key that can be used without harm.

    """
    if facts.key.kind == "unsupported" or facts.key.inherits:
        return f"its key is not supported: {facts.key}"
    return find_cost_problem(facts) if floor is None else find_key_problem(facts, floor)


def _find_algorithm_problem(algorithm: SignatureAlgorithm | None, floor: StrengthFloor | None) -> str:
    if algorithm is None:
        return "it is signed with an algorithm that is not supported"
    return "" if floor is None else find_signature_problem(algorithm, floor)


def _find_single(
    response: BasicResponse, facts: CertificateFacts, issuer: CertificateFacts
) -> SingleResponse | None:
    """Return what is said of the certificate. Of several that are about it the worst counts, then the newest."""
    about = [one for one in response.responses if one.certificate_id.names(facts, issuer)]
    return max(
        about, key=lambda one: (one.revoked_since is not None, not one.known, one.this_update), default=None
    )


def _find_critical_problem(response: BasicResponse) -> str:
    critical = response.critical.union(*(one.critical for one in response.responses))
    return f"critical extension {min(critical)} of the response is not supported" if critical else ""


def _find_nonce_problem(response: BasicResponse, nonce: bytes | None, rules: ResponseRules) -> str:
    """Say what is wrong with the nonce; where none was sent, one that is there says nothing."""
    if nonce is None:
        return "a nonce is required, and none was sent" if rules.require_nonce else ""
    if response.nonce is None:
        return "the response does not repeat the nonce" if rules.require_nonce else ""
    return "" if response.nonce == nonce else "the response has another nonce: it answers another question"


def _find_signer_problem(
    response: BasicResponse,
    issuer: CertificateFacts,
    now: datetime,
    rules: ResponseRules,
    is_revoked: RevocationLookup,
) -> str:
    """Say why nobody who may has signed the response, or return an empty text.

    INVARIANT: a certificate of the response is used only after the issuer's signature on it was checked.
    """
    algorithm = response.algorithm
    weak = _find_algorithm_problem(algorithm, rules.floor)
    if weak or algorithm is None:
        return f"the response: {weak}"
    problem = "no certificate of the responder that it names may sign it"
    for signer, delegated in _possible_signers(response, issuer, rules):
        if not response.is_named(signer):
            continue
        found = _find_key_or_date_problem(signer, now, rules, dated=signer is not issuer) or (
            _find_delegation_problem(signer, issuer, rules, is_revoked) if delegated else ""
        )
        if not found and is_signed_with(
            signer.certificate.public_key(),
            algorithm,
            signature=response.signature,
            signed=response.signed,
        ):
            return ""
        problem = f"responder `{signer.subject_text}`: {found or 'it has not made the signature'}"
    return problem


def _possible_signers(
    response: BasicResponse, issuer: CertificateFacts, rules: ResponseRules
) -> Iterator[tuple[CertificateFacts, bool]]:
    """Yield who might have signed, and whether by delegation; a certificate that cannot be read is nobody's."""
    if rules.pinned:
        yield from ((pinned, False) for pinned in rules.pinned)
        return
    yield issuer, False
    for der in response.certificates:
        try:
            yield read_certificate(der), True
        except CertificateSyntaxError:
            continue


def _find_key_or_date_problem(
    signer: CertificateFacts, now: datetime, rules: ResponseRules, *, dated: bool
) -> str:
    """Say what is wrong with a signer's key or dates; the issuer's dates are the path's matter, which is proven."""
    earliest, latest = now - rules.clock_skew, now + rules.clock_skew
    if dated and not (signer.not_before <= latest and earliest <= signer.not_after):
        return (
            f"its certificate is valid from {signer.not_before.isoformat()} to {signer.not_after.isoformat()}"
        )
    return find_responder_problem(signer, rules.floor)


def _find_delegation_problem(
    signer: CertificateFacts, issuer: CertificateFacts, rules: ResponseRules, is_revoked: RevocationLookup
) -> str:
    """Say why a certificate of the response is none that the issuer made for OCSP, or return an empty text."""
    purposes, usage = signer.extended_key_usage, signer.key_usage
    if purposes is None or _OCSP_SIGNING not in purposes:
        return "its certificate is not for OCSP (extended key usage OCSPSigning)"
    if usage is not None and not usage.digital_signature:
        return "its certificate is not for signatures (key usage digitalSignature)"
    unknown = sorted(oid for oid, one in signer.extensions.items() if one.critical and oid not in _UNDERSTOOD)
    if unknown:
        return f"critical extension {unknown[0]} of its certificate is not supported"
    return _find_issuing_problem(signer, issuer, rules) or _find_revocation_problem(
        signer, is_revoked(signer, issuer)
    )


def _find_issuing_problem(signer: CertificateFacts, issuer: CertificateFacts, rules: ResponseRules) -> str:
    """Say why a certificate is not directly issued by the issuer's key, or return an empty text."""
    algorithm = signer.algorithm
    if signer.issuer_key != issuer.subject_key:
        return f"its certificate is issued by `{signer.issuer_text}`, expected `{issuer.subject_text}`"
    problem = _find_algorithm_problem(algorithm, rules.floor) or find_responder_problem(issuer, rules.floor)
    if problem or algorithm is None:
        return f"its certificate: {problem}"
    if not is_signed_with(
        issuer.certificate.public_key(), algorithm, signature=signer.signature, signed=signer.signed
    ):
        return f"its certificate is not signed by the key of `{issuer.subject_text}`"
    return ""


def _find_revocation_problem(signer: CertificateFacts, revoked: bool | None) -> str:  # noqa: FBT001 - yes, no, unknown
    if revoked:
        return "its certificate is revoked"
    if revoked is None and _NO_CHECK not in signer.extensions:
        return "nobody tells whether its certificate is revoked (no id-pkix-ocsp-nocheck, no current list)"
    return ""


def _judge_times(
    response: BasicResponse, single: SingleResponse, now: datetime, rules: ResponseRules, source: str
) -> OcspAnswer:
    latest = now + rules.clock_skew + _AHEAD
    for what, instant in (("was produced", response.produced_at), ("begins", single.this_update)):
        if instant > latest:
            return OcspUnavailable(source=source, problem=f"the response {what} {instant.isoformat()}")
    next_update = single.next_update or single.this_update + rules.maximum_age
    if next_update <= now:
        return OcspUnavailable(source=source, problem=f"the response expired {next_update.isoformat()}")
    if not single.known:
        return OcspUnknown(source=source)
    return OcspGood(source=source, this_update=single.this_update, next_update=next_update)
