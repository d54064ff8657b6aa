"""How a decision is told: which ACL entries matched, at which step, what each holds; what revocation rests on; a block.

Texts for administrators, in traces and in the detail of a refusal. Nothing is decided here: what is told is
what `authsvc.access.acl.explain_access` and `authsvc.trust.revocation.check_revocation` found, or a block. Everything
that an ACL, a directory or the maker of a block chose is shortened.
"""

from collections.abc import Iterator, Sequence

from authsvc.access.acl import AccessExplanation, DecidedBy, EntryMatch, Requirement
from authsvc.trust.blocks import Block
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.revocation import RevocationEvidence
from directory_assistance.entry import GroupMembership
from directory_assistance.errors import shorten

__all__ = ["tell_block", "tell_matches", "tell_revocation", "tell_unmet"]

_MOST = 5
"""Entries, or groups of one entry, that a text names one by one; the trace has every entry."""

_STEPS = {
    DecidedBy.EXPLICIT: "by name",
    DecidedBy.WILDCARDS: "by wildcard",
    DecidedBy.DEFAULT: "as nothing else matches",
    DecidedBy.ANONYMOUS: "without a certificate",
}


def tell_block(block: Block, what: str) -> str:
    """Return which emergency block refuses what, who answers for it, why, and until when."""
    end = "without an end" if block.ends is None else f"until {block.ends:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{what} is under emergency block {block.id} ({block.blocked.kind}, of {shorten(block.owner)}, {end}): "
        f"{shorten(block.reason)}"
    )


def tell_matches(explanation: AccessExplanation) -> Iterator[tuple[str, str]]:
    """Yield each ACL entry that matched, and what it holds; `-Default-`, which always does, only where it counts."""
    for match in explanation.matches:
        if match.gave:
            yield match.entry.name, _tell_match(match)
        elif match.step is not DecidedBy.DEFAULT:
            yield match.entry.name, f"{_tell_match(match)}: does not count"


def tell_unmet(explanation: AccessExplanation, requirement: Requirement) -> str:
    """Return why a requirement is not met: what is required, which ACL entries gave, which did not count."""
    access = explanation.access
    gave = [match for match in explanation.matches if match.gave]
    idle = [match for match in explanation.matches if not match.gave and match.step is not DecidedBy.DEFAULT]
    one = len(gave) == 1
    text = f"{shorten(str(requirement))} is required in `{access.database}`, and "
    text += f"ACL {'entry' if one else 'entries'} {_tell_entries(gave)} {'gives' if one else 'give'} no more"
    if access.level < explanation.level_before_cap:
        text += f"; maximum_internet_access lowers it to {access.level.label}"
    if idle:
        verb = "matches, but does not count" if len(idle) == 1 else "match, but do not count"
        text += f"; {_tell_entries(idle)} {verb} beside {'it' if one else 'them'}"
    return text


def _tell_entries(matches: Sequence[EntryMatch]) -> str:
    told = [f"`{shorten(match.entry.name)}` ({_tell_match(match)})" for match in matches[:_MOST]]
    more = f" and {len(matches) - _MOST} more" if len(matches) > _MOST else ""
    return ", ".join(told) + more


def _tell_match(match: EntryMatch) -> str:
    """Return what an ACL entry that matched holds, and how it matched: `Author, role Buyer, by group `Sales``."""
    entry = match.entry
    roles = (f"role {shorten(role)}" for role in sorted(entry.roles))
    if match.step is DecidedBy.GROUPS:
        how = f"by group {', '.join(map(_tell_group, match.memberships[:_MOST]))}"
    else:
        how = _STEPS[match.step]
    return ", ".join([entry.level.label, *sorted(entry.privileges), *roles, how])


def _tell_group(group: GroupMembership) -> str:
    via = f" (through {', '.join(f'`{shorten(name)}`' for name in group.via)})" if group.via else ""
    return f"`{shorten(group.qualified_name)}`{via}"


def tell_revocation(evidence: RevocationEvidence) -> Iterator[tuple[str, str]]:
    """Yield each certificate of the path with what is known of it and from where; then what all of it comes to."""
    for one in evidence.certificates:
        by = "; ".join(map(_tell_list, one.lists)) or one.source
        told = f"{one.status.value} by {by}" if by else one.status.value
        yield one.subject, f"{told}: {one.detail}" if one.detail else told
    mark = ", by grace" if evidence.grace_used else ""
    yield evidence.source or "no source", f"{evidence.status.value}{mark} (mode {evidence.policy.value})"


def _tell_list(use: ListUse) -> str:
    number = f" number {use.number}" if use.number >= 0 else ""
    delta = f" with `{use.delta_source}` number {use.delta_number}" if use.delta_source else ""
    until = f"until {use.next_update.isoformat()}"
    return f"`{use.source}`{number}{delta}, {until}{', which has passed' if use.in_grace else ''}"
