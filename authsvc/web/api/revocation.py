"""`GET /v1/revocation`: where revocation lists come from, and how each source stands; level Reader in `directory`.

Read only, and nobody is called for it: what is told is what is known already.

INVARIANT: an answer is recorded before it is sent; one that cannot be recorded is 503 `store_unavailable`.
"""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from authsvc.operations.revocation_states import SourceStatus
from authsvc.web.api.callers import CallerOf, ServiceOf, admit_reader, admitted_by
from authsvc.web.api.recording import record_answer

__all__ = ["router"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}

router = APIRouter(prefix="/v1", tags=["trust"], route_class=admitted_by(admit_reader))


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class RevocationSourceDocument(_Document):
    """A source of revocation lists. Everything about its list is null where there is none.

    `state`: `current`; `grace`: past its next update, and counts still because of `grace`; `expired`; `future`: its
    dates begin later; `missing`: there is no list. `problem` is what is wrong now, null for nothing. `age_seconds`:
    since `this_update`. `last_attempt`, `last_success`, `successes`, `failures`: of fetched sources.
    """

    source: str
    kind: Literal["file", "directory", "url", "distribution_point"]
    state: Literal["current", "grace", "expired", "future", "missing"]
    issuer: str | None
    number: str | None
    this_update: datetime | None
    next_update: datetime | None
    age_seconds: int | None
    entries: int | None
    last_attempt: datetime | None
    last_success: datetime | None
    successes: int
    failures: int
    problem: str | None


class RevocationSourcesDocument(_Document):
    """Every source: files first, then URLs as configured, then what certificates name."""

    sources: list[RevocationSourceDocument]
    policy_version: str


@router.get("/revocation", summary="How fresh are the revocation lists?", responses=_PROBLEMS)
async def list_sources(request: Request, caller: CallerOf, service: ServiceOf) -> RevocationSourcesDocument:
    """Return every source of revocation lists, with its list and what is wrong with it."""
    now = service.now()
    statuses = service.revocation_sources(now)
    record_answer(request, service, caller, "revocation sources listed for")
    return RevocationSourcesDocument(
        sources=[_write(each, now) for each in statuses], policy_version=service.version
    )


def _write(status: SourceStatus, now: datetime) -> RevocationSourceDocument:
    age = None if status.this_update is None else int((now - status.this_update).total_seconds())
    return RevocationSourceDocument(
        source=status.source,
        kind=status.kind.value,
        state=status.status.value,
        issuer=status.issuer,
        # As text: a number may have twenty octets, which most readers of JSON would round.
        number=None if status.number is None else str(status.number),
        this_update=status.this_update,
        next_update=status.next_update,
        age_seconds=age,
        entries=status.entries,
        last_attempt=status.attempted,
        last_success=status.succeeded,
        successes=status.successes,
        failures=status.failures,
        problem=status.problem or None,
    )
