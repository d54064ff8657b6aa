"""`POST /v1/authenticate`, `/v1/authorize`, `/v1/explain`: the decision, asked by JSON.

The status of authenticate and authorize is the reason's, as for a sub-request: a 2xx means allowed, so that a
caller who looks at the status alone is never wrong. Explain answers 200 whatever the verdict, because the
explanation is what was asked for.

INVARIANT: every answer is recorded before it is sent; an allow or an explanation that cannot be recorded is
503 `store_unavailable` (threat T75).
"""

from fastapi import APIRouter, Request, Response

from authsvc.access.databases import IdentityTarget, RefusedTarget, Target, target_of_words
from authsvc.decision.advice import advise
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Allowed, Verdict
from authsvc.operations.audit import DecisionRecord
from authsvc.operations.service import Service
from authsvc.presented.body import read_body
from authsvc.reason import Reason
from authsvc.web.api.callers import (
    Caller,
    CallerOf,
    CallRefused,
    ServiceOf,
    admit_auditor,
    admit_decision_caller,
    admitted_by,
    request_id_of,
)
from authsvc.web.api.documents import (
    AuthenticateBody,
    AuthorizeBody,
    ExplainBody,
    RequirementDocument,
    VerdictDocument,
    write_verdict,
)
from authsvc.web.connection import connection_of
from authsvc.web.responses import CHALLENGE, RETRY_AFTER_SECONDS

__all__ = ["explanations", "router"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_REFUSALS: dict[int | str, dict[str, object]] = {
    401: {
        "model": VerdictDocument,
        "content": _PROBLEM,
        "description": "no identity; or a problem document: the caller has none",
    },
    403: {
        "model": VerdictDocument,
        "content": _PROBLEM,
        "description": "access refused; or a problem document: the caller may not ask",
    },
    503: {
        "model": VerdictDocument,
        "content": _PROBLEM,
        "description": "undecided; or a problem document: nothing could be decided about the caller",
    },
}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    400: {"content": _PROBLEM, "description": "the caller's mistake"},
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}

router = APIRouter(prefix="/v1", tags=["decisions"], route_class=admitted_by(admit_decision_caller))
explanations = APIRouter(prefix="/v1", tags=["decisions"], route_class=admitted_by(admit_auditor))


@router.post("/authenticate", summary="Who is it?", responses=_REFUSALS | _PROBLEMS)
async def authenticate(
    body: AuthenticateBody, request: Request, response: Response, caller: CallerOf, service: ServiceOf
) -> VerdictDocument:
    """Return the identity that a certificate has."""
    question = DecisionRequest(
        presentation=read_body(body.certificate, body.chain),
        front_end=caller.front_end,
        target=IdentityTarget(),
    )
    return await _answer(question, request, response, caller, service)


@router.post("/authorize", summary="May they do this?", responses=_REFUSALS | _PROBLEMS)
async def authorize(
    body: AuthorizeBody, request: Request, response: Response, caller: CallerOf, service: ServiceOf
) -> VerdictDocument:
    """Return the identity that a certificate has, and its access to a database, held against a requirement."""
    question = DecisionRequest(
        presentation=read_body(body.certificate, body.chain),
        front_end=caller.front_end,
        target=_target(body.database, body.requirement),
        over_tls=body.tls,
    )
    return await _answer(question, request, response, caller, service)


@explanations.post("/explain", summary="Why?", responses=_PROBLEMS)
async def explain(
    body: ExplainBody, request: Request, response: Response, caller: CallerOf, service: ServiceOf
) -> VerdictDocument:
    """Return a verdict with its trace, decided afresh, and what would change it."""
    if body.database is None and not _is_empty(body.requirement):
        raise CallRefused(Reason.BAD_REQUEST, "expected a database beside a requirement, found none")
    policy = caller.front_end
    if body.front_end is not None:
        named = service.policies.get(body.front_end)
        if named is None:
            raise CallRefused(Reason.BAD_REQUEST, "expected the name of a configured front end")
        policy = named
    question = DecisionRequest(
        presentation=read_body(body.certificate, body.chain),
        front_end=policy,
        target=IdentityTarget() if body.database is None else _target(body.database, body.requirement),
        over_tls=body.tls,
    )
    verdict = await service.decider.explain(question)
    detail = f"explained to {caller.actor}, as for front end {policy.name}"
    if not _record(question, verdict, request=request, caller=caller, service=service, detail=detail):
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the explanation could not be recorded")
    response.headers["Auth-Reason"] = verdict.reason.value
    return write_verdict(
        verdict,
        request_id=request_id_of(request),
        policy_version=service.version,
        now=service.now(),
        expose=True,
        with_trace=True,
        advice=advise(verdict),
    )


def _is_empty(requirement: RequirementDocument) -> bool:
    return requirement.level is None and not requirement.privileges and not requirement.roles


def _target(database: str, requirement: RequirementDocument) -> Target:
    target = target_of_words(
        database=database, level=requirement.level, privileges=requirement.privileges, roles=requirement.roles
    )
    if isinstance(target, RefusedTarget) and target.reason is Reason.BAD_REQUEST:
        raise CallRefused(Reason.BAD_REQUEST, target.problem)
    return target


async def _answer(
    question: DecisionRequest, request: Request, response: Response, caller: Caller, service: Service
) -> VerdictDocument:
    verdict = await service.decider.decide(question)
    detail = f"asked by {caller.actor}"
    recorded = _record(question, verdict, request=request, caller=caller, service=service, detail=detail)
    if not recorded and isinstance(verdict, Allowed):
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the decision could not be recorded")
    document = write_verdict(
        verdict,
        request_id=request_id_of(request),
        policy_version=service.version,
        now=service.now(),
        expose=caller.administrator or service.settings.expose_reasons,
    )
    response.status_code = verdict.reason.status
    response.headers["Auth-Reason"] = document.reason
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = CHALLENGE.decode("ascii")
    if response.status_code == 503:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS.decode("ascii")
    return document


def _record(  # noqa: PLR0913 - what a record says
    question: DecisionRequest,
    verdict: Verdict,
    *,
    request: Request,
    caller: Caller,
    service: Service,
    detail: str,
) -> bool:
    return service.record_decision(
        DecisionRecord(
            time=service.now(),
            request_id=request_id_of(request),
            caller_request_id=request.headers.get("x-request-id", ""),
            front_end=caller.front_end.name,
            peer=connection_of(request.scope).peer,
            status=verdict.reason.status,
            reason=verdict.reason,
            detail=detail,
            presentation=question.presentation,
            target=question.target,
            verdict=verdict,
            policy_version=service.version,
        )
    )
