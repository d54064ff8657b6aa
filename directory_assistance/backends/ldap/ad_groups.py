"""Groups as an Active Directory has them: nested ones told at once, and the primary group, which lists nobody.

What lives here: which questions find the groups of somebody there, and what their answers mean. What does not:
putting a question (`directory.py`), expanding groups step by step (`directory_assistance.groups`).

Invariants:

* Everybody's primary group counts, in every style: no group lists it, so it is found by its number.
* What could not be read is a fault, never "no groups": an account without `tokenGroups` or `primaryGroupID`, a part of
  the values, more of them than the limit.
* Groups are those below the base. A security identifier that names no group there (of another domain, of a group that
  was moved out) names no group here.
* A server that does not say that it is an Active Directory is not asked in its ways: others answer them with success
  and nothing (threat T65).

Standards: MS-ADTS sections 3.1.1.3.4.3 (capabilities), 3.1.1.3.4.4.3 (the rule in chain), 3.1.1.4.5.19 (`tokenGroups`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from directory_assistance.backends.ldap.reading import GROUP_ATTRIBUTES, read_group
from directory_assistance.backends.ldap.session import FoundEntry, SearchAnswer, SearchRequest
from directory_assistance.backends.ldap.settings import GroupStyle
from directory_assistance.dn import DistinguishedName, NameKey, prepare, render_ldap
from directory_assistance.entry import Group
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
    shorten,
)
from directory_assistance.filters import Equality, Extensible, Filter, Or, Present
from directory_assistance.identifiers import read_sid, sid_octets

__all__ = ["PAGE_SIZE", "AdPort", "find_told_groups", "missing_capability", "primary_groups"]

_SIDS_AT_ONCE = 50
"""Security identifiers in one filter: an administrator's token holds dozens; a server takes thousands."""

PAGE_SIZE = 1_000
"""Entries at once: MaxPageSize of an Active Directory, which gives no more in one answer (MS-ADTS section
3.1.1.3.4.6)."""

_IN_CHAIN = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_TRANSITIVE_EVAL: follows a chain of links to its end."""

_IS_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
_SINCE_2008 = "1.2.840.113556.1.4.1935"
"""LDAP_CAP_ACTIVE_DIRECTORY_OID, and ..._V60_OID: the first version of which every service pack has the rule in chain.
Active Directory Lightweight Directory Services have another than the first, and no domain.
"""

_NEEDED = {
    GroupStyle.TOKEN_GROUPS: (_IS_ACTIVE_DIRECTORY,),
    GroupStyle.IN_CHAIN: (_IS_ACTIVE_DIRECTORY, _SINCE_2008),
}

_ANY_ENTRY = Present(attribute="objectClass")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdPort:
    """What asks an Active Directory.

    `domain`: for the faults. `base`: where groups are. `most`: groups in one answer. `ask`: puts a question and returns
    a complete answer; without entries where the base of the question does not exist; raises a `DirectoryFault`,
    `ExpansionLimitExceeded` where there were more entries than asked for.
    """

    domain: str
    base: DistinguishedName
    most: int
    ask: Callable[[SearchRequest], SearchAnswer]


def missing_capability(style: GroupStyle, told: Iterable[str]) -> str:
    """Return why a server cannot be asked for groups in a style; nothing where it can.

    Args:
        style: how groups are found.
        told: values of `supportedCapabilities` of its root DSE.

    """
    known = frozenset(told)
    missing = [capability for capability in _NEEDED.get(style, ()) if capability not in known]
    if not missing:
        return ""
    return (
        f"it does not say that it is an Active Directory (capability {missing[0]} in its root DSE), so "
        f"`groups: {{style: {style}}}` would find no groups: use `style: member`"
    )


def find_told_groups(
    port: AdPort, style: GroupStyle, names: Sequence[DistinguishedName]
) -> tuple[Group, ...]:
    """Find every group of somebody, nested ones and the primary group too.

    Args:
        port: what asks.
        style: `token_groups` or `in_chain`.
        names: how the person may be listed; names outside of the base are nobody's here.

    Returns:
        The groups below the base, sorted by name.

    Raises:
        DirectoryFault: it could not be found out.

    """
    found: dict[NameKey, Group] = {}
    for name in names:
        if not _is_below(name, port.base):
            continue
        if style is GroupStyle.TOKEN_GROUPS:
            groups = _find_by_sid(port, _read_token(port, name))
        else:
            groups = _find_in_chain(port, name)
        found.update((group.reference.key, group) for group in groups)
        _hold_limit(port, len(found))
    return tuple(sorted(found.values(), key=lambda group: (prepare(group.name), group.reference.key)))


def primary_groups(port: AdPort, names: Sequence[DistinguishedName]) -> tuple[Group, ...]:
    """Find the primary group of somebody, by every name that is below the base.

    Raises:
        DirectoryFault: it could not be found out.

    """
    return tuple(
        group
        for name in names
        if _is_below(name, port.base)
        for group in _find_by_sid(port, _read_primary_sid(port, name))
    )


def _is_below(name: DistinguishedName, base: DistinguishedName) -> bool:
    return DistinguishedName(rdns=name.rdns[-len(base.rdns) :]) == base


def _read_person(port: AdPort, name: DistinguishedName, *attributes: str) -> FoundEntry | None:
    """Read attributes of an entry, None where it does not exist."""
    answer = port.ask(
        SearchRequest(
            base=render_ldap(name),
            scope="BASE",
            filter=_ANY_ENTRY,
            attributes=attributes,
            size_limit=1,
        )
    )
    return answer.entries[0] if answer.entries else None


def _read_token(port: AdPort, name: DistinguishedName) -> list[str]:
    """Read the security identifiers of every group somebody is in, as the server reckons them."""
    person = _read_person(port, name, "tokenGroups")
    if person is None:
        return []
    if any(description.startswith("tokengroups;") for description in person.values):
        raise ExpansionLimitExceeded(
            port.domain, f"the server sent only a part of `tokenGroups` of `{shorten(render_ldap(name))}`"
        )
    stored = person.values.get("tokengroups", ())
    if not stored:  # every account is in its primary group at least
        raise DirectoryUnavailable(
            port.domain,
            f"the server shows no `tokenGroups` of `{shorten(render_ldap(name))}`: it is no account, or they may not "
            "be read by the account that we bind with",
        )
    _hold_limit(port, len(stored))
    return [_required_sid(port, name, octets) for octets in stored]


def _read_primary_sid(port: AdPort, name: DistinguishedName) -> list[str]:
    """Read the security identifier of somebody's primary group; a contact, which is no account, has none."""
    person = _read_person(port, name, "objectSid", "primaryGroupID", "userAccountControl")
    if person is None:
        return []
    own, group, control = (
        person.values.get(attribute, ())
        for attribute in ("objectsid", "primarygroupid", "useraccountcontrol")
    )
    if not (own or group or control):
        return []
    if len(own) != 1 or len(group) != 1 or not _is_number(group[0]):
        raise DirectoryUnavailable(
            port.domain,
            f"the server shows no `objectSid` or no `primaryGroupID` of the account `{shorten(render_ldap(name))}`: "
            "may they be read by the account that we bind with?",
        )
    prefix, _dash, _own_number = _required_sid(port, name, own[0]).rpartition("-")
    return [f"{prefix}-{int(group[0])}"]


def _is_number(octets: bytes) -> bool:
    """Whether these are the digits of a relative identifier, which has 32 bits."""
    return octets.isdigit() and len(octets) <= 10 and int(octets) < 2**32


def _required_sid(port: AdPort, name: DistinguishedName, octets: bytes) -> str:
    sid = read_sid(octets)
    if sid is None:
        raise DirectoryAnswerMalformed(
            port.domain, f"entry `{shorten(render_ldap(name))}`: a value is no security identifier"
        )
    return sid


def _find_by_sid(port: AdPort, sids: Sequence[str]) -> Iterator[Group]:
    stored = [octets for sid in dict.fromkeys(sids) if (octets := sid_octets(sid)) is not None]
    for start in range(0, len(stored), _SIDS_AT_ONCE):
        batch = stored[start : start + _SIDS_AT_ONCE]
        parts = tuple(Equality(attribute="objectSid", value=octets) for octets in batch)
        yield from _find(port, Or(parts=parts), at_most=len(batch))


def _find_in_chain(port: AdPort, name: DistinguishedName) -> Iterator[Group]:
    """Follow the chains of the person and of the primary group, whose members are not listed."""
    primary = tuple(_find_by_sid(port, _read_primary_sid(port, name)))
    yield from primary
    # A group's reference is its DN.
    starts = (name, *(group.reference for group in primary if isinstance(group.reference, DistinguishedName)))
    parts = tuple(
        Extensible(attribute="member", rule=_IN_CHAIN, value=render_ldap(start)) for start in starts
    )
    yield from _find(port, Or(parts=parts), at_most=port.most)


def _find(port: AdPort, wanted: Filter, *, at_most: int) -> Iterator[Group]:
    answer = port.ask(
        SearchRequest(
            base=render_ldap(port.base),
            scope="SUBTREE",
            filter=wanted,
            attributes=GROUP_ATTRIBUTES,
            size_limit=at_most + 1,
            page_size=PAGE_SIZE if at_most >= PAGE_SIZE else None,
        )
    )
    for found in answer.entries:
        yield read_group(port.domain, found)


def _hold_limit(port: AdPort, count: int) -> None:
    if count > port.most:
        raise ExpansionLimitExceeded(port.domain, f"more groups than {port.most} for one identity")
