"""LDAP messages as octets: search requests written, what a server sends read (RFC 4511 sections 4 and 5.1).

What lives here: the encoding, and nothing that talks. What does not: sockets, deadlines and what an answer means
(`session.py`), connecting and binding (ldap3, which `session.py` alone names).

Why not ldap3 for this: it spends 0.4 ms on encoding and decoding one search, most of a look-up's time, cannot stop
before an answer has filled the memory, and guesses at values that look escaped (docs/adr/0014). Here a value goes
into its octet string as it is: nothing is escaped, so nothing can be escaped wrongly (threat T44).

Invariants:

* Reading is strict about structure and bounds: octets that are no LDAP message raise `MessageSyntaxError`, whatever
  they are; no element reaches beyond the one around it. Lengths may be longer than they need to be, because Active
  Directory writes all of them in four octets.
* Nothing is decoded that need not be: names and values stay octets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, assert_never

from directory_assistance.errors import NameSyntaxError
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    FactValue,
    Filter,
    Not,
    Operator,
    Or,
    Present,
    Substring,
    check_attribute_description,
    check_matching_rule,
)

__all__ = [
    "INTERMEDIATE",
    "SEARCH_DONE",
    "SEARCH_ENTRY",
    "SEARCH_REFERENCE",
    "UNBIND",
    "UNSOLICITED",
    "Control",
    "Found",
    "FoundEntry",
    "Message",
    "MessageSyntaxError",
    "Result",
    "SearchRequest",
    "cut_message",
    "length_wanted",
    "read_elements",
    "read_entry_message",
    "read_message",
    "read_reference_message",
    "read_result_message",
    "write_element",
    "write_filter",
    "write_integer",
    "write_search",
]

SEARCH_ENTRY: Final = 0x64
SEARCH_DONE: Final = 0x65
SEARCH_REFERENCE: Final = 0x73
UNSOLICITED: Final = 0x78
INTERMEDIATE: Final = 0x79

_SEQUENCE = 0x30
_SET = 0x31
_INTEGER = 0x02
_BOOLEAN = 0x01
_OCTET_STRING = 0x04
_ENUMERATED = 0x0A
_SEARCH_REQUEST = 0x63
_CONTROLS = 0xA0

_SCOPES = {"BASE": 0, "SUBTREE": 2}

_NEVER_DEREFERENCE = b"\x0a\x01\x00"
"""derefAliases neverDerefAliases: an alias leads elsewhere (threat T59)."""

_TYPES_AND_VALUES = b"\x01\x01\x00"
"""typesOnly FALSE."""

_COMPARISONS = {Operator.AT_LEAST: 0xA5, Operator.AT_MOST: 0xA6, Operator.APPROXIMATE: 0xA8}

_LONGEST_LENGTH = 4
"""Octets of a length: what Active Directory writes, and far beyond every answer that is accepted."""


class MessageSyntaxError(ValueError):
    """Octets are no LDAP message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One search: `base` in RFC 4514, `size_limit` in entries.

    `page_size`: entries that the server is asked for at once (RFC 2696), for servers that give no more in one answer;
    None asks for all in one.
    """

    base: str
    scope: Literal["BASE", "SUBTREE"]
    filter: Filter
    attributes: Sequence[str]
    size_limit: int
    page_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control of a request (RFC 4511 section 4.1.11)."""

    oid: str
    critical: bool
    value: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """An entry as the server sent it, in octets; attribute descriptions are in lower case."""

    dn: bytes
    values: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """LDAPResult (RFC 4511 section 4.1.9)."""

    code: int
    matched_dn: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole message: its id, the tag and content of its operation, and its controls by OID."""

    message_id: int
    tag: int
    content: bytes
    controls: Mapping[str, bytes]


Found = FoundEntry | tuple[str, ...]
"""A search result entry, or the URIs of a search result reference."""

_NO_CONTROLS: Mapping[str, bytes] = MappingProxyType({})


# --- writing


def write_element(tag: int, content: bytes) -> bytes:
    """Return an element with a definite length in its shortest form."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def write_integer(value: int, tag: int = _INTEGER) -> bytes:
    """Return an INTEGER that is not negative, or an ENUMERATED."""
    return write_element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


UNBIND: Final = bytes.fromhex("30050201014200")
"""UnbindRequest (RFC 4511 section 4.3); nothing answers it, so its message id does not matter."""


def write_search(
    message_id: int, request: SearchRequest, *, time_limit_seconds: int, controls: Sequence[Control] = ()
) -> bytes:
    """Return the SearchRequest message (RFC 4511 section 4.5.1).

    Aliases are never dereferenced.

    Raises:
        NameSyntaxError: the filter holds what is no attribute or matching rule, or a part that would be true of
            everybody.

    """
    attributes = b"".join(write_element(_OCTET_STRING, name.encode()) for name in request.attributes)
    operation = write_element(
        _SEARCH_REQUEST,
        write_element(_OCTET_STRING, request.base.encode("utf-8", "surrogatepass"))
        + write_integer(_SCOPES[request.scope], _ENUMERATED)
        + _NEVER_DEREFERENCE
        + write_integer(request.size_limit)
        + write_integer(time_limit_seconds)
        + _TYPES_AND_VALUES
        + write_filter(request.filter)
        + write_element(_SEQUENCE, attributes),
    )
    listed = b"".join(map(_write_control, controls))
    return write_element(
        _SEQUENCE,
        write_integer(message_id) + operation + (write_element(_CONTROLS, listed) if listed else b""),
    )


def _write_control(control: Control) -> bytes:
    value = b"" if control.value is None else write_element(_OCTET_STRING, control.value)
    critical = b"\x01\x01\xff" if control.critical else b""
    return write_element(_SEQUENCE, write_element(_OCTET_STRING, control.oid.encode()) + critical + value)


def write_filter(node: Filter) -> bytes:  # noqa: PLR0911 - one case for each member of the union
    """Return a filter (RFC 4511 section 4.5.1.7), each value as its octets.

    Raises:
        NameSyntaxError: as `filters.render_filter`, for the same filters.

    """
    match node:
        case Equality():
            return write_element(0xA3, _assertion(node.attribute, node.value))
        case Comparison():
            return write_element(_COMPARISONS[node.operator], _assertion(node.attribute, node.value))
        case Substring():
            return write_element(0xA4, _pieces(node))
        case Extensible():
            return write_element(0xA9, _extensible(node))
        case Present():
            return write_element(0x87, check_attribute_description(node.attribute).encode())
        case And():
            return write_element(0xA0, _parts(node.parts))
        case Or():
            return write_element(0xA1, _parts(node.parts))
        case Not():
            return write_element(0xA2, write_filter(node.part))
        case _:
            assert_never(node)


def _octets(value: FactValue) -> bytes:
    # A lone surrogate becomes three octets that no server takes for a character, so it finds nobody.
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def _assertion(attribute: str, value: FactValue) -> bytes:
    described = check_attribute_description(attribute).encode()
    return write_element(_OCTET_STRING, described) + write_element(_OCTET_STRING, _octets(value))


def _pieces(node: Substring) -> bytes:
    if not any((node.initial, *node.middle, node.final)) or not all(node.middle):
        raise NameSyntaxError("a substring match without a substring")
    listed = write_element(0x80, _octets(node.initial)) if node.initial else b""
    listed += b"".join(write_element(0x81, _octets(piece)) for piece in node.middle)
    listed += write_element(0x82, _octets(node.final)) if node.final else b""
    described = check_attribute_description(node.attribute).encode()
    return write_element(_OCTET_STRING, described) + write_element(_SEQUENCE, listed)


def _extensible(node: Extensible) -> bytes:
    if not node.attribute and not node.rule:
        raise NameSyntaxError("an extensible match names neither an attribute nor a matching rule")
    rule = write_element(0x81, check_matching_rule(node.rule).encode()) if node.rule else b""
    attribute = (
        write_element(0x82, check_attribute_description(node.attribute).encode()) if node.attribute else b""
    )
    dn_attributes = b"\x84\x01\xff" if node.dn_attributes else b""
    return rule + attribute + write_element(0x83, _octets(node.value)) + dn_attributes


def _parts(parts: "tuple[Filter, ...]") -> bytes:
    if not parts:
        raise NameSyntaxError("`&` and `|` need at least one filter")
    return b"".join(map(write_filter, parts))


# --- reading


def cut_message(octets: bytes | bytearray, start: int) -> int | None:
    """Return where the message that begins at `start` ends, None while it is not all there.

    Raises:
        MessageSyntaxError: no message begins there.

    """
    if len(octets) <= start:
        return None
    if octets[start] != _SEQUENCE:
        raise MessageSyntaxError(f"expected a message, found tag 0x{octets[start]:02x}")
    if len(octets) < start + 2:
        return None
    first = octets[start + 1]
    if first < 0x80:
        end = start + 2 + first
    else:
        count = first & 0x7F
        if not 0 < count <= _LONGEST_LENGTH:
            raise MessageSyntaxError(f"length of {count} octets")
        content = start + 2 + count
        if len(octets) < content:
            return None
        end = content + int.from_bytes(octets[start + 2 : content], "big")
    return end if end <= len(octets) else None


def length_wanted(octets: bytes | bytearray, start: int) -> int:
    """Return how many octets the message that begins at `start` has in all, 0 while that is not known."""
    if len(octets) < start + 2:
        return 0
    first = octets[start + 1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if len(octets) < start + 2 + count:
        return 0
    return 2 + count + int.from_bytes(octets[start + 2 : start + 2 + count], "big")


def read_elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut octets into elements: tag and content, one after another, with nothing left over.

    Raises:
        MessageSyntaxError: an element is cut off, or its length is indefinite.

    """
    position, end = 0, len(octets)
    while position < end:
        tag = octets[position]
        content, after = _bounds(octets, position + 1, end)
        yield tag, octets[content:after]
        position = after


def _bounds(octets: bytes, position: int, end: int) -> tuple[int, int]:
    """Return where the content begins whose length is written at a position, and where it ends."""
    if position >= end:
        raise MessageSyntaxError("an element is cut off")
    length = octets[position]
    content = position + 1
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= _LONGEST_LENGTH:
            raise MessageSyntaxError(f"length of {count} octets")
        content += count
        length = int.from_bytes(octets[position + 1 : content], "big")
    after = content + length
    if after > end:
        raise MessageSyntaxError("an element reaches beyond the one around it")
    return content, after


def read_message(octets: bytes) -> Message:
    """Read one whole message.

    Raises:
        MessageSyntaxError: it is none.

    """
    content, after = _bounds(octets, 1, len(octets))
    if after != len(octets):
        raise MessageSyntaxError("octets are left over")
    parts = tuple(read_elements(octets[content:]))
    if not 2 <= len(parts) <= 3 or parts[0][0] != _INTEGER or not 0 < len(parts[0][1]) <= 5:
        raise MessageSyntaxError("expected an id, an operation and controls")
    controls = _NO_CONTROLS
    if len(parts) == 3:
        if parts[2][0] != _CONTROLS:
            raise MessageSyntaxError(f"expected controls, found tag 0x{parts[2][0]:02x}")
        controls = dict(_read_control(element) for element in read_elements(parts[2][1]))
    return Message(
        message_id=int.from_bytes(parts[0][1], "big"),
        tag=parts[1][0],
        content=parts[1][1],
        controls=controls,
    )


def _read_control(element: tuple[int, bytes]) -> tuple[str, bytes]:
    tag, content = element
    parts = tuple(read_elements(content))
    if tag != _SEQUENCE or not parts or parts[0][0] != _OCTET_STRING:
        raise MessageSyntaxError("expected a control")
    value = next((octets for kind, octets in parts[1:] if kind == _OCTET_STRING), b"")
    return parts[0][1].decode("ascii", "replace"), value


def read_entry_message(content: bytes) -> FoundEntry:
    """Read the content of a SearchResultEntry (RFC 4511 section 4.5.2).

    Raises:
        MessageSyntaxError: it is none.

    """
    # Written out rather than with `read_elements`: an entry has dozens of elements, and this is the hot path.
    end = len(content)
    if not end or content[0] != _OCTET_STRING:
        raise MessageSyntaxError("expected the name of an entry")
    start, position = _bounds(content, 1, end)
    dn = content[start:position]
    if position >= end or content[position] != _SEQUENCE:
        raise MessageSyntaxError("expected the attributes of an entry")
    position, after = _bounds(content, position + 1, end)
    if after != end:
        raise MessageSyntaxError("octets are left over in an entry")
    values: dict[str, tuple[bytes, ...]] = {}
    repeated: dict[str, list[bytes]] = {}
    while position < end:
        if content[position] != _SEQUENCE:
            raise MessageSyntaxError("expected an attribute")
        position, attribute_end = _bounds(content, position + 1, end)
        if position >= attribute_end or content[position] != _OCTET_STRING:
            raise MessageSyntaxError("expected the description of an attribute")
        start, position = _bounds(content, position + 1, attribute_end)
        description = content[start:position].decode("ascii", "replace").lower()
        found = _read_values(content, position, attribute_end)
        if description not in values:
            values[description] = found
        else:
            # The same description twice is one attribute: nothing that was sent is dropped. A list, because joining
            # tuples again and again would take hours for the octets that one answer may have.
            repeated.setdefault(description, [*values[description]]).extend(found)
        position = attribute_end
    values.update((description, tuple(found)) for description, found in repeated.items())
    return FoundEntry(dn=dn, values=values)


def _read_values(content: bytes, position: int, end: int) -> tuple[bytes, ...]:
    """Read the set of values that fills the content from a position to `end`."""
    if position >= end or content[position] != _SET:
        raise MessageSyntaxError("expected the values of an attribute")
    position, after = _bounds(content, position + 1, end)
    if after != end:
        raise MessageSyntaxError("octets are left over in an attribute")
    values: list[bytes] = []
    while position < end:
        if content[position] != _OCTET_STRING:
            raise MessageSyntaxError("expected a value")
        start, position = _bounds(content, position + 1, end)
        values.append(content[start:position])
    return tuple(values)


def read_reference_message(content: bytes) -> tuple[str, ...]:
    """Read the content of a SearchResultReference: its URIs.

    Raises:
        MessageSyntaxError: it is none.

    """
    elements = tuple(read_elements(content))
    if not elements or any(tag != _OCTET_STRING for tag, _uri in elements):
        raise MessageSyntaxError("expected the addresses of a reference")
    return tuple(uri.decode("utf-8", "replace") for _tag, uri in elements)


def read_result_message(content: bytes) -> Result:
    """Read the content of a SearchResultDone, or of any other LDAPResult.

    Raises:
        MessageSyntaxError: it is none.

    """
    elements = tuple(read_elements(content))
    tags = tuple(tag for tag, _octets in elements[:3])
    if tags != (_ENUMERATED, _OCTET_STRING, _OCTET_STRING) or not 0 < len(elements[0][1]) <= 4:
        raise MessageSyntaxError("expected a result")
    return Result(
        code=int.from_bytes(elements[0][1], "big"),
        matched_dn=elements[1][1].decode("utf-8", "replace"),
        message=elements[2][1].decode("utf-8", "replace"),
    )
