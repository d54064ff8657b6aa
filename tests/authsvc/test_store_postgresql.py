"""What only PostgreSQL does to the store: locks of its own, reading that stays reading, a server that is restarted.

What both kinds of database do stands in the other tests of the store, which run over both.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import DBAPIError

from authsvc.store.errors import SchemaRefused, StoreUnavailable
from authsvc.store.migrate import migrate, require_schema
from authsvc.store.people import create_person
from authsvc.store.schema import (
    Change,
    GenerationReader,
    databases,
    metadata,
    open_change,
    open_engine,
    open_reading,
    read_generation,
)
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.sql_engine import open_engine as open_reading_engine
from directory_assistance.sql_tables import people
from tests.support.directories import deadline
from tests.support.postgresql import PostgresqlServer
from tests.support.store import ACTOR, NOW, changing, person


@pytest.fixture
def url(postgresql: PostgresqlServer) -> Iterator[str]:
    with postgresql.database() as address:
        yield address


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = open_engine(url)
    yield opened
    opened.dispose()


def _delete_all_databases_and_fail(change: Change) -> None:
    change.connection.execute(databases.delete())
    change.connection.exec_driver_sql("SELECT no_such_column")


def test_a_migrated_database_has_exactly_the_schema_that_the_code_expects(engine: Engine) -> None:
    with pytest.raises(SchemaRefused, match="without our schema"):
        require_schema(engine)
    for _ in range(2):  # the second time changes nothing
        migrate(engine)
        require_schema(engine)

        with open_reading(engine) as connection:
            assert [] == compare_metadata(MigrationContext.configure(connection), metadata)
            assert {*metadata.tables, "alembic_version"} == set(inspect(connection).get_table_names())
            assert ["directory"] == list(connection.scalars(select(databases.c.name)))
            assert 1 == read_generation(connection)


def test_processes_that_migrate_at_the_same_moment_make_one_schema(engine: Engine) -> None:
    barrier = threading.Barrier(3)

    def run(_number: int) -> None:
        barrier.wait()
        migrate(engine)

    with ThreadPoolExecutor(max_workers=3) as workers:
        list(workers.map(run, range(3)))

    require_schema(engine)
    with open_reading(engine) as connection:
        assert ["directory"] == list(connection.scalars(select(databases.c.name)))
        assert 1 == read_generation(connection)


def test_a_database_with_tables_that_are_not_ours_is_refused_and_not_touched(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE people (nickname TEXT)")

    with pytest.raises(SchemaRefused, match=r"found tables `people` without a schema version"):
        migrate(engine)

    with open_reading(engine) as connection:
        assert ["people"] == inspect(connection).get_table_names()


def test_a_change_that_fails_leaves_rows_and_generation_as_they_were(engine: Engine) -> None:
    migrate(engine)

    with pytest.raises(StoreUnavailable), open_change(engine, actor=ACTOR, now=NOW) as change:
        _delete_all_databases_and_fail(change)

    with open_reading(engine) as connection:
        assert 1 == read_generation(connection)
        assert ["directory"] == list(connection.scalars(select(databases.c.name)))


def test_changes_of_several_at_once_all_count(engine: Engine) -> None:
    migrate(engine)

    def create(number: int) -> None:
        with changing(engine) as change:
            create_person(change, person(f"Person {number}/Acme"))

    with ThreadPoolExecutor(max_workers=6) as workers:
        list(workers.map(create, range(12)))

    generation = GenerationReader(engine)
    assert 13 == generation.read()
    generation.close()


def test_what_is_opened_for_reading_finds_what_was_written_and_cannot_write(engine: Engine, url: str) -> None:
    migrate(engine)
    with changing(engine) as change:
        create_person(change, person("Dave Lawson/Acme", mail="dave@acme.com"))
    reading = open_reading_engine(url)
    directory = SqlDirectory("Acme", reading)

    found = directory.find_entries(
        TextCandidate(find_by=FindBy.MAIL, text="DAVE@acme.com"), limit=2, deadline=deadline()
    )
    assert 1 == len(found.entries)
    for statement in (people.delete(), people.update().values(disabled=True)):
        with pytest.raises(DBAPIError, match="read-only transaction"), reading.begin() as connection:
            connection.execute(statement)

    directory.close()


def test_a_generation_is_read_again_after_the_server_was_restarted(
    engine: Engine, postgresql: PostgresqlServer
) -> None:
    migrate(engine)
    generation = GenerationReader(engine)
    assert 1 == generation.read()

    postgresql.kill()
    with pytest.raises(StoreUnavailable):
        generation.read()
    postgresql.start()

    assert 1 == generation.read()
    generation.close()
