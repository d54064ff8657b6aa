"""Names as values: distinguished names, flat and Internet names (RFC 4514, RFC 4518, Domino forms)."""

from dataclasses import dataclass, field

from directory_assistance.errors import NameSyntaxError

__all__ = [
    "Attribute",
    "DistinguishedName",
    "FlatName",
    "InternetName",
    "MemberReference",
    "Name",
    "NameSyntaxError",
    "RelativeDistinguishedName",
    "WildcardName",
]

NameKey = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute type and value; `oid` is the dotted type (or a lower-case descriptor unknown to us), `value` raw text."""

    oid: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeDistinguishedName:
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    rdns: tuple[RelativeDistinguishedName, ...]
    key: NameKey = field(init=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatName:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InternetName:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WildcardName:
    suffix: tuple[RelativeDistinguishedName, ...]


Name = DistinguishedName | FlatName | InternetName
MemberReference = Name | WildcardName
