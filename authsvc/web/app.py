"""`create_app`: the application of the API, in one place. It builds without a configuration, a network or a database.

Here: what all answers of the API have in common. Not here: the sub-request endpoint `/auth` (`auth.py`, a raw
ASGI callable: it is the hot path, and a routed FastAPI endpoint costs three times as much), and which listener
reaches what (`serving.py`).

Invariants:

* Every answer has a request id of ours and is kept out of caches.
* Everything that goes wrong is a problem document (RFC 9457); a bug is a 500 that says nothing (threat T14).
* Of a caller who has not been admitted, no answer tells who exists (threat T61).
"""

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from authsvc.operations.service import Service
from authsvc.operations.shared_figures import SharedFigures
from authsvc.reason import Reason, outward_reason
from authsvc.web.api import blocks, decisions, directories, health, metrics, revocation, trust_anchors
from authsvc.web.api.callers import CallRefused, request_id_of
from authsvc.web.api.documents import ProblemDocument
from authsvc.web.api.sub_request import SUB_REQUEST_PATHS
from authsvc.web.auth import FrontEnd
from authsvc.web.connection import Message, Receive, Scope, Send
from authsvc.web.http_protocol import new_request_id
from authsvc.web.responses import CHALLENGE, NO_STORE, RETRY_AFTER_SECONDS, TITLES
from directory_assistance.errors import shorten

__all__ = ["create_app"]

_LOG = logging.getLogger("authsvc.api")

_VERSION = "0.1.0"

_DESCRIPTION = (
    "Turns a TLS client certificate into a decision. `/auth` is for web servers (ANY method; see the README's tables); "
    "what stands here is for administrators and applications."
)


def create_app(
    service: Service | None = None,
    front_ends: Mapping[str, FrontEnd] = MappingProxyType({}),
    *,
    figures: SharedFigures | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        service: the running service; None builds an application that knows its routes and answers 503 to
            calls, which is what the OpenAPI document is generated from.
        front_ends: by the name of their listener: who may call besides administrators.
        figures: of all workers, where this process is one of them.

    """
    app = FastAPI(
        title="authsvc",
        version=_VERSION,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # the pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,  # a redirect would be built of the caller's own `Host`
        strict_content_type=True,  # a body without `application/json` is none: no web page can forge a call
    )
    described = app.openapi

    def describe() -> dict[str, object]:
        """Return FastAPI's document, with what it does not route: `/auth`, and problem documents."""
        document = described()
        document["paths"] = SUB_REQUEST_PATHS | document["paths"]
        document["components"]["schemas"]["ProblemDocument"] = ProblemDocument.model_json_schema()
        return document

    app.openapi = describe  # type: ignore[method-assign]  # the way FastAPI documents to extend the document
    app.state.service = service
    app.state.front_ends = front_ends
    app.state.figures = figures
    app.state.readiness = None
    app.state.directory_states = None
    app.include_router(decisions.router)
    app.include_router(decisions.explanations)
    app.include_router(directories.states)
    app.include_router(directories.verifications)
    app.include_router(trust_anchors.router)
    app.include_router(blocks.listing)
    app.include_router(blocks.changes)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(revocation.router)
    app.add_middleware(_Outermost)
    app.add_exception_handler(CallRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_such_call)
    return app


class _Outermost:
    """Gives every request its id, every answer the headers of all answers, and every bug its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan, no web sockets
        request_id = new_request_id().decode("ascii")
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_finished(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers["X-Request-Id"] = request_id
                headers["Cache-Control"] = NO_STORE.decode("ascii")
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_finished)
        except Exception:
            # The outermost handler: a bug is a 500, never an allow. What has begun is cut by the server.
            _LOG.exception("bug", extra={"request_id": request_id})
            if started:
                raise
            await _bug(request_id)(scope, receive, send_finished)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallRefused)
    service = request.app.state.service
    expose = isinstance(service, Service) and service.settings.expose_reasons
    code = outward_reason(error.reason, expose=expose)
    headers = {"Auth-Reason": code}
    if error.reason.status == 401:
        headers["WWW-Authenticate"] = CHALLENGE.decode("ascii")
    if error.reason.status == 503:
        headers["Retry-After"] = RETRY_AFTER_SECONDS.decode("ascii")
    return _problem(request, code, status=error.reason.status, detail=error.detail, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say where a body is wrong, without repeating what was sent: it may be a secret in the wrong place."""
    assert isinstance(error, RequestValidationError)
    places = sorted(
        {".".join(str(part) for part in each["loc"]) + ": " + each["msg"] for each in error.errors()}
    )
    return await _refused(request, CallRefused(Reason.BAD_REQUEST, shorten("; ".join(places))))


async def _no_such_call(request: Request, error: Exception) -> Response:
    """Answer 404 and 405, with `Allow`; and 400 for what FastAPI itself cannot read."""
    assert isinstance(error, HTTPException)
    code = Reason.BAD_REQUEST.value
    headers = {**(error.headers or {}), "Auth-Reason": code}
    detail = f"{error.detail.lower()}: `{shorten(request.url.path)}`"
    return _problem(request, code, status=error.status_code, detail=detail, headers=headers)


def _problem(
    request: Request, code: str, *, status: int, detail: str, headers: Mapping[str, str]
) -> Response:
    document = ProblemDocument(
        type=f"urn:authsvc:reason:{code}",
        title=TITLES[code],
        status=status,
        detail=detail,
        reason=code,
        request_id=request_id_of(request),
    )
    return _document(document.model_dump(), status, headers)


def _bug(request_id: str) -> Response:
    """Return the answer to a bug: no reason code, nothing of what happened."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "request_id": request_id,
    }
    return _document(document, 500, {})


def _document(document: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Response:
    # ASCII only: what a caller sent and is told about may be no text at all (unpaired surrogates).
    body = json.dumps(document, ensure_ascii=True).encode("ascii")
    return Response(body, status_code=status, headers=dict(headers), media_type="application/problem+json")
