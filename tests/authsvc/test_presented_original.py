"""The original request: read from the named headers alone, all or none of them, each once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.original_request import OriginalRequest
from authsvc.presented.original_headers import (
    DEFAULT_PARTS,
    BadOriginalRequest,
    OriginalKind,
    OriginalPart,
    SubRequest,
    read_original_request,
)

SUB_REQUEST = SubRequest(method="GET")
PREFIX = {OriginalKind.X_ORIGINAL: b"x-original-", OriginalKind.X_FORWARDED: b"x-forwarded-"}
ALL = frozenset(OriginalPart)
VALUES = {"uri": b"/sales.nsf/a?b=c", "method": b"POST", "host": b"app.example:8443", "proto": b"https"}
NAMES = [prefix + part.encode() for prefix in PREFIX.values() for part in OriginalPart]
Fields = list[tuple[bytes, bytes]]
Outcome = OriginalRequest | BadOriginalRequest | None


def fields(kind: OriginalKind, **changed: bytes | None) -> Fields:
    values = {
        "uri": b"/sales.nsf/a?b=c",
        "method": b"POST",
        "host": b"app.example:8443",
        "proto": b"https",
        **changed,
    }
    return [(PREFIX[kind] + part.encode(), value) for part, value in values.items() if value is not None]


def read(kind: OriginalKind, headers: Fields, parts: frozenset[OriginalPart] = ALL) -> Outcome:
    return read_original_request(kind, parts, headers, SUB_REQUEST)


@pytest.mark.parametrize("kind", PREFIX)
def test_all_four_parts_are_read(kind: OriginalKind) -> None:
    expected = OriginalRequest(method="POST", uri="/sales.nsf/a?b=c", host="app.example:8443", scheme="https")
    assert expected == read(kind, fields(kind))


def test_of_x_original_uri_and_method_are_read_by_default() -> None:
    expected = OriginalRequest(method="POST", uri="/sales.nsf/a?b=c")
    assert expected == read(
        OriginalKind.X_ORIGINAL, fields(OriginalKind.X_ORIGINAL), DEFAULT_PARTS[OriginalKind.X_ORIGINAL]
    )


def test_of_x_forwarded_all_four_are_read_by_default() -> None:
    assert frozenset(OriginalPart) == DEFAULT_PARTS[OriginalKind.X_FORWARDED]


@pytest.mark.parametrize("kind", PREFIX)
def test_t88_parts_not_named_are_never_read(kind: OriginalKind) -> None:
    """A web server that is not told to set a header passes its client's own, whatever it holds."""
    headers = fields(kind, method=b"DELETE", host=b"not a host", proto=b"gopher")
    expected = OriginalRequest(method="", uri="/sales.nsf/a?b=c")
    assert expected == read(kind, headers, frozenset({OriginalPart.URI}))


@pytest.mark.parametrize("kind", OriginalKind)
def test_without_any_header_nothing_is_known(kind: OriginalKind) -> None:
    parts = DEFAULT_PARTS[kind]
    outcome = read(kind, [(b"host", b"app.example")], parts)
    if kind is OriginalKind.APPENDED:
        assert OriginalRequest(method="GET", uri="") == outcome
    else:
        assert outcome is None


def test_kind_none_reads_nothing() -> None:
    headers = fields(OriginalKind.X_ORIGINAL) + fields(OriginalKind.X_FORWARDED)
    assert read(OriginalKind.NONE, headers) is None


@pytest.mark.parametrize("kind", PREFIX)
@pytest.mark.parametrize("missing", ["uri", "method", "host", "proto"])
def test_t88_some_and_not_others_is_bad(kind: OriginalKind, missing: str) -> None:
    name = (PREFIX[kind] + missing.encode()).decode()
    expected = f"expected all headers of the original request, missing `{name}`"
    assert BadOriginalRequest(problem=expected) == read(kind, fields(kind, **{missing: None}))


@pytest.mark.parametrize("kind", PREFIX)
@pytest.mark.parametrize("position", range(4))
def test_t03_a_part_twice_is_bad(kind: OriginalKind, position: int) -> None:
    headers = fields(kind)
    assert isinstance(read(kind, [*headers, headers[position]]), BadOriginalRequest)


@pytest.mark.parametrize("kind", PREFIX)
def test_t04_another_spelling_is_bad(kind: OriginalKind) -> None:
    forged = (PREFIX[kind].replace(b"-", b"_") + b"uri", b"/public.nsf")
    assert isinstance(read(kind, [*fields(kind), forged]), BadOriginalRequest)
    assert isinstance(read(kind, [*fields(kind, uri=None), forged]), BadOriginalRequest)


@pytest.mark.parametrize("kind", PREFIX)
def test_t04_connection_naming_a_part_is_bad(kind: OriginalKind) -> None:
    removed = (b"connection", b"close, " + PREFIX[kind] + b"method")
    assert isinstance(read(kind, [*fields(kind), removed]), BadOriginalRequest)


BAD_VALUES = {
    "an empty method": {"method": b""},
    "two methods": {"method": b"GET, POST"},
    "a method of 33 characters": {"method": b"A" * 33},
    "two hosts": {"host": b"a.example, b.example"},
    "user information": {"host": b"a@b.example"},
    "an empty host": {"host": b""},
    "a host with a path": {"host": b"a.example/x"},
    "another scheme": {"proto": b"gopher"},
    "two schemes": {"proto": b"https,http"},
    "a path of 16,385 bytes": {"uri": b"/" + b"a" * 16_384},
}


@pytest.mark.parametrize("kind", PREFIX)
@pytest.mark.parametrize("changed", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_what_is_no_request_is_bad(kind: OriginalKind, changed: dict[str, bytes | None]) -> None:
    assert isinstance(read(kind, fields(kind, **changed)), BadOriginalRequest)


GOOD_VALUES = {
    "an address": ({"host": b"[2001:db8::1]:8443"}, "[2001:db8::1]:8443", "https"),
    "plain": ({"proto": b"http"}, "app.example:8443", "http"),
    "a WebSocket, as Traefik says": ({"proto": b"WSS"}, "app.example:8443", "https"),
    "a plain WebSocket": ({"proto": b"ws"}, "app.example:8443", "http"),
    "a method of 32 characters": ({"method": b"A" * 32}, "app.example:8443", "https"),
    "a path of 16,384 bytes": ({"uri": b"/" + b"a" * 16_383}, "app.example:8443", "https"),
    "a path that is none, which no route matches": ({"uri": b""}, "app.example:8443", "https"),
}


@pytest.mark.parametrize("kind", PREFIX)
@pytest.mark.parametrize(("changed", "host", "scheme"), GOOD_VALUES.values(), ids=GOOD_VALUES.keys())
def test_these_are_requests(
    kind: OriginalKind, changed: dict[str, bytes | None], host: str, scheme: str
) -> None:
    outcome = read(kind, fields(kind, **changed))
    assert isinstance(outcome, OriginalRequest)
    assert (host, scheme) == (outcome.host, outcome.scheme)


def appended(
    path: bytes,
    query: bytes,
    headers: Fields,
    parts: frozenset[OriginalPart] = frozenset(),
) -> Outcome:
    sub_request = SubRequest(method="PUT", appended_path=path, query=query)
    return read_original_request(OriginalKind.APPENDED, parts, headers, sub_request)


def test_an_appended_path_is_the_original_one() -> None:
    assert OriginalRequest(method="PUT", uri="/orig/p?q=1") == appended(b"/orig/p", b"q=1", [(b"host", b"x")])


def test_t81_a_query_without_a_path_is_no_parameter_of_ours() -> None:
    """Envoy appends a client's `:path` of `?database=public` to the prefix itself."""
    assert OriginalRequest(method="PUT", uri="?database=public") == appended(b"", b"database=public", [])


def test_an_appended_request_may_keep_its_host_and_say_its_scheme() -> None:
    headers = [(b"host", b"app.example"), (b"x-forwarded-proto", b"https")]
    expected = OriginalRequest(method="PUT", uri="/p", host="app.example", scheme="https")
    assert expected == appended(b"/p", b"", headers, frozenset({OriginalPart.HOST, OriginalPart.PROTO}))
    assert isinstance(appended(b"/p", b"", headers[:1], frozenset({OriginalPart.PROTO})), BadOriginalRequest)


@given(
    kind=st.sampled_from(OriginalKind),
    parts=st.frozensets(st.sampled_from(OriginalPart)),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [p + n.encode() for p in PREFIX.values() for n in OriginalPart] + [b"host", b"connection"]
            ),
            st.binary(max_size=60),
        ),
        max_size=6,
    ),
    path=st.binary(max_size=40),
    query=st.binary(max_size=40),
)
def test_any_fields_give_an_outcome(
    kind: OriginalKind,
    parts: frozenset[OriginalPart],
    headers: Fields,
    path: bytes,
    query: bytes,
) -> None:
    """Total: no bytes raise."""
    sub_request = SubRequest(method="GET", appended_path=path, query=query)
    outcome = read_original_request(kind, parts, headers, sub_request)
    assert outcome is None or isinstance(outcome, OriginalRequest | BadOriginalRequest)
