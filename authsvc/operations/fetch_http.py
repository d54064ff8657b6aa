"""One HTTP exchange with a server that nobody vouches for (RFC 9112), over a bounded connection.

What lives here: the request, the answer's status, headers and body, redirects. What does not: who may be called and
for how long (`fetch_connections.py`), what the body means.

Invariants:

* The body goes to its destination as it comes, and is cut off by a fault, never by an end that looks like one: more
  octets than allowed, fewer than announced, and a broken chunk are faults.
* Only status 200 is an answer; 304 only where a condition was sent.
* A redirect leads to the same host only, over the same scheme or https, and is judged anew like every other URL.
* One request per connection; nothing of one exchange is remembered for another, but what the caller hands in.
"""

import http.client
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final
from urllib.parse import urljoin

from authsvc.operations.fetch_connections import Connection
from authsvc.operations.fetch_targets import FetchFault, FetchPolicy, Target, read_url
from directory_assistance.errors import shorten

__all__ = ["Answer", "HttpRequest", "exchange"]

_MOST_REDIRECTS: Final = 3
"""Redirects that are followed: one to https and one to a new path are usual."""

_HEADER_OCTETS: Final = 64 * 1024
"""Octets of status line and headers, beside the body."""

_FRAMING: Final = 8
"""A chunked body of many small chunks may have this share (one part in so many) of framing."""

_READ_OCTETS: Final = 64 * 1024

_UNCHANGED: Final = 304
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Connect = Callable[[Target, float, int], Connection]
"""Target, deadline (monotonic seconds), octets that may be read: a connection, or FetchFault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What is asked: `body` is None for GET."""

    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def method(self) -> str:
        """GET, or POST where there is a body."""
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came: octets of the body, whether it is unchanged (304), and what to ask with the next time."""

    octets: int
    unchanged: bool
    etag: str
    last_modified: str
    content_type: str


class _Octets(io.RawIOBase):
    """The connection as a file, which is what `http.client` reads an answer from."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        assert isinstance(buffer, bytearray | memoryview)
        return self._connection.receive(memoryview(buffer))


class _Stream:
    """The connection as a socket, as far as `http.client` uses one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sendall(self, octets: bytes) -> None:
        self._connection.send(octets)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Octets(self._connection), _READ_OCTETS)

    def close(self) -> None:
        """Do nothing: `http.client` closes before it reads the body; `exchange` closes after."""


class _HttpConnection(http.client.HTTPConnection):
    """A client over a connection that somebody else made; it never makes one."""

    def __init__(self, target: Target, connection: Connection) -> None:
        super().__init__(target.host, target.port)
        self.sock = _Stream(connection)

    def connect(self) -> None:
        raise FetchFault("the connection has ended")


def exchange(
    url: str, request: HttpRequest, policy: FetchPolicy, *, into: BinaryIO, connect: Connect
) -> Answer:
    """Ask a URL, follow redirects, write the body into a file.

    Args:
        url: http or https.
        request: what is asked.
        policy: what may be called; its time holds for all redirects together.
        into: takes the body.
        connect: makes a connection to a target that the policy allows.

    Raises:
        FetchFault: there is no answer that may be used.
        OSError: `into` cannot be written.

    """
    deadline = time.monotonic() + policy.timeout.total_seconds()
    limit = policy.maximum_octets + policy.maximum_octets // _FRAMING + _HEADER_OCTETS
    target = read_url(url)
    for _attempt in range(_MOST_REDIRECTS + 1):
        connection = connect(target, deadline, limit)
        try:
            outcome = _ask(target, request, policy, into, connection)
        finally:
            connection.close()
        if isinstance(outcome, Answer):
            return outcome
        if request.body is not None:
            raise FetchFault(f"`{target.url}`: expected an answer, found a redirect to `{outcome.url}`")
        target = outcome
    raise FetchFault(f"`{url}`: expected at most {_MOST_REDIRECTS} redirects, found more")


def _ask(
    target: Target, request: HttpRequest, policy: FetchPolicy, into: BinaryIO, connection: Connection
) -> Answer | Target:
    client = _HttpConnection(target, connection)
    # `/` where the URL has no path; the query as it stands.
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        client.request(request.method, path, body=request.body, headers=dict(request.headers))
        response = client.getresponse()
    except http.client.HTTPException as error:
        raise FetchFault(
            f"`{target.url}`: expected an HTTP answer: {type(error).__name__}: {shorten(str(error))}"
        ) from error
    except OSError as error:
        raise FetchFault(f"`{target.url}`: the connection broke: {error.strerror or error}") from error
    with response:
        if response.status in _REDIRECTS:
            return _redirected(target, response.getheader("Location", ""))
        conditional = "If-None-Match" in request.headers or "If-Modified-Since" in request.headers
        unchanged = response.status == _UNCHANGED and conditional
        if response.status != http.client.OK and not unchanged:
            raise FetchFault(
                f"`{target.url}`: expected status 200, found {response.status} `{shorten(response.reason)}`"
            )
        octets = 0 if unchanged else _copy_body(target, response, policy.maximum_octets, into)
        return Answer(
            octets=octets,
            unchanged=unchanged,
            etag=_header(response, "ETag"),
            last_modified=_header(response, "Last-Modified"),
            content_type=_header(response, "Content-Type"),
        )


def _header(response: http.client.HTTPResponse, name: str) -> str:
    """Return a header that can be sent back as it is, else nothing."""
    value = response.getheader(name, "")
    return value if value.isascii() and value.isprintable() and len(value) <= 256 else ""


def _redirected(target: Target, location: str) -> Target:
    if not location or len(location) > 2_048:
        raise FetchFault(f"`{target.url}`: expected where the redirect leads, found nothing usable")
    found = read_url(urljoin(target.url, location))
    if found.host != target.host:
        raise FetchFault(
            f"`{target.url}`: expected redirects to the same host only, found `{shorten(found.url)}`"
        )
    if found.scheme not in {target.scheme, "https"}:
        raise FetchFault(f"`{target.url}`: expected no redirect to {found.scheme}")
    return found


def _copy_body(target: Target, response: http.client.HTTPResponse, limit: int, into: BinaryIO) -> int:
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise FetchFault(f"`{target.url}`: expected no content encoding, found `{shorten(encoding)}`")
    announced = response.length
    if announced is not None and announced > limit:
        raise FetchFault(f"`{target.url}`: too large: {announced} octets announced, {limit} allowed")
    count = 0
    while True:
        try:
            octets = response.read1(_READ_OCTETS)
        except http.client.HTTPException as error:
            raise FetchFault(
                f"`{target.url}`: the body is cut off after {count} octets: {type(error).__name__}"
            ) from error
        except (OSError, ValueError) as error:
            raise FetchFault(f"`{target.url}`: the connection broke: {error}") from error
        if not octets:
            break
        count += len(octets)
        if count > limit:
            raise FetchFault(f"`{target.url}`: too large: more than {limit} octets")
        into.write(octets)
    if announced is not None and count != announced:
        raise FetchFault(f"`{target.url}`: expected {announced} octets, found {count}")
    return count
