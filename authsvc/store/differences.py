"""What a declaration would change, as a value that people read and `apply` carries out.

What lives here: the difference between two people, groups or databases, whether it takes something away from
anybody, and its printing. What does not: what to compare and writing it (`declaration.py`).

A change *takes away* when it deletes, or may leave somebody with less than before: a removed person, group,
database, name, certificate, member, role, ACL entry, level or privilege; a mail address changed; a person
disabled, a certificate marked revoked; a member added to a deny group; a type of group changed; TLS demanded,
anonymous access capped lower, wildcards counting less; an ACL entry added as No Access. NOTE: an added ACL
entry for a person can take away too, because it counts alone; that depends on groups, and is not looked at.

INVARIANT: two records without a difference here are equal in everything that is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from authsvc.access.acl import AclEntry, Database, Level, WildcardMode
from authsvc.store.certificates import CertificateRecord, describe_certificate
from authsvc.store.records import GroupRecord, PersonRecord
from directory_assistance.dn import key_text, render_member, render_name
from directory_assistance.entry import GroupType
from directory_assistance.errors import shorten

__all__ = [
    "Detail",
    "Diff",
    "Difference",
    "Kind",
    "Record",
    "compare_databases",
    "compare_groups",
    "compare_people",
    "diff_document",
    "render_diff",
]

Record = PersonRecord | GroupRecord | Database
"""What a declaration names."""


class Kind(StrEnum):
    """What kind of thing changes, in the order in which changes are printed."""

    PERSON = "person"
    GROUP = "group"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One thing that changes in a record: `+ member Dave Lawson/Renovations`, `level Author -> Reader`."""

    text: str
    takes_away: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One record that is added (`before` is None), removed (`after` is None) or changed (both are there)."""

    kind: Kind
    name: str
    before: Record | None
    after: Record | None
    details: tuple[Detail, ...] = ()

    @property
    def sign(self) -> str:
        """`+`, `-` or `~`."""
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"

    @property
    def takes_away(self) -> bool:
        """Whether something is deleted or reduced."""
        return self.after is None or any(detail.takes_away for detail in self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Everything that a declaration would change. `kept`: what it does not name and so leaves alone."""

    differences: tuple[Difference, ...] = ()
    kept: tuple[tuple[Kind, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.differences

    @property
    def needs_confirmation(self) -> bool:
        """Whether something would be deleted or reduced."""
        return any(difference.takes_away for difference in self.differences)


def render_diff(diff: Diff) -> tuple[str, ...]:
    """Print a diff, one line for each change; no line for an empty one but what is left alone."""
    lines: list[str] = []
    for difference in diff.differences:
        head = f"{difference.sign} {difference.kind} {shorten(difference.name)}"
        if difference.after is None or not difference.details:
            lines.append(head)
        lines.extend(
            f"{head}: {detail.text}" for detail in difference.details if difference.after is not None
        )
    for kind in Kind:
        number = sum(kept is kind for kept, _ in diff.kept)
        if number:
            lines.append(f"= {kind}: {number} not named, left alone (--prune deletes them)")
    return tuple(lines)


def diff_document(diff: Diff) -> Mapping[str, object]:
    """Return a diff as plain JSON."""
    return {
        "changes": [
            {
                "sign": difference.sign,
                "kind": difference.kind.value,
                "name": difference.name,
                "takes_away": difference.takes_away,
                "details": [detail.text for detail in difference.details],
            }
            for difference in diff.differences
        ],
        "left_alone": [{"kind": kind.value, "name": name} for kind, name in diff.kept],
        "needs_confirmation": diff.needs_confirmation,
    }


# --- people and groups; `before` is None for something new, of which everything but the name is told


def compare_people(before: PersonRecord | None, after: PersonRecord) -> tuple[Detail, ...]:
    """Return what changes in a person; the order of aliases and certificates means nothing."""
    if before is None:
        return _as_new(_person_details(PersonRecord(names=after.names[:1]), after))
    return tuple(_person_details(before, after))


def compare_groups(before: GroupRecord | None, after: GroupRecord) -> tuple[Detail, ...]:
    """Return what changes in a group."""
    if before is None:
        return _as_new(_group_details(GroupRecord(name=after.name), after))
    return tuple(_group_details(before, after))


def _as_new(details: Iterable[Detail]) -> tuple[Detail, ...]:
    """Nothing is taken away from what was not there."""
    return tuple(Detail(text=detail.text) for detail in details)


def _person_details(before: PersonRecord, after: PersonRecord) -> Iterator[Detail]:
    yield from _compare_values("name", before.shown_name, after.shown_name)
    old_aliases = {key_text(name): render_name(name) for name in before.names[1:]}
    new_aliases = {key_text(name): render_name(name) for name in after.names[1:]}
    yield from _compare_texts("alias", old_aliases, new_aliases)
    yield from _compare_values("mail", before.mail, after.mail, takes_away=bool(before.mail))
    yield from _compare_values("display name", before.display_name, after.display_name)
    yield from _compare_values(
        "disabled", _word(before.disabled), _word(after.disabled), takes_away=after.disabled
    )
    old = {one.sha256: one for one in before.certificates}
    new = {one.sha256: one for one in after.certificates}
    for digest in sorted(new.keys() - old.keys()):
        yield Detail(text=f"+ certificate {_describe_certificate(new[digest])}")
    for digest in sorted(old.keys() - new.keys()):
        yield Detail(text=f"- certificate {_describe_certificate(old[digest])}", takes_away=True)
    for digest in sorted(old.keys() & new.keys()):
        if old[digest].revoked != new[digest].revoked:
            change = "" if new[digest].revoked else ", no longer marked revoked"
            text = f"~ certificate {_describe_certificate(new[digest])}{change}"
            yield Detail(text=text, takes_away=new[digest].revoked)


def _describe_certificate(record: CertificateRecord) -> str:
    return describe_certificate(record.der) + (", marked revoked" if record.revoked else "")


def _group_details(before: GroupRecord, after: GroupRecord) -> Iterator[Detail]:
    yield from _compare_values("name", before.shown_name, after.shown_name)
    yield from _compare_values("type", before.type.value, after.type.value, takes_away=True)
    old = {key_text(one): render_member(one) for one in before.members}
    new = {key_text(one): render_member(one) for one in after.members}
    yield from _compare_texts("member", old, new, adding_takes_away=after.type is GroupType.DENY)


def _compare_texts(
    what: str, old: Mapping[str, str], new: Mapping[str, str], *, adding_takes_away: bool = False
) -> Iterator[Detail]:
    """Compare two sets of names, key to text; a name may also change its spelling only."""
    for key in sorted(new.keys() - old.keys()):
        yield Detail(text=f"+ {what} {shorten(new[key])}", takes_away=adding_takes_away)
    for key in sorted(old.keys() - new.keys()):
        yield Detail(text=f"- {what} {shorten(old[key])}", takes_away=True)
    for key in sorted(old.keys() & new.keys()):
        if old[key] != new[key]:
            yield Detail(text=f"~ {what} {shorten(old[key])} -> {shorten(new[key])}")


def _compare_values(what: str, before: str, after: str, *, takes_away: bool = False) -> Iterator[Detail]:
    if before != after:
        shown = (shorten(before) or "(none)", shorten(after) or "(none)")
        yield Detail(text=f"{what} {shown[0]} -> {shown[1]}", takes_away=takes_away)


def _word(value: bool) -> str:  # noqa: FBT001 - the value is what is printed
    return str(value).lower()


# --- databases


def compare_databases(before: Database | None, after: Database) -> tuple[Detail, ...]:
    """Return what changes in a database and its ACL."""
    if before is None:
        return _as_new(_database_details(Database(name=after.name), after))
    return tuple(_database_details(before, after))


def _database_details(before: Database, after: Database) -> Iterator[Detail]:
    yield from _compare_values("name", before.name, after.name)
    yield from _compare_values("title", before.title, after.title)
    yield from _compare_values(
        "require_tls", _word(before.require_tls), _word(after.require_tls), takes_away=after.require_tls
    )
    yield from _compare_values(
        "maximum_internet_access",
        before.maximum_internet_access.label,
        after.maximum_internet_access.label,
        takes_away=after.maximum_internet_access < before.maximum_internet_access,
    )
    yield from _compare_values(
        "wildcards",
        before.wildcards.value,
        after.wildcards.value,
        takes_away=after.wildcards is WildcardMode.FALLBACK,
    )
    yield from _compare_sets("role", before.roles, after.roles)
    old = {entry.target: entry for entry in before.entries}
    new = {entry.target: entry for entry in after.entries}
    for entry in _in_order(new[target] for target in new.keys() - old.keys()):
        text = f"+ acl entry {shorten(entry.name)}: {_describe_entry(entry)}"
        yield Detail(text=text, takes_away=entry.level is Level.NO_ACCESS)
    for entry in _in_order(old[target] for target in old.keys() - new.keys()):
        yield Detail(text=f"- acl entry {shorten(entry.name)}: {_describe_entry(entry)}", takes_away=True)
    for entry in _in_order(new[target] for target in new.keys() & old.keys()):
        for detail in _entry_details(old[entry.target], entry):
            yield replace(detail, text=f"~ acl entry {shorten(entry.name)}: {detail.text}")


def _entry_details(before: AclEntry, after: AclEntry) -> Iterator[Detail]:
    yield from _compare_values("name", before.name, after.name)
    yield from _compare_values("type", before.type.value, after.type.value, takes_away=True)
    yield from _compare_values(
        "level", before.level.label, after.level.label, takes_away=after.level < before.level
    )
    for privilege in sorted(after.privileges - before.privileges):
        yield Detail(text=f"+ privilege {privilege}")
    for privilege in sorted(before.privileges - after.privileges):
        # A higher level may have of itself what had to be named before.
        yield Detail(text=f"- privilege {privilege}", takes_away=privilege not in after.all_privileges)
    yield from _compare_sets("role", before.roles, after.roles)


def _compare_sets(what: str, before: frozenset[str], after: frozenset[str]) -> Iterator[Detail]:
    yield from _compare_texts(what, {one: one for one in before}, {one: one for one in after})


def _describe_entry(entry: AclEntry) -> str:
    parts = [entry.level.label, entry.type.value, *sorted(entry.privileges)]
    parts += [f"role {shorten(role)}" for role in sorted(entry.roles)]
    return ", ".join(parts)


def _in_order(entries: Iterable[AclEntry]) -> list[AclEntry]:
    return sorted(entries, key=lambda entry: entry.name)
