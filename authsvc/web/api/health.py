"""`GET /healthz` (the process lives) and `GET /readyz` (it can decide), on the listener `api`; open to everybody.

Neither says anything about people; `/readyz` names files, directories and authorities. However many ask at a
time, the directories are asked once. Of several workers, each answers for itself, and says what it sees of the others.
"""

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from authsvc.operations.service import Readiness, Service
from authsvc.operations.shared_figures import SharedFigures

__all__ = ["router"]

router = APIRouter(tags=["health"])


class HealthDocument(BaseModel):
    """`status` is `ok`."""

    status: str


class ReadyDocument(BaseModel):
    """Whether decisions can be made. `problems` make it not ready; `warnings` will, if nobody looks."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    policy_version: str
    problems: list[str]
    warnings: list[str]


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> HealthDocument:
    """Answer as long as the event loop turns."""
    return HealthDocument(status="ok")


@router.get("/readyz", summary="Can it decide?", responses={503: {"model": ReadyDocument}})
async def readyz(request: Request, response: Response) -> ReadyDocument:
    """Answer 200 when the store, the trust material and the audit file work; directories that are down are warnings."""
    service = request.app.state.service
    if service is None:
        response.status_code = 503
        return ReadyDocument(ready=False, policy_version="", problems=["no service is running"], warnings=[])
    assert isinstance(service, Service)
    flight = request.app.state.readiness
    if flight is None or flight.done():
        flight = asyncio.ensure_future(asyncio.to_thread(service.readiness))  # it may take two seconds
        request.app.state.readiness = flight
    state = await asyncio.shield(flight)
    assert isinstance(state, Readiness)
    figures = request.app.state.figures
    assert figures is None or isinstance(figures, SharedFigures)
    response.status_code = 200 if state.ready else 503
    return ReadyDocument(
        ready=state.ready,
        policy_version=service.version,
        problems=list(state.problems),
        warnings=[*state.warnings, *([] if figures is None else figures.warnings())],
    )
