"""Databases and their ACLs: written with a log, read for decisions.

What lives here: rows of `databases`, `database_roles`, `acl_entries` and `acl_log`, the rules that protect
the built-in database `directory`, and `SqlDatabases`, which the pipeline reads. What does not: what an ACL
means (`authsvc/access`), asking whoever may do this (`web/api`).

Invariants:

* Every change of a database writes who, when, before and after, in the same transaction; a change that
  changes nothing writes nothing.
* What is read back is checked as if it had just been typed (`read_database`): a row that no ACL may hold is a
  fault, never a guess.
* `directory` keeps its roles, has no `Anonymous` above No Access (administration always asks for a
  certificate), cannot be deleted, and never loses its last Manager. An entry for `-Default-` is no Manager in
  that sense: it names nobody who could be called.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection, Engine, delete, insert, select, update

from authsvc.access.acl import (
    AclEntry,
    AclError,
    AnonymousTarget,
    Database,
    DefaultTarget,
    GroupTarget,
    Level,
    NameTarget,
    Target,
    WildcardTarget,
    read_database,
)
from authsvc.access.database_key import DatabaseNameError, database_key
from authsvc.store.builtin import DIRECTORY, DIRECTORY_ROLES
from authsvc.store.errors import (
    AclRefused,
    DocumentChanged,
    NameRefused,
    NameTaken,
    NotStored,
    StoreMalformed,
)
from authsvc.store.schema import (
    Change,
    GenerationReader,
    acl_entries,
    acl_log,
    database_roles,
    databases,
    in_code_point_order,
    open_reading,
    read_time,
    render_time,
)
from directory_assistance.dn import key_text, prepare
from directory_assistance.errors import shorten
from directory_assistance.sql_waiting import answered_until

__all__ = [
    "AclLogLine",
    "DatabaseDocument",
    "SqlDatabases",
    "StoredDatabase",
    "check_replacement",
    "create_database",
    "database_document",
    "delete_database",
    "find_database",
    "has_manager",
    "list_databases",
    "read_acl_log",
    "replace_acl",
    "replace_database",
]

_LOOK_UP_SECONDS = 3.0
"""How long a decision waits for the rows of one database, connecting included; it takes a millisecond."""

AclEntryDocument = Mapping[str, str | list[str]]
DatabaseDocument = Mapping[str, str | bool | list[str] | list[AclEntryDocument]]
"""A database with its ACL as plain JSON: keys and words of `apply`, everything sorted, nothing left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDatabase:
    """A database as it is stored. `revision` grows with each change of it (`ETag`, `If-Match`)."""

    database: Database
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AclLogLine:
    """One change of a database. `before` is None where it was created, `after` where it was deleted."""

    number: int
    database_key: str
    at: datetime
    actor: str
    before: DatabaseDocument | None
    after: DatabaseDocument | None


def database_document(database: Database) -> DatabaseDocument:
    """Return a database as plain JSON, for the log, the diff and the export."""
    return {
        "name": database.name,
        "title": database.title,
        "require_tls": database.require_tls,
        "maximum_internet_access": database.maximum_internet_access.label,
        "wildcards": database.wildcards.value,
        "roles": sorted(database.roles),
        "acl": [_entry_document(entry) for entry in sorted(database.entries, key=_entry_order)],
    }


def _entry_document(entry: AclEntry) -> AclEntryDocument:
    return {
        "name": entry.name,
        "type": entry.type.value,
        "level": entry.level.label,
        "privileges": [privilege.value for privilege in sorted(entry.privileges)],
        "roles": sorted(entry.roles),
    }


def has_manager(database: Database) -> bool:
    """Tell whether an ACL entry that names somebody has level Manager."""
    return any(
        entry.level is Level.MANAGER and not isinstance(entry.target, DefaultTarget | AnonymousTarget)
        for entry in database.entries
    )


# --- writing


def create_database(change: Change, database: Database) -> StoredDatabase:
    """Add a database, checked by `read_database`.

    Raises:
        NameTaken: a database of this name, in any spelling, is already there.

    """
    if _find_row(change.connection, database.key) is not None:
        raise NameTaken(f"a database `{shorten(database.name)}` is already there")
    values = _columns(database) | {"name_key": database.key, "revision": 1}
    database_id = change.connection.execute(
        insert(databases).values(values).returning(databases.c.id)
    ).scalar_one()
    _insert_acl(change, database_id, database)
    _write_log(change, database.key, None, database)
    return StoredDatabase(database=database, revision=1)


def replace_database(
    change: Change, name: str, database: Database, *, expected_revision: int | None = None
) -> StoredDatabase:
    """Make the database `name` be as described; its name may change in spelling only.

    Args:
        change: an open change.
        name: the database, in any spelling.
        database: what it shall be, checked by `read_database`.
        expected_revision: the revision that the caller looked at; None to replace any.

    Raises:
        NotStored: there is no such database.
        NameRefused: the new name is another name.
        DocumentChanged: it has another revision.
        AclRefused: `directory` may not become this.

    """
    stored = find_database(change.connection, name)
    if stored is None:
        raise NotStored(f"there is no database `{shorten(name)}`")
    key = stored.database.key
    if database.key != key:
        raise NameRefused(
            f"expected a spelling of `{shorten(stored.database.name)}`, found `{shorten(database.name)}`:"
            " a database is renamed by making a new one"
        )
    if expected_revision not in {None, stored.revision}:
        raise DocumentChanged(
            f"database `{shorten(name)}`: expected revision {expected_revision}, found {stored.revision}"
        )
    if database_document(stored.database) == database_document(database):
        return stored
    check_replacement(stored.database, database)
    found = _find_row(change.connection, key)
    assert found is not None  # it was read above, and the write lock is ours
    for table in (acl_entries, database_roles):
        change.connection.execute(delete(table).where(table.c.database_id == found[0]))
    values = _columns(database) | {"revision": stored.revision + 1}
    change.connection.execute(update(databases).where(databases.c.id == found[0]).values(values))
    _insert_acl(change, found[0], database)
    _write_log(change, key, stored.database, database)
    return StoredDatabase(database=database, revision=stored.revision + 1)


def replace_acl(
    change: Change, name: str, entries: Iterable[AclEntry], *, expected_revision: int | None = None
) -> StoredDatabase:
    """Give a database another ACL and leave the rest of it; `-Default-` is added as No Access where missing.

    Raises:
        AclRefused: the entries make no ACL, or `directory` may not have it.
        NotStored: there is no such database.
        DocumentChanged: it has another revision.

    """
    stored = find_database(change.connection, name)
    if stored is None:
        raise NotStored(f"there is no database `{shorten(name)}`")
    try:
        database = _checked(replace(stored.database, entries=tuple(entries)))
    except AclError as error:
        raise AclRefused(str(error)) from error
    return replace_database(change, name, database, expected_revision=expected_revision)


def delete_database(change: Change, name: str) -> None:
    """Delete a database; its log stays, with a last line.

    Raises:
        NotStored: there is no such database.
        AclRefused: it is `directory`.

    """
    stored = find_database(change.connection, name)
    found = None if stored is None else _find_row(change.connection, stored.database.key)
    if stored is None or found is None:
        raise NotStored(f"there is no database `{shorten(name)}`")
    key = stored.database.key
    if key == DIRECTORY:
        raise AclRefused(f"the built-in database `{DIRECTORY}` cannot be deleted")
    for table in (acl_entries, database_roles):
        change.connection.execute(delete(table).where(table.c.database_id == found[0]))
    change.connection.execute(delete(databases).where(databases.c.id == found[0]))
    _write_log(change, key, stored.database, None)


def check_replacement(before: Database, after: Database) -> None:
    """Check the rules that protect the built-in database `directory`; any other may become anything.

    Raises:
        AclRefused: naming the database and the rule.

    """
    if before.key != DIRECTORY:
        return
    missing = sorted(set(DIRECTORY_ROLES) - after.roles)
    if missing:
        listed = ", ".join(f"`{role}`" for role in missing)
        raise AclRefused(f"database `{DIRECTORY}`: the built-in roles {listed} cannot be removed")
    if any(
        isinstance(entry.target, AnonymousTarget) and entry.level > Level.NO_ACCESS for entry in after.entries
    ):
        raise AclRefused(
            f"database `{DIRECTORY}`: acl entry `Anonymous` may only be No Access: administration asks for a"
            " certificate"
        )
    if has_manager(before) and not has_manager(after):
        raise AclRefused(f"database `{DIRECTORY}`: the last Manager entry cannot be removed")


def _columns(database: Database) -> dict[str, str | bool | int]:
    return {
        "name": database.name,
        "title": database.title,
        "require_tls": database.require_tls,
        "maximum_internet_access": database.maximum_internet_access.label,
        "wildcards": database.wildcards.value,
    }


def _insert_acl(change: Change, database_id: int, database: Database) -> None:
    if database.roles:
        change.connection.execute(
            insert(database_roles),
            [
                {"database_id": database_id, "key": role.casefold(), "name": role}
                for role in sorted(database.roles)
            ],
        )
    change.connection.execute(
        insert(acl_entries),
        [
            {
                "database_id": database_id,
                "key": _target_key(entry.target),
                "name": entry.name,
                "type": entry.type.value,
                "level": entry.level.label,
                "privileges": sorted(entry.privileges),
                "roles": sorted(entry.roles),
            }
            for entry in database.entries
        ],
    )


def _write_log(change: Change, key: str, before: Database | None, after: Database | None) -> None:
    change.connection.execute(
        insert(acl_log).values(
            database_key=key,
            at=render_time(change.now),
            actor=change.actor,
            before=None if before is None else database_document(before),
            after=None if after is None else database_document(after),
        )
    )


def _target_key(target: Target) -> str:
    """Return the text that is equal exactly for ACL entries of the same name."""
    match target:
        case DefaultTarget():
            return "-default-"
        case AnonymousTarget():
            return "anonymous"
        case NameTarget(name=name):
            return f"name {key_text(name)}"
        case WildcardTarget(wildcard=wildcard):
            return f"wildcard {key_text(wildcard)}"
        case GroupTarget(group=group, domain=domain):
            return f"group {key_text(group)}" + ("" if domain is None else f"@{domain}")
    assert_never(target)


def _entry_order(entry: AclEntry) -> tuple[bool, str, str]:
    """Sort `-Default-` first, then by name."""
    return not isinstance(entry.target, DefaultTarget), prepare(entry.name), entry.name


# --- reading


def find_database(connection: Connection, name: str) -> StoredDatabase | None:
    """Return the database of this name in any spelling, or None.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    try:
        key = database_key(name)
    except DatabaseNameError:
        return None
    found = _find_row(connection, key)
    return None if found is None else _read(connection, found[0])


def list_databases(connection: Connection) -> tuple[StoredDatabase, ...]:
    """Return every database in the order of their keys.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    order = in_code_point_order(connection, databases.c.name_key)
    ids = connection.scalars(select(databases.c.id).order_by(order)).all()
    return tuple(_read(connection, database_id) for database_id in ids)


def read_acl_log(
    connection: Connection, name: str | None = None, *, before: int | None = None, limit: int = 100
) -> tuple[AclLogLine, ...]:
    """Return changes, the newest first.

    Args:
        connection: an open one.
        name: of one database, deleted or not, in any spelling; None for all.
        before: only lines with a smaller number, for the next page.
        limit: how many at most.

    Raises:
        StoreMalformed: a line cannot be read.

    """
    query = select(
        acl_log.c.id,
        acl_log.c.database_key,
        acl_log.c.at,
        acl_log.c.actor,
        acl_log.c.before,
        acl_log.c.after,
    )
    if name is not None:
        try:
            query = query.where(acl_log.c.database_key == database_key(name))
        except DatabaseNameError:
            return ()
    if before is not None:
        query = query.where(acl_log.c.id < before)
    try:
        return tuple(
            AclLogLine(
                number=number,
                database_key=key,
                at=read_time(at),
                actor=actor,
                before=before_document,
                after=after_document,
            )
            for number, key, at, actor, before_document, after_document in connection.execute(
                query.order_by(acl_log.c.id.desc()).limit(limit)
            )
        )
    except ValueError as error:
        raise StoreMalformed(f"a line of the acl log cannot be read: {error}") from error


def _find_row(connection: Connection, key: str) -> tuple[int, int] | None:
    """Return id and revision of the database with this key."""
    row = connection.execute(
        select(databases.c.id, databases.c.revision).where(databases.c.name_key == key)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def _read(connection: Connection, database_id: int) -> StoredDatabase:
    row = connection.execute(
        select(
            databases.c.name,
            databases.c.title,
            databases.c.require_tls,
            databases.c.maximum_internet_access,
            databases.c.wildcards,
            databases.c.revision,
        ).where(databases.c.id == database_id)
    ).one()
    name, title, require_tls, maximum_internet_access, wildcards, revision = row
    roles = connection.scalars(
        select(database_roles.c.name).where(database_roles.c.database_id == database_id)
    ).all()
    columns = (
        acl_entries.c.name,
        acl_entries.c.type,
        acl_entries.c.level,
        acl_entries.c.privileges,
        acl_entries.c.roles,
    )
    query = select(*columns).where(acl_entries.c.database_id == database_id)
    try:  # JSON is decoded while rows are fetched
        entries = [
            AclEntry.parse(
                name=entry, type=kind, level=level, privileges=_texts(privileges), roles=_texts(entry_roles)
            )
            for entry, kind, level, privileges, entry_roles in connection.execute(query)
        ]
        database = read_database(
            name=name,
            title=title,
            require_tls=require_tls,
            maximum_internet_access=maximum_internet_access,
            roles=roles,
            entries=sorted(entries, key=_entry_order),
            wildcards=wildcards,
        )
    except ValueError as error:
        raise StoreMalformed(f"a stored acl cannot be read: {error}") from error
    return StoredDatabase(database=database, revision=revision)


def _texts(stored: object) -> list[str]:
    if not isinstance(stored, list) or not all(isinstance(text, str) for text in stored):
        raise ValueError(f"expected a list of texts, found `{shorten(str(stored))}`")
    return stored


def _checked(database: Database) -> Database:
    """Pass a database through `read_database`."""
    return read_database(
        name=database.name,
        title=database.title,
        require_tls=database.require_tls,
        maximum_internet_access=database.maximum_internet_access,
        roles=database.roles,
        entries=database.entries,
        wildcards=database.wildcards,
    )


class SqlDatabases:
    """The databases as the pipeline reads them: one row asked for per decision, the rest remembered.

    What was read is kept as long as the generation stays the same, so that a change counts at once, in every
    process. Only databases that exist are kept: names that outsiders make up cost no memory. Threads may
    share it.

    Args:
        engine: of a migrated database.

    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._generation = GenerationReader(engine)
        self._lock = threading.Lock()
        self._read_at = -1
        self._known: dict[str, Database] = {}

    def find(self, name: str) -> Database | None:
        """Return the database of this name in any spelling, or None where there is none.

        Raises:
            StoreFault: the store could not answer, or holds what cannot be read.

        """
        try:
            key = database_key(name)
        except DatabaseNameError:
            return None
        # The generation is read first: should a change come between it and the rows, newer rows are kept
        # under an older number, and read again next time.
        current = self._generation.read()
        with self._lock:
            if self._read_at == current and key in self._known:
                return self._known[key]
        with (
            answered_until(time.monotonic() + _LOOK_UP_SECONDS),
            open_reading(self._engine) as connection,
        ):
            stored = find_database(connection, name)
        if stored is None:
            return None
        with self._lock:
            if self._read_at != current:
                self._known.clear()
                self._read_at = current
            self._known[key] = stored.database
        return stored.database

    def generation(self) -> int:
        """Return the number that grows with every write.

        Raises:
            StoreFault: the store could not answer.

        """
        return self._generation.read()

    def close(self) -> None:
        """Give up the connection that is kept open; a later question opens a new one."""
        self._generation.close()
