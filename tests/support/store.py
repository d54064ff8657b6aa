"""A real store in a file, for tests, and the words to fill it with."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

from sqlalchemy import Engine

from authsvc.access.acl import AclEntry, Database, read_database
from authsvc.store.certificates import CertificateRecord
from authsvc.store.migrate import migrate
from authsvc.store.records import (
    GroupRecord,
    PersonRecord,
    read_group_member,
    read_group_name,
    read_person_name,
)
from authsvc.store.schema import Change, open_change, open_engine
from directory_assistance.entry import GroupType

__all__ = ["ACTOR", "NOW", "PersonDetails", "changing", "database", "group", "open_store", "person"]


class PersonDetails(TypedDict, total=False):
    """What may be said of a person beside the names."""

    mail: str
    display_name: str
    disabled: bool
    certificates: Iterable[CertificateRecord]


NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""The instant at which changes happen."""

ACTOR = "local:test"
"""Who makes them."""


@contextmanager
def open_store(folder: Path) -> Iterator[Engine]:
    """Open a new, migrated database in a folder."""
    engine = open_engine(f"sqlite:///{folder / 'directory.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@contextmanager
def changing(engine: Engine) -> Iterator[Change]:
    """Open a change by `ACTOR` at `NOW`."""
    with open_change(engine, actor=ACTOR, now=NOW) as change:
        yield change


def person(*names: str, **details: Unpack[PersonDetails]) -> PersonRecord:
    """Return a person with these names, and nothing else unless it is said."""
    return PersonRecord.make(names=map(read_person_name, names), **details)


def group(name: str, *members: str, type: GroupType = GroupType.MULTI) -> GroupRecord:  # noqa: A002 - the word of the contract
    """Return a group with these members."""
    return GroupRecord.make(name=read_group_name(name), type=type, members=map(read_group_member, members))


def database(name: str, *entries: AclEntry, roles: tuple[str, ...] = ()) -> Database:
    """Return a database with this ACL."""
    return read_database(name=name, roles=roles, entries=entries)
