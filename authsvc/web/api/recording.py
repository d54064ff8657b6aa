"""The audit record of an answer of the API that is no decision about anybody but its caller."""

from fastapi import Request

from authsvc.operations.audit import DecisionRecord
from authsvc.operations.service import Service
from authsvc.reason import Reason
from authsvc.web.api.callers import Caller, CallRefused, request_id_of
from authsvc.web.connection import connection_of

__all__ = ["record_answer"]


def record_answer(request: Request, service: Service, caller: Caller, what: str) -> None:
    """Record an answer that is about to be sent.

    Args:
        request: the call.
        service: whose audit file it is.
        caller: who was admitted; their name ends the record's detail.
        what: what was done or told, up to the word before the caller's name.

    Raises:
        CallRefused: it could not be recorded.

    """
    recorded = service.record_decision(
        DecisionRecord(
            time=service.now(),
            request_id=request_id_of(request),
            caller_request_id=request.headers.get("x-request-id", ""),
            front_end=caller.front_end.name,
            peer=connection_of(request.scope).peer,
            status=200,
            reason=Reason.ALLOWED,
            detail=f"{what} {caller.actor}",
            policy_version=service.version,
        )
    )
    if not recorded:
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the answer could not be recorded")
