"""`POST /v1/authenticate`, `/v1/authorize`, `/v1/explain`: the decision, asked by JSON.

The status of authenticate and authorize is the reason's, as for a sub-request: a 2xx means allowed, so that a
caller who looks at the status alone is never wrong. Explain answers 200 whatever the verdict, because the
explanation is what was asked for.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from authsvc.access.databases import IdentityTarget, Target, target_of_words
from authsvc.decision.advice import advise
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Allowed
from authsvc.operations.audit import DecisionRecord
from authsvc.presented.body import read_body
from authsvc.reason import Reason
from authsvc.web.api.callers import (
    Caller,
    CallRefused,
    ServiceOf,
    admit_auditor,
    admit_decision_caller,
    request_id_of,
)
from authsvc.web.api.documents import (
    AuthenticateBody,
    AuthorizeBody,
    ExplainBody,
    ProblemDocument,
    RequirementDocument,
    VerdictDocument,
    write_verdict,
)
from authsvc.web.connection import connection_of

__all__ = ["router"]

_PROBLEMS: dict[int | str, dict[str, object]] = {
    400: {"model": ProblemDocument, "description": "the caller's mistake"},
    401: {"model": VerdictDocument, "description": "no identity; or a problem document: the caller has none"},
    403: {
        "model": VerdictDocument,
        "description": "access refused; or a problem document: the caller may not ask",
    },
    503: {"model": VerdictDocument, "description": "undecided"},
}

router = APIRouter(prefix="/v1", tags=["decisions"])

DecisionCaller = Annotated[Caller, Depends(admit_decision_caller)]
Auditor = Annotated[Caller, Depends(admit_auditor)]


@router.post("/authenticate", summary="Who is it?", responses=_PROBLEMS)
async def authenticate(
    body: AuthenticateBody, request: Request, response: Response, caller: DecisionCaller, service: ServiceOf
) -> VerdictDocument:
    """Return the identity that a certificate has."""
    question = DecisionRequest(
        presentation=read_body(body.certificate, body.chain),
        front_end=caller.front_end,
        target=IdentityTarget(),
    )
    return await _answer(question, request, response, caller, service)


@router.post("/authorize", summary="May they do this?", responses=_PROBLEMS)
async def authorize(
    body: AuthorizeBody, request: Request, response: Response, caller: DecisionCaller, service: ServiceOf
) -> VerdictDocument:
    """Return the identity that a certificate has, and its access to a database, held against a requirement."""
    question = DecisionRequest(
        presentation=read_body(body.certificate, body.chain),
        front_end=caller.front_end,
        target=_target(body.database, body.requirement),
        over_tls=body.tls,
    )
    return await _answer(question, request, response, caller, service)


@router.post("/explain", summary="Why?", responses={400: _PROBLEMS[400]})
async def explain(
    body: ExplainBody, request: Request, response: Response, caller: Auditor, service: ServiceOf
) -> VerdictDocument:
    """Return a verdict with its trace, decided afresh, and what would change it."""
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


def _target(database: str, requirement: RequirementDocument) -> Target:
    return target_of_words(
        database=database, level=requirement.level, privileges=requirement.privileges, roles=requirement.roles
    )


async def _answer(
    question: DecisionRequest, request: Request, response: Response, caller: Caller, service: ServiceOf
) -> VerdictDocument:
    verdict = await service.decider.decide(question)
    expose = caller.administrator or service.settings.expose_reasons
    recorded = service.record_decision(
        DecisionRecord(
            time=service.now(),
            request_id=request_id_of(request),
            front_end=caller.front_end.name,
            peer=connection_of(request.scope).peer,
            status=verdict.reason.status,
            reason=verdict.reason,
            detail=f"asked by {caller.actor}",
            presentation=question.presentation,
            target=question.target,
            verdict=verdict,
        )
    )
    if not recorded and isinstance(verdict, Allowed):
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the decision could not be recorded")
    document = write_verdict(
        verdict,
        request_id=request_id_of(request),
        policy_version=service.version,
        now=service.now(),
        expose=expose,
    )
    response.status_code = verdict.reason.status
    response.headers["Auth-Reason"] = document.reason
    return document
