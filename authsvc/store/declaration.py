"""`apply` and `export`: from a declarative document to the store, and back.

What lives here: planning what a declaration would change, carrying a plan out, and writing the store as a
document. What does not: reading the file (`declared.py`), what a difference is and how it prints
(`differences.py`).

Decided where the specification is silent:

* A person, group or database that the document names becomes as it says in every key that it has; keys that
  it leaves out stay as they are. What it does not name stays, or with `prune` goes, in the sections that it
  has.
* Certificates marked revoked that a document does not list stay: losing one loses the mark. `prune` deletes
  them.
* The database `directory` is never pruned, and keeps its built-in roles whether named or not.

INVARIANT: applying what was just exported changes nothing, and what is planned is applied whole or not at
all: a store that changed in between is refused.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar, assert_never

import yaml
from sqlalchemy import Connection, Engine

from authsvc.access.acl import AclError, Database, read_database
from authsvc.store.builtin import DIRECTORY, DIRECTORY_ROLES
from authsvc.store.certificates import render_pem
from authsvc.store.databases import (
    check_replacement,
    create_database,
    database_document,
    delete_database,
    find_database,
    list_databases,
    replace_database,
)
from authsvc.store.declared import (
    Declaration,
    DeclaredDatabase,
    DeclaredGroup,
    DeclaredPerson,
    read_declaration,
    read_declaration_text,
)
from authsvc.store.differences import (
    Detail,
    Diff,
    Difference,
    Kind,
    Record,
    compare_databases,
    compare_groups,
    compare_people,
    diff_document,
    render_diff,
)
from authsvc.store.errors import ChangeRefused, DocumentChanged
from authsvc.store.groups import create_group, delete_group, find_group, list_groups, replace_group
from authsvc.store.people import create_person, delete_person, find_person, list_people, replace_person
from authsvc.store.records import GroupRecord, PersonRecord
from authsvc.store.schema import Change, open_change, open_reading
from directory_assistance.dn import render_member, render_name
from directory_assistance.errors import ConfigurationError, Problem, shorten

__all__ = [
    "Declaration",
    "Diff",
    "apply_changes",
    "diff_document",
    "export_declaration",
    "plan_changes",
    "read_declaration",
    "read_declaration_text",
    "render_diff",
]

T = TypeVar("T", DeclaredPerson, DeclaredGroup, DeclaredDatabase)

_PLAIN_SCALAR: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9 ._/-]*[A-Za-z0-9])?")
"""Texts that no YAML reader, 1.1 or 1.2, takes for anything else; all others are quoted."""

_YAML_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Plain words, casefolded, that some YAML readers take for a boolean or nothing."""


# --- planning


def plan_changes(engine: Engine, declaration: Declaration, *, prune: bool = False) -> Diff:
    """Compare a declaration with the store; nothing is written.

    Args:
        engine: of a migrated database.
        declaration: what should be.
        prune: whether what the declaration does not name, in a section that it has, is to be deleted.

    Raises:
        ConfigurationError: what a mistake in the file would make of what is stored, with every such line (a
        role
            that neither defines, the last Manager of `directory` gone).
        StoreFault: the store could not answer.

    """
    with open_reading(engine) as connection:
        return _Plan(connection, declaration, prune=prune).make()


class _Plan:
    """One comparison of a declaration with the store; collects differences and problems."""

    def __init__(self, connection: Connection, declaration: Declaration, *, prune: bool) -> None:
        self._connection = connection
        self._declaration = declaration
        self._prune = prune
        self._differences: list[Difference] = []
        self._kept: list[tuple[Kind, str]] = []
        self._problems: list[Problem] = []

    def make(self) -> Diff:
        declared = self._declaration
        people = {person.key: person for person in list_people(self._connection)}
        self._compare(
            Kind.PERSON,
            declared.people,
            people,
            lambda one: self._person(people.get(one.key), one),
        )
        groups = {group.key: group for group in list_groups(self._connection)}
        self._compare(Kind.GROUP, declared.groups, groups, lambda one: self._group(groups.get(one.key), one))
        if not declared.secondary:
            databases = {one.database.key: one.database for one in list_databases(self._connection)}
            self._compare(
                Kind.DATABASE,
                declared.databases,
                databases,
                lambda one: self._database(databases.get(one.key), one),
            )
        if self._problems:
            raise ConfigurationError(sorted(self._problems, key=lambda problem: problem.line))
        return Diff(differences=tuple(self._differences), kept=tuple(self._kept))

    def _compare(
        self,
        kind: Kind,
        declared: Iterable[T] | None,
        stored: Mapping[str, Record],
        merge: Callable[[T], Difference | None],
    ) -> None:
        """Add the differences of one section: what is named, then what is not."""
        if declared is None:
            return
        named: set[str] = set()
        for one in declared:
            named.add(one.key)
            try:
                difference = merge(one)
            except (ChangeRefused, AclError) as error:
                self._problems.append(self._declaration.loaded.problem(one.position, str(error)))
                continue
            if difference is not None:
                self._differences.append(difference)
        for key in sorted(stored.keys() - named):
            record = stored[key]
            if kind is Kind.DATABASE and key == DIRECTORY:
                continue
            if self._prune:
                difference = Difference(kind=kind, name=_name_of(record), before=record, after=None)
                self._differences.append(difference)
            else:
                self._kept.append((kind, _name_of(record)))

    def _person(self, before: PersonRecord | None, declared: DeclaredPerson) -> Difference | None:
        after = _merge_person(before, declared, prune=self._prune)
        details = compare_people(before, after)
        return _difference(Kind.PERSON, after.shown_name, before, after, details)

    def _group(self, before: GroupRecord | None, declared: DeclaredGroup) -> Difference | None:
        base = GroupRecord(name=declared.name) if before is None else before
        after = GroupRecord.make(
            name=declared.name,
            type=base.type if declared.type is None else declared.type,
            members=base.members if declared.members is None else declared.members,
        )
        return _difference(Kind.GROUP, after.shown_name, before, after, compare_groups(before, after))

    def _database(self, before: Database | None, declared: DeclaredDatabase) -> Difference | None:
        after = _merge_database(before, declared)
        if before is not None:
            check_replacement(before, after)
        return _difference(Kind.DATABASE, after.name, before, after, compare_databases(before, after))


def _difference(
    kind: Kind, name: str, before: Record | None, after: Record, details: tuple[Detail, ...]
) -> Difference | None:
    if before is not None and not details:
        return None
    return Difference(kind=kind, name=name, before=before, after=after, details=details)


def _merge_person(before: PersonRecord | None, declared: DeclaredPerson, *, prune: bool) -> PersonRecord:
    base = PersonRecord(names=declared.names) if before is None else before
    held = {one.sha256: one for one in base.certificates}
    if declared.certificates is None:
        certificates = list(base.certificates)
    else:
        certificates = []
        for one in declared.certificates:
            known = held.get(one.record.sha256, one.record)
            certificates.append(known if one.revoked is None else replace(known, revoked=one.revoked))
        if not prune:
            named = {one.sha256 for one in certificates}
            certificates += [one for one in base.certificates if one.revoked and one.sha256 not in named]
    return PersonRecord.make(
        names=declared.names,
        mail=base.mail if declared.mail is None else declared.mail,
        display_name=base.display_name if declared.display_name is None else declared.display_name,
        disabled=base.disabled if declared.disabled is None else declared.disabled,
        certificates=certificates,
    )


def _merge_database(before: Database | None, declared: DeclaredDatabase) -> Database:
    base = Database(name=declared.name) if before is None else before
    builtin = DIRECTORY_ROLES if declared.key == DIRECTORY else ()
    maximum = declared.maximum_internet_access
    return read_database(
        name=declared.name,
        title=base.title if declared.title is None else declared.title,
        require_tls=base.require_tls if declared.require_tls is None else declared.require_tls,
        maximum_internet_access=base.maximum_internet_access if maximum is None else maximum,
        roles=[*(base.roles if declared.roles is None else declared.roles), *builtin],
        entries=base.entries if declared.entries is None else declared.entries,
        wildcards=base.wildcards if declared.wildcards is None else declared.wildcards,
    )


def _name_of(record: Record) -> str:
    return record.name if isinstance(record, Database) else record.shown_name


# --- carrying out


def apply_changes(engine: Engine, diff: Diff, *, actor: str, now: datetime) -> None:
    """Carry a plan out, in one transaction.

    Args:
        engine: of the database that was compared.
        diff: from `plan_changes`.
        actor: who, for the log of ACLs: `local:<login>` or a name for ACLs.
        now: the moment, for the log.

    Raises:
        DocumentChanged: something that the plan changes is no longer as it was planned on.
        ChangeRefused: another rule forbids it.
        StoreFault: the store could not answer. Nothing was changed in any of these cases.

    """
    if diff.is_empty:
        return
    with open_change(engine, actor=actor, now=now) as change:
        for difference in diff.differences:
            if difference.before is not None:
                _require_unchanged(change, difference.kind, difference.before)
        for difference in diff.differences:
            _carry_out(change, difference)


def _require_unchanged(change: Change, kind: Kind, before: Record) -> None:
    if not _is_stored(change.connection, before):
        name = shorten(_name_of(before))
        raise DocumentChanged(f"{kind} `{name}` was changed by somebody else since it was compared")


def _is_stored(connection: Connection, record: Record) -> bool:
    """Whether the store holds exactly this."""
    match record:
        case PersonRecord():
            person = find_person(connection, record.names[0])
            return person is not None and not compare_people(person, record)
        case GroupRecord():
            group = find_group(connection, record.name)
            return group is not None and not compare_groups(group, record)
        case Database():
            stored = find_database(connection, record.name)
            return stored is not None and not compare_databases(stored.database, record)
    assert_never(record)


def _carry_out(change: Change, difference: Difference) -> None:
    match difference.before, difference.after:
        case None, PersonRecord() as person:
            create_person(change, person)
        case PersonRecord() as before, PersonRecord() as person:
            replace_person(change, before.names[0], person)
        case PersonRecord() as before, None:
            delete_person(change, before.names[0])
        case None, GroupRecord() as group:
            create_group(change, group)
        case GroupRecord() as before_group, GroupRecord() as group:
            replace_group(change, before_group.name, group)
        case GroupRecord() as before_group, None:
            delete_group(change, before_group.name)
        case None, Database() as database:
            create_database(change, database)
        case Database() as before_database, Database() as database:
            replace_database(change, before_database.name, database)
        case Database() as before_database, None:
            delete_database(change, before_database.name)
        case _:
            raise AssertionError("a difference joins two records of one kind")


# --- exporting


def export_declaration(engine: Engine, *, secondary: bool = False) -> str:
    """Return everything in the store as the document that `apply` reads: every key, certificates as PEM.

    Args:
        engine: of a migrated database.
        secondary: it is a secondary directory, which has no databases.

    Raises:
        StoreFault: the store could not answer, or holds what cannot be read.

    """
    with open_reading(engine) as connection:
        document: dict[str, object] = {
            "people": [_person_document(person) for person in list_people(connection)],
            "groups": [_group_document(group) for group in list_groups(connection)],
        }
        if not secondary:
            document["databases"] = [database_document(one.database) for one in list_databases(connection)]
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1_000_000,  # texts are not folded: one name, one line
    )


def _person_document(person: PersonRecord) -> dict[str, object]:
    certificates: list[object] = [
        {"certificate": render_pem(one.der), "revoked": True} if one.revoked else render_pem(one.der)
        for one in person.certificates
    ]
    return {
        "names": [render_name(name) for name in person.names],
        "mail": person.mail,
        "display_name": person.display_name,
        "certificates": certificates,
        "disabled": person.disabled,
    }


def _group_document(group: GroupRecord) -> dict[str, object]:
    return {
        "name": group.shown_name,
        "type": group.type.value,
        "members": [render_member(member) for member in group.members],
    }


class _Dumper(yaml.SafeDumper):
    """Prints texts so that every YAML reader reads texts, and certificates as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out: nothing in the document stands for something else."""
        del data
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if text.startswith("-----BEGIN "):
        style = "|"
    elif _PLAIN_SCALAR.fullmatch(text) and text.casefold() not in _YAML_WORDS:
        style = ""
    else:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
