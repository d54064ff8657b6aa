"""The sub-request endpoint `/auth` as the OpenAPI document describes it; what answers is `web/auth.py`.

FastAPI does not route `/auth` (it is the hot path), so its description is written here and put into the document by
`create_app`. Only GET is described: any method is answered the same way.
"""

from authsvc.reason import HIDDEN_REASON, Reason
from authsvc.web.responses import IdentityHeader

__all__ = ["SUB_REQUEST_PATHS"]

_PARAMETERS: tuple[tuple[str, str, bool], ...] = (
    ("database", "the database; wins over the route table", False),
    ("level", "the level that is required", False),
    ("privilege", "a privilege that is required; may repeat", True),
    ("role", "a role that is required; may repeat", True),
    ("identity", "`only`: no database, who is it?", False),
)
_ANSWERS = {
    200: "allowed; every identity header exactly once, no body",
    400: "the caller's mistake",
    401: "no identity",
    403: "identity known, access refused; or the caller is no front end of ours",
    503: "undecided",
}


def _codes(status: int) -> list[str]:
    codes = [reason.value for reason in Reason if reason.status == status]
    return [*codes, HIDDEN_REASON] if status == 401 else codes


def _header(description: str) -> dict[str, object]:
    return {"description": description, "schema": {"type": "string"}}


def _answer(status: int) -> dict[str, object]:
    headers: dict[str, object] = {
        "X-Request-Id": _header("always ours"),
        "Auth-Reason": {
            "description": "why",
            "schema": {"type": "string", "enum": _codes(status)},
        },
    }
    if status == 200:
        headers |= {
            header.value: _header("percent-encoded UTF-8; empty for no value") for header in IdentityHeader
        }
        return {"description": _ANSWERS[status], "headers": headers}
    problem = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    return {
        "description": _ANSWERS[status],
        "headers": headers,
        "content": {"application/problem+json": problem, "text/html": {"schema": {"type": "string"}}},
    }


SUB_REQUEST_PATHS: dict[str, object] = {
    "/auth": {
        "get": {
            "tags": ["sub-requests"],
            "summary": "May this request go on?",
            "description": "For web servers, on front-end listeners. Any method; no body is read. An unknown or "
            "repeated parameter is `bad_request`.",
            "operationId": "auth",
            "parameters": [
                {
                    "name": name,
                    "in": "query",
                    "description": description,
                    "schema": {"type": "array", "items": {"type": "string"}}
                    if repeats
                    else {"type": "string"},
                }
                for name, description, repeats in _PARAMETERS
            ],
            "responses": {str(status): _answer(status) for status in _ANSWERS},
        }
    }
}
