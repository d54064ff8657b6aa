r"""Printing names: RFC 4514, canonical and abbreviated slash form, wildcards.

Here: the only place where the special characters of names are escaped. Not here: search filters
(`filters.py`), which escape once more in their own way. Import everything from `directory_assistance.dn`.

INVARIANT: `read_name(render_name(name)) == name` and `read_ldap_dn(render_ldap(dn)) == dn` for every name
that a reader can make. Printing is total: a name that no reader would make (of a hostile certificate) is
printed too, for traces, but may not read back.
"""

import re
from typing import Final, assert_never

from directory_assistance.dn_reading import read_hex_value, read_member
from directory_assistance.dn_values import (
    COMMON_NAME,
    COUNTRY,
    ORGANISATION,
    ORGANISATIONAL_UNIT,
    SHORT_NAME_BY_OID,
    Attribute,
    DistinguishedName,
    FlatName,
    InternetName,
    MemberReference,
    Name,
    RelativeDistinguishedName,
    WildcardName,
)
from directory_assistance.errors import NameSyntaxError

__all__ = ["quote_slash_form", "render_canonical", "render_ldap", "render_member", "render_name"]

_ORGANISATIONAL: Final = frozenset({COMMON_NAME, ORGANISATIONAL_UNIT, ORGANISATION, COUNTRY})
_LDAP_SPECIAL: Final = re.compile(r'[\\"+,;<>]|^[ #]| $')
_LDAP_OCTETS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SLASH_SPECIAL: Final = re.compile(r"[/=]|\$\Z")
_UTF8_STRING_TAG: Final = 0x0C


def _ldap_character(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _ldap_octets(match: re.Match[str]) -> str:
    return "".join(f"\\{octet:02X}" for octet in match[0].encode("utf-8", "surrogatepass"))


def _ber_utf8_string(value: str) -> str:
    content = value.encode("utf-8", "surrogatepass")
    length = len(content)
    if length < 0x80:
        header = bytes([_UTF8_STRING_TAG, length])
    else:
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        header = bytes([_UTF8_STRING_TAG, 0x80 | len(octets)]) + octets
    return "#" + (header + content).hex()


def _ldap_value(attribute: Attribute) -> str:
    if attribute.oid[:1].isdigit() and attribute.oid not in SHORT_NAME_BY_OID:
        # RFC 4514 section 2.4: a type printed in dotted form has its value in hexadecimal BER
        if read_hex_value(attribute.value) == attribute.value:
            return attribute.value
        return _ber_utf8_string(attribute.value)
    return _LDAP_OCTETS.sub(_ldap_octets, _LDAP_SPECIAL.sub(_ldap_character, attribute.value))


def _keyword(attribute: Attribute, *, upper: bool) -> str:
    short = SHORT_NAME_BY_OID.get(attribute.oid, attribute.oid)
    return short if upper else short.casefold()


def _ldap_component(rdn: RelativeDistinguishedName, *, upper: bool = True) -> str:
    return "+".join(
        f"{_keyword(attribute, upper=upper)}={_ldap_value(attribute)}" for attribute in rdn.attributes
    )


def render_ldap(dn: DistinguishedName) -> str:
    """Print in the string form of LDAP, leaf first: `CN=Dave Lawson,O=Renovations`.

    RFC 4514 section 2. A type without a short name here is dotted, its value then hexadecimal BER of a
    UTF8String. Control characters and unpaired surrogates are printed as escaped octets.
    """
    return ",".join(_ldap_component(rdn) for rdn in dn.rdns)


def quote_slash_form(value: str) -> str:
    """Escape a value for slash form with quotes (semantics: Names, Escapes).

    Quoted are `/` and `=`, the quote itself (as three), and a `$` at the end, which would otherwise escape
    the separator after it.
    """
    return '"""'.join(_SLASH_SPECIAL.sub(r'"\g<0>"', piece) for piece in value.split('"'))


def _only_organisational(rdns: tuple[RelativeDistinguishedName, ...]) -> bool:
    return all(attribute.oid in _ORGANISATIONAL for rdn in rdns for attribute in rdn.attributes)


def _slash_component(rdn: RelativeDistinguishedName, *, upper: bool) -> str:
    return "+".join(
        f"{_keyword(attribute, upper=upper)}={quote_slash_form(attribute.value)}"
        for attribute in rdn.attributes
    )


def _slash_components(rdns: tuple[RelativeDistinguishedName, ...]) -> str:
    upper = _only_organisational(rdns)
    return "/".join(_slash_component(rdn, upper=upper) for rdn in rdns)


def _abbreviate(rdns: tuple[RelativeDistinguishedName, ...]) -> str:
    """Join the values without keywords; whether that means the same name is for the caller to try."""
    return "/".join(quote_slash_form(attribute.value) for rdn in rdns for attribute in rdn.attributes)


def render_canonical(dn: DistinguishedName) -> str:
    r"""Print in slash form with keywords: `CN=Dave Lawson/O=Renovations`, `uid=675894/o=airius.com`.

    Upper case where every attribute is CN, OU, O or C, else lower case. A name of one component has no
    separator, and without one the text is read as RFC 4514: so it is escaped that way, with `\2F`, `\22` and
    `\24` for what slash form would take for syntax.
    """
    if len(dn.rdns) != 1:
        return _slash_components(dn.rdns)
    component = _ldap_component(dn.rdns[0], upper=_only_organisational(dn.rdns))
    return component.replace("/", r"\2F").replace(r"\"", r"\22").replace("$", r"\24")


def _reads_as(text: str, reference: MemberReference) -> bool:
    try:
        # not `read_name`: a name whose first component is a star must not be printed like a wildcard
        return read_member(text) == reference
    except NameSyntaxError:
        return False


def render_name(name: Name) -> str:
    """Print a name as identities are shown: abbreviated where that reads back the same, else canonical.

    Flat and Internet names are printed as they are, but for quotes around what would give them another form.
    """
    match name:
        case DistinguishedName():
            abbreviated = _abbreviate(name.rdns)
            return abbreviated if _reads_as(abbreviated, name) else render_canonical(name)
        case FlatName():
            return quote_slash_form(name.text).replace("@", '"@"')
        case InternetName():
            return quote_slash_form(name.text)
    assert_never(name)


def render_member(reference: MemberReference) -> str:
    """Print what an ACL or a group lists.

    A wildcard is `*/Sales/Acme` or, where that would read otherwise, has keywords: `*/O=US`.
    """
    if not isinstance(reference, WildcardName):
        return render_name(reference)
    abbreviated = "*/" + _abbreviate(reference.suffix)
    return abbreviated if _reads_as(abbreviated, reference) else "*/" + _slash_components(reference.suffix)
