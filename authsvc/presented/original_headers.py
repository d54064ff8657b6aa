"""The end client's own request, read from where this front end's configuration says it stands.

Contract section 1, "Original request". Here: which fields count, and that all or none of them are there, each
once. Not here: what path and host mean (`access/databases.py`).

INVARIANT: a part that is not named in `original_headers` is never read, because a web server that does not
set a header passes its client's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from authsvc.original_request import OriginalRequest
from authsvc.presented.header_fields import HeaderField, connection_names, normal_name, strip_value
from directory_assistance.errors import shorten

__all__ = [
    "DEFAULT_PARTS",
    "BadOriginalRequest",
    "OriginalKind",
    "OriginalPart",
    "SubRequest",
    "read_original_request",
]


class OriginalKind(StrEnum):
    """Where the end client's request can be read (`original_request` of a front end)."""

    NONE = "none"
    X_ORIGINAL = "x-original"
    X_FORWARDED = "x-forwarded"
    APPENDED = "appended"


class OriginalPart(StrEnum):
    """A part of the original request that a web server may set (`original_headers` of a front end)."""

    URI = "uri"
    METHOD = "method"
    HOST = "host"
    PROTO = "proto"


DEFAULT_PARTS: Final = {
    OriginalKind.NONE: frozenset[OriginalPart](),
    OriginalKind.X_ORIGINAL: frozenset({OriginalPart.URI, OriginalPart.METHOD}),
    OriginalKind.X_FORWARDED: frozenset(OriginalPart),
    OriginalKind.APPENDED: frozenset[OriginalPart](),
}
"""The parts that are read where `original_headers` is not given."""

_APPENDED_FIELDS: Final = {OriginalPart.HOST: b"host", OriginalPart.PROTO: b"x-forwarded-proto"}
_PREFIX: Final = {OriginalKind.X_ORIGINAL: b"x-original-", OriginalKind.X_FORWARDED: b"x-forwarded-"}

_LONGEST_URI: Final = 16_384
"""Bytes of path and query: twice what nginx accepts of its clients."""

_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}\Z")
"""A token (RFC 9110 section 5.6.2); the longest registered method has 17 characters."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
"""Name or address with an optional port; a comma, a second host or user information is no host."""

_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
"""Traefik calls the scheme of a WebSocket request `ws` or `wss`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubRequest:
    """The sub-request itself: method, and the raw path and query that follow the prefix `/auth`."""

    method: str
    appended_path: bytes = b""
    query: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadOriginalRequest:
    """The web server sent some parts and not others, one twice, or something that is none (`bad_request`)."""

    problem: str


def read_original_request(
    kind: OriginalKind,
    parts: frozenset[OriginalPart],
    headers: Sequence[HeaderField],
    sub_request: SubRequest,
) -> OriginalRequest | BadOriginalRequest | None:
    """Read the end client's request.

    Args:
        kind: where this front end says it.
        parts: the parts that it sets; of kind `appended` only `host` (the sub-request's own Host, which Envoy
            keeps) and `proto` (`X-Forwarded-Proto`) are looked at, because path and method come anyway.
        headers: the field lines of the sub-request.
        sub_request: its method, and what follows the prefix.

    Returns:
        None where nothing is said: database and requirement must then come by parameter.

    """
    match kind:
        case OriginalKind.NONE:
            return None
        case OriginalKind.APPENDED:
            wanted = {part: _APPENDED_FIELDS[part] for part in parts if part in _APPENDED_FIELDS}
        case OriginalKind.X_ORIGINAL | OriginalKind.X_FORWARDED:
            wanted = {part: _PREFIX[kind] + part.value.encode("ascii") for part in parts}
        case _:
            assert_never(kind)
    values = _read_lines(wanted, headers)
    if isinstance(values, BadOriginalRequest):
        return values
    if kind is not OriginalKind.APPENDED and not values:
        return None
    if len(values) != len(wanted):
        return _incomplete(wanted, values)
    if kind is OriginalKind.APPENDED:
        values[OriginalPart.METHOD] = sub_request.method.encode("latin-1", "replace")
        values[OriginalPart.URI] = _joined(sub_request)
    return _build(values)


def _joined(sub_request: SubRequest) -> bytes:
    """Return the original path with its query, if it has one."""
    if not sub_request.query:
        return sub_request.appended_path
    return sub_request.appended_path + b"?" + sub_request.query


def _read_lines(
    wanted: Mapping[OriginalPart, bytes], headers: Sequence[HeaderField]
) -> dict[OriginalPart, bytes] | BadOriginalRequest:
    """Return each wanted part that is there; refuse what could be read in two ways (threats T3, T4)."""
    parts = {name: part for part, name in wanted.items()}
    values: dict[OriginalPart, bytes] = {}
    for name, value in headers:
        part = parts.get(normal_name(name))
        if part is None:
            continue
        if name not in parts:
            return BadOriginalRequest(
                problem=f"expected `{_text(wanted[part])}`, found another spelling: `{_text(name)}`"
            )
        if part in values:
            return BadOriginalRequest(problem=f"expected one line of `{_text(name)}`, found several")
        values[part] = strip_value(value)
    removed = connection_names(headers) & parts.keys()
    if removed:
        return BadOriginalRequest(problem=f"`Connection` names `{_text(min(removed))}`")
    return values


def _incomplete(
    wanted: Mapping[OriginalPart, bytes], values: Mapping[OriginalPart, bytes]
) -> BadOriginalRequest:
    missing = ", ".join(sorted(f"`{_text(name)}`" for part, name in wanted.items() if part not in values))
    return BadOriginalRequest(problem=f"expected all headers of the original request, missing {missing}")


def _build(values: Mapping[OriginalPart, bytes]) -> OriginalRequest | BadOriginalRequest:
    """Make the request of its parts; a method or path that nobody tells is empty and decides nothing."""
    uri, method = values.get(OriginalPart.URI, b""), values.get(OriginalPart.METHOD)
    host, scheme = values.get(OriginalPart.HOST), values.get(OriginalPart.PROTO)
    if len(uri) > _LONGEST_URI:
        return BadOriginalRequest(
            problem=f"expected at most {_LONGEST_URI} bytes of original path, found {len(uri)}"
        )
    if method is not None and not _METHOD.match(method):
        return BadOriginalRequest(problem=f"expected an original method, found `{_text(method)}`")
    if host is not None and not _HOST.match(host):
        return BadOriginalRequest(problem=f"expected an original host, found `{_text(host)}`")
    if scheme is not None and scheme.lower() not in _SCHEMES:
        return BadOriginalRequest(problem=f"expected original scheme http or https, found `{_text(scheme)}`")
    return OriginalRequest(
        method="" if method is None else method.decode("ascii"),
        uri=uri.decode("latin-1"),
        host=None if host is None else host.decode("ascii"),
        scheme=None if scheme is None else _SCHEMES[scheme.lower()],
    )


def _text(value: bytes) -> str:
    return shorten(value.decode("latin-1"))
