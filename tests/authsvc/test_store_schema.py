"""The store's schema: opened safely, created and migrated once, refused where it is not ours."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import IntegrityError

from authsvc.decision.ports import StoreFault
from authsvc.store.builtin import DIRECTORY_ROLES
from authsvc.store.errors import SchemaRefused, StoreMalformed, StoreUnavailable
from authsvc.store.migrate import migrate, require_schema
from authsvc.store.schema import (
    Change,
    GenerationReader,
    acl_entries,
    database_roles,
    databases,
    metadata,
    open_change,
    open_engine,
    open_reading,
    read_generation,
    read_time,
    render_time,
)
from directory_assistance.errors import ConfigurationError
from directory_assistance.sql_engine import open_engine as open_reading_engine
from directory_assistance.sql_tables import person_names
from tests.support.store import changing, open_store

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'directory.db'}")
    yield engine
    engine.dispose()


def _set_version(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (version,))


def _dump(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "directory.db")
    lines = list(connection.iterdump())
    connection.close()
    return lines


def _delete_all_databases_and_fail(change: Change) -> None:
    change.connection.execute(databases.delete())
    change.connection.exec_driver_sql("SELECT no_such_column")


def _migrate_file(path: str, barrier: Barrier) -> None:
    engine = open_engine(f"sqlite:///{path}")
    barrier.wait()
    migrate(engine)
    engine.dispose()


def test_a_migrated_database_has_exactly_the_schema_that_the_code_expects(engine: Engine) -> None:
    migrate(engine)

    with open_reading(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        tables = set(inspect(connection).get_table_names())

    assert [] == differences
    assert {*metadata.tables, "alembic_version"} == tables


def test_migrating_twice_changes_nothing(tmp_path: Path, engine: Engine) -> None:
    migrate(engine)
    before = _dump(tmp_path)

    migrate(engine)

    assert before == _dump(tmp_path)


def test_a_new_database_has_the_database_directory_that_lets_nobody_in(engine: Engine) -> None:
    migrate(engine)

    with open_reading(engine) as connection:
        assert [("directory", "directory", False, "Editor", "fallback", 1)] == [
            tuple(row)
            for row in connection.execute(
                select(
                    databases.c.name,
                    databases.c.name_key,
                    databases.c.require_tls,
                    databases.c.maximum_internet_access,
                    databases.c.wildcards,
                    databases.c.revision,
                )
            )
        ]
        assert [("-Default-", "unspecified", "No Access", [], [])] == [
            tuple(row)
            for row in connection.execute(
                select(
                    acl_entries.c.name,
                    acl_entries.c.type,
                    acl_entries.c.level,
                    acl_entries.c.privileges,
                    acl_entries.c.roles,
                )
            )
        ]
        assert set(DIRECTORY_ROLES) == set(connection.scalars(select(database_roles.c.name)))


def test_migrating_restores_a_role_of_the_database_directory_that_somebody_deleted(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(database_roles.delete().where(database_roles.c.name == "Auditor"))

    migrate(engine)

    with open_reading(engine) as connection:
        assert set(DIRECTORY_ROLES) == set(connection.scalars(select(database_roles.c.name)))


def test_a_database_of_a_newer_version_is_refused_and_not_touched(engine: Engine) -> None:
    migrate(engine)
    _set_version(engine, "9999")

    with pytest.raises(SchemaRefused, match=r"expected schema `\d+` or older, found `9999`: .*newer version"):
        migrate(engine)
    with pytest.raises(SchemaRefused, match="newer version of authsvc"):
        require_schema(engine)


def test_a_database_with_tables_that_are_not_ours_is_refused_and_not_touched(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE people (nickname TEXT)")

    with pytest.raises(SchemaRefused, match=r"found tables `people` without a schema version"):
        migrate(engine)

    with open_reading(engine) as connection:
        assert ["people"] == inspect(connection).get_table_names()


def test_a_database_with_rows_that_refer_to_nothing_is_a_fault(tmp_path: Path, engine: Engine) -> None:
    migrate(engine)
    by_hand = sqlite3.connect(tmp_path / "directory.db", isolation_level=None)
    by_hand.execute("INSERT INTO person_names VALUES (7, 0, 'x', 'x', 'x')")
    by_hand.close()

    with pytest.raises(StoreMalformed, match="table `person_names` has rows that refer to nothing"):
        migrate(engine)


def test_a_command_that_does_not_migrate_accepts_the_current_schema_only(engine: Engine) -> None:
    with pytest.raises(SchemaRefused, match="found one without our schema"):
        require_schema(engine)

    migrate(engine)
    require_schema(engine)


def test_processes_that_migrate_at_the_same_moment_make_one_schema(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    spawning = multiprocessing.get_context("spawn")
    barrier = spawning.Barrier(3)
    processes = [spawning.Process(target=_migrate_file, args=(str(path), barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)

    assert [0, 0, 0] == [process.exitcode for process in processes]
    engine = open_engine(f"sqlite:///{path}")
    require_schema(engine)
    with open_reading(engine) as connection:
        assert ["directory"] == list(connection.scalars(select(databases.c.name)))
        assert 1 == read_generation(connection)
    engine.dispose()


def test_a_connection_enforces_foreign_keys_logs_ahead_and_flushes(engine: Engine) -> None:
    with engine.connect() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("foreign_keys", "journal_mode", "synchronous", "busy_timeout")
        }

    assert {"foreign_keys": 1, "journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000} == found


def test_a_row_that_refers_to_nothing_is_refused(engine: Engine) -> None:
    migrate(engine)

    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(person_names.insert().values(person_id=1, position=0, text="x", key="x"))


def test_a_change_that_fails_leaves_rows_and_generation_as_they_were(engine: Engine) -> None:
    migrate(engine)

    with pytest.raises(StoreUnavailable), open_change(engine, actor="local:test", now=NOW) as change:
        _delete_all_databases_and_fail(change)

    with open_reading(engine) as connection:
        assert 1 == read_generation(connection)
        assert ["directory"] == list(connection.scalars(select(databases.c.name)))


def test_a_change_holds_the_write_lock_from_its_beginning(tmp_path: Path, engine: Engine) -> None:
    migrate(engine)
    other = sqlite3.connect(tmp_path / "directory.db", timeout=0, isolation_level=None)

    with open_change(engine, actor="local:test", now=NOW):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE generation SET value = 7")
        assert [(1,)] == other.execute("SELECT value FROM generation").fetchall()  # readers never wait

    assert [(2,)] == other.execute("SELECT value FROM generation").fetchall()
    other.close()


def test_a_file_that_is_no_database_is_a_fault_and_not_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "directory.db").write_bytes(b"people: []\n" * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'directory.db'}")

    for ask in (migrate, require_schema):
        with pytest.raises(StoreUnavailable, match="the store did not answer: file is not a database"):
            ask(engine)
    assert issubclass(StoreUnavailable, StoreFault)


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        migrate(open_engine(f"sqlite:///{tmp_path / 'nowhere' / 'directory.db'}"))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="when it is empty"),
        pytest.param("directory.db", id="when it is a bare path"),
        pytest.param("sqlite://", id="when sqlite has no file"),
        pytest.param("sqlite:///:memory:", id="when sqlite is in memory"),
        pytest.param("sqlite:///file:x?mode=memory&uri=true", id="when sqlite is in memory by its query"),
        pytest.param("mysql://host/db", id="when the kind is another"),
        pytest.param("nonsense://host/db", id="when the kind does not exist"),
        pytest.param("postgresql://user:secret@host/db", id="when the driver is another"),
        pytest.param("postgresql+psycopg://host:port/db", id="when the port is no number"),
    ],
)
def test_an_address_of_another_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_engine(url)

    assert "expected" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_postgresql_address_opens_without_a_connection() -> None:
    assert "postgresql" == open_engine("postgresql+psycopg://user@host/directory").dialect.name


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_reads_back_as_it_was_printed(moment: datetime) -> None:
    assert moment == read_time(render_time(moment))
    assert 27 == len(render_time(moment))


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-24", "2026-11-24T12:00:00Z", "2026-11-24T12:00:00.0"]
)
def test_a_text_that_is_no_such_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat"):
        read_time(text)


def test_a_time_of_another_zone_is_printed_in_utc() -> None:
    there = datetime(2026, 11, 24, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    assert "2026-11-24T12:00:00.000000Z" == render_time(there)


def test_a_generation_that_is_read_by_an_engine_of_readers_is_as_of_now(tmp_path: Path) -> None:
    """Not as of the first look: the connection that is kept holds no transaction open."""
    path = tmp_path / "directory.db"
    with open_store(tmp_path) as engine:
        reading = open_reading_engine(f"sqlite:///{path}")
        reader = GenerationReader(reading)
        before = reader.read()
        with changing(engine):
            pass
        assert before + 1 == reader.read()
        reader.close()
        reading.dispose()
