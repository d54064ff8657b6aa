"""One value from an LDAP server that nobody vouches for (RFC 4511, 4516), over a bounded connection.

What lives here: reading an `ldap://` URL, an anonymous bind, one search, exactly one value. What does not: who may be
called and for how long (`fetch_connections.py`), what the value means, and the directories of directory assistance,
which are other servers with other connections.

Invariants:

* The bind is anonymous, on a connection made for this one question: no name and no password of ours can be on it
  (threat T32).
* Referrals are refused, never followed; aliases are not dereferenced.
* Two values are no value: nobody could say which one counts.
"""

import re
import time
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from authsvc.operations.fetch_connections import Connection
from authsvc.operations.fetch_http import Connect
from authsvc.operations.fetch_targets import FetchFault, FetchPolicy, Target, read_url
from directory_assistance.backends.ldap.messages import (
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REFERENCE,
    UNBIND,
    Message,
    MessageSyntaxError,
    Result,
    SearchRequest,
    cut_message,
    length_wanted,
    read_entry_message,
    read_message,
    read_result_message,
    write_search,
)
from directory_assistance.errors import NameSyntaxError, shorten
from directory_assistance.filters import Equality, Filter, Present, check_attribute_description

__all__ = ["fetch_value"]

_FRAMING_OCTETS: Final = 64 * 1024
"""Octets of LDAP messages beside the one value: names, an entry's description, a few messages."""

_READ_OCTETS: Final = 64 * 1024

_BIND_RESPONSE: Final = 0x61

_ANONYMOUS_BIND: Final = bytes.fromhex("300c020101600702010304008000")
"""LDAPMessage 1, BindRequest, version 3, no name, no password (RFC 4511 section 4.2)."""

_ATTRIBUTES: Final = frozenset(
    {"certificaterevocationlist", "authorityrevocationlist", "deltarevocationlist"}
)
"""What may be asked for (RFC 4523 section 4), without `;binary`."""

_DEFAULT_ATTRIBUTE: Final = "certificateRevocationList;binary"

_SIMPLE_FILTER: Final = re.compile(r"\(?([A-Za-z0-9.;-]{1,128})=([^()*\\]{1,256}|\*)\)?")
"""The filters that distribution points have: one attribute, present or equal to something plain."""

_SUCCESS: Final = 0
_REFERRAL: Final = 10
_NO_SUCH_OBJECT: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What an LDAP URL asks for."""

    base: str
    attributes: tuple[str, ...]
    scope: Literal["BASE", "SUBTREE"]
    filter: Filter


def fetch_value(url: str, policy: FetchPolicy, *, connect: Connect) -> bytes:
    """Ask for the one value that an LDAP URL names.

    Args:
        url: `ldap://host/dn?attribute?scope?filter`, or ldaps.
        policy: what may be called, and for how long.
        connect: makes a connection to a target that the policy allows.

    Raises:
        FetchFault: there is not exactly one value, or nobody answered.

    """
    target = read_url(url)
    question = _read_question(target)
    deadline = time.monotonic() + policy.timeout.total_seconds()
    seconds = max(1, int(policy.timeout.total_seconds()))
    connection = connect(target, deadline, policy.maximum_octets + _FRAMING_OCTETS)
    try:
        return _ask(target, question, seconds, policy.maximum_octets, connection)
    except MessageSyntaxError as error:
        raise FetchFault(f"`{target.url}`: expected LDAP messages: {error}") from error
    except OSError as error:
        raise FetchFault(f"`{target.url}`: the connection broke: {error.strerror or error}") from error
    finally:
        connection.close()


def _read_question(target: Target) -> _Question:
    """Read what follows the host (RFC 4516 section 2); extensions are not understood, critical ones refused."""
    parts = target.query.split("?")
    where = f"`{target.url}`"
    if len(parts) > 4:
        raise FetchFault(f"{where}: expected attribute, scope, filter, found more")
    attributes, scope, text, extensions = (unquote(part) for part in (*parts, "", "", "", "")[:4])
    if any(each.strip().startswith("!") for each in extensions.split(",")):
        raise FetchFault(f"{where}: expected no critical extension, found `{shorten(extensions)}`")
    base = unquote(target.path.removeprefix("/"))
    if not base:
        raise FetchFault(f"{where}: expected the name of an entry, found none")
    if scope.lower() not in {"", "base", "sub"}:
        raise FetchFault(f"{where}: expected scope base or sub, found `{shorten(scope)}`")
    asked = tuple(each.strip() for each in attributes.split(",") if each.strip()) or (_DEFAULT_ATTRIBUTE,)
    for each in asked:
        if each.lower().removesuffix(";binary") not in _ATTRIBUTES:
            raise FetchFault(
                f"{where}: expected certificateRevocationList or authorityRevocationList, "
                f"found `{shorten(each)}`"
            )
    return _Question(
        base=base,
        attributes=tuple(each if each.lower().endswith(";binary") else f"{each};binary" for each in asked),
        scope="SUBTREE" if scope.lower() == "sub" else "BASE",
        filter=_read_filter(where, text),
    )


def _read_filter(where: str, text: str) -> Filter:
    if not text:
        return Present(attribute="objectClass")
    refused = FetchFault(f"{where}: expected a filter such as `(objectClass=*)`, found `{shorten(text)}`")
    found = _SIMPLE_FILTER.fullmatch(text)
    if found is None or text.startswith("(") != text.endswith(")"):
        raise refused
    try:
        attribute = check_attribute_description(found[1])
    except NameSyntaxError as error:
        raise refused from error
    return Present(attribute=attribute) if found[2] == "*" else Equality(attribute=attribute, value=found[2])


class _Messages:
    """The messages that a server sends, one after another, none larger than what may be asked for."""

    def __init__(self, target: Target, connection: Connection, limit: int) -> None:
        self._target = target
        self._connection = connection
        self._limit = limit
        self._octets = bytearray()
        self._buffer = memoryview(bytearray(_READ_OCTETS))

    def next(self) -> Message:
        while True:
            end = cut_message(self._octets, 0)
            if end is not None:
                message = read_message(bytes(self._octets[:end]))
                del self._octets[:end]
                return message
            if length_wanted(self._octets, 0) > self._limit + _FRAMING_OCTETS:
                raise FetchFault(f"`{self._target.url}`: too large: more than {self._limit} octets announced")
            count = self._connection.receive(self._buffer)
            if not count:
                raise FetchFault(f"`{self._target.url}`: expected an answer, found the end")
            self._octets += self._buffer[:count]


def _ask(target: Target, question: _Question, seconds: int, limit: int, connection: Connection) -> bytes:
    """Bind anonymously, search, and take the one value.

    1. Bind without a name.
    2. Search: at most two entries, because one too many must be seen.
    3. Exactly one value in all that was found.
    """
    where = f"`{target.url}`"
    messages = _Messages(target, connection, limit)
    # 1
    connection.send(_ANONYMOUS_BIND)
    bound = messages.next()
    if bound.tag != _BIND_RESPONSE:
        raise FetchFault(f"{where}: expected the answer to a bind, found tag 0x{bound.tag:02x}")
    # The answer is an LDAPResult, perhaps with more behind it that an anonymous bind does not need.
    result = read_result_message(bound.content)
    if result.code != _SUCCESS:
        raise FetchFault(
            f"{where}: expected an anonymous bind, found result {result.code}: {shorten(result.message)}"
        )
    # 2
    request = SearchRequest(
        base=question.base,
        scope=question.scope,
        filter=question.filter,
        attributes=question.attributes,
        size_limit=2,
    )
    connection.send(write_search(2, request, time_limit_seconds=seconds))
    values = _found_values(where, question, messages)
    connection.send(UNBIND)
    # 3
    if len(values) != 1:
        wanted = " or ".join(f"`{each}`" for each in question.attributes)
        raise FetchFault(f"{where}: expected exactly one value of {wanted}, found {len(values) or 'none'}")
    if len(values[0]) > limit:
        raise FetchFault(f"{where}: too large: {len(values[0])} octets, {limit} allowed")
    return values[0]


def _found_values(where: str, question: _Question, messages: _Messages) -> list[bytes]:
    wanted = {each.lower().removesuffix(";binary") for each in question.attributes}
    values: list[bytes] = []
    while True:
        message = messages.next()
        if message.message_id != 2:
            raise FetchFault(
                f"{where}: expected the answer to the search, found that to {message.message_id}"
            )
        if message.tag == SEARCH_DONE:
            _require_success(where, read_result_message(message.content))
            return values
        if message.tag == SEARCH_REFERENCE:
            raise _referral(where)
        if message.tag != SEARCH_ENTRY:
            raise FetchFault(f"{where}: expected the answer to a search, found tag 0x{message.tag:02x}")
        for description, found in read_entry_message(message.content).values.items():
            if description.removesuffix(";binary") in wanted:
                values += found


def _require_success(where: str, result: Result) -> None:
    if result.code == _REFERRAL:
        raise _referral(where)
    if result.code == _NO_SUCH_OBJECT:
        raise FetchFault(f"{where}: expected an entry of this name, found none")
    if result.code != _SUCCESS:
        raise FetchFault(f"{where}: expected a list, found result {result.code}: {shorten(result.message)}")


def _referral(where: str) -> FetchFault:
    return FetchFault(f"{where}: expected a list, found a referral, which is not followed")
