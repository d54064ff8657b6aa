"""Names as the extensions of certificates and lists write them: GeneralName (RFC 5280 section 4.2.1.6), and name keys.

Lives here: reading a GeneralName, with the key by which two are equal, and the key by which certificates chain.
Not here: what a certificate's holder is called (`directory_assistance.certificate_names`), constraints on names
(`name_constraints.py`), distribution points (`distribution_points.py`).

INVARIANT: distinguished names are equal when their RFC 4518 forms are, whatever string types they are encoded with;
a name that must not be compared so (control characters, values that are no text) equals only the same octets.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from directory_assistance.certificate_names import read_distinguished_name
from directory_assistance.der import (
    OBJECT_IDENTIFIER,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_elements,
    read_object_identifier,
)
from directory_assistance.dn import DistinguishedName, NameKey

__all__ = [
    "GeneralName",
    "GeneralNameKind",
    "read_general_name",
    "read_general_names",
    "read_name_key",
]

_MOST_GENERAL_NAMES: Final = 10_000
"""Names of one extension: a certificate of 64 KiB has room for some more, nobody has use for them."""

_EXPLICIT_0: Final = 0xA0


class GeneralNameKind(StrEnum):
    """The choices of GeneralName, by their names in RFC 5280."""

    OTHER_NAME = "otherName"
    MAIL = "rfc822Name"
    DNS = "dNSName"
    X400_ADDRESS = "x400Address"
    DIRECTORY_NAME = "directoryName"
    EDI_PARTY_NAME = "ediPartyName"
    URI = "uniformResourceIdentifier"
    IP_ADDRESS = "iPAddress"
    REGISTERED_ID = "registeredID"


_KINDS: Final = {
    0xA0: GeneralNameKind.OTHER_NAME,
    0x81: GeneralNameKind.MAIL,
    0x82: GeneralNameKind.DNS,
    0xA3: GeneralNameKind.X400_ADDRESS,
    0xA4: GeneralNameKind.DIRECTORY_NAME,
    0xA5: GeneralNameKind.EDI_PARTY_NAME,
    0x86: GeneralNameKind.URI,
    0x87: GeneralNameKind.IP_ADDRESS,
    0x88: GeneralNameKind.REGISTERED_ID,
}
_TEXT_KINDS: Final = frozenset({GeneralNameKind.MAIL, GeneralNameKind.DNS, GeneralNameKind.URI})


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralName:
    """One general name; two are equal if kind and key are.

    `key`: for a directoryName its name key, for an otherName type and value, else the content. `text`: mail
    address, DNS name or URI as written (ASCII); the dotted type of an otherName; a registeredID dotted; else empty.
    `content`: content octets; of an otherName the DER of the value. `name`: of a directoryName, None where it must
    not be compared but by its octets.
    """

    kind: GeneralNameKind
    key: str
    text: str = field(default="", compare=False)
    content: bytes = field(repr=False, compare=False)
    name: DistinguishedName | None = field(default=None, compare=False)


def read_name_key(der: bytes) -> NameKey:
    """Return what two encoded names have in common exactly when they are the same name (RFC 5280 section 7.1).

    Total, whatever the octets.
    """
    return _name_key(read_distinguished_name(der), der)


def _name_key(name: DistinguishedName | None, der: bytes) -> NameKey:
    return NameKey(f"octets:{der.hex()}") if name is None else name.key


def read_general_name(element: Element) -> GeneralName:
    """Read one GeneralName.

    Raises:
        DerSyntaxError: it is none, or a text in it is not ASCII.

    """
    kind = _KINDS.get(element.tag)
    if kind is None:
        raise DerSyntaxError(f"expected a general name, found tag 0x{element.tag:02x}")
    content = element.content
    if kind in _TEXT_KINDS:
        try:
            text = content.decode("ascii")
        except UnicodeDecodeError as error:
            raise DerSyntaxError(f"{kind.value} is not ASCII") from error
        return GeneralName(kind=kind, key=text, text=text, content=content)
    if kind is GeneralNameKind.DIRECTORY_NAME:
        read_element(content, SEQUENCE)  # the tag is explicit, because a Name is a CHOICE
        name = read_distinguished_name(content)
        return GeneralName(kind=kind, key=_name_key(name, content), content=content, name=name)
    if kind is GeneralNameKind.OTHER_NAME:
        fields = Fields(content)
        oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
        value = fields.take(_EXPLICIT_0).content
        fields.finish()
        return GeneralName(kind=kind, key=f"{oid}:{value.hex()}", text=oid, content=value)
    if kind is GeneralNameKind.REGISTERED_ID:
        oid = read_object_identifier(content)
        return GeneralName(kind=kind, key=oid, text=oid, content=content)
    return GeneralName(kind=kind, key=content.hex(), content=content)


def read_general_names(content: bytes) -> tuple[GeneralName, ...]:
    """Read the content of GeneralNames: one at least.

    Raises:
        DerSyntaxError: none, one that cannot be read, or more than 10,000.

    """
    elements = read_elements(content)
    if not elements:
        raise DerSyntaxError("expected a general name, found none")
    if len(elements) > _MOST_GENERAL_NAMES:
        raise DerSyntaxError(f"expected at most {_MOST_GENERAL_NAMES} general names, found {len(elements)}")
    return tuple(map(read_general_name, elements))
