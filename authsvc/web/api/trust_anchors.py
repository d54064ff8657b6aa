"""`GET /v1/trust-anchors`: what certification paths may end at, and for what; level Reader in `directory`.

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

__all__ = ["router"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}

router = APIRouter(prefix="/v1", tags=["trust"], route_class=admitted_by(admit_reader))


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class AnchorSettingsDocument(_Document):
    """For what an anchor is trusted. `permitted_names` and `front_ends` are null where nothing is limited.

    `not_after` is when trust in the anchor ends, null for never; its certificate may end earlier.
    """

    eku_required: bool
    allow_any_eku: bool
    minimum_rsa_bits: int
    not_after: datetime | None
    permitted_names: list[str] | None
    front_ends: list[str] | None
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
    """Every anchor in the order of the configuration."""

    trust_anchors: list[TrustAnchorDocument]
    policy_version: str


@router.get("/trust-anchors", summary="Whose certificates count?", responses=_PROBLEMS)
async def list_trust_anchors(request: Request, caller: CallerOf, service: ServiceOf) -> TrustAnchorsDocument:
    """Return every trust anchor with what it is trusted for."""
    anchors = service.anchors
    record_answer(request, service, caller, "trust anchors listed for")
    return TrustAnchorsDocument(
        trust_anchors=[_write(anchor) for anchor in anchors], policy_version=service.version
    )


def _write(anchor: TrustAnchor) -> TrustAnchorDocument:
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
        minimum_rsa_bits=settings.minimum_rsa_bits,
        not_after=settings.not_after,
        permitted_names=None if names is None else [render_ldap(name) for name in names],
        front_ends=None if front_ends is None else sorted(front_ends),
        required_policies=sorted(settings.required_policies),
        revocation=settings.revocation.value,
    )
