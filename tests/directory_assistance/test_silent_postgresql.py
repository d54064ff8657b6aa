"""An SQL directory over a PostgreSQL that has become silent: it accepts connections, and answers nothing.

That is how a stopped server looks, a machine that hangs, and a network that swallows packets. What the store of the
service does then is in `tests/authsvc/test_silent_postgresql.py`.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Engine, event

from directory_assistance.backends import sql as sql_module
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.dn import FlatName, read_ldap_dn
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.sql_engine import open_engine
from tests.support.directories import DOMAIN, Person, add_person, deadline, postgresql_engine
from tests.support.postgresql import PostgresqlServer

_DEADLINE_SECONDS = 1.0

_LATE_SECONDS = 1.0
"""How much later the fault may come on a loaded machine; without a limit it would not come at all."""

DAVE_CN = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")
NAME = FlatName(text="x")


@pytest.fixture
def directory(hung_postgresql: PostgresqlServer) -> Iterator[SqlDirectory]:
    with hung_postgresql.database() as url:
        writing = postgresql_engine(url)
        add_person(writing, Person(dn="CN=Dave Lawson,O=Acme"))
        writing.dispose()
        opened = SqlDirectory(DOMAIN, open_engine(url))
        yield opened
        opened.close()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Hold the block to a time."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + _LATE_SECONDS


def find_dave(directory: SqlDirectory, seconds: float = 60.0) -> None:
    (entry,) = directory.find_entries(DAVE_CN, limit=2, deadline=deadline(seconds)).entries
    assert entry.names == (read_ldap_dn("CN=Dave Lawson,O=Acme"),)


@pytest.mark.parametrize("connected", [True, False], ids=["over a kept connection", "without one"])
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(
            lambda directory, until: directory.find_entries(DAVE_CN, limit=2, deadline=until), id="entries"
        ),
        pytest.param(lambda directory, until: directory.find_groups([NAME], deadline=until), id="groups"),
        pytest.param(lambda directory, until: directory.holds_name(NAME, deadline=until), id="a name"),
        pytest.param(lambda directory, until: directory.holds_group("x", deadline=until), id="a group"),
        pytest.param(lambda directory, until: directory.check(deadline=until), id="whether it answers"),
    ],
)
def test_a_silent_server_is_a_fault_at_the_deadline_and_the_next_question_after_it_is_answered(
    directory: SqlDirectory,
    hung_postgresql: PostgresqlServer,
    ask: Callable[[SqlDirectory, float], object],
    connected: bool,
) -> None:
    if connected:
        find_dave(directory)
    with (
        hung_postgresql.paused(),
        within(_DEADLINE_SECONDS),
        pytest.raises(DirectoryUnavailable, match=r": the database did not answer: .*no answer in time"),
    ):
        ask(directory, deadline(_DEADLINE_SECONDS))
    find_dave(directory)


def test_a_server_that_becomes_silent_between_two_statements_is_a_fault_at_the_deadline(
    directory: SqlDirectory, hung_postgresql: PostgresqlServer
) -> None:
    """What the first of them answered counts for nothing."""

    def pause(statement: object) -> None:
        if asked:
            paused.enter_context(hung_postgresql.paused())
        asked.append(statement)

    asked: list[object] = []
    with ExitStack() as paused, within(_DEADLINE_SECONDS):
        event.listen(directory._engine, "before_cursor_execute", lambda *told: pause(told[2]))
        with pytest.raises(DirectoryUnavailable, match="no answer in time"):
            find_dave(directory, _DEADLINE_SECONDS)
    assert 2 == len(asked)


def test_more_threads_than_connections_all_hear_of_a_silent_server_by_their_deadlines(
    directory: SqlDirectory, hung_postgresql: PostgresqlServer
) -> None:
    find_dave(directory)

    def ask(_number: int) -> str:
        with pytest.raises(DirectoryUnavailable) as caught:
            find_dave(directory, _DEADLINE_SECONDS)
        return caught.value.problem

    with ThreadPoolExecutor(max_workers=12) as threads, hung_postgresql.paused(), within(_DEADLINE_SECONDS):
        problems = list(threads.map(ask, range(12)))
    assert 12 == len([problem for problem in problems if problem.endswith("in time")])
    for _ in range(12):  # every place was given back
        find_dave(directory)


def test_a_short_deadline_of_one_thread_ends_no_wait_of_another(
    directory: SqlDirectory, hung_postgresql: PostgresqlServer
) -> None:
    with ThreadPoolExecutor(max_workers=2) as threads:
        find_dave(directory)
        with hung_postgresql.paused():
            patient = threads.submit(find_dave, directory, 30.0)
            with pytest.raises(DirectoryUnavailable):
                threads.submit(find_dave, directory, 0.3).result(10)
            assert not patient.done()
        patient.result(10)


def test_a_far_deadline_does_not_let_a_look_up_wait_for_that_long(
    directory: SqlDirectory, hung_postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent secondary must leave time for the directories after it."""
    monkeypatch.setattr(sql_module, "_LONGEST_LOOK_UP_SECONDS", 0.5)
    with hung_postgresql.paused(), within(0.5), pytest.raises(DirectoryUnavailable):
        directory.check(deadline=deadline(60.0))
    directory.check(deadline=deadline())


def test_a_connection_that_was_not_answered_in_time_is_never_used_again(
    directory: SqlDirectory, hung_postgresql: PostgresqlServer
) -> None:
    """Else the late answer to the first question would be taken for that to the second."""
    engine: Engine = directory._engine
    with engine.connect() as connection:
        first = connection.connection.dbapi_connection
        assert first is not None
    with hung_postgresql.paused(), pytest.raises(DirectoryUnavailable):
        directory.check(deadline=deadline(0.3))
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is not first
    assert getattr(first, "closed", False)
