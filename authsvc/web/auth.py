"""The sub-request endpoint `/auth`, the hot path: a plain ASGI callable (contract section 1).

Here: the order in which a sub-request is looked at, and its answer. Not here: any decision (`decision/`), any
HTTP form (`responses.py`), any dialect (`presented/`).

    1 the listener names the front end          nothing in the request ever does (threat T81)
    2 admission                                 else 403 untrusted_front_end
    3 the path is one of ours                   else 404
    4 the head is whole                         else 401 certificate_unreadable
    5 the original request                      else 400 bad_request
    6 what is asked for                         else 400 bad_request
    7 what is presented
    8 the decision: from the cache at once, else awaited
    9 the audit record, then the answer         an allow that cannot be recorded is 503 store_unavailable

Invariants:

* Nobody's body is read, and no header but those that the front end's configuration names, `Accept` and, for
  the record, `X-Request-Id`.
* Whatever goes wrong in here is a 500 without identity headers (threat T14).
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

from authsvc.access.databases import RefusedTarget, RouteTable, Target, resolve_target
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Verdict
from authsvc.operations.audit import AuditFault, DecisionRecord
from authsvc.original_request import OriginalRequest
from authsvc.presented.admission import Caller, FrontEndAdmission, Refused, admit, read_secret_lines
from authsvc.presented.header_fields import HeaderField
from authsvc.presented.original_headers import (
    BadOriginalRequest,
    OriginalKind,
    OriginalPart,
    SubRequest,
    read_original_request,
)
from authsvc.presented.presentation import Presentation
from authsvc.presented.registry import Dialect, PresentationReader
from authsvc.reason import Reason
from authsvc.web.connection import Connection, Receive, Scope, Send, connection_of, dns_names_of, is_oversized
from authsvc.web.http_protocol import new_request_id
from authsvc.web.responses import NO_STORE, Answer, Responses, StartMessage, accepts_html, cache_control

__all__ = [
    "AuditPort",
    "AuthEndpoint",
    "AuthSettings",
    "DecisionPort",
    "FrontEnd",
    "TargetReader",
    "refuse_caller",
]

_LOG = logging.getLogger("authsvc.auth")

_PREFIX: Final = b"/auth"

_CLOSE: Final = (b"connection", b"close")
"""Ends the connection after a request that announced a body. A web server that keeps the client's
`Content-Length` on a sub-request, and sends no body, would have the next request on the same connection taken
for it: somebody else's."""

_REMEMBERED_TARGETS: Final = 4_096
"""Targets kept ready: the pages that people are on at one time."""

_LONGEST_REMEMBERED: Final = 1_024
"""Bytes of query and original path above which a target is not kept: strangers choose them."""


class DecisionPort(Protocol):
    """What decides (`operations/decider.py`)."""

    def cached(self, request: DecisionRequest) -> Verdict | None:
        """Return the verdict of an earlier equal request if it still stands; never waits."""
        ...

    async def decide(self, request: DecisionRequest) -> Verdict:
        """Decide; every fault is a verdict."""
        ...


class AuditPort(Protocol):
    """What keeps the records (`operations/audit.py`)."""

    def record(self, record: DecisionRecord) -> None:
        """Keep a record.

        Raises:
            AuditFault: it could not be kept.

        """
        ...


class TargetReader:
    """Resolves targets over one route table, and remembers recent ones."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes
        self._remembered = lru_cache(maxsize=_REMEMBERED_TARGETS)(self._resolve)

    def read(self, query: bytes, original: OriginalRequest | None, *, query_is_ours: bool) -> Target:
        """Return what a sub-request asks for (`access.databases.resolve_target`)."""
        size = len(query) + (0 if original is None else len(original.uri))
        resolve = self._remembered if size <= _LONGEST_REMEMBERED else self._resolve
        return resolve(query, original, query_is_ours)

    def _resolve(self, query: bytes, original: OriginalRequest | None, query_is_ours: bool) -> Target:  # noqa: FBT001 - positional arguments make the smaller key
        return resolve_target(
            query=query, original=original, query_is_ours=query_is_ours, routes=self._routes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEnd:
    """One front end as this endpoint needs it.

    `admission` is None for dialect `tls` alone, where the caller is the client itself and proves what it says
    in the handshake. `original_kind` is then `none`: a client's own headers say nothing about another
    request. `max_age_seconds`: `response_cache.max_age`, None where it is not set.
    """

    policy: FrontEndPolicy
    reader: PresentationReader
    admission: FrontEndAdmission | None
    original_kind: OriginalKind = OriginalKind.NONE
    original_parts: frozenset[OriginalPart] = frozenset()
    max_age_seconds: int | None = None

    def __post_init__(self) -> None:
        """Refuse a front end that admits anybody, or that believes an end client's word about the request."""
        direct = self.reader.dialect is Dialect.TLS
        assert direct or self.admission is not None
        assert not direct or self.original_kind is OriginalKind.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """What changes with a reload, as one value. `front_ends` by the name of their listener."""

    front_ends: Mapping[str, FrontEnd]
    targets: TargetReader
    responses: Responses
    policy_version: str = ""


@dataclass(slots=True, kw_only=True)
class _Question:
    """One request, and what is known of it so far; for the record."""

    request_id: bytes
    time: datetime
    connection: Connection
    headers: Sequence[HeaderField]
    front_end: FrontEnd
    settings: AuthSettings
    presentation: Presentation | None = None
    target: Target | None = None
    original: OriginalRequest | None = None
    verdict: Verdict | None = None

    def first(self, wanted: bytes) -> bytes:
        """Return the value of the first field line of a name, empty for none."""
        return next((value for name, value in self.headers if name == wanted), b"")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuthEndpoint:
    """Answers sub-requests.

    Args:
        settings: front ends, routes and responses; `settings` may be replaced at any time, as a whole.
        decider: what decides.
        audit: what keeps records, None for nothing (tests, `demo`).
        counts: where answers are counted, by front end and true reason.
        now: the wall clock (UTC), for records and the age of cached answers.

    Attributes:
        settings, counts: see above.

    """

    def __init__(
        self,
        settings: AuthSettings,
        decider: DecisionPort,
        audit: AuditPort | None,
        *,
        counts: Counter[tuple[str, Reason]] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.settings = settings
        self.counts = Counter[tuple[str, Reason]]() if counts is None else counts
        self._decider = decider
        self._audit = audit
        self._now = now

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        request_id = new_request_id()
        try:
            message = await self._answer(scope, request_id)
        except Exception:  # noqa: BLE001 - the outermost handler: a bug is a 500, never an allow
            _LOG.exception("bug", extra={"request_id": request_id.decode("ascii")})
            message = _internal_error(request_id)
        headers = message.headers
        if _announces_body(scope["headers"]):
            headers = [*headers, _CLOSE]
        await send({"type": "http.response.start", "status": message.status, "headers": headers})
        await send({"type": "http.response.body", "body": message.body})

    async def _answer(self, scope: Scope, request_id: bytes) -> StartMessage:
        """Take the steps of the module's docstring; here 1 to 4."""
        settings = self.settings  # one snapshot per request
        connection = connection_of(scope)
        front_end = settings.front_ends.get(connection.listener)  # step 1
        if front_end is None:
            return _not_found(settings, request_id)
        question = _Question(
            request_id=request_id,
            time=self._now(),
            connection=connection,
            headers=scope["headers"],
            front_end=front_end,
            settings=settings,
        )
        refused = refuse_caller(front_end, connection, question.headers)  # step 2
        if refused is not None:
            return self._refuse(question, Reason.UNTRUSTED_FRONT_END, refused.problem)
        rest = _path_below_prefix(scope["raw_path"])
        if rest is None or (rest and front_end.original_kind is not OriginalKind.APPENDED):  # step 3
            return _not_found(settings, request_id)
        if is_oversized(scope):  # step 4
            return self._refuse(
                question, Reason.CERTIFICATE_UNREADABLE, "the request head exceeds its limits"
            )
        return await self._decide(question, scope, rest)

    async def _decide(self, question: _Question, scope: Scope, rest: bytes) -> StartMessage:
        """Take the steps 5 to 9."""
        settings, front_end = question.settings, question.front_end
        query: bytes = scope["query_string"]
        original = _read_original(
            question, SubRequest(method=scope["method"], appended_path=rest, query=query)
        )
        if isinstance(original, BadOriginalRequest):  # step 5
            return self._refuse(question, Reason.BAD_REQUEST, original.problem)
        question.original = original
        query_is_ours = front_end.original_kind is not OriginalKind.APPENDED
        target = settings.targets.read(query, original, query_is_ours=query_is_ours)
        question.target = target
        if isinstance(target, RefusedTarget) and target.reason is Reason.BAD_REQUEST:  # step 6
            return self._refuse(question, Reason.BAD_REQUEST, target.problem)
        certificates = question.connection.certificates
        question.presentation = front_end.reader.read(question.headers, certificates)  # step 7
        request = DecisionRequest(
            presentation=question.presentation,
            front_end=front_end.policy,
            target=target,
            over_tls=_over_tls(original),
        )
        question.verdict = self._decider.cached(request)  # step 8
        if question.verdict is None:
            question.verdict = await self._decider.decide(request)
        return self._answer_verdict(question, question.verdict)

    def _answer_verdict(self, question: _Question, verdict: Verdict) -> StartMessage:
        """Step 9 for a verdict."""
        allowed = isinstance(verdict, Allowed)
        answer = question.settings.responses.answer(
            verdict,
            for_person=not allowed and _for_person(question),
            https_url="" if allowed else _https_url(question.original),
        )
        answer = self._record(question, answer, detail="")
        max_age = question.front_end.max_age_seconds
        if (
            max_age is None
            or answer.reason is not verdict.reason
            or not isinstance(verdict, Allowed | Denied)
        ):
            return answer.message(question.request_id, NO_STORE)
        seconds = (verdict.valid_until - question.time).total_seconds()
        # A cache that keys by more than the URL must key by what was presented (RFC 9440 section 2.4).
        vary = b", ".join((b"Accept", *question.front_end.reader.header_names))
        return answer.message(question.request_id, cache_control(max_age, seconds), ((b"vary", vary),))

    def _refuse(self, question: _Question, reason: Reason, detail: str) -> StartMessage:
        """Step 9 for a refusal before there is a verdict; only `bad_request` tells the caller what it did."""
        answer = question.settings.responses.refuse(
            reason,
            for_person=_for_person(question),
            detail=detail if reason is Reason.BAD_REQUEST else "",
        )
        return self._record(question, answer, detail=detail).message(question.request_id, NO_STORE)

    def _record(self, question: _Question, answer: Answer, *, detail: str) -> Answer:
        """Count and record an answer before it is sent; return it, or what is sent instead."""
        name = question.front_end.policy.name
        if self._audit is not None:
            try:
                self._audit.record(_record_of(question, answer, detail))
            except AuditFault as fault:
                _LOG.error("audit_failed", extra={"problem": str(fault)})
                if answer.status == 200:
                    answer = question.settings.responses.refuse(
                        Reason.STORE_UNAVAILABLE, for_person=_for_person(question)
                    )
        self.counts[name, answer.reason] += 1
        return answer


def _announces_body(headers: Sequence[HeaderField]) -> bool:
    """Whether a body is to come, or is said to come, behind the head."""
    return any(
        (name == b"content-length" and value != b"0") or name == b"transfer-encoding"
        for name, value in headers
    )


def refuse_caller(
    front_end: FrontEnd, connection: Connection, headers: Sequence[HeaderField]
) -> Refused | None:
    """Step 2: admission by socket, secret and certificate."""
    admission = front_end.admission
    if admission is None:
        return None
    certificate = None if connection.certificates is None else connection.certificates.certificate
    names = () if admission.client_name is None or certificate is None else dns_names_of(certificate)
    caller = Caller(
        unix_socket=connection.unix_socket,
        address=connection.address,
        secret_lines=() if admission.secret is None else read_secret_lines(headers),
        dns_names=names,
    )
    outcome = admit(admission, caller)
    return outcome if isinstance(outcome, Refused) else None


def _path_below_prefix(raw_path: bytes) -> bytes | None:
    """Return what follows `/auth`: empty, or a path that begins with `/`; None for another path."""
    rest = raw_path.removeprefix(_PREFIX)
    if not raw_path.startswith(_PREFIX) or (rest and not rest.startswith(b"/")):
        return None
    return rest


def _read_original(
    question: _Question, sub_request: SubRequest
) -> OriginalRequest | BadOriginalRequest | None:
    """Step 5. With dialect `tls` the request is the client's own: its method counts, its path is ours."""
    front_end = question.front_end
    if front_end.reader.dialect is Dialect.TLS:
        return OriginalRequest(method=sub_request.method, uri="", scheme="https")
    return read_original_request(
        front_end.original_kind, front_end.original_parts, question.headers, sub_request
    )


def _over_tls(original: OriginalRequest | None) -> bool | None:
    """Whether the original request came over TLS, None where nobody says."""
    if original is None or original.scheme is None:
        return None
    return original.scheme == "https"


def _https_url(original: OriginalRequest | None) -> str:
    """Return where the original request would be served over TLS, empty where host or path is not known."""
    if original is None or original.host is None or not original.uri.startswith("/"):
        return ""
    name, bracket, _port = original.host.rpartition("]")
    host = (
        f"{name}]" if bracket else original.host.partition(":")[0]
    )  # the port of plain HTTP is not that of TLS
    return f"https://{host}{original.uri}"


def _for_person(question: _Question) -> bool:
    return accepts_html(question.first(b"accept"))


def _record_of(question: _Question, answer: Answer, detail: str) -> DecisionRecord:
    return DecisionRecord(
        time=question.time,
        request_id=question.request_id.decode("ascii"),
        caller_request_id=question.first(b"x-request-id").decode("latin-1"),
        front_end=question.front_end.policy.name,
        peer=question.connection.peer,
        status=answer.status,
        reason=answer.reason,
        detail=detail,
        presentation=question.presentation,
        target=question.target,
        original=question.original,
        verdict=question.verdict,
        policy_version=question.settings.policy_version,
    )


def _not_found(settings: AuthSettings, request_id: bytes) -> StartMessage:
    answer = settings.responses.refuse(Reason.BAD_REQUEST, detail="there is nothing at this path", status=404)
    return answer.message(request_id, NO_STORE)


def _internal_error(request_id: bytes) -> StartMessage:
    """Return the answer to a bug: no reason code, no identity, nothing of what happened."""
    body = (
        b'{"type": "about:blank", "title": "Internal Server Error", "status": 500, "request_id": "%s"}'
        % request_id
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id),
        (b"cache-control", NO_STORE),
    ]
    return StartMessage(500, headers, body)
