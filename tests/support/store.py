"""A real store in a file, for tests, and the words to fill it with."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import psycopg
import pytest
from sqlalchemy import Engine, event

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
from tests.support.postgresql import PostgresqlServer

__all__ = [
    "ACTOR",
    "NOW",
    "STORES",
    "PersonDetails",
    "changing",
    "database",
    "group",
    "open_store",
    "person",
    "store_of",
]

STORES = ("SQLite", "PostgreSQL")
"""The kinds of database that a store may be in."""


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


def store_of(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    """Yield a new, migrated database of the kind in `request.param`, one of `STORES`; for a fixture."""
    if request.param == "SQLite":
        with open_store(folder) as engine:
            yield engine
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    template = server.template("migrated", _migrate)
    with server.database(template) as url, ExitStack() as opened:
        engine = open_engine(url)

        def note(connection: psycopg.Connection, _record: object) -> None:
            opened.callback(connection.close)

        event.listen(engine, "connect", note)  # whoever keeps a connection does not give it back to the pool
        yield engine
        engine.dispose()


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
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
