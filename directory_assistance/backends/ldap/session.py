"""One bound LDAP connection, searched and closed.

What lives here: `LdapSession`, the driver of a connection: a search, its limits and its deadline in; an answer or a
fault out. What does not: how octets mean it (`messages.py`), how a connection comes to be (`opening.py`), which one
is used when (`pool.py`), what a result code means for a question (`directory.py`).

Invariants:

* No call lasts longer than it was allowed: each octet sent or received is under one deadline, whatever the pace of
  the server. (Looking up a host's name is the operating system's affair and has its own limits.)
* No answer has more octets than `LARGEST_ANSWER`, all of its pages together, and of its entries no more are kept than
  were asked for: an entry as a value takes twenty times its octets.
* A session that raised is of no more use.
* What goes wrong between here and the host is a `TransportFault`; what a question or its answer is like never is: a
  crafted certificate must not make a directory look down for everybody (threat T79).

Standards: RFC 4511 (protocol), RFC 2696 (paged results).
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from directory_assistance.backends.ldap.bounded import BoundedSocket
from directory_assistance.backends.ldap.messages import (
    INTERMEDIATE,
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REFERENCE,
    UNBIND,
    UNSOLICITED,
    Control,
    FoundEntry,
    Message,
    MessageSyntaxError,
    Result,
    SearchRequest,
    cut_message,
    length_wanted,
    read_elements,
    read_entry_message,
    read_message,
    read_reference_message,
    read_result_message,
    write_element,
    write_integer,
    write_search,
)
from directory_assistance.backends.ldap.ranges import RangeError, complete_ranges
from directory_assistance.backends.ldap.settings import LdapHost
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    NameSyntaxError,
    shorten,
)
from directory_assistance.filters import Present

__all__ = [
    "LARGEST_ANSWER",
    "SIZE_LIMIT_EXCEEDED",
    "ConnectionLost",
    "FoundEntry",
    "HostSilent",
    "LdapSession",
    "SearchAnswer",
    "SearchRequest",
    "TransportFault",
    "one_line",
]

LARGEST_ANSWER = 8 * 1024 * 1024
"""Octets of one answer: a hundred entries with a dozen certificates each are a quarter of it."""

SIZE_LIMIT_EXCEEDED = 4
"""sizeLimitExceeded (RFC 4511 section 4.1.9)."""

_READ_SIZE = 64 * 1024
"""Octets read at once: what one system call brings; an ordinary answer has two thousand."""

_MOST_REFERENCES = 1_000
"""References in one answer: a directory has a few; each is looked at."""

_LONGEST_COOKIE = 64 * 1024
"""Octets of what says where the next page begins: servers take eight to a few hundred, and get them back each time."""

_LARGEST_QUESTION = 192 * 1024
"""Octets of one question. OpenLDAP and Samba close the connection at about 256,000, which would look like a host that
is down (threat T79). A certificate has 65,536 at most; a name of 30,000 characters may have a million prepared ones."""

_LAST_MESSAGE_ID = 2**31 - 1
"""maxInt (RFC 4511 section 4.1.1)."""

_CLOSE_SECONDS = 0.5
"""How long saying good-bye to a server may take."""

_PAGED_RESULTS = "1.2.840.113556.1.4.319"


class TransportFault(DirectoryUnavailable):
    """Something between here and the host failed, or the host itself: another host may answer."""


class ConnectionLost(TransportFault):
    """The connection had ended before or while it was used; the question may be put again on a new one."""


class HostSilent(TransportFault):
    """No complete answer in time: the host hangs, or the question is a slow one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a server answered to a search (RFC 4511 section 4.5.2).

    `code` is the result code, `message` the server's own words. `references` are the URIs of search continuation
    references: parts of the answer that lie elsewhere.
    """

    code: int
    message: str
    matched_dn: str
    entries: tuple[FoundEntry, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """All of an answer, or a page of it; `exceeded`: there were more entries than wanted, which are left out."""

    result: Result
    cookie: bytes
    entries: list[FoundEntry]
    references: list[str]
    exceeded: bool


class LdapSession:
    """A bound connection to one host. For one caller at a time.

    `opened` and `used` are instants of the monotonic clock. `kept`: it lay idle before, so that its host may have
    ended it since.
    """

    def __init__(self, domain: str, host: LdapHost, bounded: BoundedSocket) -> None:
        self.host = host
        self.opened = self.used = time.monotonic()
        self.kept = False
        self.domain = domain
        self._bounded = bounded
        self._message_id = 16  # above those that binding used
        self._received = bytearray()

    def search(self, request: SearchRequest, until: float) -> SearchAnswer:
        """Search, and return what the server answered, whatever its result code.

        The values of an attribute that come in parts (MS-ADTS section 3.1.1.3.1.3.3) are fetched here, because parts of
        two hosts need not make a whole. Where the server gave more entries than asked for, the code is
        `SIZE_LIMIT_EXCEEDED`, and those beyond are left out.

        Args:
            request: the question.
            until: instant of the monotonic clock by which the answer must be complete.

        Raises:
            ConnectionLost: the server had closed the connection, or closed it now.
            HostSilent: no complete answer in time.
            TransportFault: no LDAP.
            DirectoryAnswerMalformed: the answer is larger than `LARGEST_ANSWER`, a part of it is missing, a page of it
                does not say whether it is the last, or the filter cannot be sent.

        """
        self.used = time.monotonic()
        self._bounded.allow(until, LARGEST_ANSWER)
        entries: list[FoundEntry] = []
        references: list[str] = []
        cookie = b""
        exceeded = False
        while not exceeded:
            page = self._search_page(request, cookie, until, request.size_limit - len(entries))
            result, cookie = page.result, page.cookie
            entries += page.entries
            references += page.references
            if len(references) > _MOST_REFERENCES:
                raise self._malformed(f"more than {_MOST_REFERENCES} references")
            if not cookie or result.code:
                exceeded = page.exceeded
                break
            exceeded = page.exceeded or len(entries) >= request.size_limit
        if exceeded and not result.code:
            result = replace(result, code=SIZE_LIMIT_EXCEEDED)
        if not result.code:
            entries = [self._complete(found, request, until) for found in entries]
        return SearchAnswer(
            code=result.code,
            message=result.message,
            matched_dn=result.matched_dn,
            entries=tuple(entries),
            references=tuple(references),
        )

    def send_search(
        self, request: SearchRequest, until: float, *controls: Control, time_limited: bool = True
    ) -> int:
        """Send a search whose answers are taken one by one; return its message id.

        Args:
            request: the question.
            until: by when the server should have answered, if `time_limited`.
            controls: what else the server is asked to do.
            time_limited: whether the server is told to stop then; a search that tells changes never ends.

        Raises:
            TransportFault: it could not be sent.
            DirectoryAnswerMalformed: the filter cannot be sent, or is too large.

        """
        if self._message_id >= _LAST_MESSAGE_ID:
            raise ConnectionLost(
                self.domain, f"`{self.host.uri}`: the message ids of the connection are used up"
            )
        self._message_id += 1
        # Whole seconds, 0 for none; a server may ignore it.
        seconds = max(1, math.ceil(until - time.monotonic())) if time_limited else 0
        try:
            octets = write_search(self._message_id, request, time_limit_seconds=seconds, controls=controls)
        except NameSyntaxError as error:
            raise DirectoryAnswerMalformed(self.domain, f"the filter cannot be sent: {error}") from error
        if len(octets) > _LARGEST_QUESTION:
            raise DirectoryAnswerMalformed(
                self.domain, f"the question has {len(octets)} octets, the limit is {_LARGEST_QUESTION}"
            )
        with translated(self.domain, self.host, self._bounded):
            self._bounded.sendall(octets)
        return self._message_id

    def receive(self, message_id: int) -> Message:
        """Return the next message about a search, under the limits of the last `allow`.

        Raises:
            TransportFault: none came in time, the connection ended, or it was no LDAP.
            DirectoryAnswerMalformed: it was larger than allowed.

        """
        with translated(self.domain, self.host, self._bounded):
            message = self._next_message()
            if message.message_id == 0 and message.tag == UNSOLICITED:
                raise ConnectionAbortedError("the server said good-bye")
            if message.message_id != message_id:
                raise MessageSyntaxError("an answer to another question")
            return message

    def receive_any(self, until: float) -> Message | None:
        """Return the next message about anything, None if none came until then; the connection goes on.

        Raises:
            TransportFault: the connection ended, or it was no LDAP.
            DirectoryAnswerMalformed: it was larger than `LARGEST_ANSWER`.

        """
        self._bounded.allow(until, LARGEST_ANSWER)
        try:
            with translated(self.domain, self.host, self._bounded):
                message = self._next_message()
                if message.message_id == 0:
                    raise ConnectionAbortedError("the server said good-bye")
                return message
        except HostSilent:
            return None

    def close(self) -> None:
        """Say good-bye and close; nothing is raised."""
        self._bounded.allow(time.monotonic() + _CLOSE_SECONDS, 0)
        with suppress(OSError):
            self._bounded.sendall(UNBIND)
        self.abort()

    def abort(self) -> None:
        """Close the socket at once."""
        self._bounded.close()

    def interrupt(self) -> None:
        """End what another thread is waiting for on this connection, now."""
        with suppress(OSError):
            self._bounded.shutdown(2)

    def _search_page(self, request: SearchRequest, cookie: bytes, until: float, most: int) -> "_Page":
        """Ask for all, or for the next page, and keep at most so many entries of what comes."""
        controls = () if request.page_size is None else (_page_control(request.page_size, cookie),)
        message_id = self.send_search(request, until, *controls)
        entries: list[FoundEntry] = []
        references: list[str] = []
        exceeded = False
        while True:
            message = self.receive(message_id)
            with translated(self.domain, self.host, self._bounded):
                if message.tag == SEARCH_ENTRY:
                    if len(entries) < most:
                        entries.append(read_entry_message(message.content))
                    else:
                        exceeded = True
                elif message.tag == SEARCH_REFERENCE:
                    if len(references) <= _MOST_REFERENCES:
                        references.extend(read_reference_message(message.content)[: _MOST_REFERENCES + 1])
                elif message.tag == SEARCH_DONE:
                    result = read_result_message(message.content)
                    break
                elif message.tag != INTERMEDIATE:
                    raise MessageSyntaxError(f"an answer to a search with tag 0x{message.tag:02x}")
        return _Page(
            result=result,
            cookie=self._next_cookie(message) if controls and not result.code else b"",
            entries=entries,
            references=references,
            exceeded=exceeded,
        )

    def _complete(self, found: FoundEntry, request: SearchRequest, until: float) -> FoundEntry:
        """Fetch what is left of attributes that came in part only."""
        if not any(";range=" in description for description in found.values):
            return found

        def ask(description: str) -> FoundEntry:
            rest = SearchRequest(
                base=found.dn.decode("utf-8"),
                scope="BASE",
                filter=Present(attribute="objectClass"),
                attributes=(description,),
                size_limit=1,
            )
            page = self._search_page(rest, b"", until, 1)
            if page.result.code or len(page.entries) != 1:
                raise RangeError(f"the server does not give the rest of `{description}`")
            return page.entries[0]

        asked = frozenset(name.partition(";")[0].lower() for name in request.attributes)
        try:
            return complete_ranges(found, asked, ask)
        except (RangeError, UnicodeDecodeError) as error:
            name = shorten(found.dn.decode("utf-8", "replace"))
            raise self._malformed(f"an entry `{name}` that is there in part only: {error}") from error

    def _next_cookie(self, message: Message) -> bytes:
        """Return where the next page begins; empty after the last one.

        A page that does not say so may be a part of the answer: RFC 2696 section 2 demands the control.
        """
        try:
            cookie = _read_cookie(message)
        except MessageSyntaxError as error:
            raise self._malformed(f"a page that does not say whether it is the last: {error}") from error
        if len(cookie) > _LONGEST_COOKIE:
            raise self._malformed(f"a page with a cookie of more than {_LONGEST_COOKIE} octets")
        return cookie

    def _malformed(self, problem: str) -> DirectoryAnswerMalformed:
        return DirectoryAnswerMalformed(self.domain, f"`{self.host.uri}`: the answer has {problem}")

    def _next_message(self) -> Message:
        received = self._received
        while (end := cut_message(received, 0)) is None:
            if length_wanted(received, 0) > LARGEST_ANSWER:
                self._bounded.overran = True
                raise OSError("the answer is too large")
            octets = self._bounded.recv(_READ_SIZE)
            if not octets:
                raise ConnectionResetError("the server closed the connection")
            received += octets
        message = read_message(bytes(received[:end]))
        del received[:end]
        return message


def _page_control(size: int, cookie: bytes) -> Control:
    """Return the control that asks for one page (RFC 2696 section 2)."""
    value = write_element(0x30, write_integer(size) + write_element(0x04, cookie))
    return Control(oid=_PAGED_RESULTS, critical=True, value=value)


def _read_cookie(message: Message) -> bytes:
    """Read the control of a page (RFC 2696 section 2).

    Raises:
        MessageSyntaxError: there is none, or it is malformed.

    """
    elements = tuple(read_elements(message.controls.get(_PAGED_RESULTS, b"")))
    if len(elements) != 1 or elements[0][0] != 0x30:
        raise MessageSyntaxError("expected the control of paged results")
    parts = tuple(read_elements(elements[0][1]))
    if tuple(tag for tag, _octets in parts) != (0x02, 0x04):
        raise MessageSyntaxError("expected a size and a cookie")
    return parts[1][1]


@contextmanager
def translated(domain: str, host: LdapHost, bounded: BoundedSocket) -> Iterator[None]:
    """Turn what a socket raises, and octets that are no LDAP, into faults."""
    try:
        yield
    except MessageSyntaxError as error:
        raise TransportFault(domain, f"`{host.uri}` sent something that is not LDAP: {error}") from error
    except OSError as error:
        if bounded.overran:
            raise DirectoryAnswerMalformed(
                domain, f"`{host.uri}`: the answer is larger than {LARGEST_ANSWER} octets"
            ) from error
        if bounded.timed_out:
            raise HostSilent(domain, f"`{host.uri}` did not answer in time") from error
        raise ConnectionLost(domain, f"`{host.uri}`: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return what an exception says, as error texts quote it."""
    return shorten(" ".join(str(error).split()))
