"""The store over a PostgreSQL that has become silent: no wait without end, undecided meanwhile, well again after.

What a directory does then is in `tests/directory_assistance/test_silent_postgresql.py`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from authsvc.decision.verdict import Allowed
from authsvc.reason import Reason
from authsvc.store import databases as databases_module
from authsvc.store import migrate as migrate_module
from authsvc.store import schema as schema_module
from authsvc.store.databases import SqlDatabases
from authsvc.store.errors import StoreUnavailable
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person
from authsvc.store.schema import GenerationReader, open_engine, open_reading, read_generation
from directory_assistance.backends import sql as sql_module
from tests.authsvc.test_service import DAVE, ask
from tests.support.postgresql import PostgresqlServer
from tests.support.service import Place, fill_store, lay_place, serving_service, world
from tests.support.store import changing, person

_LATE_SECONDS = 1.0
"""How much later a fault may come on a loaded machine; without a limit it would not come at all."""

_LIMIT_SECONDS = 0.5
"""What the limits of the store are set to, so that no test takes long."""


@pytest.fixture
def url(hung_postgresql: PostgresqlServer) -> Iterator[str]:
    with hung_postgresql.database(hung_postgresql.template("filled", _fill)) as address:
        yield address


def _fill(url: str) -> None:
    engine = open_engine(url)
    fill_store(engine)
    engine.dispose()


@pytest.fixture
def engine(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine with one free connection, whose waits are short."""
    monkeypatch.setattr(schema_module, "_WAIT_SECONDS", _LIMIT_SECONDS)
    monkeypatch.setattr(schema_module, "_GENERATION_SECONDS", _LIMIT_SECONDS)
    monkeypatch.setattr(databases_module, "_LOOK_UP_SECONDS", _LIMIT_SECONDS)
    opened = open_engine(url)
    with open_reading(opened) as connection:
        read_generation(connection)
    yield opened
    opened.dispose()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Hold the block to a time."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + _LATE_SECONDS


def test_the_limits_of_the_store_are_shorter_than_a_decision() -> None:
    """Reading the generation and then the rows of a database: its deadline is ten seconds."""
    assert schema_module._GENERATION_SECONDS + databases_module._LOOK_UP_SECONDS < 10


def test_a_generation_is_a_fault_in_time_and_read_again_after(
    engine: Engine, hung_postgresql: PostgresqlServer
) -> None:
    """Over the connection that is kept, and then over a new one, both within one limit."""
    reader = GenerationReader(engine)
    known = reader.read()
    with hung_postgresql.paused():
        for _ in range(2):
            with within(_LIMIT_SECONDS), pytest.raises(StoreUnavailable, match="no answer in time"):
                reader.read()
    assert known == reader.read()
    reader.close()


def test_threads_that_ask_for_a_generation_do_not_wait_one_after_the_other(
    engine: Engine, hung_postgresql: PostgresqlServer
) -> None:
    reader = GenerationReader(engine)
    known = reader.read()

    def read(_number: int) -> None:
        with pytest.raises(StoreUnavailable):
            reader.read()

    with ThreadPoolExecutor(max_workers=8) as threads, hung_postgresql.paused():
        with within(_LIMIT_SECONDS):
            assert 8 == len(list(threads.map(read, range(8))))
        with within(_LIMIT_SECONDS):
            reader.close()
    assert known == reader.read()
    reader.close()


def test_the_acl_of_a_database_is_a_fault_in_time_and_read_again_after(
    engine: Engine, hung_postgresql: PostgresqlServer
) -> None:
    asked = SqlDatabases(engine)
    assert asked.find("sales.nsf") is not None
    with hung_postgresql.paused(), within(2 * _LIMIT_SECONDS), pytest.raises(StoreUnavailable):
        asked.find("sales.nsf")
    assert asked.find("sales.nsf") is not None
    asked.close()


def test_rows_are_a_fault_in_time_also_where_the_generation_was_still_answered(
    engine: Engine, hung_postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SqlDatabases(engine)
    monkeypatch.setattr(GenerationReader, "read", lambda _self: 7)
    with hung_postgresql.paused(), within(_LIMIT_SECONDS), pytest.raises(StoreUnavailable):
        asked.find("sales.nsf")
    assert asked.find("sales.nsf") is not None


def test_a_change_is_a_fault_in_time_and_made_once_the_server_goes_on(
    engine: Engine, hung_postgresql: PostgresqlServer
) -> None:
    def change(name: str) -> None:
        with changing(engine) as opened:
            create_person(opened, person(name))

    # Once for whether the connection lives, once for connecting.
    with hung_postgresql.paused(), within(2 * _LIMIT_SECONDS), pytest.raises(StoreUnavailable):
        change("Late/Renovations")
    change("Late/Renovations")  # nothing of the first try was kept


def test_one_writer_waits_for_another_no_longer_than_the_limit(engine: Engine) -> None:
    with (
        changing(engine),
        within(_LIMIT_SECONDS),
        pytest.raises(StoreUnavailable, match="no answer in time"),
        changing(engine),
    ):
        pass
    with changing(engine) as change:
        create_person(change, person("After/Renovations"))


def test_a_migration_has_a_limit_of_its_own(
    engine: Engine, hung_postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take longer than any other statement, but not for ever."""
    assert migrate_module._LONGEST_MIGRATION_SECONDS > 60
    monkeypatch.setattr(migrate_module, "_LONGEST_MIGRATION_SECONDS", _LIMIT_SECONDS)
    with hung_postgresql.paused(), within(_LIMIT_SECONDS), pytest.raises(StoreUnavailable):
        migrate(engine)
    migrate(engine)


# --- the service -------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose primary directory is in PostgreSQL."""
    laid = lay_place(tmp_path)
    monkeypatch.setenv("PRIMARY_URL", url)
    laid.configure_directories(primary={"domain": "Renovations", "url": "${PRIMARY_URL}"})
    return laid


def test_t50_a_silent_primary_is_undecided_in_time_and_decides_again_once_it_goes_on(
    place: Place, hung_postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_module, "_LONGEST_LOOK_UP_SECONDS", _LIMIT_SECONDS)
    monkeypatch.setattr(schema_module, "_GENERATION_SECONDS", _LIMIT_SECONDS)
    with serving_service(place) as service:
        assert isinstance(ask(service), Allowed)
        with hung_postgresql.paused():
            with within(_LIMIT_SECONDS):
                service._look()
            assert service.decider.cached(DAVE) is None
            with within(_LIMIT_SECONDS):
                verdict = ask(service)
            # Whom emergency blocks refuse is asked first, and nobody knows.
            assert (Reason.STORE_UNAVAILABLE, 503) == (verdict.reason, verdict.reason.status)
        service._look()
        assert isinstance(ask(service), Allowed)
        assert service.decider.cached(DAVE) is not None


def test_t41_a_new_revocation_list_counts_while_the_database_of_another_domain_is_silent(
    hung_postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for changes waits for that database; decisions must not wait for whoever looks."""
    place = lay_place(tmp_path)
    with hung_postgresql.database() as address:
        monkeypatch.setenv("AUTHSVC_TEST_DATABASE", address)
        domain = {
            "domain": "Acme",
            "url": "${AUTHSVC_TEST_DATABASE}",
            "rules": [{"rule": "*/Acme", "trusted": True}],
        }
        place.configure_directories(domains=[{**domain, "type": "sql"}])
        with serving_service(place) as service:
            service.start()
            assert isinstance(ask(service), Allowed)
            with hung_postgresql.paused():
                began = time.monotonic()
                while service._monotonic() - service._looked_at < 0.5:  # the one who looks is waiting
                    assert time.monotonic() - began < 10
                place.write("issuing.crl", world().crl(world().people["dave"], number=2))
                began = time.monotonic()
                while isinstance(ask(service), Allowed):
                    assert time.monotonic() - began < 1.0
