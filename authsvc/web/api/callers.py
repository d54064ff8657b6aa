"""Who calls the API, and whether they may.

Administration is governed by itself (contract section 3): every call authenticates by the client certificate
of its TLS connection, decided like anybody else's, or by the bootstrap token while that works. A front end
with a header dialect may authenticate and authorize, nothing else; on dialect `tls` nobody may, since anybody
could ask about anybody.
"""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from authsvc.access.acl import Requirement
from authsvc.access.databases import DatabaseTarget
from authsvc.access.levels import Level
from authsvc.decision.pipeline import DIRECTORY_DATABASE
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided
from authsvc.operations.service import API_NAME, Service
from authsvc.presented.encodings import EncodingError
from authsvc.presented.presentation import Presentation, UnreadableCertificate
from authsvc.presented.registry import Dialect
from authsvc.presented.tls import read_tls
from authsvc.reason import Reason
from authsvc.web.auth import FrontEnd, refuse_caller
from authsvc.web.connection import connection_of
from directory_assistance.dn import render_name

__all__ = ["CallRefused", "Caller", "admit_auditor", "admit_decision_caller", "request_id_of"]

_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An admitted caller: who it is in logs, which front end's anchors count, and whether it may know true reasons."""

    actor: str
    front_end: FrontEndPolicy
    administrator: bool


class CallRefused(Exception):  # noqa: N818 - a refusal is an answer; the API writes it as a problem document
    """The caller may not make this call."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def request_id_of(request: Request) -> str:
    """Return this request's id, always ours; made at the first question."""
    known = getattr(request.state, "request_id", None)
    if known is None:
        known = request.state.request_id = secrets.token_hex(16)
    assert isinstance(known, str)
    return known


def service_of(request: Request) -> Service:
    """Return the running service.

    Raises:
        CallRefused: the application was built without one (to print its OpenAPI document).

    """
    service = request.app.state.service
    if service is None:
        raise CallRefused(Reason.STORE_UNAVAILABLE, "no service is running behind this application")
    assert isinstance(service, Service)
    return service


ServiceOf = Annotated[Service, Depends(service_of)]


async def admit_auditor(request: Request, service: ServiceOf) -> Caller:
    """Admit an administrator with role `Auditor` (or the bootstrap token) on the listener `api`.

    Raises:
        CallRefused: anybody else, or a question that could not be decided.

    """
    if connection_of(request.scope).listener != API_NAME:
        raise CallRefused(Reason.DATABASE_UNKNOWN, "this call is answered on the listener `api` only")
    return await _admit_administrator(request, service, role="Auditor")


async def admit_decision_caller(request: Request, service: ServiceOf) -> Caller:
    """Admit an auditor on `api`, or an admitted web server on a front end with a header dialect.

    Raises:
        CallRefused: anybody else.

    """
    connection = connection_of(request.scope)
    if connection.listener == API_NAME:
        return await _admit_administrator(request, service, role="Auditor")
    front_end: FrontEnd = request.app.state.front_ends[connection.listener]
    if front_end.reader.dialect is Dialect.TLS:
        raise CallRefused(Reason.DATABASE_UNKNOWN, "this call is not answered where clients connect directly")
    refused = refuse_caller(front_end, connection, request.scope["headers"])
    if refused is not None:
        raise CallRefused(Reason.UNTRUSTED_FRONT_END, "the caller is no front end")
    return Caller(actor=f"front end {front_end.policy.name}", front_end=front_end.policy, administrator=False)


async def _admit_administrator(request: Request, service: Service, *, role: str) -> Caller:
    policy = FrontEndPolicy(name=API_NAME)
    authorization = request.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        if service.verify_bootstrap_token(authorization[len(_BEARER) :].strip()):
            return Caller(actor="bootstrap token", front_end=policy, administrator=True)
        raise CallRefused(Reason.CERTIFICATE_MISSING, "the bootstrap token is wrong, or has stopped working")
    verdict = await service.decider.decide(
        DecisionRequest(
            presentation=_presented(request),
            front_end=policy,
            target=DatabaseTarget(
                database=DIRECTORY_DATABASE,
                requirement=Requirement(level=Level.READER, roles=frozenset({role})),
            ),
            over_tls=True,
        )
    )
    match verdict:
        case Allowed(identity=identity, access=access):
            assert identity is not None  # the front end policy of `api` does not allow anonymous
            if access is not None and access.level is Level.MANAGER:
                service.note_manager_used(identity)
            return Caller(actor=render_name(identity.name), front_end=policy, administrator=True)
        case Denied(reason=reason) | Undecided(reason=reason):
            raise CallRefused(reason, f"the ACL of `{DIRECTORY_DATABASE}` must give you role `{role}`")


def _presented(request: Request) -> Presentation:
    certificates = connection_of(request.scope).certificates
    if certificates is None:
        return read_tls(None, ())
    try:
        return read_tls(certificates.certificate, certificates.chain)
    except EncodingError as error:
        return UnreadableCertificate(problem=str(error))
