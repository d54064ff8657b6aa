"""Fetching over the network what says whether certificates are revoked: lists by GET or LDAP, OCSP answers by POST.

What lives here: the one door through which this service calls anybody whom a certificate or the configuration of
revocation names. What does not: who may be called (`fetch_targets.py`), connections (`fetch_connections.py`), the
protocols (`fetch_http.py`, `fetch_ldap.py`), what is fetched and when (`revocation_urls.py`), what it means (`trust/`).

Invariants:

* Whatever goes wrong is a `FetchFault` whose text says what was expected, what was found, and where; what was written
  into a file before it is not to be used.
* Nothing is kept between two calls: no connection, no cookie, no resolved address.

An object may be used by several threads at once.
"""

import io
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from authsvc.operations.fetch_connections import (
    Connection,
    Resolve,
    Streams,
    open_connection,
    resolve_addresses,
    trusted_roots,
)
from authsvc.operations.fetch_http import HttpRequest, exchange
from authsvc.operations.fetch_ldap import fetch_value
from authsvc.operations.fetch_targets import FetchFault, FetchPolicy, Target, host_entry, read_url
from directory_assistance.errors import shorten

__all__ = ["FetchFault", "FetchPolicy", "Fetched", "Fetcher", "host_entry", "read_url"]

_AGENT = {"User-Agent": "authsvc", "Connection": "close"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came: its octets are in the file that was given.

    `unchanged`: the server says that nothing is newer than what `etag` or `last_modified` named; then nothing was
    written. `etag`, `last_modified`: what to ask with the next time, empty where the server says neither.
    """

    octets: int
    unchanged: bool = False
    etag: str = ""
    last_modified: str = ""


class Fetcher:
    """Calls servers, under a policy for each call.

    Args:
        ca_file: authorities (PEM) of https and ldaps servers; None for those of the system. Read at each connection,
            so that a new file counts at once.
        resolve: how addresses are asked for.

    """

    def __init__(self, *, ca_file: Path | None = None, resolve: Resolve = resolve_addresses) -> None:
        self._ca_file = ca_file
        self._resolve = resolve
        self._streams = Streams()

    def get(
        self, url: str, policy: FetchPolicy, *, into: BinaryIO, etag: str = "", last_modified: str = ""
    ) -> Fetched:
        """Fetch what a URL names; blocking, for the time of the policy at most.

        Args:
            url: http, https, ldap or ldaps.
            policy: what may be called, and what it may cost.
            into: takes the octets as they come.
            etag: what an earlier answer said; asked with, where it is not empty (http only).
            last_modified: likewise.

        Raises:
            FetchFault: nothing that may be used was fetched.
            OSError: `into` cannot be written.

        """
        if read_url(url).scheme in {"ldap", "ldaps"}:
            value = fetch_value(url, policy, connect=self._connector(policy))
            into.write(value)
            return Fetched(octets=len(value))
        headers = {**_AGENT, "Accept": "*/*"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        answer = exchange(
            url, HttpRequest(headers=headers), policy, into=into, connect=self._connector(policy)
        )
        return Fetched(
            octets=answer.octets,
            unchanged=answer.unchanged,
            etag=answer.etag or (etag if answer.unchanged else ""),
            last_modified=answer.last_modified or (last_modified if answer.unchanged else ""),
        )

    def post(self, url: str, body: bytes, *, content_type: str, accept: str, policy: FetchPolicy) -> bytes:
        """Send octets, return the answer; blocking, for the time of the policy at most. Redirects are refused.

        Args:
            url: http or https.
            body: what is sent.
            content_type: what it is.
            accept: the one type that is accepted as an answer.
            policy: what may be called, and what it may cost.

        Raises:
            FetchFault: there is no answer that may be used.

        """
        if read_url(url).scheme not in {"http", "https"}:
            raise FetchFault(f"`{shorten(url)}`: expected http or https")
        headers = {**_AGENT, "Content-Type": content_type, "Accept": accept}
        into = io.BytesIO()
        answer = exchange(
            url, HttpRequest(headers=headers, body=body), policy, into=into, connect=self._connector(policy)
        )
        found = answer.content_type.partition(";")[0].strip().lower()
        if found != accept.lower():
            raise FetchFault(f"`{url}`: expected `{accept}`, found `{shorten(found)}`")
        return into.getvalue()

    def close(self) -> None:
        """End every exchange that is under way, and let none begin: each is a FetchFault."""
        self._streams.close()

    def _connector(self, policy: FetchPolicy) -> Callable[[Target, float, int], Connection]:
        def connect(target: Target, deadline: float, limit: int) -> Connection:
            return open_connection(
                target,
                policy,
                deadline=deadline,
                limit=limit,
                resolve=self._resolve,
                context=self._context,
                streams=self._streams,
            )

        return connect

    def _context(self) -> ssl.SSLContext:
        return trusted_roots(self._ca_file)
