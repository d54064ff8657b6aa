"""Verdicts as HTTP: the status table, identity headers, problem documents, the page for a person.

Contract section 1. Here: everything an answer of the sub-request route consists of, made once per verdict.
Not here: how a value is encoded (`header_values.py`), what is decided, and the two headers that differ from
request to request (`X-Request-Id`, `Cache-Control`), which `Answer.message` adds.

Invariants:

* The success response is built in one place, `_allow`, from an `Allowed`, which cannot exist without its
  subject (threat T14). No other answer has status 200 or carries an identity header.
* Every allow carries every identity header exactly once, empty where it has no value: a header left out would
  let a client's forged one through (threat T13).
* A value is sent whole or empty, never cut.
"""

import html
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, assert_never

from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.reason import HIDDEN_REASON, Reason, outward_reason
from authsvc.web.header_values import encode_list, encode_url, encode_value
from directory_assistance.dn import DistinguishedName, render_ldap, render_name
from directory_assistance.entry import Identity

__all__ = [
    "CHALLENGE",
    "DEFAULT_HEADER_BUDGET",
    "DEFAULT_IDENTITY_HEADERS",
    "NO_STORE",
    "REQUEST_ID_LENGTH",
    "RETRY_AFTER_SECONDS",
    "TITLES",
    "Answer",
    "IdentityHeader",
    "IdentityHeaders",
    "Responses",
    "StartMessage",
    "accepts_html",
    "cache_control",
]

Headers = tuple[tuple[bytes, bytes], ...]

DEFAULT_HEADER_BUDGET: Final = 3_500
"""Bytes of all identity headers: nginx turns an answer whose headers exceed its 4 KB buffer into a 500."""

NO_STORE: Final = b"private, no-store"
"""An allow belongs to one certificate at one moment (threat T16)."""

REQUEST_ID_LENGTH: Final = 24
"""Characters of a request id of ours: fixed, so that the length of a body is known before its id is."""

RETRY_AFTER_SECONDS: Final = b"2"
"""When to ask again after *undecided*: breakers and reconnects of directories work in seconds."""

CHALLENGE: Final = b'ClientCertificate realm="authsvc"'
"""RFC 9110 section 11.6.1 wants a challenge with every 401; no scheme is registered for TLS client
certificates, so this is the word of the drafts about them. Browsers show the page for a scheme that they do
not know."""

_REMEMBERED_ANSWERS: Final = 4_096
"""Answers kept ready, about 3 KB each: the people who are at work at one time."""


class IdentityHeader(StrEnum):
    """What identity headers say; the value is the default name."""

    USER = "Remote-User"
    DN = "Remote-Dn"
    NAME = "Remote-Name"
    EMAIL = "Remote-Email"
    GROUPS = "Remote-Groups"
    GROUPS_OMITTED = "Remote-Groups-Omitted"
    DOMAIN = "Remote-Domain"
    DATABASE = "Remote-Database"
    ACCESS = "Remote-Access"
    PRIVILEGES = "Remote-Privileges"
    ROLES = "Remote-Roles"
    AUTH_METHOD = "Remote-Auth-Method"
    CERTIFICATE_SHA256 = "Remote-Certificate-Sha256"


_TOKEN: Final = re.compile(r"[A-Za-z0-9-]+\Z")
"""Header names that no program on the way folds into another: letters, digits and `-`."""

_OWN_HEADERS: Final = frozenset(
    {"auth-reason", "cache-control", "connection", "content-length", "content-type", "date", "location"}
    | {"retry-after", "transfer-encoding", "vary", "www-authenticate", "x-request-id"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHeaders:
    """The names of the identity headers as sent: lower case, each its own, all of them. Made by `of`."""

    names: Mapping[IdentityHeader, bytes] = field(repr=False)

    @classmethod
    def of(cls, renamed: Mapping[str, str] | None = None) -> "IdentityHeaders":
        """Return the default names with some of them replaced.

        Args:
            renamed: new name by default name, `{"Remote-User": "X-Auth-User"}`.

        Raises:
            ValueError: there is no such header, a new name is not letters, digits and `-`, is a name that
                this service uses otherwise, or stands twice.

        """
        names = {header: header.value for header in IdentityHeader}
        for old, new in (renamed or {}).items():
            if old not in names.values() and old not in set(IdentityHeader):
                raise ValueError(
                    f"expected an identity header ({', '.join(IdentityHeader)}), found `{old[:200]}`"
                )
            if not _TOKEN.match(new) or new.lower() in _OWN_HEADERS:
                raise ValueError(f"expected a header name that is free, for `{old}`, found `{new[:200]}`")
            names[IdentityHeader(old)] = new
        lower = {header: name.lower().encode("ascii") for header, name in names.items()}
        if len(set(lower.values())) != len(lower):
            raise ValueError("expected a name of its own for each identity header")
        return cls(names=MappingProxyType(lower))


DEFAULT_IDENTITY_HEADERS: Final = IdentityHeaders.of()
"""The names that forward-auth applications already read."""

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "certificate_missing": "A client certificate is needed",
        "certificate_unreadable": "The client certificate could not be read",
        "certificate_untrusted": "The client certificate is not from an authority that is trusted here",
        "certificate_weak": "The key or signature of the client certificate is too weak",
        "certificate_usage": "The client certificate is not for client authentication",
        "certificate_policy": "The client certificate does not fit the certificate policy",
        "certificate_not_yet_valid": "The client certificate is not valid yet",
        "certificate_expired": "The client certificate has expired",
        "certificate_revoked": "The client certificate has been revoked",
        "revocation_unknown": "It is not known whether the client certificate has been revoked",
        "no_usable_name": "The client certificate has no name that can be used",
        "ambiguous": "The client certificate belongs to several entries",
        "entry_disabled": "The entry is disabled",
        "deny_group": "The entry is in a group that is denied access",
        "certificate_differs": "The entry holds another certificate",
        "domain_not_trusted_for_name": "The directory is not trusted for this name",
        "no_entry": "No directory has an entry for this certificate",
        HIDDEN_REASON: "The client certificate does not identify anybody here",
        "acl_level": "Your access level is too low",
        "acl_privilege": "You lack a privilege",
        "acl_role": "You lack a role",
        "database_unknown": "There is no such database",
        "tls_required": "This is served over TLS only",
        "untrusted_front_end": "The caller is not a front end of this service",
        "directory_unavailable": "A directory does not answer",
        "revocation_unavailable": "Revocation data is out of date",
        "store_unavailable": "The store does not answer",
        "overloaded": "Too many decisions are under way",
        "expansion_limit": "A limit was exceeded",
        "allowed": "Allowed",
        "allowed_anonymous": "Allowed",
        "allowed_identity": "Allowed",
        "allowed_full_access": "Allowed",
        "bad_request": "The request is not one that this service answers",
    }
)
"""What a person reads, by outward reason code."""


class StartMessage(NamedTuple):
    """What goes out for one request: status, all headers, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to the sub-request but for what differs between requests: it may serve many.

    `reason` is the true reason, for the audit record; what leaves is in `headers` and the body. The request
    id stands between `body_before` and `body_after`; both are empty for an empty body.
    """

    status: int
    reason: Reason
    headers: Headers
    body_before: bytes = b""
    body_after: bytes = b""

    def message(self, request_id: bytes, cache: bytes, extra: Headers = ()) -> StartMessage:
        """Return the whole answer.

        Args:
            request_id: ours, `REQUEST_ID_LENGTH` characters.
            cache: the value of `Cache-Control`.
            extra: more headers.

        """
        assert len(request_id) == REQUEST_ID_LENGTH
        body = self.body_before + request_id + self.body_after if self.body_before else b""
        headers = [*self.headers, (b"x-request-id", request_id), (b"cache-control", cache), *extra]
        return StartMessage(self.status, headers, body)


class Responses:
    """Makes answers, and keeps those of recent verdicts ready.

    Args:
        identity_headers: under which names.
        header_budget: bytes of all identity headers together.
        expose_reasons: whether callers see the six reasons that tell which people exist (threat T61).

    Used by one event loop: no lock.
    """

    def __init__(
        self,
        *,
        identity_headers: IdentityHeaders = DEFAULT_IDENTITY_HEADERS,
        header_budget: int = DEFAULT_HEADER_BUDGET,
        expose_reasons: bool = False,
    ) -> None:
        self._identity_headers = identity_headers
        self._header_budget = header_budget
        self._expose_reasons = expose_reasons
        # The verdict itself is kept beside its answer, so that its id() belongs to no other object meanwhile.
        self._ready: OrderedDict[tuple[int, bool], tuple[Verdict, Answer]] = OrderedDict()

    def answer(self, verdict: Verdict, *, for_person: bool = False, https_url: str = "") -> Answer:
        """Return the answer to a verdict.

        Args:
            verdict: the verdict; the same object gives the same answer without work.
            for_person: the body of a refusal is a page rather than a problem document.
            https_url: where the original request would be served, for `tls_required`.

        """
        if https_url and verdict.reason is Reason.TLS_REQUIRED:
            return self.refuse(verdict.reason, for_person=for_person, https_url=https_url)
        key = (id(verdict), for_person)
        ready = self._ready.get(key)
        if ready is not None:
            return ready[1]
        answer = self._build(verdict, for_person=for_person)
        self._ready[key] = (verdict, answer)
        if len(self._ready) > _REMEMBERED_ANSWERS:
            self._ready.popitem(last=False)
        return answer

    def refuse(
        self,
        reason: Reason,
        *,
        for_person: bool = False,
        detail: str = "",
        https_url: str = "",
        status: int | None = None,
    ) -> Answer:
        """Return the answer to a request that is not allowed.

        Args:
            reason: the true reason; what leaves is the outward one.
            for_person: a page rather than a problem document.
            detail: what the caller did wrong, for `bad_request` alone; never what a directory or ACL holds.
            https_url: where to go instead.
            status: other than the reason's, for a path of ours that does not exist.

        """
        number = reason.status if status is None else status
        assert number != 200
        code = outward_reason(reason, expose=self._expose_reasons)
        headers: list[tuple[bytes, bytes]] = [(b"auth-reason", code.encode("ascii"))]
        if number == 401:
            headers.append((b"www-authenticate", CHALLENGE))
        if number == 503:
            headers.append((b"retry-after", RETRY_AFTER_SECONDS))
        if https_url:
            headers.append((b"location", encode_url(https_url)))
        before, after = _page(code, https_url) if for_person else _problem(code, number, detail, https_url)
        kind = b"text/html; charset=utf-8" if for_person else b"application/problem+json"
        if for_person:
            headers.append((b"content-security-policy", b"default-src 'none'"))
        headers.append((b"x-content-type-options", b"nosniff"))
        headers.append((b"content-type", kind))
        headers.append((b"content-length", b"%d" % (len(before) + REQUEST_ID_LENGTH + len(after))))
        return Answer(
            status=number, reason=reason, headers=tuple(headers), body_before=before, body_after=after
        )

    def _build(self, verdict: Verdict, *, for_person: bool) -> Answer:
        match verdict:
            case Allowed():
                return self._allow(verdict, for_person=for_person)
            case Denied(reason=reason) | Undecided(reason=reason):
                return self.refuse(reason, for_person=for_person)
        assert_never(verdict)

    def _allow(self, allowed: Allowed, *, for_person: bool) -> Answer:
        """Build the success response: the only place.

        Falls to 503 `expansion_limit` where the identity headers exceed the budget even without the groups: a
        web server would turn such an answer into an error of its own, and cutting one would make a different
        identity.
        """
        values = _identity_values(allowed)
        if self._size(values) > self._header_budget:
            values[IdentityHeader.GROUPS_OMITTED] = b"%d" % len(_group_names(allowed.identity))
            values[IdentityHeader.GROUPS] = b""
        if self._size(values) > self._header_budget:
            return self.refuse(Reason.EXPANSION_LIMIT, for_person=for_person)
        identity = tuple((name, values[header]) for header, name in self._identity_headers.names.items())
        reason = allowed.reason.value.encode("ascii")
        return Answer(
            status=200,
            reason=allowed.reason,
            headers=((b"auth-reason", reason), *identity, (b"content-length", b"0")),
        )

    def _size(self, values: Mapping[IdentityHeader, bytes]) -> int:
        """Return the bytes of the identity headers on the wire, with `: ` and the line end of each."""
        return sum(
            len(name) + len(values[header]) + 4 for header, name in self._identity_headers.names.items()
        )


def cache_control(max_age_seconds: int | None, seconds_valid: float) -> bytes:
    """Return the value of `Cache-Control`.

    Args:
        max_age_seconds: `response_cache.max_age` of the front end, None where it is not set.
        seconds_valid: how long the verdict may still be used; zero or less for an answer that no verdict
        bounds.

    """
    if max_age_seconds is None or seconds_valid < 1:
        return NO_STORE
    return b"private, max-age=%d" % min(max_age_seconds, int(seconds_valid))


def accepts_html(accept: bytes) -> bool:
    """Tell whether a value of `Accept` names `text/html`, as a browser's does; `*/*` does not."""
    for media_range in accept.lower().split(b","):
        kind, *parameters = (part.strip(b" \t") for part in media_range.split(b";"))
        if kind == b"text/html":
            return not any(_NO_QUALITY.match(parameter) for parameter in parameters)
    return False


_NO_QUALITY: Final = re.compile(rb"q=0(?:\.0*)?\Z")
_ANONYMOUS: Final = b"Anonymous"


def _identity_values(allowed: Allowed) -> dict[IdentityHeader, bytes]:
    """Return a value for every identity header: first what is true without an identity, then what it adds."""
    values = dict.fromkeys(IdentityHeader, b"")
    values[IdentityHeader.USER] = _ANONYMOUS
    values[IdentityHeader.AUTH_METHOD] = b"anonymous"
    if allowed.access is not None:
        values[IdentityHeader.DATABASE] = encode_value(allowed.access.database)
        values[IdentityHeader.ACCESS] = encode_value(allowed.access.level.label)
        values[IdentityHeader.PRIVILEGES] = encode_list(sorted(allowed.access.privileges))
        values[IdentityHeader.ROLES] = encode_list(sorted(allowed.access.roles))
    identity = allowed.identity
    if identity is None:
        return values
    assert allowed.certificate is not None
    name = identity.name
    values[IdentityHeader.USER] = encode_value(render_name(name))
    values[IdentityHeader.DN] = (
        encode_value(render_ldap(name)) if isinstance(name, DistinguishedName) else b""
    )
    values[IdentityHeader.NAME] = encode_value(identity.display_name)
    values[IdentityHeader.EMAIL] = encode_value(identity.mail)
    values[IdentityHeader.GROUPS] = encode_list(_group_names(identity))
    values[IdentityHeader.DOMAIN] = encode_value(identity.domain)
    values[IdentityHeader.AUTH_METHOD] = b"client-certificate"
    values[IdentityHeader.CERTIFICATE_SHA256] = allowed.certificate.names.sha256.hex().encode("ascii")
    return values


def _group_names(identity: Identity | None) -> list[str]:
    """Return the groups that leave: those that count for ACLs, under qualified names, sorted, each once."""
    if identity is None:
        return []
    return sorted({group.qualified_name for group in identity.groups if group.type.counts_for_acls})


def _problem(code: str, status: int, detail: str, https_url: str) -> tuple[bytes, bytes]:
    """Return a problem document (RFC 9457) before and after the request id."""
    document: dict[str, str | int] = {
        "type": f"urn:authsvc:reason:{code}",
        "title": TITLES[code],
        "status": status,
        "reason": code,
    }
    if detail:
        document["detail"] = detail
    if https_url:
        document["https_url"] = https_url
    text = json.dumps(document, ensure_ascii=True)
    return text[:-1].encode("ascii") + b', "request_id": "', b'"}'


def _page(code: str, https_url: str) -> tuple[bytes, bytes]:
    """Return a plain page before and after the request id."""
    title = html.escape(TITLES[code])
    link = ""
    if https_url.startswith("https://"):
        url = html.escape(https_url, quote=True)
        link = f'<p><a href="{url}">{url}</a></p>\n'
    before = (
        '<!doctype html>\n<html lang="en">\n'
        f'<head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body>\n<h1>{title}</h1>\n{link}"
        f"<p>Reason: <code>{html.escape(code)}</code></p>\n<p>Request: <code>"
    )
    return before.encode("utf-8", "replace"), b"</code></p>\n</body>\n</html>\n"
