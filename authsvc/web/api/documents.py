"""The JSON documents of the API: what callers send, and how a verdict is written.

Only shapes live here. Bodies are strict: an unknown key is the caller's mistake, never ignored. Times are RFC
3339 in UTC, digests hexadecimal.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from authsvc.access.acl import EffectiveAccess
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.reason import outward_reason
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence, RevocationStatus
from directory_assistance.dn import DistinguishedName, render_ldap, render_name
from directory_assistance.entry import Identity
from directory_assistance.trace import TraceLine

__all__ = [
    "AuthenticateBody",
    "AuthorizeBody",
    "ExplainBody",
    "ProblemDocument",
    "RequirementDocument",
    "VerdictDocument",
    "write_revocation",
    "write_verdict",
]

_LARGEST_CERTIFICATE_TEXT = 131_072
"""Characters of a certificate in a body: PEM of 64 KB DER, and some white space."""

_TELLS_THE_REASON = frozenset(
    {RevocationStatus.REVOKED, RevocationStatus.UNKNOWN, RevocationStatus.UNAVAILABLE}
)
"""States of revocation that are themselves the reason of a refusal: who may not know the reason is not told them."""

CertificateText = Annotated[str, Field(min_length=1, max_length=_LARGEST_CERTIFICATE_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AuthenticateBody(_Body):
    """`POST /v1/authenticate`: a certificate, PEM or base64 DER, and certificates that may help to build its path."""

    certificate: CertificateText
    chain: Annotated[list[CertificateText], Field(max_length=10)] = []


class RequirementDocument(_Body):
    """What must be allowed: all of it. Nothing named means `level: Reader`."""

    level: str | None = None
    privileges: list[str] = []
    roles: list[str] = []


class AuthorizeBody(AuthenticateBody):
    """`POST /v1/authorize` and `/v1/explain`: the database and the requirement besides.

    `tls`: whether the end client came over TLS; absent, a certificate says so.
    """

    database: str
    requirement: RequirementDocument = RequirementDocument()
    tls: bool | None = None


class ExplainBody(AuthenticateBody):
    """`POST /v1/explain`: as authorize; without a database only the identity is explained.

    `front_end`: whose anchors and grace to assume; absent, the `api` listener's.
    """

    database: str | None = None
    requirement: RequirementDocument = RequirementDocument()
    tls: bool | None = None
    front_end: str | None = None


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class MembershipDocument(_Document):
    """A group of the identity with its origin; `via` is empty for a direct membership."""

    name: str
    domain: str
    via: list[str]


class IdentityDocument(_Document):
    """Who it is. `groups` are those that count for ACLs, as in `Remote-Groups`."""

    name: str
    dn: str
    domain: str
    directory: Literal["primary", "secondary"]
    method: Literal["client-certificate"]
    mail: str
    display_name: str
    aliases: list[str]
    groups: list[MembershipDocument]
    found_by: str
    bound_by: str
    strength: str


class AccessDocument(_Document):
    """What the identity may do, and which step of the ACL decided."""

    database: str
    level: str
    privileges: list[str]
    roles: list[str]
    decided_by: str
    entries: list[str]


class CertificateDocument(_Document):
    """The verified certificate."""

    sha256: str
    subject: str
    issuer: str
    serial: str
    not_after: datetime


class ListDocument(_Document):
    """A revocation list that proves a certificate good, and the delta list over it; the dates are the newer one's."""

    source: str
    number: int | None
    delta_source: str | None
    delta_number: int | None
    this_update: datetime
    next_update: datetime
    in_grace: bool


class CertificateRevocationDocument(_Document):
    """What is known of one certificate of the path; `source` is the list or the responder that decided."""

    subject: str
    serial: str
    status: str
    source: str | None
    lists: list[ListDocument]


class RevocationDocument(_Document):
    """What revocation rests on.

    `lists`, `responders` and `certificates` are empty for callers who may not know details.
    """

    status: str
    policy: str
    source: str | None
    lists: list[str]
    responders: list[str]
    this_update: datetime | None
    next_update: datetime | None
    age_seconds: int | None
    grace_used: bool
    certificates: list[CertificateRevocationDocument]


class EvidenceDocument(_Document):
    """What trust rests on."""

    trust_anchor: str
    revocation: RevocationDocument | None


class TraceDocument(_Document):
    """One line of the trace."""

    step: str
    subject: str
    result: str
    milliseconds: float | None


class VerdictDocument(_Document):
    """A verdict, with everything it rests on. `reason` is `allowed` for no verdict but an allowed one."""

    verdict: Literal["allowed", "denied", "undecided"]
    reason: str
    request_id: str
    detail: str | None = None
    identity: IdentityDocument | None = None
    access: AccessDocument | None = None
    certificate: CertificateDocument | None = None
    evidence: EvidenceDocument | None = None
    notes: list[str] = []
    expires_in: int = 0
    policy_version: str
    to_change_this: str | None = None
    trace: list[TraceDocument] | None = None


class ProblemDocument(_Document):
    """RFC 9457: what went wrong with the call itself."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    request_id: str


def write_verdict(  # noqa: PLR0913 - what a document says besides the verdict
    verdict: Verdict,
    *,
    request_id: str,
    policy_version: str,
    now: datetime,
    expose: bool,
    with_trace: bool = False,
    advice: str = "",
) -> VerdictDocument:
    """Write a verdict as a document.

    Args:
        verdict: the verdict.
        request_id: ours.
        policy_version: of the snapshot it was made with.
        now: for `expires_in` and the age of revocation evidence.
        expose: whether the caller may know the true reason, the details, and who was refused without an identity.
        with_trace: whether the trace is written.
        advice: `to_change_this`, empty for none.

    """
    match verdict:
        case Allowed():
            word: Literal["allowed", "denied", "undecided"] = "allowed"
            identity, access, notes = verdict.identity, verdict.access, verdict.notes
            revocation, valid_until, detail = verdict.revocation, verdict.valid_until, None
        case Denied():
            word = "denied"
            identity = verdict.identity if verdict.reason.status == 403 or expose else None
            access, notes = verdict.access, verdict.notes
            revocation, valid_until, detail = verdict.revocation, verdict.valid_until, verdict.detail
        case Undecided():
            word, identity, access, notes = "undecided", None, None, ()
            revocation, valid_until, detail = verdict.revocation, now, verdict.detail
    if revocation is not None and revocation.status in _TELLS_THE_REASON and not expose:
        revocation = None
    return VerdictDocument(
        verdict=word,
        reason=outward_reason(verdict.reason, expose=expose),
        request_id=request_id,
        detail=detail if expose else None,
        identity=_identity(identity) if identity is not None else None,
        access=_access(access) if access is not None else None,
        certificate=_certificate(verdict.certificate) if verdict.certificate is not None else None,
        evidence=_evidence(verdict.certificate, revocation, now, expose=expose)
        if verdict.certificate is not None
        else None,
        notes=list(notes) if expose or word == "allowed" else [],
        expires_in=max(0, int((valid_until - now).total_seconds())),
        policy_version=policy_version,
        to_change_this=advice or None,
        trace=[_trace(line) for line in verdict.trace] if with_trace else None,
    )


def _identity(identity: Identity) -> IdentityDocument:
    name = identity.name
    return IdentityDocument(
        name=render_name(name),
        dn=render_ldap(name) if isinstance(name, DistinguishedName) else "",
        domain=identity.domain,
        directory="primary" if identity.primary else "secondary",
        method="client-certificate",
        mail=identity.mail,
        display_name=identity.display_name,
        aliases=[render_name(alias) for alias in identity.aliases],
        groups=[
            MembershipDocument(name=group.name, domain=group.domain, via=list(group.via))
            for group in identity.groups
            if group.type.counts_for_acls
        ],
        found_by=identity.found_by,
        bound_by=identity.bound_by,
        strength=identity.strength.value,
    )


def _access(access: EffectiveAccess) -> AccessDocument:
    return AccessDocument(
        database=access.database,
        level=access.level.label,
        privileges=sorted(access.privileges),
        roles=sorted(access.roles),
        decided_by=access.decided_by.value,
        entries=list(access.entries),
    )


def _certificate(certificate: VerifiedCertificate) -> CertificateDocument:
    names = certificate.names
    return CertificateDocument(
        sha256=names.sha256.hex(),
        subject=render_ldap(names.subject),
        issuer=render_ldap(names.issuer),
        serial=f"{names.serial:x}",
        not_after=certificate.path[0].not_after.astimezone(UTC),
    )


def _evidence(
    certificate: VerifiedCertificate, revocation: RevocationEvidence | None, now: datetime, *, expose: bool
) -> EvidenceDocument:
    return EvidenceDocument(
        trust_anchor=certificate.anchor_id,
        revocation=None if revocation is None else write_revocation(revocation, now, expose=expose),
    )


def write_revocation(revocation: RevocationEvidence, now: datetime, *, expose: bool) -> RevocationDocument:
    """Write what revocation rests on; sources and single certificates only where they may be shown."""
    age = revocation.age(now)
    return RevocationDocument(
        status=revocation.status.value,
        policy=revocation.policy.value,
        source=revocation.source or None,
        lists=list(revocation.lists) if expose else [],
        responders=list(revocation.responders) if expose else [],
        this_update=revocation.this_update,
        next_update=revocation.next_update,
        age_seconds=None if age is None else int(age.total_seconds()),
        grace_used=revocation.grace_used,
        certificates=[_certificate_revocation(one) for one in revocation.certificates] if expose else [],
    )


def _certificate_revocation(one: CertificateEvidence) -> CertificateRevocationDocument:
    return CertificateRevocationDocument(
        subject=one.subject,
        serial=f"{one.serial:x}",
        status=one.status.value,
        source=one.source or None,
        lists=[_list(use) for use in one.lists],
    )


def _list(use: ListUse) -> ListDocument:
    return ListDocument(
        source=use.source,
        number=use.number if use.number >= 0 else None,
        delta_source=use.delta_source or None,
        delta_number=use.delta_number if use.delta_source else None,
        this_update=use.this_update,
        next_update=use.next_update,
        in_grace=use.in_grace,
    )


def _trace(line: TraceLine) -> TraceDocument:
    return TraceDocument(
        step=line.step, subject=line.subject, result=line.result, milliseconds=line.milliseconds
    )
