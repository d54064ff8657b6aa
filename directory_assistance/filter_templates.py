r"""Filter templates: what administrators write for the way `filter`, and how a certificate's facts fill it.

What lives here: the reader of RFC 4515 text with placeholders, and filling. What does not: printing and
escaping (`filters.py`), and where the facts come from (`candidates.py`).

The language is RFC 4515 section 3 as it stands (no blanks between filters), with `{subject.cn}` and the
other `TEMPLATE_FACTS` inside values. A brace that is no placeholder is written `\7b` or `\7d`, so that a
mistyped placeholder is an error and never a literal.

Invariants:

* A template is a tree before a value enters it, so a value cannot change the shape of a filter; a `*` in a
  value is a character, never a wildcard.
* Each way to satisfy a template goes through a fact of the certificate: a template that an entry can
  satisfy whatever the certificate says is refused when it is read.
* A fact that is missing, has several values, is blank, made of `*` only or unusable yields no filter at all. An
  assertion never just drops out of an `&` (threats T46, T47, T53).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from directory_assistance.errors import NameSyntaxError, shorten
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
    is_blank_or_asterisks,
    is_unusable,
)

__all__ = [
    "TEMPLATE_FACTS",
    "FilterTemplate",
    "fill_template",
    "read_filter_template",
    "template_attributes",
    "template_facts",
]

TEMPLATE_FACTS = frozenset(
    {
        "certificate",
        "issuer.c",
        "issuer.cn",
        "issuer.dn",
        "issuer.o",
        "issuer.ou",
        "san.dns",
        "san.ip",
        "san.mail",
        "san.upn",
        "san.uri",
        "serial",
        "serial.hex",
        "sha256",
        "sid",
        "skid",
        "subject.c",
        "subject.cn",
        "subject.dc",
        "subject.dn",
        "subject.givenname",
        "subject.l",
        "subject.mail",
        "subject.o",
        "subject.ou",
        "subject.serialnumber",
        "subject.sn",
        "subject.st",
        "subject.title",
        "subject.uid",
    }
)
"""The placeholders that a template may hold.

DNs are RFC 4514 text; `serial` is decimal, `serial.hex`, `sha256` (of the certificate) and `skid` (subject
key identifier) are lower-case hexadecimal without separators; `certificate` is the certificate's octets.
"""

_LONGEST_TEMPLATE = 4_096
"""Characters of a template: administrators write one line of them."""

_DEEPEST_TEMPLATE = 16
"""Levels of filters inside filters: real ones have three; reading, filling and printing recurse so deep."""

_HEAD = re.compile(r"([A-Za-z0-9.;:-]*?)(:=|~=|>=|<=|=)", re.ASCII)
"""What stands before a value: attribute description (in an extensible match `:dn` and rule) and operator."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}", re.ASCII)

_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2})", re.ASCII)


class _Kind(StrEnum):
    """How an assertion compares; the first five values are how it is written."""

    EQUALITY = "="
    APPROXIMATE = "~="
    AT_LEAST = ">="
    AT_MOST = "<="
    EXTENSIBLE = ":="
    SUBSTRING = "=*"
    PRESENT = "present"

    @property
    def selects(self) -> bool:
        """Whether a fact in the value narrows the answer to entries that fit the fact (a range does not)."""
        return self in {_Kind.EQUALITY, _Kind.APPROXIMATE, _Kind.EXTENSIBLE, _Kind.SUBSTRING}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placeholder:
    """A fact's place in a value."""

    fact: str


_Value = tuple[bytes | _Placeholder, ...]
"""A value as it is written: octets and placeholders, in order; no octet strings beside each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assertion:
    """A filter item. `values`: one; for `PRESENT` none; for `SUBSTRING` all pieces, empty ends included."""

    kind: _Kind
    attribute: str
    rule: str = ""
    dn_attributes: bool = False
    values: tuple[_Value, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        return frozenset(
            part.fact for value in self.values for part in value if isinstance(part, _Placeholder)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllOf:
    parts: "tuple[_Node, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnyOf:
    parts: "tuple[_Node, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoneOf:
    part: "_Node"


_Node = _Assertion | _AllOf | _AnyOf | _NoneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTemplate:
    """A filter with placeholders, read and found sound. Made by `read_filter_template` only.

    `text` is what was read.
    """

    text: str
    root: _Node


def read_filter_template(text: str) -> FilterTemplate:
    """Read a filter template (RFC 4515 section 3, with placeholders in values).

    Raises: NameSyntaxError: the text is no filter (says what was expected, what was found, and at which
        character, from 1), a placeholder is unknown, an attribute description is none, the text is too long
        or nested too deep, or an entry could satisfy the filter whatever the certificate says.

    """
    if len(text) > _LONGEST_TEMPLATE:
        raise NameSyntaxError(f"filter template has {len(text)} characters, the limit is {_LONGEST_TEMPLATE}")
    root = _Reader(text).read()
    if not _needs_fact(root):
        raise NameSyntaxError(
            f"filter template `{shorten(text)}` can be satisfied whatever the certificate says: expected a "
            "placeholder such as `{subject.cn}` in each alternative"
        )
    return FilterTemplate(text=text, root=root)


def template_facts(template: FilterTemplate) -> frozenset[str]:
    """Return the facts that a template needs, all of them."""
    return frozenset(fact for assertion in _assertions(template.root) for fact in assertion.facts)


def template_attributes(template: FilterTemplate) -> frozenset[str]:
    """Return the attributes that a template compares, as they are written."""
    return frozenset(assertion.attribute for assertion in _assertions(template.root) if assertion.attribute)


def fill_template(template: FilterTemplate, facts: Mapping[str, Sequence[FactValue]]) -> Filter | None:
    """Put the facts of a certificate into a template.

    Args:
        template: what was read.
        facts: the values of each fact; one that is not there has no values.

    Returns:
        The filter; None if any fact of the template has not exactly one value, or a value that is blank or has
        characters that no name may hold: servers cut a value at a NUL, or leave such characters out.

    """
    values: dict[str, FactValue] = {}
    for fact in template_facts(template):
        found = facts.get(fact, ())
        if len(found) != 1 or is_blank_or_asterisks(found[0]) or is_unusable(found[0]):
            return None
        values[fact] = found[0]
    return _fill(template.root, values)


def _assertions(node: _Node) -> Iterator[_Assertion]:
    match node:
        case _Assertion():
            yield node
        case _AllOf() | _AnyOf():
            for part in node.parts:
                yield from _assertions(part)
        case _NoneOf():
            yield from _assertions(node.part)
        case _:
            assert_never(node)


def _needs_fact(node: _Node) -> bool:
    """Whether each way to satisfy a filter goes through a fact; a negation is satisfied by everybody else."""
    match node:
        case _Assertion():
            return node.kind.selects and bool(node.facts)
        case _AllOf():
            return any(map(_needs_fact, node.parts))
        case _AnyOf():
            return all(map(_needs_fact, node.parts))
        case _NoneOf():
            return False
        case _:
            assert_never(node)


def _fill(node: _Node, facts: Mapping[str, FactValue]) -> Filter:
    match node:
        case _Assertion():
            return _fill_assertion(node, [_fill_value(value, facts) for value in node.values])
        case _AllOf():
            return And(parts=tuple(_fill(part, facts) for part in node.parts))
        case _AnyOf():
            return Or(parts=tuple(_fill(part, facts) for part in node.parts))
        case _NoneOf():
            return Not(part=_fill(node.part, facts))
        case _:
            assert_never(node)


def _fill_assertion(node: _Assertion, values: Sequence[FactValue]) -> Filter:
    match node.kind:
        case _Kind.EQUALITY:
            return Equality(attribute=node.attribute, value=values[0])
        case _Kind.APPROXIMATE | _Kind.AT_LEAST | _Kind.AT_MOST:
            return Comparison(attribute=node.attribute, operator=Operator(node.kind.value), value=values[0])
        case _Kind.EXTENSIBLE:
            return Extensible(
                attribute=node.attribute, rule=node.rule, value=values[0], dn_attributes=node.dn_attributes
            )
        case _Kind.SUBSTRING:
            return Substring(
                attribute=node.attribute, initial=values[0], middle=tuple(values[1:-1]), final=values[-1]
            )
        case _Kind.PRESENT:
            return Present(attribute=node.attribute)
        case _:
            assert_never(node.kind)


def _fill_value(value: _Value, facts: Mapping[str, FactValue]) -> FactValue:
    """Join octets and facts; text where the octets are text, so that a trace can be read."""
    octets = b"".join(part if isinstance(part, bytes) else _octets(facts[part.fact]) for part in value)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets


def _octets(value: FactValue) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


class _Reader:
    """Reads one template, by recursive descent over its characters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read(self) -> _Node:
        node = self._read_filter(1)
        if self._position < len(self._text):
            raise self._unexpected("the end")
        return node

    def _read_filter(self, depth: int) -> _Node:
        if depth > _DEEPEST_TEMPLATE:
            raise NameSyntaxError(f"filter template is nested more than {_DEEPEST_TEMPLATE} deep")
        self._expect("(")
        node: _Node
        match self._peek():
            case "&":
                node = _AllOf(parts=self._read_parts(depth))
            case "|":
                node = _AnyOf(parts=self._read_parts(depth))
            case "!":
                self._position += 1
                node = _NoneOf(part=self._read_filter(depth + 1))
            case _:
                node = self._read_assertion()
        self._expect(")")
        return node

    def _read_parts(self, depth: int) -> tuple[_Node, ...]:
        self._position += 1
        parts = [self._read_filter(depth + 1)]
        while self._peek() == "(":
            parts.append(self._read_filter(depth + 1))
        return tuple(parts)

    def _read_assertion(self) -> _Assertion:
        head = _HEAD.match(self._text, self._position)
        if head is None:
            raise self._unexpected("an attribute name and `=`")
        self._position = head.end()
        kind = _Kind(head[2])
        pieces = self._read_pieces(stars=kind is _Kind.EQUALITY)
        if kind is _Kind.EXTENSIBLE:
            return self._extensible(head[1], pieces)
        attribute = check_attribute_description(head[1])
        if len(pieces) == 1:
            return _Assertion(kind=kind, attribute=attribute, values=pieces)
        if not any(pieces) and len(pieces) == 2:
            return _Assertion(kind=_Kind.PRESENT, attribute=attribute)
        if not all(pieces[1:-1]):
            raise NameSyntaxError(f"two `*` beside each other in filter template `{shorten(self._text)}`")
        return _Assertion(kind=_Kind.SUBSTRING, attribute=attribute, values=pieces)

    def _extensible(self, head: str, values: tuple[_Value, ...]) -> _Assertion:
        """Take `attribute`, `:dn` and `:rule` apart (RFC 4515 section 3: extensible)."""
        attribute, *rest = head.split(":")
        dn_attributes = bool(rest) and rest[0].casefold() == "dn"
        rules = rest[1:] if dn_attributes else rest
        if len(rules) > 1 or not (attribute or rules):
            raise NameSyntaxError(f"expected `attribute:dn:rule`, found `{shorten(head)}`")
        return _Assertion(
            kind=_Kind.EXTENSIBLE,
            attribute=check_attribute_description(attribute) if attribute else "",
            rule=check_matching_rule(rules[0]) if rules else "",
            dn_attributes=dn_attributes,
            values=values,
        )

    def _read_pieces(self, *, stars: bool) -> tuple[_Value, ...]:
        """Read a value up to its `)`, cut at each `*`; an empty one, which would mean nobody, is refused."""
        start = self._position
        pieces: list[list[bytes | _Placeholder]] = [[]]
        while (character := self._peek()) not in {"", ")"}:
            if character == "*" and stars:
                self._position += 1
                pieces.append([])
            else:
                self._read_part(pieces[-1], character)
        if self._position == start:
            raise self._unexpected("a value")
        return tuple(map(tuple, pieces))

    def _read_part(self, value: list[bytes | _Placeholder], character: str) -> None:
        """Read one placeholder, escape or plain character, and add it to the value."""
        if character == "{":
            value.append(self._read_placeholder())
            return
        if character == "\\":
            escape = _ESCAPE.match(self._text, self._position)
            if escape is None:
                raise self._unexpected("two hexadecimal digits after the backslash")
            self._position = escape.end()
            octets = bytes.fromhex(escape[1])
        elif character in "*()}\0":
            raise self._unexpected(f"a value, in which this character is written `\\{ord(character):02x}`")
        else:
            self._position += 1
            octets = character.encode("utf-8", "surrogatepass")
        if value and isinstance(value[-1], bytes):
            value[-1] += octets
        else:
            value.append(octets)

    def _read_placeholder(self) -> _Placeholder:
        placeholder = _PLACEHOLDER.match(self._text, self._position)
        if placeholder is None or placeholder[1] not in TEMPLATE_FACTS:
            raise self._unexpected("a placeholder such as `{subject.cn}` (a brace itself is written `\\7b`)")
        self._position = placeholder.end()
        return _Placeholder(fact=placeholder[1])

    def _peek(self) -> str:
        """Return the next character, or nothing at the end."""
        return self._text[self._position : self._position + 1]

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._unexpected(f"`{character}`")
        self._position += 1

    def _unexpected(self, expected: str) -> NameSyntaxError:
        rest = self._text[self._position : self._position + 20]
        found = f"`{shorten(rest)}`" if rest else "the end"
        return NameSyntaxError(
            f"filter template `{shorten(self._text)}`: expected {expected}, found {found} at character "
            f"{self._position + 1}"
        )
