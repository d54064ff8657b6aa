"""Names as values: distinguished names, flat and Internet names, wildcards.

Import names from here. The parts: values and comparison (`dn_values.py`), reading texts (`dn_reading.py`),
printing (`dn_printing.py`); and, here, the questions others ask about a name. Not here: which directory may
assert a name (`naming.py`), what a name may do (the ACL).

INVARIANT: nothing compares printed text. Names are compared with `==`, in SQL by `key_text`.
Standards: RFC 4514 (string form), RFC 4518 (string preparation), RFC 4519 and X.520 (attribute types); the
slash forms are those of Notes and Domino.
"""

from typing import Final

from directory_assistance.dn_printing import (
    quote_slash_form,
    render_canonical,
    render_ldap,
    render_member,
    render_name,
)
from directory_assistance.dn_reading import (
    MarkedText,
    dn_from_attributes,
    mark_escapes,
    read_ldap_dn,
    read_member,
    read_name,
)
from directory_assistance.dn_values import (
    COMMON_NAME,
    COUNTRY,
    ORGANISATION,
    ORGANISATIONAL_UNIT,
    Attribute,
    DistinguishedName,
    FlatName,
    InternetName,
    MemberReference,
    Name,
    NameKey,
    RelativeDistinguishedName,
    WildcardName,
    has_unusable_characters,
    is_blank,
    prepare,
)
from directory_assistance.errors import NameSyntaxError

__all__ = [
    "Attribute",
    "DistinguishedName",
    "FlatName",
    "InternetName",
    "MarkedText",
    "MemberReference",
    "Name",
    "NameKey",
    "NameSyntaxError",
    "OrganisationParts",
    "RelativeDistinguishedName",
    "WildcardName",
    "common_name_of",
    "dn_from_attributes",
    "has_unusable_characters",
    "is_blank",
    "is_hierarchical",
    "is_reserved",
    "key_text",
    "mark_escapes",
    "match_wildcard",
    "organisation_parts",
    "prepare",
    "quote_slash_form",
    "read_ldap_dn",
    "read_member",
    "read_name",
    "render_canonical",
    "render_ldap",
    "render_member",
    "render_name",
    "wildcards_of",
]

OrganisationParts = tuple[str, str, str, str, str, str]
"""OU4, OU3, OU2, OU1, O, C; each prepared for comparison, empty where the name has no such part."""

_MOST_UNITS: Final = 4
"""Organisational units of a name that six-part rules look at: Notes names have no more."""

_RESERVED: Final = frozenset({"anonymous", "-default-"})
"""ACL entries that stand for nobody in particular, prepared."""


def key_text(reference: MemberReference) -> str:
    """Return the key of a name or wildcard as text for index columns: equal exactly for equal references.

    Printable but for what Unicode calls so, and storable in any SQL text column; never shown, never parsed.
    """
    return reference.key


def is_hierarchical(name: Name) -> bool:
    """Tell whether a name has components; the empty subject of a certificate has none."""
    return isinstance(name, DistinguishedName) and bool(name.rdns)


def common_name_of(name: Name) -> str | None:
    """Return the common name as written: a flat name itself, the CN of a hierarchical name's leaf component.

    None for Internet names, and where the leaf has no CN or more than one: a CN further up names a container.
    """
    match name:
        case FlatName():
            return name.text
        case DistinguishedName(rdns=(leaf, *_)):
            values = [attribute.value for attribute in leaf.attributes if attribute.oid == COMMON_NAME]
            return values[0] if len(values) == 1 else None
        case _:
            return None


def wildcards_of(name: Name) -> tuple[WildcardName, ...]:
    """Return every wildcard that matches a name, the most specific first; none for flat and Internet names.

    `X/Sales/Acme` is matched by `*/Sales/Acme` and `*/Acme`: any number of components in the star's place,
    but one at least.
    """
    if not isinstance(name, DistinguishedName):
        return ()
    return tuple(WildcardName(suffix=name.rdns[start:]) for start in range(1, len(name.rdns)))


def match_wildcard(wildcard: WildcardName, name: Name) -> bool:
    """Tell whether a wildcard matches a name; see `wildcards_of`, with which this agrees."""
    return wildcard in wildcards_of(name)


def is_reserved(name: Name) -> bool:
    """Tell whether a name can never be an identity nor a group (semantics: Identity).

    Reserved are `Anonymous` and `-Default-` (also as the only component of a hierarchical name), every name
    with a `*` anywhere, and a name in which there is nothing to compare.
    """
    if isinstance(name, DistinguishedName):
        values = [attribute.prepared for rdn in name.rdns for attribute in rdn.attributes]
    else:
        values = [prepare(name.text)]
    if not any(values) or any("*" in value for value in values):
        return True
    return len(values) == 1 and values[0] in _RESERVED


def organisation_parts(name: Name) -> OrganisationParts | None:
    """Return what a six-part naming rule looks at, or None for a name of another shape.

    The shape is CN, up to four OU, O, C, in that order and one value each; all but the CN may be absent. A
    name with a blank value has another shape, so that a blank never counts as an absent part.
    """
    if not isinstance(name, DistinguishedName) or any(len(rdn.attributes) != 1 for rdn in name.rdns):
        return None
    attributes = [rdn.attributes[0] for rdn in name.rdns]
    if not all(attribute.prepared for attribute in attributes):
        return None
    if not attributes or attributes.pop(0).oid != COMMON_NAME:
        return None
    country = attributes.pop().prepared if attributes and attributes[-1].oid == COUNTRY else ""
    organisation = attributes.pop().prepared if attributes and attributes[-1].oid == ORGANISATION else ""
    if len(attributes) > _MOST_UNITS or any(attribute.oid != ORGANISATIONAL_UNIT for attribute in attributes):
        return None
    units = [""] * (_MOST_UNITS - len(attributes)) + [attribute.prepared for attribute in attributes]
    return (units[0], units[1], units[2], units[3], organisation, country)
