"""`GET /v1/trust-anchors`, `/v1/cross-certificates`: what certification paths may end at; level Reader in `directory`.

Read only: anchors are files of the configuration. Not here: blocks (`blocks.py`).

INVARIANT: an answer is recorded before it is sent; one that cannot be recorded is 503 `store_unavailable`.
"""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from authsvc.trust.anchors import AnchorSettings, TrustAnchor
from authsvc.web.api.callers import CallerOf, ServiceOf, admit_reader, admitted_by
from authsvc.web.api.recording import record_answer
from directory_assistance.dn import render_ldap

__all__ = ["TrustAnchorDocument", "router", "write_trust_anchor"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}

router = APIRouter(prefix="/v1", tags=["trust"], route_class=admitted_by(admit_reader))


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class AnchorSettingsDocument(_Document):
    """For what an anchor is trusted; null where nothing is limited.

    `not_before` and `not_after` are when trust in the anchor begins and ends; its certificate may begin later and end
    earlier. `purposes` and `required_policies` are object identifiers. `domains` are the only domains whose
    directories may hold the owner.
    """

    eku_required: bool
    allow_any_eku: bool
    purposes: list[str]
    minimum_rsa_bits: int
    minimum_curve_bits: int
    minimum_hash_bits: int
    not_before: datetime | None
    not_after: datetime | None
    permitted_names: list[str] | None
    front_ends: list[str] | None
    domains: list[str] | None
    required_policies: list[str]
    revocation: Literal["require", "prefer", "off"]


class TrustAnchorDocument(_Document):
    """One certificate that paths may end at. Several may have one `id`: a CA and its successor.

    `sha256` is the certificate's digest, `public_key_sha256` that of its SubjectPublicKeyInfo.
    """

    id: str
    subject: str
    sha256: str
    public_key_sha256: str
    key: str
    not_before: datetime
    not_after: datetime
    settings: AnchorSettingsDocument


class TrustAnchorsDocument(_Document):
    """Every anchor in the order of the configuration, without cross-certificates."""

    trust_anchors: list[TrustAnchorDocument]
    policy_version: str


class CrossCertificatesDocument(_Document):
    """Every cross-certificate in the order of the configuration."""

    cross_certificates: list[TrustAnchorDocument]
    policy_version: str


@router.get("/trust-anchors", summary="Whose certificates count?", responses=_PROBLEMS)
async def list_trust_anchors(request: Request, caller: CallerOf, service: ServiceOf) -> TrustAnchorsDocument:
    """Return every trust anchor with what it is trusted for."""
    anchors = [one for one in service.anchors if not one.settings.is_cross_certificate]
    record_answer(request, service, caller, "trust anchors listed for")
    return TrustAnchorsDocument(
        trust_anchors=[write_trust_anchor(anchor) for anchor in anchors], policy_version=service.version
    )


@router.get("/cross-certificates", summary="Who else counts, within limits?", responses=_PROBLEMS)
async def list_cross_certificates(
    request: Request, caller: CallerOf, service: ServiceOf
) -> CrossCertificatesDocument:
    """Return every cross-certificate with its limits."""
    crosses = [one for one in service.anchors if one.settings.is_cross_certificate]
    record_answer(request, service, caller, "cross-certificates listed for")
    return CrossCertificatesDocument(
        cross_certificates=[write_trust_anchor(anchor) for anchor in crosses], policy_version=service.version
    )


def write_trust_anchor(anchor: TrustAnchor) -> TrustAnchorDocument:
    """Write one certificate that paths may end at, with what it is trusted for."""
    facts = anchor.facts
    return TrustAnchorDocument(
        id=anchor.id,
        subject=facts.subject_text,
        sha256=facts.sha256.hex(),
        public_key_sha256=facts.key_sha256.hex(),
        key=str(facts.key),
        not_before=facts.not_before,
        not_after=facts.not_after,
        settings=_write_settings(anchor.settings),
    )


def _write_settings(settings: AnchorSettings) -> AnchorSettingsDocument:
    names, front_ends = settings.permitted_names, settings.front_ends
    return AnchorSettingsDocument(
        eku_required=settings.eku_required,
        allow_any_eku=settings.allow_any_eku,
        purposes=sorted(settings.purposes),
        minimum_rsa_bits=settings.floor.rsa_bits,
        minimum_curve_bits=settings.floor.curve_bits,
        minimum_hash_bits=settings.floor.hash_bits,
        not_before=settings.not_before,
        not_after=settings.not_after,
        permitted_names=None if names is None else [render_ldap(name) for name in names],
        front_ends=None if front_ends is None else sorted(front_ends),
        domains=None if settings.domains is None else sorted(settings.domains),
        required_policies=sorted(settings.required_policies),
        revocation=settings.revocation.value,
    )
