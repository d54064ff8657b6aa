"""What a server sent, read as entries and groups.

What lives here: the octets that came over the wire, handed to the reader that all sources share
(`directory_assistance.stored_values`). What does not: which entry a candidate names (`questions.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from directory_assistance.backends.ldap.session import FoundEntry
from directory_assistance.entry import Entry, Group
from directory_assistance.stored_values import (
    ENTRY_ATTRIBUTES,
    GROUP_ATTRIBUTES,
    StoredValues,
    read_stored_entry,
    read_stored_group,
)

__all__ = ["ENTRY_ATTRIBUTES", "GROUP_ATTRIBUTES", "ReadEntry", "read_entry", "read_group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEntry:
    """An entry, and the texts of the attributes that candidates are compared with, under lower-case names."""

    entry: Entry
    texts: Mapping[str, tuple[str, ...]]


def read_entry(
    domain: str, found: FoundEntry, *, name_attribute: str | None, compared: Iterable[str]
) -> ReadEntry:
    """Read an entry about somebody.

    Args:
        domain: for the fault.
        found: the entry with the attributes asked for.
        name_attribute: whose values are the mapped names.
        compared: attributes whose texts go along.

    Raises:
        DirectoryAnswerMalformed: a value that cannot be read.

    """
    values = StoredValues(domain, found.dn, found.values)
    entry = read_stored_entry(values, name_attribute=name_attribute)
    return ReadEntry(entry=entry, texts={name.lower(): values.texts(name) for name in compared})


def read_group(domain: str, found: FoundEntry) -> Group:
    """Read a group; see `read_stored_group`."""
    return read_stored_group(StoredValues(domain, found.dn, found.values))
