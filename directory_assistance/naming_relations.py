"""What two naming rules have to do with each other: whether one covers the other, whether both match some name.

Here: the relations of rules as sets of names. Not here: the rules and what one of them matches (`naming.py`),
what an administrator is told about them (`config_lints.py`).

INVARIANT: nothing looks at whether a rule is enabled or trusted. `covers` is never true of a rule that leaves
out a name of the other; `overlaps` is never false of two rules that match the same name.
"""

from typing import Final, assert_never

from directory_assistance.dn import DistinguishedName
from directory_assistance.dn_values import COUNTRY, ORGANISATION, ORGANISATIONAL_UNIT
from directory_assistance.naming import NamingRule, RuleParts, SixPartRule, SuffixRule, match_rule

__all__ = ["covers", "matches_any_name", "overlaps"]

_ANYTHING: Final = "*"
_EVERY_NAME: Final[RuleParts] = (_ANYTHING,) * 6
_MOST_UNITS: Final = 4


def covers(general: NamingRule, special: NamingRule) -> bool:
    """Tell whether `general` matches every name that `special` matches.

    Total. A rule covers itself; a rule that matches no name is not said to be covered by others.
    """
    match special:
        case SixPartRule():
            wide = _parts(general) if isinstance(general, SixPartRule) else _parts_below(general.suffix)
            return wide is not None and _covers_parts(wide, _parts(special))
        case SuffixRule():
            if isinstance(general, SixPartRule):
                # Below a suffix are names of every shape, and only six asterisks match those.
                return _parts(general) == _EVERY_NAME
            return _ends_in(special.suffix, general.suffix)
        case _ as unreachable:
            assert_never(unreachable)


def overlaps(one: NamingRule, other: NamingRule) -> bool:
    """Tell whether some name matches both rules. Total and symmetric."""
    match one:
        case SixPartRule():
            if isinstance(other, SuffixRule):
                return _overlaps_suffix(one, other)
            met = _meet(_parts(one), _parts(other))
            return met is not None and _is_possible(met)
        case SuffixRule():
            if isinstance(other, SixPartRule):
                return _overlaps_suffix(other, one)
            return _ends_in(one.suffix, other.suffix) or _ends_in(other.suffix, one.suffix)
        case _ as unreachable:
            assert_never(unreachable)


def matches_any_name(rule: NamingRule) -> bool:
    """Tell whether there can be a name that matches: units are filled from OU1 on, without a gap. Total."""
    return overlaps(rule, rule)


def _parts(rule: SixPartRule) -> RuleParts:
    """Return the parts, where nothing can stand written as empty: a unit beyond an empty one is absent."""
    unit4, unit3, unit2, unit1, organisation, country = rule.prepared
    unit2 = _beyond(unit1, unit2)
    unit3 = _beyond(unit2, unit3)
    unit4 = _beyond(unit3, unit4)
    return (unit4, unit3, unit2, unit1, organisation, country)


def _beyond(unit: str, next_unit: str) -> str:
    return "" if not unit and next_unit == _ANYTHING else next_unit


def _covers_parts(general: RuleParts, special: RuleParts) -> bool:
    if general == _EVERY_NAME:
        return True
    # Six asterisks match names that have no such parts, too; no other rule covers them, for it says some part.
    return all(part in (_ANYTHING, other) for part, other in zip(general, special, strict=True))


def _meet(one: RuleParts, other: RuleParts) -> RuleParts | None:
    """Return the parts of the names that match both, None where a part would have to be two things."""
    met = [_meet_part(part, more) for part, more in zip(one, other, strict=True)]
    if any(part is None for part in met):
        return None
    unit4, unit3, unit2, unit1, organisation, country = (part or "" for part in met)
    return (unit4, unit3, unit2, unit1, organisation, country)


def _meet_part(one: str, other: str) -> str | None:
    if one == _ANYTHING:
        return other
    return one if other in (_ANYTHING, one) else None


def _is_possible(parts: RuleParts) -> bool:
    """Whether a name can have these parts: no unit stands beyond one that is absent."""
    unit4, unit3, unit2, unit1, _organisation, _country = parts
    outward = (unit1, unit2, unit3, unit4)
    absent = next((place for place, unit in enumerate(outward) if not unit), len(outward))
    return all(unit in (_ANYTHING, "") for unit in outward[absent:])


def _overlaps_suffix(rule: SixPartRule, suffix: SuffixRule) -> bool:
    if match_rule(rule, suffix.suffix):
        return True
    below = _parts_below(suffix.suffix)
    met = None if below is None else _meet(_parts(rule), below)
    return met is not None and _is_possible(met)


def _parts_below(suffix: DistinguishedName) -> RuleParts | None:
    """Return the parts of the names of six parts that end in a suffix, None where there are none.

    What stands to the right of the suffix's first component is as it says; to the left may be anything.
    """
    if any(len(rdn.attributes) != 1 for rdn in suffix.rdns):
        return None
    attributes = [rdn.attributes[0] for rdn in suffix.rdns]
    if not attributes or not all(attribute.prepared for attribute in attributes):
        return None
    first = attributes[0].oid
    country = attributes.pop().prepared if attributes[-1].oid == COUNTRY else ""
    organisation = attributes.pop().prepared if attributes and attributes[-1].oid == ORGANISATION else ""
    units = [attribute.prepared for attribute in attributes]
    if len(units) > _MOST_UNITS or any(attribute.oid != ORGANISATIONAL_UNIT for attribute in attributes):
        return None
    if first == COUNTRY:
        organisation = _ANYTHING
    unit4, unit3, unit2, unit1 = [_ANYTHING] * (_MOST_UNITS - len(units)) + units
    return (unit4, unit3, unit2, unit1, organisation, country)


def _ends_in(name: DistinguishedName, end: DistinguishedName) -> bool:
    """Whether `end` is the end of a name; an empty end, which no rule has, is the end of none."""
    length = len(end.rdns)
    return bool(length) and name.rdns[-length:] == end.rdns
