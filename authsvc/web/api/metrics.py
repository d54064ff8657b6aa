"""`GET /metrics`: what is counted, for Prometheus, on the listener `api`; open to everybody who can connect there.

It names domains, front ends and servers, never a person (threat T74). It asks no directory and waits for nothing. Of
several workers, whichever is asked tells the figures of all.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from authsvc.operations.metrics import CONTENT_TYPE, render_samples, samples_of
from authsvc.operations.service import Service
from authsvc.operations.shared_figures import SharedFigures

__all__ = ["router"]

router = APIRouter(tags=["health"])

_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get(
    "/metrics",
    summary="What has been counted?",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "the text format of Prometheus, version 0.0.4", "content": _TEXT},
        503: {"description": "no service is running behind this application", "content": _TEXT},
    },
)
async def metrics(request: Request) -> Response:
    """Return every metric."""
    # On the event loop, which alone counts answers: none is counted while they are written.
    service = request.app.state.service
    if service is None:
        return PlainTextResponse("", status_code=503)
    assert isinstance(service, Service)
    samples = samples_of(service.figures())
    figures = request.app.state.figures
    if figures is not None:
        assert isinstance(figures, SharedFigures)
        samples = figures.together(samples, service.version)
    return Response(render_samples(samples), headers={"Content-Type": CONTENT_TYPE})
