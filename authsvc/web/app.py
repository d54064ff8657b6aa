"""`create_app`: the application, in one place. It builds without a configuration, a network or a database.

The sub-request endpoint `/auth` is a raw ASGI callable that answers before FastAPI routes anything: it is the
hot path, and a routed FastAPI endpoint costs three times as much. Everything else (JSON API, health) is
FastAPI.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from authsvc.operations.service import Service
from authsvc.reason import Reason
from authsvc.web.api import decisions, health
from authsvc.web.api.callers import CallRefused, request_id_of
from authsvc.web.api.documents import ProblemDocument
from authsvc.web.api.sub_request import SUB_REQUEST_PATHS
from directory_assistance.errors import shorten

__all__ = ["create_app"]

_VERSION = "0.1.0"

_DESCRIPTION = (
    "Turns a TLS client certificate into a decision. `/auth` is for web servers (ANY method; see the README's tables); "
    "what stands here is for administrators and applications."
)


def create_app(service: Service | None = None) -> FastAPI:
    """Build the application.

    Args:
        service: the running service; None builds an application that knows its routes and answers 503 to
            calls, which is what the OpenAPI document is generated from.

    """
    app = FastAPI(
        title="authsvc",
        version=_VERSION,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # the pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    described = app.openapi

    def describe() -> dict[str, object]:
        """Return FastAPI's document, with the endpoint that FastAPI does not route."""
        document = described()
        document["paths"] = SUB_REQUEST_PATHS | document["paths"]
        return document

    app.openapi = describe  # type: ignore[method-assign]  # the way FastAPI documents to extend the document
    app.state.service = service
    app.state.front_ends = {}
    app.include_router(decisions.router)
    app.include_router(health.router)
    app.middleware("http")(_finish)
    app.add_exception_handler(CallRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_found)
    return app


async def _finish(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Give every answer its request id and keep it out of caches."""
    response = await call_next(request)
    response.headers["X-Request-Id"] = request_id_of(request)
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallRefused)
    return _problem(request, error.reason, error.detail)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say where a body is wrong, without repeating what was sent: it may be a secret in the wrong place."""
    assert isinstance(error, RequestValidationError)
    places = sorted(
        {".".join(str(part) for part in each["loc"]) + ": " + each["msg"] for each in error.errors()}
    )
    return _problem(request, Reason.BAD_REQUEST, shorten("; ".join(places)))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    document = ProblemDocument(
        type="about:blank",
        title=str(error.detail),
        status=error.status_code,
        detail=str(error.detail),
        reason=Reason.BAD_REQUEST.value,
        request_id=request_id_of(request),
    )
    return JSONResponse(
        document.model_dump(), status_code=error.status_code, media_type="application/problem+json"
    )


def _problem(request: Request, reason: Reason, detail: str) -> Response:
    document = ProblemDocument(
        type="about:blank",
        title=reason.value.replace("_", " "),
        status=reason.status,
        detail=detail,
        reason=reason.value,
        request_id=request_id_of(request),
    )
    headers = {"Auth-Reason": reason.value}
    if reason.status == 401:
        headers["WWW-Authenticate"] = 'Certificate realm="authsvc"'
    if reason.status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse(
        document.model_dump(),
        status_code=reason.status,
        headers=headers,
        media_type="application/problem+json",
    )
