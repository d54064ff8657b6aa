"""Distinguished Encoding Rules, read strictly (X.690).

What lives here: cutting octets into elements, and the few primitive types that names need. What does not: any
knowledge of certificates (`certificate_names.py`), and writing.

Invariants: one octet string has one reading or none. Indefinite and non-minimal lengths, tags above 30,
padded integers, padded object identifier arcs and octets left over are refused, so that no other reader can
see something else in what was read here. Every error is a `DerSyntaxError`, whatever the octets.
"""

from typing import NamedTuple

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "INTEGER",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "DerSyntaxError",
    "Element",
    "Fields",
    "read_element",
    "read_elements",
    "read_integer",
    "read_members",
    "read_object_identifier",
    "read_octets_of_bits",
    "read_true",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31

_HIGH_TAG_NUMBER = 0x1F
"""All five number bits of an identifier octet set: the number follows in further octets (X.690 8.1.2.4)."""

_LONGEST_LENGTH = 4
"""Octets of a long-form length: 4 GiB, far beyond every size limit of ours."""

_LONGEST_OBJECT_IDENTIFIER = 63
"""Octets of an object identifier: as many as `cryptography` reads; longer ones exist only in attacks."""


class DerSyntaxError(ValueError):
    """Octets are not DER of the expected shape."""


class Element(NamedTuple):
    """One element: identifier octet, content octets, and the whole encoding.

    A named tuple rather than a dataclass because a certificate makes hundreds of them on the way of a
    request.
    """

    tag: int
    content: bytes
    encoded: bytes


def read_elements(octets: bytes) -> list[Element]:
    """Cut octets into elements, one after another, with nothing left over.

    Raises:
        DerSyntaxError: a length is cut off, indefinite, not minimal or too long, or a tag number is above 30.

    """
    elements = []
    position = 0
    end = len(octets)
    while position < end:
        start = position
        tag = octets[position]
        if tag & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:
            raise DerSyntaxError(f"tag number above 30 at octet {start}")
        position += 1
        # A short length is read here: nine of ten are short, and a call each is a quarter of the time.
        if position < end and octets[position] < 0x80:
            length = octets[position]
            position += 1
        else:
            length, position = _read_length(octets, position)
        content_end = position + length
        if content_end > end:
            raise DerSyntaxError(f"element at octet {start} wants {length} octets, {end - position} are left")
        elements.append(Element(tag, octets[position:content_end], octets[start:content_end]))
        position = content_end
    return elements


def _read_length(octets: bytes, position: int) -> tuple[int, int]:
    """Return the length in long form written at a position, and the position after it (X.690 8.1.3, 10.1)."""
    if position >= len(octets):
        raise DerSyntaxError(f"length missing at octet {position}")
    count = octets[position] & 0x7F
    position += 1
    if count == 0:
        raise DerSyntaxError(f"indefinite length at octet {position - 1}")
    if count > _LONGEST_LENGTH:
        raise DerSyntaxError(f"length of {count} octets at octet {position - 1}")
    encoded = octets[position : position + count]
    if len(encoded) < count:
        raise DerSyntaxError(f"length cut off at octet {position - 1}")
    length = int.from_bytes(encoded, "big")
    if length < 0x80 or encoded[0] == 0:
        raise DerSyntaxError(f"length not minimal at octet {position - 1}")
    return length, position + count


def read_members(octets: bytes, tag: int, *, at_least: int = 1) -> list[Element]:
    """Cut the content of a SEQUENCE OF or SET OF, each member of this tag.

    Raises:
        DerSyntaxError: as `read_elements`, or a member has another tag, or there are too few.

    """
    elements = read_elements(octets)
    if len(elements) < at_least:
        raise DerSyntaxError(f"expected at least {at_least} element, found {len(elements)}")
    for element in elements:
        if element.tag != tag:
            raise DerSyntaxError(f"expected tag 0x{tag:02x}, found tag 0x{element.tag:02x}")
    return elements


def read_element(octets: bytes, tag: int) -> Element:
    """Read octets that are exactly one element of the given tag.

    Raises:
        DerSyntaxError: they are not.

    """
    fields = Fields(octets)
    element = fields.take(tag)
    fields.finish()
    return element


class Fields:
    """The elements of a constructed content, taken in order; optional ones are told by their tag.

    Args:
        octets: the content of a SEQUENCE, a SET or an explicit tag.

    """

    __slots__ = ("_elements", "_next")

    def __init__(self, octets: bytes) -> None:
        self._elements = read_elements(octets)
        self._next = 0

    def take(self, tag: int) -> Element:
        """Take the next element, which must have this tag."""
        element = self.take_optional(tag)
        if element is None:
            raise DerSyntaxError(f"expected tag 0x{tag:02x}, found {self._found()}")
        return element

    def take_optional(self, tag: int) -> Element | None:
        """Take the next element if it has this tag, else None."""
        if self._next < len(self._elements) and self._elements[self._next].tag == tag:
            self._next += 1
            return self._elements[self._next - 1]
        return None

    def take_any(self) -> Element:
        """Take the next element, whatever its tag."""
        if self._next == len(self._elements):
            raise DerSyntaxError("expected an element, found the end")
        self._next += 1
        return self._elements[self._next - 1]

    def finish(self) -> None:
        """Check that nothing is left over."""
        if self._next < len(self._elements):
            raise DerSyntaxError(f"expected the end, found {self._found()}")

    def _found(self) -> str:
        if self._next == len(self._elements):
            return "the end"
        return f"tag 0x{self._elements[self._next].tag:02x}"


def read_integer(content: bytes) -> int:
    """Return the value of an INTEGER's content (X.690 8.3).

    Raises:
        DerSyntaxError: it is empty or padded.

    """
    if not content:
        raise DerSyntaxError("integer without octets")
    if len(content) > 1 and (
        (content[0] == 0x00 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80)
    ):
        raise DerSyntaxError("integer not minimal")
    return int.from_bytes(content, "big", signed=True)


def read_true(content: bytes) -> None:
    """Check the content of a BOOLEAN DEFAULT FALSE: DER writes only TRUE, as 0xff (X.690 11.1, 11.5).

    Raises:
        DerSyntaxError: it is anything else.

    """
    if content != b"\xff":
        raise DerSyntaxError("boolean is not the one octet 0xff")


def read_octets_of_bits(content: bytes) -> bytes:
    """Return the octets of a BIT STRING's content that is made of whole octets, as a signature is (RFC 5480, RFC 8017).

    Libraries pass over the number of unused bits where those bits are zero: two encodings would then be one signature,
    and a certificate marked revoked would have a twin that is not.

    Raises:
        DerSyntaxError: it has unused bits, or no octet that says so.

    """
    if not content or content[0] != 0:
        raise DerSyntaxError("bit string is not one of whole octets")
    return content[1:]


def read_object_identifier(content: bytes) -> str:
    """Return the dotted form of an OBJECT IDENTIFIER's content (X.690 8.19).

    Raises:
        DerSyntaxError: it is empty, padded, cut off, or longer than 63 octets.

    """
    if not content or content[-1] & 0x80:
        raise DerSyntaxError("object identifier empty or cut off")
    if len(content) > _LONGEST_OBJECT_IDENTIFIER:
        raise DerSyntaxError(f"object identifier of {len(content)} octets")
    arcs: list[int] = []
    arc = 0
    arc_starts = True
    for octet in content:
        if arc_starts and octet == 0x80:
            raise DerSyntaxError("object identifier arc not minimal")
        arc = arc << 7 | octet & 0x7F
        arc_starts = octet < 0x80
        if arc_starts:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
