"""Naming rules: which names a directory may assert, and which of two rules is the more specific.

Here: the two kinds of rule as values, reading and printing them, matching, comparing. Not here: the order in
which directories are asked and the test of the entry found (`search.py`), the wildcards of ACLs and groups
(`dn.py`), which look alike but match any number of components.

A six-part rule is `OU4/OU3/OU2/OU1/O/C`, each part a literal, `*` (anything, absent included) or empty
(nothing may stand there). A suffix rule is the end of a distinguished name, for trees that are not made of
OU, O and C.

INVARIANT: a rule that `read_naming_rule` or `read_suffix_rule` gives has no `*` but as a whole part, no blank
literal, and a suffix of at least one component. No rules match nothing: an empty list never means "all".
Standard: the naming rules of Domino directory assistance; the short forms and suffix rules are this project's
own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, assert_never

from directory_assistance.dn import (
    DistinguishedName,
    MarkedText,
    Name,
    has_unusable_characters,
    mark_escapes,
    organisation_parts,
    prepare,
    quote_slash_form,
    read_name,
    render_ldap,
)
from directory_assistance.errors import NameSyntaxError, shorten

__all__ = [
    "NamingRule",
    "RuleParts",
    "SixPartRule",
    "Specificity",
    "SuffixRule",
    "ambiguous_country_warning",
    "match_rule",
    "most_specific_match",
    "read_naming_rule",
    "read_suffix_rule",
    "render_rule",
    "specificity",
]

RuleParts = tuple[str, str, str, str, str, str]
"""OU4, OU3, OU2, OU1, O, C; each a literal as written, `*` for anything, empty for nothing."""

Specificity = tuple[int, int, tuple[bool, ...]]
"""Literal parts, empty parts, and from the right which parts are literal; the bigger is the more specific."""

_ANYTHING: Final = "*"
_PARTS: Final = 6
_MOST_UNITS: Final = 4
_LONGEST_RULE: Final = 4_096
"""Characters of a rule that is read: as many as the longest name has."""

_KEYWORDS: Final = {"ou": "OU", "o": "O", "c": "C"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SixPartRule:
    """A rule of six parts, leaf first.

    `enabled`: the rule counts at all. `trusted`: the directory may say who somebody is, for names that match.
    """

    parts: RuleParts
    enabled: bool = True
    trusted: bool = False
    prepared: RuleParts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the parts once; `*` and the empty part stay as they are."""
        unit4, unit3, unit2, unit1, organisation, country = map(prepare, self.parts)
        object.__setattr__(self, "prepared", (unit4, unit3, unit2, unit1, organisation, country))


@dataclass(frozen=True, slots=True, kw_only=True)
class SuffixRule:
    """A rule that a name matches when it ends in the components of `suffix`; flags as in `SixPartRule`."""

    suffix: DistinguishedName
    enabled: bool = True
    trusted: bool = False


NamingRule = SixPartRule | SuffixRule


# --- reading


def _refuse(text: str, expected: str) -> NameSyntaxError:
    return NameSyntaxError(f"expected {expected}, found `{shorten(text)}`")


def _mark_rule(text: str) -> MarkedText:
    if len(text) > _LONGEST_RULE:
        raise _refuse(text, f"a rule of at most {_LONGEST_RULE} characters")
    if has_unusable_characters(text):
        raise _refuse(text, "a rule without control characters and unpaired surrogates")
    marked = mark_escapes(text.strip())
    if marked.unpaired:
        raise _refuse(text, "quotes in pairs around something (three of them mean a quote itself)")
    return marked


def _read_part(part: MarkedText, whole: str) -> str:
    """Read one part: a literal, `*`, or nothing (empty or spaces)."""
    literal = part.plain.strip()
    if part.mask.strip() == _ANYTHING or not literal:
        return literal
    prepared = prepare(literal)
    if not prepared:
        raise _refuse(whole, "parts with something visible in them")
    if _ANYTHING in prepared:
        raise _refuse(whole, "`*` only as a whole part (`*/Sales/Renovations`, not `Sal*/Renovations`)")
    return literal


def _six(units: list[str], organisation: str, country: str, unnamed: str) -> RuleParts:
    """Fill up the organisational units, which are given leaf first, with `unnamed`."""
    unit4, unit3, unit2, unit1 = [unnamed] * (_MOST_UNITS - len(units)) + units
    return (unit4, unit3, unit2, unit1, organisation, country)


def _read_positional(parts: list[MarkedText], whole: str) -> RuleParts:
    """Read six parts as they stand, or a short form.

    1. Six parts are six parts, whatever the first one is.
    2. A leading `*` makes the parts not named `*`; a leading `/` stands for nothing and names no part.
    3. Of the rest the last is O, those before it are units.
    """
    read = [_read_part(part, whole) for part in parts]
    if len(read) == _PARTS:
        unit4, unit3, unit2, unit1, organisation, country = read
        return (unit4, unit3, unit2, unit1, organisation, country)
    unnamed = _ANYTHING if read[0] == _ANYTHING else ""
    if read == [_ANYTHING]:
        return _six([], unnamed, unnamed, unnamed)
    named = read[1:] if read[0] in {_ANYTHING, ""} else read
    if not named or not all(named):
        raise _refuse(whole, "no empty part in a short rule (write all six parts, `OU4/OU3/OU2/OU1/O/C`)")
    if len(named) > _MOST_UNITS + 1:
        raise _refuse(whole, "at most six parts (`OU4/OU3/OU2/OU1/O/C`)")
    return _six(named[:-1], named[-1], unnamed, unnamed)


def _read_keyword(part: MarkedText, whole: str) -> tuple[str, str]:
    """Read `OU=Sales` as its keyword and its part."""
    pieces = part.split("=")
    if len(pieces) != 2:
        raise _refuse(whole, "one keyword in every part after the first (`*/OU=Sales/O=Renovations/C=US`)")
    found = pieces[0].plain.strip()
    keyword = _KEYWORDS.get(found.casefold())
    if keyword is None:
        raise _refuse(whole, f"OU, O or C instead of `{shorten(found)}` (other trees need a `suffix` rule)")
    return keyword, _read_part(pieces[1], whole)


def _read_keywords(parts: list[MarkedText], whole: str) -> RuleParts:
    """Read a rule with keywords: `*` or nothing, then OU..., O, C, each optional, in that order."""
    first = parts[0].mask.strip()
    unnamed = _ANYTHING if first == _ANYTHING else ""
    named = [_read_keyword(part, whole) for part in (parts[1:] if first in {_ANYTHING, ""} else parts)]
    units = [part for keyword, part in named if keyword == "OU"]
    keywords = [keyword for keyword, _ in named]
    expected = ["OU"] * len(units) + [keyword for keyword in ("O", "C") if keyword in keywords]
    if keywords != expected or len(units) > _MOST_UNITS:
        raise _refuse(whole, "up to four OU, leaf first, then O, then C, the last two at most once")
    values = dict(named)
    return _six(units, values.get("O", unnamed), values.get("C", unnamed), unnamed)


def read_naming_rule(text: str, *, enabled: bool = True, trusted: bool = False) -> SixPartRule:
    """Read a rule in one of its three spellings (semantics: Naming rules).

    * Six parts: `*/*/*/Sales/Renovations/US`, `///Sales/Renovations/`. Six parts are always that, even with a
      leading `*`: `*/A/B/C/D/US` names a country.
    * Short: `*`, `*/Renovations`, `/Sales/Renovations`, `Sales/Renovations`. The last part is O, never a
      country.
    * Keywords: `*/OU=Sales/O=Renovations/C=US`; an empty value (`C=`) is an empty part.

    Literals with `/` or `=` are escaped as in names, with quotes or `$`.

    Raises:
        NameSyntaxError: the text is no such rule; the error says what is expected.

    """
    parts = _mark_rule(text).split("/")
    has_keywords = any("=" in part.mask for part in parts)
    read = _read_keywords(parts, text) if has_keywords else _read_positional(parts, text)
    return SixPartRule(parts=read, enabled=enabled, trusted=trusted)


def read_suffix_rule(text: str, *, enabled: bool = True, trusted: bool = False) -> SuffixRule:
    """Read a suffix rule: the end of a distinguished name with keywords, `ou=staff,dc=acme,dc=com`.

    RFC 4514, or slash form (`ou=staff/dc=acme/dc=com`); not abbreviated, since that would make a common name
    of the first part.

    Raises:
        NameSyntaxError: the text is no such name, or holds a `*`.

    """
    if "=" not in mark_escapes(text).mask:
        raise _refuse(text, "a suffix with keywords, such as `ou=staff,dc=acme,dc=com`")
    name = read_name(text)
    assert isinstance(name, DistinguishedName)  # it has a keyword
    if any(_ANYTHING in attribute.prepared for rdn in name.rdns for attribute in rdn.attributes):
        raise _refuse(text, "a suffix without `*` (every name that ends in it matches)")
    return SuffixRule(suffix=name, enabled=enabled, trusted=trusted)


def ambiguous_country_warning(text: str) -> bool:
    """Tell whether a short rule ends in two letters, so that its author may have meant a country.

    A short form never guesses a country; the two letters are O. Total: a text that is no rule gets no
    warning.
    """
    try:
        parts = _mark_rule(text).split("/")
        rule = read_naming_rule(text)
    except NameSyntaxError:
        return False
    organisation = rule.parts[4]
    short = len(parts) != _PARTS and not any("=" in part.mask for part in parts)
    return short and len(organisation) == 2 and organisation.isascii() and organisation.isalpha()


# --- matching


def _match_part(part: str, present: str) -> bool:
    return part in (_ANYTHING, present)


def _match_six_parts(rule: SixPartRule, name: Name) -> bool:
    if all(part == _ANYTHING for part in rule.prepared):
        return True
    present = organisation_parts(name)
    return present is not None and all(map(_match_part, rule.prepared, present))


def _match_suffix(rule: SuffixRule, name: Name) -> bool:
    length = len(rule.suffix.rdns)
    if not isinstance(name, DistinguishedName) or not length:
        return False
    return name.rdns[-length:] == rule.suffix.rdns


def match_rule(rule: NamingRule, name: Name) -> bool:
    """Tell whether a name matches a rule; whether the rule is enabled or trusted is not looked at.

    A name that is not CN, up to four OU, O, C matches, of six-part rules, only the one of six asterisks. A
    suffix rule matches hierarchical names alone, the suffix itself among them. Values compare prepared (RFC
    4518).
    """
    match rule:
        case SixPartRule():
            return _match_six_parts(rule, name)
        case SuffixRule():
            return _match_suffix(rule, name)
    assert_never(rule)


def specificity(rule: NamingRule) -> Specificity:
    """Return what sorts rules by how specific they are, the most specific highest.

    1. more literal parts; 2. then more empty parts; 3. then the right-most literal further right, then the
       next one, and so on. A suffix rule counts one literal for each component, all of them at the right.
       Rules that are equal here are equally specific.
    """
    match rule:
        case SixPartRule(prepared=parts):
            literals = tuple(part not in {_ANYTHING, ""} for part in reversed(parts))
            return (sum(literals), parts.count(""), literals)
        case SuffixRule(suffix=suffix):
            length = len(suffix.rdns)
            return (length, 0, (True,) * length + (False,) * (_PARTS - length))
    assert_never(rule)


def most_specific_match(rules: Iterable[NamingRule], name: Name) -> NamingRule | None:
    """Return the most specific enabled trusted rule that matches a name, the first of equals, or None."""
    matching = [rule for rule in rules if rule.enabled and rule.trusted and match_rule(rule, name)]
    return max(matching, key=specificity, default=None)


def render_rule(rule: NamingRule) -> str:
    """Print a rule so that it reads back: all six parts, or the suffix in the form of RFC 4514."""
    match rule:
        case SixPartRule(parts=parts):
            return "/".join(map(quote_slash_form, parts))
        case SuffixRule(suffix=suffix):
            # read as RFC 4514 only where there is no slash, which may as well be escaped
            return render_ldap(suffix).replace("/", r"\2F")
    assert_never(rule)
