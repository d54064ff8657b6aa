"""Who calls the API, and whether they may.

Administration is governed by itself (contract section 3): every call authenticates by the client certificate
of its TLS connection, decided like anybody else's, or by the bootstrap token while that works. A front end
with a header dialect may authenticate and authorize, nothing else; on dialect `tls` nobody may, since anybody
could ask about anybody.

Invariants:

* A caller is admitted before one byte of its body is read, and before anything it says is judged.
* A body is read within limits of size and time.
* Every refused caller is recorded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from authsvc.access.acl import Requirement
from authsvc.access.databases import DatabaseTarget
from authsvc.access.levels import Level
from authsvc.decision.pipeline import DIRECTORY_DATABASE
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Verdict
from authsvc.operations.audit import DecisionRecord
from authsvc.operations.service import API_NAME, Service
from authsvc.presented.encodings import EncodingError
from authsvc.presented.presentation import Presentation, UnreadableCertificate
from authsvc.presented.registry import Dialect
from authsvc.presented.tls import read_tls
from authsvc.reason import Reason
from authsvc.web.auth import FrontEnd, refuse_caller
from authsvc.web.connection import Message, connection_of
from directory_assistance.dn import render_name

__all__ = [
    "CallRefused",
    "Caller",
    "CallerOf",
    "ServiceOf",
    "admit_auditor",
    "admit_decision_caller",
    "admit_reader",
    "admit_trust_manager",
    "admitted_by",
    "request_id_of",
    "service_of",
]

_BEARER: Final = "bearer "

_LARGEST_BODY: Final = 2_097_152
"""Bytes of a body: a certificate and ten of a chain, as large as each may be, and white space."""

_BODY_SECONDS: Final = 20.0
"""How long a body may take to arrive: slow senders must not hold connections for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An admitted caller: who it is in logs, which front end's anchors count, and whether it may know true reasons."""

    actor: str
    front_end: FrontEndPolicy
    administrator: bool


class CallRefused(Exception):  # noqa: N818 - a refusal is an answer; the API writes it as a problem document
    """The call is not made: the caller may not, or made a mistake. `verdict` is the one about the caller."""

    def __init__(self, reason: Reason, detail: str, *, verdict: Verdict | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.verdict = verdict


Admission = Callable[[Request, Service], Awaitable[Caller]]


def request_id_of(request: Request) -> str:
    """Return this request's id, always ours; `web/app.py` has made it."""
    request_id = request.state.request_id
    assert isinstance(request_id, str)
    return request_id


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


def _caller_of(request: Request) -> Caller:
    """Return the caller that the route has admitted; a route that admits nobody fails here."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


ServiceOf = Annotated[Service, Depends(service_of)]
CallerOf = Annotated[Caller, Depends(_caller_of)]


def admitted_by(admit: Admission) -> type[APIRoute]:
    """Return the class of routes whose callers are admitted so, before their body is read.

    FastAPI would read and parse the body first, of strangers too.
    """

    class AdmittedRoute(APIRoute):
        """A route that admits its caller, then reads the body within limits, then goes on."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Return what handles a request."""
            handle = super().get_route_handler()

            async def handle_admitted(request: Request) -> Response:
                service = service_of(request)
                try:
                    request.state.caller = await admit(request, service)
                except CallRefused as refused:
                    _record_refused(request, service, refused)
                    raise
                body = await _read_body(request)

                async def receive() -> Message:
                    return {"type": "http.request", "body": body, "more_body": False}

                return await handle(Request(request.scope, receive))

            return handle_admitted

    return AdmittedRoute


async def admit_auditor(request: Request, service: Service) -> Caller:
    """Admit an administrator with role `Auditor` (or the bootstrap token) on the listener `api`.

    Raises:
        CallRefused: anybody else, or a caller about whom nothing could be decided.

    """
    _require_api(request)
    return await _admit_administrator(request, service, role="Auditor")


async def admit_reader(request: Request, service: Service) -> Caller:
    """Admit an administrator with level Reader (or the bootstrap token) on the listener `api`.

    Raises:
        CallRefused: anybody else, or a caller about whom nothing could be decided.

    """
    _require_api(request)
    return await _admit_administrator(request, service, role=None)


async def admit_trust_manager(request: Request, service: Service) -> Caller:
    """Admit an administrator with role `TrustManager` (or the bootstrap token) on the listener `api`.

    Raises:
        CallRefused: anybody else, or a caller about whom nothing could be decided.

    """
    _require_api(request)
    return await _admit_administrator(request, service, role="TrustManager")


async def admit_decision_caller(request: Request, service: Service) -> Caller:
    """Admit an auditor on `api`, or an admitted web server on a front end with a header dialect.

    Raises:
        CallRefused: anybody else, or a caller about whom nothing could be decided.

    """
    connection = connection_of(request.scope)
    if connection.listener == API_NAME:
        return await _admit_administrator(request, service, role="Auditor")
    front_end: FrontEnd | None = request.app.state.front_ends.get(connection.listener)
    if front_end is None or front_end.reader.dialect is Dialect.TLS:
        raise CallRefused(
            Reason.UNTRUSTED_FRONT_END, "this call is not answered where clients connect directly"
        )
    refused = refuse_caller(front_end, connection, request.scope["headers"])
    if refused is not None:
        raise CallRefused(Reason.UNTRUSTED_FRONT_END, refused.problem)
    return Caller(actor=f"front end {front_end.policy.name}", front_end=front_end.policy, administrator=False)


def _require_api(request: Request) -> None:
    if connection_of(request.scope).listener != API_NAME:
        raise CallRefused(Reason.UNTRUSTED_FRONT_END, "this call is answered on the listener `api` only")


async def _admit_administrator(request: Request, service: Service, *, role: str | None) -> Caller:
    """Admit who has level Reader in the database `directory`, and a role where one is needed."""
    policy = FrontEndPolicy(name=API_NAME)
    authorization = request.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        await _check_token(service, authorization[len(_BEARER) :].strip())
        return Caller(actor="bootstrap token", front_end=policy, administrator=True)
    verdict = await service.decider.decide(
        DecisionRequest(
            presentation=_presented(request),
            front_end=policy,
            target=DatabaseTarget(
                database=DIRECTORY_DATABASE,
                requirement=Requirement(
                    level=Level.READER, roles=frozenset() if role is None else frozenset({role})
                ),
            ),
            over_tls=True,
        )
    )
    if not isinstance(verdict, Allowed):
        raise CallRefused(verdict.reason, _what_is_needed(verdict.reason, role), verdict=verdict)
    assert verdict.identity is not None  # the front end policy of `api` does not allow anonymous
    assert verdict.access is not None  # a database was asked for
    # Full access bypasses the ACL: using it shows nothing about the Manager entry that the token waits for.
    if verdict.reason is Reason.ALLOWED and verdict.access.level is Level.MANAGER:
        await asyncio.to_thread(service.note_manager_used, verdict.identity)
    return Caller(actor=render_name(verdict.identity.name), front_end=policy, administrator=True)


async def _check_token(service: Service, token: str) -> None:
    try:
        works = await asyncio.to_thread(service.verify_bootstrap_token, token)
    except StoreFault as fault:
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the bootstrap token could not be checked") from fault
    if not works:
        raise CallRefused(Reason.CERTIFICATE_MISSING, "the bootstrap token is wrong, or has stopped working")


def _what_is_needed(reason: Reason, role: str | None) -> str:
    """Return what to tell a refused administrator: what is needed, nothing of what was found (threat T61)."""
    if reason.status == 403:
        needed = "level Reader" if role is None else f"role `{role}`"
        return f"the ACL of `{DIRECTORY_DATABASE}` must give you {needed}"
    if reason.status == 503:
        return "nothing could be decided about the caller"
    return "the client certificate of an administrator, or the bootstrap token, is needed"


def _presented(request: Request) -> Presentation:
    certificates = connection_of(request.scope).certificates
    if certificates is None:
        return read_tls(None, ())
    try:
        return read_tls(certificates.certificate, certificates.chain)
    except EncodingError as error:
        return UnreadableCertificate(problem=str(error))


def _record_refused(request: Request, service: Service, refused: CallRefused) -> None:
    connection = connection_of(request.scope)
    service.record_decision(
        DecisionRecord(
            time=service.now(),
            request_id=request_id_of(request),
            caller_request_id=request.headers.get("x-request-id", ""),
            front_end=connection.listener,
            peer=connection.peer,
            status=refused.reason.status,
            reason=refused.reason,
            detail=f"call of {request.url.path} refused: {refused.detail}",
            presentation=_presented(request) if connection.listener == API_NAME else None,
            verdict=refused.verdict,
            policy_version=service.version,
        )
    )


async def _read_body(request: Request) -> bytes:
    """Read the whole body.

    Raises:
        CallRefused: it is too large, too slow, or ends too early.

    """
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > _LARGEST_BODY:
                    raise CallRefused(
                        Reason.BAD_REQUEST, f"expected a body of at most {_LARGEST_BODY} bytes, found more"
                    )
    except TimeoutError as error:
        detail = f"expected the whole body within {_BODY_SECONDS:.0f} seconds"
        raise CallRefused(Reason.BAD_REQUEST, detail) from error
    except ClientDisconnect as error:
        raise CallRefused(Reason.BAD_REQUEST, "expected a whole body, found an end before it") from error
    return bytes(body)
