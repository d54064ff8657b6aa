r"""Reading texts as names: RFC 4514, slash form with and without keywords, flat, Internet, wildcards.

Here: what a text means, and nothing else. Not here: whether a name may be used (`dn.is_reserved`), how one is
printed (`dn_printing.py`). Import everything from `directory_assistance.dn`.

INVARIANT: the readers take any text and give a name or raise `NameSyntaxError`. A name they give has at least
one component, no blank component, and no unusable character. They never guess: a text that fits no form is
refused.

Slash form has two documented escapes, both read: quotes (`Sales"/"Marketing`, `"Sales/Marketing"`, and three
of them for a quote itself) and `$` before `/` or `=`. Elsewhere `$`, and everywhere `\` and `+`, are ordinary
characters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from directory_assistance.dn_values import (
    COMMON_NAME,
    COUNTRY,
    OID_BY_DESCRIPTOR,
    ORGANISATION,
    ORGANISATIONAL_UNIT,
    Attribute,
    DistinguishedName,
    FlatName,
    InternetName,
    MemberReference,
    Name,
    RelativeDistinguishedName,
    WildcardName,
    has_unusable_characters,
    is_blank,
    prepare,
)
from directory_assistance.errors import NameSyntaxError, shorten

__all__ = [
    "MarkedText",
    "dn_from_attributes",
    "mark_escapes",
    "read_hex_value",
    "read_ldap_dn",
    "read_member",
    "read_name",
]

_LONGEST_NAME: Final = 4_096
"""Characters in all values and types of a name that is read: 60 times what X.520 allows a common name."""

_LONGEST_TEXT: Final = 65_536
"""Characters of a text that is read as a name: every name of the longest fits, however it is escaped."""

_MOST_ATTRIBUTES: Final = 64
"""Attributes of a name that is read; a directory tree is rarely deeper than ten. Bounds its wildcards."""

_ESCAPED: Final = "\0"
"""What a mask holds in the place of an escaped character; free, since texts with NUL are refused first."""

_PAIRED_QUOTES: Final = "quotes in pairs around something (three of them mean a quote itself)"
_ATTRIBUTE_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_COUNTRY_LETTERS: Final = re.compile(r"[A-Za-z]{2}")
_LDAP_VALUE: Final = re.compile(r'(?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^\\"+,;<>])*')
_LDAP_ESCAPES: Final = re.compile(r'((?:\\[0-9A-Fa-f]{2})+)|\\([ "#+,;<=>\\])')
_HEX_VALUE: Final = re.compile(r"#(?:[0-9A-Fa-f]{2})+")

_STRING_ENCODING_BY_TAG: Final = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, which everybody writes as Latin-1
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedText:
    """A text in slash form with its escapes resolved.

    `plain` is the text meant; `mask` is the same with NUL in the place of each escaped character, so that
    syntax is looked for in `mask` and cut out of `plain`. `unpaired` tells of a quote that encloses nothing;
    it is kept as an ordinary character, for the caller to refuse.
    INVARIANT: `plain` and `mask` have the same length.
    """

    plain: str
    mask: str
    unpaired: bool = False

    def split(self, separator: str) -> list["MarkedText"]:
        """Split at the unescaped separators."""
        parts: list[MarkedText] = []
        start = 0
        for part in self.mask.split(separator):
            parts.append(MarkedText(plain=self.plain[start : start + len(part)], mask=part))
            start += len(part) + len(separator)
        return parts


def mark_escapes(text: str) -> MarkedText:
    """Resolve the escapes of slash form; total."""
    plain: list[str] = []
    mask: list[str] = []
    position = 0
    unpaired = False
    while position < len(text):
        character = text[position]
        if character == "$" and text[position + 1 : position + 2] in {"/", "="}:
            escaped, position = text[position + 1], position + 2
        elif character == '"' and text.startswith('"""', position):
            escaped, position = '"', position + 3
        elif character == '"' and (end := text.find('"', position + 1)) > position + 1:
            escaped, position = text[position + 1 : end], end + 1
        else:
            unpaired = unpaired or character == '"'
            plain.append(character)
            mask.append(character)
            position += 1
            continue
        plain.append(escaped)
        mask.append(_ESCAPED * len(escaped))
    return MarkedText(plain="".join(plain), mask="".join(mask), unpaired=unpaired)


def _refuse(text: str, expected: str) -> NameSyntaxError:
    return NameSyntaxError(f"expected {expected}, found `{shorten(text)}`")


def _require_usable(text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise _refuse(text, f"a text of at most {_LONGEST_TEXT} characters")
    if has_unusable_characters(text):
        raise _refuse(text, "a name without control characters and unpaired surrogates")


def _require_short(characters: int, text: str) -> None:
    if characters > _LONGEST_NAME:
        raise _refuse(text, f"a name of at most {_LONGEST_NAME} characters")


def _sized(rdns: tuple[RelativeDistinguishedName, ...], whole: str) -> tuple[RelativeDistinguishedName, ...]:
    attributes = [attribute for rdn in rdns for attribute in rdn.attributes]
    if len(attributes) > _MOST_ATTRIBUTES:
        raise _refuse(whole, f"a name of at most {_MOST_ATTRIBUTES} attributes")
    _require_short(sum(len(attribute.oid) + len(attribute.value) for attribute in attributes), whole)
    return rdns


def _read_type(text: str, whole: str) -> str:
    if not _ATTRIBUTE_TYPE.fullmatch(text):
        expected = f"an attribute type such as `CN` or `2.5.4.3` before `=` instead of `{shorten(text)}`"
        raise _refuse(whole, expected)
    descriptor = text.casefold()  # ASCII by the pattern above
    return OID_BY_DESCRIPTOR.get(descriptor, descriptor)


def _attribute(oid: str, value: str, whole: str) -> Attribute:
    if has_unusable_characters(value):
        raise _refuse(whole, "a value without control characters and unpaired surrogates")
    attribute = Attribute(oid=oid, value=value)
    if not attribute.prepared:
        raise _refuse(whole, "a value that is not blank in every component")
    return attribute


def _rdn(oid: str, value: str, whole: str) -> RelativeDistinguishedName:
    return RelativeDistinguishedName(attributes=(_attribute(oid, value, whole),))


# --- slash form


def _read_keyword_component(component: MarkedText, whole: str) -> RelativeDistinguishedName:
    """Read `CN=Dave Lawson` or, multi-valued, `CN=Dave Lawson+UID=dave`.

    A `+` separates attributes only where an attribute type and an unescaped `=` follow: a plus sign in a
    value is written as it is, and the `=` in one is escaped, so the last `+` before an unescaped `=` is the
    separator.
    """
    pieces = component.split("=")
    if len(pieces) == 1:
        raise _refuse(whole, "`keyword=value` in every component, leaf first, or no keyword at all")
    attributes: list[Attribute] = []
    kind = pieces[0].plain.strip()
    for piece in pieces[1:-1]:
        plus = piece.mask.rfind("+")
        if plus < 0:
            raise _refuse(whole, 'one `=` in every component (write `"="` or `$=` in a value)')
        attributes.append(_attribute(_read_type(kind, whole), piece.plain[:plus].strip(), whole))
        kind = piece.plain[plus + 1 :].strip()
    attributes.append(_attribute(_read_type(kind, whole), pieces[-1].plain.strip(), whole))
    return RelativeDistinguishedName(attributes=tuple(attributes))


def _read_keyword_components(marked: MarkedText, whole: str) -> tuple[RelativeDistinguishedName, ...]:
    components = marked.split("/")
    if not components[0].plain.strip():
        raise _refuse(whole, "a name written leaf first, without a leading `/`")
    return _sized(tuple(_read_keyword_component(component, whole) for component in components), whole)


def _read_organisation(parts: list[str], whole: str) -> tuple[RelativeDistinguishedName, ...]:
    """Read what follows the first part of an abbreviated name: OU..., O and, of three or more in all, C."""
    if not all(parts):
        raise _refuse(whole, "a name without empty components")
    types = [ORGANISATIONAL_UNIT] * (len(parts) - 1) + [ORGANISATION]
    if len(parts) >= 2 and _COUNTRY_LETTERS.fullmatch(parts[-1]):
        types = [ORGANISATIONAL_UNIT] * (len(parts) - 2) + [ORGANISATION, COUNTRY]
    return _sized(tuple(_rdn(oid, part, whole) for oid, part in zip(types, parts, strict=True)), whole)


def _read_abbreviated(marked: MarkedText, whole: str) -> DistinguishedName:
    first, *rest = [part.plain.strip() for part in marked.split("/")]
    rdns = (_rdn(COMMON_NAME, first, whole), *_read_organisation(rest, whole))
    return DistinguishedName(rdns=_sized(rdns, whole))


# --- LDAP form


def read_hex_value(text: str) -> str | None:
    """Return the value that `#` and hexadecimal BER stands for (RFC 4514 section 2.4), None if it is no BER.

    A string type gives its text; any other type gives the text itself in lower case, see `Attribute`.
    """
    if not _HEX_VALUE.fullmatch(text):
        return None
    octets = bytes.fromhex(text[1:])
    content = _ber_content(octets)
    if content is None:
        return None
    encoding = _STRING_ENCODING_BY_TAG.get(octets[0])
    if encoding is None:
        return text.casefold()  # ASCII by the pattern above
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _ber_content(octets: bytes) -> bytes | None:
    """Return the content of exactly one element with a one-octet tag and a definite length, else None."""
    if len(octets) < 2 or octets[0] & 0x1F == 0x1F:
        return None
    start = 2
    length = octets[1]
    if length == 0x80:  # indefinite
        return None
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(octets[2:start], "big")
    return octets[start:] if len(octets) == start + length else None


def _replace_ldap_escape(match: re.Match[str]) -> str:
    return bytes.fromhex(match[1].replace("\\", "")).decode() if match[1] else match[2]


def _read_ldap_value(raw: str, whole: str) -> str:
    trimmed = raw.strip(" ")
    if raw.endswith(" ") and (len(trimmed) - len(trimmed.rstrip("\\"))) % 2:
        trimmed += " "  # the last space is escaped
    if trimmed.startswith("#"):
        value = read_hex_value(trimmed)
        if value is None:
            raise _refuse(whole, "hexadecimal BER after `#` (write `\\#` for the character)")
        return value
    if "\\" not in trimmed:
        return trimmed
    try:
        return _LDAP_ESCAPES.sub(_replace_ldap_escape, trimmed)
    except UnicodeDecodeError:
        raise _refuse(whole, "escaped octets that are UTF-8") from None


def _read_ldap_components(text: str, whole: str) -> tuple[RelativeDistinguishedName, ...]:
    rdns: list[RelativeDistinguishedName] = []
    attributes: list[Attribute] = []
    position = 0
    while True:
        equals = text.find("=", position)
        if equals < 0:
            raise _refuse(whole, "`type=value` in every component, separated by `,` (RFC 4514)")
        oid = _read_type(text[position:equals].strip(" "), whole)
        match = _LDAP_VALUE.match(text, equals + 1)
        assert match is not None  # the pattern fits the empty text too
        end = match.end()
        attributes.append(_attribute(oid, _read_ldap_value(text[equals + 1 : end], whole), whole))
        separator = text[end : end + 1]
        if separator not in {"", ",", "+"}:
            raise _refuse(whole, f"`\\` before `{shorten(separator)}` in a value (RFC 4514)")
        if separator != "+":
            rdns.append(RelativeDistinguishedName(attributes=tuple(attributes)))
            attributes = []
        if not separator:
            return _sized(tuple(rdns), whole)
        position = end + 1


def read_ldap_dn(text: str) -> DistinguishedName:
    r"""Read the string form of LDAP, `CN=Dave Lawson,OU=East,O=Renovations,C=US` (RFC 4514 section 3).

    Strict, with one courtesy: spaces beside `,` `+` `=` are ignored, as people type them (RFC 2253 section
    4). The quoted values and `;` of RFC 1779 are refused; so is the empty name, because it names nobody.
    Escapes are `\` before a special character and `\` before two hexadecimal digits of UTF-8; `#` begins
    hexadecimal BER. A type that is not known keeps its casefolded descriptor.

    Raises:
        NameSyntaxError: the text is not such a name.

    """
    _require_usable(text)
    return DistinguishedName(rdns=_read_ldap_components(text, text))


# --- any form


def read_name(text: str) -> Name:
    """Read a name in any form (semantics: Names, Reading).

    1. An unescaped `=` means keywords: in slash form if an unescaped `/` exists, else RFC 4514.
    2. Else an unescaped `/` means abbreviated: of three parts or more a last one of two ASCII letters is the
       country, otherwise the last is the organisation; of two the last is the organisation.
    3. Else `@` means an Internet name.
    4. Else it is flat.

    One component whose only slashes are escaped (`OU=Sales$/Marketing`) is slash form, unless it has a comma.
    A root-first name (`/C=US/O=Acme/CN=Dave`) and one with empty components (`Dave/`) are refused, not
    repaired.

    Raises:
        NameSyntaxError: the text has no such form, is blank, has more than 4,096 characters or 64
            attributes, or holds an unusable character.

    """
    _require_usable(text)
    marked = mark_escapes(text)
    keywords = "=" in marked.mask
    slashes = "/" in marked.mask
    if keywords and not slashes and ("/" not in text or "," in text):
        return DistinguishedName(rdns=_read_ldap_components(text, text))
    if marked.unpaired:
        raise _refuse(text, _PAIRED_QUOTES)
    if keywords:
        return DistinguishedName(rdns=_read_keyword_components(marked, text))
    if slashes:
        return _read_abbreviated(marked, text)
    plain = marked.plain.strip()
    if is_blank(plain):
        raise _refuse(text, "a name that is not blank")
    _require_short(len(plain), text)
    return InternetName(text=plain) if "@" in marked.mask else FlatName(text=plain)


def _read_wildcard(text: str, rest: str) -> WildcardName:
    """Read what follows the `*`: `/Sales/Acme`, `/OU=Sales/O=Acme`, `,OU=Sales,O=Acme`."""
    if rest.startswith(","):
        return WildcardName(suffix=_read_ldap_components(rest[1:], text))
    marked = mark_escapes(rest[1:])
    if marked.unpaired:
        raise _refuse(text, _PAIRED_QUOTES)
    if "=" in marked.mask:
        return WildcardName(suffix=_read_keyword_components(marked, text))
    return WildcardName(suffix=_read_organisation([part.plain.strip() for part in marked.split("/")], text))


def read_member(text: str) -> MemberReference:
    """Read what an ACL or a group lists: a name in any form, or a wildcard such as `*/Sales/Acme`.

    `*` stands only as the whole leftmost component, and something must follow it: `*` alone, `*` inside a
    component and `CN=*/O=Acme` are refused, because they look as if they meant something.

    Raises:
        NameSyntaxError: the text is neither.

    """
    _require_usable(text)
    stripped = text.strip()
    rest = stripped[1:].lstrip()
    reference: MemberReference
    if stripped.startswith("*") and rest.startswith(("/", ",")):
        reference = _read_wildcard(text, rest)
        rdns = reference.suffix
        texts = [attribute.prepared for rdn in rdns for attribute in rdn.attributes]
    else:
        reference = read_name(text)
        texts = [prepare(text)]
        if isinstance(reference, DistinguishedName):
            texts = [attribute.prepared for rdn in reference.rdns for attribute in rdn.attributes]
    if any("*" in value for value in texts):
        raise _refuse(text, "`*` only as the whole leftmost component, with something after it")
    return reference


def dn_from_attributes(rdns: Iterable[Iterable[tuple[str, str]]]) -> DistinguishedName:
    """Make a name of parsed attributes, leaf first, each a dotted type and a raw text.

    Total, for the names of certificates: nothing is checked (a value may be blank or hold control characters,
    there may be no component at all). Check with `has_unusable_characters` before a name is used.
    """
    return DistinguishedName(
        rdns=tuple(
            RelativeDistinguishedName(attributes=tuple(Attribute(oid=oid, value=value) for oid, value in rdn))
            for rdn in rdns
        )
    )
