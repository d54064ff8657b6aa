"""Ranged attributes: the values that an Active Directory gives a part at a time (MS-ADTS section 3.1.1.3.1.3.3).

What lives here: reading `attr;range=0-1499`, asking for the rest, joining the parts. What does not: putting the
questions (`session.py`), and how many values an entry may have (`directory_assistance.stored_values`).

INVARIANT: parts are joined only where each begins after the one before and holds as many values as it says; all of them
up to the last, or none: what is left over is a `RangeError`.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from directory_assistance.backends.ldap.messages import FoundEntry

__all__ = ["RangeError", "complete_ranges"]

_MOST_PARTS = 100
"""Parts of one attribute: a server gives 1,500 values or more in each."""

_RANGE = re.compile(r"([a-z][a-z0-9-]*);range=([0-9]{1,9})-([0-9]{1,9}|\*)")


class RangeError(ValueError):
    """The parts of an attribute do not make a whole."""


def complete_ranges(found: FoundEntry, asked: frozenset[str], ask: Callable[[str], FoundEntry]) -> FoundEntry:
    """Return an entry with every ranged attribute whole, under its plain name.

    Args:
        found: the entry as it came. Attributes without a range are handed on, and so are ranges of attributes that
            were not asked for, which nobody reads.
        asked: the attributes that were asked for, in lower case.
        ask: reads one attribute description of this entry.

    Raises:
        RangeError: the parts do not make a whole.

    """
    values = dict(found.values)
    for description in found.values:
        read = _RANGE.fullmatch(description)
        if read is None or read[1] not in asked:
            continue
        whole = _join(read[1], description, values.pop(description), ask)
        values[read[1]] = (*values.get(read[1], ()), *whole)
    return found if values == found.values else replace(found, values=values)


def _join(
    name: str, description: str, part: tuple[bytes, ...], ask: Callable[[str], FoundEntry]
) -> list[bytes]:
    """Take parts until the last one, which ends in `*`."""
    whole: list[bytes] = []
    for _each in range(_MOST_PARTS):
        read = _RANGE.fullmatch(description)
        if read is None or read[1] != name or int(read[2]) != len(whole):
            raise RangeError(f"expected the values of `{name}` from {len(whole)} on")
        whole += part
        if read[3] == "*":
            return whole
        if not part or int(read[3]) != len(whole) - 1:
            raise RangeError(f"a part of the values of `{name}` holds another number of them than it says")
        answer = ask(f"{name};range={len(whole)}-*")
        parts = [(each, found) for each, found in answer.values.items() if each.startswith(f"{name};")]
        if len(parts) != 1:
            raise RangeError(
                f"expected the values of `{name}` from {len(whole)} on, found none or several parts"
            )
        ((description, part),) = parts
    raise RangeError(f"the values of `{name}` come in more than {_MOST_PARTS} parts")
