"""Search filters as trees, and their only printer (RFC 4515).

What lives here: the closed union `Filter`, and `render_filter`, **the only place where a value is
escaped**. What does not: the templates that administrators write (`filter_templates.py`), and asking a
server (backends).

Invariants:

* A value is raw until `render_filter` prints it, and is escaped there once. Whatever the value, the printed
  text reads back as one assertion with exactly that value.
* Nothing here builds a filter out of text, so a value cannot change the shape of a filter.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from directory_assistance.dn import DistinguishedName, has_unusable_characters, prepare, render_ldap
from directory_assistance.errors import NameSyntaxError, shorten

__all__ = [
    "And",
    "Comparison",
    "Equality",
    "Extensible",
    "FactValue",
    "Filter",
    "Not",
    "Operator",
    "Or",
    "Present",
    "Substring",
    "certificate_exact_assertion",
    "check_attribute_description",
    "check_matching_rule",
    "is_blank_or_asterisks",
    "is_unusable",
    "render_filter",
]

FactValue = str | bytes
"""The value of an assertion: text, or octets such as a whole certificate."""

_ATTRIBUTE_DESCRIPTION = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+)(?:;[A-Za-z0-9-]+)*", re.ASCII
)
"""attributedescription of RFC 4512 section 2.5: descriptor or dotted type, and options such as `;binary`."""

_MATCHING_RULE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
"""oid of RFC 4512 section 1.4, as an extensible match names its rule."""


class Operator(StrEnum):
    """What compares in a `Comparison` (RFC 4515 section 3), as it is written."""

    APPROXIMATE = "~="
    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """`(attribute=value)`; text is printed as UTF-8, bytes octet by octet."""

    attribute: str
    value: FactValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`(attribute>=value)` and its kin."""

    attribute: str
    operator: Operator
    value: FactValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Substring:
    """`(attribute=initial*middle*final)`; an empty `initial` or `final` is absent, no `middle` is empty."""

    attribute: str
    initial: FactValue = ""
    middle: tuple[FactValue, ...] = ()
    final: FactValue = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensible:
    """`(attribute:dn:rule:=value)`; an empty attribute or rule is absent, but not both."""

    attribute: str = ""
    rule: str = ""
    value: FactValue
    dn_attributes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """`(attribute=*)`: the entry has the attribute."""

    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """`(&...)`: all of them. Without parts it would be true of everybody (RFC 4526), so it is not printed."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """`(|...)`: any of them. Not printed without parts."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """`(!...)`."""

    part: "Filter"


Filter = Equality | Comparison | Substring | Extensible | Present | And | Or | Not


def _escape_octet(octet: int) -> str:
    return f"\\{octet:02x}"


_PRINTED = tuple(
    chr(octet) if 0x20 <= octet < 0x7F and chr(octet) not in "*()\\{}" else _escape_octet(octet)
    for octet in range(256)
)
"""How each octet of a text is printed.

RFC 4515 asks only for NUL, `*`, `(`, `)` and the backslash. We escape everything that is not printable
ASCII as well, so that traces and logs are plain text and no server's or library's idea of UTF-8 matters,
and the braces, so that a printed filter reads back as a template without placeholders.
"""


def render_filter(node: Filter) -> str:  # noqa: PLR0911 - one case for each member of the union
    """Print a filter (RFC 4515 section 3).

    Total for every value of every assertion. A lone surrogate is printed as its three octets, which no
    server takes for a character, so it finds nobody.

    Raises: NameSyntaxError: an attribute description or matching rule is none (configuration checks it
        first, see `check_attribute_description`), or an `And`, `Or` or `Substring` is empty: empty must not
        become "all".

    """
    match node:
        case Equality():
            return f"({check_attribute_description(node.attribute)}={_printed_value(node.value)})"
        case Comparison():
            return (
                f"({check_attribute_description(node.attribute)}{node.operator}{_printed_value(node.value)})"
            )
        case Substring():
            return f"({check_attribute_description(node.attribute)}={_printed_pieces(node)})"
        case Extensible():
            return f"({_printed_extensible(node)}:={_printed_value(node.value)})"
        case Present():
            return f"({check_attribute_description(node.attribute)}=*)"
        case And():
            return f"(&{_printed_parts(node.parts)})"
        case Or():
            return f"(|{_printed_parts(node.parts)})"
        case Not():
            return f"(!{render_filter(node.part)})"
        case _:
            assert_never(node)


def check_attribute_description(text: str) -> str:
    """Return the text if it is an attribute description (RFC 4512 section 2.5): `userCertificate;binary`.

    Raises:
        NameSyntaxError: it is not.

    """
    if _ATTRIBUTE_DESCRIPTION.fullmatch(text) is None:
        raise NameSyntaxError(f"expected an attribute name such as `mail`, found `{shorten(text)}`")
    return text


def check_matching_rule(text: str) -> str:
    """Return the text if it names a matching rule (RFC 4512 section 1.4): `caseIgnoreMatch`, `2.5.13.2`.

    Raises:
        NameSyntaxError: it does not.

    """
    if _MATCHING_RULE.fullmatch(text) is None:
        raise NameSyntaxError(f"expected a matching rule such as `caseIgnoreMatch`, found `{shorten(text)}`")
    return text


def certificate_exact_assertion(issuer: DistinguishedName, serial: int) -> str:
    """Return the value that asks OpenLDAP for the certificate with this issuer and serial number.

    The GSER form of CertificateExactAssertion (RFC 4523 section 2.1, RFC 3642): raw text, to stand in an
    `Equality` on `userCertificate`, where `render_filter` escapes it. Only in this form does OpenLDAP use
    the index; it never matches an issuer with a character outside ASCII.
    """
    quoted = render_ldap(issuer).replace('"', '""')
    return f'{{ serialNumber {serial}, issuer rdnSequence:"{quoted}" }}'


def is_blank_or_asterisks(value: FactValue) -> bool:
    """Whether a value names nobody in particular: nothing, blanks, or `*` only (threat T46).

    Decided on the prepared form (RFC 4518), in which invisible characters are gone and a full-width `*` is
    a `*`.
    """
    if isinstance(value, bytes):
        return not value
    return not prepare(value).replace("*", " ").strip()


def is_unusable(value: FactValue) -> bool:
    """Whether a text holds characters that no name may hold (threat T44); octets may hold anything.

    OpenLDAP, 389-ds and Active Directory all end a value at a NUL, and would find whom the rest of it names.
    """
    return isinstance(value, str) and has_unusable_characters(value)


def _printed_value(value: FactValue) -> str:
    if isinstance(value, bytes):
        return "".join(map(_escape_octet, value))
    printed = [_PRINTED[octet] for octet in value.encode("utf-8", "surrogatepass")]
    # A blank at either end is legal, but ldap3 strips it, and a reader of a trace does not see it.
    for end in (0, -1):
        if printed and printed[end] == " ":
            printed[end] = _escape_octet(0x20)
    return "".join(printed)


def _printed_pieces(node: Substring) -> str:
    pieces = (node.initial, *node.middle, node.final)
    if not any(pieces) or not all(node.middle):
        # `*` alone would be a test for presence, which is true of everybody.
        raise NameSyntaxError("a substring match without a substring")
    return "*".join(map(_printed_value, pieces))


def _printed_extensible(node: Extensible) -> str:
    if not node.attribute and not node.rule:
        raise NameSyntaxError("an extensible match names neither an attribute nor a matching rule")
    attribute = check_attribute_description(node.attribute) if node.attribute else ""
    rule = f":{check_matching_rule(node.rule)}" if node.rule else ""
    return f"{attribute}{':dn' if node.dn_attributes else ''}{rule}"


def _printed_parts(parts: "tuple[Filter, ...]") -> str:
    if not parts:
        raise NameSyntaxError("`&` and `|` need at least one filter")
    return "".join(map(render_filter, parts))
